//! AQL, Artifactory's query language, as far as it chooses items: parsed, evaluated here, and rendered.
//!
//! It looks like JSON and is not: strings have no escapes, a key may come twice, and braces do not group. The grammar also has
//! verbs that delete and change, so what a user writes is never sent; only what [`Query`]'s own rendering prints is.
//! Sources: the grammar of Artifactory 6.20 and JFrog's reference of 2026 for what came later.

mod date;
mod evaluate;
mod listing;
mod parse;
mod query;
mod render;

pub use date::{Period, Unit};
pub use evaluate::{Item, ItemKind};
pub use listing::Listing;
pub use query::{Comparator, Criterion, Field, Node, Query, TextField, Value};

/// How long a query may be, in characters: Artifactory's own limit.
pub const MAX_LENGTH: usize = 6000;

/// How deep operators may be nested.
pub const MAX_DEPTH: usize = 32;

/// How many criteria and operators a query may have.
pub const MAX_NODES: usize = 1000;

#[cfg(test)]
mod tests;
