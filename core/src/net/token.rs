//! Bearer tokens: asked for at the realm that a registry names, kept until shortly before they expire.
//!
//! Source: the token specification of distribution (`spec/auth/token.md`, `spec/auth/oauth.md`).

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use url::Url;
use zeroize::Zeroizing;

use super::client::{Client, Request, Response};
use super::identity::Identity;
use super::redact;
use crate::context::Context;
use crate::error::{Error, Kind, Result};

/// The longest answer of a token server.
const MAX_ANSWER: u64 = 1 << 20;
/// What a token lives at least, and where its server says nothing (token specification, `expires_in`).
const MIN_LIFE: Duration = Duration::from_secs(60);
/// What it is trusted to live at the most.
const MAX_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long before its end it is renewed.
const EARLY: Duration = Duration::from_secs(10);
/// How many tokens are kept.
const MAX_TOKENS: usize = 1024;

/// The scope to list the repositories of a registry.
pub const CATALOG: &str = "registry:catalog:*";

/// The scope to pull from a repository.
pub fn pull(repository: &str) -> String {
    format!("repository:{repository}:pull")
}

/// Where tokens come from: the realm, and the service that it knows the registry by.
#[derive(Clone, PartialEq, Eq)]
pub struct Realm {
    /// The address.
    pub url: Url,
    /// The service; not every registry names one.
    pub service: Option<String>,
}

impl std::fmt::Debug for Realm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Realm").field("url", &redact::url(&self.url)).field("service", &self.service).finish()
    }
}

impl Realm {
    /// Whether credentials may go there, seen from the registry that named it.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for http where the registry itself is not, and for a private address that a public registry names;
    /// [`Kind::Canceled`].
    pub async fn check(&self, registry: &Url, client: &Client, context: &Context) -> Result<()> {
        let refuse = |message: &'static str, hint: &'static str| {
            Err(Error::new(Kind::Unsupported, message)
                .with("realm", redact::url(&self.url))
                .with("registry", redact::url(registry))
                .with_hint(hint))
        };
        match self.url.scheme() {
            "https" => {}
            "http" if registry.scheme() == "http" => {}
            "http" => {
                return refuse(
                    "the registry wants the credentials to be sent over plain http, which it is not itself",
                    "the token server of the registry must speak https",
                );
            }
            _ => {
                return refuse(
                    "the registry names a token server that is no http address",
                    "check the configuration of the registry",
                );
            }
        }
        if !client.may_lead(registry, &self.url, context).await? {
            return refuse(
                "the registry names a token server at a private address",
                "a registry on the internet must have its token server there too, unless `private_addresses` is set in its definition",
            );
        }
        Ok(())
    }
}

/// A token and when it is to be renewed.
#[derive(Clone)]
pub(crate) struct Token {
    value: Zeroizing<String>,
    until: Instant,
}

/// A token that is kept: where it is from, and who asked for it, which may be somebody else now.
struct Kept {
    realm: Realm,
    identity: Identity,
    token: Token,
}

/// The tokens of a session, by their scopes. `Debug` shows no token.
#[derive(Default)]
pub struct Tokens {
    kept: Mutex<HashMap<BTreeSet<String>, Kept>>,
    /// Whether it is known that a token without a name says nothing here. Held while that is asked, which is done once.
    are_nameless: tokio::sync::Mutex<bool>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

impl Tokens {
    /// A token of `identity` that is still good.
    pub fn find(&self, realm: &Realm, scopes: &BTreeSet<String>, identity: &Identity) -> Option<Zeroizing<String>> {
        let tokens = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = tokens.get(scopes).filter(|kept| kept.realm == *realm && kept.identity == *identity)?;
        (Instant::now() < kept.token.until).then(|| kept.token.value.clone())
    }

    /// Forgets a token that was refused, unless another one took its place meanwhile.
    pub fn forget(&self, realm: &Realm, scopes: &BTreeSet<String>, refused: &str) {
        let mut tokens = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.get(scopes).is_some_and(|kept| kept.realm == *realm && kept.token.value.as_str() == refused) {
            tokens.remove(scopes);
        }
    }

    /// Forgets all, since they were given to somebody else.
    pub fn clear(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Asks the realm for a token, and keeps it.
    ///
    /// What a server does not know it is not asked for again: its own name where a challenge leaves that out (Google's wants the
    /// host), and scopes where who asks is what counts (Quay opens its catalog to a token without one).
    ///
    /// # Errors
    /// [`Kind::Unauthenticated`] when the token server refuses the credentials, or takes them for nobody's;
    /// [`Kind::PermissionDenied`] for scopes that it gives no token for; and the errors of [`Realm::check`] and [`Client::send`].
    pub async fn fetch(
        &self,
        client: &Client,
        registry: &Url,
        realm: &Realm,
        scopes: &BTreeSet<String>,
        identity: &Identity,
        context: &Context,
    ) -> Result<Zeroizing<String>> {
        realm.check(registry, client, context).await?;
        let is_unknown = |answer: &Result<_>| matches!(answer, Err(error) if error.kind() == Kind::Unsupported);
        let (mut server, mut asked) = (realm.clone(), scopes.clone());
        let mut answer = ask(client, &server, &asked, identity, context).await;
        if is_unknown(&answer) && server.service.is_none() {
            server.service = registry.host_str().map(|host| match registry.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.to_owned(),
            });
            answer = Box::pin(ask(client, &server, &asked, identity, context)).await;
        }
        let is_who_counts = *identity != Identity::Anonymous || asked.contains(CATALOG);
        if is_unknown(&answer) && !asked.is_empty() && is_who_counts {
            asked.clear();
            server = realm.clone();
            answer = Box::pin(ask(client, &server, &asked, identity, context)).await;
        }
        let (token, shown) = answer?;
        let is_somebody = matches!(&shown, Identity::Basic { username, .. } if !username.is_empty());
        if is_somebody && !asked.is_empty() && names_nobody(&token.value) {
            // Rare, so that it need not lie in every future above.
            Box::pin(self.prove(client, &server, &shown, context)).await?;
        }
        let value = token.value.clone();
        let mut tokens = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MAX_TOKENS {
            let now = Instant::now();
            tokens.retain(|_, kept| now < kept.token.until);
            if tokens.len() >= MAX_TOKENS {
                tokens.clear();
            }
        }
        tokens.insert(scopes.clone(), Kept { realm: realm.clone(), identity: identity.clone(), token });
        Ok(value)
    }

    /// That a token without a name in it is not nobody's: Harbor takes a wrong password for nobody's where a scope is asked for, and
    /// the public part would pass for everything. Without a scope, as `docker login` asks, it refuses. Other servers name nobody
    /// whose account is no user's (the deploy tokens of GitLab), and know the password nevertheless.
    async fn prove(&self, client: &Client, realm: &Realm, identity: &Identity, context: &Context) -> Result<()> {
        let mut are_nameless = context.run(async { Ok(self.are_nameless.lock().await) }).await?;
        if *are_nameless {
            return Ok(());
        }
        let response = client.send(&by_get(realm, &BTreeSet::new(), identity)?, context).await?;
        match taken(realm, &BTreeSet::new(), identity, response, context).await {
            Ok(token) => *are_nameless = names_nobody(&token.value),
            // It wants a scope always, which says nothing about the password, today or for the next token.
            Err(error) if matches!(error.kind(), Kind::Unsupported | Kind::NotFound) => {
                *are_nameless = true;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Asks once, and says as whom: not every server has the POST for an identity token. All have the GET, where it stands behind the
/// name that docker gives it.
async fn ask(
    client: &Client,
    realm: &Realm,
    scopes: &BTreeSet<String>,
    identity: &Identity,
    context: &Context,
) -> Result<(Token, Identity)> {
    let Identity::Refresh(token) = identity else {
        let response = client.send(&by_get(realm, scopes, identity)?, context).await?;
        return Ok((taken(realm, scopes, identity, response, context).await?, identity.clone()));
    };
    let response = client.send(&by_post(realm, scopes, token)?, context).await?;
    let status = response.status();
    let refused = match taken(realm, scopes, identity, response, context).await {
        // Some say with the last two that they have no POST.
        Err(refused) if matches!(status, 404 | 405 | 400 | 401) => refused,
        done => return Ok((done?, identity.clone())),
    };
    let shown = Identity::Basic { username: "<token>".to_owned(), password: token.clone() };
    let response = client.send(&by_get(realm, scopes, &shown)?, context).await?;
    match taken(realm, scopes, identity, response, context).await {
        Err(error) if matches!(status, 400 | 401) && error.kind() != Kind::Canceled => Err(refused),
        done => Ok((done?, shown)),
    }
}

/// The token that an answer brings.
async fn taken(
    realm: &Realm,
    scopes: &BTreeSet<String>,
    identity: &Identity,
    response: Response,
    context: &Context,
) -> Result<Token> {
    let answer = match response.status() {
        200..300 => Zeroizing::new(Vec::from(response.bytes(MAX_ANSWER, context).await?)),
        // GitHub's refuses so what is not there, what is not allowed, and a wrong password too.
        403 if !scopes.is_empty() => {
            let (kind, hint) = match identity {
                Identity::Anonymous => (
                    Kind::Unauthenticated,
                    "check the spelling of the repository, or give credentials that may pull from it",
                ),
                _ => (
                    Kind::PermissionDenied,
                    "check the spelling of the repository, the right to pull from it, and the password or token",
                ),
            };
            let refused = response.refused(context).await;
            return Err(Error::new(kind, "the token server gives no token for this: it is not there, or not allowed")
                .with("realm", redact::url(&realm.url))
                .with_hint(hint)
                .because(refused));
        }
        401 | 403 => {
            let hint = match identity {
                Identity::Anonymous => "this needs credentials: give a user name and a password or token",
                _ => "check the user name and the password or token",
            };
            let refused = response.refused(context).await;
            return Err(Error::new(Kind::Unauthenticated, "the token server refuses the credentials")
                .with("realm", redact::url(&realm.url))
                .with_hint(hint)
                .because(refused));
        }
        _ => return Err(response.refused(context).await.with("realm", redact::url(&realm.url))),
    };
    read(&answer).ok_or_else(|| {
        Error::new(Kind::Corrupt, "the token server sends no token")
            .with("realm", redact::url(&realm.url))
            .with_hint("check that the address of the registry is right")
    })
}

fn by_get(realm: &Realm, scopes: &BTreeSet<String>, identity: &Identity) -> Result<Request> {
    let mut url = realm.url.clone();
    {
        let mut query = url.query_pairs_mut();
        if let Some(service) = &realm.service {
            query.append_pair("service", service);
        }
        for scope in scopes {
            query.append_pair("scope", scope);
        }
    }
    if url.query() == Some("") {
        url.set_query(None);
    }
    let request = Request::get(url).with(ACCEPT, "application/json")?;
    match identity.basic() {
        Some(basic) => request.with(AUTHORIZATION, &basic),
        None => Ok(request),
    }
}

fn by_post(realm: &Realm, scopes: &BTreeSet<String>, refresh: &str) -> Result<Request> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token")
        .append_pair("client_id", "tidewaiter")
        .append_pair("refresh_token", refresh);
    if let Some(service) = &realm.service {
        form.append_pair("service", service);
    }
    form.append_pair("scope", &scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" "));
    Request::post(realm.url.clone(), form.finish())
        .with(ACCEPT, "application/json")?
        .with(CONTENT_TYPE, "application/x-www-form-urlencoded")
}

/// Reads the answer of a token server: `token` or `access_token`, whichever holds something.
pub(crate) fn read(answer: &[u8]) -> Option<Token> {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Answer {
        token: Option<Zeroizing<String>>,
        access_token: Option<Zeroizing<String>>,
        expires_in: Option<f64>,
    }
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    let value = [answer.token, answer.access_token].into_iter().flatten().find(|token| !token.is_empty())?;
    if value.bytes().any(|byte| !(0x21..0x7f).contains(&byte)) {
        return None;
    }
    let life = match answer.expires_in {
        Some(seconds) => Duration::try_from_secs_f64(seconds).unwrap_or_default(),
        None => expiry(&value).unwrap_or_default(),
    };
    Some(Token { until: Instant::now() + life.clamp(MIN_LIFE, MAX_LIFE) - EARLY, value })
}

/// What a JWT says about its end. It is not verified: it only decides when we ask again.
pub fn expiry(token: &str) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    let Claims { exp } = claims(token)?;
    u64::try_from(exp.checked_sub(jiff::Timestamp::now().as_second())?).ok().map(Duration::from_secs)
}

/// Whether a token of distribution says that it is nobody's: its subject "should be empty if the client did not authenticate"
/// (`spec/auth/jwt.md`). Tokens of other shapes say nothing.
fn names_nobody(token: &str) -> bool {
    #[derive(Deserialize)]
    struct Claims {
        sub: Option<String>,
        #[serde(rename = "access")]
        _access: IgnoredAny,
    }
    claims(token).is_some_and(|Claims { sub, .. }| sub.is_none_or(|sub| sub.is_empty()))
}

fn claims<T: DeserializeOwned>(token: &str) -> Option<T> {
    serde_json::from_slice(&decode_base64(token.split('.').nth(1)?)?).ok()
}

/// Base64 in either alphabet, with or without its padding, as docker's configuration and JWTs have it.
pub fn decode_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    [STANDARD, URL_SAFE]
        .into_iter()
        .find_map(|alphabet| GeneralPurpose::new(&alphabet, config).decode(text.trim()).ok())
        .map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::client::Options;

    fn realm(url: &str) -> Realm {
        Realm { url: Url::parse(url).unwrap(), service: Some("svc".into()) }
    }

    #[test]
    fn takes_the_token_that_is_not_empty() {
        for (answer, expected) in [
            (r#"{"token":"a"}"#, Some("a")),
            (r#"{"access_token":"b"}"#, Some("b")),
            (r#"{"token":"a","access_token":""}"#, Some("a")),
            (r#"{"token":"","access_token":"b","expires_in":1}"#, Some("b")),
            (r#"{"token":null}"#, None),
            (r#"{"token":"a\nX: y"}"#, None),
            ("<html>", None),
        ] {
            assert_eq!(read(answer.as_bytes()).map(|token| token.value.to_string()).as_deref(), expected, "{answer}");
        }
    }

    #[test]
    fn lives_as_long_as_the_server_or_the_token_says() {
        let left =
            |answer: &str| read(answer.as_bytes()).unwrap().until.duration_since(Instant::now()).as_secs_f64().round();
        assert_eq!(left(r#"{"token":"a","expires_in":300}"#), 290.0);
        assert_eq!(left(r#"{"token":"a","expires_in":1}"#), 50.0);
        assert_eq!(left(r#"{"token":"a"}"#), 50.0);
        assert_eq!(left(r#"{"token":"a","expires_in":1e300}"#), 50.0);
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .encode(format!("{{\"exp\":{}}}", jiff::Timestamp::now().as_second() + 3600));
        assert!((3580.0..=3590.0).contains(&left(&format!("{{\"token\":\"h.{claims}.s\"}}"))));
    }

    #[test]
    fn a_token_says_whether_it_is_somebodys() {
        for (claims, expected) in [
            (r#"{"sub":"guest","access":null}"#, false),
            (r#"{"sub":"","access":[]}"#, true),
            (r#"{"sub":null,"access":[]}"#, true),
            (r#"{"access":[]}"#, true),
            (r#"{"exp":7}"#, false),
            (r#"{"sub":7,"access":[]}"#, false),
            ("no JSON", false),
        ] {
            let token = format!("h.{}.s", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims));
            assert_eq!(names_nobody(&token), expected, "{claims}");
        }
        assert!(!names_nobody("opaque") && !names_nobody("a..b"));
    }

    #[tokio::test]
    async fn credentials_go_to_safe_realms_only() {
        for (registry, named, allowed) in [
            ("https://r.example/", "https://r.example/token", true),
            ("https://r.example/", "https://auth.example/token", true),
            ("https://r.example/", "http://r.example/token", false),
            ("https://8.8.8.8/", "https://169.254.169.254/token", false),
            ("https://10.0.0.1/", "https://10.0.0.1:8443/token", true),
            ("http://127.0.0.1:5000/", "http://127.0.0.1:5001/token", true),
            ("http://127.0.0.1:5000/", "http://10.0.0.1/token", true),
            ("https://r.example/", "ftp://r.example/token", false),
        ] {
            let client = Client::new(&Options::default()).unwrap();
            let checked = realm(named).check(&Url::parse(registry).unwrap(), &client, &Context::new()).await;
            assert_eq!(checked.is_ok(), allowed, "{registry} {named}");
        }
        // As the user says.
        let client = Client::new(&Options { private_addresses: true, ..Options::default() }).unwrap();
        let registry = Url::parse("https://8.8.8.8/").unwrap();
        realm("https://10.0.0.1/token").check(&registry, &client, &Context::new()).await.unwrap();
        assert!(realm("http://10.0.0.1/token").check(&registry, &client, &Context::new()).await.is_err());
    }

    #[test]
    fn keeps_the_query_of_the_realm() {
        let request = by_get(
            &realm("https://a/t?x=1"),
            &BTreeSet::from(["repository:a/b:pull".to_owned()]),
            &Identity::Anonymous,
        )
        .unwrap();
        assert_eq!(request.url.as_str(), "https://a/t?x=1&service=svc&scope=repository%3Aa%2Fb%3Apull");
        assert!(!request.headers.contains_key(AUTHORIZATION));
    }

    #[test]
    fn base64_comes_with_and_without_padding() {
        for text in ["YTpi", "YTpiYw==", "YTpiYw", "_-8=", "/+8"] {
            assert!(decode_base64(text).is_some(), "{text}");
        }
        assert!(decode_base64("!!").is_none());
    }
}
