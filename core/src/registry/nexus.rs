//! Sonatype Nexus Repository 3: Docker V2, and the times of its components over the REST API.
//!
//! Rights of the credential: *read* and *browse* on the Docker repository (`nx-repository-view-docker-<name>-read` and `-browse`).
//! The dates need the name of the repository: from an address such as `https://host/repository/<name>`, or in `repository_key`.
//! Where Docker has a port of its own, `api_url` names the address of Nexus itself.
//!
//! Cost: a request per 50 tags or so; without the API one per tag, and no dates. The date is when the manifest was last written;
//! in a proxy repository that is when it was cached.
//!
//! Source: the REST API of Nexus Repository 3 (`/service/rest/v1/search`).

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt as _};
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::connector::{Capabilities, Connector, Wanted};
use super::definition::Registry;
use super::listing::{self, Images, Notice, Page, is_closed};
use super::v2;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::record::{DateSource, ImageDate, ImageRecord};
use crate::net::api::{Api, Way};

/// What only a Nexus has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NexusSettings {
    /// The name of the Docker repository, where the address does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository_key: Option<String>,
}

impl Registry {
    /// A Nexus at `url`: `https://host/repository/<name>`, or the address that Docker clients use.
    pub fn nexus(url: impl Into<String>) -> Self {
        Self::at("nexus", url)
    }
}

/// The kind `nexus`.
pub(super) struct Vendor;

impl super::Vendor for Vendor {
    fn name(&self) -> &'static str {
        "nexus"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["repository_key"]
    }

    fn connect(&self, registry: &Registry, connection: Connection) -> Result<Arc<dyn Connector>> {
        let base = registry.base()?;
        let in_path = base.path().split_once("/repository/").map(|(front, name)| (front.to_owned(), name.to_owned()));
        let mut own = base;
        if let Some((front, _)) = &in_path {
            own.set_path(front);
        }
        let api = Api::new(connection.session().clone(), registry.api()?.unwrap_or(own), Way::Plain);
        let named = registry.settings::<NexusSettings>()?.repository_key.filter(|key| !key.is_empty());
        let key = named.or(in_path.map(|(_, name)| name.trim_matches('/').to_owned()));
        Ok(Arc::new(Nexus { connection, api, key, notice: Notice::default() }))
    }
}

struct Nexus {
    connection: Connection,
    api: Api,
    key: Option<String>,
    notice: Notice,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Components {
    items: Vec<Component>,
    continuation_token: Option<String>,
}

#[derive(Deserialize)]
struct Component {
    name: String,
    version: Option<String>,
    #[serde(default)]
    assets: Vec<Asset>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asset {
    #[serde(default)]
    path: String,
    #[serde(default)]
    checksum: Checksum,
    content_type: Option<String>,
    last_modified: Option<String>,
    blob_created: Option<String>,
}

#[derive(Default, Deserialize)]
struct Checksum {
    sha256: Option<String>,
}

impl Nexus {
    async fn page(&self, key: &str, name: &str, token: String, context: &Context) -> Result<Page<Component, String>> {
        let mut query = vec![("repository", key), ("format", "docker"), ("name", name)];
        if !token.is_empty() {
            query.push(("continuationToken", &token));
        }
        let url = self.api.url(&["service", "rest", "v1", "search"], &query)?;
        let page: Components = self.api.get(url, context).await?.json()?;
        let next = page.continuation_token.filter(|next| !next.is_empty() && *next != token);
        Ok(Page { entries: page.items, next })
    }

    /// The tags of an image; none where the API cannot say the digest of one of them.
    async fn tags(&self, key: &str, repository: &str, context: &Context) -> Result<Option<Vec<ImageRecord>>> {
        let mut pages = listing::pages(String::new(), |token| self.page(key, repository, token, context));
        let mut images = Images::of(repository);
        while let Some(page) = pages.next().await {
            for component in page?.into_iter().filter(|component| component.name == repository) {
                let Some(tag) = component.version.filter(|version| !version.starts_with("sha256:")) else { continue };
                let manifest = component.assets.iter().find(|asset| asset.path.contains("/manifests/"));
                let Some(manifest) = manifest else { return Ok(None) };
                let hex = manifest.checksum.sha256.as_deref().unwrap_or_default();
                let Ok(digest) = format!("sha256:{hex}").parse::<Digest>() else { return Ok(None) };
                let at = manifest.last_modified.as_deref().or(manifest.blob_created.as_deref());
                if let Some(record) = images.tag(digest, &tag, ImageDate::read(at, DateSource::Modified)) {
                    record.media_type = manifest.content_type.clone().unwrap_or_default();
                }
            }
        }
        images.finish().map(Some)
    }
}

impl Connector for Nexus {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_dates(DateSource::Modified)
    }

    fn repositories<'a>(&'a self, _: &'a Wanted, context: &'a Context) -> BoxStream<'a, Result<String>> {
        v2::repositories(&self.connection, context)
    }

    fn images<'a>(
        &'a self,
        repository: &'a str,
        _: &'a Wanted,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<ImageRecord>>> {
        Box::pin(async move {
            let asked = match &self.key {
                Some(key) => self.tags(key, repository, context).await,
                None => Err(Error::new(Kind::Unsupported, "the name of the repository is not known")),
            };
            match asked {
                Ok(Some(images)) if !images.is_empty() => return Ok(images),
                Ok(_) => {}
                Err(error) if is_closed(&error) => {
                    let hint = "name the repository (`repository_key`) and the address of Nexus (`api_url`), and allow browse and read";
                    self.notice.tell(
                        "there are no dates, since the API of Nexus is not asked or refuses",
                        &error,
                        hint,
                        context,
                    );
                }
                Err(error) => return Err(error),
            }
            v2::images(&self.connection, repository, context).await
        })
    }
}
