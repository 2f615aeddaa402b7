use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

#[test]
fn every_case_of_the_table() {
    let mut cases = 0;
    for (index, line) in include_str!("cases.txt").lines().enumerate() {
        let words: Vec<_> = line.split_whitespace().map(|word| if word == "\"\"" { "" } else { word }).collect();
        let [syntax, pattern, name, verdict] = words[..] else {
            assert!(line.is_empty() || line.starts_with('#'), "line {}: {line}", index + 1);
            continue;
        };
        let syntax = match syntax {
            "plain" => Syntax::Plain,
            "wildcard" => Syntax::Wildcard,
            other => panic!("line {}: {other}", index + 1),
        };
        let found = Pattern::with_syntax(pattern, syntax).map(|pattern| pattern.matches(name));
        let found = match &found {
            Ok(true) => "yes",
            Ok(false) => "no",
            Err(error) => {
                assert!(error.hint().is_some(), "line {}: {error}", index + 1);
                "error"
            }
        };
        assert_eq!(found, verdict, "line {}: {line}", index + 1);
        cases += 1;
    }
    assert!(cases > 70, "{cases}");
}

#[test]
fn an_error_shows_the_forms() {
    let error = Pattern::new("team/*/app").unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidInput);
    assert_eq!(error.to_string(), "a star stands at the start or the end of a pattern (pattern: team/*/app)");
    for form in ["*value ", "value* ", "*value* ", "glob:", "regex:"] {
        assert!(error.hint().unwrap().contains(form), "{form}");
    }
    let error = Pattern::new("regex:a(b").unwrap_err().to_string();
    assert!(error.contains("unclosed group") && !error.contains('\n'), "{error}");
}

#[test]
fn what_would_take_for_ever_is_refused_or_quick() {
    let start = Instant::now();
    let large = "regex:".to_owned() + &"(a{900})".repeat(100);
    for text in [large.as_str(), "regex:((((a{100}){100}){100}){100})", "regex:\\w{9000}"] {
        assert_eq!(Pattern::new(text).unwrap_err().kind(), Kind::LimitExceeded, "{text}");
    }
    let deep = format!("regex:{}a{}", "(".repeat(400), ")".repeat(400));
    assert_eq!(Pattern::new(&deep).unwrap_err().kind(), Kind::InvalidInput);
    let long = "a".repeat(MAX_LENGTH + 1);
    assert_eq!(Pattern::new(&long).unwrap_err().kind(), Kind::LimitExceeded);
    // What is exponential where expressions are matched by trying.
    let name = "a".repeat(10_000) + "!";
    for text in
        ["regex:^(a+)+$", "regex:^(a|aa)+$", "regex:(.*a){20}b", "glob:**a**a**a**a**a**b", "glob:*a*a*a*a*a*a*a*b"]
    {
        assert!(!Pattern::new(text).unwrap().matches(&name), "{text}");
    }
    let deep = format!("glob:{}a{}", "{".repeat(500), "}".repeat(500));
    assert_eq!(Pattern::new(&deep).unwrap_err().kind(), Kind::InvalidInput, "globset panics on it");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn excludes_win() {
    let patterns = Patterns::new(&["team/*", "library/nginx"], &["*-test"], Syntax::Plain).unwrap();
    for (name, meant) in [("team/app", true), ("library/nginx", true), ("team/app-test", false), ("other", false)] {
        assert_eq!(patterns.matches(name), meant, "{name}");
    }
    let none: [&str; 0] = [];
    assert!(Patterns::default().matches("x") && Patterns::default().is_all());
    assert!(Patterns::new(&["a", "*"], &none, Syntax::Plain).unwrap().is_all());
    assert!(!Patterns::new(&["*"], &["b"], Syntax::Plain).unwrap().is_all());
    let names = Patterns::new(&["b", "a", "b", "c"], &["c*"], Syntax::Plain).unwrap();
    assert_eq!(names.names(), Some(vec!["a", "b"]));
    assert_eq!(Patterns::new(&["b", "a*"], &none, Syntax::Plain).unwrap().names(), None);
    assert_eq!(Patterns::default().names(), None);
    let many = vec!["a"; Patterns::MAX + 1];
    assert_eq!(Patterns::new(&many, &none, Syntax::Plain).unwrap_err().kind(), Kind::LimitExceeded);
}

proptest! {
    /// The plain forms say the same as their wildcards, over names that exist.
    #[test]
    fn a_plain_pattern_is_its_wildcard(text in "[a-z./*-]{1,6}", name in "[a-z./-]{0,8}") {
        if let Ok(pattern) = Pattern::new(&text) {
            let same = Pattern::with_syntax(&pattern.wildcard().unwrap(), Syntax::Wildcard).unwrap();
            prop_assert_eq!(pattern.matches(&name), same.matches(&name));
            prop_assert_eq!(pattern.is_all(), same.is_all());
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,40}", name in ".{0,40}") {
        for prefix in ["", "glob:", "regex:"] {
            for syntax in [Syntax::Plain, Syntax::Wildcard] {
                let _ = Pattern::with_syntax(&format!("{prefix}{text}"), syntax).map(|pattern| pattern.matches(&name));
            }
        }
    }
}
