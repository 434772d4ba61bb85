//! The checker of the invariants can fail: for each there is a change of the database that breaks it, and it is seen.

use crate::{
    on_both,
    support::{
        checker::{BY_THE_CLOCK, violated},
        team::Team,
    },
};
use diesel::{Connection as _, PgConnection, RunQueryDsl as _, SqliteConnection, sql_query};
use roster::store::{Conn, Target, doctor::CHECKS};
use time::Duration;

/// What happens to a change that breaks an invariant.
enum Breach {
    /// The checker sees it.
    Seen(&'static str),
    /// The database itself does not take it.
    Refused(&'static str),
}

use Breach::{Refused, Seen};

/// A change for every check, by the check's name.
const BREACHES: &[(&str, Breach)] = &[
    (
        "I1: two memberships of one account in one organization",
        Refused("INSERT INTO memberships SELECT * FROM memberships"),
    ),
    (
        "I1: two accounts for one address",
        Refused("UPDATE accounts SET email_key = 'same@example.test'"),
    ),
    (
        "I2: an organization without an Owner",
        Seen("UPDATE memberships SET role = 'admin' WHERE role = 'owner'"),
    ),
    (
        "I3: an accepted invitation without exactly one event, or an event without one",
        Seen("DELETE FROM audit_events WHERE verb = 'accept'"),
    ),
    (
        "I3: the role granted is not the role shown",
        Seen("UPDATE invitations SET role = 'viewer' WHERE state = 'accepted' AND role = 'admin'"),
    ),
    (
        "I4: a role that no event gave",
        Seen("UPDATE memberships SET role = 'viewer' WHERE role = 'member'"),
    ),
    (
        "R-ROLE-5: members came and went otherwise than the events say",
        Seen("UPDATE audit_events SET verb = 'leave' WHERE verb = 'resend'"),
    ),
    (
        "I4: a membership without a founding or accepting event",
        Seen("UPDATE audit_events SET account_id = NULL WHERE verb = 'accept'"),
    ),
    (
        "I4: an organization that was not founded exactly once",
        Seen("DELETE FROM audit_events WHERE verb = 'found'"),
    ),
    (
        "I5: two pending invitations for one address",
        Refused("UPDATE invitations SET email_key = 'same@example.test' WHERE state = 'pending'"),
    ),
    (
        "I6: an invitation that ended without exactly one event that says how, when and by whom",
        Seen("UPDATE invitations SET closed_at = created_at WHERE state = 'rejected'"),
    ),
    (
        "I6: an invitation that ended twice, or is pending after it ended",
        Seen(
            "UPDATE invitations SET state = 'pending', closed_at = NULL, closed_by = NULL WHERE state = 'rejected'",
        ),
    ),
    (
        "I6: something was done with an invitation after it had ended",
        Seen(
            "UPDATE audit_events SET at = (SELECT max(at) FROM audit_events) WHERE verb = 'invite'",
        ),
    ),
    (
        "I7: an invitation whose latest letter is missing, or is not its own",
        Seen("UPDATE invitations SET delivery_id = NULL WHERE state = 'pending'"),
    ),
    (
        "I7: a sending of an invitation without a delivery of its own, or the reverse",
        Seen("DELETE FROM deliveries WHERE kind = 'invitation'"),
    ),
    (
        "I7: a letter that is neither due nor finished, or both",
        Seen("UPDATE deliveries SET finished_at = NULL WHERE state = 'sent'"),
    ),
    (
        "I7: a letter held by a worker that is not sending, or the reverse",
        Seen("UPDATE deliveries SET lease_owner = id WHERE state = 'sent'"),
    ),
    (
        "I7: a letter that was sent without having been tried",
        Seen("UPDATE deliveries SET attempts = 0 WHERE state = 'sent'"),
    ),
    (
        "the total of an organization is not its members",
        Seen("UPDATE organizations SET member_count = member_count + 1"),
    ),
    (
        "R-ORG-3: a deleted organization with members or pending invitations",
        Seen("UPDATE audit_events SET verb = 'delete_organization' WHERE verb = 'copy_link'"),
    ),
    (
        "R-ORG-4: a deleted account that is still somebody, or somewhere",
        Seen("UPDATE accounts SET deleted_at = created_at"),
    ),
    (
        "a member who cannot be found by a word",
        Seen("DELETE FROM membership_words"),
    ),
    (
        "I12: an invitation without its event",
        Seen("DELETE FROM audit_events WHERE verb = 'invite'"),
    ),
    (
        "I12: a link that was shown without an event, or an event without one",
        Seen("DELETE FROM audit_events WHERE verb = 'copy_link'"),
    ),
    (
        "I12: the role of an invitation is none that its events gave it",
        Seen("UPDATE invitations SET role = 'viewer' WHERE state = 'pending'"),
    ),
    (
        "I12: an event about an invitation that is not there",
        Seen("UPDATE audit_events SET invitation_id = id WHERE verb = 'invite'"),
    ),
];

on_both! {
    /// Each change is tried on a database in which everything has happened, and taken back.
    fn every_invariant_can_fail(kind) {
        let acme = Team::acme(kind);
        for email in ["rita@example.test", "rex@example.test", "noor@example.test"] {
            acme.adam.invite(email, "member");
        }
        let rita = acme.sign_up("Rita Rejects", "rita@example.test", "Rita Works");
        acme.advance(Duration::minutes(2));
        rita.reject(&acme.link_for("rita@example.test")).expect(303);
        acme.adam.revoke("rex@example.test").expect(303);
        acme.adam.copy_link("noor@example.test");
        acme.advance(Duration::minutes(2));
        acme.adam.resend("noor@example.test").expect(303);
        acme.adam.invite("last@example.test", "member");
        acme.deliver();

        let mut conn = match &acme.database.target {
            Target::Sqlite(path) => SqliteConnection::establish(path.to_str().expect("a path")).map(Conn::Sqlite),
            Target::Postgres(url) => PgConnection::establish(url).map(Conn::Postgres),
        }.expect("the database opens");
        assert_eq!(violated(&mut conn), Ok(Vec::new()));
        for (what, _) in CHECKS.iter().chain([&BY_THE_CLOCK]) {
            let (_, breach) = BREACHES.iter().find(|(name, _)| name == what)
                .unwrap_or_else(|| panic!("say in BREACHES how to break “{what}”"));
            conn.test_transaction(|conn| {
                match breach {
                    Seen(change) => {
                        assert!(sql_query(*change).execute(conn).expect("a change") > 0, "{what}: nothing to change");
                        let seen = violated(conn).expect("the checks run");
                        assert!(seen.contains(what), "“{change}” does not break “{what}”, only {seen:?}");
                    }
                    Refused(change) => {
                        sql_query(*change).execute(conn).expect_err(what);
                    }
                }
                Ok::<_, diesel::result::Error>(())
            });
        }
        assert_eq!(BREACHES.len(), CHECKS.len() + 1);
    }
}
