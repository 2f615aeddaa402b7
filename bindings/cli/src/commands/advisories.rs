//! `tidewaiter advisories`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use tidewaiter::model::report::EcosystemProvenance;
use tidewaiter::{Cancel, Result};
use tidewaiter_facade::{Config, ImportOptions, Imported, Scanner, UpdateOptions};

use crate::console::{Exit, printable};
use crate::output::{self, Format};
use crate::progress::Progress;

/// Get, import and describe the advisories that scans are matched with
#[derive(Subcommand)]
pub(crate) enum Advisories {
    /// Import OSV advisories: an all.zip of an export, a record as .json, or a folder of them
    ///
    /// The ecosystems that are imported are replaced, the others in the database are kept.
    Import {
        /// The files and folders
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
    /// Fetch the advisories of ecosystems, such as Debian, Alpine, PyPI or npm
    ///
    /// The ecosystems that are fetched are replaced, the others in the database are kept.
    Update {
        /// The ecosystems; without any, those that the database has
        #[arg(value_name = "ECOSYSTEM")]
        ecosystems: Vec<String>,
        /// Fetch from here instead of the public OSV exports
        #[arg(long, value_name = "URL")]
        base_url: Option<String>,
        /// Give up after so many seconds
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<f64>,
        #[command(flatten)]
        common: Common,
    },
    /// Describe the database: when it was built, and what it holds
    Status {
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Args)]
pub(crate) struct Common {
    /// The database [default: in the user's data folder]
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// What is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

impl Common {
    fn open(&self) -> Result<Scanner> {
        Scanner::open(Config { advisories: self.db.clone(), cache: None, ..Config::default() })
    }
}

impl Advisories {
    pub(crate) fn run(self, cancel: &Cancel) -> Result<Exit> {
        match self {
            Self::Import { paths, common } => {
                let done = common.open()?.import_advisories(ImportOptions { paths }, cancel)?;
                show(&done.wait(&mut Progress::new(common.quiet))?, common.format)
            }
            Self::Update { ecosystems, base_url, timeout, common } => {
                let options = UpdateOptions { ecosystems, base_url, timeout };
                let done = common.open()?.update_advisories(options, cancel)?;
                show(&done.wait(&mut Progress::new(common.quiet))?, common.format)
            }
            Self::Status { common } => {
                let status = common.open()?.advisories_status()?.wait(&mut Progress::new(true))?;
                match common.format {
                    Format::Json => output::print_json(&status)?,
                    Format::Table => {
                        let file =
                            status.file.as_deref().map_or_else(|| "-".to_owned(), |file| file.display().to_string());
                        let mut text = format!("file       {file}\n");
                        match &status.built {
                            None => text.push_str(
                                "           not there yet: `tidewaiter advisories update ECOSYSTEM...` makes it\n",
                            ),
                            Some(built) => text.push_str(&format!("built      {built}\n")),
                        }
                        text.push_str(&table(&status.ecosystems));
                        output::print(text.as_bytes())?;
                    }
                }
                Ok(Exit::Done)
            }
        }
    }
}

fn show(imported: &Imported, format: Format) -> Result<Exit> {
    match format {
        Format::Json => output::print_json(imported)?,
        Format::Table => {
            let mut text = table(&imported.ecosystems);
            if imported.skipped > 0 {
                text.push_str(&format!("{} records were skipped, such as\n", imported.skipped));
                // One reason once, with the first file that it was told of.
                let mut told = BTreeSet::new();
                for skipped in imported.reasons.iter().filter(|skipped| told.insert(&skipped.reason)) {
                    text.push_str(&format!("  {}: {}\n", printable(&skipped.file), printable(&skipped.reason)));
                }
            }
            output::print(text.as_bytes())?;
        }
    }
    Ok(Exit::Done)
}

/// One ecosystem a line.
fn table(ecosystems: &BTreeMap<String, EcosystemProvenance>) -> String {
    let mut text = String::new();
    for (name, holding) in ecosystems {
        text.push_str(&format!(
            "{:<20} {:>8} records, the newest of {}\n",
            printable(name),
            holding.records,
            holding.newest
        ));
    }
    text
}
