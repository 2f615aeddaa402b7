//! One HTTP client: redirects by hand, retries, a bound on what each host is asked, time-outs, cancellation.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, LOCATION, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::sync::OwnedSemaphorePermit;
use url::Url;
use zeroize::Zeroizing;

use super::address::{self, Lead};
use super::failure::{self, Failure};
use super::resolve::Names;
use super::retry::{self, Policy};
use super::tls::{self, Trust};
use super::traffic::{Bound, Traffic};
use super::{answer, parts, redact};
use crate::context::Context;
use crate::error::{Error, Kind, Result};

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;

/// Bytes a second that must come of a body, over each stretch of two time-outs that were waited for it: who sends less keeps others
/// waiting for nothing.
const LEAST_RATE: f64 = 1024.0;
/// How long is waited for the body of a refusal, as a whole: it helps, but says no more than the status.
const REFUSAL: Duration = Duration::from_secs(5);

/// Headers that say nothing about who asks. Any other one may open a door, by whatever name a product gave it: it stays behind when
/// a redirect leaves the origin.
const HARMLESS_HEADERS: [HeaderName; 9] = [
    ACCEPT,
    ACCEPT_ENCODING,
    CONTENT_TYPE,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    RANGE,
];

/// The headers that say how much may still be asked for (a draft of the IETF, and Docker Hub before it).
const LIMITS: [&str; 2] = ["ratelimit-limit", "ratelimit-remaining"];

/// How to reach hosts.
#[derive(Clone)]
pub struct Options {
    /// Certificates.
    pub trust: Trust,
    /// The hosts, as URLs have them, that the client certificate of `trust` is shown to, at any port of theirs. No other host sees it,
    /// wherever a redirect or a token server is.
    pub known: Vec<String>,
    /// A proxy for everything except `NO_PROXY`; without it `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` hold.
    pub proxy: Option<String>,
    /// Whether what a public host says may lead to private addresses.
    pub private_addresses: bool,
    /// Without any proxy, whatever the environment says: for services of this very machine, such as a cloud's metadata.
    pub direct: bool,
    /// What each host is asked at the most.
    pub bound: Bound,
    /// What others ask, who keep to the same bounds together with this client.
    pub traffic: Traffic,
    /// How long to wait for a connection, where `timeout` is not shorter.
    pub connect: Duration,
    /// How long to wait for an answer, and between two pieces of a body.
    pub timeout: Duration,
    /// Retries.
    pub retry: Policy,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            trust: Trust::default(),
            known: Vec::new(),
            proxy: None,
            private_addresses: false,
            direct: false,
            bound: Bound::default(),
            traffic: Traffic::default(),
            connect: Duration::from_secs(30),
            timeout: Duration::from_secs(60),
            retry: Policy::default(),
        }
    }
}

/// A request. `Debug` shows no header.
#[derive(Clone)]
pub struct Request {
    /// The method; only those that can be repeated.
    pub method: Method,
    /// The address.
    pub url: Url,
    /// The headers.
    pub headers: HeaderMap,
    /// The body of a POST.
    pub body: Option<Bytes>,
}

impl Request {
    /// A GET.
    pub fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: None }
    }

    /// A POST of this body.
    pub fn post(url: Url, body: impl Into<Bytes>) -> Self {
        Self { method: Method::POST, body: Some(body.into()), ..Self::get(url) }
    }

    /// A HEAD.
    pub fn head(url: Url) -> Self {
        Self { method: Method::HEAD, ..Self::get(url) }
    }

    /// The same request with one more header.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a value that no header can have, such as one with a line break.
    pub fn with(mut self, name: HeaderName, value: &str) -> Result<Self> {
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| Error::new(Kind::InvalidInput, "a header cannot hold this").with("header", &name))?;
        value.set_sensitive(!HARMLESS_HEADERS.contains(&name));
        self.headers.insert(name, value);
        Ok(self)
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, redact::url(&self.url))
    }
}

/// An HTTP client. Cheap to clone; clones share connections and limits.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    /// Shows no certificate.
    http: reqwest::Client,
    /// Shows one, to these hosts.
    known: Option<(reqwest::Client, Vec<String>)>,
    names: Names,
    private_addresses: bool,
    bound: Bound,
    traffic: Traffic,
    timeout: Duration,
    retry: Policy,
}

impl Client {
    /// A client with these options.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for certificates or a proxy that cannot be used.
    pub fn new(options: &Options) -> Result<Self> {
        let names = Names::default();
        let known = match options.trust.client {
            Some(_) => Some((http(options, &options.trust, &names)?, options.known.clone())),
            None => None,
        };
        let Options { bound, timeout, retry, private_addresses, .. } = *options;
        let http = http(options, &Trust { client: None, ..options.trust.clone() }, &names)?;
        let traffic = options.traffic.clone();
        Ok(Self(Arc::new(Inner { http, known, names, private_addresses, bound, traffic, timeout, retry })))
    }

    /// How long to wait for an answer, and between two pieces of a body.
    pub fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// When to try again.
    pub fn retry(&self) -> Policy {
        self.0.retry
    }

    /// Whether something that `from` says may lead to `to`, see [`address::lead`]; anything may where the user allows private
    /// addresses. Where it may as long as it is public, no connection of this client goes to a private address of that name.
    ///
    /// # Errors
    /// [`Kind::Canceled`].
    pub async fn may_lead(&self, from: &Url, to: &Url, context: &Context) -> Result<bool> {
        if self.0.private_addresses {
            return Ok(true);
        }
        Ok(match context.run(async { Ok(address::lead(from, to).await) }).await? {
            Lead::Nowhere => false,
            Lead::Outside => self.0.names.must_be_public(to),
            Lead::Anywhere => true,
        })
    }

    /// Fetches `url` with these headers and no credentials: `Range`, `If-Range`, `If-None-Match` and the like.
    /// The answer may have any status that is not worth a retry; 206, 304 and 416 are for the caller to see.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for an address or a header that cannot be, else as [`Client::send`].
    pub async fn get(&self, url: &str, headers: &[(&str, &str)], context: &Context) -> Result<Response> {
        let url =
            Url::parse(url).map_err(|error| Error::new(Kind::InvalidInput, "this is not an address").because(error))?;
        let mut request = Request::get(url);
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).map_err(|_| {
                Error::new(Kind::InvalidInput, "there is no such header").with("header", name.escape_debug())
            })?;
            request = request.with(name, value)?;
        }
        self.send(&request, context).await
    }

    /// Sends a request, follows redirects, and tries again what may pass. The body is not read yet.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] without an answer, [`Kind::RateLimited`] and [`Kind::Unavailable`] for statuses that were tried
    /// again in vain, [`Kind::Unsupported`] for redirects that are not followed, [`Kind::Canceled`].
    pub async fn send(&self, request: &Request, context: &Context) -> Result<Response> {
        let mut attempt = 1;
        loop {
            context.check()?;
            let (error, step) = match self.follow(request, context).await {
                Ok(response) if !response.may_pass() => return Ok(response),
                Ok(response) => (response.refused(context).await, None),
                Err(Stop::Failure(failure)) => (failure.error, Some(failure.step)),
                Err(Stop::Error(error)) => return Err(error),
            };
            self.0.retry.wait(error, step, attempt, context).await?;
            attempt += 1;
        }
    }

    /// One attempt, over all its redirects.
    async fn follow(&self, request: &Request, context: &Context) -> Result<Response, Stop> {
        let mut request = Cow::Borrowed(request);
        for _ in 0..=MAX_REDIRECTS {
            let response = self.exchange(&request, context).await?;
            let Some(target) = redirect(&response) else { return Ok(response) };
            let target = target?;
            if request.method == Method::POST {
                return Err(refuse("a redirect of a request that carries credentials is not followed", &target));
            }
            if request.url.scheme() == "https" && target.scheme() != "https" {
                return Err(refuse("a redirect from https to http is not followed", &target));
            }
            if !self.may_lead(&request.url, &target, context).await? {
                let message = "a redirect to a private address is not followed";
                return Err(Stop::Error(
                    Error::new(Kind::Unsupported, message).with("url", redact::url(&target)).with_hint(
                        "set `private_addresses` in the definition, if this registry may lead into your network",
                    ),
                ));
            }
            if !address::is_same_origin(&request.url, &target) {
                let headers = &mut request.to_mut().headers;
                let others: Vec<_> = headers.keys().filter(|name| !HARMLESS_HEADERS.contains(name)).cloned().collect();
                for name in others {
                    headers.remove(name);
                }
            }
            request.to_mut().url = target;
        }
        Err(refuse("too many redirects", &request.url))
    }

    /// One request, one answer.
    async fn exchange(&self, request: &Request, context: &Context) -> Result<Response, Stop> {
        let permit = self.0.traffic.enter(&request.url, self.0.bound, context).await?;
        let mut headers = request.headers.clone();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let is_known = |hosts: &[String]| hosts.iter().any(|host| request.url.host_str() == Some(host));
        let http = match &self.0.known {
            Some((shows, hosts)) if is_known(hosts) => shows,
            _ => &self.0.http,
        };
        let mut built = http.request(request.method.clone(), request.url.clone()).headers(headers);
        if let Some(body) = &request.body {
            built = built.body(body.clone());
        }
        let timeout = self.0.timeout;
        let answer = async {
            match tokio::time::timeout(timeout, built.send()).await {
                Ok(Ok(response)) => Ok(Ok(response)),
                Ok(Err(error)) => Ok(Err(failure::classify(&error, &request.url))),
                Err(_) => Ok(Err(failure::timeout(&request.url, timeout))),
            }
        };
        let mut response = context.run(answer).await??;
        Ok(Response {
            status: response.status().as_u16(),
            headers: std::mem::take(response.headers_mut()),
            body: response,
            read: None,
            secrets: redact::secrets(&request.headers),
            timeout,
            waited: Duration::ZERO,
            came: 0,
            _permit: permit,
        })
    }
}

/// The client of these options below, with this trust.
fn http(options: &Options, trust: &Trust, names: &Names) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::configuration(trust)?)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        // One connection a transfer is faster for layers than streams that share one, and a stalled one stalls alone.
        .http1_only()
        .dns_resolver(Arc::new(names.clone()))
        .connect_timeout(options.timeout.min(options.connect))
        .pool_idle_timeout(Duration::from_secs(30))
        .user_agent(concat!("tidewaiter/", env!("CARGO_PKG_VERSION")));
    if let Some(proxy) = &options.proxy {
        let wrong = |_| {
            Error::new(Kind::InvalidInput, "this is not the address of a proxy")
                .with("field", "proxy")
                .with_hint("a proxy is http://host:port")
        };
        builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(wrong)?.no_proxy(reqwest::NoProxy::from_env()));
    }
    if options.direct {
        builder = builder.no_proxy();
    }
    builder
        .build()
        .map_err(|error| Error::new(Kind::Internal, "the HTTP client cannot be built").because(error.without_url()))
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("bound", &self.0.bound).field("timeout", &self.0.timeout).finish_non_exhaustive()
    }
}

/// Why one attempt ended: a step of the transport failed, or there is an answer that no second attempt changes.
enum Stop {
    Failure(Failure),
    Error(Error),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

fn refuse(message: &'static str, target: &Url) -> Stop {
    Stop::Error(
        Error::new(Kind::Unsupported, message)
            .with("url", redact::url(target))
            .with_hint("use the final address of the registry"),
    )
}

/// Where a redirect leads to; none where the answer is no redirect.
fn redirect(response: &Response) -> Option<Result<Url, Stop>> {
    if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers.get(LOCATION)?;
    let target = location.to_str().ok().and_then(|location| response.url().join(location).ok());
    Some(match target {
        Some(target) if matches!(target.scheme(), "http" | "https") && target.has_host() => Ok(target),
        _ => Err(refuse("a redirect leads to something that is no http address", response.url())),
    })
}

/// An answer, its body still to be read. It counts against the limit of its host until it is dropped.
pub struct Response {
    status: u16,
    headers: HeaderMap,
    body: reqwest::Response,
    /// What was read of the body already, to look at it.
    read: Option<Bytes>,
    /// What the request carried, which a refusal may repeat.
    secrets: Vec<Zeroizing<String>>,
    timeout: Duration,
    /// How long the body was waited for in this stretch, and the bytes that came of it.
    waited: Duration,
    came: usize,
    _permit: OwnedSemaphorePermit,
}

impl Response {
    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The address that answered, behind all redirects.
    pub fn url(&self) -> &Url {
        self.body.url()
    }

    /// The first header of that name, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Every header of that name, as bytes.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.get_all(name).into_iter().map(HeaderValue::as_bytes)
    }

    /// By how much the clock of the other side is before ours, to the second (`Date`); none where it does not say.
    pub fn clock_ahead(&self) -> Option<jiff::SignedDuration> {
        let date = jiff::fmt::rfc2822::parse(self.header("date")?).ok()?;
        Some(date.timestamp().duration_since(jiff::Timestamp::now()))
    }

    /// The length that the answer announces.
    pub fn content_length(&self) -> Option<u64> {
        self.header(CONTENT_LENGTH.as_str())?.parse().ok()
    }

    /// The next piece of the body as it arrives, less than 1 MiB; none at the end.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] when the connection breaks, stands still, or brings less than 1 KiB a second; [`Kind::Canceled`].
    pub async fn chunk(&mut self, context: &Context) -> Result<Option<Bytes>> {
        if let Some(read) = self.read.take() {
            return Ok(Some(read));
        }
        let (body, timeout, began) = (&mut self.body, self.timeout, Instant::now());
        let next = async {
            match tokio::time::timeout(timeout, body.chunk()).await {
                Ok(Ok(chunk)) => Ok(chunk),
                Ok(Err(error)) => Err(failure::classify(&error, body.url()).error),
                Err(_) => Err(failure::timeout(body.url(), timeout).error),
            }
        };
        let next = context.run(next).await?;
        // What the reader does between two pieces is not the time of the other side.
        self.waited += began.elapsed();
        self.came += next.as_ref().map_or(0, Bytes::len);
        if next.is_some() && self.waited >= 2 * timeout {
            if (self.came as f64) < LEAST_RATE * self.waited.as_secs_f64() {
                return Err(failure::too_slow(self.url()));
            }
            (self.waited, self.came) = (Duration::ZERO, 0);
        }
        Ok(next)
    }

    /// Reads the body of a refusal, as far as it comes at once.
    async fn told(&mut self, body: &mut BytesMut, context: &Context) -> Result<()> {
        let reading = async {
            while body.len() < answer::MAX_BODY
                && let Some(chunk) = self.chunk(context).await?
            {
                body.extend_from_slice(&chunk);
            }
            Ok(())
        };
        tokio::time::timeout(REFUSAL, reading).await.unwrap_or(Ok(()))
    }

    /// The whole body, at most `limit` bytes of it.
    ///
    /// # Errors
    /// [`Kind::LimitExceeded`] when there is more, else as [`Response::chunk`].
    pub async fn bytes(mut self, limit: u64, context: &Context) -> Result<Bytes> {
        let too_long = |url: &Url| {
            Error::new(Kind::LimitExceeded, format!("the answer is longer than {limit} bytes"))
                .with("url", redact::url(url))
        };
        let limited = usize::try_from(limit).unwrap_or(usize::MAX);
        if self.content_length().is_some_and(|length| length > limit) {
            return Err(too_long(self.url()));
        }
        let mut first = Bytes::new();
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk(context).await? {
            if chunk.len() > limited - first.len() - body.len() {
                return Err(too_long(self.url()));
            }
            // Most answers are one piece, which is handed on as it is.
            if first.is_empty() && body.is_empty() {
                first = chunk;
                continue;
            }
            body.extend_from_slice(&std::mem::take(&mut first));
            body.extend_from_slice(&chunk);
        }
        let body = if body.is_empty() { first } else { body.freeze() };
        Ok(if self.status < 400 || self.secrets.is_empty() {
            body
        } else {
            redact::masked(&body, &self.secrets).into()
        })
    }

    /// The whole body, at most `limit` bytes of it, which is JSON: what would take much more memory than bytes is refused.
    ///
    /// # Errors
    /// [`Kind::LimitExceeded`] when there is more, or it has more parts than any list; else as [`Response::chunk`].
    pub async fn json(self, limit: u64, context: &Context) -> Result<Bytes> {
        let url = redact::url(self.url());
        let body = self.bytes(limit, context).await?;
        if parts::are_too_many(&body) {
            return Err(Error::new(Kind::LimitExceeded, "the answer has more parts than any list")
                .with("url", url)
                .with_hint("look at what the registry answers there; a list has at most 2,000,000 values a page"));
        }
        Ok(body)
    }

    /// Whether a refusal says that something has expired, with another status than the 401 that the protocol has for it.
    /// The body can still be read.
    ///
    /// # Errors
    /// As [`Response::chunk`].
    pub async fn says_expired(&mut self, context: &Context) -> Result<bool> {
        if !matches!(self.status, 400 | 403) {
            return Ok(false);
        }
        let mut body = BytesMut::new();
        self.told(&mut body, context).await?;
        let says = answer::says_expired(&body);
        self.read = Some(body.freeze());
        Ok(says)
    }

    /// The answer if it is a success, else its error.
    ///
    /// # Errors
    /// By the status; see [`answer::refused`].
    pub async fn success(self, context: &Context) -> Result<Self> {
        if (200..300).contains(&self.status) { Ok(self) } else { Err(self.refused(context).await) }
    }

    /// The error that this answer is. The body helps if it comes at once.
    pub async fn refused(mut self, context: &Context) -> Error {
        let mut body = BytesMut::new();
        match self.told(&mut body, context).await {
            Err(error) if error.kind() == Kind::Canceled => return error,
            _ => body.truncate(answer::MAX_BODY),
        }
        let reason = answer::Reason::read(&redact::masked(&body, &self.secrets));
        let refused = answer::refused(self.status, self.url(), &reason, self.asked_delay());
        // What is left of a limit, where that is why.
        let limits = LIMITS.iter().filter_map(|name| Some((*name, redact::text(self.header(name)?))));
        limits.filter(|_| self.status == 429).fold(refused, |refused, (name, value)| refused.with(name, value))
    }

    /// Whether the same request may go through later.
    fn may_pass(&self) -> bool {
        // GitHub limits with 403 too.
        retry::is_passing_status(self.status) || (self.status == 403 && self.asked_delay().is_some())
    }

    /// How long the other side asks to wait, in whichever of the dialects.
    fn asked_delay(&self) -> Option<Duration> {
        retry::asked_delay(self.status, |name| self.header(name), jiff::Timestamp::now())
    }

    /// The headers, which are gone from here then.
    pub(super) fn take_headers(&mut self) -> HeaderMap {
        std::mem::take(&mut self.headers)
    }
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} from {}", self.status, redact::url(self.url()))
    }
}
