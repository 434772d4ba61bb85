//! Inviting, from the organization's side: form, letter, link, list, limits.

use crate::{
    on_both,
    support::{
        people::{Person, encode},
        team::{Acme, Setup, Team, people_password},
    },
};
use roster::mail::transport::Transport;
use time::{Duration, ext::NumericalDuration as _};

const NOOR: &str = "noor@example.test";
const LIST: &str = "/orgs/acme/settings/team/invitations";

/// Tests start at nine in the morning; quotas begin anew at midnight.
const UNTIL_MIDNIGHT: u64 = 15 * 3600;

fn pending(acme: &Acme, email: &str) -> i64 {
    acme.count(&format!(
        "invitations WHERE state = 'pending' AND email_key = '{email}'"
    ))
}

fn invitations(acme: &Acme, email: &str) -> i64 {
    acme.count(&format!("invitations WHERE email_key = '{email}'"))
}

fn events(acme: &Acme, verb: &str, email: &str) -> i64 {
    acme.count(&format!(
        "audit_events WHERE verb = '{verb}' AND target = '{email}'"
    ))
}

fn expiry(acme: &Acme, email: &str) -> i64 {
    acme.moment(
        "expires_at",
        &format!("invitations WHERE state = 'pending' AND email_key = '{email}'"),
    )
}

/// Acme with small limits. Olivia has sent three mails when a test begins.
fn acme_with_limits(
    kind: crate::support::database::Kind,
    change: impl Fn(&mut roster::domain::quota::MailLimits),
) -> Acme {
    let mut setup = Setup::default();
    change(&mut setup.rules.mail);
    Team::acme_with(kind, setup)
}

fn without_mail() -> Setup {
    let mut setup = Setup {
        transport: Transport::None,
        ..Setup::default()
    };
    setup.rules.mail_ready = false;
    setup
}

/// The value of a header of a letter, unfolded. Fails when the letter has it twice.
fn header_of(raw: &str, name: &str) -> String {
    let head = raw.split("\r\n\r\n").next().expect("headers");
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let start = format!("{}:", name.to_lowercase());
    let mut values = unfolded
        .lines()
        .filter(|line| line.to_lowercase().starts_with(&start));
    let value = values
        .next()
        .unwrap_or_else(|| panic!("no {name} in:\n{head}"));
    assert!(values.next().is_none(), "two of {name} in:\n{head}");
    value[start.len()..].trim().to_owned()
}

/// Walks a list by its pager, forwards to the end and back to the start, and answers what each way showed.
fn walk(person: &Person, start: &str) -> (Vec<String>, Vec<String>) {
    let (mut there, mut url) = (Vec::new(), start.to_owned());
    loop {
        let page = person.get(&url);
        page.expect(200);
        there.push(page.listed());
        assert!(there.len() < 20, "the pager goes round");
        match page.urls_containing("after=").pop() {
            Some(next) => url = next,
            None => break,
        }
    }
    let mut back = vec![person.get(&url).listed()];
    while let Some(previous) = person.get(&url).urls_containing("before=").pop() {
        url = previous;
        back.insert(0, person.get(&url).listed());
        assert!(back.len() < 20, "the pager goes round");
    }
    (there.concat(), back.concat())
}

on_both! {
    /// The whole way, as a newcomer walks it.
    fn invite_letter_accept(kind) {
        let acme = Team::acme(kind);
        acme.adam.try_invite("noor@example.test", "member").expect(303).leads_to("/orgs/acme/settings/team/invitations");
        acme.adam.get("/orgs/acme/settings/team/invitations").shows("Invited 1 person.").shows("noor@example.test").shows("Pending");

        let letters = acme.letters_to("noor@example.test");
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].subject, "Adam Admin invited you to join Acme");
        acme.adam.get("/orgs/acme/settings/team/invitations").shows("Sent");

        let link = acme.link_for("noor@example.test");
        let noor = acme.visitor();
        noor.get(&link).expect(200).shows("Adam Admin invited you to join Acme").shows("noor@example.test");
        noor.try_join(&link, "Noor New").expect(303).leads_to("/orgs/acme").follow()
            .shows("You're in. Welcome to Acme. You joined as Member.");

        acme.olivia.get("/orgs/acme/settings/team").shows("Noor New").shows("5 members");
        acme.adam.get("/orgs/acme/settings/team/invitations?state=accepted").shows("noor@example.test");
    }

    /// R-INV-1: Owner cannot be expressed, by an Owner either, when inviting and when editing.
    fn nobody_is_invited_as_owner(kind) {
        let acme = Team::acme(kind);
        for role in ["owner", "Owner", "OWNER", "", "root", "member,owner"] {
            acme.olivia.try_invite(NOOR, role).expect(422).shows("Choose Admin, Member or Viewer.");
        }
        assert_eq!(invitations(&acme, NOOR), 0);
        assert!(!acme.olivia.get("/orgs/acme/settings/team/invite").body.contains("value=\"owner\""));

        acme.olivia.invite(NOOR, "member");
        acme.olivia.change_invited_role(NOOR, "member", "owner").expect(422).shows("Choose Admin, Member or Viewer.");
        acme.olivia.change_invited_role(NOOR, "owner", "admin").expect(422);
        assert_eq!(acme.count("invitations WHERE role = 'member' AND state = 'pending'"), 1);
        assert!(acme.letters_to(NOOR).len() == 1);
    }

    /// R-INV-1: **Invite another** sends, and leads back to the form with the same role.
    fn invite_another_keeps_the_form_open(kind) {
        let acme = Team::acme(kind);
        let another = [("emails", NOOR), ("role", "viewer"), ("then", "another")];
        let url = "/orgs/acme/settings/team/invite";
        let fields = |from| [another[0], another[1], another[2], ("from", from)];
        let page = acme.adam.get(url).submit(url, &fields("page"));
        page.expect(303).leads_to("/orgs/acme/settings/team/invite?role=viewer");
        let form = page.follow();
        form.shows("Invited 1 person.");
        let chosen = form.body.split("value=\"viewer\"").nth(1).expect("the role's card");
        assert!(chosen.split('>').next().is_some_and(|tag| tag.contains("checked")), "the role is kept");

        acme.advance(1.minutes());
        acme.adam.revoke(NOOR);
        let dialog = acme.adam.get(url).submit(url, &fields("dialog"));
        dialog.expect(303).leads_to("/orgs/acme/settings/team?invite=viewer").follow().shows("Invited 1 person.");
    }

    /// R-INV-4: a second invitation to one address makes no second row and no second letter; the answer says so and
    /// offers Resend.
    fn a_second_invitation_offers_resend(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite(NOOR, "member");
        acme.advance(2.hours());
        for spelling in [NOOR, " Noor@EXAMPLE.test ", "Noor <noor@example.test>"] {
            acme.olivia.try_invite(spelling, "member").expect(422)
                .shows("already has an invitation as Member, sent 2 hours ago").shows("Resend").lacks("Invited 1");
        }
        assert_eq!(invitations(&acme, NOOR), 1);
        assert_eq!(acme.letters_to(NOOR).len(), 1);

        let answer = acme.olivia.try_invite(NOOR, "member");
        let resend = format!("{}/resend", acme.olivia.invitation_url(NOOR));
        assert!(answer.urls_containing("/resend").contains(&resend));
        // The button lies outside its form: the page must hold the form it names.
        assert!(answer.body.contains("form=\"act\"") && answer.body.contains("<form id=\"act\" method=\"post\""));
        answer.submit(&resend, &[]).expect(303);
        assert_eq!(acme.letters_to(NOOR).len(), 2);
    }

    /// R-INV-4: with another role, the answer offers Change role instead.
    fn a_second_invitation_with_another_role_offers_to_change_it(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite(NOOR, "member");
        let answer = acme.olivia.try_invite(NOOR, "admin");
        answer.expect(422).shows("already has an invitation as Member").shows("Change role");
        let change = format!("{}/role", acme.olivia.invitation_url(NOOR));
        assert!(answer.urls_containing("/role").contains(&change));
        assert!(answer.urls_containing("/resend").is_empty());
        acme.olivia.get(&change).expect(200).shows("Change the role for noor@example.test");
        assert_eq!(acme.count("invitations WHERE state = 'pending' AND role = 'member'"), 1);
    }

    /// R-INV-4: a member is not invited, and is named.
    fn a_member_is_not_invited(kind) {
        let acme = Team::acme(kind);
        acme.adam.try_invite("MIA@example.test", "admin").expect(422).shows("MIA@example.test is already a member (Mia Member)");
        acme.adam.try_invite("adam@example.test", "admin").expect(422).shows("is already a member (Adam Admin)");
        assert_eq!(acme.count("invitations WHERE state = 'pending'"), 0);
        assert_eq!(acme.count("memberships WHERE role = 'admin'"), 1);
    }

    /// R-INV-4: after an invitation has ended in whatever way there is a new row; the old ones stay as history.
    fn after_an_end_there_is_a_new_row(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite(NOOR, "member");
        acme.adam.revoke(NOOR).expect(303);
        assert_eq!((pending(&acme, NOOR), invitations(&acme, NOOR)), (0, 1));

        acme.advance(1.minutes());
        acme.adam.invite(NOOR, "viewer");
        let noor = acme.sign_up("Noor New", NOOR, "Noor's own");
        noor.reject(&acme.link_for(NOOR)).expect(303);
        assert_eq!((pending(&acme, NOOR), invitations(&acme, NOOR)), (0, 2));

        acme.advance(1.minutes());
        acme.adam.invite(NOOR, "admin");
        acme.advance(7.days());
        acme.olivia.invite(NOOR, "member");
        assert_eq!((pending(&acme, NOOR), invitations(&acme, NOOR)), (1, 4));

        noor.accept(&acme.link_for(NOOR)).expect(303);
        assert_eq!(acme.count("memberships WHERE role = 'member'"), 2);
        let history = acme.adam.get(&format!("{LIST}?state=all&q=noor"));
        assert_eq!(history.listed(), [NOOR; 4]);
        for (state, shown) in [("revoked", 1), ("rejected", 1), ("expired", 1), ("accepted", 1), ("pending", 0)] {
            assert_eq!(acme.adam.get(&format!("{LIST}?state={state}&q=noor")).listed().len(), shown, "{state}");
        }

        // Removed, as far as the rows tell: the address can be invited again.
        acme.sql("DELETE FROM memberships WHERE account_id = (SELECT id FROM accounts WHERE email_key = 'noor@example.test') \
                  AND organization_id = (SELECT id FROM organizations WHERE slug = 'acme')");
        acme.sql("UPDATE organizations SET member_count = member_count - 1 WHERE slug = 'acme'");
        acme.advance(1.minutes());
        acme.adam.invite(NOOR, "viewer");
        assert_eq!((pending(&acme, NOOR), invitations(&acme, NOOR)), (1, 5));
        noor.accept(&acme.link_for(NOOR)).expect(303).leads_to("/orgs/acme");
    }

    /// R-INV-6: Copy link gives, byte for byte, the link that was mailed: to the script and to the page without it.
    /// It is audited and marks the invitation as exposed.
    fn the_copied_link_is_the_mailed_link(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite(NOOR, "member");
        let mailed = acme.mailed_link(NOOR);
        assert!(mailed.starts_with("http://127.0.0.1:8080/accept-invitation/inv_"), "{mailed}");
        let exposed = "invitations WHERE exposed_at IS NOT NULL AND email_key = 'noor@example.test'";
        assert_eq!((acme.count(exposed), events(&acme, "copy_link", NOOR)), (0, 0));

        // A GET copies nothing.
        let url = acme.olivia.invitation_url(NOOR);
        acme.olivia.get(&format!("{url}/link")).expect(405);
        assert_eq!((acme.count(exposed), events(&acme, "copy_link", NOOR)), (0, 0));

        assert_eq!(acme.olivia.copy_link(NOOR), mailed);
        assert_eq!((acme.count(exposed), events(&acme, "copy_link", NOOR)), (1, 1));
        acme.olivia.get(&url).shows("Someone may have shared it outside email");

        let page = acme.adam.copy_link_on_a_page(NOOR);
        page.expect(200).shows("Only noor@example.test can use it, once.");
        assert!(page.body.contains(&format!(">{mailed}</textarea>")), "the page shows the same link");
        assert_eq!(events(&acme, "copy_link", NOOR), 2);
        assert_eq!(acme.moment("exposed_at", "invitations WHERE email_key = 'noor@example.test'"), acme.now());
    }

    /// R-INV-6: an invitation that has ended or expired has no link to copy.
    fn a_dead_link_is_not_copied(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite(NOOR, "member");
        acme.adam.invite("rex@example.test", "member");
        acme.adam.revoke("rex@example.test");
        acme.advance(7.days());
        for email in [NOOR, "rex@example.test"] {
            acme.adam.get(&acme.adam.invitation_url(email)).lacks("Copy link");
            let answer = acme.adam.copy_link_on_a_page(email);
            answer.expect(409).lacks("inv_");
        }
        assert_eq!(acme.count("audit_events WHERE verb = 'copy_link'"), 0);
        assert_eq!(acme.count("invitations WHERE exposed_at IS NOT NULL"), 0);
    }

    /// R-INV-7: resending a pending one keeps its link and gives it a full week from now; the earlier letter keeps working.
    fn resend_keeps_the_link_and_extends(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite(NOOR, "member");
        let (link, until) = (acme.mailed_link(NOOR), expiry(&acme, NOOR));
        assert_eq!(until, acme.now() + 7 * 86_400 * 1_000_000);

        acme.advance(6.days());
        acme.olivia.resend(NOOR).expect(303).leads_to(LIST).follow().shows("Invitation resent to noor@example.test.");
        assert_eq!(acme.mailed_link(NOOR), link);
        assert_eq!(acme.letters_to(NOOR).len(), 2);
        assert_eq!(expiry(&acme, NOOR), acme.now() + 7 * 86_400 * 1_000_000);
        assert_eq!((invitations(&acme, NOOR), events(&acme, "resend", NOOR)), (1, 1));

        acme.advance(7.days() - 1.seconds());
        acme.visitor().join(&acme.link_for(NOOR), "Noor New").get("/orgs/acme").expect(200);
    }

    /// R-INV-7: resending an expired one is one click: a new invitation and link; the old link says that there is a newer one.
    fn resend_of_an_expired_one_replaces_it(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite(NOOR, "viewer");
        let old = acme.link_for(NOOR);
        acme.advance(7.days());
        acme.visitor().get(&old).expect(410).shows("This invitation has expired.");

        let url = acme.adam.invitation_url(NOOR);
        acme.adam.get(&format!("{LIST}?state=expired")).shows(NOOR).shows("Resend");
        acme.adam.get(&url).submit(&format!("{url}/resend"), &[]).expect(303);
        let new = acme.link_for(NOOR);
        assert_ne!(old, new);
        assert_eq!((pending(&acme, NOOR), invitations(&acme, NOOR)), (1, 2));
        acme.visitor().get(&old).expect(410).shows("A newer invitation was sent to this address.");
        acme.adam.get(&url).submit(&format!("{url}/resend"), &[]).expect(409).shows("This invitation has ended");
        acme.visitor().get(&new).expect(200).shows("Viewer");
        acme.visitor().join(&new, "Noor New").get("/orgs/acme").expect(200);
    }

    /// R-INV-8: one mail per organization and address in 60 seconds, whoever asks. Each answer says when to come back.
    fn the_cooldown_holds_whoever_asks(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite(NOOR, "member");
        let url = acme.adam.invitation_url(NOOR);
        acme.advance(20.seconds());
        for person in [&acme.adam, &acme.olivia] {
            person.get(&url).shows("You can resend in 40 s");
            person.get(LIST).shows("You can resend in 40 s");
            let refused = person.get(&url).submit(&format!("{url}/resend"), &[]);
            refused.expect(429).shows("You can resend in 40 s");
            assert_eq!(refused.retry_after(), 40);
        }
        acme.advance(39.seconds());
        let refused = acme.olivia.resend(NOOR);
        refused.expect(429).shows("1 s");
        assert_eq!(refused.retry_after(), 1);
        assert_eq!(acme.letters_to(NOOR).len(), 1);

        acme.advance(1.seconds());
        acme.olivia.get(&url).lacks("You can resend in");
        acme.olivia.resend(NOOR).expect(303);
        acme.adam.resend(NOOR).expect(429);
        assert_eq!(acme.letters_to(NOOR).len(), 2);
    }

    /// R-INV-8: revoking and inviting again does not shorten it.
    fn the_cooldown_survives_revoking(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite(NOOR, "member");
        acme.adam.revoke(NOOR).expect(303);
        acme.advance(15.seconds());
        let refused = acme.olivia.try_invite(NOOR, "viewer");
        refused.expect(429).shows("noor@example.test").shows("45 s");
        assert_eq!(refused.retry_after(), 45);
        acme.advance(44.seconds());
        acme.olivia.try_invite(NOOR, "viewer").expect(429).shows("1 s");
        assert_eq!((pending(&acme, NOOR), invitations(&acme, NOOR)), (0, 1));
        acme.advance(1.seconds());
        acme.olivia.invite(NOOR, "viewer");
        // The letter of the revoked one was never sent: it ended first.
        assert_eq!(acme.letters_to(NOOR).len(), 1);
        // Another address has a cooldown of its own.
        acme.olivia.invite("rex@example.test", "viewer");
    }

    /// R-INV-8: so many mails a day per address and organization, revoked or not. The next day begins anew.
    fn an_address_gets_only_so_many_mails_a_day(kind) {
        let acme = acme_with_limits(kind, |limits| limits.per_address = 2);
        acme.adam.invite(NOOR, "member");
        acme.advance(1.minutes());
        acme.olivia.resend(NOOR).expect(303);
        acme.advance(1.minutes());
        let refused = acme.adam.resend(NOOR);
        refused.expect(429).shows("The daily limit is used up.");
        assert_eq!(refused.retry_after(), UNTIL_MIDNIGHT - 120);
        acme.adam.revoke(NOOR).expect(303);
        let refused = acme.adam.try_invite(NOOR, "member");
        refused.expect(429).shows("The daily limit is used up.");
        assert_eq!(refused.retry_after(), UNTIL_MIDNIGHT - 120);
        acme.adam.invite("rex@example.test", "member");

        acme.advance(Duration::seconds(i64::try_from(UNTIL_MIDNIGHT - 120).expect("seconds")) - 1.seconds());
        acme.adam.try_invite(NOOR, "member").expect(429);
        acme.advance(1.seconds());
        acme.adam.invite(NOOR, "member");
    }

    /// R-INV-8: so many mails a day per person. Others may go on.
    fn a_person_sends_only_so_many_mails_a_day(kind) {
        let acme = acme_with_limits(kind, |limits| limits.per_person = 3);
        let refused = acme.olivia.try_invite(NOOR, "member");
        refused.expect(429).shows("The daily limit is used up.");
        assert_eq!(refused.retry_after(), UNTIL_MIDNIGHT);
        assert_eq!(invitations(&acme, NOOR), 0);
        acme.adam.invite(NOOR, "member");
        acme.advance(1.minutes());
        acme.olivia.resend(NOOR).expect(429);
        acme.adam.resend(NOOR).expect(303);
    }

    /// R-INV-8: so many mails a day per organization, whoever sends them. Those that fit are sent, the rest stays in the box.
    fn an_organization_sends_only_so_many_mails_a_day(kind) {
        let acme = acme_with_limits(kind, |limits| limits.per_organization = 5);
        let mixed = acme.adam.try_invite("a@example.test b@example.test c@example.test", "member");
        mixed.expect(422).shows("Invited 2 people.").shows("c@example.test: The daily limit is used up.");
        assert!(mixed.body.contains(">\nc@example.test</textarea>"), "what is left stays in the box");
        acme.olivia.try_invite("d@example.test", "member").expect(429);
        acme.advance(1.minutes());
        acme.adam.resend("a@example.test").expect(429);
        assert_eq!(acme.count("invitations WHERE state = 'pending'"), 2);

        let other = acme.sign_up("Zoe Other", "zoe@example.test", "Other");
        other.try_invite_to("other", NOOR, "member", &[]).expect(303);
    }

    /// R-INV-8: a link that is only shared uses no mail: no quota, no cooldown.
    fn a_link_only_invitation_uses_no_mail(kind) {
        let acme = acme_with_limits(kind, |limits| limits.per_person = 3);
        acme.olivia.try_invite(NOOR, "member").expect(429);
        acme.olivia.invite_by_link_only(NOOR, "member");
        acme.olivia.get(LIST).shows("Not emailed");
        assert!(acme.letters_to(NOOR).is_empty());
        acme.adam.resend(NOOR).expect(303);
        assert_eq!(acme.letters_to(NOOR).len(), 1);
        assert_eq!(acme.adam.copy_link(NOOR), acme.mailed_link(NOOR));

        // Nor does it help to get round the limits: what is mailed afterwards counts.
        acme.adam.revoke(NOOR).expect(303);
        acme.advance(1.seconds());
        acme.olivia.invite_by_link_only(NOOR, "member");
        acme.adam.resend(NOOR).expect(429);
    }

    /// R-INV-11: without SMTP everything works: a banner, *Not emailed*, and Copy link.
    fn without_mail_links_are_copied(kind) {
        let team = Team::with(kind, without_mail());
        let olivia = team.sign_up("Olivia Owner", "olivia@example.test", "Acme");
        olivia.get("/orgs/acme/settings/team/invite").shows("Email isn't set up on this server. You'll get a link to share instead.");
        olivia.invite(NOOR, "admin");
        olivia.get(LIST).shows(NOOR).shows("Not emailed").lacks("Sent");
        let link = olivia.copy_link(NOOR);
        let path = link.strip_prefix("http://127.0.0.1:8080").expect("the public address");
        let noor = team.visitor().join(path, "Noor New");
        noor.get("/orgs/acme/settings/team/invite").expect(200);

        olivia.invite("rex@example.test", "member");
        olivia.resend("rex@example.test").expect(303).follow().shows("is valid again. Copy its link to share it.");
        assert!(team.letters().is_empty());
        assert_eq!(team.count("deliveries WHERE state <> 'not_emailed'"), 0);
        assert_eq!(team.count("accounts WHERE verified_at IS NOT NULL"), 0);
    }

    /// R-INV-12: the pending table says email, role, delivery, invited and by whom, expiry; and what can be done.
    fn the_pending_table_says_everything(kind) {
        let acme = Team::acme(kind);
        acme.adam.try_invite(NOOR, "viewer").follow().shows("Pending");
        acme.deliver();
        acme.advance(3.hours());
        let list = acme.olivia.get(LIST);
        for column in ["Email", "Role", "Delivery", "Invited", "Expires", "<span class=\"vh\">Actions</span>"] {
            assert!(list.body.contains(&format!("scope=\"col\">{column}</th>")), "no column {column}");
        }
        list.shows("noor@example.testViewerSent3 hours agoby Adam Admin")
            .shows("28 Nov 2026, 09:00 UTC");
        for action in ["Copy link", "Resend", "Change role", "Revoke", "Details", "Sent"] {
            list.shows(action);
        }
        assert!(list.body.contains("aria-label=\"Pending invitations\""));
        assert!(list.body.contains("aria-label=\"Actions for noor@example.test\""));
        assert_eq!(list.listed(), [NOOR]);
        let details = acme.olivia.get(&acme.olivia.invitation_url(NOOR));
        details.shows("Viewer").shows("Adam Admin").shows("adam@example.test").shows("28 Nov 2026, 09:00 UTC");
    }

    /// R-INV-12: history by state; nothing disappears by itself.
    fn history_is_kept_by_state(kind) {
        let acme = Team::acme(kind);
        for email in ["expired@example.test", "replaced@example.test"] {
            acme.adam.invite(email, "member");
        }
        acme.advance(7.days());
        acme.adam.resend("replaced@example.test").expect(303);
        for email in ["pending@example.test", "revoked@example.test", "rejected@example.test", "accepted@example.test"] {
            acme.adam.invite(email, "member");
        }
        acme.adam.revoke("revoked@example.test").expect(303);
        let rejecter = acme.sign_up("Rex Rejecter", "rejected@example.test", "Rexco");
        rejecter.reject(&acme.link_for("rejected@example.test")).expect(303);
        acme.visitor().join(&acme.link_for("accepted@example.test"), "Ace Accepter").get("/").expect(200);

        let listed = |state: &str| {
            let mut emails = acme.olivia.get(&format!("{LIST}?state={state}")).listed();
            emails.sort();
            emails
        };
        assert_eq!(listed("pending"), ["pending@example.test", "replaced@example.test"]);
        assert_eq!(listed("expired"), ["expired@example.test", "replaced@example.test"]);
        assert_eq!(listed("revoked"), ["revoked@example.test"]);
        assert_eq!(listed("rejected"), ["rejected@example.test"]);
        assert_eq!(listed("accepted"), ["accepted@example.test", "adam@example.test", "mia@example.test", "vic@example.test"]);
        assert_eq!(listed("all").len(), 10);
        assert_eq!(listed("nonsense"), listed("pending"));
        acme.olivia.get(&format!("{LIST}?state=revoked")).shows("Revoked").shows("Invite again");
        acme.olivia.get(&format!("{LIST}?state=expired")).shows("Expired").shows("Resend");

        acme.advance(9.days());
        assert_eq!(listed("all").len(), 10);
        assert_eq!(listed("pending"), [""; 0]);
        assert_eq!(listed("expired").len(), 4);
    }

    /// R-INV-12: the list is searchable by the start of the address, in any spelling.
    fn invitations_are_found_by_address(kind) {
        let acme = Team::acme(kind);
        acme.adam.try_invite("noor@example.test, nora@example.test, rex@example.test, n%_o@example.test", "member").expect(303);
        let found = |q: &str| acme.adam.get(&format!("{LIST}?{}", encode(&[("q", q)]))).listed();
        assert_eq!(found("noo"), [NOOR]);
        assert_eq!(found(" NOR "), ["nora@example.test"]);
        assert_eq!(found("n").len(), 3);
        assert_eq!(found("n%"), ["n%_o@example.test"]);
        assert_eq!(found("%"), [""; 0]);
        assert_eq!(found("_ex"), [""; 0]);
        acme.adam.get(&format!("{LIST}?q=zzz")).shows("No invitations match “zzz”").shows("Clear filters");
        let odd = acme.adam.get(&format!("{LIST}?{}", encode(&[("q", "<script>alert(1)</script>")])));
        odd.expect(200);
        assert!(!odd.body.contains("<script>alert"));
    }

    /// R-INV-12: paging through many shows each exactly once, forwards and backwards, in every list there is.
    fn paging_shows_each_exactly_once(kind) {
        let acme = Team::acme(kind);
        let mut everybody: Vec<String> = (0..62).map(|n| format!("p{n:02}@example.test")).collect();
        acme.adam.try_invite(&everybody.join(" "), "member").expect(303);
        let check = |query: &str, expected: &[String]| {
            let (there, back) = walk(&acme.olivia, &format!("{LIST}{query}"));
            assert_eq!(there, back, "{query}: backwards shows the same as forwards");
            let mut sorted = there;
            sorted.sort();
            assert_eq!(sorted, expected, "{query}");
        };
        check("", &everybody);
        check("?q=p", &everybody);
        check("?state=all&q=p", &everybody);
        check("?q=p1", &everybody[10..20]);
        acme.olivia.get(LIST).shows("Showing 1–25 of 62 invitations");
        let second = acme.olivia.get(LIST).urls_containing("after=").pop().expect("a next page");
        acme.olivia.get(&second).shows("Showing 26–50 of 62 invitations");

        // What comes in meanwhile moves nothing that was already on its way.
        let third = acme.olivia.get(&second).urls_containing("after=").pop().expect("a third page");
        let before = acme.olivia.get(&third).listed();
        acme.advance(1.seconds());
        acme.adam.invite("p99@example.test", "member");
        everybody.push("p99@example.test".to_owned());
        assert_eq!(acme.olivia.get(&third).listed(), before);
        check("", &everybody);

        acme.advance(8.days());
        check("?state=expired", &everybody);
        check("?state=expired&q=p", &everybody);
        check("", &[]);
        let mut all = everybody.clone();
        all.extend(["adam@example.test", "mia@example.test", "vic@example.test"].map(str::to_owned));
        all.sort();
        check("?state=all", &all);

        acme.adam.try_invite(&everybody[..40].join(" "), "member").expect(303);
        for page in [LIST.to_owned(), format!("{LIST}?state=pending")] {
            check(page.strip_prefix(LIST).expect("a query"), &everybody[..40]);
        }
        // A place in the list that makes no sense is its top.
        for odd in ["after=x", "before=x.y", "after=00000000-0000-0000-0000-000000000000.9", "after=01a1fd55-7a80-7823-9de5-0663077a0af0.%00&q=p", "before=01a1fd55-7a80-7823-9de5-0663077a0af0.%00&q=p", "from=-5&after=x", "after=&before="] {
            acme.olivia.get(&format!("{LIST}?{odd}")).expect(200);
        }
    }

    /// R-INV-13: of a mixed list the good ones are sent; the bad ones stay in the box, each with its reason.
    fn a_mixed_list_sends_the_good_ones(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite("old@example.test", "member");
        acme.adam.invite("cool@example.test", "member");
        acme.adam.revoke("cool@example.test").expect(303);
        let list = "Noor New <noor@example.test>; rex@example.test,\r\nMia@example.test nonsense old@example.test\n\
                    grace@\tcool@example.test \"Quoted, Name\" <q@example.test> x@localhost";
        let answer = acme.adam.try_invite(list, "viewer");
        answer.expect(422)
            .shows("Invited 3 people.")
            .shows("Mia@example.test is already a member (Mia Member)")
            .shows("nonsense is not a complete email address")
            .shows("old@example.test already has an invitation as Member")
            .shows("grace@ is not a complete email address")
            .shows("x@localhost has no dot in its domain")
            .shows("cool@example.test: A mail to this address went out");
        let start = answer.body.split("name=\"emails\"").nth(1).expect("the box");
        let left = start.split('>').nth(1).expect("its text").split('<').next().expect("its end");
        let mut left: Vec<&str> = left.split_whitespace().collect();
        left.sort_unstable();
        assert_eq!(left, ["Mia@example.test", "cool@example.test", "grace@", "nonsense", "old@example.test", "x@localhost"]);
        let mut mailed: Vec<String> = acme.letters().into_iter().map(|letter| letter.to).collect();
        mailed.sort();
        assert_eq!(mailed, [NOOR, "old@example.test", "q@example.test", "rex@example.test"]);
        assert_eq!(acme.count("invitations WHERE state = 'pending' AND role = 'viewer'"), 3);
    }

    /// R-INV-13: up to a hundred at once; one more is refused, and then nobody is invited.
    fn a_hundred_at_once_and_no_more(kind) {
        let acme = Team::acme(kind);
        let people = |count: usize| (0..count).map(|n| format!("p{n}@example.test")).collect::<Vec<_>>().join(", ");
        acme.adam.try_invite(&people(101), "member").expect(422).shows("These are more than 100 addresses. Send up to 100 at once.");
        assert_eq!(acme.count("invitations WHERE state = 'pending'"), 0);
        acme.adam.try_invite("", "member").expect(422).shows("Enter at least one email address.");
        acme.adam.try_invite(" ,; \n", "member").expect(422).shows("Enter at least one email address.");

        let twice = format!("{}\n{}", people(100), people(100).to_uppercase());
        acme.adam.try_invite(&twice, "member").expect(303).follow().shows("Invited 100 people.");
        assert_eq!(acme.count("invitations WHERE state = 'pending'"), 100);
        assert_eq!(acme.letters().len(), 100);
    }

    /// R-INV-13: duplicates fold, in whatever spelling; tags and dots are significant.
    fn duplicates_fold(kind) {
        let acme = Team::acme(kind);
        let list = "noor@example.test NOOR@example.TEST, Noor <noor@example.test>; noor@example.test.";
        acme.adam.try_invite(list, "member").expect(303).follow().shows("Invited 1 person.");
        acme.adam.try_invite("noor+1@example.test n.oor@example.test", "member").expect(303);
        assert_eq!(acme.count("invitations WHERE state = 'pending'"), 3);
    }

    /// R-INV-14: accepting gives the edited role.
    fn the_edited_role_is_the_one_accepted(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite(NOOR, "viewer");
        let link = acme.mailed_link(NOOR);
        acme.adam.change_invited_role(NOOR, "viewer", "admin").expect(303).follow().shows("noor@example.test will join as Admin.");
        assert_eq!(acme.count("audit_events WHERE verb = 'change_invitation_role' AND before = 'viewer' AND after = 'admin'"), 1);
        assert_eq!(acme.adam.copy_link(NOOR), link, "the link stays the same");
        acme.visitor().get(&acme.link_for(NOOR)).shows("Admin").lacks("Viewer");
        let noor = acme.visitor().join(&acme.link_for(NOOR), "Noor New");
        noor.get("/orgs/acme").shows("You joined as Admin.");
        noor.invite("rex@example.test", "member");
    }

    /// R-INV-14, R-ROLE-6: a form that was rendered before somebody else changed the role is refused, with what it is now.
    fn a_stale_role_form_is_refused(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite(NOOR, "member");
        acme.olivia.change_invited_role(NOOR, "member", "admin").expect(303);
        acme.adam.change_invited_role(NOOR, "member", "viewer").expect(409).shows("Olivia Owner changed the role to Admin.");
        assert_eq!(acme.count("invitations WHERE state = 'pending' AND role = 'admin'"), 1);
        // Wanting what it is already is no quarrel.
        acme.adam.change_invited_role(NOOR, "member", "admin").expect(303);
        assert_eq!(acme.count("audit_events WHERE verb = 'change_invitation_role'"), 1);

        acme.adam.revoke(NOOR).expect(303);
        acme.adam.change_invited_role(NOOR, "admin", "viewer").expect(409).shows("This invitation has ended");
        acme.adam.revoke(NOOR).expect(409);
        acme.adam.resend(NOOR).expect(409);
    }

    /// UI.md, Letters: who, what, until when, for whom, the whole link as text, and the message in quotes.
    fn the_letter_says_everything(kind) {
        let acme = Team::acme(kind);
        let words = "Hello Noor,\r\n\r\nsee you on Monday.";
        acme.adam.try_invite_with(NOOR, "viewer", &[("message", words)]).expect(303);
        let letter = acme.letters_to(NOOR).remove(0);
        let link = acme.mailed_link(NOOR);
        for part in [
            "Adam Admin (adam@example.test) invited you to join Acme as Viewer.",
            "Can look, but not change anything.",
            "Adam Admin wrote:",
            "> Hello Noor,\n> \n> see you on Monday.",
            "28 Nov 2026, 09:00 UTC",
            "only for noor@example.test",
            "Not expecting this? You can ignore this email.",
            link.as_str(),
        ] {
            assert!(letter.text.contains(part), "{part:?} is not in:\n{}", letter.text);
        }
        assert!(letter.html.contains("<blockquote") && letter.html.contains("Hello Noor,<br><br>see you on Monday."), "{}", letter.html);
        assert_eq!(letter.html.matches(&format!("href=\"{link}\"")).count(), 2);
        assert_eq!(letter.html.matches("href=").count(), 2, "no other link");
        assert!(!letter.html.contains("<img") && !letter.html.contains("src="), "nothing is loaded: no tracking");

        acme.adam.invite("rex@example.test", "viewer");
        let letter = acme.letters_to("rex@example.test").remove(0);
        assert!(!letter.text.contains("wrote:") && !letter.html.contains("<blockquote"), "no quotes without a message");
    }

    /// UI.md, R-INV-10: From is fixed, an answer goes to the inviter, robots are told, and each delivery has its own
    /// lasting Message-ID.
    fn the_letter_has_the_right_headers(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite(NOOR, "member");
        acme.advance(1.minutes());
        acme.deliver();
        acme.olivia.resend(NOOR).expect(303);
        let letters = acme.letters_to(NOOR);
        let ids: Vec<String> = letters.iter().map(|letter| header_of(&letter.raw, "Message-ID")).collect();
        for letter in &letters {
            assert_eq!(header_of(&letter.raw, "From"), "Roster <roster@roster.test>");
            assert_eq!(header_of(&letter.raw, "Reply-To").replace('"', ""), "Adam Admin <adam@example.test>");
            assert_eq!(header_of(&letter.raw, "To"), NOOR);
            assert_eq!(header_of(&letter.raw, "Subject"), "Adam Admin invited you to join Acme");
            assert_eq!(header_of(&letter.raw, "Auto-Submitted"), "auto-generated");
            assert!(!header_of(&letter.raw, "Date").is_empty());
        }
        assert_ne!(ids[0], ids[1]);
        // Made of the delivery's id, so the same at every attempt.
        let made_of = if acme.on_postgres() { "id::text" } else { "lower(hex(id))" };
        for id in ids {
            let local = id.strip_prefix('<').and_then(|id| id.strip_suffix("@roster.test>")).expect("our own host");
            let stored = if acme.on_postgres() { local.to_owned() } else { local.replace('-', "") };
            assert_eq!(acme.count(&format!("deliveries WHERE {made_of} = '{stored}'")), 1, "{id}");
        }
    }

    /// SECURITY.md, Mail: names and messages neither inject into a letter nor link in it.
    fn names_and_messages_do_not_inject(kind) {
        let team = Team::empty(kind);
        let eve = team.sign_up("Eve <script>alert(1)</script> www.evil.test", "eve@example.test", "<b>Acme</b> https://evil.test/pay & \"Co\"");
        let home = eve.get("/").urls_containing("/orgs/").pop().expect("an organization");
        let slug = home.strip_prefix("/orgs/").expect("its slug").split('/').next().expect("its slug").to_owned();
        let words = "Click <a href=\"https://evil.test/x\">here</a> or http://evil.test\nBcc: spy@evil.test\n.\nSubject: you won\n\n--boundary";
        eve.try_invite_to(&slug, NOOR, "member", &[("message", words)]).expect(303);
        let letter = team.letters_to(NOOR).remove(0);
        let link = team.mailed_link(NOOR);

        assert_eq!(header_of(&letter.raw, "From"), "Roster <roster@roster.test>");
        assert_eq!(header_of(&letter.raw, "To"), NOOR);
        let _ = header_of(&letter.raw, "Subject");
        let head = letter.raw.split("\r\n\r\n").next().expect("headers");
        assert!(!head.to_lowercase().contains("\nbcc:") && !head.contains("spy@"), "{head}");
        for bad in ["<script", "<b>Acme", "<a href=\"https://evil", "<a href=\"http://evil"] {
            assert!(!letter.html.contains(bad), "{bad} in:\n{}", letter.html);
        }
        assert_eq!(letter.html.matches("href=\"").count(), letter.html.matches(&format!("href=\"{link}\"")).count());
        for part in [&letter.subject, &letter.text, &letter.html] {
            let rest = part.replace(&link, "");
            assert!(!rest.contains("://") && !rest.contains("evil.test") && !rest.contains("www.evil"), "links:\n{rest}");
            assert!(rest.contains("evil. test"), "the words are still there:\n{rest}");
        }
        assert!(letter.subject.starts_with("Eve <script>alert(1)</script> www. evil. test invited you"), "{}", letter.subject);

        // The page of the invitation shows the same names, and none of them as HTML.
        let page = team.visitor().get(&team.link_for(NOOR)).body;
        assert!(!page.contains("<script>alert") && !page.contains("<b>Acme"), "{page}");
        let list = eve.get(&format!("/orgs/{slug}/settings/team/invitations")).body;
        assert!(!list.contains("<script>alert") && !list.contains("<b>Acme"));
        let details = eve.get(&eve.get(&format!("/orgs/{slug}/settings/team/invitations")).urls_containing("/invitations/")
            .into_iter().find(|url| !url.ends_with("/role") && !url.ends_with("/revoke") && url.len() > 36).expect("details")).body;
        assert!(!details.contains("<a href=\"https://evil"), "{details}");

        // The answer to the inviter is made of the same names.
        let noor = team.sign_up("Noor New", NOOR, "Own");
        noor.reject(&team.link_for(NOOR)).expect(303);
        let told = team.letters_to("eve@example.test").pop().expect("told");
        for part in [&told.subject, &told.text, &told.html] {
            assert!(!part.contains("https://evil") && !part.contains("evil.test"), "{part}");
        }
        assert!(!told.html.contains("<b>Acme"), "{}", told.html);
    }

    /// SECURITY.md, Mail: line breaks and control characters in names are refused; in a message they are text.
    fn line_breaks_in_names_are_refused(kind) {
        let team = Team::empty(kind);
        let good = [("name", "Eve"), ("email", "eve@example.test"), ("password", people_password()), ("organization", "Acme")];
        for bad in ["Eve\r\nBcc: spy@evil.test", "Eve\nX", "Eve\rX", "Eve\u{1b}[0m", "Eve\u{85}X", "a\tb"] {
            for field in ["name", "organization", "email"] {
                let eve = team.visitor();
                let fields = good.map(|(name, value)| (name, if name == field { bad } else { value }));
                eve.get("/sign-up").submit("/sign-up", &fields).expect(422);
            }
        }
        assert_eq!(team.count("accounts"), 0);
        let olivia = team.sign_up("Olivia Owner", "olivia@example.test", "Acme");
        let answer = olivia.try_invite_with(NOOR, "member", &[("message", "a\u{1b}[0mb")]);
        answer.expect(422).shows("can't be shown");
        let long = "é".repeat(501);
        olivia.try_invite_with(NOOR, "member", &[("message", &long)]).expect(422).shows("Use at most 500 characters.");
        assert_eq!(team.count("invitations"), 0);
        olivia.try_invite_with(NOOR, "member", &[("message", &long[2..])]).expect(303);
    }
}
