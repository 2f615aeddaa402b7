//! The tables, version by version. A store that is older is brought forward when it is opened, one that is newer is refused.

use super::database::{Access, Database, Value};
use crate::error::{Error, Kind, Result};

/// What each version adds to the one before, the first on an empty database.
const STEPS: &[&str] = &[include_str!("schema/1.sql"), include_str!("schema/2.sql")];

/// Makes the database below a store ready.
///
/// # Errors
/// [`Kind::Storage`]; [`Kind::Unsupported`] for a store of a newer program.
pub(super) async fn prepare(database: &dyn Database) -> Result<()> {
    let mut session = database.begin(Access::Write).await?;
    session.script(database.dialect().alone).await?;
    session.script("CREATE TABLE IF NOT EXISTS tidewaiter (version BIGINT NOT NULL)").await?;
    let version = match session.query("SELECT max(version) FROM tidewaiter", vec![]).await?.into_iter().next() {
        Some(mut row) => row.maybe_int()?.unwrap_or(0),
        None => 0,
    };
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    let Some(missing) = STEPS.get(version..) else {
        return Err(Error::new(Kind::Unsupported, "the store was written by a newer program")
            .with("store", database.place())
            .with("version", version)
            .with("known", STEPS.len())
            .with_hint("use that program, or another store"));
    };
    if missing.is_empty() {
        return Ok(());
    }
    for step in missing {
        session.script(step).await?;
    }
    session.query("DELETE FROM tidewaiter", vec![]).await?;
    let now = Value::Int(i64::try_from(STEPS.len()).unwrap_or(i64::MAX));
    session.query("INSERT INTO tidewaiter (version) VALUES ($1)", vec![now]).await?;
    session.commit().await
}

/// How a database spells what the statements leave open.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(any(feature = "sqlite", feature = "postgres")), allow(dead_code))]
pub(super) struct Dialect {
    /// Its clock, in milliseconds since 1970.
    pub(super) now: &'static str,
    /// The type of a text that is sorted by its bytes.
    pub(super) text: &'static str,
    /// The type of a blob.
    pub(super) bytes: &'static str,
    /// What makes a selection hold its rows until the transaction ends.
    pub(super) lock: &'static str,
    /// What makes a selection hold its rows, and pass over those that somebody else holds.
    pub(super) skip_locked: &'static str,
    /// The size of a table and its indexes in bytes; `{}` is its name.
    pub(super) size: &'static str,
    /// The size of everything in bytes, beyond what the tables say, and how much of it is free.
    pub(super) whole: &'static str,
    /// What keeps two processes from making the tables at once.
    pub(super) alone: &'static str,
}

#[cfg_attr(not(any(feature = "sqlite", feature = "postgres")), allow(dead_code))]
impl Dialect {
    /// A statement as the database understands it.
    pub(super) fn write(&self, statement: &str) -> String {
        statement
            .replace("{now}", self.now)
            .replace("{text}", self.text)
            .replace("{bytes}", self.bytes)
            .replace("{lock}", self.lock)
            .replace("{skip locked}", self.skip_locked)
    }
}
