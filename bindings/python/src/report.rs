//! The report: a handle, and views of its rows that read when they are asked.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pyo3::prelude::*;
use tidewaiter::model::finding;
use tidewaiter::model::image::LayerRecord;
use tidewaiter::model::inventory;

use crate::error::raise;
use crate::observer::loads;

/// The report of one image of one platform.
#[pyclass(frozen, module = "tidewaiter")]
pub(crate) struct Report(pub(crate) tidewaiter_facade::Report);

#[pymethods]
impl Report {
    /// The reference of the image, in full.
    #[getter]
    fn reference(&self) -> &str {
        &self.0.subject.reference
    }

    /// The digest of its manifest.
    #[getter]
    fn digest(&self) -> &str {
        self.0.subject.digest.as_str()
    }

    /// Its platform, such as ``linux/amd64``.
    #[getter]
    fn platform(&self) -> String {
        self.0.subject.platform.to_string()
    }

    /// Whether everything of the image was looked at: no problem says that packages or advisories may be missing.
    #[getter]
    fn complete(&self) -> bool {
        self.0.is_complete()
    }

    /// The packages, sorted.
    #[getter]
    fn packages(&self) -> Vec<Package> {
        (0..self.0.inventory.len()).map(|index| Package { report: self.0.clone(), index }).collect()
    }

    /// The findings, sorted by package.
    #[getter]
    fn findings(&self) -> Vec<Finding> {
        (0..self.0.findings.len()).map(|index| Finding { report: self.0.clone(), index }).collect()
    }

    /// What could not be looked at.
    #[getter]
    fn problems(&self) -> Vec<Problem> {
        let problem = |problem: &tidewaiter::model::problem::Problem| Problem {
            kind: problem.kind.as_str(),
            message: problem.message.clone(),
            path: problem.path.clone(),
            layer: problem.layer,
        };
        self.0.problems.iter().map(problem).collect()
    }

    /// The distribution that the image is made of; None where it has none.
    #[getter]
    fn distro(&self) -> Option<Distro> {
        let distro = self.0.inventory.distro()?.clone();
        Some(Distro { id: distro.id, version: distro.version, name: distro.name, ecosystem: distro.ecosystem })
    }

    /// The layers, the base first.
    #[getter]
    fn layers(&self) -> Vec<Layer> {
        let layer = |layer: &LayerRecord| Layer {
            digest: layer.digest.to_string(),
            size: layer.size,
            created_by: layer.created_by.clone(),
        };
        self.0.layers.iter().map(layer).collect()
    }

    /// What the scan cost: the only part that differs from run to run.
    #[getter]
    fn stats(&self) -> Stats {
        let stats = &self.0.stats;
        Stats {
            bytes_fetched: stats.bytes_fetched,
            layers_fetched: stats.layers_fetched,
            layers_from_cache: stats.layers_from_cache,
            layers_read_twice: stats.layers_read_twice,
            peak_memory_bytes: stats.peak_memory_bytes,
            seconds: [("fetch", stats.seconds.fetch), ("total", stats.seconds.total)].into(),
            owned_findings: stats.owned_findings,
        }
    }

    /// The report as text of JSON (schema ``urn:tidewaiter:report:1``).
    fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| self.0.to_json()).map_err(|error| raise(py, &error))
    }

    /// The report as dicts and lists.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        loads(py, &self.to_json(py)?)
    }

    /// Writes the report to a file; the format is named, or taken from the end of the path.
    #[pyo3(signature = (path, *, format=None))]
    fn write(&self, py: Python<'_>, path: PathBuf, format: Option<&str>) -> PyResult<()> {
        py.detach(|| self.0.write_file(format, &path)).map_err(|error| raise(py, &error))
    }

    fn __repr__(&self) -> String {
        format!(
            "<Report of {} {}: {} packages, {} findings, {} problems>",
            self.0.subject.reference,
            self.0.subject.platform,
            self.0.inventory.len(),
            self.0.findings.len(),
            self.0.problems.len()
        )
    }
}

/// The reports that a file holds, as a scan writes them in JSON.
#[pyfunction]
pub(crate) fn read_reports(py: Python<'_>, path: PathBuf) -> PyResult<Vec<Report>> {
    let reports = py.detach(|| tidewaiter_facade::read_report_file(&path));
    Ok(reports.map_err(|error| raise(py, &error))?.into_iter().map(Report).collect())
}

/// One package of an image.
#[pyclass(frozen, module = "tidewaiter")]
pub(crate) struct Package {
    report: tidewaiter_facade::Report,
    index: usize,
}

impl Package {
    /// Reads from the package; it is there, since the index came from the report.
    fn read<'a, T: Default>(&'a self, read: impl FnOnce(inventory::Package<'a>) -> T) -> T {
        self.report.inventory.package(self.index).map(read).unwrap_or_default()
    }
}

#[pymethods]
impl Package {
    /// The name as its world writes it.
    #[getter]
    fn name(&self) -> &str {
        self.read(|package| package.name())
    }

    /// The version as it was written.
    #[getter]
    fn version(&self) -> &str {
        self.read(|package| package.version())
    }

    /// The type, as in package URLs.
    #[getter]
    fn r#type(&self) -> &'static str {
        self.read(|package| package.kind().as_str())
    }

    /// The OSV ecosystem, such as ``Debian:12``; None where OSV has none.
    #[getter]
    fn ecosystem(&self) -> Option<&str> {
        self.read(|package| package.ecosystem())
    }

    /// The package URL.
    #[getter]
    fn purl(&self) -> String {
        self.read(|package| package.purl())
    }

    /// The name and the version of the package that it was built from.
    #[getter]
    fn source(&self) -> Option<(&str, &str)> {
        self.read(|package| package.source())
    }

    /// The licences as they were written.
    #[getter]
    fn licenses(&self) -> Vec<&str> {
        self.read(|package| package.licenses().collect())
    }

    /// Where it was found: a path, and the index of the layer.
    #[getter]
    fn locations(&self) -> Vec<(&str, u32)> {
        self.read(|package| package.locations().map(|location| (location.path, location.layer)).collect())
    }

    /// The package URL of the package of the distribution that its files belong to; None where nobody owns it.
    #[getter]
    fn owned_by(&self) -> Option<String> {
        self.read(|package| package.owner().map(|owner| owner.purl()))
    }

    fn __repr__(&self) -> String {
        format!("<Package {}>", self.purl())
    }
}

/// A vulnerability of one package.
#[pyclass(frozen, module = "tidewaiter")]
pub(crate) struct Finding {
    report: tidewaiter_facade::Report,
    index: usize,
}

impl Finding {
    /// Reads from the finding; it is there, since the index came from the report.
    fn read<'a, T: Default>(&'a self, read: impl FnOnce(&'a finding::Finding) -> T) -> T {
        self.report.findings.get(self.index).map(read).unwrap_or_default()
    }
}

#[pymethods]
impl Finding {
    /// The CVE where there is exactly one, else the id of the advisory.
    #[getter]
    fn id(&self) -> &str {
        self.read(|finding| finding.id.as_str())
    }

    /// The other ids of the same vulnerability.
    #[getter]
    fn aliases(&self) -> Vec<String> {
        self.read(|finding| finding.aliases.clone())
    }

    /// What an advisory that bundles several vulnerabilities stands for.
    #[getter]
    fn upstream(&self) -> Vec<String> {
        self.read(|finding| finding.upstream.clone())
    }

    /// The package that it concerns.
    #[getter]
    fn package(&self) -> Package {
        Package { report: self.report.clone(), index: self.read(|finding| finding.package_index) }
    }

    /// ``affected``, or ``indeterminate`` where versions could not be compared.
    #[getter]
    fn status(&self) -> String {
        self.read(|finding| finding.status.to_string())
    }

    /// The versions in which it is fixed, the nearest first.
    #[getter]
    fn fixed(&self) -> Vec<String> {
        self.read(|finding| finding.fixed.clone())
    }

    /// How bad it is, and who says so.
    #[getter]
    fn severity(&self) -> Severity {
        Severity(self.read(|finding| finding.severity.clone()))
    }

    /// Which record, range and event decided.
    #[getter]
    fn evidence(&self) -> Evidence {
        let finding::Evidence { record, range, event } = self.read(|finding| finding.evidence.clone());
        Evidence { record, range, event }
    }

    fn __repr__(&self) -> String {
        self.read(|finding| format!("<Finding {} {} in {}>", finding.severity, finding.id, finding.package))
    }
}

/// Which record, range and event decided about a finding.
#[pyclass(frozen, get_all, module = "tidewaiter")]
pub(crate) struct Evidence {
    /// The id of the OSV record.
    record: String,
    /// The range, such as ``ECOSYSTEM introduced 0, fixed 3.0.16-1~deb12u1``, or ``versions``.
    range: String,
    /// The event, such as ``fixed 3.0.16-1~deb12u1``, or why nothing could be compared.
    event: String,
}

#[pymethods]
impl Evidence {
    fn __repr__(&self) -> String {
        format!("<Evidence {}: {}>", self.record, self.event)
    }
}

/// The distribution that an image is made of.
#[pyclass(frozen, get_all, module = "tidewaiter")]
pub(crate) struct Distro {
    /// Such as ``debian``.
    id: String,
    /// Such as ``12``; empty where there is none.
    version: String,
    /// Its name for people.
    name: String,
    /// The OSV ecosystem of its packages, such as ``Debian:12``; None where OSV has none.
    ecosystem: Option<String>,
}

#[pymethods]
impl Distro {
    fn __repr__(&self) -> String {
        format!("<Distro {} {}>", self.id, self.version)
    }
}

/// One layer of an image.
#[pyclass(frozen, get_all, module = "tidewaiter")]
pub(crate) struct Layer {
    /// Its digest.
    digest: String,
    /// Its bytes, packed; None where the source does not say.
    size: Option<u64>,
    /// The command that made it, as the history of the image says.
    created_by: Option<String>,
}

#[pymethods]
impl Layer {
    fn __repr__(&self) -> String {
        format!("<Layer {}>", self.digest)
    }
}

/// What a scan cost.
#[pyclass(frozen, get_all, module = "tidewaiter")]
pub(crate) struct Stats {
    /// Bytes of blobs fetched from the source.
    bytes_fetched: u64,
    /// Layers fetched from the source.
    layers_fetched: u64,
    /// Layers whose result was stored already.
    layers_from_cache: u64,
    /// Layers that one pass could not understand.
    layers_read_twice: u64,
    /// Peak resident memory of the whole process in bytes.
    peak_memory_bytes: u64,
    /// Wall times: ``fetch`` and ``total``.
    seconds: BTreeMap<&'static str, f64>,
    /// Findings of owned packages, left out unless asked for.
    owned_findings: u64,
}

#[pymethods]
impl Stats {
    fn __repr__(&self) -> String {
        format!("<Stats {} bytes, {} layers fetched>", self.bytes_fetched, self.layers_fetched)
    }
}

/// A rating, and where it comes from.
#[pyclass(frozen, module = "tidewaiter")]
pub(crate) struct Severity(tidewaiter::model::severity::Severity);

#[pymethods]
impl Severity {
    /// ``critical``, ``high``, ``medium``, ``low``, ``negligible``, ``none`` or ``unknown``.
    #[getter]
    fn rating(&self) -> &'static str {
        self.0.rating.as_str()
    }

    /// The CVSS score.
    #[getter]
    fn score(&self) -> Option<f64> {
        self.0.score
    }

    /// The CVSS vector, or the distribution's own word.
    #[getter]
    fn vector(&self) -> Option<&str> {
        self.0.vector.as_deref()
    }

    /// Who said so.
    #[getter]
    fn source(&self) -> Option<&str> {
        self.0.source.as_deref()
    }

    fn __str__(&self) -> &'static str {
        self.0.rating.as_str()
    }

    fn __repr__(&self) -> String {
        format!("<Severity {}>", self.0.rating)
    }
}

/// Something that could not be looked at.
#[pyclass(frozen, get_all, module = "tidewaiter")]
pub(crate) struct Problem {
    /// What kind of thing it is, such as ``limit-exceeded``.
    kind: &'static str,
    /// One line.
    message: String,
    /// The file.
    path: Option<String>,
    /// The layer, by its index from the base.
    layer: Option<u32>,
}

#[pymethods]
impl Problem {
    fn __repr__(&self) -> String {
        format!("<Problem {}: {}>", self.kind, self.message)
    }
}
