//! The integrated registry of OpenShift: Docker V2, and image streams with their dates over the cluster's API server where
//! `api_url` names that.
//!
//! Credential: the token of a service account (`oc create token`), as a token or as the password behind any user name without a
//! colon. Rights: the role `registry-viewer` in each project; over all projects the cluster role that may list `imagestreams`.
//! The API server stands elsewhere than the registry (`https://api.<cluster>.<domain>:6443`), so it has to be named.
//!
//! Cost: with `api_url` a request per 500 image streams and one per repository; without, one per tag, and no dates.
//!
//! Source: `image.openshift.io/v1` of OpenShift's API, and the source of its registry.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::connector::{Capabilities, Connector, Wanted};
use super::definition::Registry;
use super::listing::{self, Fallback, Images, Page};
use super::v2;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::record::{DateSource, ImageDate, ImageRecord};
use crate::net::api::{Api, Way};

/// What only an OpenShift has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpenshiftSettings {
    /// The projects to list; all where there are none, which needs a right over the whole cluster.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<String>,
}

impl Registry {
    /// The integrated registry of an OpenShift at `url`; add the API server with [`Registry::with_api_url`].
    pub fn openshift(url: impl Into<String>) -> Self {
        Self::at("openshift", url)
    }
}

/// The kind `openshift`.
pub(super) struct Vendor;

impl super::Vendor for Vendor {
    fn name(&self) -> &'static str {
        "openshift"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["projects"]
    }

    fn owns(&self, host: &str) -> bool {
        host == "image-registry.openshift-image-registry.svc:5000"
            || host == "image-registry.openshift-image-registry.svc.cluster.local:5000"
    }

    fn connect(&self, registry: &Registry, connection: Connection) -> Result<Arc<dyn Connector>> {
        let api = registry.api()?.map(|base| Api::new(connection.session().clone(), base, Way::Bearer));
        let projects = registry.settings::<OpenshiftSettings>()?.projects;
        let fallback = Fallback::new(
            "there are no push dates, since the API server is not asked or refuses",
            "give the address of the API server with `api_url`, and the account the role registry-viewer",
        );
        Ok(Arc::new(Openshift { connection, api, projects, fallback: fallback.of_repositories() }))
    }
}

struct Openshift {
    connection: Connection,
    api: Option<Api>,
    projects: Vec<String>,
    fallback: Fallback,
}

#[derive(Deserialize)]
struct Streams {
    #[serde(default)]
    metadata: ListMeta,
    items: Option<Vec<Stream>>,
}

#[derive(Default, Deserialize)]
struct ListMeta {
    r#continue: Option<String>,
}

#[derive(Deserialize)]
struct Stream {
    metadata: Meta,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Meta {
    name: String,
    #[serde(default)]
    namespace: String,
}

#[derive(Default, Deserialize)]
struct Status {
    tags: Option<Vec<Tag>>,
}

#[derive(Deserialize)]
struct Tag {
    tag: String,
    /// The newest first; none where an import failed.
    items: Option<Vec<Event>>,
}

#[derive(Deserialize)]
struct Event {
    created: Option<String>,
    #[serde(default, deserialize_with = "listing::digest")]
    image: Option<Digest>,
}

/// Where a list goes on: its token, and whether it began anew already, since tokens end after some minutes.
#[derive(Clone, Default, Hash)]
struct Place {
    token: String,
    is_second: bool,
}

impl Openshift {
    async fn page(
        &self,
        api: &Api,
        project: Option<&str>,
        place: Place,
        context: &Context,
    ) -> Result<Page<String, Place>> {
        let mut path = vec!["apis", "image.openshift.io", "v1"];
        if let Some(project) = project {
            path.extend(["namespaces", project]);
        }
        path.push("imagestreams");
        let mut query = vec![("limit", "500")];
        if !place.token.is_empty() {
            query.push(("continue", place.token.as_str()));
        }
        let answer = match api.get(api.url(&path, &query)?, context).await {
            Ok(answer) => answer,
            Err(error) if is_gone(&error) && !place.token.is_empty() && !place.is_second => {
                return Ok(Page { entries: Vec::new(), next: Some(Place { is_second: true, ..Place::default() }) });
            }
            Err(error) => {
                let hint = match project {
                    Some(_) => "check the name of the project, and give the account the role registry-viewer in it",
                    None => "name the projects, or give the account a cluster role that may list imagestreams",
                };
                return Err(Error::new(error.kind(), "OpenShift does not list the image streams for this account")
                    .with_hint(hint)
                    .because(error));
            }
        };
        let streams: Streams = answer.json()?;
        let next = streams.metadata.r#continue.filter(|token| !token.is_empty() && *token != place.token);
        let names = streams.items.unwrap_or_default().into_iter().map(|stream| {
            format!(
                "{}/{}",
                if stream.metadata.namespace.is_empty() {
                    project.unwrap_or_default()
                } else {
                    &stream.metadata.namespace
                },
                stream.metadata.name
            )
        });
        Ok(Page { entries: names.collect(), next: next.map(|token| Place { token, is_second: place.is_second }) })
    }

    async fn tags(&self, api: &Api, repository: &str, context: &Context) -> Result<Vec<ImageRecord>> {
        let (project, name) = repository.split_once('/').ok_or_else(|| listing::no_such_repository(repository))?;
        let path = ["apis", "image.openshift.io", "v1", "namespaces", project, "imagestreams", name];
        let stream: Stream = api.get(api.url(&path, &[])?, context).await?.json()?;
        let mut images = Images::of(repository);
        for tag in stream.status.tags.unwrap_or_default() {
            let Some(newest) = tag.items.unwrap_or_default().into_iter().next() else { continue };
            if let Some(digest) = newest.image {
                images.tag(digest, &tag.tag, ImageDate::read(newest.created.as_deref(), DateSource::Pushed));
            }
        }
        images.finish()
    }
}

fn is_gone(error: &Error) -> bool {
    error.context().any(|(key, value)| key == "status" && value == "410")
}

impl Connector for Openshift {
    fn capabilities(&self) -> Capabilities {
        match self.api {
            Some(_) => Capabilities::new().with_dates(DateSource::Pushed),
            None => Capabilities::new(),
        }
    }

    fn repositories<'a>(&'a self, _: &'a Wanted, context: &'a Context) -> BoxStream<'a, Result<String>> {
        let Some(api) = &self.api else {
            let names = v2::repositories(&self.connection, context);
            return listing::repositories(listing::of_parts(names, &self.projects, context));
        };
        let projects: Vec<Option<&str>> = match &self.projects[..] {
            [] => vec![None],
            projects => projects.iter().map(|project| Some(project.as_str())).collect(),
        };
        let each = stream::iter(projects)
            .map(move |project| listing::pages(Place::default(), move |place| self.page(api, project, place, context)));
        listing::repositories(Box::pin(each.flatten()))
    }

    fn images<'a>(
        &'a self,
        repository: &'a str,
        _: &'a Wanted,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<ImageRecord>>> {
        Box::pin(async move {
            let asked = match &self.api {
                Some(api) => self.tags(api, repository, context).await,
                None => Err(Error::new(Kind::Unsupported, "`api_url` does not name the API server")),
            };
            self.fallback.or_v2(asked, &self.connection, repository, context).await
        })
    }
}
