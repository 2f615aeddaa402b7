//! The database since rpm 4.16, `rpmdb.sqlite` (sqlite.org, "Database File Format"): the table `Packages`, whose rows are a number
//! and a header, and whose larger rows go on in overflow pages.
//!
//! All pages stream by once. A leaf of the table counts if it can be reached from the root, since deleted ones stay in the file.

use std::collections::{HashMap, HashSet};

use super::chains::{Chains, PAGES, Wanted};
use super::{Found, fill};
use crate::error::{Error, Kind, Result};
use crate::layer::File;
use crate::model::problem::{Problem, ProblemKind};

const MAGIC: &[u8] = b"SQLite format 3\0";

/// Reads all packages of the database.
///
/// # Errors
/// Those of the file; [`Kind::Corrupt`] for what is no such database.
pub(super) fn read(file: &mut File<'_>, found: &mut Found) -> Result<()> {
    let mut page = vec![0; 100];
    if !fill(file, &mut page)? {
        return if file.size() == 0 { Ok(()) } else { Err(corrupt("this is no SQLite database")) };
    }
    let size = match number(&page, 16, 2) {
        _ if !page.starts_with(MAGIC) => None,
        Some(1) => Some(65_536),
        Some(size) if size.is_power_of_two() && size >= 512 => Some(size as usize),
        _ => None,
    };
    let reserved = page.get(20).copied().map_or(0, usize::from);
    let Some(size) = size else { return Err(corrupt("this is no SQLite database")) };
    let mut tables = Tables::new(size - reserved, Chains::new(file.note::<Wanted>()?));
    page.resize(size, 0);
    let (_, rest) = page.split_at_mut(100);
    let mut is_there = fill(file, rest)?;
    while is_there {
        tables.page(&page, file, found)?;
        is_there = fill(file, &mut page)?;
    }
    if !file.size().is_multiple_of(size as u64) {
        found.problem("the database ends in the middle of a page");
    }
    tables.finish(file, found)
}

/// Looks at the log beside a database ("The Write-Ahead Log"). Whoever closes the database writes the log back and removes it; one
/// that holds pages was left behind by a crash, or by a copy of a database in use.
pub(super) fn log(file: &mut File<'_>) {
    const HEADER: u64 = 32;
    if file.size() > HEADER {
        let message = "the log of the database holds changes that were not written back; they are not read";
        file.problem(Problem::new(ProblemKind::Unsupported, message));
    }
}

/// What is known of the trees in the file.
struct Tables {
    /// The bytes of a page that are used.
    usable: usize,
    /// The number of the page that comes, from 1.
    number: u32,
    chains: Chains,
    /// The pages below a page that is no leaf.
    below: HashMap<u32, Vec<u32>>,
    below_count: usize,
    /// The leaves with rows of packages.
    leaves: Vec<u32>,
    /// Where the schema says that the table starts, and on which page it says so.
    roots: Vec<(u32, u32)>,
}

impl Tables {
    fn new(usable: usize, chains: Chains) -> Self {
        let (below, leaves, roots) = (HashMap::new(), Vec::new(), Vec::new());
        Self { usable, number: 1, chains, below, below_count: 0, leaves, roots }
    }

    fn page(&mut self, page: &[u8], file: &File<'_>, found: &mut Found) -> Result<()> {
        let page = page.get(..self.usable).unwrap_or(page);
        // The first page has the header of the file in front.
        let start = if self.number == 1 { 100 } else { 0 };
        match page.get(start) {
            Some(0x0d) => self.leaf(page, start, file, found)?,
            Some(0x05) => self.interior(page, start),
            // An overflow page starts with the number of the next one, which is never as high as these.
            Some(0) => {
                let next = number(page, 0, 4).unwrap_or_default() as u32;
                if let Some(value) = self.chains.page(self.number, next, page.get(4..).unwrap_or_default()) {
                    found.value(file, value.owner, &value.bytes)?;
                }
            }
            // The trees of indexes.
            _ => {}
        }
        self.number = self.number.saturating_add(1);
        Ok(())
    }

    fn interior(&mut self, page: &[u8], start: usize) {
        let cells = number(page, start + 3, 2).unwrap_or_default() as usize;
        let pointers = (0..cells).map_while(|cell| {
            let at = number(page, start + 12 + 2 * cell, 2)? as usize;
            number(page, at, 4)
        });
        let below: Vec<u32> = pointers.chain(number(page, start + 8, 4)).map(|page| page as u32).collect();
        if self.below_count + below.len() <= PAGES {
            self.below_count += below.len();
            self.below.insert(self.number, below);
        }
    }

    fn leaf(&mut self, page: &[u8], start: usize, file: &File<'_>, found: &mut Found) -> Result<()> {
        let cells = number(page, start + 3, 2).unwrap_or_default() as usize;
        let (mut has_packages, mut room) = (false, page.len());
        for cell in 0..cells {
            let Some(at) = number(page, start + 8 + 2 * cell, 2) else { break };
            let Some(row) = Row::read(page, at as usize, self.usable) else { continue };
            // Thousands of rows that share their bytes would make much of little.
            let Some(left) = room.checked_sub(row.local.len()) else {
                found.overlapping += 1;
                break;
            };
            room = left;
            if let Some(root) = row.root_of_packages() {
                if self.roots.len() < 16 {
                    self.roots.push((self.number, root));
                }
            } else if let Some(head) = row.header_of_package() {
                has_packages = true;
                let local = row.local.get(head..).unwrap_or_default();
                let total = row.length.saturating_sub(head as u64);
                if let Some(value) = self.chains.start(self.number, local, total, row.next) {
                    found.value(file, value.owner, &value.bytes)?;
                }
            }
        }
        if has_packages && self.leaves.len() < PAGES {
            self.leaves.push(self.number);
        }
        Ok(())
    }

    /// The pages of the tree that starts at `root`. A loop ends it.
    fn tree(&self, root: u32) -> HashSet<u32> {
        let (mut seen, mut ahead) = (HashSet::new(), vec![root]);
        while let Some(page) = ahead.pop() {
            if seen.insert(page) {
                ahead.extend(self.below.get(&page).into_iter().flatten().filter(|page| !seen.contains(page)));
            }
        }
        seen
    }

    fn finish(self, file: &mut File<'_>, found: &mut Found) -> Result<()> {
        if let Some(wanted) = self.chains.wanted() {
            return found.look_again(file, &wanted);
        }
        found.missing += self.chains.missing();
        let schema = self.tree(1);
        let Some((_, root)) = self.roots.iter().find(|(page, _)| schema.contains(page)) else {
            if !self.leaves.is_empty() || self.number > 2 {
                found.problem("the database does not say where its packages are");
            }
            return Ok(());
        };
        let table = self.tree(*root);
        for leaf in self.leaves.iter().filter(|leaf| !table.contains(leaf)) {
            found.gone(*leaf)?;
        }
        Ok(())
    }
}

/// A row of a table, as much of it as its leaf has.
struct Row<'a> {
    /// The bytes of the whole record.
    length: u64,
    local: &'a [u8],
    /// The overflow page on which the record goes on; 0 where it does not.
    next: u32,
}

impl<'a> Row<'a> {
    /// Reads the cell at `at` ("B-tree Cell Format", "Cell Payload Overflow Pages").
    fn read(page: &'a [u8], at: usize, usable: usize) -> Option<Self> {
        let (length, rest) = varint(page.get(at..)?)?;
        let (_key, rest) = varint(rest)?;
        let most = usable as u64 - 35;
        if length <= most {
            return Some(Self { length, local: rest.get(..length as usize)?, next: 0 });
        }
        let least = (usable as u64 - 12) * 32 / 255 - 23;
        let fitting = least + (length - least) % (usable as u64 - 4);
        let local = if fitting <= most { fitting } else { least };
        let (local, rest) = rest.split_at_checked(local as usize)?;
        Some(Self { length, local, next: number(rest, 0, 4)? as u32 })
    }

    /// The types of the first columns, and where the values start ("Record Format").
    fn columns(&self) -> Option<(Vec<u64>, usize)> {
        let (length, mut rest) = varint(self.local)?;
        let start = usize::try_from(length).ok().filter(|length| *length <= self.local.len())?;
        let mut types = Vec::new();
        while self.local.len() - rest.len() < start && types.len() < 6 {
            let (kind, after) = varint(rest)?;
            types.push(kind);
            rest = after;
        }
        Some((types, start))
    }

    /// Where the header starts, if this is a row of `Packages`: a key, which the record has as NULL, and a blob.
    fn header_of_package(&self) -> Option<usize> {
        let (types, start) = self.columns()?;
        matches!(types.as_slice(), [0, blob] if *blob >= 12 && blob % 2 == 0).then_some(start)
    }

    /// The root of `Packages`, if this is its row in the schema: `table`, name, name, root, SQL.
    fn root_of_packages(&self) -> Option<u32> {
        let (types, start) = self.columns()?;
        let [23, 29, 29, root, _] = types.as_slice() else { return None };
        let text = self.local.get(start..)?.strip_prefix(b"tablePackagesPackages")?;
        let size = match root {
            1..=4 => *root as usize,
            9 => return Some(1),
            _ => return None,
        };
        number(text, 0, size).and_then(|root| u32::try_from(root).ok())
    }
}

/// A number of `size` bytes, the highest first.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(size)?)?;
    Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// A number of 1 to 9 bytes: seven bits a byte, the highest first, and all eight of the ninth.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0u64;
    for (index, byte) in bytes.iter().enumerate().take(9) {
        if index == 8 {
            return Some((number << 8 | u64::from(*byte), bytes.get(9..)?));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(index + 1..)?));
        }
    }
    None
}

fn corrupt(message: &'static str) -> Error {
    Error::new(Kind::Corrupt, message)
}
