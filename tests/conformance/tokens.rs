//! Tokens for many repositories, as a listing asks for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::future::BoxFuture;
use serde_json::json;
use tidewaiter::model::digest::Digest;
use tidewaiter::net;
use tidewaiter::net::api::{Api, Way};
use tidewaiter::net::client::Client;
use tidewaiter::net::identity::{Identity, IdentitySource, Issued};
use tidewaiter::net::session::Session;
use tidewaiter::registry::{Credential, Registry, Wanted};
use tidewaiter::{Context, Result};
use tokio::sync::Barrier;

use super::connector;
use super::imitation::{Answer, Imitation};

/// Open to everybody, and so not known to the token server.
const OPEN: &str = "repository:team/open:pull";

/// A registry with a token server, in which every repository has one tag. A token is good for one repository; two of them are given
/// at the same time, but for the first.
struct Server {
    tokens: AtomicUsize,
    challenges: AtomicUsize,
    together: Barrier,
}

impl Server {
    async fn start() -> (Arc<Self>, Registry) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Arc::new(Self {
            tokens: AtomicUsize::default(),
            challenges: AtomicUsize::default(),
            together: Barrier::new(2),
        });
        let app = axum::Router::new().fallback(answer).with_state(Arc::clone(&server));
        // It ends with the runtime of the test.
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (server, Registry::docker(url).credential(Credential::Anonymous))
    }

    fn counts(&self) -> (usize, usize) {
        (self.challenges.load(Ordering::SeqCst), self.tokens.load(Ordering::SeqCst))
    }
}

async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response {
    let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
    let host = request.headers()["host"].to_str().unwrap();
    let json = |text: String| Response::new(Body::from(text));
    if path == "/token" {
        let scope = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "scope").unwrap().1;
        let is_first = server.tokens.fetch_add(1, Ordering::SeqCst) == 0;
        let together = async { tokio::time::timeout(Duration::from_secs(10), server.together.wait()).await };
        if scope == OPEN || (!is_first && together.await.is_err()) {
            return Response::builder().status(400).body(Body::empty()).unwrap();
        }
        return json(format!(r#"{{"token":"{scope}"}}"#));
    }
    let name = path.strip_prefix("/v2/").and_then(|path| path.rsplitn(3, '/').nth(2)).unwrap();
    let scope = format!("repository:{name}:pull");
    let is_shown = request.headers().get("authorization").is_some_and(|sent| *sent == format!("Bearer {scope}"));
    if scope != OPEN && !is_shown {
        server.challenges.fetch_add(1, Ordering::SeqCst);
        let challenge = format!("Bearer realm=\"http://{host}/token\",scope=\"{scope}\"");
        return Response::builder().status(401).header("www-authenticate", challenge).body(Body::empty()).unwrap();
    }
    if path.ends_with("/tags/list") {
        return json(r#"{"tags":["1.0"]}"#.to_owned());
    }
    let digest = Digest::of(name.as_bytes());
    Response::builder().header("docker-content-digest", digest.as_str()).body(Body::empty()).unwrap()
}

/// Alice, until somebody else is asked for.
#[derive(Debug, Default)]
struct Changing(AtomicUsize);

impl IdentitySource for Changing {
    fn identity<'a>(&'a self, _: &'a Context) -> BoxFuture<'a, Result<Issued>> {
        let username = if self.0.fetch_add(1, Ordering::SeqCst) == 0 { "alice" } else { "bob" }.to_owned();
        let password = "planted-s3cret".to_owned().into();
        Box::pin(async { Ok(Issued::for_good(Identity::Basic { username, password })) })
    }
}

#[tokio::test]
async fn tokens_are_of_who_asks_now() {
    let server = Imitation::start(|asked| match asked.path.as_str() {
        "/token" => Answer::json(json!({"token": asked.basic().unwrap().0})),
        "/api" if asked.basic().unwrap().0 == "alice" => Answer::refused(401, "UNAUTHORIZED", "no"),
        "/api" => Answer::json(json!({})),
        _ if asked.bearer().is_some() => Answer::json(json!({})),
        _ => Answer::refused(401, "UNAUTHORIZED", "no")
            .with("www-authenticate", format!("Bearer realm=\"{}/token\"", asked.own)),
    })
    .await;
    let (base, context): (url::Url, _) = (server.url().parse().unwrap(), Context::new());
    let session = Session::new(Client::new(&Default::default()).unwrap(), base.clone(), Arc::new(Changing::default()));
    let pull = async || {
        let request = net::client::Request::get(session.url("team/app/tags/list"));
        session.send(&request, Some("repository:team/app:pull"), &context).await.unwrap();
        server.asked().pop().unwrap().bearer().unwrap().to_owned()
    };
    assert_eq!(pull().await, "alice");
    let api = Api::new(session.clone(), base, Way::Plain);
    api.get(api.url(&["api"], &[]).unwrap(), &context).await.unwrap();
    assert_eq!(pull().await, "bob");
}

#[tokio::test]
async fn what_is_always_said_to_have_expired_is_not_renewed_for_each_request() {
    let server = Imitation::start(|_| Answer::refused(403, "DENIED", "Your authorization token has expired.")).await;
    let (base, context): (url::Url, _) = (server.url().parse().unwrap(), Context::new());
    let source = Arc::new(Changing::default());
    let session = Session::new(Client::new(&Default::default()).unwrap(), base, source.clone());
    for _ in 0..5 {
        let request = net::client::Request::get(session.url("team/app/tags/list"));
        assert_eq!(session.send(&request, None, &context).await.unwrap().status(), 403);
    }
    assert_eq!(source.0.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn the_token_server_is_known_after_one_challenge_and_asked_side_by_side() {
    let (server, registry) = Server::start().await;
    let (connector, wanted, context) = (connector(&registry).await.unwrap(), Wanted::default(), Context::new());
    let list = async |name: &str| -> Result<usize> { Ok(connector.images(name, &wanted, &context).await?.len()) };
    assert_eq!(list("team/app").await.unwrap(), 1);
    assert_eq!(server.counts(), (1, 1));
    // Each of the two tokens waits for the other one to be asked for.
    let (web, tool) = tokio::join!(list("team/web"), list("team/tool"));
    assert_eq!((web.unwrap(), tool.unwrap()), (1, 1));
    assert_eq!(server.counts(), (1, 3));
}

#[tokio::test]
async fn what_is_open_is_open_although_the_token_server_does_not_know_it() {
    let (server, registry) = Server::start().await;
    let (connector, wanted, context) = (connector(&registry).await.unwrap(), Wanted::default(), Context::new());
    for name in ["team/app", "team/open"] {
        assert_eq!(connector.images(name, &wanted, &context).await.unwrap().len(), 1, "{name}");
    }
    assert_eq!(server.counts().0, 1);
}
