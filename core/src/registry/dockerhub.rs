//! Docker Hub: pulled from as Docker V2, listed over its own API, whose token is another one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use super::connection::Connection;
use super::connector::{Capabilities, Connector, Wanted};
use super::credential::Credential;
use super::definition::{self, Registry};
use super::listing::{self, Images, Notice};
use super::{json, plain, v2};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::event::Event;
use crate::model::record::{DateSource, ImageDate, ImageRecord};
use crate::model::reference::is_repository;
use crate::net::api::{Api, Way};
use crate::net::client::{Client, Request};
use crate::net::identity::{Identity, IdentitySource, Issued};
use crate::net::redact;
use crate::net::session::{Session, pull};
use crate::select::Naming;

/// Where the API is.
const API: &str = "https://hub.docker.com";
/// How long a login is used; it holds ten minutes.
const LOGIN: Duration = Duration::from_secs(9 * 60);
/// Whose repositories have one segment.
const OFFICIAL: &str = "library";

/// What a definition says besides what all have.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// The accounts and organisations to list; those of the login where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    namespaces: Vec<String>,
}

impl Registry {
    /// Docker Hub, listing these accounts and organisations; without any, those of the credential.
    pub fn dockerhub(namespaces: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::of_vendor("dockerhub", &Settings { namespaces: namespaces.into_iter().map(Into::into).collect() })
    }
}

/// The kind `dockerhub`.
pub(super) struct Vendor;

impl super::Vendor for Vendor {
    fn name(&self) -> &'static str {
        "dockerhub"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["namespaces"]
    }

    fn owns(&self, host: &str) -> bool {
        host == "registry-1.docker.io" || definition::HUB_NAMES.contains(&host)
    }

    fn address(&self, _: &Registry) -> Result<String> {
        Ok("https://registry-1.docker.io".to_owned())
    }

    fn identity(&self, registry: &Registry, _: &Client, repository: Option<&str>) -> Result<Arc<dyn IdentitySource>> {
        match &registry.credential {
            credential @ Credential::DockerHub { .. } => plain::source(credential.clone(), registry, repository),
            _ => plain::identity(registry, repository),
        }
    }

    fn limits<'a>(&'a self, session: &'a Session, context: &'a Context) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async move {
            // The image that Docker has for this. A HEAD does not count as a pull.
            let url = session.url("ratelimitpreview/test/manifests/latest");
            let answer = session.send(&Request::head(url), Some(&pull("ratelimitpreview/test")), context).await;
            match answer {
                Ok(answer) if answer.status() == 200 => Ok(pulls(|name| answer.header(name))),
                Err(error) if error.kind() == Kind::Canceled => Err(error),
                // None are left: the refusal tells the same as an answer.
                Err(error) => Ok(pulls(|name| error.context().find(|(key, _)| *key == name).map(|(_, value)| value))
                    .filter(|_| error.kind() == Kind::RateLimited)),
                Ok(_) => Ok(None),
            }
        })
    }

    fn connect(&self, registry: &Registry, connection: Connection) -> Result<Arc<dyn Connector>> {
        let Settings { namespaces } = registry.settings()?;
        if let Some(name) = namespaces.iter().find(|name| !is_repository(name) || name.contains('/')) {
            return Err(Error::new(Kind::InvalidInput, "this is not the name of an account")
                .with("field", "namespaces")
                .with("value", name.escape_debug()));
        }
        let base = registry.api_or(API)?;
        let login = Login { connection: connection.clone(), base: base.clone() };
        let session = Session::new(connection.session().client().clone(), base.clone(), Arc::new(login));
        let can_list = !namespaces.is_empty() || !connection.is_nobody();
        let api = Api::new(session, base, Way::Plain);
        Ok(Arc::new(Hub { api, connection, namespaces, can_list, notice: Notice::default() }))
    }
}

/// How many pulls are left: `ratelimit-remaining: 76;w=21600` is 76 in six hours; without it there is no limit. None where it is
/// written in another way.
fn pulls<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
    let read = |value: &str| -> Option<(u64, u64)> {
        let (count, window) = value.split_once(";w=")?;
        Some((count.trim().parse().ok()?, window.trim().parse().ok()?))
    };
    match (header("ratelimit-limit"), header("ratelimit-remaining")) {
        (None, None) => Some("pulls are not counted".to_owned()),
        (limit, left) => {
            let ((limit, window), (left, _)) = (read(limit?)?, read(left?)?);
            Some(format!("{left} of {limit} pulls in {} h are left", window.div_ceil(3600)))
        }
    }
}

/// The login at the API, with the user name and password that the registry's token server gets too.
#[derive(Debug)]
struct Login {
    connection: Connection,
    base: Url,
}

impl Login {
    /// A token of the API; none where it refuses the password.
    async fn token(&self, identifier: &str, secret: &str, context: &Context) -> Result<Result<Identity, Error>> {
        #[derive(Serialize)]
        struct Question<'a> {
            identifier: &'a str,
            secret: &'a str,
        }
        #[derive(Deserialize)]
        struct Answer {
            access_token: Zeroizing<String>,
        }
        let question = serde_json::to_vec(&Question { identifier, secret });
        let question = question.map_err(|error| Error::new(Kind::Internal, "no JSON").because(error))?;
        let url = self.base.join("/v2/auth/token").map_err(json::no_address)?;
        let request = Request::post(url, question).with(CONTENT_TYPE, "application/json")?;
        let response = self.connection.session().client().send(&request, context).await?;
        if matches!(response.status(), 400 | 401 | 403) {
            return Ok(Err(response.refused(context).await));
        }
        let answer: Answer = json::read(response.success(context).await?, context).await?;
        Ok(Ok(Identity::Bearer(answer.access_token)))
    }
}

impl IdentitySource for Login {
    fn identity<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Result<Issued>> {
        Box::pin(async move {
            let session = self.connection.session();
            let (mut who, mut has_renewed) = (session.identity(context).await?, false);
            loop {
                let (username, password) = match &who {
                    Identity::Basic { username, password } => (username, password),
                    Identity::Anonymous => return Ok(Issued::for_good(Identity::Anonymous)),
                    Identity::Bearer(_) | Identity::Refresh(_) => {
                        context.emit(Event::Notice {
                            message: "the token of this login does not open the API of Docker Hub: private repositories are not listed"
                                .to_owned(),
                            hint: "give the name of the account and an access token".to_owned(),
                        });
                        return Ok(Issued::for_good(Identity::Anonymous));
                    }
                };
                let refused = match self.token(username, password, context).await? {
                    Ok(identity) => return Ok(Issued { identity, until: Some(Instant::now() + LOGIN) }),
                    Err(refused) => refused,
                };
                // The password may have been changed meanwhile.
                let another = if has_renewed { None } else { session.renewed(&who, context).await? };
                match another {
                    Some(another) => (who, has_renewed) = (another, true),
                    None => {
                        return Err(Error::new(Kind::Unauthenticated, "Docker Hub refuses the login")
                            .with("user", redact::text(username))
                            .with_hint("check the name of the account, and the access token: it may have been revoked")
                            .because(refused));
                    }
                }
            }
        })
    }
}

struct Hub {
    api: Api,
    connection: Connection,
    namespaces: Vec<String>,
    can_list: bool,
    notice: Notice,
}

/// A page of the API.
#[derive(Deserialize)]
struct Page<T> {
    next: Option<String>,
    results: Vec<T>,
}

impl Hub {
    /// The accounts and organisations to list.
    async fn namespaces(&self, context: &Context) -> Result<Vec<String>> {
        if !self.namespaces.is_empty() {
            return Ok(self.namespaces.clone());
        }
        let Identity::Basic { username, .. } = self.connection.session().identity(context).await? else {
            return Err(Error::new(Kind::Unsupported, "Docker Hub cannot be listed as a whole").with_hint(
                "name the accounts with `namespaces`, name the repositories, or give the credential of an account",
            ));
        };
        #[derive(Deserialize)]
        struct Answer {
            namespaces: Vec<String>,
        }
        // Not a documented part of the API: without it the account alone is listed.
        let answer = self.api.get(self.api.url(&["v2", "repositories", "namespaces"], &[])?, context).await;
        match answer.and_then(|answer| answer.json::<Answer>()) {
            Ok(answer) => Ok(answer.namespaces.into_iter().filter(|name| is_repository(name)).collect()),
            // An access token may not ask for this at all.
            Err(error) if error.kind() == Kind::PermissionDenied => {
                let hint = "name the organisations with `namespaces`, if there are any";
                self.notice.tell("the account alone is listed", &error, hint, context);
                Ok(vec![username])
            }
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Corrupt | Kind::Unsupported) => {
                Ok(vec![username])
            }
            Err(error) => Err(error),
        }
    }

    /// One page; none behind the last one, which some lists name nevertheless.
    async fn page<T: for<'de> Deserialize<'de>>(
        &self,
        first: &[&str],
        next: Option<Url>,
        context: &Context,
    ) -> Result<listing::Page<T, Option<Url>>> {
        let (is_first, url) = match next {
            Some(url) => (false, url),
            None => (true, self.api.url(first, &[("page", "1"), ("page_size", "100")])?),
        };
        let answer = match self.api.get(url, context).await {
            Err(error) if error.kind() == Kind::NotFound && !is_first => {
                return Ok(listing::Page { entries: Vec::new(), next: None });
            }
            answer => answer?,
        };
        let page: Page<T> = answer.json()?;
        let next = page.next.and_then(|next| answer.next_at(&next));
        Ok(listing::Page { entries: page.results, next: next.map(Some) })
    }
}

impl Connector for Hub {
    fn naming(&self, _: &str) -> Naming {
        Naming::docker_hub()
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities = Capabilities::new().with_dates(DateSource::Pushed);
        if self.can_list { capabilities } else { capabilities.without_repositories() }
    }

    fn repositories<'a>(&'a self, _: &'a Wanted, context: &'a Context) -> BoxStream<'a, Result<String>> {
        #[derive(Deserialize)]
        struct Repository {
            name: String,
        }
        let of_namespace = move |namespace: String| {
            listing::pages(None, move |next| {
                let namespace = namespace.clone();
                async move {
                    let path = ["v2", "namespaces", &namespace, "repositories"];
                    let page = self.page::<Repository>(&path, next, context).await;
                    let listing::Page { entries, next } =
                        page.map_err(|error| about(error, "namespace", &namespace))?;
                    let entries =
                        entries.into_iter().map(|Repository { name }| format!("{namespace}/{name}")).collect();
                    Ok(listing::Page { entries, next })
                }
            })
        };
        let namespaces = async move {
            let names = self.namespaces(context).await?;
            Ok::<_, Error>(stream::iter(names.into_iter().map(Ok::<_, Error>)))
        };
        let pages = stream::once(namespaces).try_flatten().map_ok(of_namespace).try_flatten();
        listing::repositories(pages.boxed())
    }

    fn images<'a>(
        &'a self,
        repository: &'a str,
        _: &'a Wanted,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<ImageRecord>>> {
        Box::pin(async move {
            let (namespace, name) = repository.split_once('/').unwrap_or((OFFICIAL, repository));
            let path = ["v2", "namespaces", namespace, "repositories", name, "tags"];
            let pages = listing::pages(None, |next| self.page::<Tag>(&path, next, context));
            futures_util::pin_mut!(pages);
            let mut images = Images::of(repository);
            while let Some(page) = pages.try_next().await.map_err(|error| about(error, "repository", repository))? {
                for tag in page.into_iter().filter(Tag::is_image) {
                    let (digest, media_type) = match tag.digest {
                        Some(digest) => (digest, tag.media_type.unwrap_or_default()),
                        // Tags from years ago say nothing of their digest. A HEAD does not count as a pull.
                        None => match v2::head(&self.connection, &format!("{namespace}/{name}"), &tag.name, context)
                            .await?
                        {
                            Some(found) => found,
                            None => continue,
                        },
                    };
                    let pushed = tag.tag_last_pushed.or(tag.last_updated);
                    let date = ImageDate::read(pushed.as_deref(), DateSource::Pushed);
                    if let Some(record) = images.tag(digest, &tag.name, date) {
                        record.media_type = media_type;
                        record.size = tag.full_size;
                    }
                }
            }
            images.finish()
        })
    }
}

/// A failed list, told in the words of Docker Hub.
fn about(error: Error, key: &'static str, value: &str) -> Error {
    if error.kind() != Kind::NotFound {
        return error.with(key, value);
    }
    Error::new(
        Kind::NotFound,
        "Docker Hub has nothing of this name, or it is private and this credential may not see it",
    )
    .with(key, value)
    .with_hint("check the spelling, and that the access token may read private repositories")
    .because(error)
}

#[derive(Deserialize)]
struct Tag {
    name: String,
    #[serde(default, deserialize_with = "listing::digest")]
    digest: Option<Digest>,
    media_type: Option<String>,
    content_type: Option<String>,
    full_size: Option<u64>,
    tag_last_pushed: Option<String>,
    last_updated: Option<String>,
}

impl Tag {
    /// Whether it is an image, and no plugin or chart.
    fn is_image(&self) -> bool {
        self.content_type.as_deref().is_none_or(|kind| kind.is_empty() || kind == "image")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pull_limits_are_read() {
        let header = |name: &str| match name {
            "ratelimit-limit" => Some("100;w=21600"),
            "ratelimit-remaining" => Some("76;w=21600"),
            _ => None,
        };
        assert_eq!(pulls(header).as_deref(), Some("76 of 100 pulls in 6 h are left"));
        assert_eq!(pulls(|_| None).as_deref(), Some("pulls are not counted"));
        assert_eq!(pulls(|_| Some("x;w=y")), None);
    }
}
