//! The command line and the environment: every setting as text, and where it came from.

use super::Command;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, parser::ValueSource};
use std::{collections::BTreeMap, ffi::OsString, fmt};

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
pub(super) struct Flags {
    /// Address and port to serve HTTP on
    #[arg(
        long,
        global = true,
        value_name = "IP:PORT",
        default_value = "127.0.0.1:8080"
    )]
    pub(super) listen: String,

    /// How people reach this server, like https://roster.example.org: every link begins with it [default: http://<LISTEN>]
    #[arg(long, global = true, value_name = "URL")]
    pub(super) public_url: Option<String>,

    /// sqlite://PATH or postgres://USER:PASSWORD@HOST/NAME [default: sqlite://<DATA_DIR>/roster.db]
    #[arg(long, global = true, value_name = "URL")]
    pub(super) database_url: Option<String>,

    /// File that holds DATABASE_URL
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) database_url_file: Option<String>,

    /// Most connections to the database at a time
    #[arg(long, global = true, value_name = "NUMBER", default_value = "8")]
    pub(super) database_connections: String,

    /// full: a power cut loses nothing acknowledged; normal: quicker, it may lose the last changes (SQLite only)
    #[arg(
        long,
        global = true,
        value_name = "full|normal",
        default_value = "full"
    )]
    pub(super) sqlite_synchronous: String,

    /// Folder for the files this server keeps
    #[arg(long, global = true, value_name = "DIR", default_value = "data")]
    pub(super) data_dir: String,

    /// Key for links and cookies, at least 64 hex digits; older ones may follow after commas, their links stay readable [default: made and kept in <DATA_DIR>/secret.key]
    #[arg(long, global = true, value_name = "HEX")]
    pub(super) secret_key: Option<String>,

    /// File that holds SECRET_KEY
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) secret_key_file: Option<String>,

    /// Mail server: smtp://[USER:PASSWORD@]HOST[:25], smtp://…[:587]?tls=required (STARTTLS), smtps://…[:465]; ?ca=FILE trusts a certificate. A password is sent unencrypted only to this machine, or with ?tls=none [default: no mail]
    #[arg(long, global = true, value_name = "URL")]
    pub(super) smtp_url: Option<String>,

    /// File that holds SMTP_URL
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) smtp_url_file: Option<String>,

    /// Write letters into this folder instead of sending them
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) mail_dir: Option<String>,

    /// Sender of letters
    #[arg(
        long,
        global = true,
        value_name = "NAME <ADDRESS>",
        default_value = "Roster <roster@localhost>"
    )]
    pub(super) mail_from: String,

    /// Where answers to an invitation go: to the inviter, or (none) to the sender of letters
    #[arg(
        long,
        global = true,
        value_name = "inviter|none",
        default_value = "inviter"
    )]
    pub(super) reply_to: String,

    /// How long an invitation can be accepted after it was last sent
    #[arg(long, global = true, value_name = "DURATION", default_value = "7d")]
    pub(super) invitation_valid_for: String,

    /// Shortest time between two letters to one address from one organization
    #[arg(long, global = true, value_name = "DURATION", default_value = "60s")]
    pub(super) resend_cooldown: String,

    /// Most letters a day to one address from one organization
    #[arg(long, global = true, value_name = "NUMBER", default_value = "10")]
    pub(super) mails_per_address_per_day: String,

    /// Most letters a day one person can have sent
    #[arg(long, global = true, value_name = "NUMBER", default_value = "200")]
    pub(super) mails_per_person_per_day: String,

    /// Most letters a day on behalf of one organization
    #[arg(long, global = true, value_name = "NUMBER", default_value = "500")]
    pub(super) mails_per_organization_per_day: String,

    /// open: anybody may create an account; invite: only invited people and the very first visitor
    #[arg(
        long,
        global = true,
        value_name = "open|invite",
        default_value = "open"
    )]
    pub(super) signup: String,

    /// Most members of an organization [default: no limit]
    #[arg(long, global = true, value_name = "NUMBER")]
    pub(super) seats_per_organization: Option<String>,

    /// What everybody has to accept: NAME|VERSION|ADDRESS, where ADDRESS is an http(s) URL or an absolute file; several are separated by semicolons [default: none]
    #[arg(long, global = true, value_name = "NAME|VERSION|ADDRESS;…")]
    pub(super) legal_documents: Option<String>,

    /// Remind invitees by mail, once, two days before their invitation expires
    #[arg(long, global = true, value_name = "on|off", default_value = "on")]
    pub(super) reminders: String,

    /// Tell inviters, once, when an invitation of theirs has expired unanswered
    #[arg(long, global = true, value_name = "on|off", default_value = "on")]
    pub(super) lapse_notices: String,

    /// Proxies whose X-Forwarded-For is believed: addresses or networks, separated by commas [default: none]
    #[arg(long, global = true, value_name = "IP[/BITS],…")]
    pub(super) trusted_proxies: Option<String>,

    /// What to log: error, warn, info, debug, trace, or a filter like info,roster=debug
    #[arg(long, global = true, value_name = "FILTER", default_value = "info")]
    pub(super) log: String,

    /// text or json
    #[arg(long, global = true, value_name = "text|json", default_value = "text")]
    pub(super) log_format: String,

    /// Most connections of browsers and programs at a time
    #[arg(long, global = true, value_name = "NUMBER", default_value = "4096")]
    pub(super) http_connections: String,

    /// Address and port to serve /metrics on, apart from the pages: keep it inside your network [default: not served]
    #[arg(long, global = true, value_name = "IP:PORT")]
    pub(super) metrics_listen: Option<String>,

    /// Threads that serve HTTP [default: one for each processor]
    #[arg(long, global = true, value_name = "NUMBER")]
    pub(super) workers: Option<String>,
}

/// Where a value came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Origin {
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

/// What was asked for, before any value is read.
pub(super) struct Asked {
    pub(super) command: Command,
    pub(super) flags: Flags,
    /// By the name of the variable.
    pub(super) origins: BTreeMap<String, Origin>,
    pub(super) faults: Vec<String>,
}

impl Asked {
    /// Puts the command line and the environment together.
    ///
    /// # Errors
    /// Help, version, or a mistake on the command line, ready to be printed.
    pub(super) fn of(
        args: impl IntoIterator<Item = impl Into<OsString>>,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, clap::Error> {
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
        Ok(Self {
            command: cli.command.unwrap_or_default(),
            flags: cli.settings,
            origins,
            faults,
        })
    }
}

/// `public_url` → `PUBLIC_URL`
fn variable(id: &str) -> String {
    id.to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        Config, Signup,
        tests::{KEY, read, refused, try_read},
    };
    use std::path::Path;

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
        let file = || "x.db".into();
        assert_eq!(of(&["doctor"]), Some(Command::Doctor));
        assert_eq!(
            of(&["backup", "x.db"]),
            Some(Command::Backup { file: file() })
        );
        assert_eq!(of(&["restore"]), Some(Command::Restore { file: None }));
        assert_eq!(
            of(&["restore", "x.db"]),
            Some(Command::Restore { file: Some(file()) })
        );
        assert!(refused(&["backup"], &[]).contains("FILE"));
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
        assert_eq!(names.len(), 30, "{names:?}");
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
        for command in [
            "serve",
            "migrate",
            "doctor",
            "backup",
            "restore",
            "check-config",
            "send-test-email",
        ] {
            assert!(help.contains(command), "{command}");
        }
    }

    #[test]
    fn the_page_of_settings_names_every_setting_and_its_default() {
        let page = include_str!("../../docs/settings.md");
        let command = Cli::command();
        let settings: Vec<_> = command
            .get_arguments()
            .filter(|arg| arg.is_global_set())
            .collect();
        for setting in &settings {
            let name = variable(setting.get_id().as_str());
            let mut row = format!("| `{name}` |");
            for default in setting.get_default_values() {
                row.push_str(&format!(" `{}` |", default.display()));
            }
            assert!(
                page.lines().any(|line| line.starts_with(&row)),
                "docs/settings.md has no row that begins with {row}"
            );
        }
        let rows = page.lines().filter(|line| line.starts_with("| `")).count();
        let commands = command.get_subcommands().count();
        assert_eq!(
            rows,
            settings.len() + commands,
            "docs/settings.md has a row for something that is gone"
        );
        for command in command.get_subcommands() {
            let row = format!("| `roster {}", command.get_name());
            assert!(page.contains(&row), "docs/settings.md has no row {row}");
        }
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
