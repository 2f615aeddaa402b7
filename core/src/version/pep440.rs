//! Python: PEP 440, `[N!]N(.N)*[{a|b|rc}N][.postN][.devN][+local]`, with every spelling that its appendix B reads.

use std::cmp::Ordering;

use super::Scheme;
use super::digits::{self, Number};

/// The order of PEP 440; none for what it refuses, such as `0.1-bulbasaur`.
pub const SCHEME: Scheme = Scheme { id: "pep440", ecosystems: &["PyPI"], compare };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(Version::parse(a)?.compare(&Version::parse(b)?))
}

/// A version, as pieces of its text. A number that is left out is empty, which counts as 0.
struct Version<'a> {
    epoch: &'a [u8],
    release: &'a [u8],
    pre: Option<(Pre, &'a [u8])>,
    post: Option<&'a [u8]>,
    dev: Option<&'a [u8]>,
    local: Option<&'a [u8]>,
}

/// The phases before a release.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Pre {
    Alpha,
    Beta,
    Candidate,
}

/// The spellings of a phase; a longer one comes before its own beginning.
const PRE: [(&str, Pre); 8] = [
    ("alpha", Pre::Alpha),
    ("a", Pre::Alpha),
    ("beta", Pre::Beta),
    ("b", Pre::Beta),
    ("preview", Pre::Candidate),
    ("pre", Pre::Candidate),
    ("c", Pre::Candidate),
    ("rc", Pre::Candidate),
];
const POST: [(&str, ()); 3] = [("post", ()), ("rev", ()), ("r", ())];
const DEV: [(&str, ()); 1] = [("dev", ())];

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text).as_bytes();
        let (epoch, rest) = match digits::split(text) {
            (epoch, [b'!', rest @ ..]) if !epoch.is_empty() => (epoch, rest),
            _ => (&[][..], text),
        };
        let (release, mut rest) = split_release(rest)?;
        let pre = take_part(&mut rest, &PRE);
        let post = match take_part(&mut rest, &POST) {
            Some(((), number)) => Some(number),
            None => take_implicit_post(&mut rest),
        };
        let dev = take_part(&mut rest, &DEV).map(|((), number)| number);
        let local = match rest {
            [] => None,
            [b'+', local @ ..] if is_local(local) => Some(local),
            _ => return None,
        };
        Some(Self { epoch, release, pre, post, dev, local })
    }

    fn compare(&self, other: &Self) -> Ordering {
        digits::compare(self.epoch, other.epoch)
            .then_with(|| compare_release(self.release, other.release))
            .then_with(|| self.phase().cmp(&other.phase()))
            .then_with(|| self.post.map(Number::new).cmp(&other.post.map(Number::new)))
            .then_with(|| self.before_development().cmp(&other.before_development()))
            .then_with(|| compare_local(self.local, other.local))
    }

    fn phase(&self) -> Phase<'a> {
        match self {
            Self { pre: Some((pre, number)), .. } => Phase::Pre(*pre, Number::new(number)),
            // `1.0.dev1` comes before `1.0a1`.
            Self { post: None, dev: Some(_), .. } => Phase::Development,
            _ => Phase::Release,
        }
    }

    /// A development release comes before the same version that is none.
    fn before_development(&self) -> (bool, Option<Number<'a>>) {
        (self.dev.is_none(), self.dev.map(Number::new))
    }
}

/// Where a version stands among those of the same release number.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Phase<'a> {
    Development,
    Pre(Pre, Number<'a>),
    Release,
}

/// The release numbers, and the rest. A dot without a digit behind it belongs to the rest.
fn split_release(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, mut rest) = digits::split(text);
    if first.is_empty() {
        return None;
    }
    while let Some(after) = rest.strip_prefix(b".") {
        let (number, after) = digits::split(after);
        if number.is_empty() {
            break;
        }
        rest = after;
    }
    text.split_at_checked(text.len() - rest.len())
}

/// Takes `[separator] word [separator] [number]` off `rest`, where `word` is one of `words` in any case.
fn take_part<'a, T: Copy>(rest: &mut &'a [u8], words: &[(&str, T)]) -> Option<(T, &'a [u8])> {
    let text = skip_separator(rest);
    let (meaning, text) = words.iter().find_map(|(word, meaning)| {
        let (head, tail) = text.split_at_checked(word.len())?;
        head.eq_ignore_ascii_case(word.as_bytes()).then_some((*meaning, tail))
    })?;
    let (number, text) = digits::split(skip_separator(text));
    *rest = text;
    Some((meaning, number))
}

/// Takes the short form of a post release off `rest`: `-1`.
fn take_implicit_post<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (number, text) = digits::split(rest.strip_prefix(b"-")?);
    if number.is_empty() {
        return None;
    }
    *rest = text;
    Some(number)
}

fn skip_separator(text: &[u8]) -> &[u8] {
    match text {
        [separator, rest @ ..] if is_separator(separator) => rest,
        _ => text,
    }
}

fn is_separator(byte: &u8) -> bool {
    matches!(byte, b'.' | b'-' | b'_')
}

fn is_local(text: &[u8]) -> bool {
    text.split(is_separator).all(|segment| !segment.is_empty() && segment.iter().all(u8::is_ascii_alphanumeric))
}

/// `1.0` and `1.0.0` are the same release.
fn compare_release(a: &[u8], b: &[u8]) -> Ordering {
    let is_dot = |byte: &u8| *byte == b'.';
    let (mut a, mut b) = (a.split(is_dot), b.split(is_dot));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (a, b) => digits::compare(a.unwrap_or_default(), b.unwrap_or_default()),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// No local part comes before any; of two that are the same so far, the longer is the greater.
fn compare_local(a: Option<&[u8]>, b: Option<&[u8]>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => a.split(is_separator).map(Segment::new).cmp(b.split(is_separator).map(Segment::new)),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

/// A segment of a local part: words come before numbers, and their case does not count.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Segment<'a> {
    Word(Word<'a>),
    Number(Number<'a>),
}

impl<'a> Segment<'a> {
    fn new(text: &'a [u8]) -> Self {
        if text.iter().all(u8::is_ascii_digit) { Self::Number(Number::new(text)) } else { Self::Word(Word(text)) }
    }
}

/// A word that is ordered as if in lower case.
struct Word<'a>(&'a [u8]);

impl Ord for Word<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.iter().map(u8::to_ascii_lowercase).cmp(other.0.iter().map(u8::to_ascii_lowercase))
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

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_none, assert_order};
    use super::*;

    #[test]
    fn order_of_the_pep() {
        assert_order(
            &SCHEME,
            &[
                "1.0.dev1",
                "1.0a1.dev1",
                "1.0a1",
                "1.0a1.post1.dev1",
                "1.0a1.post1",
                "1.0b1",
                "1.0rc1",
                "1.0",
                "1.0+abc.5",
                "1.0+abc.7",
                "1.0+5",
                "1.0.post1.dev1",
                "1.0.post1",
                "1.1.dev1",
                "1!0.1",
            ],
        );
    }

    #[test]
    fn one_version_in_many_spellings() {
        for (a, b) in [
            ("1.0", "1"),
            ("1.0", "v1.0.0"),
            ("1.0a1", "1.0-Alpha.1"),
            ("1.0rc1", "1.0_c-1"),
            ("1.0rc1", "1.0preview1"),
            ("1.0.post1", "1.0-1"),
            ("1.0.post1", "1.0r1"),
            ("1.0.post0", "1.0post"),
            ("1.0.dev0", "1.0dev"),
            ("0!1.0", "1.0"),
            ("1.0+Ubuntu-1", "1.0+ubuntu.1"),
            (" 1.0\n", "1.0"),
            ("1.0a", "1.0a0"),
            ("1.01", "1.1"),
        ] {
            assert_eq!(compare(a, b), Some(Ordering::Equal), "{a} = {b}");
        }
    }

    #[test]
    fn longer_than_any_integer() {
        assert_order(
            &SCHEME,
            &["1.0rc1", "1.0rc99999999999999999999", "1.99999999999999999999", "1.100000000000000000000"],
        );
    }

    #[test]
    fn no_versions() {
        let texts = [
            "",
            "v",
            "1.0-bulbasaur",
            "1.0+",
            "1.0+a..b",
            "1.0++a",
            "1.",
            "1..0",
            "!1",
            "1!",
            "-1",
            "1.0 0",
            "1.0--1",
            "1.0+a_",
        ];
        assert_none(&SCHEME, &texts);
    }
}
