//! Accepting the current versions of the legal documents (R-ACC-9): when joining, when signing up, after signing in.

use super::{Actor, Failure, Run};
use crate::{
    domain::{
        consent::{Consent, LegalDocument},
        ids::AccountId,
        refusal::Refusal,
        time::Timestamp,
    },
    store,
};

/// The current documents an account has yet to accept.
fn missing(run: &mut Run<'_>, account: AccountId) -> Result<Vec<LegalDocument>, Failure> {
    let current = &run.means.rules.legal;
    Ok(store::consents::missing(run.db, account, current)?)
}

/// Since when a new session of this account waits for a consent: from now on, or not at all.
pub(super) fn due(run: &mut Run<'_>, account: AccountId) -> Result<Option<Timestamp>, Failure> {
    Ok((!missing(run, account)?.is_empty()).then_some(run.now))
}

/// Goes on only if everything current is accepted, before or with this form, and keeps what this form brought.
///
/// # Errors
/// [`Refusal::ConsentMissing`].
pub(super) fn require(
    run: &mut Run<'_>,
    account: AccountId,
    given: &Consent,
) -> Result<(), Failure> {
    let missing = missing(run, account)?;
    if missing.is_empty() {
        return Ok(());
    }
    if !given.covers(&missing) {
        return Err(Refusal::ConsentMissing.into());
    }
    store::consents::insert(run.db, account, &missing, run.now)?;
    // It is the person who accepts, so none of their browsers has to ask any more.
    Ok(store::sessions::set_consented(run.db, account)?)
}

/// Accepts what the consent page shows; the session goes on.
///
/// # Errors
/// [`Refusal::ConsentMissing`] when the box was not ticked, or a newer version came meanwhile.
pub fn accept(run: &mut Run<'_>, actor: &Actor, given: &Consent) -> Result<(), Failure> {
    let account = actor.account().id;
    require(run, account, given)?;
    // Nothing may be missing any more: accepted elsewhere meanwhile, or taken back by the operator.
    Ok(store::sessions::set_consented(run.db, account)?)
}
