//! The connection check: each step by itself, and certificates.

use tidewaiter::conformance::registry::Fault;
use tidewaiter::registry::{StepName, check};

use super::certificates::Certificate;
use super::*;

#[tokio::test]
#[rustfmt::skip]
async fn each_step_of_a_check_is_told_apart() {
    let (open, basic, bearer) = (started(Auth::Open), started(basic()), started(bearer()));
    let page = started(Auth::Open);
    page.fault("/v2/", 100, Fault::page());
    let closed = started(Auth::Open);
    closed.fault("/_catalog", 100, Fault::status(403));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (definition, repository, expected, is_ok) in [
        (anonymous(open.url()), Some("team/app"), "resolve true, tls null, api true, authenticate null, list true, pull true", true),
        (anonymous(open.url()), None, "resolve true, tls null, api true, authenticate null, list true, pull null", true),
        (definition(&basic, PASSWORD), Some("team/app"), "resolve true, tls null, api true, authenticate true, list true, pull true", true),
        (definition(&bearer, PASSWORD), Some("team/app"), "resolve true, tls null, api true, authenticate true, list true, pull true", true),
        (definition(&bearer, PASSWORD), Some("team/none"), "resolve true, tls null, api true, authenticate true, list true, pull false", false),
        (definition(&basic, "wrong"), None, "resolve true, tls null, api true, authenticate false, list null, pull null", false),
        (definition(&bearer, "wrong"), None, "resolve true, tls null, api true, authenticate false, list null, pull null", false),
        (anonymous(page.url()), None, "resolve true, tls null, api false, authenticate null, list null, pull null", false),
        (anonymous(closed.url()), None, "resolve true, tls null, api true, authenticate null, list false, pull null", false),
        (anonymous(closed.url()), Some("team/app"), "resolve true, tls null, api true, authenticate null, list false, pull true", true),
        (anonymous("https://registry.invalid".into()), None, "resolve false, tls null, api null, authenticate null, list null, pull null", false),
        (anonymous(format!("https://127.0.0.1:{port}")), None, "resolve true, tls false, api null, authenticate null, list null, pull null", false),
        (anonymous(format!("http://127.0.0.1:{port}")), None, "resolve true, tls null, api false, authenticate null, list null, pull null", false),
        (anonymous(format!("https://{}", open.host())), None, "resolve true, tls false, api null, authenticate null, list null, pull null", false),
    ] {
        let done = check(&definition, repository, &Context::new()).await.unwrap();
        assert_eq!((steps(&done).as_str(), done.is_ok()), (expected, is_ok), "{definition:?} {done:?}");
        for step in done.steps.iter().filter(|step| step.ok == Some(false)) {
            assert!(step.hint.is_some(), "{step:?}");
        }
        assert!(!serde_json::to_string(&done).unwrap().contains(PASSWORD));
        assert_eq!(done.steps.iter().map(|step| step.step).collect::<Vec<_>>(), StepName::ALL);
    }
}

#[tokio::test]
async fn what_is_told_is_told_once() {
    let registry = started(Auth::Open);
    let done = check(&anonymous(registry.url()), Some("nope/app"), &Context::new()).await.unwrap();
    let pull = done.steps.last().unwrap();
    assert_eq!(pull.detail.matches("there is no").count(), 1, "{pull:?}");
    assert!(pull.detail.contains("(repository: nope/app, status: 404"), "{pull:?}");
    let resolve = done.steps.first().unwrap();
    assert_eq!(resolve.detail, "127.0.0.1 is an address, nothing to resolve");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let closed = check(&anonymous(format!("https://127.0.0.1:{port}")), None, &Context::new()).await.unwrap();
    assert!(closed.failed().unwrap().detail.starts_with(&format!("cannot connect to port {port}")), "{closed:?}");
    let error = root(&anonymous(registry.url()), "team/app:none").await.unwrap_err();
    assert_eq!(error.to_string().matches("there is no").count(), 1, "{error}");
}

#[tokio::test]
async fn a_kind_whose_api_is_not_there_is_told() {
    let registry = started(Auth::Open);
    let other = Registry::harbor(registry.url()).credential(Credential::Anonymous);
    let done = check(&other, None, &Context::new()).await.unwrap();
    let list = done.steps.iter().find(|step| step.step == StepName::List).unwrap();
    assert!(list.ok == Some(true) && list.detail.contains("the API of Harbor does not answer"), "{list:?}");
    assert!(list.hint.as_ref().is_some_and(|hint| hint.contains("api_url")), "{list:?}");
}

#[tokio::test]
async fn pulling_is_told_apart_from_listing_tags() {
    // May pull, but not list tags; lists tags, but may not pull; neither; a repository without tags.
    for (closed, empty, ok, says) in [
        ("/tags/list", false, true, "but not list its tags"),
        ("/manifests/", false, false, "do not allow this"),
        ("/team/app/", false, false, "do not allow this"),
        ("/nowhere", true, true, "may pull from team/app"),
    ] {
        let registry = started(basic());
        registry.fault(closed, 100, Fault::status(403));
        if empty {
            let none = || Fault::bytes(r#"{"name": "team/app", "tags": null}"#);
            registry.fault("/tags/list", 100, none());
        }
        let done = check(&definition(&registry, PASSWORD), Some("team/app"), &Context::new()).await.unwrap();
        let step = done.steps.last().unwrap();
        assert!(step.ok == Some(ok) && step.detail.contains(says), "{closed}: {step:?}");
    }
    let registry = started(basic());
    registry.fault("/tags/list", 100, Fault::status(403));
    let done = check(&definition(&registry, PASSWORD), Some("team/none"), &Context::new()).await.unwrap();
    assert!(done.steps.last().unwrap().detail.contains("no such repository"), "{done:?}");
}

#[tokio::test]
async fn names_are_those_of_a_listing_and_what_is_none_is_refused() {
    let registry = started(Auth::Open);
    let full = format!("{}/team/app", registry.host());
    let done = check(&anonymous(registry.url()), Some(&full), &Context::new()).await.unwrap();
    assert_eq!(done.steps.last().unwrap().ok, Some(true), "{done:?}");
    for wrong in ["team/app:1.0", "http://x/team/app", "../x", "A b"] {
        let error = check(&anonymous(registry.url()), Some(wrong), &Context::new()).await.unwrap_err();
        told(&error, Kind::InvalidInput);
    }
}

#[tokio::test]
async fn what_a_ping_is_refused_with_is_told() {
    let firewall = started(basic());
    let body = r#"{"errors":[{"code":"DENIED","message":"client with IP '203.0.113.7' is not allowed access."}]}"#;
    firewall.fault("/v2/", 9, Fault::Answer { status: 403, headers: Vec::new(), body: body.into() });
    let circle = started(basic());
    circle.fault("/v2/", 100, Fault::redirect("/v2/"));
    let other = started(basic());
    other.fault("/v2/", 9, Fault::status(404));
    for (registry, says) in [(firewall, "203.0.113.7"), (circle, "too many redirects"), (other, "does not speak")] {
        let done = check(&definition(&registry, PASSWORD), None, &Context::new()).await.unwrap();
        let failed = done.failed().unwrap();
        assert!(failed.step == StepName::Api && failed.detail.contains(says) && failed.hint.is_some(), "{failed:?}");
    }
}

#[tokio::test]
async fn a_password_that_nobody_looks_at_is_not_called_good() {
    let registry = started(Auth::Open);
    let done = check(&definition(&registry, PASSWORD), Some("team/app"), &Context::new()).await.unwrap();
    assert_eq!(steps(&done), "resolve true, tls null, api true, authenticate null, list true, pull true");
    // It was shown, so that it could have been refused.
    assert!(registry.log().iter().any(|access| access.path == "/v2/" && access.authorization.is_some()));
}

#[tokio::test]
async fn certificates_are_checked() {
    let Some(certificate) = Certificate::of_server() else { return };
    let options = Options { auth: basic(), tls: Some(certificate.pem()), ..Options::default() };
    let registry = TestRegistry::start_with(options).unwrap();
    registry.push("team/app", "1.0", &image());
    let error = root(&definition(&registry, PASSWORD), "team/app:1.0").await.unwrap_err();
    told(&error, Kind::Unavailable);
    assert!(error.hint().unwrap().contains("`ca`"), "{error:?}");
    assert!(registry.log().is_empty(), "nothing is sent to a host that is not trusted");

    let ca = certificate.path();
    let trusted = definition(&registry, PASSWORD).with_ca(&ca);
    root(&trusted, "team/app:1.0").await.unwrap();
    // The certificate is trusted for the name in it only.
    let port = registry.host().rsplit(':').next().unwrap().to_owned();
    let error = root(&anonymous(format!("https://localhost:{port}")).with_ca(&ca), "team/app:1.0").await.unwrap_err();
    told(&error, Kind::Unavailable);
    assert!(error.hint().unwrap().contains("another name"), "{error:?}");
    // http to a port that speaks https.
    let error = root(&anonymous(format!("http://{}", registry.host())), "team/app:1.0").await.unwrap_err();
    told(&error, Kind::Unavailable);

    let done = check(&trusted, Some("team/app"), &Context::new()).await.unwrap();
    assert_eq!(steps(&done), "resolve true, tls true, api true, authenticate true, list true, pull true");
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let (Some(server), Some(client)) = (Certificate::of_server(), Certificate::of_client()) else { return };
    let options = Options { auth: basic(), tls: Some(server.pem()), client_ca: Some(client.pem().0) };
    let registry = TestRegistry::start_with(options).unwrap();
    registry.push("team/app", "1.0", &image());
    let nobody = definition(&registry, PASSWORD).with_ca(server.path());
    let error = root(&nobody, "team/app:1.0").await.unwrap_err();
    told(&error, Kind::Unavailable);
    assert!(error.hint().unwrap().contains("`client_cert`"), "{error:?}");

    let known = nobody.clone().with_client_certificate(client.path(), client.key_path());
    root(&known, "team/app:1.0").await.unwrap();
    let done = check(&known, Some("team/app"), &Context::new()).await.unwrap();
    assert_eq!(steps(&done), "resolve true, tls true, api true, authenticate true, list true, pull true");

    // Half of one, and what is none.
    for (certificate, key, field) in [
        (Some(client.path()), None, "client_key"),
        (None, Some(client.key_path()), "client_cert"),
        (Some(client.path()), Some(client.path()), "client_key"),
        (Some(client.key_path()), Some(client.key_path()), "client_cert"),
        (Some("/nowhere.pem".into()), Some(client.key_path()), "client_cert"),
    ] {
        let mut wrong = nobody.clone();
        (wrong.client_cert, wrong.client_key) = (certificate, key);
        let error = root(&wrong, "team/app:1.0").await.unwrap_err();
        assert!(error.kind() == Kind::InvalidInput && error.to_string().contains(field), "{field}: {error:?}");
    }
}
