//! One pass over the tar of a layer: every entry into the journal, wanted files to the catalogers.
//!
//! Formats: POSIX.1-2001 ustar and pax, GNU long names; whiteouts as in the OCI image specification, `layer.md`.

use std::io::{self, BufRead, Read};
use std::sync::Arc;

use tar_core::HEADER_SIZE;
use tar_core::parse::{Limits as TarLimits, ParseError, ParseEvent, Parser};

use super::buffered;
use super::cataloger::{self, Cataloger, Content, File, Surroundings};
use super::facts::{Gathered, LayerFacts};
use super::interest::{InterestTable, MAGIC, Take};
use super::journal::{EntryKind, JournalWriter};
use crate::error::{Error, Kind, Result};
use crate::model::limits::Limits;
use crate::model::path;
use crate::model::problem::{Problem, ProblemKind, Problems};

/// The most bytes that catalogers note for second looks at one layer.
const NOTED: usize = 2 << 20;

/// After how many bytes it is asked whether there is room for more.
const STEP: usize = 128 << 10;

/// The most bytes of long names and pax records before one entry.
const METADATA: u32 = 1 << 20;

/// What a walk needs to know. The same for every layer of a scanner.
pub struct Reading<'a> {
    /// The catalogers, by whose place in this list facts are kept.
    pub catalogers: &'a [Arc<dyn Cataloger>],
    /// Their interests.
    pub table: &'a InterestTable,
    /// The limits.
    pub limits: &'a Limits,
    /// Only these files, sorted, for whom and as what: the second look at a layer. None reads what the table says.
    pub again: Option<&'a [Again]>,
    /// Asked as what is kept of the layer grows: whether it may be so many bytes.
    pub space: &'a dyn Fn(usize) -> Space,
}

/// Whether there is room for more of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// There is.
    Granted,
    /// Together with what else is kept it is more than any image may have: the layer does not count.
    Full,
    /// Not now: the reading ends, and begins anew when there is.
    Later,
}

/// A file that one pass could not know to be wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Again {
    /// The place in the journal of the layer.
    pub entry: u32,
    /// The cataloger, by its place in the list.
    pub cataloger: u16,
    /// The path that the cataloger is told.
    pub shown: String,
    /// What the cataloger noted in its first look; none where the overlay asks, and nobody has looked yet.
    pub note: Option<Vec<u8>>,
}

impl Again {
    /// The bytes of memory that it takes.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.shown.len() + self.note.as_ref().map_or(0, Vec::len)
    }
}

/// A layer that was walked.
#[derive(Debug)]
pub enum Walked {
    /// To the end of the tar.
    Whole(LayerFacts),
    /// As far as it could be read, or a limit allowed; which of them ended it is a problem of the facts.
    Damaged(LayerFacts),
    /// There is no room for it in any image, and nothing is kept.
    TooMuch,
}

impl Walked {
    /// What was found; damage and limits are problems in it. None where it is too much.
    pub fn facts(self) -> Option<LayerFacts> {
        match self {
            Self::Whole(facts) | Self::Damaged(facts) => Some(facts),
            Self::TooMuch => None,
        }
    }
}

/// Why the reading of a layer ended with nothing.
#[derive(Debug)]
pub enum Stopped {
    /// It takes more room than there is now: it begins anew when there is.
    NoRoomNow,
    /// By an error from outside.
    Failed(Error),
}

impl Stopped {
    /// The same with more said of the error.
    #[must_use]
    pub fn map(self, more: impl FnOnce(Error) -> Error) -> Self {
        match self {
            Self::NoRoomNow => Self::NoRoomNow,
            Self::Failed(error) => Self::Failed(more(error)),
        }
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Stopped> for Error {
    /// For whoever does not begin anew, and has room for anything.
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::NoRoomNow => Self::new(Kind::Internal, "a layer was told to wait for room where nobody waits"),
            Stopped::Failed(error) => error,
        }
    }
}

/// Why a walk ends before its tar does.
enum Early {
    /// It cannot be read further; what came before counts.
    Damage(Problem),
    /// There is no room for it in any image.
    TooMuch,
    /// What came before does not count.
    Stopped(Stopped),
}

impl From<Error> for Early {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            Kind::Corrupt => ProblemKind::Corrupt,
            Kind::LimitExceeded => ProblemKind::LimitExceeded,
            Kind::Unsupported => ProblemKind::Unsupported,
            _ => return Self::Stopped(Stopped::Failed(error)),
        };
        Self::Damage(Problem::new(kind, error.to_string()))
    }
}

/// Walks a decompressed layer. `buffer` holds one file at a time and is kept by the caller for the next layer.
///
/// # Errors
/// Only what ends the reading from outside, such as [`Kind::Canceled`] or [`Kind::Unavailable`], and [`Stopped::NoRoomNow`]; damage and
/// limits are problems of the facts.
pub fn walk<R: BufRead>(input: R, reading: &Reading<'_>, buffer: &mut Vec<u8>) -> Result<Walked, Stopped> {
    let mut walk = Walk {
        input,
        reading,
        buffer,
        out: LayerFacts::default(),
        journal: JournalWriter::default(),
        problems: Problems::default(),
        takers: Takers::default(),
        entries: 0,
        position: 0,
        facts: Gathered::default(),
        noted: 0,
        asked: 0,
    };
    let damage = match walk.run() {
        Ok(()) => None,
        Err(Early::Damage(problem)) => Some(problem),
        Err(Early::TooMuch) => return Ok(Walked::TooMuch),
        Err(Early::Stopped(stopped)) => return Err(stopped),
    };
    let is_whole = damage.is_none();
    damage.into_iter().for_each(|problem| walk.problems.push(problem));
    walk.out.journal = walk.journal.finish()?;
    walk.out.facts = walk.facts.finish();
    walk.out.problems = walk.problems.finish();
    match (reading.space)(walk.out.memory()) {
        Space::Granted if is_whole => Ok(Walked::Whole(walk.out)),
        Space::Granted => Ok(Walked::Damaged(walk.out)),
        Space::Full => Ok(Walked::TooMuch),
        Space::Later => Err(Stopped::NoRoomNow),
    }
}

struct Walk<'a, R> {
    input: R,
    reading: &'a Reading<'a>,
    buffer: &'a mut Vec<u8>,
    out: LayerFacts,
    journal: JournalWriter,
    problems: Problems,
    takers: Takers,
    entries: u64,
    /// The place in the journal of the next entry.
    position: u32,
    facts: Gathered,
    /// The bytes of what is noted for second looks so far.
    noted: usize,
    /// The bytes for which there was room when that was asked last.
    asked: usize,
}

/// What the walk needs of a tar header, copied out of the input.
struct Header {
    kind: EntryKind,
    path: Vec<u8>,
    target: Vec<u8>,
    mode: u32,
    size: u64,
    is_regular: bool,
    is_sparse: bool,
}

enum Next {
    Entry(Header),
    Skipped,
    End,
}

impl<R: BufRead> Walk<'_, R> {
    fn run(&mut self) -> Result<(), Early> {
        let limits = TarLimits {
            max_metadata_size: METADATA,
            max_path_len: None,
            max_pending_entries: 16,
            ..TarLimits::default()
        };
        let mut parser = Parser::new(limits);
        parser.set_allow_empty_path(true);
        parser.set_ignore_pax_errors(true);
        loop {
            let next = self.next(&mut parser)?;
            if matches!(next, Next::End) {
                return Ok(());
            }
            if self.entries >= self.reading.limits.entries {
                return Err(full(format!("the layer has more than {} entries", self.entries)).into());
            }
            self.entries += 1;
            if let Next::Entry(header) = next {
                self.entry(header)?;
            }
            let all = self.journal.memory() + self.facts.memory() + self.noted;
            if all > self.asked + STEP {
                self.asked = all;
                match (self.reading.space)(all) {
                    Space::Granted => {}
                    Space::Full => return Err(Early::TooMuch),
                    Space::Later => return Err(Early::Stopped(Stopped::NoRoomNow)),
                }
            }
        }
    }

    /// Parses the next header, in place where it lies whole in the input's buffer.
    fn next(&mut self, parser: &mut Parser) -> Result<Next> {
        let available = self.input.fill_buf()?;
        let (consumed, next) = match parse(parser, available) {
            Parsed::More(_) => return self.next_across(parser),
            Parsed::Done(consumed, next) => (consumed, next),
            Parsed::Oversized => return self.skip_oversized(),
            Parsed::Failed(error) => return Err(error),
        };
        self.input.consume(consumed);
        Ok(next)
    }

    /// The same for a header that the input's buffer cuts.
    fn next_across(&mut self, parser: &mut Parser) -> Result<Next> {
        let mut header = Vec::new();
        let mut wanted = HEADER_SIZE;
        loop {
            let missing = wanted.saturating_sub(header.len()) as u64;
            let read = self.input.by_ref().take(missing).read_to_end(&mut header)?;
            if (read as u64) < missing {
                // Some tars end without the two blocks of zeros.
                if header.iter().all(|byte| *byte == 0) {
                    return Ok(Next::End);
                }
                return Err(corrupt("the tar ends in the middle of a header"));
            }
            match parse(parser, &header) {
                Parsed::More(bytes) if bytes > header.len() => wanted = bytes,
                Parsed::More(_) => return Err(corrupt("the tar header makes no sense")),
                Parsed::Done(consumed, next) if consumed == header.len() => return Ok(next),
                // Two zero blocks and then some, or a header that needed less than it said.
                Parsed::Done(_, Next::End) => return Ok(Next::End),
                Parsed::Done(..) => return Err(corrupt("the tar header makes no sense")),
                Parsed::Oversized => return self.skip_oversized_from(&header),
                Parsed::Failed(error) => return Err(error),
            }
        }
    }

    fn skip_oversized(&mut self) -> Result<Next> {
        self.skip_oversized_from(&[])
    }

    /// Passes over an entry whose long name or pax records are larger than anything real: headers up to and with the entry
    /// that they belong to. `head` was taken from the input already.
    fn skip_oversized_from(&mut self, head: &[u8]) -> Result<Next> {
        self.problems.push(Problem::new(
            ProblemKind::LimitExceeded,
            format!("an entry has more than {METADATA} bytes of long names or extended headers"),
        ));
        let mut head = head;
        loop {
            let mut block = [0; HEADER_SIZE];
            let (taken, rest) = head.split_at(head.len().min(HEADER_SIZE));
            if let Some(start) = block.get_mut(..taken.len()) {
                start.copy_from_slice(taken);
            }
            head = rest;
            self.input.read_exact(block.get_mut(taken.len()..).unwrap_or_default())?;
            let header = tar_core::Header::from_bytes(&block);
            let size = header.entry_size().map_err(|error| corrupt("the tar header is damaged").because(error))?;
            let padded = size.checked_next_multiple_of(HEADER_SIZE as u64).unwrap_or(u64::MAX);
            let from_head = (head.len() as u64).min(padded);
            head = head.get(from_head as usize..).unwrap_or_default();
            self.skip(padded - from_head)?;
            let kind = header.entry_type();
            if !(kind.is_gnu_longname()
                || kind.is_gnu_longlink()
                || kind.is_pax_local_extensions()
                || kind.is_pax_global_extensions())
            {
                return Ok(Next::Skipped);
            }
        }
    }

    /// Writes the entry into the journal and hands the file to whoever wants it.
    fn entry(&mut self, mut header: Header) -> Result<()> {
        let padded = header.size.checked_next_multiple_of(HEADER_SIZE as u64).unwrap_or(u64::MAX);
        let limit = self.reading.limits.path;
        if header.path.len() as u64 > limit || header.target.len() as u64 > limit {
            let shown = path::show(header.path.get(..200).unwrap_or(&header.path)).into_owned();
            self.problems.push(
                Problem::new(ProblemKind::LimitExceeded, format!("a path is longer than {limit} bytes")).at(shown),
            );
            return self.skip(padded);
        }
        header.path = path::clean(&header.path);
        let (directory, name) = path::split(&header.path);
        if name == b".wh..wh..opq" {
            (header.kind, header.path) = (EntryKind::Opaque, directory.to_vec());
        } else if let Some(gone) = name.strip_prefix(b".wh.") {
            // `.wh..wh.` is aufs' own bookkeeping.
            if gone.is_empty() || gone.starts_with(b".wh.") {
                return self.skip(padded);
            }
            let separator: &[u8] = if directory.is_empty() { b"" } else { b"/" };
            (header.kind, header.path) = (EntryKind::Whiteout, [directory, separator, gone].concat());
        } else if header.kind == EntryKind::Hardlink {
            header.target = path::clean(&header.target);
        }
        let special = (header.mode >> 9 & 7) as u8;
        if self.reading.again.is_none() && !self.journal.push(header.kind, &header.path, &header.target, special)? {
            return Err(full("the list of the layer's entries is too long".to_owned()));
        }
        let entry = self.position;
        self.position += 1;
        if header.kind == EntryKind::File && header.is_regular { self.file(&header, entry) } else { self.skip(padded) }
    }

    /// Hands a file to whoever wants it, and passes over what is left of it.
    fn file(&mut self, header: &Header, entry: u32) -> Result<()> {
        let shown = path::show(&header.path);
        let mut content = EntryContent { input: &mut self.input, left: header.size };
        let mut head = [0; MAGIC];
        let mut head_length = 0;
        if self.reading.again.is_none() && self.reading.table.looks_at_content() {
            head_length = read_up_to(&mut content, &mut head)?;
        }
        let head = head.get(..head_length).unwrap_or_default();
        let takers = self.takers.of(self.reading, header, &shown, head, entry);
        if !takers.is_empty() {
            if header.is_sparse {
                self.problems.push(Problem::new(ProblemKind::Unsupported, "a sparse file is not read").at(shown));
            } else {
                let mut content = io::Cursor::new(head).chain(&mut content);
                let offer = Offer {
                    reading: self.reading,
                    header,
                    position: entry,
                    problems: &mut self.problems,
                    facts: &mut self.facts,
                    again: &mut self.out.again,
                    noted: &mut self.noted,
                };
                offer.to(&takers, &mut content, self.buffer)?;
            }
        }
        let padding = header.size.next_multiple_of(HEADER_SIZE as u64) - header.size;
        let left = content.left;
        self.skip(left + padding)
    }

    fn skip(&mut self, mut bytes: u64) -> Result<()> {
        while bytes > 0 {
            let available = self.input.fill_buf()?.len();
            if available == 0 {
                return Err(corrupt("the tar ends in the middle of a file"));
            }
            let step = (available as u64).min(bytes);
            self.input.consume(step as usize);
            bytes -= step;
        }
        Ok(())
    }
}

/// One cataloger that wants a file.
struct Taker {
    cataloger: u16,
    take: Take,
    /// What its facts are kept under: the entry, or the place in the list of a second look.
    entry: u32,
    shown: String,
    note: Option<Vec<u8>>,
}

/// Finds the takers of a file, with buffers that live as long as the walk.
#[derive(Default)]
struct Takers {
    matches: Vec<usize>,
    found: Vec<(u16, Take)>,
}

impl Takers {
    fn of(&mut self, reading: &Reading<'_>, header: &Header, shown: &str, head: &[u8], entry: u32) -> Vec<Taker> {
        if let Some(again) = reading.again {
            let first = again.partition_point(|again| again.entry < entry);
            let wanted = again.iter().zip(0u32..).skip(first).take_while(|(again, _)| again.entry == entry);
            // Which interest wanted it is not known any more: whole, where that is possible, serves both.
            let take = if header.size <= reading.limits.file { Take::Whole } else { Take::Stream };
            return wanted
                .map(|(again, place)| Taker {
                    cataloger: again.cataloger,
                    take,
                    entry: place,
                    shown: again.shown.clone(),
                    note: again.note.clone(),
                })
                .collect();
        }
        reading.table.takers(shown, header.mode, head, &mut self.matches, &mut self.found);
        self.found
            .iter()
            .map(|(cataloger, take)| Taker {
                cataloger: *cataloger,
                take: *take,
                entry,
                shown: shown.to_owned(),
                note: None,
            })
            .collect()
    }
}

/// One file on its way to its takers.
struct Offer<'a> {
    reading: &'a Reading<'a>,
    header: &'a Header,
    /// The place in the journal.
    position: u32,
    problems: &'a mut Problems,
    facts: &'a mut Gathered,
    again: &'a mut Vec<Again>,
    noted: &'a mut usize,
}

impl Offer<'_> {
    fn to(self, takers: &[Taker], content: &mut dyn BufRead, buffer: &mut Vec<u8>) -> Result<()> {
        let (size, limit) = (self.header.size, self.reading.limits.file);
        let is_alone = takers.len() == 1 && takers.iter().all(|taker| taker.take == Take::Stream);
        let is_whole = size <= limit && !is_alone;
        if is_whole {
            buffer.clear();
            content.read_to_end(buffer)?;
        }
        let is_wanted = |path: &str| self.reading.table.wants_path(path);
        let mut is_streamed = false;
        for taker in takers {
            let Some(cataloger) = self.reading.catalogers.get(usize::from(taker.cataloger)) else { continue };
            let bytes = match taker.take {
                _ if is_whole => Content::Whole(buffer.as_slice()),
                Take::Stream if !is_streamed => {
                    is_streamed = true;
                    Content::Stream(&mut *content)
                }
                _ => {
                    let message = format!("the file is larger than the {limit} bytes that are taken whole");
                    self.problems.push(Problem::new(ProblemKind::LimitExceeded, message).at(&taker.shown));
                    continue;
                }
            };
            let mut problems = Vec::new();
            let surroundings =
                Surroundings { is_wanted: &is_wanted, limits: self.reading.limits, note: taker.note.as_deref() };
            let mut file = File::new(&taker.shown, self.header.mode, size, bytes, surroundings, &mut problems);
            let result = cataloger.read(&mut file);
            if let Some(note) = file.into_again() {
                *self.noted += size_of::<Again>() + note.len() + taker.shown.len();
                if *self.noted > NOTED {
                    let message = "more files of the layer want a second look than there is room for";
                    self.problems.push(Problem::new(ProblemKind::LimitExceeded, message).at(&taker.shown));
                } else {
                    let (shown, note) = (taker.shown.clone(), Some(note));
                    self.again.push(Again { entry: self.position, cataloger: taker.cataloger, shown, note });
                }
            }
            problems.into_iter().for_each(|problem| self.problems.push(problem));
            match result {
                Ok(Some(facts)) => {
                    if self.facts.memory() + facts.memory() > LayerFacts::MAX {
                        let message = format!("the layer has more than {} MiB of packages", LayerFacts::MAX >> 20);
                        self.problems.push(Problem::new(ProblemKind::LimitExceeded, message).at(&taker.shown));
                        continue;
                    }
                    self.facts.push(taker.entry, taker.cataloger, facts.as_bytes());
                }
                Ok(None) => {}
                Err(error) => self.problems.push(cataloger::problem_of(error)?.at(&taker.shown)),
            }
        }
        Ok(())
    }
}

/// The content of one entry, without what follows it.
struct EntryContent<'a, R> {
    input: &'a mut R,
    left: u64,
}

impl<R: BufRead> Read for EntryContent<'_, R> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        buffered::read(self, output)
    }
}

impl<R: BufRead> BufRead for EntryContent<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let available = self.input.fill_buf()?;
        if available.is_empty() {
            return Err(corrupt("the tar ends in the middle of a file").into());
        }
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(available.len());
        Ok(available.get(..length).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.left = self.left.saturating_sub(amount as u64);
        self.input.consume(amount);
    }
}

fn read_up_to(input: &mut impl Read, output: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = output.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

enum Parsed {
    More(usize),
    Done(usize, Next),
    Oversized,
    Failed(Error),
}

fn parse(parser: &mut Parser, input: &[u8]) -> Parsed {
    match parser.parse(input) {
        Ok(ParseEvent::NeedData { min_bytes }) => Parsed::More(min_bytes),
        Ok(ParseEvent::Entry { consumed, entry }) => Parsed::Done(consumed, Next::Entry(header(&entry, false))),
        Ok(ParseEvent::SparseEntry { consumed, entry, .. }) => {
            Parsed::Done(consumed, Next::Entry(header(&entry, true)))
        }
        Ok(ParseEvent::GlobalExtensions { consumed, .. }) => Parsed::Done(consumed, Next::Skipped),
        Ok(ParseEvent::End { consumed }) => Parsed::Done(consumed, Next::End),
        Err(ParseError::MetadataTooLarge { .. } | ParseError::PathTooLong { .. }) => Parsed::Oversized,
        Err(error) => Parsed::Failed(corrupt("the tar header is damaged").because(error)),
    }
}

fn header(entry: &tar_core::parse::ParsedEntry<'_>, is_sparse: bool) -> Header {
    let kind = match entry.entry_type {
        tar_core::EntryType::Directory => EntryKind::Directory,
        tar_core::EntryType::Symlink => EntryKind::Symlink,
        tar_core::EntryType::Link => EntryKind::Hardlink,
        _ => EntryKind::File,
    };
    // An old tar marks a directory by the slash behind its name.
    let is_regular = entry.is_file() || entry.entry_type.is_contiguous() || is_sparse || is_unknown(entry.entry_type);
    let is_directory = kind == EntryKind::File && entry.is_file() && entry.path.ends_with(b"/");
    Header {
        kind: if is_directory { EntryKind::Directory } else { kind },
        path: entry.path.to_vec(),
        target: entry.link_target.as_deref().map(<[u8]>::to_vec).unwrap_or_default(),
        mode: entry.mode,
        // Links, directories and devices have no content, whatever their header says.
        size: if is_regular { entry.size } else { 0 },
        is_regular,
        is_sparse,
    }
}

/// A type that nobody knows is read as a file (POSIX pax, "typeflag").
fn is_unknown(kind: tar_core::EntryType) -> bool {
    matches!(kind, tar_core::EntryType::Other(_))
}

fn corrupt(message: &'static str) -> Error {
    Error::new(Kind::Corrupt, message)
}

fn full(message: String) -> Error {
    Error::new(Kind::LimitExceeded, message)
}
