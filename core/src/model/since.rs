//! Since which layer a package is listed, where the file that lists it was written again by layers above.

use std::collections::HashMap;

use super::fingerprint::Fingerprints;

/// The layers that brought packages, where they are below the one that wrote the file last.
#[derive(Default)]
pub struct Since {
    fingerprints: Fingerprints,
    layers: HashMap<(u64, u64), u32>,
}

impl Since {
    /// The most packages whose layer is kept; the layer of others is that of their file.
    pub const PACKAGES: usize = 1 << 16;

    /// The layer that brought the package which `path` lists.
    pub fn of(&self, path: &str, name: &str, version: &str, architecture: &str) -> Option<u32> {
        if self.layers.is_empty() {
            return None;
        }
        self.layers.get(&self.fingerprints.of(&(path, name, version, architecture))).copied()
    }

    /// Says that `layer` lists it already.
    pub fn set(&mut self, path: &str, name: &str, version: &str, architecture: &str, layer: u32) {
        let fingerprint = self.fingerprints.of(&(path, name, version, architecture));
        if self.layers.len() < Self::PACKAGES || self.layers.contains_key(&fingerprint) {
            self.layers.insert(fingerprint, layer);
        }
    }
}

impl std::fmt::Debug for Since {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Since").field("packages", &self.layers.len()).finish()
    }
}
