//! Elixir and Erlang packages of Hex, from the one trace that they leave (Mix sources: `Mix.Dep.Lock`).

use super::record::{self, Record, VALUE};
use crate::error::Result;
use crate::layer::{Cataloger, Facts, File, Interest, Lines, Records, Take, View};
use crate::model::inventory::Draft;
use crate::model::package::PackageType;

/// Reads `mix.lock`: packages of the public repository, since others may have the same names.
pub struct Elixir;

impl Cataloger for Elixir {
    fn id(&self) -> &'static str {
        "elixir"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interests(&self) -> &[Interest] {
        &[Interest::Path("**/mix.lock", Take::Stream)]
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        record::read(file, read)
    }

    fn resolve(&self, view: &View<'_>, draft: &mut Draft) -> Result<()> {
        record::resolve(PackageType::Hex, view, draft)
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
        // A repository that is not named is the public one.
        let repository = rest.rsplit_once("], \"").and_then(|(_, rest)| rest.split('"').next());
        if repository.is_some_and(|repository| repository != "hexpm") {
            continue;
        }
        let (name, version) = (name.trim_matches('"'), version.trim_matches(['"', '}', ',']));
        if [name, version].iter().all(|text| (1..=VALUE).contains(&text.len())) {
            records.push(&Record { name: name.to_owned(), version: version.to_owned(), licenses: Vec::new() })?;
        }
    }
    Ok(())
}
