//! The database of old, `Packages`: a hash table of Berkeley DB (its sources: `dbinc/db_page.h`). A header that does not fit into a
//! page of the table is on overflow pages.

use super::chains::{Chains, Wanted};
use super::{Found, fill};
use crate::error::{Error, Kind, Result};
use crate::layer::File;

const MAGIC: u32 = 0x0006_1561;
/// The bytes of a page before its items.
const HEAD: usize = 26;

/// Kinds of pages, and of items.
const HASH_UNSORTED: u8 = 2;
const HASH: u8 = 13;
const OVERFLOW: u8 = 7;
const INLINE: u8 = 1;
const OFF_PAGE: u8 = 3;

/// Reads all packages of the database.
///
/// # Errors
/// Those of the file; [`Kind::Corrupt`] for what is no such database.
pub(super) fn read(file: &mut File<'_>, found: &mut Found) -> Result<()> {
    let no_database = || Error::new(Kind::Corrupt, "this is no hash table of Berkeley DB");
    let mut page = vec![0; 512];
    if !fill(file, &mut page)? {
        return if file.size() == 0 { Ok(()) } else { Err(no_database()) };
    }
    let order = [Order { is_big: false }, Order { is_big: true }]
        .into_iter()
        .find(|order| order.word(&page, 12) == Some(MAGIC));
    let order = order.ok_or_else(no_database)?;
    let size = order.word(&page, 20).filter(|size| size.is_power_of_two() && (512..=65_536).contains(size));
    let size = size.ok_or_else(no_database)? as usize;
    if page.get(24).is_some_and(|encryption| *encryption != 0) {
        return Err(Error::new(Kind::Unsupported, "the database is encrypted"));
    }
    page.resize(size, 0);
    let (_, rest) = page.split_at_mut(512);
    let mut is_there = fill(file, rest)?;
    let mut table = Table { order, chains: Chains::new(file.note::<Wanted>()?) };
    let mut number = 0;
    while is_there {
        table.page(number, &page, file, found)?;
        number += 1;
        is_there = fill(file, &mut page)?;
    }
    if !file.size().is_multiple_of(size as u64) {
        found.problem("the database ends in the middle of a page");
    }
    match table.chains.wanted() {
        Some(wanted) => found.look_again(file, &wanted),
        None => {
            found.missing += table.chains.missing();
            Ok(())
        }
    }
}

#[derive(Clone, Copy)]
struct Order {
    is_big: bool,
}

impl Order {
    fn word(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if self.is_big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn half(self, bytes: &[u8], at: usize) -> Option<usize> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if self.is_big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }.into())
    }
}

struct Table {
    order: Order,
    chains: Chains,
}

impl Table {
    fn page(&mut self, number: u32, page: &[u8], file: &File<'_>, found: &mut Found) -> Result<()> {
        match page.get(25) {
            Some(&(HASH | HASH_UNSORTED)) if number > 0 => self.items(number, page, file, found),
            Some(&OVERFLOW) if number > 0 => {
                let (next, used) = (self.order.word(page, 16), self.order.half(page, 22).unwrap_or_default());
                let content = page.get(HEAD..HEAD + used).or_else(|| page.get(HEAD..)).unwrap_or_default();
                match self.chains.page(number, next.unwrap_or_default(), content) {
                    Some(value) => found.value(file, &value.place, &value.bytes),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// The items of a page of the table: keys and values in turn.
    fn items(&mut self, number: u32, page: &[u8], file: &File<'_>, found: &mut Found) -> Result<()> {
        let count = self.order.half(page, 20).unwrap_or_default();
        let place = |index: usize| self.order.half(page, HEAD + 2 * index).filter(|place| *place < page.len());
        let mut room = page.len();
        for index in (1..count).step_by(2) {
            let (Some(key_place), Some(value_place)) = (place(index - 1), place(index)) else { break };
            // Items lie from the end of the page down: one ends where the one before it starts.
            let Some(item) = page.get(value_place..key_place) else { continue };
            let Some(left) = room.checked_sub(item.len()) else {
                found.overlapping += 1;
                break;
            };
            room = left;
            let value = match item.first() {
                Some(&OFF_PAGE) => {
                    let (next, length) = (self.order.word(item, 4), self.order.word(item, 8));
                    next.zip(length).and_then(|(next, length)| self.chains.start(number, 0, &[], length.into(), next))
                }
                // The value of key 0 is a number, the one that the next package gets.
                Some(&INLINE) if item.len() > 8 => {
                    let bytes = item.get(1..).unwrap_or_default();
                    self.chains.start(number, 0, bytes, bytes.len() as u64, 0)
                }
                _ => None,
            };
            if let Some(value) = value {
                found.value(file, &value.place, &value.bytes)?;
            }
        }
        Ok(())
    }
}
