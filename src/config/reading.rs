//! From text to [`Config`]: each setting is read, noted for `check-config`, and blamed when it is wrong.

use super::{
    Config, DatabaseUrl, LogFormat, MailTarget, Quotas, ReplyTo, SecretKey, Signup, Synchronous,
    addresses::{database_url, public_url, smtp_url},
    flags::{Flags, Origin},
    legal::legal_documents,
    values::{duration, folder, keys_of, listen, log_filter, mail_from, networks, number, one_of},
};
use secrecy::{ExposeSecret as _, SecretString};
use std::{collections::BTreeMap, fs, num::NonZero};
use time::Duration;

/// The settings whose values are never shown.
const SECRETS: [&str; 3] = ["DATABASE_URL", "SECRET_KEY", "SMTP_URL"];

/// One line of `check-config`.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) name: String,
    /// Already without secrets.
    pub(super) shown: String,
    pub(super) origin: Origin,
}

/// What is known while settings are read.
pub(super) struct Reading {
    origins: BTreeMap<String, Origin>,
    faults: Vec<String>,
    settings: Vec<Setting>,
}

impl Reading {
    pub(super) fn new(origins: BTreeMap<String, Origin>, faults: Vec<String>) -> Self {
        Self {
            origins,
            faults,
            settings: Vec::new(),
        }
    }

    /// The settings, or everything that is wrong with them.
    pub(super) fn finish(mut self, flags: Flags) -> Result<Config, Vec<String>> {
        match self.config(flags) {
            Some(config) if self.faults.is_empty() => Ok(Config {
                settings: self.settings,
                ..config
            }),
            _ => Err(self.faults),
        }
    }

    /// `None` only together with a fault. Everything is read before anything is given up, so that all faults are named.
    fn config(&mut self, flags: Flags) -> Option<Config> {
        let listen = self.value("LISTEN", &flags.listen, listen);
        let public_url = match flags.public_url {
            Some(text) => self.value("PUBLIC_URL", &text, public_url),
            None => listen.and_then(|at| {
                // nobody can open http://0.0.0.0: the default is for trying out on this machine
                let origin = if at.ip().is_unspecified() {
                    format!("http://localhost:{}", at.port())
                } else {
                    format!("http://{at}")
                };
                self.value("PUBLIC_URL", &origin, public_url)
            }),
        };
        let data_dir = self.value("DATA_DIR", &flags.data_dir, folder);

        let database =
            match self.secret("DATABASE_URL", flags.database_url, flags.database_url_file) {
                Given::Text(text) => self.hidden("DATABASE_URL", &text, |text| {
                    database_url(text, cfg!(feature = "postgres-tls"))
                }),
                Given::Nothing => data_dir.as_ref().map(|dir| {
                    let file = dir.join("roster.db");
                    self.note("DATABASE_URL", format!("sqlite://{}", file.display()));
                    DatabaseUrl::Sqlite(file)
                }),
                Given::Wrong => None,
            };
        let database_connections = self.value(
            "DATABASE_CONNECTIONS",
            &flags.database_connections,
            number(1..=1_000),
        );
        let sqlite_synchronous = self.value(
            "SQLITE_SYNCHRONOUS",
            &flags.sqlite_synchronous,
            one_of([("full", Synchronous::Full), ("normal", Synchronous::Normal)]),
        );
        let secret_key = match self.secret("SECRET_KEY", flags.secret_key, flags.secret_key_file) {
            Given::Text(text) => self
                .hidden("SECRET_KEY", &text, keys_of)
                .map(SecretKey::Given),
            Given::Nothing => data_dir.as_ref().map(|dir| {
                let file = dir.join("secret.key");
                self.note("SECRET_KEY", format!("(kept in {})", file.display()));
                SecretKey::Kept(file)
            }),
            Given::Wrong => None,
        };

        let smtp = match self.secret("SMTP_URL", flags.smtp_url, flags.smtp_url_file) {
            Given::Text(text) => self.hidden("SMTP_URL", &text, smtp_url).map(Some),
            Given::Nothing => {
                self.note("SMTP_URL", "(not set)".to_owned());
                Some(None)
            }
            Given::Wrong => None,
        };
        let mail_dir = match flags.mail_dir {
            Some(text) => self.value("MAIL_DIR", &text, folder).map(Some),
            None => {
                self.note("MAIL_DIR", "(not set)".to_owned());
                Some(None)
            }
        };
        let mail = match (smtp, mail_dir) {
            (Some(None), Some(None)) => Some(MailTarget::None),
            (Some(None), Some(Some(folder))) => Some(MailTarget::Folder(folder)),
            (Some(Some(smtp)), Some(None)) => Some(MailTarget::Smtp(smtp)),
            (Some(Some(_)), Some(Some(_))) => {
                self.faults.push(
                    "MAIL_DIR and SMTP_URL are both set: expected one of them, letters go to a folder or to a server"
                        .to_owned(),
                );
                None
            }
            // and a fault says why
            (None, _) | (_, None) => None,
        };
        let mail_from = self.value("MAIL_FROM", &flags.mail_from, mail_from);
        let reply_to = self.value(
            "REPLY_TO",
            &flags.reply_to,
            one_of([("inviter", ReplyTo::Inviter), ("none", ReplyTo::None)]),
        );

        let invitation_valid_for = self.value(
            "INVITATION_VALID_FOR",
            &flags.invitation_valid_for,
            duration(Duration::SECOND),
        );
        let resend_cooldown = self.value(
            "RESEND_COOLDOWN",
            &flags.resend_cooldown,
            duration(Duration::ZERO),
        );
        let mails = number(1..=1_000_000);
        let per_address = self.value(
            "MAILS_PER_ADDRESS_PER_DAY",
            &flags.mails_per_address_per_day,
            &mails,
        );
        let per_person = self.value(
            "MAILS_PER_PERSON_PER_DAY",
            &flags.mails_per_person_per_day,
            &mails,
        );
        let per_organization = self.value(
            "MAILS_PER_ORGANIZATION_PER_DAY",
            &flags.mails_per_organization_per_day,
            &mails,
        );
        let signup = self.value(
            "SIGNUP",
            &flags.signup,
            one_of([("open", Signup::Open), ("invite", Signup::Invite)]),
        );
        let seats = match flags.seats_per_organization {
            Some(text) => self
                .value("SEATS_PER_ORGANIZATION", &text, number(1..=1_000_000))
                .map(Some),
            None => {
                self.note("SEATS_PER_ORGANIZATION", "(no limit)".to_owned());
                Some(None)
            }
        };
        let legal_documents = match flags.legal_documents {
            Some(text) => self.value("LEGAL_DOCUMENTS", &text, legal_documents),
            None => {
                self.note("LEGAL_DOCUMENTS", "(none)".to_owned());
                Some(Vec::new())
            }
        };
        let on_or_off = [("on", true), ("off", false)];
        let reminders = self.value("REMINDERS", &flags.reminders, one_of(on_or_off));
        let lapse_notices = self.value("LAPSE_NOTICES", &flags.lapse_notices, one_of(on_or_off));
        let trusted_proxies = match flags.trusted_proxies {
            Some(text) => self.value("TRUSTED_PROXIES", &text, networks),
            None => {
                self.note("TRUSTED_PROXIES", "(none)".to_owned());
                Some(Vec::new())
            }
        };
        let log = self.value("LOG", &flags.log, log_filter);
        let log_format = self.value(
            "LOG_FORMAT",
            &flags.log_format,
            one_of([("text", LogFormat::Text), ("json", LogFormat::Json)]),
        );
        let http_connections = self.value(
            "HTTP_CONNECTIONS",
            &flags.http_connections,
            number(16..=1_000_000),
        );
        let metrics_listen = match flags.metrics_listen {
            Some(text) => self.value("METRICS_LISTEN", &text, self::listen).map(Some),
            None => {
                self.note("METRICS_LISTEN", "(not served)".to_owned());
                Some(None)
            }
        };
        let workers = flags.workers.unwrap_or_else(|| {
            std::thread::available_parallelism()
                .map_or(1, NonZero::get)
                .to_string()
        });
        let workers = self.value("WORKERS", &workers, number(1..=1_024));

        Some(Config {
            listen: listen?,
            public_url: public_url?,
            database: database?,
            database_connections: database_connections?,
            sqlite_synchronous: sqlite_synchronous?,
            data_dir: data_dir?,
            secret_key: secret_key?,
            mail: mail?,
            mail_from: mail_from?,
            reply_to: reply_to?,
            invitation_valid_for: invitation_valid_for?,
            resend_cooldown: resend_cooldown?,
            quotas: Quotas {
                per_address: per_address?,
                per_person: per_person?,
                per_organization: per_organization?,
            },
            signup: signup?,
            seats: seats?,
            legal_documents: legal_documents?,
            reminders: reminders?,
            lapse_notices: lapse_notices?,
            trusted_proxies: trusted_proxies?,
            log: log?,
            log_format: log_format?,
            http_connections: usize::try_from(http_connections?).ok()?,
            metrics_listen: metrics_listen?,
            workers: usize::try_from(workers?).ok()?,
            settings: Vec::new(),
        })
    }

    /// Reads one setting; a wrong value becomes a fault. The reader's error is what was expected.
    fn value<T>(
        &mut self,
        name: &str,
        text: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.note(name, text.to_owned());
        self.read(name, text, &format!(" is {text:?}"), read)
    }

    /// The same for a secret, whose value goes nowhere.
    fn hidden<T>(
        &mut self,
        name: &str,
        text: &SecretString,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.read(name, text.expose_secret(), " is not usable", read)
    }

    fn read<T>(
        &mut self,
        name: &str,
        text: &str,
        shown: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match read(text) {
            Ok(value) => Some(value),
            Err(expected) => {
                let origin = self.origin(name);
                self.faults
                    .push(format!("{name} ({origin}){shown}: expected {expected}"));
                None
            }
        }
    }

    /// The text of a secret, from the setting or from the file its twin names.
    fn secret(&mut self, name: &str, text: Option<String>, file: Option<String>) -> Given {
        debug_assert!(SECRETS.contains(&name));
        let twin = format!("{name}_FILE");
        let shown = |set: bool| if set { "(set)" } else { "(not set)" }.to_owned();
        match (text, file) {
            (Some(_), Some(_)) => {
                self.faults.push(format!(
                    "{name} and {twin} are both set: expected one of them"
                ));
                Given::Wrong
            }
            (Some(text), None) => {
                self.note(name, shown(true));
                self.note(&twin, shown(false));
                Given::Text(text.trim().into())
            }
            (None, None) => {
                self.note(&twin, shown(false));
                Given::Nothing
            }
            (None, Some(file)) => {
                self.note(name, format!("(set, from {twin})"));
                self.value(&twin, &file, |file| {
                    let text = fs::read_to_string(file)
                        .map_err(|e| format!("a file that can be read ({e})"))?;
                    match text.trim() {
                        "" => Err("a file that is not empty".to_owned()),
                        text => Ok(Given::Text(text.into())),
                    }
                })
                .unwrap_or(Given::Wrong)
            }
        }
    }

    fn note(&mut self, name: &str, shown: String) {
        self.settings.push(Setting {
            name: name.to_owned(),
            shown,
            origin: self.origin(name),
        });
    }

    fn origin(&self, name: &str) -> Origin {
        let own = self.origins.get(name).copied().unwrap_or(Origin::Default);
        // a secret that is read from its twin's file came from where the twin did
        match own {
            Origin::Default if SECRETS.contains(&name) => self
                .origins
                .get(&format!("{name}_FILE"))
                .copied()
                .unwrap_or(own),
            own => own,
        }
    }
}

/// A secret as it was given.
enum Given {
    Text(SecretString),
    Nothing,
    /// And a fault says why.
    Wrong,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{KEY, read, refused};

    #[test]
    fn all_wrong_values_are_named_at_once() {
        let env = [("LISTEN", "x"), ("SMTP_URL", "y"), ("SIGNUP", "z")];
        let said = refused(&["--workers=0"], &env);
        assert_eq!(said.matches("error: ").count(), 4, "{said}");
    }

    #[test]
    fn a_secret_can_come_from_a_file_but_not_twice() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("secret");
        let path = file.display().to_string();
        fs::write(&file, format!("{KEY}\n")).expect("written");
        let config = read(&[], &[("SECRET_KEY_FILE", &path)]);
        assert!(matches!(&config.secret_key, SecretKey::Given(keys) if keys.len() == 1));
        let shown = config.describe();
        assert!(
            shown.contains("(set, from SECRET_KEY_FILE)") && !shown.contains(KEY),
            "{shown}"
        );
        assert!(!format!("{config:?}").contains(KEY));

        let both = refused(&["--secret-key", KEY], &[("SECRET_KEY_FILE", &path)]);
        assert!(
            both.contains("SECRET_KEY and SECRET_KEY_FILE are both set"),
            "{both}"
        );

        fs::write(&file, "smtp://me:hunter2@mail?tls=required\n").expect("written");
        let config = read(&["--smtp-url-file", &path], &[]);
        assert!(matches!(&config.mail, MailTarget::Smtp(smtp) if smtp.port == 587));
        assert!(
            !config.describe().contains("hunter2") && !format!("{config:?}").contains("hunter2")
        );

        fs::write(&file, "postgres://me:hunter2@localhost/roster").expect("written");
        let config = read(&["--database-url-file", &path], &[]);
        assert!(
            matches!(&config.database, DatabaseUrl::Postgres(url) if url.expose_secret().ends_with("/roster"))
        );
        assert!(
            !config.describe().contains("hunter2") && !format!("{config:?}").contains("hunter2")
        );

        fs::write(&file, " \n").expect("written");
        assert!(
            refused(&["--smtp-url-file", &path], &[]).contains("expected a file that is not empty")
        );
        let gone = refused(&["--smtp-url-file", "/nowhere/secret"], &[]);
        assert!(
            gone.contains(
                "SMTP_URL_FILE (flag) is \"/nowhere/secret\": expected a file that can be read"
            ),
            "{gone}"
        );
    }
}
