//! Problems: what could not be looked at, as data. They make partial success normal.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of thing a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// A limit was met; what lies beyond it was not read.
    LimitExceeded,
    /// A layer, or a database of packages, is damaged: what it says of others may be lost.
    Corrupt,
    /// Understood, and not read: a foreign layer, an encrypted one.
    Unsupported,
    /// Another platform than the host's was read, since the index has no other.
    OtherPlatform,
    /// There are no advisories for an ecosystem of the image.
    NoAdvisories,
    /// The advisories are older than they should be.
    StaleAdvisories,
    /// A file lies where one that describes a package, or those of an application, would, and is none: its own package manager does
    /// not take it for one either. Tests of packages bring such files along.
    Malformed,
    /// The last packages were not matched: there are more findings, or more advisories to compare with, than one image may have.
    Unmatched,
    /// Packages that no advisory can name: OSV has none for their kind, or they do not say their whole name.
    Nameless,
}

impl ProblemKind {
    /// The kind as the word in reports, such as `limit-exceeded`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LimitExceeded => "limit-exceeded",
            Self::Corrupt => "corrupt",
            Self::Unsupported => "unsupported",
            Self::OtherPlatform => "other-platform",
            Self::NoAdvisories => "no-advisories",
            Self::StaleAdvisories => "stale-advisories",
            Self::Malformed => "malformed",
            Self::Unmatched => "unmatched",
            Self::Nameless => "nameless",
        }
    }

    /// Whether a match with advisories finds it, and not the scan: the next match says it anew.
    pub fn is_of_a_match(self) -> bool {
        matches!(self, Self::NoAdvisories | Self::StaleAdvisories | Self::Unmatched | Self::Nameless)
    }

    /// Whether a problem of this kind means that something of the image was not looked at. What no database and no other scan would
    /// find either does not make it incomplete.
    pub fn is_incomplete(self) -> bool {
        !matches!(self, Self::OtherPlatform | Self::StaleAdvisories | Self::Malformed | Self::Nameless)
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that could not be looked at, or that the reader of a report should know.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// The layer, by its index from the base.
    pub layer: Option<u32>,
    /// The file.
    pub path: Option<String>,
    /// What kind of thing it is.
    pub kind: ProblemKind,
    /// One lower-case line.
    pub message: String,
}

impl Problem {
    /// A problem of the whole image.
    pub fn new(kind: ProblemKind, message: impl Into<String>) -> Self {
        Self { layer: None, path: None, kind, message: message.into() }
    }

    /// The bytes of memory that it takes.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.path.as_ref().map_or(0, String::len) + self.message.len()
    }

    /// The same problem, of one file.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }
}

/// Collects problems, at most [`Problems::EACH`] of a kind; the others are counted.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
    counts: BTreeMap<ProblemKind, u64>,
}

impl Problems {
    /// How many problems of one kind are kept.
    pub const EACH: u64 = 100;

    /// Takes one problem.
    pub fn push(&mut self, problem: Problem) {
        let count = self.counts.entry(problem.kind).or_default();
        *count += 1;
        if *count <= Self::EACH {
            self.list.push(problem);
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The problems, with one more for each kind of which some were only counted.
    pub fn finish(self) -> Vec<Problem> {
        let mut list = self.list;
        for (kind, count) in self.counts {
            if count > Self::EACH {
                list.push(Problem::new(
                    kind,
                    format!("{} more problems of this kind are not shown", count - Self::EACH),
                ));
            }
        }
        list
    }
}
