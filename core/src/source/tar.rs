//! A tar file on disk, plain or in gzip or zstd, read by name. Nothing is unpacked: plain files are read at their positions,
//! packed ones through a decoder of their own for each file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use tar_core::parse::{Limits as TarLimits, ParseEvent, Parser};
use tar_core::{EntryType, HEADER_SIZE};

use super::BlobStream;
use super::read::{Section, stream};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::layer::decompress::{Compression, Decoder};
use crate::model::limits::Limits;
use crate::model::path::clean;

/// The most entries of an archive: an image has a few for each of its layers.
const ENTRIES: usize = 100_000;
/// The longest name that is kept.
const NAME: usize = 4_096;
/// How many links lead from a name to its file.
const LINKS: usize = 8;

/// Where a file lies.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    at: u64,
    pub(super) size: u64,
    /// How the file itself is compressed, by its first bytes.
    pub(super) compression: Compression,
}

#[derive(Debug)]
enum Node {
    File(Entry),
    Link(Vec<u8>),
}

/// A tar file with its table of contents.
#[derive(Debug)]
pub(super) struct Archive {
    section: Section,
    is_packed: bool,
    nodes: HashMap<Vec<u8>, Node>,
    limits: Limits,
}

/// The bytes of the tar, whatever it is packed in.
enum Input {
    Plain(Section),
    Packed(Box<Decoder<BufReader<Section>>>),
}

impl Input {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        match self {
            Self::Plain(section) => section.skip(bytes),
            Self::Packed(decoder) => match io::copy(&mut decoder.by_ref().take(bytes), &mut io::sink())? {
                skipped if skipped == bytes => Ok(()),
                _ => Err(io::ErrorKind::UnexpectedEof.into()),
            },
        }
    }
}

impl Read for Input {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(section) => section.read(output),
            Self::Packed(decoder) => decoder.read(output),
        }
    }
}

impl Archive {
    /// Reads the table of contents; for a packed archive that is one pass over all of it.
    ///
    /// # Errors
    /// [`Kind::NotFound`] without the file, [`Kind::Corrupt`] for what is not a tar.
    pub(super) fn open(path: &Path, limits: &Limits, context: &Context) -> Result<Self> {
        let named = |error: Error| error.with("path", path.display());
        let file = File::open(path).map_err(|error| named(error.into()))?;
        let metadata = file.metadata().map_err(|error| named(error.into()))?;
        if !metadata.is_file() {
            return Err(named(Error::new(Kind::InvalidInput, "this is not a file")));
        }
        let section = Section::new(Arc::new(file), 0, metadata.len());
        let mut head = Vec::new();
        section.clone().take(Compression::SNIFF as u64).read_to_end(&mut head).map_err(|error| named(error.into()))?;
        let is_packed = Compression::of(&head) != Compression::Plain;
        let mut archive = Self { section, is_packed, nodes: HashMap::new(), limits: limits.clone() };
        archive.index(context).map_err(named)?;
        Ok(archive)
    }

    fn input(&self) -> Result<Input> {
        Ok(if self.is_packed {
            let input = BufReader::with_capacity(64 << 10, self.section.clone());
            Input::Packed(Box::new(Decoder::new(input, &self.limits)?))
        } else {
            Input::Plain(self.section.clone())
        })
    }

    fn index(&mut self, context: &Context) -> Result<()> {
        let corrupt = |message: &'static str| Error::new(Kind::Corrupt, message);
        let mut input = self.input()?;
        let mut parser = Parser::new(TarLimits::default());
        let mut at = 0;
        let mut header = Vec::new();
        let mut wanted = HEADER_SIZE;
        for _ in 0..ENTRIES {
            context.check()?;
            let (name, kind, target, size) = loop {
                let missing = wanted.saturating_sub(header.len()) as u64;
                let read = input.by_ref().take(missing).read_to_end(&mut header)? as u64;
                at += read;
                if read < missing {
                    // Some tars end without the two blocks of zeros.
                    let is_end = header.iter().all(|byte| *byte == 0) && at > 0;
                    return if is_end { Ok(()) } else { Err(corrupt("the archive is not a tar, or ends early")) };
                }
                match parser.parse(&header) {
                    Ok(ParseEvent::NeedData { min_bytes }) if min_bytes > header.len() => wanted = min_bytes,
                    Ok(ParseEvent::Entry { entry, .. } | ParseEvent::SparseEntry { entry, .. }) => {
                        let target = entry.link_target.as_deref().map(<[u8]>::to_vec).unwrap_or_default();
                        break (clean(&entry.path), entry.entry_type, target, entry.size);
                    }
                    Ok(ParseEvent::GlobalExtensions { .. }) => {
                        header.clear();
                        wanted = HEADER_SIZE;
                    }
                    Ok(ParseEvent::End { .. }) => return Ok(()),
                    Ok(ParseEvent::NeedData { .. }) => return Err(corrupt("the archive is not a tar")),
                    Err(error) => return Err(corrupt("the archive is not a tar, or is damaged").because(error)),
                }
            };
            header.clear();
            wanted = HEADER_SIZE;
            let is_file = matches!(kind, EntryType::Regular | EntryType::Continuous);
            let size = if is_file { size } else { 0 };
            let padded = size.checked_next_multiple_of(HEADER_SIZE as u64).unwrap_or(u64::MAX);
            let mut head = Vec::new();
            input.by_ref().take(size.min(Compression::SNIFF as u64)).read_to_end(&mut head)?;
            let compression = Compression::of(&head);
            input.skip(padded - (head.len() as u64).min(padded))?;
            if name.len() <= NAME && target.len() <= NAME {
                match kind {
                    _ if is_file => drop(self.nodes.insert(name, Node::File(Entry { at, size, compression }))),
                    EntryType::Link => drop(self.nodes.insert(name, Node::Link(clean(&target)))),
                    EntryType::Symlink => {
                        let mut from = name.clone();
                        from.extend_from_slice(b"/../");
                        from.extend_from_slice(&target);
                        self.nodes.insert(name, Node::Link(clean(&from)));
                    }
                    _ => {}
                }
            }
            at = at.checked_add(padded).ok_or_else(|| corrupt("the archive names an impossible size"))?;
        }
        Err(Error::new(Kind::LimitExceeded, format!("the archive has more than {ENTRIES} entries")))
    }

    /// The file of that name, its links followed inside of the archive.
    ///
    /// # Errors
    /// [`Kind::NotFound`].
    pub(super) fn find(&self, name: &str) -> Result<Entry> {
        let missing = || Error::new(Kind::NotFound, "the archive has no such file").with("path", name.escape_debug());
        let mut name = clean(name.as_bytes());
        for _ in 0..LINKS {
            match self.nodes.get(&name) {
                Some(Node::File(entry)) => return Ok(entry.clone()),
                Some(Node::Link(target)) => name.clone_from(target),
                None => return Err(missing()),
            }
        }
        Err(missing())
    }

    /// A file for reading. In a packed archive this reads all that lies before it.
    pub(super) fn reader(&self, entry: &Entry) -> Result<impl Read + Send + 'static + use<>> {
        let mut input = self.input()?;
        input.skip(entry.at)?;
        Ok(Exactly { input, left: entry.size })
    }

    /// A whole file of at most `limit` bytes.
    pub(super) fn whole(&self, entry: &Entry, limit: u64) -> Result<Vec<u8>> {
        if entry.size > limit {
            return Err(Error::new(
                Kind::LimitExceeded,
                format!("a document of the image is larger than {limit} bytes"),
            ));
        }
        let mut bytes = Vec::new();
        self.reader(entry)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// A file as a stream. What lies before it in a packed archive is read on a thread for blocking work.
    pub(super) async fn stream(self: &Arc<Self>, entry: Entry) -> Result<BlobStream> {
        let archive = Arc::clone(self);
        let reader = move || archive.reader(&entry);
        let reader = if self.is_packed { off(reader).await? } else { reader()? };
        Ok(stream(reader))
    }
}

/// Runs blocking work off the runtime.
pub(super) async fn off<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::new(Kind::Internal, "reading an archive broke off").because(error))?
}

/// So many bytes, and an error if there are fewer.
struct Exactly {
    input: Input,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        let length = output.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let Some(output) = output.get_mut(..length).filter(|output| !output.is_empty()) else { return Ok(0) };
        match self.input.read(output)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.left -= read as u64;
                Ok(read)
            }
        }
    }
}
