//! Runs of jobs: begun by hand, and followed until they are over.

use jiff::Timestamp;

use super::place;
use super::scanner::Scanner;
use super::worker::{Worker, WorkerOptions};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::job::{Job, Run, RunOptions, State, Summary};

impl Scanner {
    /// Whether a job can be saved: [`Job::check`], and whether its selection means something on its registry, which is not asked.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`], which names the field; [`Kind::Unsupported`] for a query where there is no AQL; [`Kind::NotFound`]
    /// without the registry; [`Kind::Storage`].
    pub async fn check_job(&self, job: &Job) -> Result<()> {
        job.check()?;
        job.selection.check(Timestamp::now())?;
        let registry = place::read(&self.store()?.registry(&job.registry).await?.definition)?;
        job.selection.on(&self.places().naming(&registry)?).map(drop)
    }

    /// Begins a run of a job by hand; it waits for a worker, or for [`Scanner::follow`].
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Busy`] while a run of the job is queued or running; [`Kind::InvalidInput`] to pull again
    /// without all images; [`Kind::Storage`].
    pub async fn start(&self, job: &str, options: RunOptions) -> Result<Run> {
        let options = self.checked(job, options).await?;
        self.store()?.start_run(job, options, None).await
    }

    /// The options of a run by hand, as the job allows them.
    async fn checked(&self, job: &str, mut options: RunOptions) -> Result<RunOptions> {
        let stored = self.store()?.job(job).await?.job;
        // A job without a schedule has no other runs than these.
        options.scan_all |= stored.scan_all && stored.schedule.is_on_demand();
        if options.pull && !options.scan_all {
            return Err(Error::new(Kind::InvalidInput, "only a run of all images pulls those again that are known")
                .with("field", "pull")
                .with_hint("ask for all images too"));
        }
        Ok(options)
    }

    /// Begins a run again: what is missing and what failed is done, what was finished stays.
    ///
    /// # Errors
    /// As [`Scanner::start`]; [`Kind::InvalidState`] for a job that never ran.
    pub async fn start_again(&self, job: &str) -> Result<Run> {
        let store = self.store()?;
        let latest = store.job(job).await?.latest.ok_or_else(|| {
            Error::new(Kind::InvalidState, "the job has never run, so there is nothing to begin again")
                .with("job", job)
                .with_hint("run it: `tidewaiter job run`")
        })?;
        store.start_run(job, latest.options, None).await
    }

    /// Works on a run until it is over, and gives what came of it. Others may work on it too.
    ///
    /// When `context` is canceled, so is the run: what is finished stays, and the summary says `Canceled`.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Storage`] for a store that is away for minutes. What is wrong with single images, or with the
    /// registry, is in the summary.
    pub async fn follow(&self, run: i64, context: &Context) -> Result<Summary> {
        let store = self.store()?;
        if store.run(run).await?.state.is_live() {
            let worked = Worker::new(self, &WorkerOptions::default(), Some(run), context)?.work().await;
            match worked {
                Err(error) if error.kind() == Kind::Canceled => {}
                worked => worked?,
            }
        }
        store.summary(run).await
    }

    /// Runs a job now: [`Scanner::start`], then [`Scanner::follow`]. A run that others began and nobody works on any more is first gone
    /// on with; where it was asked for the same, that is all.
    ///
    /// # Errors
    /// Those of the two.
    pub async fn run(&self, job: &str, options: RunOptions, context: &Context) -> Result<Summary> {
        let store = self.store()?;
        let options = self.checked(job, options).await?;
        if let Some(left) = store.abandoned(job).await? {
            let summary = self.follow(left.run, context).await?;
            if left.options == options || summary.state != State::Finished {
                return Ok(summary);
            }
        }
        let run = store.start_run(job, options, None).await?;
        self.follow(run.run, context).await
    }

    /// Begins a run again and follows it: [`Scanner::start_again`], then [`Scanner::follow`].
    ///
    /// # Errors
    /// Those of the two.
    pub async fn restart(&self, job: &str, context: &Context) -> Result<Summary> {
        let run = self.start_again(job).await?;
        self.follow(run.run, context).await
    }

    /// Works for a store: begins the runs that are due, plans them, and looks at images, until `context` ends or, with
    /// [`WorkerOptions::once`], nothing is left to do. Any number of workers on any number of machines share the work. What is in
    /// hand at the end is given back.
    ///
    /// ```no_run
    /// use tidewaiter::{Context, Scanner, Store, engine::WorkerOptions};
    /// # async fn work() -> tidewaiter::Result<()> {
    /// let scanner = Scanner::builder().store(Store::open("postgres://scanner@db/tidewaiter")?).build()?;
    /// scanner.work(&WorkerOptions::default(), &Context::new()).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Kind::InvalidState`] without a store, [`Kind::Storage`] for one that is away for minutes.
    pub async fn work(&self, options: &WorkerOptions, context: &Context) -> Result<()> {
        match Worker::new(self, options, None, context)?.work().await {
            Err(error) if error.kind() == Kind::Canceled => Ok(()),
            worked => worked,
        }
    }
}
