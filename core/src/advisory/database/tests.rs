use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::format::{Contents, Holding};
use super::*;
use crate::advisory::record::{Affected, Event, Range, RangeKind, Record};
use crate::error::{Kind, Result};

/// A small database with one package of many blocks; `seed` makes it another one of the same shape.
fn write(path: &Path, seed: u8, rows: usize) {
    let mut writer = Writer::begin(Replacement::begin(path).unwrap(), [seed; 16]).unwrap();
    let record = Record { id: format!("X-{seed}"), ..Record::default() };
    let id = writer.record(&encode(&record).unwrap()).unwrap();
    for name in ["a", "b"] {
        writer.package(format!("npm\0{name}").as_bytes()).unwrap();
        for row in 0..rows {
            let events = vec![Event::Introduced("0".into()), Event::Fixed(format!("{seed}.{row}"))];
            let ranges = vec![Range { kind: RangeKind::Semver, events }];
            writer.row(&Affected { record: id, ranges, ..Affected::default() }).unwrap();
        }
    }
    let holding = Holding { records: 1, newest: "2026-01-01T00:00:00Z".into(), ..Holding::default() };
    writer.finish(&Contents { built: "now".into(), ecosystems: [("npm".into(), holding)].into() }).unwrap();
}

/// Reads everything that there is; an error, or exactly what was written with `seed`.
fn read(advisories: &Advisories, seed: u8, rows: usize) -> Result<()> {
    for name in ["a", "b"] {
        let found = advisories.affected("npm", name)?;
        assert_eq!(found.len(), rows);
        for (index, row) in found.iter().enumerate() {
            assert_eq!(row.ranges[0].events[1].version(), format!("{seed}.{index}"));
            assert_eq!(advisories.record(row.record)?.id, format!("X-{seed}"));
        }
    }
    Ok(())
}

#[test]
fn gives_back_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    write(&path, 1, 5000);
    let advisories = Advisories::open(&path).unwrap();
    read(&advisories, 1, 5000).unwrap();
    assert!(advisories.affected("npm", "c").unwrap().is_empty());
    assert!(advisories.affected("npm", "a\0").unwrap().is_empty());
    assert!(advisories.has("npm") && advisories.has("npm:1") && !advisories.has("PyPI"));
}

#[test]
fn whoever_holds_the_old_file_goes_on_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    write(&path, 1, 3000);
    let old = Advisories::open(&path).unwrap();
    write(&path, 2, 3000);
    read(&old, 1, 3000).unwrap();
    read(&Advisories::open(&path).unwrap(), 2, 3000).unwrap();
}

#[test]
fn a_file_that_is_overwritten_while_open_is_an_error_and_never_the_other_files_rows() {
    let folder = tempfile::tempdir().unwrap();
    let [path, other] = ["db", "other"].map(|name| folder.path().join(name));
    write(&path, 1, 2000);
    write(&other, 2, 2000);
    let open = Advisories::open(&path).unwrap();
    // As `cp other db` does: the same inode.
    fs::write(&path, fs::read(&other).unwrap()).unwrap();
    let error = read(&open, 1, 2000).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.hint().is_some());
    fs::write(&path, b"").unwrap();
    assert_eq!(read(&open, 1, 2000).unwrap_err().kind(), Kind::Corrupt);
}

#[test]
fn a_file_that_is_cut_short_anywhere_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    write(&path, 1, 100);
    let whole = fs::read(&path).unwrap();
    for length in (0..whole.len()).step_by(7).chain(whole.len() - 200..whole.len()) {
        fs::write(&path, &whole[..length]).unwrap();
        let error = Advisories::open(&path).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt, "{length}: {error}");
    }
}

#[test]
fn other_files_and_newer_formats_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    for foreign in [&b"PK\x03\x04"[..], b"SQLite format 3\0", &[0; 4096], b""] {
        fs::write(&path, foreign).unwrap();
        assert_eq!(Advisories::open(&path).unwrap_err().kind(), Kind::Corrupt);
    }
    write(&path, 1, 10);
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] += 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(Advisories::open(&path).unwrap_err().kind(), Kind::Unsupported);
    fs::remove_file(&path).unwrap();
    let error = Advisories::open(&path).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.hint().unwrap().contains("advisories update"));
}

/// Asks everything that there is to ask; what comes may be anything.
fn ask(path: &Path) -> usize {
    let Ok(advisories) = Advisories::open(path) else { return 0 };
    let mut rows = 0;
    let _ = advisories.packages(|_, row| {
        rows += 1;
        let _ = advisories.record(row.record);
        Ok(())
    });
    for name in ["a", "b", "c"] {
        let _ = advisories.affected("npm", name);
    }
    rows
}

#[test]
fn chains_that_run_into_each_other_are_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    write(&path, 1, 3000);
    let mut bytes = fs::read(&path).unwrap();
    assert_eq!(ask(&path), 6000);
    // The index says where the chain of each package begins: let "a" end with the chain of "b" instead of before it.
    let header = format::Header::fields(bytes.first_chunk().unwrap());
    let (mut at, mut last) = (header.rows.offset as usize, 0);
    while at < header.rows.end() as usize {
        let length = u32::from_le_bytes(*bytes[at..].first_chunk().unwrap());
        if length >> 31 == 0 && last == 0 {
            last = at;
        }
        at += format::BLOCK_HEAD + (length & !(1 << 31)) as usize;
    }
    bytes[last + 3] |= 0x80;
    sealed::seal(&mut bytes);
    fs::write(&path, &bytes).unwrap();
    let advisories = Advisories::open(&path).unwrap();
    assert_eq!(advisories.affected("npm", "a").unwrap().len(), 6000);
    assert_eq!(advisories.packages(|_, _| Ok(())).unwrap_err().kind(), Kind::Corrupt);
}

#[test]
fn a_row_or_a_record_that_is_larger_than_any_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let affected = Affected { versions: vec![String::new(); 900_000], ..Affected::default() };
    let mut writer = Writer::begin(Replacement::begin(&path).unwrap(), [1; 16]).unwrap();
    let record = Record { aliases: vec![String::new(); 900_000], ..Record::default() };
    let id = writer.record(&encode(&record).unwrap()).unwrap();
    writer.package(b"npm\0a").unwrap();
    // Each empty text is one byte in the file and many in memory.
    writer.row(&affected).unwrap();
    let holding = Holding { records: 1, newest: "2026-01-01T00:00:00Z".into(), ..Holding::default() };
    writer.finish(&Contents { built: "now".into(), ecosystems: [("npm".into(), holding)].into() }).unwrap();
    let advisories = Advisories::open(&path).unwrap();
    assert_eq!(advisories.affected("npm", "a").unwrap_err().kind(), Kind::Corrupt);
    assert_eq!(advisories.record(id).unwrap_err().kind(), Kind::Corrupt);
}

#[test]
fn ecosystems_without_end_are_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let writer = Writer::begin(Replacement::begin(&path).unwrap(), [1; 16]).unwrap();
    let holding = |number: u32| (format!("ecosystem-{number}"), Holding::default());
    let contents = Contents { built: "now".into(), ecosystems: (0..100_000).map(holding).collect() };
    assert_eq!(writer.finish(&contents).unwrap_err().kind(), Kind::LimitExceeded);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn a_file_made_on_purpose_with_good_digests_never_panics(
        spoils in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        write(&path, 1, 20);
        let mut bytes = fs::read(&path).unwrap();
        for (place, value) in spoils {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        sealed::seal(&mut bytes);
        fs::write(&path, &bytes).unwrap();
        ask(&path);
    }

    #[test]
    fn a_flipped_bit_is_an_error_or_changes_nothing(place in any::<prop::sample::Index>(), bit in 0u8..8) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        write(&path, 1, 100);
        let mut bytes = fs::read(&path).unwrap();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        fs::write(&path, &bytes).unwrap();
        let result = Advisories::open(&path).and_then(|advisories| read(&advisories, 1, 100));
        let kind = result.unwrap_err().kind();
        prop_assert!(matches!(kind, Kind::Corrupt | Kind::Unsupported));
    }
}
