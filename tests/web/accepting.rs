//! Accepting and rejecting, from the invitee's side: the page of a link, alive or dead.

use crate::{
    on_both,
    support::{
        people::Person,
        rows::ACTIVITY,
        team::{Acme, Team, people_password},
    },
};
use time::ext::NumericalDuration as _;

const NOOR: &str = "noor@example.test";

/// Acme with a pending invitation for Noor by Adam; its link.
fn acme_inviting_noor(kind: crate::support::database::Kind) -> (Acme, String) {
    let acme = Team::acme(kind);
    acme.adam.invite(NOOR, "member");
    let link = acme.link_for(NOOR);
    (acme, link)
}

/// Noor with an account of her own, not verified, and a membership elsewhere.
fn noor_from_elsewhere(acme: &Acme) -> Person {
    acme.sign_up("Noor New", NOOR, "Elsewhere")
}

fn verified(acme: &Acme, email: &str) -> bool {
    acme.count(&format!(
        "accounts WHERE email_key = '{email}' AND verified_at IS NOT NULL"
    )) == 1
}

fn memberships_in_acme(acme: &Acme, email: &str, role: &str) -> i64 {
    acme.count(&format!(
        "memberships m JOIN accounts a ON a.id = m.account_id JOIN organizations o ON o.id = m.organization_id \
         WHERE o.slug = 'acme' AND a.email_key = '{email}' AND m.role = '{role}'"
    ))
}

fn pending(acme: &Acme) -> i64 {
    acme.count("invitations WHERE state = 'pending'")
}

/// The page of a dead link, for whoever looks: status and heading, the same for HEAD, and nothing there to accept.
fn is_dead(person: &Person, link: &str, status: u16, heading: &str) {
    let page = person.get(link);
    page.expect(status).shows(heading);
    assert!(
        page.body
            .contains(&format!("<h1>{}</h1>", heading.replace('\'', "&#39;"))),
        "{}",
        page.body
    );
    page.lacks("Create account and join");
    assert!(
        page.urls_containing("/accept")
            .iter()
            .all(|url| !url.ends_with("/accept"))
    );
    let head = person.head(link);
    head.expect(status);
    assert!(head.body.is_empty());
}

/// No POST on a dead link does anything: each answers like the page.
fn is_dead_for_every_post(acme: &Acme, person: &Person, link: &str, status: u16) {
    let facts = || {
        let mut facts = acme.dump(&ACTIVITY);
        // Guessing at the password of a link that was used is counted.
        facts.retain(|row| !row.starts_with("quotas: "));
        facts
    };
    let before = facts();
    let form = person.get(if person.is_signed_in() {
        "/"
    } else {
        "/sign-in"
    });
    if person.is_signed_in() {
        form.submit(&format!("{link}/accept"), &[]).expect(status);
    } else {
        let fields = [
            ("name", "Noor New"),
            ("password", "fremde wolken 12 treiben"),
        ];
        form.submit(&format!("{link}/sign-up"), &fields)
            .expect(status);
    }
    assert_eq!(facts(), before, "{link}");
}

on_both! {
    /// R-INV-3: accepted at −1 s, expired at 0 s; to sign up through the link and to accept it.
    fn valid_until_the_last_second(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        acme.adam.invite("rex@example.test", "viewer");
        let rex_link = acme.link_for("rex@example.test");
        let rex = acme.sign_up("Rex Early", "rex@example.test", "Rexco");
        acme.adam.invite("late@example.test", "viewer");
        let late_link = acme.link_for("late@example.test");
        let late = acme.sign_up("Lea Late", "late@example.test", "Lateco");
        acme.adam.invite("later@example.test", "viewer");
        let later_link = acme.link_for("later@example.test");

        acme.advance(7.days() - 1.seconds());
        acme.visitor().join(&link, "Noor New").get("/orgs/acme").expect(200);
        rex.accept(&rex_link).expect(303);
        let (visitor, page) = (acme.visitor(), later_link.clone());
        let ready = visitor.get(&page);
        let late_ready = late.get(&late_link);
        late_ready.expect(200).shows("Accept");
        acme.advance(1.seconds());
        late_ready.submit(&format!("{late_link}/accept"), &[]).expect(410).shows("This invitation has expired.");
        let fields = [("name", "Lou Later"), ("password", people_password())];
        ready.submit(&format!("{later_link}/sign-up"), &fields).expect(410).shows("It was valid until 28 Nov 2026, 09:00 UTC.");
        assert_eq!(pending(&acme), 2, "expiry is computed, never stored");
        assert_eq!(acme.count("accounts WHERE email_key = 'later@example.test'"), 0);
    }

    /// R-ACC-7: a link that names nothing: unknown, malformed, tampered with, of another purpose, empty.
    fn a_link_to_nothing_is_not_found(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        let heading = "We can't find that invitation.";
        let token = link.strip_prefix("/accept-invitation/").expect("a token");
        let last = if token.ends_with('A') { "B" } else { "A" };
        let links = &acme.parts.app.means.links;
        let other_purpose = links.make(roster::link::Purpose::ResetPassword, uuid::Uuid::from_u128(7), links.current_version())
            .expect("the current key");
        for dead in [
            acme.link_to_nothing(),
            "/accept-invitation/inv_".to_owned(),
            "/accept-invitation/x".to_owned(),
            format!("/accept-invitation/{}", "A".repeat(5000)),
            format!("/accept-invitation/{}{last}", &token[..token.len() - 1]),
            format!("{link}A"),
            format!("{link}%20"),
            format!("{link}%00"),
            format!("/accept-invitation/{}", token.to_uppercase()),
            format!("/accept-invitation/{}", &token[4..]),
            format!("/accept-invitation/{other_purpose}"),
            "/accept-invitation/%ff%fe".to_owned(),
            "/accept-invitation/..%2f..".to_owned(),
            "/accept-invitation/%0d%0aSet-Cookie:%20a=b".to_owned(),
        ] {
            for person in [&acme.visitor(), &acme.mia] {
                is_dead(person, &dead, 404, heading);
            }
            is_dead_for_every_post(&acme, &acme.mia, &dead, 404);
            is_dead_for_every_post(&acme, &acme.visitor(), &dead, 404);
            acme.mia.get(&format!("{dead}/reject")).expect(404);
        }
        for empty in ["/accept-invitation/", "/accept-invitation"] {
            acme.visitor().get(empty).expect(404);
            acme.visitor().head(empty).expect(404);
        }
        assert!(acme.mia.is_signed_in());
        acme.visitor().get(&link).expect(200);
    }

    /// R-ACC-7, R-INV-3: expired, and how to go on.
    fn an_expired_link_offers_to_ask_again(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        acme.advance(7.days());
        for person in [&acme.visitor(), &acme.mia] {
            is_dead(person, &link, 410, "This invitation has expired.");
            person.get(&link).shows("It was valid until 28 Nov 2026, 09:00 UTC.").shows("Ask for a new invitation");
            is_dead_for_every_post(&acme, person, &link, 410);
        }
    }

    /// R-ACC-7: revoked.
    fn a_revoked_link_is_gone(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        acme.adam.revoke(NOOR).expect(303);
        for person in [&acme.visitor(), &acme.mia, &noor_from_elsewhere(&acme)] {
            is_dead(person, &link, 410, "This invitation is no longer valid.");
            person.get(&link).shows("It was withdrawn.").lacks("Ask for a new invitation");
            is_dead_for_every_post(&acme, person, &link, 410);
        }
    }

    /// R-ACC-7, R-INV-7: replaced by a newer one.
    fn a_replaced_link_points_to_the_newer_letter(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        acme.advance(7.days());
        acme.adam.resend(NOOR).expect(303);
        for person in [&acme.visitor(), &noor_from_elsewhere(&acme)] {
            is_dead(person, &link, 410, "A newer invitation was sent to this address.");
            is_dead_for_every_post(&acme, person, &link, 410);
        }
    }

    /// R-ACC-3, R-ACC-7: used: links work once. To whoever accepted it, it opens the organization.
    fn a_used_link_works_once(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        let noor = acme.visitor().join(&link, "Noor New");
        for person in [&acme.visitor(), &acme.mia] {
            is_dead(person, &link, 410, "This link has already been used.");
            person.get(&link).shows("Invitation links work once.");
            is_dead_for_every_post(&acme, person, &link, 410);
        }
        acme.visitor().get(&link).shows("Sign in");
        noor.get(&link).expect(200).shows("You're already in Acme as Member.").shows("Open Acme");
    }

    /// R-ACC-7, R-ACC-8: rejected.
    fn a_rejected_link_is_gone(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        let noor = noor_from_elsewhere(&acme);
        noor.reject(&link).expect(303).leads_to("/").follow().shows("You rejected the invitation to Acme. Adam Admin has been told.");
        for person in [&acme.visitor(), &acme.mia, &noor] {
            is_dead(person, &link, 410, "You rejected this invitation.");
            is_dead_for_every_post(&acme, person, &link, 410);
        }
        noor.get(&format!("{link}/reject")).expect(410);
    }

    /// R-ACC-7, R-ORG-3: the organization was deleted.
    fn a_link_of_a_deleted_organization_is_gone(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        let noor = noor_from_elsewhere(&acme);
        acme.sql("UPDATE organizations SET deleted_at = created_at WHERE slug = 'acme'");
        for person in [&acme.visitor(), &noor] {
            is_dead(person, &link, 410, "This invitation is no longer valid.");
            is_dead_for_every_post(&acme, person, &link, 410);
        }
        let page = noor.get("/");
        page.submit(&format!("{link}/reject"), &[]).expect(410);
        page.submit(&format!("{link}/ask-again"), &[]).expect(410);
        assert_eq!(pending(&acme), 1);
    }

    /// R-ACC-2, UI.md: the page of a live link says everything, and keeps to itself.
    fn the_invitation_page_says_everything(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        let page = acme.visitor().get(&link).headers;
        let header = |name: &str| page.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        assert_eq!(header("cache-control").as_deref(), Some("no-store"));
        assert_eq!(header("referrer-policy").as_deref(), Some("same-origin"));
        assert_eq!(header("x-robots-tag").as_deref(), Some("noindex"));
        acme.visitor().get(&link).expect(200)
            .shows("Adam Admin invited you to join Acme")
            .shows("MemberCan use everything in the organization.")
            .shows("Adam Admin adam@example.test")
            .shows("noor@example.test")
            .shows("28 Nov 2026, 09:00 UTC")
            .shows("Create account and join")
            .shows("Sign in");
        noor_from_elsewhere(&acme).get(&link).expect(200).shows("Accept").shows("Reject")
            .shows("Signed in as Noor New (noor@example.test)").shows("Not you? Switch account").lacks("Create account");
        acme.visitor().head(&link).expect(200);
    }

    /// R-ACC-1: a thousand looks, by GET and HEAD, signed in and out, change nothing; afterwards it can be accepted.
    fn looking_changes_nothing(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        let noor = noor_from_elsewhere(&acme);
        let visitor = acme.visitor();
        let before = acme.dump(&ACTIVITY);
        for round in 0..200 {
            for person in [&visitor, &noor] {
                person.get(&link).expect(200);
                person.head(&link).expect(200);
            }
            // A scanner keeps no cookies, and tries what it finds.
            let scanner = acme.visitor();
            scanner.get(&link).expect(200);
            if round % 40 == 0 {
                for (method, path) in [("GET", "/accept"), ("HEAD", "/accept"), ("GET", "/sign-up"), ("GET", "/switch-account"), ("GET", "/ask-again"), ("OPTIONS", "")] {
                    scanner.ask(method, &format!("{link}{path}"), &[], None).expect(405);
                }
                scanner.get(&format!("{link}/reject")).expect(303);
                noor.get(&format!("{link}/reject")).expect(200).shows("Reject the invitation to Acme?");
                noor.head(&format!("{link}/reject")).expect(200);
                acme.mia.get(&link).expect(403);
            }
        }
        assert_eq!(acme.dump(&ACTIVITY), before);
        noor.accept(&link).expect(303).leads_to("/orgs/acme");
    }

    /// R-ACC-3: signed in as somebody else: both addresses are named, the invited one masked; nothing is consumed, and
    /// **Sign out and continue** leads back to this same invitation.
    fn another_account_cannot_accept(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        for person in [&acme.mia, &acme.adam, &acme.olivia] {
            let page = person.get(&link);
            page.expect(403).shows("This invitation is for another address.").shows("It was sent to n•••@example.test.")
                .shows("Sign out and continue").lacks(NOOR);
            person.head(&link).expect(403);
            page.submit(&format!("{link}/accept"), &[]).expect(403).shows("n•••@example.test").lacks(NOOR);
            page.submit(&format!("{link}/reject"), &[]).expect(403).lacks(NOOR);
            let fields = [("name", "Mia Twice"), ("password", people_password())];
            page.submit(&format!("{link}/sign-up"), &fields).expect(303).leads_to(&link);
        }
        acme.mia.get(&link).shows("You're signed in as mia@example.test.");
        assert_eq!((pending(&acme), acme.count("accounts"), acme.count("memberships")), (1, 4, 4));
        assert_eq!(memberships_in_acme(&acme, "mia@example.test", "member"), 1);

        let copied = acme.mia.copy();
        acme.mia.switch_account(&link).expect(303).leads_to(&link).follow()
            .expect(200).shows("Adam Admin invited you to join Acme").shows("Create account and join");
        assert!(!acme.mia.is_signed_in() && !copied.is_signed_in());
        acme.mia.try_join(&link, "Noor New").expect(303).leads_to("/orgs/acme");
        assert_eq!(memberships_in_acme(&acme, NOOR, "member"), 1);
    }

    /// R-ACC-3: switching accounts leads to an invitation, never anywhere else.
    fn switching_accounts_leads_nowhere_else(kind) {
        let acme = Team::acme(kind);
        for odd in ["%0d%0aSet-Cookie:%20evil=1", "%5c%5cevil.test", "x", "..%2f..%2f%2fevil.test", "%00", "%ff"] {
            let answer = acme.mia.get("/").submit(&format!("/accept-invitation/{odd}/switch-account"), &[]);
            answer.expect(404);
            assert!(answer.location.is_none());
            assert!(answer.headers.iter().all(|(_, value)| !value.contains("evil")), "{:?}", answer.headers);
        }
    }

    /// R-ACC-6: a member stays what they are, whatever an invitation says; the page says so and opens the organization.
    fn a_member_keeps_their_role(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        let noor = acme.visitor().join(&link, "Noor New");
        acme.sql("UPDATE memberships SET role = 'viewer' WHERE account_id = (SELECT id FROM accounts WHERE email_key = 'noor@example.test')");
        let page = noor.get(&link);
        page.expect(200).shows("You're already in Acme as Viewer.").shows("Open Acme").lacks("Accept");
        noor.get("/").submit(&format!("{link}/accept"), &[]).expect(303).leads_to("/orgs/acme").follow().shows("You're already in Acme as Viewer.");
        assert_eq!(memberships_in_acme(&acme, NOOR, "viewer"), 1);

        // The same with an invitation that is still open: rows as no page of ours makes them.
        acme.adam.invite("mia2@example.test", "admin");
        let open = acme.link_for("mia2@example.test");
        acme.sql("UPDATE invitations SET email = 'mia@example.test', email_key = 'mia@example.test' WHERE email_key = 'mia2@example.test'");
        acme.sql("UPDATE deliveries SET email = 'mia@example.test', email_key = 'mia@example.test' WHERE email_key = 'mia2@example.test'");
        acme.mia.get(&open).expect(200).shows("You're already in Acme as Member.");
        acme.mia.get("/").submit(&format!("{open}/accept"), &[]).expect(303).leads_to("/orgs/acme");
        assert_eq!(memberships_in_acme(&acme, "mia@example.test", "member"), 1);
        assert_eq!(acme.count("audit_events WHERE verb = 'accept'"), 4);
    }

    /// R-ACC-5: accepting gives exactly the role of the invitation, once, with one event.
    fn accepting_gives_exactly_the_role(kind) {
        let acme = Team::acme(kind);
        for (role, label) in [("admin", "Admin"), ("member", "Member"), ("viewer", "Viewer")] {
            let (new, old) = (format!("new-{role}@example.test"), format!("old-{role}@example.test"));
            acme.adam.invite(&new, role);
            acme.adam.invite(&old, role);
            acme.visitor().try_join(&acme.link_for(&new), "Noor New").follow().shows(&format!("Welcome to Acme. You joined as {label}."));
            let person = acme.sign_up("Otto Old", &old, "Old");
            person.accept(&acme.link_for(&old)).expect(303).leads_to("/orgs/acme").follow().shows(&format!("You joined as {label}."));
            for email in [&new, &old] {
                assert_eq!(memberships_in_acme(&acme, email, role), 1);
                assert_eq!(acme.count(&format!("audit_events WHERE verb = 'accept' AND target = '{email}' AND after = '{role}'")), 1);
            }
            let status = if role == "admin" { 200 } else { 403 };
            person.get("/orgs/acme/settings/team/invite").expect(status);
        }
        assert_eq!(acme.number("SELECT CAST(member_count AS BIGINT) AS value FROM organizations WHERE slug = 'acme'"), 10);
    }

    /// R-ACC-5: a double click, and two tabs with the cookie from before: one membership, one event, every answer leads
    /// into the organization, and the browser stays signed in with whichever answer came last.
    fn a_double_click_joins_once(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        let noor = noor_from_elsewhere(&acme);
        let (second, third) = (noor.copy(), noor.copy());
        let pages = [noor.get(&link), second.get(&link), third.get(&link)];
        for page in &pages {
            page.submit(&format!("{link}/accept"), &[]).expect(303).leads_to("/orgs/acme").follow().expect(200);
        }
        assert_eq!(memberships_in_acme(&acme, NOOR, "member"), 1);
        assert_eq!(acme.count("audit_events WHERE verb = 'accept' AND target = 'noor@example.test'"), 1);
        // Three tabs of one browser share their cookies: the last answer's stays.
        acme.advance(2.minutes());
        for tab in [&noor, &second, &third] {
            tab.get("/orgs/acme").expect(200);
        }
        // A tab that was open before the click works on.
        let form = third.get("/");
        form.submit("/sign-out", &[]).expect(303);
        assert!(!noor.is_signed_in() && !second.is_signed_in(), "it is one session");
    }

    /// R-ACC-5: a page that loads while somebody clicks Accept or Sign in in another tab does not bring the old cookie back.
    fn a_page_that_loads_meanwhile_leaves_the_cookie_alone(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        let noor = noor_from_elsewhere(&acme);
        noor.get("/").expect(200);
        for path in ["/", link.as_str(), "/orgs/elsewhere/settings/team", "/orgs/nowhere"] {
            assert_eq!(noor.get(path).header("set-cookie"), None, "{path}");
        }
        let visitor = acme.visitor();
        assert!(visitor.get("/sign-in").header("set-cookie").is_some(), "forms need a cookie");
        for path in ["/sign-in", "/sign-up", link.as_str()] {
            assert_eq!(visitor.get(path).header("set-cookie"), None, "{path}");
        }
    }

    /// R-ACC-5: the second click on **Create account and join** makes no second account and says where to go on.
    fn a_double_click_signs_up_once(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        let noor = acme.visitor();
        let page = noor.get(&link);
        let second = noor.copy();
        let second_page = second.get(&link);
        let fields = [("name", "Noor New"), ("password", people_password())];
        let url = format!("{link}/sign-up");
        page.submit(&url, &fields).expect(303).leads_to("/orgs/acme");
        // The second click, with the cookie of before the first: it leads in as well.
        second_page.submit(&url, &fields).expect(303).leads_to("/orgs/acme").follow().shows("You're already in Acme as Member.");
        // Only the right password does.
        let stranger = acme.visitor();
        let guess = [("name", "Noor New"), ("password", "fremde wolken 12 treiben")];
        stranger.get("/sign-in").submit(&url, &guess).expect(410).shows("Sign in");
        assert_eq!(acme.count("accounts WHERE email_key = 'noor@example.test'"), 1);
        assert_eq!(memberships_in_acme(&acme, NOOR, "member"), 1);
        // With the new cookie the same click leads in.
        page.submit(&url, &fields).expect(403);
        noor.get("/").submit(&url, &fields).expect(303).leads_to(&link).follow().shows("You're already in Acme as Member.");
    }

    /// R-ACC-4: signing up through a link that only the mailbox has seen verifies the address.
    fn an_unseen_link_verifies(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        acme.visitor().join(&link, "Noor New").get("/orgs/acme").expect(200);
        assert!(verified(&acme, NOOR));
        // Copying is too late to change that.
        acme.adam.copy_link_on_a_page(NOOR).expect(409);
        assert!(verified(&acme, NOOR));
    }

    /// R-ACC-4: an exposed link lets its holder join, and proves nothing about the mailbox.
    fn an_exposed_link_does_not_verify(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        acme.olivia.copy_link(NOOR);
        acme.visitor().join(&link, "Noor New").get("/orgs/acme").expect(200);
        assert!(!verified(&acme, NOOR));

        acme.adam.invite("rex@example.test", "member");
        acme.adam.copy_link_on_a_page("rex@example.test").expect(200);
        let rex = acme.sign_up_unconfirmed("Rex Early", "rex@example.test", "Rexco");
        let elsewhere = acme.visitor();
        elsewhere.sign_in("rex@example.test").expect(303);
        rex.accept(&acme.link_for("rex@example.test")).expect(303);
        assert!(!verified(&acme, "rex@example.test"));
        assert!(elsewhere.is_signed_in(), "nothing was proved, so nothing ends");
        assert_eq!(memberships_in_acme(&acme, "rex@example.test", "member"), 1);
    }

    /// R-ACC-4: the first proof of the mailbox ends every other session of an unverified account: a squatter's.
    fn the_first_proof_ends_other_sessions(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        let squatter = acme.sign_up_unconfirmed("Noor New", NOOR, "Elsewhere");
        let noor = acme.visitor();
        noor.sign_in(NOOR).expect(303);
        assert!(!verified(&acme, NOOR) && squatter.is_signed_in());
        noor.accept(&link).expect(303);
        assert!(verified(&acme, NOOR));
        assert!(!squatter.is_signed_in(), "the squatter is out");
        squatter.get("/orgs/acme").expect(303);
        assert!(noor.is_signed_in());

        // The second proof ends nothing.
        let beta = acme.sign_up("Bea Beta", "bea@example.test", "Beta");
        beta.try_invite_to("beta", NOOR, "member", &[]).expect(303);
        let elsewhere = acme.visitor();
        elsewhere.sign_in(NOOR).expect(303);
        noor.accept(&acme.link_for(NOOR)).expect(303).leads_to("/orgs/beta");
        assert!(elsewhere.is_signed_in());
    }

    /// R-ACC-2: signing up over an account that is there is refused in neutral words, and consumes nothing.
    fn signing_up_over_an_account_is_refused(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        let visitor = acme.visitor();
        let before_account = visitor.get(&link).without_token();
        let noor = noor_from_elsewhere(&acme);
        assert_eq!(visitor.get(&link).without_token(), before_account, "the page does not tell whether there is an account");

        let rows = acme.dump(&["used"]);
        let refused = visitor.try_join(&link, "Evil Twin");
        refused.expect(422).shows("We can't create an account with this address. If it is yours already, sign in instead.").lacks("Noor New");
        assert!(!visitor.is_signed_in());
        let without_attempts = |rows: Vec<String>| rows.into_iter().filter(|row| !row.starts_with("quotas")).collect::<Vec<_>>();
        assert_eq!(without_attempts(acme.dump(&["used"])), without_attempts(rows));

        visitor.get(&link).submit("/sign-in", &[("next", &link), ("email", NOOR), ("password", people_password())])
            .expect(303).leads_to(&link).follow().shows("Accept");
        noor.accept(&link).expect(303).leads_to("/orgs/acme");
    }

    /// R-ACC-3: the address is the invitation's: fields that should not be there are refused.
    fn extra_fields_are_refused(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        let visitor = acme.visitor();
        for extra in [("email", "eve@example.test"), ("role", "owner"), ("verified", "1"), ("name", "Twice")] {
            let fields = [("name", "Noor New"), ("password", people_password()), extra];
            visitor.get(&link).submit(&format!("{link}/sign-up"), &fields).expect(422);
        }
        let noor = noor_from_elsewhere(&acme);
        for extra in [("email", "eve@example.test"), ("role", "admin")] {
            for verb in ["accept", "reject", "switch-account", "ask-again"] {
                noor.get(&link).submit(&format!("{link}/{verb}"), &[extra]).expect(422);
            }
        }
        assert_eq!((pending(&acme), acme.count("accounts")), (1, 5));
        noor.accept(&link).expect(303);
    }

    /// R-ACC-2: a weak password or an empty name comes back with its reason, and consumes nothing.
    fn a_weak_password_does_not_join(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        let visitor = acme.visitor();
        for (name, password, why) in [
            ("Noor New", "short", "Use at least 8 characters."),
            ("Noor New", "password1", "This password is too easy to guess."),
            ("Noor New", "noor@example.test", "This password is too easy to guess."),
            ("  ", people_password(), "Fill this in."),
        ] {
            let page = visitor.get(&link).submit(&format!("{link}/sign-up"), &[("name", name), ("password", password)]);
            page.expect(422).shows(why).shows("Adam Admin invited you to join Acme");
            assert!(password == NOOR || !page.body.contains(password), "a password is never shown again");
        }
        assert_eq!((pending(&acme), acme.count("accounts")), (1, 4));
    }

    /// R-ACC-8: rejecting is confirmed; the inviter is told by mail.
    fn rejecting_tells_the_inviter(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        let noor = noor_from_elsewhere(&acme);
        noor.get(&format!("{link}/reject")).expect(200).shows("Reject the invitation to Acme?").shows("Reject Invitation").shows("Cancel");
        assert_eq!(pending(&acme), 1);
        noor.reject(&link).expect(303);
        let told = acme.letters_to("adam@example.test");
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].subject, "noor@example.test rejected your invitation to Acme");
        assert!(told[0].text.contains(&acme.adam.invitation_url(NOOR)), "{}", told[0].text);
        assert!(!told[0].raw.contains("/accept-invitation/") && !told[0].raw.contains("\nReply-To"));
        assert!(acme.letters_to("olivia@example.test").is_empty());
        assert_eq!(acme.count("audit_events WHERE verb = 'reject' AND target = 'noor@example.test'"), 1);
        assert_eq!(memberships_in_acme(&acme, NOOR, "member"), 0);
    }

    /// R-ACC-8: the owners are told if the inviter has left.
    fn rejecting_tells_the_owners_if_the_inviter_has_left(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        let noor = noor_from_elsewhere(&acme);
        acme.adam.get("/").submit("/orgs/acme/leave", &[]).expect(303);
        noor.reject(&link).expect(303).follow().shows("You rejected the invitation to Acme. Its owners have been told.");
        assert!(acme.letters_to("adam@example.test").is_empty());
        assert!(acme.letters_to("mia@example.test").is_empty());
        let told = acme.letters_to("olivia@example.test");
        assert_eq!(told.len(), 1);
        assert!(told[0].subject.starts_with("noor@example.test rejected"), "{}", told[0].subject);
    }

    /// R-ACC-8: rejecting an expired one succeeds quietly.
    fn an_expired_invitation_can_be_rejected(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        let noor = noor_from_elsewhere(&acme);
        let form = noor.get(&format!("{link}/reject"));
        acme.advance(8.days());
        form.submit(&format!("{link}/reject"), &[]).expect(303).leads_to("/").follow().shows("You rejected the invitation to Acme.");
        assert_eq!(acme.count("invitations WHERE state = 'rejected'"), 1);
        form.submit(&format!("{link}/reject"), &[]).expect(410);
        assert_eq!(acme.count("audit_events WHERE verb = 'reject'"), 1);
    }

    /// R-ACC-7: **Ask for a new invitation** tells the inviter, at most once a day, from whichever browser.
    fn asking_again_tells_the_inviter_once_a_day(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        acme.advance(7.days());
        acme.visitor().ask_again(&link).expect(303).leads_to(&link).follow()
            .expect(410).shows("We told the person who invited you that you'd like a new invitation.");
        let told = acme.letters_to("adam@example.test");
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].subject, "noor@example.test asks for a new invitation to Acme");
        assert_eq!(acme.count("audit_events WHERE verb = 'ask_again' AND account_id IS NULL"), 1);

        acme.advance(23.hours());
        let visitor = acme.visitor();
        let again = visitor.ask_again(&link);
        assert_eq!((again.status, again.retry_after()), (429, 3600));
        noor_from_elsewhere(&acme).ask_again(&link).expect(429).shows("You have asked already").shows("60 min");
        acme.advance(1.hours() - 1.seconds());
        acme.visitor().ask_again(&link).expect(429);
        assert_eq!(acme.letters_to("adam@example.test").len(), 1);
        acme.advance(1.seconds());
        acme.visitor().ask_again(&link).expect(303);
        assert_eq!(acme.letters_to("adam@example.test").len(), 2);

        // The inviter resends with one click; then there is nothing left to ask for.
        acme.adam.resend(NOOR).expect(303);
        let visitor = acme.visitor();
        visitor.get("/sign-in").submit(&format!("{link}/ask-again"), &[]).expect(410).shows("A newer invitation was sent");
        visitor.get(&acme.link_for(NOOR)).expect(200);
        assert_eq!(acme.letters_to("adam@example.test").len(), 2);
    }

    /// R-ACC-7: nothing is asked for while the invitation is good.
    fn nobody_asks_again_while_it_is_valid(kind) {
        let (acme, link) = acme_inviting_noor(kind);
        acme.visitor().get(&link).submit(&format!("{link}/ask-again"), &[]).expect(303).leads_to(&link).follow()
            .expect(200).lacks("We told the person who invited you");
        assert!(acme.letters_to("adam@example.test").is_empty());
        assert_eq!(acme.count("audit_events WHERE verb = 'ask_again'"), 0);
    }
}
