//! The journal of a layer: every entry in the order of the tar, as few bytes as it takes. Applied one behind another, the
//! journals of an image say exactly what is left of each file.

use serde::{Deserialize, Serialize};
use zstd::bulk::{Compressor, Decompressor};

use crate::error::Result;

/// What an entry does to the file system below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file: regular, device or pipe.
    File,
    /// A directory.
    Directory,
    /// A symbolic link to the target.
    Symlink,
    /// One more name for the target.
    Hardlink,
    /// The path is gone from the layers below.
    Whiteout,
    /// What the layers below have in this directory is gone.
    Opaque,
}

/// One entry of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its place in the tar.
    pub index: u32,
    /// What it does.
    pub kind: EntryKind,
    /// The path, cleaned; of a whiteout the path that is gone.
    pub path: &'a [u8],
    /// The target of a link, as it was written; empty for the others.
    pub target: &'a [u8],
    /// The setuid, setgid and sticky bits, by their octal digit; 0 for most.
    pub special: u8,
}

/// All entries of a layer, each path as what differs from the one before, packed block by block: they are kept for all layers of an
/// image, and are gone through once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// Each is whole entries, in zstd.
    blocks: Vec<Box<[u8]>>,
    entries: u32,
}

/// The most bytes of a block before it is packed, but for its last entry.
const BLOCK: usize = 128 << 10;
/// The most bytes of one entry besides its path and its target.
const HEAD: usize = 24;
/// The most bytes of a path or a target: a tar is not read that has longer ones.
const LONGEST: usize = 1 << 20;
/// The quickest of zstd's levels that still packs well.
const LEVEL: i32 = 1;

impl Journal {
    /// The most bytes of one journal, packed: about a million files of a distribution.
    pub const MAX: usize = 5 << 20;

    /// How many entries there are.
    pub fn len(&self) -> u32 {
        self.entries
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// The bytes of memory that it takes.
    pub fn memory(&self) -> usize {
        self.blocks.iter().map(|block| size_of_val(block) + block.len()).sum()
    }

    /// Reads the entries from the first.
    pub fn reader(&self) -> JournalReader<'_> {
        JournalReader {
            blocks: self.blocks.iter(),
            unpacker: None,
            block: Vec::new(),
            at: 0,
            path: Vec::new(),
            index: 0,
        }
    }
}

/// Writes a [`Journal`] entry by entry.
#[derive(Default)]
pub struct JournalWriter {
    journal: Journal,
    /// The block that is being filled.
    block: Vec<u8>,
    packed: usize,
    packer: Option<Compressor<'static>>,
    last: Vec<u8>,
}

impl JournalWriter {
    /// Adds an entry; false, and nothing is added, when the journal is full.
    ///
    /// # Errors
    /// [`Kind::Internal`](crate::Kind::Internal).
    pub fn push(&mut self, kind: EntryKind, path: &[u8], target: &[u8], special: u8) -> Result<bool> {
        if self.block.len() >= BLOCK {
            self.seal()?;
        }
        let shared = self.last.iter().zip(path).take_while(|(a, b)| a == b).count();
        let rest = path.get(shared..).unwrap_or_default();
        let is_long = path.len() > LONGEST || target.len() > LONGEST;
        if is_long || self.memory() + rest.len() + target.len() + HEAD > Journal::MAX {
            return Ok(false);
        }
        let links = matches!(kind, EntryKind::Symlink | EntryKind::Hardlink);
        self.block.push(kind as u8 | (special & 7) << 4);
        put(&mut self.block, shared);
        put(&mut self.block, rest.len());
        self.block.extend_from_slice(rest);
        if links {
            put(&mut self.block, target.len());
            self.block.extend_from_slice(target);
        }
        self.last.truncate(shared);
        self.last.extend_from_slice(rest);
        self.journal.entries += 1;
        Ok(true)
    }

    /// The bytes of memory that it takes.
    pub fn memory(&self) -> usize {
        self.packed + self.block.len()
    }

    /// The journal of all that was added.
    ///
    /// # Errors
    /// [`Kind::Internal`](crate::Kind::Internal).
    pub fn finish(mut self) -> Result<Journal> {
        self.seal()?;
        self.journal.blocks.shrink_to_fit();
        Ok(self.journal)
    }

    fn seal(&mut self) -> Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let packer = match &mut self.packer {
            Some(packer) => packer,
            None => self.packer.insert(Compressor::new(LEVEL)?),
        };
        let block: Box<[u8]> = packer.compress(&self.block)?.into();
        self.packed += size_of_val(&block) + block.len();
        self.journal.blocks.push(block);
        self.block.clear();
        Ok(())
    }
}

/// Reads a [`Journal`] entry by entry.
pub struct JournalReader<'a> {
    blocks: std::slice::Iter<'a, Box<[u8]>>,
    unpacker: Option<Decompressor<'static>>,
    /// The block that is being read, and how far.
    block: Vec<u8>,
    at: usize,
    path: Vec<u8>,
    index: u32,
}

impl JournalReader<'_> {
    /// The next entry; none at the end, or where a stored journal is damaged.
    #[allow(clippy::should_implement_trait, reason = "the entry borrows from the reader")]
    pub fn next(&mut self) -> Option<Entry<'_>> {
        if self.at >= self.block.len() {
            self.unpack()?;
        }
        let mut bytes = self.block.get(self.at..)?;
        let (first, rest) = bytes.split_first()?;
        bytes = rest;
        let kind = match first & 0xf {
            0 => EntryKind::File,
            1 => EntryKind::Directory,
            2 => EntryKind::Symlink,
            3 => EntryKind::Hardlink,
            4 => EntryKind::Whiteout,
            5 => EntryKind::Opaque,
            _ => return None,
        };
        let shared = take(&mut bytes)?;
        if shared > self.path.len() {
            return None;
        }
        self.path.truncate(shared);
        let rest = take_bytes(&mut bytes)?;
        self.path.extend_from_slice(rest);
        let target = match kind {
            EntryKind::Symlink | EntryKind::Hardlink => take_bytes(&mut bytes)?,
            _ => &[],
        };
        self.at = self.block.len() - bytes.len();
        self.index += 1;
        Some(Entry { index: self.index - 1, kind, path: &self.path, target, special: first >> 4 })
    }

    /// Unpacks the next block.
    fn unpack(&mut self) -> Option<()> {
        let packed = self.blocks.next()?;
        let unpacker = match &mut self.unpacker {
            Some(unpacker) => unpacker,
            None => self.unpacker.insert(Decompressor::new().ok()?),
        };
        (self.at, self.block) = (0, std::mem::take(&mut self.block));
        self.block.clear();
        self.block.reserve_exact(BLOCK + HEAD + 2 * LONGEST);
        unpacker.decompress_to_buffer(packed, &mut self.block).ok()?;
        Some(())
    }
}

/// A number, seven bits a byte, the low ones first.
fn put(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<usize> {
    let mut number = 0usize;
    for shift in (0..35).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= usize::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take(bytes)?;
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn says_what_it_was_told(entries in proptest::collection::vec(
            (0u8..6, "[a-c/]{0,12}", "[a-c/]{0,200}", 0u8..8), 0..60)) {
            let kinds = [EntryKind::File, EntryKind::Directory, EntryKind::Symlink, EntryKind::Hardlink, EntryKind::Whiteout, EntryKind::Opaque];
            let mut writer = JournalWriter::default();
            for (number, (kind, path, target, special)) in entries.iter().enumerate() {
                prop_assert!(writer.push(kinds[*kind as usize], path.as_bytes(), target.as_bytes(), *special).unwrap());
                // Also where a block ends between two entries that share a path.
                if number % 7 == 0 {
                    writer.seal().unwrap();
                }
            }
            let journal = writer.finish().unwrap();
            let mut reader = journal.reader();
            for (kind, path, target, special) in &entries {
                let entry = reader.next().unwrap();
                let kind = kinds[*kind as usize];
                let links = matches!(kind, EntryKind::Symlink | EntryKind::Hardlink);
                prop_assert_eq!(entry.kind, kind);
                prop_assert_eq!(entry.path, path.as_bytes());
                prop_assert_eq!(entry.target, if links { target.as_bytes() } else { b"" });
                prop_assert_eq!(entry.special, *special);
            }
            prop_assert!(reader.next().is_none());
        }

        #[test]
        fn a_damaged_journal_ends_early(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let packed = zstd::bulk::compress(&bytes, LEVEL).unwrap();
            for block in [bytes, packed] {
                let journal = Journal { blocks: vec![block.into()], entries: 0 };
                let mut reader = journal.reader();
                while reader.next().is_some() {}
            }
        }
    }

    #[test]
    fn is_full_at_its_limit_and_holds_a_million_files() {
        let mut writer = JournalWriter::default();
        for number in 0..1_000_000 {
            let path = format!("usr/lib/python3/dist-packages/package-{}/module-{number}.py", number / 100);
            assert!(writer.push(EntryKind::File, path.as_bytes(), b"", 0).unwrap());
        }
        let mut noise = 1u64;
        let mut path = || {
            let digits = (0..200).map(|_| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (noise >> 56) as u8
            });
            digits.collect::<Vec<_>>()
        };
        while writer.push(EntryKind::File, &path(), b"", 0).unwrap() {}
        let journal = writer.finish().unwrap();
        assert!((Journal::MAX - 1024..Journal::MAX + 1024).contains(&journal.memory()), "{}", journal.memory());
        let mut reader = journal.reader();
        let mut read = 0;
        while reader.next().is_some() {
            read += 1;
        }
        assert_eq!(read, journal.len());
    }
}
