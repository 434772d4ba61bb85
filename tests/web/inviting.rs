//! The main job: invite, letter, accept.

use crate::{on_both, support::team::Team};

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
}
