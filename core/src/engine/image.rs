//! One image: its layers' facts, the overlay, the packages, the findings, the report.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::lanes::Plan;
use super::layers::{Counts, Layers};
use super::memory;
use super::room::{FACTS, Seat};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::layer::overlay::{Overlay, Resolved};
use crate::layer::walk::Again;
use crate::layer::{LayerFacts, View, history};
use crate::matching::{MatchOptions, Matcher};
use crate::model::event::Event;
use crate::model::image::{Descriptor, Image, LayerRecord};
use crate::model::inventory::{Draft, Inventory};
use crate::model::problem::{Problem, ProblemKind, Problems};
use crate::model::report::{Provenance, Report, Seconds, Stats, Subject};
use crate::model::since::Since;
use crate::source::{ImageSource, LayerKind};

/// The bytes of links and names of files that the overlay of an image may take beside other images.
const SMALL_OVERLAY: usize = 3 << 20;
/// The bytes of findings that an image may have beside other images.
const SMALL_FINDINGS: usize = 8 << 20;
/// The most bytes of the commands that made the layers, as the history of an image tells them.
const COMMANDS: usize = 1 << 20;

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
    seat: &Arc<Seat>,
    source: &dyn ImageSource,
    mut image: Image,
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
    spare(&mut image, &mut problems);

    let counts = Counts::default();
    let reading = Layered { layers, seat, source, foreign_layers, context, counts: &counts };
    let mut facts = reading.facts(&image, &mut problems).await?;
    for ((layer, _), index) in image.layers.iter().zip(0u32..) {
        if let Some(message) = unread(LayerKind::of(layer), foreign_layers) {
            problems.push(Problem { layer: Some(index), ..Problem::new(ProblemKind::Unsupported, message) });
        }
    }
    for (facts, index) in facts.iter().zip(0u32..) {
        facts.problems.iter().for_each(|problem| problems.push(Problem { layer: Some(index), ..problem.clone() }));
    }

    let mut packages = loop {
        let room = Room::of(seat);
        // Where only limits count, nothing is done again.
        let facts = if seat.is_large() { std::mem::take(&mut facts) } else { facts.clone() };
        match layers.compute(seat, move |plan| packages(plan, facts, &room)).await? {
            Packages::Again(seen) if !seat.hold(seen.resolved.memory()) => seat.enlarge().await?,
            Packages::TooMany => seat.enlarge().await?,
            packages => break packages,
        }
    };
    drop(facts);
    if let Packages::Again(mut seen) = packages {
        for (layer, asked) in by_layer(std::mem::take(&mut seen.resolved.again)) {
            let Some((descriptor, _)) = image.layers.get(layer as usize) else { continue };
            match reading.again(descriptor, &asked).await? {
                Some(found) => {
                    let told = found.problems.iter().cloned();
                    told.for_each(|problem| problems.push(Problem { layer: Some(layer), ..problem }));
                    seen.resolved.add(layer, &asked, found);
                }
                None => problems.push(too_much(layer)),
            }
        }
        let seen = Arc::new(seen);
        packages = loop {
            let (seen, room) = (seen.clone(), Room::of(seat));
            let again = layers.compute(seat, move |plan| resolve(plan, &seen, &room));
            match again.await? {
                Packages::TooMany => seat.enlarge().await?,
                packages => break packages,
            }
        };
    }
    let Packages::Found(inventory, found) = packages else {
        return Err(Error::new(Kind::Internal, "an image that may take much was told that it takes too much"));
    };
    seat.settle(inventory.memory());
    found.into_iter().for_each(|problem| problems.push(problem));
    let fetch = started.elapsed().as_secs_f64();

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

/// Matches the packages and closes the report. Where there are more findings than an image may have beside others, the contents are given
/// back, to be matched in a larger place.
///
/// # Errors
/// Those of the advisory database.
pub(super) fn report(
    plan: &Plan,
    seat: &Seat,
    contents: Contents,
    matcher: Option<&Matcher>,
    options: &MatchOptions,
    context: &Context,
) -> Result<std::result::Result<Report, Contents>> {
    let most = if seat.is_large() { usize::MAX } else { SMALL_FINDINGS.max(seat.small() / 4) };
    let matches = match matcher.map(|matcher| matcher.find_within(most, &contents.inventory, options)).transpose()? {
        Some(None) => return Ok(Err(contents)),
        matches => matches.flatten(),
    };
    let Contents { image, reference, layers, inventory, mut problems, mut stats, started } = contents;
    let mut findings = Vec::new();
    match matches {
        Some(matches) => {
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
    Ok(Ok(Report {
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
    }))
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

/// Leaves out what a scan has no use for, and what is larger than any history.
fn spare(image: &mut Image, problems: &mut Problems) {
    image.config = Vec::new();
    let mut room = COMMANDS;
    for ((_, command), index) in image.layers.iter_mut().zip(0u32..) {
        match room.checked_sub(command.as_ref().map_or(0, String::len)) {
            Some(left) => room = left,
            None => {
                *command = None;
                let message = format!("the commands of the layers are longer than {} MiB", COMMANDS >> 20);
                let problem = Problem::new(ProblemKind::LimitExceeded, message);
                problems.push(Problem { layer: Some(index), ..problem });
            }
        }
    }
}

/// The layers of one image on their way.
struct Layered<'a> {
    layers: &'a Layers,
    seat: &'a Arc<Seat>,
    source: &'a dyn ImageSource,
    foreign_layers: bool,
    context: &'a Context,
    counts: &'a Counts,
}

impl Layered<'_> {
    /// The facts of all layers, read side by side; one by one where they take much.
    async fn facts(&self, image: &Image, problems: &mut Problems) -> Result<Vec<Arc<LayerFacts>>> {
        // Descriptors by value: a closure over borrowed ones would make the future of a scan not `Send`.
        let descriptors: Vec<Descriptor> = image.layers.iter().map(|(layer, _)| layer.clone()).collect();
        let mut facts: Vec<Arc<LayerFacts>> = Vec::with_capacity(descriptors.len());
        {
            let reading = stream::iter(descriptors)
                .map(|layer| async move { self.layer(&layer).await })
                .buffered(self.layers.lanes() + 1);
            let mut reading = pin!(reading);
            loop {
                match reading.try_next().await {
                    Ok(Some(layer)) => facts.push(layer.unwrap_or_default()),
                    Ok(None) => return Ok(facts),
                    Err(_) if self.seat.is_late() => break,
                    Err(error) => return Err(error),
                }
            }
        }
        let mut kept = facts.iter().map(|facts| facts.memory()).sum();
        self.seat.settle(kept);
        self.seat.enlarge().await?;
        for ((layer, _), index) in image.layers.iter().zip(0u32..).skip(facts.len()) {
            match self.layer(layer).await? {
                Some(layer) => facts.push(layer),
                None => {
                    problems.push(too_much(index));
                    facts.push(Arc::default());
                }
            }
            kept += facts.last().map_or(0, |facts| facts.memory());
            self.seat.settle(kept);
        }
        Ok(facts)
    }

    async fn layer(&self, layer: &Descriptor) -> Result<Option<Arc<LayerFacts>>> {
        if unread(LayerKind::of(layer), self.foreign_layers).is_some() {
            return Ok(Some(Arc::default()));
        }
        self.layers.facts(self.source, layer, self.seat, self.context, self.counts).await
    }

    /// What a layer has of files that the overlay asks for.
    async fn again(&self, layer: &Descriptor, asked: &[Again]) -> Result<Option<LayerFacts>> {
        let read = || self.layers.again(self.source, layer, asked, self.seat, self.context, self.counts);
        match read().await {
            Err(_) if self.seat.is_late() => {}
            found => return found,
        }
        self.seat.enlarge().await?;
        read().await
    }
}

fn too_much(layer: u32) -> Problem {
    let message =
        format!("the layers hold more entries and facts than {} MiB; those of this one do not count", FACTS >> 20);
    Problem { layer: Some(layer), ..Problem::new(ProblemKind::LimitExceeded, message) }
}

/// What the packages of an image may take while they are found.
struct Room {
    overlay: usize,
    /// None where only limits count.
    inventory: Option<usize>,
}

impl Room {
    fn of(seat: &Seat) -> Self {
        if seat.is_large() {
            return Self { overlay: Overlay::MAX, inventory: None };
        }
        // A seat that has room for anything is as good as the large place.
        let overlay = SMALL_OVERLAY.max(seat.small() / 4).min(Overlay::MAX);
        Self { overlay, inventory: Some(seat.small()) }
    }
}

/// What the overlay leaves of an image.
struct Seen {
    overlay: Overlay,
    resolved: Resolved,
    since: Arc<Since>,
}

/// How far it came with the packages of an image.
enum Packages {
    Found(Inventory, Vec<Problem>),
    /// Something has to be read again first.
    Again(Seen),
    /// They take more than they may beside other images.
    TooMany,
}

fn packages(plan: &Plan, facts: Vec<Arc<LayerFacts>>, room: &Room) -> Packages {
    let Some(mut overlay) = Overlay::within(room.overlay, &facts, &plan.table) else { return Packages::TooMany };
    let resolved = overlay.finish(&facts, plan.catalogers.len());
    let since = Arc::new(history::since(&facts, &plan.catalogers, &resolved));
    drop(facts);
    let seen = Seen { overlay, resolved, since };
    if seen.resolved.again.is_empty() { resolve(plan, &seen, room) } else { Packages::Again(seen) }
}

fn resolve(plan: &Plan, seen: &Seen, room: &Room) -> Packages {
    let Seen { overlay, resolved, since } = seen;
    let mut draft = Draft::new(plan.limits.packages);
    draft.set_since(since.clone());
    let mut problems = resolved.problems.clone();
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
        if room.inventory.is_some_and(|room| draft.memory() > room) {
            return Packages::TooMany;
        }
    }
    draft.problems().into_iter().for_each(|problem| problems.push(problem));
    Packages::Found(draft.finish(), problems)
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
