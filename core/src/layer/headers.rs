//! The headers of a tar: POSIX.1-2001 ustar and pax, GNU long names.

use std::io::{BufRead, Read as _};

use tar_core::HEADER_SIZE;
use tar_core::parse::{Limits as TarLimits, ParseError, ParseEvent, Parser};

use super::journal::EntryKind;
use crate::error::{Error, Kind, Result};
use crate::model::problem::{Problem, ProblemKind, Problems};

/// The most bytes of long names and pax records before one entry.
const METADATA: u32 = 1 << 20;

/// What the walk needs of a tar header, copied out of the input.
pub(super) struct Header {
    pub(super) kind: EntryKind,
    pub(super) path: Vec<u8>,
    pub(super) target: Vec<u8>,
    pub(super) mode: u32,
    pub(super) size: u64,
    pub(super) is_regular: bool,
    pub(super) is_sparse: bool,
}

/// What comes next in a tar.
pub(super) enum Next {
    Entry(Header),
    /// Nothing that counts.
    Skipped,
    End,
}

/// Reads the headers of one tar, one behind another.
pub(super) struct Headers {
    parser: Parser,
}

impl Headers {
    pub(super) fn new() -> Self {
        let limits = TarLimits {
            max_metadata_size: METADATA,
            max_path_len: None,
            max_pending_entries: 16,
            ..TarLimits::default()
        };
        let mut parser = Parser::new(limits);
        parser.set_allow_empty_path(true);
        parser.set_ignore_pax_errors(true);
        Self { parser }
    }

    /// Reads the next header, in place where it lies whole in the input's buffer.
    pub(super) fn next(&mut self, input: &mut impl BufRead, problems: &mut Problems) -> Result<Next> {
        let available = input.fill_buf()?;
        let (consumed, next) = match parse(&mut self.parser, available) {
            Parsed::More(_) => return self.next_across(input, problems),
            Parsed::Done(consumed, next) => (consumed, next),
            Parsed::Oversized => return skip_oversized(&[], input, problems),
            Parsed::Failed(error) => return Err(error),
        };
        input.consume(consumed);
        Ok(next)
    }

    /// The same for a header that the input's buffer cuts.
    fn next_across(&mut self, input: &mut impl BufRead, problems: &mut Problems) -> Result<Next> {
        let mut header = Vec::new();
        let mut wanted = HEADER_SIZE;
        loop {
            let missing = wanted.saturating_sub(header.len()) as u64;
            let read = input.by_ref().take(missing).read_to_end(&mut header)?;
            if (read as u64) < missing {
                // Some tars end without the two blocks of zeros.
                if header.iter().all(|byte| *byte == 0) {
                    return Ok(Next::End);
                }
                return Err(corrupt("the tar ends in the middle of a header"));
            }
            match parse(&mut self.parser, &header) {
                Parsed::More(bytes) if bytes > header.len() => wanted = bytes,
                Parsed::More(_) => return Err(corrupt("the tar header makes no sense")),
                Parsed::Done(consumed, next) if consumed == header.len() => return Ok(next),
                // Two zero blocks and then some, or a header that needed less than it said.
                Parsed::Done(_, Next::End) => return Ok(Next::End),
                Parsed::Done(..) => return Err(corrupt("the tar header makes no sense")),
                Parsed::Oversized => return skip_oversized(&header, input, problems),
                Parsed::Failed(error) => return Err(error),
            }
        }
    }
}

/// Passes over an entry whose long name or pax records are larger than anything real: headers up to and with the entry
/// that they belong to. `head` was taken from the input already.
fn skip_oversized(mut head: &[u8], input: &mut impl BufRead, problems: &mut Problems) -> Result<Next> {
    problems.push(Problem::new(
        ProblemKind::LimitExceeded,
        format!("an entry has more than {METADATA} bytes of long names or extended headers"),
    ));
    loop {
        let mut block = [0; HEADER_SIZE];
        let (taken, rest) = head.split_at(head.len().min(HEADER_SIZE));
        if let Some(start) = block.get_mut(..taken.len()) {
            start.copy_from_slice(taken);
        }
        head = rest;
        input.read_exact(block.get_mut(taken.len()..).unwrap_or_default())?;
        let header = tar_core::Header::from_bytes(&block);
        let size = header.entry_size().map_err(|error| corrupt("the tar header is damaged").because(error))?;
        let padded = padded(size);
        let from_head = (head.len() as u64).min(padded);
        head = head.get(from_head as usize..).unwrap_or_default();
        skip(input, padded - from_head)?;
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

/// Passes over so many bytes.
///
/// # Errors
/// [`Kind::Corrupt`] where there are fewer.
pub(super) fn skip(input: &mut impl BufRead, mut bytes: u64) -> Result<()> {
    while bytes > 0 {
        let available = input.fill_buf()?.len();
        if available == 0 {
            return Err(corrupt("the tar ends in the middle of a file"));
        }
        let step = (available as u64).min(bytes);
        input.consume(step as usize);
        bytes -= step;
    }
    Ok(())
}

/// How many bytes the content of an entry takes with what fills its last block.
pub(super) fn padded(size: u64) -> u64 {
    size.checked_next_multiple_of(HEADER_SIZE as u64).unwrap_or(u64::MAX)
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

pub(super) fn corrupt(message: &'static str) -> Error {
    Error::new(Kind::Corrupt, message)
}
