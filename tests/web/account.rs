//! One's own account: sessions, letters, the end (R-ORG-4).

use crate::{
    on_both,
    support::{
        facts,
        people::{Answer, Person, encode},
        race::{Click, at_once, with_status},
        team::{Acme, Setup, Team, link_in, people_password},
    },
};
use roster::domain::quota::MailLimits;
use time::Duration;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1";

/// Rounds of each race.
const ROUNDS: usize = 20;
/// Rounds of what could leave an organization without an Owner.
const OWNERSHIP_ROUNDS: usize = 200;

/// Signs in with a browser that calls itself `agent`.
fn sign_in_with<'a>(person: &'a Person, email: &str, agent: &str) -> Answer<'a> {
    let page = person.get("/sign-in");
    let signed_in = page.status == 303;
    let token = if signed_in { page.follow() } else { page }.csrf();
    let form = encode(&[
        ("csrf", &token),
        ("email", email),
        ("password", people_password()),
    ]);
    person.ask("POST", "/sign-in", &[("user-agent", agent)], Some(&form))
}

/// A browser that calls itself `agent`, signed in.
fn browser(team: &Team, email: &str, agent: &str) -> Person {
    let person = team.visitor();
    sign_in_with(&person, email, agent)
        .expect(303)
        .leads_to("/");
    person
}

/// Where the sessions page signs each browser out.
fn sign_out_urls(person: &Person) -> Vec<String> {
    let page = person.get("/account/sessions");
    let mut urls = page.expect(200).urls_containing("/account/sessions/");
    urls.retain(|url| url.ends_with("/sign-out"));
    urls
}

fn delete(person: &Person) -> Answer<'_> {
    delete_with(person, people_password())
}

fn delete_with<'a>(person: &'a Person, password: &str) -> Answer<'a> {
    person
        .get("/")
        .submit("/account/delete", &[("password", password)])
}

fn choose<'a>(person: &'a Person, kinds: &[&str]) -> Answer<'a> {
    let fields: Vec<_> = kinds.iter().map(|kind| ("mail", *kind)).collect();
    person
        .get("/account/notifications")
        .submit("/account/notifications", &fields)
}

fn transfer_to(acme: &Acme, by: &Person, email: &str) {
    let id = acme.account_id(email);
    let fields = [
        ("member", id.as_str()),
        ("slug", "acme"),
        ("password", people_password()),
    ];
    by.get("/")
        .submit("/orgs/acme/transfer-ownership", &fields)
        .expect(303);
}

/// Three in an organization of a round's own: an Owner, somebody with `role`, a Viewer.
fn trio(team: &Team, round: usize, role: &str) -> (String, [(Person, String); 2]) {
    team.advance(Duration::hours(25));
    let slug = format!("ring-{round}");
    let [ann, bea, cy] = ["ann", "bea", "cy"].map(|name| format!("{name}{round}@example.test"));
    let owner = team.sign_up("Ann", &ann, &format!("Ring {round}"));
    let join = |email: &str, role: &str, name: &str| {
        team.visitor()
            .join(&link_to(&owner, &slug, email, role), name)
    };
    let other = join(&bea, if role == "owner" { "admin" } else { role }, "Bea");
    join(&cy, "viewer", "Cy");
    if role == "owner" {
        let id = team.account_id(&bea);
        let url = format!("/orgs/{slug}/settings/team/members/{id}/role");
        owner
            .get("/")
            .submit(&url, &[("before", "admin"), ("role", "owner")])
            .expect(303);
    }
    (slug, [(owner, ann), (other, bea)])
}

/// Invites to an organization by link only, and answers the link of its newest invitation.
fn link_to(by: &Person, slug: &str, email: &str, role: &str) -> String {
    by.try_invite_to(slug, email, role, &[("link_only", "yes")])
        .expect(303);
    let list = format!("/orgs/{slug}/settings/team/invitations");
    let page = by.get(&list);
    let urls = page.urls_containing(&format!("{list}/"));
    let url = urls.iter().find(|url| url.len() == list.len() + 37);
    let copied = page.submit(&format!("{}/link", url.expect("an invitation")), &[]);
    link_in(&copied.expect(200).body)
}

fn owners(team: &Team, slug: &str) -> i64 {
    facts::count(
        &team.db,
        &format!(
            "SELECT count(*) AS count FROM memberships m JOIN organizations o ON o.id = m.organization_id \
             WHERE o.slug = '{slug}' AND o.deleted_at IS NULL AND m.role = 'owner'"
        ),
    )
}

fn generous() -> Setup {
    let mut setup = Setup::default();
    setup.rules.mail = MailLimits {
        per_address: 100_000,
        per_person: 100_000,
        per_organization: 100_000,
        ..MailLimits::default()
    };
    setup
}

on_both! {
    /// R-ORG-4: every browser with what it calls itself, from where, since when, and a way to end it.
    fn sessions_are_listed_and_ended(kind) {
        let acme = Team::acme(kind);
        let other = browser(&acme, "olivia@example.test", FIREFOX);
        let page = acme.olivia.get("/account/sessions");
        page.expect(200).shows("This browser").shows("Firefox on Linux").shows("127.0.0.1").shows("ureq");
        let mine = sign_out_urls(&acme.olivia);
        assert_eq!(mine.len(), 2);
        // This browser comes first.
        assert!(page.text().find("This browser") < page.text().find("Firefox on Linux"));
        page.submit(&mine[1], &[]).expect(303).leads_to("/account/sessions").follow().shows("That browser is signed out.").lacks("Firefox");
        assert!(!other.is_signed_in());
        assert!(acme.olivia.is_signed_in());
        acme.olivia.get("/").submit(&mine[1], &[]).expect(404);
    }

    /// R-ORG-1: nobody ends the sessions of others, and ids of theirs are ids of nothing.
    fn sessions_of_others_are_not_found(kind) {
        let acme = Team::acme(kind);
        let of_mia = sign_out_urls(&acme.mia);
        acme.olivia.get("/").submit(&of_mia[0], &[]).expect(404);
        acme.olivia.get("/").submit("/account/sessions/00000000-0000-7000-8000-000000000000/sign-out", &[]).expect(404);
        acme.olivia.get("/").submit("/account/sessions/nonsense/sign-out", &[]).expect(404);
        acme.olivia.get("/").submit("/account/sessions/sign-out-all", &[]).expect(303);
        assert!(acme.mia.is_signed_in());
    }

    /// A token that was renewed has a second row for a minute: still one browser.
    fn a_renewed_session_is_listed_once(kind) {
        let acme = Team::acme(kind);
        let rita = acme.sign_up("Rita", "rita@example.test", "Rita Works");
        acme.olivia.invite("rita@example.test", "member");
        rita.accept(&acme.link_for("rita@example.test")).expect(303);
        let rows = "sessions s JOIN accounts a ON a.id = s.account_id WHERE a.email_key = 'rita@example.test'";
        assert_eq!(acme.count(rows), 2);
        let urls = sign_out_urls(&rita);
        assert_eq!(urls.len(), 1);
        rita.get("/account/sessions").submit(&urls[0], &[]).expect(303).leads_to("/sign-in");
        assert_eq!(acme.count(rows), 0);
    }

    /// An ended session is no session: not listed when its time was up.
    fn sessions_whose_time_is_up_are_not_listed(kind) {
        let acme = Team::acme(kind);
        let _forgotten = browser(&acme, "olivia@example.test", FIREFOX);
        for _ in 0..2 {
            acme.advance(Duration::days(8));
            assert!(acme.olivia.is_signed_in());
            let now = acme.now();
            let noted = if acme.on_postgres() {
                format!("sessions WHERE CAST(extract(epoch FROM last_seen_at) * 1000000 AS BIGINT) = {now}")
            } else {
                format!("sessions WHERE last_seen_at = {now}")
            };
            acme.wait_until_noted(&noted);
        }
        acme.olivia.get("/account/sessions").expect(200).lacks("Firefox");
    }

    fn signing_out_everywhere_else_keeps_this_browser(kind) {
        let acme = Team::acme(kind);
        let others = [FIREFOX, IPHONE].map(|agent| browser(&acme, "olivia@example.test", agent));
        acme.olivia.get("/account/sessions").submit("/account/sessions/sign-out-all", &[]).expect(303)
            .leads_to("/account/sessions").follow().shows("Every other browser is signed out.").lacks("iPhone").lacks("Sign out all others");
        assert!(others.iter().all(|other| !other.is_signed_in()));
        assert!(acme.olivia.is_signed_in());
        assert!(acme.mia.is_signed_in());
    }

    /// Ending one's own session there is Sign out.
    fn ending_this_session_is_signing_out(kind) {
        let acme = Team::acme(kind);
        let copy = acme.olivia.copy();
        let urls = sign_out_urls(&acme.olivia);
        acme.olivia.get("/account/sessions").submit(&urls[0], &[]).expect(303).leads_to("/sign-in").follow().expect(200).shows("You are signed out.");
        assert!(!acme.olivia.is_signed_in());
        assert!(!copy.is_signed_in());
    }

    /// R-ACC-11: what is switched off still shows behind the bell.
    fn a_muted_kind_gives_no_letter(kind) {
        let acme = Team::acme(kind);
        let page = acme.mia.get("/account/notifications");
        page.expect(200).shows("My role changes").shows("Always on").lacks("no letters are sent");
        assert_eq!(page.body.matches(" checked").count(), 11);
        assert_eq!(page.body.matches("disabled").count(), 3);
        choose(&acme.mia, &["removed", "organization_deleted"]).expect(303).leads_to("/account/notifications").follow().shows("Saved.");
        assert_eq!(acme.mia.get("/account/notifications").body.matches(" checked").count(), 5);
        let id = acme.account_id("mia@example.test");
        let role = |before, after| {
            let url = format!("/orgs/acme/settings/team/members/{id}/role");
            acme.olivia.get("/").submit(&url, &[("before", before), ("role", after)]).expect(303);
        };
        role("member", "viewer");
        assert_eq!(acme.letters_to("mia@example.test").len(), 0);
        assert_eq!(acme.count("notifications WHERE kind = 'role_changed'"), 1);
        // And on again; the choice is Mia's alone.
        choose(&acme.mia, &["removed", "organization_deleted", "role_changed"]).expect(303);
        role("viewer", "member");
        assert_eq!(acme.letters_to("mia@example.test").len(), 1);
        choose(&acme.olivia, &[]).expect(303);
        role("member", "viewer");
        assert_eq!(acme.letters_to("mia@example.test").len(), 2);
        // Everything on: no row is left.
        assert_eq!(acme.count("muted_letters"), 5 + 8);
    }

    fn unknown_kinds_are_refused(kind) {
        let acme = Team::acme(kind);
        choose(&acme.mia, &["removed"]).expect(303);
        choose(&acme.mia, &["role_changed", "everything"]).expect(422).shows("Mail has a word that is no kind of notification");
        assert_eq!(acme.count("muted_letters"), 7);
        acme.visitor().get("/account/notifications").expect(303);
    }

    fn without_mail_the_page_says_so(kind) {
        let mut setup = Setup::default();
        setup.rules.mail_ready = false;
        let team = Team::with(kind, setup);
        let ada = team.sign_up("Ada", "ada@example.test", "Engines");
        ada.get("/account/notifications").expect(200).shows("no letters are sent");
        choose(&ada, &["removed"]).expect(303);
    }

    /// A browser that is not among the sessions: told by mail, with what it is and from where.
    fn a_new_browser_is_told_of(kind) {
        let acme = Team::acme(kind);
        let letters = || acme.letters_to("olivia@example.test");
        acme.visitor().sign_in("olivia@example.test").expect(303);
        assert_eq!(letters().len(), 0, "the same browser");
        let phone = browser(&acme, "olivia@example.test", IPHONE);
        let told = letters();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].subject, "A new browser signed in to your account");
        assert!(told[0].text.contains("Safari on iPhone, 127.0.0.1."), "{}", told[0].text);
        assert_eq!(acme.count("notifications WHERE kind = 'signed_in'"), 1);
        // Again, with the session still in the cookie and without: known by now.
        sign_in_with(&phone, "olivia@example.test", IPHONE).expect(303);
        browser(&acme, "olivia@example.test", IPHONE);
        assert_eq!(letters().len(), 1);
        // Other people's browsers make nothing known.
        browser(&acme, "mia@example.test", IPHONE);
        assert_eq!(acme.letters_to("mia@example.test").len(), 1);
        // Where there is no session to compare with, there is nothing to tell.
        acme.adam.sign_out();
        browser(&acme, "adam@example.test", FIREFOX);
        assert_eq!(acme.letters_to("adam@example.test").len(), 0);
        // Nor at sign-up.
        acme.sign_up("Ada", "ada@example.test", "Engines");
        assert_eq!(acme.letters_to("ada@example.test").len(), 0);
    }

    /// R-ORG-4: everything of the person goes; what they did stays, and the address is free.
    fn deleting_an_account_takes_the_person_out(kind) {
        let acme = Team::acme(kind);
        let id = acme.account_id("adam@example.test");
        let second = browser(&acme, "adam@example.test", FIREFOX);
        acme.adam.invite("boss@example.test", "admin");
        acme.adam.invite("noor@example.test", "member");
        let rita = acme.sign_up("Rita", "rita@example.test", "Rita Works");
        rita.try_invite_to("rita-works", "adam@example.test", "viewer", &[("link_only", "yes")]).expect(303);
        choose(&acme.adam, &[]).expect(303);

        acme.adam.get("/account/delete").expect(200).shows("Delete your account?").shows("You leave: Acme");
        delete_with(&acme.adam, "not the password").expect(422).shows("That is not your password.");
        assert!(acme.adam.is_signed_in());
        delete(&acme.adam).expect(303).leads_to("/sign-in").follow().expect(200).shows("Your account is deleted.");

        assert!(!acme.adam.is_signed_in());
        assert!(!second.is_signed_in());
        assert_eq!(acme.count("accounts WHERE email_key = 'adam@example.test'"), 0);
        assert_eq!(acme.count("accounts WHERE name = 'Deleted account' AND email LIKE 'deleted:%' AND verified_at IS NULL AND deleted_at IS NOT NULL"), 1);
        for table in ["sessions", "memberships", "notifications", "muted_letters", "proofs", "avatars"] {
            assert_eq!(acme.count(&format!("{table} t JOIN accounts a ON a.id = t.account_id WHERE a.deleted_at IS NOT NULL")), 0, "{table}");
        }
        assert_eq!(acme.count("audit_events WHERE verb = 'leave' AND before = 'admin' AND target = 'adam@example.test' AND actor = 'Adam Admin'"), 1);
        // R-INV-15
        assert_eq!(acme.count("invitations WHERE email_key = 'boss@example.test' AND state = 'revoked'"), 1);
        assert_eq!(acme.count("invitations WHERE email_key = 'noor@example.test' AND state = 'pending'"), 1);
        // Nobody signs in to it, by whatever name.
        let stranger = acme.visitor();
        stranger.sign_in("adam@example.test").expect(422).shows("Email or password is not right.");
        stranger.sign_in(&format!("deleted:{id}")).expect(422);
        // The address can be used anew, and is somebody else.
        assert_eq!(acme.count("invitations WHERE email_key = 'adam@example.test' AND state = 'pending'"), 1);
        let again = acme.sign_up("Adam Anew", "adam@example.test", "Fresh");
        assert_ne!(acme.account_id("adam@example.test"), id);
        again.get("/orgs/acme").expect(404);
    }

    /// The invitations of somebody who is gone: pages, letters and their joining go on without an address.
    fn what_they_sent_stays_readable(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite("noor@example.test", "member");
        delete(&acme.adam).expect(303);
        let letters = acme.letters_to("noor@example.test");
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].subject, "Deleted account invited you to join Acme");
        for text in [&letters[0].text, &letters[0].html] {
            assert!(!text.contains("deleted:"), "{text}");
            assert!(!text.contains("()"), "{text}");
        }
        assert!(!letters[0].raw.contains("Reply-To"), "{}", letters[0].raw);
        let url = acme.olivia.invitation_url("noor@example.test");
        for page in [url.as_str(), "/orgs/acme/settings/team/invitations", "/orgs/acme/settings/team/invitations?state=all"] {
            let page = acme.olivia.get(page);
            page.expect(200).shows("Deleted account").lacks("deleted:");
        }
        let link = acme.link_for("noor@example.test");
        acme.visitor().get(&link).expect(200).shows("Deleted account").lacks("deleted:");
        acme.visitor().join(&link, "Noor");
        acme.deliver();
        assert_eq!(acme.count("deliveries WHERE email_key LIKE 'deleted:%'"), 0);
    }

    /// R-ORG-4, R-ROLE-5: not while others would be left without an Owner; the page says where, and what to do.
    fn the_only_owner_of_others_cannot_go(kind) {
        let acme = Team::acme(kind);
        acme.olivia.get("/account/delete").expect(200).shows("You're the only owner of this organization")
            .shows_markup("href=\"/orgs/acme/transfer-ownership\"").shows_markup("aria-disabled=\"true\"").lacks("Password");
        delete(&acme.olivia).expect(409).shows("Acme").shows_markup("href=\"/orgs/acme/transfer-ownership\"");
        assert!(acme.olivia.is_signed_in());
        assert_eq!(acme.count("accounts WHERE deleted_at IS NOT NULL"), 0);
        transfer_to(&acme, &acme.olivia, "mia@example.test");
        delete(&acme.olivia).expect(303);
        assert_eq!(acme.count("organizations WHERE slug = 'acme' AND member_count = 3 AND deleted_at IS NULL"), 1);
    }

    /// One organization in the way keeps everything else as it is.
    fn a_refused_deletion_changes_nothing(kind) {
        let acme = Team::acme(kind);
        acme.mia.get("/").expect(200);
        transfer_to(&acme, &acme.olivia, "mia@example.test");
        let own = acme.sign_up("Ida", "ida@example.test", "Alone");
        let link = link_to(&own, "alone", "mia@example.test", "member");
        acme.mia.accept(&link).expect(303);
        delete(&acme.mia).expect(409);
        assert_eq!(acme.count("memberships m JOIN accounts a ON a.id = m.account_id WHERE a.email_key = 'mia@example.test'"), 2);
        assert_eq!(acme.count("audit_events WHERE verb = 'leave'"), 0);
    }

    /// Alone in an organization: it ends with the account, and what it had sent out.
    fn an_organization_of_nobody_else_ends_too(kind) {
        let team = Team::empty(kind);
        let ada = team.sign_up("Ada", "ada@example.test", "Engines");
        ada.try_invite_to("engines", "grace@example.test", "member", &[]).expect(303);
        let link = team.link_for("grace@example.test");
        team.advance(Duration::minutes(1));
        ada.get("/account/delete").expect(200).shows("It is deleted with your account").shows("Engines");
        delete(&ada).expect(303);
        assert_eq!(team.count("organizations WHERE deleted_at IS NOT NULL AND member_count = 0"), 1);
        assert_eq!(team.count("memberships"), 0);
        assert_eq!(team.count("audit_events WHERE verb = 'delete_organization'"), 1);
        assert_eq!(team.count("audit_events WHERE verb = 'revoke' AND after = 'organization_deleted'"), 1);
        team.visitor().get(&link).expect(410).shows("This invitation is no longer valid.");
    }

    /// R-ROLE-5: both Owners delete their accounts at once, and somebody else is there: one of them stays.
    fn two_owners_go_at_once(kind) {
        let team = Team::with(kind, generous());
        let twin = team.second();
        for round in 0..OWNERSHIP_ROUNDS {
            team.forget_letters();
            let elsewhere = if round.is_multiple_of(2) { team.address } else { twin.address };
            let (slug, [(ann, _), (bea, _)]) = trio(&team, round, "owner");
            let clicks = [ann, bea.at(elsewhere)].map(|person| Click::ready(person, "/", "/account/delete", &[("password", people_password())]));
            let answers = at_once(&clicks);
            assert_eq!((with_status(&answers, 303), with_status(&answers, 409)), (1, 1), "round {round}");
            assert_eq!(owners(&team, &slug), 1, "round {round}");
            if round.is_multiple_of(20) {
                team.check();
            }
        }
    }

    /// Whoever gets the organization at the moment they go: they keep it and stay, or go and do not get it.
    fn ownership_comes_as_the_account_goes(kind) {
        let team = Team::with(kind, generous());
        let twin = team.second();
        for round in 0..OWNERSHIP_ROUNDS {
            team.forget_letters();
            let elsewhere = if round.is_multiple_of(2) { team.address } else { twin.address };
            let (slug, [(ann, _), (bea, email)]) = trio(&team, round, "member");
            let id = team.account_id(&email);
            let fields = [("member", id.as_str()), ("slug", slug.as_str()), ("password", people_password())];
            let clicks = [
                Click::ready(ann, "/", &format!("/orgs/{slug}/transfer-ownership"), &fields),
                Click::ready(bea.at(elsewhere), "/", "/account/delete", &[("password", people_password())]),
            ];
            let answers = at_once(&clicks);
            assert_eq!(with_status(&answers, 303), 1, "round {round}: {} {}", answers[0].status, answers[1].status);
            assert_eq!(owners(&team, &slug), 1, "round {round}");
            if round.is_multiple_of(20) {
                team.check();
            }
        }
    }

    /// A sign-in and an acceptance that were on their way when the account went: neither brings it back.
    fn nothing_is_attached_to_an_account_that_goes(kind) {
        let team = Team::with(kind, generous());
        for round in 0..ROUNDS {
            let (slug, [(ann, _), (bea, email)]) = trio(&team, round, "member");
            let host = team.sign_up("Dora", &format!("dora{round}@example.test"), &format!("Dora {round}"));
            let other = format!("dora-{round}");
            let link = link_to(&host, &other, &email, "member");
            let clicks = [
                Click::ready(bea.copy(), "/", "/account/delete", &[("password", people_password())]),
                Click::ready(bea, &link, &format!("{link}/accept"), &[]),
                Click::ready(team.visitor(), "/sign-in", "/sign-in", &[("email", &email), ("password", people_password())]),
            ];
            at_once(&clicks)[0].expect(303);
            assert_eq!(owners(&team, &slug), 1, "round {round}");
            assert!(ann.is_signed_in());
            team.check();
        }
    }
}
