//! The options that every command with state has.

use std::path::PathBuf;

use clap::Args;
use tidewaiter::{Error, Kind, Result};
use tidewaiter_facade::{Config, Outcome, Scanner};

use crate::console::{self, Exit, printable};
use crate::output::{self, Format};

/// Where the state is.
#[derive(Args, Clone, Debug)]
pub(crate) struct Place {
    /// Where registries, jobs and the inventory are kept [default: TIDEWAITER_STORE, else a file in the
    /// user's data folder]
    #[arg(long, value_name = "FILE|postgres://...")]
    store: Option<String>,
}

impl Place {
    /// What was given.
    pub(crate) fn store(&self) -> Option<String> {
        self.store.clone()
    }
}

/// Where the state is, and what is written of it.
#[derive(Args, Clone, Debug)]
pub(crate) struct State {
    #[command(flatten)]
    place: Place,
    /// What is written: json is one object a line where several are told
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: Format,
    /// Show no progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// What scans and matches are done with.
#[derive(Args, Clone, Debug)]
pub(crate) struct Means {
    /// The advisory database, or a folder of OSV exports [default: in the user's data folder]
    #[arg(long, value_name = "DB|DIR")]
    advisories: Option<PathBuf>,
    /// Match with the database as it is: never fetch the advisories that it lacks
    #[arg(long)]
    offline: bool,
    /// The ceiling of memory, 64 or more
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    memory: u64,
}

impl State {
    /// A scanner that only asks the store.
    pub(crate) fn open(&self) -> Result<Scanner> {
        Scanner::open(Config { cache: None, offline: true, store: self.place.store(), ..Config::default() })
    }

    /// The same with definitions of registries in a file.
    pub(crate) fn open_with(&self, registries: Option<PathBuf>) -> Result<Scanner> {
        Scanner::open(Config { cache: None, offline: true, store: self.place.store(), registries, ..Config::default() })
    }

    /// A scanner that scans.
    ///
    /// # Errors
    /// `Kind::NotFound` for advisories that were named, are not there, and may not be fetched: everything would look clean.
    pub(crate) fn open_to_scan(&self, means: &Means) -> Result<Scanner> {
        if let Some(path) = means.advisories.as_ref().filter(|path| means.offline && !path.exists()) {
            return Err(Error::new(Kind::NotFound, "there are no advisories in this place")
                .with("advisories", path.display())
                .with_hint("name the database that is there, or leave --offline away so that it can be fetched"));
        }
        Scanner::open(Config {
            advisories: means.advisories.clone(),
            offline: means.offline,
            memory_mib: Some(means.memory),
            cache: None,
            store: self.place.store(),
            ..Config::default()
        })
    }

    /// Writes what came of each of several names. `done` is the word for success.
    pub(crate) fn show_outcomes(&self, outcomes: &[Outcome], done: &str) -> Result<Exit> {
        let mut exit = Exit::Done;
        for outcome in outcomes {
            if self.format == Format::Json {
                output::print(output::json_line(outcome)?.as_bytes())?;
            } else if outcome.ok {
                output::print(format!("{}: {done}\n", printable(&outcome.name)).as_bytes())?;
            }
            let Some(error) = &outcome.error else { continue };
            exit = Exit::Error;
            if self.format == Format::Table {
                console::tell("error", &error.message, error.hint.as_deref());
            }
        }
        Ok(exit)
    }
}
