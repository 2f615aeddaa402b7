//! The commands, one a file.

pub(crate) mod advisories;
pub(crate) mod check;
pub(crate) mod convert;
pub(crate) mod inventory;
pub(crate) mod job;
pub(crate) mod list;
pub(crate) mod registry;
pub(crate) mod scan;
pub(crate) mod schedule;
pub(crate) mod store;
pub(crate) mod worker;
