//! Java archives: jars, what is packed in them, and what says who they are (Maven "Archiver", `pom.properties`; the JAR File
//! Specification).
//!
//! An archive of any size is read as it streams by, archives in it too. The central directory at its end decides what counts;
//! where the local headers did not show what it lists, the file is read a second time, by what it lists.

mod groups;
mod identity;
mod zip;

use std::cell::Cell;
use std::fmt::Display;
use std::io::{self, BufRead, Read};

use serde::{Deserialize, Serialize};

use self::identity::{Coordinates, Manifest};
use self::zip::{Entry, Form, Listed, Zip};
use super::fnv::fnv;
use crate::error::{Error, Kind, Result};
use crate::layer::{Cataloger, Facts, File, Interest, Records, Take, View, buffered};
use crate::model::inventory::Draft;
use crate::model::package::{Certainty, PackageDraft, PackageType};
use crate::model::path::show;
use crate::model::problem::{Problem, ProblemKind};

/// Reads jars and their relatives: what `pom.properties` (or a `pom.xml`) in them names, else what their manifests and file
/// names say, and how sure that is.
pub struct Java;

/// How the names of archives end.
const ENDINGS: &[&[u8]] =
    &[b".jar", b".war", b".ear", b".sar", b".par", b".nar", b".kar", b".rar", b".hpi", b".jpi", b".lpkg"];

/// The most bytes of metadata that are looked at: of a manifest the main section comes first.
const METADATA: u64 = 512 << 10;
/// The most metadata that are held of one archive and those around it.
const NAMED: usize = 4_000;
/// The most entries that matter whose places are remembered; the directory is kept as far.
const SEEN: usize = zip::LISTED;
/// What may be inflated of one file, before the limit `expansion` counts.
const FREE: u64 = 64 << 20;

#[derive(Serialize, Deserialize)]
struct Record<'a> {
    /// The path in the archive, empty for the archive itself.
    inner: &'a str,
    /// `group:artifact`, or the artifact alone.
    name: &'a str,
    version: &'a str,
    license: Vec<&'a str>,
    certainty: Certainty,
}

impl Cataloger for Java {
    fn id(&self) -> &'static str {
        "java"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interests(&self) -> &[Interest] {
        &[Interest::Path("**/*.{jar,war,ear,sar,par,nar,kar,rar,hpi,jpi,lpkg}", Take::Stream)]
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        let again: Option<Vec<Listed>> = file.note()?;
        let budget = Cell::new(FREE.saturating_add(file.size().saturating_mul(file.limits().expansion)));
        let mut reading = Reading {
            records: Records::new(),
            notes: Notes::default(),
            nesting: file.limits().nesting,
            budget: &budget,
            named: 0,
        };
        let path = file.path();
        let mut look_again = None;
        let outcome = match &again {
            None => reading.archive(file.reader(), path, "", 1, Some(&mut look_again)),
            Some(listed) => reading.listed(file.reader(), path, listed),
        };
        if let Err(error) = outcome {
            reading.notes.push(error, "")?;
        }
        let Reading { records, notes, .. } = reading;
        match &look_again {
            // The second look sees again what is wrong.
            Some(listed) => file.look_again(listed)?,
            None => notes.tell(file),
        }
        Ok(records.finish(file))
    }

    fn resolve(&self, view: &View<'_>, draft: &mut Draft) -> Result<()> {
        let mut path = String::new();
        for file in view.files() {
            for record in file.records::<Record<'_>>() {
                let Record { inner, name, version, license, certainty } = record?;
                path.clear();
                path.push_str(file.path());
                if !inner.is_empty() {
                    path.push_str("!/");
                    path.push_str(inner);
                }
                draft.push(&PackageDraft {
                    licenses: &license,
                    certainty,
                    ..PackageDraft::new(PackageType::Maven, name, version, &path, file.layer)
                })?;
            }
        }
        Ok(())
    }
}

/// One file and the archives in it.
struct Reading<'b> {
    records: Records,
    notes: Notes,
    nesting: u64,
    /// How many bytes may still be inflated.
    budget: &'b Cell<u64>,
    /// How much metadata is held of the archives that are being read.
    named: usize,
}

impl Reading<'_> {
    /// Reads an archive from its first byte to its central directory. `inner` is its path in the file, `path` what names it;
    /// `again` takes what a second look has to find, where there can be one.
    fn archive(
        &mut self,
        input: &mut dyn BufRead,
        path: &str,
        inner: &str,
        depth: u64,
        again: Option<&mut Option<Vec<Listed>>>,
    ) -> Result<()> {
        let mut zip = Zip::new(input);
        let mut archive = Archive::default();
        let mut is_empty = true;
        while let Some(entry) = zip.next()? {
            is_empty = false;
            self.entry(&mut zip, &entry, inner, depth, &mut archive)?;
        }
        self.named -= archive.parts.len();
        let directory = zip.directory(|name| Part::of(name).is_some())?;
        if !directory.is_whole && is_empty {
            self.notes.note(ProblemKind::Malformed, inner, "this is no zip archive");
        } else if !directory.is_whole {
            self.notes.push(Error::new(Kind::Corrupt, "the archive has no end"), inner)?;
        } else if directory.is_full {
            let message = "the archive lists more archives and metadata than are looked at";
            self.notes.push(Error::new(Kind::LimitExceeded, message), inner)?;
        } else {
            // The central directory says which entries there are; a reader of Java looks nowhere else.
            let mut listed: Vec<u64> = directory.listed.iter().map(|listed| listed.offset).collect();
            listed.sort_unstable();
            archive.parts.retain(|part| listed.binary_search(&part.offset).is_ok());
            let is_seen = |listed: &Listed| {
                let place = archive.seen.binary_search_by_key(&listed.offset, |(offset, _)| *offset);
                place
                    .ok()
                    .and_then(|place| archive.seen.get(place))
                    .is_some_and(|(_, name)| *name == fingerprint(&listed.name))
            };
            if let Some(unseen) = directory.listed.iter().find(|listed| !is_seen(listed)) {
                match again {
                    Some(again) => *again = Some(directory.listed),
                    None => {
                        let message = "the directory of the archive lists what its entries do not show";
                        self.notes.push(Error::new(Kind::Corrupt, message).with("entry", show(&unseen.name)), inner)?;
                    }
                }
            }
        }
        archive.finish(path, inner, &mut self.records)
    }

    /// The second look: reads the entries that the central directory lists, and nothing else.
    fn listed(&mut self, input: &mut dyn BufRead, path: &str, listed: &[Listed]) -> Result<()> {
        let mut listed: Vec<&Listed> = listed.iter().collect();
        listed.sort_by_key(|listed| listed.offset);
        let mut zip = Zip::new(input);
        let mut archive = Archive::default();
        for listed in listed {
            if let Some(entry) = zip.seek(listed)? {
                self.entry(&mut zip, &entry, "", 1, &mut archive)?;
            } else {
                let message = "the directory of the archive lists entries that are not there, or lie in one another";
                self.notes.push(Error::new(Kind::Corrupt, message).with("entry", show(&listed.name)), "")?;
            }
        }
        archive.finish(path, "", &mut self.records)
    }

    fn entry(
        &mut self,
        zip: &mut Zip<'_>,
        entry: &Entry,
        inner: &str,
        depth: u64,
        archive: &mut Archive,
    ) -> Result<()> {
        let Some(part) = Part::of(&entry.name) else { return Ok(()) };
        let name = show(&entry.name);
        let nested = if inner.is_empty() { name.into_owned() } else { format!("{inner}!/{name}") };
        let content = match zip.content() {
            Ok(content) => content,
            // Not seen: a second look may know how long it is.
            Err(error) if entry.form == Form::Stored && depth == 1 => {
                tracing::debug!(%error, "an entry is left for a second look");
                return Ok(());
            }
            Err(error) => {
                archive.see(entry);
                return self.notes.push(error, &nested);
            }
        };
        archive.see(entry);
        let mut content = Budgeted { content, left: self.budget };
        let outcome = match part {
            Part::Archive if depth > self.nesting => Err(Error::new(
                Kind::LimitExceeded,
                format!("archives lie more than {} deep in one another", self.nesting),
            )),
            Part::Archive => self.archive(&mut content, &nested, &nested, depth + 1, None),
            Part::Metadata(kind) => {
                let mut bytes = Vec::new();
                let read = (&mut content).take(METADATA).read_to_end(&mut bytes).map_err(Error::from);
                read.and_then(|_| self.take(entry, kind, &bytes, archive))
            }
        };
        outcome.or_else(|error| self.notes.push(error, &nested))
    }

    fn take(&mut self, entry: &Entry, kind: Metadata, bytes: &[u8], archive: &mut Archive) -> Result<()> {
        if self.named >= NAMED {
            let message = format!("archives that lie in one another have more than {NAMED} entries of metadata");
            return Err(Error::new(Kind::LimitExceeded, message));
        }
        self.named += 1;
        archive.take(entry, kind, bytes);
        Ok(())
    }
}

/// The entries that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Archive,
    Metadata(Metadata),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Metadata {
    Manifest,
    Properties,
    Pom,
}

impl Part {
    fn of(name: &[u8]) -> Option<Self> {
        let is_maven = name.starts_with(b"META-INF/maven/");
        if name.eq_ignore_ascii_case(b"META-INF/MANIFEST.MF") {
            Some(Self::Metadata(Metadata::Manifest))
        } else if is_maven && name.ends_with(b"/pom.properties") {
            Some(Self::Metadata(Metadata::Properties))
        } else if is_maven && name.ends_with(b"/pom.xml") {
            Some(Self::Metadata(Metadata::Pom))
        } else {
            let ending = name.iter().rposition(|byte| *byte == b'.').and_then(|dot| name.get(dot..))?;
            ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)).then_some(Self::Archive)
        }
    }
}

/// What one archive says of itself.
#[derive(Default)]
struct Archive {
    parts: Vec<Found>,
    /// Where entries that matter started, and what they were called, in their order.
    seen: Vec<(u64, u64)>,
}

struct Found {
    offset: u64,
    /// The directory of the entry, which a `pom.properties` and its `pom.xml` share.
    directory: Vec<u8>,
    content: Content,
}

enum Content {
    Manifest(Manifest),
    Properties(Coordinates),
    Pom(Coordinates),
}

impl Archive {
    fn see(&mut self, entry: &Entry) {
        if self.seen.len() < SEEN {
            self.seen.push((entry.offset, fingerprint(&entry.name)));
        }
    }

    fn take(&mut self, entry: &Entry, kind: Metadata, bytes: &[u8]) {
        let content = match kind {
            Metadata::Manifest => Content::Manifest(Manifest::read(bytes)),
            Metadata::Properties => Content::Properties(Coordinates::of_properties(bytes)),
            Metadata::Pom => Content::Pom(Coordinates::of_xml(bytes)),
        };
        let directory = entry.name.rsplitn(2, |byte| *byte == b'/').nth(1).unwrap_or_default().to_vec();
        self.parts.push(Found { offset: entry.offset, directory, content });
    }

    /// Writes the packages that the archive is and holds in its classes.
    fn finish(mut self, path: &str, inner: &str, records: &mut Records) -> Result<()> {
        self.parts.sort_by(|a, b| a.directory.cmp(&b.directory));
        let own = Coordinates::of_file_name(path);
        let mut is_named = false;
        let no_manifest = Manifest::default();
        let mut manifest = &no_manifest;
        for part in &self.parts {
            if let Content::Manifest(found) = &part.content {
                manifest = found;
            }
        }
        for group in self.parts.chunk_by(|a, b| a.directory == b.directory) {
            let properties = group.iter().find_map(|part| match &part.content {
                Content::Properties(found) if found.is_whole() => Some(found),
                _ => None,
            });
            let pom = group.iter().find_map(|part| match &part.content {
                Content::Pom(found) => Some(found),
                _ => None,
            });
            let Some(named) = properties.or(pom.filter(|pom| pom.is_whole())) else { continue };
            let is_own = own.artifact.starts_with(&named.artifact) || named.artifact.starts_with(&own.artifact);
            is_named |= is_own;
            let mut license: Vec<&str> =
                pom.map(|pom| pom.licenses.iter().map(String::as_str).collect()).unwrap_or_default();
            if license.is_empty() && is_own {
                license.extend(manifest.license());
            }
            write(records, inner, named, license, Certainty::Stated)?;
        }
        if !is_named {
            let found = manifest.with_file_name(path);
            let certainty = if found.group.is_empty() { Certainty::Guessed } else { Certainty::Derived };
            if !found.artifact.is_empty() && !found.version.is_empty() {
                let license = found.licenses.iter().map(String::as_str).collect();
                write(records, inner, &found, license, certainty)?;
            }
        }
        Ok(())
    }
}

fn write(
    records: &mut Records,
    inner: &str,
    found: &Coordinates,
    license: Vec<&str>,
    certainty: Certainty,
) -> Result<()> {
    let Coordinates { group, artifact, version, .. } = found;
    let name = if group.is_empty() { artifact.clone() } else { format!("{group}:{artifact}") };
    records.push(&Record { inner, name: &name, version, license, certainty })
}

/// A number for a name, so that ten thousand names take little. It only finds out names that differ by mistake or by intent, and
/// a collision costs a second look or hides a lie that names the same kind of file.
fn fingerprint(name: &[u8]) -> u64 {
    fnv(name.iter().copied())
}

/// Content that counts against what may be inflated of a file.
struct Budgeted<'b, R> {
    content: R,
    left: &'b Cell<u64>,
}

impl<R: BufRead> BufRead for Budgeted<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left.get() == 0 {
            return Err(Error::new(Kind::LimitExceeded, "the archive grows too much where it is unpacked").into());
        }
        self.content.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.left.set(self.left.get().saturating_sub(amount as u64));
        self.content.consume(amount);
    }
}

impl<R: BufRead> Read for Budgeted<'_, R> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        buffered::read(self, output)
    }
}

/// What was wrong in a file and the archives in it: the first of each kind in words, the others as a number.
#[derive(Default)]
struct Notes {
    first: Vec<(ProblemKind, String)>,
    others: u64,
}

impl Notes {
    /// Takes an error about the archive or entry `inner`; one that comes from outside stays an error.
    fn push(&mut self, error: Error, inner: &str) -> Result<()> {
        let kind = match error.kind() {
            Kind::Corrupt => ProblemKind::Corrupt,
            Kind::LimitExceeded => ProblemKind::LimitExceeded,
            Kind::Unsupported => ProblemKind::Unsupported,
            _ => return Err(error),
        };
        self.note(kind, inner, error);
        Ok(())
    }

    fn note(&mut self, kind: ProblemKind, inner: &str, message: impl Display) {
        if self.first.iter().any(|(known, _)| *known == kind) {
            self.others += 1;
        } else {
            let place = if inner.is_empty() { String::new() } else { format!("{}: ", shortened(inner)) };
            self.first.push((kind, format!("{place}{message}")));
        }
    }

    fn tell(self, file: &mut File<'_>) {
        let Self { mut first, others } = self;
        if let Some((_, message)) = first.last_mut().filter(|_| others > 0) {
            message.push_str(&format!(" (and {others} more in this archive)"));
        }
        first.into_iter().for_each(|(kind, message)| file.problem(Problem::new(kind, message)));
    }
}

/// The end of a path that is as long as a hundred nested archives make it.
fn shortened(path: &str) -> &str {
    let cut = path.char_indices().map(|(at, _)| at).find(|at| path.len() - at <= 300).unwrap_or_default();
    path.get(cut..).unwrap_or_default()
}

#[cfg(test)]
mod tests;
