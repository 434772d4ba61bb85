//! What can go wrong with a database, sorted by what the visitor should do.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use std::fmt;

/// A store function's answer.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a store function has no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// Two transactions met (serialization failure, deadlock): the same work may succeed if repeated.
    Collision(String),
    /// The database is not there or too busy: try again in a moment (503).
    Unavailable(String),
    /// A defect: a query, a constraint or a row that should not be (500).
    Broken(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Collision(why) => write!(f, "transactions collided: {why}"),
            Self::Unavailable(why) => write!(f, "database unavailable: {why}"),
            Self::Broken(why) => write!(f, "database error: {why}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<DieselError> for Error {
    fn from(error: DieselError) -> Self {
        let text = error.to_string();
        match &error {
            DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => {
                Self::Collision(text)
            }
            DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, _)
            | DieselError::BrokenTransactionManager => Self::Unavailable(text),
            DieselError::DatabaseError(..) => Self::classify(text),
            _ => Self::Broken(text),
        }
    }
}

impl From<diesel::ConnectionError> for Error {
    fn from(error: diesel::ConnectionError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl Error {
    /// Diesel has no kind of its own for these; the words are PostgreSQL's and SQLite's (English, whatever the locale
    /// of the server: `lc_messages` is set on each connection).
    fn classify(text: String) -> Self {
        const COLLISIONS: [&str; 1] = ["deadlock detected"];
        const UNAVAILABLE: [&str; 11] = [
            "database is locked",
            "database or disk is full",
            "disk I/O error",
            "attempt to write a readonly database",
            "canceling statement due to lock timeout",
            "canceling statement due to statement timeout",
            "terminating connection",
            "server closed the connection",
            "the database system is",
            "could not connect",
            "no connection to the server",
        ];
        if COLLISIONS.iter().any(|words| text.contains(words)) {
            Self::Collision(text)
        } else if UNAVAILABLE.iter().any(|words| text.contains(words)) {
            Self::Unavailable(text)
        } else {
            Self::Broken(text)
        }
    }
}

/// An answer that can say "the transactions collided, do it again".
pub trait Repeatable {
    /// Whether repeating the whole transaction may succeed.
    fn repeatable(&self) -> bool;
}

impl Repeatable for Error {
    fn repeatable(&self) -> bool {
        matches!(self, Self::Collision(_))
    }
}
