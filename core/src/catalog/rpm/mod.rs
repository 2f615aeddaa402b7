//! Packages of Red Hat, SUSE and their relatives, from rpm's database in each of its forms. ADR 8 says why with own readers.

mod berkeley;
mod chains;
mod header;
mod log;
mod ndb;
mod page;
mod rows;
mod sqlite;
mod trees;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use self::chains::{Place, Wanted};
use self::header::Header;
use self::rows::Rows;
use crate::error::Result;
use crate::layer::{Cataloger, Facts, File, Interest, Lines, Records, Take, View, VisibleFile};
use crate::model::inventory::Draft;
use crate::model::package::{PackageDraft, PackageType};
use crate::model::path::show;
use crate::model::problem::{Problem, ProblemKind};

/// Reads `rpmdb.sqlite` and the log beside it, `Packages.db` and `Packages`, and the list that images of Azure Linux without rpm have.
pub struct Rpm;

/// The names of the database, the newest form first: where there are several in one folder, only that one is in use.
const FORMS: &[&str] = &["rpmdb.sqlite", "Packages.db", "Packages", "container-manifest-2"];

/// What the log of a database adds to its name.
const LOG: &str = "-wal";

#[derive(Serialize, Deserialize)]
enum Record<'a> {
    /// A package, and where its row is.
    Package {
        place: Place,
        name: &'a str,
        version: &'a str,
        architecture: &'a str,
        source: &'a str,
        license: &'a str,
        vendor: &'a str,
        module: &'a str,
    },
    /// A file of the last package that some cataloger may look at.
    Owns(&'a str),
    /// The file is a database of SQLite with so many pages.
    Pages(u32),
    /// A page of a tree that is no leaf, and the pages below it.
    Below(u32, Vec<u32>),
    /// A page of the schema, which says on which page the tree of the packages starts.
    Root(u32, u32),
    /// In a log: the pages that it has.
    Written(Wanted),
    /// In a log: a row that goes on in the database, from this page.
    Moved(Place),
}

impl Cataloger for Rpm {
    fn id(&self) -> &'static str {
        "rpm"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interests(&self) -> &[Interest] {
        &[
            Interest::Path("var/lib/rpm/{rpmdb.sqlite,rpmdb.sqlite-wal,Packages.db,Packages}", Take::Stream),
            Interest::Path("usr/lib/sysimage/rpm/{rpmdb.sqlite,rpmdb.sqlite-wal,Packages.db,Packages}", Take::Stream),
            Interest::Path("usr/share/rpm/{rpmdb.sqlite,rpmdb.sqlite-wal,Packages.db,Packages}", Take::Stream),
            Interest::Path("var/lib/rpmmanifest/container-manifest-2", Take::Stream),
        ]
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        let mut found = Found::default();
        match file.path().rsplit('/').next() {
            Some("rpmdb.sqlite") => sqlite::read(file, &mut found)?,
            Some("rpmdb.sqlite-wal") => log::read(file, &mut found)?,
            Some("Packages.db") => ndb::read(file, &mut found)?,
            Some("Packages") => berkeley::read(file, &mut found)?,
            _ => manifest(file, &mut found)?,
        }
        found.finish(file)
    }

    fn resolve(&self, view: &View<'_>, draft: &mut Draft) -> Result<()> {
        let mut folders: HashMap<&str, usize> = HashMap::new();
        let form = |path: &str| {
            let (folder, name) = path.rsplit_once('/')?;
            let folder = view
                .files()
                .iter()
                .find_map(|file| file.path().get(..folder.len()).filter(|found| *found == folder))?;
            Some((folder, FORMS.iter().position(|known| *known == name)?))
        };
        let log = |file: &VisibleFile| view.file(&format!("{}{LOG}", file.path()));
        let has_packages = |file: &&VisibleFile| [Some(*file), log(file)].into_iter().flatten().any(has_packages);
        for (folder, form) in view.files().iter().filter(has_packages).filter_map(|file| form(file.path())) {
            let best = folders.entry(folder).or_insert(form);
            *best = form.min(*best);
        }
        for file in view.files() {
            if form(file.path()).is_none_or(|(folder, form)| folders.get(folder) != Some(&form)) {
                continue;
            }
            let log = log(file);
            let mut rows = Rows::of(file, log)?;
            push(file, |place| rows.counts(place), view, draft)?;
            if let Some(log) = log.filter(|_| rows.is_database()) {
                push(log, |place| rows.counts_in_log(place), view, draft)?;
            }
            rows.finish()?;
        }
        Ok(())
    }
}

fn has_packages(file: &VisibleFile) -> bool {
    file.records::<Record<'_>>().any(|record| matches!(record, Ok(Record::Package { .. }) | Err(_)))
}

/// Pushes the packages of a file whose places count.
fn push(file: &VisibleFile, mut counts: impl FnMut(&Place) -> bool, view: &View<'_>, draft: &mut Draft) -> Result<()> {
    let mut owner = None;
    for record in file.records::<Record<'_>>() {
        match record? {
            Record::Package { place, name, version, architecture, source, license, vendor, module } => {
                if !counts(&place) {
                    owner = None;
                    continue;
                }
                owner = Some(draft.push(&PackageDraft {
                    source: source_of(source),
                    architecture,
                    vendor,
                    module,
                    licenses: if license.is_empty() { &[] } else { std::slice::from_ref(&license) },
                    ..PackageDraft::new(PackageType::Rpm, name, version, file.path(), file.layer)
                })?);
            }
            Record::Owns(path) => {
                if let Some(owner) = owner {
                    draft.own(&view.real_path(path), owner);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Name and version of a source package by its file name, `openssl-3.0.7-24.el9.src.rpm`. An epoch is not in it.
fn source_of(file: &str) -> Option<(&str, &str)> {
    let stem = file.strip_suffix(".src.rpm").or_else(|| file.strip_suffix(".nosrc.rpm"))?;
    let (rest, _release) = stem.rsplit_once('-')?;
    let (name, _version) = rest.rsplit_once('-')?;
    Some((name, stem.get(name.len() + 1..)?))
}

/// What was found in one database.
#[derive(Default)]
struct Found {
    records: Records,
    /// Values that are no header of a package.
    strange: u64,
    /// Packages that are not there to their end.
    missing: u64,
    /// Pages whose rows lie in one another.
    overlapping: u64,
    /// Packages that list more files than they can have.
    endless: u64,
    problems: Vec<&'static str>,
    /// A second look will see all this again.
    is_first_look: bool,
}

impl Found {
    /// Takes a header, which must be that of a package.
    fn value(&mut self, file: &File<'_>, place: &Place, bytes: &[u8]) -> Result<()> {
        self.strange += u64::from(!self.take(file, place, bytes)?);
        Ok(())
    }

    /// Takes a header; false where it is none of a package.
    fn take(&mut self, file: &File<'_>, place: &Place, bytes: &[u8]) -> Result<bool> {
        let Some((header, package)) =
            Header::new(bytes).and_then(|header| header.package().map(|package| (header, package)))
        else {
            return Ok(false);
        };
        self.records.push(&Record::Package {
            place: place.clone(),
            name: &package.name,
            version: &package.version,
            architecture: &package.architecture,
            source: &package.source,
            license: &package.license,
            vendor: &package.vendor,
            module: &package.module,
        })?;
        let mut outcome = Ok(());
        let is_whole = header.files(|path| {
            let path = show(path);
            if outcome.is_ok() && file.is_wanted(&path) {
                outcome = self.records.push(&Record::Owns(&path));
            }
        });
        self.endless += u64::from(!is_whole);
        outcome.map(|()| true)
    }

    fn problem(&mut self, message: &'static str) {
        self.problems.push(message);
    }

    /// Asks for a second look.
    fn look_again(&mut self, file: &mut File<'_>, note: &impl Serialize) -> Result<()> {
        self.is_first_look = true;
        file.look_again(note)
    }

    fn finish(self, file: &mut File<'_>) -> Result<Option<Facts>> {
        if self.is_first_look {
            return Ok(None);
        }
        for message in self.problems {
            file.problem(Problem::new(ProblemKind::Corrupt, message));
        }
        for (count, what) in [
            (self.strange, "entries of the database are no packages"),
            (self.missing, "packages of the database are not there to their end"),
            (self.overlapping, "pages of the database have rows that lie in one another"),
            (self.endless, "packages of the database list more files than they can have"),
        ] {
            if count > 0 {
                file.problem(Problem::new(ProblemKind::Corrupt, format!("{count} {what}")));
            }
        }
        Ok(self.records.finish(file))
    }
}

/// Fills the buffer; false where the file ends before.
fn fill(file: &mut File<'_>, mut buffer: &mut [u8]) -> Result<bool> {
    let reader = file.reader();
    while !buffer.is_empty() {
        match reader.read(buffer) {
            Ok(0) => return Ok(false),
            Ok(read) => buffer = buffer.get_mut(read..).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// The list that Azure Linux leaves in images without a database: a line a package, fields between tabs: name,
/// version-release, times of installing and building, vendor, epoch, size, architecture, epoch number, source package.
fn manifest(file: &mut File<'_>, found: &mut Found) -> Result<()> {
    let mut lines = Lines::new();
    while let Some(line) = lines.next(file)? {
        if line.is_blank() {
            continue;
        }
        let fields: Vec<_> = line.bytes.trim_ascii().split(|byte| *byte == b'\t').map(show).collect();
        let field = |index: usize| {
            fields.get(index).map(|field| &**field).filter(|field| *field != "(none)").unwrap_or_default()
        };
        let (name, version, epoch) = (field(0), field(1), field(8));
        if line.is_cut || name.is_empty() || version.is_empty() {
            found.strange += 1;
            continue;
        }
        let version = if matches!(epoch, "" | "0") { version.to_owned() } else { format!("{epoch}:{version}") };
        found.records.push(&Record::Package {
            place: Place::default(),
            name,
            version: &version,
            architecture: field(7),
            source: field(9),
            license: "",
            vendor: field(4),
            module: "",
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
