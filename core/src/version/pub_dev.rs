//! Pub (Dart): SemVer 2.0, but build metadata counts
//! (<https://dart.dev/tools/pub/versioning>, `Version.compareTo` of the package `pub_semver`).

use std::cmp::Ordering;

use super::{Scheme, semver};

/// SemVer's order; of two that are the same so far the one without build metadata comes first, then identifier by identifier.
pub const SCHEME: Scheme = Scheme { id: "pub", ecosystems: &["Pub"], compare };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (version_a, build_a) = parse(a)?;
    let (version_b, build_b) = parse(b)?;
    let order = version_a.compare(&version_b).then_with(|| build_a.is_some().cmp(&build_b.is_some()));
    Some(order.then_with(|| semver::compare_identifiers(build_a.unwrap_or_default(), build_b.unwrap_or_default())))
}

fn parse(text: &str) -> Option<(semver::Version<'_>, Option<&[u8]>)> {
    let text = semver::strip_v(text.trim());
    let build = text.split_once('+').map(|(_, build)| build.as_bytes());
    let is_build = build.is_none_or(|build| {
        !build.is_empty() && build.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
    });
    is_build.then_some((semver::Version::parse(text, false)?, build))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_none, assert_order};
    use super::*;

    #[test]
    fn builds_count() {
        assert_order(
            &SCHEME,
            &[
                "1.0.0-pre",
                "1.0.0-pre+build",
                "1.0.0",
                "v1.0.0+1",
                "1.0.0+2",
                "1.0.0+10",
                "1.0.0+a",
                "1.0.0+a.1",
                "1.0.1",
            ],
        );
    }

    #[test]
    fn longer_than_any_integer() {
        assert_order(&SCHEME, &["1.0.0+99999999999999999998", "1.0.0+99999999999999999999"]);
    }

    #[test]
    fn no_versions() {
        assert_none(&SCHEME, &["", "a", "1.0.0+", "1.0.0+a b", "^1.0.0", "any", "1.0.0-"]);
    }
}
