//! What was found for packages before: the same package lies in many images, and is looked up once for all of them.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{MatchOptions, Matches, find_with, of_package};
use crate::advisory::Advisories;
use crate::error::Result;
use crate::model::finding::Finding;
use crate::model::inventory::{Inventory, Package};

/// So many packages and findings are remembered; then it begins anew.
const MOST: usize = 20_000;

/// The findings of packages, for one database and one time.
#[derive(Default)]
pub(crate) struct Memory {
    found: HashMap<String, Vec<Finding>>,
    /// Packages and findings that it holds.
    size: usize,
    /// The key of the package at hand.
    key: String,
}

impl Memory {
    /// As [`find`](super::find), always with the same `advisories` and the same options.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn find(
        &mut self,
        inventory: &Inventory,
        advisories: &Advisories,
        options: &MatchOptions,
    ) -> Result<Matches> {
        find_with(inventory, advisories, options, |package, advisories, now| self.one(package, advisories, now))
    }

    fn one(&mut self, package: &Package<'_>, advisories: &Advisories, now: Timestamp) -> Result<Vec<Finding>> {
        self.name(package);
        if let Some(known) = self.found.get(&self.key) {
            let mut findings = known.clone();
            findings.iter_mut().for_each(|finding| finding.package_index = package.index());
            return Ok(findings);
        }
        let findings = of_package(package, advisories, now)?;
        if self.size > MOST {
            self.found.clear();
            self.size = 0;
        }
        self.size += 1 + findings.len();
        self.found.insert(self.key.clone(), findings.clone());
        Ok(findings)
    }

    /// All that decides what is found, besides the place of the package in its image.
    fn name(&mut self, package: &Package<'_>) {
        let (source, source_version) = package.source().unwrap_or_default();
        let distro = package.distro().filter(|_| package.kind().is_os());
        let distro = distro.map_or(("", ""), |distro| (distro.id.as_str(), distro.version.as_str()));
        self.key.clear();
        for part in [
            package.kind().as_str(),
            package.ecosystem().unwrap_or_default(),
            package.name(),
            package.version(),
            source,
            source_version,
            package.architecture(),
            package.module(),
            package.vendor(),
            distro.0,
            distro.1,
        ] {
            self.key.push_str(part);
            self.key.push('\0');
        }
        // A source that is not named is another thing than one without a name.
        self.key.push(if package.source().is_some() { 's' } else { '-' });
    }
}
