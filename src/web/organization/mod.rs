//! Pages of an organization as a whole.

pub(super) mod audit;
pub(super) mod delete;
pub(super) mod general;
pub(super) mod home;
pub(super) mod leave;
pub(super) mod new;
pub(super) mod review;
pub(super) mod transfer_ownership;
