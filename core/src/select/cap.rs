//! The limit on all matches of a run, and how it tells that it was met.

use super::verdict::{Decision, Reason};

/// Counts the matches of repository after repository, and skips those beyond the limit.
#[derive(Clone, Debug)]
pub struct Cap {
    limit: Option<u64>,
    taken: u64,
    beyond: u64,
}

impl Cap {
    /// At most `limit` matches; without one, all.
    pub fn new(limit: Option<u64>) -> Self {
        Self { limit, taken: 0, beyond: 0 }
    }

    /// Takes the decisions of the next repository. Images that are known already are matches too: a limit says how many images
    /// are looked after, not how many are new.
    pub fn apply(&mut self, decisions: &mut [Decision]) {
        for decision in decisions.iter_mut().filter(|decision| decision.reason.is_match()) {
            if self.is_full() {
                self.beyond += 1;
                decision.change(Reason::Cap);
            } else {
                self.taken += 1;
            }
        }
    }

    /// Whether no further match is taken: what is left of a registry needs no listing, unless all are to be explained.
    pub fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.taken >= limit)
    }

    /// Where the result was cut: `Some(N)` after at least one match did not fit.
    pub fn truncated(&self) -> Option<u64> {
        self.limit.filter(|_| self.beyond > 0)
    }
}
