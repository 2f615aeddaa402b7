//! Dart packages, from the one trace that they leave (dart.dev, "pubspec.lock").

use super::record::{self, Record, VALUE};
use crate::error::Result;
use crate::layer::{Cataloger, Facts, File, Interest, Line, Lines, Records, Take, View};
use crate::model::inventory::Draft;
use crate::model::package::PackageType;
use crate::model::path::show;

/// Reads `pubspec.lock`: packages of the public server. Those of another, of a repository, of the SDK or a folder may have the same
/// names.
pub struct Dart;

impl Cataloger for Dart {
    fn id(&self) -> &'static str {
        "dart"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interests(&self) -> &[Interest] {
        &[Interest::Path("**/pubspec.lock", Take::Stream)]
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        record::read(file, read)
    }

    fn resolve(&self, view: &View<'_>, draft: &mut Draft) -> Result<()> {
        record::resolve(PackageType::Pub, view, draft)
    }
}

fn read(file: &mut File<'_>, records: &mut Records) -> Result<()> {
    // The file is YAML, and always written by the same program: two blanks a level, a scalar a line.
    let (mut package, mut is_hosted, mut is_elsewhere, mut is_packages) = (Record::default(), false, false, false);
    let mut lines = Lines::new();
    loop {
        let line = lines.next(file)?;
        let depth = line.map_or(0, |line| line.bytes.iter().take_while(|byte| **byte == b' ').count());
        if line.is_none() || depth <= 2 {
            let done = std::mem::take(&mut package);
            if is_hosted && !is_elsewhere && !done.name.is_empty() && !done.version.is_empty() {
                records.push(&done)?;
            }
            (is_hosted, is_elsewhere) = (false, false);
        }
        let Some(line) = line else { return Ok(()) };
        let Some((name, value)) = (Line { bytes: line.bytes.trim_ascii_start(), ..line }).field() else { continue };
        let value = value.trim_ascii().strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
        match depth {
            0 => is_packages = name == b"packages",
            2 if is_packages => package.name = show(name.get(..name.len().min(VALUE)).unwrap_or(name)).into_owned(),
            4 if name == b"version" && value.len() <= VALUE => package.version = show(value).into_owned(),
            4 if name == b"source" => is_hosted = value == b"hosted",
            6 if name == b"url" => is_elsewhere = !matches!(value, b"https://pub.dev" | b"https://pub.dartlang.org"),
            _ => {}
        }
    }
}
