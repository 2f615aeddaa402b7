//! A listing: what is in a registry or the store, as it becomes known. It is asked for piece by piece, so that nothing piles up.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde::Serialize;
use tidewaiter::engine::Listed;
use tidewaiter::store::{Change, InventoryRow};
use tidewaiter::{Cancel, Context, Result};

use crate::call::{Observer, Pending};
use crate::config;
use crate::scanner::Scanner;

/// At most so many items are handed over at once.
const BATCH: usize = 256;

/// One line of a listing.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Item {
    /// A repository.
    Repository {
        /// Its name.
        repository: String,
    },
    /// An image that the selection chose.
    Image(Listed),
    /// An image of the inventory.
    Stored(InventoryRow),
    /// What one scan or match changed of an image.
    Changed(Change),
}

/// What a registry holds, on its way. Dropping it ends the listing.
///
/// A repository that cannot be listed is told as an event, the others go on, and the error comes at the end.
pub struct Listing {
    scanner: Scanner,
    source: Arc<Source>,
    /// What was handed over and not taken yet; one thread at a time takes.
    ready: Mutex<VecDeque<Result<Item>>>,
    end: Option<Instant>,
}

/// The stream, and who is told of its events: the call that waits for it now.
pub(crate) struct Source {
    stream: tokio::sync::Mutex<BoxStream<'static, Result<Item>>>,
    waiting: Arc<Mutex<Option<Context>>>,
    cancel: Cancel,
}

impl Source {
    /// A stream made by `make`, from a context that lives as long as the listing.
    pub(crate) fn new(make: impl FnOnce(&Context) -> BoxStream<'static, Result<Item>>) -> Self {
        let waiting = Arc::new(Mutex::new(None::<Context>));
        let told = Arc::clone(&waiting);
        let cancel = Cancel::new();
        let context = Context::new().cancel(cancel.clone()).on_event(move |event| {
            if let Some(context) = &*told.lock().unwrap_or_else(PoisonError::into_inner) {
                context.emit(event.clone());
            }
        });
        Self { stream: tokio::sync::Mutex::new(make(&context)), waiting, cancel }
    }

    /// What is there now, at least one item; nothing at the end.
    pub(crate) async fn batch(&self, context: &Context) -> Result<Vec<Result<Item>>> {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.clone());
        let batch = context
            .run(async {
                let mut stream = self.stream.lock().await;
                Ok(stream.by_ref().ready_chunks(BATCH).next().await.unwrap_or_default())
            })
            .await;
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = None;
        batch
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Listing {
    pub(crate) fn new(scanner: Scanner, source: Source) -> Self {
        Self { scanner, source: Arc::new(source), ready: Mutex::default(), end: None }
    }

    /// The same listing, which ends so many seconds from now with [`Kind::Canceled`](tidewaiter::Kind::Canceled), however far it came.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`](tidewaiter::Kind::InvalidInput) for what is no time.
    pub fn timeout(self, seconds: Option<f64>) -> Result<Self> {
        let end = config::timeout(seconds)?.and_then(|time| Instant::now().checked_add(time));
        Ok(Self { end, ..self })
    }

    /// Asks for what comes next, up to 256 items at once, none at the end; for those who poll. `cancel` ends this wait.
    ///
    /// # Errors
    /// [`Kind::InvalidState`](tidewaiter::Kind::InvalidState) of a closed scanner.
    pub fn fetch(&self, cancel: &Cancel) -> Result<Pending<Vec<Result<Item>>>> {
        let left = self.end.map(|end| end.saturating_duration_since(Instant::now()));
        self.scanner.batch(Arc::clone(&self.source), left, cancel)
    }

    /// Waits for the next item, and tells `observer` meanwhile; none at the end. A second thread waits until the first has its item.
    ///
    /// # Errors
    /// What keeps the registry, or one repository of it, from being listed; [`Kind::InvalidState`](tidewaiter::Kind::InvalidState)
    /// from its own callback.
    pub fn next(&self, observer: &mut dyn Observer, cancel: &Cancel) -> Result<Option<Item>> {
        // Before the lock: the call around a callback holds it.
        self.scanner.usable()?;
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.is_empty() {
            ready.extend(self.fetch(cancel)?.wait(observer)?);
        }
        ready.pop_front().transpose()
    }
}

impl std::fmt::Debug for Listing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listing").finish_non_exhaustive()
    }
}
