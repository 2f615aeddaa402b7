//! Files that are far larger than the ceiling of memory, in images on disk: each is read completely, and the whole process stays
//! within its ceiling. A tenth of the size unless `TIDEWAITER_TEST_BIG` is set, as `tests/long big` does.

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};
use tidewaiter::model::report::Report;
use tidewaiter::{Scanner, blocking};
use zip::write::SimpleFileOptions;

use crate::alone::prepared_within;
use crate::catalogs::go_version;
use crate::images::{LAYER, blobs, descriptor, header, hex, noise, oci_layout_of};
use crate::rpmdb::{Database, Package};

/// The ceiling of the whole process, in MiB.
const CEILING: u64 = 64;

/// So many MB, or a tenth of them.
fn megabytes(full: u64) -> u64 {
    if std::env::var_os("TIDEWAITER_TEST_BIG").is_some() { full * 1_000_000 } else { full * 100_000 }
}

fn write_noise(file: PathBuf, seed: u64, length: u64) {
    std::io::copy(&mut noise(seed, length), &mut File::create(file).unwrap()).unwrap();
}

/// A blob of a layout that is written piece by piece, in gzip.
struct Blob {
    file: File,
    deflate: zlib_rs::Deflate,
    hasher: Sha256,
    size: u64,
}

impl Blob {
    fn deflate(&mut self, mut input: &[u8], flush: zlib_rs::DeflateFlush) {
        let mut output = [0; 64 << 10];
        loop {
            let (before_in, before_out) = (self.deflate.total_in(), self.deflate.total_out());
            self.deflate.compress(input, &mut output, flush).unwrap();
            input = &input[(self.deflate.total_in() - before_in) as usize..];
            let packed = &output[..(self.deflate.total_out() - before_out) as usize];
            self.hasher.update(packed);
            self.file.write_all(packed).unwrap();
            self.size += packed.len() as u64;
            if input.is_empty() && packed.len() < output.len() {
                return;
            }
        }
    }
}

impl Write for Blob {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.deflate(bytes, zlib_rs::DeflateFlush::NoFlush);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Makes of `file`, which it removes, an image that has it at `path`.
fn image(folder: &Path, path: &str, file: PathBuf) {
    let mut content = File::open(&file).unwrap();
    let size = content.metadata().unwrap().len();
    let (blobs, temporary) = (blobs(folder), folder.join("layer"));
    let mut blob = Blob {
        file: File::create(&temporary).unwrap(),
        deflate: zlib_rs::Deflate::new(1, true, 16 + 15),
        hasher: Sha256::new(),
        size: 0,
    };
    blob.write_all(&header(b'0', path, "", size)).unwrap();
    std::io::copy(&mut content, &mut blob).unwrap();
    blob.write_all(&vec![0; (size.next_multiple_of(512) - size) as usize + 1024]).unwrap();
    blob.deflate(&[], zlib_rs::DeflateFlush::Finish);
    let digest = hex(&blob.hasher.finalize());
    std::fs::rename(temporary, blobs.join(&digest)).unwrap();
    std::fs::remove_file(file).unwrap();
    oci_layout_of(folder, vec![descriptor(LAYER, &digest, blob.size)]);
}

/// What is in the image of a folder. Nothing of it may be a problem, but that there are no advisories.
fn scan(folder: &Path) -> Report {
    let scanner = blocking::Scanner::new(Scanner::builder()).unwrap();
    let report = scanner.scan(&format!("oci:{}", folder.display())).unwrap();
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    report
}

/// The packages as `name version`, sorted.
fn rows(report: &Report) -> Vec<String> {
    let row = |package: tidewaiter::model::inventory::Package<'_>| format!("{} {}", package.name(), package.version());
    let mut rows: Vec<String> = report.inventory.packages().map(row).collect();
    rows.sort();
    rows
}

/// A program of Go with a large file in it (`go:embed`), made by Go itself, which also says what is in it.
#[test]
fn a_go_program() {
    if Command::new("go").arg("version").output().is_err() {
        return println!("skipped: there is no go on this machine");
    }
    let prepare = |folder: &Path| {
        let source = folder.join("source");
        std::fs::create_dir_all(source.join("dep")).unwrap();
        write_noise(source.join("noise"), 1, megabytes(350));
        let module =
            "module example.org/app\n\ngo 1.20\n\nrequire example.org/dep v1.2.3\n\nreplace example.org/dep => ./dep\n";
        let main = "package main\n\nimport (\n\t_ \"embed\"\n\n\t\"example.org/dep\"\n)\n\n//go:embed noise\nvar noise string\n\n\
                    func main() { println(len(noise), dep.Version) }\n";
        for (file, text) in [
            ("go.mod", module),
            ("main.go", main),
            ("dep/go.mod", "module example.org/dep\n\ngo 1.20\n"),
            ("dep/dep.go", "package dep\n\nvar Version = \"v1.2.3\"\n"),
        ] {
            std::fs::write(source.join(file), text).unwrap();
        }
        let program = folder.join("program");
        let built = Command::new("go")
            .args(["build", "-o"])
            .arg(&program)
            .current_dir(&source)
            .env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache"))
            .envs([("GOPROXY", "off"), ("GOFLAGS", "-mod=mod"), ("GOTOOLCHAIN", "local"), ("GOWORK", "off")])
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        assert!(std::fs::metadata(&program).unwrap().len() > megabytes(350));
        std::fs::write(folder.join("expected"), go_version(&program).unwrap().join("\n")).unwrap();
        std::fs::remove_dir_all(source).unwrap();
        image(folder, "usr/bin/program", program);
    };
    prepared_within(CEILING, "big::a_go_program", prepare, |folder| {
        let report = scan(folder);
        let expected = std::fs::read_to_string(folder.join("expected")).unwrap();
        assert_eq!(rows(&report), expected.lines().collect::<Vec<_>>());
        assert!(expected.contains("example.org/dep v1.2.3"), "{expected}");
        assert_eq!(report.stats.layers_read_twice, 0);
    });
}

/// Where a section of an ELF file of 64 bits starts.
fn section(program: &Path, wanted: &str) -> u64 {
    let mut file = File::open(program).unwrap();
    let mut read = |at: u64, length: u64| {
        let mut bytes = vec![0; length as usize];
        file.seek(SeekFrom::Start(at)).unwrap();
        file.read_exact(&mut bytes).unwrap();
        bytes
    };
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    let head = read(0, 64);
    let (table, count, names) = (number(&head[40..48]), number(&head[60..62]), number(&head[62..64]));
    let mut row = |index: u64| read(table + 64 * index, 64);
    let names = row(names);
    let rows: Vec<Vec<u8>> = (0..count).map(&mut row).collect();
    let names = read(number(&names[24..32]), number(&names[32..40]));
    let is_wanted = |row: &&Vec<u8>| names[number(&row[..4]) as usize..].starts_with(format!("{wanted}\0").as_bytes());
    number(&rows.iter().find(is_wanted).unwrap()[24..32])
}

/// A program of Rust, made by rustc, with the section of cargo-auditable: behind a third of the bytes in constants and a third in
/// a section that is not loaded, and before another third.
#[test]
fn a_rust_program() {
    const CRATES: usize = 200;
    let prepare = |folder: &Path| {
        let crates = (0..CRATES)
            .map(|number| format!(r#"{{"name": "crate-{number}", "version": "1.{number}.0", "source": "crates.io"}}"#));
        let audit = format!(r#"{{"packages": [{}]}}"#, crates.collect::<Vec<_>>().join(","));
        let mut packed = vec![0; 64 << 10];
        let mut deflate = zlib_rs::Deflate::new(9, true, 15);
        deflate.compress(audit.as_bytes(), &mut packed, zlib_rs::DeflateFlush::Finish).unwrap();
        packed.truncate(deflate.total_out() as usize);
        std::fs::write(folder.join("audit"), packed).unwrap();
        let third = megabytes(350) / 3;
        for (seed, file) in [(2, "constants"), (3, "before"), (4, "after")] {
            write_noise(folder.join(file), seed, third);
        }
        let source = r#"
            std::arch::global_asm!(
                ".section .rodata.noise,\"a\",@progbits", ".globl noise", "noise: .incbin \"constants\"",
                ".section .debug_before,\"\",@progbits", ".incbin \"before\"",
                ".section .dep-v0,\"\",@progbits", ".incbin \"audit\"",
                ".section .debug_after,\"\",@progbits", ".incbin \"after\"",
                ".text",
            );
            unsafe extern "C" { static noise: u8; }
            fn main() { println!("{:p}", &raw const noise); }
        "#;
        std::fs::write(folder.join("main.rs"), source).unwrap();
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let built = Command::new(rustc)
            .args(["--edition", "2024", "-o", "program", "main.rs"])
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let program = folder.join("program");
        let place = section(&program, ".dep-v0");
        assert!((2 * third..2 * third + 50_000_000).contains(&place), "{place} of {third}");
        assert!(std::fs::metadata(&program).unwrap().len() > 3 * third);
        for file in ["audit", "constants", "before", "after"] {
            std::fs::remove_file(folder.join(file)).unwrap();
        }
        image(folder, "usr/bin/program", program);
    };
    prepared_within(CEILING, "big::a_rust_program", prepare, |folder| {
        let report = scan(folder);
        let mut expected: Vec<String> = (0..CRATES).map(|number| format!("crate-{number} 1.{number}.0")).collect();
        expected.sort();
        assert_eq!(rows(&report), expected);
        assert_eq!(report.stats.layers_read_twice, 0);
    });
}

/// A jar of an application with a hundred jars in it, half of them packed once more.
#[test]
fn a_fat_jar() {
    const JARS: u64 = 100;
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let deflated =
        SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated).compression_level(Some(1));
    let identity = |jar: &mut zip::ZipWriter<_>, name: &str| {
        jar.start_file(format!("META-INF/maven/org.acme/{name}/pom.properties"), deflated).unwrap();
        write!(jar, "groupId=org.acme\nartifactId={name}\nversion=1.2.3\n").unwrap();
    };
    let prepare = |folder: &Path| {
        let file = folder.join("app.jar");
        let (nested, mut fat) = (folder.join("nested"), zip::ZipWriter::new(File::create(&file).unwrap()));
        identity(&mut fat, "app");
        for number in 0..JARS {
            let mut jar = zip::ZipWriter::new(File::create(&nested).unwrap());
            // What says who it is stands first in some, and last in others.
            if number % 3 == 0 {
                identity(&mut jar, &format!("lib-{number}"));
            }
            jar.start_file("org/acme/Large.class", deflated).unwrap();
            std::io::copy(&mut noise(100 + number, megabytes(500) / JARS), &mut jar).unwrap();
            if number % 3 != 0 {
                identity(&mut jar, &format!("lib-{number}"));
            }
            jar.finish().unwrap();
            let how = if number % 2 == 0 { stored } else { deflated };
            fat.start_file(format!("BOOT-INF/lib/lib-{number}.jar"), how).unwrap();
            std::io::copy(&mut File::open(&nested).unwrap(), &mut fat).unwrap();
        }
        fat.finish().unwrap();
        assert!(std::fs::metadata(&file).unwrap().len() > megabytes(500));
        image(folder, "app/app.jar", file);
    };
    prepared_within(CEILING, "big::a_fat_jar", prepare, |folder| {
        let mut expected: Vec<String> = (0..JARS).map(|number| format!("org.acme:lib-{number} 1.2.3")).collect();
        expected.push("org.acme:app 1.2.3".to_owned());
        expected.sort();
        assert_eq!(rows(&scan(folder)), expected);
    });
}

/// A database of rpm, written by SQLite, after many packages were replaced by newer ones, so that their rows lie in all parts of
/// the file.
#[test]
fn an_rpm_database() {
    let packages = || megabytes(150) / 50_000;
    let name = |number: u64| format!("package-{number}");
    let prepare = |folder: &Path| {
        let file = folder.join("rpmdb.sqlite");
        let database = Database::create(&file);
        database.0.execute_batch("BEGIN").unwrap();
        for number in 0..packages() {
            // Small ones and large ones, 50 kB in the middle.
            let padding = 1_000 + (number * 7_919 % 100) as usize * 1_000;
            database.insert(&Package { name: &name(number), version: "1", padding, fill: b'1' });
        }
        for number in (0..packages()).step_by(3) {
            let padding = 90_000 - (number * 104_729 % 80) as usize * 1_000;
            database.remove(number as i64 + 1);
            database.insert(&Package { name: &name(number), version: "2", padding, fill: b'2' });
        }
        database.0.execute_batch("COMMIT").unwrap();
        drop(database);
        assert!(std::fs::metadata(&file).unwrap().len() > megabytes(145));
        image(folder, "var/lib/rpm/rpmdb.sqlite", file);
    };
    prepared_within(CEILING, "big::an_rpm_database", prepare, |folder| {
        let version = |number: u64| if number.is_multiple_of(3) { "2-1" } else { "1-1" };
        let mut expected: Vec<String> =
            (0..packages()).map(|number| format!("{} {}", name(number), version(number))).collect();
        expected.sort();
        assert_eq!(rows(&scan(folder)), expected);
    });
}
