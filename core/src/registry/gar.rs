//! Google Artifact Registry (`pkg.dev`).

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::Url;

use super::address;
use super::connection::Connection;
use super::connector::Connector;
use super::credential::Credential;
use super::definition::Registry;
use super::google::{self, Artifacts, Place};
use crate::error::Result;
use crate::net::client::Client;
use crate::net::identity::IdentitySource;

/// What a definition says besides what all have.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<String>,
}

impl Registry {
    /// Artifact Registry in a location, such as `europe-west1` or `us`: one repository of a project, or all of them.
    pub fn gar(location: impl Into<String>, project: impl Into<String>, repository: Option<&str>) -> Self {
        let settings = Settings {
            location: Some(location.into()),
            project: Some(project.into()),
            repository: repository.map(str::to_owned),
        };
        Self::of_vendor("gar", &settings)
    }
}

/// The kind `gar`.
pub(super) struct Vendor;

impl super::Vendor for Vendor {
    fn name(&self) -> &'static str {
        "gar"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["project", "location", "repository"]
    }

    fn owns(&self, host: &str) -> bool {
        location(host).is_some()
    }

    fn address(&self, registry: &Registry) -> Result<String> {
        let location = registry.settings::<Settings>()?.location;
        let location =
            location.ok_or_else(|| google::missing("location", "a location is such as europe-west1, us, europe"))?;
        google::checked("location", &location)?;
        Ok(format!("https://{location}-docker.pkg.dev"))
    }

    fn base(&self, registry: &Registry, url: Url) -> Result<Url> {
        let given = registry.settings::<Settings>()?.location;
        match location(url.host_str().unwrap_or_default()).zip(given) {
            Some((found, given)) if found != given => Err(address::contradicts(&url, "location")),
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
        let Settings { project, location: given, repository } = registry.settings()?;
        let host = registry.base()?.host_str().unwrap_or_default().to_owned();
        let location = given.or_else(|| location(&host).map(str::to_owned));
        let (Some(project), Some(location)) = (project, location) else {
            // All that is known is where to pull from, as of an image that somebody named.
            if matches!(registry.credential, Credential::Gar(_) | Credential::Gcr(_)) {
                return Err(google::missing("project", "give the project and the location to list"));
            }
            let place = Place { project: String::new(), location: String::new(), repository: None };
            return Ok(Arc::new(Artifacts::new(place, String::new(), None, connection)));
        };
        google::checked("location", &location)?;
        google::checked("project", &project)?;
        if let Some(repository) = &repository {
            google::checked("repository", repository)?;
        }
        let path = google::path(&project);
        let prefix = repository.as_ref().map_or_else(|| path.clone(), |repository| format!("{path}/{repository}"));
        let api = google::api(registry, connection.session().client())?;
        Ok(Arc::new(Artifacts::new(Place { project, location, repository }, prefix, api, connection)))
    }
}

/// The location in a host of Artifact Registry.
fn location(host: &str) -> Option<&str> {
    let old = host.strip_suffix("-docker.pkg.dev");
    let found = old.or_else(|| host.strip_prefix("docker.")?.strip_suffix(".rep.pkg.dev"))?;
    google::checked("location", found).ok().map(|()| found)
}

#[cfg(test)]
mod tests {
    use crate::Kind;
    use crate::registry::Registry;
    use crate::registry::vendor::recognise;

    #[test]
    fn knows_its_hosts() {
        for (host, kind) in [
            ("us-docker.pkg.dev", "gar"),
            ("europe-west1-docker.pkg.dev", "gar"),
            ("docker.us-central1.rep.pkg.dev", "gar"),
            ("us-docker.pkg.dev.evil.example", "docker"),
            ("us.evil-docker.pkg.dev", "docker"),
            ("-docker.pkg.dev", "docker"),
            ("us-npm.pkg.dev", "docker"),
            ("gcr.io", "gcr"),
            ("eu.gcr.io", "gcr"),
            ("mirror.gcr.io", "docker"),
            ("evilgcr.io", "docker"),
        ] {
            assert_eq!(recognise(host).name(), kind, "{host}");
        }
    }

    #[test]
    fn is_where_its_location_is() {
        let registry = Registry::gar("europe-west1", "acme", Some("images"));
        assert_eq!(registry.base().unwrap().as_str(), "https://europe-west1-docker.pkg.dev/");
        let error = Registry::gar("evil.example/", "acme", None).base().unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidInput);
    }
}
