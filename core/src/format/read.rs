//! Reports read back from what [`json`](super::json) wrote, to be written in another format.
//!
//! What can be derived is derived again: ecosystems, package URLs, the place of a finding's package. Fields that are not known are
//! left out.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{BufReader, Read};
use std::rc::Rc;

use packageurl::PackageUrl;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Unexpected, Visitor};

use super::json::SCHEMA;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::distro::Distro;
use crate::model::finding::Finding;
use crate::model::image::LayerRecord;
use crate::model::inventory::{Draft, Inventory, Pushed};
use crate::model::package::{Certainty, PackageDraft, PackageType};
use crate::model::platform::Platform;
use crate::model::problem::Problem;
use crate::model::report::{AdvisoryProvenance, Provenance, Report, Stats, Subject};

/// The most bytes of one report: some four times as much as 200,000 packages take.
const LARGEST: u64 = 512 << 20;

/// Reads the reports in `input`, one behind another, with or without line ends between them.
///
/// # Errors
/// [`Kind::Unsupported`] for another schema, [`Kind::Corrupt`] for what is no report, or none at all, [`Kind::LimitExceeded`] for one
/// of more than 512 MiB or with more text than any image may have, or the error of `input`.
pub fn read(input: impl Read) -> Result<Vec<Report>> {
    let left = Rc::new(Cell::new(LARGEST));
    let limited = Limited { input: BufReader::with_capacity(1 << 16, input), left: left.clone() };
    let mut documents = serde_json::Deserializer::from_reader(limited).into_iter::<Document>();
    let mut reports = Vec::new();
    loop {
        left.set(LARGEST);
        let Some(document) = documents.next() else { break };
        let number = reports.len() + 1;
        let report = document.map_err(wrong).and_then(Document::into_report);
        reports.push(report.map_err(|error| error.with("report", number))?);
    }
    if reports.is_empty() {
        return Err(Error::new(Kind::Corrupt, "there is no report in it"));
    }
    Ok(reports)
}

/// Reads so many bytes, and then refuses.
struct Limited<R> {
    input: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left.get() == 0 {
            let error = Error::new(Kind::LimitExceeded, "the report is larger than any that a scan writes");
            return Err(error.with("bytes", LARGEST).into());
        }
        let read = self.input.read(buffer)?;
        self.left.set(self.left.get().saturating_sub(read as u64));
        Ok(read)
    }
}

/// How the message begins that another schema is told with.
const FOREIGN: &str = "its schema is ";

fn wrong(error: serde_json::Error) -> Error {
    if error.io_error_kind().is_some() {
        return std::io::Error::from(error).into();
    }
    let message = error.to_string();
    if error.is_data() && message.starts_with(FOREIGN) {
        return Error::new(Kind::Unsupported, "the report has a schema that is not read here")
            .with_hint(format!("a report is what a scan writes as json, of the schema {SCHEMA}"))
            .because(error);
    }
    Error::new(Kind::Corrupt, "this is no report")
        .with_hint("a report is what a scan writes as json: --output json=FILE")
        .because(error)
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "schema")]
    _schema: Schema,
    subject: SubjectObject,
    distro: Option<Distro>,
    layers: Vec<LayerRecord>,
    packages: Packages,
    findings: Vec<Finding>,
    problems: Vec<Problem>,
    stats: Stats,
    provenance: ProvenanceObject,
}

impl Document {
    fn into_report(self) -> Result<Report> {
        let SubjectObject { reference, digest, index, platform, created } = self.subject;
        let mut report = Report {
            subject: Subject { reference, digest, index, platform: platform.0, created },
            layers: self.layers,
            inventory: self.packages.finish(self.distro)?,
            findings: self.findings,
            problems: self.problems,
            stats: self.stats,
            provenance: Provenance { catalogers: self.provenance.catalogers, advisories: self.provenance.advisories },
        };
        report.link();
        Ok(report)
    }
}

/// The one schema; it stands first, so that nothing else of another one is looked at.
struct Schema;

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let schema = String::deserialize(deserializer)?;
        if schema == SCHEMA {
            return Ok(Self);
        }
        let shown: String = schema.chars().take(100).collect();
        Err(D::Error::custom(format_args!("{FOREIGN}{shown:?}")))
    }
}

#[derive(Deserialize)]
struct SubjectObject {
    reference: String,
    digest: Digest,
    index: Option<Digest>,
    platform: PlatformText,
    created: Option<String>,
}

/// A platform as it was written: one that an image does not name is empty.
struct PlatformText(Platform);

impl<'de> Deserialize<'de> for PlatformText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut parts = text.splitn(3, '/').map(str::to_owned);
        let (Some(os), Some(architecture)) = (parts.next(), parts.next()) else {
            return Err(D::Error::invalid_value(Unexpected::Str(&text), &"os/architecture"));
        };
        Ok(Self(Platform { os, architecture, variant: parts.next().unwrap_or_default() }))
    }
}

#[derive(Deserialize)]
struct ProvenanceObject {
    catalogers: BTreeMap<String, u32>,
    advisories: Option<AdvisoryProvenance>,
}

/// The packages, put into an inventory as they are read.
struct Packages {
    draft: Draft,
    /// The packages of the distribution, by their package URLs.
    owners: HashMap<String, Pushed>,
    /// Where each owned package lies, and its owner's package URL.
    owned: Vec<(Vec<String>, String)>,
}

impl<'de> Deserialize<'de> for Packages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let packages = Self { draft: Draft::of_a_report(), owners: HashMap::new(), owned: Vec::new() };
        deserializer.deserialize_seq(packages)
    }
}

impl<'de> Visitor<'de> for Packages {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("packages")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut packages: A) -> Result<Self, A::Error> {
        while let Some(package) = packages.next_element::<PackageObject>()? {
            self.push(package).map_err(A::Error::custom)?;
        }
        Ok(self)
    }
}

impl Packages {
    fn push(&mut self, package: PackageObject) -> Result<()> {
        let PackageObject { name, version, kind, purl, source, module, certainty, licenses, locations, owned_by } =
            package;
        let architecture = architecture(&purl);
        let licenses: Vec<&str> = licenses.iter().map(String::as_str).collect();
        let draft = PackageDraft {
            source: source.as_ref().map(|source| (source.name.as_str(), source.version.as_str())),
            architecture: &architecture,
            module: &module,
            licenses: &licenses,
            certainty,
            ..PackageDraft::new(kind, &name, &version, "", 0)
        };
        if locations.is_empty() {
            return Err(Error::new(Kind::Corrupt, "a package was found nowhere"));
        }
        let mut pushed = None;
        for LocationObject { path, layer } in &locations {
            let place = self.draft.push(&PackageDraft { path, layer: *layer, ..draft.clone() })?;
            pushed = pushed.or(Some(place));
        }
        match (owned_by, pushed) {
            (Some(owner), _) => {
                self.owned.push((locations.into_iter().map(|location| location.path).collect(), owner));
            }
            (None, Some(pushed)) if kind.is_os() => drop(self.owners.insert(purl, pushed)),
            (None, _) => {}
        }
        Ok(())
    }

    fn finish(self, distro: Option<Distro>) -> Result<Inventory> {
        let Self { mut draft, owners, owned } = self;
        if let Some(distro) = distro {
            draft.set_distro(distro);
        }
        // The first place of a package says who owns it; the others only that somebody does.
        for rest in [false, true] {
            for (paths, owner) in &owned {
                let owner = owners.get(owner).ok_or_else(|| {
                    let error = Error::new(Kind::Corrupt, "the report lacks a package that another one belongs to");
                    error.with("package", owner.escape_debug())
                })?;
                let range = if rest { paths.get(1..) } else { paths.get(..1) };
                range.unwrap_or_default().iter().for_each(|path| draft.own(path, *owner));
            }
        }
        if let Some(problem) = draft.problems().into_iter().next() {
            return Err(Error::new(Kind::LimitExceeded, "the report has more than any that a scan writes")
                .with("why", problem.message));
        }
        Ok(draft.finish())
    }
}

/// The architecture that a package URL names: reports have it nowhere else.
fn architecture(purl: &str) -> String {
    let parsed = purl.parse::<PackageUrl<'_>>().ok();
    parsed.and_then(|purl| Some(purl.qualifiers().get("arch")?.clone().into_owned())).unwrap_or_default()
}

#[derive(Deserialize)]
struct PackageObject {
    name: String,
    version: String,
    #[serde(rename = "type")]
    kind: PackageType,
    purl: String,
    source: Option<SourceObject>,
    #[serde(default)]
    module: String,
    #[serde(default)]
    certainty: Certainty,
    licenses: Vec<String>,
    locations: Vec<LocationObject>,
    owned_by: Option<String>,
}

#[derive(Deserialize)]
struct SourceObject {
    name: String,
    version: String,
}

#[derive(Deserialize)]
struct LocationObject {
    path: String,
    layer: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{json, sample};

    fn written(reports: &[Report]) -> String {
        let mut output = Vec::new();
        json::FORMAT.write(reports, &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn what_was_written_reads_back_to_the_same_bytes() {
        let text = written(&[sample::full(), sample::empty(), sample::varied()]);
        let reports = read(text.as_bytes()).unwrap();
        assert_eq!(reports.len(), 3);
        assert_eq!(written(&reports), text);
        let full = sample::full();
        let indexes = |report: &Report| report.findings.iter().map(|finding| finding.package_index).collect::<Vec<_>>();
        assert_eq!(indexes(&reports[0]), indexes(&full));
        // As one document over several lines, or without any.
        let value: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        for text in [pretty.clone(), format!("{pretty}{pretty}"), format!("\n {pretty}\r\n")] {
            assert_eq!(written(&read(text.as_bytes()).unwrap()[..1]), written(&[sample::full()]));
        }
    }

    #[test]
    fn what_was_written_once_is_still_read() {
        let text = include_str!("golden/json.json");
        let values = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>();
        let reports = read(text.as_bytes()).unwrap();
        let again = written(&reports);
        let written = again.lines().map(|line| serde_json::from_str(line).unwrap());
        assert_eq!(written.collect::<Vec<serde_json::Value>>(), values.map(|value| value.unwrap()).collect::<Vec<_>>());
    }

    proptest::proptest! {
        /// Whatever is in an image: names of any letters, places that several share, owners of some of them, numbers of any length.
        #[test]
        fn any_report_reads_back_to_the_same_bytes(
            packages in proptest::collection::vec(
                (0..PackageType::ALL.len(), "[a-zA-Z0-9@:+~._/ \u{e4}\"\\\\-]{0,6}", "[0-9a-z.:~+-]{0,4}", "(|amd64|x y)",
                 proptest::collection::vec(0..5usize, 1..4), 0..3u32, "(|m:1)", proptest::option::of("[a-c ]{0,2}")),
                0..12,
            ),
            owned in proptest::collection::vec((0..5usize, 0..12usize), 0..4),
            seconds in proptest::num::f64::POSITIVE,
            has_distro: bool,
        ) {
            const PATHS: [&str; 5] = ["a", "b", "a!/x", "b!/y", "\u{1}\u{1f980}"];
            let mut report = sample::full();
            let mut draft = Draft::new(1000);
            if has_distro {
                draft.set_distro(report.inventory.distro().unwrap().clone());
            }
            let mut pushed = Vec::new();
            for (kind, name, version, architecture, paths, layer, module, license) in &packages {
                let kind = PackageType::ALL[*kind];
                // A name that no package URL can have takes the architecture with it.
                let name = if kind.is_os() { format!("p{}", name.replace('/', "")) } else { name.clone() };
                let licenses: Vec<&str> = license.iter().map(String::as_str).collect();
                for path in paths {
                    let package = PackageDraft {
                        architecture: if kind.is_os() { architecture } else { "" },
                        module,
                        licenses: &licenses,
                        source: license.as_deref().map(|name| (name, version.as_str())).filter(|pair| *pair != ("", "")),
                        ..PackageDraft::new(kind, &name, version, PATHS[*path], *layer)
                    };
                    pushed.push((kind, draft.push(&package).unwrap()));
                }
            }
            for (path, owner) in owned {
                if let Some((kind, owner)) = pushed.get(owner) && kind.is_os() {
                    draft.own(PATHS[path], *owner);
                }
            }
            report.inventory = draft.finish();
            report.findings.clear();
            report.stats.seconds.total = seconds;
            let text = written(&[report]);
            proptest::prop_assert_eq!(written(&read(text.as_bytes()).unwrap()), text);
        }
    }

    #[test]
    fn what_is_no_report_is_told() {
        let good = written(&[sample::full()]);
        let cases = [
            (String::new(), Kind::Corrupt, "no report in it"),
            (" \n".into(), Kind::Corrupt, "no report in it"),
            ("{}".into(), Kind::Corrupt, "missing field `schema`"),
            ("[]".into(), Kind::Corrupt, "this is no report"),
            (good[..good.len() / 2].into(), Kind::Corrupt, "EOF"),
            (format!("{good}x"), Kind::Corrupt, "report: 2"),
            (good.replace(SCHEMA, "urn:tidewaiter:report:2"), Kind::Unsupported, "urn:tidewaiter:report:2"),
            (r#"{"bomFormat": "CycloneDX", "schema": "x"}"#.into(), Kind::Unsupported, "\"x\""),
            (good.replace("\"deb\"", "\"floppy\""), Kind::Corrupt, "floppy"),
            (good.replace("linux/amd64", "linux"), Kind::Corrupt, "os/architecture"),
            (good.replace("sha256:", "sha255:"), Kind::Corrupt, "digest"),
            (good.replace("\"affected\"", "\"fixed\""), Kind::Corrupt, "fixed"),
            (good.replace("\"owned_by\":\"pkg:deb/", "\"owned_by\":\"pkg:rpm/"), Kind::Corrupt, "belongs to"),
            (format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)), Kind::Corrupt, "this is no report"),
            (format!("{{\"x\":{}", "[".repeat(1_000_000)), Kind::Corrupt, "this is no report"),
            (
                good.replace("libssl3\",\"version", &format!("{}\",\"version", "x".repeat(5000))),
                Kind::LimitExceeded,
                "4096",
            ),
        ];
        for (text, kind, told) in cases {
            let error = read(text.as_bytes()).unwrap_err();
            let shown = format!(
                "{error} {}",
                std::iter::successors(std::error::Error::source(&error), |e| e.source())
                    .map(|e| e.to_string())
                    .collect::<String>()
            );
            assert_eq!(error.kind(), kind, "{shown}");
            assert!(shown.contains(told), "{told}: {shown}");
        }
    }

    #[test]
    fn an_unknown_field_is_left_out() {
        let good = written(&[sample::full()]);
        let more = good.replace("\"subject\":{", "\"later\":{\"a\":[1]},\"subject\":{\"more\":null,");
        assert_eq!(written(&read(more.as_bytes()).unwrap()), good);
    }

    #[test]
    fn no_cut_and_no_torn_report_is_a_panic() {
        let good = written(&[sample::full()]);
        for cut in (0..good.len()).step_by(5).filter(|cut| good.is_char_boundary(*cut)) {
            assert!(cut + 1 >= good.len() || read(&good.as_bytes()[..cut]).is_err(), "cut at {cut}");
        }
        for at in (0..good.len()).step_by(3) {
            let mut torn = good.clone().into_bytes();
            torn[at] ^= 1;
            // It may still be a report; then it can be written.
            if let Ok(reports) = read(torn.as_slice()) {
                for format in crate::format::ALL {
                    format.write(&reports, &mut std::io::sink()).unwrap();
                }
            }
        }
    }
}
