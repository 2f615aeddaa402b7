//! Jobs: defined, run, ended, told about.

use futures_util::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use tidewaiter::job::{Job, RunOptions, State, Summary};
use tidewaiter::model::digest::Digest;
use tidewaiter::schedule::Schedule;
use tidewaiter::select::Selection;
use tidewaiter::store::{Holding, Store, StoredJob};
use tidewaiter::{Cancel, Error, Kind, Result};

use crate::call::Pending;
use crate::config;
use crate::listing::{Item, Listing};
use crate::registries::{Definition, to_saved};
use crate::saved::{Mode, Names, Outcome, Pause, some};
use crate::scanner::Scanner;

/// A job to be saved.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutJob {
    /// The job.
    pub job: WrittenJob,
    /// A registry of its own, which is saved under the name that the job gives it, without a check.
    #[serde(default)]
    pub registry: Option<Definition>,
    /// Whether its name may be there already.
    #[serde(default)]
    pub mode: Mode,
}

/// A job as it is written. One that does not say whether it is paused stays as it is.
#[derive(Clone, Debug)]
pub struct WrittenJob {
    job: Job,
    says_paused: bool,
}

impl From<Job> for WrittenJob {
    fn from(job: Job) -> Self {
        Self { job, says_paused: true }
    }
}

impl<'de> Deserialize<'de> for WrittenJob {
    fn deserialize<D: Deserializer<'de>>(source: D) -> std::result::Result<Self, D::Error> {
        let written = Value::deserialize(source)?;
        let says_paused = written.get("paused").is_some();
        let job = Job::deserialize(written).map_err(serde::de::Error::custom)?;
        Ok(Self { job, says_paused })
    }
}

/// A run by hand.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunJob {
    /// The job.
    pub job: String,
    /// Whether all images that are selected are taken again: those that are known are held against today's advisories.
    #[serde(default)]
    pub scan_all: bool,
    /// With `scan_all`: whether they are pulled again too.
    #[serde(default)]
    pub pull: bool,
    /// Whether it only waits in the queue, for a worker.
    #[serde(default)]
    pub detach: bool,
    /// Seconds until the run is canceled; what is finished stays.
    pub timeout: Option<f64>,
}

/// A run that does what is missing and what failed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestartJob {
    /// The job.
    pub job: String,
    /// Whether it only waits in the queue, for a worker.
    #[serde(default)]
    pub detach: bool,
    /// Seconds until the run is canceled; what is finished stays.
    pub timeout: Option<f64>,
}

/// A job and where it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobStatus {
    /// Its name.
    pub job: String,
    /// Where its latest run stands; none if it never ran.
    pub state: Option<State>,
    /// The number of its latest run.
    pub run: Option<i64>,
    /// When it runs next.
    pub next: Option<Timestamp>,
    /// When its latest run began; none while it waits in the queue.
    pub began: Option<Timestamp>,
    /// When its latest run ended.
    pub ended: Option<Timestamp>,
    /// The name of its registry.
    pub registry: String,
    /// Which images.
    pub selection: Selection,
    /// When it runs.
    pub schedule: Schedule,
    /// Whether scheduled runs take all images that are selected again.
    pub scan_all: bool,
    /// Whether it is paused.
    pub paused: bool,
    /// Whether its registry is paused, and so all jobs on it.
    pub registry_paused: bool,
    /// When it was added.
    pub added: Timestamp,
    /// Why the registry could not be listed, or parts of it.
    pub error: Option<String>,
}

/// A job, what came of its latest run, and who works on it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobDetails {
    /// The job.
    #[serde(flatten)]
    pub status: JobStatus,
    /// What came of its latest run so far.
    pub summary: Option<Summary>,
    /// Which worker has which image.
    pub holds: Vec<JobHolding>,
}

/// An image that a worker looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobHolding {
    /// The worker.
    pub worker: String,
    /// The repository; none while the worker plans the run.
    pub repository: Option<String>,
    /// The digest; none while the worker plans the run.
    pub digest: Option<Digest>,
    /// Since when.
    pub since: Option<Timestamp>,
}

impl From<StoredJob> for JobStatus {
    fn from(stored: StoredJob) -> Self {
        let next = stored.next(Timestamp::now());
        let StoredJob { job, added, latest, is_registry_paused, .. } = stored;
        Self {
            state: latest.as_ref().map(|run| run.state),
            run: latest.as_ref().map(|run| run.run),
            began: latest.as_ref().and_then(|run| run.began),
            ended: latest.as_ref().and_then(|run| run.ended),
            error: latest.and_then(|run| run.error),
            next,
            job: job.name,
            registry: job.registry,
            selection: job.selection,
            schedule: job.schedule,
            scan_all: job.scan_all,
            paused: job.paused,
            registry_paused: is_registry_paused,
            added,
        }
    }
}

impl Scanner {
    /// Saves a job, and its registry where it has one of its own. No run starts; a job that is changed keeps what it knows of what it
    /// has scanned.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a definition that contradicts itself, or a selection that the registry cannot have;
    /// [`Kind::Unsupported`] for a query where there is no AQL; [`Kind::NotFound`] without its registry; [`Kind::InvalidState`],
    /// [`Kind::NotFound`] as the mode says, and for another definition of a registry that other jobs use; [`Kind::Storage`].
    pub fn put_job(&self, request: PutJob, cancel: &Cancel) -> Result<Pending<JobStatus>> {
        let PutJob { job: WrittenJob { mut job, says_paused }, registry, mode } = request;
        let definition = registry.map(|registry| to_saved(&job.registry, &registry.read()?)).transpose()?;
        let store = self.store()?;
        self.call(cancel, None, move |scanner, context| async move {
            let work = async {
                let saved = find(&store, &job.name, mode).await?;
                if let Some(saved) = saved.as_ref().filter(|_| !says_paused) {
                    job.paused = saved.job.paused;
                }
                if let Some(definition) = definition {
                    put_own_registry(&store, &job, &definition).await?;
                }
                scanner.check_job(&job).await?;
                match saved {
                    Some(_) => store.set_job(&job).await?,
                    None => store.add_job(&job).await?,
                }
                store.job(&job.name).await.map(JobStatus::from)
            };
            context.run(Box::pin(work)).await
        })
    }

    /// The job with this name, what came of its latest run, and who works on it.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Storage`].
    pub fn job(&self, name: &str, cancel: &Cancel) -> Result<Pending<JobDetails>> {
        let name = name.to_owned();
        self.ask(cancel, |store| async move {
            let status = JobStatus::from(store.job(&name).await?);
            let summary = match status.run {
                Some(run) => Some(store.summary(run).await?),
                None => None,
            };
            let held = |(worker, holding): (String, Holding)| JobHolding {
                worker,
                repository: holding.repository,
                digest: holding.digest,
                since: holding.since,
            };
            let holds = store.holders(&name).await?.into_iter().map(held).collect();
            Ok(JobDetails { status, summary, holds })
        })
    }

    /// All jobs, by name.
    ///
    /// # Errors
    /// [`Kind::Storage`].
    pub fn list_jobs(&self, cancel: &Cancel) -> Result<Pending<Vec<JobStatus>>> {
        self.ask(cancel, |store| async move { Ok(store.jobs().await?.into_iter().map(JobStatus::from).collect()) })
    }

    /// Pauses jobs, or resumes them. A run that goes on is not ended.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] without a name. What came of each is in the answer.
    pub fn pause_jobs(&self, request: Pause, cancel: &Cancel) -> Result<Pending<Vec<Outcome>>> {
        let Pause { names, paused } = request;
        let names = some(names)?;
        self.ask(cancel, move |store| async move {
            let mut outcomes = Vec::new();
            for name in names {
                let done = store.pause_job(&name, paused).await.map(|()| None);
                outcomes.push(Outcome::of(name, done));
            }
            Ok(outcomes)
        })
    }

    /// Cancels the runs of jobs that are queued or running. What is finished is kept.
    ///
    /// # Errors
    /// As [`Scanner::pause_jobs`].
    pub fn cancel_jobs(&self, request: Names, cancel: &Cancel) -> Result<Pending<Vec<Outcome>>> {
        let names = some(request.names)?;
        self.ask(cancel, |store| async move {
            let mut outcomes = Vec::new();
            for name in names {
                let done = store.cancel_run(&name).await.map(|run| Some(run.state));
                outcomes.push(Outcome::of(name, done));
            }
            Ok(outcomes)
        })
    }

    /// Deletes jobs that have no run going on. The inventory stays.
    ///
    /// # Errors
    /// As [`Scanner::pause_jobs`].
    pub fn delete_jobs(&self, request: Names, cancel: &Cancel) -> Result<Pending<Vec<Outcome>>> {
        let names = some(request.names)?;
        self.ask(cancel, |store| async move {
            let mut outcomes = Vec::new();
            for name in names {
                let done = store.delete_job(&name).await.map(|()| None);
                outcomes.push(Outcome::of(name, done));
            }
            Ok(outcomes)
        })
    }

    /// Runs a job now. A canceled run is an answer too: what was finished is kept.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Busy`] while a run of the job is queued or running; [`Kind::InvalidInput`] to pull again
    /// without all images; [`Kind::Storage`].
    pub fn run_job(&self, request: RunJob, cancel: &Cancel) -> Result<Pending<Summary>> {
        let RunJob { job, scan_all, pull, detach, timeout } = request;
        let options = RunOptions { scan_all, pull };
        self.store_is_there()?;
        self.keep(cancel, config::timeout(timeout)?, move |scanner, context| async move {
            if detach {
                let run = scanner.start(&job, options).await?;
                return scanner.store()?.summary(run.run).await;
            }
            scanner.run(&job, options, &context).await
        })
    }

    /// Runs a job again: what is missing and what failed.
    ///
    /// # Errors
    /// As [`Scanner::run_job`]; [`Kind::InvalidState`] where it never ran.
    pub fn restart_job(&self, request: RestartJob, cancel: &Cancel) -> Result<Pending<Summary>> {
        let RestartJob { job, detach, timeout } = request;
        self.store_is_there()?;
        self.keep(cancel, config::timeout(timeout)?, move |scanner, context| async move {
            if detach {
                let run = scanner.start_again(&job).await?;
                return scanner.store()?.summary(run.run).await;
            }
            scanner.restart(&job, &context).await
        })
    }

    /// Lists all images that a run of the job would see, each with the verdict and the reason.
    ///
    /// # Errors
    /// [`Kind::InvalidState`]; the others from the listing.
    pub fn explain_job(&self, job: &str) -> Result<Listing> {
        self.store_is_there()?;
        self.store()?;
        self.list(|scanner, context| scanner.explain_job(job, context).map_ok(Item::Image).boxed())
    }
}

/// The job of this name, where it may be there already.
async fn find(store: &Store, name: &str, mode: Mode) -> Result<Option<StoredJob>> {
    match (mode, store.job(name).await) {
        (Mode::Add, Ok(_)) => Err(Error::new(Kind::InvalidState, "there is a job with this name")
            .with("job", name)
            .with_hint("change it with `tidewaiter job set`, or choose another name")),
        (Mode::Add | Mode::Put, Err(error)) if error.kind() == Kind::NotFound => Ok(None),
        (_, found) => found.map(Some),
    }
}

/// Saves the registry of a job of its own. One that others use as well is changed by nobody's job.
async fn put_own_registry(store: &Store, job: &Job, definition: &Value) -> Result<()> {
    match store.registry(&job.registry).await {
        Ok(saved) if saved.definition == *definition => return Ok(()),
        Ok(_) => {
            let jobs = store.jobs().await?;
            if let Some(other) =
                jobs.iter().find(|other| other.job.registry == job.registry && other.job.name != job.name)
            {
                return Err(Error::new(
                    Kind::InvalidState,
                    "the saved registry of this name is another, and other jobs use it",
                )
                .with("registry", &job.registry)
                .with("job", &other.job.name)
                .with_hint("give the job another name, or change the registry itself: `tidewaiter registry set`"));
            }
        }
        Err(error) if error.kind() == Kind::NotFound => {}
        Err(error) => return Err(error),
    }
    store.put_registry(&job.registry, definition).await
}
