//! Addresses of our own pages, for links and redirects. The routes themselves are in [`super`].

use crate::{
    domain::{ids::InvitationId, role::InvitableRole},
    link::Purpose,
};
use std::fmt::Display;
use url::form_urlencoded::byte_serialize;

/// Signing in.
pub const SIGN_IN: &str = "/sign-in";

/// Signing in, and then on to `path`.
pub fn sign_in_and_back(path: &str) -> String {
    if path == "/" {
        SIGN_IN.to_owned()
    } else {
        format!("{SIGN_IN}?next={}", encoded(path))
    }
}

/// The organization's home.
pub fn organization(slug: &str) -> String {
    format!("/orgs/{slug}")
}

/// The members list.
pub fn team(slug: &str) -> String {
    format!("/orgs/{slug}/settings/team")
}

/// The invite form as a page.
pub fn invite(slug: &str) -> String {
    format!("/orgs/{slug}/settings/team/invite")
}

/// The invite form, filled in.
pub fn invite_again(slug: &str, email: &str, role: InvitableRole) -> String {
    format!(
        "{}?emails={}&role={}",
        invite(slug),
        encoded(email),
        role.as_str()
    )
}

/// Pending invitations.
pub fn invitations(slug: &str) -> String {
    format!("/orgs/{slug}/settings/team/invitations")
}

/// One invitation.
pub fn invitation(slug: &str, id: InvitationId) -> String {
    format!("/orgs/{slug}/settings/team/invitations/{id}")
}

/// The invitation page of a link.
pub fn accept_invitation(token: &str) -> String {
    Purpose::Invitation.path_of(token)
}

/// A query of the pairs that have a value.
pub fn query(pairs: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        out.push(if out.is_empty() { '?' } else { '&' });
        out.push_str(name);
        out.push('=');
        out.push_str(&encoded(value));
    }
    out
}

/// For a value in a query.
pub fn encoded(text: impl Display) -> String {
    byte_serialize(text.to_string().as_bytes()).collect()
}
