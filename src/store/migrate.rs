//! Brings the database's tables up to this program, also when several instances start at once.

use super::{
    connection::Conn,
    error::{Error, Result},
};
use diesel::{
    QueryableByName, RunQueryDsl as _,
    connection::SimpleConnection as _,
    migration::{Migration, MigrationSource},
    pg::Pg,
    sql_query,
    sql_types::{BigInt, Bool, Text},
    sqlite::Sqlite,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use std::collections::BTreeSet;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// The advisory lock of migrating: any number, the same in every version.
const LOCK: i64 = 0x726f_7374_6572;

/// Where diesel keeps which migrations were applied.
const TABLE: &str = "__diesel_schema_migrations";

/// How the database's tables stand to this program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Schema {
    /// They are the ones it knows.
    Current,
    /// So many of its migrations were not applied.
    Behind(usize),
    /// A newer program applied this migration, which this one does not know.
    Ahead(String),
    /// No program of ours ever made tables here.
    None,
}

impl Schema {
    /// Why this program must leave the database alone; one line for the operator.
    pub fn refusal(&self) -> Option<String> {
        match self {
            Self::Ahead(version) => Some(format!(
                "this database was brought up to date by a newer Roster (migration {version}); start that one"
            )),
            Self::Current | Self::Behind(_) | Self::None => None,
        }
    }
}

#[derive(QueryableByName)]
struct There {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

#[derive(QueryableByName)]
struct Applied {
    #[diesel(sql_type = Text)]
    version: String,
}

#[derive(QueryableByName)]
struct Flag {
    #[diesel(sql_type = Bool)]
    flag: bool,
}

/// How the tables stand. Only reads, also where there are none: diesel's own question would make its table first.
///
/// # Errors
/// The database's.
pub fn schema(conn: &mut Conn) -> Result<Schema> {
    let (there, known) = match conn {
        Conn::Sqlite(_) => (
            format!("SELECT count(*) AS count FROM sqlite_master WHERE name = '{TABLE}'"),
            versions::<Sqlite>(&SQLITE)?,
        ),
        Conn::Postgres(_) => (
            format!("SELECT count(to_regclass('{TABLE}')) AS count"),
            versions::<Pg>(&POSTGRES)?,
        ),
    };
    let there: There = sql_query(there).get_result(conn)?;
    if there.count == 0 {
        return Ok(Schema::None);
    }
    let applied: Vec<Applied> =
        sql_query(format!("SELECT version FROM {TABLE} ORDER BY version")).load(conn)?;
    let applied: BTreeSet<String> = applied.into_iter().map(|row| row.version).collect();
    Ok(if let Some(newest) = applied.difference(&known).last() {
        Schema::Ahead(newest.clone())
    } else {
        match known.difference(&applied).count() {
            0 => Schema::Current,
            // An empty table: somebody began and did not get far.
            missing if missing == known.len() => Schema::None,
            missing => Schema::Behind(missing),
        }
    })
}

/// The migrations this program brings along.
fn versions<DB: diesel::backend::Backend>(source: &EmbeddedMigrations) -> Result<BTreeSet<String>>
where
    EmbeddedMigrations: MigrationSource<DB>,
{
    let all: Vec<Box<dyn Migration<DB>>> = source
        .migrations()
        .map_err(|error| Error::Broken(format!("migration: {error}")))?;
    Ok(all
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect())
}

/// Whether there is nothing to apply on PostgreSQL: the tables are this program's, nobody is at work on them, and they can
/// be written to. SQLite's are looked at with the write lock only.
pub(super) fn is_ready(conn: &mut Conn) -> Result<bool> {
    if matches!(conn, Conn::Sqlite(_)) {
        return Ok(false);
    }
    // A statement each: what is read must not be older than the lock.
    let locked: Flag = sql_query(format!(
        "SELECT pg_try_advisory_lock_shared({LOCK}) AND NOT pg_is_in_recovery() \
         AND current_setting('transaction_read_only') = 'off' AS flag"
    ))
    .get_result(conn)?;
    let ready = if locked.flag {
        schema(conn).map(|found| found == Schema::Current)
    } else {
        Ok(false)
    };
    conn.batch_execute("SELECT pg_advisory_unlock_all()")?;
    ready
}

/// Applies what is missing and answers how many migrations that were. While one program does so, others wait.
pub(super) fn run(conn: &mut Conn) -> Result<usize> {
    match conn {
        // The write lock is the migration lock; each migration is a savepoint inside.
        Conn::Sqlite(_) => {
            conn.begin_write()?;
            match apply(conn) {
                Ok(done) => {
                    conn.commit()?;
                    Ok(done)
                }
                Err(error) => {
                    conn.rollback();
                    Err(error)
                }
            }
        }
        Conn::Postgres(_) => {
            conn.batch_execute(&format!(
                "SET lock_timeout = 0; SET statement_timeout = 0; SELECT pg_advisory_lock({LOCK})"
            ))?;
            let done = apply(conn);
            conn.batch_execute(&format!("SELECT pg_advisory_unlock({LOCK})"))?;
            done
        }
    }
}

/// With the lock held: a newer program may have had it until now, and what it brought up to date is left alone.
fn apply(conn: &mut Conn) -> Result<usize> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        Error::Broken(format!("migration: {error}"))
    };
    if let Some(why) = schema(conn)?.refusal() {
        return Err(Error::Broken(why));
    }
    match conn {
        Conn::Sqlite(conn) => {
            let done = conn.run_pending_migrations(SQLITE).map_err(failed)?.len();
            // SQLite begins on a file that may only be read without a word. Writing nothing tells.
            conn.batch_execute(&format!("DELETE FROM {TABLE} WHERE 0"))?;
            Ok(done)
        }
        Conn::Postgres(conn) => Ok(conn.run_pending_migrations(POSTGRES).map_err(failed)?.len()),
    }
}
