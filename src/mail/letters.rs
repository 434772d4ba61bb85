//! What letters say. They are written at sending, from the rows as they are then: the queue holds no link.

use super::transport::{Letter, Party};
use crate::{
    domain::{
        account::Account,
        delivery::LetterKind,
        email::EmailAddress,
        ids::DeliveryId,
        invitation::REMIND_BEFORE,
        notification::{Notification, NotificationKind},
        proof::{Proof, ProofPurpose},
        time::Timestamp,
    },
    link::{LinkKeys, Purpose},
    store::deliveries::{About, Matter},
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
    reminder: bool,
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

/// Any other letter: what happened or what to do, one place to go, and why they get it.
struct Notice {
    heading: String,
    lines: Vec<String>,
    button: &'static str,
    link: String,
    why: String,
}

/// Subject, text and HTML of a letter.
type Written = (String, String, String);

impl Sender {
    /// Writes a letter.
    ///
    /// # Errors
    /// [`NoLetter::Pointless`] when what it is about has ended meanwhile, [`NoLetter::Impossible`] when its link can no
    /// longer be made.
    pub fn write(
        &self,
        id: DeliveryId,
        kind: LetterKind,
        to: &EmailAddress,
        matter: &Matter,
        now: Timestamp,
    ) -> Result<Letter, NoLetter> {
        if let Some(why) = pointless(matter, kind, now) {
            return Err(NoLetter::Pointless(why));
        }
        let mut reply_to = None;
        let (subject, text, html) = match matter {
            Matter::Invitation(about) => {
                if self.reply_to_inviter && about.inviter_email.reachable().is_some() {
                    reply_to = Some(Party {
                        name: unlinked(&about.inviter),
                        address: about.inviter_email.key().to_owned(),
                    });
                }
                self.invitation(about, kind == LetterKind::Reminder)?
            }
            Matter::Notification(row) => self.notification(&row.notification, to)?,
            Matter::Proof(both) => self.proof(&both.0, &both.1)?,
        };
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

    fn invitation(&self, about: &About, reminder: bool) -> Result<Written, NoLetter> {
        let it = &about.invitation;
        let token = self
            .links
            .make(Purpose::Invitation, it.id.0, it.link_version)
            .ok_or_else(no_key)?;
        let view = Invitation {
            reminder,
            inviter: unlinked(&about.inviter),
            inviter_email: about
                .inviter_email
                .reachable()
                .unwrap_or_default()
                .to_owned(),
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
        let subject = if reminder {
            format!(
                "Your invitation to {} is about to expire",
                view.organization
            )
        } else {
            format!("{} invited you to join {}", view.inviter, view.organization)
        };
        Ok((
            subject,
            rendered(&InvitationText(&view))?,
            rendered(&InvitationHtml(&view))?,
        ))
    }

    /// What happened to a person. Where it leads is a page of theirs, never a link that does something.
    fn notification(&self, what: &Notification, to: &EmailAddress) -> Result<Written, NoLetter> {
        let place = what.organization.as_ref();
        let slug = place.map_or("", |place| place.slug.as_str());
        let (button, path) = match (what.kind, what.invitation) {
            (
                NotificationKind::InvitationRejected
                | NotificationKind::InvitationAskedFor
                | NotificationKind::InvitationLapsed,
                Some(id),
            ) => (
                "Open invitation",
                format!("/orgs/{slug}/settings/team/invitations/{id}"),
            ),
            (NotificationKind::InvitationAccepted, _) => {
                ("Open team", format!("/orgs/{slug}/settings/team"))
            }
            (NotificationKind::RoleChanged | NotificationKind::OwnershipTransferred, _) => {
                ("Open organization", format!("/orgs/{slug}"))
            }
            (NotificationKind::SignedIn | NotificationKind::PasswordChanged, _) => {
                ("Open your account", "/account/security".to_owned())
            }
            _ => ("Open Roster", "/".to_owned()),
        };
        let mut why = if what.kind == NotificationKind::EmailChanged {
            format!(
                "You get this because {} was the address of an account here.",
                to.shown()
            )
        } else {
            format!("You get this because {} has an account here.", to.shown())
        };
        if what.kind.can_be_muted() {
            why.push_str(" You can switch such letters off under Account, Notifications.");
        }
        let what = without_links(what);
        let detail = what.detail();
        self.notice(&Notice {
            heading: what.sentence(),
            lines: if detail.is_empty() {
                Vec::new()
            } else {
                vec![detail]
            },
            button,
            link: format!("{}{path}", self.public_url),
            why,
        })
    }

    fn proof(&self, proof: &Proof, account: &Account) -> Result<Written, NoLetter> {
        let (purpose, heading, button) = match proof.purpose {
            ProofPurpose::VerifyEmail => (
                Purpose::VerifyEmail,
                "Confirm your email address",
                "Confirm address",
            ),
            ProofPurpose::ResetPassword => (
                Purpose::ResetPassword,
                "Choose a new password",
                "Choose a new password",
            ),
        };
        let token = self
            .links
            .make(purpose, proof.id.0, proof.link_version)
            .ok_or_else(no_key)?;
        let asked = match proof.purpose {
            ProofPurpose::VerifyEmail if !account.email.same_mailbox(&proof.email) => format!(
                "{} wants to use {} for their account, in place of the address it has. If that is you, open the link and confirm it, signed in.",
                unlinked(&account.name),
                proof.email.shown()
            ),
            ProofPurpose::VerifyEmail => format!(
                "Please confirm that {} is your address.",
                proof.email.shown()
            ),
            ProofPurpose::ResetPassword => format!(
                "Somebody, we hope you, asked for a new password for {}.",
                proof.email.shown()
            ),
        };
        self.notice(&Notice {
            heading: heading.to_owned(),
            lines: vec![
                asked,
                format!(
                    "The link works until {}, and once.",
                    proof.expires_at.date_and_time()
                ),
            ],
            button,
            link: purpose.link_of(&self.public_url, &token),
            why: "Not expecting this? You can ignore this email: nothing changes.".to_owned(),
        })
    }

    fn notice(&self, view: &Notice) -> Result<Written, NoLetter> {
        Ok((
            view.heading.clone(),
            rendered(&NoticeText(view))?,
            rendered(&NoticeHtml(view))?,
        ))
    }
}

/// Why there is no reason for a letter any more, if so. Asked when it is written, and again at the last moment before it
/// leaves.
pub(super) fn pointless(matter: &Matter, kind: LetterKind, now: Timestamp) -> Option<&'static str> {
    match matter {
        Matter::Invitation(about) if about.deleted => {
            Some("The organization was deleted before this was sent")
        }
        Matter::Invitation(about) if about.invitation.acceptable(now).is_err() => {
            Some("The invitation had ended before this was sent")
        }
        Matter::Invitation(about)
            if kind == LetterKind::Reminder
                && about.invitation.expires_at > now.plus(REMIND_BEFORE) =>
        {
            Some("The invitation was sent again before this reminder was")
        }
        Matter::Proof(both) if both.0.good(now).is_err() => {
            Some("A newer letter took its place before this was sent")
        }
        _ => None,
    }
}

fn no_key() -> NoLetter {
    NoLetter::Impossible("The key that its link was made with is no longer configured".to_owned())
}

fn rendered(template: &impl Template) -> Result<String, NoLetter> {
    template
        .render()
        .map_err(|error| NoLetter::Impossible(format!("cannot render: {error}")))
}

/// The same notification, with every word of people [`unlinked`]. Addresses stay as they are: they were parsed.
fn without_links(what: &Notification) -> Notification {
    let safe = |text: &String| {
        if EmailAddress::parse(text).is_ok() {
            text.clone()
        } else {
            unlinked(text)
        }
    };
    let mut what = what.clone();
    if let Some(place) = &mut what.organization {
        place.name = unlinked(&place.name);
    }
    what.actor = what.actor.as_ref().map(safe);
    // A browser and its network address are in our words: broken apart the address could not be looked up.
    if what.kind != NotificationKind::SignedIn {
        what.subject = what.subject.as_ref().map(safe);
    }
    what.before = what.before.as_ref().map(safe);
    what.after = what.after.as_ref().map(safe);
    what
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
        let matter = Matter::Invitation(Box::new(about));
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
                .write(DeliveryId(Uuid::nil()), kind, &to, &matter, now)
                .expect("a letter")
                .reply_to
                .map(|party| party.address)
        };
        assert_eq!(
            reply_to(true, LetterKind::Invitation).as_deref(),
            Some("ada@example.test")
        );
        assert_eq!(reply_to(false, LetterKind::Invitation), None);
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
