//! The connection check: each step of reaching a registry apart, with what to do about the first that fails.

use std::fmt;
use std::sync::Arc;

use futures_util::StreamExt;
use serde::{Serialize, Serializer};

use super::connection::{self, Connection};
use super::connector::{Connector, Wanted};
use super::definition::Registry;
use super::vendor;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::reference::is_repository;
use crate::net::client::{Client, Request};
use crate::net::identity::Identity;
use crate::net::redact;
use crate::net::retry::Policy;
use crate::net::session::{Session, pull};

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
    if let Some(repository) = repository
        && !is_repository(repository)
    {
        return Err(Error::new(Kind::InvalidInput, "this is not the name of a repository")
            .with("repository", repository.escape_debug()));
    }
    let vendor = vendor::of(&registry.kind)?;
    let base = registry.base()?;
    let host = registry.host()?;
    let client = Client::new(&connection::options(registry, Policy::once(), context).await?)?;
    let mut check = Check { registry: host.clone(), kind: vendor.name().to_owned(), steps: Vec::new() };

    if !resolve(&mut check, registry, &base, context).await? {
        return Ok(check.finish());
    }
    let nobody = Session::new(client.clone(), base.clone(), Arc::new(Identity::Anonymous));
    let answer = client.send(&Request::get(nobody.url("")), context).await;
    let answer = match answer {
        Ok(answer) => Ok(answer),
        Err(error) if error.kind() == Kind::Canceled => return Err(error),
        Err(error) => Err(error),
    };
    // A failure without a status is one of the connection; with one, TLS held and the other side answered.
    let has_status = |error: &Error| error.context().any(|(key, _)| key == "status");
    match (&answer, base.scheme()) {
        (Err(error), _) if !has_status(error) => {
            check.fail(StepName::Tls, error);
            return Ok(check.finish());
        }
        (_, "https") => check.push(StepName::Tls, Some(true), "the certificate is trusted"),
        _ => check.push(StepName::Tls, None, "plain http, as asked for: nothing is encrypted"),
    }
    let is_open = match answer {
        Ok(answer)
            if answer.status() == 200
                && !answer.header("content-type").is_some_and(|value| value.starts_with("text/html")) =>
        {
            true
        }
        Ok(answer) if answer.status() == 401 => false,
        Ok(answer) => {
            let error = Error::new(
                Kind::Unsupported,
                "this does not speak the registry protocol (Docker V2, OCI distribution)",
            )
            .with("status", answer.status())
            .with("url", redact::url(answer.url()))
            .with_hint("check the port and the path: a web interface often has another address than its registry");
            check.fail(StepName::Api, &error);
            return Ok(check.finish());
        }
        Err(error) => {
            check.fail(StepName::Api, &error);
            return Ok(check.finish());
        }
    };
    check.push(StepName::Api, Some(true), "speaks Docker V2");

    let session = match authenticate(&mut check, registry, repository, client, is_open, context).await {
        Ok(Some(session)) => session,
        Ok(None) => return Ok(check.finish()),
        Err(error) => return Err(error),
    };
    if let Some(limits) = vendor.limits(&session, context).await?
        && let Some(step) = check.steps.last_mut()
    {
        step.detail = format!("{}; {limits}", step.detail);
    }
    list(&mut check, registry, own, &session, context).await?;
    match repository {
        Some(repository) => may_pull(&mut check, &session, repository, context).await?,
        None => check.push(StepName::Pull, None, "not asked: name a repository"),
    }
    Ok(check)
}

/// Through a proxy the name is the proxy's to resolve.
async fn resolve(check: &mut Check, registry: &Registry, base: &url::Url, context: &Context) -> Result<bool> {
    let host = base.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
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
    is_open: bool,
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
    if is_open {
        let detail = if is_nobody {
            "no credential, and none is asked for"
        } else {
            "the registry asks for no credential here, so that it cannot be tested"
        };
        check.push(step, None, detail);
        return Ok(Some(session));
    }
    let scope = repository.map(pull);
    match session.send(&Request::get(session.url("")), scope.as_deref(), context).await {
        Ok(answer) if answer.status() == 200 && is_nobody => {
            check.push(step, None, "no credential: the registry gives everybody a token")
        }
        Ok(answer) if answer.status() == 200 => check.push(step, Some(true), "the registry takes the credential"),
        Ok(answer) => {
            let error = answer.refused(context).await;
            check.fail(step, &error);
            return Ok(None);
        }
        Err(error) if error.kind() == Kind::Canceled => return Err(error),
        Err(error) => {
            check.fail(step, &error);
            return Ok(None);
        }
    }
    Ok(Some(session))
}

async fn list(
    check: &mut Check,
    registry: &Registry,
    own: Option<Arc<dyn Connector>>,
    session: &Session,
    context: &Context,
) -> Result<()> {
    let connection = Connection::new(registry.host()?, session.clone());
    let connector = match own {
        Some(own) => own,
        None => vendor::of(&registry.kind)?.connect(registry, connection)?,
    };
    if !connector.capabilities().repositories {
        check.push(StepName::List, None, "this kind of registry does not list its repositories: name them");
        return Ok(());
    }
    let wanted = Wanted::default();
    match connector.repositories(&wanted, context).next().await {
        Some(Ok(first)) => check.push(
            StepName::List,
            Some(true),
            format!("may list repositories; the first is {}", first.escape_debug()),
        ),
        None => check.push(StepName::List, Some(true), "may list repositories; there are none"),
        Some(Err(error)) if error.kind() == Kind::Canceled => return Err(error),
        Some(Err(error)) => check.fail(StepName::List, &error),
    }
    Ok(())
}

/// Whether the tags of a repository may be seen: the same right as pulling, and nothing has to be named for it.
async fn may_pull(check: &mut Check, session: &Session, repository: &str, context: &Context) -> Result<()> {
    let url = session.url(&format!("{repository}/tags/list?n=1"));
    let answer = match session.send(&Request::get(url), Some(&pull(repository)), context).await {
        Ok(answer) => answer.success(context).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(_) => check.push(StepName::Pull, Some(true), format!("may pull from {repository}")),
        Err(error) if error.kind() == Kind::Canceled => return Err(error),
        Err(error) if error.kind() == Kind::NotFound => {
            let error = Error::new(Kind::NotFound, "there is no such repository, or this credential may not see it")
                .with_hint("check the spelling of the repository and the right to pull from it")
                .because(error);
            check.fail(StepName::Pull, &error);
        }
        Err(error) => check.fail(StepName::Pull, &error),
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
