//! Behaviour suites for what third parties can bring too: run them over your own implementation. They panic where it differs.
//! And what such tests need: an in-process registry, and images to put into it.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[cfg(feature = "conformance")]
pub mod archive;
pub mod cataloger;
#[cfg(feature = "conformance")]
pub mod connector;
#[cfg(feature = "conformance")]
pub mod image;
#[cfg(feature = "conformance")]
pub mod registry;
#[cfg(feature = "conformance")]
pub mod source;
pub mod store;
