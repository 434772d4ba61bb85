//! A database of its own for each test: a file, or a schema of the PostgreSQL the test run has started.

use diesel::{Connection as _, PgConnection, connection::SimpleConnection as _};
use roster::store::{Db, Options, Target};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicU64, Ordering};

/// Declares each test once for both databases. The body gets a `Kind`.
#[macro_export]
macro_rules! on_both {
    ($($(#[$doc:meta])* fn $name:ident($kind:ident) $body:block)+) => {
        $($(#[$doc])* fn $name($kind: $crate::support::database::Kind) $body)+

        mod on_sqlite {
            $(#[test] fn $name() { super::$name($crate::support::database::Kind::Sqlite) })+
        }
        mod on_postgres {
            $(#[test] fn $name() { super::$name($crate::support::database::Kind::Postgres) })+
        }
    };
}

/// Which database a test runs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// A database that goes away with the test.
pub struct TestDatabase {
    pub target: Target,
    _folder: Option<tempfile::TempDir>,
    schema: Option<(String, String)>,
    /// A test changed members by hand: then no event says how they came and went.
    pub by_hand: AtomicBool,
    /// A test set the clock back: then times do not say what came first.
    pub clock_went_back: AtomicBool,
    /// A test made rows that no action could have made: then nothing holds.
    pub made_up: AtomicBool,
}

/// The PostgreSQL of this run. A missing one fails the test: a silent skip would hide half of them.
fn postgres_url() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test run hands the address over in the environment"
    )]
    std::env::var("TEST_POSTGRES_URL")
        .expect("TEST_POSTGRES_URL names a PostgreSQL for tests; tests/run starts one")
}

impl TestDatabase {
    pub fn new(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => {
                let folder = tempfile::tempdir().expect("a folder");
                let target = Target::Sqlite(folder.path().join("roster.db"));
                Self {
                    target,
                    _folder: Some(folder),
                    schema: None,
                    by_hand: AtomicBool::new(false),
                    clock_went_back: AtomicBool::new(false),
                    made_up: AtomicBool::new(false),
                }
            }
            Kind::Postgres => {
                static NEXT: AtomicU64 = AtomicU64::new(0);
                let base = postgres_url();
                let schema = format!(
                    "t_{}_{}",
                    std::process::id(),
                    NEXT.fetch_add(1, Ordering::Relaxed)
                );
                let mut conn = PgConnection::establish(&base).expect("the test PostgreSQL answers");
                conn.batch_execute(&format!("CREATE SCHEMA {schema}"))
                    .expect("a schema");
                let joint = if base.contains('?') { '&' } else { '?' };
                let url = format!("{base}{joint}options=-csearch_path%3D{schema}");
                Self {
                    target: Target::Postgres(url),
                    _folder: None,
                    schema: Some((base, schema)),
                    by_hand: AtomicBool::new(false),
                    clock_went_back: AtomicBool::new(false),
                    made_up: AtomicBool::new(false),
                }
            }
        }
    }

    /// Opens it; the tables are there.
    pub fn open(&self) -> Db {
        self.open_with(6)
    }

    pub fn open_with(&self, connections: u32) -> Db {
        let db = Db::open(&Options {
            target: self.target.clone(),
            connections,
            synchronous_full: false,
        });
        let db = db.expect("the database opens");
        db.migrate().expect("the tables are made");
        db
    }

    /// The value of `DATABASE_URL` for a real process.
    pub fn url(&self) -> String {
        match &self.target {
            Target::Sqlite(path) => format!("sqlite://{}", path.display()),
            Target::Postgres(url) => url.clone(),
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Some((base, schema)) = self.schema.take()
            && let Ok(mut conn) = PgConnection::establish(&base)
        {
            drop(conn.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")));
        }
    }
}
