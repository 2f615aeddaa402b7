//! One image: the facts of its layers, its packages, and what cannot be read of it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::layers::{Counts, Layers};
use super::packages::{self, Found, ImageFacts, Seen};
use super::report::Contents;
use super::room::{FACTS, Seat};
use super::scanner::Scope;
use crate::context::Context;
use crate::error::Result;
use crate::layer::LayerFacts;
use crate::layer::again::Again;
use crate::layer::walk::Stopped;
use crate::model::event::Event;
use crate::model::image::{Descriptor, Image};
use crate::model::problem::{Problem, ProblemKind, Problems};
use crate::source::{ImageSource, LayerKind, Resolved};

/// The most bytes of the commands that made the layers, as the history of an image tells them.
const COMMANDS: usize = 1 << 20;

/// Reads the layers of an image and finds its packages.
///
/// # Errors
/// What kept a layer from arriving whole and right; what is wrong inside of one is a problem.
pub(super) async fn read(
    layers: &Layers,
    seat: &Arc<Seat>,
    source: &dyn ImageSource,
    resolved: Resolved,
    scope: &Scope,
    context: &Context,
) -> Result<Contents> {
    let started = Instant::now();
    seat.begin();
    let Resolved { mut image, notes } = resolved;
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
    let mut reading = Reading { layers, seat, source, scope, context, image: &image, counts, problems };
    let facts = reading.facts().await?;
    let (inventory, found) = match layers.fit(seat, facts, packages::find).await? {
        Found::Packages(packages) => packages,
        Found::Again(seen) => {
            let seen = reading.second_looks(seen).await?;
            layers.fit(seat, seen, packages::resolve).await?
        }
    };
    seat.settle(inventory.memory());
    let Reading { counts, mut problems, .. } = reading;
    found.into_iter().for_each(|problem| problems.push(problem));
    let mut stats = counts.stats();
    stats.seconds.fetch = started.elapsed().as_secs_f64();
    Ok(Contents { image, reference, inventory, problems, stats, started })
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

/// An image on its way.
struct Reading<'a> {
    layers: &'a Layers,
    seat: &'a Arc<Seat>,
    source: &'a dyn ImageSource,
    scope: &'a Scope,
    context: &'a Context,
    image: &'a Image,
    counts: Counts,
    problems: Problems,
}

impl Reading<'_> {
    /// The facts of all layers, read side by side; one by one where they take much.
    async fn facts(&mut self) -> Result<ImageFacts> {
        let mut facts = self.side_by_side().await?;
        if facts.len() < self.image.layers.len() {
            self.one_by_one(&mut facts).await?;
        }
        for ((layer, _), index) in self.image.layers.iter().zip(0u32..) {
            if let Some(message) = unread(LayerKind::of(layer), self.scope.foreign_layers) {
                self.problems.push(Problem { layer: Some(index), ..Problem::new(ProblemKind::Unsupported, message) });
            }
        }
        for (facts, index) in facts.iter().zip(0u32..) {
            self.tell(index, facts.problems.iter().cloned());
        }
        Ok(facts)
    }

    /// The facts of the layers from the base on, up to the first that has to be put down.
    async fn side_by_side(&self) -> Result<ImageFacts> {
        // Descriptors by value: a closure over borrowed ones would make the future of a scan not `Send`.
        let descriptors: Vec<Descriptor> = self.image.layers.iter().map(|(layer, _)| layer.clone()).collect();
        let mut facts = Vec::with_capacity(descriptors.len());
        let reading = stream::iter(descriptors)
            .map(|layer| async move { self.layer(&layer).await })
            .buffered(self.layers.lanes() + 1);
        let mut reading = pin!(reading);
        loop {
            match reading.try_next().await {
                Ok(Some(layer)) => facts.push(layer.unwrap_or_default()),
                Ok(None) => return Ok(facts),
                Err(Stopped::NoRoomNow) => return Ok(facts),
                Err(Stopped::Failed(error)) => return Err(error),
            }
        }
    }

    /// The facts of the other layers, each when those before it are known, once the image may take much.
    async fn one_by_one(&mut self, facts: &mut ImageFacts) -> Result<()> {
        let mut kept = facts.iter().map(|facts| facts.memory()).sum();
        self.seat.settle(kept);
        self.seat.enlarge().await?;
        for ((layer, _), index) in self.image.layers.iter().zip(0u32..).skip(facts.len()) {
            let layer = self.layer(layer).await?.unwrap_or_else(|| {
                self.problems.push(too_much(index));
                Arc::default()
            });
            kept += layer.memory();
            self.seat.settle(kept);
            facts.push(layer);
        }
        Ok(())
    }

    /// The facts of a layer; none where the image may not have so many.
    async fn layer(&self, layer: &Descriptor) -> Result<Option<Arc<LayerFacts>>, Stopped> {
        if unread(LayerKind::of(layer), self.scope.foreign_layers).is_some() {
            return Ok(Some(Arc::default()));
        }
        self.layers.facts(self.source, layer, self.seat, self.context, &self.counts).await
    }

    /// Adds what layers have of the files that the overlay asks for.
    async fn second_looks(&mut self, mut seen: Seen) -> Result<Seen> {
        for (layer, asked) in by_layer(std::mem::take(&mut seen.overlay.again)) {
            let Some((descriptor, _)) = self.image.layers.get(layer as usize) else { continue };
            match self.again(descriptor, &asked).await? {
                Some(found) => {
                    self.tell(layer, found.problems.iter().cloned());
                    seen.overlay.add(layer, &asked, found);
                }
                None => self.problems.push(too_much(layer)),
            }
        }
        Ok(seen)
    }

    /// What a layer has of these files; none where the image may not have so much.
    async fn again(&self, layer: &Descriptor, asked: &[Again]) -> Result<Option<LayerFacts>> {
        let read = || self.layers.again(self.source, layer, asked, self.seat, self.context, &self.counts);
        match read().await {
            Err(Stopped::NoRoomNow) => {}
            found => return Ok(found?),
        }
        self.seat.enlarge().await?;
        Ok(read().await?)
    }

    fn tell(&mut self, layer: u32, problems: impl Iterator<Item = Problem>) {
        problems.for_each(|problem| self.problems.push(Problem { layer: Some(layer), ..problem }));
    }
}

fn too_much(layer: u32) -> Problem {
    let message =
        format!("the layers hold more entries and facts than {} MiB; those of this one do not count", FACTS >> 20);
    Problem { layer: Some(layer), ..Problem::new(ProblemKind::LimitExceeded, message) }
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
