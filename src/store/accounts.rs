//! Accounts.

use super::{
    connection::Conn,
    error::Result,
    prepared::Prepare as _,
    schema::{accounts, avatars},
};
use crate::domain::{
    account::{Account, DELETED_NAME},
    email::EmailAddress,
    ids::{AccountId, AvatarId},
    time::Timestamp,
};
use diesel::{
    prelude::*,
    result::{DatabaseErrorKind, Error as DieselError},
};

/// Columns of [`Account`], in the order of [`account`].
pub(super) type Row = (
    AccountId,
    String,
    String,
    String,
    Option<Timestamp>,
    Option<AvatarId>,
);

pub(super) fn account((id, email, email_key, name, verified_at, avatar): Row) -> Account {
    Account {
        id,
        email: EmailAddress::from_stored(email, email_key),
        name,
        verified_at,
        avatar,
    }
}

/// The columns of a [`Row`].
pub(super) const COLUMNS: (
    accounts::id,
    accounts::email,
    accounts::email_key,
    accounts::name,
    accounts::verified_at,
    accounts::avatar_id,
) = (
    accounts::id,
    accounts::email,
    accounts::email_key,
    accounts::name,
    accounts::verified_at,
    accounts::avatar_id,
);

/// Adds an account; `false` when the address has one already.
pub fn insert(
    conn: &mut Conn,
    account: &Account,
    password_hash: &str,
    now: Timestamp,
) -> Result<bool> {
    let values = (
        accounts::id.eq(account.id),
        accounts::email.eq(account.email.shown()),
        accounts::email_key.eq(account.email.key()),
        accounts::name.eq(&account.name),
        accounts::password_hash.eq(password_hash),
        accounts::verified_at.eq(account.verified_at),
        accounts::created_at.eq(now),
    );
    let added = on_each!(conn, conn => diesel::insert_into(accounts::table).values(values).on_conflict_do_nothing().execute(conn))?;
    Ok(added == 1)
}

/// The account of an id.
pub fn find(conn: &mut Conn, id: AccountId) -> Result<Option<Account>> {
    let row = accounts::table
        .filter(accounts::id.eq(id))
        .select(COLUMNS)
        .prepared()
        .get_result::<Row>(conn)
        .optional()?;
    Ok(row.map(account))
}

/// The id of the account with this address.
pub fn find_id(conn: &mut Conn, email: &EmailAddress) -> Result<Option<AccountId>> {
    Ok(accounts::table
        .filter(accounts::email_key.eq(email.key()))
        .select(accounts::id)
        .prepared()
        .get_result(conn)
        .optional()?)
}

/// Gives an account another name.
pub fn set_name(conn: &mut Conn, id: AccountId, name: &str) -> Result<()> {
    diesel::update(accounts::table.filter(accounts::id.eq(id)))
        .set(accounts::name.eq(name))
        .prepared()
        .execute(conn)?;
    Ok(())
}

/// The id and password hash of the account with this address.
pub fn credentials(conn: &mut Conn, email: &EmailAddress) -> Result<Option<(AccountId, String)>> {
    Ok(accounts::table
        .filter(accounts::email_key.eq(email.key()))
        .select((accounts::id, accounts::password_hash))
        .prepared()
        .get_result(conn)
        .optional()?)
}

/// Whether there is any account: the very first visitor may always sign up (R-ORG-5).
pub fn any(conn: &mut Conn) -> Result<bool> {
    Ok(diesel::select(diesel::dsl::exists(
        accounts::table
            .filter(accounts::deleted_at.is_null())
            .select(accounts::id),
    ))
    .prepared()
    .get_result(conn)?)
}

/// Whether this is the very first account of the instance (R-ORG-6). Ids grow with time, to the millisecond: whoever
/// came in the same one as the first counts as first too, since nobody can say who was.
pub fn is_first(conn: &mut Conn, id: AccountId) -> Result<bool> {
    /// What follows the milliseconds in a version 7 UUID (RFC 9562).
    const BITS_AFTER: u32 = 80;
    let millisecond = AccountId(uuid::Uuid::from_u128(
        id.0.as_u128() >> BITS_AFTER << BITS_AFTER,
    ));
    let is_later = diesel::select(diesel::dsl::exists(
        accounts::table
            .filter(accounts::deleted_at.is_null())
            .filter(accounts::id.lt(millisecond))
            .select(accounts::id),
    ))
    .prepared()
    .get_result::<bool>(conn)?;
    Ok(!is_later)
}

/// Makes sign-ups wait for each other, so that only one can be the first. SQLite's writers do so anyway.
pub fn lock_sign_up(conn: &mut Conn) -> Result<()> {
    /// The advisory lock of signing up: any number, the same in every version.
    const LOCK: i64 = 0x726f_7374_6573;
    if let Conn::Postgres(conn) = conn {
        use diesel::connection::SimpleConnection as _;
        conn.batch_execute(&format!("SELECT pg_advisory_xact_lock({LOCK})"))?;
    }
    Ok(())
}

/// Notes that the mailbox was proved; `false` when it had been before.
pub fn set_verified(conn: &mut Conn, id: AccountId, now: Timestamp) -> Result<bool> {
    let changed = diesel::update(
        accounts::table
            .filter(accounts::id.eq(id))
            .filter(accounts::verified_at.is_null()),
    )
    .set(accounts::verified_at.eq(now))
    .prepared()
    .execute(conn)?;
    Ok(changed == 1)
}

/// Gives an account another password.
pub fn set_password(conn: &mut Conn, id: AccountId, password_hash: &str) -> Result<()> {
    diesel::update(accounts::table.filter(accounts::id.eq(id)))
        .set(accounts::password_hash.eq(password_hash))
        .prepared()
        .execute(conn)?;
    Ok(())
}

/// Gives an account another address, which is proved. `false` when another account has it: the transaction is spoilt
/// then, and has to be given up.
pub fn set_email(
    conn: &mut Conn,
    id: AccountId,
    email: &EmailAddress,
    now: Timestamp,
) -> Result<bool> {
    let done = diesel::update(accounts::table.filter(accounts::id.eq(id)))
        .set((
            accounts::email.eq(email.shown()),
            accounts::email_key.eq(email.key()),
            accounts::verified_at.eq(now),
        ))
        .prepared()
        .execute(conn);
    match done {
        Ok(_) => Ok(true),
        Err(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The account, locked until the transaction ends; `None` when it was deleted. Whatever ends sessions and proofs of one
/// starts here, so that two of them do not wait for each other crosswise. Nothing can be attached to it meanwhile:
/// on PostgreSQL a new session or membership waits, because its foreign key does. SQLite holds the write lock already.
pub fn lock(conn: &mut Conn, id: AccountId) -> Result<Option<Account>> {
    let open = accounts::table
        .filter(accounts::id.eq(id))
        .filter(accounts::deleted_at.is_null())
        .select(COLUMNS);
    let row = match conn {
        Conn::Postgres(conn) => open.for_update().get_result::<Row>(conn),
        conn @ Conn::Sqlite(_) => open.prepared().get_result::<Row>(conn),
    };
    Ok(row.optional()?.map(account))
}

/// The hash of an account's password.
pub fn password_hash(conn: &mut Conn, id: AccountId) -> Result<Option<String>> {
    Ok(accounts::table
        .filter(accounts::id.eq(id))
        .select(accounts::password_hash)
        .prepared()
        .get_result(conn)
        .optional()?)
}

/// Takes the person out of an account and keeps its row, which history points to. Nobody signs in to it again.
pub fn set_deleted(conn: &mut Conn, id: AccountId, now: Timestamp) -> Result<()> {
    /// Not a hash, so the hash of nothing.
    const NO_PASSWORD: &str = "!";
    let nobody = EmailAddress::of_nobody(id);
    diesel::delete(avatars::table.filter(avatars::account_id.eq(id))).execute(conn)?;
    diesel::update(accounts::table.filter(accounts::id.eq(id)))
        .set((
            accounts::email.eq(nobody.shown()),
            accounts::email_key.eq(nobody.key()),
            accounts::name.eq(DELETED_NAME),
            accounts::password_hash.eq(NO_PASSWORD),
            accounts::verified_at.eq(None::<Timestamp>),
            accounts::avatar_id.eq(None::<AvatarId>),
            accounts::deleted_at.eq(now),
        ))
        .execute(conn)?;
    Ok(())
}
