//! The scanner. Options come as JSON, in the one shape that every language has.

use pyo3::prelude::*;
use serde::Serialize;
use serde_json::json;
use tidewaiter::{Error, Kind};
use tidewaiter_facade::{Pending, Scanner, from_json};

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

/// The answer of a call as dicts and lists.
fn answer<'py, T: Serialize + Send>(
    py: Python<'py>,
    pending: tidewaiter::Result<Pending<T>>,
    on_event: Callback,
) -> PyResult<Bound<'py, PyAny>> {
    let answer = wait(py, pending, on_event)?;
    loads(py, &json!(answer).to_string())
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
        let cancel = switch(cancel);
        let pending = py
            .detach(|| from_json(options, "the options").and_then(|options| self.0.scan(reference, options, &cancel)));
        Ok(wait(py, pending, on_event)?.into_iter().map(Report).collect())
    }

    fn check<'py>(
        &self,
        py: Python<'py>,
        registry: &str,
        options: &str,
        cancel: Option<&Bound<'py, Cancel>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let cancel = switch(cancel);
        let pending = py.detach(|| {
            let registry = from_json(registry, "the registry")?;
            self.0.check(registry, from_json(options, "the options")?, &cancel)
        });
        answer(py, pending, None)
    }

    /// `what` is `repositories`, `images` or `explain`.
    fn list(
        &self,
        py: Python<'_>,
        what: &str,
        registry: &str,
        selection: &str,
        timeout: Option<f64>,
        on_event: Callback,
        cancel: Option<&Bound<'_, Cancel>>,
    ) -> PyResult<NativeListing> {
        let listing = py.detach(|| {
            let registry = from_json(registry, "the registry")?;
            let selection = from_json(selection, "the selection")?;
            let listing = match what {
                "repositories" => self.0.repositories(registry, selection),
                "images" => self.0.images(registry, selection),
                _ => self.0.explain(registry, selection),
            };
            listing?.timeout(timeout)
        });
        let listing = listing.map_err(|error| raise(py, &error))?;
        Ok(NativeListing::new(listing, on_event, switch(cancel)))
    }

    /// A listing of what the store has. `what` is `explain_job`, `inventory` or `changes`.
    fn lines(
        &self,
        py: Python<'_>,
        what: &str,
        request: &str,
        timeout: Option<f64>,
        on_event: Callback,
        cancel: Option<&Bound<'_, Cancel>>,
    ) -> PyResult<NativeListing> {
        let listing = py.detach(|| {
            let listing = match what {
                "explain_job" => self.0.explain_job(&from_json::<String>(request, "the name")?),
                "inventory" => self.0.inventory(from_json(request, "the filter")?),
                "changes" => self.0.changes(from_json(request, "the filter")?),
                _ => Err(unknown(what)),
            };
            listing?.timeout(timeout)
        });
        let listing = listing.map_err(|error| raise(py, &error))?;
        Ok(NativeListing::new(listing, on_event, switch(cancel)))
    }

    /// An operation on the store, by its name in the facade: JSON in, dicts and lists out.
    fn ask<'py>(
        &self,
        py: Python<'py>,
        operation: &str,
        request: &str,
        on_event: Callback,
        cancel: Option<&Bound<'py, Cancel>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (scanner, cancel) = (&self.0, switch(cancel));
        macro_rules! of_request {
            ($method:ident) => {{
                let read = from_json(request, "the request");
                // Opening the store may take a while, and needs nothing of Python's.
                answer(py, py.detach(|| read.and_then(|request| scanner.$method(request, &cancel))), on_event)
            }};
        }
        macro_rules! of_name {
            ($method:ident) => {{
                let read = from_json(request, "the name");
                answer(py, py.detach(|| read.and_then(|name: String| scanner.$method(&name, &cancel))), on_event)
            }};
        }
        macro_rules! of_nothing {
            ($method:ident) => {
                answer(py, py.detach(|| scanner.$method(&cancel)), on_event)
            };
        }
        match operation {
            "put_registry" => of_request!(put_registry),
            "registry" => of_name!(saved_registry),
            "list_registries" => of_nothing!(list_registries),
            "remove_registries" => of_request!(remove_registries),
            "pause_registries" => of_request!(pause_registries),
            "put_job" => of_request!(put_job),
            "job" => of_name!(job),
            "list_jobs" => of_nothing!(list_jobs),
            "pause_jobs" => of_request!(pause_jobs),
            "cancel_jobs" => of_request!(cancel_jobs),
            "delete_jobs" => of_request!(delete_jobs),
            "run_job" => of_request!(run_job),
            "restart_job" => of_request!(restart_job),
            "plan" => of_request!(plan),
            "run_summary" => of_request!(run_summary),
            "lease" => of_request!(lease),
            "renew" => of_request!(renew),
            "execute" => of_request!(execute),
            "commit" => of_request!(commit),
            "work" => of_request!(work),
            "list_workers" => of_nothing!(list_workers),
            "inventory_summary" => of_request!(inventory_summary),
            "rematch" => of_request!(rematch),
            "store_status" => of_nothing!(store_status),
            "prune_store" => of_request!(prune_store),
            _ => Err(raise(py, &unknown(operation))),
        }
    }

    fn stored_reports(&self, py: Python<'_>, reference: &str) -> PyResult<Vec<Report>> {
        let pending = py.detach(|| self.0.stored_reports(reference, &tidewaiter::Cancel::new()));
        Ok(wait(py, pending, None)?.into_iter().map(Report).collect())
    }

    fn import_advisories<'py>(
        &self,
        py: Python<'py>,
        options: &str,
        on_event: Callback,
        cancel: Option<&Bound<'py, Cancel>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pending =
            from_json(options, "the options").and_then(|options| self.0.import_advisories(options, &switch(cancel)));
        answer(py, pending, on_event)
    }

    fn update_advisories<'py>(
        &self,
        py: Python<'py>,
        options: &str,
        on_event: Callback,
        cancel: Option<&Bound<'py, Cancel>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pending =
            from_json(options, "the options").and_then(|options| self.0.update_advisories(options, &switch(cancel)));
        answer(py, pending, on_event)
    }

    fn advisories_status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, self.0.advisories_status(), None)
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        // It waits for calls of other threads, which may need the interpreter to end.
        py.detach(|| self.0.close()).map_err(|error| raise(py, &error))
    }
}

fn unknown(operation: &str) -> Error {
    Error::new(Kind::Internal, "there is no such operation").with("operation", operation)
}
