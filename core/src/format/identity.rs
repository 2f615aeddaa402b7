//! What an SBOM says of itself and of the image: its id, its time, the image's name and package URL. All of it comes from the
//! report, so that one report is always one document.

use std::io::Write;

use jiff::Timestamp;
use packageurl::PackageUrl;
use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::model::digest::{Algorithm, Digest, Hasher};
use crate::model::fingerprint::Fingerprints;
use crate::model::inventory::Inventory;
use crate::model::reference::ImageRef;
use crate::model::report::Report;

/// The image, or whatever else was scanned.
pub(super) struct Image {
    /// `host/repository`, or the whole reference of what comes from no registry.
    pub(super) name: String,
    /// Its package URL (purl-spec, type `oci`); none of what comes from no registry.
    pub(super) purl: Option<String>,
}

impl Image {
    pub(super) fn of(report: &Report) -> Self {
        let subject = &report.subject;
        // A report has a reference in full: what reads as another one is no reference, but a path.
        let parsed = subject.reference.parse::<ImageRef>().ok();
        let Some(image) = parsed.filter(|image| image.to_string() == subject.reference) else {
            return Self { name: subject.reference.clone(), purl: None };
        };
        let name = format!("{}/{}", image.host(), image.repository());
        let purl = || {
            let last = image.repository().rsplit('/').next().unwrap_or_default();
            let mut purl = PackageUrl::new("oci", last.to_owned()).ok()?;
            purl.with_version(subject.digest.to_string()).ok()?;
            purl.add_qualifier("arch", subject.platform.architecture.clone()).ok()?;
            purl.add_qualifier("repository_url", name.clone()).ok()?;
            Some(purl.to_string())
        };
        Self { purl: purl(), name }
    }
}

/// When what the report says became true: when the image or the advisory database was built, whichever is later. There is no clock
/// here, so that one report is always the same bytes.
pub(super) fn latest(report: &Report) -> Option<Timestamp> {
    let built = report.provenance.advisories.as_ref().map(|advisories| advisories.built.as_str());
    let times = [built, report.subject.created.as_deref()].into_iter().flatten();
    times.filter_map(|time| time.parse().ok()).max()
}

/// The same in seconds, UTC.
pub(super) fn time(report: &Report) -> Option<String> {
    let seconds = Timestamp::from_second(latest(report)?.as_second()).ok()?;
    Some(seconds.to_string())
}

/// A UUID that stands for what `document` writes (RFC 9562, version 8).
///
/// # Errors
/// [`Kind::Internal`] of a document that cannot be written.
pub(super) fn uuid(document: &impl Serialize) -> Result<String> {
    struct Hashing(Hasher);
    impl Write for Hashing {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut output = std::io::BufWriter::new(Hashing(Hasher::new(Algorithm::Sha256)));
    let unwritten = |error: &dyn std::fmt::Display| {
        Error::new(Kind::Internal, "the document cannot be written").with("error", error)
    };
    serde_json::to_writer(&mut output, document).map_err(|error| unwritten(&error))?;
    let hashed = output.into_inner().map_err(|error| unwritten(&error))?;
    Ok(uuid_of(&hashed.0.finish()))
}

fn uuid_of(digest: &Digest) -> String {
    let mut text = String::with_capacity(36);
    for (digit, place) in digest.hex().chars().take(32).zip(0u8..) {
        if matches!(place, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(match (place, digit) {
            (12, _) => '8',
            (16, '0' | '4' | '8' | 'c') => '8',
            (16, '1' | '5' | '9' | 'd') => '9',
            (16, '2' | '6' | 'a' | 'e') => 'a',
            (16, _) => 'b',
            _ => digit,
        });
    }
    text
}

/// The packages whose package URL another one has already: `Foo.Bar` and `foo-bar` are one name to the Python Package Index.
pub(super) struct Repeated(Vec<usize>);

impl Repeated {
    pub(super) fn of(inventory: &Inventory) -> Self {
        let fingerprints = Fingerprints::default();
        let mut seen: Vec<_> =
            inventory.packages().map(|package| (fingerprints.of(&package.purl()), package.index())).collect();
        seen.sort_unstable();
        let pairs = seen.iter().zip(seen.iter().skip(1));
        let mut repeated: Vec<_> = pairs.filter(|(a, b)| a.0 == b.0).map(|(_, b)| b.1).collect();
        repeated.sort_unstable();
        Self(repeated)
    }

    pub(super) fn contains(&self, index: usize) -> bool {
        self.0.binary_search(&index).is_ok()
    }
}

/// The page of a record in OSV.
pub(super) fn osv(id: &str) -> String {
    let mut url = "https://osv.dev/vulnerability/".to_owned();
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::sample;
    use crate::model::inventory::Draft;
    use crate::model::package::{PackageDraft, PackageType};

    #[test]
    fn an_image_of_a_registry_has_a_package_url() {
        let mut report = sample::full();
        let digest = report.subject.digest.hex().to_owned();
        let image = Image::of(&report);
        assert_eq!(image.name, "registry.acme.io/team/app");
        let expected = format!("pkg:oci/app@sha256:{digest}?arch=amd64&repository_url=registry.acme.io/team/app");
        let purl = image.purl.unwrap();
        assert_eq!(purl.replace("%3A", ":").replace("%2F", "/"), expected);
        assert_eq!(purl.parse::<PackageUrl<'_>>().unwrap().to_string(), purl);
        for local in ["oci:a/b", "oci-archive:app.tar", "docker-archive:/tmp/a.tar", "sbom:a.json", "./a"] {
            report.subject.reference = local.into();
            let image = Image::of(&report);
            assert_eq!((image.name.as_str(), image.purl), (local, None));
        }
    }

    #[test]
    fn the_later_time_is_told_in_seconds() {
        let mut report = sample::full();
        assert_eq!(time(&report).as_deref(), Some("2026-11-02T00:00:00Z"));
        report.subject.created = Some("2026-11-03T01:02:03.999999999+02:00".into());
        assert_eq!(time(&report).as_deref(), Some("2026-11-02T23:02:03Z"));
        report.subject.created = Some("yesterday".into());
        report.provenance.advisories = None;
        assert_eq!(time(&report), None);
    }

    #[test]
    fn a_uuid_stands_for_its_document() {
        let first = uuid(&"a").unwrap();
        assert_eq!(first, uuid(&"a").unwrap());
        assert_ne!(first, uuid(&"b").unwrap());
        for document in 0..100 {
            let uuid = uuid(&document).unwrap();
            let bytes = uuid.as_bytes();
            assert!(bytes.len() == 36 && bytes[14] == b'8' && b"89ab".contains(&bytes[19]), "{uuid}");
        }
    }

    #[test]
    fn two_rows_of_one_package_url_are_seen() {
        let mut draft = Draft::new(10);
        for name in ["foo-bar", "Foo_Bar", "other"] {
            draft.push(&PackageDraft::new(PackageType::Pypi, name, "1", "a", 0)).unwrap();
        }
        let repeated = Repeated::of(&draft.finish());
        assert_eq!([0, 1, 2].map(|index| repeated.contains(index)), [false, true, false]);
    }

    #[test]
    fn a_strange_id_stays_one_part_of_the_address() {
        assert_eq!(osv("RHSA-2024:1"), "https://osv.dev/vulnerability/RHSA-2024:1");
        assert_eq!(osv("a/../ü"), "https://osv.dev/vulnerability/a%2F..%2F%C3%BC");
    }
}
