//! Google's registries, under both names, against an imitation of the token services, of Artifact Registry's API and of the
//! registry, written from the documented contract.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tidewaiter::conformance::connector::{Holding, suite};
use tidewaiter::model::digest::Digest;
use tidewaiter::model::record::{DateSource, ImageDate};
use tidewaiter::registry::{Connector, Credential, GoogleCredential, Registry, Secret, Wanted};
use tidewaiter::{Context, Kind, Result};

use super::imitation::{Answer, Asked, Imitation, assert_told};

/// A tag: repository of Artifact Registry, image, tag, content, when the content was uploaded.
const TAGS: [(&str, &str, &str, &str, &str); 6] = [
    ("images", "app", "1.4.2", "one", "2026-01-01T00:00:00.123456Z"),
    ("images", "app", "latest", "one", "2026-01-01T00:00:00.123456Z"),
    ("images", "app", "1.4.1", "two", "2025-01-01T00:00:00Z"),
    ("images", "team/web", "x", "three", "2024-01-01T00:00:00Z"),
    ("other", "tool", "y", "four", "2023-01-01T00:00:00.5Z"),
    ("gcr.io", "old/app", "z", "five", "2022-01-01T00:00:00Z"),
];

/// The key of the service account; made once, since that takes its time.
fn key() -> &'static (String, Vec<u8>) {
    static KEY: OnceLock<(String, Vec<u8>)> = OnceLock::new();
    KEY.get_or_init(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: aws_lc_rs::encoding::Pkcs8V1Der = pair.as_der().unwrap();
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
        (pem, pair.public_key().as_ref().to_vec())
    })
}

#[derive(Default)]
struct Google {
    tokens: Mutex<BTreeSet<String>>,
    given: AtomicUsize,
    denied: AtomicBool,
    /// The API is not enabled; the registry works nevertheless.
    disabled: AtomicBool,
    /// Seconds by which its clock is ahead of ours.
    ahead: AtomicI64,
    faults: Mutex<Vec<Answer>>,
}

impl Google {
    fn answer(&self, url: &str, asked: &Asked) -> Answer {
        let path: Vec<_> = asked.path.trim_matches('/').split('/').collect();
        match path[..] {
            ["token"] => self.oauth(url, asked),
            ["v2", "token"] => self.registry_token(asked),
            ["v1", "projects", "acme", "locations", location, ref rest @ ..] => self.api(location, rest, asked),
            ["v2", ref rest @ ..] => self.registry(url, rest, asked),
            _ => Answer::of(404, json!({})),
        }
    }

    fn token(&self) -> Answer {
        let token = format!("ya29.planted-s3cret-{}", self.given.fetch_add(1, Ordering::Relaxed));
        self.tokens.lock().unwrap().insert(token.clone());
        Answer::json(json!({"access_token": token, "expires_in": 3599, "token_type": "Bearer"}))
    }

    /// oauth2.googleapis.com: looks at the signature of the assertion.
    fn oauth(&self, url: &str, asked: &Asked) -> Answer {
        let refused = |text: &str| Answer::of(400, json!({"error": "invalid_grant", "error_description": text}));
        match asked.field("grant_type").as_str() {
            "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
                let assertion = asked.field("assertion");
                let (text, signature) = assertion.rsplit_once('.').unwrap();
                let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key().1);
                let part = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
                if public.verify(text.as_bytes(), &part(signature)).is_err() {
                    return refused("Invalid JWT Signature.");
                }
                let (header, claims) = text.split_once('.').unwrap();
                let header: Value = serde_json::from_slice(&part(header)).unwrap();
                let claims: Value = serde_json::from_slice(&part(claims)).unwrap();
                assert_eq!((&header["alg"], &header["kid"]), (&json!("RS256"), &json!("key-1")));
                assert_eq!(
                    (&claims["iss"], &claims["aud"]),
                    (&json!("reader@acme.example"), &json!(format!("{url}/token")))
                );
                let time = |claim: &str| claims[claim].as_i64().unwrap();
                assert_eq!(time("exp") - time("iat"), 3600);
                let now = jiff::Timestamp::now().as_second() + self.ahead.load(Ordering::Relaxed);
                if !(time("iat") - 300..time("exp")).contains(&now) {
                    let date = jiff::fmt::rfc2822::DateTimePrinter::new()
                        .timestamp_to_rfc9110_string(&jiff::Timestamp::from_second(now).unwrap())
                        .unwrap();
                    return refused("Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.")
                        .with("date", date);
                }
                self.token()
            }
            "refresh_token" if asked.field("refresh_token") == "planted-refresh-s3cret" => self.token(),
            "urn:ietf:params:oauth:grant-type:token-exchange" if asked.field("subject_token") == "subject" => {
                self.token()
            }
            _ => refused("Bad Request"),
        }
    }

    fn holds(&self, token: &str) -> bool {
        self.tokens.lock().unwrap().contains(token)
    }

    /// The API: one entry a page, whatever is asked for.
    fn api(&self, location: &str, rest: &[&str], asked: &Asked) -> Answer {
        let refused = |code: u16, status: &str, message: &str| {
            Answer::of(code, json!({"error": {"code": code, "message": message, "status": status}}))
        };
        if !self.holds(asked.header("authorization").strip_prefix("Bearer ").unwrap_or_default()) {
            return refused(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.");
        }
        if let Some(fault) = self.faults.lock().unwrap().pop() {
            return fault;
        }
        if self.denied.load(Ordering::Relaxed) || self.disabled.load(Ordering::Relaxed) {
            return refused(
                403,
                "PERMISSION_DENIED",
                "Permission 'artifactregistry.repositories.list' denied on resource (or it may not exist).",
            );
        }
        assert_eq!((location, asked.param("pageSize")), ("us", "1000"));
        let base = "projects/acme/locations/us/repositories";
        let distinct = |names: Vec<String>| names.into_iter().collect::<BTreeSet<_>>().into_iter();
        let (name, items): (_, Vec<Value>) = match rest {
            ["repositories"] => {
                let mut items: Vec<_> = distinct(
                    TAGS.iter().map(|tag| tag.0.to_owned()).filter(|name| name != "gcr.io").collect(),
                )
                .map(
                    |name| json!({"name": format!("{base}/{name}"), "format": "DOCKER", "mode": "STANDARD_REPOSITORY"}),
                )
                .collect();
                items.push(json!({"name": format!("{base}/python"), "format": "PYTHON"}));
                ("repositories", items)
            }
            ["repositories", place, "packages"] => {
                let images = TAGS.iter().filter(|tag| tag.0 == *place).map(|tag| tag.1.replace('/', "%2F")).collect();
                (
                    "packages",
                    distinct(images).map(|image| json!({"name": format!("{base}/{place}/packages/{image}")})).collect(),
                )
            }
            ["repositories", place, "packages", image, list] => {
                let tags: Vec<_> =
                    TAGS.iter().filter(|tag| tag.0 == *place && tag.1.replace('/', "%2F") == *image).collect();
                if tags.is_empty() {
                    return refused(404, "NOT_FOUND", "Requested entity was not found.");
                }
                let version = |content: &str| {
                    format!("{base}/{place}/packages/{image}/versions/{}", Digest::of(content.as_bytes()))
                };
                match *list {
                    "tags" => ("tags", tags.iter().map(|tag| json!({"name": format!("{base}/{place}/packages/{image}/tags/{}", tag.2), "version": version(tag.3)})).collect()),
                    "versions" => {
                        assert_eq!(asked.param("view"), "FULL");
                        let mut seen = BTreeSet::new();
                        let versions = tags.iter().filter(|tag| seen.insert(tag.3));
                        ("versions", versions.map(|tag| json!({"name": version(tag.3), "createTime": tag.4, "updateTime": "2026-09-09T00:00:00Z",
                            "metadata": {"imageSizeBytes": "48231122", "mediaType": "application/vnd.oci.image.index.v1+json"}})).collect())
                    }
                    _ => return Answer::of(404, json!({})),
                }
            }
            _ => return Answer::of(404, json!({})),
        };
        let from: usize = asked.param("pageToken").trim_start_matches("opaque/+=").parse().unwrap_or_default();
        let next = if from + 1 < items.len() { format!("opaque/+={}", from + 1) } else { String::new() };
        Answer::json(json!({name: items[from..(from + 1).min(items.len())], "nextPageToken": next}))
    }

    fn registry_token(&self, asked: &Asked) -> Answer {
        let sent = asked.header("authorization");
        let plain = sent.strip_prefix("Basic ").map(|text| String::from_utf8(STANDARD.decode(text).unwrap()).unwrap());
        let is_good = plain
            .as_deref()
            .is_none_or(|plain| plain.strip_prefix("oauth2accesstoken:").is_some_and(|token| self.holds(token)));
        if !is_good {
            return Answer::refused(401, "UNAUTHORIZED", "Unauthorized access.");
        }
        let token = if plain.is_some() { "planted-registry-s3cret" } else { "anonymous" };
        Answer::json(json!({"token": token}))
    }

    /// The registry, whose list of tags says more than others'.
    fn registry(&self, url: &str, rest: &[&str], asked: &Asked) -> Answer {
        if asked.header("authorization").is_empty() {
            // The service without quotes, as gcr.io has it.
            return Answer::refused(401, "UNAUTHORIZED", "Unauthorized access.")
                .with("www-authenticate", format!("Bearer realm=\"{url}/v2/token\",service=gcr.io"));
        }
        if self.denied.load(Ordering::Relaxed) {
            return Answer::refused(403, "DENIED", "Permission denied");
        }
        let path = rest.join("/");
        let Some(name) = path.strip_suffix("/tags/list").and_then(|path| path.strip_prefix("acme/")) else {
            return Answer::json(json!({}));
        };
        let mut manifest = serde_json::Map::new();
        let full = |tag: &(&str, &str, &str, &str, &str)| {
            if tag.0 == "gcr.io" { tag.1.to_owned() } else { format!("{}/{}", tag.0, tag.1) }
        };
        let tags: Vec<_> = TAGS.iter().filter(|tag| full(tag) == name).collect();
        for tag in &tags {
            let millis = tag.4.parse::<jiff::Timestamp>().unwrap().as_millisecond();
            let entry = manifest.entry(Digest::of(tag.3.as_bytes()).to_string()).or_insert_with(|| {
                json!({"imageSizeBytes": "48231122", "mediaType": "application/vnd.oci.image.index.v1+json", "tag": [], "timeCreatedMs": "0", "timeUploadedMs": millis.to_string()})
            });
            entry["tag"].as_array_mut().unwrap().push(json!(tag.2));
        }
        Answer::json(
            json!({"child": [], "manifest": manifest, "name": name, "tags": tags.iter().map(|tag| tag.2).collect::<Vec<_>>()}),
        )
    }
}

async fn started() -> (Arc<Google>, Imitation) {
    let google = Arc::new(Google::default());
    let answering = Arc::clone(&google);
    (google, Imitation::start(move |asked| answering.answer(&asked.own, asked)).await)
}

/// What a registry holds under one of its names; times in milliseconds where the registry itself says them.
fn holding(of: &str, name: impl Fn(&str, &str) -> String, in_millis: bool) -> Holding {
    let mut images = std::collections::BTreeMap::<_, (Vec<&str>, &str)>::new();
    for (place, image, tag, content, time) in TAGS {
        if of.is_empty() && place != "gcr.io" || of == place {
            images.entry((name(place, image), content)).or_insert((vec![], time)).0.push(tag);
        }
    }
    images.into_iter().fold(Holding::new(), |holding, ((name, content), (tags, time))| {
        let time: jiff::Timestamp = time.parse().unwrap();
        let time = if in_millis { jiff::Timestamp::from_millisecond(time.as_millisecond()).unwrap() } else { time };
        holding.image(
            &name,
            &Digest::of(content.as_bytes()),
            &tags,
            ImageDate::new(Some(time), DateSource::FirstPushed),
        )
    })
}

fn account(url: &str, pem: &str) -> GoogleCredential {
    let json = json!({"type": "service_account", "client_email": "reader@acme.example", "private_key": pem, "private_key_id": "key-1", "token_uri": format!("{url}/token")});
    GoogleCredential::service_account(Secret::value(json.to_string()))
}

async fn opened(url: &str, json: Value, credential: Credential) -> Result<Arc<dyn Connector>> {
    let mut json = json;
    json["url"] = json!(url);
    json["api_url"] = json!(url);
    super::connector(&Registry::from_json(&json.to_string()).unwrap().credential(credential)).await
}

fn gar() -> Value {
    json!({"kind": "gar", "project": "acme", "location": "us"})
}

fn full(place: &str, image: &str) -> String {
    format!("{place}/{image}")
}

fn short(_: &str, image: &str) -> String {
    image.to_owned()
}

#[tokio::test]
async fn suite_holds() {
    let (_, server) = started().await;
    let credential = || account(&server.url(), &key().0);
    let connector = opened(&server.url(), gar(), Credential::gar(credential())).await.unwrap();
    assert_eq!(connector.prefix(), "acme");
    suite(&*connector, &holding("", full, false)).await;
    let one = json!({"kind": "gar", "project": "acme", "location": "us", "repository": "images"});
    let connector = opened(&server.url(), one, Credential::gar(credential())).await.unwrap();
    assert_eq!(connector.prefix(), "acme/images");
    suite(&*connector, &holding("images", short, false)).await;
    let gcr = json!({"kind": "gcr", "project": "acme"});
    let connector = opened(&server.url(), gcr, Credential::gcr(credential())).await.unwrap();
    assert_eq!(connector.prefix(), "acme");
    suite(&*connector, &holding("gcr.io", short, false)).await;
}

#[tokio::test]
async fn suite_holds_for_nobody_who_names_repositories() {
    let (_, server) = started().await;
    let connector = opened(&server.url(), gar(), Credential::Anonymous).await.unwrap();
    suite(&*connector, &holding("", full, true)).await;
}

#[tokio::test]
async fn other_credentials_give_tokens_too() {
    let (_, server) = started().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), r#"{"token": "subject"}"#).unwrap();
    let token_url = format!("{}/token", server.url());
    for json in [
        json!({"type": "authorized_user", "client_id": "c", "client_secret": "planted-s3cret", "refresh_token": "planted-refresh-s3cret", "token_uri": token_url}),
        json!({"type": "external_account", "audience": "//iam", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": token_url,
            "credential_source": {"file": file.path(), "format": {"type": "json", "subject_token_field_name": "token"}}}),
    ] {
        let credential = GoogleCredential::service_account(Secret::value(json.to_string()));
        let connector = opened(&server.url(), gar(), Credential::gar(credential)).await.unwrap();
        assert_eq!(connector.images("images/app", &Wanted::with_dates(), &Context::new()).await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_token_that_ends_is_renewed_and_throttling_is_waited_out() {
    let (google, server) = started().await;
    let connector = opened(&server.url(), gar(), Credential::gar(account(&server.url(), &key().0))).await.unwrap();
    let images =
        || async { connector.images("images/app", &Wanted::with_dates(), &Context::new()).await.unwrap().len() };
    assert_eq!(images().await, 2);
    google.tokens.lock().unwrap().clear();
    assert_eq!(images().await, 2);
    google.faults.lock().unwrap().push(
        Answer::of(429, json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}})).with("retry-after", "0"),
    );
    assert_eq!(images().await, 2);
}

#[tokio::test]
async fn without_the_api_the_registry_says_it() {
    let (google, server) = started().await;
    google.disabled.store(true, Ordering::Relaxed);
    let connector = opened(&server.url(), gar(), Credential::gar(account(&server.url(), &key().0))).await.unwrap();
    let images = connector.images("images/app", &Wanted::with_dates(), &Context::new()).await.unwrap();
    assert_eq!(images.iter().filter(|image| image.date.source == DateSource::FirstPushed).count(), 2);
}

#[tokio::test]
async fn a_role_that_is_missing_is_named() {
    let (google, server) = started().await;
    google.denied.store(true, Ordering::Relaxed);
    let connector = opened(&server.url(), gar(), Credential::gar(account(&server.url(), &key().0))).await.unwrap();
    let error = connector.images("images/app", &Wanted::with_dates(), &Context::new()).await.unwrap_err();
    assert_told(&error, Kind::PermissionDenied, &["roles/artifactregistry.reader", "acme", "images/app"]);
}

#[tokio::test]
async fn a_key_that_was_deleted_is_told_and_not_shown() {
    let (_, server) = started().await;
    let other = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: aws_lc_rs::encoding::Pkcs8V1Der = other.as_der().unwrap();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()));
    let error = opened(&server.url(), gar(), Credential::gar(account(&server.url(), &pem))).await.err().unwrap();
    assert_told(&error, Kind::Unauthenticated, &["Invalid JWT Signature", "reader@acme.example", "clock"]);
    assert!(!format!("{error:?}").contains(&pem[40..80]));
}

#[tokio::test]
async fn a_clock_that_is_off_is_told() {
    let (google, server) = started().await;
    for (ahead, told) in [(7200, "s behind Google's"), (-7200, "s ahead of Google's")] {
        google.ahead.store(ahead, Ordering::Relaxed);
        let error =
            opened(&server.url(), gar(), Credential::gar(account(&server.url(), &key().0))).await.err().unwrap();
        assert_told(&error, Kind::Unauthenticated, &["reasonable timeframe", "set the clock", told]);
    }
}

#[tokio::test]
async fn the_check_names_images_as_a_listing_does() {
    let (_, server) = started().await;
    let json = json!({"kind": "gar", "project": "acme", "location": "us", "repository": "images", "url": server.url(), "api_url": server.url()});
    let registry = Registry::from_json(&json.to_string()).unwrap();
    let registry = registry.credential(Credential::gar(account(&server.url(), &key().0)));
    for name in ["app", "acme/images/app"] {
        let done = tidewaiter::registry::check(&registry, Some(name), &Context::new()).await.unwrap();
        assert!(done.is_ok() && done.steps.last().unwrap().detail.contains("acme/images/app"), "{done:?}");
    }
    assert_eq!(server.count("/v2/app/"), 0);
}
