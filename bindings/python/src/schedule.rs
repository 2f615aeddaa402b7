//! When schedules run.

use pyo3::prelude::*;
use tidewaiter_facade::{from_json, next_runs};

use crate::error::raise;

/// The next runs of a schedule as RFC 3339.
#[pyfunction]
pub(crate) fn schedule_next(py: Python<'_>, schedule: &str, options: &str) -> PyResult<Vec<String>> {
    let runs = from_json(schedule, "the schedule")
        .and_then(|schedule| next_runs(schedule, &from_json(options, "the options")?));
    runs.map_err(|error| raise(py, &error))
}
