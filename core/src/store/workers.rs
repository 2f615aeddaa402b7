//! Who is at work, and with what.

use jiff::Timestamp;
use serde::Serialize;

use super::Store;
use super::database::{Row, Session};
use crate::error::Result;
use crate::model::digest::Digest;

/// A process that takes images from the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Worker {
    /// Its name, which no other has.
    pub worker: String,
    /// The machine.
    pub host: String,
    /// The number of the process there.
    pub process: i64,
    /// When it began.
    pub began: Timestamp,
    /// When it was heard of last.
    pub seen: Timestamp,
    /// Whether it was heard of within the last two minutes.
    pub alive: bool,
    /// What it does.
    pub holds: Vec<Holding>,
}

/// An image that a worker looks at, or a run that it plans.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holding {
    /// The number of the run.
    pub run: i64,
    /// The job.
    pub job: String,
    /// The repository; none while it plans the run.
    pub repository: Option<String>,
    /// The digest; none while it plans the run.
    pub digest: Option<Digest>,
    /// Since when.
    pub since: Option<Timestamp>,
}

impl Store {
    /// Says that a worker has begun.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    pub async fn enter(&self, worker: &str, host: &str, process: u32) -> Result<()> {
        let mut session = self.write_soon().await?;
        let statement = "INSERT INTO worker (id, host, process, began, seen) VALUES ($1, $2, $3, {now}, {now})
            ON CONFLICT (id) DO UPDATE SET seen = excluded.seen";
        session.query(statement, vec![worker.into(), host.into(), i64::from(process).into()]).await?;
        // Those that never said that they end, and were not heard of for a day.
        session.query("DELETE FROM worker WHERE seen < {now} - 86400000", vec![]).await?;
        session.commit().await
    }

    /// Says that a worker has ended, and gives back what it holds: images, and runs that it was to plan.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    pub async fn leave(&self, worker: &str) -> Result<()> {
        self.release_items(worker).await?;
        let mut session = self.write_soon().await?;
        let statement =
            "UPDATE run SET holder = NULL, until = 0 WHERE holder = $1 AND state = 'Running' AND planned = 0";
        session.query(statement, vec![worker.into()]).await?;
        session.query("DELETE FROM worker WHERE id = $1", vec![worker.into()]).await?;
        session.commit().await
    }

    /// All workers, by name.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    pub async fn workers(&self) -> Result<Vec<Worker>> {
        let mut session = self.read().await?;
        let statement = "SELECT id, host, process, began, seen, CASE WHEN seen > {now} - 120000 THEN 1 ELSE 0 END
            FROM worker ORDER BY id";
        let mut workers = Vec::new();
        for mut row in session.query(statement, vec![]).await? {
            workers.push(Worker {
                worker: row.text()?,
                host: row.text()?,
                process: row.int()?,
                began: row.time()?,
                seen: row.time()?,
                alive: row.truth()?,
                holds: Vec::new(),
            });
        }
        for (holder, holding) in held(session.as_mut(), None).await? {
            if let Some(worker) = workers.iter_mut().find(|worker| worker.worker == holder) {
                worker.holds.push(holding);
            }
        }
        Ok(workers)
    }

    /// Who holds what of a job, by name: workers, and others that took images.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    pub async fn holders(&self, job: &str) -> Result<Vec<(String, Holding)>> {
        held(self.read().await?.as_mut(), Some(job)).await
    }
}

/// What is held of all jobs, or of one, and by whom.
async fn held(session: &mut dyn Session, job: Option<&str>) -> Result<Vec<(String, Holding)>> {
    let statement =
        "SELECT i.holder, i.run, r.job, i.repository, i.digest, i.since FROM item i JOIN run r ON r.id = i.run
            WHERE i.state = 'leased' AND i.holder IS NOT NULL AND (CAST($1 AS TEXT) IS NULL OR r.job = $1)
        UNION ALL SELECT holder, id, job, CAST(NULL AS TEXT), CAST(NULL AS TEXT), began FROM run
            WHERE planned = 0 AND holder IS NOT NULL AND (CAST($1 AS TEXT) IS NULL OR job = $1)
        ORDER BY 1, 2, 4, 5";
    let holding = |mut row: Row| {
        let holder = row.text()?;
        let holding = Holding {
            run: row.int()?,
            job: row.text()?,
            repository: row.maybe_text()?,
            digest: row.maybe_text()?.and_then(|digest| digest.parse().ok()),
            since: row.maybe_time()?,
        };
        Ok((holder, holding))
    };
    session.query(statement, vec![job.into()]).await?.into_iter().map(holding).collect()
}
