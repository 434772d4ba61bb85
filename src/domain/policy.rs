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
    pub const ALL: [Self; 9] = [
        OpenOrganization,
        SeeMembers,
        SeeMemberDetails,
        SeeInvitations,
        InviteMember,
        ResendInvitation,
        CopyInvitationLink,
        ChangeInvitationRole,
        RevokeInvitation,
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
        }
    }
}

/// Who may do what. No default arm: a new permission must be ruled here.
pub const fn allows(role: Role, permission: Permission) -> bool {
    match permission {
        OpenOrganization => true,
        SeeMembers => matches!(role, Owner | Admin | Member),
        SeeMemberDetails | SeeInvitations | InviteMember | ResendInvitation
        | CopyInvitationLink | ChangeInvitationRole | RevokeInvitation => {
            matches!(role, Owner | Admin)
        }
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
