//! Integration tests, one binary.

mod corpus;
mod layering;
mod versions;
