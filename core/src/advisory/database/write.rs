//! Writing the database: in one go, front to back, beside the file that it replaces.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::format::{Contents, Generation, HEADER, Header, LARGEST_CONTENTS, Section, encode_block};
use super::index::IndexBuilder;
use crate::advisory::record::{Affected, RecordId};
use crate::error::{Error, Kind, Result};

/// How many bytes of rows a block takes before the next one begins.
const BLOCK: usize = 32 << 10;

/// A new file beside the one that it will replace, and the right to do so. Dropped before it is done, it leaves nothing
/// but the lock.
pub(crate) struct Replacement {
    target: PathBuf,
    fresh: PathBuf,
    lock: File,
}

impl Replacement {
    /// Begins to replace `target`, which need not exist.
    ///
    /// # Errors
    /// [`Kind::Busy`] while another one does so, in whatever process.
    pub(crate) fn begin(target: &Path) -> Result<Self> {
        if let Some(folder) = target.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| storage(folder, error))?;
        }
        let path = beside(target, ".lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(|error| storage(&path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(Kind::Busy, "another import into this advisory database is under way")
                    .with("path", target.display())
                    .with_hint("wait until it is done"));
            }
            Err(TryLockError::Error(error)) => return Err(storage(&path, error)),
        }
        Ok(Self { target: target.to_owned(), fresh: beside(target, ".new"), lock })
    }

    /// A file for what does not fit into memory. It has no name once it is open, where the system allows that.
    pub(crate) fn scratch(&self, suffix: &str) -> Result<File> {
        let path = beside(&self.target, suffix);
        let file = File::options().create(true).truncate(true).read(true).write(true).open(&path);
        let file = file.map_err(|error| storage(&path, error))?;
        std::fs::remove_file(&path).map_err(|error| storage(&path, error))?;
        Ok(file)
    }

    fn commit(self, file: &File) -> Result<()> {
        file.sync_all().map_err(|error| storage(&self.fresh, error))?;
        std::fs::rename(&self.fresh, &self.target).map_err(|error| storage(&self.target, error))?;
        // The rename itself is on disk once the folder is.
        if let Some(folder) = self.target.parent() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| storage(folder, error))?;
        }
        Ok(())
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        // After the commit there is no such file any more.
        let _ = std::fs::remove_file(&self.fresh);
        let _ = self.lock.unlock();
    }
}

/// `target` with `suffix` behind its name.
fn beside(target: &Path, suffix: &str) -> PathBuf {
    let mut name = target.file_name().map(OsString::from).unwrap_or_default();
    name.push(suffix);
    target.with_file_name(name)
}

fn storage(path: &Path, error: std::io::Error) -> Error {
    Error::new(Kind::Storage, "the advisory database cannot be written").with("path", path.display()).because(error)
}

/// Writes one database: all records first, then the rows, package by package in the order of their keys.
pub(crate) struct Writer {
    replacement: Replacement,
    out: BufWriter<File>,
    offset: u64,
    generation: Generation,
    records_end: u64,
    index: IndexBuilder,
    block: Vec<u8>,
}

impl Writer {
    /// Begins a database; `generation` is the digest of everything that goes into it.
    pub(crate) fn begin(replacement: Replacement, generation: [u8; 16]) -> Result<Self> {
        let file = File::create(&replacement.fresh).map_err(|error| storage(&replacement.fresh, error))?;
        let mut writer = Self {
            out: BufWriter::with_capacity(256 << 10, file),
            replacement,
            offset: 0,
            generation: Generation(generation),
            records_end: HEADER as u64,
            index: IndexBuilder::default(),
            block: Vec::new(),
        };
        writer.put(&[0; HEADER])?;
        Ok(writer)
    }

    /// Writes one record, given as it is encoded.
    pub(crate) fn record(&mut self, encoded: &[u8]) -> Result<RecordId> {
        let offset = self.offset;
        self.block(encoded, false)?;
        self.records_end = self.offset;
        Ok(RecordId(offset))
    }

    /// Begins the rows of the next package; its key is greater than the one before.
    pub(crate) fn package(&mut self, key: &[u8]) -> Result<()> {
        self.flush(false)?;
        self.index.insert(key, self.offset)
    }

    /// Writes one row of that package.
    pub(crate) fn row(&mut self, row: &Affected) -> Result<()> {
        if self.block.len() >= BLOCK {
            self.flush(true)?;
        }
        let block = std::mem::take(&mut self.block);
        self.block = postcard::to_extend(row, block).map_err(|error| internal().because(error))?;
        Ok(())
    }

    /// Ends the file and puts it into its place.
    pub(crate) fn finish(mut self, contents: &Contents) -> Result<()> {
        self.flush(false)?;
        let rows = Section { offset: self.records_end, length: self.offset - self.records_end };
        let index = std::mem::take(&mut self.index).finish()?;
        let contents = encode(contents)?;
        if contents.len() as u64 > LARGEST_CONTENTS {
            return Err(Error::new(
                Kind::LimitExceeded,
                "the advisories concern more ecosystems and releases than a database can hold",
            ));
        }
        let index_section = Section { offset: self.offset, length: index.len() as u64 };
        self.put(&index)?;
        let contents_section = Section { offset: self.offset, length: contents.len() as u64 };
        self.put(&contents)?;
        let header = Header {
            generation: self.generation,
            total: self.offset,
            records: Section { offset: HEADER as u64, length: self.records_end - HEADER as u64 },
            rows,
            index: index_section,
            contents: contents_section,
            digest: Sha256::new().chain_update(&index).chain_update(&contents).finalize().into(),
        };
        let fresh = self.replacement.fresh.clone();
        let written = self.out.seek(SeekFrom::Start(0)).and_then(|_| self.out.write_all(&header.encode()));
        written.and_then(|()| self.out.flush()).map_err(|error| storage(&fresh, error))?;
        self.replacement.commit(self.out.get_ref())
    }

    fn flush(&mut self, more: bool) -> Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let mut block = std::mem::take(&mut self.block);
        self.block(&block, more)?;
        block.clear();
        self.block = block;
        Ok(())
    }

    fn block(&mut self, payload: &[u8], more: bool) -> Result<()> {
        let block = encode_block(self.generation, self.offset, payload, more)?;
        self.put(&block)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|error| storage(&self.replacement.fresh, error))?;
        self.offset += bytes.len() as u64;
        Ok(())
    }
}

/// A record as the database keeps it.
pub(crate) fn encode<T: serde::Serialize>(value: &T) -> Result<Vec<u8>> {
    postcard::to_allocvec(value).map_err(|error| internal().because(error))
}

fn internal() -> Error {
    Error::new(Kind::Internal, "the advisory database cannot be encoded")
}
