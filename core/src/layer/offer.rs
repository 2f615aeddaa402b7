//! A file of a layer on its way to the catalogers that want it.

use std::io::{self, BufRead, Read};

use super::again::Again;
use super::buffered;
use super::cataloger::{self, Content, File, Surroundings};
use super::facts::LayerFacts;
use super::headers::{Header, corrupt};
use super::interest::Take;
use super::kept::Kept;
use super::walk::Reading;
use crate::error::Result;
use crate::model::problem::{Problem, ProblemKind};

/// One cataloger that wants a file.
pub(super) struct Taker {
    cataloger: u16,
    take: Take,
    /// What its facts are kept under: the entry, or the place in the list of a second look.
    entry: u32,
    shown: String,
    note: Option<Vec<u8>>,
}

/// Finds the takers of a file, with buffers that live as long as the walk.
#[derive(Default)]
pub(super) struct Takers {
    matches: Vec<usize>,
    found: Vec<(u16, Take)>,
}

impl Takers {
    pub(super) fn of(
        &mut self,
        reading: &Reading<'_>,
        header: &Header,
        shown: &str,
        head: &[u8],
        entry: u32,
    ) -> Vec<Taker> {
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
pub(super) struct Offer<'a> {
    pub(super) reading: &'a Reading<'a>,
    pub(super) header: &'a Header,
    /// The place in the journal.
    pub(super) position: u32,
    pub(super) kept: &'a mut Kept,
}

impl Offer<'_> {
    /// Lets each of them read it, and keeps what they make of it.
    ///
    /// # Errors
    /// What ends the reading from outside.
    pub(super) fn to(self, takers: &[Taker], content: &mut dyn BufRead, buffer: &mut Vec<u8>) -> Result<()> {
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
                    self.kept.problems.push(Problem::new(ProblemKind::LimitExceeded, message).at(&taker.shown));
                    continue;
                }
            };
            let mut problems = Vec::new();
            let surroundings =
                Surroundings { is_wanted: &is_wanted, limits: self.reading.limits, note: taker.note.as_deref() };
            let mut file = File::new(&taker.shown, self.header.mode, size, bytes, surroundings, &mut problems);
            let result = cataloger.read(&mut file);
            if let Some(note) = file.into_again() {
                let (shown, note) = (taker.shown.clone(), Some(note));
                self.kept.look_again(Again { entry: self.position, cataloger: taker.cataloger, shown, note });
            }
            problems.into_iter().for_each(|problem| self.kept.problems.push(problem));
            match result {
                Ok(Some(facts)) => {
                    if self.kept.facts.memory() + facts.memory() > LayerFacts::MAX {
                        let message = format!("the layer has more than {} MiB of packages", LayerFacts::MAX >> 20);
                        self.kept.problems.push(Problem::new(ProblemKind::LimitExceeded, message).at(&taker.shown));
                        continue;
                    }
                    self.kept.facts.push(taker.entry, taker.cataloger, facts.as_bytes());
                }
                Ok(None) => {}
                Err(error) => self.kept.problems.push(cataloger::problem_of(error)?.at(&taker.shown)),
            }
        }
        Ok(())
    }
}

/// The content of one entry, without what follows it.
pub(super) struct EntryContent<'a, R> {
    pub(super) input: &'a mut R,
    pub(super) left: u64,
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

/// Fills `output` as far as there is something; how far that is.
pub(super) fn read_up_to(input: &mut impl Read, output: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = output.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}
