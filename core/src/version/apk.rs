//! Alpine and its relatives: `digits{.digits}{letter}{_suffix[digits]}{-r[digits]}`, the order of apk-tools 2.
//!
//! A version is a row of tokens, each with a kind and a value; rows are compared token by token. What breaks the grammar is a
//! token too, the last one: apk-tools 2 orders such versions instead of refusing them, and so does this. (apk-tools 3 orders
//! some of them the other way round.)

use std::cmp::{Ordering, Reverse};

use super::Scheme;
use super::digits::{self, Number};

/// The order of `apk version --test` in apk-tools 2; none for what starts with none of a digit, a dot and a small letter.
pub const SCHEME: Scheme = Scheme {
    id: "apk",
    ecosystems: &["Alpine", "Wolfi", "Chainguard", "MinimOS", "Alpaquita", "BellSoft Hardened Containers"],
    compare,
};

fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(Tokens::parse(a)?.cmp(Tokens::parse(b)?))
}

/// The suffixes of a version that comes before the plain one, in their order.
const BEFORE: [&str; 4] = ["alpha", "beta", "pre", "rc"];
/// The suffixes of a version that comes after the plain one, in their order.
const AFTER: [&str; 5] = ["cvs", "svn", "git", "hg", "p"];

/// One token. The derived order is that of apk: of two versions that are the same so far, the one that ends here is the
/// smaller, unless the other goes on with a suffix of [`BEFORE`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Token<'a> {
    /// A suffix of [`BEFORE`], by its place; an unknown suffix counts as the last of them.
    Before(usize),
    End,
    Revision(Number<'a>),
    SuffixNumber(Number<'a>),
    /// A suffix of [`AFTER`], by its place.
    After(usize),
    Letter(u8),
    /// A number of the first component, after a letter, or behind leading zeros.
    Digits(Number<'a>),
    /// A component behind a dot.
    Component(Component<'a>),
    /// Here the grammar is broken.
    Broken,
}

/// A component behind a dot: leading zeros make it smaller than every other, the more of them the smaller, whatever follows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Component<'a> {
    Zeros(Reverse<usize>),
    Number(Number<'a>),
}

/// The tokens of a version, from left to right; the last is [`Token::End`] or [`Token::Broken`].
struct Tokens<'a> {
    rest: &'a [u8],
    state: State,
}

/// What was read last: it decides what may follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    /// After the leading zeros of a component.
    Zeros,
    Digits,
    Letter,
    Suffix,
    UnknownSuffix,
    SuffixNumber,
    Revision,
    Done,
}

impl<'a> Tokens<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let rest = text.trim().as_bytes();
        let is_version = matches!(rest.first()?, b'0'..=b'9' | b'a'..=b'z' | b'.');
        is_version.then_some(Self { rest, state: State::Start })
    }

    fn number(&mut self, state: State) -> Number<'a> {
        let (number, rest) = digits::split(self.rest);
        (self.rest, self.state) = (rest, state);
        Number::new(number)
    }

    fn component(&mut self) -> Component<'a> {
        let zeros = self.rest.iter().take_while(|byte| **byte == b'0').count();
        if zeros == 0 {
            return Component::Number(self.number(State::Digits));
        }
        self.rest = self.rest.get(zeros..).unwrap_or_default();
        self.state = State::Zeros;
        Component::Zeros(Reverse(zeros))
    }

    fn suffix(&mut self) -> Token<'a> {
        self.state = State::Suffix;
        let mut known = |suffixes: &[&str]| {
            let place = suffixes.iter().position(|suffix| self.rest.starts_with(suffix.as_bytes()))?;
            self.rest = self.rest.get(suffixes.get(place)?.len()..)?;
            Some(place)
        };
        if let Some(place) = known(&BEFORE) {
            return Token::Before(place);
        }
        if let Some(place) = known(&AFTER) {
            return Token::After(place);
        }
        self.state = State::UnknownSuffix;
        Token::Before(BEFORE.len() - 1)
    }

    fn end(&mut self, token: Token<'a>) -> Token<'a> {
        self.state = State::Done;
        token
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        use State::{Digits, Done, Letter, Revision, Start, Suffix, SuffixNumber, UnknownSuffix, Zeros};
        match self.state {
            Done => return None,
            UnknownSuffix => return Some(self.end(Token::Broken)),
            _ => {}
        }
        let Some((&byte, after)) = self.rest.split_first() else {
            return Some(self.end(Token::End));
        };
        Some(match (self.state, byte) {
            (Start | Zeros, _) => Token::Digits(self.number(Digits)),
            (Letter, b'0'..=b'9') => Token::Digits(self.number(Digits)),
            (Digits, b'a'..=b'z') => {
                (self.rest, self.state) = (after, Letter);
                Token::Letter(byte)
            }
            (Suffix, b'0'..=b'9') => Token::SuffixNumber(self.number(SuffixNumber)),
            (Digits, b'.') => {
                self.rest = after;
                Token::Component(self.component())
            }
            (Digits | Letter | Suffix | SuffixNumber, b'_') => {
                self.rest = after;
                self.suffix()
            }
            (_, b'-') if after.first() == Some(&b'r') => {
                self.rest = after.get(1..).unwrap_or_default();
                Token::Revision(self.number(Revision))
            }
            _ => self.end(Token::Broken),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_none, assert_order};
    use super::*;

    #[test]
    fn suffixes_and_revisions() {
        assert_order(
            &SCHEME,
            &[
                "1.2_alpha",
                "1.2_alpha1",
                "1.2_beta",
                "1.2_pre",
                "1.2_rc",
                "1.2_rc2",
                "1.2",
                "1.2-r1",
                "1.2-r10",
                "1.2_p",
                "1.2_p1",
                "1.2a",
                "1.2.1",
            ],
        );
        assert_order(&SCHEME, &["1_cvs", "1_svn", "1_git", "1_hg", "1_p", "1_p20200101", "1_p20200101_p1"]);
    }

    #[test]
    fn leading_zeros_are_a_fraction() {
        assert_order(&SCHEME, &["1.00", "1.001", "1.0", "1.01", "1.05", "1.1", "1.10"]);
        assert_eq!(compare("01.1", "1.1"), Some(Ordering::Equal), "the first component is a plain number");
        assert_eq!(compare("1-r", "1-r0"), Some(Ordering::Equal));
    }

    #[test]
    fn broken_versions_have_an_order_too() {
        assert_order(&SCHEME, &["a", ".1", "1_blah", "1", "1-r0", "1-r1", "1.", "1-1"]);
    }

    #[test]
    fn longer_than_any_integer() {
        assert_order(&SCHEME, &["1.99999999999999999999999999999998", "1.99999999999999999999999999999999"]);
    }

    #[test]
    fn no_versions() {
        assert_none(&SCHEME, &["", "-r0", "_p1", "~1", "A"]);
    }
}
