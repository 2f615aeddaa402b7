//! PHP packages that Composer installed (its sources: `InstalledFilesystemRepository`).

use serde::Deserialize;

use super::record::{self, Record};
use crate::error::Result;
use crate::layer::json::{self, Few, Text, Texts};
use crate::layer::{Cataloger, Facts, File, Interest, Records, Take, View};
use crate::model::inventory::Draft;
use crate::model::package::PackageType;
use crate::model::problem::{Problem, ProblemKind};

/// Reads `vendor/composer/installed.json`, as Composer 1 and 2 write it.
pub struct Php;

impl Cataloger for Php {
    fn id(&self) -> &'static str {
        "php"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interests(&self) -> &[Interest] {
        &[Interest::Path("**/composer/installed.json", Take::Whole)]
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        record::read(file, read)
    }

    fn resolve(&self, view: &View<'_>, draft: &mut Draft) -> Result<()> {
        record::resolve(PackageType::Composer, view, draft)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Installed {
    packages: Few<Json>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Json {
    name: Text,
    version: Text,
    license: Texts,
}

fn read(file: &mut File<'_>, records: &mut Records) -> Result<()> {
    let what = "this is not the JSON of installed packages";
    // Composer 1 wrote the list alone.
    let is_list = file.bytes()?.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let packages: Option<Few<Json>> =
        if is_list { json::read(file, what)? } else { json::read(file, what)?.map(|Installed { packages }| packages) };
    let Some(packages) = packages else { return Ok(()) };
    for Json { name, version, license } in packages.elements {
        // A name without a vendor is none.
        if name.0.contains('/') && !version.0.is_empty() {
            records.push(&Record { name: name.0, version: version.0, licenses: license.0 })?;
        }
    }
    if packages.refused > 0 {
        file.problem(Problem::new(
            ProblemKind::LimitExceeded,
            format!("{} more packages are not read", packages.refused),
        ));
    }
    Ok(())
}
