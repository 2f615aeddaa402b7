//! The report of one image: what was looked at, what is in it, what is wrong with it, and what could not be seen.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::finding::Finding;
use super::image::LayerRecord;
use super::inventory::Inventory;
use super::platform::Platform;
use super::problem::Problem;
use super::severity::Rating;

/// What was scanned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The reference as it was asked for, in full.
    pub reference: String,
    /// The digest of the manifest (of the configuration, for an archive that has no manifest).
    pub digest: Digest,
    /// The digest of the index that led to it.
    pub index: Option<Digest>,
    /// The platform.
    pub platform: Platform,
    /// The build date from the configuration (RFC 3339).
    pub created: Option<String>,
}

/// What the scan cost. The only part of a report that differs from run to run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Bytes of blobs fetched from the source.
    pub bytes_fetched: u64,
    /// Layers fetched from the source.
    pub layers_fetched: u64,
    /// Layers whose result was stored already.
    pub layers_from_cache: u64,
    /// Layers that one pass could not understand.
    pub layers_read_twice: u64,
    /// Peak resident memory of the whole process in bytes, where the system says it.
    pub peak_memory_bytes: u64,
    /// Wall time in seconds.
    pub seconds: Seconds,
    /// Findings of packages that a package of the distribution owns, left out unless asked for.
    pub owned_findings: u64,
}

/// Wall times in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// From the first layer request to the last layer read.
    pub fetch: f64,
    /// The whole scan.
    pub total: f64,
}

/// What made the report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The version of each cataloger by its id.
    pub catalogers: BTreeMap<String, u32>,
    /// The advisory database, where there was one.
    pub advisories: Option<AdvisoryProvenance>,
}

/// The advisory database that was matched with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvisoryProvenance {
    /// When it was built (RFC 3339).
    pub built: String,
    /// What it holds, by ecosystem without release.
    pub ecosystems: BTreeMap<String, EcosystemProvenance>,
}

/// What the database holds of one ecosystem.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EcosystemProvenance {
    /// How many records.
    pub records: u64,
    /// The newest `modified` of them (RFC 3339).
    pub newest: String,
}

/// Everything that a scan of one image of one platform says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// What was scanned.
    pub subject: Subject,
    /// Its layers, the base first.
    pub layers: Vec<LayerRecord>,
    /// Its packages and its distribution.
    pub inventory: Inventory,
    /// What concerns them, sorted by package, then id.
    pub findings: Vec<Finding>,
    /// What could not be looked at, sorted by layer, path, kind and message.
    pub problems: Vec<Problem>,
    /// What it cost.
    pub stats: Stats,
    /// What made it.
    pub provenance: Provenance,
}

impl Report {
    /// Finds the package of each finding by its package URL, after a report was read from bytes.
    pub(crate) fn link(&mut self) {
        if self.findings.is_empty() {
            return;
        }
        let places: HashMap<String, usize> =
            self.inventory.packages().map(|package| (package.purl(), package.index())).collect();
        for finding in &mut self.findings {
            finding.package_index = places.get(&finding.package).copied().unwrap_or(usize::MAX);
        }
    }

    /// How many findings there are of each rating.
    pub fn counts(&self) -> BTreeMap<Rating, u64> {
        let mut counts = BTreeMap::new();
        for finding in &self.findings {
            *counts.entry(finding.severity.rating).or_default() += 1;
        }
        counts
    }

    /// Whether everything of the image was looked at: no problem says that packages or advisories may be missing.
    pub fn is_complete(&self) -> bool {
        !self.problems.iter().any(|problem| problem.kind.is_incomplete())
    }
}
