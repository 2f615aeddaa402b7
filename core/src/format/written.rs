//! What the formats for CI systems and people write, beside what they wrote when somebody last looked at it (`UPDATE=1` renews the
//! files); what hostile text and very many findings make of them.

use std::path::Path;

use super::{Format, gitlab, junit, markdown, sample, sarif};
use crate::model::digest::Digest;
use crate::model::finding::{Evidence, Finding, Status};
use crate::model::image::LayerRecord;
use crate::model::inventory::{Draft, Inventory};
use crate::model::package::{PackageDraft, PackageType};
use crate::model::problem::{Problem, ProblemKind};
use crate::model::report::Report;
use crate::model::severity::{Rating, Severity};

const FORMATS: &[&Format] = &[&sarif::FORMAT, &gitlab::FORMAT, &junit::FORMAT, &markdown::FORMAT];

/// Text that breaks out of JSON, XML, HTML, Markdown, a table, a link, a message of SARIF, a terminal and a line of text.
const HOSTILE: &str =
    "a\"'<b>&|`*_[x](http://evil.example){0}\\@all\u{1b}[31m\n\r\u{2028}\u{202e}\u{fffe}\u{0}<!--]]>](1)$x$";

fn written(format: &Format, reports: &[Report]) -> String {
    let mut output = Vec::new();
    format.write(reports, &mut output).unwrap();
    String::from_utf8(output).unwrap()
}

fn json(format: &Format, reports: &[Report]) -> serde_json::Value {
    serde_json::from_str(&written(format, reports)).unwrap()
}

/// A report with findings of every rating and of several packages, places and versions.
fn mixed() -> Report {
    let mut report = sample::full();
    let mut draft = Draft::new(100);
    draft.set_distro(report.inventory.distro().unwrap().clone());
    let mut deb = PackageDraft::new(PackageType::Deb, "libssl3", "3.0.15-1~deb12u1", "var/lib/dpkg/status", 0);
    deb.architecture = "amd64";
    draft.push(&deb).unwrap();
    let npm = |version, path, layer| PackageDraft::new(PackageType::Npm, "@acme/left pad", version, path, layer);
    draft.push(&npm("1.0.0", "srv/a:b/node_modules/@acme/left pad/package.json", 1)).unwrap();
    draft.push(&npm("1.0.0", "opt/x/node_modules/@acme/left pad/package.json", 0)).unwrap();
    draft.push(&npm("2.0.0", "opt/x/node_modules/@acme/left pad/package.json", 1)).unwrap();
    report.inventory = draft.finish();
    report.layers.push(LayerRecord { digest: Digest::of(b"second"), size: None, created_by: None });
    let finding = |id: &str, package: usize, rating, score, vector: Option<&str>, fixed: &[&str]| Finding {
        id: id.into(),
        aliases: vec![],
        upstream: vec![],
        package: report.inventory.package(package).unwrap().purl(),
        package_index: package,
        status: Status::Affected,
        fixed: fixed.iter().map(|version| (*version).to_owned()).collect(),
        severity: Severity { rating, score, vector: vector.map(Into::into), source: Some("GHSA".into()) },
        evidence: Evidence { record: id.into(), range: "versions".into(), event: "versions".into() },
    };
    let v4 = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N";
    let mut findings = report.findings.clone();
    findings.push(finding("CVE-2025-7", 1, Rating::Critical, Some(9.3), Some(v4), &["1.0.1", "2.0.1"]));
    findings.push(finding("GHSA-aaaa-bbbb-cccc", 1, Rating::Unknown, None, None, &[]));
    findings.push(finding("CVE-2025-7", 2, Rating::Medium, Some(5.0), Some("AV:N/AC:L/Au:N/C:N/I:N/A:P"), &["2.0.1"]));
    findings.push(finding("ACME-1", 2, Rating::Negligible, None, Some("negligible"), &[]));
    findings.push(finding("ACME-2", 2, Rating::None, Some(0.0), None, &[]));
    let last = findings.last_mut().unwrap();
    last.status = Status::Indeterminate;
    last.evidence.event = "the version 'x' is none".into();
    report.findings = findings;
    report
}

fn hostile() -> Report {
    let mut report = mixed();
    let hostile = HOSTILE.replace('\0', "");
    let mut draft = Draft::new(100);
    draft.push(&PackageDraft::new(PackageType::Npm, &hostile, &hostile, &format!("../{hostile}"), 0)).unwrap();
    report.inventory = draft.finish();
    report.subject.reference = HOSTILE.into();
    report.subject.platform.os = HOSTILE.into();
    report.layers[0].created_by = Some(HOSTILE.into());
    report.problems = vec![Problem::new(ProblemKind::Corrupt, HOSTILE).at(HOSTILE)];
    for finding in &mut report.findings {
        finding.id = HOSTILE.into();
        finding.aliases = vec![HOSTILE.into(), String::new()];
        finding.package_index = 0;
        finding.package = report.inventory.package(0).unwrap().purl();
        finding.fixed = vec![HOSTILE.into(); 2];
        finding.severity.vector = Some(HOSTILE.into());
        finding.severity.source = Some(HOSTILE.into());
        finding.evidence.event = HOSTILE.into();
        finding.evidence.record = HOSTILE.into();
    }
    report.findings[1].package_index = usize::MAX;
    report
}

/// A report of so many findings, the worst of them last.
fn many(number: usize) -> Report {
    let mut report = sample::full();
    let finding = report.findings.remove(0);
    report.findings = (0..number)
        .map(|index| Finding {
            id: format!("CVE-2020-{index:05}"),
            severity: Severity {
                rating: if index + 5 >= number { Rating::Critical } else { Rating::Low },
                ..finding.severity.clone()
            },
            ..finding.clone()
        })
        .collect();
    report
}

#[test]
fn formats_write_what_they_wrote() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/format/golden");
    for format in FORMATS {
        for (name, reports) in
            [("mixed", vec![mixed()]), ("hostile", vec![hostile()]), ("two", vec![sample::full(), sample::empty()])]
        {
            let file = folder.join(format!("{name}.{}", format.extensions[0]));
            let text = written(format, &reports).replace(env!("CARGO_PKG_VERSION"), "VERSION");
            if std::env::var_os("UPDATE").is_some() {
                std::fs::write(&file, &text).unwrap();
            }
            let expected = std::fs::read_to_string(&file).unwrap_or_default();
            assert!(text == expected, "{} is another one: look at it, and renew it with UPDATE=1", file.display());
        }
    }
}

#[test]
fn several_reports_are_one_document() {
    let reports = [sample::full(), sample::empty(), sample::full()];
    let log = json(&sarif::FORMAT, &reports);
    let categories: Vec<_> =
        log["runs"].as_array().unwrap().iter().map(|run| &run["automationDetails"]["id"]).collect();
    assert_eq!(
        categories,
        ["tidewaiter/team/app/linux/amd64/", "tidewaiter/empty/linux/arm/v7/", "tidewaiter/team/app/linux/amd64/2/"]
    );
    assert_eq!(json(&gitlab::FORMAT, &reports)["vulnerabilities"].as_array().unwrap().len(), 4);
    assert_eq!(written(&junit::FORMAT, &reports).matches("<testsuites ").count(), 1);
    for format in FORMATS {
        let none = written(format, &[]);
        assert!(!none.contains("null"), "{none}");
    }
}

#[test]
fn the_same_report_gives_the_same_bytes_whatever_it_cost() {
    for format in FORMATS {
        let mut report = mixed();
        let first = written(format, &[report.clone()]);
        report.stats.seconds.total = 12.5;
        report.stats.peak_memory_bytes = 1;
        assert_eq!(written(format, &[report]), first, "{}", format.id);
    }
}

#[test]
fn hostile_text_stays_text() {
    for format in FORMATS {
        let text = written(format, &[hostile()]);
        let raw = ['\u{1b}', '\r', '\0', '\u{2028}', '\u{202e}', '\u{fffe}'];
        assert!(!text.contains(raw), "{} writes what a terminal obeys or XML cannot hold", format.id);
    }
    // Every tag of the XML is one that the format writes.
    let tags = ["?xml", "testsuites", "testsuite", "properties", "property", "testcase", "failure", "error"];
    for tag in written(&junit::FORMAT, &[hostile()]).split('<').skip(1) {
        let name = tag.trim_start_matches('/').split([' ', '>', '/']).next().unwrap();
        assert!(tags.contains(&name), "<{tag}");
    }
    // In the Markdown, nothing but our own words stands outside of code, and no row has one cell more.
    for line in written(&markdown::FORMAT, &[hostile()]).lines() {
        assert!(!line.contains("<b>") && !line.contains("@all") && !line.contains("]("), "{line}");
        assert!(!line.contains('`') || line.contains("`sha256:"), "{line}");
        assert!(!line.starts_with('|') || line.matches('|').count() == 7, "{line}");
    }
    let log = json(&sarif::FORMAT, &[hostile()]);
    let result = &log["runs"][0]["results"][0];
    let message = result["message"]["text"].as_str().unwrap();
    assert!(!message.contains("](") && !message.contains("{0"), "{message}");
    let uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte);
    assert!(uri.bytes().all(is_plain) && !uri.starts_with('/') && !uri.contains(".."), "{uri}");
    for vulnerability in json(&gitlab::FORMAT, &[hostile()])["vulnerabilities"].as_array().unwrap() {
        assert!(vulnerability.get("cvss_vectors").is_none() && vulnerability.get("links").is_none());
        assert!(
            vulnerability["identifiers"]
                .as_array()
                .unwrap()
                .iter()
                .all(|id| id["value"] != "" && id.get("url").is_none())
        );
    }
}

#[test]
fn sarif_has_what_github_asks_for() {
    let log = json(&sarif::FORMAT, &[mixed()]);
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let ids: Vec<_> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["ACME-1", "ACME-2", "CVE-2024-0001", "CVE-2024-0002", "CVE-2025-7", "GHSA-aaaa-bbbb-cccc"]);
    let severities: Vec<_> = rules.iter().map(|rule| rule["properties"]["security-severity"].as_str()).collect();
    // The worst of a rule's results decides, as text; nobody knows how bad the last one is.
    assert_eq!(severities, [Some("0.1"), Some("0.0"), Some("3.1"), Some("7.5"), Some("9.3"), None]);
    for rule in rules {
        for text in ["/shortDescription/text", "/fullDescription/text", "/help/text", "/help/markdown", "/name"] {
            assert!(!rule.pointer(text).unwrap().as_str().unwrap().is_empty());
        }
    }
    let mut fingerprints = std::collections::BTreeSet::new();
    for result in run["results"].as_array().unwrap() {
        assert_eq!(ids[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()], result["ruleId"]);
        assert!(fingerprints.insert(result["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap()));
        assert!(!result["locations"].as_array().unwrap().is_empty());
    }
    let uri = "team/app/opt/x/node_modules/%40acme/left%20pad/package.json";
    assert_eq!(run["results"][2]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], uri);
    assert_eq!(run["invocations"][0]["executionSuccessful"], false);
}

#[test]
fn an_alert_stays_the_same_from_build_to_build() {
    let fingerprints = |report: &Report| -> Vec<String> {
        let log = json(&sarif::FORMAT, std::slice::from_ref(report));
        let results = log["runs"][0]["results"].as_array().unwrap().iter();
        results
            .map(|result| {
                result["partialFingerprints"].to_string() + &result["locations"][0]["physicalLocation"].to_string()
            })
            .collect()
    };
    let (old, mut new) = (mixed(), mixed());
    new.subject.reference = "registry.acme.io/team/app:1.1".into();
    new.subject.digest = Digest::of(b"another");
    let mut draft = Draft::new(10);
    for package in old.inventory.packages() {
        for location in package.locations() {
            let version = package.version().replace("deb12u1", "deb12u0");
            let mut same = PackageDraft::new(package.kind(), package.name(), &version, location.path, location.layer);
            same.architecture = package.architecture();
            draft.push(&same).unwrap();
        }
    }
    new.inventory = draft.finish();
    assert_eq!(fingerprints(&old), fingerprints(&new));
    new.subject.reference = "registry.acme.io/team/other:1.1".into();
    assert!(fingerprints(&old).iter().zip(&fingerprints(&new)).all(|(old, new)| old != new));
}

#[test]
fn a_run_of_sarif_keeps_the_worst_of_very_many_findings() {
    let log = json(&sarif::FORMAT, &[many(25_007)]);
    let run = &log["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 25_000);
    assert_eq!(results[24_999]["ruleId"], "CVE-2020-25006");
    assert_eq!(results[24_994]["ruleId"], "CVE-2020-24994");
    assert_eq!(run["tool"]["driver"]["rules"].as_array().unwrap().len(), 25_000);
    let told = run["invocations"][0]["toolExecutionNotifications"].as_array().unwrap();
    assert!(
        told.iter().any(|told| told["message"]["text"].as_str().unwrap().contains(": 7 of the least severe")),
        "{told:?}"
    );
}

#[test]
fn the_others_hold_very_many_findings_too() {
    let report = many(25_007);
    assert_eq!(
        json(&gitlab::FORMAT, std::slice::from_ref(&report))["vulnerabilities"].as_array().unwrap().len(),
        25_007
    );
    assert_eq!(written(&junit::FORMAT, std::slice::from_ref(&report)).matches("<failure ").count(), 25_007);
    for reports in [vec![report.clone()], vec![report.clone(), report.clone(), report]] {
        let page = written(&markdown::FORMAT, &reports);
        assert!(page.len() < 65_536, "a comment has no room for {} bytes", page.len());
        assert!(page.contains("CVE-2020-25006") && page.contains("more are not shown here"), "the worst come first");
        assert!(page.contains("the file is larger than 16 MiB"), "problems are told all the same");
    }
}

#[test]
fn a_problem_has_no_end_in_markdown() {
    let mut report = many(1000);
    report.problems = vec![Problem::new(ProblemKind::Corrupt, "x".repeat(10_000)); 500];
    let page = written(&markdown::FORMAT, &[report]);
    assert!(page.len() < 65_536 && page.matches("more are not shown here").count() == 2, "{}", page.len());
}

#[test]
fn gitlab_takes_only_what_its_schema_says() {
    let document = json(&gitlab::FORMAT, &[mixed()]);
    assert_eq!(document["scan"]["start_time"], "2026-11-02T00:00:00");
    assert_eq!(document["scan"]["status"], "success");
    let vectors: Vec<_> =
        document["vulnerabilities"].as_array().unwrap().iter().map(|one| &one["cvss_vectors"]).collect();
    let is_there: Vec<_> = vectors.iter().map(|vectors| vectors.is_array()).collect();
    // Version 3 and 2 are, version 4 and the word of a distribution are not.
    assert_eq!(is_there, [true, true, false, false, true, false, false]);
    let mut long = mixed();
    long.findings[0].id = "x".repeat(300);
    long.findings[0].fixed = vec!["1".repeat(5_000); 3];
    long.findings[0].aliases = (0..30).map(|number| format!("GHSA-{number}")).collect();
    let one = &json(&gitlab::FORMAT, &[long])["vulnerabilities"][0];
    assert_eq!(one["name"].as_str().unwrap().chars().count(), 255);
    assert_eq!(one["solution"].as_str().unwrap().chars().count(), 7_000);
    assert_eq!(one["identifiers"].as_array().unwrap().len(), 20);
    // Nothing was compared: what earlier reports found is not gone.
    let empty = json(&gitlab::FORMAT, &[sample::empty()]);
    assert_eq!(
        (&empty["scan"]["status"], &empty["scan"]["end_time"]),
        (&"failure".into(), &"1970-01-01T00:00:00".into())
    );
    assert!(empty["vulnerabilities"].as_array().unwrap().is_empty());
}

#[test]
fn a_suite_is_never_empty_and_not_green_of_what_could_not_be_read() {
    let mut report = sample::empty();
    assert!(
        written(&junit::FORMAT, std::slice::from_ref(&report)).contains(r#"tests="1" failures="0" errors="0" skipped"#)
    );
    report.inventory = Inventory::default();
    report.problems = vec![Problem::new(ProblemKind::Malformed, "is none")];
    let text = written(&junit::FORMAT, std::slice::from_ref(&report));
    assert!(text.contains(r#"errors="0""#) && text.contains("<system-out>malformed: is none"), "{text}");
    report.problems = vec![Problem::new(ProblemKind::Corrupt, "is damaged")];
    let text = written(&junit::FORMAT, &[report]);
    assert!(text.contains(r#"tests="1" failures="0" errors="1""#) && text.contains("corrupt: is damaged"), "{text}");
}

#[test]
fn a_full_disk_is_an_error() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    for format in FORMATS {
        assert!(format.write(&[mixed()], &mut Full).is_err(), "{}", format.id);
    }
}
