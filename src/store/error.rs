//! What can go wrong with a database, sorted by what the visitor should do.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use std::fmt;

/// SQLITE_BUSY in words.
const LOCKED: &str = "database is locked";

/// SQLITE_NOTADB and SQLITE_CORRUPT in words.
const DAMAGED: [&str; 2] = ["is not a database", "malformed"];

/// A store function's answer.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a store function has no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// Two transactions met (serialization failure, deadlock): the same work may succeed if repeated.
    Collision(String),
    /// The database is not there or too busy: nothing was changed, try again in a moment (503).
    Unavailable(String),
    /// It went away while it committed: whether it did cannot be known from here (503).
    Unsure(String),
    /// A defect: a query, a constraint or a row that should not be (500).
    Broken(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Collision(why) => write!(f, "transactions collided: {why}"),
            Self::Unavailable(why) => write!(f, "database unavailable: {why}"),
            Self::Unsure(why) => write!(f, "not known whether the database committed: {why}"),
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
            DieselError::DatabaseError(
                // A standby after a failover takes no writes.
                DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::ReadOnlyTransaction,
                _,
            )
            | DieselError::BrokenTransactionManager => Self::Unavailable(text),
            DieselError::DatabaseError(..) => Self::classify(text),
            // SQLite may have rolled back by itself; what counts is why.
            DieselError::RollbackErrorOnCommit { commit_error, .. } => {
                Self::classify(commit_error.to_string())
            }
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
    /// Whether somebody else has SQLite's lock.
    pub(super) fn is_locked(&self) -> bool {
        matches!(self, Self::Unavailable(why) if why.contains(LOCKED))
    }

    /// Whether the file is no sound SQLite database.
    pub(super) fn is_damaged(&self) -> bool {
        matches!(self, Self::Broken(why) | Self::Unavailable(why) if DAMAGED.iter().any(|words| why.contains(words)))
    }

    /// What a commit's error means on SQLite: after a flush that failed, a crash of this machine may leave either.
    pub(super) fn of_commit(self) -> Self {
        match self {
            Self::Unavailable(why) if why.contains("disk I/O error") => Self::Unsure(why),
            error => error,
        }
    }

    /// Diesel has no kind of its own for these, and does not pass their SQLSTATE on; the words are PostgreSQL's and SQLite's (English, whatever the locale
    /// of the server: `lc_messages` is set on each connection).
    fn classify(text: String) -> Self {
        const COLLISIONS: [&str; 1] = ["deadlock detected"];
        const UNAVAILABLE: [&str; 16] = [
            LOCKED,
            "database or disk is full",
            "disk I/O error",
            "unable to open database file",
            "attempt to write a readonly database",
            "canceling statement due to lock timeout",
            "canceling statement due to statement timeout",
            "terminating connection",
            "server closed the connection",
            "the database system is",
            "could not connect",
            "no connection to the server",
            // Its disk is full, in the words of several places.
            "No space left on device",
            "could not extend file",
            "out of shared memory",
            "out of memory",
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

    /// Whether it is the database's error, and not a rule's refusal: its connection is not used again.
    fn faulty(&self) -> bool;
}

impl Repeatable for Error {
    fn repeatable(&self) -> bool {
        matches!(self, Self::Collision(_))
    }

    fn faulty(&self) -> bool {
        !self.repeatable()
    }
}
