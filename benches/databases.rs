//! The databases: files in the working folder, and databases of the PostgreSQL that `benches/run` started.

use diesel::{
    Connection as _, QueryableByName, RunQueryDsl as _, SqliteConnection, sql_query,
    sql_types::BigInt,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// One database of Roster.
#[derive(Clone)]
pub enum Database {
    Sqlite(PathBuf),
    Postgres(String),
}

/// Which of the two kinds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    pub const BOTH: [Self; 2] = [Self::Sqlite, Self::Postgres];

    /// How the tables of figures call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "Roster, SQLite",
            Self::Postgres => "Roster, PostgreSQL",
        }
    }
}

impl Database {
    /// A new one of this name, in `folder` or on the server that `postgres` leads to.
    pub fn create(kind: Kind, name: &str, folder: &Path, postgres: &str) -> Self {
        fs::create_dir_all(folder).expect("a folder");
        match kind {
            Kind::Sqlite => Self::Sqlite(folder.join("roster.db")),
            Kind::Postgres => {
                psql(postgres, &format!("CREATE DATABASE bench_{name}"));
                let (server, _) = postgres.rsplit_once('/').expect("a URL with a database");
                Self::Postgres(format!("{server}/bench_{name}"))
            }
        }
    }

    /// As `DATABASE_URL` has it.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite://{}", path.display()),
            Self::Postgres(url) => url.clone(),
        }
    }
}

/// What PostgreSQL answers, a line for each row.
pub fn psql(url: &str, statement: &str) -> String {
    let said = Command::new("psql")
        .args([url, "-qAt", "-v", "ON_ERROR_STOP=1", "-c", statement])
        .output()
        .expect("psql runs");
    let error = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{statement}: {error}");
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}

/// The number a query answers, beside a server that goes on writing.
pub fn sqlite_count(path: &Path, query: &str) -> i64 {
    #[derive(QueryableByName)]
    struct Number {
        #[diesel(sql_type = BigInt)]
        number: i64,
    }
    let mut conn = SqliteConnection::establish(&path.to_string_lossy()).expect("the file");
    let found: Number = sql_query(query).get_result(&mut conn).expect("a number");
    found.number
}

/// A statement that reads rows; foreign keys are not looked at.
pub fn psql_reading(url: &str, statement: &str) -> Child {
    Command::new("psql")
        .args([url, "-qAt", "-v", "ON_ERROR_STOP=1", "-c", statement])
        .env("PGOPTIONS", "-c session_replication_role=replica")
        .stdin(Stdio::piped())
        .spawn()
        .expect("psql runs")
}
