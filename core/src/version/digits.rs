//! Numbers of any length, compared as their digits: nothing overflows, nothing is allocated.

use std::cmp::Ordering;

/// A number given as ASCII digits: leading zeros do not count, none at all is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number<'a> {
    // Of two numbers without leading zeros the longer is the greater: the derived order looks at this first.
    length: usize,
    significant: &'a [u8],
}

impl<'a> Number<'a> {
    pub(super) const ZERO: Self = Self { length: 0, significant: &[] };

    pub(super) fn new(digits: &'a [u8]) -> Self {
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        let significant = digits.get(zeros..).unwrap_or_default();
        Self { length: significant.len(), significant }
    }
}

/// The order of two numbers given as ASCII digits.
pub(super) fn compare(a: &[u8], b: &[u8]) -> Ordering {
    Number::new(a).cmp(&Number::new(b))
}

/// The digits that `text` starts with, and the rest.
pub(super) fn split(text: &[u8]) -> (&[u8], &[u8]) {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    text.split_at_checked(length).unwrap_or((text, &[]))
}

/// The order of two lists of numbers with one of `separators` between each two; of two that are the same so far the longer is
/// the greater. None if one is no such list.
pub(super) fn compare_lists(a: &str, b: &str, separators: &[u8]) -> Option<Ordering> {
    Some(list(a, separators)?.cmp(list(b, separators)?))
}

fn list<'a>(text: &'a str, separators: &[u8]) -> Option<impl Iterator<Item = Number<'a>>> {
    let numbers = text.as_bytes().split(move |byte| separators.contains(byte));
    let is_list = numbers.clone().all(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit));
    is_list.then(|| numbers.map(Number::new))
}
