//! The outbox: one row for each letter. Actions put rows in, the mail worker takes them out; they meet nowhere else.

use super::{
    connection::Conn,
    error::Result,
    schema::{accounts, deliveries, invitations, organizations},
};
use crate::domain::{
    delivery::{DeliveryState, LEASE, LetterKind, Verdict, judge_abandoned},
    email::EmailAddress,
    ids::{AccountId, DeliveryId, InvitationId, OrganizationId},
    invitation::Invitation,
    time::Timestamp,
};
use diesel::prelude::*;
use uuid::Uuid;

/// What a new delivery row holds.
#[derive(Clone, Debug)]
pub struct NewDelivery<'a> {
    /// Its id, also the letter's Message-ID.
    pub id: DeliveryId,
    /// For which organization.
    pub organization: OrganizationId,
    /// About which invitation.
    pub invitation: InvitationId,
    /// What kind of letter.
    pub kind: LetterKind,
    /// To whom.
    pub to: &'a EmailAddress,
    /// Whether a letter goes out at all.
    pub emailed: bool,
    /// Who caused it.
    pub requested_by: Option<AccountId>,
}

/// Queues a letter, or records that none goes out.
pub fn insert(conn: &mut Conn, new: &NewDelivery<'_>, now: Timestamp) -> Result<()> {
    let state = if new.emailed {
        DeliveryState::Queued
    } else {
        DeliveryState::NotEmailed
    };
    diesel::insert_into(deliveries::table)
        .values((
            deliveries::id.eq(new.id),
            deliveries::organization_id.eq(new.organization),
            deliveries::invitation_id.eq(new.invitation),
            deliveries::kind.eq(new.kind),
            deliveries::email.eq(new.to.shown()),
            deliveries::email_key.eq(new.to.key()),
            deliveries::state.eq(state),
            deliveries::attempts.eq(0),
            deliveries::due_at.eq(new.emailed.then_some(now)),
            deliveries::requested_by.eq(new.requested_by),
            deliveries::created_at.eq(now),
            deliveries::finished_at.eq((!new.emailed).then_some(now)),
        ))
        .execute(conn)?;
    Ok(())
}

/// When the last invitation letter to this address was asked for, whoever asked (R-INV-8).
pub fn last_invitation_to(
    conn: &mut Conn,
    organization: OrganizationId,
    email: &EmailAddress,
) -> Result<Option<Timestamp>> {
    Ok(deliveries::table
        .filter(deliveries::organization_id.eq(organization))
        .filter(deliveries::email_key.eq(email.key()))
        .filter(deliveries::kind.eq(LetterKind::Invitation))
        .filter(deliveries::state.ne(DeliveryState::NotEmailed))
        .select(diesel::dsl::max(deliveries::created_at))
        .get_result(conn)?)
}

/// When the invitee last asked for a new invitation (R-ACC-7).
pub fn last_asked_for(
    conn: &mut Conn,
    organization: OrganizationId,
    invitation: InvitationId,
) -> Result<Option<Timestamp>> {
    Ok(deliveries::table
        .filter(deliveries::organization_id.eq(organization))
        .filter(deliveries::invitation_id.eq(invitation))
        .filter(deliveries::kind.eq(LetterKind::InvitationAskedFor))
        .select(diesel::dsl::max(deliveries::created_at))
        .get_result(conn)?)
}

/// One line of an invitation's delivery log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryRow {
    /// The letter's id.
    pub id: DeliveryId,
    /// Where it stands.
    pub state: DeliveryState,
    /// What the server said.
    pub reason: Option<String>,
    /// How often it was tried.
    pub attempts: i32,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it is tried again.
    pub due_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// The letters with an invitation's link, newest first, at most `most`.
pub fn of_invitation(
    conn: &mut Conn,
    organization: OrganizationId,
    invitation: InvitationId,
    most: i64,
) -> Result<Vec<DeliveryRow>> {
    type Row = (
        DeliveryId,
        DeliveryState,
        Option<String>,
        i32,
        Timestamp,
        Option<Timestamp>,
        Option<Timestamp>,
    );
    let rows = deliveries::table
        .filter(deliveries::organization_id.eq(organization))
        .filter(deliveries::invitation_id.eq(invitation))
        .filter(deliveries::kind.eq(LetterKind::Invitation))
        .order(deliveries::id.desc())
        .limit(most)
        .select((
            deliveries::id,
            deliveries::state,
            deliveries::reason,
            deliveries::attempts,
            deliveries::created_at,
            deliveries::due_at,
            deliveries::finished_at,
        ))
        .load::<Row>(conn)?;
    Ok(rows
        .into_iter()
        .map(
            |(id, state, reason, attempts, created_at, due_at, finished_at)| DeliveryRow {
                id,
                state,
                reason,
                attempts,
                created_at,
                due_at,
                finished_at,
            },
        )
        .collect())
}

/// A letter that a worker holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leased {
    /// Its id.
    pub id: DeliveryId,
    /// What kind of letter.
    pub kind: LetterKind,
    /// To whom.
    pub to: EmailAddress,
    /// Which attempt this is, from 1.
    pub attempts: i32,
    /// What it is about.
    pub organization: Option<OrganizationId>,
    /// What it is about.
    pub invitation: Option<InvitationId>,
}

/// Whether any letter waits for a worker at `now`.
pub fn any_due(conn: &mut Conn, now: Timestamp) -> Result<bool> {
    Ok(due(conn, now)?.is_some())
}

type Due = (DeliveryId, DeliveryState, i32);

/// Kinds that only a newer program knows are left to it: one that cannot be read must not hold up all the others.
fn due(conn: &mut Conn, now: Timestamp) -> Result<Option<Due>> {
    let rows = deliveries::table
        .filter(deliveries::due_at.le(now))
        .filter(deliveries::kind.eq_any(LetterKind::ALL))
        .order((deliveries::due_at.asc(), deliveries::id.asc()))
        .limit(1)
        .select((deliveries::id, deliveries::state, deliveries::attempts))
        .load::<Due>(conn)?;
    Ok(rows.into_iter().next())
}

/// What [`lease`] found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lease {
    /// A letter to send.
    Letter(Leased),
    /// A letter whose worker died was dealt with; ask again.
    Again,
    /// Nothing is due.
    Empty,
}

/// Takes the letter that waits longest. The update names the attempt it saw, so of several workers one gets it.
/// A lease that ran out is judged first: see [`judge_abandoned`].
pub fn lease(conn: &mut Conn, owner: Uuid, now: Timestamp) -> Result<Lease> {
    let Some((id, state, attempts)) = due(conn, now)? else {
        return Ok(Lease::Empty);
    };
    let seen = deliveries::table
        .filter(deliveries::id.eq(id))
        .filter(deliveries::attempts.eq(attempts))
        .filter(deliveries::state.eq(state))
        .filter(deliveries::due_at.le(now));
    if state != DeliveryState::Queued {
        let verdict = judge_abandoned(state, attempts, now);
        let finished = verdict.due_at.is_none().then_some(now);
        diesel::update(seen)
            .set((
                deliveries::state.eq(verdict.state),
                deliveries::due_at.eq(verdict.due_at),
                deliveries::reason.eq(verdict.reason),
                deliveries::lease_owner.eq(None::<DeliveryId>),
                deliveries::finished_at.eq(finished),
            ))
            .execute(conn)?;
        return Ok(Lease::Again);
    }
    type Row = (
        LetterKind,
        String,
        String,
        i32,
        Option<OrganizationId>,
        Option<InvitationId>,
    );
    let row = diesel::update(seen)
        .set((
            deliveries::state.eq(DeliveryState::Sending),
            deliveries::attempts.eq(attempts + 1),
            deliveries::due_at.eq(now.plus(LEASE)),
            deliveries::lease_owner.eq(DeliveryId(owner)),
        ))
        .returning((
            deliveries::kind,
            deliveries::email,
            deliveries::email_key,
            deliveries::attempts,
            deliveries::organization_id,
            deliveries::invitation_id,
        ))
        .get_result::<Row>(conn)
        .optional()?;
    Ok(match row {
        None => Lease::Again,
        Some((kind, email, email_key, attempts, organization, invitation)) => {
            Lease::Letter(Leased {
                id,
                kind,
                to: EmailAddress::from_stored(email, email_key),
                attempts,
                organization,
                invitation,
            })
        }
    })
}

/// Records that the letter is about to be handed over: from here on silence means *unknown* (R-INV-9).
/// `false` when the lease was lost meanwhile: then the letter must not be sent.
pub fn set_handing(conn: &mut Conn, id: DeliveryId, owner: Uuid, now: Timestamp) -> Result<bool> {
    let changed = diesel::update(
        deliveries::table
            .filter(deliveries::id.eq(id))
            .filter(deliveries::lease_owner.eq(DeliveryId(owner)))
            .filter(deliveries::state.eq(DeliveryState::Sending))
            .filter(deliveries::due_at.gt(now)),
    )
    .set((
        deliveries::state.eq(DeliveryState::Handing),
        deliveries::due_at.eq(now.plus(LEASE)),
    ))
    .execute(conn)?;
    Ok(changed == 1)
}

/// Records what came of the attempt. `false` when the lease was lost meanwhile: a late report changes nothing.
pub fn apply(
    conn: &mut Conn,
    id: DeliveryId,
    owner: Uuid,
    verdict: &Verdict,
    now: Timestamp,
) -> Result<bool> {
    let changed = diesel::update(
        deliveries::table
            .filter(deliveries::id.eq(id))
            .filter(deliveries::lease_owner.eq(DeliveryId(owner)))
            .filter(deliveries::due_at.is_not_null()),
    )
    .set((
        deliveries::state.eq(verdict.state),
        deliveries::due_at.eq(verdict.due_at),
        deliveries::reason.eq(verdict.reason.as_deref()),
        deliveries::lease_owner.eq(None::<DeliveryId>),
        deliveries::finished_at.eq(verdict.due_at.is_none().then_some(now)),
    ))
    .execute(conn)?;
    Ok(changed == 1)
}

/// What a letter about an invitation says, as of now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct About {
    /// The invitation.
    pub invitation: Invitation,
    /// The organization's name.
    pub organization: String,
    /// Its part of the address.
    pub slug: String,
    /// Whether it was deleted.
    pub deleted: bool,
    /// The inviter's name.
    pub inviter: String,
    /// The inviter's address.
    pub inviter_email: EmailAddress,
}

/// What the letters about an invitation are written from.
pub fn about(
    conn: &mut Conn,
    organization: OrganizationId,
    invitation: InvitationId,
) -> Result<Option<About>> {
    let Some(found) = super::invitations::find(conn, organization, invitation)? else {
        return Ok(None);
    };
    type Row = (String, String, Option<Timestamp>, String, String, String);
    let row = invitations::table
        .inner_join(organizations::table)
        .inner_join(accounts::table.on(accounts::id.eq(invitations::invited_by)))
        .filter(invitations::organization_id.eq(organization))
        .filter(invitations::id.eq(invitation))
        .select((
            organizations::name,
            organizations::slug,
            organizations::deleted_at,
            accounts::name,
            accounts::email,
            accounts::email_key,
        ))
        .get_result::<Row>(conn)
        .optional()?;
    Ok(row.map(
        |(organization, slug, deleted_at, inviter, email, key)| About {
            invitation: found,
            organization,
            slug,
            deleted: deleted_at.is_some(),
            inviter,
            inviter_email: EmailAddress::from_stored(email, key),
        },
    ))
}
