//! The queue as a whole: it rests while the mail server refuses Roster itself, one letter tries, one bad letter or slow
//! conversation does not hold up the others, and letters that have lost their reason end.

use crate::{
    on_both,
    support::{
        database::Kind,
        mailing::{self, Mailing, PATIENT, Workers, run, until},
        smtp::{Act, Phase},
        team::Team,
    },
};
use roster::{
    mail::outbox,
    store::{
        self, Error,
        deliveries::{self, Lease},
        outbox::Trouble,
    },
};
use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration as Real, Instant},
};
use time::Duration;
use tokio::sync::watch;

const NOOR: &str = "noor@example.test";
const GRACE: &str = "grace@example.test";

/// Longer than the longest rest.
const A_REST: Duration = Duration::minutes(16);

/// How often the mail server was asked to take a letter from us.
fn asked(acme: &Mailing) -> usize {
    let commands = acme.server.commands();
    commands
        .iter()
        .filter(|line| line.starts_with("MAIL"))
        .count()
}

/// Olivia's Acme, and nothing in the queue: the letter that confirms her own address has left.
fn quiet(kind: Kind) -> Mailing {
    let acme = Mailing::new(kind);
    acme.deliver();
    mailing::change(&acme.db, "DELETE FROM deliveries");
    acme.server.forget();
    acme
}

fn refuse_roster(acme: &Mailing) {
    acme.server
        .always(Phase::Mail, Act::reply(553, "5.7.1 sender not allowed"));
}

on_both! {
    /// A fault of our own says nothing about a letter: the queue rests, and no letter loses a try to it.
    fn a_fault_of_ours_pauses_the_queue_and_uses_up_no_letter(kind) {
        let acme = quiet(kind);
        refuse_roster(&acme);
        for email in [NOOR, GRACE] {
            acme.invite(email);
        }
        acme.deliver();
        assert_eq!(asked(&acme), 1, "the second letter waits");
        acme.advance(Duration::seconds(29));
        acme.deliver();
        assert_eq!(asked(&acme), 1, "nobody knocks for half a minute");
        for nth in 2..30 {
            acme.advance(A_REST);
            acme.deliver();
            assert_eq!(asked(&acme), nth, "one letter tries");
        }
        for email in [NOOR, GRACE] {
            assert_eq!((acme.row(email).state.as_str(), acme.row(email).attempts), ("queued", 0));
            assert_eq!(acme.shown(email), "Pending Sender: 553 5.7.1 sender not allowed");
        }
        acme.server.behave();
        acme.advance(A_REST);
        acme.deliver();
        for email in [NOOR, GRACE] {
            assert_eq!((acme.shown(email).as_str(), acme.copies(email), acme.row(email).attempts), ("Sent", 1, 1));
        }
    }

    /// The rest grows: after the second fault in a row, half a minute is not enough.
    fn the_pause_grows(kind) {
        let acme = quiet(kind);
        refuse_roster(&acme);
        acme.invite(NOOR);
        acme.deliver();
        acme.advance(Duration::seconds(38));
        acme.deliver();
        assert_eq!(asked(&acme), 2);
        acme.advance(Duration::seconds(59));
        acme.deliver();
        assert_eq!(asked(&acme), 2);
        acme.advance(Duration::seconds(17));
        acme.deliver();
        assert_eq!(asked(&acme), 3);
    }

    /// When the pause is over, one letter tries, whoever looks: six workers of two instances make one conversation.
    fn one_letter_tries_after_a_pause(kind) {
        let acme = quiet(kind);
        refuse_roster(&acme);
        for nth in 0..8 {
            acme.invite(&format!("p{nth}@example.test"));
        }
        acme.deliver();
        acme.advance(A_REST);
        acme.server.always(Phase::Ehlo, Act::Slow(Real::from_millis(300)));
        acme.six_workers();
        assert_eq!(asked(&acme), 2);
    }

    /// Whoever sees invitations is told why they wait, on every instance, until a letter has gone through.
    fn a_banner_says_why_letters_wait(kind) {
        const WORDS: &str = "Email has not been going out since";
        const PAGES: [&str; 4] = [
            "/orgs/acme/settings/team",
            "/orgs/acme/settings/team/invitations",
            "/orgs/acme/settings/team/invite",
            "/orgs/acme?stay",
        ];
        let acme = quiet(kind);
        let second = acme.second();
        refuse_roster(&acme);
        acme.invite(NOOR);
        acme.deliver();
        let elsewhere = acme.olivia.at(second.address);
        elsewhere.get(PAGES[0]).expect(200).lacks(WORDS);
        second.deliver();
        for person in [&acme.olivia, &elsewhere] {
            for page in PAGES {
                person.get(page).expect(200).shows(WORDS).shows("553 5.7.1 sender not allowed");
            }
            person.get("/").lacks(WORDS);
        }
        acme.server.behave();
        acme.advance(A_REST);
        acme.deliver();
        second.deliver();
        for person in [&acme.olivia, &elsewhere] {
            person.get(PAGES[0]).expect(200).lacks(WORDS);
        }
    }

    /// The banner is for those who see invitations.
    fn members_and_viewers_are_not_told_of_the_mail_server(kind) {
        let acme = Team::acme(kind);
        acme.parts.app.board.note(Some(Trouble {
            since: acme.parts.app.now(),
            until: acme.parts.app.now(),
            reason: "535 5.7.8 no".to_owned(),
        }));
        for (person, told) in [(&acme.olivia, true), (&acme.adam, true), (&acme.mia, false), (&acme.vic, false)] {
            let page = person.get("/orgs/acme?stay");
            page.expect(200);
            assert_eq!(page.body.contains("535 5.7.8 no"), told);
        }
    }

    /// A letter that causes the fault by itself is tried again by itself and given up; the others go.
    fn a_poisoned_letter_is_set_aside(kind) {
        let acme = quiet(kind);
        acme.server.refuse(NOOR, Act::reply(554, "5.6.0 I do not like this one"));
        acme.invite(NOOR);
        acme.deliver();
        acme.invite(GRACE);
        acme.advance(A_REST);
        acme.deliver();
        assert_eq!((acme.copies(GRACE), acme.row(NOOR).attempts), (1, 1));
        let mut rounds = 0;
        while acme.row(NOOR).state == "queued" {
            rounds += 1;
            assert!(rounds < 30, "it is tried for ever");
            let email = format!("p{rounds}@example.test");
            acme.invite(&email);
            acme.advance(Duration::hours(5));
            acme.deliver();
            assert_eq!(acme.copies(&email), 1, "round {rounds}");
        }
        assert_eq!(acme.row(NOOR).attempts, 12);
        assert!(acme.shown(NOOR).starts_with("Failed"), "{}", acme.shown(NOOR));
        assert!(acme.shown(NOOR).ends_with("554 5.6.0 I do not like this one"), "{}", acme.shown(NOOR));
    }

    /// Starting again cuts a pause short, with settings that may be better: nobody waits for a quarter of an hour.
    fn a_start_lets_a_letter_try_at_once(kind) {
        let mut acme = quiet(kind);
        refuse_roster(&acme);
        for nth in 0..5 {
            acme.invite(&format!("p{nth}@example.test"));
        }
        acme.deliver();
        acme.server.behave();
        acme.deliver();
        assert_eq!(acme.server.received().len(), 0, "it is paused");
        acme.team.parts.mail_limits = PATIENT;
        let workers = Workers::start(&acme);
        until("all letters are sent", || mailing::rows(&acme.db).iter().all(|row| row.state == "sent"));
        drop(workers);
        assert_eq!(acme.server.received().len(), 5);
    }

    /// When the letter that met the fault was withdrawn and nothing waits, nothing is wrong either.
    fn a_pause_ends_when_nothing_waits(kind) {
        let acme = quiet(kind);
        refuse_roster(&acme);
        acme.invite(NOOR);
        acme.deliver();
        acme.olivia.revoke(NOOR).expect(303);
        acme.advance(A_REST);
        acme.deliver();
        assert_eq!(acme.row(NOOR).state, "dropped");
        acme.olivia.get("/orgs/acme/settings/team").expect(200).lacks("Email has not been going out");
        acme.server.behave();
        acme.invite(GRACE);
        acme.deliver();
        assert_eq!(acme.shown(GRACE), "Sent");
    }

    /// R-INV-7: resends pressed together are one letter, and every letter's row ends (I7), with six workers at it.
    fn resends_pressed_together_are_one_letter(kind) {
        let acme = quiet(kind);
        acme.invite(NOOR);
        for _ in 0..3 {
            acme.advance(Duration::seconds(61));
            acme.olivia.resend(NOOR).expect(303);
        }
        acme.six_workers();
        let mut states: Vec<_> = mailing::rows(&acme.db).into_iter().map(|row| (row.state, row.reason)).collect();
        states.sort();
        let dropped = || ("dropped".to_owned(), Some("It was sent again before this letter left".to_owned()));
        assert_eq!(states, [dropped(), dropped(), dropped(), ("sent".to_owned(), None)]);
        assert_eq!((acme.shown(NOOR).as_str(), acme.copies(NOOR)), ("Sent", 1));
    }

    /// Resent while the letter before is on its way to the server: the newer one goes, and only that.
    fn a_resend_overtakes_a_letter_that_has_not_left(kind) {
        let acme = quiet(kind);
        acme.server.once(Phase::Rcpt, Act::Slow(Real::from_secs(2)));
        acme.invite(NOOR);
        acme.advance(Duration::seconds(61));
        while_a_conversation_is_slow(&acme, || { acme.olivia.resend(NOOR).expect(303); });
        acme.deliver();
        assert_eq!((acme.shown(NOOR).as_str(), acme.copies(NOOR)), ("Sent", 1));
        let states: Vec<_> = mailing::rows(&acme.db).into_iter().map(|row| row.state).collect();
        assert!(states.contains(&"dropped".to_owned()), "{states:?}");
    }

    /// An invitation that is revoked while the mail server takes its time: the letter does not leave.
    fn an_invitation_revoked_in_the_conversation_sends_no_letter(kind) {
        let acme = quiet(kind);
        acme.server.once(Phase::Rcpt, Act::Slow(Real::from_secs(2)));
        acme.invite(NOOR);
        while_a_conversation_is_slow(&acme, || { acme.olivia.revoke(NOOR).expect(303); });
        assert_eq!(acme.shown(NOOR), "Not emailed The invitation had ended before this was sent");
        assert_eq!((acme.row(NOOR).state.as_str(), acme.server.offered().len()), ("dropped", 0));
    }

    /// R-INV-11: mail that is switched off later leaves nothing pending for ever, and a link to copy.
    fn letters_are_written_off_when_mail_is_switched_off(kind) {
        let acme = quiet(kind);
        for email in [NOOR, GRACE] {
            acme.invite(email);
        }
        // Its worker died, and its lease is over.
        mailing::change(&acme.db, &format!("UPDATE deliveries SET state = 'handing', lease_owner = id, attempts = 1 WHERE email = '{GRACE}'"));
        let (_stop, stopping) = watch::channel(false);
        run(outbox::write_off(acme.db.clone(), acme.clock.clone(), stopping));
        assert_eq!(acme.shown(NOOR), "Not emailed Email was switched off on this server before this letter was sent");
        assert!(acme.shown(GRACE).starts_with("Unknown"), "{}", acme.shown(GRACE));
        assert!(acme.olivia.copy_link(NOOR).contains("/accept-invitation/"));
        acme.deliver();
        assert_eq!(asked(&acme), 0);
    }

    /// Five conversations hang, which is more than there are workers: the next letters leave all the same, each once.
    fn slow_conversations_hold_up_nobody(kind) {
        let mut acme = quiet(kind);
        acme.team.parts.mail_limits = PATIENT;
        for nth in 0..5 {
            let email = format!("p{nth}@example.test");
            acme.server.refuse(&email, Act::Hang);
            acme.invite(&email);
        }
        // Letters of one moment leave in any order: these are later.
        acme.advance(Duration::SECOND);
        acme.invite(NOOR);
        acme.invite(GRACE);
        let started = Instant::now();
        let workers = Workers::start(&acme);
        until("the others are sent", || acme.server.received().len() == 2);
        println!("{kind:?}: two letters behind five hanging ones left after {:?}", started.elapsed());
        until("it is recorded", || acme.row(NOOR).state == "sent" && acme.row(GRACE).state == "sent");
        until("the others hang", || acme.tries() >= 7);
        assert_eq!(acme.tries(), 7, "each letter is in one conversation");
        drop(workers);
    }

    /// However many hang: a mail server never sees more than eight conversations.
    fn there_are_eight_conversations_at_most(kind) {
        let mut acme = quiet(kind);
        acme.team.parts.mail_limits = PATIENT;
        acme.server.always(Phase::Rcpt, Act::Hang);
        for nth in 0..10 {
            acme.invite(&format!("p{nth}@example.test"));
        }
        let workers = Workers::start(&acme);
        until("eight hang", || acme.tries() == 8);
        std::thread::sleep(Real::from_millis(2500));
        assert_eq!(acme.tries(), 8);
        drop(workers);
    }

    /// Letters that failed together do not come back together.
    fn pauses_differ_between_letters(kind) {
        let acme = quiet(kind);
        acme.server.always(Phase::Rcpt, Act::reply(451, "later"));
        for nth in 0..5 {
            acme.invite(&format!("p{nth}@example.test"));
        }
        acme.deliver();
        let first = "UPDATE deliveries SET reason = 'first' WHERE due_at = (SELECT min(due_at) FROM deliveries)";
        assert_eq!(mailing::change(&acme.db, first), 1);
    }
}

/// Who records an end has the letter and wants the outbox; who tries after a pause does not hold the outbox while it waits
/// for a letter. (SQLite has one writer.)
#[test]
fn a_try_after_a_pause_and_an_end_do_not_wait_for_each_other() {
    let acme = quiet(Kind::Postgres);
    acme.invite(NOOR);
    let now = acme.parts.app.now();
    let (late, other) = (uuid::Uuid::from_u128(7), uuid::Uuid::from_u128(8));
    let leased = run(acme.db.write(move |conn| {
        let Lease::Letter(leased) = deliveries::lease(conn, late, now)? else {
            return Err(Error::Broken("no letter".to_owned()));
        };
        store::outbox::pause(conn, false, "no", 0.0, now)?;
        Ok(leased)
    }));
    let (leased, later) = (leased.expect("a letter"), now.plus(Duration::minutes(4)));
    let (held, holds) = mpsc::channel();
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let ending = scope.spawn(|| {
            run(acme.db.write(move |conn| {
                RUNS.fetch_add(1, Ordering::Relaxed);
                deliveries::give_back(conn, &leased, late, None, later)?;
                held.send(()).ok();
                std::thread::sleep(Real::from_millis(500));
                store::outbox::note_fault(conn, later)
            }))
        });
        holds.recv().expect("the letter is held");
        let trying = run(acme.db.write(move |conn| {
            RUNS.fetch_add(1, Ordering::Relaxed);
            deliveries::lease(conn, other, later)
        }));
        assert_eq!(trying, Ok(Lease::Again));
        assert_eq!(ending.join().expect("it ends"), Ok(()));
    });
    assert_eq!(RUNS.load(Ordering::Relaxed), 2, "neither was repeated");
}

/// Does `meanwhile` once a worker has named the recipient and waits for the answer, and lets the worker end.
fn while_a_conversation_is_slow(acme: &Mailing, meanwhile: impl FnOnce()) {
    let mut worker = acme.worker(PATIENT);
    std::thread::scope(|scope| {
        let slow = scope.spawn(move || run(worker.deliver_next()));
        acme.wait_for_command("RCPT");
        meanwhile();
        slow.join().expect("it ends").expect("the outbox answers");
    });
}
