//! Facts that are written and read record by record: the packages of a status file, the paths of a file list.

use serde::{Deserialize, Serialize};

use super::cataloger::{Facts, File, VisibleFile};
use crate::error::{Error, Kind, Result};
use crate::model::problem::{Problem, ProblemKind};

/// The facts of one file as a row of records, encoded as they come: a file of any size takes no more than what is kept of it.
///
/// What lies beyond [`Records::COUNT`] records or [`Records::BYTES`] bytes is only counted.
#[derive(Default)]
pub struct Records {
    bytes: Vec<u8>,
    count: usize,
    refused: u64,
}

impl Records {
    /// The most records of one file.
    pub const COUNT: usize = 400_000;
    /// The most bytes of one file, encoded.
    pub const BYTES: usize = 5 << 20;

    /// No records yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one record.
    ///
    /// # Errors
    /// [`Kind::Internal`] for a record that cannot be encoded.
    pub fn push(&mut self, record: &impl Serialize) -> Result<()> {
        let full = self.bytes.len();
        if self.count >= Self::COUNT || full >= Self::BYTES {
            self.refused += 1;
            return Ok(());
        }
        self.bytes = postcard::to_extend(record, std::mem::take(&mut self.bytes))
            .map_err(|error| Error::new(Kind::Internal, "facts cannot be encoded").because(error))?;
        self.count += 1;
        Ok(())
    }

    /// The facts; none where nothing was kept. Records that were turned away become a problem of `file`.
    pub fn finish(self, file: &mut File<'_>) -> Option<Facts> {
        if self.refused > 0 {
            let message = format!(
                "{} of {} records are beyond the limit of one file",
                self.refused,
                self.refused + self.count as u64
            );
            file.problem(Problem::new(ProblemKind::LimitExceeded, message));
        }
        (self.count > 0).then(|| Facts::of_bytes(self.bytes))
    }
}

impl VisibleFile {
    /// The records that [`Records`] wrote, one at a time and without a copy. An error ends them.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] for stored facts of another cataloger or version.
    pub fn records<'a, T: Deserialize<'a>>(&'a self) -> impl Iterator<Item = Result<T>> + use<'a, T> {
        let mut rest = self.facts.as_bytes();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            Some(match postcard::take_from_bytes(rest) {
                Ok((record, after)) if after.len() < rest.len() => {
                    rest = after;
                    Ok(record)
                }
                Ok(_) | Err(_) => {
                    rest = &[];
                    Err(Error::new(Kind::Corrupt, "stored facts cannot be decoded").with("path", self.path()))
                }
            })
        })
    }
}
