//! The distribution of an image, from its `os-release` (freedesktop.org `os-release(5)`).

use serde::{Deserialize, Serialize};

/// The distribution that an image is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Distro {
    /// `ID`, such as `debian`.
    pub id: String,
    /// `VERSION_ID`, such as `12`; empty where there is none, as in Debian's testing.
    pub version: String,
    /// `PRETTY_NAME`, or `NAME`.
    pub name: String,
    /// The OSV ecosystem of its packages with the release, such as `Debian:12`; none where OSV has none.
    pub ecosystem: Option<String>,
}
