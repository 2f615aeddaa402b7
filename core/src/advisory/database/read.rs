//! Reading the database.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::format::{
    BLOCK_HEAD, BlockHead, Contents, HEADER, Header, LARGEST_CONTENTS, LARGEST_ENTRY, LARGEST_INDEX, Section, corrupt,
};
use super::index::Index;
use crate::advisory::name;
use crate::advisory::record::{Affected, Record, RecordId};
use crate::error::{Error, Kind, Result};
use crate::model::ecosystem;
use crate::model::report::{AdvisoryProvenance, EcosystemProvenance};

/// How much is read at first: most packages have fewer rows than fill it.
const FIRST_READ: usize = 4096;

/// An open advisory database. Clones share the file.
///
/// Whoever holds it goes on reading the file that was opened, also after another one was put in its place.
///
/// ```no_run
/// let advisories = tidewaiter::advisory::Advisories::open("advisories.db")?;
/// for affected in advisories.affected("Debian", "openssl")? {
///     println!("{} {:?}", advisories.record(affected.record)?.id, affected.ranges);
/// }
/// # Ok::<(), tidewaiter::Error>(())
/// ```
#[derive(Clone)]
pub struct Advisories(Arc<Open>);

struct Open {
    path: PathBuf,
    file: File,
    header: Header,
    index: Index,
    contents: Contents,
}

impl Advisories {
    /// Opens the database at `path` and verifies its header, its index and its contents.
    ///
    /// # Errors
    /// [`Kind::NotFound`] without such a file, [`Kind::Corrupt`] for one that is damaged, cut short or something else,
    /// [`Kind::Unsupported`] for one that another version of this program wrote.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let open = || {
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            let mut bytes = [0; HEADER];
            if length < HEADER as u64 {
                return Err(corrupt("this is not an advisory database"));
            }
            file.read_exact_at(&mut bytes, 0)?;
            let header = Header::decode(&bytes, length)?;
            let index = whole(&file, header.index, length, LARGEST_INDEX)?;
            let contents = whole(&file, header.contents, length, LARGEST_CONTENTS)?;
            if Sha256::new().chain_update(&index).chain_update(&contents).finalize().as_slice() != header.digest {
                return Err(corrupt("the index of the advisory database is damaged"));
            }
            let index = Index::new(index)?;
            let contents = postcard::from_bytes(&contents)
                .map_err(|error| corrupt("the contents of the advisory database are damaged").because(error))?;
            Ok(Open { path: path.to_owned(), file, header, index, contents })
        };
        match open() {
            Ok(open) => Ok(Self(Arc::new(open))),
            Err(error) if error.kind() == Kind::NotFound => Err(error
                .with("path", path.display())
                .with_hint("make one with `tidewaiter advisories update` or `tidewaiter advisories import`")),
            Err(error) => Err(error.with("path", path.display())),
        }
    }

    /// The path that it was opened at.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// When it was built and what it holds.
    pub fn provenance(&self) -> AdvisoryProvenance {
        let ecosystems = self.0.contents.ecosystems.iter().map(|(ecosystem, holding)| {
            let provenance = EcosystemProvenance { records: holding.records, newest: holding.newest.clone() };
            (ecosystem.clone(), provenance)
        });
        AdvisoryProvenance { built: self.0.contents.built.clone(), ecosystems: ecosystems.collect() }
    }

    /// The ecosystems that it holds, without release, sorted.
    pub fn ecosystems(&self) -> impl Iterator<Item = &str> {
        self.0.contents.ecosystems.keys().map(String::as_str)
    }

    /// Whether it holds an ecosystem, with or without release.
    pub fn has(&self, ecosystem: &str) -> bool {
        self.0.contents.ecosystems.contains_key(ecosystem::base(ecosystem))
    }

    /// The releases of a distribution's ecosystem that its rows concern, sorted; the empty one stands for all.
    pub(crate) fn releases(&self, ecosystem: &str) -> impl Iterator<Item = &str> {
        let holding = self.0.contents.ecosystems.get(ecosystem::base(ecosystem));
        holding.into_iter().flat_map(|holding| &holding.releases).map(String::as_str)
    }

    /// The entity tag of the export that an ecosystem came from, where that is known.
    pub fn etag(&self, ecosystem: &str) -> Option<&str> {
        self.0.contents.ecosystems.get(ecosystem)?.etag.as_deref()
    }

    /// Every row of one package, of all releases of `ecosystem` (without release).
    ///
    /// A kernel can have tens of thousands of rows: [`Advisories::each`] hands them over one by one.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] when the file is damaged or was overwritten.
    pub fn affected(&self, ecosystem: &str, name: &str) -> Result<Vec<Affected>> {
        let mut rows = Vec::new();
        self.each(ecosystem, name, |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// Hands every row of one package to `take`, of all releases of `ecosystem` (without release).
    ///
    /// # Errors
    /// [`Kind::Corrupt`] when the file is damaged or was overwritten, and the errors of `take`.
    pub fn each(&self, ecosystem: &str, name: &str, take: impl FnMut(Affected) -> Result<()>) -> Result<()> {
        let Some(key) = name::key(ecosystem, name) else { return Ok(()) };
        match self.found(self.0.index.get(&key))? {
            Some(offset) => self.rows(offset, take).map(drop),
            None => Ok(()),
        }
    }

    /// The record that a row belongs to.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] when the file is damaged or was overwritten, or when the row is of another database.
    pub fn record(&self, record: RecordId) -> Result<Record> {
        let mut block = Vec::new();
        self.block(self.0.header.records, record.0, &mut block)?;
        let entry = block.get(..block.len().min(LARGEST_ENTRY)).unwrap_or_default();
        postcard::from_bytes(entry).map_err(|error| self.damaged().because(error))
    }

    /// Every package with its key and rows, for a new database that keeps some of them.
    pub(crate) fn packages(&self, mut take: impl FnMut(&[u8], Affected) -> Result<()>) -> Result<()> {
        let mut entries = self.0.index.entries();
        let mut end = 0;
        while self.found(entries.step())? {
            // Chains that run into each other would be read again and again.
            if entries.offset() < end {
                return Err(self.damaged());
            }
            end = self.rows(entries.offset(), |row| take(entries.key(), row))?;
        }
        Ok(())
    }

    /// The contents, for a new database that keeps some of them.
    pub(crate) fn contents(&self) -> &Contents {
        &self.0.contents
    }

    /// Reads a chain, and says where it ends.
    fn rows(&self, mut offset: u64, mut take: impl FnMut(Affected) -> Result<()>) -> Result<u64> {
        let mut block = Vec::new();
        loop {
            let more = self.block(self.0.header.rows, offset, &mut block)?;
            let mut rest = block.as_slice();
            while !rest.is_empty() {
                let entry = rest.get(..rest.len().min(LARGEST_ENTRY)).unwrap_or_default();
                let (row, behind) = postcard::take_from_bytes(entry).map_err(|error| self.damaged().because(error))?;
                rest = rest.get(entry.len() - behind.len()..).unwrap_or_default();
                take(row)?;
            }
            // It grows with every block, so that a chain ends.
            offset += (BLOCK_HEAD + block.len()) as u64;
            if !more {
                return Ok(offset);
            }
        }
    }

    /// Reads the block at `offset` into `payload` and says whether the chain goes on.
    fn block(&self, section: Section, offset: u64, payload: &mut Vec<u8>) -> Result<bool> {
        let here = if offset < section.offset { 0 } else { section.end().saturating_sub(offset) };
        let here = usize::try_from(here).unwrap_or(usize::MAX);
        payload.clear();
        payload.resize(here.min(FIRST_READ), 0);
        self.read(payload, offset)?;
        let head = BlockHead::decode(payload).ok_or_else(|| self.damaged())?;
        let length = head.length as usize;
        if BLOCK_HEAD + length > here {
            return Err(self.damaged());
        }
        let have = payload.len();
        payload.resize(BLOCK_HEAD + length, 0);
        if let Some(rest) = payload.get_mut(have..).filter(|rest| !rest.is_empty()) {
            self.read(rest, offset + have as u64)?;
        }
        payload.drain(..BLOCK_HEAD);
        if !head.verify(self.0.header.generation, offset, payload) {
            return Err(self.damaged());
        }
        Ok(head.more)
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        self.0.file.read_exact_at(buffer, offset).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => self.damaged(),
            _ => Error::from(error).with("path", self.0.path.display()),
        })
    }

    /// What the index answers, with the file in the error.
    fn found<T>(&self, answer: Result<T>) -> Result<T> {
        answer.map_err(|error| error.with("path", self.0.path.display()))
    }

    fn damaged(&self) -> Error {
        corrupt("the advisory database is damaged, or was overwritten while it was open")
            .with("path", self.0.path.display())
    }
}

/// A section of `most` bytes that is kept in memory.
fn whole(file: &File, section: Section, length: u64, most: u64) -> Result<Vec<u8>> {
    if section.length > most || section.end() > length {
        return Err(corrupt(
            "the index of the advisory database lies outside of the file, or is larger than one can be",
        ));
    }
    let mut bytes = vec![0; section.length as usize];
    file.read_exact_at(&mut bytes, section.offset)?;
    Ok(bytes)
}

impl std::fmt::Debug for Advisories {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Advisories").field("path", &self.0.path).finish_non_exhaustive()
    }
}
