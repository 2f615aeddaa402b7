//! Microsoft's registries (ACR): a token of Entra is exchanged for one of the registry, and the registry has lists with dates.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, TryStreamExt as _};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use super::azure::{AzureCredential, Cloud, Entra};
use super::connection::Connection;
use super::connector::{Capabilities, Connector, Wanted};
use super::credential::{Credential, basic};
use super::definition::Registry;
use super::listing::{self, Images};
use super::surroundings::Surroundings;
use super::{json, oauth, plain, v2};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::record::{DateSource, ImageDate, ImageRecord};
use crate::net::client::{Client, Request};
use crate::net::identity::{Identity, IdentitySource, Issued};
use crate::net::link;
use crate::net::session::CATALOG;
use crate::net::token::expiry;

/// What tokens of Entra are for.
const AUDIENCE: &str = "https://containerregistry.azure.net";
/// How long before its end the registry's token is replaced.
const EARLY: Duration = Duration::from_secs(5 * 60);

/// What a definition says besides what all have.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// The name of the registry, which its host begins with.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// `public`, `usgov` or `china`.
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud: Option<String>,
}

impl Registry {
    /// A registry of Microsoft's public cloud, by its name: `<name>.azurecr.io`.
    pub fn acr(name: impl Into<String>) -> Self {
        Self::of_vendor("acr", &Settings { name: Some(name.into()), ..Settings::default() })
    }

    /// A registry of one of Microsoft's clouds, by its name: `public`, `usgov` or `china`.
    pub fn acr_in(cloud: impl Into<String>, name: impl Into<String>) -> Self {
        Self::of_vendor("acr", &Settings { name: Some(name.into()), cloud: Some(cloud.into()) })
    }
}

/// The kind `acr`.
pub(super) struct Vendor;

impl super::Vendor for Vendor {
    fn name(&self) -> &'static str {
        "acr"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["name", "cloud"]
    }

    fn owns(&self, host: &str) -> bool {
        Cloud::ALL.iter().any(|cloud| is_registry(host, cloud.suffix))
    }

    fn address(&self, registry: &Registry) -> Result<String> {
        let settings: Settings = registry.settings()?;
        let wrong = |message: &'static str, hint: &'static str| {
            Err(Error::new(Kind::InvalidInput, message).with("field", "name").with_hint(hint))
        };
        let hint = "the name is what stands before .azurecr.io; or give the url";
        let Some(name) = settings.name else { return wrong("the name of the registry is missing", hint) };
        let host = format!("{}.{}", name.to_ascii_lowercase(), cloud(registry, "")?.suffix);
        if is_registry(&host, cloud(registry, "")?.suffix) {
            Ok(format!("https://{host}"))
        } else {
            wrong("this is not the name of a registry", hint)
        }
    }

    fn base(&self, registry: &Registry, url: Url) -> Result<Url> {
        // A cloud that does not exist is told, whoever we are.
        cloud(registry, "").map(|_| url)
    }

    fn identity(
        &self,
        registry: &Registry,
        client: &Client,
        repository: Option<&str>,
    ) -> Result<Arc<dyn IdentitySource>> {
        let Credential::Azure(credential) = &registry.credential else { return plain::identity(registry, repository) };
        let base = registry.base()?;
        let cloud = cloud(registry, base.host_str().unwrap_or_default())?;
        let entra = Entra::new((**credential).clone(), cloud, client.clone(), Surroundings::real());
        let credential = (**credential).clone();
        Ok(Arc::new(Login { credential, entra, cloud, client: client.clone(), base, host: registry.host()? }))
    }

    fn connect(&self, _: &Registry, connection: Connection) -> Result<Arc<dyn Connector>> {
        Ok(Arc::new(Acr(connection)))
    }
}

/// Whether a host is one of a registry, and none of its blobs (`<name>.<region>.data.azurecr.io`).
fn is_registry(host: &str, suffix: &str) -> bool {
    let Some(name) = host.strip_suffix(suffix).and_then(|name| name.strip_suffix('.')) else { return false };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let labels: Vec<_> = name.split('.').collect();
    labels.iter().all(|label| is_label(label)) && labels.last() != Some(&"data") && labels.len() <= 3
}

/// The cloud that a definition names, else the one that the host belongs to.
fn cloud(registry: &Registry, host: &str) -> Result<Cloud> {
    let settings: Settings = registry.settings()?;
    let Some(name) = settings.cloud else {
        let found = Cloud::ALL.into_iter().find(|cloud| is_registry(host, cloud.suffix));
        return Ok(found.unwrap_or(Cloud::ALL[0]));
    };
    Cloud::ALL.into_iter().find(|cloud| cloud.name == name).ok_or_else(|| {
        Error::new(Kind::InvalidInput, "there is no such cloud")
            .with("field", "cloud")
            .with("value", name.escape_debug())
            .with_hint("the clouds are public, usgov and china")
    })
}

/// The registry's refresh token, for which a token of Entra is exchanged.
#[derive(Debug)]
struct Login {
    credential: AzureCredential,
    entra: Entra,
    cloud: Cloud,
    client: Client,
    base: Url,
    host: String,
}

impl IdentitySource for Login {
    fn identity<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Result<Issued>> {
        Box::pin(async move {
            let credential = &self.credential;
            match (&credential.username, &credential.password) {
                (Some(username), Some(password)) => {
                    let password = password.resolve(&self.host, context).await?;
                    return Ok(Issued::for_good(basic(username, password)?));
                }
                (None, None) => {}
                (Some(_), None) => return Err(half("password")),
                (None, Some(_)) => return Err(half("username")),
            }
            if let Some(token) = &credential.refresh_token {
                return Ok(Issued::for_good(Identity::Refresh(token.resolve(&self.host, context).await?)));
            }
            let audience = credential.audience.as_deref().unwrap_or(AUDIENCE);
            let refused = match self.exchange(&self.entra.token(audience, context).await?, context).await {
                Err(error) if error.kind() == Kind::Unauthenticated => error,
                done => return done,
            };
            // Registries of the other clouds may still want a token for the cloud's management.
            if credential.audience.is_some() || credential.access_token.is_some() || self.cloud == Cloud::ALL[0] {
                return Err(refused);
            }
            let token = self.entra.token(self.cloud.management, context).await?;
            self.exchange(&token, context).await
        })
    }
}

fn half(field: &'static str) -> Error {
    Error::new(Kind::InvalidInput, "a user name and a password belong together").with("field", field)
}

impl Login {
    async fn exchange(&self, token: &str, context: &Context) -> Result<Issued> {
        #[derive(Deserialize)]
        struct Answer {
            refresh_token: Zeroizing<String>,
        }
        let url = self.base.join("/oauth2/exchange").map_err(json::no_address)?;
        let request = oauth::form(url, |form| {
            form.append_pair("grant_type", "access_token").append_pair("service", &self.host);
            if let Some(tenant) = &self.credential.tenant_id {
                form.append_pair("tenant", tenant);
            }
            form.append_pair("access_token", token);
        })?;
        let response = self.client.send(&request, context).await?;
        if !(200..300).contains(&response.status()) {
            let is_closed = response.status() == 403;
            let refused = response.refused(context).await;
            let hint = if is_closed {
                "the registry's firewall or its rights keep this identity out: allow the address of this machine"
            } else {
                "give the identity the role AcrPull on this registry (Container Registry Repository Reader with ABAC), and check the tenant"
            };
            return Err(Error::new(refused.kind(), "the registry does not exchange the token of Microsoft Entra")
                .with("registry", &self.host)
                .with_hint(hint)
                .because(refused));
        }
        let Answer { refresh_token } = json::read(response, context).await?;
        let life = expiry(&refresh_token);
        Ok(Issued::lasting(Identity::Refresh(refresh_token), life, EARLY))
    }
}

struct Acr(Connection);

impl Acr {
    /// A page of a list of the registry's own API, which takes the registry's tokens.
    async fn page<T: DeserializeOwned>(
        &self,
        first: &str,
        next: Option<Url>,
        scope: &str,
        context: &Context,
    ) -> Result<(T, Option<Url>)> {
        let session = self.0.session();
        let url = match next {
            Some(url) => url,
            None => {
                let base = session.base().as_str().trim_end_matches('/');
                Url::parse(&format!("{base}/acr/v1/{first}")).map_err(json::no_address)?
            }
        };
        let response = session.send(&Request::get(url), Some(scope), context).await?.success(context).await?;
        let next = link::next(response.url(), response.headers("link"));
        Ok((json::read(response, context).await?, next))
    }
}

impl Connector for Acr {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_dates(DateSource::Pushed)
    }

    fn repositories<'a>(&'a self, _: &'a Wanted, context: &'a Context) -> BoxStream<'a, Result<String>> {
        #[derive(Deserialize)]
        struct Page {
            repositories: Option<Vec<String>>,
        }
        listing::repositories(listing::pages(None, move |next| async move {
            let page = self.page::<Page>("_catalog?api-version=2021-07-01&n=1000", next, CATALOG, context).await;
            let (page, next) = page.map_err(|error| match error.kind() {
                Kind::Unauthenticated | Kind::PermissionDenied => Error::new(
                    error.kind(),
                    "the registry does not list its repositories for this credential",
                )
                .with("registry", self.0.host())
                .with_hint(
                    "name the repositories (a repository-scoped token never lists them), or give the role AcrPull; \
                             with ABAC Container Registry Repository Catalog Lister",
                )
                .because(error),
                _ => error,
            })?;
            Ok(listing::Page { entries: page.repositories.unwrap_or_default(), next: next.map(Some) })
        }))
    }

    fn images<'a>(
        &'a self,
        repository: &'a str,
        wanted: &'a Wanted,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<ImageRecord>>> {
        Box::pin(async move {
            match self.tags(repository, wanted, context).await {
                // Something in front of the registry may let only Docker V2 through; where there is no repository, that says so.
                Err(error) if error.kind() == Kind::NotFound => v2::images(&self.0, repository, context).await,
                Err(error) if matches!(error.kind(), Kind::PermissionDenied | Kind::Unauthenticated) => {
                    Err(Error::new(error.kind(), "the registry does not list the tags of this repository for this credential")
                        .with("repository", repository)
                        .with_hint(
                            "grant metadata/read besides content/read: the role AcrPull has it, the scope map _repositories_pull \
                             has not; or name the tags",
                        )
                        .because(error))
                }
                done => done.map_err(|error| error.with("repository", repository)),
            }
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tag {
    name: String,
    #[serde(default, deserialize_with = "listing::digest")]
    digest: Option<Digest>,
    last_update_time: Option<String>,
}

impl Acr {
    async fn tags(&self, repository: &str, wanted: &Wanted, context: &Context) -> Result<Vec<ImageRecord>> {
        #[derive(Deserialize)]
        struct Page {
            tags: Option<Vec<Tag>>,
        }
        // By time only where that may save pages: what is pushed between two pages moves to the front of such a list, and is missed.
        let order = if wanted.since.is_some() { "&orderby=timedesc" } else { "" };
        let path = format!("{repository}/_tags?api-version=2021-07-01&n=1000{order}");
        let scope = format!("repository:{repository}:metadata_read");
        let pages = listing::pages(None, |next| {
            let is_first = next.is_none();
            let (path, scope) = (&path, &scope);
            async move {
                let (page, next) = self.page::<Page>(path, next, scope, context).await?;
                let entries = page.tags.unwrap_or_default();
                // The newest tag comes first: where it is too old, so are all. Else older tags of a newer image are still needed.
                let times: Vec<_> = entries.iter().map(Tag::time).collect();
                let newest = times.first().copied().flatten().filter(|_| times.is_sorted_by(|one, next| one >= next));
                let is_over = is_first && newest.zip(wanted.since).is_some_and(|(newest, since)| newest < since);
                Ok(listing::Page { entries, next: next.filter(|_| !is_over).map(Some) })
            }
        });
        futures_util::pin_mut!(pages);
        let mut images = Images::of(repository);
        while let Some(page) = pages.try_next().await? {
            for tag in page {
                let date = ImageDate::new(tag.time(), DateSource::Pushed);
                if let Some(digest) = tag.digest {
                    images.tag(digest, &tag.name, date);
                }
            }
        }
        let records = images.finish()?;
        // What a list that ended early holds may lack tags.
        let is_in_window = |record: &ImageRecord| match (wanted.since, record.date.time) {
            (Some(since), Some(time)) => time >= since,
            _ => true,
        };
        Ok(records.into_iter().filter(is_in_window).collect())
    }
}

impl Tag {
    fn time(&self) -> Option<Timestamp> {
        ImageDate::read(self.last_update_time.as_deref(), DateSource::Pushed).time
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::vendor::recognise;

    #[test]
    fn knows_its_hosts() {
        for (host, is_ours) in [
            ("contoso.azurecr.io", true),
            ("contoso-a1b2c3d4e5f6g7h8.azurecr.io", true),
            ("contoso.westeurope.geo.azurecr.io", true),
            ("contoso.azurecr.us", true),
            ("contoso.azurecr.cn:443", true),
            ("contoso.westeurope.data.azurecr.io", false),
            ("azurecr.io", false),
            (".azurecr.io", false),
            ("contoso.azurecr.io.evil.example", false),
            ("contosoazurecr.io", false),
            ("contoso.azurecr.io:5000", false),
        ] {
            assert_eq!(recognise(host).name() == "acr", is_ours, "{host}");
        }
    }

    #[test]
    fn is_where_its_name_is() {
        let base = |json: &str| Registry::from_json(json).and_then(|registry| registry.base()).map(String::from);
        assert_eq!(base(r#"{"kind":"acr","name":"Contoso"}"#).unwrap(), "https://contoso.azurecr.io/");
        let china = r#"{"kind":"acr","name":"contoso","cloud":"china"}"#;
        assert_eq!(base(china).unwrap(), "https://contoso.azurecr.cn/");
        for (json, named) in [
            (r#"{"kind":"acr"}"#, "name"),
            (r#"{"kind":"acr","name":"evil.example/x"}"#, "name"),
            (r#"{"kind":"acr","name":"x","cloud":"german"}"#, "cloud"),
        ] {
            let error = base(json).unwrap_err();
            assert!(error.kind() == Kind::InvalidInput && error.to_string().contains(named), "{json}: {error}");
        }
    }
}
