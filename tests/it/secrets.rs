//! Secrets are found nowhere: not in logs at their finest, not in errors, events, reports and checks, not in `Debug`, and not in the
//! JSON of definitions. Every credential is planted with a word, and everything that comes out is searched for it.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use tidewaiter::conformance::image::{ImageBuilder, Layer};
use tidewaiter::conformance::registry::{Auth, Options, TestRegistry};
use tidewaiter::registry::Registry;
use tidewaiter::select::Selection;
use tidewaiter::{Context, ScanOptions, Scanner};
use tracing_subscriber::fmt::MakeWriter;

/// A part of every secret.
const PLANTED: &str = "pl4nted";
/// The password that the registry takes.
const PASSWORD: &str = "pl4nted-password";

/// Everything that came out.
#[derive(Clone, Default)]
struct Out(Arc<Mutex<Vec<u8>>>);

impl Out {
    fn say(&self, text: impl std::fmt::Display) {
        writeln!(self.0.lock().unwrap(), "{text}").unwrap();
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Out {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A service that refuses everything: the token services of clouds.
async fn refusing() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let refused =
        || async { (StatusCode::FORBIDDEN, [("content-type", "application/json")], "{\"error\":\"access_denied\"}") };
    let app = axum::Router::new().fallback(refused);
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

/// Does everything that a user can do with a registry, and keeps what comes out.
async fn use_all(out: &Out, registry: &Registry, image: &str) {
    out.say(format_args!("{registry:?} {:?} {:#?}", registry.credential, registry.credential));
    match serde_json::to_string(registry) {
        Ok(json) => out.say(json),
        Err(error) => out.say(error),
    }
    let events = out.clone();
    let context = Context::new().on_event(move |event| {
        events.say(format_args!("{event:?}"));
    });
    let scanner = Scanner::builder().build().unwrap();
    match scanner.check(registry, Some("team/app"), &context).await {
        Ok(check) => out.say(format_args!("{check:?} {}", serde_json::to_string(&check).unwrap())),
        Err(error) => out.say(format_args!("{error} {error:?} {:?}", error.hint())),
    }
    match scanner.images_with(registry, &Selection::new(), &context).try_collect::<Vec<_>>().await {
        Ok(images) => out.say(format_args!("{images:?} {}", serde_json::to_string(&images).unwrap())),
        Err(error) => out.say(format_args!("{error} {error:?} {:?}", error.hint())),
    }
    let options = ScanOptions { registry: Some(registry.clone()), ..ScanOptions::default() };
    out.say(format_args!("{options:?}"));
    match scanner.scan_with(&image.parse().unwrap(), &options, &context).await {
        Ok(reports) => out.say(format_args!("{reports:?}")),
        Err(error) => out.say(format_args!("{error} {error:?} {:?}", error.hint())),
    }
}

fn command(script: &str) -> Value {
    json!({"command": ["sh", "-c", script]})
}

#[tokio::test]
async fn planted_secrets_are_found_nowhere() {
    let out = Out::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(out.clone())
        .finish();
    let _logs = tracing::subscriber::set_default(subscriber);
    let cloud = refusing().await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let right = file("right", PASSWORD);
    let helper = file("helper.sh", &format!("printf {PASSWORD}"));
    let failing = file("failing.sh", "echo pl4nted-output; echo pl4nted-stderr >&2; exit 3");
    let key = json!({"type": "service_account", "client_email": "a@b.iam.gserviceaccount.com", "token_uri": cloud,
        "private_key": "-----BEGIN PRIVATE KEY-----\npl4ntedpl4ntedpl4nted\n-----END PRIVATE KEY-----\n"});
    let spoiled = file("key.json", "{\"private_key\": \"pl4nted-key\", pl4nted");

    let auths = [
        Auth::Basic { username: "alice".into(), password: PASSWORD.into() },
        Auth::Bearer { username: "alice".into(), password: PASSWORD.into(), realm: None },
    ];
    for auth in auths {
        let server = TestRegistry::start_with(Options { auth, tls: None }).unwrap();
        server.push("team/app", "1.0", &ImageBuilder::new().layer(Layer::new().file("a", "b")).build());
        let image = format!("{}/team/app:1.0", server.url());
        let basic = |password: Value| json!({"basic": {"username": "alice", "password": password}});
        let of_docker = [
            basic(json!(PASSWORD)),
            basic(json!("pl4nted-wrong")),
            basic(json!({"file": right})),
            basic(command(&format!("sh {helper}"))),
            basic(command(&format!("sh {failing}"))),
            json!({"token": {"token": "pl4nted-token"}}),
        ];
        for credential in of_docker {
            let json = json!({"kind": "docker", "url": server.url(), "credential": credential});
            use_all(&out, &Registry::from_json(&json.to_string()).unwrap(), &image).await;
        }
        let aws = json!({"aws": {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "pl4nted-aws-secret", "session_token": "pl4nted-session"}});
        let role = json!({"aws": {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "pl4nted-aws-secret",
            "role_arn": "arn:aws:iam::123456789012:role/x", "sts_endpoint": cloud}});
        for credential in [aws, role] {
            let json = json!({"kind": "ecr", "region": "eu-central-1", "account": "123456789012", "url": server.url(), "endpoint": cloud, "credential": credential});
            use_all(&out, &Registry::from_json(&json.to_string()).unwrap(), &image).await;
        }
        for credential in [
            json!({"azure": {"tenant_id": "t", "client_id": "c", "client_secret": "pl4nted-client-secret", "authority": cloud}}),
            json!({"azure": {"access_token": "pl4nted-entra"}}),
            json!({"azure": {"username": "u", "password": "pl4nted-admin"}}),
        ] {
            let json = json!({"kind": "acr", "url": server.url(), "credential": credential});
            use_all(&out, &Registry::from_json(&json.to_string()).unwrap(), &image).await;
        }
        for credential in [
            json!({"gar": {"service_account": key.to_string()}}),
            json!({"gar": {"service_account": {"file": spoiled}}}),
            json!({"gar": {"access_token": "pl4nted-google"}}),
        ] {
            let json = json!({"kind": "gar", "project": "p", "location": "europe", "repository": "r", "url": server.url(), "api_url": cloud, "credential": credential});
            use_all(&out, &Registry::from_json(&json.to_string()).unwrap(), &image).await;
        }
    }
    let text = out.text();
    // Something came out of every part, the logs too.
    assert!(
        text.contains("RepositoryListed") && text.contains("\"steps\"") && text.contains("TRACE"),
        "{}",
        text.len()
    );
    let found: Vec<_> = text.lines().filter(|line| line.contains(PLANTED)).take(5).collect();
    assert!(found.is_empty(), "{found:#?}");
}
