//! A person's account.

use super::{
    email::EmailAddress,
    ids::{AccountId, AvatarId, OrganizationId, SessionId},
    time::Timestamp,
};

/// What an account is called after it was deleted.
pub const DELETED_NAME: &str = "Deleted account";

/// An account, as far as rules and pages need it. Its password hash stays in the store until it is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The address it signs in with.
    pub email: EmailAddress,
    /// What the person is called.
    pub name: String,
    /// When the mailbox was first proved to be theirs (R-ACC-4).
    pub verified_at: Option<Timestamp>,
    /// Their picture; without one the initials are drawn.
    pub avatar: Option<AvatarId>,
}

impl Account {
    /// Whether Roster may mail others on this person's behalf (R-ORG-6): the address is proved, or nobody could be asked
    /// to prove it, or theirs is the `first` account of the instance. That question is asked only where it decides.
    ///
    /// # Errors
    /// What `first` answers.
    pub fn may_mail_others<E>(
        &self,
        mail_ready: bool,
        first: impl FnOnce() -> Result<bool, E>,
    ) -> Result<bool, E> {
        Ok(!mail_ready || self.verified_at.is_some() || first()?)
    }
}

/// A browser that is signed in, and who it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    /// Its id; it stays when the token in the cookie is renewed.
    pub id: SessionId,
    /// Whose it is.
    pub account: Account,
    /// When the person signed in.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_seen_at: Timestamp,
    /// The organization opened last.
    pub organization: Option<OrganizationId>,
    /// Whether a newer token has replaced the one in this request's cookie.
    pub ending: bool,
    /// Since when a newer version of a legal document waits to be accepted (R-ACC-9): until then nothing else is shown.
    pub consent_due_at: Option<Timestamp>,
}

impl Session {
    /// Whose it is, and which.
    pub const fn key(&self) -> (AccountId, SessionId) {
        (self.account.id, self.id)
    }
}
