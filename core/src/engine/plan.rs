//! A run's plan: the registry is listed, held against what the job knows, and what is to be looked at goes into the store.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use futures_util::TryStreamExt as _;
use futures_util::stream::BoxStream;
use jiff::Timestamp;

use super::listing::{self, Failed, Listed, Listing, Show, none_matches};
use super::past::Past;
use super::patience::patiently;
use super::place;
use super::scanner::Scanner;
use super::worker;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::job::{Run, RunOptions};
use crate::model::event::Event;
use crate::model::record::ImageRecord;
use crate::select::{Decision, Reason, Selector, Verdict};
use crate::store::{Beat, Plan, Progress, Store};

/// Seconds of the lease of a plan that is made without a worker.
const LEASE: u64 = 60;

/// Why a plan was not finished.
enum Stop {
    /// The registry cannot be listed.
    Registry(Error),
    /// The store has gone, or the lease has.
    Store(Error),
}

/// What was planned.
#[derive(Default)]
struct Counts {
    listed: u64,
    selected: u64,
    items: u64,
}

impl Scanner {
    /// Plans a run: lists its registry and puts what is to be looked at into the store, from where
    /// [`Store::lease_items`] hands it out. A run that is planned already stays as it is.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Busy`] while somebody else plans it; [`Kind::Canceled`]; [`Kind::Storage`]. A registry that cannot be
    /// listed is the state of the run, not an error.
    pub async fn plan(&self, run: i64, context: &Context) -> Result<Run> {
        let store = self.store()?;
        let name = worker::Name::new().worker;
        if let Some(plan) = store.lease_plan(&name, Some(run), LEASE).await? {
            self.plan_leased(&plan, LEASE, context).await?;
        }
        let run = store.run(run).await?;
        if run.state.is_live() && !run.planned {
            return Err(Error::new(Kind::Busy, "somebody else plans the run").with("run", run.run));
        }
        Ok(run)
    }

    /// All images of the repositories of a job, and what its next run does with each.
    ///
    /// # Errors
    /// The stream's: as [`Scanner::explain`], and [`Kind::NotFound`] without the job.
    pub fn explain_job(&self, job: &str, context: &Context) -> BoxStream<'static, Result<Listed>> {
        let (scanner, job, context) = (self.clone(), job.to_owned(), context.clone());
        let open = async move {
            let store = scanner.store()?;
            let stored = store.job(&job).await?.job;
            let registry = place::read(&store.registry(&stored.registry).await?.definition)?;
            let options = RunOptions { scan_all: stored.scan_all, pull: false };
            let past = scanner.past(store, &stored.name, &stored.registry, options);
            let listed = listing::explain(scanner.clone(), registry, stored.selection, past, context);
            Ok::<_, Error>(listed)
        };
        Box::pin(futures_util::stream::once(open).try_flatten())
    }

    fn past(&self, store: &Store, job: &str, registry: &str, options: RunOptions) -> Past {
        Past {
            store: store.clone(),
            job: job.to_owned(),
            registry: registry.to_owned(),
            options,
            catalogers: crate::store::catalogers(&self.catalogers()),
        }
    }

    /// Plans a run whose plan is leased. A run that is canceled in the meantime, or whose lease is lost, is left alone.
    ///
    /// # Errors
    /// [`Kind::Canceled`], with the lease given back; [`Kind::Storage`].
    pub(super) async fn plan_leased(&self, plan: &Plan, lease: u64, context: &Context) -> Result<()> {
        let store = self.store()?;
        let outcome = tokio::select! {
            biased;
            // Nobody wants the plan any more.
            () = lost(store, plan, lease) => return Ok(()),
            outcome = context.run(async { Ok(self.fill(store, plan, context).await) }) => outcome,
        };
        let ended = match outcome {
            Err(error) => {
                let _ = store.release_plan(plan).await;
                return Err(error);
            }
            Ok(Ok((counts, failed))) => {
                let failed = failed.as_ref().map(with_hint);
                let ended = patiently(context, || store.finish_plan(plan, failed.as_deref())).await;
                if ended.is_ok() {
                    let Counts { listed, selected, items } = counts;
                    let (job, run) = (plan.job.name.clone(), plan.run.run);
                    context.emit(Event::RunPlanned { job, run, listed, selected, items });
                }
                ended
            }
            Ok(Err(Stop::Registry(error))) => {
                let error = with_hint(&error);
                patiently(context, || store.fail_plan(plan, &error)).await
            }
            Ok(Err(Stop::Store(error))) => Err(error),
        };
        match ended {
            // The run was canceled, or somebody else plans it.
            Err(error) if error.kind() == Kind::InvalidState => Ok(()),
            ended => ended,
        }
    }

    /// Puts what is to be looked at into the store. What kept single repositories from being listed is told with the counts.
    async fn fill(&self, store: &Store, plan: &Plan, context: &Context) -> Result<(Counts, Option<Error>), Stop> {
        let registry = place::read(&plan.definition).map_err(Stop::Registry)?;
        let place = self.places().open(&registry, None, context).await.map_err(Stop::Registry)?;
        let selector = place.stored_selector(&plan.job.selection).map_err(Stop::Registry)?;
        let name = plan.run.registry.as_str();
        let past = self.past(store, &plan.job.name, name, plan.run.options);
        let listing = Arc::new(Listing {
            place,
            selector,
            show: Show::All,
            past: Some(past),
            // Whether an image has one of the platforms is found out once, when it is looked at.
            platforms: false,
            now: Timestamp::now(),
            limits: self.limits().clone(),
            context: context.clone(),
        });
        let selector = &listing.selector;
        // Nothing is pushed down, so that what is not listed is gone. A date that nobody asks for costs requests.
        let mut wanted = listing.wanted().map_err(Stop::Registry)?;
        wanted.dates = selector.needs_dates();
        let (wanted, near) = (Arc::new(wanted), Mutex::new(selector.near()));
        let mut work = listing.repositories(&wanted, &near);
        let (mut counts, mut failed, mut cap) = (Counts::default(), Failed::default(), selector.count());
        let mut seen = HashSet::new();
        while let Some((repository, images)) = work.try_next().await.map_err(Stop::Registry)? {
            seen.insert(repository.clone());
            let whole = listing.tell(repository.clone(), images, &mut failed).map_err(Stop::Registry)?;
            let Some(whole) = whole else { continue };
            let records = whole.records.clone();
            let decisions = listing.decide(whole, &mut cap).map_err(Stop::Registry)?;
            keep(store, plan, &repository, records, decisions, &mut counts, context).await.map_err(Stop::Store)?;
            if cap.truncated().is_some() {
                break;
            }
        }
        drop(work);
        listing.tell_cut(&cap);
        if cap.truncated().is_none() {
            let gone = gone(store, name, selector, &seen, &failed, context).await.map_err(Stop::Store)?;
            for repository in gone {
                patiently(context, || store.list_images(name, &repository, &[], true)).await.map_err(Stop::Store)?;
            }
        }
        if seen.is_empty() {
            none_matches(selector, &near).map_err(Stop::Registry)?;
        }
        let failed = failed.with_near(&listing.place, selector, context).await;
        let is_all = failed.is_all(seen.len());
        match failed.finish() {
            // Nothing is known of any: that is not a run in which nothing was new.
            Err(error) if is_all => Err(Stop::Registry(error)),
            listed => Ok((counts, listed.err())),
        }
    }
}

/// Writes what was found in one repository.
async fn keep(
    store: &Store,
    plan: &Plan,
    repository: &str,
    mut records: Vec<ImageRecord>,
    decisions: Vec<Decision>,
    counts: &mut Counts,
    context: &Context,
) -> Result<()> {
    let (repository, listed) = (repository.to_owned(), decisions.len() as u64);
    let mut progress = Progress { repository, listed, ..Progress::default() };
    let mut others = HashSet::new();
    for Decision { record, verdict, reason, .. } in decisions {
        progress.selected += u64::from(reason.is_match());
        if reason == Reason::NotAnImage {
            others.insert(record.digest.clone());
        }
        if verdict == Verdict::Skip {
            progress.skipped.push((record.digest, reason));
        } else {
            progress.items.push((record, verdict, reason));
        }
    }
    counts.listed += progress.listed;
    counts.selected += progress.selected;
    counts.items += progress.items.len() as u64;
    // Charts and the like are no images of the inventory.
    records.retain(|record| !others.contains(&record.digest));
    let registry = plan.run.registry.as_str();
    patiently(context, || store.list_images(registry, &progress.repository, &records, true)).await?;
    patiently(context, || store.add_items(plan, progress.clone())).await
}

/// The repositories that the store knows and the registry does not list any more.
async fn gone(
    store: &Store,
    registry: &str,
    selector: &Selector,
    seen: &HashSet<String>,
    failed: &Failed,
    context: &Context,
) -> Result<Vec<String>> {
    let mut known = patiently(context, || store.known_repositories(registry)).await?;
    known.retain(|name| {
        selector.repositories().matches(name) && (!seen.contains(name) || failed.missing.contains(name))
    });
    Ok(known)
}

/// Keeps the lease; ends when it is lost.
async fn lost(store: &Store, plan: &Plan, lease: u64) {
    loop {
        tokio::time::sleep(worker::between_beats(lease)).await;
        match store.beat_plan(plan, lease).await {
            Ok(Beat::Lost) => return,
            Ok(Beat::Held) => {}
            Err(error) => tracing::debug!(%error, "the lease of a plan cannot be kept now"),
        }
    }
}

/// An error with what to do about it, in one line.
fn with_hint(error: &Error) -> String {
    error.hint().map_or_else(|| error.to_string(), |hint| format!("{error} ({hint})"))
}
