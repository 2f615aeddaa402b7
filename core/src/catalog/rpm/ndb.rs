//! The database of SUSE, `Packages.db` (rpm sources: `lib/backend/ndb/rpmpkg.c`): pages of slots, which say where the headers
//! are, and behind them the headers.

use std::io::Read as _;

use super::chains::{Place, VALUE};
use super::{Found, fill};
use crate::error::{Error, Kind, Result};
use crate::layer::File;

/// `RpmP`, `Slot` and `BlbS`, the lowest byte first.
const MAGIC: &[u8] = b"RpmP";
const SLOT: &[u8] = b"Slot";
const BLOB: &[u8] = b"BlbS";

const SLOT_SIZE: usize = 16;
const PAGE: usize = 4096;
/// The most pages of slots; each has 256.
const PAGES: u32 = 1024;

/// Reads all packages of the database.
///
/// # Errors
/// Those of the file; [`Kind::Corrupt`] for what is no such database.
pub(super) fn read(file: &mut File<'_>, found: &mut Found) -> Result<()> {
    let no_database = || Error::new(Kind::Corrupt, "this is no package database of SUSE");
    let mut page = vec![0; PAGE];
    if !fill(file, &mut page)? {
        return if file.size() == 0 { Ok(()) } else { Err(no_database()) };
    }
    let pages = word(&page, 12).filter(|pages| page.starts_with(MAGIC) && *pages > 0).ok_or_else(no_database)?;
    if pages > PAGES {
        return Err(Error::new(Kind::LimitExceeded, format!("the database has more than {PAGES} pages of slots")));
    }
    // Where headers start, in blocks of 16 bytes, and the number of the package.
    let mut slots: Vec<(u32, u32)> = Vec::new();
    for number in 0..pages {
        if number > 0 && !fill(file, &mut page)? {
            return Err(Error::new(Kind::Corrupt, "the database ends in its slots"));
        }
        // The head of the file has the place of two slots.
        let first = if number == 0 { 2 } else { 0 };
        for slot in page.chunks_exact(SLOT_SIZE).skip(first).filter(|slot| slot.starts_with(SLOT)) {
            slots.extend(word(slot, 8).zip(word(slot, 4)).filter(|(_, package)| *package != 0));
        }
    }
    slots.sort_unstable();
    let mut position = u64::from(pages) * PAGE as u64;
    let (mut head, mut blob) = ([0; 16], Vec::new());
    // Several slots of one place: the blob says which of them it belongs to.
    for slots in slots.chunk_by(|a, b| a.0 == b.0) {
        let start = slots.first().map_or(0, |(offset, _)| u64::from(*offset) * 16);
        found.missing += slots.len() as u64 - 1;
        let Some(distance) = start.checked_sub(position) else {
            found.missing += 1;
            continue;
        };
        let skipped = std::io::copy(&mut file.reader().take(distance), &mut std::io::sink())?;
        position += skipped;
        if skipped < distance || !fill(file, &mut head)? {
            found.missing += 1;
            break;
        }
        position += head.len() as u64;
        let length = word(&head, 12).unwrap_or_default();
        let package = word(&head, 4);
        if !head.starts_with(BLOB) || !slots.iter().any(|(_, known)| Some(*known) == package) {
            found.missing += 1;
            continue;
        }
        blob.clear();
        position += file.reader().take(u64::from(length).min(VALUE as u64)).read_to_end(&mut blob)? as u64;
        if blob.len() < (length as usize).min(VALUE) {
            found.missing += 1;
        }
        found.value(file, &Place::default(), &blob)?;
    }
    Ok(())
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}
