//! Go: SemVer for modules (<https://go.dev/ref/mod#versions>: pseudo-versions are pre-releases, `+incompatible` is build
//! metadata), and the versions of the toolchain, which are those of the module `stdlib` (<https://go.dev/doc/toolchain>).

use std::borrow::Cow;
use std::cmp::Ordering;

use super::{Scheme, digits, semver};

/// SemVer's order. `go1.21rc2` is read as `1.21-rc.2`, which is how advisories write it; `(devel)` and `devel go1.22-a1b2c3d` are
/// no versions.
pub const SCHEME: Scheme = Scheme { id: "go", ecosystems: &["Go"], compare };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (semantic(a), semantic(b));
    Some(semver::Version::<3>::parse(&a, false)?.compare(&semver::Version::parse(&b, false)?))
}

/// The version without `v` or `go` in front, and with a pre-release as SemVer has it.
fn semantic(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    let Some(toolchain) = text.strip_prefix("go") else { return Cow::Borrowed(semver::strip_v(text)) };
    // `go1.21.3 X:boringcrypto`, `go1.20.5-google`: the same release, built otherwise.
    let toolchain = toolchain.split([' ', '-', '+']).next().unwrap_or_default();
    let Some((at, word)) = ["rc", "beta"].iter().find_map(|word| Some((toolchain.find(word)?, *word))) else {
        return Cow::Borrowed(toolchain);
    };
    let (numbers, number) =
        (toolchain.get(..at).unwrap_or_default(), toolchain.get(at + word.len()..).unwrap_or_default());
    if !digits::split(number.as_bytes()).1.is_empty() {
        return Cow::Borrowed(toolchain);
    }
    Cow::Owned(format!("{numbers}-{word}.{number}"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_none, assert_order};
    use super::*;

    #[test]
    fn modules() {
        let (before, after) = ("v0.0.0-20210101000000-0123456789ab", "v1.2.4-0.20210101000000-0123456789ab");
        assert_order(&SCHEME, &[before, "v1.2.3", after, "v1.2.4-rc.1", "1.2.4", "v2.0.0+incompatible", "v2.0.1"]);
        assert_eq!(compare("1.21", "v1.21.0+incompatible"), Some(Ordering::Equal));
    }

    #[test]
    fn toolchains() {
        assert_order(&SCHEME, &["go1.9", "go1.21beta1", "1.21.0-rc.2", "go1.21rc3", "go1.21.0", "go1.21.3", "1.21.10"]);
        for (a, b) in [("go1.21rc2", "1.21.0-rc.2"), ("go1.21", "1.21.0"), ("go1.21.3 X:boringcrypto", "go1.21.3")] {
            assert_eq!(compare(a, b), Some(Ordering::Equal), "{a} = {b}");
        }
    }

    #[test]
    fn no_versions() {
        assert_none(
            &SCHEME,
            &["", "go", "(devel)", "devel", "devel go1.22-a1b2c3d", "gov1.0.0", "go1.21rcx", "unknown", "v"],
        );
    }
}
