//! Cancellation: an atomic flag and its waiters, looked at per chunk and per record.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::error::{Error, Kind, Result};

/// A switch that ends work: clone it, hand it to another thread, call [`Cancel::cancel`].
///
/// ```
/// let cancel = tidewaiter::Cancel::new();
/// let other = cancel.clone();
/// std::thread::spawn(move || other.cancel()).join().unwrap();
/// assert!(cancel.is_canceled());
/// ```
#[derive(Clone, Default)]
pub struct Cancel(Arc<State>);

#[derive(Default)]
struct State {
    canceled: AtomicBool,
    waiters: Notify,
}

impl Cancel {
    /// A switch that is not thrown yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the work of everything that holds this switch. Can be called again without effect.
    pub fn cancel(&self) {
        self.0.canceled.store(true, Ordering::SeqCst);
        self.0.waiters.notify_waiters();
    }

    /// Whether [`Cancel::cancel`] was called.
    pub fn is_canceled(&self) -> bool {
        self.0.canceled.load(Ordering::Relaxed)
    }

    /// An error of the kind [`Kind::Canceled`] once the switch is thrown; call it once a chunk or a record.
    ///
    /// # Errors
    /// [`Kind::Canceled`].
    pub fn check(&self) -> Result<()> {
        if self.is_canceled() { Err(canceled()) } else { Ok(()) }
    }

    /// Waits until the switch is thrown. It needs no particular executor.
    pub async fn canceled(&self) {
        let mut waiting = std::pin::pin!(self.0.waiters.notified());
        // Registered before the look, or a cancel between the two would be slept through.
        waiting.as_mut().enable();
        if !self.0.canceled.load(Ordering::SeqCst) {
            waiting.await;
        }
    }
}

/// The error of canceled work.
pub(crate) fn canceled() -> Error {
    Error::new(Kind::Canceled, "canceled")
}

impl std::fmt::Debug for Cancel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_canceled()).finish()
    }
}
