//! The packages of one image, as spans into one text: small, and quick to store and to match again.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::distro::Distro;
use super::package::{Certainty, PackageDraft, PackageType};
use super::purl;
use crate::error::{Error, Kind, Result};

/// A span of the text arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Span {
    start: u32,
    length: u32,
}

/// Strings one behind another, addressed by spans. The last few are shared when they repeat.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Text(String);

impl Text {
    fn push(&mut self, text: &str) -> Result<Span> {
        let full = || Error::new(Kind::LimitExceeded, "the text of the packages is larger than 4 GiB");
        let start = u32::try_from(self.0.len()).map_err(|_| full())?;
        let length = u32::try_from(text.len()).map_err(|_| full())?;
        start.checked_add(length).ok_or_else(full)?;
        self.0.push_str(text);
        Ok(Span { start, length })
    }

    fn at(&self, span: Span) -> &str {
        self.0.get(span.start as usize..(span.start as usize).saturating_add(span.length as usize)).unwrap_or_default()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    kind: PackageType,
    name: Span,
    version: Span,
    architecture: Span,
    module: Span,
    vendor: Span,
    source: Option<(Span, Span)>,
    licenses: Range<u32>,
    certainty: Certainty,
    locations: Range<u32>,
    owner: Option<u32>,
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
        if self.row.kind.is_os() {
            self.inventory.distro.as_ref()?.ecosystem.as_deref()
        } else {
            self.row.kind.ecosystem()
        }
    }

    /// The package that it was built from, and that one's version.
    pub fn source(&self) -> Option<(&'a str, &'a str)> {
        self.row.source.map(|(name, version)| (self.inventory.text.at(name), self.inventory.text.at(version)))
    }

    /// Its licences as they were written.
    pub fn licenses(&self) -> impl ExactSizeIterator<Item = &'a str> + use<'a> {
        let inventory = self.inventory;
        let range = self.row.licenses.start as usize..self.row.licenses.end as usize;
        inventory.licenses.get(range).unwrap_or_default().iter().map(|span| inventory.text.at(*span))
    }

    /// Every file that proves it and the layer that brought that file, sorted.
    pub fn locations(&self) -> impl ExactSizeIterator<Item = Location<'a>> + use<'a> {
        let inventory = self.inventory;
        let range = self.row.locations.start as usize..self.row.locations.end as usize;
        inventory
            .locations
            .get(range)
            .unwrap_or_default()
            .iter()
            .map(|(path, layer)| Location { path: inventory.text.at(*path), layer: *layer })
    }

    /// The package of the distribution whose file proves this one.
    pub fn owner(&self) -> Option<Package<'a>> {
        self.inventory.package(self.row.owner? as usize)
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
    /// The layer that brought it, by its index from the base.
    pub layer: u32,
    /// The path in the image, without a leading slash.
    pub path: &'a str,
}

/// An inventory in the making: catalogers push what they find, [`Draft::finish`] merges, sorts and links.
#[derive(Default)]
pub struct Draft {
    distro: Option<Distro>,
    text: Text,
    rows: Vec<DraftRow>,
    licenses: Vec<Span>,
    owned: HashMap<Box<str>, u32>,
    limit: u64,
    refused: u64,
}

struct DraftRow {
    kind: PackageType,
    name: Span,
    version: Span,
    architecture: Span,
    module: Span,
    vendor: Span,
    source: Option<(Span, Span)>,
    licenses: Range<u32>,
    certainty: Certainty,
    path: Span,
    layer: u32,
}

/// A package that was pushed, to claim files for.
#[derive(Clone, Copy, Debug)]
pub struct Pushed(Option<u32>);

impl Draft {
    /// An empty draft that takes at most `limit` packages.
    pub fn new(limit: u64) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Names the distribution; the first one holds.
    pub fn set_distro(&mut self, distro: Distro) {
        self.distro.get_or_insert(distro);
    }

    /// The distribution, once a cataloger has named it.
    pub fn distro(&self) -> Option<&Distro> {
        self.distro.as_ref()
    }

    /// Takes one package; beyond the limit it is only counted.
    ///
    /// # Errors
    /// [`Kind::LimitExceeded`] when the text of all packages passes 4 GiB.
    pub fn push(&mut self, package: &PackageDraft<'_>) -> Result<Pushed> {
        if self.rows.len() as u64 >= self.limit {
            self.refused += 1;
            return Ok(Pushed(None));
        }
        let first = u32::try_from(self.licenses.len()).unwrap_or(u32::MAX);
        for license in package.licenses {
            let span = self.text.push(license)?;
            self.licenses.push(span);
        }
        let source = match package.source {
            // A source that is the package itself costs nothing.
            Some((name, version)) => Some((
                if name == package.name { None } else { Some(self.text.push(name)?) },
                if version == package.version { None } else { Some(self.text.push(version)?) },
            )),
            None => None,
        };
        let name = self.text.push(package.name)?;
        let version = self.text.push(package.version)?;
        self.rows.push(DraftRow {
            kind: package.kind,
            name,
            version,
            architecture: self.text.push(package.architecture)?,
            module: self.text.push(package.module)?,
            vendor: self.text.push(package.vendor)?,
            source: source.map(|(n, v)| (n.unwrap_or(name), v.unwrap_or(version))),
            licenses: first..u32::try_from(self.licenses.len()).unwrap_or(u32::MAX),
            certainty: package.certainty,
            path: self.text.push(package.path)?,
            layer: package.layer,
        });
        Ok(Pushed(u32::try_from(self.rows.len() - 1).ok()))
    }

    /// Says that `path`, cleaned and with its links resolved, belongs to a package of the distribution.
    pub fn own(&mut self, path: &str, package: Pushed) {
        if let Some(index) = package.0 {
            self.owned.entry(path.into()).or_insert(index);
        }
    }

    /// How many packages the limit turned away.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The inventory: rows of one type, name, version and architecture become one, sorted, owners linked.
    pub fn finish(self) -> Inventory {
        let Self { distro, text, rows, licenses, owned, .. } = self;
        let key = |row: &DraftRow| (row.kind, text.at(row.name), text.at(row.version), text.at(row.architecture));
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        let row = |index: &u32| rows.get(*index as usize);
        order.sort_by(|a, b| match (row(a), row(b)) {
            (Some(a), Some(b)) => (key(a), a.layer, text.at(a.path)).cmp(&(key(b), b.layer, text.at(b.path))),
            _ => std::cmp::Ordering::Equal,
        });

        let mut merged: Vec<Row> = Vec::with_capacity(rows.len());
        let mut locations: Vec<(Span, u32)> = Vec::with_capacity(rows.len());
        let mut place_of = vec![0u32; rows.len()];
        let mut previous: Option<&DraftRow> = None;
        for index in &order {
            let Some(current) = row(index) else { continue };
            if previous.is_none_or(|previous| key(previous) != key(current)) {
                let at = locations.len() as u32;
                merged.push(Row {
                    kind: current.kind,
                    name: current.name,
                    version: current.version,
                    architecture: current.architecture,
                    module: current.module,
                    vendor: current.vendor,
                    source: current.source,
                    licenses: current.licenses.clone(),
                    certainty: current.certainty,
                    locations: at..at,
                    owner: None,
                });
            }
            previous = Some(current);
            locations.push((current.path, current.layer));
            let place = merged.len() as u32 - 1;
            if let Some(last) = merged.last_mut() {
                last.locations.end = locations.len() as u32;
                last.certainty = last.certainty.min(current.certainty);
                // Not every copy says under which licence it is.
                if last.licenses.is_empty() {
                    last.licenses = current.licenses.clone();
                }
            }
            if let Some(slot) = place_of.get_mut(*index as usize) {
                *slot = place;
            }
        }
        for row in merged.iter_mut().filter(|row| !row.kind.is_os()) {
            let range = row.locations.start as usize..row.locations.end as usize;
            // A package with a copy that nobody owns is not owned.
            let owner = |path: &str| {
                // What lies in an archive belongs to who owns the archive.
                owned.get(path).or_else(|| owned.get(path.split_once("!/")?.0))
            };
            let owners = locations.get(range).unwrap_or_default().iter().map(|(path, _)| owner(text.at(*path)));
            row.owner = owners
                .map(|owner| owner.and_then(|index| place_of.get(*index as usize)).copied())
                .reduce(|first, next| if next.is_some() { first } else { None })
                .flatten();
        }
        Inventory { distro, text, rows: merged, licenses, locations }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_sorts_and_links_owners() {
        let mut draft = Draft::new(10);
        draft.set_distro(Distro {
            id: "debian".into(),
            version: "12".into(),
            ecosystem: Some("Debian:12".into()),
            ..Distro::default()
        });
        let npm = |path| PackageDraft::new(PackageType::Npm, "b", "1.0.0", path, 1);
        draft.push(&npm("z/node_modules/b/package.json")).unwrap();
        draft.push(&npm("a/node_modules/b/package.json")).unwrap();
        draft.push(&PackageDraft::new(PackageType::Pypi, "six", "1.16.0", "usr/lib/six/METADATA", 0)).unwrap();
        let deb = draft
            .push(&PackageDraft::new(PackageType::Deb, "python3-six", "1.16.0-4", "var/lib/dpkg/status", 0))
            .unwrap();
        draft.own("usr/lib/six/METADATA", deb);
        let inventory = draft.finish();
        assert_eq!(inventory.len(), 3);
        let names: Vec<_> = inventory.packages().map(|package| package.name()).collect();
        assert_eq!(names, ["python3-six", "b", "six"]);
        let npm = inventory.package(1).unwrap();
        let paths: Vec<_> = npm.locations().map(|location| location.path).collect();
        assert_eq!(paths, ["a/node_modules/b/package.json", "z/node_modules/b/package.json"]);
        assert!(npm.owner().is_none());
        let six = inventory.package(2).unwrap();
        assert_eq!(six.owner().unwrap().name(), "python3-six");
        assert_eq!(six.ecosystem(), Some("PyPI"));
        assert_eq!(inventory.package(0).unwrap().ecosystem(), Some("Debian:12"));
    }

    #[test]
    fn counts_what_the_limit_turns_away() {
        let mut draft = Draft::new(1);
        for version in ["1", "2", "3"] {
            draft.push(&PackageDraft::new(PackageType::Npm, "a", version, "a/package.json", 0)).unwrap();
        }
        assert_eq!(draft.refused(), 2);
        assert_eq!(draft.finish().len(), 1);
    }
}
