//! Queries: what is sent, what comes back, and the images that the rows are.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;

use super::{Artifactory, Place};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::record::{DateSource, ImageDate, ImageRecord};
use crate::model::reference::is_repository;
use crate::registry::listing::Images;
use crate::select::aql::{self, ItemKind, Listing};

/// How often a query is sent whose results end in their middle.
const ATTEMPTS: u32 = 3;

#[derive(Deserialize)]
struct Found {
    results: Vec<Row>,
    #[serde(default)]
    range: Range,
}

#[derive(Default, Deserialize)]
struct Range {
    /// Says that results were cut off.
    notification: Option<String>,
}

/// A row: a manifest of a tag, with the fields that were asked for.
#[derive(Deserialize)]
pub(super) struct Row {
    #[serde(default)]
    repo: String,
    path: String,
    name: String,
    r#type: Option<String>,
    #[serde(default, deserialize_with = "number")]
    size: u64,
    depth: Option<u64>,
    created: Option<String>,
    modified: Option<String>,
    updated: Option<String>,
    created_by: Option<String>,
    modified_by: Option<String>,
    original_md5: Option<String>,
    actual_md5: Option<String>,
    original_sha1: Option<String>,
    actual_sha1: Option<String>,
    sha256: Option<String>,
    #[serde(default)]
    properties: Vec<Property>,
}

#[derive(Deserialize)]
struct Property {
    key: String,
    value: Option<String>,
}

/// A number, which some versions write as text.
fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default())
}

impl Row {
    /// The image and the tag that the path is; folders of digests are none.
    pub(super) fn place(&self) -> Option<(&str, &str)> {
        let (image, tag) = self.path.rsplit_once('/')?;
        let is_digest = tag.starts_with("sha256:") || tag.starts_with("sha256__");
        (!is_digest && is_repository(image)).then_some((image, tag))
    }

    /// Whether it meets criteria. A query may name a virtual repository, and its rows name the member that they come from.
    fn meets(&self, criteria: &aql::Query, key: &str, now: Timestamp) -> bool {
        let is_member = self.repo != key && self.repo.strip_suffix("-cache") != Some(key);
        let as_asked = || aql::Item { repo: key.to_owned(), ..self.item() };
        criteria.matches(&self.item(), now) || (is_member && criteria.matches(&as_asked(), now))
    }

    fn is_list(&self) -> bool {
        self.name == "list.manifest.json"
    }

    /// The row as criteria see it.
    fn item(&self) -> aql::Item {
        let time = |text: &Option<String>| text.as_deref().and_then(|text| text.trim().parse::<Timestamp>().ok());
        aql::Item {
            repo: self.repo.clone(),
            path: self.path.clone(),
            name: self.name.clone(),
            kind: if self.r#type.as_deref() == Some("folder") { ItemKind::Folder } else { ItemKind::File },
            size: self.size,
            depth: self.depth,
            created: time(&self.created),
            modified: time(&self.modified),
            updated: time(&self.updated),
            created_by: self.created_by.clone(),
            modified_by: self.modified_by.clone(),
            original_md5: self.original_md5.clone(),
            actual_md5: self.actual_md5.clone(),
            original_sha1: self.original_sha1.clone(),
            actual_sha1: self.actual_sha1.clone(),
            sha256: self.sha256.clone(),
            properties: self
                .properties
                .iter()
                .map(|one| (one.key.clone(), one.value.clone().unwrap_or_default()))
                .collect(),
        }
    }
}

impl Artifactory {
    /// The rows of a query.
    pub(super) async fn rows(&self, listing: Listing<'_>, now: Timestamp, context: &Context) -> Result<Vec<Row>> {
        let query = listing.render(now)?;
        let url = self.api.url(&["api", "search", "aql"], &[])?;
        let _alone = context.run(async { Ok(self.one_query.lock().await) }).await?;
        let mut attempt = 1;
        let found = loop {
            let body = Bytes::from(query.clone());
            let answer = self.api.post(url.clone(), "text/plain", body, context).await?;
            match answer.json::<Found>() {
                // Results stream: what goes wrong in their middle ends them early.
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                found => break found?,
            }
        };
        match found.range.notification {
            Some(_) => Err(Error::new(Kind::Unsupported, "Artifactory cuts the results of a query off")
                .with_hint("raise the limit of query results in Artifactory (artifactory.aql.search.query.max.limit)")),
            None => Ok(found.results),
        }
    }
}

/// The images that rows of one name are; none where they do not say the digests. Rows that do not meet `criteria` do not count, as
/// if the server had left them out.
pub(super) fn images(
    rows: &[Row],
    place: Place<'_>,
    criteria: Option<&aql::Query>,
    now: Timestamp,
) -> Option<Vec<ImageRecord>> {
    let is_meant = |row: &&Row| criteria.is_none_or(|criteria| row.meets(criteria, place.key, now));
    // A tag may have both files: its list is what clients get. Of a virtual repository each member may have the tag; which of them
    // clients get is not said, so that all count.
    let mut tags: BTreeMap<(&str, &str), &Row> = BTreeMap::new();
    for row in rows.iter().filter(is_meant) {
        let Some((_, tag)) = row.place() else { continue };
        let known = tags.entry((&row.repo, tag)).or_insert(row);
        if row.is_list() {
            *known = row;
        }
    }
    let mut images = Images::of(place.repository);
    for ((_, tag), row) in tags {
        let hex = row.sha256.as_deref().unwrap_or_default();
        let digest: Digest = format!("sha256:{hex}").parse().ok()?;
        let at = row.modified.as_deref().or(row.created.as_deref());
        images.tag(digest, tag, ImageDate::read(at, DateSource::Modified));
    }
    images.finish().ok()
}
