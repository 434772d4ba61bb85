//! Roster beside its references, measured on this machine: `benches/run` builds, installs and starts what is needed and
//! calls this program. docs/performance.md says what is measured and how, and has the figures.
//!
//! `keys`, `bulk`, `fill` and `databases` make databases of named sizes; `programs` starts what is measured; `load`
//! drives wrk; `ceiling`, `commits` and `peers/` are the references; `attack` is a page under attack; `report` writes
//! tables and goals. Each part below is one of the names that `benches/run` takes.

mod attack;
mod bulk;
mod ceiling;
mod commits;
mod databases;
mod fill;
mod keys;
mod load;
mod programs;
mod report;

use commits::Writer;
use databases::{Database, Kind, psql};
use fill::{Filler, Invitee, Place, SIZES, TEAM, WRITERS};
use keys::Keys;
use load::{Effort, Figures, Operation, measure, measure_beside, median};
use programs::{ANY_CPU, LOAD_CPU, Program, SERVER_CPU, roster_command};
use report::{Report, number, short};
use std::{
    fs,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    thread,
    time::{Duration, Instant},
};

/// How many invitations wait to be accepted: more than all rounds take.
const INVITEES: usize = 80_000;
const INVITEES_OF_PEER: usize = 10_000;

/// The name of the databases that growth is measured in.
const LARGE: &str = "large";

/// Rounds of growth: processor time moves little.
const GROWTH_ROUNDS: usize = 3;

/// Seconds of each attack: shorter than Roster waits for the rest of a head.
const ATTACK: u64 = 5;

/// Fastify's page has as many bytes as Roster's, give or take this part.
const ALIKE: f64 = 0.1;

/// Everything the parts share.
struct Bench {
    home: PathBuf,
    peers: PathBuf,
    postgres: String,
    effort: Effort,
    keys: Keys,
    report: Report,
}

/// Arguments: PostgreSQL's URL, the folder with the peers, a folder to work in, the page for the figures or `-`, then
/// the parts: `pages`, `writes`, `growth`, `attack`; `quick` makes each short.
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().filter(|it| it != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        [_, "ceiling", answer, port] => {
            ceiling::serve(Path::new(answer), port.parse().expect("a port"));
        }
        [_, postgres, peers, home, page, parts @ ..] => {
            let quick = parts.contains(&"quick");
            let effort = if quick {
                Effort {
                    rounds: 2,
                    seconds: 1,
                }
            } else {
                Effort {
                    rounds: 5,
                    seconds: 2,
                }
            };
            let bench = Bench {
                home: PathBuf::from(home),
                peers: PathBuf::from(peers),
                postgres: (*postgres).to_owned(),
                effort,
                keys: Keys::new(),
                report: Report::default(),
            };
            let all = parts.iter().all(|part| *part == "quick");
            if !bench.run(|part| all || parts.contains(&part), page) {
                return ExitCode::FAILURE;
            }
        }
        _ => eprintln!("roster-bench: started by benches/run"),
    }
    ExitCode::SUCCESS
}

impl Bench {
    /// Answers whether everything was measured.
    fn run(mut self, chosen: impl Fn(&str) -> bool, page: &str) -> bool {
        // `benches/run` started it where PostgreSQL is to stay.
        pin(ANY_CPU);
        let start = Instant::now();
        drop(fs::remove_dir_all(&self.home));
        fs::create_dir_all(&self.home).expect("a folder");
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let value = psql(&self.postgres, &format!("SHOW {setting}"));
            assert!(value == "on", "PostgreSQL: {setting} is {value}");
        }
        // Before the page is written, which makes the tree a dirty one.
        let machine = machine();
        // After each part, so that nothing takes its figures away.
        let save = |bench: &Self| {
            let minutes = start.elapsed().as_secs() / 60;
            let text = bench
                .report
                .text(&format!("{machine} Measured in {minutes} minutes."));
            if page != "-" {
                report::write(&text, Path::new(page));
            }
            text
        };
        if chosen("writes") {
            self.attempt("Writes", Self::writes);
            save(&self);
        }
        if ["pages", "growth", "attack"]
            .iter()
            .any(|part| chosen(part))
        {
            let databases = self.attempt("The small databases", |bench| bench.small());
            let databases = databases.unwrap_or_default();
            if chosen("pages") && !databases.is_empty() {
                self.attempt("Pages", |bench| bench.pages(&databases));
                save(&self);
            }
            if chosen("growth") && !databases.is_empty() {
                self.growth(&databases);
                save(&self);
            }
            // Last: it leaves many invitations behind.
            if chosen("attack") {
                self.attack(&databases);
            }
        }
        println!("\n{}", save(&self));
        self.report.whole()
    }

    /// Does a part; when it fails, the report says so and the run goes on.
    fn attempt<T>(&mut self, part: &str, work: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let done = panic::catch_unwind(AssertUnwindSafe(|| work(self)));
        done.map_err(|why| {
            pin(ANY_CPU);
            let literal = why.downcast_ref::<&str>().copied();
            let text = why.downcast_ref::<String>().map(String::as_str);
            self.report
                .fail(part, text.or(literal).unwrap_or("a panic"));
        })
        .ok()
    }

    fn folder(&self, kind: Kind, name: &str) -> PathBuf {
        let kind = format!("{kind:?}").to_lowercase();
        self.home.join(format!("{name}-{kind}"))
    }

    /// A database of each kind, filled at the same time: nothing is measured meanwhile.
    fn fill_both<T: Send>(
        &self,
        name: &str,
        rows: impl Fn(&mut Filler<'_>) -> T + Sync,
    ) -> [thread::Result<Filled<T>>; 2] {
        thread::scope(|scope| {
            let rows = &rows;
            Kind::BOTH
                .map(|kind| scope.spawn(move || self.fill(kind, name, rows)))
                .map(thread::ScopedJoinHandle::join)
        })
    }

    /// A database with everything that `rows` makes, looked at by `roster doctor` unless that takes minutes.
    fn fill<T>(
        &self,
        kind: Kind,
        name: &str,
        rows: impl FnOnce(&mut Filler<'_>) -> T,
    ) -> Filled<T> {
        let start = Instant::now();
        let folder = self.folder(kind, name);
        let database = Database::create(kind, name, &folder, &self.postgres);
        roster_command("migrate", &database, &folder);
        let mut filler = Filler::new(&database, &self.keys);
        let made = rows(&mut filler);
        let invitations = filler.invitations;
        filler.finish();
        let filled = start.elapsed().as_secs_f64();
        println!(
            "{}: “{name}” has {} invitations, filled in {filled:.1} s",
            kind.name(),
            number(invitations as f64)
        );
        if name != LARGE {
            let said = roster_command("doctor", &database, &folder);
            println!(
                "doctor, {:.1} s: {}",
                start.elapsed().as_secs_f64() - filled,
                said.lines().next().unwrap_or_default()
            );
        }
        Filled {
            kind,
            database,
            folder,
            made,
        }
    }

    fn start<T>(&self, it: &Filled<T>) -> Program {
        Program::roster(it.kind, &it.database, &it.folder, &self.postgres)
    }

    /// The team, and the organizations that are invited to during an attack.
    fn small(&self) -> Vec<Filled<Vec<Place>>> {
        let filled = self.fill_both("small", |filler| {
            let team = filler.place("team", TEAM.0);
            let newest = filler.pending(&team, TEAM.1);
            let writers = (0..WRITERS).map(|nth| filler.place(&format!("writes{nth}"), 1));
            let places: Vec<Place> = writers.collect();
            (team, newest, places)
        });
        let each = |filled: thread::Result<Filled<_>>| {
            let filled: Filled<(Place, _, Vec<Place>)> = or_resume(filled);
            let (team, newest, writers) = filled.made;
            let folder = &filled.folder;
            team_requests(folder, &team);
            let lightest = get("/invitations", &team.browser.cookie);
            requests(folder, "session", [lightest]);
            requests(folder, "invitation", [get(&self.keys.link(newest), "")]);
            Filled {
                kind: filled.kind,
                database: filled.database,
                folder: filled.folder,
                made: writers,
            }
        };
        filled.map(each).into()
    }

    fn pages(&mut self, databases: &[Filled<Vec<Place>>]) {
        let effort = self.effort;
        let starts = databases.iter().map(|it| {
            let times = (0..5).map(|_| self.start(it).started_in.as_secs_f64() * 1000.0);
            median(times.collect()).expect("five")
        });
        let starts: Vec<f64> = starts.collect();
        let rosters: Vec<Program> = databases.iter().map(|it| self.start(it)).collect();
        let [sqlite, postgres] = rosters.as_slice() else {
            panic!("one of each kind");
        };
        let answer = self.home.join("team.answer");
        fs::write(&answer, sqlite.sample("team")).expect("a file");
        let folder = self.home.join("ceiling");
        fs::create_dir_all(&folder).expect("a folder");
        requests(&folder, "team", [get("/", "")]);
        let ceiling = Program::ceiling(&answer, &folder);
        let (fastify, better_auth) = (self.fastify(), self.better_auth(1));

        self.report.heading("Pages");
        self.report.say(&format!(
            "The Team page of an organization with {} members: session, membership and one full page. Fastify and \
             better-auth answer with the {} pending invitations too, Roster has them on a page of their own (below); \
             for better-auth a page is both its lists, one request after the other, and the times are of one request.\n",
            TEAM.0, TEAM.1
        ));
        let programs = [sqlite, postgres, &ceiling, &fastify, &better_auth];
        let mut team = page(&programs, "team", effort);
        // Two requests make its page.
        team[4].rate /= 2.0;
        team[4].cpu *= 2.0;
        team[4].bytes *= 2.0;
        self.table(&programs, &team);
        let memory: Vec<_> = programs.iter().map(|it| it.memory()).collect();

        self.report.say("The pending invitations, 20 of them:\n");
        let pending = page(&programs[..2], "pending", effort);
        self.table(&programs[..2], &pending);
        let both = |nth: usize| 1.0 / (1.0 / team[nth].rate + 1.0 / pending[nth].rate);
        self.report.say(&format!(
            "Both pages one after the other, as the peers answer both lists: {} a second on SQLite, {} on PostgreSQL.\n",
            number(both(0)),
            number(both(1))
        ));
        self.team_goals(&team, both(0));
        self.report.say("The signed-in page with the least to do (`/invitations`, none waits: session and one query), beside better-auth's `get-session`:\n");
        let programs = [sqlite, postgres, &better_auth];
        let session = page(&programs, "session", effort);
        self.table(&programs, &session);
        self.report.at_least(
            "lightest signed-in page, SQLite, beside better-auth",
            20.0,
            session[0].rate / session[2].rate,
            " ×",
        );
        for (what, name) in [
            ("A search in the members list", "search"),
            ("An invitation's page, signed out", "invitation"),
        ] {
            self.report.say(&format!("{what}:\n"));
            let found = page(&[sqlite, postgres], name, effort);
            self.table(&[sqlite, postgres], &found);
        }

        self.report.heading("Memory, start, size");
        self.report.say("Resident memory after the Team page, MiB; the start on a database that is migrated, until the first answer. PostgreSQL’s own memory is not in it, although its processor time is in the tables above.\n");
        self.report
            .say("| | now | most | start |\n|---|--:|--:|--:|");
        let names = [sqlite, postgres, &ceiling, &fastify, &better_auth];
        for (nth, (it, memory)) in names.iter().zip(&memory).enumerate() {
            let start = starts.get(nth).map(|start| format!("{start:.0} ms"));
            self.report.say(&format!(
                "| {} | {} | {} | {} |",
                it.name,
                short(memory.now),
                short(memory.most),
                start.unwrap_or_default()
            ));
        }
        let size = fs::metadata(programs::ROSTER).expect("the program").len() as f64 / 1e6;
        self.report
            .say(&format!("\nThe program is {} MB.", short(size)));

        self.report
            .at_most("size of the program", 20.0, size, " MB");
        for (nth, kind) in Kind::BOTH.into_iter().enumerate() {
            let what = format!("memory after the Team page, {}", short_name(kind));
            self.report.at_most(&what, 30.0, memory[nth].most, " MiB");
            let what = format!("start to first answer, {}", short_name(kind));
            self.report.at_most(&what, 25.0, starts[nth], " ms");
        }
        // Last, so that the figures are kept.
        let bytes = team[3].bytes / team[0].bytes;
        assert!(
            (bytes - 1.0).abs() <= ALIKE,
            "Fastify's page has {bytes:.2} × the bytes of Roster's"
        );
    }

    /// What the Team page is to reach: on SQLite, on PostgreSQL, then the ceiling, Fastify and better-auth.
    fn team_goals(&mut self, team: &[Figures], both_on_sqlite: f64) {
        let goals = &mut self.report;
        let mut beside = |what: &str, wanted, rate: f64, nth: usize, unit| {
            goals.at_least(what, wanted, rate / team[nth].rate, unit);
        };
        let (sqlite, postgres) = (team[0].rate, team[1].rate);
        beside(
            "Team page, SQLite, beside Fastify + EJS",
            8.0,
            sqlite,
            3,
            " ×",
        );
        beside(
            "– both pages beside Fastify's one",
            8.0,
            both_on_sqlite,
            3,
            " ×",
        );
        beside(
            "Team page, SQLite, beside better-auth",
            30.0,
            sqlite,
            4,
            " ×",
        );
        beside(
            "– both pages beside better-auth's two lists",
            30.0,
            both_on_sqlite,
            4,
            " ×",
        );
        beside("Team page, SQLite, of the ceiling", 0.18, sqlite, 2, "");
        beside(
            "Team page, PostgreSQL, of the ceiling",
            0.09,
            postgres,
            2,
            "",
        );
        for (nth, kind) in Kind::BOTH.into_iter().enumerate() {
            let what = format!("Team page, {}: p99 beside p50", short_name(kind));
            goals.at_most(&what, 3.0, team[nth].p99 / team[nth].p50, " ×");
        }
    }

    fn attack(&mut self, databases: &[Filled<Vec<Place>>]) {
        self.report.heading("Under attack");
        self.report.say(&format!(
            "The Team page on a quiet server, and while somebody wants something dear all the time: one run of {ATTACK} \
             seconds each. Load and attack share the other processor. The rates of the attacks are those that were reached.\n"
        ));
        for it in databases {
            self.attempt(
                &format!("Under attack, {},", short_name(it.kind)),
                |bench| {
                    bench.attack_on(it);
                },
            );
        }
    }

    fn attack_on(&mut self, it: &Filled<Vec<Place>>) {
        let roster = self.start(it);
        pin(LOAD_CPU);
        let seen = attack::all(&roster, &self.keys, &it.made, ATTACK);
        pin(ANY_CPU);
        self.report.say(&format!(
            "{}:\n\n| | answers to it | pages a second | refused | p50 | p99 | beside quiet |\n|---|---|--:|--:|--:|--:|--:|",
            it.kind.name()
        ));
        let quiet = seen[0].page.p99;
        for one in &seen {
            let page = one.page;
            self.report.say(&format!(
                "| {} | {} | {} | {} | {} ms | {} ms | {} × |",
                one.what,
                one.answers,
                number(page.rate),
                number(page.refused as f64),
                short(page.p50),
                short(page.p99),
                short(page.p99 / quiet)
            ));
        }
        self.report.say("");
        for one in &seen[1..] {
            let kind = short_name(it.kind);
            let what = format!("{}, {kind}: p99 of pages beside quiet", one.what);
            // No time makes up for a page that did not come.
            let came = one.page.refused == 0;
            let measured = if came {
                one.page.p99 / quiet
            } else {
                f64::INFINITY
            };
            self.report.at_most(&what, 4.0, measured, " ×");
        }
    }

    fn writes(&mut self) {
        let effort = self.effort;
        let filled = self.fill_both("writes", |filler| {
            let places: Vec<Place> = (0..WRITERS)
                .map(|nth| filler.place(&format!("writes{nth}"), 1))
                .collect();
            let invitees = filler.invitees(&places, INVITEES);
            (places, invitees)
        });
        let filled = filled.map(or_resume);
        for it in &filled {
            self.write_requests(it);
        }
        // The raw commits go into a copy of their own.
        let raw = self.home.join("raw.db");
        if let Database::Sqlite(path) = &filled[0].database {
            fs::copy(path, &raw).expect("a copy");
        }
        let mut writer = Writer::open(&Database::Sqlite(raw));
        let rosters: Vec<Program> = filled.iter().map(|it| self.start(it)).collect();
        let better_auth = self.better_auth(INVITEES_OF_PEER);
        let programs = [&rosters[0], &rosters[1], &better_auth];

        self.report.heading("Writes");
        self.report.say(&format!(
            "Spread over {WRITERS} organizations, every commit on the disk before its answer (`synchronous=FULL`, \
             `synchronous_commit=on`). No mail server: invitations are links to copy. The raw rate is of the same rows, \
             written by one thread with the same statements, a transaction for each.\n"
        ));
        let seconds = Duration::from_secs(effort.seconds);
        for (what, name) in [
            ("Invite one person", "invite"),
            ("Accept an invitation", "accept"),
        ] {
            let (places, invitees) = &filled[0].made;
            let before: Vec<f64> = filled.iter().map(|it| events(&it.database, name)).collect();
            let operation = Operation {
                once: name == "accept",
                ..Operation::page(name)
            };
            let cases = programs.map(|it| (it, operation.clone()));
            let mut raw = Vec::new();
            let found = measure_beside(&cases, effort, || {
                pin(SERVER_CPU);
                raw.extend(if name == "invite" {
                    writer.invitations(places, seconds)
                } else {
                    writer.acceptances(places, invitees, seconds)
                });
                pin(ANY_CPU);
            });
            let raw = median(raw).expect("rounds of raw commits");
            for (nth, it) in filled.iter().enumerate() {
                let done = events(&it.database, name) - before[nth];
                let answered = found[nth].answers as f64;
                assert!(
                    done >= answered,
                    "{name}: {done} events of {answered} answers"
                );
            }
            self.report.say(&format!("{what}:\n"));
            self.table(&programs, &found);
            self.report.say(&format!(
                "Raw commits on SQLite: {} a second.\n",
                number(raw)
            ));
            self.report.at_least(
                &format!("{name}, SQLite, beside better-auth"),
                15.0,
                found[0].rate / found[2].rate,
                " ×",
            );
            self.report.at_least(
                &format!("{name}, SQLite, beside raw commits"),
                1.0,
                found[0].rate / raw,
                " ×",
            );
        }
        self.report
            .say("Sign in, an Argon2 hash each, 8 at once:\n");
        let operation = Operation {
            connections: 8,
            ..Operation::page("sign-in")
        };
        let programs = [&rosters[0], &rosters[1]];
        let found = measure(&programs.map(|it| (it, operation.clone())), effort);
        self.table(&programs, &found);
    }

    fn write_requests(&self, it: &Filled<(Vec<Place>, Vec<Invitee>)>) {
        let (places, invitees) = &it.made;
        let invite = places.iter().map(|place| {
            let path = format!("/orgs/{}/settings/team/invite", place.slug);
            let token = self.keys.form_token(place.browser.id);
            let body = format!("csrf={token}&emails=new{{n}}%40example.test&role=member&message=&from=page&then=send");
            post(&path, &place.browser.cookie, &body)
        });
        requests(&it.folder, "invite", invite);
        let accept = invitees.iter().map(|invitee| {
            let path = format!("{}/accept", self.keys.link(invitee.invitation));
            let body = format!("csrf={}", self.keys.form_token(invitee.browser.id));
            post(&path, &invitee.browser.cookie, &body)
        });
        requests(&it.folder, "accept", accept);
        let sign_in = places.iter().map(|place| {
            let (cookie, token) = self.keys.signed_out();
            let password = fill::PASSWORD.replace(' ', "+");
            let email = place.owner.email.replace('@', "%40");
            post(
                "/sign-in",
                &cookie,
                &format!("csrf={token}&email={email}&password={password}"),
            )
        });
        requests(&it.folder, "sign-in", sign_in);
    }

    fn growth(&mut self, databases: &[Filled<Vec<Place>>]) {
        self.report.heading("Growth");
        self.report.say(&format!(
            "Processor time of a page in one organization of so many members, in a database with {} invitations in all. \
             In brackets: beside the same page with 100 members.\n",
            number(fill::INVITATIONS as f64)
        ));
        for (small, filled) in databases.iter().zip(self.fill_both(LARGE, fill::large)) {
            self.attempt(&format!("Growth, {},", short_name(small.kind)), |bench| {
                bench.growth_of(small, &or_resume(filled));
            });
        }
    }

    fn growth_of(&mut self, small: &Filled<Vec<Place>>, filled: &Filled<Vec<Place>>) {
        let kind = filled.kind;
        let effort = Effort {
            rounds: self.effort.rounds.min(GROWTH_ROUNDS),
            ..self.effort
        };
        let [team, sizes @ ..] = filled.made.as_slice() else {
            panic!("the places");
        };
        team_requests(&filled.folder, team);
        let largest = sizes.last().expect("the sizes");
        requests(
            &filled.folder,
            "pending of many",
            [get(&pending_of(largest), &largest.browser.cookie)],
        );
        let mut cases = Vec::new();
        let roster = self.start(filled);
        for place in sizes {
            for (name, path) in pages_of(place) {
                let name = format!("{} {name}", place.order.len());
                requests(&filled.folder, &name, [get(&path, &place.browser.cookie)]);
                cases.push((&roster, Operation::page(&name)));
            }
        }
        let found = measure(&cases, effort);
        let rows: Vec<&[Figures]> = found.chunks(POSITIONS.len()).collect();
        self.report.say(&format!(
            "{}:\n\n| members | first | middle | last | search |\n|--:|--:|--:|--:|--:|",
            kind.name()
        ));
        let hundred = rows[1];
        let mut worst: f64 = 0.0;
        for (size, row) in SIZES.iter().zip(&rows) {
            let cells = row
                .iter()
                .zip(hundred)
                .map(|(it, base)| format!("{} µs ({})", number(it.cpu), short(it.cpu / base.cpu)));
            let cells: Vec<String> = cells.collect();
            self.report.say(&format!(
                "| {} | {} |",
                number(*size as f64),
                cells.join(" | ")
            ));
            if *size > 100 {
                let full = row[..3].iter().zip(hundred);
                worst = full.fold(worst, |worst, (it, base)| worst.max(it.cpu / base.cpu));
            }
        }
        self.report.say("");
        let young = self.start(small);
        let mut cases = Vec::new();
        for name in ["team", "pending"] {
            cases.push((&young, Operation::page(name)));
            cases.push((&roster, Operation::page(name)));
        }
        cases.push((&roster, Operation::page("pending of many")));
        let found = measure(&cases, effort);
        let cpu = |nth: usize| found[nth].cpu;
        self.report.say(&format!(
            "The same organization of {} members and {} pending invitations, with a hundred and with {} invitations in \
             the database: Team page {} and {} µs, pending invitations {} and {} µs. The first of the pages of 2,000 \
             pending ones: {} µs.\n",
            TEAM.0, TEAM.1,
            number(fill::INVITATIONS as f64),
            number(cpu(0)), number(cpu(1)), number(cpu(2)), number(cpu(3)), number(cpu(4))
        ));
        let kind = short_name(kind);
        self.report.at_most(
            &format!("full members pages, 100 → 100,000, {kind}: the worst"),
            1.3,
            worst,
            " ×",
        );
        self.report.at_most(
            &format!("Team page, → 1,000,000 invitations, {kind}"),
            1.3,
            cpu(1) / cpu(0),
            " ×",
        );
        self.report.at_most(
            &format!("pending invitations, → 1,000,000, {kind}"),
            1.3,
            cpu(3) / cpu(2),
            " ×",
        );
    }

    fn table(&mut self, programs: &[&Program], figures: &[Figures]) {
        let names = programs.iter().map(|it| it.name);
        let rows: Vec<_> = names.zip(figures.iter().copied()).collect();
        self.report.table(&rows);
    }

    fn fastify(&self) -> Program {
        self.peer("Fastify + EJS + better-sqlite3", "fastify", 0)
    }

    fn better_auth(&self, accepts: usize) -> Program {
        self.peer("better-auth, SQLite", "better-auth", accepts)
    }

    fn peer(&self, name: &'static str, script: &str, accepts: usize) -> Program {
        let folder = self.home.join(script);
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).expect("a folder");
        let script = self.peers.join(format!("{script}.mjs"));
        Program::peer(name, &script, &folder, accepts)
    }
}

/// A database, and what is in it.
struct Filled<T> {
    kind: Kind,
    database: Database,
    folder: PathBuf,
    made: T,
}

/// What went wrong in a thread goes wrong here.
fn or_resume<T>(done: thread::Result<T>) -> T {
    done.unwrap_or_else(|why| panic::resume_unwind(why))
}

/// The pages of a members list that are measured.
const POSITIONS: [&str; 4] = ["first", "middle", "last", "search"];

fn pages_of(place: &Place) -> [(&'static str, String); 4] {
    let list = format!("/orgs/{}/settings/team", place.slug);
    // A page begins after a row of the list, as its pager's links say it.
    let after = |nth: usize| {
        let (name, id) = &place.order[nth];
        format!("{list}?after={id}.{}", name.replace(' ', "+"))
    };
    let members = place.order.len();
    let [first, middle, last, search] = POSITIONS;
    [
        (first, list.clone()),
        (middle, after((members / 2).saturating_sub(26))),
        (last, after(members.saturating_sub(51))),
        (search, format!("{list}?q=amara")),
    ]
}

fn pending_of(place: &Place) -> String {
    format!("/orgs/{}/settings/team/invitations", place.slug)
}

/// What is measured of `team` in every database.
fn team_requests(folder: &Path, team: &Place) {
    let (list, cookie) = ("/orgs/team/settings/team", &team.browser.cookie);
    requests(folder, "team", [get(list, cookie)]);
    requests(folder, "pending", [get(&pending_of(team), cookie)]);
    requests(folder, "search", [get(&format!("{list}?q=amar"), cookie)]);
}

fn page(programs: &[&Program], name: &str, effort: Effort) -> Vec<Figures> {
    let cases: Vec<_> = programs
        .iter()
        .map(|it| (*it, Operation::page(name)))
        .collect();
    measure(&cases, effort)
}

/// Writes the file of requests that `load.lua` reads.
fn requests(folder: &Path, operation: &str, lines: impl IntoIterator<Item = String>) {
    let text: String = lines.into_iter().collect();
    fs::write(folder.join(format!("{operation}.req")), text).expect("a file");
}

fn get(path: &str, cookie: &str) -> String {
    format!("GET\t{path}\t{cookie}\t\t\n")
}

fn post(path: &str, cookie: &str, body: &str) -> String {
    format!("POST\t{path}\t{cookie}\tapplication/x-www-form-urlencoded\t{body}\n")
}

/// How many events of this kind the audit log has.
fn events(database: &Database, verb: &str) -> f64 {
    let query = format!("SELECT count(*) AS number FROM audit_events WHERE verb = '{verb}'");
    let count = match database {
        Database::Postgres(url) => psql(url, &query),
        Database::Sqlite(path) => databases::sqlite_count(path, &query).to_string(),
    };
    count.parse().expect("a number")
}

/// Binds this thread, and what it starts from now on unless it says otherwise, to a processor.
fn pin(cpu: &str) {
    let this = std::process::id().to_string();
    let done = Command::new("taskset")
        .args(["-p", "-c", cpu, &this])
        .output();
    assert!(done.expect("taskset runs").status.success(), "taskset");
}

fn short_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Sqlite => "SQLite",
        Kind::Postgres => "PostgreSQL",
    }
}

/// What this ran on, and when.
fn machine() -> String {
    let said = |command: &str, args: &[&str]| {
        let said = Command::new(command).args(args).output().expect("it runs");
        String::from_utf8_lossy(&said.stdout).trim().to_owned()
    };
    let cpus = fs::read_to_string("/proc/cpuinfo").expect("the processors");
    let models: Vec<&str> = cpus
        .lines()
        .filter(|line| line.starts_with("model name"))
        .filter_map(|line| line.split_once(": "))
        .map(|(_, model)| model)
        .collect();
    let today = roster::clock::Clock::system().now().date();
    let commit = said("git", &["describe", "--always", "--dirty"]);
    let kernel = said("uname", &["-r"]);
    // What follows the second point says who built it.
    let kernel: Vec<&str> = kernel.split('.').take(2).collect();
    format!(
        "{today}, commit {commit}. {} × {}, Linux {}, node {}, {}.",
        models.len(),
        models.first().unwrap_or(&"unknown processor"),
        kernel.join("."),
        said("node", &["--version"]),
        said("psql", &["--version"])
    )
}
