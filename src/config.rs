//! Settings: the only place that reads the environment.
//!
//! Every setting has a flag and an environment variable: the variable is the flag's name in capitals (`--public-url`, `PUBLIC_URL`).
//! A flag wins over the environment, the environment over the default; an empty variable counts as not set.
//! `roster --help` lists them all. A wrong value ends the program with status 2 and a line that names the setting,
//! the value (never that of a secret) and what was expected; all wrong values are named at once.
//!
//! The three secrets can also come from a file, named by the same setting with `_FILE` at its end, as container platforms hand them out.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fmt, fs,
    io::{self, Write as _},
    net::{IpAddr, SocketAddr},
    num::NonZero,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use clap::{
    CommandFactory as _, FromArgMatches as _, Parser, error::ErrorKind, parser::ValueSource,
};
use ipnet::IpNet;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use time::Duration;
use url::{Host, Url};

use crate::entropy::Entropy;

/// What the program is asked to do.
#[derive(Clone, PartialEq, Eq, Debug, Default, clap::Subcommand)]
pub enum Command {
    /// Serve the web application and send its mail (the default)
    #[default]
    Serve,
    /// Bring the database to this version's tables and stop
    Migrate,
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
    /// `INVITATION_VALID_FOR`: from the last sending to expiry (R-INV-3).
    pub invitation_valid_for: Duration,
    /// `RESEND_COOLDOWN`: shortest time between two letters to one address from one organization (R-INV-8). May be zero.
    pub resend_cooldown: Duration,
    /// How many letters a day (R-INV-8).
    pub quotas: Quotas,
    /// `SIGNUP`: who may create an account (R-ORG-5).
    pub signup: Signup,
    /// `TRUSTED_PROXIES`: whose `X-Forwarded-For` is believed. Empty: nobody's.
    pub trusted_proxies: Vec<IpNet>,
    /// `LOG`: a filter in the words of `tracing_subscriber::EnvFilter`, already checked.
    pub log: String,
    /// `LOG_FORMAT`: how log lines look.
    pub log_format: LogFormat,
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

/// Who is in which organization, with which role, and how they got there.
///
/// Every setting is a flag or an environment variable; the flag wins, and an empty variable counts as not set.
#[derive(Parser)]
#[command(name = "roster", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    settings: Flags,
}

/// The settings as text. One field each: its name makes the flag and the variable, its comment the help.
#[derive(clap::Args)]
struct Flags {
    /// Address and port to serve HTTP on
    #[arg(
        long,
        global = true,
        value_name = "IP:PORT",
        default_value = "127.0.0.1:8080"
    )]
    listen: String,

    /// How people reach this server, like https://roster.example.org: every link begins with it [default: http://<LISTEN>]
    #[arg(long, global = true, value_name = "URL")]
    public_url: Option<String>,

    /// sqlite://PATH or postgres://USER:PASSWORD@HOST/NAME [default: sqlite://<DATA_DIR>/roster.db]
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,

    /// File that holds DATABASE_URL
    #[arg(long, global = true, value_name = "FILE")]
    database_url_file: Option<String>,

    /// Most connections to the database at a time
    #[arg(long, global = true, value_name = "NUMBER", default_value = "8")]
    database_connections: String,

    /// full: a power cut loses nothing acknowledged; normal: quicker, it may lose the last changes (SQLite only)
    #[arg(
        long,
        global = true,
        value_name = "full|normal",
        default_value = "full"
    )]
    sqlite_synchronous: String,

    /// Folder for the files this server keeps
    #[arg(long, global = true, value_name = "DIR", default_value = "data")]
    data_dir: String,

    /// Key for links and cookies, at least 64 hex digits; older ones may follow after commas, their links stay readable [default: made and kept in <DATA_DIR>/secret.key]
    #[arg(long, global = true, value_name = "HEX")]
    secret_key: Option<String>,

    /// File that holds SECRET_KEY
    #[arg(long, global = true, value_name = "FILE")]
    secret_key_file: Option<String>,

    /// Mail server: smtp://[USER:PASSWORD@]HOST[:25], smtp://…[:587]?tls=required (STARTTLS), smtps://…[:465]; ?ca=FILE trusts a certificate. A password is sent unencrypted only to this machine, or with ?tls=none [default: no mail]
    #[arg(long, global = true, value_name = "URL")]
    smtp_url: Option<String>,

    /// File that holds SMTP_URL
    #[arg(long, global = true, value_name = "FILE")]
    smtp_url_file: Option<String>,

    /// Write letters into this folder instead of sending them
    #[arg(long, global = true, value_name = "DIR")]
    mail_dir: Option<String>,

    /// Sender of letters
    #[arg(
        long,
        global = true,
        value_name = "NAME <ADDRESS>",
        default_value = "Roster <roster@localhost>"
    )]
    mail_from: String,

    /// How long an invitation can be accepted after it was last sent
    #[arg(long, global = true, value_name = "DURATION", default_value = "7d")]
    invitation_valid_for: String,

    /// Shortest time between two letters to one address from one organization
    #[arg(long, global = true, value_name = "DURATION", default_value = "60s")]
    resend_cooldown: String,

    /// Most letters a day to one address from one organization
    #[arg(long, global = true, value_name = "NUMBER", default_value = "10")]
    mails_per_address_per_day: String,

    /// Most letters a day one person can have sent
    #[arg(long, global = true, value_name = "NUMBER", default_value = "200")]
    mails_per_person_per_day: String,

    /// Most letters a day on behalf of one organization
    #[arg(long, global = true, value_name = "NUMBER", default_value = "500")]
    mails_per_organization_per_day: String,

    /// open: anybody may create an account; invite: only invited people and the very first visitor
    #[arg(
        long,
        global = true,
        value_name = "open|invite",
        default_value = "open"
    )]
    signup: String,

    /// Proxies whose X-Forwarded-For is believed: addresses or networks, separated by commas [default: none]
    #[arg(long, global = true, value_name = "IP[/BITS],…")]
    trusted_proxies: Option<String>,

    /// What to log: error, warn, info, debug, trace, or a filter like info,roster=debug
    #[arg(long, global = true, value_name = "FILTER", default_value = "info")]
    log: String,

    /// text or json
    #[arg(long, global = true, value_name = "text|json", default_value = "text")]
    log_format: String,

    /// Threads that serve HTTP [default: one for each processor]
    #[arg(long, global = true, value_name = "NUMBER")]
    workers: Option<String>,
}

/// The settings whose values are never shown.
const SECRETS: [&str; 3] = ["DATABASE_URL", "SECRET_KEY", "SMTP_URL"];
/// Shortest master key in bytes: as many as SHA-256 gives, more would not help (RFC 2104 section 3).
const SHORTEST_KEY: usize = 32;

/// Where a value came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Origin {
    Flag,
    Environment,
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::Default => "default",
        })
    }
}

/// One line of `check-config`.
#[derive(Clone, Debug)]
struct Setting {
    name: String,
    /// Already without secrets.
    shown: String,
    origin: Origin,
}

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
        let command = Cli::command().mut_args(|arg| {
            // the rule is applied, not repeated in every comment
            let Some(help) = arg.get_help().filter(|_| arg.is_global_set()) else {
                return arg;
            };
            let help = format!("{help} [env: {}]", variable(arg.get_id().as_str()));
            arg.help(help)
        });
        let ids: Vec<String> = command
            .get_arguments()
            .filter(|arg| arg.is_global_set())
            .map(|arg| arg.get_id().to_string())
            .collect();

        // Once with the command line alone, to learn what it sets; then the environment is put in front as more flags.
        // clap's own `env` would read the process's environment (which tests share) and take an empty variable for a value.
        let mut args: Vec<OsString> = args.into_iter().map(Into::into).collect();
        let given = command.clone().try_get_matches_from(&args)?;
        let mut origins = BTreeMap::new();
        let mut faults = Vec::new();
        for id in &ids {
            let name = variable(id);
            let set = environment(&name).filter(|value| !value.is_empty());
            let origin = match (given.value_source(id), set) {
                (Some(ValueSource::CommandLine), _) => Origin::Flag,
                (_, None) => Origin::Default,
                (_, Some(value)) if value.to_str().is_none() => {
                    faults.push(format!("{name} (environment) is not UTF-8 text"));
                    Origin::Default
                }
                (_, Some(value)) => {
                    let mut flag = OsString::from(format!("--{}=", id.replace('_', "-")));
                    flag.push(value);
                    args.insert(args.len().min(1), flag);
                    Origin::Environment
                }
            };
            origins.insert(name, origin);
        }
        let matches = command.try_get_matches_from(&args)?;
        let cli = Cli::from_arg_matches(&matches)?;

        let mut reading = Reading {
            origins,
            faults,
            settings: Vec::new(),
        };
        let config = reading.config(cli.settings);
        match config {
            Some(config) if reading.faults.is_empty() => Ok((
                cli.command.unwrap_or_default(),
                Self {
                    settings: reading.settings,
                    ..config
                },
            )),
            _ => Err(clap::Error::raw(
                ErrorKind::ValueValidation,
                format!("{}\n", reading.faults.join("\nerror: ")),
            )),
        }
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
            SecretKey::Kept(path) => {
                let failed = |what: &str, e: &io::Error| {
                    format!(
                        "SECRET_KEY is not set, and {} cannot be {what}: {e}",
                        path.display()
                    )
                };
                let there = path.try_exists().map_err(|e| failed("read", &e))?;
                if !there {
                    make_key(path, entropy).map_err(|e| failed("made", &e))?;
                }
                let mode = fs::metadata(path).map_err(|e| failed("read", &e))?.mode();
                if mode & 0o007 != 0 {
                    return Err(format!(
                        "{0} can be read by others (mode {1:04o}). Whoever reads it can make links and cookies. \
                         Run: chmod 600 {0}  (and replace the key if somebody did read it)",
                        path.display(),
                        mode & 0o7777
                    ));
                }
                let text = fs::read_to_string(path).map_err(|e| failed("read", &e))?;
                keys_of(&text).map_err(|expected| {
                    format!("{} holds no key: expected {expected}", path.display())
                })
            }
        }
    }
}

/// Makes the key under another name first: `secret.key` appears whole or not at all, and only once.
fn make_key(path: &Path, entropy: &Entropy) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    if let Some(folder) = folder {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let unfinished = path.with_extension(format!("key.{}", hex(&entropy.token()[..8])));
    let written = (|| {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)?;
        writeln!(file, "{}", hex(&entropy.token()))?;
        file.sync_all()?;
        match fs::hard_link(&unfinished, path) {
            // another process was first: its key is the one
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    })();
    // a leftover name would be harmless, and must not hide the real error
    drop(fs::remove_file(&unfinished));
    written
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        // writing into a String cannot fail
        out.push_str(&format!("{byte:02x}"));
        out
    })
}

/// `public_url` → `PUBLIC_URL`
fn variable(id: &str) -> String {
    id.to_ascii_uppercase()
}

/// What is known while settings are read.
struct Reading {
    origins: BTreeMap<String, Origin>,
    faults: Vec<String>,
    settings: Vec<Setting>,
}

impl Reading {
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
            invitation_valid_for: invitation_valid_for?,
            resend_cooldown: resend_cooldown?,
            quotas: Quotas {
                per_address: per_address?,
                per_person: per_person?,
                per_organization: per_organization?,
            },
            signup: signup?,
            trusted_proxies: trusted_proxies?,
            log: log?,
            log_format: log_format?,
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

// Readers: text → value, or what was expected.

fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "an IP address and a port, like 127.0.0.1:8080 or [::]:8080".to_owned())
}

fn folder(text: &str) -> Result<PathBuf, String> {
    if text.trim().is_empty() || text.contains('\0') {
        return Err("a folder".to_owned());
    }
    Ok(PathBuf::from(text))
}

fn public_url(text: &str) -> Result<PublicUrl, String> {
    let expected = || {
        "an http or https address without path, query or user, like https://roster.example.org"
            .to_owned()
    };
    // `Url` forgives white space and control characters by dropping them
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err(expected());
    }
    let url = Url::parse(text).map_err(|_| expected())?;
    let bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && !text.contains('@');
    let (https, host) = match (url.scheme(), url.host(), bare) {
        ("http", Some(host), true) => (false, host),
        ("https", Some(host), true) => (true, host),
        _ => return Err(expected()),
    };
    Ok(PublicUrl {
        origin: url.origin().ascii_serialization(),
        loopback: is_loopback(&host),
        host: bare_host(&host),
        https,
    })
}

fn bare_host(host: &Host<&str>) -> String {
    match host {
        Host::Domain(name) => (*name).to_owned(),
        Host::Ipv4(ip) => ip.to_string(),
        Host::Ipv6(ip) => ip.to_string(),
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => is_local_name(name),
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}

/// `localhost` and names under it never leave the machine (RFC 6761 section 6.3).
fn is_local_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// `tls`: whether this program was built with TLS to PostgreSQL.
fn database_url(text: &str, tls: bool) -> Result<DatabaseUrl, String> {
    if let Some(path) = text.strip_prefix("sqlite://") {
        return if path.is_empty() || path.ends_with('/') || path.contains(['\0', '\n', '\r']) {
            Err("a file after sqlite://, like sqlite://data/roster.db or sqlite:///var/lib/roster/roster.db".to_owned())
        } else if path.contains(['?', '#']) || path == ":memory:" {
            Err("a file after sqlite://, without options; a database in memory would be a different one for each connection".to_owned())
        } else {
            Ok(DatabaseUrl::Sqlite(PathBuf::from(path)))
        };
    }
    if !(text.starts_with("postgres://") || text.starts_with("postgresql://")) {
        return Err("sqlite://PATH, postgres://… or postgresql://…".to_owned());
    }
    if text.contains(|c: char| c.is_control()) {
        return Err("an address without control characters".to_owned());
    }
    let url = Url::parse(text).map_err(|e| format!("an address libpq understands ({e})"))?;
    if !tls {
        // libpq tries TLS when it can and goes on without when it cannot: this build would send everything in the clear, silently
        let mut mode = None;
        let mut hosts = vec![decoded(url.host_str().unwrap_or(""))?];
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "sslmode" => mode = Some(value.into_owned()),
                "host" | "hostaddr" => hosts.push(value.into_owned()),
                // a service file may name any host
                "service" | "servicefile" => hosts.push("service".to_owned()),
                _ => {}
            }
        }
        let local = hosts
            .iter()
            .flat_map(|host| host.split(','))
            .all(is_local_server);
        match mode.as_deref() {
            Some("disable") => {}
            Some("require" | "verify-ca" | "verify-full") => {
                return Err("no sslmode that demands TLS: this program was built without it (feature postgres-tls)".to_owned());
            }
            _ if local => {}
            _ => {
                return Err("a server on this machine, or sslmode=disable in the address: this program was built \
                     without TLS to PostgreSQL (feature postgres-tls) and would send everything in the clear"
                    .to_owned());
            }
        }
    }
    Ok(DatabaseUrl::Postgres(text.into()))
}

/// Whether libpq would stay on this machine: a socket (also the default), a loopback address, `localhost`.
fn is_local_server(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.is_empty()
        || host.starts_with(['/', '@'])
        || is_local_name(host)
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn keys_of(text: &str) -> Result<Vec<SecretSlice<u8>>, String> {
    let expected = || {
        format!(
            "at least {} hex digits (make some with: openssl rand -hex {SHORTEST_KEY}); older keys may follow after commas",
            SHORTEST_KEY * 2
        )
    };
    let keys: Vec<SecretSlice<u8>> = text
        .split(|c: char| c == ',' || c.is_whitespace())
        .filter(|key| !key.is_empty())
        .map(|key| {
            let key = unhex(key).ok_or_else(expected)?;
            // 32 times one byte is no key, whatever its length
            let real = key.len() >= SHORTEST_KEY && key.iter().any(|byte| *byte != key[0]);
            if real {
                Ok(key.into())
            } else {
                Err(expected())
            }
        })
        .collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Err(expected());
    }
    Ok(keys)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty()
        .then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

fn smtp_url(text: &str) -> Result<SmtpUrl, String> {
    let form =
        "smtp://[USER:PASSWORD@]HOST[:PORT] or smtps://…, with ?tls=required or ?ca=FILE if needed";
    if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(format!("{form}; a space is written %20"));
    }
    let url = Url::parse(text).map_err(|_| form.to_owned())?;
    let implicit = match url.scheme() {
        "smtp" => false,
        "smtps" => true,
        _ => return Err(form.to_owned()),
    };
    if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
        return Err(format!(
            "{form}; #, / and ? in a password are written %23, %2F and %3F"
        ));
    }
    let host = decoded(url.host_str().unwrap_or(""))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || host.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(form.to_owned());
    }
    let mut tls = None;
    let mut ca = None;
    for (key, value) in url.query_pairs() {
        match (key.as_ref(), value.as_ref()) {
            ("tls", "required") => tls = Some(true),
            ("tls", "none") if !implicit => tls = Some(false),
            ("ca", file) if !file.is_empty() => {
                let pem = fs::read_to_string(file)
                    .map_err(|e| format!("a certificate file that can be read after ca= ({e})"))?;
                if !pem.contains("-----BEGIN CERTIFICATE-----") {
                    return Err("a certificate file in PEM form after ca=".to_owned());
                }
                ca = Some(PathBuf::from(file));
            }
            _ => {
                return Err(format!(
                    "no other options than tls=required, tls=none (with smtp://) and ca=FILE; {form}"
                ));
            }
        }
    }
    let security = match (implicit, tls) {
        (true, _) => SmtpSecurity::Implicit,
        (false, Some(true)) => SmtpSecurity::StartTls,
        (false, _) => SmtpSecurity::Plain,
    };
    let login = match (decoded(url.username())?, url.password()) {
        (user, None) if user.is_empty() => None,
        (user, Some(password)) if !user.is_empty() => {
            let password = decoded(password)?;
            if user.contains('\0') || password.contains('\0') {
                return Err("no NUL in user and password".to_owned());
            }
            Some((user, password.into()))
        }
        _ => return Err(format!("a user together with a password; {form}")),
    };
    if login.is_some() && security == SmtpSecurity::Plain && tls.is_none() && !is_local_server(host)
    {
        return Err("?tls=required (or smtps://) with a user and a password, or they cross the network in the clear; \
             ?tls=none if that is wanted"
            .to_owned());
    }
    if ca.is_some() && security == SmtpSecurity::Plain {
        return Err("ca= only together with ?tls=required or smtps://".to_owned());
    }
    Ok(SmtpUrl {
        host: host.to_owned(),
        // RFC 5321 section 4.5.4.2, RFC 6409 section 3.1, RFC 8314 section 7.3
        port: url.port().unwrap_or(match security {
            SmtpSecurity::Plain => 25,
            SmtpSecurity::StartTls => 587,
            SmtpSecurity::Implicit => 465,
        }),
        security,
        login,
        ca,
    })
}

/// Undoes percent-encoding (RFC 3986 section 2.1).
fn decoded(text: &str) -> Result<String, String> {
    let expected = || "percent signs to be followed by two hex digits of UTF-8 text".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let (pair, after) = after.split_first_chunk::<2>().ok_or_else(expected)?;
            let pair = str::from_utf8(pair)
                .ok()
                .and_then(unhex)
                .ok_or_else(expected)?;
            bytes.extend(pair);
            rest = after;
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| expected())
}

fn mail_from(text: &str) -> Result<MailFrom, String> {
    let expected = || "a name and an address, like Roster <roster@example.org>".to_owned();
    if text.contains(char::is_control) {
        return Err(format!("{}, without control characters", expected()));
    }
    let text = text.trim();
    let (name, address) = match text.strip_suffix('>') {
        Some(text) => text.rsplit_once('<').ok_or_else(expected)?,
        None => ("", text),
    };
    let name = name.trim();
    let name = name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
        .unwrap_or(name);
    let (local, domain) = address.rsplit_once('@').ok_or_else(expected)?;
    let fit = |part: &str, extra: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.ends_with('.')
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
    };
    // RFC 5322 section 3.2.3 without quoted local parts; ASCII, because not every server takes more
    if !fit(local, ".!#$%&'*+-/=?^_`{|}~") || !fit(domain, ".-") || name.contains(['<', '>']) {
        return Err(expected());
    }
    Ok(MailFrom {
        name: name.to_owned(),
        address: address.to_owned(),
    })
}

/// `7d`, `24h`, `90m`, `60s`, or several after each other, like `1d12h`. Ten years at most.
fn duration(least: Duration) -> impl FnOnce(&str) -> Result<Duration, String> {
    move |text| {
        let expected = || {
            let least = if least.is_zero() { "0s" } else { "1s" };
            format!("a duration from {least} to 3650d, like 7d, 24h, 90m or 60s")
        };
        let mut total: i64 = 0;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(expected());
        }
        while !rest.is_empty() {
            let digits = rest
                .find(|c: char| !c.is_ascii_digit())
                .ok_or_else(expected)?;
            let (number, unit) = rest.split_at(digits);
            let seconds = match unit.as_bytes().first() {
                Some(b'd') => 86_400,
                Some(b'h') => 3_600,
                Some(b'm') => 60,
                Some(b's') => 1,
                _ => return Err(expected()),
            };
            total = number
                .parse::<i64>()
                .ok()
                .and_then(|n| n.checked_mul(seconds))
                .and_then(|n| total.checked_add(n))
                .ok_or_else(expected)?;
            rest = &unit[1..];
        }
        let total = Duration::seconds(total);
        if total < least || total > Duration::days(3_650) {
            return Err(expected());
        }
        Ok(total)
    }
}

fn number(range: std::ops::RangeInclusive<u32>) -> impl Fn(&str) -> Result<u32, String> {
    move |text| {
        text.trim()
            .parse()
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| format!("a whole number from {} to {}", range.start(), range.end()))
    }
}

fn one_of<T: Copy, const N: usize>(
    choices: [(&'static str, T); N],
) -> impl FnOnce(&str) -> Result<T, String> {
    move |text| {
        choices
            .iter()
            .find(|(name, _)| *name == text.trim())
            .map(|(_, value)| *value)
            .ok_or_else(|| choices.map(|(name, _)| name).join(" or "))
    }
}

fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            part.parse::<IpNet>()
                .or_else(|_| part.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| {
                    "IP addresses or networks separated by commas, like 127.0.0.1,10.0.0.0/8"
                        .to_owned()
                })
        })
        .collect()
}

fn log_filter(text: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|e| {
            format!("error, warn, info, debug, trace or a filter like info,roster=debug ({e})")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";

    fn try_read(args: &[&str], env: &[(&str, &str)]) -> Result<(Command, Config), clap::Error> {
        let args = std::iter::once("roster").chain(args.iter().copied());
        Config::try_from_args(args, |name| {
            env.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(value))
        })
    }

    fn read(args: &[&str], env: &[(&str, &str)]) -> Config {
        match try_read(args, env) {
            Ok((_, config)) => config,
            Err(e) => panic!("{args:?} {env:?}: {e}"),
        }
    }

    fn refused(args: &[&str], env: &[(&str, &str)]) -> String {
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
        assert_eq!(
            (config.log.as_str(), config.log_format),
            ("info", LogFormat::Text)
        );
        assert!(config.workers >= 1);
        assert_eq!(config.database_connections, 8);
        assert_eq!(config.sqlite_synchronous, Synchronous::Full);
    }

    #[test]
    fn flag_before_environment_before_default_and_empty_is_not_set() {
        let env = [
            ("LISTEN", "127.0.0.1:1"),
            ("DATA_DIR", "/srv/roster"),
            ("SIGNUP", ""),
            ("PUBLIC_URL", ""),
            ("MAIL_FROM", "Team <team@example.org>"),
        ];
        for args in [
            ["--listen", "127.0.0.1:2", "check-config"],
            ["check-config", "--listen", "127.0.0.1:2"],
        ] {
            let config = read(&args, &env);
            assert_eq!(config.listen.port(), 2);
            assert_eq!(config.public_url.origin, "http://127.0.0.1:2");
            assert_eq!(config.data_dir, Path::new("/srv/roster"));
            assert_eq!(config.signup, Signup::Open);
            assert_eq!(config.mail_from.address, "team@example.org");
            let shown = config.describe();
            for line in [
                "LISTEN 127.0.0.1:2 flag",
                "DATA_DIR /srv/roster environment",
                "SIGNUP open default",
                "DATABASE_URL sqlite:///srv/roster/roster.db default",
                "SMTP_URL (not set) default",
            ] {
                assert!(
                    shown
                        .lines()
                        .any(|l| l.split_whitespace().collect::<Vec<_>>().join(" ") == line),
                    "{line} in {shown}"
                );
            }
        }
        assert_eq!(
            read(&[], &[("LISTEN", "0.0.0.0:99")]).public_url.origin,
            "http://localhost:99"
        );
    }

    #[test]
    fn commands() {
        let of = |args: &[&str]| try_read(args, &[("SIGNUP", "invite")]).map(|(c, _)| c).ok();
        assert_eq!(of(&["serve"]), Some(Command::Serve));
        assert_eq!(of(&["migrate"]), Some(Command::Migrate));
        assert_eq!(of(&["check-config"]), Some(Command::CheckConfig));
        assert_eq!(
            of(&["send-test-email", "mia@example.test"]),
            Some(Command::SendTestEmail {
                address: "mia@example.test".to_owned()
            })
        );
        assert!(refused(&["send-test-email"], &[]).contains("ADDRESS"));
        assert!(refused(&["frobnicate"], &[]).contains("frobnicate"));
        assert!(refused(&["--frobnicate"], &[]).contains("--frobnicate"));
    }

    #[test]
    fn help_names_every_setting_its_variable_and_its_default() {
        let help = match try_read(&["--help"], &[("SECRET_KEY", KEY), ("LISTEN", "1.2.3.4:5")]) {
            Ok(_) => panic!("no help"),
            Err(e) => {
                assert_eq!(e.exit_code(), 0);
                e.to_string()
            }
        };
        let config = read(&[], &[]);
        let names: Vec<_> = config.settings.iter().map(|s| s.name.clone()).collect();
        assert_eq!(names.len(), 23, "{names:?}");
        let all = Cli::command();
        let flags = all
            .get_arguments()
            .filter(|arg| arg.is_global_set())
            .count();
        assert_eq!(
            flags,
            names.len(),
            "a setting that check-config does not show"
        );
        for name in names {
            assert!(
                help.contains(&format!("--{} ", name.to_lowercase().replace('_', "-"))),
                "{name}"
            );
            assert!(help.contains(&format!("[env: {name}]")), "{name}");
        }
        assert!(help.contains("[default: 7d]") && help.contains("[default: 127.0.0.1:8080]"));
        assert!(!help.contains(KEY) && !help.contains("1.2.3.4"), "{help}");
        for command in ["serve", "migrate", "check-config", "send-test-email"] {
            assert!(help.contains(command), "{command}");
        }
    }

    #[test]
    fn a_wrong_value_is_named_with_what_was_expected() {
        for (name, values, expected) in [
            (
                "LISTEN",
                &["8080", "localhost", "1.2.3.4:99999", "roster:80"][..],
                "an IP address and a port",
            ),
            (
                "PUBLIC_URL",
                &[
                    "roster.example.org",
                    "ftp://x.org",
                    "https://x.org/app",
                    "https://x.org/?a",
                    "https://x.org?",
                    "https://x.org#a",
                    "https://me@x.org",
                    "https://@x.org",
                    "https://me:pw@x.org",
                    "https://",
                    "javascript:alert(1)",
                    "https://x.org\n",
                    " https://x.org",
                    "https:\\\\x.org",
                    "https://x.org:99999",
                ],
                "an http or https address",
            ),
            ("DATA_DIR", &["  "], "a folder"),
            (
                "DATABASE_CONNECTIONS",
                &["0", "-1", "many", "1001", "1.5"],
                "a whole number from 1 to 1000",
            ),
            ("SQLITE_SYNCHRONOUS", &["off", "FULL "], "full or normal"),
            (
                "MAIL_FROM",
                &[
                    "Roster",
                    "Roster <roster>",
                    "Roster roster@x.org>",
                    "a@b@c.org",
                    "<a@x.org",
                    "R\n <a@x.org>",
                    "R\u{7f} <a@x.org>",
                    "R <a b@x.org>",
                    "@x.org",
                    "a@",
                    "ä@x.org",
                    "a <b> <a@x.org>",
                    "a@.x.org",
                ],
                "a name and an address",
            ),
            (
                "INVITATION_VALID_FOR",
                &[
                    "0s",
                    "7",
                    "d",
                    "7 d",
                    "7w",
                    "-7d",
                    "1.5d",
                    "99999999999999999999d",
                    "3651d",
                    "7dd",
                    "７d",
                ],
                "a duration from 1s to 3650d",
            ),
            (
                "RESEND_COOLDOWN",
                &["60", "soon", "9223372036854775807d"],
                "a duration from 0s",
            ),
            (
                "MAILS_PER_ADDRESS_PER_DAY",
                &["0", "x"],
                "a whole number from 1",
            ),
            (
                "MAILS_PER_PERSON_PER_DAY",
                &["0", "99999999999"],
                "a whole number from 1",
            ),
            (
                "MAILS_PER_ORGANIZATION_PER_DAY",
                &["0", "1e3"],
                "a whole number from 1",
            ),
            ("SIGNUP", &["closed", "OPEN"], "open or invite"),
            (
                "TRUSTED_PROXIES",
                &["proxy", "10.0.0.0/33", "10.0.0.1,proxy", "1.2.3"],
                "IP addresses or networks",
            ),
            ("LOG", &["roster=loud", "a=b=c"], "error, warn, info"),
            ("LOG_FORMAT", &["xml"], "text or json"),
            (
                "WORKERS",
                &["0", "1025", "all"],
                "a whole number from 1 to 1024",
            ),
        ] {
            for value in values {
                if value.trim() != *value && name == "SQLITE_SYNCHRONOUS" {
                    continue;
                }
                let said = refused(&[], &[(name, value)]);
                for part in [
                    &format!("error: {name} (environment) is {value:?}: expected "),
                    expected,
                ] {
                    assert!(said.contains(part), "{part} in {said}");
                }
                let flag = format!("--{}={value}", name.to_lowercase().replace('_', "-"));
                let said = refused(&["serve", &flag], &[]);
                assert!(
                    said.contains(&format!("{name} (flag) is {value:?}")),
                    "{said}"
                );
            }
        }
    }

    #[test]
    fn all_wrong_values_are_named_at_once() {
        let env = [("LISTEN", "x"), ("SMTP_URL", "y"), ("SIGNUP", "z")];
        let said = refused(&["--workers=0"], &env);
        assert_eq!(said.matches("error: ").count(), 4, "{said}");
    }

    #[test]
    fn database_addresses() {
        for (text, path) in [
            ("sqlite://roster.db", "roster.db"),
            ("sqlite://data/roster.db", "data/roster.db"),
            ("sqlite:///var/lib/roster.db", "/var/lib/roster.db"),
        ] {
            assert!(
                matches!(database_url(text, false), Ok(DatabaseUrl::Sqlite(p)) if p == Path::new(path)),
                "{text}"
            );
        }
        let here = [
            "postgres://localhost/roster",
            "postgresql://me:pw@127.0.0.1:5433/roster",
            "postgres://[::1]/roster",
            "postgres:///roster",
            "postgres:///roster?host=/var/run/postgresql",
            "postgres://%2Fvar%2Frun%2Fpostgresql/roster",
            "postgres://me@db.example.org/roster?sslmode=disable",
        ];
        for text in here {
            assert!(
                matches!(database_url(text, false), Ok(DatabaseUrl::Postgres(_))),
                "{text}"
            );
        }
        for text in [
            "postgres://me:hunter2@db.example.org/roster",
            "postgres://db/roster?sslmode=prefer",
            "postgres://localhost/roster?host=db.example.org",
            "postgres://localhost/roster?hostaddr=10.0.0.1",
            "postgres:///roster?service=prod",
            "postgres://localhost/roster?sslmode=require",
            "postgres://db/roster?sslmode=disable&sslmode=prefer",
        ] {
            let said = database_url(text, false).map(|_| ()).unwrap_err();
            assert!(
                said.contains("postgres-tls") && !said.contains("hunter2"),
                "{text}: {said}"
            );
            assert!(database_url(text, true).is_ok(), "{text}");
        }
        for text in [
            "",
            "roster.db",
            "mysql://localhost/x",
            "sqlite:roster.db",
            "sqlite://",
            "sqlite://data/",
            "sqlite://:memory:",
            "sqlite://x.db?mode=ro",
            "postgres:/x",
            "POSTGRES://x",
            "postgres://localhost:port/x",
            "postgres://localhost/x\ny",
        ] {
            assert!(database_url(text, true).is_err(), "{text}");
        }
    }

    #[test]
    fn mail_servers() {
        let of = |text: &str| smtp_url(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let plain = of("smtp://mail.example.org");
        assert_eq!(
            (plain.host.as_str(), plain.port, plain.security),
            ("mail.example.org", 25, SmtpSecurity::Plain)
        );
        assert!(plain.login.is_none() && plain.ca.is_none());
        let start = of("smtp://me%40x.org:p%23s%2Fs%25@mail.example.org?tls=required");
        assert_eq!((start.port, start.security), (587, SmtpSecurity::StartTls));
        assert_eq!(
            start
                .login
                .map(|(user, password)| (user, password.expose_secret().to_owned())),
            Some(("me@x.org".to_owned(), "p#s/s%".to_owned()))
        );
        let implicit = of("smtps://me:pw@[::1]:2465/");
        assert_eq!(
            (implicit.host.as_str(), implicit.port, implicit.security),
            ("::1", 2465, SmtpSecurity::Implicit)
        );
        assert_eq!(of("smtps://mail.example.org").port, 465);
        assert!(of("smtp://me:pw@127.0.0.1:1025").login.is_some());
        assert!(of("smtp://me:pw@mail?tls=none").login.is_some());
        for text in [
            "",
            "mail.example.org",
            "http://mail",
            "smtp://",
            "smtp://mail/path",
            "smtp://mail#x",
            "smtp://me@mail",
            "smtp://:pw@mail",
            "smtp://mail?tls=maybe",
            "smtp://mail?x=y",
            "smtps://mail?tls=none",
            "smtp://mail:99999",
            "smtp://me:p%zz@mail",
            "smtp://me:p%ff@mail?tls=none",
            "smtp://me:p w@mail",
            "smtp://me:hunter2@mail.example.org",
            "smtps://mail?ca=/nowhere.pem",
            "smtp://mail\r\n",
            "smtps://me:%00@mail",
        ] {
            let said = smtp_url(text).map(|_| ()).unwrap_err();
            assert!(!said.contains("hunter2"), "{said}");
        }
        let said = refused(&[], &[("SMTP_URL", "smtp://me:hunter2@mail.example.org")]);
        assert!(
            said.contains("SMTP_URL (environment) is not usable: expected ?tls=required"),
            "{said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
        assert_eq!(
            read(&["--mail-dir=/tmp/letters"], &[]).mail,
            MailTarget::Folder("/tmp/letters".into())
        );
        assert!(
            refused(&["--mail-dir=/tmp/letters"], &[("SMTP_URL", "smtp://mail")])
                .contains("MAIL_DIR and SMTP_URL are both set")
        );
    }

    #[test]
    fn a_certificate_file_is_checked() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("ca.pem");
        let url = format!("smtps://mail?ca={}", file.display());
        fs::write(&file, "no certificate").expect("written");
        assert!(smtp_url(&url).is_err_and(|e| e.contains("PEM")));
        fs::write(&file, "-----BEGIN CERTIFICATE-----\n").expect("written");
        assert_eq!(smtp_url(&url).expect("taken").ca, Some(file));
        assert!(smtp_url(&url.replace("smtps", "smtp")).is_err_and(|e| e.contains("ca=")));
    }

    #[test]
    fn other_readers() {
        let of = |text: &str| duration(Duration::ZERO)(text).ok();
        assert_eq!(of("90m"), Some(Duration::minutes(90)));
        assert_eq!(of("1d12h"), Some(Duration::hours(36)));
        assert_eq!(of("0s"), Some(Duration::ZERO));
        assert_eq!(
            networks(" 10.0.0.1, 10.0.0.0/8,::1 ")
                .map(|n| n.iter().map(ToString::to_string).collect::<Vec<_>>()),
            Ok(["10.0.0.1/32", "10.0.0.0/8", "::1/128"]
                .map(str::to_owned)
                .to_vec())
        );
        let url = public_url("https://Bücher.example:8443/").expect("taken");
        assert_eq!(
            (url.origin.as_str(), url.host.as_str()),
            (
                "https://xn--bcher-kva.example:8443",
                "xn--bcher-kva.example"
            )
        );
        assert!(url.https && !url.loopback);
        assert_eq!(
            public_url("https://x.org:443").map(|u| u.origin),
            Ok("https://x.org".to_owned())
        );
        assert!(public_url("http://roster.localhost").is_ok_and(|u| u.loopback));
        assert!(public_url("http://[::1]:8080").is_ok_and(|u| u.loopback && u.host == "::1"));
        assert_eq!(
            mail_from("\"Team, Acme\" <a.b+c@x.org>"),
            Ok(MailFrom {
                name: "Team, Acme".to_owned(),
                address: "a.b+c@x.org".to_owned()
            })
        );
        assert_eq!(mail_from("a@x.org").map(|m| m.name), Ok(String::new()));
    }

    #[test]
    fn keys_are_given_in_hex() {
        let config = read(&["--secret-key", KEY], &[]);
        let keys = config.secret_keys(&Entropy::seeded(1)).expect("given");
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].expose_secret()[..4], [0x00, 0x11, 0x22, 0x33]);
        let older = "ab".repeat(31) + "cd";
        let config = read(&[], &[("SECRET_KEY", &format!("{KEY}, {older}"))]);
        assert_eq!(
            config.secret_keys(&Entropy::seeded(1)).map(|k| k.len()),
            Ok(2)
        );
        for wrong in [
            &KEY[..62],
            &KEY[..63],
            "hunter2",
            &"z".repeat(64),
            ",",
            &"0".repeat(64),
            &format!("{KEY},short"),
        ] {
            let said = refused(&[], &[("SECRET_KEY", wrong)]);
            assert!(
                said.contains(
                    "SECRET_KEY (environment) is not usable: expected at least 64 hex digits"
                ),
                "{said}"
            );
            assert!(!said.contains(wrong) || wrong == ",", "{said}");
        }
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

    #[test]
    fn the_key_is_made_once_and_guarded() {
        let dir = tempfile::tempdir().expect("a folder");
        let data = dir.path().join("a/b");
        let config = read(&["--data-dir", &data.display().to_string()], &[]);
        assert!(!data.exists(), "reading settings writes nothing");

        // twenty at once: one key
        let keys: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..20)
                .map(|_| {
                    scope.spawn(|| {
                        let keys = config.secret_keys(&Entropy::system()).expect("a key");
                        keys[0].expose_secret().to_vec()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|t| t.join().expect("no panic"))
                .collect()
        });
        assert!(keys.iter().all(|key| key.len() == 32 && *key == keys[0]));
        let left: Vec<_> = fs::read_dir(&data)
            .expect("made")
            .map(|e| e.expect("read").file_name())
            .collect();
        assert_eq!(left, ["secret.key"]);
        let file = data.join("secret.key");
        assert_eq!(fs::metadata(&file).expect("made").mode() & 0o777, 0o600);

        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("set");
        let said = config
            .secret_keys(&Entropy::system())
            .map(|_| ())
            .unwrap_err();
        assert!(
            said.contains("chmod 600") && said.contains("0644"),
            "{said}"
        );
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set");
        fs::write(&file, "half").expect("written");
        let said = config
            .secret_keys(&Entropy::system())
            .map(|_| ())
            .unwrap_err();
        assert!(said.contains("holds no key"), "{said}");
    }

    #[test]
    fn a_variable_that_is_not_text_is_named() {
        use std::os::unix::ffi::OsStrExt as _;
        let said = Config::try_from_args(["roster"], |name| {
            (name == "MAIL_FROM").then(|| std::ffi::OsStr::from_bytes(b"\xff").to_owned())
        })
        .map(|_| ())
        .unwrap_err();
        assert!(
            said.to_string()
                .contains("MAIL_FROM (environment) is not UTF-8"),
            "{said}"
        );
    }
}
