//! What is kept of a layer while it is read.

use super::again::Again;
use super::facts::{Gathered, LayerFacts};
use super::journal::JournalWriter;
use crate::error::Result;
use crate::model::problem::{Problem, ProblemKind, Problems};

/// The most bytes that catalogers note for second looks at one layer.
const NOTED: usize = 2 << 20;

/// A [`LayerFacts`] in the making.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) journal: JournalWriter,
    pub(super) facts: Gathered,
    pub(super) problems: Problems,
    again: Vec<Again>,
    /// The bytes of what is noted for second looks so far.
    noted: usize,
}

impl Kept {
    /// About how many bytes of memory it takes; there are never many problems.
    pub(super) fn memory(&self) -> usize {
        self.journal.memory() + self.facts.memory() + self.noted
    }

    /// Notes that a cataloger wants to see a file a second time.
    pub(super) fn look_again(&mut self, again: Again) {
        self.noted += again.memory();
        if self.noted > NOTED {
            let message = "more files of the layer want a second look than there is room for";
            self.problems.push(Problem::new(ProblemKind::LimitExceeded, message).at(again.shown));
        } else {
            self.again.push(again);
        }
    }

    /// # Errors
    /// As [`JournalWriter::finish`].
    pub(super) fn finish(self) -> Result<LayerFacts> {
        let Self { journal, facts, problems, again, .. } = self;
        Ok(LayerFacts { journal: journal.finish()?, facts: facts.finish(), problems: problems.finish(), again })
    }
}
