//! What a package is: its kind, and where it was found.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of a package, by the type that its package URL has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PackageType {
    /// Alpine and its relatives.
    Apk,
    /// Arch Linux.
    Alpm,
    /// Debian and its relatives.
    Deb,
    /// npm.
    Npm,
    /// The Python Package Index.
    Pypi,
}

impl PackageType {
    /// Every type, in the order of reports.
    pub const ALL: &'static [Self] = &[Self::Alpm, Self::Apk, Self::Deb, Self::Npm, Self::Pypi];

    /// The type in a package URL, such as `deb`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alpm => "alpm",
            Self::Apk => "apk",
            Self::Deb => "deb",
            Self::Npm => "npm",
            Self::Pypi => "pypi",
        }
    }

    /// The OSV ecosystem of a language's packages; none for the packages of a distribution, whose ecosystem the
    /// distribution decides.
    pub fn ecosystem(self) -> Option<&'static str> {
        match self {
            Self::Alpm | Self::Apk | Self::Deb => None,
            Self::Npm => Some("npm"),
            Self::Pypi => Some("PyPI"),
        }
    }

    /// Whether packages of this type belong to a distribution.
    pub fn is_os(self) -> bool {
        self.ecosystem().is_none()
    }
}

impl fmt::Display for PackageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A package as a cataloger found it, borrowed until [`Draft::push`](super::inventory::Draft::push) copies it.
#[derive(Clone, Debug)]
pub struct PackageDraft<'a> {
    /// The kind.
    pub kind: PackageType,
    /// The name as its world writes it: `group:artifact` (Maven), `@scope/name` (npm).
    pub name: &'a str,
    /// The version as it was written.
    pub version: &'a str,
    /// The package that it was built from, with that one's version; both may equal the package's own.
    pub source: Option<(&'a str, &'a str)>,
    /// The architecture as the package manager writes it; empty where there is none.
    pub architecture: &'a str,
    /// The licences as they were written.
    pub licenses: &'a [&'a str],
    /// The file that proves it.
    pub path: &'a str,
    /// The layer that brought it, by its index from the base.
    pub layer: u32,
}

impl<'a> PackageDraft<'a> {
    /// A package with what every package has.
    pub fn new(kind: PackageType, name: &'a str, version: &'a str, path: &'a str, layer: u32) -> Self {
        Self { kind, name, version, source: None, architecture: "", licenses: &[], path, layer }
    }
}
