//! What outlives a call. So far the results of layers; jobs and reports join them.

mod directory;
mod memory;

pub use directory::DirectoryCache;
pub use memory::MemoryCache;

use crate::error::Result;

/// Keeps what was read of a layer: bytes by key, nothing else. Whoever fills it vouches for the bytes.
///
/// A failure of a cache never fails a scan: the layer is read from the registry instead.
pub trait LayerCache: Send + Sync {
    /// The bytes that were kept under `key`; none where there are none, or they are damaged.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>>;

    /// Keeps `bytes` under `key`, instead of what was there.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    fn put(&self, key: &str, bytes: &[u8]) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every cache does.
    fn behaves(cache: &dyn LayerCache) {
        assert_eq!(cache.get("a").unwrap(), None);
        cache.put("a", b"one").unwrap();
        cache.put("b", b"").unwrap();
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(b"one".as_slice()));
        assert_eq!(cache.get("b").unwrap().as_deref(), Some(b"".as_slice()));
        cache.put("a", &[7; 100_000]).unwrap();
        assert_eq!(cache.get("a").unwrap().unwrap().len(), 100_000);
        assert_eq!(cache.get("../a").unwrap(), None);
    }

    #[test]
    fn every_cache_behaves() {
        behaves(&MemoryCache::new(1 << 20));
        let folder = tempfile::tempdir().unwrap();
        behaves(&DirectoryCache::open(folder.path().join("new")).unwrap());
    }

    #[test]
    fn a_damaged_file_is_a_miss() {
        let folder = tempfile::tempdir().unwrap();
        let cache = DirectoryCache::open(folder.path()).unwrap();
        cache.put("key", b"the facts of a layer").unwrap();
        let shelf = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let file = std::fs::read_dir(shelf).unwrap().next().unwrap().unwrap().path();
        let good = std::fs::read(&file).unwrap();
        for bad in [&good[..good.len() - 1], &good[..10], b""] {
            std::fs::write(&file, bad).unwrap();
            assert_eq!(cache.get("key").unwrap(), None);
        }
        let mut flipped = good;
        *flipped.last_mut().unwrap() ^= 1;
        std::fs::write(&file, flipped).unwrap();
        assert_eq!(cache.get("key").unwrap(), None);
    }

    #[test]
    fn memory_forgets_the_oldest() {
        let cache = MemoryCache::new(250);
        for key in ["a", "b", "c"] {
            cache.put(key, &[0; 100]).unwrap();
        }
        assert_eq!(cache.get("a").unwrap(), None);
        assert!(cache.get("c").unwrap().is_some());
    }
}
