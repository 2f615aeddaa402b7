//! GitLab's container registry: repositories over GitLab's REST API, tags and their times over the registry's own.
//!
//! Credential: a user name with a personal, project or group access token as its password. Rights: `read_registry` pulls and lists
//! tags; listing repositories needs `read_api` too. A deploy token with `read_registry` lists the tags of repositories that are named, and
//! so does the token of a job, with its user `gitlab-ci-token`.
//!
//! The time of a push is known where the registry runs with its metadata database (GitLab.com, and self-managed ones that have it).
//! Without, a date is that of the build, and each tag costs a request.
//!
//! Cost: a request per 1000 tags, and one per project for its repositories; with `groups` one per 100 repositories.
//!
//! Source: GitLab's "Container registry API", and `docs/spec/gitlab/api.md` of its registry.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use http::HeaderName;
use http::header::ACCEPT;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use url::Url;

use super::connection::Connection;
use super::connector::{Capabilities, Connector, Wanted};
use super::definition::Registry;
use super::listing::{self, Fallback, Images, Page};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::record::{DateSource, ImageDate, ImageRecord};
use crate::net::api::{Api, Way};
use crate::net::client::Request;
use crate::net::identity::Identity;
use crate::net::link;
use crate::net::session::pull;

/// The user whose password is the token of a running job (`CI_JOB_TOKEN`).
const JOB: &str = "gitlab-ci-token";
/// The longest page of tags.
const MAX_PAGE: u64 = 16 << 20;

/// What only a GitLab has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GitlabSettings {
    /// The groups whose repositories are listed, with those of their subgroups; without any, those of all projects that the
    /// account is a member of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

impl Registry {
    /// The container registry of a GitLab at `url`, such as `registry.gitlab.com`.
    pub fn gitlab(url: impl Into<String>) -> Self {
        Self::at("gitlab", url)
    }
}

/// The kind `gitlab`.
pub(super) struct Vendor;

impl super::Vendor for Vendor {
    fn name(&self) -> &'static str {
        "gitlab"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["groups"]
    }

    fn owns(&self, host: &str) -> bool {
        host == "registry.gitlab.com"
    }

    fn connect(&self, registry: &Registry, connection: Connection) -> Result<Arc<dyn Connector>> {
        Ok(Arc::new(Gitlab {
            connection,
            named: registry.api()?,
            api: OnceCell::new(),
            groups: registry.settings::<GitlabSettings>()?.groups,
            fallback: Fallback::new(
                "there are no push dates, since this registry does not keep them",
                "the registry needs its metadata database for these; else the build dates have to do",
            ),
        }))
    }
}

struct Gitlab {
    connection: Connection,
    /// The address of GitLab itself, where the definition has it.
    named: Option<Url>,
    api: OnceCell<Api>,
    groups: Vec<String>,
    fallback: Fallback,
}

#[derive(Deserialize)]
struct Project {
    id: u64,
}

#[derive(Deserialize)]
struct Repository {
    path: String,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
    #[serde(default, deserialize_with = "listing::digest")]
    digest: Option<Digest>,
    media_type: Option<String>,
    size_bytes: Option<u64>,
    created_at: Option<String>,
    updated_at: Option<String>,
    published_at: Option<String>,
}

impl Gitlab {
    /// GitLab itself: as the definition names it, else where the registry gets its tokens from.
    async fn api(&self, context: &Context) -> Result<&Api> {
        let found = async || {
            let base = match &self.named {
                Some(base) => base.clone(),
                None => self.token_server(context).await?,
            };
            let session = self.connection.session();
            let header = match session.identity(context).await? {
                Identity::Basic { username, .. } if username == JOB => "job-token",
                _ => "private-token",
            };
            Ok::<_, Error>(Api::new(session.clone(), base, Way::Header(HeaderName::from_static(header))))
        };
        self.api.get_or_try_init(found).await
    }

    async fn token_server(&self, context: &Context) -> Result<Url> {
        let session = self.connection.session();
        let unknown = || {
            Error::new(Kind::Unsupported, "the registry does not say which GitLab it belongs to")
                .with("registry", self.connection.host())
                .with_hint("give the address of GitLab with `api_url`")
        };
        let realm = session.token_server(context).await?.ok_or_else(unknown)?;
        realm.check(session.base(), session.client(), context).await?;
        let mut url = realm.url;
        let path = url.path().strip_suffix("/jwt/auth").ok_or_else(unknown)?.to_owned();
        url.set_path(&path);
        url.set_query(None);
        Ok(url)
    }

    /// A page of a list of the REST API.
    async fn page<T: serde::de::DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        number: String,
        context: &Context,
    ) -> Result<Page<T, String>> {
        let api = self.api(context).await?;
        let mut params = vec![("per_page", "100"), ("page", number.as_str())];
        params.extend_from_slice(query);
        let answer = api.get(api.url(path, &params)?, context).await.map_err(|error| {
            Error::new(error.kind(), "GitLab does not list its repositories for this credential")
                .with_hint("give an access token with read_api and read_registry as the password, check `groups` and `api_url`, or name the repositories")
                .because(error)
        })?;
        let next = answer.header("x-next-page").map(str::trim).filter(|next| !next.is_empty() && *next != number);
        let next = next.map(str::to_owned);
        Ok(Page { entries: answer.json()?, next })
    }

    /// The repositories below a path; a project without a registry has none.
    fn below<'a>(&'a self, path: Vec<String>, context: &'a Context) -> BoxStream<'a, Result<Vec<String>>> {
        let path = Arc::new(path);
        let is_project = path.get(2).is_some_and(|part| part == "projects");
        let pages = listing::pages("1".to_owned(), move |number| {
            let path = Arc::clone(&path);
            async move {
                let segments: Vec<&str> = path.iter().map(String::as_str).collect();
                match self.page::<Repository>(&segments, &[], number, context).await {
                    Err(error) if is_project && matches!(error.kind(), Kind::NotFound | Kind::PermissionDenied) => {
                        Ok(Page { entries: Vec::new(), next: None })
                    }
                    done => done,
                }
            }
        });
        Box::pin(pages.map_ok(|page: Vec<Repository>| page.into_iter().map(|one| one.path).collect()))
    }

    /// The tags as the registry's own API lists them.
    async fn tags(&self, repository: &str, context: &Context) -> Result<Vec<ImageRecord>> {
        let session = self.connection.session();
        let base = session.base().as_str().trim_end_matches('/');
        let first = format!("{base}/gitlab/v1/repositories/{repository}/tags/list/?n=1000");
        let first = Url::parse(&first).map_err(|_| listing::no_such_repository(repository))?;
        let mut pages = listing::pages(first, |url: Url| async move {
            let request = Request::get(url).with(ACCEPT, "application/json")?;
            let answer = session.send(&request, Some(&pull(repository)), context).await?.success(context).await?;
            let next = link::next(answer.url(), answer.headers("link"));
            let body = answer.json(MAX_PAGE, context).await?;
            let entries: Vec<Tag> = serde_json::from_slice(&body).map_err(|error| {
                Error::new(Kind::Unsupported, "what answers is not GitLab's registry")
                    .with("repository", repository)
                    .because(error)
            })?;
            let next = next.filter(|_| !entries.is_empty());
            Ok(Page { entries, next })
        });
        let mut images = Images::of(repository);
        while let Some(page) = pages.next().await {
            for tag in page? {
                let Some(digest) = tag.digest else { continue };
                // Older versions leave it to us to take the later of the two.
                let at = tag.published_at.or(tag.updated_at).or(tag.created_at);
                let date = ImageDate::read(at.as_deref(), DateSource::Pushed);
                if let Some(record) = images.tag(digest, &tag.name, date) {
                    record.media_type = tag.media_type.unwrap_or_default();
                    record.size = tag.size_bytes;
                }
            }
        }
        images.finish()
    }
}

impl Connector for Gitlab {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_dates(DateSource::Pushed)
    }

    fn repositories<'a>(&'a self, _: &'a Wanted, context: &'a Context) -> BoxStream<'a, Result<String>> {
        let path =
            |kind: &str, id: String| ["api", "v4", kind, &id, "registry", "repositories"].map(str::to_owned).to_vec();
        if !self.groups.is_empty() {
            let each = stream::iter(&self.groups).map(move |group| self.below(path("groups", group.clone()), context));
            return listing::repositories(Box::pin(each.flatten()));
        }
        let query = [("membership", "true"), ("simple", "true"), ("order_by", "id"), ("sort", "asc")];
        let projects = listing::pages("1".to_owned(), move |number| async move {
            self.page::<Project>(&["api", "v4", "projects"], &query, number, context).await
        });
        let each = projects.map_ok(move |projects| {
            let lists =
                projects.into_iter().map(move |project| self.below(path("projects", project.id.to_string()), context));
            stream::iter(lists).flatten()
        });
        listing::repositories(Box::pin(each.try_flatten()))
    }

    fn images<'a>(
        &'a self,
        repository: &'a str,
        _: &'a Wanted,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<ImageRecord>>> {
        Box::pin(async move {
            let asked = self.tags(repository, context).await;
            self.fallback.or_v2(asked, &self.connection, repository, context).await
        })
    }
}
