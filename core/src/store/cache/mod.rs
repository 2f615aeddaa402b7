//! Where the results of layers are kept between scans: in memory, in a folder, in a [store](super::Store).

mod directory;
mod memory;

pub use directory::DirectoryCache;
pub use memory::MemoryCache;

pub(super) use super::database::Boxed;
use crate::error::Result;

/// Keeps what was read of a layer: bytes by key, nothing else. Whoever fills it vouches for the bytes.
///
/// A failure of a cache never fails a scan: the layer is read from the registry instead.
pub trait LayerCache: Send + Sync {
    /// The bytes that were kept under `key`; none where there are none, or they are damaged.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    fn get<'a>(&'a self, key: &'a str) -> Boxed<'a, Result<Option<Vec<u8>>>>;

    /// Keeps `bytes` under `key`, instead of what was there.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    fn put<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> Boxed<'a, Result<()>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a cache answers at once.
    fn now<T>(answer: Boxed<'_, Result<T>>) -> T {
        futures_util::FutureExt::now_or_never(answer).unwrap().unwrap()
    }

    /// What every cache does.
    fn behaves(cache: &dyn LayerCache) {
        assert_eq!(now(cache.get("a")), None);
        now(cache.put("a", b"one"));
        now(cache.put("b", b""));
        assert_eq!(now(cache.get("a")).as_deref(), Some(b"one".as_slice()));
        assert_eq!(now(cache.get("b")).as_deref(), Some(b"".as_slice()));
        now(cache.put("a", &[7; 100_000]));
        assert_eq!(now(cache.get("a")).unwrap().len(), 100_000);
        assert_eq!(now(cache.get("../a")), None);
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
        now(cache.put("key", b"the facts of a layer"));
        let shelf = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let file = std::fs::read_dir(shelf).unwrap().next().unwrap().unwrap().path();
        let good = std::fs::read(&file).unwrap();
        for bad in [&good[..good.len() - 1], &good[..10], b""] {
            std::fs::write(&file, bad).unwrap();
            assert_eq!(now(cache.get("key")), None);
        }
        let mut flipped = good;
        *flipped.last_mut().unwrap() ^= 1;
        std::fs::write(&file, flipped).unwrap();
        assert_eq!(now(cache.get("key")), None);
    }

    #[test]
    fn memory_forgets_the_oldest() {
        let cache = MemoryCache::new(250);
        for key in ["a", "b", "c"] {
            now(cache.put(key, &[0; 100]));
        }
        assert_eq!(now(cache.get("a")), None);
        assert!(now(cache.get("c")).is_some());
    }
}
