//! Advisories: OSV records on their way into one immutable file, and the file itself.
//!
//! [`import`](import::import) reads the exports of osv.dev and writes the file; [`Advisories`] opens it and answers by
//! ecosystem and package name. Nothing here fetches, and nothing here decides whether a version is affected.

pub mod database;
pub mod import;
mod name;
pub(crate) mod osv;
pub mod record;

pub use database::Advisories;
pub use import::{ImportOptions, ImportSummary, import};
pub use record::{Affected, Event, Range, RangeKind, Record, RecordId, Score};
