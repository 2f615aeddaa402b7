//! One pass over the tar of a layer: every entry into the journal, wanted files to the catalogers.
//!
//! Whiteouts are as in the OCI image specification, `layer.md`.

use std::io::{self, BufRead, Read as _};
use std::sync::Arc;

use super::again::Again;
use super::cataloger::Cataloger;
use super::facts::LayerFacts;
use super::headers::{Header, Headers, Next, padded, skip};
use super::interest::{InterestTable, MAGIC};
use super::journal::EntryKind;
use super::kept::Kept;
use super::offer::{EntryContent, Offer, Takers, read_up_to};
use crate::error::{Error, Kind, Result};
use crate::model::limits::Limits;
use crate::model::path;
use crate::model::problem::{Problem, ProblemKind};

/// After how many bytes it is asked whether there is room for more.
const STEP: usize = 128 << 10;

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
    let (takers, kept) = (Takers::default(), Kept::default());
    let mut walk = Walk { input, reading, buffer, takers, kept, entries: 0, position: 0, asked: 0 };
    let damage = match walk.run() {
        Ok(()) => None,
        Err(Early::Damage(problem)) => Some(problem),
        Err(Early::TooMuch) => return Ok(Walked::TooMuch),
        Err(Early::Stopped(stopped)) => return Err(stopped),
    };
    let is_whole = damage.is_none();
    damage.into_iter().for_each(|problem| walk.kept.problems.push(problem));
    let facts = walk.kept.finish()?;
    match (reading.space)(facts.memory()) {
        Space::Granted if is_whole => Ok(Walked::Whole(facts)),
        Space::Granted => Ok(Walked::Damaged(facts)),
        Space::Full => Ok(Walked::TooMuch),
        Space::Later => Err(Stopped::NoRoomNow),
    }
}

struct Walk<'a, R> {
    input: R,
    reading: &'a Reading<'a>,
    buffer: &'a mut Vec<u8>,
    takers: Takers,
    kept: Kept,
    entries: u64,
    /// The place in the journal of the next entry.
    position: u32,
    /// The bytes for which there was room when that was asked last.
    asked: usize,
}

impl<R: BufRead> Walk<'_, R> {
    fn run(&mut self) -> Result<(), Early> {
        let mut headers = Headers::new();
        loop {
            let next = headers.next(&mut self.input, &mut self.kept.problems)?;
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
            let all = self.kept.memory();
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

    /// Writes the entry into the journal and hands the file to whoever wants it.
    fn entry(&mut self, mut header: Header) -> Result<()> {
        let padded = padded(header.size);
        let limit = self.reading.limits.path;
        if header.path.len() as u64 > limit || header.target.len() as u64 > limit {
            let shown = path::show(header.path.get(..200).unwrap_or(&header.path)).into_owned();
            self.kept.problems.push(
                Problem::new(ProblemKind::LimitExceeded, format!("a path is longer than {limit} bytes")).at(shown),
            );
            return skip(&mut self.input, padded);
        }
        header.path = path::clean(&header.path);
        let (directory, name) = path::split(&header.path);
        if name == b".wh..wh..opq" {
            (header.kind, header.path) = (EntryKind::Opaque, directory.to_vec());
        } else if let Some(gone) = name.strip_prefix(b".wh.") {
            // `.wh..wh.` is aufs' own bookkeeping.
            if gone.is_empty() || gone.starts_with(b".wh.") {
                return skip(&mut self.input, padded);
            }
            let separator: &[u8] = if directory.is_empty() { b"" } else { b"/" };
            (header.kind, header.path) = (EntryKind::Whiteout, [directory, separator, gone].concat());
        } else if header.kind == EntryKind::Hardlink {
            header.target = path::clean(&header.target);
        }
        let special = (header.mode >> 9 & 7) as u8;
        if self.reading.again.is_none()
            && !self.kept.journal.push(header.kind, &header.path, &header.target, special)?
        {
            return Err(full("the list of the layer's entries is too long".to_owned()));
        }
        let entry = self.position;
        self.position += 1;
        if header.kind == EntryKind::File && header.is_regular {
            self.file(&header, entry)
        } else {
            skip(&mut self.input, padded)
        }
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
                self.kept.problems.push(Problem::new(ProblemKind::Unsupported, "a sparse file is not read").at(shown));
            } else {
                let mut content = io::Cursor::new(head).chain(&mut content);
                let offer = Offer { reading: self.reading, header, position: entry, kept: &mut self.kept };
                offer.to(&takers, &mut content, self.buffer)?;
            }
        }
        let left = content.left + (padded(header.size) - header.size);
        skip(&mut self.input, left)
    }
}

fn full(message: String) -> Error {
    Error::new(Kind::LimitExceeded, message)
}
