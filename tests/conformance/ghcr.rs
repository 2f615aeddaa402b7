//! GitHub's registry, against an imitation of its REST API, its token server and its registry, written from the documented contract.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tidewaiter::conformance::connector::{Holding, suite};
use tidewaiter::model::digest::Digest;
use tidewaiter::model::record::{DateSource, ImageDate};
use tidewaiter::registry::{Connector, Credential, Registry, Secret, Wanted, check};
use tidewaiter::{Context, Kind};

use super::imitation::{Answer, Asked, Imitation, assert_told};
use super::lapses::{self, Password, Product};

const TOKEN: &str = "ghp_planted-s3cret-0451";
/// It pulls, but may not ask the API.
const PULLS: &str = "ghs_planted-s3cret-0452";

/// A version: owner, package, content, its tags, when it was pushed.
const VERSIONS: [(&str, &str, &str, &[&str], &str); 5] = [
    ("acme", "app", "one", &["1.4.2", "latest"], "2026-03-04T10:11:12Z"),
    ("acme", "app", "child", &[], "2026-03-04T10:11:11Z"),
    ("acme", "app", "two", &["1.4.1"], "2026-02-04T10:11:12Z"),
    ("acme", "team/web", "three", &["x"], "2025-02-04T10:11:12Z"),
    ("me", "tool", "four", &["y"], "2024-02-04T10:11:12Z"),
];

#[derive(Default)]
struct GitHub {
    faults: Mutex<Vec<Answer>>,
}

impl GitHub {
    fn answer(&self, url: &str, asked: &Asked) -> Answer {
        let path: Vec<_> = asked.path.trim_matches('/').split('/').collect();
        match path[..] {
            ["token"] => token(asked),
            ["v2", ..] => registry(url, asked),
            _ => self.api(url, &path, asked),
        }
    }

    /// One entry a page; the link names the organisation by its number.
    fn api(&self, url: &str, path: &[&str], asked: &Asked) -> Answer {
        let refused = |status: u16, message: &str| {
            Answer::of(
                status,
                json!({"message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string()}),
            )
        };
        if let Some(fault) = self.faults.lock().unwrap().pop() {
            return fault;
        }
        assert!(asked.header("user-agent").starts_with("tidewaiter/"));
        match asked.header("authorization") {
            sent if sent == format!("Bearer {TOKEN}") => {}
            sent if sent == format!("Bearer {PULLS}") => return refused(403, "Resource not accessible by integration"),
            _ => return refused(401, "Bad credentials"),
        }
        let (kind, owner, rest) = (path[0], path[1], &path[2..]);
        if (kind == "orgs") != (owner == "acme") {
            return refused(404, "Not Found");
        }
        let items: Vec<_> = match rest {
            ["packages"] => {
                assert_eq!(asked.param("package_type"), "container");
                let names: BTreeSet<_> =
                    VERSIONS.iter().filter(|version| version.0 == owner).map(|version| version.1).collect();
                names.into_iter().map(|name| json!({"name": name, "package_type": "container"})).collect()
            }
            ["packages", "container", package, "versions"] => {
                let of_package = |version: &&(&str, &str, &str, &[&str], &str)| {
                    version.0 == owner && version.1.replace('/', "%2F") == *package
                };
                VERSIONS.iter().filter(of_package).map(|(_, _, content, tags, time)| {
                    json!({"name": Digest::of(content.as_bytes()).to_string(), "created_at": time, "updated_at": "2026-09-09T00:00:00Z", "metadata": {"package_type": "container", "container": {"tags": tags}}})
                }).collect()
            }
            _ => vec![],
        };
        if items.is_empty() {
            return refused(404, "Package not found.");
        }
        let page: usize = asked.param("page").parse().unwrap_or(1);
        let answer = Answer::json(json!(items[page - 1..page]));
        match page < items.len() {
            true => answer.with("link", format!("<{url}/organizations/1234/packages?package_type=container&state=active&per_page=100&page={}>; rel=\"next\"", page + 1)),
            false => answer,
        }
    }
}

/// What is not there, what is not allowed and a wrong password are refused in the same way.
fn token(asked: &Asked) -> Answer {
    let asked_for: Vec<_> =
        url::form_urlencoded::parse(asked.query.as_bytes()).filter(|(name, _)| name == "scope").collect();
    let is_there = |scope: &str| {
        let name = scope.strip_prefix("repository:").and_then(|scope| scope.strip_suffix(":pull"));
        VERSIONS.iter().any(|version| name == Some(&format!("{}/{}", version.0, version.1)))
    };
    if asked_for.iter().any(|(_, scope)| !is_there(scope)) {
        return Answer::refused(403, "DENIED", "requested access to the resource is denied");
    }
    match asked.basic().as_ref().map(|(_, password)| password.as_str()) {
        Some(TOKEN | PULLS) => Answer::json(json!({"token": "planted-registry-s3cret"})),
        None => Answer::json(json!({"token": "anonymous"})),
        _ => Answer::refused(403, "DENIED", "requested access to the resource is denied"),
    }
}

fn registry(url: &str, asked: &Asked) -> Answer {
    if asked.header("authorization").is_empty() {
        // The scope is a placeholder.
        return Answer::refused(401, "UNAUTHORIZED", "authentication required").with(
            "www-authenticate",
            format!("Bearer realm=\"{url}/token\",service=\"ghcr.io\",scope=\"repository:user/image:pull\""),
        );
    }
    let path = asked.path.trim_start_matches("/v2/");
    let of = |name: &str| -> Vec<_> {
        VERSIONS.iter().filter(|version| format!("{}/{}", version.0, version.1) == name).collect()
    };
    if let Some(name) = path.strip_suffix("/tags/list") {
        let tags: Vec<_> = of(name).iter().flat_map(|version| version.3.iter()).collect();
        return match tags.is_empty() {
            true => Answer::refused(404, "NAME_UNKNOWN", "repository name not known to registry"),
            false => Answer::json(json!({"name": name, "tags": tags})),
        };
    }
    if let Some((name, tag)) = path.split_once("/manifests/") {
        let content = of(name).into_iter().find(|version| version.3.contains(&tag)).unwrap().2;
        return Answer::json(json!({})).with("docker-content-digest", Digest::of(content.as_bytes()).to_string());
    }
    Answer::json(json!({}))
}

fn holding(owner: &str, with_dates: bool) -> Holding {
    VERSIONS.iter().filter(|version| version.0 == owner).fold(
        Holding::new(),
        |holding, (_, package, content, tags, time)| {
            let time = with_dates.then_some(*time);
            holding.image(
                package,
                &Digest::of(content.as_bytes()),
                tags,
                ImageDate::read(time, DateSource::FirstPushed),
            )
        },
    )
}

async fn started() -> (Arc<GitHub>, Imitation) {
    let github = Arc::new(GitHub::default());
    let answering = Arc::clone(&github);
    (github, Imitation::start(move |asked| answering.answer(&asked.own, asked)).await)
}

async fn opened(url: &str, owner: &str, credential: Credential) -> Arc<dyn Connector> {
    let json = json!({"kind": "ghcr", "url": url, "api_url": url, "owner": owner});
    super::connector(&Registry::from_json(&json.to_string()).unwrap().credential(credential)).await.unwrap()
}

fn basic(token: &str) -> Credential {
    Credential::basic("me", Secret::value(token))
}

#[tokio::test]
async fn suite_holds() {
    let (_, server) = started().await;
    suite(&*opened(&server.url(), "acme", basic(TOKEN)).await, &holding("acme", true)).await;
    suite(&*opened(&server.url(), "Acme", Credential::token(Secret::value(TOKEN))).await, &holding("acme", true)).await;
    // A user's packages are somewhere else.
    suite(&*opened(&server.url(), "me", basic(TOKEN)).await, &holding("me", true)).await;
}

#[tokio::test]
async fn suite_holds_for_nobody_who_names_repositories() {
    let (_, server) = started().await;
    suite(&*opened(&server.url(), "acme", Credential::Anonymous).await, &holding("acme", false)).await;
}

#[tokio::test]
async fn a_token_that_only_pulls_lists_without_dates() {
    let (_, server) = started().await;
    let connector = opened(&server.url(), "acme", basic(PULLS)).await;
    let notices = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&notices);
    let context = Context::new().on_event(move |event| seen.lock().unwrap().push(format!("{event:?}")));
    let images = connector.images("app", &Wanted::with_dates(), &context).await.unwrap();
    assert!(images.len() == 2 && images.iter().all(|image| image.date == ImageDate::none()));
    // Told once, however many packages there are.
    connector.images("team/web", &Wanted::with_dates(), &context).await.unwrap();
    let notices = notices.lock().unwrap().clone();
    assert!(
        notices.len() == 1 && notices[0].contains("read:packages") && !notices[0].contains("s3cret"),
        "{notices:?}"
    );
    use futures_util::TryStreamExt as _;
    let wanted = Wanted::default();
    let error = connector.repositories(&wanted, &context).try_next().await.unwrap_err();
    assert_told(&error, Kind::PermissionDenied, &["read:packages", "acme"]);
}

#[tokio::test]
async fn a_budget_that_is_used_up_is_told_with_its_end() {
    let (github, server) = started().await;
    let connector = opened(&server.url(), "acme", basic(TOKEN)).await;
    let end = jiff::Timestamp::now().as_second() + 1800;
    let fault = Answer::of(403, json!({"message": "API rate limit exceeded"}))
        .with("x-ratelimit-remaining", "0")
        .with("x-ratelimit-reset", end.to_string());
    github.faults.lock().unwrap().push(fault);
    let error = connector.images("app", &Wanted::with_dates(), &Context::new()).await.unwrap_err();
    assert_told(&error, Kind::RateLimited, &["app"]);
    assert!(error.retry_after().is_some_and(|delay| delay.as_secs() > 1700), "{error:?}");
}

#[tokio::test]
async fn nothing_is_lost_in_the_middle_of_a_run() {
    let password = Arc::new(Password::new());
    let now = Arc::clone(&password);
    let github = GitHub::default();
    let server = Imitation::start(move |asked| github.answer(&asked.own, &now.seen(asked, TOKEN))).await;
    let json = json!({"kind": "ghcr", "url": server.url(), "api_url": server.url(), "owner": "acme"});
    let registry = Registry::from_json(&json.to_string()).unwrap();
    let product = Product {
        registry: registry.credential(Credential::basic("me", password.secret())),
        password: &password,
        dates: (&server, "/packages/"),
        tags: (&server, "/tags/list"),
        challenge: None,
    };
    lapses::suite(product, "app").await;
}

#[tokio::test]
async fn what_is_not_there_is_told_apart_from_a_wrong_token() {
    let (_, server) = started().await;
    let registry = |credential| {
        let json = json!({"kind": "ghcr", "url": server.url(), "api_url": server.url(), "owner": "acme"});
        Registry::from_json(&json.to_string()).unwrap().credential(credential)
    };
    let context = Context::new();
    let steps = async |credential, repository: Option<&str>| {
        let done = check(&registry(credential), repository, &context).await.unwrap();
        assert!(!serde_json::to_string(&done).unwrap().contains("s3cret"));
        done.steps[3..].iter().map(|step| step.ok).collect::<Vec<_>>()
    };
    assert_eq!(steps(basic(TOKEN), None).await, [Some(true), Some(true), None]);
    // Named below the owner, as a listing names it.
    assert_eq!(steps(basic(TOKEN), Some("app")).await, [Some(true), Some(true), Some(true)]);
    assert_eq!(steps(basic(TOKEN), Some("acme/team/web")).await, [Some(true), Some(true), Some(true)]);
    assert_eq!(steps(basic(TOKEN), Some("typo")).await, [Some(true), Some(true), Some(false)]);
    assert_eq!(steps(basic("ghp_wrong-s3cret"), Some("app")).await, [Some(false), None, None]);
    // Without a login nothing is listed, which is no failure.
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config.path(), "{}").unwrap();
    for credential in [Credential::Anonymous, Credential::DockerConfig { path: Some(config.path().into()) }] {
        assert_eq!(steps(credential, Some("app")).await, [None, None, Some(true)]);
    }
    let error = opened(&server.url(), "acme", basic(TOKEN)).await;
    let error = error.images("typo", &Wanted::default(), &context).await.unwrap_err();
    assert_told(&error, Kind::NotFound, &["spelling", "typo"]);
}

#[tokio::test]
async fn a_token_that_ends_is_renewed_without_what_the_challenge_names() {
    let (_, server) = started().await;
    let connector = opened(&server.url(), "acme", basic(PULLS)).await;
    let (wanted, context) = (Wanted::default(), Context::new());
    assert_eq!(connector.images("app", &wanted, &context).await.unwrap().len(), 2);
    let placeholder =
        format!("Bearer realm=\"{0}/token\",service=\"ghcr.io\",scope=\"repository:user/image:pull\"", server.url());
    let ended = Answer::refused(401, "UNAUTHORIZED", "authentication required").with("www-authenticate", placeholder);
    server.fault("/tags/list", 1, ended);
    let tokens = server.count("/token");
    assert_eq!(connector.images("app", &wanted, &context).await.unwrap().len(), 2);
    assert_eq!(server.count("/token"), tokens + 1);
    assert!(server.log().iter().all(|line| !line.contains("user%2Fimage")), "{:?}", server.log());
}
