//! Doors for the fuzz targets to what is not public.

use crate::layer::Cataloger;

/// Reads one OSV record; whether it could be used.
pub fn osv_record(json: &[u8]) -> bool {
    crate::advisory::osv::parse(json).is_ok()
}

/// Reads an SBOM as a scan of one does; how many packages it has.
pub fn sbom(json: &[u8]) -> usize {
    let mut survey = crate::sbom::Survey::default();
    if crate::sbom::read(json, &mut survey).is_err() {
        return 0;
    }
    let mut packages = crate::sbom::Packages::new(survey.distro(), "sbom".into(), 1000, usize::MAX);
    let _ = crate::sbom::read(json, &mut packages);
    packages.finish().0.packages().filter(|package| !package.purl().is_empty()).count()
}

/// Reads reports back from JSON, and writes them in every format; how many there were.
pub fn report(json: &[u8]) -> usize {
    let Ok(reports) = crate::format::read::read(json) else { return 0 };
    for format in crate::format::ALL {
        let _ = format.write(&reports, &mut std::io::sink());
    }
    reports.len()
}

/// Judges a version by every row of an OSV record; how many of them concern it.
pub fn matching(version: &str, json: &[u8]) -> usize {
    let Ok(parsed) = crate::advisory::osv::parse(json) else { return 0 };
    let concerns = |(ecosystem, _, row): &&(String, String, crate::advisory::Affected)| {
        crate::matching::judge(&parsed.record, ecosystem, version, row)
    };
    parsed.packages.iter().filter(concerns).count()
}

/// Reads the answer of a token server; whether there was a token in it.
#[cfg(feature = "net")]
pub fn token(answer: &[u8]) -> bool {
    crate::net::token::read(answer).is_some()
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
