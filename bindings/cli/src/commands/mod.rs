//! The commands, one a file.

pub(crate) mod advisories;
pub(crate) mod check;
pub(crate) mod list;
pub(crate) mod scan;
pub(crate) mod schedule;
