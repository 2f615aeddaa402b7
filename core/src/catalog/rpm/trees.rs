//! How the pages of a SQLite database hang together.

use std::collections::{BTreeMap, HashSet};

use super::{Found, Record};
use crate::error::Result;

/// How many pages may lie below others, in one file. A page that has others below takes some of them, for what it takes in memory.
/// A real database of a GB has not half as many.
const ROOM: usize = 1 << 18;
const PAGE: usize = 16;
/// The most places where a schema may say which tree has the packages.
const ROOTS: usize = 32;

/// The trees of tables.
pub(super) struct Trees {
    /// The pages below a page that is no leaf.
    below: BTreeMap<u32, Vec<u32>>,
    room: usize,
    /// How many pages there was no room for.
    refused: u64,
    /// Where the schema says that the packages start, and on which page it says so.
    roots: Vec<(u32, u32)>,
}

impl Trees {
    /// Those of so many files.
    pub(super) fn of(files: usize) -> Self {
        Self { below: BTreeMap::new(), room: files * ROOM, refused: 0, roots: Vec::new() }
    }

    /// Takes what lies below a page.
    pub(super) fn below(&mut self, page: u32, below: Vec<u32>) {
        match self.room.checked_sub(PAGE + below.len()) {
            Some(left) => {
                self.room = left;
                self.below.insert(page, below);
            }
            None => self.refused += 1,
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

    /// Writes them down, and says what is not in them.
    ///
    /// # Errors
    /// [`Kind::Internal`](crate::Kind::Internal) for what cannot be encoded.
    pub(super) fn keep(self, found: &mut Found) -> Result<()> {
        if self.refused > 0 {
            found.problem("the database has more pages of trees than are followed");
        }
        for (page, below) in self.below {
            found.records.push(&Record::Below(page, below))?;
        }
        for (page, root) in self.roots {
            found.records.push(&Record::Root(page, root))?;
        }
        Ok(())
    }
}
