//! Opens the database that the settings name: looked at before anything is written, then brought up to date.

use crate::{
    config::{Config, DatabaseUrl, Synchronous},
    store::{self, Db, Target},
};
use secrecy::ExposeSecret as _;
use std::{
    fmt, io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::Path,
};

/// Largest SQLite file whose every page is checked at the start, in bytes: that takes about a second.
const CHECKED: u64 = 256 << 20;

/// Why Roster does not start; one line for the operator.
#[derive(Debug)]
pub struct StartError(pub(crate) String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl StartError {
    /// On one line, and with the name of the file: libpq takes several lines, SQLite names none.
    pub(crate) fn of_database(config: &Config, error: &store::Error) -> Self {
        Self::named(config, &error.to_string())
    }

    /// One line about the configured database.
    pub(crate) fn named(config: &Config, what: &str) -> Self {
        match &config.database {
            DatabaseUrl::Sqlite(path) => Self::about(path, what),
            DatabaseUrl::Postgres(_) => Self(one_line(what)),
        }
    }

    /// One line about a file.
    pub(crate) fn about(path: &Path, what: &str) -> Self {
        Self(format!("{}: {}", path.display(), one_line(what)))
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Which database the settings name.
pub(crate) fn target(config: &Config) -> Target {
    match &config.database {
        DatabaseUrl::Sqlite(path) => Target::Sqlite(path.clone()),
        DatabaseUrl::Postgres(url) => Target::Postgres(url.expose_secret().to_owned()),
    }
}

/// The database with its tables up to date, and how many migrations that took.
pub(crate) fn open(config: &Config) -> Result<(Db, usize), StartError> {
    let target = target(config);
    let file = match &target {
        Target::Sqlite(path) => Some(path.as_path()),
        Target::Postgres(_) => None,
    };
    if let Some(path) = file {
        make_folder_of(path)?;
    }
    let before = file.and_then(identity);
    if let (Some(path), Some(_)) = (file, before) {
        look_first(config, &target, path)?;
    }
    let options = store::Options {
        target: target.clone(),
        connections: config.database_connections,
        synchronous_full: config.sqlite_synchronous == Synchronous::Full,
    };
    let opened = Db::open(&options)
        .and_then(|db| db.migrate().map(|applied| (db, applied)))
        .map_err(|error| match error {
            // Its words are for the operator as they are.
            store::Error::Broken(why) => StartError::named(config, &why),
            error => StartError::of_database(config, &error),
        })?;
    if before.is_some() && file.and_then(identity) != before {
        // Waiting for the lock, this program has opened the old file under its new name.
        return Err(StartError(
            "the database was restored while Roster started: start it again".to_owned(),
        ));
    }
    Ok(opened)
}

fn make_folder_of(path: &Path) -> Result<(), StartError> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let Some(folder) = folder else {
        return Ok(());
    };
    // As config.rs makes it for the key: what is in the database is nobody else's business on this machine.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| {
            StartError(format!(
                "cannot make the folder {}: {error}",
                folder.display()
            ))
        })
}

/// Which file a path names now.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Looks at a file before it is opened, which writes: what a newer program made, or what is damaged, stays as it is.
/// PostgreSQL's tables are looked at when they are brought up to date.
fn look_first(config: &Config, target: &Target, path: &Path) -> Result<(), StartError> {
    let failed = |error| StartError::of_database(config, &error);
    let mut conn = store::look::open(target).map_err(failed)?;
    let wrong = match store::schema(&mut conn).map_err(failed)?.refusal() {
        Some(why) => Some(why),
        None if worth_checking(path) => store::look::torn(&mut conn).map_err(failed)?,
        None => None,
    };
    match wrong {
        Some(why) => Err(StartError::named(config, &why)),
        None => Ok(()),
    }
}

/// Reading every page of a larger file would keep people waiting at each start; `roster doctor` does that.
fn worth_checking(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.len() <= CHECKED)
}
