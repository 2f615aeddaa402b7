//! What a package is: its kind, and where it was found.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of a package, by the type that its package URL has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PackageType {
    /// Arch Linux.
    Alpm,
    /// Alpine and its relatives.
    Apk,
    /// Rust.
    Cargo,
    /// PHP, from Composer.
    Composer,
    /// Conda, for Python and others.
    Conda,
    /// Perl.
    Cpan,
    /// R.
    Cran,
    /// Debian and its relatives, and opkg.
    Deb,
    /// Ruby.
    Gem,
    /// Go.
    Golang,
    /// Elixir and Erlang.
    Hex,
    /// Lua, from LuaRocks.
    Luarocks,
    /// Java and its relatives.
    Maven,
    /// npm.
    Npm,
    /// .NET.
    Nuget,
    /// Dart.
    Pub,
    /// The Python Package Index.
    Pypi,
    /// Red Hat, SUSE and their relatives.
    Rpm,
    /// Swift.
    Swift,
}

impl PackageType {
    /// Every type, in the order of reports.
    pub const ALL: &'static [Self] = &[
        Self::Alpm,
        Self::Apk,
        Self::Cargo,
        Self::Composer,
        Self::Conda,
        Self::Cpan,
        Self::Cran,
        Self::Deb,
        Self::Gem,
        Self::Golang,
        Self::Hex,
        Self::Luarocks,
        Self::Maven,
        Self::Npm,
        Self::Nuget,
        Self::Pub,
        Self::Pypi,
        Self::Rpm,
        Self::Swift,
    ];

    /// The type in a package URL, such as `deb`, and the OSV ecosystem of a language's packages (ossf/osv-schema,
    /// `ecosystems.json`), where OSV has one.
    fn names(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Alpm => ("alpm", None),
            Self::Apk => ("apk", None),
            Self::Cargo => ("cargo", Some("crates.io")),
            Self::Composer => ("composer", Some("Packagist")),
            Self::Conda => ("conda", None),
            Self::Cpan => ("cpan", None),
            Self::Cran => ("cran", Some("CRAN")),
            Self::Deb => ("deb", None),
            Self::Gem => ("gem", Some("RubyGems")),
            Self::Golang => ("golang", Some("Go")),
            Self::Hex => ("hex", Some("Hex")),
            Self::Luarocks => ("luarocks", None),
            Self::Maven => ("maven", Some("Maven")),
            Self::Npm => ("npm", Some("npm")),
            Self::Nuget => ("nuget", Some("NuGet")),
            Self::Pub => ("pub", Some("Pub")),
            Self::Pypi => ("pypi", Some("PyPI")),
            Self::Rpm => ("rpm", None),
            Self::Swift => ("swift", Some("SwiftURL")),
        }
    }

    /// The type in a package URL, such as `deb`.
    pub fn as_str(self) -> &'static str {
        self.names().0
    }

    /// The OSV ecosystem of a language's packages. None where OSV has none, and for the packages of a distribution, whose
    /// ecosystem the distribution decides.
    pub fn ecosystem(self) -> Option<&'static str> {
        self.names().1
    }

    /// Whether packages of this type belong to a distribution.
    pub fn is_os(self) -> bool {
        matches!(self, Self::Alpm | Self::Apk | Self::Deb | Self::Rpm)
    }
}

/// How sure it is that a package is what its row says, the surest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Certainty {
    /// Its metadata name it.
    #[default]
    Stated,
    /// Put together from metadata that were written for another purpose, such as the manifest of a jar.
    Derived,
    /// Read from the name of the file.
    Guessed,
}

impl Certainty {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stated => "stated",
            Self::Derived => "derived",
            Self::Guessed => "guessed",
        }
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
    /// The module that it belongs to, as the package manager writes it (`nodejs:20:...`); empty where there is none.
    pub module: &'a str,
    /// Who built it, as the package manager writes it; empty where that is not known.
    pub vendor: &'a str,
    /// The licences as they were written.
    pub licenses: &'a [&'a str],
    /// How sure it is.
    pub certainty: Certainty,
    /// The file that proves it. Of a file in an archive: the path of the archive, `!/`, and the path in it.
    pub path: &'a str,
    /// The layer that brought it, by its index from the base.
    pub layer: u32,
}

impl<'a> PackageDraft<'a> {
    /// A package with what every package has.
    pub fn new(kind: PackageType, name: &'a str, version: &'a str, path: &'a str, layer: u32) -> Self {
        Self {
            kind,
            name,
            version,
            source: None,
            architecture: "",
            module: "",
            vendor: "",
            licenses: &[],
            certainty: Certainty::Stated,
            path,
            layer,
        }
    }
}
