//! Whether the rows still agree with the rules: the invariants of docs/reliability.md, asked of a live database.
//!
//! `roster doctor` shows the findings, and the tests end with the same questions, whatever they did. Each check only reads.

use super::{connection::Conn, error::Result};
use crate::domain::time::Timestamp;
use diesel::{
    QueryableByName, RunQueryDsl as _, sql_query,
    sql_types::{BigInt, Text},
};

/// Rows that are named with a finding.
const EXAMPLES: usize = 3;

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

#[derive(QueryableByName)]
struct Example {
    #[diesel(sql_type = Text)]
    id: String,
}

/// Something that should not be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What it is, as the check is named.
    pub what: &'static str,
    /// How often.
    pub count: i64,
    /// The ids of some of the rows it is about.
    pub examples: Vec<String>,
}

/// What happened to each invitation, counted in one walk along the events.
macro_rules! told {
    () => {
        "(SELECT organization_id, invitation_id, count(CASE WHEN verb = 'accept' THEN 1 END) AS accepts, \
         count(CASE WHEN verb IN ('accept', 'reject', 'revoke', 'supersede') THEN 1 END) AS ends, \
         count(CASE WHEN verb IN ('invite', 'resend') THEN 1 END) AS sendings, \
         count(CASE WHEN verb = 'copy_link' THEN 1 END) AS copies \
         FROM audit_events WHERE invitation_id IS NOT NULL GROUP BY organization_id, invitation_id)"
    };
}

/// Every invitation beside what its events tell.
macro_rules! invitations_and_told {
    ($where:literal) => {
        concat!(
            "SELECT i.id AS id FROM invitations i LEFT JOIN ",
            told!(),
            " e ON e.organization_id = i.organization_id AND e.invitation_id = i.id WHERE ",
            $where
        )
    };
}

/// Every check: what it would be, and the query that answers the `id` of each row for which it is so. The same text for
/// both databases.
///
/// Counting in subqueries per row took minutes with 100,000 invitations; each of these walks its tables once.
/// CROSS JOIN tells SQLite to start from the events and to look each invitation up by its key: the other way round it
/// reads, for each invitation, all the events of its organization.
pub const CHECKS: &[(&str, &str)] = &[
    (
        "I1: two memberships of one account in one organization",
        "SELECT account_id AS id FROM memberships GROUP BY organization_id, account_id HAVING count(*) > 1",
    ),
    (
        "I1: two accounts for one address",
        "SELECT a.id AS id FROM accounts a JOIN (SELECT email_key FROM accounts GROUP BY email_key HAVING count(*) > 1) twice \
         ON twice.email_key = a.email_key",
    ),
    (
        "I2: an organization without an Owner",
        "SELECT o.id AS id FROM organizations o WHERE o.deleted_at IS NULL AND NOT EXISTS \
         (SELECT 1 FROM memberships m WHERE m.organization_id = o.id AND m.role = 'owner')",
    ),
    (
        "I3: an accepted invitation without exactly one event, or an event without one",
        invitations_and_told!(
            "coalesce(e.accepts, 0) <> CASE i.state WHEN 'accepted' THEN 1 ELSE 0 END"
        ),
    ),
    (
        "I3: the role granted is not the role shown",
        "SELECT i.id AS id FROM invitations i JOIN audit_events e ON e.organization_id = i.organization_id \
         AND e.invitation_id = i.id AND e.verb = 'accept' WHERE e.after <> i.role",
    ),
    (
        "I4: a membership without a founding or accepting event",
        "SELECT m.account_id AS id FROM memberships m LEFT JOIN (SELECT DISTINCT organization_id, account_id FROM audit_events \
         WHERE verb IN ('found', 'accept')) e ON e.organization_id = m.organization_id AND e.account_id = m.account_id \
         WHERE e.account_id IS NULL",
    ),
    (
        "I4: a role that no event gave",
        "SELECT m.account_id AS id FROM memberships m LEFT JOIN (\
         SELECT organization_id, account_id AS person, after AS role FROM audit_events WHERE verb IN ('found', 'accept') UNION \
         SELECT organization_id, subject_id, after FROM audit_events WHERE verb IN ('change_role', 'transfer_ownership')) e \
         ON e.organization_id = m.organization_id AND e.person = m.account_id AND e.role = m.role WHERE e.person IS NULL",
    ),
    (
        "R-ROLE-5: members came and went otherwise than the events say",
        "SELECT o.id AS id FROM organizations o LEFT JOIN (SELECT organization_id, \
         count(CASE WHEN verb IN ('found', 'accept') THEN 1 END) - count(CASE WHEN verb IN ('remove', 'leave') THEN 1 END) AS members \
         FROM audit_events GROUP BY organization_id) e ON e.organization_id = o.id \
         WHERE o.deleted_at IS NULL AND o.member_count <> coalesce(e.members, 0)",
    ),
    (
        "I4: an organization that was not founded exactly once",
        "SELECT o.id AS id FROM organizations o LEFT JOIN (SELECT organization_id, count(*) AS times FROM audit_events \
         WHERE verb = 'found' AND after = 'owner' GROUP BY organization_id) e ON e.organization_id = o.id \
         WHERE coalesce(e.times, 0) <> 1",
    ),
    (
        "I5: two pending invitations for one address",
        "SELECT i.id AS id FROM invitations i JOIN (SELECT organization_id, email_key FROM invitations WHERE state = 'pending' \
         GROUP BY organization_id, email_key HAVING count(*) > 1) twice \
         ON twice.organization_id = i.organization_id AND twice.email_key = i.email_key WHERE i.state = 'pending'",
    ),
    (
        "I6: an invitation that ended without exactly one event that says how, when and by whom",
        "SELECT i.id AS id FROM invitations i LEFT JOIN (SELECT e.organization_id, e.invitation_id, count(*) AS fitting \
         FROM audit_events e CROSS JOIN invitations i WHERE i.organization_id = e.organization_id AND i.id = e.invitation_id \
         AND e.verb = CASE i.state WHEN 'accepted' THEN 'accept' WHEN 'rejected' THEN 'reject' WHEN 'revoked' THEN 'revoke' ELSE 'supersede' END \
         AND e.at = i.closed_at AND (e.account_id = i.closed_by OR i.closed_by IS NULL) GROUP BY e.organization_id, e.invitation_id) f \
         ON f.organization_id = i.organization_id AND f.invitation_id = i.id \
         WHERE i.state <> 'pending' AND coalesce(f.fitting, 0) <> 1",
    ),
    (
        "I6: an invitation that ended twice, or is pending after it ended",
        invitations_and_told!(
            "coalesce(e.ends, 0) <> CASE i.state WHEN 'pending' THEN 0 ELSE 1 END"
        ),
    ),
    (
        "I7: an invitation whose latest letter is missing, or is not its own",
        "SELECT i.id AS id FROM invitations i WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.id = i.delivery_id \
         AND d.organization_id = i.organization_id AND d.invitation_id = i.id AND d.kind = 'invitation' AND d.email_key = i.email_key)",
    ),
    (
        "I7: a sending of an invitation without a delivery of its own, or the reverse",
        concat!(
            "SELECT i.id AS id FROM invitations i LEFT JOIN (SELECT organization_id, invitation_id, count(*) AS letters FROM deliveries \
             WHERE kind = 'invitation' GROUP BY organization_id, invitation_id) d \
             ON d.organization_id = i.organization_id AND d.invitation_id = i.id LEFT JOIN ",
            told!(),
            " e ON e.organization_id = i.organization_id AND e.invitation_id = i.id \
             WHERE coalesce(d.letters, 0) <> coalesce(e.sendings, 0)"
        ),
    ),
    (
        "I7: a letter that is neither due nor finished, or both",
        "SELECT d.id AS id FROM deliveries d WHERE (d.due_at IS NULL) <> (d.finished_at IS NOT NULL)",
    ),
    (
        "I7: a letter held by a worker that is not sending, or the reverse",
        "SELECT d.id AS id FROM deliveries d WHERE (d.lease_owner IS NOT NULL) <> (d.state IN ('sending', 'handing'))",
    ),
    (
        // What a restored backup left unsettled was perhaps sent after the backup, and not tried before it.
        "I7: a letter that was sent without having been tried",
        "SELECT d.id AS id FROM deliveries d WHERE d.state IN ('sent', 'failed', 'unknown') AND d.attempts < 1 \
         AND NOT (d.state = 'unknown' AND coalesce(d.reason, '') LIKE 'Restored from a backup%')",
    ),
    (
        "the total of an organization is not its members",
        "SELECT o.id AS id FROM organizations o WHERE o.member_count <> \
         (SELECT count(*) FROM memberships m WHERE m.organization_id = o.id)",
    ),
    (
        "R-ORG-3: a deleted organization with members or pending invitations",
        "SELECT o.id AS id FROM organizations o WHERE EXISTS (SELECT 1 FROM audit_events e \
         WHERE e.organization_id = o.id AND e.verb = 'delete_organization') AND (o.deleted_at IS NULL OR \
         EXISTS (SELECT 1 FROM memberships m WHERE m.organization_id = o.id) OR \
         EXISTS (SELECT 1 FROM invitations i WHERE i.organization_id = o.id AND i.state = 'pending'))",
    ),
    (
        "R-ORG-4: a deleted account that is still somebody, or somewhere",
        "SELECT a.id AS id FROM accounts a WHERE a.deleted_at IS NOT NULL AND (a.email_key NOT LIKE 'deleted:%' \
         OR a.password_hash <> '!' OR EXISTS (SELECT 1 FROM sessions s WHERE s.account_id = a.id) \
         OR EXISTS (SELECT 1 FROM memberships m WHERE m.account_id = a.id))",
    ),
    (
        "a member who cannot be found by a word",
        "SELECT m.account_id AS id FROM memberships m WHERE NOT EXISTS (SELECT 1 FROM membership_words w \
         WHERE w.organization_id = m.organization_id AND w.account_id = m.account_id)",
    ),
    (
        "I12: an invitation without its event",
        invitations_and_told!("coalesce(e.sendings, 0) = 0"),
    ),
    (
        "I12: a link that was shown without an event, or an event without one",
        invitations_and_told!("(i.exposed_at IS NOT NULL) <> (coalesce(e.copies, 0) > 0)"),
    ),
    (
        "I12: the role of an invitation is none that its events gave it",
        "SELECT e.invitation_id AS id FROM audit_events e CROSS JOIN invitations i WHERE i.organization_id = e.organization_id \
         AND i.id = e.invitation_id AND e.verb IN ('invite', 'change_invitation_role') GROUP BY e.organization_id, e.invitation_id \
         HAVING count(CASE WHEN e.after = i.role THEN 1 END) = 0",
    ),
    (
        "I12: an event about an invitation that is not there",
        "SELECT e.id AS id FROM audit_events e WHERE e.invitation_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM invitations i \
         WHERE i.organization_id = e.organization_id AND i.id = e.invitation_id)",
    ),
];

/// Asks every check; empty when all is well.
///
/// # Errors
/// The database's.
pub fn examine(conn: &mut Conn) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (what, query) in CHECKS {
        let count = count(conn, &format!("({query}) found"))?;
        if count != 0 {
            findings.push(Finding {
                what,
                count,
                examples: examples(conn, query)?,
            });
        }
    }
    Ok(findings)
}

fn count(conn: &mut Conn, rows: &str) -> Result<i64> {
    let found: Count =
        sql_query(format!("SELECT count(*) AS count FROM {rows}")).get_result(conn)?;
    Ok(found.count)
}

/// Some ids that a check answers, in hexadecimal as pages spell them.
fn examples(conn: &mut Conn, query: &str) -> Result<Vec<String>> {
    let id = match conn {
        Conn::Sqlite(_) => "lower(hex(id))",
        Conn::Postgres(_) => "CAST(id AS TEXT)",
    };
    let found: Vec<Example> = sql_query(format!(
        "SELECT {id} AS id FROM ({query}) found LIMIT {EXAMPLES}"
    ))
    .load(conn)?;
    Ok(found
        .into_iter()
        .map(|row| {
            row.id
                .parse::<uuid::Uuid>()
                .map_or(row.id, |id| id.to_string())
        })
        .collect())
}

/// How much there is in a database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holdings {
    /// Organizations that were not deleted.
    pub organizations: i64,
    /// Memberships.
    pub members: i64,
    /// Invitations, ended ones too.
    pub invitations: i64,
    /// Letters, sent ones too.
    pub letters: i64,
}

/// Counts what is there.
///
/// # Errors
/// The database's.
pub fn holdings(conn: &mut Conn) -> Result<Holdings> {
    Ok(Holdings {
        organizations: count(conn, "organizations WHERE deleted_at IS NULL")?,
        members: count(conn, "memberships")?,
        invitations: count(conn, "invitations")?,
        letters: count(conn, "deliveries")?,
    })
}

/// How many open invitations and open letters of proof have a link that none of these versions of the key made.
///
/// # Errors
/// The database's.
pub fn links_without_key(conn: &mut Conn, versions: &[i32], now: Timestamp) -> Result<(i64, i64)> {
    use super::schema::{invitations, proofs};
    use crate::domain::invitation::State;
    use diesel::{ExpressionMethods as _, QueryDsl as _};
    let invitations = invitations::table
        .filter(invitations::state.eq(State::Pending))
        .filter(invitations::expires_at.gt(now))
        .filter(invitations::link_version.ne_all(versions.to_vec()))
        .count()
        .get_result(conn)?;
    let proofs = proofs::table
        .filter(proofs::closed_at.is_null())
        .filter(proofs::expires_at.gt(now))
        .filter(proofs::link_version.ne_all(versions.to_vec()))
        .count()
        .get_result(conn)?;
    Ok((invitations, proofs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::RESTORED;

    #[test]
    fn a_restored_letter_is_known_by_its_reason() {
        assert!(RESTORED.starts_with("Restored from a backup"));
        let known = |(_, query): &&(&str, &str)| query.contains("'Restored from a backup%'");
        assert_eq!(CHECKS.iter().filter(known).count(), 1);
    }
}
