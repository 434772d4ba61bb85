//! Clients that leave in the middle: nothing is half done, and nothing of the server stays with them.

use crate::{
    on_both,
    profile::{Dice, Rounds, report},
    stage::Stage,
    support::{
        facts,
        people::{Person, encode},
        team::people_password,
    },
};
use std::{
    collections::HashSet,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{Barrier, Mutex},
    time::{Duration, Instant},
};

const CLIENTS: usize = 8;
const EACH: usize = 30;
/// More than there are connections to the database, many times over.
const AT_ONCE: usize = 50;

/// When a client leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Leaves {
    /// So many bytes of the request were sent, and not all.
    After(usize),
    /// The request was sent whole.
    AtOnce,
    /// It stops talking, and leaves a moment later.
    Soon,
    /// After the first byte of the answer.
    InTheAnswer,
}

impl Leaves {
    fn by_chance(dice: &mut Dice) -> Self {
        match dice.below(6) {
            0 => Self::AtOnce,
            1 => Self::Soon,
            2 => Self::InTheAnswer,
            _ => Self::After(dice.below(2000)),
        }
    }
}

on_both! {
    /// Hundreds of connections are cut in the middle of inviting and signing in. What was not sent whole did nothing, the
    /// rest is there whole or not at all, and fifty at once are served as if nothing had been (I9).
    fn a_client_that_leaves_takes_nothing_along(kind) {
        let mut rounds = Rounds::new(1);
        while rounds.again() {
            let stage = Stage::new(kind, 1);
            let address = stage.addresses()[0];
            let olivia = stage.olivia(address);
            let token = olivia.get("/").csrf();
            let mut dice = Dice::new();
            let halves = Mutex::new(HashSet::new());
            std::thread::scope(|scope| {
                for client in 0..CLIENTS {
                    let (olivia, halves, token) = (&olivia, &halves, token.as_str());
                    let mut dice = dice.fork();
                    scope.spawn(move || {
                        for nth in 0..EACH {
                            let leaves = Leaves::by_chance(&mut dice);
                            let email = format!("p{client}x{nth}@example.test");
                            let fields = [("csrf", token), ("emails", email.as_str()), ("role", "member"), ("from", "page"), ("then", "send")];
                            abort(address, olivia, "/orgs/acme/settings/team/invite", &encode(&fields), leaves);
                            if matches!(leaves, Leaves::After(_)) {
                                halves.lock().expect("a list").insert(email);
                            }
                            if nth % 6 == 0 {
                                abort_signing_in(address, leaves);
                            }
                        }
                    });
                }
            });
            let slowest = fifty_at_once(&olivia, address);
            // A password is verified again as soon as those that nobody waits for are through.
            let start = Instant::now();
            while Person::new(address).sign_in("olivia@example.test").status != 303 {
                assert!(start.elapsed() < Duration::from_secs(60), "nobody can sign in any more");
                std::thread::sleep(Duration::from_millis(50));
            }
            let db = stage.db();
            let invited = facts::ask(&db, |conn| {
                facts::lines(conn, "SELECT email_key AS line FROM invitations WHERE email_key LIKE 'p%'")
            });
            let halves = halves.into_inner().expect("a list");
            assert!(invited.iter().all(|email| !halves.contains(email)), "half a request did something");
            let letters = stage.letters_end();
            stage.end();
            let cut = CLIENTS * EACH;
            report(&format!(
                "{kind:?}, aborts: {cut} requests cut off, {} of {} whole ones done, 0 halves; then {AT_ONCE} at once, the slowest in {} ms; \
                 {} letters, 0 doubled",
                invited.len(),
                cut - halves.len(),
                slowest.as_millis(),
                letters.all(),
            ));
        }
    }
}

/// Sends a form, or part of it, and leaves.
fn abort(address: SocketAddr, person: &Person, path: &str, form: &str, leaves: Leaves) {
    let mut socket = TcpStream::connect(address).expect("a connection");
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nCookie: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{form}",
        person.cookie_header(),
        form.len()
    );
    let sent = match leaves {
        // the last byte is never among them
        Leaves::After(bytes) => &request[..bytes % request.len()],
        _ => &request,
    };
    // whoever was faster: the other end may have given up already
    let written = socket.write_all(sent.as_bytes());
    if written.is_ok() && leaves == Leaves::Soon {
        drop(socket.shutdown(std::net::Shutdown::Write));
        std::thread::sleep(Duration::from_millis(3));
    }
    if written.is_ok() && leaves == Leaves::InTheAnswer {
        drop(socket.read(&mut [0; 1]));
    }
}

/// The same while a password is being verified.
fn abort_signing_in(address: SocketAddr, leaves: Leaves) {
    let visitor = Person::new(address);
    let token = visitor.get("/sign-in").csrf();
    let fields = [
        ("csrf", token.as_str()),
        ("email", "olivia@example.test"),
        ("password", people_password()),
    ];
    abort(address, &visitor, "/sign-in", &encode(&fields), leaves);
}

/// Everybody is served; how long the slowest took.
fn fifty_at_once(olivia: &Person, address: SocketAddr) -> Duration {
    let start = Barrier::new(AT_ONCE);
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..AT_ONCE)
            .map(|nth| {
                let start = &start;
                scope.spawn(move || {
                    let person = olivia.at(address);
                    start.wait();
                    let began = Instant::now();
                    if nth % 5 == 0 {
                        person.invite(&format!("after{nth}@example.test"), "viewer");
                    } else {
                        person
                            .get("/orgs/acme/settings/team")
                            .expect(200)
                            .shows("Olivia Owner");
                    }
                    began.elapsed()
                })
            })
            .collect();
        runs.into_iter()
            .map(|run| run.join().expect("served"))
            .max()
            .unwrap_or_default()
    })
}
