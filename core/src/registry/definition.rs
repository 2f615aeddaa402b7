//! What a user says about a registry: one shape for Rust, C, Python, JSON and TOML.

use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::credential::Credential;
use super::{address, vendor};
use crate::error::{Error, Kind, Result};
use crate::model::reference::{DOCKER_HUB, ImageRef};
use crate::net::redact;

/// A registry: its kind, its address, how to reach it, and who we are there. Unknown fields are refused by name.
///
/// ```
/// use tidewaiter::registry::{Credential, Registry, Secret};
/// let registry = Registry::docker("https://registry.example:5000").credential(Credential::basic("alice", Secret::env("PASSWORD")));
/// let same = Registry::from_json(r#"{"kind": "docker", "url": "https://registry.example:5000",
///     "credential": {"basic": {"username": "alice", "password": {"env": "PASSWORD"}}}}"#)?;
/// assert_eq!(format!("{registry:?}"), format!("{same:?}"));
/// assert!(Registry::from_json(r#"{"kind": "docker", "adress": "x"}"#).unwrap_err().to_string().contains("adress"));
/// # Ok::<(), tidewaiter::Error>(())
/// ```
#[derive(Clone, Deserialize, Serialize)]
#[serde(try_from = "Shape")]
#[non_exhaustive]
pub struct Registry {
    /// The kind: `docker` is any registry that speaks Docker V2 or OCI distribution.
    pub kind: String,
    /// The address. Without a scheme it is https; without any it is that of the vendor, or of the image.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "address::serialize")]
    pub url: Option<String>,
    /// The address of the vendor's own API, where it is not the usual one.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "address::serialize")]
    pub api_url: Option<String>,
    /// A file with the certificates (PEM) of authorities to trust besides those of the platform: at the registry, and wherever it
    /// leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// A file with the client certificate and its chain (PEM). It is shown to the hosts of `url` and `api_url` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<PathBuf>,
    /// A file with the key of the client certificate (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key: Option<PathBuf>,
    /// Whether to speak http where the address does not say so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub plain_http: bool,
    /// The address of a proxy; without it `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` hold. With a user and a password in it the definition
    /// cannot be written down (`Serialize`).
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "address::serialize")]
    pub proxy: Option<String>,
    /// Whether a registry on the internet may lead to private addresses, by its token server, redirects and foreign layers.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub private_addresses: bool,
    /// Requests at once to one host; 8 unless it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<usize>,
    /// Requests a second to one host, less than 1 too; as many as there are to ask unless it is set. They start evenly spaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Seconds to wait for a connection (30 at the most), an answer, and between two pieces of one; 60 unless it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<f64>,
    /// Seconds that one image may take; an hour in a job, and no limit in a single scan, unless it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_timeout: Option<f64>,
    /// Who we are; what `docker login` left behind, unless it is set.
    pub credential: Credential,
    /// The fields that only this kind has.
    #[serde(flatten)]
    pub(crate) settings: Map<String, Value>,
}

/// The fields as they stand in a definition; those that only one kind has are checked behind.
#[derive(Default, Deserialize)]
#[serde(expecting = "a definition of a registry")]
struct Shape {
    #[serde(default = "docker")]
    kind: String,
    url: Option<String>,
    api_url: Option<String>,
    ca: Option<PathBuf>,
    client_cert: Option<PathBuf>,
    client_key: Option<PathBuf>,
    #[serde(default)]
    plain_http: bool,
    proxy: Option<String>,
    #[serde(default)]
    private_addresses: bool,
    concurrency: Option<usize>,
    rate: Option<f64>,
    timeout: Option<f64>,
    image_timeout: Option<f64>,
    #[serde(default)]
    credential: Credential,
    #[serde(flatten)]
    settings: Map<String, Value>,
}

/// What people call Docker Hub, whose registry is at none of these.
pub(super) const HUB_NAMES: [&str; 4] = [DOCKER_HUB, "index.docker.io", "registry.hub.docker.com", "hub.docker.com"];

fn docker() -> String {
    "docker".to_owned()
}

impl TryFrom<Shape> for Registry {
    type Error = Error;

    fn try_from(shape: Shape) -> Result<Self> {
        let vendor = vendor::of(&shape.kind)?;
        if let Some(field) = shape.settings.keys().find(|field| !vendor.fields().contains(&field.as_str())) {
            let known: Vec<_> = Self::FIELDS.iter().chain(vendor.fields()).copied().collect();
            return Err(Error::new(Kind::InvalidInput, "a registry of this kind has no such field")
                .with("kind", &shape.kind)
                .with("field", field.escape_debug())
                .with_hint(format!("the fields are {}", known.join(", "))));
        }
        let endpoint = shape.settings.get("endpoint").and_then(Value::as_str);
        let addresses = [("url", shape.url.as_deref()), ("api_url", shape.api_url.as_deref()), ("endpoint", endpoint)];
        for (field, text) in addresses {
            text.map_or(Ok(()), |text| address::without_user(text, field))?;
        }
        Ok(Self {
            kind: shape.kind,
            url: shape.url,
            api_url: shape.api_url,
            ca: shape.ca,
            client_cert: shape.client_cert,
            client_key: shape.client_key,
            plain_http: shape.plain_http,
            proxy: shape.proxy,
            private_addresses: shape.private_addresses,
            concurrency: shape.concurrency,
            rate: shape.rate,
            timeout: shape.timeout,
            image_timeout: shape.image_timeout,
            credential: shape.credential,
            settings: shape.settings,
        })
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            kind: docker(),
            url: None,
            api_url: None,
            ca: None,
            client_cert: None,
            client_key: None,
            plain_http: false,
            proxy: None,
            private_addresses: false,
            concurrency: None,
            rate: None,
            timeout: None,
            image_timeout: None,
            credential: Credential::default(),
            settings: Map::new(),
        }
    }
}

impl Registry {
    /// The fields of a definition that every kind has.
    pub const FIELDS: &'static [&'static str] = &[
        "kind",
        "url",
        "api_url",
        "ca",
        "client_cert",
        "client_key",
        "plain_http",
        "proxy",
        "private_addresses",
        "concurrency",
        "rate",
        "timeout",
        "image_timeout",
        "credential",
    ];

    /// Any registry that speaks Docker V2 or OCI distribution, at `url`.
    pub fn docker(url: impl Into<String>) -> Self {
        Self { url: Some(url.into()), ..Self::default() }
    }

    /// A registry of a kind, with the fields that only this kind has: how the constructors of the vendors are made.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a kind or a field that does not exist.
    pub fn of_kind(kind: &str, settings: impl Serialize) -> Result<Self> {
        let settings = match serde_json::to_value(settings) {
            Ok(Value::Object(settings)) => settings,
            _ => return Err(Error::new(Kind::Internal, "settings are a map").with("kind", kind.escape_debug())),
        };
        Shape { kind: kind.to_owned(), settings, ..Shape::default() }.try_into()
    }

    /// A registry of a kind that has an address, with none of the fields that only this kind has.
    pub(super) fn at(kind: &'static str, url: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), ..Self::docker(url) }
    }

    /// The same registry with the fields that only its kind has, such as [`HarborSettings`](super::HarborSettings).
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a field that its kind does not have.
    pub fn with_settings(self, settings: impl Serialize) -> Result<Self> {
        let settings = Self::of_kind(&self.kind, settings)?.settings;
        Ok(Self { settings, ..self })
    }

    /// The same registry with the address of the vendor's own API.
    #[must_use]
    pub fn with_api_url(self, url: impl Into<String>) -> Self {
        Self { api_url: Some(url.into()), ..self }
    }

    /// The same for the vendors themselves, whose kinds and fields exist.
    pub(crate) fn of_vendor(kind: &'static str, settings: &impl Serialize) -> Self {
        let settings = match serde_json::to_value(settings) {
            Ok(Value::Object(settings)) => settings,
            _ => Map::new(),
        };
        Self { kind: kind.to_owned(), settings, ..Self::default() }
    }

    /// The registry of an image, with the defaults.
    pub fn of(image: &ImageRef) -> Self {
        let kind = vendor::recognise(image.host()).name().to_owned();
        Self { plain_http: image.plain_http(), kind, ..Self::docker(image.host()) }
    }

    /// The fields that only this kind has, as the type of the vendor.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a value that cannot be right.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_value(Value::Object(self.settings.clone()))
            .map_err(|error| unread(&error).with("kind", &self.kind))
    }

    /// Reads a definition in JSON.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`], with what is wrong and where.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str::<Shape>(text).map_err(|error| unread(&error))?.try_into()
    }

    /// The same for JSON that is read already.
    ///
    /// # Errors
    /// As [`Registry::from_json`].
    pub fn from_value(value: Value) -> Result<Self> {
        serde_json::from_value::<Shape>(value).map_err(|error| unread(&error))?.try_into()
    }

    /// The same registry with a credential.
    #[must_use]
    pub fn credential(self, credential: Credential) -> Self {
        Self { credential, ..self }
    }

    /// The same registry, trusting the authorities in this file (PEM) too.
    #[must_use]
    pub fn with_ca(self, path: impl Into<PathBuf>) -> Self {
        Self { ca: Some(path.into()), ..self }
    }

    /// The same registry with a client certificate and its key, two files (PEM).
    #[must_use]
    pub fn with_client_certificate(self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { client_cert: Some(certificate.into()), client_key: Some(key.into()), ..self }
    }

    /// The same registry over http.
    #[must_use]
    pub fn with_plain_http(self) -> Self {
        Self { plain_http: true, ..self }
    }

    /// The same registry through a proxy.
    #[must_use]
    pub fn with_proxy(self, proxy: impl Into<String>) -> Self {
        Self { proxy: Some(proxy.into()), ..self }
    }

    /// The same registry, which may lead to private addresses although it is on the internet itself.
    #[must_use]
    pub fn with_private_addresses(self) -> Self {
        Self { private_addresses: true, ..self }
    }

    /// The same registry with at most so many requests at once.
    #[must_use]
    pub fn with_concurrency(self, concurrency: usize) -> Self {
        Self { concurrency: Some(concurrency), ..self }
    }

    /// The same registry with at most so many requests a second.
    #[must_use]
    pub fn with_rate(self, rate: f64) -> Self {
        Self { rate: Some(rate), ..self }
    }

    /// The same registry with another time-out.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout.as_secs_f64()), ..self }
    }

    /// The same registry with another time for one image.
    #[must_use]
    pub fn with_image_timeout(self, timeout: Duration) -> Self {
        Self { image_timeout: Some(timeout.as_secs_f64()), ..self }
    }

    /// The address: scheme, host, port, and the path in front of `/v2/`. Docker Hub's name becomes the host that serves it.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] where `url` is missing or no address of a registry.
    pub fn base(&self) -> Result<Url> {
        let given = self.url.as_deref().map(str::trim).filter(|url| !url.is_empty()).map(str::to_owned);
        let vendor = vendor::of(&self.kind)?;
        let text = match given {
            Some(url) => url,
            None => vendor.address(self)?,
        };
        let mut url = self.address(&text, "url")?;
        if url.host_str().is_some_and(|host| HUB_NAMES.contains(&host)) {
            let _ = url.set_host(Some("registry-1.docker.io"));
        }
        let path = url.path().trim_end_matches('/');
        let path = path
            .strip_suffix("/v2")
            .or_else(|| path.strip_suffix("/v1").filter(|_| is_hub(&url)))
            .unwrap_or(path)
            .to_owned();
        url.set_path(&path);
        vendor.base(self, url)
    }

    /// The address that `api_url` gives; none where it is left to the kind.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for what is no address.
    pub fn api(&self) -> Result<Option<Url>> {
        let given = self.api_url.as_deref().map(str::trim).filter(|url| !url.is_empty());
        given.map(|text| self.address(text, "api_url")).transpose()
    }

    /// The same where the vendor has one API for everybody, at `usual`.
    ///
    /// # Errors
    /// As [`Registry::api`].
    pub(super) fn api_or(&self, usual: &str) -> Result<Url> {
        self.api()?.map_or_else(|| self.address(usual, "api_url"), Ok)
    }

    /// An address that the definition gives in another field.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for what is no address.
    pub(super) fn address(&self, text: &str, field: &'static str) -> Result<Url> {
        address::read(text, self.plain_http, field)
    }

    /// The host as references and docker's configuration write it, with its port where it is not the usual one.
    ///
    /// # Errors
    /// As [`Registry::base`].
    pub fn host(&self) -> Result<String> {
        let base = self.base()?;
        if is_hub(&base) {
            return Ok(DOCKER_HUB.to_owned());
        }
        let host = base.host_str().unwrap_or_default();
        Ok(base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    }
}

/// The error of a definition that cannot be read.
fn unread(error: &serde_json::Error) -> Error {
    let reason = redact::without_values(&error.to_string());
    Error::new(Kind::InvalidInput, format!("this is no definition of a registry: {reason}"))
        .with_hint(format!("the fields of every kind are {}", Registry::FIELDS.join(", ")))
}

fn is_hub(url: &Url) -> bool {
    url.host_str() == Some("registry-1.docker.io")
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Addresses may hold a user and a password, also where none is expected.
        let settings: Vec<_> =
            self.settings.iter().map(|(name, value)| (name, redact::address(&value.to_string()))).collect();
        f.debug_struct("Registry")
            .field("kind", &self.kind)
            .field("url", &address::shown(&self.url))
            .field("api_url", &address::shown(&self.api_url))
            .field("ca", &self.ca)
            .field("client_cert", &self.client_cert)
            .field("client_key", &self.client_key)
            .field("plain_http", &self.plain_http)
            .field("proxy", &address::shown(&self.proxy))
            .field("private_addresses", &self.private_addresses)
            .field("concurrency", &self.concurrency)
            .field("rate", &self.rate)
            .field("timeout", &self.timeout)
            .field("image_timeout", &self.image_timeout)
            .field("credential", &self.credential)
            .field("settings", &settings)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{AwsCredential, AzureCredential};

    #[test]
    fn reads_addresses() {
        for (url, plain_http, base, host) in [
            ("r.io", false, "https://r.io/", "r.io"),
            ("r.io:5000", false, "https://r.io:5000/", "r.io:5000"),
            ("r.io:443", false, "https://r.io/", "r.io"),
            ("localhost:5000", true, "http://localhost:5000/", "localhost:5000"),
            ("http://127.0.0.1:5000/", false, "http://127.0.0.1:5000/", "127.0.0.1:5000"),
            ("https://r.io", true, "https://r.io/", "r.io"),
            ("https://h/artifactory/api/docker/repo/v2/", false, "https://h/artifactory/api/docker/repo", "h"),
            ("docker.io", false, "https://registry-1.docker.io/", "docker.io"),
            ("https://index.docker.io/v1/", false, "https://registry-1.docker.io/", "docker.io"),
            ("https://hub.docker.com", false, "https://registry-1.docker.io/", "docker.io"),
            ("registry.hub.docker.com", false, "https://registry-1.docker.io/", "docker.io"),
            ("[::1]:5000", true, "http://[::1]:5000/", "[::1]:5000"),
        ] {
            let registry = Registry { plain_http, ..Registry::docker(url) };
            assert_eq!((registry.base().unwrap().as_str(), registry.host().unwrap().as_str()), (base, host), "{url}");
        }
        for url in ["", "ftp://r.io", "https://u:p@r.io", "https://r.io/?x", "https://", "http://[::1"] {
            assert_eq!(Registry::docker(url).base().unwrap_err().kind(), Kind::InvalidInput, "{url}");
        }
    }

    #[test]
    fn the_address_of_an_api_is_written_like_any_other() {
        let registry = |url: &str| Registry::docker("r.io").with_api_url(url);
        for (given, expected) in
            [("", "https://api.example/"), ("a.io:8443/x", "https://a.io:8443/x"), ("http://a.io", "http://a.io/")]
        {
            assert_eq!(registry(given).api_or("https://api.example").unwrap().as_str(), expected, "{given}");
        }
        for wrong in ["https://u:p@a.io", "ftp://a.io", "a.io/?x"] {
            let error = registry(wrong).api_or("https://api.example").unwrap_err();
            assert!(error.kind() == Kind::InvalidInput && error.to_string().contains("api_url"), "{wrong}: {error}");
        }
    }

    #[test]
    fn is_written_as_it_is_read() {
        let json = r#"{"kind":"docker","url":"r.io","private_addresses":true,"concurrency":2,"rate":0.5,"credential":{"token":{"token":{"env":"T"}}}}"#;
        assert_eq!(serde_json::to_string(&Registry::from_json(json).unwrap()).unwrap(), json);
        for (json, named, hinted) in [
            (r#"{"kind": "docker", "region": "x"}"#, "region", "plain_http"),
            (r#"{"kind": "dokcer"}"#, "dokcer", "openshift"),
            (r#"{"timeout": "s3cret"}"#, "invalid type: string, expected f64", "timeout"),
            (r#"{"credential": {"basic": "s3cret"}}"#, "string", "credential"),
            ("7", "expected a definition of a registry", "kind"),
        ] {
            let value = serde_json::from_str(json).unwrap();
            for error in [Registry::from_json(json).unwrap_err(), Registry::from_value(value).unwrap_err()] {
                assert!(error.kind() == Kind::InvalidInput && error.to_string().contains(named), "{error}");
                assert!(error.hint().is_some_and(|hint| hint.contains(hinted)), "{error:?}");
                assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
            }
        }
    }

    #[test]
    fn shows_no_password_in_addresses() {
        let aws = AwsCredential::new().with_sts_endpoint("https://alice:s3cret@sts.io");
        let azure = AzureCredential::new().with_authority("https://alice:s3cret@login.io");
        for credential in [Credential::aws(aws), Credential::azure(azure)] {
            let registry = Registry::docker("https://alice:s3cret@r.io").with_proxy("alice:s3cret@proxy:3128");
            let registry = registry.credential(credential);
            assert!(!format!("{registry:?}").contains("s3cret"), "{registry:?}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_neither_read_nor_written() {
        let address = "https://alice:s3cret@r.io";
        for json in [
            format!(r#"{{"url": "{address}"}}"#),
            format!(r#"{{"url": "r.io", "api_url": "{address}"}}"#),
            format!(r#"{{"kind": "ecr", "endpoint": "{address}"}}"#),
            format!(r#"{{"kind": "ecr", "credential": {{"aws": {{"sts_endpoint": "{address}"}}}}}}"#),
            format!(r#"{{"kind": "acr", "credential": {{"azure": {{"authority": "{address}"}}}}}}"#),
        ] {
            let error = Registry::from_json(&json).unwrap_err();
            let text = format!("{error:?}");
            assert!(text.contains("no user and no password") && !text.contains("s3cret"), "{json}: {text}");
        }
        let aws = AwsCredential::new().with_sts_endpoint(address);
        let azure = AzureCredential::new().with_authority(address);
        for registry in [
            Registry::docker(address),
            Registry::docker("r.io").with_api_url(address),
            // What a proxy wants is asked for with every request, and so may be in memory.
            Registry::from_json(&format!(r#"{{"proxy": "{address}"}}"#)).unwrap(),
            Registry::ecr("eu-west-1", "123456789012").credential(Credential::aws(aws)),
            Registry::acr("contoso").credential(Credential::azure(azure)),
        ] {
            let error = serde_json::to_string(&registry).unwrap_err().to_string();
            assert!(error.contains("HTTPS_PROXY") && !error.contains("s3cret"), "{registry:?}: {error}");
        }
    }
}
