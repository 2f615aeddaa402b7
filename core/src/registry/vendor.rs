//! What a connector is, and the list of all of them: one file a vendor, one line here.

use std::sync::Arc;

use futures_util::stream::BoxStream;

use super::connection::Connection;
use super::definition::Registry;
use super::docker;
use crate::context::Context;
use crate::error::{Error, Kind, Result};

/// Answers what is in a registry. Bytes are pulled by `source`, everywhere in the same way.
pub trait Connector: Send + Sync {
    /// The repositories, page by page as they come; each once.
    fn repositories<'a>(&'a self, context: &'a Context) -> BoxStream<'a, Result<String>>;
}

/// A kind of registry.
pub struct Vendor {
    /// The word in definitions.
    pub name: &'static str,
    /// Makes the connector of a registry that is open.
    pub connect: fn(Connection) -> Arc<dyn Connector>,
}

/// Every kind, in the order in which they are shown.
pub const VENDORS: &[Vendor] = &[docker::VENDOR];

/// The kind that a definition names.
///
/// # Errors
/// [`Kind::InvalidInput`] for one that does not exist.
pub fn of(registry: &Registry) -> Result<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.name == registry.kind).ok_or_else(|| {
        let names: Vec<_> = VENDORS.iter().map(|vendor| vendor.name).collect();
        Error::new(Kind::InvalidInput, "there is no such kind of registry")
            .with("kind", registry.kind.escape_debug())
            .with_hint(format!("the kinds are {}", names.join(", ")))
    })
}
