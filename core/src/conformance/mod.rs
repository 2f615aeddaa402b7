//! Behaviour suites for what third parties can bring too: run them over your own implementation. They panic where it differs.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

pub mod cataloger;
