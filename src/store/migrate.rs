//! Brings the database's tables up to this program, also when several instances start at once.

use super::{
    connection::Conn,
    error::{Error, Result},
};
use diesel::connection::SimpleConnection as _;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// The advisory lock of migrating: any number, the same in every version.
const LOCK: i64 = 0x726f_7374_6572;

/// Applies what is missing and answers how many migrations that were.
pub(super) fn run(conn: &mut Conn) -> Result<usize> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        Error::Broken(format!("migration: {error}"))
    };
    match conn {
        // The write lock is the migration lock; each migration is a savepoint inside.
        Conn::Sqlite(conn) => conn
            .immediate_transaction(|conn| {
                conn.run_pending_migrations(SQLITE)
                    .map(|done| done.len())
                    .map_err(Migrating::Failed)
            })
            .map_err(|error| match error {
                Migrating::Failed(error) => failed(error),
                Migrating::Transaction(error) => error.into(),
            }),
        Conn::Postgres(conn) => {
            conn.batch_execute(&format!(
                "SET lock_timeout = 0; SET statement_timeout = 0; SELECT pg_advisory_lock({LOCK})"
            ))?;
            let done = conn
                .run_pending_migrations(POSTGRES)
                .map(|done| done.len())
                .map_err(failed);
            conn.batch_execute(&format!("SELECT pg_advisory_unlock({LOCK})"))?;
            done
        }
    }
}

enum Migrating {
    Failed(Box<dyn std::error::Error + Send + Sync>),
    Transaction(diesel::result::Error),
}

impl From<diesel::result::Error> for Migrating {
    fn from(error: diesel::result::Error) -> Self {
        Self::Transaction(error)
    }
}
