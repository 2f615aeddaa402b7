//! Images that somebody crafted: each gives its report, with a problem that names what was too much or not as it should be.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use tidewaiter::model::problem::{Problem, ProblemKind};
use tidewaiter::model::report::Report;
use tidewaiter::{Kind, Scanner, blocking};

use crate::alone::prepared_within;
use crate::images::{Entry, header, noise_bytes, oci_layout, tar};

/// The ceiling in MiB. A build for tests takes some ten more than a release build.
const CEILING: u64 = if cfg!(debug_assertions) { 72 } else { 64 };

fn file(path: &str, content: impl Into<String>) -> Entry {
    Entry::File { path: path.to_owned(), content: content.into() }
}

/// A package that must be found whatever else the image holds.
fn witness() -> Entry {
    file("srv/node_modules/witness/package.json", r#"{"name": "witness", "version": "1.0.0"}"#)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0; zlib_rs::compress_bound(bytes.len()) + 64];
    let mut deflate = zlib_rs::Deflate::new(6, true, 16 + 15);
    deflate.compress(bytes, &mut out, zlib_rs::DeflateFlush::Finish).unwrap();
    out.truncate(deflate.total_out() as usize);
    out
}

pub(crate) fn zstd(bytes: &[u8], window_log: u32) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.set_parameter(zstd::zstd_safe::CParameter::WindowLog(window_log)).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn scan(layers: &[Vec<u8>]) -> Report {
    let directory = tempfile::tempdir().unwrap();
    oci_layout(directory.path(), layers);
    scan_layout(directory.path())
}

fn scan_layout(directory: &Path) -> Report {
    let scanner = blocking::Scanner::new(Scanner::builder()).unwrap();
    scanner.scan(&format!("oci:{}", directory.display())).unwrap()
}

fn names(report: &Report) -> Vec<&str> {
    report.inventory.packages().map(|package| package.name()).collect()
}

fn problem(report: &Report, kind: ProblemKind) -> &Problem {
    report.problems.iter().find(|problem| problem.kind == kind).unwrap_or_else(|| panic!("{:?}", report.problems))
}

#[test]
fn a_gzip_bomb_stops_at_its_limit() {
    let mut layer = gzip(&tar(&[witness()])[..1024]);
    let header = header(b'0', "zeros", "", 0o77_777_777_777);
    layer.extend(gzip(&header));
    let zeros = gzip(&vec![0; 16 << 20]);
    (0..160).for_each(|_| layer.extend(&zeros));
    let report = scan(&[layer]);
    assert_eq!(names(&report), ["witness"]);
    let problem = problem(&report, ProblemKind::LimitExceeded);
    assert!(problem.message.contains("expands to more than 200 times"), "{problem:?}");
    assert_eq!(problem.layer, Some(0));
}

#[test]
fn ten_million_entries_stop_at_four() {
    let directory = tempfile::tempdir().unwrap();
    let mut layer = gzip(&tar(&[witness()])[..1024]);
    let many: Vec<_> = (0..50_000).map(|number| file(&format!("d{}/f{number}", number / 1000), "")).collect();
    let block = tar(&many);
    let block = gzip(&block[..block.len() - 1024]);
    (0..200).for_each(|_| layer.extend(&block));
    oci_layout(directory.path(), &[layer]);
    let report = scan_layout(directory.path());
    assert_eq!(names(&report), ["witness"]);
    let problem = problem(&report, ProblemKind::LimitExceeded);
    assert!(problem.message.contains("4000000 entries"), "{problem:?}");
}

#[test]
fn a_dpkg_status_of_200_mb_is_read_to_the_limit_of_packages() {
    let filler = format!("Description: {}\n", "x".repeat(600));
    let mut status = String::new();
    for number in 0..300_000 {
        status.push_str(&format!(
            "Package: p{number}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.{number}\n{filler}\n"
        ));
    }
    assert!(status.len() > 200_000_000);
    let report = scan(&[gzip(&tar(&[file("var/lib/dpkg/status", status)]))]);
    assert_eq!(report.inventory.len(), 200_000);
    problem(&report, ProblemKind::LimitExceeded);
}

#[test]
fn an_os_release_of_nonsense_costs_nothing_else() {
    for nonsense in ["\0\u{1}\u{2}=\n===\n\"", "ID='\nVERSION_ID=\"$(rm -rf /)\"", &"=".repeat(1 << 20)] {
        let report = scan(&[tar(&[file("etc/os-release", nonsense), witness()])]);
        assert_eq!(names(&report), ["witness"]);
    }
}

#[test]
fn a_blob_that_is_not_its_digest_fails_the_scan() {
    let directory = tempfile::tempdir().unwrap();
    let layer = tar(&[witness()]);
    oci_layout(directory.path(), std::slice::from_ref(&layer));
    for blob in fs::read_dir(directory.path().join("blobs/sha256")).unwrap() {
        let path = blob.unwrap().path();
        if fs::metadata(&path).unwrap().len() == layer.len() as u64 {
            let mut damaged = layer.clone();
            damaged[520] ^= 1;
            fs::File::create(&path).unwrap().write_all(&damaged).unwrap();
        }
    }
    let scanner = blocking::Scanner::new(Scanner::builder()).unwrap();
    let error = scanner.scan(&format!("oci:{}", directory.path().display())).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.to_string().contains("not what its digest says"), "{error}");
    assert!(error.hint().is_some());
}

#[test]
fn layers_of_any_form_give_the_same_report() {
    let layers = [
        tar(&[witness(), file("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n")]),
        tar(&[Entry::Whiteout { path: "srv".to_owned() }]),
    ];
    type Form = fn(&[u8]) -> Vec<u8>;
    let forms: [Form; 4] =
        [<[u8]>::to_vec, gzip, |bytes| zstd::bulk::compress(bytes, 3).unwrap(), |bytes| zstd(bytes, 25)];
    for form in forms {
        let both: Vec<_> = layers.iter().map(|layer| form(layer)).collect();
        let report = scan(&both);
        assert!(names(&report).is_empty());
        assert_eq!(report.inventory.distro().unwrap().id, "debian");
        assert_eq!(names(&scan(&both[..1])), ["witness"]);
    }
}

#[test]
fn layers_of_wide_windows_wait_for_two_lanes_and_wider_ones_are_a_problem() {
    let layer = |number: usize, window_log| {
        let path = format!("srv/node_modules/p{number}/package.json");
        zstd(&tar(&[file(&path, format!(r#"{{"name": "p{number}", "version": "1.0.0"}}"#))]), window_log)
    };
    // More of them than lanes, side by side with others: nobody waits for ever.
    let layers: Vec<_> = (0..12).map(|number| layer(number, if number % 3 == 0 { 20 } else { 25 })).collect();
    let report = scan(&layers);
    assert_eq!(
        (names(&report).len(), report.problems.iter().filter(|problem| problem.layer.is_some()).count()),
        (12, 0)
    );
    // A ceiling of one lane reads them too.
    let directory = tempfile::tempdir().unwrap();
    oci_layout(directory.path(), &layers);
    let scanner = blocking::Scanner::new(Scanner::builder().concurrency(1)).unwrap();
    assert_eq!(scanner.scan(&format!("oci:{}", directory.path().display())).unwrap().inventory.len(), 12);

    let report = scan(&[layer(0, 20), layer(1, 26)]);
    assert_eq!(names(&report), ["p0"]);
    let problem = problem(&report, ProblemKind::LimitExceeded);
    assert!(problem.layer == Some(1) && problem.message.contains("32 MiB"), "{problem:?}");
}

#[test]
fn entries_of_many_layers_are_bounded_together() {
    use tidewaiter::conformance::image::Layer;
    // More than 4 MiB of names a layer, which nothing makes smaller.
    let noise = noise_bytes(6 << 20);
    let names_of_4_mib = |layer: usize| {
        let mut full = Layer::new();
        for (number, bytes) in noise.chunks(1_000).skip(layer).take(4_500).enumerate() {
            let name: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            full = full.file(&format!("{name}/{number}"), "");
        }
        gzip(&full.tar())
    };
    let top = file("srv/node_modules/top/package.json", r#"{"name": "top", "version": "1.0.0"}"#);
    let mut layers = vec![gzip(&tar(&[witness()]))];
    layers.extend((0..4).map(names_of_4_mib));
    layers.push(gzip(&tar(&[top])));
    let report = scan(&layers);
    assert_eq!(names(&report), ["top", "witness"]);
    let told: Vec<_> = report.problems.iter().filter(|problem| problem.kind == ProblemKind::LimitExceeded).collect();
    assert!(told.iter().all(|problem| problem.message.contains("10 MiB")), "{told:?}");
    assert_eq!(told.iter().map(|problem| problem.layer).collect::<Vec<_>>(), [Some(3), Some(4)]);
}

/// A file of a million packages is read to a limit, and what lies beyond is a problem.
mod a_million_packages_stop_at_a_limit {
    fn many(count: u32, line: impl Fn(u32) -> String) -> String {
        (0..count).map(line).collect()
    }

    macro_rules! tests {
        ($($name:ident $path:literal => $content:expr;)+) => {
            $(#[test]
            fn $name() {
                let test = concat!("hostile::a_million_packages_stop_at_a_limit::", stringify!($name));
                super::stops_at_a_limit(test, $path, || $content);
            })+
        };
    }

    tests! {
        dpkg "var/lib/dpkg/status" => many(1_000_000, |n| format!("Package: p{n}\nStatus: install ok installed\nVersion: 1.{n}\n\n"));
        apk "lib/apk/db/installed" => many(1_000_000, |n| format!("P:p{n}\nV:1.{n}\n\n"));
        mix "app/mix.lock" => many(1_000_000, |n| format!("  \"p{n}\": {{:hex, :p{n}, \"1.{n}\", \"x\"}},\n"));
        pubspec "app/pubspec.lock" => {
            let packages = many(300_000, |n| format!("  p{n}:\n    source: hosted\n    version: \"1.{n}\"\n"));
            format!("packages:\n{packages}sdks:\n  dart: x\n")
        };
        rpm "var/lib/rpmmanifest/container-manifest-2" => many(1_000_000, |n| format!("p{n}\t1.{n}\t\t\t\t\t\t\t\t\n"));
        // Not more than 16 MiB, since it is taken whole.
        composer "srv/vendor/composer/installed.json" => {
            let packages = many(300_000, |n| format!(r#"{{"name":"a/p{n}","version":"1.{n}"}},"#));
            format!(r#"{{"packages":[{packages}{{}}]}}"#)
        };
        carton "app/cpanfile.snapshot" => {
            let packages = many(300_000, |n| format!("  P{n}-1.{n}\n    provides:\n      A 1\n"));
            format!("DISTRIBUTIONS\n{packages}")
        };
    }
}

fn stops_at_a_limit(test: &str, path: &str, content: impl FnOnce() -> String) {
    let prepare = |folder: &Path| oci_layout(folder, &[gzip(&tar(&[file(path, content()), witness()]))]);
    prepared_within(CEILING, test, prepare, |folder| {
        let report = scan_layout(folder);
        assert!(report.inventory.len() >= 20_000 && report.inventory.len() <= 200_000, "{}", report.inventory.len());
        problem(&report, ProblemKind::LimitExceeded);
        let is_told = |problem: &Problem| problem.path.as_deref() == Some(path) || problem.path.is_none();
        assert!(report.problems.iter().all(is_told), "{:?}", report.problems);
    });
}
