//! The token service (STS): a role is taken on with a key that is there already, or with the token of another identity provider.

use http::header::CONTENT_TYPE;
use jiff::{SignedDuration, Timestamp};
use url::Url;
use zeroize::Zeroizing;

use super::api::{PASSING, THROTTLING, is_skewed};
use super::endpoint::out_of_reach;
use super::keys::Keys;
use super::sign::{Scope, sign};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::net::client::{Client, Request};
use crate::net::redact;

/// The longest answer.
const MAX_ANSWER: u64 = 256 << 10;

/// A role, and what its owner asks for.
#[derive(Clone, Debug)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) external_id: Option<String>,
    pub(super) session_name: Option<String>,
    /// How long the key that comes shall hold, in seconds.
    pub(super) duration: Option<u32>,
}

/// The token service of a region.
#[derive(Debug)]
pub(super) struct Sts<'a> {
    pub(super) client: &'a Client,
    pub(super) url: &'a Url,
    pub(super) region: &'a str,
}

impl Sts<'_> {
    /// Takes on a role with a key.
    pub(super) async fn assume(&self, role: &Role, keys: &Keys, context: &Context) -> Result<Keys> {
        let external_id = role.external_id.as_deref().map(|id| ("ExternalId", id));
        let request = self.request("AssumeRole", role, external_id)?;
        let scope = Scope { region: self.region, service: "sts" };
        let signed = |skew: SignedDuration| {
            let now = Timestamp::now();
            sign(request.clone(), keys, scope, now.checked_add(skew).unwrap_or(now))
        };
        self.key(signed, role, "sts:AssumeRole", context).await
    }

    /// Takes on a role with a token of another identity provider. Nothing is signed.
    pub(super) async fn assume_with(&self, role: &Role, token: &str, context: &Context) -> Result<Keys> {
        let request = self.request("AssumeRoleWithWebIdentity", role, Some(("WebIdentityToken", token)))?;
        self.key(|_| Ok(request.clone()), role, "sts:AssumeRoleWithWebIdentity", context).await
    }

    /// Asks until there is an answer: what passes by itself is waited out, and a clock that is off is allowed for once.
    async fn key(
        &self,
        request: impl Fn(SignedDuration) -> Result<Request>,
        role: &Role,
        action: &str,
        context: &Context,
    ) -> Result<Keys> {
        let (mut skew, mut attempt) = (None, 1);
        loop {
            let request = request(skew.unwrap_or_default())?;
            match self.ask(&request, role, action, context).await? {
                Ok(keys) => return Ok(keys),
                Err(Refused { skew: Some(ahead), .. }) if skew.is_none() => skew = Some(ahead),
                Err(Refused { error, .. }) => {
                    self.client.retry().wait(error, None, attempt, context).await?;
                    attempt += 1;
                }
            }
        }
    }

    fn request(&self, action: &str, role: &Role, more: Option<(&str, &str)>) -> Result<Request> {
        let name = role.session_name.as_deref().unwrap_or("tidewaiter");
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        if !(2..=64).contains(&name.len()) || !name.chars().all(is_name) {
            return Err(Error::new(Kind::InvalidInput, "this cannot be the name of a session of a role")
                .with("field", "role_session_name")
                .with_hint("2 to 64 letters, digits and _+=,.@-"));
        }
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", "2011-06-15");
        form.append_pair("RoleArn", &role.arn).append_pair("RoleSessionName", name);
        if let Some(duration) = role.duration {
            form.append_pair("DurationSeconds", &duration.to_string());
        }
        if let Some((name, value)) = more {
            form.append_pair(name, value);
        }
        Request::post(self.url.clone(), form.finish())
            .with(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
    }

    async fn ask(
        &self,
        request: &Request,
        role: &Role,
        action: &str,
        context: &Context,
    ) -> Result<Result<Keys, Refused>> {
        let sent = self.client.send(request, context).await;
        let response = sent.map_err(|error| out_of_reach(error, self.region))?;
        let (status, skew) = (response.status(), response.clock_ahead());
        let body = Zeroizing::new(Vec::from(response.bytes(MAX_ANSWER, context).await?));
        let text = String::from_utf8_lossy(&body);
        let text = Zeroizing::new(text.into_owned());
        let about = |error: Error| {
            error.with("action", action).with("role", redact::text(&role.arn)).with("url", redact::url(&request.url))
        };
        if status != 200 {
            let code = element(&text, "Code").unwrap_or_default();
            let message = element(&text, "Message").unwrap_or_default();
            let error = about(refused(&code, &message));
            return Ok(Err(Refused { error, skew: skew.filter(|_| is_skewed(&code, &message)) }));
        }
        let keys = (|| {
            Some(Keys {
                id: element(&text, "AccessKeyId")?.to_string(),
                secret: element(&text, "SecretAccessKey")?,
                token: Some(element(&text, "SessionToken")?),
                expires: Some(element(&text, "Expiration")?.parse().ok()?),
            })
        })();
        let wrong = || about(Error::new(Kind::Corrupt, "the token service answers with something that is no key"));
        keys.map(Ok).ok_or_else(wrong)
    }
}

/// Why there is no key, and by how much the clock of the service is before ours where that is why.
struct Refused {
    error: Error,
    skew: Option<SignedDuration>,
}

/// Why a role is not given.
fn refused(code: &str, message: &str) -> Error {
    let (kind, hint) = match code {
        "AccessDenied" | "AccessDeniedException" => (
            Kind::PermissionDenied,
            "the role's trust policy must name this identity, with the external id if it asks for one",
        ),
        "InvalidClientTokenId" | "SignatureDoesNotMatch" | "IncompleteSignature" | "InvalidAccessKeyId" => (
            Kind::Unauthenticated,
            "check the access key, that it belongs to the same partition as the region, and the clock of this machine",
        ),
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            (Kind::Unauthenticated, "log in again, or check the clock of this machine")
        }
        "InvalidIdentityToken" | "IDPRejectedClaim" => {
            (Kind::Unauthenticated, "check the token file, its audience and the role's trust policy")
        }
        "RegionDisabledException" => (Kind::PermissionDenied, "the region is not enabled for this account"),
        "IDPCommunicationError" => (Kind::Unavailable, "try again later"),
        code if THROTTLING.contains(&code) => (Kind::RateLimited, "try again later, with fewer of these at once"),
        code if PASSING.contains(&code) => (Kind::Unavailable, "try again later"),
        _ => (Kind::Unauthenticated, "check the role and the identity that takes it on"),
    };
    let error = Error::new(kind, "the role is not given").with("code", redact::text(code)).with_hint(hint);
    // What is said about a signature repeats what was signed, the session token too.
    match message {
        message if message.is_empty() || code.contains("Signature") => error,
        message => error.with("answer", redact::text(message)),
    }
}

/// The text of the first element of that name.
fn element(xml: &str, name: &str) -> Option<Zeroizing<String>> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = Zeroizing::new(text.trim().to_owned());
    if !text.contains('&') {
        return Some(text);
    }
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    Some(entities.iter().fold(text, |text, (entity, character)| Zeroizing::new(text.replace(entity, character))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn elements_are_found() {
        let text = |xml| element(xml, "Code").map(|text| text.to_string());
        assert_eq!(text("<E><Code> AccessDenied\n</Code><Code>x</Code></E>").as_deref(), Some("AccessDenied"));
        assert_eq!(text("<Code>a&lt;b&amp;lt;</Code>").as_deref(), Some("a<b&lt;"));
        assert_eq!(text("<Code>"), None);
        assert_eq!(text("</Code><Code>"), None);
    }

    proptest! {
        #[test]
        fn takes_anything(text in "(<Code>|</Code>|&amp;|.)*") {
            element(&text, "Code");
        }
    }
}
