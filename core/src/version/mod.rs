//! Version order as each ecosystem defines it: one file a scheme, one line in the list.

pub mod apk;
pub mod conda;
pub mod cran;
mod digits;
pub mod dpkg;
pub mod go;
pub mod hackage;
pub mod maven;
pub mod npm;
pub mod nuget;
pub mod packagist;
pub mod pep440;
pub mod pub_dev;
pub mod rpm;
pub mod rubygems;
pub mod semver;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use crate::model::ecosystem;

/// How the versions of an ecosystem are ordered.
#[derive(Clone, Copy)]
pub struct Scheme {
    /// A short name, such as `dpkg`.
    pub id: &'static str,
    /// The ecosystems that use it, without release, as OSV writes them.
    pub ecosystems: &'static [&'static str],
    /// The order of two versions; none if one of them is no version here. Never panics.
    pub compare: fn(&str, &str) -> Option<Ordering>,
}

/// Every scheme.
pub const ALL: &[&Scheme] = &[
    &apk::SCHEME,
    &conda::SCHEME,
    &cran::SCHEME,
    &dpkg::SCHEME,
    &go::SCHEME,
    &hackage::SCHEME,
    &maven::SCHEME,
    &npm::SCHEME,
    &nuget::SCHEME,
    &packagist::SCHEME,
    &pep440::SCHEME,
    &pub_dev::SCHEME,
    &rpm::SCHEME,
    &rubygems::SCHEME,
    &semver::SCHEME,
];

/// The scheme of an ecosystem, with or without release; none for an ecosystem that is not known.
pub fn scheme(ecosystem: &str) -> Option<&'static Scheme> {
    let base = ecosystem::base(ecosystem);
    ALL.iter().copied().find(|scheme| scheme.ecosystems.contains(&base))
}

impl std::fmt::Debug for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}
