//! A layer, from its bytes to its facts; an image, from the facts of its layers to its packages. Pure: readers in, values out.
//!
//! ```text
//! bytes ─ decompress ─► tar ─ walk (one interest table) ─► LayerFacts ─ overlay (all layers) ─► View ─► Inventory
//! ```

pub mod again;
pub(crate) mod buffered;
pub mod cataloger;
pub mod decompress;
pub mod facts;
mod headers;
pub mod history;
pub mod inflate;
pub mod interest;
pub mod journal;
pub mod json;
mod kept;
pub mod lines;
mod links;
mod nodes;
mod occupied;
mod offer;
pub mod overlay;
pub mod records;
pub mod walk;
pub mod window;

pub use cataloger::{Cataloger, Facts, File, View, VisibleFile};
pub use facts::LayerFacts;
pub use interest::{Interest, InterestTable, Take};
pub use lines::{Line, Lines};
pub use records::Records;

#[cfg(test)]
mod tests;
