//! The nouns, one a file. No input or output, no clock.

pub mod digest;
pub mod distro;
pub mod ecosystem;
pub mod event;
pub mod finding;
pub(crate) mod fingerprint;
pub mod image;
pub mod inventory;
pub mod limits;
pub mod media_type;
pub mod package;
pub mod path;
pub mod platform;
pub mod problem;
pub mod purl;
pub mod record;
pub mod reference;
pub mod report;
pub mod severity;
pub mod since;
pub mod zone;
