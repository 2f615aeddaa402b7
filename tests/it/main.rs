//! Integration tests, one binary.

mod advisories;
mod corpus;
mod layering;
mod versions;
