//! What happens to a membership after joining, with two browsers at once: the one who acts, and the one it happens to.

use crate::roster::{PASSWORD, Roster};
use crate::support::Browser;

const TEAM: &str = "/orgs/acme/settings/team";
const MIA: &str = "mia@example.test";

fn olivia_of(roster: &Roster) -> Browser {
    roster.sign_up("Olivia Owner", "olivia@example.test", "Acme")
}

/// Opens a row's menu on the members page and picks an entry.
#[track_caller]
fn pick(admin: &Browser, roster: &Roster, name: &str, entry: &str) {
    admin.visit(&roster.url(TEAM));
    admin.press(&format!("Actions for {name}"));
    admin.press(entry);
}

#[test]
fn a_new_role_counts_at_the_next_click() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    let mia = roster.joined(&olivia, MIA, "Mia Member", "Member");
    mia.visit(&roster.url(TEAM));
    mia.see("Only owners and admins can invite people.");

    olivia.visit(&roster.url(TEAM));
    olivia.press("Actions for Olivia Owner");
    olivia.see("Nobody changes their own role.");
    olivia.sound();
    pick(&olivia, &roster, "Mia Member", "Change role");
    olivia.see("Change the role of Mia Member");
    assert!(olivia.chosen("Member"));
    olivia.sound();
    olivia.press("Continue");
    olivia.see("Mia Member is Member already.");
    olivia.sound();
    olivia.choose("Admin");
    olivia.press("Continue");
    olivia.see("Change Mia Member to Admin?");
    olivia.see("This takes effect immediately and we'll email Mia Member.");
    olivia.sound();
    olivia.press("Change role");
    olivia.at(TEAM);
    olivia.see("Mia Member is Admin now.");
    assert!(olivia.row("Mia Member").contains("Admin"));

    mia.press("Team");
    mia.see("Invite Member");
    let letter = roster.letter(MIA, "Olivia Owner changed your role in Acme to Admin");
    assert!(letter.text().contains("From Member to Admin."));
}

#[test]
fn whoever_is_removed_is_signed_out_at_the_next_click() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    let mia = roster.joined(&olivia, MIA, "Mia Member", "Admin");
    mia.visit(&roster.url(&format!("{TEAM}/invite")));
    mia.fill("Email addresses", "friend@example.test");

    pick(&olivia, &roster, "Mia Member", "Remove from organization");
    olivia.see("Remove Mia Member from Acme?");
    olivia.see("They lose access to Acme immediately and are signed out.");
    olivia.focus_at("Cancel");
    olivia.sound();
    olivia.press("Remove Mia Member");
    olivia.at(TEAM);
    olivia.see("Mia Member is removed.");
    olivia.see("1 member");

    // What she was about to do no longer happens.
    mia.press("Send Invitation");
    mia.see("Sign in");
    mia.sound();
    mia.fill("Email", MIA);
    mia.fill("Password", PASSWORD);
    mia.press("Sign in");
    mia.see("You're not in any organization.");
    mia.visit(&roster.url("/orgs/acme"));
    mia.see("We can't find that organization.");
    mia.sound();
    roster.letter(MIA, "Olivia Owner removed you from Acme");
    olivia.visit(&roster.url(&format!("{TEAM}/invitations")));
    olivia.miss("friend@example.test");
}

#[test]
fn ownership_is_handed_over_and_the_former_owner_leaves() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    let mia = roster.joined(&olivia, MIA, "Mia Member", "Member");
    olivia.visit(&roster.url("/orgs/acme/leave"));
    olivia.see("You're the only owner of Acme. Transfer ownership before you leave.");
    olivia.sound();
    olivia.press("Transfer ownership");
    olivia.see("Transfer ownership of Acme");
    olivia.choose("Mia Member");
    olivia.fill("Organization address", "acme");
    olivia.fill("Password", "not the password");
    olivia.press("Transfer ownership");
    olivia.see("That is not your password.");
    assert_eq!(olivia.title(), "Error: Transfer ownership · Acme · Roster");
    assert!(olivia.chosen("Mia Member"));
    olivia.sound();
    olivia.fill("Password", PASSWORD);
    olivia.press("Transfer ownership");
    olivia.see("Mia Member is Owner now, and you are Admin.");
    mia.visit(&roster.url(TEAM));
    assert!(mia.row("Mia Member").contains("Owner"));

    olivia.visit(&roster.url("/orgs/acme/leave"));
    olivia.see("Leave Acme?");
    olivia.sound();
    olivia.press("Leave Organization");
    olivia.at("/orgs/olivia-owners-organization");
    olivia.see("You left Acme. This is an organization of your own.");
    olivia.sound();
    mia.reload();
    mia.see("1 member");
    mia.sound();
}

#[test]
fn without_javascript() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    drop(roster.joined(&olivia, MIA, "Mia Member", "Member"));
    let rex = roster.joined(&olivia, "rex@example.test", "Rex Ready", "Member");
    let plain = Browser::open_without_javascript();
    plain.visit(&roster.url("/sign-in"));
    plain.fill("Email", "olivia@example.test");
    plain.fill("Password", PASSWORD);
    plain.press("Sign in");
    pick(&plain, &roster, "Mia Member", "Change role");
    plain.choose("Viewer");
    plain.press("Continue");
    plain.press("Change role");
    plain.see("Mia Member is Viewer now.");
    pick(&plain, &roster, "Rex Ready", "Remove from organization");
    plain.press("Remove Rex Ready");
    plain.see("Rex Ready is removed.");
    rex.reload();
    rex.see("Sign in");
    plain.visit(&roster.url("/orgs/acme/transfer-ownership"));
    plain.choose("Mia Member");
    plain.fill("Organization address", "acme");
    plain.fill("Password", PASSWORD);
    plain.press("Transfer ownership");
    plain.see("Mia Member is Owner now, and you are Admin.");
    plain.visit(&roster.url("/orgs/acme/leave"));
    plain.press("Leave Organization");
    plain.see("You left Acme.");
    plain.at("/orgs/olivia-owners-organization");
    plain.press("Organization: Olivia Owner's organization Owner");
    plain.press("Create organization");
    plain.fill("Organization name", "Second Works");
    plain.press("Create organization");
    plain.at("/orgs/second-works");
    plain.press("Organization: Second Works Owner");
    plain.press("Olivia Owner's organization Owner");
    plain.at("/orgs/olivia-owners-organization");
    assert_eq!(plain.console_errors(), [""; 0]);
}
