//! SQLite files that are copied, checked and put in the place of others: backup and restore.

use super::{
    connection::Conn,
    error::{Error, Repeatable, Result},
    look, migrate,
};
use diesel::{RunQueryDsl as _, connection::SimpleConnection as _, sql_query, sql_types::Text};
use rustix::{
    fs::{FlockOperation, fcntl_lock},
    io::Errno,
};
use std::{fs::File, io, path::Path};

/// Writes everything in the database at `from` into `to`, a file that is empty or not there. Whoever uses the database
/// goes on meanwhile: SQLite reads one moment of it, and readers hold up no writer in WAL mode.
///
/// # Errors
/// The database's: `from` is not there or no database, the disk is full.
pub fn into(from: &Path, to: &Path) -> Result<()> {
    let to = to
        .to_str()
        .ok_or_else(|| Error::Broken("the path is not UTF-8".to_owned()))?;
    let mut conn = look::open_file(from, "ro")?;
    sql_query("VACUUM INTO ?")
        .bind::<Text, _>(to)
        .execute(&mut conn)?;
    Ok(())
}

/// Brings a file that nobody else uses to this program's tables, runs `work` in one transaction, and closes it.
/// It stays a single file: nothing is left in a log beside it.
///
/// # Errors
/// What `work` answers, or the database's.
pub fn alone<T, E>(
    path: &Path,
    work: impl FnOnce(&mut Conn) -> std::result::Result<T, E>,
) -> std::result::Result<T, E>
where
    E: From<Error> + Repeatable,
{
    let mut conn = prepared(path)?;
    conn.begin_write()?;
    match work(&mut conn) {
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

fn prepared(path: &Path) -> Result<Conn> {
    let mut conn = look::open_file(path, "rw")?;
    conn.batch_execute(
        "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON",
    )?;
    let mut conn = Conn::Sqlite(conn);
    migrate::run(&mut conn)?;
    Ok(conn)
}

/// A database nobody else can open while this is held: dropping it lets go.
pub enum Held {
    /// Through SQLite.
    Database(diesel::SqliteConnection),
    /// A file as such, of which SQLite can make nothing.
    File(File),
}

/// Why a database is not held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotHeld {
    /// Somebody has it open.
    Open,
    /// Nobody can say whether somebody has: it may not be read, the disk is full, …
    Unknown(String),
}

/// Makes sure that nobody has the database at `path` open, and keeps everybody out while the answer is held. What was
/// in the log beside it is in the file afterwards, unless it is damaged.
///
/// In WAL mode whoever has the database open holds a lock on the file, also when doing nothing, and leaving that mode
/// needs to be the only one (sqlite.org/pragma.html, `journal_mode`).
///
/// # Errors
/// [`NotHeld`].
pub fn hold(path: &Path) -> std::result::Result<Held, NotHeld> {
    match hold_sound(path) {
        Ok(conn) => Ok(Held::Database(conn)),
        Err(error) if error.is_locked() => Err(NotHeld::Open),
        Err(error) if error.is_damaged() => hold_file(path),
        Err(error) => Err(NotHeld::Unknown(error.to_string())),
    }
}

fn hold_sound(path: &Path) -> Result<diesel::SqliteConnection> {
    let mut conn = look::open_file(path, "rw")?;
    conn.batch_execute("PRAGMA busy_timeout = 500")?;
    conn.batch_execute("PRAGMA journal_mode = DELETE")?;
    // A file that was not in WAL mode has not been asked yet whether somebody else is there.
    conn.batch_execute("BEGIN EXCLUSIVE")?;
    Ok(conn)
}

/// Locks a whole file as SQLite locks a few bytes of it (sqlite.org/lockingv3.html): who uses it is found, and kept
/// out. In WAL mode users of a database also lock the file `-shm` beside it.
///
/// # Errors
/// [`NotHeld`].
pub fn hold_file(path: &Path) -> std::result::Result<Held, NotHeld> {
    let unknown = |error: io::Error| NotHeld::Unknown(error.to_string());
    let file = File::options()
        .read(true)
        .write(true)
        .open(path)
        .map_err(unknown)?;
    match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Held::File(file)),
        Err(Errno::AGAIN | Errno::ACCESS) => Err(NotHeld::Open),
        Err(error) => Err(unknown(error.into())),
    }
}
