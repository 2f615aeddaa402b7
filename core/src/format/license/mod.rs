//! Licences as SBOMs want them: an id of the SPDX list, an expression of such ids, or a text that is neither.
//!
//! The list is that of SPDX 3.28 (`ids.txt`, `exceptions.txt`; spdx/license-list-data, CC0-1.0): the one that the schema of
//! CycloneDX holds ids against. What joined it later is a text, which every reader takes. An update takes both at once.

use std::sync::LazyLock;

/// A licence as a package states it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum License<'a> {
    /// An id of the list, as the list writes it.
    Id(&'static str),
    /// A valid expression of more than one id, as the specification writes it (SPDX 2.3, annex D).
    Expression(String),
    /// Anything else, as it was written.
    Text(&'a str),
}

/// The names in a list, and each in lower case, which they are sorted by.
struct List(Vec<(String, &'static str)>);

static IDS: LazyLock<List> = LazyLock::new(|| List::read(include_str!("ids.txt")));
static EXCEPTIONS: LazyLock<List> = LazyLock::new(|| List::read(include_str!("exceptions.txt")));

impl List {
    fn read(text: &'static str) -> Self {
        let mut names: Vec<_> = text.lines().map(|name| (name.to_ascii_lowercase(), name)).collect();
        names.sort_unstable();
        Self(names)
    }

    /// The name as the list writes it; the specification matches without regard to case.
    fn find(&self, name: &str) -> Option<&'static str> {
        let name = name.to_ascii_lowercase();
        let place = self.0.binary_search_by(|(known, _)| known.as_str().cmp(&name)).ok()?;
        self.0.get(place).map(|(_, name)| *name)
    }
}

impl<'a> License<'a> {
    /// What `text` is; none where it is empty.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let of_list = IDS.find(text).map(Self::Id);
        Some(of_list.or_else(|| expression(text).map(Self::Expression)).unwrap_or(Self::Text(text)))
    }

    /// Those of a package, each once, in its order.
    pub(super) fn all(texts: impl Iterator<Item = &'a str>) -> Vec<Self> {
        let mut found = Vec::new();
        for license in texts.filter_map(Self::of) {
            if !found.contains(&license) {
                found.push(license);
            }
        }
        found
    }
}

/// `text` as an expression, with one space between words; none where it is not one, or has a word that the list lacks.
fn expression(text: &str) -> Option<String> {
    /// What may come next.
    #[derive(PartialEq)]
    enum Next {
        License,
        /// Behind one id: an exception may follow.
        WithOrOperator,
        Exception,
        Operator,
    }
    let mut next = Next::License;
    let mut open = 0u32;
    let mut written = String::new();
    for word in words(text) {
        let word = match (&next, word) {
            (Next::License, "(") => {
                open += 1;
                "("
            }
            (Next::License, word) => {
                next = Next::WithOrOperator;
                IDS.find(word)?
            }
            (Next::WithOrOperator, "WITH") => {
                next = Next::Exception;
                "WITH"
            }
            (Next::Exception, word) => {
                next = Next::Operator;
                EXCEPTIONS.find(word)?
            }
            (Next::WithOrOperator | Next::Operator, ")") => {
                open = open.checked_sub(1)?;
                next = Next::Operator;
                ")"
            }
            (Next::WithOrOperator | Next::Operator, "AND" | "OR") => {
                next = Next::License;
                word
            }
            (Next::WithOrOperator | Next::Operator, _) => return None,
        };
        if !written.is_empty() && word != ")" && !written.ends_with('(') {
            written.push(' ');
        }
        written.push_str(word);
    }
    let is_whole = open == 0 && matches!(next, Next::WithOrOperator | Next::Operator);
    is_whole.then_some(written)
}

/// The words of an expression, each parenthesis one of its own.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
        .flat_map(|word| {
            word.split_inclusive(['(', ')']).flat_map(|part| match part.strip_suffix(['(', ')']) {
                Some(before) => [before, part.get(before.len()..).unwrap_or_default()],
                None => [part, ""],
            })
        })
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_whole() {
        for (list, text) in [(&IDS, include_str!("ids.txt")), (&EXCEPTIONS, include_str!("exceptions.txt"))] {
            for name in text.lines() {
                assert_eq!(list.find(name), Some(name));
                assert!(name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-.+".contains(letter)), "{name}");
            }
        }
        assert_eq!((IDS.0.len(), EXCEPTIONS.0.len()), (727, 84));
    }

    #[test]
    fn ids_expressions_and_texts_are_told_apart() {
        let expression = |text: &str| License::Expression(text.to_owned());
        for (text, expected) in [
            ("MIT", License::Id("MIT")),
            (" apache-2.0 ", License::Id("Apache-2.0")),
            ("GPL-2.0+", License::Id("GPL-2.0+")),
            ("MIT AND GPL-2.0-only", expression("MIT AND GPL-2.0-only")),
            ("(mit OR Apache-2.0)", expression("(MIT OR Apache-2.0)")),
            ("( MIT OR ( ISC AND 0BSD ) )", expression("(MIT OR (ISC AND 0BSD))")),
            ("(MIT)", expression("(MIT)")),
            (
                "GPL-2.0-only WITH Classpath-exception-2.0 OR MIT",
                expression("GPL-2.0-only WITH Classpath-exception-2.0 OR MIT"),
            ),
            ("GPLv2+", License::Text("GPLv2+")),
            ("GPL-2+", License::Text("GPL-2+")),
            ("MIT/Apache-2.0", License::Text("MIT/Apache-2.0")),
            ("MIT or Apache-2.0", License::Text("MIT or Apache-2.0")),
            ("MIT Apache-2.0", License::Text("MIT Apache-2.0")),
            ("MIT AND", License::Text("MIT AND")),
            ("AND MIT", License::Text("AND MIT")),
            ("(MIT", License::Text("(MIT")),
            ("MIT)", License::Text("MIT)")),
            ("()", License::Text("()")),
            ("MIT WITH MIT", License::Text("MIT WITH MIT")),
            ("(MIT) WITH Classpath-exception-2.0", License::Text("(MIT) WITH Classpath-exception-2.0")),
            ("Classpath-exception-2.0", License::Text("Classpath-exception-2.0")),
            ("MIT AND LicenseRef-own", License::Text("MIT AND LicenseRef-own")),
            ("NOASSERTION", License::Text("NOASSERTION")),
            ("NONE", License::Text("NONE")),
        ] {
            assert_eq!(License::of(text), Some(expected), "{text}");
        }
        assert_eq!(License::of(" \t"), None);
        let deep = format!("{}MIT{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(matches!(License::of(&deep), Some(License::Expression(text)) if text == deep));
    }

    #[test]
    fn each_is_told_once() {
        let all = License::all(["MIT", "", "mit", "GPL", "MIT"].into_iter());
        assert_eq!(all, [License::Id("MIT"), License::Text("GPL")]);
    }
}
