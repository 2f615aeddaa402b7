//! Sonatype Nexus Repository 3: Docker V2, and the times of its components over the REST API.
//!
//! Rights of the credential: *read* and *browse* on the Docker repository (`nx-repository-view-docker-<name>-read` and `-browse`).
//! The dates need the name of the repository: from an address such as `https://host/repository/<name>`, or in `repository_key`.
//! Where Docker has a port of its own, `api_url` names the address of Nexus itself.
//!
//! Cost: a request per 50 tags or so; without the API one per tag, and no dates. The date is when the manifest was last written;
//! in a proxy repository that is when it was cached. The search goes by an index that follows the store: of a hosted repository the tags
//! of Docker V2 are asked for beside it, a request per 1000, and one for each tag that the search does not know yet.
//!
//! Source: the REST API of Nexus Repository 3 (`/service/rest/v1/search`, `/service/rest/v1/repositories`).

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt as _};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::connection::Connection;
use super::connector::{Capabilities, Connector, Wanted};
use super::definition::Registry;
use super::listing::{self, Fallback, Images, Page, is_closed};
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
        let fallback = Fallback::new(
            "there are no dates, since the API of Nexus is not asked or refuses, or shows less than Docker V2",
            "name the repository (`repository_key`) and the address of Nexus (`api_url`), and allow browse and read",
        );
        Ok(Arc::new(Nexus { connection, api, key, is_hosted: OnceCell::new(), fallback }))
    }
}

struct Nexus {
    connection: Connection,
    api: Api,
    key: Option<String>,
    is_hosted: OnceCell<bool>,
    fallback: Fallback,
}

#[derive(Deserialize)]
struct Repository {
    name: String,
    #[serde(default)]
    r#type: String,
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

    /// The tags of an image. That there are none, or one without a digest, is for Docker V2 to say otherwise.
    async fn tags(&self, key: &str, repository: &str, context: &Context) -> Result<Vec<ImageRecord>> {
        let less = |message: &'static str| Error::new(Kind::NotFound, message).with("repository_key", key);
        let mut pages = listing::pages(String::new(), |token| self.page(key, repository, token, context));
        let (mut images, mut known) = (Images::of(repository), HashSet::new());
        while let Some(page) = pages.next().await {
            for component in page?.into_iter().filter(|component| component.name == repository) {
                let Some(tag) = component.version.filter(|version| !version.starts_with("sha256:")) else { continue };
                let manifest = component.assets.iter().find(|asset| asset.path.contains("/manifests/"));
                let Some(manifest) = manifest else { return Err(less("a tag is shown without its manifest")) };
                let hex = manifest.checksum.sha256.as_deref().unwrap_or_default();
                let Ok(digest) = format!("sha256:{hex}").parse::<Digest>() else {
                    return Err(less("a manifest is shown without its digest"));
                };
                known.insert(tag.clone());
                let at = manifest.last_modified.as_deref().or(manifest.blob_created.as_deref());
                if let Some(record) = images.tag(digest, &tag, ImageDate::read(at, DateSource::Modified)) {
                    record.media_type = manifest.content_type.clone().unwrap_or_default();
                }
            }
        }
        if known.is_empty() {
            return Err(less("no tag of this image is shown"));
        }
        if self.is_hosted(key, context).await? {
            self.others(repository, &known, &mut images, context).await?;
        }
        images.finish()
    }

    /// Whether everything that the repository lists lies in it: a proxy, and a group that has one, list what is elsewhere.
    async fn is_hosted(&self, key: &str, context: &Context) -> Result<bool> {
        let asked = async || {
            let url = self.api.url(&["service", "rest", "v1", "repositories"], &[])?;
            match self.api.get(url, context).await {
                Err(error) if is_closed(&error) => Ok(false),
                answer => {
                    let all: Vec<Repository> = answer?.json()?;
                    Ok(all.iter().any(|repository| repository.name == key && repository.r#type == "hosted"))
                }
            }
        };
        self.is_hosted.get_or_try_init(asked).await.copied()
    }

    /// The tags that the search does not know, without dates.
    async fn others(
        &self,
        repository: &str,
        known: &HashSet<String>,
        images: &mut Images<'_>,
        context: &Context,
    ) -> Result<()> {
        let mut tags = v2::tags(&self.connection, repository, context);
        while let Some(tag) = tags.next().await.transpose()? {
            if known.contains(&tag) {
                continue;
            }
            if let Some((digest, media_type)) = v2::head(&self.connection, repository, &tag, context).await?
                && let Some(record) = images.tag(digest, &tag, ImageDate::none())
            {
                record.media_type = media_type;
            }
        }
        Ok(())
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
            self.fallback.or_v2(asked, &self.connection, repository, context).await
        })
    }
}
