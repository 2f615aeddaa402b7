//! Hackage and GHC: numbers separated by dots, compared one by one (the Haskell PVP, <https://pvp.haskell.org>; `Ord Version`
//! of `Distribution.Version`).

use std::cmp::Ordering;

use super::{Scheme, digits};

/// Cabal's order; of two that are the same so far the longer is the greater, so 1.0 comes before 1.0.0.
pub const SCHEME: Scheme = Scheme { id: "hackage", ecosystems: &["Hackage", "GHC"], compare };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    digits::compare_lists(a.trim(), b.trim(), b".")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_none, assert_order};
    use super::*;

    #[test]
    fn numbers_one_by_one() {
        assert_order(&SCHEME, &["0", "0.1.26.0", "0.11.3.0", "1", "1.0", "1.0.0", "1.0.2", "1.0.10", "1.1"]);
    }

    #[test]
    fn longer_than_any_integer() {
        assert_order(&SCHEME, &["1.99999999999999999999999999999998", "1.99999999999999999999999999999999"]);
    }

    #[test]
    fn no_versions() {
        assert_none(&SCHEME, &["", "a", "v1.0", "1.", "1..2", "1.0a", "1.0-1", "9.12.1-alpha"]);
    }
}
