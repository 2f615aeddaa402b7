//! Python distributions that are installed (packaging.python.org: "Core metadata", "Recording installed projects").

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::layer::{Cataloger, Facts, File, Interest, Lines, Take, View};
use crate::model::inventory::Draft;
use crate::model::package::{PackageDraft, PackageType};
use crate::model::path::show;
use crate::model::problem::{Problem, ProblemKind};

/// Reads `METADATA` and `PKG-INFO`: what `pip list` names in the directories that it looks into.
///
/// A distribution below a `_vendor` directory is a copy inside another one (setuptools carries some); pip does not name it, and
/// neither does this. Nor are leftovers named whose directory starts with `~`, or the parts of Python itself that pip hides.
pub struct Python;

/// What pip hides, since Python itself brings it (`pip/_internal/utils/compat.py`, `stdlib_pkgs`).
const PYTHON_ITSELF: &[&str] = &["argparse", "python", "wsgiref"];

/// The most bytes of a header that are looked at; the body follows it and is not read.
const HEADER: usize = 1 << 20;

/// The most bytes of a name, a version or a licence.
const VALUE: usize = 256;

#[derive(Default, Serialize, Deserialize)]
struct Distribution {
    name: String,
    version: String,
    licenses: Vec<String>,
}

impl Cataloger for Python {
    fn id(&self) -> &'static str {
        "python"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interests(&self) -> &[Interest] {
        &[
            Interest::Path("**/*.dist-info/METADATA", Take::Stream),
            Interest::Path("**/*.egg-info/PKG-INFO", Take::Stream),
            Interest::Path("**/*.egg-info", Take::Stream),
            Interest::Path("**/*.egg/EGG-INFO/PKG-INFO", Take::Stream),
        ]
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        if file.path().split('/').any(|component| component == "_vendor" || component.starts_with('~')) {
            return Ok(None);
        }
        let Some(distribution) = header(file)? else {
            file.problem(Problem::new(ProblemKind::Malformed, "the metadata has no name or no version"));
            return Ok(None);
        };
        if PYTHON_ITSELF.iter().any(|hidden| distribution.name.eq_ignore_ascii_case(hidden)) {
            return Ok(None);
        }
        Facts::encode(&distribution).map(Some)
    }

    fn resolve(&self, view: &View<'_>, draft: &mut Draft) -> Result<()> {
        for file in view.files() {
            let distribution: Distribution = file.facts()?;
            let licenses: Vec<&str> = distribution.licenses.iter().map(String::as_str).collect();
            draft.push(&PackageDraft {
                licenses: &licenses,
                ..PackageDraft::new(
                    PackageType::Pypi,
                    &distribution.name,
                    &distribution.version,
                    file.path(),
                    file.layer,
                )
            })?;
        }
        Ok(())
    }
}

/// The header up to the first blank line; none without a usable name and version.
fn header(file: &mut File<'_>) -> Result<Option<Distribution>> {
    let mut found = Distribution::default();
    let (mut expression, mut license, mut classifiers) = (String::new(), String::new(), Vec::new());
    let (mut lines, mut read) = (Lines::new(), 0);
    while let Some(line) = lines.next(file)? {
        read += line.bytes.len() + 1;
        if line.bytes.is_empty() || read > HEADER {
            break;
        }
        let Some((name, value)) = line.field() else { continue };
        if value.is_empty() || value.len() > VALUE {
            continue;
        }
        let slot = match name.to_ascii_lowercase().as_slice() {
            b"name" => &mut found.name,
            b"version" => &mut found.version,
            b"license-expression" => &mut expression,
            b"license" => &mut license,
            b"classifier" => {
                let classifier =
                    value.strip_prefix(b"License :: ").and_then(|rest| rest.rsplit(|byte| *byte == b':').next());
                if classifiers.len() < 16 {
                    classifiers.extend(classifier.map(|last| show(last.trim_ascii()).into_owned()));
                }
                continue;
            }
            _ => continue,
        };
        // The first holds, as in `email.message.Message`, which pip asks.
        if slot.is_empty() {
            slot.push_str(&show(value));
        }
    }
    found.licenses = match () {
        () if !expression.is_empty() => vec![expression],
        () if !license.is_empty() && license != "UNKNOWN" => vec![license],
        () => classifiers,
    };
    Ok((is_name(&found.name) && !found.version.is_empty()).then_some(found))
}

/// Whether pip takes this for a name: letters, digits and `._-`, the first and the last a letter or a digit.
fn is_name(name: &str) -> bool {
    let is_edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    is_edge(name.as_bytes().first())
        && is_edge(name.as_bytes().last())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}
