//! Pictures of people, as Roster itself drew them.

use super::{
    connection::Conn,
    error::Result,
    prepared::Prepare as _,
    schema::{accounts, avatars},
};
use crate::domain::{
    ids::{AccountId, AvatarId},
    time::Timestamp,
};
use diesel::prelude::*;

/// Gives an account this picture; the one before is gone.
pub fn insert(
    conn: &mut Conn,
    account: AccountId,
    id: AvatarId,
    image: &[u8],
    now: Timestamp,
) -> Result<()> {
    // The account first: of two uploads at once the second waits here, and then removes what the first put in.
    set(conn, account, Some(id))?;
    delete_all(conn, account)?;
    diesel::insert_into(avatars::table)
        .values((
            avatars::id.eq(id),
            avatars::account_id.eq(account),
            avatars::image.eq(image),
            avatars::created_at.eq(now),
        ))
        .execute(conn)?;
    Ok(())
}

/// Takes an account's picture away.
pub fn remove_all(conn: &mut Conn, account: AccountId) -> Result<()> {
    set(conn, account, None)?;
    delete_all(conn, account)
}

fn set(conn: &mut Conn, account: AccountId, id: Option<AvatarId>) -> Result<()> {
    diesel::update(accounts::table.filter(accounts::id.eq(account)))
        .set(accounts::avatar_id.eq(id))
        .prepared()
        .execute(conn)?;
    Ok(())
}

fn delete_all(conn: &mut Conn, account: AccountId) -> Result<()> {
    diesel::delete(avatars::table.filter(avatars::account_id.eq(account))).execute(conn)?;
    Ok(())
}

/// Whose picture an id is, and the PNG.
pub fn find(conn: &mut Conn, id: AvatarId) -> Result<Option<(AccountId, Vec<u8>)>> {
    Ok(avatars::table
        .filter(avatars::id.eq(id))
        .select((avatars::account_id, avatars::image))
        .prepared()
        .get_result(conn)
        .optional()?)
}
