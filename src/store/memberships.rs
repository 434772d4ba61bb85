//! Memberships: who is in which organization, and the words by which they are found.

use super::{
    among::among_all,
    connection::Conn,
    counting::count_up_to,
    error::Result,
    literal::HasRole,
    part::Part,
    prepared::Prepare as _,
    schema::{accounts, membership_words, memberships, organizations},
};
use crate::domain::{
    account::Account,
    email::EmailAddress,
    ids::{AccountId, AvatarId, OrganizationId},
    membership::Membership,
    role::Role,
    text,
    time::Timestamp,
};
use diesel::prelude::*;

/// Adds a membership; `false` when the account is a member already. The account is as it was read when it was locked, or
/// made by this very transaction: it may be getting another name at this moment, see [`rename`].
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
    insert_words(conn, organization, account)?;
    Ok(true)
}

/// Adds the words by which a member is found.
fn insert_words(conn: &mut Conn, organization: OrganizationId, account: &Account) -> Result<()> {
    let words = text::search_words(&account.name, account.email.key());
    let rows = words.into_iter().map(|word| {
        (
            membership_words::organization_id.eq(organization),
            membership_words::word.eq(word),
            membership_words::account_id.eq(account.id),
        )
    });
    let words = diesel::insert_into(membership_words::table);
    match conn {
        Conn::Sqlite(conn) => {
            for row in rows {
                RunQueryDsl::execute(words.values(row).prepared(), conn)?;
            }
        }
        // One way there and back for all; names have few words, so there are few texts.
        Conn::Postgres(conn) => {
            let rows: Vec<_> = rows.collect();
            RunQueryDsl::execute(words.values(rows).prepared(), conn)?;
        }
    }
    Ok(())
}

/// The organizations an account is in, in the order in which they are locked.
pub fn organizations_of(conn: &mut Conn, account: AccountId) -> Result<Vec<OrganizationId>> {
    Ok(memberships::table
        .filter(memberships::account_id.eq(account))
        .order(memberships::organization_id.asc())
        .select(memberships::organization_id)
        .prepared()
        .load(conn)?)
}

/// Lets every organization of an account sort and find it by the name and address it is about to get. The organizations
/// and the account are locked already.
pub fn rename(conn: &mut Conn, account: &Account) -> Result<()> {
    for organization in organizations_of(conn, account.id)? {
        diesel::update(
            memberships::table
                .filter(memberships::organization_id.eq(organization))
                .filter(memberships::account_id.eq(account.id)),
        )
        .set(memberships::name_key.eq(text::sort_key(&account.name)))
        .prepared()
        .execute(conn)?;
        diesel::delete(
            membership_words::table
                .filter(membership_words::organization_id.eq(organization))
                .filter(membership_words::account_id.eq(account.id)),
        )
        .execute(conn)?;
        insert_words(conn, organization, account)?;
    }
    Ok(())
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
        .prepared()
        .get_result::<(Role, Timestamp)>(conn)
        .optional()?;
    Ok(row.map(|(role, joined_at)| Membership {
        organization,
        account,
        role,
        joined_at,
    }))
}

/// The account of a member.
pub fn find_account(
    conn: &mut Conn,
    organization: OrganizationId,
    account: AccountId,
) -> Result<Option<Account>> {
    let row = memberships::table
        .inner_join(accounts::table)
        .filter(memberships::organization_id.eq(organization))
        .filter(memberships::account_id.eq(account))
        .select(super::accounts::COLUMNS)
        .prepared()
        .get_result::<super::accounts::Row>(conn)
        .optional()?;
    Ok(row.map(super::accounts::account))
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
        .prepared()
        .get_result(conn)
        .optional()?)
}

/// Who of these addresses is a member: the address as it is compared, and the name.
pub fn find_by_emails(
    conn: &mut Conn,
    organization: OrganizationId,
    emails: &[&EmailAddress],
) -> Result<Vec<(String, String)>> {
    let members = memberships::table
        .inner_join(accounts::table)
        .filter(memberships::organization_id.eq(organization))
        .select((accounts::email_key, accounts::name));
    Ok(find_each!(
        conn,
        accounts::email_key,
        members,
        emails,
        (String, String)
    ))
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
    /// Their picture, if there is one.
    pub avatar: Option<AvatarId>,
    /// Their role.
    pub role: Role,
    /// When they joined.
    pub joined_at: Timestamp,
    /// When they last used the organization.
    pub last_active_at: Option<Timestamp>,
    /// Where they stand in the list.
    pub name_key: String,
}

/// By what the members list is sorted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum SortBy {
    /// By name.
    #[default]
    Name,
    /// By when they joined.
    Joined,
    /// By when they were last active; "Never" is the longest ago.
    Active,
}

impl SortBy {
    /// Every column that sorts.
    pub const ALL: [Self; 3] = [Self::Name, Self::Joined, Self::Active];

    /// The word in the address: `?sort=…`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Joined => "joined",
            Self::Active => "active",
        }
    }

    /// Reads the word in the address.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.as_str() == text)
    }
}

/// The order of the members list.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Order {
    /// By which column.
    pub by: SortBy,
    /// From the end: Z to A, newest first.
    pub descending: bool,
}

/// A place in the members list: what the row next to it is sorted by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Key {
    /// The folded name.
    Name(String),
    /// When they joined, or were last active.
    At(Timestamp),
    /// Never active.
    Never,
}

/// A place in the members list: the sort key and id of the row next to it.
pub type Place = (Key, AccountId);

impl MemberRow {
    /// Where the row stands in a list of this order.
    pub fn place(&self, by: SortBy) -> Place {
        let key = match by {
            SortBy::Name => Key::Name(self.name_key.clone()),
            SortBy::Joined => Key::At(self.joined_at),
            SortBy::Active => self.last_active_at.map_or(Key::Never, Key::At),
        };
        (key, self.account)
    }
}

type Row = (
    AccountId,
    String,
    String,
    Option<AvatarId>,
    Role,
    Timestamp,
    Option<Timestamp>,
    String,
);

/// The columns of a [`Row`].
const COLUMNS: (
    accounts::id,
    accounts::name,
    accounts::email,
    accounts::avatar_id,
    memberships::role,
    memberships::joined_at,
    memberships::last_active_at,
    memberships::name_key,
) = (
    accounts::id,
    accounts::name,
    accounts::email,
    accounts::avatar_id,
    memberships::role,
    memberships::joined_at,
    memberships::last_active_at,
    memberships::name_key,
);

fn member(
    (account, name, email, avatar, role, joined_at, last_active_at, name_key): Row,
) -> MemberRow {
    MemberRow {
        account,
        name,
        email,
        avatar,
        role,
        joined_at,
        last_active_at,
        name_key,
    }
}

/// Which rows of the members list.
#[derive(Clone, Default, Debug)]
pub struct MemberFilter {
    /// Words that must each start a word of the name.
    pub terms: Vec<String>,
    /// A word of the address will do as well: only for whoever may see addresses.
    pub in_addresses: bool,
    /// Only this role.
    pub role: Option<Role>,
    /// Only who joined, and was last active, no later than this.
    pub inactive_since: Option<Timestamp>,
}

impl MemberFilter {
    /// Whether every member passes.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty() && self.role.is_none() && self.inactive_since.is_none()
    }
}

/// What the words begin with by which somebody is found: of their name, and of their address. Whoever searches names only
/// looks for the same words twice.
fn starts(filter: &MemberFilter, term: &str) -> [String; 2] {
    let marked = || format!("{}{term}", text::ADDRESS_MARK);
    let in_addresses = filter.in_addresses.then(marked);
    [
        term.to_owned(),
        in_addresses.unwrap_or_else(|| term.to_owned()),
    ]
}

/// Whose words begin so.
#[diesel::dsl::auto_type]
fn holders(organization: OrganizationId, start: &str) -> _ {
    let from: String = start.to_owned();
    let until: String = word_end(start);
    membership_words::table
        .filter(membership_words::organization_id.eq(organization))
        .filter(membership_words::word.ge(from))
        .filter(membership_words::word.lt(until))
        .select(membership_words::account_id)
}

/// The words from `term` up to the last that starts with it.
fn word_end(term: &str) -> String {
    format!("{term}\u{10ffff}")
}

/// Which members of a list that is sorted by activity: those who never were stand apart, because the two databases sort
/// what is missing to different ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    All,
    Never,
    Dated,
}

/// At most `most` members in this order.
pub fn page(
    conn: &mut Conn,
    organization: OrganizationId,
    filter: &MemberFilter,
    order: Order,
    part: &Part<Place>,
    most: i64,
) -> Result<Vec<MemberRow>> {
    if matches!(part, Part::First) && order == Order::default() && filter.is_empty() {
        return first_by_name(conn, organization, most);
    }
    match conn {
        Conn::Sqlite(conn) => sqlite::page(conn, organization, filter, order, part, most),
        Conn::Postgres(conn) => postgres::page(conn, organization, filter, order, part, most),
    }
}

/// The page that is opened most often, with a statement of its own that is never put together.
fn first_by_name(
    conn: &mut Conn,
    organization: OrganizationId,
    most: i64,
) -> Result<Vec<MemberRow>> {
    let rows = memberships::table
        .inner_join(accounts::table)
        .filter(memberships::organization_id.eq(organization))
        .order((memberships::name_key.asc(), memberships::account_id.asc()))
        .limit(most)
        .select(COLUMNS)
        .prepared()
        .load::<Row>(conn)?;
    Ok(rows.into_iter().map(member).collect())
}

/// How many members match, counting no further than `most`.
pub fn count(
    conn: &mut Conn,
    organization: OrganizationId,
    filter: &MemberFilter,
    most: i64,
) -> Result<i64> {
    match conn {
        Conn::Sqlite(conn) => sqlite::count(conn, organization, filter, most),
        Conn::Postgres(conn) => postgres::count(conn, organization, filter, most),
    }
}

for_each_database! {
    type Boxed<'a> = memberships::BoxedQuery<'a, Database>;

    fn filtered<'a>(organization: OrganizationId, filter: &MemberFilter) -> Boxed<'a> {
        let mut query = memberships::table
            .filter(memberships::organization_id.eq(organization))
            .into_boxed();
        if let Some(role) = filter.role {
            query = query.filter(HasRole(role));
        }
        if let Some(cutoff) = filter.inactive_since {
            query = query.filter(memberships::joined_at.le(cutoff));
        }
        if !filter.terms.is_empty() {
            let found = filter.terms.iter().map(|term| {
                let [names, addresses] = starts(filter, term);
                // Each a range of the key. For one with an OR PostgreSQL reads every word of the organization.
                holders(organization, &names).union_all(holders(organization, &addresses))
            });
            query = query.filter(among_all(memberships::account_id, found.collect()));
        }
        query
    }

    pub(super) fn page(
        conn: &mut Connection,
        organization: OrganizationId,
        filter: &MemberFilter,
        order: Order,
        part: &Part<Place>,
        most: i64,
    ) -> Result<Vec<MemberRow>> {
        let (start, backwards) = match part.clone() {
            Part::First => (None, false),
            Part::After(place) => (Some(place), false),
            Part::Before(place) => (Some(place), true),
        };
        let falling = order.descending != backwards;
        let pieces: &[Piece] = match (order.by, start.as_ref().map(|(key, _)| key)) {
            (SortBy::Name | SortBy::Joined, _) => &[Piece::All],
            (SortBy::Active, Some(Key::Never)) if falling => &[Piece::Never],
            (SortBy::Active, Some(Key::At(_))) if !falling => &[Piece::Dated],
            (SortBy::Active, _) if falling => &[Piece::Dated, Piece::Never],
            (SortBy::Active, _) => &[Piece::Never, Piece::Dated],
        };
        let mut rows = Vec::new();
        let mut start = start;
        for piece in pieces {
            let left = most.saturating_sub(i64::try_from(rows.len()).unwrap_or(most));
            if left <= 0 {
                break;
            }
            // The place is in the first piece; the next one is read from its end.
            let query = pieces_of(filtered(organization, filter), *piece, filter);
            rows.extend(load(conn, query, order.by, start.take(), falling, left)?);
        }
        if backwards {
            rows.reverse();
        }
        Ok(rows)
    }

    fn pieces_of<'a>(query: Boxed<'a>, piece: Piece, filter: &MemberFilter) -> Boxed<'a> {
        match (piece, filter.inactive_since) {
            (Piece::All, None) => query,
            (Piece::All, Some(cutoff)) => query.filter(
                memberships::last_active_at
                    .is_null()
                    .or(memberships::last_active_at.le(cutoff)),
            ),
            (Piece::Never, _) => query.filter(memberships::last_active_at.is_null()),
            (Piece::Dated, None) => query.filter(memberships::last_active_at.is_not_null()),
            (Piece::Dated, Some(cutoff)) => query.filter(memberships::last_active_at.le(cutoff)),
        }
    }

    /// Rows from a place on, in the order of one column and then of ids. The bound on the column alone says nothing new; it
    /// lets both databases begin at the place instead of the top.
    fn load(
        conn: &mut Connection,
        mut query: Boxed<'_>,
        by: SortBy,
        start: Option<Place>,
        falling: bool,
        most: i64,
    ) -> Result<Vec<MemberRow>> {
        macro_rules! from {
            ($column:expr, $key:expr, $id:expr) => {
                if falling {
                    query
                        .filter($column.le($key.clone()))
                        .filter($column.lt($key).or(memberships::account_id.lt($id)))
                } else {
                    query
                        .filter($column.ge($key.clone()))
                        .filter($column.gt($key).or(memberships::account_id.gt($id)))
                }
            };
        }
        macro_rules! ordered {
            ($column:expr) => {
                if falling {
                    query.order(($column.desc(), memberships::account_id.desc()))
                } else {
                    query.order(($column.asc(), memberships::account_id.asc()))
                }
            };
        }
        query = match (by, start) {
            (_, None) => query,
            (SortBy::Name, Some((Key::Name(key), id))) => from!(memberships::name_key, key, id),
            (SortBy::Joined, Some((Key::At(at), id))) => from!(memberships::joined_at, at, id),
            (SortBy::Active, Some((Key::At(at), id))) => from!(memberships::last_active_at, at, id),
            (SortBy::Active, Some((_, id))) if falling => query.filter(memberships::account_id.lt(id)),
            (SortBy::Active, Some((_, id))) => query.filter(memberships::account_id.gt(id)),
            // A place of another order: the top.
            (SortBy::Name | SortBy::Joined, Some(_)) => query,
        };
        let query = match by {
            SortBy::Name => ordered!(memberships::name_key),
            SortBy::Joined => ordered!(memberships::joined_at),
            SortBy::Active => ordered!(memberships::last_active_at),
        };
        let rows = query
            .inner_join(accounts::table)
            .limit(most)
            .select(COLUMNS)
            .load::<Row>(conn)?;
        Ok(rows.into_iter().map(member).collect())
    }

    pub(super) fn count(
        conn: &mut Connection,
        organization: OrganizationId,
        filter: &MemberFilter,
        most: i64,
    ) -> Result<i64> {
        // By activity each piece is one range of an index.
        let pieces: &[Piece] = match filter.inactive_since {
            Some(_) => &[Piece::Never, Piece::Dated],
            None => &[Piece::All],
        };
        let mut counted = 0;
        for piece in pieces {
            let query = pieces_of(filtered(organization, filter), *piece, filter)
                .select(memberships::account_id);
            counted += count_up_to(conn, query, most - counted)?;
        }
        Ok(counted)
    }
}

/// The addresses of those among these accounts who are members now.
pub fn addresses_of(
    conn: &mut Conn,
    organization: OrganizationId,
    among: Vec<AccountId>,
) -> Result<Vec<(AccountId, String)>> {
    Ok(memberships::table
        .inner_join(accounts::table)
        .filter(memberships::organization_id.eq(organization))
        .filter(memberships::account_id.eq_any(among))
        .select((accounts::id, accounts::email))
        .load(conn)?)
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
        .prepared()
        .load(conn)?)
}

/// The accounts of up to `most` Owners.
pub fn owners(conn: &mut Conn, organization: OrganizationId, most: i64) -> Result<Vec<Account>> {
    accounts_with_role(conn, organization, Role::Owner, most)
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
    .prepared()
    .execute(conn)?;
    Ok(())
}

/// How many Owners there are. The organization is locked: nobody else is deciding on this number (R-ROLE-5).
pub fn count_owners(conn: &mut Conn, organization: OrganizationId) -> Result<i64> {
    Ok(memberships::table
        .filter(memberships::organization_id.eq(organization))
        .filter(memberships::role.eq(Role::Owner))
        .count()
        .prepared()
        .get_result(conn)?)
}

/// Gives a member another role.
pub fn set_role(conn: &mut Conn, of: &Membership, role: Role) -> Result<()> {
    diesel::update(
        memberships::table
            .filter(memberships::organization_id.eq(of.organization))
            .filter(memberships::account_id.eq(of.account)),
    )
    .set(memberships::role.eq(role))
    .prepared()
    .execute(conn)?;
    Ok(())
}

/// Ends a membership; its words go with it. `false` when there is none.
pub fn delete(conn: &mut Conn, organization: OrganizationId, account: AccountId) -> Result<bool> {
    let gone = diesel::delete(
        memberships::table
            .filter(memberships::organization_id.eq(organization))
            .filter(memberships::account_id.eq(account)),
    )
    .execute(conn)?;
    Ok(gone == 1)
}

/// Another organization of an account, the first by name: its part of the address and its name.
pub fn first_other(
    conn: &mut Conn,
    account: AccountId,
    but: OrganizationId,
) -> Result<Option<(String, String)>> {
    Ok(memberships::table
        .inner_join(organizations::table)
        .filter(memberships::account_id.eq(account))
        .filter(memberships::organization_id.ne(but))
        .order((organizations::name.asc(), organizations::id.asc()))
        .limit(1)
        .select((organizations::slug, organizations::name))
        .prepared()
        .get_result(conn)
        .optional()?)
}

/// The accounts of up to `most` members who hold `role`, by name.
pub fn accounts_with_role(
    conn: &mut Conn,
    organization: OrganizationId,
    role: Role,
    most: i64,
) -> Result<Vec<Account>> {
    let rows = memberships::table
        .inner_join(accounts::table)
        .filter(memberships::organization_id.eq(organization))
        .filter(memberships::role.eq(role))
        .order((memberships::name_key.asc(), memberships::account_id.asc()))
        .limit(most)
        .select(super::accounts::COLUMNS)
        .prepared()
        .load::<super::accounts::Row>(conn)?;
    Ok(rows.into_iter().map(super::accounts::account).collect())
}

/// Ends the memberships of these accounts, and with them the words by which they are found. The total of the
/// organization is the caller's.
pub fn delete_many(
    conn: &mut Conn,
    organization: OrganizationId,
    accounts: &[AccountId],
) -> Result<()> {
    diesel::delete(
        memberships::table
            .filter(memberships::organization_id.eq(organization))
            .filter(memberships::account_id.eq_any(accounts)),
    )
    .execute(conn)?;
    Ok(())
}
