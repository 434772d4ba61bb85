//! What happened to a person: marking it as read.

use super::{Actor, Failure, Run};
use crate::{domain::ids::NotificationId, store};

/// Marks everything the actor was told up to `until` as read.
///
/// # Errors
/// Only the store's.
pub fn read(run: &mut Run<'_>, actor: &Actor, until: NotificationId) -> Result<(), Failure> {
    store::notifications::set_read(run.db, actor.account().id, until, run.now)?;
    Ok(())
}
