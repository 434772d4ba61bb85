//! Addresses of our own pages, for links and redirects. The routes themselves are in [`super`].

use super::escaped::Escaped;
use crate::{
    domain::{
        ids::{AccountId, AvatarId, InvitationId},
        role::InvitableRole,
    },
    link::Purpose,
};
use std::fmt::{self, Display};
use url::form_urlencoded::byte_serialize;
use uuid::Uuid;

/// Signing in.
pub const SIGN_IN: &str = "/sign-in";

/// Asking for a new password.
pub const FORGOT_PASSWORD: &str = "/forgot-password";

/// One's own address: whether it is confirmed, and changing it.
pub const ACCOUNT_EMAIL: &str = "/account/email";

/// Where the button goes that sends the letter to confirm an address once more.
pub const ACCOUNT_VERIFY_EMAIL: &str = "/account/verify-email";

/// One's own account: name, picture, address.
pub const ACCOUNT: &str = "/account";

/// The browsers that are signed in to one's own account.
pub const SESSIONS: &str = "/account/sessions";

/// Which letters one wants.
pub const LETTERS: &str = "/account/notifications";
/// One's own password.
pub const SECURITY: &str = "/account/security";

/// What happened to me: the bell.
pub const NOTIFICATIONS: &str = "/notifications";

/// Making another organization.
pub const NEW_ORGANIZATION: &str = "/orgs/new";

/// The open invitations for my address.
pub const INVITATIONS: &str = "/invitations";

/// An open invitation for my address.
pub fn my_invitation(id: InvitationId) -> String {
    format!("{INVITATIONS}/{id}")
}

/// Signing in, and then on to `path`.
pub fn sign_in_and_back(path: &str) -> String {
    if path == "/" {
        SIGN_IN.to_owned()
    } else {
        format!("{SIGN_IN}?next={}", encoded(path))
    }
}

/// Accepting a newer version of a legal document.
pub const CONSENT: &str = "/consent";

/// Accepting a newer version of a legal document, and then on to `path`.
pub fn consent_and_on(path: &str) -> String {
    if path == "/" {
        CONSENT.to_owned()
    } else {
        format!("{CONSENT}?next={}", encoded(path))
    }
}

/// A legal document.
pub fn legal(slug: &str) -> String {
    format!("/legal/{slug}")
}

/// The organization's home.
pub fn organization(slug: &str) -> String {
    format!("/orgs/{slug}")
}

/// Whether `url` is the home of an organization, which may lead on to another site.
pub fn is_home(url: &str) -> bool {
    let path = url.split('?').next().unwrap_or_default();
    path.strip_prefix("/orgs/")
        .is_some_and(|slug| !slug.contains('/'))
}

/// The organization's home, also where the organization has an application of its own to lead to.
pub fn stay(slug: &str) -> String {
    format!("/orgs/{slug}?stay")
}

/// The general settings.
pub fn general(slug: &str) -> String {
    format!("/orgs/{slug}/settings/general")
}

/// What each role may do.
pub fn roles(slug: &str) -> String {
    format!("/orgs/{slug}/settings/roles")
}

/// Deleting the organization.
pub fn delete(slug: &str) -> String {
    format!("/orgs/{slug}/delete")
}

/// The members list.
pub fn team(slug: &str) -> String {
    format!("/orgs/{slug}/settings/team")
}

/// Where the addresses of members begin.
pub fn members(slug: &str) -> String {
    format!("{}/members/", team(slug))
}

/// One member.
pub fn member(slug: &str, id: AccountId) -> String {
    format!("{}{id}", members(slug))
}

/// [`member`] for a list: written straight into the page.
#[derive(Clone, Copy, Debug)]
pub struct MemberUrl<'a> {
    /// Where all of them begin: [`members`].
    pub members: Escaped<'a>,
    /// Who.
    pub id: AccountId,
}

impl MemberUrl<'_> {
    fn put(self, out: &mut dyn fmt::Write) -> fmt::Result {
        let id = self.id.0.hyphenated();
        self.members.put(out)?;
        out.write_str(id.encode_lower(&mut Uuid::encode_buffer()))
    }
}

written!(MemberUrl<'_>);

/// A person's picture.
pub fn avatar(id: AvatarId) -> String {
    format!("/avatars/{id}")
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

/// Invitations from a file.
pub fn import(slug: &str) -> String {
    format!("{}/import", invite(slug))
}

/// The audit log.
pub fn audit(slug: &str) -> String {
    format!("/orgs/{slug}/settings/audit")
}

/// The access review.
pub fn review(slug: &str) -> String {
    format!("/orgs/{slug}/settings/review")
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
