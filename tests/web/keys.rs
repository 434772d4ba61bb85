//! A key that was dropped from SECRET_KEY: its links are over, and everything says what to do about it.

use crate::{
    on_both,
    support::team::{Setup, Team},
};
use time::Duration;

const NOOR: &str = "noor@example.test";

fn with_another_key() -> Setup {
    Setup {
        secret: b"another secret key, of 32 bytes!".to_vec(),
        ..Setup::default()
    }
}

on_both! {
    /// Copy link says no and why; Resend makes a new invitation with a new link, as with an expired one (R-INV-7).
    fn links_of_a_dropped_key_are_replaced(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite(NOOR, "admin");
        let old = acme.link_for(NOOR);
        let url = acme.adam.invitation_url(NOOR);
        acme.advance(Duration::minutes(2));

        let after = Team::on(acme.database.clone(), with_another_key(), acme.clock.clone());
        let adam = after.visitor();
        adam.sign_in("adam@example.test").expect(303);
        adam.get(&url).expect(200).shows(NOOR);
        let refused = adam.get(&url).submit(&format!("{url}/link"), &[]);
        refused.expect(409).shows("Resend the invitation");
        assert_eq!(after.count("invitations WHERE exposed_at IS NOT NULL"), 0);

        adam.resend(NOOR).expect(303);
        assert_eq!(after.count("invitations WHERE state = 'superseded'"), 1);
        assert_eq!(after.count("invitations WHERE state = 'pending' AND role = 'admin'"), 1);
        adam.get(&url).expect(200);
        let new = after.link_for(NOOR);
        assert_ne!(new, old);
        after.visitor().get(&old).expect(404);
        after.visitor().join(&new, "Noor New");
    }

    /// A letter that waited when its key was dropped ends with the reason.
    fn a_letter_whose_link_cannot_be_made_ends_failed(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite(NOOR, "member");
        let after = Team::on(acme.database.clone(), with_another_key(), acme.clock.clone());
        after.deliver();
        assert_eq!(after.count("deliveries WHERE email_key = 'noor@example.test' AND state = 'failed' \
            AND reason = 'The key that its link was made with is no longer configured'"), 1);
        assert_eq!(after.letters_to(NOOR).len(), 0);
        let adam = after.visitor();
        adam.sign_in("adam@example.test").expect(303);
        adam.get(&adam.invitation_url(NOOR)).expect(200).shows("no longer configured");
    }
}
