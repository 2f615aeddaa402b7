//! What the tags of a repository point at: one HEAD a tag, since no list says it.

use std::sync::LazyLock;

use futures_util::TryStreamExt as _;
use http::header::{ACCEPT, CONTENT_TYPE};

use super::tags;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::media_type::{MANIFESTS, SCHEMA_1_SIGNED};
use crate::model::record::{ImageDate, ImageRecord};
use crate::net::client::Request;
use crate::net::session::pull;
use crate::registry::connection::Connection;
use crate::registry::listing::{Images, Notice};

/// The manifests that are asked for. The old format too: it is listed, and its scan says what is wrong with it.
static ACCEPTED: LazyLock<String> = LazyLock::new(|| format!("{}, {SCHEMA_1_SIGNED}", MANIFESTS.join(", ")));
/// HEADs at once; the limit of the host holds besides.
const AT_ONCE: usize = 16;
/// The longest manifest, for registries that say no digest.
const MAX_MANIFEST: u64 = 4 << 20;

/// The images of a repository, one a digest with all its tags, without dates. A tag that is gone before it is looked at is left out,
/// and one that a policy of the registry withholds too, which is told.
///
/// # Errors
/// Whatever keeps the list from being complete.
pub async fn images(connection: &Connection, repository: &str, context: &Context) -> Result<Vec<ImageRecord>> {
    let notice = &Notice::default();
    let found = async |tag: &str| match head(connection, repository, tag, context).await {
        Err(error) if is_withheld(&error) => {
            let hint =
                "an image that may not be pulled cannot be scanned either: look into the policies of its project";
            notice.tell("an image is left out", &error, hint, context);
            Ok(None)
        }
        done => done,
    };
    let found = &found;
    let heads = tags::tags(connection, repository, context)
        .map_ok(|tag| async move { Ok((found(&tag).await?, tag)) })
        .try_buffer_unordered(AT_ONCE);
    futures_util::pin_mut!(heads);
    let mut images = Images::of(repository);
    while let Some((head, tag)) = heads.try_next().await? {
        let Some((digest, media_type)) = head else { continue };
        if let Some(record) = images.tag(digest, &tag, ImageDate::none()) {
            record.media_type = media_type;
        }
    }
    images.finish()
}

/// Whether Harbor holds an image back that is not signed, or is vulnerable.
fn is_withheld(error: &Error) -> bool {
    error.context().any(|(key, value)| key == "status" && value == "412")
}

/// The digest and the media type behind a tag; none where there is no such tag any more.
///
/// # Errors
/// Whatever keeps them from being known.
pub async fn head(
    connection: &Connection,
    repository: &str,
    tag: &str,
    context: &Context,
) -> Result<Option<(Digest, String)>> {
    let session = connection.session();
    let scope = pull(repository);
    let about = |error: Error| error.with("repository", repository).with("tag", tag);
    let url = session.url(&format!("{repository}/manifests/{tag}"));
    let request = Request::head(url.clone()).with(ACCEPT, &ACCEPTED)?;
    let response = session.send(&request, Some(&scope), context).await.map_err(about)?;
    if response.status() == 404 {
        return Ok(None);
    }
    let response = response.success(context).await.map_err(about)?;
    let media_type =
        response.header(CONTENT_TYPE.as_str()).and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    let media_type = media_type.to_owned();
    if let Some(digest) = response.header("docker-content-digest").and_then(|text| text.parse().ok()) {
        return Ok(Some((digest, media_type)));
    }
    drop(response);
    // The header is not asked for by the specification: what a manifest is called can be seen from itself.
    let request = Request::get(url).with(ACCEPT, &ACCEPTED)?;
    let response = session.send(&request, Some(&scope), context).await.map_err(about)?;
    if response.status() == 404 {
        return Ok(None);
    }
    let response = response.success(context).await.map_err(about)?;
    if response.header(CONTENT_TYPE.as_str()).is_some_and(|value| value.starts_with("text/html")) {
        return Err(about(Error::new(Kind::Unsupported, "a web page came where a manifest should be")));
    }
    let bytes = response.bytes(MAX_MANIFEST, context).await.map_err(about)?;
    Ok(Some((Digest::of(&bytes), media_type)))
}
