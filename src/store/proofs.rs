//! Proofs of mailboxes. Their links are derived from id and key: nothing here opens anything.

use super::{
    connection::Conn,
    error::Result,
    prepared::Prepare as _,
    schema::{accounts, proofs},
};
use crate::domain::{
    account::Account,
    email::EmailAddress,
    ids::{AccountId, ProofId},
    proof::{Proof, ProofPurpose},
    time::Timestamp,
};
use diesel::prelude::*;

type Row = (
    ProofId,
    AccountId,
    ProofPurpose,
    String,
    String,
    i32,
    Timestamp,
    Timestamp,
    Option<Timestamp>,
);

/// Adds a proof.
pub fn insert(conn: &mut Conn, new: &Proof) -> Result<()> {
    diesel::insert_into(proofs::table)
        .values((
            proofs::id.eq(new.id),
            proofs::account_id.eq(new.account),
            proofs::purpose.eq(new.purpose),
            proofs::email.eq(new.email.shown()),
            proofs::email_key.eq(new.email.key()),
            proofs::link_version.eq(new.link_version),
            proofs::created_at.eq(new.created_at),
            proofs::expires_at.eq(new.expires_at),
        ))
        .prepared()
        .execute(conn)?;
    Ok(())
}

/// The proof of an id.
pub fn find(conn: &mut Conn, id: ProofId) -> Result<Option<Proof>> {
    let row = proofs::table
        .filter(proofs::id.eq(id))
        .select((
            proofs::id,
            proofs::account_id,
            proofs::purpose,
            proofs::email,
            proofs::email_key,
            proofs::link_version,
            proofs::created_at,
            proofs::expires_at,
            proofs::closed_at,
        ))
        .prepared()
        .get_result::<Row>(conn)
        .optional()?;
    Ok(row.map(
        |(id, account, purpose, email, key, link_version, created_at, expires_at, closed_at)| {
            Proof {
                id,
                account,
                purpose,
                email: EmailAddress::from_stored(email, key),
                link_version,
                created_at,
                expires_at,
                closed_at,
            }
        },
    ))
}

/// The proof that a link names: made for this purpose, with that version of the key. None of an account that is gone.
pub fn find_by_link(
    conn: &mut Conn,
    purpose: ProofPurpose,
    id: ProofId,
    link_version: i32,
) -> Result<Option<(Proof, Account)>> {
    let named = |proof: &Proof| proof.purpose == purpose && proof.link_version == link_version;
    let Some(proof) = find(conn, id)?.filter(named) else {
        return Ok(None);
    };
    let account = accounts::table
        .filter(accounts::id.eq(proof.account))
        .filter(accounts::deleted_at.is_null())
        .select(super::accounts::COLUMNS)
        .prepared()
        .get_result::<super::accounts::Row>(conn)
        .optional()?;
    Ok(account.map(|row| (proof, super::accounts::account(row))))
}

/// The address whose confirmation an account waits for: its own, or the one it is to get. None when no link is good.
pub fn awaited(
    conn: &mut Conn,
    account: AccountId,
    now: Timestamp,
) -> Result<Option<(EmailAddress, Timestamp)>> {
    let row = proofs::table
        .filter(proofs::account_id.eq(account))
        .filter(proofs::purpose.eq(ProofPurpose::VerifyEmail))
        .filter(proofs::closed_at.is_null())
        .filter(proofs::expires_at.gt(now))
        // Ids grow with time.
        .order(proofs::id.desc())
        .limit(1)
        .select((proofs::email, proofs::email_key, proofs::expires_at))
        .prepared()
        .get_result::<(String, String, Timestamp)>(conn)
        .optional()?;
    Ok(row.map(|(email, key, until)| (EmailAddress::from_stored(email, key), until)))
}

/// When this account last had such a letter sent to this address.
pub fn last_asked(
    conn: &mut Conn,
    account: AccountId,
    purpose: ProofPurpose,
    email: &EmailAddress,
) -> Result<Option<Timestamp>> {
    Ok(proofs::table
        .filter(proofs::account_id.eq(account))
        .filter(proofs::purpose.eq(purpose))
        .filter(proofs::email_key.eq(email.key()))
        .select(diesel::dsl::max(proofs::created_at))
        .prepared()
        .get_result(conn)?)
}

/// Uses a proof up. Of many clicks at once one gets it: `false` for the others.
pub fn close(conn: &mut Conn, id: ProofId, now: Timestamp) -> Result<bool> {
    let changed = diesel::update(
        proofs::table
            .filter(proofs::id.eq(id))
            .filter(proofs::closed_at.is_null()),
    )
    .set(proofs::closed_at.eq(now))
    .prepared()
    .execute(conn)?;
    Ok(changed == 1)
}

/// Ends every open proof of an account with this purpose: only the newest link works.
pub fn close_all(
    conn: &mut Conn,
    account: AccountId,
    purpose: ProofPurpose,
    now: Timestamp,
) -> Result<()> {
    diesel::update(
        proofs::table
            .filter(proofs::account_id.eq(account))
            .filter(proofs::purpose.eq(purpose))
            .filter(proofs::closed_at.is_null()),
    )
    .set(proofs::closed_at.eq(now))
    .prepared()
    .execute(conn)?;
    Ok(())
}

/// Forgets every proof of an account.
pub fn delete_of(conn: &mut Conn, account: AccountId) -> Result<()> {
    diesel::delete(proofs::table.filter(proofs::account_id.eq(account))).execute(conn)?;
    Ok(())
}

/// Ends every open proof of an account for another mailbox than `email`: a change of address that was asked for.
pub fn close_elsewhere(
    conn: &mut Conn,
    account: AccountId,
    email: &EmailAddress,
    now: Timestamp,
) -> Result<()> {
    diesel::update(
        proofs::table
            .filter(proofs::account_id.eq(account))
            .filter(proofs::email_key.ne(email.key()))
            .filter(proofs::closed_at.is_null()),
    )
    .set(proofs::closed_at.eq(now))
    .prepared()
    .execute(conn)?;
    Ok(())
}

/// Forgets proofs that expired before `before`, at most `most`, and answers how many.
pub fn delete_before(conn: &mut Conn, before: Timestamp, most: i64) -> Result<usize> {
    let old = proofs::table
        .filter(proofs::expires_at.lt(before))
        .order(proofs::expires_at.asc())
        .limit(most)
        .select(proofs::id)
        .load::<ProofId>(conn)?;
    Ok(diesel::delete(proofs::table.filter(proofs::id.eq_any(old))).execute(conn)?)
}

/// Ends every open proof of everybody, and answers how many.
pub fn close_every(conn: &mut Conn, now: Timestamp) -> Result<usize> {
    Ok(
        diesel::update(proofs::table.filter(proofs::closed_at.is_null()))
            .set(proofs::closed_at.eq(now))
            .execute(conn)?,
    )
}
