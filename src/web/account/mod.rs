//! Pages about the visitor's own account.

pub(super) mod home;
pub(super) mod sign_in;
pub(super) mod sign_out;
pub(super) mod sign_up;
