//! Databases of named sizes, with rows as the program would have made them: names, the words they are found by,
//! invitations in every state, each with its letter and its events. `roster doctor` finds nothing wrong with them.

use crate::{
    bulk::{Bulk, Cell, Table},
    databases::Database,
    keys::Keys,
};
use roster::{
    clock::Clock,
    domain::{
        ids::{AccountId, InvitationId, OrganizationId, SessionId},
        text,
        time::Timestamp,
    },
    entropy::Entropy,
    password::Hasher,
    token::SessionToken,
};
use secrecy::SecretString;
use time::Duration;
use uuid::Uuid;

/// The members and pending invitations of `team`: what is measured beside others.
pub const TEAM: (usize, usize) = (50, 20);

/// Organizations of these sizes show whether a page grows with them.
pub const SIZES: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];

/// Invitations in the large database, all organizations together.
pub const INVITATIONS: usize = 1_000_000;

/// Pending ones of the largest organization, and those that ended before.
const PENDING: usize = 2_000;
const HISTORY: usize = 300_000;

/// Organizations that the other invitations are spread over.
const OTHERS: usize = 500;

/// Organizations, each with an owner, that writes are spread over.
pub const WRITERS: usize = 100;

/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery staple";

const FIRST: [&str; 24] = [
    "Amara", "Bruno", "Chidi", "Dana", "Elif", "Farid", "Greta", "Hiro", "Ines", "Jonas", "Kaya",
    "Lior", "Mina", "Noor", "Olga", "Pia", "Quinn", "Rosa", "Samir", "Tove", "Uma", "Vera", "Wim",
    "Zoe",
];
const LAST: [&str; 20] = [
    "Abend", "Birk", "Castell", "Dorn", "Eschen", "Falk", "Gruber", "Holm", "Iversen", "Jansen",
    "Kolb", "Lund", "Marek", "Nagy", "Oster", "Pohl", "Quist", "Rask", "Sand", "Thal",
];

const ACCOUNTS: Table = (
    "accounts",
    "id, email, email_key, name, password_hash, verified_at, created_at",
);
const ORGANIZATIONS: Table = ("organizations", "id, slug, name, member_count, created_at");
const MEMBERSHIPS: Table = (
    "memberships",
    "organization_id, account_id, role, name_key, joined_at, last_active_at",
);
const WORDS: Table = ("membership_words", "organization_id, word, account_id");
const SESSIONS: Table = (
    "sessions",
    "token_hash, id, account_id, organization_id, created_at, last_seen_at, address, agent",
);
const INVITED: Table = (
    "invitations",
    "organization_id, id, email, email_key, role, state, invited_by, created_at, expires_at, link_version, delivery_id, \
     closed_at, closed_by, reminded_at, lapse_told_at",
);
const DELIVERIES: Table = (
    "deliveries",
    "id, organization_id, invitation_id, kind, email, email_key, state, attempts, requested_by, created_at, finished_at",
);
const EVENTS: Table = (
    "audit_events",
    "organization_id, id, at, account_id, actor, verb, invitation_id, target, target_key, after, address",
);

/// Somebody with an account.
#[derive(Clone)]
pub struct Person {
    pub id: AccountId,
    pub name: String,
    pub email: String,
}

/// A browser that is signed in.
#[derive(Clone)]
pub struct SignedIn {
    pub id: SessionId,
    pub cookie: String,
}

/// An organization and who founded it.
#[derive(Clone)]
pub struct Place {
    pub id: OrganizationId,
    pub slug: String,
    pub owner: Person,
    pub browser: SignedIn,
    /// Members in the order of the list: what a page's address is made of.
    pub order: Vec<(String, AccountId)>,
}

/// Somebody whose invitation waits to be accepted.
pub struct Invitee {
    pub person: Person,
    pub browser: SignedIn,
    pub invitation: InvitationId,
    pub place: usize,
}

/// What became of an invitation.
#[derive(Clone, Copy)]
enum Fate<'a> {
    Pending,
    Expired,
    Closed(&'static str, Option<&'a Person>),
}

/// A database that is being filled.
pub struct Filler<'a> {
    bulk: Bulk,
    keys: &'a Keys,
    entropy: Entropy,
    now: Timestamp,
    hash: String,
    people: usize,
    /// Invitations so far.
    pub invitations: usize,
}

impl<'a> Filler<'a> {
    pub fn new(database: &Database, keys: &'a Keys) -> Self {
        let password = SecretString::from(PASSWORD);
        Self {
            bulk: Bulk::open(database),
            keys,
            entropy: Entropy::seeded(1),
            now: Timestamp::from(Clock::system().now()),
            hash: Hasher::new(1).hash(&password, [7; 16]),
            people: 0,
            invitations: 0,
        }
    }

    /// Writes what is left.
    pub fn finish(self) {
        self.bulk.finish();
    }

    fn uuid(&self, at: Timestamp) -> Uuid {
        self.entropy.uuid_v7(at.utc())
    }

    fn person(&mut self, at: Timestamp) -> Person {
        let nth = self.people;
        self.people += 1;
        let (first, last) = (FIRST[nth % 24], LAST[(nth / 24) % 20]);
        let it = Person {
            id: AccountId(self.uuid(at)),
            name: format!("{first} {last}"),
            email: format!("{first}.{last}{nth}@example.test").to_lowercase(),
        };
        self.bulk.row(
            ACCOUNTS,
            &[
                Cell::Id(it.id.0),
                Cell::Text(&it.email),
                Cell::Text(&it.email),
                Cell::Text(&it.name),
                Cell::Text(&self.hash),
                Cell::At(at),
                Cell::At(at),
            ],
        );
        it
    }

    fn sign_in(&mut self, person: &Person) -> SignedIn {
        let token = SessionToken::new(self.entropy.token());
        let id = SessionId(self.uuid(self.now));
        self.bulk.row(
            SESSIONS,
            &[
                Cell::Bytes(&token.hash()),
                Cell::Id(id.0),
                Cell::Id(person.id.0),
                Cell::Nothing,
                Cell::At(self.now),
                Cell::At(self.now),
                Cell::Text("127.0.0.1"),
                Cell::Text("wrk"),
            ],
        );
        SignedIn {
            id,
            cookie: self.keys.cookie(&token),
        }
    }

    fn join(
        &mut self,
        place: OrganizationId,
        person: &Person,
        role: &str,
        at: Timestamp,
    ) -> String {
        let key = text::sort_key(&person.name);
        let active = self
            .now
            .minus(Duration::minutes(5 + self.people as i64 % 9000));
        self.bulk.row(
            MEMBERSHIPS,
            &[
                Cell::Id(place.0),
                Cell::Id(person.id.0),
                Cell::Text(role),
                Cell::Text(&key),
                Cell::At(at),
                Cell::At(active.max(at)),
            ],
        );
        for word in text::search_words(&person.name, &person.email) {
            let cells = [Cell::Id(place.0), Cell::Text(&word), Cell::Id(person.id.0)];
            self.bulk.row(WORDS, &cells);
        }
        key
    }

    /// An event, by somebody, about an invitation to an address or about nothing.
    fn event(
        &mut self,
        place: OrganizationId,
        by: Option<&Person>,
        verb: &str,
        about: Option<(InvitationId, &str)>,
        after: Option<&str>,
        at: Timestamp,
    ) {
        let id = self.uuid(at);
        let target = about.map_or(Cell::Nothing, |(_, email)| Cell::Text(email));
        self.bulk.row(
            EVENTS,
            &[
                Cell::Id(place.0),
                Cell::Id(id),
                Cell::At(at),
                by.map_or(Cell::Nothing, |by| Cell::Id(by.id.0)),
                by.map_or(Cell::Nothing, |by| Cell::Text(&by.name)),
                Cell::Text(verb),
                about.map_or(Cell::Nothing, |(id, _)| Cell::Id(id.0)),
                target,
                target,
                after.map_or(Cell::Nothing, Cell::Text),
                Cell::Text("192.0.2.1"),
            ],
        );
    }

    fn invite(
        &mut self,
        place: OrganizationId,
        by: &Person,
        email: &str,
        at: Timestamp,
        fate: Fate<'_>,
    ) -> InvitationId {
        self.invitations += 1;
        let (id, letter) = (InvitationId(self.uuid(at)), self.uuid(at));
        let expires = at.plus(Duration::days(7));
        let (state, closed_by) = match fate {
            Fate::Pending | Fate::Expired => ("pending", None),
            Fate::Closed(state, closed_by) => (state, closed_by),
        };
        let closing = at.plus(match state {
            // Only what has expired gives way to another.
            "superseded" => Duration::days(8),
            _ => Duration::hours(1),
        });
        let closed = !matches!(fate, Fate::Pending | Fate::Expired);
        // What the program has done about it by itself, so that it does not begin to when it is measured.
        let settled = match fate {
            Fate::Expired => Cell::At(expires),
            _ => Cell::Nothing,
        };
        self.bulk.row(
            INVITED,
            &[
                Cell::Id(place.0),
                Cell::Id(id.0),
                Cell::Text(email),
                Cell::Text(email),
                Cell::Text("member"),
                Cell::Text(state),
                Cell::Id(by.id.0),
                Cell::At(at),
                Cell::At(expires),
                Cell::Number(self.keys.version().into()),
                Cell::Id(letter),
                if closed {
                    Cell::At(closing)
                } else {
                    Cell::Nothing
                },
                closed_by.map_or(Cell::Nothing, |by| Cell::Id(by.id.0)),
                settled,
                settled,
            ],
        );
        self.bulk.row(
            DELIVERIES,
            &[
                Cell::Id(letter),
                Cell::Id(place.0),
                Cell::Id(id.0),
                Cell::Text("invitation"),
                Cell::Text(email),
                Cell::Text(email),
                Cell::Text("sent"),
                Cell::Number(1),
                Cell::Id(by.id.0),
                Cell::At(at),
                Cell::At(at.plus(Duration::seconds(2))),
            ],
        );
        self.event(
            place,
            Some(by),
            "invite",
            Some((id, email)),
            Some("member"),
            at,
        );
        let end = match state {
            "accepted" => Some(("accept", Some("member"))),
            "rejected" => Some(("reject", None)),
            "revoked" => Some(("revoke", None)),
            "superseded" => Some(("supersede", None)),
            _ => None,
        };
        if let Some((verb, after)) = end {
            self.event(place, closed_by, verb, Some((id, email)), after, closing);
        }
        id
    }

    /// An organization of so many members, its owner among them and signed in. All others were invited and accepted,
    /// evenly over the last year.
    pub fn place(&mut self, slug: &str, members: usize) -> Place {
        let founded = self.now.minus(Duration::days(400));
        let id = OrganizationId(self.uuid(founded));
        self.bulk.row(
            ORGANIZATIONS,
            &[
                Cell::Id(id.0),
                Cell::Text(slug),
                Cell::Text(&format!("Organization {slug}")),
                Cell::Number(i64::try_from(members).expect("a few")),
                Cell::At(founded),
            ],
        );
        let owner = self.person(founded);
        let key = self.join(id, &owner, "owner", founded);
        self.event(id, Some(&owner), "found", None, Some("owner"), founded);
        let browser = self.sign_in(&owner);
        let mut order = vec![(key, owner.id)];
        let step = Duration::days(365) / i32::try_from(members).expect("a few");
        for nth in 1..members {
            let at = founded.plus(step * i32::try_from(nth).expect("a few"));
            let person = self.person(at);
            let accepted = Fate::Closed("accepted", Some(&person));
            self.invite(id, &owner, &person.email, at, accepted);
            let key = self.join(id, &person, "member", at.plus(Duration::hours(1)));
            order.push((key, person.id));
        }
        order.sort_unstable();
        Place {
            id,
            slug: slug.to_owned(),
            owner,
            browser,
            order,
        }
    }

    /// So many pending invitations of the last four days, which need no reminder yet; answers the newest.
    pub fn pending(&mut self, place: &Place, many: usize) -> InvitationId {
        let step = Duration::days(4) / i32::try_from(many).expect("a few");
        let mut last = InvitationId(Uuid::nil());
        for nth in 0..many {
            let back = step * i32::try_from(many - nth).expect("a few");
            let email = format!("guest{nth}.{}@example.test", place.slug);
            let at = self.now.minus(back);
            last = self.invite(place.id, &place.owner, &email, at, Fate::Pending);
        }
        last
    }

    /// So many invitations of the last year that came to nothing, in every way there is.
    pub fn history(&mut self, place: &Place, many: usize) {
        let start = self.now.minus(Duration::days(380));
        let step = Duration::days(360) / i32::try_from(many).expect("a few");
        for nth in 0..many {
            let email = format!("former{nth}.{}@example.test", place.slug);
            let fate = match nth % 4 {
                0 => Fate::Closed("rejected", None),
                1 => Fate::Closed("revoked", Some(&place.owner)),
                2 => Fate::Closed("superseded", Some(&place.owner)),
                _ => Fate::Expired,
            };
            let at = start.plus(step * i32::try_from(nth).expect("a few"));
            self.invite(place.id, &place.owner, &email, at, fate);
        }
    }

    /// So many people with an account, signed in, each with an invitation from one of these.
    pub fn invitees(&mut self, places: &[Place], many: usize) -> Vec<Invitee> {
        let at = self.now.minus(Duration::hours(1));
        (0..many)
            .map(|nth| {
                let place = nth % places.len();
                let inviting = &places[place];
                let person = self.person(at);
                let browser = self.sign_in(&person);
                let invitation = self.invite(
                    inviting.id,
                    &inviting.owner,
                    &person.email,
                    at,
                    Fate::Pending,
                );
                Invitee {
                    person,
                    browser,
                    invitation,
                    place,
                }
            })
            .collect()
    }
}

/// The large database: every size of [`SIZES`] beside `team`, and [`INVITATIONS`] in all. Answers `team`, then the sizes.
pub fn large(filler: &mut Filler<'_>) -> Vec<Place> {
    let mut places = vec![filler.place("team", TEAM.0)];
    filler.pending(&places[0], TEAM.1);
    for size in SIZES {
        places.push(filler.place(&format!("m{size}"), size));
    }
    let largest = places.last().expect("the sizes").clone();
    filler.history(&largest, HISTORY);
    filler.pending(&largest, PENDING);
    let left = INVITATIONS.saturating_sub(filler.invitations);
    for nth in 0..OTHERS {
        let other = filler.place(&format!("other{nth}"), 1);
        filler.history(&other, left / OTHERS + usize::from(nth < left % OTHERS));
    }
    places
}
