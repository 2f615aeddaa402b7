//! Small images made on the spot: tar entries, layers of them, and an OCI layout that holds the layers.

use std::fmt;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The media type of a layer; readers look at how it is packed.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// One entry of a layer.
#[derive(Clone, Debug)]
pub enum Entry {
    File { path: String, content: String },
    Directory { path: String },
    Symlink { path: String, target: String },
    Hardlink { path: String, target: String },
    Whiteout { path: String },
    Opaque { directory: String },
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, content } => write!(f, "file      {path} {content}"),
            Self::Directory { path } => write!(f, "directory {path}"),
            Self::Symlink { path, target } => write!(f, "symlink   {path} -> {target}"),
            Self::Hardlink { path, target } => write!(f, "hard link {path} = {target}"),
            Self::Whiteout { path } => write!(f, "whiteout  {path}"),
            Self::Opaque { directory } => write!(f, "opaque    {directory}"),
        }
    }
}

impl Entry {
    /// The name that it has in the tar.
    pub fn name(&self) -> String {
        match self {
            Self::File { path, .. } | Self::Symlink { path, .. } | Self::Hardlink { path, .. } => path.clone(),
            Self::Directory { path } => format!("{path}/"),
            Self::Whiteout { path } => match path.rsplit_once('/') {
                Some((directory, name)) => format!("{directory}/.wh.{name}"),
                None => format!(".wh.{path}"),
            },
            Self::Opaque { directory } => format!("{directory}/.wh..wh..opq"),
        }
    }
}

/// The entries as a tar file, in their order (POSIX.1-1988 "ustar"; paths up to 100 bytes).
pub fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut tar = Vec::new();
    for entry in entries {
        let name = entry.name();
        match entry {
            Entry::File { content, .. } => member(&mut tar, b'0', &name, "", content.as_bytes()),
            Entry::Directory { .. } => member(&mut tar, b'5', &name, "", b""),
            Entry::Symlink { target, .. } => member(&mut tar, b'2', &name, target, b""),
            Entry::Hardlink { target, .. } => member(&mut tar, b'1', &name, target, b""),
            Entry::Whiteout { .. } | Entry::Opaque { .. } => member(&mut tar, b'0', &name, "", b""),
        }
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

fn member(tar: &mut Vec<u8>, kind: u8, path: &str, target: &str, content: &[u8]) {
    tar.extend_from_slice(&header(kind, path, target, content.len() as u64));
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

/// The header of an entry of `size` bytes.
pub fn header(kind: u8, path: &str, target: &str, size: u64) -> [u8; 512] {
    let mut header = [0u8; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    assert!(path.len() <= 100 && target.len() <= 100, "too long for this writer: {path} {target}");
    put(0, path.as_bytes());
    put(100, if kind == b'5' { b"0000755\0" } else { b"0000644\0" });
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(157, target.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// Writes an OCI image layout of `layers`, as they are, into `directory`, with the tag `latest`.
pub fn oci_layout(directory: &Path, layers: &[Vec<u8>]) {
    let blobs = blobs(directory);
    oci_layout_of(directory, layers.iter().map(|layer| blob(&blobs, LAYER, layer)).collect());
}

/// The same, with the commands that made the layers.
pub fn oci_layout_with(directory: &Path, layers: &[Vec<u8>], commands: &[String]) {
    let blobs = blobs(directory);
    layout(directory, layers.iter().map(|layer| blob(&blobs, LAYER, layer)).collect(), commands);
}

/// The folder of the blobs of a layout.
pub fn blobs(directory: &Path) -> PathBuf {
    let blobs = directory.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    blobs
}

/// What a manifest says of a blob.
pub fn descriptor(media_type: &str, digest: &str, size: u64) -> Value {
    json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": size})
}

/// A digest in hexadecimal.
pub fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn blob(blobs: &Path, media_type: &str, bytes: &[u8]) -> Value {
    let digest = hex(&Sha256::digest(bytes));
    fs::write(blobs.join(&digest), bytes).unwrap();
    descriptor(media_type, &digest, bytes.len() as u64)
}

/// Writes the rest of an OCI image layout, whose layers lie there already.
pub fn oci_layout_of(directory: &Path, layers: Vec<Value>) {
    layout(directory, layers, &[]);
}

fn layout(directory: &Path, layers: Vec<Value>, commands: &[String]) {
    let blobs = blobs(directory);
    let blob = |media_type: &str, document: &Value| blob(&blobs, media_type, document.to_string().as_bytes());
    let diff_ids: Vec<_> = layers.iter().map(|layer| layer["digest"].clone()).collect();
    let history: Vec<_> = commands.iter().map(|command| json!({"created_by": command})).collect();
    let rootfs = json!({"type": "layers", "diff_ids": diff_ids});
    let config = json!({"architecture": "amd64", "os": "linux", "config": {}, "history": history, "rootfs": rootfs});
    let config = blob("application/vnd.oci.image.config.v1+json", &config);
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers});
    let mut manifest = blob(media_type, &manifest);
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "latest"});
    manifest["platform"] = json!({"architecture": "amd64", "os": "linux"});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(directory.join("index.json"), index.to_string()).unwrap();
    fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).unwrap();
}

/// Bytes that no compression makes small.
pub fn noise(seed: u64, length: u64) -> impl Read {
    struct Noise(u64);

    impl Read for Noise {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            for piece in buffer.chunks_mut(8) {
                self.0 ^= self.0 << 13;
                self.0 ^= self.0 >> 7;
                self.0 ^= self.0 << 17;
                piece.copy_from_slice(&self.0.to_le_bytes()[..piece.len()]);
            }
            Ok(buffer.len())
        }
    }

    Noise(0x2545_f491_4f6c_dd1d ^ seed << 20).take(length)
}

/// The same in memory.
pub fn noise_bytes(length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    noise(0, length).read_to_end(&mut bytes).unwrap();
    bytes
}
