//! Packages of Arch Linux and its relatives, from pacman's local database (`alpm` in the pacman sources: `be_local.c`).

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::layer::{Cataloger, Facts, File, Interest, Lines, Records, Take, View};
use crate::model::inventory::Draft;
use crate::model::package::{PackageDraft, PackageType};
use crate::model::path::show;
use crate::model::problem::{Problem, ProblemKind};

/// Reads the `desc` and the `files` of each package's directory.
pub struct Pacman;

/// The most licences of a package.
const LICENSES: usize = 16;

#[derive(Default, Serialize, Deserialize)]
struct Description {
    name: String,
    version: String,
    base: String,
    architecture: String,
    licenses: Vec<String>,
}

impl Cataloger for Pacman {
    fn id(&self) -> &'static str {
        "pacman"
    }

    fn version(&self) -> u32 {
        3
    }

    fn interests(&self) -> &[Interest] {
        &[Interest::Path("var/lib/pacman/local/*/{desc,files}", Take::Stream)]
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        if file.path().ends_with("/desc") { description(file) } else { owned_paths(file) }
    }

    fn resolve(&self, view: &View<'_>, draft: &mut Draft) -> Result<()> {
        let mut by_directory = HashMap::new();
        for file in view.files() {
            let Some(directory) = file.path().strip_suffix("/desc") else { continue };
            let found: Description = file.facts()?;
            let licenses: Vec<&str> = found.licenses.iter().map(String::as_str).collect();
            let base = if found.base.is_empty() { &found.name } else { &found.base };
            let pushed = draft.push(&PackageDraft {
                source: Some((base, &found.version)),
                architecture: &found.architecture,
                licenses: &licenses,
                ..PackageDraft::new(PackageType::Alpm, &found.name, &found.version, file.path(), file.layer)
            })?;
            by_directory.insert(directory, pushed);
        }
        for file in view.files() {
            let owner = file.path().strip_suffix("/files").and_then(|directory| by_directory.get(directory));
            let Some(owner) = owner else { continue };
            for path in file.records::<&str>() {
                draft.own(&view.real_path(path?), *owner);
            }
        }
        Ok(())
    }
}

/// Sections, each a line `%NAME%`, its values a line each, and a blank line.
fn description(file: &mut File<'_>) -> Result<Option<Facts>> {
    let mut found = Description::default();
    let (mut section, mut lines) = (Vec::new(), Lines::new());
    while let Some(line) = lines.next(file)? {
        if line.bytes.starts_with(b"%") {
            section.clear();
            section.extend_from_slice(line.bytes);
            continue;
        }
        if line.is_blank() || line.is_cut {
            continue;
        }
        let field = match section.as_slice() {
            b"%NAME%" => &mut found.name,
            b"%VERSION%" => &mut found.version,
            b"%BASE%" => &mut found.base,
            b"%ARCH%" => &mut found.architecture,
            b"%LICENSE%" if found.licenses.len() < LICENSES => {
                found.licenses.push(line.text().into_owned());
                continue;
            }
            _ => continue,
        };
        if field.is_empty() {
            field.push_str(&line.text());
        }
    }
    if found.name.is_empty() || found.version.is_empty() {
        file.problem(Problem::new(ProblemKind::Malformed, "the package has no name or no version"));
        return Ok(None);
    }
    Facts::encode(&found).map(Some)
}

/// The files, not the directories, that are listed and in which a cataloger may find a package.
fn owned_paths(file: &mut File<'_>) -> Result<Option<Facts>> {
    let (mut records, mut lines, mut is_files) = (Records::new(), Lines::new(), false);
    while let Some(line) = lines.next(file)? {
        if line.bytes.starts_with(b"%") {
            is_files = line.bytes == b"%FILES%";
        } else if is_files && !line.is_cut {
            let path = show(line.bytes);
            if file.is_wanted(&path) {
                records.push(&path.as_ref())?;
            }
        }
    }
    Ok(records.finish(file))
}
