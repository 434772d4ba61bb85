//! What the program does by itself, now and then: forgetting what no longer means anything.

use super::{Failure, Run};
use crate::{
    domain::{notification, proof, quota, session},
    store,
};

/// Rows of each kind forgotten in one transaction: few enough that nobody who writes waits for it. (On SQLite, 500 of
/// each kind out of 100,000 took 40 ms of the processor, mostly for their indexes.)
const BATCH: i64 = 200;

/// Forgets sessions that have ended, limits whose window is over, old notifications and old proofs, a batch of each.
/// Answers whether there is more.
///
/// # Errors
/// Only the store's.
pub fn sweep(run: &mut Run<'_>) -> Result<bool, Failure> {
    let sessions =
        store::sessions::delete_ended(run.db, run.now, run.now.minus(session::IDLE), BATCH)?;
    let quotas =
        store::quotas::delete_before(run.db, run.now.minus(quota::LONGEST_WINDOW * 2), BATCH)?;
    let notifications =
        store::notifications::delete_before(run.db, run.now.minus(notification::KEPT_FOR), BATCH)?;
    let proofs = store::proofs::delete_before(run.db, run.now.minus(proof::KEPT_FOR), BATCH)?;
    let most = usize::try_from(BATCH).unwrap_or(usize::MAX);
    Ok(sessions >= most || quotas >= most || notifications >= most || proofs >= most)
}
