//! Which images of a registry are meant, and why each is or is not. Pure: whoever asks brings the `now`.

pub mod pattern;
mod wildcard;

pub use pattern::{Pattern, Patterns, Syntax};
