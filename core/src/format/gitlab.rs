//! The report as GitLab's container scanning takes it (`gl-container-scanning-report.json`). Several reports are one document: each
//! vulnerability names its image.
//!
//! The schema is 15.0.7, since GitLab refuses one that is newer than itself (17.2 did not take 15.2.1), and does not take a report at all
//! that breaks its schema. Hence texts are cut to what it allows, and a CVSS vector is written only where it matches, which one of version
//! 4 never does. There is no clock here: the times are the youngest that the report knows, when the image or the advisories were built.
//! Sorted by image, package, id.
//!
//! Source: the JSON schema of GitLab's container scanning reports, version 15.0.7.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{BufWriter, Write};

use serde::Serialize;
use serde::ser::{SerializeStruct as _, Serializer};

use super::Format;
use super::text::{self, cut, plain};
use crate::error::Result;
use crate::model::digest::Digest;
use crate::model::finding::Finding;
use crate::model::report::Report;
use crate::model::severity::Rating;

/// The format.
pub static FORMAT: Format =
    Format { id: "gitlab", extensions: &["gitlab.json", "gl-container-scanning-report.json"], write };

/// The version of the schema.
const VERSION: &str = "15.0.7";
/// The most characters of a name.
const NAME: usize = 255;
/// The most characters of a description; the schema allows 1,048,576.
const DESCRIPTION: usize = 20_000;
/// The most characters of what to do about it.
const SOLUTION: usize = 7_000;
/// The most ids that GitLab keeps.
const IDENTIFIERS: usize = 20;
/// The most places of a package that are listed.
const PLACES: usize = 20;

fn write(reports: &[&Report], output: &mut dyn Write) -> Result<()> {
    let mut output = BufWriter::new(output);
    text::write_json(&Document(reports), &mut output)?;
    output.flush()?;
    Ok(())
}

struct Document<'a>(&'a [&'a Report]);

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Document", 3)?;
        object.serialize_field("version", VERSION)?;
        object.serialize_field("scan", &Scan::new(self.0))?;
        object.serialize_field("vulnerabilities", &Vulnerabilities(self.0))?;
        object.end()
    }
}

#[derive(Serialize)]
struct Scan {
    analyzer: Scanner,
    scanner: Scanner,
    start_time: String,
    end_time: String,
    status: &'static str,
    r#type: &'static str,
    messages: Vec<Message>,
}

#[derive(Clone, Copy, Serialize)]
struct Scanner {
    id: &'static str,
    name: &'static str,
    url: &'static str,
    version: &'static str,
    vendor: Vendor,
}

#[derive(Clone, Copy, Serialize)]
struct Vendor {
    name: &'static str,
}

#[derive(Serialize)]
struct Message {
    level: &'static str,
    value: String,
}

impl Scan {
    fn new(reports: &[&Report]) -> Self {
        let scanner = Scanner {
            id: "tidewaiter",
            name: "Tidewaiter",
            url: env!("CARGO_PKG_REPOSITORY"),
            version: env!("CARGO_PKG_VERSION"),
            vendor: Vendor { name: "Tidewaiter" },
        };
        let time = text::time(reports).strftime("%Y-%m-%dT%H:%M:%S").to_string();
        // Nothing found is not the same as nothing looked up.
        let is_matched = reports.iter().all(|report| report.provenance.advisories.is_some());
        let messages = reports.iter().flat_map(|report| {
            report.problems.iter().map(|problem| Message {
                level: if problem.kind.is_incomplete() { "warn" } else { "info" },
                value: format!("{}: {}", text::image(report), text::problem(problem)),
            })
        });
        Self {
            analyzer: scanner,
            scanner,
            start_time: time.clone(),
            end_time: time,
            status: if is_matched { "success" } else { "failure" },
            r#type: "container_scanning",
            messages: messages.collect(),
        }
    }
}

struct Vulnerabilities<'a>(&'a [&'a Report]);

impl Serialize for Vulnerabilities<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let all = self.0.iter().flat_map(|report| report.findings.iter().map(move |finding| (*report, finding)));
        serializer.collect_seq(all.map(|(report, finding)| Vulnerability::new(report, finding)))
    }
}

#[derive(Serialize)]
struct Vulnerability<'a> {
    id: String,
    name: String,
    description: String,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    solution: Option<String>,
    identifiers: Vec<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cvss_vectors: Option<[Cvss<'a>; 1]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    details: BTreeMap<&'static str, Detail>,
    location: Location<'a>,
}

#[derive(Serialize)]
struct Identifier {
    r#type: &'static str,
    name: String,
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

#[derive(Serialize)]
struct Cvss<'a> {
    vendor: Cow<'a, str>,
    vector: &'a str,
}

#[derive(Serialize)]
struct Link {
    name: String,
    url: String,
}

#[derive(Serialize)]
struct Detail {
    name: &'static str,
    r#type: &'static str,
    items: Vec<Text>,
}

#[derive(Serialize)]
struct Text {
    r#type: &'static str,
    value: String,
}

#[derive(Serialize)]
struct Location<'a> {
    dependency: Dependency<'a>,
    operating_system: String,
    image: Cow<'a, str>,
}

#[derive(Serialize)]
struct Dependency<'a> {
    package: Package<'a>,
    version: Cow<'a, str>,
}

#[derive(Serialize)]
struct Package<'a> {
    name: Cow<'a, str>,
}

impl<'a> Vulnerability<'a> {
    fn new(report: &'a Report, finding: &'a Finding) -> Self {
        let package = text::package(report, finding);
        let description = format!("{} Severity {}.", text::verdict(report, finding), text::severity(finding));
        let ids = std::iter::once(finding.id.as_str()).chain(text::other_ids(finding)).take(IDENTIFIERS);
        let places = text::locations(report, finding).take(PLACES);
        let items: Vec<_> = places.map(|place| Text { r#type: "text", value: text::place(report, &place) }).collect();
        let found = (!items.is_empty()).then_some(("found_in", Detail { name: "Found in", r#type: "list", items }));
        let links = text::page(&finding.id).map(|url| Link { name: plain(&finding.id).into_owned(), url });
        Self {
            id: uuid(report, finding),
            name: cut(&plain(&finding.id), NAME).into_owned(),
            description: cut(&description, DESCRIPTION).into_owned(),
            severity: severity(finding.severity.rating),
            solution: text::fix(report, finding).map(|fix| cut(&fix, SOLUTION).into_owned()),
            identifiers: ids.map(identifier).collect(),
            cvss_vectors: vector(finding).map(|vector| {
                let vendor = finding.severity.source.as_deref().filter(|source| !source.is_empty());
                [Cvss { vendor: plain(vendor.unwrap_or("unknown")), vector }]
            }),
            links: links.into_iter().collect(),
            details: found.into_iter().collect(),
            location: Location {
                dependency: Dependency { package: Package { name: package.name }, version: package.version },
                operating_system: text::distro(report).unwrap_or_else(|| "unknown".to_owned()),
                image: match plain(&report.subject.reference) {
                    image if image.is_empty() => "unknown".into(),
                    image => image,
                },
            },
        }
    }
}

/// A UUID (RFC 9562, version 8) of what the vulnerability is: the same in every report of this image.
fn uuid(report: &Report, finding: &Finding) -> String {
    let subject = &report.subject;
    let platform = subject.platform.to_string();
    let parts = [&subject.reference, subject.digest.as_str(), &platform, &finding.id, &finding.package];
    let digest = Digest::of(parts.join("\0").as_bytes());
    let part = |from: usize, to: usize| digest.hex().get(from..to).unwrap_or_default();
    format!("{}-{}-8{}-a{}-{}", part(0, 8), part(8, 12), part(12, 15), part(15, 18), part(18, 30))
}

fn identifier(id: &str) -> Identifier {
    let shown = match plain(id) {
        id if id.is_empty() => "unknown".to_owned(),
        id => id.into_owned(),
    };
    Identifier { r#type: kind(id), name: shown.clone(), value: shown, url: text::page(id) }
}

/// What kind of an id it is, in the words that GitLab knows; `osv` for all others.
fn kind(id: &str) -> &'static str {
    let known = ["cve", "ghsa", "dsa", "usn", "rhsa"];
    let prefix = id.split('-').next().unwrap_or_default();
    known.into_iter().find(|known| prefix.eq_ignore_ascii_case(known)).unwrap_or("osv")
}

fn severity(rating: Rating) -> &'static str {
    match rating {
        Rating::Critical => "Critical",
        Rating::High => "High",
        Rating::Medium => "Medium",
        Rating::Low => "Low",
        Rating::Negligible | Rating::None => "Info",
        Rating::Unknown => "Unknown",
    }
}

/// The metrics of CVSS 3.0 and 3.1 and the values that the schema allows, one letter a value.
const V3: &[(&str, &str)] = &[
    ("AV", "NALP"),
    ("AC", "LH"),
    ("PR", "NLH"),
    ("UI", "NR"),
    ("S", "UC"),
    ("C", "NLH"),
    ("I", "NLH"),
    ("A", "NLH"),
    ("E", "XUPFH"),
    ("RL", "XOTWU"),
    ("RC", "XURC"),
    ("CR", "XLMH"),
    ("IR", "XLMH"),
    ("AR", "XLMH"),
    ("MAV", "XNALP"),
    ("MAC", "XLH"),
    ("MPR", "XNLH"),
    ("MUI", "XNR"),
    ("MS", "XUC"),
    ("MC", "XNLH"),
    ("MI", "XNLH"),
    ("MA", "XNLH"),
];
/// The metrics of CVSS 2.0 that advisories have: the base ones.
const V2: &[(&str, &str)] = &[("AV", "NAL"), ("AC", "LMH"), ("Au", "MSN"), ("C", "NPC"), ("I", "NPC"), ("A", "NPC")];

/// The CVSS vector of a finding, where the schema takes it.
fn vector(finding: &Finding) -> Option<&str> {
    let vector = finding.severity.vector.as_deref()?;
    let (metrics, known, shortest) = match vector.strip_prefix("CVSS:3.0/").or_else(|| vector.strip_prefix("CVSS:3.1/"))
    {
        Some(metrics) => (metrics, V3, 32),
        None => (vector, V2, 16),
    };
    let is_known = |metric: &str| {
        metric.split_once(':').is_some_and(|(name, value)| {
            value.len() == 1 && known.iter().any(|(known, values)| *known == name && values.contains(value))
        })
    };
    ((shortest..=128).contains(&vector.len()) && metrics.split('/').all(is_known)).then_some(vector)
}
