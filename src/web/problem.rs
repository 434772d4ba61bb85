//! Every way a request can fail, and how each looks: status, code, title, advice and a way on, decided in one `match`.

use super::{
    page::{self, WayOn},
    urls,
};
use crate::{
    actions::Failure,
    domain::{
        policy::{self, Denied},
        refusal::Refusal,
        role::Role,
        time::Timestamp,
    },
    turns::Busy,
};
use actix_web::http::StatusCode;
use std::fmt;

/// Why a request has no answer of its own.
#[derive(Clone, Debug)]
pub enum Problem {
    /// The action said no, or could not.
    Failure(Failure),
    /// The session has to accept a newer version of a legal document before anything else (R-ACC-9).
    ConsentDue,
    /// Not from one of our own pages, or from one that is too old.
    Forged,
    /// More than the form takes; the text says how much that is, like "64 kB".
    TooLarge(String),
    /// The body did not come in time.
    TooSlow,
    /// Not a form.
    UnsupportedType,
    /// A form with fields that are missing, unknown or unreadable; the text says which.
    BadForm(String),
    /// The address exists, not with this method.
    WrongMethod,
}

impl Problem {
    /// There is nothing here.
    pub const fn not_found() -> Self {
        Self::Failure(Failure::NotFound)
    }

    /// A defect; the text goes to the log.
    pub fn broken(why: impl Into<String>) -> Self {
        Self::Failure(Failure::Broken(why.into()))
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Failure(Failure::Refused(refusal))
    }
}

impl From<askama::Error> for Problem {
    fn from(error: askama::Error) -> Self {
        Self::broken(format!("cannot render: {error}"))
    }
}

impl From<Busy> for Problem {
    fn from(busy: Busy) -> Self {
        Self::Failure(Failure::Unavailable {
            repeat: false,
            why: busy.to_string(),
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failure(failure) => failure.fmt(f),
            Self::ConsentDue => f.write_str("consent is due"),
            Self::Forged => f.write_str("form token or origin does not fit"),
            Self::TooLarge(most) => write!(f, "body over {most}"),
            Self::TooSlow => f.write_str("body too slow"),
            Self::UnsupportedType => f.write_str("not a form"),
            Self::BadForm(why) => write!(f, "bad form: {why}"),
            Self::WrongMethod => f.write_str("wrong method"),
        }
    }
}

/// When to come back after a 503, in seconds.
const RETRY_AFTER: u64 = 2;

/// How a problem looks.
pub(super) struct Explained {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) title: String,
    pub(super) advice: String,
    pub(super) ways: Vec<WayOn>,
    /// Seconds, for `Retry-After`.
    pub(super) retry_after: Option<u64>,
}

impl Explained {
    fn new(
        status: StatusCode,
        code: &'static str,
        title: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            title: title.into(),
            advice: advice.into(),
            ways: Vec::new(),
            retry_after: None,
        }
    }

    fn way(mut self, way: WayOn) -> Self {
        self.ways.push(way);
        self
    }

    fn until(mut self, until: Timestamp, now: Option<Timestamp>) -> Self {
        self.retry_after = Some(now.map_or(60, |now| page::retry_after(until, now)));
        self
    }
}

/// The one place where problems become answers.
pub(super) fn explain(problem: &Problem, now: Option<Timestamp>) -> Explained {
    match problem {
        Problem::Failure(Failure::SignedOut) => Explained::new(
            StatusCode::UNAUTHORIZED,
            "signed_out",
            "Please sign in",
            "You are not signed in, or your session has ended.",
        )
        .way(WayOn::to("Sign in", urls::SIGN_IN)),
        Problem::Failure(Failure::NotFound) => Explained::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "We can't find that page.",
            "Check the address, or go back to your organizations.",
        )
        .way(WayOn::to("Your organizations", "/")),
        Problem::Failure(Failure::Denied(denied)) => denied_page(*denied),
        Problem::Failure(Failure::Refused(refusal)) => refused_page(refusal, now),
        Problem::Failure(Failure::Unavailable { .. }) => {
            let mut page = Explained::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "Roster is busy",
                "Nothing was changed. Try again in a moment.",
            );
            page.retry_after = Some(RETRY_AFTER);
            page
        }
        Problem::Failure(Failure::Unsure(_)) => {
            let mut page = Explained::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unsure",
                "We can't tell whether that worked",
                "The database went away at the last moment. Look whether it was done before you try again.",
            );
            page.retry_after = Some(RETRY_AFTER);
            page
        }
        Problem::Failure(Failure::Broken(_)) => Explained::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "broken",
            "Something went wrong",
            "That is our fault, and nothing was changed. It was noted in the server's log.",
        ),
        Problem::ConsentDue => {
            let mut page = refused_page(&Refusal::ConsentMissing, now);
            page.status = StatusCode::FORBIDDEN;
            page
        }
        Problem::Forged => Explained::new(
            StatusCode::FORBIDDEN,
            "form_expired",
            "This form is out of date",
            "Nothing was changed. Go back, reload the page and try again.",
        ),
        Problem::TooLarge(most) => Explained::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "That is too much at once",
            format!("Nothing was changed. Send at most {most} in one go."),
        ),
        Problem::TooSlow => Explained::new(
            StatusCode::REQUEST_TIMEOUT,
            "too_slow",
            "That took too long",
            "Nothing was changed. Try again.",
        ),
        Problem::UnsupportedType => Explained::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_type",
            "We can't read that",
            "Send a form (application/x-www-form-urlencoded).",
        ),
        Problem::BadForm(why) => Explained::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_form",
            "We can't read that form",
            format!("Nothing was changed. {}.", page::capitalized(why)),
        ),
        Problem::WrongMethod => Explained::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "wrong_method",
            "That doesn't work here",
            "This address exists, but not for this kind of request.",
        ),
    }
}

fn denied_page(denied: Denied) -> Explained {
    let roles: Vec<String> = policy::roles_that_can(denied.permission)
        .into_iter()
        .map(plural)
        .collect();
    let roles = page::and(&roles);
    Explained::new(
        StatusCode::FORBIDDEN,
        "denied",
        "Your role doesn't allow that",
        format!(
            "Only {roles} can {}. You are {} here.",
            denied.permission.label(),
            with_article(denied.role)
        ),
    )
}

fn plural(role: Role) -> String {
    format!("{}s", role.label().to_lowercase())
}

fn with_article(role: Role) -> String {
    let article = if matches!(role, Role::Owner | Role::Admin) {
        "an"
    } else {
        "a"
    };
    format!("{article} {}", role.label())
}

fn refused_page(refusal: &Refusal, now: Option<Timestamp>) -> Explained {
    let gone =
        |title: &str, advice: &str| Explained::new(StatusCode::GONE, refusal.code(), title, advice);
    let conflict = |title: &str, advice: String| {
        Explained::new(StatusCode::CONFLICT, refusal.code(), title, advice)
    };
    let limit = |title: &str, advice: String, until: &Timestamp| {
        Explained::new(StatusCode::TOO_MANY_REQUESTS, refusal.code(), title, advice)
            .until(*until, now)
    };
    let wait =
        |until: &Timestamp| now.map_or_else(|| "a while".to_owned(), |now| page::wait(*until, now));
    match refusal {
        Refusal::LinkUnknown => Explained::new(
            StatusCode::NOT_FOUND,
            refusal.code(),
            "We can't find that invitation.",
            "Check that you copied the whole link from the email.",
        ),
        Refusal::LinkExpired(at) => {
            gone("This invitation has expired.", &format!("It was valid until {}.", at.date_and_time()))
        }
        Refusal::LinkRevoked | Refusal::OrganizationDeleted => {
            gone("This invitation is no longer valid.", "It was withdrawn.")
        }
        Refusal::LinkReplaced => {
            gone("A newer invitation was sent to this address.", "Look for the latest email, and use the link in it.")
        }
        Refusal::LinkUsed => {
            gone("This link has already been used.", "Invitation links work once.").way(WayOn::to("Sign in", urls::SIGN_IN))
        }
        Refusal::LinkRejected => gone("You rejected this invitation.", ""),
        Refusal::WrongAccount { invited, signed_in_as } => Explained::new(
            StatusCode::FORBIDDEN,
            refusal.code(),
            "This invitation is for another address.",
            format!("It was sent to {invited}. You're signed in as {signed_in_as}."),
        ),
        Refusal::AlreadyMember(name) => {
            conflict("They are a member already", format!("{name} is in this organization with that address."))
        }
        Refusal::StaleRole { now: role, by } => conflict(
            "Somebody else changed this meanwhile",
            match by {
                Some(by) => format!("{by} changed the role to {role}. Nothing else was changed. Reload the page to go on from there."),
                None => format!("The role is {role} now. Nothing else was changed. Reload the page to go on from there."),
            },
        ),
        Refusal::OwnMembership => conflict(
            "That's you",
            "Nobody changes their own role or removes themselves. You can leave, or transfer ownership.".to_owned(),
        ),
        Refusal::LastOwner => conflict(
            "You're the only owner",
            "An organization always has an owner. Transfer ownership before you leave.".to_owned(),
        ),
        Refusal::WrongPassword => {
            Explained::new(StatusCode::UNPROCESSABLE_ENTITY, refusal.code(), "That didn't work", "That is not your password.")
        }
        Refusal::SlugDiffers => Explained::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            refusal.code(),
            "That didn't work",
            "That is not the name in the organization's address.",
        ),
        Refusal::OnlyOwnerOf(names) => conflict(
            "You're the only owner",
            format!("Transfer ownership of {} first, or delete what nobody needs.", page::and(names)),
        ),
        Refusal::OrganizationFull(name) => conflict(
            &format!("{name} can't add more members right now."),
            "All its seats are taken. Ask one of its owners or admins. Your invitation stays as it is.".to_owned(),
        ),
        Refusal::AddressUnverified => Explained::new(
            StatusCode::FORBIDDEN,
            refusal.code(),
            "Confirm your address first",
            "Roster sends letters on your behalf once your own address is confirmed. Open the link in the letter we sent you.",
        )
        .way(WayOn::to("Confirm your address", urls::ACCOUNT_EMAIL)),
        Refusal::ConsentMissing => Explained::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            refusal.code(),
            "Something to agree to first",
            "Accept the current versions of the legal documents first.",
        ),
        Refusal::ProofUnknown => Explained::new(
            StatusCode::NOT_FOUND,
            refusal.code(),
            "We can't find that link.",
            "Check that you copied the whole link from the email.",
        ),
        Refusal::ProofUsed => gone("This link has already been used.", "Or a newer one was sent: look for the latest email."),
        Refusal::ProofExpired(at) => {
            gone("This link has expired.", &format!("It was valid until {}. Ask for a new one.", at.date_and_time()))
        }
        Refusal::ProofOfAnother => Explained::new(
            StatusCode::FORBIDDEN,
            refusal.code(),
            "This letter is about another account",
            "Sign out, sign in as the person who asked for the new address, and open the link again.",
        ),
        Refusal::EmailTaken => conflict("That address is taken", "Another account has it.".to_owned()),
        Refusal::NoMail => conflict(
            "This server sends no mail",
            "That needs a letter, and email isn't set up on this server. Ask its administrator for help.".to_owned(),
        ),
        Refusal::InvitationClosed => {
            conflict("This invitation has ended", "It can't be changed any more. Invite them again instead.".to_owned())
        }
        Refusal::InvitationExpired => {
            conflict("This invitation has expired", "Resend it: they get a new link.".to_owned())
        }
        Refusal::LinkKeyGone => conflict(
            "This link no longer works",
            "It was made with a key that this server does not have any more. Resend the invitation: they get a new link.".to_owned(),
        ),
        Refusal::Cooldown(until) => limit(
            "Just a moment",
            format!("A mail to this address went out less than a minute or so ago. You can resend in {}.", wait(until)),
            until,
        ),
        Refusal::MailQuota(until) => limit(
            "Too many invitation mails today",
            format!("The daily limit is used up. You can send again in {}, or copy the link and share it yourself.", wait(until)),
            until,
        ),
        Refusal::AskedAlready(until) => limit(
            "You have asked already",
            format!("Your wish was passed on. You can ask again in {}.", wait(until)),
            until,
        ),
        Refusal::TooManyAttempts(until) => {
            limit("Too many attempts", format!("Wait {} and try again.", wait(until)), until)
        }
        Refusal::WrongCredentials => Explained::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            refusal.code(),
            "That didn't work",
            "Email or password is not right.",
        ),
        Refusal::CannotSignUp => Explained::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            refusal.code(),
            "That didn't work",
            "We can't create an account with this address. If it is yours already, sign in instead.",
        ),
        Refusal::SignUpClosed => Explained::new(
            StatusCode::FORBIDDEN,
            refusal.code(),
            "Accounts are by invitation",
            "On this server you need an invitation to create an account. Ask somebody who is in already.",
        )
        .way(WayOn::to("Sign in", urls::SIGN_IN)),
    }
}
