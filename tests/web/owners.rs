//! Two Owners at the same moment: whatever they do to themselves and to each other, one remains (R-ROLE-5).
//!
//! Two hundred rounds of each pair; in every second one the two ask two instances on one database.

use crate::{
    on_both,
    support::{
        database::Kind,
        facts,
        people::{Answer, Person},
        race::{Click, at_once},
        team::{Acme, Setup, Team, link_in, people_password},
    },
};
use roster::domain::quota::MailLimits;
use std::net::SocketAddr;
use time::Duration;

const ROUNDS: usize = 200;
const OLIVIA: &str = "olivia@example.test";
const ADAM: &str = "adam@example.test";

/// Acme with two Owners, on two instances.
struct Ring {
    acme: Acme,
    twin: Team,
}

impl Ring {
    fn new(kind: Kind) -> Self {
        let mut setup = Setup::default();
        setup.rules.mail = MailLimits {
            per_address: 100_000,
            per_person: 100_000,
            per_organization: 100_000,
            ..MailLimits::default()
        };
        let acme = Team::acme_with(kind, setup);
        let twin = acme.second();
        let ring = Self { acme, twin };
        ring.bring_back();
        ring
    }

    fn role(&self, email: &str) -> Option<&'static str> {
        ["owner", "admin", "member", "viewer"].into_iter().find(|role| {
            let query = format!(
                "SELECT count(*) AS count FROM memberships m JOIN accounts a ON a.id = m.account_id \
                 JOIN organizations o ON o.id = m.organization_id \
                 WHERE o.slug = 'acme' AND a.email_key = '{email}' AND m.role = '{role}'"
            );
            facts::count(&self.acme.db, &query) == 1
        })
    }

    fn owners(&self) -> i64 {
        facts::count(
            &self.acme.db,
            "SELECT count(*) AS count FROM memberships m JOIN organizations o ON o.id = m.organization_id \
             WHERE o.slug = 'acme' AND m.role = 'owner'",
        )
    }

    fn member_url(&self, email: &str) -> String {
        format!(
            "/orgs/acme/settings/team/members/{}",
            self.acme.account_id(email)
        )
    }

    /// The link of the only pending invitation.
    fn pending_link(&self, admin: &Person) -> String {
        let list = "/orgs/acme/settings/team/invitations";
        let page = admin.get(list);
        let urls = page.urls_containing(&format!("{list}/"));
        let url = urls.iter().find(|url| url.len() == list.len() + 37);
        let copied = page.submit(&format!("{}/link", url.expect("an invitation")), &[]);
        link_in(&copied.expect(200).body)
    }

    /// Makes both of them Owners again, by the ways there are.
    fn bring_back(&self) {
        let pair = [
            (&self.acme.olivia, OLIVIA, &self.acme.adam),
            (&self.acme.adam, ADAM, &self.acme.olivia),
        ];
        for (who, email, _) in pair {
            if !who.is_signed_in() {
                who.sign_in(email).expect(303);
            }
        }
        for (who, email, other) in pair {
            if self.role(email).is_none() {
                other.invite_by_link_only(email, "admin");
                who.accept(&self.pending_link(other)).expect(303);
            }
            let role = self.role(email).expect("a member");
            if role != "owner" {
                let url = format!("{}/role", self.member_url(email));
                other
                    .get("/")
                    .submit(&url, &[("before", role), ("role", "owner")])
                    .expect(303);
            }
        }
        assert_eq!(self.owners(), 2);
    }

    /// Both click at once, two hundred times. After each round an Owner is left and every invariant holds.
    fn rounds(
        &self,
        one: impl Fn(&Self, &Person, SocketAddr) -> Click,
        other: impl Fn(&Self, &Person, SocketAddr) -> Click,
    ) {
        let mut both_done = 0;
        for round in 0..ROUNDS {
            // Past cooldowns and counters of signing in.
            self.acme.advance(Duration::minutes(16));
            self.bring_back();
            let elsewhere = if round.is_multiple_of(2) {
                self.acme.address
            } else {
                self.twin.address
            };
            let clicks = [
                one(self, &self.acme.olivia, self.acme.address),
                other(self, &self.acme.adam, elsewhere),
            ];
            let done = at_once(&clicks)
                .iter()
                .filter(|answer| answer.status == 303 && !leads_away(answer))
                .count();
            both_done += usize::from(done == 2);
            assert!(done >= 1, "round {round}: one of the two must succeed");
            assert!(self.owners() >= 1, "round {round}: no owner is left");
            if round.is_multiple_of(20) {
                self.acme.check();
            }
        }
        assert!(both_done < ROUNDS, "the two never got in each other's way");
    }
}

/// To the sign-in page: the session was ended by the other one.
fn leads_away(answer: &Answer<'_>) -> bool {
    answer
        .location
        .as_deref()
        .is_some_and(|location| location.starts_with("/sign-in"))
}

fn leave(_: &Ring, who: &Person, at: SocketAddr) -> Click {
    Click::ready(who.at(at), "/", "/orgs/acme/leave", &[])
}

fn demote(email: &'static str) -> impl Fn(&Ring, &Person, SocketAddr) -> Click {
    move |ring, who, at| {
        let url = format!("{}/role", ring.member_url(email));
        let fields = [("before", "owner"), ("role", "member")];
        Click::ready(who.at(at), "/", &url, &fields)
    }
}

fn remove(email: &'static str) -> impl Fn(&Ring, &Person, SocketAddr) -> Click {
    move |ring, who, at| {
        let url = format!("{}/remove", ring.member_url(email));
        Click::ready(who.at(at), "/", &url, &[("before", "owner")])
    }
}

fn transfer(email: &'static str) -> impl Fn(&Ring, &Person, SocketAddr) -> Click {
    move |ring, who, at| {
        let id = ring.acme.account_id(email);
        let fields = [
            ("member", id.as_str()),
            ("slug", "acme"),
            ("password", people_password()),
        ];
        Click::ready(who.at(at), "/", "/orgs/acme/transfer-ownership", &fields)
    }
}

on_both! {
    fn both_leave(kind) {
        Ring::new(kind).rounds(leave, leave);
    }

    fn they_demote_each_other(kind) {
        Ring::new(kind).rounds(demote(ADAM), demote(OLIVIA));
    }

    fn they_remove_each_other(kind) {
        Ring::new(kind).rounds(remove(ADAM), remove(OLIVIA));
    }

    fn one_transfers_to_the_other_who_leaves(kind) {
        Ring::new(kind).rounds(transfer(ADAM), leave);
    }

    fn one_leaves_and_is_removed_by_the_other(kind) {
        Ring::new(kind).rounds(leave, remove(OLIVIA));
    }

    fn one_demotes_the_other_who_leaves(kind) {
        Ring::new(kind).rounds(demote(ADAM), leave);
    }

    /// Whoever is removed at this moment does nothing any more: their last invitation stands only if it came first.
    fn a_removed_admin_invites_at_that_moment(kind) {
        let ring = Ring::new(kind);
        for round in 0..20 {
            ring.acme.advance(Duration::minutes(16));
            ring.bring_back();
            let email = format!("noor{round}@example.test");
            let form = "/orgs/acme/settings/team/invite";
            let clicks = [
                remove(ADAM)(&ring, &ring.acme.olivia, ring.acme.address),
                Click::ready(ring.acme.adam.at(ring.twin.address), form, form, &[("emails", &email), ("role", "admin")]),
            ];
            let answers = at_once(&clicks);
            answers[0].expect(303);
            let pending = format!("SELECT count(*) AS count FROM invitations WHERE email_key = '{email}' AND state = 'pending'");
            assert_eq!(facts::count(&ring.acme.db, &pending), 0, "{}", answers[1].status);
            ring.acme.check();
        }
    }
}
