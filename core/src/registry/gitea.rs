//! Gitea and Forgejo: Docker V2, and the times of their packages.
//!
//! Credential: a user name with an access token that has `read:package`, as the password.
//!
//! Cost: a request per tag for its digest, and one per 50 versions of the packages for the dates. The date is when that version of
//! the package was made; whether pushing a tag again renews it depends on the version of the product.
//!
//! Source: Gitea's `/api/v1/packages/{owner}`.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt as _};
use serde::Deserialize;

use super::connection::Connection;
use super::connector::{Capabilities, Connector, Wanted};
use super::definition::Registry;
use super::listing::{self, Fallback, Page, is_closed};
use super::v2;
use crate::context::Context;
use crate::error::Result;
use crate::model::record::{DateSource, ImageDate, ImageRecord};
use crate::model::reference::is_tag;
use crate::net::api::{Api, Way};

/// How many versions a page has.
const PAGE: usize = 50;

impl Registry {
    /// A Gitea or Forgejo at `url`.
    pub fn gitea(url: impl Into<String>) -> Self {
        Self::at("gitea", url)
    }
}

/// The kind `gitea`.
pub(super) struct Vendor;

impl super::Vendor for Vendor {
    fn name(&self) -> &'static str {
        "gitea"
    }

    fn connect(&self, registry: &Registry, connection: Connection) -> Result<Arc<dyn Connector>> {
        let base = registry.api()?.unwrap_or(registry.base()?);
        let api = Api::new(connection.session().clone(), base, Way::Plain);
        let fallback = Fallback::new(
            "there are no dates, since the API does not list packages",
            "give an access token with read:package as the password, and check `api_url`",
        );
        Ok(Arc::new(Gitea { connection, api, fallback }))
    }
}

struct Gitea {
    connection: Connection,
    api: Api,
    fallback: Fallback,
}

#[derive(Deserialize)]
struct Version {
    name: String,
    version: String,
    created_at: Option<String>,
}

impl Gitea {
    /// The dates of the tags.
    async fn dates(&self, repository: &str, context: &Context) -> Result<HashMap<String, ImageDate>> {
        let (owner, name) = repository.split_once('/').ok_or_else(|| listing::no_such_repository(repository))?;
        let mut pages = listing::pages(1_usize, |number| async move {
            let (page, size) = (number.to_string(), PAGE.to_string());
            let query = [("type", "container"), ("q", name), ("page", page.as_str()), ("limit", size.as_str())];
            let url = self.api.url(&["api", "v1", "packages", owner], &query)?;
            let answer = self.api.get(url, context).await?;
            let entries: Vec<Version> = answer.json()?;
            let total = answer.header("x-total-count").and_then(|total| total.trim().parse::<usize>().ok());
            // The server may have a smaller page than is asked for.
            let is_last =
                entries.is_empty() || total.map_or(entries.len() < PAGE, |total| number * entries.len() >= total);
            Ok(Page { entries, next: (!is_last).then_some(number + 1) })
        });
        let mut dates = HashMap::new();
        while let Some(page) = pages.next().await {
            for version in page?.into_iter().filter(|version| version.name == name && is_tag(&version.version)) {
                dates.insert(version.version, ImageDate::read(version.created_at.as_deref(), DateSource::Modified));
            }
        }
        Ok(dates)
    }
}

impl Connector for Gitea {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_dates(DateSource::Modified)
    }

    fn repositories<'a>(&'a self, _: &'a Wanted, context: &'a Context) -> BoxStream<'a, Result<String>> {
        v2::repositories(&self.connection, context)
    }

    fn images<'a>(
        &'a self,
        repository: &'a str,
        wanted: &'a Wanted,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<ImageRecord>>> {
        Box::pin(async move {
            let mut images = v2::images(&self.connection, repository, context).await?;
            if !wanted.dates {
                return Ok(images);
            }
            let dates = match self.dates(repository, context).await {
                Ok(dates) => dates,
                Err(error) if is_closed(&error) => {
                    self.fallback.tell(&images, &error, context);
                    return Ok(images);
                }
                Err(error) => return Err(error),
            };
            for image in &mut images {
                let known = image.tags.iter().filter_map(|tag| dates.get(tag));
                image.date = known.max_by_key(|date| date.time).copied().unwrap_or_default();
            }
            Ok(images)
        })
    }
}
