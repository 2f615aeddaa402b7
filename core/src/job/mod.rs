//! What a run of a job is made of: the definition, the states, the images to look at and what came of them. Values only; the
//! store keeps them, the engine does the work.
//!
//! A run is `plan` → [`Item`]s → `execute(item)` → [`Done`] → `commit(done)`. Items and what comes of them are JSON, hold no secret,
//! and may be carried to other machines and be done twice.

mod definition;
mod item;
mod pack;
mod run;

pub use definition::Job;
pub(crate) use definition::check_name;
pub use item::{Commit, Done, Failure, Item, Outcome, Packed};
pub(crate) use pack::{is_packed, pack, unpack};
pub use run::{Cost, Failed, Run, RunOptions, State, Summary};
