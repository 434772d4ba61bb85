//! Two instances on one database, as behind a load balancer.

use crate::{
    on_both,
    support::{
        facts,
        people::Person,
        team::{Team, people_password},
    },
};
use roster::mail::outbox::Delivered;
use std::{collections::BTreeSet, sync::Barrier, thread};

on_both! {
    /// Both empty the outbox at once, with two workers each: thirty letters, each once (R-INV-10).
    fn thirty_letters_each_once(kind) {
        let acme = Team::acme(kind);
        let twin = acme.second();
        for round in 0..4 {
            let emails: Vec<String> = (0..30).map(|number| format!("guest{number}of{round}@example.test")).collect();
            acme.adam.invite(&emails.join(", "), "member");
            let start = Barrier::new(4);
            thread::scope(|scope| {
                for parts in [&acme.parts, &twin.parts, &acme.parts, &twin.parts] {
                    let start = &start;
                    scope.spawn(move || {
                        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                        let mut outbox = parts.outbox();
                        start.wait();
                        runtime.block_on(async {
                            while outbox.deliver_next().await.expect("the outbox answers") != Delivered::Empty {}
                        });
                    });
                }
            });
            let letters = acme.letters();
            let arrived: Vec<&str> = letters.iter().map(|letter| letter.to.as_str()).filter(|to| to.contains(&format!("of{round}@"))).collect();
            let to: BTreeSet<&str> = arrived.iter().copied().collect();
            assert_eq!((arrived.len(), to.len()), (30, 30));
        }
        let unfinished = "SELECT count(*) AS count FROM deliveries WHERE state <> 'sent' OR attempts <> 1";
        assert_eq!(facts::count(&acme.db, unfinished), 0);
    }

    /// Signed in at one, signed in at the other; what one does the other shows at once; signed out of both.
    fn one_browser_two_instances(kind) {
        let acme = Team::acme(kind);
        let twin = acme.second();
        let adam = acme.adam.at(twin.address);
        let form = adam.get("/orgs/acme/settings/team/invite");
        // A form made by one instance is taken by the other.
        let fields = [("csrf", form.csrf()), ("emails", "noor@example.test".to_owned()), ("role", "member".to_owned())];
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        acme.adam.post("/orgs/acme/settings/team/invite", &fields).expect(303);
        adam.get("/orgs/acme/settings/team/invitations").shows("noor@example.test");
        // A link that one mailed opens at the other.
        let link = twin.link_for("noor@example.test");
        Person::new(acme.address).get(&link).expect(200);
        let noor = Person::new(twin.address);
        noor.get(&link).submit(&format!("{link}/sign-up"), &[("name", "Noor New"), ("password", people_password())]).expect(303);
        noor.at(acme.address).get("/orgs/acme").expect(200);
        noor.sign_out();
        noor.at(acme.address).get("/orgs/acme").expect(303);
        let copied = acme.adam.copy();
        adam.sign_out();
        copied.get("/orgs/acme").expect(303);
    }
}
