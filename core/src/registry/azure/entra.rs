//! Tokens of Microsoft Entra: for a service principal, a workload identity, a managed identity.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderName;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::json;
use url::Url;
use zeroize::Zeroizing;

use super::credential::AzureCredential;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::net::client::{Client, Request};
use crate::net::redact;
use crate::net::retry::pause;
use crate::registry::surroundings::{self, Surroundings};
use crate::registry::{address, json, oauth, rsa};

/// How often the metadata service is asked while it comes up or is updated, and the first wait, which doubles: over a minute in all.
const ATTEMPTS: u32 = 7;
const FIRST: Duration = Duration::from_millis(1300);
const METADATA: HeaderName = HeaderName::from_static("metadata");
const IDENTITY: HeaderName = HeaderName::from_static("x-identity-header");
/// The longest error.
const MAX_ERROR: u64 = 64 << 10;

/// One of the clouds: its registries, and where identities are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::registry) struct Cloud {
    /// The word in definitions.
    pub(in crate::registry) name: &'static str,
    /// What the hosts of its registries end with.
    pub(in crate::registry) suffix: &'static str,
    authority: &'static str,
    /// What tokens for the management of the cloud are for; older registries of some clouds take those.
    pub(in crate::registry) management: &'static str,
}

impl Cloud {
    /// All of them.
    pub(in crate::registry) const ALL: [Self; 3] = [
        Self {
            name: "public",
            suffix: "azurecr.io",
            authority: "https://login.microsoftonline.com",
            management: "https://management.azure.com",
        },
        Self {
            name: "usgov",
            suffix: "azurecr.us",
            authority: "https://login.microsoftonline.us",
            management: "https://management.usgovcloudapi.net",
        },
        Self {
            name: "china",
            suffix: "azurecr.cn",
            authority: "https://login.chinacloudapi.cn",
            management: "https://management.chinacloudapi.cn",
        },
    ];
}

/// How a service principal shows who it is.
enum Proof {
    Secret(Zeroizing<String>),
    Assertion(Zeroizing<String>),
}

/// Everything that a token of Entra needs.
#[derive(Clone, Debug)]
pub(in crate::registry) struct Entra {
    credential: AzureCredential,
    cloud: Cloud,
    client: Client,
    surroundings: Surroundings,
}

impl Entra {
    pub(in crate::registry) fn new(
        credential: AzureCredential,
        cloud: Cloud,
        client: Client,
        surroundings: Surroundings,
    ) -> Self {
        Self { credential, cloud, client, surroundings }
    }

    /// A token for `audience`. Nothing is kept from one call to the next.
    ///
    /// # Errors
    /// [`Kind::Unauthenticated`] where Entra refuses or there is no identity, [`Kind::InvalidInput`] for a field that is missing.
    pub(in crate::registry) async fn token(&self, audience: &str, context: &Context) -> Result<Zeroizing<String>> {
        let credential = &self.credential;
        if let Some(token) = &credential.access_token {
            return token.resolve(audience, context).await;
        }
        if let Some(secret) = &credential.client_secret {
            let secret = secret.resolve(self.authority().as_str(), context).await?;
            return self.principal(Proof::Secret(secret), audience, context).await;
        }
        if let Some(path) = &credential.client_certificate {
            return self.principal(Proof::Assertion(self.certified(path, context).await?), audience, context).await;
        }
        if credential.managed_identity {
            return self.managed(audience, context).await;
        }
        let variable = |name| self.surroundings.variable(name);
        if credential.federated_token_file.is_none() {
            if let Some(secret) = variable("AZURE_CLIENT_SECRET") {
                return self.principal(Proof::Secret(Zeroizing::new(secret)), audience, context).await;
            }
            if let Some(path) = variable("AZURE_CLIENT_CERTIFICATE_PATH") {
                let assertion = self.certified(Path::new(&path), context).await?;
                return self.principal(Proof::Assertion(assertion), audience, context).await;
            }
        }
        let file = credential.federated_token_file.clone();
        match file.or_else(|| variable("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from)) {
            Some(path) => {
                let assertion = surroundings::text(&path, context).await?;
                self.principal(Proof::Assertion(assertion), audience, context).await
            }
            None => self.managed(audience, context).await,
        }
    }

    fn authority(&self) -> String {
        let given = self.credential.authority.clone().or_else(|| self.surroundings.variable("AZURE_AUTHORITY_HOST"));
        given.unwrap_or_else(|| self.cloud.authority.to_owned()).trim_end_matches('/').to_owned()
    }

    /// A field of the credential, or what the environment says.
    fn needed(&self, field: &'static str, given: Option<&String>, variable: &str) -> Result<String> {
        given.cloned().or_else(|| self.surroundings.variable(variable)).ok_or_else(|| {
            Error::new(Kind::InvalidInput, "a field of the credential is missing")
                .with("field", field)
                .with_hint("a service principal is a tenant, an application (client) id, and a secret or certificate")
        })
    }

    /// Where the tokens of the tenant come from.
    fn url(&self) -> Result<Url> {
        let tenant = self.needed("tenant_id", self.credential.tenant_id.as_ref(), "AZURE_TENANT_ID")?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        if tenant.is_empty() || !tenant.chars().all(is_name) {
            return Err(Error::new(Kind::InvalidInput, "this is no tenant").with("field", "tenant_id"));
        }
        address::read(&format!("{}/{tenant}/oauth2/v2.0/token", self.authority()), false, "authority")
    }

    /// The token of a service principal.
    async fn principal(&self, proof: Proof, audience: &str, context: &Context) -> Result<Zeroizing<String>> {
        let client_id = self.needed("client_id", self.credential.client_id.as_ref(), "AZURE_CLIENT_ID")?;
        let request = oauth::form(self.url()?, |form| {
            form.append_pair("client_id", &client_id).append_pair("grant_type", "client_credentials");
            form.append_pair("scope", &format!("{audience}/.default"));
            match &proof {
                Proof::Secret(secret) => form.append_pair("client_secret", secret),
                Proof::Assertion(assertion) => form
                    .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
                    .append_pair("client_assertion", assertion),
            };
        })?;
        self.ask(&self.client, &request, "Microsoft Entra", context).await
    }

    /// What shows that we hold the key of a certificate.
    async fn certified(&self, path: &Path, context: &Context) -> Result<Zeroizing<String>> {
        let client_id = self.needed("client_id", self.credential.client_id.as_ref(), "AZURE_CLIENT_ID")?;
        let pem = surroundings::text(path, context).await?;
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
            Error::new(Kind::InvalidInput, "this holds no certificate in PEM").with("field", "client_certificate")
        })?;
        let print = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &certificate);
        let now = Timestamp::now().as_second();
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).map_err(|_| Error::new(Kind::Internal, "there is no randomness"))?;
        let header = json!({"alg": "RS256", "typ": "JWT", "x5t": URL_SAFE_NO_PAD.encode(print)});
        let claims = json!({"aud": self.url()?.as_str(), "iss": client_id, "sub": client_id, "jti": URL_SAFE_NO_PAD.encode(id),
            "nbf": now - 10, "iat": now - 10, "exp": now + 600});
        rsa::token(pem.as_bytes(), "client_certificate", &header, &claims)
    }

    /// The token of the managed identity: of an app, else of the machine.
    async fn managed(&self, audience: &str, context: &Context) -> Result<Zeroizing<String>> {
        let variable = |name| self.surroundings.variable(name);
        let app = variable("IDENTITY_ENDPOINT").zip(variable("IDENTITY_HEADER"));
        // Microsoft's own tools have this variable too.
        let machine =
            variable("AZURE_POD_IDENTITY_AUTHORITY_HOST").unwrap_or_else(|| "http://169.254.169.254".to_owned());
        let machine = format!("{}/metadata/identity/oauth2/token", machine.trim_end_matches('/'));
        let (address, version) = match &app {
            Some((address, _)) => (address.as_str(), "2019-08-01"),
            None => (&*machine, "2018-02-01"),
        };
        let mut url = Url::parse(address).map_err(|error| {
            Error::new(Kind::InvalidInput, "this is not an address")
                .with("variable", "IDENTITY_ENDPOINT")
                .because(error)
        })?;
        url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", audience);
        // Who asks for the managed identity and names none means the machine's own, as in Microsoft's own tools.
        let usual = || variable("AZURE_CLIENT_ID").filter(|_| !self.credential.managed_identity);
        if let Some(id) = self.credential.client_id.clone().or_else(usual) {
            url.query_pairs_mut().append_pair("client_id", &id);
        }
        let request = match &app {
            Some((_, header)) => Request::get(url).with(IDENTITY, header)?,
            None => Request::get(url).with(METADATA, "true")?,
        };
        let (client, mut attempt) = (surroundings::local()?, 0);
        let token = loop {
            let asked = self.ask(&client, &request, "the managed identity", context).await;
            attempt += 1;
            if app.is_some() || attempt == ATTEMPTS || !asked.as_ref().is_err_and(|error| self.is_coming_up(error)) {
                break asked;
            }
            pause(FIRST.saturating_mul(1 << (attempt - 1)), context).await?;
        };
        token.map_err(|error| match error.kind() {
            Kind::Canceled | Kind::Unauthenticated => error,
            kind => Error::new(kind, "there is no identity of Microsoft's cloud")
                .with_hint("give a service principal, or run where a managed identity is assigned")
                .because(error),
        })
    }

    /// Whether the metadata service will have the token soon: so it answers while it is updated, and while it comes up. On a machine of
    /// another cloud there is a 404 for good, so that the user must have said that there is an identity.
    fn is_coming_up(&self, error: &Error) -> bool {
        error.context().any(|(key, status)| {
            key == "status" && (status == "410" || (status == "404" && self.credential.managed_identity))
        })
    }

    async fn ask(&self, client: &Client, request: &Request, who: &str, context: &Context) -> Result<Zeroizing<String>> {
        #[derive(Deserialize)]
        struct Answer {
            access_token: Zeroizing<String>,
        }
        let response = client.send(request, context).await?;
        if response.status() == 200 {
            return json::read::<Answer>(response, context).await.map(|answer| answer.access_token);
        }
        if !matches!(response.status(), 400 | 401 | 403) {
            return Err(response.refused(context).await.with("step", who));
        }
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Refusal {
            error: String,
            error_description: String,
        }
        let status = response.status();
        let body = response.bytes(MAX_ERROR, context).await?;
        let refusal: Refusal = serde_json::from_slice(&body).unwrap_or_default();
        let description = refusal.error_description;
        let says = |codes: &[&str]| codes.iter().any(|code| description.starts_with(&format!("AADSTS{code}:")));
        let hint = if says(&["7000215"]) {
            "the secret is wrong: give its value, not its id"
        } else if says(&["7000222"]) {
            "the secret has expired: make a new one"
        } else if says(&["700016"]) {
            "there is no such application in this tenant: check client_id and tenant_id"
        } else if says(&["90002", "900023"]) {
            "there is no such tenant: check tenant_id and the cloud"
        } else if says(&["700024"]) {
            "check the clock of this machine"
        } else if says(&["70021", "700211", "700213"]) {
            "the application trusts no such federated credential: check its issuer, subject and audience"
        } else if description.contains("Identity not found") {
            "no managed identity is assigned to this machine, or client_id names another one"
        } else {
            "check the tenant, the application and its secret"
        };
        Err(Error::new(Kind::Unauthenticated, "no token is given")
            .with("step", who)
            .with("status", status)
            .with("url", redact::url(&request.url))
            .with("code", redact::text(&refusal.error))
            .with("answer", redact::text(&description))
            .with_hint(hint))
    }
}
