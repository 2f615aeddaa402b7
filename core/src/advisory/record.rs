//! What the database holds: records, and the rows that say which package each of them concerns.

use serde::{Deserialize, Serialize};

/// Where a record lies in the database. Good for the [`Advisories`](super::Advisories) that gave it, and for no other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RecordId(pub(crate) u64);

/// An OSV record without its packages, text and links (OSV schema 1.7).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its own id, such as `DSA-5417-1`.
    pub id: String,
    /// Other ids of the same vulnerability.
    pub aliases: Vec<String>,
    /// The vulnerabilities that it stands for.
    pub upstream: Vec<String>,
    /// What it has to do with, and is not.
    pub related: Vec<String>,
    /// Since when it does not hold any more (RFC 3339).
    pub withdrawn: Option<String>,
    /// When it was changed last (RFC 3339).
    pub modified: String,
    /// How bad it is for every package.
    pub scores: Vec<Score>,
    /// The word of its database, such as GitHub's `MODERATE`.
    pub word: Option<String>,
    /// One line.
    pub summary: String,
}

/// A severity as OSV writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    /// The type, such as `CVSS_V3` or `Ubuntu`.
    pub kind: String,
    /// The vector or the word.
    pub value: String,
}

/// What one record says of one package: one entry of its `affected`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affected {
    /// The record.
    pub record: RecordId,
    /// The release of the ecosystem, such as `12` of `Debian:12`; empty when it concerns all.
    pub release: String,
    /// The ranges that can be evaluated. Ranges of commits are not kept.
    pub ranges: Vec<Range>,
    /// Versions by name. Not kept for a distribution that gives ranges as well: such lists go stale.
    pub versions: Vec<String>,
    /// How bad it is for this package.
    pub scores: Vec<Score>,
    /// The word of its ecosystem, such as Debian's `unimportant`.
    pub word: Option<String>,
}

impl Affected {
    /// The versions in which its ranges are fixed.
    pub(crate) fn fixes(&self) -> impl Iterator<Item = &str> {
        let events = self.ranges.iter().flat_map(|range| &range.events);
        events.filter_map(|event| if let Event::Fixed(version) = event { Some(version.as_str()) } else { None })
    }
}

/// How the versions of a range compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RangeKind {
    /// As the ecosystem orders them.
    Ecosystem,
    /// As Semantic Versioning 2.0 orders them.
    Semver,
}

impl RangeKind {
    /// The type as OSV writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ecosystem => "ECOSYSTEM",
            Self::Semver => "SEMVER",
        }
    }
}

/// A range of versions: events in any order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// How its versions compare.
    pub kind: RangeKind,
    /// Its events, in the order of the record.
    pub events: Vec<Event>,
}

/// A point where being affected begins or ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Event {
    /// Affected from this version on; `0` is before all versions.
    Introduced(String),
    /// Not affected from this version on.
    Fixed(String),
    /// Not affected after this version.
    LastAffected(String),
    /// Nothing is said from this version on; `*` is no limit.
    Limit(String),
}

impl Event {
    /// The version.
    pub fn version(&self) -> &str {
        match self {
            Self::Introduced(version) | Self::Fixed(version) | Self::LastAffected(version) | Self::Limit(version) => {
                version
            }
        }
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = match self {
            Self::Introduced(_) => "introduced",
            Self::Fixed(_) => "fixed",
            Self::LastAffected(_) => "last_affected",
            Self::Limit(_) => "limit",
        };
        write!(f, "{word} {}", self.version())
    }
}
