//! Every reason the product says no, each with a stable code. How it looks on a page is decided in one place, `web::error`.

use super::{email::EmailAddress, role::Role, time::Timestamp};

/// A rule says no, whoever asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The link names no invitation, or was tampered with.
    LinkUnknown,
    /// The invitation expired at that instant.
    LinkExpired(Timestamp),
    /// The invitation was withdrawn.
    LinkRevoked,
    /// An expired invitation that a newer one replaced.
    LinkReplaced,
    /// The invitation was accepted.
    LinkUsed,
    /// The invitee rejected it.
    LinkRejected,
    /// The organization no longer exists.
    OrganizationDeleted,
    /// Signed in as another address than the invited one (R-ACC-3).
    WrongAccount {
        /// The invited address, masked.
        invited: String,
        /// The address of the account that is signed in.
        signed_in_as: EmailAddress,
    },
    /// The invitee is a member already, by this name (R-INV-4).
    AlreadyMember(String),
    /// The form was made before somebody else changed the role; it is this now (R-ROLE-6).
    StaleRole(Role),
    /// The invitation has ended, so it cannot be sent, edited or revoked.
    InvitationClosed,
    /// The invitation has expired: it can be resent, not copied or edited.
    InvitationExpired,
    /// A mail to this address went out less than the cooldown ago (R-INV-8).
    Cooldown(Timestamp),
    /// A daily quota of mail is used up (R-INV-8).
    MailQuota(Timestamp),
    /// Asked for a new invitation already today (R-ACC-7).
    AskedAlready(Timestamp),
    /// Too many attempts to sign in or sign up.
    TooManyAttempts(Timestamp),
    /// Address and password do not belong together. The same whether or not there is such an account.
    WrongCredentials,
    /// No account can be made for this address here. Said in the same words whatever the cause.
    CannotSignUp,
    /// The operator allows accounts by invitation only (R-ORG-5).
    SignUpClosed,
}

impl Refusal {
    /// The stable code, for programs and logs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::LinkUnknown => "link_unknown",
            Self::LinkExpired(_) => "link_expired",
            Self::LinkRevoked => "link_revoked",
            Self::LinkReplaced => "link_replaced",
            Self::LinkUsed => "link_used",
            Self::LinkRejected => "link_rejected",
            Self::OrganizationDeleted => "organization_deleted",
            Self::WrongAccount { .. } => "wrong_account",
            Self::AlreadyMember(_) => "already_member",
            Self::StaleRole(_) => "stale",
            Self::InvitationClosed => "invitation_closed",
            Self::InvitationExpired => "invitation_expired",
            Self::Cooldown(_) => "cooldown",
            Self::MailQuota(_) => "mail_quota",
            Self::AskedAlready(_) => "asked_already",
            Self::TooManyAttempts(_) => "too_many_attempts",
            Self::WrongCredentials => "wrong_credentials",
            Self::CannotSignUp => "cannot_sign_up",
            Self::SignUpClosed => "sign_up_closed",
        }
    }
}
