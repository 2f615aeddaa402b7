//! The repositories of a registry (`GET /v2/_catalog`), page by page.
//!
//! `_catalog` is docker's, not OCI's: many products keep it for administrators or cut it.

use futures_util::stream::BoxStream;
use serde::Deserialize;

use super::pages::{Pages, Source};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::reference::is_repository;
use crate::net::session::CATALOG;
use crate::registry::connection::Connection;
use crate::registry::listing;

/// The repositories as they come, each once.
pub fn repositories<'a>(connection: &'a Connection, context: &'a Context) -> BoxStream<'a, Result<String>> {
    Pages::new(connection, Catalog, context).names()
}

struct Catalog;

impl Source for Catalog {
    fn path(&self) -> String {
        "_catalog".to_owned()
    }

    fn scope(&self) -> String {
        CATALOG.to_owned()
    }

    fn entries(&self, body: &[u8]) -> Result<Vec<Option<String>>, serde_json::Error> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(deserialize_with = "listing::list")]
            repositories: Vec<Option<String>>,
        }
        Ok(serde_json::from_slice::<Page>(body)?.repositories)
    }

    fn is_name(&self, entry: &str) -> bool {
        is_repository(entry)
    }

    fn closed(&self, error: Error, connection: &Connection) -> Error {
        Error::new(error.kind(), "the registry does not list its repositories for this credential")
            .with("registry", connection.host())
            .with_hint("name the repositories, or use a credential that may list (often an administrator's)")
            .because(error)
    }

    fn is_closed(&self, status: u16) -> bool {
        matches!(status, 401 | 403 | 404 | 405)
    }

    fn limit(&self) -> Error {
        Error::new(Kind::LimitExceeded, "the list of repositories does not end")
            .with_hint("name the repositories, and look at what pages its `Link` headers lead to")
    }
}
