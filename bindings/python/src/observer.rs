//! The wait: without the interpreter's lock, with callbacks and signals.

use std::ops::ControlFlow;
use std::time::Duration;

use pyo3::prelude::*;
use tidewaiter::model::event::Event;
use tidewaiter_facade::{Observer, Pending};

use crate::error::raise;

/// How long Ctrl-C waits to be seen at the most.
const SIGNALS: Duration = Duration::from_millis(50);

struct Watch {
    on_event: Option<Py<PyAny>>,
    /// What a callback or a signal raised: it ends the call, and is raised again by it.
    raised: Option<PyErr>,
}

impl Watch {
    fn keep(&mut self, done: PyResult<()>) -> ControlFlow<()> {
        match done {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.raised.get_or_insert(error);
                ControlFlow::Break(())
            }
        }
    }
}

impl Observer for Watch {
    fn event(&mut self, event: &Event) -> ControlFlow<()> {
        let Some(on_event) = &self.on_event else { return ControlFlow::Continue(()) };
        if self.raised.is_some() {
            return ControlFlow::Break(());
        }
        let done = Python::attach(|py| {
            let event = loads(py, &tidewaiter_facade::event_to_json(event).to_string())?;
            on_event.call1(py, (event,)).map(drop)
        });
        self.keep(done)
    }

    fn idle(&mut self) -> ControlFlow<()> {
        if self.raised.is_some() {
            return ControlFlow::Break(());
        }
        let done = Python::attach(|py| py.check_signals());
        self.keep(done)
    }

    fn interval(&self) -> Option<Duration> {
        Some(SIGNALS)
    }
}

/// Waits for the end of a call.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    pending: tidewaiter::Result<Pending<T>>,
    on_event: Option<Py<PyAny>>,
) -> PyResult<T> {
    let pending = pending.map_err(|error| raise(py, &error))?;
    watch(py, on_event, |observer| pending.wait(observer))
}

/// Waits for what `work` waits for.
pub(crate) fn watch<T: Send>(
    py: Python<'_>,
    on_event: Option<Py<PyAny>>,
    work: impl FnOnce(&mut dyn Observer) -> tidewaiter::Result<T> + Send,
) -> PyResult<T> {
    let mut watch = Watch { on_event, raised: None };
    let result = py.detach(|| work(&mut watch));
    match (watch.raised, result) {
        (Some(raised), _) => Err(raised),
        (None, Ok(value)) => Ok(value),
        (None, Err(error)) => Err(raise(py, &error)),
    }
}

/// Text of JSON as dicts and lists.
pub(crate) fn loads<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?.getattr("loads")?.call1((text,))
}
