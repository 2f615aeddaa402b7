//! Databases made here, page by page, in orders that a real one would not have.

use std::io::Read;

use super::Rpm;
use super::header::Header;
use crate::conformance::cataloger::{Outcome, Sample, suite};

/// The header of a package that owns `/usr/bin/NAME`, with `padding` bytes of a tag that nobody reads.
fn header(name: &str, padding: usize) -> Vec<u8> {
    let mut values = Vec::new();
    let mut table = Vec::new();
    let mut tag = |tag: u32, kind: u32, count: u32, value: &[u8]| {
        if kind == 4 {
            values.resize(values.len().next_multiple_of(4), 0);
        }
        table.extend([tag, kind, values.len() as u32, count].map(u32::to_be_bytes).concat());
        values.extend(value);
    };
    let text = |text: &str| [text.as_bytes(), b"\0"].concat();
    tag(1000, 6, 1, &text(name));
    tag(1001, 6, 1, &text("1.2"));
    tag(1002, 6, 1, &text("3.el9"));
    tag(1003, 4, 1, &7u32.to_be_bytes());
    tag(1011, 6, 1, &text("Acme"));
    tag(1014, 6, 1, &text("MIT"));
    tag(1022, 6, 1, &text("x86_64"));
    tag(1044, 6, 1, &text(&format!("{name}-source-1.2-3.el9.src.rpm")));
    tag(1, 7, padding as u32, &vec![b'p'; padding]);
    tag(1116, 4, 1, &0u32.to_be_bytes());
    tag(1117, 8, 1, &text(name));
    tag(1118, 8, 1, &text("/usr/bin/"));
    tag(5096, 6, 1, &text("stream:9"));
    let mut out = [(table.len() / 16) as u32, values.len() as u32].map(u32::to_be_bytes).concat();
    out.extend(table);
    out.extend(values);
    out
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = vec![(value & 0x7f) as u8];
    while value > 0x7f {
        value >>= 7;
        out.insert(0, (value & 0x7f) as u8 | 0x80);
    }
    out
}

const PAGE: usize = 4096;

/// A page of a SQLite tree.
fn tree_page(start: usize, kind: u8, cells: &[Vec<u8>], right: u32) -> Vec<u8> {
    let mut page = vec![0; PAGE];
    let mut end = PAGE;
    page[start] = kind;
    page[start + 3..start + 5].copy_from_slice(&(cells.len() as u16).to_be_bytes());
    let head = if kind == 5 { 12 } else { 8 };
    page[start + 8..start + 12].copy_from_slice(&right.to_be_bytes());
    for (index, cell) in cells.iter().enumerate() {
        end -= cell.len();
        page[end..end + cell.len()].copy_from_slice(cell);
        page[start + head + 2 * index..start + head + 2 * index + 2].copy_from_slice(&(end as u16).to_be_bytes());
    }
    page
}

/// The cell of a row, and the rest of its record, which goes to overflow pages that start at `next`.
fn cell(key: u64, record: &[u8], next: u32) -> (Vec<u8>, Vec<u8>) {
    let (length, most, least) = (record.len(), PAGE - 35, (PAGE - 12) * 32 / 255 - 23);
    let fitting = least + length.saturating_sub(least) % (PAGE - 4);
    let local = if length <= most {
        length
    } else if fitting <= most {
        fitting
    } else {
        least
    };
    let mut cell = [varint(length as u64), varint(key), record[..local].to_vec()].concat();
    if local < length {
        cell.extend(next.to_be_bytes());
    }
    (cell, record[local..].to_vec())
}

/// The first page: the header of the file and the row of the schema that says that `Packages` starts at `root`.
fn first_page(root: u32) -> Vec<u8> {
    let sql = "CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT,blob BLOB NOT NULL)";
    let types = [varint(23), varint(29), varint(29), varint(4), varint(13 + 2 * sql.len() as u64)].concat();
    let record = [
        varint(types.len() as u64 + 1),
        types,
        b"tablePackagesPackages".to_vec(),
        root.to_be_bytes().to_vec(),
        sql.into(),
    ];
    let mut page = tree_page(100, 13, &[cell(1, &record.concat(), 0).0], 0);
    page[100 + 8..100 + 10].copy_from_slice(&((PAGE - cell(1, &record.concat(), 0).0.len()) as u16).to_be_bytes());
    page[..16].copy_from_slice(b"SQLite format 3\0");
    page[16..18].copy_from_slice(&(PAGE as u16).to_be_bytes());
    page
}

fn row(name: &str, padding: usize) -> Vec<u8> {
    let blob = header(name, padding);
    let types = [varint(0), varint(12 + 2 * blob.len() as u64)].concat();
    [varint(types.len() as u64 + 1), types, blob].concat()
}

/// A database of two packages, `small` and `large`, on these pages: 2 the root, 3 and 4 leaves, 5 a leaf that was deleted, with the
/// overflow pages of `large` in the order of `places`.
fn sqlite(places: &[u32], padding: usize) -> Vec<u8> {
    let (small, _) = cell(1, &row("small", 0), 0);
    let (large, rest) = cell(2, &row("large", padding), places[0]);
    let (old, _) = cell(3, &row("deleted", 0), 0);
    let left = [3u32.to_be_bytes().to_vec(), varint(1)].concat();
    let mut pages = vec![first_page(2), tree_page(0, 5, &[left], 4), leaf(&small), leaf(&large), leaf(&old)];
    let chunks: Vec<&[u8]> = rest.chunks(PAGE - 4).collect();
    assert!(chunks.len() <= places.len(), "{} pages", chunks.len());
    pages.resize(5 + places.len(), vec![0; PAGE]);
    for (index, (chunk, place)) in chunks.iter().zip(places).enumerate() {
        let next = if index + 1 < chunks.len() { places[index + 1] } else { 0 };
        let mut page = [next.to_be_bytes().as_slice(), chunk].concat();
        page.resize(PAGE, 0);
        pages[*place as usize - 1] = page;
    }
    pages.concat()
}

fn leaf(cell: &[u8]) -> Vec<u8> {
    let mut page = tree_page(0, 13, &[cell.to_vec()], 0);
    page[8..10].copy_from_slice(&((PAGE - cell.len()) as u16).to_be_bytes());
    page[10..12].fill(0);
    page
}

fn rows(outcome: &Outcome) -> Vec<String> {
    let row = |package: crate::model::inventory::Package<'_>| {
        let owner = package.owner().map(|owner| format!(" of {}", owner.name())).unwrap_or_default();
        format!("{} {}{owner}", package.name(), package.version())
    };
    outcome.inventory.packages().map(row).collect()
}

fn kinds(outcome: &Outcome) -> Vec<&'static str> {
    outcome.problems.iter().map(|problem| problem.kind.as_str()).collect()
}

const SQLITE: &str = "var/lib/rpm/rpmdb.sqlite";

#[test]
fn sqlite_pages_in_any_order() {
    for places in [[6, 7, 8, 9], [9, 8, 7, 6], [8, 6, 9, 7]] {
        let database = sqlite(&places, 4 * 4000);
        let outcome = Sample::new().file(0, SQLITE, &database).run_all();
        assert_eq!(rows(&outcome), ["large 7:1.2-3.el9", "small 7:1.2-3.el9"], "{places:?}");
        assert_eq!((kinds(&outcome), outcome.layers_read_twice), (vec![], 0));
        let package = outcome.inventory.package(0).unwrap();
        assert_eq!(package.source(), Some(("large-source", "1.2-3.el9")));
        assert_eq!((package.architecture(), package.vendor(), package.module()), ("x86_64", "Acme", "stream:9"));
        assert_eq!(package.licenses().collect::<Vec<_>>(), ["MIT"]);
        assert_eq!(package.purl(), "pkg:rpm/redhat/large@1.2-3.el9?arch=x86_64&epoch=7");
        suite(&Rpm, &[(SQLITE, &database)]);
    }
}

#[test]
fn overflow_pages_far_away_take_a_second_look() {
    // Ten megabytes of a free list lie before the page that the row needs first.
    let count = 2600;
    let places: Vec<u32> = std::iter::once(5 + count).chain(6..5 + count).collect();
    let mut database = sqlite(&places, 4 * 4000);
    for page in database.chunks_mut(PAGE).skip(20) {
        if page[4..].iter().all(|byte| *byte == 0) {
            page[100..].fill(1);
        }
    }
    // The chain once more, backwards through the whole file.
    let outcome = Sample::new().file(0, SQLITE, &database).run_all();
    assert_eq!(rows(&outcome), ["large 7:1.2-3.el9", "small 7:1.2-3.el9"]);
    assert_eq!(kinds(&outcome), [""; 0]);
}

#[test]
fn loops_and_cut_databases_end() {
    let good = sqlite(&[6, 7, 8, 9], 4 * 4000);
    // A page of the row that leads back to the one before, a root that is below itself, a leaf that is its own root.
    let mut chain = good.clone();
    chain[6 * PAGE..6 * PAGE + 4].copy_from_slice(&6u32.to_be_bytes());
    let outcome = Sample::new().file(0, SQLITE, &chain).run_all();
    assert_eq!((rows(&outcome), kinds(&outcome)), (vec!["small 7:1.2-3.el9".to_owned()], vec!["corrupt"]));
    let mut root = good.clone();
    root[PAGE + 8..PAGE + 12].copy_from_slice(&2u32.to_be_bytes());
    let outcome = Sample::new().file(0, SQLITE, &root).run_all();
    assert_eq!(rows(&outcome), ["small 7:1.2-3.el9"]);
    let outcome = Sample::new().file(0, SQLITE, &good[..7 * PAGE + 100]).run_all();
    assert_eq!(rows(&outcome), ["small 7:1.2-3.el9"]);
    assert_eq!(kinds(&outcome), ["corrupt", "corrupt"]);
    assert_eq!(outcome.problems[0].path.as_deref(), Some(SQLITE));
    for (path, bytes) in [(SQLITE, "no"), ("var/lib/rpm/Packages", "database"), ("var/lib/rpm/Packages.db", "here")] {
        let outcome = Sample::new().file(0, path, bytes.repeat(3000)).run_all();
        assert_eq!((rows(&outcome).len(), kinds(&outcome)), (0, vec!["corrupt"]), "{path}");
        assert_eq!(kinds(&Sample::new().file(0, path, "").run_all()), [""; 0], "{path}");
    }
}

/// A hash table of Berkeley DB: `small` in the table, `large` on overflow pages, of which the second comes first.
fn berkeley(is_big: bool) -> Vec<u8> {
    let number = |value: u32| if is_big { value.to_be_bytes() } else { value.to_le_bytes() };
    let half = |value: u16| if is_big { value.to_be_bytes() } else { value.to_le_bytes() };
    let page = |kind: u8, next: u32, entries: u16, used: u16| {
        let mut page = vec![0; PAGE];
        page[16..20].copy_from_slice(&number(next));
        page[20..22].copy_from_slice(&half(entries));
        page[22..24].copy_from_slice(&half(used));
        page[25] = kind;
        page
    };
    let mut meta = page(8, 0, 0, 0);
    meta[12..16].copy_from_slice(&number(0x0006_1561));
    meta[20..24].copy_from_slice(&number(PAGE as u32));
    meta[24] = 0;
    let (small, large) = (header("small", 0), header("large", 5000));
    let mut table = page(13, 0, 6, 0);
    let items = [
        [&[1], &number(0)[..]].concat(),
        [&[1], &number(3)[..]].concat(),
        [&[1], &number(1)[..]].concat(),
        [&[1], small.as_slice()].concat(),
        [&[1], &number(2)[..]].concat(),
        [&[3, 0, 0, 0], &number(3)[..], &number(large.len() as u32)[..]].concat(),
    ];
    let mut end = PAGE;
    for (index, item) in items.iter().enumerate() {
        end -= item.len();
        table[end..end + item.len()].copy_from_slice(item);
        table[26 + 2 * index..28 + 2 * index].copy_from_slice(&half(end as u16));
    }
    let (first, second) = large.split_at(PAGE - 26);
    let mut pages = [meta, table, page(7, 0, 1, second.len() as u16), page(7, 2, 1, first.len() as u16)];
    pages[2][26..26 + second.len()].copy_from_slice(second);
    pages[3][26..].copy_from_slice(first);
    pages.concat()
}

/// A database of SUSE: three slots, of which one is free.
fn ndb() -> Vec<u8> {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let mut out = [b"RpmP".to_vec(), words(&[0, 1, 1, 3, 0, 0, 0])].concat();
    let mut blobs: Vec<u8> = Vec::new();
    for (package, name) in [(2u32, "large"), (0, "free"), (1, "small")] {
        let offset = (PAGE + blobs.len()) / 16;
        out.extend([b"Slot".to_vec(), words(&[package, offset as u32, 9])].concat());
        let blob = header(name, 100);
        blobs.extend([b"BlbS".to_vec(), words(&[package, 1, blob.len() as u32]), blob].concat());
        blobs.resize(blobs.len().next_multiple_of(16), 0);
    }
    out.resize(PAGE, 0);
    out.extend(blobs);
    out
}

#[test]
fn the_other_forms() {
    for (path, database) in [
        ("var/lib/rpm/Packages", berkeley(false)),
        ("var/lib/rpm/Packages", berkeley(true)),
        ("usr/lib/sysimage/rpm/Packages.db", ndb()),
    ] {
        let outcome = Sample::new().file(0, path, &database).run_all();
        assert_eq!(rows(&outcome), ["large 7:1.2-3.el9", "small 7:1.2-3.el9"], "{path}");
        assert_eq!(kinds(&outcome), [""; 0], "{path}");
        suite(&Rpm, &[(path, &database)]);
    }
    let list = "acl\t2.3.1-2.cm2\t1653816591\t1653753130\tMicrosoft Corporation\t(none)\t67345\tx86_64\t0\tacl-2.3.1-2.cm2.src.rpm\nstrange\n";
    let outcome = Sample::new().file(0, "var/lib/rpmmanifest/container-manifest-2", list).run_all();
    assert_eq!((rows(&outcome), kinds(&outcome)), (vec!["acl 2.3.1-2.cm2".to_owned()], vec!["corrupt"]));
}

/// Whatever a database does, it takes no more than this, without optimization and beside other tests.
const SOON: std::time::Duration = std::time::Duration::from_secs(30);

#[test]
fn the_other_forms_lie_in_vain() {
    let little = |at: usize, value: u32, mut database: Vec<u8>| {
        database[at..at + 4].copy_from_slice(&value.to_le_bytes());
        database
    };
    let (old, slots) = (berkeley(false), ndb());
    let item = memchr::memmem::find(&old, &[3, 0, 0, 0, 3, 0, 0, 0]).unwrap();
    for (what, path, database, found) in [
        ("a page that follows itself", "Packages", little(3 * PAGE + 16, 3, old.clone()), 1),
        ("two pages in a circle", "Packages", little(2 * PAGE + 16, 3, little(item + 8, 1 << 30, old.clone())), 1),
        ("a value of four gigabytes", "Packages", little(item + 8, u32::MAX, old.clone()), 1),
        ("a page that is not there", "Packages", little(3 * PAGE + 16, 77, old.clone()), 1),
        ("a table that is cut", "Packages", old[..PAGE + 700].to_vec(), 0),
        ("a value that is cut", "Packages", old[..3 * PAGE + 50].to_vec(), 1),
        ("a slot outside", "Packages.db", little(32 + 8, u32::MAX, slots.clone()), 1),
        ("two slots for one blob", "Packages.db", little(64 + 8, PAGE as u32 / 16, slots.clone()), 1),
        ("a blob of another package", "Packages.db", little(PAGE + 4, 9, slots.clone()), 1),
        ("a blob of four gigabytes", "Packages.db", little(PAGE + 12, u32::MAX, slots.clone()), 1),
        ("a million pages of slots", "Packages.db", little(12, 1 << 20, slots.clone()), 0),
        ("more slots than there are", "Packages.db", little(12, 1000, slots.clone()), 0),
        ("a blob that is cut", "Packages.db", slots[..PAGE + 280].to_vec(), 1),
    ] {
        let path = format!("var/lib/rpm/{path}");
        let outcome = Sample::new().file(0, &path, &database).run_all();
        assert_eq!(rows(&outcome).len(), found, "{what}");
        assert!(!outcome.problems.is_empty(), "{what}");
        let named = outcome.problems.iter().all(|problem| problem.path.as_deref() == Some(path.as_str()));
        assert!(named, "{what}: {:?}", outcome.problems);
    }
}

/// A header whose tags and values are these.
fn made(rows: &[[u32; 4]], values: &[u8]) -> Vec<u8> {
    let mut out = [rows.len() as u32, values.len() as u32].map(u32::to_be_bytes).concat();
    out.extend(rows.iter().flatten().flat_map(|word| word.to_be_bytes()));
    out.extend(values);
    out
}

/// The header as the only package of a database of SUSE.
fn alone(header: &[u8]) -> Outcome {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let mut out = [b"RpmP".to_vec(), words(&[0, 1, 1, 3, 0, 0, 0])].concat();
    out.extend([b"Slot".to_vec(), words(&[1, PAGE as u32 / 16, 9])].concat());
    out.resize(PAGE, 0);
    out.extend([b"BlbS".to_vec(), words(&[1, 1, header.len() as u32]), header.to_vec()].concat());
    Sample::new().file(0, "var/lib/rpm/Packages.db", out).run_all()
}

#[test]
fn headers_lie_in_vain() {
    let values = b"name\x001\x00";
    let whole = [[1000, 6, 0, 1], [1001, 6, 5, 1]];
    assert_eq!(rows(&alone(&made(&whole, values))), ["name 1"]);
    let far = [[1000, 6, 0, 1], [1001, 6, u32::MAX, 1]];
    let open = [[1000, 6, 0, 1], [1001, 6, 5, 1]];
    for (what, header) in [
        ("a value outside", made(&far, values)),
        ("a text without an end", made(&open, b"name\x001")),
        ("no tags", made(&[], values)),
        ("four billion tags", [&u32::MAX.to_be_bytes()[..], &[0; 4], values].concat()),
        ("tags that are cut", made(&whole, values)[..30].to_vec()),
        ("nothing", Vec::new()),
    ] {
        let outcome = alone(&header);
        assert_eq!((rows(&outcome).len(), kinds(&outcome)), (0, vec!["corrupt"]), "{what}");
    }
    // Counts that lie are no matter where the values say it better.
    let many = [
        [1000, 6, 0, u32::MAX],
        [1001, 6, 5, u32::MAX],
        [1116, 4, 0, u32::MAX],
        [1117, 8, 0, u32::MAX],
        [1118, 8, 0, u32::MAX],
    ];
    assert_eq!(rows(&alone(&made(&many, values))), ["name 1"]);
}

#[test]
fn a_million_files_in_a_directory_with_a_long_name_take_no_time() {
    let directory = [vec![b'd'; 1 << 20], vec![0]].concat();
    let (names, count) = (b"f\0".repeat(500_000), 500_000u32);
    let mut values = b"name\x001\0\0".to_vec();
    let directories = values.len() as u32;
    values.extend(&directory);
    let base = values.len() as u32;
    values.extend(&names);
    let indexes = values.len() as u32;
    values.resize(values.len() + 4 * count as usize, 0);
    let tags = [
        [1000, 6, 0, 1],
        [1001, 6, 5, 1],
        [1116, 4, indexes, count],
        [1117, 8, base, count],
        [1118, 8, directories, 1],
    ];
    let began = std::time::Instant::now();
    assert_eq!(rows(&alone(&made(&tags, &values))), ["name 1"]);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

/// The paths that a header gives, and their bytes.
fn paths(header: &[u8]) -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    Header::new(header).unwrap().files(|path| (count, bytes) = (count + 1, bytes + path.len()));
    (count, bytes)
}

#[test]
fn a_header_of_nothing_does_not_become_millions_of_files() {
    // Directories, names and indexes, all of them the same zeros.
    let mut values = b"name\x001\0\0".to_vec();
    values.resize(6 << 20, 0);
    let tags =
        [[1000, 6, 0, 1], [1001, 6, 5, 1], [1116, 4, 8, u32::MAX], [1117, 8, 8, u32::MAX], [1118, 8, 8, u32::MAX]];
    let (count, _) = paths(&made(&tags, &values));
    assert!(count < 500_000, "{count} files in 6 MiB");

    // And a directory that is as long as one may be, for each of many files.
    let files = 400_000;
    let mut values = b"name\x001\0\0".to_vec();
    values.extend([b'd'; 4_000]);
    values.push(0);
    let base = values.len() as u32;
    values.resize(values.len() + 4 * files, 0);
    let tags =
        [[1000, 6, 0, 1], [1001, 6, 5, 1], [1116, 4, base, u32::MAX], [1117, 8, base, u32::MAX], [1118, 8, 8, 1]];
    let (count, bytes) = paths(&made(&tags, &values));
    assert!(count > 100 && bytes < 32 << 20, "{bytes} bytes of {count} paths in {} bytes", values.len());
}

#[test]
fn a_header_that_lists_more_files_than_it_can_hold_is_told() {
    let mut values = b"name\x001\0\0".to_vec();
    values.resize(1 << 20, 0);
    let tags =
        [[1000, 6, 0, 1], [1001, 6, 5, 1], [1116, 4, 8, u32::MAX], [1117, 8, 8, u32::MAX], [1118, 8, 8, u32::MAX]];
    let outcome = alone(&made(&tags, &values));
    assert_eq!((rows(&outcome), kinds(&outcome)), (vec!["name 1".to_owned()], vec!["corrupt"]));
}

#[test]
fn pages_of_trees_without_end_take_little_memory_and_are_told() {
    // Small pages, each of which has one page below it: more of them than any database has.
    let mut page = vec![0; 512];
    page[0] = 5;
    page[8..12].copy_from_slice(&2u32.to_be_bytes());
    let mut first = first_page(2)[..512].to_vec();
    first[16..18].copy_from_slice(&512u16.to_be_bytes());
    first[100..].fill(0);
    let database = [first, page.repeat(100_000)].concat();
    let outcome = Sample::new().file(0, SQLITE, database).run_all();
    let told: Vec<&str> = outcome.problems.iter().map(|problem| problem.message.as_str()).collect();
    assert!(told.iter().any(|message| message.contains("more pages of trees")), "{told:?}");
}

#[test]
fn rows_that_lie_in_one_another_are_read_once() {
    // A page of two thousand cells, all of them the same row.
    let (row, _) = cell(1, &row("small", 0), 0);
    let mut page = leaf(&row);
    let count = ((PAGE - row.len() - 8) / 2) as u16;
    page[3..5].copy_from_slice(&count.to_be_bytes());
    for index in 0..usize::from(count) {
        page[8 + 2 * index..10 + 2 * index].copy_from_slice(&((PAGE - row.len()) as u16).to_be_bytes());
    }
    let database = [first_page(2), page].concat();
    let outcome = Sample::new().file(0, SQLITE, database).run_all();
    assert_eq!((rows(&outcome), kinds(&outcome)), (vec!["small 7:1.2-3.el9".to_owned()], vec!["corrupt"]));
    assert!(outcome.inventory.package(0).unwrap().locations().len() < 20);
}

#[test]
fn the_newest_form_in_a_folder_is_the_one_in_use() {
    let outcome = Sample::new()
        .file(0, SQLITE, sqlite(&[6, 7, 8, 9], 4 * 4000))
        .file(0, "var/lib/rpm/Packages", berkeley(false))
        .run_all();
    assert_eq!(outcome.inventory.package(0).unwrap().locations().len(), 1);
}

#[test]
fn a_log_that_is_none_is_told() {
    for (log, told) in [(vec![], vec![]), (vec![7; 31], vec![]), (vec![7; 4152], vec!["corrupt"])] {
        let path = format!("{SQLITE}-wal");
        let outcome = Sample::new().file(0, SQLITE, sqlite(&[6, 7, 8, 9], 4 * 4000)).file(0, &path, log).run_all();
        assert_eq!((rows(&outcome).len(), kinds(&outcome)), (2, told));
        assert!(outcome.problems.iter().all(|problem| problem.path.as_deref() == Some(path.as_str())));
    }
}

#[test]
fn a_package_owns_its_programs() {
    // The package `small` owns `usr/bin/small`, a program of Rust.
    let mut program = b"\x7fELF\x02\x01\x01".to_vec();
    program.resize(64, 0);
    program[32..40].copy_from_slice(&64u64.to_le_bytes());
    program[54..56].copy_from_slice(&56u16.to_le_bytes());
    program[56..58].copy_from_slice(&1u16.to_le_bytes());
    program.resize(64 + 56, 0);
    program[64] = 1;
    let audit = br#"{"packages":[{"name":"serde","version":"1.0.2"}]}"#;
    let mut packed = vec![0; 1000];
    let mut deflate = zlib_rs::Deflate::new(7, true, 15);
    deflate.compress(audit, &mut packed, zlib_rs::DeflateFlush::Finish).unwrap();
    packed.truncate(deflate.total_out() as usize);
    program.extend(packed);
    let outcome = Sample::new()
        .file(0, "var/lib/rpm/Packages", berkeley(false))
        .file(0, "usr/bin/small", &program)
        .file(0, "usr/local/bin/small", &program)
        .file(1, "usr/local/bin/small", "a script")
        .run_all();
    assert_eq!(rows(&outcome), ["serde 1.0.2 of small", "large 7:1.2-3.el9", "small 7:1.2-3.el9"]);
}

/// A database of 150 MB that is written as it is read: six hundred packages of 250 kB, each before its leaf.
#[test]
fn a_database_of_150_mb_is_not_held() {
    const PADDING: usize = 250_000;
    let pages_of_one = cell(1, &row("p100", PADDING), 1).1.chunks(PAGE - 4).count() as u32 + 1;
    let packages = 600u32;
    // Page 2 is the root, 3 and 4 lie below it, and below these the leaves.
    let leaf_page = |package: u32| 4 + (package + 1) * pages_of_one;
    let level = |packages: std::ops::Range<u32>| {
        let last = packages.end - 1;
        let cells = packages
            .clone()
            .take(packages.len() - 1)
            .map(|package| [leaf_page(package).to_be_bytes().to_vec(), varint(1)].concat());
        tree_page(0, 5, &cells.collect::<Vec<_>>(), leaf_page(last))
    };
    let top = tree_page(0, 5, &[[3u32.to_be_bytes().to_vec(), varint(1)].concat()], 4);
    let head = [first_page(2), top, level(0..300), level(300..packages)].concat();
    let one = move |package: u32| {
        let start = leaf_page(package) - pages_of_one + 1;
        let (cell, rest) = cell(package.into(), &row(&format!("p{}", 100 + package), PADDING), start);
        let chunks: Vec<&[u8]> = rest.chunks(PAGE - 4).collect();
        let mut out = Vec::new();
        for (chunk, next) in chunks.iter().zip(start + 1..) {
            let next = if next < leaf_page(package) { next } else { 0 };
            out.extend(next.to_be_bytes());
            out.extend(*chunk);
            out.resize(out.len().next_multiple_of(PAGE), 0);
        }
        out.extend(leaf(&cell));
        out
    };
    struct Database<F> {
        piece: std::io::Cursor<Vec<u8>>,
        packages: std::ops::Range<u32>,
        one: F,
    }

    impl<F: Fn(u32) -> Vec<u8>> Read for Database<F> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let read = self.piece.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            let Some(package) = self.packages.next() else { return Ok(0) };
            self.piece = std::io::Cursor::new((self.one)(package));
            self.piece.read(buffer)
        }
    }

    let size = head.len() as u64 + u64::from(packages * pages_of_one) * PAGE as u64;
    assert!(size > 150_000_000, "{size}");
    let content = || Database { piece: std::io::Cursor::new(head.clone()), packages: 0..packages, one };
    let outcome = Sample::stream(SQLITE, size, content);
    assert_eq!(outcome.inventory.len(), packages as usize);
    assert_eq!((kinds(&outcome), outcome.layers_read_twice), (vec![], 0));
}
