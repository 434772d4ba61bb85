//! What people do with their own account: address, password, picture, sessions, letters, consent, goodbye.

use crate::roster::{PASSWORD, Roster, plain_visitor, portrait, sign_in_here, visitor};
use crate::support::Browser;

const TEAM: &str = "/orgs/acme/settings/team";
const OLIVIA: &str = "olivia@example.test";
const NOOR: &str = "noor@example.test";
const MIA: &str = "mia@example.test";
const NEW_PASSWORD: &str = "helle steine 42 rollen";
const TERMS: &str = "Terms|1|https://example.test/terms";
const NEWER_TERMS: &str = "Terms|2|https://example.test/terms";
const CONSENT: &str = "I accept the Terms (version 1)";
const NEWER_CONSENT: &str = "I accept the Terms (version 2)";

fn olivia_of(roster: &Roster) -> Browser {
    roster.sign_up("Olivia Owner", OLIVIA, "Acme")
}

#[test]
fn an_invitation_waits_behind_the_bell() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    let noor = roster.sign_up("Noor Newcomer", NOOR, "Elsewhere");
    noor.visit(&roster.url("/notifications"));
    noor.see("Nothing has happened yet.");
    noor.sound();
    noor.visit(&roster.url("/invitations"));
    noor.see("No open invitations.");
    noor.see("Confirm that noor@example.test is yours");
    noor.sound();
    roster.invite(&olivia, &[NOOR], "Member");

    // An address that is not confirmed may be somebody else's.
    noor.visit(&roster.url("/"));
    noor.see("Confirm your address: we sent a letter to noor@example.test.");
    noor.miss("invited you to join");
    noor.sound();
    roster.confirm(&noor, NOOR);
    noor.at("/");
    noor.see("Olivia Owner invited you to join Acme");
    noor.sound();
    noor.press("Reject");
    noor.see("Reject the invitation to Acme?");
    noor.sound();
    noor.press("Cancel");
    noor.at("/invitations");
    noor.sound();

    noor.press("Notifications (1)");
    noor.at("/notifications");
    noor.see("Olivia Owner invited you to join Acme");
    noor.see("Nothing else has happened yet.");
    noor.sound();
    noor.press("Accept");
    noor.at("/orgs/acme");
    noor.see("You're in. Welcome to Acme. You joined as Member.");
    noor.press("Notifications");

    olivia.visit(&roster.url("/"));
    olivia.press("Notifications (1)");
    olivia.see("New Noor Newcomer joined Acme as Member.");
    olivia.sound();
    olivia.press("Mark all as read");
    olivia.see("Marked as read.");
    olivia.miss("New Noor");
    olivia.sound();
    olivia.press("Notifications");
    olivia.press("See the members");
    olivia.at(TEAM);
    olivia.see("2 members");
}

#[test]
fn a_picture_is_shown_to_everybody() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    olivia.press("Account menu of Olivia Owner");
    olivia.press("Account");
    olivia.at("/account");
    assert_eq!(olivia.title(), "Profile · Roster");
    olivia.sound();
    olivia.press("Upload picture");
    olivia.see("Choose a picture.");
    olivia.sound();
    let drawing = b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>";
    olivia.upload("Your picture", &roster.file("drawing.png", drawing));
    olivia.press("Upload picture");
    olivia.see("This is not a picture we can read. Choose a PNG, JPEG, GIF or WebP file.");
    assert_eq!(olivia.title(), "Error: Profile · Roster");
    olivia.sound();
    olivia.upload("Your picture", &roster.file("me.png", &portrait()));
    olivia.press("Upload picture");
    olivia.see("Your picture is changed.");
    olivia.see_picture("Your picture");
    olivia.see_picture("Account menu of Olivia Owner");
    olivia.sound();

    let mia = roster.joined(&olivia, MIA, "Mia Member", "Member");
    mia.visit(&roster.url(TEAM));
    mia.see_picture("Olivia Owner");
    mia.sound();
    olivia.visit(&roster.url("/account"));
    olivia.press("Remove picture");
    olivia.see("Your picture is removed.");
    olivia.sound();

    olivia.fill("Your name", "");
    olivia.press("Save name");
    olivia.see("Your name: Fill this in.");
    olivia.sound();
    olivia.fill("Your name", "Olivia O. Owner");
    olivia.press("Save name");
    olivia.see("Your name is Olivia O. Owner now.");
    mia.reload();
    mia.see("Olivia O. Owner");
}

#[test]
fn a_forgotten_password_is_replaced_by_letter() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    let elsewhere = visitor();
    elsewhere.visit(&roster.url("/sign-in"));
    elsewhere.press("Forgot your password?");
    elsewhere.sound();
    elsewhere.press("Send the letter");
    elsewhere.see("Please check what you entered.");
    elsewhere.sound();
    elsewhere.fill("Email", OLIVIA);
    elsewhere.press("Send the letter");
    elsewhere.at("/sign-in");
    elsewhere.see("If there is an account for olivia@example.test, a letter is on its way.");
    elsewhere.sound();

    let link = roster.link(OLIVIA, "Choose a new password", "/reset-password/");
    elsewhere.visit(&link);
    elsewhere.see("Choose a new password");
    assert_eq!(elsewhere.value("Email"), OLIVIA);
    elsewhere.sound();
    elsewhere.fill("New password", "short");
    elsewhere.press("Set new password");
    elsewhere.see("Please check what you entered.");
    elsewhere.sound();
    elsewhere.fill("New password", NEW_PASSWORD);
    elsewhere.press("Set new password");
    elsewhere.at("/");
    elsewhere.see("Your password is changed. Every other browser was signed out.");
    elsewhere.sound();

    // Her old browser learns of it at its next click.
    olivia.press("Team settings");
    olivia.at("/sign-in");
    olivia.sound();
    elsewhere.visit(&link);
    elsewhere.see("This link has already been used.");
    elsewhere.sound();
    olivia.visit(&roster.url("/reset-password/nothing"));
    olivia.sound();
    roster.sign_in(&olivia, OLIVIA, NEW_PASSWORD);
    olivia.see("Your organizations");
    roster.letter(OLIVIA, "Your password was changed");
}

#[test]
fn an_address_is_confirmed_and_changed_by_letter() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    let elsewhere = visitor();
    roster.sign_in(&elsewhere, OLIVIA, PASSWORD);
    olivia.visit(&roster.url("/account"));
    olivia.see("Not confirmed");
    let link = roster.link(OLIVIA, "Confirm your email address", "/verify-email/");
    olivia.visit(&link);
    olivia.see("Is olivia@example.test yours");
    olivia.sound();
    olivia.press("Confirm address");
    olivia.at("/");
    olivia.see("olivia@example.test is confirmed.");
    olivia.sound();
    olivia.visit(&link);
    olivia.see("Your address is confirmed.");
    olivia.sound();
    olivia.visit(&roster.url("/account"));
    olivia.see("Confirmed");
    olivia.press("Change email");
    olivia.at("/account/email");
    olivia.see("Your address is olivia@example.test, and it is confirmed.");
    olivia.sound();
    olivia.fill("New email address", "owner@example.test");
    olivia.fill("Your password", "not this one");
    olivia.press("Change address");
    olivia.see("That is not your password.");
    assert_eq!(olivia.value("New email address"), "owner@example.test");
    olivia.sound();
    olivia.fill("Your password", PASSWORD);
    olivia.press("Change address");
    olivia.see("We sent a letter to owner@example.test. Nothing changes until you open its link.");
    olivia.see("Waiting for confirmation of owner@example.test.");
    olivia.see("Your address is olivia@example.test");
    olivia.sound();

    olivia.visit(&roster.link(
        "owner@example.test",
        "Confirm your email address",
        "/verify-email/",
    ));
    olivia.see("will use owner@example.test from now on");
    olivia.sound();
    olivia.press("Confirm address");
    olivia.see("Your address is owner@example.test from now on.");
    roster.letter(OLIVIA, "Your email address was changed");
    elsewhere.reload();
    elsewhere.at("/sign-in");
    roster.sign_in(&elsewhere, "owner@example.test", PASSWORD);
    elsewhere.see("Your organizations");
}

#[test]
fn another_browser_is_signed_out() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    let elsewhere = visitor();
    roster.sign_in(&elsewhere, OLIVIA, PASSWORD);
    olivia.visit(&roster.url("/account/sessions"));
    olivia.see("Chrome on Linux This browser");
    olivia.sound();
    olivia.press("Sign out Chrome on Linux, 127.0.0.1");
    olivia.see("That browser is signed out.");
    olivia.miss("Sign out all others");
    olivia.sound();
    elsewhere.reload();
    elsewhere.at("/sign-in");

    roster.sign_in(&elsewhere, OLIVIA, PASSWORD);
    olivia.reload();
    olivia.press("Sign out all others");
    olivia.see("Every other browser is signed out.");
    elsewhere.reload();
    elsewhere.at("/sign-in");

    // A new password does the same.
    roster.sign_in(&elsewhere, OLIVIA, PASSWORD);
    olivia.press("Security");
    olivia.at("/account/security");
    olivia.sound();
    olivia.fill("Current password", "not this one");
    olivia.fill("New password", NEW_PASSWORD);
    olivia.press("Change password");
    olivia.see("That is not your password.");
    olivia.sound();
    olivia.fill("Current password", PASSWORD);
    olivia.fill("New password", NEW_PASSWORD);
    olivia.press("Change password");
    olivia.see("Your password is changed. Every other browser is signed out.");
    olivia.sound();
    elsewhere.reload();
    elsewhere.at("/sign-in");
}

#[test]
fn letters_are_switched_off_and_the_bell_still_tells() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    olivia.visit(&roster.url("/account/notifications"));
    olivia.see("Always on");
    olivia.sound();
    assert!(olivia.chosen("Somebody accepts my invitation"));
    olivia.choose("Somebody accepts my invitation");
    olivia.press("Save");
    olivia.see("Saved.");
    assert!(!olivia.chosen("Somebody accepts my invitation"));
    assert!(olivia.chosen("Somebody rejects my invitation"));
    olivia.sound();

    drop(roster.joined(&olivia, MIA, "Mia Member", "Member"));
    let noor = roster.sign_up("Noor Newcomer", NOOR, "Elsewhere");
    roster.invite(&olivia, &[NOOR], "Member");
    noor.visit(&roster.link_for(NOOR));
    noor.press("Reject");
    noor.press("Reject Invitation");
    // The letter of what came later is there, so the earlier one would be too.
    roster.letter(OLIVIA, "rejected your invitation");
    let letters = roster.mail.received();
    assert!(
        !letters
            .iter()
            .any(|letter| letter.subject().contains("joined Acme"))
    );
    olivia.visit(&roster.url("/notifications"));
    olivia.see("Mia Member joined Acme as Member.");
    olivia.see("noor@example.test rejected your invitation to Acme.");
    olivia.sound();
}

#[test]
fn an_account_is_deleted_after_its_warnings() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    let mia = roster.joined(&olivia, MIA, "Mia Member", "Member");
    olivia.visit(&roster.url("/account/security"));
    olivia.press("Delete your account");
    olivia.at("/account/delete");
    olivia.see("You're the only owner of this organization, and others are in it.");
    olivia.sound();
    olivia.press("Transfer ownership of Acme");
    olivia.at("/orgs/acme/transfer-ownership");

    mia.visit(&roster.url("/orgs/new"));
    mia.fill("Organization name", "Side Project");
    mia.press("Create organization");
    mia.see("Side Project is ready.");
    mia.visit(&roster.url("/account/delete"));
    mia.see("Nobody else is in this organization. It is deleted with your account");
    mia.see("You leave: Acme");
    mia.sound();
    mia.fill("Password", "not this one");
    mia.press("Delete account");
    mia.see("That is not your password.");
    mia.sound();
    mia.fill("Password", PASSWORD);
    mia.press("Delete account");
    mia.see("Your account is deleted.");
    mia.sound();
    mia.visit(&roster.url("/sign-in"));
    mia.fill("Email", MIA);
    mia.fill("Password", PASSWORD);
    mia.press("Sign in");
    mia.see("Email or password is not right.");
    olivia.visit(&roster.url(TEAM));
    olivia.see("1 member");
}

#[test]
fn terms_are_accepted_before_joining_and_again_when_they_change() {
    let mut roster = Roster::start_with(&[("LEGAL_DOCUMENTS", TERMS)]);
    let olivia = visitor();
    olivia.visit(&roster.url("/sign-up"));
    olivia.sound();
    olivia.fill("Your name", "Olivia Owner");
    olivia.fill("Email", OLIVIA);
    olivia.fill("Password", PASSWORD);
    olivia.fill("Organization name", "Acme");
    olivia.press("Sign up");
    olivia.see("Please check what you entered.");
    olivia.sound();
    olivia.fill("Password", PASSWORD);
    olivia.choose(CONSENT);
    olivia.press("Sign up");
    olivia.see("You're in Acme");
    roster.invite(&olivia, &[NOOR, MIA], "Member");

    // Joining asks as signing up does.
    let noor = visitor();
    noor.visit(&roster.link_for(NOOR));
    noor.sound();
    noor.fill("Your name", "Noor Newcomer");
    noor.fill_in("I'm new here", "Password", PASSWORD);
    noor.press("Create account and join");
    noor.see("Please check what you entered.");
    noor.sound();
    noor.fill_in("I'm new here", "Password", PASSWORD);
    noor.choose(CONSENT);
    noor.press("Create account and join");
    noor.see("You're in. Welcome to Acme.");

    // A newer version is asked for at the next sign-in, wherever it should lead.
    let file = roster.file("privacy.txt", b"We keep little.\n\nAnd not for long.\n");
    let documents = format!("{NEWER_TERMS};Privacy notice|1|{}", file.display());
    roster.restart_with(&[("LEGAL_DOCUMENTS", &documents)]);
    noor.press("Account menu of Noor Newcomer");
    noor.press("Sign out");
    noor.at("/sign-in");
    roster.sign_in(&noor, NOOR, PASSWORD);
    noor.at("/consent");
    noor.see("Please accept the updated Terms (version 2) and Privacy notice (version 1).");
    noor.sound();
    noor.press("Continue");
    noor.see("Please check what you entered.");
    noor.sound();
    let both = "I accept the Terms (version 2) and Privacy notice (version 1)";
    noor.choose(both);
    noor.press("Continue");
    noor.at("/");
    noor.visit(&roster.url("/legal/privacy-notice"));
    noor.see("We keep little.");
    noor.sound();

    olivia.forget();
    olivia.visit(&roster.url(TEAM));
    olivia.fill("Email", OLIVIA);
    olivia.fill("Password", PASSWORD);
    olivia.press("Sign in");
    olivia.at("/consent");
    olivia.choose(both);
    olivia.press("Continue");
    olivia.at(TEAM);
}

#[test]
fn without_javascript() {
    let mut roster = Roster::start_with(&[("LEGAL_DOCUMENTS", TERMS)]);
    let olivia = plain_visitor();
    olivia.visit(&roster.url("/sign-up"));
    olivia.fill("Your name", "Olivia Owner");
    olivia.fill("Email", OLIVIA);
    olivia.fill("Password", PASSWORD);
    olivia.fill("Organization name", "Acme");
    olivia.choose(CONSENT);
    olivia.press("Sign up");
    olivia.see("You're in Acme");
    roster.confirm(&olivia, OLIVIA);

    // A picture.
    olivia.visit(&roster.url("/account"));
    olivia.upload("Your picture", &roster.file("me.png", &portrait()));
    olivia.press("Upload picture");
    olivia.see("Your picture is changed.");
    olivia.see_picture("Account menu of Olivia Owner");

    // Invitations from a file, one of them wrong.
    olivia.visit(&roster.url(&format!("{TEAM}/invite")));
    olivia.press("Upload a CSV file");
    let rows = "email,role\nnoor@example.test,Member\nnobody,Viewer\n";
    olivia.upload("CSV file", &roster.file("people.csv", rows.as_bytes()));
    olivia.press("Send Invitations");
    olivia.see("Invited 1 person.");
    olivia.see("Row 3: nobody is not a complete email address");

    // The bell.
    let noor = plain_visitor();
    noor.visit(&roster.url("/sign-up"));
    noor.fill("Your name", "Noor Newcomer");
    noor.fill("Email", NOOR);
    noor.fill("Password", PASSWORD);
    noor.fill("Organization name", "Elsewhere");
    noor.choose(CONSENT);
    noor.press("Sign up");
    noor.see("You're in Elsewhere");
    roster.confirm(&noor, NOOR);
    noor.press("Notifications (1)");
    noor.press("Accept");
    noor.see("You're in. Welcome to Acme.");
    olivia.visit(&roster.url("/"));
    olivia.press("Notifications (1)");
    olivia.press("Mark all as read");
    olivia.see("Marked as read.");

    // A forgotten password.
    let elsewhere = plain_visitor();
    elsewhere.visit(&roster.url("/forgot-password"));
    elsewhere.fill("Email", OLIVIA);
    elsewhere.press("Send the letter");
    elsewhere.visit(&roster.link(OLIVIA, "Choose a new password", "/reset-password/"));
    elsewhere.fill("New password", NEW_PASSWORD);
    elsewhere.press("Set new password");
    elsewhere.see("Your password is changed.");
    olivia.reload();
    olivia.at("/sign-in");

    // Terms that changed.
    roster.restart_with(&[("LEGAL_DOCUMENTS", NEWER_TERMS)]);
    olivia.visit(&roster.url("/account/sessions"));
    olivia.fill("Email", OLIVIA);
    olivia.fill("Password", NEW_PASSWORD);
    olivia.press("Sign in");
    olivia.at("/consent");
    olivia.choose(NEWER_CONSENT);
    olivia.press("Continue");
    olivia.at("/account/sessions");
    for browser in [olivia, noor, elsewhere] {
        assert_eq!(browser.console_errors(), [""; 0]);
    }
}

#[test]
fn newer_terms_are_accepted_on_the_way_into_an_organization() {
    let mut roster = Roster::start();
    let olivia = olivia_of(&roster);
    let noor = roster.sign_up("Noor Newcomer", NOOR, "Elsewhere");
    let mia = roster.sign_up("Mia Member", MIA, "Somewhere");
    roster.invite(&olivia, &[NOOR, MIA], "Member");
    roster.restart_with(&[("LEGAL_DOCUMENTS", TERMS)]);

    // Signed in already: the invitation asks.
    noor.visit(&roster.link_for(NOOR));
    noor.see("Before you join, please accept the updated Terms (version 1).");
    noor.sound();
    noor.press("Continue");
    noor.see("Please check what you entered.");
    noor.sound();
    noor.choose(CONSENT);
    noor.press("Continue");
    noor.see("You're in. Welcome to Acme.");

    // Signed out: signing in asks, and leads back to the invitation.
    mia.forget();
    mia.visit(&roster.link_for(MIA));
    sign_in_here(&mia);
    mia.at("/consent");
    mia.choose(CONSENT);
    mia.press("Continue");
    mia.press("Accept");
    mia.see("You're in. Welcome to Acme.");
}
