//! What is pulled: manifests and blobs, with every credential, over connections that break and registries that are busy.

use std::time::Instant;

use serde_json::json;
use tidewaiter::conformance::registry::Fault;
use tidewaiter::{ScanOptions, Scanner, Selection};

use crate::hostile::zstd;

use super::*;

#[tokio::test]
async fn pulls_with_every_credential() {
    for auth in [Auth::Open, basic(), bearer()] {
        let registry = started(auth.clone());
        let definition = definition(&registry, PASSWORD);
        let manifest = root(&definition, "team/app:1.0").await.unwrap();
        assert_eq!(manifest.digest, image().digest(), "{auth:?}");
        assert_eq!(blob(&definition, &layer(&image())).await.unwrap(), image().layers()[0], "{auth:?}");
        let source = open(&definition, "team/app:1.0").await.unwrap();
        assert!(source.has_blob(&layer(&image()), &Context::new()).await.unwrap());
        registry.remove_blob("team/app", &layer(&image()).digest);
        assert!(!source.has_blob(&layer(&image()), &Context::new()).await.unwrap());
    }
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_again_when_it_is_refused() {
    let registry = started(bearer());
    let source = open(&definition(&registry, PASSWORD), "team/app:1.0").await.unwrap();
    for _ in 0..3 {
        source.root(&Context::new()).await.unwrap();
    }
    let tokens = |registry: &TestRegistry| registry.log().iter().filter(|access| access.path == "/token").count();
    assert_eq!(tokens(&registry), 1);
    registry.revoke_tokens();
    source.root(&Context::new()).await.unwrap();
    assert_eq!(tokens(&registry), 2);
}

#[tokio::test]
async fn docker_config_is_read() {
    let registry = started(bearer());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let auth = |value: String| format!(r#"{{"auths": {{"{}": {value}}}}}"#, registry.host());
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(format!("{USER}:{PASSWORD}"));
    for entry in [format!(r#"{{"auth": "{encoded}"}}"#), format!(r#"{{"identitytoken": "{PASSWORD}"}}"#)] {
        std::fs::write(&path, auth(entry)).unwrap();
        let definition =
            Registry::docker(registry.url()).credential(Credential::DockerConfig { path: Some(path.clone()) });
        // One request at once: the one that the token server does not know makes room for the next.
        let definition = definition.with_concurrency(1);
        root(&definition, "team/app:1.0").await.unwrap();
    }
}

#[tokio::test]
async fn documents_that_are_no_image_are_told() {
    let registry = started(Auth::Open);
    let definition = anonymous(registry.url());
    let push = |tag: &str, media_type: &str, body: &str| {
        registry.push_manifest("team/app", Some(tag), media_type, body.to_owned())
    };
    push(
        "old",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        r#"{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[],"history":[]}"#,
    );
    push(
        "both",
        "application/vnd.oci.image.manifest.v1+json",
        r#"{"schemaVersion":2,"config":{},"layers":[],"manifests":[]}"#,
    );
    push("broken", "application/vnd.oci.image.manifest.v1+json", r#"{"schemaVersion":2,"#);
    push(
        "large",
        "application/vnd.oci.image.manifest.v1+json",
        &format!(r#"{{"layers":[],"x":"{}"}}"#, "x".repeat(4 << 20)),
    );
    for (tag, kind) in
        [("old", Kind::Unsupported), ("both", Kind::Corrupt), ("broken", Kind::Corrupt), ("large", Kind::LimitExceeded)]
    {
        told(&resolved(&definition, &format!("team/app:{tag}")).await.unwrap_err(), kind);
    }
    registry.fault("/manifests/", 1, Fault::page());
    told(&resolved(&definition, "team/app:1.0").await.unwrap_err(), Kind::Unsupported);
}

#[tokio::test]
async fn a_manifest_with_another_digest_is_refused() {
    let registry = started(Auth::Open);
    let definition = anonymous(registry.url());
    let answer = |announced: Option<&str>| Fault::Answer {
        status: 200,
        headers: announced.map(|digest| ("docker-content-digest".to_owned(), digest.to_owned())).into_iter().collect(),
        body: r#"{"schemaVersion":2,"config":{},"layers":[]}"#.into(),
    };
    // By digest, and by a tag whose digest the registry announces.
    registry.fault("/manifests/", 1, answer(None));
    told(&root(&definition, &format!("team/app@{}", image().digest())).await.unwrap_err(), Kind::Corrupt);
    registry.fault("/manifests/", 1, answer(Some(image().digest().as_str())));
    told(&root(&definition, "team/app:1.0").await.unwrap_err(), Kind::Corrupt);
}

#[tokio::test]
async fn a_cut_blob_is_resumed_where_it_stopped() {
    let registry = started(basic());
    let definition = definition(&registry, PASSWORD);
    registry.fault("/blobs/", 1, Fault::Cut(1_000_000));
    assert_eq!(blob(&definition, &layer(&image())).await.unwrap(), image().layers()[0]);
    let ranges: Vec<_> = registry
        .log()
        .into_iter()
        .filter(|access| access.path.contains("/blobs/"))
        .filter_map(|access| access.range.map(|range| (access.status, range)))
        .collect();
    assert_eq!(ranges.len(), 1, "{ranges:?}");
    assert_eq!(ranges[0].0, 206);
    assert_ne!(ranges[0].1, "bytes=0-");

    // A registry that does not know ranges starts again from the beginning.
    registry.fault("/blobs/", 1, Fault::Cut(1_000_000));
    registry.fault("/blobs/", 1, Fault::NoRange);
    assert_eq!(blob(&definition, &layer(&image())).await.unwrap(), image().layers()[0]);
}

#[tokio::test]
async fn a_blob_that_stands_still_is_given_up() {
    let registry = started(Auth::Open);
    let definition = anonymous(registry.url()).with_timeout(Duration::from_millis(200));
    registry.fault("/blobs/", 1, Fault::Stall(100_000));
    assert_eq!(
        blob(&definition, &layer(&image())).await.unwrap(),
        image().layers()[0],
        "one that stands still once is taken up again"
    );
    registry.fault("/blobs/", 100, Fault::Stall(0));
    told(&blob(&definition, &layer(&image())).await.unwrap_err(), Kind::Unavailable);
}

#[tokio::test]
async fn a_blob_has_the_length_of_its_descriptor() {
    let registry = started(Auth::Open);
    let definition = anonymous(registry.url());
    let right = layer(&image());
    for size in [right.size.unwrap() - 1, right.size.unwrap() + 1] {
        let error = blob(&definition, &Descriptor { size: Some(size), ..right.clone() }).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt, "{error:?}");
    }
}

#[tokio::test]
async fn too_many_requests_are_waited_for() {
    let registry = started(Auth::Open);
    let definition = anonymous(registry.url());
    registry.fault("/manifests/", 1, Fault::retry_after("1"));
    let started = std::time::Instant::now();
    root(&definition, "team/app:1.0").await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));

    // Longer than anybody waits: told at once.
    registry.fault("/manifests/", 1, Fault::retry_after("3600"));
    let error = root(&definition, "team/app:1.0").await.unwrap_err();
    told(&error, Kind::RateLimited);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));

    registry.fault("/manifests/", 2, Fault::status(503));
    root(&definition, "team/app:1.0").await.unwrap();
    registry.fault("/manifests/", 100, Fault::status(404));
    registry.clear_log();
    told(&root(&definition, "team/app:1.0").await.unwrap_err(), Kind::NotFound);
    assert_eq!(registry.log().len(), 1, "what a second try does not change is not tried again");
}

#[tokio::test]
async fn a_rate_holds_for_all_that_a_scanner_asks() {
    let registry = started(bearer());
    let definition = definition(&registry, PASSWORD).with_rate(50.0);
    let scanner = Scanner::builder().build().unwrap();
    let started = Instant::now();
    let options = ScanOptions { registry: Some(definition.clone()), ..ScanOptions::default() };
    let target = format!("{}/team/app:1.0", registry.host()).parse().unwrap();
    let context = Context::new();
    let (first, second) =
        tokio::join!(scanner.scan_with(&target, &options, &context), scanner.scan_with(&target, &options, &context));
    let images: Vec<_> = scanner.images(&definition, &Selection::new()).try_collect().await.unwrap();
    assert_eq!((first.unwrap().len(), second.unwrap().len(), images.len()), (1, 1, 1));
    // Only less time would be wrong.
    let requests = u32::try_from(registry.log().len()).unwrap();
    assert!(requests > 10 && started.elapsed() >= Duration::from_millis(20) * (requests - 1), "{requests} requests");
}

/// Layers that need the memory of two lanes hold no request while they wait for them, and the scan comes to its end.
#[tokio::test]
async fn wide_layers_wait_without_a_request() {
    let registry = TestRegistry::start().unwrap();
    let blob = |bytes: Vec<u8>, media_type: &str| {
        let descriptor =
            json!({"mediaType": media_type, "digest": Digest::of(&bytes).to_string(), "size": bytes.len()});
        registry.push_blob("team/app", bytes);
        descriptor
    };
    let layers: Vec<_> = (0..8)
        .map(|number| {
            let tar = Layer::new().file(&format!("f{number}"), noise_bytes(1 << 10)).tar();
            blob(zstd(&tar, 20 + 5 * (number % 2)), "application/vnd.oci.image.layer.v1.tar+zstd")
        })
        .collect();
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}});
    let config = blob(config.to_string().into_bytes(), "application/vnd.oci.image.config.v1+json");
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers});
    registry.push_manifest("team/app", Some("1.0"), media_type, manifest.to_string().into_bytes());

    let definition = anonymous(registry.url()).with_concurrency(2);
    let options = ScanOptions { registry: Some(definition), ..ScanOptions::default() };
    let target = format!("{}/team/app:1.0", registry.host()).parse().unwrap();
    let scanner = Scanner::builder().concurrency(2).build().unwrap();
    let context = Context::new().deadline(Duration::from_secs(60));
    let scans = (0..4).map(|_| scanner.scan_with(&target, &options, &context));
    for reports in futures_util::future::join_all(scans).await {
        assert_eq!(reports.unwrap()[0].layers.len(), 8);
    }
}

#[tokio::test]
async fn a_rate_is_a_number_above_0() {
    let registry = started(Auth::Open);
    for rate in [0.0, -1.0, f64::NAN, 1e-300] {
        let error = open(&anonymous(registry.url()).with_rate(rate), "team/app:1.0").await.unwrap_err();
        told(&error, Kind::InvalidInput);
        assert!(error.to_string().contains("rate"), "{error}");
    }
    // Faster than any clock tells apart.
    root(&anonymous(registry.url()).with_rate(1e300), "team/app:1.0").await.unwrap();
}

#[tokio::test]
async fn a_cancel_ends_a_wait() {
    let registry = started(Auth::Open);
    registry.fault("/manifests/", 1, Fault::retry_after("60"));
    let source = open(&anonymous(registry.url()), "team/app:1.0").await.unwrap();
    let context = Context::new().deadline(Duration::from_millis(200));
    let started = std::time::Instant::now();
    assert_eq!(source.root(&context).await.unwrap_err().kind(), Kind::Canceled);
    assert!(started.elapsed() < Duration::from_secs(10));
}
