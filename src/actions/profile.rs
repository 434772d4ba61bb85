//! One's own account: its name, its picture, its password (R-ORG-4).

use super::{Actor, Failure, Run};
use crate::{
    domain::{
        account::Account,
        ids::AvatarId,
        notification::{Notification, NotificationKind},
        proof::ProofPurpose,
        text::PersonName,
    },
    store,
    token::SessionToken,
};

/// Takes another display name. Members lists sort and find them by it from now on; the audit log keeps what they were
/// called then.
///
/// # Errors
/// Only the store's.
pub fn rename(run: &mut Run<'_>, actor: &Actor, name: &PersonName) -> Result<(), Failure> {
    let (account, _) = run.lock_person(actor.account().id)?;
    let account = Account {
        name: name.to_string(),
        ..account
    };
    store::memberships::rename(run.db, &account)?;
    Ok(store::accounts::set_name(
        run.db,
        account.id,
        &account.name,
    )?)
}

/// Takes a picture: a PNG that [`crate::picture`] drew. It gets an id of its own, so that browsers may keep it for ever.
///
/// # Errors
/// Only the store's.
pub fn set_avatar(run: &mut Run<'_>, actor: &Actor, png: &[u8]) -> Result<(), Failure> {
    let id = AvatarId(run.uuid());
    store::accounts::lock(run.db, actor.account().id)?.ok_or(Failure::SignedOut)?;
    Ok(store::avatars::insert(
        run.db,
        actor.account().id,
        id,
        png,
        run.now,
    )?)
}

/// Takes the picture away; the initials are drawn again.
///
/// # Errors
/// Only the store's.
pub fn remove_avatar(run: &mut Run<'_>, actor: &Actor) -> Result<(), Failure> {
    Ok(store::avatars::remove_all(run.db, actor.account().id)?)
}

/// Takes another password, after the one before was confirmed. Whoever else has got in is out: every other session
/// ends, this one's token is replaced at once, and so is every way to a new password or another address that was asked
/// for before.
///
/// # Errors
/// [`Failure::SignedOut`] when this session was ended meanwhile.
pub fn change_password(
    run: &mut Run<'_>,
    actor: &Actor,
    password_hash: &str,
) -> Result<SessionToken, Failure> {
    let account = store::accounts::lock(run.db, actor.account().id)?.ok_or(Failure::SignedOut)?;
    store::accounts::set_password(run.db, account.id, password_hash)?;
    let token = run.replace_sessions(actor)?;
    store::proofs::close_all(run.db, account.id, ProofPurpose::ResetPassword, run.now)?;
    store::proofs::close_elsewhere(run.db, account.id, &account.email, run.now)?;
    let told = Notification::new(NotificationKind::PasswordChanged);
    run.notify(account.id, &account.email, &told)?;
    Ok(token)
}
