//! Pages of an organization as a whole.

pub(super) mod home;
