//! What is kept of a layer: its journal and what the catalogers read. A function of the blob's bytes, the catalogers'
//! versions and the limits, nothing else.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::cataloger::Facts;
use super::journal::Journal;
use super::walk::Again;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::problem::Problem;

/// The shape of stored facts; raised when [`LayerFacts`], the journal or the walk change.
pub const SCHEMA: u32 = 2;

/// Everything that is kept of one layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerFacts {
    /// Every entry, in the order of the tar.
    pub journal: Journal,
    /// What catalogers read, in the order of the entries.
    pub facts: Vec<FactRow>,
    /// What could not be read; their layer is filled in by the image.
    pub problems: Vec<Problem>,
    /// What catalogers ask to see a second time, in the order of the entries. Gone once that was done.
    #[serde(skip)]
    pub again: Vec<Again>,
}

/// What one cataloger read of one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactRow {
    /// The place of the entry in the tar.
    pub entry: u32,
    /// The place of the cataloger in the list.
    pub cataloger: u16,
    /// What it keeps.
    pub facts: Facts,
}

impl LayerFacts {
    /// The most bytes of facts that are kept of one layer: a million packages.
    pub const MAX: usize = 32 << 20;

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
        self.journal.memory() + self.facts.iter().map(FactRow::memory).sum::<usize>()
    }

    /// The facts as bytes for a cache.
    ///
    /// # Errors
    /// [`Kind::Internal`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let bytes = postcard::to_allocvec(self)
            .map_err(|error| Error::new(Kind::Internal, "layer facts cannot be encoded").because(error))?;
        zstd::bulk::compress(&bytes, 1).map_err(Error::from)
    }

    /// The facts from the bytes of a cache.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let bytes = zstd::bulk::decompress(bytes, 4 * Journal::MAX)
            .map_err(|error| Error::new(Kind::Corrupt, "stored layer facts are damaged").because(error))?;
        postcard::from_bytes(&bytes)
            .map_err(|error| Error::new(Kind::Corrupt, "stored layer facts are damaged").because(error))
    }
}

impl FactRow {
    /// The bytes of memory that it takes.
    pub(super) fn memory(&self) -> usize {
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
