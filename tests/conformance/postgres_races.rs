//! What two processes do to one PostgreSQL at the same moment, put in order by a connection of our own that holds rows.

use std::time::Duration;

use tidewaiter::Selection;
use tidewaiter::job::{Job, RunOptions, State};
use tidewaiter::model::digest::Digest;
use tidewaiter::model::record::{DateSource, ImageDate, ImageRecord};
use tidewaiter::select::{Reason, Verdict};
use tidewaiter::store::{Progress, Store};
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

/// Begins a run of a job, which is added, over these images.
async fn planned(store: &Store, job: &str, images: &[ImageRecord]) -> i64 {
    store.put_registry("prod", &serde_json::json!({"kind": "docker"})).await.unwrap();
    store.add_job(&Job::new(job, "prod", Selection::new())).await.unwrap();
    store.list_images("prod", "team/app", images, true).await.unwrap();
    let run = store.start_run(job, RunOptions::default(), None).await.unwrap().run;
    let plan = store.lease_plan("planner", Some(run), 60).await.unwrap().unwrap();
    let items = images.iter().map(|image| (image.clone(), Verdict::Scan, Reason::New)).collect();
    store.add_items(&plan, Progress { items, ..Progress::default() }).await.unwrap();
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
