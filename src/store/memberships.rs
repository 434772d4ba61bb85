//! Memberships: who is in which organization, and the words by which they are found.

use super::{
    connection::{Conn, MultiBackend},
    error::Result,
    part::Part,
    schema::{accounts, membership_words, memberships},
};
use crate::domain::{
    account::Account,
    email::EmailAddress,
    ids::{AccountId, OrganizationId},
    membership::Membership,
    role::Role,
    text,
    time::Timestamp,
};
use diesel::prelude::*;

/// Adds a membership; `false` when the account is a member already.
pub fn insert(
    conn: &mut Conn,
    organization: OrganizationId,
    account: &Account,
    role: Role,
    now: Timestamp,
) -> Result<bool> {
    let values = (
        memberships::organization_id.eq(organization),
        memberships::account_id.eq(account.id),
        memberships::role.eq(role),
        memberships::name_key.eq(text::sort_key(&account.name)),
        memberships::joined_at.eq(now),
        memberships::last_active_at.eq(now),
    );
    let added = on_each!(conn, conn => diesel::insert_into(memberships::table).values(values).on_conflict_do_nothing().execute(conn))?;
    if added == 0 {
        return Ok(false);
    }
    let words: Vec<_> = text::search_words(&account.name, account.email.key())
        .into_iter()
        .map(|word| {
            (
                membership_words::organization_id.eq(organization),
                membership_words::word.eq(word),
                membership_words::account_id.eq(account.id),
            )
        })
        .collect();
    on_each!(conn, conn => diesel::insert_into(membership_words::table).values(words).execute(conn))?;
    Ok(true)
}

/// The membership of an account.
pub fn find(
    conn: &mut Conn,
    organization: OrganizationId,
    account: AccountId,
) -> Result<Option<Membership>> {
    let row = memberships::table
        .filter(memberships::organization_id.eq(organization))
        .filter(memberships::account_id.eq(account))
        .select((memberships::role, memberships::joined_at))
        .get_result::<(Role, Timestamp)>(conn)
        .optional()?;
    Ok(row.map(|(role, joined_at)| Membership {
        organization,
        account,
        role,
        joined_at,
    }))
}

/// The member with this address, by name.
pub fn find_by_email(
    conn: &mut Conn,
    organization: OrganizationId,
    email: &EmailAddress,
) -> Result<Option<(AccountId, String)>> {
    Ok(memberships::table
        .inner_join(accounts::table)
        .filter(memberships::organization_id.eq(organization))
        .filter(accounts::email_key.eq(email.key()))
        .select((accounts::id, accounts::name))
        .get_result(conn)
        .optional()?)
}

/// One line of the members list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberRow {
    /// Whose.
    pub account: AccountId,
    /// What they are called.
    pub name: String,
    /// The address, as typed.
    pub email: String,
    /// Their role.
    pub role: Role,
    /// When they joined.
    pub joined_at: Timestamp,
    /// When they last used the organization.
    pub last_active_at: Option<Timestamp>,
    /// Where they stand in the list.
    pub name_key: String,
}

/// A place in the members list: the sort key and id of the row next to it.
pub type Place = (String, AccountId);

/// Which rows of the members list.
#[derive(Clone, Default, Debug)]
pub struct MemberFilter {
    /// Words that must each start a word of the name.
    pub terms: Vec<String>,
    /// A word of the address will do as well: only for whoever may see addresses.
    pub in_addresses: bool,
    /// Only this role.
    pub role: Option<Role>,
}

type Boxed<'a> = memberships::BoxedQuery<'a, MultiBackend>;

/// The words from `term` up to the last that starts with it.
fn word_end(term: &str) -> String {
    format!("{term}\u{10ffff}")
}

fn filtered<'a>(organization: OrganizationId, filter: &MemberFilter) -> Boxed<'a> {
    let mut query = memberships::table
        .filter(memberships::organization_id.eq(organization))
        .into_boxed();
    if let Some(role) = filter.role {
        query = query.filter(memberships::role.eq(role));
    }
    for term in &filter.terms {
        // Whoever searches names only looks for the same range twice.
        let marked = if filter.in_addresses {
            format!("{}{term}", text::ADDRESS_MARK)
        } else {
            term.clone()
        };
        let starts = membership_words::word
            .ge(term.clone())
            .and(membership_words::word.lt(word_end(term)));
        let marked_starts = membership_words::word
            .ge(marked.clone())
            .and(membership_words::word.lt(word_end(&marked)));
        let holders = membership_words::table
            .filter(membership_words::organization_id.eq(organization))
            .filter(starts.or(marked_starts))
            .select(membership_words::account_id);
        query = query.filter(memberships::account_id.eq_any(holders));
    }
    query
}

/// At most `most` members in the order of their names.
pub fn page(
    conn: &mut Conn,
    organization: OrganizationId,
    filter: &MemberFilter,
    part: &Part<Place>,
    most: i64,
) -> Result<Vec<MemberRow>> {
    let query = filtered(organization, filter);
    let (query, backwards) = match part.clone() {
        Part::First => (query, false),
        Part::After((key, id)) => (
            query.filter(
                memberships::name_key
                    .gt(key.clone())
                    .or(memberships::name_key
                        .eq(key)
                        .and(memberships::account_id.gt(id))),
            ),
            false,
        ),
        Part::Before((key, id)) => (
            query.filter(
                memberships::name_key
                    .lt(key.clone())
                    .or(memberships::name_key
                        .eq(key)
                        .and(memberships::account_id.lt(id))),
            ),
            true,
        ),
    };
    let query = if backwards {
        query.order((memberships::name_key.desc(), memberships::account_id.desc()))
    } else {
        query.order((memberships::name_key.asc(), memberships::account_id.asc()))
    };
    type Row = (
        AccountId,
        String,
        String,
        Role,
        Timestamp,
        Option<Timestamp>,
        String,
    );
    let mut rows: Vec<MemberRow> = query
        .inner_join(accounts::table)
        .limit(most)
        .select((
            accounts::id,
            accounts::name,
            accounts::email,
            memberships::role,
            memberships::joined_at,
            memberships::last_active_at,
            memberships::name_key,
        ))
        .load::<Row>(conn)?
        .into_iter()
        .map(
            |(account, name, email, role, joined_at, last_active_at, name_key)| MemberRow {
                account,
                name,
                email,
                role,
                joined_at,
                last_active_at,
                name_key,
            },
        )
        .collect();
    if backwards {
        rows.reverse();
    }
    Ok(rows)
}

/// How many members match, counting no further than `most`.
pub fn count(
    conn: &mut Conn,
    organization: OrganizationId,
    filter: &MemberFilter,
    most: i64,
) -> Result<i64> {
    let ids = filtered(organization, filter)
        .select(memberships::account_id)
        .limit(most)
        .load::<AccountId>(conn)?;
    Ok(i64::try_from(ids.len()).unwrap_or(most))
}

/// Up to `most` members who hold `role`, with their names.
pub fn with_role(
    conn: &mut Conn,
    organization: OrganizationId,
    role: Role,
    most: i64,
) -> Result<Vec<(AccountId, String)>> {
    Ok(memberships::table
        .inner_join(accounts::table)
        .filter(memberships::organization_id.eq(organization))
        .filter(memberships::role.eq(role))
        .order((memberships::name_key.asc(), memberships::account_id.asc()))
        .limit(most)
        .select((accounts::id, accounts::name))
        .load(conn)?)
}

/// The addresses of up to `most` Owners.
pub fn owner_addresses(
    conn: &mut Conn,
    organization: OrganizationId,
    most: i64,
) -> Result<Vec<EmailAddress>> {
    let rows = memberships::table
        .inner_join(accounts::table)
        .filter(memberships::organization_id.eq(organization))
        .filter(memberships::role.eq(Role::Owner))
        .order((memberships::name_key.asc(), memberships::account_id.asc()))
        .limit(most)
        .select((accounts::email, accounts::email_key))
        .load::<(String, String)>(conn)?;
    Ok(rows
        .into_iter()
        .map(|(email, key)| EmailAddress::from_stored(email, key))
        .collect())
}

/// Notes that a member used the organization. Of many requests at once only one writes (R-MEM-1).
pub fn touch(
    conn: &mut Conn,
    organization: OrganizationId,
    account: AccountId,
    now: Timestamp,
    older_than: Timestamp,
) -> Result<()> {
    diesel::update(
        memberships::table
            .filter(memberships::organization_id.eq(organization))
            .filter(memberships::account_id.eq(account))
            .filter(
                memberships::last_active_at
                    .is_null()
                    .or(memberships::last_active_at.le(older_than)),
            ),
    )
    .set(memberships::last_active_at.eq(now))
    .execute(conn)?;
    Ok(())
}
