//! Any registry that speaks Docker V2 (OCI distribution): the catalog, page by page.
//!
//! `_catalog` is docker's, not OCI's: many products keep it for administrators or cut it.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use futures_util::stream::{self, BoxStream};
use serde::Deserialize;
use url::Url;

use super::connection::Connection;
use super::vendor::{Connector, Vendor};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::reference::is_repository;
use crate::net::client::{Request, Response};
use crate::net::link;
use crate::net::session::CATALOG;

/// The kind `docker`.
pub(super) const VENDOR: Vendor = Vendor { name: "docker", connect: |connection| Arc::new(Docker(connection)) };

/// Page sizes to ask for, until one is taken: registries refuse more than 1000, some more than 100, some any.
const PAGE_SIZES: [&str; 3] = ["?n=1000", "?n=100", ""];
/// The longest page.
const MAX_PAGE: u64 = 16 << 20;
/// The most pages: a registry that never ends is cut here.
const MAX_PAGES: usize = 10_000;

struct Docker(Connection);

impl Connector for Docker {
    fn repositories<'a>(&'a self, context: &'a Context) -> BoxStream<'a, Result<String>> {
        let listing = Listing {
            connection: &self.0,
            context,
            ready: VecDeque::new(),
            seen: HashSet::new(),
            next: Next::First,
            pages: 0,
        };
        Box::pin(stream::try_unfold(listing, |mut listing| async move {
            Ok(listing.next().await?.map(|name| (name, listing)))
        }))
    }
}

enum Next {
    First,
    Page(Url),
    End,
}

struct Listing<'a> {
    connection: &'a Connection,
    context: &'a Context,
    ready: VecDeque<String>,
    seen: HashSet<String>,
    next: Next,
    pages: usize,
}

impl Listing<'_> {
    async fn next(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(name) = self.ready.pop_front() {
                return Ok(Some(name));
            }
            let response = match std::mem::replace(&mut self.next, Next::End) {
                Next::End => return Ok(None),
                Next::First => self.first().await?,
                Next::Page(url) => self.ask(url).await?,
            };
            self.page(response).await?;
        }
    }

    async fn first(&self) -> Result<Response> {
        let mut refused = None;
        for size in PAGE_SIZES {
            match self.ask(self.connection.session().url(&format!("_catalog{size}"))?).await {
                Err(error) if error.context().any(|(key, value)| key == "status" && value == "400") => {
                    refused = Some(error)
                }
                done => return done,
            }
        }
        Err(refused.unwrap_or_else(|| Error::new(Kind::Internal, "there is no page size")))
    }

    async fn ask(&self, url: Url) -> Result<Response> {
        let closed = |error: Error| {
            Error::new(error.kind(), "the registry does not list its repositories for this credential")
                .with("registry", self.connection.host())
                .with_hint("name the repositories, or use a credential that may list (often an administrator's)")
                .because(error)
        };
        match self.connection.session().send(&Request::get(url), Some(CATALOG), self.context).await {
            Ok(response) if matches!(response.status(), 401 | 403 | 404 | 405) => {
                Err(closed(response.refused(self.context).await))
            }
            Ok(response) => response.success(self.context).await,
            Err(error) if matches!(error.kind(), Kind::Unauthenticated | Kind::PermissionDenied) => Err(closed(error)),
            Err(error) => Err(error),
        }
    }

    /// Takes a page in. It ends where there is no next page, and where a page brings nothing new: some registries turn in circles.
    async fn page(&mut self, response: Response) -> Result<()> {
        #[derive(Deserialize)]
        struct Page {
            repositories: Option<Vec<Option<String>>>,
        }
        let next = link::next(response.url(), response.headers("link"));
        let body = response.bytes(MAX_PAGE, self.context).await?;
        let page: Page = serde_json::from_slice(&body).map_err(|error| {
            Error::new(Kind::Corrupt, "the list of repositories is not as it should be")
                .with("registry", self.connection.host())
                .because(error)
        })?;
        let before = self.seen.len();
        for name in page.repositories.into_iter().flatten().flatten() {
            // What is no name of a repository could be a path to somewhere else.
            if is_repository(&name) && self.seen.insert(name.clone()) {
                self.ready.push_back(name);
            }
        }
        self.pages += 1;
        self.next = match next {
            Some(url) if self.seen.len() > before && self.pages < MAX_PAGES => Next::Page(url),
            _ => Next::End,
        };
        Ok(())
    }
}
