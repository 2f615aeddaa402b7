//! Every language offers every operation of the facade. The command line is held to the list by its own tests, which know
//! its definition.

use std::fs;
use std::path::{Path, PathBuf};

use tidewaiter_facade::operations;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// What the Python package declares: its modules, and the stub of its native half.
fn python() -> String {
    let package = root().join("bindings/python/python/tidewaiter");
    let files = fs::read_dir(package).unwrap().map(|entry| entry.unwrap().path());
    let mut text = String::new();
    for file in files.filter(|path| path.extension().is_some_and(|end| end == "py" || end == "pyi")) {
        text.push_str(&fs::read_to_string(file).unwrap());
    }
    text
}

/// Whether `name` stands in `text` as a whole word.
fn declares(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let after = text[at + name.len()..].chars().next();
        let before = text[..at].chars().next_back();
        ![before, after].into_iter().flatten().any(|character| character.is_alphanumeric() || character == '_')
    })
}

#[test]
fn c_has_every_operation() {
    let header = fs::read_to_string(root().join("include/tidewaiter.h")).unwrap();
    for operation in operations::ALL {
        assert!(!operation.c.is_empty(), "{} has no function in C", operation.name);
        for function in operation.c {
            assert!(declares(&header, function), "{}: {function} is missing in include/tidewaiter.h", operation.name);
        }
    }
}

#[test]
fn python_has_every_operation() {
    let package = python();
    for operation in operations::ALL {
        assert!(!operation.python.is_empty(), "{} has no name in Python", operation.name);
        for name in operation.python {
            assert!(declares(&package, name), "{}: `{name}` is missing in the Python package", operation.name);
        }
    }
}

#[test]
fn the_list_has_every_method_of_the_scanner() {
    let source = ["scanner", "saved", "jobs", "work", "inventory"].map(|file| {
        let text = fs::read_to_string(root().join(format!("bindings/facade/src/{file}.rs"))).unwrap();
        let (_, methods) = text.split_once("impl Scanner {").unwrap();
        methods.split_once("\n}\n").unwrap().0.to_owned()
    });
    let methods: Vec<_> = source
        .iter()
        .flat_map(|source| source.lines())
        .filter_map(|line| Some(line.strip_prefix("    pub fn ")?.split(['(', '<']).next().unwrap_or_default()))
        .collect();
    assert!(methods.len() >= 6, "the source is not read as it is written: {methods:?}");
    for method in methods {
        let listed = operations::ALL.iter().any(|operation| operation.name.replace('-', "_") == method);
        assert!(listed || method == "close", "Scanner::{method} is not in operations::ALL");
    }
}

#[test]
fn a_missing_operation_is_seen() {
    assert!(declares("int tw_scan(void);", "tw_scan"));
    assert!(!declares("int tw_scan_all(void);", "tw_scan"));
    assert!(!declares(&python(), "def rescan"));
}
