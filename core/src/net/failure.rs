//! Transport failures: which step failed, and what to do about it.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use url::Url;

use super::{redact, tls};
use crate::error::{Error, Kind};

/// The step of a request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The name did not resolve.
    Resolve,
    /// No connection: refused, unreachable, or the proxy would not.
    Connect,
    /// The certificate is not trusted, or the TLS handshake failed.
    Tls,
    /// There was no answer in time.
    Timeout,
    /// The connection broke, or what came is not HTTP.
    Transfer,
    /// More headers came than are read.
    Headers,
}

impl Step {
    /// Whether the same request may go through in a moment. A name that is unknown and a certificate that is not trusted stay so.
    pub fn is_passing(self) -> bool {
        matches!(self, Self::Connect | Self::Timeout | Self::Transfer)
    }
}

/// An error together with the step that failed.
#[derive(Debug)]
pub struct Failure {
    /// The step.
    pub step: Step,
    /// What the caller is told.
    pub error: Error,
}

impl Failure {
    fn new(step: Step, message: impl Into<Cow<'static, str>>, hint: String, url: &Url, reason: Reason) -> Self {
        let error = Error::new(Kind::Unavailable, message).with("url", redact::url(url)).with_hint(hint);
        Self { step, error: error.because(reason) }
    }
}

/// The innermost reason, in words: no URL, so no secret.
#[derive(Debug)]
struct Reason(String);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Reason {}

/// No answer in time.
pub fn timeout(url: &Url, waited: std::time::Duration) -> Failure {
    let error = Error::new(Kind::Unavailable, format!("no answer within {} s", waited.as_secs_f64()))
        .with("url", redact::url(url))
        .with_hint("check that the address and the port are right and not blocked by a firewall, or allow more time with the time-out");
    Failure { step: Step::Timeout, error }
}

/// An answer that comes, but so slowly that it may never end.
pub fn too_slow(url: &Url) -> Error {
    Error::new(Kind::Unavailable, "the answer comes more slowly than 1 KiB a second")
        .with("url", redact::url(url))
        .with_hint("try again; if it stays so, look at the line and at what stands between here and the registry")
}

/// Finds out which step failed.
pub fn classify(error: &reqwest::Error, url: &Url) -> Failure {
    let chain = chain(error);
    let reason = Reason(chain.last().map(|cause| redact::text(&cause.to_string())).unwrap_or_default());
    let tls = chain.iter().find_map(|cause| cause.downcast_ref::<rustls::Error>());
    if let Some(ours) = chain.iter().find_map(|cause| cause.downcast_ref::<Error>()) {
        return Failure { step: Step::Resolve, error: ours.clone().with("url", redact::url(url)) };
    }
    let (step, message, hint) = if error.is_dns() {
        (
            Step::Resolve,
            "the name of the host does not resolve",
            "check the spelling of the host, the DNS of this machine and, behind a proxy, HTTPS_PROXY".to_owned(),
        )
    } else if let Some(tls) = tls {
        (Step::Tls, "the TLS connection was refused", tls_hint(tls).to_owned())
    } else if error.is_timeout() {
        (
            Step::Timeout,
            "no connection within the time-out",
            "check that the address and the port are right and not blocked by a firewall".to_owned(),
        )
    } else if error.is_connect() {
        let port = url.port_or_known_default().unwrap_or_default();
        let hint = format!("check that the host listens on port {port} and that no firewall or proxy is in the way");
        return Failure::new(Step::Connect, format!("cannot connect to port {port}"), hint, url, reason);
    } else if reason.0.contains("message head is too large") {
        let hint = "look at what the registry, or what stands in front of it, answers there: some hundred kilobytes of headers are read";
        (Step::Headers, "the headers of the answer are too long", hint.to_owned())
    } else if is_not_http(&reason.0) {
        let hint = if url.scheme() == "http" {
            "the port may speak https: leave out plain http"
        } else {
            "this is not an HTTP server: check the port"
        };
        (Step::Transfer, "the answer is not HTTP", hint.to_owned())
    } else {
        (
            Step::Transfer,
            "the connection broke",
            "try again; if it stays so, a proxy or the registry cuts connections".to_owned(),
        )
    };
    Failure::new(step, message, hint, url, reason)
}

/// The causes of an error, the outermost first, those inside `std::io::Error` included (which its `source` jumps over).
fn chain(error: &reqwest::Error) -> Vec<&(dyn StdError + 'static)> {
    let mut chain: Vec<&(dyn StdError + 'static)> = Vec::new();
    let mut next = StdError::source(error);
    while let Some(cause) = next {
        chain.push(cause);
        if chain.len() > 32 {
            break;
        }
        next = match cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    chain
}

fn tls_hint(error: &rustls::Error) -> &'static str {
    use rustls::{CertificateError, InvalidMessage};
    match error {
        _ if tls::is_own_authority(error) => {
            "the registry shows a certificate that is its own authority: give exactly that certificate (PEM) with `ca`"
        }
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the certificate is for another name: use the name that is in it"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the certificate has expired: renew it, or check the clock of this machine"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the certificate is not valid yet: check the clock of this machine"
            }
            CertificateError::Revoked => "the certificate was revoked",
            _ => {
                "the certificate is not signed by an authority that this machine trusts: give the CA certificate (PEM) with `ca`"
            }
        },
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the port does not speak TLS: use plain http, only if the network is trusted, or another port"
        }
        rustls::Error::AlertReceived(
            rustls::AlertDescription::CertificateRequired | rustls::AlertDescription::BadCertificate,
        ) => "the registry wants a client certificate: give `client_cert` and `client_key`",
        _ => "check the port, and that the registry speaks TLS 1.2 or 1.3",
    }
}

/// hyper's words for bytes that are not HTTP/1: its parse errors have no type that could be looked at.
fn is_not_http(reason: &str) -> bool {
    ["invalid HTTP version parsed", "invalid HTTP status-code parsed", "invalid HTTP header parsed"]
        .iter()
        .any(|known| reason.contains(known))
}
