//! Doors for the fuzz targets to what is not public.

use std::sync::{Arc, LazyLock};

use crate::conformance::cataloger::Sample;
use crate::layer::journal::Journal;
use crate::layer::{Cataloger, InterestTable, LayerFacts};
use crate::model::report::Report;

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

/// A report as the store has it and as machines send it to each other, before it is packed.
pub fn stored_report(report: &Report) -> Vec<u8> {
    postcard::to_allocvec(report).unwrap_or_default()
}

/// The report of such bytes, read as one that is packed.
pub fn read_report(bytes: &[u8]) -> Option<Report> {
    let packed = zstd::bulk::compress(bytes, 1).ok()?;
    let mut report: Report = crate::job::unpack(&packed).ok()?;
    report.link();
    Some(report)
}

/// What is kept of each layer of a sample.
pub fn facts(sample: &Sample) -> Vec<LayerFacts> {
    sample.facts()
}

/// Facts as a cache has them, before they are packed.
pub fn stored_facts(facts: &LayerFacts) -> Vec<u8> {
    facts.to_bytes().ok().and_then(|bytes| zstd::decode_all(bytes.as_slice()).ok()).unwrap_or_default()
}

/// The facts of such bytes, read as those that are packed.
pub fn read_facts(bytes: &[u8]) -> Option<LayerFacts> {
    LayerFacts::from_bytes(&zstd::bulk::compress(bytes, 1).ok()?).ok()
}

/// A journal of one block that holds these bytes.
pub fn journal(block: &[u8]) -> Option<Journal> {
    let packed = zstd::bulk::compress(block, 1).ok()?;
    postcard::from_bytes(&postcard::to_allocvec(&(vec![packed], 1u32)).ok()?).ok()
}

/// Resolves layers whose facts came from somewhere, the base first, with every cataloger; how many packages there are.
pub fn resolve(layers: impl IntoIterator<Item = LayerFacts>) -> usize {
    static ALL: LazyLock<Vec<Arc<dyn Cataloger>>> = LazyLock::new(crate::conformance::cataloger::all);
    static TABLE: LazyLock<Option<InterestTable>> = LazyLock::new(|| InterestTable::new(&ALL).ok());
    let Some(table) = &*TABLE else { return 0 };
    let layers: Vec<_> = layers.into_iter().map(Arc::new).collect();
    crate::conformance::cataloger::resolve(&ALL, table, &layers).inventory.len()
}

/// The connector of a registry, opened, that asks everything once.
///
/// # Errors
/// Those of [`Connection::open`](crate::registry::Connection::open).
#[cfg(feature = "net")]
pub async fn connector(
    registry: &crate::registry::Registry,
    context: &crate::context::Context,
) -> crate::error::Result<Arc<dyn crate::registry::Connector>> {
    let connection = crate::registry::Connection::open_once(registry, context).await?;
    crate::registry::vendor::of(&registry.kind)?.connect(registry, connection)
}
