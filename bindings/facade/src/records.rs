//! What the operations on advisories answer: flat records, the same in every language.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use tidewaiter::advisory::ImportSummary;
use tidewaiter::model::report::EcosystemProvenance;

/// The advisory database of a scanner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AdvisoryStatus {
    /// The file; none without a home folder.
    pub file: Option<PathBuf>,
    /// When it was built (RFC 3339); none where there is no such file yet.
    pub built: Option<String>,
    /// What it holds, by ecosystem without release.
    pub ecosystems: BTreeMap<String, EcosystemProvenance>,
}

/// What an import or an update brought.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// What was brought, by ecosystem without release. The others in the database are as they were.
    pub ecosystems: BTreeMap<String, EcosystemProvenance>,
    /// How many records could not be used.
    pub skipped: u64,
    /// The first of them.
    pub reasons: Vec<Skipped>,
}

/// A record that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The file, within an archive behind its name.
    pub file: String,
    /// Why, as one line.
    pub reason: String,
}

impl From<ImportSummary> for Imported {
    fn from(summary: ImportSummary) -> Self {
        Self {
            ecosystems: summary
                .ecosystems
                .into_iter()
                .map(|(name, brought)| (name, EcosystemProvenance { records: brought.records, newest: brought.newest }))
                .collect(),
            skipped: summary.skipped,
            reasons: summary
                .reasons
                .into_iter()
                .map(|skipped| Skipped { file: skipped.file, reason: skipped.reason })
                .collect(),
        }
    }
}
