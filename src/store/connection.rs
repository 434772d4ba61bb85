//! One connection type for both databases, and how each is opened.

use super::error::{Error, Result};
use diesel::{
    Connection as _, PgConnection, SqliteConnection,
    connection::{AnsiTransactionManager, SimpleConnection as _, TransactionManager},
    r2d2::R2D2Connection,
};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// A connection to either database.
#[derive(diesel::MultiConnection)]
pub enum Conn {
    /// SQLite, inside this program.
    Sqlite(SqliteConnection),
    /// PostgreSQL.
    Postgres(PgConnection),
}

/// Which database.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// A file.
    Sqlite(PathBuf),
    /// A libpq URL, password and all.
    Postgres(String),
}

impl std::fmt::Debug for Target {
    /// Never shows the URL: it may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Self::Postgres(_) => f.write_str("Postgres(…)"),
        }
    }
}

/// How long a statement waits for a lock, on both databases.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens connections for the pool, and one by one. The derived `Conn::establish` would try both databases in turn and hide why.
#[derive(Clone, Debug)]
pub(super) struct Manager {
    pub(super) target: Target,
    /// SQLite's `synchronous`: FULL survives a power cut, NORMAL may lose the last moments.
    pub(super) synchronous_full: bool,
}

impl Manager {
    /// Opens one connection.
    pub(super) fn open(&self) -> Result<Conn> {
        match &self.target {
            Target::Sqlite(path) => {
                let path = path
                    .to_str()
                    .ok_or_else(|| Error::Broken("the database's path is not UTF-8".to_owned()))?;
                let mut conn = SqliteConnection::establish(path)?;
                let synchronous = if self.synchronous_full {
                    "FULL"
                } else {
                    "NORMAL"
                };
                let settings = format!(
                    "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; \
                     PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF",
                    LOCK_TIMEOUT.as_millis()
                );
                // Of two processes that switch a new file to WAL at once, one is told "locked" whatever its time-out.
                let until = Instant::now() + LOCK_TIMEOUT;
                while let Err(error) = conn.batch_execute(&settings) {
                    if Instant::now() > until || !error.to_string().contains("database is locked") {
                        return Err(error.into());
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
                Ok(Conn::Sqlite(conn))
            }
            Target::Postgres(url) => {
                let mut conn = PgConnection::establish(url)?;
                conn.batch_execute(&format!(
                    "SET TIME ZONE 'UTC'; SET lock_timeout = {}; SET statement_timeout = '30s'; \
                     SET idle_in_transaction_session_timeout = '60s'",
                    LOCK_TIMEOUT.as_millis()
                ))?;
                // Only a superuser may set it; elsewhere the server's own language decides.
                drop(conn.batch_execute("SET lc_messages = 'C'"));
                Ok(Conn::Postgres(conn))
            }
        }
    }
}

impl r2d2::ManageConnection for Manager {
    type Connection = Conn;
    type Error = Error;

    fn connect(&self) -> Result<Conn> {
        self.open()
    }

    fn is_valid(&self, conn: &mut Conn) -> Result<()> {
        Ok(conn.ping()?)
    }

    fn has_broken(&self, conn: &mut Conn) -> bool {
        std::thread::panicking() || R2D2Connection::is_broken(conn)
    }
}

impl Conn {
    /// Starts a transaction that will write. On SQLite the write lock is taken at once: a deferred transaction that
    /// reads first fails with "database is locked" whatever the time-out.
    pub(super) fn begin_write(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(conn) => {
                AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE")?;
            }
            Self::Postgres(conn) => AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN")?,
        }
        Ok(())
    }

    /// Starts a transaction that only reads, so that a page shows one moment. PostgreSQL is spared the round trips:
    /// there each statement sees a moment of its own.
    pub(super) fn begin_read(&mut self) -> Result<()> {
        if let Self::Sqlite(conn) = self {
            AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN")?;
        }
        Ok(())
    }

    /// Ends [`Conn::begin_read`].
    pub(super) fn end_read(&mut self) -> Result<()> {
        if matches!(self, Self::Sqlite(_)) {
            self.commit()?;
        }
        Ok(())
    }

    /// Makes the transaction's changes last.
    pub(super) fn commit(&mut self) -> Result<()> {
        Ok(<Self as TransactionManager<Self>>::commit_transaction(
            self,
        )?)
    }

    /// Undoes the transaction. A connection that cannot even do that is dropped by the pool.
    pub(super) fn rollback(&mut self) {
        if let Err(error) = <Self as TransactionManager<Self>>::rollback_transaction(self) {
            tracing::debug!(%error, "rollback failed");
        }
    }
}
