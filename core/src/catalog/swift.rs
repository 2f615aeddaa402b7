//! Swift packages, from the one trace that they leave (swift-package-manager sources: `ResolvedPackagesStore`).

use serde::Deserialize;

use super::record::{self, Record};
use crate::error::Result;
use crate::layer::json::{self, Few, Text};
use crate::layer::{Cataloger, Facts, File, Interest, Records, Take, View};
use crate::model::inventory::Draft;
use crate::model::package::PackageType;
use crate::model::problem::{Problem, ProblemKind};

/// Reads `Package.resolved`; what is pinned to a branch or a commit has no version and is not named.
pub struct Swift;

impl Cataloger for Swift {
    fn id(&self) -> &'static str {
        "swift"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interests(&self) -> &[Interest] {
        &[Interest::Path("**/Package.resolved", Take::Whole)]
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        record::read(file, read)
    }

    fn resolve(&self, view: &View<'_>, draft: &mut Draft) -> Result<()> {
        record::resolve(PackageType::Swift, view, draft)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Resolved {
    pins: Few<Pin>,
    /// Where the first form has its pins.
    object: Option<Object>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    pins: Few<Pin>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Pin {
    #[serde(alias = "repositoryURL")]
    location: Text,
    state: State,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct State {
    version: Text,
}

fn read(file: &mut File<'_>, records: &mut Records) -> Result<()> {
    let Some(Resolved { pins, object }) = json::read(file, "this is not the JSON of resolved packages")? else {
        return Ok(());
    };
    let object = object.unwrap_or_default();
    let refused = pins.refused + object.pins.refused;
    if refused > 0 {
        file.problem(Problem::new(ProblemKind::LimitExceeded, format!("{refused} more packages are not read")));
    }
    for Pin { location, state } in pins.elements.into_iter().chain(object.pins.elements) {
        if let Some(name) = name(&location.0).filter(|_| !state.version.0.is_empty()) {
            records.push(&Record { name, version: state.version.0, licenses: Vec::new() })?;
        }
    }
    Ok(())
}

/// The name that the world gives a repository: `github.com/apple/swift-nio` of `https://github.com/apple/swift-nio.git` and of
/// `git@github.com:apple/swift-nio`. None for a folder, which is no name to anybody else.
fn name(location: &str) -> Option<String> {
    let (authority, path) = match location.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?,
        None => location.split_once([':', '/'])?,
    };
    let host = authority.rsplit('@').next()?.split(':').next()?;
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let is_named = !host.is_empty() && !host.starts_with('.') && !path.is_empty();
    is_named.then(|| format!("{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_host_and_a_path() {
        for (location, expected) in [
            ("https://github.com/apple/swift-nio.git", Some("github.com/apple/swift-nio")),
            ("git@github.com:apple/swift-nio.git", Some("github.com/apple/swift-nio")),
            ("ssh://git@github.com:22/grpc/grpc-swift.git", Some("github.com/grpc/grpc-swift")),
            ("https://me:secret@github.com/a/b/", Some("github.com/a/b")),
            ("github.com/a/b", Some("github.com/a/b")),
            ("../Local", None),
            ("/home/me/Local", None),
            ("file:///home/me/Local", None),
            ("https://github.com", None),
            ("", None),
        ] {
            assert_eq!(name(location).as_deref(), expected, "{location}");
        }
    }
}
