//! The work itself: one image from its source to its report. Everything below is called from here, and nothing above is known.

pub mod advisories;
mod advisory_source;
mod commit;
#[cfg(feature = "net")]
mod execute;
mod fetch;
mod fit;
mod image;
mod lanes;
mod layers;
#[cfg(feature = "net")]
mod listing;
mod packages;
#[cfg(feature = "net")]
mod past;
#[cfg(feature = "net")]
mod patience;
mod peak;
mod pipe;
#[cfg(feature = "net")]
mod place;
#[cfg(feature = "net")]
mod plan;
mod rematch;
mod report;
mod ring;
mod room;
#[cfg(feature = "net")]
mod run;
mod sbom;
pub mod scanner;
#[cfg(feature = "net")]
mod worker;

#[cfg(feature = "net")]
pub use listing::Listed;
pub use rematch::Rematched;
#[cfg(feature = "net")]
pub use worker::WorkerOptions;
