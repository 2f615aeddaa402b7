//! What accompanies every long call: cancellation, a deadline, and where events go.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cancel::{Cancel, canceled};
use crate::error::{Error, Kind, Result};
use crate::model::event::Event;

type Sink = Arc<dyn Fn(&Event) + Send + Sync>;

/// Cancellation, deadline and event sink of one call. Cheap to clone; clones share all three.
///
/// ```
/// use std::time::Duration;
/// let context = tidewaiter::Context::new().deadline(Duration::from_secs(600)).on_event(|event| println!("{event:?}"));
/// let cancel = context.canceller();
/// cancel.cancel();
/// assert!(context.check().is_err());
/// ```
#[derive(Clone, Default)]
pub struct Context {
    cancel: Cancel,
    deadline: Option<Instant>,
    sink: Option<Sink>,
}

impl Context {
    /// No deadline, no events, not canceled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the call with [`Kind::Canceled`] once `after` has passed from now.
    #[must_use]
    pub fn deadline(mut self, after: Duration) -> Self {
        self.deadline = Instant::now().checked_add(after);
        self
    }

    /// Uses a switch that exists already.
    #[must_use]
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    /// Hands every [`Event`] to `sink`, on whichever thread it happens; `sink` must be quick and must not call back.
    #[must_use]
    pub fn on_event(mut self, sink: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.sink = Some(Arc::new(sink));
        self
    }

    /// The switch of this call, for another thread.
    pub fn canceller(&self) -> Cancel {
        self.cancel.clone()
    }

    /// Tells the sink, if there is one.
    pub fn emit(&self, event: Event) {
        if let Some(sink) = &self.sink {
            sink(&event);
        }
    }

    /// An error once the call is canceled or its deadline has passed; looked at per chunk and per record.
    ///
    /// # Errors
    /// [`Kind::Canceled`].
    pub fn check(&self) -> Result<()> {
        self.cancel.check()?;
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(late()),
            _ => Ok(()),
        }
    }

    /// Runs `work` until it is done, the call is canceled, or its deadline passes. Dropping the future cancels nothing else.
    ///
    /// # Errors
    /// [`Kind::Canceled`], or the error of `work`.
    pub async fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let deadline = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.cancel.canceled() => Err(canceled()),
            () = deadline => Err(late()),
            done = work => done,
        }
    }
}

/// The time that a field gives in seconds; none where it is not set.
///
/// # Errors
/// [`Kind::InvalidInput`] for what is no time above 0.
pub fn seconds(field: &'static str, seconds: Option<f64>) -> Result<Option<Duration>> {
    let Some(given) = seconds else { return Ok(None) };
    match Duration::try_from_secs_f64(given) {
        Ok(time) if !time.is_zero() => Ok(Some(time)),
        _ => Err(Error::new(Kind::InvalidInput, "a time-out is a number of seconds above 0")
            .with(field, given)
            .with_hint("leave it out for the usual one")),
    }
}

fn late() -> Error {
    Error::new(Kind::Canceled, "the deadline passed").with_hint("allow more time, or ask for less at once")
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("cancel", &self.cancel)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_out_is_a_time() {
        assert_eq!(seconds("timeout", None).unwrap(), None);
        assert_eq!(seconds("timeout", Some(1.5)).unwrap(), Some(Duration::from_millis(1500)));
        for wrong in [0.0, -1.0, 1e300, f64::NAN, f64::INFINITY] {
            let error = seconds("image_timeout", Some(wrong)).unwrap_err();
            assert!(error.kind() == Kind::InvalidInput && error.to_string().contains("image_timeout"), "{error}");
            assert!(error.hint().is_some(), "{error:?}");
        }
    }
}
