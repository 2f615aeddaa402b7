//! The report as CycloneDX 1.6 in JSON: the packages, and the vulnerabilities that concern them (an SBOM and a VDR in one). One
//! document a report, one document a line.
//!
//! <https://cyclonedx.org/docs/1.6/json/>. What that lacks is a property whose name begins with `tidewaiter:`. The image depends on
//! each of its packages, in the order of the report. One vulnerability an id, sorted by it, with all packages that it affects.

use std::collections::BTreeSet;
use std::io::{BufWriter, Write};

use serde::Serialize;

use super::Format;
use super::identity::{self, Image, Repeated};
use super::json::{List, to_line};
use super::license::License;
use crate::error::Result;
use crate::model::digest::Algorithm;
use crate::model::distro::Distro;
use crate::model::finding::{Finding, Status};
use crate::model::inventory::Package;
use crate::model::package::{Certainty, PackageType};
use crate::model::problem::Problem;
use crate::model::report::Report;
use crate::model::severity::{Rating, Severity};

/// The format.
pub static FORMAT: Format = Format { id: "cyclonedx", extensions: &["cdx.json"], write };

/// The most characters of a version.
const MOST: usize = 1024;
const IMAGE: &str = "image";
const SYSTEM: &str = "operating-system";

fn write(reports: &[&Report], output: &mut dyn Write) -> Result<()> {
    let mut output = BufWriter::new(output);
    for report in reports {
        let writing = Writing::of(report);
        let serial = format!("urn:uuid:{}", identity::uuid(&writing.document(None))?);
        to_line(&writing.document(Some(&serial)), &mut output)?;
    }
    output.flush()?;
    Ok(())
}

/// A report, and what is looked up in it again and again.
struct Writing<'a> {
    report: &'a Report,
    image: Image,
    repeated: Repeated,
    /// The findings by id, those of one id in the order of the report.
    findings: Vec<&'a Finding>,
}

impl<'a> Writing<'a> {
    fn of(report: &'a Report) -> Self {
        let mut findings: Vec<_> = report.findings.iter().collect();
        findings.sort_by(|a, b| a.id.cmp(&b.id));
        let key = |finding: &Finding| (finding.package_index, finding.status);
        findings.dedup_by(|a, b| (&a.id, key(a), &a.fixed) == (&b.id, key(b), &b.fixed));
        Self { report, image: Image::of(report), repeated: Repeated::of(&report.inventory), findings }
    }

    /// The one reference of a package within the document.
    fn reference(&self, package: &Package<'_>) -> String {
        let purl = package.purl();
        if self.repeated.contains(package.index()) { format!("{purl}#{}", package.index()) } else { purl }
    }

    fn image(&self) -> &str {
        self.image.purl.as_deref().unwrap_or(IMAGE)
    }

    fn document<'b>(&'b self, serial: Option<&'b str>) -> impl Serialize + use<'a, 'b> {
        let report = self.report;
        let inventory = &report.inventory;
        let system = inventory.distro();
        let components = move || {
            let system = system.map(of_system);
            system.into_iter().chain(inventory.packages().map(|package| self.component(package)))
        };
        let depends_on = move || {
            let packages = inventory.packages().map(|package| self.reference(&package));
            system.map(|_| SYSTEM.to_owned()).into_iter().chain(packages)
        };
        // What no package manager knows is never looked for, so nothing is said to be complete.
        let is_incomplete =
            report.problems.iter().any(|problem| problem.kind.is_incomplete() && !problem.kind.is_of_a_match());
        Bom {
            schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
            bom_format: "CycloneDX",
            spec_version: "1.6",
            serial_number: serial,
            version: 1,
            metadata: self.metadata(),
            components: List(components),
            dependencies: [Dependency { reference: self.image(), depends_on: List(depends_on) }],
            compositions: is_incomplete.then(|| [Composition { aggregate: "incomplete", assemblies: [self.image()] }]),
            vulnerabilities: List(|| {
                self.findings.chunk_by(|a, b| a.id == b.id).map(|findings| self.vulnerability(findings))
            }),
        }
    }

    fn metadata(&self) -> Metadata<'_> {
        let subject = &self.report.subject;
        let mut properties =
            vec![property("reference", &subject.reference), property("platform", subject.platform.to_string())];
        properties.extend(subject.index.as_ref().map(|index| property("index", index.to_string())));
        properties.extend(subject.created.as_ref().map(|created| property("created", created)));
        if let Some(advisories) = &self.report.provenance.advisories {
            properties.push(property("advisories:built", &advisories.built));
        }
        properties.extend(self.report.problems.iter().map(|problem| property("problem", told(problem))));
        Metadata {
            timestamp: identity::time(self.report),
            tools: Tools {
                components: [Tool { kind: "application", name: "tidewaiter", version: env!("CARGO_PKG_VERSION") }],
            },
            component: Component {
                kind: "container",
                reference: self.image().to_owned(),
                group: None,
                name: &self.image.name,
                version: Some(subject.digest.as_str()),
                description: None,
                hashes: Some([Hash {
                    algorithm: match subject.digest.algorithm() {
                        Algorithm::Sha256 => "SHA-256",
                        Algorithm::Sha512 => "SHA-512",
                    },
                    content: subject.digest.hex(),
                }]),
                licenses: Vec::new(),
                purl: self.image.purl.clone(),
                evidence: None,
                properties: Vec::new(),
            },
            properties,
        }
    }

    fn component<'b>(&self, package: Package<'b>) -> Component<'b>
    where
        'a: 'b,
    {
        let (group, name) = match package.kind() {
            PackageType::Maven => package.name().split_once(':').map_or((None, package.name()), |(a, b)| (Some(a), b)),
            PackageType::Npm => package.name().split_once('/').map_or((None, package.name()), |(a, b)| (Some(a), b)),
            _ => (None, package.name()),
        };
        let mut properties = Vec::new();
        properties.extend(package.ecosystem().map(|ecosystem| property("ecosystem", ecosystem)));
        if let Some((name, version)) = package.source() {
            properties.push(property("source:name", name));
            properties.push(property("source:version", version));
        }
        if !package.module().is_empty() {
            properties.push(property("module", package.module()));
        }
        if package.certainty() != Certainty::Stated {
            properties.push(property("certainty", package.certainty().as_str()));
        }
        properties.extend(package.owner().map(|owner| property("owned-by", self.reference(&owner))));
        let layers: BTreeSet<u32> = package.locations().map(|location| location.layer).collect();
        let layers = layers.into_iter().filter_map(|layer| self.report.layers.get(layer as usize));
        properties.extend(layers.map(|layer| property("layer", layer.digest.to_string())));
        Component {
            kind: "library",
            reference: self.reference(&package),
            group,
            name,
            version: version(package.version()),
            description: None,
            hashes: None,
            licenses: licenses(package),
            purl: Some(package.purl()),
            evidence: Some(Evidence {
                occurrences: package.locations().map(|location| Occurrence { location: location.path }).collect(),
            }),
            properties,
        }
    }

    fn vulnerability<'b>(&'b self, findings: &'b [&'a Finding]) -> impl Serialize + use<'a, 'b> {
        let all = || findings.iter().copied();
        let first = |finding: &'b Finding| (finding.id.as_str(), finding.evidence.record.as_str());
        let (id, record) = findings.first().map(|finding| first(finding)).unwrap_or_default();
        let others: BTreeSet<&str> = all()
            .flat_map(|finding| finding.aliases.iter().chain(&finding.upstream).map(String::as_str))
            .filter(|other| *other != id)
            .collect();
        let mut ratings: Vec<&Severity> = Vec::new();
        let mut fixes: BTreeSet<String> = BTreeSet::new();
        let mut records: BTreeSet<&str> = BTreeSet::new();
        for finding in all() {
            if !ratings.contains(&&finding.severity) {
                ratings.push(&finding.severity);
            }
            records.insert(&finding.evidence.record);
            let package = self.report.inventory.package(finding.package_index);
            if let (Some(package), Some(fixed)) = (package, finding.fixed.first()) {
                fixes.insert(format!("Upgrade {} to {fixed}", package.name()));
            }
        }
        Vulnerability {
            id,
            source: osv(record),
            references: others.into_iter().map(|id| Reference { id, source: osv(id) }).collect(),
            ratings: ratings.into_iter().map(rating).collect(),
            recommendation: Some(fixes.into_iter().collect::<Vec<_>>().join("; ")).filter(|text| !text.is_empty()),
            affects: List(move || findings.iter().copied().filter_map(|finding| self.affected(finding))),
            properties: records.into_iter().map(|record| property("record", record)).collect(),
        }
    }

    fn affected<'b>(&'b self, finding: &'b Finding) -> Option<Affected<'b>> {
        let package = self.report.inventory.package(finding.package_index)?;
        let status = match finding.status {
            Status::Affected => "affected",
            Status::Indeterminate => "unknown",
        };
        let installed = (package.version(), status);
        let fixed = finding.fixed.iter().map(|fixed| (fixed.as_str(), "unaffected"));
        let versions = std::iter::once(installed).chain(fixed);
        let versions = versions.filter_map(|(text, status)| Some(Version { version: version(text)?, status }));
        Some(Affected { reference: self.reference(&package), versions: versions.collect() })
    }
}

fn of_system(distro: &Distro) -> Component<'_> {
    Component {
        kind: "operating-system",
        reference: SYSTEM.to_owned(),
        group: None,
        name: &distro.id,
        version: version(&distro.version),
        description: Some(distro.name.as_str()).filter(|name| !name.is_empty()),
        hashes: None,
        licenses: Vec::new(),
        purl: None,
        evidence: None,
        properties: distro.ecosystem.iter().map(|ecosystem| property("ecosystem", ecosystem)).collect(),
    }
}

/// A version that there is and that the schema takes; the package URL has it in any case.
fn version(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty() && text.chars().nth(MOST).is_none())
}

/// Ids and names, or one expression alone: the schema does not let them stand side by side.
fn licenses(package: Package<'_>) -> Vec<LicenseChoice> {
    let all = License::all(package.licenses());
    if let [License::Expression(expression)] = all.as_slice() {
        return vec![LicenseChoice::Expression(expression.clone())];
    }
    let licenses = all.into_iter().map(|license| match license {
        License::Id(id) => NamedLicense::Id(id),
        License::Expression(text) => NamedLicense::Name(text),
        License::Text(text) => NamedLicense::Name(text.to_owned()),
    });
    licenses.map(LicenseChoice::License).collect()
}

fn rating(severity: &Severity) -> RatingObject<'_> {
    // Where there is no vector, its place has the word that a distribution rates with.
    let method = severity.vector.as_deref().map(|vector| match vector {
        vector if vector.starts_with("CVSS:4.") => "CVSSv4",
        vector if vector.starts_with("CVSS:3.1/") => "CVSSv31",
        vector if vector.starts_with("CVSS:3.") => "CVSSv3",
        vector if vector.starts_with("AV:") => "CVSSv2",
        _ => "other",
    });
    let (vector, justification) =
        if method == Some("other") { (None, &severity.vector) } else { (severity.vector.as_deref(), &None) };
    RatingObject {
        source: severity.source.as_deref().map(|name| Source { name, url: None }),
        score: severity.score,
        severity: match severity.rating {
            Rating::Critical => "critical",
            Rating::High => "high",
            Rating::Medium => "medium",
            Rating::Low => "low",
            Rating::Negligible => "info",
            Rating::None => "none",
            Rating::Unknown => "unknown",
        },
        method,
        vector,
        justification: justification.as_deref(),
    }
}

fn osv(id: &str) -> Source<'_> {
    Source { name: "OSV", url: Some(identity::osv(id)) }
}

/// A problem as one line.
fn told(problem: &Problem) -> String {
    let Problem { layer, path, kind, message } = problem;
    let place = path.as_deref().map(|path| format!(" ({path})")).unwrap_or_default();
    let layer = layer.map(|layer| format!(" in layer {layer}")).unwrap_or_default();
    format!("{kind}: {message}{place}{layer}")
}

fn property(name: &str, value: impl Into<String>) -> Property {
    Property { name: format!("tidewaiter:{name}"), value: value.into() }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bom<'a, C, D, V> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    bom_format: &'static str,
    spec_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial_number: Option<&'a str>,
    version: u32,
    metadata: Metadata<'a>,
    components: C,
    dependencies: [Dependency<'a, D>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    compositions: Option<[Composition<'a>; 1]>,
    vulnerabilities: V,
}

#[derive(Serialize)]
struct Metadata<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    tools: Tools,
    component: Component<'a>,
    properties: Vec<Property>,
}

#[derive(Serialize)]
struct Tools {
    components: [Tool; 1],
}

#[derive(Serialize)]
struct Tool {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Component<'a> {
    #[serde(rename = "bom-ref")]
    reference: String,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hashes: Option<[Hash<'a>; 1]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<LicenseChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Evidence<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Property>,
}

#[derive(Serialize)]
struct Hash<'a> {
    #[serde(rename = "alg")]
    algorithm: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum LicenseChoice {
    License(NamedLicense),
    Expression(String),
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum NamedLicense {
    Id(&'static str),
    Name(String),
}

#[derive(Serialize)]
struct Evidence<'a> {
    occurrences: Vec<Occurrence<'a>>,
}

#[derive(Serialize)]
struct Occurrence<'a> {
    location: &'a str,
}

#[derive(Serialize)]
struct Property {
    name: String,
    value: String,
}

#[derive(Serialize)]
struct Dependency<'a, D> {
    #[serde(rename = "ref")]
    reference: &'a str,
    #[serde(rename = "dependsOn")]
    depends_on: D,
}

#[derive(Serialize)]
struct Composition<'a> {
    aggregate: &'static str,
    assemblies: [&'a str; 1],
}

#[derive(Serialize)]
struct Vulnerability<'a, A> {
    id: &'a str,
    source: Source<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    references: Vec<Reference<'a>>,
    ratings: Vec<RatingObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recommendation: Option<String>,
    affects: A,
    properties: Vec<Property>,
}

#[derive(Serialize)]
struct Source<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    name: &'a str,
}

#[derive(Serialize)]
struct Reference<'a> {
    id: &'a str,
    source: Source<'a>,
}

#[derive(Serialize)]
struct RatingObject<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    justification: Option<&'a str>,
}

#[derive(Serialize)]
struct Affected<'a> {
    #[serde(rename = "ref")]
    reference: String,
    versions: Vec<Version<'a>>,
}

#[derive(Serialize)]
struct Version<'a> {
    version: &'a str,
    status: &'static str,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use packageurl::PackageUrl;
    use serde_json::Value;

    use super::*;
    use crate::format::{golden, sample};

    fn written(report: Report) -> Value {
        let mut output = Vec::new();
        FORMAT.write(&[report], &mut output).unwrap();
        serde_json::from_slice(&output).unwrap()
    }

    fn texts<'a>(values: &'a Value, name: &str) -> Vec<&'a str> {
        values.as_array().unwrap().iter().map(|value| value[name].as_str().unwrap()).collect()
    }

    #[test]
    fn is_as_it_was() {
        golden::check(&FORMAT);
    }

    /// What the published schema does not say.
    #[test]
    fn every_reference_leads_to_one_component() {
        for report in [sample::full(), sample::varied(), sample::empty()] {
            let (packages, findings) = (report.inventory.len(), report.findings.len());
            let systems = usize::from(report.inventory.distro().is_some());
            let bom = written(report);
            assert_eq!((&bom["specVersion"], &bom["bomFormat"]), (&"1.6".into(), &"CycloneDX".into()));
            let image = bom["metadata"]["component"]["bom-ref"].as_str().unwrap();
            let mut references = texts(&bom["components"], "bom-ref");
            assert_eq!(references.len(), packages + systems);
            let depends_on = bom["dependencies"][0]["dependsOn"].as_array().unwrap();
            assert_eq!(*depends_on, references);
            assert_eq!(bom["dependencies"][0]["ref"], image);
            references.push(image);
            let known: HashSet<_> = references.iter().copied().collect();
            assert!(known.len() == references.len() && !known.contains(""), "{references:?}");
            let mut affected = 0;
            let ids = texts(&bom["vulnerabilities"], "id");
            assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "one vulnerability an id");
            for vulnerability in bom["vulnerabilities"].as_array().unwrap() {
                let references = texts(&vulnerability["affects"], "ref");
                assert_eq!(references.iter().collect::<HashSet<_>>().len(), references.len());
                assert!(references.iter().all(|reference| known.contains(reference)));
                affected += references.len();
            }
            assert_eq!(affected, findings);
            let owners = bom["components"].as_array().unwrap().iter().flat_map(|component| {
                component["properties"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter(|one| one["name"] == "tidewaiter:owned-by")
            });
            owners.for_each(|owner| assert!(known.contains(owner["value"].as_str().unwrap())));
            for component in bom["components"].as_array().unwrap() {
                if let Some(purl) = component["purl"].as_str() {
                    assert_eq!(purl.parse::<PackageUrl<'_>>().unwrap().to_string(), purl);
                    assert!(component["bom-ref"].as_str().unwrap().starts_with(purl));
                }
            }
        }
    }

    #[test]
    fn licences_are_ids_and_names_or_one_expression() {
        let bom = written(sample::varied());
        let licenses = |purl: &str| {
            let components = bom["components"].as_array().unwrap();
            let of = |component: &&Value| component["purl"].as_str().is_some_and(|known| known.starts_with(purl));
            components.iter().find(of).unwrap()["licenses"].to_string()
        };
        for (purl, expected) in [
            ("pkg:deb/debian/libssl3", r#"[{"license":{"id":"Apache-2.0"}},{"license":{"name":"GPL-2+"}}]"#),
            ("pkg:npm/%40acme/cart", r#"[{"expression":"(MIT OR Apache-2.0)"}]"#),
            ("pkg:npm/%40acme/rest", r#"[{"license":{"name":"MIT AND ISC"}},{"license":{"name":"GPLv3"}}]"#),
            ("pkg:golang/", "null"),
        ] {
            assert_eq!(licenses(purl), expected, "{purl}");
        }
    }

    #[test]
    fn a_rating_says_by_which_method() {
        let rated = |vector: &str, rating| {
            let severity = Severity { rating, vector: Some(vector.into()), ..Severity::default() };
            serde_json::to_string(&rating_of(&severity)).unwrap()
        };
        fn rating_of(severity: &Severity) -> RatingObject<'_> {
            rating(severity)
        }
        for (vector, method) in [
            ("AV:N/AC:L/Au:N/C:N/I:N/A:P", "CVSSv2"),
            ("CVSS:3.0/AV:N", "CVSSv3"),
            ("CVSS:3.1/AV:N", "CVSSv31"),
            ("CVSS:4.0/AV:N", "CVSSv4"),
        ] {
            let expected = format!(r#"{{"severity":"high","method":"{method}","vector":"{vector}"}}"#);
            assert_eq!(rated(vector, Rating::High), expected);
        }
        let expected = r#"{"severity":"info","method":"other","justification":"unimportant"}"#;
        assert_eq!(rated("unimportant", Rating::Negligible), expected);
    }

    #[test]
    fn a_version_that_the_schema_refuses_is_left_to_the_package_url() {
        assert_eq!(version(&"\u{e4}".repeat(1024)).map(str::len), Some(2048));
        assert_eq!(version(&"a".repeat(1025)), None);
        assert_eq!(version(""), None);
    }

    #[test]
    fn what_was_not_looked_at_is_told() {
        let bom = written(sample::full());
        assert_eq!(bom["compositions"][0]["aggregate"], "incomplete");
        assert!(written(sample::empty()).get("compositions").is_none());
    }

    #[test]
    fn another_report_has_another_serial_number_and_the_same_the_same() {
        let serial = |report| written(report)["serialNumber"].as_str().unwrap().to_owned();
        assert_eq!(serial(sample::full()), serial(sample::full()));
        let mut dearer = sample::full();
        dearer.stats.seconds.total = 7.5;
        assert_eq!(serial(dearer), serial(sample::full()));
        let mut other = sample::full();
        other.findings.pop();
        assert_ne!(serial(other), serial(sample::full()));
    }
}
