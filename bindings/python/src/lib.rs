//! The native half of the Python package: handles, the wait without the interpreter's lock, errors. The other half, in
//! `python/tidewaiter`, is what people read.

mod cancel;
mod error;
mod listing;
mod observer;
mod report;
mod scanner;
mod schedule;

use pyo3::prelude::*;

#[pymodule]
fn _tidewaiter(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<cancel::Cancel>()?;
    module.add_class::<scanner::NativeScanner>()?;
    module.add_class::<listing::NativeListing>()?;
    module.add_class::<report::Report>()?;
    module.add_class::<report::Package>()?;
    module.add_class::<report::Finding>()?;
    module.add_class::<report::Evidence>()?;
    module.add_class::<report::Severity>()?;
    module.add_class::<report::Distro>()?;
    module.add_class::<report::Layer>()?;
    module.add_class::<report::Stats>()?;
    module.add_class::<report::Problem>()?;
    module.add_function(wrap_pyfunction!(report::read_reports, module)?)?;
    module.add_function(wrap_pyfunction!(schedule::schedule_next, module)?)?;
    Ok(())
}
