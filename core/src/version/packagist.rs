//! Packagist: Composer's order, which is PHP's `version_compare` over versions of four numbers
//! (<https://getcomposer.org/doc/articles/versions.md>, <https://www.php.net/version_compare>).

use std::cmp::Ordering;

use super::Scheme;
use super::digits::{self, Number};

/// Composer's order: `1.x-dev` behind all of 1. A branch (`dev-main`) is no version: with Composer, none matches a range of them
/// (`Constraint::versionCompare`).
///
/// As PHP, it takes any words, not only the stabilities that Composer knows; build metadata does not count.
pub const SCHEME: Scheme = Scheme { id: "packagist", ecosystems: &["Packagist"], compare };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(tokens(a)?.cmp(&tokens(b)?))
}

/// How many numbers a version has; those that are not written are 0.
const PLACES: usize = 4;

/// The derived order is that of `version_compare`; all words that PHP does not know are the same to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Token<'a> {
    Unknown,
    Dev,
    Alpha,
    Beta,
    Candidate,
    End,
    Number(Number<'a>),
    /// The `x` of a branch such as `1.x-dev`: above every number.
    Any,
    Patch,
}

impl Token<'_> {
    /// PHP compares only the beginning of a word; Composer knows no difference of case.
    fn word(word: &[u8]) -> Self {
        let starts =
            |form: &str| word.get(..form.len()).is_some_and(|start| start.eq_ignore_ascii_case(form.as_bytes()));
        match () {
            () if starts("dev") => Self::Dev,
            () if starts("a") => Self::Alpha,
            () if starts("b") => Self::Beta,
            () if starts("rc") => Self::Candidate,
            () if starts("p") => Self::Patch,
            () => Self::Unknown,
        }
    }
}

fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    let text = text.trim();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+/#*".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_plain) {
        return None;
    }
    let text = text.split_once('+').map_or(text, |(version, _build)| version);
    let rest = text.strip_prefix(['v', 'V']).unwrap_or(text).as_bytes();
    if !rest.first()?.is_ascii_digit() {
        return None;
    }
    let (mut tokens, mut rest) = numbers(rest);
    while let Some((first, after)) = rest.split_first() {
        let (number, behind) = digits::split(rest);
        if !number.is_empty() {
            tokens.push(Token::Number(Number::new(number)));
            rest = behind;
            continue;
        }
        let length = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        match rest.split_at_checked(length) {
            Some((word, behind)) if !word.is_empty() => {
                // Composer leaves this word out.
                if !word.eq_ignore_ascii_case(b"stable") {
                    tokens.push(Token::word(word));
                }
                rest = behind;
            }
            // Only letters and digits count; `#` is a word that nothing else is.
            _ => {
                if *first == b'#' {
                    tokens.push(Token::Unknown);
                }
                rest = after;
            }
        }
    }
    tokens.push(Token::End);
    Some(tokens)
}

/// The four numbers that a version begins with, and what comes behind.
fn numbers(mut rest: &[u8]) -> (Vec<Token<'_>>, &[u8]) {
    let mut tokens = Vec::new();
    while tokens.len() < PLACES {
        let after = if tokens.is_empty() { rest } else { rest.strip_prefix(b".").unwrap_or_default() };
        match after {
            [b'0'..=b'9', ..] => {
                let (number, behind) = digits::split(after);
                tokens.push(Token::Number(Number::new(number)));
                rest = behind;
            }
            [b'x' | b'X' | b'*', behind @ ..] if !behind.first().is_some_and(u8::is_ascii_alphanumeric) => {
                tokens.resize(PLACES, Token::Any);
                rest = behind;
            }
            _ => tokens.resize(PLACES, Token::Number(Number::ZERO)),
        }
    }
    (tokens, rest)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_none, assert_order};
    use super::*;

    #[test]
    fn stabilities() {
        assert_order(
            &SCHEME,
            &[
                "1.0-dev",
                "1.0.0-alpha",
                "1.0a1",
                "1.0-beta2",
                "1.0.0.0-RC1",
                "v1.0",
                "1.0pl1",
                "1.0.0-p2",
                "1.0.1",
                "1.x-dev",
                "2.0",
            ],
        );
    }

    #[test]
    fn equal_however_written() {
        for (a, b) in [
            ("1", "1.0.0.0"),
            ("v1.2.3", "1.2.3"),
            ("1.0.0-beta.2", "1.0b2"),
            ("1.0-RC1", "1.0.0.rc1"),
            ("1.0-stable", "1.0"),
            ("1.0-patch3", "1.0p3"),
            ("1.0.0+build", "1.0"),
            ("1.2.x-dev", "1.2.*-dev"),
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
        assert_none(&SCHEME, &["", "v", "dev-", "dev-main", "main", ">=1.0", "1.0 as 2.0", "^1.0", "1,0"]);
    }
}
