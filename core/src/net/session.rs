//! One registry and one identity: answers challenges, and sends each secret only where it belongs.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::header::AUTHORIZATION;
use url::Url;
use zeroize::Zeroizing;

use super::address;
use super::challenge::{self, Challenge};
use super::client::{Client, Request, Response};
use super::identity::{Identity, IdentitySource, Issued};
use super::redact;
use super::token::{Realm, Tokens};
use crate::context::Context;
use crate::error::{Error, Kind, Result};

/// How long an identity that was refused, and was still the same or refused again after it was looked up anew, is left alone.
const REST: Duration = Duration::from_secs(60);

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
    source: Arc<dyn IdentitySource>,
    current: tokio::sync::Mutex<Current>,
    /// How the registry wants to be answered, from its first challenge. It stays: a registry that changes its realm later gets nothing.
    way: Mutex<Option<Way>>,
    tokens: Tokens,
    /// One token for the same scopes is fetched at a time, so that many requests at once ask for one token together.
    fetching: Mutex<HashMap<BTreeSet<String>, Arc<tokio::sync::Mutex<()>>>>,
}

/// Who we are now.
#[derive(Debug, Default)]
struct Current {
    issued: Option<Issued>,
    /// When looking it up anew did not help.
    in_vain: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    Basic,
    Bearer(Realm),
}

impl Session {
    /// A session with the registry at `base`: scheme, host, port, and the path in front of `/v2/`.
    pub fn new(client: Client, base: Url, source: Arc<dyn IdentitySource>) -> Self {
        Self(Arc::new(Inner {
            client,
            base,
            source,
            current: tokio::sync::Mutex::default(),
            way: Mutex::default(),
            tokens: Tokens::default(),
            fetching: Mutex::default(),
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

    /// Who asks, looked up where that was not done yet or has ended.
    ///
    /// # Errors
    /// Those of the source.
    pub async fn identity(&self, context: &Context) -> Result<Identity> {
        let mut current = self.current(context).await?;
        if let Some(issued) = &current.issued
            && issued.until.is_none_or(|until| Instant::now() < until)
        {
            return Ok(issued.identity.clone());
        }
        let issued = context.run(self.0.source.identity(context)).await?;
        if current.issued.as_ref().is_some_and(|before| before.identity != issued.identity) {
            self.0.tokens.clear();
        }
        let identity = issued.identity.clone();
        current.issued = Some(issued);
        Ok(identity)
    }

    async fn current(&self, context: &Context) -> Result<tokio::sync::MutexGuard<'_, Current>> {
        match self.0.current.try_lock() {
            Ok(current) => Ok(current),
            Err(_) => context.run(async { Ok(self.0.current.lock().await) }).await,
        }
    }

    /// An address of the registry: path and query behind `/v2/`, which have to be valid in a URL already.
    pub fn url(&self, path: &str) -> Url {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let mut url = self.0.base.clone();
        url.set_path(&format!("{}/v2/{path}", url.path().trim_end_matches('/')));
        url.set_query(query);
        url
    }

    /// Sends a request to the registry and answers its challenges. The status is the caller's to look at, except 401.
    ///
    /// What is refused is looked up once more: a password may have been changed, a token of a cloud has ended. Some registries
    /// say so with 403 (ECR) or 400 (ECR Public).
    ///
    /// # Errors
    /// [`Kind::Unauthenticated`] and [`Kind::PermissionDenied`] when the registry wants other credentials, and those of [`Client::send`].
    pub async fn send(&self, request: &Request, scope: Option<&str>, context: &Context) -> Result<Response> {
        let identity = self.identity(context).await?;
        let refused = match self.send_as(&identity, request, scope, context).await {
            Ok(mut response) => {
                if !response.says_expired(context).await? {
                    return Ok(response);
                }
                // The answer ends here: it counts against the limit of its host, and the identity may be looked up there.
                Ok(())
            }
            Err(error) if matches!(error.kind(), Kind::Unauthenticated | Kind::PermissionDenied) => Err(error),
            Err(error) => return Err(error),
        };
        // From here on it is rare, so that it need not lie in the future of every request.
        let renewed = Box::pin(self.renewed(&identity, context)).await?;
        let identity = match renewed {
            Some(identity) => identity,
            None => {
                refused?;
                identity
            }
        };
        self.0.tokens.clear();
        let again = Box::pin(self.send_as(&identity, request, scope, context)).await;
        if again.is_err() {
            self.0.current.lock().await.in_vain = Some(Instant::now());
        }
        again
    }

    /// Looks the identity up again, since `refused` was; none where that does not help.
    ///
    /// # Errors
    /// [`Kind::Canceled`].
    pub async fn renewed(&self, refused: &Identity, context: &Context) -> Result<Option<Identity>> {
        let mut current = self.current(context).await?;
        if let Some(issued) = &current.issued
            && issued.identity != *refused
        {
            return Ok(Some(issued.identity.clone()));
        }
        if current.in_vain.is_some_and(|since| since.elapsed() < REST) {
            return Ok(None);
        }
        match context.run(self.0.source.identity(context)).await {
            Ok(issued) if issued.identity != *refused => {
                let identity = issued.identity.clone();
                current.issued = Some(issued);
                Ok(Some(identity))
            }
            Err(error) if error.kind() == Kind::Canceled => Err(error),
            // That it is refused says more than that it cannot be looked up now.
            Ok(_) | Err(_) => {
                current.in_vain = Some(Instant::now());
                Ok(None)
            }
        }
    }

    async fn send_as(
        &self,
        identity: &Identity,
        request: &Request,
        scope: Option<&str>,
        context: &Context,
    ) -> Result<Response> {
        let mut scopes: BTreeSet<String> = scope.map(str::to_owned).into_iter().collect();
        let mut sent = self.known(identity, &scopes);
        let mut fetched = false;
        // The registry has named its token server before, and would only name it again.
        if matches!(sent, Sent::Nothing)
            && !scopes.is_empty()
            && let Some(realm) = self.realm()
        {
            match Box::pin(self.token(&realm, &scopes, identity, context)).await {
                Ok(token) => (sent, fetched) = (Sent::Bearer(token), true),
                // It does not know the scope that we think of: what it wants is for a challenge to say.
                Err(error) if matches!(error.kind(), Kind::Unsupported | Kind::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        loop {
            let request = match sent.header() {
                Some(value) => Cow::Owned(request.clone().with(AUTHORIZATION, value)?),
                None => Cow::Borrowed(request),
            };
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
                (_, Sent::Bearer(_)) if matches!(identity, Identity::Bearer(_)) => {
                    return Err(refused.with_hint("the registry refuses the token: it may have expired"));
                }
                (Some(Way::Basic), Sent::Basic(_)) => return Err(refused),
                (Some(Way::Basic), _) => match identity.basic() {
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
                    if fetched && (scopes.len() == before || scopes.len() > 32) {
                        return Err(denied(identity, &refused));
                    }
                    sent = Sent::Bearer(Box::pin(self.token(&realm, &scopes, identity, context)).await?);
                    fetched = true;
                }
                (None, _) => {
                    return Err(refused.with_hint("the registry does not say how to authenticate: check its address"));
                }
            }
        }
    }

    /// What is sent without being asked: nothing, before the registry has said what it wants.
    fn known(&self, identity: &Identity, scopes: &BTreeSet<String>) -> Sent {
        if let Identity::Bearer(token) = identity {
            return Sent::Bearer(Zeroizing::new(format!("Bearer {}", token.as_str())));
        }
        match &*self.0.way.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(Way::Basic) => identity.basic().map_or(Sent::Nothing, Sent::Basic),
            Some(Way::Bearer(realm)) => match self.0.tokens.find(realm, scopes) {
                Some(token) => Sent::Bearer(bearer(&token)),
                None => Sent::Nothing,
            },
            None => Sent::Nothing,
        }
    }

    /// The token server, once it is known that there is one.
    fn realm(&self) -> Option<Realm> {
        match &*self.0.way.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(Way::Bearer(realm)) => Some(realm.clone()),
            _ => None,
        }
    }

    async fn token(
        &self,
        realm: &Realm,
        scopes: &BTreeSet<String>,
        identity: &Identity,
        context: &Context,
    ) -> Result<Zeroizing<String>> {
        let inner = &*self.0;
        let fetching = {
            let mut all = inner.fetching.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|_, fetching| Arc::strong_count(fetching) > 1);
            Arc::clone(all.entry(scopes.clone()).or_default())
        };
        let _alone = context.run(async { Ok(fetching.lock().await) }).await?;
        if let Some(token) = inner.tokens.find(realm, scopes) {
            return Ok(bearer(&token));
        }
        let fetch = |scopes| inner.tokens.fetch(&inner.client, &inner.base, realm, scopes, identity, context);
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
}

/// A fresh token was refused too.
fn denied(identity: &Identity, refused: &Error) -> Error {
    let (kind, message, hint) = match identity {
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
