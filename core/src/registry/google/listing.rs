//! What is in Artifact Registry: its REST API has pages and dates; the registry's own list of tags, with Google's additions, is
//! there for those without access to the API.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use serde::Deserialize;
use serde_json::Value;

use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::record::{DateSource, ImageDate, ImageRecord};
use crate::net::api::Api;
use crate::net::client::Request;
use crate::net::session::pull;
use crate::registry::connection::Connection;
use crate::registry::connector::{Capabilities, Connector, Wanted};
use crate::registry::json;
use crate::registry::listing::{self, Images};

/// From so many on the registry's own list is cut without a word (quotas of Artifact Registry).
const CUT: usize = 10_000;

/// Where repositories are.
#[derive(Clone, Debug)]
pub(in crate::registry) struct Place {
    /// The project, as the API names it: `example.com:project` has a colon.
    pub(in crate::registry) project: String,
    /// The location.
    pub(in crate::registry) location: String,
    /// The repository of Artifact Registry; none for all of the location.
    pub(in crate::registry) repository: Option<String>,
}

/// Artifact Registry, behind either of its names.
pub(in crate::registry) struct Artifacts {
    place: Place,
    /// What stands in front of repositories in a reference.
    prefix: String,
    /// The API; none without an access token.
    api: Option<Api>,
    connection: Connection,
}

impl Artifacts {
    pub(in crate::registry) fn new(place: Place, prefix: String, api: Option<Api>, connection: Connection) -> Self {
        Self { place, prefix, api, connection }
    }

    /// One page of a list of the API.
    async fn page<T: for<'de> Deserialize<'de>>(
        &self,
        api: &Api,
        path: &[&str],
        (name, more): (&str, &[(&str, &str)]),
        token: Option<String>,
        context: &Context,
    ) -> Result<listing::Page<T, Option<String>>> {
        let mut query = vec![("pageSize", "1000")];
        query.extend(more);
        query.extend(token.as_deref().map(|token| ("pageToken", token)));
        let Place { project, location, .. } = &self.place;
        let place = ["v1", "projects", project, "locations", location];
        let path: Vec<_> = place.into_iter().chain(path.iter().copied()).collect();
        let mut body: HashMap<String, Value> = api.get(api.url(&path, &query)?, context).await?.json()?;
        let wrong = |error| Error::new(Kind::Corrupt, "the answer of the API is not as it should be").because(error);
        let entries = body.remove(name).map(serde_json::from_value).transpose().map_err(wrong)?.unwrap_or_default();
        let next = body.get("nextPageToken").and_then(Value::as_str).filter(|token| !token.is_empty());
        Ok(listing::Page { entries, next: next.map(|next| Some(next.to_owned())) })
    }

    /// The repositories of Artifact Registry that hold images.
    async fn places(&self, api: &Api, context: &Context) -> Result<Vec<String>> {
        if let Some(repository) = &self.place.repository {
            return Ok(vec![repository.clone()]);
        }
        #[derive(Deserialize)]
        struct Repository {
            name: String,
            #[serde(default)]
            format: String,
        }
        let pages = listing::pages(None, |token| {
            self.page::<Repository>(api, &["repositories"], ("repositories", &[]), token, context)
        });
        let pages: Vec<_> = pages
            .try_collect()
            .await
            .map_err(|error| told(error, &self.place, "artifactregistry.repositories.list"))?;
        let images = pages.into_iter().flatten().filter(|repository| repository.format == "DOCKER");
        Ok(images.map(|repository| last(&repository.name)).collect())
    }

    /// The repository of Artifact Registry and the image in it.
    fn parts<'a>(&'a self, repository: &'a str) -> Result<(&'a str, &'a str)> {
        match &self.place.repository {
            Some(place) => Ok((place, repository)),
            None => repository.split_once('/').ok_or_else(|| {
                Error::new(Kind::NotFound, "this is a repository of Artifact Registry, and no image in one")
                    .with("repository", repository)
                    .with_hint("a full name is repository/image")
            }),
        }
    }

    /// The images over the API: versions have dates, tags say which of them they are.
    async fn over_api(&self, api: &Api, repository: &str, context: &Context) -> Result<Vec<ImageRecord>> {
        let (place, image) = self.parts(repository)?;
        // A slash in the name of a package is encoded in the address, and stays so in the name.
        let path = |list| ["repositories", place, "packages", image, list];
        let (versions_path, tags_path) = (path("versions"), path("tags"));
        let versions = listing::pages(None, |token| {
            self.page::<Version>(api, &versions_path, ("versions", &[("view", "FULL")]), token, context)
        });
        let mut known = BTreeMap::<Digest, Version>::new();
        futures_util::pin_mut!(versions);
        while let Some(page) = versions.try_next().await? {
            known.extend(page.into_iter().filter_map(|version| Some((last(&version.name).parse().ok()?, version))));
        }
        let tags = listing::pages(None, |token| self.page::<Tag>(api, &tags_path, ("tags", &[]), token, context));
        futures_util::pin_mut!(tags);
        let mut images = Images::of(repository);
        while let Some(page) = tags.try_next().await? {
            for tag in page {
                let Ok(digest) = last(&tag.version).parse::<Digest>() else { continue };
                let version = known.get(&digest);
                let date = version.map(Version::date).unwrap_or_default();
                if let Some(record) = images.tag(digest, &last(&tag.name), date)
                    && let Some(version) = version
                {
                    record.media_type = version.metadata.media_type.clone().unwrap_or_default();
                    record.size = version.metadata.image_size_bytes.as_ref().and_then(number);
                }
            }
        }
        images.finish()
    }

    /// The images over the registry's own list of tags.
    async fn over_registry(&self, repository: &str, context: &Context) -> Result<Vec<ImageRecord>> {
        let session = self.connection.session();
        let full = if self.prefix.is_empty() { repository.to_owned() } else { format!("{}/{repository}", self.prefix) };
        let request = Request::get(session.url(&format!("{full}/tags/list?n={CUT}")));
        let response = session.send(&request, Some(&pull(&full)), context).await?.success(context).await?;
        let list: List = json::read(response, context).await?;
        if list.manifest.len() + list.tags.as_ref().map_or(0, Vec::len) >= CUT {
            return Err(Error::new(Kind::LimitExceeded, "the registry's own list of tags is cut at 10,000").with_hint(
                "give a credential of Google's cloud with roles/artifactregistry.reader, so that its API can be asked",
            ));
        }
        if list.manifest.is_empty() {
            return match list.tags.is_none_or(|tags| tags.is_empty()) {
                true => Err(Error::new(Kind::NotFound, "there is no such image").with_hint("check the spelling")),
                // Without Google's additions it is a list like any other.
                false => listing::by_v2(&self.connection, &full, repository, context).await,
            };
        }
        let mut images = Images::of(repository);
        for (digest, manifest) in list.manifest {
            let Ok(digest) = digest.parse::<Digest>() else { continue };
            let millis = manifest.time_uploaded_ms.as_ref().and_then(number).filter(|millis| *millis > 0);
            let time = millis.and_then(|millis| jiff::Timestamp::from_duration(duration(millis)?).ok());
            for tag in &manifest.tag {
                if let Some(record) = images.tag(digest.clone(), tag, ImageDate::new(time, DateSource::FirstPushed)) {
                    record.media_type = manifest.media_type.clone().unwrap_or_default();
                    record.size = manifest.image_size_bytes.as_ref().and_then(number);
                }
            }
        }
        images.finish()
    }
}

fn duration(millis: u64) -> Option<jiff::SignedDuration> {
    jiff::SignedDuration::try_from(Duration::from_millis(millis)).ok()
}

/// The last segment of a name of the API, decoded.
fn last(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or_default();
    last.replace("%2F", "/").replace("%2f", "/")
}

/// A number, which Google's APIs write as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// What is missing, in the words of Google's permissions.
fn told(error: Error, place: &Place, permission: &str) -> Error {
    let is_right = error.kind() == Kind::PermissionDenied;
    let error = error.with("project", &place.project).with("location", &place.location);
    if is_right {
        let hint = format!(
            "allow {permission} (roles/artifactregistry.reader), and enable the Artifact Registry API in the project"
        );
        error.with_hint(hint)
    } else {
        error
    }
}

impl Connector for Artifacts {
    fn capabilities(&self) -> Capabilities {
        let capabilities = Capabilities::new().with_dates(DateSource::FirstPushed);
        if self.api.is_some() { capabilities } else { capabilities.without_repositories() }
    }

    fn prefix(&self) -> &str {
        &self.prefix
    }

    fn repositories<'a>(&'a self, _: &'a Wanted, context: &'a Context) -> BoxStream<'a, Result<String>> {
        #[derive(Deserialize)]
        struct Package {
            name: String,
        }
        let Some(api) = &self.api else {
            return Box::pin(stream::once(async {
                Err(Error::new(
                    Kind::Unsupported,
                    "without a credential of Google's cloud repositories cannot be listed",
                )
                .with_hint("name the repositories, or give a service account or an access token"))
            }));
        };
        let of_place = move |place: String| {
            listing::pages(None, move |token| {
                let place = place.clone();
                async move {
                    let path = ["repositories", place.as_str(), "packages"];
                    let page = self.page::<Package>(api, &path, ("packages", &[]), token, context).await;
                    let page = page.map_err(|error| told(error, &self.place, "artifactregistry.packages.list"))?;
                    let full = |image: String| match self.place.repository {
                        Some(_) => image,
                        None => format!("{place}/{image}"),
                    };
                    let entries = page.entries.into_iter().map(|package| full(last(&package.name))).collect();
                    Ok(listing::Page { entries, next: page.next })
                }
            })
        };
        let places = async move {
            let places = self.places(api, context).await?;
            Ok::<_, Error>(stream::iter(places.into_iter().map(Ok::<_, Error>)))
        };
        listing::repositories(stream::once(places).try_flatten().map_ok(of_place).try_flatten().boxed())
    }

    fn images<'a>(
        &'a self,
        repository: &'a str,
        _: &'a Wanted,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<ImageRecord>>> {
        Box::pin(async move {
            let about = |error: Error| {
                told(error, &self.place, "artifactregistry.versions.list").with("repository", repository)
            };
            let Some(api) = &self.api else { return self.over_registry(repository, context).await.map_err(about) };
            match self.over_api(api, repository, context).await {
                // Who may pull may still not ask the API, or it is not enabled.
                Err(refused) if refused.kind() == Kind::PermissionDenied => {
                    match self.over_registry(repository, context).await {
                        // What the API said tells more about what is missing.
                        Err(error) if error.kind() != Kind::Canceled => Err(about(refused)),
                        done => done,
                    }
                }
                done => done.map_err(about),
            }
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    name: String,
    create_time: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

impl Version {
    /// When it came into being, which is when its digest was uploaded first.
    fn date(&self) -> ImageDate {
        ImageDate::read(self.create_time.as_deref(), DateSource::FirstPushed)
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    image_size_bytes: Option<Value>,
    media_type: Option<String>,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
    version: String,
}

/// The registry's own list, with Google's additions.
#[derive(Deserialize)]
struct List {
    #[serde(default)]
    manifest: BTreeMap<String, Manifest>,
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    #[serde(default)]
    tag: Vec<String>,
    media_type: Option<String>,
    image_size_bytes: Option<Value>,
    time_uploaded_ms: Option<Value>,
}
