//! Jobs.

use jiff::Timestamp;

use super::database::{Row, Session, json};
use super::registries::unknown as unknown_registry;
use super::{Store, runs};
use crate::error::{Error, Kind, Result};
use crate::job::{Job, Run};

/// A job as it is saved.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredJob {
    /// Its definition.
    pub job: Job,
    /// When it was added.
    pub added: Timestamp,
    /// The occurrence that its latest scheduled run answered, or when it was given another schedule: nothing before is due any more.
    pub served: Option<Timestamp>,
    /// Whether its registry is paused.
    pub is_registry_paused: bool,
    /// Its latest run.
    pub latest: Option<Run>,
}

impl StoredJob {
    /// The occurrence that is due at `now`; none while a run of it is live.
    pub fn due(&self, now: Timestamp) -> Option<Timestamp> {
        let is_live = self.latest.as_ref().is_some_and(|run| run.state.is_live());
        if is_live || self.is_registry_paused { None } else { self.job.due(self.added, self.served, now) }
    }

    /// When it runs next.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        if self.is_registry_paused { None } else { self.job.next(self.added, now) }
    }
}

const SELECT: &str =
    "SELECT j.definition, j.added, j.served, g.paused FROM job j JOIN registry g ON g.name = j.registry";

impl Store {
    /// Adds a job. No run starts. What its selection means is the registry's to say: `Scanner::check_job` tells before.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a definition that contradicts itself, [`Kind::NotFound`] without its registry,
    /// [`Kind::InvalidState`] where a job has the name, [`Kind::Storage`].
    pub async fn add_job(&self, job: &Job) -> Result<()> {
        job.check()?;
        let mut session = self.write().await?;
        check_registry(session.as_mut(), &job.registry).await?;
        let statement = "INSERT INTO job (name, registry, definition, added, served) VALUES ($1, $2, $3, {now}, NULL)
            ON CONFLICT (name) DO NOTHING RETURNING name";
        let values = vec![job.name.as_str().into(), job.registry.as_str().into(), json(job)?];
        if session.query(statement, values).await?.is_empty() {
            return Err(Error::new(Kind::InvalidState, "there is a job with this name")
                .with("job", &job.name)
                .with_hint("change it with `job set`, or choose another name"));
        }
        session.commit().await
    }

    /// Changes a job to `job`, which has its name. What it has scanned already stays known, unless it goes to another registry. By
    /// another schedule it runs from now on: what would have been due is not made up for.
    ///
    /// # Errors
    /// As [`Store::add_job`]; [`Kind::NotFound`] where there is none; [`Kind::InvalidState`] for another registry while a run is queued or
    /// running.
    pub async fn set_job(&self, job: &Job) -> Result<()> {
        job.check()?;
        let mut session = self.write().await?;
        check_registry(session.as_mut(), &job.registry).await?;
        let statement = "SELECT definition FROM job WHERE name = $1 {lock}";
        let rows = session.query(statement, vec![job.name.as_str().into()]).await?;
        let before: Job = rows.into_iter().next().ok_or_else(|| unknown(&job.name))?.json()?;
        if before.registry != job.registry {
            over(session.as_mut(), &job.name).await?;
            // The same image is new there: the inventory has no report of it.
            session.query("DELETE FROM baseline WHERE job = $1", vec![job.name.as_str().into()]).await?;
        } else if before.selection.platforms != job.selection.platforms {
            // What had none of the platforms may have one of those that are asked for now.
            let statement = "DELETE FROM baseline WHERE job = $1 AND outcome = 'platform'";
            session.query(statement, vec![job.name.as_str().into()]).await?;
        }
        let statement = "UPDATE job SET registry = $2, definition = $3 WHERE name = $1";
        let values = vec![job.name.as_str().into(), job.registry.as_str().into(), json(job)?];
        session.query(statement, values).await?;
        if before.schedule != job.schedule {
            session.query("UPDATE job SET served = {now} WHERE name = $1", vec![job.name.as_str().into()]).await?;
        }
        session.commit().await
    }

    /// Pauses a job, so that it is never due, or resumes it. A run that goes on is not ended.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Storage`].
    pub async fn pause_job(&self, name: &str, paused: bool) -> Result<()> {
        let mut session = self.write().await?;
        let rows = session.query("SELECT definition FROM job WHERE name = $1 {lock}", vec![name.into()]).await?;
        let job: Job = rows.into_iter().next().ok_or_else(|| unknown(name))?.json()?;
        let values = vec![name.into(), json(&Job { paused, ..job })?];
        session.query("UPDATE job SET definition = $2 WHERE name = $1", values).await?;
        session.commit().await
    }

    /// The job with this name.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Storage`].
    pub async fn job(&self, name: &str) -> Result<StoredJob> {
        let mut session = self.read().await?;
        let rows = session.query(&format!("{SELECT} WHERE j.name = $1"), vec![name.into()]).await?;
        let row = rows.into_iter().next().ok_or_else(|| unknown(name))?;
        read(session.as_mut(), row).await
    }

    /// All jobs, by name.
    ///
    /// # Errors
    /// [`Kind::Storage`].
    pub async fn jobs(&self) -> Result<Vec<StoredJob>> {
        let mut session = self.read().await?;
        let rows = session.query(&format!("{SELECT} ORDER BY j.name"), vec![]).await?;
        let mut jobs = Vec::with_capacity(rows.len());
        for row in rows {
            jobs.push(read(session.as_mut(), row).await?);
        }
        Ok(jobs)
    }

    /// Deletes a job, its runs, and what it knows of what it has scanned. Reports stay.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::InvalidState`] while a run of it is queued or running; [`Kind::Storage`].
    pub async fn delete_job(&self, name: &str) -> Result<()> {
        let mut session = self.write().await?;
        if session.query("SELECT name FROM job WHERE name = $1 {lock}", vec![name.into()]).await?.is_empty() {
            return Err(unknown(name));
        }
        over(session.as_mut(), name).await?;
        for statement in [
            "DELETE FROM item WHERE run IN (SELECT id FROM run WHERE job = $1)",
            "DELETE FROM run WHERE job = $1",
            "DELETE FROM baseline WHERE job = $1",
            "DELETE FROM job WHERE name = $1",
        ] {
            session.query(statement, vec![name.into()]).await?;
        }
        session.commit().await
    }
}

async fn read(session: &mut dyn Session, mut row: Row) -> Result<StoredJob> {
    let job: Job = row.json()?;
    let latest = runs::latest(session, &job.name).await?;
    Ok(StoredJob { added: row.time()?, served: row.maybe_time()?, is_registry_paused: row.truth()?, job, latest })
}

/// Refuses while a run of the job is queued or running.
async fn over(session: &mut dyn Session, job: &str) -> Result<()> {
    match runs::latest(session, job).await?.filter(|run| run.state.is_live()) {
        None => Ok(()),
        Some(run) => Err(Error::new(Kind::InvalidState, "the job has a run that is not over")
            .with("job", job)
            .with("state", run.state)
            .with_hint("cancel it first: `tidewaiter job cancel`")),
    }
}

async fn check_registry(session: &mut dyn Session, name: &str) -> Result<()> {
    let rows = session.query("SELECT name FROM registry WHERE name = $1", vec![name.into()]).await?;
    if rows.is_empty() { Err(unknown_registry(name)) } else { Ok(()) }
}

/// An error about a name that no job has.
pub(super) fn unknown(name: &str) -> Error {
    Error::new(Kind::NotFound, "there is no job with this name")
        .with("job", name.escape_debug())
        .with_hint("`tidewaiter job list` shows them all")
}
