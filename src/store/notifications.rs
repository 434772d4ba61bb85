//! Notifications: rows behind the bell, and which kinds a person does not want by mail.

use super::{
    connection::Conn,
    counting::counted,
    error::Result,
    literal::IsPending,
    part::Part,
    prepared::Prepare as _,
    schema::{invitations, muted_letters, notifications, organizations},
};
use crate::domain::{
    account::Account,
    ids::{AccountId, InvitationId, NotificationId, OrganizationId},
    notification::{Notification, NotificationKind, Place},
    time::Timestamp,
};
use diesel::prelude::*;

/// What a row of this notification holds.
macro_rules! values {
    ($new:ident, $now:ident, $account:expr, $id:expr) => {{
        let place = $new.organization.as_ref();
        (
            notifications::account_id.eq($account),
            notifications::id.eq($id),
            notifications::kind.eq($new.kind),
            notifications::organization_id.eq(place.map(|place| place.id)),
            notifications::organization.eq(place.map(|place| place.name.as_str())),
            notifications::organization_slug.eq(place.map(|place| place.slug.as_str())),
            notifications::invitation_id.eq($new.invitation),
            notifications::actor.eq($new.actor.as_deref()),
            notifications::subject.eq($new.subject.as_deref()),
            notifications::before.eq($new.before.as_deref()),
            notifications::after.eq($new.after.as_deref()),
            notifications::at.eq($now),
        )
    }};
}

/// Adds a notification, unread.
pub fn insert(
    conn: &mut Conn,
    account: AccountId,
    id: NotificationId,
    new: &Notification,
    now: Timestamp,
) -> Result<()> {
    diesel::insert_into(notifications::table)
        .values(values!(new, now, account, id))
        .prepared()
        .execute(conn)?;
    Ok(())
}

/// Adds the same notification for many people at once.
pub fn insert_many(
    conn: &mut Conn,
    people: &[(AccountId, NotificationId)],
    new: &Notification,
    now: Timestamp,
) -> Result<()> {
    let rows: Vec<_> = people
        .iter()
        .map(|(account, id)| values!(new, now, *account, *id))
        .collect();
    on_each!(conn, conn => diesel::insert_into(notifications::table).values(rows).execute(conn))?;
    Ok(())
}

/// One line behind the bell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotificationRow {
    /// Its id.
    pub id: NotificationId,
    /// What happened.
    pub notification: Notification,
    /// When.
    pub at: Timestamp,
    /// When it was read.
    pub read_at: Option<Timestamp>,
}

type Row = (
    (
        NotificationId,
        NotificationKind,
        Timestamp,
        Option<Timestamp>,
    ),
    (
        Option<OrganizationId>,
        Option<String>,
        Option<String>,
        Option<InvitationId>,
    ),
    (
        Option<String>,
        Option<String>,
        Option<String>,
        Option<String>,
    ),
);

/// The columns of a [`Row`].
macro_rules! columns {
    () => {
        (
            (
                notifications::id,
                notifications::kind,
                notifications::at,
                notifications::read_at,
            ),
            (
                notifications::organization_id,
                notifications::organization,
                notifications::organization_slug,
                notifications::invitation_id,
            ),
            (
                notifications::actor,
                notifications::subject,
                notifications::before,
                notifications::after,
            ),
        )
    };
}

fn notification((first, place, facts): Row) -> NotificationRow {
    let (id, kind, at, read_at) = first;
    let (organization, name, slug, invitation) = place;
    let (actor, subject, before, after) = facts;
    let organization = match (organization, name, slug) {
        (Some(id), Some(name), Some(slug)) => Some(Place { id, name, slug }),
        _ => None,
    };
    NotificationRow {
        id,
        notification: Notification {
            kind,
            organization,
            invitation,
            actor,
            subject,
            before,
            after,
        },
        at,
        read_at,
    }
}

/// What a notice is written from.
pub fn find(
    conn: &mut Conn,
    account: AccountId,
    id: NotificationId,
) -> Result<Option<NotificationRow>> {
    let row = notifications::table
        .filter(notifications::account_id.eq(account))
        .filter(notifications::id.eq(id))
        .select(columns!())
        .prepared()
        .get_result::<Row>(conn)
        .optional()?;
    Ok(row.map(notification))
}

/// A person's notifications, newest first, at most `most`.
pub fn page(
    conn: &mut Conn,
    account: AccountId,
    part: &Part<NotificationId>,
    most: i64,
) -> Result<Vec<NotificationRow>> {
    // Kinds that only a newer program knows are left to it.
    let mine = notifications::table
        .filter(notifications::account_id.eq(account))
        .filter(notifications::kind.eq_any(NotificationKind::ALL))
        .select(columns!())
        .limit(most);
    let mut rows = match part {
        Part::First => mine.order(notifications::id.desc()).load::<Row>(conn)?,
        Part::After(id) => mine
            .filter(notifications::id.lt(*id))
            .order(notifications::id.desc())
            .load::<Row>(conn)?,
        Part::Before(id) => mine
            .filter(notifications::id.gt(*id))
            .order(notifications::id.asc())
            .load::<Row>(conn)?,
    };
    if matches!(part, Part::Before(_)) {
        rows.reverse();
    }
    Ok(rows.into_iter().map(notification).collect())
}

/// Marks everything a person was told up to `until` as read; what came after they looked stays new.
pub fn set_read(
    conn: &mut Conn,
    account: AccountId,
    until: NotificationId,
    now: Timestamp,
) -> Result<usize> {
    Ok(diesel::update(
        notifications::table
            .filter(notifications::account_id.eq(account))
            .filter(notifications::read_at.is_null())
            .filter(notifications::id.le(until)),
    )
    .set(notifications::read_at.eq(now))
    .prepared()
    .execute(conn)?)
}

/// Whether anything is unread.
pub fn any_unread(conn: &mut Conn, account: AccountId) -> Result<bool> {
    let unread = notifications::table
        .filter(notifications::account_id.eq(account))
        .filter(notifications::read_at.is_null())
        .limit(1)
        .select(notifications::id)
        .prepared()
        .get_result::<NotificationId>(conn)
        .optional()?;
    Ok(unread.is_some())
}

/// How much waits behind a person's bell: unread notifications and, for a proved address, invitations to organizations
/// that still exist (R-ACC-4, R-ACC-11). Counted no further than `most`, in one question: every page asks it.
pub fn waiting(conn: &mut Conn, account: &Account, now: Timestamp, most: i64) -> Result<i64> {
    let unread = notifications::table
        .filter(notifications::account_id.eq(account.id))
        .filter(notifications::read_at.is_null())
        .select(notifications::id);
    if account.verified_at.is_none() {
        return Ok(counted(unread, most).prepared().get_result(conn)?);
    }
    let invited = invitations::table
        .inner_join(organizations::table)
        .filter(invitations::email_key.eq(account.email.key()))
        .filter(IsPending)
        .filter(invitations::expires_at.gt(now))
        .filter(organizations::deleted_at.is_null())
        .select(invitations::id);
    let both = counted(unread.union_all(invited), most).prepared();
    Ok(both.get_result(conn)?)
}

/// How many notifications a person has, counting no further than `most`.
pub fn count(conn: &mut Conn, account: AccountId, most: i64) -> Result<i64> {
    let known = notifications::table
        .filter(notifications::account_id.eq(account))
        .filter(notifications::kind.eq_any(NotificationKind::ALL))
        .select(notifications::id);
    Ok(counted(known, most).prepared().get_result(conn)?)
}

/// Whether a person switched letters of this kind off.
pub fn is_muted(conn: &mut Conn, account: AccountId, kind: NotificationKind) -> Result<bool> {
    Ok(diesel::select(diesel::dsl::exists(
        muted_letters::table
            .filter(muted_letters::account_id.eq(account))
            .filter(muted_letters::kind.eq(kind)),
    ))
    .prepared()
    .get_result(conn)?)
}

/// Forgets notifications from before `before`, at most `most`, and answers how many.
pub fn delete_before(conn: &mut Conn, before: Timestamp, most: i64) -> Result<usize> {
    let old = notifications::table
        .filter(notifications::at.lt(before))
        .order(notifications::at.asc())
        .limit(most)
        .select((notifications::account_id, notifications::id))
        .load::<(AccountId, NotificationId)>(conn)?;
    for (account, id) in &old {
        diesel::delete(
            notifications::table
                .filter(notifications::account_id.eq(account))
                .filter(notifications::id.eq(id)),
        )
        .execute(conn)?;
    }
    Ok(old.len())
}

/// The kinds of which a person switched the letters off.
pub fn muted(conn: &mut Conn, account: AccountId) -> Result<Vec<NotificationKind>> {
    // Kinds that only a newer program knows are left to it.
    Ok(muted_letters::table
        .filter(muted_letters::account_id.eq(account))
        .filter(muted_letters::kind.eq_any(NotificationKind::ALL))
        .select(muted_letters::kind)
        .prepared()
        .load(conn)?)
}

/// Switches the letters of these kinds off, and of every other kind on.
pub fn set_muted(conn: &mut Conn, account: AccountId, kinds: &[NotificationKind]) -> Result<()> {
    diesel::delete(
        muted_letters::table
            .filter(muted_letters::account_id.eq(account))
            .filter(muted_letters::kind.eq_any(NotificationKind::ALL)),
    )
    .execute(conn)?;
    if kinds.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = kinds
        .iter()
        .map(|kind| {
            (
                muted_letters::account_id.eq(account),
                muted_letters::kind.eq(*kind),
            )
        })
        .collect();
    // Two tabs at once: the same row twice is no fault.
    on_each!(conn, conn => diesel::insert_into(muted_letters::table).values(rows).on_conflict_do_nothing().execute(conn))?;
    Ok(())
}

/// Forgets what a person was told, and what they did not want by mail.
pub fn delete_of(conn: &mut Conn, account: AccountId) -> Result<()> {
    diesel::delete(notifications::table.filter(notifications::account_id.eq(account)))
        .execute(conn)?;
    diesel::delete(muted_letters::table.filter(muted_letters::account_id.eq(account)))
        .execute(conn)?;
    Ok(())
}
