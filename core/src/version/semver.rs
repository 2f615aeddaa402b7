//! SemVer 2.0 as OSV's `SEMVER` ranges use it (semver.org 2.0.0, section 11).

use std::cmp::Ordering;

use super::Scheme;
use super::digits::{self, Number};

/// SemVer precedence; build metadata does not count.
///
/// More lenient than the text: a leading `v`, fewer than three numbers (the others are 0) and more of them (they do not
/// count, as in OSV's own implementation), leading zeros.
pub const SCHEME: Scheme =
    Scheme { id: "semver", ecosystems: &["crates.io", "Hex", "Julia", "SwiftURL", "Bitnami", "VSCode"], compare };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(Version::<3>::parse(strip_v(a.trim()), false)?.compare(&Version::parse(strip_v(b.trim()), false)?))
}

/// The version without a leading `v`.
pub(super) fn strip_v(text: &str) -> &str {
    text.strip_prefix(['v', 'V']).unwrap_or(text)
}

/// A version, as pieces of its text.
pub(super) struct Version<'a, const PLACES: usize = 3> {
    /// Major, minor, patch, and what else an ecosystem has.
    numbers: [&'a [u8]; PLACES],
    /// Empty in a release.
    pub(super) pre_release: &'a [u8],
}

impl<'a, const PLACES: usize> Version<'a, PLACES> {
    /// Reads a version; a loose one needs no hyphen before its pre-release (`1.2.3beta`).
    pub(super) fn parse(text: &'a str, is_loose: bool) -> Option<Self> {
        let text = text.split_once('+').map_or(text, |(version, _build)| version).as_bytes();
        let mut numbers: [&[u8]; PLACES] = [&[]; PLACES];
        let (first, mut rest) = digits::split(text);
        let mut places = numbers.iter_mut();
        *places.next()? = first;
        let mut is_version = !first.is_empty();
        while let Some(after) = rest.strip_prefix(b".") {
            let (number, after) = digits::split(after);
            is_version &= !number.is_empty();
            // What comes behind the last place is read, and does not count.
            if let Some(place) = places.next() {
                *place = number;
            }
            rest = after;
        }
        let pre_release = match rest.strip_prefix(b"-") {
            Some(pre_release) => {
                is_version &= !pre_release.is_empty();
                pre_release
            }
            None => {
                is_version &= is_loose || rest.is_empty();
                rest
            }
        };
        is_version &= pre_release.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
        is_version.then_some(Self { numbers, pre_release })
    }

    /// The precedence.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        self.compare_numbers(other).then_with(|| compare_pre_release(self.pre_release, other.pre_release))
    }

    /// The precedence of the numbers alone.
    pub(super) fn compare_numbers(&self, other: &Self) -> Ordering {
        let numbers = self.numbers.iter().zip(&other.numbers).map(|(a, b)| digits::compare(a, b));
        numbers.fold(Ordering::Equal, Ordering::then)
    }
}

/// A pre-release comes before the release, which has none.
pub(super) fn compare_pre_release(a: &[u8], b: &[u8]) -> Ordering {
    a.is_empty().cmp(&b.is_empty()).then_with(|| compare_identifiers(a, b))
}

/// Identifier by identifier; of two that are the same so far, the one with more identifiers is the greater.
pub(super) fn compare_identifiers(a: &[u8], b: &[u8]) -> Ordering {
    let identifiers = |text| <[u8]>::split(text, |byte| *byte == b'.').map(Identifier::new);
    identifiers(a).cmp(identifiers(b))
}

/// Numbers come before words.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Identifier<'a> {
    Number(Number<'a>),
    Word(&'a [u8]),
}

impl<'a> Identifier<'a> {
    fn new(text: &'a [u8]) -> Self {
        if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
            return Self::Word(text);
        }
        Self::Number(Number::new(text))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_none, assert_order};
    use super::*;

    #[test]
    fn section_11() {
        assert_order(
            &SCHEME,
            &[
                "1.0.0-alpha",
                "1.0.0-alpha.1",
                "1.0.0-alpha.beta",
                "1.0.0-beta",
                "1.0.0-beta.2",
                "1.0.0-beta.11",
                "1.0.0-rc.1",
                "1.0.0",
            ],
        );
    }

    #[test]
    fn longer_than_any_integer() {
        assert_order(
            &SCHEME,
            &["1.0.0-99999999999999999998", "1.0.0-99999999999999999999", "1.0.18446744073709551616"],
        );
    }

    #[test]
    fn no_versions() {
        assert_none(
            &SCHEME,
            &["", "v", "x", "1.", "1..2", ".1", "1.2.3-", "1.2.3beta", "1.2.3-a b", "1.2.x", "(devel)", "vv1.0.0"],
        );
    }
}
