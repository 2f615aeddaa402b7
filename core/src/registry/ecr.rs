//! Amazon's private registries (ECR): listed over their own API, since Docker V2 has no dates.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use url::Url;
use zeroize::Zeroizing;

use super::aws::{Api, AwsCredential, Chain, Place, Variant, service_url};
use super::connection::Connection;
use super::connector::{Capabilities, Connector, Wanted};
use super::credential::Credential;
use super::definition::Registry;
use super::docker::Docker;
use super::listing::{self, Images, Notice};
use super::surroundings::Surroundings;
use super::{address, plain, v2};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::media_type::{DOCKER_CONFIG, OCI_CONFIG};
use crate::model::record::{DateSource, ImageDate, ImageRecord};
use crate::net::client::Client;
use crate::net::identity::{Identity, IdentitySource, Issued};
use crate::net::token::decode_base64;

/// The name of the service in signatures, and what stands in front of its operations.
const SERVICE: (&str, &str) = ("ecr", "AmazonEC2ContainerRegistry_V20150921");
/// The longest that a token is trusted; it says twelve hours.
const MAX_LIFE: Duration = Duration::from_secs(6 * 60 * 60);

/// What a definition says besides what all have. Without `url` the registry is where region and account are.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    fips: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dual_stack: bool,
    /// The address of the API; the same as `api_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
}

impl Registry {
    /// The private registry of an account of Amazon's cloud in a region, such as `eu-west-1` and `123456789012`.
    pub fn ecr(region: impl Into<String>, account: impl Into<String>) -> Self {
        let settings = Settings { region: Some(region.into()), account: Some(account.into()), ..Settings::default() };
        Self::of_vendor("ecr", &settings).credential(Credential::aws(AwsCredential::new()))
    }
}

/// The kind `ecr`.
pub(super) struct Vendor;

impl super::Vendor for Vendor {
    fn name(&self) -> &'static str {
        "ecr"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["region", "account", "fips", "dual_stack", "endpoint"]
    }

    fn owns(&self, host: &str) -> bool {
        Place::of_host(host).is_some()
    }

    fn address(&self, registry: &Registry) -> Result<String> {
        Ok(format!("https://{}", place(registry, None)?.host()))
    }

    fn base(&self, registry: &Registry, url: Url) -> Result<Url> {
        let Some(place) = Place::of_host(url.host_str().unwrap_or_default()) else { return Ok(url) };
        let settings: Settings = registry.settings()?;
        let differs = |given: Option<String>, said: &str| given.is_some_and(|given| given != said);
        let fields = [
            ("region", differs(settings.region, &place.region)),
            ("account", differs(settings.account, &place.account)),
            ("fips", settings.fips && !place.variant.fips),
            ("dual_stack", settings.dual_stack && !place.variant.dual_stack),
        ];
        match fields.into_iter().find(|(_, differs)| *differs) {
            Some((field, _)) => Err(address::contradicts(&url, field)),
            None => Ok(url),
        }
    }

    fn identity(
        &self,
        registry: &Registry,
        client: &Client,
        repository: Option<&str>,
    ) -> Result<Arc<dyn IdentitySource>> {
        match &registry.credential {
            Credential::Aws(_) => Ok(Arc::new(Login(api(registry, client)?))),
            // Nobody may pull from here: where docker has no login, there may be one of Amazon's.
            Credential::DockerConfig { .. } => Ok(Arc::new(Either {
                plain: plain::identity(registry, repository)?,
                login: Login(api(registry, client)?),
            })),
            _ => plain::identity(registry, repository),
        }
    }

    fn connect(&self, registry: &Registry, connection: Connection) -> Result<Arc<dyn Connector>> {
        match &registry.credential {
            Credential::Aws(_) | Credential::DockerConfig { .. } => {
                let account = host_place(registry)?.account;
                let api = api(registry, connection.session().client())?;
                let docker = match registry.credential {
                    Credential::DockerConfig { .. } => Some(connection),
                    _ => None,
                };
                let (has_keys, notice) = (OnceCell::new(), Notice::default());
                Ok(Arc::new(Ecr { api, account, docker, has_keys, notice }))
            }
            // With the password of a token alone, only Docker V2 can be asked.
            _ => Ok(Arc::new(Docker(connection))),
        }
    }
}

/// Where the registry is, by its own host where that says it.
fn host_place(registry: &Registry) -> Result<Place> {
    let host = registry.base()?.host_str().unwrap_or_default().to_ascii_lowercase();
    place(registry, Place::of_host(&host))
}

/// Where the registry is: what the definition says, else what the host says.
fn place(registry: &Registry, host: Option<Place>) -> Result<Place> {
    let settings: Settings = registry.settings()?;
    let missing = |field: &'static str, hint: &'static str| {
        Error::new(Kind::InvalidInput, format!("the {field} of the registry is missing"))
            .with("field", field)
            .with_hint(hint)
    };
    let (region, account, variant) = match host {
        Some(place) => (Some(place.region), Some(place.account), place.variant),
        None => (None, None, Variant { fips: settings.fips, dual_stack: settings.dual_stack }),
    };
    let region = settings.region.or(region).ok_or_else(|| missing("region", "a region is such as eu-west-1"))?;
    let account = settings.account.or(account);
    let account = account.ok_or_else(|| missing("account", "the account that owns the registry: twelve digits"))?;
    Place { region, account, variant }.checked()
}

/// The API of the registry's region.
fn api(registry: &Registry, client: &Client) -> Result<Api> {
    let place = host_place(registry)?;
    let surroundings = Surroundings::real();
    let settings: Settings = registry.settings()?;
    let given = settings.endpoint.or_else(|| registry.api_url.clone());
    let url = given.unwrap_or_else(|| service_url(SERVICE.0, &place.region, place.variant, &surroundings));
    let credential = match &registry.credential {
        Credential::Aws(credential) => (**credential).clone(),
        _ => AwsCredential::new(),
    };
    let chain = Chain::new(credential, &place.region, place.variant, client.clone(), surroundings)?;
    Api::new(client.clone(), &url, &place.region, SERVICE, chain)
}

/// Docker's login where there is one, else that of Amazon's cloud.
#[derive(Debug)]
struct Either {
    plain: Arc<dyn IdentitySource>,
    login: Login,
}

impl IdentitySource for Either {
    fn identity<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Result<Issued>> {
        Box::pin(async move {
            let issued = self.plain.identity(context).await?;
            if issued.identity == Identity::Anonymous { self.login.identity(context).await } else { Ok(issued) }
        })
    }
}

/// A password for Docker V2, which the API gives for twelve hours.
#[derive(Debug)]
struct Login(Api);

impl IdentitySource for Login {
    fn identity<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Result<Issued>> {
        Box::pin(async move {
            #[derive(Deserialize)]
            #[serde(rename_all = "camelCase")]
            struct Answer {
                authorization_data: Vec<Token>,
            }
            let answer: Answer = self.0.call("GetAuthorizationToken", &serde_json::json!({}), context).await?;
            answer.authorization_data.into_iter().next().and_then(Token::issued).ok_or_else(no_password)
        })
    }
}

pub(super) fn no_password() -> Error {
    Error::new(Kind::Corrupt, "the API gives something that is no password").with("action", "GetAuthorizationToken")
}

/// What `GetAuthorizationToken` gives: user and password in base64, and seconds since 1970.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Token {
    authorization_token: Zeroizing<String>,
    expires_at: Option<f64>,
}

impl Token {
    pub(super) fn issued(self) -> Option<Issued> {
        let plain = decode_base64(&self.authorization_token)?;
        let (username, password) = std::str::from_utf8(&plain).ok()?.split_once(':')?;
        let identity = Identity::Basic { username: username.to_owned(), password: Zeroizing::new(password.to_owned()) };
        // Half of its life, as Amazon's own helper has it. One that has ended already, by our clock or theirs, is good for a moment.
        let life = self.expires_at.and_then(time).map(|end| end.duration_since(Timestamp::now()));
        let life = life.map_or(MAX_LIFE, |life| Duration::try_from(life).unwrap_or_default() / 2);
        let until = Instant::now() + life.clamp(Duration::from_secs(60), MAX_LIFE);
        Some(Issued { identity, until: Some(until) })
    }
}

/// Seconds since 1970, maybe with a fraction.
pub(super) fn time(seconds: f64) -> Option<Timestamp> {
    let is_near = (0.0..2e11).contains(&seconds);
    is_near.then(|| Timestamp::from_microsecond((seconds * 1e6).round() as i64).ok())?
}

/// Over the API.
struct Ecr {
    api: Api,
    account: String,
    /// The way over Docker V2, for those who may have docker's login and nothing else.
    docker: Option<Connection>,
    has_keys: OnceCell<bool>,
    notice: Notice,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ask<'a> {
    registry_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    repository_name: Option<&'a str>,
    max_results: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<Filter>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    tag_status: &'static str,
}

impl Ecr {
    /// The way over Docker V2 besides the API, and whether there is a key to ask the API with.
    async fn besides(&self, context: &Context) -> Result<Option<(&Connection, bool)>> {
        let Some(connection) = &self.docker else { return Ok(None) };
        let look = || async {
            match self.api.has_keys(context).await {
                Ok(()) => Ok(true),
                // What passes by itself says nothing for later.
                Err(error) if matches!(error.kind(), Kind::Canceled | Kind::RateLimited | Kind::Unavailable) => {
                    Err(error)
                }
                Err(error) => {
                    self.tell(&error, context);
                    Ok(false)
                }
            }
        };
        Ok(Some((connection, *self.has_keys.get_or_try_init(look).await?)))
    }

    /// That docker's login shows less than the API would.
    fn tell(&self, error: &Error, context: &Context) {
        let hint = "give a credential of Amazon's that allows ecr:DescribeRepositories and ecr:DescribeImages";
        self.notice.tell("docker's login lists, with no dates of pushes", error, hint, context);
    }

    /// The names of the repositories, over the API.
    fn named<'a>(&'a self, context: &'a Context) -> BoxStream<'a, Result<String>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Page {
            #[serde(default)]
            repositories: Vec<Repository>,
            next_token: Option<String>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Repository {
            repository_name: String,
        }
        listing::repositories(listing::pages(None, move |next| async move {
            let page: Page = self.api.call("DescribeRepositories", &self.ask(None, next), context).await?;
            let entries = page.repositories.into_iter().map(|repository| repository.repository_name).collect();
            Ok(listing::Page { entries, next: more(page.next_token) })
        }))
    }

    /// The images of a repository with the dates of their pushes, over the API.
    async fn dated(&self, repository: &str, context: &Context) -> Result<Vec<ImageRecord>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Page {
            #[serde(default)]
            image_details: Vec<Image>,
            next_token: Option<String>,
        }
        let pages = listing::pages(None, move |next| async move {
            let page: Page = self.api.call("DescribeImages", &self.ask(Some(repository), next), context).await?;
            Ok(listing::Page { entries: page.image_details, next: more(page.next_token) })
        });
        let about = |error: Error| error.with("repository", repository);
        let mut images = Images::of(repository);
        futures_util::pin_mut!(pages);
        while let Some(page) = pages.try_next().await.map_err(about)? {
            let containers = page.into_iter().filter(|image| is_container(image.artifact_media_type.as_deref()));
            containers.for_each(|image| image.add(&mut images));
        }
        images.finish()
    }

    fn ask<'a>(&'a self, repository: Option<&'a str>, next_token: Option<String>) -> Ask<'a> {
        // Archived images, which are not asked for, cannot be pulled.
        let filter = repository.map(|_| Filter { tag_status: "TAGGED" });
        Ask { registry_id: &self.account, repository_name: repository, max_results: 1000, next_token, filter }
    }
}

impl Connector for Ecr {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_dates(DateSource::FirstPushed)
    }

    fn repositories<'a>(&'a self, _: &'a Wanted, context: &'a Context) -> BoxStream<'a, Result<String>> {
        let way = async move {
            let mut named = self.named(context).peekable();
            let Some((connection, has_keys)) = self.besides(context).await? else { return Ok(named.boxed()) };
            if has_keys {
                // A refusal comes first, or never.
                match Pin::new(&mut named).peek().await {
                    Some(Err(error)) if is_refused(error) => self.tell(error, context),
                    _ => return Ok(named.boxed()),
                }
            }
            Ok::<_, Error>(v2::repositories(connection, context))
        };
        Box::pin(stream::once(way).try_flatten())
    }

    fn images<'a>(
        &'a self,
        repository: &'a str,
        _: &'a Wanted,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<ImageRecord>>> {
        Box::pin(async move {
            let (connection, has_keys) = match self.besides(context).await? {
                Some(besides) => besides,
                None => return self.dated(repository, context).await,
            };
            if !has_keys {
                return v2::images(connection, repository, context).await;
            }
            let refused = match self.dated(repository, context).await {
                Err(error) if is_refused(&error) => error,
                done => return done,
            };
            // Where docker's login does not list either, the first reason is the one to tell.
            match v2::images(connection, repository, context).await {
                Ok(images) => {
                    self.tell(&refused, context);
                    Ok(images)
                }
                Err(error) if error.kind() == Kind::Canceled => Err(error),
                Err(_) => Err(refused),
            }
        })
    }
}

/// Whether the API does not let us in, where docker's login may.
fn is_refused(error: &Error) -> bool {
    matches!(error.kind(), Kind::PermissionDenied | Kind::Unauthenticated)
}

/// Where the next page is; an empty token is none.
pub(super) fn more(next_token: Option<String>) -> Option<Option<String>> {
    next_token.filter(|next| !next.is_empty()).map(Some)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    #[serde(default, deserialize_with = "listing::digest")]
    image_digest: Option<Digest>,
    #[serde(default)]
    image_tags: Vec<String>,
    image_size_in_bytes: Option<u64>,
    image_pushed_at: Option<f64>,
    image_manifest_media_type: Option<String>,
    artifact_media_type: Option<String>,
}

/// Whether it is no chart, no signature, nothing else that registries hold besides images, by the type of its configuration.
pub(super) fn is_container(kind: Option<&str>) -> bool {
    kind.is_none_or(|kind| matches!(kind, "" | OCI_CONFIG | DOCKER_CONFIG))
}

impl Image {
    fn add(self, images: &mut Images<'_>) {
        let Some(digest) = self.image_digest else { return };
        let date = ImageDate::new(self.image_pushed_at.and_then(time), DateSource::FirstPushed);
        for tag in &self.image_tags {
            if let Some(record) = images.tag(digest.clone(), tag, date) {
                record.media_type = self.image_manifest_media_type.clone().unwrap_or_default();
                record.size = self.image_size_in_bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests;
