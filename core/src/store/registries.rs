//! Registries under a name.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value as Json;

use super::Store;
use super::database::{Row, json};
use crate::error::{Error, Kind, Result};
use crate::job::check_name;

/// A registry as it is saved.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoredRegistry {
    /// Its name.
    pub name: String,
    /// Its definition, with references to credentials.
    pub definition: Json,
    /// Whether none of its jobs is ever due.
    pub paused: bool,
    /// When it was added.
    pub added: Timestamp,
}

impl StoredRegistry {
    fn read(mut row: Row) -> Result<Self> {
        Ok(Self { name: row.text()?, definition: row.json()?, paused: row.truth()?, added: row.time()? })
    }
}

impl Store {
    /// Saves a registry under a name, instead of the one that had it. The definition must hold no secret.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a name that is none, [`Kind::Storage`].
    pub async fn put_registry(&self, name: &str, definition: &Json) -> Result<()> {
        check_name(name)?;
        let mut session = self.write().await?;
        let statement = "INSERT INTO registry (name, definition, paused, added) VALUES ($1, $2, 0, {now})
            ON CONFLICT (name) DO UPDATE SET definition = excluded.definition";
        session.query(statement, vec![name.into(), json(definition)?]).await?;
        session.commit().await
    }

    /// The registry with this name.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Storage`].
    pub async fn registry(&self, name: &str) -> Result<StoredRegistry> {
        let statement = "SELECT name, definition, paused, added FROM registry WHERE name = $1";
        let rows = self.read().await?.query(statement, vec![name.into()]).await?;
        rows.into_iter().next().map(StoredRegistry::read).unwrap_or_else(|| Err(unknown(name)))
    }

    /// All registries, by name.
    ///
    /// # Errors
    /// [`Kind::Storage`].
    pub async fn registries(&self) -> Result<Vec<StoredRegistry>> {
        let statement = "SELECT name, definition, paused, added FROM registry ORDER BY name";
        let rows = self.read().await?.query(statement, vec![]).await?;
        rows.into_iter().map(StoredRegistry::read).collect()
    }

    /// Pauses a registry with its jobs: none of them is due until it is resumed.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Storage`].
    pub async fn pause_registry(&self, name: &str, paused: bool) -> Result<()> {
        let mut session = self.write().await?;
        let statement = "UPDATE registry SET paused = $2 WHERE name = $1 RETURNING name";
        if session.query(statement, vec![name.into(), paused.into()]).await?.is_empty() {
            return Err(unknown(name));
        }
        session.commit().await
    }

    /// Removes a registry. What is known of its images stays.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::InvalidState`] while a job uses it; [`Kind::Storage`].
    pub async fn remove_registry(&self, name: &str) -> Result<()> {
        let mut session = self.write().await?;
        let jobs = session.query("SELECT name FROM job WHERE registry = $1 ORDER BY name", vec![name.into()]).await?;
        let jobs = jobs.into_iter().map(|mut row| row.text()).collect::<Result<Vec<_>>>()?;
        if !jobs.is_empty() {
            return Err(Error::new(Kind::InvalidState, "jobs use the registry")
                .with("registry", name)
                .with("jobs", jobs.join(", "))
                .with_hint("delete the jobs first, or pause the registry"));
        }
        if session.query("DELETE FROM registry WHERE name = $1 RETURNING name", vec![name.into()]).await?.is_empty() {
            return Err(unknown(name));
        }
        session.commit().await
    }
}

/// An error about a name that nothing has.
pub(super) fn unknown(name: &str) -> Error {
    Error::new(Kind::NotFound, "there is no registry with this name")
        .with("registry", name.escape_debug())
        .with_hint("`tidewaiter registry list` shows those that are saved, `tidewaiter registry add` saves one")
}
