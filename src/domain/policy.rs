//! Who may do what (R-ROLE-2): the one table behind every check, every button and the Roles page.

use super::role::Role::{self, Admin, Member, Owner, Viewer};

/// Something a member may or may not do in an organization.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Permission {
    /// Open the organization, see one's own role and who its owners and admins are.
    OpenOrganization,
    /// See the names and roles of the members.
    SeeMembers,
    /// See every column of the members list: address, joined, last active.
    SeeMemberDetails,
    /// See invitations, pending and past.
    SeeInvitations,
    /// Invite people.
    InviteMember,
    /// Send an invitation again.
    ResendInvitation,
    /// Copy the link of an invitation.
    CopyInvitationLink,
    /// Change the role of a pending invitation.
    ChangeInvitationRole,
    /// Revoke a pending invitation.
    RevokeInvitation,
    /// Change the role of an Admin, Member or Viewer.
    ChangeRole,
    /// Remove an Admin, Member or Viewer.
    RemoveMember,
    /// Change the role of, or remove, an Owner; make someone Owner.
    ManageOwners,
    /// Hand ownership over.
    TransferOwnership,
    /// Rename the organization and edit its general settings.
    EditSettings,
    /// See, filter and export the audit log.
    SeeAuditLog,
    /// See and export who has not been active, and which invitations are unused.
    ReviewAccess,
    /// Delete the organization.
    DeleteOrganization,
    /// Leave the organization. Whether the last Owner may is a rule about people, not about roles: see [`super::membership`].
    Leave,
}

use Permission::*;

/// The role is too low (R-ROLE-3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Denied {
    /// The role the member has.
    pub role: Role,
    /// What they tried.
    pub permission: Permission,
}

impl Permission {
    /// Every permission, in the order of the Roles page.
    pub const ALL: [Self; 18] = [
        OpenOrganization,
        SeeMembers,
        SeeMemberDetails,
        SeeInvitations,
        InviteMember,
        ResendInvitation,
        CopyInvitationLink,
        ChangeInvitationRole,
        RevokeInvitation,
        ChangeRole,
        RemoveMember,
        ManageOwners,
        TransferOwnership,
        EditSettings,
        SeeAuditLog,
        ReviewAccess,
        DeleteOrganization,
        Leave,
    ];

    /// The row's name on the Roles page, and the end of "Only owners can …".
    pub const fn label(self) -> &'static str {
        match self {
            OpenOrganization => "open the organization",
            SeeMembers => "see who the members are",
            SeeMemberDetails => "see members' addresses and activity",
            SeeInvitations => "see invitations",
            InviteMember => "invite people",
            ResendInvitation => "resend invitations",
            CopyInvitationLink => "copy invitation links",
            ChangeInvitationRole => "change the role of an invitation",
            RevokeInvitation => "revoke invitations",
            ChangeRole => "change the role of members",
            RemoveMember => "remove members",
            ManageOwners => "change the role of owners, remove them, or make someone owner",
            TransferOwnership => "transfer ownership",
            EditSettings => "rename the organization and edit its settings",
            SeeAuditLog => "see the audit log",
            ReviewAccess => "review access",
            DeleteOrganization => "delete the organization",
            Leave => "leave the organization",
        }
    }

    /// The stable word in logs and API answers.
    pub const fn code(self) -> &'static str {
        match self {
            OpenOrganization => "open_organization",
            SeeMembers => "see_members",
            SeeMemberDetails => "see_member_details",
            SeeInvitations => "see_invitations",
            InviteMember => "invite",
            ResendInvitation => "resend",
            CopyInvitationLink => "copy_link",
            ChangeInvitationRole => "change_invitation_role",
            RevokeInvitation => "revoke",
            ChangeRole => "change_role",
            RemoveMember => "remove",
            ManageOwners => "manage_owners",
            TransferOwnership => "transfer_ownership",
            EditSettings => "edit_settings",
            SeeAuditLog => "see_audit_log",
            ReviewAccess => "review_access",
            DeleteOrganization => "delete_organization",
            Leave => "leave",
        }
    }
}

/// Who may do what. No default arm: a new permission must be ruled here.
pub const fn allows(role: Role, permission: Permission) -> bool {
    match permission {
        OpenOrganization | Leave => true,
        SeeMembers => matches!(role, Owner | Admin | Member),
        SeeMemberDetails | SeeInvitations | InviteMember | ResendInvitation
        | CopyInvitationLink | ChangeInvitationRole | RevokeInvitation | ChangeRole
        | RemoveMember | EditSettings | SeeAuditLog | ReviewAccess => {
            matches!(role, Owner | Admin)
        }
        ManageOwners | TransferOwnership | DeleteOrganization => matches!(role, Owner),
    }
}

/// [`allows`] as a check for an action.
///
/// # Errors
/// [`Denied`] naming the permission when the role is too low; the answer is a 403 that says which roles can (R-ROLE-3).
pub fn check(role: Role, permission: Permission) -> Result<(), Denied> {
    if allows(role, permission) {
        Ok(())
    } else {
        Err(Denied { role, permission })
    }
}

/// The roles that have `permission`, most powerful first.
pub fn roles_that_can(permission: Permission) -> Vec<Role> {
    [Owner, Admin, Member, Viewer]
        .into_iter()
        .filter(|role| allows(*role, permission))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The golden table: a change of policy shows up as a change of this file in review.
    #[test]
    fn matrix() {
        let mut table = format!(
            "{:<24} {:<6} {:<6} {:<7} {}\n",
            "may", "Owner", "Admin", "Member", "Viewer"
        );
        for permission in Permission::ALL {
            let mut line = format!("{:<24}", permission.code());
            for (role, width) in Role::ALL.into_iter().zip([6, 6, 7, 6]) {
                let word = if allows(role, permission) {
                    "yes"
                } else {
                    "no"
                };
                line.push_str(&format!(" {word:<width$}"));
            }
            table.push_str(line.trim_end());
            table.push('\n');
        }
        assert_eq!(
            table,
            include_str!("policy.golden.txt"),
            "the policy and src/domain/policy.golden.txt part"
        );
    }

    /// The page for people has the same table.
    #[test]
    fn documented() {
        let page = include_str!("../../docs/roles.md");
        let mut rows = 0;
        for permission in Permission::ALL {
            let cells = Role::ALL.map(|role| {
                if allows(role, permission) {
                    "yes"
                } else {
                    "no"
                }
            });
            let row = format!("| {} | {} |\n", permission.label(), cells.join(" | "));
            assert!(page.contains(&row), "docs/roles.md has no row {row}");
            rows += 1;
        }
        let written = page.lines().filter(|line| line.starts_with("| ")).count();
        assert_eq!(written, rows + 1, "docs/roles.md has a row too many");
    }

    #[test]
    fn more_power_never_takes_a_permission_away() {
        for permission in Permission::ALL {
            for pair in Role::ALL.windows(2) {
                assert!(
                    allows(pair[0], permission) || !allows(pair[1], permission),
                    "{permission:?}"
                );
            }
        }
    }
}
