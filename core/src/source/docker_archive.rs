//! What `docker save` writes: `manifest.json`, a configuration and layers, under names of two generations of Docker.
//! Source: the Docker image specification 1.2, "Combined Image JSON + Filesystem Changeset Format".

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;

use super::archive::is_there;
use super::bounded::at_most;
use super::tar::{Archive, Entry, off};
use super::wire::{Config, LAYERS};
use super::{BlobStream, ImageSource, RawManifest};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::layer::decompress::Compression;
use crate::model::digest::{Algorithm, Digest, Hasher};
use crate::model::image::Descriptor;
use crate::model::limits::Limits;
use crate::model::media_type::{OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};

/// `manifest.json`: one image, and whether there is another one.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct List {
    #[serde(deserialize_with = "at_most::<2, _, _>")]
    images: Option<Vec<Saved>>,
}

/// One image of `manifest.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Saved {
    config: Option<String>,
    #[serde(deserialize_with = "at_most::<{ LAYERS + 1 }, _, _>")]
    layers: Option<Vec<String>>,
}

/// An image as `docker save` writes it. It has no manifest: one is made of what there is, and goes by the digest of the
/// configuration.
#[derive(Debug)]
pub struct DockerArchive {
    archive: Arc<Archive>,
    reference: String,
    root: RawManifest,
    blobs: HashMap<Digest, Entry>,
}

impl DockerArchive {
    /// Reads the table of contents, `manifest.json` and the configuration. A layer that is a plain tar goes by the digest
    /// that the configuration has for it, to be verified when it is read; a packed one is read once for its digest.
    ///
    /// # Errors
    /// [`Kind::NotFound`] without the file or something that `manifest.json` names, [`Kind::Corrupt`] for what is not such
    /// an archive, [`Kind::Unsupported`] for several images in one.
    pub async fn open(path: &Path, limits: &Limits, context: &Context) -> Result<Self> {
        let reference = format!("docker-archive:{}", path.display());
        let (path, held, waiting, name) = (path.to_owned(), limits.clone(), context.clone(), reference.clone());
        off(move || {
            let archive = Archive::open(&path, &held, &waiting)?;
            Self::read(archive, name, &held, &waiting)
        })
        .await
        .map_err(|error| error.with("archive", reference))
    }

    fn read(archive: Archive, reference: String, limits: &Limits, context: &Context) -> Result<Self> {
        let corrupt = |message: &'static str| {
            Error::new(Kind::Corrupt, message).with_hint("save the image again: docker save IMAGE -o FILE")
        };
        let list = archive
            .find("manifest.json")
            .map_err(|error| error.with_hint("a tar of an oci layout is named with oci-archive:"))?;
        let list: List = serde_json::from_slice(&archive.whole(&list, limits.manifest, context)?)
            .map_err(|error| corrupt("manifest.json is not what docker save writes").because(error))?;
        let saved = match list.images.as_deref().unwrap_or_default() {
            [saved] => saved,
            [] => return Err(Error::new(Kind::NotFound, "the archive holds no image")),
            _ => {
                return Err(Error::new(Kind::Unsupported, "the archive holds several images")
                    .with_hint("save each image into a file of its own"));
            }
        };
        let config = saved.config.as_deref().ok_or_else(|| corrupt("manifest.json names no configuration"))?;
        let config_entry = archive.find(config)?;
        let config = archive.whole(&config_entry, limits.config, context)?;
        let digest = Digest::of(&config);
        let parsed = Config::read(&config)?;
        let names = saved.layers.as_deref().unwrap_or_default();
        if names.len() != parsed.diff_ids().len() {
            return Err(corrupt("manifest.json and the configuration do not have the same number of layers"));
        }
        let mut blobs = HashMap::from([(digest.clone(), config_entry)]);
        let mut layers = Vec::new();
        for (name, diff_id) in names.iter().zip(parsed.diff_ids()) {
            let entry = archive.find(name)?;
            let layer = match entry.compression {
                Compression::Plain => diff_id
                    .parse()
                    .map_err(|error: Error| corrupt("a layer has no digest that can be verified").because(error))?,
                _ => hash(archive.reader(&entry, context)?, context)?,
            };
            layers.push(json!({ "mediaType": OCI_LAYER, "digest": layer, "size": entry.size }));
            blobs.insert(layer, entry);
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": { "mediaType": OCI_CONFIG, "digest": digest, "size": config.len() },
            "layers": layers,
        });
        let bytes = Bytes::from(manifest.to_string());
        let root = RawManifest { media_type: OCI_MANIFEST.to_owned(), digest, bytes };
        Ok(Self { archive: Arc::new(archive), reference, root, blobs })
    }

    fn entry(&self, digest: &Digest) -> Result<Entry> {
        let missing = || Error::new(Kind::NotFound, "the archive has no such blob").with("digest", digest);
        self.blobs.get(digest).cloned().ok_or_else(missing)
    }
}

/// The digest of the bytes as they lie there.
fn hash(mut input: impl Read, context: &Context) -> Result<Digest> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut piece = vec![0; 64 << 10];
    loop {
        context.check()?;
        match input.read(&mut piece)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(piece.get(..read).unwrap_or_default()),
        }
    }
}

impl ImageSource for DockerArchive {
    fn reference(&self) -> String {
        self.reference.clone()
    }

    fn root<'a>(&'a self, _: &'a Context) -> BoxFuture<'a, Result<RawManifest>> {
        Box::pin(async move { Ok(self.root.clone()) })
    }

    fn manifest<'a>(&'a self, descriptor: &'a Descriptor, _: &'a Context) -> BoxFuture<'a, Result<RawManifest>> {
        Box::pin(async move {
            Err(Error::new(Kind::NotFound, "the archive has no index").with("digest", &descriptor.digest))
        })
    }

    fn blob<'a>(&'a self, descriptor: &'a Descriptor, context: &'a Context) -> BoxFuture<'a, Result<BlobStream>> {
        Box::pin(async move { self.archive.stream(self.entry(&descriptor.digest)?, context).await })
    }

    fn has_blob<'a>(&'a self, descriptor: &'a Descriptor, _: &'a Context) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move { is_there(self.entry(&descriptor.digest)) })
    }
}
