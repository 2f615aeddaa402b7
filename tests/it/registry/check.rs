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
