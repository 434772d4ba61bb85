//! Proofs of a mailbox: a link that only its reader gets, to confirm an address or to choose a new password.

use super::{
    account::Account,
    email::EmailAddress,
    ids::{AccountId, ProofId},
    refusal::Refusal,
    time::Timestamp,
};
use time::Duration;

/// What a proof is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ProofPurpose {
    /// The address is theirs: the account's own, or the one it is to get (R-ORG-4).
    VerifyEmail,
    /// A forgotten password.
    ResetPassword,
}

impl ProofPurpose {
    /// Every purpose.
    pub const ALL: [Self; 2] = [Self::VerifyEmail, Self::ResetPassword];

    /// The stored word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
        }
    }

    /// Reads the stored word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|purpose| purpose.as_str() == text)
    }

    /// How long the link works. A confirmation may wait for Monday; a way to a new password should not lie around
    /// (OWASP Forgot Password: an appropriate, short period).
    pub const fn valid_for(self) -> Duration {
        match self {
            Self::VerifyEmail => Duration::days(7),
            Self::ResetPassword => Duration::hours(1),
        }
    }
}

/// How long a proof is kept after its time: so long its link says "expired" or "used", and not "unknown".
pub const KEPT_FOR: Duration = Duration::days(30);

/// A letter's request to prove a mailbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    /// Its id, part of its link.
    pub id: ProofId,
    /// Whose account.
    pub account: AccountId,
    /// What for.
    pub purpose: ProofPurpose,
    /// Which mailbox.
    pub email: EmailAddress,
    /// Which key made its link.
    pub link_version: i32,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// From this instant on it is worth nothing.
    pub expires_at: Timestamp,
    /// When it was used, or replaced by a newer one.
    pub closed_at: Option<Timestamp>,
}

impl Proof {
    /// Whether the link still works.
    ///
    /// # Errors
    /// [`Refusal::ProofUsed`], [`Refusal::ProofExpired`].
    pub fn good(&self, now: Timestamp) -> Result<(), Refusal> {
        if self.closed_at.is_some() {
            Err(Refusal::ProofUsed)
        } else if now >= self.expires_at {
            Err(Refusal::ProofExpired(self.expires_at))
        } else {
            Ok(())
        }
    }

    /// Whether what it was asked for has come about: the address is the account's, and proved.
    pub fn is_done(&self, account: &Account) -> bool {
        account.verified_at.is_some() && account.email.same_mailbox(&self.email)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_proof_works_until_it_is_used_or_over() {
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let mut proof = Proof {
            id: ProofId(Uuid::nil()),
            account: AccountId(Uuid::nil()),
            purpose: ProofPurpose::ResetPassword,
            email: EmailAddress::parse("grace@example.test").expect("an address"),
            link_version: 1,
            created_at: now,
            expires_at: now.plus(ProofPurpose::ResetPassword.valid_for()),
            closed_at: None,
        };
        let edge = proof.expires_at;
        assert_eq!(proof.good(edge.minus(Duration::MICROSECOND)), Ok(()));
        assert_eq!(proof.good(edge), Err(Refusal::ProofExpired(edge)));
        proof.closed_at = Some(now);
        assert_eq!(proof.good(now), Err(Refusal::ProofUsed));
    }
}
