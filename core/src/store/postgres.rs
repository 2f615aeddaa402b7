//! PostgreSQL: one database that several machines share. Each handle has one connection, made when it is needed, and again after it
//! was lost.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::try_join_all;
use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Socket, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::database::{Access, Boxed, Database, Row, Session, Value};
use super::schema::Dialect;
use crate::error::{Error, Kind, Result};
use crate::net::tls::{Trust, configuration};

/// How PostgreSQL spells it. Texts are sorted by their bytes, as everywhere else.
pub(super) const DIALECT: Dialect = Dialect {
    now: "(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
    text: "TEXT COLLATE \"C\"",
    bytes: "BYTEA",
    lock: "FOR UPDATE",
    skip_locked: "FOR UPDATE OF i SKIP LOCKED",
    size: "SELECT pg_total_relation_size('{}')::bigint",
    // Other programs may have tables in the database; what is free in ours is part of each.
    whole: "SELECT 0::bigint, 0::bigint",
    // The number is that of this program's tables, and of nothing else.
    alone: "SELECT pg_advisory_xact_lock(7310872145)",
};

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// A machine that has vanished does not say so. After so long without a word the system asks whether it is still there, this often,
/// and then the connection is lost; left alone, it would ask after two hours.
const SILENCE: Duration = Duration::from_secs(10);
const BETWEEN_ASKING: Duration = Duration::from_secs(5);
const ASKING: u32 = 3;
/// The same for what was sent and never arrived.
const UNHEARD: Duration = Duration::from_secs(30);
/// Whoever stops in the middle of a transaction, asleep or cut off from the network, gives up what it has locked.
const IN_HAND: &str = "SET idle_in_transaction_session_timeout = '10s'";
/// Statements that are on their way at once.
const PIPELINE: usize = 256;
/// What to do about a server that does not answer.
const AWAY: &str = "check that the server is up, and its address; what was committed before is safe (sslmode=disable goes without TLS)";

/// A PostgreSQL.
pub(super) struct Postgres {
    config: Config,
    place: String,
    connection: Mutex<Option<Connection>>,
}

struct Connection {
    client: Client,
    prepared: HashMap<String, Statement>,
}

impl Postgres {
    /// The database at `address`, `postgres://user@host/database`. Nothing is connected yet.
    pub(super) fn new(address: &str) -> Result<Self> {
        // The error of the parser may quote the password.
        let mut config: Config = address.parse().map_err(|_| {
            Error::new(Kind::InvalidInput, "the address of the store cannot be read")
                .with_hint("write it as postgres://user@host:5432/database, with the password in PGPASSWORD")
        })?;
        if config.get_password().is_none()
            && let Ok(password) = std::env::var("PGPASSWORD")
        {
            config.password(password);
        }
        bound(&mut config);
        if config.get_application_name().is_none() {
            config.application_name("tidewaiter");
        }
        Ok(Self { place: place(address), config, connection: Mutex::new(None) })
    }

    async fn connect(&self) -> Result<Connection> {
        let client = if self.config.get_ssl_mode() == SslMode::Disable {
            self.connect_by(NoTls).await?
        } else {
            self.connect_by(MakeRustlsConnect::new(configuration(&Trust::default())?)).await?
        };
        client.batch_execute(IN_HAND).await.map_err(|error| asked(error, &self.place))?;
        Ok(Connection { client, prepared: HashMap::new() })
    }

    async fn connect_by<T>(&self, tls: T) -> Result<Client>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
    {
        let unreachable = |error| failed(error, "the store cannot be reached").with("store", &self.place);
        // The time in the configuration is that of each address alone, and ends before a word is said.
        let hosts = u32::try_from(self.config.get_hosts().len()).unwrap_or(u32::MAX);
        let patience = self.config.get_connect_timeout().copied().unwrap_or(PATIENCE);
        let patience = patience.saturating_mul(hosts.saturating_add(1));
        let connected = tokio::time::timeout(patience, self.config.connect(tls)).await.map_err(|_| {
            Error::new(Kind::Unavailable, "the store does not answer").with("store", &self.place).with_hint(AWAY)
        })?;
        let (client, connection) = connected.map_err(unreachable)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the store has ended");
            }
        });
        Ok(client)
    }
}

/// Bounds how long a server that has vanished is waited for, unless the address says how long.
fn bound(config: &mut Config) {
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(PATIENCE);
    }
    if config.get_keepalives_idle() == Config::new().get_keepalives_idle() {
        config.keepalives_idle(SILENCE);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(BETWEEN_ASKING);
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(ASKING);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNHEARD);
    }
}

impl Database for Postgres {
    fn begin(&self, access: Access) -> Boxed<'_, Result<Box<dyn Session + '_>>> {
        Box::pin(async move {
            let mut held = self.connection.lock().await;
            if held.as_ref().is_none_or(|connection| connection.client.is_closed()) {
                *held = Some(self.connect().await?);
            }
            let mut transaction = Transaction { held, place: &self.place, is_open: false };
            // What only reads needs no transaction: each statement sees what is committed.
            if access != Access::Read {
                transaction.is_open = true;
                transaction.script("BEGIN").await?;
            }
            Ok(Box::new(transaction) as Box<dyn Session>)
        })
    }

    fn compact(&self) -> Boxed<'_, Result<()>> {
        // It does so itself.
        Box::pin(std::future::ready(Ok(())))
    }

    fn place(&self) -> &str {
        &self.place
    }

    fn kind(&self) -> &'static str {
        "postgres"
    }

    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }
}

struct Transaction<'a> {
    held: MutexGuard<'a, Option<Connection>>,
    place: &'a str,
    is_open: bool,
}

impl Transaction<'_> {
    fn connection(&mut self) -> Result<&mut Connection> {
        self.held.as_mut().ok_or_else(|| Error::new(Kind::Internal, "a transaction has no connection"))
    }

    async fn prepare(&mut self, statement: &str) -> Result<Statement> {
        let place = self.place;
        let connection = self.connection()?;
        if let Some(prepared) = connection.prepared.get(statement) {
            return Ok(prepared.clone());
        }
        let prepared =
            connection.client.prepare(&DIALECT.write(statement)).await.map_err(|error| asked(error, place))?;
        connection.prepared.insert(statement.to_owned(), prepared.clone());
        Ok(prepared)
    }
}

impl Session for Transaction<'_> {
    fn query<'a>(&'a mut self, statement: &'a str, parameters: Vec<Value>) -> Boxed<'a, Result<Vec<Row>>> {
        Box::pin(async move {
            let prepared = self.prepare(statement).await?;
            let place = self.place;
            let parameters: Vec<_> = parameters.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
            let rows =
                self.connection()?.client.query(&prepared, &parameters).await.map_err(|error| asked(error, place))?;
            rows.iter().map(read).collect()
        })
    }

    fn each<'a>(&'a mut self, statement: &'a str, parameters: Vec<Vec<Value>>) -> Boxed<'a, Result<Vec<u64>>> {
        Box::pin(async move {
            if parameters.is_empty() {
                return Ok(Vec::new());
            }
            let prepared = self.prepare(statement).await?;
            let place = self.place;
            let client = &self.connection()?.client;
            let mut changed = Vec::with_capacity(parameters.len());
            for part in parameters.chunks(PIPELINE) {
                let run = |values: &'_ Vec<Value>| {
                    let values: Vec<Value> = values.clone();
                    let prepared = &prepared;
                    async move {
                        let values: Vec<_> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
                        client.execute(prepared, &values).await
                    }
                };
                changed.extend(try_join_all(part.iter().map(run)).await.map_err(|error| asked(error, place))?);
            }
            Ok(changed)
        })
    }

    fn script<'a>(&'a mut self, statements: &'a str) -> Boxed<'a, Result<()>> {
        Box::pin(async move {
            let place = self.place;
            let statements = DIALECT.write(statements);
            self.connection()?.client.batch_execute(&statements).await.map_err(|error| asked(error, place))
        })
    }

    fn commit<'a>(mut self: Box<Self>) -> Boxed<'a, Result<()>>
    where
        Self: 'a,
    {
        Box::pin(async move {
            self.script("COMMIT").await?;
            self.is_open = false;
            Ok(())
        })
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_open
            && let Some(connection) = self.held.as_ref()
        {
            // The first poll sends it; the answer is for nobody, and comes before that of the next transaction.
            let _ = connection.client.batch_execute("ROLLBACK").now_or_never();
        }
    }
}

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(value) if *kind == Type::INT4 => i32::try_from(*value)?.to_sql(kind, out),
            Self::Int(value) => value.to_sql(kind, out),
            Self::Text(value) => value.to_sql(kind, out),
            Self::Bytes(value) => value.to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

fn read(row: &tokio_postgres::Row) -> Result<Row> {
    let value = |(index, column): (usize, &tokio_postgres::Column)| {
        Ok(match column.type_() {
            kind if *kind == Type::INT4 => row.try_get::<_, Option<i32>>(index)?.map(i64::from).into(),
            kind if *kind == Type::INT8 => row.try_get::<_, Option<i64>>(index)?.into(),
            kind if *kind == Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(index)?.into(),
            _ => row.try_get::<_, Option<String>>(index)?.into(),
        })
    };
    let values = row.columns().iter().enumerate().map(value).collect::<Result<_, tokio_postgres::Error>>();
    values.map(Row::new).map_err(|error| failed(error, "the store answers something else than was asked for"))
}

/// The address without its password and its options.
fn place(address: &str) -> String {
    match url::Url::parse(address) {
        Ok(mut url) => {
            let _ = url.set_password(None);
            url.set_query(None);
            url.to_string()
        }
        Err(_) => "postgres".to_owned(),
    }
}

fn asked(error: tokio_postgres::Error, place: &str) -> Error {
    failed(error, "the store does not do what it is asked for").with("store", place)
}

/// What went wrong, in the words of a user of a store.
fn failed(error: tokio_postgres::Error, message: &'static str) -> Error {
    let kind = match error.code() {
        Some(code)
            if [SqlState::UNIQUE_VIOLATION, SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE]
                .contains(code) =>
        {
            Kind::Busy
        }
        Some(code)
            if [
                SqlState::ADMIN_SHUTDOWN,
                SqlState::CRASH_SHUTDOWN,
                SqlState::CANNOT_CONNECT_NOW,
                SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
                SqlState::TOO_MANY_CONNECTIONS,
            ]
            .contains(code) =>
        {
            Kind::Unavailable
        }
        Some(code) if [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION].contains(code) => {
            Kind::Unauthenticated
        }
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => Kind::PermissionDenied,
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => Kind::NotFound,
        Some(_) => Kind::Storage,
        None => Kind::Unavailable,
    };
    let hint = match kind {
        Kind::Unauthenticated => "check the user, and the password in PGPASSWORD",
        Kind::PermissionDenied => "the user needs the right to create and to write tables in this database",
        Kind::NotFound => "make the database first: createdb",
        Kind::Busy => "another process did the same: try again",
        Kind::Unavailable => AWAY,
        _ => "what was committed before is safe",
    };
    // The text of a server's error may repeat values, never the password.
    let text = error.as_db_error().map(|error| error.message().to_owned());
    let failed = Error::new(kind, message).with_hint(hint);
    match text {
        Some(text) => failed.with("answer", text.escape_debug()),
        None => failed.because(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_vanishes_is_not_waited_for() {
        let config = |options: &str| Postgres::new(&format!("postgres://u@host/x{options}")).unwrap().config;
        let ours = config("");
        let asking = ours.get_keepalives_interval().unwrap() * ours.get_keepalives_retries().unwrap();
        assert!(ours.get_keepalives() && ours.get_keepalives_idle() + asking <= Duration::from_secs(30));
        assert!(*ours.get_tcp_user_timeout().unwrap() <= Duration::from_secs(30));
        let theirs = config("?keepalives_idle=600&keepalives_interval=60&keepalives_retries=9&tcp_user_timeout=300");
        assert_eq!(theirs.get_keepalives_idle(), Duration::from_secs(600));
        assert_eq!(
            (theirs.get_keepalives_interval(), theirs.get_keepalives_retries()),
            (Some(Duration::from_secs(60)), Some(9))
        );
        assert_eq!(theirs.get_tcp_user_timeout(), Some(&Duration::from_secs(300)));
    }
}
