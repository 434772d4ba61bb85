//! People who invite and look at pages all the time while something breaks, and what they were told.

use crate::{
    profile::report,
    support::{
        checker, facts,
        people::{Person, encode},
    },
};
use roster::store::Db;
use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, Scope},
    time::{Duration, Instant},
};

/// The promise, and as much again for the way there and back.
const PROMISED: Duration = Duration::from_millis(3300);

/// A page that needs no database answers at once, whatever the database does.
const AT_ONCE: Duration = Duration::from_millis(500);

/// How long the one who measures the machine sleeps.
const NAP: Duration = Duration::from_millis(20);

/// What it does then: some milliseconds of work, so that a machine with too much to do is noticed as well.
const CHORE: u32 = 200_000;

/// Longer than anything takes here, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// So that no answer gets lost because a server closed a connection that was kept open too long.
const CLOSE: (&str, &str) = ("connection", "close");

/// One answer.
#[derive(Clone, Debug)]
pub struct Told {
    pub status: u16,
    pub took: Duration,
    pub at: Instant,
}

/// Everything that was told.
#[derive(Default)]
pub struct Callers {
    done: AtomicBool,
    told: Mutex<Vec<Told>>,
    acknowledged: Mutex<BTreeSet<String>>,
    unchanged: Mutex<BTreeSet<String>>,
    wrong: Mutex<Vec<String>>,
    /// The longest that a page took which needs no database.
    slowest: Mutex<Duration>,
    /// The most that the machine added to a nap and a chore, measured outside of Roster.
    lateness: Mutex<Duration>,
}

/// Ends the callers's work, also when a test fails.
pub struct Ending<'a>(&'a Callers);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::Relaxed);
    }
}

impl Callers {
    /// Somebody invites, and opens the team page, until [`Callers::finish`].
    pub fn join<'a>(&'a self, scope: &'a Scope<'a, '_>, person: Person) {
        scope.spawn(move || {
            let token = person.get("/orgs/acme/settings/team/invite").csrf();
            while !self.done.load(Ordering::Relaxed) {
                self.look(&person);
                self.invite(&person, &token);
            }
        });
    }

    /// Somebody who only opens the team page.
    pub fn join_readers<'a>(&'a self, scope: &'a Scope<'a, '_>, person: Person) {
        scope.spawn(move || {
            while !self.done.load(Ordering::Relaxed) {
                self.look(&person);
            }
        });
    }

    /// Measures how slow the machine is at the moment, and asks for a page that needs no database.
    pub fn feel_the_pulse<'a>(&'a self, scope: &'a Scope<'a, '_>, person: Person) {
        scope.spawn(move || {
            let mut usual = chore();
            while !self.done.load(Ordering::Relaxed) {
                let start = Instant::now();
                thread::sleep(NAP);
                let overslept = start.elapsed().saturating_sub(NAP);
                let took = chore();
                usual = usual.min(took);
                let late = overslept + (took - usual);
                let mut lateness = self.lateness.lock().expect("a time");
                *lateness = late.max(*lateness);
            }
        });
        scope.spawn(move || {
            while !self.done.load(Ordering::Relaxed) {
                let start = Instant::now();
                person.ask("GET", "/livez", &[CLOSE], None).expect(200);
                let mut slowest = self.slowest.lock().expect("a time");
                *slowest = start.elapsed().max(*slowest);
                drop(slowest);
                thread::sleep(Duration::from_millis(50));
            }
        });
    }

    /// The work ends with what this returns.
    pub fn ending(&self) -> Ending<'_> {
        Ending(self)
    }

    /// This long, and longer on a machine that is slow at the moment. What Roster takes never makes it longer.
    pub fn allow(&self, time: Duration) -> Duration {
        time + 5 * *self.lateness.lock().expect("a time")
    }

    fn look(&self, person: &Person) {
        let start = Instant::now();
        let answer = person.ask("GET", "/orgs/acme/settings/team", &[CLOSE], None);
        self.note(start, answer.status, 200, &answer.headers, &answer.body);
    }

    fn invite(&self, person: &Person, token: &str) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let email = format!("p{nth}@example.test");
        let fields = [
            ("csrf", token),
            ("emails", email.as_str()),
            ("role", "member"),
            ("from", "page"),
            ("then", "send"),
        ];
        let start = Instant::now();
        let url = "/orgs/acme/settings/team/invite";
        let answer = person.ask("POST", url, &[CLOSE], Some(&encode(&fields)));
        self.note(start, answer.status, 303, &answer.headers, &answer.body);
        if answer.status == 303 {
            self.acknowledged.lock().expect("a list").insert(email);
        } else if answer.body.contains("Nothing was changed") {
            self.unchanged.lock().expect("a list").insert(email);
        }
    }

    fn note(
        &self,
        start: Instant,
        status: u16,
        well: u16,
        headers: &[(String, String)],
        body: &str,
    ) {
        let (at, took) = (Instant::now(), start.elapsed());
        let comes_back = headers.iter().any(|(name, _)| name == "retry-after");
        if !(status == well || status == 503 && comes_back) {
            let title = body
                .split("<title>")
                .nth(1)
                .and_then(|rest| rest.split('<').next());
            let wrong = format!("{status} after {took:?}: {title:?} {headers:?}");
            self.wrong.lock().expect("a list").push(wrong);
        }
        self.told
            .lock()
            .expect("a list")
            .push(Told { status, took, at });
    }

    /// Waits until so many more invitations were acknowledged.
    pub fn wait_for_good(&self, more: usize) {
        let before = self.good();
        self.wait("invitations go well", || self.good() >= before + more);
    }

    /// Waits until so many more were put off.
    pub fn wait_for_refused(&self, more: usize) {
        let before = self.put_off();
        self.wait("changes are put off", || self.put_off() >= before + more);
    }

    /// Waits for something.
    pub fn wait(&self, what: &str, happened: impl Fn() -> bool) {
        let start = Instant::now();
        while !happened() {
            assert!(start.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn good(&self) -> usize {
        self.acknowledged.lock().expect("a list").len()
    }

    /// Since when nothing went wrong any more.
    fn well_since(&self) -> Option<Instant> {
        let told = self.told.lock().expect("a list");
        told.iter()
            .filter(|told| told.status >= 400)
            .map(|told| told.at)
            .max()
    }

    /// Holds the promise against what happened: an answer in time or a 503 with `Retry-After`, nothing acknowledged
    /// lost, nothing done that was said not to be, the invariants.
    pub fn check(&self, what: &str, db: &Db) {
        let wrong = self.wrong.lock().expect("a list");
        assert!(
            wrong.is_empty(),
            "{what}: {} wrong answers, first: {}",
            wrong.len(),
            wrong[0]
        );
        let (longest, limit) = (self.longest(), self.allow(PROMISED));
        assert!(
            longest <= limit,
            "{what}: an answer took {longest:?}, more than {limit:?}"
        );
        let (slowest, limit) = (*self.slowest.lock().expect("a time"), self.allow(AT_ONCE));
        assert!(
            slowest <= limit,
            "{what}: a page without database took {slowest:?}, more than {limit:?}"
        );
        let there: BTreeSet<String> = facts::ask(db, |conn| {
            facts::lines(conn, "SELECT email AS line FROM invitations")
        })
        .into_iter()
        .collect();
        let acknowledged = self.acknowledged.lock().expect("a list");
        let lost: Vec<_> = acknowledged.difference(&there).collect();
        assert!(lost.is_empty(), "{what}: acknowledged and gone: {lost:?}");
        let unchanged = self.unchanged.lock().expect("a list");
        let done: Vec<_> = unchanged.intersection(&there).collect();
        assert!(
            done.is_empty(),
            "{what}: said to be unchanged, and there: {done:?}"
        );
        checker::check(db);
        self.say(what, &[]);
    }

    /// A line of figures for docs/reliability.md; shown by `--nocapture`.
    pub fn say(&self, what: &str, more: &[(&str, Duration)]) {
        let told = self.told.lock().expect("a list");
        let refused = told.iter().filter(|told| told.status == 503).count();
        let (answers, slowest) = (told.len(), *self.slowest.lock().expect("a time"));
        let lateness = *self.lateness.lock().expect("a time");
        drop(told);
        let longest = self.longest();
        report(&format!(
            "{what}: {answers} answers, {refused} of them 503, the longest after {longest:.1?} \
             (without database {slowest:.1?}, the machine added {lateness:.1?}) {more:.1?}"
        ));
    }

    fn longest(&self) -> Duration {
        let told = self.told.lock().expect("a list");
        told.iter().map(|told| told.took).max().unwrap_or_default()
    }

    /// Fails unless everything went well from `limit` after `since` on.
    pub fn recovered(&self, what: &str, since: Instant, limit: Duration) {
        let last = self
            .well_since()
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(since));
        self.say(what, &[("last 503 after it was back", last)]);
        assert!(
            last < self.allow(limit),
            "{what}: still 503 {last:?} after it was back"
        );
    }

    /// Fails unless somebody was put off: otherwise the fault was none.
    pub fn somebody_was_put_off(&self) {
        let told = self.told.lock().expect("a list");
        assert!(told.iter().any(|told| told.status == 503), "no 503 at all");
    }

    /// Fails if anybody was put off who was not put off by the machine: one that is slow at the moment.
    pub fn nobody_was_put_off(&self) {
        let slow = self.allow(Duration::ZERO) > Duration::from_secs(2);
        assert!(
            slow || self.put_off() == 0,
            "{} were put off",
            self.put_off()
        );
    }

    /// How many were put off.
    pub fn put_off(&self) -> usize {
        let told = self.told.lock().expect("a list");
        told.iter().filter(|told| told.status == 503).count()
    }
}

/// A little work for the processor, and how long it took.
fn chore() -> Duration {
    let start = Instant::now();
    let mixed = (0..CHORE).fold(1_u32, |mixed, nth| mixed.rotate_left(5) ^ nth);
    std::hint::black_box(mixed);
    start.elapsed()
}

/// Whether this run may take its time.
pub fn soaking() -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests/run --soak says so in the environment"
    )]
    std::env::var_os("SOAK_MINUTES").is_some()
}

/// Lets time pass in which the fault lasts.
pub fn let_pass(time: Duration) {
    thread::sleep(time);
}
