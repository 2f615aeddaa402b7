//! NuGet: SemVer 2.0 with a fourth number and without case
//! (<https://learn.microsoft.com/nuget/concepts/package-versioning>, `NuGet.Versioning.VersionComparer`).

use std::cmp::Ordering;

use super::{Scheme, semver};

/// The order of `VersionComparer.Default`: numbers that are not written are 0, build metadata does not count.
pub const SCHEME: Scheme = Scheme { id: "nuget", ecosystems: &["NuGet"], compare };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    let parse = |text| semver::Version::<4>::parse(semver::strip_v(str::trim(text)), false);
    let (a, b) = (parse(a)?, parse(b)?);
    let small = |text: &[u8]| text.to_ascii_lowercase();
    let order = a.compare_numbers(&b);
    Some(order.then_with(|| semver::compare_pre_release(&small(a.pre_release), &small(b.pre_release))))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_none, assert_order};
    use super::*;

    #[test]
    fn four_numbers_and_labels() {
        assert_order(
            &SCHEME,
            &[
                "1.0.0-1",
                "1.0.0-ALPHA",
                "1.0.0-beta",
                "1.0.0-Beta.2",
                "1.0.0-beta.10",
                "1.0",
                "1.0.0.1-rc",
                "1.0.0.1",
                "1.1",
            ],
        );
    }

    #[test]
    fn equal_however_written() {
        for (a, b) in [("1.0", "1.0.0.0"), ("1.0.0-BETA", "1.0.0-beta"), ("1.0.0+a", "1.0.0+b"), ("1.01", "1.1")] {
            assert_eq!(compare(a, b), Some(Ordering::Equal), "{a} = {b}");
        }
    }

    #[test]
    fn longer_than_any_integer() {
        assert_order(&SCHEME, &["1.0.0.99999999999999999999999999999998", "1.0.0.99999999999999999999999999999999"]);
    }

    #[test]
    fn no_versions() {
        assert_none(&SCHEME, &["", "a", "1.0-", "1.0.*", "[1.0,2.0)", "1.0beta", "1..0"]);
    }
}
