//! Any registry that speaks Docker V2 (OCI distribution).

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use super::connection::Connection;
use super::connector::{Connector, Wanted};
use super::definition::Registry;
use super::v2;
use crate::context::Context;
use crate::error::Result;
use crate::model::record::ImageRecord;

/// The kind `docker`.
pub(super) struct Vendor;

impl super::Vendor for Vendor {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn connect(&self, _: &Registry, connection: Connection) -> Result<Arc<dyn Connector>> {
        Ok(Arc::new(Docker(connection)))
    }
}

/// The lists of Docker V2 alone, without dates: also what is left of a vendor whose own API is closed to a credential.
pub(super) struct Docker(pub(super) Connection);

impl Connector for Docker {
    fn repositories<'a>(&'a self, _: &'a Wanted, context: &'a Context) -> BoxStream<'a, Result<String>> {
        v2::repositories(&self.0, context)
    }

    fn images<'a>(
        &'a self,
        repository: &'a str,
        _: &'a Wanted,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<ImageRecord>>> {
        Box::pin(v2::images(&self.0, repository, context))
    }
}
