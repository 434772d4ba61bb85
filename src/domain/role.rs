//! Roles, from most to least powerful (R-ROLE-1).

use std::fmt;

/// What a member is in one organization.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// Everything, ownership and deletion included.
    Owner,
    /// Manages people and settings, never owners.
    Admin,
    /// Uses the organization.
    Member,
    /// Looks only.
    Viewer,
}

impl Role {
    /// Every role, in the order screens show them.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Admin, Self::Member, Self::Viewer];

    /// The stored word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Viewer => "viewer",
        }
    }

    /// Reads the stored word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// The word on screens and in letters.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Owner => "Owner",
            Self::Admin => "Admin",
            Self::Member => "Member",
            Self::Viewer => "Viewer",
        }
    }

    /// What the role means, in a sentence or two for people.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Owner => "Can do everything, also manage owners and delete the organization.",
            Self::Admin => {
                "Can invite and remove people, change roles and settings. Can't manage owners or delete the organization."
            }
            Self::Member => {
                "Can use everything in the organization. Can't manage people or settings."
            }
            Self::Viewer => "Can look, but not change anything.",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// A role an invitation can carry. Owner cannot be expressed (R-INV-1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum InvitableRole {
    /// See [`Role::Admin`].
    Admin,
    /// See [`Role::Member`].
    Member,
    /// See [`Role::Viewer`].
    Viewer,
}

impl InvitableRole {
    /// Every role that can be invited, in the order of the form.
    pub const ALL: [Self; 3] = [Self::Admin, Self::Member, Self::Viewer];

    /// The role a member gets by accepting.
    pub const fn role(self) -> Role {
        match self {
            Self::Admin => Role::Admin,
            Self::Member => Role::Member,
            Self::Viewer => Role::Viewer,
        }
    }

    /// The stored word.
    pub const fn as_str(self) -> &'static str {
        self.role().as_str()
    }

    /// Reads the stored word; "owner" is not one.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// The word on screens and in letters.
    pub const fn label(self) -> &'static str {
        self.role().label()
    }

    /// What the role means.
    pub const fn describe(self) -> &'static str {
        self.role().describe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_cannot_be_invited() {
        assert_eq!(InvitableRole::parse("owner"), None);
        assert_eq!(InvitableRole::parse("Owner"), None);
        for role in InvitableRole::ALL {
            assert_eq!(InvitableRole::parse(role.as_str()), Some(role));
        }
    }
}
