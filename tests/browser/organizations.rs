//! Several organizations, their settings, and what their owners look up: log, review, a file of invitations.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::roster::{PASSWORD, Roster, plain_visitor, visitor};
use crate::support::Browser;

const TEAM: &str = "/orgs/acme/settings/team";
const GENERAL: &str = "/orgs/acme/settings/general";
const OLIVIA: &str = "olivia@example.test";
const NOOR: &str = "noor@example.test";
const MIA: &str = "mia@example.test";

fn olivia_of(roster: &Roster) -> Browser {
    roster.sign_up("Olivia Owner", OLIVIA, "Acme")
}

/// Somebody's application, at an address of its own, for as long as the test runs.
fn application() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A browser opens connections it may not use: none may hold up the others.
            thread::spawn(move || greet(stream));
        }
    });
    format!("http://{address}/welcome")
}

fn greet(stream: TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(&stream).lines();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let page =
        "<!doctype html><html lang=en><title>Our application</title><h1>Our application</h1>";
    write!(
        &stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{page}",
        page.len()
    )
}

#[test]
fn two_organizations_in_two_tabs_do_not_mix() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    roster.confirm(&olivia, OLIVIA);
    olivia.press("Create organization");
    olivia.at("/orgs/new");
    olivia.sound();
    olivia.press("Create organization");
    olivia.see("Organization name: Fill this in.");
    olivia.sound();
    olivia.fill("Organization name", "Beta Works");
    olivia.press("Create organization");
    olivia.at("/orgs/beta-works");
    olivia.see("Beta Works is ready. You are its owner: invite your team.");
    olivia.sound();
    olivia.press("Organization: Beta Works Owner");
    olivia.sound();
    olivia.press_in("Acme", "Acme Owner");
    olivia.at("/orgs/acme");

    // Both forms are open before either is sent.
    let acme = roster.url(&format!("{TEAM}/invite"));
    let beta = roster.url("/orgs/beta-works/settings/team/invite");
    olivia.visit(&acme);
    olivia.fill("Email addresses", NOOR);
    let first = olivia.open_tab();
    olivia.visit(&beta);
    olivia.fill("Email addresses", MIA);
    let second = olivia.to_tab(&first);
    olivia.press("Send Invitation");
    olivia.at(&format!("{TEAM}/invitations"));
    olivia.see("Invited 1 person.");
    olivia.to_tab(&second);
    olivia.press("Send Invitation");
    olivia.at("/orgs/beta-works/settings/team/invitations");
    olivia.see("Invited 1 person.");
    assert!(olivia.row(MIA).contains("Member"));
    assert!(!olivia.shows(NOOR));
    olivia.to_tab(&first);
    olivia.reload();
    assert!(olivia.row(NOOR).contains("Member"));
    assert!(!olivia.shows(MIA));
    roster.letter(NOOR, "Olivia Owner invited you to join Acme");
    roster.letter(MIA, "Olivia Owner invited you to join Beta Works");

    // Signed out in one tab is signed out in the other.
    olivia.press("Account menu of Olivia Owner");
    olivia.press("Sign out");
    olivia.at("/sign-in");
    olivia.to_tab(&second);
    olivia.press("Team");
    olivia.at("/sign-in");
}

#[test]
fn members_are_led_to_their_application() {
    let roster = Roster::start();
    let address = application();
    let olivia = olivia_of(&roster);
    olivia.visit(&roster.url(GENERAL));
    olivia.see("The address stays /orgs/acme, so links keep working.");
    olivia.sound();
    olivia.fill("Application address (optional)", &roster.url("/"));
    olivia.press("Save settings");
    olivia.see("That is Roster itself. Enter the address of your own application.");
    assert_eq!(olivia.title(), "Error: General settings · Acme · Roster");
    olivia.sound();
    olivia.fill("Organization name", "Acme Works");
    olivia.fill("Application address (optional)", &address);
    olivia.press("Save settings");
    olivia.at(GENERAL);
    olivia.see("Settings saved.");
    assert_eq!(olivia.title(), "General settings · Acme Works · Roster");
    olivia.sound();
    roster.invite(&olivia, &[NOOR, MIA], "Member");
    olivia.visit(&roster.url("/orgs/acme"));
    olivia.see("Our application");
    assert_eq!(olivia.address().as_str(), address);
    // Roster's own page stays a link away.
    olivia.visit(&roster.url(TEAM));
    olivia.press("Overview");
    olivia.at("/orgs/acme?stay");
    olivia.see("You're in Acme Works");
    olivia.sound();

    // After a form too, where browsers forbid a redirect to another site.
    let noor = visitor();
    noor.visit(&roster.link_for(NOOR));
    crate::roster::join_here(&noor, "Noor Newcomer");
    noor.see("Our application");
    assert_eq!(noor.address().as_str(), address);
    assert_eq!(noor.console_errors(), [""; 0]);
    let mia = plain_visitor();
    mia.visit(&roster.link_for(MIA));
    crate::roster::join_here(&mia, "Mia Member");
    mia.see("Our application");
    assert_eq!(mia.address().as_str(), address);
    // Signing in on the way there, and choosing it from the list.
    mia.visit(&roster.url("/"));
    mia.press("Account menu of Mia Member");
    mia.press("Sign out");
    mia.at("/sign-in");
    mia.visit(&roster.url("/orgs/acme"));
    mia.fill("Email", MIA);
    mia.fill("Password", PASSWORD);
    mia.press("Sign in");
    mia.see("Our application");
    mia.visit(&roster.url("/"));
    mia.press("Acme Works Member");
    mia.see("Our application");
    assert_eq!(mia.console_errors(), [""; 0]);
}

#[test]
fn a_deleted_organization_and_its_links_are_gone() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    let mia = roster.joined(&olivia, MIA, "Mia Member", "Admin");
    roster.invite(&olivia, &[NOOR], "Member");
    olivia.visit(&roster.url(GENERAL));
    olivia.press("Delete organization");
    olivia.at("/orgs/acme/delete");
    olivia.see("All 2 members lose access immediately and are told.");
    olivia.focus_at("Cancel");
    olivia.sound();
    olivia.fill("Type acme to confirm", "Acme Inc");
    olivia.fill("Password", "not this one");
    olivia.press("Delete organization");
    olivia.see("Please check what you entered.");
    assert_eq!(olivia.title(), "Error: Delete organization · Acme · Roster");
    olivia.sound();
    olivia.fill("Type acme to confirm", "acme");
    olivia.fill("Password", PASSWORD);
    olivia.press("Delete organization");
    olivia.at("/");
    olivia.see("Acme is deleted. Whoever else was in it has been told.");
    olivia.see("You're not in any organization.");
    olivia.sound();

    mia.press("Team settings");
    mia.see("We can't find that organization.");
    mia.sound();
    mia.visit(&roster.url("/notifications"));
    mia.see("Olivia Owner deleted Acme.");
    mia.sound();
    roster.letter(MIA, "Olivia Owner deleted Acme");
    let noor = visitor();
    noor.visit(&roster.link_for(NOOR));
    noor.see("This invitation is no longer valid.");
    noor.sound();
}

#[test]
fn a_file_of_invitations_names_the_row_that_is_wrong() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    olivia.visit(&roster.url(TEAM));
    olivia.press("Invite Member");
    olivia.press("Upload a CSV file");
    olivia.at(&format!("{TEAM}/invite/import"));
    olivia.sound();
    olivia.press("Send Invitations");
    olivia.see("Choose a CSV file that isn't empty.");
    olivia.sound();
    let rows = "Name,Email,Role\nNoor,noor@example.test,Admin\nNobody,nobody,Member\nMia,mia@example.test,viewer\n";
    olivia.upload("CSV file", &roster.file("people.csv", rows.as_bytes()));
    olivia.fill("Message (optional)", "Welcome to all of you!");
    olivia.press("Send Invitations");
    olivia.see("Invited 2 people.");
    olivia.see("Row 3: nobody is not a complete email address");
    assert_eq!(olivia.title(), "Error: Invite from a file · Acme · Roster");
    olivia.sound();
    let row = roster.letter(NOOR, "invited you to join Acme").text();
    assert!(row.contains("Welcome to all of you!") && row.contains("Admin"));
    let rest = "kim@example.test;Viewer\r\n";
    olivia.upload("CSV file", &roster.file("rest.csv", rest.as_bytes()));
    olivia.press("Send Invitations");
    olivia.at(&format!("{TEAM}/invitations"));
    olivia.see("Invited 1 person.");
    for (email, role) in [
        (NOOR, "Admin"),
        (MIA, "Viewer"),
        ("kim@example.test", "Viewer"),
    ] {
        assert!(olivia.row(email).contains(role), "{}", olivia.row(email));
    }
    olivia.sound();
}

#[test]
fn the_log_the_review_and_a_sorted_list() {
    let roster = Roster::start();
    let olivia = olivia_of(&roster);
    let mia = roster.joined(&olivia, MIA, "Mia Member", "Member");
    roster.invite(&olivia, &[NOOR], "Viewer");

    // The list of members, by every heading that sorts.
    roster.rewrite(
        "UPDATE memberships SET joined_at = joined_at - 40 * 86400000000, last_active_at = last_active_at - 40 * 86400000000
         WHERE account_id = (SELECT id FROM accounts WHERE email = 'mia@example.test')",
    );
    olivia.visit(&roster.url(TEAM));
    let order = |names: [&str; 2]| {
        let text = olivia.text();
        let table = text.split("Last active").nth(1).unwrap_or_default();
        let at = names.map(|name| table.find(name).expect("a row"));
        assert!(at[0] < at[1], "{names:?}: {table}");
    };
    olivia.press("Joined");
    olivia.see("2 members");
    olivia.sound();
    let address = olivia.address();
    assert!(
        address
            .query()
            .is_some_and(|query| query.contains("sort=joined"))
    );
    let first = olivia.text();
    olivia.press("Joined");
    assert_ne!(olivia.address(), address, "the other way round");
    assert_ne!(olivia.text(), first);
    olivia.press("Last active");
    olivia.press("Member");
    order(["Mia Member", "Olivia Owner"]);

    olivia.press("Audit log");
    olivia.at("/orgs/acme/settings/audit");
    olivia.see("Created the organization");
    olivia.see("Accepted an invitation");
    olivia.sound();
    olivia.pick("What", "Invited");
    olivia.fill("Who or on whom", NOOR);
    olivia.press("Filter");
    olivia.see("noor@example.test");
    let row = olivia.row("noor@example.test");
    assert!(
        row.contains("Olivia Owner") && row.contains("Invited"),
        "{row}"
    );
    assert!(!olivia.shows("mia@example.test"));
    olivia.sound();
    olivia.pick("What", "Removed a member");
    olivia.press("Filter");
    olivia.see("Nothing in the log matches this filter.");
    olivia.sound();
    olivia.press("Clear filters");
    olivia.see("Created the organization");

    olivia.press("Access review");
    olivia.at("/orgs/acme/settings/review");
    olivia.see("Access review");
    olivia.sound();
    olivia.pick("Not active for", "30 days");
    olivia.press("Show");
    olivia.see("Members not active for 30 days");
    assert!(olivia.row("Mia Member").contains("Member"));
    olivia.sound();
    olivia.press("Remove Mia Member");
    olivia.see("Remove Mia Member from Acme?");

    mia.visit(&roster.url("/orgs/acme/settings/audit"));
    mia.see("Your role doesn't allow that");
    mia.sound();
}
