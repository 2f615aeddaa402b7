//! The lists of Docker V2 (OCI distribution): repositories, tags, and what each tag points at. Vendors without better take these.

mod catalog;
mod heads;
mod pages;
mod tags;

pub use catalog::repositories;
pub use heads::{head, images};
pub use tags::tags;
