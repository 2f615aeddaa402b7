use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::*;
use crate::cancel::Cancel;

const BUILT: &str = "2026-11-24T12:00:00Z";

fn record(id: &str, modified: &str, packages: &[(&str, &str, &str)]) -> String {
    let affected: Vec<_> = packages
        .iter()
        .map(|(ecosystem, name, fixed)| {
            format!(
                r#"{{"package": {{"ecosystem": "{ecosystem}", "name": "{name}"}},
                     "ranges": [{{"type": "ECOSYSTEM", "events": [{{"introduced": "0"}}, {{"fixed": "{fixed}"}}]}}]}}"#
            )
        })
        .collect();
    format!(r#"{{"id": "{id}", "modified": "{modified}", "affected": [{}]}}"#, affected.join(","))
}

fn archive(path: &Path, records: &[String]) -> PathBuf {
    let mut writer = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (index, record) in records.iter().enumerate() {
        writer.start_file(format!("{index}.json"), zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(record.as_bytes()).unwrap();
    }
    writer.finish().unwrap();
    path.to_owned()
}

fn run(paths: &[PathBuf], database: &Path) -> Result<ImportSummary> {
    import(paths, database, &ImportOptions::new(BUILT), &Context::new())
}

fn counts(database: &Path) -> Vec<(String, u64)> {
    let provenance = Advisories::open(database).unwrap().provenance();
    provenance.ecosystems.into_iter().map(|(ecosystem, held)| (ecosystem, held.records)).collect()
}

fn fixed(database: &Path, ecosystem: &str, name: &str) -> Vec<String> {
    let advisories = Advisories::open(database).unwrap();
    let rows = advisories.affected(ecosystem, name).unwrap();
    let mut lines: Vec<_> = rows
        .iter()
        .map(|row| {
            let id = advisories.record(row.record).unwrap().id;
            format!("{id} {}", row.ranges[0].events[1])
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn an_export_brings_its_ecosystem_and_leaves_the_others_alone() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("sub/advisories.db");
    // GHSA-1 concerns both, as records of the npm export do in truth.
    let both = record("GHSA-1", "2026-01-01T00:00:00Z", &[("npm", "a", "1"), ("PyPI", "A_b", "1")]);
    let npm = archive(
        &folder.path().join("npm.zip"),
        &[both.clone(), record("GHSA-2", "2026-02-01T00:00:00Z", &[("npm", "a", "2")])],
    );
    let summary = run(std::slice::from_ref(&npm), &database).unwrap();
    assert_eq!(summary.ecosystems.keys().collect::<Vec<_>>(), ["npm"]);
    assert_eq!(summary.ecosystems["npm"].newest, "2026-02-01T00:00:00Z");
    assert_eq!(counts(&database), [("npm".into(), 2)]);

    let pypi = archive(
        &folder.path().join("pypi.zip"),
        &[
            record("GHSA-1", "2026-03-01T00:00:00Z", &[("npm", "a", "1.5"), ("PyPI", "A_b", "1.5")]),
            record("PYSEC-1", "2026-01-01T00:00:00Z", &[("PyPI", "c", "3")]),
        ],
    );
    run(&[pypi], &database).unwrap();
    assert_eq!(counts(&database), [("PyPI".into(), 2), ("npm".into(), 2)]);
    assert_eq!(fixed(&database, "PyPI", "a-b"), ["GHSA-1 fixed 1.5"]);
    assert_eq!(fixed(&database, "npm", "a"), ["GHSA-1 fixed 1", "GHSA-2 fixed 2"]);

    // A new npm export without GHSA-2: what is not there any more is gone.
    let npm = archive(&folder.path().join("npm.zip"), &[both]);
    run(&[npm], &database).unwrap();
    assert_eq!(counts(&database), [("PyPI".into(), 2), ("npm".into(), 1)]);
    assert_eq!(fixed(&database, "npm", "a"), ["GHSA-1 fixed 1"]);
    assert_eq!(fixed(&database, "PyPI", "a.B"), ["GHSA-1 fixed 1.5"]);
    let names: Vec<_> =
        fs::read_dir(database.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "the database and its lock, no scratch files: {names:?}");
}

#[test]
fn of_a_record_that_comes_twice_the_newest_counts() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("advisories.db");
    let newer = record("X-1", "2026-01-01T00:00:00.5Z", &[("npm", "a", "2")]);
    let older = record("X-1", "2026-01-01T00:00:00Z", &[("npm", "a", "1"), ("npm", "b", "1")]);
    fs::write(folder.path().join("1.json"), newer).unwrap();
    fs::write(folder.path().join("2.json"), older).unwrap();
    run(&[folder.path().to_owned()], &database).unwrap();
    assert_eq!(fixed(&database, "npm", "a"), ["X-1 fixed 2"]);
    assert!(fixed(&database, "npm", "b").is_empty(), "the newer version does not name it any more");
}

#[test]
fn bad_records_are_counted_and_never_fail_an_import() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("advisories.db");
    let records = ["{", "[]", "null", r#"{"id": "X"}"#, r#"{"id": 7}"#, "\u{0}"].map(str::to_owned);
    let good = record("X-2", "", &[("Some Thing Else", "a", "1")]);
    let zip = archive(&folder.path().join("all.zip"), &[records.as_slice(), &[good]].concat());
    let summary = run(std::slice::from_ref(&zip), &database).unwrap();
    assert_eq!(summary.skipped, 6);
    assert!(summary.reasons[0].file.ends_with("all.zip:0.json"), "{:?}", summary.reasons);
    assert_eq!(counts(&database), [("Some Thing Else".into(), 1)]);

    let only_bad = archive(&folder.path().join("bad.zip"), &records);
    let error = run(&[only_bad], &database).unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidInput);
    assert_eq!(counts(&database), [("Some Thing Else".into(), 1)], "the database is as it was");
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let records: Vec<_> = (0..200)
        .map(|n| {
            record(&format!("X-{n}"), "2026-01-01T00:00:00Z", &[("npm", &format!("p{}", n % 7), "1"), ("Go", "q", "2")])
        })
        .collect();
    let zip = archive(&folder.path().join("all.zip"), &records);
    let files = ["a.db", "b.db"].map(|name| folder.path().join(name));
    for file in &files {
        run(std::slice::from_ref(&zip), file).unwrap();
    }
    assert_eq!(fs::read(&files[0]).unwrap(), fs::read(&files[1]).unwrap());
}

#[test]
fn an_import_that_is_canceled_or_not_alone_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("advisories.db");
    let zip = archive(&folder.path().join("all.zip"), &[record("X-1", "", &[("npm", "a", "1")])]);
    run(std::slice::from_ref(&zip), &database).unwrap();
    let before = fs::read(&database).unwrap();

    let cancel = Cancel::new();
    cancel.cancel();
    let canceled = Context::new().cancel(cancel);
    let error = import(std::slice::from_ref(&zip), &database, &ImportOptions::new(BUILT), &canceled).unwrap_err();
    assert_eq!(error.kind(), Kind::Canceled);

    let other = Replacement::begin(&database).unwrap();
    assert_eq!(run(std::slice::from_ref(&zip), &database).unwrap_err().kind(), Kind::Busy);
    drop(other);
    assert_eq!(run(&[folder.path().join("no.zip")], &database).unwrap_err().kind(), Kind::NotFound);
    fs::write(folder.path().join("cut.zip"), &fs::read(&zip).unwrap()[..50]).unwrap();
    assert_eq!(run(&[folder.path().join("cut.zip")], &database).unwrap_err().kind(), Kind::Corrupt);
    assert_eq!(fs::read(&database).unwrap(), before);
    run(&[zip], &database).unwrap();
}

#[test]
fn a_record_that_expands_without_end_is_one_record_less() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("advisories.db");
    let huge = format!(r#"{{"id": "X-0", "details": "{}"}}"#, "a".repeat((crate::advisory::osv::LARGEST + 1) as usize));
    let zip = archive(&folder.path().join("all.zip"), &[huge, record("X-1", "", &[("npm", "a", "1")])]);
    let summary = run(&[zip], &database).unwrap();
    assert_eq!(summary.skipped, 1);
    assert_eq!(summary.reasons[0].reason, "larger than 16 MiB");
}

#[test]
fn a_record_that_names_more_ecosystems_than_there_are_is_refused_soon() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<_> = (0..70_000).map(|number| format!("E{number}")).collect();
    let packages: Vec<_> = names.iter().map(|name| (name.as_str(), "a", "1")).collect();
    let zip = archive(&folder.path().join("all.zip"), &[record("X-1", "", &packages)]);
    let start = std::time::Instant::now();
    assert_eq!(run(&[zip], &folder.path().join("db")).unwrap_err().kind(), Kind::LimitExceeded);
    // Each row against each ecosystem before it would be thousands of millions of comparisons.
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}

#[test]
fn a_record_that_no_database_takes_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("db");
    let versions = vec![r#""""#; 600_000].join(",");
    let large = |field: &str| {
        let package = r#""package": {"ecosystem": "npm", "name": "a"}"#;
        match field {
            "versions" => format!(r#"{{"id": "X-1", "affected": [{{{package}, "versions": [{versions}]}}]}}"#),
            _ => format!(r#"{{"id": "X-2", "aliases": [{versions}], "affected": [{{{package}, "versions": ["1"]}}]}}"#),
        }
    };
    let small = record("X-3", "2026-01-01T00:00:00Z", &[("npm", "a", "1")]);
    let path = archive(&folder.path().join("npm.zip"), &[large("versions"), large("aliases"), small]);
    let summary = run(&[path], &database).unwrap();
    assert_eq!((summary.skipped, counts(&database)), (2, vec![("npm".into(), 1)]));
    assert!(summary.reasons.iter().all(|skipped| skipped.reason.contains("larger than")), "{:?}", summary.reasons);
}

/// The directory of an archive is read as a whole before its first record.
#[test]
fn an_archive_with_an_endless_directory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("npm.zip");
    let mut out = Vec::new();
    let count: u32 = 1_500_000;
    for number in 0..count {
        // APPNOTE.TXT 4.3.12: the file `number`, empty, at the very beginning.
        let mut header = [0u8; 46];
        header[..4].copy_from_slice(b"PK\x01\x02");
        header[28] = 7;
        out.extend(header);
        out.extend(format!("{number:07}").bytes());
    }
    let size = out.len() as u64;
    // 4.3.14 to 4.3.16: the end in its 64 bit form, where to find that, and the old end, which says nothing.
    out.extend(b"PK\x06\x06");
    out.extend(44u64.to_le_bytes());
    out.extend([0; 12]);
    out.extend([u64::from(count), u64::from(count), size, 0].map(u64::to_le_bytes).concat());
    out.extend(b"PK\x06\x07");
    out.extend([0; 4]);
    out.extend(size.to_le_bytes());
    out.extend(1u32.to_le_bytes());
    out.extend(b"PK\x05\x06");
    out.extend([0, 0, 0, 0]);
    out.extend([0xff; 12]);
    out.extend([0, 0]);
    fs::write(&path, out).unwrap();
    let error = run(&[path], &folder.path().join("db")).unwrap_err();
    assert_eq!(error.kind(), Kind::LimitExceeded, "{error}");
    assert!(error.hint().is_some());
}

#[test]
fn the_releases_of_a_distribution_are_kept_and_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("db");
    let one = |ecosystems: &[String]| {
        let packages: Vec<_> = ecosystems.iter().map(|ecosystem| (ecosystem.as_str(), "p", "2")).collect();
        archive(&folder.path().join("all.zip"), &[record("X-1", BUILT, &packages)])
    };
    let of = |names: [&str; 4]| names.map(str::to_owned);
    run(&[one(&of(["Debian:12", "Debian:11", "Debian", "Packagist:https://r.example"]))], &database).unwrap();
    // What is kept of another import keeps its releases.
    let other = archive(&folder.path().join("other.zip"), &[record("X-2", BUILT, &[("npm", "p", "2")])]);
    run(&[other], &database).unwrap();
    let advisories = Advisories::open(&database).unwrap();
    assert_eq!(advisories.releases("Debian:13").collect::<Vec<_>>(), ["", "11", "12"]);
    assert_eq!(advisories.releases("Packagist").count(), 0);

    let many: Vec<_> = (0..300).map(|number| format!("Debian:{number}{}", "9".repeat(4_000))).collect();
    assert_eq!(run(&[one(&many)], &database).unwrap_err().kind(), Kind::LimitExceeded);
}
