//! A call: it runs on the scanner's thread, and the caller waits for it, or polls it.

use std::cell::RefCell;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use tidewaiter::model::event::Event;
use tidewaiter::{Cancel, Error, Kind, Result};

use crate::queue::Queue;

/// What the waiting thread is told. A `Break` cancels the call; what it had done so far ends in order, then the wait is over.
pub trait Observer {
    /// Something happened. It may not use the scanner that it hears about.
    fn event(&mut self, _event: &Event) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// Nothing happened for [`Observer::interval`]: the place to look for signals.
    fn idle(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// How long to wait before [`Observer::idle`]; without it, only events and the end wake the thread.
    fn interval(&self) -> Option<Duration> {
        None
    }
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}

/// Any closure that takes events.
impl<F: FnMut(&Event) -> ControlFlow<()>> Observer for F {
    fn event(&mut self, event: &Event) -> ControlFlow<()> {
        self(event)
    }
}

/// A call on its way. A future of any executor; dropping it cancels the call.
pub struct Pending<T> {
    shared: Arc<Shared<T>>,
    cancel: Cancel,
    id: usize,
    /// The last handle of a scanner ends what runs; a call that is waited for is one of the handles.
    _scanner: Arc<dyn Send + Sync>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    events: Queue,
    result: Option<Result<T>>,
    waker: Option<Waker>,
}

/// The end of a call that works. Dropped without an answer, it answers that the call ended early.
pub(crate) struct Answer<T>(Arc<Shared<T>>);

/// Where the events of a call go.
pub(crate) struct Sink<T>(Arc<Shared<T>>);

/// A call of the scanner `id` that nobody works on yet: its two ends.
pub(crate) fn call<T>(id: usize, scanner: Arc<dyn Send + Sync>, cancel: Cancel) -> (Pending<T>, Answer<T>) {
    let state = State { events: Queue::default(), result: None, waker: None };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
    (Pending { shared: Arc::clone(&shared), cancel, id, _scanner: scanner }, Answer(shared))
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, result: Result<T>) {
        let mut state = self.state();
        if state.result.is_none() {
            state.result = Some(result);
        }
        let waker = state.waker.take();
        drop(state);
        self.changed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Answer<T> {
    pub(crate) fn sink(&self) -> Sink<T> {
        Sink(Arc::clone(&self.0))
    }

    pub(crate) fn give(self, result: Result<T>) {
        self.0.finish(result);
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        let unanswered = self.0.state().result.is_none();
        if unanswered {
            self.0.finish(Err(if std::thread::panicking() {
                Error::new(Kind::Internal, "a defect ended the call").with_hint("please report it")
            } else {
                Error::new(Kind::Canceled, "the scanner was closed")
            }));
        }
    }
}

impl<T> Sink<T> {
    pub(crate) fn push(&self, event: &Event) {
        let mut state = self.0.state();
        state.events.push(event.clone());
        let waker = state.waker.take();
        drop(state);
        self.0.changed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Pending<T> {
    /// The events so far that nobody took; for those who poll instead of waiting.
    pub fn events(&self) -> impl Iterator<Item = Event> + use<T> {
        self.shared.state().events.take().into_iter()
    }

    /// Ends the call from any thread. What waits for it is told in order.
    pub fn canceller(&self) -> Cancel {
        self.cancel.clone()
    }

    /// Waits for the end of the call, and tells `observer` about it on this thread meanwhile.
    ///
    /// # Errors
    /// What the call says; [`Kind::Canceled`] after a `Break`.
    pub fn wait(self, observer: &mut dyn Observer) -> Result<T> {
        loop {
            let mut state = self.shared.state();
            let mut idle = false;
            while state.events.is_empty() && state.result.is_none() && !idle {
                state = match observer.interval() {
                    None => self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                    Some(interval) => {
                        let (state, time) =
                            self.shared.changed.wait_timeout(state, interval).unwrap_or_else(PoisonError::into_inner);
                        idle = time.timed_out();
                        state
                    }
                };
            }
            let (events, result) = (state.events.take(), state.result.take());
            drop(state);
            for event in &events {
                let _inside = Inside::enter(self.id);
                if observer.event(event).is_break() {
                    self.cancel.cancel();
                }
            }
            if let Some(result) = result {
                return result;
            }
            // Events may keep the thread busy: signals are looked at after them as well.
            if observer.idle().is_break() {
                self.cancel.cancel();
            }
        }
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        let mut state = self.shared.state();
        match state.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

thread_local! {
    /// The scanners whose callbacks run on this thread right now.
    static INSIDE: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// While it lives, a callback of a scanner runs on this thread.
struct Inside;

impl Inside {
    fn enter(scanner: usize) -> Self {
        INSIDE.with_borrow_mut(|inside| inside.push(scanner));
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.with_borrow_mut(|inside| inside.pop());
    }
}

/// Whether a callback of this scanner runs on this thread.
pub(crate) fn is_inside(scanner: usize) -> bool {
    INSIDE.with_borrow(|inside| inside.contains(&scanner))
}
