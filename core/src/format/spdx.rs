//! The report as SPDX 2.3 in JSON: the image and its packages. One document a report, one document a line.
//!
//! <https://spdx.github.io/spdx-spec/v2.3/>. Findings are references of the category `SECURITY` to the advisory; what they say of
//! severity has no place here. Files are not analysed: where a package was found stands in its `sourceInfo`.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};

use serde::Serialize;

use super::Format;
use super::identity::{self, Image};
use super::json::{List, to_line};
use super::license::License;
use crate::error::Result;
use crate::model::digest::{Algorithm, Digest};
use crate::model::inventory::Package;
use crate::model::report::Report;

/// The format.
pub static FORMAT: Format = Format { id: "spdx", extensions: &["spdx.json"], write };

const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const IMAGE: &str = "SPDXRef-Image";
const SYSTEM: &str = "SPDXRef-OperatingSystem";
const NO_ASSERTION: &str = "NOASSERTION";
/// The time of a document whose report knows none: there must be one.
const NO_TIME: &str = "1970-01-01T00:00:00Z";
/// Where documents have their name space (SPDX 2.3, 6.5); nothing lies there.
const NAME_SPACE: &str = "https://spdx.org/spdxdocs/tidewaiter-";

fn write(reports: &[&Report], output: &mut dyn Write) -> Result<()> {
    let mut output = BufWriter::new(output);
    for report in reports {
        let writing = Writing::of(report);
        let namespace = format!("{NAME_SPACE}{}", identity::uuid(&writing.document(NAME_SPACE))?);
        to_line(&writing.document(&namespace), &mut output)?;
    }
    output.flush()?;
    Ok(())
}

/// A report, and what is looked up in it again and again.
struct Writing<'a> {
    report: &'a Report,
    image: Image,
    /// Every licence that is not of the list, by its reference.
    texts: BTreeMap<String, &'a str>,
    /// The place of each finding and that of its package, sorted by package.
    findings: Vec<(usize, usize)>,
}

impl<'a> Writing<'a> {
    fn of(report: &'a Report) -> Self {
        let texts = report.inventory.packages().flat_map(|package| License::all(package.licenses()));
        let texts = texts.filter_map(|license| match license {
            License::Text(text) => Some((reference_of(text), text)),
            License::Id(_) | License::Expression(_) => None,
        });
        let findings = report.findings.iter().zip(0..).map(|(finding, place)| (finding.package_index, place));
        let mut findings: Vec<_> = findings.collect();
        findings.sort_unstable();
        Self { report, image: Image::of(report), texts: texts.collect(), findings }
    }

    fn document<'b>(&'b self, namespace: &'b str) -> impl Serialize + use<'a, 'b> {
        let inventory = &self.report.inventory;
        let system = inventory.distro().is_some().then_some(SYSTEM);
        let relationships = move || {
            let contained = system.map(str::to_owned).into_iter().chain(inventory.packages().map(id_of));
            let contained = contained.map(|related| Relationship { from: IMAGE, kind: "CONTAINS", to: related });
            let described = Relationship { from: DOCUMENT, kind: "DESCRIBES", to: IMAGE.to_owned() };
            std::iter::once(described).chain(contained)
        };
        Document {
            version: "SPDX-2.3",
            data_license: "CC0-1.0",
            id: DOCUMENT,
            name: &self.image.name,
            namespace,
            creation: Creation {
                created: identity::time(self.report).unwrap_or_else(|| NO_TIME.to_owned()),
                creators: [concat!("Tool: tidewaiter-", env!("CARGO_PKG_VERSION"))],
            },
            packages: List(move || {
                let packages = inventory.packages().map(|package| self.package(package));
                std::iter::once(self.image()).chain(self.system()).chain(packages)
            }),
            relationships: List(relationships),
            texts: self.texts.iter().map(|(id, text)| Extracted { id, extracted: text, name: NO_ASSERTION }).collect(),
        }
    }

    fn image(&self) -> PackageObject<'_> {
        let subject = &self.report.subject;
        PackageObject {
            name: &self.image.name,
            version: Some(subject.digest.as_str()),
            checksums: Some([Checksum {
                algorithm: match subject.digest.algorithm() {
                    Algorithm::Sha256 => "SHA256",
                    Algorithm::Sha512 => "SHA512",
                },
                value: subject.digest.hex(),
            }]),
            external: self.image.purl.clone().map(purl).into_iter().collect(),
            ..PackageObject::new(IMAGE.to_owned(), "CONTAINER")
        }
    }

    fn system(&self) -> Option<PackageObject<'_>> {
        let distro = self.report.inventory.distro()?;
        Some(PackageObject {
            name: &distro.id,
            version: Some(distro.version.as_str()).filter(|version| !version.is_empty()),
            summary: Some(distro.name.as_str()).filter(|name| !name.is_empty()),
            ..PackageObject::new(SYSTEM.to_owned(), "OPERATING_SYSTEM")
        })
    }

    fn package<'b>(&'b self, package: Package<'b>) -> PackageObject<'b> {
        let start = self.findings.partition_point(|(index, _)| *index < package.index());
        let findings = self.findings.iter().skip(start).take_while(|(index, _)| *index == package.index());
        let findings = findings.filter_map(|(_, place)| self.report.findings.get(*place));
        let advisories = findings.map(|finding| External {
            category: "SECURITY",
            kind: "advisory",
            locator: identity::osv(&finding.evidence.record),
            comment: Some(&finding.id),
        });
        let mut external = vec![purl(package.purl())];
        external.extend(advisories);
        PackageObject {
            name: package.name(),
            version: Some(package.version()).filter(|version| !version.is_empty()),
            declared: declared(package),
            source: Some(self.source(package)),
            external,
            ..PackageObject::new(id_of(package), "LIBRARY")
        }
    }

    /// What it was built from, in the words that other scanners look for, and where it was found.
    fn source(&self, package: Package<'_>) -> String {
        let mut told = String::new();
        if let Some((name, version)) = package.source() {
            told = format!("built package from: {name} {version}; ");
        }
        told.push_str("found in: ");
        for (location, place) in package.locations().zip(0..) {
            if place > 0 {
                told.push_str(", ");
            }
            told.push_str(location.path);
            if let Some(layer) = self.report.layers.get(location.layer as usize) {
                told.push_str(" of layer ");
                told.push_str(layer.digest.as_str());
            }
        }
        told
    }
}

/// The id of a package: letters, digits, dots and dashes; the number at the end makes it the only one.
fn id_of(package: Package<'_>) -> String {
    let name =
        package.name().chars().map(|letter| if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '-' });
    format!("SPDXRef-Package-{}-{}-{}", package.kind(), name.collect::<String>(), package.index())
}

/// The reference of a licence that is not of the list.
fn reference_of(text: &str) -> String {
    format!("LicenseRef-{}", Digest::of(text.as_bytes()).hex().chars().take(16).collect::<String>())
}

/// All licences that a package states hold at once.
fn declared(package: Package<'_>) -> String {
    let all = License::all(package.licenses());
    let is_alone = all.len() == 1;
    let terms = all.into_iter().map(|license| match license {
        License::Id(id) => id.to_owned(),
        License::Expression(expression) if is_alone => expression,
        License::Expression(expression) => format!("({expression})"),
        License::Text(text) => reference_of(text),
    });
    let terms: Vec<_> = terms.collect();
    if terms.is_empty() { NO_ASSERTION.to_owned() } else { terms.join(" AND ") }
}

fn purl(locator: String) -> External<'static> {
    External { category: "PACKAGE-MANAGER", kind: "purl", locator, comment: None }
}

#[derive(Serialize)]
struct Document<'a, P, R> {
    #[serde(rename = "spdxVersion")]
    version: &'static str,
    #[serde(rename = "dataLicense")]
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: &'a str,
    #[serde(rename = "documentNamespace")]
    namespace: &'a str,
    #[serde(rename = "creationInfo")]
    creation: Creation,
    packages: P,
    relationships: R,
    #[serde(rename = "hasExtractedLicensingInfos", skip_serializing_if = "Vec::is_empty")]
    texts: Vec<Extracted<'a>>,
}

#[derive(Serialize)]
struct Creation {
    created: String,
    creators: [&'static str; 1],
}

#[derive(Serialize)]
struct PackageObject<'a> {
    #[serde(rename = "SPDXID")]
    id: String,
    name: &'a str,
    #[serde(rename = "versionInfo", skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
    #[serde(rename = "primaryPackagePurpose")]
    purpose: &'static str,
    #[serde(rename = "downloadLocation")]
    download: &'static str,
    #[serde(rename = "filesAnalyzed")]
    files_analyzed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksums: Option<[Checksum<'a>; 1]>,
    #[serde(rename = "licenseConcluded")]
    concluded: &'static str,
    #[serde(rename = "licenseDeclared")]
    declared: String,
    #[serde(rename = "copyrightText")]
    copyright: &'static str,
    #[serde(rename = "sourceInfo", skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(rename = "externalRefs", skip_serializing_if = "Vec::is_empty")]
    external: Vec<External<'a>>,
}

impl PackageObject<'_> {
    /// A package of which nothing is known but its purpose.
    fn new(id: String, purpose: &'static str) -> Self {
        Self {
            id,
            name: "",
            version: None,
            summary: None,
            purpose,
            download: NO_ASSERTION,
            files_analyzed: false,
            checksums: None,
            concluded: NO_ASSERTION,
            declared: NO_ASSERTION.to_owned(),
            copyright: NO_ASSERTION,
            source: None,
            external: Vec::new(),
        }
    }
}

#[derive(Serialize)]
struct Checksum<'a> {
    algorithm: &'static str,
    #[serde(rename = "checksumValue")]
    value: &'a str,
}

#[derive(Serialize)]
struct External<'a> {
    #[serde(rename = "referenceCategory")]
    category: &'static str,
    #[serde(rename = "referenceType")]
    kind: &'static str,
    #[serde(rename = "referenceLocator")]
    locator: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
}

#[derive(Serialize)]
struct Relationship {
    #[serde(rename = "spdxElementId")]
    from: &'static str,
    #[serde(rename = "relationshipType")]
    kind: &'static str,
    #[serde(rename = "relatedSpdxElement")]
    to: String,
}

#[derive(Serialize)]
struct Extracted<'a> {
    #[serde(rename = "licenseId")]
    id: &'a str,
    #[serde(rename = "extractedText")]
    extracted: &'a str,
    name: &'static str,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::*;
    use crate::format::{golden, sample};

    fn written(report: Report) -> Value {
        let mut output = Vec::new();
        FORMAT.write(&[report], &mut output).unwrap();
        serde_json::from_slice(&output).unwrap()
    }

    #[test]
    fn is_as_it_was() {
        golden::check(&FORMAT);
    }

    #[test]
    fn every_id_is_one_and_every_relationship_leads_somewhere() {
        for report in [sample::full(), sample::varied(), sample::empty()] {
            let packages = report.inventory.len() + 1 + usize::from(report.inventory.distro().is_some());
            let document = written(report);
            let listed = document["packages"].as_array().unwrap();
            let ids: HashSet<_> = listed.iter().map(|package| package["SPDXID"].as_str().unwrap()).collect();
            assert_eq!((ids.len(), listed.len()), (packages, packages));
            let is_id = |letter: char| letter.is_ascii_alphanumeric() || letter == '.' || letter == '-';
            assert!(
                ids.iter().all(|id| id.strip_prefix("SPDXRef-").is_some_and(|rest| rest.chars().all(is_id))),
                "{ids:?}"
            );
            let relationships = document["relationships"].as_array().unwrap();
            assert_eq!(relationships.len(), packages, "each is described, or contained");
            for relationship in relationships {
                assert!(ids.contains(relationship["relatedSpdxElement"].as_str().unwrap()));
                let from = relationship["spdxElementId"].as_str().unwrap();
                assert!(from == "SPDXRef-DOCUMENT" || ids.contains(from));
            }
            assert!(listed.iter().all(|package| package["filesAnalyzed"] == false && package["name"] != ""));
            let texts = document["hasExtractedLicensingInfos"].as_array().into_iter().flatten();
            let texts: HashSet<_> = texts.map(|text| text["licenseId"].as_str().unwrap()).collect();
            for package in listed {
                let declared = package["licenseDeclared"].as_str().unwrap();
                let references = declared.split(' ').filter(|word| word.starts_with("LicenseRef-"));
                references.for_each(|reference| assert!(texts.contains(reference), "{declared}"));
            }
        }
    }

    #[test]
    fn licences_are_one_expression() {
        let document = written(sample::varied());
        let declared = |name: &str| {
            let packages = document["packages"].as_array().unwrap();
            packages.iter().find(|package| package["name"] == name).unwrap()["licenseDeclared"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let (gpl_2, gpl_3) = (reference_of("GPL-2+"), reference_of("GPLv3"));
        assert_eq!(declared("libssl3"), format!("Apache-2.0 AND {gpl_2}"));
        assert_eq!(declared("@acme/cart"), "(MIT OR Apache-2.0)");
        assert_eq!(declared("@acme/rest"), format!("(MIT AND ISC) AND {gpl_3}"));
        assert_eq!(declared("acme.io/b\u{e4}r/v2"), "NOASSERTION");
    }

    #[test]
    fn findings_are_references_of_their_package() {
        let report = sample::varied();
        let document = written(report.clone());
        for (package, index) in document["packages"].as_array().unwrap().iter().skip(2).zip(0..) {
            let external = package["externalRefs"].as_array().unwrap();
            let advisories = external.iter().filter(|one| one["referenceCategory"] == "SECURITY").count();
            let findings = report.findings.iter().filter(|finding| finding.package_index == index).count();
            assert_eq!(advisories, findings);
            assert_eq!(external[0]["referenceLocator"], report.inventory.package(index).unwrap().purl());
        }
    }

    #[test]
    fn a_report_without_a_time_has_the_first_one() {
        assert_eq!(written(sample::empty())["creationInfo"]["created"], NO_TIME);
        assert_eq!(written(sample::full())["creationInfo"]["created"], "2026-11-02T00:00:00Z");
    }
}
