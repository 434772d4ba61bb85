//! The audit log: what happened, in the words of the verbs (R-AUD-1).

use super::{ids::InvitationId, invitation::Invitation, role::Role};

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
}

impl Verb {
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
    /// To whom: an address, as typed.
    pub target: Option<String>,
    /// The value before.
    pub before: Option<&'static str>,
    /// The value after.
    pub after: Option<&'static str>,
}

impl Event {
    /// An organization was founded.
    pub const fn founded() -> Self {
        Self {
            verb: Verb::Found,
            invitation: None,
            target: None,
            before: None,
            after: Some(Role::Owner.as_str()),
        }
    }

    /// Something happened to an invitation.
    pub fn of(verb: Verb, invitation: &Invitation) -> Self {
        let after = matches!(verb, Verb::Invite | Verb::Accept).then_some(invitation.role.as_str());
        let target = Some(invitation.email.shown().to_owned());
        Self {
            verb,
            invitation: Some(invitation.id),
            target,
            before: None,
            after,
        }
    }

    /// The same, with the value it changed.
    pub const fn from_to(mut self, before: &'static str, after: &'static str) -> Self {
        self.before = Some(before);
        self.after = Some(after);
        self
    }
}
