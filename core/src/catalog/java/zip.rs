//! A zip archive as it streams by (PKWARE "APPNOTE.TXT" 6.3.10): entry after entry by their local headers, and behind them the
//! central directory, which has the last word about what the archive holds.
//!
//! Where an entry does not say how long it is (a data descriptor follows it), its end is where a descriptor says the very
//! distance from its start and another header follows, or where the deflated stream ends, if it is inflated anyway.

use std::io::{self, BufRead, Read};

use memchr::memmem;

use crate::error::{Error, Kind, Result};
use crate::layer::buffered;
use crate::layer::inflate::Inflating;
use crate::layer::window::Window;

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const DESCRIPTOR: &[u8] = b"PK\x07\x08";
const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";

/// The most bytes of a name that are looked at.
const NAME: usize = 1024;
/// The most entries of the central directory that are kept.
pub(super) const LISTED: usize = 10_000;

/// An archive that is being read.
pub(super) struct Zip<'a> {
    input: Window<&'a mut dyn BufRead>,
    current: Option<Current>,
}

/// An entry, by its local header.
#[derive(Debug)]
pub(super) struct Entry {
    /// Where its header starts in the stream.
    pub(super) offset: u64,
    pub(super) name: Vec<u8>,
    pub(super) form: Form,
}

/// How the content of an entry is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Stored,
    Deflated,
    /// Encrypted, or in a way that no jar has.
    Other,
}

/// The entry whose content is ahead, or was read in part.
struct Current {
    /// Where its content starts.
    start: u64,
    form: Form,
    /// How long its content is in the archive, where the header says so.
    size: Option<u64>,
    /// The deflated stream was read to its end.
    is_ended: bool,
}

/// An entry, by the central directory.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Listed {
    /// Where its local header starts in the stream.
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) name: Vec<u8>,
}

/// What the central directory says.
#[derive(Debug, Default)]
pub(super) struct Directory {
    /// The entries that were asked for.
    pub(super) listed: Vec<Listed>,
    /// Whether the directory was there to its end.
    pub(super) is_whole: bool,
    /// Whether it lists more of them than are kept.
    pub(super) is_full: bool,
}

impl<'a> Zip<'a> {
    pub(super) fn new(input: &'a mut dyn BufRead) -> Self {
        Self { input: Window::new(input), current: None }
    }

    /// The next entry; none where there is no further local header. What is left of the last one is passed over.
    ///
    /// # Errors
    /// Those of the stream.
    pub(super) fn next(&mut self) -> Result<Option<Entry>> {
        if let Some(current) = self.current.take() {
            self.finish(&current)?;
        }
        loop {
            let offset = self.input.position();
            let head = self.input.peek(30)?;
            if head.starts_with(LOCAL)
                && let Some(header) = Header::local(head)
            {
                return self.entry(offset, &header).map(Some);
            }
            if head.starts_with(CENTRAL) || head.starts_with(END) || head.starts_with(END_64) || head.len() < 4 {
                return Ok(None);
            }
            // Something in front of the archive, such as a script that starts it, or between two entries.
            let step = head.get(1..).and_then(|rest| memmem::find(rest, b"PK")).map_or(head.len() - 1, |at| at + 1);
            self.input.advance(step);
        }
    }

    fn entry(&mut self, offset: u64, header: &Header) -> Result<Entry> {
        self.input.advance(30);
        let name = self.bytes(header.name, NAME)?;
        let extra = self.bytes(header.extra, usize::from(u16::MAX))?;
        let is_streamed = header.flags & 8 != 0;
        let (size, full_size) = header.sizes(&extra);
        let size = if is_streamed && size == 0 && full_size == 0 { None } else { Some(size) };
        let form = header.form();
        self.current = Some(Current { start: self.input.position(), form, size, is_ended: false });
        Ok(Entry { offset, name, form })
    }

    /// Goes on to an entry that the central directory names; none where there is no header, or it lies behind.
    ///
    /// # Errors
    /// Those of the stream.
    pub(super) fn seek(&mut self, listed: &Listed) -> Result<Option<Entry>> {
        self.current = None;
        let Some(distance) = listed.offset.checked_sub(self.input.position()) else { return Ok(None) };
        self.input.skip(distance)?;
        let Some(header) = Header::local(self.input.peek(30)?) else { return Ok(None) };
        let entry = self.entry(listed.offset, &header)?;
        if let Some(current) = &mut self.current {
            current.size = Some(listed.size);
        }
        // A reader of Java believes the directory and not the header.
        Ok(Some(Entry { name: listed.name.clone(), ..entry }))
    }

    /// The content of the entry that [`Zip::next`] returned, as it was before it was packed.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] where it cannot be read as it streams by.
    pub(super) fn content(&mut self) -> Result<Content<'_, 'a>> {
        let unsupported = |message| Err(Error::new(Kind::Unsupported, message));
        let Some(current) = &mut self.current else { return unsupported("there is no entry") };
        let left = match (current.form, current.size) {
            (Form::Other, _) => return unsupported("an entry is encrypted or packed as no jar is"),
            (Form::Stored, None) => return unsupported("an entry that is stored does not say how long it is"),
            (_, Some(size)) => size,
            (Form::Deflated, None) => u64::MAX,
        };
        let is_stored = current.form == Form::Stored;
        let part = Part { input: &mut self.input, left };
        Ok(match is_stored {
            true => Content::Stored(part),
            false => Content::Deflated(Box::new(Inflating::raw(part)), &mut current.is_ended),
        })
    }

    /// Passes over what is left of an entry and the descriptor behind it.
    fn finish(&mut self, current: &Current) -> Result<()> {
        let position = self.input.position();
        if let Some(size) = current.size {
            let end = current.start.saturating_add(size);
            self.input.skip(end.saturating_sub(position))?;
            if self.input.position() < end {
                return Err(corrupt("the archive ends in the middle of an entry"));
            }
            return Ok(());
        }
        if current.is_ended {
            // The descriptor has 12 to 24 bytes, and a header follows.
            let ahead = self.input.peek(28)?;
            let length = [16, 24, 12, 20].into_iter().find(|length| {
                ahead.get(*length..*length + 2) == Some(b"PK")
                    && ahead.get(..*length).is_some_and(|bytes| describes(bytes, position - current.start))
            });
            self.input.advance(length.unwrap_or_default());
            return Ok(());
        }
        self.find_end(current.start)
    }

    /// Goes on to the header that follows an entry of unknown length: the first with a descriptor before it that says the
    /// distance from the start.
    fn find_end(&mut self, start: u64) -> Result<()> {
        loop {
            let ahead = self.input.peek(4)?;
            if ahead.len() < 4 {
                return Err(corrupt("the archive ends in the middle of an entry"));
            }
            let found = memmem::find(ahead, b"PK").unwrap_or(ahead.len() - 1);
            let signature = ahead.get(found..found + 4);
            let is_header = signature == Some(LOCAL) || signature == Some(CENTRAL);
            // The last bytes may be the first half of a header: they are looked at again with what follows.
            let is_cut = signature.is_none();
            self.input.advance(found);
            let end = self.input.position();
            let is_end = is_header
                && [16, 24, 12, 20].into_iter().any(|length: u64| {
                    let behind = self.input.behind(length as usize);
                    behind.len() as u64 == length
                        && end.checked_sub(start + length).is_some_and(|distance| describes(behind, distance))
                });
            if is_end {
                return Ok(());
            }
            self.input.advance(usize::from(!is_cut));
        }
    }

    /// The central directory, once [`Zip::next`] has returned none: those of its entries that are `wanted` by their name.
    ///
    /// # Errors
    /// Those of the stream.
    pub(super) fn directory(&mut self, wanted: impl Fn(&[u8]) -> bool) -> Result<Directory> {
        let (start, mut directory) = (self.input.position(), Directory::default());
        loop {
            let head = self.input.peek(56)?;
            if head.starts_with(CENTRAL) {
                let Some(header) = Header::central(head) else { return Ok(directory) };
                let offset = u32_at(head, 42).unwrap_or_default();
                self.input.advance(46);
                let name = self.bytes(header.name, NAME)?;
                let extra = self.bytes(header.extra, usize::from(u16::MAX))?;
                self.input.skip(header.comment.into())?;
                if wanted(&name) {
                    let (size, _) = header.sizes(&extra);
                    let offset = if offset == u32::MAX { header.offset_64(&extra) } else { offset.into() };
                    if directory.listed.len() == LISTED {
                        directory.is_full = true;
                        continue;
                    }
                    directory.listed.push(Listed { offset, size, name });
                }
                continue;
            }
            // What the directory says of its own place tells what was put in front of the archive afterwards.
            let said = if head.starts_with(END_64) {
                u64_at(head, 48)
            } else if head.starts_with(END) {
                u32_at(head, 16).map(u64::from)
            } else {
                return Ok(directory);
            };
            let Some(said) = said else { return Ok(directory) };
            let moved = start.saturating_sub(said);
            directory.listed.iter_mut().for_each(|listed| listed.offset = listed.offset.saturating_add(moved));
            directory.is_whole = true;
            return Ok(directory);
        }
    }

    /// Takes `length` bytes and keeps the first `limit` of them.
    fn bytes(&mut self, length: u16, limit: usize) -> Result<Vec<u8>> {
        let length = usize::from(length);
        let mut bytes = Vec::new();
        (&mut self.input).take(length.min(limit) as u64).read_to_end(&mut bytes)?;
        self.input.skip(length.saturating_sub(limit) as u64)?;
        Ok(bytes)
    }
}

/// Whether `bytes` are a data descriptor (APPNOTE 4.3.9) of an entry of `size` bytes: checksum, this size, the size before it
/// was packed; both of 4 or of 8 bytes; with a signature or without.
fn describes(bytes: &[u8], size: u64) -> bool {
    let (has_signature, bytes) = match bytes.len() {
        16 | 24 => (bytes.starts_with(DESCRIPTOR), bytes.get(4..).unwrap_or_default()),
        _ => (true, bytes),
    };
    has_signature
        && match bytes.len() {
            12 => u32_at(bytes, 4) == Some(size as u32),
            _ => u64_at(bytes, 4) == Some(size),
        }
}

/// What local and central headers have in common.
struct Header {
    flags: u16,
    method: u16,
    size: u32,
    full_size: u32,
    name: u16,
    extra: u16,
    comment: u16,
}

impl Header {
    /// A local header that may be one: random bytes with its signature are not.
    fn local(bytes: &[u8]) -> Option<Self> {
        let header = Self::read(bytes.strip_prefix(LOCAL)?, 0)?;
        (header.name > 0 && header.method < 100).then_some(header)
    }

    fn central(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(CENTRAL)?;
        Some(Self { comment: u16_at(bytes, 32)?, ..Self::read(rest.get(2..)?, 0)? })
    }

    /// Reads from the version that is needed to extract.
    fn read(bytes: &[u8], comment: u16) -> Option<Self> {
        Some(Self {
            flags: u16_at(bytes, 2)?,
            method: u16_at(bytes, 4)?,
            size: u32_at(bytes, 14)?,
            full_size: u32_at(bytes, 18)?,
            name: u16_at(bytes, 22)?,
            extra: u16_at(bytes, 24)?,
            comment,
        })
    }

    fn form(&self) -> Form {
        match self.method {
            _ if self.flags & 1 != 0 => Form::Other,
            0 => Form::Stored,
            8 => Form::Deflated,
            _ => Form::Other,
        }
    }

    /// The sizes, packed and not, from the extra field of zip64 where they do not fit (APPNOTE 4.5.3).
    fn sizes(&self, extra: &[u8]) -> (u64, u64) {
        let mut large = zip64(extra);
        let mut take = |small: u32| {
            if small != u32::MAX {
                return small.into();
            }
            let value = u64_at(large, 0);
            large = large.get(8..).unwrap_or_default();
            value.unwrap_or_else(|| small.into())
        };
        let full_size = take(self.full_size);
        (take(self.size), full_size)
    }

    /// The place of the local header, from the extra field, behind the sizes that are there too.
    fn offset_64(&self, extra: &[u8]) -> u64 {
        let sizes = usize::from(self.full_size == u32::MAX) + usize::from(self.size == u32::MAX);
        u64_at(zip64(extra), 8 * sizes).unwrap_or(u32::MAX.into())
    }
}

/// The content of the zip64 field among the extra fields.
fn zip64(mut extra: &[u8]) -> &[u8] {
    while let (Some(id), Some(length)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let end = 4 + usize::from(length);
        if id == 1 {
            return extra.get(4..end).unwrap_or_default();
        }
        extra = extra.get(end..).unwrap_or_default();
    }
    &[]
}

/// The content of one entry. At its end it has seen to it that the archive can go on.
pub(super) enum Content<'z, 'a> {
    Stored(Part<'z, 'a>),
    Deflated(Box<Inflating<Part<'z, 'a>>>, &'z mut bool),
}

/// What is left of the packed bytes of an entry.
pub(super) struct Part<'z, 'a> {
    input: &'z mut Window<&'a mut dyn BufRead>,
    left: u64,
}

impl BufRead for Part<'_, '_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let ahead = self.input.fill_buf()?;
        if ahead.is_empty() {
            return Err(corrupt("the archive ends in the middle of an entry").into());
        }
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(ahead.len());
        Ok(ahead.get(..length).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.left = self.left.saturating_sub(amount as u64);
        self.input.consume(amount);
    }
}

impl Read for Part<'_, '_> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        buffered::read(self, output)
    }
}

impl BufRead for Content<'_, '_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self {
            Self::Stored(part) => part.fill_buf(),
            Self::Deflated(inflating, is_ended) => {
                inflating.fill_buf()?;
                **is_ended = inflating.is_ended();
                // The same bytes: nothing was consumed in between.
                inflating.fill_buf()
            }
        }
    }

    fn consume(&mut self, amount: usize) {
        match self {
            Self::Stored(part) => part.consume(amount),
            Self::Deflated(inflating, _) => inflating.consume(amount),
        }
    }
}

impl Read for Content<'_, '_> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        buffered::read(self, output)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

fn corrupt(message: &'static str) -> Error {
    Error::new(Kind::Corrupt, message)
}
