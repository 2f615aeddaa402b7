//! Gems that are installed: the specification that RubyGems writes for each (`Gem::Specification#to_ruby`).

use super::record::{self, Record, VALUE};
use crate::error::Result;
use crate::layer::{Cataloger, Facts, File, Interest, Lines, Records, Take, View};
use crate::model::inventory::Draft;
use crate::model::package::PackageType;
use crate::model::problem::{Problem, ProblemKind};

/// Reads `specifications/*.gemspec`, those of the gems that come with Ruby too: what `gem list` names.
pub struct Ruby;

impl Cataloger for Ruby {
    fn id(&self) -> &'static str {
        "ruby"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interests(&self) -> &[Interest] {
        &[
            Interest::Path("**/specifications/*.gemspec", Take::Stream),
            Interest::Path("**/specifications/default/*.gemspec", Take::Stream),
        ]
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        record::read(file, read)
    }

    fn resolve(&self, view: &View<'_>, draft: &mut Draft) -> Result<()> {
        record::resolve(PackageType::Gem, view, draft)
    }
}

/// The most bytes that are looked at; a specification has its name and version in the first lines.
const HEAD: usize = 1 << 20;
/// The most licences of a gem.
const LICENSES: usize = 16;

fn read(file: &mut File<'_>, records: &mut Records) -> Result<()> {
    let mut package = Record::default();
    let (mut lines, mut passed) = (Lines::new(), 0);
    while let Some(line) = lines.next(file)? {
        passed += line.bytes.len() + 1;
        if passed > HEAD {
            break;
        }
        if line.is_cut {
            continue;
        }
        let text = line.text();
        // `# stub: rake 13.0.6 ruby lib` repeats what follows; `s.name = "rake".freeze` is the specification itself.
        let Some((name, value)) = text.strip_prefix("s.").and_then(|rest| rest.split_once('=')) else { continue };
        let mut texts = value.split('"').skip(1).step_by(2).filter(|text| (1..=VALUE).contains(&text.len()));
        match name.trim() {
            "name" if package.name.is_empty() => package.name = texts.next().unwrap_or_default().to_owned(),
            // `Gem::Version.new("1")` in the oldest.
            "version" if package.version.is_empty() => package.version = texts.next().unwrap_or_default().to_owned(),
            "license" | "licenses" if package.licenses.is_empty() => {
                package.licenses = texts.take(LICENSES).map(str::to_owned).collect();
            }
            _ => {}
        }
    }
    if package.name.is_empty() || package.version.is_empty() {
        file.problem(Problem::new(ProblemKind::Malformed, "the specification has no name or no version"));
        return Ok(());
    }
    records.push(&package)
}
