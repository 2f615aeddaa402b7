//! One registry and one identity: answers challenges, and sends each secret only where it belongs.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::Method;
use http::header::AUTHORIZATION;
use tokio::sync::OnceCell;
use url::Url;
use zeroize::Zeroizing;

use super::challenge::{self, Challenge};
use super::client::{Client, Request, Response};
use super::identity::{Identity, IdentitySource, Issued};
pub use super::token::{CATALOG, pull};
use super::token::{Realm, Tokens};
use super::way::{self, Way};
use super::{address, redact};
use crate::context::Context;
use crate::error::{Error, Kind, Result};

/// How long an identity that was refused, and was still the same or refused again after it was looked up anew, is left alone.
const REST: Duration = Duration::from_secs(60);

/// The most scopes of one token.
const MAX_SCOPES: usize = 32;
/// For how many scopes it is remembered that they take a password alone.
const MAX_BY_PASSWORD: usize = 64;

/// A registry as one identity sees it. Cheap to clone; clones share tokens and connections.
#[derive(Clone, Debug)]
pub struct Session(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    base: Url,
    source: Arc<dyn IdentitySource>,
    current: tokio::sync::Mutex<Current>,
    way: way::Known,
    /// Done once `/v2/` was asked how the registry wants to be answered.
    pinged: OnceCell<()>,
    tokens: Tokens,
    /// Scopes that the registry opens to a password and to no token: Harbor's catalog.
    by_password: Mutex<HashSet<String>>,
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

/// An address of the registry at `base`: path and query behind `/v2/`, which have to be valid in a URL already.
pub(crate) fn below(base: &Url, path: &str) -> Url {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let mut url = base.clone();
    url.set_path(&format!("{}/v2/{path}", base.path().trim_end_matches('/')));
    url.set_query(query);
    url
}

impl Session {
    /// A session with the registry at `base`: scheme, host, port, and the path in front of `/v2/`.
    pub fn new(client: Client, base: Url, source: Arc<dyn IdentitySource>) -> Self {
        Self(Arc::new(Inner {
            client,
            base,
            source,
            current: tokio::sync::Mutex::default(),
            way: way::Known::default(),
            pinged: OnceCell::new(),
            tokens: Tokens::default(),
            by_password: Mutex::default(),
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
        below(&self.0.base, path)
    }

    /// Where the registry has its tokens from; none where it takes passwords, or asks nobody for anything.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn token_server(&self, context: &Context) -> Result<Option<Realm>> {
        self.ping(context).await?;
        Ok(match self.0.way.get() {
            Some(Way::Bearer(realm)) => Some(realm),
            _ => None,
        })
    }

    /// Sends a request to the registry and answers its challenges. The status is the caller's to look at, except 401.
    ///
    /// Somebody is shown to the registry with every request: what it lets everybody read would else pass for all that there is.
    /// How it wants that is asked of `/v2/`, once.
    ///
    /// What is refused is looked up once more: a password may have been changed, a token of a cloud has ended. Some registries
    /// say so with 403 (ECR) or 400 (ECR Public).
    ///
    /// # Errors
    /// [`Kind::Unauthenticated`] and [`Kind::PermissionDenied`] when the registry wants other credentials, and those of [`Client::send`].
    pub async fn send(&self, request: &Request, scope: Option<&str>, context: &Context) -> Result<Response> {
        let identity = self.identity(context).await?;
        let mut answer = self.send_as(&identity, request, scope, context).await;
        if request.method == Method::HEAD && matches!(&answer, Ok(response) if matches!(response.status(), 400 | 403)) {
            // Why it was refused is in a body, which the answer to a HEAD has not.
            drop(answer);
            let aloud = Request { method: Method::GET, ..request.clone() };
            answer = Box::pin(self.send_as(&identity, &aloud, scope, context)).await;
        }
        let refused = match answer {
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
        let mut again = Box::pin(self.send_as(&identity, request, scope, context)).await;
        let is_in_vain = match &mut again {
            Ok(response) => response.says_expired(context).await?,
            Err(_) => true,
        };
        if is_in_vain {
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
        if !address::is_same_origin(&request.url, &self.0.base) {
            // The next page of a list that a redirect led to: nothing of ours goes there.
            return self.0.client.send(request, context).await;
        }
        let mut turn = Turn { identity, scopes: scope.map(str::to_owned).into_iter().collect(), had_password: false };
        let mut sent = Box::pin(self.first(&turn, context)).await?;
        loop {
            let request = match sent.header() {
                Some(value) => Cow::Owned(request.clone().with(AUTHORIZATION, value)?),
                None => Cow::Borrowed(request),
            };
            let response = self.0.client.send(&request, context).await?;
            if response.status() == 401 {
                let asked = self.asked(response, context).await?;
                sent = Box::pin(self.next(sent, asked, &mut turn, context)).await?;
                continue;
            }
            return match sent {
                Sent::Nothing(why) if *identity != Identity::Anonymous => Err(why.unwrap_or_else(|| self.not_shown())),
                _ => {
                    if turn.had_password {
                        self.takes_a_password(scope);
                    }
                    Ok(response)
                }
            };
        }
    }

    /// Asks `/v2/`, as nobody, how the registry wants to be answered. That is done once; a registry may say it with a 200 too.
    async fn ping(&self, context: &Context) -> Result<()> {
        let ping = async || {
            let response = self.0.client.send(&Request::get(self.url("")), context).await?;
            let is_own = address::is_same_origin(response.url(), &self.0.base);
            match response.status() {
                401 if !is_own => return Err(elsewhere(response.refused(context).await)),
                _ if is_own => {
                    let challenges = challenge::parse(response.headers("www-authenticate"));
                    self.0.way.learn(&challenges, response.url())?;
                }
                _ => {}
            }
            // Read to its end, so that the connection serves the next request.
            drop(response.refused(context).await);
            Ok(())
        };
        if self.0.pinged.initialized() {
            return Ok(());
        }
        context.run(self.0.pinged.get_or_try_init(ping)).await.copied()
    }

    /// What is sent unasked: by nobody nothing, before the registry has named its token server.
    async fn first(&self, turn: &Turn<'_>, context: &Context) -> Result<Sent> {
        match turn.identity {
            Identity::Bearer(token) => return Ok(Sent::kept(token)),
            Identity::Anonymous => {}
            Identity::Basic { .. } | Identity::Refresh(_) => self.ping(context).await?,
        }
        let realm = match self.0.way.get() {
            Some(Way::Bearer(realm)) if !self.is_by_password(turn) => realm,
            // Where there was no challenge, the registry itself is the only place that a password may be shown to.
            _ => return Ok(turn.identity.basic().map_or(Sent::Nothing(None), Sent::Basic)),
        };
        if turn.scopes.is_empty() && *turn.identity == Identity::Anonymous {
            return Ok(Sent::Nothing(None));
        }
        if let Some(token) = self.0.tokens.find(&realm, &turn.scopes, turn.identity) {
            return Ok(Sent::kept(&token));
        }
        match self.token(&realm, &turn.scopes, turn.identity, context).await {
            // It does not know the scope that we think of: what it wants is for a challenge to say.
            Err(error) if turn.may_want_another_scope(&error) => Ok(Sent::Nothing(Some(error))),
            done => done,
        }
    }

    /// What a 401 asks for.
    async fn asked(&self, response: Response, context: &Context) -> Result<Asked> {
        if !address::is_same_origin(response.url(), &self.0.base) {
            return Err(elsewhere(response.refused(context).await));
        }
        let challenges = challenge::parse(response.headers("www-authenticate"));
        let url = response.url().clone();
        let refused = response.refused(context).await;
        let mut way = self.0.way.learn(&challenges, &url)?;
        if way.is_none() {
            // Some answer now and then without the challenge that their `/v2/` has (gcr.io).
            Box::pin(self.ping(context)).await?;
            way = self.0.way.get();
        }
        let is_bearer = challenges.iter().any(Challenge::is_bearer);
        let wants_password = !is_bearer && challenges.iter().any(Challenge::is_basic);
        Ok(Asked { way, scopes: way::scopes(&challenges), wants_password, refused })
    }

    /// What is sent after a refusal.
    async fn next(&self, sent: Sent, asked: Asked, turn: &mut Turn<'_>, context: &Context) -> Result<Sent> {
        let Asked { way, scopes: offered, wants_password, refused } = asked;
        let realm = match (way, &sent) {
            (_, Sent::Bearer { .. }) if matches!(turn.identity, Identity::Bearer(_)) => {
                return Err(refused.with_hint("the registry refuses the token: it may have expired"));
            }
            (Some(Way::Basic) | None, Sent::Basic(_)) => return Err(refused),
            (Some(Way::Basic), _) => {
                let basic = turn.identity.basic().map(Sent::Basic);
                return basic.ok_or_else(|| refused.with_hint("this needs a user name and a password"));
            }
            (None, _) => {
                return Err(refused.with_hint("the registry does not say how to authenticate: check its address"));
            }
            (Some(Way::Bearer(_)), Sent::Basic(_)) if turn.had_password => return Err(denied(turn.identity, &refused)),
            (Some(Way::Bearer(realm)), _) => realm,
        };
        if let Sent::Bearer { value, is_fresh } = &sent {
            self.0.tokens.forget(&realm, &turn.scopes, value.strip_prefix("Bearer ").unwrap_or_default());
            if *is_fresh {
                // It wants more than we think. Not before: what a challenge names may be a placeholder (GitHub's).
                let before = turn.scopes.len();
                turn.scopes.extend(offered.iter().cloned());
                if turn.scopes.len() == before || turn.scopes.len() > MAX_SCOPES {
                    turn.had_password = true;
                    let basic = turn.identity.basic().filter(|_| wants_password).map(Sent::Basic);
                    return basic.ok_or_else(|| denied(turn.identity, &refused));
                }
            }
        }
        match self.token(&realm, &turn.scopes, turn.identity, context).await {
            Err(error) if turn.may_want_another_scope(&error) && !offered.is_empty() && offered != turn.scopes => {
                turn.scopes = offered;
                self.token(&realm, &turn.scopes, turn.identity, context).await
            }
            done => done,
        }
    }

    fn is_by_password(&self, turn: &Turn<'_>) -> bool {
        let known = self.0.by_password.lock().unwrap_or_else(PoisonError::into_inner);
        !known.is_empty() && turn.scopes.iter().any(|scope| known.contains(scope))
    }

    fn takes_a_password(&self, scope: Option<&str>) {
        let mut known = self.0.by_password.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MAX_BY_PASSWORD {
            known.extend(scope.map(str::to_owned));
        }
    }

    /// A token of these scopes, kept or fetched.
    async fn token(
        &self,
        realm: &Realm,
        scopes: &BTreeSet<String>,
        identity: &Identity,
        context: &Context,
    ) -> Result<Sent> {
        let inner = &*self.0;
        let fetching = {
            let mut all = inner.fetching.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|_, fetching| Arc::strong_count(fetching) > 1);
            Arc::clone(all.entry(scopes.clone()).or_default())
        };
        let _alone = context.run(async { Ok(fetching.lock().await) }).await?;
        let token = match inner.tokens.find(realm, scopes, identity) {
            Some(token) => token,
            None => inner.tokens.fetch(&inner.client, &inner.base, realm, scopes, identity, context).await?,
        };
        Ok(Sent::Bearer { value: bearer(&token), is_fresh: true })
    }

    /// Somebody whom the registry could not be shown: what it gives is everybody's.
    fn not_shown(&self) -> Error {
        Error::new(
            Kind::Unauthenticated,
            "the registry names no token server that the identity token could be shown to",
        )
        .with("registry", redact::url(&self.0.base))
        .with_hint("give a user name and a password, or ask as nobody")
    }
}

/// A request on its way.
struct Turn<'a> {
    identity: &'a Identity,
    /// What the token is for.
    scopes: BTreeSet<String>,
    /// Whether the password itself was sent after a token was refused.
    had_password: bool,
}

impl Turn<'_> {
    /// Whether a token server may have an ear for other scopes: it does not know these, or tells nobody without one.
    fn may_want_another_scope(&self, error: &Error) -> bool {
        match error.kind() {
            Kind::Unsupported | Kind::NotFound => true,
            Kind::Unauthenticated => self.scopes.is_empty() && *self.identity == Identity::Anonymous,
            _ => false,
        }
    }
}

/// What a refusal asks for.
struct Asked {
    way: Option<Way>,
    scopes: BTreeSet<String>,
    /// Whether a password is asked for, and no token.
    wants_password: bool,
    refused: Error,
}

fn elsewhere(refused: Error) -> Error {
    refused.with_hint("the registry redirects to a place that wants credentials of its own")
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
    /// None, and maybe why not.
    Nothing(Option<Error>),
    Basic(Zeroizing<String>),
    Bearer {
        value: Zeroizing<String>,
        /// Whether the registry cannot have refused it before.
        is_fresh: bool,
    },
}

impl Sent {
    fn kept(token: &str) -> Self {
        Self::Bearer { value: bearer(token), is_fresh: false }
    }

    fn header(&self) -> Option<&str> {
        match self {
            Self::Nothing(_) => None,
            Self::Basic(value) | Self::Bearer { value, .. } => Some(value),
        }
    }
}
