//! Access tokens of Google's cloud, from whatever a user or the machine has.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::HeaderName;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use url::Url;
use zeroize::Zeroizing;

use super::credential::GoogleCredential;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::net::client::{Client, Request};
use crate::net::identity::{Identity, IdentitySource, Issued};
use crate::net::{address, redact};
use crate::registry::surroundings::{self, Surroundings};
use crate::registry::{json as answer, oauth, rsa};

/// What tokens are for: a narrower scope is not known to the registry's token server.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// How long before its end a token is replaced.
const EARLY: Duration = Duration::from_secs(225);
const FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");

/// A token, and how long it holds.
type Token = (Zeroizing<String>, Option<Duration>);

/// Everything that an access token needs.
#[derive(Clone, Debug)]
pub(in crate::registry) struct Access {
    credential: GoogleCredential,
    client: Client,
    /// The registry: a token service at the same private host is the user's word (tests, appliances).
    registry: Url,
    surroundings: Surroundings,
}

/// The access token as the password that the registry's token server takes.
#[derive(Clone, Debug)]
pub(in crate::registry) struct Login(Access);

impl IdentitySource for Login {
    fn identity<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Result<Issued>> {
        Box::pin(async move {
            let Issued { identity, until } = self.0.identity(context).await?;
            Ok(match identity {
                Identity::Bearer(password) => {
                    Issued { identity: Identity::Basic { username: "oauth2accesstoken".to_owned(), password }, until }
                }
                identity => Issued { identity, until },
            })
        })
    }
}

impl IdentitySource for Access {
    fn identity<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Result<Issued>> {
        Box::pin(async move {
            let (token, life) = self.token(context).await?;
            Ok(Issued::lasting(Identity::Bearer(token), life, EARLY))
        })
    }
}

/// The JSON of a credential, whichever of Google's kinds it is. Only what is needed of each.
#[derive(Deserialize, Default)]
#[serde(default)]
struct File {
    #[serde(rename = "type")]
    kind: String,
    client_email: Option<String>,
    private_key: Option<Zeroizing<String>>,
    private_key_id: Option<String>,
    token_uri: Option<String>,
    client_id: Option<String>,
    client_secret: Option<Zeroizing<String>>,
    refresh_token: Option<Zeroizing<String>>,
    audience: Option<String>,
    subject_token_type: Option<String>,
    token_url: Option<String>,
    credential_source: Source,
    service_account_impersonation_url: Option<String>,
}

/// Where the token of another identity provider is.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Source {
    file: Option<PathBuf>,
    format: Format,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Format {
    #[serde(rename = "type")]
    kind: String,
    subject_token_field_name: Option<String>,
}

impl Access {
    pub(in crate::registry) fn new(
        credential: GoogleCredential,
        client: Client,
        registry: Url,
        surroundings: Surroundings,
    ) -> Self {
        Self { credential, client, registry, surroundings }
    }

    /// The same as a login at the registry.
    pub(in crate::registry) fn login(self) -> Login {
        Login(self)
    }

    /// A token that holds now. Nothing is kept from one call to the next.
    async fn token(&self, context: &Context) -> Result<Token> {
        let credential = &self.credential;
        if let Some(token) = &credential.access_token {
            return Ok((token.resolve(self.registry.as_str(), context).await?, None));
        }
        if let Some(json) = &credential.service_account {
            let json = json.resolve(self.registry.as_str(), context).await?;
            return self.of_file(json.as_bytes(), context).await;
        }
        if credential.metadata {
            return self.metadata(context).await;
        }
        let named = self.surroundings.variable("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from);
        if let Some(path) = named {
            let json = surroundings::text(&path, context).await?;
            return self.of_file(json.as_bytes(), context).await;
        }
        let folder = match self.surroundings.variable("APPDATA") {
            Some(folder) => Some(PathBuf::from(folder).join("gcloud")),
            None => self.surroundings.home().map(|home| home.join(".config/gcloud")),
        };
        if let Some(folder) = folder
            && let Some(json) =
                surroundings::file(&folder.join("application_default_credentials.json"), context).await?
        {
            return self.of_file(&json, context).await;
        }
        self.metadata(context).await
    }

    async fn of_file(&self, bytes: &[u8], context: &Context) -> Result<Token> {
        let wrong = |message: &'static str, hint: &'static str| {
            Error::new(Kind::InvalidInput, message).with("field", "service_account").with_hint(hint)
        };
        let key = "give the JSON of the key as it was downloaded, or `{\"file\": PATH}`";
        let file: File = serde_json::from_slice(bytes).map_err(|error| {
            wrong("the key is not JSON of a credential", key).with("line", error.line()).with("column", error.column())
        })?;
        match file.kind.as_str() {
            "service_account" => self.service_account(&file, context).await,
            "authorized_user" => {
                let (Some(id), Some(secret), Some(refresh)) =
                    (&file.client_id, &file.client_secret, &file.refresh_token)
                else {
                    return Err(wrong(
                        "the login of gcloud lacks something",
                        "run `gcloud auth application-default login`",
                    ));
                };
                let request = oauth::form(self.service(file.token_uri.as_deref(), "token_uri")?, |form| {
                    form.append_pair("grant_type", "refresh_token").append_pair("client_id", id);
                    form.append_pair("client_secret", secret).append_pair("refresh_token", refresh);
                })?;
                self.ask(&request, context).await
            }
            "external_account" => self.external(&file, context).await,
            "" => Err(wrong("the key does not say what it is", key)),
            kind => Err(wrong("this kind of credential is not taken", "give the key of a service account")
                .with("type", kind.escape_debug())),
        }
    }

    /// The address of a token service: Google's, over https. A file from elsewhere may name any, and any universe with it.
    fn service(&self, given: Option<&str>, field: &'static str) -> Result<Url> {
        let given = given.unwrap_or("https://oauth2.googleapis.com/token");
        let wrong = || {
            Error::new(Kind::InvalidInput, "the credential names a service that is not Google's")
                .with("field", field)
                .with_hint("tokens are asked for at googleapis.com only; check where this file came from")
        };
        let url = Url::parse(given).map_err(|_| wrong())?;
        let is_google = url.scheme() == "https" && url.host_str().unwrap_or_default().ends_with(".googleapis.com");
        let is_own = address::is_private(&self.registry) && url.host() == self.registry.host();
        if is_google || is_own { Ok(url) } else { Err(wrong().with("url", redact::url(&url))) }
    }

    async fn service_account(&self, file: &File, context: &Context) -> Result<Token> {
        let missing = |field: &'static str| {
            Error::new(Kind::InvalidInput, "the key of the service account lacks something")
                .with("field", field)
                .with_hint("download the key once more, as JSON")
        };
        let email = file.client_email.as_deref().ok_or_else(|| missing("client_email"))?;
        let key = file.private_key.as_ref().ok_or_else(|| missing("private_key"))?;
        let url = self.service(file.token_uri.as_deref(), "token_uri")?;
        let now = Timestamp::now().as_second();
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": file.private_key_id});
        let claims =
            json!({"iss": email, "scope": SCOPE, "aud": url.as_str(), "iat": now - 10, "exp": now - 10 + 3600});
        let assertion = rsa::token(key.as_bytes(), "private_key", &header, &claims)?;
        let request = oauth::form(url, |form| {
            form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
                .append_pair("assertion", &assertion);
        })?;
        self.ask(&request, context).await.map_err(|error| error.with("service_account", redact::text(email)))
    }

    /// Workload identity federation: the token of another identity provider, from a file, is exchanged.
    async fn external(&self, file: &File, context: &Context) -> Result<Token> {
        let wrong = |message: &'static str, field: &'static str| {
            Error::new(Kind::InvalidInput, message)
                .with("field", field)
                .with_hint("only federation with a token in a file is done here: credential_source with file")
        };
        let missing = |field| wrong("the configuration of the federation lacks something", field);
        let path: &Path = file.credential_source.file.as_deref().ok_or_else(|| missing("credential_source.file"))?;
        let audience = file.audience.as_deref().ok_or_else(|| missing("audience"))?;
        let kind = file.subject_token_type.as_deref().ok_or_else(|| missing("subject_token_type"))?;
        let url = file.token_url.as_deref().unwrap_or("https://sts.googleapis.com/v1/token");
        let url = self.service(Some(url), "token_url")?;
        let text = surroundings::text(path, context).await?;
        let subject =
            match (&file.credential_source.format.kind[..], &file.credential_source.format.subject_token_field_name) {
                ("json", Some(name)) => {
                    let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
                    let token = value.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
                    Zeroizing::new(
                        token.ok_or_else(|| wrong("the file of the federation holds no token", "credential_source"))?,
                    )
                }
                _ => text,
            };
        let request = oauth::form(url, |form| {
            form.append_pair("audience", audience).append_pair("scope", SCOPE);
            form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
            form.append_pair("requested_token_type", "urn:ietf:params:oauth:token-type:access_token");
            form.append_pair("subject_token_type", kind).append_pair("subject_token", &subject);
        })?;
        let token = self.ask(&request, context).await?;
        let Some(url) = file.service_account_impersonation_url.as_deref() else { return Ok(token) };
        let url = self.service(Some(url), "service_account_impersonation_url")?;
        let request = Request::post(url, json!({"scope": [SCOPE], "lifetime": "3600s"}).to_string())
            .with(CONTENT_TYPE, "application/json")?
            .with(AUTHORIZATION, &format!("Bearer {}", token.0.as_str()))?;
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer {
            access_token: Zeroizing<String>,
            expire_time: Option<Timestamp>,
        }
        let response = self.client.send(&request, context).await?.success(context).await.map_err(|error| {
            Error::new(error.kind(), "the service account cannot be taken on")
                .with_hint("give this identity the role roles/iam.workloadIdentityUser on the service account")
                .because(error)
        })?;
        let Answer { access_token, expire_time } = answer::read(response, context).await?;
        let life = expire_time.and_then(|end| Duration::try_from(end.duration_since(Timestamp::now())).ok());
        Ok((access_token, life))
    }

    /// The token of the service account of this machine.
    async fn metadata(&self, context: &Context) -> Result<Token> {
        let host =
            self.surroundings.variable("GCE_METADATA_HOST").unwrap_or_else(|| "metadata.google.internal".to_owned());
        let url = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token");
        let url = Url::parse(&url).map_err(|error| {
            Error::new(Kind::InvalidInput, "this is not an address")
                .with("variable", "GCE_METADATA_HOST")
                .because(error)
        })?;
        let none = || {
            Error::new(Kind::Unauthenticated, "there are no credentials of Google's cloud")
                .with("looked_at", "GOOGLE_APPLICATION_CREDENTIALS, gcloud's login, metadata server")
                .with_hint("give the key of a service account, log in with `gcloud auth application-default login`, or run where a service account is attached")
        };
        let request = Request::get(url).with(FLAVOR, "Google")?;
        let response = match surroundings::local()?.send(&request, context).await {
            Err(error) if error.kind() == Kind::Canceled => return Err(error),
            Err(error) => return Err(none().because(error)),
            Ok(response) => response.success(context).await.map_err(|error| none().because(error))?,
        };
        // Something else may answer at that name.
        if response.header(FLAVOR.as_str()) != Some("Google") {
            return Err(none());
        }
        read(response, context).await
    }

    async fn ask(&self, request: &Request, context: &Context) -> Result<Token> {
        let response = self.client.send(request, context).await?;
        if matches!(response.status(), 400 | 401 | 403) {
            #[derive(Deserialize, Default)]
            #[serde(default)]
            struct Refusal {
                error: String,
                error_description: String,
            }
            let status = response.status();
            let ahead = response.clock_ahead();
            let body = response.bytes(64 << 10, context).await?;
            let Refusal { error, error_description } = serde_json::from_slice(&body).unwrap_or_default();
            let refused = Error::new(Kind::Unauthenticated, "Google gives no access token")
                .with("status", status)
                .with("url", redact::url(&request.url))
                .with("code", redact::text(&error))
                .with("answer", redact::text(&error_description));
            // "Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
            if !error_description.contains("reasonable timeframe") {
                return Err(refused.with_hint("check that the key was not deleted, that its service account exists, and the clock of this machine"));
            }
            let refused = refused.with_hint("set the clock of this machine, by which the key signs");
            return Err(match ahead.map(|ahead| ahead.as_secs()) {
                Some(seconds) if seconds > 0 => refused.with("clock", format!("{seconds} s behind Google's")),
                Some(seconds) => refused.with("clock", format!("{} s ahead of Google's", -seconds)),
                None => refused,
            });
        }
        read(response.success(context).await?, context).await
    }
}

async fn read(response: crate::net::client::Response, context: &Context) -> Result<Token> {
    #[derive(Deserialize)]
    struct Answer {
        access_token: Zeroizing<String>,
        expires_in: Option<u64>,
    }
    let Answer { access_token, expires_in } = answer::read(response, context).await?;
    Ok((access_token, expires_in.map(Duration::from_secs)))
}
