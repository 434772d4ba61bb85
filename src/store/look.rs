//! Opens a database only to look at it: nothing is made, migrated or written, and the whole look sees one moment.

use super::{
    connection::{Conn, Target, connect},
    error::{Error, Result},
};
use diesel::{
    Connection as _, QueryableByName, RunQueryDsl as _, SqliteConnection,
    connection::SimpleConnection as _,
    sql_query,
    sql_types::{BigInt, Text},
};
use std::path::Path;

/// How long looking waits for somebody who holds the whole file, in milliseconds.
pub(super) const PATIENCE: u32 = 5000;

/// Opens a database that is there already, for reading.
///
/// # Errors
/// [`Error::Unavailable`] when it is not there, cannot be read or is locked.
pub fn open(target: &Target) -> Result<Conn> {
    match target {
        Target::Sqlite(path) => {
            let mut conn = open_file(path, "ro")?;
            // One moment for everything that is read. Writers go on meanwhile.
            conn.batch_execute("BEGIN")?;
            Ok(Conn::Sqlite(conn))
        }
        Target::Postgres(url) => {
            let mut conn = connect(url)?;
            conn.batch_execute(
                "SET TIME ZONE 'UTC'; SET statement_timeout = 0; \
                 BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            )?;
            Ok(Conn::Postgres(conn))
        }
    }
}

/// Opens a file that is there already. `mode` is SQLite's: `ro` or `rw`.
pub(super) fn open_file(path: &Path, mode: &str) -> Result<SqliteConnection> {
    let mut conn = SqliteConnection::establish(&address(path, mode)?)?;
    conn.batch_execute(&format!(
        "PRAGMA busy_timeout = {PATIENCE}; PRAGMA trusted_schema = OFF"
    ))?;
    Ok(conn)
}

/// The file as an SQLite URI (sqlite.org/uri.html), in which three characters mean something.
fn address(path: &Path, mode: &str) -> Result<String> {
    let whole = std::path::absolute(path)
        .map_err(|error| Error::Unavailable(format!("{}: {error}", path.display())))?;
    let text = whole
        .to_str()
        .ok_or_else(|| Error::Broken("the database's path is not UTF-8".to_owned()))?;
    let escaped = text
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    Ok(format!("file://{escaped}?mode={mode}"))
}

#[derive(QueryableByName)]
struct Quick {
    #[diesel(sql_type = Text)]
    quick_check: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// What is wrong with an SQLite file as such: pages that contradict each other, rows that name rows that are not there.
/// Nothing on PostgreSQL, which looks after that by itself.
///
/// # Errors
/// The database's, when it cannot even be asked.
pub fn damage(conn: &mut Conn) -> Result<Option<String>> {
    match torn(conn)? {
        Some(what) => Ok(Some(what)),
        None => lost(conn),
    }
}

/// Whether rows of an SQLite file name rows that are not there, although its pages may be sound.
///
/// # Errors
/// The database's.
pub fn lost(conn: &mut Conn) -> Result<Option<String>> {
    let Conn::Sqlite(conn) = conn else {
        return Ok(None);
    };
    let lost: Count =
        sql_query("SELECT count(*) AS count FROM pragma_foreign_key_check").get_result(conn)?;
    Ok((lost.count > 0).then(|| format!("{} rows name rows that are not there", lost.count)))
}

/// The first contradiction among the pages of an SQLite file, in SQLite's words (`PRAGMA quick_check`).
///
/// # Errors
/// The database's, when it cannot even be asked.
pub fn torn(conn: &mut Conn) -> Result<Option<String>> {
    let Conn::Sqlite(conn) = conn else {
        return Ok(None);
    };
    let said: Vec<Quick> = sql_query("PRAGMA quick_check(1)").load(conn)?;
    let words = said.into_iter().map(|row| row.quick_check).next();
    Ok(words.filter(|words| words != "ok"))
}

/// How many other connections of Roster there are to a PostgreSQL database: of the same name (`application_name`).
///
/// # Errors
/// The database's.
pub fn others(conn: &mut Conn) -> Result<i64> {
    // Otherwise a transaction sees the same ones each time.
    conn.batch_execute("SELECT pg_stat_clear_snapshot()")?;
    let others: Count = sql_query(
        "SELECT count(*) AS count FROM pg_stat_activity WHERE datname = current_database() \
         AND application_name = current_setting('application_name') AND pid <> pg_backend_pid()",
    )
    .get_result(conn)?;
    Ok(others.count)
}
