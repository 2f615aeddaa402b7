use std::fs;
use std::path::Path;

use super::*;
use crate::advisory::{ImportOptions, import};
use crate::context::Context;
use crate::model::distro::Distro;
use crate::model::inventory::Draft;
use crate::model::package::{PackageDraft, PackageType};
use crate::model::severity::Rating;

fn database(records: &[&str]) -> Advisories {
    let folder = tempfile::tempdir().unwrap();
    for (index, record) in records.iter().enumerate() {
        fs::write(folder.path().join(format!("{index:03}.json")), record).unwrap();
    }
    let path = folder.path().join("advisories.db");
    import(&[folder.path().to_owned()], &path, &ImportOptions::new("now"), &Context::new()).unwrap();
    Advisories::open(path).unwrap()
}

/// A record of one package, with more fields, such as `"aliases": [...],`.
fn record(id: &str, more: &str, ecosystem: &str, name: &str, events: &str) -> String {
    format!(
        r#"{{"id": "{id}", {more} "affected": [{{"package": {{"ecosystem": "{ecosystem}", "name": "{name}"}},
            "ranges": [{{"type": "GIT", "events": [{{"introduced": "0"}}]}}, {{"type": "ECOSYSTEM", "events": [{events}]}}]}}]}}"#
    )
}

const BEFORE_2: &str = r#"{"introduced": "0"}, {"fixed": "2"}"#;

fn debian(id: &str, release: &str) -> Distro {
    let base = if id == "ubuntu" { "Ubuntu" } else { "Debian" };
    let ecosystem = if release.is_empty() { base.to_owned() } else { format!("{base}:{release}") };
    Distro { id: id.into(), version: release.into(), name: String::new(), ecosystem: Some(ecosystem) }
}

/// Type, name, version, and the source's name and version.
type Row<'a> = (PackageType, &'a str, &'a str, Option<(&'a str, &'a str)>);

fn inventory(distro: Option<Distro>, packages: &[Row<'_>]) -> Inventory {
    let mut draft = Draft::new(100);
    if let Some(distro) = distro {
        draft.set_distro(distro);
    }
    for (kind, name, version, source) in packages {
        let mut package = PackageDraft::new(*kind, name, version, "p", 0);
        package.source = *source;
        draft.push(&package).unwrap();
    }
    draft.finish()
}

fn matches(inventory: &Inventory, advisories: &Advisories) -> Matches {
    find(inventory, advisories, &MatchOptions { now: "2026-11-24T12:00:00Z".parse().unwrap(), include_owned: false })
        .unwrap()
}

/// Each finding as `id status fixed`.
fn lines(matches: &Matches) -> Vec<String> {
    matches.findings.iter().map(|finding| format!("{} {} {}", finding.id, finding.status, finding.fixed_in())).collect()
}

#[test]
fn packages_of_a_distribution_match_by_source_and_release() {
    let advisories = database(&[
        &record("DEBIAN-CVE-2026-1", r#""upstream": ["CVE-2026-1"],"#, "Debian:12", "openssl", BEFORE_2),
        &record("DEBIAN-CVE-2026-2", r#""upstream": ["CVE-2026-2"],"#, "Debian:11", "openssl", BEFORE_2),
        &record("DEBIAN-CVE-2026-3", r#""upstream": ["CVE-2026-3"],"#, "Debian:12", "libssl3", BEFORE_2),
        &record("DSA-1-1", r#""upstream": ["CVE-2026-8", "CVE-2026-9"],"#, "Debian", "openssl", BEFORE_2),
    ]);
    let libssl = |distro, version| {
        let package = (PackageType::Deb, "libssl3", "9", Some(("openssl", version)));
        let found = matches(&inventory(Some(distro), &[package]), &advisories);
        lines(&found)
    };
    assert_eq!(libssl(debian("debian", "12"), "1"), ["CVE-2026-1 affected 2", "DSA-1-1 affected 2"]);
    assert_eq!(libssl(debian("debian", "11"), "1"), ["CVE-2026-2 affected 2", "DSA-1-1 affected 2"]);
    assert!(libssl(debian("debian", "12"), "2").is_empty());
    // An image that does not say its release: what is fixed everywhere is no finding.
    assert_eq!(
        libssl(debian("debian", ""), "1"),
        ["CVE-2026-1 indeterminate 2", "CVE-2026-2 indeterminate 2", "DSA-1-1 affected 2"]
    );
    assert!(libssl(debian("debian", ""), "2").is_empty());
}

#[test]
fn ubuntus_long_term_releases_have_a_suffix() {
    let release = |id, release| record(id, "", &format!("Ubuntu:{release}"), "p", BEFORE_2);
    let advisories = database(&[
        &release("USN-1", "22.04:LTS"),
        &release("USN-2", "Pro:22.04:LTS"),
        &release("USN-3", "25.10"),
        &release("USN-4", "24.04:LTS"),
    ]);
    for (release, expected) in
        [("22.04", "USN-1 affected 2"), ("25.10", "USN-3 affected 2"), ("24.04:LTS", "USN-4 affected 2")]
    {
        let inventory = inventory(Some(debian("ubuntu", release)), &[(PackageType::Deb, "p", "1", None)]);
        assert_eq!(lines(&matches(&inventory, &advisories)), [expected]);
    }
}

#[test]
fn one_vulnerability_is_one_finding_however_its_ids_are_linked() {
    // 0-3, 1-2, 2-3: all four belong together, though no record names all others.
    let link = |id: &str, aliases: &str, fixed: &str| {
        record(
            id,
            &format!(r#""aliases": [{aliases}],"#),
            "npm",
            "p",
            &format!(r#"{{"introduced": "0"}}, {{"fixed": "{fixed}"}}"#),
        )
    };
    let advisories = database(&[
        &link("R-0", r#""R-3""#, "3.0.0"),
        &link("R-1", r#""R-2""#, "2.0.0"),
        &link("R-2", r#""R-3", "CVE-2026-7""#, "2.5.0"),
        &link("R-3", "", "3.0.0"),
        &link("S-1", r#""CVE-2026-8", "CVE-2026-9""#, "2.0.0"),
    ]);
    let found = matches(&inventory(None, &[(PackageType::Npm, "p", "1.0.0", None)]), &advisories);
    let [first, second] = found.findings.as_slice() else { panic!("{:?}", found.findings) };
    assert_eq!(first.id, "CVE-2026-7");
    assert_eq!(first.aliases, ["R-0", "R-1", "R-2", "R-3"]);
    assert_eq!(first.fixed, ["2.0.0", "2.5.0", "3.0.0"]);
    assert_eq!(first.evidence.record, "R-0");
    assert_eq!((second.id.as_str(), second.aliases.len()), ("S-1", 2), "two CVEs: the record's own id");
}

#[test]
fn upstream_is_no_alias() {
    let advisories = database(&[
        &record("DSA-1-1", r#""upstream": ["CVE-2026-1", "CVE-2026-2"],"#, "Debian:12", "p", BEFORE_2),
        &record("DEBIAN-CVE-2026-1", r#""upstream": ["CVE-2026-1"],"#, "Debian:12", "p", BEFORE_2),
    ]);
    let found = matches(&inventory(Some(debian("debian", "12")), &[(PackageType::Deb, "p", "1", None)]), &advisories);
    let [first, second] = found.findings.as_slice() else { panic!("{:?}", found.findings) };
    assert_eq!((first.id.as_str(), first.upstream.len()), ("CVE-2026-1", 0));
    assert_eq!((second.id.as_str(), second.upstream.len()), ("DSA-1-1", 2));
}

#[test]
fn a_package_of_another_repository_is_that_package() {
    let advisories = database(&[
        &record("X-1", "", "Packagist:https://packages.drupal.org/8", "drupal/simple_sitemap", BEFORE_2),
        &record("X-2", "", "Maven:https://repo.spring.io", "org.a:b", BEFORE_2),
    ]);
    let packages =
        [(PackageType::Composer, "drupal/simple_sitemap", "1", None), (PackageType::Maven, "org.a:b", "1", None)];
    assert_eq!(lines(&matches(&inventory(None, &packages), &advisories)), ["X-1 affected 2", "X-2 affected 2"]);
}

#[test]
fn a_branch_of_composer_is_in_no_range() {
    let advisories = database(&[
        &record("X-1", "", "Packagist", "a/b", BEFORE_2),
        r#"{"id": "X-2", "affected": [{"package": {"ecosystem": "Packagist", "name": "a/b"}, "versions": ["dev-main"]}]}"#,
    ]);
    let found = matches(&inventory(None, &[(PackageType::Composer, "a/b", "dev-main", None)]), &advisories);
    assert_eq!(lines(&found), ["X-1 indeterminate 2", "X-2 affected -"]);
}

#[test]
fn a_record_that_mirrors_one_cve_is_named_by_it() {
    let upstream = |id: &str, cves: &str| record(id, &format!(r#""upstream": [{cves}],"#), "Wolfi", "p", BEFORE_2);
    let advisories = database(&[
        &upstream("CGA-1", r#""CVE-2026-1", "GHSA-1""#),
        &upstream("CGA-2", r#""CVE-2026-2", "CVE-2026-3""#),
        // What one update fixes, even where that is one vulnerability.
        &upstream("ALSA-2026:1", r#""CVE-2026-4""#),
        &upstream("openSUSE-SU-2026:1-1", r#""CVE-2026-5""#),
    ]);
    let wolfi = Distro { id: "wolfi".into(), ecosystem: Some("Wolfi".into()), ..Distro::default() };
    let found = matches(&inventory(Some(wolfi), &[(PackageType::Apk, "p", "1", None)]), &advisories);
    let ids: Vec<_> = found.findings.iter().map(|finding| (finding.id.as_str(), finding.upstream.len())).collect();
    assert_eq!(ids, [("ALSA-2026:1", 1), ("CGA-2", 2), ("CVE-2026-1", 1), ("openSUSE-SU-2026:1-1", 1)]);
    assert_eq!(found.findings[2].aliases, ["CGA-1"]);
}

#[test]
fn what_is_withdrawn_or_says_nothing_is_no_finding() {
    let withdrawn = |id, time: &str| record(id, &format!(r#""withdrawn": "{time}","#), "npm", "p", BEFORE_2);
    let advisories = database(&[
        &withdrawn("X-1", "2026-11-24T11:59:59Z"),
        &withdrawn("X-2", "2027-01-01T00:00:00Z"),
        &withdrawn("X-3", "some day"),
        r#"{"id": "X-4", "affected": [{"package": {"ecosystem": "npm", "name": "p"}}]}"#,
        r#"{"id": "X-5", "affected": [{"package": {"ecosystem": "npm", "name": "p"}, "versions": ["1.0.0"]}]}"#,
        &record("X-6", "", "npm:https://elsewhere.example", "p", BEFORE_2),
    ]);
    let found = matches(&inventory(None, &[(PackageType::Npm, "p", "1.0.0", None)]), &advisories);
    assert_eq!(lines(&found), ["X-2 affected 2", "X-5 affected -"]);
    assert_eq!(found.findings[1].evidence.range, "versions");
}

#[test]
fn what_was_found_before_is_found_again_until_it_is_withdrawn() {
    let advisories = database(&[
        &record("X-1", "", "npm", "p", BEFORE_2),
        &record("X-2", r#""withdrawn": "2027-01-01T00:00:00Z","#, "npm", "p", BEFORE_2),
        &record("X-3", "", "npm", "q", BEFORE_2),
    ]);
    let (p, q) = ((PackageType::Npm, "p", "1.0.0", None), (PackageType::Npm, "q", "1.0.0", None));
    let matcher = Matcher::new(advisories, 1 << 20);
    let at = |inventory: &Inventory, now: &str| {
        let options = MatchOptions { now: now.parse().unwrap(), include_owned: false };
        let again = matcher.find(inventory, &options).unwrap();
        let anew = find(inventory, matcher.advisories(), &options).unwrap();
        assert_eq!((&again.findings, again.owned_findings), (&anew.findings, anew.owned_findings));
        again.findings.iter().map(|finding| (finding.package_index, finding.id.clone())).collect::<Vec<_>>()
    };
    let found = |rows: &[(usize, &str)]| rows.iter().map(|(index, id)| (*index, (*id).to_owned())).collect::<Vec<_>>();
    let (before, after) = ("2026-11-24T12:00:00Z", "2027-01-02T00:00:00Z");
    for _ in 0..2 {
        assert_eq!(at(&inventory(None, &[p, q]), before), found(&[(0, "X-1"), (0, "X-2"), (1, "X-3")]));
        // In another image it has another place.
        assert_eq!(at(&inventory(None, &[q]), before), found(&[(0, "X-3")]));
    }
    assert_eq!(at(&inventory(None, &[p, q]), after), found(&[(0, "X-1"), (1, "X-3")]));
}

#[test]
fn a_version_that_cannot_be_compared_is_told() {
    let advisories = database(&[
        &record("X-1", "", "PyPI", "p", BEFORE_2),
        &record("X-2", "", "PyPI", "p", r#"{"introduced": "0"}"#),
    ]);
    let found = matches(&inventory(None, &[(PackageType::Pypi, "p", "no version", None)]), &advisories);
    assert_eq!(lines(&found), ["X-1 indeterminate 2", "X-2 affected -"]);
    assert_eq!(found.findings[0].evidence.event, "no version and 2 cannot be compared");
}

#[test]
fn owned_packages_are_counted() {
    let advisories = database(&[&record("X-1", "", "PyPI", "six", BEFORE_2)]);
    let mut draft = Draft::new(10);
    draft.set_distro(debian("debian", "12"));
    let deb = draft.push(&PackageDraft::new(PackageType::Deb, "python3-six", "1", "status", 0)).unwrap();
    draft.push(&PackageDraft::new(PackageType::Pypi, "six", "1", "six/METADATA", 0)).unwrap();
    draft.own("six/METADATA", deb);
    let inventory = draft.finish();
    let found = matches(&inventory, &advisories);
    assert_eq!((found.findings.len(), found.owned_findings), (0, 1));
    let options = MatchOptions { now: "2026-11-24T12:00:00Z".parse().unwrap(), include_owned: true };
    let found = find(&inventory, &advisories, &options).unwrap();
    assert_eq!((found.findings.len(), found.owned_findings), (1, 1));
    assert_eq!(found.problems.len(), 1, "{:?}", found.problems);
    assert_eq!(
        found.problems[0].message,
        "there are no advisories for Debian: get them with `tidewaiter advisories update Debian`"
    );
}

#[test]
fn a_release_that_the_database_does_not_cover_is_a_problem() {
    let advisories = database(&[
        &record("X-1", "", "Debian:12", "p", BEFORE_2),
        &record("X-2", "", "Ubuntu:22.04:LTS", "p", BEFORE_2),
        &record("X-3", "", "Ubuntu:Pro:18.04:LTS", "p", BEFORE_2),
    ]);
    let problems = |distro| {
        let found = matches(&inventory(Some(distro), &[(PackageType::Deb, "q", "1", None)]), &advisories);
        found.problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>()
    };
    let expected = ["the advisories for Debian do not cover 99, the release of the image"];
    assert_eq!(problems(debian("debian", "99")), expected);
    let expected = ["the advisories for Ubuntu do not cover 18.04:LTS, the release of the image"];
    assert_eq!(problems(debian("ubuntu", "18.04:LTS")), expected);
    for covered in [debian("debian", "12"), debian("debian", ""), debian("ubuntu", "22.04")] {
        assert!(problems(covered.clone()).is_empty(), "{covered:?}");
    }
}

#[test]
fn packages_that_osv_does_not_know_are_a_problem() {
    let advisories = database(&[&record("X-1", "", "PyPI", "six", BEFORE_2)]);
    let arch = Distro { id: "arch".into(), ..Distro::default() };
    let found = matches(&inventory(Some(arch), &[(PackageType::Alpm, "bash", "5", None)]), &advisories);
    assert_eq!(found.problems[0].message, "OSV has no advisories for the alpm packages of arch");
    assert!(found.problems[0].kind.is_incomplete());
}

#[test]
fn packages_that_no_advisory_can_name_are_told_and_no_more() {
    let advisories = database(&[&record("X-1", "", "Maven", "org.a:b", BEFORE_2)]);
    let packages = [
        (PackageType::Conda, "openssl", "3", None),
        (PackageType::Maven, "app", "1", None),
        (PackageType::Maven, "org.a:b", "2", None),
    ];
    let found = matches(&inventory(Some(debian("debian", "12")), &packages), &advisories);
    let told: Vec<_> = found.problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        told,
        [
            "OSV has no advisories for conda packages",
            "jars whose group is not known, so that no advisory names them: 1"
        ]
    );
    assert!(found.problems.iter().all(|problem| !problem.kind.is_incomplete()));
}

#[test]
fn the_source_of_a_severity_follows_a_fixed_order() {
    const V2: &str = r#"{"type": "CVSS_V2", "score": "AV:N/AC:L/Au:N/C:C/I:C/A:C"}"#;
    const V31: &str = r#"{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}"#;
    const V4: &str =
        r#"{"type": "CVSS_V4", "score": "CVSS:4.0/AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}"#;
    const CUT: &str = r#"{"type": "CVSS_V4", "score": "CVSS:4.0/AV:L"}"#;
    let of = |ecosystem: &str, more: String, specific: &str| {
        let record = format!(
            r#"{{"id": "GHSA-1", {more} "affected": [{{"package": {{"ecosystem": "{ecosystem}", "name": "p"}}, {specific}
                "ranges": [{{"type": "ECOSYSTEM", "events": [{BEFORE_2}]}}]}}]}}"#
        );
        let (distro, kind) = match ecosystem {
            "npm" => (None, PackageType::Npm),
            ubuntu if ubuntu.starts_with("Ubuntu") => (Some(debian("ubuntu", "22.04")), PackageType::Deb),
            _ => (Some(debian("debian", "12")), PackageType::Deb),
        };
        let found = matches(&inventory(distro, &[(kind, "p", "1.0.0", None)]), &database(&[&record]));
        let severity = found.findings[0].severity.clone();
        (severity.rating, severity.score, severity.source.unwrap_or_default())
    };
    let scores = |list: &[&str]| {
        format!(r#""severity": [{}], "database_specific": {{"severity": "MODERATE"}},"#, list.join(","))
    };
    for (ecosystem, more, specific, expected) in [
        ("npm", scores(&[V2, V31, V4]), "", (Rating::High, Some(7.3), "GHSA")),
        ("npm", scores(&[V31, V2, CUT]), "", (Rating::Critical, Some(9.8), "GHSA")),
        ("npm", scores(&[CUT]), "", (Rating::Medium, None, "GHSA")),
        ("npm", String::new(), "", (Rating::Unknown, None, "")),
        (
            "Debian:12",
            scores(&[V31]),
            r#""ecosystem_specific": {"urgency": "unimportant"},"#,
            (Rating::Negligible, None, "Debian:12"),
        ),
        (
            "Debian:12",
            scores(&[V31]),
            r#""ecosystem_specific": {"urgency": "not yet assigned"},"#,
            (Rating::Critical, Some(9.8), "Debian:12"),
        ),
        (
            "Ubuntu:22.04:LTS",
            scores(&[V31, r#"{"type": "Ubuntu", "score": "low"}"#]),
            "",
            (Rating::Low, None, "Ubuntu:22.04"),
        ),
    ] {
        let expected = (expected.0, expected.1, expected.2.to_owned());
        assert_eq!(of(ecosystem, more.clone(), specific), expected, "{ecosystem} {more} {specific}");
    }
}

#[test]
fn cvss_scores_are_those_of_the_corpus() {
    /// Wrong only in the order of metrics, or because a group that is not scored is not whole; the last is good CVSS 3.1.
    const TAKEN: &[&str] = &[
        "AV:A/AC:L/Au:N/C:C/I:C/A:C/CDP:H/TD:H/CR:H",
        "AV:A/AC:L/Au:N/C:C/I:C/A:C/E:F",
        "AV:A/AC:L/Au:N/A:C/I:C/C:C",
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:H/UI:N/VC:L/VI:L/VA:N/SC:N/SI:N/E:A/SA:N",
        "CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N",
    ];
    let Some(corpus) = std::env::var_os("TIDEWAITER_CORPUS") else { return };
    let read = |name: &str| fs::read_to_string(Path::new(&corpus).join("cvss").join(name)).unwrap();
    let mut wrong = Vec::new();
    for name in ["v2_score.list", "v30_score.list", "v31_score.list", "v4_score.list"] {
        for line in read(name).lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            let (vector, score) = (words.next().unwrap(), words.next().unwrap().parse::<f64>().unwrap());
            // The score of a report is the base score; those of the other groups are not asked for (4.0 has one for all).
            let metrics = vector.split('/').filter(|metric| !metric.starts_with("CVSS:")).count();
            let is_base = match name {
                "v2_score.list" => metrics == 6,
                "v4_score.list" => true,
                _ => metrics == 8,
            };
            let found = severity::cvss(vector).map(|(_, score)| score);
            if found.is_none() || (is_base && found != Some(score)) {
                wrong.push(format!("{name}: {vector} is {score}, not {found:?}"));
            }
        }
    }
    for name in ["v2_error.list", "v3_error.list", "v4_error.list"] {
        for line in read(name).lines().filter(|line| !line.trim().is_empty()) {
            let vector = line.split_whitespace().next().unwrap();
            if severity::cvss(vector).is_some() != line.ends_with("#OK") && !TAKEN.contains(&vector) {
                wrong.push(format!("{name}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn rpm(ecosystem: &str, package: (&str, &str, Option<(&str, &str)>), module: &str) -> Inventory {
    let mut draft = Draft::new(100);
    draft.set_distro(Distro {
        id: "x".into(),
        version: "9".into(),
        name: String::new(),
        ecosystem: Some(ecosystem.into()),
    });
    let mut package_draft = PackageDraft::new(PackageType::Rpm, package.0, package.1, "p", 0);
    (package_draft.source, package_draft.module) = (package.2, module);
    draft.push(&package_draft).unwrap();
    draft.finish()
}

#[test]
fn each_distribution_has_its_names() {
    let records: Vec<_> = ["AlmaLinux:9", "Rocky Linux:9", "Wolfi", "openSUSE:Leap 15.5"]
        .iter()
        .flat_map(|ecosystem| {
            ["lib", "source"].map(|name| {
                record(
                    &format!("{}-{name}", &ecosystem[..1]),
                    "",
                    ecosystem,
                    name,
                    r#"{"introduced": "0"}, {"fixed": "2-1"}"#,
                )
            })
        })
        .collect();
    let advisories = database(&records.iter().map(String::as_str).collect::<Vec<_>>());
    for (ecosystem, expected) in [
        ("AlmaLinux:9", vec!["A-lib"]),
        ("Rocky Linux:9", vec!["R-source"]),
        ("Wolfi", vec!["W-lib", "W-source"]),
        ("openSUSE:Leap 15.5", vec!["o-source"]),
    ] {
        let kind = if ecosystem == "Wolfi" { PackageType::Apk } else { PackageType::Rpm };
        let distro = Distro { ecosystem: Some(ecosystem.into()), ..Distro::default() };
        let inventory = inventory(Some(distro), &[(kind, "lib", "1-1", Some(("source", "1-1")))]);
        let found: Vec<_> = matches(&inventory, &advisories).findings.into_iter().map(|finding| finding.id).collect();
        assert_eq!(found, expected, "{ecosystem}");
    }
}

#[test]
fn epochs_of_rpms() {
    let events = r#"{"introduced": "0"}, {"fixed": "1:2.0-1"}"#;
    let advisories = database(&[&record("R-1", "", "Rocky Linux:9", "source", events)]);
    let is_affected = |own: &str, source: &str| {
        !matches(&rpm("Rocky Linux:9", ("lib", own, Some(("source", source))), ""), &advisories).findings.is_empty()
    };
    // The epoch of what was built from it; else, none is compared.
    assert!(!is_affected("1:2.1-1", "2.1-1"));
    assert!(is_affected("2.1-1", "2.1-1"), "its epoch is 0");
    assert!(!is_affected("7.5-3", "2.1-1"), "its epoch is not known");
    assert!(is_affected("7.5-3", "1.9-1"));
}

#[test]
fn a_build_that_a_record_names_as_fixed_is_fixed() {
    // ALBA-2019:0973 and RLSA-2025:9318 list a version several times, each built in another run of its module; aide of ALBA-2020:4718
    // was built twice outside of any.
    let builds = |id: &str, ecosystem: &str, name: &str, fixed: &[&str]| {
        let row = |fixed: &&str| {
            format!(
                r#"{{"package": {{"ecosystem": "{ecosystem}", "name": "{name}"}}, "ranges": [{{"type": "ECOSYSTEM",
                    "events": [{{"introduced": "0"}}, {{"fixed": "{fixed}"}}]}}]}}"#
            )
        };
        let rows: Vec<_> = fixed.iter().map(row).collect();
        format!(r#"{{"id": "{id}", "modified": "2026-01-01T00:00:00Z", "affected": [{}]}}"#, rows.join(","))
    };
    let hook = [
        "1:0.1.15-2.git2d0b8a3.module_el8.3.0+2044+12421f43",
        "1:0.1.15-2.git2d0b8a3.module_el8.4.0+2496+12421f43",
        "1:0.1.15-2.git2d0b8a3.module_el8.5.0+119+9a9ec082",
    ];
    let ant = ["0:1.10.5-1.module+el8.3.0+74+855e3f5d", "0:1.10.5-1.module+el8.10.0+2003+8aeac9cb"];
    let advisories = database(&[
        &builds("ALBA-2019:0973", "AlmaLinux:8", "oci-systemd-hook", &hook),
        &builds("RLSA-2025:9318", "Rocky Linux:8", "ant", &ant),
        &builds("ALBA-2020:4718", "AlmaLinux:8", "aide", &["0.16-14.el8", "0.16-14.el8_5.1"]),
    ]);
    for (ecosystem, name, version, module, is_affected) in [
        ("AlmaLinux:8", "oci-systemd-hook", hook[0], "container-tools:rhel8:1:a:x86_64", false),
        ("AlmaLinux:8", "oci-systemd-hook", hook[1], "container-tools:rhel8:1:a:x86_64", false),
        ("AlmaLinux:8", "oci-systemd-hook", hook[2], "container-tools:rhel8:1:a:x86_64", false),
        ("AlmaLinux:8", "oci-systemd-hook", "1:0.1.15-2.git2d0b8a3.module_el8.4.0+2500+12421f43", "", false),
        ("AlmaLinux:8", "oci-systemd-hook", "1:0.1.15-2.git2d0b8a3.module_el8.3.0+2043+12421f43", "", true),
        ("AlmaLinux:8", "oci-systemd-hook", "1:0.1.15-1.git2d0b8a3.module_el8.4.0+2500+12421f43", "", true),
        ("AlmaLinux:8", "aide", "0.16-14.el8", "", false),
        ("AlmaLinux:8", "aide", "0.16-14.el8_5", "", true),
        ("AlmaLinux:8", "aide", "0.16-13.el8", "", true),
        ("Rocky Linux:8", "ant", "1.10.5-1.module+el8.3.0+74+855e3f5d", "javapackages-tools:201801:8:a:noarch", false),
        ("Rocky Linux:8", "ant", "1.10.5-1.module+el8.9.0+80+855e3f5d", "", false),
        ("Rocky Linux:8", "ant", "1.10.4-9.module+el8.9.0+80+855e3f5d", "", true),
    ] {
        let source = Some((name, version)).filter(|_| ecosystem.starts_with("Rocky"));
        let found = matches(&rpm(ecosystem, (name, version, source), module), &advisories).findings;
        assert_eq!(!found.is_empty(), is_affected, "{name} {version}: {found:?}");
    }
}

#[test]
fn modules_and_streams() {
    let fixed = |version: &str| format!(r#"{{"introduced": "0"}}, {{"fixed": "{version}"}}"#);
    let advisories = database(&[
        &record(
            "A-20",
            r#""summary": "Important: nodejs:20 security update","#,
            "AlmaLinux:9",
            "nodejs",
            &fixed("20.9-1.module_el9+1"),
        ),
        &record(
            "A-18",
            r#""summary": "Important: nodejs:18 security update","#,
            "AlmaLinux:9",
            "nodejs",
            &fixed("18.9-1.module_el9+1"),
        ),
        &record("A-plain", "", "AlmaLinux:9", "nodejs", &fixed("16.9-1.el9")),
        &record(
            "A-other",
            r#""summary": "Moderate: eclipse:rhel9 and tools:1.0 (security) update.","#,
            "AlmaLinux:9",
            "nodejs",
            &fixed("30.0-1.module_el9+1"),
        ),
        &record(
            "A-silent",
            r#""summary": "Important: nodejs security update","#,
            "AlmaLinux:9",
            "nodejs",
            &fixed("18.5-1.module_el9+1"),
        ),
    ]);
    let found = |version: &str, module: &str| -> Vec<String> {
        let found = matches(&rpm("AlmaLinux:9", ("nodejs", version, None), module), &advisories);
        found.findings.into_iter().map(|finding| finding.id).collect()
    };
    assert_eq!(found("18.1-1.module_el9+1", "nodejs:18:9020:abc:x86_64"), ["A-18", "A-silent"]);
    assert_eq!(found("20.1-1.module_el9+1", "nodejs:20:9020:abc:x86_64"), ["A-20"]);
    assert_eq!(found("20.1-1.module_el9+1", "tools:1.0:9020:abc:x86_64"), ["A-other"]);
    assert_eq!(found("20.1-1.module_el9+1", "tools:1:9020:abc:x86_64"), [""; 0]);
    assert_eq!(found("16.1-1.el9", ""), ["A-plain"]);
    // Without a label the stream is not known.
    assert_eq!(found("18.1-1.module_el9+1", ""), ["A-18", "A-20", "A-other", "A-silent"]);
}

#[test]
fn findings_without_end_are_left_out_and_told() {
    let summary = "s".repeat(200);
    let records: Vec<String> = (0..200)
        .map(|number| {
            let more = format!(r#""summary": "{summary}", "aliases": ["CVE-2026-{number}-{summary}"],"#);
            record(&format!("X-{number}"), &more, "npm", "a", BEFORE_2)
        })
        .collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let advisories = database(&records);
    let mut draft = Draft::new(u64::MAX);
    for number in 0..1_000 {
        draft.push(&PackageDraft::new(PackageType::Npm, "a", &format!("1.0.{number}"), "p", 0)).unwrap();
    }
    let inventory = draft.finish();
    let found = matches(&inventory, &advisories);
    assert!(found.findings.len() > 10_000 && found.findings.len() < 150_000, "{}", found.findings.len());
    let told = found.problems.first().unwrap();
    assert!(told.kind == ProblemKind::Unmatched && told.message.contains("too many findings"), "{told:?}");
    // A match of tomorrow says it anew, and what it keeps from is not complete.
    assert!(told.kind.is_of_a_match() && told.kind.is_incomplete());
}

#[test]
fn packages_that_are_compared_with_advisories_without_end_are_told() {
    let records: Vec<String> = (0..10).map(|number| record(&format!("X-{number}"), "", "npm", "a", BEFORE_2)).collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let advisories = database(&records);
    let mut draft = Draft::new(u64::MAX);
    for number in 0..20 {
        draft.push(&PackageDraft::new(PackageType::Npm, "a", &format!("3.0.{number}"), "p", 0)).unwrap();
    }
    let (inventory, options) =
        (draft.finish(), MatchOptions { now: "2026-11-24T12:00:00Z".parse().unwrap(), include_owned: false });
    for (rows, rest) in [(50, Some(15)), (199, None), (201, None)] {
        let effort = Effort(Cell::new(rows));
        let find = |package: &Package<'_>| Ok(of_package(package, &advisories, options.now, &effort)?.findings);
        let problems =
            find_with(&inventory, &advisories, &options, usize::MAX, &effort, find).unwrap().unwrap().problems;
        let told: Vec<_> = problems.iter().map(|problem| (problem.kind, problem.message.clone())).collect();
        let message = |rest| {
            format!("the last {rest} packages are not matched: those before them are compared with too many advisories")
        };
        assert_eq!(told, rest.map(|rest: u32| (ProblemKind::Unmatched, message(rest))).into_iter().collect::<Vec<_>>());
    }
}
