//! A database to match with, and what was found in it before.

use super::recent::Recent;
use super::{Effort, MatchOptions, Matches, find_with};
use crate::advisory::Advisories;
use crate::error::Result;
use crate::model::inventory::Inventory;

/// A database that many images are matched with, by all threads: a package that lies in many of them is looked up once.
pub(crate) struct Matcher {
    advisories: Advisories,
    recent: Recent,
}

impl Matcher {
    /// A matcher that remembers nothing yet, and in the end about so many bytes.
    pub(crate) fn new(advisories: Advisories, memory: usize) -> Self {
        Self { advisories, recent: Recent::new(memory) }
    }

    /// The database.
    pub(crate) fn advisories(&self) -> &Advisories {
        &self.advisories
    }

    /// As [`find`](super::find), with less work.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn find(&self, inventory: &Inventory, options: &MatchOptions) -> Result<Matches> {
        Ok(self.find_within(usize::MAX, inventory, options)?.unwrap_or_default())
    }

    /// The same; none where the findings take more than `most` bytes.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn find_within(
        &self,
        most: usize,
        inventory: &Inventory,
        options: &MatchOptions,
    ) -> Result<Option<Matches>> {
        let effort = Effort::default();
        find_with(inventory, &self.advisories, options, most, &effort, |package| {
            self.recent.findings(package, &self.advisories, options.now, &effort)
        })
    }
}
