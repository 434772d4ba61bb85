//! Whether SQLite's file is still the one that was opened.
//!
//! A file that was removed or replaced goes on taking changes for as long as somebody has it open, and they are gone
//! with the program. So the writer looks before each commit's work, and so does `/readyz`.

use super::{
    connection::Target,
    error::{Error, Result},
};
use std::{fmt, fs, os::unix::fs::MetadataExt as _, path::PathBuf};

/// Where the file lies, and which one it is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Place {
    /// Of a database that has just been opened; PostgreSQL has none.
    pub(super) fn of(target: &Target) -> Result<Option<Self>> {
        let Target::Sqlite(path) = target else {
            return Ok(None);
        };
        let found = fs::metadata(path).map_err(|error| moved(&error))?;
        Ok(Some(Self {
            path: path.clone(),
            device: found.dev(),
            inode: found.ino(),
        }))
    }

    /// # Errors
    /// [`Error::Unavailable`] when another file lies there, or none.
    pub(super) fn check(&self) -> Result<()> {
        let found = fs::metadata(&self.path).map_err(|error| moved(&error))?;
        if (found.dev(), found.ino()) == (self.device, self.inode) {
            Ok(())
        } else {
            Err(moved(&"another one lies there"))
        }
    }
}

fn moved(why: &dyn fmt::Display) -> Error {
    Error::Unavailable(format!(
        "the database's file was moved or replaced while Roster runs ({why}): put it back, or start Roster again"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_file_that_was_replaced_or_removed_is_noticed() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("roster.db");
        fs::write(&path, "one")?;
        let place = Place::of(&Target::Sqlite(path.clone())).expect("it is there");
        let place = place.expect("a file");
        assert_eq!(place.check(), Ok(()));
        fs::write(folder.path().join("other"), "two")?;
        fs::rename(folder.path().join("other"), &path)?;
        assert!(place.check().is_err(), "another file");
        fs::remove_file(&path)?;
        assert!(place.check().is_err(), "no file");
        Ok(())
    }
}
