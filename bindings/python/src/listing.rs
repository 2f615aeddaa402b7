//! Listings: what is in a registry, line by line.

use pyo3::prelude::*;
use serde_json::json;
use tidewaiter_facade::Listing;

use crate::observer::{loads, watch};

/// What the iterators of `tidewaiter.Scanner` go through.
#[pyclass(frozen, module = "tidewaiter._tidewaiter")]
pub(crate) struct NativeListing {
    listing: Listing,
    on_event: Option<Py<PyAny>>,
    cancel: tidewaiter::Cancel,
}

impl NativeListing {
    pub(crate) fn new(listing: Listing, on_event: Option<Py<PyAny>>, cancel: tidewaiter::Cancel) -> Self {
        Self { listing, on_event, cancel }
    }
}

#[pymethods]
impl NativeListing {
    /// The next line as a dict; None at the end.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let on_event = self.on_event.as_ref().map(|callback| callback.clone_ref(py));
        let item = watch(py, on_event, |observer| self.listing.next(observer, &self.cancel))?;
        item.map(|item| loads(py, &json!(item).to_string())).transpose()
    }
}
