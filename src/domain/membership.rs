//! A membership: an account in an organization, with a role.

use super::{
    ids::{AccountId, OrganizationId},
    role::Role,
    time::Timestamp,
};

/// An account in an organization, with a role.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Membership {
    /// The organization.
    pub organization: OrganizationId,
    /// The account.
    pub account: AccountId,
    /// Its role.
    pub role: Role,
    /// When the account joined.
    pub joined_at: Timestamp,
}
