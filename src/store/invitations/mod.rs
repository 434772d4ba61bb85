//! Invitations: rows and guarded changes. What pages list is in `lists`.

use super::{
    connection::Conn,
    error::Result,
    literal::{IsForAdmin, IsPending},
    prepared::Prepare as _,
    schema::{accounts, invitations, organizations},
};
use crate::domain::{
    email::EmailAddress,
    ids::{AccountId, DeliveryId, InvitationId, OrganizationId},
    invitation::{Invitation, Link, State, Transition},
    role::InvitableRole,
    time::Timestamp,
};
use diesel::prelude::*;

type Row = (
    (
        InvitationId,
        OrganizationId,
        String,
        String,
        InvitableRole,
        Option<String>,
        State,
    ),
    (
        AccountId,
        Timestamp,
        Timestamp,
        Option<Timestamp>,
        i32,
        Option<Timestamp>,
    ),
);

fn invitation((first, second): Row) -> Invitation {
    let (id, organization, email, email_key, role, note, state) = first;
    let (invited_by, created_at, expires_at, exposed_at, link_version, closed_at) = second;
    Invitation {
        id,
        organization,
        email: EmailAddress::from_stored(email, email_key),
        role,
        note,
        state,
        invited_by,
        created_at,
        expires_at,
        exposed_at,
        link_version,
        closed_at,
    }
}

/// The columns of a [`Row`].
macro_rules! columns {
    () => {
        (
            (
                invitations::id,
                invitations::organization_id,
                invitations::email,
                invitations::email_key,
                invitations::role,
                invitations::note,
                invitations::state,
            ),
            (
                invitations::invited_by,
                invitations::created_at,
                invitations::expires_at,
                invitations::exposed_at,
                invitations::link_version,
                invitations::closed_at,
            ),
        )
    };
}

// Here, below the macros that it uses.
mod lists;
pub use lists::{
    InvitationRow, Place, Shelf, Unused, count, count_unused, details, list_unused, page, place,
};

/// The values of a new row.
macro_rules! values {
    ($new:expr, $delivery:expr) => {
        (
            invitations::organization_id.eq($new.organization),
            invitations::id.eq($new.id),
            invitations::email.eq($new.email.shown()),
            invitations::email_key.eq($new.email.key()),
            invitations::role.eq($new.role),
            invitations::note.eq($new.note.as_deref()),
            invitations::state.eq($new.state),
            invitations::invited_by.eq($new.invited_by),
            invitations::created_at.eq($new.created_at),
            invitations::expires_at.eq($new.expires_at),
            invitations::link_version.eq($new.link_version),
            invitations::delivery_id.eq($delivery),
        )
    };
}

/// Adds pending invitations with their first deliveries; `false` when one of the addresses has a pending one already
/// (R-INV-4), or is there twice.
pub fn insert(conn: &mut Conn, new: &[(Invitation, DeliveryId)]) -> Result<bool> {
    let rows = new
        .iter()
        .map(|(invitation, delivery)| values!(invitation, *delivery));
    let added = insert_each!(conn, invitations::table, rows, on_conflict_do_nothing);
    Ok(added == new.len())
}

/// An invitation of an organization.
pub fn find(
    conn: &mut Conn,
    organization: OrganizationId,
    id: InvitationId,
) -> Result<Option<Invitation>> {
    let row = invitations::table
        .filter(invitations::organization_id.eq(organization))
        .filter(invitations::id.eq(id))
        .select(columns!())
        .prepared()
        .get_result::<Row>(conn)
        .optional()?;
    Ok(row.map(invitation))
}

/// The invitation a link names, whatever its organization.
pub fn find_by_link(conn: &mut Conn, link: Link) -> Result<Option<Invitation>> {
    let row = invitations::table
        .filter(invitations::id.eq(link.id))
        .filter(invitations::link_version.eq(link.version))
        .select(columns!())
        .prepared()
        .get_result::<Row>(conn)
        .optional()?;
    Ok(row.map(invitation))
}

/// The invitation of an id, whatever its organization: for the invitee, who asks from outside of it.
pub fn find_by_id(conn: &mut Conn, id: InvitationId) -> Result<Option<Invitation>> {
    let row = invitations::table
        .filter(invitations::id.eq(id))
        .select(columns!())
        .prepared()
        .get_result::<Row>(conn)
        .optional()?;
    Ok(row.map(invitation))
}

/// At most `most` invitations of an organization that have not ended, expired ones too.
pub fn not_ended(
    conn: &mut Conn,
    organization: OrganizationId,
    most: i64,
) -> Result<Vec<Invitation>> {
    let rows = invitations::table
        .filter(invitations::organization_id.eq(organization))
        .filter(IsPending)
        .limit(most)
        .select(columns!())
        .prepared()
        .load::<Row>(conn)?;
    Ok(rows.into_iter().map(invitation).collect())
}

/// An invitation that waits for an answer, as its invitee sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenInvitation {
    /// The invitation.
    pub invitation: Invitation,
    /// The organization's name.
    pub organization: String,
    /// The inviter's name.
    pub inviter: String,
    /// The inviter's address, as typed.
    pub inviter_email: Option<String>,
}

/// The invitations that wait for this address in organizations that still exist, newest first, at most `most`.
pub fn open_for(
    conn: &mut Conn,
    email: &EmailAddress,
    now: Timestamp,
    most: i64,
) -> Result<Vec<OpenInvitation>> {
    let rows = invitations::table
        .inner_join(organizations::table)
        .inner_join(accounts::table.on(accounts::id.eq(invitations::invited_by)))
        .filter(invitations::email_key.eq(email.key()))
        .filter(IsPending)
        .filter(invitations::expires_at.gt(now))
        .filter(organizations::deleted_at.is_null())
        .order(invitations::id.desc())
        .limit(most)
        .select((
            columns!(),
            organizations::name,
            accounts::name,
            accounts::email,
            accounts::email_key,
        ))
        .prepared()
        .load::<(Row, String, String, String, String)>(conn)?;
    Ok(rows
        .into_iter()
        .map(|(row, organization, inviter, email, key)| OpenInvitation {
            invitation: invitation(row),
            organization,
            inviter,
            inviter_email: EmailAddress::from_stored(email, key)
                .reachable()
                .map(str::to_owned),
        })
        .collect())
}

/// The pending invitations of these addresses, expired or not: one each at most.
pub fn list_pending(
    conn: &mut Conn,
    organization: OrganizationId,
    emails: &[&EmailAddress],
) -> Result<Vec<Invitation>> {
    let pending = invitations::table
        .filter(invitations::organization_id.eq(organization))
        .filter(IsPending)
        .select(columns!());
    let rows = find_each!(conn, invitations::email_key, pending, emails, Row);
    Ok(rows.into_iter().map(invitation).collect())
}

/// Applies a transition, if the row is still pending: the row count decides (R-INV-2).
pub fn apply(
    conn: &mut Conn,
    it: &Invitation,
    change: Transition,
    by: Option<AccountId>,
) -> Result<bool> {
    let changed = diesel::update(still_pending(it))
        .set((
            invitations::state.eq(change.to()),
            invitations::closed_at.eq(change.at()),
            invitations::closed_by.eq(by),
        ))
        .prepared()
        .execute(conn)?;
    Ok(changed == 1)
}

/// The pending Admin invitations that somebody sent.
pub fn pending_admins_by(
    conn: &mut Conn,
    organization: OrganizationId,
    inviter: AccountId,
) -> Result<Vec<Invitation>> {
    let rows = invitations::table
        .filter(invitations::organization_id.eq(organization))
        .filter(invitations::invited_by.eq(inviter))
        .filter(IsPending)
        .filter(IsForAdmin)
        .select(columns!())
        .prepared()
        .load::<Row>(conn)?;
    Ok(rows.into_iter().map(invitation).collect())
}

/// Extends a pending invitation to `until` and names the letter that says so.
pub fn set_resent(
    conn: &mut Conn,
    it: &Invitation,
    until: Timestamp,
    delivery: DeliveryId,
) -> Result<bool> {
    let changed = diesel::update(still_pending(it))
        .set((
            invitations::expires_at.eq(until),
            invitations::delivery_id.eq(delivery),
            // What is sent again may be reminded of, and lapse, again.
            invitations::reminded_at.eq(None::<Timestamp>),
            invitations::lapse_told_at.eq(None::<Timestamp>),
        ))
        .prepared()
        .execute(conn)?;
    Ok(changed == 1)
}

/// Changes the role of a pending invitation.
pub fn set_role(conn: &mut Conn, it: &Invitation, role: InvitableRole) -> Result<bool> {
    let changed = diesel::update(still_pending(it))
        .set(invitations::role.eq(role))
        .prepared()
        .execute(conn)?;
    Ok(changed == 1)
}

/// Notes that the link was shown to somebody other than its mailbox; the first time counts (R-INV-6).
pub fn set_exposed(conn: &mut Conn, it: &Invitation, now: Timestamp) -> Result<()> {
    diesel::update(
        invitations::table
            .filter(invitations::organization_id.eq(it.organization))
            .filter(invitations::id.eq(it.id))
            .filter(invitations::exposed_at.is_null()),
    )
    .set(invitations::exposed_at.eq(now))
    .prepared()
    .execute(conn)?;
    Ok(())
}

#[diesel::dsl::auto_type]
fn still_pending(it: &Invitation) -> _ {
    let organization: OrganizationId = it.organization;
    let id: InvitationId = it.id;
    let pending: State = State::Pending;
    invitations::table
        .filter(invitations::organization_id.eq(organization))
        .filter(invitations::id.eq(id))
        .filter(invitations::state.eq(pending))
}

/// What the program has to do by itself about a pending invitation (R-INV-16), and between which instants it expires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// Remind the invitee.
    Reminder {
        /// Expires after this instant.
        from: Timestamp,
        /// Expires at this instant or before.
        until: Timestamp,
    },
    /// Tell the inviter that it lapsed.
    LapseNotice {
        /// Expired after this instant.
        since: Timestamp,
        /// Expired at this instant or before.
        until: Timestamp,
    },
}

impl Due {
    const fn between(self) -> (Timestamp, Timestamp) {
        match self {
            Self::Reminder { from, until } => (from, until),
            Self::LapseNotice { since, until } => (since, until),
        }
    }

    /// Whether an invitation still expires in that time: it may have been sent again.
    pub fn holds(self, it: &Invitation) -> bool {
        let (after, until) = self.between();
        it.expires_at > after && it.expires_at <= until
    }
}

/// At most `most` invitations that wait, of any organization, the one that expires first before the others.
pub fn due(conn: &mut Conn, what: Due, most: i64) -> Result<Vec<(OrganizationId, InvitationId)>> {
    let (after, until) = what.between();
    // The words of the partial indexes, letter for letter: a bound value would keep SQLite from using them.
    let waiting = invitations::table.filter(IsPending).into_boxed();
    let waiting = match what {
        Due::Reminder { .. } => waiting.filter(invitations::reminded_at.is_null()),
        Due::LapseNotice { .. } => waiting.filter(invitations::lapse_told_at.is_null()),
    };
    Ok(waiting
        .filter(invitations::expires_at.gt(after))
        .filter(invitations::expires_at.le(until))
        .order(invitations::expires_at.asc())
        .limit(most)
        .select((invitations::organization_id, invitations::id))
        .load(conn)?)
}

/// Ends the time of an invitation whose link nobody can make any more. `false` when it has ended otherwise.
pub fn set_expired(conn: &mut Conn, it: &Invitation, now: Timestamp) -> Result<bool> {
    let changed = diesel::update(still_pending(it))
        .set(invitations::expires_at.eq(now))
        .prepared()
        .execute(conn)?;
    Ok(changed == 1)
}

/// Notes for every invitation that expires by then that its reminder is settled, and for those that have expired that
/// the inviter was told.
pub fn settle_reminders(conn: &mut Conn, reminded_by: Timestamp, now: Timestamp) -> Result<()> {
    diesel::update(
        invitations::table
            .filter(IsPending)
            .filter(invitations::reminded_at.is_null())
            .filter(invitations::expires_at.le(reminded_by)),
    )
    .set(invitations::reminded_at.eq(now))
    .execute(conn)?;
    diesel::update(
        invitations::table
            .filter(IsPending)
            .filter(invitations::lapse_told_at.is_null())
            .filter(invitations::expires_at.le(now)),
    )
    .set(invitations::lapse_told_at.eq(now))
    .execute(conn)?;
    Ok(())
}

/// Notes that the question of a reminder is settled. `false` when it was, or when the invitation has ended.
pub fn set_reminded(conn: &mut Conn, it: &Invitation, now: Timestamp) -> Result<bool> {
    let changed = diesel::update(still_pending(it).filter(invitations::reminded_at.is_null()))
        .set(invitations::reminded_at.eq(now))
        .prepared()
        .execute(conn)?;
    Ok(changed == 1)
}

/// Notes that the inviter is told of the lapse. `false` when that was done, or when the invitation has ended.
pub fn set_lapse_told(conn: &mut Conn, it: &Invitation, now: Timestamp) -> Result<bool> {
    let changed = diesel::update(still_pending(it).filter(invitations::lapse_told_at.is_null()))
        .set(invitations::lapse_told_at.eq(now))
        .prepared()
        .execute(conn)?;
    Ok(changed == 1)
}
