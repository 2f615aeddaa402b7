//! Mirantis Secure Registry: MSR 4 is a Harbor; MSR 2 and 3 (and Docker Trusted Registry before) have an API of their own.
//!
//! Rights of the credential: read-only access to the repositories; an access token of the account in place of its password is
//! better. For MSR 4 see [`harbor`](super::harbor).
//!
//! Cost: a request per 100 repositories and per 100 tags. The dates are when a tag was last changed.
//!
//! Source: the API reference of MSR 3.1 (`/api/v0`). What exactly moves `updatedAt` is not documented.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::connection::Connection;
use super::connector::{Capabilities, Connector, Wanted};
use super::definition::Registry;
use super::harbor::{Harbor, HarborSettings, Proven};
use super::listing::{self, Fallback, Images, Page};
use super::plain;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::model::digest::Digest;
use crate::model::record::{DateSource, ImageDate, ImageRecord};
use crate::net::api::{Api, Way};
use crate::net::client::{Client, Request};
use crate::net::identity::{IdentitySource, Issued};

impl Registry {
    /// A Mirantis Secure Registry, of any generation, at `url`.
    pub fn msr(url: impl Into<String>) -> Self {
        Self::at("msr", url)
    }
}

/// The kind `msr`.
pub(super) struct Vendor;

impl super::Vendor for Vendor {
    fn name(&self) -> &'static str {
        "msr"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["projects"]
    }

    fn identity(
        &self,
        registry: &Registry,
        client: &Client,
        repository: Option<&str>,
    ) -> Result<Arc<dyn IdentitySource>> {
        let (source, base) = (plain::identity(registry, repository)?, registry.base()?);
        let proven = Proven { source: Arc::clone(&source), client: client.clone(), base };
        Ok(Arc::new(ByGeneration { source, proven }))
    }

    fn connect(&self, registry: &Registry, connection: Connection) -> Result<Arc<dyn Connector>> {
        let projects = registry.settings::<HarborSettings>()?.projects;
        let base = registry.api()?.unwrap_or(registry.base()?);
        let api = Api::new(connection.session().clone(), base, Way::Plain);
        let harbor = Harbor::new(registry, connection.clone(), projects.clone())?;
        Ok(Arc::new(Msr {
            connection,
            api,
            namespaces: projects,
            harbor,
            is_harbor: OnceCell::new(),
            fallback: Fallback::new(
                "there are no dates, since the API of MSR does not answer",
                "check `api_url`, and that the account may read the repository",
            )
            .of_repositories(),
        }))
    }
}

/// Whether this is MSR 4, which answers as Harbor does.
async fn is_harbor(client: &Client, base: &url::Url, context: &Context) -> Result<bool> {
    #[derive(Deserialize)]
    struct Version {
        #[serde(rename = "version")]
        _version: String,
    }
    let mut url = base.clone();
    url.set_path(&format!("{}/api/version", url.path().trim_end_matches('/')));
    let answer = client.send(&Request::get(url), context).await?;
    if answer.status() != 200 {
        return Ok(false);
    }
    let body = answer.bytes(1 << 20, context).await?;
    Ok(serde_json::from_slice::<Version>(&body).is_ok())
}

/// MSR 4 takes a wrong password for nobody's, as Harbor does; older ones refuse it.
#[derive(Debug)]
struct ByGeneration {
    source: Arc<dyn IdentitySource>,
    proven: Proven,
}

impl IdentitySource for ByGeneration {
    fn identity<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Result<Issued>> {
        Box::pin(async move {
            match is_harbor(&self.proven.client, &self.proven.base, context).await? {
                true => self.proven.identity(context).await,
                false => self.source.identity(context).await,
            }
        })
    }
}

struct Msr {
    connection: Connection,
    api: Api,
    namespaces: Vec<String>,
    harbor: Harbor,
    is_harbor: OnceCell<bool>,
    fallback: Fallback,
}

#[derive(Deserialize)]
struct Repositories {
    #[serde(deserialize_with = "listing::list")]
    repositories: Vec<Repository>,
}

#[derive(Deserialize)]
struct Repository {
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tag {
    name: String,
    #[serde(default, deserialize_with = "listing::digest")]
    digest: Option<Digest>,
    created_at: Option<String>,
    updated_at: Option<String>,
    manifest: Option<Manifest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    #[serde(default, deserialize_with = "listing::digest")]
    digest: Option<Digest>,
    media_type: Option<String>,
    size: Option<u64>,
}

impl Msr {
    async fn is_harbor(&self, context: &Context) -> Result<bool> {
        let asked = async || is_harbor(self.connection.session().client(), self.api.base(), context).await;
        self.is_harbor.get_or_try_init(asked).await.copied()
    }

    /// A page, and the token of the next one, which stands in a header.
    async fn page(
        &self,
        path: &[&str],
        token: &str,
        context: &Context,
    ) -> Result<(crate::net::api::Answer, Option<String>)> {
        let mut query = vec![("pageSize", "100")];
        if !token.is_empty() {
            query.push(("pageStart", token));
        }
        let answer = self.api.get(self.api.url(path, &query)?, context).await?;
        let next =
            answer.header("x-next-page-start").filter(|next| !next.is_empty() && *next != token).map(str::to_owned);
        Ok((answer, next))
    }

    async fn names(&self, token: String, context: &Context) -> Result<Page<String, String>> {
        let (answer, next) = self.page(&["api", "v0", "repositories"], &token, context).await.map_err(|error| {
            Error::new(error.kind(), "MSR does not list its repositories for this credential")
                .with_hint(
                    "check the user name and the password or access token, and that the account may read repositories",
                )
                .because(error)
        })?;
        let listed = answer.json::<Repositories>()?.repositories;
        let is_wanted = |namespace: &String| self.namespaces.is_empty() || self.namespaces.contains(namespace);
        let names = listed.into_iter().filter(|repository| is_wanted(&repository.namespace));
        Ok(Page {
            entries: names.map(|repository| format!("{}/{}", repository.namespace, repository.name)).collect(),
            next,
        })
    }

    async fn tags(&self, repository: &str, context: &Context) -> Result<Vec<ImageRecord>> {
        let (namespace, name) = repository.split_once('/').ok_or_else(|| listing::no_such_repository(repository))?;
        let path = ["api", "v0", "repositories", namespace, name, "tags"];
        let mut pages = listing::pages(String::new(), |token: String| async move {
            let (answer, next) = self.page(&path, &token, context).await?;
            Ok(Page { entries: answer.json::<Option<Vec<Tag>>>()?.unwrap_or_default(), next })
        });
        let mut images = Images::of(repository);
        while let Some(page) = pages.next().await {
            for tag in page? {
                let (inner, media_type, size) = match tag.manifest {
                    Some(manifest) => (manifest.digest, manifest.media_type, manifest.size),
                    None => (None, None, None),
                };
                let Some(digest) = tag.digest.or(inner) else { continue };
                // Before 2.2 there is only `updatedAt`.
                let at = tag.updated_at.or(tag.created_at);
                let date = ImageDate::read(at.as_deref(), DateSource::Modified);
                if let Some(record) = images.tag(digest, &tag.name, date) {
                    record.media_type = media_type.unwrap_or_default();
                    record.size = size;
                }
            }
        }
        images.finish()
    }
}

impl Connector for Msr {
    fn capabilities(&self) -> Capabilities {
        // Those of MSR 4: older ones have less exact dates, and no images without a tag.
        Capabilities { untagged: true, ..Capabilities::new().with_dates(DateSource::Pushed) }
    }

    fn repositories<'a>(&'a self, wanted: &'a Wanted, context: &'a Context) -> BoxStream<'a, Result<String>> {
        let by_generation = async move {
            match self.is_harbor(context).await {
                Ok(true) => self.harbor.repositories(wanted, context),
                Ok(false) => {
                    listing::repositories(listing::pages(String::new(), move |token| self.names(token, context)))
                }
                Err(error) => Box::pin(stream::once(async { Err(error) })),
            }
        };
        Box::pin(stream::once(by_generation).flatten())
    }

    fn images<'a>(
        &'a self,
        repository: &'a str,
        wanted: &'a Wanted,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<ImageRecord>>> {
        Box::pin(async move {
            if self.is_harbor(context).await? {
                return self.harbor.images(repository, wanted, context).await;
            }
            let asked = self.tags(repository, context).await;
            self.fallback.or_v2(asked, &self.connection, repository, context).await
        })
    }
}
