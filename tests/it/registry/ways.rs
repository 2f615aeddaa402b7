//! Where the answers of a registry may lead, and what goes there with a request.

use tidewaiter::conformance::registry::Fault;

use super::certificates::Certificate;
use super::*;

const METADATA: &str = "http://169.254.169.254/latest/meta-data";

/// What asks a proxy for a page names its host, so a server can pass for a proxy with all hosts behind it.
fn behind(proxy: &TestRegistry) -> Registry {
    anonymous("http://registry.invalid".to_owned()).with_proxy(proxy.url())
}

fn asked_for(server: &TestRegistry, path: &str) -> bool {
    server.log().iter().any(|access| access.path == path)
}

#[tokio::test]
async fn a_redirect_of_a_public_registry_leads_to_no_private_address() {
    let proxy = started(Auth::Open);
    for target in [METADATA, "http://10.0.0.1/latest/meta-data", "http://localhost/latest/meta-data"] {
        proxy.clear_log();
        proxy.fault("/manifests/", 1, Fault::redirect(target));
        let error = root(&behind(&proxy), "team/app:1.0").await.unwrap_err();
        told(&error, Kind::Unsupported);
        assert!(error.hint().unwrap().contains("private_addresses"), "{error:?}");
        assert!(!asked_for(&proxy, "/latest/meta-data"), "{target}");
    }
    // Where it is meant, it is asked for.
    proxy.fault("/manifests/", 1, Fault::redirect("http://10.0.0.1/latest/meta-data"));
    root(&behind(&proxy).with_private_addresses(), "team/app:1.0").await.unwrap_err();
    assert!(asked_for(&proxy, "/latest/meta-data"));
}

#[tokio::test]
async fn a_private_registry_leads_to_private_addresses_but_not_to_those_of_the_machine() {
    // On the internet or not, it is not for a registry to ask a cloud for the keys of this machine.
    let registry = started(Auth::Open);
    registry.fault("/manifests/", 1, Fault::redirect(METADATA));
    let error = root(&anonymous(registry.url()), "team/app:1.0").await.unwrap_err();
    told(&error, Kind::Unsupported);
    let realm = Some(METADATA.to_owned());
    let registry = started(Auth::Bearer { username: USER.into(), password: PASSWORD.into(), realm });
    let error = root(&definition(&registry, PASSWORD), "team/app:1.0").await.unwrap_err();
    told(&error, Kind::Unsupported);
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_not_followed() {
    let Some(certificate) = Certificate::of_server() else { return };
    let registry = TestRegistry::start_with(Options { tls: Some(certificate.pem()), ..Options::default() }).unwrap();
    let other = started(Auth::Open);
    registry.fault("/manifests/", 9, Fault::redirect(&format!("{}/v2/team/app/manifests/1.0", other.url())));
    let trusted = anonymous(registry.url()).with_ca(certificate.path());
    told(&root(&trusted, "team/app:1.0").await.unwrap_err(), Kind::Unsupported);
    assert!(other.log().is_empty(), "{:?}", other.log());
}

#[tokio::test]
async fn a_token_server_that_redirects_hands_on_no_credential() {
    let other = TestRegistry::start().unwrap();
    let elsewhere = Fault::redirect(&format!("{}/elsewhere", other.url()));
    // The GET goes on without the password.
    let registry = started(bearer());
    registry.fault("/token", 9, elsewhere.clone());
    root(&definition(&registry, PASSWORD), "team/app:1.0").await.unwrap_err();
    assert!(!other.log().is_empty() && other.log().iter().all(|access| access.authorization.is_none()));
    // The POST, whose body is the credential, does not go on at all.
    other.clear_log();
    let registry = started(bearer());
    registry.fault("/token", 1, elsewhere);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let login = serde_json::json!({"auths": {registry.host(): {"identitytoken": PASSWORD}}});
    std::fs::write(&path, login.to_string()).unwrap();
    let definition = Registry::docker(registry.url()).credential(Credential::DockerConfig { path: Some(path) });
    let _ = root(&definition, "team/app:1.0").await;
    assert_eq!(registry.log().iter().find(|access| access.path == "/token").unwrap().method, "POST");
    assert!(other.log().is_empty(), "{:?}", other.log());
}

#[tokio::test]
async fn the_client_certificate_stays_on_the_host_of_the_registry() {
    let (Some(server), Some(client)) = (Certificate::of_server_with_a_name(), Certificate::of_client()) else { return };
    let start = || {
        let (tls, client_ca) = (Some(server.pem()), Some(client.pem().0));
        TestRegistry::start_with(Options { tls, client_ca, ..Options::default() }).unwrap()
    };
    let (registry, other) = (start(), start());
    other.push("team/app", "1.0", &image());
    let definition = anonymous(registry.url()).with_ca(server.path());
    let definition = definition.with_client_certificate(client.path(), client.key_path());
    let to = |host: &str| Fault::redirect(&format!("https://{host}/v2/team/app/manifests/1.0"));
    registry.fault("/manifests/", 1, to(&other.host()));
    root(&definition, "team/app:1.0").await.unwrap();
    registry.fault("/manifests/", 1, to(&other.host().replace("127.0.0.1", "localhost")));
    told(&root(&definition, "team/app:1.0").await.unwrap_err(), Kind::Unavailable);
    assert_eq!(other.log().len(), 1, "{:?}", other.log());
}
