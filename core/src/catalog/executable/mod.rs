//! Programs and libraries that carry a list of what they were made of: Go's build information, Rust's audit data. One cataloger,
//! since a file that streams by has one reader.

mod elf;
mod go;
mod rust;

use std::io::BufRead;

use serde::{Deserialize, Serialize};

use self::elf::Elf;
use self::go::{Build, Places};
use crate::error::Result;
use crate::layer::window::Window;
use crate::layer::{Cataloger, Facts, File, Interest, Records, Take, View};
use crate::model::inventory::Draft;
use crate::model::package::{PackageDraft, PackageType};
use crate::model::path::show;

/// Reads ELF files of any size, wherever they lie.
pub struct Executable;

#[derive(Serialize, Deserialize)]
struct Record<'a> {
    kind: PackageType,
    name: &'a str,
    version: &'a str,
}

/// What was found in one program.
enum Found {
    Go {
        version: Vec<u8>,
        modules: Vec<u8>,
    },
    /// A Go program whose lists are where only a second look can see them.
    Elsewhere(Places),
    Rust(Vec<rust::Crate>),
}

impl Cataloger for Executable {
    fn id(&self) -> &'static str {
        "executable"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interests(&self) -> &[Interest] {
        &[Interest::Magic(b"\x7fELF", Take::Stream)]
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        let places: Option<Places> = file.note()?;
        let mut input = Window::new(file.reader());
        let found = match places {
            Some(places) => {
                let (version, modules) = places.read(&mut input)?;
                Some(Found::Go { version, modules })
            }
            None => look(&mut input)?,
        };
        let mut records = Records::new();
        match found {
            None => {}
            Some(Found::Elsewhere(places)) => file.look_again(&places)?,
            Some(Found::Go { version, modules }) => {
                let push = |records: &mut Records, name: &[u8], version: &[u8]| {
                    records.push(&Record { kind: PackageType::Golang, name: &show(name), version: &show(version) })
                };
                let version = show(&version);
                if !version.is_empty() {
                    push(&mut records, b"stdlib", go::standard_library(&version).as_bytes())?;
                }
                go::modules(&modules, |path, version| push(&mut records, path, version))?;
            }
            Some(Found::Rust(crates)) => {
                for found in crates.iter().filter(|found| found.is_inside()) {
                    let (name, version) = (show(found.name.as_bytes()), show(found.version.as_bytes()));
                    if !name.is_empty() {
                        records.push(&Record { kind: PackageType::Cargo, name: &name, version: &version })?;
                    }
                }
            }
        }
        Ok(records.finish(file))
    }

    fn resolve(&self, view: &View<'_>, draft: &mut Draft) -> Result<()> {
        for file in view.files() {
            for record in file.records::<Record<'_>>() {
                let Record { kind, name, version } = record?;
                draft.push(&PackageDraft::new(kind, name, version, file.path(), file.layer))?;
            }
        }
        Ok(())
    }
}

/// The first look.
fn look(input: &mut Window<impl BufRead>) -> Result<Option<Found>> {
    let Some(elf) = Elf::read(input)? else { return Ok(None) };
    for segment in elf.segments.iter().filter(|segment| segment.is_writable) {
        input.skip(segment.offset.saturating_sub(input.position()))?;
        if input.position() < segment.offset {
            // The file ends before; or this is only its debug information, whose segments are elsewhere.
            return Ok(None);
        }
        match go::find(&elf, segment, input)? {
            Some(Build::Known(version, modules)) => return Ok(Some(Found::Go { version, modules })),
            Some(Build::Elsewhere(places)) => return Ok(Some(Found::Elsewhere(places))),
            None => {}
        }
    }
    Ok(rust::find(&elf, input)?.map(Found::Rust))
}

#[cfg(test)]
mod tests;
