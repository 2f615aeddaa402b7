//! Severities: a rating that people know, and where it comes from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

/// How bad a finding is, from the worst. `Unknown` is least: it never meets a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rating {
    /// Nobody has said.
    #[default]
    Unknown,
    /// A score of 0.
    None,
    /// The distribution does not think that it matters.
    Negligible,
    /// A score from 0.1.
    Low,
    /// A score from 4.0.
    Medium,
    /// A score from 7.0.
    High,
    /// A score from 9.0.
    Critical,
}

impl Rating {
    /// Every rating, the worst first.
    pub const ALL: &'static [Self] =
        &[Self::Critical, Self::High, Self::Medium, Self::Low, Self::Negligible, Self::None, Self::Unknown];

    /// The rating of a CVSS score (CVSS 3.1, section 5; the same bands for 2.0 and 4.0).
    pub fn of_score(score: f64) -> Self {
        match score {
            score if score >= 9.0 => Self::Critical,
            score if score >= 7.0 => Self::High,
            score if score >= 4.0 => Self::Medium,
            score if score > 0.0 => Self::Low,
            _ => Self::None,
        }
    }

    /// The rating as one lower-case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Negligible => "negligible",
            Self::None => "none",
            Self::Unknown => "unknown",
        }
    }

    /// Whether this is at least as bad as `limit`; `Unknown` never is.
    pub fn meets(self, limit: Self) -> bool {
        self != Self::Unknown && self >= limit
    }
}

impl fmt::Display for Rating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Rating {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|rating| rating.as_str() == text).ok_or_else(|| {
            Error::new(Kind::InvalidInput, "there is no such severity")
                .with("severity", text.escape_debug())
                .with_hint("critical, high, medium, low, negligible, none or unknown")
        })
    }
}

/// A rating with the score, the vector and the source that it comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Severity {
    /// The rating.
    pub rating: Rating,
    /// The CVSS base score, where there is one.
    pub score: Option<f64>,
    /// The CVSS vector, or the distribution's own word.
    pub vector: Option<String>,
    /// Who said so: the advisory's ecosystem or database, such as `Debian:12`.
    pub source: Option<String>,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rating.fmt(f)
    }
}
