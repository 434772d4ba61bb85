//! A place where Roster is killed and started again: a database, a mail server in a bad mood, and one or two instances.

use crate::{
    profile::Dice,
    support::{
        checker,
        database::{Kind, TestDatabase},
        facts,
        mailing::change,
        people::Person,
        process::Roster,
        smtp::{Act, Phase, SmtpServer},
        team::people_password,
    },
};
use roster::store::Db;
use std::{
    collections::HashMap,
    fs,
    net::SocketAddr,
    sync::Mutex,
    time::{Duration, Instant},
};
use tempfile::{TempDir, tempdir};

/// Longer than all letters of a test take once the mail server behaves, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Stage {
    kind: Kind,
    home: TempDir,
    pub database: TestDatabase,
    pub mail: SmtpServer,
    instances: Mutex<Vec<Option<Roster>>>,
}

/// What became of the letters.
#[derive(Clone, Copy, Default, Debug)]
pub struct Letters {
    pub sent: usize,
    pub failed: usize,
    pub unknown: usize,
    /// Not sent: what they were about had ended.
    pub dropped: usize,
}

impl Letters {
    pub const fn all(&self) -> usize {
        self.sent + self.failed + self.unknown + self.dropped
    }
}

impl Stage {
    /// With so many instances, all running.
    pub fn new(kind: Kind, instances: usize) -> Self {
        let stage = Self {
            kind,
            home: tempdir().expect("a folder"),
            database: TestDatabase::new(kind),
            mail: SmtpServer::start(),
            instances: Mutex::new((0..instances).map(|_| None).collect()),
        };
        stage.start_all();
        stage
    }

    /// Starts whatever does not run.
    pub fn start_all(&self) {
        for instance in self.instances().iter_mut() {
            if instance.is_none() {
                *instance = Some(self.start());
            }
        }
    }

    fn start(&self) -> Roster {
        let (database, mail) = (self.database.url(), self.mail.url());
        Roster::start(
            self.home.path(),
            &[
                ("DATABASE_URL", &database),
                ("SMTP_URL", &mail),
                // few, so that one that is not given back is missed
                ("DATABASE_CONNECTIONS", "4"),
                ("RESEND_COOLDOWN", "0s"),
                ("MAILS_PER_ADDRESS_PER_DAY", "1000000"),
                ("MAILS_PER_PERSON_PER_DAY", "1000000"),
                ("MAILS_PER_ORGANIZATION_PER_DAY", "1000000"),
                // everybody comes from an address of their own
                ("TRUSTED_PROXIES", "127.0.0.1"),
            ],
        )
    }

    fn instances(&self) -> std::sync::MutexGuard<'_, Vec<Option<Roster>>> {
        self.instances.lock().expect("the instances")
    }

    /// kill -9.
    pub fn kill(&self, nth: usize) {
        let roster = self.instances()[nth].take();
        if let Some(roster) = roster {
            roster.kill();
        }
    }

    /// kill -9, and another one in its place. Nobody is told meanwhile.
    pub fn replace(&self, nth: usize) {
        self.kill(nth);
        let started = self.start();
        self.instances()[nth] = Some(started);
    }

    /// Where the running ones are.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let instances = self.instances();
        instances.iter().flatten().map(|it| it.address).collect()
    }

    /// One of them, by chance.
    pub fn address(&self, dice: &mut Dice) -> Option<SocketAddr> {
        let all = self.addresses();
        (!all.is_empty()).then(|| dice.pick(&all))
    }

    /// Olivia, who has founded Acme at this instance.
    pub fn olivia(&self, address: SocketAddr) -> Person {
        let instances = self.instances();
        let mut found = instances.iter().flatten();
        let roster = found.find(|roster| roster.address == address);
        roster.expect("it runs").olivia()
    }

    /// A connection of the test's own, as a person with a shell has one.
    pub fn db(&self) -> Db {
        self.database.open_with(2)
    }

    /// The mail server does something else than it should in every second or third conversation.
    pub fn bad_mood(&self, mut dice: Dice) {
        self.mail
            .moody(move |phase| dice.one_in(12).then(|| misbehaviour(phase, &mut dice))?);
    }

    /// Lets the pauses of all letters pass, and the time that workers may hold them, running workers too.
    pub fn hurry(&self) -> usize {
        change(
            &self.db(),
            "UPDATE deliveries SET due_at = created_at WHERE due_at IS NOT NULL",
        )
    }

    /// The mail server is well again: waits until every letter has come to its end, and counts the copies of each (I8).
    pub fn letters_end(&self) -> Letters {
        self.mail.behave();
        // lets go of whoever hangs
        self.mail.down();
        self.mail.up();
        self.hurry();
        let db = self.db();
        let (start, mut last) = (Instant::now(), Instant::now());
        while facts::count(
            &db,
            "SELECT count(*) AS count FROM deliveries WHERE due_at IS NOT NULL",
        ) > 0
        {
            assert!(
                start.elapsed() < PATIENCE,
                "letters do not end: {:?}",
                self.states(&db)
            );
            if last.elapsed() > Duration::from_secs(1) {
                change(
                    &db,
                    "UPDATE deliveries SET due_at = created_at WHERE state = 'queued'",
                );
                last = Instant::now();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.count_copies(&db)
    }

    /// The state of every letter, by its id.
    fn states(&self, db: &Db) -> Vec<(String, String)> {
        let id = match self.kind {
            Kind::Sqlite => "lower(hex(id))",
            Kind::Postgres => "replace(CAST(id AS TEXT), '-', '')",
        };
        let query = format!("SELECT {id} || ' ' || state AS line FROM deliveries");
        let lines = facts::ask(db, move |conn| facts::lines(conn, &query));
        let pairs = lines.iter().filter_map(|line| line.split_once(' '));
        pairs
            .map(|(id, state)| (id.to_owned(), state.to_owned()))
            .collect()
    }

    fn count_copies(&self, db: &Db) -> Letters {
        let mut copies: HashMap<String, usize> = HashMap::new();
        for letter in self.mail.received() {
            let id = letter.header("Message-ID").expect("a Message-ID");
            let id = id
                .trim_start_matches('<')
                .split('@')
                .next()
                .unwrap_or_default();
            *copies.entry(id.replace('-', "")).or_default() += 1;
        }
        let mut letters = Letters::default();
        for (id, state) in self.states(db) {
            let arrived = copies.remove(&id).unwrap_or(0);
            let (count, right) = match state.as_str() {
                "sent" => (&mut letters.sent, arrived == 1),
                "unknown" => (&mut letters.unknown, arrived <= 1),
                "failed" => (&mut letters.failed, arrived == 0),
                _ => (&mut letters.dropped, arrived == 0),
            };
            *count += 1;
            assert!(
                right,
                "I8: {arrived} copies of the letter {id}, which is {state}"
            );
        }
        assert!(
            copies.is_empty(),
            "I8: letters that no row knows: {copies:?}"
        );
        letters
    }

    /// The end: all stop as they should, the invariants hold, and the logs hold neither panics nor secrets (I11).
    pub fn end(&self) {
        for roster in self.instances().drain(..).flatten() {
            roster.stop();
        }
        checker::check(&self.db());
        for file in fs::read_dir(self.home.path()).expect("the folder") {
            let path = file.expect("a file").path();
            if path.extension().is_some_and(|ending| ending == "err") {
                look_through(&fs::read_to_string(&path).expect("a log"));
            }
        }
    }
}

/// Fails for a log with a panic, a fault of ours, the token of a link, a password or a cookie.
fn look_through(log: &str) {
    for line in log.lines() {
        for wrong in ["panicked", "ERROR", "inv_", people_password(), "__Host-"] {
            assert!(!line.contains(wrong), "in the log: {line}");
        }
    }
}

/// Refusals for good only where they are about one letter: a server that refuses everybody is another test.
fn misbehaviour(phase: Phase, dice: &mut Dice) -> Option<Act> {
    let last = if phase == Phase::Body { 8 } else { 7 };
    Some(match dice.below(last) {
        0 if dice.one_in(6) => Act::Hang,
        0 | 1 => Act::Drop,
        2 if matches!(phase, Phase::Rcpt | Phase::Body) => Act::reply(550, "5.1.1 nobody here"),
        2 | 3 => Act::reply(451, "4.3.0 try later"),
        4 => Act::Garbage,
        5 | 6 => Act::Slow(dice.moment(250)),
        _ => Act::Lose,
    })
}
