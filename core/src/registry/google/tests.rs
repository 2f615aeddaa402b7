//! Which services a key may name.

use url::Url;

use super::access::Access;
use super::credential::GoogleCredential;
use crate::context::Context;
use crate::error::Kind;
use crate::net::client::{Client, Options};
use crate::net::identity::IdentitySource;
use crate::registry::secret::Secret;
use crate::registry::stub::server;
use crate::registry::surroundings::Surroundings;

async fn refused(json: &str) -> String {
    let client = Client::new(&Options::default()).unwrap();
    let credential = GoogleCredential::service_account(Secret::value(json));
    let registry = Url::parse("https://us-docker.pkg.dev").unwrap();
    let access = Access::new(credential, client, registry, Surroundings::of([]));
    let error = access.identity(&Context::new()).await.unwrap_err();
    let text = format!("{error:?}");
    assert!(error.kind() == Kind::InvalidInput && !text.contains("s3cret"), "{text}");
    text
}

#[tokio::test]
async fn a_key_that_is_wrong_is_told() {
    for (json, named) in [
        ("planted-s3cret", "not JSON"),
        ("{}", "does not say what it is"),
        (r#"{"type": "impersonated"}"#, "impersonated"),
        (r#"{"type": "service_account", "client_email": "a@b"}"#, "private_key"),
        (r#"{"type": "service_account", "private_key": "planted-s3cret"}"#, "client_email"),
        (r#"{"type": "service_account", "client_email": "a@b", "private_key": "planted-s3cret"}"#, "PEM"),
        (r#"{"type": "authorized_user", "refresh_token": "planted-s3cret"}"#, "gcloud"),
        (r#"{"type": "external_account"}"#, "credential_source.file"),
        (r#"{"type": "external_account", "credential_source": {"executable": {"command": "x"}}}"#, "credential_source"),
    ] {
        let text = refused(json).await;
        assert!(text.contains(named), "{json}: {text}");
    }
}

#[tokio::test]
async fn tokens_are_asked_for_at_google_only() {
    for uri in [
        "http://oauth2.googleapis.com/token",
        "https://evil.example/token",
        "https://oauth2.googleapis.com.evil.example/token",
        "https://evilgoogleapis.com/token",
        "http://169.254.169.254/token",
        "no address",
    ] {
        let json = serde_json::json!({"type": "service_account", "client_email": "a@b", "private_key": "planted-s3cret", "token_uri": uri});
        let text = refused(&json.to_string()).await;
        assert!(text.contains("not Google's"), "{uri}: {text}");
    }
}

#[tokio::test]
async fn a_file_cannot_choose_who_is_google() {
    // What it names would be sent to whom it names.
    let subject = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(subject.path(), "planted-s3cret").unwrap();
    let json = serde_json::json!({"type": "external_account", "universe_domain": "evil.example", "audience": "a",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": "https://sts.evil.example/v1/token",
        "credential_source": {"file": subject.path()}});
    let text = refused(&json.to_string()).await;
    assert!(text.contains("not Google's") && text.contains("token_url"), "{text}");
}

async fn machine(variables: &[(&str, &str)]) -> crate::error::Result<String> {
    let client = Client::new(&Options::default()).unwrap();
    let registry = Url::parse("https://us-docker.pkg.dev").unwrap();
    let access = Access::new(GoogleCredential::new(), client, registry, Surroundings::of(variables.iter().copied()));
    let issued = access.identity(&Context::new()).await?;
    assert!(issued.until.is_some());
    match issued.identity {
        crate::net::identity::Identity::Bearer(token) => Ok(token.to_string()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_machine_says_who_it_is() {
    let token = r#"{"access_token": "ya29.planted", "expires_in": 3599, "token_type": "Bearer"}"#;
    let path = "GET /computeMetadata/v1/instance/service-accounts/default/token";
    let (url, log) = server(Box::leak(Box::new([(path, 200, "Metadata-Flavor: Google\r\n", token)])));
    let host = url.strip_prefix("http://").unwrap();
    assert_eq!(machine(&[("GCE_METADATA_HOST", host)]).await.unwrap(), "ya29.planted");
    assert!(log.lock().unwrap().join("").contains("metadata-flavor: Google"));
    // Something else that answers at that name.
    let (url, _) = server(Box::leak(Box::new([(path, 200, "", token)])));
    let error = machine(&[("GCE_METADATA_HOST", url.strip_prefix("http://").unwrap())]).await.unwrap_err();
    assert!(error.kind() == Kind::Unauthenticated && error.hint().is_some(), "{error:?}");
}
