//! How the pages of a SQLite database hang together.

use std::collections::{BTreeMap, HashSet};

use super::Record;
use super::chains::PAGES;
use crate::error::Result;
use crate::layer::Records;

/// The most places where a schema may say which tree has the packages.
const ROOTS: usize = 32;

/// The trees of tables.
#[derive(Default)]
pub(super) struct Trees {
    /// The pages below a page that is no leaf.
    below: BTreeMap<u32, Vec<u32>>,
    count: usize,
    /// Where the schema says that the packages start, and on which page it says so.
    roots: Vec<(u32, u32)>,
}

impl Trees {
    /// Takes what lies below a page.
    pub(super) fn below(&mut self, page: u32, below: Vec<u32>) {
        if self.count + below.len() <= PAGES {
            self.count += below.len();
            self.below.insert(page, below);
        }
    }

    /// Takes what a page of the schema says of the packages.
    pub(super) fn root(&mut self, page: u32, root: u32) {
        if self.roots.len() < ROOTS {
            self.roots.push((page, root));
        }
    }

    /// The pages of the packages; none where nothing says which they are.
    pub(super) fn table(&self) -> Option<HashSet<u32>> {
        let schema = self.tree(1);
        let (_, root) = self.roots.iter().find(|(page, _)| schema.contains(page))?;
        Some(self.tree(*root))
    }

    /// The pages of the tree that starts at `root`. A loop ends it.
    fn tree(&self, root: u32) -> HashSet<u32> {
        let (mut seen, mut ahead) = (HashSet::new(), vec![root]);
        while let Some(page) = ahead.pop() {
            if seen.insert(page) {
                ahead.extend(self.below.get(&page).into_iter().flatten().filter(|page| !seen.contains(page)));
            }
        }
        seen
    }

    /// Writes them down.
    ///
    /// # Errors
    /// [`Kind::Internal`](crate::Kind::Internal) for what cannot be encoded.
    pub(super) fn keep(self, records: &mut Records) -> Result<()> {
        for (page, below) in self.below {
            records.push(&Record::Below(page, below))?;
        }
        for (page, root) in self.roots {
            records.push(&Record::Root(page, root))?;
        }
        Ok(())
    }
}
