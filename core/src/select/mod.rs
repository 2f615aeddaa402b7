//! Which images of a registry are meant, and why each is or is not. Pure: whoever asks brings the `now`.
//!
//! A [`Selection`] is what a user writes. [`Selection::on`] reads it for a registry with its [`Naming`]; the [`Selector`] that comes
//! out decides about the images of one repository after another.

pub mod aql;
mod attached;
mod cap;
mod naming;
mod near;
pub mod pattern;
mod pushed;
mod selection;
mod selector;
mod verdict;
mod wildcard;

pub use cap::Cap;
pub use naming::Naming;
pub use near::Near;
pub use pattern::{Pattern, Patterns, Syntax};
pub use pushed::{Moment, Pushed, Window};
pub use selection::{Selection, Undated, Wanted};
pub use selector::Selector;
pub use verdict::{Baseline, Decision, Note, Outcome, Outside, Reason, Verdict};
