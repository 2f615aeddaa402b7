//! Google's cloud: who we are there, and its Artifact Registry, which serves the names of gcr.io too.

mod access;
mod credential;
mod listing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::access::Access;
pub use self::credential::GoogleCredential;
pub(super) use self::listing::{Artifacts, Place};
use super::credential::Credential;
use super::definition::Registry;
use super::plain;
use super::surroundings::Surroundings;
use crate::error::{Error, Kind, Result};
use crate::net::api::{Api, Way};
use crate::net::client::Client;
use crate::net::identity::IdentitySource;
use crate::net::session::Session;

/// Where the API is.
const API: &str = "https://artifactregistry.googleapis.com";

/// Access tokens, for those who have a credential of Google's cloud.
fn access(registry: &Registry, client: &Client) -> Result<Option<Access>> {
    let (Credential::Gcr(credential) | Credential::Gar(credential)) = &registry.credential else { return Ok(None) };
    let access = Access::new((**credential).clone(), client.clone(), registry.base()?, Surroundings::real());
    Ok(Some(access))
}

/// Who we are at the registry's token server.
pub(super) fn identity(
    registry: &Registry,
    client: &Client,
    repository: Option<&str>,
) -> Result<Arc<dyn IdentitySource>> {
    match access(registry, client)? {
        Some(access) => Ok(Arc::new(access.login())),
        None => plain::identity(registry, repository),
    }
}

/// The API, for those who have a credential of Google's cloud.
pub(super) fn api(registry: &Registry, client: &Client) -> Result<Option<Api>> {
    let Some(access) = access(registry, client)? else { return Ok(None) };
    let base = registry.api_or(API)?;
    let session = Session::new(client.clone(), base.clone(), Arc::new(access));
    Ok(Some(Api::new(session, base, Way::Plain)))
}

/// A project in a reference: the domain that it may have in front becomes a segment of its own.
pub(super) fn path(project: &str) -> String {
    project.replace(':', "/")
}

/// That a name can be one of Google's cloud; it becomes part of hosts and paths.
pub(super) fn checked(field: &'static str, name: &str) -> Result<()> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_free = |c: char| is_name(c) || (field != "location" && ".:_".contains(c));
    let is_good =
        !name.is_empty() && name.chars().all(is_free) && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if is_good && !name.contains("..") {
        return Ok(());
    }
    Err(Error::new(Kind::InvalidInput, "this cannot be right").with("field", field).with("value", name.escape_debug()))
}

pub(super) fn missing(field: &'static str, hint: &'static str) -> Error {
    Error::new(Kind::InvalidInput, "a field of the definition is missing").with("field", field).with_hint(hint)
}
