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

/// How long a statement waits for a lock, on both databases: shorter than a request waits for its answer.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// How long switching a new SQLite file to WAL may take: several processes may start at once.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// How PostgreSQL is to plan. Whoever sets one of these in `DATABASE_URL`, for the user, the database or the server decides.
///
/// - A page read out of order costs little more than the next one. The 4 it assumes is that of a turning disk, with which
///   it reads small tables from end to end, sorts and merges them, where one look at an index would do.
/// - A plan never depends on a value, as on SQLite (`SQLITE_ENABLE_QPSG`). Otherwise it plans a statement anew whenever
///   that promises to save a little, which costs more than the rows of a page. What it has to know of a value stands in
///   the text (see `literal.rs`).
/// - Nothing here runs long enough to be compiled first.
const PLANNING: &str = "SELECT set_config(name, value, false) FROM pg_settings JOIN (VALUES \
     ('random_page_cost', '1.1'), ('plan_cache_mode', 'force_generic_plan'), ('jit', 'off')) AS wanted (name, value) \
     USING (name) WHERE source = 'default'";

/// Opens connections. The derived `Conn::establish` would try both databases in turn and hide why.
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
                let until = Instant::now() + START_TIMEOUT;
                while let Err(error) = conn.batch_execute(&settings).map_err(Error::from) {
                    if Instant::now() > until || !error.is_locked() {
                        return Err(error);
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
                Ok(Conn::Sqlite(conn))
            }
            Target::Postgres(url) => {
                let mut conn = connect(url)?;
                conn.batch_execute(&format!(
                    "SET TIME ZONE 'UTC'; SET lock_timeout = {}; SET statement_timeout = '30s'; \
                     SET idle_in_transaction_session_timeout = '60s'",
                    LOCK_TIMEOUT.as_millis()
                ))?;
                // A server that forbids it plans as it likes.
                drop(conn.batch_execute(PLANNING));
                // Only a superuser may set it; elsewhere the server's own language decides.
                drop(conn.batch_execute("SET lc_messages = 'C'"));
                Ok(Conn::Postgres(conn))
            }
        }
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

    /// As [`Conn::commit`], and says [`Error::Unsure`] where the server is gone: it may have committed all the same.
    pub(super) fn commit_or_know(&mut self) -> Result<()> {
        match self.commit() {
            Err(error) if !self.answers() => Err(Error::Unsure(error.to_string())),
            done => done,
        }
    }

    /// Undoes the transaction if there still is one; `false` when the connection is of no use any more.
    pub(super) fn rollback(&mut self) -> bool {
        if is_in_transaction(self)
            && let Err(error) = <Self as TransactionManager<Self>>::rollback_transaction(self)
        {
            tracing::debug!(%error, "rollback failed");
            return false;
        }
        !R2D2Connection::is_broken(self)
    }

    /// Whether there still is somebody at the other end, and no transaction left over.
    pub(super) fn answers(&mut self) -> bool {
        self.ping().is_ok() && !R2D2Connection::is_broken(self)
    }
}

fn is_in_transaction(conn: &mut Conn) -> bool {
    let status = <Conn as TransactionManager<Conn>>::transaction_manager_status_mut(conn);
    !matches!(status.transaction_depth(), Ok(None))
}

/// Connects to PostgreSQL, in a few seconds or not at all.
pub(super) fn connect(url: &str) -> Result<PgConnection> {
    Ok(PgConnection::establish(&noticing(url))?)
}

/// The URL with what libpq needs to notice that a server has vanished, and with the name by which Roster's connections
/// know each other: whoever sets these in `DATABASE_URL` decides.
fn noticing(url: &str) -> String {
    // In seconds, but for tcp_user_timeout: milliseconds until data that was sent must have been acknowledged.
    const WANTED: [(&str, &str); 6] = [
        ("application_name", "roster"),
        ("connect_timeout", "2"),
        ("keepalives_idle", "10"),
        ("keepalives_interval", "5"),
        ("keepalives_count", "3"),
        ("tcp_user_timeout", "10000"),
    ];
    let given = url.split_once('?').map_or("", |(_, given)| given);
    let is_given = |name: &str| {
        given
            .split('&')
            .any(|pair| pair.split('=').next() == Some(name))
    };
    let mut noticing = url.to_owned();
    for (name, value) in WANTED {
        if !is_given(name) {
            noticing.push(if noticing.contains('?') { '&' } else { '?' });
            noticing.push_str(&format!("{name}={value}"));
        }
    }
    noticing
}

#[cfg(test)]
mod tests {
    use super::noticing;

    #[test]
    fn a_vanished_server_is_noticed_unless_the_operator_decides_otherwise() {
        assert_eq!(
            noticing("postgres://db/roster?sslmode=disable&connect_timeout=9&tcp_user_timeout=0"),
            "postgres://db/roster?sslmode=disable&connect_timeout=9&tcp_user_timeout=0\
             &application_name=roster&keepalives_idle=10&keepalives_interval=5&keepalives_count=3"
        );
        let short = noticing("postgres:///roster");
        assert!(
            short.starts_with("postgres:///roster?application_name=roster&connect_timeout=2&"),
            "{short}"
        );
    }
}
