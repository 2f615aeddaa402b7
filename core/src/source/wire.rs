//! Manifests, indexes and configurations as they are found in the wild: lenient in what may be missing, strict in what may be
//! understood in two ways. Sources: OCI image specification 1.1, `manifest.md`, `image-index.md`, `config.md`;
//! CVE-2021-41190 for documents that are two things at once.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::RawManifest;
use crate::error::{Error, Kind, Result};
use crate::model::image::Descriptor;
use crate::model::platform::Platform;

pub(super) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(super) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const SCHEMA_1: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DocumentKind {
    Index,
    Manifest,
    Schema1,
}

impl DocumentKind {
    /// By media type; none where that says nothing.
    pub(super) fn of_media_type(media_type: &str) -> Option<Self> {
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        match media_type {
            OCI_INDEX | DOCKER_LIST => Some(Self::Index),
            OCI_MANIFEST | DOCKER_MANIFEST => Some(Self::Manifest),
            other if SCHEMA_1.contains(&other) => Some(Self::Schema1),
            _ => None,
        }
    }
}

/// A manifest or an index.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Document {
    media_type: Option<String>,
    pub(super) artifact_type: Option<String>,
    pub(super) config: Option<WireDescriptor>,
    pub(super) layers: Option<Vec<WireDescriptor>>,
    pub(super) manifests: Option<Vec<WireDescriptor>>,
    fs_layers: Option<IgnoredAny>,
}

impl Document {
    /// Reads a document and decides what it is: by the media type that it was sent with, by its own, by its shape.
    pub(super) fn read(raw: &RawManifest) -> Result<(DocumentKind, Self)> {
        let wrong = |message: &'static str| Error::new(Kind::Corrupt, message).with("digest", &raw.digest);
        let document: Self = serde_json::from_slice(&raw.bytes)
            .map_err(|error| wrong("the manifest is not valid json").because(error))?;
        let is_index = document.manifests.is_some();
        let is_manifest = document.layers.is_some() || document.config.is_some();
        if usize::from(is_index) + usize::from(is_manifest) + usize::from(document.fs_layers.is_some()) > 1 {
            return Err(wrong("the manifest can be understood in two ways and is refused"));
        }
        let sent = DocumentKind::of_media_type(&raw.media_type);
        let own = document.media_type.as_deref().and_then(DocumentKind::of_media_type);
        if let (Some(sent), Some(own)) = (sent, own)
            && sent != own
        {
            return Err(wrong("the manifest was sent as something else than it says it is"));
        }
        let shape = match (is_index, is_manifest, document.fs_layers.is_some()) {
            (true, ..) => Some(DocumentKind::Index),
            (_, true, _) => Some(DocumentKind::Manifest),
            (.., true) => Some(DocumentKind::Schema1),
            _ => None,
        };
        let kind = sent.or(own).or(shape).ok_or_else(|| wrong("this is neither a manifest nor an index"))?;
        if shape.is_some_and(|shape| shape != kind) {
            return Err(wrong("the manifest does not hold what its media type says"));
        }
        Ok((kind, document))
    }
}

/// A descriptor in which anything may be missing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct WireDescriptor {
    pub(super) media_type: Option<String>,
    digest: Option<String>,
    size: Option<i64>,
    urls: Option<Vec<String>>,
    platform: Option<WirePlatform>,
    pub(super) artifact_type: Option<String>,
    annotations: Option<BTreeMap<String, Option<String>>>,
    data: Option<String>,
}

impl WireDescriptor {
    /// The descriptor, its digest checked.
    pub(super) fn read(&self) -> Result<Descriptor> {
        let corrupt = |message: &'static str| Error::new(Kind::Corrupt, message);
        let digest = self.digest.as_deref().ok_or_else(|| corrupt("a descriptor has no digest"))?;
        let digest = digest.parse().map_err(|error: Error| {
            corrupt("a descriptor has a digest that cannot be verified")
                .with("digest", digest.escape_debug())
                .because(error)
        })?;
        let size = match self.size {
            Some(size) => Some(u64::try_from(size).map_err(|_| corrupt("a descriptor has a negative size"))?),
            None => None,
        };
        let media_type = self.media_type.clone().unwrap_or_default();
        Ok(Descriptor { media_type, digest, size, urls: self.urls.clone().unwrap_or_default() })
    }

    /// The platform, where one is named at all.
    pub(super) fn platform(&self) -> Option<Platform> {
        self.platform.as_ref().and_then(WirePlatform::read)
    }

    /// Whether it names what BuildKit writes beside an image: an attestation.
    pub(super) fn is_attestation(&self) -> bool {
        let marked = self.annotations.as_ref().and_then(|annotations| annotations.get("vnd.docker.reference.type"));
        marked.and_then(Option::as_deref) == Some("attestation-manifest")
            || self.platform().is_some_and(|platform| platform.is_unknown())
    }

    /// An annotation.
    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key)?.as_deref()
    }

    /// The content that is embedded (`descriptor.md`, `data`), where it is what the digest says.
    pub(super) fn embedded(&self, descriptor: &Descriptor) -> Option<Vec<u8>> {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::STANDARD.decode(self.data.as_deref()?).ok()?;
        let is_size = descriptor.size.is_none_or(|size| size == bytes.len() as u64);
        (is_size && descriptor.digest.matches(&bytes)).then_some(bytes)
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct WirePlatform {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
}

impl WirePlatform {
    fn read(&self) -> Option<Platform> {
        let (os, architecture) = (self.os.as_deref()?, self.architecture.as_deref()?);
        let is_named = !os.is_empty() && !architecture.is_empty();
        is_named.then(|| Platform::new(os, architecture, self.variant.as_deref().unwrap_or_default()))
    }
}

/// An image configuration, as far as it says what the layers are.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    pub(super) created: Option<String>,
    #[serde(flatten)]
    platform: WirePlatform,
    history: Option<Vec<History>>,
    rootfs: Option<RootFs>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct History {
    created_by: Option<String>,
    empty_layer: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RootFs {
    diff_ids: Option<Vec<String>>,
}

impl Config {
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes)
            .map_err(|error| Error::new(Kind::Corrupt, "the image configuration is not valid json").because(error))
    }

    pub(super) fn platform(&self) -> Option<Platform> {
        self.platform.read()
    }

    /// The digests of the layers' tars, the base first.
    pub(super) fn diff_ids(&self) -> &[String] {
        self.rootfs.as_ref().and_then(|rootfs| rootfs.diff_ids.as_deref()).unwrap_or_default()
    }

    /// The command that made each of `layers` layers. A history of another length says nothing about any of them.
    pub(super) fn commands(&self, layers: usize) -> Vec<Option<String>> {
        let history = self.history.as_deref().unwrap_or_default().iter();
        let commands: Vec<_> = history
            .filter(|entry| entry.empty_layer != Some(true))
            .map(|entry| entry.created_by.clone().filter(|command| !command.is_empty()))
            .collect();
        if commands.len() == layers { commands } else { vec![None; layers] }
    }
}

/// Whether a configuration of this media type is that of an image. Some old tools wrote none at all.
pub(super) fn is_image_config(media_type: &str) -> bool {
    matches!(media_type, OCI_CONFIG | DOCKER_CONFIG | "" | "application/octet-stream")
}
