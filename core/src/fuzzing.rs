//! Doors for the fuzz targets to what is not public.

use crate::layer::Cataloger;

/// Reads one OSV record; whether it could be used.
pub fn osv_record(json: &[u8]) -> bool {
    crate::advisory::osv::parse(json).is_ok()
}

/// Holds a cataloger against what every cataloger has to do with a file, whatever is in it.
pub fn cataloger(cataloger: &dyn Cataloger, path: &str, bytes: &[u8]) {
    crate::conformance::cataloger::holds(cataloger, path, bytes);
}
