//! The report as SARIF 2.1.0, for code scanning. Several reports are several runs of one log, each with a category of its own.
//!
//! What GitHub asks for beyond the standard is kept: a rule has its severity as text in `security-severity`, a result a place with
//! a region and a fingerprint, and a run at most 25,000 results; where there are more, the worst are kept and a notification says so.
//! Neither tag, digest nor version of a package is part of a fingerprint or a path, so that an alert stays the same one from build to
//! build. What could not be looked at is told as notifications. Sorted: rules by id; results by package, id.
//!
//! Sources: SARIF 2.1.0 (OASIS, errata 01); GitHub's documentation, "SARIF support for code scanning".

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{BufWriter, Write};

use serde::Serialize;
use serde::ser::{SerializeStruct as _, Serializer};

use super::Format;
use super::markdown::code;
use super::text::{self, plain};
use crate::error::Result;
use crate::model::digest::Digest;
use crate::model::finding::Finding;
use crate::model::inventory::Location;
use crate::model::report::Report;
use crate::model::severity::{Rating, Severity};

/// The format.
pub static FORMAT: Format = Format { id: "sarif", extensions: &["sarif", "sarif.json"], write };

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The most results of a run that GitHub takes.
const RESULTS: usize = 25_000;
/// The most places of a result that GitHub takes.
const PLACES: usize = 1_000;
/// The most characters of a description; GitHub takes 1,024.
const DESCRIPTION: usize = 1_000;
/// The most findings that the help of a rule lists.
const LISTED: usize = 20;

fn write(reports: &[&Report], output: &mut dyn Write) -> Result<()> {
    let mut output = BufWriter::new(output);
    text::write_json(&Log(reports), &mut output)?;
    output.flush()?;
    Ok(())
}

struct Log<'a>(&'a [&'a Report]);

impl Serialize for Log<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Log", 3)?;
        object.serialize_field("$schema", SCHEMA)?;
        object.serialize_field("version", "2.1.0")?;
        object.serialize_field("runs", &Runs(self.0))?;
        object.end()
    }
}

struct Runs<'a>(&'a [&'a Report]);

impl Serialize for Runs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Two runs of one category would replace one another.
        let mut taken: HashMap<String, usize> = HashMap::new();
        serializer.collect_seq(self.0.iter().map(|report| {
            let repository = text::repository(&report.subject.reference);
            let mut category =
                format!("tidewaiter/{}/{}", plain(&repository), plain(&report.subject.platform.to_string()));
            let times = taken.entry(category.clone()).or_default();
            *times += 1;
            if *times > 1 {
                category = format!("{category}/{times}");
            }
            Run::new(report, category)
        }))
    }
}

/// The log of one image.
struct Run<'a> {
    report: &'a Report,
    category: String,
    /// The findings that become results, in the order of the report.
    findings: Vec<&'a Finding>,
    /// The advisories, by id.
    rules: Vec<Rule<'a>>,
}

/// An advisory, and the findings of it.
struct Rule<'a> {
    report: &'a Report,
    id: &'a str,
    findings: Vec<&'a Finding>,
    /// The worst of them.
    worst: &'a Finding,
}

impl<'a> Run<'a> {
    fn new(report: &'a Report, category: String) -> Self {
        let mut findings: Vec<&Finding> = report.findings.iter().collect();
        if findings.len() > RESULTS {
            let mut worst: Vec<_> = findings.into_iter().enumerate().collect();
            worst.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.severity.rating));
            worst.truncate(RESULTS);
            worst.sort_by_key(|(at, _)| *at);
            findings = worst.into_iter().map(|(_, finding)| finding).collect();
        }
        let mut rules: BTreeMap<&str, Rule<'_>> = BTreeMap::new();
        for finding in &findings {
            let rule = rules.entry(&finding.id).or_insert_with(|| Rule {
                report,
                id: &finding.id,
                findings: Vec::new(),
                worst: finding,
            });
            rule.findings.push(finding);
            if score(&finding.severity) > score(&rule.worst.severity) {
                rule.worst = finding;
            }
        }
        Self { report, category, findings, rules: rules.into_values().collect() }
    }
}

impl Serialize for Run<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let report = self.report;
        let driver = Driver {
            name: "Tidewaiter",
            semantic_version: env!("CARGO_PKG_VERSION"),
            information_uri: env!("CARGO_PKG_REPOSITORY"),
            rules: &self.rules,
        };
        let mut object = serializer.serialize_struct("Run", 6)?;
        object.serialize_field("tool", &Tool { driver })?;
        object.serialize_field("automationDetails", &AutomationDetails { id: format!("{}/", self.category) })?;
        object.serialize_field("invocations", &[Invocation::new(self)])?;
        object.serialize_field("results", &Results(self))?;
        object.serialize_field("columnKind", "unicodeCodePoints")?;
        object.serialize_field(
            "properties",
            &RunProperties {
                image: plain(&report.subject.reference).into_owned(),
                digest: report.subject.digest.as_str(),
                index: report.subject.index.as_ref().map(Digest::as_str),
                platform: plain(&report.subject.platform.to_string()).into_owned(),
                distribution: text::distro(report),
                advisories: report
                    .provenance
                    .advisories
                    .as_ref()
                    .map(|advisories| plain(&advisories.built).into_owned()),
            },
        )?;
        object.end()
    }
}

#[derive(Serialize)]
struct Tool<'a> {
    driver: Driver<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver<'a> {
    name: &'static str,
    semantic_version: &'static str,
    information_uri: &'static str,
    rules: &'a [Rule<'a>],
}

#[derive(Serialize)]
struct AutomationDetails {
    id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RunProperties<'a> {
    image: String,
    digest: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<&'a str>,
    platform: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    distribution: Option<String>,
    /// When the advisories were built that were matched with.
    #[serde(skip_serializing_if = "Option::is_none")]
    advisories: Option<String>,
}

#[derive(Serialize)]
struct Message {
    text: String,
}

impl Message {
    /// `](` would make a link of what is said, and `{0` a place for an argument (SARIF 2.1.0, 3.11.5 and 3.11.6): a space between
    /// them keeps it what it is.
    fn new(text: &str) -> Self {
        let mut harmless = String::with_capacity(text.len());
        let mut before = ' ';
        for character in text.chars() {
            if (before == ']' && character == '(') || (before == '{' && character.is_ascii_digit()) {
                harmless.push(' ');
            }
            harmless.push(character);
            before = character;
        }
        Self { text: harmless }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Serialize)]
struct Notification {
    descriptor: Descriptor,
    level: &'static str,
    message: Message,
}

#[derive(Serialize)]
struct Descriptor {
    id: &'static str,
}

impl Invocation {
    fn new(run: &Run<'_>) -> Self {
        let told = |id, is_error, text: &str| Notification {
            descriptor: Descriptor { id },
            level: if is_error { "error" } else { "warning" },
            message: Message::new(text),
        };
        let problems = run.report.problems.iter();
        let mut notifications: Vec<_> = problems
            .map(|problem| told(problem.kind.as_str(), problem.kind.is_incomplete(), &text::problem(problem)))
            .collect();
        let left_out = run.report.findings.len() - run.findings.len();
        if left_out > 0 {
            let text =
                format!("A run has at most {RESULTS} results: {left_out} of the least severe findings are left out.");
            notifications.push(told("results-left-out", false, &text));
        }
        Self { execution_successful: run.report.is_complete(), tool_execution_notifications: notifications }
    }
}

impl Serialize for Rule<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Help {
            text: String,
            markdown: String,
        }
        #[derive(Serialize)]
        struct Configuration {
            level: &'static str,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "kebab-case")]
        struct Properties {
            #[serde(skip_serializing_if = "Option::is_none")]
            security_severity: Option<String>,
            precision: &'static str,
            tags: [&'static str; 3],
        }
        let (worst, id) = (self.worst, plain(self.id));
        let page = text::page(self.id).or_else(|| text::page(&worst.evidence.record));
        let mut names: Vec<_> = self.findings.iter().map(|finding| text::package(self.report, finding).name).collect();
        names.dedup();
        let first = names.first().map(AsRef::as_ref).unwrap_or_default();
        let short = match names.len() {
            0 | 1 => format!("{id} in {first}"),
            more => format!("{id} in {first} and {}", text::count(more - 1, "other package")),
        };
        let others: Vec<_> = text::other_ids(worst).map(|id| plain(id).into_owned()).collect();
        let also = if others.is_empty() { String::new() } else { format!(" Also known as {}.", others.join(", ")) };
        let full = format!("{id}: severity {}.{also}", text::severity(worst));
        let mut object = serializer.serialize_struct("ReportingDescriptor", 8)?;
        object.serialize_field("id", &id)?;
        object.serialize_field("name", "VulnerablePackage")?;
        object.serialize_field("shortDescription", &Message::new(&text::cut(&short, DESCRIPTION)))?;
        object.serialize_field("fullDescription", &Message::new(&text::cut(&full, DESCRIPTION)))?;
        match &page {
            Some(page) => object.serialize_field("helpUri", page)?,
            None => object.skip_field("helpUri")?,
        }
        object.serialize_field(
            "help",
            &Help {
                text: Message::new(&self.help(&full, page.as_deref())).text,
                markdown: self.markdown(page.as_deref()),
            },
        )?;
        object.serialize_field("defaultConfiguration", &Configuration { level: level(worst.severity.rating) })?;
        object.serialize_field(
            "properties",
            &Properties {
                security_severity: score(&worst.severity).map(|score| format!("{score:.1}")),
                precision: "high",
                tags: ["security", "vulnerability", worst.severity.rating.as_str()],
            },
        )?;
        object.end()
    }
}

impl Rule<'_> {
    /// What to do about it, as text.
    fn help(&self, full: &str, page: Option<&str>) -> String {
        let mut help = full.to_owned();
        for finding in self.findings.iter().take(LISTED) {
            help.push('\n');
            help.push_str(&text::fix(self.report, finding).unwrap_or_else(|| {
                format!("No version of {} is known that fixes it.", text::package(self.report, finding).name)
            }));
        }
        if let Some(page) = page {
            help.push('\n');
            help.push_str(page);
        }
        help
    }

    /// The same as Markdown.
    fn markdown(&self, page: Option<&str>) -> String {
        let id = code(self.id);
        let linked = page.map_or_else(|| id.clone(), |page| format!("[{id}]({page})"));
        let mut lines = vec![format!("{linked}: severity {}", code(&text::severity(self.worst)))];
        let others: Vec<_> = text::other_ids(self.worst).take(LISTED).map(code).collect();
        if !others.is_empty() {
            lines.push(format!("\nAlso known as {}", others.join(", ")));
        }
        lines.push("\n| package | version | fixed in |\n| --- | --- | --- |".to_owned());
        for finding in self.findings.iter().take(LISTED) {
            let package = text::package(self.report, finding);
            let fixed = finding.fixed.first().map_or("-".to_owned(), |version| code(version));
            lines.push(format!("| {} | {} | {fixed} |", code(&package.name), code(&package.version)));
        }
        if self.findings.len() > LISTED {
            lines.push(format!("\nand {} more", self.findings.len() - LISTED));
        }
        lines.join("\n")
    }
}

struct Results<'a>(&'a Run<'a>);

impl Serialize for Results<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let run = self.0;
        let repository = text::repository(&run.report.subject.reference);
        // Two results may differ in nothing but a version: the number behind the colon tells them apart.
        let mut seen: HashMap<Digest, usize> = HashMap::new();
        serializer.collect_seq(run.findings.iter().map(|finding| {
            let identity = identity(run.report, finding, &repository);
            let times = seen.entry(identity.clone()).or_default();
            *times += 1;
            let fingerprint = format!("{}:{times}", identity.hex().get(..32).unwrap_or_default());
            let rule = run.rules.binary_search_by(|rule| rule.id.cmp(&finding.id)).unwrap_or_default();
            ResultObject { report: run.report, repository: &repository, finding, rule, fingerprint }
        }))
    }
}

/// What makes a finding the same one in the next build of the image.
fn identity(report: &Report, finding: &Finding, repository: &str) -> Digest {
    let package = text::package(report, finding);
    let path = text::locations(report, finding).next().map_or("", |location| location.path);
    let parts = [repository, &finding.id, package.kind, &package.name, &package.architecture, path];
    Digest::of(parts.join("\0").as_bytes())
}

struct ResultObject<'a> {
    report: &'a Report,
    repository: &'a str,
    finding: &'a Finding,
    rule: usize,
    fingerprint: String,
}

impl Serialize for ResultObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Fingerprints<'a> {
            primary_location_line_hash: &'a str,
        }
        #[derive(Serialize)]
        struct Properties<'a> {
            purl: Cow<'a, str>,
            status: String,
            severity: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            score: Option<f64>,
            fixed: Vec<Cow<'a, str>>,
            record: Cow<'a, str>,
        }
        let finding = self.finding;
        let mut object = serializer.serialize_struct("Result", 7)?;
        object.serialize_field("ruleId", &plain(&finding.id))?;
        object.serialize_field("ruleIndex", &self.rule)?;
        object.serialize_field("level", level(finding.severity.rating))?;
        object.serialize_field("message", &Message::new(&self.message()))?;
        object.serialize_field("locations", &Places(self))?;
        object
            .serialize_field("partialFingerprints", &Fingerprints { primary_location_line_hash: &self.fingerprint })?;
        object.serialize_field(
            "properties",
            &Properties {
                purl: plain(&finding.package),
                status: finding.status.to_string(),
                severity: finding.severity.rating.as_str(),
                score: finding.severity.score,
                fixed: finding.fixed.iter().map(|version| plain(version)).collect(),
                record: plain(&finding.evidence.record),
            },
        )?;
        object.end()
    }
}

impl ResultObject<'_> {
    fn message(&self) -> String {
        let (report, finding) = (self.report, self.finding);
        let fix = text::fix(report, finding).unwrap_or_else(|| "No version is known in which it is fixed.".to_owned());
        let mut places = text::locations(report, finding);
        let place =
            places.next().map(|place| format!(" Found in {}.", text::place(report, &place))).unwrap_or_default();
        let more = places.count();
        let more = if more > 0 { format!(" And in {}.", text::count(more, "other place")) } else { String::new() };
        format!(
            "{} Severity {}. {fix} Image {}.{place}{more}",
            text::verdict(report, finding),
            text::severity(finding),
            text::image(report)
        )
    }
}

struct Places<'a>(&'a ResultObject<'a>);

impl Serialize for Places<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let result = self.0;
        let mut places = text::locations(result.report, result.finding).take(PLACES).map(Some).peekable();
        // A result without a place is refused: one that has none is of the image as a whole.
        let none = places.peek().is_none().then_some(None);
        serializer.collect_seq(places.chain(none).map(|location| Place { result, location }))
    }
}

struct Place<'a> {
    result: &'a ResultObject<'a>,
    location: Option<Location<'a>>,
}

impl Serialize for Place<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct PhysicalLocation {
            artifact_location: ArtifactLocation,
            region: Region,
        }
        #[derive(Serialize)]
        struct ArtifactLocation {
            uri: String,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Region {
            start_line: u32,
            start_column: u32,
            end_line: u32,
            end_column: u32,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct LogicalLocation {
            name: String,
            fully_qualified_name: String,
        }
        let Self { result, location } = self;
        let path = location.map_or("", |location| location.path);
        let parts =
            result.repository.split('/').chain(path.split('/')).filter(|part| !matches!(*part, "" | "." | ".."));
        let uri = parts.map(text::percent).collect::<Vec<_>>().join("/");
        let layer = location.and_then(|location| result.report.layers.get(location.layer as usize));
        let layer = layer.map_or(String::new(), |layer| format!("@{}", layer.digest));
        let logical = LogicalLocation {
            name: text::package(result.report, result.finding).to_string(),
            fully_qualified_name: format!("{}{layer}:/{}", plain(&result.report.subject.reference), plain(path)),
        };
        let region = Region { start_line: 1, start_column: 1, end_line: 1, end_column: 1 };
        let mut object = serializer.serialize_struct("Location", 2)?;
        object.serialize_field(
            "physicalLocation",
            &PhysicalLocation { artifact_location: ArtifactLocation { uri }, region },
        )?;
        object.serialize_field("logicalLocations", &[logical])?;
        object.end()
    }
}

fn level(rating: Rating) -> &'static str {
    match rating {
        Rating::Critical | Rating::High => "error",
        Rating::Medium => "warning",
        Rating::Low | Rating::Negligible | Rating::None | Rating::Unknown => "note",
    }
}

/// The number by which GitHub sorts alerts into critical, high, medium and low. Where there is only a word, one from the middle of
/// what the word means; none where nobody said how bad it is.
fn score(severity: &Severity) -> Option<f64> {
    severity.score.or(match severity.rating {
        Rating::Critical => Some(9.5),
        Rating::High => Some(8.0),
        Rating::Medium => Some(5.5),
        Rating::Low => Some(2.0),
        Rating::Negligible => Some(0.1),
        Rating::None => Some(0.0),
        Rating::Unknown => None,
    })
}
