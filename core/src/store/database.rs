//! What a store needs of the database below it: transactions of plain statements, in a dialect that both databases understand.
//!
//! Every statement is written once. Columns are `BIGINT`, `TEXT` and `BYTES`; times are milliseconds since 1970, truths 0 and 1.
//! Words in braces stand for what the databases spell differently, see [`Dialect`].

use std::future::Future;
use std::pin::Pin;

use super::schema::Dialect;
use crate::error::{Error, Kind, Result};

/// A future that is boxed, for traits that are objects.
pub(super) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One value of a row or a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Nothing.
    Null,
    /// A number, a time, or a truth.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

macro_rules! value_from {
    ($($from:ty => $value:expr),*) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Self {
                $value(value)
            }
        })*
    };
}
value_from!(i64 => Self::Int, String => Self::Text, Vec<u8> => Self::Bytes, bool => |value| Self::Int(i64::from(value)),
    &str => |value: &str| Self::Text(value.to_owned()), u64 => |value| Self::Int(i64::try_from(value).unwrap_or(i64::MAX)));

impl<T> From<Option<T>> for Value
where
    Self: From<T>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::from)
    }
}

/// The values of one row, read from the left.
#[derive(Debug)]
pub(super) struct Row(std::vec::IntoIter<Value>);

impl Row {
    /// A row of these values.
    pub(super) fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    /// The next value as a number.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] for a value of another type: somebody else wrote to the database.
    pub(super) fn int(&mut self) -> Result<i64> {
        self.maybe_int()?.ok_or_else(damaged)
    }

    /// The next value as a number, or none.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub(super) fn maybe_int(&mut self) -> Result<Option<i64>> {
        match self.0.next() {
            Some(Value::Int(value)) => Ok(Some(value)),
            Some(Value::Null) => Ok(None),
            _ => Err(damaged()),
        }
    }

    /// The next value as a number that is not negative.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub(super) fn count(&mut self) -> Result<u64> {
        u64::try_from(self.int()?).map_err(|_| damaged())
    }

    /// The next value as a truth.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub(super) fn truth(&mut self) -> Result<bool> {
        Ok(self.int()? != 0)
    }

    /// The next value as a text.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub(super) fn text(&mut self) -> Result<String> {
        self.maybe_text()?.ok_or_else(damaged)
    }

    /// The next value as a text, or none.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub(super) fn maybe_text(&mut self) -> Result<Option<String>> {
        match self.0.next() {
            Some(Value::Text(value)) => Ok(Some(value)),
            Some(Value::Null) => Ok(None),
            _ => Err(damaged()),
        }
    }

    /// The next value as bytes.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub(super) fn bytes(&mut self) -> Result<Vec<u8>> {
        match self.0.next() {
            Some(Value::Bytes(value)) => Ok(value),
            _ => Err(damaged()),
        }
    }

    /// The next value as what its text reads as.
    ///
    /// # Errors
    /// As [`Row::int`], also for a text that does not read so.
    pub(super) fn parse<T: std::str::FromStr>(&mut self) -> Result<T> {
        self.text()?.parse().map_err(|_| damaged())
    }

    /// The next value as what its JSON says.
    ///
    /// # Errors
    /// As [`Row::int`], also for JSON of another shape.
    pub(super) fn json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T> {
        serde_json::from_str(&self.text()?).map_err(|error| damaged().because(error))
    }

    /// The next value as a time.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub(super) fn time(&mut self) -> Result<jiff::Timestamp> {
        self.maybe_time()?.ok_or_else(damaged)
    }

    /// The next value as a time, or none.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub(super) fn maybe_time(&mut self) -> Result<Option<jiff::Timestamp>> {
        self.maybe_int()?.map(|time| jiff::Timestamp::from_millisecond(time).map_err(|_| damaged())).transpose()
    }
}

/// A value as the JSON that [`Row::json`] reads.
pub(super) fn json(value: &impl serde::Serialize) -> Result<Value> {
    let text = serde_json::to_string(value);
    Ok(Value::Text(text.map_err(|error| Error::new(Kind::Internal, "a value cannot be written").because(error))?))
}

/// A time as [`Row::time`] reads it.
pub(super) fn time(time: jiff::Timestamp) -> Value {
    Value::Int(time.as_millisecond())
}

fn damaged() -> Error {
    Error::new(Kind::Corrupt, "the store holds something that this program did not write")
        .with_hint("another program changed it, or the file is damaged: put a copy back, or begin with another store")
}

/// What a transaction is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// To read.
    Read,
    /// To write what would be made again: a power cut may take the latest of it, all that was committed since its beginning or nothing.
    WriteSoon,
    /// To write what is on the disk once it is committed, with all that was committed before.
    Write,
}

/// A database: a file of SQLite, or a PostgreSQL.
pub(super) trait Database: Send + Sync {
    /// Begins a transaction. Nobody else writes to what one that writes touches until it ends.
    fn begin(&self, access: Access) -> Boxed<'_, Result<Box<dyn Session + '_>>>;

    /// How it spells what statements leave open.
    fn dialect(&self) -> &'static Dialect;

    /// Gives room that is free back to the system, where the database does not do so itself.
    fn compact(&self) -> Boxed<'_, Result<()>>;

    /// What this is, for people: the path of the file, or the address without its password.
    fn place(&self) -> &str;

    /// The bytes of its files, where it is files.
    fn on_disk(&self) -> Option<u64> {
        None
    }

    /// `sqlite`, `memory` or `postgres`.
    fn kind(&self) -> &'static str;
}

/// A transaction. Dropped without [`Session::commit`], nothing of it counts.
pub(super) trait Session: Send {
    /// Runs one statement, and gives its rows.
    fn query<'a>(&'a mut self, statement: &'a str, parameters: Vec<Value>) -> Boxed<'a, Result<Vec<Row>>>;

    /// Runs one statement for each of several rows of parameters, and gives how many rows of the database each changed.
    fn each<'a>(&'a mut self, statement: &'a str, parameters: Vec<Vec<Value>>) -> Boxed<'a, Result<Vec<u64>>>;

    /// Runs several statements, separated by semicolons, without parameters.
    fn script<'a>(&'a mut self, statements: &'a str) -> Boxed<'a, Result<()>>;

    /// Ends the transaction: all of it counts.
    fn commit<'a>(self: Box<Self>) -> Boxed<'a, Result<()>>
    where
        Self: 'a;
}
