//! The advisory database of a scanner: one that is open, or a file that may come, be replaced, or be fetched.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::advisory::Advisories;
use crate::context::Context;
#[cfg(feature = "net")]
use crate::error::Kind;
use crate::error::Result;
use crate::matching::Matcher;
use crate::model::inventory::Inventory;

/// Bytes of what was found for packages: part of what the ceiling leaves for everything besides lanes.
const MEMORY: usize = 4 << 20;

/// Where advisories come from.
#[derive(Default)]
pub(super) struct AdvisorySource {
    file: Option<PathBuf>,
    fetch: Option<Option<String>>,
    open: Mutex<Option<Open>>,
    #[cfg(feature = "net")]
    fetching: tokio::sync::Mutex<()>,
}

struct Open {
    matcher: Arc<Matcher>,
    /// The file's time and size when it was opened: another pair is another database.
    stamp: Option<(SystemTime, u64)>,
}

impl AdvisorySource {
    pub(super) fn set_open(&mut self, advisories: Advisories) {
        self.open = Mutex::new(Some(Open { matcher: Arc::new(Matcher::new(advisories, MEMORY)), stamp: None }));
        self.file = None;
    }

    pub(super) fn set_file(&mut self, file: PathBuf) {
        self.file = Some(file);
    }

    pub(super) fn set_fetch(&mut self, base_url: Option<String>) {
        self.fetch = Some(base_url);
    }

    /// The database to match `inventory` with; none where there is none. Ecosystems that it lacks are fetched first where
    /// that is allowed; a network that does not answer leaves the database as it is.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] for a file that is no database, [`Kind::Canceled`].
    pub(super) async fn get(&self, inventory: &Inventory, context: &Context) -> Result<Option<Arc<Matcher>>> {
        let Some(file) = &self.file else {
            return Ok(self.lock().as_ref().map(|open| open.matcher.clone()));
        };
        let matcher = self.reopen(file)?;
        let Some(base_url) = &self.fetch else { return Ok(matcher) };
        self.fetch(file, base_url.as_deref(), matcher, inventory, context).await
    }

    /// The database of today, whatever it lacks.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] for a file that is no database.
    pub(super) fn current(&self) -> Result<Option<Arc<Matcher>>> {
        match &self.file {
            Some(file) => self.reopen(file),
            None => Ok(self.lock().as_ref().map(|open| open.matcher.clone())),
        }
    }

    #[cfg(feature = "net")]
    async fn fetch(
        &self,
        file: &Path,
        base_url: Option<&str>,
        matcher: Option<Arc<Matcher>>,
        inventory: &Inventory,
        context: &Context,
    ) -> Result<Option<Arc<Matcher>>> {
        if missing(inventory, matcher.as_deref()).is_empty() {
            return Ok(matcher);
        }
        // Several scans at once want the same ecosystems: one fetches, the others look again.
        let _turn = self.fetching.lock().await;
        let matcher = self.reopen(file)?;
        let missing = missing(inventory, matcher.as_deref());
        if missing.is_empty() {
            return Ok(matcher);
        }
        match super::advisories::update(&missing, base_url, file, context).await {
            Ok(_) => self.reopen(file),
            Err(error) if error.kind() == Kind::Canceled => Err(error),
            Err(error) => {
                tracing::warn!(%error, "advisories cannot be fetched");
                Ok(matcher)
            }
        }
    }

    #[cfg(not(feature = "net"))]
    async fn fetch(
        &self,
        _: &Path,
        _: Option<&str>,
        matcher: Option<Arc<Matcher>>,
        _: &Inventory,
        _: &Context,
    ) -> Result<Option<Arc<Matcher>>> {
        Ok(matcher)
    }

    /// The database in `file`, opened again where it is another one than before.
    fn reopen(&self, file: &Path) -> Result<Option<Arc<Matcher>>> {
        let Ok(metadata) = std::fs::metadata(file) else { return Ok(None) };
        let stamp = metadata.modified().ok().map(|time| (time, metadata.len()));
        let mut open = self.lock();
        if let Some(open) = open.as_ref().filter(|open| open.stamp == stamp && stamp.is_some()) {
            return Ok(Some(open.matcher.clone()));
        }
        let matcher = Arc::new(Matcher::new(Advisories::open(file)?, MEMORY));
        *open = Some(Open { matcher: matcher.clone(), stamp });
        Ok(Some(matcher))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ecosystems of the packages, without release, that the database lacks.
#[cfg(feature = "net")]
fn missing(inventory: &Inventory, matcher: Option<&Matcher>) -> Vec<String> {
    let known = matcher.map(|matcher| matcher.advisories().provenance()).unwrap_or_default().ecosystems;
    let mut missing: Vec<String> = inventory
        .packages()
        .filter_map(|package| package.ecosystem().map(crate::model::ecosystem::base))
        .filter(|ecosystem| !known.contains_key(*ecosystem))
        .map(str::to_owned)
        .collect();
    missing.sort();
    missing.dedup();
    missing
}
