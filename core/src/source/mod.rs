//! Where an image comes from: manifests and blobs, whoever keeps them.

pub mod archive;
mod bounded;
pub mod describe;
pub mod docker_archive;
pub mod image;
pub mod layout;
mod read;
#[cfg(feature = "net")]
pub mod remote;
mod root;
mod tar;
pub mod target;
mod wire;

use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;

use crate::context::Context;
use crate::error::Result;
use crate::model::digest::Digest;
use crate::model::image::Descriptor;

pub use archive::OciArchive;
pub use describe::{Description, describe};
pub use docker_archive::DockerArchive;
pub use image::{LayerKind, Look, Platforms, Resolved, resolve};
pub use layout::OciLayout;
pub use target::Target;

/// A manifest or an index as it was sent, verified against the digest it was asked for by.
#[derive(Clone, Debug)]
pub struct RawManifest {
    /// The media type: of the `Content-Type`, else of the document, else by its shape.
    pub media_type: String,
    /// The digest of the bytes.
    pub digest: Digest,
    /// The bytes as they were sent.
    pub bytes: Bytes,
}

/// The bytes of a blob as they arrive; not verified, at most 1 MiB at once.
pub type BlobStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// Manifests and blobs of one image. What a blob holds is not understood here.
pub trait ImageSource: Send + Sync {
    /// The reference of the image, as reports show it.
    fn reference(&self) -> String;

    /// The manifest or the index that the reference names.
    fn root<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Result<RawManifest>>;

    /// A manifest that an index names.
    fn manifest<'a>(&'a self, descriptor: &'a Descriptor, context: &'a Context) -> BoxFuture<'a, Result<RawManifest>>;

    /// The bytes of a blob. A source that can resume a broken transfer does so inside; the caller verifies the digest.
    fn blob<'a>(&'a self, descriptor: &'a Descriptor, context: &'a Context) -> BoxFuture<'a, Result<BlobStream>>;

    /// Whether the blob is there for this reader: asked before a stored result of it is used. The addresses that a manifest names for a
    /// foreign layer do not count, since whoever pushed it chose them.
    fn has_blob<'a>(&'a self, descriptor: &'a Descriptor, context: &'a Context) -> BoxFuture<'a, Result<bool>>;
}
