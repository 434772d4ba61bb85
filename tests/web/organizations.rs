//! Many organizations for one person: made, renamed, led elsewhere, deleted; and never mixed up (R-ORG-1 to R-ORG-3,
//! R-ACC-10).

use crate::{
    on_both,
    support::{
        people::{Answer, Person},
        rows::ACTIVITY,
        team::{Acme, Team, people_password},
    },
};
use roster::actions::organizations::TOLD_BY_MAIL;
use time::ext::NumericalDuration as _;

const NOOR: &str = "noor@example.test";
const APPLICATION: &str = "https://app.example.test/acme";

fn found<'a>(person: &'a Person, name: &str) -> Answer<'a> {
    person
        .get("/orgs/new")
        .submit("/orgs/new", &[("name", name)])
}

fn settings<'a>(person: &'a Person, name: &str, url: &str) -> Answer<'a> {
    let fields = [("name", name), ("application_url", url)];
    person
        .get("/")
        .submit("/orgs/acme/settings/general", &fields)
}

fn delete<'a>(person: &'a Person, slug: &str, password: &str) -> Answer<'a> {
    let fields = [("slug", slug), ("password", password)];
    person.get("/").submit("/orgs/acme/delete", &fields)
}

/// The audit events of Acme with this verb: before and after.
fn events(acme: &Acme, verb: &str) -> i64 {
    acme.count(&format!(
        "audit_events e JOIN organizations o ON o.id = e.organization_id WHERE o.slug = 'acme' AND e.verb = '{verb}'"
    ))
}

fn event(acme: &Acme, verb: &str, before: &str, after: &str) -> bool {
    let is = |column: &str, value: &str| match value {
        "" => format!("e.{column} IS NULL"),
        value => format!("e.{column} = '{value}'"),
    };
    acme.count(&format!(
        "audit_events e WHERE e.verb = '{verb}' AND {} AND {}",
        is("before", before),
        is("after", after)
    )) == 1
}

/// Everything but what looking and counting attempts may change.
fn rows(acme: &Acme) -> Vec<String> {
    let mut rows = acme.dump(&ACTIVITY);
    rows.retain(|row| !row.starts_with("quotas: "));
    rows
}

on_both! {
    /// R-ORG-1: any account can make another organization and owns it; the switcher shows both.
    fn making_another_organization(kind) {
        let acme = Team::acme(kind);
        acme.mia.get("/").expect(200).shows("Create organization");
        acme.mia.get("/orgs/new").expect(200).shows("Organization name");
        found(&acme.mia, "Mia & Friends").expect(303).leads_to("/orgs/mia-friends").follow()
            .shows("Mia & Friends is ready. You are its owner: invite your team.");
        let home = acme.mia.get("/orgs/mia-friends");
        home.expect(200).shows("You're in Mia & Friends").shows("Owner");
        for slug in ["acme", "mia-friends"] {
            assert!(home.urls_containing("/orgs/").contains(&format!("/orgs/{slug}")), "{slug}");
        }
        // Where she is is remembered for pages outside any organization.
        assert!(acme.mia.get("/").body.contains("href=\"/orgs/mia-friends\" aria-current=\"true\""));
        assert_eq!(events(&acme, "found"), 1);
        // The name is taken by somebody else's organization, which is neither shown nor touched.
        found(&acme.vic, "Mia & Friends").expect(303).leads_to("/orgs/mia-friends-2");
        acme.vic.get("/orgs/mia-friends").expect(404);
        acme.visitor().get("/orgs/new").expect(303).leads_to("/sign-in?next=%2Forgs%2Fnew");
    }

    /// A bad name comes back with the form.
    fn a_name_that_is_none(kind) {
        let acme = Team::acme(kind);
        for (name, words) in [("  ", "Fill this in."), ("a\u{7}b", "can't be shown"), (&"x".repeat(81), "Use at most 80 characters.")] {
            let answer = found(&acme.mia, name);
            answer.expect(422).shows(words);
            assert!(answer.body.contains("<title>Error: ") && answer.body.contains("role=\"alert\""));
        }
        assert_eq!(acme.count("organizations"), 1);
    }

    /// So many a day and no more; tomorrow again. Somebody else is not held up.
    fn founding_has_a_limit(kind) {
        let acme = Team::acme(kind);
        for n in 0..20 {
            found(&acme.mia, &format!("Number {n}")).expect(303);
        }
        let refused = found(&acme.mia, "One more");
        refused.expect(429).shows("try again");
        assert!(refused.retry_after() > 0);
        assert_eq!(acme.count("organizations WHERE name = 'One more'"), 0);
        found(&acme.vic, "Of Vic").expect(303);
        acme.advance(1.days());
        found(&acme.mia, "One more").expect(303);
    }

    /// Renaming keeps the address; only what changes is recorded, with before and after.
    fn renaming_keeps_the_address(kind) {
        let acme = Team::acme(kind);
        acme.adam.get("/orgs/acme/settings/general").expect(200)
            .shows("The address stays /orgs/acme").lacks("Delete organization").lacks("Transfer ownership");
        acme.olivia.get("/orgs/acme/settings/general").expect(200)
            .shows("Delete organization").shows("Transfer ownership");
        settings(&acme.adam, "  Acme   Works ", "").expect(303).leads_to("/orgs/acme/settings/general").follow().shows("Settings saved.");
        acme.mia.get("/orgs/acme").expect(200).shows("You're in Acme Works");
        acme.mia.get("/").shows("Acme Works");
        assert!(event(&acme, "rename", "Acme", "Acme Works"));
        assert_eq!(events(&acme, "set_application_url"), 0);
        let before = rows(&acme);
        settings(&acme.adam, "Acme Works", "").expect(303).follow().shows("Nothing to change");
        assert_eq!(rows(&acme), before, "nothing was changed, so nothing is recorded");
    }

    /// General settings are for owners and admins.
    fn who_may_change_the_settings(kind) {
        let acme = Team::acme(kind);
        let zoe = acme.sign_up("Zoe Owns", "zoe@zebra.test", "Zebra");
        zoe.get("/").expect(200);
        let before = rows(&acme);
        for person in [&acme.mia, &acme.vic] {
            person.get("/orgs/acme/settings/general").expect(403).shows("Only owners and admins can");
            settings(person, "Mine", "").expect(403);
        }
        zoe.get("/orgs/acme/settings/general").expect(404);
        settings(&zoe, "Mine", APPLICATION).expect(404);
        // A form with faults tells an outsider nothing either.
        settings(&zoe, "", "javascript:x").expect(404);
        settings(&acme.mia, "", "javascript:x").expect(403);
        assert_eq!(rows(&acme), before);
    }

    /// R-ACC-10: the organization leads to its application; Roster's own pages stay where they are.
    fn the_application_is_where_members_go(kind) {
        let acme = Team::acme(kind);
        for person in [&acme.olivia, &acme.mia, &acme.vic] {
            // Takes the message that joining left, and the mark that a form led here.
            person.get("/orgs/acme").expect(200);
        }
        settings(&acme.adam, "Acme", APPLICATION).expect(303);
        assert!(event(&acme, "set_application_url", "", APPLICATION));
        assert_eq!(events(&acme, "rename"), 0);
        for person in [&acme.olivia, &acme.mia, &acme.vic] {
            person.get("/orgs/acme").expect(303).leads_to(APPLICATION);
            person.head("/orgs/acme").expect(303).leads_to(APPLICATION);
            person.get("/orgs/acme?stay").expect(200).shows("You're in Acme").shows("Leave Organization").lacks("Continue to the application");
        }
        // The way to the settings does not lead through the application.
        assert!(acme.mia.get("/").urls_containing("/orgs/acme/settings/team").len() == 1);
        acme.mia.get("/orgs/acme/settings/team").expect(200);
        assert!(acme.vic.get("/").urls_containing("/orgs/acme/settings/roles").len() == 1);
        assert!(!acme.vic.get("/orgs/acme/settings/roles").urls_containing("/orgs/acme?stay").is_empty());
        // Strangers learn nothing of it.
        let zoe = acme.sign_up("Zoe Owns", "zoe@zebra.test", "Zebra");
        zoe.get("/orgs/acme").expect(404);
        acme.visitor().get("/orgs/acme").expect(303).leads_to("/sign-in?next=%2Forgs%2Facme");
        settings(&acme.olivia, "Acme", " ").expect(303);
        assert!(event(&acme, "set_application_url", APPLICATION, ""));
        acme.mia.get("/orgs/acme").expect(200);
    }

    /// R-ACC-10: after a form the way to the application is a page, not a redirect, which `form-action` would forbid.
    fn no_redirect_to_another_site_follows_a_form(kind) {
        let acme = Team::acme(kind);
        settings(&acme.adam, "Acme", APPLICATION).expect(303);
        acme.adam.invite(NOOR, "member");
        let noor = acme.visitor();
        let joined = noor.try_join(&acme.link_for(NOOR), "Noor New");
        joined.expect(303).leads_to("/orgs/acme");
        assert_eq!(noor.head("/orgs/acme").status, 200, "HEAD takes nothing away");
        let shown = joined.follow();
        shown.expect(200).shows("You're in. Welcome to Acme. You joined as Member.").shows("Continue to the application");
        let refresh = format!("0; url={APPLICATION}");
        assert_eq!(shown.header("refresh"), Some(refresh.as_str()));
        assert_eq!(shown.urls_containing("app.example.test"), [APPLICATION]);
        // Only once.
        let later = noor.get("/orgs/acme");
        later.expect(303).leads_to(APPLICATION);
        assert_eq!(later.header("refresh"), None);
        // Signing in on the way there is a form, too.
        let again = acme.visitor();
        let fields = [("email", NOOR), ("password", people_password()), ("next", "/orgs/acme")];
        let answer = again.get("/sign-in?next=/orgs/acme").submit("/sign-in", &fields);
        answer.expect(303).leads_to("/orgs/acme").follow().expect(200).shows("Continue to the application");
        again.get("/orgs/acme").expect(303).leads_to(APPLICATION);
    }

    /// Only a whole address of the web, of another site than Roster.
    fn addresses_that_are_none_of_an_application(kind) {
        let acme = Team::acme(kind);
        let before = rows(&acme);
        for (url, words) in [
            ("javascript:alert(1)", "Enter a whole address"),
            ("data:text/html,hi", "Enter a whole address"),
            ("//evil.test", "Enter a whole address"),
            ("app.example.test", "Enter a whole address"),
            ("https://app.example.test/\r\nSet-Cookie: a=b", "Enter a whole address"),
            ("https://ada:secret@app.example.test", "Leave the name and password out"),
            ("http://127.0.0.1:8080/orgs/acme", "That is Roster itself."),
        ] {
            let answer = settings(&acme.adam, "Other", url);
            answer.expect(422).shows(words);
            assert!(answer.body.contains("aria-invalid=\"true\"") && answer.body.contains("<title>Error: "));
        }
        let long = format!("https://app.example.test/{}", "a".repeat(500));
        settings(&acme.adam, "Other", &long).expect(422).shows("Use at most 500 characters.");
        settings(&acme.adam, "", "").expect(422).shows("Fill this in.");
        assert_eq!(rows(&acme), before, "a form with a fault changes nothing, its good half neither");
    }

    /// R-ORG-3: the slug and the password, and nobody but an Owner.
    fn deleting_asks_for_slug_and_password(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite(NOOR, "member");
        acme.olivia.get("/orgs/acme/delete").expect(200).shows("Delete Acme?").shows("All 4 members lose access").shows("Type acme to confirm");
        let zoe = acme.sign_up("Zoe Owns", "zoe@zebra.test", "Zebra");
        zoe.get("/").expect(200);
        acme.olivia.get("/").expect(200);
        let before = rows(&acme);
        for person in [&acme.adam, &acme.mia, &acme.vic] {
            person.get("/orgs/acme/delete").expect(403).shows("Only owners can delete the organization.");
            delete(person, "acme", people_password()).expect(403);
        }
        zoe.get("/orgs/acme/delete").expect(404);
        delete(&zoe, "acme", people_password()).expect(404);
        for slug in ["", "Acme", "acm", "zebra"] {
            delete(&acme.olivia, slug, people_password()).expect(422).shows("That is not the name in the organization's address.");
        }
        let wrong = delete(&acme.olivia, "acme", "not my password");
        wrong.expect(422).shows("That is not your password.");
        assert!(!wrong.body.contains("not my password"));
        delete(&acme.olivia, "acme", "").expect(422);
        assert_eq!(rows(&acme), before);
        // Guessing is counted like signing in.
        for _ in 0..8 {
            delete(&acme.olivia, "acme", "not my password").expect(422);
        }
        let limited = delete(&acme.olivia, "acme", people_password());
        limited.expect(429);
        assert!(limited.retry_after() > 0);
        acme.advance(15.minutes());
        delete(&acme.olivia, " acme ", people_password()).expect(303);
    }

    /// R-ORG-3: gone for everybody, invitations with it; members are told; the slug is not given away.
    fn a_deleted_organization_is_gone(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite(NOOR, "member");
        let link = acme.link_for(NOOR);
        acme.adam.invite("late@example.test", "viewer");
        let late = acme.link_for("late@example.test");
        acme.advance(8.days());
        acme.adam.invite("soon@example.test", "viewer");
        acme.adam.resend(NOOR).expect(303);
        let newer = acme.link_for(NOOR);
        acme.olivia.get("/orgs/acme").expect(200);
        let letters = acme.letters().len();
        acme.adam.invite("queued@example.test", "member");
        delete(&acme.olivia, "acme", people_password()).expect(303).leads_to("/").follow()
            .shows("Acme is deleted. Whoever else was in it has been told.").shows("You're not in any organization.");

        for person in [&acme.olivia, &acme.adam, &acme.mia, &acme.vic] {
            // Takes the message that was left for the next page.
            person.get("/").expect(200);
            let gone = person.get("/orgs/acme");
            gone.expect(404).shows("We can't find that organization.");
            assert_eq!(gone.without_token(), person.get("/orgs/never-was").without_token());
            person.get("/orgs/acme/settings/team").expect(404);
            assert!(person.get("/").urls_containing("/orgs/acme").is_empty());
        }
        for link in [&link, &late, &newer] {
            for person in [&acme.visitor(), &acme.mia] {
                person.get(link).expect(410).shows("This invitation is no longer valid.");
            }
        }
        // An invitation that had expired ends as revoked, too: nothing is left pending.
        assert_eq!(acme.count("invitations WHERE state = 'pending'"), 0);
        assert_eq!(acme.count("invitations WHERE state = 'revoked'"), 4);
        assert_eq!(events(&acme, "revoke"), 4);
        assert!(event(&acme, "delete_organization", "Acme", ""));
        assert_eq!(acme.count("memberships"), 0);
        assert_eq!(acme.count("membership_words"), 0);
        assert_eq!(acme.count("organizations WHERE member_count = 0 AND deleted_at IS NOT NULL"), 1);

        // Everybody else is told, in the app and by mail; the invitation that waited in the queue is not sent.
        let told: Vec<_> = acme.letters().split_off(letters);
        let mut to: Vec<String> = told.iter().map(|letter| letter.to.clone()).collect();
        to.sort();
        assert_eq!(to, ["adam@example.test", "mia@example.test", "vic@example.test"]);
        assert!(told.iter().all(|letter| letter.subject == "Olivia Owner deleted Acme"));
        for person in [&acme.adam, &acme.mia, &acme.vic] {
            let bell = person.get("/notifications");
            bell.expect(200).shows("Olivia Owner deleted Acme.").shows("Nobody has access to it any more.");
            assert!(bell.urls_containing("/orgs/acme").is_empty());
        }
        acme.olivia.get("/notifications").lacks("deleted Acme");

        delete(&acme.olivia, "acme", people_password()).expect(404);
        found(&acme.olivia, "Acme").expect(303).leads_to("/orgs/acme-2");
        acme.adam.get("/orgs/acme").expect(404);
    }

    /// Two owners at once, two clicks: it is deleted once.
    fn deleting_twice_at_once(kind) {
        let acme = Team::acme(kind);
        let tabs: Vec<_> = (0..4).map(|_| acme.olivia.copy()).collect();
        let tokens: Vec<_> = tabs.iter().map(|tab| tab.get("/orgs/acme/delete").csrf()).collect();
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let all: Vec<_> = tabs.iter().zip(&tokens).map(|(tab, token)| scope.spawn(move || {
                let fields = [("csrf", token.as_str()), ("slug", "acme"), ("password", people_password())];
                tab.post("/orgs/acme/delete", &fields).status
            })).collect();
            all.into_iter().map(|one| one.join().expect("an answer")).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| matches!(status, 303 | 404)), "{statuses:?}");
        assert_eq!(events(&acme, "delete_organization"), 1);
        assert_eq!(acme.count("notifications WHERE kind = 'organization_deleted'"), 3);
    }

    /// A large one: everybody finds it behind the bell, a bounded number gets a letter, owners and admins first.
    fn deleting_a_large_organization(kind) {
        let acme = Team::acme(kind);
        let many = TOLD_BY_MAIL + 250;
        crowd(&acme, many);
        acme.letters();
        acme.olivia.get("/orgs/acme/delete").shows("All 1,254 members lose access");
        delete(&acme.olivia, "acme", people_password()).expect(303);
        let told = i64::try_from(many + 3).expect("a number");
        assert_eq!(acme.count("notifications WHERE kind = 'organization_deleted' AND read_at IS NULL"), told);
        let letters = i64::try_from(TOLD_BY_MAIL).expect("a number");
        let queued = "deliveries d JOIN notifications n ON n.account_id = d.account_id AND n.id = d.notification_id \
                      WHERE n.kind = 'organization_deleted'";
        assert_eq!(acme.count(queued), letters);
        assert_eq!(acme.count(&format!("{queued} AND d.email_key = 'adam@example.test'")), 1);
        assert_eq!(acme.count(&format!("{queued} AND d.email_key = 'vic@example.test'")), 0, "viewers come last");
        assert_eq!(acme.count("memberships"), 0);
        acme.vic.get("/notifications").shows("Olivia Owner deleted Acme.");
        // The letters are of no use to this test.
        acme.sql("DELETE FROM deliveries WHERE notification_id IS NOT NULL");
    }

    /// R-ORG-1: two tabs of one browser on two organizations: the address decides, never what was opened last.
    fn two_tabs_never_mix(kind) {
        let acme = Team::acme(kind);
        found(&acme.adam, "Beta").expect(303);
        let (one, other) = (&acme.adam, acme.adam.copy());
        for turn in 0..3 {
            // Both forms are open before either is sent; whichever tab was opened last.
            let in_acme = one.get("/orgs/acme/settings/team/invite");
            let in_beta = other.get("/orgs/beta/settings/team/invite");
            let send = |form: &Answer<'_>, slug: &str| {
                let email = format!("{slug}{turn}@example.test");
                let url = format!("/orgs/{slug}/settings/team/invite");
                let fields = [("emails", email.as_str()), ("role", "member"), ("from", "page"), ("then", "send")];
                form.submit(&url, &fields).expect(303);
            };
            if turn % 2 == 0 {
                send(&in_acme, "acme");
                send(&in_beta, "beta");
            } else {
                send(&in_beta, "beta");
                send(&in_acme, "acme");
            }
            let fields = [("name", "Beta Too"), ("application_url", "")];
            other.get("/orgs/beta/settings/general").submit("/orgs/beta/settings/general", &fields).expect(303);
        }
        for (slug, count) in [("acme", 3), ("beta", 3)] {
            let all = format!("invitations i JOIN organizations o ON o.id = i.organization_id WHERE o.slug = '{slug}'");
            let own = format!("{all} AND i.email_key LIKE '{slug}%'");
            assert_eq!((acme.count(&own), acme.count(&format!("{all} AND i.state = 'pending'"))), (count, count), "{slug}");
        }
        one.get("/orgs/acme/settings/team/invitations").shows("acme0@example.test").lacks("beta0@example.test");
        other.get("/orgs/beta/settings/team/invitations").shows("beta0@example.test").lacks("acme0@example.test");
        acme.mia.get("/").shows("Acme").lacks("Beta");
        assert_eq!(acme.count("organizations WHERE name = 'Acme' AND slug = 'acme'"), 1);
    }

    /// UI.md: where an organization is not yours, the page says what may have happened; other pages say otherwise.
    fn an_organization_that_is_not_yours(kind) {
        let acme = Team::acme(kind);
        let zoe = acme.sign_up("Zoe Owns", "zoe@zebra.test", "Zebra");
        zoe.get("/").expect(200);
        zoe.get("/orgs/zebra").expect(200);
        let words = "It may not exist, you may have left or been removed, or it was deleted. Ask one of its owners for an invitation.";
        for path in ["", "/settings/general", "/delete", "/settings/team"] {
            let existing = zoe.get(&format!("/orgs/acme{path}"));
            let missing = zoe.get(&format!("/orgs/missing{path}"));
            existing.expect(404).shows("We can't find that organization.").shows(words);
            assert_eq!(existing.without_token(), missing.without_token(), "{path}");
        }
        for path in ["/nowhere", "/invitations/x/reject"] {
            zoe.get(path).expect(404).shows("We can't find that page.").lacks("organization.");
        }
    }
}

/// Acme with so many members more, made behind the program's back with everything that belongs to a member.
fn crowd(acme: &Acme, many: usize) {
    let (id, key) = if acme.on_postgres() {
        ("md5('a' || n)::uuid", "now()")
    } else {
        ("unhex(printf('%032x', n))", "1790000000000000")
    };
    let numbers = format!(
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {many})"
    );
    let organization = "(SELECT id FROM organizations WHERE slug = 'acme')";
    acme.sql(&format!(
        "{numbers} INSERT INTO accounts (id, email, email_key, name, password_hash, created_at) \
         SELECT {id}, 'm' || n || '@crowd.test', 'm' || n || '@crowd.test', 'Crowd ' || n, 'x', {key} FROM numbers"
    ));
    acme.sql(&format!(
        "INSERT INTO memberships (organization_id, account_id, role, name_key, joined_at) \
         SELECT {organization}, id, 'member', name, created_at FROM accounts WHERE email_key LIKE 'm%@crowd.test'"
    ));
    acme.sql(&format!(
        "INSERT INTO membership_words (organization_id, word, account_id) \
         SELECT {organization}, 'crowd', id FROM accounts WHERE email_key LIKE 'm%@crowd.test'"
    ));
    acme.sql(&format!(
        "UPDATE organizations SET member_count = member_count + {many} WHERE slug = 'acme'"
    ));
}
