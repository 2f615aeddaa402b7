//! An archive of OSV records, imported. What comes of it can be opened, and holds what the import says.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use tidewaiter::Context;
use tidewaiter::advisory::{Advisories, ImportOptions, import};

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| TempDir::new().expect("a folder"));

fuzz_target!(|archive: &[u8]| {
    let (zip, database) = (FOLDER.path().join("all.zip"), FOLDER.path().join("database"));
    fs::write(&zip, archive).expect("written");
    let _ = fs::remove_file(&database);
    let options = ImportOptions::new("2024-01-01T00:00:00Z");
    let Ok(summary) = import(&[zip], &database, &options, &Context::new()) else { return };
    let advisories = Advisories::open(&database).expect("what was imported is opened");
    let held = advisories.provenance().ecosystems;
    for (ecosystem, brought) in &summary.ecosystems {
        assert_eq!(held[ecosystem].records, brought.records);
    }
    tidewaiter::fuzzing::every_package(&advisories);
});
