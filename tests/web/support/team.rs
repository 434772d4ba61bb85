//! A running Roster: the real server on a port of its own, with a clock, a mailbox and fast passwords.

use super::{
    checker,
    database::{Kind, TestDatabase},
    people::Person,
};
use actix_web::{cookie::Key, dev::ServerHandle};
use roster::{
    actions::{Means, Rules},
    clock::Clock,
    domain::quota::MailLimits,
    entropy::Entropy,
    link::LinkKeys,
    mail::{
        letters::Sender,
        outbox::Delivered,
        transport::{Limits, Party, StoredLetter, Transport},
    },
    metrics::Metrics,
    password::Hasher,
    picture::Studio,
    server::Parts,
    store::{Db, outbox::Board},
    web::app::{App, Site},
};
use std::sync::atomic::Ordering;
use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};
use time::{Duration, OffsetDateTime, macros::datetime};
use tokio::sync::Notify;

/// When every test starts.
pub const START: OffsetDateTime = datetime!(2026-11-21 09:00 UTC);

/// What a test may want otherwise than usual.
#[derive(Clone)]
pub struct Setup {
    pub rules: Rules,
    pub transport: Transport,
    pub secret: Vec<u8>,
    pub public_url: String,
    pub hasher: Hasher,
    pub trusted_proxies: Vec<ipnet::IpNet>,
    pub metrics: Metrics,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            rules: Rules {
                valid_for: roster::domain::invitation::VALID_FOR,
                mail: MailLimits::default(),
                mail_ready: true,
                open_sign_up: true,
                seats: None,
                legal: Vec::new(),
                reminders: true,
                lapse_notices: true,
            },
            transport: Transport::Memory(Arc::default()),
            secret: b"a secret key of tests, 32 bytes!".to_vec(),
            public_url: "http://127.0.0.1:8080".to_owned(),
            hasher: Hasher::for_tests(),
            trusted_proxies: Vec::new(),
            metrics: Metrics::default(),
        }
    }
}

/// A Roster under test. Stops when dropped.
pub struct Team {
    pub clock: Clock,
    pub parts: Parts,
    pub address: SocketAddr,
    pub database: Arc<TestDatabase>,
    setup: Setup,
    pub db: Db,
    letters: Arc<Mutex<Vec<StoredLetter>>>,
    handle: ServerHandle,
    server: Option<JoinHandle<()>>,
}

impl Team {
    /// A Roster without any account.
    pub fn empty(kind: Kind) -> Self {
        Self::with(kind, Setup::default())
    }

    pub fn with(kind: Kind, setup: Setup) -> Self {
        Self::on(TestDatabase::new(kind), setup, Clock::manual(START))
    }

    /// Another instance on the same database, with the same clock and mailbox.
    pub fn second(&self) -> Self {
        Self::on(
            Arc::clone(&self.database),
            self.setup.clone(),
            self.clock.clone(),
        )
    }

    /// On a given database: two of these on one are two instances.
    pub fn on(database: impl Into<Arc<TestDatabase>>, setup: Setup, clock: Clock) -> Self {
        let (database, kept) = (database.into(), setup.clone());
        let db = database.open();
        let letters = match &setup.transport {
            Transport::Memory(letters) => Arc::clone(letters),
            _ => Arc::default(),
        };
        let entropy = Entropy::system();
        let links = LinkKeys::new(&setup.secret, []);
        let site = Site {
            public_url: setup.public_url.clone(),
            secure_cookies: true,
            https: false,
            trusted_proxies: setup.trusted_proxies,
            form_key: links.derive_form_key(),
        };
        let parts = Parts {
            cookie_key: Key::from(&links.derive_session_cookie_key()),
            app: App {
                db: db.clone(),
                clock: clock.clone(),
                means: Arc::new(Means {
                    entropy,
                    links: links.clone(),
                    rules: setup.rules,
                }),
                hasher: setup.hasher,
                studio: Studio::default(),
                wake: Arc::new(Notify::new()),
                board: Board::default(),
                site: Arc::new(site),
                metrics: setup.metrics,
            },
            sender: Sender {
                public_url: setup.public_url,
                from: Party {
                    name: "Roster".to_owned(),
                    address: "roster@roster.test".to_owned(),
                },
                reply_to_inviter: true,
                links,
            },
            transport: setup.transport,
            mail_limits: Limits::default(),
            public_host: "roster.test".to_owned(),
            workers: 2,
            connections: 1000,
        };
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("an address");
        let (tell, told) = std::sync::mpsc::channel();
        let served = parts.clone();
        let server = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = served.listen(socket, false).expect("the server starts");
                tell.send(server.handle()).expect("the test waits");
                server.await.expect("the server runs");
            });
        });
        let handle = told.recv().expect("the server has started");
        Self {
            clock,
            parts,
            address,
            database,
            setup: kept,
            db,
            letters,
            handle,
            server: Some(server),
        }
    }

    /// Acme: Olivia owns it, Adam administers, Mia is a member, Vic views. Each came by a real invitation.
    pub fn acme(kind: Kind) -> Acme {
        Self::acme_with(kind, Setup::default())
    }

    pub fn acme_with(kind: Kind, setup: Setup) -> Acme {
        Self::with(kind, setup).into_acme()
    }

    /// Acme on a Roster without any account.
    pub fn into_acme(self) -> Acme {
        let team = self;
        let olivia = team.sign_up("Olivia Owner", "olivia@example.test", "Acme");
        let [adam, mia, vic] = [
            ("Adam Admin", "adam@example.test", "admin"),
            ("Mia Member", "mia@example.test", "member"),
            ("Vic Viewer", "vic@example.test", "viewer"),
        ]
        .map(|(name, email, role)| {
            olivia.invite(email, role);
            team.visitor().join(&team.link_for(email), name)
        });
        team.deliver();
        team.letters.lock().expect("letters").clear();
        Acme {
            olivia,
            adam,
            mia,
            vic,
            team,
        }
    }

    /// Somebody with a fresh browser.
    pub fn visitor(&self) -> Person {
        Person::new(self.address)
    }

    /// Somebody with an organization of their own, and with a confirmed address where letters arrive. The very first
    /// account needs no proof (R-ORG-6) and stays as it is.
    pub fn sign_up(&self, name: &str, email: &str, organization: &str) -> Person {
        let person = self.sign_up_unconfirmed(name, email, organization);
        if self.setup.rules.mail_ready && matches!(self.setup.transport, Transport::Memory(_)) {
            if self.count("accounts") > 1 {
                person.confirm_address(&self.path_for(email, VERIFY));
            }
            self.forget_letters_with(email, VERIFY);
        }
        person
    }

    /// Somebody who has just signed up, and whose letter waits to be sent.
    pub fn sign_up_unconfirmed(&self, name: &str, email: &str, organization: &str) -> Person {
        let person = self.visitor();
        let answer = person.get("/sign-up").submit(
            "/sign-up",
            &[
                ("name", name),
                ("email", email),
                ("password", people_password()),
                ("organization", organization),
            ],
        );
        answer.expect(303);
        person
    }

    /// The link that begins with `path`, in the newest letter to this address that has one.
    pub fn path_for(&self, email: &str, path: &str) -> String {
        let letters = self.letters_to(email);
        let letter = letters.iter().rfind(|letter| letter.text.contains(path));
        let letter = letter.unwrap_or_else(|| panic!("no letter to {email} with {path}"));
        path_in(&letter.text, path)
    }

    /// Takes the letters to this address with such a link out of the mailbox, so that tests count their own.
    pub fn forget_letters_with(&self, email: &str, path: &str) {
        self.deliver();
        let mut letters = self.letters.lock().expect("letters");
        letters.retain(|letter| !(letter.to.contains(email) && letter.text.contains(path)));
    }

    /// Lets every letter that is due out, as the worker would.
    pub fn deliver(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let mut outbox = self.parts.outbox();
        runtime.block_on(async {
            while outbox.deliver_next().await.expect("the outbox answers") != Delivered::Empty {}
        });
    }

    /// Every letter that has arrived, after those due were sent.
    pub fn letters(&self) -> Vec<StoredLetter> {
        self.deliver();
        self.letters.lock().expect("letters").clone()
    }

    /// Empties everybody's mailbox.
    pub fn forget_letters(&self) {
        self.letters.lock().expect("letters").clear();
    }

    pub fn letters_to(&self, email: &str) -> Vec<StoredLetter> {
        self.letters()
            .into_iter()
            .filter(|letter| letter.to.contains(email))
            .collect()
    }

    /// The link in the newest invitation letter to this address.
    pub fn link_for(&self, email: &str) -> String {
        self.path_for(email, INVITATION)
    }

    /// The whole link in the newest invitation letter to this address, host and all.
    pub fn mailed_link(&self, email: &str) -> String {
        let letters = self.letters_to(email);
        let mut lines = letters.iter().rev().flat_map(|letter| letter.text.lines());
        let link = lines.find(|line| line.contains(INVITATION));
        link.expect("a link in the letter").to_owned()
    }

    /// A genuine link to an invitation that there is not.
    pub fn link_to_nothing(&self) -> String {
        let links = &self.parts.app.means.links;
        let token = links.make(
            roster::link::Purpose::Invitation,
            uuid::Uuid::from_u128(7),
            links.current_version(),
        );
        format!("/accept-invitation/{}", token.expect("the current key"))
    }

    pub fn advance(&self, by: Duration) {
        if by.is_negative() {
            self.database.clock_went_back.store(true, Ordering::Relaxed);
        }
        self.clock.advance(by);
    }

    /// Fails when an invariant of the database does not hold.
    pub fn check(&self) {
        if self.database.made_up.load(Ordering::Relaxed) {
            return;
        }
        let mut without = Vec::new();
        if self.database.by_hand.load(Ordering::Relaxed) {
            without.extend(checker::BY_EVENTS);
        }
        if self.database.clock_went_back.load(Ordering::Relaxed) {
            without.push(checker::BY_THE_CLOCK.0);
        }
        checker::check_but(&self.db, &without);
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        let stopping = self.handle.stop(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        runtime.block_on(stopping);
        if let Some(server) = self.server.take() {
            drop(server.join());
        }
        // Whatever a test did, these hold.
        if !std::thread::panicking() {
            self.check();
        }
    }
}

/// Acme and its people.
pub struct Acme {
    pub olivia: Person,
    pub adam: Person,
    pub mia: Person,
    pub vic: Person,
    pub team: Team,
}

impl std::ops::Deref for Acme {
    type Target = Team;

    fn deref(&self) -> &Team {
        &self.team
    }
}

/// A password that is strong enough, for everybody.
pub const fn people_password() -> &'static str {
    "leise wolken 77 kratzen"
}

/// How the link of an invitation begins.
pub const INVITATION: &str = "/accept-invitation/";
/// How the link to confirm an address begins.
pub const VERIFY: &str = "/verify-email/";
/// How the link to a new password begins.
pub const RESET: &str = "/reset-password/";

/// The path of the invitation link in a letter.
pub fn link_in(text: &str) -> String {
    path_in(text, INVITATION)
}

/// The path of the link in a letter that begins with `path`.
pub fn path_in(text: &str, path: &str) -> String {
    let start = text.find(path).expect("a link in the letter");
    text[start..]
        .split(|c: char| c.is_whitespace() || c == '"' || c == '<')
        .next()
        .expect("a link")
        .to_owned()
}
