//! JFrog Artifactory: repositories over its Docker API, images and their dates by queries in its query language (AQL).
//!
//! Rights of the credential: *read* on the Docker repositories; no administrator is needed, and AQL is open to every user who is
//! signed in. Take a user name with its password, or better an access token: as the password of its user, or alone.
//!
//! Cost: a request per repository key and per 500 images, and one query an image name. The queries run one after the other, since
//! Artifactory allows three at once for everybody. Where only what is new is wanted, that query asks for what is new alone: a name
//! with nothing new costs few bytes and a page of its tags, and one with something new a second query, for all its tags.
//!
//! Only queries that our renderer prints are sent: the language can also delete.
//!
//! The date is when the manifest was last written (`modified`); in the cache of a remote repository that is when it was cached.
//!
//! Source: the REST API reference and "Artifactory Query Language" of JFrog's documentation.

mod layout;
mod query;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::Deserialize;
use url::Url;

pub use self::layout::{ArtifactoryAccess, ArtifactorySettings};

use self::layout::{Layout, is_key};
use self::query::Row;
use super::connection::Connection;
use super::connector::{Capabilities, Connector, Wanted};
use super::definition::Registry;
use super::listing::{self, Notice, Page, is_closed};
use super::v2;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::event::Event;
use crate::model::record::{DateSource, ImageRecord};
use crate::model::reference::is_repository;
use crate::net::api::{Api, Way};
use crate::select::Naming;
use crate::select::aql::Listing;

/// How many names a page of the catalog has.
const PAGE: usize = 500;

impl Registry {
    /// An Artifactory at `url`, its repositories reached by path.
    pub fn artifactory(url: impl Into<String>) -> Self {
        Self::at("artifactory", url)
    }
}

/// The kind `artifactory`.
pub(super) struct Vendor;

impl super::Vendor for Vendor {
    fn name(&self) -> &'static str {
        "artifactory"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["access", "context", "repository_key"]
    }

    fn owns(&self, host: &str) -> bool {
        // One label in front: that of the tenant.
        host.strip_suffix(".jfrog.io").is_some_and(|tenant| {
            let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            !tenant.is_empty() && tenant.bytes().all(is_letter) && !tenant.starts_with('-') && !tenant.ends_with('-')
        })
    }

    fn base(&self, registry: &Registry, url: Url) -> Result<Url> {
        Ok(Layout::of(registry, url)?.v2)
    }

    fn connect(&self, registry: &Registry, connection: Connection) -> Result<Arc<dyn Connector>> {
        // The base is worked out already; working it out again changes nothing.
        let layout = Layout::of(registry, registry.base()?)?;
        let api = Api::new(connection.session().clone(), layout.api, Way::Plain);
        Ok(Arc::new(Artifactory {
            connection,
            api,
            key: layout.key,
            is_key_in_path: layout.is_key_in_path,
            one_query: tokio::sync::Mutex::new(()),
            shown: Mutex::default(),
            notice: Notice::default(),
        }))
    }
}

struct Artifactory {
    connection: Connection,
    api: Api,
    key: Option<String>,
    is_key_in_path: bool,
    one_query: tokio::sync::Mutex<()>,
    /// The keys whose rows this credential has seen, so that a query without rows means that there is nothing.
    shown: Mutex<HashSet<String>>,
    notice: Notice,
}

#[derive(Deserialize)]
struct Repository {
    key: String,
    #[serde(default)]
    r#type: String,
}

#[derive(Deserialize)]
struct Catalog {
    #[serde(deserialize_with = "listing::list")]
    repositories: Vec<String>,
}

impl Artifactory {
    /// The keys of the Docker repositories that may be read. The members of virtual ones are listed themselves.
    async fn keys(&self, context: &Context) -> Result<Vec<String>> {
        if let Some(key) = &self.key {
            return Ok(vec![key.clone()]);
        }
        let mut keys = Vec::new();
        for package in ["docker", "oci"] {
            let url = self.api.url(&["api", "repositories"], &[("packageType", package)])?;
            let listed = match self.api.get(url, context).await {
                // Older ones do not know the type.
                Err(error) if package == "oci" && error.kind() == Kind::Unsupported => continue,
                listed => listed.map_err(|error| {
                    Error::new(error.kind(), "Artifactory does not list its repositories for this credential")
                        .with_hint("check the credential, `context` and `api_url`; or give the key of the repository with `repository_key`")
                        .because(error)
                })?,
            };
            let listed = listed.json::<Vec<Repository>>()?.into_iter().filter(|one| one.r#type != "VIRTUAL");
            let (named, others): (Vec<_>, Vec<_>) =
                listed.map(|one| one.key).partition(|key| is_key(key) && is_repository(key));
            keys.extend(named);
            for key in others {
                context.emit(Event::Notice {
                    message: format!(
                        "the repository {} is left out: it cannot stand in the path of an image",
                        key.escape_debug()
                    ),
                    hint: "list it by an address of its own: https://host/artifactory/api/docker/<key>".to_owned(),
                });
            }
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    /// A page of the image names of one repository. Artifactory counts: `last` is how many names came before.
    async fn catalog(&self, key: &str, last: usize, context: &Context) -> Result<Page<String, usize>> {
        let (size, from) = (PAGE.to_string(), last.to_string());
        let mut query = vec![("n", size.as_str())];
        if last > 0 {
            query.push(("last", from.as_str()));
        }
        let url = self.api.url(&["api", "docker", key, "v2", "_catalog"], &query)?;
        let names = self.api.get(url, context).await?.json::<Catalog>()?.repositories;
        let next = (!names.is_empty()).then(|| last + names.len());
        Ok(Page { entries: names, next })
    }

    /// The image names of one repository; where its catalog fails, as that of a remote one whose upstream refuses, by a query.
    fn names<'a>(&'a self, key: String, context: &'a Context) -> BoxStream<'a, Result<Vec<String>>> {
        let key = Arc::new(key);
        let of = Arc::clone(&key);
        let mut seen = std::collections::HashSet::new();
        let pages = listing::pages(0, move |last| {
            let key = Arc::clone(&of);
            async move { self.catalog(&key, last, context).await }
        });
        // A server that does not count would begin again and again.
        let mut pages = Box::pin(pages.try_take_while(move |names: &Vec<String>| {
            let is_new = names.iter().fold(false, |is_new, name| seen.insert(name.clone()) | is_new);
            std::future::ready(Ok(is_new))
        }));
        let shown = Arc::clone(&key);
        let begun = async move {
            let first = pages.next().await;
            match first {
                Some(Err(error)) if is_closed(&error) => {
                    let by_query = self.names_by_query(&key, context).await.map_err(|refused| {
                        Error::new(
                            refused.kind(),
                            "Artifactory does not list the images of a repository for this credential",
                        )
                        .with("repository_key", &*key)
                        .with_hint("check the key of the repository, and give the credential the right to read it")
                        .because(error)
                    });
                    Box::pin(stream::once(async { by_query })) as BoxStream<'a, _>
                }
                first => Box::pin(stream::iter(first).chain(pages)),
            }
        };
        let in_path = self.is_key_in_path && self.key.is_none();
        Box::pin(stream::once(begun).flatten().map_ok(move |names| match in_path {
            true => names.into_iter().map(|name| format!("{shown}/{name}")).collect(),
            false => names,
        }))
    }

    async fn names_by_query(&self, key: &str, context: &Context) -> Result<Vec<String>> {
        let rows = self.rows(Listing::of(key).names(), Timestamp::now(), context).await?;
        let mut names: Vec<_> = rows.iter().filter_map(|row| Some(row.place()?.0.to_owned())).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// The rows of an image that a query gives; those of images further down its path are left out.
    async fn rows_of(
        &self,
        place: Place<'_>,
        listing: Listing<'_>,
        now: Timestamp,
        context: &Context,
    ) -> Result<Vec<Row>> {
        let mut rows = self.rows(listing, now, context).await?;
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if !rows.is_empty() && !shown.contains(place.key) {
            shown.insert(place.key.to_owned());
        }
        rows.retain(|row| row.place().is_some_and(|(image, _)| image == place.image));
        Ok(rows)
    }

    /// The images of one name, by queries.
    async fn by_query(&self, place: Place<'_>, wanted: &Wanted, context: &Context) -> Result<Asked> {
        let now = Timestamp::now();
        let all = Listing::of(place.key).image(place.image);
        let meant = all.criteria(wanted.criteria.as_ref());
        // An image counts with all its tags, and its date is that of the latest: so either dates or tags can say that there is none.
        let first = match wanted.since {
            Some(_) => meant.since(wanted.since),
            None => meant.tags(&wanted.tags),
        };
        let is_narrow = wanted.since.is_some() || !wanted.tags.is_all() || wanted.criteria.is_some();
        let mut rows = self.rows_of(place, first, now, context).await?;
        if rows.is_empty() {
            // There is nothing that is meant, or nothing at all, or nothing that this credential may see.
            let is_shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner).contains(place.key);
            return Ok(match is_narrow {
                true if is_shown => Asked::Nothing,
                true if self.is_there(place, context).await? => Asked::Images(Vec::new()),
                _ => Asked::Unseen,
            });
        }
        if wanted.since.is_some() || !wanted.tags.is_all() {
            rows = self.rows_of(place, meant, now, context).await?;
        }
        let images = query::images(&rows, place, wanted.criteria.as_ref(), now);
        Ok(images.map_or(Asked::NoDigests, Asked::Images))
    }

    /// Whether a query for all shows anything of a name.
    async fn is_there(&self, place: Place<'_>, context: &Context) -> Result<bool> {
        let all = Listing::of(place.key).image(place.image);
        Ok(!self.rows_of(place, all, Timestamp::now(), context).await?.is_empty())
    }

    /// The name of a repository in Docker V2.
    fn path(&self, repository: &str) -> String {
        match self.prefix() {
            "" => repository.to_owned(),
            key => format!("{key}/{repository}"),
        }
    }
}

/// Where an image lies.
#[derive(Clone, Copy)]
struct Place<'a> {
    key: &'a str,
    image: &'a str,
    /// As our listing names it.
    repository: &'a str,
}

/// What queries say of one name.
enum Asked {
    /// These images.
    Images(Vec<ImageRecord>),
    /// None that is meant, of a name that may not exist.
    Nothing,
    /// No rows: there is no such image, or none that this credential may see.
    Unseen,
    /// Rows without digests, as before version 5.5.
    NoDigests,
}

impl Connector for Artifactory {
    fn naming(&self, host: &str) -> Naming {
        Naming::below(host, self.prefix()).with_wildcards()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_dates(DateSource::Modified)
    }

    fn prefix(&self) -> &str {
        self.key.as_deref().filter(|_| self.is_key_in_path).unwrap_or_default()
    }

    fn repositories<'a>(&'a self, _: &'a Wanted, context: &'a Context) -> BoxStream<'a, Result<String>> {
        if self.key.is_none() && !self.is_key_in_path {
            return v2::repositories(&self.connection, context);
        }
        let keys =
            async move { self.keys(context).await.map(|keys| stream::iter(keys.into_iter().map(Ok::<String, Error>))) };
        let names = stream::once(keys).try_flatten().map_ok(move |key| self.names(key, context)).try_flatten();
        listing::repositories(Box::pin(names))
    }

    fn images<'a>(
        &'a self,
        repository: &'a str,
        wanted: &'a Wanted,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<ImageRecord>>> {
        Box::pin(async move {
            let (key, image) = match (&self.key, self.is_key_in_path) {
                (Some(key), _) => (key.as_str(), repository),
                (None, true) => repository.split_once('/').ok_or_else(|| listing::no_such_repository(repository))?,
                (None, false) => ("", repository),
            };
            let place = Place { key, image, repository };
            let asked = match key {
                "" => Err(Error::new(Kind::Unsupported, "the key of the repository is not known")),
                key if is_key(key) && is_repository(image) => self.by_query(place, wanted, context).await,
                _ => return Err(listing::no_such_repository(repository)),
            };
            let path = self.path(repository);
            let (what, error, hint) = match asked {
                Ok(Asked::Images(images)) => return Ok(images),
                Ok(Asked::Nothing) => {
                    // A name that nobody has is told apart from one with nothing new. The upstream of a remote repository may refuse
                    // its list, where a query shows what is cached.
                    return match v2::tags(&self.connection, &path, context).next().await.transpose() {
                        Err(error) if !is_closed(&error) || !self.is_there(place, context).await? => Err(error),
                        _ => Ok(Vec::new()),
                    };
                }
                Ok(Asked::Unseen) => {
                    let error = Error::new(Kind::NotFound, "the query shows nothing of this repository");
                    (
                        "there are no dates, since a query shows nothing of what Docker V2 lists",
                        error,
                        "check `repository_key`, and give the credential the right to read the repository, `read` in Artifactory",
                    )
                }
                Ok(Asked::NoDigests) => {
                    let error = Error::new(Kind::Unsupported, "the query does not say the digests");
                    ("there are no dates", error, "Artifactory has them since version 5.5")
                }
                Err(error) if is_closed(&error) => (
                    "there are no dates, since Artifactory does not answer queries",
                    error,
                    "give a user (anonymous may not query), check `repository_key`, `context` and `api_url`",
                ),
                Err(error) => return Err(error),
            };
            // Docker V2 tells whether there is such a repository at all.
            if wanted.criteria.is_some() {
                v2::tags(&self.connection, &path, context).next().await.transpose()?;
                return Err(Error::new(error.kind(), "the criteria in aql cannot be evaluated here")
                    .with("field", "aql")
                    .with("repository", repository)
                    .with_hint(hint)
                    .because(error));
            }
            let images = listing::by_v2(&self.connection, &path, repository, context).await?;
            if !images.is_empty() {
                self.notice.tell(what, &error, hint, context);
            }
            Ok(images)
        })
    }
}
