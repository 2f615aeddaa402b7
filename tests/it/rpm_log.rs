//! rpm databases whose log was not written back, against what SQLite itself reads of them.

use std::path::Path;

use proptest::prelude::*;
use tidewaiter::conformance::cataloger::{Outcome, Sample};

use crate::rpmdb::{Database, Package};

const PLACE: &str = "usr/lib/sysimage/rpm/rpmdb.sqlite";

/// A change of a database.
#[derive(Clone, Debug)]
enum Change {
    Insert {
        padding: usize,
    },
    /// Puts a newer version in the place of a package: of the same size and with the same bytes behind, or otherwise.
    Replace {
        which: usize,
        padding: Option<usize>,
    },
    Remove {
        which: usize,
    },
}

/// Changes that come together, and what follows.
#[derive(Clone, Debug)]
struct Transaction {
    changes: Vec<Change>,
    is_committed: bool,
    then: &'static str,
}

fn padding() -> impl Strategy<Value = usize> {
    prop_oneof![3 => 0..600usize, 3 => 3_000..6_000usize, 1 => 10_000..60_000usize]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => padding().prop_map(|padding| Change::Insert { padding }),
        2 => (any::<usize>(), prop::option::of(padding())).prop_map(|(which, padding)| Change::Replace { which, padding }),
        2 => any::<usize>().prop_map(|which| Change::Remove { which }),
    ]
}

fn transaction() -> impl Strategy<Value = Transaction> {
    let then = prop_oneof![
        6 => Just(""),
        1 => Just("PRAGMA wal_checkpoint(PASSIVE)"),
        1 => Just("PRAGMA wal_checkpoint(RESTART)"),
        1 => Just("PRAGMA wal_checkpoint(TRUNCATE)"),
    ];
    (prop::collection::vec(change(), 1..12), prop::bool::weighted(0.8), then)
        .prop_map(|(changes, is_committed, then)| Transaction { changes, is_committed, then })
}

/// What is in the database, as SQLite reads it: the number of each row, the name, the version and how much lies behind.
fn rows(database: &Database) -> Vec<(i64, String, String, usize)> {
    let mut statement = database.0.prepare("SELECT hnum, blob FROM Packages ORDER BY hnum").unwrap();
    let row = |row: &rusqlite::Row<'_>| {
        let (number, blob): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        // Five tags, and their values, of which the first two are texts.
        let values = &blob[8 + 5 * 16..];
        let mut texts = values.split(|byte| *byte == 0).map(|text| String::from_utf8(text.to_vec()).unwrap());
        let (name, version) = (texts.next().unwrap(), texts.next().unwrap());
        let others = name.len() + version.len() + "1".len() + "x86_64".len() + 5;
        Ok((number, name, version, values.len() - others))
    };
    statement.query_map([], row).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

impl Change {
    fn apply(&self, database: &Database, count: &mut u64) {
        *count += 1;
        let version = count.to_string();
        let present = rows(database);
        let pick = |which: usize| present.get(which.checked_rem(present.len())?);
        match *self {
            Self::Insert { padding } => {
                database.insert(&Package { name: &format!("p{count}"), version: &version, padding, fill: b'a' });
            }
            Self::Replace { which, padding } => {
                let Some((number, name, _, before)) = pick(which) else { return };
                let padding = padding.unwrap_or(*before);
                database.replace(*number, &Package { name, version: &version, padding, fill: b'a' });
            }
            Self::Remove { which } => {
                if let Some((number, ..)) = pick(which) {
                    database.remove(*number);
                }
            }
        }
    }
}

/// What the catalogers find: the database in one layer, its log in this one.
fn found(folder: &Path, layer_of_log: usize) -> Outcome {
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap_or_default();
    Sample::new()
        .file(0, PLACE, read("rpmdb.sqlite"))
        .file(layer_of_log, &format!("{PLACE}-wal"), read("rpmdb.sqlite-wal"))
        .run_all()
}

fn named(outcome: &Outcome) -> Vec<String> {
    let row = |package: tidewaiter::model::inventory::Package<'_>| format!("{} {}", package.name(), package.version());
    let mut rows: Vec<String> = outcome.inventory.packages().map(row).collect();
    rows.sort();
    rows
}

fn expected(database: &Database) -> Vec<String> {
    let mut rows: Vec<String> =
        rows(database).into_iter().map(|(_, name, version, _)| format!("{name} {version}-1")).collect();
    rows.sort();
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_log_is_read_as_sqlite_reads_it(
        transactions in prop::collection::vec(transaction(), 1..12),
        page_size in prop::sample::select(vec![512, 1024, 4096]),
        layer_of_log in 0..2usize,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::create_with(&folder.path().join("rpmdb.sqlite"), page_size);
        database.0.execute_batch("PRAGMA wal_autocheckpoint = 0").unwrap();
        let mut count = 0;
        for transaction in &transactions {
            database.0.execute_batch("BEGIN").unwrap();
            transaction.changes.iter().for_each(|change| change.apply(&database, &mut count));
            database.0.execute_batch(if transaction.is_committed { "COMMIT" } else { "ROLLBACK" }).unwrap();
            database.0.execute_batch(transaction.then).unwrap();
        }
        let outcome = found(folder.path(), layer_of_log);
        prop_assert_eq!(named(&outcome), expected(&database), "{:?}", outcome.problems);
        prop_assert!(outcome.problems.is_empty(), "{:?}", outcome.problems);
    }
}

/// A database of twenty packages, and one that a transaction in the log added.
fn with_log(folder: &Path) -> Database {
    let database = Database::create(&folder.join("rpmdb.sqlite"));
    for number in 0..20 {
        let name = format!("p{number}");
        database.insert(&Package { name: &name, version: "1", padding: 20_000, fill: b'a' });
    }
    database.0.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    add(&database, "new");
    database
}

/// Adds a package in one transaction.
fn add(database: &Database, name: &str) {
    database.0.execute_batch("BEGIN").unwrap();
    database.insert(&Package { name, version: "1", padding: 20_000, fill: b'a' });
    database.0.execute_batch("COMMIT").unwrap();
}

#[test]
fn a_log_that_breaks_off_counts_to_its_last_commit() {
    let folder = tempfile::tempdir().unwrap();
    let database = with_log(folder.path());
    assert_eq!(named(&found(folder.path(), 0)).len(), 21);
    let log = folder.path().join("rpmdb.sqlite-wal");
    let bytes = std::fs::read(&log).unwrap();
    add(&database, "newer");
    let longer = std::fs::read(&log).unwrap();
    assert_eq!(named(&found(folder.path(), 0)).len(), 22);
    let flipped = |at: usize| {
        let mut bytes = longer.clone();
        bytes[at] ^= 1;
        bytes
    };
    for (what, log_now, packages) in [
        ("cut in the second transaction", longer[..longer.len() - 100].to_vec(), 21),
        ("cut in the first", bytes[..bytes.len() - 1].to_vec(), 20),
        ("cut in the header", bytes[..31].to_vec(), 20),
        ("a bit of the second", flipped(bytes.len() + 100), 21),
        ("a bit of the first", flipped(1_000), 20),
        ("zeros behind", [longer.clone(), vec![0; 1 << 20]].concat(), 22),
    ] {
        std::fs::write(&log, log_now).unwrap();
        let outcome = found(folder.path(), 0);
        assert_eq!(named(&outcome).len(), packages, "{what}");
        assert!(outcome.problems.is_empty(), "{what}: {:?}", outcome.problems);
    }
}

/// SQLite writes only the pages of a row that differ. rpm does not change headers so.
#[test]
fn a_row_that_is_partly_in_the_log_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let database = with_log(folder.path());
    database
        .0
        .execute_batch(
            "UPDATE Packages SET blob = CAST(substr(blob, 1, 15000) || x'00' || substr(blob, 15002) AS BLOB) WHERE hnum = 3",
        )
        .unwrap();
    let outcome = found(folder.path(), 0);
    assert_eq!(named(&outcome), expected(&database));
    let [problem] = outcome.problems.as_slice() else { panic!("{:?}", outcome.problems) };
    assert!(problem.message.contains("1 may be out of date and 0 are missing"), "{problem:?}");
}

/// What is left of another database is not the log of this one: without a database nothing counts.
#[test]
fn a_log_without_a_database_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let _database = with_log(folder.path());
    std::fs::remove_file(folder.path().join("rpmdb.sqlite")).unwrap();
    let outcome = found(folder.path(), 0);
    assert_eq!((named(&outcome).len(), outcome.problems.len()), (0, 0), "{:?}", outcome.problems);
}
