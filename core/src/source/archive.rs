//! A tar of an OCI image layout, plain or packed in gzip or zstd.

use std::path::Path;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::layout::blob_name;
use super::tar::{Archive, Entry, off};
use super::{BlobStream, ImageSource, RawManifest, root};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::image::Descriptor;
use crate::model::limits::Limits;

/// An image in a tar of an OCI layout.
#[derive(Debug)]
pub struct OciArchive {
    archive: Arc<Archive>,
    reference: String,
    limit: u64,
}

impl OciArchive {
    /// Reads the table of contents of the file; for a packed one that is a pass over all of it.
    ///
    /// # Errors
    /// [`Kind::NotFound`] without the file or its `index.json`, [`Kind::Corrupt`] for what is not a tar.
    pub async fn open(path: &Path, limits: &Limits, context: &Context) -> Result<Self> {
        let reference = format!("oci-archive:{}", path.display());
        let (path, held, waiting) = (path.to_owned(), limits.clone(), context.clone());
        let archive = off(move || Archive::open(&path, &held, &waiting)).await?;
        archive.find("index.json").map_err(|error| {
            error.with("archive", &reference).with_hint("what docker save writes is named with docker-archive:")
        })?;
        Ok(Self { archive: Arc::new(archive), reference, limit: limits.manifest })
    }

    fn entry(&self, digest: &Digest) -> Result<Entry> {
        self.archive.find(&blob_name(digest)).map_err(|error| error.with("digest", digest))
    }

    /// A document, off the runtime.
    async fn document(&self, entry: Entry, context: &Context) -> Result<Vec<u8>> {
        let (archive, limit, context) = (self.archive.clone(), self.limit, context.clone());
        off(move || archive.whole(&entry, limit, &context)).await
    }
}

impl ImageSource for OciArchive {
    fn reference(&self) -> String {
        self.reference.clone()
    }

    fn root<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Result<RawManifest>> {
        Box::pin(async move {
            let index = self.document(self.archive.find("index.json")?, context).await?;
            let (archive, limit, context) = (self.archive.clone(), self.limit, context.clone());
            let read = move |digest: &Digest| archive.whole(&archive.find(&blob_name(digest))?, limit, &context);
            off(move || root::of_layout(index, None, read)).await
        })
    }

    fn manifest<'a>(&'a self, descriptor: &'a Descriptor, context: &'a Context) -> BoxFuture<'a, Result<RawManifest>> {
        Box::pin(async move {
            let bytes = self.document(self.entry(&descriptor.digest)?, context).await?;
            root::verified(descriptor, bytes)
        })
    }

    fn blob<'a>(&'a self, descriptor: &'a Descriptor, context: &'a Context) -> BoxFuture<'a, Result<BlobStream>> {
        Box::pin(async move { self.archive.stream(self.entry(&descriptor.digest)?, context).await })
    }

    fn has_blob<'a>(&'a self, descriptor: &'a Descriptor, _: &'a Context) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move { is_there(self.entry(&descriptor.digest)) })
    }
}

/// Whether something was found.
pub(super) fn is_there<T>(found: Result<T, Error>) -> Result<bool> {
    match found {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == Kind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
