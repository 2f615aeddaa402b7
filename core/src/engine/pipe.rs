//! From the network to a lane: chunks of a blob in a queue that is bounded in bytes, read as a stream.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::mpsc;

use bytes::{Buf as _, Bytes};
use tokio::sync::Semaphore;

use crate::cancel::canceled;
use crate::error::{Error, Result};
use crate::layer::buffered;
use crate::model::digest::Digest;

/// The bytes that may wait between the network and a lane.
pub(super) const CAPACITY: usize = 1 << 20;

enum Message {
    Chunk(Bytes),
    /// The blob is over: its digest, or why it broke off.
    End(Result<Digest>),
}

/// The network's end. Dropping it without [`Sender::finish`] is a cancel.
pub(super) struct Sender {
    messages: mpsc::Sender<Message>,
    room: Arc<Semaphore>,
}

/// The lane's end: the blob as a stream.
pub(super) struct BlobReader {
    messages: mpsc::Receiver<Message>,
    room: Arc<Semaphore>,
    chunk: Bytes,
    /// The room that the chunk takes until it is used up.
    held: usize,
    end: Option<Result<Digest>>,
}

/// A pipe of [`CAPACITY`] bytes.
pub(super) fn pipe() -> (Sender, BlobReader) {
    let (sender, receiver) = mpsc::channel();
    let room = Arc::new(Semaphore::new(CAPACITY));
    (
        Sender { messages: sender, room: room.clone() },
        BlobReader { messages: receiver, room, chunk: Bytes::new(), held: 0, end: None },
    )
}

impl Sender {
    /// Hands on a chunk once there is room for it.
    ///
    /// # Errors
    /// [`Kind::Canceled`](crate::Kind::Canceled) when the lane is gone.
    pub(super) async fn send(&self, chunk: Bytes) -> Result<()> {
        let room = chunk.len().min(CAPACITY) as u32;
        self.room.acquire_many(room).await.map_err(|_| canceled())?.forget();
        self.messages.send(Message::Chunk(chunk)).map_err(|_| canceled())
    }

    /// Says how it ended.
    pub(super) fn finish(self, end: Result<Digest>) {
        // A lane that is gone does not want to know.
        let _ = self.messages.send(Message::End(end));
    }
}

impl BlobReader {
    /// Reads what is left without looking at it, and says how the blob ended: with which digest.
    ///
    /// # Errors
    /// What broke the blob off.
    pub(super) fn drain(mut self) -> Result<Digest> {
        loop {
            match self.fill_buf() {
                Ok([]) | Err(_) => return self.end.take().unwrap_or_else(|| Err(canceled())),
                Ok(bytes) => {
                    let length = bytes.len();
                    self.consume(length);
                }
            }
        }
    }
}

impl BufRead for BlobReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.chunk.is_empty() && self.end.is_none() {
            self.room.add_permits(std::mem::take(&mut self.held));
            match self.messages.recv() {
                Ok(Message::Chunk(chunk)) => (self.held, self.chunk) = (chunk.len().min(CAPACITY), chunk),
                Ok(Message::End(end)) => self.end = Some(end),
                Err(mpsc::RecvError) => self.end = Some(Err(canceled())),
            }
        }
        match &self.end {
            Some(Err(error)) => Err(Error::clone(error).into()),
            _ => Ok(&self.chunk),
        }
    }

    fn consume(&mut self, amount: usize) {
        self.chunk.advance(amount.min(self.chunk.len()));
    }
}

impl Read for BlobReader {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        buffered::read(self, output)
    }
}

impl Drop for BlobReader {
    fn drop(&mut self) {
        // A sender that waits for room learns that nobody reads any more.
        self.room.close();
    }
}
