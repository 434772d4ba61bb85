//! What becomes of a letter, whatever the mail server does (R-INV-9, R-INV-10, R-INV-11).

use crate::{
    on_both,
    support::{
        database::Kind,
        mailing::{self, Mailing, PATIENT, SHORT, Workers, run, until},
        smtp::{Act, Phase},
        team::{Setup, Team, link_in},
    },
};
use roster::{
    mail::{
        outbox::Delivered,
        transport::{Limits, Transport},
    },
    store::{
        Error,
        deliveries::{self, Lease},
    },
};
use std::{
    collections::BTreeSet,
    time::{Duration as Real, Instant},
};
use time::Duration;
use tokio::sync::watch;

const NOOR: &str = "noor@example.test";
const GRACE: &str = "grace@example.test";

/// Longer than the first pause with all of its jitter.
const A_MINUTE: Duration = Duration::minutes(1);
/// Longer than any pause.
const HALF_A_DAY: Duration = Duration::hours(12);
/// Longer than a worker may hold a letter.
const A_LEASE: Duration = Duration::minutes(4);

on_both! {
    /// R-INV-10: the request commits the invitation and the letter's row, and speaks to no mail server.
    fn no_letter_is_sent_in_a_request(kind) {
        let acme = Mailing::new(kind);
        acme.invite(NOOR);
        let row = acme.row(NOOR);
        assert_eq!((row.state.as_str(), row.attempts), ("queued", 0));
        std::thread::sleep(Real::from_millis(100));
        assert_eq!(acme.server.connections(), 0);
        assert_eq!(acme.shown(NOOR), "Pending");
    }

    /// R-INV-9: Sent, because the server said so; and the letter holds the link that works.
    fn sent_when_the_server_has_accepted_it(kind) {
        let acme = Mailing::new(kind);
        acme.invite(NOOR);
        acme.deliver();
        assert_eq!(acme.shown(NOOR), "Sent");
        let letters = acme.server.received();
        assert_eq!((letters.len(), letters[0].to.as_slice()), (1, [NOOR.to_owned()].as_slice()));
        acme.visitor().get(&link_in(&letters[0].text())).expect(200).shows(NOOR);
    }

    /// R-INV-10: a temporary refusal is shown with the server's words, waited out, and forgotten.
    fn a_temporary_refusal_is_retried_after_its_pause(kind) {
        let acme = Mailing::new(kind);
        acme.server.once(Phase::Rcpt, Act::reply(451, "4.2.1 try later"));
        acme.invite(NOOR);
        acme.deliver();
        assert_eq!(acme.shown(NOOR), "Pending 451 4.2.1 try later");
        // 30 s is the shortest first pause
        acme.advance(Duration::seconds(29));
        acme.deliver();
        assert_eq!((acme.tries(), acme.copies(NOOR)), (1, 0));
        acme.advance(A_MINUTE);
        acme.deliver();
        assert_eq!(acme.shown(NOOR), "Sent");
        assert_eq!((acme.tries(), acme.copies(NOOR)), (2, 1));
    }

    /// R-INV-10: a server that refuses every second time gets each letter in the end, once.
    fn a_server_in_a_bad_mood_gets_each_letter_once(kind) {
        let acme = Mailing::new(kind);
        let mut asked = 0;
        acme.server.moody(move |phase| {
            asked += usize::from(phase == Phase::Rcpt);
            (phase == Phase::Rcpt && asked % 2 == 1).then(|| Act::reply(451, "4.2.1 try later"))
        });
        acme.invite(NOOR);
        acme.invite(GRACE);
        for _ in 0..4 {
            acme.deliver();
            acme.advance(Duration::hours(1));
        }
        assert_eq!((acme.copies(NOOR), acme.copies(GRACE)), (1, 1));
        let letter = acme.server.last_to(NOOR).expect("a letter");
        acme.visitor().get(&link_in(&letter.text())).expect(200).shows(NOOR);
    }

    /// R-INV-9: a permanent refusal is final, and the page gives the reason.
    fn a_permanent_refusal_is_failed_with_the_servers_words(kind) {
        let acme = Mailing::new(kind);
        for (phase, email, words) in [
            (Phase::Rcpt, NOOR, "5.1.1 no such user"),
            (Phase::Body, GRACE, "5.7.1 looks like spam"),
        ] {
            acme.server.once(phase, Act::reply(550, words));
            acme.invite(email);
            acme.deliver();
            assert_eq!(acme.shown(email), format!("Failed 550 {words}"));
        }
        acme.advance(HALF_A_DAY);
        acme.deliver();
        assert_eq!((acme.tries(), acme.server.received().len()), (2, 0));
    }

    /// Before the server has said 354 nothing can have arrived: silence and a broken line are tried again.
    fn a_server_that_hangs_or_drops_at_data_gets_the_letter_later(kind) {
        let acme = Mailing::new(kind);
        for (act, email, word) in [
            (Act::Hang, NOOR, "did not answer within 1.5s"),
            (Act::Drop, GRACE, "Before the letter: the mail server closed the connection"),
        ] {
            acme.server.once(Phase::Data, act);
            acme.invite(email);
            acme.deliver();
            let shown = acme.shown(email);
            assert!(shown.starts_with("Pending ") && shown.contains(word), "{shown}");
            acme.advance(A_MINUTE);
            acme.deliver();
            assert_eq!((acme.shown(email).as_str(), acme.copies(email)), ("Sent", 1));
        }
    }

    /// R-INV-9: after the letter has left, silence means Unknown, and it is never sent again by itself.
    fn a_reply_that_is_lost_after_the_letter_means_unknown(kind) {
        let acme = Mailing::new(kind);
        for (act, email, copies) in [
            (Act::Hang, NOOR, 1),
            (Act::Drop, GRACE, 1),
            (Act::Lose, "luis@example.test", 0),
            (Act::Garbage, "mei@example.test", 1),
        ] {
            acme.server.once(Phase::Body, act.clone());
            acme.invite(email);
            acme.deliver();
            let shown = acme.shown(email);
            assert!(shown.starts_with("Unknown The "), "{act:?}: {shown}");
            acme.advance(HALF_A_DAY);
            acme.deliver();
            assert_eq!(acme.copies(email), copies, "{act:?}");
            assert!(acme.shown(email).starts_with("Unknown "), "{act:?}");
        }
        assert_eq!(acme.tries(), 4);
    }

    /// The way out of Unknown is a person: Resend makes a letter of its own.
    fn an_unknown_letter_can_be_resent_by_hand(kind) {
        let acme = Mailing::new(kind);
        acme.server.once(Phase::Body, Act::Lose);
        acme.invite(NOOR);
        acme.deliver();
        acme.advance(A_MINUTE);
        acme.olivia.resend(NOOR).expect(303);
        acme.deliver();
        assert_eq!((acme.shown(NOOR).as_str(), acme.copies(NOOR)), ("Sent", 1));
        let states: Vec<_> = mailing::rows(&acme.db).into_iter().map(|row| row.state).collect();
        assert!(states.contains(&"unknown".to_owned()) && states.contains(&"sent".to_owned()), "{states:?}");
    }

    /// A mail server that is down for a while costs time and nothing else.
    fn a_server_that_is_down_for_a_while_loses_nothing(kind) {
        let acme = Mailing::new(kind);
        acme.server.down();
        acme.invite(NOOR);
        acme.invite(GRACE);
        for _ in 0..3 {
            acme.deliver();
            assert!(acme.shown(NOOR).starts_with("Pending No connection to 127.0.0.1"), "{}", acme.shown(NOOR));
            acme.advance(Duration::minutes(5));
        }
        acme.server.up();
        acme.deliver();
        for email in [NOOR, GRACE] {
            assert_eq!((acme.shown(email).as_str(), acme.copies(email)), ("Sent", 1));
        }
    }

    /// R-INV-9: what never got through is given up, with the last reason, and left alone.
    fn used_up_retries_are_failed(kind) {
        let acme = Mailing::new(kind);
        acme.server.always(Phase::Rcpt, Act::reply(452, "4.2.2 mailbox full"));
        acme.invite(NOOR);
        let mut tries = 0;
        while acme.row(NOOR).state == "queued" {
            assert!(tries < 50, "retried for ever");
            acme.deliver();
            acme.advance(HALF_A_DAY);
            tries += 1;
        }
        assert_eq!((acme.row(NOOR).attempts, acme.tries()), (12, 12));
        assert_eq!(acme.shown(NOOR), "Failed 452 4.2.2 mailbox full");
        acme.server.behave();
        acme.deliver();
        assert_eq!((acme.tries(), acme.copies(NOOR)), (12, 0));
    }

    /// An invitation that ended before its letter left needs none: the invitee gets no dead link.
    fn a_letter_that_lost_its_reason_is_not_sent(kind) {
        let acme = Mailing::new(kind);
        acme.invite(NOOR);
        acme.olivia.revoke(NOOR).expect(303);
        acme.server.once(Phase::Rcpt, Act::reply(451, "later"));
        acme.invite(GRACE);
        acme.deliver();
        // the mail server was away for longer than the invitation lasts
        acme.advance(Duration::days(8));
        acme.deliver();
        for email in [NOOR, GRACE] {
            assert_eq!(acme.shown(email), "Not emailed The invitation had ended before this was sent");
            assert_eq!((acme.row(email).state.as_str(), acme.copies(email)), ("dropped", 0));
        }
        assert_eq!(acme.tries(), 1);
    }

    /// A worker that died before the letter left: another one sends it, once the lease is over and not before.
    fn a_letter_whose_worker_died_before_data_is_sent_by_another(kind) {
        let acme = Mailing::new(kind);
        acme.server.once(Phase::Rcpt, Act::Hang);
        acme.invite(NOOR);
        die_in_the_middle(&acme, || acme.wait_for_command("RCPT"));
        assert_eq!(acme.row(NOOR).state, "sending");
        acme.deliver();
        assert_eq!((acme.row(NOOR).state.as_str(), acme.copies(NOOR)), ("sending", 0));
        acme.advance(A_LEASE);
        acme.deliver();
        assert_eq!((acme.shown(NOOR).as_str(), acme.copies(NOOR)), ("Sent", 1));
        assert_eq!(acme.row(NOOR).attempts, 2);
    }

    /// R-INV-9: a worker that died after the letter left: nobody knows, and nobody sends it again.
    fn a_letter_whose_worker_died_after_data_is_unknown(kind) {
        let acme = Mailing::new(kind);
        acme.server.once(Phase::Body, Act::Hang);
        acme.invite(NOOR);
        die_in_the_middle(&acme, || drop(acme.server.wait_for(1)));
        assert_eq!(acme.row(NOOR).state, "handing");
        assert_eq!(acme.shown(NOOR), "Pending");
        acme.deliver();
        assert_eq!(acme.row(NOOR).state, "handing");
        acme.advance(A_LEASE);
        acme.deliver();
        assert_eq!(acme.shown(NOOR), "Unknown Roster stopped while it was sending this letter");
        acme.advance(HALF_A_DAY);
        acme.deliver();
        assert_eq!((acme.tries(), acme.copies(NOOR)), (1, 1));
    }

    /// Workers that die at one letter every time do not go on for ever.
    fn a_letter_that_kills_every_worker_is_given_up(kind) {
        let acme = Mailing::new(kind);
        acme.invite(NOOR);
        acme.server.always(Phase::Rcpt, Act::Hang);
        for tries in 1..=12 {
            die_in_the_middle(&acme, || until("the next try", || acme.tries() == tries));
            acme.advance(A_LEASE);
        }
        acme.deliver();
        assert_eq!(acme.shown(NOOR), "Failed Roster stopped every time it tried to send this letter");
        assert_eq!(acme.copies(NOOR), 0);
    }

    /// A worker that was late finds its letter taken: it neither sends it nor changes what is known.
    fn a_late_worker_sends_nothing_and_changes_nothing(kind) {
        let acme = Mailing::new(kind);
        // Late before the letter left: the other one has sent it.
        acme.server.once(Phase::Rcpt, Act::Slow(Real::from_millis(1500)));
        acme.invite(NOOR);
        let late = while_one_is_slow(&acme, PATIENT, || acme.wait_for_command("RCPT"));
        assert!(late.is_err(), "{late:?}");
        assert_eq!((acme.shown(NOOR).as_str(), acme.copies(NOOR)), ("Sent", 1));

        // Late with a refusal: the letter that was sent does not come back into the queue.
        acme.server.once(Phase::Rcpt, Act::Hang);
        acme.invite(GRACE);
        let tries = acme.tries();
        let late = while_one_is_slow(&acme, SHORT, || until("a third try", || acme.tries() > tries));
        assert_eq!(late, Ok(Delivered::NotSent));
        assert_eq!((acme.shown(GRACE).as_str(), acme.copies(GRACE)), ("Sent", 1));
        acme.advance(HALF_A_DAY);
        acme.deliver();
        assert_eq!(acme.copies(GRACE), 1);

        // Late with an acceptance: what was called Unknown stays so.
        acme.server.once(Phase::Body, Act::Slow(Real::from_millis(1500)));
        acme.invite("luis@example.test");
        while_one_is_slow(&acme, PATIENT, || until("it was handed over", || acme.row("luis@example.test").state == "handing"))
            .expect("it ends");
        assert!(acme.shown("luis@example.test").starts_with("Unknown "), "{}", acme.shown("luis@example.test"));
        assert_eq!(acme.copies("luis@example.test"), 1);
    }

    /// A machine that slept in the middle of a conversation: the lease is over, whoever looks first, and the letter waits for its next turn.
    fn a_worker_that_slept_through_its_lease_stops(kind) {
        let acme = Mailing::new(kind);
        acme.server.once(Phase::Rcpt, Act::Slow(Real::from_millis(300)));
        acme.invite(NOOR);
        let mut sleeper = acme.worker(PATIENT);
        let woken = run(async {
            let (woken, ()) = tokio::join!(sleeper.deliver_next(), async {
                until_async(|| acme.tries() == 1).await;
                acme.advance(A_LEASE);
            });
            woken
        });
        assert!(woken.is_err(), "{woken:?}");
        assert_eq!((acme.row(NOOR).state.as_str(), acme.copies(NOOR)), ("sending", 0));
        acme.deliver();
        assert_eq!((acme.shown(NOOR).as_str(), acme.copies(NOOR)), ("Sent", 1));
    }

    /// A database that has no room at the last moment: nothing has left, so the letter is back at once, and goes out once.
    fn a_letter_whose_leaving_cannot_be_recorded_is_sent_soon(kind) {
        let acme = Mailing::new(kind);
        acme.deliver();
        acme.invite(NOOR);
        let mend = break_handing(&acme, kind, "database or disk is full", "No space left on device");
        let failed = run(acme.worker(SHORT).deliver_next());
        assert!(matches!(failed, Err(Error::Unavailable(_))), "{failed:?}");
        assert_eq!((acme.row(NOOR).state.as_str(), acme.row(NOOR).attempts), ("queued", 0));
        mailing::change(&acme.db, mend);
        acme.deliver();
        assert_eq!((acme.shown(NOOR).as_str(), acme.copies(NOOR), acme.row(NOOR).attempts), ("Sent", 1, 1));
    }

    /// What fails by a defect fails again: the attempt counts, so that such a letter is given up in the end.
    fn a_letter_whose_leaving_fails_by_a_defect_has_used_a_try(kind) {
        let acme = Mailing::new(kind);
        acme.deliver();
        acme.invite(NOOR);
        let mend = break_handing(&acme, kind, "a defect", "a defect");
        let failed = run(acme.worker(SHORT).deliver_next());
        assert!(matches!(failed, Err(Error::Broken(_))), "{failed:?}");
        assert_eq!((acme.row(NOOR).state.as_str(), acme.row(NOOR).attempts), ("sending", 1));
        mailing::change(&acme.db, mend);
        acme.advance(A_LEASE);
        acme.deliver();
        assert_eq!((acme.shown(NOOR).as_str(), acme.copies(NOOR), acme.row(NOOR).attempts), ("Sent", 1, 2));
    }

    /// Also when the database had recorded that the letter is about to leave, and only its answer was lost.
    fn a_letter_that_was_about_to_leave_can_be_put_back(kind) {
        let acme = Mailing::new(kind);
        acme.deliver();
        acme.invite(NOOR);
        let now = acme.parts.app.now();
        let owner = uuid::Uuid::from_u128(7);
        let back = run(acme.db.write(move |conn| {
            let Lease::Letter(leased) = deliveries::lease(conn, owner, now)? else {
                return Ok::<_, Error>(false);
            };
            Ok(deliveries::set_handing(conn, leased.id, owner, now)?
                && deliveries::give_back(conn, &leased, owner, None, now)?)
        }));
        assert_eq!(back, Ok(true));
        acme.deliver();
        assert_eq!((acme.shown(NOOR).as_str(), acme.copies(NOOR), acme.row(NOOR).attempts), ("Sent", 1, 1));
    }

    /// A letter that cannot be written, addressed or even read does not keep the next ones waiting.
    fn a_poisoned_row_does_not_stop_the_next_letters(kind) {
        let acme = Mailing::new(kind);
        let poison = [
            // an address no mail program can write to
            ("a@example.test", "UPDATE deliveries SET email_key = 'a b\u{7}@' WHERE email = 'a@example.test'"),
            // a link whose key was taken away
            ("b@example.test", "UPDATE invitations SET link_version = 99 WHERE email = 'b@example.test'"),
            // a kind of letter that only a newer version knows
            ("c@example.test", "UPDATE deliveries SET kind = 'carrier_pigeon' WHERE email = 'c@example.test'"),
            // a letter about nothing
            ("d@example.test", "UPDATE deliveries SET invitation_id = NULL WHERE email = 'd@example.test'"),
        ];
        for (email, statement) in poison {
            acme.invite(email);
            assert_eq!(mailing::change(&acme.db, statement), 1, "{statement}");
        }
        acme.advance(Duration::SECOND);
        acme.invite(NOOR);
        acme.invite(GRACE);
        let workers = Workers::start(&acme);
        acme.server.wait_for(2);
        until("Sent", || acme.shown(NOOR) == "Sent" && acme.shown(GRACE) == "Sent");
        drop(workers);
        let states = poison.map(|(email, _)| acme.row(email).state);
        assert_eq!(states, ["failed", "failed", "queued", "dropped"]);
        assert!(acme.shown("a@example.test").starts_with("Failed Not an address"), "{}", acme.shown("a@example.test"));
        assert_eq!(acme.shown("b@example.test"), "Failed The key that its link was made with is no longer configured");
        assert_eq!(acme.server.received().len(), 2);
        for antidote in [
            "UPDATE deliveries SET email_key = email, kind = 'invitation'",
            "UPDATE deliveries SET invitation_id = (SELECT i.id FROM invitations i WHERE i.email = deliveries.email)",
        ] {
            mailing::change(&acme.db, antidote);
        }
    }

    /// Names and words that people chose cannot break a letter or get out of their header.
    fn a_hostile_name_is_only_a_name(kind) {
        let acme = Mailing::new(kind);
        mailing::change(&acme.db, "UPDATE organizations SET name = 'Acme' || chr(13) || chr(10) || 'Bcc: eve@example.test'".replace(
            "chr", if kind == Kind::Sqlite { "char" } else { "chr" }).as_str());
        acme.invite(NOOR);
        acme.deliver();
        let letters = acme.server.received();
        assert_eq!((letters.len(), letters[0].header("Bcc")), (1, None));
        assert_eq!(letters[0].subject(), "Olivia Owner invited you to join Acme Bcc: eve@example. test");
    }

    /// R-INV-10: a mail server that accepts and then hangs holds up nobody's form, whether it is hanging now or not yet.
    fn a_hanging_server_does_not_slow_the_invite_form(kind) {
        let mut acme = Mailing::new(kind);
        acme.team.parts.mail_limits = PATIENT;
        acme.server.always(Phase::Rcpt, Act::Hang);
        let workers = Workers::start(&acme);
        for nth in 0..6 {
            let email = format!("p{nth}@example.test");
            let page = acme.olivia.get("/orgs/acme/settings/team/invite");
            let started = Instant::now();
            page.submit("/orgs/acme/settings/team/invite", &[("emails", &email), ("role", "member"), ("from", "page"), ("then", "send")])
                .expect(303);
            let took = started.elapsed();
            assert!(took < Real::from_millis(900), "{took:?}");
            if nth < 2 {
                until("a worker hangs", || acme.tries() > nth);
            }
        }
        assert!((2..=8).contains(&acme.tries()), "{} conversations", acme.tries());
        assert_eq!(acme.shown("p5@example.test"), "Pending");
        drop(workers);
    }

    /// R-INV-10: six workers of two instances at one outbox: each letter leaves once.
    fn many_workers_send_each_letter_once(kind) {
        let acme = Mailing::new(kind);
        acme.server.always(Phase::Rcpt, Act::Slow(Real::from_millis(15)));
        let emails: Vec<String> = (0..20).map(|nth| format!("p{nth:02}@example.test")).collect();
        acme.olivia.try_invite(&emails.join(","), "member").expect(303);
        acme.six_workers();
        let letters = acme.server.received();
        let to: BTreeSet<_> = letters.iter().flat_map(|letter| letter.to.clone()).collect();
        let ids: BTreeSet<_> = letters.iter().filter_map(|letter| letter.header("Message-ID")).collect();
        assert_eq!((letters.len(), to.len(), ids.len()), (20, 20, 20));
        assert!(mailing::rows(&acme.db).iter().all(|row| row.state == "sent" && row.attempts == 1));
    }

    /// R-INV-10: the same letter has the same Message-ID at every try; another letter has another.
    fn the_message_id_is_the_same_on_every_retry(kind) {
        let acme = Mailing::new(kind);
        for _ in 0..2 {
            acme.server.once(Phase::Body, Act::reply(451, "4.3.0 not now"));
        }
        acme.invite(NOOR);
        for _ in 0..3 {
            acme.deliver();
            acme.advance(Duration::minutes(5));
        }
        acme.olivia.resend(NOOR).expect(303);
        acme.deliver();
        let ids: Vec<_> = acme.server.offered().iter().filter_map(|letter| letter.header("Message-ID")).collect();
        assert_eq!(ids.len(), 4);
        assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3], "{ids:?}");
        assert!(ids[0].ends_with("@roster.test>"), "{ids:?}");
        assert_eq!(acme.copies(NOOR), 2);
    }

    /// R-INV-11: without SMTP the invitation is the same, the page says that nothing was mailed, and the link is there to copy.
    fn without_smtp_nothing_is_queued_and_the_link_works(kind) {
        let mut setup = Setup { transport: Transport::None, ..Setup::default() };
        setup.rules.mail_ready = false;
        let team = Team::with(kind, setup);
        let olivia = team.sign_up("Olivia Owner", "olivia@example.test", "Acme");
        olivia.get("/orgs/acme/settings/team/invite").shows("Email isn't set up on this server.");
        olivia.invite(NOOR, "member");
        assert_eq!(mailing::shown(&olivia, NOOR), "Not emailed");
        assert_eq!(mailing::row(&team.db, NOOR).state, "not_emailed");
        let link = olivia.copy_link(NOOR);
        assert!(link.starts_with("http://127.0.0.1:8080/accept-invitation/inv_"), "{link}");
        team.visitor().join(&link_in(&link), "Noor New");
        olivia.get("/orgs/acme/settings/team").shows("Noor New");
        let (_stop, stopping) = watch::channel(false);
        assert!(team.parts.start_mail(&stopping).is_empty());
    }
}

/// From now on the database cannot record that a letter is about to leave, in the words of SQLite or PostgreSQL. Answers
/// the statement that mends it.
fn break_handing(acme: &Mailing, kind: Kind, sqlite: &str, postgres: &str) -> &'static str {
    let (fault, mend) = match kind {
        Kind::Sqlite => (
            format!(
                "CREATE TRIGGER fault BEFORE UPDATE ON deliveries WHEN new.state = 'handing' \
                 BEGIN SELECT RAISE(ABORT, '{sqlite}'); END"
            ),
            "DROP TRIGGER fault",
        ),
        Kind::Postgres => (
            format!(
                "DO $do$ BEGIN CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS \
                 $f$ BEGIN RAISE EXCEPTION '{postgres}'; END $f$; \
                 CREATE TRIGGER fault BEFORE UPDATE ON deliveries FOR EACH ROW \
                 WHEN (new.state = 'handing') EXECUTE FUNCTION fault(); END $do$"
            ),
            "DROP FUNCTION fault CASCADE",
        ),
    };
    mailing::change(&acme.db, &fault);
    mend
}

/// Lets a worker begin, and drops it once `reached` returns: as if its process had died there.
fn die_in_the_middle(acme: &Mailing, reached: impl FnOnce() + Send) {
    let mut worker = acme.worker(PATIENT);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            run(async move {
                let delivering = async {
                    // What the one before left behind is dealt with first.
                    while worker.deliver_next().await.expect("the outbox answers")
                        == Delivered::NotSent
                    {}
                };
                tokio::select! {
                    () = delivering => panic!("it was to be stopped in the middle"),
                    _ = stopped => {}
                }
            });
        });
        reached();
        drop(stop);
    });
}

/// One worker is under way; once it is `reached`, its lease runs out and another worker does all there is to do.
fn while_one_is_slow(
    acme: &Mailing,
    limits: Limits,
    reached: impl FnOnce(),
) -> roster::store::Result<Delivered> {
    let mut slow = acme.worker(limits);
    std::thread::scope(|scope| {
        let slow = scope.spawn(move || run(slow.deliver_next()));
        reached();
        acme.advance(A_LEASE);
        acme.deliver();
        slow.join().expect("it ends")
    })
}

async fn until_async(mut happened: impl FnMut() -> bool) {
    while !happened() {
        tokio::time::sleep(Real::from_millis(10)).await;
    }
}
