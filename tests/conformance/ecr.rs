//! Amazon's private registries, against an imitation of the API (which checks each signature), of the token service and of the
//! registry, written from the documented contract.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use base64::Engine as _;
use serde_json::{Value, json};
use tidewaiter::conformance::connector::{Holding, suite};
use tidewaiter::model::digest::Digest;
use tidewaiter::model::record::{DateSource, ImageDate};
use tidewaiter::net::client::Request;
use tidewaiter::registry::{AwsCredential, Connection, Connector, Credential, Registry, Secret, StepName, Wanted, v2};
use tidewaiter::{Context, Kind, Result};

use super::aws::{self, Key, Refused};
use super::imitation::{Answer, Asked, Imitation, assert_told};

const ACCOUNT: &str = "123456789012";
const REGION: &str = "eu-west-1";
const SECRET: &str = "planted-s3cret-0451/+";

/// What an account holds, and what goes wrong next.
#[derive(Default)]
struct Account {
    keys: Mutex<BTreeMap<String, Key>>,
    /// Answers that come first, in this order.
    faults: Mutex<Vec<Answer>>,
    /// Seconds by which the clock is ahead.
    ahead: AtomicUsize,
    passwords: AtomicUsize,
    /// Whether the registry takes the password that it gave last for expired.
    expired: AtomicBool,
    denied: AtomicBool,
}

/// An image: repository, digest, tags, when it was pushed, the type of its configuration.
type Image = (&'static str, Digest, Vec<String>, f64, Option<&'static str>);

fn images() -> Vec<Image> {
    let config = Some("application/vnd.oci.image.config.v1+json");
    let mut images = vec![
        ("team/app", Digest::of(b"1"), vec!["1.4.2".into(), "latest".into()], 1_767_225_600.123, config),
        ("team/app", Digest::of(b"2"), vec![], 1_767_225_599.0, config),
        (
            "team/app",
            Digest::of(b"chart"),
            vec!["chart".into()],
            1_767_225_598.0,
            Some("application/vnd.cncf.helm.config.v1+json"),
        ),
        ("web", Digest::of(b"3"), vec!["a".into()], 1_600_000_000.0, None),
    ];
    // More than one page.
    images.extend((0..2500).map(|n| {
        (
            "many",
            Digest::of(format!("many {n}").as_bytes()),
            vec![format!("t{n}")],
            1_700_000_000.0 + f64::from(n),
            config,
        )
    }));
    images
}

fn holding() -> Holding {
    images().into_iter().filter(|image| image.0 != "team/app" || image.2 != ["chart"]).fold(
        Holding::new(),
        |holding, image| {
            let (repository, digest, tags, pushed, _) = image;
            let time = jiff::Timestamp::from_millisecond((pushed * 1e3).round() as i64).ok();
            let tags: Vec<_> = tags.iter().map(String::as_str).collect();
            holding.image(repository, &digest, &tags, ImageDate::new(time, DateSource::FirstPushed))
        },
    )
}

fn error(name: &str, message: &str) -> Answer {
    // In one of the forms that are seen.
    Answer::of(400, json!({"__type": format!("com.amazonaws.ecr#{name}"), "message": message}))
}

impl Account {
    fn answer(&self, url: &str, asked: &Asked) -> Answer {
        if asked.path.starts_with("/v2/") {
            return self.registry(asked);
        }
        if !asked.field("Action").is_empty() {
            return self.sts(asked);
        }
        if let Some(fault) = self.faults.lock().unwrap().pop() {
            return fault;
        }
        if let Err((refused, date)) = self.signature(asked, "ecr") {
            return error(refused.code, &refused.message).with("date", date);
        }
        let target = asked.header("x-amz-target").strip_prefix("AmazonEC2ContainerRegistry_V20150921.");
        assert_eq!(asked.header("content-type"), "application/x-amz-json-1.1");
        let body = asked.json();
        if self.denied.load(Ordering::Relaxed) {
            return error(
                "AccessDeniedException",
                "User: arn:aws:iam::1:user/x is not authorized to perform: ecr:DescribeImages",
            );
        }
        match target {
            Some("GetAuthorizationToken") => {
                let number = self.passwords.fetch_add(1, Ordering::Relaxed) + 1;
                self.expired.store(false, Ordering::Relaxed);
                let token = base64::engine::general_purpose::STANDARD.encode(format!("AWS:planted-s3cret:{number}"));
                let expires = jiff::Timestamp::now().as_second() as f64 + 43200.5;
                Answer::json(
                    json!({"authorizationData": [{"authorizationToken": token, "expiresAt": expires, "proxyEndpoint": url}]}),
                )
            }
            Some("DescribeRepositories") => {
                assert_eq!(body["registryId"], ACCOUNT);
                let mut names: Vec<_> = images().into_iter().map(|image| image.0).collect();
                names.dedup();
                page(
                    &body,
                    "repositories",
                    names.into_iter().map(|name| json!({"repositoryName": name, "registryId": ACCOUNT})).collect(),
                    2,
                )
            }
            Some("DescribeImages") => {
                let name = body["repositoryName"].as_str().unwrap();
                let tagged = body["filter"]["tagStatus"] == "TAGGED";
                let found: Vec<_> = images().into_iter().filter(|image| image.0 == name).collect();
                if found.is_empty() {
                    return error("RepositoryNotFoundException", "The repository does not exist in the registry");
                }
                let details = found.into_iter().filter(|image| !tagged || !image.2.is_empty()).map(|(_, digest, tags, pushed, artifact)| {
                    let mut detail = json!({"registryId": ACCOUNT, "repositoryName": name, "imageDigest": digest.to_string(), "imagePushedAt": pushed,
                        "imageSizeInBytes": 48231122, "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json", "imageStatus": "ACTIVE"});
                    if !tags.is_empty() {
                        detail["imageTags"] = json!(tags);
                    }
                    if let Some(artifact) = artifact {
                        detail["artifactMediaType"] = json!(artifact);
                    }
                    detail
                });
                page(&body, "imageDetails", details.collect(), 1000)
            }
            other => error("UnknownOperationException", &format!("{other:?}")),
        }
    }

    /// Whether a request of one of the services is signed; what is refused, and the time of the service.
    fn signature(&self, asked: &Asked, service: &str) -> Result<(), (Refused, String)> {
        let now = jiff::Timestamp::now().as_second() + self.ahead.load(Ordering::Relaxed) as i64;
        let checked = aws::check(asked, &self.keys.lock().unwrap(), (REGION, service), now);
        checked.map_err(|refused| (refused, date(now)))
    }

    /// The token service: a role for who knows the external id.
    fn sts(&self, asked: &Asked) -> Answer {
        let refused = |code: &str, message: &str| {
            let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
            Answer::new(403, "text/xml", format!("<ErrorResponse>{error}</ErrorResponse>"))
        };
        if let Err((why, date)) = self.signature(asked, "sts") {
            return refused("SignatureDoesNotMatch", &why.message).with("date", date);
        }
        if asked.field("ExternalId") != "ext-42" {
            return refused("AccessDenied", "User: arn:aws:iam::1:user/x is not authorized to perform: sts:AssumeRole");
        }
        let mut keys = self.keys.lock().unwrap();
        // A role's key lives as long as the next one is asked for.
        keys.retain(|id, _| !id.starts_with("ASIA"));
        let number = asked.header("x-amz-date").len() + self.passwords.fetch_add(1, Ordering::Relaxed);
        keys.insert(format!("ASIA{number}"), ("planted-role-s3cret".into(), Some("planted/session&s3cret".into())));
        let end = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() + 3600).unwrap();
        Answer::new(
            200,
            "text/xml",
            format!(
                "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA{number}</AccessKeyId><SecretAccessKey>planted-role-s3cret</SecretAccessKey>\
             <SessionToken>planted/session&amp;s3cret</SessionToken><Expiration>{end}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
            ),
        )
    }

    /// The registry: Basic with the password of the API; an expired one gets 403 and no challenge.
    fn registry(&self, asked: &Asked) -> Answer {
        let number = self.passwords.load(Ordering::Relaxed);
        let good = format!(
            "Basic {}",
            base64::engine::general_purpose::STANDARD.encode(format!("AWS:planted-s3cret:{number}"))
        );
        if asked.header("authorization").is_empty() {
            return Answer::refused(401, "UNAUTHORIZED", "Not Authorized").with(
                "www-authenticate",
                format!(
                    "Basic realm=\"https://{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/\",service=\"ecr.amazonaws.com\""
                ),
            );
        }
        if asked.header("authorization") != good || self.expired.load(Ordering::Relaxed) {
            return Answer::refused(
                403,
                "DENIED",
                "Your authorization token has expired. Reauthenticate and try again.",
            );
        }
        if asked.path.ends_with("/tags/list") && asked.param("n").parse::<u32>().is_ok_and(|n| n > 1000) {
            return Answer::refused(405, "UNSUPPORTED", "Member must have value less than or equal to 1000");
        }
        if asked.path.contains("/manifests/") {
            return Answer::json(json!({})).with("docker-content-digest", Digest::of(b"1").to_string());
        }
        let tags = json!({"name": "team/app", "tags": ["1.4.2"]});
        Answer::new(200, "text/plain; charset=utf-8", tags.to_string())
    }
}

/// A page of at most so many, with an opaque token for the next, and an empty page in between.
fn page(body: &Value, name: &str, items: Vec<Value>, at_most: usize) -> Answer {
    let size = (body["maxResults"].as_u64().unwrap_or(100) as usize).min(at_most);
    assert!(body["maxResults"].as_u64().unwrap_or(1) <= 1000, "InvalidParameterException");
    let token = body["nextToken"].as_str().unwrap_or_default();
    let from: usize = token.trim_start_matches("opaque/+=").parse().unwrap_or_default();
    if from > 0 && !token.ends_with(' ') {
        return Answer::json(json!({name: [], "nextToken": format!("{token} ")}));
    }
    let from: usize = token.trim_start_matches("opaque/+=").trim().parse().unwrap_or_default();
    let to = (from + size).min(items.len());
    let mut answer = json!({name: items[from..to]});
    if to < items.len() {
        answer["nextToken"] = json!(format!("opaque/+={to}"));
    }
    Answer::json(answer)
}

/// A time as the header `Date` has it.
fn date(second: i64) -> String {
    let time = jiff::Timestamp::from_second(second).unwrap();
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap()
}

async fn started() -> (Arc<Account>, Imitation) {
    let account = Arc::new(Account::default());
    account.keys.lock().unwrap().insert("AKIDEXAMPLE".into(), (SECRET.into(), None));
    let server = Imitation::start({
        let account = Arc::clone(&account);
        move |asked| account.answer(&asked.own, asked)
    })
    .await;
    (account, server)
}

fn registry(url: &str, credential: AwsCredential) -> Registry {
    let json = json!({"kind": "ecr", "region": REGION, "account": ACCOUNT, "url": url, "endpoint": url});
    Registry::from_json(&json.to_string()).unwrap().credential(Credential::aws(credential))
}

fn keys() -> AwsCredential {
    AwsCredential::keys("AKIDEXAMPLE", Secret::value(SECRET))
}

async fn opened(url: &str, credential: AwsCredential) -> Result<Arc<dyn Connector>> {
    super::connector(&registry(url, credential)).await
}

#[tokio::test]
async fn suite_holds() {
    let (_, server) = started().await;
    suite(&*opened(&server.url(), keys()).await.unwrap(), &holding()).await;
}

#[tokio::test]
async fn suite_holds_with_a_role() {
    let (_, server) = started().await;
    let role = keys().with_role("arn:aws:iam::123456789012:role/scanner").with_external_id("ext-42");
    suite(&*opened(&server.url(), role.with_sts_endpoint(server.url())).await.unwrap(), &holding()).await;
}

#[tokio::test]
async fn a_role_without_its_external_id_is_not_given() {
    let (_, server) = started().await;
    let role = keys().with_role("arn:aws:iam::123456789012:role/scanner").with_sts_endpoint(server.url());
    let error = opened(&server.url(), role).await.err().unwrap();
    assert_told(&error, Kind::PermissionDenied, &["sts:AssumeRole", "external id"]);
}

#[tokio::test]
async fn wrong_keys_are_told_without_showing_them() {
    let (_, server) = started().await;
    for (id, secret) in [("AKIDEXAMPLE", "other-s3cret"), ("AKIDOTHER", SECRET)] {
        let credential = AwsCredential::keys(id, Secret::value(secret));
        let error = opened(&server.url(), credential).await.err().unwrap();
        assert_told(&error, Kind::Unauthenticated, &["access key is refused", "ecr:GetAuthorizationToken"]);
    }
}

#[tokio::test]
async fn a_right_that_is_missing_is_named() {
    let (account, server) = started().await;
    let connector = opened(&server.url(), keys()).await.unwrap();
    account.denied.store(true, Ordering::Relaxed);
    let error = connector.images("team/app", &Wanted::default(), &Context::new()).await.unwrap_err();
    assert_told(&error, Kind::PermissionDenied, &["allow ecr:DescribeImages", "team/app"]);
}

#[tokio::test]
async fn throttling_comes_as_400_and_is_waited_out() {
    let (account, server) = started().await;
    let connector = opened(&server.url(), keys()).await.unwrap();
    *account.faults.lock().unwrap() = vec![
        error("ThrottlingException", "Rate exceeded"),
        error("RequestTimeout", "Your socket connection was not read from in time"),
        Answer::of(400, json!({"Message": "x"})).with("x-amzn-errortype", "TooManyRequestsException:http://internal/"),
        Answer::of(503, json!({})),
    ];
    assert_eq!(connector.images("web", &Wanted::default(), &Context::new()).await.unwrap().len(), 1);
    assert!(account.faults.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_token_service_that_is_busy_is_waited_for() {
    let (_, server) = started().await;
    for code in ["Throttling", "RequestTimeout"] {
        let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>Rate exceeded</Message></Error>");
        let busy = Answer::new(400, "text/xml", format!("<ErrorResponse>{error}</ErrorResponse>"));
        server.fault("POST /sts", 1, busy);
        let role = keys().with_role("arn:x").with_external_id("ext-42");
        opened(&server.url(), role.with_sts_endpoint(format!("{}/sts", server.url()))).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_that_was_replaced_is_looked_up_again() {
    let (account, server) = started().await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, SECRET.as_bytes()).unwrap();
    let credential = AwsCredential::keys("AKIDEXAMPLE", Secret::file(file.path()));
    let connector = opened(&server.url(), credential).await.unwrap();
    let list = async || connector.images("web", &Wanted::default(), &Context::new()).await;
    assert_eq!(list().await.unwrap().len(), 1);
    account.keys.lock().unwrap().insert("AKIDEXAMPLE".into(), ("another-s3cret".into(), None));
    // As long as the file holds the old one, asking again would not help.
    let asked = server.count("POST /");
    let error = list().await.unwrap_err();
    assert_told(&error, Kind::Unauthenticated, &["access key is refused"]);
    assert_eq!(server.count("POST /"), asked + 1);
    std::fs::write(file.path(), "another-s3cret").unwrap();
    assert_eq!(list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_clock_that_is_off_is_allowed_for() {
    let (account, server) = started().await;
    account.ahead.store(3600, Ordering::Relaxed);
    let role = keys().with_role("arn:x").with_external_id("ext-42").with_sts_endpoint(server.url());
    for credential in [keys(), role] {
        let connector = opened(&server.url(), credential).await.unwrap();
        assert_eq!(connector.images("web", &Wanted::default(), &Context::new()).await.unwrap().len(), 1);
    }
    // The same, said in words that a key which has ended is told with too.
    let connector = opened(&server.url(), keys()).await.unwrap();
    account.ahead.store(7200, Ordering::Relaxed);
    let date = date(jiff::Timestamp::now().as_second() + 7200);
    account.faults.lock().unwrap().extend(vec![error("RequestExpired", "Request has expired.").with("date", date); 2]);
    assert_eq!(connector.images("web", &Wanted::default(), &Context::new()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_clock_that_nothing_can_be_done_about_is_told() {
    let (account, server) = started().await;
    let connector = opened(&server.url(), keys()).await.unwrap();
    for (code, message) in [
        ("InvalidSignatureException", "Signature expired: 20261129T040000Z is now earlier than 20261129T050000Z"),
        ("SignatureDoesNotMatch", "Signature not yet current: 20261129T060000Z is still later than 20261129T050000Z"),
        ("RequestTimeTooSkewed", "The difference between the request time and the current time is too large."),
        ("RequestExpired", "Request has expired."),
    ] {
        *account.faults.lock().unwrap() = vec![error(code, message); 4];
        let error = connector.images("web", &Wanted::default(), &Context::new()).await.unwrap_err();
        assert_told(&error, Kind::Unauthenticated, &[code, "the clock of this machine", "ecr:DescribeImages"]);
    }
}

#[tokio::test]
async fn a_region_that_does_not_exist_is_told() {
    let json = json!({"kind": "ecr", "region": "eu-nowhere-9", "account": ACCOUNT,
        "url": format!("https://{ACCOUNT}.dkr.ecr.eu-nowhere-9.invalid"), "endpoint": "https://api.ecr.eu-nowhere-9.invalid"});
    let registry = Registry::from_json(&json.to_string()).unwrap();
    // No name below `invalid` exists, by its definition, and none is asked for outside.
    let role = keys().with_role("arn:x").with_sts_endpoint("https://sts.eu-nowhere-9.invalid");
    for credential in [keys(), role] {
        let registry = registry.clone().credential(Credential::aws(credential));
        let error = super::connector(&registry).await.err().unwrap();
        assert_told(&error, Kind::Unavailable, &["region: eu-nowhere-9", "does not resolve", "check the region"]);
        let done = tidewaiter::registry::check(&registry, None, &Context::new()).await.unwrap();
        let failed = done.failed().unwrap();
        assert!(failed.step == StepName::Resolve && failed.hint.is_some(), "{done:?}");
    }
}

#[tokio::test]
async fn a_session_that_ends_is_renewed_once() {
    let (account, server) = started().await;
    let role = keys().with_role("arn:x").with_external_id("ext-42").with_sts_endpoint(server.url());
    let connector = opened(&server.url(), role).await.unwrap();
    account
        .faults
        .lock()
        .unwrap()
        .push(error("ExpiredTokenException", "The security token included in the request is expired"));
    assert_eq!(connector.images("web", &Wanted::default(), &Context::new()).await.unwrap().len(), 1);
    // Not for ever.
    account.faults.lock().unwrap().extend(vec![error("ExpiredTokenException", "expired"); 2]);
    let error = connector.images("web", &Wanted::default(), &Context::new()).await.unwrap_err();
    assert_told(&error, Kind::Unauthenticated, &["expired"]);
}

#[tokio::test]
async fn a_password_that_expires_with_403_is_replaced() {
    let (account, server) = started().await;
    let context = Context::new();
    // One request at once: the refusal is not held while the password is looked up, at the same host here.
    let registry = registry(&server.url(), keys()).with_concurrency(1);
    let connection = Connection::open(&registry, None, &context).await.unwrap();
    let session = connection.session();
    let ask = || async {
        let request = Request::get(session.url("team/app/tags/list"));
        session.send(&request, Some("repository:team/app:pull"), &context).await.unwrap().status()
    };
    assert_eq!((ask().await, account.passwords.load(Ordering::Relaxed)), (200, 1));
    account.expired.store(true, Ordering::Relaxed);
    assert_eq!((ask().await, account.passwords.load(Ordering::Relaxed)), (200, 2));
    assert_eq!((ask().await, account.passwords.load(Ordering::Relaxed)), (200, 2));
}

#[tokio::test]
async fn a_password_that_expires_between_two_heads_is_replaced() {
    let (account, server) = started().await;
    account.passwords.store(1, Ordering::Relaxed);
    // Docker's login, from a helper that gives what holds now: the second password from its second call on.
    let folder = tempfile::tempdir().unwrap();
    let called = folder.path().join("called");
    let script = format!(
        "if [ -e {0} ]; then echo planted-s3cret:2; else touch {0}; echo planted-s3cret:1; fi",
        called.display()
    );
    let json = json!({"kind": "ecr", "region": REGION, "account": ACCOUNT, "url": server.url()});
    let basic = Credential::basic("AWS", Secret::command(["sh", "-c", &script]));
    let registry = Registry::from_json(&json.to_string()).unwrap().credential(basic).with_concurrency(1);
    let context = Context::new();
    let connection = Connection::open(&registry, None, &context).await.unwrap();
    let head = || async { v2::head(&connection, "team/app", "1.4.2", &context).await.unwrap().is_some() };
    assert!(head().await);
    account.passwords.store(2, Ordering::Relaxed);
    assert!(head().await);
    assert!(called.exists());
}

/// Docker's login alone: the password that somebody got, and no key of Amazon's.
#[tokio::test]
async fn a_password_alone_lists_over_docker_v2() {
    let (account, server) = started().await;
    account.passwords.store(1, Ordering::Relaxed);
    let json = json!({"kind": "ecr", "region": REGION, "account": ACCOUNT, "url": server.url()});
    let basic = Credential::basic("AWS", Secret::value("planted-s3cret:1"));
    let registry = Registry::from_json(&json.to_string()).unwrap().credential(basic);
    let connector = super::connector(&registry).await.unwrap();
    let images = connector.images("team/app", &Wanted::default(), &Context::new()).await.unwrap();
    assert_eq!(images.iter().map(|image| image.tags.len()).sum::<usize>(), 1);
}

#[tokio::test]
async fn what_is_not_json_is_told() {
    let server = Imitation::start(|_| Answer::page()).await;
    let error = opened(&server.url(), keys()).await.err().unwrap();
    assert_told(&error, Kind::Corrupt, &["a web page came"]);
}
