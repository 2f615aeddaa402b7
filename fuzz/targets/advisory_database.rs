//! A database with bytes replaced, cut short, or made on purpose: each question has an answer or an error.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use tidewaiter::Context;
use tidewaiter::advisory::{Advisories, ImportOptions, import};

struct Sound {
    folder: TempDir,
    bytes: Vec<u8>,
}

static SOUND: LazyLock<Sound> = LazyLock::new(|| {
    let folder = TempDir::new().expect("a folder");
    let record = r#"{"id": "A-1", "modified": "2024-01-01T00:00:00Z", "aliases": ["CVE-2024-1"], "summary": "text",
        "affected": [{"package": {"ecosystem": "Debian:12", "name": "a"}, "ranges": [{"type": "ECOSYSTEM",
        "events": [{"introduced": "0"}, {"fixed": "2"}]}]}, {"package": {"ecosystem": "PyPI", "name": "b"}, "versions": ["1"]}]}"#;
    let (json, database) = (folder.path().join("a.json"), folder.path().join("sound"));
    fs::write(&json, record).expect("written");
    import(&[json], &database, &ImportOptions::new("2024-01-01T00:00:00Z"), &Context::new()).expect("imported");
    let bytes = fs::read(database).expect("read");
    Sound { folder, bytes }
});

// The first byte says whether the rest is where and what to replace (place, place, value), or a whole file, and whether the
// digests are made right afterwards, as one who writes such a file on purpose would.
fuzz_target!(|input: &[u8]| {
    let Some((kind, rest)) = input.split_first() else { return };
    let mut bytes = SOUND.bytes.clone();
    match kind % 4 {
        0 => bytes = rest.to_vec(),
        1 => bytes.truncate(rest.iter().fold(0usize, |sum, byte| (sum << 8 | usize::from(*byte)) % SOUND.bytes.len())),
        _ => {
            for patch in rest.chunks_exact(3) {
                let place = usize::from(u16::from_le_bytes([patch[0], patch[1]])) % bytes.len();
                bytes[place] = patch[2];
            }
        }
    }
    if kind & 4 == 0 {
        tidewaiter::fuzzing::seal_database(&mut bytes);
    }
    let path = SOUND.folder.path().join("spoilt");
    fs::write(&path, &bytes).expect("written");
    let Ok(advisories) = Advisories::open(&path) else { return };
    let _ = advisories.provenance();
    tidewaiter::fuzzing::every_package(&advisories);
    for (ecosystem, name) in [("Debian:12", "a"), ("PyPI", "b"), ("PyPI", "c"), ("", "")] {
        for row in advisories.affected(ecosystem, name).unwrap_or_default() {
            let _ = advisories.record(row.record);
        }
    }
});
