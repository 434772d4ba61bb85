//! A person's account.

use super::{
    email::EmailAddress,
    ids::{AccountId, OrganizationId, SessionId},
    time::Timestamp,
};

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
}
