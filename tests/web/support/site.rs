//! A place where the real program runs, stops and runs again.

use super::{
    database::{Kind, TestDatabase},
    process::Roster,
    smtp::SmtpServer,
};
use tempfile::{TempDir, tempdir};

/// A folder, a database, a mail server.
pub struct Site {
    pub folder: TempDir,
    pub database: TestDatabase,
    pub mail: SmtpServer,
}

impl Site {
    pub fn new(kind: Kind) -> Self {
        Self {
            folder: tempdir().expect("a folder"),
            database: TestDatabase::new(kind),
            mail: SmtpServer::start(),
        }
    }

    pub fn start(&self) -> Roster {
        self.start_with(&[])
    }

    /// Starts it with more settings than where its data and its mail server are.
    pub fn start_with(&self, more: &[(&str, &str)]) -> Roster {
        let (database, mail) = (self.database.url(), self.mail.url());
        let mut settings = vec![
            ("DATABASE_URL", database.as_str()),
            ("SMTP_URL", mail.as_str()),
        ];
        settings.extend(more);
        Roster::start(self.folder.path(), &settings)
    }
}
