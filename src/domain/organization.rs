//! An organization.

use super::{ids::OrganizationId, time::Timestamp};

/// An organization, as far as rules and pages need it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its part of the address: `/orgs/{slug}`.
    pub slug: String,
    /// What it is called.
    pub name: String,
    /// How many members it has.
    pub member_count: i32,
    /// When it was deleted; its row stays so that old links can say so.
    pub deleted_at: Option<Timestamp>,
}
