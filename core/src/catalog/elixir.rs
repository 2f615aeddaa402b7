//! Elixir and Erlang packages of Hex, from the one trace that they leave (Mix sources: `Mix.Dep.Lock`).

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::layer::{Cataloger, Facts, File, Interest, Lines, Records, Take, View};
use crate::model::inventory::Draft;
use crate::model::package::{PackageDraft, PackageType};

/// Reads `mix.lock`.
pub struct Elixir;

#[derive(Default, Serialize, Deserialize)]
struct Package {
    name: String,
    version: String,
    licenses: Vec<String>,
}

impl Cataloger for Elixir {
    fn id(&self) -> &'static str {
        "elixir"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interests(&self) -> &[Interest] {
        &[Interest::Path("**/mix.lock", Take::Stream)]
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        let mut records = Records::new();
        read(file, &mut records)?;
        Ok(records.finish(file))
    }

    fn resolve(&self, view: &View<'_>, draft: &mut Draft) -> Result<()> {
        for file in view.files() {
            for package in file.records::<Package>() {
                let package = package?;
                let licenses: Vec<&str> = package.licenses.iter().map(String::as_str).collect();
                draft.push(&PackageDraft {
                    licenses: &licenses,
                    ..PackageDraft::new(PackageType::Hex, &package.name, &package.version, &file.path, file.layer)
                })?;
            }
        }
        Ok(())
    }
}

fn read(file: &mut File<'_>, records: &mut Records) -> Result<()> {
    let mut lines = Lines::new();
    while let Some(line) = lines.next(file)? {
        // `"jason": {:hex, :jason, "1.4.0", "e855...", [:mix], [...], "hexpm", "..."},`: one line a package, and long ones.
        let text = line.text();
        let Some((_, rest)) = text.split_once("{:hex, :") else { continue };
        let mut fields = rest.split(", ");
        let (Some(name), Some(version)) = (fields.next(), fields.next()) else { continue };
        let (name, version) = (name.trim_matches('"'), version.trim_matches('"'));
        if [name, version].iter().all(|text| (1..=VALUE).contains(&text.len())) {
            records.push(&Package { name: name.to_owned(), version: version.to_owned(), licenses: Vec::new() })?;
        }
    }
    Ok(())
}

/// The most bytes of a name or a version.
const VALUE: usize = 256;
