//! Ids: one type for each kind of row, so that one cannot be passed for another.

use std::{fmt, str::FromStr};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }
    )+};
}

ids! {
    /// A person's account.
    AccountId,
    /// An organization.
    OrganizationId,
    /// An invitation, pending or closed.
    InvitationId,
    /// One letter: queued, sent or given up.
    DeliveryId,
    /// One browser that is signed in.
    SessionId,
    /// One line of the audit log.
    AuditEventId,
    /// Something that happened to a person.
    NotificationId,
    /// A letter's request to prove a mailbox.
    ProofId,
    /// A person's picture, as uploaded once.
    AvatarId,
}
