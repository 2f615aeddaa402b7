//! Every comparable line of the corpus, through the scheme that its ecosystem has, in both directions.

use std::cmp::Ordering;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tidewaiter::version::{Scheme, scheme};

use crate::corpus::corpus;

struct Case {
    at: String,
    a: String,
    order: Ordering,
    b: String,
}

/// The lines `a < b`, `a = b` (or `a == b`), `a > b` of a file; `#` and `//` start comments.
fn lines(path: &Path) -> Vec<Case> {
    let text = fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_string_lossy();
    let mut cases = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with("//") {
            continue;
        }
        let found = [" < ", " = ", " == ", " > "]
            .into_iter()
            .zip([Ordering::Less, Ordering::Equal, Ordering::Equal, Ordering::Greater])
            .find_map(|(sign, order)| line.split_once(sign).map(|(a, b)| (a.trim(), order, b.trim())));
        let (a, order, b) = found.unwrap_or_else(|| panic!("{name}:{}: no comparison: {line}", index + 1));
        cases.push(Case { at: format!("{name}:{}", index + 1), a: a.to_owned(), order, b: b.to_owned() });
    }
    cases
}

/// The cases of a univers file: a pair with its sorted order, or a pair and whether both are equal.
fn univers(path: &Path) -> Vec<Case> {
    let cases: Vec<Value> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let name = path.file_name().unwrap().to_string_lossy();
    let mut found = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let versions = case["input"]["versions"].as_array().unwrap();
        let (a, b) = (text(&versions[0]), text(&versions[1]));
        let at = format!("{name}[{index}]");
        match case["test_type"].as_str().unwrap() {
            "comparison" => {
                let (low, high) = (text(&case["expected_output"][0]), text(&case["expected_output"][1]));
                // NuGet's expected output is in small letters.
                let is_input = |text: &str| [&a, &b].into_iter().any(|input| input.eq_ignore_ascii_case(text));
                assert!(is_input(&low) && is_input(&high), "{at}");
                let order = if low == high { Ordering::Equal } else { Ordering::Less };
                found.push(Case { at, a: low, order, b: high });
            }
            "equality" if case["expected_output"] == true => found.push(Case { at, a, order: Ordering::Equal, b }),
            // Not equal, either way: whichever it is, it must not be `Equal`.
            "equality" => {
                let order = (scheme_of(case).compare)(&a, &b).unwrap();
                assert_ne!(order, Ordering::Equal, "{at}: {a} {b}");
            }
            other => panic!("{at}: unknown kind of case: {other}"),
        }
    }
    found
}

fn scheme_of(case: &Value) -> &'static Scheme {
    let ecosystem = match case["input"]["input_scheme"].as_str().unwrap() {
        "apk" | "alpine" => "Alpine",
        "deb" => "Debian",
        "maven" => "Maven",
        "nuget" => "NuGet",
        other => panic!("unknown scheme: {other}"),
    };
    scheme(ecosystem).unwrap()
}

/// What the scheme answers other than the line says, as `a < b` in the spelling of the line.
fn disagreements(scheme: &Scheme, cases: &[Case]) -> Vec<String> {
    let is_right = |case: &&Case| {
        let (forth, back) = ((scheme.compare)(&case.a, &case.b), (scheme.compare)(&case.b, &case.a));
        assert_eq!(forth, back.map(Ordering::reverse), "{}: {} and {} depend on their side", case.at, case.a, case.b);
        forth == Some(case.order)
    };
    let spell = |case: &Case| {
        let sign = match case.order {
            Ordering::Less => "<",
            Ordering::Equal => "=",
            Ordering::Greater => ">",
        };
        format!("{} {sign} {}", case.a, case.b)
    };
    let mut wrong: Vec<_> = cases.iter().filter(|case| !is_right(case)).map(spell).collect();
    wrong.sort();
    wrong
}

/// Runs the files of one ecosystem; `disputed` are the lines that do not hold, no more and no fewer.
fn run(ecosystem: &str, files: &[&str], at_least: usize, disputed: &[&str]) {
    let Some(corpus) = corpus() else { return };
    let cases: Vec<_> = files
        .iter()
        .map(|file| corpus.join("versions").join(file))
        .flat_map(|path| if path.extension().is_some_and(|end| end == "json") { univers(&path) } else { lines(&path) })
        .collect();
    assert!(cases.len() >= at_least, "{ecosystem}: only {} cases", cases.len());
    let mut disputed: Vec<_> = disputed.to_vec();
    disputed.sort_unstable();
    assert_eq!(disagreements(scheme(ecosystem).unwrap(), &cases), disputed, "{ecosystem}");
}

#[test]
fn dpkg() {
    let files = ["debian-versions.txt", "debian-versions-generated.txt", "univers-deb_version_python_pkg_test.json"];
    run("Debian", &files, 14_000, &[]);
}

#[test]
fn semver() {
    run("crates.io", &["semver-versions.txt"], 80, &[]);
    run("Hex", &["semver-versions.txt"], 80, &[]);
    run("Go", &["semver-versions.txt"], 80, &[]);
}

/// Lines about names of packages, `name-version-release.architecture`: these are no versions. (In the other lines of that file
/// the wrong reading has the right order.)
const NEVRA: &[&str] =
    &["a-1-1 > 1-1", "fonts-filesystem-0:2.0.5-12.fc39.noarch = fonts-filesystem-2.0.5-12.fc39.noarch"];

#[test]
fn rpm() {
    run("Red Hat", &["redhat-versions.txt", "claircore-rpmvercmp.txt", "claircore-rpm-compare.txt"], 280, NEVRA);
}

/// Lines that contradict the specification. Maven 3.8.7 itself agrees with us about all of them but those that are marked.
const NOT_MAVEN: &[&str] = &[
    // A qualifier behind a dot is the same as one behind a hyphen, and the zeros before it do not count.
    "1.0.0-RC16 < 1.0.0.RC8-beta",
    "1.0.0-gradle-rework-beta3 < 1.0.0.RC7-3",
    "1.0.0rc0 < 1.0.beta8",
    "1.5.9.RC1 < 1.5.9-RC0",
    "6.1.12.rc5 < 6.1.12rc1",
    "3.5.0-CR-2 < 3.5.0.Beta-1", // 3.8.7 too; 3.9 no more
    // The same of a qualifier that nobody knows, once in two files and twice in one.
    "2.0.a < 2.0.0.a",
    "2.0.a < 2.0.0.a",
    "2.0.a < 2.0.0.a",
    // A number behind a hyphen comes after every qualifier.
    "1.1.0-01-glassfish < 1.1.0.Beta1",
    "2.9.0-1 < 2.9.0.RC1",
    "2-1 < 2.0.a",
    "2-1 < 2.0.a",
    "2-1 < 2.0.0.a",
    "2-1 < 2.0.0.a",
    // And before a number behind a dot.
    "3.6.2.FL.20090615 < 3.6.2-FL-2009-05-11", // 3.8.7 too
    // Only dots, hyphens, and a change from digits to letters separate: `_noneautotype` is one qualifier, and comes before `sec`.
    "1.1.31.sec10 < 1.1.31_noneautotype",
    "1.1.34.sec10 < 1.1.34_noneautotype",
    "1.1.46.sec10 < 1.1.46_noneautotype",
    "1.2.31.sec10 < 1.2.31_noneautotype",
    "1.2.48.sec10 < 1.2.48_noneautotype",
    "1.2.50.sec10 < 1.2.50_noneautotype",
    "1.2.54.sec10 < 1.2.54_noneautotype",
    "1.2.57.sec10 < 1.2.57_noneautotype",
    "1.2.60.sec10 < 1.2.60_noneautotype",
    "1.2.67.sec10 < 1.2.67_noneautotype",
    "1.2.8.sec10_noneautotype < 1.2.8_noneautotype",
];

#[test]
fn maven() {
    let files = [
        "maven-versions.txt",
        "maven-versions-generated.txt",
        "claircore-maven-compare.txt",
        "univers-maven_version_cmp.json",
    ];
    run("Maven", &files, 15_000, NOT_MAVEN);
}

#[test]
fn rubygems() {
    run("RubyGems", &["rubygems-versions.txt", "rubygems-versions-generated.txt"], 4_100, &[]);
}

/// Lines that hold for PHP's `version_compare` alone, not for Composer, which brings versions into one form first.
const NOT_COMPOSER: &[&str] = &[
    // A branch is in no range.
    "dev-foo < 1.26.0",
    "1.26.0 > dev-foo",
    // 1.0 is 1.0.0.0.
    "1.0.0 > 1.0",
    "v3.0 < v3.0.0-beta",
    "v3.4 < v3.4.0-alpha",
    "v4.4 < v4.4.0-beta",
    "v4-beta4 < v4.0-alpha",
    "v6.5 < v6.5.0-beta-0",
    "v6.6 < v6.6.0-beta",
    // There are no small and capital letters.
    "v1.9.0-ALPHA.1 = v1.9.0-BETA.1",
    "v1.9.0-ALPHA.2 = v1.9.0-BETA.2",
    "v1.9.0-BETA.1 < v1.9.0-ALPHA.2",
    // `stable` is what a version is without a word.
    "5.1.0-stable < 5.1.0-beta2",
    // PHP takes `#` for any number, which is no order; Composer refuses it.
    "1.2.3.# = 1.2.3",
    "1.2.3.# = 1.2.3.1",
    "1.2.3.#.1 > 1.2.3",
    "1.2.3.#.p3 > 1.2.3",
];

#[test]
fn packagist() {
    run("Packagist", &["packagist-versions.txt", "packagist-versions-generated.txt"], 10_700, NOT_COMPOSER);
}

#[test]
fn nuget() {
    run("NuGet", &["nuget-versions.txt", "univers-nuget_version_cmp.json"], 58, &[]);
}

#[test]
fn pub_dev() {
    run("Pub", &["pub-versions.txt"], 95, &[]);
}

#[test]
fn cran() {
    run("CRAN", &["cran-versions.txt", "cran-versions-generated.txt"], 75, &[]);
}

#[test]
fn hackage() {
    run("Hackage", &["hackage-versions.txt"], 10, &[]);
}

/// Lines that hold in apk-tools 3 only, all of them about versions that break the grammar; comments in the corpus say so of
/// most of them.
const APK_3: &[&str] = &[
    // A revision without number: 3 refuses it, and puts what it refuses first; in 2 it is revision 0 and something behind it.
    "1-r-0 < 1-r0",
    "1-r-1 < 1-r0",
    "1 > 1-ruff",
    "1-ruff2 = 1--ruff1",
    // A dot without digits, then a letter.
    "0.r1 < 0r2",
    "0.8.21.r2 < 0.8.21r2",
    // A capital letter.
    "1.2.0A < 1.2.0d",
    "1.2.0D < 1.2.0d",
];

#[test]
fn apk() {
    let files = ["alpine-versions.txt", "alpine-versions-generated.txt", "univers-alpine_version_cmp.json"];
    run("Alpine", &files, 15_400, APK_3);
}

/// Versions of before PEP 440, such as `0.1-bulbasaur` and `0.8.1p1`: PEP 440 refuses them, so do we, and with them the line.
#[test]
fn pypi() {
    let Some(corpus) = corpus() else { return };
    let scheme = scheme("PyPI").unwrap();
    let mut cases = lines(&corpus.join("versions/pypi-versions.txt"));
    cases.extend(lines(&corpus.join("versions/pypi-versions-generated.txt")));
    let (legacy, cases): (Vec<_>, Vec<_>) =
        cases.into_iter().partition(|case| (scheme.compare)(&case.a, &case.b).is_none());
    assert_eq!(disagreements(scheme, &cases), [""; 0]);
    // As many as `packaging.version`, the reference, refuses.
    assert_eq!((cases.len(), legacy.len()), (12_332, 80));
}
