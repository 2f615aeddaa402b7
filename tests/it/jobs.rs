//! Jobs on an in-process registry: what a run scans, what it leaves alone, and what survives a worker.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::TryStreamExt;
use serde_json::json;
use tidewaiter::advisory::{Advisories, ImportOptions, import};
use tidewaiter::conformance::image::{BuiltImage, ImageBuilder, Layer};
use tidewaiter::conformance::registry::{Fault, TestRegistry};
use tidewaiter::engine::WorkerOptions;
use tidewaiter::job::{Commit, Done, Item, RunOptions, State, Summary};
use tidewaiter::model::digest::Digest;
use tidewaiter::model::event::Event;
use tidewaiter::select::{Reason, Undated};
use tidewaiter::store::InventoryFilter;
use tidewaiter::{Context, Job, Kind, Registry, ScanOptions, Scanner, Schedule, Selection, Store};

/// An image with a Debian package of its own, over a base that all share.
fn image(word: &str) -> BuiltImage {
    let status = format!("Package: {word}\nStatus: install ok installed\nVersion: 1.0\nArchitecture: amd64\n\n");
    ImageBuilder::new()
        .layer(Layer::new().file("etc/os-release", "ID=debian\nVERSION_ID=12\n"))
        .layer(Layer::new().file("var/lib/dpkg/status", status))
        .build()
}

/// Five images in two repositories, one of them under two tags, and a chart.
fn registry() -> TestRegistry {
    let registry = TestRegistry::start().unwrap();
    for (tag, word) in [("1.0", "one"), ("latest", "one"), ("2.0", "two"), ("3.0", "three")] {
        registry.push("team/app", tag, &image(word));
    }
    registry.push("team/web", "1.0", &image("web"));
    registry.push("team/web", "2.0", &image("web-2"));
    let config = registry.push_blob("charts/app", "{}");
    registry.push_manifest(
        "charts/app",
        Some("0.1.0"),
        "application/vnd.oci.image.manifest.v1+json",
        format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.cncf.helm.config.v1+json","digest":"{config}","size":2}},"layers":[]}}"#
        ),
    );
    registry
}

async fn add(store: &Store, registry: &TestRegistry, selection: Selection) {
    let definition = json!({"kind": "docker", "url": registry.url(), "credential": {"anonymous": {}}});
    store.put_registry("test", &definition).await.unwrap();
    store.add_job(&Job::new("all", "test", selection)).await.unwrap();
}

fn scanner(store: &Store) -> Scanner {
    Scanner::builder().store(store.clone()).build().unwrap()
}

/// A store in memory with the job `all`, and a scanner over it.
async fn set_up(registry: &TestRegistry) -> (Store, Scanner) {
    let store = Store::memory().unwrap();
    add(&store, registry, Selection::new()).await;
    (store.clone(), scanner(&store))
}

async fn run(scanner: &Scanner) -> Summary {
    scanner.run("all", RunOptions::default(), &Context::new()).await.unwrap()
}

/// scanned, re-matched, known, failed.
fn counts(summary: &Summary) -> (u64, u64, u64, usize) {
    let known = summary.skipped.get(&Reason::Known).copied().unwrap_or_default();
    (summary.scanned, summary.rematched, known, summary.failed.len())
}

fn blob_requests(registry: &TestRegistry) -> usize {
    registry.log().iter().filter(|access| access.path.contains("/blobs/")).count()
}

async fn inventory(store: &Store) -> Vec<String> {
    let rows = store.inventory(&InventoryFilter::default(), None, 1000).await.unwrap();
    rows.iter().map(|row| format!("{} {} {}", row.repository, row.digest, row.tags.join(","))).collect()
}

#[tokio::test]
async fn a_run_scans_what_is_new() {
    let registry = registry();
    let (store, scanner) = set_up(&registry).await;
    let first = run(&scanner).await;
    assert_eq!(first.state, State::Finished, "{first:?}");
    assert_eq!(counts(&first), (5, 0, 0, 0), "{first:?}");
    assert_eq!((first.listed, first.skipped.get(&Reason::NotAnImage)), (6, Some(&1)), "{first:?}");
    // Six layers of five images: the base once.
    assert_eq!((first.layers_fetched, first.layers_from_store), (6, 4), "{first:?}");

    registry.clear_log();
    let second = run(&scanner).await;
    assert_eq!(counts(&second), (0, 0, 5, 0), "{second:?}");
    assert_eq!(blob_requests(&registry), 0, "{:?}", registry.log());

    registry.push("team/app", "again", &image("two"));
    registry.push("team/web", "3.0", &image("web-3"));
    registry.push("team/app", "3.0", &image("four"));
    let third = run(&scanner).await;
    assert_eq!(counts(&third), (2, 0, 4, 0), "{third:?}");
    let rows = inventory(&store).await;
    assert_eq!(rows.len(), 6, "what the tag left is gone: {rows:?}");
    assert!(rows.iter().any(|row| row.ends_with(" 2.0,again")), "{rows:?}");
    let [summary] = &store.summaries(jiff::Timestamp::now()).await.unwrap()[..] else { panic!() };
    assert_eq!((summary.images, summary.scanned, summary.gone), (6, 6, 1), "{summary:?}");
}

#[tokio::test]
async fn a_forced_run_matches_again_without_the_registry() {
    let registry = registry();
    let (_, scanner) = set_up(&registry).await;
    run(&scanner).await;
    registry.clear_log();
    let all = RunOptions { scan_all: true, pull: false };
    let forced = scanner.run("all", all, &Context::new()).await.unwrap();
    assert_eq!(counts(&forced), (0, 5, 0, 0), "{forced:?}");
    assert_eq!(blob_requests(&registry), 0, "{:?}", registry.log());
    let pulled = scanner.run("all", RunOptions { pull: true, ..all }, &Context::new()).await.unwrap();
    assert_eq!(counts(&pulled), (5, 0, 0, 0), "{pulled:?}");
    let alone = scanner.start("all", RunOptions { scan_all: false, pull: true }).await;
    assert_eq!(alone.unwrap_err().kind(), Kind::InvalidInput);
}

#[tokio::test]
async fn an_image_that_failed_is_tried_again() {
    let registry = registry();
    let (_, scanner) = set_up(&registry).await;
    assert_eq!(scanner.start_again("all").await.unwrap_err().kind(), Kind::InvalidState, "it never ran");
    let path = format!("/team/web/manifests/{}", image("web").digest());
    registry.fault(&path, 1, Fault::status(403));
    let first = run(&scanner).await;
    assert_eq!((first.state, counts(&first)), (State::Finished, (4, 0, 0, 1)), "{first:?}");
    assert_eq!(first.failed[0].digest, image("web").digest());
    let again = scanner.restart("all", &Context::new()).await.unwrap();
    assert_eq!(counts(&again), (1, 0, 4, 0), "only what failed is tried again: {again:?}");
}

#[tokio::test]
async fn a_registry_that_cannot_be_listed_is_an_error_of_the_run() {
    let registry = registry();
    let (store, scanner) = set_up(&registry).await;
    registry.fault("/_catalog", 100, Fault::status(403));
    let summary = run(&scanner).await;
    assert_eq!(summary.state, State::Error, "{summary:?}");
    assert!(summary.error.is_some());
    let named = Selection::new().repositories(["team/app", "team/web"]).unwrap();
    store.set_job(&Job::new("all", "test", named)).await.unwrap();
    registry.fault("/team/app/tags", 1, Fault::status(403));
    let summary = run(&scanner).await;
    assert_eq!((summary.state, summary.scanned), (State::Finished, 2), "the other was listed: {summary:?}");
    assert!(summary.error.unwrap().contains("team/app"));
    registry.fault("/tags", 100, Fault::status(403));
    let summary = run(&scanner).await;
    assert_eq!(summary.state, State::Error, "none of those that are named: {summary:?}");
    let missing = json!({"kind": "docker", "url": registry.url(),
        "credential": {"basic": {"username": "a", "password": {"env": "TIDEWAITER_TEST_NOT_SET"}}}});
    store.put_registry("test", &missing).await.unwrap();
    let summary = run(&scanner).await;
    assert_eq!(summary.state, State::Error, "{summary:?}");
    assert!(summary.error.unwrap().contains("TIDEWAITER_TEST_NOT_SET"));
}

#[tokio::test]
async fn a_run_is_canceled_in_the_middle_and_goes_on_later() {
    let registry = registry();
    let (store, scanner) = set_up(&registry).await;
    let context = Context::new();
    let cancel = context.canceller();
    let context = context.on_event(move |event| {
        if matches!(event, Event::ImageCommitted { outcome: "scanned", .. }) {
            cancel.cancel();
        }
    });
    let canceled = scanner.run("all", RunOptions::default(), &context).await.unwrap();
    assert_eq!(canceled.state, State::Canceled, "{canceled:?}");
    assert!(canceled.scanned >= 1, "{canceled:?}");
    let rest = run(&scanner).await;
    assert_eq!(rest.scanned + canceled.scanned, 5, "{rest:?}");
    assert_eq!(inventory(&store).await.len(), 5);
}

#[tokio::test]
async fn an_image_takes_no_longer_than_it_may() {
    let registry = registry();
    let layer = Digest::of(&image("three").blobs[1]);
    registry.fault(&format!("/blobs/{layer}"), 2, Fault::Stall(10));
    let definition =
        json!({"kind": "docker", "url": registry.url(), "credential": {"anonymous": {}}, "image_timeout": 0.5});
    let (store, scanner) = set_up(&registry).await;
    store.put_registry("test", &definition).await.unwrap();
    let first = run(&scanner).await;
    assert_eq!(counts(&first), (4, 0, 0, 1), "{first:?}");
    assert!(first.failed[0].error.contains("longer than it may"), "{first:?}");

    let slow: Registry = serde_json::from_value(definition).unwrap();
    let options = ScanOptions { registry: Some(slow), ..ScanOptions::default() };
    let target = format!("{}/team/app:3.0", registry.host()).parse().unwrap();
    let error = scanner.scan_with(&target, &options, &Context::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.hint().is_some()), (Kind::Unavailable, true), "{error:?}");
    assert_eq!(counts(&run(&scanner).await), (1, 0, 4, 0), "it is tried again");

    let never = json!({"kind": "docker", "url": registry.url(), "image_timeout": 0});
    store.put_registry("test", &never).await.unwrap();
    assert!(run(&scanner).await.error.is_some_and(|error| error.contains("above 0")));
}

#[tokio::test]
async fn a_run_takes_no_longer_than_it_may() {
    let registry = registry();
    let layer = Digest::of(&image("three").blobs[1]);
    registry.fault(&format!("/blobs/{layer}"), 1, Fault::Stall(10));
    let (_, scanner) = set_up(&registry).await;
    let late =
        scanner.run("all", RunOptions::default(), &Context::new().deadline(Duration::from_secs(2))).await.unwrap();
    assert_eq!((late.state, late.scanned), (State::Canceled, 4), "{late:?}");
    assert_eq!(counts(&run(&scanner).await), (1, 0, 4, 0));
}

#[tokio::test]
async fn a_changed_selection_keeps_what_was_scanned() {
    let registry = registry();
    let store = Store::memory().unwrap();
    add(&store, &registry, Selection::new().repositories(["team/app"]).unwrap()).await;
    let scanner = scanner(&store);
    assert_eq!(counts(&run(&scanner).await), (3, 0, 0, 0));
    store.set_job(&Job::new("all", "test", Selection::new())).await.unwrap();
    let explained: Vec<_> = scanner.explain_job("all", &Context::new()).try_collect().await.unwrap();
    assert_eq!(explained.iter().filter(|image| image.reason == Reason::Known).count(), 3);
    assert_eq!(counts(&run(&scanner).await), (2, 0, 3, 0));
}

#[tokio::test]
async fn all_may_be_scanned_again_by_hand_whatever_the_limits() {
    let registry = registry();
    let store = Store::memory().unwrap();
    let limited = Selection::new().repositories(["team/app"]).unwrap().newest(2).unwrap();
    add(&store, &registry, limited.pushed("last-30-days".parse().unwrap()).undated(Undated::Include)).await;
    let job = store.job("all").await.unwrap().job.schedule(Schedule::daily());
    store.set_job(&job).await.unwrap();
    let scanner = scanner(&store);
    assert_eq!(counts(&run(&scanner).await), (2, 0, 0, 0));
    let options = RunOptions { scan_all: true, pull: false };
    let forced = scanner.run("all", options, &Context::new()).await.unwrap();
    assert_eq!(counts(&forced), (0, 2, 0, 0), "{forced:?}");
}

#[tokio::test]
async fn a_scanner_gets_its_store_later_and_keeps_layers_there_from_then_on() {
    let registry = registry();
    let (store, _) = set_up(&registry).await;
    let scanner = Scanner::builder().build().unwrap();
    let other = scanner.clone();
    assert_eq!(scanner.store().unwrap_err().kind(), Kind::InvalidState);
    scanner.set_store(store.clone()).unwrap();
    assert_eq!(other.set_store(store.clone()).unwrap_err().kind(), Kind::InvalidState);
    assert_eq!(counts(&run(&other).await), (5, 0, 0, 0));
    let parts = store.status().await.unwrap().parts;
    assert_eq!(parts.iter().find(|part| part.part == "layers").unwrap().rows, 6, "{parts:?}");
}

#[tokio::test]
async fn a_job_is_held_against_its_registry_before_it_is_saved() {
    let store = Store::memory().unwrap();
    // The credential is not here, and nobody listens there: what a selection means can be said all the same.
    let credential = json!({"basic": {"username": "a", "password": {"env": "TIDEWAITER_TEST_NOT_SET"}}});
    let kinds = ["docker", "harbor", "artifactory", "msr", "quay", "openshift", "gitlab", "gitea", "nexus", "zot"];
    for kind in kinds {
        let definition = json!({"kind": kind, "url": "https://registry.invalid", "credential": credential});
        store.put_registry(kind, &definition).await.unwrap();
    }
    let clouds = [
        json!({"kind": "dockerhub"}),
        json!({"kind": "ecr", "region": "eu-central-1", "account": "123456789012"}),
        json!({"kind": "ecr-public", "alias": "acme"}),
        json!({"kind": "acr", "name": "acme"}),
        json!({"kind": "gcr", "project": "acme"}),
        json!({"kind": "gar", "project": "acme", "location": "europe"}),
        json!({"kind": "ghcr", "owner": "acme"}),
    ];
    for definition in &clouds {
        store.put_registry(definition["kind"].as_str().unwrap(), definition).await.unwrap();
    }
    let scanner = scanner(&store);
    let check = async |registry: &str, selection: &str| {
        let job = Job::new("all", registry, serde_json::from_str(selection).unwrap());
        scanner.check_job(&job).await.map_err(|error| error.kind())
    };
    for selection in [
        r#"{"repositories": ["a/*/b"]}"#,
        r#"{"repositories": ["a/b:1.0"]}"#,
        r#"{"tags": ["v.*"]}"#,
        r#"{"exclude_tags": ["v.*"]}"#,
        r#"{"pushed": "2999-01-01.."}"#,
        r#"{"platforms": ["linux"]}"#,
    ] {
        assert_eq!(check("docker", selection).await, Err(Kind::InvalidInput), "{selection}");
        assert_eq!(check("harbor", selection).await, Err(Kind::InvalidInput), "{selection}");
    }
    assert_eq!(check("artifactory", r#"{"repositories": ["a/*/b"]}"#).await, Ok(()));
    let query = r#"{"aql": "items.find({\"name\": \"manifest.json\"})"}"#;
    assert_eq!((check("docker", query).await, check("artifactory", query).await), (Err(Kind::Unsupported), Ok(())));
    for kind in kinds.into_iter().chain(clouds.iter().map(|definition| definition["kind"].as_str().unwrap())) {
        assert_eq!(check(kind, r#"{"repositories": ["team/*"], "pushed": 7}"#).await, Ok(()), "{kind}");
    }
    assert_eq!(check("none", "{}").await, Err(Kind::NotFound));
}

#[tokio::test]
async fn a_job_may_ask_for_platforms() {
    let registry = TestRegistry::start().unwrap();
    let arm = ImageBuilder::new().layer(Layer::new().file("a", "arm")).platform("linux", "arm64", None).build();
    registry.push("one", "arm", &arm);
    registry.push_index("one", "both", &[&arm, &image("amd")]);
    let store = Store::memory().unwrap();
    add(&store, &registry, Selection::new().platforms(["linux/amd64"]).unwrap()).await;
    let scanner = scanner(&store);
    let first = run(&scanner).await;
    assert_eq!((first.scanned, first.skipped.get(&Reason::Platform)), (1, Some(&1)), "{first:?}");
    for selection in [
        Selection::new().platforms(["linux/amd64"]).unwrap(),
        Selection::new().platforms(["linux/amd64"]).unwrap().exclude_tags(["old"]).unwrap(),
    ] {
        // Saved again with the same platforms: nothing else is known of the image.
        store.set_job(&Job::new("all", "test", selection)).await.unwrap();
        registry.clear_log();
        let again = run(&scanner).await;
        assert_eq!((again.scanned, again.skipped.get(&Reason::Platform)), (0, Some(&1)), "{again:?}");
        let asked = registry.log().iter().filter(|access| access.path.contains("/blobs/")).count();
        assert_eq!(asked, 0, "what has none of the platforms is not looked at again");
    }
    store.set_job(&Job::new("all", "test", Selection::new())).await.unwrap();
    assert_eq!(run(&scanner).await.scanned, 1, "the other platform is asked for now");
}

#[tokio::test]
async fn two_workers_share_a_file_and_commit_each_image_once() {
    let registry = registry();
    for number in 0..20 {
        registry.push("many", &format!("v{number}"), &image(&format!("many-{number}")));
    }
    let folder = tempfile::tempdir().unwrap();
    let stores = [0, 1].map(|_| Store::file(folder.path().join("store.db")).unwrap());
    add(&stores[0], &registry, Selection::new()).await;
    let committed = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&committed);
    let context = Context::new().on_event(move |event| {
        if let Event::ImageCommitted { repository, digest, .. } = event {
            told.lock().unwrap().push((repository.clone(), digest.clone()));
        }
    });
    let queued = scanner(&stores[0]).start("all", RunOptions::default()).await.unwrap();
    let work = stores.each_ref().map(|store| {
        let (scanner, context) = (scanner(store), context.clone());
        tokio::spawn(async move { scanner.follow(queued.run, &context).await.unwrap() })
    });
    for work in work {
        let summary = work.await.unwrap();
        assert_eq!((summary.state, summary.scanned), (State::Finished, 25), "{summary:?}");
    }
    let committed = committed.lock().unwrap().clone();
    let distinct: BTreeSet<_> = committed.iter().collect();
    assert_eq!((committed.len(), distinct.len()), (26, 26), "25 images and a chart");
    assert!(stores[0].workers().await.unwrap().is_empty(), "they have said good-bye");
}

#[tokio::test]
async fn items_travel_and_a_stolen_lease_commits_nothing() {
    let registry = registry();
    let (store, scanner) = set_up(&registry).await;
    let started = scanner.start("all", RunOptions::default()).await.unwrap();
    let planned = scanner.plan(started.run, &Context::new()).await.unwrap();
    assert!(planned.planned && planned.state == State::Running, "{planned:?}");
    let first = store.lease_items("a", Some(started.run), 1, 1).await.unwrap();
    let [item] = &first[..] else { panic!("{first:?}") };
    // A scanner without a store, on another machine.
    let elsewhere = Scanner::builder().build().unwrap();
    let item: Item = serde_json::from_str(&serde_json::to_string(item).unwrap()).unwrap();
    let done = elsewhere.execute(&item, &Context::new()).await.unwrap();
    let done: Done = serde_json::from_str(&serde_json::to_string(&done).unwrap()).unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let all = store.lease_items("b", Some(started.run), 100, 60).await.unwrap();
    assert_eq!(all.len(), 6, "five images and a chart");
    let late = scanner.commit(&done, &Context::new()).await.unwrap_err();
    assert_eq!(late.kind(), Kind::InvalidState, "{late}");
    for item in &all {
        let done = elsewhere.execute(item, &Context::new()).await.unwrap();
        assert_eq!(scanner.commit(&done, &Context::new()).await.unwrap(), Commit::Taken);
        assert_eq!(scanner.commit(&done, &Context::new()).await.unwrap(), Commit::Before);
    }
    assert_eq!(store.run(started.run).await.unwrap().state, State::Finished);
}

#[tokio::test]
async fn a_worker_that_dies_loses_nothing() {
    let registry = registry();
    let (store, scanner) = set_up(&registry).await;
    let started = scanner.start("all", RunOptions::default()).await.unwrap();
    let options = WorkerOptions { lease: 1, concurrency: Some(2), ..WorkerOptions::default() };
    {
        let (seen, is_seen) = tokio::sync::oneshot::channel();
        let seen = Mutex::new(Some(seen));
        let context = Context::new().on_event(move |event| {
            if matches!(event, Event::ImageCommitted { .. })
                && let Some(seen) = seen.lock().unwrap().take()
            {
                let _ = seen.send(());
            }
        });
        let dies = scanner.work(&options, &context);
        tokio::select! {
            worked = dies => panic!("a worker goes on: {worked:?}"),
            _ = is_seen => {}
        }
    }
    let context = Context::new();
    let follow = scanner.follow(started.run, &context);
    let summary = tokio::time::timeout(Duration::from_secs(30), follow).await.expect("the others finish it").unwrap();
    assert_eq!((summary.state, summary.scanned), (State::Finished, 5), "{summary:?}");
    assert_eq!(inventory(&store).await.len(), 5);
}

#[tokio::test]
async fn a_worker_that_is_stopped_while_it_plans_gives_the_plan_back() {
    let registry = registry();
    let (store, scanner) = set_up(&registry).await;
    let started = scanner.start("all", RunOptions::default()).await.unwrap();
    registry.fault("/_catalog", 1, Fault::Stall(10));
    let context = Context::new();
    let options = WorkerOptions::default();
    let stop = async {
        while !registry.log().iter().any(|access| access.path.contains("/_catalog")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        context.canceller().cancel();
    };
    tokio::join!(scanner.work(&options, &context), stop).0.unwrap();
    assert!(store.holders("all").await.unwrap().is_empty());
    let summary = run(&scanner).await;
    assert_eq!((summary.run, counts(&summary)), (started.run, (5, 0, 0, 0)), "{summary:?}");
}

#[tokio::test]
async fn a_run_that_is_left_alone_goes_on_with_the_next() {
    let registry = registry();
    let (store, scanner) = set_up(&registry).await;
    let started = scanner.start("all", RunOptions::default()).await.unwrap();
    scanner.plan(started.run, &Context::new()).await.unwrap();
    assert_eq!(store.lease_items("lost", Some(started.run), 2, 1).await.unwrap().len(), 2);
    let context = Context::new();
    let all = RunOptions { scan_all: true, pull: false };
    for options in [RunOptions::default(), all] {
        let busy = scanner.run("all", options, &context).await.unwrap_err();
        assert_eq!(busy.kind(), Kind::Busy, "{busy}");
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    // What was asked for last is more than what was left: both are done.
    let summary = scanner.run("all", all, &context).await.unwrap();
    assert_eq!((summary.run, counts(&summary)), (started.run + 1, (0, 5, 0, 0)), "{summary:?}");
    assert_eq!(counts(&store.summary(started.run).await.unwrap()), (5, 0, 0, 0));

    let started = scanner.start("all", all).await.unwrap();
    scanner.plan(started.run, &Context::new()).await.unwrap();
    let summary = scanner.run("all", all, &context).await.unwrap();
    assert_eq!((summary.run, counts(&summary)), (started.run, (0, 5, 0, 0)), "{summary:?}");
}

#[tokio::test]
async fn a_worker_once_does_what_is_there_and_ends() {
    let registry = registry();
    let (store, scanner) = set_up(&registry).await;
    let started = scanner.start("all", RunOptions::default()).await.unwrap();
    let options = WorkerOptions { once: true, ..WorkerOptions::default() };
    scanner.work(&options, &Context::new()).await.unwrap();
    assert_eq!(store.run(started.run).await.unwrap().state, State::Finished);
    let wrong = WorkerOptions { lease: 0, ..options };
    assert_eq!(scanner.work(&wrong, &Context::new()).await.unwrap_err().kind(), Kind::InvalidInput);
}

/// A database in which the package `one` is vulnerable until `fixed`.
fn advisories(folder: &std::path::Path, fixed: &str) -> Advisories {
    let record = folder.join("CVE-2026-1.json");
    let text = json!({"id": "DEBIAN-CVE-2026-1", "modified": "2026-01-01T00:00:00Z", "upstream": ["CVE-2026-1"], "affected": [{
        "package": {"ecosystem": "Debian:12", "name": "one"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]}]});
    std::fs::write(&record, text.to_string()).unwrap();
    let database = folder.join("advisories.db");
    import(&[record], &database, &ImportOptions::new("2026-11-24T12:00:00Z"), &Context::new()).unwrap();
    Advisories::open(database).unwrap()
}

#[tokio::test]
async fn new_advisories_meet_every_stored_inventory() {
    let registry = registry();
    let (store, scanner) = set_up(&registry).await;
    run(&scanner).await;
    assert_eq!(scanner.rematch(None, &Context::new()).await.unwrap_err().kind(), Kind::InvalidState, "no advisories");
    let folder = tempfile::tempdir().unwrap();
    let knowing = |fixed| {
        let advisories = advisories(folder.path(), fixed);
        Scanner::builder().store(store.clone()).advisories(advisories).build().unwrap()
    };
    registry.clear_log();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let context = Context::new().on_event(move |event| tell.lock().unwrap().push(event.clone()));
    let first = knowing("2.0").rematch(None, &context).await.unwrap();
    assert_eq!((first.images, first.changed, first.new, first.fixed), (5, 1, 1, 0), "{first:?}");
    let (registry_name, repository, digest) = ("test".to_owned(), "team/app".to_owned(), image("one").digest());
    let changed = Event::FindingsChanged { registry: registry_name, repository, digest, new: 1, fixed: 0 };
    assert_eq!(*told.lock().unwrap(), [changed, Event::RematchProgress { images: 5 }]);
    let vulnerable = InventoryFilter { vulnerable: true, ..InventoryFilter::default() };
    let rows = store.inventory(&vulnerable, None, 100).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].digest, image("one").digest());
    let stored = store.reports("test", "team/app", &rows[0].digest).await.unwrap();
    let report = &stored[0].report;
    assert!(report.provenance.advisories.is_some());
    assert!(report.is_complete(), "the problem of having no advisories is gone: {:?}", report.problems);

    let again = knowing("2.0").rematch(Some("test"), &Context::new()).await.unwrap();
    assert_eq!((again.images, again.changed), (5, 0), "{again:?}");
    let second = knowing("1.0").rematch(None, &Context::new()).await.unwrap();
    assert_eq!((second.changed, second.new, second.fixed), (1, 0, 1), "{second:?}");
    assert!(registry.log().is_empty(), "the registry is not asked");
    assert_eq!(store.changes(Some("test"), None, None, 100).await.unwrap().len(), 2);

    // A forced run does the same, and tells what changed.
    let all = RunOptions { scan_all: true, pull: false };
    let forced = knowing("3.0").run("all", all, &Context::new()).await.unwrap();
    assert_eq!((forced.rematched, forced.new_findings, forced.fixed_findings), (5, 1, 0), "{forced:?}");
}

/// Collects what is told.
fn listening() -> (Context, Arc<Mutex<Vec<Event>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    (Context::new().on_event(move |event| tell.lock().unwrap().push(event.clone())), told)
}

#[tokio::test]
async fn a_run_without_advisories_does_not_look_like_a_clean_registry() {
    let registry = registry();
    let store = Store::memory().unwrap();
    add(&store, &registry, Selection::new()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("typo.db");
    // Nothing answers there.
    let fetch = Some("http://127.0.0.1:1".to_owned());
    let scanner =
        Scanner::builder().store(store.clone()).advisories_file(&file).fetch_advisories(fetch).build().unwrap();
    let (context, told) = listening();
    let first = scanner.run("all", RunOptions::default(), &context).await.unwrap();
    assert_eq!((first.scanned, first.unmatched, first.incomplete), (5, 5, 5), "{first:?}");
    let told = told.lock().unwrap().clone();
    let notices: Vec<_> = told
        .iter()
        .filter_map(|event| match event {
            Event::Notice { message, hint } => Some((message.as_str(), hint.as_str())),
            _ => None,
        })
        .collect();
    let [(failure, _), (unmatched, hint)] = notices[..] else { panic!("each once: {notices:?}") };
    assert!(failure.starts_with("the advisories of Debian cannot be fetched: cannot connect"), "{failure}");
    assert!(unmatched.starts_with("5 images were not matched") && unmatched.contains("typo.db"), "{unmatched}");
    assert!(hint.contains("`tidewaiter advisories update Debian`"), "{hint}");
    let ended = |event: &Event| matches!(event, Event::RunEnded { run, state: "Finished", scanned: 5, unmatched: 5, .. } if *run == first.run);
    assert_eq!(told.iter().filter(|event| ended(event)).count(), 1, "{told:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a fetch that failed leaves nothing");
    let [summary] = &store.summaries(jiff::Timestamp::now()).await.unwrap()[..] else { panic!() };
    assert_eq!((summary.scanned, summary.incomplete, summary.vulnerable), (5, 5, 0), "{summary:?}");

    let knowing = advisories(folder.path(), "2.0");
    let knowing = Scanner::builder().store(store.clone()).advisories(knowing).build().unwrap();
    let all = RunOptions { scan_all: true, pull: false };
    let second = knowing.run("all", all, &Context::new()).await.unwrap();
    assert_eq!((second.rematched, second.unmatched, second.incomplete), (5, 0, 0), "{second:?}");
    // What they have found stays, and that it was not matched again is told.
    let third = scanner.run("all", all, &Context::new()).await.unwrap();
    assert_eq!((third.unmatched, third.findings.len()), (5, 1), "{third:?}");
    let [summary] = &store.summaries(jiff::Timestamp::now()).await.unwrap()[..] else { panic!() };
    assert_eq!((summary.incomplete, summary.vulnerable), (0, 1), "{summary:?}");
}

#[tokio::test]
async fn while_a_run_waits_in_the_queue_another_is_refused_and_says_who_can_do_it() {
    let registry = registry();
    let (_, scanner) = set_up(&registry).await;
    scanner.start("all", RunOptions::default()).await.unwrap();
    let error = scanner.run("all", RunOptions::default(), &Context::new()).await.unwrap_err();
    assert!(error.kind() == Kind::Busy && error.hint().unwrap().contains("tidewaiter worker"), "{error:?}");
}

#[tokio::test]
async fn the_inventory_takes_patterns_and_knows_its_registries() {
    let registry = registry();
    let (store, scanner) = set_up(&registry).await;
    run(&scanner).await;
    let count = async |pattern: &str| {
        let filter = InventoryFilter { repository: Some(pattern.to_owned()), ..InventoryFilter::default() };
        let (mut rows, mut last) = (0, None);
        loop {
            let page = store.inventory(&filter, last.as_ref(), 2).await.unwrap();
            rows += page.len();
            match page.into_iter().next_back() {
                Some(row) => last = Some(row),
                None => return rows,
            }
        }
    };
    for (pattern, expected) in [("team/*", 5), ("team/web", 2), ("*/web", 2), ("team", 0), ("*", 5)] {
        assert_eq!(count(pattern).await, expected, "{pattern}");
    }
    store.knows_registry("test").await.unwrap();
    let error = store.knows_registry("tset").await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    let error = store.knows_registry("tests").await.unwrap_err();
    assert!(error.hint().unwrap().contains("did you mean test?"), "{error:?}");
}

#[test]
fn a_store_of_a_kind_that_there_is_none_of_is_refused() {
    for place in ["mysql://db/x", "sqlite:///x", "file://x"] {
        let error = Store::open(place).unwrap_err();
        assert!(
            error.kind() == Kind::InvalidInput && error.hint().unwrap().contains("postgres://"),
            "{place}: {error}"
        );
    }
}
