//! The database since rpm 4.16, `rpmdb.sqlite` (sqlite.org, "Database File Format"): the table `Packages`, whose rows are a number
//! and a header, and whose larger rows go on in overflow pages.
//!
//! All pages stream by once. A leaf of the table counts if it can be reached from the root, since deleted ones stay in the file.

use super::chains::{Chains, PAGES, Wanted};
use super::page::{Page, number};
use super::trees::Trees;
use super::{Found, Record, fill};
use crate::error::{Error, Kind, Result};
use crate::layer::File;

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
    let mut reading = Reading::new(size - reserved, file.note::<Note>()?);
    page.resize(size, 0);
    let (_, rest) = page.split_at_mut(100);
    let mut is_there = fill(file, rest)?;
    let mut count = 0;
    while is_there {
        count += 1;
        reading.page(count, &page, file, found)?;
        is_there = fill(file, &mut page)?;
    }
    if !file.size().is_multiple_of(size as u64) {
        found.problem("the database ends in the middle of a page");
    }
    reading.finish(count, file, found)
}

/// What a second look needs: the pages that belong to rows, where there is no room for others, and the leaves whose rows count,
/// where others have kept pages from them.
type Note = (Option<Wanted>, Option<Wanted>);

/// What is known of the file so far.
struct Reading {
    /// The bytes of a page that are used.
    usable: usize,
    is_first_look: bool,
    chains: Chains,
    trees: Trees,
    /// The leaves with rows of packages, and in a second look those that count.
    leaves: Vec<u32>,
    live: Option<Wanted>,
}

impl Reading {
    fn new(usable: usize, note: Option<Note>) -> Self {
        let is_first_look = note.is_none();
        let (pages, live) = note.unwrap_or_default();
        let (chains, trees) = (Chains::new(pages), Trees::of(1));
        Self { usable, is_first_look, chains, trees, leaves: Vec::new(), live }
    }

    /// Takes the page of this number.
    fn page(&mut self, count: u32, page: &[u8], file: &File<'_>, found: &mut Found) -> Result<()> {
        match Page::read(count, page.get(..self.usable).unwrap_or(page)) {
            Page::Leaf(rows, is_overlapping) => {
                found.overlapping += u64::from(is_overlapping);
                let mut has_packages = false;
                for row in &rows {
                    if let Some(root) = row.root_of_packages() {
                        self.trees.root(count, root);
                    } else if let Some(head) = row.header_of_package()
                        && self.live.as_ref().is_none_or(|live| live.has(count))
                    {
                        has_packages = true;
                        let (local, total) =
                            (row.local.get(head..).unwrap_or_default(), row.length.saturating_sub(head as u64));
                        if let Some(value) = self.chains.start(count, row.mark(), local, total, row.next) {
                            found.value(file, &value.place, &value.bytes)?;
                        }
                    }
                }
                if has_packages && self.leaves.len() < PAGES {
                    self.leaves.push(count);
                }
            }
            Page::Below(below) => self.trees.below(count, below),
            Page::Overflow(next, content) => {
                if let Some(value) = self.chains.page(count, next, content) {
                    found.value(file, &value.place, &value.bytes)?;
                }
            }
            Page::Other => {}
        }
        Ok(())
    }

    /// Ends the database, whose last page has this number, or asks for a second look.
    fn finish(self, last: u32, file: &mut File<'_>, found: &mut Found) -> Result<()> {
        let table = self.trees.table();
        let missing = self.chains.missing();
        if self.is_first_look {
            // Rows that were deleted stay in the file, and their pages may be those of others now.
            let is_gone = |leaf: &u32| table.as_ref().is_some_and(|table| !table.contains(leaf));
            let is_short = missing + found.strange > 0;
            let live = table.as_ref().filter(|_| is_short && self.leaves.iter().any(is_gone)).map(Wanted::of);
            let note: Note = (self.chains.wanted(), live);
            if note.0.is_some() || note.1.is_some() {
                return found.look_again(file, &note);
            }
        }
        found.missing += missing;
        if table.is_none() && (!self.leaves.is_empty() || last > 1) {
            found.problem("the database does not say where its packages are");
        }
        found.records.push(&Record::Pages(last))?;
        self.trees.keep(found)
    }
}

pub(super) fn corrupt(message: &'static str) -> Error {
    Error::new(Kind::Corrupt, message)
}
