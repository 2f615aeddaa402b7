//! CRAN and Bioconductor: numbers separated by dots or hyphens, compared one by one
//! ("Writing R Extensions", section 1.1.1; `compareVersion` of R).

use std::cmp::Ordering;

use super::{Scheme, digits};

/// The order of `package_version`; of two that are the same so far the longer is the greater.
pub const SCHEME: Scheme = Scheme { id: "cran", ecosystems: &["CRAN", "Bioconductor"], compare };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    digits::compare_lists(a.trim(), b.trim(), b".-")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_none, assert_order};
    use super::*;

    #[test]
    fn numbers_one_by_one() {
        assert_order(&SCHEME, &["0.9", "0.75", "1", "1.0", "1.0-0", "1.0.1", "1.0-2", "1.0.10", "1.1-0"]);
        assert_eq!(compare("0.01.0", "0.1-0"), Some(Ordering::Equal));
    }

    #[test]
    fn longer_than_any_integer() {
        assert_order(&SCHEME, &["1.99999999999999999999999999999998", "1.99999999999999999999999999999999"]);
    }

    #[test]
    fn no_versions() {
        assert_none(&SCHEME, &["", "a", "v1.0", "1.", "-1", "1..2", "1.0a", "1_0"]);
    }
}
