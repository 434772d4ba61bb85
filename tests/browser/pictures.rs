//! Pictures of every screen, with people as they really come: long names, names from right to
//! left, letters that did not arrive. They are kept in `target/screenshots` for people to look at;
//! the test itself only fails where a page is not sound.

use std::time::Duration;

use crate::roster::{PASSWORD, Roster, join_here, portrait, reload_until, visitor};
use crate::smtp::{Act, Phase};
use crate::support::Browser;

const TEAM: &str = "/orgs/acme/settings/team";
const INVITATIONS: &str = "/orgs/acme/settings/team/invitations";
const PATIENCE: Duration = Duration::from_secs(15);
/// In the microseconds of the database.
const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

/// Who is in Acme beside its owner: name, address, role, days since they joined.
const PERSONAS: &[(&str, &str, &str, i64)] = &[
    ("Adam Admin", "adam@example.test", "Admin", 210),
    ("Mia Member", "mia@example.test", "Member", 96),
    ("Noor Newcomer", "noor@example.test", "Member", 1),
    ("Rita Reader", "rita@example.test", "Viewer", 33),
    ("Sam Support", "support@helpdesk.example.test", "Member", 8),
    ("Vic Viewer", "vic@example.test", "Viewer", 61),
];

/// Names and addresses that do not fit so well. Not every ChromeDriver types characters beyond U+FFFF.
const OTHERS: &[(&str, &str, &str, i64)] = &[
    ("نورة القادمة", "noura@example.test", "Member", 44),
    ("דנה החברה", "dana@example.test", "Viewer", 12),
    (
        "Rosa ❀ Öztürk-Ångström",
        "rosa+reviews@example.test",
        "Member",
        20,
    ),
    ("Bo", "bo@example.test", "Viewer", 5),
    (
        "Maximiliana Featherstonehaugh-Cholmondeley von und zu Oberunterhausen",
        "maximiliana.featherstonehaugh-cholmondeley@a-rather-long-subdomain.of.example.test",
        "Member",
        150,
    ),
];

/// Lets an invitation expire.
fn expire(roster: &Roster, email: &str) {
    roster.rewrite(&format!(
            "UPDATE invitations SET created_at = created_at - 9 * {DAY}, expires_at = expires_at - 9 * {DAY}
             WHERE email = '{email}'"
        ),
    );
}

#[track_caller]
fn sign_in(roster: &Roster, browser: &Browser, email: &str) {
    browser.visit(&roster.url("/sign-in"));
    browser.fill("Email", email);
    browser.fill("Password", PASSWORD);
    browser.press("Sign in");
    browser.at("/");
}

/// Invites one address and waits until its row shows how the letter fared.
#[track_caller]
fn invite(roster: &Roster, browser: &Browser, email: &str, role: &str, delivery: &str) {
    browser.visit(&roster.url(&format!("{TEAM}/invite")));
    browser.fill("Email addresses", email);
    browser.choose(role);
    if delivery == "Not emailed" {
        browser.choose("Don't email. I'll share the link myself.");
    }
    browser.press("Send Invitation");
    browser.at(INVITATIONS);
    browser.visit(&roster.url(&format!("{INVITATIONS}?q={email}")));
    reload_until(browser, delivery);
}

/// Keeps the pictures of a page that is sound.
#[track_caller]
fn keep(browser: &Browser, name: &str) {
    browser.sound();
    browser.pictures(name);
}

/// Lets everybody in, each through a letter of their own, and moves their joining into the past.
fn join_all(roster: &Roster, inviter: &Browser, people: &[(&str, &str, &str, i64)]) {
    for role in ["Admin", "Member", "Viewer"] {
        let emails: Vec<&str> = people
            .iter()
            .filter(|person| person.2 == role)
            .map(|person| person.1)
            .collect();
        if !emails.is_empty() {
            roster.invite(inviter, &emails, role);
        }
    }
    let newcomer = Browser::open();
    newcomer.wait_at_most(PATIENCE);
    for (name, email, _, days) in people {
        newcomer.forget();
        roster.join(&newcomer, email, name);
        let ago = days * DAY;
        roster.rewrite(&format!(
                "UPDATE memberships SET joined_at = joined_at - {ago}, last_active_at = last_active_at - {ago} / 7
                 WHERE account_id = (SELECT id FROM accounts WHERE email = '{email}');
                 UPDATE invitations SET created_at = created_at - {ago} - {HOUR}, closed_at = closed_at - {ago}
                 WHERE email = '{email}';"
            ),
        );
    }
}

#[test]
fn the_team() {
    let roster = Roster::start();
    let olivia = roster.sign_up("Olivia Owner", "olivia@example.test", "Acme");
    roster.rewrite(&format!(
        "UPDATE memberships SET joined_at = joined_at - 400 * {DAY}"
    ));
    join_all(&roster, &olivia, PERSONAS);
    invite(&roster, &olivia, "grace@example.test", "Member", "Sent");
    // The picture in the README.
    olivia.visit(&roster.url(TEAM));
    olivia.light();
    olivia.screenshot("readme");

    join_all(&roster, &olivia, OTHERS);
    // One invitation for every way a letter can go, and for every end.
    roster
        .mail
        .once(Phase::Rcpt, Act::reply(550, "5.1.1 No such user here"));
    invite(&roster, &olivia, "gone@example.test", "Viewer", "Failed");
    roster.mail.once(Phase::Body, Act::Drop);
    let long = "wolfgang.amadeus.with.a.very.long.address@mail.subsidiary.example.test";
    invite(&roster, &olivia, long, "Admin", "Unknown");
    invite(
        &roster,
        &olivia,
        "kim@example.test",
        "Member",
        "Not emailed",
    );
    invite(&roster, &olivia, "late@example.test", "Member", "Sent");
    invite(&roster, &olivia, "oops@example.test", "Admin", "Sent");
    roster.mail.always(
        Phase::Rcpt,
        Act::reply(451, "4.7.1 Greylisted, please try again later"),
    );
    invite(
        &roster,
        &olivia,
        "wait@example.test",
        "Member",
        "Greylisted",
    );
    roster.mail.behave();
    expire(&roster, "late@example.test");
    roster.rewrite(&format!(
            "UPDATE invitations SET created_at = created_at - 75 * {HOUR}, expires_at = expires_at - 75 * {HOUR}
             WHERE email IN ('gone@example.test', 'grace@example.test');
             UPDATE deliveries SET created_at = created_at - 75 * {HOUR}, finished_at = finished_at - 75 * {HOUR}
             WHERE email IN ('gone@example.test', 'grace@example.test')"
        ),
    );
    olivia.visit(&roster.url(&format!("{INVITATIONS}?q=oops")));
    olivia.press("Actions for oops@example.test");
    olivia.press("Revoke");
    olivia.pictures("revoke");
    olivia.press("Revoke Invitation");
    olivia.see("is revoked");

    olivia.visit(&roster.url(TEAM));
    olivia.see("12 members · 5 pending invitations");
    keep(&olivia, "members");
    olivia.press("Account menu of Olivia Owner");
    olivia.pictures("members-account-menu");
    olivia.visit(&roster.url(&format!("{TEAM}?q=nobody")));
    olivia.see("No members match “nobody”.");
    keep(&olivia, "members-no-match");
    olivia.visit(&roster.url(TEAM));
    olivia.press("Invite Member");
    keep(&olivia, "invite-dialog");
    olivia.fill(
        "Email addresses",
        "mia@example.test, grace@example.test, not-an-address, new@example.test",
    );
    olivia.press("Send Invitation");
    olivia.see("Please check what you entered.");
    keep(&olivia, "invite-with-errors");

    olivia.visit(&roster.url(INVITATIONS));
    keep(&olivia, "pending");
    olivia.press("Actions for wait@example.test");
    keep(&olivia, "pending-row-menu");
    olivia.visit(&roster.url(&format!("{INVITATIONS}?state=all")));
    keep(&olivia, "history");
    olivia.visit(&roster.url(INVITATIONS));
    olivia.press("wait@example.test");
    keep(&olivia, "details");
    olivia.press("Change role");
    olivia.pictures("change-role");
    olivia.visit(&roster.url("/orgs/acme/settings/roles"));
    olivia.pictures("roles");
    olivia.visit(&roster.url("/orgs/acme"));
    keep(&olivia, "organization-home");

    let mia = Browser::open();
    mia.wait_at_most(PATIENCE);
    sign_in(&roster, &mia, "mia@example.test");
    mia.visit(&roster.url(TEAM));
    keep(&mia, "members-as-member");
    mia.visit(&roster.url(INVITATIONS));
    mia.pictures("refused");
}

#[test]
fn the_way_in() {
    let roster = Roster::start();
    let grace = Browser::open();
    grace.wait_at_most(PATIENCE);
    grace.visit(&roster.url("/sign-in"));
    grace.pictures("sign-in");
    grace.visit(&roster.url("/sign-up"));
    grace.pictures("sign-up");

    let olivia = roster.sign_up("Olivia Owner", "olivia@example.test", "Acme");
    olivia.pictures("organization-home-first");
    olivia.visit(&roster.url(TEAM));
    olivia.pictures("members-first");
    olivia.visit(&roster.url(INVITATIONS));
    olivia.pictures("pending-first");
    olivia.visit(&roster.url("/nowhere"));
    olivia.pictures("not-found");
    roster.invite(
        &olivia,
        &["grace@example.test", "late@example.test", "no@example.test"],
        "Member",
    );
    expire(&roster, "late@example.test");

    // Without a clipboard the link has a page.
    let plain = Browser::open_without_javascript();
    plain.wait_at_most(PATIENCE);
    sign_in(&roster, &plain, "olivia@example.test");
    plain.visit(&roster.url(INVITATIONS));
    plain.press("Actions for grace@example.test");
    plain.press("Copy link");
    plain.see("Invitation link");
    plain.pictures("link");

    let link = roster.link_for("grace@example.test");
    olivia.visit(&link);
    olivia.pictures("invitation-wrong-account");
    let late = roster.link_for("late@example.test");
    grace.visit(&late);
    grace.see("This invitation has expired. It was valid until");
    keep(&grace, "invitation-expired");
    grace.press("Ask for a new invitation");
    grace.see("We told the person who invited you");
    assert!(!grace.shows("Ask for a new invitation"), "once is enough");
    keep(&grace, "invitation-asked-again");
    roster.letter("olivia@example.test", "late@example.test asks");
    grace.visit(&roster.url("/accept-invitation/inv_nothing"));
    grace.see("We can't find that invitation.");
    keep(&grace, "invitation-unknown");

    grace.visit(&link);
    grace.pictures("invitation-signed-out");
    join_here(&grace, "");
    grace.see("Your name: Fill this in.");
    keep(&grace, "invitation-with-errors");
    join_here(&grace, "Grace Guest");
    grace.see("You're in. Welcome to Acme. You joined as Member.");
    grace.pictures("organization-home-joined");
    grace.visit(&link);
    grace.pictures("invitation-already-in");
    grace.visit(&roster.url("/"));
    keep(&grace, "home");
    grace.forget();
    grace.visit(&link);
    grace.see("This link has already been used.");
    keep(&grace, "invitation-used");

    let nora = roster.sign_up("Nora No", "no@example.test", "Nowhere");
    nora.visit(&roster.link_for("no@example.test"));
    nora.pictures("invitation-signed-in");
    nora.press("Reject");
    nora.pictures("reject");
}

/// Gives a signed-in person the picture of a portrait.
fn portray(roster: &Roster, browser: &Browser) {
    browser.visit(&roster.url("/account"));
    browser.upload("Your picture", &roster.file("me.png", &portrait()));
    browser.press("Upload picture");
    browser.see("Your picture is changed.");
}

#[test]
fn the_account() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(
        file.path(),
        "We keep your name, your address and what you did.\n\nNothing else, and not for long.\n",
    )
    .expect("a text");
    let documents = format!(
        "Terms of service|1|https://example.test/terms;Privacy notice|2026-01|{}",
        file.path().display()
    );
    let mut roster = Roster::start();
    let olivia = roster.sign_up("Olivia Owner", "olivia@example.test", "Acme");
    roster.invite(&olivia, &["mia@example.test"], "Member");
    let mia = visitor();
    roster.join(&mia, "mia@example.test", "Mia Member");
    let noor = roster.sign_up("Noor Newcomer", "noor@example.test", "Elsewhere");
    roster.invite(&olivia, &["noor@example.test", "no@example.test"], "Viewer");
    noor.visit(&roster.url("/account"));
    noor.pictures("profile-first");
    noor.visit(&roster.url("/"));
    noor.pictures("home-not-confirmed");
    noor.visit(&roster.url("/invitations"));
    noor.pictures("invitations-none");
    noor.visit(&roster.link(
        "noor@example.test",
        "Confirm your email address",
        "/verify-email/",
    ));
    noor.pictures("confirm-address");
    noor.press("Confirm address");
    noor.see("is confirmed.");
    keep(&noor, "home-with-prompt");
    noor.visit(&roster.url("/notifications"));
    noor.pictures("bell-with-invitation");
    noor.press("Accept");
    noor.see("You're in.");

    let other = visitor();
    other.visit(&roster.link_for("no@example.test"));
    join_here(&other, "Nora No");
    other.see("You're in.");
    other.visit(&roster.url("/orgs/acme/leave"));
    other.pictures("leave");
    olivia.visit(&roster.url("/orgs/acme/settings/team"));
    olivia.press("Actions for Mia Member");
    olivia.press("Change role");
    olivia.choose("Admin");
    olivia.press("Continue");
    olivia.pictures("confirm-role");
    olivia.press("Change role");
    olivia.see("is Admin now");
    olivia.visit(&roster.url("/notifications"));
    olivia.pictures("bell");
    olivia.press("Mark all as read");
    olivia.see("Marked as read.");
    olivia.pictures("bell-read");

    olivia.visit(&roster.url("/account"));
    olivia.upload("Your picture", &roster.file("no.png", b"<svg/>"));
    olivia.press("Upload picture");
    olivia.see("This is not a picture we can read.");
    olivia.pictures("profile-with-error");
    portray(&roster, &olivia);
    olivia.pictures("profile");
    portray(&roster, &mia);
    other.forget();
    sign_in(&roster, &other, "olivia@example.test");
    for (page, name) in [
        ("/account/security", "security"),
        ("/account/sessions", "sessions"),
        ("/account/notifications", "notification-settings"),
        ("/account/email", "email"),
        ("/account/delete", "delete-account-owner"),
        ("/orgs/acme/settings/team", "members-with-pictures"),
    ] {
        olivia.visit(&roster.url(page));
        olivia.pictures(name);
    }
    olivia.press("Actions for Mia Member");
    olivia.pictures("members-row-menu");
    mia.visit(&roster.url("/account/delete"));
    mia.pictures("delete-account");
    mia.visit(&roster.url("/account/email"));
    mia.fill("New email address", "mia.new@example.test");
    mia.fill("Your password", PASSWORD);
    mia.press("Change address");
    mia.see("Waiting for confirmation");
    mia.pictures("email-waiting");

    other.forget();
    other.visit(&roster.url("/forgot-password"));
    other.pictures("forgot-password");
    other.fill("Email", "olivia@example.test");
    other.press("Send the letter");
    other.see("a letter is on its way");
    other.pictures("sign-in-letter-sent");
    other.visit(&roster.link(
        "olivia@example.test",
        "Choose a new password",
        "/reset-password/",
    ));
    other.pictures("reset-password");
    other.visit(&roster.url("/reset-password/nothing"));
    other.pictures("dead-link");

    roster.restart_with(&[("LEGAL_DOCUMENTS", &documents)]);
    other.visit(&roster.url("/sign-up"));
    other.pictures("sign-up-with-terms");
    other.visit(&roster.url("/legal/privacy-notice"));
    other.pictures("legal");
    other.visit(&roster.url("/sign-in"));
    other.fill("Email", "olivia@example.test");
    other.fill("Password", PASSWORD);
    other.press("Sign in");
    other.at("/consent");
    other.pictures("consent");
    other.press("Continue");
    other.see("Please check what you entered.");
    other.pictures("consent-with-error");
}

#[test]
fn the_settings() {
    let roster = Roster::start();
    let olivia = roster.sign_up("Olivia Owner", "olivia@example.test", "Acme");
    join_all(&roster, &olivia, &PERSONAS[..3]);
    join_all(&roster, &olivia, &OTHERS[4..]);
    invite(&roster, &olivia, "grace@example.test", "Member", "Sent");
    invite(&roster, &olivia, "late@example.test", "Member", "Sent");
    expire(&roster, "late@example.test");
    olivia.visit(&roster.url(&format!("{INVITATIONS}?q=grace")));
    olivia.press("Actions for grace@example.test");
    olivia.press("Revoke");
    olivia.press("Revoke Invitation");
    olivia.see("is revoked");
    olivia.visit(&roster.url("/orgs/acme/settings/general"));
    olivia.fill("Organization name", "Acme Works");
    olivia.fill(
        "Application address (optional)",
        "https://app.example.test/start",
    );
    olivia.press("Save settings");
    olivia.see("Settings saved.");
    olivia.pictures("general");
    for (page, name) in [
        ("/orgs/new", "new-organization"),
        ("/orgs/acme/delete", "delete-organization"),
        ("/orgs/acme/transfer-ownership", "transfer-ownership"),
        ("/orgs/acme/settings/audit", "audit-log"),
        ("/orgs/acme/settings/audit?verb=remove", "audit-log-empty"),
        ("/orgs/acme/settings/review", "review"),
        ("/orgs/acme/settings/review?days=30", "review-30"),
        ("/orgs/acme/settings/team/invite/import", "import"),
        ("/orgs/acme/settings/team/invite", "invite-page"),
    ] {
        olivia.visit(&roster.url(page));
        olivia.pictures(name);
    }
    olivia.visit(&roster.url("/orgs/acme/settings/team/invite/import"));
    let rows = "email,role\nkim@example.test,Member\nnobody,Viewer\nmia@example.test,Owner\n";
    olivia.upload("CSV file", &roster.file("people.csv", rows.as_bytes()));
    olivia.press("Send Invitations");
    olivia.see("Invited 1 person.");
    olivia.pictures("import-with-errors");
    olivia.visit(&roster.url("/orgs/acme/delete"));
    olivia.press("Delete organization");
    olivia.see("Please check what you entered.");
    olivia.pictures("delete-organization-with-errors");

    // Somebody whose address is not confirmed, with a second organization.
    let noor = roster.sign_up("Nina Second", "nina@example.test", "Second");
    noor.visit(&roster.url("/orgs/second/settings/team/invite"));
    noor.pictures("invite-not-confirmed");
}

/// A mail server that wants another login: the banner says so, and stays until a letter goes out.
#[test]
fn no_letters_go_out() {
    let roster = Roster::start();
    let olivia = roster.sign_up("Olivia Owner", "olivia@example.test", "Acme");
    roster.mail.always(
        Phase::Mail,
        Act::reply(530, "5.7.0 Authentication required for roster@localhost"),
    );
    invite(
        &roster,
        &olivia,
        "noor@example.test",
        "Member",
        "Email has not been going out",
    );
    keep(&olivia, "team-mail-trouble");
}
