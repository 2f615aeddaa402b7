//! Integration tests, one binary.

mod advisories;
mod corpus;
mod formats;
mod layering;
mod versions;
