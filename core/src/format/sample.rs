//! Reports that have everything, and nothing.

use crate::model::digest::Digest;
use crate::model::distro::Distro;
use crate::model::finding::{Evidence, Finding, Status};
use crate::model::image::LayerRecord;
use crate::model::inventory::{Draft, Inventory};
use crate::model::package::{Certainty, PackageDraft, PackageType};
use crate::model::platform::Platform;
use crate::model::problem::{Problem, ProblemKind};
use crate::model::report::{AdvisoryProvenance, EcosystemProvenance, Provenance, Report, Stats, Subject};
use crate::model::severity::{Rating, Severity};

/// A report in which every field has a value.
pub(crate) fn full() -> Report {
    let mut draft = Draft::new(10);
    draft.set_distro(Distro {
        id: "debian".into(),
        version: "12".into(),
        name: "Debian GNU/Linux 12 (bookworm)".into(),
        ecosystem: Some("Debian:12".into()),
    });
    let mut deb = PackageDraft::new(PackageType::Deb, "libssl3", "3.0.15-1~deb12u1", "var/lib/dpkg/status", 0);
    deb.source = Some(("openssl", "3.0.15-1~deb12u1"));
    deb.architecture = "amd64";
    deb.module = "openssl:3";
    deb.certainty = Certainty::Derived;
    deb.licenses = &["Apache-2.0"];
    let pushed = draft.push(&deb).unwrap();
    let npm = "usr/share/nodejs/left-pad/package.json";
    draft.push(&PackageDraft::new(PackageType::Npm, "left-pad", "1.3.0", npm, 0)).unwrap();
    draft.own(npm, pushed);
    let inventory = draft.finish();
    let finding = |id: &str, rating, score| Finding {
        id: id.into(),
        aliases: vec![format!("DEBIAN-{id}")],
        upstream: vec![],
        package: inventory.package(0).unwrap().purl(),
        package_index: 0,
        status: Status::Affected,
        fixed: vec!["3.0.16-1~deb12u1".into()],
        severity: Severity {
            rating,
            score: Some(score),
            vector: Some("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H".into()),
            source: Some("Debian:12".into()),
        },
        evidence: Evidence {
            record: format!("DEBIAN-{id}"),
            range: "ECOSYSTEM introduced 0, fixed 3.0.16-1~deb12u1".into(),
            event: "fixed 3.0.16-1~deb12u1".into(),
        },
    };
    let findings = vec![finding("CVE-2024-0001", Rating::Low, 3.1), finding("CVE-2024-0002", Rating::High, 7.5)];
    Report {
        subject: Subject {
            reference: "registry.acme.io/team/app:1.0".into(),
            digest: Digest::of(b"manifest"),
            index: Some(Digest::of(b"index")),
            platform: Platform::new("linux", "amd64", ""),
            created: Some("2026-11-01T00:00:00Z".into()),
        },
        layers: vec![LayerRecord {
            digest: Digest::of(b"layer"),
            size: Some(5),
            created_by: Some("RUN apt-get update".into()),
        }],
        inventory,
        findings,
        problems: vec![Problem {
            layer: Some(0),
            path: Some("usr/lib/x.jar".into()),
            kind: ProblemKind::LimitExceeded,
            message: "the file is larger than 16 MiB".into(),
        }],
        stats: Stats { bytes_fetched: 5, layers_fetched: 1, ..Stats::default() },
        provenance: Provenance {
            catalogers: [("dpkg".to_owned(), 1)].into(),
            advisories: Some(AdvisoryProvenance {
                built: "2026-11-02T00:00:00Z".into(),
                ecosystems: [(
                    "Debian".to_owned(),
                    EcosystemProvenance { records: 1, newest: "2026-11-01T00:00:00Z".into() },
                )]
                .into(),
            }),
        },
    }
}

/// A report with what SBOMs have rules about: licences of every sort, names of two parts, one package URL of two rows, texts that no id may
/// hold, one advisory of several packages and several of one, and every severity.
pub(crate) fn varied() -> Report {
    let mut report = full();
    let mut draft = Draft::new(100);
    draft.set_distro(report.inventory.distro().unwrap().clone());
    let mut push = |kind, name, version, licenses: &[&str], path| {
        let mut package = PackageDraft::new(kind, name, version, path, 0);
        package.licenses = licenses;
        if kind == PackageType::Deb {
            package.source = Some(("openssl", "3.0.15-1~deb12u1"));
            package.architecture = "amd64";
        }
        draft.push(&package).unwrap();
    };
    push(
        PackageType::Deb,
        "libssl3",
        "3.0.15-1~deb12u1",
        &["Apache-2.0", "GPL-2+", "apache-2.0"],
        "var/lib/dpkg/status",
    );
    push(PackageType::Deb, "openssl", "3.0.15-1~deb12u1", &["Apache-2.0"], "var/lib/dpkg/status");
    push(
        PackageType::Maven,
        "org.acme:shop",
        "1.0",
        &["The \"Acme\" licence, see <https://acme.io>"],
        "app/shop.jar!/META-INF/x",
    );
    push(PackageType::Npm, "@acme/cart", "2.0.0", &["(MIT OR Apache-2.0)"], "srv/node_modules/@acme/cart/package.json");
    push(PackageType::Npm, "@acme/cart", "2.0.0", &[], "opt/node_modules/@acme/cart/package.json");
    push(
        PackageType::Npm,
        "@acme/rest",
        "0.1.0",
        &["MIT AND ISC", "GPLv3"],
        "srv/node_modules/@acme/rest/package.json",
    );
    push(PackageType::Pypi, "Foo_Bar", "1", &["MIT"], "a/METADATA");
    push(PackageType::Pypi, "foo-bar", "1", &["NOASSERTION"], "b/METADATA");
    push(PackageType::Golang, "acme.io/b\u{e4}r/v2", "", &[" "], "bin/\u{1}\"\\\u{1f980}");
    let inventory = draft.finish();
    let model = report.findings.first().unwrap().clone();
    let mut findings = Vec::new();
    for (package, rating) in inventory.packages().zip(Rating::ALL.iter().cycle()) {
        for (id, vector) in [("CVE-2024-0003", Some("unimportant")), ("GHSA-x/y", Some("CVSS:4.0/AV:N")), ("X", None)] {
            let mut finding = model.clone();
            finding.id = id.into();
            finding.package = package.purl();
            finding.package_index = package.index();
            finding.severity.rating = *rating;
            finding.severity.score = vector.map(|_| 0.1);
            finding.severity.vector = vector.map(str::to_owned);
            if package.index() % 2 == 1 {
                finding.status = Status::Indeterminate;
                finding.fixed.clear();
                finding.severity.source = None;
            }
            findings.push(finding);
        }
    }
    report.inventory = inventory;
    report.findings = findings;
    report
}

/// A report of an image without anything.
pub(crate) fn empty() -> Report {
    Report {
        subject: Subject {
            reference: "oci:empty".into(),
            digest: Digest::of(b"empty"),
            index: None,
            platform: Platform::new("linux", "arm", "v7"),
            created: None,
        },
        layers: vec![],
        inventory: Inventory::default(),
        findings: vec![],
        problems: vec![],
        stats: Stats::default(),
        provenance: Provenance::default(),
    }
}
