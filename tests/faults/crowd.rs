//! People who invite, resend, change, revoke, join, reject, leave and are removed, while everything around them breaks;
//! and the book that is kept of it.
//!
//! Each client looks after guests of its own, so what may have happened to a guest is one line of events. Afterwards the
//! audit log must hold every acknowledged one, each unacknowledged one whole or not at all, and nothing else; and the rows
//! must say what the events say (I9, I12).

use crate::{
    profile::Dice,
    stage::{Letters, Stage},
    support::{
        facts,
        people::{Answer, Person, encode, encode_value},
        team::{INVITATION, link_in, people_password},
    },
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

const ROLES: [&str; 3] = ["admin", "member", "viewer"];
const INVITATIONS: &str = "/orgs/acme/settings/team/invitations";
const MEMBERS: &str = "/orgs/acme/settings/team/members/";

/// Where a guest stands in Acme.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    Outside,
    Invited(&'static str),
    Member(&'static str),
}

/// An event that should, or may, be in the audit log.
#[derive(Clone, Debug)]
struct Step {
    verb: &'static str,
    after: Option<&'static str>,
    /// Acknowledged, so it must be there; otherwise it may.
    sure: bool,
}

/// Somebody who is invited, and how it went.
struct Guest {
    email: String,
    /// An address of their own, as a proxy reports it: counters are kept by address.
    from: String,
    browser: Person,
    has_account: bool,
    /// Their browser was signed in when they last used it.
    signed_in: bool,
    standing: Standing,
    steps: Vec<Step>,
    /// Nothing about them is in doubt.
    sure: bool,
    fresh: bool,
}

/// How a click ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Clicked {
    Done,
    Refused,
    /// No answer, or a 5xx.
    Unsure,
}

/// What was counted.
#[derive(Default, Debug)]
pub struct Tally {
    pub acknowledged: AtomicUsize,
    pub refused: AtomicUsize,
    /// Answered with 5xx.
    pub faults: AtomicUsize,
    /// Clicks without an answer.
    pub unsure: AtomicUsize,
    /// Those of them that were found done, whole.
    pub done_unsaid: AtomicUsize,
    /// The acknowledged ones, by what they were.
    verbs: Mutex<BTreeMap<&'static str, usize>>,
}

impl Tally {
    /// For the report. The numbers of what was lost or doubled are no news: a test with one fails.
    pub fn line(&self, letters: Letters) -> String {
        let verbs = self.verbs.lock().expect("the verbs");
        let verbs: Vec<_> = verbs
            .iter()
            .map(|(verb, times)| format!("{verb} {times}"))
            .collect();
        format!(
            "{} changes acknowledged ({}), 0 lost, {} cut off ({} of them done), {} 5xx; \
             {} letters, 0 doubled: {} sent, {} failed, {} unknown, {} dropped",
            self.acknowledged.load(Relaxed),
            verbs.join(", "),
            self.unsure.load(Relaxed),
            self.done_unsaid.load(Relaxed),
            self.faults.load(Relaxed),
            letters.all(),
            letters.sent,
            letters.failed,
            letters.unknown,
            letters.dropped,
        )
    }
}

/// Whoever invites, and all the guests.
pub struct Crowd<'s> {
    stage: &'s Stage,
    inviter: Person,
    csrf: String,
    clients: Vec<Mutex<Vec<Guest>>>,
    pub tally: Tally,
}

impl<'s> Crowd<'s> {
    /// So many clients, all acting for one who may invite.
    pub fn new(stage: &'s Stage, inviter: &Person, clients: usize) -> Self {
        Self {
            stage,
            csrf: inviter.get("/").csrf(),
            inviter: inviter.copy(),
            clients: (0..clients).map(|_| Mutex::default()).collect(),
            tally: Tally::default(),
        }
    }

    /// All clients work while `meanwhile` runs, and then stop.
    pub fn work(&self, dice: &mut Dice, meanwhile: impl FnOnce(&mut Dice)) {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for client in 0..self.clients.len() {
                let (dice, stop) = (dice.fork(), &stop);
                scope.spawn(move || self.client(client, dice, stop));
            }
            let done = catch_unwind(AssertUnwindSafe(|| meanwhile(dice)));
            stop.store(true, Relaxed);
            done
        })
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }

    /// Waits for so many more acknowledged changes.
    pub fn wait_for(&self, changes: usize) {
        let (start, before) = (Instant::now(), self.tally.acknowledged.load(Relaxed));
        while self.tally.acknowledged.load(Relaxed) < before + changes {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "nothing goes on: {:?}",
                self.tally
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn client(&self, client: usize, mut dice: Dice, stop: &AtomicBool) {
        let mut guests = self.clients[client].lock().expect("its guests");
        while !stop.load(Relaxed) {
            std::thread::sleep(dice.moment(10));
            let Some(address) = self.stage.address(&mut dice) else {
                continue;
            };
            let sure: Vec<usize> = (0..guests.len()).filter(|nth| guests[*nth].sure).collect();
            let nth = if sure.len() < 4 || dice.one_in(8) {
                let number = guests.len();
                guests.push(Guest::new(client, number, address, &mut dice));
                number
            } else {
                // more of those who have been in: they can do more
                let [one, other] = [dice.pick(&sure), dice.pick(&sure)];
                if guests[one].has_account { one } else { other }
            };
            self.act(&mut guests[nth], address, &mut dice);
        }
    }

    /// Something that may happen to a guest where they stand now.
    fn act(&self, guest: &mut Guest, address: SocketAddr, dice: &mut Dice) {
        let other = dice.pick(&ROLES);
        match (guest.standing, dice.below(12)) {
            (Standing::Outside, _) => self.invite(guest, address, other),
            (Standing::Invited(_), 0) => self.on_invitation(guest, address, "resend", None),
            (Standing::Invited(_), 1) => self.on_invitation(guest, address, "copy_link", None),
            (Standing::Invited(role), 2 | 3) if role != other => {
                self.on_invitation(
                    guest,
                    address,
                    "change_invitation_role",
                    Some((role, other)),
                );
            }
            (Standing::Invited(_), 4) => self.on_invitation(guest, address, "revoke", None),
            (Standing::Invited(role), roll) => {
                self.answer(guest, address, role, guest.has_account && roll < 8, dice);
            }
            (Standing::Member(role), 0 | 1) if role != other => {
                self.on_member(guest, address, role, Some(other));
            }
            (Standing::Member(role), 2..4) => self.on_member(guest, address, role, None),
            (Standing::Member(_), 4) => self.leave(guest, address),
            (Standing::Member(_), _) => {}
        }
    }

    fn invite(&self, guest: &mut Guest, address: SocketAddr, role: &'static str) {
        let fields = [
            ("emails", guest.email.as_str()),
            ("role", role),
            ("from", "page"),
            ("then", "send"),
        ];
        let path = "/orgs/acme/settings/team/invite";
        let clicked = self.click(
            &self.inviter.at(address),
            path,
            &self.csrf,
            &guest.from,
            &fields,
        );
        self.note(
            guest,
            clicked,
            "invite",
            Some(role),
            Standing::Invited(role),
        );
    }

    fn on_invitation(
        &self,
        guest: &mut Guest,
        address: SocketAddr,
        verb: &'static str,
        roles: Option<(&'static str, &'static str)>,
    ) {
        let inviter = self.inviter.at(address);
        let Some(url) = attempt(|| inviter.invitation_url(&guest.email)) else {
            return;
        };
        let path = match verb {
            "copy_link" => format!("{url}/link"),
            "change_invitation_role" => format!("{url}/role"),
            _ => format!("{url}/{verb}"),
        };
        let fields = roles.map(|(before, after)| [("before", before), ("role", after)]);
        let fields = fields.as_ref().map_or(&[][..], |fields| &fields[..]);
        let clicked = self.click(&inviter, &path, &self.csrf, &guest.from, fields);
        let after = roles.map(|(_, after)| after);
        let standing = match (verb, after) {
            ("revoke", _) => Standing::Outside,
            (_, Some(role)) => Standing::Invited(role),
            _ => guest.standing,
        };
        self.note(guest, clicked, verb, after, standing);
    }

    /// The link in the letter: an account and in, or accepted, or rejected. Sometimes at two instances at once.
    fn answer(
        &self,
        guest: &mut Guest,
        address: SocketAddr,
        role: &'static str,
        reject: bool,
        dice: &mut Dice,
    ) {
        let letter = self.stage.mail.last_to(&guest.email);
        let Some(letter) = letter.filter(|letter| letter.data.contains("accept-invitation")) else {
            return;
        };
        let link = link_in(&letter.text());
        if !link.starts_with(INVITATION) || !self.sign_in(guest, address) {
            return;
        }
        let page = if reject {
            format!("{link}/reject")
        } else {
            link.clone()
        };
        let Some((200, csrf)) = attempt(|| {
            let page = guest.browser.get(&page);
            (page.status, page.csrf())
        }) else {
            return;
        };
        let sign_up = [("name", "Noor New"), ("password", people_password())];
        let (verb, path, fields) = match (guest.has_account, reject) {
            (false, _) => ("accept", "sign-up", &sign_up[..]),
            (true, true) => ("reject", "reject", &[][..]),
            (true, false) => ("accept", "accept", &[][..]),
        };
        let path = format!("{link}/{path}");
        let mut browsers = vec![guest.browser.copy()];
        if !reject && dice.one_in(4) {
            let elsewhere = self.stage.address(dice).unwrap_or(address);
            browsers.push(guest.browser.at(elsewhere));
        }
        let clicks: Vec<Clicked> = std::thread::scope(|scope| {
            let clicks: Vec<_> = browsers
                .iter()
                .map(|browser| {
                    scope.spawn(|| self.click(browser, &path, &csrf, &guest.from, fields))
                })
                .collect();
            clicks
                .into_iter()
                .map(|click| click.join().expect("a click"))
                .collect()
        });
        let done = clicks.iter().position(|clicked| *clicked == Clicked::Done);
        let clicked = match done {
            Some(_) => Clicked::Done,
            None if clicks.contains(&Clicked::Unsure) => Clicked::Unsure,
            None => Clicked::Refused,
        };
        if let Some(nth) = done {
            guest.browser = browsers.swap_remove(nth);
            // whoever came second renewed the session under the first one's feet
            guest.signed_in = clicks.len() == 1 || verb == "reject";
        }
        let (after, standing) = if reject {
            (None, Standing::Outside)
        } else {
            (Some(role), Standing::Member(role))
        };
        if clicked == Clicked::Done && !reject {
            guest.has_account = true;
        }
        self.note(guest, clicked, verb, after, standing);
    }

    /// Whoever has an account signs in with it, unless they are; `false` when they cannot now.
    fn sign_in(&self, guest: &mut Guest, address: SocketAddr) -> bool {
        guest.browser = guest.browser.at(address);
        if !guest.has_account {
            // not even with the cookie of a sign-up that was cut short
            guest.browser = Person::new(address);
            return true;
        }
        let browser = &guest.browser;
        let signed_in =
            attempt(|| browser.is_signed_in() || browser.sign_in(&guest.email).status == 303);
        guest.signed_in = signed_in == Some(true);
        guest.signed_in
    }

    /// Another role, or out.
    fn on_member(
        &self,
        guest: &mut Guest,
        address: SocketAddr,
        before: &'static str,
        after: Option<&'static str>,
    ) {
        let inviter = self.inviter.at(address);
        let Some(Some(url)) = attempt(|| member_url(&inviter, &guest.email)) else {
            return;
        };
        let (verb, fields, standing) = match after {
            Some(role) => (
                "change_role",
                vec![("before", before), ("role", role)],
                Standing::Member(role),
            ),
            None => ("remove", vec![("before", before)], Standing::Outside),
        };
        let path = if after.is_some() { "role" } else { "remove" };
        let path = format!("{url}/{path}");
        let clicked = self.click(&inviter, &path, &self.csrf, &guest.from, &fields);
        if clicked != Clicked::Refused && after.is_none() {
            guest.signed_in = false;
        }
        self.note(guest, clicked, verb, after, standing);
    }

    fn leave(&self, guest: &mut Guest, address: SocketAddr) {
        if !self.sign_in(guest, address) {
            return;
        }
        let Some(csrf) = attempt(|| guest.browser.get("/orgs/acme").csrf()) else {
            return;
        };
        let clicked = self.click(&guest.browser, "/orgs/acme/leave", &csrf, &guest.from, &[]);
        self.note(guest, clicked, "leave", None, Standing::Outside);
    }

    fn click(
        &self,
        person: &Person,
        path: &str,
        csrf: &str,
        from: &str,
        fields: &[(&str, &str)],
    ) -> Clicked {
        let form = encode(&[&[("csrf", csrf)], fields].concat());
        let headers = [("x-forwarded-for", from), ("accept", "text/html")];
        let answer = attempt(|| {
            let answer = person.ask("POST", path, &headers, Some(&form));
            (answer.status, is_sign_in(&answer))
        });
        match answer {
            None => Clicked::Unsure,
            Some((200 | 303, false)) => Clicked::Done,
            Some((500.., _)) => {
                self.tally.faults.fetch_add(1, Relaxed);
                Clicked::Unsure
            }
            Some(_) => Clicked::Refused,
        }
    }

    /// Writes down what a click came to.
    fn note(
        &self,
        guest: &mut Guest,
        clicked: Clicked,
        verb: &'static str,
        after: Option<&'static str>,
        standing: Standing,
    ) {
        guest.fresh = true;
        match clicked {
            Clicked::Refused => {
                self.tally.refused.fetch_add(1, Relaxed);
                return;
            }
            Clicked::Done => {
                self.tally.acknowledged.fetch_add(1, Relaxed);
                *self
                    .tally
                    .verbs
                    .lock()
                    .expect("the verbs")
                    .entry(verb)
                    .or_default() += 1;
                guest.standing = standing;
            }
            Clicked::Unsure => {
                self.tally.unsure.fetch_add(1, Relaxed);
                guest.sure = false;
            }
        }
        let sure = clicked == Clicked::Done;
        guest.steps.push(Step { verb, after, sure });
    }

    /// Holds the book against the database, and goes on from what is there.
    pub fn settle(&self) {
        let rows = Rows::read(self.stage);
        for guests in &self.clients {
            for guest in guests.lock().expect("guests").iter_mut() {
                let events = rows.events.get(&guest.email).map_or(&[][..], Vec::as_slice);
                assert!(
                    fits(&guest.steps, events),
                    "I9: {} did {:?}, and the log says {events:?}",
                    guest.email,
                    guest.steps
                );
                let sure = guest.steps.iter().filter(|step| step.sure).count();
                self.tally
                    .done_unsaid
                    .fetch_add(events.len() - sure, Relaxed);
                guest.go_on_from(events);
                assert_eq!(
                    rows.standing(&guest.email),
                    guest.standing,
                    "{}",
                    guest.email
                );
                assert_eq!(
                    rows.accounts.contains(&guest.email),
                    guest.has_account,
                    "an account without its joining, or the reverse: {}",
                    guest.email
                );
            }
        }
    }

    /// What some of those see who did something since the last time: members are in, and whoever was removed is out (I10).
    pub fn look(&self, dice: &mut Dice) {
        let address = self.stage.address(dice).expect("one runs");
        let inviter = self.inviter.at(address);
        for guests in &self.clients {
            let mut guests = guests.lock().expect("guests");
            for guest in guests.iter_mut().filter(|guest| guest.fresh).take(3) {
                let list = format!(
                    "{INVITATIONS}?state=pending&q={}",
                    encode_value(&guest.email)
                );
                let listed = inviter
                    .get(&list)
                    .expect(200)
                    .listed()
                    .contains(&guest.email);
                match guest.standing {
                    Standing::Invited(_) => assert!(listed, "I9: {}", guest.email),
                    Standing::Member(_) | Standing::Outside => {
                        assert!(!listed, "I9: {}", guest.email);
                        guest.browser = guest.browser.at(address);
                        let page = guest.browser.get("/orgs/acme");
                        let inside = matches!(guest.standing, Standing::Member(_));
                        assert!(
                            page.status == 200 || !inside || !guest.signed_in,
                            "{}",
                            guest.email
                        );
                        assert!(page.status != 200 || inside, "I10: {}", guest.email);
                    }
                }
            }
            guests.iter_mut().for_each(|guest| guest.fresh = false);
        }
    }
}

impl Guest {
    fn new(client: usize, number: usize, address: SocketAddr, dice: &mut Dice) -> Self {
        Self {
            email: format!("g{client}x{number}@example.test"),
            from: format!("10.{}.{}.{}", client, dice.below(250), number % 250),
            browser: Person::new(address),
            has_account: false,
            signed_in: false,
            standing: Standing::Outside,
            steps: Vec::new(),
            sure: true,
            fresh: true,
        }
    }

    /// What the events come to is what stands; from here on nothing of it may go.
    fn go_on_from(&mut self, events: &[(String, String)]) {
        let known = |word: &str| ROLES.into_iter().find(|role| *role == word);
        self.steps.clear();
        self.standing = Standing::Outside;
        for (verb, after) in events {
            let verb = VERBS
                .into_iter()
                .find(|known| known == verb)
                .expect("a known verb");
            let role = known(after);
            self.standing = match (verb, role) {
                ("invite" | "change_invitation_role", Some(role)) => Standing::Invited(role),
                ("accept" | "change_role", Some(role)) => Standing::Member(role),
                ("resend" | "copy_link", _) => self.standing,
                _ => Standing::Outside,
            };
            self.has_account |= verb == "accept";
            self.steps.push(Step {
                verb,
                after: role,
                sure: true,
            });
        }
        if !self.sure {
            self.signed_in = false;
        }
        self.sure = true;
    }
}

const VERBS: [&str; 10] = [
    "invite",
    "resend",
    "copy_link",
    "change_invitation_role",
    "revoke",
    "accept",
    "reject",
    "change_role",
    "remove",
    "leave",
];

/// The rows about all guests.
struct Rows {
    /// Verb and value after, in their order.
    events: HashMap<String, Vec<(String, String)>>,
    invited: HashMap<String, String>,
    members: HashMap<String, String>,
    accounts: HashSet<String>,
}

impl Rows {
    fn read(stage: &Stage) -> Self {
        let db = stage.db();
        let ask = |query: &'static str| facts::ask(&db, move |conn| facts::lines(conn, query));
        let mut events: HashMap<String, Vec<(String, String)>> = HashMap::new();
        for line in ask(
            "SELECT target_key || '|' || verb || '|' || coalesce(after, '') AS line FROM audit_events \
             WHERE target_key LIKE 'g%' ORDER BY at, id",
        ) {
            let mut parts = line.split('|').map(str::to_owned);
            if let (Some(email), Some(verb), Some(after)) =
                (parts.next(), parts.next(), parts.next())
            {
                events.entry(email).or_default().push((verb, after));
            }
        }
        let pairs = |query: &'static str| -> HashMap<String, String> {
            let lines = ask(query);
            let pairs = lines.iter().filter_map(|line| line.split_once('|'));
            pairs
                .map(|(email, role)| (email.to_owned(), role.to_owned()))
                .collect()
        };
        Self {
            events,
            invited: pairs(
                "SELECT email_key || '|' || role AS line FROM invitations WHERE state = 'pending'",
            ),
            members: pairs(
                "SELECT a.email_key || '|' || m.role AS line FROM memberships m JOIN accounts a ON a.id = m.account_id \
                 JOIN organizations o ON o.id = m.organization_id WHERE o.slug = 'acme'",
            ),
            accounts: ask("SELECT email_key AS line FROM accounts")
                .into_iter()
                .collect(),
        }
    }

    fn standing(&self, email: &str) -> Standing {
        let known = |role: &String| {
            ROLES
                .into_iter()
                .find(|known| known == role)
                .expect("a role")
        };
        match (self.invited.get(email), self.members.get(email)) {
            (None, None) => Standing::Outside,
            (Some(role), None) => Standing::Invited(known(role)),
            (None, Some(role)) => Standing::Member(known(role)),
            (Some(_), Some(_)) => panic!("{email} is a member and invited"),
        }
    }
}

/// Whether the events are the steps in their order, of which only those that were not acknowledged may be missing.
fn fits(steps: &[Step], events: &[(String, String)]) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        return events.is_empty();
    };
    let is_it = events.first().is_some_and(|(verb, after)| {
        verb == step.verb && step.after.is_none_or(|wanted| wanted == after)
    });
    (is_it && fits(rest, &events[1..])) || (!step.sure && fits(rest, events))
}

/// The address of a member's pages, from the members list.
pub fn member_url(person: &Person, email: &str) -> Option<String> {
    let page = person.get(&format!(
        "/orgs/acme/settings/team?q={}",
        encode_value(email)
    ));
    let urls = page.urls_containing(MEMBERS);
    let id = urls.first()?.strip_prefix(MEMBERS)?.get(..36)?;
    Some(format!("{MEMBERS}{id}"))
}

fn is_sign_in(answer: &Answer<'_>) -> bool {
    let location = answer.location.as_deref();
    location.is_some_and(|location| location.starts_with("/sign-in"))
}

/// What a page answered; nothing when the connection was cut, or the page was not what it should be.
pub fn attempt<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// The book finds what was lost, what was doubled, and what nobody asked for.
#[test]
fn the_book_finds_what_does_not_fit() {
    let step = |verb, sure| Step {
        verb,
        after: None,
        sure,
    };
    let steps = [
        step("invite", true),
        step("resend", false),
        step("resend", true),
    ];
    let fits = |words: &str| {
        let events = words.split_whitespace();
        let events: Vec<_> = events
            .map(|verb| (verb.to_owned(), String::new()))
            .collect();
        fits(&steps, &events)
    };
    assert!(fits("invite resend") && fits("invite resend resend"));
    for bad in [
        "",
        "invite",
        "resend",
        "invite revoke resend",
        "invite resend resend resend",
        "invite invite resend",
    ] {
        assert!(!fits(bad), "{bad}");
    }
}
