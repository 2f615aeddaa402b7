//! Doors for the fuzz targets to what is not public.

use crate::layer::Cataloger;

/// Reads one OSV record; whether it could be used.
pub fn osv_record(json: &[u8]) -> bool {
    crate::advisory::osv::parse(json).is_ok()
}

/// Makes the digests of an advisory database right, whatever else is in it: what damage alone cannot reach.
pub fn seal_database(file: &mut [u8]) {
    crate::advisory::database::seal(file);
}

/// Walks the whole index of an advisory database, as an import does that keeps it; how many rows there are.
pub fn every_package(advisories: &crate::advisory::Advisories) -> u64 {
    let mut rows = 0;
    let _ = advisories.packages(|_, _| {
        rows += 1;
        Ok(())
    });
    rows
}

/// Holds a cataloger against what every cataloger has to do with a file, whatever is in it.
pub fn cataloger(cataloger: &dyn Cataloger, path: &str, bytes: &[u8]) {
    crate::conformance::cataloger::holds(cataloger, path, bytes);
}
