//! `tidewaiter store`.

use clap::Subcommand;
use tidewaiter::{Cancel, Result};
use tidewaiter_facade::PruneOptions;

use crate::console::{Exit, printable};
use crate::output::{self, Format};
use crate::progress::Progress;
use crate::state::State;
use crate::table;

/// Describe the store, and make room in it
#[derive(Subcommand)]
pub(crate) enum Store {
    /// Tell how big the store is, and what fills it
    Status {
        #[command(flatten)]
        state: State,
    },
    /// Remove what no job needs any more: reports of images that are gone or that no job has scanned, results of layers that no
    /// report rests on, runs before the latest of each job, and notes of what changed until then
    ///
    /// What a job has scanned and its registry still lists stays, however old. Without --older-than all the rest goes at once. A
    /// registry that hides what a credential may not see any more seems to have lost it: with --older-than it has time to come back.
    Prune {
        /// Only what is older than so many days, and gone for as long; 0 is all of it
        #[arg(long, value_name = "DAYS", default_value_t = 0)]
        older_than: u32,
        #[command(flatten)]
        state: State,
    },
}

impl Store {
    pub(crate) fn run(self, cancel: &Cancel) -> Result<Exit> {
        match self {
            Self::Status { state } => {
                let status = state.open()?.store_status(cancel)?.wait(&mut Progress::new(true))?;
                match state.format {
                    Format::Json => output::print_json(&status)?,
                    Format::Table => {
                        let mut text = format!("{} {}\n", status.kind, printable(&status.place));
                        let row = |part: &tidewaiter::store::TableSize| {
                            [part.part.clone(), part.rows.to_string(), table::bytes(part.bytes)]
                        };
                        let mut rows: Vec<_> = status.parts.iter().map(row).collect();
                        rows.push(["all".to_owned(), String::new(), table::bytes(status.bytes)]);
                        if status.disk != status.bytes {
                            rows.push(["on disk".to_owned(), String::new(), table::bytes(status.disk)]);
                        }
                        text.push_str(&table::columns(["PART", "ROWS", "SIZE"], &rows));
                        output::print(text.as_bytes())?;
                    }
                }
            }
            Self::Prune { older_than, state } => {
                let pruned = state.open()?.prune_store(PruneOptions { older_than }, cancel)?;
                let pruned = pruned.wait(&mut Progress::new(true))?;
                match state.format {
                    Format::Json => output::print_json(&pruned)?,
                    Format::Table => output::print(
                        format!(
                            "{} reports, {} results of layers, {} images, {} runs, {} changes removed\n",
                            pruned.reports, pruned.layers, pruned.images, pruned.runs, pruned.changes
                        )
                        .as_bytes(),
                    )?,
                }
            }
        }
        Ok(Exit::Done)
    }
}
