//! Cancellation.

use pyo3::prelude::*;

/// Ends calls from another thread: hand one to them as ``cancel=``, and call ``cancel()``. It stays thrown.
#[pyclass(frozen, module = "tidewaiter")]
#[derive(Default)]
pub(crate) struct Cancel(pub(crate) tidewaiter::Cancel);

#[pymethods]
impl Cancel {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Ends every call that was given this object.
    fn cancel(&self) {
        self.0.cancel();
    }

    /// Whether ``cancel()`` was called.
    #[getter]
    fn canceled(&self) -> bool {
        self.0.is_canceled()
    }

    fn __repr__(&self) -> String {
        format!("Cancel(canceled={})", if self.0.is_canceled() { "True" } else { "False" })
    }
}
