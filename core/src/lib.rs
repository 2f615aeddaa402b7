//! Scan container images straight from a registry: packages and advisories, in little memory, without a container runtime.

pub mod advisory;
pub mod blocking;
pub mod cancel;
pub mod catalog;
#[cfg(any(test, feature = "conformance", feature = "fuzzing"))]
pub mod conformance;
pub mod context;
pub mod engine;
pub mod error;
pub mod format;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod job;
pub mod layer;
pub mod matching;
pub mod model;
#[cfg(feature = "net")]
pub mod net;
#[cfg(feature = "net")]
pub mod registry;
mod sbom;
pub mod schedule;
pub mod select;
pub mod source;
pub mod store;
pub mod version;

pub use advisory::Advisories;
pub use cancel::Cancel;
pub use context::Context;
#[cfg(feature = "net")]
pub use engine::Listed;
pub use engine::scanner::{ScanOptions, Scanner, ScannerBuilder};
pub use error::{Error, Kind, Result};
pub use job::Job;
pub use model::limits::Limits;
pub use model::report::Report;
#[cfg(feature = "net")]
pub use registry::{Check, Credential, Registry, Secret};
pub use schedule::Schedule;
pub use select::{Pushed, Selection};
pub use source::{Platforms, Target};
pub use store::Store;

/// The Rust program of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
