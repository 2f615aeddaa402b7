//! npm: SemVer as `node-semver` reads it in its loose mode, which is what a `package.json` on disk may hold.

use std::cmp::Ordering;

use super::{Scheme, semver};

/// The order of [`semver`], with `=` or `v` in front and a pre-release without hyphen (`1.2.3beta`).
pub const SCHEME: Scheme = Scheme { id: "npm", ecosystems: &["npm"], compare };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(parse(a)?.compare(&parse(b)?))
}

fn parse(text: &str) -> Option<semver::Version<'_>> {
    let text = text.trim();
    let text = text.strip_prefix('=').map_or(text, str::trim_start);
    semver::Version::parse(semver::strip_v(text), true)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_none, assert_order};
    use super::*;

    #[test]
    fn loose_versions() {
        assert_order(&SCHEME, &["1.2.3alpha", "=1.2.3-beta", "v1.2.3", " = v1.2.4 "]);
        assert_eq!(compare("1.2.3beta.2", "1.2.3-beta.2"), Some(Ordering::Equal));
    }

    #[test]
    fn no_versions() {
        assert_none(&SCHEME, &["", "=", "*", "latest", "^1.0.0", "1.x", "git+https://example.org/a.git", "1.2.3-"]);
    }
}
