//! What registries get wrong, whoever made them: each ends, and is told with the step that failed and what to do.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use serde_json::json;
use tidewaiter::conformance::image::{ImageBuilder, Layer};
use tidewaiter::conformance::registry::{Auth, Options, TestRegistry};
use tidewaiter::net::api::{Api, Way};
use tidewaiter::net::client::Client;
use tidewaiter::net::identity::Identity;
use tidewaiter::net::session::Session;
use tidewaiter::registry::{Credential, Registry, Secret, Wanted};
use tidewaiter::{Context, Error, Kind, Result};

use super::connector;
use super::imitation::{self, Answer, Asked, Imitation};
use super::samples::{images, v2};

const SECRET: &str = "planted-s3cret";

async fn open(server: &Imitation) -> std::sync::Arc<dyn tidewaiter::registry::Connector> {
    // One request at once is enough for every way of asking: no answer is held while the next is waited for.
    let registry = Registry::docker(server.url()).credential(Credential::Anonymous).with_concurrency(1);
    connector(&registry).await.unwrap()
}

async fn repositories(server: &Imitation) -> Result<Vec<String>> {
    let (wanted, context) = (Wanted::default(), Context::new());
    open(server).await.repositories(&wanted, &context).try_collect().await
}

async fn tags(server: &Imitation) -> Result<Vec<String>> {
    let images = open(server).await.images("team/app", &Wanted::default(), &Context::new()).await?;
    Ok(images.into_iter().flat_map(|image| image.tags).collect())
}

fn told(error: &Error, kind: Kind) {
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.hint().is_some(), "no hint: {error:?}");
    assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
}

/// A catalog whose pages all name a next one.
async fn endless(page: impl Fn(&Asked) -> (Vec<String>, String) + Send + Sync + 'static) -> Imitation {
    Imitation::start(move |asked| match asked.path.as_str() {
        "/v2/_catalog" => {
            let (names, next) = page(asked);
            Answer::json(json!({"repositories": names})).with("link", format!("<{next}>; rel=\"next\""))
        }
        _ => v2(asked, &images(), ""),
    })
    .await
}

#[tokio::test]
async fn a_link_to_itself_ends_the_list() {
    let server = endless(|_| (vec!["team/app".into()], "/v2/_catalog?n=1000".into())).await;
    let (context, told) = imitation::notices();
    let names: Vec<_> = open(&server).await.repositories(&Wanted::default(), &context).try_collect().await.unwrap();
    assert_eq!(names, ["team/app"]);
    assert_eq!(server.count("_catalog"), 2);
    assert!(told.lock().unwrap().len() == 1 && told.lock().unwrap()[0].contains("may be cut at 1"), "{told:?}");
}

#[tokio::test]
async fn a_link_to_another_host_leads_nowhere_else() {
    let other = Imitation::start(|_| Answer::json(json!({"repositories": ["stolen/name"]}))).await;
    let elsewhere = format!("{}/v2/_catalog?last=team%2Fapp", other.url());
    let server = endless(move |asked| match asked.param("last") {
        "" => (vec!["team/app".into()], elsewhere.clone()),
        _ => (vec!["team/web".into()], elsewhere.clone()),
    })
    .await;
    assert_eq!(repositories(&server).await.unwrap(), ["team/app", "team/web"]);
    assert!(other.log().is_empty());
}

#[tokio::test]
async fn a_catalog_that_never_ends_is_an_error() {
    let server = endless(|asked| {
        let from: u64 = asked.param("last").parse().unwrap_or(0);
        ((from..from + 20_000).map(|n| format!("r/{n}")).collect(), format!("/v2/_catalog?last={}", from + 20_000))
    })
    .await;
    let error = repositories(&server).await.unwrap_err();
    assert_eq!(error.kind(), Kind::LimitExceeded, "{error:?}");
}

#[tokio::test]
async fn pages_of_what_is_no_name_are_bounded_in_bytes() {
    let server = endless(|asked| {
        let from: u64 = asked.param("last").parse().unwrap_or(0);
        let next = if from < 30 { format!("/v2/_catalog?last={}", from + 1) } else { String::new() };
        (vec![format!("{from}{}", "A".repeat(15 << 20))], next)
    })
    .await;
    told(&repositories(&server).await.unwrap_err(), Kind::LimitExceeded);
    assert!(server.count("_catalog") < 20, "{}", server.count("_catalog"));
}

#[tokio::test]
async fn a_page_of_millions_of_nothings_is_refused() {
    let many = format!("[\"\"{}]", ",\"\"".repeat(2_500_000));
    let body = format!("{{\"repositories\": {many}, \"tags\": {many}}}");
    let server = Imitation::start(move |_| Answer::new(200, "application/json", body.clone())).await;
    assert_eq!(repositories(&server).await.unwrap_err().kind(), Kind::LimitExceeded);
    assert_eq!(tags(&server).await.unwrap_err().kind(), Kind::LimitExceeded);
}

/// 1500 names, a part at a time as they are asked for.
fn part(asked: &Asked, most: usize) -> Vec<String> {
    let size = asked.param("n").parse().unwrap_or(100).min(most);
    let names = (0..1500).map(|n| format!("x{n:04}"));
    names.filter(|name| name.as_str() > asked.param("last")).take(size).collect()
}

#[tokio::test]
async fn lists_that_do_not_name_their_next_page_are_read_to_their_end() {
    // As many as are asked for, and at most so many of them.
    for most in [usize::MAX, 50, 100, 200, 250, 500] {
        let server = Imitation::start(move |asked| match asked.path.as_str() {
            "/v2/_catalog" => Answer::json(json!({"repositories": part(asked, most)})),
            "/v2/team/app/tags/list" => Answer::json(json!({"name": "team/app", "tags": part(asked, most)})),
            _ => Answer::json(json!({})).with("docker-content-digest", format!("sha256:{}", "0".repeat(64))),
        })
        .await;
        assert_eq!(repositories(&server).await.unwrap().len(), 1500, "{most}");
        assert_eq!(tags(&server).await.unwrap().len(), 1500, "{most}");
    }
}

#[tokio::test]
async fn a_full_page_may_be_the_last_one() {
    // What is behind it is the same again, nothing, or refused.
    let page: Vec<_> = (0..1000).map(|n| format!("x{n:04}")).collect();
    let same = Answer::json(json!({"repositories": page}));
    let refused = Answer::refused(400, "UNSUPPORTED", "last");
    // Only who does not look at `last` is asked how it does with `n`: here everything comes whatever is asked for.
    let two = ["GET /v2/_catalog?n=1000", "GET /v2/_catalog?n=1000&last=x0999"];
    for (behind, more) in [
        (Answer::json(json!({"repositories": []})), &[][..]),
        (refused, &["GET /v2/_catalog?n=1"]),
        (same.clone(), &["GET /v2/_catalog", "GET /v2/_catalog?n=1"]),
    ] {
        let first = same.clone();
        let server = Imitation::start(move |asked| match asked.param("last") {
            "" => first.clone(),
            _ => behind.clone(),
        })
        .await;
        let (context, told) = imitation::notices();
        let names: Vec<_> = open(&server).await.repositories(&Wanted::default(), &context).try_collect().await.unwrap();
        assert_eq!(names.len(), 1000);
        assert_eq!(server.log(), [&two[..], more].concat());
        assert!(told.lock().unwrap().is_empty(), "{told:?}");
    }
    // That it could not be asked is no end.
    let server = Imitation::start(move |_| same.clone()).await;
    server.fault("last=", 9, Answer::of(503, json!({})).with("retry-after", "0"));
    assert_eq!(repositories(&server).await.unwrap_err().kind(), Kind::Unavailable);
}

#[tokio::test]
async fn a_list_that_is_cut_and_does_not_go_on_is_told() {
    // A hundred names at most, and `last` is not looked at; without `n` there may be all.
    let cut = |asked: &Asked, whole: usize| match asked.param("n") {
        "" => part(&Asked { params: [("n".to_owned(), whole.to_string())].into(), ..asked.clone() }, whole),
        n => part(&Asked { params: [("n".to_owned(), n.to_owned())].into(), ..asked.clone() }, 100),
    };
    for (whole, links, count, notices) in
        [(100, false, 100, 1), (1500, false, 1500, 0), (250, false, 250, 1), (100, true, 100, 0)]
    {
        let server = Imitation::start(move |asked| {
            let answer = Answer::json(json!({"repositories": cut(asked, whole), "tags": cut(asked, whole)}));
            match links && asked.param("n") == "1" {
                // Who names a next page where there is one named none before.
                true => answer.with("link", "</v2/_catalog?next=x>; rel=\"next\""),
                false => answer.with("docker-content-digest", format!("sha256:{}", "0".repeat(64))),
            }
        })
        .await;
        let (connector, wanted, (context, told)) = (open(&server).await, Wanted::default(), imitation::notices());
        let names: Vec<_> = connector.repositories(&wanted, &context).try_collect().await.unwrap();
        assert_eq!((names.len(), told.lock().unwrap().len()), (count, notices), "{:?}", server.log());
        assert!(told.lock().unwrap().iter().all(|told| told.contains("may be cut") && told.contains("_catalog")));
        let images = connector.images("team/app", &wanted, &context).await.unwrap();
        assert_eq!(images.iter().map(|image| image.tags.len()).sum::<usize>(), count);
    }
}

#[tokio::test]
async fn pages_without_a_name_are_no_end_but_circles_are() {
    let server = endless(|asked| match asked.param("last") {
        "" => (vec!["sha256:00".into()], "/v2/_catalog?last=1".into()),
        "1" => (vec![], "/v2/_catalog?last=2".into()),
        "2" => (vec!["team/app".into()], "/v2/_catalog?last=3".into()),
        _ => (vec!["team/app".into()], "/v2/_catalog?last=1".into()),
    })
    .await;
    assert_eq!(repositories(&server).await.unwrap(), ["team/app"]);
    assert_eq!(server.count("_catalog"), 4);
}

#[tokio::test]
async fn a_list_that_a_redirect_led_to_gets_no_password_on_any_page() {
    let other = Imitation::start(|asked| match asked.param("last") {
        "" => Answer::json(json!({"repositories": ["team/app"]})).with("link", "</v2/_catalog?last=a>; rel=\"next\""),
        _ => Answer::json(json!({"repositories": ["team/web"]})),
    })
    .await;
    let target = format!("{}/v2/_catalog?n=1000", other.url());
    let server = Imitation::start(move |asked| match (asked.path.as_str(), asked.basic()) {
        ("/v2/_catalog", Some(_)) => Answer::new(307, "text/plain", "").with("location", &target),
        _ => Answer::refused(401, "UNAUTHORIZED", "no").with("www-authenticate", "Basic realm=\"x\""),
    })
    .await;
    let registry = Registry::docker(server.url()).credential(Credential::basic("alice", Secret::value(SECRET)));
    let connector = connector(&registry).await.unwrap();
    let (wanted, context) = (Wanted::default(), Context::new());
    let names: Vec<_> = connector.repositories(&wanted, &context).try_collect().await.unwrap();
    assert_eq!(names, ["team/app", "team/web"]);
    assert_eq!(other.asked().iter().filter(|asked| asked.headers.contains_key("authorization")).count(), 0);
    assert_eq!(other.log().len(), 2);
}

#[tokio::test]
async fn a_challenge_that_only_the_ping_has_is_enough() {
    let server = Imitation::start(|asked| match asked.bearer() {
        _ if asked.path == "/token" => Answer::json(json!({"token": "planted-token"})),
        Some("planted-token") => v2(asked, &images(), ""),
        _ if asked.path == "/v2/" => Answer::refused(401, "UNAUTHORIZED", "no")
            .with("www-authenticate", format!("Bearer realm=\"{}/token\",service=gcr.io", asked.own)),
        _ => Answer::refused(401, "UNAUTHORIZED", "no"),
    })
    .await;
    assert_eq!(repositories(&server).await.unwrap().len(), 3);
    assert_eq!(tags(&server).await.unwrap().len(), 4);
    // Somebody asks the ping first, and once.
    let before = server.log().len();
    let registry = Registry::docker(server.url()).credential(Credential::basic("alice", Secret::value(SECRET)));
    let somebody = connector(&registry.with_concurrency(1)).await.unwrap();
    assert_eq!(somebody.images("team/app", &Wanted::default(), &Context::new()).await.unwrap().len(), 2);
    assert_eq!(somebody.images("team/web", &Wanted::default(), &Context::new()).await.unwrap().len(), 1);
    let asked = &server.log()[before..];
    assert_eq!(asked.iter().filter(|line| *line == "GET /v2/").count(), 1);
    assert_eq!(asked.iter().filter(|line| line.contains("/token")).count(), 2);
}

#[tokio::test]
async fn what_a_challenge_names_is_asked_for_after_our_own_scope() {
    // Listing is another right than pulling (ACR), which is told when it is missing.
    let server = Imitation::start(|asked| {
        if asked.path == "/token" {
            return Answer::json(json!({"token": asked.query.replace(['&', '='], "-")}));
        }
        let scope = if asked.path.ends_with("/tags/list") { "team%2Fapp%3Ametadata" } else { "team%2Fapp%3Apull" };
        match asked.bearer().is_some_and(|token| token.contains(scope)) {
            true => v2(asked, &images(), ""),
            false => Answer::refused(401, "UNAUTHORIZED", "no").with(
                "www-authenticate",
                format!("Bearer realm=\"{}/token\",scope=\"repository:team/app:metadata\"", asked.own),
            ),
        }
    })
    .await;
    let registry = Registry::docker(server.url()).credential(Credential::basic("alice", Secret::value(SECRET)));
    let connector = connector(&registry.with_concurrency(1)).await.unwrap();
    assert_eq!(connector.images("team/app", &Wanted::default(), &Context::new()).await.unwrap().len(), 2);
    let tokens: Vec<_> = server.log().into_iter().filter(|line| line.contains("/token")).collect();
    assert!(!tokens[0].contains("metadata") && tokens[1].contains("metadata"), "{tokens:?}");
}

#[tokio::test]
async fn a_service_that_no_challenge_names_is_the_host_where_one_is_wanted() {
    let server = Imitation::start(|asked| match asked.bearer() {
        _ if asked.path == "/v2/token" && !asked.own.ends_with(asked.param("service")) => {
            Answer::refused(400, "x", "x")
        }
        _ if asked.path == "/v2/token" && asked.param("service").is_empty() => Answer::refused(400, "x", "x"),
        _ if asked.path == "/v2/token" => Answer::json(json!({"token": "planted-token"})),
        Some("planted-token") => v2(asked, &images(), ""),
        _ => Answer::refused(401, "UNAUTHORIZED", "no")
            .with("www-authenticate", format!("Bearer realm=\"{}/v2/token\"", asked.own)),
    })
    .await;
    assert_eq!(tags(&server).await.unwrap().len(), 4);
}

#[tokio::test]
async fn what_is_refused_to_a_head_is_asked_for_aloud() {
    let server = Imitation::start(|asked| v2(asked, &images(), "")).await;
    server.fault("/manifests/", 16, Answer::refused(403, "DENIED", "not authorized to perform: ecr:BatchGetImage"));
    let error = tags(&server).await.unwrap_err();
    told(&error, Kind::PermissionDenied);
    assert!(error.to_string().contains("ecr:BatchGetImage"), "{error}");
}

#[tokio::test]
async fn a_tag_that_a_policy_withholds_is_left_out_and_told() {
    let server = Imitation::start(|asked| match asked.path.ends_with("/manifests/old") {
        true => Answer::refused(412, "PROJECTPOLICYVIOLATION", "The image is not signed by cosign."),
        false => v2(asked, &images(), ""),
    })
    .await;
    let notices = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let seen = std::sync::Arc::clone(&notices);
    let context = Context::new().on_event(move |event| seen.lock().unwrap().push_str(&format!("{event:?}")));
    let images = open(&server).await.images("team/app", &Wanted::default(), &context).await.unwrap();
    let tags: Vec<_> = images.into_iter().flat_map(|image| image.tags).collect();
    assert!(tags.len() == 3 && !tags.contains(&"old".to_owned()), "{tags:?}");
    let notices = notices.lock().unwrap();
    assert!(notices.contains("policy") && notices.contains("tag: old"), "{notices}");
}

#[tokio::test]
async fn names_that_break_the_grammar_are_left_out() {
    let server = Imitation::start(|asked| match asked.path.as_str() {
        "/v2/_catalog" => Answer::json(json!({"repositories": ["team/app", "../v2/x", "A", "a b", "a?b", "", null]})),
        "/v2/team/app/tags/list" => Answer::json(
            json!({"name": "team/app", "tags": ["1.0", "-x", "a/../b", "sha256:00", "a b", "x".repeat(129), "", null]}),
        ),
        _ => v2(asked, &images(), ""),
    })
    .await;
    assert_eq!(repositories(&server).await.unwrap(), ["team/app"]);
    assert_eq!(tags(&server).await.unwrap(), ["1.0"]);
    assert!(server.log().iter().all(|line| !line.contains("..") && !line.contains("sha256")), "{:?}", server.log());
}

#[tokio::test]
async fn login_pages_and_json_of_another_shape_are_told() {
    let server = Imitation::start(|asked| v2(asked, &images(), "")).await;
    for wrong in [Answer::page(), Answer::json(json!([1])), Answer::json(json!({"repositories": 7, "tags": {}}))] {
        server.fault("/_catalog", 1, wrong.clone());
        told(&repositories(&server).await.unwrap_err(), Kind::Corrupt);
        server.fault("/tags/list", 1, wrong);
        told(&tags(&server).await.unwrap_err(), Kind::Corrupt);
    }
    // However long what came is.
    let long = "x".repeat(8 << 20);
    server.fault("/_catalog", 1, Answer::json(json!({"repositories": long})));
    let error = repositories(&server).await.unwrap_err();
    told(&error, Kind::Corrupt);
    assert!(error.to_string().len() < 4096, "{}", error.to_string().len());
    // A list that is not there is not a list of nothing, which `null` is.
    for wrong in [json!({}), json!({"status": "maintenance"}), json!({"errors": [{"code": "UNAVAILABLE"}]})] {
        server.fault("/_catalog", 1, Answer::json(wrong.clone()));
        told(&repositories(&server).await.unwrap_err(), Kind::Corrupt);
        server.fault("/tags/list", 1, Answer::json(wrong));
        told(&tags(&server).await.unwrap_err(), Kind::Corrupt);
    }
    server.fault("/_catalog", 1, Answer::json(json!({"repositories": null})));
    assert_eq!(repositories(&server).await.unwrap(), [""; 0]);
    for empty in [json!({"name": "team/app", "tags": null}), json!({"tags": null}), json!({"name": "team/app"})] {
        server.fault("/tags/list", 1, Answer::json(empty));
        assert_eq!(tags(&server).await.unwrap(), [""; 0]);
    }
    // Neither the HEAD nor the GET of a manifest is one.
    server.fault("/manifests/1.0", 2, Answer::page());
    assert_eq!(tags(&server).await.unwrap_err().kind(), Kind::Unsupported);
}

#[tokio::test]
async fn a_login_page_in_front_of_an_api_or_a_token_server_is_told() {
    let server = Imitation::start(|asked| match asked.path.as_str() {
        "/api" | "/token" => Answer::page(),
        _ => Answer::refused(401, "UNAUTHORIZED", "no")
            .with("www-authenticate", format!("Bearer realm=\"{}/token\"", asked.own)),
    })
    .await;
    let base: url::Url = server.url().parse().unwrap();
    let client = Client::new(&Default::default()).unwrap();
    let session = Session::new(client, base.clone(), Arc::new(Identity::Bearer(SECRET.to_owned().into())));
    let api = Api::new(session, base, Way::Plain);
    told(&api.get(api.url(&["api"], &[]).unwrap(), &Context::new()).await.unwrap_err(), Kind::Unsupported);
    let registry = Registry::docker(server.url()).credential(Credential::basic("alice", Secret::value(SECRET)));
    let connector = connector(&registry).await.unwrap();
    told(&connector.images("team/app", &Wanted::default(), &Context::new()).await.unwrap_err(), Kind::Corrupt);
}

#[tokio::test]
async fn who_may_not_list_is_told_and_may_name_a_repository() {
    let server = Imitation::start(|asked| v2(asked, &images(), "")).await;
    for (status, kind) in [(403, Kind::PermissionDenied), (404, Kind::NotFound), (405, Kind::Unsupported)] {
        // A refusal of the page size is asked again with a smaller one, and without any.
        server.fault("/_catalog", if status == 405 { 3 } else { 1 }, Answer::refused(status, "DENIED", "no"));
        let error = repositories(&server).await.unwrap_err();
        told(&error, kind);
        assert!(error.hint().unwrap().contains("name the repositories"), "{error:?}");
        assert_eq!(tags(&server).await.unwrap().len(), 4);
        assert_eq!(repositories(&server).await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn a_megabyte_of_challenge_does_no_harm() {
    let server = Imitation::start(|_| {
        let huge = format!("Bearer realm=\"https://auth.example/{}\"", "x".repeat(1 << 20));
        Answer::refused(401, "UNAUTHORIZED", "no").with("www-authenticate", huge)
    })
    .await;
    let registry = Registry::docker(server.url()).credential(Credential::basic("alice", Secret::value(SECRET)));
    let connector = connector(&registry.with_timeout(Duration::from_secs(5))).await.unwrap();
    let error = connector.images("team/app", &Wanted::default(), &Context::new()).await.unwrap_err();
    told(&error, Kind::Unavailable);
    assert!(
        error.to_string().contains("headers of the answer are too long") && error.to_string().len() < 2000,
        "{error}"
    );
    // Another try would not change it.
    assert_eq!(server.log().len(), 1);
}

#[tokio::test]
async fn a_header_of_the_product_s_own_stays_behind_on_a_redirect() {
    let other = Imitation::start(|_| Answer::json(json!([]))).await;
    let elsewhere = format!("{}/list", other.url());
    let server =
        Imitation::start(move |_| Answer::new(302, "text/plain", "").with("location", elsewhere.clone())).await;
    let base: url::Url = server.url().parse().unwrap();
    let client = Client::new(&Default::default()).unwrap();
    let token = Identity::Bearer(SECRET.to_owned().into());
    let session = Session::new(client, base.clone(), Arc::new(token));
    let api = Api::new(session, base, Way::Header("x-acme-key".parse().unwrap()));
    api.get(api.url(&["list"], &[]).unwrap(), &Context::new()).await.unwrap();
    assert_eq!(server.asked()[0].header("x-acme-key"), SECRET);
    let asked = &other.asked()[0];
    assert_eq!((asked.header("x-acme-key"), asked.header("accept")), ("", "application/json"));
}

/// A proxy on loopback that answers every connection with this.
fn proxy(answer: &'static str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://alice:{SECRET}@{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        // It ends with the process; the client tries a few times.
        while let Ok((mut connection, _)) = listener.accept() {
            let _ = connection.read(&mut [0; 4096]);
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    url
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told() {
    for answer in [
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=\"p\"\r\ncontent-length: 0\r\n\r\n",
        "no HTTP at all\r\n\r\n",
    ] {
        let registry =
            Registry::docker("https://registry.invalid").credential(Credential::Anonymous).with_proxy(proxy(answer));
        let done = tidewaiter::registry::check(&registry.with_timeout(Duration::from_secs(5)), None, &Context::new())
            .await
            .unwrap();
        let failed = done.failed().expect("the proxy refuses");
        assert!(failed.hint.as_deref().is_some_and(|hint| hint.contains("proxy")), "{answer}: {failed:?}");
        assert!(!format!("{done:?}").contains(SECRET), "{done:?}");
    }
}

#[tokio::test]
async fn a_helper_that_hangs_or_tells_its_secret_is_ended() {
    let server = Imitation::start(|asked| v2(asked, &images(), "")).await;
    let with = |script: &str| {
        let password = Secret::command(["sh", "-c", script]);
        Registry::docker(server.url()).credential(Credential::basic("alice", password))
    };
    // The caller's deadline holds for the helper too.
    let began = Instant::now();
    let context = Context::new().deadline(Duration::from_millis(300));
    let error = tidewaiter::registry::Connection::open(&with("sleep 60"), None, &context).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Canceled);
    assert!(began.elapsed() < Duration::from_secs(10));
    let error = connector(&with(&format!("echo {SECRET} >&2; exit 1"))).await.err().unwrap();
    told(&error, error.kind());
}

#[tokio::test]
async fn an_identity_token_is_posted_and_where_that_is_unknown_asked_with() {
    // The user name that stands for a token in docker's world.
    let auth = Auth::Bearer { username: "<token>".into(), password: SECRET.into(), realm: None };
    let image = ImageBuilder::new().layer(Layer::new().file("a", "b")).build();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    for missing in [None, Some(404), Some(405), Some(400), Some(401)] {
        let server = TestRegistry::start_with(Options { auth: auth.clone(), ..Options::default() }).unwrap();
        server.push("team/app", "1.0", &image);
        std::fs::write(&path, json!({"auths": {server.host(): {"identitytoken": SECRET}}}).to_string()).unwrap();
        if let Some(status) = missing {
            server.fault("/token", 1, tidewaiter::conformance::registry::Fault::status(status));
        }
        let registry = Registry::docker(server.url()).credential(Credential::DockerConfig { path: Some(path.clone()) });
        let images = connector(&registry).await.unwrap().images("team/app", &Wanted::default(), &Context::new()).await;
        assert_eq!(images.unwrap().len(), 1, "{missing:?}");
        let methods: Vec<_> =
            server.log().into_iter().filter(|one| one.path == "/token").map(|one| one.method).collect();
        let expected: &[&str] = if missing.is_some() { &["POST", "GET"] } else { &["POST"] };
        assert_eq!(methods, expected);
    }
}
