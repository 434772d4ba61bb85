//! Every way a request can fail, and how each looks: status, code, title, advice and a way on, decided in one `match`.
//!
//! Handlers answer `Err(Problem)`; a middleware that can see the request renders it as a page or as problem+json.

use super::{
    app::App,
    form::wants_json,
    page::{self, Helper, WayOn},
    urls,
    visit::{Seen, Visit},
};
use crate::{
    actions::Failure,
    domain::{
        ids::{AccountId, OrganizationId},
        policy,
        refusal::{Denied, Refusal},
        role::Role,
        time::Timestamp,
    },
    password::Busy,
    store,
};
use actix_web::{
    Error, HttpRequest, HttpResponse, ResponseError,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode, header},
    middleware::Next,
    web::Data,
};
use askama::Template;
use futures_util::FutureExt as _;
use std::{fmt, panic::AssertUnwindSafe};

/// Why a request has no answer of its own.
#[derive(Clone, Debug)]
pub enum Problem {
    /// The action said no, or could not.
    Failure(Failure),
    /// Not from one of our own pages, or from one that is too old.
    Forged,
    /// More bytes than any form of ours.
    TooLarge,
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

impl From<Busy> for Problem {
    fn from(_: Busy) -> Self {
        Self::Failure(Failure::Unavailable {
            repeat: false,
            why: "too many passwords to check at once".to_owned(),
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failure(failure) => failure.fmt(f),
            Self::Forged => f.write_str("form token or origin does not fit"),
            Self::TooLarge => f.write_str("body too large"),
            Self::TooSlow => f.write_str("body too slow"),
            Self::UnsupportedType => f.write_str("not a form"),
            Self::BadForm(why) => write!(f, "bad form: {why}"),
            Self::WrongMethod => f.write_str("wrong method"),
        }
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        explain(self, None).status
    }

    /// The page without a visitor: [`render`] puts a better one in its place wherever the request is still known, which
    /// it is not after a panic.
    fn error_response(&self) -> HttpResponse {
        let explained = explain(self, None);
        let cx = page::Cx::anonymous("error", explained.title.clone());
        let shown = ErrorPage::new(&cx, explained, Vec::new())
            .render()
            .unwrap_or_default();
        let mut response = HttpResponse::build(self.status_code());
        for (name, value) in super::HEADERS {
            response.insert_header((name, value));
        }
        response
            .content_type(header::ContentType::html())
            .body(shown)
    }
}

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
            page.retry_after = Some(2);
            page
        }
        Problem::Failure(Failure::Broken(_)) => Explained::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "broken",
            "Something went wrong",
            "That is our fault, and nothing was changed. It was noted in the server's log.",
        ),
        Problem::Forged => Explained::new(
            StatusCode::FORBIDDEN,
            "form_expired",
            "This form is out of date",
            "Nothing was changed. Go back, reload the page and try again.",
        ),
        Problem::TooLarge => Explained::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "That is too much at once",
            "Nothing was changed. Send less in one go.",
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
    let roles = match roles.as_slice() {
        [most @ .., last] if !most.is_empty() => format!("{} and {last}", most.join(", ")),
        _ => roles.concat(),
    };
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
        Refusal::StaleRole(role) => conflict(
            "Somebody else changed this meanwhile",
            format!("The role is {role} now. Nothing else was changed. Reload the page to go on from there."),
        ),
        Refusal::InvitationClosed(_) => {
            conflict("This invitation has ended", "It can't be changed any more. Invite them again instead.".to_owned())
        }
        Refusal::InvitationExpired => {
            conflict("This invitation has expired", "Resend it: they get a new link.".to_owned())
        }
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
            format!("The person who invited you was told. You can ask again in {}.", wait(until)),
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

/// The only error page.
#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    cx: &'a page::Cx,
    status: u16,
    title: String,
    advice: String,
    helpers: Vec<Helper>,
    ways: Vec<WayOn>,
}

impl<'a> ErrorPage<'a> {
    fn new(cx: &'a page::Cx, explained: Explained, helpers: Vec<Helper>) -> Self {
        Self {
            cx,
            status: explained.status.as_u16(),
            title: explained.title,
            advice: explained.advice,
            helpers,
            ways: explained.ways,
        }
    }
}

/// Owners and admins named on a 403.
const HELPERS: i64 = 3;

/// Catches panics and puts the real answer in the place of every [`Problem`].
///
/// # Errors
/// Only after a panic: the request is gone with it, and actix shows [`Problem::error_response`].
pub async fn render<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(Ok(response)) => match problem_of(&response) {
            None => Ok(response.map_into_left_body()),
            Some(problem) => {
                let request = response.into_parts().0;
                let answer = answer(&request, &problem).await.map_into_right_body();
                Ok(ServiceResponse::new(request, answer))
            }
        },
        Ok(Err(error)) => Err(error),
        Err(_) => {
            tracing::error!("a handler panicked");
            Err(Problem::broken("a handler panicked").into())
        }
    }
}

fn problem_of<B>(response: &ServiceResponse<B>) -> Option<Problem> {
    Some(from_error(response.response().error()?))
}

/// actix's own extractors answer with errors of theirs; what they mean is a bad address or a bad form.
fn from_error(error: &Error) -> Problem {
    match error.as_error::<Problem>() {
        Some(problem) => problem.clone(),
        None => match error.as_response_error().status_code() {
            StatusCode::NOT_FOUND => Problem::not_found(),
            status if status.is_server_error() => Problem::broken(error.to_string()),
            _ => Problem::BadForm(error.to_string()),
        },
    }
}

/// The answer to a problem: a page, or problem+json for a program.
async fn answer(request: &HttpRequest, problem: &Problem) -> HttpResponse {
    note(request, problem);
    let now = request.app_data::<Data<App>>().map(|app| app.now());
    let explained = explain(problem, now);
    if wants_json(request) {
        return json(&explained);
    }
    let reading = matches!(*request.method(), Method::GET | Method::HEAD);
    if matches!(problem, Problem::Failure(Failure::SignedOut)) {
        let url = if reading {
            urls::sign_in_and_back(
                request
                    .uri()
                    .path_and_query()
                    .map_or("/", |path| path.as_str()),
            )
        } else {
            urls::SIGN_IN.to_owned()
        };
        return HttpResponse::SeeOther()
            .insert_header((header::LOCATION, url))
            .finish();
    }
    match page_of(request, problem, explained).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "cannot show the error page");
            HttpResponse::InternalServerError().body("Something went wrong.")
        }
    }
}

/// What an operator should know. Never a link, a token or a form.
fn note(request: &HttpRequest, problem: &Problem) {
    let route = request.match_pattern().unwrap_or_default();
    match problem {
        Problem::Failure(Failure::Broken(why)) => tracing::error!(route, why, "request failed"),
        Problem::Failure(Failure::Unavailable { why, .. }) => {
            tracing::warn!(route, why, "request put off")
        }
        Problem::Failure(Failure::Denied(denied)) => {
            tracing::info!(
                route,
                role = denied.role.as_str(),
                permission = denied.permission.code(),
                "authz.denied"
            );
        }
        _ => {}
    }
}

fn json(explained: &Explained) -> HttpResponse {
    let mut response = HttpResponse::build(explained.status);
    if let Some(seconds) = explained.retry_after {
        response.insert_header((header::RETRY_AFTER, seconds));
    }
    let body = serde_json::json!({
        "type": "about:blank",
        "title": explained.title,
        "status": explained.status.as_u16(),
        "detail": explained.advice,
        "code": explained.code,
    });
    response
        .content_type("application/problem+json")
        .body(body.to_string())
}

async fn page_of(
    request: &HttpRequest,
    problem: &Problem,
    explained: Explained,
) -> Result<HttpResponse, Problem> {
    let visit = Visit::of(request)?;
    let slug = request.match_info().get("org").map(str::to_owned);
    let organization_page = slug.is_some();
    let denied = matches!(problem, Problem::Failure(Failure::Denied(_)));
    let troubled = matches!(
        problem,
        Problem::Failure(Failure::Unavailable { .. } | Failure::Broken(_))
    );
    let nobody = || Seen::anonymous(visit.app.now());
    let (seen, helpers) = if troubled {
        (nobody(), Vec::new())
    } else {
        visit
            .anyone(slug, move |conn, seen| match seen.place() {
                Some(place) if denied => helpers(conn, place.organization, HELPERS, None),
                _ => Ok(Vec::new()),
            })
            .await
            .unwrap_or_else(|_| (nobody(), Vec::new()))
    };
    let mut explained = explained;
    let not_found = matches!(problem, Problem::Failure(Failure::NotFound));
    if not_found && organization_page && seen.place().is_none() {
        explained.title = "We can't find that organization.".to_owned();
        explained.advice = "It may not exist, you may have left or been removed, or it was deleted. Ask one of its owners for an invitation.".to_owned();
    }
    if let Some(place) = seen.place() {
        explained.ways = vec![WayOn::to(
            format!("Open {}", place.name),
            urls::organization(&place.slug),
        )];
    }
    let cx = visit.frame(&seen, "error", explained.title.clone());
    let (status, retry_after) = (explained.status, explained.retry_after);
    let mut response = page::html(status, &ErrorPage::new(&cx, explained, helpers))?;
    if let Some(seconds) = retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

/// Owners first, then Admins: who can help with a role that is too low.
pub(super) fn helpers(
    conn: &mut store::Conn,
    organization: OrganizationId,
    most: i64,
    me: Option<AccountId>,
) -> Result<Vec<Helper>, Failure> {
    let mut helpers = Vec::new();
    for role in [Role::Owner, Role::Admin] {
        for (account, name) in store::memberships::with_role(conn, organization, role, most)? {
            let you = me == Some(account);
            helpers.push(Helper {
                name,
                role_label: role.label().to_owned(),
                you,
            });
        }
    }
    Ok(helpers)
}

/// For resources that do not know the method they were asked with.
///
/// # Errors
/// Always [`Problem::WrongMethod`].
pub async fn wrong_method() -> Result<HttpResponse, Problem> {
    Err(Problem::WrongMethod)
}

/// For addresses that lead nowhere.
///
/// # Errors
/// Always [`Problem::not_found`].
pub async fn nowhere() -> Result<HttpResponse, Problem> {
    Err(Problem::not_found())
}
