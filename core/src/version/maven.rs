//! Maven: the "Version Order Specification" of the POM reference (<https://maven.apache.org/pom.html>), which describes
//! `ComparableVersion` of Maven 3.9.
//!
//! A version is a row of tokens, numbers and qualifiers, each with the separator before it. Zeros, and the qualifiers that
//! mean the same, are left out where nothing but a hyphen or a qualifier follows; then rows are compared token by token.

use std::cmp::Ordering;

use super::Scheme;
use super::digits::{self, Number};

/// Maven's order. Maven reads any text; what still holds a property (`${revision}`) or a blank is refused.
pub const SCHEME: Scheme = Scheme { id: "maven", ecosystems: &["Maven"], compare };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(parse(a)?.cmp(&parse(b)?))
}

/// The qualifiers that come before the release, in their order; what they are called in short before a digit.
const BEFORE: [(&str, &str); 5] = [("alpha", "a"), ("beta", "b"), ("milestone", "m"), ("rc", ""), ("snapshot", "")];
/// The qualifiers of the release itself.
const RELEASE: [&str; 3] = ["ga", "final", "release"];

/// The derived order is that of the specification; a row that ends stands between what leads to a release and what follows
/// it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Token<'a> {
    /// A qualifier of [`BEFORE`], by its place.
    Before(usize),
    End,
    /// A qualifier of [`RELEASE`], or an empty one.
    Release,
    ServicePack,
    /// Any other, in small letters.
    Qualifier(Vec<u8>),
    /// A number behind a hyphen, or behind a qualifier.
    Hyphen(Number<'a>),
    /// A number behind a dot, or the first.
    Dot(Number<'a>),
}

impl<'a> Token<'a> {
    fn number(digits: &'a [u8], is_dotted: bool) -> Self {
        let number = Number::new(digits);
        if is_dotted { Self::Dot(number) } else { Self::Hyphen(number) }
    }

    fn qualifier(text: &[u8], is_before_digit: bool) -> Self {
        let is = |name: &str| text.eq_ignore_ascii_case(name.as_bytes());
        if is("cr") {
            return Self::Before(3);
        }
        if let Some(place) = BEFORE.iter().position(|(name, short)| is(name) || is_before_digit && is(short)) {
            return Self::Before(place);
        }
        if RELEASE.into_iter().any(is) {
            return Self::Release;
        }
        if is("sp") { Self::ServicePack } else { Self::Qualifier(text.to_ascii_lowercase()) }
    }

    /// Whether a token that nothing of weight follows may be left out.
    fn is_null(&self) -> bool {
        match self {
            Self::Release => true,
            Self::Hyphen(number) | Self::Dot(number) => *number == Number::new(b""),
            _ => false,
        }
    }
}

fn parse(text: &str) -> Option<Vec<Token<'_>>> {
    let text = text.trim();
    if text.is_empty() || text.bytes().any(|byte| byte.is_ascii_whitespace() || b"${}".contains(&byte)) {
        return None;
    }
    let mut rest = text.as_bytes();
    let mut tokens = Vec::new();
    let mut is_dotted = true;
    loop {
        let (number, after) = digits::split(rest);
        let (qualifier, behind) = split_qualifier(after);
        if !number.is_empty() || qualifier.is_empty() {
            // Nothing between two separators is 0.
            tokens.push(Token::number(number, is_dotted));
            rest = after;
        } else {
            tokens.push(Token::qualifier(qualifier, behind.first().is_some_and(u8::is_ascii_digit)));
            rest = behind;
        }
        // From digits to letters or back is as good as a hyphen.
        (is_dotted, rest) = match rest {
            [] => break,
            [b'.', behind @ ..] => (true, behind),
            [b'-', behind @ ..] => (false, behind),
            _ => (false, rest),
        };
    }
    tokens.push(Token::End);
    Some(trimmed(tokens))
}

fn split_qualifier(text: &[u8]) -> (&[u8], &[u8]) {
    let length = text.iter().take_while(|byte| !byte.is_ascii_digit() && !matches!(byte, b'.' | b'-')).count();
    text.split_at_checked(length).unwrap_or((text, &[]))
}

/// The tokens without the nulls before the end, before a hyphen, and before a qualifier, which counts as one.
fn trimmed(tokens: Vec<Token<'_>>) -> Vec<Token<'_>> {
    let mut kept: Vec<Token<'_>> = Vec::with_capacity(tokens.len());
    for token in tokens.into_iter().rev() {
        let is_followed = matches!(kept.last(), Some(Token::Dot(_)));
        if is_followed || !token.is_null() {
            kept.push(token);
        }
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_none, assert_order};
    use super::*;

    #[test]
    fn the_order_of_the_specification() {
        assert_order(
            &SCHEME,
            &[
                "1-alpha-1",
                "1-alpha2",
                "1-alpha.3",
                "1-beta",
                "1-m1",
                "1-milestone2",
                "1-rc1-SNAPSHOT",
                "1-rc1",
                "1-SNAPSHOT",
                "1",
                "1-sp",
                "1-a",
                "1-foo2",
                "1-foo10",
                "1-1",
                "1-2",
                "1.1",
            ],
        );
        assert_order(&SCHEME, &["2.0-1", "2.0.1", "2.0.1-xyz", "2.0.1-123"]);
        assert_order(&SCHEME, &["31.1-android", "31.1-jre", "32.0-android", "32.0.0.1-jre"]);
        assert_order(&SCHEME, &["4.1.0.Beta1", "4.1.0.CR1", "4.1.0.Final", "4.1.0.SP1", "4.1.1.Final"]);
    }

    #[test]
    fn equal_however_written() {
        for (a, b) in [
            ("1", "1.0.0"),
            ("1", "1-ga"),
            ("1", "1.Final"),
            ("1", "1."),
            ("1", "1-0.0-RELEASE"),
            ("1-foo", "1.0.0-FOO.0"),
            ("1-foo", "1.foo"),
            ("1-1.foo-bar-1-baz-0.1", "1-1.foo-bar1baz-.1"),
            ("1-a1", "1-alpha-1"),
            ("1-cr2", "1-RC2"),
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
        assert_none(&SCHEME, &["", " ", "${revision}", "1 2"]);
    }
}
