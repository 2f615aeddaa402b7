//! A stored report, which also comes from other machines: spoilt, or cut, it is an error or a report that can be written in every format
//! and matched anew. The first byte says whether the rest is what to replace (place, place, value) or a whole one.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use tidewaiter::advisory::{Advisories, ImportOptions, import};
use tidewaiter::conformance::cataloger::Sample;
use tidewaiter::matching::{MatchOptions, find};
use tidewaiter::model::digest::Digest;
use tidewaiter::model::problem::{Problem, ProblemKind};
use tidewaiter::model::report::{Provenance, Report, Stats, Subject};
use tidewaiter::{Context, fuzzing};

struct Sound {
    _folder: TempDir,
    advisories: Advisories,
    report: Vec<u8>,
}

fn options() -> MatchOptions {
    MatchOptions { include_owned: true, now: "2024-06-01T00:00:00Z".to_owned() }
}

static SOUND: LazyLock<Sound> = LazyLock::new(|| {
    let folder = TempDir::new().expect("a folder");
    let record = r#"{"id": "A-1", "modified": "2024-01-01T00:00:00Z", "aliases": ["CVE-2024-1"], "summary": "text",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [{"package": {"ecosystem": "Debian:12", "name": "s"}, "ranges": [{"type": "ECOSYSTEM",
        "events": [{"introduced": "0"}, {"fixed": "2"}]}]}, {"package": {"ecosystem": "npm", "name": "n"}, "versions": ["1.0.0"]}]}"#;
    let (json, database) = (folder.path().join("a.json"), folder.path().join("database"));
    fs::write(&json, record).expect("written");
    import(&[json], &database, &ImportOptions::new("2024-01-01T00:00:00Z"), &Context::new()).expect("imported");
    let advisories = Advisories::open(&database).expect("opened");
    let status = "Package: a\nStatus: install ok installed\nArchitecture: amd64\nSource: s (1.0)\nVersion: 1.0-1\n\n";
    let inventory = Sample::new()
        .file(0, "etc/os-release", "ID=debian\nVERSION_ID=12\n")
        .file(0, "var/lib/dpkg/status", status)
        .file(0, "var/lib/dpkg/info/a.list", "/usr/lib/node_modules/n/package.json\n")
        .file(1, "usr/lib/node_modules/n/package.json", r#"{"name": "n", "version": "1.0.0", "license": "MIT"}"#)
        .run_all()
        .inventory;
    let found = find(&inventory, &advisories, &options()).expect("matched");
    assert!(!found.findings.is_empty());
    let report = Report {
        subject: Subject {
            reference: "r.example/a:1".to_owned(),
            digest: Digest::of(b"a"),
            index: None,
            platform: "linux/amd64".parse().expect("a platform"),
            created: Some("2024-01-01T00:00:00Z".to_owned()),
        },
        layers: Vec::new(),
        inventory,
        findings: found.findings,
        problems: vec![Problem::new(ProblemKind::Corrupt, "it is damaged")],
        stats: Stats::default(),
        provenance: Provenance::default(),
    };
    Sound { report: fuzzing::stored_report(&report), advisories, _folder: folder }
});

fuzz_target!(|input: &[u8]| {
    let Some((kind, rest)) = input.split_first() else { return };
    let mut bytes = SOUND.report.clone();
    if kind % 2 == 0 {
        bytes = rest.to_vec();
    }
    for patch in rest.chunks_exact(3).filter(|_| kind % 2 == 1) {
        let place = usize::from(u16::from_le_bytes([patch[0], patch[1]])) % bytes.len();
        bytes[place] = patch[2];
    }
    let Some(report) = fuzzing::read_report(&bytes) else { return };
    let _ = (report.counts(), report.is_complete(), report.inventory.memory());
    for package in report.inventory.packages() {
        let _ = (package.purl(), package.owner().map(|owner| owner.index()), package.source());
        let _ = (package.locations().len(), package.licenses().len(), package.ecosystem());
    }
    let _ = find(&report.inventory, &SOUND.advisories, &options());
    let reports = [report];
    for format in tidewaiter::format::ALL {
        format.write(&reports, &mut std::io::sink()).expect("written");
    }
    // What is written reads the same.
    let again = fuzzing::stored_report(&reports[0]);
    let same = fuzzing::read_report(&again).expect("what is written is read");
    assert_eq!(fuzzing::stored_report(&same), again);
});
