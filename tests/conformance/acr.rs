//! Microsoft's registries, against an imitation of Entra, of the registry's token service and of its lists, written from the
//! documented contract.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tidewaiter::conformance::connector::{Holding, suite};
use tidewaiter::model::record::{DateSource, ImageDate};
use tidewaiter::registry::{AzureCredential, Connector, Credential, Registry, Secret, Wanted};
use tidewaiter::{Context, Kind, Result};

use super::imitation::{Answer, Asked, Imitation, assert_told, claims, token};
use super::samples::{Image, holding, image, latest};

const SECRET: &str = "planted-s3cret-0451&+%";
const AUDIENCE: &str = "https://containerregistry.azure.net/.default";

/// What lies in it, each tag with the time when it was last moved.
fn stored() -> Vec<Image> {
    vec![
        image("base/alpine", "alpine", &[("3.20", "2025-03-04T16:30:46.7022734Z")]),
        image(
            "team/app",
            "one",
            &[
                ("1.4.2", "2026-03-04T16:30:46.7022734Z"),
                ("latest", "2026-03-05T16:30:46.7022734Z"),
                ("first", "2024-03-05T16:30:46.7022734Z"),
            ],
        ),
        image("team/app", "two", &[("1.4.1", "2026-02-05T16:30:46Z")]),
        image("web", "three", &[("x", "2026-01-01T00:00:00.0000001Z")]),
    ]
}

#[derive(Default)]
struct Cloud {
    images: Vec<Image>,
    /// What the registry's tokens are good for; a token that is not here has ended.
    tokens: Mutex<BTreeSet<String>>,
    exchanges: AtomicUsize,
    /// Whether rights end at pulling, as the built-in scope map has it.
    pulls_only: AtomicBool,
    /// Whether something in front of it drops the order that was asked for.
    in_any_order: AtomicBool,
    faults: Mutex<Vec<Answer>>,
}

impl Cloud {
    fn answer(&self, url: &str, asked: &Asked) -> Answer {
        match asked.path.as_str() {
            "/tenant/oauth2/v2.0/token" => entra(asked),
            "/oauth2/exchange" => self.exchange(url, asked),
            "/oauth2/token" => self.token(asked),
            _ => self.lists(url, asked),
        }
    }

    fn exchange(&self, url: &str, asked: &Asked) -> Answer {
        assert_eq!(asked.field("grant_type"), "access_token");
        assert_eq!(Some(asked.field("service").as_str()), url.strip_prefix("http://"));
        if asked.field("access_token") != "planted-entra-s3cret" {
            return Answer::refused(
                401,
                "UNAUTHORIZED",
                "authentication required, visit https://aka.ms/acr/authorization for more information.",
            );
        }
        if self.faults.lock().unwrap().last().is_some_and(|fault| fault.status == 403) {
            return self.faults.lock().unwrap().pop().unwrap();
        }
        let number = self.exchanges.fetch_add(1, Ordering::Relaxed) + 1;
        Answer::json(
            json!({"refresh_token": token(&json!({"exp": now() + 7200, "s3cret": format!("refresh {number}")}))}),
        )
    }

    /// Whether it is the refresh token that was given last.
    fn is_refresh(&self, token: &str) -> bool {
        claims(token)["s3cret"] == format!("refresh {}", self.exchanges.load(Ordering::Relaxed))
    }

    /// 200 even where less is granted than was asked for.
    fn token(&self, asked: &Asked) -> Answer {
        let scopes = match asked.method.as_str() {
            "POST" => {
                let refresh = asked.field("refresh_token");
                if asked.field("grant_type") != "refresh_token" || !self.is_refresh(&refresh) {
                    return Answer::refused(401, "UNAUTHORIZED", "authentication required");
                }
                asked.field("scope")
            }
            _ => {
                if asked.header("authorization") != format!("Basic {}", STANDARD.encode(format!("scoped:{SECRET}"))) {
                    return Answer::refused(401, "UNAUTHORIZED", "authentication required");
                }
                let pairs = url::form_urlencoded::parse(asked.query.as_bytes());
                let scopes: Vec<_> =
                    pairs.filter(|(name, _)| name == "scope").map(|(_, value)| value.into_owned()).collect();
                scopes.join(" ")
            }
        };
        let granted: Vec<_> = scopes
            .split(' ')
            .filter(|scope| {
                let is_list = scope.ends_with("metadata_read") || scope.starts_with("registry:");
                !(is_list && self.pulls_only.load(Ordering::Relaxed))
            })
            .collect();
        let number = self.tokens.lock().unwrap().len();
        let token = token(&json!({"exp": now() + 4500, "access": granted, "s3cret": number}));
        self.tokens.lock().unwrap().insert(format!("{token} {}", granted.join(" ")));
        Answer::json(json!({"access_token": token}))
    }

    fn lists(&self, url: &str, asked: &Asked) -> Answer {
        let path = asked.path.trim_start_matches("/acr/v1/").trim_start_matches("/v2/");
        let (scope, name) = match path.rsplit_once('/') {
            _ if path.starts_with("_catalog") => ("registry:catalog:*".to_owned(), ""),
            Some((name, "_tags")) => (format!("repository:{name}:metadata_read"), name),
            Some((name, "list")) => (format!("repository:{}:metadata_read", name.trim_end_matches("/tags")), name),
            _ => (String::new(), ""),
        };
        let token = asked.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
        let is_good = self.tokens.lock().unwrap().iter().any(|known| {
            known
                .split_once(' ')
                .is_some_and(|(known, scopes)| known == token && scopes.split(' ').any(|known| known == scope))
        });
        if !is_good {
            return Answer::of(401, json!({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required", "detail": [{"Type": "repository", "Name": name, "Action": "metadata_read"}]}]}))
                .with("www-authenticate", format!("Bearer realm=\"{url}/oauth2/token\",service=\"{}\",scope=\"{scope}\"", url.strip_prefix("http://").unwrap()));
        }
        if let Some(fault) = self.faults.lock().unwrap().pop() {
            return fault;
        }
        assert_eq!(asked.param("n"), "1000");
        let last = asked.param("last");
        if path.starts_with("_catalog") {
            let names = self.images.iter().map(|image| image.repository.as_str());
            let names: BTreeSet<_> = names.filter(|name| *name > last).collect();
            let page: Vec<_> = names.iter().take(2).collect();
            let answer = Answer::json(json!({"repositories": page}));
            // The link names the other API.
            return match names.len() > 2 {
                true => answer.with(
                    "link",
                    format!("</v2/_catalog?last={}&n=1000&orderby=>; rel=\"next\"", page[1].replace('/', "%2F")),
                ),
                false => answer,
            };
        }
        let of_image = |image: &'_ Image| {
            let digest = image.digest.to_string();
            image.tags.iter().map(move |(tag, time)| (tag.clone(), digest.clone(), time.clone())).collect::<Vec<_>>()
        };
        let mut tags: Vec<_> = self.images.iter().filter(|image| image.repository == name).flat_map(of_image).collect();
        if tags.is_empty() {
            return Answer::of(
                404,
                json!({"errors": [{"code": "NAME_UNKNOWN", "message": "repository name not known to registry", "detail": {"name": name}}]}),
            );
        }
        let order = asked.param("orderby");
        match order {
            "timedesc" if !self.in_any_order.load(Ordering::Relaxed) => tags.sort_by(|a, b| b.2.cmp(&a.2)),
            "timedesc" => tags.sort_by(|a, b| a.2.cmp(&b.2)),
            "" => tags.sort(),
            other => panic!("{other}"),
        }
        let from = tags.iter().position(|tag| tag.0 == last).map_or(0, |found| found + 1);
        let page: Vec<Value> = tags[from..].iter().take(2).map(|(tag, digest, time)| {
            json!({"name": tag, "digest": digest, "createdTime": "2020-01-01T00:00:00Z", "lastUpdateTime": time})
        }).collect();
        let answer = Answer::json(json!({"registry": "x", "imageName": name, "tags": page}));
        match tags.len() > from + 2 {
            true => answer.with(
                "link",
                format!(
                    "</acr/v1/{name}/_tags?api-version=2021-07-01&last={}&n=1000&orderby={order}>; rel=\"next\"",
                    tags[from + 1].0
                ),
            ),
            false => answer,
        }
    }
}

/// Microsoft Entra: a service principal with its secret.
fn entra(asked: &Asked) -> Answer {
    assert_eq!(asked.field("grant_type"), "client_credentials");
    assert_eq!(asked.field("scope"), AUDIENCE);
    if asked.field("client_id") != "application" {
        return Answer::of(
            400,
            json!({"error": "unauthorized_client", "error_description": "AADSTS700016: Application was not found"}),
        );
    }
    let is_assertion = asked.field("client_assertion") == "federated-token";
    if asked.field("client_secret") != SECRET && !is_assertion {
        return Answer::of(
            401,
            json!({"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided.", "error_codes": [7000215]}),
        );
    }
    Answer::json(json!({"token_type": "Bearer", "expires_in": 3599, "access_token": "planted-entra-s3cret"}))
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

async fn started_with(images: Vec<Image>) -> (Arc<Cloud>, Imitation) {
    let cloud = Arc::new(Cloud { images, ..Cloud::default() });
    let answering = Arc::clone(&cloud);
    (cloud, Imitation::start(move |asked| answering.answer(&asked.own, asked)).await)
}

async fn started() -> (Arc<Cloud>, Imitation) {
    started_with(stored()).await
}

/// A registry of Azure with these images.
pub async fn holding_images(images: Vec<Image>) -> (Imitation, Registry) {
    let (_, server) = started_with(images).await;
    let registry = definition(&server.url(), principal(SECRET));
    (server, registry)
}

fn held() -> Holding {
    holding(&stored(), |image| ImageDate::read(latest(image), DateSource::Pushed))
}

fn definition(url: &str, credential: AzureCredential) -> Registry {
    let registry = Registry::from_json(&json!({"kind": "acr", "url": url}).to_string()).unwrap();
    registry.credential(Credential::azure(credential.with_authority(url)))
}

async fn opened(url: &str, credential: AzureCredential) -> Result<Arc<dyn Connector>> {
    super::connector(&definition(url, credential)).await
}

fn principal(secret: &str) -> AzureCredential {
    AzureCredential::client_secret("tenant", "application", Secret::value(secret))
}

async fn tags(connector: &dyn Connector) -> Result<usize> {
    connector.images("team/app", &Wanted::with_dates(), &Context::new()).await.map(|images| images.len())
}

#[tokio::test]
async fn suite_holds() {
    let (_, server) = started().await;
    suite(&*opened(&server.url(), principal(SECRET)).await.unwrap(), &held()).await;
}

#[tokio::test]
async fn suite_holds_with_a_workload_identity() {
    let (_, server) = started().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "federated-token\n").unwrap();
    let json = json!({"tenant_id": "tenant", "client_id": "application", "federated_token_file": file.path()});
    suite(&*opened(&server.url(), serde_json::from_value(json).unwrap()).await.unwrap(), &held()).await;
}

/// What is pushed between two pages moves to the front of those that are sorted by time, and is missed there.
#[tokio::test]
async fn whole_lists_are_asked_for_by_name() {
    let (_, server) = started().await;
    let connector = opened(&server.url(), principal(SECRET)).await.unwrap();
    assert_eq!(tags(&*connector).await.unwrap(), 2);
    assert_eq!(server.count("orderby=timedesc"), 0);
}

#[tokio::test]
async fn a_list_without_order_is_read_to_its_end() {
    let (cloud, server) = started().await;
    cloud.in_any_order.store(true, Ordering::Relaxed);
    let connector = opened(&server.url(), principal(SECRET)).await.unwrap();
    let mut wanted = Wanted::with_dates();
    wanted.since = Some("2026-03-01T00:00:00Z".parse().unwrap());
    let images = connector.images("team/app", &wanted, &Context::new()).await.unwrap();
    assert_eq!(images.iter().map(|image| image.tags.len()).collect::<Vec<_>>(), [3], "{images:?}");
}

#[tokio::test]
async fn a_repository_that_is_too_old_costs_one_page() {
    let (_, server) = started().await;
    let connector = opened(&server.url(), principal(SECRET)).await.unwrap();
    let mut wanted = Wanted::with_dates();
    wanted.since = Some("2026-06-01T00:00:00Z".parse().unwrap());
    assert!(connector.images("team/app", &wanted, &Context::new()).await.unwrap().is_empty());
    let pages = server
        .asked()
        .iter()
        .filter(|asked| asked.path.ends_with("_tags") && !asked.header("authorization").is_empty())
        .count();
    assert_eq!(pages, 1);
}

#[tokio::test]
async fn a_scoped_token_lists_what_it_may() {
    let (_, server) = started().await;
    let connector = opened(&server.url(), AzureCredential::user("scoped", Secret::value(SECRET))).await.unwrap();
    assert_eq!(tags(&*connector).await.unwrap(), 2);
}

#[tokio::test]
async fn a_right_to_pull_alone_is_told() {
    let (cloud, server) = started().await;
    cloud.pulls_only.store(true, Ordering::Relaxed);
    let connector = opened(&server.url(), AzureCredential::user("scoped", Secret::value(SECRET))).await.unwrap();
    let error = tags(&*connector).await.unwrap_err();
    assert_told(&error, Kind::PermissionDenied, &["metadata/read", "team/app"]);
    use futures_util::TryStreamExt as _;
    let (wanted, context) = (Wanted::default(), Context::new());
    let error = connector.repositories(&wanted, &context).try_next().await.unwrap_err();
    assert_told(&error, Kind::PermissionDenied, &["name the repositories", "AcrPull"]);
}

#[tokio::test]
async fn what_entra_refuses_is_told() {
    let (_, server) = started().await;
    for (credential, named) in [
        (principal("wrong-s3cret"), ["the secret is wrong", "AADSTS7000215"]),
        (
            AzureCredential::client_secret("tenant", "other", Secret::value(SECRET)),
            ["no such application", "client_id"],
        ),
    ] {
        let error = opened(&server.url(), credential).await.err().unwrap();
        assert_told(&error, Kind::Unauthenticated, &named);
    }
    let error = opened(&server.url(), AzureCredential::client_secret("a/../b", "x", Secret::value(SECRET)))
        .await
        .err()
        .unwrap();
    assert_told(&error, Kind::InvalidInput, &["tenant_id"]);
}

#[tokio::test]
async fn a_firewall_is_told() {
    let (cloud, server) = started().await;
    let message = "client with IP '203.0.113.7' is not allowed access. Refer https://aka.ms/acr/firewall";
    cloud.faults.lock().unwrap().push(Answer::refused(403, "DENIED", message));
    let error = opened(&server.url(), principal(SECRET)).await.err().unwrap();
    assert_told(&error, Kind::PermissionDenied, &["203.0.113.7", "firewall"]);
}

#[tokio::test]
async fn tokens_that_end_are_renewed_and_throttling_is_waited_out() {
    let (cloud, server) = started().await;
    let connector = opened(&server.url(), principal(SECRET)).await.unwrap();
    assert_eq!(tags(&*connector).await.unwrap(), 2);
    cloud.tokens.lock().unwrap().clear();
    assert_eq!(tags(&*connector).await.unwrap(), 2);
    cloud
        .faults
        .lock()
        .unwrap()
        .push(Answer::refused(429, "TOOMANYREQUESTS", "too many requests").with("retry-after", "0"));
    assert_eq!(tags(&*connector).await.unwrap(), 2);
    assert_eq!(cloud.exchanges.load(Ordering::Relaxed), 1);
    // The refresh token has ended too: the one of Entra is exchanged once more.
    cloud.tokens.lock().unwrap().clear();
    cloud.exchanges.store(2, Ordering::Relaxed);
    assert_eq!(tags(&*connector).await.unwrap(), 2);
    assert_eq!(cloud.exchanges.load(Ordering::Relaxed), 3);
}
