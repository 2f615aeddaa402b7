//! Debian's `docker-registry`, a real one: open, behind htpasswd, and behind a token server whose tokens are signed.
//! Skipped, with a word about it, where a program is missing.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use tidewaiter::conformance::connector::{Holding, suite};
use tidewaiter::conformance::image::{BuiltImage, ImageBuilder, Layer};
use tidewaiter::model::record::ImageDate;
use tidewaiter::registry::{Credential, Registry, Secret, Wanted};
use tidewaiter::{Context, Kind};

use super::connector;
use super::docker_registry::{Server, push, run, start};
use super::imitation::{Answer, Asked, Imitation};

const PASSWORD: &str = "planted-s3cret";
const IMAGES: [(&str, &str, &[&str]); 3] =
    [("team/app", "one", &["1.0", "latest"]), ("team/app", "two", &["2.0"]), ("web", "three", &["1"])];

fn image(content: &str) -> BuiltImage {
    ImageBuilder::new().layer(Layer::new().file("content", content)).build()
}

/// Pushes the images, each under its tags.
async fn filled(server: &Server, credentials: Option<String>) -> Option<Holding> {
    let mut holding = Holding::new();
    for (repository, content, tags) in IMAGES {
        let image = image(content);
        for tag in tags {
            push(server, &image, repository, tag, credentials.as_deref()).await?;
        }
        holding = holding.image(repository, &image.digest(), tags, ImageDate::none());
    }
    Some(holding)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_to_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = start(folder.path(), "").await else { return };
    let Some(holding) = filled(&server, None).await else { return };
    let registry = Registry::docker(&server.url).credential(Credential::Anonymous);
    suite(&*connector(&registry).await.unwrap(), &holding).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_htpasswd() {
    let folder = tempfile::tempdir().unwrap();
    let Some(passwords) = run("htpasswd", &["-nbB", "alice", PASSWORD], None) else { return };
    let path = folder.path().join("htpasswd");
    std::fs::write(&path, passwords).unwrap();
    let auth = format!("auth: {{htpasswd: {{realm: test, path: {}}}}}", path.display());
    let Some(server) = start(folder.path(), &auth).await else { return };
    let Some(holding) = filled(&server, Some(format!("alice:{PASSWORD}"))).await else { return };
    let with =
        |password: &str| Registry::docker(&server.url).credential(Credential::basic("alice", Secret::value(password)));
    suite(&*connector(&with(PASSWORD)).await.unwrap(), &holding).await;
    let wrong = connector(&with("wrong")).await.unwrap();
    let error = wrong.images("team/app", &Wanted::default(), &Context::new()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated, "{error:?}");
}

/// A token server that gives `alice` what she asks for. Tokens are signed by RSA with SHA-256; the certificate goes with them.
/// Those to pull end in the middle of a run.
fn token(asked: &Asked, key: &str, certificate: &str) -> Answer {
    if asked.basic() != Some(("alice".into(), PASSWORD.into())) {
        return Answer::new(401, "application/json", r#"{"details":"incorrect username or password"}"#);
    }
    let access: Vec<_> = asked
        .param("scope")
        .split(' ')
        .filter_map(|scope| {
            let (kind, rest) = scope.split_once(':')?;
            let (name, actions) = rest.rsplit_once(':')?;
            Some(json!({"type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>()}))
        })
        .collect();
    let now = jiff::Timestamp::now().as_second();
    // The registry takes a token for a minute longer than it says, so that these end in some seconds, which the client is not told.
    let end = if asked.param("scope").contains("push") { now + 300 } else { now - 57 };
    let head = json!({"typ": "JWT", "alg": "RS256", "x5c": [certificate]});
    let claims = json!({"iss": "iss", "sub": "alice", "aud": "svc", "exp": end, "nbf": now - 600, "iat": now - 600, "jti": "1", "access": access});
    let plain = format!("{}.{}", URL_SAFE_NO_PAD.encode(head.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = run("openssl", &["dgst", "-sha256", "-sign", key], Some(plain.as_bytes())).unwrap();
    let token = format!("{plain}.{}", URL_SAFE_NO_PAD.encode(signature));
    Answer::json(json!({"token": token, "access_token": token, "expires_in": 300}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_token_server() {
    let folder = tempfile::tempdir().unwrap();
    let (key, path) =
        (folder.path().join("key.pem").display().to_string(), folder.path().join("cert.pem").display().to_string());
    let made = run(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=token",
            "-keyout",
            &key,
            "-out",
            &path,
        ],
        None,
    );
    if made.is_none() {
        return;
    }
    let pem = std::fs::read_to_string(&path).unwrap();
    let certificate: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    assert!(STANDARD.decode(&certificate).is_ok());
    let issuer = Imitation::start(move |asked| token(asked, &key, &certificate)).await;
    let auth = format!(
        "auth: {{token: {{realm: \"{}/token\", service: svc, issuer: iss, rootcertbundle: {path}}}}}",
        issuer.url()
    );
    let Some(server) = start(folder.path(), &auth).await else { return };
    let Some(holding) = filled(&server, Some(format!("alice:{PASSWORD}"))).await else { return };
    let with =
        |password: &str| Registry::docker(&server.url).credential(Credential::basic("alice", Secret::value(password)));
    let good = connector(&with(PASSWORD)).await.unwrap();
    suite(&*good, &holding).await;
    let (before, wanted, context) = (issuer.count("/token"), Wanted::default(), Context::new());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(good.images("team/app", &wanted, &context).await.unwrap().len(), 2);
    assert!(issuer.count("/token") > before);
    let wrong = connector(&with("wrong")).await.unwrap();
    let error = wrong.images("team/app", &Wanted::default(), &Context::new()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated, "{error:?}");
}
