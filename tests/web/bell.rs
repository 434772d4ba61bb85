//! The bell: open invitations for one's own address, and what happened (R-ACC-11, R-ACC-4).

use crate::{
    on_both,
    support::{
        database::Kind,
        people::{Answer, Person},
        rows::ACTIVITY,
        team::{Acme, Team},
    },
};
use roster::{
    actions::{Run, housekeeping},
    store::Error,
};
use time::ext::NumericalDuration as _;

const NOOR: &str = "noor@example.test";

/// Acme with a pending invitation for Noor by Adam, and Noor with an account of her own, her address proved.
fn acme_and_noor(kind: Kind) -> (Acme, Person) {
    let acme = Team::acme(kind);
    let noor = acme.sign_up("Noor New", NOOR, "Elsewhere");
    acme.sql(&format!(
        "UPDATE accounts SET verified_at = created_at WHERE email_key = '{NOOR}'"
    ));
    acme.adam.invite(NOOR, "member");
    noor.get("/orgs/elsewhere").expect(200);
    (acme, noor)
}

/// `/invitations/{id}` of the newest invitation for an address.
fn own_url(acme: &Acme, email: &str) -> String {
    let url = acme.adam.invitation_url(email);
    let id = url.rsplit('/').next().expect("an id");
    format!("/invitations/{id}")
}

fn accept<'a>(person: &'a Person, url: &str) -> Answer<'a> {
    person
        .get("/invitations")
        .submit(&format!("{url}/accept"), &[])
}

fn reject<'a>(person: &'a Person, url: &str) -> Answer<'a> {
    person.get("/").submit(&format!("{url}/reject"), &[])
}

fn in_acme(acme: &Acme, email: &str) -> i64 {
    acme.count(&format!(
        "memberships m JOIN accounts a ON a.id = m.account_id JOIN organizations o ON o.id = m.organization_id \
         WHERE o.slug = 'acme' AND a.email_key = '{email}'"
    ))
}

fn rows(acme: &Acme) -> Vec<String> {
    acme.dump(&ACTIVITY)
}

/// What somebody is told who asks for a thing that there is not.
const NOBODYS: &str = "/invitations/019aa4f0-1234-7abc-8def-0123456789ab";

fn sweep(acme: &Acme) -> bool {
    let (means, now) = (acme.parts.app.means.clone(), acme.parts.app.now());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let more = acme.db.write(move |conn| {
        housekeeping::sweep(&mut Run::new(conn, now, &means))
            .map_err(|failure| Error::Broken(failure.to_string()))
    });
    runtime.block_on(more).expect("the sweep runs")
}

on_both! {
    /// R-ACC-11: bell, dashboard and list show it, also to somebody who is elsewhere already.
    fn an_open_invitation_is_shown(kind) {
        let (acme, noor) = acme_and_noor(kind);
        let url = own_url(&acme, NOOR);
        let before = rows(&acme);
        for page in ["/", "/invitations", "/notifications"] {
            let page = noor.get(page);
            page.expect(200)
                .shows("Notifications (1)")
                .shows("Adam Admin invited you to join Acme")
                .shows("adam@example.test")
                .shows("Member")
                .shows("28 Nov 2026, 09:00 UTC")
                .shows("Accept").shows("Reject");
            assert_eq!(page.urls_containing("/invitations/"), [format!("{url}/reject"), format!("{url}/accept")]);
            assert!(page.urls_containing("/accept-invitation/").is_empty());
        }
        noor.get(&format!("{url}/reject")).expect(200).shows("Reject the invitation to Acme?");
        noor.head(&format!("{url}/reject")).expect(200);
        assert_eq!(rows(&acme), before, "looking changes nothing");
        for person in [&acme.olivia, &acme.mia] {
            person.get("/invitations").shows("No open invitations.").lacks("Acme invited");
        }
        acme.visitor().get("/invitations").expect(303).leads_to("/sign-in?next=%2Finvitations");
        acme.visitor().get("/notifications").expect(303).leads_to("/sign-in?next=%2Fnotifications");
    }

    /// R-ACC-11, R-ACC-5: accepted without the letter; the same as by the link.
    fn accepting_by_the_bell(kind) {
        let (acme, noor) = acme_and_noor(kind);
        let url = own_url(&acme, NOOR);
        let link = acme.link_for(NOOR);
        let stale = noor.copy();
        accept(&noor, &url).expect(303).leads_to("/orgs/acme").follow().expect(200)
            .shows("You're in. Welcome to Acme. You joined as Member.");
        assert_ne!(noor.cookie_header(), stale.cookie_header(), "a new session id");
        noor.get("/").shows("Acme").shows("Elsewhere").lacks("invited you to join").lacks("Notifications (");
        assert!(noor.get("/invitations").body.contains("href=\"/orgs/acme\" aria-current=\"true\""));
        acme.adam.get("/notifications").shows("Noor New joined Acme as Member.");
        // Again: already in, by bell and by link, and nothing more happens.
        let before = acme.count("audit_events");
        accept(&noor, &url).expect(303).leads_to("/orgs/acme").follow().shows("You're already in Acme as Member.");
        noor.get(&link).expect(200).shows("You're already in Acme as Member.");
        assert_eq!(acme.count("audit_events"), before);
        assert_eq!(in_acme(&acme, NOOR), 1);
        noor.get(&format!("{url}/reject")).expect(410);
    }

    /// R-ACC-8: asked once more, then rejected; the inviter is told.
    fn rejecting_by_the_bell(kind) {
        let (acme, noor) = acme_and_noor(kind);
        let url = own_url(&acme, NOOR);
        let link = acme.link_for(NOOR);
        reject(&noor, &url).expect(303).leads_to("/").follow()
            .shows("You rejected the invitation to Acme. Adam Admin has been told.").lacks("invited you to join");
        acme.adam.get("/notifications").shows("noor@example.test rejected your invitation to Acme.");
        for answer in [noor.get(&link), accept(&noor, &url), reject(&noor, &url), noor.get(&format!("{url}/reject"))] {
            answer.expect(410).shows("You rejected this invitation.");
        }
        assert_eq!(in_acme(&acme, NOOR), 0);
    }

    /// R-ACC-4: an address that is not proved sees none, and can answer none.
    fn an_unproved_address_sees_none(kind) {
        let acme = Team::acme(kind);
        let noor = acme.sign_up_unconfirmed("Noor New", NOOR, "Elsewhere");
        acme.adam.invite(NOOR, "admin");
        let url = own_url(&acme, NOOR);
        noor.get("/orgs/elsewhere").expect(200);
        noor.get("/").expect(200).lacks("invited you to join").lacks("Notifications (");
        noor.get("/notifications").expect(200).lacks("invited you to join");
        noor.get("/invitations").expect(200).shows("Confirm that noor@example.test is yours").lacks("invited you to join");
        let before = rows(&acme);
        is_unknown(&noor, &url);
        assert_eq!(rows(&acme), before);
    }

    /// Somebody else's invitation is like one that does not exist; being an Owner of the organization does not help.
    fn somebody_elses_invitation_is_unknown(kind) {
        let (acme, noor) = acme_and_noor(kind);
        let url = own_url(&acme, NOOR);
        acme.sql("UPDATE accounts SET verified_at = created_at");
        let lou = acme.sign_up("Lou Looks", "noor+lou@example.test", "Louco");
        acme.sql("UPDATE accounts SET verified_at = created_at");
        lou.get("/orgs/louco").expect(200);
        for person in [&acme.olivia, &acme.adam, &acme.mia, &acme.vic] {
            person.get("/orgs/acme").expect(200);
        }
        let before = rows(&acme);
        for person in [&acme.olivia, &acme.adam, &acme.vic, &lou] {
            is_unknown(person, &url);
        }
        for no_id in ["/invitations/x", "/invitations/%00", "/invitations/00000000-0000-0000-0000-000000000000"] {
            is_unknown(&noor, no_id);
        }
        let visitor = acme.visitor();
        visitor.get("/sign-in").submit(&format!("{url}/accept"), &[]).expect(303).leads_to("/sign-in");
        // Without its form token nothing happens either.
        noor.post(&format!("{url}/accept"), &[]).expect(403);
        noor.get(&format!("{url}/accept")).expect(405);
        assert_eq!(rows(&acme), before);
        accept(&noor, &url).expect(303);
    }

    /// R-ACC-7: what has ended answers as its link does.
    fn dead_ones_answer_as_their_links(kind) {
        let (acme, noor) = acme_and_noor(kind);
        let url = own_url(&acme, NOOR);
        acme.advance(7.days());
        let expired = accept(&noor, &url);
        expired.expect(410).shows("This invitation has expired.").shows("It was valid until 28 Nov 2026, 09:00 UTC.");
        assert!(expired.urls_containing("ask-again").is_empty());
        noor.get("/").lacks("invited you to join").lacks("Notifications (");
        acme.adam.resend(NOOR).expect(303);
        accept(&noor, &url).expect(410).shows("A newer invitation was sent to this address.");
        let newer = own_url(&acme, NOOR);
        noor.get("/").shows("Notifications (1)");
        acme.adam.revoke(NOOR).expect(303);
        for answer in [accept(&noor, &newer), reject(&noor, &newer), noor.get(&format!("{newer}/reject"))] {
            answer.expect(410).shows("This invitation is no longer valid.");
        }
        noor.get("/notifications").lacks("invited you to join");
        // Rejecting an expired one succeeds quietly.
        acme.advance(1.hours());
        acme.adam.invite(NOOR, "viewer");
        let last = own_url(&acme, NOOR);
        acme.advance(7.days());
        noor.get(&format!("{last}/reject")).expect(200);
        reject(&noor, &last).expect(303);
    }

    /// R-ORG-3: an invitation of an organization that was deleted.
    fn of_a_deleted_organization(kind) {
        let (acme, noor) = acme_and_noor(kind);
        let url = own_url(&acme, NOOR);
        acme.sql("UPDATE organizations SET deleted_at = created_at WHERE slug = 'acme'");
        noor.get("/").lacks("invited you to join").lacks("Notifications (");
        for answer in [accept(&noor, &url), reject(&noor, &url), noor.get(&format!("{url}/reject"))] {
            answer.expect(410).shows("This invitation is no longer valid.");
        }
    }

    /// Many clicks at once by bell and by link: one membership, and every answer leads into the organization.
    fn many_clicks_by_bell_and_link(kind) {
        let (acme, noor) = acme_and_noor(kind);
        let (url, link) = (own_url(&acme, NOOR), acme.link_for(NOOR));
        let token = noor.get("/invitations").csrf();
        let tabs: Vec<_> = (0..8).map(|_| noor.copy()).collect();
        let ends: Vec<_> = std::thread::scope(|scope| {
            let all: Vec<_> = tabs.iter().enumerate().map(|(n, tab)| {
                let path = format!("{}/accept", if n % 2 == 0 { &url } else { &link });
                let token = &token;
                scope.spawn(move || {
                    let answer = tab.post(&path, &[("csrf", token)]);
                    (answer.status, answer.location)
                })
            }).collect();
            all.into_iter().map(|one| one.join().expect("an answer")).collect()
        });
        for end in ends {
            assert_eq!(end, (303, Some("/orgs/acme".to_owned())));
        }
        assert_eq!(in_acme(&acme, NOOR), 1);
        assert_eq!(acme.count("audit_events WHERE verb = 'accept' AND target = 'noor@example.test'"), 1);
    }

    /// The dashboard shows a few, the list shows all.
    fn more_invitations_than_fit(kind) {
        let (acme, noor) = acme_and_noor(kind);
        for n in 0..6 {
            let name = format!("Many {n}");
            acme.olivia.get("/orgs/new").submit("/orgs/new", &[("name", &name)]).expect(303);
            acme.olivia.try_invite_to(&format!("many-{n}"), NOOR, "viewer", &[]).expect(303);
            acme.advance(1.seconds());
        }
        let home = noor.get("/");
        home.shows("Notifications (7)").shows("See all your invitations").shows("join Many 5").lacks("join Acme");
        assert_eq!(home.urls_containing("/accept").len(), 5);
        assert_eq!(noor.get("/notifications").urls_containing("/accept").len(), 5);
        let all = noor.get("/invitations");
        all.shows("join Acme").shows("join Many 0");
        assert_eq!(all.urls_containing("/accept").len(), 7);
    }

    /// Newest first, new ones said to be new; reading is a POST, and what came meanwhile stays new.
    fn what_happened_is_read_by_a_click(kind) {
        let (acme, noor) = acme_and_noor(kind);
        acme.advance(1.minutes());
        reject(&noor, &own_url(&acme, NOOR)).expect(303);
        let bell = acme.adam.get("/notifications");
        bell.expect(200).shows("Notifications (1)").shows("New noor@example.test rejected your invitation to Acme.").shows("Mark all as read");
        let reload = acme.adam.get("/notifications");
        reload.shows("Notifications (1)");
        acme.adam.head("/notifications").expect(200);
        let invitation = acme.adam.invitation_url(NOOR);
        assert!(bell.urls_containing("/orgs/acme/settings/team/invitations/").contains(&invitation), "a way to the invitation");
        // Something happens between looking and clicking.
        acme.advance(1.minutes());
        acme.adam.invite("late@example.test", "viewer");
        acme.visitor().join(&acme.link_for("late@example.test"), "Lea Late");
        let until = until(&bell);
        bell.submit("/notifications/read", &[("until", &until)]).expect(303).leads_to("/notifications").follow()
            .shows("Marked as read.").shows("Notifications (1)").shows("New Lea Late joined Acme as Viewer.")
            .lacks("New noor@example.test rejected").shows("noor@example.test rejected your invitation to Acme.").shows("Read");
        let text = acme.adam.get("/notifications").text();
        let newest = text.find("Lea Late joined").expect("shown");
        assert!(newest < text.find("noor@example.test rejected").expect("shown"), "newest first");
    }

    /// Nobody's bell is anybody else's.
    fn a_bell_is_ones_own(kind) {
        let (acme, noor) = acme_and_noor(kind);
        acme.advance(1.minutes());
        reject(&noor, &own_url(&acme, NOOR)).expect(303);
        let bell = acme.adam.get("/notifications");
        let adams = until(&bell);
        acme.mia.get("/notifications").lacks("Mark all as read");
        for person in [&acme.olivia, &acme.mia, &noor] {
            person.get("/notifications").expect(200).lacks("rejected your invitation");
            person.get("/").submit("/notifications/read", &[("until", &adams)]).expect(303);
        }
        acme.adam.get("/notifications").shows("New noor@example.test rejected");
        for bad in ["", "x", "' OR 1=1"] {
            acme.adam.get("/").submit("/notifications/read", &[("until", bad)]).expect(422);
        }
        acme.adam.post("/notifications/read", &[("until", &adams)]).expect(403);
        acme.adam.get("/notifications").shows("New noor@example.test rejected");
    }

    /// Pages of 25, by the row and not by a count.
    fn a_long_history_has_pages(kind) {
        let acme = Team::acme(kind);
        acme.sql("DELETE FROM notifications");
        for n in 0..30 {
            notice(&acme, n);
        }
        let first = acme.mia.get("/notifications");
        first.shows("Showing 1–25 of 30 notifications").shows("Boss 29 removed you from Acme.").shows("Boss 5 removed").lacks("Boss 4 removed");
        let next = first.urls_containing("after=");
        let second = acme.mia.get(&next[0]);
        second.expect(200).shows("Showing 26–30 of 30 notifications").shows("Boss 4 removed").lacks("Boss 5 removed");
        let back = second.urls_containing("before=");
        acme.mia.get(&back[0]).shows("Showing 1–25 of 30 notifications");
        for odd in ["?after=x", "?after=%00", "?before=019aa4f0-1234-7abc-8def-0123456789ab", "?after=&from=-5"] {
            acme.mia.get(&format!("/notifications{odd}")).expect(200);
        }
        acme.olivia.get(&next[0]).expect(200).lacks("Boss");
    }

    /// Old ones are forgotten, a batch at a time.
    fn old_notifications_are_forgotten(kind) {
        let acme = Team::acme(kind);
        acme.sql("DELETE FROM notifications");
        for n in 0..3 {
            notice(&acme, n);
        }
        acme.advance(179.days());
        notice(&acme, 3);
        sweep(&acme);
        assert_eq!(acme.count("notifications"), 4);
        acme.advance(1.days() + 1.seconds());
        assert!(!sweep(&acme), "all in one batch");
        assert_eq!(acme.count("notifications"), 1);
    }
}

/// For this person there is no such invitation: in every way the same as for an id nobody has.
fn is_unknown(person: &Person, url: &str) {
    for verb in ["accept", "reject"] {
        let asked = person.get("/").submit(&format!("{url}/{verb}"), &[]);
        let unknown = person.get("/").submit(&format!("{NOBODYS}/{verb}"), &[]);
        asked.expect(404).shows("We can't find that page.");
        assert_eq!(asked.without_token(), unknown.without_token(), "{verb}");
    }
    let asked = person.get(&format!("{url}/reject"));
    asked.expect(404);
    assert_eq!(
        asked.without_token(),
        person.get(&format!("{NOBODYS}/reject")).without_token()
    );
}

/// The newest notification of a page, as its button names it.
fn until(page: &Answer<'_>) -> String {
    let start = "name=\"until\" value=\"";
    let at = page.body.find(start).expect("a button") + start.len();
    page.body[at..at + 36].to_owned()
}

/// Mia is told something, behind the back of the pages.
fn notice(acme: &Acme, n: usize) {
    let (id, at) = if acme.on_postgres() {
        (
            format!("'019aa4f0-0000-7000-8000-{n:012}'::uuid"),
            format!("to_timestamp({} / 1000000.0)", acme.now()),
        )
    } else {
        (
            format!("unhex('019aa4f0000070008000{n:012}')"),
            acme.now().to_string(),
        )
    };
    acme.sql(&format!(
        "INSERT INTO notifications (account_id, id, kind, organization_id, organization, organization_slug, actor, at) \
         SELECT a.id, {id}, 'removed', o.id, o.name, o.slug, 'Boss {n}', {at} FROM accounts a, organizations o \
         WHERE a.email_key = 'mia@example.test' AND o.slug = 'acme'"
    ));
}
