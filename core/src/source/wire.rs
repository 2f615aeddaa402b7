//! Manifests, indexes and configurations as they are found in the wild: lenient in what may be missing, strict in what may be
//! understood in two ways. Sources: OCI image specification 1.1, `manifest.md`, `image-index.md`, `config.md`;
//! CVE-2021-41190 for documents that are two things at once.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::RawManifest;
use super::bounded::at_most;
use crate::error::{Error, Kind, Result};
use crate::model::image::Descriptor;
use crate::model::media_type::{
    DOCKER_CONFIG, DOCKER_LIST, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, SCHEMA_1, SCHEMA_1_SIGNED,
};
use crate::model::platform::Platform;

/// The most layers of an image. Docker itself stops at 127.
pub(super) const LAYERS: usize = 1_024;
/// The most manifests of an index: as many as descriptors that say something have room in 4 MiB.
const MANIFESTS: usize = 16_384;
/// The most steps of a history. One that is longer says nothing: there are more steps than layers, but not so many.
const STEPS: usize = 16_384;
/// The most addresses of a foreign layer.
const URLS: usize = 16;

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
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media_type.as_str() {
            OCI_INDEX | DOCKER_LIST => Some(Self::Index),
            OCI_MANIFEST | DOCKER_MANIFEST => Some(Self::Manifest),
            SCHEMA_1 | SCHEMA_1_SIGNED => Some(Self::Schema1),
            _ => None,
        }
    }
}

/// A manifest or an index.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Document {
    schema_version: Option<i64>,
    media_type: Option<String>,
    pub(super) artifact_type: Option<String>,
    pub(super) config: Option<WireDescriptor>,
    #[serde(deserialize_with = "at_most::<{ LAYERS + 1 }, _, _>")]
    pub(super) layers: Option<Vec<WireDescriptor>>,
    #[serde(deserialize_with = "at_most::<{ MANIFESTS + 1 }, _, _>")]
    pub(super) manifests: Option<Vec<WireDescriptor>>,
    fs_layers: Option<IgnoredAny>,
}

impl Document {
    /// Reads a manifest or an index and decides which of them it is: by the media type that it was sent with, by its own, by
    /// its shape. Where these name different kinds the document is refused: whoever verified it may have seen the other one.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] for what is no JSON or two things at once, [`Kind::Unsupported`] for schema 1 and for what is
    /// neither a manifest nor an index, [`Kind::LimitExceeded`] for more layers or manifests than anybody builds.
    pub(super) fn read(raw: &RawManifest) -> Result<(DocumentKind, Self)> {
        let refuse = |kind, message: &'static str, hint: &'static str| {
            Err(Error::new(kind, message).with("digest", &raw.digest).with_hint(hint))
        };
        let wrong_shape = |error: Option<serde_json::Error>| {
            let wrong = Error::new(Kind::Corrupt, "the manifest is not json of the right shape")
                .with("digest", &raw.digest)
                .with_hint("check that the address is that of a registry; else push the image again");
            error.into_iter().fold(wrong, Error::because)
        };
        if is_array(&raw.bytes) {
            return Err(wrong_shape(None));
        }
        let document: Self = serde_json::from_slice(&raw.bytes).map_err(|error| wrong_shape(Some(error)))?;
        let sent = DocumentKind::of_media_type(&raw.media_type);
        let own_type = document.media_type.as_deref().filter(|name| !name.is_empty());
        let own = own_type.and_then(DocumentKind::of_media_type);
        let shape = [
            (document.manifests.is_some(), DocumentKind::Index),
            (document.layers.is_some() || document.config.is_some(), DocumentKind::Manifest),
            (document.fs_layers.is_some() || document.schema_version == Some(1), DocumentKind::Schema1),
        ];
        let mut kinds =
            shape.into_iter().filter_map(|(is_there, kind)| is_there.then_some(kind)).chain(sent).chain(own);
        let Some(kind) = kinds.next() else {
            let shown = own_type.unwrap_or(&raw.media_type).escape_debug();
            return refuse(Kind::Unsupported, "this is not an image", "only OCI and docker images are scanned")
                .map_err(|error| error.with("media_type", shown));
        };
        if kinds.any(|other| other != kind) {
            return refuse(
                Kind::Corrupt,
                "the manifest can be read in two ways",
                "whoever pushed it made it an index and a manifest at once: do not trust it",
            );
        }
        if own_type.is_some() && own.is_none() {
            return refuse(Kind::Unsupported, "this is not an image", "only OCI and docker images are scanned")
                .map_err(|error| error.with("media_type", own_type.unwrap_or_default().escape_debug()));
        }
        if kind == DocumentKind::Schema1 {
            return refuse(
                Kind::Unsupported,
                "the image is in docker's old format, schema 1",
                "pull it with a current docker and push it again, which converts it",
            );
        }
        let hint = "no builder makes such an image: do not trust it";
        if document.layers.as_ref().is_some_and(|layers| layers.len() > LAYERS) {
            return refuse(Kind::LimitExceeded, "the image has more than 1024 layers", hint);
        }
        if document.manifests.as_ref().is_some_and(|manifests| manifests.len() > MANIFESTS) {
            return refuse(Kind::LimitExceeded, "the index has more than 16384 manifests", hint);
        }
        Ok((kind, document))
    }
}

/// Whether a document is an array, which serde would take for the object, field by field; no other reader does.
fn is_array(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first() == Some(&b'[')
}

/// A descriptor in which anything may be missing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct WireDescriptor {
    pub(super) media_type: Option<String>,
    digest: Option<String>,
    size: Option<i64>,
    #[serde(deserialize_with = "at_most::<URLS, _, _>")]
    urls: Option<Vec<String>>,
    platform: Option<WirePlatform>,
    artifact_type: Option<String>,
    annotations: Option<Annotations>,
    data: Option<String>,
}

/// The annotations that say something here; all others are passed over.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Annotations {
    #[serde(rename = "org.opencontainers.image.ref.name")]
    name: Option<String>,
    #[serde(rename = "vnd.docker.reference.type")]
    reference_type: Option<String>,
}

impl WireDescriptor {
    /// The descriptor, its digest checked.
    pub(super) fn read(&self) -> Result<Descriptor> {
        let corrupt = |message: &'static str| {
            Error::new(Kind::Corrupt, message).with_hint("the image was built wrongly: build and push it again")
        };
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
        let marked = self.annotations.as_ref().and_then(|annotations| annotations.reference_type.as_deref());
        marked == Some("attestation-manifest") || self.platform().is_some_and(|platform| platform.is_unknown())
    }

    /// Whether it names something that is no image and says so.
    pub(super) fn is_artifact(&self) -> bool {
        self.artifact_type.as_deref().is_some_and(|name| !name.is_empty())
    }

    /// The name that a layout has for the image.
    pub(super) fn name(&self) -> Option<&str> {
        self.annotations.as_ref()?.name.as_deref()
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
        platform(self.os.as_deref(), self.architecture.as_deref(), self.variant.as_deref())
    }
}

/// A platform, where both of its names are there.
fn platform(os: Option<&str>, architecture: Option<&str>, variant: Option<&str>) -> Option<Platform> {
    let (os, architecture) = (os?, architecture?);
    let is_named = !os.is_empty() && !architecture.is_empty();
    is_named.then(|| Platform::new(os, architecture, variant.unwrap_or_default()))
}

/// An image configuration, as far as it says what the layers are.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    pub(super) created: Option<String>,
    // Those of a platform, written out: flattening would build a map of all the other fields of every configuration.
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
    #[serde(deserialize_with = "at_most::<{ STEPS + 1 }, _, _>")]
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
    #[serde(deserialize_with = "at_most::<{ LAYERS + 1 }, _, _>")]
    diff_ids: Option<Vec<String>>,
}

impl Config {
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let wrong = || {
            Error::new(Kind::Corrupt, "the image configuration is not json of the right shape")
                .with_hint("the image was built wrongly: build and push it again")
        };
        if is_array(bytes) {
            return Err(wrong());
        }
        serde_json::from_slice(bytes).map_err(|error| wrong().because(error))
    }

    pub(super) fn platform(&self) -> Option<Platform> {
        let Self { os, architecture, variant, .. } = self;
        platform(os.as_deref(), architecture.as_deref(), variant.as_deref())
    }

    /// The digests of the layers' tars, the base first.
    pub(super) fn diff_ids(&self) -> &[String] {
        self.rootfs.as_ref().and_then(|rootfs| rootfs.diff_ids.as_deref()).unwrap_or_default()
    }

    /// The command that made each of `layers` layers, taken out: they may be long. A history of another length says nothing about any of them.
    pub(super) fn commands(&mut self, layers: usize) -> Vec<Option<String>> {
        let history = self.history.take().filter(|steps| steps.len() <= STEPS).unwrap_or_default().into_iter();
        let commands: Vec<_> = history
            .filter(|entry| entry.empty_layer != Some(true))
            .map(|entry| entry.created_by.filter(|command| !command.is_empty()))
            .collect();
        if commands.len() == layers { commands } else { vec![None; layers] }
    }
}

/// Whether a configuration of this media type is that of an image. Some old tools wrote none at all.
pub(super) fn is_image_config(media_type: &str) -> bool {
    matches!(media_type, OCI_CONFIG | DOCKER_CONFIG | "" | "application/octet-stream")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA1: &str = SCHEMA_1_SIGNED;

    /// What a document is by the media type that it came with, its own and its shape, or how it is refused.
    #[test]
    #[rustfmt::skip]
    fn a_document_is_one_thing_or_refused() {
        use DocumentKind::{Index, Manifest};
        let cases: &[(&str, &str, &str, Result<DocumentKind, Kind>)] = &[
            // sent with            its own           its shape                        what it is
            (OCI_MANIFEST,          OCI_MANIFEST,     r#""config":{},"layers":[]"#,    Ok(Manifest)),
            (OCI_MANIFEST,          "",               r#""config":{},"layers":[]"#,    Ok(Manifest)),
            ("application/json",    DOCKER_MANIFEST,  r#""config":{},"layers":[]"#,    Ok(Manifest)),
            ("",                    "",               r#""layers":[]"#,                Ok(Manifest)),
            ("",                    "",               r#""config":{}"#,                Ok(Manifest)),
            ("",                    "",               r#""manifests":[]"#,             Ok(Index)),
            (DOCKER_LIST,           "",               r#""manifests":[]"#,             Ok(Index)),
            (OCI_INDEX,             DOCKER_LIST,      r#""manifests":[]"#,             Ok(Index)),
            ("Application/VND.oci.image.index.v1+JSON; charset=utf-8", "", r#""manifests":[]"#, Ok(Index)),
            // One media type of each generation is still one kind: tools mix them.
            (OCI_MANIFEST,          DOCKER_MANIFEST,  r#""config":{},"layers":[]"#,    Ok(Manifest)),
            // Two things at once (CVE-2021-41190).
            (OCI_MANIFEST,          "",               r#""layers":[],"manifests":[]"#, Err(Kind::Corrupt)),
            ("",                    "",               r#""config":{},"manifests":[]"#, Err(Kind::Corrupt)),
            ("",                    "",               r#""fsLayers":[],"layers":[]"#,  Err(Kind::Corrupt)),
            ("",                    "",               r#""schemaVersion":1,"layers":[]"#, Err(Kind::Corrupt)),
            (OCI_MANIFEST,          OCI_INDEX,        r#""manifests":[]"#,             Err(Kind::Corrupt)),
            (OCI_MANIFEST,          "",               r#""manifests":[]"#,             Err(Kind::Corrupt)),
            (OCI_INDEX,             "",               r#""layers":[]"#,                Err(Kind::Corrupt)),
            ("",                    OCI_INDEX,        r#""layers":[]"#,                Err(Kind::Corrupt)),
            (SCHEMA1,               "",               r#""layers":[]"#,                Err(Kind::Corrupt)),
            ("",                    "",               r#""layers":[],"layers":[]"#,    Err(Kind::Corrupt)),
            // No document at all.
            (OCI_MANIFEST,          "",               r#""layers":[}"#,                Err(Kind::Corrupt)),
            (OCI_MANIFEST,          "",               r#""layers":"none""#,            Err(Kind::Corrupt)),
            (OCI_MANIFEST,          "",               "[]",                            Err(Kind::Corrupt)),
            // Schema 1, by any of the three.
            (SCHEMA1,               "",               "",                              Err(Kind::Unsupported)),
            ("",                    SCHEMA_1,         "",                              Err(Kind::Unsupported)),
            ("",                    "",               r#""schemaVersion":1"#,          Err(Kind::Unsupported)),
            ("",                    "",               r#""fsLayers":[]"#,              Err(Kind::Unsupported)),
            // Something else.
            ("",                    "application/x",  "",                              Err(Kind::Unsupported)),
            ("",                    "application/x",  r#""layers":[]"#,                Err(Kind::Unsupported)),
            ("application/x",       "",               "",                              Err(Kind::Unsupported)),
        ];
        for (sent, own, shape, expected) in cases {
            let own = if own.is_empty() { String::new() } else { format!(r#""mediaType":"{own}""#) };
            let comma = if own.is_empty() || shape.is_empty() { "" } else { "," };
            let document = if *shape == "[]" { "[2]".to_owned() } else { format!("{{{own}{comma}{shape}}}") };
            let bytes = document.into_bytes();
            let raw = RawManifest { media_type: (*sent).to_owned(), ..RawManifest::from(bytes) };
            match (Document::read(&raw), expected) {
                (Ok((kind, _)), Ok(expected)) => assert_eq!(kind, *expected, "{sent} {own} {shape}"),
                (Err(error), Err(expected)) => {
                    assert_eq!(error.kind(), *expected, "{sent} {own} {shape}: {error}");
                    assert!(error.hint().is_some(), "{sent} {own} {shape}");
                }
                (found, _) => panic!("{sent} {own} {shape}: {found:?}"),
            }
        }
    }

    /// A document of some megabytes may hold a million elements, each of which would take hundreds of bytes.
    #[test]
    fn what_is_kept_of_a_document_is_bounded() {
        let many = |element: &str| format!("[{element}{}]", format!(",{element}").repeat(50_000));
        for list in ["layers", "manifests"] {
            let raw = RawManifest::from(format!(r#"{{"{list}": {}}}"#, many("{}")).into_bytes());
            assert_eq!(Document::read(&raw).unwrap_err().kind(), Kind::LimitExceeded, "{list}");
            let document: Document = serde_json::from_slice(&raw.bytes).unwrap();
            let kept = document.layers.or(document.manifests).unwrap().len();
            assert!(kept <= MANIFESTS + 1, "{list}: {kept}");
        }
        let config = format!(r#"{{"history": {}, "rootfs": {{"diff_ids": {}}}}}"#, many("{}"), many(r#""""#));
        let mut config = Config::read(config.as_bytes()).unwrap();
        assert_eq!((config.diff_ids().len(), config.history.as_ref().unwrap().len()), (LAYERS + 1, STEPS + 1));
        // What is not whole says nothing of any layer.
        assert_eq!(config.commands(STEPS + 1), vec![None; STEPS + 1]);
        let foreign = format!(r#"{{"urls": {}, "annotations": {{"a": 1}}}}"#, many(r#""http://a""#));
        let foreign: WireDescriptor = serde_json::from_str(&foreign).unwrap();
        assert_eq!(foreign.urls.unwrap().len(), URLS);
    }
}
