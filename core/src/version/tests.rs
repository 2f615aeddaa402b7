use std::cmp::Ordering;

use proptest::prelude::*;

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
        ("Go", "semver"),
        ("crates.io", "semver"),
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
        2 => prop::sample::select(vec!["-", "_", "~", "+", ":", "!", "-r", "v", "0", "00", "=", " "]).prop_map(str::to_owned),
        2 => prop::sample::select(vec!["a", "b", "rc", "alpha", "_p", "_rc", "_git", "post", ".dev", "beta", "A"]).prop_map(str::to_owned),
        1 => "[ -~]",
        1 => "[0-9]{19,24}",
    ];
    ("[0-9]", prop::collection::vec(piece, 0..6)).prop_map(|(first, rest)| first + &rest.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn is_an_order(a in version(), b in version(), c in version()) {
        for scheme in ALL {
            let compare = scheme.compare;
            // A text is a version or not, whatever it is compared with.
            let is_version = |text: &str| compare(text, text).is_some();
            prop_assert!(compare(&a, &a).is_none_or(Ordering::is_eq), "{}: reflexive", scheme.id);
            prop_assert_eq!(compare(&a, &b).is_some(), is_version(&a) && is_version(&b), "{}: total", scheme.id);
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).map(Ordering::reverse), "{}: antisymmetric", scheme.id);
            let mut sorted = [&a, &b, &c];
            if sorted.iter().all(|text| is_version(text)) {
                let order = |a: &str, b: &str| compare(a, b).unwrap();
                sorted.sort_by(|a, b| order(a, b));
                let [a, b, c] = sorted;
                // After the sort no step goes up by `Greater`, so the whole way is the smaller of both steps.
                prop_assert_eq!(order(a, c), order(a, b).min(order(b, c)), "{}: transitive", scheme.id);
            }
        }
    }

    #[test]
    fn never_panics(a in any::<String>(), b in any::<String>()) {
        for scheme in ALL {
            let _ = (scheme.compare)(&a, &b);
        }
    }
}
