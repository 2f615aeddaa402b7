//! Harbor, and what answers like it (MSR 4): repositories and artifacts over its API, with the push time of every tag.
//!
//! Rights of the credential: a user as guest of the project, or a robot with *list repository*, *list artifact* and *pull
//! repository*. With *pull repository* alone there are no dates, and each tag costs a request. The name of a robot is taken as
//! Harbor shows it (`robot$scan`, `robot$team+scan`); accounts of an OIDC provider use the CLI secret of their profile.
//!
//! Cost: a request per 100 repositories and per 100 artifacts. Reading lists leaves no traces in pull times.
//!
//! Source: the API of v2.15 (`api/v2.0/swagger.yaml`), and the recorded answers of a real one.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, TryStreamExt as _};
use http::header::AUTHORIZATION;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use super::connection::Connection;
use super::connector::{Capabilities, Connector, Wanted};
use super::definition::Registry;
use super::listing::{self, Fallback, Images, Notice, Page, is_closed};
use super::{plain, v2};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::record::{DateSource, ImageDate, ImageRecord};
use crate::net::api::{Api, Way};
use crate::net::client::{Client, Request};
use crate::net::identity::{Identity, IdentitySource, Issued};
use crate::net::{redact, session};

/// The largest page that Harbor gives.
const PAGE: usize = 100;
/// How often a list that shrinks while it is read is read again.
const RESTARTS: usize = 5;

/// What only a Harbor has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HarborSettings {
    /// The projects to list; all that the credential may see where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<String>,
}

impl Registry {
    /// A Harbor at `url`.
    pub fn harbor(url: impl Into<String>) -> Self {
        Self::at("harbor", url)
    }
}

/// The kind `harbor`.
pub(super) struct Vendor;

impl super::Vendor for Vendor {
    fn name(&self) -> &'static str {
        "harbor"
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
        let source = plain::identity(registry, repository)?;
        Ok(Arc::new(Proven { source, client: client.clone(), base: registry.base()? }))
    }

    fn connect(&self, registry: &Registry, connection: Connection) -> Result<Arc<dyn Connector>> {
        Ok(Arc::new(Harbor::new(registry, connection, registry.settings::<HarborSettings>()?.projects)?))
    }
}

/// An identity that Harbor has taken: a wrong password, a disabled or expired robot is nobody there, without an error, and
/// would get the public part for all.
#[derive(Debug)]
pub(super) struct Proven {
    pub(super) source: Arc<dyn IdentitySource>,
    pub(super) client: Client,
    pub(super) base: Url,
}

impl IdentitySource for Proven {
    fn identity<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Result<Issued>> {
        Box::pin(async move {
            let issued = self.source.identity(context).await?;
            prove(&self.client, &self.base, &issued.identity, context).await?;
            Ok(issued)
        })
    }
}

/// Shows a user name and a password, or a token, to `/v2/`, which is not open to nobody. Never retried: a wrong password locks the
/// user out for a moment.
async fn prove(client: &Client, base: &Url, identity: &Identity, context: &Context) -> Result<()> {
    let refused = || {
        Error::new(Kind::Unauthenticated, "Harbor does not take this credential")
            .with("registry", redact::url(base))
            .with_hint("give a user name and a password: check the name (a robot's as Harbor shows it, such as robot$team+scan), the secret, and that the robot is neither disabled nor expired")
    };
    let authorization = match identity {
        Identity::Anonymous => return Ok(()),
        // Harbor exchanges none, and would take it for nobody's.
        Identity::Refresh(_) => return Err(refused()),
        Identity::Bearer(token) => Some(Zeroizing::new(format!("Bearer {}", token.as_str()))),
        Identity::Basic { .. } => identity.basic(),
    };
    let request = Request::get(session::below(base, "")).with(AUTHORIZATION, &authorization.unwrap_or_default())?;
    let answer = client.send(&request, context).await?;
    if answer.status() != 401 {
        return answer.success(context).await.map(drop);
    }
    Err(refused().because(answer.refused(context).await))
}

/// The connector.
pub(super) struct Harbor {
    connection: Connection,
    api: Api,
    projects: Vec<String>,
    notice: Notice,
    fallback: Fallback,
}

#[derive(Deserialize)]
struct Repository {
    name: String,
}

#[derive(Deserialize)]
struct Artifact {
    #[serde(deserialize_with = "listing::digest")]
    digest: Option<Digest>,
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    manifest_media_type: String,
    size: Option<u64>,
    push_time: Option<String>,
    tags: Option<Vec<Tag>>,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
    push_time: Option<String>,
}

/// Where a list is read: how often it was begun again, which page, and how many entries there were at the page before.
#[derive(Clone, Copy, Default, Hash)]
struct Reading {
    restarts: usize,
    page: usize,
    total: Option<u64>,
}

impl Harbor {
    pub(super) fn new(registry: &Registry, connection: Connection, projects: Vec<String>) -> Result<Self> {
        let base = registry.api()?.unwrap_or(registry.base()?);
        let api = Api::new(connection.session().clone(), base, Way::Plain);
        let fallback = Fallback::new(
            "there are no push dates, since Harbor does not list artifacts for this credential",
            "give the robot the right to list artifacts (and repositories)",
        );
        Ok(Self { connection, api, projects, notice: Notice::default(), fallback })
    }

    /// The entries of a list, oldest first: what comes while we read comes at its end. Where something goes meanwhile, the pages
    /// shift and hide entries, so the list is read again; the caller drops what it has already.
    fn list<'a, T: DeserializeOwned + Send + 'a>(
        &'a self,
        path: Vec<String>,
        query: &'a [(&'a str, &'a str)],
        context: &'a Context,
    ) -> BoxStream<'a, Result<Vec<T>>> {
        let path = Arc::new(path);
        listing::pages(Reading { page: 1, ..Reading::default() }, move |at| {
            let path = Arc::clone(&path);
            async move {
                let (page, size) = (at.page.to_string(), PAGE.to_string());
                let mut params = vec![("page", page.as_str()), ("page_size", size.as_str()), ("sort", "id")];
                params.extend_from_slice(query);
                let segments: Vec<&str> = path.iter().map(String::as_str).collect();
                let answer = self.api.get(self.api.url(&segments, &params)?, context).await?;
                let entries: Vec<T> = answer.json()?;
                let total = answer.header("x-total-count").and_then(|total| total.trim().parse::<u64>().ok());
                let has_shrunk = at.page > 1 && total.is_some() && total < at.total;
                let is_last = match total {
                    Some(total) => at.page as u64 * PAGE as u64 >= total,
                    None => entries.len() < PAGE,
                };
                let next = match has_shrunk {
                    true if at.restarts >= RESTARTS => {
                        let message = "a list of Harbor shrinks again and again while it is read";
                        return Err(
                            Error::new(Kind::Unavailable, message).with_hint("try again when nothing is being deleted")
                        );
                    }
                    true => Some(Reading { restarts: at.restarts + 1, page: 1, total }),
                    false => (!entries.is_empty() && !is_last).then_some(Reading { page: at.page + 1, total, ..at }),
                };
                Ok(Page { entries, next })
            }
        })
    }

    /// The repositories below a path, with their projects in front.
    fn names<'a>(&'a self, path: &[&str], context: &'a Context) -> BoxStream<'a, Result<Vec<String>>> {
        let path = path.iter().map(|&segment| segment.to_owned()).collect();
        let pages = self.list::<Repository>(path, &[], context);
        Box::pin(pages.map_ok(|page| page.into_iter().map(|repository| repository.name).collect()))
    }

    /// All repositories, those of the projects that are wanted, or what else there is to be had.
    fn all<'a>(&'a self, context: &'a Context) -> BoxStream<'a, Result<Vec<String>>> {
        if self.projects.is_empty() {
            let everything = self.names(&["api", "v2.0", "repositories"], context);
            // Before 2.3 there is no list of all.
            return or_else(everything, move |error| {
                (error.kind() == Kind::NotFound).then(|| self.by_project(context))
            });
        }
        let each = stream::iter(&self.projects).map(move |project| {
            let listed = self.names(&["api", "v2.0", "projects", project, "repositories"], context);
            or_else(listed, move |error| {
                // Without the right to list them, a robot sees its repositories in the list of all.
                (error.kind() == Kind::PermissionDenied).then(|| {
                    let all = self.names(&["api", "v2.0", "repositories"], context);
                    let own = all.map_ok(move |mut names: Vec<String>| {
                        names.retain(|name| name.strip_prefix(project.as_str()).is_some_and(|rest| rest.starts_with('/')));
                        names
                    });
                    let refused = error.clone();
                    listing::unless_empty(Box::pin(own), move || async move {
                        Err(Error::new(Kind::PermissionDenied, "Harbor does not show this project")
                            .with("project", project)
                            .with_hint("check the name of the project, and give the credential the right to list its repositories")
                            .because(refused))
                    })
                })
            })
        });
        Box::pin(each.flatten())
    }

    /// Project by project, as before Harbor 2.3.
    fn by_project<'a>(&'a self, context: &'a Context) -> BoxStream<'a, Result<Vec<String>>> {
        let projects = self.names(&["api", "v2.0", "projects"], context);
        let names = projects.map_ok(|names| stream::iter(names.into_iter().map(Ok::<String, Error>))).try_flatten();
        let each = names
            .map_ok(move |project: String| self.names(&["api", "v2.0", "projects", &project, "repositories"], context));
        Box::pin(each.try_flatten())
    }

    /// The artifacts of a repository, with their tags.
    async fn artifacts(&self, repository: &str, context: &Context) -> Result<Vec<ImageRecord>> {
        let (project, name) = repository.split_once('/').ok_or_else(|| listing::no_such_repository(repository))?;
        // Harbor's front decodes once, and the slashes must get past it.
        let name = name.replace('/', "%2F");
        let path = ["api", "v2.0", "projects", project, "repositories", &name];
        let list = path.iter().chain(&["artifacts"]).map(|&segment| segment.to_owned()).collect();
        let query = [("with_tag", "true"), ("with_label", "false"), ("with_scan_overview", "false")];
        let mut pages = self.list::<Artifact>(list, &query, context);
        let mut images = Images::of(repository);
        let mut is_empty = true;
        while let Some(page) = pages.try_next().await? {
            is_empty &= page.is_empty();
            page.into_iter().for_each(|artifact| take(&mut images, artifact));
        }
        if is_empty {
            // The list of a repository that does not exist is empty too.
            self.api.get(self.api.url(&path, &[])?, context).await.map_err(|error| match error.kind() {
                Kind::NotFound => listing::no_such_repository(repository).because(error),
                _ => error,
            })?;
        }
        images.finish()
    }
}

/// Takes an artifact in: what Harbor knows to be something else, such as a chart, is left out.
fn take(images: &mut Images<'_>, artifact: Artifact) {
    let (Some(digest), "" | "IMAGE" | "UNKNOWN") = (artifact.digest, artifact.r#type.as_str()) else { return };
    for tag in artifact.tags.iter().flatten() {
        let date = ImageDate::read(tag.push_time.as_deref(), DateSource::Pushed);
        images.tag(digest.clone(), &tag.name, date);
    }
    let record = images.at(digest);
    record.media_type = artifact.manifest_media_type;
    record.size = artifact.size;
    if record.date.time.is_none() {
        record.date = ImageDate::read(artifact.push_time.as_deref(), DateSource::FirstPushed);
    }
}

/// A stream, or another one where it begins with an error that `other` has an answer to.
fn or_else<'a, T: Send + 'a>(
    mut stream: BoxStream<'a, Result<T>>,
    other: impl FnOnce(&Error) -> Option<BoxStream<'a, Result<T>>> + Send + 'a,
) -> BoxStream<'a, Result<T>> {
    let begun = async move {
        let first = stream.next().await;
        let replaced = match &first {
            Some(Err(error)) => other(error),
            _ => None,
        };
        replaced.unwrap_or_else(|| Box::pin(stream::iter(first).chain(stream)))
    };
    Box::pin(stream::once(begun).flatten())
}

fn is_unauthenticated<T>(asked: &Result<T>) -> bool {
    matches!(asked, Err(error) if error.kind() == Kind::Unauthenticated)
}

impl Connector for Harbor {
    fn capabilities(&self) -> Capabilities {
        Capabilities { untagged: true, ..Capabilities::new().with_dates(DateSource::Pushed) }
    }

    fn repositories<'a>(&'a self, _: &'a Wanted, context: &'a Context) -> BoxStream<'a, Result<String>> {
        let listed = or_else(self.all(context), move |error| {
            let is_gone = matches!(error.kind(), Kind::NotFound | Kind::Unsupported) && self.projects.is_empty();
            is_gone.then(|| {
                let what = "the API of Harbor does not answer, so the list is that of Docker V2";
                self.notice.tell(
                    what,
                    error,
                    "check `url` and `api_url`: the API is at https://host/api/v2.0",
                    context,
                );
                Box::pin(v2::repositories(&self.connection, context).map_ok(|name| vec![name])) as BoxStream<'a, _>
            })
        });
        // A password that is changed or a robot that ends while we read would leave the public part for all.
        let still_we = stream::once(async move {
            let session = self.connection.session();
            let identity = session.identity(context).await?;
            prove(session.client(), session.base(), &identity, context).await?;
            Ok(Vec::new())
        });
        listing::repositories(Box::pin(listed.chain(still_we)))
    }

    fn images<'a>(
        &'a self,
        repository: &'a str,
        _: &'a Wanted,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<ImageRecord>>> {
        Box::pin(async move {
            let asked = self.artifacts(repository, context).await;
            let is_nobody = match self.connection.session().identity(context).await? {
                Identity::Anonymous => true,
                // The password was changed, the robot has ended, or the user is locked for a moment, as after a wrong password:
                // that says nothing about the repository.
                Identity::Basic { .. } if is_unauthenticated(&asked) => return asked,
                _ => false,
            };
            let images = self.fallback.or_v2(asked, &self.connection, repository, context).await;
            images.map_err(|refused| match is_closed(&refused) {
                // Harbor refuses in the same way what is not there and what is not for us.
                true if is_nobody || refused.kind() != Kind::Unauthenticated => {
                    listing::no_such_repository(repository).because(refused)
                }
                _ => refused,
            })
        })
    }
}
