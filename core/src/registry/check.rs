//! The connection check: each step of reaching a registry apart, with what to do about the first that fails.

mod pull;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use serde::{Serialize, Serializer};
use url::Url;

use super::connection::{self, Connection};
use super::connector::{Connector, Wanted};
use super::definition::Registry;
use super::vendor;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::event::Event;
use crate::model::reference::is_repository;
use crate::net::client::{Client, Request};
use crate::net::identity::Identity;
use crate::net::retry::Policy;
use crate::net::session::{self, Session};
use crate::net::{challenge, redact};

/// A step of a [`Check`], in the order in which they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StepName {
    /// The name of the host resolves.
    Resolve,
    /// The TLS connection is made, and the certificate is trusted.
    Tls,
    /// The host speaks the Docker V2 (OCI distribution) protocol.
    Api,
    /// The credential is taken.
    Authenticate,
    /// The repositories may be listed.
    List,
    /// The asked repository may be pulled from.
    Pull,
}

impl StepName {
    /// All steps, in order.
    pub const ALL: &'static [Self] = &[Self::Resolve, Self::Tls, Self::Api, Self::Authenticate, Self::List, Self::Pull];

    /// The step as the word in JSON, such as `authenticate`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Tls => "tls",
            Self::Api => "api",
            Self::Authenticate => "authenticate",
            Self::List => "list",
            Self::Pull => "pull",
        }
    }
}

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for StepName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The result of one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Which step.
    pub step: StepName,
    /// Whether it holds; none where it was not asked for or cannot be known.
    pub ok: Option<bool>,
    /// What was seen, one line.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What a connection check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The host as references write it.
    pub registry: String,
    /// The kind of the definition.
    pub kind: String,
    /// Every step, in order.
    pub steps: Vec<Step>,
}

impl Check {
    /// Whether all asked steps hold. With a repository, the list is told but does not decide: `pull` was asked then.
    pub fn is_ok(&self) -> bool {
        let asked_pull = self.steps.iter().any(|step| step.step == StepName::Pull && step.ok.is_some());
        self.steps.iter().filter(|step| !(asked_pull && step.step == StepName::List)).all(|step| step.ok != Some(false))
    }

    /// The first step that does not hold.
    pub fn failed(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.ok == Some(false))
    }

    fn push(&mut self, step: StepName, ok: Option<bool>, detail: impl Into<String>) {
        self.steps.push(Step { step, ok, detail: detail.into(), hint: None });
    }

    fn fail(&mut self, step: StepName, error: &Error) {
        self.steps.push(Step {
            step,
            ok: Some(false),
            detail: error.to_string(),
            hint: error.hint().map(str::to_owned),
        });
    }

    /// The steps that were not reached.
    fn finish(mut self) -> Self {
        for step in StepName::ALL.iter().skip(self.steps.len()) {
            self.push(*step, None, "not tried, since an earlier step failed");
        }
        self
    }
}

/// Takes every step once, without retries. What fails is in the result, not an error; the definition itself must be right.
///
/// # Errors
/// [`Kind::InvalidInput`] for a definition or a repository that cannot be right, [`Kind::Canceled`].
pub async fn check(registry: &Registry, repository: Option<&str>, context: &Context) -> Result<Check> {
    check_with(registry, None, repository, context).await
}

/// The same, where a connector of one's own lists the registry.
///
/// # Errors
/// As [`check`].
pub async fn check_with(
    registry: &Registry,
    own: Option<Arc<dyn Connector>>,
    repository: Option<&str>,
    context: &Context,
) -> Result<Check> {
    let vendor = vendor::of(&registry.kind)?;
    let base = registry.base()?;
    let host = registry.host()?;
    let below = |name: &str| name.strip_prefix(&host).and_then(|rest| rest.strip_prefix('/')).map(str::to_owned);
    if let Some(repository) = repository
        && !is_repository(&below(repository).unwrap_or_else(|| repository.to_owned()))
    {
        return Err(Error::new(Kind::InvalidInput, "this is not the name of a repository")
            .with("repository", repository.escape_debug())
            .with_hint("a repository is a path in the registry, without a tag: team/app"));
    }
    let client = Client::new(&connection::options(registry, Policy::once(), context).await?)?;
    let mut check = Check { registry: host.clone(), kind: vendor.name().to_owned(), steps: Vec::new() };

    if !resolve(&mut check, registry, &base, context).await? {
        return Ok(check.finish());
    }
    let Some(front) = speaks(&mut check, &client, &base, context).await? else { return Ok(check.finish()) };
    let Some(session) = authenticate(&mut check, registry, repository, client, front, context).await? else {
        return Ok(check.finish());
    };
    if let Some(limits) = vendor.limits(&session, context).await?
        && let Some(step) = check.steps.last_mut()
    {
        step.detail = format!("{}; {limits}", step.detail);
    }
    let is_nobody = session.identity(context).await? == Identity::Anonymous;
    let connection = Connection::new(host.clone(), session, is_nobody);
    let connector = match own {
        Some(own) => own,
        None => vendor.connect(registry, connection.clone())?,
    };
    list(&mut check, connector.as_ref(), context).await?;
    match repository {
        Some(repository) => {
            let name = connector.naming(&host).resolve(repository)?;
            let path = match connector.prefix() {
                "" => name,
                prefix => format!("{prefix}/{name}"),
            };
            pull::may_pull(&mut check, &connection, &path, context).await?;
        }
        None => check.push(StepName::Pull, None, "not asked: name a repository"),
    }
    Ok(check)
}

/// What nobody finds at `/v2/`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Front {
    /// Credentials are asked for.
    Closed,
    /// Everybody gets in, and credentials are asked for besides (Quay, zot).
    Asks,
    /// Everybody gets in.
    Open,
}

/// What is said of a connection without TLS.
const PLAIN: &str = "plain http, as asked for: nothing is encrypted";

/// Whether the connection is made, and a registry answers.
async fn speaks(check: &mut Check, client: &Client, base: &Url, context: &Context) -> Result<Option<Front>> {
    let answer = client.send(&Request::get(session::below(base, "")), context).await;
    match &answer {
        Err(error) if error.kind() == Kind::Canceled => return answer.map(|_| None),
        // A failure without a status is one of the connection; with one, TLS held and the other side answered.
        Err(error) if error.kind() == Kind::Unavailable && !error.context().any(|(key, _)| key == "status") => {
            let is_plain = base.scheme() == "http";
            if is_plain {
                check.push(StepName::Tls, None, PLAIN);
            }
            check.fail(if is_plain { StepName::Api } else { StepName::Tls }, error);
            return Ok(None);
        }
        _ if base.scheme() == "https" => check.push(StepName::Tls, Some(true), "the certificate is trusted"),
        _ => check.push(StepName::Tls, None, PLAIN),
    }
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            check.fail(StepName::Api, &error);
            return Ok(None);
        }
    };
    let is_page = answer.header("content-type").is_some_and(|value| value.starts_with("text/html"));
    let asks = !challenge::parse(answer.headers("www-authenticate")).is_empty();
    let front = match answer.status() {
        401 => Front::Closed,
        200 if !is_page && asks => Front::Asks,
        200 if !is_page => Front::Open,
        status => {
            let error = match status {
                200..400 | 404 | 405 => Error::new(
                    Kind::Unsupported,
                    "this does not speak the registry protocol (Docker V2, OCI distribution)",
                )
                .with("status", status)
                .with("url", redact::url(answer.url()))
                .with_hint("check the port and the path: a web interface often has another address than its registry"),
                // It says why, such as a firewall.
                _ => answer.refused(context).await,
            };
            check.fail(StepName::Api, &error);
            return Ok(None);
        }
    };
    check.push(StepName::Api, Some(true), "speaks Docker V2");
    Ok(Some(front))
}

/// Through a proxy the name is the proxy's to resolve.
async fn resolve(check: &mut Check, registry: &Registry, base: &Url, context: &Context) -> Result<bool> {
    let host = base.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    if host.parse::<std::net::IpAddr>().is_ok() {
        check.push(StepName::Resolve, Some(true), format!("{host} is an address, nothing to resolve"));
        return Ok(true);
    }
    let port = base.port_or_known_default().unwrap_or(443);
    let looked_up = context.run(async { Ok(tokio::net::lookup_host((host.as_str(), port)).await) }).await?;
    let addresses: Vec<_> = looked_up.map(Iterator::collect).unwrap_or_default();
    let variables = match base.scheme() {
        "http" => ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
        _ => ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
    };
    let has_proxy = registry.proxy.is_some() || variables.iter().any(|name| std::env::var_os(name).is_some());
    match addresses.first() {
        Some(first) if addresses.len() > 1 => check.push(
            StepName::Resolve,
            Some(true),
            format!("{host} is {} and {} more", first.ip(), addresses.len() - 1),
        ),
        Some(first) => check.push(StepName::Resolve, Some(true), format!("{host} is {}", first.ip())),
        None if has_proxy => {
            check.push(StepName::Resolve, None, format!("{host} does not resolve here; the proxy may know it"))
        }
        None => {
            let error = Error::new(Kind::Unavailable, "the name of the host does not resolve").with("host", &host);
            check.fail(StepName::Resolve, &error.with_hint(unresolved(registry)?));
            return Ok(false);
        }
    }
    Ok(true)
}

/// What to do about a name that does not resolve. Where it was made of other fields, one of them is more likely wrong than the DNS.
fn unresolved(registry: &Registry) -> Result<String> {
    let fields = match &registry.url {
        Some(_) => Vec::new(),
        None => vendor::of(&registry.kind)?
            .fields()
            .iter()
            .filter(|field| registry.settings.contains_key(**field))
            .collect(),
    };
    let spelling = match fields.as_slice() {
        [] => "the spelling of the host".to_owned(),
        fields => fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", "),
    };
    Ok(format!("check {spelling}, the DNS of this machine and, behind a proxy, HTTPS_PROXY"))
}

/// Looks the credential up and shows it to the registry. Nobody cannot be refused here, only later, where something is closed.
async fn authenticate(
    check: &mut Check,
    registry: &Registry,
    repository: Option<&str>,
    client: Client,
    front: Front,
    context: &Context,
) -> Result<Option<Session>> {
    let step = StepName::Authenticate;
    let source = vendor::of(&registry.kind)?.identity(registry, &client, repository)?;
    let session = Session::new(client, registry.base()?, source);
    let identity = match session.identity(context).await {
        Ok(identity) => identity,
        Err(error) if error.kind() == Kind::Canceled => return Err(error),
        Err(error) => {
            check.fail(step, &error);
            return Ok(None);
        }
    };
    let is_nobody = identity == Identity::Anonymous;
    if is_nobody && front != Front::Closed {
        check.push(step, None, "no credential, and none is asked for");
        return Ok(Some(session));
    }
    let answer = session.send(&Request::get(session.url("")), None, context).await;
    match answer {
        Ok(answer) if answer.status() == 200 => {
            let (ok, detail) = match (is_nobody, front) {
                (true, _) => (None, "no credential: the registry gives everybody a token"),
                (false, Front::Open) => (
                    None,
                    "the registry lets everybody in and does not refuse the credential: it cannot be tested here",
                ),
                (false, _) => (Some(true), "the registry takes the credential"),
            };
            check.push(step, ok, detail);
        }
        Ok(answer) => {
            let error = answer.refused(context).await;
            check.fail(step, &error);
            return Ok(None);
        }
        Err(error) if error.kind() == Kind::Canceled => return Err(error),
        // What everybody may read has tokens of its own.
        Err(error) if is_nobody && error.kind() == Kind::Unauthenticated && has_tokens(&session, context).await? => {
            check.push(step, None, "no credential: only what is open to everybody");
        }
        Err(error) if !is_nobody && matches!(error.kind(), Kind::Unsupported | Kind::NotFound) => {
            let detail =
                format!("the token server gives none without a repository, so that it cannot be tested: {error}");
            check.push(step, None, detail);
        }
        Err(error) => {
            check.fail(step, &error);
            return Ok(None);
        }
    }
    Ok(Some(session))
}

async fn has_tokens(session: &Session, context: &Context) -> Result<bool> {
    Ok(session.token_server(context).await?.is_some())
}

async fn list(check: &mut Check, connector: &dyn Connector, context: &Context) -> Result<()> {
    if !connector.capabilities().repositories {
        check.push(StepName::List, None, "this kind of registry does not list its repositories: name them");
        return Ok(());
    }
    let wanted = Wanted::default();
    // What a product cannot do here belongs to the answer: whoever asks may have given a kind that is another.
    let noticed = Arc::new(Mutex::new(None));
    let notices = Arc::clone(&noticed);
    let listening = context.clone().on_event(move |event| {
        if let Event::Notice { message, hint } = event {
            let mut noticed = notices.lock().unwrap_or_else(PoisonError::into_inner);
            noticed.get_or_insert((message.clone(), hint.clone()));
        }
    });
    let first = connector.repositories(&wanted, &listening).next().await;
    match first {
        Some(Ok(first)) => check.push(
            StepName::List,
            Some(true),
            format!("may list repositories; the first is {}", first.escape_debug()),
        ),
        None => check.push(StepName::List, Some(true), "may list repositories; there are none"),
        Some(Err(error)) if error.kind() == Kind::Canceled => return Err(error),
        Some(Err(error)) => check.fail(StepName::List, &error),
    }
    let noticed = noticed.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some((message, hint)) = noticed
        && let Some(step) = check.steps.last_mut().filter(|step| step.ok == Some(true))
    {
        step.detail = format!("{}; {message}", step.detail);
        step.hint = Some(hint);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_made_of_fields_is_their_fault() {
        let made = unresolved(&Registry::ecr("eu-nowhere-9", "123456789012")).unwrap();
        assert!(made.contains("`region`") && made.contains("`account`") && !made.contains("`fips`"), "{made}");
        let given = unresolved(&Registry::docker("https://registry.invalid")).unwrap();
        assert!(given.contains("spelling"), "{given}");
    }
}
