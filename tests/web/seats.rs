//! The seats of an organization: who may still join, and what happens when nobody may (R-ACC-5, R-ACC-7).

use crate::{
    on_both,
    support::{
        consenting::with_seats,
        race::{Click, at_once, with_status},
        rows::ACTIVITY,
        team::{Team, people_password},
    },
};

const NOOR: &str = "noor@example.test";
const FULL: &str = "Acme can't add more members right now.";

/// Takes somebody out of Acme, as if they had been removed.
fn free_the_seat_of(team: &Team, email: &str) {
    let account = format!("(SELECT id FROM accounts WHERE email_key = '{email}')");
    team.sql(&format!(
        "DELETE FROM membership_words WHERE account_id = {account}"
    ));
    team.sql(&format!(
        "DELETE FROM memberships WHERE account_id = {account}"
    ));
    team.sql("UPDATE organizations SET member_count = member_count - 1 WHERE slug = 'acme'");
}

on_both! {
    /// A full organization: its own page, nothing consumed, and the same link works when a seat is free.
    fn a_full_organization_takes_nobody(kind) {
        let acme = Team::acme_with(kind, with_seats(4));
        acme.adam.try_invite(NOOR, "member").expect(303).follow().shows("Invited 1 person.")
            .shows("Acme is full: they can't join until a seat is free.");
        let link = acme.link_for(NOOR);
        let rex = acme.sign_up("Rex Early", "rex@example.test", "Rexco");
        acme.adam.try_invite("rex@example.test, nonsense", "member").expect(422).shows("Acme is full: they can't join until a seat is free.");
        let rex_link = acme.link_for("rex@example.test");

        let visitor = acme.visitor();
        let page = visitor.get(&link);
        page.expect(409).shows(FULL).lacks("Create account and join");
        rex.get(&rex_link).expect(409).shows(FULL);
        let rows = acme.dump(&ACTIVITY);
        let sign_up = [("name", "Noor New"), ("password", people_password())];
        visitor.get("/sign-in").submit(&format!("{link}/sign-up"), &sign_up).expect(409).shows(FULL);
        rex.get("/").submit(&format!("{rex_link}/accept"), &[]).expect(409).shows(FULL);
        assert_eq!(acme.dump(&ACTIVITY), rows, "nothing was consumed");
        // Whoever is signed in as somebody else learns that first; whoever is in stays in.
        acme.mia.get(&link).expect(403);

        free_the_seat_of(&acme, "vic@example.test");
        acme.visitor().join(&link, "Noor New").get(&link).expect(200).shows("You're already in Acme as Member.");
        rex.get(&rex_link).expect(409);
        // Rejecting needs no seat.
        rex.reject(&rex_link).expect(303);
    }

    /// Pending invitations take no seat: as many may be open as one likes, the members decide.
    fn pending_invitations_take_no_seat(kind) {
        let acme = Team::acme_with(kind, with_seats(5));
        acme.adam.try_invite("noor@example.test, rex@example.test, lea@example.test", "member").expect(303).follow().lacks("is full");
        let links = ["noor", "rex", "lea"].map(|name| acme.link_for(&format!("{name}@example.test")));
        acme.visitor().get(&links[1]).expect(200);
        let (second, form) = (acme.visitor(), [("name", "Rex Early"), ("password", people_password())]);
        let ready = second.get(&links[1]);
        acme.visitor().join(&links[0], "Noor New");
        ready.submit(&format!("{}/sign-up", links[1]), &form).expect(409).shows(FULL);
        assert_eq!(acme.count("accounts WHERE email_key = 'rex@example.test'"), 0);
        // An account elsewhere makes no difference to the answer.
        acme.sign_up("Lea Late", "lea@example.test", "Lateco");
        let stranger = acme.visitor();
        stranger.get("/sign-in").submit(&format!("{}/sign-up", links[2]), &form).expect(409).shows(FULL);
        assert_eq!(acme.count("invitations WHERE state = 'pending'"), 2);
    }

    /// The head of the team pages says how many seats are taken, to whoever can invite.
    fn the_team_page_counts_seats(kind) {
        let acme = Team::acme_with(kind, with_seats(15));
        for page in ["/orgs/acme/settings/team", "/orgs/acme/settings/team/invitations"] {
            acme.olivia.get(page).expect(200).shows("4 of 15 seats");
            acme.adam.get(page).expect(200).shows("4 of 15 seats");
        }
        acme.mia.get("/orgs/acme/settings/team").expect(200).shows("4 members").lacks("seats");
        let free = acme.restarted(|_| ());
        acme.olivia.at(free.address).get("/orgs/acme/settings/team").expect(200).lacks("seats");
    }

    /// Twenty accept at once and one seat is free: exactly one joins, by either way in, over two instances.
    fn twenty_for_the_last_seat(kind) {
        let acme = Team::acme_with(kind, with_seats(5));
        let twin = acme.second();
        let emails: Vec<String> = (0..20).map(|number| format!("guest{number}@example.test")).collect();
        acme.adam.invite(&emails.join(", "), "member");
        let clicks: Vec<Click> = emails.iter().enumerate().map(|(number, email)| {
            let link = acme.link_for(email);
            let address = if number % 2 == 0 { acme.address } else { twin.address };
            if number < 10 {
                let person = acme.sign_up("Guest Early", email, "Elsewhere").at(address);
                Click::ready(person, &link, &format!("{link}/accept"), &[])
            } else {
                let fields = [("name", "Guest Late"), ("password", people_password())];
                Click::ready(acme.visitor().at(address), &link, &format!("{link}/sign-up"), &fields)
            }
        }).collect();
        let answers = at_once(&clicks);
        assert_eq!((with_status(&answers, 303), with_status(&answers, 409)), (1, 19));
        assert_eq!(acme.count("organizations WHERE slug = 'acme' AND member_count = 5"), 1);
        assert_eq!(acme.count("invitations WHERE state = 'pending'"), 19);
        assert!(acme.count("accounts") <= 15, "whoever was late has no account either");
    }
}
