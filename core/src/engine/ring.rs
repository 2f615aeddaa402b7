//! The inflating half of a lane, and the ring of blocks between it and the half that walks.
//!
//! For each blob the inflater sends `Bytes* End Done`: the content in blocks, how that ended, what the blob was. Blocks go back empty, so
//! there are never more than [`BLOCKS`]. The walker stops reading when it has seen enough and says [how far](HowFar) the rest matters;
//! then it throws away what still comes, up to `Done`, so that the next blob finds the ring as this one did.

use std::io::{self, BufRead, Read};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use super::pipe::BlobReader;
use crate::cancel::canceled;
use crate::error::{Error, Kind, Result};
use crate::layer::buffered;
use crate::layer::decompress::Decoder;
use crate::model::digest::Digest;
use crate::model::limits::Limits;

/// The bytes of one buffer between inflating and walking, and how many there are.
const BLOCK: usize = 256 << 10;
const BLOCKS: usize = 4;

/// How far the rest of a blob matters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HowFar {
    /// All of it, and what is in it.
    On,
    /// To the end of the blob, since its digest counts, though not what is in it.
    ToTheEnd,
    /// No further: the digest does not count either.
    NoFurther,
}

/// What the walker says to the inflater while that works.
struct Told(Mutex<HowFar>);

impl Told {
    fn tell(&self, how_far: HowFar) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = how_far;
    }

    fn how_far(&self) -> HowFar {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A blob that is over.
pub(super) struct Over {
    /// What it was, or why that is not known.
    pub(super) digest: Result<Digest>,
    /// What ended the content behind what was read of it.
    pub(super) end: Result<()>,
    /// Whether bytes followed the end of the compressed content.
    pub(super) has_trailing_bytes: bool,
}

enum Block {
    Bytes(Vec<u8>),
    /// The content is over, or cannot be understood from here on.
    End(Result<()>),
    /// The blob is over: what it was, and whether bytes followed the last member.
    Done(Result<Digest>, bool),
}

/// The half of a lane that inflates and does nothing else, as the other half sees it.
pub(super) struct Inflater {
    blobs: mpsc::SyncSender<(BlobReader, Arc<Told>)>,
    full: mpsc::Receiver<Block>,
    empty: mpsc::Sender<Vec<u8>>,
}

impl Inflater {
    /// Starts its thread; none where that cannot be.
    pub(super) fn start(index: usize, limits: Limits) -> Option<Self> {
        let (blobs, blobs_in) = mpsc::sync_channel::<(BlobReader, Arc<Told>)>(0);
        let (full_out, full) = mpsc::channel();
        let (empty, empty_in) = mpsc::channel();
        for _ in 0..BLOCKS {
            let _ = empty.send(vec![0; BLOCK]);
        }
        let run = move || {
            for (mut blob, told) in blobs_in {
                let (has_trailing_bytes, end) = inflate(&mut blob, &told, &limits, &empty_in, &full_out);
                let _ = full_out.send(Block::End(end));
                let digest = match told.how_far() {
                    HowFar::On | HowFar::ToTheEnd => blob.drain(),
                    HowFar::NoFurther => Err(canceled()),
                };
                let _ = full_out.send(Block::Done(digest, has_trailing_bytes));
            }
        };
        spawn(format!("tidewaiter-inflate-{index}"), run).then_some(Self { blobs, full, empty })
    }

    /// Hands the content of `blob` to `read`, which says how far the rest matters, and waits until the blob is over.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the thread is gone.
    pub(super) fn read<T>(
        &mut self,
        blob: BlobReader,
        read: impl FnOnce(&mut Ring<'_>) -> (T, HowFar),
    ) -> Result<(T, Over)> {
        let gone = || Error::new(Kind::Internal, "a lane's thread is gone");
        let told = Arc::new(Told(Mutex::new(HowFar::On)));
        self.blobs.send((blob, told.clone())).map_err(|_| gone())?;
        let mut ring = Ring { inflater: self, block: Vec::new(), at: 0, end: None };
        let (out, how_far) = read(&mut ring);
        ring.give_back();
        told.tell(how_far);
        let mut end = Ok(());
        loop {
            match self.full.recv().map_err(|_| gone())? {
                Block::Bytes(block) => drop(self.empty.send(block)),
                Block::End(how) => end = how,
                Block::Done(digest, has_trailing_bytes) => return Ok((out, Over { digest, end, has_trailing_bytes })),
            }
        }
    }
}

/// Inflates until the end, an error, or until no more matters; whether bytes followed the end, and what ended it.
fn inflate(
    blob: &mut BlobReader,
    told: &Told,
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
        if is_last || read.is_err() || told.how_far() != HowFar::On {
            return (decoder.has_trailing_bytes(), read);
        }
    }
}

/// The content of one blob as a stream.
pub(super) struct Ring<'a> {
    inflater: &'a Inflater,
    block: Vec<u8>,
    at: usize,
    end: Option<Result<()>>,
}

impl Ring<'_> {
    /// Gives the block in hand back.
    fn give_back(&mut self) {
        if self.block.capacity() > 0 {
            let _ = self.inflater.empty.send(std::mem::take(&mut self.block));
        }
    }
}

impl BufRead for Ring<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at >= self.block.len() && self.end.is_none() {
            self.give_back();
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

/// Starts a thread of a lane; whether that could be.
pub(super) fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> bool {
    let thread = std::thread::Builder::new().name(name).spawn(run);
    thread.inspect_err(|error| tracing::error!(%error, "a lane's thread cannot be started")).is_ok()
}
