//! What a restored past must not do again: it is settled once, before anybody is served from it.

use super::Failure;
use crate::{
    domain::{delivery::RESTORED, invitation::REMIND_BEFORE, time::Timestamp},
    store::{self, Conn},
};

/// What was settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settled {
    /// Sessions that were ended.
    pub sessions: usize,
    /// Open links to confirm an address or choose a password that were ended.
    pub proofs: usize,
    /// Letters that waited, and are unknown now.
    pub letters: usize,
}

/// Settles a restored database. Sessions end, as some of them were signed out after the backup. Links of proofs end, as
/// some of them were used. Letters that waited may have been sent: they become *unknown* and are not sent again (I8).
/// For the same reason nobody is reminded, or told of a lapse, whose moment had come by now.
///
/// # Errors
/// Only the store's.
pub fn settle(db: &mut Conn, now: Timestamp) -> Result<Settled, Failure> {
    store::invitations::settle_reminders(db, now.plus(REMIND_BEFORE), now)?;
    Ok(Settled {
        sessions: store::sessions::delete_every(db)?,
        proofs: store::proofs::close_every(db, now)?,
        letters: store::deliveries::end_as_unknown(db, RESTORED, now)?,
    })
}
