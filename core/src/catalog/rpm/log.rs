//! The log beside a database, `rpmdb.sqlite-wal` (sqlite.org, "Database File Format", "The Write-Ahead Log"): pages as they are to
//! be, in frames, each transaction behind the one before. Whoever closes the database writes them back; where nobody did, as after
//! a crash, in a copy of a database in use, or where only the log changed in a layer, the log is what counts.
//!
//! A first look finds the frames that were committed and that no later one replaces, a second one reads their pages.

use std::collections::{BTreeMap, HashMap};

use super::chains::{HELD, Place, VALUE, Wanted};
use super::page::{Page, Row, number};
use super::sqlite::corrupt;
use super::trees::Trees;
use super::{Found, Record, fill};
use crate::error::Result;
use crate::layer::File;

/// The bytes of the header of the log, and of that of a frame.
const HEADER: usize = 32;
const FRAME: usize = 24;
/// The most frames that are looked at; with pages of 4 KiB, 512 MiB.
const FRAMES: u32 = 1 << 17;

/// Reads what the log changes in its database.
///
/// # Errors
/// Those of the file; [`Kind::Corrupt`](crate::Kind::Corrupt) for what is no log.
pub(super) fn read(file: &mut File<'_>, found: &mut Found) -> Result<()> {
    let mut header = [0; HEADER];
    if !fill(file, &mut header)? {
        // What is shorter is an empty log.
        return Ok(());
    }
    let Some(mut log) = Log::new(&header) else { return Err(corrupt("this is no log of a database")) };
    match file.note::<Wanted>()? {
        None => log.look(file, found),
        Some(last) => log.pages(&last, file, found),
    }
}

/// What the header of a log says, and the sum so far.
struct Log {
    size: usize,
    is_big: bool,
    salt: u64,
    sum: (u32, u32),
}

impl Log {
    fn new(header: &[u8]) -> Option<Self> {
        let is_big = match number(header, 0, 4)? {
            0x377f_0682 => false,
            0x377f_0683 => true,
            _ => return None,
        };
        let size = number(header, 8, 4).filter(|size| size.is_power_of_two() && (512..=65_536).contains(size))?;
        let mut log = Self { size: size as usize, is_big, salt: number(header, 16, 8)?, sum: (0, 0) };
        log.add(header.get(..24)?);
        (log.sum == sum(header, 24)?).then_some(log)
    }

    /// Adds bytes to the sum ("Checksum Algorithm").
    fn add(&mut self, bytes: &[u8]) {
        let is_big = self.is_big;
        let word = |word: &[u8; 4]| if is_big { u32::from_be_bytes(*word) } else { u32::from_le_bytes(*word) };
        let (mut first, mut second) = self.sum;
        for [a, b] in bytes.as_chunks::<4>().0.as_chunks::<2>().0 {
            first = first.wrapping_add(word(a)).wrapping_add(second);
            second = second.wrapping_add(word(b)).wrapping_add(first);
        }
        self.sum = (first, second);
    }

    /// Whether a frame belongs to the log. Those that do not are left over from before the log was started again.
    fn holds(&mut self, frame: &[u8]) -> Option<bool> {
        let (head, page) = frame.split_at_checked(FRAME)?;
        self.add(head.get(..8)?);
        self.add(page);
        Some(number(head, 0, 4)? > 0 && number(head, 8, 8)? == self.salt && sum(head, 16)? == self.sum)
    }

    /// The first look.
    fn look(&mut self, file: &mut File<'_>, found: &mut Found) -> Result<()> {
        let mut frame = vec![0; FRAME + self.size];
        // The last frame of each page; and those since the last commit, which do not count without the next one.
        let (mut last, mut open) = (HashMap::new(), Vec::new());
        let mut count = 0;
        while count < FRAMES && fill(file, &mut frame)? && self.holds(&frame) == Some(true) {
            open.push((number(&frame, 0, 4), count));
            if number(&frame, 4, 4) != Some(0) {
                last.extend(open.drain(..));
            }
            count += 1;
        }
        if count == FRAMES {
            found.problem("the log of the database is too long to be read to its end");
        }
        if last.is_empty() {
            return Ok(());
        }
        let mut frames: Vec<u32> = last.into_values().collect();
        frames.sort_unstable();
        found.look_again(file, &Wanted::of(&frames))
    }

    /// The second look.
    fn pages(&mut self, last: &Wanted, file: &mut File<'_>, found: &mut Found) -> Result<()> {
        let mut frame = vec![0; FRAME + self.size];
        let mut pages = Pages::new();
        for count in 0..FRAMES {
            if !fill(file, &mut frame)? {
                break;
            }
            if last.has(count) {
                let number = number(&frame, 0, 4).unwrap_or_default() as u32;
                pages.take(number, frame.get(FRAME..).unwrap_or_default(), found);
            }
        }
        pages.finish(file, found)
    }
}

/// The pages of the log. SQLite can leave bytes at the end of each page unused, but only where it is told to, which rpm does not.
struct Pages {
    written: Vec<u32>,
    trees: Trees,
    /// Leaves with rows of packages.
    leaves: BTreeMap<u32, Vec<u8>>,
    /// Parts of rows, with the page of the next one. They stay until the end, since rows that were deleted may name them too.
    beyond: HashMap<u32, (u32, Vec<u8>)>,
    held: usize,
    /// How many bytes rows were put together from.
    spent: usize,
}

impl Pages {
    fn new() -> Self {
        let (leaves, beyond) = (BTreeMap::new(), HashMap::new());
        Self { written: Vec::new(), trees: Trees::of(1), leaves, beyond, held: 0, spent: 0 }
    }

    fn take(&mut self, count: u32, page: &[u8], found: &mut Found) {
        self.written.push(count);
        let has_room = self.held + page.len() <= HELD;
        match Page::read(count, page) {
            Page::Leaf(rows, is_overlapping) => {
                found.overlapping += u64::from(is_overlapping);
                rows.iter().filter_map(Row::root_of_packages).for_each(|root| self.trees.root(count, root));
                if !rows.iter().any(|row| row.header_of_package().is_some()) {
                    return;
                }
                if has_room {
                    self.held += page.len();
                    self.leaves.insert(count, page.to_vec());
                } else {
                    found.missing += rows.len() as u64;
                }
            }
            Page::Below(below) => self.trees.below(count, below),
            Page::Overflow(next, content) if has_room => {
                self.held += page.len();
                self.beyond.insert(count, (next, content.to_vec()));
            }
            Page::Overflow(..) | Page::Other => {}
        }
    }

    fn finish(mut self, file: &mut File<'_>, found: &mut Found) -> Result<()> {
        for (count, page) in std::mem::take(&mut self.leaves) {
            let Page::Leaf(rows, _) = Page::read(count, &page) else { continue };
            for row in rows {
                let Some(head) = row.header_of_package() else { continue };
                let mut place = Place { page: count, mark: row.mark(), beyond: Vec::new() };
                let value = self.value(&row, &mut place);
                let is_package = match value {
                    Some(value) => found.take(file, &place, value.get(head..).unwrap_or_default())?,
                    None => false,
                };
                if !is_package {
                    // Its rest is in the database; or it was deleted, and its pages are those of others now.
                    found.records.push(&Record::Moved(Place { beyond: vec![row.next], ..place }))?;
                }
            }
        }
        found.records.push(&Record::Written(Wanted::of(&self.written)))?;
        self.trees.keep(found)
    }

    /// A whole row; none where a part of it is not here. Rows that share their parts would make much of little.
    fn value(&mut self, row: &Row<'_>, place: &mut Place) -> Option<Vec<u8>> {
        const MOST: usize = 4 * HELD;
        let length = usize::try_from(row.length).unwrap_or(usize::MAX).min(VALUE);
        let (mut value, mut next) = (row.local.to_vec(), row.next);
        while value.len() < length {
            let (after, content) = self.beyond.get(&next).filter(|_| self.spent < MOST)?;
            let content = content.get(..content.len().min(length - value.len()))?;
            self.spent += content.len();
            value.extend_from_slice(content);
            place.beyond.push(next);
            next = *after;
        }
        Some(value)
    }
}

/// The sum that is written at this place.
fn sum(bytes: &[u8], at: usize) -> Option<(u32, u32)> {
    Some((number(bytes, at, 4)? as u32, number(bytes, at + 4, 4)? as u32))
}
