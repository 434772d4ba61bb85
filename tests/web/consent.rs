//! Legal documents: who has to accept what, when, and what happens until then (R-ACC-9).

use crate::{
    on_both,
    support::{
        consenting::{PRIVACY, legal, ticked, with_legal},
        people::Person,
        routes::FORMS,
        rows::ACTIVITY,
        team::{Acme, Team, people_password},
    },
};
use roster::web::ROUTES;

const NOOR: &str = "noor@example.test";
const UNTICKED: &str = "Tick “I accept” to go on.";

/// Which documents and versions `email` has accepted by now.
fn accepted(team: &Team, email: &str) -> i64 {
    let now = team.now();
    let kept = format!("c.account_id = a.id AND a.email_key = '{email}'");
    let all = team.count(&format!("consents c JOIN accounts a ON {kept}"));
    if all > 0 {
        let last =
            format!("consents c JOIN accounts a ON {kept} ORDER BY c.accepted_at DESC LIMIT 1");
        assert!(team.moment("c.accepted_at", &last) <= now);
    }
    all
}

fn pending(team: &Team) -> i64 {
    team.count("invitations WHERE state = 'pending'")
}

/// Acme as it was before there was any document, and Noor invited; then the operator asks for consent.
fn acme_before_and_after(kind: crate::support::database::Kind) -> (Acme, Team, String) {
    let acme = Team::acme(kind);
    acme.adam.invite(NOOR, "member");
    let link = acme.link_for(NOOR);
    let after = acme.restarted(|setup| setup.rules.legal = legal("3"));
    (acme, after, link)
}

/// Signs in where consent is due.
fn due(team: &Team, email: &str) -> Person {
    let person = team.visitor();
    person.sign_in(email).expect(303).leads_to("/");
    person
}

on_both! {
    /// Signing up needs the current versions: without them 422 at the field, and nothing is made.
    fn signing_up_needs_consent(kind) {
        let team = Team::with(kind, with_legal("3"));
        let visitor = team.visitor();
        visitor.get("/sign-up").expect(200)
            .shows("I accept the Terms (version 3) and Privacy notice (version 2026-01)");
        let (older, right) = (ticked("2"), ticked("3"));
        for given in [&[][..], &[("consent", "")], &[("consent", "yes")], &[("consent", "Terms|3")], &[("consent", &*older)]] {
            let mut fields = vec![("name", "Olivia Owner"), ("email", "olivia@example.test"), ("password", people_password()), ("organization", "Acme")];
            fields.extend_from_slice(given);
            let page = visitor.get("/sign-up").submit("/sign-up", &fields);
            page.expect(422).shows(UNTICKED);
            assert!(page.body.contains("<title>Error: ") && page.body.contains("href=\"#f-consent\""));
            assert!(page.body.contains("value=\"Olivia Owner\""), "what was entered is still there");
        }
        assert_eq!((team.count("accounts"), team.count("organizations"), team.count("consents")), (0, 0, 0));
        let fields = [("name", "Olivia Owner"), ("email", "olivia@example.test"), ("password", people_password()), ("organization", "Acme"), ("consent", &right)];
        visitor.get("/sign-up").submit("/sign-up", &fields).expect(303).leads_to("/orgs/acme").follow().expect(200);
        assert_eq!(accepted(&team, "olivia@example.test"), 2);
        assert_eq!(team.count("consents WHERE document = 'Terms' AND version = '3'"), 1);
        assert_eq!(team.moment("accepted_at", "consents WHERE document = 'Terms'"), team.now());
        // Signing in again asks nothing.
        let again = team.visitor();
        again.sign_in("olivia@example.test").expect(303);
        again.get("/").expect(200);
    }

    /// **Create account and join** needs them too: without them nothing is consumed.
    fn creating_an_account_and_joining_needs_consent(kind) {
        let (acme, after, link) = acme_before_and_after(kind);
        let noor = after.visitor();
        noor.get(&link).expect(200).shows("I accept the Terms (version 3) and Privacy notice (version 2026-01)");
        let url = format!("{link}/sign-up");
        let (older, right) = (ticked("2"), ticked("3"));
        for given in [&[][..], &[("consent", &*older)]] {
            let mut fields = vec![("name", "Noor New"), ("password", people_password())];
            fields.extend_from_slice(given);
            let page = noor.get(&link).submit(&url, &fields);
            page.expect(422).shows(UNTICKED);
            assert!(page.body.contains("href=\"#up-consent\"") && page.body.contains("value=\"Noor New\""));
        }
        assert_eq!((pending(&acme), acme.count("accounts"), acme.count("consents")), (1, 4, 0));
        let fields = [("name", "Noor New"), ("password", people_password()), ("consent", &right)];
        noor.get(&link).submit(&url, &fields).expect(303).leads_to("/orgs/acme").follow().expect(200).shows("You're in.");
        assert_eq!((pending(&acme), accepted(&acme, NOOR)), (0, 2));
    }

    /// Accepting with an account that has not accepted a current version: the page asks, and only then they join.
    fn accepting_asks_for_what_is_missing(kind) {
        let (acme, after, link) = acme_before_and_after(kind);
        let noor = acme.sign_up("Noor New", NOOR, "Elsewhere").at(after.address);
        let page = noor.get(&link);
        page.expect(200).shows("Adam Admin invited you to join Acme").shows("Continue").shows("Reject")
            .shows("Before you join, please accept the updated Terms (version 3) and Privacy notice (version 2026-01).");
        assert!(!page.body.contains(">Accept<"));
        assert!(page.body.contains("https://example.test/terms") && page.body.contains("/legal/privacy-notice"));
        let url = format!("{link}/accept");
        let (older, right) = (ticked("2"), ticked("3"));
        page.submit(&url, &[]).expect(422).shows(UNTICKED).shows("Before you join, please accept the updated Terms (version 3)");
        page.submit(&url, &[("consent", &older)]).expect(422);
        assert_eq!((pending(&acme), acme.count("consents")), (1, 0));
        assert_eq!(acme.count("memberships"), 5);
        page.submit(&url, &[("consent", &right)]).expect(303).leads_to("/orgs/acme");
        assert_eq!((pending(&acme), accepted(&acme, NOOR)), (0, 2));
        // Once is enough: the next invitation asks nothing.
        let beta = after.visitor();
        beta.get("/sign-up").submit("/sign-up", &[("name", "Bea Beta"), ("email", "bea@example.test"), ("password", people_password()),
            ("organization", "Beta"), ("consent", &right)]).expect(303);
        beta.try_invite_to("beta", NOOR, "member", &[]).expect(303);
        let link = after.link_for(NOOR);
        let page = noor.get(&link);
        page.expect(200).lacks("Before you join");
        page.submit(&format!("{link}/accept"), &[]).expect(303).leads_to("/orgs/beta");
    }

    /// What is accepted is what was shown: when a newer version came meanwhile the form comes again.
    fn a_version_that_came_meanwhile_is_shown(kind) {
        let (acme, after, link) = acme_before_and_after(kind);
        let noor = acme.sign_up("Noor New", NOOR, "Elsewhere").at(after.address);
        let shown = noor.get(&link).shows("Terms (version 3)").csrf();
        let later = acme.restarted(|setup| setup.rules.legal = legal("4"));
        let noor = noor.at(later.address);
        let old = ticked("3");
        let page = noor.post(&format!("{link}/accept"), &[("csrf", &shown), ("consent", &old)]);
        page.expect(422).shows("Terms (version 4)");
        assert_eq!((pending(&acme), acme.count("consents")), (1, 0));
        let new = ticked("4");
        page.submit(&format!("{link}/accept"), &[("consent", &new)]).expect(303);
        assert_eq!(acme.count("consents WHERE version = '4'"), 1);
        // Of the next version only what is new is asked for.
        let next = acme.restarted(|setup| setup.rules.legal = legal("5"));
        let noor = due(&next, NOOR);
        noor.get("/consent").expect(200).shows("Terms (version 5)").lacks("Privacy notice");
        noor.get("/consent").submit("/consent", &[("consent", &new)]).expect(422).shows(UNTICKED);
        noor.get("/consent").submit("/consent", &[("consent", "Terms|5")]).expect(303).leads_to("/");
        assert_eq!(accepted(&acme, NOOR), 3);
    }

    /// After signing in with something to accept, everything leads there first; then it goes on where they wanted to.
    fn signing_in_asks_first(kind) {
        let (acme, after, _) = acme_before_and_after(kind);
        // Sessions that are open go on: it is asked at the next join or sign-in.
        acme.adam.at(after.address).get("/orgs/acme/settings/team").expect(200);
        let adam = due(&after, "adam@example.test");
        adam.get("/").expect(303).leads_to("/consent");
        adam.get("/orgs/acme?x=1").expect(303).leads_to("/consent?next=%2Forgs%2Facme%3Fx%3D1");
        assert_eq!(adam.head("/orgs/acme").status, 303);
        let page = adam.get("/consent?next=%2Forgs%2Facme%3Fx%3D1");
        page.expect(200).shows("Before you go on").lacks("Mia");
        // A form of before, or one that is made up, does nothing.
        let rows = acme.dump(&ACTIVITY);
        page.submit("/orgs/acme/settings/team/invite", &[("emails", "eve@example.test"), ("role", "admin"), ("from", "page"), ("then", "send")])
            .expect(303).leads_to("/consent");
        assert_eq!(acme.dump(&ACTIVITY), rows);
        let form = format!("csrf={}", page.csrf());
        let url = format!("{}/link", acme.adam.invitation_url(NOOR));
        let answer = adam.ask("POST", &url, &[("accept", "application/json")], Some(&form));
        answer.expect(403);
        assert!(answer.body.contains("consent_missing"), "{}", answer.body);
        // The documents can be read, and leaving is always possible.
        adam.get("/legal/privacy-notice").expect(200).shows("We keep little.");
        let other = due(&after, "adam@example.test");
        other.get("/consent").submit("/sign-out", &[]).expect(303).leads_to("/sign-in");
        other.get("/").expect(303).leads_to("/sign-in");

        let next = "/orgs/acme?x=1";
        page.submit("/consent", &[("next", next)]).expect(422).shows(UNTICKED);
        let (older, right) = (ticked("2"), ticked("3"));
        page.submit("/consent", &[("next", next), ("consent", &older)]).expect(422);
        adam.get("/").expect(303).leads_to("/consent");
        assert_eq!(acme.count("consents"), 0);
        let another = due(&after, "adam@example.test");
        page.submit("/consent", &[("next", next), ("consent", &right)]).expect(303).leads_to(next);
        assert_eq!(accepted(&acme, "adam@example.test"), 2);
        adam.get("/").expect(200);
        another.get("/").expect(200);
        adam.get("/consent").expect(303).leads_to("/");
        adam.get("/").submit("/consent", &[("next", "//evil.test"), ("consent", &right)]).expect(303).leads_to("/");
        assert_eq!(accepted(&acme, "adam@example.test"), 2);
        after.visitor().get("/consent").expect(303).leads_to("/sign-in?next=%2Fconsent");
    }

    /// The door is one: no route of a session that waits for a consent reads or does anything.
    fn no_route_goes_around_the_consent(kind) {
        let (acme, after, link) = acme_before_and_after(kind);
        let adam = due(&after, "adam@example.test");
        let open = ["/consent", "/legal/", "/sign-out", "/static/", "/favicon.ico", "/livez", "/readyz", "/metrics", "/api/"];
        let csrf = adam.get("/consent").csrf();
        let id = acme.adam.invitation_url(NOOR);
        let (id, token) = (id.rsplit('/').next().expect("an id"), link.rsplit('/').next().expect("a token"));
        let rows = acme.dump(&ACTIVITY);
        let mut asked = 0;
        for (method, pattern) in ROUTES.iter().filter(|(_, pattern)| !open.iter().any(|start| pattern.starts_with(start))) {
            let path: Vec<&str> = pattern.split('/').map(|part| match part {
                "{org}" => "acme",
                "{token}" => token,
                part if part.starts_with('{') => id,
                part => part,
            }).collect();
            let path = path.join("/");
            if *method == "GET" {
                let answer = adam.get(&path);
                answer.expect(303);
                assert!(answer.location.as_deref().is_some_and(|url| url.starts_with("/consent")), "{path} → {:?}", answer.location);
            } else {
                let mut fields = vec![("csrf", csrf.as_str())];
                fields.extend(FORMS.iter().filter(|(known, _)| known == pattern).flat_map(|(_, fields)| fields.iter().copied()));
                let answer = adam.post(&path, &fields);
                // A form that cannot be read is refused before anybody asks whose it is.
                assert!(answer.location.as_deref() == Some("/consent") || [415, 422].contains(&answer.status), "{path}: {}", answer.status);
            }
            asked += 1;
        }
        assert!(asked > 20, "{asked}");
        assert_eq!(acme.dump(&ACTIVITY), rows);
    }

    /// The documents are for everybody; what is unknown is not there.
    fn documents_are_public(kind) {
        let acme = Team::acme(kind).restarted(|setup| setup.rules.legal = legal("3"));
        let page = acme.visitor();
        let page = page.get("/legal/privacy-notice");
        page.expect(200).shows("Privacy notice").shows("Version 2026-01").shows("And <b>that</b>");
        assert!(page.body.contains(&PRIVACY.replace('<', "&#60;").replace('>', "&#62;")));
        acme.visitor().get("/legal/terms").expect(303).leads_to("https://example.test/terms");
        for nothing in ["/legal/imprint", "/legal/Privacy%20notice", "/legal/..%2Fprivacy-notice"] {
            acme.visitor().get(nothing).expect(404);
        }
    }

    /// Documents that the operator takes back ask nothing any more.
    fn documents_that_are_taken_back(kind) {
        let (acme, after, link) = acme_before_and_after(kind);
        let adam = due(&after, "adam@example.test");
        adam.get("/").expect(303);
        let adam = adam.at(acme.address);
        adam.get("/consent").expect(200).shows("Everything is accepted already.").submit("/consent", &[]).expect(303).leads_to("/");
        adam.get("/").expect(200);
        acme.visitor().join(&link, "Noor New");
        assert_eq!(acme.count("consents"), 0);
    }
}
