//! R packages that are installed (CRAN, "Writing R Extensions", "The DESCRIPTION file").

use super::record::{self, Record, VALUE};
use crate::error::Result;
use crate::layer::{Cataloger, Facts, File, Interest, Lines, Records, Take, View};
use crate::model::inventory::Draft;
use crate::model::package::PackageType;
use crate::model::path::show;

/// Reads `DESCRIPTION` of each package in a library: what `installed.packages()` names.
pub struct R;

impl Cataloger for R {
    fn id(&self) -> &'static str {
        "r"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interests(&self) -> &[Interest] {
        &[
            Interest::Path("**/library/*/DESCRIPTION", Take::Stream),
            Interest::Path("**/site-library/*/DESCRIPTION", Take::Stream),
        ]
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        record::read(file, read)
    }

    fn resolve(&self, view: &View<'_>, draft: &mut Draft) -> Result<()> {
        record::resolve(PackageType::Cran, view, draft)
    }
}

fn read(file: &mut File<'_>, records: &mut Records) -> Result<()> {
    let (mut package, mut is_installed) = (Record::default(), false);
    let mut lines = Lines::new();
    while let Some(line) = lines.next(file)? {
        let Some((name, value)) = line.field().filter(|(_, value)| (1..=VALUE).contains(&value.len())) else {
            continue;
        };
        match name {
            b"Package" => package.name = show(value).into_owned(),
            b"Version" => package.version = show(value).into_owned(),
            b"License" => package.licenses = vec![show(value).into_owned()],
            // R writes it when it installs; sources have none.
            b"Built" => is_installed = true,
            _ => {}
        }
    }
    if is_installed && !package.name.is_empty() && !package.version.is_empty() {
        records.push(&package)?;
    }
    Ok(())
}
