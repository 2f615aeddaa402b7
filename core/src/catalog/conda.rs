//! Conda packages that are installed (docs.conda.io, "Conda package specification", `conda-meta`).

use serde::Deserialize;

use super::record::{self, Record};
use crate::error::Result;
use crate::layer::json::{self, Text};
use crate::layer::{Cataloger, Facts, File, Interest, Records, Take, View};
use crate::model::inventory::Draft;
use crate::model::package::PackageType;

/// Reads `conda-meta/*.json`: what `conda list` names, without what pip installed.
pub struct Conda;

impl Cataloger for Conda {
    fn id(&self) -> &'static str {
        "conda"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interests(&self) -> &[Interest] {
        &[Interest::Path("**/conda-meta/*.json", Take::Whole)]
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        record::read(file, read)
    }

    fn resolve(&self, view: &View<'_>, draft: &mut Draft) -> Result<()> {
        record::resolve(PackageType::Conda, view, draft)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Json {
    name: Text,
    version: Text,
    license: Text,
}

fn read(file: &mut File<'_>, records: &mut Records) -> Result<()> {
    let Some(Json { name, version, license }) = json::read(file, "this is not the JSON of a package")? else {
        return Ok(());
    };
    if !name.0.is_empty() && !version.0.is_empty() {
        let licenses = Some(license.0).filter(|license| !license.is_empty()).into_iter().collect();
        records.push(&Record { name: name.0, version: version.0, licenses })?;
    }
    Ok(())
}
