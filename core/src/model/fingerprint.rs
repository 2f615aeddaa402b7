//! Values by their fingerprints, where there are too many to keep them.

use std::hash::{BuildHasher as _, Hash, RandomState};

/// Makes fingerprints of 128 bits, by two independent hashes with random keys: nobody can make two values that are taken for one.
#[derive(Default)]
pub(crate) struct Fingerprints([RandomState; 2]);

impl Fingerprints {
    /// The fingerprint of a value; those of others, and of other runs, do not compare with it.
    pub(crate) fn of(&self, value: &(impl Hash + ?Sized)) -> (u64, u64) {
        let [first, second] = &self.0;
        (first.hash_one(value), second.hash_one(value))
    }
}
