//! Secrets are found nowhere: not in logs at their finest, not in errors, events, checks, `Debug` and the JSON of definitions, not in
//! the JSON of reports, of items and of the inventory, and not in the bytes of a store. Every credential is planted with a word, and
//! everything that comes out is searched for it.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use tidewaiter::conformance::image::{ImageBuilder, Layer};
use tidewaiter::conformance::registry::{Auth, Fault, Options, TestRegistry};
use tidewaiter::format::json::FORMAT;
use tidewaiter::job::{Outcome, RunOptions};
use tidewaiter::model::report::Report;
use tidewaiter::registry::Registry;
use tidewaiter::select::Selection;
use tidewaiter::store::InventoryFilter;
use tidewaiter::{Context, Error, Job, ScanOptions, Scanner, Store};
use tracing_subscriber::fmt::MakeWriter;

use crate::alone::within;

/// A part of every secret.
const PLANTED: &str = "pl4nted";
/// The password that the registry takes.
const PASSWORD: &str = "pl4nted-password";

/// A secret that is a number.
const NUMBER: u64 = 70451704517045;
/// `alice:pl4nted-docker`, as docker keeps it, and the beginning of whatever of Alice's is planted.
const ALICE_IN_BASE64: &str = "YWxpY2U6cGw0bnRlZC1kb2NrZXI=";
const BASE64: &str = "YWxpY2U6cGw0bnRl";

/// Everything that came out.
#[derive(Clone, Default)]
struct Out(Arc<Mutex<Vec<u8>>>);

impl Out {
    fn say(&self, text: impl std::fmt::Display) {
        writeln!(self.0.lock().unwrap(), "{text}").unwrap();
    }

    fn fail(&self, error: &Error) {
        self.say(format_args!("{error} {error:?} {:?}", error.hint()));
    }

    fn json(&self, value: &impl serde::Serialize) {
        self.say(serde_json::to_string(value).unwrap());
    }

    fn reports(&self, reports: &[Report]) {
        self.say(format_args!("{reports:?}"));
        FORMAT.write(reports, &mut self.clone()).unwrap();
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

/// A service that refuses everything and repeats what it was sent: the token services of clouds, APIs of products.
async fn refusing() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let refused = |headers: axum::http::HeaderMap| async move {
        let sent: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        let message = format!("access denied to {}", sent.join(" "));
        let body = json!({"error": "access_denied", "error_description": message, "message": message});
        (StatusCode::FORBIDDEN, [("content-type", "application/json")], body.to_string())
    };
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
        Err(error) => out.fail(&error),
    }
    match scanner.images_with(registry, &Selection::new(), &context).try_collect::<Vec<_>>().await {
        Ok(images) => out.say(format_args!("{images:?} {}", serde_json::to_string(&images).unwrap())),
        Err(error) => out.fail(&error),
    }
    let options = ScanOptions { registry: Some(registry.clone()), ..ScanOptions::default() };
    out.say(format_args!("{options:?}"));
    match scanner.scan_with(&image.parse().unwrap(), &options, &context).await {
        Ok(reports) => out.reports(&reports),
        Err(error) => out.fail(&error),
    }
    // What holds a secret in plain text cannot be saved.
    if let Ok(definition) = serde_json::to_value(registry) {
        look_after(out, &definition, &context).await;
    }
}

/// Runs a job over the registry, item by item, and keeps what it says, what is stored of it, and the bytes of the store.
async fn look_after(out: &Out, definition: &Value, context: &Context) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::file(folder.path().join("store.db")).unwrap();
    store.put_registry("prod", definition).await.unwrap();
    store.add_job(&Job::new("all", "prod", Selection::new())).await.unwrap();
    let scanner = Scanner::builder().store(store.clone()).build().unwrap();
    let run = scanner.start("all", RunOptions::default()).await.unwrap();
    if let Err(error) = scanner.plan(run.run, context).await {
        out.fail(&error);
    }
    for item in store.lease_items("test", Some(run.run), 100, 60).await.unwrap() {
        out.json(&item);
        let done = scanner.execute(&item, context).await.unwrap();
        out.json(&done);
        if let Outcome::Scanned(packed) = &done.outcome {
            out.reports(&packed.iter().map(|packed| packed.report().unwrap()).collect::<Vec<_>>());
        }
        scanner.commit(&done, context).await.unwrap();
    }
    out.json(&store.summary(run.run).await.unwrap());
    out.json(&store.run(run.run).await.unwrap());
    for row in store.inventory(&InventoryFilter::default(), None, 100).await.unwrap() {
        out.json(&row);
        let stored = store.reports(&row.registry, &row.repository, &row.digest).await.unwrap();
        out.reports(&stored.into_iter().map(|stored| stored.report).collect::<Vec<_>>());
    }
    out.say(format_args!("{:?} {:?}", store.registries().await.unwrap(), store.jobs().await.unwrap()));
    keep_files(out, folder.path());
    drop((scanner, store));
    keep_files(out, folder.path());
}

/// The files of a folder, as they are.
fn keep_files(out: &Out, folder: &Path) {
    for file in std::fs::read_dir(folder).unwrap() {
        out.clone().write_all(&std::fs::read(file.unwrap().path()).unwrap()).unwrap();
        out.say("");
    }
}

fn command(script: &str) -> Value {
    json!({"command": ["sh", "-c", script]})
}

#[test]
fn planted_secrets_are_found_nowhere() {
    // In a process of its own, so that the logs of all its threads are looked at.
    within(1024, "secrets::planted_secrets_are_found_nowhere", || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(plant());
    });
}

async fn plant() {
    let out = Out::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(out.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
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
    let aws_key = file("aws", "pl4nted-aws-secret");

    let auths = [
        Auth::Basic { username: "alice".into(), password: PASSWORD.into() },
        Auth::Bearer { username: "alice".into(), password: PASSWORD.into(), realm: None },
    ];
    for auth in auths {
        let server = TestRegistry::start_with(Options { auth, ..Options::default() }).unwrap();
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
            // As registries of clouds send their blobs: the address opens the door.
            let signed = format!("{cloud}/blob?X-Amz-Signature=pl4nted-signature&sig=pl4nted");
            server.fault("/blobs/", 1, Fault::redirect(&signed));
            use_all(&out, &Registry::from_json(&json.to_string()).unwrap(), &image).await;
        }
        let aws = json!({"aws": {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "pl4nted-aws-secret", "session_token": "pl4nted-session"}});
        let role = json!({"aws": {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "pl4nted-aws-secret",
            "role_arn": "arn:aws:iam::123456789012:role/x", "sts_endpoint": cloud}});
        let by_file = json!({"aws": {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": {"file": aws_key}}});
        for credential in [aws, role, by_file] {
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
    // Every kind, with an API that refuses.
    let login = folder.path().join("login.json");
    let server = TestRegistry::start_with(Options::default()).unwrap();
    let image = format!("{}/team/app:1.0", server.url());
    let host = server.host();
    let logins = json!({"auths": {host.clone(): {"auth": ALICE_IN_BASE64, "identitytoken": "pl4nted-identity-token"}}});
    std::fs::write(&login, logins.to_string()).unwrap();
    let key = file("client.pem", "-----BEGIN PRIVATE KEY-----\npl4ntedpl4ntedpl4nted\n-----END PRIVATE KEY-----\n");
    let secrets = [
        json!({"basic": {"username": "alice", "password": "pl4nted-password-of-a-product"}}),
        json!({"token": {"token": "pl4nted-token-of-a-product"}}),
        json!({"docker_config": {"path": login}}),
    ];
    let kinds = [
        "docker",
        "dockerhub",
        "quay",
        "gitlab",
        "ghcr",
        "harbor",
        "artifactory",
        "nexus",
        "gitea",
        "msr",
        "openshift",
        "zot",
    ];
    for (kind, credential) in kinds.iter().flat_map(|kind| secrets.iter().map(move |secret| (kind, secret))) {
        for url in [server.url(), cloud.clone()] {
            let mut json = json!({"kind": kind, "url": url, "api_url": cloud, "credential": credential});
            if *kind == "dockerhub" {
                json["namespaces"] = json!(["acme"]);
            }
            match Registry::from_json(&json.to_string()) {
                Ok(registry) => use_all(&out, &registry, &format!("{url}/team/app:1.0")).await,
                Err(error) => out.fail(&error),
            }
        }
    }
    for json in [
        json!({"url": server.url(), "client_cert": key, "client_key": key}),
        json!({"url": server.url(), "credential": {"basic": {"username": "alice", "password": NUMBER}}}),
        json!({"url": server.url(), "credential": {"token": {"token": NUMBER}}}),
        json!({"kind": "acr", "url": server.url(), "credential": {"azure": {"access_token": NUMBER}}}),
    ] {
        match Registry::from_json(&json.to_string()) {
            Ok(registry) => use_all(&out, &registry, &image).await,
            Err(error) => out.fail(&error),
        }
    }
    // A password in an address, where one may be by mistake, and of a proxy, where it belongs as long as nothing is saved.
    let server = TestRegistry::start_with(Options::default()).unwrap();
    let image = format!("{}/team/app:1.0", server.url());
    let address = "http://alice:pl4nted-address@127.0.0.1:9";
    for json in [
        json!({"url": address}),
        json!({"url": server.url(), "api_url": address}),
        json!({"url": server.url(), "proxy": address}),
        json!({"kind": "ecr", "region": "eu-central-1", "account": "123456789012", "endpoint": address}),
        json!({"kind": "ecr", "region": "eu-central-1", "account": "123456789012", "credential": {"aws": {"sts_endpoint": address}}}),
        json!({"kind": "acr", "name": "contoso", "credential": {"azure": {"authority": address}}}),
    ] {
        match Registry::from_json(&json.to_string()) {
            Ok(registry) => use_all(&out, &registry, &image).await,
            Err(error) => out.fail(&error),
        }
    }
    use_all(&out, &Registry::docker(address), &image).await;
    let text = out.text();
    // Something came out of every part: events, checks, logs, reports, items, rows of the inventory, the store, a signed address.
    let parts = [
        "RepositoryListed",
        "\"steps\"",
        "TRACE",
        "\"packages\"",
        "\"definition\"",
        "\"scanned_at\"",
        "SQLite format 3",
        "/blob",
    ];
    for part in parts {
        assert!(text.contains(part), "{part} is not in {} bytes", text.len());
    }
    let is_shown = |line: &&str| [PLANTED, &NUMBER.to_string(), BASE64].iter().any(|secret| line.contains(secret));
    let found: Vec<_> = text.lines().filter(is_shown).take(5).collect();
    assert!(found.is_empty(), "{found:#?}");
}
