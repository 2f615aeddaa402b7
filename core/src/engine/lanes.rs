//! Lanes: the threads that read layers, and do what else takes a processor. Each is a pair, inflate | walk, with buffers that it
//! keeps for life.
//!
//! A lane is reserved whole before its work starts, so that more work waits instead of taking more memory. The threads
//! start with the first work and end with the last handle.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::pipe::BlobReader;
use crate::cancel::canceled;
use crate::error::{Error, Kind, Result};
use crate::layer::buffered;
use crate::layer::decompress::Decoder;
use crate::layer::facts::{LayerFacts, Unverified};
use crate::layer::walk::{Again, Reading, Space, Stopped, Walked, walk};
use crate::layer::{Cataloger, InterestTable};
use crate::model::digest::Digest;
use crate::model::limits::Limits;
use crate::model::problem::{Problem, ProblemKind};

/// The bytes of one buffer between inflating and walking, and how many there are.
const BLOCK: usize = 256 << 10;
const BLOCKS: usize = 4;
/// The bytes of the buffer of whole files that a lane keeps.
const BUFFER: usize = 1 << 20;

/// How far a layer is read: on; to the end of the blob, since its digest counts, though not what is in it; no further.
const ON: u8 = 0;
const TO_THE_END: u8 = 1;
const NO_FURTHER: u8 = 2;

/// What every layer of a scanner is read with.
pub(super) struct Plan {
    pub(super) catalogers: Vec<Arc<dyn Cataloger>>,
    pub(super) table: InterestTable,
    pub(super) limits: Limits,
}

impl Plan {
    /// The version of each cataloger by its id.
    pub(super) fn versions(&self) -> BTreeMap<String, u32> {
        self.catalogers.iter().map(|cataloger| (cataloger.id().to_owned(), cataloger.version())).collect()
    }
}

/// The lanes of one scanner.
pub(super) struct Lanes {
    plan: Arc<Plan>,
    count: usize,
    free: Arc<Semaphore>,
    jobs: OnceLock<Mutex<mpsc::Sender<Job>>>,
    /// Where work is done that has all lanes: always on the same thread, so that it takes the memory again that the last one gave back,
    /// which stays with the thread.
    large: OnceLock<Mutex<mpsc::Sender<Job>>>,
}

/// A lane that is reserved.
pub(super) struct Lane {
    _permit: OwnedSemaphorePermit,
}

/// What a lane says of a layer: its facts, none where an image may not have so many, and the digest of the whole blob.
pub(super) type Outcome = Result<(Unverified<Option<LayerFacts>>, Digest), Stopped>;

/// Says whether a layer may take so many bytes.
pub(super) type Ask = Box<dyn Fn(usize) -> Space + Send>;

struct Job {
    task: Task,
    lane: Lane,
}

enum Task {
    Layer {
        blob: BlobReader,
        again: Option<Vec<Again>>,
        space: Ask,
        answer: oneshot::Sender<Outcome>,
    },
    /// Work that waits for nothing, and sends its answer itself.
    Work(Box<dyn FnOnce(&Plan) + Send>),
}

impl Lanes {
    /// `count` lanes that do not run yet.
    pub(super) fn new(plan: Arc<Plan>, count: usize) -> Self {
        Self { plan, count, free: Arc::new(Semaphore::new(count)), jobs: OnceLock::new(), large: OnceLock::new() }
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
    ) -> oneshot::Receiver<Outcome> {
        let (answer, outcome) = oneshot::channel();
        self.send(Job { task: Task::Layer { blob, again, space, answer }, lane }, false);
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
        work: impl FnOnce(&Plan) -> T + Send + 'static,
    ) -> Result<T> {
        let lane = self.reserve(if is_large { self.count } else { 1 }).await?;
        let (answer, outcome) = oneshot::channel();
        let work = move |plan: &Plan| {
            // Nobody waits for it any more.
            if answer.is_closed() {
                return;
            }
            let _ = answer.send(work(plan));
        };
        self.send(Job { task: Task::Work(Box::new(work)), lane }, is_large);
        outcome.await.map_err(|_| Error::new(Kind::Internal, "the work of a lane ended without an answer"))
    }

    fn send(&self, job: Job, is_large: bool) {
        let jobs = match is_large {
            true => self.large.get_or_init(|| Mutex::new(start_large(&self.plan))),
            false => self.jobs.get_or_init(|| Mutex::new(start(&self.plan, self.count))),
        };
        // Without threads the answer's sender is dropped, and the caller sees that.
        let _ = jobs.lock().unwrap_or_else(PoisonError::into_inner).send(job);
    }
}

fn start_large(plan: &Arc<Plan>) -> mpsc::Sender<Job> {
    let (sender, jobs) = mpsc::channel::<Job>();
    let plan = plan.clone();
    let worker = move || {
        for Job { task, lane: _lane } in jobs {
            if let Task::Work(work) = task {
                run(work, &plan);
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().name("tidewaiter-large".to_owned()).spawn(worker) {
        tracing::error!(%error, "a lane's thread cannot be started");
    }
    sender
}

fn run(work: Box<dyn FnOnce(&Plan) + Send>, plan: &Plan) {
    // What panics drops the sender of its answer; the lane must live on.
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(plan)));
}

fn start(plan: &Arc<Plan>, count: usize) -> mpsc::Sender<Job> {
    let (sender, receiver) = mpsc::channel::<Job>();
    let receiver = Arc::new(Mutex::new(receiver));
    for index in 0..count {
        let (plan, jobs) = (plan.clone(), receiver.clone());
        let walker = move || {
            let Some(mut inflater) = Inflater::start(index, plan.limits.clone()) else { return };
            let mut buffer = Vec::new();
            loop {
                let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(Job { task, lane }) = job else { return };
                match task {
                    Task::Layer { blob, again, space, answer } => {
                        let outcome = inflater.layer(&plan, blob, again.as_deref(), &space, &mut buffer);
                        buffer.shrink_to(BUFFER);
                        drop(lane);
                        let _ = answer.send(outcome);
                    }
                    Task::Work(work) => run(work, &plan),
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name(format!("tidewaiter-walk-{index}")).spawn(walker) {
            tracing::error!(%error, "a lane's thread cannot be started");
        }
    }
    sender
}

/// The other half of a lane: it inflates and does nothing else.
struct Inflater {
    blobs: mpsc::SyncSender<(BlobReader, Arc<AtomicU8>)>,
    full: mpsc::Receiver<Block>,
    empty: mpsc::Sender<Vec<u8>>,
}

enum Block {
    Bytes(Vec<u8>),
    /// The content is over, or cannot be understood from here on.
    End(Result<()>),
    /// The blob is over: what it was, and whether bytes followed the last member.
    Done(Result<Digest>, bool),
}

impl Inflater {
    fn start(index: usize, limits: Limits) -> Option<Self> {
        let (blobs, blobs_in) = mpsc::sync_channel::<(BlobReader, Arc<AtomicU8>)>(0);
        let (full_out, full) = mpsc::channel();
        let (empty, empty_in) = mpsc::channel();
        for _ in 0..BLOCKS {
            let _ = empty.send(vec![0; BLOCK]);
        }
        let run = move || {
            for (mut blob, stop) in blobs_in {
                let (trailing, end) = inflate(&mut blob, &stop, &limits, &empty_in, &full_out);
                let _ = full_out.send(Block::End(end));
                let is_over = stop.load(Ordering::Relaxed) == NO_FURTHER;
                let _ = full_out.send(Block::Done(if is_over { Err(canceled()) } else { blob.drain() }, trailing));
            }
        };
        let thread = std::thread::Builder::new().name(format!("tidewaiter-inflate-{index}")).spawn(run);
        thread.inspect_err(|error| tracing::error!(%error, "a lane's thread cannot be started")).ok()?;
        Some(Self { blobs, full, empty })
    }

    fn layer(
        &mut self,
        plan: &Plan,
        blob: BlobReader,
        again: Option<&[Again]>,
        space: &Ask,
        buffer: &mut Vec<u8>,
    ) -> Outcome {
        let stop = Arc::new(AtomicU8::new(ON));
        let gone = || Error::new(Kind::Internal, "a lane's thread is gone");
        self.blobs.send((blob, stop.clone())).map_err(|_| gone())?;
        let mut ring = Ring { inflater: self, block: Vec::new(), at: 0, end: None };
        let reading = Reading { catalogers: &plan.catalogers, table: &plan.table, limits: &plan.limits, again, space };
        // A cataloger of somebody else may panic; the lane must live on.
        let walked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| walk(&mut ring, &reading, buffer)))
            .unwrap_or_else(|_| Err(Error::new(Kind::Internal, "a cataloger panicked").into()));
        ring.finish();
        let how_far = match &walked {
            Ok(Walked::Whole(_)) => ON,
            Ok(Walked::Damaged(_) | Walked::TooMuch) => TO_THE_END,
            Err(_) => NO_FURTHER,
        };
        stop.store(how_far, Ordering::Relaxed);
        // Bytes behind the last file count like any other: the digest is that of the whole blob.
        let mut late = None;
        let (digest, trailing) = loop {
            match self.full.recv().map_err(|_| gone())? {
                Block::Bytes(block) => drop(self.empty.send(block)),
                Block::End(end) => late = end.err(),
                Block::Done(digest, trailing) => break (digest, trailing),
            }
        };
        let walked = walked?;
        let digest = digest?;
        let facts = match walked {
            Walked::Whole(mut facts) => {
                facts.problems.extend(late.map(|error| Problem::new(ProblemKind::Corrupt, error.to_string())));
                if trailing {
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
}

/// Inflates until the end, an error, or `stop`; whether bytes followed the end, and what ended it.
fn inflate(
    blob: &mut BlobReader,
    stop: &AtomicU8,
    limits: &Limits,
    empty: &mpsc::Receiver<Vec<u8>>,
    full: &mpsc::Sender<Block>,
) -> (bool, Result<()>) {
    let mut decoder = match Decoder::new(blob, limits) {
        Ok(decoder) => decoder,
        Err(error) => return (false, Err(error)),
    };
    loop {
        let Ok(mut block) = empty.recv() else { return (false, Err(canceled())) };
        block.resize(BLOCK, 0);
        let mut filled = 0;
        let read = loop {
            match block.get_mut(filled..).filter(|rest| !rest.is_empty()).map(|rest| decoder.read(rest)) {
                Some(Ok(read)) if read > 0 => filled += read,
                Some(Err(error)) => break Err(Error::from(error)),
                Some(Ok(_)) | None => break Ok(()),
            }
        };
        let is_last = filled < BLOCK;
        block.truncate(filled);
        if full.send(Block::Bytes(block)).is_err() {
            return (false, Err(canceled()));
        }
        if is_last || read.is_err() || stop.load(Ordering::Relaxed) != ON {
            return (decoder.has_trailing_bytes(), read);
        }
    }
}

/// The blocks of one layer as a stream.
struct Ring<'a> {
    inflater: &'a mut Inflater,
    block: Vec<u8>,
    at: usize,
    end: Option<Result<()>>,
}

impl Ring<'_> {
    /// Gives the last block back.
    fn finish(self) {
        if self.block.capacity() > 0 {
            let _ = self.inflater.empty.send(self.block);
        }
    }
}

impl BufRead for Ring<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at >= self.block.len() && self.end.is_none() {
            if self.block.capacity() > 0 {
                let _ = self.inflater.empty.send(std::mem::take(&mut self.block));
            }
            match self.inflater.full.recv() {
                Ok(Block::Bytes(block)) => (self.block, self.at) = (block, 0),
                Ok(Block::End(end)) => self.end = Some(end),
                Ok(Block::Done(..)) | Err(mpsc::RecvError) => self.end = Some(Err(canceled())),
            }
        }
        match self.block.get(self.at..) {
            Some(rest) if !rest.is_empty() => Ok(rest),
            _ => match &self.end {
                Some(Err(error)) => Err(error.clone().into()),
                _ => Ok(&[]),
            },
        }
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}

impl Read for Ring<'_> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        buffered::read(self, output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_lane() -> Lanes {
        let table = InterestTable::new(&[]).unwrap();
        Lanes::new(Arc::new(Plan { catalogers: Vec::new(), table, limits: Limits::default() }), 1)
    }

    #[tokio::test]
    async fn a_lane_lives_on_when_its_work_panics() {
        let lanes = one_lane();
        let error = lanes.compute(false, |_| panic!("on purpose")).await.map(|(): ()| ()).unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
        assert_eq!(lanes.compute(false, |plan| plan.catalogers.len()).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn work_waits_for_a_lane() {
        let lanes = one_lane();
        let held = lanes.reserve(1).await.unwrap();
        let mut waiting = Box::pin(lanes.compute(false, |_| ()));
        assert!(futures_util::FutureExt::now_or_never(&mut waiting).is_none());
        assert!(lanes.jobs.get().is_none(), "no thread has started");
        drop(held);
        waiting.await.unwrap();
    }
}
