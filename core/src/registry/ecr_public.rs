//! Amazon's public registry (ECR Public). Who owns a registry there lists it with the dates of its tags; all others name repositories.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::aws::{Api, Chain, Variant, service_url};
use super::connection::Connection;
use super::connector::{Capabilities, Connector, Wanted};
use super::credential::Credential;
use super::definition::Registry;
use super::ecr::{Token, is_container, more, no_password, time};
use super::listing::{self, Images, Notice};
use super::plain;
use super::surroundings::Surroundings;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::record::{DateSource, ImageDate, ImageRecord};
use crate::model::reference::is_repository;
use crate::net::client::Client;
use crate::net::identity::{IdentitySource, Issued};

/// The name of the service in signatures, and what stands in front of its operations.
const SERVICE: (&str, &str) = ("ecr-public", "SpencerFrontendService");
/// Where the API is, whatever region a user has.
const REGION: &str = "us-east-1";

/// What a definition says besides what all have.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// The name of the registry, which stands in front of its repositories.
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<String>,
}

impl Registry {
    /// A registry in Amazon's public gallery, by its alias: `public.ecr.aws/<alias>/...`.
    pub fn ecr_public(alias: impl Into<String>) -> Self {
        Self::of_vendor("ecr-public", &Settings { alias: Some(alias.into()) })
    }
}

/// The kind `ecr-public`.
pub(super) struct Vendor;

impl super::Vendor for Vendor {
    fn name(&self) -> &'static str {
        "ecr-public"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["alias"]
    }

    fn owns(&self, host: &str) -> bool {
        matches!(host, "public.ecr.aws" | "ecr-public.aws.com")
    }

    fn address(&self, _: &Registry) -> Result<String> {
        Ok("https://public.ecr.aws".to_owned())
    }

    fn identity(
        &self,
        registry: &Registry,
        client: &Client,
        repository: Option<&str>,
    ) -> Result<Arc<dyn IdentitySource>> {
        match api(registry, client)? {
            Some(api) => Ok(Arc::new(Login(api))),
            None => plain::identity(registry, repository),
        }
    }

    fn connect(&self, registry: &Registry, connection: Connection) -> Result<Arc<dyn Connector>> {
        let alias = registry.settings::<Settings>()?.alias.unwrap_or_default();
        if !alias.is_empty() && !is_repository(&alias) {
            return Err(Error::new(Kind::InvalidInput, "this is not the alias of a registry")
                .with("field", "alias")
                .with("value", alias.escape_debug()));
        }
        let api = api(registry, connection.session().client())?;
        Ok(Arc::new(EcrPublic { alias, api, connection, own: OnceCell::new(), notice: Notice::default() }))
    }
}

/// The API, for those who have credentials of Amazon's.
fn api(registry: &Registry, client: &Client) -> Result<Option<Api>> {
    let Credential::Aws(credential) = &registry.credential else { return Ok(None) };
    let surroundings = Surroundings::real();
    let url = registry.api_url.clone();
    let url = url.unwrap_or_else(|| service_url(SERVICE.0, REGION, Variant::default(), &surroundings));
    let chain = Chain::new((**credential).clone(), REGION, Variant::default(), client.clone(), surroundings)?;
    Api::new(client.clone(), &url, REGION, SERVICE, chain).map(Some)
}

/// A password for the token server.
#[derive(Debug)]
struct Login(Api);

impl IdentitySource for Login {
    fn identity<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Result<Issued>> {
        Box::pin(async move {
            // Not a list, as in private registries.
            #[derive(Deserialize)]
            #[serde(rename_all = "camelCase")]
            struct Answer {
                authorization_data: Token,
            }
            let answer: Answer = self.0.call("GetAuthorizationToken", &serde_json::json!({}), context).await?;
            answer.authorization_data.issued().ok_or_else(no_password)
        })
    }
}

struct EcrPublic {
    alias: String,
    api: Option<Api>,
    connection: Connection,
    /// The aliases of our own registry.
    own: OnceCell<Vec<String>>,
    notice: Notice,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ask<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    repository_name: Option<&'a str>,
    max_results: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

impl EcrPublic {
    /// The API, where the alias is one of our own: it shows that registry alone, whatever one means.
    async fn api_of(&self, alias: &str, context: &Context) -> Result<Option<&Api>> {
        let Some(api) = &self.api else { return Ok(None) };
        let own = context.run(self.own.get_or_try_init(|| aliases(api, context))).await?;
        Ok(own.iter().any(|own| own == alias).then_some(api))
    }

    fn own_repositories<'a>(&'a self, api: &'a Api, context: &'a Context) -> BoxStream<'a, Result<String>> {
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
            repository_uri: Option<String>,
        }
        listing::repositories(listing::pages(None, move |next_token| async move {
            let ask = Ask { repository_name: None, max_results: 1000, next_token };
            let page: Page = api.call("DescribeRepositories", &ask, context).await?;
            let names = page.repositories.into_iter().map(|repository| {
                let Repository { repository_name: name, repository_uri } = repository;
                // Without an alias in the definition the name has to say it.
                match repository_uri.as_deref().and_then(|uri| uri.split_once('/')) {
                    Some((_, path)) if self.alias.is_empty() => path.to_owned(),
                    _ => name,
                }
            });
            Ok(listing::Page { entries: names.collect(), next: more(page.next_token) })
        }))
    }
}

impl Connector for EcrPublic {
    fn capabilities(&self) -> Capabilities {
        match self.api {
            Some(_) => Capabilities::new().with_dates(DateSource::Pushed),
            None => Capabilities::new().without_repositories(),
        }
    }

    fn prefix(&self) -> &str {
        &self.alias
    }

    fn repositories<'a>(&'a self, _: &'a Wanted, context: &'a Context) -> BoxStream<'a, Result<String>> {
        let way = async move {
            // Without an alias our own is meant.
            let api = match self.alias.as_str() {
                "" => self.api.as_ref(),
                alias => self.api_of(alias, context).await?,
            };
            let api = api.ok_or_else(|| {
                Error::new(Kind::Unsupported, "only who owns a registry of ECR Public can list it")
                    .with_hint("name the repositories, or give the owner's credentials of Amazon's cloud")
            })?;
            Ok::<_, Error>(self.own_repositories(api, context))
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
            let full = match self.alias.as_str() {
                "" => repository.to_owned(),
                alias => format!("{alias}/{repository}"),
            };
            let (alias, own) = full.split_once('/').unwrap_or(("", &full));
            let api = match self.api_of(alias, context).await {
                // Whoever may only pull has no registry to show.
                Err(error) if error.kind() == Kind::PermissionDenied => {
                    let hint = "allow ecr-public:DescribeRegistries, if the registry is your own";
                    self.notice.tell("no dates of pushes", &error, hint, context);
                    None
                }
                api => api?,
            };
            match api {
                Some(api) => tags(api, repository, own, context).await,
                None => listing::by_v2(&self.connection, &full, repository, context).await,
            }
        })
    }
}

/// The aliases under which our own registry can be pulled from. One that waits, or was refused, may be somebody else's.
async fn aliases(api: &Api, context: &Context) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Page {
        #[serde(default)]
        registries: Vec<Own>,
        #[serde(rename = "nextToken")]
        next_token: Option<String>,
    }
    #[derive(Deserialize)]
    struct Own {
        #[serde(default)]
        aliases: Vec<Alias>,
    }
    #[derive(Deserialize)]
    struct Alias {
        name: String,
        status: String,
    }
    let pages = listing::pages(None, move |next_token| async move {
        let ask = Ask { repository_name: None, max_results: 1000, next_token };
        let page: Page = api.call("DescribeRegistries", &ask, context).await?;
        Ok(listing::Page { entries: page.registries, next: more(page.next_token) })
    });
    let registries: Vec<_> = pages.try_concat().await?;
    let aliases = registries.into_iter().flat_map(|own| own.aliases);
    Ok(aliases.filter(|alias| alias.status == "ACTIVE").map(|alias| alias.name).collect())
}

/// The images of an own repository, by their tags.
async fn tags(api: &Api, repository: &str, own: &str, context: &Context) -> Result<Vec<ImageRecord>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Page {
        #[serde(default)]
        image_tag_details: Vec<Tag>,
        next_token: Option<String>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Tag {
        image_tag: String,
        created_at: Option<f64>,
        image_detail: Detail,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Detail {
        #[serde(default, deserialize_with = "listing::digest")]
        image_digest: Option<Digest>,
        image_size_in_bytes: Option<u64>,
        image_manifest_media_type: Option<String>,
        artifact_media_type: Option<String>,
    }
    let pages = listing::pages(None, move |next_token| async move {
        let ask = Ask { repository_name: Some(own), max_results: 1000, next_token };
        let page: Page = api.call("DescribeImageTags", &ask, context).await?;
        Ok(listing::Page { entries: page.image_tag_details, next: more(page.next_token) })
    });
    futures_util::pin_mut!(pages);
    let mut images = Images::of(repository);
    while let Some(page) = pages.try_next().await.map_err(|error| error.with("repository", repository))? {
        for Tag { image_tag, created_at, image_detail: detail } in page {
            let Some(digest) = detail.image_digest.filter(|_| is_container(detail.artifact_media_type.as_deref()))
            else {
                continue;
            };
            let date = ImageDate::new(created_at.and_then(time), DateSource::Pushed);
            if let Some(record) = images.tag(digest, &image_tag, date) {
                record.media_type = detail.image_manifest_media_type.unwrap_or_default();
                record.size = detail.image_size_in_bytes;
            }
        }
    }
    images.finish()
}
