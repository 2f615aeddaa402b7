//! Foreign layers: fetched only when asked for, from where the manifest says, without credentials, and verified like all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tidewaiter::conformance::image::{Compression, ImageBuilder, Layer, descriptor};
use tidewaiter::conformance::registry::{Auth, Fault, Options, TestRegistry};
use tidewaiter::model::problem::ProblemKind;
use tidewaiter::store::MemoryCache;
use tidewaiter::{Context, Credential, Kind, Registry, Report, Result, ScanOptions, Scanner, Secret};

use crate::registry::certificates::Certificate;

const MEDIA_TYPE: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

fn layer() -> Vec<u8> {
    let manifest = r#"{"name": "foreign", "version": "1.0.0"}"#;
    Layer::new().file("srv/node_modules/foreign/package.json", manifest).compress(Compression::Gzip)
}

/// The registry of the image, behind a password, and one that serves its layer to everybody.
fn registries() -> (TestRegistry, TestRegistry) {
    let auth = Auth::Basic { username: "ann".to_owned(), password: "secret".to_owned() };
    (
        TestRegistry::start_with(Options { auth, ..Options::default() }).unwrap(),
        TestRegistry::start_with(Options::default()).unwrap(),
    )
}

/// Pushes an image whose one layer is said to be at `urls`, but not the layer.
fn push(registry: &TestRegistry, urls: &[String]) {
    let image = ImageBuilder::new().build();
    let mut manifest: serde_json::Value = serde_json::from_slice(&image.manifest).unwrap();
    let mut foreign = descriptor(MEDIA_TYPE, &layer());
    foreign["urls"] = json!(urls);
    manifest["layers"] = json!([foreign]);
    image.blobs.iter().for_each(|blob| drop(registry.push_blob("team/app", blob.clone())));
    registry.push_manifest("team/app", Some("1.0"), &image.media_type, manifest.to_string());
}

async fn scan(registry: &TestRegistry, foreign_layers: bool) -> Result<Report> {
    scan_by(definition(registry), foreign_layers).await
}

fn definition(registry: &TestRegistry) -> Registry {
    Registry::docker(registry.url()).credential(Credential::basic("ann", Secret::value("secret")))
}

async fn scan_by(definition: Registry, foreign_layers: bool) -> Result<Report> {
    let target = format!("{}team/app:1.0", definition.base().unwrap()).parse().unwrap();
    let options = ScanOptions { registry: Some(definition), foreign_layers, ..ScanOptions::default() };
    let scanner = Scanner::builder().build().unwrap();
    scanner.scan_with(&target, &options, &Context::new()).await.map(|mut reports| reports.remove(0))
}

#[tokio::test]
async fn a_foreign_layer_is_read_only_on_request_and_without_credentials() {
    let (registry, elsewhere) = registries();
    let digest = elsewhere.push_blob("base", layer());
    // Whatever the address carries is not sent either.
    let url = elsewhere.url().replace("http://", "http://eve:stolen@");
    push(&registry, &[format!("{url}/v2/base/blobs/{digest}")]);

    let report = scan(&registry, false).await.unwrap();
    assert!(report.problems.iter().any(|problem| problem.kind == ProblemKind::Unsupported), "{:?}", report.problems);
    assert_eq!(report.inventory.len(), 0);
    assert!(elsewhere.log().is_empty(), "nobody asked for it");

    let report = scan(&registry, true).await.unwrap();
    let names: Vec<_> = report.inventory.packages().map(|package| package.name().to_owned()).collect();
    assert_eq!(names, ["foreign"]);
    assert!(!report.problems.iter().any(|problem| problem.kind == ProblemKind::Unsupported));
    let log = elsewhere.log();
    assert!(!log.is_empty() && log.iter().all(|access| access.authorization.is_none()), "{log:?}");
}

#[tokio::test]
async fn a_registry_that_holds_the_layer_itself_is_enough() {
    let (registry, elsewhere) = registries();
    push(&registry, &[format!("{}/v2/base/blobs/x", elsewhere.url())]);
    registry.push_blob("team/app", layer());
    assert_eq!(scan(&registry, true).await.unwrap().inventory.len(), 1);
    assert!(elsewhere.log().is_empty());
}

#[tokio::test]
async fn the_addresses_are_tried_in_turn_and_the_digest_decides() {
    let (registry, elsewhere) = registries();
    let right = elsewhere.push_blob("base", layer());
    let wrong = elsewhere.push_blob("base", vec![b'x'; layer().len()]);
    let at = |path: &str| format!("{}/v2/base/blobs/{path}", elsewhere.url());
    let missing = format!("sha256:{}", "0".repeat(64));
    push(&registry, &[at(&missing), at(right.as_str())]);
    assert_eq!(scan(&registry, true).await.unwrap().inventory.len(), 1);
    for (urls, kind) in [
        (vec![at(wrong.as_str())], Kind::Corrupt),
        (vec![at(&missing)], Kind::NotFound),
        (vec![], Kind::NotFound),
        (vec!["file:///etc/passwd".to_owned()], Kind::Unsupported),
        (vec!["not an address".to_owned()], Kind::Unsupported),
    ] {
        push(&registry, &urls);
        let error = scan(&registry, true).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{urls:?}: {error}");
    }
}

/// Scans with what earlier scans kept of layers, one request at a time.
async fn scan_kept(cache: &Arc<MemoryCache>, registry: &TestRegistry) -> Result<Report> {
    let target = format!("{}/team/app:1.0", registry.url()).parse().unwrap();
    let definition = definition(registry).with_concurrency(1);
    let options = ScanOptions { registry: Some(definition), foreign_layers: true, ..ScanOptions::default() };
    let scanner = Scanner::builder().layer_cache(cache.clone()).build().unwrap();
    let context = Context::new().deadline(Duration::from_secs(60));
    scanner.scan_with(&target, &options, &context).await.map(|mut reports| reports.remove(0))
}

#[tokio::test]
async fn an_address_in_a_manifest_opens_no_stored_layer() {
    let cache = Arc::new(MemoryCache::new(1 << 20));
    let (secret, _) = registries();
    push(&secret, &[]);
    let digest = secret.push_blob("team/app", layer());
    assert_eq!(scan_kept(&cache, &secret).await.unwrap().inventory.len(), 1);
    // Somebody names the digest, and a server of their own that says to have it.
    let (registry, elsewhere) = registries();
    push(&registry, &[format!("{}/v2/base/blobs/{digest}", elsewhere.url())]);
    elsewhere.fault("/blobs/", 9, Fault::status(200));
    assert_eq!(scan_kept(&cache, &registry).await.unwrap_err().kind(), Kind::Corrupt);
    assert!(elsewhere.log().iter().all(|access| access.method == "GET"), "{:?}", elsewhere.log());
}

#[tokio::test]
async fn a_stored_foreign_layer_is_fetched_again_from_the_same_host() {
    let cache = Arc::new(MemoryCache::new(1 << 20));
    let registry = TestRegistry::start().unwrap();
    let digest = registry.push_blob("base", layer());
    push(&registry, &[format!("{}/v2/base/blobs/{digest}", registry.url())]);
    for _ in 0..2 {
        assert_eq!(scan_kept(&cache, &registry).await.unwrap().inventory.len(), 1);
    }
}

#[tokio::test]
async fn a_foreign_layer_comes_through_the_proxy_of_the_registry() {
    // What asks a proxy for a page names its host, so a server can pass for a proxy with all hosts behind it.
    let proxy = TestRegistry::start().unwrap();
    let digest = proxy.push_blob("base", layer());
    push(&proxy, &[format!("http://layers.invalid/v2/base/blobs/{digest}")]);
    let definition = Registry::docker("http://registry.invalid").credential(Credential::Anonymous);
    let report = scan_by(definition.with_proxy(proxy.url()), true).await.unwrap();
    assert_eq!(report.inventory.len(), 1);
    assert!(proxy.log().iter().any(|access| access.path == format!("/v2/base/blobs/{digest}")));
}

#[tokio::test]
async fn a_foreign_layer_of_a_public_registry_is_at_no_private_address() {
    let proxy = TestRegistry::start().unwrap();
    let digest = proxy.push_blob("base", layer());
    push(&proxy, &[format!("http://10.0.0.1/v2/base/blobs/{digest}")]);
    let definition = Registry::docker("http://registry.invalid").credential(Credential::Anonymous);
    let definition = definition.with_proxy(proxy.url());
    let path = format!("/v2/base/blobs/{digest}");
    let error = scan_by(definition.clone(), true).await.unwrap_err();
    assert!(error.kind() == Kind::Unsupported && error.to_string().contains("private address"), "{error}");
    assert!(proxy.log().iter().all(|access| access.path != path), "{:?}", proxy.log());
    assert_eq!(scan_by(definition.with_private_addresses(), true).await.unwrap().inventory.len(), 1);
}

#[tokio::test]
async fn a_foreign_layer_of_a_registry_with_https_is_not_fetched_without() {
    let Some(server) = Certificate::of_server() else { return };
    let registry = TestRegistry::start_with(Options { tls: Some(server.pem()), ..Options::default() }).unwrap();
    let elsewhere = TestRegistry::start().unwrap();
    let digest = elsewhere.push_blob("base", layer());
    push(&registry, &[format!("{}/v2/base/blobs/{digest}", elsewhere.url())]);
    let definition = Registry::docker(registry.url()).credential(Credential::Anonymous).with_ca(server.path());
    let error = scan_by(definition, true).await.unwrap_err();
    assert!(error.kind() == Kind::Unsupported && error.to_string().contains("without https"), "{error}");
    assert!(elsewhere.log().is_empty(), "{:?}", elsewhere.log());
}

#[tokio::test]
async fn a_foreign_layer_is_waited_for_as_long_as_the_registry() {
    let (registry, elsewhere) = registries();
    let digest = elsewhere.push_blob("base", layer());
    push(&registry, &[format!("{}/v2/base/blobs/{digest}", elsewhere.url())]);
    elsewhere.fault("/v2/base/", 100, Fault::Stall(0));
    let began = Instant::now();
    let error = scan_by(definition(&registry).with_timeout(Duration::from_millis(50)), true).await.unwrap_err();
    assert!(error.kind() == Kind::Unavailable && error.to_string().contains("0.05 s"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn a_foreign_layer_is_trusted_as_the_registry_is_but_sees_no_client_certificate() {
    let (Some(server), Some(client)) = (Certificate::of_server(), Certificate::of_client()) else { return };
    let start = |client_ca| {
        TestRegistry::start_with(Options { tls: Some(server.pem()), client_ca, ..Options::default() }).unwrap()
    };
    let (registry, elsewhere, closed) = (start(Some(client.pem().0)), start(None), start(Some(client.pem().0)));
    let definition = Registry::docker(registry.url()).credential(Credential::Anonymous).with_ca(server.path());
    let definition = definition.with_client_certificate(client.path(), client.key_path());
    for (place, is_read) in [(&elsewhere, true), (&closed, false)] {
        let digest = place.push_blob("base", layer());
        push(&registry, &[format!("{}/v2/base/blobs/{digest}", place.url())]);
        let scanned = scan_by(definition.clone(), true).await;
        assert_eq!(scanned.is_ok(), is_read, "{scanned:?}");
    }
    assert!(closed.log().is_empty());
}
