//! Perl distributions: what cpanm wrote down when it installed them, and the snapshot of Carton (its sources: `Carton::Snapshot`).

use std::io::Read as _;

use serde::Deserialize;

use super::record::{self, Record};
use crate::error::Result;
use crate::layer::json::{self, Text};
use crate::layer::{Cataloger, Facts, File, Interest, Lines, Records, Take, View};
use crate::model::inventory::Draft;
use crate::model::package::PackageType;
use crate::model::path::show;
use crate::model::problem::{Problem, ProblemKind};

/// Reads `.meta/*/install.json` and `cpanfile.snapshot`.
pub struct Perl;

impl Cataloger for Perl {
    fn id(&self) -> &'static str {
        "perl"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interests(&self) -> &[Interest] {
        &[Interest::Path("**/.meta/*/install.json", Take::Stream), Interest::Path("**/cpanfile.snapshot", Take::Stream)]
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        record::read(file, read)
    }

    fn resolve(&self, view: &View<'_>, draft: &mut Draft) -> Result<()> {
        record::resolve(PackageType::Cpan, view, draft)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Json {
    dist: Text,
}

fn read(file: &mut File<'_>, records: &mut Records) -> Result<()> {
    if file.path().ends_with("/install.json") {
        let mut bytes = Vec::new();
        file.reader().take(INSTALLATION).read_to_end(&mut bytes)?;
        let Some(Json { dist }) = json::parse(&bytes) else {
            file.problem(Problem::new(ProblemKind::Malformed, "this is not the JSON of an installation"));
            return Ok(());
        };
        return distribution(&dist.0, records);
    }
    let mut lines = Lines::new();
    while let Some(line) = lines.next(file)? {
        // A distribution stands behind two blanks, what is said of it behind more.
        let name = line.bytes.strip_prefix(b"  ").filter(|rest| !rest.starts_with(b" ") && rest.len() <= VALUE);
        if let Some(name) = name.filter(|_| !line.is_cut) {
            distribution(&show(name.trim_ascii()), records)?;
        }
    }
    Ok(())
}

/// `Module-Runtime-0.016` (CPAN::DistnameInfo): the version starts behind the last hyphen before a digit or `v` and a digit.
fn distribution(text: &str, records: &mut Records) -> Result<()> {
    let starts_version = |rest: &str| rest.trim_start_matches('v').starts_with(|first: char| first.is_ascii_digit());
    let hyphens = text.rmatch_indices('-').filter_map(|(at, _)| text.get(..at).zip(text.get(at + 1..)));
    match hyphens.into_iter().find(|(name, rest)| !name.is_empty() && starts_version(rest)) {
        Some((name, version)) => {
            records.push(&Record { name: name.to_owned(), version: version.to_owned(), licenses: Vec::new() })
        }
        None => Ok(()),
    }
}

/// The most bytes of what cpanm wrote down of one installation.
const INSTALLATION: u64 = 4 << 20;

/// The most bytes of a name with its version.
const VALUE: usize = 512;
