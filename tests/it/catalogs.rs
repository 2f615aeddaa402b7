//! Catalogers against real databases, and what the package managers themselves say of them.

use std::io::{BufReader, Read};
use std::path::Path;

use tidewaiter::conformance::cataloger::{Outcome, Sample};

use crate::alone::within;
use crate::corpus::corpus;

/// Name, version, architecture, source and its version, as `dpkg-query -W` was asked for.
fn dpkg_rows(outcome: &Outcome) -> Vec<String> {
    let row = |package: tidewaiter::model::inventory::Package<'_>| {
        let (source, source_version) = package.source().unwrap();
        [package.name(), package.version(), package.architecture(), source, source_version].join("\t")
    };
    outcome.inventory.packages().filter(|package| package.kind().as_str() == "deb").map(row).collect()
}

#[test]
fn dpkg_lists_what_dpkg_query_lists() {
    let Some(corpus) = corpus() else { return };
    for (name, ecosystem) in [("debian11-minbase", "Debian:11"), ("debian12-minbase", "Debian:12")] {
        let packed = std::fs::read(corpus.join(format!("rootfs/{name}-dbs.tar.zst"))).unwrap();
        let outcome = Sample::new().tar(zstd::decode_all(packed.as_slice()).unwrap()).run_all();
        let expected = std::fs::read_to_string(corpus.join(format!("rootfs/{name}.dpkg-query.tsv"))).unwrap();
        let mut expected: Vec<String> = expected
            .lines()
            .filter(|line| line.trim_end().ends_with("ii"))
            .map(|line| line.trim_end().trim_end_matches("ii").trim_end().to_owned())
            .collect();
        expected.sort();
        let mut found = dpkg_rows(&outcome);
        found.sort();
        assert_eq!(found, expected, "{name}");
        assert_eq!(outcome.inventory.distro().unwrap().ecosystem.as_deref(), Some(ecosystem));
        assert!(outcome.problems.is_empty(), "{:?}", outcome.problems);
    }
}

/// Packages of one file of the corpus at the place where an image has it, and the number of problems.
fn count(file: &Path, path: &str) -> (usize, usize) {
    let outcome = Sample::new().file(0, path, std::fs::read(file).unwrap()).run_all();
    (outcome.inventory.len(), outcome.problems.len())
}

#[test]
fn odd_records_of_dpkg() {
    let Some(corpus) = corpus() else { return };
    for (file, path, packages, problems) in [
        ("dpkg/odd-records/dpkg/empty", "var/lib/dpkg/status", 0, 0),
        ("dpkg/odd-records/dpkg/invalid", "var/lib/dpkg/status", 0, 1),
        ("dpkg/odd-records/dpkg/nopackage", "var/lib/dpkg/status", 2, 1),
        ("dpkg/odd-records/dpkg/noversion", "var/lib/dpkg/status", 2, 1),
        ("dpkg/odd-records/dpkg/single", "var/lib/dpkg/status", 1, 0),
        ("dpkg/odd-records/dpkg/statusfield", "var/lib/dpkg/status", 4, 0),
        ("dpkg/odd-records/dpkg/trailingnewlines", "var/lib/dpkg/status", 1, 0),
        ("dpkg/odd-records/dpkg/transitional", "var/lib/dpkg/status", 1, 0),
        ("dpkg/odd-records/dpkg/status.d/foo", "var/lib/dpkg/status.d/foo", 1, 0),
        ("apk/layouts/corrupt/lib/apk/db/installed", "lib/apk/db/installed", 1, 1),
        ("apk/layouts/empty-deps-and-provides", "lib/apk/db/installed", 1, 0),
        ("apk/layouts/extra-file-attributes", "usr/lib/apk/db/installed", 1, 0),
        ("apk/layouts/glob-paths/lib/apk/db/installed", "lib/apk/db/installed", 0, 1),
        ("apk/layouts/multiple-1/lib/apk/db/installed", "lib/apk/db/installed", 4, 0),
        // One of 16 records has a name and no version.
        ("apk/alpine-installed", "lib/apk/db/installed", 15, 1),
        ("apk/odd-records/empty", "lib/apk/db/installed", 0, 0),
        ("apk/odd-records/invalid", "lib/apk/db/installed", 0, 1),
        ("apk/odd-records/no-origin", "lib/apk/db/installed", 1, 0),
        ("apk/odd-records/different-arch", "lib/apk/db/installed", 1, 0),
    ] {
        assert_eq!(count(&corpus.join("pkgdb").join(file), path), (packages, problems), "{file}");
    }
}

#[test]
fn large_databases_are_listed_in_full() {
    let Some(corpus) = corpus() else { return };
    let lines = |file: &str, start: &str| {
        let text = std::fs::read_to_string(corpus.join("pkgdb").join(file)).unwrap();
        text.lines().filter(|line| line.starts_with(start)).count()
    };
    for (file, path, start) in [
        ("dpkg/texlive-etc/texlive.status", "var/lib/dpkg/status", "Status: install ok installed"),
        ("apk/layouts/multiple-2/lib/apk/db/installed", "lib/apk/db/installed", "P:"),
        ("apk/odd-records/installed", "lib/apk/db/installed", "P:"),
    ] {
        assert_eq!(count(&corpus.join("pkgdb").join(file), path).0, lines(file, start), "{file}");
    }
}

/// A `status` of `records` records that is written as it is read.
fn status(records: u64) -> impl Read {
    struct Status {
        next: u64,
        records: u64,
        piece: std::io::Cursor<Vec<u8>>,
    }

    impl Read for Status {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let read = self.piece.read(buffer)?;
            if read > 0 || self.next == self.records {
                return Ok(read);
            }
            let description = " A line of the description.\n".repeat(100);
            let number = self.next;
            let record = format!(
                "Package: p{number}\nStatus: install ok installed\nVersion: 1.{number}\nDescription: p\n{description}\n"
            );
            self.piece = std::io::Cursor::new(record.into_bytes());
            self.next += 1;
            self.piece.read(buffer)
        }
    }

    Status { next: 0, records, piece: std::io::Cursor::default() }
}

#[test]
fn a_status_file_of_200_mb_is_not_held() {
    within(64, "catalogs::a_status_file_of_200_mb_is_not_held", || {
        let records = 72_000;
        let size = std::io::copy(&mut status(records), &mut std::io::sink()).unwrap();
        assert!(size > 200_000_000, "{size}");
        let found = Sample::stream("var/lib/dpkg/status", size, || BufReader::new(status(records)));
        assert_eq!(found.inventory.len() as u64, records);
    });
}

/// Packages as `name version certainty`.
fn named(outcome: &Outcome) -> Vec<String> {
    let row = |package: tidewaiter::model::inventory::Package<'_>| {
        format!("{} {} {}", package.name(), package.version(), package.certainty().as_str())
    };
    outcome.inventory.packages().map(row).collect()
}

#[test]
fn real_jars_say_who_they_are() {
    let Some(corpus) = corpus() else { return };
    for (name, package) in [
        ("commons-text", "org.apache.commons:commons-text 1.10.0"),
        ("jackson-databind", "com.fasterxml.jackson.core:jackson-databind 2.14.0"),
        ("log4j-core", "org.apache.logging.log4j:log4j-core 2.19.0"),
        ("snakeyaml", "org.yaml:snakeyaml 1.33"),
    ] {
        let jar = std::fs::read(corpus.join(format!("lang/jars/{name}.jar"))).unwrap();
        let outcome = Sample::new().file(0, &format!("usr/share/java/{name}.jar"), jar).run_all();
        assert_eq!(named(&outcome), [format!("{package} stated")], "{name}");
        assert!(outcome.problems.is_empty() && outcome.layers_read_twice == 0, "{:?}", outcome.problems);
    }
}

/// Manifests of jars without Maven's own metadata: the name of the file has the last word about artifact and version, and a
/// group is only what a manifest says.
#[test]
fn real_manifests_give_what_they_can() {
    use std::io::Write as _;

    let Some(corpus) = corpus() else { return };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(corpus.join("lang/java-manifests")).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(".jar")) else {
            continue;
        };
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        writer.start_file("META-INF/MANIFEST.MF", zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(&std::fs::read(&path).unwrap()).unwrap();
        let jar = writer.finish().unwrap().into_inner();
        let outcome = Sample::new().file(0, &format!("opt/{name}"), jar).run_all();
        assert!(outcome.problems.is_empty(), "{name}: {:?}", outcome.problems);
        found.extend(named(&outcome));
    }
    assert_eq!(found.len(), 62, "two of the 64 have no version anywhere: {found:?}");
    for wanted in [
        "com.github.luben:zstd-jni 1.3.8-5 derived",
        "com.fasterxml.jackson.core:jackson-databind 2.9.10.8 derived",
        "org.yaml:snakeyaml 1.26 derived",
        "json-simple 1.1 guessed",
        "org.antlr:ST4 4.0.8 derived",
        "jcl-over-slf4j 1.7.25 guessed",
    ] {
        assert!(found.iter().any(|row| row == wanted), "{wanted} is not in {found:?}");
    }
}

/// What go-rpmdb and rpm itself say of real databases: name, epoch, version, release, architecture, source package, module, vendor.
#[test]
fn rpm_lists_what_was_written_down() {
    let Some(corpus) = corpus() else { return };
    let mut databases = 0;
    for folder in std::fs::read_dir(corpus.join("rpmdb")).unwrap() {
        let folder = folder.unwrap().path();
        let (mut name, mut bytes) = (String::new(), Vec::new());
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            if file != "expected.tsv" {
                bytes = std::fs::read(&path).unwrap();
                name = file;
            }
        }
        if let Some(unpacked) = name.strip_suffix(".zst") {
            (name, bytes) = (unpacked.to_owned(), zstd::decode_all(bytes.as_slice()).unwrap());
        }
        let outcome = Sample::new().file(0, &format!("var/lib/rpm/{name}"), bytes).run_all();
        let row = |package: tidewaiter::model::inventory::Package<'_>| {
            let (epoch, rest) = package.version().split_once(':').unwrap_or(("", package.version()));
            let (version, release) = rest.rsplit_once('-').unwrap_or((rest, ""));
            let source =
                package.source().map(|(name, version)| format!("{name}-{version}.src.rpm")).unwrap_or_default();
            let fields = [
                package.name(),
                epoch,
                version,
                release,
                package.architecture(),
                &source,
                package.module(),
                package.vendor(),
            ];
            fields.join("\t")
        };
        let mut found: Vec<String> = outcome.inventory.packages().map(row).collect();
        let expected = std::fs::read_to_string(folder.join("expected.tsv")).unwrap();
        let mut expected: Vec<String> = expected.lines().map(str::to_owned).collect();
        expected.sort();
        expected.dedup();
        found.sort();
        let folder = folder.display();
        let differ: Vec<_> = expected
            .iter()
            .filter(|row| !found.contains(row))
            .chain(found.iter().filter(|row| !expected.contains(row)))
            .take(10)
            .collect();
        assert!(differ.is_empty(), "{folder}: {differ:#?}");
        assert!(outcome.problems.is_empty() && outcome.layers_read_twice == 0, "{folder}: {:?}", outcome.problems);
        databases += 1;
    }
    assert_eq!(databases, 8);
}

/// The modules that `go version -m` names, as it names them; of a replaced one what replaces it.
pub fn go_version(program: &Path) -> Option<Vec<String>> {
    let output = std::process::Command::new("go").args(["version", "-m"]).arg(program).output().ok()?;
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    let release = lines.next()?.rsplit_once(": go")?.1.split(' ').next()?.to_owned();
    let mut rows: Vec<String> = Vec::new();
    for line in lines {
        let fields: Vec<&str> = line.split('\t').skip(1).collect();
        match fields.as_slice() {
            ["mod" | "dep", path, version, ..] => rows.push(format!("{path} {version}")),
            ["=>", path, version, ..] if *version != "(devel)" && !version.is_empty() => {
                *rows.last_mut()? = format!("{path} {version}");
            }
            _ => {}
        }
    }
    rows.push(format!("stdlib {release}"));
    rows.sort();
    Some(rows)
}

/// The Go programs of this machine, where it has some and the tool that knows.
#[test]
fn go_programs_are_what_go_says() {
    let go = std::process::Command::new("go").args(["env", "GOROOT"]).output();
    let Ok(go) = go else { return println!("skipped: there is no go on this machine") };
    let root = Path::new(std::str::from_utf8(&go.stdout).unwrap().trim()).join("bin");
    let mut compared = 0;
    for program in ["docker-registry", "skopeo", "umoci"]
        .map(|name| Path::new("/usr/bin").join(name))
        .into_iter()
        .chain([root.join("go"), root.join("gofmt")])
    {
        let Ok(bytes) = std::fs::read(&program) else { continue };
        let outcome = Sample::new().file(0, "usr/bin/program", bytes).run_all();
        let rows = outcome.inventory.packages().map(|package| format!("{} {}", package.name(), package.version()));
        let mut found: Vec<String> = rows.collect();
        found.sort();
        assert_eq!(found, go_version(&program).unwrap(), "{}", program.display());
        assert!(outcome.problems.is_empty() && outcome.layers_read_twice == 0, "{:?}", outcome.problems);
        compared += 1;
    }
    assert!(compared > 0, "go is there, and no program of it");
}

/// A program of 350 MB, most of it constants, is read as it streams by.
#[test]
fn a_large_program_is_not_held() {
    let Some(corpus) = corpus() else { return };
    let packed = corpus.join("images/debian12-meta/app-docker.tar.zst");
    let image = zstd::decode_all(std::fs::File::open(packed).unwrap()).unwrap();
    // The Rust program of the image lies in a layer as it is.
    let start = image.windows(4).position(|bytes| bytes == b"\x7fELF").expect("a program in the image");
    let table = u64::from_le_bytes(image[start + 40..start + 48].try_into().unwrap()) as usize;
    let size = table + 64 * u16::from_le_bytes(image[start + 60..start + 62].try_into().unwrap()) as usize;
    let program = &image[start..start + size];
    // The same with 350 MB behind all that is loaded: what a debugger would read.
    let at = program.windows(7).rposition(|bytes| bytes == b".dep-v0").expect("audit data");
    assert!(at > 0);
    let padding = 350u64 << 20;
    let mut large = program.to_vec();
    let moved = (table as u64 + padding).to_le_bytes();
    large[40..48].copy_from_slice(&moved);
    let (head, tail) = large.split_at(table);
    let content = || head.chain(std::io::repeat(0x78).take(padding)).chain(tail);
    let outcome = Sample::stream("usr/bin/program", size as u64 + padding, content);
    assert_eq!(outcome.inventory.packages().filter(|package| package.kind().as_str() == "cargo").count(), 31);
    assert!(outcome.problems.is_empty(), "{:?}", outcome.problems);
}

/// The package-url project's own tests of building, as far as a scan can ask for them: a qualifier `distro` is written
/// otherwise here (`debian-12`), and what a scan never sets is left out.
#[test]
fn package_urls_are_built_as_specified() {
    use tidewaiter::model::distro::Distro;
    use tidewaiter::model::inventory::Draft;
    use tidewaiter::model::package::{PackageDraft, PackageType};

    let Some(corpus) = corpus() else { return };
    let mut compared = 0;
    for kind in PackageType::ALL {
        // The project has no tests of CPAN and LuaRocks.
        let Ok(text) = std::fs::read_to_string(corpus.join(format!("purl/{kind}-test.json"))) else { continue };
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        for test in document["tests"].as_array().unwrap() {
            let (input, output) = (&test["input"], test["expected_output"].as_str());
            let qualifiers = input["qualifiers"].as_object().cloned().unwrap_or_default();
            let is_ours = input["subpath"].is_null()
                && input["version"].is_string()
                && qualifiers.keys().all(|name| ["arch", "distro", "epoch"].contains(&name.as_str()));
            let Some(output) = output.filter(|_| test["test_type"] == "build" && is_ours) else { continue };
            let namespace = input["namespace"].as_str().unwrap_or_default();
            let name = input["name"].as_str().unwrap();
            let scoped = format!("{namespace}{}{name}", if *kind == PackageType::Maven { ":" } else { "/" });
            let name = if kind.is_os() || namespace.is_empty() { name } else { &scoped };
            let architecture = qualifiers.get("arch").and_then(|arch| arch.as_str()).unwrap_or_default();
            let mut draft = Draft::new(1);
            draft.set_distro(Distro { id: namespace.to_owned(), ..Distro::default() });
            let version = input["version"].as_str().unwrap();
            let version = match qualifiers.get("epoch").and_then(|epoch| epoch.as_str()) {
                Some(epoch) => format!("{epoch}:{version}"),
                None => version.to_owned(),
            };
            draft.push(&PackageDraft { architecture, ..PackageDraft::new(*kind, name, &version, "f", 0) }).unwrap();
            let built = draft.finish().package(0).unwrap().purl();
            let without_distro = |purl: &str| {
                let (base, qualifiers) = purl.split_once('?').unwrap_or((purl, ""));
                let kept: Vec<_> = qualifiers.split('&').filter(|pair| !pair.starts_with("distro=")).collect();
                format!("{base}?{}", kept.join("&"))
            };
            assert_eq!(without_distro(&built), without_distro(output), "{input}");
            compared += 1;
        }
    }
    assert!(compared >= 35, "only {compared} tests were comparable");
}
