//! The layout of the file, and the checks that every part of it carries. Numbers are little-endian.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Kind, Result};

/// Every database begins with it.
const MAGIC: [u8; 8] = *b"tidewadv";
/// Raised whenever an older program could not read the file any more.
const FORMAT: u32 = 3;
/// The length of the header in bytes.
pub(super) const HEADER: usize = 160;
/// The length of what precedes the payload of a block: its length, its checksum.
pub(super) const BLOCK_HEAD: usize = 12;
/// Set in the length of a block when the chain goes on behind it.
const MORE: u32 = 1 << 31;
/// The largest record or row as it is encoded; real ones have some ten thousand bytes. In memory it may take twenty-four times
/// as much: an empty text is one byte here.
pub(crate) const LARGEST_ENTRY: usize = 512 << 10;
/// The largest payload of a block: less than a row more than what begins a new one.
pub(super) const LARGEST_BLOCK: u32 = 1 << 20;
/// The most that the index may take, in the file and in memory: three million packages.
pub(super) const LARGEST_INDEX: u64 = 32 << 20;
/// The most that the contents may take in the file: ten thousand ecosystems and releases.
pub(crate) const LARGEST_CONTENTS: u64 = 1 << 20;

/// Identifies the content of a database: the digest of everything that went into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Generation(pub(crate) [u8; 16]);

/// A part of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) offset: u64,
    pub(super) length: u64,
}

impl Section {
    pub(super) fn end(self) -> u64 {
        self.offset.saturating_add(self.length)
    }
}

/// The first bytes of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) generation: Generation,
    /// The length of the whole file.
    pub(super) total: u64,
    pub(super) records: Section,
    pub(super) rows: Section,
    pub(super) index: Section,
    pub(super) contents: Section,
    /// The digest of the index and the contents.
    pub(super) digest: [u8; 32],
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&(HEADER as u32).to_le_bytes());
        bytes.extend_from_slice(&self.generation.0);
        bytes.extend_from_slice(&self.total.to_le_bytes());
        for section in [self.records, self.rows, self.index, self.contents] {
            bytes.extend_from_slice(&section.offset.to_le_bytes());
            bytes.extend_from_slice(&section.length.to_le_bytes());
        }
        bytes.extend_from_slice(&self.digest);
        let check = Sha256::digest(&bytes);
        bytes.extend_from_slice(check.get(..HEADER - bytes.len()).unwrap_or_default());
        bytes
    }

    /// What stands where the fields are, unchecked.
    pub(super) fn fields(bytes: &[u8; HEADER]) -> Self {
        let mut fields = Fields(bytes);
        let _magic_format_and_length: [u8; 16] = fields.take();
        Self {
            generation: Generation(fields.take()),
            total: u64::from_le_bytes(fields.take()),
            records: fields.section(),
            rows: fields.section(),
            index: fields.section(),
            contents: fields.section(),
            digest: fields.take(),
        }
    }

    /// Reads the header of a file of `length` bytes.
    pub(super) fn decode(bytes: &[u8; HEADER], length: u64) -> Result<Self> {
        let mut fields = Fields(bytes);
        if fields.take() != MAGIC {
            return Err(Error::new(Kind::Corrupt, "this is not an advisory database").with_hint(REBUILD));
        }
        let format = u32::from_le_bytes(fields.take());
        if format != FORMAT {
            return Err(Error::new(
                Kind::Unsupported,
                "the advisory database has another format than this program knows",
            )
            .with("format", format)
            .with("known", FORMAT)
            .with_hint("use the version of the program that wrote it, or import the advisories into a new file"));
        }
        let header = Self::fields(bytes);
        if header.encode() != bytes {
            return Err(corrupt("the header of the advisory database is damaged"));
        }
        if header.total != length {
            return Err(corrupt("the advisory database is not as long as it should be")
                .with("bytes", length)
                .with("expected", header.total));
        }
        Ok(header)
    }
}

/// What to do about a file that cannot be used.
const REBUILD: &str = "import the advisories again, into a new file if this one is not a database";

/// An error about damage, with its way out.
pub(super) fn corrupt(message: &'static str) -> Error {
    Error::new(Kind::Corrupt, message).with_hint(REBUILD)
}

/// Takes fields from the front. The header is checked as a whole afterwards, so a short read shows there.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().map_or(([0; N], &[][..]), |(field, rest)| (*field, rest));
        self.0 = rest;
        field
    }

    fn section(&mut self) -> Section {
        Section { offset: u64::from_le_bytes(self.take()), length: u64::from_le_bytes(self.take()) }
    }
}

/// What the database holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contents {
    /// When it was built (RFC 3339).
    pub(crate) built: String,
    /// By ecosystem without release.
    pub(crate) ecosystems: BTreeMap<String, Holding>,
}

/// What the database holds of one ecosystem.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holding {
    /// How many records.
    pub(crate) records: u64,
    /// The newest `modified` (RFC 3339).
    pub(crate) newest: String,
    /// The entity tag of the export that it came from.
    pub(crate) etag: Option<String>,
    /// The releases that its rows concern, if it is that of a distribution; the empty one stands for all.
    pub(crate) releases: BTreeSet<String>,
}

/// A block: its head and its payload.
pub(super) fn encode_block(generation: Generation, offset: u64, payload: &[u8], more: bool) -> Result<Vec<u8>> {
    let length = u32::try_from(payload.len()).ok().filter(|length| *length <= LARGEST_BLOCK);
    let length = length.ok_or_else(|| Error::new(Kind::LimitExceeded, "a record is larger than any that is kept"))?;
    let length = length | if more { MORE } else { 0 };
    let mut block = Vec::with_capacity(BLOCK_HEAD + payload.len());
    block.extend_from_slice(&length.to_le_bytes());
    block.extend_from_slice(&checksum(generation, offset, length, payload));
    block.extend_from_slice(payload);
    Ok(block)
}

/// The head of a block.
pub(super) struct BlockHead {
    /// The length of the payload.
    pub(super) length: u32,
    /// Whether the chain goes on behind it.
    pub(super) more: bool,
    check: [u8; 8],
}

impl BlockHead {
    /// Reads a head; none if it claims more than a block can hold.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk()?;
        let (check, _) = rest.split_first_chunk()?;
        let length = u32::from_le_bytes(*length);
        let head = Self { length: length & !MORE, more: length & MORE != 0, check: *check };
        (head.length <= LARGEST_BLOCK).then_some(head)
    }

    /// Whether `payload` is what was written at `offset` of this generation.
    pub(super) fn verify(&self, generation: Generation, offset: u64, payload: &[u8]) -> bool {
        let length = self.length | if self.more { MORE } else { 0 };
        self.check == checksum(generation, offset, length, payload)
    }
}

fn checksum(generation: Generation, offset: u64, length: u32, payload: &[u8]) -> [u8; 8] {
    let digest = Sha256::new()
        .chain_update(generation.0)
        .chain_update(offset.to_le_bytes())
        .chain_update(length.to_le_bytes())
        .chain_update(payload)
        .finalize();
    let mut check = [0; 8];
    check.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
    check
}
