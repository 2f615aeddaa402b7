//! Which document of an OCI layout is the root: the one that its `index.json` names, or the index itself.

use std::collections::BTreeSet;

use super::RawManifest;
use super::wire::{Document, WireDescriptor};
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::image::Descriptor;

/// The root of a layout. `read` reads a blob that is a document.
pub(super) fn of_layout(
    index: Vec<u8>,
    name: Option<&str>,
    read: impl FnOnce(&Digest) -> Result<Vec<u8>>,
) -> Result<RawManifest> {
    let raw = RawManifest::from(index);
    let (_, document) = Document::read(&raw)?;
    let manifests = document.manifests.unwrap_or_default();
    let chosen: &WireDescriptor = match (name, manifests.as_slice()) {
        (Some(name), list) => {
            let mut named = list.iter().filter(|wire| wire.name() == Some(name));
            match (named.next(), named.next()) {
                (Some(only), None) => only,
                (Some(_), Some(_)) => {
                    return Err(
                        Error::new(Kind::Corrupt, "the layout has several images of this name").with("name", name)
                    );
                }
                (None, _) => {
                    let known: Vec<_> = list.iter().filter_map(|wire| wire.name()).take(20).collect();
                    return Err(Error::new(Kind::NotFound, "the layout has no image of this name")
                        .with("name", name)
                        .with_hint(format!("it has: {}", known.join(", ").escape_debug())));
                }
            }
        }
        (None, []) => return Err(Error::new(Kind::NotFound, "the layout holds no image: its index is empty")),
        (None, [only]) => only,
        (None, _) => return Ok(raw),
    };
    let descriptor = chosen.read()?;
    let bytes = match chosen.embedded(&descriptor) {
        Some(bytes) => bytes,
        None => read(&descriptor.digest)?,
    };
    verified(&descriptor, bytes)
}

/// Refuses an index that holds images of several names, as only that of a layout can: whoever means one of them has to name it.
pub(super) fn of_one_image(index: &Document) -> Result<()> {
    let wires = index.manifests.as_deref().unwrap_or_default();
    let names: BTreeSet<_> = wires.iter().filter_map(|wire| wire.name()).collect();
    if names.len() < 2 {
        return Ok(());
    }
    let names: Vec<_> = names.into_iter().take(20).collect();
    Err(Error::new(Kind::InvalidInput, "the layout has several images").with_hint(format!(
        "name one of them behind the folder (oci:FOLDER:NAME), or ask for all platforms; it has: {}",
        names.join(", ").escape_debug()
    )))
}

/// A document that a descriptor names, if it is the one.
pub(super) fn verified(descriptor: &Descriptor, bytes: Vec<u8>) -> Result<RawManifest> {
    if !descriptor.digest.matches(&bytes) {
        return Err(not_its_digest(descriptor));
    }
    let (media_type, digest) = (descriptor.media_type.clone(), descriptor.digest.clone());
    Ok(RawManifest { media_type, digest, bytes: bytes.into() })
}

pub(super) fn not_its_digest(descriptor: &Descriptor) -> Error {
    Error::new(Kind::Corrupt, "a document of the image is not what its digest says")
        .with("digest", &descriptor.digest)
        .with_hint("whoever keeps the image, or something in between, damaged it; push or save it again")
}
