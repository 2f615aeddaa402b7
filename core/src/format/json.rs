//! The report as JSON: `schema/report-1.json` in the repository describes it. One document a report, one report a line.
//!
//! The same image, database and program give the same bytes, `stats` aside. What is sorted, and by what: `layers` the base
//! first; `packages` by type, name, version, architecture; `locations` by layer, path; `findings` by package, id; `aliases`
//! and `upstream` as text; `fixed` the nearest first; `problems` by layer, path, kind, message; the objects of `provenance`
//! by key.

use std::io::{BufWriter, Write};

use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use super::Format;
use crate::error::{Error, Kind, Result};
use crate::model::inventory::{Location, Package};
use crate::model::package::Certainty;
use crate::model::problem::Problem;
use crate::model::report::{Provenance, Report, Subject};

/// The format.
pub static FORMAT: Format = Format { id: "json", extensions: &["json", "jsonl", "ndjson"], write };

/// What the field `schema` says.
pub const SCHEMA: &str = "urn:tidewaiter:report:1";

fn write(reports: &[&Report], output: &mut dyn Write) -> Result<()> {
    let mut output = BufWriter::new(output);
    for report in reports {
        to_line(&Document(report), &mut output)?;
    }
    output.flush()?;
    Ok(())
}

/// Writes one document, and the end of its line.
pub(super) fn to_line(document: &impl Serialize, output: &mut impl Write) -> Result<()> {
    serde_json::to_writer(&mut *output, document).map_err(|error| match error.io_error_kind() {
        Some(_) => Error::from(std::io::Error::from(error)),
        None => Error::new(Kind::Internal, "the report cannot be written as json").because(error),
    })?;
    output.write_all(b"\n")?;
    Ok(())
}

/// A report as one JSON document, for a serializer of the caller's.
#[derive(Debug)]
pub struct Document<'a>(pub &'a Report);

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let report = self.0;
        let mut object = serializer.serialize_struct("Report", 9)?;
        object.serialize_field("schema", SCHEMA)?;
        object.serialize_field("subject", &SubjectObject(&report.subject))?;
        object.serialize_field("distro", &report.inventory.distro())?;
        object.serialize_field("layers", &report.layers)?;
        object.serialize_field("packages", &List(|| report.inventory.packages().map(PackageObject)))?;
        object.serialize_field("findings", &report.findings)?;
        object.serialize_field("problems", &List(|| report.problems.iter().map(ProblemObject)))?;
        object.serialize_field("stats", &report.stats)?;
        object.serialize_field("provenance", &ProvenanceObject(&report.provenance))?;
        object.end()
    }
}

/// An array that is written item by item.
pub(super) struct List<F>(pub(super) F);

impl<F, I> Serialize for List<F>
where
    F: Fn() -> I,
    I: Iterator,
    I::Item: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

struct SubjectObject<'a>(&'a Subject);

impl Serialize for SubjectObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Subject { reference, digest, index, platform, created } = self.0;
        let mut object = serializer.serialize_struct("Subject", 5)?;
        object.serialize_field("reference", reference)?;
        object.serialize_field("digest", digest)?;
        object.serialize_field("index", index)?;
        object.serialize_field("platform", &format_args!("{platform}"))?;
        object.serialize_field("created", created)?;
        object.end()
    }
}

struct PackageObject<'a>(Package<'a>);

impl Serialize for PackageObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let package = &self.0;
        let mut object = serializer.serialize_struct("Package", 11)?;
        object.serialize_field("name", package.name())?;
        object.serialize_field("version", package.version())?;
        object.serialize_field("type", package.kind().as_str())?;
        object.serialize_field("ecosystem", &package.ecosystem())?;
        object.serialize_field("purl", &package.purl())?;
        object.serialize_field("source", &package.source().map(|(name, version)| SourceObject { name, version }))?;
        if !package.module().is_empty() {
            object.serialize_field("module", package.module())?;
        }
        if package.certainty() != Certainty::Stated {
            object.serialize_field("certainty", package.certainty().as_str())?;
        }
        object.serialize_field("licenses", &List(|| package.licenses()))?;
        object.serialize_field("locations", &List(|| package.locations().map(LocationObject)))?;
        object.serialize_field("owned_by", &package.owner().map(|owner| owner.purl()))?;
        object.end()
    }
}

#[derive(serde::Serialize)]
struct SourceObject<'a> {
    name: &'a str,
    version: &'a str,
}

struct LocationObject<'a>(Location<'a>);

impl Serialize for LocationObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Location", 2)?;
        object.serialize_field("path", self.0.path)?;
        object.serialize_field("layer", &self.0.layer)?;
        object.end()
    }
}

struct ProblemObject<'a>(&'a Problem);

impl Serialize for ProblemObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Problem { layer, path, kind, message } = self.0;
        let mut object = serializer.serialize_struct("Problem", 4)?;
        object.serialize_field("kind", kind)?;
        object.serialize_field("message", message)?;
        object.serialize_field("path", path)?;
        object.serialize_field("layer", layer)?;
        object.end()
    }
}

struct ProvenanceObject<'a>(&'a Provenance);

impl Serialize for ProvenanceObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Tool {
            name: &'static str,
            version: &'static str,
        }
        let mut object = serializer.serialize_struct("Provenance", 3)?;
        object.serialize_field("tool", &Tool { name: "tidewaiter", version: env!("CARGO_PKG_VERSION") })?;
        object.serialize_field("catalogers", &self.0.catalogers)?;
        object.serialize_field("advisories", &self.0.advisories)?;
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{golden, sample};

    #[test]
    fn is_as_it_was() {
        golden::check(&FORMAT);
    }

    #[test]
    fn fields_stand_in_the_order_of_the_contract() {
        let mut out = Vec::new();
        FORMAT.write(&[sample::full(), sample::empty()], &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "one report a line");
        let mut rest = lines[0];
        for field in [
            "schema",
            "subject",
            "reference",
            "digest",
            "index",
            "platform",
            "created",
            "distro",
            "id",
            "version",
            "name",
            "ecosystem",
            "layers",
            "digest",
            "size",
            "created_by",
            "packages",
            "name",
            "version",
            "type",
            "ecosystem",
            "purl",
            "source",
            "name",
            "version",
            "module",
            "certainty",
            "licenses",
            "locations",
            "path",
            "layer",
            "owned_by",
            "findings",
            "id",
            "aliases",
            "upstream",
            "package",
            "status",
            "fixed",
            "severity",
            "rating",
            "score",
            "vector",
            "source",
            "evidence",
            "record",
            "range",
            "event",
            "problems",
            "kind",
            "message",
            "path",
            "layer",
            "stats",
            "bytes_fetched",
            "layers_fetched",
            "layers_from_cache",
            "layers_read_twice",
            "peak_memory_bytes",
            "seconds",
            "fetch",
            "total",
            "owned_findings",
            "provenance",
            "tool",
            "name",
            "version",
            "catalogers",
            "advisories",
            "built",
            "ecosystems",
            "records",
            "newest",
        ] {
            let needle = format!("\"{field}\":");
            let at = rest.find(&needle).unwrap_or_else(|| panic!("{field} is missing before {rest}"));
            rest = &rest[at + needle.len()..];
        }
        let value: serde_json::Value = serde_json::from_str(lines[1]).unwrap();
        assert!(value["distro"].is_null() && value["subject"]["index"].is_null());
        assert_eq!(value["subject"]["platform"], "linux/arm/v7");
    }

    #[test]
    fn a_full_disk_is_an_error() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        assert!(FORMAT.write(&[sample::full()], &mut Full).is_err());
    }
}
