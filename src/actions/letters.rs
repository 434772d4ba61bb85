//! Which letters a person wants (R-ACC-11).

use super::{Actor, Failure, Run};
use crate::{domain::notification::NotificationKind, store};

/// Chooses of what the person is told by mail. What tells of a stolen account is not theirs to switch off.
///
/// # Errors
/// Only the store's.
pub fn choose(
    run: &mut Run<'_>,
    actor: &Actor,
    wanted: &[NotificationKind],
) -> Result<(), Failure> {
    let muted: Vec<_> = NotificationKind::ALL
        .into_iter()
        .filter(|kind| kind.can_be_muted() && !wanted.contains(kind))
        .collect();
    Ok(store::notifications::set_muted(
        run.db,
        actor.account().id,
        &muted,
    )?)
}
