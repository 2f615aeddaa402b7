//! Red Hat Quay and quay.io: tags and the time of their last push over its API, where an OAuth token opens that.
//!
//! Credentials, with the least rights:
//! - A robot account with *read* pulls and lists tags, but its password opens no API: there are no push dates then.
//! - An OAuth 2 access token with the scope *View repositories* (`repo:read`) has the dates. Alone (`{"token": …}`) it pulls too;
//!   beside a robot (`{"quay": {"username", "password", "token"}}`) each does what it is best at.
//!
//! Cost: a request per 100 repositories and per 100 tags with the token; without, one per tag.
//!
//! Source: Quay's API (`/api/v1/discovery`) and its source, `endpoints/api/{repository,tag}.py`.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::connection::Connection;
use super::connector::{Capabilities, Connector, Wanted};
use super::credential::{self, Credential};
use super::definition::Registry;
use super::listing::{self, Fallback, Images, Page};
use super::secret::Secret;
use super::{plain, v2};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::record::{DateSource, ImageDate, ImageRecord};
use crate::net::api::{Api, Way};
use crate::net::client::Client;
use crate::net::identity::{Identity, IdentitySource, Issued};
use crate::net::session::Session;

/// The user name that a token stands behind where Quay wants one.
const TOKEN_USER: &str = "$oauthtoken";

/// What only a Quay has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuaySettings {
    /// The organisations and users whose repositories are listed. Without any, those of the catalog, which quay.io has not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
}

impl Registry {
    /// A Quay at `url`; quay.io is `quay.io`.
    pub fn quay(url: impl Into<String>) -> Self {
        Self::at("quay", url)
    }
}

/// The kind `quay`.
pub(super) struct Vendor;

impl super::Vendor for Vendor {
    fn name(&self) -> &'static str {
        "quay"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["namespaces"]
    }

    fn owns(&self, host: &str) -> bool {
        host == "quay.io"
    }

    fn identity(&self, registry: &Registry, _: &Client, repository: Option<&str>) -> Result<Arc<dyn IdentitySource>> {
        let host = registry.host()?;
        match &registry.credential {
            Credential::Quay { username, password, .. } => {
                Ok(Arc::new(Account { username: username.clone(), secret: password.clone(), host }))
            }
            // Quay takes an OAuth token as a password only.
            Credential::Token { token } => {
                Ok(Arc::new(Account { username: TOKEN_USER.to_owned(), secret: token.clone(), host }))
            }
            _ => plain::identity(registry, repository),
        }
    }

    fn connect(&self, registry: &Registry, connection: Connection) -> Result<Arc<dyn Connector>> {
        let base = registry.api()?.unwrap_or(registry.base()?);
        let host = registry.host()?;
        let session = match &registry.credential {
            Credential::Quay { token: Some(token), .. } => {
                let source = Account { username: TOKEN_USER.to_owned(), secret: token.clone(), host };
                Session::new(connection.session().client().clone(), base.clone(), Arc::new(source))
            }
            _ => connection.session().clone(),
        };
        let api = Api::new(session, base, Way::Bearer);
        let namespaces = registry.settings::<QuaySettings>()?.namespaces;
        let fallback = Fallback::new(
            "there are no push dates, since Quay's API does not answer",
            "give an OAuth token with the scope repo:read, alone or beside the robot",
        );
        Ok(Arc::new(Quay { connection, api, namespaces, fallback: fallback.of_repositories() }))
    }
}

#[derive(Debug)]
struct Account {
    username: String,
    secret: Secret,
    host: String,
}

impl IdentitySource for Account {
    fn identity<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Result<Issued>> {
        Box::pin(async move {
            let password: Zeroizing<String> = self.secret.resolve(&self.host, context).await?;
            credential::basic(&self.username, password).map(Issued::for_good)
        })
    }
}

struct Quay {
    connection: Connection,
    api: Api,
    namespaces: Vec<String>,
    fallback: Fallback,
}

#[derive(Deserialize)]
struct Repositories {
    repositories: Vec<Repository>,
    next_page: Option<String>,
}

#[derive(Deserialize)]
struct Repository {
    namespace: String,
    name: String,
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Tags {
    tags: Vec<Tag>,
    #[serde(default)]
    has_additional: bool,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
    start_ts: Option<i64>,
    #[serde(default, deserialize_with = "listing::digest")]
    manifest_digest: Option<Digest>,
    size: Option<u64>,
}

impl Quay {
    /// Whether the API may be asked: by an OAuth token, or by nobody about what is public. Any other password is refused there.
    async fn may_ask(&self, context: &Context) -> Result<bool> {
        Ok(match self.api.session().identity(context).await? {
            Identity::Anonymous => true,
            Identity::Basic { username, .. } => username == TOKEN_USER,
            Identity::Bearer(_) | Identity::Refresh(_) => false,
        })
    }

    async fn names(
        &self,
        namespace: &str,
        next: Option<String>,
        context: &Context,
    ) -> Result<Page<String, Option<String>>> {
        let mut query = vec![("namespace", namespace)];
        if let Some(token) = &next {
            query.push(("next_page", token));
        }
        let url = self.api.url(&["api", "v1", "repository"], &query)?;
        let page: Repositories = self.api.get(url, context).await.map_err(refused)?.json()?;
        let images = page.repositories.into_iter().filter(|one| one.kind.as_deref().is_none_or(|kind| kind == "image"));
        let entries = images.map(|one| format!("{}/{}", one.namespace, one.name)).collect();
        let following = page.next_page.filter(|token| !token.is_empty() && Some(token) != next.as_ref());
        Ok(Page { entries, next: following.map(Some) })
    }

    /// Only the repositories of the namespaces that are wanted, from the catalog. For nobody Quay has an empty one, unless it is told to
    /// show what is public.
    fn catalog<'a>(&'a self, context: &'a Context) -> BoxStream<'a, Result<Vec<String>>> {
        let names = v2::repositories(&self.connection, context).map_ok(|name| vec![name]);
        let told = listing::unless_empty(Box::pin(names), move || async move {
            match self.connection.session().identity(context).await? {
                Identity::Anonymous => Err(Error::new(Kind::Unauthenticated, "Quay lists nothing for nobody")
                    .with("registry", self.connection.host())
                    .with_hint("set `namespaces`, name the repositories, or give a credential")),
                _ => Ok(()),
            }
        });
        let names = told.map_ok(|names| stream::iter(names.into_iter().map(Ok))).try_flatten();
        listing::of_parts(Box::pin(names), &self.namespaces, context)
    }

    /// The tags as they are now, newest first.
    async fn tags(&self, repository: &str, wanted: &Wanted, context: &Context) -> Result<Vec<ImageRecord>> {
        let (namespace, name) = repository.split_once('/').ok_or_else(|| listing::no_such_repository(repository))?;
        let mut pages = listing::pages(1_u32, |number| async move {
            let page = number.to_string();
            let query = [("onlyActiveTags", "true"), ("limit", "100"), ("page", page.as_str())];
            // A name of several parts is not one segment.
            let mut path = vec!["api", "v1", "repository", namespace];
            path.extend(name.split('/'));
            path.extend(["tag", ""]);
            let page: Tags = self.api.get(self.api.url(&path, &query)?, context).await.map_err(refused)?.json()?;
            let next = (page.has_additional && !page.tags.is_empty()).then_some(number + 1);
            // Where the newest is too old, all are, and no tag of an image that is given gets lost.
            let since = wanted.since.filter(|_| number == 1).map(|since| since.as_second());
            let newest = page.tags.iter().map(|tag| tag.start_ts).max().flatten();
            let is_old = page.tags.iter().all(|tag| tag.start_ts.is_some())
                && since.zip(newest).is_some_and(|(since, newest)| newest < since);
            Ok(if is_old { Page { entries: Vec::new(), next: None } } else { Page { entries: page.tags, next } })
        });
        let mut images = Images::of(repository);
        while let Some(page) = pages.next().await {
            for tag in page? {
                let Some(digest) = tag.manifest_digest else { continue };
                let date =
                    tag.start_ts.map_or_else(ImageDate::none, |at| ImageDate::of_seconds(at, DateSource::Pushed));
                if let Some(record) = images.tag(digest, &tag.name, date) {
                    record.size = tag.size;
                }
            }
        }
        images.finish()
    }
}

/// A token that Quay refuses is not a reason to go on without it.
fn refused(error: Error) -> Error {
    match error.kind() {
        Kind::Unauthenticated => Error::new(Kind::Unauthenticated, "Quay does not take this token at its API")
            .with_hint("give an OAuth 2 access token of an application, with the scope repo:read, that has not expired")
            .because(error),
        _ => error,
    }
}

impl Connector for Quay {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_dates(DateSource::Pushed)
    }

    fn repositories<'a>(&'a self, _: &'a Wanted, context: &'a Context) -> BoxStream<'a, Result<String>> {
        let listed = async move {
            if self.namespaces.is_empty() || !self.may_ask(context).await? {
                return Ok::<BoxStream<'a, Result<Vec<String>>>, Error>(self.catalog(context));
            }
            let each = stream::iter(&self.namespaces).map(move |namespace| {
                let pages = listing::pages(None, move |next| self.names(namespace, next, context));
                listing::of_part(pages, namespace, context)
            });
            Ok(Box::pin(each.flatten()))
        };
        listing::repositories(Box::pin(stream::once(listed).try_flatten()))
    }

    fn images<'a>(
        &'a self,
        repository: &'a str,
        wanted: &'a Wanted,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<ImageRecord>>> {
        Box::pin(async move {
            let asked = match self.may_ask(context).await? {
                true => self.tags(repository, wanted, context).await,
                false => Err(Error::new(Kind::PermissionDenied, "the password of a robot or a user opens no API")),
            };
            match asked {
                Err(error)
                    if error.kind() == Kind::Unauthenticated
                        && self.api.session().identity(context).await? != Identity::Anonymous =>
                {
                    Err(error)
                }
                asked => self.fallback.or_v2(asked, &self.connection, repository, context).await,
            }
        })
    }
}
