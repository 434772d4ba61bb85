//! Rows. The only place that knows Diesel and SQL.
//!
//! [`Db`] is the door: [`Db::read`] for pages, [`Db::write`] for actions. A file per table holds its queries; they are
//! the same text for SQLite and PostgreSQL, and what the two do not share goes through [`on_each!`].

/// Runs the same query against the connection behind [`Conn`], for what `MultiConnection` lacks (ON CONFLICT,
/// FOR UPDATE, several rows in one INSERT). The body is compiled once per database.
macro_rules! on_each {
    ($conn:expr, $c:ident => $body:expr) => {
        match $conn {
            $crate::store::connection::Conn::Sqlite($c) => $body,
            $crate::store::connection::Conn::Postgres($c) => $body,
        }
    };
}

/// Inserts rows and answers how many were added: several in one way there and back on PostgreSQL, otherwise one after another
/// with a statement that stays prepared. `$how` is a method of the statement.
macro_rules! insert_each {
    ($conn:expr, $table:expr, $rows:expr $(, $how:ident)?) => {{
        let insert = diesel::insert_into($table);
        let rows: Vec<_> = $rows.collect();
        match $conn {
            $crate::store::connection::Conn::Postgres(conn) if rows.len() > 1 => {
                diesel::RunQueryDsl::execute(insert.values(rows)$(.$how())?, conn)?
            }
            conn => {
                let mut added = 0;
                for row in rows {
                    added += insert.values(row)$(.$how())?.prepared().execute(conn)?;
                }
                added
            }
        }
    }};
}

/// The rows of a query whose `$column` is the key of one of these addresses, asked for as [`insert_each!`] writes.
macro_rules! find_each {
    ($conn:expr, $column:expr, $query:expr, $emails:expr, $row:ty) => {{
        let keys: Vec<&str> = $emails.iter().map(|email| email.key()).collect();
        match $conn {
            $crate::store::connection::Conn::Postgres(conn) if keys.len() > 1 => {
                let all = $query.filter($column.eq_any(keys)).prepared();
                diesel::RunQueryDsl::load::<$row>(all, conn)?
            }
            conn => {
                let mut rows = Vec::new();
                for key in keys {
                    let one = $query.filter($column.eq(key)).prepared();
                    rows.extend(one.load::<$row>(conn)?);
                }
                rows
            }
        }
    }};
}

/// Writes these functions once for each database, as modules `sqlite` and `postgres` with the types `Database` and
/// `Connection`: a query that is put together as it is needed has its database in its type. (One for
/// [`MultiBackend`](connection::MultiBackend) would have its text written three times whenever it runs.)
macro_rules! for_each_database {
    ($($function:item)+) => {
        mod sqlite {
            use super::*;
            type Database = diesel::sqlite::Sqlite;
            type Connection = diesel::sqlite::SqliteConnection;
            $($function)+
        }
        mod postgres {
            use super::*;
            type Database = diesel::pg::Pg;
            type Connection = diesel::pg::PgConnection;
            $($function)+
        }
    };
}

pub mod accounts;
mod among;
pub mod audit_events;
pub mod avatars;
mod connection;
pub mod consents;
pub mod copy;
mod counting;
mod db;
pub mod deliveries;
pub mod doctor;
mod error;
mod hands;
pub mod invitations;
mod literal;
pub mod look;
pub mod memberships;
mod migrate;
pub mod notifications;
pub mod organizations;
pub mod outbox;
mod part;
mod patience;
mod place;
mod pool;
mod prepared;
pub mod proofs;
pub mod queue;
pub mod quotas;
mod schema;
pub mod sessions;
mod status;
pub mod types;
mod writer;

pub use connection::{Conn, Target};
pub use db::{Db, Options};
pub use error::{Error, Repeatable, Result};
pub use migrate::{Schema, schema};
pub use part::Part;
pub use patience::{hurried, unhurried};
pub use status::{Status, WriterStatus};
