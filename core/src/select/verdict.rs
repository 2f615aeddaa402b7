//! What happens with an image, and why: one of a fixed list of words.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::digest::Digest;
use crate::model::record::ImageRecord;

/// What happens with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is pulled and scanned.
    Scan,
    /// Its stored inventory is held against today's advisories.
    Rematch,
    /// Nothing.
    Skip,
}

impl Verdict {
    /// The verdict as one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Rematch => "rematch",
            Self::Skip => "skip",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// Scan: it was not seen before.
    New,
    /// Scan: it was tried before, without success.
    FailedBefore,
    /// Rematch: all are asked for.
    Forced,
    /// Skip: it is scanned already.
    Known,
    /// Skip: the repository is not meant.
    Repository,
    /// Skip: none of its tags is meant.
    Tag,
    /// Skip: it does not meet the criteria of the user's own in AQL.
    Criteria,
    /// Skip: its date is outside the date filter.
    Date,
    /// Skip: its date is not known, and the policy leaves such images out.
    Undated,
    /// Skip: the repository has enough newer ones.
    Newest,
    /// Skip: the limit on all matches was met before.
    Cap,
    /// Skip: it has none of the platforms.
    Platform,
    /// Skip: it is something else that lies in a registry, such as a chart, or what hangs on an image under a tag of its own: a signature,
    /// an attestation, an SBOM. Whoever names such a tag in full means it.
    NotAnImage,
}

impl Reason {
    /// Every reason.
    pub const ALL: &'static [Self] = &[
        Self::New,
        Self::FailedBefore,
        Self::Forced,
        Self::Known,
        Self::Repository,
        Self::Tag,
        Self::Criteria,
        Self::Date,
        Self::Undated,
        Self::Newest,
        Self::Cap,
        Self::Platform,
        Self::NotAnImage,
    ];

    /// The reason as the word in JSON, such as `failed-before`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::FailedBefore => "failed-before",
            Self::Forced => "forced",
            Self::Known => "known",
            Self::Repository => "repository",
            Self::Tag => "tag",
            Self::Criteria => "criteria",
            Self::Date => "date",
            Self::Undated => "undated",
            Self::Newest => "newest",
            Self::Cap => "cap",
            Self::Platform => "platform",
            Self::NotAnImage => "not-an-image",
        }
    }

    /// The verdict that it explains.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::New | Self::FailedBefore => Verdict::Scan,
            Self::Forced => Verdict::Rematch,
            _ => Verdict::Skip,
        }
    }

    /// Whether the selection means the image, whatever is known of it already.
    pub fn is_match(self) -> bool {
        matches!(self, Self::New | Self::FailedBefore | Self::Forced | Self::Known)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the reader should know about how a date filter came to its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    /// The registry has no push date: the build date decided.
    ByBuildDate,
    /// No date that can be true is known: the image is kept, so that it does not go unscanned.
    NoDate,
}

/// One image of a listing, with what happens and why. As JSON a line of `explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The image. Where tags are filtered and it is meant, it has those that are meant.
    #[serde(flatten)]
    pub record: ImageRecord,
    /// What happens.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// What the date filter could not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<Note>,
}

impl Decision {
    /// Says otherwise: `reason`, and the verdict that goes with it.
    pub fn change(&mut self, reason: Reason) {
        self.verdict = reason.verdict();
        self.reason = reason;
    }
}

/// What was found out about images that their records do not say. The default is nothing.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// Those that do not meet the criteria in AQL, which their connector evaluated.
    pub criteria: BTreeSet<Digest>,
    /// Those that have none of the platforms.
    pub platforms: BTreeSet<Digest>,
}

/// What came of an earlier try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It is scanned.
    Scanned,
    /// It failed.
    Failed,
    /// It turned out to be no image.
    NotAnImage,
    /// It has none of the platforms.
    NoPlatform,
}

/// What is known already of the images of one repository. The default is nothing: every match is new.
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    outcomes: HashMap<Digest, Outcome>,
    forced: bool,
}

impl Baseline {
    /// The same, for a run that looks at all images again.
    #[must_use]
    pub fn forced(self) -> Self {
        Self { forced: true, ..self }
    }

    /// Why an image that is meant is scanned, matched again, or left alone.
    pub fn reason(&self, digest: &Digest) -> Reason {
        match self.outcomes.get(digest) {
            None => Reason::New,
            Some(Outcome::Failed) => Reason::FailedBefore,
            Some(Outcome::NotAnImage) => Reason::NotAnImage,
            Some(Outcome::NoPlatform) => Reason::Platform,
            Some(Outcome::Scanned) if self.forced => Reason::Forced,
            Some(Outcome::Scanned) => Reason::Known,
        }
    }
}

impl FromIterator<(Digest, Outcome)> for Baseline {
    fn from_iter<T: IntoIterator<Item = (Digest, Outcome)>>(outcomes: T) -> Self {
        Self { outcomes: outcomes.into_iter().collect(), forced: false }
    }
}
