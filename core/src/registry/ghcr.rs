//! GitHub's registry (GHCR): pulled from as Docker V2, listed over GitHub's REST API, where its images are packages.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

use super::connection::Connection;
use super::connector::{Capabilities, Connector, Wanted};
use super::credential::Credential;
use super::definition::Registry;
use super::listing::{self, Images, Notice};
use super::plain;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::record::{DateSource, ImageDate, ImageRecord};
use crate::model::reference::is_repository;
use crate::net::api::{Answer, Api, Way};
use crate::net::client::Client;
use crate::net::identity::{Identity, IdentitySource, Issued};
use crate::net::session::Session;

/// Where the API is.
const API: &str = "https://api.github.com";

/// What a definition says besides what all have.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// The organisation or user whose packages are meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
}

impl Registry {
    /// The container packages of an organisation or a user of GitHub.
    pub fn ghcr(owner: impl Into<String>) -> Self {
        Self::of_vendor("ghcr", &Settings { owner: Some(owner.into()) })
    }
}

/// The kind `ghcr`.
pub(super) struct Vendor;

impl super::Vendor for Vendor {
    fn name(&self) -> &'static str {
        "ghcr"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["owner"]
    }

    fn owns(&self, host: &str) -> bool {
        host == "ghcr.io"
    }

    fn address(&self, _: &Registry) -> Result<String> {
        Ok("https://ghcr.io".to_owned())
    }

    fn identity(&self, registry: &Registry, _: &Client, repository: Option<&str>) -> Result<Arc<dyn IdentitySource>> {
        let plain = plain::identity(registry, repository)?;
        match &registry.credential {
            Credential::Token { .. } => Ok(Arc::new(AsPassword(plain))),
            _ => Ok(plain),
        }
    }

    fn connect(&self, registry: &Registry, connection: Connection) -> Result<Arc<dyn Connector>> {
        let owner = registry.settings::<Settings>()?.owner.unwrap_or_default().to_ascii_lowercase();
        if !owner.is_empty() && (!is_repository(&owner) || owner.contains('/')) {
            return Err(Error::new(Kind::InvalidInput, "this is not the name of an organisation or a user")
                .with("field", "owner")
                .with("value", owner.escape_debug()));
        }
        let base = registry.api_or(API)?;
        let source = self.identity(registry, connection.session().client(), None)?;
        let session = Session::new(connection.session().client().clone(), base.clone(), source);
        let is_nobody = connection.is_nobody();
        let api = Api::new(session, base, Way::Bearer);
        Ok(Arc::new(Ghcr { api, owner, is_nobody, connection, notice: Notice::default() }))
    }
}

/// The token server takes a personal access token as a password only, of whatever user.
#[derive(Debug)]
struct AsPassword(Arc<dyn IdentitySource>);

impl IdentitySource for AsPassword {
    fn identity<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Result<Issued>> {
        Box::pin(async move {
            let Issued { identity, until } = self.0.identity(context).await?;
            let identity = match identity {
                Identity::Bearer(password) => Identity::Basic { username: "token".to_owned(), password },
                identity => identity,
            };
            Ok(Issued { identity, until })
        })
    }
}

struct Ghcr {
    api: Api,
    owner: String,
    is_nobody: bool,
    connection: Connection,
    notice: Notice,
}

impl Ghcr {
    /// A page of packages or versions: of an organisation, else of a user.
    async fn page<T: DeserializeOwned>(
        &self,
        owner: &str,
        rest: &[&str],
        query: &[(&str, &str)],
        next: Option<Url>,
        context: &Context,
    ) -> Result<listing::Page<T, Option<Url>>> {
        let read = |answer: Answer| {
            let next = answer.next().map(Some);
            answer.json().map(|entries| listing::Page { entries, next })
        };
        if let Some(url) = next {
            return self.api.get(url, context).await.and_then(read);
        }
        let url = |kind| {
            let path: Vec<_> = [kind, owner, "packages"].into_iter().chain(rest.iter().copied()).collect();
            self.api.url(&path, query)
        };
        match self.api.get(url("orgs")?, context).await {
            Err(error) if error.kind() == Kind::NotFound => self.api.get(url("users")?, context).await.and_then(read),
            answer => answer.and_then(read),
        }
    }

    /// The images over the API. Each version of a package is a manifest; those without tags belong to an index, or to nobody.
    async fn versions(
        &self,
        owner: &str,
        package: &str,
        repository: &str,
        context: &Context,
    ) -> Result<Vec<ImageRecord>> {
        let path = ["container", package, "versions"];
        let query = [("state", "active"), ("per_page", "100")];
        let pages = listing::pages(None, |next| self.page::<Version>(owner, &path, &query, next, context));
        futures_util::pin_mut!(pages);
        let mut images = Images::of(repository);
        while let Some(page) = pages.try_next().await? {
            for Version { name, created_at, metadata } in page {
                let Ok(digest) = name.parse::<Digest>() else { continue };
                let date = ImageDate::read(created_at.as_deref(), DateSource::FirstPushed);
                for tag in &metadata.container.tags {
                    images.tag(digest.clone(), tag, date);
                }
            }
        }
        images.finish()
    }
}

impl Connector for Ghcr {
    fn capabilities(&self) -> Capabilities {
        if self.is_nobody {
            return Capabilities::new().without_repositories();
        }
        let capabilities = Capabilities::new().with_dates(DateSource::FirstPushed);
        if self.owner.is_empty() { capabilities.without_repositories() } else { capabilities }
    }

    fn prefix(&self) -> &str {
        &self.owner
    }

    fn repositories<'a>(&'a self, _: &'a Wanted, context: &'a Context) -> BoxStream<'a, Result<String>> {
        #[derive(Deserialize)]
        struct Package {
            name: String,
        }
        if self.is_nobody || self.owner.is_empty() {
            return stream::once(async {
                Err(Error::new(
                    Kind::Unsupported,
                    "the packages of GitHub are listed for an owner, and with a token only",
                )
                .with_hint("name the repositories, or give `owner` and a classic token with read:packages"))
            })
            .boxed();
        }
        listing::repositories(listing::pages(None, move |next| async move {
            let query = [("package_type", "container"), ("per_page", "100")];
            let page = self.page::<Package>(&self.owner, &[], &query, next, context).await;
            let page = page.map_err(|error| told(error).with("owner", &self.owner))?;
            let entries = page.entries.into_iter().map(|package| package.name.to_ascii_lowercase()).collect();
            Ok(listing::Page { entries, next: page.next })
        }))
    }

    fn images<'a>(
        &'a self,
        repository: &'a str,
        _: &'a Wanted,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<ImageRecord>>> {
        Box::pin(async move {
            let full =
                if self.owner.is_empty() { repository.to_owned() } else { format!("{}/{repository}", self.owner) };
            let over_v2 = async || listing::by_v2(&self.connection, &full, repository, context).await;
            let Some((owner, package)) = full.split_once('/').filter(|_| !self.is_nobody) else {
                // What is not there and what is private are refused alike.
                let listed = over_v2().await;
                return listed.map_err(|error| match is_closed(&error) {
                    true => listing::no_such_repository(repository).because(error),
                    false => error,
                });
            };
            let refused = match self.versions(owner, package, repository, context).await {
                Err(error) if is_closed(&error) => error,
                done => return done.map_err(|error| error.with("repository", repository)),
            };
            // A token that pulls may not have the right to ask the API: without dates, but complete. Where that does not work
            // either, the first reason is the one to tell.
            match over_v2().await {
                Ok(records) => {
                    let what = format!("no dates of pushes, of {full} and maybe others");
                    self.notice.tell(&what, &refused, "give a classic token with read:packages", context);
                    Ok(records)
                }
                Err(error) if error.kind() == Kind::Canceled => Err(error),
                Err(_) => Err(told(refused).with("repository", repository)),
            }
        })
    }
}

/// Whether the API does not show something: it says so in three ways.
fn is_closed(error: &Error) -> bool {
    matches!(error.kind(), Kind::NotFound | Kind::PermissionDenied | Kind::Unauthenticated)
}

/// A refusal in the words of GitHub.
fn told(error: Error) -> Error {
    if !is_closed(&error) {
        return error;
    }
    Error::new(error.kind(), "GitHub has no such packages, or this token may not see them")
        .with_hint("check the spelling; the token has to be a classic one with read:packages, and authorised for the organisation's single sign-on")
        .because(error)
}

#[derive(Deserialize)]
struct Version {
    name: String,
    created_at: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metadata {
    container: Container,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Container {
    tags: Vec<String>,
}
