//! The advisory database of a scanner: one that is open, or a file that may come, be replaced, or be fetched.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
#[cfg(feature = "net")]
use std::time::{Duration, Instant};

use crate::advisory::Advisories;
use crate::context::Context;
use crate::error::Result;
#[cfg(feature = "net")]
use crate::error::{Kind, short};
use crate::matching::Matcher;
use crate::model::ecosystem;
use crate::model::event::Event;
use crate::model::inventory::Inventory;

/// Bytes of what was found for packages: part of what the ceiling leaves for everything besides lanes.
const MEMORY: usize = 4 << 20;

/// How long a fetch that failed is not tried again: each image of a run would wait for it.
#[cfg(feature = "net")]
const PAUSE: Duration = Duration::from_secs(60);

/// The most bytes that are told of why a fetch failed.
#[cfg(feature = "net")]
const CAUSE: usize = 512;

/// The database to match with, or why there is none.
#[derive(Clone)]
pub(super) struct Looked {
    pub(super) matcher: Option<Arc<Matcher>>,
    /// Why what it lacks could not be fetched, where that was tried.
    pub(super) failure: Option<String>,
}

/// Where advisories come from.
#[derive(Default)]
pub(super) struct AdvisorySource {
    file: Option<PathBuf>,
    fetch: Option<Option<String>>,
    open: Mutex<Option<Open>>,
    /// The ecosystems of packages that were looked at while there was no database.
    lacking: Mutex<BTreeSet<String>>,
    #[cfg(feature = "net")]
    fetching: tokio::sync::Mutex<Option<Failed>>,
}

struct Open {
    matcher: Arc<Matcher>,
    /// The file's time and size when it was opened: another pair is another database.
    stamp: Option<(SystemTime, u64)>,
}

/// A fetch that failed.
#[cfg(feature = "net")]
struct Failed {
    at: Instant,
    ecosystems: Vec<String>,
    cause: String,
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
    /// that is allowed; a network that does not answer leaves the database as it is, which is told.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] for a file that is no database, [`Kind::Canceled`].
    pub(super) async fn get(&self, inventory: &Inventory, context: &Context) -> Result<Looked> {
        let matcher = self.current()?;
        let looked = match (&self.file, &self.fetch) {
            (Some(file), Some(base_url)) => self.fetch(file, base_url.as_deref(), matcher, inventory, context).await?,
            _ => Looked { matcher, failure: None },
        };
        if looked.matcher.is_none() {
            let mut lacking = self.lacking.lock().unwrap_or_else(PoisonError::into_inner);
            lacking.extend(ecosystems(inventory));
        }
        Ok(looked)
    }

    /// Tells that so many images were not matched, since there is no database, and how to get one.
    pub(super) fn tell_unmatched(&self, images: u64, context: &Context) {
        let file = self.file.as_ref().map(|file| format!(" (file: {})", file.display())).unwrap_or_default();
        let what = if images == 1 { "1 image was".to_owned() } else { format!("{images} images were") };
        let lacking = self.lacking.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect::<Vec<_>>();
        context.emit(Event::Notice {
            message: format!("{what} not matched: there is no advisory database{file}"),
            hint: format!("get one with {}", update_command(&lacking)),
        });
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
    ) -> Result<Looked> {
        if missing(inventory, matcher.as_deref()).is_empty() {
            return Ok(Looked { matcher, failure: None });
        }
        // Several scans at once want the same ecosystems: one fetches, the others look again.
        let mut failed = self.fetching.lock().await;
        let matcher = self.reopen(file)?;
        let missing = missing(inventory, matcher.as_deref());
        if missing.is_empty() {
            return Ok(Looked { matcher, failure: None });
        }
        let is_same = |failed: &&Failed| failed.at.elapsed() < PAUSE && failed.ecosystems == missing;
        if let Some(failed) = failed.as_ref().filter(is_same) {
            return Ok(Looked { matcher, failure: Some(failed.cause.clone()) });
        }
        match super::advisories::update(&missing, base_url, file, context).await {
            Ok(_) => Ok(Looked { matcher: self.reopen(file)?, failure: None }),
            Err(error) if error.kind() == Kind::Canceled => Err(error),
            Err(error) => {
                let cause = short(&error, CAUSE);
                context.emit(Event::Notice {
                    message: format!("the advisories of {} cannot be fetched: {cause}", missing.join(", ")),
                    hint: format!("reach the network, or fetch them where there is one: {}", update_command(&missing)),
                });
                *failed = Some(Failed { at: Instant::now(), ecosystems: missing, cause: cause.clone() });
                Ok(Looked { matcher, failure: Some(cause) })
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
    ) -> Result<Looked> {
        Ok(Looked { matcher, failure: None })
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

/// The ecosystems of the packages, without release.
pub(super) fn ecosystems(inventory: &Inventory) -> BTreeSet<String> {
    let bases: BTreeSet<&str> =
        inventory.packages().filter_map(|package| package.ecosystem().map(ecosystem::base)).collect();
    bases.into_iter().map(str::to_owned).collect()
}

/// The command that fetches the advisories of these ecosystems, as a shell takes it; with an example where none is known.
pub(super) fn update_command<E: AsRef<str>>(ecosystems: &[E]) -> String {
    if ecosystems.is_empty() {
        return "`tidewaiter advisories update ECOSYSTEM...`, such as Debian, Alpine, PyPI, npm".to_owned();
    }
    let quoted = ecosystems
        .iter()
        .map(AsRef::as_ref)
        .map(|ecosystem| if ecosystem.contains(' ') { format!("'{ecosystem}'") } else { ecosystem.to_owned() });
    format!("`tidewaiter advisories update {}`", quoted.collect::<Vec<_>>().join(" "))
}

/// The ecosystems of the packages, without release, that the database lacks.
#[cfg(feature = "net")]
fn missing(inventory: &Inventory, matcher: Option<&Matcher>) -> Vec<String> {
    let known = matcher.map(|matcher| matcher.advisories().provenance()).unwrap_or_default().ecosystems;
    ecosystems(inventory).into_iter().filter(|ecosystem| !known.contains_key(ecosystem)).collect()
}
