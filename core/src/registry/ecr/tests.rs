//! Where a registry is, what its tokens hold, and who has docker's login besides a key of Amazon's, or instead of one.

use std::sync::Arc;
use std::sync::Mutex;

use super::*;
use crate::model::event::Event;
use crate::net::client::Options;
use crate::net::retry::Policy;
use crate::registry::Secret;
use crate::registry::stub::server;

const DENIED: &str =
    r#"{"__type": "AccessDeniedException", "message": "not authorized to perform: ecr:DescribeImages"}"#;
const HEAD: &str = "docker-content-digest: sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\r\n";
const V2: [(&str, u16, &str, &str); 4] = [
    ("HEAD /v2/team/app/manifests/", 200, HEAD, ""),
    ("GET /v2/team/app/tags/list", 200, "", r#"{"tags": ["1"]}"#),
    ("GET /v2/_catalog", 200, "", r#"{"repositories": ["team/app"]}"#),
    ("GET /v2/ ", 200, "", "{}"),
];

/// A registry to which docker has a login, while the machine is who `variables` say at its API.
async fn logged_in(url: &str, variables: &[(&str, &str)]) -> Ecr {
    let json = serde_json::json!({"kind": "docker", "url": url});
    let registry = Registry::from_json(&json.to_string()).unwrap();
    let registry = registry.credential(Credential::basic("AWS", Secret::value("planted-s3cret")));
    let docker = Connection::open(&registry, None, &Context::new()).await.unwrap();
    let client = Client::new(&Options { retry: Policy::once(), ..Options::default() }).unwrap();
    let nowhere = [("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_ENDPOINT_URL_STS", url)];
    let surroundings = Surroundings::of(nowhere.into_iter().chain(variables.iter().copied()));
    let region = "eu-west-1";
    let chain = Chain::new(AwsCredential::new(), region, Variant::default(), client.clone(), surroundings).unwrap();
    let api = Api::new(client, url, region, SERVICE, chain).unwrap();
    Ecr {
        api,
        account: "123456789012".to_owned(),
        docker: Some(docker),
        has_keys: OnceCell::new(),
        notice: Notice::default(),
    }
}

/// The names of the repositories and the tags of one, twice, and what was told meanwhile.
async fn listed(ecr: &Ecr) -> (Result<Vec<String>>, Result<Vec<String>>, Vec<Event>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let context = Context::new().on_event(move |event| sink.lock().unwrap().push(event.clone()));
    let wanted = Wanted::default();
    let mut last = None;
    for _ in 0..2 {
        let names: Result<Vec<_>> = ecr.repositories(&wanted, &context).try_collect().await;
        let images = ecr.images("team/app", &wanted, &context).await;
        last = Some((names, images.map(|images| images.into_iter().flat_map(|image| image.tags).collect())));
    }
    let (names, tags) = last.unwrap();
    let told = told.lock().unwrap().clone();
    (names, tags, told)
}

#[tokio::test]
async fn docker_s_login_lists_where_the_machine_s_own_keys_do_not() {
    const DENYING: [(&str, u16, &str, &str); 5] = [("x-amz-target", 400, "", DENIED), V2[0], V2[1], V2[2], V2[3]];
    let (url, _) = server(&DENYING);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[default]\ncredential_process = /bin/false\n").unwrap();
    let path = file.path().display().to_string();
    let keys = [("AWS_ACCESS_KEY_ID", "AKIDENV"), ("AWS_SECRET_ACCESS_KEY", "planted-s3cret")];
    for variables in [&[("AWS_CONFIG_FILE", path.as_str())][..], &keys, &[]] {
        let (names, tags, told) = listed(&logged_in(&url, variables).await).await;
        assert_eq!(
            (names.unwrap(), tags.unwrap()),
            (vec!["team/app".to_owned()], vec!["1".to_owned()]),
            "{variables:?}"
        );
        let [Event::Notice { message, hint }] = &told[..] else { panic!("{variables:?}: {told:?}") };
        assert!(message.contains("no dates of pushes") && hint.contains("ecr:DescribeImages"), "{message}: {hint}");
    }
}

#[tokio::test]
async fn where_docker_s_login_does_not_list_either_the_refusal_of_the_api_is_told() {
    const CLOSED: [(&str, u16, &str, &str); 3] =
        [("x-amz-target", 400, "", DENIED), ("GET /v2/ ", 200, "", "{}"), ("/v2/", 403, "", "{}")];
    let (url, _) = server(&CLOSED);
    let keys = [("AWS_ACCESS_KEY_ID", "AKIDENV"), ("AWS_SECRET_ACCESS_KEY", "planted-s3cret")];
    let (names, tags, told) = listed(&logged_in(&url, &keys).await).await;
    let error = tags.unwrap_err();
    assert!(error.kind() == Kind::PermissionDenied && error.to_string().contains("credentials do not"), "{error:?}");
    // A stream has to choose before it knows, so that what the API says is in the notice.
    assert_eq!((names.unwrap_err().kind(), told.len()), (Kind::PermissionDenied, 1), "{told:?}");
}

#[tokio::test]
async fn what_passes_by_itself_is_no_reason_to_list_without_dates() {
    const BUSY: &str =
        "<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>";
    const THROTTLING: [(&str, u16, &str, &str); 5] = [("Action=AssumeRole", 400, "", BUSY), V2[0], V2[1], V2[2], V2[3]];
    let (url, _) = server(&THROTTLING);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "token").unwrap();
    let path = file.path().display().to_string();
    let variables = [("AWS_WEB_IDENTITY_TOKEN_FILE", path.as_str()), ("AWS_ROLE_ARN", "arn:x")];
    let (names, tags, told) = listed(&logged_in(&url, &variables).await).await;
    for error in [names.unwrap_err(), tags.unwrap_err()] {
        assert_eq!(error.kind(), Kind::RateLimited, "{error:?}");
    }
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn is_where_region_and_account_are() {
    let base = |json: &str| Registry::from_json(json).and_then(|registry| registry.base()).map(String::from);
    let json = |rest: &str| format!(r#"{{"kind": "ecr", "account": "123456789012", {rest}}}"#);
    for (rest, url) in [
        (r#""region": "eu-west-1""#, "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/"),
        (
            r#""region": "us-gov-west-1", "fips": true"#,
            "https://123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com/",
        ),
        (
            r#""region": "cn-north-1", "dual_stack": true"#,
            "https://123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn/",
        ),
    ] {
        assert_eq!(base(&json(rest)).unwrap(), url);
    }
    for (rest, named) in [
        (r#""fips": true"#, "region"),
        (r#""region": "evil.example/x""#, "region"),
        (r#""region": "eu-west-1", "regoin": "x""#, "regoin"),
        (r#""region": 7"#, "string"),
    ] {
        let error = base(&json(rest)).unwrap_err();
        assert!(error.kind() == Kind::InvalidInput && error.to_string().contains(named), "{rest}: {error}");
    }
    assert_eq!(Registry::ecr("eu-west-1", "1").base().unwrap_err().kind(), Kind::InvalidInput);
}

#[test]
fn times_come_in_every_form() {
    for (text, shown) in [
        ("1.700000123456E9", Some("2023-11-14T22:15:23.456Z")),
        ("1700000123", Some("2023-11-14T22:15:23Z")),
        ("-1", None),
        ("1e300", None),
    ] {
        let found = time(serde_json::from_str(text).unwrap()).map(|time| time.to_string());
        assert_eq!(found.as_deref(), shown, "{text}");
    }
}

#[test]
fn a_password_may_hold_colons() {
    let token: Token = serde_json::from_str(r#"{"authorizationToken":"QVdTOmE6Yg==","expiresAt":1}"#).unwrap();
    let issued = token.issued().unwrap();
    assert!(issued.identity == Identity::Basic { username: "AWS".into(), password: Zeroizing::new("a:b".into()) });
    assert!(issued.until.unwrap() > Instant::now());
}
