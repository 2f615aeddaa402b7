//! One registry and one identity: answers challenges, and sends each secret only where it belongs.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use http::header::AUTHORIZATION;
use url::Url;
use zeroize::Zeroizing;

use super::address;
use super::challenge::{self, Challenge};
use super::client::{Client, Request, Response};
use super::redact;
use super::token::{Identity, Realm, Tokens};
use crate::context::Context;
use crate::error::{Error, Kind, Result};

/// The scope to list the repositories of a registry.
pub const CATALOG: &str = "registry:catalog:*";

/// The scope to pull from a repository.
pub fn pull(repository: &str) -> String {
    format!("repository:{repository}:pull")
}

/// A registry as one identity sees it. Cheap to clone; clones share tokens and connections.
#[derive(Clone, Debug)]
pub struct Session(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    base: Url,
    identity: Identity,
    /// How the registry wants to be answered, from its first challenge. It stays: a registry that changes its realm later gets nothing.
    way: Mutex<Option<Way>>,
    tokens: Tokens,
    /// One token is fetched at a time, so that many requests at once ask for one token together.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    Basic,
    Bearer(Realm),
}

impl Session {
    /// A session with the registry at `base`: scheme, host, port, and the path in front of `/v2/`.
    pub fn new(client: Client, base: Url, identity: Identity) -> Self {
        Self(Arc::new(Inner {
            client,
            base,
            identity,
            way: Mutex::default(),
            tokens: Tokens::default(),
            fetching: tokio::sync::Mutex::default(),
        }))
    }

    /// The client below.
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// The address of the registry.
    pub fn base(&self) -> &Url {
        &self.0.base
    }

    /// Who asks.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// An address of the registry: `path` behind `/v2/`, which has to be valid in a URL already.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for what makes no address.
    pub fn url(&self, path: &str) -> Result<Url> {
        let text = format!("{}/v2/{path}", self.0.base.as_str().trim_end_matches('/'));
        Url::parse(&text).map_err(|error| Error::new(Kind::InvalidInput, "this is not an address").because(error))
    }

    /// Sends a request to the registry and answers its challenges. The status is the caller's to look at, except 401.
    ///
    /// # Errors
    /// [`Kind::Unauthenticated`] and [`Kind::PermissionDenied`] when the registry wants other credentials, and those of [`Client::send`].
    pub async fn send(&self, request: &Request, scope: Option<&str>, context: &Context) -> Result<Response> {
        let mut scopes: BTreeSet<String> = scope.map(str::to_owned).into_iter().collect();
        let mut sent = self.known(&scopes);
        let mut fetched = false;
        loop {
            let mut request = request.clone();
            if let Some(value) = sent.header() {
                request = request.with(AUTHORIZATION, value)?;
            }
            let response = self.0.client.send(&request, context).await?;
            if response.status() != 401 {
                return Ok(response);
            }
            if !address::is_same_origin(response.url(), &self.0.base) {
                return Err(response
                    .refused(context)
                    .await
                    .with_hint("the registry redirects to a place that wants credentials of its own"));
            }
            let challenges = challenge::parse(response.headers("www-authenticate"));
            let url = response.url().clone();
            let refused = response.refused(context).await;
            let way = self.way(&challenges, &url)?;
            match (way, &sent) {
                (_, Sent::Bearer(_)) if matches!(self.0.identity, Identity::Bearer(_)) => {
                    return Err(refused.with_hint("the registry refuses the token: it may have expired"));
                }
                (Some(Way::Basic), Sent::Basic(_)) => return Err(refused),
                (Some(Way::Basic), _) => match self.0.identity.basic() {
                    Some(basic) => sent = Sent::Basic(basic),
                    None => return Err(refused.with_hint("this needs a user name and a password")),
                },
                (Some(Way::Bearer(realm)), _) => {
                    if let Sent::Bearer(token) = &sent {
                        self.0.tokens.forget(&realm, &scopes, token.strip_prefix("Bearer ").unwrap_or_default());
                    }
                    let before = scopes.len();
                    scopes.extend(
                        challenges
                            .iter()
                            .filter(|challenge| challenge.is_bearer())
                            .flat_map(Challenge::scopes)
                            .take(16)
                            .map(str::to_owned),
                    );
                    if fetched && scopes.len() == before {
                        return Err(self.denied(&refused));
                    }
                    if fetched && scopes.len() > 32 {
                        return Err(self.denied(&refused));
                    }
                    sent = Sent::Bearer(self.token(&realm, &scopes, context).await?);
                    fetched = true;
                }
                (None, _) => {
                    return Err(refused.with_hint("the registry does not say how to authenticate: check its address"));
                }
            }
        }
    }

    /// What is sent without being asked: nothing, before the registry has said what it wants.
    fn known(&self, scopes: &BTreeSet<String>) -> Sent {
        if let Identity::Bearer(token) = &self.0.identity {
            return Sent::Bearer(Zeroizing::new(format!("Bearer {}", token.as_str())));
        }
        let way = self.0.way.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match way {
            Some(Way::Basic) => self.0.identity.basic().map_or(Sent::Nothing, Sent::Basic),
            Some(Way::Bearer(realm)) => match self.0.tokens.find(&realm, scopes) {
                Some(token) => Sent::Bearer(bearer(&token)),
                None => Sent::Nothing,
            },
            None => Sent::Nothing,
        }
    }

    async fn token(&self, realm: &Realm, scopes: &BTreeSet<String>, context: &Context) -> Result<Zeroizing<String>> {
        let inner = &*self.0;
        let _alone = context.run(async { Ok(inner.fetching.lock().await) }).await?;
        if let Some(token) = inner.tokens.find(realm, scopes) {
            return Ok(bearer(&token));
        }
        let fetch = |scopes| inner.tokens.fetch(&inner.client, &inner.base, realm, scopes, &inner.identity, context);
        let token = match fetch(scopes).await {
            // Quay refuses the catalog's scope, and opens the catalog to a token without one.
            Err(error) if error.kind() == Kind::Unsupported && scopes.contains(CATALOG) => {
                fetch(&BTreeSet::new()).await?
            }
            done => done?,
        };
        Ok(bearer(&token))
    }

    /// How to answer: the way of the first challenge, as long as the registry offers none that contradicts it.
    fn way(&self, challenges: &[Challenge], url: &Url) -> Result<Option<Way>> {
        let bearer = challenges.iter().find(|challenge| challenge.is_bearer()).and_then(|challenge| {
            let realm = url.join(challenge.param("realm")?).ok()?;
            Some(Realm {
                url: realm,
                service: challenge.param("service").filter(|service| !service.is_empty()).map(str::to_owned),
            })
        });
        let offered = match bearer {
            Some(realm) => Some(Way::Bearer(realm)),
            None => challenges.iter().any(Challenge::is_basic).then_some(Way::Basic),
        };
        let mut way = self.0.way.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*way, offered) {
            (None, offered) => {
                way.clone_from(&offered);
                Ok(offered)
            }
            (Some(Way::Bearer(known)), Some(Way::Bearer(offered))) if *known != offered => {
                Err(Error::new(Kind::Unsupported, "the registry changed its token server")
                    .with("realm", redact::url(&offered.url))
                    .with_hint("open the registry again if this is right"))
            }
            // A refused `Authorization` gets a Basic challenge from Harbor, whose tokens work nevertheless.
            (Some(known), _) => Ok(Some(known.clone())),
        }
    }

    /// A fresh token was refused too.
    fn denied(&self, refused: &Error) -> Error {
        let (kind, message, hint) = match self.0.identity {
            Identity::Anonymous => (
                Kind::Unauthenticated,
                "this is not open to everybody",
                "give credentials that may pull from this repository",
            ),
            _ => (
                Kind::PermissionDenied,
                "the credentials do not allow this",
                "check the repository, the right to pull from it, and the password: some registries take a wrong one for nobody's",
            ),
        };
        Error::new(kind, message).with_hint(hint).because(refused.clone())
    }
}

fn bearer(token: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("Bearer {token}"))
}

/// The `Authorization` that a request carried.
enum Sent {
    Nothing,
    Basic(Zeroizing<String>),
    Bearer(Zeroizing<String>),
}

impl Sent {
    fn header(&self) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::Basic(value) | Self::Bearer(value) => Some(value),
        }
    }
}
