//! Notifications: what happened to a person, for the bell and, unless they switched it off, by mail (R-ACC-11).

use super::{
    ids::{InvitationId, OrganizationId},
    organization::Organization,
};
use time::Duration;

/// A notification is forgotten this long after it happened, read or not. The audit log keeps what matters.
pub const KEPT_FOR: Duration = Duration::days(180);

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NotificationKind {
    /// Somebody accepted your invitation.
    InvitationAccepted,
    /// Somebody rejected your invitation; to the owners if the inviter has left (R-ACC-8).
    InvitationRejected,
    /// The holder of an expired link asks for a new invitation (R-ACC-7).
    InvitationAskedFor,
    /// Your invitation lapsed (R-INV-16).
    InvitationLapsed,
    /// Your role was changed (R-ROLE-6).
    RoleChanged,
    /// You were removed from an organization (R-MEM-2).
    Removed,
    /// Ownership was transferred, to you or by you (R-ROLE-7).
    OwnershipTransferred,
    /// An organization of yours was deleted (R-ORG-3).
    OrganizationDeleted,
    /// A browser that was not known signed in to your account.
    SignedIn,
    /// Your password was changed.
    PasswordChanged,
    /// Your address was changed.
    EmailChanged,
}

impl NotificationKind {
    /// Every kind, in the order of the settings page.
    pub const ALL: [Self; 11] = [
        Self::InvitationAccepted,
        Self::InvitationRejected,
        Self::InvitationAskedFor,
        Self::InvitationLapsed,
        Self::RoleChanged,
        Self::Removed,
        Self::OwnershipTransferred,
        Self::OrganizationDeleted,
        Self::SignedIn,
        Self::PasswordChanged,
        Self::EmailChanged,
    ];

    /// The stored word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvitationAccepted => "invitation_accepted",
            Self::InvitationRejected => "invitation_rejected",
            Self::InvitationAskedFor => "invitation_asked_for",
            Self::InvitationLapsed => "invitation_lapsed",
            Self::RoleChanged => "role_changed",
            Self::Removed => "removed",
            Self::OwnershipTransferred => "ownership_transferred",
            Self::OrganizationDeleted => "organization_deleted",
            Self::SignedIn => "signed_in",
            Self::PasswordChanged => "password_changed",
            Self::EmailChanged => "email_changed",
        }
    }

    /// Reads the stored word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// What it is called on the settings page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::InvitationAccepted => "Somebody accepts my invitation",
            Self::InvitationRejected => "Somebody rejects my invitation",
            Self::InvitationAskedFor => "Somebody asks for a new invitation",
            Self::InvitationLapsed => "My invitation expires unanswered",
            Self::RoleChanged => "My role changes",
            Self::Removed => "I am removed from an organization",
            Self::OwnershipTransferred => "Ownership is transferred",
            Self::OrganizationDeleted => "An organization is deleted",
            Self::SignedIn => "A new browser signs in to my account",
            Self::PasswordChanged => "My password changes",
            Self::EmailChanged => "My email address changes",
        }
    }

    /// Whether its letter can be switched off. Not those that tell of a stolen account.
    pub const fn can_be_muted(self) -> bool {
        !matches!(
            self,
            Self::SignedIn | Self::PasswordChanged | Self::EmailChanged
        )
    }
}

/// What happened to a person, in the words of that moment: names stay as they were then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notification {
    /// What happened.
    pub kind: NotificationKind,
    /// In which organization.
    pub organization: Option<Place>,
    /// To which invitation.
    pub invitation: Option<InvitationId>,
    /// Who did it.
    pub actor: Option<String>,
    /// Whom or what else it is about: an address, a name, a browser.
    pub subject: Option<String>,
    /// The value before.
    pub before: Option<String>,
    /// The value after.
    pub after: Option<String>,
}

/// The organization of a notification, as it was called then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its id.
    pub id: OrganizationId,
    /// Its name.
    pub name: String,
    /// Its part of the address.
    pub slug: String,
}

impl Notification {
    /// A notification of this kind, without any facts yet.
    pub const fn new(kind: NotificationKind) -> Self {
        Self {
            kind,
            organization: None,
            invitation: None,
            actor: None,
            subject: None,
            before: None,
            after: None,
        }
    }

    /// In an organization.
    #[must_use]
    pub fn of(mut self, organization: &Organization) -> Self {
        self.organization = Some(Place {
            id: organization.id,
            name: organization.name.clone(),
            slug: organization.slug.clone(),
        });
        self
    }

    /// About an invitation.
    #[must_use]
    pub const fn about(mut self, invitation: InvitationId) -> Self {
        self.invitation = Some(invitation);
        self
    }

    /// Done by somebody of this name.
    #[must_use]
    pub fn by(mut self, actor: &str) -> Self {
        self.actor = Some(actor.to_owned());
        self
    }

    /// About somebody or something else.
    #[must_use]
    pub fn on(mut self, subject: &str) -> Self {
        self.subject = Some(subject.to_owned());
        self
    }

    /// With the value it changed.
    #[must_use]
    pub fn from_to(mut self, before: &str, after: &str) -> Self {
        self.before = Some(before.to_owned());
        self.after = Some(after.to_owned());
        self
    }

    /// With the value that holds now.
    #[must_use]
    pub fn now(mut self, after: &str) -> Self {
        self.after = Some(after.to_owned());
        self
    }

    /// What happened, in one sentence without its full stop: the line behind the bell and the subject of the letter.
    pub fn sentence(&self) -> String {
        let organization = self
            .organization
            .as_ref()
            .map_or("an organization", |place| place.name.as_str());
        let actor = self.actor.as_deref().unwrap_or("Somebody");
        // The owners hear of an invitation that somebody else sent.
        let whose = self
            .actor
            .as_ref()
            .map_or_else(|| "your".to_owned(), |inviter| format!("{inviter}'s"));
        let subject = self.subject.as_deref().unwrap_or("somebody");
        let after = self.after.as_deref().unwrap_or_default();
        match self.kind {
            NotificationKind::InvitationAccepted => {
                format!("{actor} joined {organization} as {after}")
            }
            NotificationKind::InvitationRejected => {
                format!("{subject} rejected {whose} invitation to {organization}")
            }
            NotificationKind::InvitationAskedFor => {
                format!("{subject} asks for a new invitation to {organization}")
            }
            NotificationKind::InvitationLapsed => match &self.actor {
                None => format!("Your invitation for {subject} to {organization} has expired"),
                Some(inviter) => format!(
                    "The invitation of {inviter} for {subject} to {organization} has expired"
                ),
            },
            NotificationKind::RoleChanged => {
                format!("{actor} changed your role in {organization} to {after}")
            }
            NotificationKind::Removed => format!("{actor} removed you from {organization}"),
            NotificationKind::OwnershipTransferred => {
                format!("{actor} transferred ownership of {organization} to {subject}")
            }
            NotificationKind::OrganizationDeleted => format!("{actor} deleted {organization}"),
            NotificationKind::SignedIn => "A new browser signed in to your account".to_owned(),
            NotificationKind::PasswordChanged => "Your password was changed".to_owned(),
            NotificationKind::EmailChanged => "Your email address was changed".to_owned(),
        }
    }

    /// What follows from it, or how it came about: a second sentence, with its full stop. May be empty.
    pub fn detail(&self) -> String {
        let subject = self.subject.as_deref().unwrap_or("An unknown browser");
        let (before, after) = (
            self.before.as_deref().unwrap_or_default(),
            self.after.as_deref().unwrap_or_default(),
        );
        match self.kind {
            NotificationKind::InvitationAccepted => format!("You invited {subject}."),
            NotificationKind::InvitationRejected => {
                "They won't join unless you invite them again.".to_owned()
            }
            NotificationKind::InvitationAskedFor => {
                "Their invitation has expired. Resend it if they should still join.".to_owned()
            }
            NotificationKind::InvitationLapsed => "Resend it if they should still join.".to_owned(),
            NotificationKind::RoleChanged => format!("From {before} to {after}."),
            NotificationKind::Removed => {
                "You no longer have access. You need a new invitation to come back.".to_owned()
            }
            NotificationKind::OwnershipTransferred => format!("You are {after} there now."),
            NotificationKind::OrganizationDeleted => "Nobody has access to it any more.".to_owned(),
            NotificationKind::SignedIn => format!(
                "{subject}. If that wasn't you, choose a new password and sign out everywhere."
            ),
            NotificationKind::PasswordChanged => {
                "If that wasn't you, ask for a new password at once.".to_owned()
            }
            NotificationKind::EmailChanged => {
                format!(
                    "From {before} to {after}. If that wasn't you, ask your administrator for help."
                )
            }
        }
    }
}
