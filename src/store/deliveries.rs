//! The outbox: one row for each letter. Actions put rows in, the mail worker takes them out; they meet nowhere else.

use super::{
    connection::Conn,
    error::Result,
    notifications::NotificationRow,
    outbox::{self, Trouble},
    prepared::Prepare as _,
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

/// The values of a new row.
macro_rules! values {
    ($new:expr, $now:expr) => {{
        let (organization, invitation) = match $new.about {
            Subject::Invitation(organization, id) => (Some(organization), Some(id)),
            _ => (None, None),
        };
        let (account, notification, proof) = match $new.about {
            Subject::Invitation(..) => (None, None, None),
            Subject::Notification(account, id) => (Some(account), Some(id), None),
            Subject::Proof(account, id) => (Some(account), None, Some(id)),
        };
        let state = if $new.emailed {
            DeliveryState::Queued
        } else {
            DeliveryState::NotEmailed
        };
        (
            deliveries::id.eq($new.id),
            deliveries::organization_id.eq(organization),
            deliveries::invitation_id.eq(invitation),
            deliveries::account_id.eq(account),
            deliveries::notification_id.eq(notification),
            deliveries::proof_id.eq(proof),
            deliveries::kind.eq($new.kind),
            deliveries::email.eq($new.to.shown()),
            deliveries::email_key.eq($new.to.key()),
            deliveries::state.eq(state),
            deliveries::attempts.eq(0),
            deliveries::due_at.eq($new.emailed.then_some($now)),
            deliveries::requested_by.eq($new.requested_by),
            deliveries::created_at.eq($now),
            deliveries::finished_at.eq((!$new.emailed).then_some($now)),
        )
    }};
}

/// Queues letters, or records that none goes out.
pub fn insert(conn: &mut Conn, new: &[NewDelivery<'_>], now: Timestamp) -> Result<()> {
    let rows = new.iter().map(|new| values!(new, now));
    insert_each!(conn, deliveries::table, rows);
    Ok(())
}

/// When the last invitation letter to this address was asked for, whoever asked (R-INV-8).
pub fn last_invitation_to(
    conn: &mut Conn,
    organization: OrganizationId,
    email: &EmailAddress,
) -> Result<Option<Timestamp>> {
    // Ids are made in order of time.
    Ok(deliveries::table
        .filter(deliveries::organization_id.eq(organization))
        .filter(deliveries::email_key.eq(email.key()))
        .filter(deliveries::kind.eq(LetterKind::Invitation))
        .filter(deliveries::state.ne(DeliveryState::NotEmailed))
        .order(deliveries::id.desc())
        .limit(1)
        .select(deliveries::created_at)
        .prepared()
        .get_result(conn)
        .optional()?)
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
pub fn of_invitation(conn: &mut Conn, of: &Invitation, most: i64) -> Result<Vec<DeliveryRow>> {
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
        .filter(deliveries::organization_id.eq(of.organization))
        .filter(deliveries::email_key.eq(of.email.key()))
        .filter(deliveries::invitation_id.eq(of.id))
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
    /// When it last met a fault that looked like ours.
    pub faulted_at: Option<Timestamp>,
    /// Whether it is the one try after a pause of the whole queue.
    pub trying: bool,
}

/// What a worker sees before it takes the write lock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Look {
    /// Whether there is anything to do.
    pub due: bool,
    /// Why letters wait, if the queue is paused.
    pub trouble: Option<Trouble>,
}

/// Looks whether anything waits for a worker at `now`.
pub fn look(conn: &mut Conn, now: Timestamp) -> Result<Look> {
    let trouble = outbox::find(conn)?.trouble;
    let turn = Turn::of(trouble.as_ref(), now);
    let due = due(conn, turn, now)?.is_some() || (turn == Turn::Try && !any_waits(conn)?);
    Ok(Look { due, trouble })
}

/// Which letters a worker may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    /// All that are due.
    Any,
    /// The queue is paused: only what a dead worker left behind.
    Abandoned,
    /// The pause is over: one, to see whether the fault is mended.
    Try,
}

impl Turn {
    fn of(trouble: Option<&Trouble>, now: Timestamp) -> Self {
        match trouble {
            None => Self::Any,
            Some(trouble) if trouble.until > now => Self::Abandoned,
            Some(_) => Self::Try,
        }
    }
}

struct Due {
    id: DeliveryId,
    state: DeliveryState,
    attempts: i32,
    kind: LetterKind,
    about: Option<(OrganizationId, InvitationId)>,
}

/// The letter whose turn it is. Kinds that only a newer program knows are left to it: one that cannot be read must not
/// hold up all the others.
fn due(conn: &mut Conn, turn: Turn, now: Timestamp) -> Result<Option<Due>> {
    type Row = (
        DeliveryId,
        DeliveryState,
        i32,
        LetterKind,
        Option<OrganizationId>,
        Option<InvitationId>,
    );
    let waiting = deliveries::table
        .filter(deliveries::due_at.is_not_null())
        .filter(deliveries::due_at.le(now))
        .filter(deliveries::kind.eq_any(LetterKind::ALL))
        .limit(1)
        .select((
            deliveries::id,
            deliveries::state,
            deliveries::attempts,
            deliveries::kind,
            deliveries::organization_id,
            deliveries::invitation_id,
        ));
    let in_turn = (deliveries::due_at.asc(), deliveries::id.asc());
    let rows = match turn {
        Turn::Any => waiting.order(in_turn).prepared().load::<Row>(conn)?,
        Turn::Abandoned => waiting
            .filter(deliveries::state.ne(DeliveryState::Queued))
            .order(in_turn)
            .prepared()
            .load::<Row>(conn)?,
        // Who has never met the fault comes first, then who met it longest ago: a letter that causes it by itself
        // is not the only one to try.
        Turn::Try => waiting
            .order((
                deliveries::faulted_at.is_not_null(),
                deliveries::faulted_at,
                deliveries::due_at,
                deliveries::id,
            ))
            .prepared()
            .load::<Row>(conn)?,
    };
    Ok(rows.into_iter().next().map(
        |(id, state, attempts, kind, organization, invitation)| Due {
            id,
            state,
            attempts,
            kind,
            about: organization.zip(invitation),
        },
    ))
}

/// Whether any letter has not ended, due or not.
fn any_waits(conn: &mut Conn) -> Result<bool> {
    let rows = deliveries::table
        .filter(deliveries::due_at.is_not_null())
        .filter(deliveries::kind.eq_any(LetterKind::ALL))
        .limit(1)
        .select(deliveries::id)
        .prepared()
        .load::<DeliveryId>(conn)?;
    Ok(!rows.is_empty())
}

/// Whether a newer letter does what this one was for: of resends pressed together one goes out. What counts is which
/// letter the invitation itself names, which was decided under the organization's lock; ids of several instances may be
/// out of order. Reminders need no such rule: one that was outrun by a resend says so itself.
pub fn is_outrun(
    conn: &mut Conn,
    id: DeliveryId,
    kind: LetterKind,
    about: Option<(OrganizationId, InvitationId)>,
) -> Result<bool> {
    let (LetterKind::Invitation, Some((organization, invitation))) = (kind, about) else {
        return Ok(false);
    };
    let newest = invitations::table
        .inner_join(deliveries::table.on(deliveries::id.nullable().eq(invitations::delivery_id)))
        .filter(invitations::organization_id.eq(organization))
        .filter(invitations::id.eq(invitation))
        .select((deliveries::id, deliveries::state))
        .prepared()
        .get_result::<(DeliveryId, DeliveryState)>(conn)
        .optional()?;
    Ok(newest.is_some_and(|(newest, state)| {
        newest != id
            && matches!(
                state,
                DeliveryState::Queued
                    | DeliveryState::Sending
                    | DeliveryState::Handing
                    | DeliveryState::Sent
            )
    }))
}

/// What [`is_outrun`] means for people.
pub const OUTRUN: &str = "It was sent again before this letter left";

/// What [`lease`] found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lease {
    /// A letter to send.
    Letter(Leased),
    /// A letter that needs no sending was dealt with; ask again.
    Again,
    /// Nothing is due.
    Empty,
}

/// Takes the letter that waits longest. The update names the attempt it saw, so of several workers one gets it.
/// A lease that ran out is judged first: see [`judge_abandoned`]. While the queue is paused nothing is taken; after a
/// pause one letter is, see [`outbox::take_try`].
///
/// That try locks the outbox's row before the letter's, and the worker that records an end does so the other way round.
/// They cannot wait for each other: this one updates only a letter that is queued, the other only one that is leased,
/// and PostgreSQL (READ COMMITTED) does not wait for a row that does not match. A stricter isolation may report a
/// collision, which is repeated.
pub fn lease(conn: &mut Conn, owner: Uuid, now: Timestamp) -> Result<Lease> {
    let turn = Turn::of(outbox::find(conn)?.trouble.as_ref(), now);
    let Some(next) = due(conn, turn, now)? else {
        if turn == Turn::Try && !any_waits(conn)? {
            // Whatever met the fault was withdrawn: nothing waits, so there is nothing to tell.
            outbox::resume(conn, None)?;
            return Ok(Lease::Again);
        }
        return Ok(Lease::Empty);
    };
    if next.state != DeliveryState::Queued {
        let verdict = judge_abandoned(next.state, next.attempts, now);
        end(conn, &next, &verdict, now)?;
        return Ok(Lease::Again);
    }
    if is_outrun(conn, next.id, next.kind, next.about)? {
        end(conn, &next, &Verdict::dropped(OUTRUN), now)?;
        return Ok(Lease::Again);
    }
    if turn == Turn::Try && !outbox::take_try(conn, now)? {
        return Ok(Lease::Again);
    }
    Ok(match take(conn, &next, owner, now)? {
        Some(leased) => Lease::Letter(Leased {
            trying: turn == Turn::Try,
            ..leased
        }),
        None => Lease::Again,
    })
}

/// The row as it was seen: whoever changed it meanwhile was first.
macro_rules! as_seen {
    ($seen:expr, $now:expr) => {
        deliveries::table
            .filter(deliveries::id.eq($seen.id))
            .filter(deliveries::attempts.eq($seen.attempts))
            .filter(deliveries::state.eq($seen.state))
            .filter(deliveries::due_at.le($now))
    };
}

/// What a verdict makes of a letter: the same whether a worker held it or not.
macro_rules! judged {
    ($verdict:expr, $now:expr) => {
        (
            deliveries::state.eq($verdict.state),
            deliveries::due_at.eq($verdict.due_at),
            deliveries::reason.eq($verdict.reason.as_deref()),
            deliveries::lease_owner.eq(None::<DeliveryId>),
            deliveries::finished_at.eq($verdict.due_at.is_none().then_some($now)),
        )
    };
}

/// Judges a letter that no worker holds.
fn end(conn: &mut Conn, seen: &Due, verdict: &Verdict, now: Timestamp) -> Result<()> {
    diesel::update(as_seen!(seen, now))
        .set(judged!(verdict, now))
        .prepared()
        .execute(conn)?;
    Ok(())
}

fn take(conn: &mut Conn, seen: &Due, owner: Uuid, now: Timestamp) -> Result<Option<Leased>> {
    type Row = (
        (String, String),
        i32,
        Option<Timestamp>,
        (Option<OrganizationId>, Option<InvitationId>),
        (Option<AccountId>, Option<NotificationId>, Option<ProofId>),
    );
    let row = diesel::update(as_seen!(seen, now))
        .set((
            deliveries::state.eq(DeliveryState::Sending),
            deliveries::attempts.eq(seen.attempts + 1),
            deliveries::due_at.eq(now.plus(LEASE)),
            deliveries::lease_owner.eq(DeliveryId(owner)),
        ))
        .returning((
            (deliveries::email, deliveries::email_key),
            deliveries::attempts,
            deliveries::faulted_at,
            (deliveries::organization_id, deliveries::invitation_id),
            (
                deliveries::account_id,
                deliveries::notification_id,
                deliveries::proof_id,
            ),
        ))
        .prepared()
        .get_result::<Row>(conn)
        .optional()?;
    Ok(row.map(
        |((email, email_key), attempts, faulted_at, about, of_account)| {
            let about = match (about, of_account) {
                ((Some(organization), Some(id)), _) => Some(Subject::Invitation(organization, id)),
                (_, (Some(account), Some(id), _)) => Some(Subject::Notification(account, id)),
                (_, (Some(account), None, Some(id))) => Some(Subject::Proof(account, id)),
                _ => None,
            };
            Leased {
                id: seen.id,
                kind: seen.kind,
                to: EmailAddress::from_stored(email, email_key),
                attempts,
                about,
                faulted_at,
                trying: false,
            }
        },
    ))
}

/// Puts a letter back that was not tried, or whose try met a fault of our own: the attempt does not count.
/// `false` when the lease was lost meanwhile.
pub fn give_back(
    conn: &mut Conn,
    leased: &Leased,
    owner: Uuid,
    fault: Option<&str>,
    now: Timestamp,
) -> Result<bool> {
    let held = deliveries::table
        .filter(deliveries::id.eq(leased.id))
        .filter(deliveries::lease_owner.eq(DeliveryId(owner)))
        .filter(deliveries::due_at.is_not_null());
    let back = (
        deliveries::state.eq(DeliveryState::Queued),
        deliveries::attempts.eq(leased.attempts - 1),
        deliveries::due_at.eq(now),
        deliveries::lease_owner.eq(None::<DeliveryId>),
    );
    let changed = match fault {
        None => diesel::update(held).set(back).prepared().execute(conn)?,
        Some(reason) => diesel::update(held)
            .set((
                back,
                deliveries::reason.eq(reason),
                deliveries::faulted_at.eq(now),
            ))
            .prepared()
            .execute(conn)?,
    };
    Ok(changed == 1)
}

/// Notes when a letter met a fault that looked like ours.
pub fn set_faulted(conn: &mut Conn, id: DeliveryId, now: Timestamp) -> Result<()> {
    diesel::update(deliveries::table.filter(deliveries::id.eq(id)))
        .set(deliveries::faulted_at.eq(now))
        .prepared()
        .execute(conn)?;
    Ok(())
}

/// Ends letters that no worker will take any more, because mail was switched off: at most `most` in one go. What a
/// worker holds is left alone until its lease is over. Answers whether any letter is left.
pub fn write_off(conn: &mut Conn, reason: &str, most: i64, now: Timestamp) -> Result<Left> {
    let not_emailed = Verdict {
        state: DeliveryState::NotEmailed,
        due_at: None,
        reason: Some(reason.to_owned()),
    };
    let rows = deliveries::table
        .filter(deliveries::due_at.is_not_null())
        .filter(deliveries::kind.eq_any(LetterKind::ALL))
        .filter(
            deliveries::state
                .eq(DeliveryState::Queued)
                .or(deliveries::due_at.le(now)),
        )
        .order((deliveries::due_at, deliveries::id))
        .limit(most)
        .select((deliveries::id, deliveries::state))
        .load::<(DeliveryId, DeliveryState)>(conn)?;
    let full = i64::try_from(rows.len()).is_ok_and(|found| found >= most);
    for (id, state) in rows {
        let verdict = match state {
            DeliveryState::Handing => judge_abandoned(state, 1, now),
            _ => not_emailed.clone(),
        };
        diesel::update(
            deliveries::table
                .filter(deliveries::id.eq(id))
                .filter(deliveries::state.eq(state)),
        )
        .set((
            deliveries::state.eq(verdict.state),
            deliveries::due_at.eq(None::<Timestamp>),
            deliveries::reason.eq(verdict.reason),
            deliveries::lease_owner.eq(None::<DeliveryId>),
            deliveries::finished_at.eq(now),
        ))
        .prepared()
        .execute(conn)?;
    }
    Ok(match (full, any_waits(conn)?) {
        (true, _) => Left::More,
        (false, true) => Left::Held,
        (false, false) => Left::Nothing,
    })
}

/// What [`write_off`] has left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Left {
    /// There may be more to write off.
    More,
    /// Only letters that a worker holds, or held when it died.
    Held,
    /// Nothing.
    Nothing,
}

/// Holds an invitation as it is until the transaction ends: nobody revokes it between the last look and the letter's
/// leaving.
pub fn lock_invitation(
    conn: &mut Conn,
    organization: OrganizationId,
    invitation: InvitationId,
) -> Result<()> {
    let row = invitations::table
        .filter(invitations::organization_id.eq(organization))
        .filter(invitations::id.eq(invitation))
        .select(invitations::id);
    // SQLite has one writer anyway.
    if let Conn::Postgres(conn) = conn {
        row.for_share().load::<InvitationId>(conn)?;
    }
    Ok(())
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
    .prepared()
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
    .set(judged!(verdict, now))
    .prepared()
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
        .prepared()
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

/// Ends every letter that is still to be sent, with a reason: nobody knows whether it was. Answers how many.
pub fn end_as_unknown(conn: &mut Conn, reason: &str, now: Timestamp) -> Result<usize> {
    Ok(
        diesel::update(deliveries::table.filter(deliveries::due_at.is_not_null()))
            .set((
                deliveries::state.eq(DeliveryState::Unknown),
                deliveries::due_at.eq(None::<Timestamp>),
                deliveries::lease_owner.eq(None::<DeliveryId>),
                deliveries::reason.eq(reason),
                deliveries::finished_at.eq(now),
            ))
            .execute(conn)?,
    )
}
