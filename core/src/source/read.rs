//! Parts of a file, read at their positions, as streams: a small piece at a time, so that no reader holds the runtime for long.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;

use super::BlobStream;
use crate::error::{Error, Kind, Result};

/// The bytes of one step.
pub(super) const STEP: usize = 256 << 10;

/// A part of a file.
#[derive(Clone, Debug)]
pub(super) struct Section {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Section {
    pub(super) fn new(file: Arc<File>, at: u64, length: u64) -> Self {
        Self { file, at, left: length }
    }

    pub(super) fn length(&self) -> u64 {
        self.left
    }

    /// Passes over `bytes` without reading them.
    pub(super) fn skip(&mut self, bytes: u64) -> io::Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.at += bytes;
        Ok(())
    }
}

impl Read for Section {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        let length = output.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let Some(output) = output.get_mut(..length).filter(|output| !output.is_empty()) else { return Ok(0) };
        let read = self.file.read_at(output, self.at)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

/// All of `input`, if that is not more than `limit` bytes.
pub(super) fn whole(input: Section, limit: u64) -> Result<Vec<u8>> {
    if input.length() > limit {
        return Err(too_large(limit));
    }
    let mut bytes = Vec::new();
    input.take(limit).read_to_end(&mut bytes).map_err(Error::from)?;
    Ok(bytes)
}

pub(super) fn too_large(limit: u64) -> Error {
    Error::new(Kind::LimitExceeded, format!("a document of the image is larger than {limit} bytes"))
        .with_hint("raise the limit `manifest`, or `config`, if the image is trusted")
}

/// `input` as a stream of pieces.
pub(super) fn stream(input: impl Read + Send + 'static) -> BlobStream {
    Box::pin(stream::try_unfold(input, |mut input| async move {
        let mut piece = vec![0; STEP];
        let mut filled = 0;
        while let Some(rest) = piece.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match input.read(rest) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::from(error)),
            }
        }
        piece.truncate(filled);
        // The disk was busy for a moment: whoever else waits has a turn.
        tokio::task::yield_now().await;
        Ok(if piece.is_empty() { None } else { Some((Bytes::from(piece), input)) })
    }))
}
