//! Decides about the images of a repository: what happens with each, and why.

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

use jiff::Timestamp;

use super::aql;
use super::attached;
use super::cap::Cap;
use super::near::Near;
use super::pattern::{Pattern, Patterns};
use super::pushed::{Pushed, Window};
use super::selection::{Undated, Wanted};
use super::verdict::{Baseline, Decision, Note, Outside, Reason, Verdict};
use crate::error::Result;
use crate::model::digest::Digest;
use crate::model::media_type::{DOCKER_CONFIG, MANIFESTS, OCI_CONFIG, SCHEMA_1, SCHEMA_1_SIGNED};
use crate::model::record::{ImageDate, ImageRecord};
use crate::model::zone::Zone;

/// A [selection](super::Selection) made ready for a registry.
#[derive(Clone, Debug)]
pub struct Selector {
    pub(super) repositories: Patterns,
    pub(super) tags: Patterns,
    pub(super) pushed: Pushed,
    pub(super) zone: Zone,
    pub(super) undated: Undated,
    pub(super) newest: Option<NonZeroU64>,
    pub(super) cap: Option<NonZeroU64>,
    pub(super) aql: Option<aql::Query>,
    pub(super) platforms: Wanted,
}

/// What the filters say about an image, before limits and baseline.
struct Candidate {
    record: ImageRecord,
    /// Why it is not meant; none where it is.
    against: Option<Reason>,
    note: Option<Note>,
}

impl Selector {
    /// The patterns of repositories, as the registry names them.
    pub fn repositories(&self) -> &Patterns {
        &self.repositories
    }

    /// The patterns of tags.
    pub fn tags(&self) -> &Patterns {
        &self.tags
    }

    /// The platforms that are meant.
    pub fn platforms(&self) -> &Wanted {
        &self.platforms
    }

    /// The criteria of the user's own, which the connector evaluates over what it lists. They are about files of an Artifactory:
    /// elsewhere there is nothing to hold them against, and a selection that has any is refused.
    pub fn aql(&self) -> Option<&aql::Query> {
        self.aql.as_ref()
    }

    /// The date filter at `now`, for a registry that can apply it itself. What a registry filters is decided here again.
    ///
    /// # Errors
    /// As [`Pushed::window`].
    pub fn window(&self, now: Timestamp) -> Result<Window> {
        self.pushed.window(&self.zone, now)
    }

    /// Whether dates count at all: where they do not, a connector need not look for them, unless the newest are wanted.
    pub fn has_date_filter(&self) -> bool {
        !self.pushed.is_all()
    }

    /// Whether the dates of images decide about anything: a filter, or which are the newest.
    pub fn needs_dates(&self) -> bool {
        self.has_date_filter() || self.newest.is_some()
    }

    /// Counts the matches of this run against the limit on all of them.
    pub fn count(&self) -> Cap {
        Cap::new(self.cap.map(NonZeroU64::get))
    }

    /// Collects the names that come near, for a selection that matches none.
    pub fn near(&self) -> Near {
        Near::new(&self.repositories)
    }

    /// Decides about all images of one repository at once, since limits need all. Several records of one digest, each with its
    /// tags and date, become one. The answers come the newest first, undated ones before; ties in the order of tags.
    ///
    /// `baseline` is what is known of them already, `now` the time of the run.
    ///
    /// # Errors
    /// As [`Selector::window`].
    pub fn decide(&self, records: Vec<ImageRecord>, baseline: &Baseline, now: Timestamp) -> Result<Vec<Decision>> {
        self.decide_with(records, &Outside::default(), baseline, now)
    }

    /// The same, with what was found out about the images that their records do not say.
    ///
    /// # Errors
    /// As [`Selector::window`].
    pub fn decide_with(
        &self,
        records: Vec<ImageRecord>,
        outside: &Outside,
        baseline: &Baseline,
        now: Timestamp,
    ) -> Result<Vec<Decision>> {
        let window = self.window(now)?;
        let mut candidates = BTreeMap::<Digest, Candidate>::new();
        for record in records {
            let found = self.filter(record, window, now);
            match candidates.entry(found.record.digest.clone()) {
                Entry::Vacant(entry) => {
                    entry.insert(found);
                }
                Entry::Occupied(mut entry) => entry.get_mut().merge(found),
            }
        }
        let mut candidates: Vec<_> = candidates.into_values().map(|candidate| candidate.outside(outside)).collect();
        candidates.sort_by(|a, b| newest_first(&a.record).cmp(&newest_first(&b.record)));
        let mut left = self.newest.map_or(u64::MAX, NonZeroU64::get);
        let decide = |candidate: Candidate| {
            let reason = match candidate.against {
                Some(reason) => reason,
                None => match baseline.reason(&candidate.record.digest) {
                    // What turned out not to be meant takes nobody's place.
                    reason if !reason.is_match() => reason,
                    _ if left == 0 => Reason::Newest,
                    reason => {
                        left -= 1;
                        reason
                    }
                },
            };
            let note = candidate.note.filter(|_| reason.verdict() != Verdict::Skip || reason == Reason::Date);
            Decision { record: candidate.record, verdict: reason.verdict(), reason, note }
        };
        Ok(candidates.into_iter().map(decide).collect())
    }

    /// Whether the filters mean an image, before limits and baseline, and before what is found [outside](Outside) of its record.
    ///
    /// # Errors
    /// As [`Selector::window`].
    pub fn means(&self, record: &ImageRecord, now: Timestamp) -> Result<bool> {
        Ok(self.filter(record.clone(), self.window(now)?, now).against.is_none())
    }

    fn filter(&self, mut record: ImageRecord, window: Window, now: Timestamp) -> Candidate {
        let (against, note) = if !self.is_image(&record) {
            (Some(Reason::NotAnImage), None)
        } else if !self.repositories.matches(&record.repository) {
            (Some(Reason::Repository), None)
        } else if !self.has_a_tag(&record) {
            (Some(Reason::Tag), None)
        } else {
            self.filter_date(&record.date, window, now)
        };
        if against.is_none() {
            record.tags.retain(|tag| self.tags.matches(tag));
        }
        Candidate { record, against, note }
    }

    /// Whether a record is of an image, as far as its media type and its tags say. A tag that is asked for by its name is taken for one.
    pub fn is_image(&self, record: &ImageRecord) -> bool {
        let is_named = |tag: &String| self.tags.include.iter().any(|pattern| pattern.literal() == Some(tag));
        is_image(&record.media_type) && (!attached::is_attached(record) || record.tags.iter().any(is_named))
    }

    /// Whether one of its tags is meant. An image without any is, unless only certain tags are, or none.
    fn has_a_tag(&self, record: &ImageRecord) -> bool {
        if record.tags.is_empty() {
            let all = |patterns: &[Pattern]| patterns.iter().any(Pattern::is_all);
            return (self.tags.include.is_empty() || all(&self.tags.include)) && !all(&self.tags.exclude);
        }
        record.tags.iter().any(|tag| self.tags.matches(tag))
    }

    fn filter_date(&self, date: &ImageDate, window: Window, now: Timestamp) -> (Option<Reason>, Option<Note>) {
        if !self.has_date_filter() {
            return (None, None);
        }
        let outside = |time| (!window.contains(time, now)).then_some(Reason::Date);
        match (date.known(), self.undated) {
            (Some(time), _) if date.is_of_the_registry() => (outside(time), None),
            (_, Undated::Exclude) => (Some(Reason::Undated), None),
            (Some(time), Undated::Built) => (outside(time), Some(Note::ByBuildDate)),
            (Some(_), Undated::Include) | (None, _) => (None, Some(Note::NoDate)),
        }
    }
}

impl Candidate {
    fn outside(mut self, outside: &Outside) -> Self {
        let is_in = |digests: &BTreeSet<Digest>| digests.contains(&self.record.digest);
        let found = match () {
            () if is_in(&outside.criteria) => Some(Reason::Criteria),
            () if is_in(&outside.platforms) => Some(Reason::Platform),
            () => None,
        };
        self.against = self.against.or(found);
        self
    }

    /// Takes another record of the same digest.
    fn merge(&mut self, other: Self) {
        // What is meant wins; of two that are not, the one that came further in the order of the filters.
        let progress = |against: Option<Reason>| against.map_or((true, None), |reason| (false, Some(reason)));
        let (ours, theirs) = (progress(self.against), progress(other.against));
        if ours.0 != theirs.0 {
            if theirs.0 {
                *self = other;
            }
            return;
        }
        if theirs.1 > ours.1 {
            (self.against, self.note) = (other.against, other.note);
        }
        self.record.tags.extend(other.record.tags);
        self.record.tags.sort_unstable();
        self.record.tags.dedup();
        if other.record.date.tells_more_than(&self.record.date) {
            (self.record.date, self.note) = (other.record.date, other.note);
        }
        self.record.size = self.record.size.or(other.record.size);
    }
}

/// What the order of a repository is: undated, then the newest; ties by tag, then by digest.
fn newest_first(record: &ImageRecord) -> (bool, Reverse<Option<Timestamp>>, &[String], &Digest) {
    let time = record.date.known();
    (time.is_some(), Reverse(time), &record.tags, &record.digest)
}

/// Whether a media type is that of a manifest or an index, or not known. Anything else that a registry lists, such as a chart, is
/// no image.
fn is_image(media_type: &str) -> bool {
    MANIFESTS.contains(&media_type)
        // Old, and an image all the same: reading it says what is wrong with it.
        || matches!(media_type, "" | SCHEMA_1 | SCHEMA_1_SIGNED)
        // What some registries tell instead: the type of the configuration.
        || matches!(media_type, OCI_CONFIG | DOCKER_CONFIG)
}

#[cfg(test)]
mod tests;
