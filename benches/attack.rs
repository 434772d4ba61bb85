//! A page under attack: its slowest answers while somebody wants something dear all the time, beside the same on a quiet
//! server.

use crate::{
    fill::{PASSWORD, Place},
    keys::Keys,
    load::{Figures, Operation, load, settle},
    programs::{Program, ask},
    report::number,
};
use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    panic::{self, AssertUnwindSafe},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// Sign-ins at once.
const SIGN_INS: usize = 64;

/// Connections that say nothing.
const IDLE: usize = 2_000;

/// Requests that share a thousand addresses, and how often such a thousand comes.
const REQUESTS: usize = 10;
const ADDRESSES: usize = 100;
const EVERY: Duration = Duration::from_secs(1);

/// What was seen of one attack.
pub struct Seen {
    /// The attack, as it really was.
    pub what: String,
    /// What became of it: how often each status was answered.
    pub answers: String,
    pub page: Figures,
}

/// What was answered to an attack while the page was looked at.
struct Answers {
    by_status: BTreeMap<String, usize>,
    took: Duration,
}

impl Answers {
    fn all(&self) -> usize {
        self.by_status.values().sum()
    }

    fn text(&self) -> String {
        let each = self.by_status.iter();
        let each: Vec<String> = each
            .map(|(status, many)| format!("{status}: {many}"))
            .collect();
        each.join(", ")
    }
}

/// The Team page quiet, then during each attack, so many seconds each.
pub fn all(program: &Program, keys: &Keys, writers: &[Place], seconds: u64) -> Vec<Seen> {
    let address = program.address;
    let team = Operation {
        // A page that is refused because of an attack is a figure, too.
        may_refuse: true,
        ..Operation::page("team")
    };
    let look = || load(program, &team, seconds).expect("pages are not used up");
    let mut seen = vec![Seen {
        what: "quiet".to_owned(),
        answers: String::new(),
        page: look(),
    }];

    let (page, answers) = during(&look, SIGN_INS, Duration::ZERO, |nth, round| {
        sign_in(address, keys, nth, round)
    });
    let rate = answers.all() as f64 / answers.took.as_secs_f64();
    seen.push(Seen {
        what: format!("{SIGN_INS} sign-ins at once, {} a second", number(rate)),
        answers: answers.text(),
        page,
    });

    settle(program);
    let mut idle: Vec<TcpStream> = (0..IDLE)
        .filter_map(|_| {
            let mut socket = TcpStream::connect(address).ok()?;
            // The beginning of a head: a server that waits for the rest.
            socket.write_all(b"GET / HTTP/1.1\r\n").ok()?;
            Some(socket)
        })
        .collect();
    let page = look();
    let open = idle
        .iter_mut()
        .filter_map(|socket| is_open(socket).then_some(()));
    let open = number(open.count() as f64);
    seen.push(Seen {
        what: format!("{} idle connections", number(idle.len() as f64)),
        answers: format!("{open} still open at the end"),
        page,
    });
    drop(idle);
    settle(program);

    // Last: until PostgreSQL has counted its rows again it takes the tables for what they were before.
    let (page, answers) = during(&look, REQUESTS, EVERY, |nth, round| {
        invite(address, keys, writers, nth, round)
    });
    let done = answers.by_status.get("303").copied().unwrap_or_default();
    // One has begun with each second, the last included.
    let rate = (done * ADDRESSES) as f64 / answers.took.as_secs_f64().ceil();
    seen.push(Seen {
        what: format!("{} invited a second, {ADDRESSES} at once", number(rate)),
        answers: answers.text(),
        page,
    });
    seen
}

/// Whether the server has neither said anything nor closed it.
fn is_open(socket: &mut TcpStream) -> bool {
    let waiting = socket
        .set_nonblocking(true)
        .and_then(|()| socket.read(&mut [0]));
    waiting.is_err_and(|it| it.kind() == ErrorKind::WouldBlock)
}

/// Looks at the page while so many threads do `work` over and over, beginning no sooner than `every`, and answers what they
/// were told meanwhile.
fn during(
    look: &impl Fn() -> Figures,
    threads: usize,
    every: Duration,
    work: impl Fn(usize, usize) -> String + Sync,
) -> (Figures, Answers) {
    let (over, told) = (AtomicBool::new(false), Mutex::new(BTreeMap::new()));
    let lock = || told.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        let (over, lock, work) = (&over, &lock, &work);
        let start = Instant::now();
        for nth in 0..threads {
            scope.spawn(move || {
                let mut round = 0;
                while !over.load(Relaxed) {
                    let begun = Instant::now();
                    let status = work(nth, round);
                    *lock().entry(status).or_default() += 1;
                    round += 1;
                    thread::sleep(every.saturating_sub(begun.elapsed()));
                }
            });
        }
        // The threads must end also when looking fails, or nobody would hear of it.
        let page = panic::catch_unwind(AssertUnwindSafe(look));
        let (by_status, took) = (lock().clone(), start.elapsed());
        over.store(true, Relaxed);
        let page = page.unwrap_or_else(|why| panic::resume_unwind(why));
        (page, Answers { by_status, took })
    })
}

/// Answers the status.
fn sign_in(address: SocketAddr, keys: &Keys, nth: usize, round: usize) -> String {
    let (cookie, token) = keys.signed_out();
    let body = format!(
        "csrf={token}&email=nobody{nth}.{round}%40example.test&password={}x",
        PASSWORD.replace(' ', "+")
    );
    // A client of its own each time, or the limits would soon end the attack.
    let from = format!("10.{}.{}.{}", nth, round / 250 % 250, round % 250);
    post(address, "/sign-in", &cookie, &from, &body)
}

/// Answers the status.
fn invite(address: SocketAddr, keys: &Keys, writers: &[Place], nth: usize, round: usize) -> String {
    let place = &writers[(nth + round * REQUESTS) % writers.len()];
    let emails: Vec<String> = (0..ADDRESSES)
        .map(|one| format!("crowd{nth}.{round}.{one}%40example.test"))
        .collect();
    let body = format!(
        "csrf={}&emails={}&role=member&from=page&then=send",
        keys.form_token(place.browser.id),
        emails.join("%0A")
    );
    let path = format!("/orgs/{}/settings/team/invite", place.slug);
    post(address, &path, &place.browser.cookie, "10.0.0.1", &body)
}

/// Answers the status.
fn post(host: SocketAddr, path: &str, cookie: &str, from: &str, body: &str) -> String {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nCookie: {cookie}\r\nX-Forwarded-For: {from}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    let answer = ask(host, &request).unwrap_or_default();
    let status = answer.split(' ').nth(1);
    status.unwrap_or("no answer").to_owned()
}
