//! What two processes do to one PostgreSQL at the same moment, put in order by a connection of our own that holds rows.

use std::time::Duration;

use tidewaiter::Selection;
use tidewaiter::job::{Done, Item, Job, Outcome, Packed, RunOptions, State};
use tidewaiter::model::digest::Digest;
use tidewaiter::model::finding::{Evidence, Finding, Status};
use tidewaiter::model::inventory::Draft;
use tidewaiter::model::package::{PackageDraft, PackageType};
use tidewaiter::model::platform::Platform;
use tidewaiter::model::record::{DateSource, ImageDate, ImageRecord};
use tidewaiter::model::report::{Provenance, Report, Stats, Subject};
use tidewaiter::model::severity::Severity;
use tidewaiter::select::{Reason, Verdict};
use tidewaiter::store::{InventoryFilter, Progress, Store};
use tokio_postgres::{Client, NoTls};

use super::postgres::Postgres;

/// A connection that holds rows, and sees who waits for them.
struct Holder(Client);

impl Holder {
    async fn new(address: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(address, NoTls).await.unwrap();
        tokio::spawn(connection);
        Self(client)
    }

    async fn run(&self, statements: &str) {
        self.0.batch_execute(statements).await.unwrap();
    }

    /// Waits until so many wait for a row, or `is_over`.
    async fn until(&self, waiting: i64, is_over: impl Fn() -> bool) {
        let statement = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        while !is_over() && self.0.query_one(statement, &[]).await.unwrap().get::<_, i64>(0) < waiting {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn image(number: u32) -> ImageRecord {
    ImageRecord {
        repository: "team/app".to_owned(),
        digest: Digest::of(&number.to_le_bytes()),
        tags: vec![format!("v{number}")],
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        size: None,
        date: ImageDate::new(None, DateSource::Pushed),
    }
}

/// A report of one package with one finding.
fn report(image: &ImageRecord, id: &str) -> Report {
    let mut draft = Draft::new(1);
    draft.push(&PackageDraft::new(PackageType::Npm, "left-pad", "1.3.0", "left-pad/package.json", 0)).unwrap();
    let inventory = draft.finish();
    let finding = Finding {
        id: id.to_owned(),
        aliases: vec![],
        upstream: vec![],
        package: inventory.package(0).unwrap().purl(),
        package_index: 0,
        status: Status::Affected,
        fixed: vec![],
        severity: Severity::default(),
        evidence: Evidence::default(),
    };
    Report {
        subject: Subject {
            reference: format!("registry.example/{}", image.repository),
            digest: image.digest.clone(),
            index: None,
            platform: Platform::new("linux", "amd64", ""),
            created: None,
        },
        layers: vec![],
        findings: vec![finding],
        inventory,
        problems: vec![],
        stats: Stats::default(),
        provenance: Provenance::default(),
    }
}

/// Begins a run of a job, which is added, over these images.
async fn planned(store: &Store, job: &str, images: &[ImageRecord]) -> i64 {
    store.put_registry("prod", &serde_json::json!({"kind": "docker"})).await.unwrap();
    store.add_job(&Job::new(job, "prod", Selection::new())).await.unwrap();
    store.list_images("prod", "team/app", images, true).await.unwrap();
    let run = store.start_run(job, RunOptions::default(), None).await.unwrap().run;
    let plan = store.lease_plan("planner", Some(run), 60).await.unwrap().unwrap();
    let items = images.iter().map(|image| (image.clone(), Verdict::Scan, Reason::New)).collect();
    store.add_items(&plan, Progress { repository: "team/app".to_owned(), items, ..Progress::default() }).await.unwrap();
    store.finish_plan(&plan, None).await.unwrap();
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_when_its_last_image_is_committed_while_another_is_given_up() {
    let Some(server) = Postgres::start() else { return };
    let address = server.database("race");
    let store = Store::open(&address).unwrap();
    let run = planned(&store, "nightly", &[image(1), image(2)]).await;
    assert_eq!(store.lease_items("commits", None, 1, 600).await.unwrap().len(), 1);
    for _ in 0..5 {
        assert_eq!(store.lease_items("dies", None, 1, 0).await.unwrap().len(), 1);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // As a commit does; it still sees the other image with somebody.
    let holder = Holder::new(&address).await;
    holder
        .run("BEGIN; SELECT id FROM run FOR UPDATE; UPDATE item SET state = 'scanned' WHERE holder = 'commits'")
        .await;
    let other = Store::open(&address).unwrap();
    let gives_up = tokio::spawn(async move { other.lease_items("next", None, 1, 60).await.unwrap() });
    holder.until(1, || gives_up.is_finished()).await;
    holder.run("COMMIT").await;
    assert!(gives_up.await.unwrap().is_empty());
    let summary = store.summary(run).await.unwrap();
    assert_eq!((summary.state, summary.scanned, summary.failed.len()), (State::Finished, 1, 1), "{summary:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_jobs_that_commit_one_image_at_once_leave_one_report() {
    let Some(server) = Postgres::start() else { return };
    let address = server.database("race");
    let store = Store::open(&address).unwrap();
    let image = image(1);
    let commit = async |store: &Store, item: &Item, id: &str| {
        let reports = [report(&item.image, id)];
        let outcome = Outcome::Scanned(reports.iter().map(|report| Packed::new(report).unwrap()).collect());
        let (run, token) = (item.run, item.token);
        let Item { image: ImageRecord { repository, digest, .. }, .. } = item.clone();
        store.commit(&Done { run, repository, digest, token, outcome }, &reports).await.unwrap();
    };
    let leased = async |job: &str| {
        let run = planned(&store, job, std::slice::from_ref(&image)).await;
        store.lease_items("worker", Some(run), 1, 600).await.unwrap().remove(0)
    };
    commit(&store, &leased("first").await, "CVE-1").await;
    let (two, three) = (leased("second").await, leased("third").await);

    let holder = Holder::new(&address).await;
    holder.run("BEGIN; SELECT id FROM report FOR UPDATE").await;
    let stores = [(); 2].map(|()| Store::open(&address).unwrap());
    let one_by_one = async {
        holder.until(2, || false).await;
        holder.run("COMMIT").await;
    };
    tokio::join!(commit(&stores[0], &two, "CVE-2"), commit(&stores[1], &three, "CVE-3"), one_by_one);

    let stored = store.reports("prod", "team/app", &image.digest).await.unwrap();
    assert_eq!(stored.len(), 1);
    let has: Vec<_> = stored[0].report.findings.iter().map(|finding| finding.id.clone()).collect();
    let mut found = Vec::new();
    for id in ["CVE-1", "CVE-2", "CVE-3"] {
        let filter = InventoryFilter { advisory: Some(id.to_owned()), ..InventoryFilter::default() };
        if !store.inventory(&filter, None, 9).await.unwrap().is_empty() {
            found.push(id.to_owned());
        }
    }
    assert_eq!(found, has, "it is found by what it has, and by nothing else");
}
