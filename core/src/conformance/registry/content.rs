//! What is stored: blobs and manifests of repositories, and the answers that show them.

use std::collections::HashMap;

use bytes::Bytes;
use http::Method;
use serde_json::json;

use super::answer::Answer;
use super::{Shared, lock};
use crate::model::digest::Digest;

/// What was pushed.
#[derive(Default)]
pub(super) struct Store {
    pub(super) blobs: HashMap<(String, String), Bytes>,
    pub(super) manifests: HashMap<(String, String), (String, Bytes)>,
    pub(super) tags: HashMap<String, Vec<String>>,
}

/// What is stored at a path.
pub(super) fn content(state: &Shared, method: &Method, path: &str, query: &str) -> Answer {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Answer::error(405, "UNSUPPORTED", "the test registry is filled by its Rust API");
    }
    let store = lock(&state.store);
    let Some(path) = path.strip_prefix("/v2/") else { return Answer::new(404, "text/plain", "404 page not found\n") };
    if path.is_empty() {
        return Answer::new(200, "application/json", "{}").with("docker-distribution-api-version", "registry/2.0");
    }
    if path == "_catalog" {
        return catalog(&store, query);
    }
    let split =
        |middle: &str| path.rsplit_once(middle).map(|(repository, rest)| (repository.to_owned(), rest.to_owned()));
    if let Some(key) = split("/manifests/") {
        return match store.manifests.get(&key) {
            Some((media_type, manifest)) => Answer::new(200, media_type, manifest.clone())
                .with("docker-content-digest", Digest::of(manifest).as_str()),
            None if store.tags.contains_key(&key.0) => Answer::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
            None => Answer::error(404, "NAME_UNKNOWN", "repository name not known to registry"),
        };
    }
    if let Some(key) = split("/blobs/") {
        return match store.blobs.get(&key) {
            Some(blob) => Answer::new(200, "application/octet-stream", blob.clone())
                .with("docker-content-digest", key.1)
                .with("accept-ranges", "bytes"),
            None => Answer::error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
        };
    }
    match path.strip_suffix("/tags/list").and_then(|repository| store.tags.get_key_value(repository)) {
        Some((repository, tags)) => {
            Answer::new(200, "application/json", json!({"name": repository, "tags": tags}).to_string())
        }
        None => Answer::error(404, "NAME_UNKNOWN", "repository name not known to registry"),
    }
}

/// The repositories in lexical order, at most `n` behind `last`.
fn catalog(store: &Store, query: &str) -> Answer {
    let param = |name: &str| {
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    };
    let last = param("last").unwrap_or_default();
    let limit = param("n").and_then(|n| n.parse().ok()).unwrap_or(100_usize);
    let mut names: Vec<&String> = store.tags.keys().filter(|name| **name > last).collect();
    names.sort();
    let is_last = names.len() <= limit;
    names.truncate(limit);
    let answer = Answer::new(200, "application/json", json!({"repositories": names}).to_string());
    match names.last().filter(|_| !is_last) {
        Some(name) => {
            let query: String = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("last", name)
                .append_pair("n", &limit.to_string())
                .finish();
            answer.with("link", format!("</v2/_catalog?{query}>; rel=\"next\""))
        }
        None => answer,
    }
}
