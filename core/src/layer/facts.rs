//! What is kept of a layer: its journal and what the catalogers read. A function of the blob's bytes, the catalogers'
//! versions and the limits, nothing else.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufWriter, Read as _, Write as _};
use std::sync::Arc;

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize, Serializer};

use super::again::Again;
use super::cataloger::Facts;
use super::journal::Journal;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::problem::Problem;

/// The shape of stored facts; raised when [`LayerFacts`], the journal or the walk change.
pub const SCHEMA: u32 = 3;

/// Everything that is kept of one layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerFacts {
    /// Every entry, in the order of the tar.
    pub journal: Journal,
    /// What catalogers read, in the order of the entries.
    pub facts: Vec<FactRow>,
    /// What could not be read; their layer is filled in by the image.
    pub problems: Vec<Problem>,
    /// What catalogers ask to see a second time, in the order of the entries. Gone once that was done.
    pub again: Vec<Again>,
}

/// What one cataloger read of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactRow {
    /// The place of the entry in the tar.
    pub entry: u32,
    /// The place of the cataloger in the list.
    pub cataloger: u16,
    /// What it keeps.
    pub facts: Facts,
}

impl LayerFacts {
    /// The most bytes of facts that are kept of one layer: two hundred thousand packages.
    pub const MAX: usize = 6 << 20;

    /// Takes in what the second look at `again` found: its facts in the place of the first look's. `asked` is what the first
    /// look was asked for, where it was not the whole layer.
    pub fn complete(&mut self, asked: Option<&[Again]>, again: &[Again], found: Self) {
        let key = |again: &Again| (again.entry, again.cataloger, again.shown.clone());
        let places: HashMap<_, u32> =
            asked.unwrap_or_default().iter().zip(0..).map(|(again, place)| (key(again), place)).collect();
        let mut rows = BTreeMap::new();
        for row in found.facts {
            let Some(again) = again.get(row.entry as usize) else { continue };
            let entry = if asked.is_none() { Some(again.entry) } else { places.get(&key(again)).copied() };
            let Some(entry) = entry else { continue };
            rows.insert((entry, row.cataloger), FactRow { entry, ..row });
        }
        self.facts.retain(|known| !rows.contains_key(&(known.entry, known.cataloger)));
        self.facts.extend(rows.into_values());
        self.facts.sort_by_key(|row| (row.entry, row.cataloger));
        self.problems.extend(found.problems);
    }

    /// About how many bytes of memory they take.
    pub fn memory(&self) -> usize {
        let Self { journal, facts, problems, again } = self;
        journal.memory()
            + facts.iter().map(FactRow::memory).sum::<usize>()
            + problems.iter().map(Problem::memory).sum::<usize>()
            + again.iter().map(Again::memory).sum::<usize>()
    }

    /// The facts as bytes for a cache.
    ///
    /// # Errors
    /// [`Kind::Internal`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let stored = (&self.journal, Rows(&self.facts), &self.problems);
        let packed = Packed(BufWriter::new(zstd::Encoder::new(Vec::new(), 1)?));
        postcard::serialize_with_flavor(&stored, packed)
            .map_err(|error| Error::new(Kind::Internal, "layer facts cannot be encoded").because(error))
    }

    /// The facts from the bytes of a cache.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let damaged = || Error::new(Kind::Corrupt, "stored layer facts are damaged");
        let mut unpacked = Vec::new();
        let most = 4 * (Self::MAX + Journal::MAX) as u64;
        zstd::Decoder::with_buffer(bytes)
            .and_then(|decoder| decoder.take(most).read_to_end(&mut unpacked))
            .map_err(|error| damaged().because(error))?;
        let (journal, rows, problems): (Journal, Vec<StoredRow<'_>>, Vec<Problem>) =
            postcard::from_bytes(&unpacked).map_err(|error| damaged().because(error))?;
        let mut facts = Gathered::default();
        rows.iter().for_each(|row| facts.push(row.entry, row.cataloger, row.facts));
        Ok(Self { journal, facts: facts.finish(), problems, again: Vec::new() })
    }
}

/// A [`FactRow`] as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredRow<'a> {
    entry: u32,
    cataloger: u16,
    #[serde(borrow)]
    facts: &'a [u8],
}

/// All rows of a layer, as they are stored.
struct Rows<'a>(&'a [FactRow]);

impl<'a> Serialize for Rows<'a> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let stored =
            |row: &'a FactRow| StoredRow { entry: row.entry, cataloger: row.cataloger, facts: row.facts.as_bytes() };
        serializer.collect_seq(self.0.iter().map(stored))
    }
}

/// Packs what postcard writes as it comes.
struct Packed(BufWriter<zstd::Encoder<'static, Vec<u8>>>);

impl Flavor for Packed {
    type Output = Vec<u8>;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.write_all(bytes).map_err(|_| postcard::Error::SerializeBufferFull)
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        let encoder = self.0.into_inner().map_err(|_| postcard::Error::SerializeBufferFull)?;
        encoder.finish().map_err(|_| postcard::Error::SerializeBufferFull)
    }
}

/// The rows of a layer in the making: the facts of all files one behind another.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    rows: Vec<(u32, u16, u32)>,
    bytes: Vec<u8>,
}

impl Gathered {
    /// Adds what a cataloger keeps of an entry. All together stay far below 4 GiB.
    pub(super) fn push(&mut self, entry: u32, cataloger: u16, facts: &[u8]) {
        self.rows.push((entry, cataloger, facts.len() as u32));
        self.bytes.extend_from_slice(facts);
    }

    /// The bytes of memory that they take.
    pub(super) fn memory(&self) -> usize {
        self.rows.len() * size_of::<FactRow>() + self.bytes.len()
    }

    pub(super) fn finish(mut self) -> Vec<FactRow> {
        self.bytes.shrink_to_fit();
        let all = Arc::new(self.bytes);
        let mut start = 0;
        let row = |(entry, cataloger, length)| {
            let facts = Facts::part_of(&all, start, length);
            start += length;
            FactRow { entry, cataloger, facts }
        };
        self.rows.into_iter().map(row).collect()
    }
}

impl FactRow {
    /// The bytes of memory that it takes.
    fn memory(&self) -> usize {
        size_of::<Self>() + self.facts.memory()
    }
}

/// Facts of a blob whose digest is not known to be right yet.
#[derive(Debug)]
#[must_use = "facts count only once the digest of the whole blob is verified"]
pub struct Unverified<T>(T);

impl<T> Unverified<T> {
    /// Facts read from a blob that is still streaming.
    pub fn new(facts: T) -> Self {
        Self(facts)
    }

    /// The facts, once the digest of the whole blob is the one that was asked for.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] for any other digest.
    pub fn verify(self, asked: &Digest, computed: &Digest) -> Result<T> {
        if asked == computed {
            return Ok(self.0);
        }
        Err(Error::new(Kind::Corrupt, "the blob is not what its digest says")
            .with("digest", asked)
            .with("computed", computed)
            .with_hint("the registry or something in between damaged the blob; push the image again"))
    }
}
