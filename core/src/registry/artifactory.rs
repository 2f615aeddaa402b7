//! JFrog Artifactory: repositories over its Docker API, images and their dates by queries in its query language (AQL).
//!
//! Rights of the credential: *read* on the Docker repositories; no administrator is needed, and AQL is open to every user who is
//! signed in. Take a user name with its password, or better an access token: as the password of its user, or alone.
//!
//! Cost: a request per repository key and per 500 images, and one query an image name. The queries run one after the other, since
//! Artifactory allows three at once for everybody. Only queries that this file writes are sent: the language can also delete.
//!
//! The date is when the manifest was last written (`modified`); in the cache of a remote repository that is when it was cached.
//!
//! Source: the REST API reference and "Artifactory Query Language" of JFrog's documentation.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use url::Url;

use super::connection::Connection;
use super::connector::{Capabilities, Connector, Wanted};
use super::definition::Registry;
use super::listing::{self, Images, Notice, Page, is_closed};
use super::v2;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::record::{DateSource, ImageDate, ImageRecord};
use crate::model::reference::is_repository;
use crate::net::api::{Api, Way};
use crate::select::Naming;

/// How many names a page of the catalog has.
const PAGE: usize = 500;

/// How Docker clients reach the repositories of an Artifactory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArtifactoryAccess {
    /// `art.example/<repository key>/<image>`.
    #[default]
    Path,
    /// `<repository key>.art.example/<image>`.
    Subdomain,
    /// `art.example:<port of the repository>/<image>`.
    Port,
}

/// What only an Artifactory has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArtifactorySettings {
    /// How the repositories are reached.
    pub access: ArtifactoryAccess,
    /// The path in front of its API; `artifactory` unless it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The key of the Docker repository. Without it `path` lists all that the credential may read, `subdomain` takes the first
    /// part of the host, and `port` has no dates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository_key: Option<String>,
}

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
            notice: Notice::default(),
        }))
    }
}

/// Where things are.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    /// What stands in front of `/v2/`.
    v2: Url,
    /// What stands in front of `api/`.
    api: Url,
    /// The key of the only repository.
    key: Option<String>,
    /// Whether the key is the first part of names in `/v2/`.
    is_key_in_path: bool,
}

impl Layout {
    fn of(registry: &Registry, mut v2: Url) -> Result<Self> {
        let settings: ArtifactorySettings = registry.settings()?;
        let wrong = |field: &'static str, message: &'static str| {
            Err(Error::new(Kind::InvalidInput, message).with("field", field))
        };
        let mut key = settings.repository_key.filter(|key| !key.is_empty());
        if key.as_deref().is_some_and(|key| !is_key(key)) {
            return wrong("repository_key", "this is not the key of a repository");
        }
        let context = settings.context.unwrap_or_else(|| "artifactory".to_owned());
        let context = context.trim_matches('/').to_owned();
        if context.contains(['?', '#', '%', '\\']) || context.split('/').any(|part| matches!(part, "." | "..")) {
            return wrong("context", "this is not a path");
        }
        let mut api = v2.clone();
        // The path of its API that speaks Docker V2, and needs no rules in the proxy in front.
        let path = v2.path().trim_end_matches('/').to_owned();
        if let Some((front, own)) = path.split_once("/api/docker/") {
            api.set_path(front);
            return Ok(Self {
                api: registry.api()?.unwrap_or(api),
                key: Some(own.to_owned()).filter(|key| is_key(key)),
                v2,
                is_key_in_path: false,
            });
        }
        api.set_path(&context);
        match settings.access {
            ArtifactoryAccess::Path => {}
            ArtifactoryAccess::Port => {}
            ArtifactoryAccess::Subdomain => {
                let host = v2.host_str().unwrap_or_default().to_owned();
                let own = key.clone().or_else(|| host.split_once('.').map(|(own, _)| own.to_owned()));
                let Some(own) = own else { return wrong("repository_key", "the host names no repository") };
                let place = match host.strip_prefix(&format!("{}.", own.to_ascii_lowercase())) {
                    Some(place) => place.to_owned(),
                    None => host.clone(),
                };
                for (url, host) in [(&mut v2, format!("{own}.{place}")), (&mut api, place)] {
                    if url.set_host(Some(&host)).is_err() {
                        return wrong("url", "this host has no subdomains");
                    }
                }
                key = Some(own);
            }
        }
        let is_key_in_path = settings.access == ArtifactoryAccess::Path;
        Ok(Self { v2, api: registry.api()?.unwrap_or(api), key, is_key_in_path })
    }
}

/// Whether a text can be the key of a repository: nothing in it means anything in a query or a path.
fn is_key(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && !text.starts_with('.')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

struct Artifactory {
    connection: Connection,
    api: Api,
    key: Option<String>,
    is_key_in_path: bool,
    one_query: tokio::sync::Mutex<()>,
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
    repositories: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Found {
    results: Vec<Item>,
    #[serde(default)]
    range: Range,
}

#[derive(Default, Deserialize)]
struct Range {
    /// Says that results were cut off.
    notification: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    path: String,
    name: String,
    created: Option<String>,
    modified: Option<String>,
    sha256: Option<String>,
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
            let listed = self.api.get(url, context).await.map_err(|error| {
                Error::new(error.kind(), "Artifactory does not list its repositories for this credential")
                    .with_hint("check the credential, `context` and `api_url`; or give the key of the repository with `repository_key`")
                    .because(error)
            })?;
            let listed = listed.json::<Vec<Repository>>()?.into_iter();
            keys.extend(listed.filter(|one| one.r#type != "VIRTUAL" && is_key(&one.key)).map(|one| one.key));
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
        let names = self.api.get(url, context).await?.json::<Catalog>()?.repositories.unwrap_or_default();
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
        let items = self.query(key, None, context).await?;
        let mut names: Vec<_> = items.iter().filter_map(|item| Some(tag_of(item)?.0.to_owned())).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// The manifests in a repository, of one image or of all. A user who is no administrator needs `repo`, `path` and `name` among
    /// what is asked for. Nothing is sorted or limited, since permissions are looked at after a limit.
    async fn query(&self, key: &str, image: Option<&str>, context: &Context) -> Result<Vec<Item>> {
        let path = match image {
            Some(image) => format!(r#"{{"path":{{"$match":"{image}/*"}}}},"#),
            None => String::new(),
        };
        // What a remote repository has cached lies beside it.
        let query = format!(
            r#"items.find({{"$or":[{{"repo":"{key}"}},{{"repo":"{key}-cache"}}]}},{path}{{"path":{{"$nmatch":"*/sha256:*"}}}},{{"path":{{"$nmatch":"*/sha256__*"}}}},{{"$or":[{{"name":"manifest.json"}},{{"name":"list.manifest.json"}}]}}).include("repo","path","name","modified","created","sha256")"#
        );
        let url = self.api.url(&["api", "search", "aql"], &[])?;
        let _alone = context.run(async { Ok(self.one_query.lock().await) }).await?;
        let mut attempt = 1;
        let found = loop {
            let body = Bytes::from(query.clone());
            let answer = self.api.post(url.clone(), "text/plain", body, context).await?;
            match answer.json::<Found>() {
                // Results stream: what goes wrong in their middle ends them early.
                Err(_) if attempt < 3 => attempt += 1,
                found => break found?,
            }
        };
        match found.range.notification {
            Some(_) => Err(Error::new(Kind::Unsupported, "Artifactory cuts the results of a query off")
                .with("repository_key", key)
                .with_hint("raise the limit of query results in Artifactory (artifactory.aql.search.query.max.limit)")),
            None => Ok(found.results),
        }
    }

    /// The images of one name, by a query; none where it cannot say their digests.
    async fn by_query(
        &self,
        key: &str,
        image: &str,
        repository: &str,
        context: &Context,
    ) -> Result<Option<Vec<ImageRecord>>> {
        // A tag may have both files: its list is what clients get.
        let mut tags: BTreeMap<String, Item> = BTreeMap::new();
        for item in self.query(key, Some(image), context).await? {
            let Some((_, tag)) = tag_of(&item).filter(|(name, _)| *name == image) else { continue };
            let is_better = |known: &Item| (is_list(&item), &item.modified) > (is_list(known), &known.modified);
            if tags.get(tag).is_none_or(is_better) {
                tags.insert(tag.to_owned(), item);
            }
        }
        let mut images = Images::of(repository);
        for (tag, item) in &tags {
            let hex = item.sha256.as_deref().unwrap_or_default();
            let Ok(digest) = format!("sha256:{hex}").parse::<Digest>() else { return Ok(None) };
            let at = item.modified.as_deref().or(item.created.as_deref());
            images.tag(digest, tag, ImageDate::read(at, DateSource::Modified));
        }
        Ok(Some(images.finish()))
    }
}

fn is_list(item: &Item) -> bool {
    item.name == "list.manifest.json"
}

/// The image and the tag that a path is; folders of digests are none.
fn tag_of(item: &Item) -> Option<(&str, &str)> {
    let (image, tag) = item.path.rsplit_once('/')?;
    let is_digest = tag.starts_with("sha256:") || tag.starts_with("sha256__");
    (!is_digest && is_repository(image)).then_some((image, tag))
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
        _: &'a Wanted,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<ImageRecord>>> {
        Box::pin(async move {
            let place = match (&self.key, self.is_key_in_path) {
                (Some(key), _) => Some((key.as_str(), repository)),
                (None, true) => {
                    Some(repository.split_once('/').ok_or_else(|| listing::no_such_repository(repository))?)
                }
                (None, false) => None,
            };
            let asked = match place {
                Some((key, image)) if is_key(key) && is_repository(image) => {
                    self.by_query(key, image, repository, context).await
                }
                Some(_) => return Err(listing::no_such_repository(repository)),
                None => Err(Error::new(Kind::Unsupported, "the key of the repository is not known")),
            };
            match asked {
                Ok(Some(images)) if !images.is_empty() => return Ok(images),
                // Nothing, or nothing that this credential may see: Docker V2 tells these apart.
                Ok(Some(_)) => {}
                Ok(None) => {
                    let error = Error::new(Kind::Unsupported, "the query does not say the digests");
                    self.notice.tell("there are no dates", &error, "Artifactory has them since version 5.5", context);
                }
                Err(error) if is_closed(&error) => {
                    let hint = "give a user (anonymous may not query), check `repository_key`, `context` and `api_url`";
                    self.notice.tell(
                        "there are no dates, since Artifactory does not answer queries",
                        &error,
                        hint,
                        context,
                    );
                }
                Err(error) => return Err(error),
            }
            let path = match self.prefix() {
                "" => repository.to_owned(),
                key => format!("{key}/{repository}"),
            };
            listing::by_v2(&self.connection, &path, repository, context).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(url: &str, settings: &ArtifactorySettings) -> (String, String, Option<String>) {
        let registry = Registry::artifactory(url).with_settings(settings).unwrap();
        let layout = Layout::of(&registry, registry.base().unwrap()).unwrap();
        assert_eq!(layout.v2, registry.base().unwrap());
        (layout.v2.into(), layout.api.into(), layout.key)
    }

    #[test]
    fn knows_where_things_are() {
        use ArtifactoryAccess::{Path, Port, Subdomain};
        let settings = |access, key: Option<&str>| ArtifactorySettings {
            access,
            context: None,
            repository_key: key.map(str::to_owned),
        };
        for (url, access, key, v2, api, found) in [
            ("art.example", Path, None, "https://art.example/", "https://art.example/artifactory", None),
            ("art.example", Path, Some("dl"), "https://art.example/", "https://art.example/artifactory", Some("dl")),
            (
                "dl.art.example",
                Subdomain,
                None,
                "https://dl.art.example/",
                "https://art.example/artifactory",
                Some("dl"),
            ),
            (
                "dl.art.example",
                Subdomain,
                Some("dl"),
                "https://dl.art.example/",
                "https://art.example/artifactory",
                Some("dl"),
            ),
            (
                "art.example",
                Subdomain,
                Some("dl"),
                "https://dl.art.example/",
                "https://art.example/artifactory",
                Some("dl"),
            ),
            (
                "art.example:5001",
                Port,
                Some("dl"),
                "https://art.example:5001/",
                "https://art.example:5001/artifactory",
                Some("dl"),
            ),
            (
                "https://art.example/artifactory/api/docker/dl/v2/",
                Path,
                None,
                "https://art.example/artifactory/api/docker/dl",
                "https://art.example/artifactory",
                Some("dl"),
            ),
        ] {
            let expected = (v2.to_owned(), api.to_owned(), found.map(str::to_owned));
            assert_eq!(layout(url, &settings(access, key)), expected, "{url} {access:?}");
        }
    }

    #[test]
    fn refuses_what_could_mean_something_in_a_query() {
        for (key, context) in [(r#"a"}}).delete("#, "artifactory"), ("a*", "artifactory"), ("a", "../x"), ("..", "")] {
            let settings = ArtifactorySettings {
                repository_key: Some(key.into()),
                context: Some(context.into()),
                ..Default::default()
            };
            let registry = Registry::artifactory("art.example").with_settings(settings).unwrap();
            assert_eq!(registry.base().unwrap_err().kind(), Kind::InvalidInput, "{key} {context}");
        }
    }
}
