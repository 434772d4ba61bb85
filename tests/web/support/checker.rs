//! The invariants of the database: checked when a test ends, whatever it did.

use diesel::{RunQueryDsl as _, sql_query, sql_types::BigInt};
use roster::store::Db;

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// What must be zero, and why.
const VIOLATIONS: &[(&str, &str)] = &[
    (
        "I2: an organization without an Owner",
        "SELECT count(*) AS count FROM organizations o WHERE o.deleted_at IS NULL AND NOT EXISTS \
         (SELECT 1 FROM memberships m WHERE m.organization_id = o.id AND m.role = 'owner')",
    ),
    (
        "I3: an accepted invitation without exactly one event, or an event without one",
        "SELECT count(*) AS count FROM invitations i WHERE (i.state = 'accepted') <> (1 = \
         (SELECT count(*) FROM audit_events e WHERE e.organization_id = i.organization_id AND e.invitation_id = i.id AND e.verb = 'accept'))",
    ),
    (
        "I3: the role granted is not the role shown",
        "SELECT count(*) AS count FROM invitations i JOIN audit_events e ON e.organization_id = i.organization_id \
         AND e.invitation_id = i.id AND e.verb = 'accept' WHERE e.after <> i.role",
    ),
    (
        "I4: a membership without a founding or accepting event",
        "SELECT count(*) AS count FROM memberships m WHERE NOT EXISTS (SELECT 1 FROM audit_events e \
         WHERE e.organization_id = m.organization_id AND e.account_id = m.account_id AND e.verb IN ('found', 'accept'))",
    ),
    (
        "I5: two pending invitations for one address",
        "SELECT count(*) AS count FROM (SELECT 1 AS one FROM invitations WHERE state = 'pending' \
         GROUP BY organization_id, email_key HAVING count(*) > 1) twice",
    ),
    (
        "I7: an invitation whose delivery is missing",
        "SELECT count(*) AS count FROM invitations i WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.id = i.delivery_id)",
    ),
    (
        "the total of an organization is not its members",
        "SELECT count(*) AS count FROM organizations o WHERE o.member_count <> \
         (SELECT count(*) FROM memberships m WHERE m.organization_id = o.id)",
    ),
    (
        "a member who cannot be found by a word",
        "SELECT count(*) AS count FROM memberships m WHERE NOT EXISTS (SELECT 1 FROM membership_words w \
         WHERE w.organization_id = m.organization_id AND w.account_id = m.account_id)",
    ),
    (
        "I12: an invitation without its event",
        "SELECT count(*) AS count FROM invitations i WHERE NOT EXISTS (SELECT 1 FROM audit_events e \
         WHERE e.organization_id = i.organization_id AND e.invitation_id = i.id AND e.verb IN ('invite', 'resend'))",
    ),
];

/// Runs every check.
pub fn check(db: &Db) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    for (what, query) in VIOLATIONS {
        let found = runtime.block_on(db.read(move |conn| {
            let count: Count = sql_query(*query).get_result(conn)?;
            Ok::<_, roster::store::Error>(count.count)
        }));
        assert_eq!(found, Ok(0), "{what}");
    }
}
