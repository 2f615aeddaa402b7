//! Integration tests, one binary.

mod advisories;
mod catalogs;
mod corpus;
mod formats;
mod layering;
mod versions;
