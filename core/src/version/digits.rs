//! Numbers of any length, compared as their digits: nothing overflows, nothing is allocated.

use std::cmp::Ordering;

/// A number given as ASCII digits: leading zeros do not count, none at all is 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number<'a> {
    // Of two numbers without leading zeros the longer is the greater: the derived order looks at this first.
    length: usize,
    significant: &'a [u8],
}

impl<'a> Number<'a> {
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
