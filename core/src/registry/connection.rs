//! A registry, opened: its certificates are read, its credential is looked up, connections and tokens are shared.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::connector::Connector;
use super::definition::Registry;
use super::{file, vendor};
use crate::context::{Context, seconds};
use crate::error::{Error, Kind, Result};
use crate::net::client::{Client, Options};
use crate::net::identity::Identity;
use crate::net::retry::Policy;
use crate::net::session::Session;
use crate::net::traffic::Traffic;

/// The longest certificate file.
const MAX_PEM: u64 = 4 << 20;

/// A way to a registry, for one repository or for all. Cheap to clone; clones share connections, limits and tokens.
#[derive(Clone, Debug)]
pub struct Connection {
    host: String,
    session: Session,
    is_nobody: bool,
    /// Where the session's client shows a certificate: one that shows none.
    nobody: Option<Client>,
}

impl Connection {
    /// Reads the certificates and looks up the credential; nothing is sent yet. Entries of docker's configuration may hold for
    /// a `repository` only.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a definition that cannot be right, and the errors of the secrets.
    pub async fn open(registry: &Registry, repository: Option<&str>, context: &Context) -> Result<Self> {
        Self::open_in(&Traffic::default(), registry, repository, context).await
    }

    /// The same, where what others ask counts for the bounds of the registry too.
    pub(crate) async fn open_in(
        traffic: &Traffic,
        registry: &Registry,
        repository: Option<&str>,
        context: &Context,
    ) -> Result<Self> {
        Self::open_with(traffic, Policy::default(), registry, repository, context).await
    }

    /// The same, where nothing is tried again.
    #[cfg(feature = "fuzzing")]
    pub(crate) async fn open_once(registry: &Registry, context: &Context) -> Result<Self> {
        Self::open_with(&Traffic::default(), Policy::once(), registry, None, context).await
    }

    async fn open_with(
        traffic: &Traffic,
        retry: Policy,
        registry: &Registry,
        repository: Option<&str>,
        context: &Context,
    ) -> Result<Self> {
        let vendor = vendor::of(&registry.kind)?;
        let mut options = Options { traffic: traffic.clone(), ..options(registry, retry, context).await? };
        let client = Client::new(&options)?;
        let nobody = match options.trust.client.take() {
            Some(_) => Some(Client::new(&options)?),
            None => None,
        };
        let identity = vendor.identity(registry, &client, repository)?;
        let session = Session::new(client, registry.base()?, identity);
        // What is wrong with the credential is better said before the first request.
        let is_nobody = session.identity(context).await? == Identity::Anonymous;
        Ok(Self { session, is_nobody, nobody, host: registry.host()? })
    }

    /// A connection over a session that exists already, for lists alone.
    pub(super) fn new(host: String, session: Session, is_nobody: bool) -> Self {
        Self { host, session, is_nobody, nobody: None }
    }

    /// The host as references write it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether there was no credential when it was opened: docker's configuration may have none for a registry.
    pub fn is_nobody(&self) -> bool {
        self.is_nobody
    }

    /// The session: requests with what the credential allows.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// A client for what is elsewhere: it reaches hosts as the registry is reached, through its proxy, trusting its authorities, with
    /// its time-outs, and tells nobody who we are.
    pub fn nobody(&self) -> &Client {
        self.nobody.as_ref().unwrap_or(self.session.client())
    }
}

/// That a definition can be right: its addresses and numbers, the fields of its kind, and that the kind takes the credential. Nothing is
/// looked up, read or sent.
///
/// # Errors
/// [`Kind::InvalidInput`] naming what cannot be right.
pub fn verify(registry: &Registry) -> Result<()> {
    unopened(registry).map(drop)
}

/// The connector of a definition, to be asked for what is known without the registry. Nothing is looked up, read or sent.
///
/// # Errors
/// As [`verify`].
pub(crate) fn unopened(registry: &Registry) -> Result<Arc<dyn Connector>> {
    let vendor = vendor::of(&registry.kind)?;
    let client = Client::new(&bounds(registry, Policy::once())?)?;
    let identity = vendor.identity(registry, &client, None)?;
    let session = Session::new(client, registry.base()?, identity);
    registry.api()?;
    vendor.connect(registry, Connection::new(registry.host()?, session, true))
}

/// How a definition wants hosts to be reached.
///
/// # Errors
/// [`Kind::InvalidInput`] for files or numbers that cannot be right.
pub(super) async fn options(registry: &Registry, retry: Policy, context: &Context) -> Result<Options> {
    let mut options = bounds(registry, retry)?;
    if let Some(path) = &registry.ca {
        options.trust.ca = pem(path, "ca", context).await?.to_vec();
    }
    if let Some((certificate, key)) = registry.client_cert.as_ref().zip(registry.client_key.as_ref()) {
        let certificate = pem(certificate, "client_cert", context).await?.to_vec();
        options.trust.client = Some((certificate, pem(key, "client_key", context).await?));
        let own = [Some(registry.base()?), registry.api()?];
        options.known.extend(own.iter().flatten().filter_map(|url| url.host_str().map(str::to_owned)));
    }
    Ok(options)
}

/// The same without what stands in files.
fn bounds(registry: &Registry, retry: Policy) -> Result<Options> {
    let Registry { private_addresses, ref proxy, .. } = *registry;
    let mut options = Options { retry, private_addresses, proxy: proxy.clone(), ..Options::default() };
    if let Some(concurrency) = registry.concurrency {
        options.bound.concurrency = concurrency;
        if concurrency == 0 {
            return Err(Error::new(Kind::InvalidInput, "with 0 requests at once nothing can be asked")
                .with("field", "concurrency")
                .with_hint("leave it out for 8"));
        }
    }
    if let Some(rate) = registry.rate {
        options.bound.interval = Some(interval(rate)?);
    }
    if let Some(timeout) = seconds("timeout", registry.timeout)? {
        options.timeout = timeout;
    }
    seconds("image_timeout", registry.image_timeout)?;
    match (&registry.client_cert, &registry.client_key) {
        (Some(_), None) => Err(Error::new(Kind::InvalidInput, "a client certificate needs its key")
            .with("field", "client_key")
            .with_hint("give the file with the key (PEM) too")),
        (None, Some(_)) => Err(Error::new(Kind::InvalidInput, "a client key needs its certificate")
            .with("field", "client_cert")
            .with_hint("give the file with the certificate (PEM) too")),
        _ => Ok(options),
    }
}

/// The time between two requests of `rate` a second.
fn interval(rate: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(1.0 / rate).ok().filter(|_| rate > 0.0).ok_or_else(|| {
        Error::new(Kind::InvalidInput, "a rate is a number of requests a second above 0")
            .with("rate", rate)
            .with_hint("0.5 is one request in two seconds")
    })
}

async fn pem(path: &Path, field: &'static str, context: &Context) -> Result<Zeroizing<Vec<u8>>> {
    const WHAT: &str = "a certificate file";
    let read = file::read(path, WHAT, MAX_PEM, context).await;
    read.and_then(|bytes| bytes.ok_or_else(|| file::missing(path, WHAT))).map_err(|error| error.with("field", field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_be_right_is_told_without_asking_anybody() {
        for json in [
            r#"{"url": "r.example"}"#,
            r#"{"kind": "dockerhub", "namespaces": ["acme"]}"#,
            r#"{"kind": "ecr", "region": "eu-west-1", "account": "123456789012", "credential": {"aws": {}}}"#,
            r#"{"kind": "ecr", "url": "111111111111.dkr.ecr.us-east-1.amazonaws.com", "region": "us-east-1"}"#,
            // A proxy in front says nothing of itself.
            r#"{"kind": "ecr", "url": "cache.example", "region": "eu-west-1", "account": "123456789012", "fips": true}"#,
            r#"{"kind": "gar", "url": "cache.example", "location": "us", "project": "p"}"#,
            // Files may still come.
            r#"{"kind": "harbor", "url": "h.example", "ca": "/nonexistent", "credential": {"token": {"token": {"file": "/nonexistent"}}}}"#,
        ] {
            verify(&Registry::from_json(json).unwrap()).unwrap();
        }
        let aws = |fields: &str| {
            let place = r#""kind": "ecr", "region": "eu-west-1", "account": "123456789012""#;
            format!(r#"{{{place}, "credential": {{"aws": {{{fields}}}}}}}"#)
        };
        for (json, named) in [
            ("{}", "url"),
            (r#"{"url": "r.example/?x"}"#, "url"),
            (r#"{"url": "r.example", "api_url": "ftp://r.example"}"#, "api_url"),
            (r#"{"url": "r.example", "concurrency": 0}"#, "concurrency"),
            (r#"{"url": "r.example", "rate": -1}"#, "rate"),
            (r#"{"url": "r.example", "timeout": 0}"#, "timeout"),
            (r#"{"url": "r.example", "image_timeout": 0}"#, "image_timeout"),
            (r#"{"url": "r.example", "client_cert": "c"}"#, "client_key"),
            (r#"{"kind": "ecr", "region": "eu-west-1", "account": "123"}"#, "account"),
            (r#"{"kind": "ecr", "region": "XX", "account": "123456789012"}"#, "region"),
            (r#"{"kind": "acr", "name": "evil/x"}"#, "name"),
            (r#"{"kind": "acr", "name": "contoso", "cloud": "mars"}"#, "cloud"),
            (r#"{"kind": "acr", "url": "contoso.azurecr.io", "cloud": "mars"}"#, "cloud"),
            (r#"{"kind": "dockerhub", "namespaces": ["a/b"]}"#, "namespaces"),
            (
                r#"{"kind": "ecr", "url": "111111111111.dkr.ecr.us-east-1.amazonaws.com", "region": "eu-west-1"}"#,
                "region",
            ),
            (
                r#"{"kind": "ecr", "url": "111111111111.dkr.ecr.us-east-1.amazonaws.com", "account": "222222222222"}"#,
                "account",
            ),
            (r#"{"kind": "ecr", "url": "111111111111.dkr.ecr.us-east-1.amazonaws.com", "fips": true}"#, "fips"),
            (r#"{"kind": "gar", "url": "europe-docker.pkg.dev", "location": "us", "project": "p"}"#, "location"),
            (&aws(r#""web_identity_token_file": "t""#), "role_arn"),
            (&aws(r#""external_id": "x""#), "role_arn"),
            (&aws(r#""role_session_name": "x""#), "role_arn"),
            (&aws(r#""session_token": "x""#), "access_key_id"),
            (&aws(r#""profile": "p", "access_key_id": "a", "secret_access_key": "s""#), "access_key_id"),
            (&aws(r#""profile": "p", "web_identity_token_file": "t", "role_arn": "arn:x""#), "profile"),
            (
                r#"{"kind": "harbor", "url": "h.example", "credential": {"aws": {"role_arn": "arn:x"}}}"#,
                "credential: aws",
            ),
        ] {
            let error = verify(&Registry::from_json(json).unwrap()).unwrap_err();
            assert!(error.kind() == Kind::InvalidInput && error.to_string().contains(named), "{json}: {error:?}");
        }
    }
}
