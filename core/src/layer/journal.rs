//! The journal of a layer: every entry in the order of the tar, as few bytes as it takes. Applied one behind another, the
//! journals of an image say exactly what is left of each file.

use serde::{Deserialize, Serialize};

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

/// All entries of a layer, each path as what differs from the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    bytes: Vec<u8>,
    entries: u32,
    #[serde(skip)]
    last: Vec<u8>,
}

impl Journal {
    /// The most bytes of one journal: a few million entries.
    pub const MAX: usize = 24 << 20;

    /// Adds an entry; false, and nothing is added, when the journal is full.
    #[must_use]
    pub fn push(&mut self, kind: EntryKind, path: &[u8], target: &[u8], special: u8) -> bool {
        let shared = self.last.iter().zip(path).take_while(|(a, b)| a == b).count();
        let rest = path.get(shared..).unwrap_or_default();
        if self.bytes.len() + rest.len() + target.len() + 24 > Self::MAX {
            return false;
        }
        let links = matches!(kind, EntryKind::Symlink | EntryKind::Hardlink);
        self.bytes.push(kind as u8 | (special & 7) << 4);
        put(&mut self.bytes, shared);
        put(&mut self.bytes, rest.len());
        self.bytes.extend_from_slice(rest);
        if links {
            put(&mut self.bytes, target.len());
            self.bytes.extend_from_slice(target);
        }
        self.last.truncate(shared);
        self.last.extend_from_slice(rest);
        self.entries += 1;
        true
    }

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
        self.bytes.len()
    }

    /// Reads the entries from the first.
    pub fn reader(&self) -> JournalReader<'_> {
        JournalReader { bytes: &self.bytes, path: Vec::new(), index: 0 }
    }
}

/// Reads a [`Journal`] entry by entry.
#[derive(Debug)]
pub struct JournalReader<'a> {
    bytes: &'a [u8],
    path: Vec<u8>,
    index: u32,
}

impl JournalReader<'_> {
    /// The next entry; none at the end, or where a stored journal is damaged.
    #[allow(clippy::should_implement_trait, reason = "the entry borrows from the reader")]
    pub fn next(&mut self) -> Option<Entry<'_>> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        let kind = match first & 0xf {
            0 => EntryKind::File,
            1 => EntryKind::Directory,
            2 => EntryKind::Symlink,
            3 => EntryKind::Hardlink,
            4 => EntryKind::Whiteout,
            5 => EntryKind::Opaque,
            _ => return None,
        };
        let shared = take(&mut self.bytes)?;
        if shared > self.path.len() {
            return None;
        }
        self.path.truncate(shared);
        let rest = take_bytes(&mut self.bytes)?;
        self.path.extend_from_slice(rest);
        let target = match kind {
            EntryKind::Symlink | EntryKind::Hardlink => take_bytes(&mut self.bytes)?,
            _ => &[],
        };
        self.index += 1;
        Some(Entry { index: self.index - 1, kind, path: &self.path, target, special: first >> 4 })
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
            let mut journal = Journal::default();
            for (kind, path, target, special) in &entries {
                prop_assert!(journal.push(kinds[*kind as usize], path.as_bytes(), target.as_bytes(), *special));
            }
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
            let journal = Journal { bytes, entries: 0, last: Vec::new() };
            let mut reader = journal.reader();
            while reader.next().is_some() {}
        }
    }
}
