//! The invariants of the database: checked when a test ends, whatever it did.

use super::facts;
use diesel::{RunQueryDsl as _, sql_query, sql_types::BigInt};
use roster::store::{Conn, Db, Error};

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// What must be zero, and why.
pub const VIOLATIONS: &[(&str, &str)] = &[
    (
        "I1: two memberships of one account in one organization",
        "SELECT count(*) AS count FROM (SELECT 1 AS one FROM memberships GROUP BY organization_id, account_id HAVING count(*) > 1) twice",
    ),
    (
        "I1: two accounts for one address",
        "SELECT count(*) AS count FROM (SELECT 1 AS one FROM accounts GROUP BY email_key HAVING count(*) > 1) twice",
    ),
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
        "I4: a role that no event gave",
        "SELECT count(*) AS count FROM memberships m WHERE NOT EXISTS (SELECT 1 FROM audit_events e \
         WHERE e.organization_id = m.organization_id AND (\
         (e.account_id = m.account_id AND e.verb IN ('found', 'accept') AND e.after = m.role) OR \
         (e.subject_id = m.account_id AND e.verb IN ('change_role', 'transfer_ownership') AND e.after = m.role)))",
    ),
    (
        "R-ROLE-5: members came and went otherwise than the events say",
        "SELECT count(*) AS count FROM organizations o WHERE o.deleted_at IS NULL AND o.member_count <> \
         (SELECT count(*) FROM audit_events e WHERE e.organization_id = o.id AND e.verb IN ('found', 'accept')) - \
         (SELECT count(*) FROM audit_events e WHERE e.organization_id = o.id AND e.verb IN ('remove', 'leave'))",
    ),
    (
        "I4: an organization that was not founded exactly once",
        "SELECT count(*) AS count FROM organizations o WHERE 1 <> (SELECT count(*) FROM audit_events e \
         WHERE e.organization_id = o.id AND e.verb = 'found' AND e.after = 'owner')",
    ),
    (
        "I5: two pending invitations for one address",
        "SELECT count(*) AS count FROM (SELECT 1 AS one FROM invitations WHERE state = 'pending' \
         GROUP BY organization_id, email_key HAVING count(*) > 1) twice",
    ),
    (
        "I6: an invitation that ended without exactly one event that says how, when and by whom",
        "SELECT count(*) AS count FROM invitations i WHERE i.state <> 'pending' AND 1 <> \
         (SELECT count(*) FROM audit_events e WHERE e.organization_id = i.organization_id AND e.invitation_id = i.id \
         AND e.verb = CASE i.state WHEN 'accepted' THEN 'accept' WHEN 'rejected' THEN 'reject' WHEN 'revoked' THEN 'revoke' ELSE 'supersede' END \
         AND e.at = i.closed_at AND (e.account_id = i.closed_by OR i.closed_by IS NULL))",
    ),
    (
        "I6: an invitation that ended twice, or is pending after it ended",
        "SELECT count(*) AS count FROM invitations i WHERE (CASE i.state WHEN 'pending' THEN 0 ELSE 1 END) <> \
         (SELECT count(*) FROM audit_events e WHERE e.organization_id = i.organization_id AND e.invitation_id = i.id \
         AND e.verb IN ('accept', 'reject', 'revoke', 'supersede'))",
    ),
    (
        "I6: something was done with an invitation after it had ended",
        "SELECT count(*) AS count FROM invitations i JOIN audit_events e ON e.organization_id = i.organization_id \
         AND e.invitation_id = i.id WHERE e.at > i.closed_at",
    ),
    (
        "I7: an invitation whose latest letter is missing, or is not its own",
        "SELECT count(*) AS count FROM invitations i WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.id = i.delivery_id \
         AND d.organization_id = i.organization_id AND d.invitation_id = i.id AND d.kind = 'invitation' AND d.email_key = i.email_key)",
    ),
    (
        "I7: a sending of an invitation without a delivery of its own, or the reverse",
        "SELECT count(*) AS count FROM invitations i WHERE (SELECT count(*) FROM deliveries d \
         WHERE d.organization_id = i.organization_id AND d.invitation_id = i.id AND d.kind = 'invitation') <> \
         (SELECT count(*) FROM audit_events e WHERE e.organization_id = i.organization_id AND e.invitation_id = i.id \
         AND e.verb IN ('invite', 'resend'))",
    ),
    (
        "I7: a letter that is neither due nor finished, or both",
        "SELECT count(*) AS count FROM deliveries d WHERE (d.due_at IS NULL) <> (d.finished_at IS NOT NULL)",
    ),
    (
        "I7: a letter held by a worker that is not sending, or the reverse",
        "SELECT count(*) AS count FROM deliveries d WHERE (d.lease_owner IS NOT NULL) <> (d.state IN ('sending', 'handing'))",
    ),
    (
        "I7: a letter that was sent without having been tried",
        "SELECT count(*) AS count FROM deliveries d WHERE d.state IN ('sent', 'failed', 'unknown') AND d.attempts < 1",
    ),
    (
        "the total of an organization is not its members",
        "SELECT count(*) AS count FROM organizations o WHERE o.member_count <> \
         (SELECT count(*) FROM memberships m WHERE m.organization_id = o.id)",
    ),
    (
        "R-ORG-3: a deleted organization with members or pending invitations",
        "SELECT count(*) AS count FROM organizations o WHERE EXISTS (SELECT 1 FROM audit_events e \
         WHERE e.organization_id = o.id AND e.verb = 'delete_organization') AND (o.deleted_at IS NULL OR \
         EXISTS (SELECT 1 FROM memberships m WHERE m.organization_id = o.id) OR \
         EXISTS (SELECT 1 FROM invitations i WHERE i.organization_id = o.id AND i.state = 'pending'))",
    ),
    (
        "R-ORG-4: a deleted account that is still somebody, or somewhere",
        "SELECT count(*) AS count FROM accounts a WHERE a.deleted_at IS NOT NULL AND (a.email_key NOT LIKE 'deleted:%' \
         OR a.password_hash <> '!' OR EXISTS (SELECT 1 FROM sessions s WHERE s.account_id = a.id) \
         OR EXISTS (SELECT 1 FROM memberships m WHERE m.account_id = a.id))",
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
    (
        "I12: a link that was shown without an event, or an event without one",
        "SELECT count(*) AS count FROM invitations i WHERE (i.exposed_at IS NOT NULL) <> EXISTS (SELECT 1 FROM audit_events e \
         WHERE e.organization_id = i.organization_id AND e.invitation_id = i.id AND e.verb = 'copy_link')",
    ),
    (
        "I12: the role of an invitation is none that its events gave it",
        "SELECT count(*) AS count FROM invitations i WHERE EXISTS (SELECT 1 FROM audit_events e \
         WHERE e.organization_id = i.organization_id AND e.invitation_id = i.id AND e.verb IN ('invite', 'change_invitation_role')) \
         AND NOT EXISTS (SELECT 1 FROM audit_events e WHERE e.organization_id = i.organization_id AND e.invitation_id = i.id \
         AND e.verb IN ('invite', 'change_invitation_role') AND e.after = i.role)",
    ),
    (
        "I12: an event about an invitation that is not there",
        "SELECT count(*) AS count FROM audit_events e WHERE e.invitation_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM invitations i \
         WHERE i.organization_id = e.organization_id AND i.id = e.invitation_id)",
    ),
];

/// The names of the invariants that do not hold.
pub fn violated(conn: &mut Conn) -> Result<Vec<&'static str>, Error> {
    let mut violated = Vec::new();
    for (what, query) in VIOLATIONS {
        let found: Count = sql_query(*query).get_result(conn)?;
        if found.count != 0 {
            violated.push(*what);
        }
    }
    Ok(violated)
}

/// Runs every check.
pub fn check(db: &Db) {
    check_but(db, &[]);
}

/// What does not hold where a test changed members by hand.
pub const BY_EVENTS: [&str; 2] = [
    "I4: a role that no event gave",
    "R-ROLE-5: members came and went otherwise than the events say",
];

/// Runs every check but these.
pub fn check_but(db: &Db, without: &[&str]) {
    let mut found = facts::ask(db, violated);
    found.retain(|what| !without.contains(what));
    assert_eq!(found, Vec::<&str>::new());
}
