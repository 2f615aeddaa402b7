//! Amazon's public registry, against an imitation of its API, its token server and its registry, written from the documented contract.
//! The signature is looked at in `ecr`, where it is the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tidewaiter::conformance::connector::{Holding, suite};
use tidewaiter::model::digest::Digest;
use tidewaiter::model::record::{DateSource, ImageDate};
use tidewaiter::registry::{AwsCredential, Connector, Credential, Registry, Secret, Wanted};
use tidewaiter::{Context, Kind};

use super::imitation::{Answer, Asked, Imitation, assert_told};

/// A tag: repository, tag, content, when the tag came into being.
const TAGS: [(&str, &str, &str, f64); 4] = [
    ("app", "1.4.2", "one", 1_767_225_600.5),
    ("app", "latest", "one", 1_767_225_700.0),
    ("app", "1.4.1", "two", 1_700_000_000.0),
    ("team/web", "x", "three", 1_600_000_000.0),
];

#[derive(Default)]
struct Gallery {
    passwords: AtomicUsize,
    /// Whether the registry takes tokens for expired once.
    expired: AtomicBool,
    /// Whether the caller may ask which registries are their own.
    denied: AtomicBool,
}

impl Gallery {
    fn answer(&self, url: &str, asked: &Asked) -> Answer {
        if asked.path == "/token/" {
            return self.token(asked);
        }
        if asked.path.starts_with("/v2/") {
            return self.registry(url, asked);
        }
        assert!(
            asked.header("authorization").contains("/us-east-1/ecr-public/aws4_request"),
            "{}",
            asked.header("authorization")
        );
        let body = asked.json();
        match asked.header("x-amz-target").strip_prefix("SpencerFrontendService.").unwrap() {
            "GetAuthorizationToken" => {
                let number = self.passwords.fetch_add(1, Ordering::Relaxed);
                let token = STANDARD.encode(format!("AWS:planted-s3cret-{number}"));
                Answer::json(
                    json!({"authorizationData": {"authorizationToken": token, "expiresAt": jiff::Timestamp::now().as_second() + 43200}}),
                )
            }
            "DescribeRegistries" if self.denied.load(Ordering::Relaxed) => {
                Answer::of(400, json!({"__type": "AccessDeniedException", "message": "not authorized"}))
            }
            "DescribeRegistries" => {
                let alias = |name: &str, status: &str| json!({"name": name, "status": status, "primaryRegistryAlias": name == "acme", "defaultRegistryAlias": name == "d1x2y3"});
                let registry = |aliases: Vec<Value>| json!({"registryId": "123456789012", "registryUri": "public.ecr.aws/acme", "aliases": aliases});
                let registries = vec![
                    registry(vec![alias("other", "REJECTED"), alias("d1x2y3", "ACTIVE")]),
                    registry(vec![alias("acme", "ACTIVE")]),
                ];
                page(&body, "registries", registries)
            }
            "DescribeRepositories" => {
                let mut names: Vec<_> = TAGS.iter().map(|tag| tag.0).collect();
                names.dedup();
                page(&body, "repositories", names.into_iter().map(|name| json!({"repositoryName": name, "repositoryUri": format!("public.ecr.aws/acme/{name}")})).collect())
            }
            "DescribeImageTags" => {
                let mut tags: Vec<_> = TAGS.iter().filter(|tag| body["repositoryName"] == tag.0).map(|(_, tag, content, created)| {
                    json!({"imageTag": tag, "createdAt": created, "imageDetail": {"imageDigest": Digest::of(content.as_bytes()).to_string(), "imageSizeInBytes": 7, "imagePushedAt": 1.5e9,
                        "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json", "artifactMediaType": "application/vnd.oci.image.config.v1+json"}})
                }).collect();
                if body["repositoryName"] == "app" {
                    tags.push(json!({"imageTag": "chart", "createdAt": 1.6e9, "imageDetail": {"imageDigest": Digest::of(b"chart").to_string(),
                        "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json", "artifactMediaType": "application/vnd.cncf.helm.config.v1+json"}}));
                }
                match tags.is_empty() {
                    true => Answer::of(
                        400,
                        json!({"__type": "RepositoryNotFoundException", "message": "The repository does not exist"}),
                    ),
                    false => page(&body, "imageTagDetails", tags),
                }
            }
            other => panic!("{other}"),
        }
    }

    fn token(&self, asked: &Asked) -> Answer {
        let sent = asked.header("authorization");
        let number = self.passwords.load(Ordering::Relaxed).wrapping_sub(1);
        let good = format!("Basic {}", STANDARD.encode(format!("AWS:planted-s3cret-{number}")));
        if !sent.is_empty() && sent != good {
            return Answer::of(403, json!({"message": "denied"}));
        }
        Answer::json(json!({"token": "planted-registry-s3cret"}))
    }

    fn registry(&self, url: &str, asked: &Asked) -> Answer {
        if asked.header("authorization").is_empty() {
            return Answer::refused(401, "UNAUTHORIZED", "Not Authorized").with(
                "www-authenticate",
                format!("Bearer realm=\"{url}/token/\",service=\"public.ecr.aws\",scope=\"aws\""),
            );
        }
        if self.expired.swap(false, Ordering::Relaxed) {
            return Answer::refused(
                400,
                "DENIED",
                "Your authorization token has expired. Reauthenticate and try again.",
            );
        }
        // What somebody else has there under the same name is something else.
        let (whose, path) = match asked.path.strip_prefix("/v2/other/") {
            Some(path) => ("other ", path),
            None => ("", asked.path.trim_start_matches("/v2/acme/")),
        };
        if let Some(name) = path.strip_suffix("/tags/list") {
            let tags: Vec<_> = TAGS.iter().filter(|tag| tag.0 == name).map(|tag| tag.1).collect();
            return match tags.is_empty() {
                true => Answer::refused(404, "NAME_UNKNOWN", "The repository does not exist"),
                false => Answer::json(json!({"name": name, "tags": tags})),
            };
        }
        if let Some((name, tag)) = path.split_once("/manifests/") {
            let content = TAGS.iter().find(|known| known.0 == name && known.1 == tag).unwrap().2;
            let digest = Digest::of(format!("{whose}{content}").as_bytes());
            return Answer::json(json!({})).with("docker-content-digest", digest.to_string());
        }
        Answer::json(json!({}))
    }
}

/// One entry a page.
fn page(body: &Value, name: &str, items: Vec<Value>) -> Answer {
    let from: usize = body["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
    let mut answer = json!({name: items[from..=from]});
    if from + 1 < items.len() {
        answer["nextToken"] = json!((from + 1).to_string());
    }
    Answer::json(answer)
}

fn holding(with_dates: bool) -> Holding {
    let date = |seconds: f64| {
        let time = jiff::Timestamp::from_millisecond((seconds * 1e3) as i64).ok();
        ImageDate::new(time.filter(|_| with_dates), DateSource::Pushed)
    };
    Holding::new()
        .image("app", &Digest::of(b"one"), &["1.4.2", "latest"], date(1_767_225_700.0))
        .image("app", &Digest::of(b"two"), &["1.4.1"], date(1_700_000_000.0))
        .image("team/web", &Digest::of(b"three"), &["x"], date(1_600_000_000.0))
}

async fn opened(credential: Credential, alias: &str) -> (Arc<Gallery>, Imitation, Arc<dyn Connector>) {
    let gallery = Arc::new(Gallery::default());
    let answering = Arc::clone(&gallery);
    let server = Imitation::start(move |asked| answering.answer(&asked.own, asked)).await;
    let json = json!({"kind": "ecr-public", "url": server.url(), "api_url": server.url(), "alias": alias});
    let registry = Registry::from_json(&json.to_string()).unwrap().credential(credential);
    let connector = super::connector(&registry).await.unwrap();
    (gallery, server, connector)
}

fn keys() -> Credential {
    Credential::aws(AwsCredential::keys("AKIDEXAMPLE", Secret::value("planted-s3cret")))
}

#[tokio::test]
async fn suite_holds_for_the_owner() {
    let (_, _server, connector) = opened(keys(), "acme").await;
    assert_eq!(connector.prefix(), "acme");
    suite(&*connector, &holding(true)).await;
    // Another of the own names, which pulls go by too.
    let (_, _server, connector) = opened(keys(), "d1x2y3").await;
    suite(&*connector, &holding(true)).await;
}

/// The API shows the caller's own registry, whatever name stands in the definition.
#[tokio::test]
async fn somebody_elses_alias_does_not_show_the_own_registry() {
    let (gallery, server, connector) = opened(keys(), "other").await;
    let context = Context::new();
    let listed: Vec<_> = connector.repositories(&Wanted::default(), &context).collect().await;
    let [Err(error)] = &listed[..] else { panic!("{listed:?}") };
    assert_told(error, Kind::Unsupported, &["name the repositories"]);
    let digests = async |connector: &dyn Connector, repository: &str| -> Vec<String> {
        let images = connector.images(repository, &Wanted::default(), &context).await.unwrap();
        images.iter().map(|image| image.digest.to_string()).collect()
    };
    let foreign = vec![Digest::of(b"other three").to_string()];
    assert_eq!(digests(&*connector, "team/web").await, foreign);
    // Who may only pull is told nothing by the API, and lists what everybody lists.
    gallery.denied.store(true, Ordering::Relaxed);
    let json = json!({"kind": "ecr-public", "url": server.url(), "api_url": server.url()});
    let registry = Registry::from_json(&json.to_string()).unwrap().credential(keys());
    let connector = super::connector(&registry).await.unwrap();
    assert_eq!(digests(&*connector, "other/team/web").await, foreign);
    // Without an alias in the definition each name says whose it is.
    gallery.denied.store(false, Ordering::Relaxed);
    assert_eq!(digests(&*connector, "acme/team/web").await, [Digest::of(b"three").to_string()]);
    assert_eq!(digests(&*connector, "other/team/web").await, foreign);
}

#[tokio::test]
async fn suite_holds_for_everybody_else() {
    let (gallery, _server, connector) = opened(Credential::Anonymous, "acme").await;
    // Some time, a token has expired: told with 400.
    gallery.expired.store(true, Ordering::Relaxed);
    suite(&*connector, &holding(false)).await;
}
