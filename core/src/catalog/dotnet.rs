//! .NET packages that an application brings (.NET runtime sources: `runtime-configuration-file.md`).

use serde::Deserialize;

use super::record::{self, Record};
use crate::error::Result;
use crate::layer::json::{self, Members, Text};
use crate::layer::{Cataloger, Facts, File, Interest, Records, Take, View};
use crate::model::inventory::Draft;
use crate::model::package::PackageType;
use crate::model::problem::{Problem, ProblemKind};

/// Reads `*.deps.json`: the NuGet packages, and those of the runtime where an application carries one.
pub struct Dotnet;

impl Cataloger for Dotnet {
    fn id(&self) -> &'static str {
        "dotnet"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interests(&self) -> &[Interest] {
        &[Interest::Path("**/*.deps.json", Take::Whole)]
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        record::read(file, read)
    }

    fn resolve(&self, view: &View<'_>, draft: &mut Draft) -> Result<()> {
        record::resolve(PackageType::Nuget, view, draft)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Dependencies {
    libraries: Members<Library>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Library {
    r#type: Text,
}

fn read(file: &mut File<'_>, records: &mut Records) -> Result<()> {
    let Some(found) = json::read::<Dependencies>(file, "this is not the JSON of dependencies")? else { return Ok(()) };
    for (key, library) in found.libraries.members {
        let Some((name, version)) = key.split_once('/') else { continue };
        // `project` is the application itself, `reference` a file of unknown origin.
        let name = match library.r#type.0.as_str() {
            "package" => name,
            "runtimepack" => name.strip_prefix("runtimepack.").unwrap_or(name),
            _ => continue,
        };
        if !name.is_empty() && !version.is_empty() {
            records.push(&Record { name: name.to_owned(), version: version.to_owned(), licenses: Vec::new() })?;
        }
    }
    if found.libraries.refused > 0 {
        let message = format!("{} more packages are not read", found.libraries.refused);
        file.problem(Problem::new(ProblemKind::LimitExceeded, message));
    }
    Ok(())
}
