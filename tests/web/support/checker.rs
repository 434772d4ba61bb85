//! The invariants of the database, checked when a test ends, whatever it did: the questions of `roster doctor`.

use super::facts;
use roster::store::{Conn, Db, Error, doctor};

/// What holds as long as the clock never goes back, so it is no question for a live database.
pub const BY_THE_CLOCK: (&str, &str) = (
    "I6: something was done with an invitation after it had ended",
    "SELECT e.verb AS line FROM invitations i JOIN audit_events e ON e.organization_id = i.organization_id \
     AND e.invitation_id = i.id WHERE e.at > i.closed_at",
);

/// The names of the invariants that do not hold.
pub fn violated(conn: &mut Conn) -> Result<Vec<&'static str>, Error> {
    let findings = doctor::examine(conn)?;
    let mut names: Vec<_> = findings.into_iter().map(|finding| finding.what).collect();
    let (what, query) = BY_THE_CLOCK;
    if !facts::lines(conn, query)?.is_empty() {
        names.push(what);
    }
    Ok(names)
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
