//! Where tokens of Entra come from, against a small server that stands in for Entra and for the machine.

use super::credential::AzureCredential;
use super::entra::{Cloud, Entra};
use crate::context::Context;
use crate::error::{Kind, Result};
use crate::net::client::{Client, Options};
use crate::registry::secret::Secret;
use crate::registry::stub::server;
use crate::registry::surroundings::Surroundings;

const TOKEN: &str = r#"{"access_token": "planted-entra-s3cret", "expires_on": "1767323045", "token_type": "Bearer"}"#;

/// A place: what it is called, what the user says, the environment.
type Case<'a> = (&'static str, AzureCredential, &'a [(&'static str, &'a str)]);

async fn token(credential: AzureCredential, variables: &[(&str, &str)]) -> Result<String> {
    let client = Client::new(&Options::default()).unwrap();
    let surroundings = Surroundings::of(variables.iter().copied());
    let entra = Entra::new(credential, Cloud::ALL[0], client, surroundings);
    entra.token("https://containerregistry.azure.net", &Context::new()).await.map(|token| token.to_string())
}

#[tokio::test]
async fn is_found_in_every_place() {
    let (url, log) = server(&[("/oauth2/v2.0/token", 200, "", TOKEN), ("/msi", 200, "", TOKEN)]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "federated\n").unwrap();
    let path = file.path().display().to_string();
    let app = format!("{url}/msi");
    let principal = AzureCredential::client_secret("tenant", "application", Secret::value("planted&s3cret"));
    let cases: [Case<'_>; 5] = [
        ("secret", principal.clone().with_authority(&url), &[]),
        (
            "environment",
            AzureCredential::new(),
            &[
                ("AZURE_AUTHORITY_HOST", &url),
                ("AZURE_TENANT_ID", "t"),
                ("AZURE_CLIENT_ID", "c"),
                ("AZURE_CLIENT_SECRET", "planted-s3cret"),
            ],
        ),
        (
            "workload",
            AzureCredential::new(),
            &[
                ("AZURE_AUTHORITY_HOST", &url),
                ("AZURE_TENANT_ID", "t"),
                ("AZURE_CLIENT_ID", "c"),
                ("AZURE_FEDERATED_TOKEN_FILE", &path),
            ],
        ),
        ("app", AzureCredential::new(), &[("IDENTITY_ENDPOINT", &app), ("IDENTITY_HEADER", "planted-header")]),
        (
            "one of several",
            AzureCredential::managed_identity(Some("mine".into())),
            &[("IDENTITY_ENDPOINT", &app), ("IDENTITY_HEADER", "planted-header")],
        ),
    ];
    for (what, credential, variables) in cases {
        assert_eq!(token(credential, variables).await.unwrap(), "planted-entra-s3cret", "{what}");
    }
    let seen = log.lock().unwrap().join("\n\n");
    for part in [
        "client_secret=planted%26s3cret",
        "client_assertion=federated",
        "scope=https%3A%2F%2Fcontainerregistry.azure.net%2F.default",
        "resource=https%3A%2F%2Fcontainerregistry.azure.net",
        "client_id=mine",
        "x-identity-header: planted-header",
    ] {
        assert!(seen.contains(part), "{part} is not in {seen}");
    }
}

#[tokio::test]
async fn the_managed_identity_of_the_machine_is_not_the_application_of_the_environment() {
    let (url, log) = server(&[("/msi", 200, "", TOKEN)]);
    let app = format!("{url}/msi");
    let variables =
        [("IDENTITY_ENDPOINT", &*app), ("IDENTITY_HEADER", "planted-header"), ("AZURE_CLIENT_ID", "application")];
    token(AzureCredential::managed_identity(None), &variables).await.unwrap();
    assert!(!log.lock().unwrap().join("").contains("client_id"), "{log:?}");
    // Without a word about who we are, the environment says it, as it does for Microsoft's own tools.
    token(AzureCredential::new(), &variables).await.unwrap();
    assert!(log.lock().unwrap().join("").contains("client_id=application"), "{log:?}");
}

#[tokio::test]
async fn a_certificate_signs_for_its_application() {
    use aws_lc_rs::encoding::AsDer as _;
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let (url, log) = server(&[("client_assertion", 200, "", TOKEN)]);
    let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let der: aws_lc_rs::encoding::Pkcs8V1Der = pair.as_der().unwrap();
    let block =
        |name: &str, der: &[u8]| format!("-----BEGIN {name}-----\n{}\n-----END {name}-----\n", STANDARD.encode(der));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), block("CERTIFICATE", b"not looked into") + &block("PRIVATE KEY", der.as_ref()))
        .unwrap();
    let credential = AzureCredential::client_certificate("tenant", "application", file.path()).with_authority(&url);
    token(credential, &[]).await.unwrap();
    // The same from the environment.
    let path = file.path().display().to_string();
    let variables = [
        ("AZURE_AUTHORITY_HOST", url.as_str()),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "application"),
        ("AZURE_CLIENT_CERTIFICATE_PATH", &path),
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1"),
    ];
    token(AzureCredential::new(), &variables).await.unwrap();
    let seen = log.lock().unwrap().clone();
    assert_eq!(seen.len(), 2, "{seen:?}");
    let assertion = seen[1].split("client_assertion=").nth(1).unwrap().split('&').next().unwrap();
    let [header, claims, signature] = assertion.split('.').collect::<Vec<_>>()[..] else { panic!("{assertion}") };
    let part =
        |text: &str| serde_json::from_slice::<serde_json::Value>(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
    assert_eq!(part(header)["alg"], "RS256");
    // The SHA-1 of the certificate.
    assert_eq!(part(header)["x5t"].as_str().map(str::len), Some(27));
    assert_eq!(part(claims)["aud"], format!("{url}/tenant/oauth2/v2.0/token"));
    assert_eq!((&part(claims)["iss"], &part(claims)["sub"]), (&"application".into(), &"application".into()));
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref().to_vec());
    let text = format!("{header}.{claims}");
    public.verify(text.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
}

/// A metadata service that answers so first, and then with a token.
fn coming_up(status: u16) -> String {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (stream, (status, body)) in listener.incoming().zip([(status, "{}"), (200, TOKEN)]) {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    url
}

#[tokio::test]
async fn a_metadata_service_that_comes_up_is_waited_for() {
    for (status, credential) in [(410, AzureCredential::new()), (404, AzureCredential::managed_identity(None))] {
        let url = coming_up(status);
        let found = token(credential, &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", &url)]).await;
        assert_eq!(found.unwrap(), "planted-entra-s3cret", "{status}");
    }
    // What is no service of Microsoft's may answer so for good.
    let url = coming_up(404);
    let error = token(AzureCredential::new(), &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", &url)]).await.unwrap_err();
    assert!(error.hint().is_some_and(|hint| hint.contains("managed identity")), "{error:?}");
}

#[tokio::test]
async fn a_machine_without_the_identity_says_so() {
    let refusal = r#"{"error": "invalid_request", "error_description": "Identity not found"}"#;
    let (url, _) = server(Box::leak(Box::new([("/msi", 400, "", refusal)])));
    let error = token(
        AzureCredential::new(),
        &[("IDENTITY_ENDPOINT", &format!("{url}/msi")), ("IDENTITY_HEADER", "planted-s3cret")],
    )
    .await
    .unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    let text = format!("{error:?}");
    assert!(text.contains("no managed identity") && !text.contains("s3cret"), "{text}");
}
