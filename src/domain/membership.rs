//! A membership: an account in an organization, with a role; and the rules about two members, or the last one.
//!
//! The policy says what a role may do; these functions say what may be done to whom. They get the facts as arguments.

use super::{
    ids::{AccountId, OrganizationId},
    policy::Permission,
    refusal::Refusal,
    role::Role,
    time::Timestamp,
};

/// An account in an organization, with a role.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Membership {
    /// The organization.
    pub organization: OrganizationId,
    /// The account.
    pub account: AccountId,
    /// Its role.
    pub role: Role,
    /// When the account joined.
    pub joined_at: Timestamp,
}

/// What changing a role from one to another takes (R-ROLE-2).
pub const fn permission_to_change(from: Role, to: Role) -> Permission {
    match (from, to) {
        (Role::Owner, _) | (_, Role::Owner) => Permission::ManageOwners,
        _ => Permission::ChangeRole,
    }
}

/// What removing a member of this role takes (R-ROLE-2).
pub const fn permission_to_remove(role: Role) -> Permission {
    match role {
        Role::Owner => Permission::ManageOwners,
        Role::Admin | Role::Member | Role::Viewer => Permission::RemoveMember,
    }
}

/// Changing the role of `whom`, in an organization with so many Owners.
///
/// # Errors
/// [`Refusal::OwnMembership`] (R-ROLE-4), [`Refusal::LastOwner`] (R-ROLE-5).
pub fn change_role(by: AccountId, whom: &Membership, to: Role, owners: i64) -> Result<(), Refusal> {
    if by == whom.account {
        return Err(Refusal::OwnMembership);
    }
    keep_an_owner(whom.role, Some(to), owners)
}

/// Removing `whom`.
///
/// # Errors
/// As [`change_role`].
pub fn remove(by: AccountId, whom: &Membership, owners: i64) -> Result<(), Refusal> {
    if by == whom.account {
        return Err(Refusal::OwnMembership);
    }
    keep_an_owner(whom.role, None, owners)
}

/// Leaving, as a member of this role.
///
/// # Errors
/// [`Refusal::LastOwner`] (R-MEM-3).
pub fn leave(role: Role, owners: i64) -> Result<(), Refusal> {
    keep_an_owner(role, None, owners)
}

/// What becomes of an organization whose member deletes their account (R-ORG-4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Farewell {
    /// It goes on without them.
    Leave,
    /// They were alone in it: it ends with them.
    Close,
}

/// Deleting one's account, as a member of this role, in an organization with so many Owners and members.
///
/// # Errors
/// [`Refusal::LastOwner`]: the others would be left without an Owner (R-ROLE-5).
pub fn farewell(role: Role, owners: i64, members: i32) -> Result<Farewell, Refusal> {
    match leave(role, owners) {
        Ok(()) => Ok(Farewell::Leave),
        Err(_) if members <= 1 => Ok(Farewell::Close),
        Err(refusal) => Err(refusal),
    }
}

/// Handing ownership to `whom`.
///
/// # Errors
/// [`Refusal::OwnMembership`]: there is nothing to hand over to oneself.
pub fn transfer_ownership(by: AccountId, whom: &Membership) -> Result<(), Refusal> {
    if by == whom.account {
        Err(Refusal::OwnMembership)
    } else {
        Ok(())
    }
}

/// Whether invitations with the role Admin that somebody sent end when they get this role (R-INV-15). They end as well
/// when somebody goes.
pub const fn loses_admin_invitations(to: Role) -> bool {
    matches!(to, Role::Member | Role::Viewer)
}

/// An organization always has at least one Owner (R-ROLE-5).
const fn keep_an_owner(from: Role, to: Option<Role>, owners: i64) -> Result<(), Refusal> {
    let stays = matches!(to, Some(Role::Owner));
    if matches!(from, Role::Owner) && !stays && owners <= 1 {
        Err(Refusal::LastOwner)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const ME: AccountId = AccountId(Uuid::from_u128(1));

    fn member(account: u128, role: Role) -> Membership {
        Membership {
            organization: OrganizationId(Uuid::nil()),
            account: AccountId(Uuid::from_u128(account)),
            role,
            joined_at: Timestamp::from_micros(0),
        }
    }

    #[test]
    fn nobody_changes_or_removes_themselves() {
        for role in Role::ALL {
            for to in Role::ALL {
                let refused = change_role(ME, &member(1, role), to, 9);
                assert_eq!(refused, Err(Refusal::OwnMembership), "{role} to {to}");
            }
            assert_eq!(remove(ME, &member(1, role), 9), Err(Refusal::OwnMembership));
            assert_eq!(
                transfer_ownership(ME, &member(1, role)),
                Err(Refusal::OwnMembership)
            );
            assert_eq!(transfer_ownership(ME, &member(2, role)), Ok(()));
        }
    }

    #[test]
    fn an_owner_always_remains() {
        for to in [Role::Admin, Role::Member, Role::Viewer] {
            assert_eq!(
                change_role(ME, &member(2, Role::Owner), to, 1),
                Err(Refusal::LastOwner)
            );
            assert_eq!(change_role(ME, &member(2, Role::Owner), to, 2), Ok(()));
            assert_eq!(leave(to, 1), Ok(()));
        }
        assert_eq!(
            change_role(ME, &member(2, Role::Owner), Role::Owner, 1),
            Ok(())
        );
        assert_eq!(
            remove(ME, &member(2, Role::Owner), 1),
            Err(Refusal::LastOwner)
        );
        assert_eq!(leave(Role::Owner, 1), Err(Refusal::LastOwner));
        assert_eq!(leave(Role::Owner, 2), Ok(()));
    }

    #[test]
    fn an_account_goes_unless_others_would_be_left_without_an_owner() {
        assert_eq!(farewell(Role::Owner, 1, 1), Ok(Farewell::Close));
        assert_eq!(farewell(Role::Owner, 1, 2), Err(Refusal::LastOwner));
        assert_eq!(farewell(Role::Owner, 2, 2), Ok(Farewell::Leave));
        for role in [Role::Admin, Role::Member, Role::Viewer] {
            assert_eq!(farewell(role, 1, 2), Ok(Farewell::Leave));
        }
    }

    #[test]
    fn only_what_touches_owners_takes_an_owner() {
        for from in Role::ALL {
            for to in Role::ALL {
                let owners = from == Role::Owner || to == Role::Owner;
                let expected = if owners {
                    Permission::ManageOwners
                } else {
                    Permission::ChangeRole
                };
                assert_eq!(permission_to_change(from, to), expected);
            }
            assert_eq!(
                permission_to_remove(from) == Permission::ManageOwners,
                from == Role::Owner
            );
        }
    }

    #[test]
    fn admin_invitations_end_below_admin() {
        assert!(loses_admin_invitations(Role::Member));
        assert!(loses_admin_invitations(Role::Viewer));
        assert!(!loses_admin_invitations(Role::Admin));
        assert!(!loses_admin_invitations(Role::Owner));
    }
}
