//! From a refused request to an error: the status decides the kind, the body says why (OCI distribution specification 1.1, "Error Codes").

use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::redact;
use crate::error::{Error, Kind};

/// How much of the body of an error is read.
pub const MAX_BODY: usize = 64 << 10;

/// The code and the message of an error body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reason {
    /// The code, such as `MANIFEST_UNKNOWN`; empty where there is none.
    pub code: String,
    /// The message, one line of at most 256 characters.
    pub message: String,
}

impl Reason {
    /// Reads the body of an error: the OCI shape, the other JSON shapes that products answer with, else the text.
    pub fn read(body: &[u8]) -> Self {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Body {
            errors: Vec<Entry>,
            message: Option<String>,
            details: Option<serde_json::Value>,
            detail: Option<String>,
            error: Option<serde_json::Value>,
        }
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Entry {
            code: serde_json::Value,
            message: Option<String>,
        }
        if let Ok(body) = serde_json::from_slice::<Body>(body) {
            if let Some(first) = body.errors.into_iter().next() {
                let code = first.code.as_str().map(redact::text).unwrap_or_default();
                return Self { code, message: redact::text(&first.message.unwrap_or_default()) };
            }
            let text = |value: Option<serde_json::Value>| {
                value.as_ref().and_then(serde_json::Value::as_str).map(str::to_owned)
            };
            let message = body.message.or(body.detail).or_else(|| text(body.details)).or_else(|| text(body.error));
            return Self { code: String::new(), message: redact::text(&message.unwrap_or_default()) };
        }
        let text = String::from_utf8_lossy(body);
        let is_page = text.trim_start().starts_with('<');
        Self { code: String::new(), message: if is_page { "a web page".to_owned() } else { redact::text(&text) } }
    }
}

/// Whether the body of a refusal says that a token or a session has expired: "Your authorization token has expired" (ECR).
pub fn says_expired(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    text.contains("expired") && (text.contains("token") || text.contains("authorization"))
}

/// The error of a status that is not a success.
pub fn refused(status: u16, url: &Url, reason: &Reason, retry_after: Option<Duration>) -> Error {
    let (kind, message, hint) = match status {
        401 => (
            Kind::Unauthenticated,
            "the registry wants other credentials",
            "check the user name and the password or token",
        ),
        // With a delay it is a limit, in GitHub's dialect.
        403 if retry_after.is_some() => {
            (Kind::RateLimited, "too many requests", "wait, or use credentials with a higher limit")
        }
        403 => (
            Kind::PermissionDenied,
            "the credentials do not allow this",
            "ask for the right to pull, or use other credentials",
        ),
        // We set no conditions: it is one of the registry's own (Harbor).
        412 => (
            Kind::PermissionDenied,
            "a policy of the registry withholds this",
            "look into the policies of its project: an image may have to be signed, or to be without known vulnerabilities",
        ),
        404 | 410 => (
            Kind::NotFound,
            "there is no such thing",
            "check the spelling; some registries answer so for what the credentials may not see",
        ),
        407 => (
            Kind::Unauthenticated,
            "the proxy wants credentials",
            "put user and password into the address of the proxy",
        ),
        429 => (Kind::RateLimited, "too many requests", "wait, or use credentials with a higher limit"),
        408 | 500.. => (
            Kind::Unavailable,
            "the registry cannot answer now",
            "try again later; if it stays so, look into the log of the registry",
        ),
        300..400 => {
            (Kind::Unsupported, "the registry redirects in a way that is not followed", "use the final address")
        }
        400 if reason.message.contains("HTTP request to an HTTPS server")
            || reason.message.contains("plain HTTP request was sent to HTTPS port") =>
        {
            (Kind::Unavailable, "the port speaks https", "leave out plain http")
        }
        _ => (
            Kind::Unsupported,
            "the registry refuses the request",
            "check that the address is that of a registry (OCI distribution, Docker V2)",
        ),
    };
    let mut error = Error::new(kind, message).with("status", status).with("url", redact::url(url)).with_hint(hint);
    if !reason.code.is_empty() {
        error = error.with("code", &reason.code);
    }
    if !reason.message.is_empty() {
        error = error.with("answer", &reason.message);
    }
    match retry_after {
        Some(delay) => error.with_retry_after(delay),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn reads_every_shape() {
        for (body, code, message) in [
            (r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry","detail":{"name":"none"}}]}"#, "NAME_UNKNOWN", "repository name not known to registry"),
            (r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"m","detail":[1]}]}"#, "MANIFEST_UNKNOWN", "m"),
            (r#"{"errors":[{"code":"DENIED","detail":"text"}]}"#, "DENIED", ""),
            (r#"{"errors":[{"status":404,"message":"Not found"}]}"#, "", "Not found"),
            (r#"{"details":"incorrect username or password"}"#, "", "incorrect username or password"),
            (r#"{"message":"404 Project Not Found"}"#, "", "404 Project Not Found"),
            (r#"{"detail":"gone","title":"not_found"}"#, "", "gone"),
            ("404 page not found\n", "", "404 page not found"),
            ("<!DOCTYPE html><html>", "", "a web page"),
            ("", "", ""),
        ] {
            assert_eq!(Reason::read(body.as_bytes()), Reason { code: code.into(), message: message.into() }, "{body}");
        }
    }

    #[test]
    fn the_status_decides_the_kind() {
        let url = Url::parse("https://r.example/v2/?secret=1").unwrap();
        for (status, kind) in [
            (401, Kind::Unauthenticated),
            (403, Kind::PermissionDenied),
            (404, Kind::NotFound),
            (412, Kind::PermissionDenied),
            (429, Kind::RateLimited),
            (503, Kind::Unavailable),
            (400, Kind::Unsupported),
        ] {
            let error = refused(status, &url, &Reason::default(), None);
            assert_eq!(error.kind(), kind, "{status}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
