//! Settings: the only place that reads the environment.
//!
//! Every setting has a flag and an environment variable: the variable is the flag's name in capitals (`--public-url`, `PUBLIC_URL`).
//! A flag wins over the environment, the environment over the default; an empty variable counts as not set.
//! `roster --help` lists them all, and so does docs/settings.md. A wrong value ends the program with status 2 and a line that names the setting,
//! the value (never that of a secret) and what was expected; all wrong values are named at once.
//!
//! The three secrets can also come from a file, named by the same setting with `_FILE` at its end, as container platforms hand them out.

mod addresses;
mod flags;
mod key_file;
mod legal;
mod reading;
mod values;

use crate::{domain::consent::LegalDocument, entropy::Entropy};
use clap::error::ErrorKind;
use flags::Asked;
use ipnet::IpNet;
use reading::{Reading, Setting};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use std::{env, ffi::OsString, fmt, net::SocketAddr, path::PathBuf};
use time::Duration;

/// What the program is asked to do.
#[derive(Clone, PartialEq, Eq, Debug, Default, clap::Subcommand)]
pub enum Command {
    /// Serve the web application and send its mail (the default)
    #[default]
    Serve,
    /// Bring the database to this version's tables and stop
    Migrate,
    /// Look for what should not be in the database, and say what was found; changes nothing
    Doctor,
    /// Write a copy of the database into FILE, while it is in use (SQLite)
    Backup {
        /// A file that is not there yet
        file: PathBuf,
    },
    /// Put the backup in FILE in the place of the database (SQLite); without FILE, settle what pg_restore brought back (PostgreSQL)
    Restore {
        /// What `roster backup` wrote
        file: Option<PathBuf>,
    },
    /// Print every setting, its value and where it came from, and stop
    CheckConfig,
    /// Send one letter to ADDRESS with the configured mail settings and say what became of it
    SendTestEmail {
        /// Where to send it
        address: String,
    },
}

/// Everything that can be set, read and checked. Made once, at the start.
#[derive(Clone, Debug)]
pub struct Config {
    /// `LISTEN`: where HTTP is served. Port 0 takes any free one.
    pub listen: SocketAddr,
    /// `PUBLIC_URL`: how people reach this server; every link in pages and letters begins with it (R-INV-5).
    pub public_url: PublicUrl,
    /// `DATABASE_URL`: where the data is.
    pub database: DatabaseUrl,
    /// `DATABASE_CONNECTIONS`: most connections to the database at a time.
    pub database_connections: u32,
    /// `SQLITE_SYNCHRONOUS`: what a power cut may cost.
    pub sqlite_synchronous: Synchronous,
    /// `DATA_DIR`: where this server keeps its files.
    pub data_dir: PathBuf,
    /// `SECRET_KEY` or its file: where the master keys come from; read them with [`Config::secret_keys`].
    pub secret_key: SecretKey,
    /// `SMTP_URL` or `MAIL_DIR`: what becomes of letters.
    pub mail: MailTarget,
    /// `MAIL_FROM`: the sender of every letter.
    pub mail_from: MailFrom,
    /// `REPLY_TO`: where answers to an invitation go.
    pub reply_to: ReplyTo,
    /// `INVITATION_VALID_FOR`: from the last sending to expiry (R-INV-3).
    pub invitation_valid_for: Duration,
    /// `RESEND_COOLDOWN`: shortest time between two letters to one address from one organization (R-INV-8). May be zero.
    pub resend_cooldown: Duration,
    /// How many letters a day (R-INV-8).
    pub quotas: Quotas,
    /// `SIGNUP`: who may create an account (R-ORG-5).
    pub signup: Signup,
    /// `SEATS_PER_ORGANIZATION`: most members of an organization (R-ACC-5). None: no limit.
    pub seats: Option<u32>,
    /// `LEGAL_DOCUMENTS`: what everybody has to accept (R-ACC-9), texts of files included. Empty: nothing.
    pub legal_documents: Vec<LegalDocument>,
    /// `REMINDERS`: whether invitees are reminded before their invitation expires (R-INV-16).
    pub reminders: bool,
    /// `LAPSE_NOTICES`: whether inviters are told when an invitation has expired (R-INV-16).
    pub lapse_notices: bool,
    /// `TRUSTED_PROXIES`: whose `X-Forwarded-For` is believed. Empty: nobody's.
    pub trusted_proxies: Vec<IpNet>,
    /// `LOG`: a filter in the words of `tracing_subscriber::EnvFilter`, already checked.
    pub log: String,
    /// `LOG_FORMAT`: how log lines look.
    pub log_format: LogFormat,
    /// `HTTP_CONNECTIONS`: most connections of browsers and programs at a time.
    pub http_connections: usize,
    /// `METRICS_LISTEN`: where `/metrics` is served. None: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// `WORKERS`: threads that serve HTTP.
    pub workers: usize,
    settings: Vec<Setting>,
}

/// Letters a day, each at least 1 (R-INV-8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quotas {
    /// `MAILS_PER_ADDRESS_PER_DAY`: to one address from one organization.
    pub per_address: u32,
    /// `MAILS_PER_PERSON_PER_DAY`: asked for by one person.
    pub per_person: u32,
    /// `MAILS_PER_ORGANIZATION_PER_DAY`: on behalf of one organization.
    pub per_organization: u32,
}

/// The origin at which people reach this server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicUrl {
    /// `https://roster.example.org`, with the port if it is not the usual one, without a slash at the end.
    pub origin: String,
    /// The host alone, for `Message-ID` and EHLO: a name in ASCII, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// Whether it is https.
    pub https: bool,
    /// Whether the host is this machine (`localhost`, `*.localhost`, 127.0.0.0/8, ::1), where browsers take `Secure` cookies over http too.
    pub loopback: bool,
}

/// Which database, and where.
#[derive(Clone, Debug)]
pub enum DatabaseUrl {
    /// A file, made when it is not there.
    Sqlite(PathBuf),
    /// What libpq is to connect to, as it was given; holds the password.
    Postgres(SecretString),
}

/// How soon SQLite writes through to the disk. Neither loses anything when only the program dies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Synchronous {
    /// Every change has reached the disk before it is acknowledged.
    Full,
    /// Quicker; a power cut may take back the last changes, and leaves the file in order.
    Normal,
}

/// Where the master keys come from.
#[derive(Clone, Debug)]
pub enum SecretKey {
    /// They were given: the first makes links and cookies, the others read links only.
    Given(Vec<SecretSlice<u8>>),
    /// They are kept in this file, made on first use.
    Kept(PathBuf),
}

/// What becomes of letters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MailTarget {
    /// None are sent; people pass on links themselves (R-INV-11).
    None,
    /// `MAIL_DIR`: each is written into this folder.
    Folder(PathBuf),
    /// `SMTP_URL`: they are handed to this server.
    Smtp(SmtpUrl),
}

/// An SMTP server and how to talk to it.
#[derive(Clone)]
pub struct SmtpUrl {
    /// Name or address, an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// What is encrypted.
    pub security: SmtpSecurity,
    /// User and password, percent-decoded.
    pub login: Option<(String, SecretString)>,
    /// A file of certificates (PEM) to trust besides the system's.
    pub ca: Option<PathBuf>,
}

/// What is encrypted on the way to the SMTP server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SmtpSecurity {
    /// Nothing.
    Plain,
    /// All but the greeting; a server that does not offer STARTTLS gets no letter.
    StartTls,
    /// All.
    Implicit,
}

/// The sender of letters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailFrom {
    /// What people see. May be empty.
    pub name: String,
    /// `local@domain`.
    pub address: String,
}

/// Where answers to an invitation letter go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplyTo {
    /// To who invited.
    Inviter,
    /// To the sender of letters: there is no Reply-To.
    None,
}

/// Who may create an account without an invitation (R-ORG-5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signup {
    /// Anybody.
    Open,
    /// Nobody but the very first visitor.
    Invite,
}

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpUrl")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("security", &self.security)
            .field("login", &self.login.is_some())
            .field("ca", &self.ca)
            .finish()
    }
}

impl PartialEq for SmtpUrl {
    fn eq(&self, other: &Self) -> bool {
        let login = |url: &Self| {
            url.login
                .as_ref()
                .map(|(user, password)| (user.clone(), password.expose_secret().to_owned()))
        };
        (&self.host, self.port, self.security, &self.ca)
            == (&other.host, other.port, other.security, &other.ca)
            && login(self) == login(other)
    }
}
impl Eq for SmtpUrl {}

/// Reads the command line and the environment of this process; prints what is wrong and exits with status 2
/// (status 0 after `--help` and `--version`).
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the environment"
)]
pub fn from_args() -> (Command, Config) {
    Config::try_from_args(env::args_os(), |name| env::var_os(name)).unwrap_or_else(|e| e.exit())
}

impl Config {
    /// Reads settings from `args` (the program's name first) and from an environment given as a function from name to value.
    ///
    /// Reads the files that settings name, writes nothing.
    ///
    /// # Errors
    /// Help, version, a mistake on the command line, or all wrong values, ready to be printed; `exit_code()` is the status.
    pub fn try_from_args(
        args: impl IntoIterator<Item = impl Into<OsString>>,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<(Command, Self), clap::Error> {
        let Asked {
            command,
            flags,
            origins,
            faults,
        } = Asked::of(args, environment)?;
        let config = Reading::new(origins, faults)
            .finish(flags)
            .map_err(|faults| {
                clap::Error::raw(
                    ErrorKind::ValueValidation,
                    format!("{}\n", faults.join("\nerror: ")),
                )
            })?;
        Ok((command, config))
    }

    /// The lines `check-config` prints: every setting, its value, where it came from; a secret only as `(set)`.
    pub fn describe(&self) -> String {
        let widest = |of: fn(&Setting) -> &str| {
            self.settings
                .iter()
                .map(|setting| of(setting).chars().count())
                .max()
                .unwrap_or(0)
        };
        let (names, values) = (widest(|s| &s.name), widest(|s| &s.shown));
        let mut out = String::new();
        for Setting {
            name,
            shown,
            origin,
        } in &self.settings
        {
            // writing into a String cannot fail
            out.push_str(&format!("{name:names$}  {shown:values$}  {origin}\n"));
        }
        out
    }

    /// The master keys: the first makes links and cookies, the others read links only. At least one, each at least 32 bytes.
    ///
    /// Makes `secret.key` (mode 0600) and the folder around it (mode 0700) when they are not there. Several processes may do so at once:
    /// all get the one key that came first, and none ever sees half a file.
    ///
    /// # Errors
    /// A sentence for the operator: the file is readable by others, holds no key, or cannot be read or made.
    pub fn secret_keys(&self, entropy: &Entropy) -> Result<Vec<SecretSlice<u8>>, String> {
        match &self.secret_key {
            SecretKey::Given(keys) => Ok(keys.clone()),
            SecretKey::Kept(path) => key_file::keys(path, entropy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    pub(super) const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";

    pub(super) fn try_read(
        args: &[&str],
        env: &[(&str, &str)],
    ) -> Result<(Command, Config), clap::Error> {
        let args = std::iter::once("roster").chain(args.iter().copied());
        Config::try_from_args(args, |name| {
            env.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(value))
        })
    }

    pub(super) fn read(args: &[&str], env: &[(&str, &str)]) -> Config {
        match try_read(args, env) {
            Ok((_, config)) => config,
            Err(e) => panic!("{args:?} {env:?}: {e}"),
        }
    }

    pub(super) fn refused(args: &[&str], env: &[(&str, &str)]) -> String {
        match try_read(args, env) {
            Ok((_, config)) => panic!("{args:?} {env:?} was taken: {config:?}"),
            Err(e) => {
                assert_eq!(e.exit_code(), 2, "{e}");
                e.to_string()
            }
        }
    }

    #[test]
    fn without_anything_the_defaults_hold() {
        let (command, config) = match try_read(&[], &[]) {
            Ok(read) => read,
            Err(e) => panic!("{e}"),
        };
        assert_eq!(command, Command::Serve);
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(
            config.public_url,
            PublicUrl {
                origin: "http://127.0.0.1:8080".to_owned(),
                host: "127.0.0.1".to_owned(),
                https: false,
                loopback: true
            }
        );
        assert!(
            matches!(&config.database, DatabaseUrl::Sqlite(p) if p == Path::new("data/roster.db"))
        );
        assert!(
            matches!(&config.secret_key, SecretKey::Kept(p) if p == Path::new("data/secret.key"))
        );
        assert_eq!(config.mail, MailTarget::None);
        assert_eq!(config.mail_from.name, "Roster");
        assert_eq!(config.mail_from.address, "roster@localhost");
        assert_eq!(config.reply_to, ReplyTo::Inviter);
        assert_eq!(config.invitation_valid_for, Duration::days(7));
        assert_eq!(config.resend_cooldown, Duration::MINUTE);
        assert_eq!(
            config.quotas,
            Quotas {
                per_address: 10,
                per_person: 200,
                per_organization: 500
            }
        );
        assert_eq!(config.signup, Signup::Open);
        assert!(config.trusted_proxies.is_empty());
        assert_eq!(config.seats, None);
        assert!(config.legal_documents.is_empty());
        assert!(config.reminders && config.lapse_notices);
        assert_eq!(
            (config.log.as_str(), config.log_format),
            ("info", LogFormat::Text)
        );
        assert!(config.workers >= 1);
        assert_eq!(config.database_connections, 8);
        assert_eq!(config.sqlite_synchronous, Synchronous::Full);
    }
}
