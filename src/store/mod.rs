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

pub mod accounts;
pub mod audit_events;
pub mod avatars;
mod connection;
pub mod consents;
mod db;
pub mod deliveries;
mod error;
pub mod invitations;
pub mod memberships;
mod migrate;
pub mod notifications;
pub mod organizations;
mod part;
pub mod proofs;
pub mod quotas;
mod schema;
pub mod sessions;
pub mod types;
mod writer;

pub use connection::{Conn, Target};
pub use db::{Db, Options};
pub use error::{Error, Repeatable, Result};
pub use part::Part;
