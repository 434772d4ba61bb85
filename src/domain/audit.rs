//! The audit log: what happened, in the words of the verbs (R-AUD-1).

use super::{
    account::Account,
    ids::{AccountId, InvitationId},
    invitation::Invitation,
    role::Role,
};

/// What happened. The verb is the one in URL, handler, action and test.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verb {
    /// An organization was founded; the founder became its Owner.
    Found,
    /// Somebody was invited.
    Invite,
    /// A pending invitation was sent again, or an expired one replaced by this one.
    Resend,
    /// A link was shown to somebody other than its mailbox.
    CopyLink,
    /// The role of a pending invitation was changed.
    ChangeInvitationRole,
    /// An invitation was withdrawn.
    Revoke,
    /// An expired invitation gave way to a newer one.
    Supersede,
    /// An invitation was accepted; the actor joined.
    Accept,
    /// An invitation was rejected.
    Reject,
    /// The holder of an expired link asked for a new invitation.
    AskAgain,
    /// A member's role was changed.
    ChangeRole,
    /// A member was removed.
    Remove,
    /// A member left, or deleted their account.
    Leave,
    /// An Owner made a member Owner in their own place.
    TransferOwnership,
    /// The organization got another name.
    Rename,
    /// Members are led to another address than before.
    SetApplicationUrl,
    /// The organization was deleted.
    DeleteOrganization,
}

impl Verb {
    /// Every verb, in the order of the filter.
    pub const ALL: [Self; 17] = [
        Self::Found,
        Self::Invite,
        Self::Resend,
        Self::CopyLink,
        Self::ChangeInvitationRole,
        Self::Revoke,
        Self::Supersede,
        Self::Accept,
        Self::Reject,
        Self::AskAgain,
        Self::ChangeRole,
        Self::Remove,
        Self::Leave,
        Self::TransferOwnership,
        Self::Rename,
        Self::SetApplicationUrl,
        Self::DeleteOrganization,
    ];

    /// The stored word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Invite => "invite",
            Self::Resend => "resend",
            Self::CopyLink => "copy_link",
            Self::ChangeInvitationRole => "change_invitation_role",
            Self::Revoke => "revoke",
            Self::Supersede => "supersede",
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::AskAgain => "ask_again",
            Self::ChangeRole => "change_role",
            Self::Remove => "remove",
            Self::Leave => "leave",
            Self::TransferOwnership => "transfer_ownership",
            Self::Rename => "rename",
            Self::SetApplicationUrl => "set_application_url",
            Self::DeleteOrganization => "delete_organization",
        }
    }

    /// Reads the stored word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == text)
    }

    /// What it is called on the audit page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Found => "Created the organization",
            Self::Invite => "Invited",
            Self::Resend => "Resent an invitation",
            Self::CopyLink => "Copied an invitation link",
            Self::ChangeInvitationRole => "Changed the role of an invitation",
            Self::Revoke => "Revoked an invitation",
            Self::Supersede => "Replaced an expired invitation",
            Self::Accept => "Accepted an invitation",
            Self::Reject => "Rejected an invitation",
            Self::AskAgain => "Asked for a new invitation",
            Self::ChangeRole => "Changed a role",
            Self::Remove => "Removed a member",
            Self::Leave => "Left",
            Self::TransferOwnership => "Transferred ownership",
            Self::Rename => "Renamed the organization",
            Self::SetApplicationUrl => "Changed the application address",
            Self::DeleteOrganization => "Deleted the organization",
        }
    }
}

/// Why the program did something that nobody asked for in so many words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// The inviter may no longer give the role (R-INV-15).
    InviterDemotedOrGone,
    /// The organization was deleted (R-ORG-3).
    OrganizationDeleted,
}

impl Reason {
    /// The stored word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InviterDemotedOrGone => "inviter_demoted_or_gone",
            Self::OrganizationDeleted => "organization_deleted",
        }
    }

    /// Reads the stored word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::InviterDemotedOrGone, Self::OrganizationDeleted]
            .into_iter()
            .find(|reason| reason.as_str() == text)
    }

    /// What it is called on the audit page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::InviterDemotedOrGone => "Inviter demoted or gone",
            Self::OrganizationDeleted => "Organization deleted",
        }
    }
}

/// One line of the log, without who, when and from where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// What happened.
    pub verb: Verb,
    /// To which invitation.
    pub invitation: Option<InvitationId>,
    /// To which account.
    pub subject: Option<AccountId>,
    /// To whom, as they were called then: an address, as typed.
    pub target: Option<String>,
    /// The same address, as it is compared: events are found by it.
    pub target_key: Option<String>,
    /// The value before.
    pub before: Option<String>,
    /// The value after.
    pub after: Option<String>,
}

impl Event {
    /// Something happened to the organization itself.
    pub const fn new(verb: Verb) -> Self {
        Self {
            verb,
            invitation: None,
            subject: None,
            target: None,
            target_key: None,
            before: None,
            after: None,
        }
    }

    /// An organization was founded.
    pub fn founded() -> Self {
        Self {
            after: Some(Role::Owner.as_str().to_owned()),
            ..Self::new(Verb::Found)
        }
    }

    /// Something happened to an invitation.
    pub fn of(verb: Verb, invitation: &Invitation) -> Self {
        let after = matches!(verb, Verb::Invite | Verb::Accept)
            .then(|| invitation.role.as_str().to_owned());
        Self {
            invitation: Some(invitation.id),
            target: Some(invitation.email.shown().to_owned()),
            target_key: Some(invitation.email.key().to_owned()),
            after,
            ..Self::new(verb)
        }
    }

    /// Something happened to a member.
    pub fn on(verb: Verb, account: &Account) -> Self {
        Self {
            subject: Some(account.id),
            target: Some(account.email.shown().to_owned()),
            target_key: Some(account.email.key().to_owned()),
            ..Self::new(verb)
        }
    }

    /// The same, with the value it changed.
    #[must_use]
    pub fn from_to(mut self, before: &str, after: &str) -> Self {
        self.before = Some(before.to_owned());
        self.after = Some(after.to_owned());
        self
    }

    /// The same, with its reason in place of a value.
    #[must_use]
    pub fn because(mut self, reason: Reason) -> Self {
        self.after = Some(reason.as_str().to_owned());
        self
    }

    /// The same, with the value that was lost.
    #[must_use]
    pub fn was(mut self, before: &str) -> Self {
        self.before = Some(before.to_owned());
        self
    }
}
