//! Rows that would take too long to make by hand: many members, many events, and moments of long ago. And walks along
//! the lists that show them.

use super::{people::Person, rows::TABLES, team::Team};
use roster::domain::time::Timestamp;
use std::sync::atomic::Ordering;
use uuid::Uuid;

/// Where Acme's id is.
const ACME: &str = "(SELECT id FROM organizations WHERE slug = 'acme')";

/// Rows in one statement.
const AT_ONCE: usize = 500;

/// A member that nobody invited.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seed {
    /// Its id, as a number.
    pub id: u128,
    pub name: String,
    pub role: &'static str,
    /// In microseconds.
    pub joined: i64,
    /// In microseconds; nothing: never.
    pub active: Option<i64>,
}

impl Seed {
    pub fn new(id: u128, name: &str, joined: i64, active: Option<i64>) -> Self {
        Self {
            id,
            name: name.to_owned(),
            role: "member",
            joined,
            active,
        }
    }

    pub fn email(&self) -> String {
        format!("seed{}@example.test", self.id)
    }

    fn word(&self) -> String {
        self.name
            .to_lowercase()
            .split(' ')
            .next()
            .unwrap_or_default()
            .to_owned()
    }
}

/// An event that nobody caused.
#[derive(Clone, Debug)]
pub struct Happening {
    /// What makes its id unlike the others of its millisecond.
    pub id: u64,
    /// In microseconds.
    pub at: i64,
    pub verb: &'static str,
    pub actor: String,
    pub target: String,
}

impl Team {
    pub fn uuid(&self, id: Uuid) -> String {
        if self.on_postgres() {
            format!("'{id}'::uuid")
        } else {
            format!("x'{}'", id.simple())
        }
    }

    pub fn instant(&self, micros: i64) -> String {
        if self.on_postgres() {
            format!("(timestamptz 'epoch' + {micros} * interval '1 microsecond')")
        } else {
            micros.to_string()
        }
    }

    /// So many days before now, in microseconds.
    pub fn days_ago(&self, days: i64) -> i64 {
        self.now() - days * 86_400_000_000
    }

    fn insert_all(&self, into: &str, rows: &[String]) {
        for some in rows.chunks(AT_ONCE) {
            self.sql(&format!("INSERT INTO {into} VALUES {}", some.join(", ")));
        }
    }

    /// Makes members of Acme, with everything that belongs to a member.
    pub fn seed_members(&self, seeds: &[Seed]) {
        let each = |row: &dyn Fn(&Seed) -> String| seeds.iter().map(row).collect::<Vec<_>>();
        let id = |seed: &Seed| self.uuid(Uuid::from_u128(seed.id));
        let at = |micros| self.instant(micros);
        let none = || "NULL".to_owned();
        self.insert_all(
            "accounts (id, email, email_key, name, password_hash, created_at)",
            &each(&|it| {
                let email = it.email();
                format!(
                    "({}, '{email}', '{email}', '{}', '-', {})",
                    id(it),
                    it.name,
                    at(it.joined)
                )
            }),
        );
        self.insert_all(
            "memberships (organization_id, account_id, role, name_key, joined_at, last_active_at)",
            &each(&|it| {
                format!(
                    "({ACME}, {}, '{}', '{}', {}, {})",
                    id(it),
                    it.role,
                    it.name.to_lowercase(),
                    at(it.joined),
                    it.active.map_or_else(none, at)
                )
            }),
        );
        self.insert_all(
            "membership_words (organization_id, word, account_id)",
            &each(&|it| format!("({ACME}, '{}', {})", it.word(), id(it))),
        );
        self.insert_all(
            "audit_events (organization_id, id, at, account_id, actor, verb, address)",
            &each(&|it| {
                format!(
                    "({ACME}, {}, {}, {}, '{}', 'accept', '192.0.2.1')",
                    self.uuid(event_id(it.joined, it.id as u64)),
                    at(it.joined),
                    id(it),
                    it.name
                )
            }),
        );
        self.sql(&format!(
            "UPDATE organizations SET member_count = member_count + {} WHERE slug = 'acme'",
            seeds.len()
        ));
    }

    /// Takes a member out of Acme, as if removed; what they did stays.
    pub fn drop_member(&self, email: &str) {
        let account = format!("(SELECT id FROM accounts WHERE email_key = '{email}')");
        for table in ["membership_words", "memberships"] {
            self.sql(&format!(
                "DELETE FROM {table} WHERE organization_id = {ACME} AND account_id = {account}"
            ));
        }
        self.sql("UPDATE organizations SET member_count = member_count - 1 WHERE slug = 'acme'");
    }

    pub fn seed_events(&self, events: &[Happening]) {
        let rows: Vec<String> = events
            .iter()
            .map(|it| {
                format!(
                    "({ACME}, {}, {}, '{}', '{}', '{}', '{}', '192.0.2.1')",
                    self.uuid(event_id(it.at, it.id)),
                    self.instant(it.at),
                    it.actor,
                    it.verb,
                    it.target,
                    it.target
                )
            })
            .collect();
        self.insert_all(
            "audit_events (organization_id, id, at, actor, verb, target, target_key, address)",
            &rows,
        );
    }

    /// Makes so many invitations of Olivia's in Acme, in this state; those that are open last until `expires`, in
    /// microseconds. Their ids begin with `first`.
    pub fn seed_invitations(&self, first: u128, count: u128, state: &str, expires: i64) {
        self.database.made_up.store(true, Ordering::Relaxed);
        let olivia = "(SELECT id FROM accounts WHERE email_key = 'olivia@example.test')";
        let made = self.days_ago(20);
        let closed = if state == "pending" {
            "NULL".to_owned()
        } else {
            self.instant(made)
        };
        let rows: Vec<String> = (first..first + count)
            .map(|id| {
                format!(
                    "({ACME}, {}, 'guest{id}@example.test', 'guest{id}@example.test', 'member', '{state}', {olivia}, \
                     {}, {}, 1, {closed})",
                    self.uuid(Uuid::from_u128(id)),
                    self.instant(made),
                    self.instant(expires),
                )
            })
            .collect();
        self.insert_all(
            "invitations (organization_id, id, email, email_key, role, state, invited_by, created_at, expires_at, \
             link_version, closed_at)",
            &rows,
        );
    }

    /// Tells an account of so many things nobody did.
    pub fn seed_notifications(&self, email: &str, count: u64) {
        let account = format!("(SELECT id FROM accounts WHERE email_key = '{email}')");
        let rows: Vec<String> = (0..count)
            .map(|number| {
                let at = self.now() - i64::try_from(number).expect("few") * 1_000_000;
                format!(
                    "({account}, {}, 'role_changed', {})",
                    self.uuid(event_id(at, number)),
                    self.instant(at)
                )
            })
            .collect();
        self.insert_all("notifications (account_id, id, kind, at)", &rows);
    }

    /// Makes a hundred other organizations and tells PostgreSQL how much of everything there is, as it would find out
    /// by itself in an hour. SQLite needs to know nothing.
    pub fn seed_a_crowd(&self) {
        if !self.on_postgres() {
            return;
        }
        self.database.made_up.store(true, Ordering::Relaxed);
        // A number as an id: `00000000-0000-0000-0000-000000000001` and so on, with a digit for the kind of thing.
        let id = |kind: char, number: &str| {
            format!("('{kind}0000000-0000-0000-0000-' || lpad(({number})::text, 12, '0'))::uuid")
        };
        let all = |count: u32| format!("generate_series(1, {count}) AS n");
        let (organization, account) = (id('a', "n % 100"), id('b', "n"));
        for statement in [
            format!(
                "INSERT INTO organizations (id, slug, name, member_count, created_at) \
                 SELECT {organization}, 'crowd-' || n, 'Crowd', 0, now() FROM {}",
                all(100)
            ),
            format!(
                "INSERT INTO accounts (id, email, email_key, name, password_hash, created_at) \
                 SELECT {account}, 'crowd' || n, 'crowd' || n, 'Crowd', '-', now() FROM {}",
                all(10_000)
            ),
            format!(
                "INSERT INTO memberships (organization_id, account_id, role, name_key, joined_at, last_active_at) \
                 SELECT {organization}, {account}, 'member', 'crowd ' || n, now() - n * interval '1 minute', \
                 now() - n * interval '1 second' FROM {}",
                all(10_000)
            ),
            format!(
                "INSERT INTO membership_words (organization_id, word, account_id) \
                 SELECT {organization}, 'crowd' || n, {account} FROM {}",
                all(10_000)
            ),
            format!(
                "INSERT INTO sessions (token_hash, id, account_id, organization_id, created_at, last_seen_at, address, agent) \
                 SELECT sha256(n::text::bytea), {account}, {account}, {organization}, now(), \
                 now() - n * interval '1 minute', '', '' FROM {}",
                all(10_000)
            ),
            format!(
                "INSERT INTO invitations (organization_id, id, email, email_key, role, state, invited_by, created_at, \
                 expires_at, link_version, closed_at, reminded_at, lapse_told_at) SELECT {organization}, {account}, 'crowd' || n, 'crowd' || n, \
                 'member', (array['pending', 'accepted', 'revoked', 'superseded'])[1 + n % 4], {account}, now(), \
                 now() + (n - 5000) * interval '1 minute', 1, CASE WHEN n % 4 > 0 THEN now() END, now(), now() FROM {}",
                all(10_000)
            ),
            format!(
                "INSERT INTO deliveries (id, organization_id, invitation_id, kind, email, email_key, state, attempts, \
                 created_at) SELECT {account}, {organization}, {account}, 'invitation', 'crowd' || n, 'crowd' || n, \
                 'sent', 1, now() FROM {}",
                all(10_000)
            ),
            format!(
                "INSERT INTO audit_events (organization_id, id, at, account_id, verb, subject_id, target_key, invitation_id, address) \
                 SELECT {organization}, {}, now(), {}, (array['invite', 'accept', 'rename'])[1 + n % 3], {account}, \
                 'crowd' || n, {account}, '' FROM {}",
                id('c', "n"),
                id('b', "n % 1000"),
                all(30_000)
            ),
            format!(
                "INSERT INTO notifications (account_id, id, kind, at, read_at) SELECT {}, {}, 'role_changed', \
                 now() - n * interval '1 minute', CASE WHEN n % 10 > 0 THEN now() END FROM {}",
                id('b', "1 + n % 1000"),
                id('c', "n"),
                all(30_000)
            ),
            format!(
                "INSERT INTO proofs (id, account_id, purpose, email, email_key, link_version, created_at, expires_at) \
                 SELECT {account}, {account}, 'verify_email', '', '', 1, now(), now() + n * interval '1 minute' FROM {}",
                all(10_000)
            ),
            format!(
                "INSERT INTO quotas (scope, subject, window_start, used) SELECT 'crowd', 'crowd' || n, \
                 now() - n * interval '1 minute', 1 FROM {}",
                all(10_000)
            ),
        ] {
            self.sql(&statement);
        }
        for table in TABLES {
            self.sql(&format!("ANALYZE {table}"));
        }
    }

    /// Sets when a member joined, and was last active: then, in microseconds.
    pub fn set_active(&self, email: &str, micros: i64) {
        self.sql(&format!(
            "UPDATE memberships SET joined_at = {then}, last_active_at = {then} \
             WHERE account_id = (SELECT id FROM accounts WHERE email_key = '{email}')",
            then = self.instant(micros)
        ));
    }
}

/// An id as the program makes them: the millisecond first.
fn event_id(micros: i64, number: u64) -> Uuid {
    let millis = u128::try_from(micros / 1000).expect("after 1970");
    Uuid::from_u128(millis << 80 | u128::from(number))
}

/// The start of a day, in microseconds.
pub fn day(text: &str) -> i64 {
    Timestamp::start_of_day(text).expect("a day").micros()
}

impl Person {
    /// Walks a list by its pager, forwards to the end and back to the start, and answers what each way showed.
    pub fn walk(&self, start: &str) -> (Vec<String>, Vec<String>) {
        let (mut there, mut url) = (Vec::new(), start.to_owned());
        loop {
            let page = self.get(&url);
            page.expect(200);
            there.push(page.listed());
            assert!(there.len() < 20, "the pager goes round");
            match page.urls_containing("after=").pop() {
                Some(next) => url = next,
                None => break,
            }
        }
        let mut back = vec![self.get(&url).listed()];
        while let Some(previous) = self.get(&url).urls_containing("before=").pop() {
            url = previous;
            back.insert(0, self.get(&url).listed());
            assert!(back.len() < 20, "the pager goes round");
        }
        (there.concat(), back.concat())
    }

    /// Downloads a CSV file: its rows as a reader of RFC 4180 sees them, the headings first.
    pub fn download(&self, url: &str) -> Vec<Vec<String>> {
        let answer = self.get(url);
        answer.expect(200);
        assert_eq!(
            answer.header("content-type"),
            Some("text/csv; charset=utf-8")
        );
        let disposition = answer.header("content-disposition").expect("a name");
        assert!(
            disposition.starts_with("attachment; filename=\"acme-"),
            "{disposition}"
        );
        assert!(disposition.ends_with(".csv\""), "{disposition}");
        assert!(answer.body.ends_with("\r\n"), "lines end with CR LF");
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(answer.body.as_bytes());
        reader
            .records()
            .map(|row| {
                let row = row.expect("as many cells in every row");
                row.iter().map(str::to_owned).collect()
            })
            .collect()
    }
}
