//! The work of runs, in pieces that travel: a plan, its images, what comes of each. And the worker that does all of it.

use serde::Deserialize;
use tidewaiter::engine::WorkerOptions;
use tidewaiter::job::{Commit, Done, Item, Run, Summary};
use tidewaiter::store::Worker;
use tidewaiter::{Cancel, Result};

use crate::call::Pending;
use crate::scanner::{Scanner, compile};

/// Which images are taken, and for how long.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lease {
    /// The run; images of every run without it.
    pub run: Option<i64>,
    /// At most so many images.
    pub count: u64,
    /// Seconds after which others may take them.
    pub seconds: u64,
    /// Who takes them; made of the process where there is no name.
    pub worker: Option<String>,
}

impl Default for Lease {
    fn default() -> Self {
        Self { run: None, count: 1, seconds: 60, worker: None }
    }
}

/// Which images are kept in hand, and for how long.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    /// The images, as [`Scanner::lease`] gave them.
    pub items: Vec<Item>,
    /// Seconds from now on after which others may take them.
    #[serde(default = "seconds")]
    pub seconds: u64,
}

fn seconds() -> u64 {
    Lease::default().seconds
}

/// How a worker works.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkOptions {
    /// Its name, which no other worker of the store may have; made up where there is none.
    pub name: Option<String>,
    /// Images at once; two more than layers are read side by side, unless it is given.
    pub concurrency: Option<usize>,
    /// Seconds after which others take what a worker holds that is not heard of.
    pub lease: u64,
    /// Whether it ends when there is nothing left to do.
    pub once: bool,
}

impl Default for WorkOptions {
    fn default() -> Self {
        let WorkerOptions { name, concurrency, lease, once } = WorkerOptions::default();
        Self { name, concurrency, lease, once }
    }
}

impl Scanner {
    /// Lists the registry of a run, and puts the images that are to be looked at into the store.
    ///
    /// # Errors
    /// [`Kind::NotFound`](tidewaiter::Kind::NotFound), what keeps the registry from being listed, and those of the store.
    pub fn plan(&self, run: i64, cancel: &Cancel) -> Result<Pending<Run>> {
        self.keep(cancel, None, move |scanner, context| async move { scanner.plan(run, &context).await })
    }

    /// What came of a run so far.
    ///
    /// # Errors
    /// [`Kind::NotFound`](tidewaiter::Kind::NotFound), and those of the store.
    pub fn run_summary(&self, run: i64, cancel: &Cancel) -> Result<Pending<Summary>> {
        self.ask(cancel, move |store| async move { store.summary(run).await })
    }

    /// Takes images that wait. None are left once the answer is empty and the run is planned.
    ///
    /// # Errors
    /// Those of the store.
    pub fn lease(&self, request: Lease, cancel: &Cancel) -> Result<Pending<Vec<Item>>> {
        let Lease { run, count, seconds, worker } = request;
        let worker = worker.unwrap_or_else(|| format!("process-{}", std::process::id()));
        self.ask(cancel, move |store| async move { store.lease_items(&worker, run, count, seconds).await })
    }

    /// Keeps images in hand whose lease would run out while they are looked at. Tells of each, in their order, whether it is still held:
    /// one that is not is committed, or was canceled, or somebody else has it, and its commit would be refused.
    ///
    /// # Errors
    /// Those of the store.
    pub fn renew(&self, request: Renew, cancel: &Cancel) -> Result<Pending<Vec<bool>>> {
        let Renew { items, seconds } = request;
        self.ask(cancel, move |store| async move { store.renew_items(&items, seconds).await })
    }

    /// Looks at an image. It needs no store, and may be done anywhere and twice; an image that cannot be scanned is an answer.
    ///
    /// # Errors
    /// [`Kind::Canceled`](tidewaiter::Kind::Canceled).
    pub fn execute(&self, item: Item, cancel: &Cancel) -> Result<Pending<Done>> {
        let exports = self.exports();
        self.call(cancel, None, |scanner, context| async move {
            compile(exports, &context).await?;
            scanner.execute(&item, &context).await
        })
    }

    /// Puts what came of an image into the store, once.
    ///
    /// # Errors
    /// [`Kind::InvalidState`](tidewaiter::Kind::InvalidState) once the run is canceled or the lease lost: nothing is changed then.
    /// Those of the store.
    pub fn commit(&self, done: Done, cancel: &Cancel) -> Result<Pending<Commit>> {
        self.keep(cancel, None, |scanner, context| async move { scanner.commit(&done, &context).await })
    }

    /// Begins the runs that are due and works on all that is queued, until it is canceled. It gives back what it holds then.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`](tidewaiter::Kind::InvalidInput) for options that cannot be, and those of a store that is away for long.
    pub fn work(&self, options: WorkOptions, cancel: &Cancel) -> Result<Pending<()>> {
        let WorkOptions { name, concurrency, lease, once } = options;
        let options = WorkerOptions { name, concurrency, lease, once };
        self.keep(cancel, None, move |scanner, context| async move { scanner.work(&options, &context).await })
    }

    /// Who is at work, and with what.
    ///
    /// # Errors
    /// Those of the store.
    pub fn list_workers(&self, cancel: &Cancel) -> Result<Pending<Vec<Worker>>> {
        self.ask(cancel, |store| async move { store.workers().await })
    }
}
