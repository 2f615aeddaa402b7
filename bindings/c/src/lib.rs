//! libtidewaiter: the facade for C. The rules stand at the head of the header, `include/tidewaiter.h`.
#![allow(unsafe_code)]
#![allow(non_camel_case_types, reason = "the names of C")]
#![allow(unreachable_pub, reason = "C reaches them")]

mod advisories;
mod boundary;
mod cancel;
mod error;
mod inventory;
mod jobs;
mod listing;
mod registries;
mod report;
mod scanner;
mod schedule;
mod store;
#[cfg(test)]
mod tests;
mod text;
mod work;
