//! The machine's clock jumps: a year forwards, an hour backwards, and two machines that do not agree. Nothing panics,
//! sessions and leases do what their times say, and no letter is doubled (I8).

use crate::{
    on_both,
    support::{
        facts,
        mailing::{Mailing, SHORT, drain, run, until, wait_for_command},
        smtp::{Act, Phase},
        team::link_in,
    },
};
use roster::{actions, clock::Clock, mail::outbox::Outbox, mail::transport::Limits};
use std::{thread::ScopedJoinHandle, time::Duration as Real};
use time::Duration;

const NOOR: &str = "noor@example.test";
const GRACE: &str = "grace@example.test";
const OLIVIA: &str = "olivia@example.test";
const A_YEAR: Duration = Duration::days(365);
const AN_HOUR: Duration = Duration::hours(1);
/// Longer than a worker may hold a letter.
const A_LEASE: Duration = Duration::minutes(4);

/// A worker that is caught in the middle of a conversation on a busy machine.
const PATIENT: Limits = Limits {
    conversation: Real::from_secs(30),
    ..SHORT
};

on_both! {
    /// A year forwards: everybody is signed out, every link has expired, and everything can go on from there.
    fn a_year_forwards_ends_sessions_and_invitations(kind) {
        let acme = Mailing::new(kind);
        acme.invite(NOOR);
        acme.deliver();
        let link = link_in(&acme.server.received()[0].text());
        acme.invite(GRACE);
        acme.advance(A_YEAR);
        acme.olivia.get("/orgs/acme").expect(303);
        acme.visitor().get(&link).expect(410).shows("This invitation has expired.");
        tick(&acme);
        acme.deliver();
        assert_eq!((acme.copies(NOOR), acme.copies(GRACE)), (1, 0), "a letter with a dead link helps nobody");
        acme.olivia.sign_in(OLIVIA).expect(303);
        acme.olivia.resend(GRACE).expect(303);
        acme.deliver();
        assert_eq!(acme.copies(GRACE), 1);
        acme.check();
    }

    /// An hour backwards: whoever is signed in stays so and works, new letters go out, a letter that a dead worker held is
    /// held until the clock is past its lease, and what has to wait waits no longer than the jump.
    fn an_hour_backwards_stops_nobody(kind) {
        let acme = Mailing::new(kind);
        acme.invite(NOOR);
        acme.deliver();
        leave_in_the_middle(&acme, GRACE, Phase::Rcpt);
        acme.advance(-AN_HOUR);
        acme.olivia.get("/orgs/acme").expect(200);
        acme.invite("luis@example.test");
        acme.deliver();
        assert_eq!((acme.copies("luis@example.test"), acme.copies(GRACE)), (1, 0));
        assert_eq!(acme.row(GRACE).state, "sending");
        let again = acme.olivia.resend(NOOR);
        let wait = again.expect(429).retry_after();
        assert!((3600..=3660).contains(&wait), "{wait}");
        acme.olivia.revoke(NOOR).expect(303);
        let link = link_in(&acme.server.last_to("luis@example.test").expect("a letter").text());
        let luis = acme.visitor().join(&link, "Luis Late");
        tick(&acme);
        acme.advance(AN_HOUR + A_LEASE);
        luis.get("/orgs/acme").expect(200);
        acme.deliver();
        assert_eq!((acme.row(GRACE).state.as_str(), acme.copies(GRACE)), ("sent", 1));
        acme.check();
    }

    /// The clock jumps before the letter has left: it is not sent with a lease that is over, but in its next turn, once.
    fn a_jump_before_data_sends_once(kind) {
        let acme = Mailing::new(kind);
        acme.server.always(Phase::Rcpt, Act::Slow(Real::from_millis(300)));
        acme.invite(NOOR);
        in_the_middle(&acme, "RCPT", || acme.advance(A_LEASE));
        assert_eq!((acme.row(NOOR).state.as_str(), acme.copies(NOOR)), ("sending", 0));
        acme.deliver();
        assert_eq!((acme.row(NOOR).state.as_str(), acme.copies(NOOR)), ("sent", 1));
        acme.check();
    }

    /// The clock jumps while the letter is under way, and another worker is about: it is unknown, and not sent again.
    fn a_jump_after_data_doubles_nothing(kind) {
        let acme = Mailing::new(kind);
        acme.server.once(Phase::Body, Act::Slow(Real::from_millis(700)));
        acme.invite(NOOR);
        in_the_middle(&acme, "DATA", || {
            until("it is being handed over", || acme.row(NOOR).state == "handing");
            acme.advance(A_LEASE);
            acme.deliver();
            assert_eq!(acme.row(NOOR).state, "unknown");
        });
        acme.advance(A_YEAR);
        acme.deliver();
        assert_eq!((acme.row(NOOR).state.as_str(), acme.copies(NOOR)), ("unknown", 1));
        acme.check();
    }

    /// Two machines whose clocks are an hour apart: the one ahead takes every lease for over. Each letter still goes out
    /// once at most.
    fn two_clocks_an_hour_apart_double_nothing(kind) {
        let acme = Mailing::new(kind);
        for (nth, phase) in [Phase::Rcpt, Phase::Body].into_iter().enumerate() {
            let email = format!("p{nth}@example.test");
            acme.server.once(phase, Act::Slow(Real::from_millis(700)));
            acme.invite(&email);
            let state = if phase == Phase::Rcpt { "sending" } else { "handing" };
            let command = if phase == Phase::Rcpt { "RCPT" } else { "DATA" };
            in_the_middle(&acme, command, || {
                until("it is held", || acme.row(&email).state == state);
                run(drain(&mut worker_at(&acme, AN_HOUR)));
            });
            let expected = if phase == Phase::Rcpt { "sent" } else { "unknown" };
            assert_eq!((acme.row(&email).state.as_str(), acme.copies(&email)), (expected, 1));
            acme.server.forget();
        }
        // What the one behind has queued the one ahead may send; the reverse has to wait.
        acme.invite(NOOR);
        run(drain(&mut worker_at(&acme, -AN_HOUR)));
        assert_eq!(acme.copies(NOOR), 0);
        run(drain(&mut worker_at(&acme, AN_HOUR)));
        assert_eq!(acme.copies(NOOR), 1);
        acme.check();
    }
}

/// What runs beside the requests looks once.
fn tick(acme: &Mailing) {
    run(async {
        let app = &acme.parts.app;
        while app.act(actions::housekeeping::sweep).await.expect("swept") {}
        while app.act(actions::reminders::remind).await.expect("reminded") {}
        while app
            .act(actions::reminders::tell_of_lapses)
            .await
            .expect("told")
        {}
    });
    assert!(facts::count(&acme.db, "SELECT count(*) AS count FROM accounts") > 0);
}

/// A worker on a machine whose clock is this much ahead.
fn worker_at(acme: &Mailing, ahead: Duration) -> Outbox {
    let mut parts = acme.parts.clone();
    parts.mail_limits = PATIENT;
    parts.app.clock = Clock::manual(acme.clock.now() + ahead);
    parts.outbox()
}

/// A worker sends the next letter; `meanwhile` happens once the mail server has heard this.
fn in_the_middle(acme: &Mailing, command: &str, meanwhile: impl FnOnce()) {
    std::thread::scope(|scope| {
        let sending: ScopedJoinHandle<'_, ()> = scope.spawn(|| {
            let mut worker = acme.worker(PATIENT);
            // a lease that was lost is an error, and all there is to say
            drop(run(worker.deliver_next()));
        });
        wait_for_command(&acme.server, command);
        meanwhile();
        sending.join().expect("the worker ends without a panic");
    });
}

/// A worker is gone in the middle of the letter for this address.
fn leave_in_the_middle(acme: &Mailing, email: &str, phase: Phase) {
    acme.server.once(phase, Act::Hang);
    acme.invite(email);
    run(async {
        let mut worker = acme.worker(PATIENT);
        let sending = worker.deliver_next();
        drop(tokio::time::timeout(Real::from_millis(800), sending).await);
    });
    assert_eq!(acme.row(email).state, "sending");
    acme.server.down();
    acme.server.up();
}
