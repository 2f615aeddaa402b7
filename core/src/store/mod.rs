//! What outlives a call: registries and jobs, runs and what they found, layer results.
//!
//! A [`Store`] is one file of SQLite, nothing but memory, or a PostgreSQL that several machines share. Every statement is written
//! once, in a dialect that both understand (`docs/adr/0010-one-store-two-databases.md`). A store has no policy: what is scanned, and
//! when, the engine decides.

mod cache;
mod changes;
mod commits;
mod database;
mod images;
mod inventory;
mod items;
mod jobs;
mod layers;
mod matched;
#[cfg(feature = "postgres")]
mod postgres;
mod registries;
mod reports;
mod retention;
mod runs;
mod schema;
#[cfg(feature = "sqlite")]
mod sqlite;
mod workers;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::OnceCell;

pub use cache::{DirectoryCache, LayerCache, MemoryCache};
pub use changes::{Change, Changed};
pub use images::{Known, Listing};
pub use inventory::{InventoryFilter, InventoryRow, RegistrySummary};
pub use jobs::StoredJob;
#[cfg(feature = "net")]
pub(crate) use matched::catalogers;
pub(crate) use matched::{Fresh, Place, Rematch};
pub use registries::StoredRegistry;
pub(crate) use reports::PackedReport;
pub use reports::Stored;
pub use retention::{Pruned, Status, TableSize};
pub use runs::{Beat, Plan, Progress};
pub use workers::{Holding, Worker};

use crate::error::{Error, Kind, Result};
use database::{Access, Database, Session};

/// The handle of a store. Cheap to clone; clones share the connection.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use tidewaiter::{Job, Selection, Store};
/// let store = Store::memory()?;
/// store.put_registry("prod", &serde_json::json!({"kind": "docker", "url": "https://registry.example"})).await?;
/// store.add_job(&Job::new("nightly", "prod", Selection::new())).await?;
/// assert_eq!(store.jobs().await?.len(), 1);
/// # Ok::<(), tidewaiter::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    database: Box<dyn Database>,
    is_ready: OnceCell<()>,
}

impl Store {
    /// Opens the store at `place`: the path of a file, made where it is missing, or `postgres://user@host/database`. A PostgreSQL is
    /// connected to when it is needed first; a password in its address is better left to the environment (`PGPASSWORD`).
    ///
    /// # Errors
    /// [`Kind::Corrupt`] for a file that is no store, [`Kind::Storage`] for one that cannot be opened, [`Kind::InvalidInput`] for an
    /// address that is none and an empty path, [`Kind::Unsupported`] where this program was built without that database.
    pub fn open(place: &str) -> Result<Self> {
        if place.starts_with("postgres://") || place.starts_with("postgresql://") {
            return Self::postgres(place);
        }
        if let Some((scheme, _)) = place.split_once("://")
            && scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.'))
        {
            return Err(Error::new(Kind::InvalidInput, "there is no such kind of store")
                .with("scheme", scheme)
                .with_hint("a store is the path of a file, or postgres://user@host/database"));
        }
        Self::file(Path::new(place))
    }

    /// Opens the store in a file of SQLite, which is made where it is missing.
    ///
    /// # Errors
    /// As [`Store::open`].
    #[cfg(feature = "sqlite")]
    pub fn file(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::new(sqlite::Sqlite::open(path.as_ref())?))
    }

    /// A store that is gone when its last handle is.
    ///
    /// # Errors
    /// [`Kind::Storage`].
    #[cfg(feature = "sqlite")]
    pub fn memory() -> Result<Self> {
        Ok(Self::new(sqlite::Sqlite::memory()?))
    }

    /// Stores in files are not part of this program.
    ///
    /// # Errors
    /// [`Kind::Unsupported`].
    #[cfg(not(feature = "sqlite"))]
    pub fn file(_: impl AsRef<Path>) -> Result<Self> {
        Err(without("SQLite", "sqlite"))
    }

    #[cfg(feature = "postgres")]
    fn postgres(address: &str) -> Result<Self> {
        Ok(Self::new(postgres::Postgres::new(address)?))
    }

    #[cfg(not(feature = "postgres"))]
    fn postgres(_: &str) -> Result<Self> {
        Err(without("PostgreSQL", "postgres"))
    }

    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    fn new(database: impl Database + 'static) -> Self {
        Self(Arc::new(Inner { database: Box::new(database), is_ready: OnceCell::new() }))
    }

    /// Where it is, for people: a path, `memory`, or an address without its password.
    pub fn place(&self) -> &str {
        self.0.database.place()
    }

    /// A transaction that may write; what it commits outlives a power cut.
    async fn write(&self) -> Result<Box<dyn Session + '_>> {
        self.begin(Access::Write).await
    }

    /// One for what is written often, and would be made again: it does not wait for the disk.
    async fn write_soon(&self) -> Result<Box<dyn Session + '_>> {
        self.begin(Access::WriteSoon).await
    }

    /// A transaction that only reads.
    async fn read(&self) -> Result<Box<dyn Session + '_>> {
        self.begin(Access::Read).await
    }

    async fn begin(&self, access: Access) -> Result<Box<dyn Session + '_>> {
        let Inner { database, is_ready } = self.0.as_ref();
        is_ready.get_or_try_init(|| schema::prepare(database.as_ref())).await?;
        database.begin(access).await
    }
}

#[cfg(not(all(feature = "sqlite", feature = "postgres")))]
fn without(database: &'static str, feature: &'static str) -> Error {
    Error::new(Kind::Unsupported, format!("this program was built without {database}"))
        .with_hint(format!("build it with the feature `{feature}`"))
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("place", &self.place()).finish()
    }
}
