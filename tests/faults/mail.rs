//! The real program and a mail server in trouble: refused, slow, stopped in the middle.

use crate::{
    on_both,
    support::{
        checker,
        mailing::{Row, copies, row, rows, shown, until, wait_for_command},
        people::Person,
        process::Roster,
        site::Site,
        smtp::{Act, Phase},
    },
};
use roster::store::Db;
use std::time::{Duration, Instant};

const NOOR: &str = "noor@example.test";

fn invite_many(olivia: &Person, count: usize) {
    let all: Vec<String> = (0..count)
        .map(|nth| format!("p{nth:03}@example.test"))
        .collect();
    olivia.try_invite(&all.join(","), "member").expect(303);
}

fn until_within(limit: Duration, what: &str, happened: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < limit, "not in {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
    start.elapsed()
}

/// The letters of invitations: Olivia also gets one that confirms her address.
fn invitations(db: &Db) -> Vec<Row> {
    let mut rows = rows(db);
    rows.retain(|row| row.email != "olivia@example.test");
    rows
}

fn all_sent(db: &Db) -> bool {
    rows(db).iter().all(|row| row.state == "sent")
}

fn terminate(mut roster: Roster) -> Duration {
    let started = Instant::now();
    roster.terminate();
    let ended = roster.wait();
    assert_eq!(ended.code(), Some(0), "{}", roster.log());
    started.elapsed()
}

on_both! {
    /// Refused credentials cost no letter a try, and once they are mended all go by themselves.
    fn fifty_letters_wait_for_mended_credentials(kind) {
        let site = Site::new(kind);
        site.mail.always(Phase::Mail, Act::reply(535, "5.7.8 credentials are wrong"));
        let roster = site.start();
        let olivia = roster.olivia();
        invite_many(&olivia, 50);
        let db = site.database.open();
        until("the queue rests", || {
            olivia.get("/orgs/acme/settings/team").body.contains("Email has not been going out since")
        });
        assert!(rows(&db).iter().all(|row| row.attempts == 0 && row.state == "queued"));
        site.mail.behave();
        let took = until_within(Duration::from_secs(90), "all letters are sent", || all_sent(&db));
        println!("{kind:?}: mended credentials to the last of 50 letters: {took:?}");
        assert!(rows(&db).iter().all(|row| row.attempts == 1 && copies(&site.mail, &row.email) == 1));
        until("the banner is gone", || {
            !olivia.get("/orgs/acme/settings/team").body.contains("Email has not been going out since")
        });
        roster.stop();
        checker::check(&db);
    }

    /// SIGTERM before a letter has left: the program ends at once, and the next one need not wait for a lease.
    fn a_stop_before_the_letter_left_gives_it_back(kind) {
        let site = Site::new(kind);
        site.mail.always(Phase::Rcpt, Act::Hang);
        let roster = site.start();
        let olivia = roster.olivia();
        invite_many(&olivia, 3);
        wait_for_command(&site.mail, "RCPT");
        let took = terminate(roster);
        println!("{kind:?}: SIGTERM before the letter to the end: {took:?}");
        assert!(took < Duration::from_secs(15), "{took:?}");
        let db = site.database.open();
        for row in rows(&db) {
            assert_eq!((row.state.as_str(), row.attempts), ("queued", 0), "{row:?}");
        }
        site.mail.behave();
        let roster = site.start();
        until("they are sent", || all_sent(&db));
        assert!(rows(&db).iter().all(|row| copies(&site.mail, &row.email) == 1));
        roster.stop();
        checker::check(&db);
    }

    /// SIGTERM after a letter has left: its answer is waited for, and recorded.
    fn a_stop_after_the_letter_left_waits_for_the_answer(kind) {
        let site = Site::new(kind);
        site.mail.always(Phase::Body, Act::Slow(Duration::from_secs(4)));
        let roster = site.start();
        let olivia = roster.olivia();
        olivia.invite(NOOR, "member");
        let db = site.database.open();
        until("the letter has left", || row(&db, NOOR).state == "handing");
        let took = terminate(roster);
        println!("{kind:?}: SIGTERM with a letter handed over to the end: {took:?}");
        assert_eq!((row(&db, NOOR).state.as_str(), copies(&site.mail, NOOR)), ("sent", 1));
        checker::check(&db);
    }

    /// Without a cooldown, on two instances: Resend pressed six times while letters wait is one letter.
    fn resends_on_two_instances_are_one_letter(kind) {
        let site = Site::new(kind);
        site.mail.always(Phase::Mail, Act::reply(535, "5.7.8 credentials are wrong"));
        let now = [("RESEND_COOLDOWN", "0s")];
        let (one, two) = (site.start_with(&now), site.start_with(&now));
        let olivia = one.olivia();
        olivia.invite(NOOR, "member");
        let db = site.database.open();
        until("the queue rests", || rows(&db).iter().any(|row| row.reason.is_some()));
        for at in [one.address, two.address].repeat(3) {
            olivia.at(at).resend(NOOR).expect(303);
        }
        site.mail.behave();
        one.stop();
        let one = site.start_with(&now);
        until("every letter has ended", || {
            rows(&db).iter().all(|row| matches!(row.state.as_str(), "sent" | "dropped"))
        });
        assert_eq!((invitations(&db).len(), copies(&site.mail, NOOR)), (7, 1));
        assert_eq!(shown(&olivia.at(two.address), NOOR), "Sent");
        one.stop();
        two.stop();
        checker::check(&db);
    }

    /// Mail that is switched off: what is still queued ends, and says so.
    fn mail_switched_off_ends_what_is_queued(kind) {
        let site = Site::new(kind);
        site.mail.down();
        let roster = site.start();
        let olivia = roster.olivia();
        invite_many(&olivia, 20);
        roster.stop();
        let db = site.database.open();
        let database = site.database.url();
        let roster = Roster::start(site.folder.path(), &[("DATABASE_URL", &database)]);
        until("every letter has ended", || rows(&db).iter().all(|row| row.state == "not_emailed"));
        let shown = shown(&olivia.at(roster.address), "p007@example.test");
        assert_eq!(shown, "Not emailed Email was switched off on this server before this letter was sent");
        roster.stop();
        checker::check(&db);
    }

    /// A quick mail server gets a hundred letters in a moment.
    fn a_hundred_letters_leave_quickly(kind) {
        let site = Site::new(kind);
        let roster = site.start();
        let olivia = roster.olivia();
        let started = Instant::now();
        invite_many(&olivia, 100);
        let invited = started.elapsed();
        let db = site.database.open();
        let took = until_within(Duration::from_secs(60), "all letters are sent", || all_sent(&db));
        println!("{kind:?}: a hundred invited in {invited:?}, their letters sent {took:?} later");
        assert!(rows(&db).iter().all(|row| copies(&site.mail, &row.email) == 1));
        roster.stop();
        checker::check(&db);
    }
}
