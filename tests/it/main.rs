//! Integration tests, one binary.

mod advisories;
mod advisory_update;
mod catalogs;
mod corpus;
mod formats;
mod layering;
mod registry;
mod sources;
mod versions;
