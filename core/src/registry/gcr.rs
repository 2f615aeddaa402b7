//! Google's names under `gcr.io`, which Artifact Registry serves since Container Registry was shut down.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::Url;

use super::address;
use super::connection::Connection;
use super::connector::Connector;
use super::credential::Credential;
use super::definition::Registry;
use super::google::{self, Artifacts, Place};
use crate::error::{Error, Kind, Result};
use crate::net::client::Client;
use crate::net::identity::IdentitySource;

/// A host: the word in definitions, its name (which is that of its repository too), its location.
type Host = (&'static str, &'static str, &'static str);

/// All of them.
const HOSTS: [Host; 4] =
    [("", "gcr.io", "us"), ("us", "us.gcr.io", "us"), ("eu", "eu.gcr.io", "europe"), ("asia", "asia.gcr.io", "asia")];

/// What a definition says besides what all have.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    /// `us`, `eu` or `asia`; `gcr.io` itself where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
}

impl Registry {
    /// The images of a project under `gcr.io`, or with a location (`us`, `eu`, `asia`) under that name.
    pub fn gcr(project: impl Into<String>, location: Option<&str>) -> Self {
        let settings = Settings { project: Some(project.into()), location: location.map(str::to_owned) };
        Self::of_vendor("gcr", &settings)
    }
}

/// The kind `gcr`.
pub(super) struct Vendor;

impl super::Vendor for Vendor {
    fn name(&self) -> &'static str {
        "gcr"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["project", "location"]
    }

    fn owns(&self, host: &str) -> bool {
        HOSTS.iter().any(|(_, known, _)| *known == host)
    }

    fn address(&self, registry: &Registry) -> Result<String> {
        Ok(format!("https://{}", host(registry)?.1))
    }

    fn base(&self, registry: &Registry, url: Url) -> Result<Url> {
        let (has_location, named) = (registry.settings::<Settings>()?.location.is_some(), host(registry)?);
        match of(&url) {
            Some(found) if has_location && found != named => Err(address::contradicts(&url, "location")),
            _ => Ok(url),
        }
    }

    fn identity(
        &self,
        registry: &Registry,
        client: &Client,
        repository: Option<&str>,
    ) -> Result<Arc<dyn IdentitySource>> {
        google::identity(registry, client, repository)
    }

    fn connect(&self, registry: &Registry, connection: Connection) -> Result<Arc<dyn Connector>> {
        let (_, name, location) = place(registry)?;
        let place = |project| Place { project, location: location.to_owned(), repository: Some(name.to_owned()) };
        let Some(project) = registry.settings::<Settings>()?.project else {
            if matches!(registry.credential, Credential::Gar(_) | Credential::Gcr(_)) {
                return Err(google::missing("project", "give the project to list"));
            }
            return Ok(Arc::new(Artifacts::new(place(String::new()), String::new(), None, connection)));
        };
        google::checked("project", &project)?;
        let (prefix, api) = (google::path(&project), google::api(registry, connection.session().client())?);
        Ok(Arc::new(Artifacts::new(place(project), prefix, api, connection)))
    }
}

/// The host of these that is listed: by the address, where that is one of them, else by the location.
fn place(registry: &Registry) -> Result<Host> {
    of(&registry.base()?).map_or_else(|| host(registry), Ok)
}

/// The host that an address has.
fn of(url: &Url) -> Option<Host> {
    HOSTS.into_iter().find(|(_, known, _)| url.host_str() == Some(*known))
}

/// The host that a definition names by its location.
fn host(registry: &Registry) -> Result<Host> {
    let Some(location) = registry.settings::<Settings>()?.location else { return Ok(HOSTS[0]) };
    HOSTS.into_iter().find(|(word, ..)| *word == location).ok_or_else(|| {
        Error::new(Kind::InvalidInput, "there is no such location")
            .with("field", "location")
            .with_hint("the locations of gcr.io are us, eu and asia")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_and_location_agree() {
        let registry = |url: &str, location: Option<&str>| Registry {
            url: (!url.is_empty()).then(|| url.to_owned()),
            ..Registry::gcr("acme", location)
        };
        for (url, location, expected) in [
            ("", None, "gcr.io"),
            ("", Some("eu"), "eu.gcr.io"),
            ("us.gcr.io:443", None, "us.gcr.io"),
            ("https://us.gcr.io/", Some("us"), "us.gcr.io"),
            // A proxy in front says nothing of itself.
            ("https://cache.example/", Some("asia"), "asia.gcr.io"),
            ("https://cache.example/", None, "gcr.io"),
        ] {
            let registry = registry(url, location);
            assert_eq!(place(&registry).unwrap().1, expected, "{url} {location:?}");
            registry.base().unwrap();
        }
        for (url, location) in [("us.gcr.io", "eu"), ("gcr.io", "us"), ("", "mars")] {
            let error = registry(url, Some(location)).base().unwrap_err();
            assert!(error.kind() == Kind::InvalidInput && error.to_string().contains("location"), "{error}");
            assert!(error.hint().is_some(), "{url} {location}: {error:?}");
        }
    }
}
