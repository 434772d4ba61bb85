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
pub mod copy;
mod db;
pub mod deliveries;
pub mod doctor;
mod error;
pub mod invitations;
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
