//! The work itself: one image from its source to its report. Everything below is called from here, and nothing above is known.

pub mod advisories;
mod advisory_source;
mod fetch;
mod image;
mod lanes;
mod layers;
#[cfg(feature = "net")]
mod listing;
mod memory;
mod pipe;
pub mod scanner;

#[cfg(feature = "net")]
pub use listing::Listed;
