//! A selection that matches no repository says so, and what may have been meant.

use super::pattern::{Pattern, Patterns};
use crate::error::{Error, Kind};

/// How many names are offered.
const OFFERED: usize = 3;

/// How much of a name is compared, in characters: the comparison takes the product of the lengths.
const COMPARED: usize = 128;

/// How many patterns are compared with every name.
const PATTERNS: usize = 8;

/// Sees the names of all repositories of a registry, and remembers those that are nearest to what was asked for.
#[derive(Clone, Debug)]
pub struct Near {
    wanted: Vec<String>,
    patterns: Vec<String>,
    seen: u64,
    /// The nearest names, with their distance.
    best: Vec<(usize, String)>,
}

impl Near {
    /// For what `patterns` include.
    pub fn new(patterns: &Patterns) -> Self {
        let patterns = || patterns.include.iter();
        Self {
            wanted: patterns().take(PATTERNS).map(|pattern| letters(pattern.as_str())).collect(),
            patterns: patterns().take(PATTERNS).map(Pattern::to_string).collect(),
            seen: 0,
            best: Vec::new(),
        }
    }

    /// Takes the name of a repository that did not match.
    pub fn see(&mut self, name: &str) {
        self.seen += 1;
        let shown = letters(name);
        let Some(distance) = self.wanted.iter().filter_map(|wanted| distance(wanted, &shown)).min() else { return };
        let better = (distance, name.to_owned());
        let place = self.best.partition_point(|known| *known < better);
        if place < OFFERED && !self.best.contains(&better) {
            self.best.insert(place, better);
            self.best.truncate(OFFERED);
        }
    }

    /// The nearest names, the nearest first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.best.iter().map(|(_, name)| name.as_str())
    }

    /// The error for a selection that matched no repository.
    pub fn error(&self) -> Error {
        let error = Error::new(Kind::NotFound, "no repository matches the selection");
        let error = match self.patterns.is_empty() {
            true => error,
            false => error.with("repositories", self.patterns.join(", ")),
        };
        match (self.seen, self.hint()) {
            (0, _) => error.with_hint("the registry lists no repository at all: check that this account may list them"),
            (seen, None) => {
                error.with_hint(format!("the registry lists {seen} repositories, and none has a similar name"))
            }
            (_, Some(hint)) => error.with_hint(hint),
        }
    }

    /// What may have been meant, where anything comes near.
    pub fn hint(&self) -> Option<String> {
        let names: Vec<_> = self.names().map(|name| name.escape_debug().to_string()).collect();
        (!names.is_empty()).then(|| format!("did you mean {}?", names.join(", ")))
    }
}

/// What counts for likeness: no case, no stars.
fn letters(text: &str) -> String {
    text.chars().filter(|c| *c != '*').take(COMPARED).flat_map(char::to_lowercase).collect()
}

/// How far apart two names are; none where they have nothing to do with each other. A name that holds the other is near.
fn distance(wanted: &str, name: &str) -> Option<usize> {
    if wanted.is_empty() {
        return None;
    }
    let last = |text: &str| text.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
    if name.contains(wanted) || (!name.is_empty() && wanted.contains(name)) || last(wanted) == last(name) {
        return Some(1);
    }
    let edits = edits(wanted, name);
    (edits * 3 <= wanted.chars().count().max(3)).then_some(edits)
}

/// The number of letters to insert, remove or replace (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(&b) {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::Syntax;

    fn near(patterns: &[&str], names: &[&str]) -> Near {
        let none: [&str; 0] = [];
        let mut near = Near::new(&Patterns::new(patterns, &none, Syntax::Plain).unwrap());
        names.iter().for_each(|name| near.see(name));
        near
    }

    #[test]
    fn offers_what_may_have_been_meant() {
        let all = ["team/api", "team/web", "teams/api", "library/nginx", "other"];
        for (pattern, first) in [
            ("team/apj", Some("team/api")),
            ("Team/API", Some("team/api")),
            ("nginx", Some("library/nginx")),
            ("nginx*", Some("library/nginx")),
            ("foreign/web", Some("team/web")),
            ("postgres", None),
        ] {
            assert_eq!(near(&[pattern], &all).names().next(), first, "{pattern}");
        }
        let error = near(&["team/apj"], &all).error();
        assert_eq!(error.kind(), Kind::NotFound);
        assert_eq!(error.to_string(), "no repository matches the selection (repositories: team/apj)");
        assert_eq!(error.hint(), Some("did you mean team/api, teams/api?"));
        assert!(near(&["postgres"], &all).error().hint().unwrap().contains("5 repositories"));
        assert!(near(&["postgres"], &[]).error().hint().unwrap().contains("may list"));
    }

    #[test]
    fn counts_edits() {
        for (a, b, expected) in [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)]
        {
            assert_eq!(edits(a, b), expected, "{a} {b}");
        }
    }
}
