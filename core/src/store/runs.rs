//! Runs of jobs: begun once, planned by whoever holds the lease, over when no image waits any more.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use serde_json::Value as Json;

use super::Store;
use super::database::{Row, Session, Value, json, time};
use super::jobs;
use crate::error::{Error, Kind, Result};
use crate::job::{Cost, Failed, Job, Run, RunOptions, State, Summary};
use crate::model::digest::Digest;
use crate::model::record::ImageRecord;
use crate::select::{Reason, Verdict};

/// A run to be planned, with the lease to do so.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The run.
    pub run: Run,
    /// The job as it was when the run began.
    pub job: Job,
    /// The definition of its registry.
    pub definition: Json,
    /// The number of the lease.
    pub token: i64,
}

/// What planning found of one repository.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The repository.
    pub repository: String,
    /// Images that are listed there.
    pub listed: u64,
    /// Those that are meant.
    pub selected: u64,
    /// Those that are left alone, and why.
    pub skipped: Vec<(Digest, Reason)>,
    /// Those that are to be looked at.
    pub items: Vec<(ImageRecord, Verdict, Reason)>,
}

/// Whether a lease is still held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// It is.
    Held,
    /// It is not: the run was canceled, or the lease ran out and somebody else has it.
    Lost,
}

const COLUMNS: &str = "id, job, registry, state, forced, pull, planned, queued, began, ended, error";

impl Store {
    /// Begins a run of a job; it waits in the queue. `occurrence` is the time of the schedule that it answers.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Busy`] while a run of the job is queued or running, or where another process answered the
    /// occurrence; [`Kind::Storage`].
    pub async fn start_run(&self, job: &str, options: RunOptions, occurrence: Option<Timestamp>) -> Result<Run> {
        let mut session = self.write().await?;
        let statement = "SELECT registry, definition FROM job WHERE name = $1 {lock}";
        let rows = session.query(statement, vec![job.into()]).await?;
        let mut row = rows.into_iter().next().ok_or_else(|| jobs::unknown(job))?;
        let (registry, definition) = (row.text()?, row.text()?);
        if let Some(run) = latest(session.as_mut(), job).await?.filter(|run| run.state.is_live()) {
            let hint = match run.state {
                State::Queued => {
                    "it waits for a worker (`tidewaiter worker --once` is one); or cancel it: `tidewaiter job cancel`"
                }
                _ => "wait for it, or cancel it: `tidewaiter job cancel`",
            };
            return Err(Error::new(Kind::Busy, "a run of the job is not over yet")
                .with("job", job)
                .with("run", run.run)
                .with("state", run.state)
                .with_hint(hint));
        }
        if let Some(occurrence) = occurrence {
            let statement =
                "UPDATE job SET served = $2 WHERE name = $1 AND (served IS NULL OR served < $2) RETURNING name";
            if session.query(statement, vec![job.into(), time(occurrence)]).await?.is_empty() {
                return Err(Error::new(Kind::Busy, "another process has begun the run that was due").with("job", job));
            }
        }
        let id = next(session.as_mut(), "run").await?;
        let statement =
            "INSERT INTO run (id, job, registry, definition, forced, pull, state, planned, queued, listed, selected,
            skipped, token) VALUES ($1, $2, $3, $4, $5, $6, 'Queued', 0, {now}, 0, 0, '{}', 0)";
        let values = vec![
            id.into(),
            job.into(),
            registry.into(),
            definition.into(),
            options.scan_all.into(),
            options.pull.into(),
        ];
        session.query(statement, values).await?;
        let run = one(session.as_mut(), id).await?;
        session.commit().await?;
        Ok(run)
    }

    /// Takes a run that is to be planned, for `seconds`: `run`, or else the oldest that nobody plans. What an earlier plan that was
    /// broken off found is planned again; images that it gave out stay.
    ///
    /// # Errors
    /// [`Kind::Storage`].
    pub async fn lease_plan(&self, worker: &str, run: Option<i64>, seconds: u64) -> Result<Option<Plan>> {
        let mut session = self.write_soon().await?;
        let statement = "UPDATE run SET state = 'Running', began = coalesce(began, {now}), holder = $1, token = token + 1,
            until = {now} + $2, listed = 0, selected = 0, skipped = '{}', counted = NULL
            WHERE id IN (SELECT i.id FROM run i WHERE i.planned = 0 AND (i.state = 'Queued' OR (i.state = 'Running' AND i.until < {now}))
                AND (CAST($3 AS BIGINT) IS NULL OR i.id = $3) ORDER BY i.id LIMIT 1 {skip locked})
            RETURNING id, token, definition, registry";
        let values = vec![worker.into(), milliseconds(seconds), run.into()];
        let rows = session.query(statement, values).await?;
        let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
        let (id, token, job, registry) = (row.int()?, row.int()?, row.json::<Job>()?, row.text()?);
        let statement = "SELECT definition FROM registry WHERE name = $1";
        let rows = session.query(statement, vec![registry.as_str().into()]).await?;
        let mut row = rows.into_iter().next().ok_or_else(|| super::registries::unknown(&registry))?;
        let definition = row.json()?;
        let run = one(session.as_mut(), id).await?;
        session.commit().await?;
        Ok(Some(Plan { run, job, definition, token }))
    }

    /// Keeps the lease of a plan for `seconds` more.
    ///
    /// # Errors
    /// [`Kind::Storage`].
    pub async fn beat_plan(&self, plan: &Plan, seconds: u64) -> Result<Beat> {
        let mut session = self.write_soon().await?;
        let statement =
            "UPDATE run SET until = {now} + $3 WHERE id = $1 AND token = $2 AND state = 'Running' AND planned = 0
            RETURNING id";
        let values = vec![plan.run.run.into(), plan.token.into(), milliseconds(seconds)];
        let rows = session.query(statement, values).await?;
        session.commit().await?;
        Ok(if rows.is_empty() { Beat::Lost } else { Beat::Held })
    }

    /// Adds what planning found of one repository. Images that are there already stay as they are. To add the same again at once, since
    /// the answer was lost, does nothing.
    ///
    /// # Errors
    /// [`Kind::InvalidState`] once the lease is lost, [`Kind::Storage`].
    pub async fn add_items(&self, plan: &Plan, progress: Progress) -> Result<()> {
        let mut session = self.write_soon().await?;
        let mut row = held(session.as_mut(), plan).await?;
        let (mut skipped, counted) = (row.json::<BTreeMap<Reason, u64>>()?, row.maybe_text()?);
        let repository = progress.repository.as_str();
        if counted.as_deref() == Some(repository) {
            return Ok(());
        }
        // What an earlier plan of this run gave out is counted by what comes of it.
        let statement = "SELECT digest FROM item WHERE run = $1 AND repository = $2";
        let rows = session.query(statement, vec![plan.run.run.into(), repository.into()]).await?;
        let given = rows.into_iter().map(|mut row| row.parse()).collect::<Result<HashSet<Digest>>>()?;
        for (_, reason) in progress.skipped.iter().filter(|(digest, _)| !given.contains(digest)) {
            *skipped.entry(*reason).or_default() += 1;
        }
        let statement =
            "UPDATE run SET listed = listed + $2, selected = selected + $3, skipped = $4, counted = $5 WHERE id = $1";
        let (listed, selected) = (progress.listed.into(), progress.selected.into());
        let values = vec![plan.run.run.into(), listed, selected, json(&skipped)?, repository.into()];
        session.query(statement, values).await?;
        let statement = "INSERT INTO item (run, repository, digest, image, verdict, reason, state, token, tries)
            VALUES ($1, $2, $3, $4, $5, $6, 'waiting', 0, 0) ON CONFLICT (run, repository, digest) DO NOTHING";
        let rows = progress.items.into_iter().map(|(image, verdict, reason)| {
            Ok(vec![
                plan.run.run.into(),
                image.repository.as_str().into(),
                image.digest.to_string().into(),
                json(&image)?,
                json(&verdict)?,
                json(&reason)?,
            ])
        });
        session.each(statement, rows.collect::<Result<_>>()?).await?;
        session.commit().await
    }

    /// Ends a plan: all images are known. `error` tells of repositories that could not be listed.
    ///
    /// # Errors
    /// As [`Store::add_items`].
    pub async fn finish_plan(&self, plan: &Plan, error: Option<&str>) -> Result<()> {
        let mut session = self.write().await?;
        held(session.as_mut(), plan).await?;
        let statement = "UPDATE run SET planned = 1, holder = NULL, until = NULL, error = $2 WHERE id = $1";
        session.query(statement, vec![plan.run.run.into(), error.into()]).await?;
        finish(session.as_mut(), plan.run.run).await?;
        session.commit().await
    }

    /// Ends a run whose registry cannot be listed. Images that it gave out already are not looked at any more.
    ///
    /// # Errors
    /// As [`Store::add_items`].
    pub async fn fail_plan(&self, plan: &Plan, error: &str) -> Result<()> {
        let mut session = self.write().await?;
        held(session.as_mut(), plan).await?;
        end(session.as_mut(), plan.run.run, State::Error, Some(error)).await?;
        session.commit().await
    }

    /// Gives the lease of a plan back, so that somebody else can take it at once.
    ///
    /// # Errors
    /// [`Kind::Storage`].
    pub async fn release_plan(&self, plan: &Plan) -> Result<()> {
        let mut session = self.write().await?;
        let statement = "UPDATE run SET holder = NULL, until = 0
            WHERE id = $1 AND token = $2 AND state = 'Running' AND planned = 0";
        session.query(statement, vec![plan.run.run.into(), plan.token.into()]).await?;
        session.commit().await
    }

    /// Cancels the run of a job that is queued or running. Canceling again does nothing.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::InvalidState`] where nothing is queued or running; [`Kind::Storage`].
    pub async fn cancel_run(&self, job: &str) -> Result<Run> {
        let mut session = self.write().await?;
        if session.query("SELECT name FROM job WHERE name = $1 {lock}", vec![job.into()]).await?.is_empty() {
            return Err(jobs::unknown(job));
        }
        let nothing = |state: &'static str| {
            Error::new(Kind::InvalidState, "no run of the job is queued or running")
                .with("job", job)
                .with("state", state)
                .with_hint("there is nothing to cancel; `tidewaiter job show` tells what became of its latest run")
        };
        let run = latest(session.as_mut(), job).await?.ok_or_else(|| nothing("never ran"))?;
        cancel(session.as_mut(), run.run).await?;
        let run = one(session.as_mut(), run.run).await?;
        session.commit().await?;
        if run.state == State::Canceled { Ok(run) } else { Err(nothing(run.state.as_str())) }
    }

    /// Cancels this run, if it is still queued or running.
    ///
    /// # Errors
    /// [`Kind::Storage`].
    #[cfg(feature = "net")]
    pub(crate) async fn cancel_live(&self, run: i64) -> Result<()> {
        let mut session = self.write().await?;
        cancel(session.as_mut(), run).await?;
        session.commit().await
    }

    /// The run of a job that is begun, and that nobody holds anything of any more: whoever worked on it has died, or has given it back.
    ///
    /// # Errors
    /// [`Kind::Storage`].
    pub async fn abandoned(&self, job: &str) -> Result<Option<Run>> {
        let statement = format!(
            "SELECT {COLUMNS} FROM run WHERE job = $1 AND state = 'Running' AND (planned = 1 OR until < {{now}})
            AND NOT EXISTS (SELECT 1 FROM item i WHERE i.run = run.id AND i.state = 'leased' AND i.until >= {{now}})"
        );
        self.read().await?.query(&statement, vec![job.into()]).await?.into_iter().next().map(read).transpose()
    }

    /// The run with this number.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Storage`].
    pub async fn run(&self, run: i64) -> Result<Run> {
        one(self.read().await?.as_mut(), run).await
    }

    /// What came of a run so far.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Storage`].
    pub async fn summary(&self, run: i64) -> Result<Summary> {
        let mut session = self.read().await?;
        let run = one(session.as_mut(), run).await?;
        let statement = "SELECT listed, selected, skipped FROM run WHERE id = $1";
        let rows = session.query(statement, vec![run.run.into()]).await?;
        let mut row = rows.into_iter().next().ok_or_else(|| no_run(run.run))?;
        let mut summary = Summary {
            run: run.run,
            job: run.job,
            state: run.state,
            listed: row.count()?,
            selected: row.count()?,
            scanned: 0,
            rematched: 0,
            skipped: row.json()?,
            failed: Vec::new(),
            incomplete: 0,
            unmatched: 0,
            waiting: 0,
            bytes_fetched: 0,
            layers_fetched: 0,
            layers_from_store: 0,
            findings: BTreeMap::new(),
            new_findings: 0,
            fixed_findings: 0,
            error: run.error,
        };
        let statement =
            "SELECT state, repository, digest, error, stats FROM item WHERE run = $1 ORDER BY repository, digest";
        let mut cost = Cost::default();
        for mut row in session.query(statement, vec![run.run.into()]).await? {
            let (state, repository, digest) = (row.text()?, row.text()?, row.parse()?);
            let (error, stats) = (row.maybe_text()?, row.maybe_text()?);
            let of_one = match stats {
                Some(stats) => Row::new(vec![Value::Text(stats)]).json()?,
                None => Cost::default(),
            };
            let is_unmatched = of_one.unmatched > 0;
            summary.unmatched += u64::from(is_unmatched);
            summary.incomplete += u64::from(is_unmatched || of_one.incomplete > 0);
            cost.add(&of_one);
            match state.as_str() {
                "scanned" => summary.scanned += 1,
                "rematched" => summary.rematched += 1,
                "not-an-image" => *summary.skipped.entry(Reason::NotAnImage).or_default() += 1,
                "platform" => *summary.skipped.entry(Reason::Platform).or_default() += 1,
                "failed" => summary.failed.push(Failed { repository, digest, error: error.unwrap_or_default() }),
                _ => summary.waiting += 1,
            }
        }
        summary.bytes_fetched = cost.bytes_fetched;
        summary.layers_fetched = cost.layers_fetched;
        summary.layers_from_store = cost.layers_from_store;
        summary.findings = cost.findings;
        summary.new_findings = cost.new_findings;
        summary.fixed_findings = cost.fixed_findings;
        Ok(summary)
    }
}

/// Seconds as the statements count. More than a century is a century, since databases do not add beyond their numbers.
pub(super) fn milliseconds(seconds: u64) -> Value {
    Value::from(seconds.min(100 * 366 * 86_400) * 1000)
}

/// The next number of a counter.
pub(super) async fn next(session: &mut dyn Session, counter: &str) -> Result<i64> {
    let statement = "UPDATE counter SET value = value + 1 WHERE name = $1 RETURNING value";
    let rows = session.query(statement, vec![counter.into()]).await?;
    rows.into_iter()
        .next()
        .ok_or_else(|| Error::new(Kind::Corrupt, "the store has lost a counter").with("counter", counter))?
        .int()
}

/// The latest run of a job.
pub(super) async fn latest(session: &mut dyn Session, job: &str) -> Result<Option<Run>> {
    let statement = format!("SELECT {COLUMNS} FROM run WHERE job = $1 ORDER BY id DESC LIMIT 1");
    session.query(&statement, vec![job.into()]).await?.into_iter().next().map(read).transpose()
}

async fn one(session: &mut dyn Session, run: i64) -> Result<Run> {
    let rows = session.query(&format!("SELECT {COLUMNS} FROM run WHERE id = $1"), vec![run.into()]).await?;
    rows.into_iter().next().map(read).unwrap_or_else(|| Err(no_run(run)))
}

fn no_run(run: i64) -> Error {
    Error::new(Kind::NotFound, "there is no run with this number").with("run", run)
}

fn read(mut row: Row) -> Result<Run> {
    Ok(Run {
        run: row.int()?,
        job: row.text()?,
        registry: row.text()?,
        state: row.parse()?,
        options: RunOptions { scan_all: row.truth()?, pull: row.truth()? },
        planned: row.truth()?,
        queued: row.time()?,
        began: row.maybe_time()?,
        ended: row.maybe_time()?,
        error: row.maybe_text()?,
    })
}

/// The run of a plan whose lease is still held, locked; gives what it has skipped, and the repository that it counted last.
async fn held(session: &mut dyn Session, plan: &Plan) -> Result<Row> {
    let statement = "SELECT skipped, counted FROM run
        WHERE id = $1 AND token = $2 AND state = 'Running' AND planned = 0 {lock}";
    let rows = session.query(statement, vec![plan.run.run.into(), plan.token.into()]).await?;
    rows.into_iter().next().ok_or_else(|| {
        Error::new(Kind::InvalidState, "the run was canceled, or is planned by somebody else")
            .with("run", plan.run.run)
            .with("job", &plan.job.name)
    })
}

/// Cancels a run, unless it is over: whoever ends it holds its row.
async fn cancel(session: &mut dyn Session, run: i64) -> Result<()> {
    let statement = "SELECT id FROM run WHERE id = $1 AND state IN ('Queued', 'Running') {lock}";
    if session.query(statement, vec![run.into()]).await?.is_empty() {
        return Ok(());
    }
    end(session, run, State::Canceled, None).await
}

/// Ends a run, and what of it is still open.
async fn end(session: &mut dyn Session, run: i64, state: State, error: Option<&str>) -> Result<()> {
    let statement =
        "UPDATE run SET state = $2, ended = {now}, error = $3, holder = NULL, until = NULL, token = token + 1
        WHERE id = $1";
    session.query(statement, vec![run.into(), state.as_str().into(), error.into()]).await?;
    let statement = "UPDATE item SET state = 'canceled', holder = NULL, until = NULL
        WHERE run = $1 AND state IN ('waiting', 'leased')";
    session.query(statement, vec![run.into()]).await?;
    Ok(())
}

/// Ends a run that has nothing open any more. The caller holds its row, so that of two last commits one sees the other.
pub(super) async fn finish(session: &mut dyn Session, run: i64) -> Result<()> {
    let statement =
        "UPDATE run SET state = 'Finished', ended = {now} WHERE id = $1 AND state = 'Running' AND planned = 1
        AND NOT EXISTS (SELECT 1 FROM item WHERE run = $1 AND state IN ('waiting', 'leased'))";
    session.query(statement, vec![run.into()]).await?;
    Ok(())
}
