//! A run of a job: its state, what it was asked for, and what came of it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};
use crate::model::digest::Digest;
use crate::model::severity::Rating;
use crate::select::Reason;

/// Where a run stands. The state of a job is that of its latest run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum State {
    /// It waits for somebody to begin with it.
    Queued,
    /// Images are listed or looked at.
    Running,
    /// Everything that could be looked at was. Single images may have failed, and single repositories may not have been listed.
    Finished,
    /// Somebody canceled it; what was finished is kept.
    Canceled,
    /// The registry could not be listed, nor any repository of it.
    Error,
}

impl State {
    /// Every state.
    pub const ALL: &'static [Self] = &[Self::Queued, Self::Running, Self::Finished, Self::Canceled, Self::Error];

    /// The state as the word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "Queued",
            Self::Running => "Running",
            Self::Finished => "Finished",
            Self::Canceled => "Canceled",
            Self::Error => "Error",
        }
    }

    /// Whether there is still something to do.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for State {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.iter().copied().find(|state| state.as_str() == text).ok_or_else(|| {
            Error::new(Kind::InvalidInput, "there is no such state of a run").with("state", text.escape_debug())
        })
    }
}

/// What a run is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunOptions {
    /// Whether all images that are selected are taken again: those that are known are held against today's advisories.
    pub scan_all: bool,
    /// With `scan_all`: whether they are pulled again too.
    pub pull: bool,
}

/// A run as the store has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// Its number.
    pub run: i64,
    /// The job.
    pub job: String,
    /// The registry of the job when the run began.
    pub registry: String,
    /// Where it stands.
    pub state: State,
    /// What was asked for.
    #[serde(flatten)]
    pub options: RunOptions,
    /// Whether all images to look at are known.
    pub planned: bool,
    /// When it was asked for.
    pub queued: Timestamp,
    /// When somebody began.
    pub began: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Why the registry could not be listed, or parts of it.
    pub error: Option<String>,
}

/// What came of a run so far.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Its number.
    pub run: i64,
    /// The job.
    pub job: String,
    /// Where it stands.
    pub state: State,
    /// Images that were listed, by digest and repository.
    pub listed: u64,
    /// Those that the selection means, whatever is known of them.
    pub selected: u64,
    /// Those that were pulled and scanned.
    pub scanned: u64,
    /// Those that were not pulled: their stored inventory was held against today's advisories, where there are any (see `unmatched`).
    pub rematched: u64,
    /// Those that were left alone, by reason.
    pub skipped: BTreeMap<Reason, u64>,
    /// Those that could not be scanned.
    pub failed: Vec<Failed>,
    /// Those of the scanned and the matched ones of which not everything could be looked at, or matched.
    pub incomplete: u64,
    /// Those for which there was no advisory database at all: findings that they had before stay, and no other was looked for.
    pub unmatched: u64,
    /// Those that still wait.
    pub waiting: u64,
    /// Bytes of blobs that were fetched.
    pub bytes_fetched: u64,
    /// Layers that were fetched.
    pub layers_fetched: u64,
    /// Layers whose result was known.
    pub layers_from_store: u64,
    /// Findings of the images of this run, by rating.
    pub findings: BTreeMap<Rating, u64>,
    /// Findings that were not there before.
    pub new_findings: u64,
    /// Findings that are gone.
    pub fixed_findings: u64,
    /// Why the registry could not be listed, or parts of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// An image that could not be scanned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// The repository.
    pub repository: String,
    /// The digest.
    pub digest: Digest,
    /// Why, one line.
    pub error: String,
}

/// What one image cost and brought. Sums of it make a [`Summary`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Bytes of blobs that were fetched.
    pub bytes_fetched: u64,
    /// Layers that were fetched.
    pub layers_fetched: u64,
    /// Layers whose result was known.
    pub layers_from_store: u64,
    /// Findings by rating.
    pub findings: BTreeMap<Rating, u64>,
    /// Findings that were not there before.
    pub new_findings: u64,
    /// Findings that are gone.
    pub fixed_findings: u64,
    /// Reports of which not everything could be looked at, or matched.
    #[serde(default)]
    pub incomplete: u64,
    /// Reports for which there was no advisory database.
    #[serde(default)]
    pub unmatched: u64,
}

impl Cost {
    /// Adds what another image cost.
    pub fn add(&mut self, other: &Self) {
        self.bytes_fetched += other.bytes_fetched;
        self.layers_fetched += other.layers_fetched;
        self.layers_from_store += other.layers_from_store;
        self.new_findings += other.new_findings;
        self.fixed_findings += other.fixed_findings;
        self.incomplete += other.incomplete;
        self.unmatched += other.unmatched;
        for (rating, count) in &other.findings {
            *self.findings.entry(*rating).or_default() += count;
        }
    }
}
