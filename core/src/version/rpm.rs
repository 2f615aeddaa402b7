//! rpm: `[epoch:]version[-release]`, the order of `rpmvercmp` (rpm, `rpmio/rpmvercmp.c` and `rpmver.c`; `rpm-version(7)`).
//!
//! A part is a row of tokens: runs of digits, runs of letters, tildes and carets. Whatever else stands between them only
//! separates. Rows are compared token by token.

use std::cmp::Ordering;

use super::Scheme;
use super::digits::{self, Number};

/// The order of `rpm --eval '%{lua:print(rpm.vercmp(a, b))}'`: no epoch is epoch 0, no release comes before every release.
///
/// As lenient as rpm about the characters of a version; blanks are refused.
pub const SCHEME: Scheme = Scheme {
    id: "rpm",
    ecosystems: &[
        "AlmaLinux",
        "Azure Linux",
        "Mageia",
        "Photon OS",
        "Red Hat",
        "Rocky Linux",
        "SUSE",
        "openEuler",
        "openSUSE",
    ],
    compare,
};

fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(Version::parse(a)?.cmp(&Version::parse(b)?))
}

/// The same order without epochs, for what does not say its own.
pub(crate) fn compare_without_epoch(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Version::parse(a)?, Version::parse(b)?);
    Some(a.version.cmp(&b.version).then_with(|| a.release.cmp(&b.release)))
}

/// The derived order is that of rpm: the epoch first, the release last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Version<'a> {
    epoch: Number<'a>,
    version: Part<'a>,
    release: Option<Part<'a>>,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
            return None;
        }
        // What stands before a colon is an epoch only if it is a number.
        let (epoch, rest) = match digits::split(text.as_bytes()) {
            (epoch, [b':', rest @ ..]) => (epoch, rest),
            _ => (&[][..], text.as_bytes()),
        };
        let dash = rest.iter().rposition(|byte| *byte == b'-');
        let (version, release) = match dash.and_then(|at| rest.split_at_checked(at)) {
            Some((version, release)) => (version, release.get(1..).map(Part)),
            None => (rest, None),
        };
        Some(Self { epoch: Number::new(epoch), version: Part(version), release })
    }
}

/// A version or a release.
#[derive(Clone, Copy)]
struct Part<'a>(&'a [u8]);

/// The derived order is that of rpm: a tilde comes before the end, a caret behind it, letters before numbers.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Token<'a> {
    Tilde,
    End,
    Caret,
    Letters(&'a [u8]),
    Number(Number<'a>),
}

impl<'a> Part<'a> {
    fn tokens(self) -> impl Iterator<Item = Token<'a>> {
        let mut rest = Some(self.0);
        std::iter::from_fn(move || {
            let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'~' | b'^');
            let text = rest?;
            let start = text.iter().position(is_token).unwrap_or(text.len());
            let text = text.get(start..).unwrap_or_default();
            let (token, behind) = match text {
                [] => (Token::End, None),
                [b'~', behind @ ..] => (Token::Tilde, Some(behind)),
                [b'^', behind @ ..] => (Token::Caret, Some(behind)),
                [b'0'..=b'9', ..] => {
                    let (number, behind) = digits::split(text);
                    (Token::Number(Number::new(number)), Some(behind))
                }
                _ => {
                    let length = text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
                    let (letters, behind) = text.split_at_checked(length)?;
                    (Token::Letters(letters), Some(behind))
                }
            };
            rest = behind;
            Some(token)
        })
    }
}

impl Ord for Part<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.tokens().cmp(other.tokens())
    }
}

impl PartialOrd for Part<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Part<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Part<'_> {}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_none, assert_order};
    use super::*;

    #[test]
    fn tildes_and_carets() {
        assert_order(
            &SCHEME,
            &[
                "1.0~rc1~git1",
                "1.0~rc1",
                "1.0~rc1^git1",
                "1.0",
                "1.0^git1~pre",
                "1.0^git1",
                "1.0^git2",
                "1.0.1",
                "1.01",
            ],
        );
    }

    #[test]
    fn letters_come_before_numbers() {
        assert_order(&SCHEME, &["1", "1.A", "1.a", "1b.fc17", "1.fc17", "1.1", "1.10", "1.10a", "1.10.1"]);
    }

    #[test]
    fn epochs_and_releases() {
        assert_order(&SCHEME, &["1.0", "1.0-0.1", "1.0-1.el8", "1.0-1.el8_4", "1.0-1.el9", "1.1", "1:0.1", "2:0"]);
        let module = "1:1.20.1-16.module+el9.4.0+23026+aaa2e3cb.2";
        assert_order(&SCHEME, &[module, "1:1.20.1-16.module+el9.5.0+22954+e2d70a1c.1"]);
    }

    #[test]
    fn equal_however_written() {
        for (a, b) in
            [("1.0", "0:1.0"), ("1.0", "1_0"), ("1.05", "1.5"), ("1.0-1", ":1.0-1"), ("1a", "1.a"), ("1.", "1")]
        {
            assert_eq!(compare(a, b), Some(Ordering::Equal), "{a} = {b}");
        }
    }

    #[test]
    fn longer_than_any_integer() {
        assert_order(&SCHEME, &["1.99999999999999999999999999999998", "1.99999999999999999999999999999999"]);
        assert_order(&SCHEME, &["9:1", "99999999999999999999999999999999:1"]);
    }

    #[test]
    fn no_versions() {
        assert_none(&SCHEME, &["", " ", "1 2", "1\n2"]);
    }
}
