//! RubyGems: the order of `Gem::Version` (<https://docs.ruby-lang.org/en/master/Gem/Version.html>): segments of digits or of
//! letters, letters before digits, so that a version with letters is a pre-release.

use std::cmp::Ordering;

use super::Scheme;
use super::digits::{self, Number};

/// The order of `Gem::Version#<=>`; none for what `Gem::Version.correct?` refuses, and for an empty text.
pub const SCHEME: Scheme = Scheme { id: "rubygems", ecosystems: &["RubyGems"], compare };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (parse(a)?, parse(b)?);
    let zeros = || std::iter::repeat(Segment::ZERO);
    let length = a.len().max(b.len());
    Some(a.iter().copied().chain(zeros()).take(length).cmp(b.iter().copied().chain(zeros()).take(length)))
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Segment<'a> {
    Letters(&'a [u8]),
    Number(Number<'a>),
}

impl Segment<'_> {
    const ZERO: Self = Self::Number(Number::ZERO);
}

/// The segments, without the zeros that end the numbers before the first letters.
fn parse(text: &str) -> Option<Vec<Segment<'_>>> {
    let text = text.trim();
    if !is_version(text) {
        return None;
    }
    let mut segments = Vec::new();
    let (mut rest, mut has_letters) = (text.as_bytes(), false);
    while let Some((first, after)) = rest.split_first() {
        if first.is_ascii_digit() {
            let (number, behind) = digits::split(rest);
            segments.push(Segment::Number(Number::new(number)));
            rest = behind;
            continue;
        }
        let length = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        // A hyphen stands for `.pre.`.
        let (letters, behind) = if *first == b'-' { (&b"pre"[..], after) } else { rest.split_at_checked(length)? };
        if letters.is_empty() {
            rest = after;
            continue;
        }
        if !has_letters {
            while segments.last() == Some(&Segment::ZERO) {
                segments.pop();
            }
            has_letters = true;
        }
        segments.push(Segment::Letters(letters));
        rest = behind;
    }
    Some(segments)
}

/// `[0-9]+(\.[0-9a-zA-Z]+)*(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?`, and letters behind the first number too: `correct?` refuses
/// `1beta`, but `new` sorts it before 1.
fn is_version(text: &str) -> bool {
    let (numbers, pre_release) = match text.split_once('-') {
        Some((numbers, pre_release)) => (numbers, Some(pre_release)),
        None => (text, None),
    };
    let words = |text: &str, is: fn(u8) -> bool| text.split('.').all(|word| !word.is_empty() && word.bytes().all(is));
    text.starts_with(|first: char| first.is_ascii_digit())
        && words(numbers, |byte| byte.is_ascii_alphanumeric())
        && pre_release.is_none_or(|text| words(text, |byte| byte.is_ascii_alphanumeric() || byte == b'-'))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_none, assert_order};
    use super::*;

    #[test]
    fn letters_make_a_pre_release() {
        assert_order(
            &SCHEME,
            &[
                "1.0.a.2",
                "1.0.b1",
                "1.0.beta.2",
                "1.0.0.pre1",
                "1.0.0.rc1",
                "1.0",
                "1.0.1",
                "1.1.a",
                "1.1",
                "1.10",
                "2",
            ],
        );
        assert_order(&SCHEME, &["1.0-a", "1.0-1", "1.0"]);
        assert_order(&SCHEME, &["1.a.9", "1.a.10", "1beta", "1"]);
    }

    #[test]
    fn equal_however_written() {
        for (a, b) in
            [("1", "1.0.0"), ("1.0.a2", "1.a.2"), ("1.0-rc1", "1.pre.rc.1"), ("1.01", "1.1"), ("1.a", "1.a.0")]
        {
            assert_eq!(compare(a, b), Some(Ordering::Equal), "{a} = {b}");
        }
    }

    #[test]
    fn longer_than_any_integer() {
        assert_order(&SCHEME, &["1.99999999999999999999999999999998", "1.99999999999999999999999999999999"]);
    }

    #[test]
    fn no_versions() {
        assert_none(&SCHEME, &["", "a", "v1.0", "1..2", "1.", ".1", "1.0-", "1.0_1", "1.0+1", "1.0 a", "1.0\n2.0"]);
    }
}
