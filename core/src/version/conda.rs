//! Conda: `[epoch!]version[+local]`, the order that `conda.models.version.VersionOrder` documents
//! (<https://docs.conda.io/projects/conda-build/en/stable/resources/package-spec.html>).
//!
//! A version is a row of components, each a row of pieces that begins with a number. What is not there is 0, so 1.1 and 1.1.0
//! are the same. Words come before numbers, `*` before `dev` before `_` before all other words, and `post` behind numbers.

use std::cmp::Ordering;

use super::Scheme;
use super::digits::{self, Number};

/// Conda's order; none for what conda refuses, such as `1.0-1_2` or `1..2`. OSV has no such ecosystem yet.
pub const SCHEME: Scheme = Scheme { id: "conda", ecosystems: &["Conda"], compare };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Version::parse(a)?, Version::parse(b)?);
    let order = a.epoch.cmp(&b.epoch).then_with(|| compare_components(&a.version, &b.version));
    Some(order.then_with(|| compare_components(&a.local, &b.local)))
}

type Component<'a> = Vec<Piece<'a>>;

struct Version<'a> {
    epoch: Number<'a>,
    version: Vec<Component<'a>>,
    local: Vec<Component<'a>>,
}

/// The derived order is that of conda.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Piece<'a> {
    Star(usize),
    Dev,
    Word(Word<'a>),
    Number(Number<'a>),
    Post,
}

/// Letters and underscores, in any case; hyphens stand for underscores.
#[derive(Clone, Copy)]
struct Word<'a>(&'a [u8]);

impl<'a> Word<'a> {
    fn letters(self) -> impl Iterator<Item = u8> + use<'a> {
        self.0.iter().map(|byte| if *byte == b'-' { b'_' } else { byte.to_ascii_lowercase() })
    }
}

impl Ord for Word<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.letters().cmp(other.letters())
    }
}

impl PartialOrd for Word<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Word<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Word<'_> {}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+!*".contains(&byte);
        // Hyphens are underscores, unless both are there.
        if !text.bytes().all(is_plain) || text.contains('-') && text.contains('_') {
            return None;
        }
        let (epoch, rest) = text.split_once('!').unwrap_or(("0", text));
        let (version, local) = match rest.split_once('+') {
            Some((version, local)) => (version, Some(local)),
            None => (rest, None),
        };
        let is_number = !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || version.is_empty() || rest.contains('!') || local.is_some_and(|local| local.contains('+')) {
            return None;
        }
        // An underscore at the end belongs to the last component (`1.0.1_`, as openssl has it); all others separate.
        let body = version.strip_suffix(['_', '-']).unwrap_or(version);
        let tail = version.get(body.len()..).unwrap_or_default();
        let mut components = components(body, tail)?;
        if !tail.is_empty() {
            components.last_mut()?.push(Piece::Word(Word(b"_")));
        }
        let local = match local {
            Some(local) => self::components(local, "")?,
            None => Vec::new(),
        };
        Some(Self { epoch: Number::new(epoch.as_bytes()), version: components, local })
    }
}

/// The components of a text; one may be empty only where a `tail` follows the last.
fn components<'a>(text: &'a str, tail: &str) -> Option<Vec<Component<'a>>> {
    let mut found = Vec::new();
    let mut parts = text.split(['.', '_', '-']).peekable();
    while let Some(part) = parts.next() {
        let may_be_empty = parts.peek().is_none() && !tail.is_empty();
        if part.is_empty() && !may_be_empty {
            return None;
        }
        found.push(pieces(part.as_bytes()));
    }
    Some(found)
}

fn pieces(mut rest: &[u8]) -> Component<'_> {
    let mut found = Vec::new();
    if !rest.first().is_some_and(u8::is_ascii_digit) {
        // Numbers and words stay in step.
        found.push(Piece::Number(Number::ZERO));
    }
    while let Some(first) = rest.first() {
        let kind = |byte: u8| (byte.is_ascii_digit(), byte == b'*');
        let length = rest.iter().take_while(|byte| kind(**byte) == kind(*first)).count();
        let (piece, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        found.push(match first {
            b'0'..=b'9' => Piece::Number(Number::new(digits::split(piece).0)),
            b'*' => Piece::Star(length),
            _ if piece.eq_ignore_ascii_case(b"dev") => Piece::Dev,
            _ if piece.eq_ignore_ascii_case(b"post") => Piece::Post,
            _ => Piece::Word(Word(piece)),
        });
        rest = behind;
    }
    found
}

fn compare_components(a: &[Component<'_>], b: &[Component<'_>]) -> Ordering {
    let zeros = || std::iter::repeat(Piece::Number(Number::ZERO));
    let empty = Vec::new();
    for index in 0..a.len().max(b.len()) {
        let (a, b) = (a.get(index).unwrap_or(&empty), b.get(index).unwrap_or(&empty));
        let length = a.len().max(b.len());
        let order = a.iter().copied().chain(zeros()).take(length).cmp(b.iter().copied().chain(zeros()).take(length));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_none, assert_order};
    use super::*;

    #[test]
    fn the_example_of_the_documentation() {
        assert_order(
            &SCHEME,
            &[
                "0.4",
                "0.4.1.rc",
                "0.4.1",
                "0.5a1",
                "0.5b3",
                "0.5C1",
                "0.5",
                "0.9.6",
                "0.960923",
                "1.0",
                "1.1dev1",
                "1.1_",
                "1.1a1",
                "1.1.0dev1",
                "1.1.a1",
                "1.1.0rc1",
                "1.1.0",
                "1.1.0post1",
                "1.1post1",
                "1996.07.12",
                "1!0.4.1",
                "1!3.1.1.6",
                "2!0.4.1",
            ],
        );
    }

    #[test]
    fn openssl() {
        assert_order(
            &SCHEME,
            &["1.0.1dev", "1.0.1_", "1.0.1a", "1.0.1b", "1.0.1", "1.0.1post.a", "1.0.1post.z", "1.0.2"],
        );
    }

    #[test]
    fn equal_however_written() {
        for (a, b) in [
            ("0.4", "0.4.0"),
            ("1.1.0dev1", "1.1.dev1"),
            ("1.0-RC1", "1.0_rc1"),
            ("0!1", "1"),
            ("1+a", "1+A.0"),
            ("1.01", "1.1"),
        ] {
            assert_eq!(compare(a, b), Some(Ordering::Equal), "{a} = {b}");
        }
    }

    #[test]
    fn longer_than_any_integer() {
        assert_order(&SCHEME, &["1.99999999999999999999999999999998", "1.99999999999999999999999999999999"]);
    }

    #[test]
    fn no_versions() {
        assert_none(
            &SCHEME,
            &["", "1..2", "1.", "a!1", "1!2!3", "1+2+3", "+1", "1.0-1_2", "1.0 1", "5.5++", "=1.0", "_1"],
        );
    }
}
