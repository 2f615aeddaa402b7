//! Errors as exceptions, which are written in Python (`tidewaiter.errors`).

use pyo3::prelude::*;
use tidewaiter::Error;

/// The exception of an error.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let exception = || {
        py.import("tidewaiter.errors")?.getattr("of_kind")?.call1((
            error.kind().as_str(),
            error.to_string(),
            error.hint(),
            error.retry_after().map(|delay| delay.as_secs_f64()),
        ))
    };
    exception().map_or_else(|failed| failed, PyErr::from_value)
}
