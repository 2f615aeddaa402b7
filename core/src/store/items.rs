//! The images of runs, handed out with leases: each to one worker at a time, by the clock of the database.

use super::Store;
use super::database::{Row, Session};
use super::runs::{finish, milliseconds};
use crate::error::Result;
use crate::job::{Item, Job};

/// How often an image is handed out. One that ends its worker each time is not looked at for ever.
const TRIES: i64 = 5;

impl Store {
    /// Takes up to `count` images that wait, for `seconds`: those of `run`, or of every run. Images whose lease ran out are among
    /// them.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    pub async fn lease_items(&self, worker: &str, run: Option<i64>, count: u64, seconds: u64) -> Result<Vec<Item>> {
        let mut session = self.write_soon().await?;
        give_up(session.as_mut()).await?;
        let mut leased = Vec::new();
        for open in ["i.state = 'waiting'", "i.state = 'leased' AND i.until < {now}"] {
            let left = count.saturating_sub(leased.len() as u64);
            if left == 0 {
                break;
            }
            let statement = format!(
                "WITH open AS MATERIALIZED (SELECT i.run AS r, i.repository AS p, i.digest AS d FROM item i
                    WHERE {open} AND i.tries < {TRIES} AND (CAST($3 AS BIGINT) IS NULL OR i.run = $3)
                    ORDER BY i.run LIMIT $4 {{skip locked}})
                UPDATE item SET state = 'leased', holder = $1, token = token + 1, tries = tries + 1, since = {{now}},
                    until = {{now}} + $2 WHERE (run, repository, digest) IN (SELECT r, p, d FROM open)
                RETURNING run, token, image, verdict, reason"
            );
            let values = vec![worker.into(), milliseconds(seconds), run.into(), left.into()];
            leased.extend(session.query(&statement, values).await?);
        }
        let mut items = Vec::with_capacity(leased.len());
        let mut known: Option<(i64, Job, serde_json::Value)> = None;
        for mut row in leased {
            let run = row.int()?;
            if known.as_ref().is_none_or(|(id, ..)| *id != run) {
                known = Some(definitions(session.as_mut(), run).await?);
            }
            let Some((_, job, definition)) = &known else { continue };
            let token = row.int()?;
            items.push(Item {
                run,
                job: job.name.clone(),
                registry: job.registry.clone(),
                definition: definition.clone(),
                image: row.json()?,
                verdict: row.json()?,
                reason: row.json()?,
                platforms: job.selection.platforms.clone(),
                token,
            });
        }
        session.commit().await?;
        items.sort_by(|a, b| {
            (a.run, &a.image.repository, &a.image.digest).cmp(&(b.run, &b.image.repository, &b.image.digest))
        });
        Ok(items)
    }

    /// Keeps all leases of a worker for `seconds` more, and says that it is alive. Gives the images that it still holds: run,
    /// repository, digest and the number of the lease. What is not among them was canceled, or somebody else has it.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    pub async fn beat_items(&self, worker: &str, seconds: u64) -> Result<Vec<(i64, String, String, i64)>> {
        let mut session = self.write_soon().await?;
        session.query("UPDATE worker SET seen = {now} WHERE id = $1", vec![worker.into()]).await?;
        let statement = "UPDATE item SET until = {now} + $2 WHERE holder = $1 AND state = 'leased'
            RETURNING run, repository, digest, token";
        let rows = session.query(statement, vec![worker.into(), milliseconds(seconds)]).await?;
        session.commit().await?;
        rows.into_iter().map(|mut row| Ok((row.int()?, row.text()?, row.text()?, row.int()?))).collect()
    }

    /// Keeps the leases of these images for `seconds` from now on. Tells of each, in their order, whether it is still held: one that is
    /// not is committed, or was canceled, or somebody else has it.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    pub async fn renew_items(&self, items: &[Item], seconds: u64) -> Result<Vec<bool>> {
        let mut session = self.write_soon().await?;
        let statement = "UPDATE item SET until = {now} + $5 WHERE run = $1 AND repository = $2 AND digest = $3
            AND token = $4 AND state = 'leased' RETURNING run";
        let mut held = Vec::with_capacity(items.len());
        for item in items {
            let values = vec![
                item.run.into(),
                item.image.repository.as_str().into(),
                item.image.digest.to_string().into(),
                item.token.into(),
                milliseconds(seconds),
            ];
            held.push(!session.query(statement, values).await?.is_empty());
        }
        session.commit().await?;
        Ok(held)
    }

    /// Gives back what a worker holds, so that somebody else can take it at once.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    pub async fn release_items(&self, worker: &str) -> Result<()> {
        let mut session = self.write_soon().await?;
        // Given back is not failed: it is not counted as a try.
        let statement =
            "UPDATE item SET state = 'waiting', holder = NULL, until = NULL, since = NULL, tries = tries - 1
            WHERE holder = $1 AND state = 'leased'";
        session.query(statement, vec![worker.into()]).await?;
        session.commit().await
    }

    /// Lets the lease of one image run out now, so that somebody else can take it. It counts as a try.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    pub async fn expire_item(&self, worker: &str, image: &(i64, String, String, i64)) -> Result<()> {
        let (run, repository, digest, token) = image;
        let mut session = self.write_soon().await?;
        let statement = "UPDATE item SET holder = NULL, until = 0 WHERE run = $1 AND repository = $2 AND digest = $3
            AND token = $4 AND holder = $5 AND state = 'leased'";
        let values =
            vec![(*run).into(), repository.as_str().into(), digest.as_str().into(), (*token).into(), worker.into()];
        session.query(statement, values).await?;
        session.commit().await
    }
}

/// Gives up on images that were handed out often, and whose workers never came back.
async fn give_up(session: &mut dyn Session) -> Result<()> {
    let lost = format!("state = 'leased' AND until < {{now}} AND tries >= {TRIES}");
    // As at a commit the row of the run comes first, and is held: of two that end the last images one sees the other.
    let statement = format!("SELECT id FROM run WHERE id IN (SELECT run FROM item WHERE {lost}) ORDER BY id {{lock}}");
    let error = format!("{TRIES} workers that took this image never came back");
    for mut row in session.query(&statement, vec![]).await? {
        let run = row.int()?;
        let statement =
            format!("UPDATE item SET state = 'failed', holder = NULL, error = $2 WHERE run = $1 AND {lost}");
        session.query(&statement, vec![run.into(), error.as_str().into()]).await?;
        finish(session, run).await?;
    }
    Ok(())
}

/// The job of a run, and the definition of its registry.
async fn definitions(session: &mut dyn Session, run: i64) -> Result<(i64, Job, serde_json::Value)> {
    let statement =
        "SELECT r.definition, g.definition FROM run r JOIN registry g ON g.name = r.registry WHERE r.id = $1";
    let rows = session.query(statement, vec![run.into()]).await?;
    let mut row = rows.into_iter().next().unwrap_or_else(|| Row::new(Vec::new()));
    Ok((run, row.json()?, row.json()?))
}
