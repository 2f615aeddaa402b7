//! The committed header is what the source says. `UPDATE=1 cargo test -p tidewaiter-c` renews it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may")]

use std::path::Path;

/// In the order of the header.
const SOURCES: &[&str] = &[
    "error",
    "cancel",
    "boundary",
    "scanner",
    "listing",
    "advisories",
    "schedule",
    "registries",
    "jobs",
    "work",
    "inventory",
    "store",
    "report",
    "text",
];

#[test]
fn the_header_is_up_to_date() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let header = crate_folder.join("../../include/tidewaiter.h");
    let config = cbindgen::Config::from_file(crate_folder.join("cbindgen.toml")).expect("cbindgen.toml");
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(crate_folder.join("src").join(source).with_extension("rs"));
    }
    let mut generated = Vec::new();
    builder.generate().expect("the sources are Rust").write(&mut generated);
    let generated = without_safety(&String::from_utf8(generated).expect("UTF-8"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(header.parent().expect("a folder")).expect("include/");
        std::fs::write(&header, &generated).expect("the header can be written");
    }
    let committed = std::fs::read_to_string(&header).unwrap_or_default();
    assert!(committed == generated, "include/tidewaiter.h is old: renew it with UPDATE=1 cargo test -p tidewaiter-c");
}

/// The header without the sections that Rust's lints want on every function: its head says it once.
fn without_safety(header: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut inside = false;
    for line in header.lines() {
        if line == "// # Safety" {
            inside = true;
            // The empty line of comment above it.
            kept.pop_if(|above| *above == "//");
        }
        inside &= line.starts_with("//");
        if !inside {
            kept.push(line);
        }
    }
    kept.join("\n") + "\n"
}
