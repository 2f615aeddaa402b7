//! The advisory database on real data, and matching against an independent matcher.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tidewaiter::Context;
use tidewaiter::advisory::{Advisories, ImportOptions, import};
use tidewaiter::matching::{self, MatchOptions};
use tidewaiter::model::distro::Distro;
use tidewaiter::model::inventory::{Draft, Inventory};
use tidewaiter::model::package::{PackageDraft, PackageType};
use tidewaiter::model::severity::Rating;

use crate::corpus::corpus;

const NOW: &str = "2026-11-24T12:00:00Z";

fn import_into(database: &Path, paths: &[PathBuf]) -> tidewaiter::advisory::ImportSummary {
    import(paths, database, &ImportOptions::new(NOW), &Context::new()).unwrap()
}

fn options() -> MatchOptions {
    MatchOptions::at(NOW.parse().unwrap())
}

#[test]
fn imports_every_export_of_the_corpus_and_keeps_what_another_import_does_not_bring() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("advisories.db");
    let exports = [
        ("AlmaLinux", 5637),
        ("Alpine", 9138),
        ("Debian", 9925),
        ("Go", 4291),
        ("Maven", 464),
        ("PyPI", 7080),
        ("RubyGems", 1167),
        ("crates.io", 1206),
        ("npm", 830),
    ];
    let paths: Vec<_> = exports.iter().map(|(name, _)| corpus.join("osv").join(name).join("all.zip")).collect();
    let summary = import_into(&database, &paths);
    let records: u64 = summary.ecosystems.values().map(|ecosystem| ecosystem.records).sum();
    let brought: Vec<_> = summary.ecosystems.keys().map(String::as_str).collect();
    assert_eq!(brought, exports.map(|(name, _)| name), "each export brings its own ecosystem and no other");
    assert_eq!(records + summary.skipped, exports.iter().map(|(_, count)| count).sum::<u64>(), "{:?}", summary.reasons);
    assert!(summary.skipped < 20, "{:?}", summary.reasons);
    for (name, count) in exports {
        assert!(summary.ecosystems[name].records.abs_diff(count) < 10, "{name}: {:?}", summary.ecosystems[name]);
    }

    let before = Advisories::open(&database).unwrap();
    let rows = |advisories: &Advisories| advisories.affected("Debian", "openssl").unwrap().len();
    assert!(rows(&before) > 50);

    // Ubuntu, Rocky and twenty others come, and replace what they name.
    let summary = import_into(&database, &[corpus.join("osv/_genuine-mixed/all.zip")]);
    assert!(
        summary.ecosystems.contains_key("Ubuntu") && summary.ecosystems.len() > 25,
        "{:?}",
        summary.ecosystems.keys()
    );
    let after = Advisories::open(&database).unwrap();
    assert_eq!(rows(&before), Advisories::affected(&before, "Debian", "openssl").unwrap().len());
    assert!(after.provenance().ecosystems["Go"].records < 100, "Go was brought");
    assert!(!after.affected("Ubuntu", "wayland").unwrap().is_empty());
    let records: BTreeSet<_> = after
        .affected("Maven", "org.jline:jline-parent")
        .unwrap()
        .iter()
        .map(|row| after.record(row.record).unwrap().id)
        .collect();
    assert!(records.contains("GHSA-2268-98wh-qfhf"));

    // What is kept is the same to the row.
    import_into(&database, &[corpus.join("osv/npm/all.zip")]);
    let kept = Advisories::open(&database).unwrap();
    let lines = |advisories: &Advisories| {
        let rows = advisories.affected("Ubuntu", "wayland").unwrap();
        rows.iter()
            .map(|row| (advisories.record(row.record).unwrap(), row.release.clone(), row.ranges.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&after), lines(&kept));
}

#[derive(serde::Deserialize)]
struct Expected {
    r#type: String,
    name: String,
    version: String,
    source: Option<String>,
    source_version: Option<String>,
    #[serde(default)]
    expected_ids: BTreeSet<String>,
}

/// The packages of the corpus image that have a type of their own here, with the ids that another matcher found.
fn expected(corpus: &Path) -> Vec<(PackageType, Expected)> {
    let json = fs::read(corpus.join("images/debian12-meta/expected-packages.json")).unwrap();
    let rows: Vec<Expected> = serde_json::from_slice(&json).unwrap();
    let kind = |row: &Expected| match row.r#type.as_str() {
        "deb" => Some(PackageType::Deb),
        "pypi" => Some(PackageType::Pypi),
        "npm" => Some(PackageType::Npm),
        _ => None,
    };
    rows.into_iter().filter_map(|row| Some((kind(&row)?, row))).collect()
}

fn inventory(rows: &[(PackageType, Expected)]) -> Inventory {
    let mut draft = Draft::new(u64::MAX);
    draft.set_distro(Distro {
        id: "debian".into(),
        version: "12".into(),
        name: "Debian GNU/Linux 12 (bookworm)".into(),
        ecosystem: Some("Debian:12".into()),
    });
    for (kind, row) in rows {
        let mut package = PackageDraft::new(*kind, &row.name, &row.version, "some/path", 0);
        package.source =
            row.source.as_deref().map(|name| (name, row.source_version.as_deref().unwrap_or(&row.version)));
        draft.push(&package).unwrap();
    }
    draft.finish()
}

#[test]
fn finds_what_an_independent_matcher_finds() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("advisories.db");
    import_into(&database, &["Debian", "PyPI", "npm"].map(|name| corpus.join("osv").join(name).join("all.zip")));
    let advisories = Advisories::open(&database).unwrap();
    let rows = expected(&corpus);
    let inventory = inventory(&rows);
    let matches = matching::find(&inventory, &advisories, &options()).unwrap();
    assert!(matches.problems.is_empty(), "{:?}", matches.problems);

    let key = |kind: PackageType, name: &str, version: &str| format!("{kind} {name} {version}");
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (kind, row) in &rows {
        wanted.entry(key(*kind, &row.name, &row.version)).or_default().extend(row.expected_ids.clone());
    }
    let mut found: BTreeMap<String, BTreeSet<String>> =
        wanted.keys().map(|key| (key.clone(), BTreeSet::new())).collect();
    for finding in &matches.findings {
        let package = inventory.package(finding.package_index).unwrap();
        assert_eq!(package.purl(), finding.package);
        let ecosystem = tidewaiter::model::ecosystem::base(package.ecosystem().unwrap());
        let name = package.source().map_or(package.name(), |(name, _)| name);
        // The other matcher tells records; a finding tells all ids of a vulnerability.
        let records: BTreeSet<_> = advisories
            .affected(ecosystem, name)
            .unwrap()
            .iter()
            .map(|row| advisories.record(row.record).unwrap().id)
            .collect();
        let ids = std::iter::once(&finding.id).chain(&finding.aliases).filter(|id| records.contains(*id));
        found.get_mut(&key(package.kind(), package.name(), package.version())).unwrap().extend(ids.cloned());
    }
    let mut differences = Vec::new();
    for (package, wanted) in &wanted {
        let found = &found[package];
        differences.extend(wanted.difference(found).map(|id| format!("{package}: {id} is missing")));
        differences.extend(found.difference(wanted).map(|id| format!("{package}: {id} is too much")));
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    assert!(wanted.values().map(BTreeSet::len).sum::<usize>() > 150);

    let perl = matches.findings.iter().find(|finding| finding.id == "CVE-2011-10007").unwrap();
    assert_eq!(perl.aliases, ["DEBIAN-CVE-2011-10007"]);
    assert!(perl.upstream.is_empty());
    let sorted = matches.findings.is_sorted_by_key(|finding| (finding.package_index, finding.id.clone()));
    assert!(sorted, "sorted by package, then id");
    assert!(matches.findings.iter().any(|finding| finding.severity.rating >= Rating::High));
}

/// One made record as large as a real one.
fn made(number: usize) -> String {
    let packages: Vec<_> = (0..1 + number % 3)
        .map(|at| {
            format!(
                r#"{{"package": {{"ecosystem": "{}", "name": "package-{}"}}, "ranges": [{{"type": "ECOSYSTEM", "events":
                   [{{"introduced": "0"}}, {{"fixed": "{}.{}.1"}}]}}], "versions": ["1.0", "1.1", "2.0"]}}"#,
                ["npm", "PyPI", "Debian:12", "Maven"][number % 4],
                (number * 7 + at * 13) % 180_007,
                number % 9,
                number % 17,
            )
        })
        .collect();
    format!(
        r#"{{"id": "MADE-{number}", "modified": "2026-01-01T00:00:00Z", "aliases": ["CVE-2026-{number}"], "summary": "{}",
            "details": "{}", "severity": [{{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}],
            "affected": [{}]}}"#,
        "A made record that says something about a package",
        "It goes on for a while. ".repeat(30),
        packages.join(","),
    )
}

fn archive(path: &Path, records: usize) {
    let mut zip = zip::ZipWriter::new(std::io::BufWriter::new(fs::File::create(path).unwrap()));
    let fast = zip::write::SimpleFileOptions::default().compression_level(Some(1));
    for number in 0..records {
        zip.start_file(format!("MADE-{number}.json"), fast).unwrap();
        zip.write_all(made(number).as_bytes()).unwrap();
    }
    zip.finish().unwrap();
}

/// What [`in_another_process`] does there; without the variable it is an empty test.
#[test]
fn does_as_told_by_another_process() {
    let Some(task) = std::env::var_os("TIDEWAITER_TEST_TASK") else { return };
    let task = task.into_string().unwrap();
    let (word, path) = task.split_once(' ').unwrap();
    match word {
        "import" => {
            let database = Path::new(path).with_extension("db");
            let start = std::time::Instant::now();
            let summary = import_into(&database, &[path.into()]);
            println!("records {}", summary.ecosystems.values().map(|ecosystem| ecosystem.records).sum::<u64>());
            println!("milliseconds {}", start.elapsed().as_millis());
            println!("bytes {}", fs::metadata(&database).unwrap().len());
        }
        "open" => {
            let start = std::time::Instant::now();
            let advisories = Advisories::open(path).unwrap();
            println!("microseconds {}", start.elapsed().as_micros());
            let start = std::time::Instant::now();
            let mut rows = 0;
            for number in 0..100_000 {
                rows += advisories.affected("npm", &format!("package-{number}")).unwrap().len();
            }
            println!("nanoseconds {}", start.elapsed().as_nanos() / 100_000);
            println!("rows {rows}");
        }
        "hold" => {
            // Reads, waits until the file was swapped, and reads again.
            let advisories = Advisories::open(path).unwrap();
            let rows = |advisories: &Advisories| {
                let rows = advisories.affected("npm", "package-0").unwrap();
                rows.iter()
                    .map(|row| (advisories.record(row.record).unwrap().id, row.ranges.clone()))
                    .collect::<Vec<_>>()
            };
            let before = rows(&advisories);
            println!("ready 1");
            std::io::stdout().flush().unwrap();
            std::io::stdin().read_line(&mut String::new()).unwrap();
            assert_eq!(rows(&advisories), before);
            println!("same {}", before.len());
        }
        _ => panic!("there is no task {word}"),
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    println!("kibibytes {}", peak.trim().trim_end_matches(" kB"));
}

fn another_process(word: &str, path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "advisories::does_as_told_by_another_process", "--nocapture"]);
    command.env("TIDEWAITER_TEST_TASK", format!("{word} {}", path.display()));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// Runs a task of its own process and returns the numbers that it tells.
fn in_another_process(word: &str, path: &Path) -> BTreeMap<String, u64> {
    let output = another_process(word, path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let text = String::from_utf8(output.stdout).unwrap();
    println!("{word}: {}", text.replace('\n', "; "));
    text.lines()
        .filter_map(|line| Some((line.split_once(' ')?.0.to_owned(), line.split_once(' ')?.1.parse().ok()?)))
        .collect()
}

/// `TIDEWAITER_TEST_RECORDS=500000` for the size that the promise is about (see tests/long).
#[test]
fn imports_and_opens_many_records_in_little_memory() {
    let records = std::env::var("TIDEWAITER_TEST_RECORDS").map_or(20_000, |count| count.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made.zip");
    archive(&path, records);
    let told = in_another_process("import", &path);
    assert_eq!(told["records"], records as u64);
    assert!(told["kibibytes"] < 512 << 10, "{told:?}");
    let told = in_another_process("open", &path.with_extension("db"));
    assert!(told["kibibytes"] < 32 << 10, "{told:?}");
    assert!(told["rows"] > 0);
}

#[test]
fn a_process_that_holds_the_old_file_goes_on_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made.zip");
    archive(&path, 5000);
    let database = path.with_extension("db");
    import_into(&database, std::slice::from_ref(&path));
    let mut holder = another_process("hold", &database).spawn().unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().ends_with("ready 1")));
    archive(&path, 100);
    import_into(&database, &[path]);
    drop(holder.stdin.take());
    let said: Vec<_> = lines.map(Result::unwrap).collect();
    assert!(holder.wait().unwrap().success(), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("same ")), "{said:?}");
}
