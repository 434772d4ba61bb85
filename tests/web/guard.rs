//! The guard: what one request of five hot paths costs, against what it cost when somebody last said that it may.
//!
//! Costs are counted, not timed, so that it does not matter what else the machine does: instructions of a debug build
//! under valgrind's callgrind, and statements the database is asked. Instructions hang on the architecture, the toolchain
//! and the C library. The first line of the stored costs names the target and the compiler: with others, instructions
//! are not compared.
//!
//! `tests/run guard` runs it. Where valgrind is not installed, and among the other tests, only statements are counted.

use crate::support::{
    binary::{PROGRAM, Process, secret_key},
    database::{Kind, TestDatabase},
    people::Person,
    seeds::Seed,
    statements::Statements,
    team::{Acme, Setup, Team},
};
use roster::clock::Clock;
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

/// What a request may cost, relative to what is stored.
const TOLERANCE: f64 = 1.10;

/// Requests of one path whose mean is taken, after as many as [`WARM_UP`].
const REQUESTS: u32 = 4;

/// How often that is done. The least counts: in the others the program did something by itself, as it does every minute.
const ROUNDS: u32 = 3;

/// Requests that fill what is filled once: prepared statements, connections, the session's last visit.
const WARM_UP: u32 = 3;

/// Where the stored costs are, and how to write them anew.
const STORED: &str = "tests/web/guard.values.txt";
const HOW_TO_ACCEPT: &str = "If that is meant: GUARD=write tests/run guard";

/// What is to be done, handed over in the environment as `GUARD`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    /// Not set: compare statements.
    Statements,
    /// `GUARD=check`: compare instructions as well.
    Check,
    /// `GUARD=write`: store what it costs now.
    Write,
}

impl Task {
    fn asked_for() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the test run hands it over in the environment"
        )]
        let given = std::env::var("GUARD");
        match given.as_deref() {
            Err(_) => Self::Statements,
            Ok("check") => Self::Check,
            Ok("write") => Self::Write,
            Ok(other) => panic!("GUARD is {other:?}: check or write"),
        }
    }
}

const TEAM: &str = "/orgs/acme/settings/team";
const INVITE: &str = "/orgs/acme/settings/team/invite";
const OLIVIA: &str = "olivia@example.test";

/// A path that is guarded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum HotPath {
    Team,
    Invitations,
    SmallestPage,
    InvitationPage,
    Invite,
}

impl HotPath {
    const ALL: [Self; 5] = [
        Self::Team,
        Self::Invitations,
        Self::SmallestPage,
        Self::InvitationPage,
        Self::Invite,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Team => "team-of-50",
            Self::Invitations => "pending-invitations-25",
            Self::SmallestPage => "smallest-signed-in-page",
            Self::InvitationPage => "invitation-page-signed-out",
            Self::Invite => "invite",
        }
    }
}

/// What one request costs.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Cost {
    /// Of the processor, unless valgrind is missing.
    instructions: Option<u64>,
    /// Of the database.
    statements: u64,
}

/// Olivia at a server, a stranger with an invitation, and how many were invited so far.
struct Visitors {
    olivia: Person,
    token: String,
    stranger: Person,
    link: String,
    invited: u32,
}

impl Visitors {
    fn of(visitor: impl Fn() -> Person) -> Self {
        let olivia = visitor();
        olivia.sign_in(OLIVIA).expect(303);
        let link = olivia.copy_link("noor0@example.test");
        let at = link.find("/accept-invitation/").expect("a link");
        Self {
            token: olivia.get(INVITE).csrf(),
            olivia,
            stranger: visitor(),
            link: link[at..].to_owned(),
            invited: 0,
        }
    }

    fn request(&mut self, path: HotPath) {
        // A connection of its own: the program is so slow here that it would have ended an idle one.
        let (olivia, stranger) = (self.olivia.copy(), self.stranger.copy());
        let (answer, status) = match path {
            HotPath::Team => (olivia.get(TEAM), 200),
            HotPath::Invitations => (olivia.get(&format!("{TEAM}/invitations")), 200),
            HotPath::SmallestPage => (olivia.get("/orgs/new"), 200),
            HotPath::InvitationPage => (stranger.get(&self.link), 200),
            HotPath::Invite => {
                self.invited += 1;
                let email = format!("new{}@example.test", self.invited);
                let fields = [
                    ("csrf", self.token.as_str()),
                    ("emails", &email),
                    ("role", "member"),
                    ("from", "page"),
                    ("then", "send"),
                    // A letter would be rendered and stored at some moment or other.
                    ("link_only", "yes"),
                ];
                (olivia.post(INVITE, &fields), 303)
            }
        };
        answer.expect(status);
    }

    fn warm_up(&mut self, path: HotPath) {
        for _ in 0..WARM_UP {
            self.request(path);
        }
        // What is noted after the answer.
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Acme with 50 members and 25 pending invitations, a full page.
fn fill(database: TestDatabase) -> Acme {
    // The links of one server open at the other.
    let setup = Setup {
        secret: secret_key(),
        ..Setup::default()
    };
    let acme = Team::on(database, setup, Clock::system()).into_acme();
    let seeds: Vec<Seed> = (0..46_u32)
        .map(|n| {
            let days = acme.days_ago(i64::from(n));
            Seed::new(1000 + u128::from(n), &format!("Seed {n}"), days, Some(days))
        })
        .collect();
    acme.seed_members(&seeds);
    // The seeds came before Olivia: she is not the first, who need not confirm an address.
    acme.sql("UPDATE accounts SET verified_at = created_at");
    let emails: Vec<String> = (0..25).map(|n| format!("noor{n}@example.test")).collect();
    acme.olivia
        .try_invite(&emails.join(", "), "member")
        .expect(303);
    acme.deliver();
    acme
}

fn statements_of(asked: &Statements) -> u64 {
    let verbs = ["SELECT", "INSERT", "UPDATE", "DELETE"];
    let all = asked.take();
    let count = all
        .iter()
        .filter(|sql| verbs.iter().any(|verb| sql.starts_with(verb)));
    u64::try_from(count.count()).expect("few")
}

/// The program under callgrind, which writes down what it did so far whenever it answers `/livez`.
struct Callgrind {
    process: Process,
    folder: tempfile::TempDir,
    /// Files that were read.
    seen: Vec<PathBuf>,
}

impl Callgrind {
    /// Nothing when valgrind is not there.
    fn start(database: &TestDatabase) -> Option<Self> {
        let quiet = Command::new("valgrind")
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !quiet.is_ok_and(|status| status.success()) {
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("valgrind");
        command
            .arg("--tool=callgrind")
            .arg("--quiet")
            // One thread runs at a time; without this a password being hashed can keep the others out for seconds.
            .arg("--fair-sched=try")
            .arg("--dump-before=*health::livez*closure*")
            .arg(format!(
                "--callgrind-out-file={}",
                folder.path().join("out").display()
            ))
            .arg(PROGRAM);
        // env_clear() of the start takes PATH away, after valgrind was found.
        let process = Process::start_as(command, database, "info", &[("WORKERS", "1")]);
        Some(Self {
            process,
            folder,
            seen: Vec::new(),
        })
    }

    /// Instructions since the last time.
    fn mark(&mut self) -> u64 {
        self.process.visitor().get("/livez").expect(200);
        let start = Instant::now();
        loop {
            let (total, files) = self.fresh();
            if total > 0 {
                self.seen.extend(files);
                return total;
            }
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "callgrind wrote nothing at /livez: is the handler called otherwise now?"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn fresh(&self) -> (u64, Vec<PathBuf>) {
        let files = std::fs::read_dir(self.folder.path()).expect("the folder");
        let fresh: Vec<PathBuf> = files
            .map(|file| file.expect("a file").path())
            .filter(|path| !self.seen.contains(path))
            .collect();
        let total = fresh.iter().filter_map(|path| totals(path)).sum();
        (total, fresh)
    }
}

/// The last line of a callgrind file: `totals: 12345`.
fn totals(path: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text
        .lines()
        .rev()
        .find(|line| line.starts_with("totals: "))?;
    line.trim_start_matches("totals: ").trim().parse().ok()
}

fn measured(with_instructions: bool) -> Vec<(HotPath, Cost)> {
    let database = TestDatabase::new(Kind::Sqlite);
    let asked = Statements::of(&database.target);
    let acme = fill(database);
    let database = Arc::clone(&acme.database);
    let mut costs: Vec<(HotPath, Cost)> = HotPath::ALL.map(|path| (path, Cost::default())).to_vec();
    let mut visitors = Visitors::of(|| acme.visitor());
    for (path, cost) in &mut costs {
        visitors.warm_up(*path);
        // Of several, the one that had no more to do: *last active* may be noted late.
        let several = (0..WARM_UP).map(|_| {
            asked.take();
            visitors.request(*path);
            statements_of(&asked)
        });
        cost.statements = several.min().unwrap_or(0);
    }
    acme.sql("DELETE FROM quotas");
    drop((asked, acme));
    if with_instructions && let Some(mut callgrind) = Callgrind::start(&database) {
        let mut visitors = Visitors::of(|| callgrind.process.visitor());
        visitors.invited = 1000;
        for (path, cost) in &mut costs {
            visitors.warm_up(*path);
            callgrind.mark();
            let rounds = (0..ROUNDS).map(|_| {
                for _ in 0..REQUESTS {
                    visitors.request(*path);
                }
                callgrind.mark() / u64::from(REQUESTS)
            });
            cost.instructions = rounds.min();
        }
    }
    costs
}

/// One line of the stored costs: name, instructions, statements.
fn line(path: HotPath, cost: Cost) -> String {
    let instructions = cost.instructions.unwrap_or(0);
    format!(
        "{:<28} {instructions:>12} {:>4}",
        path.name(),
        cost.statements
    )
}

fn stored(path: HotPath, text: &str) -> Option<(u64, u64)> {
    let line = text
        .lines()
        .find(|line| line.split_whitespace().next() == Some(path.name()))?;
    let mut numbers = line
        .split_whitespace()
        .skip(1)
        .map(|word| word.parse::<u64>().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// What grew, in words.
fn grown(path: HotPath, cost: Cost, before: (u64, u64)) -> Option<String> {
    let mut said = String::new();
    let (instructions, statements) = before;
    if let Some(now) = cost.instructions {
        let ratio = now as f64 / instructions.max(1) as f64;
        if ratio > TOLERANCE {
            let percent = (ratio - 1.0) * 100.0;
            let _ = write!(
                said,
                " {now} instructions instead of {instructions} (+{percent:.0} %)"
            );
        }
    }
    if cost.statements > statements {
        let _ = write!(
            said,
            " {} statements instead of {statements}",
            cost.statements
        );
    }
    (!said.is_empty()).then(|| format!("{}:{said}", path.name()))
}

/// What instructions hang on: target and compiler, the first line of the stored costs.
fn toolchain() -> String {
    let said = Command::new("rustc")
        .arg("-vV")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("rustc answers");
    let said = String::from_utf8(said.stdout).expect("words");
    let after = |name: &str| said.lines().find_map(|line| line.strip_prefix(name));
    let (host, release) = (after("host: "), after("release: "));
    format!(
        "{} rustc {}",
        host.expect("a target"),
        release.expect("a version")
    )
}

/// Five hot paths cost no more than a tenth more than is stored.
#[test]
fn hot_paths_cost_no_more_than_they_did() {
    let task = Task::asked_for();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(STORED);
    let before = std::fs::read_to_string(&path).expect("stored costs");
    let theirs = before.lines().next().unwrap_or_default();
    let comparable = match task {
        Task::Statements => false,
        Task::Check => theirs == toolchain(),
        Task::Write => true,
    };
    let costs = measured(comparable);
    let lines: Vec<String> = costs
        .iter()
        .map(|(path, cost)| line(*path, *cost))
        .collect();
    let counted = costs.iter().all(|(_, cost)| cost.instructions.is_some());
    if task != Task::Statements {
        println!(
            "one request of               instructions, statements\n{}",
            lines.join("\n")
        );
    }
    if task == Task::Check && !counted {
        let why = if comparable {
            "valgrind is not installed".to_owned()
        } else {
            format!("the stored costs are those of {theirs}")
        };
        // tests/run looks for these words.
        println!("{why}: only statements were compared");
    }
    if task == Task::Write {
        assert!(counted, "without valgrind there is nothing to store");
        let text = format!("{}\n{}\n", toolchain(), lines.join("\n"));
        std::fs::write(&path, text).expect("the costs are stored");
        return;
    }
    let mut faults = Vec::new();
    for (path, cost) in costs {
        match stored(path, &before) {
            Some(before) => faults.extend(grown(path, cost, before)),
            None => faults.push(format!("{}: nothing is stored", path.name())),
        }
    }
    assert!(
        faults.is_empty(),
        "Dearer than {STORED} says:\n{}\n{HOW_TO_ACCEPT}",
        faults.join("\n")
    );
}
