//! Images that somebody crafted to take memory, alone and several at once: the process stays within its ceiling, and each has the report
//! that it has where there is memory for anything. A tenth of the size unless `TIDEWAITER_TEST_BIG` is set, as `tests/long big` does.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tidewaiter::model::report::Report;
use tidewaiter::source::Platforms;
use tidewaiter::{Context, Result, ScanOptions, Scanner};
use tokio::task::JoinSet;

use crate::alone::prepared_within;
use crate::images::{Entry, noise, oci_layout, oci_layout_of, oci_layout_with, tar};

/// The ceiling in MiB. A build for tests takes some ten more than a release build.
const CEILING: u64 = if cfg!(debug_assertions) { 72 } else { 64 };

/// So many, or a tenth of them.
fn many(full: u32) -> u32 {
    if std::env::var_os("TIDEWAITER_TEST_BIG").is_some() { full } else { full / 10 }
}

fn file(path: String, content: String) -> Entry {
    Entry::File { path, content }
}

fn layer(entries: impl Iterator<Item = Entry>) -> Vec<u8> {
    let tar = tar(&entries.collect::<Vec<_>>());
    let mut out = vec![0; zlib_rs::compress_bound(tar.len()) + 64];
    let mut deflate = zlib_rs::Deflate::new(1, true, 16 + 15);
    deflate.compress(&tar, &mut out, zlib_rs::DeflateFlush::Finish).unwrap();
    out.truncate(deflate.total_out() as usize);
    out
}

/// Writes an image of one kind; another seed makes another image.
type Image = fn(&Path, u32);

/// Packages that are each a file of its own.
fn packages_in_files(folder: &Path, seed: u32) {
    let package = |number: u32| {
        let content = format!(r#"{{"name": "package-{number}", "version": "1.{number}.{seed}", "license": "MIT"}}"#);
        file(format!("srv/{seed}/node_modules/package-{number}/package.json"), content)
    };
    oci_layout(folder, &[0, 1, 2, 3].map(|first| layer((0..many(50_000)).map(|number| package(4 * number + first)))));
}

/// Packages with much to say, in layers that are each as full as a layer may be.
fn full_layers(folder: &Path, seed: u32) {
    let name = "n".repeat(150);
    let package = |layer: u32, number: u32| {
        let license = format!("{}{number}", "L".repeat(200));
        let content = format!(r#"{{"name": "{name}{number}", "version": "{layer}.{seed}", "license": "{license}"}}"#);
        file(format!("srv/{layer}/node_modules/{number}/package.json"), content)
    };
    let layers = (0..6).map(|at| layer((0..many(14_000)).map(|number| package(at, number))));
    oci_layout(folder, &layers.collect::<Vec<_>>());
}

/// Names that nothing makes small.
fn names_of_noise(folder: &Path, seed: u32) {
    let layers = (0..4).map(|at| {
        let mut noise = noise(u64::from(4 * seed + at), u64::MAX);
        let names = (0..many(100_000)).map(|_| {
            let mut bytes = [0; 45];
            noise.read_exact(&mut bytes).unwrap();
            bytes.iter().fold(String::new(), |mut name, byte| {
                write!(name, "{byte:02x}").unwrap();
                name
            })
        });
        layer(names.map(|name| file(name, String::new())))
    });
    oci_layout(folder, &layers.collect::<Vec<_>>());
}

/// Links where packages would be, each to another file.
fn links(folder: &Path, seed: u32) {
    let link = |number: u32| Entry::Symlink {
        path: format!("{}/node_modules/{number}/package.json", number / 1_000),
        target: format!("../{seed}/{}/{number}", "t".repeat(40)),
    };
    oci_layout(folder, &[layer((0..many(200_000)).map(link))]);
}

/// Hard links where packages would be, to files that nobody wanted.
fn hard_links(folder: &Path, seed: u32) {
    let content =
        |number: u32| file(format!("f/{number}"), format!(r#"{{"name": "p{number}", "version": "1.{seed}"}}"#));
    let name = |number: u32| Entry::Hardlink {
        path: format!("node_modules/{number}/package.json"),
        target: format!("f/{number}"),
    };
    let count = many(100_000);
    oci_layout(folder, &[layer((0..count).map(content).chain((0..count).map(name)))]);
}

/// A distribution that owns millions of programs.
fn owned_files(folder: &Path, seed: u32) {
    let packages = 10;
    let status = |number: u32| format!("Package: p{number}\nStatus: install ok installed\nVersion: 1.{seed}\n\n");
    let list = |number: u32| (0..many(300_000)).map(move |at| format!("/bin/{number}{at:x}\n")).collect::<String>();
    let lists = (0..packages).map(|number| file(format!("var/lib/dpkg/info/p{number}.list"), list(number)));
    let status = file("var/lib/dpkg/status".to_owned(), (0..packages).map(status).collect());
    oci_layout(folder, &[layer([status].into_iter().chain(lists))]);
}

/// Layers full of files that are no packages, with long names.
fn problems(folder: &Path, seed: u32) {
    layers_of_problems(folder, seed, many(100));
}

fn layers_of_problems(folder: &Path, seed: u32, layers: u32) {
    use tidewaiter::conformance::image::Layer;
    let layer = |at: u32| {
        let path = |number: u32| format!("{at}/{seed}/{}node_modules/{number}/package.json", "n/".repeat(1_800));
        let layer = (0..110).fold(Layer::new(), |layer, number| layer.file(&path(number), "{"));
        zstd::bulk::compress(&layer.tar(), 1).unwrap()
    };
    oci_layout(folder, &(0..layers).map(layer).collect::<Vec<_>>());
}

/// A configuration that is as long as it may be.
fn a_long_history(folder: &Path, seed: u32) {
    let package =
        file("srv/node_modules/a/package.json".to_owned(), format!(r#"{{"name": "a", "version": "{seed}"}}"#));
    let command = "x".repeat(many(15 << 20) as usize);
    oci_layout_with(folder, &[layer([package].into_iter())], &[command]);
}

/// A manifest full of layers that say nothing.
fn layers_of_nothing(folder: &Path, seed: u32) {
    oci_layout_of(folder, vec![serde_json::json!({}); (many(1_300_000) + seed) as usize]);
}

/// What a report says of an image, in a line.
fn said(report: Result<Report>) -> String {
    let report = match report {
        Ok(report) => report,
        Err(error) => return format!("{error}"),
    };
    let problems: Vec<_> = report.problems.iter().map(|problem| (problem.layer, &problem.message)).collect();
    format!("{} packages, {problems:?}", report.inventory.len())
}

fn scan(scanner: &Scanner, images: &[String]) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut scans = JoinSet::new();
        for (at, image) in images.iter().cloned().enumerate() {
            let scanner = scanner.clone();
            scans.spawn(async move { (at, said(scanner.scan(&image).await)) });
        }
        let mut said = scans.join_all().await;
        said.sort();
        said.into_iter().map(|(_, said)| said).collect()
    })
}

/// Scans the images side by side within the ceiling, and each is as it is where there is memory for anything.
fn holds(test: &str, kinds: &[Image]) {
    let name = |folder: &Path, at: usize| format!("oci:{}", folder.join(at.to_string()).display());
    let prepare = |folder: &Path| {
        let scanner = Scanner::builder().memory_mib(4096).concurrency(1).build().unwrap();
        let mut expected = Vec::new();
        for (at, kind) in kinds.iter().enumerate() {
            kind(&folder.join(at.to_string()), at as u32);
            expected.extend(scan(&scanner, &[name(folder, at)]));
        }
        std::fs::write(folder.join("expected"), expected.join("\n")).unwrap();
    };
    prepared_within(CEILING, test, prepare, |folder| {
        let scanner = Scanner::builder().build().unwrap();
        let images: Vec<_> = (0..kinds.len()).map(|at| name(folder, at)).collect();
        let expected = std::fs::read_to_string(folder.join("expected")).unwrap();
        assert_eq!(scan(&scanner, &images), expected.lines().collect::<Vec<_>>());
    });
}

macro_rules! tests {
    ($($name:ident: $($kind:ident),+;)+) => {
        $(#[test]
        fn $name() {
            holds(concat!("memory::", stringify!($name)), &[$($kind),+]);
        })+
    };
}

tests! {
    one_with_packages_in_files: packages_in_files;
    four_with_packages_in_files: packages_in_files, packages_in_files, packages_in_files, packages_in_files;
    four_with_full_layers: full_layers, full_layers, full_layers, full_layers;
    four_with_names_of_noise: names_of_noise, names_of_noise, names_of_noise, names_of_noise;
    four_with_links: links, links, links, links;
    four_with_hard_links: hard_links, hard_links, hard_links, hard_links;
    four_with_owned_files: owned_files, owned_files, owned_files, owned_files;
    four_with_problems: problems, problems, problems, problems;
    four_with_a_long_history: a_long_history, a_long_history, a_long_history, a_long_history;
    four_with_layers_of_nothing: layers_of_nothing, layers_of_nothing, layers_of_nothing, layers_of_nothing;
    one_of_each: packages_in_files, full_layers, names_of_noise, links, hard_links, owned_files, problems, a_long_history;
}

/// A scan that is dropped while it has the large place, or waits for it, leaves it to others.
#[test]
fn who_is_canceled_gives_its_place_back() {
    let folder = tempfile::tempdir().unwrap();
    packages_in_files(folder.path(), 0);
    let image = format!("oci:{}", folder.path().display());
    let scanner = Arc::new(Scanner::builder().build().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for _ in 0..20 {
            let scans = futures_util::future::join_all((0..3).map(|_| scanner.scan(&image)));
            let _ = tokio::time::timeout(std::time::Duration::from_millis(20), scans).await;
        }
        assert!(scanner.scan(&image).await.unwrap().inventory.len() >= many(100_000) as usize);
    });
}

/// What an image may have is told of the second platform too, although the first has made the seat of both large.
#[test]
fn each_platform_has_the_same_limit() {
    let folder = tempfile::tempdir().unwrap();
    let index = folder.path().join("index.json");
    let manifest = |seed: u32, architecture: &str| {
        layers_of_problems(folder.path(), seed, 40);
        let document: Value = serde_json::from_slice(&std::fs::read(&index).unwrap()).unwrap();
        let mut manifest = document["manifests"][0].clone();
        manifest["platform"] = json!({"os": "linux", "architecture": architecture});
        manifest
    };
    let manifests = [manifest(1, "amd64"), manifest(2, "arm64")];
    std::fs::write(&index, json!({"schemaVersion": 2, "manifests": manifests}).to_string()).unwrap();
    let scanner = Scanner::builder().build().unwrap();
    let target = format!("oci:{}", folder.path().display()).parse().unwrap();
    let options = ScanOptions { platforms: Platforms::All, ..ScanOptions::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reports = runtime.block_on(scanner.scan_with(&target, &options, &Context::new())).unwrap();
    let left_out = |report: &Report| {
        let problems = report.problems.iter().filter(|problem| problem.message.ends_with("of this one do not count"));
        problems.map(|problem| problem.layer.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(reports.len(), 2);
    assert!(left_out(&reports[0]).len() > 1, "{:?}", reports[0].problems);
    assert_eq!(left_out(&reports[0]), left_out(&reports[1]));
}
