//! Members: change role, remove, leave, transfer ownership.

use super::{Actor, Failure, Inside, Run, organizations};
use crate::{
    domain::{
        account::Account,
        audit::{Event, Reason, Verb},
        ids::AccountId,
        membership::{self, Membership},
        notification::{Notification, NotificationKind},
        organization::Organization,
        policy::Permission,
        refusal::Refusal,
        role::Role,
        text::OrganizationName,
    },
    store::{self, audit_events::Changed},
};

/// Changes a member's role. `before` is the role the form was made for.
///
/// # Errors
/// [`Refusal::OwnMembership`], [`Refusal::LastOwner`], [`Refusal::StaleRole`] when somebody else changed it meanwhile.
pub fn change_role(
    run: &mut Run<'_>,
    actor: &Actor,
    organization: &str,
    whom: AccountId,
    before: Role,
    after: Role,
) -> Result<Account, Failure> {
    let by = run.enter(actor, organization)?;
    by.check(Permission::ChangeRole)?;
    let (account, found) = find(run, &by, whom)?;
    if found.role != before && found.role != after {
        return Err(stale(run, &found)?);
    }
    by.check(membership::permission_to_change(found.role, after))?;
    let owners = store::memberships::count_owners(run.db, by.organization.id)?;
    membership::change_role(by.account(), &found, after, owners)?;
    if found.role == after {
        // The second click of a double click, or somebody had the same idea.
        return Ok(account);
    }
    store::memberships::set_role(run.db, &found, after)?;
    if membership::loses_admin_invitations(after) {
        revoke_admin_invitations(run, &by.organization, whom, actor)?;
    }
    by.record(
        run,
        &Event::on(Verb::ChangeRole, &account).from_to(found.role.as_str(), after.as_str()),
    )?;
    let told = Notification::new(NotificationKind::RoleChanged)
        .of(&by.organization)
        .by(by.name())
        .from_to(found.role.label(), after.label());
    run.notify(account.id, &account.email, &told)?;
    Ok(account)
}

/// Removes a member: access ends with this transaction, and every session of theirs with it (R-MEM-2). `before` is the
/// role the form was made for.
///
/// # Errors
/// [`Refusal::OwnMembership`], [`Refusal::LastOwner`], [`Refusal::StaleRole`].
pub fn remove(
    run: &mut Run<'_>,
    actor: &Actor,
    organization: &str,
    whom: AccountId,
    before: Role,
) -> Result<Account, Failure> {
    let by = run.enter(actor, organization)?;
    by.check(Permission::RemoveMember)?;
    let (account, found) = find(run, &by, whom)?;
    if found.role != before {
        return Err(stale(run, &found)?);
    }
    by.check(membership::permission_to_remove(found.role))?;
    let owners = store::memberships::count_owners(run.db, by.organization.id)?;
    membership::remove(by.account(), &found, owners)?;
    end(run, &by.organization, &found, actor)?;
    store::sessions::delete_others(run.db, account.id, None)?;
    by.record(
        run,
        &Event::on(Verb::Remove, &account).was(found.role.as_str()),
    )?;
    let told = Notification::new(NotificationKind::Removed)
        .of(&by.organization)
        .by(by.name());
    run.notify(account.id, &account.email, &told)?;
    Ok(account)
}

/// Where somebody is who has left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Left {
    /// What they left, by name.
    pub organization: String,
    /// Another organization of theirs: its part of the address and its name.
    pub next: (String, String),
    /// Whether that one was made for them just now (R-ORG-2).
    pub personal: bool,
}

/// Leaves the organization. Whoever leaves their last one gets a personal one (R-MEM-3, R-ORG-2).
///
/// # Errors
/// [`Refusal::LastOwner`].
pub fn leave(run: &mut Run<'_>, actor: &Actor, organization: &str) -> Result<Left, Failure> {
    let by = run.enter(actor, organization)?;
    by.check(Permission::Leave)?;
    // Two of them left at once must not each take the other for the one that is left.
    store::accounts::lock(run.db, by.account())?.ok_or(Failure::SignedOut)?;
    let owners = store::memberships::count_owners(run.db, by.organization.id)?;
    membership::leave(by.membership.role, owners)?;
    end(run, &by.organization, &by.membership, actor)?;
    store::sessions::forget_organization(run.db, by.account(), by.organization.id)?;
    by.record(
        run,
        &Event::on(Verb::Leave, actor.account()).was(by.membership.role.as_str()),
    )?;
    let other = store::memberships::first_other(run.db, by.account(), by.organization.id)?;
    let personal = other.is_none();
    let next = match other {
        Some(next) => next,
        None => {
            let name = personal_name(actor.account())?;
            let made = organizations::found(run, &actor.client, actor.account(), &name)?;
            (made.slug, made.name)
        }
    };
    Ok(Left {
        organization: by.organization.name,
        next,
        personal,
    })
}

/// "Grace Hopper's organization", within the length of a name.
fn personal_name(account: &Account) -> Result<OrganizationName, Failure> {
    let room = OrganizationName::LONGEST.saturating_sub("'s organization".len());
    let short: String = account.name.chars().take(room).collect();
    OrganizationName::parse(&format!("{}'s organization", short.trim_end()))
        .map_err(|fault| Failure::Broken(format!("no name for a personal organization: {fault}")))
}

/// Makes a member Owner and the actor Admin, in one transaction (R-ROLE-7). `typed` is what the actor typed to confirm;
/// the password was verified before.
///
/// # Errors
/// [`Refusal::SlugDiffers`], [`Refusal::OwnMembership`].
pub fn transfer_ownership(
    run: &mut Run<'_>,
    actor: &Actor,
    organization: &str,
    typed: &str,
    whom: AccountId,
) -> Result<Account, Failure> {
    let by = run.enter(actor, organization)?;
    by.check(Permission::TransferOwnership)?;
    by.organization.confirmed_by(typed)?;
    let (account, found) = find(run, &by, whom)?;
    membership::transfer_ownership(by.account(), &found)?;
    store::memberships::set_role(run.db, &found, Role::Owner)?;
    store::memberships::set_role(run.db, &by.membership, Role::Admin)?;
    by.record(
        run,
        &Event::on(Verb::TransferOwnership, &account)
            .from_to(found.role.as_str(), Role::Owner.as_str()),
    )?;
    by.record(
        run,
        &Event::on(Verb::ChangeRole, actor.account())
            .from_to(Role::Owner.as_str(), Role::Admin.as_str()),
    )?;
    let told = Notification::new(NotificationKind::OwnershipTransferred)
        .of(&by.organization)
        .by(by.name())
        .on(&account.name);
    run.notify(
        account.id,
        &account.email,
        &told.clone().now(Role::Owner.label()),
    )?;
    run.notify(
        by.account(),
        &actor.account().email,
        &told.now(Role::Admin.label()),
    )?;
    Ok(account)
}

/// Who a page or form is about. Ids of people elsewhere are ids of nobody (R-ORG-1).
fn find(
    run: &mut Run<'_>,
    by: &Inside<'_>,
    whom: AccountId,
) -> Result<(Account, Membership), Failure> {
    let found = store::memberships::find(run.db, by.organization.id, whom)?;
    let found = found.ok_or(Failure::NotFound)?;
    let account = store::accounts::lock(run.db, whom)?.ok_or(Failure::NotFound)?;
    Ok((account, found))
}

fn stale(run: &mut Run<'_>, found: &Membership) -> Result<Failure, Failure> {
    let who = Changed::Member(found.account);
    let verbs = [Verb::ChangeRole, Verb::TransferOwnership];
    let by = store::audit_events::last_actor(run.db, found.organization, who, &verbs)?;
    let now = found.role;
    Ok(Refusal::StaleRole { now, by }.into())
}

/// Ends a membership: the row, the total, and what must not outlive it (R-INV-15). `by` is who does it.
pub(super) fn end(
    run: &mut Run<'_>,
    organization: &Organization,
    membership: &Membership,
    by: &Actor,
) -> Result<(), Failure> {
    if !store::memberships::delete(run.db, organization.id, membership.account)? {
        return Err(Failure::Broken(
            "a membership went under the lock".to_owned(),
        ));
    }
    store::organizations::add_members(run.db, organization.id, -1)?;
    revoke_admin_invitations(run, organization, membership.account, by)
}

/// Revokes the pending Admin invitations that somebody sent who may no longer invite (R-INV-15).
fn revoke_admin_invitations(
    run: &mut Run<'_>,
    organization: &Organization,
    inviter: AccountId,
    by: &Actor,
) -> Result<(), Failure> {
    for invitation in store::invitations::pending_admins_by(run.db, organization.id, inviter)? {
        let Ok(change) = invitation.revoke(run.now) else {
            continue;
        };
        if store::invitations::apply(run.db, &invitation, change, Some(by.account().id))? {
            let event = Event::of(Verb::Revoke, &invitation).because(Reason::InviterDemotedOrGone);
            run.record(organization.id, Some(by.account()), &by.client, &event)?;
        }
    }
    Ok(())
}
