//! Modules of Red Hat's relatives on real records: a package of a module is matched by the stream that it is from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tidewaiter::Context;
use tidewaiter::advisory::{Advisories, Event, ImportOptions, import};
use tidewaiter::conformance::cataloger::Sample;
use tidewaiter::matching::{self, MatchOptions};
use tidewaiter::model::distro::Distro;
use tidewaiter::model::inventory::{Draft, Inventory};
use tidewaiter::model::package::{PackageDraft, PackageType};

use crate::corpus::corpus;

/// A version of a modular package that is older than all others: only the module decides.
const OLD: &str = "0-0.module_el8.3.0+1+abcdef01";
const NOW: &str = "2026-11-24T12:00:00Z";

fn almalinux(corpus: &Path, folder: &Path) -> Advisories {
    let database = folder.join("advisories.db");
    import(&[corpus.join("osv/AlmaLinux/all.zip")], &database, &ImportOptions::new(NOW), &Context::new()).unwrap();
    Advisories::open(&database).unwrap()
}

/// Name, version and module label of packages of an image of AlmaLinux 8.
fn inventory<'a>(packages: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> Inventory {
    inventory_of("AlmaLinux:8", packages)
}

/// The same of an image with these advisories, with each package built from a source package of its name.
fn inventory_of<'a>(ecosystem: &str, packages: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> Inventory {
    let mut draft = Draft::new(u64::MAX);
    draft.set_distro(Distro { version: "8.9".into(), ecosystem: Some(ecosystem.into()), ..Distro::default() });
    for (name, version, module) in packages {
        let package = PackageDraft::new(PackageType::Rpm, name, version, "var/lib/rpm/Packages", 0);
        draft.push(&PackageDraft { module, source: Some((name, version)), ..package }).unwrap();
    }
    draft.finish()
}

/// The ids of the records that the findings of one package rest on.
fn records(ecosystem: &str, package: (&str, &str, &str), advisories: &Advisories) -> BTreeSet<String> {
    let options = MatchOptions::at(NOW.parse().unwrap());
    let found = matching::find(&inventory_of(ecosystem, [package]), advisories, &options).unwrap();
    found.findings.into_iter().map(|finding| finding.evidence.record).collect()
}

/// The records that the findings rest on, with their summaries.
fn summaries(inventory: &Inventory, advisories: &Advisories) -> BTreeSet<(String, String)> {
    let options = MatchOptions::at(NOW.parse().unwrap());
    let mut found = BTreeSet::new();
    for finding in matching::find(inventory, advisories, &options).unwrap().findings {
        let package = inventory.package(finding.package_index).unwrap();
        for row in advisories.affected("AlmaLinux", package.name()).unwrap() {
            let record = advisories.record(row.record).unwrap();
            if record.id == finding.evidence.record {
                found.insert((record.id, record.summary));
            }
        }
    }
    found
}

/// `(module, stream)` of the words of a summary.
fn streams(summary: &str) -> Vec<(&str, &str)> {
    let words = summary.split(' ').filter_map(|word| word.split_once(':'));
    words.filter(|(_, stream)| !stream.is_empty()).collect()
}

/// Every stream of nodejs, php and postgresql that has advisories.
#[test]
fn a_package_is_matched_by_its_stream() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let advisories = almalinux(&corpus, folder.path());
    for (name, known) in [
        ("nodejs", ["10", "12", "14", "16", "18", "20"].as_slice()),
        ("php", &["7.2", "7.3", "7.4", "8.0"]),
        ("postgresql", &["9.6", "10", "12", "13"]),
    ] {
        for stream in known {
            let label = format!("{name}:{stream}:8090020240101000000:abcdef01:x86_64");
            let found = summaries(&inventory([(name, OLD, label.as_str())]), &advisories);
            assert!(!found.is_empty(), "{name}:{stream}");
            for (id, summary) in &found {
                assert!(streams(summary).contains(&(name, *stream)), "{name}:{stream}: {id} {summary}");
            }
        }
        let label = format!("{name}:none:8090020240101000000:abcdef01:x86_64");
        let found = summaries(&inventory([(name, OLD, label.as_str())]), &advisories);
        assert!(found.is_empty(), "{name}: {found:?}");
        // The package of that name that is in no module.
        let found = summaries(&inventory([(name, "0-0.el8", "")]), &advisories);
        assert!(found.iter().all(|(_, summary)| streams(summary).is_empty()), "{name}: {found:?}");
    }
}

/// A package that several modules bring is matched by that which it is from.
#[test]
fn a_package_is_matched_by_its_module() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let advisories = almalinux(&corpus, folder.path());
    let mut seen = BTreeSet::new();
    for (name, module) in [
        ("apache-commons-io", "maven:3.5"),
        ("apache-commons-io", "maven:3.6"),
        ("apache-commons-io", "javapackages-tools:201801"),
        ("hamcrest", "eclipse:rhel8"),
        ("perl-DBD-Pg", "perl-DBD-Pg:3.7"),
    ] {
        let label = format!("{module}:8090020240101000000:abcdef01:x86_64");
        let found = summaries(&inventory([(name, OLD, label.as_str())]), &advisories);
        for (id, summary) in found {
            let own = module.split_once(':').unwrap();
            assert!(streams(&summary).contains(&own), "{name} of {module}: {id} {summary}");
            seen.insert(module);
        }
    }
    assert!(seen.len() >= 2, "{seen:?}");
}

/// A real database of rpm with module labels: of each finding of a modular package, the advisory names its stream or none.
#[test]
fn a_real_database_is_matched_by_its_labels() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let advisories = almalinux(&corpus, folder.path());
    let folder_of_database = corpus.join("rpmdb/sqlite-CentOS8Modularitylabel");
    let packed = std::fs::read(folder_of_database.join("rpmdb.sqlite.zst")).unwrap();
    let database = zstd::decode_all(packed.as_slice()).unwrap();
    let outcome = Sample::new().file(0, "var/lib/rpm/rpmdb.sqlite", database).run_all();
    let (mut modular, mut found) = (0, 0);
    for package in outcome.inventory.packages().filter(|package| !package.module().is_empty()) {
        modular += 1;
        let mut label = package.module().split(':');
        let own = (label.next().unwrap(), label.next().unwrap());
        let one = inventory([(package.name(), package.version(), package.module())]);
        for (id, summary) in summaries(&one, &advisories) {
            let named = streams(&summary);
            assert!(named.is_empty() || named.contains(&own), "{} {own:?}: {id} {summary}", package.name());
            found += 1;
        }
    }
    let expected = std::fs::read_to_string(folder_of_database.join("expected.tsv")).unwrap();
    let labels = expected.lines().filter(|line| line.split('\t').nth(6).is_some_and(|label| !label.is_empty()));
    assert_eq!(modular, labels.collect::<BTreeSet<_>>().len());
    assert!(found > 0, "nothing was found of them");
}

/// Records that list a version several times, each built in another run of its module: whoever has one of them has the fix.
#[test]
fn every_build_that_a_record_names_is_fixed() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let advisories = almalinux(&corpus, folder.path());
    let mut builds = 0;
    for name in [
        "runc",
        "podman",
        "buildah",
        "python3-koan",
        "ant",
        "maven",
        "postgresql",
        "nodejs",
        "php",
        "virt-what",
        "qemu-kvm",
    ] {
        let mut by_record: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for row in advisories.affected("AlmaLinux", name).unwrap().into_iter().filter(|row| row.release == "8") {
            let fixes = row.ranges.iter().flat_map(|range| &range.events);
            let fixes = fixes.filter(|event| matches!(event, Event::Fixed(_))).map(|event| event.version().to_owned());
            by_record.entry(row.record).or_default().extend(fixes);
        }
        for (record, fixes) in by_record {
            let record = advisories.record(record).unwrap();
            let label = streams(&record.summary).first().map(|(name, stream)| format!("{name}:{stream}:1:a:x86_64"));
            for fixed in &fixes {
                let package = (name, fixed.as_str(), label.as_deref().unwrap_or_default());
                let found = records("AlmaLinux:8", package, &advisories);
                assert!(!found.contains(&record.id), "{} of {package:?}: {fixes:?}", record.id);
                builds += usize::from(fixes.len() > 1);
            }
        }
    }
    assert!(builds > 20, "{builds} builds of records with several");
}

/// Real records of Red Hat and Rocky Linux that name a module and its stream.
#[test]
fn modules_of_red_hat_and_rocky() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("advisories.db");
    import(&[corpus.join("osv/_genuine-mixed/all.zip")], &database, &ImportOptions::new(NOW), &Context::new()).unwrap();
    let advisories = Advisories::open(&database).unwrap();
    let (red_hat, rocky) = ("Red Hat:rhel_aus:8.6", "Rocky Linux:8");
    for (ecosystem, name, version, module, record) in [
        (red_hat, "PyYAML", "5.4.1-0.module+el8.4.0+1+a", "python39:3.9:8040:a:x86_64", Some("RHSA-2024:6220")),
        (red_hat, "PyYAML", "5.4.1-0.module+el8.4.0+1+a", "python38:3.8:8040:a:x86_64", None),
        (red_hat, "PyYAML", "5.4.1-0.module+el8.4.0+1+a", "python39:3.8:8040:a:x86_64", None),
        (red_hat, "PyYAML", "3.12-12.el8", "", None),
        (red_hat, "PyYAML", "5.4.1-1.module+el8.5.0+10613+59a13ec4", "python39:3.9:8040:a:x86_64", None),
        (
            rocky,
            "ant",
            "1.10.1-1.module+el8.3.0+1+a",
            "javapackages-tools:201801:8040:a:noarch",
            Some("RLSA-2025:9318"),
        ),
        (rocky, "ant", "1.10.1-1.module+el8.3.0+1+a", "ant:1.10:8040:a:noarch", None),
        (rocky, "ant", "1.10.1-1.el8", "", None),
        (rocky, "ant", "1.10.5-1.module+el8.3.0+74+855e3f5d", "javapackages-tools:201801:8040:a:noarch", None),
        ("Rocky Linux:9", "ruby", "3.3.0-1.module+el9.4.0+1+a", "ruby:3.3:9040:a:x86_64", Some("RLSA-2024:3671")),
        ("Rocky Linux:9", "ruby", "3.1.2-1.module+el9.1.0+1+a", "ruby:3.1:9040:a:x86_64", None),
        ("Rocky Linux:9", "ruby", "3.0.4-160.el9", "", None),
    ] {
        let found = records(ecosystem, (name, version, module), &advisories);
        assert_eq!(found, record.map(str::to_owned).into_iter().collect(), "{name} {version} of {module:?}");
    }
}
