//! Small images, made on the spot: layers from a list of entries, a configuration, a manifest, an index.

use serde_json::json;

use crate::model::digest::Digest;

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// A plain tar.
    Plain,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// Builds one layer, entry by entry, in the order of the calls.
///
/// ```
/// use tidewaiter::conformance::image::{Compression, Layer};
/// let layer = Layer::new().dir("etc").file("etc/os-release", "ID=debian\n").whiteout("etc/motd").compress(Compression::Gzip);
/// assert_eq!(layer[..2], [0x1f, 0x8b]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Layer {
    tar: Vec<u8>,
}

impl Layer {
    /// A layer without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// A file.
    #[must_use]
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry(path, b'0', 0o644, content.as_ref(), "")
    }

    /// A file that may be executed.
    #[must_use]
    pub fn program(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry(path, b'0', 0o755, content.as_ref(), "")
    }

    /// A directory.
    #[must_use]
    pub fn dir(self, path: &str) -> Self {
        self.entry(&format!("{}/", path.trim_end_matches('/')), b'5', 0o755, &[], "")
    }

    /// A symbolic link at `path` to `target`.
    #[must_use]
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(path, b'2', 0o777, &[], target)
    }

    /// A hard link at `path` to the earlier entry `target`.
    #[must_use]
    pub fn hardlink(self, path: &str, target: &str) -> Self {
        self.entry(path, b'1', 0o644, &[], target)
    }

    /// The mark that `path` is gone (OCI image specification, `layer.md`, "Whiteouts").
    #[must_use]
    pub fn whiteout(self, path: &str) -> Self {
        let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
        let separator = if folder.is_empty() { "" } else { "/" };
        self.file(&format!("{folder}{separator}.wh.{name}"), [])
    }

    /// The mark that everything that lower layers have in the directory `path` is gone.
    #[must_use]
    pub fn opaque(self, path: &str) -> Self {
        self.file(&format!("{}/.wh..wh..opq", path.trim_end_matches('/')), [])
    }

    /// An entry of any type: `kind` is the type flag of a tar header (POSIX.1-1988, `ustar`), `mode` its permission bits.
    #[must_use]
    pub fn entry(mut self, path: &str, kind: u8, mode: u32, content: &[u8], link: &str) -> Self {
        // GNU's way of names over 100 bytes: an entry that holds the name of the next.
        for (name, flag) in [(path, b'L'), (link, b'K')] {
            if name.len() > 100 {
                let mut long = name.as_bytes().to_vec();
                long.push(0);
                self.push("././@LongLink", flag, 0o644, &long, "");
            }
        }
        self.push(path, kind, mode, content, link);
        self
    }

    fn push(&mut self, path: &str, kind: u8, mode: u32, content: &[u8], link: &str) {
        let mut header = [0_u8; 512];
        write(&mut header, 0, 100, path.as_bytes());
        write(&mut header, 100, 8, format!("{mode:07o}").as_bytes());
        write(&mut header, 108, 8, b"0000000");
        write(&mut header, 116, 8, b"0000000");
        write(&mut header, 124, 12, format!("{:011o}", content.len()).as_bytes());
        write(&mut header, 136, 12, b"00000000000");
        write(&mut header, 148, 8, b"        ");
        write(&mut header, 156, 1, &[kind]);
        write(&mut header, 157, 100, link.as_bytes());
        write(&mut header, 257, 8, b"ustar  \0");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        write(&mut header, 148, 8, format!("{sum:06o}\0 ").as_bytes());
        self.tar.extend_from_slice(&header);
        self.tar.extend_from_slice(content);
        self.tar.resize(self.tar.len().next_multiple_of(512), 0);
    }

    /// The tar, with its end.
    pub fn tar(&self) -> Vec<u8> {
        let mut tar = self.tar.clone();
        tar.resize(tar.len() + 1024, 0);
        tar
    }

    /// The layer as it lies in a registry.
    pub fn compress(&self, compression: Compression) -> Vec<u8> {
        compress(&self.tar(), compression)
    }
}

/// Puts `value` into a field of a header; what does not fit is cut.
fn write(header: &mut [u8], start: usize, length: usize, value: &[u8]) {
    if let Some(field) = header.get_mut(start..start + length) {
        for (to, from) in field.iter_mut().zip(value) {
            *to = *from;
        }
    }
}

/// Compresses in one piece.
pub fn compress(bytes: &[u8], compression: Compression) -> Vec<u8> {
    match compression {
        Compression::Plain => bytes.to_vec(),
        Compression::Gzip => gzip(bytes),
        // It writes to memory only: it cannot fail, and if it did the reader would see a layer without content.
        Compression::Zstd => zstd::encode_all(bytes, 3).unwrap_or_default(),
    }
}

/// One gzip member (RFC 1952).
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = vec![0_u8; zlib_rs::compress_bound(bytes.len()) + 64];
    // 16 above the window's bits means a gzip header and trailer.
    let config = zlib_rs::DeflateConfig { window_bits: 15 + 16, level: 6, ..zlib_rs::DeflateConfig::default() };
    let (written, _) = zlib_rs::compress_slice(&mut packed, bytes, config);
    written.to_vec()
}

/// Builds one image of one platform.
///
/// ```
/// use tidewaiter::conformance::image::{ImageBuilder, Layer};
/// let image = ImageBuilder::new().layer(Layer::new().file("etc/os-release", "ID=debian\n")).build();
/// assert_eq!(image.blobs.len(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct ImageBuilder {
    layers: Vec<(Vec<u8>, Compression)>,
    os: String,
    architecture: String,
    variant: Option<String>,
    created: Option<String>,
    docker: bool,
}

impl Default for ImageBuilder {
    fn default() -> Self {
        Self {
            layers: Vec::new(),
            os: "linux".to_owned(),
            architecture: host_architecture().to_owned(),
            variant: None,
            created: None,
            docker: false,
        }
    }
}

/// The architecture of this program, as OCI (Go) calls it.
fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

impl ImageBuilder {
    /// An image without layers, for linux on this machine's architecture.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more layer, in gzip.
    #[must_use]
    pub fn layer(self, layer: Layer) -> Self {
        self.layer_as(layer, Compression::Gzip)
    }

    /// One more layer.
    #[must_use]
    pub fn layer_as(self, layer: Layer, compression: Compression) -> Self {
        self.tar(layer.tar(), compression)
    }

    /// One more layer from a tar that exists already.
    #[must_use]
    pub fn tar(mut self, tar: Vec<u8>, compression: Compression) -> Self {
        self.layers.push((tar, compression));
        self
    }

    /// Another platform.
    #[must_use]
    pub fn platform(self, os: &str, architecture: &str, variant: Option<&str>) -> Self {
        Self { os: os.to_owned(), architecture: architecture.to_owned(), variant: variant.map(str::to_owned), ..self }
    }

    /// The build date (RFC 3339).
    #[must_use]
    pub fn created(self, time: &str) -> Self {
        Self { created: Some(time.to_owned()), ..self }
    }

    /// Docker's media types in place of OCI's.
    #[must_use]
    pub fn docker(self) -> Self {
        Self { docker: true, ..self }
    }

    /// The image: what is to be stored.
    pub fn build(&self) -> BuiltImage {
        let (manifest_type, config_type) = match self.docker {
            true => (
                "application/vnd.docker.distribution.manifest.v2+json",
                "application/vnd.docker.container.image.v1+json",
            ),
            false => ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.config.v1+json"),
        };
        let layer_type = |compression| match (self.docker, compression) {
            (true, Compression::Plain) => "application/vnd.docker.image.rootfs.diff.tar",
            (true, Compression::Gzip) => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            (true, Compression::Zstd) => "application/vnd.docker.image.rootfs.diff.tar.zstd",
            (false, Compression::Plain) => "application/vnd.oci.image.layer.v1.tar",
            (false, Compression::Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
            (false, Compression::Zstd) => "application/vnd.oci.image.layer.v1.tar+zstd",
        };
        let mut blobs = Vec::new();
        let mut layers = Vec::new();
        let mut diff_ids = Vec::new();
        let mut history = Vec::new();
        for (index, (tar, compression)) in self.layers.iter().enumerate() {
            let blob = compress(tar, *compression);
            layers.push(descriptor(layer_type(*compression), &blob));
            diff_ids.push(Digest::of(tar));
            history.push(json!({"created_by": format!("layer {index}")}));
            blobs.push(blob);
        }
        let mut config = json!({
            "architecture": self.architecture,
            "os": self.os,
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": history,
        });
        let mut platform = json!({"architecture": self.architecture, "os": self.os});
        for (field, value) in [("variant", &self.variant), ("created", &self.created)] {
            if let (Some(value), Some(config)) = (value, config.as_object_mut()) {
                config.insert(field.to_owned(), json!(value));
            }
        }
        if let (Some(variant), Some(platform)) = (&self.variant, platform.as_object_mut()) {
            platform.insert("variant".to_owned(), json!(variant));
        }
        let config = config.to_string().into_bytes();
        let manifest = json!({"schemaVersion": 2, "mediaType": manifest_type, "config": descriptor(config_type, &config), "layers": layers});
        blobs.push(config);
        BuiltImage {
            media_type: manifest_type.to_owned(),
            manifest: manifest.to_string().into_bytes(),
            blobs,
            platform,
        }
    }
}

/// An image as it is stored.
#[derive(Clone, Debug)]
pub struct BuiltImage {
    /// The media type of the manifest.
    pub media_type: String,
    /// The manifest.
    pub manifest: Vec<u8>,
    /// The layers, the base first, and behind them the configuration.
    pub blobs: Vec<Vec<u8>>,
    platform: serde_json::Value,
}

impl BuiltImage {
    /// The digest of the manifest.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    /// The layers, the base first.
    pub fn layers(&self) -> &[Vec<u8>] {
        self.blobs.split_last().map_or(&[], |(_, layers)| layers)
    }

    /// An OCI index of several images: its media type and its bytes.
    pub fn index(images: &[&Self]) -> (String, Vec<u8>) {
        let manifests: Vec<_> = images
            .iter()
            .map(|image| {
                let mut entry = descriptor(&image.media_type, &image.manifest);
                if let Some(entry) = entry.as_object_mut() {
                    entry.insert("platform".to_owned(), image.platform.clone());
                }
                entry
            })
            .collect();
        let media_type = "application/vnd.oci.image.index.v1+json";
        (
            media_type.to_owned(),
            json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}).to_string().into_bytes(),
        )
    }
}

/// A descriptor of `bytes`.
pub fn descriptor(media_type: &str, bytes: &[u8]) -> serde_json::Value {
    json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()})
}
