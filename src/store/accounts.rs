//! Accounts.

use super::{connection::Conn, error::Result, schema::accounts};
use crate::domain::{account::Account, email::EmailAddress, ids::AccountId, time::Timestamp};
use diesel::prelude::*;

/// Columns of [`Account`], in the order of [`account`].
type Row = (AccountId, String, String, String, Option<Timestamp>);

fn account((id, email, email_key, name, verified_at): Row) -> Account {
    Account {
        id,
        email: EmailAddress::from_stored(email, email_key),
        name,
        verified_at,
    }
}

/// The columns of a [`Row`].
const COLUMNS: (
    accounts::id,
    accounts::email,
    accounts::email_key,
    accounts::name,
    accounts::verified_at,
) = (
    accounts::id,
    accounts::email,
    accounts::email_key,
    accounts::name,
    accounts::verified_at,
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
        .get_result::<Row>(conn)
        .optional()?;
    Ok(row.map(account))
}

/// The id and password hash of the account with this address.
pub fn credentials(conn: &mut Conn, email: &EmailAddress) -> Result<Option<(AccountId, String)>> {
    Ok(accounts::table
        .filter(accounts::email_key.eq(email.key()))
        .select((accounts::id, accounts::password_hash))
        .get_result(conn)
        .optional()?)
}

/// Whether there is any account: the very first visitor may always sign up (R-ORG-5).
pub fn any(conn: &mut Conn) -> Result<bool> {
    Ok(
        diesel::select(diesel::dsl::exists(accounts::table.select(accounts::id)))
            .get_result(conn)?,
    )
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
    .execute(conn)?;
    Ok(changed == 1)
}
