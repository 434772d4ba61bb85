//! Pages about the visitor's own account.

pub(super) mod avatar;
pub(super) mod bell;
pub(super) mod consent;
mod dead_link;
pub(super) mod delete;
pub(super) mod email;
pub(super) mod forgot_password;
pub(super) mod home;
pub(super) mod invitations;
pub(super) mod notifications;
pub(super) mod profile;
pub(super) mod reset_password;
pub(super) mod security;
pub(super) mod sessions;
pub(super) mod sign_in;
pub(super) mod sign_out;
pub(super) mod sign_up;
pub(super) mod verify_email;
