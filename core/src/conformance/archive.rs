//! Images as files: an OCI layout, an archive of one, and what `docker save` writes, old and new.

use std::path::Path;

use serde_json::json;

use super::image::{BuiltImage, Layer, descriptor};
use crate::model::digest::Digest;

/// The annotation that names an image in a layout.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The files of an OCI layout of several images, each under its name, with their paths.
///
/// ```
/// use tidewaiter::conformance::{archive::layout, image::ImageBuilder};
/// let files = layout(&[("1.0", &ImageBuilder::new().build())]);
/// assert_eq!(files.last().map(|(path, _)| path.as_str()), Some("index.json"));
/// ```
pub fn layout(images: &[(&str, &BuiltImage)]) -> Vec<(String, Vec<u8>)> {
    let mut files = vec![("oci-layout".to_owned(), br#"{"imageLayoutVersion": "1.0.0"}"#.to_vec())];
    let mut manifests = Vec::new();
    for (name, image) in images {
        for blob in image.blobs.iter().chain([&image.manifest]) {
            files.push((path_of(blob), blob.clone()));
        }
        let mut entry = descriptor(&image.media_type, &image.manifest);
        if let Some(entry) = entry.as_object_mut() {
            entry.insert("annotations".to_owned(), json!({ REF_NAME: name }));
        }
        manifests.push(entry);
    }
    files.push(("index.json".to_owned(), json!({"schemaVersion": 2, "manifests": manifests}).to_string().into_bytes()));
    files
}

/// The files of [`layout`] as a tar.
pub fn oci_archive(image: &BuiltImage) -> Vec<u8> {
    tar(&layout(&[("latest", image)]))
}

/// What `docker save` wrote up to version 24: a folder a layer, which holds `layer.tar`, and `manifest.json`. `tars` are the
/// layers of `image` without compression, the base first; each lies there as it is given, which may be packed.
pub fn docker_archive(image: &BuiltImage, tars: &[Vec<u8>]) -> Vec<u8> {
    let config = image.blobs.last().cloned().unwrap_or_default();
    let config_name = format!("{}.json", Digest::of(&config).as_str().trim_start_matches("sha256:"));
    let mut files = Vec::new();
    let mut names = Vec::new();
    for (number, tar) in tars.iter().enumerate() {
        let name = format!("{number:064}/layer.tar");
        files.push((name.clone(), tar.clone()));
        names.push(name);
    }
    files.push((config_name.clone(), config));
    let saved = json!([{"Config": config_name, "RepoTags": ["app:latest"], "Layers": names}]);
    files.push(("manifest.json".to_owned(), saved.to_string().into_bytes()));
    tar(&files)
}

/// What `docker save` writes since version 25: an OCI layout in which `manifest.json` names the same blobs.
pub fn docker_oci_archive(image: &BuiltImage) -> Vec<u8> {
    let mut files = layout(&[("latest", image)]);
    let layers: Vec<_> = image.layers().iter().map(|blob| path_of(blob)).collect();
    let config = image.blobs.last().map(|blob| path_of(blob));
    let saved = json!([{"Config": config, "RepoTags": ["app:latest"], "Layers": layers}]);
    files.push(("manifest.json".to_owned(), saved.to_string().into_bytes()));
    tar(&files)
}

/// Writes files below `folder`.
///
/// # Errors
/// Those of the file system.
pub fn write(folder: &Path, files: &[(String, Vec<u8>)]) -> std::io::Result<()> {
    for (path, content) in files {
        let path = folder.join(path);
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(path, content)?;
    }
    Ok(())
}

/// Where a blob lies in a layout.
fn path_of(blob: &[u8]) -> String {
    format!("blobs/{}", Digest::of(blob).as_str().replacen(':', "/", 1))
}

fn tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    files.iter().fold(Layer::new(), |tar, (path, content)| tar.file(path, content)).tar()
}
