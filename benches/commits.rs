//! The raw commit rate: the rows of one invitation, and of one acceptance, written by one thread with the program's own
//! statements, a transaction for each, with every promise of durability that Roster gives. No web, no rules.

use crate::{
    databases::Database,
    fill::{Invitee, Place},
};
use diesel::{Connection as _, PgConnection, SqliteConnection, connection::SimpleConnection as _};
use roster::{
    clock::Clock,
    domain::{
        account::Account,
        audit::{Event, Verb},
        delivery::LetterKind,
        email::EmailAddress,
        ids::{AuditEventId, DeliveryId, InvitationId, NotificationId},
        invitation::{Invitation, State},
        notification::{Notification, NotificationKind},
        role::{InvitableRole, Role},
        session::GRACE,
        time::Timestamp,
    },
    entropy::Entropy,
    store::{
        self, Conn,
        audit_events::By,
        deliveries::{NewDelivery, Subject},
        sessions::NewSession,
    },
};
use std::time::{Duration, Instant};

/// Writes to one database.
pub struct Writer {
    conn: Conn,
    entropy: Entropy,
    invited: usize,
    accepted: usize,
}

impl Writer {
    pub fn open(database: &Database) -> Self {
        let conn = match database {
            Database::Sqlite(path) => {
                let mut conn =
                    SqliteConnection::establish(&path.to_string_lossy()).expect("the file");
                conn.batch_execute(
                    // As Roster's own writer (src/store/writer.rs).
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                     PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 8000",
                )
                .expect("settings");
                Conn::Sqlite(conn)
            }
            Database::Postgres(url) => {
                Conn::Postgres(PgConnection::establish(url).expect("PostgreSQL"))
            }
        };
        Self {
            conn,
            entropy: Entropy::system(),
            invited: 0,
            accepted: 0,
        }
    }

    /// Invitations a second, for so long.
    pub fn invitations(&mut self, places: &[Place], time: Duration) -> Option<f64> {
        self.work(time, |writer| {
            let nth = writer.invited;
            writer.invited += 1;
            writer.invite(&places[nth % places.len()]);
            true
        })
    }

    /// Acceptances a second, the same way; those before are left out. The round is shorter when nobody waits any more.
    pub fn acceptances(
        &mut self,
        places: &[Place],
        waiting: &[Invitee],
        time: Duration,
    ) -> Option<f64> {
        self.work(time, |writer| {
            let Some(invitee) = waiting.get(writer.accepted) else {
                return false;
            };
            writer.accepted += 1;
            writer.accept(&places[invitee.place], invitee);
            true
        })
    }

    /// Does it over and over for so long, or until there is nothing left to do, and answers how often a second; nothing
    /// when there was nothing to do from the beginning.
    fn work(&mut self, time: Duration, work: impl Fn(&mut Self) -> bool) -> Option<f64> {
        let (start, mut done) = (Instant::now(), 0);
        let mut left = true;
        while left && start.elapsed() < time {
            let begin = match &self.conn {
                Conn::Sqlite(_) => "BEGIN IMMEDIATE",
                Conn::Postgres(_) => "BEGIN",
            };
            self.conn.batch_execute(begin).expect("begun");
            left = work(self);
            self.conn.batch_execute("COMMIT").expect("committed");
            done += u32::from(left);
        }
        (done > 0).then(|| f64::from(done) / start.elapsed().as_secs_f64())
    }

    fn invite(&mut self, place: &Place) {
        let now = Timestamp::from(Clock::system().now());
        let email = EmailAddress::parse(&format!("raw{}@example.test", self.invited)).expect("one");
        let delivery = DeliveryId(self.entropy.uuid_v7(now.utc()));
        let invitation = Invitation {
            id: InvitationId(self.entropy.uuid_v7(now.utc())),
            organization: place.id,
            email: email.clone(),
            role: InvitableRole::Member,
            note: None,
            state: State::Pending,
            invited_by: place.owner.id,
            created_at: now,
            expires_at: now.plus(time::Duration::days(7)),
            exposed_at: None,
            link_version: 1,
            closed_at: None,
        };
        let letter = NewDelivery {
            id: delivery,
            kind: LetterKind::Invitation,
            about: Subject::Invitation(place.id, invitation.id),
            to: &email,
            emailed: false,
            requested_by: Some(place.owner.id),
        };
        store::deliveries::insert(&mut self.conn, &[letter], now).expect("a delivery");
        let new = store::invitations::insert(&mut self.conn, &[(invitation.clone(), delivery)]);
        assert!(new.expect("an invitation"), "it is new");
        let by = (place.owner.id, place.owner.name.as_str());
        self.record(place, by, &Event::of(Verb::Invite, &invitation), now);
    }

    fn accept(&mut self, place: &Place, invitee: &Invitee) {
        let now = Timestamp::from(Clock::system().now());
        let person = Account {
            id: invitee.person.id,
            email: EmailAddress::parse(&invitee.person.email).expect("one"),
            name: invitee.person.name.clone(),
            verified_at: Some(now),
            avatar: None,
        };
        let conn = &mut self.conn;
        let invitation = store::invitations::find(conn, place.id, invitee.invitation)
            .expect("looked for")
            .expect("the invitation");
        let change = invitation.accept(now).expect("it is pending");
        let done = store::invitations::apply(conn, &invitation, change, Some(person.id));
        assert!(done.expect("applied"), "once only");
        let done = store::memberships::insert(conn, place.id, &person, Role::Member, now);
        assert!(done.expect("a membership"), "once only");
        store::organizations::add_members(conn, place.id, 1).expect("counted");
        let what = Notification {
            invitation: Some(invitation.id),
            actor: Some(person.name.clone()),
            subject: Some(person.email.shown().to_owned()),
            ..Notification::new(NotificationKind::InvitationAccepted)
        };
        let id = NotificationId(self.entropy.uuid_v7(now.utc()));
        store::notifications::insert(conn, place.owner.id, id, &what, now).expect("told");
        let session = invitee.browser.id;
        store::sessions::set_ending(conn, (person.id, session), now.plus(GRACE)).expect("ended");
        let renewed = NewSession {
            token_hash: &self.entropy.token(),
            id: session,
            account: person.id,
            organization: Some(place.id),
            created_at: now,
            consent_due_at: None,
            address: "127.0.0.1",
            agent: "",
        };
        store::sessions::insert(conn, &renewed, now).expect("a session");
        let by = (person.id, person.name.as_str());
        self.record(place, by, &Event::of(Verb::Accept, &invitation), now);
    }

    fn record(
        &mut self,
        place: &Place,
        by: (roster::domain::ids::AccountId, &str),
        event: &Event,
        now: Timestamp,
    ) {
        let by = By {
            account: Some(by),
            address: "127.0.0.1",
        };
        let id = AuditEventId(self.entropy.uuid_v7(now.utc()));
        store::audit_events::append(&mut self.conn, place.id, by, &[(id, event)], now)
            .expect("told");
    }
}
