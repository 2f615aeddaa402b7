//! What a scanner of the library is built from. Its store comes when something needs it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tidewaiter::model::limits::Limits;
use tidewaiter::store::DirectoryCache;
use tidewaiter::{Result, Scanner};

/// The parts of a configuration that the library takes.
pub(crate) struct Recipe {
    pub(crate) advisories: Option<PathBuf>,
    /// Whether advisories are fetched, and from where.
    pub(crate) fetch: Option<Option<String>>,
    pub(crate) cache: Option<PathBuf>,
    pub(crate) memory_mib: Option<u64>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) limits: BTreeMap<String, u64>,
}

impl Recipe {
    /// A scanner.
    ///
    /// # Errors
    /// What a configuration cannot be, and a cache folder that cannot be made.
    pub(crate) fn build(self) -> Result<Scanner> {
        let mut limits = Limits::default();
        for (name, value) in &self.limits {
            limits.set(name, *value)?;
        }
        let mut builder = Scanner::builder().limits(limits);
        if let Some(file) = self.advisories {
            builder = builder.advisories_file(file);
        }
        if let Some(base_url) = self.fetch {
            builder = builder.fetch_advisories(base_url);
        }
        if let Some(folder) = &self.cache {
            builder = builder.layer_cache(Arc::new(DirectoryCache::open(folder)?));
        }
        if let Some(mib) = self.memory_mib {
            builder = builder.memory_mib(mib);
        }
        if let Some(layers) = self.concurrency {
            builder = builder.concurrency(layers);
        }
        builder.build()
    }
}
