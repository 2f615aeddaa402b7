//! Findings: an advisory that concerns a package of an image, and why.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::severity::Severity;

/// Whether the package is affected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Status {
    /// The version lies in an affected range.
    Affected,
    /// The version could not be compared; [`Evidence::event`] says why.
    Indeterminate,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Affected => "affected",
            Self::Indeterminate => "indeterminate",
        })
    }
}

/// Which record, range and event decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The id of the OSV record.
    pub record: String,
    /// The range, such as `ECOSYSTEM introduced 0, fixed 3.0.16-1~deb12u1`, or `versions`.
    pub range: String,
    /// The event, such as `fixed 3.0.16-1~deb12u1`, or why nothing could be compared.
    pub event: String,
}

/// One vulnerability of one package, all aliases in one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The CVE when there is exactly one, else the record's own id.
    pub id: String,
    /// All other ids of the same vulnerability, sorted.
    pub aliases: Vec<String>,
    /// What an advisory that bundles several vulnerabilities stands for, sorted.
    pub upstream: Vec<String>,
    /// The package URL of the package.
    pub package: String,
    /// The package, by its place in the inventory; a place that is none, where a report was read that lacks the package.
    #[serde(skip)]
    pub package_index: usize,
    /// Whether it is affected.
    pub status: Status,
    /// The versions in which it is fixed, the nearest first.
    pub fixed: Vec<String>,
    /// How bad it is, and who says so.
    pub severity: Severity,
    /// Why it is here.
    pub evidence: Evidence,
}

impl Finding {
    /// About how many bytes of memory it takes.
    pub(crate) fn memory(&self) -> usize {
        let Self { id, aliases, upstream, package, fixed, severity, evidence, .. } = self;
        let lists = [aliases, upstream, fixed].into_iter().flatten().map(|text| size_of::<String>() + text.len());
        let words = [&severity.vector, &severity.source].into_iter().flatten().map(String::len);
        let texts = [id, package, &evidence.record, &evidence.range, &evidence.event].map(String::len);
        size_of::<Self>() + lists.sum::<usize>() + words.sum::<usize>() + texts.iter().sum::<usize>()
    }

    /// The nearest version in which it is fixed, or a dash.
    pub fn fixed_in(&self) -> &str {
        self.fixed.first().map_or("-", String::as_str)
    }
}
