//! A Roster that sends to a mail server of the test's own, and what both of them know about a letter.

use super::{database::Kind, people::Person, smtp::SmtpServer, team::Team};
use diesel::{
    RunQueryDsl as _, sql_query,
    sql_types::{Integer, Nullable, Text},
};
use roster::{
    mail::{
        outbox::{Delivered, Outbox},
        transport::{Limits, Security, Smtp, Transport},
    },
    store::{Db, Error},
};
use std::time::{Duration, Instant};

/// Long enough for a good conversation on a busy machine, short enough to wait for a bad one.
pub const SHORT: Limits = Limits {
    connect: Duration::from_secs(1),
    conversation: Duration::from_millis(1500),
    idle: Duration::from_secs(20),
};

/// For a conversation that is to go on for longer than the test.
pub const PATIENT: Limits = Limits {
    conversation: Duration::from_secs(30),
    ..SHORT
};

/// Olivia's Acme, whose letters go to `server`. The clock stands still until moved, and letters wait until they are let out.
pub struct Mailing {
    pub olivia: Person,
    pub server: SmtpServer,
    pub team: Team,
}

impl std::ops::Deref for Mailing {
    type Target = Team;

    fn deref(&self) -> &Team {
        &self.team
    }
}

impl Mailing {
    pub fn new(kind: Kind) -> Self {
        let mut team = Team::empty(kind);
        let olivia = team.sign_up("Olivia Owner", "olivia@example.test", "Acme");
        let server = SmtpServer::start();
        team.parts.transport = Transport::Smtp(Box::new(Smtp {
            host: "127.0.0.1".to_owned(),
            port: server.port(),
            security: Security::Plain,
            login: None,
            ca: None,
        }));
        team.parts.mail_limits = SHORT;
        Self {
            olivia,
            server,
            team,
        }
    }

    /// A worker of its own, as another instance has one.
    pub fn worker(&self, limits: Limits) -> Outbox {
        let mut parts = self.parts.clone();
        parts.mail_limits = limits;
        parts.outbox()
    }

    /// Six workers at once, half of them as another instance has them, until nothing is due.
    pub fn six_workers(&self) {
        let elsewhere = self.database.open();
        std::thread::scope(|scope| {
            for nth in 0..6 {
                let mut parts = self.parts.clone();
                parts.mail_limits = PATIENT;
                if nth % 2 == 1 {
                    parts.app.db = elsewhere.clone();
                }
                scope.spawn(move || run(async move { drain(&mut parts.outbox()).await }));
            }
        });
    }

    pub fn invite(&self, email: &str) {
        self.olivia.invite(email, "member");
    }

    /// What the invitations page says about the newest letter to this address.
    pub fn shown(&self, email: &str) -> String {
        shown(&self.olivia, email)
    }

    /// The one delivery row for this address.
    pub fn row(&self, email: &str) -> Row {
        row(&self.db, email)
    }

    /// How many letters for this address the mail server has kept (I8).
    pub fn copies(&self, email: &str) -> usize {
        copies(&self.server, email)
    }

    /// How often the mail server was asked to take a letter for somebody.
    pub fn tries(&self) -> usize {
        let commands = self.server.commands();
        commands
            .iter()
            .filter(|line| line.starts_with("RCPT"))
            .count()
    }

    pub fn wait_for_command(&self, start: &str) {
        wait_for_command(&self.server, start);
    }
}

/// A delivery as the database has it.
#[derive(Clone, PartialEq, Eq, Debug, diesel::QueryableByName)]
pub struct Row {
    #[diesel(sql_type = Text)]
    pub email: String,
    #[diesel(sql_type = Text)]
    pub state: String,
    #[diesel(sql_type = Integer)]
    pub attempts: i32,
    #[diesel(sql_type = Nullable<Text>)]
    pub reason: Option<String>,
}

/// Every delivery.
pub fn rows(db: &Db) -> Vec<Row> {
    let query = "SELECT email, state, attempts, reason FROM deliveries ORDER BY email";
    run(db.read(move |conn| Ok::<_, Error>(sql_query(query).load::<Row>(conn)?)))
        .expect("the deliveries")
}

/// The one delivery for this address.
pub fn row(db: &Db, email: &str) -> Row {
    let mut rows = rows(db);
    rows.retain(|row| row.email == email);
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}

/// Changes rows behind Roster's back.
pub fn change(db: &Db, statement: &str) -> usize {
    let statement = statement.to_owned();
    run(db.write(move |conn| Ok::<_, Error>(sql_query(statement.as_str()).execute(conn)?)))
        .expect("rows are changed")
}

/// Lets three minutes pass for every letter that a worker holds.
pub fn end_leases(db: &Db) -> usize {
    change(
        db,
        "UPDATE deliveries SET due_at = created_at WHERE state IN ('sending', 'handing')",
    )
}

/// The Delivery column of the invitations page for this address.
pub fn shown(person: &Person, email: &str) -> String {
    let page = person.get(&format!(
        "/orgs/acme/settings/team/invitations?state=all&q={}",
        super::people::encode_value(email)
    ));
    page.expect(200).shows(email);
    let cell = page.body.split("data-label=\"Delivery\">").nth(1);
    let cell = cell.and_then(|rest| rest.split("</td>").next());
    let mut text = String::new();
    let mut in_tag = false;
    for c in cell.expect("a Delivery column").chars() {
        match c {
            '<' => in_tag = true,
            '>' => {
                in_tag = false;
                text.push(' ');
            }
            c if !in_tag => text.push(c),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub fn copies(server: &SmtpServer, email: &str) -> usize {
    let received = server.received();
    received
        .iter()
        .filter(|letter| letter.to.iter().any(|to| to == email))
        .count()
}

pub fn wait_for_command(server: &SmtpServer, start: &str) {
    until(&format!("the mail server hears {start}"), || {
        server.commands().iter().any(|line| line.starts_with(start))
    });
}

/// Waits for something that other threads or processes bring about.
pub fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "not in 20 s: {what}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Delivers until nothing is due.
pub async fn drain(worker: &mut Outbox) {
    while worker.deliver_next().await.expect("the outbox answers") != Delivered::Empty {}
}

pub fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(work)
}

/// The workers of a server, on threads of their own. They are gone when dropped.
pub struct Workers {
    runtime: Option<tokio::runtime::Runtime>,
    _stop: tokio::sync::watch::Sender<bool>,
}

impl Workers {
    pub fn start(acme: &Mailing) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (stop, stopping) = tokio::sync::watch::channel(false);
        {
            let _inside = runtime.enter();
            drop(acme.parts.start_mail(&stopping));
        }
        Self {
            runtime: Some(runtime),
            _stop: stop,
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
