//! Small images made on the spot: tar entries, layers of them, and an OCI layout that holds the layers.

use std::fmt;
use std::fs;
use std::path::Path;

use serde_json::json;
use sha2::{Digest, Sha256};

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
    let mut header = [0u8; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    assert!(path.len() <= 100 && target.len() <= 100, "too long for this writer: {path} {target}");
    put(0, path.as_bytes());
    put(100, if kind == b'5' { b"0000755\0" } else { b"0000644\0" });
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", content.len()).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(157, target.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.extend_from_slice(&header);
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

/// Writes an OCI image layout of uncompressed `layers` into `directory`, with the tag `latest`.
pub fn oci_layout(directory: &Path, layers: &[Vec<u8>]) {
    let blobs = directory.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let blob = |media_type: &str, bytes: &[u8]| {
        let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(blobs.join(&digest), bytes).unwrap();
        json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len()})
    };
    let layers: Vec<_> = layers.iter().map(|layer| blob("application/vnd.oci.image.layer.v1.tar", layer)).collect();
    let diff_ids: Vec<_> = layers.iter().map(|layer| layer["digest"].clone()).collect();
    let config = json!({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let config = blob("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers});
    let mut manifest = blob(media_type, manifest.to_string().as_bytes());
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "latest"});
    manifest["platform"] = json!({"architecture": "amd64", "os": "linux"});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(directory.join("index.json"), index.to_string()).unwrap();
    fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).unwrap();
}
