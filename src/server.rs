//! Builds everything from the settings, serves, and stops without dropping what is in flight.

use crate::{
    actions::{self, Means, Rules},
    clock::Clock,
    config::{Config, DatabaseUrl, MailTarget, ReplyTo, Signup, SmtpSecurity, Synchronous},
    domain::quota::MailLimits,
    entropy::Entropy,
    link::LinkKeys,
    mail::{
        letters::Sender,
        outbox::Outbox,
        transport::{Letter, Limits, Mailer, Outcome, Party, Security, Smtp, Transport},
    },
    password::Hasher,
    picture::Studio,
    store::{self, Db, Target},
    web::{
        self,
        app::{App, Site},
    },
};
use actix_session::{
    SessionMiddleware,
    config::{CookieContentSecurity, PersistentSession, TtlExtensionPolicy},
    storage::CookieSessionStore,
};
use actix_web::{
    App as Service, HttpServer,
    cookie::{Key, SameSite, time::Duration as CookieDuration},
    dev::Server,
    middleware::{DefaultHeaders, from_fn},
    web::{Data, QueryConfig},
};
use secrecy::ExposeSecret as _;
use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    os::unix::fs::DirBuilderExt as _,
    sync::Arc,
    time::Duration,
};
use tokio::{sync::Notify, sync::watch, task::JoinHandle};

/// How long requests that are under way may take after SIGTERM, in seconds.
const SHUTDOWN: u64 = 20;

/// Pause between two sweeps.
const HOUSEKEEPING: Duration = Duration::from_secs(600);

/// Pause between two looks at which invitations are about to expire, or have.
const REMINDING: Duration = Duration::from_secs(60);

/// Workers that empty the outbox. More than one, so that a slow conversation does not hold up the next letter.
const MAIL_WORKERS: usize = 2;

/// Why Roster does not start; one line for the operator.
#[derive(Debug)]
pub struct StartError(String);

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
    fn of_database(config: &Config, error: &store::Error) -> Self {
        let said = error.to_string();
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        Self(match &config.database {
            DatabaseUrl::Sqlite(path) => format!("{}: {said}", path.display()),
            DatabaseUrl::Postgres(_) => said,
        })
    }
}

/// Everything that serving needs, apart from the socket. Tests build it with their own clock and transport.
#[derive(Clone)]
pub struct Parts {
    /// What handlers share.
    pub app: App,
    /// Key of the session cookie.
    pub cookie_key: Key,
    /// Who letters come from.
    pub sender: Sender,
    /// Where letters go.
    pub transport: Transport,
    /// Time limits of mail conversations.
    pub mail_limits: Limits,
    /// The host in Message-IDs.
    pub public_host: String,
    /// HTTP threads.
    pub workers: usize,
}

impl Parts {
    /// From the settings: opens the database, brings its tables up to date, reads or makes the secret key.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub fn from_config(config: &Config) -> Result<Self, StartError> {
        let (clock, entropy) = (Clock::system(), Entropy::system());
        let (db, _) = open(config)?;
        let keys = config.secret_keys(&entropy).map_err(StartError)?;
        let mut keys = keys.iter().map(|key| key.expose_secret());
        let current = keys
            .next()
            .ok_or_else(|| StartError("no secret key".to_owned()))?;
        let links = LinkKeys::new(current, keys);
        let transport = transport(&config.mail);
        let site = Site {
            public_url: config.public_url.origin.clone(),
            secure_cookies: config.public_url.https || config.public_url.loopback,
            https: config.public_url.https,
            trusted_proxies: config.trusted_proxies.clone(),
            form_key: links.derive_form_key(),
        };
        let rules = Rules {
            valid_for: config.invitation_valid_for,
            mail: MailLimits {
                cooldown: config.resend_cooldown,
                per_address: config.quotas.per_address,
                per_person: config.quotas.per_person,
                per_organization: config.quotas.per_organization,
            },
            mail_ready: !matches!(transport, Transport::None),
            open_sign_up: config.signup == Signup::Open,
            seats: config.seats,
            legal: config.legal_documents.clone(),
            reminders: config.reminders,
            lapse_notices: config.lapse_notices,
        };
        let sender = Sender {
            public_url: site.public_url.clone(),
            from: Party {
                name: config.mail_from.name.clone(),
                address: config.mail_from.address.clone(),
            },
            reply_to_inviter: config.reply_to == ReplyTo::Inviter,
            links: links.clone(),
        };
        Ok(Self {
            cookie_key: Key::from(&links.derive_session_cookie_key()),
            app: App {
                db,
                clock,
                means: Arc::new(Means {
                    entropy,
                    links,
                    rules,
                }),
                hasher: Hasher::new(Hasher::usual_at_once()),
                studio: Studio::default(),
                wake: Arc::new(Notify::new()),
                site: Arc::new(site),
            },
            sender,
            transport,
            mail_limits: Limits::default(),
            public_host: config.public_url.host.clone(),
            workers: config.workers,
        })
    }

    /// A worker for the outbox.
    pub fn outbox(&self) -> Outbox {
        let app = &self.app;
        let mailer = Mailer::new(self.transport.clone(), &self.public_host, self.mail_limits);
        Outbox::new(
            app.db.clone(),
            app.clock.clone(),
            app.means.entropy.clone(),
            self.sender.clone(),
            mailer,
        )
    }

    /// The HTTP server on a socket that is bound already.
    ///
    /// # Errors
    /// When the socket cannot be listened on.
    pub fn listen(&self, socket: TcpListener, signals: bool) -> io::Result<Server> {
        let parts = self.clone();
        let secure = self.app.site.secure_cookies;
        let server = HttpServer::new(move || {
            let sessions =
                SessionMiddleware::builder(CookieSessionStore::default(), parts.cookie_key.clone())
                    // `__Host-`: no subdomain and no plain-text page can plant or overwrite it.
                    .cookie_name(if secure { "__Host-roster" } else { "roster" }.to_owned())
                    .cookie_secure(secure)
                    .cookie_http_only(true)
                    // Strict would make somebody who comes from a letter in webmail look signed out.
                    .cookie_same_site(SameSite::Lax)
                    .cookie_content_security(CookieContentSecurity::Private)
                    .session_lifecycle(
                        PersistentSession::default()
                            .session_ttl(CookieDuration::days(
                                crate::domain::session::ABSOLUTE.whole_days(),
                            ))
                            .session_ttl_extension_policy(TtlExtensionPolicy::OnStateChanges),
                    )
                    .build();
            let headers = web::HEADERS
                .into_iter()
                .fold(DefaultHeaders::new(), DefaultHeaders::add);
            let headers = if parts.app.site.https {
                headers.add(("strict-transport-security", "max-age=31536000"))
            } else {
                headers
            };
            Service::new()
                .app_data(Data::new(parts.app.clone()))
                .app_data(QueryConfig::default())
                .configure(web::configure)
                .default_service(actix_web::web::to(web::error::nowhere))
                .wrap(from_fn(web::error::render))
                .wrap(sessions)
                .wrap(headers)
                .wrap(from_fn(web::log::requests))
        })
        .workers(self.workers.max(1))
        .shutdown_timeout(SHUTDOWN);
        let server = if signals {
            server
        } else {
            server.disable_signals()
        };
        Ok(server.listen(socket)?.run())
    }

    /// Starts what runs beside the requests: the mail workers, the housekeeping, the reminders.
    pub fn start_workers(&self, stop: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
        let mut workers = self.start_mail(stop);
        workers.push(tokio::spawn(keep_house(self.app.clone(), stop.clone())));
        workers.push(tokio::spawn(remind(self.app.clone(), stop.clone())));
        workers
    }

    /// Starts the workers that empty the outbox; none without a transport.
    pub fn start_mail(&self, stop: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
        if matches!(self.transport, Transport::None) {
            return Vec::new();
        }
        (0..MAIL_WORKERS)
            .map(|_| tokio::spawn(self.outbox().run(Arc::clone(&self.app.wake), stop.clone())))
            .collect()
    }
}

/// The command `serve`: runs until SIGTERM or SIGINT, then finishes what is in flight.
///
/// # Errors
/// One line that says why it does not start.
pub fn serve(config: &Config) -> Result<(), StartError> {
    let parts = Parts::from_config(config)?;
    actix_web::rt::System::new().block_on(async {
        let socket = TcpListener::bind(config.listen).map_err(|error| {
            StartError(format!(
                "LISTEN: cannot listen on {}: {error}",
                config.listen
            ))
        })?;
        announce(config, socket.local_addr()?);
        let (stop, stopping) = watch::channel(false);
        let workers = parts.start_workers(&stopping);
        parts.listen(socket, true)?.await?;
        finish(stop, workers).await;
        Ok(())
    })
}

/// The first thing a newcomer reads.
#[expect(
    clippy::print_stdout,
    reason = "the address is what the command is for"
)]
fn announce(config: &Config, address: SocketAddr) {
    let url = &config.public_url.origin;
    println!("Roster is ready: {url}");
    tracing::info!(%address, url, "listening");
    if !config.public_url.https && !config.public_url.loopback {
        tracing::warn!(
            url,
            "PUBLIC_URL is plain http on a network: passwords and cookies can be read on the way. Put a proxy with https in front."
        );
    }
    if matches!(config.mail, MailTarget::None) {
        tracing::warn!(
            "neither SMTP_URL nor MAIL_DIR is set: invitations are not emailed, their links have to be copied"
        );
    }
}

/// Requests have ended; letters under way may end too.
async fn finish(stop: watch::Sender<bool>, workers: Vec<JoinHandle<()>>) {
    stop.send_replace(true);
    for worker in workers {
        if tokio::time::timeout(Duration::from_secs(SHUTDOWN + 15), worker)
            .await
            .is_err()
        {
            tracing::warn!("a letter under way was left behind; its state will be unknown");
        }
    }
}

/// Sweeps every few minutes, a batch at a time. Several instances may do so at once: what one has deleted the other
/// does not find.
async fn keep_house(app: App, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let pause = match app.act(actions::housekeeping::sweep).await {
            Ok(true) => Duration::from_millis(100),
            Ok(false) => HOUSEKEEPING,
            Err(error) => {
                tracing::warn!(%error, "housekeeping has to wait");
                HOUSEKEEPING
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Reminds invitees and tells inviters (R-INV-16), an organization at a time. Several instances may do so at once.
async fn remind(app: App, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let done = match app.act(actions::reminders::remind).await {
            Ok(reminded) => app
                .act(actions::reminders::tell_of_lapses)
                .await
                .map(|told| reminded || told),
            Err(error) => Err(error),
        };
        let pause = match done {
            Ok(true) => Duration::from_millis(100),
            Ok(false) => REMINDING,
            Err(error) => {
                tracing::warn!(%error, "reminders have to wait");
                REMINDING
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.changed() => {}
        }
    }
}

/// The command `migrate`: answers how many migrations were applied.
///
/// # Errors
/// One line that says what is wrong.
pub fn migrate(config: &Config) -> Result<usize, StartError> {
    Ok(open(config)?.1)
}

/// The command `send-test-email`: one letter, at once, with what the server said.
///
/// # Errors
/// What the server said, when it did not accept the letter.
pub fn send_test_email(config: &Config, address: &str) -> Result<String, StartError> {
    let transport = transport(&config.mail);
    if matches!(transport, Transport::None) {
        return Err(StartError(
            "set SMTP_URL or MAIL_DIR first: without them no letter is sent".to_owned(),
        ));
    }
    let (clock, entropy) = (Clock::system(), Entropy::system());
    let letter = Letter {
        id: entropy.uuid_v7(clock.now()).to_string(),
        date: clock.now(),
        from: Party {
            name: config.mail_from.name.clone(),
            address: config.mail_from.address.clone(),
        },
        reply_to: None,
        to: Party {
            name: String::new(),
            address: address.to_owned(),
        },
        subject: "A test letter from Roster".to_owned(),
        text: "Roster can send mail with these settings.\n".to_owned(),
        html: "<p>Roster can send mail with these settings.</p>".to_owned(),
    };
    let mut mailer = Mailer::new(transport, &config.public_url.host, Limits::default());
    let outcome = actix_web::rt::System::new().block_on(async {
        let outcome = mailer.send(&letter).await;
        mailer.close().await;
        outcome
    });
    match outcome {
        Outcome::Sent(answer) => Ok(answer),
        other => Err(StartError(format!("not sent: {}", other.reason()))),
    }
}

/// The database with its tables up to date, and how many migrations that took.
fn open(config: &Config) -> Result<(Db, usize), StartError> {
    let target = match &config.database {
        DatabaseUrl::Sqlite(path) => {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            if let Some(folder) = folder {
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
                    })?;
            }
            Target::Sqlite(path.clone())
        }
        DatabaseUrl::Postgres(url) => Target::Postgres(url.expose_secret().to_owned()),
    };
    let options = store::Options {
        target,
        connections: config.database_connections,
        synchronous_full: config.sqlite_synchronous == Synchronous::Full,
    };
    Db::open(&options)
        .and_then(|db| db.migrate().map(|applied| (db, applied)))
        .map_err(|error| StartError::of_database(config, &error))
}

fn transport(mail: &MailTarget) -> Transport {
    match mail {
        MailTarget::None => Transport::None,
        MailTarget::Folder(folder) => Transport::Folder(folder.clone()),
        MailTarget::Smtp(smtp) => Transport::Smtp(Box::new(Smtp {
            host: smtp.host.clone(),
            port: smtp.port,
            security: match smtp.security {
                SmtpSecurity::Plain => Security::Plain,
                SmtpSecurity::StartTls => Security::StartTls,
                SmtpSecurity::Implicit => Security::Implicit,
            },
            login: smtp.login.clone(),
            ca: smtp.ca.clone(),
        })),
    }
}
