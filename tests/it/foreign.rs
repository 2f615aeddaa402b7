//! Foreign layers: fetched only when asked for, from where the manifest says, without credentials, and verified like all.

use serde_json::json;
use tidewaiter::conformance::image::{Compression, ImageBuilder, Layer, descriptor};
use tidewaiter::conformance::registry::{Auth, Options, TestRegistry};
use tidewaiter::model::problem::ProblemKind;
use tidewaiter::{Context, Credential, Kind, Registry, Report, Result, ScanOptions, Scanner, Secret};

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
    let credential = Credential::basic("ann", Secret::value("secret"));
    let definition = Registry::docker(registry.url()).credential(credential);
    let options = ScanOptions { registry: Some(definition), foreign_layers, ..ScanOptions::default() };
    let target = format!("http://{}/team/app:1.0", registry.host()).parse().unwrap();
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
