//! The scanner. Options come as JSON, in the one shape that every language has.

use pyo3::prelude::*;
use serde_json::json;
use tidewaiter_facade::{Scanner, from_json};

use crate::cancel::Cancel;
use crate::error::raise;
use crate::listing::NativeListing;
use crate::observer::{loads, wait};
use crate::report::Report;

/// What `tidewaiter.Scanner` is made of.
#[pyclass(frozen, module = "tidewaiter._tidewaiter")]
pub(crate) struct NativeScanner(Scanner);

type Callback = Option<Py<PyAny>>;

fn switch(cancel: Option<&Bound<'_, Cancel>>) -> tidewaiter::Cancel {
    cancel.map(|cancel| cancel.get().0.clone()).unwrap_or_default()
}

#[pymethods]
impl NativeScanner {
    #[new]
    fn new(py: Python<'_>, config: &str) -> PyResult<Self> {
        from_json(config, "the configuration").and_then(Scanner::open).map(Self).map_err(|error| raise(py, &error))
    }

    fn scan(
        &self,
        py: Python<'_>,
        reference: &str,
        options: &str,
        on_event: Callback,
        cancel: Option<&Bound<'_, Cancel>>,
    ) -> PyResult<Vec<Report>> {
        let pending = from_json(options, "the options")
            .and_then(|options| self.0.scan(reference, options, &switch(cancel)));
        Ok(wait(py, pending, on_event)?.into_iter().map(Report).collect())
    }

    fn check<'py>(
        &self,
        py: Python<'py>,
        registry: &str,
        options: &str,
        cancel: Option<&Bound<'py, Cancel>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pending = from_json(registry, "the registry").and_then(|registry| {
            let options = from_json(options, "the options")?;
            self.0.check(registry, options, &switch(cancel))
        });
        let check = wait(py, pending, None)?;
        loads(py, &json!(check).to_string())
    }

    /// `what` is `repositories`, `images` or `explain`.
    fn list(
        &self,
        py: Python<'_>,
        what: &str,
        registry: &str,
        selection: &str,
        on_event: Callback,
        cancel: Option<&Bound<'_, Cancel>>,
    ) -> PyResult<NativeListing> {
        let listing = from_json(registry, "the registry").and_then(|registry| {
            let selection = from_json(selection, "the selection")?;
            match what {
                "repositories" => self.0.repositories(registry, selection),
                "images" => self.0.images(registry, selection),
                _ => self.0.explain(registry, selection),
            }
        });
        let listing = listing.map_err(|error| raise(py, &error))?;
        Ok(NativeListing::new(listing, on_event, switch(cancel)))
    }

    fn import_advisories<'py>(
        &self,
        py: Python<'py>,
        options: &str,
        on_event: Callback,
        cancel: Option<&Bound<'py, Cancel>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pending = from_json(options, "the options")
            .and_then(|options| self.0.import_advisories(options, &switch(cancel)));
        let imported = wait(py, pending, on_event)?;
        loads(py, &json!(imported).to_string())
    }

    fn update_advisories<'py>(
        &self,
        py: Python<'py>,
        options: &str,
        on_event: Callback,
        cancel: Option<&Bound<'py, Cancel>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pending = from_json(options, "the options")
            .and_then(|options| self.0.update_advisories(options, &switch(cancel)));
        let imported = wait(py, pending, on_event)?;
        loads(py, &json!(imported).to_string())
    }

    fn advisories_status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let status = wait(py, self.0.advisories_status(), None)?;
        loads(py, &json!(status).to_string())
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        // It waits for calls of other threads, which may need the interpreter to end.
        py.detach(|| self.0.close()).map_err(|error| raise(py, &error))
    }
}
