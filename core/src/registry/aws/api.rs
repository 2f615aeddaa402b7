//! Amazon's JSON protocol: a signed POST for each operation, errors by name, throttling with status 400.

use std::sync::atomic::{AtomicI64, Ordering};

use http::HeaderName;
use http::header::CONTENT_TYPE;
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

use super::chain::Chain;
use super::endpoint::out_of_reach;
use super::keys::Keys;
use super::sign::{Scope, sign};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::net::client::{Client, Request, Response};
use crate::net::redact;
use crate::registry::{address, json};

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
/// How much of an error is read.
const MAX_ERROR: u64 = 64 << 10;

/// What Amazon's tools take for throttling (botocore, `retries/standard.py`); comes with status 400.
pub(super) const THROTTLING: [&str; 14] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottledException",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
    "TransactionInProgressException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "RequestThrottled",
    "SlowDown",
    "PriorRequestNotComplete",
    "EC2ThrottledException",
];

/// What they take for a service that cannot answer now.
pub(super) const PASSING: [&str; 5] =
    ["ServerException", "InternalFailure", "ServiceUnavailable", "RequestTimeout", "RequestTimeoutException"];

/// One service of Amazon's in one region, as one identity.
#[derive(Debug)]
pub(in crate::registry) struct Api {
    client: Client,
    url: Url,
    region: String,
    /// The name that signatures have, and permissions.
    service: &'static str,
    /// What stands in front of the operation.
    target: &'static str,
    chain: Chain,
    current: tokio::sync::Mutex<Option<(Keys, Timestamp)>>,
    /// Seconds that the clock of the service is before ours.
    skew: AtomicI64,
}

impl Api {
    /// The service at `url`, which is https where it has no scheme.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for what is no address.
    pub(in crate::registry) fn new(
        client: Client,
        url: &str,
        region: &str,
        (service, target): (&'static str, &'static str),
        chain: Chain,
    ) -> Result<Self> {
        let url = address::read(url, false, "endpoint")?;
        let (current, skew) = (tokio::sync::Mutex::default(), AtomicI64::default());
        Ok(Self { client, url, region: region.to_owned(), service, target, chain, current, skew })
    }

    /// Calls an operation. Throttling is waited out; a key that has ended or was replaced is looked up again once, a clock that is off
    /// is allowed for once.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::PermissionDenied`] with the permission that is missing, [`Kind::Unauthenticated`], and so on.
    pub(in crate::registry) async fn call<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        body: &impl Serialize,
        context: &Context,
    ) -> Result<T> {
        let body = serde_json::to_vec(body).map_err(|error| Error::new(Kind::Internal, "no JSON").because(error))?;
        let request = Request::post(self.url.clone(), body)
            .with(CONTENT_TYPE, "application/x-amz-json-1.1")?
            .with(TARGET, &format!("{}.{operation}", self.target))?;
        let (mut attempt, mut has_renewed, mut has_moved) = (1, false, false);
        loop {
            let keys = self.keys(context).await?;
            let scope = Scope { region: &self.region, service: self.service };
            let signed = sign(request.clone(), &keys, scope, self.now())?;
            let sent = self.client.send(&signed, context).await;
            let response = sent.map_err(|error| out_of_reach(error, &self.region))?;
            if response.status() == 200 {
                return json::read(response, context).await;
            }
            let ahead = response.clock_ahead();
            let refusal = Refusal::read(response, context).await?;
            if refusal.is_ended() && !has_renewed {
                has_renewed = true;
                self.forget(&keys).await;
                continue;
            }
            if is_skewed(&refusal.code, &refusal.message)
                && !has_moved
                && let Some(ahead) = ahead
            {
                has_moved = true;
                self.skew.store(ahead.as_secs(), Ordering::Relaxed);
                continue;
            }
            if refusal.is_signature() && !has_renewed {
                has_renewed = true;
                if self.is_replaced(&keys, context).await? {
                    continue;
                }
            }
            let error = self.error(operation, &refusal);
            self.client.retry().wait(error, None, attempt, context).await?;
            attempt += 1;
        }
    }

    /// That there is a key to ask with.
    ///
    /// # Errors
    /// Those of the chain.
    pub(in crate::registry) async fn has_keys(&self, context: &Context) -> Result<()> {
        self.keys(context).await.map(|_| ())
    }

    async fn keys(&self, context: &Context) -> Result<Keys> {
        let mut current = context.run(async { Ok(self.current.lock().await) }).await?;
        let now = self.now();
        if let Some((keys, since)) = &*current
            && !keys.is_ending(*since, now)
        {
            return Ok(keys.clone());
        }
        let keys = context.run(self.chain.keys(context)).await?;
        *current = Some((keys.clone(), now));
        Ok(keys)
    }

    /// The time as the service has it.
    fn now(&self) -> Timestamp {
        let (now, skew) = (Timestamp::now(), SignedDuration::from_secs(self.skew.load(Ordering::Relaxed)));
        now.checked_add(skew).unwrap_or(now)
    }

    /// Whether there is another key now than the one that was refused.
    async fn is_replaced(&self, refused: &Keys, context: &Context) -> Result<bool> {
        self.forget(refused).await;
        match self.keys(context).await {
            Ok(keys) => Ok(keys.id != refused.id || keys.secret != refused.secret),
            Err(error) if error.kind() == Kind::Canceled => Err(error),
            // That it is refused says more than that it cannot be looked up now.
            Err(_) => Ok(false),
        }
    }

    /// Forgets a key that was refused, unless another one took its place meanwhile.
    async fn forget(&self, refused: &Keys) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|(keys, _)| keys.id == refused.id && keys.secret == refused.secret) {
            *current = None;
        }
    }

    fn error(&self, operation: &'static str, refusal: &Refusal) -> Error {
        let action = format!("{}:{operation}", self.service);
        let code = refusal.code.as_str();
        let (kind, message, hint) = match code {
            "RepositoryNotFoundException" | "ImageNotFoundException" | "RegistryNotFoundException" => (
                Kind::NotFound,
                "there is no such repository, or it is in another account or region",
                "check the repository, the account and the region".to_owned(),
            ),
            "AccessDeniedException" | "AccessDenied" | "UnauthorizedException" => (
                Kind::PermissionDenied,
                "the credentials do not allow this",
                format!("allow {action} in a policy of this identity; another account's registry must allow it too"),
            ),
            code if THROTTLING.contains(&code) => {
                (Kind::RateLimited, "too many requests", "try again later, with fewer requests at once".to_owned())
            }
            _ if refusal.is_ended() => (
                Kind::Unauthenticated,
                "the credentials have expired",
                "log in again, or renew the temporary key, and check the clock of this machine".to_owned(),
            ),
            _ if refusal.is_signature() => (
                Kind::Unauthenticated,
                "the access key is refused",
                "check the key and its secret, that it belongs to the partition of the region, and the clock of this machine"
                    .to_owned(),
            ),
            code if PASSING.contains(&code) => {
                (Kind::Unavailable, "the service cannot answer now", "try again later".to_owned())
            }
            _ => (Kind::Unsupported, "the service refuses the request", "check the region and the endpoint".to_owned()),
        };
        let error =
            Error::new(kind, message).with("action", action).with("url", redact::url(&self.url)).with_hint(hint);
        let error = if code.is_empty() { error.with("status", refusal.status) } else { error.with("code", code) };
        // What is said about a signature repeats what was signed, the session token too.
        if refusal.is_signature() || refusal.message.is_empty() {
            error
        } else {
            error.with("answer", &refusal.message)
        }
    }
}

/// A refusal: the name of the error and what is said about it.
struct Refusal {
    status: u16,
    code: String,
    message: String,
}

impl Refusal {
    async fn read(response: Response, context: &Context) -> Result<Self> {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Body {
            #[serde(rename = "__type", alias = "code")]
            name: Option<String>,
            message: Option<String>,
            #[serde(rename = "Message")]
            other: Option<String>,
        }
        let status = response.status();
        let header = response.header("x-amzn-errortype").map(str::to_owned);
        let body = response.bytes(MAX_ERROR, context).await?;
        // What is not JSON, such as the page of a proxy, says nothing here.
        let body: Body = serde_json::from_slice(&body).unwrap_or_default();
        let name = header.or(body.name).unwrap_or_default();
        // `namespace#Name` and `Name:http://...` are both seen.
        let name = name.split(':').next().unwrap_or_default();
        let code = redact::text(name.rsplit('#').next().unwrap_or_default());
        let message = redact::text(&body.message.or(body.other).unwrap_or_default());
        Ok(Self { status, code, message })
    }

    /// Whether the key has ended, which another one may help against.
    fn is_ended(&self) -> bool {
        matches!(self.code.as_str(), "ExpiredTokenException" | "ExpiredToken" | "RequestExpired")
    }

    fn is_signature(&self) -> bool {
        matches!(
            self.code.as_str(),
            "UnrecognizedClientException"
                | "InvalidSignatureException"
                | "SignatureDoesNotMatch"
                | "InvalidClientTokenId"
                | "InvalidAccessKeyId"
                | "IncompleteSignature"
                | "IncompleteSignatureException"
                | "MissingAuthenticationToken"
                | "MissingAuthenticationTokenException"
                | "RequestTimeTooSkewed"
                | "RequestInTheFuture"
        )
    }
}

/// Whether a refusal says that the clocks differ. `RequestExpired` means that or a key that has ended.
pub(super) fn is_skewed(code: &str, message: &str) -> bool {
    match code {
        "RequestTimeTooSkewed" | "RequestInTheFuture" | "RequestExpired" => true,
        "InvalidSignatureException" | "SignatureDoesNotMatch" => {
            let says = ["Signature expired", "not yet current", "is now earlier", "is now later"];
            says.iter().any(|text| message.contains(text))
        }
        _ => false,
    }
}
