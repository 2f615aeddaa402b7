//! How big a store is, what fills it, and what of it nobody needs any more.

use serde::Serialize;

use super::Store;
use super::database::{Session, Value};
use crate::error::Result;

/// What a store holds, and how much of it there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// `sqlite`, `memory` or `postgres`.
    pub kind: String,
    /// The path, or the address without its password.
    pub place: String,
    /// All bytes that it takes: of SQLite the whole file, of PostgreSQL the tables.
    pub bytes: u64,
    /// What lies on the disk: of SQLite the file, and the log beside it that goes into it later; else the same as `bytes`.
    pub disk: u64,
    /// The parts, the biggest first. Of SQLite `free` is among them, which is filled again, or given back by a prune.
    pub parts: Vec<TableSize>,
}

/// One part of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableSize {
    /// What it holds.
    pub part: String,
    /// How many.
    pub rows: u64,
    /// Bytes with its indexes.
    pub bytes: u64,
}

/// What was pruned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Reports of images that are gone, or that no job has scanned.
    pub reports: u64,
    /// Layer results that no report rests on.
    pub layers: u64,
    /// Images that are gone, and that no report speaks of.
    pub images: u64,
    /// Runs that are over and are not the latest of their job.
    pub runs: u64,
    /// Notes of what changed before the latest run of each job.
    pub changes: u64,
}

/// The tables, in the words of a user.
const PARTS: [(&str, &[&str]); 6] = [
    ("reports", &["report", "content", "report_layer", "finding"]),
    ("layers", &["layer"]),
    ("images", &["image", "baseline"]),
    ("changes", &["change"]),
    ("runs", &["run", "item"]),
    ("definitions", &["registry", "job", "worker", "counter", "tidewaiter"]),
];

impl Store {
    /// How big the store is, and what fills it.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    pub async fn status(&self) -> Result<Status> {
        let mut session = self.read().await?;
        let database = &self.0.database;
        let mut parts = Vec::new();
        for (part, tables) in PARTS {
            let (mut rows, mut bytes) = (0, 0);
            for (index, table) in tables.iter().enumerate() {
                if index == 0 {
                    rows = number(session.as_mut(), &format!("SELECT count(*) FROM {table}"), vec![]).await?;
                }
                bytes += number(session.as_mut(), &database.dialect().size.replace("{}", table), vec![]).await?;
            }
            parts.push(TableSize { part: part.to_owned(), rows, bytes });
        }
        let mut whole = 0;
        for mut row in session.query(database.dialect().whole, vec![]).await? {
            whole = row.count()?;
            let free = row.count()?;
            if free > 0 {
                parts.push(TableSize { part: "free".to_owned(), rows: 0, bytes: free });
            }
        }
        parts.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.part.cmp(&b.part)));
        let bytes = parts.iter().map(|part| part.bytes).sum::<u64>().max(whole);
        let disk = database.on_disk().unwrap_or(bytes);
        Ok(Status { disk, kind: database.kind().to_owned(), place: self.place().to_owned(), bytes, parts })
    }

    /// Removes what no job needs any more and is older than `days`; with 0 all of that. Reports of images that are gone or that no job
    /// has scanned, layer results that no report rests on, and of each job the runs before the latest with the notes of what changed
    /// until then. What a job has scanned and its registry still lists stays, however old, and so does what a run reads meanwhile.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    pub async fn prune(&self, days: u32) -> Result<Pruned> {
        let mut session = self.write().await?;
        let before = || vec![Value::Int(i64::from(days) * 86_400_000)];
        let mut count = async |statement: &str| -> Result<u64> {
            Ok(session.query(&format!("{statement} RETURNING 1"), before()).await?.len() as u64)
        };
        let pruned = Pruned {
            reports: count(
                "DELETE FROM report WHERE scanned <= {now} - $1 AND (
                    EXISTS (SELECT 1 FROM image i WHERE i.registry = report.registry AND i.repository = report.repository
                        AND i.digest = report.digest AND i.gone <= {now} - $1)
                    OR NOT EXISTS (SELECT 1 FROM baseline b JOIN job j ON j.name = b.job WHERE j.registry = report.registry
                        AND b.repository = report.repository AND b.digest = report.digest))",
            )
            .await?,
            layers: count(
                "DELETE FROM layer WHERE stored <= {now} - $1
                    AND NOT EXISTS (SELECT 1 FROM report_layer l WHERE l.digest = layer.digest)
                    AND NOT EXISTS (SELECT 1 FROM run r WHERE r.state = 'Running' AND r.began <= layer.stored)",
            )
            .await?,
            images: count(
                "DELETE FROM image WHERE gone <= {now} - $1 AND NOT EXISTS (SELECT 1 FROM report r
                    WHERE r.registry = image.registry AND r.repository = image.repository AND r.digest = image.digest)",
            )
            .await?,
            runs: count(
                "DELETE FROM run WHERE ended <= {now} - $1 AND id NOT IN (SELECT max(id) FROM run GROUP BY job)",
            )
            .await?,
            changes: count(
                "DELETE FROM change WHERE time <= {now} - $1 AND NOT EXISTS (
                    SELECT 1 FROM run r WHERE r.registry = change.registry AND r.began <= change.time
                        AND r.id IN (SELECT max(id) FROM run GROUP BY job))",
            )
            .await?,
        };
        // A job forgets images that are gone: should one come back, it is new. What is no image is not among them.
        let statement = "DELETE FROM baseline WHERE outcome <> 'not-an-image' AND NOT EXISTS (
                SELECT 1 FROM image i JOIN job j ON j.registry = i.registry
                WHERE j.name = baseline.job AND i.repository = baseline.repository AND i.digest = baseline.digest)";
        session.query(statement, vec![]).await?;
        session.commit().await?;
        self.0.database.compact().await?;
        Ok(pruned)
    }
}

async fn number(session: &mut dyn Session, statement: &str, values: Vec<Value>) -> Result<u64> {
    match session.query(statement, values).await?.into_iter().next() {
        Some(mut row) => row.count(),
        None => Ok(0),
    }
}
