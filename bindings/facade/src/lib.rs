//! The one surface below every binding: runtime, cancellation, events, configuration, records.
//!
//! A binding adds a line an operation ([`operations::ALL`]) and the idiom of its language; everything that could be decided
//! twice is decided here. Plain Rust: no derive of a binding generator, no executor in a signature. Calls run on the
//! scanner's own thread; the caller's thread waits in [`Pending::wait`], which hands it the events, or polls the
//! [`Pending`] as a future from any executor.

mod call;
mod config;
mod event;
mod exports;
mod inventory;
mod jobs;
mod listing;
pub mod operations;
pub mod paths;
mod place;
mod queue;
mod recipe;
mod records;
pub mod registries;
mod report;
mod runtime;
mod saved;
mod scanner;
mod schedule;
mod work;

pub use call::{Observer, Pending, Silent};
pub use config::{CheckOptions, Config, ImportOptions, ScanOptions, UpdateOptions, from_json, parse_platforms};
pub use event::to_json as event_to_json;
pub use inventory::{ChangesFilter, PruneOptions, RematchOptions, SummaryFilter};
pub use jobs::{JobDetails, JobHolding, JobStatus, PutJob, RestartJob, RunJob, WrittenJob};
pub use listing::{Item, Listing};
pub use records::{AdvisoryStatus, Imported, Skipped};
pub use registries::{Definition, Named, is_address};
pub use report::{Report, check_file, format_of, read as read_reports, read_file as read_report_file, write_file};
pub use saved::{Mode, Names, Outcome, Pause, PutRegistry, Reason, SavedRegistry};
pub use scanner::Scanner;
pub use schedule::{NextOptions, next_runs};
pub use work::{Lease, Renew, WorkOptions};
