//! What people come for, from the first visit to membership: in the real program, with letters
//! that travel over SMTP. On every page axe and the console are asked whether something is wrong.

use std::time::Duration;

use fantoccini::key::Key;

use crate::roster::{PASSWORD, Roster, join_here, reload_until, sign_in_here, visitor};
use crate::smtp::{Act, Phase};
use crate::support::Browser;

const TEAM: &str = "/orgs/acme/settings/team";
const INVITATIONS: &str = "/orgs/acme/settings/team/invitations";
const NOOR: &str = "noor@example.test";
const ADAM: &str = "adam@example.test";

fn olivia_of(roster: &Roster) -> Browser {
    roster.sign_up("Olivia Owner", "olivia@example.test", "Acme")
}

#[test]
fn a_newcomer_invites_and_the_invited_join() {
    let roster = Roster::start();
    let olivia = visitor();
    olivia.visit(&roster.url("/"));
    olivia.at("/sign-in");
    olivia.sound();
    olivia.press("Sign up");
    olivia.sound();
    olivia.fill("Your name", "Olivia Owner");
    olivia.fill("Email", "olivia@example.test");
    olivia.fill("Password", "password");
    olivia.fill("Organization name", "Acme");
    olivia.press("Sign up");
    olivia.see("Please check what you entered.");
    assert_eq!(olivia.title(), "Error: Sign up · Roster");
    assert_eq!(olivia.value("Organization name"), "Acme");
    olivia.sound();
    olivia.fill("Password", PASSWORD);
    olivia.press("Sign up");

    olivia.at("/orgs/acme");
    olivia.see("You're in Acme");
    olivia.see("Start with your team");
    olivia.sound();
    olivia.press("Team settings");
    olivia.at(TEAM);
    assert_eq!(olivia.title(), "Team · Acme · Roster");
    olivia.see("It's just you so far. Invite teammates to work with you in Acme.");
    olivia.sound();

    // A mail server that takes its time does not hold up the page.
    roster
        .mail
        .always(Phase::Data, Act::Slow(Duration::from_secs(4)));
    olivia.press("Invite Member");
    olivia.see("They get an email with a link to join Acme.");
    olivia.focus_at("Email addresses");
    assert!(olivia.chosen("Member"));
    olivia.sound();
    olivia.fill("Email addresses", &format!("{NOOR}\n{ADAM}"));
    olivia.choose("Admin");
    olivia.fill("Message (optional)", "Good to have you with us!");
    olivia.press("Send Invitation");
    olivia.at(INVITATIONS);
    olivia.see("Invited 2 people.");
    assert!(olivia.row(NOOR).contains("Pending"), "{}", olivia.row(NOOR));
    olivia.sound();
    roster.mail.behave();
    reload_until(&olivia, "Sent");
    let row = olivia.row(NOOR);
    assert!(row.contains("Admin") && row.contains("in 7 days"), "{row}");

    let letter = roster.letter(NOOR, "Olivia Owner invited you to join Acme");
    assert!(letter.text().contains("Good to have you with us!"));
    let noor = visitor();
    noor.visit(&roster.link_for(NOOR));
    noor.see("Olivia Owner invited you to join Acme");
    noor.see("For noor@example.test");
    noor.sound();
    join_here(&noor, "Noor Newcomer");
    noor.at("/orgs/acme");
    noor.see("You're in. Welcome to Acme. You joined as Admin.");
    noor.sound();

    noor.press("Team settings");
    let row = noor.row("Noor Newcomer");
    assert!(row.contains("You") && row.contains("Admin"), "{row}");
    noor.see("2 members · 1 pending invitation");
    noor.sound();
    noor.press("History");
    let row = noor.row(NOOR);
    assert!(row.contains("Accepted"), "{row}");
    noor.sound();
    noor.press(NOOR);
    noor.see("Good to have you with us!");
    noor.sound();
}

#[test]
fn invite_another_keeps_the_dialog_and_its_role() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    olivia.visit(&roster.url(TEAM));
    olivia.press("Invite Member");
    for email in [NOOR, ADAM] {
        olivia.fill("Email addresses", email);
        olivia.choose("Viewer");
        olivia.press("Invite another");
        // The focus was at the button: here it is the next page's.
        olivia.focus_at("Email addresses");
        olivia.see("Invited 1 person.");
        assert_eq!(olivia.value("Email addresses"), "");
        assert!(olivia.chosen("Viewer"), "the role is kept");
    }
    olivia.sound();
    olivia.press("Cancel");
    olivia.focus_at("Invite Member");
    olivia.press("Pending invitations (2)");
    for email in [NOOR, ADAM] {
        assert!(olivia.row(email).contains("Viewer"));
        roster.letter(email, "Olivia Owner invited you to join Acme");
    }
}

#[test]
fn somebody_with_an_account_rejects() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    let noor = roster.sign_up("Noor Newcomer", NOOR, "Elsewhere");
    roster.invite(&olivia, &[NOOR], "Member");
    noor.press("Account menu of Noor Newcomer");
    noor.sound();
    noor.press("Sign out");
    noor.at("/sign-in");

    noor.visit(&roster.link_for(NOOR));
    noor.fill_in("I have an account", "Password", "not this one");
    noor.press("Sign in");
    noor.see("Email or password is not right.");
    noor.sound();
    noor.visit(&roster.link_for(NOOR));
    sign_in_here(&noor);
    noor.see("Signed in as Noor Newcomer (noor@example.test)");
    noor.sound();
    noor.press("Reject");
    noor.see("Reject the invitation to Acme?");
    noor.sound();
    noor.press("Cancel");
    noor.see("Signed in as Noor Newcomer");
    noor.press("Reject");
    noor.press("Reject Invitation");
    noor.see("You rejected the invitation to Acme. Olivia Owner has been told.");
    noor.at("/");
    noor.sound();

    let letter = roster.letter("olivia@example.test", "noor@example.test rejected");
    assert!(
        !letter.text().contains("/accept-invitation/"),
        "no link for others"
    );
    noor.visit(&roster.link_for(NOOR));
    noor.see("You rejected this invitation.");
    noor.sound();
    olivia.visit(&roster.url(&format!("{INVITATIONS}?state=rejected")));
    assert!(olivia.row(NOOR).contains("Rejected"));
    olivia.sound();
}

#[test]
fn the_copied_link_is_the_mailed_one() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    olivia.allow_clipboard();
    roster.invite(&olivia, &[NOOR, ADAM], "Member");
    olivia.visit(&roster.url(INVITATIONS));
    olivia.press(&format!("Actions for {NOOR}"));
    olivia.sound();
    olivia.press("Copy link");
    olivia.see("Link copied. Only noor@example.test can use it.");
    assert_eq!(olivia.clipboard(), roster.link_for(NOOR));
    olivia.sound();

    olivia.press(ADAM);
    olivia.press("Copy link");
    olivia.see("Link copied. Only adam@example.test can use it.");
    assert_eq!(olivia.clipboard(), roster.link_for(ADAM));
    olivia.reload();
    olivia.see("Someone may have shared it outside email");
    olivia.sound();
}

#[test]
fn resend_revoke_and_invite_again() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    roster.invite(&olivia, &[NOOR], "Viewer");
    let link = roster.link_for(NOOR);
    olivia.visit(&roster.url(INVITATIONS));
    olivia.press(&format!("Actions for {NOOR}"));
    olivia.see("You can resend in");
    olivia.sound();

    // A minute later.
    roster.rewrite("UPDATE deliveries SET created_at = created_at - 61000000, finished_at = finished_at - 61000000");
    olivia.reload();
    olivia.press(&format!("Actions for {NOOR}"));
    olivia.press("Resend");
    olivia.see("Invitation resent to noor@example.test.");
    roster.mail.wait_for(2);
    assert_eq!(roster.letters_to(NOOR), 2);
    assert_eq!(
        roster.link_for(NOOR),
        link,
        "the earlier letter keeps working"
    );
    olivia.press(NOOR);
    olivia.see("Resent");
    olivia.see("You can resend in");
    olivia.sound();

    olivia.press("Change role");
    olivia.see("Change the role for noor@example.test");
    assert!(olivia.chosen("Viewer"));
    olivia.sound();
    olivia.choose("Member");
    olivia.press("Change role");
    olivia.see("noor@example.test will join as Member.");

    olivia.press(&format!("Actions for {NOOR}"));
    olivia.press("Revoke");
    olivia.see("Revoke the invitation for noor@example.test?");
    olivia.see("The link stops working immediately.");
    olivia.sound();
    olivia.press("Cancel");
    olivia.at(INVITATIONS);
    olivia.press(&format!("Actions for {NOOR}"));
    olivia.press("Revoke");
    olivia.press("Revoke Invitation");
    olivia.see("The invitation for noor@example.test is revoked.");
    olivia.see("No pending invitations.");
    olivia.sound();

    let noor = visitor();
    noor.visit(&link);
    noor.see("This invitation is no longer valid.");
    noor.see("It was withdrawn.");
    noor.sound();

    olivia.press("History");
    olivia.press(&format!("Actions for {NOOR}"));
    olivia.press("Invite again");
    assert_eq!(olivia.value("Email addresses"), NOOR);
    assert!(olivia.chosen("Member"));
    olivia.sound();
}

#[test]
fn the_wrong_account_leads_back_to_the_same_invitation() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    drop(roster.sign_up("Noor Newcomer", NOOR, "Elsewhere"));
    roster.invite(&olivia, &[NOOR], "Member");
    let link = roster.link_for(NOOR);
    // Olivia opens the letter in her own browser.
    olivia.visit(&link);
    olivia.see("This invitation is for another address.");
    olivia.see("It was sent to n•••@example.test. You're signed in as olivia@example.test.");
    olivia.sound();
    olivia.press("Sign out and continue");
    olivia.see("Olivia Owner invited you to join Acme");
    assert_eq!(olivia.address().as_str(), link);
    sign_in_here(&olivia);
    olivia.see("Signed in as Noor Newcomer");
    olivia.press("Accept");
    olivia.see("You're in. Welcome to Acme. You joined as Member.");
    olivia.sound();
    olivia.visit(&link);
    olivia.see("You're already in Acme as Member.");
    olivia.sound();
    olivia.press("Open Acme");
    olivia.at("/orgs/acme");
    olivia.press("Organization: Acme Member");
    olivia.sound();
    olivia.press_in("Elsewhere", "Elsewhere Owner");
    olivia.see("You're in Elsewhere");
}

#[test]
fn the_keyboard_is_enough() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    olivia.visit(&roster.url(TEAM));
    olivia.key(Key::Tab);
    olivia.focus_at("Skip to content");
    olivia.sound();
    olivia.key(Key::Tab);
    olivia.focus_at("Roster");

    olivia.press("Invite Member");
    olivia.focus_at("Email addresses");
    olivia.key(Key::Escape);
    olivia.miss("They get an email with a link");
    olivia.focus_at("Invite Member");
    olivia.key(Key::Enter);
    olivia.see("They get an email with a link");
    olivia.fill("Email addresses", "not-an-address");
    olivia.press("Send Invitation");
    olivia.see("Please check what you entered.");
    assert_eq!(olivia.title(), "Error: Invite Member · Acme · Roster");
    olivia
        .focus_at("Please check what you entered. not-an-address is not a complete email address");
    assert_eq!(olivia.value("Email addresses"), "not-an-address");
    olivia.sound();
    olivia.key(Key::Tab);
    olivia.key(Key::Enter);
    olivia.focus_at("Email addresses");

    olivia.fill("Email addresses", NOOR);
    olivia.press("Send Invitation");
    olivia.see("Invited 1 person.");
    olivia.focus_at("Invited 1 person.");
    olivia.press(&format!("Actions for {NOOR}"));
    olivia.key(Key::Escape);
    olivia.miss("Revoke");
    olivia.focus_at(&format!("Actions for {NOOR}"));
}

#[test]
fn without_javascript_everything_works() {
    let roster = Roster::start();
    let olivia = Browser::open_without_javascript();
    olivia.visit(&roster.url("/sign-up"));
    olivia.fill("Your name", "Olivia Owner");
    olivia.fill("Email", "olivia@example.test");
    olivia.fill("Password", PASSWORD);
    olivia.fill("Organization name", "Acme");
    olivia.press("Sign up");
    olivia.press("Team settings");
    olivia.press("Invite Member");
    olivia.at(&format!("{TEAM}/invite"));
    olivia.fill("Email addresses", &format!("{NOOR} {ADAM}"));
    olivia.choose("Admin");
    olivia.press("Send Invitation");
    olivia.see("Invited 2 people.");

    // Copy link: a page with the link to copy by hand.
    let mailed = roster.link_for(NOOR);
    olivia.press(&format!("Actions for {NOOR}"));
    olivia.press("Copy link");
    assert_eq!(olivia.value("Link for noor@example.test"), mailed);
    olivia.press("Done");
    olivia.at(INVITATIONS);

    let noor = Browser::open_without_javascript();
    noor.visit(&mailed);
    join_here(&noor, "Noor Newcomer");
    noor.see("You're in. Welcome to Acme. You joined as Admin.");

    let adam = Browser::open_without_javascript();
    adam.visit(&roster.url("/sign-up"));
    adam.fill("Your name", "Adam Admin");
    adam.fill("Email", ADAM);
    adam.fill("Password", PASSWORD);
    adam.fill("Organization name", "Elsewhere");
    adam.press("Sign up");
    adam.see("You're in Elsewhere");
    adam.visit(&roster.link_for(ADAM));
    adam.press("Reject");
    adam.press("Reject Invitation");
    adam.see("You rejected the invitation to Acme. Olivia Owner has been told.");
    roster.letter("olivia@example.test", "adam@example.test rejected");

    olivia.visit(&roster.url(&format!("{INVITATIONS}?state=all")));
    assert!(olivia.row(NOOR).contains("Accepted"));
    assert!(olivia.row(ADAM).contains("Rejected"));
    olivia.press("Account menu of Olivia Owner");
    olivia.press("Sign out");
    olivia.at("/sign-in");
    for browser in [olivia, noor, adam] {
        assert_eq!(browser.console_errors(), [""; 0]);
    }
}

#[test]
fn the_chosen_theme_stays() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    let dark = r#"data-theme="dark""#;
    olivia.press("Account menu of Olivia Owner");
    olivia.press("Dark");
    assert!(olivia.html().contains(dark));
    olivia.sound();
    olivia.press("Team settings");
    olivia.at(TEAM);
    assert!(olivia.html().contains(dark), "on every page");
    olivia.sound();
    olivia.press("Account menu of Olivia Owner");
    olivia.press("System");
    olivia.reload();
    assert!(!olivia.html().contains(dark));
    assert_eq!(olivia.console_errors(), [""; 0]);
}

#[test]
fn a_role_that_is_too_low_is_told_who_can() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    let mia = roster.joined(&olivia, "mia@example.test", "Mia Member", "Member");
    mia.visit(&roster.url(TEAM));
    mia.see("Only owners and admins can invite people. Ask Olivia Owner.");
    assert!(!mia.shows("olivia@example.test"), "names and roles only");
    assert!(!mia.shows("History"));
    mia.sound();
    mia.press("Roles");
    mia.see("What each role can do");
    mia.see("Yours is Member.");
    mia.sound();
    mia.visit(&roster.url(INVITATIONS));
    mia.see("Your role doesn't allow that");
    mia.see("Only owners and admins can see invitations. You are a Member here.");
    mia.see("Olivia Owner");
    mia.sound();
    mia.visit(&roster.url("/orgs/elsewhere"));
    mia.see("We can't find that organization.");
    mia.sound();
    mia.visit(&roster.url("/nowhere"));
    mia.see("We can't find that page.");
    mia.sound();

    let vic = roster.joined(&olivia, "vic@example.test", "Vic Viewer", "Viewer");
    vic.sound();
    assert!(!vic.shows("Team settings"));
    vic.visit(&roster.url(TEAM));
    vic.see("Your role doesn't allow that");
    vic.see("You are a Viewer here.");
    vic.sound();
}

#[test]
fn after_signing_out_nothing_is_left_to_see() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    olivia.visit(&roster.url(TEAM));
    olivia.see("It's just you so far.");
    olivia.press("Account menu of Olivia Owner");
    olivia.press("Sign out");
    olivia.at("/sign-in");
    olivia.sound();
    olivia.back();
    olivia.see("Sign in");
    assert!(!olivia.shows("Olivia"), "{}", olivia.text());

    // After signing in again we are where we wanted to be.
    olivia.visit(&roster.url(TEAM));
    olivia.fill("Email", "olivia@example.test");
    olivia.fill("Password", PASSWORD);
    olivia.press("Sign in");
    olivia.at(TEAM);
    olivia.see("It's just you so far.");
    assert_eq!(olivia.console_errors(), [""; 0]);
}
