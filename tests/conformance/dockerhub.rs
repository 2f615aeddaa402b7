//! Docker Hub, against an imitation of its API, its token server and its registry, written from the documented contract.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use tidewaiter::conformance::connector::{Holding, suite};
use tidewaiter::model::digest::Digest;
use tidewaiter::model::record::{DateSource, ImageDate};
use tidewaiter::registry::{Connector, Credential, Registry, Secret, Wanted};
use tidewaiter::{Context, Kind};

use super::imitation::{Answer, Asked, Imitation, assert_told};

const PASSWORD: &str = "planted-s3cret-0451:&+%";

/// A tag: repository, tag, content, when it was pushed; none where the Hub does not say its digest.
const TAGS: [(&str, &str, &str, Option<&str>); 7] = [
    ("acme/app", "1.4.2", "one", Some("2026-03-04T10:11:12.345678Z")),
    ("acme/app", "latest", "one", Some("2026-03-05T10:11:12.345678Z")),
    ("acme/app", "1.4.1", "two", Some("2026-02-04T10:11:12.345678Z")),
    ("acme/app", "old", "three", None),
    ("acme/app", "plugin", "plugin", Some("2026-02-04T10:11:12.345678Z")),
    ("acme/secret", "x", "four", Some("2020-01-01T00:00:00Z")),
    ("me/tool", "y", "five", Some("2020-01-02T00:00:00Z")),
];

#[derive(Default)]
struct Hub {
    /// Logins of the API that hold.
    logins: Mutex<BTreeSet<String>>,
    given: AtomicUsize,
    faults: Mutex<Vec<Answer>>,
    /// The password that is good, once it was changed.
    changed: Mutex<Option<&'static str>>,
}

impl Hub {
    fn answer(&self, url: &str, asked: &Asked) -> Answer {
        let path: Vec<_> = asked.path.trim_matches('/').split('/').collect();
        match path[..] {
            ["v2", "auth", "token"] => self.login(asked),
            ["token"] => token(asked),
            ["v2", "namespaces", ..] | ["v2", "repositories", ..] => self.api(url, &path, asked),
            _ => registry(url, &path, asked),
        }
    }

    fn login(&self, asked: &Asked) -> Answer {
        let good = self.changed.lock().unwrap().unwrap_or(PASSWORD);
        if asked.json() != json!({"identifier": "me", "secret": good}) {
            return Answer::of(401, json!({"detail": "Incorrect authentication credentials"}));
        }
        let login = format!("planted-login-s3cret-{}", self.given.fetch_add(1, Ordering::Relaxed));
        self.logins.lock().unwrap().insert(login.clone());
        Answer::json(json!({"access_token": login}))
    }

    fn api(&self, url: &str, path: &[&str], asked: &Asked) -> Answer {
        if let Some(fault) = self.faults.lock().unwrap().pop() {
            return fault;
        }
        let login = asked.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
        let is_known = self.logins.lock().unwrap().contains(login);
        if !login.is_empty() && !is_known {
            return Answer::of(401, json!({"message": "unauthorized"}));
        }
        match path[2..] {
            ["namespaces"] => Answer::json(json!({"namespaces": ["me", "acme"]})),
            [namespace, "repositories"] => {
                let names: BTreeSet<_> =
                    TAGS.iter().filter_map(|tag| tag.0.strip_prefix(&format!("{namespace}/"))).collect();
                let names = names.into_iter().filter(|name| is_known || *name != "secret");
                page(
                    url,
                    asked,
                    names
                        .map(|name| json!({"name": name, "namespace": namespace, "is_private": name == "secret"}))
                        .collect(),
                )
            }
            [namespace, "repositories", name, "tags"] => {
                let repository = format!("{namespace}/{name}");
                let tags: Vec<_> =
                    TAGS.iter().filter(|tag| tag.0 == repository && (is_known || name != "secret")).collect();
                if tags.is_empty() {
                    return Answer::of(404, json!({"message": "httperror 404: object not found", "errinfo": {}}));
                }
                let tag = |(_, tag, content, pushed): &&(&str, &str, &str, Option<&str>)| {
                    let digest = pushed.map(|_| Digest::of(content.as_bytes()).to_string());
                    json!({"name": tag, "digest": digest, "tag_last_pushed": pushed, "last_updated": null, "full_size": 48231122, "tag_status": "active",
                        "media_type": "application/vnd.oci.image.index.v1+json", "content_type": if *tag == "plugin" { "plugin" } else { "image" }})
                };
                page(url, asked, tags.iter().map(tag).collect())
            }
            _ => Answer::of(404, json!({})),
        }
    }
}

/// Two a page, however many are asked for; `next` is absolute, and that of the last page leads into the void.
fn page(url: &str, asked: &Asked, items: Vec<Value>) -> Answer {
    assert_eq!(asked.param("page_size"), "100");
    let number: usize = asked.param("page").parse().unwrap();
    let (from, count) = ((number - 1) * 2, items.len());
    if from > count || (from == count && number > 1) {
        return Answer::of(404, json!({"detail": "Invalid page."}));
    }
    // Another host: only the query may be taken.
    let host = if number == 1 { "https://evil.example" } else { url };
    let next = format!("{host}{}?page={}&page_size=100", asked.path, number + 1);
    Answer::json(json!({"count": count, "next": next, "previous": null, "results": items[from..(from + 2).min(count)]}))
}

/// auth.docker.io: a token for everybody, but a good one only with the password.
fn token(asked: &Asked) -> Answer {
    let basic = asked.basic();
    if basic.as_ref().is_some_and(|(name, password)| (name.as_str(), password.as_str()) != ("me", PASSWORD)) {
        return Answer::of(401, json!({"details": "incorrect username or password"}));
    }
    let token = if basic.is_none() { "anonymous" } else { "planted-registry-s3cret" };
    Answer::json(
        json!({"token": token, "access_token": token, "expires_in": 300, "issued_at": "2026-01-02T03:04:05.123456789Z"}),
    )
}

/// The registry, of which a HEAD is all that a listing needs.
fn registry(url: &str, path: &[&str], asked: &Asked) -> Answer {
    if asked.header("authorization").is_empty() {
        return Answer::refused(401, "UNAUTHORIZED", "authentication required")
            .with("www-authenticate", format!("Bearer realm=\"{url}/token\",service=\"registry.docker.io\""));
    }
    match path {
        ["v2"] => Answer::json(json!({})),
        ["v2", "ratelimitpreview", "test", "manifests", "latest"] => {
            Answer::json(json!({})).with("ratelimit-limit", "100;w=21600").with("ratelimit-remaining", "76;w=21600")
        }
        ["v2", namespace, name, "tags", "list"] => match (*namespace, *name) {
            ("acme", "app") => Answer::json(json!({"tags": ["1.4.2"]})),
            ("library", "nginx") => Answer::json(json!({"tags": []})),
            _ => Answer::refused(401, "UNAUTHORIZED", "authentication required").with(
                "www-authenticate",
                format!("Bearer realm=\"{url}/token\",service=\"registry.docker.io\",error=\"insufficient_scope\""),
            ),
        },
        ["v2", "acme", "none", "manifests", _] => Answer::refused(401, "UNAUTHORIZED", "insufficient_scope"),
        ["v2", "library", "nginx", "manifests", _] => Answer::refused(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        ["v2", namespace, name, "manifests", tag] => {
            assert_eq!(asked.method, "HEAD", "a GET counts as a pull");
            let repository = format!("{namespace}/{name}");
            let content = TAGS.iter().find(|known| known.0 == repository && known.1 == *tag).unwrap().2;
            Answer::json(json!({})).with("docker-content-digest", Digest::of(content.as_bytes()).to_string())
        }
        _ => Answer::refused(401, "UNAUTHORIZED", "insufficient_scope"),
    }
}

fn holding(is_known: bool) -> Holding {
    let pushed = |time: &str| ImageDate::read(Some(time), DateSource::Pushed);
    let holding = Holding::new()
        .image("acme/app", &Digest::of(b"one"), &["1.4.2", "latest"], pushed("2026-03-05T10:11:12.345678Z"))
        .image("acme/app", &Digest::of(b"two"), &["1.4.1"], pushed("2026-02-04T10:11:12.345678Z"))
        .image("acme/app", &Digest::of(b"three"), &["old"], ImageDate::none())
        .image("me/tool", &Digest::of(b"five"), &["y"], pushed("2020-01-02T00:00:00Z"));
    if is_known {
        holding.image("acme/secret", &Digest::of(b"four"), &["x"], pushed("2020-01-01T00:00:00Z"))
    } else {
        holding
    }
}

async fn started() -> (Arc<Hub>, Imitation) {
    let hub = Arc::new(Hub::default());
    let answering = Arc::clone(&hub);
    (hub, Imitation::start(move |asked| answering.answer(&asked.own, asked)).await)
}

fn registry_of(url: &str, namespaces: &[&str], credential: Credential) -> Registry {
    let json = json!({"kind": "dockerhub", "url": url, "api_url": url, "namespaces": namespaces});
    Registry::from_json(&json.to_string()).unwrap().credential(credential)
}

fn me() -> Credential {
    Credential::dockerhub("me", Secret::value(PASSWORD))
}

async fn opened(url: &str, namespaces: &[&str], credential: Credential) -> Arc<dyn Connector> {
    super::connector(&registry_of(url, namespaces, credential)).await.unwrap()
}

#[tokio::test]
async fn suite_holds() {
    let (_, server) = started().await;
    suite(&*opened(&server.url(), &[], me()).await, &holding(true)).await;
    suite(
        &*opened(&server.url(), &["acme", "me"], Credential::basic("me", Secret::value(PASSWORD))).await,
        &holding(true),
    )
    .await;
    suite(&*opened(&server.url(), &["acme", "me"], Credential::Anonymous).await, &holding(false)).await;
}

#[tokio::test]
async fn nobody_has_to_say_what_to_list() {
    let (_, server) = started().await;
    let connector = opened(&server.url(), &[], Credential::Anonymous).await;
    assert!(!connector.capabilities().repositories);
    suite(&*connector, &holding(false)).await;
}

#[tokio::test]
async fn a_login_that_ends_is_renewed() {
    let (hub, server) = started().await;
    // One request at once: the refusal is not held while the next login is asked for.
    let registry = registry_of(&server.url(), &[], me()).with_concurrency(1);
    let connector = super::connector(&registry).await.unwrap();
    for _ in 0..2 {
        assert_eq!(connector.images("me/tool", &Wanted::default(), &Context::new()).await.unwrap().len(), 1);
        hub.logins.lock().unwrap().clear();
    }
    assert_eq!(hub.given.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_password_that_was_changed_is_looked_up_again() {
    let (hub, server) = started().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), PASSWORD).unwrap();
    let me = Credential::dockerhub("me", Secret::file(file.path()));
    // One request at once: the refusal is not held while the next password is looked up.
    let registry = registry_of(&server.url(), &[], me).with_concurrency(1);
    let connector = super::connector(&registry).await.unwrap();
    let list = async || connector.images("me/tool", &Wanted::default(), &Context::new()).await;
    assert_eq!(list().await.unwrap().len(), 1);
    *hub.changed.lock().unwrap() = Some("changed-s3cret");
    hub.logins.lock().unwrap().clear();
    std::fs::write(file.path(), "changed-s3cret").unwrap();
    assert_eq!(list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn where_the_namespaces_are_not_shown_the_account_is_listed() {
    let (hub, server) = started().await;
    let connector = opened(&server.url(), &[], me()).await;
    hub.faults.lock().unwrap().push(Answer::of(
        403,
        json!({"message": "access is forbidden with a JWT issued from a personal access token"}),
    ));
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let context = Context::new().on_event(move |event| sink.lock().unwrap().push(format!("{event:?}")));
    let names: Vec<_> = connector.repositories(&Wanted::default(), &context).try_collect().await.unwrap();
    assert_eq!(names, ["me/tool"]);
    let told = told.lock().unwrap();
    assert!(told.len() == 1 && told[0].contains("`namespaces`") && !told[0].contains("s3cret"), "{told:?}");
}

#[tokio::test]
async fn a_digest_that_is_none_is_asked_for() {
    for digest in ["", "sha256:12", "md5:d41d8cd98f00b204e9800998ecf8427e"] {
        let (hub, server) = started().await;
        let connector = opened(&server.url(), &[], Credential::Anonymous).await;
        let tags = json!({"next": null, "results": [{"name": "y", "digest": digest}]});
        hub.faults.lock().unwrap().push(Answer::json(tags));
        let images = connector.images("me/tool", &Wanted::default(), &Context::new()).await.unwrap();
        assert_eq!(images.iter().map(|image| &image.digest).collect::<Vec<_>>(), [&Digest::of(b"five")], "{digest}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_shown() {
    let (_, server) = started().await;
    let connector = opened(&server.url(), &[], Credential::dockerhub("me", Secret::value("wrong-s3cret"))).await;
    let error = connector.images("me/tool", &Wanted::default(), &Context::new()).await.unwrap_err();
    assert_told(&error, Kind::Unauthenticated, &["Docker Hub refuses the login", "me", "access token"]);
}

#[tokio::test]
async fn limits_are_waited_for_as_the_hub_says_them() {
    let (hub, server) = started().await;
    let connector = opened(&server.url(), &[], Credential::Anonymous).await;
    let now = jiff::Timestamp::now().as_second();
    let limited =
        |at: i64| Answer::of(429, json!({"detail": "Rate limit exceeded"})).with("x-retry-after", at.to_string());
    hub.faults.lock().unwrap().push(limited(now));
    assert_eq!(connector.images("me/tool", &Wanted::default(), &Context::new()).await.unwrap().len(), 1);
    // An hour is not waited for.
    hub.faults.lock().unwrap().push(limited(now + 3600));
    let error = connector.images("me/tool", &Wanted::default(), &Context::new()).await.unwrap_err();
    assert_told(&error, Kind::RateLimited, &["me/tool"]);
    assert!(error.retry_after().is_some_and(|delay| (3500..=3600).contains(&delay.as_secs())), "{error:?}");
}

#[tokio::test]
async fn the_check_tells_what_is_left() {
    let (_, server) = started().await;
    let check =
        tidewaiter::registry::check(&registry_of(&server.url(), &[], me()), None, &Context::new()).await.unwrap();
    assert!(check.is_ok(), "{check:?}");
    let text = serde_json::to_string(&check).unwrap();
    assert!(text.contains("76 of 100 pulls in 6 h are left") && !text.contains("s3cret"), "{text}");
}

#[tokio::test]
async fn a_limit_that_is_used_up_is_told_and_not_tried_again() {
    let (_, server) = started().await;
    let used_up = Answer::refused(429, "TOOMANYREQUESTS", "You have reached your pull rate limit.")
        .with("ratelimit-limit", "100;w=21600")
        .with("ratelimit-remaining", "0;w=21600");
    let connector = opened(&server.url(), &[], Credential::Anonymous).await;
    server.fault("/manifests/", 1, used_up.clone());
    let error = connector.images("acme/app", &Wanted::default(), &Context::new()).await.unwrap_err();
    assert_told(&error, Kind::RateLimited, &["ratelimit-remaining", "0;w=21600", "acme/app"]);
    assert_eq!((server.count("/manifests/"), error.retry_after().map(|delay| delay.as_secs())), (1, Some(21600)));

    server.fault("/ratelimitpreview/", 1, used_up);
    let registry = registry_of(&server.url(), &[], Credential::Anonymous);
    let done = tidewaiter::registry::check(&registry, None, &Context::new()).await.unwrap();
    let text = serde_json::to_string(&done).unwrap();
    // Nobody does not list, which is no failure.
    assert!(done.is_ok() && text.contains("0 of 100 pulls in 6 h are left"), "{text}");
}

#[tokio::test]
async fn the_check_names_repositories_as_a_listing_does() {
    let (_, server) = started().await;
    for (name, is_ok) in [("acme/app", true), ("docker.io/acme/app", true), ("nginx", true), ("acme/none", false)] {
        let registry = registry_of(&server.url(), &[], me());
        let done = tidewaiter::registry::check(&registry, Some(name), &Context::new()).await.unwrap();
        assert_eq!(done.steps.last().unwrap().ok, Some(is_ok), "{name}: {done:?}");
    }
    assert!(server.count("/v2/library/nginx/") > 0 && server.count("/v2/nginx/") == 0, "{:?}", server.log());
}

#[test]
fn names_of_accounts_are_checked() {
    let registry = Registry::from_json(r#"{"kind": "dockerhub", "namespaces": "x"}"#);
    assert!(registry.unwrap().base().is_ok());
    let registry = Registry::dockerhub(["a/../b"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(super::connector(&registry.credential(Credential::Anonymous))).err().unwrap();
    assert_told(&error, Kind::InvalidInput, &["namespaces"]);
}
