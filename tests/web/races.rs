//! Twenty at once. Every second round is spread over two instances on one database; after each, the invariants hold.

use crate::{
    on_both,
    support::{
        database::Kind,
        facts,
        people::{Answer, Person},
        race::{Click, at_once, with_status},
        team::{Acme, RESET, Setup, Team, people_password},
    },
};
use std::net::SocketAddr;
use time::Duration;

/// Clicks in a round.
const AT_ONCE: usize = 20;
const ROUNDS: usize = 10;

/// Acme on two instances.
struct Ground {
    acme: Acme,
    twin: Team,
}

impl Ground {
    fn new(kind: Kind) -> Self {
        let acme = Team::acme(kind);
        let twin = acme.second();
        Self { acme, twin }
    }

    /// The instance that the `index`-th click of a round goes to.
    fn address(&self, round: usize, index: usize) -> SocketAddr {
        // Pairs, so that rivals that take turns meet on both.
        if round.is_multiple_of(2) || (index / 2).is_multiple_of(2) {
            self.acme.address
        } else {
            self.twin.address
        }
    }

    /// Runs `round` often enough, each a while after the other: past every cooldown and counter.
    fn rounds(&self, round: impl Fn(usize)) {
        for number in 0..ROUNDS {
            self.acme.advance(Duration::minutes(61));
            round(number);
            self.acme.check();
        }
    }

    /// The link in the letter of a new invitation.
    fn invited(&self, email: &str, role: &str) -> String {
        let adam = self.acme.visitor();
        adam.sign_in("adam@example.test").expect(303);
        adam.invite(email, role);
        self.acme.link_for(email)
    }

    fn count(&self, query: &str) -> i64 {
        facts::count(&self.acme.db, query)
    }

    fn memberships(&self, email: &str) -> i64 {
        self.count(&format!(
            "SELECT count(*) AS count FROM memberships m JOIN accounts a ON a.id = m.account_id \
             JOIN organizations o ON o.id = m.organization_id WHERE o.slug = 'acme' AND a.email_key = '{email}'"
        ))
    }

    fn events(&self, email: &str, verb: &str) -> i64 {
        self.count(&format!(
            "SELECT count(*) AS count FROM audit_events WHERE target = '{email}' AND verb = '{verb}'"
        ))
    }

    fn invitations(&self, email: &str, state: &str) -> i64 {
        self.count(&format!(
            "SELECT count(*) AS count FROM invitations WHERE email_key = '{email}' AND state = '{state}'"
        ))
    }

    /// `AT_ONCE` clicks: the even ones `one`, the odd ones `other`.
    fn rivals(
        &self,
        round: usize,
        one: impl Fn(SocketAddr) -> Click,
        other: impl Fn(SocketAddr) -> Click,
    ) -> Vec<Click> {
        (0..AT_ONCE)
            .map(|index| {
                let address = self.address(round, index);
                if index.is_multiple_of(2) {
                    one(address)
                } else {
                    other(address)
                }
            })
            .collect()
    }
}

fn halves<'a>(answers: &[Answer<'a>]) -> (Vec<Answer<'a>>, Vec<Answer<'a>>) {
    let half = |rest: usize| {
        answers
            .iter()
            .enumerate()
            .filter(|(index, _)| index % 2 == rest)
            .map(|(_, answer)| answer.clone())
            .collect()
    };
    (half(0), half(1))
}

fn accept(person: &Person, link: &str) -> impl Fn(SocketAddr) -> Click {
    move |address| Click::ready(person.at(address), link, &format!("{link}/accept"), &[])
}

fn all_lead_into_acme(answers: &[Answer<'_>]) {
    for answer in answers {
        answer.expect(303).leads_to("/orgs/acme");
    }
}

on_both! {
    /// One account, twenty clicks: one membership, one event, and every answer leads into the organization (R-ACC-5).
    fn accept_and_accept(kind) {
        let ground = Ground::new(kind);
        ground.rounds(|round| {
            let email = format!("noor{round}@example.test");
            let noor = ground.acme.sign_up("Noor New", &email, "Noor Works");
            let link = ground.invited(&email, "viewer");
            let clicks = ground.rivals(round, accept(&noor, &link), accept(&noor, &link));
            all_lead_into_acme(&at_once(&clicks));
            assert_eq!((ground.memberships(&email), ground.events(&email, "accept")), (1, 1));
            noor.get("/orgs/acme").expect(200).shows("Viewer");
        });
    }

    /// Twenty browsers create the account of one link with one password: one account, one membership, and whoever is
    /// not told to slow down is let in.
    fn sign_up_and_sign_up(kind) {
        let ground = Ground::new(kind);
        ground.rounds(|round| {
            let email = format!("noor{round}@example.test");
            let link = ground.invited(&email, "member");
            let fields = [("name", "Noor New"), ("password", people_password())];
            let join = |address| Click::ready(ground.acme.visitor().at(address), &link, &format!("{link}/sign-up"), &fields);
            let clicks = ground.rivals(round, join, join);
            let answers = at_once(&clicks);
            assert!(with_status(&answers, 303) >= 1);
            for answer in &answers {
                assert!(matches!(answer.status, 303 | 429), "{}: {}", answer.status, answer.text());
            }
            let accounts = ground.count(&format!("SELECT count(*) AS count FROM accounts WHERE email_key = '{email}'"));
            assert_eq!((accounts, ground.memberships(&email), ground.events(&email, "accept")), (1, 1, 1));
        });
    }

    /// Exactly one of the two happens, and whoever lost is told so.
    fn accept_and_revoke(kind) {
        let ground = Ground::new(kind);
        ground.rounds(|round| {
            let email = format!("noor{round}@example.test");
            let noor = ground.acme.sign_up("Noor New", &email, "Noor Works");
            let link = ground.invited(&email, "member");
            let url = ground.acme.adam.invitation_url(&email);
            let revoke = |address| Click::ready(ground.acme.adam.at(address), &url, &format!("{url}/revoke"), &[]);
            let clicks = ground.rivals(round, accept(&noor, &link), revoke);
            let answers = at_once(&clicks);
            let (accepts, revokes) = halves(&answers);
            let accepted = ground.invitations(&email, "accepted");
            assert_eq!(accepted + ground.invitations(&email, "revoked"), 1);
            assert_eq!(ground.memberships(&email), accepted);
            assert_eq!((ground.events(&email, "accept"), ground.events(&email, "revoke")), (accepted, 1 - accepted));
            if accepted == 1 {
                all_lead_into_acme(&accepts);
                assert_eq!(with_status(&revokes, 409), revokes.len());
            } else {
                assert_eq!(with_status(&accepts, 410), accepts.len());
                assert_eq!((with_status(&revokes, 303), with_status(&revokes, 409)), (1, revokes.len() - 1));
            }
        });
    }

    /// Two tabs, two minds: exactly one of the two happens.
    fn accept_and_reject(kind) {
        let ground = Ground::new(kind);
        ground.rounds(|round| {
            let email = format!("noor{round}@example.test");
            let noor = ground.acme.sign_up("Noor New", &email, "Noor Works");
            let link = ground.invited(&email, "member");
            let reject = |address| Click::ready(noor.at(address), &link, &format!("{link}/reject"), &[]);
            let clicks = ground.rivals(round, accept(&noor, &link), reject);
            let answers = at_once(&clicks);
            let (accepts, rejects) = halves(&answers);
            let accepted = ground.invitations(&email, "accepted");
            assert_eq!(accepted + ground.invitations(&email, "rejected"), 1);
            assert_eq!(ground.memberships(&email), accepted);
            assert_eq!((ground.events(&email, "accept"), ground.events(&email, "reject")), (accepted, 1 - accepted));
            if accepted == 1 {
                all_lead_into_acme(&accepts);
                assert_eq!(with_status(&rejects, 410), rejects.len());
            } else {
                assert_eq!(with_status(&accepts, 410), accepts.len());
                assert_eq!((with_status(&rejects, 303), with_status(&rejects, 410)), (1, rejects.len() - 1));
            }
            let told = ground.acme.letters_to("adam@example.test");
            let told = told.iter().filter(|letter| letter.subject.contains("rejected")).count();
            assert_eq!(i64::try_from(told), Ok(ground.count("SELECT count(*) AS count FROM audit_events WHERE verb = 'reject'")));
        });
    }

    /// Two admins, one address: one pending invitation, one letter; the others are told that there is one (R-INV-4).
    fn invite_and_invite(kind) {
        let ground = Ground::new(kind);
        ground.rounds(|round| {
            let email = format!("noor{round}@example.test");
            let form = "/orgs/acme/settings/team/invite";
            let by = |person: &Person, address, role| {
                Click::ready(person.at(address), form, form, &[("emails", &email), ("role", role)])
            };
            let clicks = ground.rivals(round, |at| by(&ground.acme.adam, at, "member"), |at| by(&ground.acme.olivia, at, "viewer"));
            let answers = at_once(&clicks);
            assert_eq!((with_status(&answers, 303), with_status(&answers, 422)), (1, AT_ONCE - 1));
            for answer in answers.iter().filter(|answer| answer.status == 422) {
                answer.shows("already has an invitation as");
            }
            assert_eq!((ground.invitations(&email, "pending"), ground.events(&email, "invite")), (1, 1));
            assert_eq!(ground.acme.letters_to(&email).len(), 1);
        });
    }

    /// One letter in the cooldown, whoever asks and wherever (R-INV-8). The others are told when.
    fn resend_and_resend(kind) {
        let ground = Ground::new(kind);
        ground.rounds(|round| {
            let email = format!("noor{round}@example.test");
            let link = ground.invited(&email, "member");
            ground.acme.advance(Duration::seconds(60));
            let url = ground.acme.adam.invitation_url(&email);
            let by = |person: &Person, address| Click::ready(person.at(address), &url, &format!("{url}/resend"), &[]);
            let clicks = ground.rivals(round, |at| by(&ground.acme.adam, at), |at| by(&ground.acme.olivia, at));
            let answers = at_once(&clicks);
            assert_eq!((with_status(&answers, 303), with_status(&answers, 429)), (1, AT_ONCE - 1));
            for answer in answers.iter().filter(|answer| answer.status == 429) {
                assert_eq!(answer.header("retry-after"), Some("60"));
            }
            assert_eq!(ground.acme.letters_to(&email).len(), 2);
            assert_eq!(ground.events(&email, "resend"), 1);
            assert_eq!(ground.acme.link_for(&email), link);
        });
    }

    /// An expired invitation is replaced once: one new one, one letter, and the old one says so.
    fn resend_and_resend_of_an_expired_one(kind) {
        let ground = Ground::new(kind);
        ground.rounds(|round| {
            let email = format!("noor{round}@example.test");
            let link = ground.invited(&email, "member");
            ground.acme.advance(Duration::days(7));
            let [adam, olivia] = ["adam", "olivia"].map(|name| {
                let person = ground.acme.visitor();
                person.sign_in(&format!("{name}@example.test")).expect(303);
                person
            });
            let url = {
                let list = format!("/orgs/acme/settings/team/invitations?state=expired&q={email}");
                let urls = adam.get(&list).urls_containing("/orgs/acme/settings/team/invitations/");
                urls.first().expect("an invitation").split('/').take(7).collect::<Vec<_>>().join("/")
            };
            let by = |person: &Person, address| Click::ready(person.at(address), &url, &format!("{url}/resend"), &[]);
            let clicks = ground.rivals(round, |at| by(&adam, at), |at| by(&olivia, at));
            let answers = at_once(&clicks);
            assert_eq!((with_status(&answers, 303), with_status(&answers, 409)), (1, AT_ONCE - 1));
            assert_eq!((ground.invitations(&email, "pending"), ground.invitations(&email, "superseded")), (1, 1));
            assert_eq!(ground.acme.letters_to(&email).len(), 2);
            ground.acme.visitor().get(&link).expect(410).shows("A newer invitation was sent");
        });
    }

    /// The role granted is the role the invitation shows, whichever came first.
    fn change_role_and_accept(kind) {
        let ground = Ground::new(kind);
        ground.rounds(|round| {
            let email = format!("noor{round}@example.test");
            let noor = ground.acme.sign_up("Noor New", &email, "Noor Works");
            let link = ground.invited(&email, "viewer");
            let url = ground.acme.adam.invitation_url(&email);
            let change = |address| {
                let fields = [("before", "viewer"), ("role", "admin")];
                Click::ready(ground.acme.adam.at(address), &url, &format!("{url}/role"), &fields)
            };
            let clicks = ground.rivals(round, change, accept(&noor, &link));
            let answers = at_once(&clicks);
            let (changes, accepts) = halves(&answers);
            all_lead_into_acme(&accepts);
            assert_eq!(with_status(&changes, 303) + with_status(&changes, 409), changes.len());
            let changed = with_status(&changes, 303) > 0;
            let role = if changed { "Admin" } else { "Viewer" };
            noor.get("/orgs/acme").expect(200).shows(&format!("Acme {role}"));
            assert_eq!(ground.events(&email, "change_invitation_role"), i64::from(changed));
            let granted = ground.count(&format!(
                "SELECT count(*) AS count FROM memberships m JOIN accounts a ON a.id = m.account_id \
                 JOIN invitations i ON i.organization_id = m.organization_id AND i.email_key = a.email_key \
                 WHERE a.email_key = '{email}' AND i.state = 'accepted' AND i.role = m.role"
            ));
            assert_eq!(granted, 1);
        });
    }

    /// One use of a quota's last mail, by two people for two addresses at once (R-INV-8).
    fn invite_and_invite_for_the_last_mail_of_the_day(kind) {
        let mut setup = Setup::default();
        setup.rules.mail.per_organization = 5;
        let acme = Team::acme_with(kind, setup);
        let twin = acme.second();
        // Three went to those who are in.
        let form = "/orgs/acme/settings/team/invite";
        let clicks: Vec<Click> = (0..AT_ONCE).map(|index| {
            let (person, address) = if index.is_multiple_of(2) { (&acme.adam, acme.address) } else { (&acme.olivia, twin.address) };
            let email = format!("noor{index}@example.test");
            Click::ready(person.at(address), form, form, &[("emails", &email), ("role", "member")])
        }).collect();
        let answers = at_once(&clicks);
        assert_eq!((with_status(&answers, 303), with_status(&answers, 429)), (2, AT_ONCE - 2));
        assert_eq!(acme.letters().len(), 2);
    }

    /// With `SIGNUP=invite` the very first visitor is let in, and only one can be that (R-ORG-5).
    fn two_first_visitors(kind) {
        for round in 0..ROUNDS {
            let mut setup = Setup::default();
            setup.rules.open_sign_up = false;
            let team = Team::with(kind, setup);
            let twin = (!round.is_multiple_of(2)).then(|| team.second());
            let clicks: Vec<Click> = (0..AT_ONCE).map(|index| {
                let address = twin.as_ref().filter(|_| !index.is_multiple_of(2)).map_or(team.address, |twin| twin.address);
                let email = format!("first{index}@example.test");
                let fields = [("name", "First"), ("email", &email), ("password", people_password()), ("organization", "First Works")];
                Click::ready(team.visitor().at(address), "/sign-up", "/sign-up", &fields)
            }).collect();
            let answers = at_once(&clicks);
            assert_eq!((with_status(&answers, 303), with_status(&answers, 403)), (1, AT_ONCE - 1));
            for table in ["accounts", "organizations", "memberships"] {
                assert_eq!(facts::count(&team.db, &format!("SELECT count(*) AS count FROM {table}")), 1, "{table}");
            }
            team.check();
        }
    }

    /// Twenty people of the same name found organizations of the same name: twenty addresses.
    fn twenty_organizations_of_one_name(kind) {
        let team = Team::empty(kind);
        let twin = team.second();
        let clicks: Vec<Click> = (0..AT_ONCE).map(|index| {
            let address = if index.is_multiple_of(2) { team.address } else { twin.address };
            let email = format!("first{index}@example.test");
            let fields = [("name", "First"), ("email", &email), ("password", people_password()), ("organization", "First Works")];
            Click::ready(team.visitor().at(address), "/sign-up", "/sign-up", &fields)
        }).collect();
        let answers = at_once(&clicks);
        assert_eq!(with_status(&answers, 303), AT_ONCE);
        let mut places: Vec<_> = answers.iter().filter_map(|answer| answer.location.clone()).collect();
        places.sort();
        places.dedup();
        assert_eq!(places.len(), AT_ONCE);
    }

    /// One person, two invitations behind the bell, both accepted at the same moment: in both, and nobody had to wait
    /// for the other crosswise.
    fn two_invitations_of_one_person(kind) {
        let ground = Ground::new(kind);
        let rex = ground.acme.sign_up("Rex Rival", "rex@example.test", "Rival");
        ground.rounds(|round| {
            let email = format!("noor{round}@example.test");
            let noor = ground.acme.sign_up("Noor New", &email, "Noor Works");
            ground.invited(&email, "viewer");
            let form = "/orgs/rival/settings/team/invite";
            rex.get(form).submit(form, &[("emails", &email), ("role", "member")]).expect(303);
            let page = noor.get("/invitations");
            let paths: Vec<String> = page.urls_containing("/accept").into_iter().filter(|url| url.starts_with("/invitations/")).collect();
            assert_eq!(paths.len(), 2, "{paths:?}");
            let addresses = [ground.acme.address, ground.address(round, 2)];
            let clicks: Vec<Click> = paths.iter().zip(addresses)
                .map(|(path, address)| Click::ready(noor.copy().at(address), "/invitations", path, &[]))
                .collect();
            let answers = at_once(&clicks);
            assert_eq!(with_status(&answers, 303), 2);
            assert_eq!(ground.count(&format!(
                "SELECT count(*) AS count FROM memberships m JOIN accounts a ON a.id = m.account_id WHERE a.email_key = '{email}'"
            )), 3);
        });
    }

    /// Signing in with the old password while a new one is chosen from the letter: whoever comes first, nobody is left
    /// signed in with the old one (OWASP Forgot Password).
    fn sign_in_and_reset_password(kind) {
        let ground = Ground::new(kind);
        let email = "noor@example.test";
        ground.acme.sign_up("Noor New", email, "Noor Works");
        let mut old = people_password().to_owned();
        for round in 0..20 {
            ground.acme.advance(Duration::minutes(61));
            let visitor = ground.acme.visitor();
            visitor.get("/forgot-password").submit("/forgot-password", &[("email", email)]).expect(303);
            let link = ground.acme.path_for(email, RESET);
            ground.acme.forget_letters();
            let new = format!("ein ganz neues wort {round}");
            let mut clicks = vec![Click::ready(visitor.at(ground.address(round, 2)), &link, &link, &[("password", &new)])];
            clicks.extend((0..4).map(|index| {
                let fields = [("email", email), ("password", old.as_str())];
                Click::ready(ground.acme.visitor().at(ground.address(round, index)), "/sign-in", "/sign-in", &fields)
            }));
            let answers = at_once(&clicks);
            answers[0].expect(303);
            let left = ground.count(&format!(
                "SELECT count(*) AS count FROM sessions s JOIN accounts a ON a.id = s.account_id WHERE a.email_key = '{email}'"
            ));
            assert_eq!(left, 1, "only the browser that chose the new password is signed in");
            old = new;
        }
    }
}
