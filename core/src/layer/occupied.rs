//! Where something lies that matters. Of the files of an image few do, and most lie in directories without any of them, where there
//! is nothing to replace.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use crate::model::path;

/// How many directories are told apart: about a MiB. Beyond, all are taken for occupied.
const MOST: usize = 1 << 16;

/// The directories below which something lies or has lain.
///
/// Kept are hashes with a secret key: two directories of one hash cost time and nothing else.
#[derive(Debug, Default)]
pub(super) struct Occupied {
    key: RandomState,
    directories: HashSet<u64>,
    /// The directory that was asked about last, since many come in a row, and whether nothing lies there.
    last: Option<(Vec<u8>, bool)>,
}

impl Occupied {
    pub(super) fn clear(&mut self) {
        self.directories.clear();
        self.last = None;
    }

    /// Notes what lies at a cleaned path.
    pub(super) fn insert(&mut self, path: &[u8]) {
        let mut below = path;
        while !below.is_empty() && self.directories.len() < MOST {
            let (directory, _) = path::split(below);
            // What is above one that is known is known too.
            if !self.directories.insert(self.key.hash_one(directory)) {
                return;
            }
            self.last = None;
            below = directory;
        }
    }

    /// Whether neither at this cleaned path nor below it there is anything.
    pub(super) fn is_free(&mut self, path: &[u8]) -> bool {
        let (directory, _) = path::split(path);
        if let Some((last, is_free)) = &self.last
            && last == directory
        {
            return *is_free;
        }
        let is_free = self.is_empty(directory);
        let (last, known) = self.last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(directory);
        *known = is_free;
        is_free
    }

    /// Whether below this cleaned path there is nothing.
    pub(super) fn is_empty(&self, directory: &[u8]) -> bool {
        self.directories.len() < MOST && !self.directories.contains(&self.key.hash_one(directory))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_where_nothing_lies() {
        let mut occupied = Occupied::default();
        assert!(occupied.is_free(b"a") && occupied.is_free(b"a/b/c"));
        occupied.insert(b"a/b/c");
        // In these directories something lies; in the others it cannot.
        for (path, is_free) in [
            ("a", false),
            ("x", false),
            ("a/b", false),
            ("a/x", false),
            ("a/b/x", false),
            ("a/b/c/d", true),
            ("x/y", true),
        ] {
            assert_eq!(occupied.is_free(path.as_bytes()), is_free, "{path}");
        }
        for (directory, is_empty) in [("a", false), ("a/b", false), ("a/b/c", true), ("x", true)] {
            assert_eq!(occupied.is_empty(directory.as_bytes()), is_empty, "{directory}");
        }
        // What was asked about last is not what it was.
        assert!(occupied.is_free(b"d/e/f"));
        occupied.insert(b"d/e/g/h");
        assert!(!occupied.is_free(b"d/e/f"));
        occupied.clear();
        assert!(occupied.is_free(b"a/b/c"));
    }

    #[test]
    fn nothing_is_free_when_there_are_too_many() {
        let mut occupied = Occupied::default();
        for number in 0..=MOST {
            occupied.insert(format!("{number}/a").as_bytes());
        }
        assert!(!occupied.is_free(b"x/y/z"));
        assert_eq!(occupied.directories.len(), MOST);
    }
}
