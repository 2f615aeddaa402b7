//! The tags of a repository (OCI distribution specification 1.1, "Listing Tags").

use futures_util::stream::BoxStream;
use serde::Deserialize;

use super::pages::{Pages, Source};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::reference::is_tag;
use crate::net::session::pull;
use crate::registry::connection::Connection;
use crate::registry::listing;

/// The tags of a repository as they come, each once, in the order of the registry.
pub fn tags<'a>(
    connection: &'a Connection,
    repository: &'a str,
    context: &'a Context,
) -> BoxStream<'a, Result<String>> {
    Pages::new(connection, Tags(repository), context).names()
}

struct Tags<'a>(&'a str);

impl Source for Tags<'_> {
    fn path(&self) -> String {
        format!("{}/tags/list", self.0)
    }

    fn scope(&self) -> String {
        pull(self.0)
    }

    fn entries(&self, body: &[u8]) -> Result<Vec<Option<String>>, serde_json::Error> {
        #[derive(Deserialize)]
        struct Page {
            name: Option<String>,
            #[serde(default, deserialize_with = "given")]
            tags: Option<Vec<Option<String>>>,
        }
        fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Option<String>>>, D::Error> {
            listing::list(deserializer).map(Some)
        }
        let Page { name, tags } = serde_json::from_slice(body)?;
        match tags {
            // Neither is no list: an error, or word of maintenance.
            None if name.is_none() => Err(serde::de::Error::missing_field("tags")),
            tags => Ok(tags.unwrap_or_default()),
        }
    }

    fn is_name(&self, entry: &str) -> bool {
        is_tag(entry)
    }

    fn closed(&self, error: Error, _: &Connection) -> Error {
        let (message, hint) = match error.kind() {
            Kind::NotFound => (
                "there is no such repository, or this credential may not see it",
                "check the spelling of the repository and the right to pull from it",
            ),
            _ => (
                "the registry does not list the tags of this repository for this credential",
                "give a credential that may pull from it; some registries have a right of its own for listing",
            ),
        };
        // Of a credential that is refused as such, no right would help.
        let hint = match error.hint() {
            Some(told) if error.kind() == Kind::Unauthenticated => told.to_owned(),
            _ => hint.to_owned(),
        };
        let closed = Error::new(error.kind(), message).with("repository", self.0).with_hint(hint);
        match error.kind() {
            // What the status says is said.
            Kind::NotFound => closed.with_context_of(&error),
            _ => closed.because(error),
        }
    }

    fn is_closed(&self, status: u16) -> bool {
        matches!(status, 401 | 403 | 404)
    }

    fn limit(&self) -> Error {
        Error::new(Kind::LimitExceeded, "the list of tags does not end")
            .with("repository", self.0)
            .with_hint("leave the repository out, and look at what pages its `Link` headers lead to")
    }
}
