//! Rocks that LuaRocks installed: their specification (LuaRocks wiki, "Rockspec format").

use super::record::{self, Record, VALUE};
use crate::error::Result;
use crate::layer::{Cataloger, Facts, File, Interest, Lines, Records, Take, View};
use crate::model::inventory::Draft;
use crate::model::package::PackageType;
use crate::model::problem::{Problem, ProblemKind};

/// Reads the `.rockspec` in the tree of installed rocks.
pub struct Lua;

impl Cataloger for Lua {
    fn id(&self) -> &'static str {
        "lua"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interests(&self) -> &[Interest] {
        &[Interest::Path("**/luarocks/rocks*/*/*/*.rockspec", Take::Stream)]
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        record::read(file, read)
    }

    fn resolve(&self, view: &View<'_>, draft: &mut Draft) -> Result<()> {
        record::resolve(PackageType::Luarocks, view, draft)
    }
}
/// The most bytes that are looked at.
const HEAD: usize = 1 << 20;

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
        let Some((name, value)) = text.split_once('=') else { continue };
        let quote = value.find(['"', '\'']).and_then(|at| value.get(at..at + 1));
        let Some(value) = quote.and_then(|quote| value.split(quote).nth(1)) else { continue };
        if !(1..=VALUE).contains(&value.len()) {
            continue;
        }
        match name.trim() {
            "package" if package.name.is_empty() => package.name = value.to_owned(),
            "version" if package.version.is_empty() => package.version = value.to_owned(),
            "license" if package.licenses.is_empty() => package.licenses.push(value.to_owned()),
            _ => {}
        }
    }
    if package.name.is_empty() || package.version.is_empty() {
        // Some specifications compute them; the name of the file has both: `NAME-VERSION-REVISION.rockspec`.
        let stem = file.path().rsplit('/').next().and_then(|name| name.strip_suffix(".rockspec")).unwrap_or_default();
        let mut parts = stem.rsplitn(3, '-');
        let (revision, version, name) = (parts.next(), parts.next(), parts.next());
        let (Some(revision), Some(version), Some(name)) = (revision, version, name) else {
            file.problem(Problem::new(ProblemKind::Malformed, "the specification has no name or no version"));
            return Ok(());
        };
        (package.name, package.version) = (name.to_owned(), format!("{version}-{revision}"));
    }
    records.push(&package)
}
