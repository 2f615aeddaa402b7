//! zot: Docker V2, and the times of its search extension.
//!
//! Rights of the credential: *read* on the repositories. The dates need zot's search extension (`extensions.search.enable`):
//! when a tag was put since v2.1.15, when a manifest was pushed since v2.1.2.
//!
//! Cost: one query a repository; without the extension a request per tag, and no dates.
//!
//! Source: zot's `pkg/extensions/search/schema.graphql`.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use http::header::{ACCEPT, CONTENT_TYPE};
use serde::Deserialize;
use serde_json::json;

use super::connection::Connection;
use super::connector::{Capabilities, Connector, Wanted};
use super::definition::Registry;
use super::listing::{self, Fallback, Images};
use super::v2;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::record::{DateSource, ImageDate, ImageRecord};
use crate::model::reference::is_repository;
use crate::net::client::Request;
use crate::net::session::pull;

/// The longest answer to a query.
const MAX_ANSWER: u64 = 32 << 20;
/// The fields that hold the times, the newest versions of zot first: older ones refuse what they do not know.
const TIMES: [&str; 3] = ["TaggedTimestamp PushTimestamp", "PushTimestamp", ""];

impl Registry {
    /// A zot at `url`.
    pub fn zot(url: impl Into<String>) -> Self {
        Self::at("zot", url)
    }
}

/// The kind `zot`.
pub(super) struct Vendor;

impl super::Vendor for Vendor {
    fn name(&self) -> &'static str {
        "zot"
    }

    fn connect(&self, _: &Registry, connection: Connection) -> Result<Arc<dyn Connector>> {
        let fallback = Fallback::new(
            "there are no push dates, since zot does not answer searches",
            "switch zot's search extension on (extensions.search.enable)",
        );
        Ok(Arc::new(Zot { connection, fallback }))
    }
}

struct Zot {
    connection: Connection,
    fallback: Fallback,
}

#[derive(Deserialize)]
struct Found {
    data: Option<Lists>,
    errors: Option<Vec<Refused>>,
}

#[derive(Deserialize)]
struct Lists {
    #[serde(rename = "ImageList")]
    list: Option<List>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    results: Option<Vec<Image>>,
}

#[derive(Deserialize)]
struct Refused {
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    repo_name: String,
    tag: String,
    #[serde(default, deserialize_with = "listing::digest")]
    digest: Option<Digest>,
    media_type: Option<String>,
    push_timestamp: Option<String>,
    tagged_timestamp: Option<String>,
}

impl Zot {
    async fn query(&self, repository: &str, times: &str, context: &Context) -> Result<Found> {
        let session = self.connection.session();
        let query = format!("{{ImageList(repo:\"{repository}\"){{Results{{RepoName Tag Digest MediaType {times}}}}}}}");
        let request = Request::post(session.url("_zot/ext/search"), json!({"query": query}).to_string())
            .with(ACCEPT, "application/json")?
            .with(CONTENT_TYPE, "application/json")?;
        let answer = session.send(&request, Some(&pull(repository)), context).await?.success(context).await?;
        let body = answer.json(MAX_ANSWER, context).await?;
        serde_json::from_slice(&body).map_err(|error| {
            Error::new(Kind::Unsupported, "what answers is no search extension of zot")
                .with("registry", self.connection.host())
                .because(error)
        })
    }

    async fn search(&self, repository: &str, context: &Context) -> Result<Vec<Image>> {
        let mut refused = String::new();
        for times in TIMES {
            let found = self.query(repository, times, context).await?;
            match (found.errors.as_deref(), found.data.and_then(|data| data.list)) {
                (None | Some([]), Some(list)) => return Ok(list.results.unwrap_or_default()),
                (Some([first, ..]), _) => refused.clone_from(&first.message),
                _ => {}
            }
        }
        Err(Error::new(Kind::Unsupported, "the search extension of zot refuses the query")
            .with("answer", crate::net::redact::text(&refused)))
    }
}

fn images_of(found: Vec<Image>, repository: &str) -> Result<Vec<ImageRecord>> {
    let mut images = Images::of(repository);
    for image in found.into_iter().filter(|image| image.repo_name == repository) {
        let Some(digest) = image.digest else { continue };
        let tagged = ImageDate::read(image.tagged_timestamp.as_deref(), DateSource::Pushed);
        let date = match tagged.time {
            Some(_) => tagged,
            None => ImageDate::read(image.push_timestamp.as_deref(), DateSource::FirstPushed),
        };
        if let Some(record) = images.tag(digest, &image.tag, date) {
            record.media_type = image.media_type.unwrap_or_default();
        }
    }
    images.finish()
}

impl Connector for Zot {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_dates(DateSource::Pushed)
    }

    fn repositories<'a>(&'a self, _: &'a Wanted, context: &'a Context) -> BoxStream<'a, Result<String>> {
        v2::repositories(&self.connection, context)
    }

    fn images<'a>(
        &'a self,
        repository: &'a str,
        _: &'a Wanted,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<ImageRecord>>> {
        Box::pin(async move {
            if !is_repository(repository) {
                return Err(listing::no_such_repository(repository));
            }
            let found = self.search(repository, context).await;
            let asked = match found.and_then(|found| images_of(found, repository)) {
                // So it is with what is not there, and with what was not taken into its index yet.
                Ok(images) if images.is_empty() => Err(Error::new(Kind::NotFound, "the search finds no image")),
                done => done,
            };
            self.fallback.or_v2(asked, &self.connection, repository, context).await
        })
    }
}
