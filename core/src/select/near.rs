//! A selection that matches no repository says so, and what may have been meant.

use super::pattern::{Pattern, Patterns};
use crate::error::{Error, Kind};

/// How many names are offered.
const OFFERED: usize = 3;

/// So many repositories are all offered, like or not.
const FEW: usize = 10;

/// How much of a name is compared, in characters: the comparison takes the product of the lengths.
const COMPARED: usize = 128;

/// How many patterns are compared with every name.
const PATTERNS: usize = 8;

/// Sees the names of all repositories of a registry, and remembers those that are nearest to what was asked for.
#[derive(Clone, Debug)]
pub struct Near {
    wanted: Vec<Letters>,
    patterns: Vec<String>,
    seen: u64,
    /// The nearest names, with their distance.
    best: Vec<(usize, String)>,
    /// The first names.
    first: Vec<String>,
}

impl Near {
    /// For what `patterns` include.
    pub fn new(patterns: &Patterns) -> Self {
        let patterns = || patterns.include.iter();
        Self {
            wanted: patterns().take(PATTERNS).map(|pattern| Letters::new(pattern.as_str())).collect(),
            patterns: patterns().take(PATTERNS).map(Pattern::to_string).collect(),
            seen: 0,
            best: Vec::new(),
            first: Vec::new(),
        }
    }

    /// Takes the name of a repository that did not match.
    pub fn see(&mut self, name: &str) {
        self.seen += 1;
        if self.first.len() < FEW {
            self.first.push(name.to_owned());
        }
        let shown = letters(name);
        let Some(distance) = self.wanted.iter().filter_map(|wanted| wanted.distance(&shown)).min() else { return };
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
        let list = |names: &mut dyn Iterator<Item = &str>| {
            names.map(|name| name.escape_debug().to_string()).collect::<Vec<_>>().join(", ")
        };
        let is_few = usize::try_from(self.seen).is_ok_and(|seen| (1..=FEW).contains(&seen));
        match (self.best.is_empty(), is_few) {
            (false, _) => Some(format!("did you mean {}?", list(&mut self.names()))),
            (true, true) => Some(format!("there is only {}", list(&mut self.first.iter().map(String::as_str)))),
            (true, false) => None,
        }
    }
}

/// What counts for likeness: no case, no stars.
fn letters(text: &str) -> String {
    text.chars().filter(|c| *c != '*').take(COMPARED).flat_map(char::to_lowercase).collect()
}

/// What was asked for, as it is compared.
#[derive(Clone, Debug)]
struct Letters {
    text: String,
    /// Whether any end may follow (`team/*`): as much of a name is compared as is written.
    is_start: bool,
    /// Whether anything may stand in front (`*/app`).
    is_end: bool,
}

impl Letters {
    fn new(pattern: &str) -> Self {
        let (is_start, is_end) = (pattern.ends_with('*'), pattern.starts_with('*'));
        Self { text: letters(pattern), is_start, is_end }
    }

    /// How far apart a name is; none where the two have nothing to do with each other. A name that holds the other is near.
    fn distance(&self, name: &str) -> Option<usize> {
        let wanted = self.text.as_str();
        if wanted.is_empty() {
            return None;
        }
        let last = |text: &str| text.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
        if name.contains(wanted) || (!name.is_empty() && wanted.contains(name)) || last(wanted) == last(name) {
            return Some(1);
        }
        let length = wanted.chars().count();
        let compared: String = match (self.is_start, self.is_end) {
            (true, false) => name.chars().take(length).collect(),
            (false, true) => name.chars().skip(name.chars().count().saturating_sub(length)).collect(),
            _ => name.to_owned(),
        };
        let edits = edits(wanted, &compared);
        (edits * 3 <= length.max(3)).then_some(edits)
    }
}

/// The number of letters to insert, remove, replace or swap with the next (Damerau and Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let at = |row: &[usize], place: usize| row.get(place).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let replaced = at(&row, j) + usize::from(from != to);
            let mut least = replaced.min(at(&next, j) + 1).min(at(&row, j + 1) + 1);
            let is_swap = i > 0 && j > 0 && a.get(i - 1) == Some(to) && b.get(j - 1) == Some(from);
            if is_swap {
                least = least.min(at(&before, j - 1) + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
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
            ("taem/api", Some("team/api")),
            ("tema/*", Some("team/api")),
            ("tean*", Some("team/api")),
            ("*/wbe", Some("team/web")),
        ] {
            assert_eq!(near(&[pattern], &all).names().next(), first, "{pattern}");
        }
        let error = near(&["team/apj"], &all).error();
        assert_eq!(error.kind(), Kind::NotFound);
        assert_eq!(error.to_string(), "no repository matches the selection (repositories: team/apj)");
        assert_eq!(error.hint(), Some("did you mean team/api, teams/api?"));
        let few = near(&["postgres"], &all).error();
        assert_eq!(few.hint(), Some("there is only team/api, team/web, teams/api, library/nginx, other"));
        let many: Vec<_> = (0..11).map(|number| format!("x{number}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(near(&["postgres"], &many).error().hint().unwrap().contains("11 repositories"));
        assert!(near(&["postgres"], &[]).error().hint().unwrap().contains("may list"));
    }

    #[test]
    fn counts_edits() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("ab", "ba", 1),
            ("tema/", "team/", 1),
            ("abc", "cba", 2),
        ] {
            assert_eq!(edits(a, b), expected, "{a} {b}");
        }
    }
}
