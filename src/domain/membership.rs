//! A membership: an account in an organization, with a role.

use super::{
    ids::{AccountId, OrganizationId},
    role::Role,
    time::Timestamp,
};

/// Who acts, read again inside the action's own transaction, after the organization was locked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Membership {
    /// The organization.
    pub organization: OrganizationId,
    /// The account.
    pub account: AccountId,
    /// The role the database held at that moment.
    pub role: Role,
    /// When the account joined.
    pub joined_at: Timestamp,
}
