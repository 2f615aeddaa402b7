//! `scan --advisories DIR`, seen from outside: the program itself, and a registry on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tidewaiter::conformance::image::{ImageBuilder, Layer};
use tidewaiter::conformance::registry::TestRegistry;

fn record(id: &str) -> String {
    format!(
        r#"{{"id": "{id}", "modified": "2026-01-01T00:00:00Z", "affected": [{{"package": {{"ecosystem": "npm", "name": "left-pad"}},
            "versions": ["1.0.0"]}}]}}"#
    )
}

fn tidewaiter(arguments: &[&str], home: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tidewaiter"))
        .args(arguments)
        .env("HOME", home)
        .env("XDG_CACHE_HOME", home.join("cache"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The exit code and what was told; of the findings it is enough that their ids are there.
fn end(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn a_folder_of_exports_is_compiled_once_and_anew_when_it_changed() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let registry = TestRegistry::start().unwrap();
    let layer =
        Layer::new().file("app/node_modules/left-pad/package.json", r#"{"name": "left-pad", "version": "1.0.0"}"#);
    registry.push("app", "1", &ImageBuilder::new().layer(layer).build());
    let image = format!("http://{}/app:1", registry.host());
    let exports = home.join("osv");
    let folder = exports.to_str().unwrap();
    let start =
        || tidewaiter(&["scan", &image, "--offline", "--quiet", "--format", "json", "--advisories", folder], home);
    let scan = || end(start());
    let compiled = || -> Vec<PathBuf> {
        let entries = fs::read_dir(home.join("cache/tidewaiter/advisories")).into_iter().flatten();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "db")).collect()
    };

    fs::create_dir_all(exports.join("npm")).unwrap();
    let (code, told) = scan();
    assert!(code == Some(0) && told.contains("no-advisories"), "an empty folder has none: {told}");

    fs::write(exports.join("npm/X-1.json"), record("X-1")).unwrap();
    // Two at once: one compiles, the other waits for it.
    for (code, told) in [start(), start()].map(end) {
        assert!(code == Some(0) && told.contains("X-1"), "{told}");
    }
    let [first] = compiled().try_into().unwrap();
    let changed = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let time = changed(&first);
    assert!(scan().1.contains("X-1"));
    assert_eq!(changed(&first), time, "it was compiled again");

    fs::write(exports.join("npm/X-2.json"), record("X-2")).unwrap();
    fs::remove_file(exports.join("npm/X-1.json")).unwrap();
    let (code, told) = scan();
    assert!(code == Some(0) && told.contains("X-2") && !told.contains("X-1"), "{told}");
    let [second] = compiled().try_into().unwrap();
    assert_ne!(first, second, "what is out of date is taken away");

    fs::write(exports.join("npm/X-2.json"), "{ not json").unwrap();
    let (code, told) = scan();
    assert!(code == Some(2) && told.contains("there are no advisories in what was given"), "{told}");

    // A database in the folder is what is used, and what an import into the folder makes.
    let other = home.join("y.json");
    fs::write(&other, record("Y-1")).unwrap();
    let imported = end(tidewaiter(&["advisories", "import", other.to_str().unwrap(), "--db", folder], home));
    assert!(imported.0 == Some(0) && exports.join("advisories.db").exists(), "{}", imported.1);
    assert!(scan().1.contains("Y-1"));
}
