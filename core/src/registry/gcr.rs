//! Google's names under `gcr.io`, which Artifact Registry serves since Container Registry was shut down.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::connector::Connector;
use super::credential::Credential;
use super::definition::Registry;
use super::google::{self, Artifacts, Place};
use crate::error::{Error, Kind, Result};
use crate::net::client::Client;
use crate::net::identity::IdentitySource;

/// The hosts: the word in definitions, the name of the host (which is that of its repository too), its location.
const HOSTS: [(&str, &str, &str); 4] =
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

    fn identity(
        &self,
        registry: &Registry,
        client: &Client,
        repository: Option<&str>,
    ) -> Result<Arc<dyn IdentitySource>> {
        google::identity(registry, client, repository)
    }

    fn connect(&self, registry: &Registry, connection: Connection) -> Result<Arc<dyn Connector>> {
        let (_, name, location) = host(registry)?;
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

/// The host that a definition names by its location, else by its address.
fn host(registry: &Registry) -> Result<(&'static str, &'static str, &'static str)> {
    let location = registry.settings::<Settings>()?.location;
    let url = registry.url.clone().unwrap_or_default();
    let of_url = HOSTS.iter().find(|(_, host, _)| url.trim_start_matches("https://").trim_end_matches('/') == *host);
    let found = match location.as_deref() {
        Some(location) => HOSTS.iter().find(|(word, ..)| *word == location),
        None => of_url.or(HOSTS.first()),
    };
    found.copied().ok_or_else(|| {
        Error::new(Kind::InvalidInput, "there is no such location")
            .with("field", "location")
            .with_hint("the locations of gcr.io are us, eu and asia")
    })
}
