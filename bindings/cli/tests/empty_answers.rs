//! An answer without anything in it never looks like a clean one, and a question makes no file.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may")]

use std::path::Path;
use std::process::Command;

use tidewaiter::conformance::image::{Compression, ImageBuilder, Layer};
use tidewaiter::conformance::registry::TestRegistry;

/// The exit code, standard output and standard error.
fn run(arguments: &[&str], home: &Path) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tidewaiter"))
        .args(arguments)
        .current_dir(home)
        .env("HOME", home)
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("XDG_DATA_HOME", home.join("data"))
        .output()
        .unwrap();
    let [shown, told] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    (output.status.code(), shown, told)
}

fn registry() -> TestRegistry {
    let registry = TestRegistry::start().unwrap();
    let layer = Layer::new().file("app/node_modules/a/package.json", r#"{"name": "a", "version": "1.0.0"}"#);
    registry.push("team/app", "1.0", &ImageBuilder::new().tar(layer.tar(), Compression::Gzip).build());
    registry
}

#[test]
fn a_question_makes_no_store_and_says_that_there_is_none() {
    let home = tempfile::tempdir().unwrap();
    for (question, code) in [
        (&["inventory"][..], 0),
        (&["inventory", "--summary"], 0),
        (&["inventory", "changes"], 0),
        (&["store", "status"], 0),
        (&["job", "list"], 0),
        (&["worker", "list"], 0),
        (&["job", "show", "nightly"], 2),
        (&["job", "run", "nightly"], 2),
        (&["inventory", "rematch"], 2),
        (&["inventory", "--registry", "prod"], 2),
    ] {
        let (exit, _, told) = run(&[question, &["--store", "nosuch/typo.db"]].concat(), home.path());
        assert_eq!(exit, Some(code), "{question:?}: {told}");
        assert!(told.contains("there is no store in this place"), "{question:?}: {told}");
        assert!(!home.path().join("nosuch").exists(), "{question:?}");
    }
    let (exit, _, told) = run(&["job", "list", "--store", "mysql://h/x"], home.path());
    assert!(exit == Some(2) && told.contains("there is no such kind of store"), "{told}");
    assert!(!home.path().join("mysql:").exists());
}

#[test]
fn a_report_that_could_not_be_written_is_refused_before_the_scan() {
    let (home, registry) = (tempfile::tempdir().unwrap(), registry());
    let image = format!("http://{}/team/app:1.0", registry.host());
    for output in ["nosuchdir/report.json", "json=."] {
        let (exit, _, told) = run(&["scan", &image, "--offline", "-o", output], home.path());
        assert!(exit == Some(2) && told.contains("the report cannot be written"), "{told}");
    }
    assert!(registry.log().is_empty(), "nothing was pulled");
}

#[test]
fn nothing_is_known_of_a_registry_that_is_not_there() {
    let (home, registry) = (tempfile::tempdir().unwrap(), registry());
    assert_eq!(run(&["registry", "add", "prod", "--url", &registry.url()], home.path()).0, Some(0));
    for question in [
        &["inventory", "--registry", "prd"][..],
        &["inventory", "--summary", "--registry", "prd"],
        &["inventory", "changes", "--registry", "prd"],
        &["inventory", "rematch", "--registry", "prd"],
    ] {
        let (exit, _, told) = run(question, home.path());
        assert!(exit == Some(2) && told.contains("did you mean prod?"), "{question:?}: {told}");
    }
    let (exit, shown, told) = run(&["inventory", "--advisory", "CVE-nope"], home.path());
    assert!(exit == Some(0) && shown.is_empty() && told.contains("nothing is listed"), "{told}");
}

#[test]
fn a_run_that_matched_nothing_says_so() {
    let (home, registry) = (tempfile::tempdir().unwrap(), registry());
    assert_eq!(run(&["registry", "add", "prod", "--url", &registry.url()], home.path()).0, Some(0));
    assert_eq!(run(&["job", "add", "all", "--registry", "prod"], home.path()).0, Some(0));
    let (exit, _, told) = run(&["job", "run", "all", "--offline", "--advisories", "typo.db"], home.path());
    assert!(exit == Some(2) && told.contains("there are no advisories in this place (advisories: typo.db)"), "{told}");
    let (exit, shown, told) = run(&["job", "run", "all", "--offline"], home.path());
    assert_eq!(exit, Some(0), "{told}");
    assert!(shown.contains("scanned   1, 0 matched again, 1 not matched"), "{shown}");
    assert!(told.contains("note: 1 image was not matched: there is no advisory database"), "{told}");
    assert!(told.contains("`tidewaiter advisories update npm`"), "{told}");
    let (_, shown, _) = run(&["inventory", "--summary"], home.path());
    assert!(shown.contains("INCOMPLETE"), "{shown}");
    let (_, shown, _) = run(&["job", "list"], home.path());
    assert!(shown.contains("on demand") && shown.contains("LAST RUN"), "{shown}");
    let (_, shown, _) = run(&["job", "show", "all"], home.path());
    assert!(shown.contains("all images") && shown.contains("last run"), "{shown}");
}

#[test]
fn a_worker_tells_what_it_does() {
    let (home, registry) = (tempfile::tempdir().unwrap(), registry());
    let url = registry.url();
    assert_eq!(run(&["registry", "add", "prod", "--url", &url], home.path()).0, Some(0));
    let gone = ["registry", "add", "gone", "--url", "http://127.0.0.1:1", "--no-check"];
    assert_eq!(run(&gone, home.path()).0, Some(0));
    for (job, at) in [("all", "prod"), ("lost", "gone")] {
        assert_eq!(run(&["job", "add", job, "--registry", at], home.path()).0, Some(0));
    }
    assert_eq!(run(&["job", "run", "all", "--detach"], home.path()).0, Some(0));
    let (exit, _, told) = run(&["worker", "--once", "--offline"], home.path());
    assert_eq!(exit, Some(0), "{told}");
    for text in ["the worker begins", "all: run 1 begins", "all: run 1 Finished: 1 scanned", "the worker ends"] {
        assert!(told.contains(text), "{text}: {told}");
    }
    assert_eq!(run(&["job", "run", "lost", "--detach"], home.path()).0, Some(0));
    let (exit, shown, told) = run(&["worker", "--once", "--offline", "--format", "json"], home.path());
    assert_eq!(exit, Some(2), "{told}");
    let last = shown.lines().last().unwrap_or_default();
    assert!(last.contains(r#""event":"run-ended""#) && last.contains(r#""state":"Error""#), "{shown}");
    assert!(last.contains("cannot connect"), "{shown}");
    let (_, shown, told) = run(&["worker", "--once", "--offline", "--quiet"], home.path());
    assert!(shown.is_empty() && told.is_empty(), "{shown}{told}");
}
