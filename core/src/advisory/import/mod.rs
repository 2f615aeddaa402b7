//! Import: exports of osv.dev, single records and folders of them into the database, in bounded memory.
//!
//! The first pass reads every record once. Rows go to sorted runs and records to a pile, both on disk beside the
//! database. Then it is known which ecosystems each input brings and which version of a record is the newest, and the
//! second pass writes the file in order.

mod gather;
mod input;
mod runs;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::database::{Advisories, Holding, Replacement};
use crate::context::Context;
use crate::error::{Error, Kind, Result};

/// How an import is done.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// The time that the database says it was built at (RFC 3339).
    pub built: String,
    /// What is known of where a path comes from.
    pub exports: BTreeMap<PathBuf, Export>,
}

impl ImportOptions {
    /// An import at the time `built` (RFC 3339).
    pub fn new(built: impl Into<String>) -> Self {
        Self { built: built.into(), ..Self::default() }
    }
}

/// The export of one ecosystem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Export {
    /// The ecosystem without release: what records say of other ones is left aside.
    pub ecosystem: String,
    /// The entity tag that it was served with.
    pub etag: Option<String>,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// What was brought, by ecosystem without release. The others in the database are as they were.
    pub ecosystems: BTreeMap<String, EcosystemSummary>,
    /// How many records could not be used.
    pub skipped: u64,
    /// The first of them, at most [`ImportSummary::REASONS`].
    pub reasons: Vec<Skipped>,
}

impl ImportSummary {
    /// How many reasons are kept.
    pub const REASONS: usize = 20;

    fn skip(&mut self, file: &str, reason: impl Into<String>) {
        self.skipped += 1;
        if self.reasons.len() < Self::REASONS {
            self.reasons.push(Skipped { file: file.to_owned(), reason: reason.into() });
        }
    }
}

/// What was brought of one ecosystem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EcosystemSummary {
    /// How many records.
    pub records: u64,
    /// The newest `modified` of them (RFC 3339).
    pub newest: String,
    /// Whether its export was the same as before, so that nothing was read.
    pub unchanged: bool,
}

/// A record that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file, within an archive behind its name and a colon.
    pub file: String,
    /// Why, as one line.
    pub reason: String,
}

/// Puts the records of `paths` into `database`, which need not exist.
///
/// A path is an archive of records (`all.zip`), one record (`.json`), or a folder that is searched for both. The
/// ecosystems that the paths bring are replaced, the others in the database are kept. An input all of whose records
/// concern one ecosystem, as the exports of osv.dev do, brings that one (of several such, the one that the archive or its
/// folder is named after); what its records say of others is left to the exports of those. Any other input brings every
/// ecosystem that it names. Of a record that comes twice, the one that
/// was modified last counts.
///
/// Whoever has the database open goes on with the old one until they open it again. It blocks; up to 512 MiB of memory
/// for 500,000 records.
///
/// # Errors
/// [`Kind::NotFound`] for a path that is not there, [`Kind::InvalidInput`] when nothing in the paths can be used,
/// [`Kind::Busy`] while another import into this database is under way, [`Kind::Corrupt`] and [`Kind::Unsupported`] for a
/// database whose other ecosystems cannot be kept, [`Kind::Storage`] when writing fails, [`Kind::Canceled`]. The database
/// is as it was after any of them.
pub fn import(paths: &[PathBuf], database: &Path, options: &ImportOptions, context: &Context) -> Result<ImportSummary> {
    let replacement = Replacement::begin(database)?;
    let before = match Advisories::open(database) {
        Ok(before) => Some(before),
        Err(error) if error.kind() == Kind::NotFound => None,
        Err(error) => return Err(error),
    };
    let mut summary = ImportSummary::default();
    let mut gathered = gather::Gathered::new(&replacement)?;
    for path in paths {
        let export = options.exports.get(path);
        input::read(path, context, &mut summary, &mut gathered, export.map(|export| export.ecosystem.as_str()))?;
    }
    let brought = gathered.brought();
    if brought.is_empty() {
        let error = Error::new(Kind::InvalidInput, "there are no advisories in what was given")
            .with_hint("give an all.zip of the OSV exports, a record as .json, or a folder of them");
        return Err(match summary.reasons.first() {
            Some(first) => error.with("file", &first.file).with("reason", &first.reason),
            None => error,
        });
    }
    if let Some(before) = &before {
        gathered.keep(before, context)?;
    }
    let mut holdings = gathered.write(replacement, &options.built, context, |holdings| {
        let before = before.iter().flat_map(|before| &before.contents().ecosystems);
        for (ecosystem, holding) in before.filter(|(ecosystem, _)| !brought.contains(*ecosystem)) {
            holdings.entry(ecosystem.clone()).or_default().etag.clone_from(&holding.etag);
        }
        for export in options.exports.values() {
            if let Some(holding) = holdings.get_mut(&export.ecosystem) {
                holding.etag.clone_from(&export.etag);
            }
        }
    })?;
    holdings.retain(|ecosystem, _| brought.contains(ecosystem));
    summary.ecosystems = holdings
        .into_iter()
        .map(|(ecosystem, Holding { records, newest, .. })| {
            (ecosystem, EcosystemSummary { records, newest, unchanged: false })
        })
        .collect();
    Ok(summary)
}
