use std::io::Read;

use super::*;
use crate::format::{self, sample};
use crate::model::inventory::Inventory;
use crate::model::problem::{Problem, ProblemKind};

fn packages(text: &str) -> Result<(Survey, Inventory, Vec<Problem>)> {
    let mut survey = Survey::default();
    read(text.as_bytes(), &mut survey)?;
    let mut packages = Packages::new(survey.distro(), "a.json".into(), 1000, usize::MAX);
    read(text.as_bytes(), &mut packages)?;
    let (inventory, problems) = packages.finish();
    Ok((survey, inventory, problems))
}

fn cyclonedx(rest: &str) -> String {
    format!(r#"{{"bomFormat": "CycloneDX", "specVersion": "1.5", {rest}}}"#)
}

fn components(components: &str) -> String {
    cyclonedx(&format!(r#""components": [{components}]"#))
}

fn spdx(packages: &str) -> String {
    format!(
        r#"{{"spdxVersion": "SPDX-2.3", "creationInfo": {{"created": "2026-01-01T00:00:00Z"}}, "packages": [{packages}]}}"#
    )
}

/// Name, version, source and ecosystem of every package.
fn rows(inventory: &Inventory) -> Vec<String> {
    let row = |package: crate::model::inventory::Package<'_>| {
        let (source, version) = package.source().unwrap_or_default();
        let ecosystem = package.ecosystem().unwrap_or("-");
        format!("{} {} [{source} {version}] {ecosystem}", package.name(), package.version())
    };
    inventory.packages().map(row).collect()
}

#[test]
fn what_this_program_writes_is_read_back() {
    for format in ["cyclonedx", "spdx"] {
        for report in [sample::full(), sample::varied(), sample::empty()] {
            let format: &format::Format = format.parse().unwrap();
            let mut written = Vec::new();
            format.write(std::slice::from_ref(&report), &mut written).unwrap();
            let (survey, inventory, problems) = packages(std::str::from_utf8(&written).unwrap()).unwrap();
            assert!(problems.is_empty(), "{problems:?}");
            // PyPI's names have one spelling in a package URL, so that two rows may become one.
            let mut purls: Vec<_> = report.inventory.packages().map(|package| package.purl()).collect();
            purls.dedup();
            let found: Vec<_> = inventory.packages().map(|package| package.purl()).collect();
            assert_eq!(found, purls);
            assert_eq!(inventory.distro(), report.inventory.distro());
            for package in report.inventory.packages().filter(|package| package.kind().is_os()) {
                let same = inventory.packages().find(|found| found.purl() == package.purl()).unwrap();
                assert_eq!(same.source(), package.source());
                let paths = |package: crate::model::inventory::Package<'_>| {
                    package.locations().map(|location| location.path.to_owned()).collect::<Vec<_>>()
                };
                assert_eq!(paths(same), paths(package));
            }
            if format.id == "cyclonedx" {
                assert_eq!(survey.platform(), Some(&report.subject.platform));
                let owners = |inventory: &Inventory| {
                    inventory.packages().map(|package| package.owner().map(|owner| owner.purl())).collect::<Vec<_>>()
                };
                assert_eq!(
                    owners(&inventory).iter().flatten().count(),
                    owners(&report.inventory).iter().flatten().count()
                );
            }
        }
    }
}

#[test]
fn what_others_write_is_read() {
    let syft = components(
        r#"{"type": "library", "name": "libssl3", "version": "3.0.15-1", "licenses": [{"license": {"name": "OpenSSL"}}],
            "purl": "pkg:deb/debian/libssl3@3.0.15-1?arch=amd64&distro=debian-12&upstream=openssl",
            "properties": [{"name": "syft:location:0:path", "value": "/var/lib/dpkg/status"}]},
           {"type": "library", "name": "semver", "purl": "pkg:golang/github.com/Masterminds/semver@v3.2.0"},
           {"type": "operating-system", "name": "debian", "version": "12", "description": "Debian GNU/Linux 12 (bookworm)"}"#,
    );
    let (_, inventory, _) = packages(&syft).unwrap();
    assert_eq!(rows(&inventory)[0], "libssl3 3.0.15-1 [openssl 3.0.15-1] Debian:12");
    assert!(rows(&inventory)[1].starts_with("github.com/"), "{:?}", rows(&inventory));
    let deb = inventory.package(0).unwrap();
    assert_eq!(deb.locations().next().unwrap().path, "var/lib/dpkg/status");
    assert_eq!(deb.licenses().collect::<Vec<_>>(), ["OpenSSL"]);

    let trivy = components(
        r#"{"type": "operating-system", "name": "redhat", "version": "9.4"},
           {"type": "library", "name": "bash", "version": "5.1.8-9.el9", "purl": "pkg:rpm/redhat/bash@5.1.8-9.el9?arch=x86_64&distro=redhat-9.4&epoch=1",
            "properties": [{"name": "aquasecurity:trivy:SrcName", "value": "bash"}, {"name": "aquasecurity:trivy:SrcVersion", "value": "5.1.8"},
                           {"name": "aquasecurity:trivy:SrcRelease", "value": "9.el9"}]},
           {"type": "application", "name": "app/pom.xml", "components": [
              {"type": "library", "group": "org.acme", "name": "shop", "purl": "pkg:maven/org.acme/shop@1.0"},
              {"type": "library", "name": "@acme/cart", "purl": "pkg:npm/%40acme/cart@2.0.0"}]}"#,
    );
    let (_, inventory, problems) = packages(&trivy).unwrap();
    assert_eq!(
        rows(&inventory),
        [
            "org.acme:shop 1.0 [ ] Maven",
            "@acme/cart 2.0.0 [ ] npm",
            "bash 1:5.1.8-9.el9 [bash 5.1.8-9.el9] Red Hat:enterprise_linux:9"
        ]
    );
    assert!(problems.is_empty());

    let rpm = r#"{"type": "library", "name": "libcap", "purl": "pkg:rpm/rocky/libcap@2.48-9.el9?upstream=libcap-2.48-9.el9.src.rpm&distro=rocky-9.3"}"#;
    assert_eq!(rows(&packages(&components(rpm)).unwrap().1), ["libcap 2.48-9.el9 [libcap 2.48-9.el9] Rocky Linux:9"]);

    let spdx = spdx(
        r#"{"SPDXID": "SPDXRef-1", "name": "alpine", "versionInfo": "3.20.1", "primaryPackagePurpose": "OPERATING-SYSTEM"},
           {"SPDXID": "SPDXRef-2", "name": "libcrypto3", "versionInfo": "3.3.1-r0", "sourceInfo": "built package from: openssl 3.3.1-r0",
            "licenseDeclared": "Apache-2.0", "licenseConcluded": "MIT",
            "externalRefs": [{"referenceCategory": "SECURITY", "referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a:x"},
                             {"referenceCategory": "PACKAGE_MANAGER", "referenceType": "purl", "referenceLocator": "pkg:apk/alpine/libcrypto3@3.3.1-r0?arch=x86_64"}]}"#,
    );
    let (survey, inventory, _) = packages(&spdx).unwrap();
    assert_eq!(rows(&inventory), ["libcrypto3 3.3.1-r0 [openssl 3.3.1-r0] Alpine:v3.20"]);
    assert_eq!(inventory.package(0).unwrap().licenses().collect::<Vec<_>>(), ["Apache-2.0"]);
    assert_eq!(survey.time(), Some("2026-01-01T00:00:00Z"));
}

#[test]
fn the_distribution_is_that_of_most_packages() {
    let deb = |name: &str, rest: &str| format!(r#"{{"purl": "pkg:deb/{name}@1{rest}"}}"#);
    let ecosystem = |components_: &[String]| {
        let (_, inventory, problems) = packages(&components(&components_.join(","))).unwrap();
        let ecosystem = inventory.distro().and_then(|distro| distro.ecosystem.clone());
        (ecosystem, inventory.len(), problems.iter().map(|problem| problem.kind).collect::<Vec<_>>())
    };
    let (debian, ubuntu) = (deb("debian/a", "?distro=debian-12.4"), deb("ubuntu/b", "?distro=ubuntu-22.04"));
    assert_eq!(ecosystem(std::slice::from_ref(&debian)), (Some("Debian:12".into()), 1, vec![]));
    let most = [ubuntu.clone(), debian.clone(), deb("ubuntu/c", "?distro=ubuntu-22.04")];
    assert_eq!(ecosystem(&most), (Some("Ubuntu:22.04:LTS".into()), 2, vec![ProblemKind::Unsupported]));
    assert_eq!(ecosystem(&[deb("debian/a", "")]), (Some("Debian".into()), 1, vec![]));
    assert_eq!(ecosystem(&[deb("debian/a", "?distro=bookworm")]), (Some("Debian".into()), 1, vec![]));
    assert_eq!(ecosystem(&[deb("a", "")]), (None, 1, vec![]));
    assert_eq!(ecosystem(&[]), (None, 0, vec![]));
}

#[test]
fn what_cannot_be_read_is_told() {
    let text = components(
        r#"{"type": "library", "name": "a"}, {"type": "file", "name": "b"}, {"type": "library", "name": "c", "purl": "c@1"},
           {"type": "library", "name": "d", "purl": "pkg:bitnami/d@1"}, {"type": "container", "purl": "pkg:oci/e@1"},
           {"type": "library", "purl": "pkg:npm/f@1"}"#,
    );
    let (_, inventory, problems) = packages(&text).unwrap();
    assert_eq!(rows(&inventory), ["f 1 [ ] npm"]);
    let told: Vec<_> = problems.iter().map(|problem| format!("{}: {}", problem.kind, problem.message)).collect();
    assert_eq!(
        told,
        [
            "nameless: 1 components of the sbom have no package URL",
            "corrupt: 1 components of the sbom have a package URL that is none",
            "nameless: 1 components of the sbom are of the kind bitnami",
        ]
    );
}

#[test]
fn what_is_no_sbom_is_an_error() {
    let good = components(r#"{"purl": "pkg:npm/a@1"}"#);
    let deep = |count| format!("{}{}", r#"{"components": ["#.repeat(count), "]}".repeat(count));
    for (text, kind) in [
        (String::new(), Kind::Corrupt),
        ("[]".into(), Kind::Corrupt),
        ("<bom/>".into(), Kind::Corrupt),
        ("SPDXVersion: SPDX-2.3".into(), Kind::Corrupt),
        (good[..good.len() - 2].into(), Kind::Corrupt),
        (format!("{good}x"), Kind::Corrupt),
        ("{}".into(), Kind::Unsupported),
        (good.replace("1.5", "2.0"), Kind::Unsupported),
        (spdx("").replace("2.3", "2.1"), Kind::Unsupported),
        (r#"{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": [{}]}"#.into(), Kind::Unsupported),
        (components(r#"{"purl": 1}"#), Kind::Corrupt),
        (components(&deep(100_000)), Kind::Corrupt),
        (components(&format!(r#"{{"name": "{}"}}"#, "a".repeat(5 << 20))), Kind::LimitExceeded),
    ] {
        let error = packages(&text)
            .err()
            .unwrap_or_else(|| panic!("{} is let through", text.chars().take(80).collect::<String>()));
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert!(packages(&components(&deep(20))).is_ok());
}

#[test]
fn no_cut_and_no_torn_document_is_a_panic() {
    for format in ["cyclonedx", "spdx"] {
        let format: &format::Format = format.parse().unwrap();
        let mut good = Vec::new();
        format.write(&[sample::varied()], &mut good).unwrap();
        for cut in (0..good.len() - 1).step_by(97) {
            assert!(read(&good[..cut], &mut Survey::default()).is_err(), "cut at {cut}");
        }
        for at in (0..good.len()).step_by(23) {
            let mut torn = good.clone();
            torn[at] ^= 1;
            if let Ok((_, inventory, _)) = packages(&String::from_utf8_lossy(&torn)) {
                assert!(inventory.packages().all(|package| package.purl().starts_with("pkg:")));
            }
        }
    }
}

#[test]
fn what_is_too_long_is_no_name() {
    let long = "9".repeat(5000);
    let text = cyclonedx(&format!(
        r#""metadata": {{"timestamp": "{long}", "component": {{"type": "operating-system", "name": "{long}"}},
                        "properties": [{{"name": "tidewaiter:platform", "value": "a/{long}"}}]}},
           "components": [{{"purl": "pkg:deb/{long}/a@1?distro={long}"}}, {{"purl": "pkg:npm/b@1?x={long}{long}{long}{long}"}}]"#
    ));
    let (survey, inventory, problems) = packages(&text).unwrap();
    assert!(survey.distro().is_none() && survey.platform().is_none() && survey.time().is_none());
    assert_eq!((inventory.len(), problems[0].kind), (1, ProblemKind::Corrupt));
}

#[test]
fn a_document_about_an_operating_system_names_it() {
    let text = cyclonedx(
        r#""metadata": {"component": {"type": "operating-system", "name": "alpine", "version": "3.20.1"}},
           "components": [{"purl": "pkg:apk/alpine/musl@1"}]"#,
    );
    assert_eq!(rows(&packages(&text).unwrap().1), ["musl 1 [ ] Alpine:v3.20"]);
}

#[test]
fn packages_beyond_the_limit_or_the_memory_are_told() {
    let many: Vec<_> = (0..2000).map(|number| format!(r#"{{"purl": "pkg:npm/p{number}@1"}}"#)).collect();
    let text = components(&many.join(","));
    let (_, inventory, problems) = packages(&text).unwrap();
    assert_eq!((inventory.len(), problems[0].kind), (1000, ProblemKind::LimitExceeded));
    let mut little = Packages::new(None, "a".into(), 10_000, 10_000);
    assert_eq!(read(text.as_bytes(), &mut little).unwrap_err().kind(), Kind::LimitExceeded);
}

#[test]
fn a_reader_that_fails_is_told_as_such() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(crate::cancel::canceled().into())
        }
    }
    assert_eq!(read(Broken, &mut Survey::default()).unwrap_err().kind(), Kind::Canceled);
}
