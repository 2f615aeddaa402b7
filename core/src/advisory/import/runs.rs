//! Sorting on disk: what does not fit into memory goes to sorted runs in one scratch file and is merged from there.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek as _, SeekFrom, Write as _};

use crate::error::{Error, Kind, Result};

/// How much is sorted in memory, in bytes.
const MEMORY: usize = 48 << 20;
/// How much of each run is read at once, in bytes.
const READ: u64 = 64 << 10;

/// Pairs of key and value on their way to being sorted by key, and under one key in the order of their coming.
pub(super) struct Runs {
    file: File,
    memory: usize,
    text: Vec<u8>,
    /// Where each pair begins in `text`, and how long its key and its value are.
    pairs: Vec<(usize, u32, u32)>,
    /// Where each run begins and ends in the file.
    runs: Vec<(u64, u64)>,
}

impl Runs {
    pub(super) fn new(file: File) -> Self {
        Self::with_memory(file, MEMORY)
    }

    fn with_memory(file: File, memory: usize) -> Self {
        Self { file, memory, text: Vec::new(), pairs: Vec::new(), runs: Vec::new() }
    }

    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let long = || Error::new(Kind::LimitExceeded, "a row is larger than 4 GiB");
        let lengths = (u32::try_from(key.len()).map_err(|_| long())?, u32::try_from(value.len()).map_err(|_| long())?);
        self.pairs.push((self.text.len(), lengths.0, lengths.1));
        self.text.extend_from_slice(key);
        self.text.extend_from_slice(value);
        if self.text.len() + self.pairs.len() * size_of::<(usize, u32, u32)>() >= self.memory {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<()> {
        let text = &self.text;
        let key = |(start, key, _): &(usize, u32, u32)| text.get(*start..start + *key as usize).unwrap_or_default();
        self.pairs.sort_by(|a, b| key(a).cmp(key(b)));
        let start = self.runs.last().map_or(0, |(_, end)| *end);
        let mut end = start;
        let mut out = BufWriter::with_capacity(256 << 10, &self.file);
        let mut write = || {
            for (start, key, value) in &self.pairs {
                let length = *key as usize + *value as usize;
                out.write_all(&key.to_le_bytes())?;
                out.write_all(&value.to_le_bytes())?;
                out.write_all(text.get(*start..start + length).unwrap_or_default())?;
                end += 8 + length as u64;
            }
            out.flush()
        };
        write().map_err(storage)?;
        self.runs.push((start, end));
        self.pairs.clear();
        self.text.clear();
        Ok(())
    }

    /// Hands every pair to `take` in order.
    pub(super) fn merge(mut self, mut take: impl FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
        self.spill()?;
        self.text = Vec::new();
        self.pairs = Vec::new();
        let mut heads = BinaryHeap::with_capacity(self.runs.len());
        for (run, (start, end)) in self.runs.iter().enumerate() {
            let piece = Piece { file: &self.file, at: *start, end: *end };
            let mut head =
                Head { key: Vec::new(), run, value: Vec::new(), rest: BufReader::with_capacity(READ as usize, piece) };
            if head.next()? {
                heads.push(Reverse(head));
            }
        }
        while let Some(mut least) = heads.peek_mut() {
            take(&least.0.key, &least.0.value)?;
            if !least.0.next()? {
                PeekMut::pop(least);
            }
        }
        Ok(())
    }
}

/// A run of the file. Every run seeks before it reads, since all share one position.
struct Piece<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for Piece<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut file = self.file;
        file.seek(SeekFrom::Start(self.at))?;
        let read = file.take(self.end - self.at).read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// The least pair of a run that is not taken yet.
struct Head<'a> {
    key: Vec<u8>,
    run: usize,
    value: Vec<u8>,
    rest: BufReader<Piece<'a>>,
}

impl Head<'_> {
    /// Goes to the next pair, if there is one.
    fn next(&mut self) -> Result<bool> {
        let mut length = [0; 4];
        match self.rest.read_exact(&mut length) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(storage(error)),
        }
        let key = u32::from_le_bytes(length) as usize;
        self.rest.read_exact(&mut length).map_err(storage)?;
        let value = u32::from_le_bytes(length) as usize;
        self.key.resize(key, 0);
        self.rest.read_exact(&mut self.key).map_err(storage)?;
        self.value.resize(value, 0);
        self.rest.read_exact(&mut self.value).map_err(storage)?;
        Ok(true)
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        (&self.key, self.run) == (&other.key, other.run)
    }
}

impl Eq for Head<'_> {}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.key, self.run).cmp(&(&other.key, other.run))
    }
}

/// An error of a scratch file.
pub(super) fn storage(error: std::io::Error) -> Error {
    Error::new(Kind::Storage, "a scratch file beside the advisory database cannot be used").because(error)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sorts_stably_whatever_fits_into_memory(
            pairs in proptest::collection::vec((proptest::collection::vec(0u8..3, 0..4), any::<u16>()), 0..200),
            memory in 1usize..2000,
        ) {
            let mut runs = Runs::with_memory(tempfile::tempfile().unwrap(), memory);
            for (key, value) in &pairs {
                runs.push(key, &value.to_le_bytes()).unwrap();
            }
            let mut merged = Vec::new();
            runs.merge(|key, value| {
                merged.push((key.to_vec(), u16::from_le_bytes(value.try_into().unwrap())));
                Ok(())
            }).unwrap();
            let mut expected = pairs;
            expected.sort_by(|a, b| a.0.cmp(&b.0));
            prop_assert_eq!(merged, expected);
        }
    }
}
