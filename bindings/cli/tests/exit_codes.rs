//! What the exit codes of `scan` and `job run` say, seen from outside: the program itself, and a registry on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may")]

use std::path::Path;
use std::process::{Command, Output};

use tidewaiter::conformance::image::{Compression, ImageBuilder, Layer};
use tidewaiter::conformance::registry::{Fault, TestRegistry};

const PACKAGE: &str = r#"{"name": "left-pad", "version": "1.0.0"}"#;
const RECORD: &str = r#"{"id": "X-1", "modified": "2026-01-01T00:00:00Z", "database_specific": {"severity": "MODERATE"},
    "affected": [{"package": {"ecosystem": "npm", "name": "left-pad"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}]}]}"#;
const DEBIAN: &str = "ID=debian\nVERSION_ID=12\n";
const STATUS: &str =
    "Package: openssl\nStatus: install ok installed\nVersion: 3.0.15-1\nArchitecture: amd64\n\nno field at all\n\n";

fn tidewaiter(arguments: &[&str], home: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidewaiter"))
        .args(arguments)
        .env("HOME", home)
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("XDG_DATA_HOME", home.join("data"))
        .output()
        .unwrap()
}

fn layer() -> Layer {
    Layer::new().file("app/node_modules/left-pad/package.json", PACKAGE)
}

#[test]
fn the_exit_code_of_a_scan_says_whether_a_limit_was_met_and_whether_that_is_sure() {
    let home = tempfile::tempdir().unwrap();
    let registry = TestRegistry::start().unwrap();
    let mut cut = layer().file("srv/large", "x".repeat(4096)).tar();
    cut.truncate(cut.len() - 3000);
    let layers = [
        ("sound", layer().tar()),
        (
            "fixture",
            layer().file("app/node_modules/resolve/test/broken/node_modules/a/package.json", "{ not json").tar(),
        ),
        ("metadata", layer().file("usr/lib/python3/dist-packages/a-1.dist-info/METADATA", "Summary: nothing\n").tar()),
        ("database", layer().file("etc/os-release", DEBIAN).file("var/lib/dpkg/status", STATUS).tar()),
        ("cut", cut),
    ];
    for (tag, layer) in layers {
        registry.push("app", tag, &ImageBuilder::new().tar(layer, Compression::Gzip).build());
    }

    let [record, database] = ["x.json", "advisories.db"].map(|name| home.path().join(name));
    std::fs::write(&record, RECORD).unwrap();
    let debian = RECORD
        .replace("npm", "Debian:12")
        .replace("left-pad", "zsh")
        .replace("X-1", "X-2")
        .replace("SEMVER", "ECOSYSTEM");
    std::fs::write(home.path().join("y.json"), debian).unwrap();
    let (records, database) = (home.path().to_str().unwrap(), database.to_str().unwrap());
    assert_eq!(tidewaiter(&["advisories", "import", records, "--db", database], home.path()).status.code(), Some(0));

    let with = ["--advisories", database];
    for (tag, arguments, expected, why) in [
        ("sound", &["--fail-on", "medium"][..], 1, "a finding is as severe"),
        ("sound", &["--fail-on", "high"], 0, "none is, and all was looked at"),
        ("sound", &[], 0, "findings alone are no failure"),
        ("fixture", &["--fail-on", "high"], 0, "a broken file of its own hides nothing"),
        ("metadata", &["--fail-on", "high"], 0, "a broken file of its own hides nothing"),
        ("database", &["--fail-on", "high"], 3, "a damaged package database may hide packages"),
        ("database", &["--fail-on", "medium"], 1, "met is met, whatever else is missing"),
        ("database", &[], 0, "nobody asked for a limit"),
        ("cut", &["--fail-on", "high"], 3, "a layer ends early"),
        ("sound", &["--fail-on", "high", "--limit", "file=10"], 3, "a file was not read"),
        ("sound", &["--fail-on", "severe"], 2, "there is no such severity"),
        ("missing", &["--fail-on", "high"], 2, "there is no such image"),
    ] {
        let reference = format!("http://{}/app:{tag}", registry.host());
        let scan = [&["scan", &reference, "--offline", "--quiet", "--format", "json"], &with[..], arguments].concat();
        let output = tidewaiter(&scan, home.path());
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(expected), "{tag} {arguments:?}: {why}\n{told}");
        let report = String::from_utf8_lossy(&output.stdout);
        assert_eq!(report.contains(r#""kind":"malformed""#), matches!(tag, "fixture" | "metadata"), "{tag}: {report}");
    }

    let reference = format!("http://{}/app:sound", registry.host());
    let scan = ["scan", &reference, "--offline", "--quiet", "--advisories", "no.db", "--fail-on", "low"];
    assert_eq!(tidewaiter(&scan, home.path()).status.code(), Some(2), "there is nothing to decide with");
    assert_eq!(tidewaiter(&scan[..6], home.path()).status.code(), Some(0), "but packages are told");
}

#[test]
fn a_run_that_could_not_list_all_is_finished_and_no_success() {
    let home = tempfile::tempdir().unwrap();
    let registry = TestRegistry::start().unwrap();
    let image = ImageBuilder::new().tar(layer().tar(), Compression::Gzip).build();
    for repository in ["team/app", "team/web", "team/shop"] {
        registry.push(repository, "1.0", &image);
    }
    let run = |arguments: &[&str]| {
        let output = tidewaiter(arguments, home.path());
        let [told, shown] = [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        (output.status.code(), shown, told)
    };
    assert_eq!(run(&["registry", "add", "local", "--url", &registry.url()]).0, Some(0));
    assert_eq!(run(&["job", "add", "all", "--registry", "local"]).0, Some(0));
    registry.fault("/team/app/tags", 1, Fault::status(403));
    registry.fault("/team/web/tags", 1, Fault::status(403));
    let (code, shown, told) = run(&["job", "run", "all", "--offline"]);
    assert_eq!(code, Some(2), "not all could be done\n{told}");
    for text in
        ["run 1 Finished", "scanned   1", "2 repositories could not be listed (repositories: team/app, team/web)"]
    {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert!(told.contains("team/app: ") && told.contains("team/web: "), "{told}");
    let (code, shown, told) = run(&["job", "run", "all", "--offline"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(shown.contains("scanned   2") && !shown.contains("could not be listed"), "{shown}");
}
