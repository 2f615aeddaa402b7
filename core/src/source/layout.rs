//! A folder in the OCI image layout (OCI image specification, `image-layout.md`).

use std::fs::File;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::read::{Section, stream, whole};
use super::root;
use super::{BlobStream, ImageSource, RawManifest};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::image::Descriptor;
use crate::model::limits::Limits;

/// An image in a folder. Nothing outside of the folder is read: blobs are found by their digest alone, and a link that
/// leads out is refused.
#[derive(Debug)]
pub struct OciLayout {
    folder: PathBuf,
    name: Option<String>,
    reference: String,
    limit: u64,
}

impl OciLayout {
    /// Opens a folder. Where there is no such folder, what follows the last colon is the name of an image in it
    /// (`org.opencontainers.image.ref.name`).
    ///
    /// # Errors
    /// [`Kind::NotFound`] without the folder or its `index.json`.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self> {
        let reference = format!("oci:{}", path.display());
        let (path, name) = match path.to_str().and_then(|text| text.rsplit_once(':')) {
            Some((folder, name)) if !path.exists() && !name.contains('/') => (Path::new(folder), Some(name.to_owned())),
            _ => (path, None),
        };
        let folder = path.canonicalize().map_err(|error| Error::from(error).with("path", path.display()))?;
        let layout = Self { folder, name, reference, limit: limits.manifest };
        layout.file("index.json").map_err(|error| {
            error.with_hint("a folder in the oci layout has a file index.json; an archive is named with oci-archive:")
        })?;
        Ok(layout)
    }

    /// A file of the folder, for reading.
    fn file(&self, name: &str) -> Result<Section> {
        let named = |error: Error| error.with("path", self.folder.join(name).display());
        let path = self.folder.join(name).canonicalize().map_err(|error| named(error.into()))?;
        if !path.starts_with(&self.folder) {
            return Err(named(Error::new(Kind::Corrupt, "a link leads out of the layout")));
        }
        let metadata = path.metadata().map_err(|error| named(error.into()))?;
        if !metadata.is_file() {
            return Err(named(Error::new(Kind::Corrupt, "this is not a file")));
        }
        let file = File::open(&path).map_err(|error| named(error.into()))?;
        Ok(Section::new(file.into(), 0, metadata.len()))
    }

    fn blob_file(&self, digest: &Digest) -> Result<Section> {
        self.file(&blob_name(digest)).map_err(|error| error.with("digest", digest))
    }
}

/// Where a blob lies in a layout: made of a validated digest, so it never leaves the folder.
pub(super) fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}", digest.as_str().replacen(':', "/", 1))
}

impl ImageSource for OciLayout {
    fn reference(&self) -> String {
        self.reference.clone()
    }

    fn root<'a>(&'a self, _: &'a Context) -> BoxFuture<'a, Result<RawManifest>> {
        Box::pin(async move {
            let index = whole(self.file("index.json")?, self.limit)?;
            root::of_layout(index, self.name.as_deref(), |digest| whole(self.blob_file(digest)?, self.limit))
        })
    }

    fn manifest<'a>(&'a self, descriptor: &'a Descriptor, _: &'a Context) -> BoxFuture<'a, Result<RawManifest>> {
        Box::pin(async move { root::verified(descriptor, whole(self.blob_file(&descriptor.digest)?, self.limit)?) })
    }

    fn blob<'a>(&'a self, descriptor: &'a Descriptor, _: &'a Context) -> BoxFuture<'a, Result<BlobStream>> {
        Box::pin(async move { Ok(stream(self.blob_file(&descriptor.digest)?)) })
    }

    fn has_blob<'a>(&'a self, descriptor: &'a Descriptor, _: &'a Context) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            match self.blob_file(&descriptor.digest) {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == Kind::NotFound => Ok(false),
                Err(error) => Err(error),
            }
        })
    }
}

impl From<Vec<u8>> for RawManifest {
    /// A document whose media type is told by itself.
    fn from(bytes: Vec<u8>) -> Self {
        Self { media_type: String::new(), digest: Digest::of(&bytes), bytes: Bytes::from(bytes) }
    }
}
