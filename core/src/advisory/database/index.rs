//! The index: keys in order, each with the place of its rows.
//!
//! A key is written as what it shares with the one before, and the rest. Every [`GROUP`] keys that begins anew, so that a
//! search halves the groups and reads one. It is kept in memory as it lies in the file. Nothing in it is trusted: what a
//! search or a walk does not understand is damage, and a walk goes forward only.
//!
//! ```text
//! entries   shared length, rest, offset (less the one before in its group), as postcard writes a tuple
//! groups    where each group begins, four bytes each
//! count     of the groups, four bytes
//! ```

use super::format::{LARGEST_INDEX, corrupt};
use crate::advisory::name;
use crate::error::{Error, Kind, Result};

/// How many keys share their beginnings.
const GROUP: usize = 16;

/// Writes an index, key by key.
#[derive(Default)]
pub(super) struct IndexBuilder {
    entries: Vec<u8>,
    groups: Vec<u32>,
    keys: usize,
    key: Vec<u8>,
    offset: u64,
}

impl IndexBuilder {
    /// Adds a key that is greater than the one before, and whose rows lie behind those of the one before.
    pub(super) fn insert(&mut self, key: &[u8], offset: u64) -> Result<()> {
        if self.keys > 0 && (key <= self.key.as_slice() || offset <= self.offset) {
            return Err(Error::new(Kind::Internal, "the packages of the advisory database are out of order"));
        }
        if self.keys.is_multiple_of(GROUP) {
            let begin = u32::try_from(self.entries.len()).map_err(|_| too_large())?;
            self.groups.push(begin);
            self.key.clear();
            self.offset = 0;
        }
        let shared = self.key.iter().zip(key).take_while(|(before, now)| before == now).count();
        let entry = (shared, key.get(shared..).unwrap_or_default(), offset - self.offset);
        self.entries = postcard::to_extend(&entry, std::mem::take(&mut self.entries))
            .map_err(|error| Error::new(Kind::Internal, "the index cannot be encoded").because(error))?;
        self.keys += 1;
        self.offset = offset;
        self.key.truncate(shared);
        self.key.extend_from_slice(key.get(shared..).unwrap_or_default());
        Ok(())
    }

    /// The index as it lies in the file.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        let count = u32::try_from(self.groups.len()).map_err(|_| too_large())?;
        for number in self.groups.into_iter().chain([count]) {
            self.entries.extend_from_slice(&number.to_le_bytes());
        }
        if self.entries.len() as u64 > LARGEST_INDEX {
            return Err(too_large());
        }
        Ok(self.entries)
    }
}

fn too_large() -> Error {
    Error::new(Kind::LimitExceeded, "the advisories concern more packages than a database can hold")
}

/// An index in memory.
pub(super) struct Index {
    bytes: Vec<u8>,
    /// The length of the entries; the groups lie behind.
    entries: usize,
    groups: usize,
}

impl Index {
    /// Takes the bytes of an index.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] when they cannot be one.
    pub(super) fn new(bytes: Vec<u8>) -> Result<Self> {
        let found = || {
            let (rest, count) = bytes.split_last_chunk()?;
            let groups = u32::from_le_bytes(*count) as usize;
            Some((rest.len().checked_sub(groups.checked_mul(4)?)?, groups))
        };
        let (entries, groups) = found().ok_or_else(damaged)?;
        Ok(Self { bytes, entries, groups })
    }

    /// The place of the rows of `key`; none where it is not there.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<u64>> {
        let (mut low, mut high) = (0, self.groups);
        while low < high {
            let middle = low.midpoint(high);
            let mut first = self.group(middle)?;
            if first.step()? && first.key() <= key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let Some(last) = low.checked_sub(1) else { return Ok(None) };
        let mut entries = self.group(last)?;
        for _ in 0..GROUP {
            if !entries.step()? || entries.key() > key {
                break;
            }
            if entries.key() == key {
                return Ok(Some(entries.offset()));
            }
        }
        Ok(None)
    }

    /// All entries in order.
    pub(super) fn entries(&self) -> Entries<'_> {
        Entries { rest: self.bytes.get(..self.entries).unwrap_or_default(), taken: 0, key: Vec::new(), offset: 0 }
    }

    fn group(&self, group: usize) -> Result<Entries<'_>> {
        let at = self.entries + 4 * group;
        let begin = self.bytes.get(at..).and_then(|bytes| bytes.first_chunk()).ok_or_else(damaged)?;
        let begin = u32::from_le_bytes(*begin) as usize;
        let rest = self.bytes.get(begin..self.entries).ok_or_else(damaged)?;
        Ok(Entries { rest, taken: 0, key: Vec::new(), offset: 0 })
    }
}

/// Entries one after the other, from the beginning of a group.
pub(super) struct Entries<'a> {
    rest: &'a [u8],
    taken: usize,
    key: Vec<u8>,
    offset: u64,
}

impl Entries<'_> {
    /// Goes to the next entry; false behind the last one.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] for an entry that is none, or not behind the one before.
    pub(super) fn step(&mut self) -> Result<bool> {
        if self.rest.is_empty() {
            return Ok(false);
        }
        let (entry, rest) = postcard::take_from_bytes(self.rest).map_err(|error| damaged().because(error))?;
        let (shared, end, further): (usize, &[u8], u64) = entry;
        let (known, base) = if self.taken.is_multiple_of(GROUP) { (0, 0) } else { (self.key.len(), self.offset) };
        let offset = base.checked_add(further).ok_or_else(damaged)?;
        if shared > known || shared + end.len() > name::LONGEST_KEY {
            return Err(damaged());
        }
        let behind = self.key.get(shared..).is_some_and(|before| end > before) && offset > self.offset;
        if self.taken > 0 && !behind {
            return Err(damaged());
        }
        self.offset = offset;
        self.key.truncate(shared);
        self.key.extend_from_slice(end);
        self.rest = rest;
        self.taken += 1;
        Ok(true)
    }

    /// The key of the entry that was stepped to.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Where its rows begin.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }
}

fn damaged() -> Error {
    corrupt("the index of the advisory database is damaged")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn index(keys: &BTreeMap<Vec<u8>, u64>) -> Vec<u8> {
        let mut builder = IndexBuilder::default();
        for (place, key) in keys.keys().enumerate() {
            builder.insert(key, 100 + 1000 * place as u64).unwrap();
        }
        builder.finish().unwrap()
    }

    fn walk(index: &Index) -> Result<Vec<(Vec<u8>, u64)>> {
        let mut found = Vec::new();
        let mut entries = index.entries();
        while entries.step()? {
            found.push((entries.key().to_vec(), entries.offset()));
        }
        Ok(found)
    }

    fn keys() -> impl Strategy<Value = BTreeMap<Vec<u8>, u64>> {
        let key = proptest::collection::vec(prop_oneof![0u8..4, any::<u8>()], 0..12);
        proptest::collection::btree_set(key, 0..120)
            .prop_map(|keys| keys.into_iter().zip((100..).step_by(1000)).collect())
    }

    proptest! {
        #[test]
        fn finds_every_key_and_no_other(keys in keys(), other in proptest::collection::vec(0u8..4, 0..12)) {
            let index = Index::new(index(&keys)).unwrap();
            for (key, offset) in &keys {
                prop_assert_eq!(index.get(key).unwrap(), Some(*offset));
            }
            prop_assert_eq!(index.get(&other).unwrap(), keys.get(&other).copied());
            prop_assert_eq!(walk(&index).unwrap(), keys.into_iter().collect::<Vec<_>>());
        }

        // Who makes the file makes its digests too, so that any bytes may come here.
        #[test]
        fn whatever_the_bytes_are_a_search_ends_and_a_walk_goes_forward(
            keys in keys(),
            spoils in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            foreign in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let mut spoilt = index(&keys);
            for (place, value) in spoils {
                let place = place.index(spoilt.len());
                spoilt[place] = value;
            }
            for bytes in [spoilt, foreign] {
                let Ok(index) = Index::new(bytes) else { continue };
                for key in keys.keys() {
                    let _ = index.get(key);
                }
                let mut entries = index.entries();
                let mut before: Option<(Vec<u8>, u64)> = None;
                while let Ok(true) = entries.step() {
                    let now = (entries.key().to_vec(), entries.offset());
                    prop_assert!(before.is_none_or(|before| before.0 < now.0 && before.1 < now.1));
                    before = Some(now);
                }
            }
        }
    }

    #[test]
    fn takes_keys_in_order_only() {
        let mut builder = IndexBuilder::default();
        builder.insert(b"b", 10).unwrap();
        for (key, offset) in [(&b"a"[..], 20), (b"b", 20), (b"c", 10), (b"c", 5)] {
            assert_eq!(builder.insert(key, offset).unwrap_err().kind(), Kind::Internal);
        }
        builder.insert(b"c", 11).unwrap();
    }
}
