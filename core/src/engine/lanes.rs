//! Lanes: the threads that read layers, and do what else takes a processor. Each is a pair, inflate | walk, with buffers that it
//! keeps for life (`ring.rs`).
//!
//! A lane is reserved whole before its work starts, so that more work waits instead of taking more memory. The threads
//! start with the first work and end with the last handle.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::pipe::BlobReader;
use super::ring::{HowFar, Inflater, spawn};
use crate::cancel::canceled;
use crate::error::{Error, Kind, Result};
use crate::layer::again::Again;
use crate::layer::cataloger::guarded;
use crate::layer::facts::{LayerFacts, Unverified};
use crate::layer::walk::{Reading, Space, Stopped, Walked, walk};
use crate::layer::{Cataloger, InterestTable};
use crate::model::digest::Digest;
use crate::model::limits::Limits;
use crate::model::problem::{Problem, ProblemKind};

/// The bytes of the buffer of whole files that a lane keeps.
const BUFFER: usize = 1 << 20;

/// What every layer of a scan is read with.
pub(super) struct Kit {
    pub(super) catalogers: Vec<Arc<dyn Cataloger>>,
    pub(super) table: InterestTable,
    pub(super) limits: Limits,
}

impl Kit {
    /// The version of each cataloger by its id.
    pub(super) fn versions(&self) -> BTreeMap<String, u32> {
        self.catalogers.iter().map(|cataloger| (cataloger.id().to_owned(), cataloger.version())).collect()
    }
}

/// The lanes of one scanner.
pub(super) struct Lanes {
    kit: Arc<Kit>,
    count: usize,
    free: Arc<Semaphore>,
    queue: OnceLock<mpsc::Sender<Errand>>,
    /// Where work is done that has all lanes: always on the same thread, so that it takes the memory again that the last one gave back,
    /// which stays with the thread.
    large: OnceLock<mpsc::Sender<Work>>,
}

/// A lane that is reserved.
pub(super) struct Lane {
    _permit: OwnedSemaphorePermit,
}

/// What a lane says of a layer: its facts, none where an image may not have so many, and the digest of the whole blob.
pub(super) type ReadLayer = Result<(Unverified<Option<LayerFacts>>, Digest), Stopped>;

/// Says whether a layer may take so many bytes.
pub(super) type Ask = Box<dyn Fn(usize) -> Space + Send>;

/// What a lane is sent.
enum Errand {
    Layer(Layer),
    Work(Work),
}

/// A layer to read.
struct Layer {
    blob: BlobReader,
    again: Option<Vec<Again>>,
    space: Ask,
    answer: oneshot::Sender<ReadLayer>,
    lane: Lane,
}

/// Work that waits for nothing, and sends its answer itself.
struct Work {
    run: Box<dyn FnOnce(&Kit) + Send>,
    _lane: Lane,
}

impl Lanes {
    /// `count` lanes that do not run yet.
    pub(super) fn new(kit: Arc<Kit>, count: usize) -> Self {
        Self { kit, count, free: Arc::new(Semaphore::new(count)), queue: OnceLock::new(), large: OnceLock::new() }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Waits for a lane, or for `width` of them at once where a layer needs the memory of several; a scanner that has fewer
    /// gives all it has.
    pub(super) async fn reserve(&self, width: usize) -> Result<Lane> {
        let lanes = u32::try_from(width.min(self.count)).unwrap_or(u32::MAX);
        let permit = self.free.clone().acquire_many_owned(lanes).await.map_err(|_| canceled())?;
        Ok(Lane { _permit: permit })
    }

    /// Reads `blob` in a reserved lane. The lane is free again when the layer is read or its sender is dropped, whether
    /// anybody still waits for the answer or not.
    pub(super) fn read(
        &self,
        lane: Lane,
        blob: BlobReader,
        again: Option<Vec<Again>>,
        space: Ask,
    ) -> oneshot::Receiver<ReadLayer> {
        let (answer, outcome) = oneshot::channel();
        // Without threads the answer's sender is dropped, and the caller sees that.
        let _ = self.queue().send(Errand::Layer(Layer { blob, again, space, answer, lane }));
        outcome
    }

    /// Does in a lane what takes a processor and waits for nothing, beside the other lanes and the caller's runtime; or, where it takes
    /// much memory, while nothing else is done.
    ///
    /// # Errors
    /// [`Kind::Internal`] when `work` panics.
    pub(super) async fn compute<T: Send + 'static>(
        &self,
        is_large: bool,
        work: impl FnOnce(&Kit) -> T + Send + 'static,
    ) -> Result<T> {
        let lane = self.reserve(if is_large { self.count } else { 1 }).await?;
        let (answer, outcome) = oneshot::channel();
        let run = move |kit: &Kit| {
            // Nobody waits for it any more.
            if answer.is_closed() {
                return;
            }
            let _ = answer.send(work(kit));
        };
        let work = Work { run: Box::new(run), _lane: lane };
        // Without threads the answer's sender is dropped here too.
        if is_large {
            let _ = self.large.get_or_init(|| start_large(&self.kit)).send(work);
        } else {
            let _ = self.queue().send(Errand::Work(work));
        }
        outcome.await.map_err(|_| Error::new(Kind::Internal, "the work of a lane ended without an answer"))
    }

    fn queue(&self) -> &mpsc::Sender<Errand> {
        self.queue.get_or_init(|| start(&self.kit, self.count))
    }
}

fn start_large(kit: &Arc<Kit>) -> mpsc::Sender<Work> {
    let (sender, works) = mpsc::channel::<Work>();
    let kit = kit.clone();
    spawn("tidewaiter-large".to_owned(), move || works.into_iter().for_each(|work| work.run(&kit)));
    sender
}

fn start(kit: &Arc<Kit>, count: usize) -> mpsc::Sender<Errand> {
    let (sender, receiver) = mpsc::channel::<Errand>();
    let receiver = Arc::new(Mutex::new(receiver));
    for index in 0..count {
        let (kit, queue) = (kit.clone(), receiver.clone());
        let walker = move || {
            let Some(mut inflater) = Inflater::start(index, kit.limits.clone()) else { return };
            let mut buffer = Vec::new();
            loop {
                let errand = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                match errand {
                    Ok(Errand::Layer(layer)) => layer.read(&kit, &mut inflater, &mut buffer),
                    Ok(Errand::Work(work)) => work.run(&kit),
                    Err(mpsc::RecvError) => return,
                }
            }
        };
        spawn(format!("tidewaiter-walk-{index}"), walker);
    }
    sender
}

impl Work {
    fn run(self, kit: &Kit) {
        // What panics drops the sender of its answer; the lane must live on.
        let _ = catch_unwind(AssertUnwindSafe(|| (self.run)(kit)));
    }
}

impl Layer {
    fn read(self, kit: &Kit, inflater: &mut Inflater, buffer: &mut Vec<u8>) {
        let Self { blob, again, space, answer, lane } = self;
        let outcome = read(blob, kit, again.as_deref(), &space, inflater, buffer);
        buffer.shrink_to(BUFFER);
        drop(lane);
        let _ = answer.send(outcome);
    }
}

/// The facts of the layer that `blob` is.
fn read(
    blob: BlobReader,
    kit: &Kit,
    again: Option<&[Again]>,
    space: &Ask,
    inflater: &mut Inflater,
    buffer: &mut Vec<u8>,
) -> ReadLayer {
    let reading = Reading { catalogers: &kit.catalogers, table: &kit.table, limits: &kit.limits, again, space };
    let (walked, over) = inflater.read(blob, |content| {
        let walked = guarded(|| walk(content, &reading, buffer));
        // Bytes behind the last file count like any other: the digest is that of the whole blob.
        let how_far = match &walked {
            Ok(Walked::Whole(_)) => HowFar::On,
            Ok(Walked::Damaged(_) | Walked::TooMuch) => HowFar::ToTheEnd,
            Err(_) => HowFar::NoFurther,
        };
        (walked, how_far)
    })?;
    let walked = walked?;
    let digest = over.digest?;
    let facts = match walked {
        Walked::Whole(mut facts) => {
            let late = over.end.err().map(|error| Problem::new(ProblemKind::Corrupt, error.to_string()));
            facts.problems.extend(late);
            if over.has_trailing_bytes {
                let message = "bytes follow the end of the compressed layer";
                facts.problems.push(Problem::new(ProblemKind::Corrupt, message));
            }
            Some(facts)
        }
        Walked::Damaged(facts) => Some(facts),
        Walked::TooMuch => None,
    };
    Ok((Unverified::new(facts), digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_lane() -> Lanes {
        let table = InterestTable::new(&[]).unwrap();
        Lanes::new(Arc::new(Kit { catalogers: Vec::new(), table, limits: Limits::default() }), 1)
    }

    #[tokio::test]
    async fn a_lane_lives_on_when_its_work_panics() {
        let lanes = one_lane();
        let error = lanes.compute(false, |_| panic!("on purpose")).await.map(|(): ()| ()).unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
        assert_eq!(lanes.compute(false, |kit| kit.catalogers.len()).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn work_waits_for_a_lane() {
        let lanes = one_lane();
        let held = lanes.reserve(1).await.unwrap();
        let mut waiting = Box::pin(lanes.compute(false, |_| ()));
        assert!(futures_util::FutureExt::now_or_never(&mut waiting).is_none());
        assert!(lanes.queue.get().is_none(), "no thread has started");
        drop(held);
        waiting.await.unwrap();
    }
}
