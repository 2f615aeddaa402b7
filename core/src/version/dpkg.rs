//! Debian and its relatives: `[epoch:]upstream[-revision]`, the order of Debian Policy 5.6.12 and `deb-version(7)`.

use std::cmp::Ordering;

use super::{Scheme, digits};

/// The order of `dpkg --compare-versions`.
///
/// As lenient as dpkg about the characters of a version (it warns, and compares), and as strict about its parts: an epoch is
/// a number, nothing is empty, no blanks.
pub const SCHEME: Scheme = Scheme { id: "dpkg", ecosystems: &["Debian", "Ubuntu", "Echo"], compare };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Version::parse(a)?, Version::parse(b)?);
    let order = digits::compare(a.epoch, b.epoch)
        .then_with(|| compare_part(a.upstream, b.upstream))
        .then_with(|| compare_part(a.revision, b.revision));
    Some(order)
}

struct Version<'a> {
    epoch: &'a [u8],
    upstream: &'a [u8],
    revision: &'a [u8],
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        if text.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
            return None;
        }
        let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
        // A revision of 0 and none are the same version.
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
        let is_number = !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit());
        (is_number && !upstream.is_empty() && !revision.is_empty()).then_some(Self {
            epoch: epoch.as_bytes(),
            upstream: upstream.as_bytes(),
            revision: revision.as_bytes(),
        })
    }
}

/// What is no digit and what is, in turns, until there is a difference.
fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (text_a, rest_a) = split_text(a);
        let (text_b, rest_b) = split_text(b);
        let (number_a, rest_a) = digits::split(rest_a);
        let (number_b, rest_b) = digits::split(rest_b);
        let order = compare_text(text_a, text_b).then_with(|| digits::compare(number_a, number_b));
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    Ordering::Equal
}

fn split_text(part: &[u8]) -> (&[u8], &[u8]) {
    let length = part.iter().take_while(|byte| !byte.is_ascii_digit()).count();
    part.split_at_checked(length).unwrap_or((part, &[]))
}

fn compare_text(a: &[u8], b: &[u8]) -> Ordering {
    let length = a.len().max(b.len());
    let weights = |text| <[u8]>::iter(text).copied().map(weight).chain(std::iter::repeat(END)).take(length);
    weights(a).cmp(weights(b))
}

/// Where the text ends: above a tilde, below everything else.
const END: u16 = 1;

fn weight(byte: u8) -> u16 {
    match byte {
        b'~' => 0,
        byte if byte.is_ascii_alphabetic() => END + u16::from(byte),
        byte => END + 256 + u16::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_none, assert_order};
    use super::*;

    #[test]
    fn policy_examples() {
        assert_order(&SCHEME, &["~~", "~~a", "~", "0", "0a", "0+"]);
        assert_order(&SCHEME, &["1.0~beta1~svn1245", "1.0~beta1", "1.0", "1.0-0.1", "1.0-1", "1.0+b1-1", "1:0.1"]);
        assert_order(&SCHEME, &["3.0.15-1~deb12u1", "3.0.15-1", "3.0.15-1+b1", "3.0.15-10"]);
    }

    #[test]
    fn equal_however_written() {
        for (a, b) in [("1.0", "0:1.0"), ("1.0", "1.0-0"), ("1.00", "1.0"), ("1.0-01", "1.0-1"), ("1.", "1.0")] {
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
        assert_none(&SCHEME, &["", " ", ":1", "a:1", "1:", "1-", "-1", "1 2", "-1:1", "1\n2"]);
    }
}
