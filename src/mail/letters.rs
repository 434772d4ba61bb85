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
        let reply_to = (kind == LetterKind::Invitation).then(|| Party {
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
