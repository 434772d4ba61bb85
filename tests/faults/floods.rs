//! Floods: many who want the same dear thing at once. Each gets an answer, if only "come back later", and a page that
//! has nothing to do with it is served meanwhile, not much more slowly than before. How quickly on a machine that does
//! nothing else is measured elsewhere.

use crate::{
    on_both,
    profile::report,
    support::{
        checker,
        database::TestDatabase,
        people::{Answer, Person, encode},
        process::Roster,
        team::people_password,
    },
};
use image::{DynamicImage, ImageFormat};
use std::{
    io::{Cursor, Write as _},
    net::TcpStream,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// A page of a flooded server takes no longer than this, or so many times what it took before the flood.
const BEARABLE: Duration = Duration::from_secs(1);
const TIMES: u32 = 8;

/// Pages that are served while a flood lasts, at least.
const PAGES: usize = 20;

/// How long each of so many pages took.
fn look(person: &Person, mut again: impl FnMut(usize) -> bool) -> Vec<Duration> {
    let mut times = Vec::new();
    while again(times.len()) {
        let asked = Instant::now();
        person.get("/orgs/acme/settings/team").expect(200);
        times.push(asked.elapsed());
    }
    times
}

/// Fails unless enough pages were served, and none much more slowly than the slowest before.
fn compare(what: &str, before: &[Duration], during: &[Duration]) {
    let slowest = |times: &[Duration]| times.iter().copied().max().unwrap_or_default();
    let (quiet, flooded) = (slowest(before), slowest(during));
    let pages = during.len();
    report(&format!(
        "{what}: {pages} pages meanwhile, the slowest after {flooded:.1?}, before {quiet:.1?}"
    ));
    assert!(pages >= PAGES, "{what}: {pages} pages");
    let limit = BEARABLE.max(TIMES * quiet);
    assert!(flooded <= limit, "{what}: {flooded:?}, more than {limit:?}");
}

/// A client of its own for each: what one of them does wrong is not counted against the others.
fn from(nth: usize) -> String {
    format!("10.0.{}.{}", nth / 200, nth % 200 + 1)
}

/// Runs `work` for each of so many at the same moment, and asks for the Team page all the while.
fn flood<T: Send>(
    what: &str,
    many: usize,
    olivia: &Person,
    work: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    let before = look(olivia, |done| done < 20);
    let (start, over, reader) = (Barrier::new(many), AtomicBool::new(false), olivia.copy());
    thread::scope(|scope| {
        let over = &over;
        let looking = scope.spawn(move || look(&reader, |_| !over.load(Ordering::Relaxed)));
        let (start, work) = (&start, &work);
        let runs: Vec<_> = (0..many)
            .map(|nth| {
                scope.spawn(move || {
                    start.wait();
                    work(nth)
                })
            })
            .collect();
        let ended: Vec<_> = runs
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        over.store(true, Ordering::Relaxed);
        compare(what, &before, &looking.join().expect("pages"));
        ended
            .into_iter()
            .map(|run| run.expect("an answer"))
            .collect()
    })
}

/// Whether this is the answer, rather than one that asks to come back and says when. Fails for anything else.
fn answered(answer: &Answer<'_>, expected: u16) -> bool {
    match answer.status {
        503 | 429 => {
            assert!(answer.retry_after() > 0);
            false
        }
        status => {
            assert_eq!(status, expected, "{}", answer.text());
            true
        }
    }
}

/// A picture that takes a while to draw.
fn picture() -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    DynamicImage::new_rgb8(900, 900)
        .write_to(&mut file, ImageFormat::Png)
        .expect("a picture");
    file.into_inner()
}

on_both! {
    /// 64 sign-ins, then 24 new accounts with passwords that are hard to judge, then 16 pictures, each at one moment.
    fn a_flood_of_dear_requests_leaves_the_pages_alone(kind) {
        let (folder, database) = (tempfile::tempdir().expect("a folder"), TestDatabase::new(kind));
        let url = database.url();
        let settings = [("DATABASE_URL", url.as_str()), ("TRUSTED_PROXIES", "127.0.0.1/32"), ("SIGNUP", "open")];
        let roster = Roster::start(folder.path(), &settings);
        let olivia = roster.olivia();
        let visitors: Vec<_> = (0..64).map(|_| { let visitor = roster.visitor(); let token = visitor.get("/sign-in").csrf(); (visitor, token) }).collect();
        let right = flood("64 sign-ins", 64, &olivia, |nth| {
            let (visitor, token) = &visitors[nth];
            // Every other one is somebody without an account: that costs as much.
            let (email, status) = if nth % 2 == 0 { ("olivia@example.test".to_owned(), 303) } else { (format!("nobody{nth}@example.test"), 422) };
            let form = encode(&[("csrf", token), ("email", &email), ("password", people_password())]);
            let answer = visitor.ask("POST", "/sign-in", &[("x-forwarded-for", &from(nth))], Some(&form));
            answered(&answer, status)
        });
        assert!(right.contains(&true), "nobody got an answer");
        let visitors: Vec<_> = (0..24).map(|_| { let visitor = roster.visitor(); let token = visitor.get("/sign-up").csrf(); (visitor, token) }).collect();
        let right = flood("24 new accounts", 24, &olivia, |nth| {
            let (visitor, token) = &visitors[nth];
            let (email, password) = (format!("new{nth}@example.test"), "qwErty1!aSdfgh2@zXcvbn3#".repeat(5));
            let form = encode(&[("csrf", token), ("name", "Nora New"), ("email", &email), ("password", &password), ("organization", "New Works")]);
            let answer = visitor.ask("POST", "/sign-up", &[("x-forwarded-for", &from(nth))], Some(&form));
            answered(&answer, 303)
        });
        assert!(right.contains(&true), "nobody got an answer");
        let (file, token) = (picture(), olivia.get("/account").csrf());
        let right = flood("16 pictures", 16, &olivia, |_| {
            let browser = olivia.copy();
            let answer = browser.upload("/account/avatar", &[("csrf", &token)], ("avatar", "me.png", &file));
            answered(&answer, 303)
        });
        assert!(right.contains(&true), "nobody got an answer");
        well(&roster);
        roster.stop();
        checker::check(&database.open());
    }

    /// 600 connections that say nothing and 100 that begin a head: they go by themselves, and pages are served meanwhile.
    fn idle_connections_leave_the_pages_alone(kind) {
        let (folder, database) = (tempfile::tempdir().expect("a folder"), TestDatabase::new(kind));
        let url = database.url();
        let roster = Roster::start(folder.path(), &[("DATABASE_URL", url.as_str())]);
        let olivia = roster.olivia();
        let before = look(&olivia, |done| done < 20);
        let mut sockets: Vec<_> = (0..700).map(|_| TcpStream::connect(roster.address).expect("a connection")).collect();
        for socket in &mut sockets[600..] {
            socket.write_all(b"GET / HTTP/1.1\r\nHost: ro").expect("sent");
        }
        compare("700 idle connections", &before, &look(&olivia, |done| done < 50));
        for socket in &mut sockets {
            socket.set_read_timeout(Some(Duration::from_secs(150))).expect("a time limit");
            let ended = std::io::Read::read_to_end(socket, &mut Vec::new());
            assert!(!ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "the server keeps it");
        }
        well(&roster);
        roster.stop();
        checker::check(&database.open());
    }
}

fn well(roster: &Roster) {
    let log = roster.log();
    for sign in ["panicked", "request failed"] {
        assert!(!log.contains(sign), "{log}");
    }
}
