//! A tar file on disk, plain or in gzip or zstd, read by name. Nothing is unpacked: plain files are read at their positions,
//! packed ones through a decoder, in the order in which their files lie there if possible.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tar_core::parse::{Limits as TarLimits, ParseEvent, Parser};
use tar_core::{EntryType, HEADER_SIZE};

use super::BlobStream;
use super::read::{self, Section, stream};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::layer::decompress::zstd_window::{self, NARROW};
use crate::layer::decompress::{Compression, Decoder};
use crate::model::limits::Limits;
use crate::model::path::clean;

/// The most bytes of a table of contents: about 50,000 entries, where an image has a few for each of its layers.
const TABLE: usize = 8 << 20;
/// What an entry of the table takes besides its names.
const ENTRY: usize = 128;
/// The most bytes of a document that is kept while a packed archive is passed over, and of all of them.
const DOCUMENT: u64 = 256 << 10;
const DOCUMENTS: u64 = 2 << 20;
/// How much is decoded between two looks at the context.
const PIECE: usize = 256 << 10;
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
    /// The content, of a small document in a packed archive.
    content: Option<Bytes>,
}

#[derive(Debug)]
enum Node {
    File(Entry),
    Link(Vec<u8>),
    Sparse,
}

/// A tar file with its table of contents.
#[derive(Debug)]
pub(super) struct Archive {
    section: Section,
    is_packed: bool,
    nodes: HashMap<Vec<u8>, Node>,
    limits: Limits,
    parked: Arc<Parked>,
}

/// The bytes of the tar from a place on, whatever it is packed in.
struct Input {
    form: Form,
    at: u64,
}

enum Form {
    Plain(Section),
    Packed(Packed),
}

/// A decoder over the whole file.
type Packed = Box<Decoder<BufReader<Section>>>;

impl Input {
    /// Passes over `bytes`; in a packed archive they are decoded for it.
    fn skip(&mut self, bytes: u64, context: &Context) -> Result<()> {
        if let Form::Plain(section) = &mut self.form {
            section.skip(bytes)?;
            self.at += bytes;
            return Ok(());
        }
        let mut piece = vec![0; PIECE];
        let mut left = bytes;
        while left > 0 {
            context.check()?;
            let length = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.read_exact(piece.get_mut(..length).unwrap_or_default())?;
            left -= length as u64;
        }
        Ok(())
    }
}

impl Read for Input {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.form {
            Form::Plain(section) => section.read(output),
            Form::Packed(decoder) => decoder.read(output),
        }?;
        self.at += read as u64;
        Ok(read)
    }
}

/// The decoder of a packed archive that stands behind the file that was read last: who reads in the order of the archive
/// decodes it once, and not from its beginning for every file.
#[derive(Default)]
struct Parked(Mutex<Option<(Packed, u64)>>);

impl Parked {
    /// The decoder, if it stands before `at`.
    fn take(&self, at: u64) -> Option<Input> {
        let mut parked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (decoder, at) = parked.take_if(|(_, stands)| *stands <= at)?;
        Some(Input { form: Form::Packed(decoder), at })
    }

    fn put(&self, input: Input) {
        if let Form::Packed(decoder) = input.form {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((decoder, input.at));
        }
    }
}

impl fmt::Debug for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parked")
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
        section.clone().take(zstd_window::HEAD as u64).read_to_end(&mut head).map_err(|error| named(error.into()))?;
        let is_packed = Compression::of(&head) != Compression::Plain;
        if zstd_window::of(&head).is_some_and(|window| window > NARROW) {
            return Err(named(
                Error::new(
                    Kind::LimitExceeded,
                    format!("the zstd window of the archive is larger than {} MiB", NARROW >> 20),
                )
                .with_hint("pack it without --ultra and --long"),
            ));
        }
        let (nodes, limits) = (HashMap::new(), limits.clone());
        let mut archive = Self { section, is_packed, nodes, limits, parked: Arc::default() };
        archive.index(context).map_err(named)?;
        Ok(archive)
    }

    fn input(&self) -> Result<Input> {
        let form = if self.is_packed {
            let input = BufReader::with_capacity(64 << 10, self.section.clone());
            Form::Packed(Box::new(Decoder::new(input, &self.limits)?))
        } else {
            Form::Plain(self.section.clone())
        };
        Ok(Input { form, at: 0 })
    }

    fn index(&mut self, context: &Context) -> Result<()> {
        let corrupt =
            |message: &'static str| Error::new(Kind::Corrupt, message).with_hint("save or copy the archive again");
        let mut input = self.input()?;
        let mut parser = Parser::new(TarLimits::default());
        let mut header = Vec::new();
        let mut wanted = HEADER_SIZE;
        let (mut table, mut documents) = (0, 0);
        loop {
            context.check()?;
            let (name, kind, target, size) = loop {
                let missing = wanted.saturating_sub(header.len()) as u64;
                let read = input.by_ref().take(missing).read_to_end(&mut header)? as u64;
                if read < missing {
                    // Some tars end without the two blocks of zeros.
                    let is_end = header.iter().all(|byte| *byte == 0) && input.at > 0;
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
            // What nobody knows has content like a file (POSIX pax, "typeflag").
            let has_content = is_file || matches!(kind, EntryType::GnuSparse | EntryType::Other(_));
            let size = if has_content { size } else { 0 };
            let padded = size
                .checked_next_multiple_of(HEADER_SIZE as u64)
                .and_then(|padded| input.at.checked_add(padded))
                .ok_or_else(|| corrupt("the archive names an impossible size"))?;
            let at = input.at;
            let mut head = Vec::new();
            input.by_ref().take(size.min(Compression::SNIFF as u64)).read_to_end(&mut head)?;
            let compression = Compression::of(&head);
            let is_document = is_file && matches!(head.first(), Some(b'{' | b'[')) && size <= DOCUMENT;
            let mut content = None;
            if self.is_packed && is_document && documents + size <= DOCUMENTS {
                input.by_ref().take(size - head.len() as u64).read_to_end(&mut head)?;
                documents += size;
                content = Some(Bytes::from(head));
            }
            let node = match kind {
                _ if is_file => Some(Node::File(Entry { at, size, compression, content })),
                EntryType::GnuSparse => Some(Node::Sparse),
                EntryType::Link => Some(Node::Link(clean(&target))),
                EntryType::Symlink => Some(Node::Link(clean(&[name.as_slice(), b"/../", &target].concat()))),
                _ => None,
            };
            table += ENTRY + name.len() + target.len();
            if table > TABLE {
                return Err(Error::new(Kind::LimitExceeded, "the table of contents of the archive is too long")
                    .with_hint("an image has a few files for each of its layers: is this the archive of one?"));
            }
            if let Some(node) = node.filter(|_| name.len() <= NAME && target.len() <= NAME) {
                self.nodes.insert(name, node);
            }
            input.skip(padded.saturating_sub(input.at), context)?;
        }
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
                Some(Node::Sparse) => {
                    return Err(Error::new(Kind::Unsupported, "a file of the archive is sparse")
                        .with("path", name.escape_ascii())
                        .with_hint("make the archive without --sparse"));
                }
                None => return Err(missing()),
            }
        }
        Err(missing())
    }

    /// A file for reading. In a packed archive this decodes what lies before it, from its beginning or from where the last
    /// reader stopped.
    pub(super) fn reader(&self, entry: &Entry, context: &Context) -> Result<impl Read + Send + 'static + use<>> {
        let mut input = match self.parked.take(entry.at) {
            Some(input) => input,
            None => self.input()?,
        };
        input.skip(entry.at - input.at, context)?;
        Ok(Exactly { input: Some(input), left: entry.size, parked: self.parked.clone() })
    }

    /// A whole file of at most `limit` bytes.
    pub(super) fn whole(&self, entry: &Entry, limit: u64, context: &Context) -> Result<Vec<u8>> {
        if entry.size > limit {
            return Err(read::too_large(limit));
        }
        if let Some(content) = &entry.content {
            return Ok(content.to_vec());
        }
        let mut bytes = Vec::new();
        self.reader(entry, context)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// A file as a stream. What lies before it in a packed archive is decoded on a thread for blocking work.
    pub(super) async fn stream(self: &Arc<Self>, entry: Entry, context: &Context) -> Result<BlobStream> {
        if let Some(content) = entry.content {
            return Ok(stream(io::Cursor::new(content)));
        }
        let (archive, held) = (Arc::clone(self), context.clone());
        let reader = move || archive.reader(&entry, &held);
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
    /// None behind an error: what stands there is of no use to anybody.
    input: Option<Input>,
    left: u64,
    parked: Arc<Parked>,
}

impl Read for Exactly {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        let length = output.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let Some(output) = output.get_mut(..length).filter(|output| !output.is_empty()) else { return Ok(0) };
        let read = self.input.as_mut().map_or(Ok(0), |input| input.read(output));
        match read {
            Ok(read) if read > 0 => {
                self.left -= read as u64;
                Ok(read)
            }
            broken => {
                self.input = None;
                broken.and(Err(io::ErrorKind::UnexpectedEof.into()))
            }
        }
    }
}

impl Drop for Exactly {
    fn drop(&mut self) {
        if let Some(input) = self.input.take() {
            self.parked.put(input);
        }
    }
}

#[cfg(test)]
mod tests;
