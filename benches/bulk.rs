//! Many rows at once: long INSERTs on SQLite, COPY on PostgreSQL. A million invitations come with four million rows; one
//! statement for each would take the afternoon.
//!
//! Indexes are dropped first and made again from the database's own words afterwards, foreign keys are not looked at
//! meanwhile: `roster doctor` judges the result.

use crate::databases::{Database, psql};
use diesel::{
    Connection as _, QueryableByName, RunQueryDsl as _, SqliteConnection,
    connection::SimpleConnection as _, sql_query, sql_types::Text,
};
use roster::domain::time::Timestamp;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{BufWriter, Write as _},
    process::{Child, ChildStdin},
};
use uuid::Uuid;

/// Bytes of one INSERT on SQLite.
const STATEMENT: usize = 200_000;

/// A table and the columns that get a value.
pub type Table = (&'static str, &'static str);

/// A value. Texts hold nothing that would need to be escaped.
#[derive(Clone, Copy)]
pub enum Cell<'a> {
    Id(Uuid),
    Text(&'a str),
    Number(i64),
    At(Timestamp),
    Bytes(&'a [u8]),
    Nothing,
}

/// A database that is being filled.
pub struct Bulk {
    into: Into,
    indexes: Vec<String>,
}

enum Into {
    Sqlite {
        conn: SqliteConnection,
        /// The INSERT of each table, as far as it is written.
        open: BTreeMap<Table, String>,
    },
    Postgres {
        url: String,
        /// A COPY of each table.
        open: BTreeMap<Table, (Child, BufWriter<ChildStdin>)>,
    },
}

#[derive(QueryableByName)]
struct Index {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    sql: String,
}

const POSTGRES_INDEXES: &str = "SELECT indexname || '|' || indexdef FROM pg_indexes WHERE schemaname = 'public' \
     AND indexname NOT IN (SELECT conname FROM pg_constraint)";

impl Bulk {
    pub fn open(database: &Database) -> Self {
        match database {
            Database::Sqlite(path) => {
                let mut conn =
                    SqliteConnection::establish(&path.to_string_lossy()).expect("the file");
                conn.batch_execute(
                    "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; \
                     PRAGMA cache_size = -500000; PRAGMA locking_mode = EXCLUSIVE",
                )
                .expect("settings");
                let indexes: Vec<Index> = sql_query(
                    "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
                )
                .load(&mut conn)
                .expect("the indexes");
                conn.batch_execute("BEGIN").expect("a transaction");
                for index in &indexes {
                    conn.batch_execute(&format!("DROP INDEX {}", index.name))
                        .expect("dropped");
                }
                Self {
                    into: Into::Sqlite {
                        conn,
                        open: BTreeMap::new(),
                    },
                    indexes: indexes.into_iter().map(|index| index.sql).collect(),
                }
            }
            Database::Postgres(url) => {
                let found = psql(url, POSTGRES_INDEXES);
                let indexes = found.lines().filter_map(|line| line.split_once('|'));
                let (names, indexes): (Vec<_>, Vec<_>) =
                    indexes.map(|(name, sql)| (name, sql.to_owned())).unzip();
                psql(url, &format!("DROP INDEX {}", names.join(", ")));
                Self {
                    into: Into::Postgres {
                        url: url.clone(),
                        open: BTreeMap::new(),
                    },
                    indexes,
                }
            }
        }
    }

    pub fn row(&mut self, table: Table, cells: &[Cell<'_>]) {
        match &mut self.into {
            Into::Sqlite { conn, open } => {
                let statement = open.entry(table).or_default();
                if statement.is_empty() {
                    write!(statement, "INSERT INTO {} ({}) VALUES ", table.0, table.1)
                        .expect("text");
                } else {
                    statement.push(',');
                }
                for (nth, cell) in cells.iter().enumerate() {
                    statement.push(if nth == 0 { '(' } else { ',' });
                    sqlite(statement, *cell);
                }
                statement.push(')');
                if statement.len() > STATEMENT {
                    conn.batch_execute(statement).expect("rows");
                    statement.clear();
                }
            }
            Into::Postgres { url, open } => {
                let (_, copy) = open.entry(table).or_insert_with(|| {
                    let copy = format!("COPY {} ({}) FROM STDIN", table.0, table.1);
                    let mut child = crate::databases::psql_reading(url, &copy);
                    let input = child.stdin.take().expect("its input");
                    (child, BufWriter::with_capacity(1 << 20, input))
                });
                let mut line = String::with_capacity(300);
                for (nth, cell) in cells.iter().enumerate() {
                    if nth > 0 {
                        line.push('\t');
                    }
                    postgres(&mut line, *cell);
                }
                line.push('\n');
                copy.write_all(line.as_bytes()).expect("a row");
            }
        }
    }

    /// Writes what is left and makes the indexes.
    pub fn finish(self) {
        match self.into {
            Into::Sqlite { mut conn, open } => {
                for statement in open.values().filter(|statement| !statement.is_empty()) {
                    conn.batch_execute(statement).expect("rows");
                }
                for index in &self.indexes {
                    conn.batch_execute(index).expect("an index");
                }
                conn.batch_execute("COMMIT").expect("committed");
            }
            Into::Postgres { url, open } => {
                for ((table, _), (mut child, copy)) in open {
                    drop(copy);
                    let ended = child.wait().expect("its end");
                    assert!(ended.success(), "COPY {table} failed");
                }
                psql(&url, &self.indexes.join("; "));
                // As the autovacuum would in time.
                psql(&url, "VACUUM ANALYZE");
                psql(&url, "CHECKPOINT");
            }
        }
    }
}

fn sqlite(out: &mut String, cell: Cell<'_>) {
    match cell {
        Cell::Id(id) => write!(out, "x'{}'", id.simple()),
        Cell::Text(text) => write!(out, "'{text}'"),
        Cell::Number(number) => write!(out, "{number}"),
        Cell::At(at) => write!(out, "{}", at.micros()),
        Cell::Bytes(bytes) => write!(out, "x'{}'", hex(bytes)),
        Cell::Nothing => write!(out, "NULL"),
    }
    .expect("text");
}

fn postgres(out: &mut String, cell: Cell<'_>) {
    match cell {
        Cell::Id(id) => write!(out, "{id}"),
        Cell::Text(text) => write!(out, "{text}"),
        Cell::Number(number) => write!(out, "{number}"),
        Cell::At(at) => {
            let at = at.utc();
            let (date, (hour, minute, second, micro)) = (at.date(), at.time().as_hms_micro());
            write!(
                out,
                "{date} {hour:02}:{minute:02}:{second:02}.{micro:06}+00"
            )
        }
        Cell::Bytes(bytes) => write!(out, "\\\\x{}", hex(bytes)),
        Cell::Nothing => write!(out, "\\N"),
    }
    .expect("text");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
