//! From a source into a pipe: the bytes of a blob are counted, hashed and handed on.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt as _;

use super::pipe::Sender;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::event::Event;
use crate::model::image::Descriptor;
use crate::source::ImageSource;

/// How many bytes go by between two events.
const STEP: u64 = 1 << 20;

/// Fetches a blob into `sender`, to its end whatever the reader makes of it.
pub(super) async fn fetch(
    source: &dyn ImageSource,
    descriptor: &Descriptor,
    context: &Context,
    bytes_fetched: &AtomicU64,
    sender: Sender,
) {
    let end = stream(source, descriptor, context, bytes_fetched, &sender).await;
    sender.finish(end);
}

async fn stream(
    source: &dyn ImageSource,
    descriptor: &Descriptor,
    context: &Context,
    bytes_fetched: &AtomicU64,
    sender: &Sender,
) -> Result<Digest> {
    let mut chunks = source.blob(descriptor, context).await?;
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

fn wrong_size(descriptor: &Descriptor, what: &str) -> Error {
    Error::new(Kind::Corrupt, format!("the blob has {what} bytes than the manifest says"))
        .with("digest", &descriptor.digest)
        .with_hint("the registry or something in between damaged the blob; push the image again")
}
