//! The report: read by accessors. What they return is borrowed from the report.

use std::ffi::{CString, c_char};
use std::sync::OnceLock;

use tidewaiter::{Error, Kind, Result};
use tidewaiter_facade::{Report, read_report_file};

use crate::boundary::{empty, give, object, optional, required, status, value};
use crate::error::{tw_error, tw_status};
use crate::text::{lent, owned};

/// The report of one image of one platform. Texts that its functions return live as long as it does. An index that is too large gives
/// NULL. Reading it from several threads at once is fine.
pub struct tw_report {
    report: Report,
    next: Option<Box<tw_report>>,
    json: OnceLock<Option<CString>>,
    subject: OnceLock<Subject>,
    packages: OnceLock<Vec<Package>>,
    findings: OnceLock<Vec<Finding>>,
    problems: OnceLock<Vec<Problem>>,
}

struct Subject {
    reference: CString,
    digest: CString,
    platform: CString,
}

struct Package {
    name: CString,
    version: CString,
    kind: CString,
    ecosystem: Option<CString>,
    purl: CString,
}

struct Finding {
    id: CString,
    package: CString,
    status: CString,
    severity: CString,
    fixed: Option<CString>,
}

struct Problem {
    kind: CString,
    message: CString,
    path: Option<CString>,
}

impl tw_report {
    /// The reports of one scan, each with the next one behind it.
    pub(crate) fn chain(reports: Vec<Report>) -> Result<Self> {
        let chained = reports.into_iter().rev().fold(None, |next, report| {
            Some(Box::new(Self {
                report,
                next,
                json: OnceLock::new(),
                subject: OnceLock::new(),
                packages: OnceLock::new(),
                findings: OnceLock::new(),
                problems: OnceLock::new(),
            }))
        });
        chained.map(|first| *first).ok_or_else(|| Error::new(Kind::Internal, "a scan gave no report"))
    }

    fn subject(&self) -> &Subject {
        self.subject.get_or_init(|| Subject {
            reference: owned(&self.report.subject.reference),
            digest: owned(self.report.subject.digest.as_str()),
            platform: owned(&self.report.subject.platform.to_string()),
        })
    }

    fn package(&self, index: usize) -> Option<&Package> {
        let packages = self.packages.get_or_init(|| {
            let packages = self.report.inventory.packages().map(|package| Package {
                name: owned(package.name()),
                version: owned(package.version()),
                kind: owned(package.kind().as_str()),
                ecosystem: package.ecosystem().map(owned),
                purl: owned(&package.purl()),
            });
            packages.collect()
        });
        packages.get(index)
    }

    fn finding(&self, index: usize) -> Option<&Finding> {
        let findings = self.findings.get_or_init(|| {
            let findings = self.report.findings.iter().map(|finding| Finding {
                id: owned(&finding.id),
                package: owned(&finding.package),
                status: owned(&finding.status.to_string()),
                severity: owned(finding.severity.rating.as_str()),
                fixed: finding.fixed.first().map(|fixed| owned(fixed)),
            });
            findings.collect()
        });
        findings.get(index)
    }

    fn problem(&self, index: usize) -> Option<&Problem> {
        let problems = self.problems.get_or_init(|| {
            let problems = self.report.problems.iter().map(|problem| Problem {
                kind: owned(problem.kind.as_str()),
                message: owned(&problem.message),
                path: problem.path.as_deref().map(owned),
            });
            problems.collect()
        });
        problems.get(index)
    }
}

/// Reads the reports in a file, as a scan writes them in JSON (`tw_report_write` with `json`, or the command line): one, or several one
/// behind another, which follow with tw_report_next. tw_report_write then writes them in any format.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_read(
    path: *const c_char,
    report: *mut *mut tw_report,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    status(error, || unsafe {
        empty(report)?;
        let path = required(path, "path")?;
        give(report, tw_report::chain(read_report_file(std::path::Path::new(path))?)?)
    })
}

/// The report of the next platform, which belongs to this one; NULL behind the last.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_next(report: *const tw_report) -> *const tw_report {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(std::ptr::null(), || {
        report.and_then(|report| report.next.as_deref()).map_or(std::ptr::null(), std::ptr::from_ref)
    })
}

/// The whole report as JSON (schema `urn:tidewaiter:report:1`). NULL for a NULL report.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_json(report: *const tw_report) -> *const c_char {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(std::ptr::null(), || {
        lent(report.and_then(|report| report.json.get_or_init(|| Some(owned(&report.report.to_json().ok()?))).as_ref()))
    })
}

/// Whether everything of the image was looked at: no problem says that packages or advisories may be missing.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_is_complete(report: *const tw_report) -> bool {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(false, || report.is_some_and(|report| report.report.is_complete()))
}

/// The reference of the image, in full.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_reference(report: *const tw_report) -> *const c_char {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(std::ptr::null(), || lent(report.map(|report| &report.subject().reference)))
}

/// The digest of its manifest.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_digest(report: *const tw_report) -> *const c_char {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(std::ptr::null(), || lent(report.map(|report| &report.subject().digest)))
}

/// Its platform, such as `linux/amd64`.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_platform(report: *const tw_report) -> *const c_char {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(std::ptr::null(), || lent(report.map(|report| &report.subject().platform)))
}

/// How many packages there are.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_package_count(report: *const tw_report) -> usize {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(0, || report.map_or(0, |report| report.report.inventory.len()))
}

/// The name of a package.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_package_name(report: *const tw_report, index: usize) -> *const c_char {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(std::ptr::null(), || lent(report.and_then(|report| Some(&report.package(index)?.name))))
}

/// The version of a package.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_package_version(report: *const tw_report, index: usize) -> *const c_char {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(std::ptr::null(), || lent(report.and_then(|report| Some(&report.package(index)?.version))))
}

/// The type of a package, as in package URLs.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_package_type(report: *const tw_report, index: usize) -> *const c_char {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(std::ptr::null(), || lent(report.and_then(|report| Some(&report.package(index)?.kind))))
}

/// The package URL of a package.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_package_purl(report: *const tw_report, index: usize) -> *const c_char {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(std::ptr::null(), || lent(report.and_then(|report| Some(&report.package(index)?.purl))))
}

/// The OSV ecosystem of a package, such as `Debian:12`; NULL where OSV has none.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_package_ecosystem(report: *const tw_report, index: usize) -> *const c_char {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(std::ptr::null(), || lent(report.and_then(|report| report.package(index)?.ecosystem.as_ref())))
}

/// How many findings there are.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_finding_count(report: *const tw_report) -> usize {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(0, || report.map_or(0, |report| report.report.findings.len()))
}

/// The id of a finding: the CVE where there is exactly one.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_finding_id(report: *const tw_report, index: usize) -> *const c_char {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(std::ptr::null(), || lent(report.and_then(|report| Some(&report.finding(index)?.id))))
}

/// The package URL of the package that a finding concerns.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_finding_package(report: *const tw_report, index: usize) -> *const c_char {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(std::ptr::null(), || lent(report.and_then(|report| Some(&report.finding(index)?.package))))
}

/// The status of a finding: `affected` or `indeterminate`.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_finding_status(report: *const tw_report, index: usize) -> *const c_char {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(std::ptr::null(), || lent(report.and_then(|report| Some(&report.finding(index)?.status))))
}

/// The rating of a finding: `critical`, `high`, `medium`, `low`, `negligible`, `none`, `unknown`.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_finding_severity(report: *const tw_report, index: usize) -> *const c_char {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(std::ptr::null(), || lent(report.and_then(|report| Some(&report.finding(index)?.severity))))
}

/// The nearest version in which a finding is fixed; NULL where there is none.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_finding_fixed(report: *const tw_report, index: usize) -> *const c_char {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(std::ptr::null(), || lent(report.and_then(|report| report.finding(index)?.fixed.as_ref())))
}

/// The CVSS score of a finding; negative where there is none.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_finding_score(report: *const tw_report, index: usize) -> f64 {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(-1.0, || report.and_then(|report| report.report.findings.get(index)?.severity.score).unwrap_or(-1.0))
}

/// How many problems there are: what could not be looked at.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_problem_count(report: *const tw_report) -> usize {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(0, || report.map_or(0, |report| report.report.problems.len()))
}

/// The kind of a problem, such as `limit-exceeded`.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_problem_kind(report: *const tw_report, index: usize) -> *const c_char {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(std::ptr::null(), || lent(report.and_then(|report| Some(&report.problem(index)?.kind))))
}

/// One line that says what a problem is.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_problem_message(report: *const tw_report, index: usize) -> *const c_char {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(std::ptr::null(), || lent(report.and_then(|report| Some(&report.problem(index)?.message))))
}

/// The file of a problem; NULL where it concerns the image.
///
/// # Safety
/// `report` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_problem_path(report: *const tw_report, index: usize) -> *const c_char {
    // SAFETY: the caller vouches for it.
    let report = unsafe { report.as_ref() };
    value(std::ptr::null(), || lent(report.and_then(|report| report.problem(index)?.path.as_ref())))
}

/// Writes the report to a file; `format` is the name of a format, such as `json`, `cyclonedx` or `sarif`, or NULL for what the end of
/// `path` says.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_write(
    report: *const tw_report,
    format: *const c_char,
    path: *const c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    status(error, || unsafe {
        let report = object(report, "report")?;
        let path = required(path, "path")?;
        report.report.write_file(optional(format, "format")?, std::path::Path::new(path))
    })
}

/// Frees a report and those behind it. NULL is fine; those that tw_report_next returned are not freed on their own.
///
/// # Safety
/// `report` is NULL or comes from `tw_scanner_scan` or `tw_report_read`, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_report_free(report: *mut tw_report) {
    value((), || {
        if !report.is_null() {
            // SAFETY: it was made by `Box::into_raw`, and the caller gives it back.
            drop(unsafe { Box::from_raw(report) });
        }
    });
}
