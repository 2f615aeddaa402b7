//! From a source into a pipe: the bytes of a blob are counted, hashed and handed on.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::pipe::Sender;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::layer::decompress::zstd_window::{self, NARROW, WIDE};
use crate::model::digest::Digest;
use crate::model::event::Event;
use crate::model::image::Descriptor;
use crate::source::{BlobStream, ImageSource};

/// How many bytes go by between two events.
const STEP: u64 = 1 << 20;

/// A blob whose first bytes are here.
pub(super) struct Arriving<'a> {
    descriptor: &'a Descriptor,
    first: Bytes,
    rest: BlobStream,
}

impl<'a> Arriving<'a> {
    /// Asks `source` for a blob and waits for its first bytes.
    ///
    /// # Errors
    /// Those of the source.
    pub(super) async fn open(
        source: &dyn ImageSource,
        descriptor: &'a Descriptor,
        context: &Context,
    ) -> Result<Arriving<'a>> {
        let mut rest = source.blob(descriptor, context).await?;
        let mut first = Bytes::new();
        while first.len() < zstd_window::HEAD
            && let Some(chunk) = rest.next().await
        {
            let chunk = chunk?;
            first = if first.is_empty() { chunk } else { [first, chunk].concat().into() };
        }
        Ok(Self { descriptor, first, rest })
    }

    /// Whether its decoder needs the memory of two lanes.
    pub(super) fn is_wide(&self) -> bool {
        zstd_window::of(&self.first).is_some_and(|window| (NARROW + 1..=WIDE).contains(&window))
    }

    /// Hands the blob to `sender`, to its end whatever the reader makes of it.
    pub(super) async fn send(self, context: &Context, bytes_fetched: &AtomicU64, sender: Sender) {
        let end = self.stream(context, bytes_fetched, &sender).await;
        sender.finish(end);
    }

    async fn stream(self, context: &Context, bytes_fetched: &AtomicU64, sender: &Sender) -> Result<Digest> {
        let Self { descriptor, first, rest } = self;
        let mut chunks = stream::iter([Ok(first)]).chain(rest);
        let mut hasher = descriptor.digest.hasher();
        let (mut bytes, mut told) = (0, 0);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            context.check()?;
            bytes += chunk.len() as u64;
            bytes_fetched.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            if descriptor.size.is_some_and(|size| bytes > size) {
                return Err(wrong_size(descriptor, "more"));
            }
            hasher.update(&chunk);
            sender.send(chunk).await?;
            if bytes - told >= STEP || Some(bytes) == descriptor.size {
                told = bytes;
                context.emit(Event::LayerProgress { digest: descriptor.digest.clone(), bytes, total: descriptor.size });
            }
        }
        if descriptor.size.is_some_and(|size| bytes < size) {
            return Err(wrong_size(descriptor, "less"));
        }
        Ok(hasher.finish())
    }
}

fn wrong_size(descriptor: &Descriptor, what: &str) -> Error {
    Error::new(Kind::Corrupt, format!("the blob has {what} bytes than the manifest says"))
        .with("digest", &descriptor.digest)
        .with_hint("the registry or something in between damaged the blob; push the image again")
}
