//! The media types of images (OCI image specification, `media-types.md`; docker's image manifest, version 2 schemas 1 and 2).

/// An index of OCI.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// A manifest of OCI.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The configuration of an image of OCI.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// An uncompressed layer of OCI.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// An index of docker.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// A manifest of docker.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// The configuration of an image of docker.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// A manifest in docker's old format, not signed.
pub const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+json";
/// A manifest in docker's old format, signed: what registries send.
pub const SCHEMA_1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// The manifests and indexes that are read. A request names them all: without the full list old registries convert, and answer
/// with another digest.
pub const MANIFESTS: [&str; 4] = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST];
