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

/// The lines `a < b`, `a = b`, `a > b` of a file; `#` and `//` start comments.
fn lines(path: &Path) -> Vec<Case> {
    let text = fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_string_lossy();
    let mut cases = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with("//") {
            continue;
        }
        let found = [(" < ", Ordering::Less), (" = ", Ordering::Equal), (" > ", Ordering::Greater)]
            .into_iter()
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
                assert!([&a, &b].contains(&&low) && [&a, &b].contains(&&high), "{at}");
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
    run("Go", &["semver-versions.txt"], 80, &[]);
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
