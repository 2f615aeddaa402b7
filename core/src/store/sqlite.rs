//! SQLite: one file, or none. A thread of its own holds the connection, so that no wait for the disk, or for another process, holds
//! up the threads of the caller.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, params_from_iter};
use tokio::sync::{Mutex, MutexGuard, oneshot};

use super::database::{Access, Boxed, Database, Row, Session, Value};
use super::schema::Dialect;
use crate::error::{Error, Kind, Result};

/// How SQLite spells it. A transaction that writes holds the whole file, so there is nothing locked to pass over.
pub(super) const DIALECT: Dialect = Dialect {
    now: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    text: "TEXT",
    bytes: "BLOB",
    lock: "",
    skip_locked: "",
    size: "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name = '{}' OR name IN \
           (SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = '{}')",
    whole: "SELECT page_count * page_size, freelist_count * page_size
           FROM pragma_page_count, pragma_page_size, pragma_freelist_count",
    // A transaction that writes is.
    alone: "",
};

/// How long another process may hold the file.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pages of the log, 16 MiB, before it goes into the file: what changes again and again until then is written there once.
const LOG: i64 = 4000;
/// KiB of pages in memory.
const CACHE: i64 = 2048;

type Work = Box<dyn FnOnce(&Connection) + Send>;

/// A file of SQLite.
pub(super) struct Sqlite {
    place: String,
    /// None in memory.
    file: Option<PathBuf>,
    kind: &'static str,
    /// One transaction at a time: whoever holds it speaks to the connection.
    work: Mutex<mpsc::Sender<Work>>,
}

impl Sqlite {
    /// Opens `file`, which is made where it is missing.
    pub(super) fn open(file: &Path) -> Result<Self> {
        Self::open_patiently(file, PATIENCE)
    }

    /// The same; other processes may hold the file for so long.
    fn open_patiently(file: &Path, patience: Duration) -> Result<Self> {
        let place = file.display().to_string();
        let fail = |error| failed(error, "the store cannot be opened").with("store", &place);
        if file.as_os_str().is_empty() {
            // SQLite would make one that is gone with its handle.
            return Err(Error::new(Kind::InvalidInput, "the path of the store is empty").with_hint("name a file"));
        }
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| {
                Error::new(Kind::Storage, "the folder of the store cannot be made").with("store", &place).because(error)
            })?;
        }
        let path = file.to_owned();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags).map_err(fail)?;
        connection.busy_timeout(patience).map_err(fail)?;
        if is_foreign(&connection).map_err(fail)? {
            return Err(Error::new(Kind::Corrupt, "the file is the database of another program")
                .with("store", &place)
                .with_hint("name another file"));
        }
        give_back(&connection).map_err(fail)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(fail)?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG).map_err(fail)?;
        Self::start(connection, place, Some(path), "sqlite")
    }

    /// A store that lives as long as the program.
    pub(super) fn memory() -> Result<Self> {
        let fail = |error| failed(error, "the store cannot be opened");
        let connection = Connection::open_in_memory().map_err(fail)?;
        give_back(&connection).map_err(fail)?;
        Self::start(connection, "memory".to_owned(), None, "memory")
    }

    fn start(connection: Connection, place: String, file: Option<PathBuf>, kind: &'static str) -> Result<Self> {
        let fail = |error| failed(error, "the store cannot be opened").with("store", &place);
        connection.pragma_update(None, "foreign_keys", true).map_err(fail)?;
        connection.pragma_update(None, "cache_size", -CACHE).map_err(fail)?;
        connection.set_prepared_statement_cache_capacity(64);
        let (sender, receiver) = mpsc::channel::<Work>();
        let run = move || receiver.into_iter().for_each(|work| work(&connection));
        std::thread::Builder::new().name("tidewaiter-store".to_owned()).spawn(run).map_err(|error| {
            Error::new(Kind::Storage, "the thread of the store cannot be started").with("store", &place).because(error)
        })?;
        Ok(Self { place, file, kind, work: Mutex::new(sender) })
    }
}

/// Whether a database has tables, and not ours.
fn is_foreign(connection: &Connection) -> rusqlite::Result<bool> {
    let statement = "SELECT count(*) > 0 AND count(*) FILTER (WHERE name = 'tidewaiter') = 0 FROM sqlite_master";
    connection.query_row(statement, [], |row| row.get(0))
}

/// Lets pages that are free be given back. Has a meaning before anything is written only.
fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")
}

impl Database for Sqlite {
    fn begin(&self, access: Access) -> Boxed<'_, Result<Box<dyn Session + '_>>> {
        // With FULL each commit waits for the disk, with NORMAL only what makes room in the log.
        let begin = match access {
            Access::Read => "BEGIN",
            Access::WriteSoon => "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE",
            Access::Write => "PRAGMA synchronous = FULL; BEGIN IMMEDIATE",
        };
        Box::pin(async move {
            let transaction = Transaction { work: self.work.lock().await, place: &self.place, is_open: true };
            transaction.run(move |connection| connection.execute_batch(begin)).await?;
            Ok(Box::new(transaction) as Box<dyn Session>)
        })
    }

    fn on_disk(&self) -> Option<u64> {
        let file = self.file.as_ref()?;
        let beside = ["", "-wal", "-shm"].map(|end| {
            let mut path = file.clone().into_os_string();
            path.push(end);
            std::fs::metadata(path).map_or(0, |metadata| metadata.len())
        });
        Some(beside.iter().sum())
    }

    fn compact(&self) -> Boxed<'_, Result<()>> {
        Box::pin(async {
            // Not open: this is no transaction.
            let outside = Transaction { work: self.work.lock().await, place: &self.place, is_open: false };
            outside
                .run(|connection| {
                    // Each step gives one page back.
                    let mut vacuum = connection.prepare("PRAGMA incremental_vacuum")?;
                    let mut pages = vacuum.query([])?;
                    while pages.next()?.is_some() {}
                    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
                })
                .await
        })
    }

    fn place(&self) -> &str {
        &self.place
    }

    fn kind(&self) -> &'static str {
        self.kind
    }

    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }
}

struct Transaction<'a> {
    work: MutexGuard<'a, mpsc::Sender<Work>>,
    place: &'a str,
    is_open: bool,
}

impl Transaction<'_> {
    /// Runs `work` on the thread of the connection.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            let _ = sender.send(work(connection));
        });
        let gone = || Error::new(Kind::Storage, "the thread of the store has ended").with("store", self.place);
        self.work.send(work).map_err(|_| gone())?;
        let outcome = receiver.await.map_err(|_| gone())?;
        outcome.map_err(|error| failed(error, "the store does not do what it is asked for").with("store", self.place))
    }
}

impl Session for Transaction<'_> {
    fn query<'a>(&'a mut self, statement: &'a str, parameters: Vec<Value>) -> Boxed<'a, Result<Vec<Row>>> {
        let statement = write(statement);
        Box::pin(self.run(move |connection| {
            let mut statement = connection.prepare_cached(&statement)?;
            let columns = statement.column_count();
            let mut rows = statement.query(params_from_iter(parameters))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let values =
                    (0..columns).map(|column| row.get_ref(column).map(read)).collect::<rusqlite::Result<_>>()?;
                found.push(Row::new(values));
            }
            Ok(found)
        }))
    }

    fn each<'a>(&'a mut self, statement: &'a str, parameters: Vec<Vec<Value>>) -> Boxed<'a, Result<Vec<u64>>> {
        if parameters.is_empty() {
            return Box::pin(std::future::ready(Ok(Vec::new())));
        }
        let statement = write(statement);
        Box::pin(self.run(move |connection| {
            let mut statement = connection.prepare_cached(&statement)?;
            let run =
                |parameters| statement.execute(params_from_iter::<Vec<Value>>(parameters)).map(|rows| rows as u64);
            parameters.into_iter().map(run).collect()
        }))
    }

    fn script<'a>(&'a mut self, statements: &'a str) -> Boxed<'a, Result<()>> {
        let statements = write(statements);
        Box::pin(self.run(move |connection| connection.execute_batch(&statements)))
    }

    fn commit<'a>(mut self: Box<Self>) -> Boxed<'a, Result<()>>
    where
        Self: 'a,
    {
        Box::pin(async move {
            self.run(|connection| connection.execute_batch("COMMIT")).await?;
            self.is_open = false;
            Ok(())
        })
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_open {
            // Ends what a canceled caller began. The thread does it before it hears of the next transaction.
            let _ = self.work.send(Box::new(|connection| {
                if !connection.is_autocommit() {
                    let _ = connection.execute_batch("ROLLBACK");
                }
            }));
        }
    }
}

/// A statement as SQLite reads it: `$1` would be a name there.
fn write(statement: &str) -> String {
    DIALECT.write(statement).replace('$', "?")
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

fn read(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Int(value),
        // Only sums and divisions make one, and none of ours is meant to have a fraction.
        ValueRef::Real(value) => Value::Int(value as i64),
        ValueRef::Text(value) => Value::Text(String::from_utf8_lossy(value).into_owned()),
        ValueRef::Blob(value) => Value::Bytes(value.to_vec()),
    }
}

/// What went wrong, in the words of a user of a store.
fn failed(error: rusqlite::Error, message: &'static str) -> Error {
    let code = error.sqlite_error_code();
    let (kind, hint) = match code {
        Some(ErrorCode::NotADatabase) => {
            (Kind::Corrupt, "the file is not a store of tidewaiter, or it is damaged: name another")
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            (Kind::Corrupt, "the file is damaged: put a copy back, or begin with another store")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (Kind::Busy, "another process holds the store for long: try again")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            (Kind::Storage, "the store may not be written: check who owns the file and its folder")
        }
        Some(ErrorCode::DiskFull) => (Kind::Storage, "the disk is full: make room; what was committed before is safe"),
        Some(ErrorCode::CannotOpen) => (Kind::Storage, "check that the folder exists and may be written"),
        _ => (Kind::Storage, "what was committed before is safe"),
    };
    Error::new(kind, message).with_hint(hint).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_others_hold_for_long_is_busy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store = Sqlite::open_patiently(&path, Duration::from_millis(50)).unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE t (x); BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").unwrap();
        let error = store.begin(Access::Write).await.err().unwrap();
        assert_eq!((error.kind(), error.hint().is_some()), (Kind::Busy, true), "{error}");
        // Who only reads is not held up, and sees what is committed.
        let count = async || {
            store
                .begin(Access::Read)
                .await
                .unwrap()
                .query("SELECT count(*) FROM t", vec![])
                .await
                .unwrap()
                .remove(0)
                .int()
        };
        assert_eq!(count().await.unwrap(), 0);
        other.execute_batch("COMMIT").unwrap();
        store.begin(Access::Write).await.unwrap().commit().await.unwrap();
        assert_eq!(count().await.unwrap(), 1);
        // One that is held alone cannot be opened.
        let path = folder.path().join("alone.db");
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE t (x); BEGIN EXCLUSIVE").unwrap();
        let error = Sqlite::open_patiently(&path, Duration::from_millis(50)).err().unwrap();
        assert_eq!((error.kind(), error.hint().is_some()), (Kind::Busy, true), "{error}");
    }
}
