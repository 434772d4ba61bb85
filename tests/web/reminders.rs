//! What the program says by itself: the reminder before an invitation expires, and the word to the inviter when it has
//! (R-INV-16).

use crate::{
    on_both,
    support::{
        database::Kind,
        team::{Acme, Setup, Team},
    },
};
use std::{sync::Barrier, thread};
use time::ext::NumericalDuration as _;

const NOOR: &str = "noor@example.test";
const ADAM: &str = "adam@example.test";

/// Acme with a pending invitation for Noor by Adam, its letter sent; its link.
fn acme_inviting_noor(kind: Kind) -> (Acme, String) {
    let acme = Team::acme(kind);
    acme.adam.invite(NOOR, "member");
    let link = acme.link_for(NOOR);
    (acme, link)
}

fn reminders(team: &Team) -> i64 {
    team.count("deliveries WHERE kind = 'reminder'")
}

/// How many were told of a lapse, behind the bell.
fn told(team: &Team, email: &str) -> i64 {
    team.count(&format!(
        "notifications n JOIN accounts a ON a.id = n.account_id WHERE n.kind = 'invitation_lapsed' AND a.email_key = '{email}'"
    ))
}

on_both! {
    /// Nothing at two days and a second before the end, one letter at two days, never a second; its link is the same.
    fn the_invitee_is_reminded_once(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        acme.advance(5.days() - 1.seconds());
        acme.remind();
        assert_eq!(reminders(&acme), 0);
        acme.advance(1.seconds());
        acme.remind();
        let letters = acme.letters_to(NOOR);
        assert_eq!((letters.len(), reminders(&acme)), (2, 1));
        let reminder = &letters[1];
        assert_eq!(reminder.subject, "Your invitation to Acme is about to expire");
        assert!(reminder.text.starts_with("This is a reminder: your invitation expires soon."), "{}", reminder.text);
        assert!(reminder.text.contains("28 Nov 2026, 09:00 UTC") && reminder.raw.contains("This is a reminder"));
        assert_eq!(acme.link_for(NOOR), link);
        assert!(!letters[0].text.contains("reminder"));
        for _ in 0..3 {
            acme.remind();
            acme.advance(12.hours());
        }
        assert_eq!(reminders(&acme), 1);
        assert_eq!(acme.count("audit_events WHERE verb = 'resend'"), 0);
        let page = acme.adam.get(&acme.adam.invitation_url(NOOR));
        page.expect(200).shows("Reminder");
        acme.visitor().join(&link, "Noor New");
    }

    /// What is sent again may be reminded of again.
    fn resending_starts_anew(kind) {
        let (acme, _) = acme_inviting_noor(kind);
        acme.advance(6.days());
        acme.remind();
        acme.adam.resend(NOOR).expect(303);
        acme.remind();
        assert_eq!(reminders(&acme), 1);
        acme.advance(5.days());
        acme.remind();
        acme.remind();
        assert_eq!(reminders(&acme), 2);
    }

    /// A reminder that waits in the queue while the invitation is sent again has become pointless.
    fn a_reminder_that_came_too_late_is_not_sent(kind) {
        let (acme, _) = acme_inviting_noor(kind);
        acme.advance(6.days());
        acme.remind();
        acme.adam.resend(NOOR).expect(303);
        acme.deliver();
        assert_eq!(acme.count("deliveries WHERE kind = 'reminder' AND state = 'dropped'"), 1);
        assert_eq!(acme.letters_to(NOOR).len(), 2, "the invitation, and the same again");
    }

    /// Nobody is reminded who got no letter, whose invitation has ended, or who has no organization to join any more.
    fn nobody_is_reminded_in_vain(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        acme.adam.invite_by_link_only("lou@example.test", "member");
        acme.adam.invite("rex@example.test", "member");
        acme.adam.invite("lea@example.test", "member");
        acme.deliver();
        acme.adam.revoke("rex@example.test").expect(303);
        acme.visitor().join(&link, "Noor New");
        let beta = acme.sign_up("Bea Beta", "bea@example.test", "Beta");
        beta.try_invite_to("beta", "kim@example.test", "member", &[]).expect(303);
        acme.deliver();
        acme.sql("UPDATE organizations SET deleted_at = created_at WHERE slug = 'beta'");
        acme.advance(7.days());
        acme.remind();
        assert_eq!(reminders(&acme), 0, "they have expired");
        acme.advance(-(1.days()));
        acme.remind();
        let to_lea = "deliveries WHERE kind = 'reminder' AND email_key = 'lea@example.test'";
        assert_eq!((reminders(&acme), acme.count(to_lea)), (1, 1));
        acme.sql("UPDATE organizations SET deleted_at = NULL WHERE slug = 'beta'");
    }

    /// An invitation that is valid for no longer than the reminder comes before its end needs none.
    fn short_invitations_need_no_reminder(kind) {
        for (valid_for, expected) in [(2.days(), 0), (2.days() + 1.seconds(), 1)] {
            let mut setup = Setup::default();
            setup.rules.valid_for = valid_for;
            let acme = Team::acme_with(kind, setup);
            acme.adam.invite(NOOR, "member");
            acme.remind();
            acme.advance(1.days());
            acme.remind();
            assert_eq!(reminders(&acme), expected);
        }
    }

    /// The operator can switch both off; without mail nobody is reminded, and the bell still tells of a lapse.
    fn both_can_be_switched_off(kind) {
        let (acme, _) = acme_inviting_noor(kind);
        let silent = acme.restarted(|setup| (setup.rules.reminders, setup.rules.lapse_notices) = (false, false));
        let mailless = acme.restarted(|setup| setup.rules.mail_ready = false);
        acme.advance(6.days());
        silent.remind();
        mailless.remind();
        assert_eq!(reminders(&acme), 0);
        acme.advance(1.days());
        silent.tell_of_lapses();
        assert_eq!(told(&acme, ADAM), 0);
        mailless.tell_of_lapses();
        assert_eq!(told(&acme, ADAM), 1);
        assert!(acme.letters_to(ADAM).is_empty());
    }

    /// The inviter is told once when an invitation has lapsed: at its end, not before, and not of old ones.
    fn the_inviter_is_told_once_of_a_lapse(kind) {
        let (acme, _) = acme_inviting_noor(kind);
        acme.olivia.invite("old@example.test", "member");
        acme.advance(7.days() - 1.seconds());
        acme.tell_of_lapses();
        assert_eq!(told(&acme, ADAM), 0);
        acme.advance(1.seconds());
        for _ in 0..3 {
            acme.tell_of_lapses();
        }
        let letters = acme.letters_to(ADAM);
        assert_eq!((letters.len(), told(&acme, ADAM), told(&acme, "olivia@example.test")), (1, 1, 1));
        assert!(letters[0].subject.starts_with("Your invitation for noor@") && letters[0].subject.ends_with(" to Acme has expired"), "{}", letters[0].subject);
        assert!(letters[0].text.contains(&acme.adam.invitation_url(NOOR)), "{}", letters[0].text);
        // One that gave way to a new one is told of when that lapses.
        acme.adam.resend(NOOR).expect(303);
        acme.tell_of_lapses();
        acme.advance(7.days());
        acme.tell_of_lapses();
        assert_eq!((told(&acme, ADAM), told(&acme, "olivia@example.test")), (2, 1));
    }

    /// Where it is switched on late, what ended more than a week ago is left alone.
    fn old_lapses_are_left_alone(kind) {
        let (acme, _) = acme_inviting_noor(kind);
        acme.advance(1.days());
        acme.adam.invite("lea@example.test", "member");
        acme.advance(13.days());
        acme.tell_of_lapses();
        assert_eq!(told(&acme, ADAM), 1, "lea's ended six days ago, Noor's seven");
        assert_eq!(acme.count("notifications WHERE kind = 'invitation_lapsed' AND subject = 'lea@example.test'"), 1);
    }

    /// If the inviter has left, the owners are told; of an organization that is gone, nobody.
    fn the_owners_are_told_if_the_inviter_has_left(kind) {
        let (acme, _) = acme_inviting_noor(kind);
        let beta = acme.sign_up("Bea Beta", "bea@example.test", "Beta");
        beta.try_invite_to("beta", "kim@example.test", "member", &[]).expect(303);
        acme.sql("UPDATE organizations SET deleted_at = created_at WHERE slug = 'beta'");
        acme.sql("DELETE FROM memberships WHERE account_id = (SELECT id FROM accounts WHERE email_key = 'adam@example.test')");
        acme.sql("UPDATE organizations SET member_count = member_count - 1 WHERE slug = 'acme'");
        acme.advance(7.days());
        acme.tell_of_lapses();
        assert_eq!((told(&acme, ADAM), told(&acme, "olivia@example.test"), told(&acme, "bea@example.test")), (0, 1, 0));
        acme.sql("UPDATE organizations SET deleted_at = NULL WHERE slug = 'beta'");
    }

    /// Two instances with two workers each, over more invitations than one batch: each is reminded, and told of, once.
    fn two_instances_remind_once(kind) {
        let acme = Team::acme(kind);
        let twin = acme.second();
        let emails: Vec<String> = (0..80).map(|number| format!("guest{number}@example.test")).collect();
        for some in emails.chunks(40) {
            acme.adam.invite(&some.join(", "), "member");
        }
        let at_once = |work: fn(&Team)| {
            let start = Barrier::new(4);
            thread::scope(|scope| {
                for team in [&*acme, &twin, &*acme, &twin] {
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        work(team);
                    });
                }
            });
        };
        acme.advance(5.days());
        at_once(Team::remind);
        let each = "(SELECT 1 AS one FROM deliveries WHERE kind = 'reminder' GROUP BY invitation_id) each_one";
        assert_eq!((reminders(&acme), acme.count(each)), (80, 80));
        acme.advance(2.days());
        at_once(Team::tell_of_lapses);
        let each = "(SELECT 1 AS one FROM notifications WHERE kind = 'invitation_lapsed' GROUP BY invitation_id) each_one";
        assert_eq!((told(&acme, ADAM), acme.count(each)), (80, 80));
    }
}
