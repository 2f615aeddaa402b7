//! What every store does, whatever database lies below it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::error::Kind;
use crate::job::{Commit, Done, Failure, Item, Job, Outcome, Packed, RunOptions, State};
use crate::model::digest::Digest;
use crate::model::finding::{Evidence, Finding, Status};
use crate::model::image::LayerRecord;
use crate::model::inventory::Draft;
use crate::model::package::{PackageDraft, PackageType};
use crate::model::platform::Platform;
use crate::model::record::{DateSource, ImageDate, ImageRecord};
use crate::model::report::{Provenance, Report, Stats, Subject};
use crate::model::severity::{Rating, Severity};
use crate::schedule::Schedule;
use crate::select::{self, Reason, Selection, Verdict};
use crate::store::{Beat, InventoryFilter, LayerCache, PackedReport, Plan, Progress, Store};

/// Runs the suite over an empty store; `again` opens another handle of the same one, as another process would.
///
/// # Panics
/// Where the store does something else.
pub async fn store(again: impl Fn() -> Store) {
    let store = again();
    definitions(&store).await;
    runs(&store, &again()).await;
    plans_twice(&store).await;
    commits(&store, &again()).await;
    leases_run_out(&store, &again()).await;
    inventory(&store).await;
    what_changes(&store).await;
    layers(&store, &again()).await;
    retention(&store).await;
}

/// An image of the registry `prod`.
fn image(repository: &str, number: u32) -> ImageRecord {
    ImageRecord {
        repository: repository.to_owned(),
        digest: Digest::of(format!("{repository} {number}").as_bytes()),
        tags: vec![format!("v{number}")],
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        size: Some(1000),
        date: ImageDate::new(Some("2026-11-20T08:12:00Z".parse().unwrap()), DateSource::Pushed),
    }
}

/// A report with one package and these findings.
fn report(image: &ImageRecord, findings: &[(&str, Rating)]) -> Report {
    let mut draft = Draft::new(10);
    draft
        .push(&PackageDraft::new(PackageType::Npm, "left-pad", "1.3.0", "node_modules/left-pad/package.json", 0))
        .unwrap();
    let inventory = draft.finish();
    let package = inventory.package(0).unwrap().purl();
    let findings = findings.iter().map(|(id, rating)| Finding {
        id: (*id).to_owned(),
        aliases: vec![format!("GHSA-{id}")],
        upstream: vec![],
        package: package.clone(),
        package_index: 0,
        status: Status::Affected,
        fixed: vec!["2.0.0".to_owned()],
        severity: Severity { rating: *rating, ..Severity::default() },
        evidence: Evidence::default(),
    });
    Report {
        subject: Subject {
            reference: format!("registry.example/{}@{}", image.repository, image.digest),
            digest: image.digest.clone(),
            index: None,
            platform: Platform::new("linux", "amd64", ""),
            created: None,
        },
        layers: vec![LayerRecord { digest: Digest::of(b"layer"), size: Some(10), created_by: None }],
        findings: findings.collect(),
        inventory,
        problems: vec![],
        stats: Stats { bytes_fetched: 10, layers_fetched: 1, ..Stats::default() },
        provenance: Provenance { catalogers: BTreeMap::from([("node".to_owned(), 1)]), advisories: None },
    }
}

/// What came of an item, with these reports.
fn done(item: &Item, outcome: Outcome) -> Done {
    Done {
        run: item.run,
        repository: item.image.repository.clone(),
        digest: item.image.digest.clone(),
        token: item.token,
        outcome,
    }
}

fn scanned(reports: &[Report]) -> Outcome {
    Outcome::Scanned(reports.iter().map(|report| Packed::new(report).unwrap()).collect())
}

fn failed() -> Outcome {
    Outcome::Failed(Failure { kind: "unavailable".into(), message: "connection refused".into(), hint: None })
}

async fn definitions(store: &Store) {
    let definition = json!({"kind": "docker", "url": "https://registry.example"});
    assert_eq!(store.registry("prod").await.unwrap_err().kind(), Kind::NotFound);
    for name in ["", "a b", "registry.example", "localhost", "host:5000", "-x", "a\nb"] {
        assert_eq!(store.put_registry(name, &definition).await.unwrap_err().kind(), Kind::InvalidInput, "{name}");
    }
    store.put_registry("prod", &json!({"kind": "docker"})).await.unwrap();
    store.put_registry("prod", &definition).await.unwrap();
    assert_eq!(store.registry("prod").await.unwrap().definition, definition);
    assert_eq!(store.registries().await.unwrap().len(), 1);

    let job = Job::new("nightly", "prod", Selection::new().repositories(["team/*"]).unwrap());
    assert_eq!(
        store.add_job(&Job { registry: "other".into(), ..job.clone() }).await.unwrap_err().kind(),
        Kind::NotFound
    );
    let forced = job.clone().schedule(Schedule::daily()).scan_all(true);
    assert_eq!(store.add_job(&forced).await.unwrap_err().kind(), Kind::InvalidInput);
    assert_eq!(store.set_job(&job).await.unwrap_err().kind(), Kind::NotFound);
    store.add_job(&job).await.unwrap();
    assert_eq!(store.add_job(&job).await.unwrap_err().kind(), Kind::InvalidState);
    let stored = store.job("nightly").await.unwrap();
    assert_eq!((&stored.job, stored.latest, stored.served), (&job, None, None));
    let changed = job.clone().schedule(Schedule::daily());
    store.set_job(&changed).await.unwrap();
    let jobs: Vec<_> = store.jobs().await.unwrap().into_iter().map(|job| job.job).collect();
    assert_eq!(jobs, std::slice::from_ref(&changed));
    assert_eq!(store.remove_registry("prod").await.unwrap_err().kind(), Kind::InvalidState);

    let now = jiff::Timestamp::now() + Duration::from_secs(2 * 86400);
    assert!(store.job("nightly").await.unwrap().due(now).is_some());
    store.pause_registry("prod", true).await.unwrap();
    assert!(store.job("nightly").await.unwrap().due(now).is_none());
    store.pause_registry("prod", false).await.unwrap();
    store.pause_job("nightly", true).await.unwrap();
    let paused = store.job("nightly").await.unwrap();
    assert!(paused.due(now).is_none() && paused.job == Job { paused: true, ..changed });
    assert_eq!(store.pause_job("none", true).await.unwrap_err().kind(), Kind::NotFound);
    store.delete_job("nightly").await.unwrap();
    store.add_job(&job).await.unwrap();
    store.put_registry("spare", &definition).await.unwrap();
    store.remove_registry("spare").await.unwrap();
    assert_eq!(store.remove_registry("spare").await.unwrap_err().kind(), Kind::NotFound);
}

async fn runs(store: &Store, other: &Store) {
    assert_eq!(store.start_run("none", RunOptions::default(), None).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(store.cancel_run("nightly").await.unwrap_err().kind(), Kind::InvalidState);
    let run = store.start_run("nightly", RunOptions::default(), None).await.unwrap();
    assert_eq!((run.state, run.planned), (State::Queued, false));
    assert_eq!(other.start_run("nightly", RunOptions::default(), None).await.unwrap_err().kind(), Kind::Busy);
    assert_eq!(store.delete_job("nightly").await.unwrap_err().kind(), Kind::InvalidState);

    let plan = store.lease_plan("a", None, 60).await.unwrap().unwrap();
    assert_eq!((plan.run.state, plan.job.name.as_str()), (State::Running, "nightly"));
    assert!(other.lease_plan("b", None, 60).await.unwrap().is_none(), "two plan one run");
    assert_eq!(store.beat_plan(&plan, 60).await.unwrap(), Beat::Held);
    store.leave("b").await.unwrap();
    assert!(other.lease_plan("b", None, 60).await.unwrap().is_none(), "somebody else has left");
    store.leave("a").await.unwrap();
    assert_eq!(other.holders("nightly").await.unwrap(), []);
    assert!(other.abandoned("nightly").await.unwrap().is_some());
    let plan = store.lease_plan("a", None, 60).await.unwrap().unwrap();
    store.release_plan(&plan).await.unwrap();
    assert_eq!(store.holders("nightly").await.unwrap(), []);
    let again = other.lease_plan("b", Some(run.run), 60).await.unwrap().unwrap();
    assert!(again.token > plan.token);
    assert_eq!(store.beat_plan(&plan, 60).await.unwrap(), Beat::Lost);
    assert_eq!(store.add_items(&plan, Progress::default()).await.unwrap_err().kind(), Kind::InvalidState);

    // Canceled at once from two sides, and again.
    let (one, two) = tokio::join!(store.cancel_run("nightly"), other.cancel_run("nightly"));
    assert_eq!((one.unwrap().state, two.unwrap().state), (State::Canceled, State::Canceled));
    assert_eq!(store.cancel_run("nightly").await.unwrap().state, State::Canceled);
    assert_eq!(other.finish_plan(&again, None).await.unwrap_err().kind(), Kind::InvalidState);
    assert_eq!(store.run(run.run).await.unwrap().state, State::Canceled);

    // A scheduled run is begun once an occurrence.
    let (now, day) = (jiff::Timestamp::now(), Duration::from_secs(86400));
    let due = now - 3 * day;
    let next = store.start_run("nightly", RunOptions::default(), Some(due)).await.unwrap();
    let plan = store.lease_plan("a", Some(next.run), 60).await.unwrap().unwrap();
    store.fail_plan(&plan, "connection refused").await.unwrap();
    let failed = store.run(next.run).await.unwrap();
    assert_eq!((failed.state, failed.error.as_deref()), (State::Error, Some("connection refused")));
    assert_eq!(store.start_run("nightly", RunOptions::default(), Some(due)).await.unwrap_err().kind(), Kind::Busy);
    assert_eq!(store.cancel_run("nightly").await.unwrap_err().kind(), Kind::InvalidState);

    // What was due before another schedule was given is not made up for; a change of anything else delays nothing.
    let stored = async || store.job("nightly").await.unwrap();
    let job = stored().await.job;
    let daily = job.clone().schedule(Schedule::daily());
    store.set_job(&daily).await.unwrap();
    let changed = stored().await;
    assert!(changed.due(now).is_none() && changed.due(now + 2 * day).is_some());
    store.set_job(&Job { selection: Selection::new(), ..daily }).await.unwrap();
    assert_eq!(stored().await.served, changed.served);
    store.set_job(&job).await.unwrap();

    // A worker cancels its run and no other of the job, whatever has become of it.
    let live = store.start_run("nightly", RunOptions::default(), None).await.unwrap();
    other.cancel_live(next.run).await.unwrap();
    assert_eq!(store.run(next.run).await.unwrap().state, State::Error);
    assert_eq!(store.run(live.run).await.unwrap().state, State::Queued);
    other.cancel_live(live.run).await.unwrap();
    assert_eq!(store.run(live.run).await.unwrap().state, State::Canceled);
    other.cancel_live(i64::MAX).await.unwrap();

    // One that lists nothing is over at once.
    let empty = store.start_run("nightly", RunOptions::default(), None).await.unwrap();
    let plan = store.lease_plan("a", None, 60).await.unwrap().unwrap();
    store.finish_plan(&plan, Some("one repository could not be listed")).await.unwrap();
    let summary = store.summary(empty.run).await.unwrap();
    assert_eq!((summary.state, summary.error.is_some()), (State::Finished, true));
}

/// A run with these images, all waiting.
async fn planned(store: &Store, images: &[ImageRecord], verdict: Verdict, reason: Reason) -> Plan {
    store.start_run("nightly", RunOptions::default(), None).await.unwrap();
    let plan = store.lease_plan("planner", None, 60).await.unwrap().unwrap();
    let mut repositories: BTreeMap<&str, Vec<ImageRecord>> = BTreeMap::new();
    for image in images {
        repositories.entry(&image.repository).or_default().push(image.clone());
    }
    for (repository, images) in repositories {
        store.list_images("prod", repository, &images, true).await.unwrap();
        let (listed, selected) = (images.len() as u64 + 1, images.len() as u64);
        let items = images.into_iter().map(|image| (image, verdict, reason)).collect();
        let skipped = vec![(Digest::of(b"left alone"), Reason::Tag)];
        let repository = repository.to_owned();
        store.add_items(&plan, Progress { repository, listed, selected, skipped, items }).await.unwrap();
    }
    store.finish_plan(&plan, None).await.unwrap();
    plan
}

/// A plan that is broken off, after an image that it gave out was scanned, and made anew.
async fn plans_twice(store: &Store) {
    let images = [image("team/twice", 1), image("team/twice", 2)];
    let run = store.start_run("nightly", RunOptions::default(), None).await.unwrap();
    let lease = async || store.lease_plan("planner", Some(run.run), 60).await.unwrap().unwrap();
    let progress = |skipped: &[usize], items: &[usize]| Progress {
        repository: "team/twice".to_owned(),
        listed: 2,
        selected: 2,
        skipped: skipped.iter().map(|index| (images[*index].digest.clone(), Reason::Known)).collect(),
        items: items.iter().map(|index| (images[*index].clone(), Verdict::Scan, Reason::New)).collect(),
    };
    store.list_images("prod", "team/twice", &images, true).await.unwrap();
    let plan = lease().await;
    store.add_items(&plan, progress(&[1], &[0])).await.unwrap();
    let items = store.lease_items("a", Some(run.run), 9, 60).await.unwrap();
    let reports = [report(&images[0], &[])];
    store.commit(&done(&items[0], scanned(&reports)), &reports).await.unwrap();
    store.release_plan(&plan).await.unwrap();
    // What was scanned is known by now. The first answer is lost.
    let plan = lease().await;
    for _ in 0..2 {
        store.add_items(&plan, progress(&[0, 1], &[])).await.unwrap();
    }
    store.finish_plan(&plan, None).await.unwrap();
    let summary = store.summary(run.run).await.unwrap();
    assert_eq!((summary.state, summary.listed, summary.selected, summary.scanned), (State::Finished, 2, 2, 1));
    assert_eq!(summary.skipped, BTreeMap::from([(Reason::Known, 1)]), "each image counts once");
    store.list_images("prod", "team/twice", &[], true).await.unwrap();
    store.prune(0).await.unwrap();
}

async fn commits(store: &Store, other: &Store) {
    let images = [image("team/app", 1), image("team/app", 2), image("team/web", 1)];
    let plan = planned(store, &images, Verdict::Scan, Reason::New).await;
    let (ours, theirs) =
        tokio::join!(store.lease_items("a", None, 2, 60), other.lease_items("b", Some(plan.run.run), 9, 60));
    let mut items = [ours.unwrap(), theirs.unwrap()].concat();
    items.sort_by(|a, b| (&a.image.repository, &a.image.digest).cmp(&(&b.image.repository, &b.image.digest)));
    let mut expected = images.to_vec();
    expected.sort_by(|a, b| (&a.repository, &a.digest).cmp(&(&b.repository, &b.digest)));
    assert_eq!(items.iter().map(|item| item.image.clone()).collect::<Vec<_>>(), expected, "each once");
    assert_eq!(items[0].definition["kind"], "docker");
    assert!(store.lease_items("c", None, 9, 60).await.unwrap().is_empty());

    // What travels between machines reads the same there.
    let text = serde_json::to_string(&items[0]).unwrap();
    assert_eq!(serde_json::from_str::<Item>(&text).unwrap(), items[0]);

    let found = [report(&items[0].image, &[("CVE-1", Rating::High), ("CVE-2", Rating::Low)])];
    let first = done(&items[0], scanned(&found));
    let (taken, before) = tokio::join!(store.commit(&first, &found), other.commit(&first, &found));
    let mut both = [taken.unwrap().0, before.unwrap().0];
    both.sort_by_key(|commit| *commit == Commit::Before);
    assert_eq!(both, [Commit::Taken, Commit::Before], "committed once");
    let stale = Done { token: items[1].token - 1, ..done(&items[1], failed()) };
    assert_eq!(store.commit(&stale, &[]).await.unwrap_err().kind(), Kind::InvalidState);
    let strange = Done { digest: Digest::of(b"strange"), ..done(&items[1], failed()) };
    assert_eq!(store.commit(&strange, &[]).await.unwrap_err().kind(), Kind::NotFound);
    store.commit(&done(&items[1], failed()), &[]).await.unwrap();
    assert_eq!(store.run(plan.run.run).await.unwrap().state, State::Running);
    let chart = Outcome::NotAnImage(Failure { kind: "unsupported".into(), message: "a chart".into(), hint: None });
    store.commit(&done(&items[2], chart), &[]).await.unwrap();

    let summary = store.summary(plan.run.run).await.unwrap();
    assert_eq!(summary.state, State::Finished);
    assert_eq!((summary.listed, summary.selected, summary.scanned, summary.waiting), (5, 3, 1, 0));
    assert_eq!(summary.skipped, BTreeMap::from([(Reason::Tag, 2), (Reason::NotAnImage, 1)]));
    assert_eq!(summary.failed.len(), 1);
    assert_eq!(summary.failed[0].error, "connection refused");
    assert_eq!((summary.bytes_fetched, summary.new_findings), (10, 2));
    assert_eq!(summary.findings, BTreeMap::from([(Rating::High, 1), (Rating::Low, 1)]));
    assert_eq!(store.commit(&first, &found).await.unwrap().0, Commit::Before);

    let known = store.known("nightly", "prod", "team/app").await.unwrap();
    let mut outcomes = known.outcomes;
    outcomes.sort_by(|a, b| a.0.cmp(&b.0));
    let expected: Vec<_> = items[..2].iter().map(|item| item.image.digest.clone()).collect();
    assert_eq!(
        outcomes,
        [(expected[0].clone(), select::Outcome::Scanned), (expected[1].clone(), select::Outcome::Failed)]
    );
    assert_eq!(known.catalogers, [(expected[0].clone(), "node:1".to_owned())].into());

    // The report reads as it was.
    let stored = store.reports("prod", "team/app", &expected[0]).await.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].report.findings, found[0].findings);
    assert_eq!(stored[0].report.subject, found[0].subject);
    assert_eq!(format!("{:?}", stored[0].report.inventory), format!("{:?}", found[0].inventory));
}

async fn leases_run_out(store: &Store, other: &Store) {
    let images = [image("team/late", 1), image("team/late", 2)];
    let plan = planned(store, &images, Verdict::Scan, Reason::New).await;
    store.enter("a", "host", 7).await.unwrap();
    let lost = store.lease_items("a", None, 9, 1).await.unwrap();
    assert_eq!(lost.len(), 2);
    let workers = other.workers().await.unwrap();
    assert_eq!((workers.len(), workers[0].holds.len(), workers[0].alive), (1, 2, true));
    let holders = other.holders("nightly").await.unwrap();
    assert_eq!(holders.iter().map(|(holder, _)| holder.as_str()).collect::<Vec<_>>(), ["a", "a"]);
    assert_eq!(
        holders.iter().map(|(_, holding)| holding).collect::<Vec<_>>(),
        workers[0].holds.iter().collect::<Vec<_>>()
    );
    assert!(other.holders("other").await.unwrap().is_empty());
    assert_eq!(store.beat_items("a", 1).await.unwrap().len(), 2);
    assert!(other.lease_items("b", None, 9, 60).await.unwrap().is_empty(), "a lease that is kept is not taken");
    // One of the two takes longer.
    assert_eq!(store.renew_items(&lost[1..], u64::MAX).await.unwrap(), [true]);
    tokio::time::sleep(Duration::from_millis(1300)).await;
    assert_eq!(other.lease_items("b", None, 9, 1).await.unwrap().len(), 1, "what is renewed is not taken");
    let stale = Item { token: lost[1].token - 1, ..lost[1].clone() };
    let asked = [lost[0].clone(), lost[1].clone(), stale];
    assert_eq!(store.renew_items(&asked, 1).await.unwrap(), [false, true, false], "what somebody else has is not kept");
    assert!(store.renew_items(&[], 1).await.unwrap().is_empty());
    tokio::time::sleep(Duration::from_millis(1300)).await;
    let taken = other.lease_items("b", None, 9, 60).await.unwrap();
    assert_eq!(taken.len(), 2, "leases ran out");
    let late = store.commit(&done(&lost[0], failed()), &[]).await.unwrap_err();
    assert_eq!(late.kind(), Kind::InvalidState, "a late commit of a lost lease");
    assert!(store.beat_items("a", 1).await.unwrap().is_empty());
    other.release_items("b").await.unwrap();
    let back = store.lease_items("c", Some(plan.run.run), 1, 60).await.unwrap();
    assert_eq!(back.len(), 1, "what was given back is there at once");
    store.cancel_run("nightly").await.unwrap();
    let canceled = store.commit(&done(&back[0], failed()), &[]).await.unwrap_err();
    assert_eq!(canceled.kind(), Kind::InvalidState);
    assert!(store.beat_items("c", 60).await.unwrap().is_empty());
    assert_eq!(store.renew_items(&back, 60).await.unwrap(), [false]);
    store.leave("a").await.unwrap();
    assert!(store.workers().await.unwrap().is_empty());

    // An image that ends its worker each time is not tried for ever.
    let plan = planned(store, &images[..1], Verdict::Scan, Reason::New).await;
    for worker in ["1", "2", "3", "4", "5"] {
        assert_eq!(store.lease_items(worker, None, 1, 0).await.unwrap().len(), 1, "try {worker}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(store.lease_items("6", None, 1, 60).await.unwrap().is_empty());
    let summary = store.summary(plan.run.run).await.unwrap();
    assert_eq!((summary.state, summary.failed.len()), (State::Finished, 1));
}

async fn inventory(store: &Store) {
    let ask = async |filter: InventoryFilter| {
        let (mut all, mut last) = (Vec::new(), None);
        loop {
            let page = store.inventory(&filter, last.as_ref(), 1).await.unwrap();
            let Some(row) = page.last() else { return all };
            last = Some(row.clone());
            all.extend(page.into_iter().map(|row| format!("{} {}", row.repository, row.tags.join(","))));
        }
    };
    let images = [image("team/web", 1), image("team/web", 2)];
    planned(store, &images, Verdict::Scan, Reason::New).await;
    for item in store.lease_items("a", None, 9, 60).await.unwrap() {
        let found: &[_] = if item.image == images[0] { &[("CVE-9", Rating::Critical)] } else { &[] };
        let reports = [report(&item.image, found)];
        store.commit(&done(&item, scanned(&reports)), &reports).await.unwrap();
    }
    let all = InventoryFilter::default();
    assert_eq!(ask(all.clone()).await.len(), 3);
    assert_eq!(ask(InventoryFilter { vulnerable: true, ..all.clone() }).await.len(), 2);
    assert_eq!(ask(InventoryFilter { severity: Some(Rating::Critical), ..all.clone() }).await, ["team/web v1"]);
    assert_eq!(ask(InventoryFilter { advisory: Some("GHSA-CVE-9".into()), ..all.clone() }).await, ["team/web v1"]);
    assert_eq!(ask(InventoryFilter { advisory: Some("CVE-0".into()), ..all.clone() }).await.len(), 0);
    assert_eq!(ask(InventoryFilter { repository: Some("team/web".into()), ..all.clone() }).await.len(), 2);
    assert_eq!(ask(InventoryFilter { registry: Some("other".into()), ..all.clone() }).await.len(), 0);
    for (package, count) in
        [("left-pad", 3), ("left", 0), ("pkg:npm/left-pad", 3), ("pkg:npm/left-pad@1.3.0", 3), ("pkg:npm/left", 0)]
    {
        assert_eq!(
            ask(InventoryFilter { package: Some(package.into()), ..all.clone() }).await.len(),
            count,
            "{package}"
        );
    }

    // One is not listed any more; the other has another tag.
    let moved = ImageRecord { tags: vec!["latest".into()], ..images[1].clone() };
    store.list_images("prod", "team/web", &[moved], true).await.unwrap();
    assert_eq!(ask(InventoryFilter { repository: Some("team/web".into()), ..all.clone() }).await, ["team/web latest"]);
    let summary = store.summaries(jiff::Timestamp::now()).await.unwrap();
    assert_eq!(summary.len(), 1);
    assert_eq!((summary[0].repositories, summary[0].scanned, summary[0].vulnerable, summary[0].gone), (3, 2, 1, 2));
    assert_eq!(summary[0].vulnerable_by_severity, BTreeMap::from([(Rating::High, 1)]));
    let last = summary[0].last_run;
    assert_eq!(last, store.job("nightly").await.unwrap().latest.unwrap().ended);
    let begun = store.start_run("nightly", RunOptions::default(), None).await.unwrap();
    store.lease_plan("planner", Some(begun.run), 60).await.unwrap();
    let summary = store.summaries(jiff::Timestamp::now()).await.unwrap();
    assert!(last.is_some() && summary[0].last_run == last, "one that goes on has not ended");
    store.cancel_run("nightly").await.unwrap();
    // What a part of a listing does not have is not gone; what comes back is there again.
    store.list_images("prod", "team/web", &[], false).await.unwrap();
    assert_eq!(store.known_repositories("prod").await.unwrap(), ["team/app", "team/late", "team/web"]);
    store.list_images("prod", "team/web", &images, true).await.unwrap();
    assert_eq!(ask(InventoryFilter { repository: Some("team/web".into()), ..all }).await.len(), 2);
}

async fn what_changes(store: &Store) {
    let since = jiff::Timestamp::now();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let mut after = 0;
    let mut seen = 0;
    loop {
        let matched = |page: Vec<PackedReport>, without: &str| -> Vec<_> {
            let one = |packed: PackedReport| {
                let mut report = packed.scan().unwrap();
                report.findings = packed.findings().unwrap();
                report.findings.retain(|finding| finding.id != without);
                packed.rematched(&report).unwrap()
            };
            page.into_iter().map(one).collect()
        };
        let late = store.packed_after(Some("prod"), after, 2, u64::MAX).await.unwrap();
        let page = store.packed_after(Some("prod"), after, 2, u64::MAX).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.id();
        let costs = store.put_rematched(matched(page, "CVE-1")).await.unwrap();
        seen += costs.len();
        assert!(
            store.put_rematched(matched(late, "")).await.unwrap().is_empty(),
            "what was read before is not written"
        );
    }
    assert_eq!(seen, 3);
    let page = async |bytes| store.packed_after(None, 0, 9, bytes).await.unwrap().len();
    assert_eq!((page(0).await, page(u64::MAX).await), (1, 3), "a page ends by its bytes, and has one at least");
    let changes = store.changes(Some("prod"), Some(since), None, 100).await.unwrap();
    assert_eq!(changes.len(), 1, "what is the same is not noted");
    assert_eq!((changes[0].new.len(), changes[0].fixed.len(), changes[0].fixed[0].id.as_str()), (0, 1, "CVE-1"));
    assert_eq!(changes[0].run, None);
    let all = store.changes(None, None, None, 100).await.unwrap();
    assert!(all.len() > 1 && all.iter().all(|change| change.registry == "prod"));
    let mut one_by_one = Vec::new();
    while let Some(next) = store.changes(None, None, one_by_one.last(), 1).await.unwrap().pop() {
        one_by_one.push(next);
    }
    assert_eq!(one_by_one, all);
    let gone = InventoryFilter { advisory: Some("CVE-1".into()), ..InventoryFilter::default() };
    assert!(store.inventory(&gone, None, 9).await.unwrap().is_empty());
}

async fn layers(store: &Store, other: &Store) {
    assert_eq!(LayerCache::get(store, "sha256:1 facts 1").await.unwrap(), None);
    store.put("sha256:1 facts 1", b"first").await.unwrap();
    store.put("sha256:1 facts 1", &[7; 100_000]).await.unwrap();
    assert_eq!(LayerCache::get(other, "sha256:1 facts 1").await.unwrap().unwrap(), [7; 100_000]);
}

async fn retention(store: &Store) {
    let status = store.status().await.unwrap();
    assert!(status.bytes > 100_000, "{status:?}");
    assert_eq!(status.parts.iter().find(|part| part.part == "reports").unwrap().rows, 3);
    let nothing = store.prune(30).await.unwrap();
    assert_eq!((nothing.reports, nothing.layers, nothing.images, nothing.runs, nothing.changes), (0, 0, 0, 0, 0));
    store.list_images("prod", "team/web", &[], true).await.unwrap();
    store.put(&format!("{} facts", Digest::of(b"layer")), b"needed").await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let before = store.changes(None, None, None, 1).await.unwrap();
    let pruned = store.prune(0).await.unwrap();
    assert_eq!((pruned.reports, pruned.layers), (2, 1), "{pruned:?}");
    assert!(pruned.images >= 2 && pruned.runs > 0 && pruned.changes > 0, "{pruned:?}");
    assert!(LayerCache::get(store, &format!("{} facts", Digest::of(b"layer"))).await.unwrap().is_some());
    assert!(store.status().await.unwrap().bytes < status.bytes || status.kind == "postgres");
    let latest = store.job("nightly").await.unwrap().latest.unwrap();
    let kept = store.changes(None, None, None, 100).await.unwrap();
    let next = store.changes(None, None, before.last(), 100).await.unwrap();
    assert_eq!(next, kept, "a page after one that was pruned leaves nothing out");
    assert!(!kept.is_empty() && kept.iter().all(|change| change.time >= latest.began.unwrap()), "{kept:?}");

    // What is no image is not looked at again, and what a run reads stays while it goes on.
    let plan = planned(store, &[image("charts/app", 1)], Verdict::Scan, Reason::New).await;
    store.put("sha256:2 facts", b"read meanwhile").await.unwrap();
    assert_eq!(store.prune(0).await.unwrap().layers, 0);
    let items = store.lease_items("a", Some(plan.run.run), 9, 60).await.unwrap();
    let chart = Outcome::NotAnImage(Failure { kind: "unsupported".into(), message: "a chart".into(), hint: None });
    store.commit(&done(&items[0], chart), &[]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(store.prune(0).await.unwrap().layers, 1);
    let outcomes = async |repository| store.known("nightly", "prod", repository).await.unwrap().outcomes;
    assert_eq!(outcomes("charts/app").await, [(items[0].image.digest.clone(), select::Outcome::NotAnImage)]);

    // On another registry nothing is known, and a run does not change its registry.
    let job = store.job("nightly").await.unwrap().job;
    store.put_registry("spare", &json!({"kind": "docker", "url": "https://spare.example"})).await.unwrap();
    let moved = Job { registry: "spare".into(), ..job };
    store.start_run("nightly", RunOptions::default(), None).await.unwrap();
    assert_eq!(store.set_job(&moved).await.unwrap_err().kind(), Kind::InvalidState);
    store.cancel_run("nightly").await.unwrap();
    store.set_job(&moved).await.unwrap();
    assert_eq!((outcomes("charts/app").await, outcomes("team/app").await), (vec![], vec![]));
    store.delete_job("nightly").await.unwrap();
    assert_eq!(store.job("nightly").await.unwrap_err().kind(), Kind::NotFound);
    store.remove_registry("prod").await.unwrap();
    assert_eq!(store.inventory(&InventoryFilter::default(), None, 9).await.unwrap().len(), 1, "what was found stays");
}
