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
    /// The form was made before somebody else changed the role; it is this now, and this is who changed it (R-ROLE-6).
    StaleRole {
        /// The role as it is.
        now: Role,
        /// Who changed it, if that is on record.
        by: Option<String>,
    },
    /// Nobody changes their own role or removes themselves (R-ROLE-4).
    OwnMembership,
    /// An organization always has at least one Owner (R-ROLE-5).
    LastOwner,
    /// The password typed to confirm is not theirs.
    WrongPassword,
    /// What was typed to confirm is not the organization's part of the address.
    SlugDiffers,
    /// The account is the only Owner of these organizations, by name (R-ORG-4).
    OnlyOwnerOf(Vec<String>),
    /// The organization has as many members as the operator allows (R-ACC-7).
    OrganizationFull(String),
    /// Letters to others need a confirmed address of one's own first (R-ORG-6).
    AddressUnverified,
    /// The current versions of the legal documents have to be accepted first (R-ACC-9).
    ConsentMissing,
    /// The link proves nothing: it names no proof, or was tampered with.
    ProofUnknown,
    /// The link was used, or a newer one replaced it.
    ProofUsed,
    /// The link expired at that instant.
    ProofExpired(Timestamp),
    /// Another account has this address.
    EmailTaken,
    /// Only the account that asked for another address can confirm it, and this is not the one that is signed in.
    ProofOfAnother,
    /// Only a letter could do that, and this server sends none (R-INV-11).
    NoMail,
    /// The invitation has ended, so it cannot be sent, edited or revoked.
    InvitationClosed,
    /// The invitation has expired: it can be resent, not copied or edited.
    InvitationExpired,
    /// The key that made the invitation's link is no longer configured: it can be resent, with a new link.
    LinkKeyGone,
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
            Self::StaleRole { .. } => "stale",
            Self::OwnMembership => "own_membership",
            Self::LastOwner => "last_owner",
            Self::WrongPassword => "wrong_password",
            Self::SlugDiffers => "slug_differs",
            Self::OnlyOwnerOf(_) => "only_owner_of",
            Self::OrganizationFull(_) => "organization_full",
            Self::AddressUnverified => "address_unverified",
            Self::ConsentMissing => "consent_missing",
            Self::ProofUnknown => "proof_unknown",
            Self::ProofUsed => "proof_used",
            Self::ProofExpired(_) => "proof_expired",
            Self::EmailTaken => "email_taken",
            Self::ProofOfAnother => "proof_of_another",
            Self::NoMail => "no_mail",
            Self::InvitationClosed => "invitation_closed",
            Self::InvitationExpired => "invitation_expired",
            Self::LinkKeyGone => "link_key_gone",
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
