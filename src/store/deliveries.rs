//! The outbox: one row for each letter. Actions put rows in, the mail worker takes them out; they meet nowhere else.

use super::{
    connection::Conn,
    error::Result,
    notifications::NotificationRow,
    schema::{accounts, deliveries, invitations, organizations},
};
use crate::domain::{
    account::Account,
    delivery::{DeliveryState, LEASE, LetterKind, Verdict, judge_abandoned},
    email::EmailAddress,
    ids::{AccountId, DeliveryId, InvitationId, NotificationId, OrganizationId, ProofId},
    invitation::Invitation,
    proof::Proof,
    time::Timestamp,
};
use diesel::prelude::*;
use uuid::Uuid;

/// What a new delivery row holds.
#[derive(Clone, Debug)]
pub struct NewDelivery<'a> {
    /// Its id, also the letter's Message-ID.
    pub id: DeliveryId,
    /// What kind of letter.
    pub kind: LetterKind,
    /// What it is written from.
    pub about: Subject,
    /// To whom.
    pub to: &'a EmailAddress,
    /// Whether a letter goes out at all.
    pub emailed: bool,
    /// Who caused it.
    pub requested_by: Option<AccountId>,
}

/// What a letter is written from, when it is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// An invitation.
    Invitation(OrganizationId, InvitationId),
    /// Something that happened to a person.
    Notification(AccountId, NotificationId),
    /// A request to prove a mailbox.
    Proof(AccountId, ProofId),
}

/// Queues a letter, or records that none goes out.
pub fn insert(conn: &mut Conn, new: &NewDelivery<'_>, now: Timestamp) -> Result<()> {
    let state = if new.emailed {
        DeliveryState::Queued
    } else {
        DeliveryState::NotEmailed
    };
    let (organization, invitation) = match new.about {
        Subject::Invitation(organization, id) => (Some(organization), Some(id)),
        _ => (None, None),
    };
    let (account, notification, proof) = match new.about {
        Subject::Invitation(..) => (None, None, None),
        Subject::Notification(account, id) => (Some(account), Some(id), None),
        Subject::Proof(account, id) => (Some(account), None, Some(id)),
    };
    diesel::insert_into(deliveries::table)
        .values((
            deliveries::id.eq(new.id),
            deliveries::organization_id.eq(organization),
            deliveries::invitation_id.eq(invitation),
            deliveries::account_id.eq(account),
            deliveries::notification_id.eq(notification),
            deliveries::proof_id.eq(proof),
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

/// One line of an invitation's delivery log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryRow {
    /// The letter's id.
    pub id: DeliveryId,
    /// What kind of letter.
    pub kind: LetterKind,
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
        LetterKind,
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
        .filter(deliveries::kind.eq_any([LetterKind::Invitation, LetterKind::Reminder]))
        .order(deliveries::id.desc())
        .limit(most)
        .select((
            deliveries::id,
            deliveries::kind,
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
            |(id, kind, state, reason, attempts, created_at, due_at, finished_at)| DeliveryRow {
                id,
                kind,
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
    /// What it is written from; nothing when a newer program queued it.
    pub about: Option<Subject>,
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
        (Option<OrganizationId>, Option<InvitationId>),
        (Option<AccountId>, Option<NotificationId>, Option<ProofId>),
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
            (deliveries::organization_id, deliveries::invitation_id),
            (
                deliveries::account_id,
                deliveries::notification_id,
                deliveries::proof_id,
            ),
        ))
        .get_result::<Row>(conn)
        .optional()?;
    Ok(match row {
        None => Lease::Again,
        Some((kind, email, email_key, attempts, about, of_account)) => {
            let about = match (about, of_account) {
                ((Some(organization), Some(id)), _) => Some(Subject::Invitation(organization, id)),
                (_, (Some(account), Some(id), _)) => Some(Subject::Notification(account, id)),
                (_, (Some(account), None, Some(id))) => Some(Subject::Proof(account, id)),
                _ => None,
            };
            Lease::Letter(Leased {
                id,
                kind,
                to: EmailAddress::from_stored(email, email_key),
                attempts,
                about,
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

/// What a letter says, as of now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Matter {
    /// An invitation.
    Invitation(Box<About>),
    /// Something that happened to a person.
    Notification(Box<NotificationRow>),
    /// A request to prove a mailbox, and whose account it is about.
    Proof(Box<(Proof, Account)>),
}

/// What a letter is written from; nothing when that is gone.
pub fn matter(conn: &mut Conn, about: Subject) -> Result<Option<Matter>> {
    Ok(match about {
        Subject::Invitation(organization, id) => {
            self::about(conn, organization, id)?.map(|about| Matter::Invitation(Box::new(about)))
        }
        Subject::Notification(account, id) => super::notifications::find(conn, account, id)?
            .map(|row| Matter::Notification(Box::new(row))),
        Subject::Proof(account, id) => {
            let proof = super::proofs::find(conn, id)?;
            let account = super::accounts::find(conn, account)?;
            let both = proof.zip(account);
            both.map(|both| Matter::Proof(Box::new(both)))
        }
    })
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

/// Takes the address of a deleted account out of the letters that were about the account itself. What is still to be
/// sent has nothing left to be written from, and is dropped by itself.
pub fn forget_account(conn: &mut Conn, account: AccountId) -> Result<()> {
    let nobody = EmailAddress::of_nobody(account);
    diesel::update(deliveries::table.filter(deliveries::account_id.eq(account)))
        .set((
            deliveries::email.eq(nobody.shown()),
            deliveries::email_key.eq(nobody.key()),
        ))
        .execute(conn)?;
    Ok(())
}
