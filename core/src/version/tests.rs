use std::cmp::Ordering;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{TestCaseError, TestRunner};

use super::{ALL, Scheme, scheme};

/// `versions` go up, each against every other, in both directions.
pub(super) fn assert_order(scheme: &Scheme, versions: &[&str]) {
    for (i, a) in versions.iter().enumerate() {
        for (j, b) in versions.iter().enumerate() {
            assert_eq!((scheme.compare)(a, b), Some(i.cmp(&j)), "{}: {a} against {b}", scheme.id);
        }
    }
}

/// None of `texts` is a version, on either side.
pub(super) fn assert_none(scheme: &Scheme, texts: &[&str]) {
    for text in texts {
        assert_eq!((scheme.compare)(text, "1.0.0"), None, "{}: {text:?}", scheme.id);
        assert_eq!((scheme.compare)("1.0.0", text), None, "{}: {text:?}", scheme.id);
    }
}

#[test]
fn finds_the_scheme_of_an_ecosystem() {
    for (ecosystem, id) in [
        ("Debian:12", "dpkg"),
        ("Ubuntu:22.04:LTS", "dpkg"),
        ("Ubuntu:Pro:18.04:LTS", "dpkg"),
        ("Alpine:v3.20", "apk"),
        ("Wolfi", "apk"),
        ("Chainguard", "apk"),
        ("PyPI", "pep440"),
        ("npm", "npm"),
        ("Go", "go"),
        ("crates.io", "semver"),
        ("Hex", "semver"),
        ("Maven", "maven"),
        ("RubyGems", "rubygems"),
        ("Packagist:https://packages.drupal.org/8", "packagist"),
        ("NuGet", "nuget"),
        ("Pub", "pub"),
        ("CRAN", "cran"),
        ("Hackage", "hackage"),
        ("Conda", "conda"),
        ("Red Hat:enterprise_linux:9::appstream", "rpm"),
        ("Rocky Linux:9", "rpm"),
        ("SUSE:Linux Enterprise Server 15 SP5", "rpm"),
    ] {
        assert_eq!(scheme(ecosystem).map(|scheme| scheme.id), Some(id), "{ecosystem}");
    }
    assert!(scheme("debian").is_none());
    assert!(scheme("").is_none());
}

#[test]
fn no_ecosystem_has_two_schemes() {
    let mut all: Vec<_> = ALL.iter().flat_map(|scheme| scheme.ecosystems).collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
}

/// Text made of the pieces that versions are made of, so that most of it is one in some scheme.
fn version() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[0-9]{1,3}",
        4 => Just(".".to_owned()),
        2 => prop::sample::select(vec!["-", "_", "~", "+", ":", "!", "-r", "v", "0", "00", "=", " ", "^", "*"]).prop_map(str::to_owned),
        2 => prop::sample::select(vec!["a", "b", "rc", "alpha", "_p", "_rc", "_git", "post", ".dev", "beta", "A"]).prop_map(str::to_owned),
        1 => "[ -~]",
        1 => "[0-9]{19,24}",
    ];
    ("[0-9]", prop::collection::vec(piece, 0..6)).prop_map(|(first, rest)| first + &rest.concat())
}

/// Versions of each scheme, few enough that two are often the same or nearly so.
const GRAMMARS: &[(&str, &str)] = &[
    ("apk", r"[0-2](\.0?[0-2]){0,2}[ab]?(_(alpha|rc|git|p)[0-2]?){0,2}(-r[0-2])?"),
    ("conda", r"([01]!)?[0-2](dev|a|post|rc)?[0-2]?([._][0-2](\*|dev|rc|post)?[01]?){0,3}_?(\+[0-2a](\.[0-2])?)?"),
    ("cran", r"[0-2]([.-]0?[0-2]){0,3}"),
    ("dpkg", r"([01]:)?[0-2]([.~+a-]{1,2}[0-2]){0,3}(-[0-2](~b|\+b)?[01]?)?"),
    (
        "go",
        r"(v?[0-2]\.[0-2]\.[0-2](-(0\.2021|rc\.[0-2]))?(\+incompatible)?)|(go[0-2]\.[0-2]((rc|beta)[0-2]|\.[0-2])?)",
    ),
    ("hackage", r"[0-2](\.0?[0-2]){0,3}"),
    ("maven", r"[0-2]([.-](0|1|a|rc|sp|ga|final|foo|SNAPSHOT|alpha)?[0-2]?){0,4}"),
    ("npm", r"[=v]?[0-2]\.[0-2]\.[0-2](-?(alpha|a|b)(\.[0-2a]){0,2})?"),
    ("nuget", r"[0-2](\.[0-2]){0,3}(-(alpha|A|b)(\.[0-2a]){0,2})?(\+a)?"),
    ("packagist", r"v?[0-2](\.[0-2]){0,4}(\.x)?([.-]?(dev|a|beta|RC|pl|foo|stable)[0-2]?){0,2}"),
    ("pep440", r"([01]!)?[0-2](\.0?[0-2]){0,2}((a|b|rc)[0-2])?(\.post[0-2])?(\.dev[0-2])?(\+[0-2a](\.[0-2])?)?"),
    ("pub", r"[0-2]\.[0-2]\.[0-2](-(a|b)(\.[0-2a])?)?(\+[0-2a](\.[0-2a])?)?"),
    ("rpm", r"([01]:)?[0-2]?([.~^_ab]{1,2}[0-2]?){0,3}(-[0-2](\.el[89])?(~|\^)?)?[0-9]"),
    ("rubygems", r"[0-2](\.[0-2a]){0,3}(\.(rc|pre)[0-2]?)?(-[a0](\.[0-2])?)?"),
    ("semver", r"v?[0-2](\.[0-2]){0,2}(-(alpha|a|b)(\.[0-2a]){0,2})?(\+a)?"),
];

#[test]
fn is_an_order_over_its_own_grammar() {
    assert_eq!(GRAMMARS.len(), ALL.len());
    for (scheme, (id, grammar)) in ALL.iter().zip(GRAMMARS) {
        assert_eq!(scheme.id, *id);
        let version = || prop::string::string_regex(grammar).unwrap().prop_filter("empty", |text| !text.is_empty());
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) };
        let mut runner = TestRunner::new(config);
        let (mut read, mut all) = (0, 0);
        let outcome = runner.run(&prop::collection::vec(version(), 4), |versions| {
            for a in &versions {
                for b in &versions {
                    for c in &versions {
                        holds(scheme, a, b, c)?;
                    }
                }
            }
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{id}: {error}"));
        for _ in 0..1000 {
            let text = version().new_tree(&mut runner).unwrap().current();
            (read, all) = (read + usize::from((scheme.compare)(&text, &text).is_some()), all + 1);
        }
        assert!(read * 10 >= all * 9, "{id}: only {read} of {all} are versions");
    }
}

/// Whether `scheme` orders three texts: each is a version or not, whatever it is compared with, and versions have an order.
fn holds(scheme: &Scheme, a: &str, b: &str, c: &str) -> Result<(), TestCaseError> {
    let compare = scheme.compare;
    let is_version = |text: &str| compare(text, text).is_some();
    prop_assert!(compare(a, a).is_none_or(Ordering::is_eq), "{}: reflexive", scheme.id);
    prop_assert_eq!(compare(a, b).is_some(), is_version(a) && is_version(b), "{}: total", scheme.id);
    prop_assert_eq!(compare(a, b), compare(b, a).map(Ordering::reverse), "{}: antisymmetric", scheme.id);
    if let (Some(ab), Some(bc), Some(ac)) = (compare(a, b), compare(b, c), compare(a, c)) {
        let expected = if ab.is_eq() { Some(bc) } else { (bc.is_eq() || ab == bc).then_some(ab) };
        prop_assert!(expected.is_none_or(|order| order == ac), "{}: transitive: {a:?}, {b:?}, {c:?}", scheme.id);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn is_an_order(a in version(), b in version(), c in version()) {
        for scheme in ALL {
            holds(scheme, &a, &b, &c)?;
        }
    }

    #[test]
    fn never_panics(a in any::<String>(), b in any::<String>()) {
        for scheme in ALL {
            let _ = (scheme.compare)(&a, &b);
        }
    }
}
