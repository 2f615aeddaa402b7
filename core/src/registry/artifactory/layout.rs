//! Where the registry and the API of an Artifactory are: by path, by sub-domain, by port, or below its own `/api/docker/`.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::{Error, Kind, Result};
use crate::registry::definition::Registry;

/// How Docker clients reach the repositories of an Artifactory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArtifactoryAccess {
    /// `art.example/<repository key>/<image>`.
    #[default]
    Path,
    /// `<repository key>.art.example/<image>`.
    Subdomain,
    /// `art.example:<port of the repository>/<image>`.
    Port,
}

/// What only an Artifactory has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArtifactorySettings {
    /// How the repositories are reached.
    pub access: ArtifactoryAccess,
    /// The path in front of its API; `artifactory` unless it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The key of the Docker repository. Without it `path` lists all that the credential may read, `subdomain` takes the first
    /// part of the host, and `port` has no dates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository_key: Option<String>,
}

/// Where things are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// What stands in front of `/v2/`.
    pub(super) v2: Url,
    /// What stands in front of `api/`.
    pub(super) api: Url,
    /// The key of the only repository.
    pub(super) key: Option<String>,
    /// Whether the key is the first part of names in `/v2/`.
    pub(super) is_key_in_path: bool,
}

impl Layout {
    pub(super) fn of(registry: &Registry, mut v2: Url) -> Result<Self> {
        let settings: ArtifactorySettings = registry.settings()?;
        let wrong = |field: &'static str, message: &'static str| {
            Err(Error::new(Kind::InvalidInput, message).with("field", field))
        };
        let mut key = settings.repository_key.filter(|key| !key.is_empty());
        if key.as_deref().is_some_and(|key| !is_key(key)) {
            return wrong("repository_key", "this is not the key of a repository");
        }
        let context = settings.context.unwrap_or_else(|| "artifactory".to_owned());
        let context = context.trim_matches('/').to_owned();
        if context.contains(['?', '#', '%', '\\']) || context.split('/').any(|part| matches!(part, "." | "..")) {
            return wrong("context", "this is not a path");
        }
        let mut api = v2.clone();
        // The path of its API that speaks Docker V2, and needs no rules in the proxy in front. It is named after the type of the repository.
        let path = v2.path().trim_end_matches('/').to_owned();
        if let Some((front, own)) = path.split_once("/api/docker/").or_else(|| path.split_once("/api/oci/")) {
            api.set_path(front);
            return Ok(Self {
                api: registry.api()?.unwrap_or(api),
                key: Some(own.to_owned()).filter(|key| is_key(key)),
                v2,
                is_key_in_path: false,
            });
        }
        api.set_path(&context);
        match settings.access {
            ArtifactoryAccess::Path => {}
            ArtifactoryAccess::Port => {}
            ArtifactoryAccess::Subdomain => {
                let host = v2.host_str().unwrap_or_default().to_owned();
                if let Some(label) = host.strip_suffix(".jfrog.io") {
                    // There the repositories of a tenant are beside it, not below: `<tenant>-<key>.jfrog.io`.
                    let Some(own) = &key else {
                        let message = "on jfrog.io the host does not say where the key of the repository begins";
                        return wrong("repository_key", message);
                    };
                    let own = own.to_ascii_lowercase();
                    let tenant = label.strip_suffix(&own).and_then(|rest| rest.strip_suffix('-')).unwrap_or(label);
                    for (url, host) in [(&mut v2, format!("{tenant}-{own}")), (&mut api, tenant.to_owned())] {
                        if url.set_host(Some(&format!("{host}.jfrog.io"))).is_err() {
                            return wrong("repository_key", "this is not the key of a repository on jfrog.io");
                        }
                    }
                    return Ok(Self { v2, api: registry.api()?.unwrap_or(api), key, is_key_in_path: false });
                }
                let own = key.clone().or_else(|| host.split_once('.').map(|(own, _)| own.to_owned()));
                let Some(own) = own else { return wrong("repository_key", "the host names no repository") };
                let place = match host.strip_prefix(&format!("{}.", own.to_ascii_lowercase())) {
                    Some(place) => place.to_owned(),
                    None => host.clone(),
                };
                for (url, host) in [(&mut v2, format!("{own}.{place}")), (&mut api, place)] {
                    if url.set_host(Some(&host)).is_err() {
                        return wrong("url", "this host has no subdomains");
                    }
                }
                key = Some(own);
            }
        }
        let is_key_in_path = settings.access == ArtifactoryAccess::Path;
        Ok(Self { v2, api: registry.api()?.unwrap_or(api), key, is_key_in_path })
    }
}

/// Whether a text can be the key of a repository: nothing in it means anything in a query or a path.
pub(super) fn is_key(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && !text.starts_with('.')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(url: &str, settings: &ArtifactorySettings) -> (String, String, Option<String>) {
        let registry = Registry::artifactory(url).with_settings(settings).unwrap();
        let layout = Layout::of(&registry, registry.base().unwrap()).unwrap();
        assert_eq!(layout.v2, registry.base().unwrap());
        (layout.v2.into(), layout.api.into(), layout.key)
    }

    #[test]
    fn knows_where_things_are() {
        use ArtifactoryAccess::{Path, Port, Subdomain};
        let settings = |access, key: Option<&str>| ArtifactorySettings {
            access,
            context: None,
            repository_key: key.map(str::to_owned),
        };
        for (url, access, key, v2, api, found) in [
            ("art.example", Path, None, "https://art.example/", "https://art.example/artifactory", None),
            ("art.example", Path, Some("dl"), "https://art.example/", "https://art.example/artifactory", Some("dl")),
            (
                "dl.art.example",
                Subdomain,
                None,
                "https://dl.art.example/",
                "https://art.example/artifactory",
                Some("dl"),
            ),
            (
                "dl.art.example",
                Subdomain,
                Some("dl"),
                "https://dl.art.example/",
                "https://art.example/artifactory",
                Some("dl"),
            ),
            (
                "art.example",
                Subdomain,
                Some("dl"),
                "https://dl.art.example/",
                "https://art.example/artifactory",
                Some("dl"),
            ),
            (
                "art.example:5001",
                Port,
                Some("dl"),
                "https://art.example:5001/",
                "https://art.example:5001/artifactory",
                Some("dl"),
            ),
            (
                "acme-docker-local.jfrog.io",
                Subdomain,
                Some("docker-local"),
                "https://acme-docker-local.jfrog.io/",
                "https://acme.jfrog.io/artifactory",
                Some("docker-local"),
            ),
            (
                "acme.jfrog.io",
                Subdomain,
                Some("docker-local"),
                "https://acme-docker-local.jfrog.io/",
                "https://acme.jfrog.io/artifactory",
                Some("docker-local"),
            ),
            (
                "https://art.example/artifactory/api/docker/dl/v2/",
                Path,
                None,
                "https://art.example/artifactory/api/docker/dl",
                "https://art.example/artifactory",
                Some("dl"),
            ),
            (
                "https://art.example/artifactory/api/oci/charts",
                Path,
                None,
                "https://art.example/artifactory/api/oci/charts",
                "https://art.example/artifactory",
                Some("charts"),
            ),
        ] {
            let expected = (v2.to_owned(), api.to_owned(), found.map(str::to_owned));
            assert_eq!(layout(url, &settings(access, key)), expected, "{url} {access:?}");
        }
    }

    #[test]
    fn the_credential_of_a_tenant_does_not_go_to_the_cloud_itself() {
        let settings = ArtifactorySettings { access: ArtifactoryAccess::Subdomain, ..Default::default() };
        let registry = Registry::artifactory("acme-docker-local.jfrog.io").with_settings(settings).unwrap();
        let error = registry.base().unwrap_err();
        assert!(error.kind() == Kind::InvalidInput && error.to_string().contains("repository_key"), "{error:?}");
    }

    #[test]
    fn refuses_what_could_mean_something_in_a_query() {
        for (key, context) in [(r#"a"}}).delete("#, "artifactory"), ("a*", "artifactory"), ("a", "../x"), ("..", "")] {
            let settings = ArtifactorySettings {
                repository_key: Some(key.into()),
                context: Some(context.into()),
                ..Default::default()
            };
            let registry = Registry::artifactory("art.example").with_settings(settings).unwrap();
            assert_eq!(registry.base().unwrap_err().kind(), Kind::InvalidInput, "{key} {context}");
        }
    }
}
