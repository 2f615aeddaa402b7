//! One image: its layers' facts, the overlay, the packages, the findings, the report.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::lanes::Plan;
use super::layers::{Counts, Layers};
use super::memory;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::layer::overlay::{Overlay, Resolved};
use crate::layer::walk::Again;
use crate::layer::{LayerFacts, View};
use crate::matching::{MatchOptions, Matcher};
use crate::model::event::Event;
use crate::model::image::{Descriptor, Image, LayerRecord};
use crate::model::inventory::{Draft, Inventory};
use crate::model::problem::{Problem, ProblemKind, Problems};
use crate::model::report::{Provenance, Report, Seconds, Stats, Subject};
use crate::source::{ImageSource, LayerKind};

/// The most bytes of entries and facts of all layers of an image. What one layer has is bounded on its own.
const KEPT: usize = 64 << 20;

/// What is in an image, before it is matched.
pub(super) struct Contents {
    image: Image,
    reference: String,
    layers: Vec<LayerRecord>,
    pub(super) inventory: Inventory,
    problems: Problems,
    stats: Stats,
    started: Instant,
}

/// Reads the layers of an image and finds its packages.
///
/// # Errors
/// What kept a layer from arriving whole and right; what is wrong inside of one is a problem.
pub(super) async fn read(
    layers: &Layers,
    source: &dyn ImageSource,
    image: Image,
    notes: Vec<Problem>,
    foreign_layers: bool,
    context: &Context,
) -> Result<Contents> {
    let started = Instant::now();
    let reference = source.reference();
    context.emit(Event::ImageResolved {
        image: reference.clone(),
        digest: image.digest.clone(),
        layers: image.layers.iter().map(|(layer, _)| (layer.digest.clone(), layer.size)).collect(),
    });
    let mut problems = Problems::default();
    notes.into_iter().for_each(|note| problems.push(note));

    let counts = Counts::default();
    let skipped = |layer: &Descriptor| unread(LayerKind::of(layer), foreign_layers).is_some();
    // Descriptors by value: a closure over borrowed ones would make the future of a scan not `Send`.
    let descriptors: Vec<Descriptor> = image.layers.iter().map(|(layer, _)| layer.clone()).collect();
    let reading = stream::iter(descriptors)
        .map(|layer| {
            let counts = &counts;
            async move {
                if skipped(&layer) { Ok(Arc::default()) } else { layers.facts(source, &layer, context, counts).await }
            }
        })
        .buffered(layers.lanes() + 1);
    let mut reading = pin!(reading);
    let mut facts: Vec<Arc<LayerFacts>> = Vec::new();
    let mut kept = 0;
    while let Some(layer) = reading.try_next().await? {
        let memory = layer.memory();
        if kept > 0 && kept + memory > KEPT {
            let message = format!(
                "the layers hold more entries and facts than {} MiB; those of this one do not count",
                KEPT >> 20
            );
            let index = u32::try_from(facts.len()).ok();
            problems.push(Problem { layer: index, ..Problem::new(ProblemKind::LimitExceeded, message) });
            facts.push(Arc::default());
            continue;
        }
        kept += memory;
        facts.push(layer);
    }
    for ((layer, _), index) in image.layers.iter().zip(0u32..) {
        if let Some(message) = unread(LayerKind::of(layer), foreign_layers) {
            problems.push(Problem { layer: Some(index), ..Problem::new(ProblemKind::Unsupported, message) });
        }
    }
    for (facts, index) in facts.iter().zip(0u32..) {
        facts.problems.iter().for_each(|problem| problems.push(Problem { layer: Some(index), ..problem.clone() }));
    }

    let applied = layers.compute(move |plan| {
        let overlay = Overlay::new(&facts, &plan.table);
        let resolved = overlay.finish(&facts, plan.catalogers.len());
        (overlay, resolved)
    });
    let (overlay, mut resolved) = applied.await?;
    std::mem::take(&mut resolved.problems).into_iter().for_each(|problem| problems.push(problem));
    for (layer, asked) in by_layer(std::mem::take(&mut resolved.again)) {
        if let Some((descriptor, _)) = image.layers.get(layer as usize) {
            let found = layers.again(source, descriptor, &asked, context, &counts).await?;
            found.problems.iter().for_each(|problem| problems.push(Problem { layer: Some(layer), ..problem.clone() }));
            resolved.add(layer, &asked, found);
        }
    }
    let fetch = started.elapsed().as_secs_f64();
    let (inventory, problems) = layers
        .compute(move |plan| {
            let inventory = resolve(plan, &overlay, &resolved, &mut problems);
            (inventory, problems)
        })
        .await?;

    let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let stats = Stats {
        bytes_fetched: load(&counts.bytes_fetched),
        layers_fetched: load(&counts.fetched),
        layers_from_cache: load(&counts.cached),
        layers_read_twice: load(&counts.twice),
        seconds: Seconds { fetch, total: 0.0 },
        ..Stats::default()
    };
    let layers = image
        .layers
        .iter()
        .map(|(layer, created_by)| LayerRecord {
            digest: layer.digest.clone(),
            size: layer.size,
            created_by: created_by.clone(),
        })
        .collect();
    Ok(Contents { image, reference, layers, inventory, problems, stats, started })
}

/// Gives up on an image that takes longer than it may.
///
/// # Errors
/// [`Kind::Unavailable`] once the time is over, or the error of `work`.
#[cfg(feature = "net")]
pub(super) async fn within<T>(time: std::time::Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(time, work).await.unwrap_or_else(|_| {
        Err(Error::new(Kind::Unavailable, "the image took longer than it may")
            .with("seconds", time.as_secs_f64())
            .with_hint("allow more with `image_timeout` in the definition of the registry, if it is only slow"))
    })
}

/// Matches the packages and closes the report.
///
/// # Errors
/// Those of the advisory database.
pub(super) fn report(
    plan: &Plan,
    contents: Contents,
    matcher: Option<&Matcher>,
    options: &MatchOptions,
    context: &Context,
) -> Result<Report> {
    let Contents { image, reference, layers, inventory, mut problems, mut stats, started } = contents;
    let mut findings = Vec::new();
    match matcher {
        Some(matcher) => {
            let matches = matcher.find(&inventory, options)?;
            findings = matches.findings;
            stats.owned_findings = matches.owned_findings;
            matches.problems.into_iter().for_each(|problem| problems.push(problem));
        }
        None => problems.push(Problem::new(
            ProblemKind::NoAdvisories,
            "there is no advisory database, so packages are listed and not matched: run `tidewaiter advisories update`",
        )),
    }
    let mut problems = problems.finish();
    problems.sort();
    problems.iter().for_each(|problem| context.emit(Event::Problem(problem.clone())));
    context.emit(Event::ImageDone { image: reference.clone(), packages: inventory.len(), findings: findings.len() });
    stats.peak_memory_bytes = memory::peak();
    stats.seconds.total = started.elapsed().as_secs_f64();
    Ok(Report {
        subject: Subject {
            reference,
            digest: image.digest,
            index: image.index,
            platform: image.platform,
            created: image.created,
        },
        layers,
        inventory,
        findings,
        problems,
        stats,
        provenance: Provenance {
            catalogers: plan.versions(),
            advisories: matcher.map(|matcher| matcher.advisories().provenance()),
        },
    })
}

/// Matches a report again, and puts that in the place of the match that it has.
///
/// # Errors
/// Those of the advisory database.
pub(super) fn match_again(report: &mut Report, matcher: &Matcher, options: &MatchOptions) -> Result<()> {
    let matches = matcher.find(&report.inventory, options)?;
    report.problems.retain(|problem| !problem.kind.is_of_a_match());
    report.problems.extend(matches.problems);
    report.problems.sort();
    report.findings = matches.findings;
    report.stats.owned_findings = matches.owned_findings;
    report.provenance.advisories = Some(matcher.advisories().provenance());
    Ok(())
}

fn resolve(plan: &Plan, overlay: &Overlay, resolved: &Resolved, problems: &mut Problems) -> Inventory {
    let mut draft = Draft::new(plan.limits.packages);
    let directories = |path: &[u8]| overlay.directory(path);
    for (cataloger, files) in plan.catalogers.iter().zip(&resolved.files) {
        if files.is_empty() {
            continue;
        }
        let view = View::new(files, &directories);
        // A cataloger of somebody else may panic; the others still count.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| cataloger.resolve(&view, &mut draft)))
            .unwrap_or_else(|_| Err(Error::new(Kind::Internal, "a cataloger panicked")));
        if let Err(error) = outcome {
            problems.push(Problem::new(ProblemKind::Corrupt, format!("{}: {error}", cataloger.id())));
        }
    }
    draft.problems().into_iter().for_each(|problem| problems.push(problem));
    draft.finish()
}

fn by_layer(again: Vec<(u32, Again)>) -> Vec<(u32, Vec<Again>)> {
    let mut layers: Vec<(u32, Vec<Again>)> = Vec::new();
    for (layer, again) in again {
        match layers.last_mut() {
            Some((last, asked)) if *last == layer => asked.push(again),
            _ => layers.push((layer, vec![again])),
        }
    }
    layers
}

/// Why a layer is not read, where it is not.
fn unread(kind: LayerKind, foreign_layers: bool) -> Option<&'static str> {
    match kind {
        LayerKind::Tar => None,
        LayerKind::Foreign if foreign_layers => None,
        LayerKind::Foreign => Some("a foreign layer is not read unless foreign layers are asked for"),
        LayerKind::Encrypted => Some("an encrypted layer cannot be read"),
        LayerKind::Other => Some("what is not a tar of files is not read as a layer"),
    }
}
