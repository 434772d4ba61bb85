//! What letters say. They are written at sending, from the rows as they are then: the queue holds no link.

use super::transport::{Letter, Party};
use crate::{
    domain::{delivery::LetterKind, email::EmailAddress, ids::DeliveryId, time::Timestamp},
    link::{LinkKeys, Purpose},
    store::deliveries::About,
};
use askama::Template;

/// Who letters come from, and where their links lead. Never made of a request (R-INV-5).
#[derive(Clone, Debug)]
pub struct Sender {
    /// `PUBLIC_URL`, without a slash at the end.
    pub public_url: String,
    /// The fixed sender.
    pub from: Party,
    /// Whether answers to an invitation go to who invited, and not to [`Sender::from`].
    pub reply_to_inviter: bool,
    /// Makes the tokens in links.
    pub links: LinkKeys,
}

/// Why a letter is not written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoLetter {
    /// There is no reason for it any more; the text says why.
    Pointless(&'static str),
    /// It cannot be written; the text says why.
    Impossible(String),
}

#[derive(Template)]
#[template(path = "mail/invitation.txt")]
struct InvitationText<'a>(&'a Invitation);

#[derive(Template)]
#[template(path = "mail/invitation.html")]
struct InvitationHtml<'a>(&'a Invitation);

/// What the invitation letter shows. Names and words of people are [`unlinked`].
struct Invitation {
    inviter: String,
    inviter_email: String,
    organization: String,
    role: &'static str,
    describe: &'static str,
    note: Vec<String>,
    link: String,
    until: String,
    email: String,
}

#[derive(Template)]
#[template(path = "mail/notice.txt")]
struct NoticeText<'a>(&'a Notice);

#[derive(Template)]
#[template(path = "mail/notice.html")]
struct NoticeHtml<'a>(&'a Notice);

/// A letter to an inviter: what happened, and one place to go.
struct Notice {
    heading: String,
    lines: Vec<String>,
    button: &'static str,
    link: String,
    why: String,
}

impl Sender {
    /// Writes a letter about an invitation.
    ///
    /// # Errors
    /// [`NoLetter::Pointless`] when the invitation ended meanwhile, [`NoLetter::Impossible`] when its link can no
    /// longer be made.
    pub fn write(
        &self,
        id: DeliveryId,
        kind: LetterKind,
        to: &EmailAddress,
        about: &About,
        now: Timestamp,
    ) -> Result<Letter, NoLetter> {
        if about.deleted {
            return Err(NoLetter::Pointless(
                "The organization was deleted before this was sent",
            ));
        }
        let (subject, text, html) = match kind {
            LetterKind::Invitation => self.invitation(about, now)?,
            LetterKind::InvitationRejected => {
                let who = about.invitation.email.shown();
                let heading = format!(
                    "{who} rejected your invitation to {}",
                    unlinked(&about.organization)
                );
                self.notice(
                    about,
                    heading,
                    "They won't join unless you invite them again.",
                )?
            }
            LetterKind::InvitationAskedFor => {
                let who = about.invitation.email.shown();
                let heading = format!(
                    "{who} asks for a new invitation to {}",
                    unlinked(&about.organization)
                );
                self.notice(
                    about,
                    heading,
                    "Their invitation has expired. Resend it if they should still join.",
                )?
            }
        };
        let to_inviter = self.reply_to_inviter && kind == LetterKind::Invitation;
        let reply_to = to_inviter.then(|| Party {
            name: unlinked(&about.inviter),
            address: about.inviter_email.key().to_owned(),
        });
        Ok(Letter {
            id: id.to_string(),
            date: now.utc(),
            from: self.from.clone(),
            reply_to,
            to: Party {
                name: String::new(),
                address: to.key().to_owned(),
            },
            subject,
            text,
            html,
        })
    }

    fn invitation(
        &self,
        about: &About,
        now: Timestamp,
    ) -> Result<(String, String, String), NoLetter> {
        let it = &about.invitation;
        if it.acceptable(now).is_err() {
            return Err(NoLetter::Pointless(
                "The invitation had ended before this was sent",
            ));
        }
        let token = self
            .links
            .make(Purpose::Invitation, it.id.0, it.link_version)
            .ok_or_else(|| {
                NoLetter::Impossible(
                    "the key that made this link is no longer configured".to_owned(),
                )
            })?;
        let view = Invitation {
            inviter: unlinked(&about.inviter),
            inviter_email: about.inviter_email.shown().to_owned(),
            organization: unlinked(&about.organization),
            role: it.role.label(),
            describe: it.role.describe(),
            note: it
                .note
                .as_deref()
                .unwrap_or_default()
                .lines()
                .map(unlinked)
                .collect(),
            link: Purpose::Invitation.link_of(&self.public_url, &token),
            until: it.expires_at.date_and_time(),
            email: it.email.shown().to_owned(),
        };
        let subject = format!("{} invited you to join {}", view.inviter, view.organization);
        Ok((
            subject,
            rendered(&InvitationText(&view))?,
            rendered(&InvitationHtml(&view))?,
        ))
    }

    fn notice(
        &self,
        about: &About,
        heading: String,
        line: &str,
    ) -> Result<(String, String, String), NoLetter> {
        let view = Notice {
            heading: heading.clone(),
            lines: vec![line.to_owned()],
            button: "Open invitation",
            link: format!(
                "{}/orgs/{}/settings/team/invitations/{}",
                self.public_url, about.slug, about.invitation.id
            ),
            why: format!(
                "You get this because you manage invitations of {}.",
                unlinked(&about.organization)
            ),
        };
        Ok((
            heading,
            rendered(&NoticeText(&view))?,
            rendered(&NoticeHtml(&view))?,
        ))
    }
}

fn rendered(template: &impl Template) -> Result<String, NoLetter> {
    template
        .render()
        .map_err(|error| NoLetter::Impossible(format!("cannot render: {error}")))
}

/// Breaks what mail programs would turn into a link: in a name or a message, a link can only be bait.
fn unlinked(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(c);
        let next_is_word = chars.peek().is_some_and(|next| next.is_alphanumeric());
        let next_is_slash = chars.peek() == Some(&'/');
        if (matches!(c, '.' | '\u{3002}' | '\u{ff0e}') && next_is_word)
            || (c == ':' && next_is_slash)
        {
            out.push(' ');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        ids::{AccountId, InvitationId, OrganizationId},
        invitation::{Invitation, State},
        role::InvitableRole,
    };
    use time::{Duration, macros::datetime};
    use uuid::Uuid;

    #[test]
    fn answers_go_to_the_inviter_unless_that_is_switched_off() {
        let address = |text| EmailAddress::parse(text).expect("an address");
        let now = Timestamp::from(datetime!(2026-03-01 12:00 UTC));
        let links = LinkKeys::new(&[7; 32], []);
        let about = About {
            invitation: Invitation {
                id: InvitationId(Uuid::nil()),
                organization: OrganizationId(Uuid::nil()),
                email: address("grace@example.test"),
                role: InvitableRole::Member,
                note: None,
                state: State::Pending,
                invited_by: AccountId(Uuid::nil()),
                created_at: now,
                expires_at: now.plus(Duration::DAY),
                exposed_at: None,
                link_version: links.current_version(),
                closed_at: None,
            },
            organization: "Acme".to_owned(),
            slug: "acme".to_owned(),
            deleted: false,
            inviter: "Ada Lovelace".to_owned(),
            inviter_email: address("ada@example.test"),
        };
        let reply_to = |reply_to_inviter, kind| {
            let sender = Sender {
                public_url: "https://roster.test".to_owned(),
                from: Party {
                    name: "Roster".to_owned(),
                    address: "roster@roster.test".to_owned(),
                },
                reply_to_inviter,
                links: links.clone(),
            };
            let to = address("somebody@example.test");
            sender
                .write(DeliveryId(Uuid::nil()), kind, &to, &about, now)
                .expect("a letter")
                .reply_to
                .map(|party| party.address)
        };
        assert_eq!(
            reply_to(true, LetterKind::Invitation).as_deref(),
            Some("ada@example.test")
        );
        assert_eq!(reply_to(false, LetterKind::Invitation), None);
        assert_eq!(reply_to(true, LetterKind::InvitationRejected), None);
    }

    #[test]
    fn nothing_links() {
        assert_eq!(
            unlinked("https://evil.test/a?b=c"),
            "https: //evil. test/a?b=c"
        );
        assert_eq!(unlinked("Acme Inc."), "Acme Inc.");
        assert_eq!(unlinked("Grace B. Hopper"), "Grace B. Hopper");
        assert_eq!(unlinked("www.evil.test"), "www. evil. test");
    }
}
