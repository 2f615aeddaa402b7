//! An inventory in the making: what catalogers push, and how it becomes one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::num::NonZeroU32;
use std::sync::Arc;

use super::{Inventory, Row, Span, Text, range};
use crate::error::Result;
use crate::model::distro::Distro;
use crate::model::fingerprint::Fingerprints;
use crate::model::package::PackageDraft;
use crate::model::problem::{Problem, ProblemKind};
use crate::model::since::Since;

/// The most bytes of text of a draft: names, versions and paths of two hundred thousand packages.
const TEXT: usize = 14 << 20;

/// The most files that are remembered for who owns them: those that other package managers may look at. A distribution has some ten
/// thousand of them.
const OWNED: usize = 200_000;

/// The most bytes of a name or a version. Each is compared with every advisory of the package, and told with what cannot be compared.
const NAME: usize = 4096;

/// An inventory in the making: catalogers push what they find, [`Draft::finish`] merges, sorts and links.
#[derive(Default)]
pub struct Draft {
    distro: Option<Distro>,
    text: Text,
    known: Known,
    rows: Vec<Row>,
    licenses: Vec<Span>,
    locations: Vec<(Span, u32)>,
    owned: Owned,
    since: Arc<Since>,
    limit: u64,
    most_text: usize,
    refused: Refused,
}

/// How many packages were turned away, by what there is too much of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Refused {
    packages: u64,
    text: u64,
    names: u64,
}

/// Who owns a file, by the fingerprint of its path: a distribution owns many, and whoever makes two paths meet would hide a package.
#[derive(Default)]
struct Owned {
    fingerprints: Fingerprints,
    owners: HashMap<(u64, u64), u32>,
    refused: u64,
}

impl Owned {
    /// The first who claims a file owns it.
    fn insert(&mut self, path: &str, owner: u32) {
        let is_full = self.owners.len() >= OWNED;
        match self.owners.entry(self.fingerprints.of(path)) {
            Entry::Occupied(_) => {}
            Entry::Vacant(_) if is_full => self.refused += 1,
            Entry::Vacant(entry) => drop(entry.insert(owner)),
        }
    }

    fn of(&self, path: &str) -> Option<u32> {
        if self.owners.is_empty() {
            return None;
        }
        self.owners.get(&self.fingerprints.of(path)).copied()
    }
}

/// A package that was pushed, to claim files for.
#[derive(Clone, Copy, Debug)]
pub struct Pushed(Option<u32>);

impl Draft {
    /// An empty draft that takes at most `limit` packages.
    pub fn new(limit: u64) -> Self {
        Self { limit, most_text: TEXT, ..Self::default() }
    }

    /// An empty draft for the packages of a report that is read back: whoever scanned has set the limit, and text may be shared less.
    pub(crate) fn of_a_report() -> Self {
        Self { limit: u64::MAX, most_text: 8 * TEXT, ..Self::default() }
    }

    /// Says which packages layers below that of their file brought.
    pub fn set_since(&mut self, since: Arc<Since>) {
        self.since = since;
    }

    /// Names the distribution; the first one holds.
    pub fn set_distro(&mut self, distro: Distro) {
        self.distro.get_or_insert(distro);
    }

    /// The distribution, once a cataloger has named it.
    pub fn distro(&self) -> Option<&Distro> {
        self.distro.as_ref()
    }

    /// Takes one package; beyond the limit, when all have 14 MiB of text, or with a name or a version of more than 4 KiB it is only
    /// counted.
    ///
    /// # Errors
    /// [`Kind::LimitExceeded`](crate::error::Kind::LimitExceeded) for a package with 4 GiB of text.
    pub fn push(&mut self, package: &PackageDraft<'_>) -> Result<Pushed> {
        let refused = match () {
            () if package.name.len() > NAME || package.version.len() > NAME => Some(&mut self.refused.names),
            () if self.rows.len() as u64 >= self.limit => Some(&mut self.refused.packages),
            () if self.text.0.len() > self.most_text => Some(&mut self.refused.text),
            () => None,
        };
        if let Some(refused) = refused {
            *refused += 1;
            return Ok(Pushed(None));
        }
        let Self { text, known, .. } = self;
        let mut push = |part: &str| known.push(text, part);
        let first = u32::try_from(self.licenses.len()).unwrap_or(u32::MAX);
        for license in package.licenses {
            self.licenses.push(push(license)?);
        }
        // A source that is the package itself costs nothing.
        let (source_name, source_version) = package.source.unwrap_or_default();
        let (name, version) = (push(package.name)?, push(package.version)?);
        let place = self.rows.len() as u32;
        self.rows.push(Row {
            kind: package.kind,
            certainty: package.certainty,
            name,
            version,
            architecture: push(package.architecture)?,
            module: push(package.module)?,
            vendor: push(package.vendor)?,
            source: (push(source_name)?, push(source_version)?),
            licenses: first..u32::try_from(self.licenses.len()).unwrap_or(u32::MAX),
            locations: place..place + 1,
            owner: None,
        });
        let since = self.since.of(package.path, package.name, package.version, package.architecture);
        self.locations.push((push(package.path)?, since.unwrap_or(package.layer)));
        Ok(Pushed(Some(place)))
    }

    /// Says that `path`, cleaned and with its links resolved, belongs to a package of the distribution.
    pub fn own(&mut self, path: &str, package: Pushed) {
        if let Some(index) = package.0 {
            self.owned.insert(path, index);
        }
    }

    /// A problem for each limit that was met.
    pub fn problems(&self) -> Vec<Problem> {
        let Refused { packages, text, names } = self.refused;
        let unowned = self.owned.refused;
        let told = [
            (packages, format!("{packages} packages beyond the limit of {} are not listed", self.limit)),
            (
                text,
                format!(
                    "{text} packages are not listed: those before them have more than {} MiB of text",
                    self.most_text >> 20
                ),
            ),
            (names, format!("{names} packages with a name or a version of more than {NAME} bytes are not listed")),
            (unowned, format!("of {unowned} files it is not remembered which package owns them")),
        ];
        let told = told.into_iter().filter(|(count, _)| *count > 0);
        told.map(|(_, message)| Problem::new(ProblemKind::LimitExceeded, message)).collect()
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn memory(&self) -> usize {
        self.text.0.len()
            + self.rows.len() * (size_of::<Row>() + size_of::<(Span, u32)>())
            + self.licenses.len() * size_of::<Span>()
            + self.owned.owners.len() * size_of::<((u64, u64), u32)>()
    }

    /// The inventory: rows of one type, name, version and architecture become one, sorted, owners linked.
    ///
    /// All in place: this is when an image takes the most memory.
    pub fn finish(self) -> Inventory {
        let Self { distro, mut text, known, mut rows, mut licenses, locations: pushed, owned, .. } = self;
        drop(known);
        let place = |row: &Row| pushed.get(row.locations.start as usize).copied().unwrap_or_default();
        let order = |row: &Row| {
            let (path, layer) = place(row);
            (layer, text.at(path), row.locations.start)
        };
        rows.sort_unstable_by(|a, b| a.key(&text).cmp(&b.key(&text)).then_with(|| order(a).cmp(&order(b))));

        // Where each row was pushed, in their new order.
        let numbers: Vec<u32> = rows.iter().map(|row| row.locations.start).collect();
        let mut locations: Vec<(Span, u32)> = rows.iter().map(place).collect();
        drop(pushed);
        for (row, at) in rows.iter_mut().zip(0..) {
            row.locations = at..at + 1;
        }
        rows.dedup_by(|row, kept| {
            let is_same = row.key(&text) == kept.key(&text);
            if is_same {
                kept.locations.end = row.locations.end;
                kept.certainty = kept.certainty.min(row.certainty);
                // Not every copy says under which licence it is.
                if kept.licenses.is_empty() {
                    kept.licenses = row.licenses.clone();
                }
            }
            is_same
        });
        let mut place_of = vec![0; numbers.len()];
        for (row, place) in rows.iter().zip(1..) {
            for number in numbers.get(range(&row.locations)).unwrap_or_default() {
                place_of.get_mut(*number as usize).into_iter().for_each(|slot| *slot = place);
            }
        }
        for row in rows.iter_mut().filter(|row| !row.kind.is_os()) {
            // What lies in an archive belongs to who owns the archive.
            let owner = |path: &str| owned.of(path).or_else(|| owned.of(path.split_once("!/")?.0));
            let owners = locations.get(range(&row.locations)).unwrap_or_default();
            // A package with a copy that nobody owns is not owned.
            row.owner = owners
                .iter()
                .map(|(path, _)| owner(text.at(*path)).and_then(|number| place_of.get(number as usize)))
                .reduce(|first, next| if next.is_some() { first } else { None })
                .flatten()
                .and_then(|place| NonZeroU32::new(*place));
        }
        // One file may name a package twice.
        let mut kept = 0;
        for row in &mut rows {
            let start = kept;
            for at in range(&row.locations) {
                let Some(location) = locations.get(at).copied() else { continue };
                let before = (kept > start).then(|| locations.get(kept as usize - 1)).flatten();
                if before.is_some_and(|before| before.1 == location.1 && text.at(before.0) == text.at(location.0)) {
                    continue;
                }
                locations.get_mut(kept as usize).into_iter().for_each(|slot| *slot = location);
                kept += 1;
            }
            row.locations = start..kept;
        }
        locations.truncate(kept as usize);
        text.0.shrink_to_fit();
        rows.shrink_to_fit();
        licenses.shrink_to_fit();
        locations.shrink_to_fit();
        Inventory { distro, text, rows, licenses, locations }
    }
}

/// Finds texts again that were pushed before: those of many packages repeat. A place that two of them share goes to the later one.
struct Known(Vec<Span>);

impl Default for Known {
    fn default() -> Self {
        Self(vec![Span::default(); 1 << 12])
    }
}

impl Known {
    fn push(&mut self, arena: &mut Text, text: &str) -> Result<Span> {
        if text.is_empty() {
            return Ok(Span::default());
        }
        // Keys that are always the same: a report that is stored has the same bytes every time.
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let place = hasher.finish() as usize % self.0.len();
        match self.0.get_mut(place) {
            Some(known) if arena.at(*known) == text => Ok(*known),
            known => {
                let span = arena.push(text)?;
                known.into_iter().for_each(|known| *known = span);
                Ok(span)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::package::PackageType;

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
    fn a_package_of_another_family_is_not_of_the_distribution() {
        let mut draft = Draft::new(10);
        draft.set_distro(Distro {
            id: "alpine".into(),
            version: "3.20".into(),
            ecosystem: Some("Alpine:v3.20".into()),
            ..Distro::default()
        });
        for kind in [PackageType::Apk, PackageType::Deb] {
            draft.push(&PackageDraft::new(kind, "openssl", "3", "db", 0)).unwrap();
        }
        let inventory = draft.finish();
        let found: Vec<_> = inventory.packages().map(|package| (package.ecosystem(), package.purl())).collect();
        assert_eq!(
            found,
            [
                (Some("Alpine:v3.20"), "pkg:apk/alpine/openssl@3?distro=alpine-3.20".to_owned()),
                (None, "pkg:deb/debian/openssl@3".to_owned()),
            ]
        );
    }

    #[test]
    fn one_place_is_told_once() {
        let mut draft = Draft::new(10);
        for path in ["b/Package.resolved", "a/Package.resolved", "b/Package.resolved"] {
            draft.push(&PackageDraft::new(PackageType::Swift, "x.org/a", "1", path, 0)).unwrap();
        }
        draft.push(&PackageDraft::new(PackageType::Swift, "x.org/b", "1", "b/Package.resolved", 0)).unwrap();
        let inventory = draft.finish();
        let places = |index| -> Vec<_> { inventory.package(index).unwrap().locations().map(|at| at.path).collect() };
        assert_eq!(places(0), ["a/Package.resolved", "b/Package.resolved"]);
        assert_eq!(places(1), ["b/Package.resolved"]);
    }

    #[test]
    fn two_hundred_thousand_packages_are_small() {
        let mut draft = Draft::new(200_000);
        for number in 0..200_000 {
            let (name, version) = (format!("package-{number}"), format!("1.{number}-1"));
            draft
                .push(&PackageDraft {
                    source: Some((&name, &version)),
                    architecture: "amd64",
                    licenses: &["MIT"],
                    ..PackageDraft::new(PackageType::Deb, &name, &version, "var/lib/dpkg/status", 0)
                })
                .unwrap();
        }
        let inventory = draft.finish();
        assert_eq!(inventory.len(), 200_000);
        assert!(inventory.memory() < 20 << 20, "{}", inventory.memory());
        let (first, last) = (inventory.package(0).unwrap(), inventory.package(199_999).unwrap());
        assert_eq!((first.name(), first.source()), ("package-0", Some(("package-0", "1.0-1"))));
        assert_eq!((last.name(), last.licenses().collect::<Vec<_>>()), ("package-99999", vec!["MIT"]));
    }

    #[test]
    fn text_without_end_is_turned_away() {
        let mut draft = Draft::new(u64::MAX);
        let folder = "f".repeat(4_000);
        for number in 0..20_000 {
            let path = format!("{folder}/app.jar!/{number}.jar");
            draft.push(&PackageDraft::new(PackageType::Maven, &format!("a{number}"), "1", &path, 0)).unwrap();
        }
        assert!(draft.refused.text > 10_000);
        assert_eq!(draft.problems().len(), 1);
        assert!(draft.problems()[0].message.contains("14 MiB of text"), "{:?}", draft.problems());
        let inventory = draft.finish();
        assert!(
            inventory.len() > 3_000 && inventory.memory() < 20 << 20,
            "{} in {}",
            inventory.len(),
            inventory.memory()
        );
    }

    #[test]
    fn names_and_versions_without_end_are_turned_away() {
        let (mut draft, long) = (Draft::new(10), "1.".repeat(4_000));
        for (name, version) in [(long.as_str(), "1"), ("a", long.as_str()), ("a", "1")] {
            draft.push(&PackageDraft::new(PackageType::Nuget, name, version, "a", 0)).unwrap();
        }
        let told: Vec<_> = draft.problems().into_iter().map(|problem| problem.message).collect();
        assert_eq!(told, ["2 packages with a name or a version of more than 4096 bytes are not listed"]);
        assert_eq!(draft.finish().len(), 1);
    }

    #[test]
    fn counts_what_the_limit_turns_away() {
        let mut draft = Draft::new(1);
        for version in ["1", "2", "3"] {
            draft.push(&PackageDraft::new(PackageType::Npm, "a", version, "a/package.json", 0)).unwrap();
        }
        let told: Vec<_> = draft.problems().into_iter().map(|problem| problem.message).collect();
        assert_eq!(told, ["2 packages beyond the limit of 1 are not listed"]);
        assert_eq!(draft.finish().len(), 1);
    }

    #[test]
    fn texts_of_every_length_are_found_again() {
        let mut text = Text::default();
        let mut known = Known::default();
        let lengths = [0, 1, 63, 64, 65, 4_095, 4_096, 300_000];
        let all: Vec<String> = lengths.iter().map(|length| "\u{e9}".repeat(*length)).collect();
        let spans: Vec<Span> = all.iter().map(|one| known.push(&mut text, one).unwrap()).collect();
        for (span, one) in spans.iter().zip(&all) {
            assert_eq!(text.at(*span), one);
        }
        let length = text.0.len();
        assert_eq!(known.push(&mut text, all.last().unwrap()).unwrap(), *spans.last().unwrap());
        assert_eq!(text.0.len(), length, "what repeats is kept once");
    }
}
