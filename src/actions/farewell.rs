//! Deleting one's account (R-ORG-4). The row stays, without the person: history points to it.

use super::{Actor, Failure, Run, members, organizations};
use crate::{
    domain::{
        audit::{Event, Verb},
        membership::{Farewell, farewell},
        refusal::Refusal,
    },
    store,
};

/// Deletes the account: its memberships end, and with them every organization it is alone in. The password was verified
/// before.
///
/// # Errors
/// [`Refusal::OnlyOwnerOf`] organizations with other members.
pub fn delete_account(run: &mut Run<'_>, actor: &Actor) -> Result<(), Failure> {
    let account = actor.account().id;
    let (_, organizations) = run.lock_person(account)?;
    let mut ends = Vec::with_capacity(organizations.len());
    let mut owned = Vec::new();
    for organization in organizations {
        let membership = store::memberships::find(run.db, organization.id, account)?
            .ok_or(Failure::SignedOut)?;
        let owners = store::memberships::count_owners(run.db, organization.id)?;
        match farewell(membership.role, owners, organization.member_count) {
            Ok(end) => ends.push((organization, membership, end)),
            Err(_) => owned.push(organization.name),
        }
    }
    if !owned.is_empty() {
        owned.sort_unstable();
        return Err(Refusal::OnlyOwnerOf(owned).into());
    }
    for (organization, membership, end) in &ends {
        match end {
            Farewell::Close => organizations::close(run, organization, actor)?,
            Farewell::Leave => {
                members::end(run, organization, membership, actor)?;
                let event = Event::on(Verb::Leave, actor.account()).was(membership.role.as_str());
                run.record(
                    organization.id,
                    Some(actor.account()),
                    &actor.client,
                    &event,
                )?;
            }
        }
    }
    store::sessions::delete_others(run.db, account, None)?;
    store::notifications::delete_of(run.db, account)?;
    store::proofs::delete_of(run.db, account)?;
    store::deliveries::forget_account(run.db, account)?;
    Ok(store::accounts::set_deleted(run.db, account, run.now)?)
}
