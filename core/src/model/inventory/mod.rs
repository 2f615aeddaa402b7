//! The packages of one image, as spans into one text: small, and quick to store and to match again.

mod draft;

use std::fmt;
use std::num::NonZeroU32;
use std::ops::Range;

use serde::{Deserialize, Serialize};

pub use self::draft::{Draft, Pushed};
use super::distro::Distro;
use super::ecosystem;
use super::package::{Certainty, PackageType};
use super::purl;
use crate::error::{Error, Kind, Result};

/// A text of the arena, by the place where it starts. The default is the empty text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Span(u32);

/// Texts one behind another, each with its length in front: six bits a byte, the lowest first, so that the whole is text.
#[derive(Clone, Serialize, Deserialize)]
struct Text(String);

/// The bit of a length's byte that says that another one follows.
const MORE: u8 = 0x40;

impl Default for Text {
    /// The empty text stands first.
    fn default() -> Self {
        Self("\0".to_owned())
    }
}

impl Text {
    fn push(&mut self, text: &str) -> Result<Span> {
        let full = || Error::new(Kind::LimitExceeded, "the text of the packages is larger than 4 GiB");
        let start = u32::try_from(self.0.len()).map_err(|_| full())?;
        let mut length = u32::try_from(text.len()).map_err(|_| full())?;
        while length >= u32::from(MORE) {
            self.0.push(char::from(length as u8 & (MORE - 1) | MORE));
            length >>= 6;
        }
        self.0.push(char::from(length as u8));
        self.0.push_str(text);
        Ok(Span(start))
    }

    fn at(&self, span: Span) -> &str {
        self.find(span).unwrap_or_default()
    }

    fn find(&self, span: Span) -> Option<&str> {
        let rest = self.0.get(span.0 as usize..)?;
        let (mut length, mut shift) = (0usize, 0);
        for (byte, at) in rest.bytes().zip(1..) {
            length |= usize::from(byte & (MORE - 1)).checked_shl(shift)?;
            if byte & MORE == 0 {
                return rest.get(at..)?.get(..length);
            }
            shift += 6;
        }
        None
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    kind: PackageType,
    certainty: Certainty,
    name: Span,
    version: Span,
    architecture: Span,
    module: Span,
    vendor: Span,
    /// Name and version; both empty where there is none.
    source: (Span, Span),
    licenses: Range<u32>,
    /// Of a draft: the one place that it was pushed at.
    locations: Range<u32>,
    /// The place of the owner in the inventory, from 1.
    owner: Option<NonZeroU32>,
}

impl Row {
    /// What is one row of the inventory has one of these, and they are in this order.
    fn key<'a>(&self, text: &'a Text) -> (PackageType, &'a str, &'a str, &'a str) {
        (self.kind, text.at(self.name), text.at(self.version), text.at(self.architecture))
    }
}

/// The packages of one image, sorted by type, name, version and architecture; one row a package and version.
/// What is read from bytes may have spans that point nowhere: they read as empty.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Inventory {
    distro: Option<Distro>,
    text: Text,
    rows: Vec<Row>,
    licenses: Vec<Span>,
    locations: Vec<(Span, u32)>,
}

impl Inventory {
    /// The distribution, where one is known.
    pub fn distro(&self) -> Option<&Distro> {
        self.distro.as_ref()
    }

    /// How many packages there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The package at `index`.
    pub fn package(&self, index: usize) -> Option<Package<'_>> {
        self.rows.get(index).map(|row| Package { inventory: self, row, index })
    }

    /// All packages, in order.
    pub fn packages(&self) -> impl ExactSizeIterator<Item = Package<'_>> {
        self.rows.iter().enumerate().map(|(index, row)| Package { inventory: self, row, index })
    }

    /// The bytes of memory that it takes.
    pub fn memory(&self) -> usize {
        self.text.0.capacity()
            + self.rows.capacity() * size_of::<Row>()
            + self.licenses.capacity() * size_of::<Span>()
            + self.locations.capacity() * size_of::<(Span, u32)>()
    }
}

impl fmt::Debug for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.packages()).finish()
    }
}

/// One package of an [`Inventory`].
#[derive(Clone, Copy)]
pub struct Package<'a> {
    inventory: &'a Inventory,
    row: &'a Row,
    index: usize,
}

impl<'a> Package<'a> {
    /// Its place in the inventory.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its kind.
    pub fn kind(&self) -> PackageType {
        self.row.kind
    }

    /// Its name as its world writes it.
    pub fn name(&self) -> &'a str {
        self.inventory.text.at(self.row.name)
    }

    /// Its version as it was written.
    pub fn version(&self) -> &'a str {
        self.inventory.text.at(self.row.version)
    }

    /// Its architecture as the package manager writes it; empty where there is none.
    pub fn architecture(&self) -> &'a str {
        self.inventory.text.at(self.row.architecture)
    }

    /// The module that it belongs to, as the package manager writes it (`nodejs:20:...`); empty where there is none.
    pub fn module(&self) -> &'a str {
        self.inventory.text.at(self.row.module)
    }

    /// Who built it, as the package manager writes it; empty where that is not known.
    pub fn vendor(&self) -> &'a str {
        self.inventory.text.at(self.row.vendor)
    }

    /// How sure it is that this is the package.
    pub fn certainty(&self) -> Certainty {
        self.row.certainty
    }

    /// Its OSV ecosystem with the release, such as `Debian:12` or `PyPI`; none where OSV has none.
    pub fn ecosystem(&self) -> Option<&'a str> {
        let kind = self.row.kind;
        if !kind.is_os() {
            return kind.ecosystem();
        }
        let of_distro = self.inventory.distro.as_ref()?.ecosystem.as_deref();
        of_distro.filter(|of_distro| ecosystem::has_kind(of_distro, kind))
    }

    /// The package that it was built from, and that one's version.
    pub fn source(&self) -> Option<(&'a str, &'a str)> {
        let (name, version) = self.row.source;
        let is_any = (name, version) != (Span::default(), Span::default());
        is_any.then(|| (self.inventory.text.at(name), self.inventory.text.at(version)))
    }

    /// Its licences as they were written.
    pub fn licenses(&self) -> impl ExactSizeIterator<Item = &'a str> + use<'a> {
        let inventory = self.inventory;
        inventory
            .licenses
            .get(range(&self.row.licenses))
            .unwrap_or_default()
            .iter()
            .map(|span| inventory.text.at(*span))
    }

    /// Every file that proves it and the layer that brought the package there, sorted.
    pub fn locations(&self) -> impl ExactSizeIterator<Item = Location<'a>> + use<'a> {
        let inventory = self.inventory;
        inventory
            .locations
            .get(range(&self.row.locations))
            .unwrap_or_default()
            .iter()
            .map(|(path, layer)| Location { path: inventory.text.at(*path), layer: *layer })
    }

    /// The package of the distribution whose file proves this one.
    pub fn owner(&self) -> Option<Package<'a>> {
        self.inventory.package(self.row.owner?.get() as usize - 1)
    }

    /// Its package URL.
    pub fn purl(&self) -> String {
        purl::of(self)
    }

    /// The distribution of the image.
    pub fn distro(&self) -> Option<&'a Distro> {
        self.inventory.distro()
    }
}

impl fmt::Debug for Package<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.purl())
    }
}

/// A file that proves a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location<'a> {
    /// The layer that brought the package, by its index from the base: where layers above wrote the file again, the lowest one from
    /// which on it lists the package without a break.
    pub layer: u32,
    /// The path in the image, without a leading slash.
    pub path: &'a str,
}

fn range(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_that_point_nowhere_are_empty() {
        for damaged in ["", "\u{5}abc", "@@@@@@@@@@@@@@@", "\u{1}\u{e9}", "\u{e9}"] {
            let text = Text(damaged.to_owned());
            for start in [0, 1, 2, 20, u32::MAX] {
                assert_eq!(text.at(Span(start)), "", "{damaged:?} at {start}");
            }
        }
    }
}
