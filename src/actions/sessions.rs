//! One's own browsers: sign one out, or all others.

use super::{Actor, Failure, Run};
use crate::{domain::ids::SessionId, store};

/// Signs one browser out, and answers whether it was this one.
///
/// # Errors
/// [`Failure::NotFound`] for an id that is no session of theirs.
pub fn sign_out_one(run: &mut Run<'_>, actor: &Actor, id: SessionId) -> Result<bool, Failure> {
    store::accounts::lock(run.db, actor.account().id)?.ok_or(Failure::SignedOut)?;
    if store::sessions::delete(run.db, (actor.account().id, id))? {
        Ok(id == actor.session.id)
    } else {
        Err(Failure::NotFound)
    }
}

/// Signs every browser out but this one.
///
/// # Errors
/// Only the store's.
pub fn sign_out_others(run: &mut Run<'_>, actor: &Actor) -> Result<(), Failure> {
    let (account, keep) = (actor.account().id, actor.session.id);
    store::accounts::lock(run.db, account)?.ok_or(Failure::SignedOut)?;
    Ok(store::sessions::delete_others(run.db, account, Some(keep))?)
}
