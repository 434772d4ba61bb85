//! Sessions: which browser is who. The row decides; the cookie only carries a token.

use super::{
    connection::Conn,
    error::Result,
    prepared::Prepare as _,
    schema::{accounts, memberships, organizations, sessions},
};
use crate::domain::{
    account::{Account, Session},
    email::EmailAddress,
    ids::{AccountId, AvatarId, OrganizationId, SessionId},
    role::Role,
    session,
    time::Timestamp,
};
use diesel::prelude::*;

/// SHA-256 of the token in the cookie.
pub type TokenHash = [u8; 32];

/// What a new session row holds.
#[derive(Clone, Debug)]
pub struct NewSession<'a> {
    /// Hash of the token given to the browser.
    pub token_hash: &'a TokenHash,
    /// Its id.
    pub id: SessionId,
    /// Whose.
    pub account: AccountId,
    /// The organization opened last.
    pub organization: Option<OrganizationId>,
    /// When the person signed in.
    pub created_at: Timestamp,
    /// Since when a consent waits, if one does (R-ACC-9).
    pub consent_due_at: Option<Timestamp>,
    /// The client's network address.
    pub address: &'a str,
    /// The client's `User-Agent`, shortened.
    pub agent: &'a str,
}

/// Adds a session.
pub fn insert(conn: &mut Conn, new: &NewSession<'_>, now: Timestamp) -> Result<()> {
    diesel::insert_into(sessions::table)
        .values((
            sessions::token_hash.eq(&new.token_hash[..]),
            sessions::id.eq(new.id),
            sessions::account_id.eq(new.account),
            sessions::organization_id.eq(new.organization),
            sessions::created_at.eq(new.created_at),
            sessions::last_seen_at.eq(now),
            sessions::consent_due_at.eq(new.consent_due_at),
            sessions::address.eq(new.address),
            sessions::agent.eq(new.agent),
        ))
        .prepared()
        .execute(conn)?;
    Ok(())
}

/// A membership of the visitor, for the switcher and for the page they are on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The organization.
    pub organization: OrganizationId,
    /// Its part of the address.
    pub slug: String,
    /// What it is called.
    pub name: String,
    /// How many members it has.
    pub member_count: i32,
    /// The visitor's role there.
    pub role: Role,
    /// When the visitor last used it.
    pub last_active_at: Option<Timestamp>,
}

type Row = (
    (
        SessionId,
        Timestamp,
        Timestamp,
        Option<Timestamp>,
        Option<OrganizationId>,
        Option<Timestamp>,
    ),
    (
        AccountId,
        String,
        String,
        String,
        Option<Timestamp>,
        Option<AvatarId>,
    ),
    Option<(OrganizationId, String, String, i32)>,
    Option<(Role, Option<Timestamp>)>,
);

/// Who holds this token, and all their memberships, by name of the organization: one query answers who and where.
/// `None` for a token without a row and for a session that has ended.
pub fn visitor(
    conn: &mut Conn,
    token: &TokenHash,
    now: Timestamp,
) -> Result<Option<(Session, Vec<Place>)>> {
    let rows = sessions::table
        .inner_join(accounts::table)
        .left_join(memberships::table.on(memberships::account_id.eq(sessions::account_id)))
        .left_join(
            organizations::table.on(organizations::id
                .nullable()
                .eq(memberships::organization_id.nullable())),
        )
        .filter(sessions::token_hash.eq(&token[..]))
        .select((
            (
                sessions::id,
                sessions::created_at,
                sessions::last_seen_at,
                sessions::ends_at,
                sessions::organization_id,
                sessions::consent_due_at,
            ),
            (
                accounts::id,
                accounts::email,
                accounts::email_key,
                accounts::name,
                accounts::verified_at,
                accounts::avatar_id,
            ),
            (
                organizations::id,
                organizations::slug,
                organizations::name,
                organizations::member_count,
            )
                .nullable(),
            (memberships::role, memberships::last_active_at).nullable(),
        ))
        .prepared()
        .load::<Row>(conn)?;
    let mut visitor = None;
    let mut places = Vec::with_capacity(rows.len());
    for (
        (id, created_at, last_seen_at, ends_at, current, consent_due_at),
        (account, email, key, name, verified_at, avatar),
        at,
        as_role,
    ) in rows
    {
        if !session::alive(created_at, last_seen_at, now) || ends_at.is_some_and(|end| now >= end) {
            return Ok(None);
        }
        if let (Some((organization, slug, name, member_count)), Some((role, last_active_at))) =
            (at, as_role)
        {
            places.push(Place {
                organization,
                slug,
                name,
                member_count,
                role,
                last_active_at,
            });
        }
        if visitor.is_none() {
            let account = Account {
                id: account,
                email: EmailAddress::from_stored(email, key),
                name,
                verified_at,
                avatar,
            };
            visitor = Some(Session {
                id,
                account,
                created_at,
                last_seen_at,
                organization: current,
                ending: ends_at.is_some(),
                consent_due_at,
            });
        }
    }
    places
        .sort_by(|a, b| (a.name.as_str(), a.organization).cmp(&(b.name.as_str(), b.organization)));
    Ok(visitor.map(|visitor| (visitor, places)))
}

/// Whose session, and which: what its rows are found by.
pub type Key = (AccountId, SessionId);

#[diesel::dsl::auto_type]
fn rows_of(key: Key) -> _ {
    let (account, id): (AccountId, SessionId) = key;
    sessions::table
        .filter(sessions::account_id.eq(account))
        .filter(sessions::id.eq(id))
}

/// Notes that a session was used. Of many requests at once only one writes.
pub fn touch(conn: &mut Conn, key: Key, now: Timestamp, older_than: Timestamp) -> Result<()> {
    diesel::update(rows_of(key).filter(sessions::last_seen_at.le(older_than)))
        .set(sessions::last_seen_at.eq(now))
        .prepared()
        .execute(conn)?;
    Ok(())
}

/// Remembers the organization opened last; `false` when the session has ended.
pub fn set_organization(conn: &mut Conn, key: Key, organization: OrganizationId) -> Result<bool> {
    let changed = diesel::update(rows_of(key))
        .set(sessions::organization_id.eq(organization))
        .prepared()
        .execute(conn)?;
    Ok(changed > 0)
}

/// Forgets that an account had this organization open.
pub fn forget_organization(
    conn: &mut Conn,
    account: AccountId,
    organization: OrganizationId,
) -> Result<()> {
    diesel::update(
        sessions::table
            .filter(sessions::account_id.eq(account))
            .filter(sessions::organization_id.eq(organization)),
    )
    .set(sessions::organization_id.eq(None::<OrganizationId>))
    .prepared()
    .execute(conn)?;
    Ok(())
}

/// Notes that no session of an account waits for a consent any more.
pub fn set_consented(conn: &mut Conn, account: AccountId) -> Result<()> {
    diesel::update(
        sessions::table
            .filter(sessions::account_id.eq(account))
            .filter(sessions::consent_due_at.is_not_null()),
    )
    .set(sessions::consent_due_at.eq(None::<Timestamp>))
    .prepared()
    .execute(conn)?;
    Ok(())
}

/// Gives a session's token its last minute; a newer row with the same id follows. `false` when the session has ended
/// meanwhile: then nothing may follow.
pub fn set_ending(conn: &mut Conn, key: Key, ends_at: Timestamp) -> Result<bool> {
    let changed = diesel::update(rows_of(key).filter(sessions::ends_at.is_null()))
        .set(sessions::ends_at.eq(ends_at))
        .prepared()
        .execute(conn)?;
    Ok(changed > 0)
}

/// Ends every session of an account but one.
pub fn delete_others(conn: &mut Conn, account: AccountId, keep: Option<SessionId>) -> Result<()> {
    let all = diesel::delete(sessions::table.filter(sessions::account_id.eq(account)));
    match keep {
        Some(id) => all.filter(sessions::id.ne(id)).execute(conn)?,
        None => all.execute(conn)?,
    };
    Ok(())
}

/// One browser of a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionRow {
    /// Its id.
    pub id: SessionId,
    /// The `User-Agent` it came with.
    pub agent: String,
    /// The network address it came from.
    pub address: String,
    /// When the person signed in.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_seen_at: Timestamp,
}

/// The browsers that are signed in to an account, the one used last first, at most about `most`. A session whose token
/// was renewed has two rows for a minute and is one browser: the newer row speaks for it.
pub fn of_account(
    conn: &mut Conn,
    account: AccountId,
    now: Timestamp,
    most: i64,
) -> Result<Vec<SessionRow>> {
    type Row = (
        SessionId,
        String,
        String,
        Timestamp,
        Timestamp,
        Option<Timestamp>,
    );
    let mut rows = sessions::table
        .filter(sessions::account_id.eq(account))
        .filter(sessions::last_seen_at.gt(now.minus(session::IDLE)))
        .filter(sessions::created_at.gt(now.minus(session::ABSOLUTE)))
        .filter(sessions::ends_at.is_null().or(sessions::ends_at.gt(now)))
        .order((sessions::last_seen_at.desc(), sessions::id.desc()))
        .limit(most)
        .select((
            sessions::id,
            sessions::agent,
            sessions::address,
            sessions::created_at,
            sessions::last_seen_at,
            sessions::ends_at,
        ))
        .prepared()
        .load::<Row>(conn)?;
    // Within a session the row that goes on comes first.
    rows.sort_by_key(|(id, _, _, _, _, ends_at)| (*id, ends_at.is_some()));
    rows.dedup_by_key(|(id, ..)| *id);
    rows.sort_by_key(|(id, _, _, _, seen, _)| std::cmp::Reverse((*seen, *id)));
    Ok(rows
        .into_iter()
        .map(
            |(id, agent, address, created_at, last_seen_at, _)| SessionRow {
                id,
                agent,
                address,
                created_at,
                last_seen_at,
            },
        )
        .collect())
}

/// What an account's sessions say of a browser.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acquaintance {
    /// There are none.
    First,
    /// One of them is of such a browser.
    Known,
    /// There are some, and none is.
    Stranger,
}

/// Whether an account has a session of a browser that calls itself this.
pub fn acquaintance(conn: &mut Conn, account: AccountId, agent: &str) -> Result<Acquaintance> {
    let mine = sessions::table.filter(sessions::account_id.eq(account));
    let known = mine
        .filter(sessions::agent.eq(agent))
        .select(sessions::id)
        .limit(1)
        .prepared()
        .load::<SessionId>(conn)?;
    if !known.is_empty() {
        return Ok(Acquaintance::Known);
    }
    let any = mine
        .select(sessions::id)
        .limit(1)
        .prepared()
        .load::<SessionId>(conn)?;
    Ok(if any.is_empty() {
        Acquaintance::First
    } else {
        Acquaintance::Stranger
    })
}

/// Ends a session, with every token it has. `false` when the account has none of that id.
pub fn delete(conn: &mut Conn, key: Key) -> Result<bool> {
    let gone = diesel::delete(rows_of(key)).prepared().execute(conn)?;
    Ok(gone > 0)
}

/// Forgets sessions that were last used before `unused_since` or were replaced before `now`, at most `most` of each,
/// and answers how many.
pub fn delete_ended(
    conn: &mut Conn,
    now: Timestamp,
    unused_since: Timestamp,
    most: i64,
) -> Result<usize> {
    let mut ended = sessions::table
        .filter(sessions::last_seen_at.lt(unused_since))
        .order(sessions::last_seen_at.asc())
        .limit(most)
        .select(sessions::token_hash)
        .load::<Vec<u8>>(conn)?;
    ended.extend(
        sessions::table
            .filter(sessions::ends_at.is_not_null())
            .filter(sessions::ends_at.lt(now))
            .limit(most)
            .select(sessions::token_hash)
            .load::<Vec<u8>>(conn)?,
    );
    for token in &ended {
        diesel::delete(sessions::table.filter(sessions::token_hash.eq(token))).execute(conn)?;
    }
    Ok(ended.len())
}

/// Notes that a session, and the membership it was used for, were active: one transaction of its own, after the page.
pub async fn touch_all(
    db: &super::Db,
    key: Key,
    organization: Option<OrganizationId>,
    current: Option<OrganizationId>,
    now: Timestamp,
    older_than: Timestamp,
) -> Result<()> {
    db.write(move |conn| {
        // The membership before the session, as removing does: two transactions must not wait for each other crosswise.
        if let Some(organization) = organization {
            super::memberships::touch(conn, organization, key.0, now, older_than)?;
        }
        touch(conn, key, now, older_than)?;
        if let Some(organization) = organization.filter(|opened| current != Some(*opened)) {
            set_organization(conn, key, organization)?;
        }
        Ok(())
    })
    .await
}

/// Ends every session of everybody, and answers how many.
pub fn delete_every(conn: &mut Conn) -> Result<usize> {
    Ok(diesel::delete(sessions::table).execute(conn)?)
}
