//! Platforms: `os/architecture[/variant]`, in Go's names, normalised as containerd does.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

/// An operating system, an architecture and, where one is needed, a variant.
///
/// ```
/// use tidewaiter::model::platform::Platform;
/// assert_eq!("linux/x86_64".parse::<Platform>()?.to_string(), "linux/amd64");
/// assert_eq!("linux/arm64/v8".parse::<Platform>()?.to_string(), "linux/arm64");
/// assert_eq!("linux/arm".parse::<Platform>()?.to_string(), "linux/arm/v7");
/// # Ok::<(), tidewaiter::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Platform {
    /// The operating system, such as `linux`.
    pub os: String,
    /// The architecture, such as `amd64`.
    pub architecture: String,
    /// The variant, such as `v7`; empty where the architecture says enough.
    pub variant: String,
}

impl Platform {
    /// The normalised platform: `x86_64` is `amd64`, `aarch64` is `arm64`, `arm` alone is `arm/v7`.
    pub fn new(os: &str, architecture: &str, variant: &str) -> Self {
        let os = os.to_ascii_lowercase();
        let os = if os == "macos" { "darwin".to_owned() } else { os };
        let architecture = architecture.to_ascii_lowercase();
        let variant = variant.to_ascii_lowercase();
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("x86_64" | "x86-64" | "amd64", "v1") | ("x86_64" | "x86-64", "") => ("amd64", ""),
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("aarch64" | "arm64", "8" | "v8" | "v8.0" | "") => ("arm64", ""),
            ("aarch64", variant) => ("arm64", variant),
            ("i386", _) => ("386", ""),
            ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "8") => ("arm", "v8"),
            (architecture, variant) => (architecture, variant),
        };
        Self { os, architecture: architecture.to_owned(), variant: variant.to_owned() }
    }

    /// The platform that images run on here: `linux` and this machine's architecture.
    pub fn host() -> Self {
        Self::new("linux", in_go(std::env::consts::ARCH, cfg!(target_endian = "little")), "")
    }

    /// Whether an image of `other` is what was asked for with `self`. A variant that was not asked for is not looked at.
    pub fn accepts(&self, other: &Self) -> bool {
        self.os == other.os
            && self.architecture == other.architecture
            && (self.variant.is_empty() || self.variant == other.variant)
    }

    /// Whether it is the `unknown/unknown` of attestation manifests.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.architecture == "unknown"
    }
}

/// What Go calls an architecture of Rust's.
fn in_go(architecture: &str, is_little_endian: bool) -> &str {
    match architecture {
        "x86" => "386",
        "loongarch64" => "loong64",
        "powerpc64" if is_little_endian => "ppc64le",
        "powerpc64" => "ppc64",
        other => other,
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

impl From<Platform> for String {
    fn from(platform: Platform) -> Self {
        platform.to_string()
    }
}

impl TryFrom<String> for Platform {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<_> = text.split('/').collect();
        match parts.as_slice() {
            [os, architecture] if !os.is_empty() && !architecture.is_empty() => Ok(Self::new(os, architecture, "")),
            [os, architecture, variant] if ![os, architecture, variant].iter().any(|part| part.is_empty()) => {
                Ok(Self::new(os, architecture, variant))
            }
            _ => Err(Error::new(Kind::InvalidInput, "a platform is os/architecture or os/architecture/variant")
                .with("platform", text.escape_debug())
                .with_hint("for example linux/amd64 or linux/arm/v7")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_named_as_images_name_it() {
        for (rust, is_little_endian, expected) in [
            ("x86_64", true, "linux/amd64"),
            ("x86", true, "linux/386"),
            ("aarch64", true, "linux/arm64"),
            ("powerpc64", true, "linux/ppc64le"),
            ("powerpc64", false, "linux/ppc64"),
            ("loongarch64", true, "linux/loong64"),
            ("s390x", false, "linux/s390x"),
            ("riscv64", true, "linux/riscv64"),
        ] {
            assert_eq!(Platform::new("linux", in_go(rust, is_little_endian), "").to_string(), expected);
        }
    }
}
