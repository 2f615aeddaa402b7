//! Packages of Alpine and its relatives, from apk's installed database (`apk-package(5)`, Alpine wiki "Apk spec").

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::layer::{Cataloger, Facts, File, Interest, Lines, Records, Take, View};
use crate::model::inventory::Draft;
use crate::model::package::{PackageDraft, PackageType};
use crate::model::path::show;
use crate::model::problem::{Problem, ProblemKind};

/// Reads `installed`, in its old place and in the one that apk 3 of a merged `/usr` uses.
pub struct Apk;

/// The database is a row of these: a package, then what it owns and some cataloger may look at.
#[derive(Serialize, Deserialize)]
enum Record<'a> {
    Package { name: &'a str, version: &'a str, architecture: &'a str, origin: &'a str, license: &'a str },
    Owns(&'a str),
}

impl Cataloger for Apk {
    fn id(&self) -> &'static str {
        "apk"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interests(&self) -> &[Interest] {
        &[
            Interest::Path("lib/apk/db/installed", Take::Stream),
            Interest::Path("usr/lib/apk/db/installed", Take::Stream),
        ]
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        let (mut records, mut lines, mut paragraph) = (Records::new(), Lines::new(), Paragraph::default());
        let (mut strange, mut incomplete) = (0u64, 0u64);
        while let Some(line) = lines.next(file)? {
            if line.is_blank() {
                incomplete += u64::from(!paragraph.finish(&mut records)?);
                continue;
            }
            // One letter, a colon, the value.
            let [key, b':', value @ ..] = line.bytes else {
                strange += 1;
                continue;
            };
            paragraph.is_any = true;
            let value = show(value);
            match key {
                // A package whose name or version goes on beyond the line counts as one without.
                b'P' | b'V' if line.is_cut => {}
                b'P' => set(&mut paragraph.name, &value),
                b'V' => set(&mut paragraph.version, &value),
                b'A' => set(&mut paragraph.architecture, &value),
                b'o' => set(&mut paragraph.origin, &value),
                b'L' => set(&mut paragraph.license, &value),
                b'F' => set(&mut paragraph.directory, &value),
                b'R' if !line.is_cut => {
                    let path = match paragraph.directory.as_str() {
                        "" => value.into_owned(),
                        directory => format!("{directory}/{value}"),
                    };
                    // The fields come before the files.
                    if file.is_wanted(&path) && paragraph.write(&mut records)? {
                        records.push(&Record::Owns(&path))?;
                    }
                }
                _ => {}
            }
        }
        incomplete += u64::from(!paragraph.finish(&mut records)?);
        for (count, what) in [(strange, "lines are no fields"), (incomplete, "packages have no name or no version")] {
            if count > 0 {
                file.problem(Problem::new(ProblemKind::Corrupt, format!("{count} {what}")));
            }
        }
        Ok(records.finish(file))
    }

    fn resolve(&self, view: &View<'_>, draft: &mut Draft) -> Result<()> {
        for file in view.files() {
            let mut owner = None;
            for record in file.records::<Record<'_>>() {
                match record? {
                    Record::Package { name, version, architecture, origin, license } => {
                        // A package is built with its origin, which has the same version.
                        let origin = if origin.is_empty() { name } else { origin };
                        owner = Some(draft.push(&PackageDraft {
                            source: Some((origin, version)),
                            architecture,
                            licenses: if license.is_empty() { &[] } else { std::slice::from_ref(&license) },
                            ..PackageDraft::new(PackageType::Apk, name, version, file.path(), file.layer)
                        })?);
                    }
                    Record::Owns(path) => {
                        if let Some(owner) = owner {
                            draft.own(&view.real_path(path), owner);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// The fields of the package that is being read, in buffers that are used again.
#[derive(Default)]
struct Paragraph {
    is_any: bool,
    is_written: bool,
    name: String,
    version: String,
    architecture: String,
    origin: String,
    license: String,
    directory: String,
}

impl Paragraph {
    /// Writes the package, once; whether it is one.
    fn write(&mut self, records: &mut Records) -> Result<bool> {
        let is_package = !self.name.is_empty() && !self.version.is_empty();
        if is_package && !self.is_written {
            self.is_written = true;
            let Self { name, version, architecture, origin, license, .. } = &*self;
            records.push(&Record::Package { name, version, architecture, origin, license })?;
        }
        Ok(is_package)
    }

    /// Ends the package; false where there was something, and no package.
    fn finish(&mut self, records: &mut Records) -> Result<bool> {
        let is_good = self.write(records)? || !self.is_any;
        self.is_any = false;
        self.is_written = false;
        let Self { name, version, architecture, origin, license, directory, .. } = self;
        [name, version, architecture, origin, license, directory].into_iter().for_each(String::clear);
        Ok(is_good)
    }
}

fn set(field: &mut String, value: &str) {
    field.clear();
    field.push_str(value.trim_ascii());
}
