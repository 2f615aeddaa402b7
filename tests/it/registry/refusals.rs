//! What is refused, by the registry or by us: what is not there, credentials that are wrong or have ended, places where none may go.

use tidewaiter::conformance::registry::Fault;

use super::certificates::Certificate;
use super::*;

#[tokio::test]
async fn wrong_passwords_are_told() {
    for auth in [basic(), bearer()] {
        let registry = started(auth);
        told(&root(&definition(&registry, "wrong"), "team/app:1.0").await.unwrap_err(), Kind::Unauthenticated);
        told(&root(&anonymous(registry.url()), "team/app:1.0").await.unwrap_err(), Kind::Unauthenticated);
    }
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    let registry = started(Auth::Open);
    let definition = anonymous(registry.url());
    for (path, says) in [
        ("team/app:2.0".to_owned(), "no such image"),
        ("team/other:1.0".to_owned(), "no such repository"),
        (format!("team/app@{}", Digest::of(b"nothing")), "no manifest with this digest"),
    ] {
        let error = root(&definition, &path).await.unwrap_err();
        told(&error, Kind::NotFound);
        assert!(error.to_string().contains(says), "{error}");
    }
    let descriptor = Descriptor { digest: Digest::of(b"nothing"), ..layer(&image()) };
    told(&blob(&definition, &descriptor).await.unwrap_err(), Kind::NotFound);
}

#[tokio::test]
async fn hosts_out_of_reach_are_told() {
    let error = root(&anonymous("https://registry.invalid".into()), "a:1").await.unwrap_err();
    told(&error, Kind::Unavailable);
    assert!(error.to_string().contains("does not resolve"), "{error}");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = root(&anonymous(format!("http://127.0.0.1:{port}")), "a:1").await.unwrap_err();
    told(&error, Kind::Unavailable);
    assert!(error.to_string().contains("cannot connect"), "{error}");
    // https to a port that speaks http.
    let registry = started(Auth::Open);
    let error = root(&anonymous(format!("https://{}", registry.host())), "team/app:1.0").await.unwrap_err();
    told(&error, Kind::Unavailable);
    assert!(error.hint().unwrap().contains("plain http"), "{error:?}");
}

#[tokio::test]
async fn a_refused_credential_is_looked_up_once_more() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old");
    // The first call prints an old password, every later one the new one, as a helper does whose password was changed meanwhile.
    let script = format!("if [ -e {0} ]; then echo {PASSWORD}; else touch {0}; echo old; fi", old.display());
    for auth in [basic(), bearer()] {
        let _ = std::fs::remove_file(&old);
        let registry = started(auth);
        let credential = Credential::basic(USER, Secret::command(["sh", "-c", &script]));
        root(&Registry::docker(registry.url()).credential(credential), "team/app:1.0").await.unwrap();
    }
}

#[tokio::test]
async fn a_credential_that_stays_refused_is_not_looked_up_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let script = format!("echo asked >> {}; echo wrong", log.display());
    let registry = started(basic());
    let definition =
        Registry::docker(registry.url()).credential(Credential::basic(USER, Secret::command(["sh", "-c", &script])));
    let source = open(&definition, "team/app:1.0").await.unwrap();
    for _ in 0..5 {
        told(&source.root(&Context::new()).await.unwrap_err(), Kind::Unauthenticated);
    }
    assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), 2);
}

#[tokio::test]
async fn a_session_that_expires_with_another_status_is_renewed() {
    for (auth, status, body) in [
        (basic(), 403, "Your authorization token has expired. Reauthenticate and try again."),
        (bearer(), 400, r#"{"errors":[{"code":"DENIED","message":"Your Authorization Token has expired."}]}"#),
    ] {
        let registry = started(auth);
        registry.fault("/manifests/", 1, Fault::Answer { status, headers: Vec::new(), body: body.into() });
        root(&definition(&registry, PASSWORD), "team/app:1.0").await.unwrap();
    }
    let registry = started(basic());
    registry.fault("/manifests/", 1, Fault::Answer { status: 403, headers: Vec::new(), body: "no such luck".into() });
    let error = root(&definition(&registry, PASSWORD), "team/app:1.0").await.unwrap_err();
    told(&error, Kind::PermissionDenied);
    assert!(error.to_string().contains("no such luck"), "the body is still read: {error}");
}

#[tokio::test]
async fn an_account_of_docker_hub_goes_to_docker_hub_only() {
    let registry = started(basic());
    let definition = Registry::docker(registry.url()).credential(Credential::dockerhub(USER, Secret::value(PASSWORD)));
    told(&root(&definition, "team/app:1.0").await.unwrap_err(), Kind::InvalidInput);
    assert!(registry.log().is_empty());
}

#[tokio::test]
async fn credentials_stay_behind_on_a_redirect() {
    for auth in [basic(), bearer()] {
        let registry = started(auth);
        let other = started(Auth::Open);
        let descriptor = layer(&image());
        registry.fault(
            "/blobs/",
            2,
            Fault::redirect(&format!("{}/v2/team/app/blobs/{}?signature=abc", other.url(), descriptor.digest)),
        );
        // The first request may be the one that gets the challenge, so the manifest goes first.
        let source = open(&definition(&registry, PASSWORD), "team/app:1.0").await.unwrap();
        source.root(&Context::new()).await.unwrap();
        let stream = source.blob(&descriptor, &Context::new()).await.unwrap();
        let bytes: Vec<_> = stream.try_collect().await.unwrap();
        assert_eq!(bytes.concat(), image().layers()[0]);
        assert!(
            registry.log().iter().any(|access| access.status == 307 && access.authorization.is_some()),
            "the registry itself got them"
        );
        assert_eq!(other.log().len(), 1);
        assert_eq!(other.log()[0].authorization, None);
    }
}

#[tokio::test]
async fn redirects_have_an_end() {
    let registry = started(Auth::Open);
    registry.fault("/manifests/", 100, Fault::redirect("/v2/team/app/manifests/1.0"));
    told(&root(&anonymous(registry.url()), "team/app:1.0").await.unwrap_err(), Kind::Unsupported);
    assert_eq!(registry.log().len(), 6);
}

#[tokio::test]
async fn passwords_go_over_http_only_where_the_registry_is_http() {
    let other = started(bearer());
    let auth = || {
        let realm = format!("http://localhost:{}/token", other.host().rsplit(':').next().unwrap());
        Auth::Bearer { username: USER.into(), password: PASSWORD.into(), realm: Some(realm) }
    };
    let Some(certificate) = Certificate::of_server() else { return };
    let registry =
        TestRegistry::start_with(Options { auth: auth(), tls: Some(certificate.pem()), ..Options::default() }).unwrap();
    let trusted = definition(&registry, PASSWORD).with_ca(certificate.path());
    told(&root(&trusted, "team/app:1.0").await.unwrap_err(), Kind::Unsupported);
    assert!(other.log().is_empty());
    // The token of somebody else is no good there, but it is asked for.
    let plain = started(auth());
    root(&definition(&plain, PASSWORD), "team/app:1.0").await.unwrap_err();
    assert!(other.log().iter().any(|access| access.path == "/token"));
}

#[tokio::test]
async fn huge_headers_do_no_harm() {
    let registry = started(basic());
    let challenge = format!("Basic realm=\"{}\"", "x".repeat(100_000));
    registry.fault(
        "/manifests/",
        1,
        Fault::Answer { status: 401, headers: vec![("www-authenticate".into(), challenge)], body: Default::default() },
    );
    told(&root(&definition(&registry, PASSWORD), "team/app:1.0").await.unwrap_err(), Kind::Unauthenticated);
}

#[tokio::test]
async fn secrets_are_shown_nowhere() {
    let registry = started(bearer());
    let definition = definition(&registry, PASSWORD).with_proxy(format!("http://{USER}:{PASSWORD}@proxy.example"));
    assert!(!format!("{definition:?}").contains(PASSWORD), "{definition:?}");
    let definition = self::definition(&registry, PASSWORD);
    let source = open(&definition, "team/app:1.0").await.unwrap();
    source.root(&Context::new()).await.unwrap();
    let shown = format!(
        "{source:?} {:?}",
        tidewaiter::registry::Connection::open(&definition, None, &Context::new()).await.unwrap()
    );
    assert!(!shown.contains(PASSWORD) && !shown.contains("token-1"), "{shown}");
}
