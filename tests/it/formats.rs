//! The JSON report against the published schema, and the schema against wrong reports.

use jsonschema::Validator;
use serde_json::{Value, json};
use tidewaiter::format::json::FORMAT;
use tidewaiter::model::digest::Digest;
use tidewaiter::model::distro::Distro;
use tidewaiter::model::finding::{Evidence, Finding, Status};
use tidewaiter::model::image::LayerRecord;
use tidewaiter::model::inventory::Draft;
use tidewaiter::model::package::{PackageDraft, PackageType};
use tidewaiter::model::platform::Platform;
use tidewaiter::model::problem::{Problem, ProblemKind};
use tidewaiter::model::report::{AdvisoryProvenance, EcosystemProvenance, Provenance, Report, Stats, Subject};
use tidewaiter::model::severity::{Rating, Severity};

pub(crate) fn schema() -> Validator {
    let text = include_str!("../../schema/report-1.json");
    let schema: Value = serde_json::from_str(text).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

/// Every package type, rating, status and problem kind, with and without what may be missing.
fn report(full: bool) -> Report {
    let some = |text: &str| full.then(|| text.to_owned());
    let mut draft = Draft::new(100);
    if full {
        let ecosystem = Some("Debian:12".to_owned());
        draft.set_distro(Distro { id: "debian".into(), version: "12".into(), name: "Debian".into(), ecosystem });
    }
    for kind in PackageType::ALL {
        let mut package = PackageDraft::new(*kind, "name", "1.0", "some/path", 0);
        if full {
            package.source = Some(("source", "1.0-1"));
            package.licenses = &["MIT", "GPL-2.0"];
        }
        draft.push(&package).unwrap();
    }
    let inventory = draft.finish();
    let finding = |rating: &Rating| Finding {
        id: "CVE-2024-0001".into(),
        aliases: some("GHSA-x").into_iter().collect(),
        upstream: some("CVE-2024-0002").into_iter().collect(),
        package: inventory.package(0).unwrap().purl(),
        package_index: 0,
        status: if full { Status::Affected } else { Status::Indeterminate },
        fixed: some("1.1").into_iter().collect(),
        severity: Severity {
            rating: *rating,
            score: full.then_some(10.0),
            vector: some("CVSS:3.1/x"),
            source: some("npm"),
        },
        evidence: Evidence { record: "GHSA-x".into(), range: "versions".into(), event: String::new() },
    };
    let problem = |kind| Problem { layer: full.then_some(0), path: some("a/b"), kind, message: "why".into() };
    use ProblemKind::{Corrupt, LimitExceeded, Malformed, NoAdvisories, OtherPlatform, StaleAdvisories, Unsupported};
    Report {
        subject: Subject {
            reference: "docker.io/library/debian:12".into(),
            digest: Digest::of(b"a"),
            index: full.then(|| Digest::of(b"b")),
            platform: Platform::new("linux", "arm64", if full { "v9" } else { "" }),
            created: some("2026-11-01T00:00:00Z"),
        },
        layers: vec![LayerRecord { digest: Digest::of(b"c"), size: full.then_some(3), created_by: some("RUN x") }],
        findings: Rating::ALL.iter().map(finding).collect(),
        inventory,
        problems: [LimitExceeded, Corrupt, Unsupported, OtherPlatform, NoAdvisories, StaleAdvisories, Malformed]
            .map(problem)
            .into(),
        stats: Stats::default(),
        provenance: Provenance {
            catalogers: [("dpkg".to_owned(), 1)].into(),
            advisories: full.then(|| AdvisoryProvenance {
                built: "2026-11-02T00:00:00Z".into(),
                ecosystems: [("npm".to_owned(), EcosystemProvenance { records: 1, newest: "2026".into() })].into(),
            }),
        },
    }
}

fn value(full: bool) -> Value {
    let mut out = Vec::new();
    FORMAT.write(&[report(full)], &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn reports_are_what_the_schema_says() {
    let schema = schema();
    for full in [true, false] {
        let errors: Vec<_> = schema.iter_errors(&value(full)).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
}

#[test]
fn a_file_of_several_reports_is_one_document() {
    let folder = tempfile::tempdir().unwrap();
    let reports: Vec<tidewaiter_facade::Report> = [true, false].map(|full| report(full).into()).into();
    for (name, list, number) in [("a.sarif", "/runs", 2), ("gl-container-scanning-report.json", "/vulnerabilities", 14)]
    {
        let file = folder.path().join(name);
        let format = tidewaiter_facade::format_of(None, &file).unwrap();
        tidewaiter_facade::write_file(&reports, format, &file).unwrap();
        let document: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(document.pointer(list).unwrap().as_array().unwrap().len(), number, "{name}");
    }
    let file = folder.path().join("a.jsonl");
    tidewaiter_facade::write_file(&reports, tidewaiter_facade::format_of(None, &file).unwrap(), &file).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 2);
}

#[test]
fn the_schema_refuses_wrong_documents() {
    let schema = schema();
    let good = value(true);
    let wrong: &[(&str, Value)] = &[
        ("/schema", json!("urn:tidewaiter:report:2")),
        ("/subject/digest", json!("sha256:ABC")),
        ("/subject/platform", json!("linux")),
        ("/subject/index", json!("latest")),
        ("/distro/ecosystem", json!(12)),
        ("/layers/0/size", json!(-1)),
        ("/packages/0/type", json!("floppy")),
        ("/packages/0/purl", json!("name@1.0")),
        ("/packages/0/locations", json!([])),
        ("/packages/0/source", json!("openssl")),
        ("/findings/0/status", json!("maybe")),
        ("/findings/0/severity/rating", Value::Null),
        ("/findings/0/severity/score", json!(11)),
        ("/problems/0/kind", json!("Limit Exceeded")),
        ("/stats/bytes_fetched", json!("many")),
        ("/provenance/tool/name", json!("another")),
        ("/provenance/advisories/ecosystems/npm", json!(1)),
    ];
    for (pointer, value) in wrong {
        let mut document = good.clone();
        *document.pointer_mut(pointer).unwrap() = value.clone();
        assert!(!schema.is_valid(&document), "{pointer} = {value} was let through");
    }
    // Every object is closed, but those whose keys are data, and every field is needed.
    let mut objects = vec![String::new()];
    while let Some(pointer) = objects.pop() {
        let Some(Value::Object(object)) = good.pointer(&pointer) else { continue };
        let is_data = pointer == "/provenance/catalogers" || pointer == "/provenance/advisories/ecosystems";
        if !is_data {
            let mut document = good.clone();
            document.pointer_mut(&pointer).unwrap()["unheard_of"] = json!(1);
            assert!(!schema.is_valid(&document), "{pointer} takes any field");
        }
        for (key, value) in object {
            if !is_data {
                let mut document = good.clone();
                document.pointer_mut(&pointer).unwrap().as_object_mut().unwrap().remove(key);
                assert!(!schema.is_valid(&document), "{pointer}/{key} may be missing");
            }
            objects.push(format!("{pointer}/{key}"));
            if value.is_array() {
                objects.push(format!("{pointer}/{key}/0"));
            }
        }
    }
}
