//! Images as a source names them: descriptors, manifests, configurations, reduced to what a scan needs.

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::platform::Platform;

/// Content by its digest (OCI image specification, `descriptor.md`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The media type as it was written. What a layer is compressed with is never taken from it.
    pub media_type: String,
    /// The digest.
    pub digest: Digest,
    /// The size in bytes; none where the source does not know it beforehand.
    pub size: Option<u64>,
    /// Where a foreign layer may be fetched from.
    pub urls: Vec<String>,
}

/// One layer, as reports show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// The digest of the blob as it lies in the registry.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// The history command that made it, where the configuration says so.
    pub created_by: Option<String>,
}

/// One image of one platform, resolved: everything that is needed to read its layers.
#[derive(Clone, Debug)]
pub struct Image {
    /// The digest of the manifest.
    pub digest: Digest,
    /// The digest of the index that led to it.
    pub index: Option<Digest>,
    /// The platform.
    pub platform: Platform,
    /// The build date from the configuration, as it was written there (RFC 3339).
    pub created: Option<String>,
    /// The layers, the base first, with the command that made each.
    pub layers: Vec<(Descriptor, Option<String>)>,
    /// The configuration, verified.
    pub config: Vec<u8>,
}
