//! Members: change role, remove, leave, transfer ownership (R-ROLE-4 to R-ROLE-7, R-MEM-2, R-MEM-3, R-INV-15).

use crate::{
    on_both,
    support::{
        people::{Answer, Person},
        race::{Click, at_once, with_status},
        team::{Acme, Team, people_password},
    },
};

/// The address of a member's pages.
fn member(acme: &Acme, email: &str) -> String {
    format!(
        "/orgs/acme/settings/team/members/{}",
        acme.account_id(email)
    )
}

fn change_role<'a>(
    by: &'a Person,
    acme: &Acme,
    email: &str,
    before: &str,
    after: &str,
) -> Answer<'a> {
    let url = format!("{}/role", member(acme, email));
    by.get("/")
        .submit(&url, &[("before", before), ("role", after)])
}

fn remove<'a>(by: &'a Person, acme: &Acme, email: &str) -> Answer<'a> {
    let roles = ["owner", "admin", "viewer"];
    let role = roles
        .into_iter()
        .find(|role| role_of(acme, email, role) == 1);
    remove_as(by, acme, email, role.unwrap_or("member"))
}

fn remove_as<'a>(by: &'a Person, acme: &Acme, email: &str, before: &str) -> Answer<'a> {
    let url = format!("{}/remove", member(acme, email));
    by.get("/").submit(&url, &[("before", before)])
}

fn leave(who: &Person) -> Answer<'_> {
    who.get("/").submit("/orgs/acme/leave", &[])
}

fn transfer<'a>(
    by: &'a Person,
    acme: &Acme,
    email: &str,
    slug: &str,
    password: &str,
) -> Answer<'a> {
    by.get("/").submit(
        "/orgs/acme/transfer-ownership",
        &[
            ("member", &acme.account_id(email)),
            ("slug", slug),
            ("password", password),
        ],
    )
}

fn role_of(acme: &Acme, email: &str, role: &str) -> i64 {
    acme.count(&format!(
        "memberships m JOIN accounts a ON a.id = m.account_id JOIN organizations o ON o.id = m.organization_id \
         WHERE o.slug = 'acme' AND a.email_key = '{email}' AND m.role = '{role}'"
    ))
}

/// Makes Adam a second Owner.
fn two_owners(acme: &Acme) {
    change_role(&acme.olivia, acme, "adam@example.test", "admin", "owner").expect(303);
}

on_both! {
    /// R-ROLE-6: choose, confirm, done; the new role counts at the very next request; told in the app and by mail.
    fn a_role_change_counts_at_once(kind) {
        let acme = Team::acme(kind);
        let url = format!("{}/role", member(&acme, "mia@example.test"));
        acme.olivia.get(&url).expect(200).shows("Change the role of Mia Member").shows("Continue");
        acme.olivia.get(&format!("{url}?role=admin")).expect(200)
            .shows("Change Mia Member to Admin?").shows("From Member to Admin.").shows("This takes effect immediately and we'll email Mia Member.");
        assert_eq!(role_of(&acme, "mia@example.test", "member"), 1);
        acme.mia.get("/orgs/acme/settings/team/invite").expect(403);
        change_role(&acme.olivia, &acme, "mia@example.test", "member", "admin").expect(303).leads_to("/orgs/acme/settings/team")
            .follow().shows("Mia Member is Admin now.");
        acme.mia.get("/orgs/acme/settings/team/invite").expect(200);
        let told = acme.letters_to("mia@example.test");
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].subject, "Olivia Owner changed your role in Acme to Admin");
        assert!(told[0].text.contains("From Member to Admin."), "{}", told[0].text);
        assert_eq!(acme.count("notifications WHERE kind = 'role_changed'"), 1);
        assert_eq!(acme.count("audit_events WHERE verb = 'change_role' AND before = 'member' AND after = 'admin' AND target = 'mia@example.test'"), 1);
        // The second click of a double click changes nothing and says the same.
        change_role(&acme.olivia, &acme, "mia@example.test", "member", "admin").expect(303);
        assert_eq!(acme.count("audit_events WHERE verb = 'change_role'"), 1);
    }

    /// R-ROLE-6: a form made before somebody else changed the row says what changed, and who did it.
    fn a_stale_form_is_refused(kind) {
        let acme = Team::acme(kind);
        change_role(&acme.adam, &acme, "mia@example.test", "member", "viewer").expect(303);
        change_role(&acme.olivia, &acme, "mia@example.test", "member", "admin").expect(409)
            .shows("Adam Admin changed the role to Viewer.");
        assert_eq!(role_of(&acme, "mia@example.test", "viewer"), 1);
    }

    /// R-ROLE-6: a removal that was confirmed before the role changed is refused too, and says so; whoever may no longer
    /// change a member because they became Owner learns that first.
    fn a_stale_removal_is_refused(kind) {
        let acme = Team::acme(kind);
        change_role(&acme.olivia, &acme, "mia@example.test", "member", "owner").expect(303);
        remove_as(&acme.olivia, &acme, "mia@example.test", "member").expect(409).shows("Olivia Owner changed the role to Owner.");
        change_role(&acme.adam, &acme, "mia@example.test", "member", "viewer").expect(409).shows("Olivia Owner changed the role to Owner.");
        change_role(&acme.adam, &acme, "mia@example.test", "owner", "viewer").expect(403);
        // Who became Owner by a transfer: the one who handed over is named.
        transfer(&acme.olivia, &acme, "vic@example.test", "acme", people_password()).expect(303);
        remove_as(&acme.mia, &acme, "vic@example.test", "viewer").expect(409).shows("Olivia Owner changed the role to Owner.");
        assert_eq!(acme.count("audit_events WHERE verb = 'change_role' AND target = 'olivia@example.test' AND before = 'owner' AND after = 'admin'"), 1);
        assert_eq!(role_of(&acme, "vic@example.test", "owner"), 1);
    }

    /// R-MEM-3, R-ORG-2: two organizations left at the same moment: a personal one remains.
    fn the_last_two_left_at_once(kind) {
        let acme = Team::acme(kind);
        for round in 0..10 {
            acme.advance(time::Duration::minutes(16));
            let email = format!("two{round}@example.test");
            let both = acme.sign_up("Two Places", &email, &format!("Works {round}"));
            // An Owner who can go: somebody else owns it too.
            let slug = format!("works-{round}");
            let form = format!("/orgs/{slug}/settings/team/invite");
            both.get(&form).submit(&form, &[("emails", "olivia@example.test"), ("role", "admin")]).expect(303);
            acme.olivia.accept(&acme.link_for("olivia@example.test")).expect(303);
            let url = format!("/orgs/{slug}/settings/team/members/{}/role", acme.account_id("olivia@example.test"));
            both.get("/").submit(&url, &[("before", "admin"), ("role", "owner")]).expect(303);
            acme.adam.invite(&email, "member");
            both.accept(&acme.link_for(&email)).expect(303);
            let clicks = ["acme", &slug].map(|org| Click::ready(both.copy(), "/", &format!("/orgs/{org}/leave"), &[]));
            let answers = at_once(&clicks);
            assert_eq!(with_status(&answers, 303), 2);
            let left = format!("memberships m JOIN accounts a ON a.id = m.account_id WHERE a.email_key = '{email}'");
            assert_eq!(acme.count(&left), 1, "a personal organization");
            acme.forget_letters();
        }
    }

    /// R-ROLE-2: who may change whom, in pages and in posts.
    fn only_owners_touch_owners(kind) {
        let acme = Team::acme(kind);
        two_owners(&acme);
        for (by, status) in [(&acme.mia, 403), (&acme.vic, 403)] {
            change_role(by, &acme, "adam@example.test", "owner", "viewer").expect(status);
            remove(by, &acme, "adam@example.test").expect(status);
            by.get(&format!("{}/remove", member(&acme, "adam@example.test"))).expect(status);
        }
        change_role(&acme.olivia, &acme, "mia@example.test", "member", "admin").expect(303);
        change_role(&acme.mia, &acme, "adam@example.test", "owner", "viewer").expect(403).shows("Only owners can");
        change_role(&acme.mia, &acme, "vic@example.test", "viewer", "owner").expect(403);
        remove(&acme.mia, &acme, "adam@example.test").expect(403);
        change_role(&acme.mia, &acme, "vic@example.test", "viewer", "member").expect(303);
        // An Admin's list offers no menu for an Owner, an Owner's does.
        let address = member(&acme, "adam@example.test");
        acme.mia.get("/orgs/acme/settings/team").expect(200).lacks(&address);
        acme.olivia.get("/orgs/acme/settings/team").expect(200).shows_markup(&address);
    }

    /// R-ROLE-4: nobody changes their own role or removes themselves, co-owners and old forms included.
    fn nobody_changes_themselves(kind) {
        let acme = Team::acme(kind);
        two_owners(&acme);
        for (who, email, role) in [(&acme.olivia, "olivia@example.test", "owner"), (&acme.adam, "adam@example.test", "owner")] {
            for to in ["owner", "admin", "member", "viewer"] {
                change_role(who, &acme, email, role, to).expect(409).shows("Nobody changes their own role");
            }
            remove(who, &acme, email).expect(409);
            who.get(&format!("{}/role", member(&acme, email))).expect(409);
            who.get(&format!("{}/remove", member(&acme, email))).expect(409);
        }
        acme.olivia.get("/orgs/acme/settings/team").expect(200).shows("Nobody changes their own role.").shows("Leave Organization");
        assert_eq!(acme.count("audit_events WHERE verb = 'change_role'"), 1);
    }

    /// R-MEM-2: access ends at the next request, on every session; told by mail; can be invited again; history stays.
    fn removing_ends_access_at_once(kind) {
        let acme = Team::acme(kind);
        let phone = acme.visitor();
        phone.sign_in("mia@example.test").expect(303);
        acme.olivia.get(&format!("{}/remove", member(&acme, "mia@example.test"))).expect(200)
            .shows("Remove Mia Member from Acme?").shows("They lose access to Acme immediately and are signed out.");
        remove(&acme.adam, &acme, "mia@example.test").expect(303).follow().shows("Mia Member is removed.");
        for browser in [&acme.mia, &phone] {
            assert!(!browser.is_signed_in());
            browser.get("/orgs/acme").expect(303).leads_to("/sign-in?next=%2Forgs%2Facme");
        }
        assert_eq!(acme.count("sessions s JOIN accounts a ON a.id = s.account_id WHERE a.email_key = 'mia@example.test'"), 0);
        phone.sign_in("mia@example.test").expect(303);
        phone.get("/orgs/acme").expect(404);
        assert_eq!(acme.letters_to("mia@example.test").last().expect("a letter").subject, "Adam Admin removed you from Acme");
        assert_eq!(acme.count("audit_events WHERE verb = 'remove' AND target = 'mia@example.test' AND before = 'member'"), 1);
        assert_eq!(acme.count("audit_events WHERE verb = 'accept' AND target = 'mia@example.test'"), 1);
        remove(&acme.adam, &acme, "mia@example.test").expect(404);
        acme.advance(time::Duration::minutes(2));
        acme.adam.invite("mia@example.test", "viewer");
        phone.accept(&acme.link_for("mia@example.test")).expect(303);
        assert_eq!(role_of(&acme, "mia@example.test", "viewer"), 1);
    }

    /// R-MEM-3, R-ORG-2: leaving leads to another organization; after the last one to a personal one.
    fn leaving(kind) {
        let acme = Team::acme(kind);
        acme.mia.get("/orgs/acme/leave").expect(200).shows("Leave Acme?").shows("It is your last organization");
        leave(&acme.mia).expect(303).leads_to("/orgs/mia-members-organization").follow().expect(200)
            .shows("You left Acme. This is an organization of your own.");
        acme.mia.get("/orgs/acme").expect(404);
        assert_eq!(acme.count("audit_events WHERE verb = 'leave' AND before = 'member' AND target = 'mia@example.test'"), 1);
        assert_eq!(acme.count("organizations WHERE name = 'Mia Member''s organization' AND member_count = 1"), 1);
        leave(&acme.mia).expect(404);

        acme.advance(time::Duration::minutes(2));
        acme.adam.invite("mia@example.test", "viewer");
        acme.mia.accept(&acme.link_for("mia@example.test")).expect(303);
        leave(&acme.mia).expect(303).follow().shows("You left Acme. You're in Mia Member's organization now.");
        assert_eq!(acme.count("organizations"), 2);
    }

    /// R-MEM-3, R-ROLE-5: the only Owner is refused and shown Transfer; one of two may go.
    fn the_only_owner_stays(kind) {
        let acme = Team::acme(kind);
        acme.olivia.get("/orgs/acme/leave").expect(200).lacks("Leave Organization")
            .shows("You're the only owner of Acme. Transfer ownership before you leave.").shows_markup("/orgs/acme/transfer-ownership");
        leave(&acme.olivia).expect(409).shows("Transfer ownership before you leave.");
        assert_eq!(role_of(&acme, "olivia@example.test", "owner"), 1);
        two_owners(&acme);
        leave(&acme.olivia).expect(303);
        leave(&acme.adam).expect(409);
    }

    /// R-ROLE-7: to a current member, with slug and password; one transaction; both are told.
    fn transferring_ownership(kind) {
        let acme = Team::acme(kind);
        let password = people_password();
        acme.olivia.get("/orgs/acme/transfer-ownership").expect(200).shows("Adam Admin").shows("Vic Viewer").lacks("Olivia Owner Owner");
        acme.olivia.get("/orgs/acme/transfer-ownership?q=mi").expect(200).shows("Mia Member").lacks("Vic Viewer");
        for by in [&acme.adam, &acme.mia, &acme.vic] {
            by.get("/orgs/acme/transfer-ownership").expect(403);
            transfer(by, &acme, "mia@example.test", "acme", password).expect(403);
        }
        transfer(&acme.olivia, &acme, "mia@example.test", "acme", "wrong password 1").expect(422).shows("That is not your password.");
        transfer(&acme.olivia, &acme, "mia@example.test", "acne", password).expect(422).shows("That is not the name in the organization's address.");
        transfer(&acme.olivia, &acme, "olivia@example.test", "acme", password).expect(409);
        acme.olivia.get("/").submit("/orgs/acme/transfer-ownership", &[("slug", "acme"), ("password", password)]).expect(422).shows("Choose a member.");
        assert_eq!(acme.count("audit_events WHERE verb = 'transfer_ownership'"), 0);

        transfer(&acme.olivia, &acme, "mia@example.test", "acme", password).expect(303).leads_to("/orgs/acme").follow()
            .shows("Mia Member is Owner now, and you are Admin.");
        assert_eq!((role_of(&acme, "mia@example.test", "owner"), role_of(&acme, "olivia@example.test", "admin")), (1, 1));
        assert_eq!(acme.count("audit_events WHERE verb = 'transfer_ownership' AND target = 'mia@example.test' AND before = 'member' AND after = 'owner'"), 1);
        for (email, line) in [("mia@example.test", "You are Owner there now."), ("olivia@example.test", "You are Admin there now.")] {
            let told = acme.letters_to(email);
            assert_eq!((told.len(), told[0].subject.as_str()), (1, "Olivia Owner transferred ownership of Acme to Mia Member"));
            assert!(told[0].text.contains(line), "{}", told[0].text);
        }
        transfer(&acme.olivia, &acme, "vic@example.test", "acme", password).expect(403);
    }

    /// R-ROLE-7: only to somebody who is a member at that moment; nothing is half done.
    fn ownership_goes_to_members_only(kind) {
        let acme = Team::acme(kind);
        let stranger = acme.account_id("mia@example.test");
        remove(&acme.adam, &acme, "mia@example.test").expect(303);
        acme.olivia.get("/").submit("/orgs/acme/transfer-ownership", &[("member", &stranger), ("slug", "acme"), ("password", people_password())])
            .expect(422).shows("They are not a member any more.");
        assert_eq!(role_of(&acme, "olivia@example.test", "owner"), 1);
    }

    /// R-INV-15: Admin invitations end with their inviter's power; Member and Viewer ones stand.
    fn admin_invitations_end_with_their_inviter(kind) {
        let ways: [fn(&Acme); 3] = [
            |acme| _ = change_role(&acme.olivia, acme, "adam@example.test", "admin", "member").expect(303),
            |acme| _ = remove(&acme.olivia, acme, "adam@example.test").expect(303),
            |acme| _ = leave(&acme.adam).expect(303),
        ];
        for way in ways {
            let acme = Team::acme(kind);
            acme.adam.invite("noor@example.test", "admin");
            acme.adam.invite("rex@example.test", "member");
            acme.olivia.invite("ann@example.test", "admin");
            let link = acme.link_for("noor@example.test");
            way(&acme);
            acme.visitor().get(&link).expect(410).shows("This invitation is no longer valid.");
            assert_eq!(acme.count("invitations WHERE state = 'revoked' AND email_key = 'noor@example.test'"), 1);
            assert_eq!(acme.count("invitations WHERE state = 'pending' AND email_key IN ('rex@example.test', 'ann@example.test')"), 2);
            assert_eq!(acme.count("audit_events WHERE verb = 'revoke' AND after = 'inviter_demoted_or_gone'"), 1);
        }
        // Still an Admin, or more: nothing ends.
        let acme = Team::acme(kind);
        acme.adam.invite("noor@example.test", "admin");
        two_owners(&acme);
        change_role(&acme.olivia, &acme, "adam@example.test", "owner", "admin").expect(303);
        assert_eq!(acme.count("invitations WHERE state = 'pending'"), 1);
    }

    /// A form that was tampered with names its field; an id of nobody is nobody.
    fn bad_input_is_answered(kind) {
        let acme = Team::acme(kind);
        change_role(&acme.olivia, &acme, "mia@example.test", "member", "king").expect(422).shows("Role: there is no role");
        acme.olivia.get(&format!("{}/role?role=king", member(&acme, "mia@example.test"))).expect(422).shows("Choose one of the roles.");
        for id in ["x", "00000000-0000-0000-0000-000000000000", "%00"] {
            let url = format!("/orgs/acme/settings/team/members/{id}");
            acme.olivia.get(&format!("{url}/role")).expect(404);
            acme.olivia.get("/").submit(&format!("{url}/remove"), &[("before", "member")]).expect(404);
        }
    }
}
