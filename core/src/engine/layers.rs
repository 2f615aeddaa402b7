//! The facts of layers: from the cache, from somebody who is reading the same layer, or from the source.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use super::fetch::Arriving;
use super::lanes::{Ask, Kit, Lane, Lanes};
use super::pipe::pipe;
use super::room::{Seat, Share};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::layer::again::Again;
use crate::layer::facts::{LayerFacts, SCHEMA};
use crate::layer::walk::{Space, Stopped};
use crate::model::digest::Digest;
use crate::model::event::Event;
use crate::model::image::Descriptor;
use crate::model::report::Stats;
use crate::source::ImageSource;
use crate::store::LayerCache;

/// What a scan counts while it reads layers.
#[derive(Debug, Default)]
pub(super) struct Counts {
    bytes_fetched: AtomicU64,
    fetched: AtomicU64,
    cached: AtomicU64,
    twice: AtomicU64,
}

impl Counts {
    /// What of the statistics of a scan it knows.
    pub(super) fn stats(&self) -> Stats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            bytes_fetched: load(&self.bytes_fetched),
            layers_fetched: load(&self.fetched),
            layers_from_cache: load(&self.cached),
            layers_read_twice: load(&self.twice),
            ..Stats::default()
        }
    }
}

/// One slot a layer that is being read: whoever holds it reads, the others wait and find the result.
type Slot = Arc<tokio::sync::Mutex<Weak<LayerFacts>>>;

/// Reads layers for all calls of one scanner.
pub(super) struct Layers {
    lanes: Lanes,
    cache: RwLock<Option<Arc<dyn LayerCache>>>,
    slots: Mutex<HashMap<Digest, Slot>>,
    suffix: String,
}

impl Layers {
    pub(super) fn new(kit: Arc<Kit>, lanes: usize, cache: Option<Arc<dyn LayerCache>>) -> Self {
        let suffix = key_suffix(&kit);
        Self { lanes: Lanes::new(kit, lanes), cache: RwLock::new(cache), slots: Mutex::default(), suffix }
    }

    /// Keeps what is read from now on in another cache, and looks for it there.
    pub(super) fn keep_in(&self, cache: Arc<dyn LayerCache>) {
        *self.cache.write().unwrap_or_else(PoisonError::into_inner) = Some(cache);
    }

    fn cache(&self) -> Option<Arc<dyn LayerCache>> {
        self.cache.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many layers are read side by side.
    pub(super) fn lanes(&self) -> usize {
        self.lanes.count()
    }

    /// Does in a lane what takes a processor and waits for nothing: as many at once as there are lanes, but for an image that takes much
    /// memory, which has them all.
    ///
    /// # Errors
    /// [`Kind::Internal`](crate::Kind::Internal) when `work` panics.
    pub(super) async fn compute<T: Send + 'static>(
        &self,
        seat: &Seat,
        work: impl FnOnce(&Kit) -> T + Send + 'static,
    ) -> Result<T> {
        self.lanes.compute(seat.is_large(), work).await
    }

    /// All lanes, so that nothing else goes on.
    ///
    /// # Errors
    /// [`Kind::Canceled`](crate::Kind::Canceled).
    pub(super) async fn alone(&self) -> Result<Lane> {
        self.lanes.reserve(self.lanes.count()).await
    }

    /// The facts of one layer; none where together with those before it they are more than an image may have.
    ///
    /// # Errors
    /// What kept the blob from arriving whole and right; [`Stopped::NoRoomNow`].
    pub(super) async fn facts(
        &self,
        source: &dyn ImageSource,
        layer: &Descriptor,
        seat: &Arc<Seat>,
        context: &Context,
        counts: &Counts,
    ) -> Result<Option<Arc<LayerFacts>>, Stopped> {
        let share = Arc::new(Share::new(seat));
        let slot = self.slot(&layer.digest);
        // Two scans that need one layer at the same moment read it once. A reader that is canceled leaves the slot empty,
        // and the next one reads.
        let mut held = slot.lock().await;
        let known = match held.upgrade() {
            Some(facts) => Some(facts),
            None => self.stored(&layer.digest).await.map(Arc::new),
        };
        let facts = match known {
            // Stored facts are for those who may read the blob: a manifest can name any digest.
            Some(facts) if source.has_blob(layer, context).await? => {
                match share.of(facts.memory()) {
                    Space::Granted => {}
                    Space::Full => return Ok(None),
                    Space::Later => return Err(Stopped::NoRoomNow),
                }
                counts.cached.fetch_add(1, Ordering::Relaxed);
                context.emit(Event::LayerDone { digest: layer.digest.clone(), cached: true });
                facts
            }
            _ => {
                let Some(facts) = self.read(source, layer, None, &share, context, counts).await? else {
                    return Ok(None);
                };
                self.store(&layer.digest, &facts).await;
                counts.fetched.fetch_add(1, Ordering::Relaxed);
                context.emit(Event::LayerDone { digest: layer.digest.clone(), cached: false });
                Arc::new(facts)
            }
        };
        *held = Arc::downgrade(&facts);
        drop(held);
        self.forget(slot);
        Ok(Some(facts))
    }

    /// Reads a layer a second time, for these files alone, since the overlay asks for them. Nothing of it is cached. None where that is
    /// more than an image may have.
    ///
    /// # Errors
    /// What kept the blob from arriving whole and right; [`Stopped::NoRoomNow`].
    pub(super) async fn again(
        &self,
        source: &dyn ImageSource,
        layer: &Descriptor,
        asked: &[Again],
        seat: &Arc<Seat>,
        context: &Context,
        counts: &Counts,
    ) -> Result<Option<LayerFacts>, Stopped> {
        counts.twice.fetch_add(1, Ordering::Relaxed);
        self.read(source, layer, Some(asked), &Arc::new(Share::new(seat)), context, counts).await
    }

    /// Reads a layer, and once more what its catalogers could not understand in one pass.
    async fn read(
        &self,
        source: &dyn ImageSource,
        layer: &Descriptor,
        asked: Option<&[Again]>,
        share: &Arc<Share>,
        context: &Context,
        counts: &Counts,
    ) -> Result<Option<LayerFacts>, Stopped> {
        let first = share.clone();
        let space: Ask = Box::new(move |all| first.of(all));
        let facts = self.pass(source, layer, asked.map(<[Again]>::to_vec), space, context, counts).await?;
        let Some(mut facts) = facts else { return Ok(None) };
        let again = std::mem::take(&mut facts.again);
        if !again.is_empty() {
            counts.twice.fetch_add(1, Ordering::Relaxed);
            let (before, second) = (facts.memory(), share.clone());
            let space: Ask = Box::new(move |all| second.of(before + all));
            let found = self.pass(source, layer, Some(again.clone()), space, context, counts).await?;
            let Some(found) = found else { return Ok(None) };
            facts.complete(asked, &again, found);
        }
        Ok(Some(facts))
    }

    async fn pass(
        &self,
        source: &dyn ImageSource,
        layer: &Descriptor,
        again: Option<Vec<Again>>,
        space: Ask,
        context: &Context,
        counts: &Counts,
    ) -> Result<Option<LayerFacts>, Stopped> {
        let mut lane = self.lanes.reserve(1).await?;
        let mut arriving = Arriving::open(source, layer, context).await?;
        if arriving.is_wide() {
            // Given back first, the lane and the request: two that hold one lane each and wait for another would wait for ever,
            // and so would those that hold the requests that a host allows, and wait for the lanes of those who wait for one.
            drop((arriving, lane));
            lane = self.lanes.reserve(2).await?;
            arriving = Arriving::open(source, layer, context).await?;
        }
        let (sender, blob) = pipe();
        let outcome = self.lanes.read(lane, blob, again, space);
        let fetching = arriving.send(context, &counts.bytes_fetched, sender);
        let (outcome, ()) = futures_util::future::join(outcome, fetching).await;
        let outcome = outcome.unwrap_or_else(|_| Err(Error::new(Kind::Internal, "a lane's thread is gone").into()));
        let verified = outcome.and_then(|(facts, digest)| Ok(facts.verify(&layer.digest, &digest)?));
        verified.map_err(|stopped| stopped.map(|error| error.with("image", source.reference())))
    }

    async fn stored(&self, digest: &Digest) -> Option<LayerFacts> {
        let cache = self.cache()?;
        let bytes = cache
            .get(&self.key(digest))
            .await
            .and_then(|bytes| bytes.map(|bytes| LayerFacts::from_bytes(&bytes)).transpose());
        bytes.inspect_err(|error| tracing::warn!(%error, %digest, "a stored layer result is not used")).ok()?
    }

    async fn store(&self, digest: &Digest, facts: &LayerFacts) {
        let Some(cache) = self.cache() else { return };
        let stored = match facts.to_bytes() {
            Ok(bytes) => cache.put(&self.key(digest), &bytes).await,
            Err(error) => Err(error),
        };
        if let Err(error) = stored {
            tracing::warn!(%error, %digest, "a layer result is not stored");
        }
    }

    fn key(&self, digest: &Digest) -> String {
        format!("{digest} {}", self.suffix)
    }

    fn slot(&self, digest: &Digest) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry(digest.clone()).or_default().clone()
    }

    /// Drops the slots that nobody waits for and whose results nobody holds any more.
    fn forget(&self, slot: Slot) {
        drop(slot);
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots
            .retain(|_, slot| Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|held| held.strong_count() > 0));
    }
}

/// What besides the blob decides its facts: the shape, the limits, the catalogers and their versions, in their order.
fn key_suffix(kit: &Kit) -> String {
    let limits = &kit.limits;
    let mut suffix = format!(
        "facts {SCHEMA} limits {} {} {} {} {} {}",
        limits.entries, limits.path, limits.file, limits.layer, limits.expansion, limits.nesting
    );
    for cataloger in &kit.catalogers {
        suffix.push_str(&format!(" {}:{}", cataloger.id(), cataloger.version()));
    }
    suffix
}
