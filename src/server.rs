//! Builds everything from the settings, serves, and stops without dropping what is in flight.

use crate::{
    actions::{self, Means, Rules},
    clock::Clock,
    config::{Config, MailTarget, ReplyTo, Signup, SmtpSecurity},
    domain::quota::MailLimits,
    entropy::Entropy,
    link::LinkKeys,
    mail::{
        letters::Sender,
        outbox::{self, Crew, Office, Outbox},
        transport::{Limits, Mailer, Party, Security, Smtp, Transport},
    },
    metrics::Metrics,
    opening::{StartError, open},
    password::Hasher,
    picture::Studio,
    store::outbox::Board,
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
    dev::{Server, ServerHandle},
    middleware::{DefaultHeaders, from_fn},
    web::{Data, QueryConfig},
};
use rustix::process::{Resource, Rlimit};
use secrecy::ExposeSecret as _;
use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::Notify, sync::watch, task::JoinHandle, time::Instant};

/// How long requests that are under way may take after SIGTERM, in seconds.
const SHUTDOWN: u64 = 20;

/// How long letters under way may take after the last request: a little more than a conversation after its letter has
/// left ([`Limits`]).
const FAREWELL: Duration = Duration::from_secs(35);

/// How long after the start the work begins that nobody waits for.
const AFTER_START: Duration = Duration::from_secs(1);

/// Pause between two sweeps.
const HOUSEKEEPING: Duration = Duration::from_secs(600);

/// Pause between two looks at which invitations are about to expire, or have.
const REMINDING: Duration = Duration::from_secs(60);

/// Open files besides connections: sockets that listen, letters on their way, what the threads wait on.
const OTHER_FILES: u64 = 100;

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
    /// Connections that are open at once; more wait until one of them ends.
    pub connections: usize,
}

impl Parts {
    /// From the settings: opens the database, brings its tables up to date, reads or makes the secret key.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub fn from_config(config: &Config) -> Result<Self, StartError> {
        let (clock, entropy) = (Clock::system(), Entropy::system());
        let metrics = Metrics::new(clock.now());
        let (db, _) = open(config)?;
        let links = link_keys(config, &entropy)?;
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
                board: Board::default(),
                site: Arc::new(site),
                metrics,
            },
            sender,
            transport,
            mail_limits: Limits::default(),
            public_host: config.public_url.host.clone(),
            workers: config.workers,
            connections: config.http_connections,
        })
    }

    /// A worker for the outbox.
    pub fn outbox(&self) -> Outbox {
        let app = &self.app;
        let mailer = Mailer::new(self.transport.clone(), &self.public_host, self.mail_limits);
        let office = Office {
            db: app.db.clone(),
            clock: app.clock.clone(),
            entropy: app.means.entropy.clone(),
            sender: self.sender.clone(),
            board: app.board.clone(),
            wake: Arc::clone(&app.wake),
            metrics: app.metrics.clone(),
        };
        Outbox::new(Arc::new(office), mailer)
    }

    /// The HTTP server on a socket that is bound already.
    ///
    /// # Errors
    /// When the socket cannot be listened on.
    pub fn listen(&self, socket: TcpListener, signals: bool) -> io::Result<Server> {
        let parts = self.clone();
        let workers = self.workers.max(1);
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
                .wrap(from_fn(web::connection::pace))
        })
        .workers(workers)
        // actix counts them for each thread.
        .max_connections(self.connections.div_ceil(workers).max(1))
        .keep_alive(web::connection::IDLE)
        .client_request_timeout(web::connection::HEAD_TIME)
        .on_connect(web::connection::watch)
        .shutdown_timeout(SHUTDOWN);
        let server = if signals {
            server
        } else {
            server.disable_signals()
        };
        Ok(server.listen(socket)?.run())
    }

    /// The server of `/metrics`, on a socket of its own that is bound already. Ends when its handle is stopped.
    ///
    /// # Errors
    /// When the socket cannot be listened on.
    pub fn listen_for_figures(&self, socket: TcpListener) -> io::Result<Server> {
        let app = self.app.clone();
        let server = HttpServer::new(move || {
            Service::new()
                .app_data(Data::new(app.clone()))
                .configure(web::figures::configure)
        });
        let server = server.workers(1).shutdown_timeout(1).disable_signals();
        Ok(server.listen(socket)?.run())
    }

    /// Starts what runs beside the requests: the mail workers, the housekeeping, the reminders.
    pub fn start_workers(&self, stop: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
        let mut workers = self.start_mail(stop);
        workers.push(later(stop, keep_house(self.app.clone(), stop.clone())));
        workers.push(later(stop, remind(self.app.clone(), stop.clone())));
        if matches!(self.transport, Transport::None) {
            let (db, clock) = (self.app.db.clone(), self.app.clock.clone());
            workers.push(later(stop, outbox::write_off(db, clock, stop.clone())));
        }
        workers
    }

    /// Starts the workers that empty the outbox; none without a transport.
    pub fn start_mail(&self, stop: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
        if matches!(self.transport, Transport::None) {
            return Vec::new();
        }
        let crew = Crew::new(stop.clone());
        (0..outbox::WORKERS)
            .map(|_| {
                let seen = self.app.metrics.mail_workers().join();
                let work = self.outbox().run(crew.clone());
                tokio::spawn(async move {
                    work.await;
                    drop(seen);
                })
            })
            .collect()
    }
}

/// The command `serve`: runs until SIGTERM or SIGINT, then finishes what is in flight.
///
/// # Errors
/// One line that says why it does not start.
pub fn serve(config: &Config) -> Result<(), StartError> {
    let parts = Parts::from_config(config)?;
    allow_open_files(config);
    actix_web::rt::System::new().block_on(async {
        let socket = bind("LISTEN", config.listen)?;
        let figures = match config.metrics_listen {
            Some(address) => Some(start_figures(&parts, address)?),
            None => None,
        };
        announce(config, socket.local_addr()?);
        let (stop, stopping) = watch::channel(false);
        let workers = parts.start_workers(&stopping);
        let stop = Arc::new(stop);
        tokio::spawn(stop_when_told(Arc::clone(&stop)));
        parts.listen(socket, true)?.await?;
        finish(stop, workers).await;
        if let Some(figures) = figures {
            figures.stop(false).await;
        }
        Ok(())
    })
}

/// Raises the limit of open files as far as we may, and says so when it cannot carry the connections we are asked for.
fn allow_open_files(config: &Config) {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let now = match rustix::process::setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let needed = open_files(config.http_connections, config.database_connections);
    if let Some(limit) = now.filter(|limit| *limit < needed) {
        tracing::warn!(
            limit,
            needed,
            "the limit of open files is too low for HTTP_CONNECTIONS: raise it (ulimit -n, LimitNOFILE=) or lower the setting"
        );
    }
}

/// How many files are open when every connection is taken.
fn open_files(http: usize, database: u32) -> u64 {
    // Two for each client (web/connection.rs), three for each database connection (SQLite: file, log and its index).
    let http = u64::try_from(http).unwrap_or(u64::MAX).saturating_mul(2);
    http.saturating_add(u64::from(database) * 3 + OTHER_FILES)
}

fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .map_err(|error| StartError(format!("{setting}: cannot listen on {address}: {error}")))
}

/// Serves `/metrics` beside the pages.
fn start_figures(parts: &Parts, address: SocketAddr) -> Result<ServerHandle, StartError> {
    let socket = bind("METRICS_LISTEN", address)?;
    tracing::info!(address = %socket.local_addr()?, "metrics are served");
    let server = parts.listen_for_figures(socket)?;
    let handle = server.handle();
    actix_web::rt::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "metrics are not served any more");
        }
    });
    Ok(handle)
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

/// Tells the workers of SIGTERM and SIGINT at once: letters that are not on their way yet need not wait until the last
/// request has ended. actix listens by itself, for the requests.
async fn stop_when_told(stop: Arc<watch::Sender<bool>>) {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = signal(SignalKind::terminate()).and_then(|term| {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok((term, interrupt))
    });
    match signals {
        Ok((mut term, mut interrupt)) => {
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
            }
            stop.send_replace(true);
        }
        // Then they are told when the last request has ended.
        Err(error) => tracing::warn!(%error, "the mail workers do not hear signals"),
    }
}

/// Requests have ended; letters under way may end too.
async fn finish(stop: Arc<watch::Sender<bool>>, workers: Vec<JoinHandle<()>>) {
    stop.send_replace(true);
    let until = Instant::now() + FAREWELL;
    for worker in workers {
        if tokio::time::timeout_at(until, worker).await.is_err() {
            tracing::warn!("a letter under way was left behind; its state will be unknown");
        }
    }
}

/// Begins work a moment after the start, which belongs to the first visitors.
fn later(
    stop: &watch::Receiver<bool>,
    work: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    let mut stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = tokio::time::sleep(AFTER_START) => work.await,
            _ = stop.changed() => {}
        }
    })
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

/// The keys of links, the current one first.
///
/// # Errors
/// One line that says what is wrong with them.
pub(crate) fn link_keys(config: &Config, entropy: &Entropy) -> Result<LinkKeys, StartError> {
    let keys = config.secret_keys(entropy).map_err(StartError)?;
    let mut keys = keys.iter().map(|key| key.expose_secret());
    let current = keys
        .next()
        .ok_or_else(|| StartError("no secret key".to_owned()))?;
    Ok(LinkKeys::new(current, keys))
}

/// Where letters go, by the settings.
pub(crate) fn transport(mail: &MailTarget) -> Transport {
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
