//! A worker: it begins the runs that are due, plans them, and looks at their images, several at once. All that it knows of the
//! others is in the store.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::future::Future;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::task::{AbortHandle, Id, JoinSet};

use super::patience::patiently;
use super::scanner::{Scanner, WAITING};
use crate::cancel::Cancel;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::job::{Done, Failure, Item, Outcome, RunOptions};
use crate::model::event::Event;
use crate::store::{Plan, Store};

/// How often jobs are looked at whether they are due.
const DUE: Duration = Duration::from_secs(5);
/// How long a worker waits for something to do: for a run that somebody waits for, for one that is being planned here, or else.
const WAIT_RUN: Duration = Duration::from_millis(200);
const WAIT_PLAN: Duration = Duration::from_millis(50);
const WAIT: Duration = Duration::from_secs(1);
/// The longest time between two beats: a run that is canceled elsewhere ends here so soon.
const BEAT: Duration = Duration::from_secs(5);
/// How long commits may take at the end.
const LAST_COMMITS: Duration = Duration::from_secs(10);

/// How a worker works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerOptions {
    /// Its name, which no other worker of the store may have; made of the host, the process and a random number unless it is given.
    pub name: Option<String>,
    /// Images at once; two more than layers are read side by side, unless it is given.
    pub concurrency: Option<usize>,
    /// Seconds after which others take what a worker holds that is not heard of.
    pub lease: u64,
    /// Whether it ends when there is nothing left to do.
    pub once: bool,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self { name: None, concurrency: None, lease: 60, once: false }
    }
}

/// Who works here.
pub(super) struct Name {
    host: String,
    process: u32,
    pub(super) worker: String,
}

impl Name {
    pub(super) fn new() -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
        let host = host.map(|host| host.trim().to_owned()).filter(|host| !host.is_empty());
        let host = host.unwrap_or_else(|| "localhost".to_owned());
        let process = std::process::id();
        // Two workers of one process, and processes of two containers with one name, are told apart.
        let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
        let worker = format!("{host}-{process}-{:08x}", random & 0xffff_ffff);
        Self { host, process, worker }
    }
}

/// The time between two beats.
pub(super) fn between_beats(lease: u64) -> Duration {
    (Duration::from_secs(lease) / 3).min(BEAT)
}

/// An image that a worker holds: run, repository, digest, and the number of the lease.
type Key = (i64, String, String, i64);

/// Something that goes on.
struct Task {
    /// The image; none for a plan.
    image: Option<Key>,
    run: i64,
    is_committing: Arc<AtomicBool>,
    abort: AbortHandle,
}

/// One worker at work.
pub(super) struct Worker {
    scanner: Scanner,
    store: Store,
    name: Name,
    concurrency: usize,
    lease: u64,
    once: bool,
    /// The only run that is worked on.
    run: Option<i64>,
    context: Context,
    tasks: JoinSet<()>,
    going: HashMap<Id, Task>,
    looked: Option<Instant>,
    /// The runs that were worked on here, and whose end was not told.
    begun: BTreeSet<i64>,
}

impl Worker {
    /// A worker for all runs, or for one.
    ///
    /// # Errors
    /// [`Kind::InvalidState`] without a store, [`Kind::InvalidInput`] for a lease of no time or nothing at once.
    pub(super) fn new(scanner: &Scanner, options: &WorkerOptions, run: Option<i64>, context: &Context) -> Result<Self> {
        let store = scanner.store()?.clone();
        let refuse = |field, message: &'static str| Err(Error::new(Kind::InvalidInput, message).with("field", field));
        if options.lease == 0 {
            return refuse("lease", "a lease is at least 1 second");
        }
        if options.concurrency == Some(0) {
            return refuse("concurrency", "with 0 images at once nothing is scanned");
        }
        let mut name = Name::new();
        if let Some(worker) = options.name.as_deref() {
            name.worker = worker.to_owned();
        }
        Ok(Self {
            scanner: scanner.clone(),
            store,
            name,
            concurrency: options.concurrency.unwrap_or_else(|| scanner.lanes() + WAITING),
            lease: options.lease,
            once: options.once,
            run,
            context: context.clone(),
            tasks: JoinSet::new(),
            going: HashMap::new(),
            looked: None,
            begun: BTreeSet::new(),
        })
    }

    /// Works until there is nothing to do any more, or the context ends.
    ///
    /// # Errors
    /// [`Kind::Canceled`], [`Kind::Storage`] and its like for a store that is away for minutes.
    pub(super) async fn work(mut self) -> Result<()> {
        let context = self.context.clone();
        let worked = context.run(Box::pin(self.go())).await;
        let is_canceled = matches!(&worked, Err(error) if error.kind() == Kind::Canceled);
        self.stop().await;
        let ended = if worked.is_ok() { self.tell_ended().await } else { Ok(()) };
        // What is canceled here is canceled for all who work on it.
        let canceled = match self.run {
            Some(run) if is_canceled => self.store.cancel_live(run).await,
            _ => Ok(()),
        };
        let left = self.store.leave(&self.name.worker).await;
        canceled?;
        worked.and(ended).and(left)
    }

    async fn go(&mut self) -> Result<()> {
        let (store, Name { host, process, worker }) = (&self.store, &self.name);
        patiently(&self.context, || store.enter(worker, host, *process)).await?;
        let mut beats = tokio::time::interval(between_beats(self.lease));
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.begin_due().await?;
            let is_planning = self.take_plan().await?;
            self.take_items().await?;
            self.tell_ended().await?;
            if self.tasks.is_empty() && self.is_over().await? {
                return Ok(());
            }
            let wait = match self.run {
                _ if is_planning => WAIT_PLAN,
                Some(_) => WAIT_RUN,
                None => WAIT,
            };
            tokio::select! {
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                _ = beats.tick() => self.beat().await,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Whether there is nothing to wait for.
    async fn is_over(&self) -> Result<bool> {
        let store = &self.store;
        match self.run {
            Some(run) => Ok(!patiently(&self.context, || store.run(run)).await?.state.is_live()),
            None => Ok(self.once),
        }
    }

    /// Begins the runs that are due.
    async fn begin_due(&mut self) -> Result<()> {
        if self.run.is_some() || self.looked.is_some_and(|looked| looked.elapsed() < DUE) {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        let store = &self.store;
        for job in patiently(&self.context, || store.jobs()).await? {
            let Some(occurrence) = job.due(Timestamp::now()) else { continue };
            let options = RunOptions { scan_all: job.job.scan_all, pull: false };
            match store.start_run(&job.job.name, options, Some(occurrence)).await {
                Ok(_) => {}
                // Another worker was quicker, or the job has just been deleted.
                Err(error) if matches!(error.kind(), Kind::Busy | Kind::NotFound) => {}
                // It is still due the next time.
                Err(error) => tracing::warn!(%error, job = job.job.name, "a run that is due cannot begin"),
            }
        }
        Ok(())
    }

    /// Takes a run to be planned, one at a time; whether one is being planned now.
    async fn take_plan(&mut self) -> Result<bool> {
        if self.going.values().any(|task| task.image.is_none()) {
            return Ok(true);
        }
        let (store, worker, run, lease) = (&self.store, self.name.worker.as_str(), self.run, self.lease);
        let Some(plan) = patiently(&self.context, || store.lease_plan(worker, run, lease)).await? else {
            return Ok(false);
        };
        self.context.emit(Event::RunBegun { job: plan.job.name.clone(), run: plan.run.run });
        let (scanner, context) = (self.scanner.clone(), self.own_context());
        let run = plan.run.run;
        self.spawn(None, run, Arc::default(), make_plan(scanner, plan, lease, context));
        Ok(true)
    }

    /// Takes as many images as there is room for.
    async fn take_items(&mut self) -> Result<()> {
        let busy = self.going.values().filter(|task| task.image.is_some()).count();
        let room = self.concurrency.saturating_sub(busy) as u64;
        if room == 0 {
            return Ok(());
        }
        let (store, worker, run, lease) = (&self.store, self.name.worker.as_str(), self.run, self.lease);
        for item in patiently(&self.context, || store.lease_items(worker, run, room, lease)).await? {
            let key = (item.run, item.image.repository.clone(), item.image.digest.to_string(), item.token);
            let is_committing = Arc::new(AtomicBool::new(false));
            let (scanner, context) = (self.scanner.clone(), self.own_context());
            let run = item.run;
            self.spawn(Some(key), run, Arc::clone(&is_committing), look_at(scanner, item, is_committing, context));
        }
        Ok(())
    }

    /// Tells of the runs that were worked on here and are over, by whomever.
    async fn tell_ended(&mut self) -> Result<()> {
        let going: HashSet<i64> = self.going.values().map(|task| task.run).collect();
        let store = &self.store;
        for run in self.begun.iter().copied().filter(|run| !going.contains(run)).collect::<Vec<_>>() {
            let summary = match patiently(&self.context, || store.run(run)).await {
                Ok(run) if run.state.is_live() => continue,
                Ok(_) => patiently(&self.context, || store.summary(run)).await,
                Err(error) => Err(error),
            };
            self.begun.remove(&run);
            match summary {
                Ok(summary) => {
                    if summary.unmatched > 0 {
                        self.scanner.advisory_source().tell_unmatched(summary.unmatched, &self.context);
                    }
                    self.context.emit(Event::RunEnded {
                        job: summary.job,
                        run,
                        state: summary.state.as_str(),
                        scanned: summary.scanned,
                        rematched: summary.rematched,
                        failed: summary.failed.len() as u64,
                        incomplete: summary.incomplete,
                        unmatched: summary.unmatched,
                        new_findings: summary.new_findings,
                        fixed_findings: summary.fixed_findings,
                        error: summary.error,
                    });
                }
                // It was deleted with its job.
                Err(error) if error.kind() == Kind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A context for a task: it tells the same, and is ended by nobody else, so that a commit is never broken off.
    fn own_context(&self) -> Context {
        self.context.clone().cancel(Cancel::new())
    }

    fn spawn(
        &mut self,
        image: Option<Key>,
        run: i64,
        is_committing: Arc<AtomicBool>,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let abort = self.tasks.spawn(Box::pin(work));
        self.begun.insert(run);
        self.going.insert(abort.id(), Task { image, run, is_committing, abort });
    }

    fn ended(&mut self, ended: Result<(Id, ()), tokio::task::JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                if error.is_panic() {
                    tracing::error!(%error, "a task of a worker panicked");
                }
                error.id()
            }
        };
        self.going.remove(&id);
    }

    /// Keeps the leases. What is not held any more is broken off: its run was canceled, or somebody else has it.
    async fn beat(&mut self) {
        let held = match self.store.beat_items(&self.name.worker, self.lease).await {
            Ok(held) => held.into_iter().collect::<HashSet<_>>(),
            // Others may take what is held here; a commit that comes late is refused.
            Err(error) => return tracing::debug!(%error, "leases cannot be kept now"),
        };
        let images = || self.going.values().filter_map(|task| Some((task, task.image.as_ref()?)));
        for (task, key) in images() {
            if !held.contains(key) && !task.is_committing.load(Ordering::SeqCst) {
                task.abort.abort();
            }
        }
        let known: HashSet<_> = images().map(|(_, key)| key.clone()).collect();
        for key in held.difference(&known) {
            // It ended here without a commit: somebody tries again, though not for ever.
            let _ = self.store.expire_item(&self.name.worker, key).await;
        }
    }

    /// Breaks off what goes on, but for commits, which come to their end.
    async fn stop(&mut self) {
        for task in self.going.values().filter(|task| !task.is_committing.load(Ordering::SeqCst)) {
            task.abort.abort();
        }
        let last = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_COMMITS, last).await;
        self.tasks.shutdown().await;
        self.going.clear();
    }
}

async fn make_plan(scanner: Scanner, plan: Plan, lease: u64, context: Context) {
    if let Err(error) = scanner.plan_leased(&plan, lease, &context).await {
        // The lease runs out, and somebody plans it again.
        tracing::warn!(%error, run = plan.run.run, "a run cannot be planned now");
    }
}

/// Looks at an image, and commits what comes of it.
async fn look_at(scanner: Scanner, item: Item, is_committing: Arc<AtomicBool>, context: Context) {
    // Until what comes of it is committed: the report is unpacked there once more.
    let Ok(seat) = scanner.seat().await else { return };
    let Ok(mut done) = scanner.execute_in(&seat, &item, &context).await else { return };
    is_committing.store(true, Ordering::SeqCst);
    let mut committed = patiently(&context, || scanner.commit_in(&seat, &done, &context)).await;
    if let Err(error) = &committed
        && !matches!(error.kind(), Kind::InvalidState | Kind::NotFound | Kind::Storage | Kind::Unavailable | Kind::Busy)
    {
        // What cannot be written is no reason to look at the image again and again.
        done = Done { outcome: Outcome::Failed(Failure::from(error)), ..done };
        committed = patiently(&context, || scanner.commit_in(&seat, &done, &context)).await;
    }
    match committed {
        Ok(_) => {}
        Err(error) if error.kind() == Kind::InvalidState => tracing::debug!(%error, "a commit came too late"),
        Err(error) => tracing::warn!(%error, run = done.run, digest = %done.digest, "an image cannot be committed"),
    }
}
