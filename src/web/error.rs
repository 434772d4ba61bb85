//! Problems become answers here: a middleware that can see the request renders them as a page or as problem+json.

use super::{
    answer,
    app::App,
    form::wants_json,
    log,
    page::{self, Helper, WayOn},
    problem::{Explained, Problem, explain},
    urls,
    visit::{Seen, Visit},
};
use crate::{
    actions::Failure,
    domain::{
        ids::{AccountId, OrganizationId},
        refusal::Refusal,
        role::Role,
    },
    store,
};
use actix_web::{
    Error, HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{Method, StatusCode, header},
    middleware::Next,
    web::Data,
};
use askama::Template;
use futures_util::FutureExt as _;
use std::panic::AssertUnwindSafe;

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        explain(self, None).status
    }

    /// The page without a visitor: [`render`] puts a better one in its place wherever the request is still known, which
    /// it is not after a panic.
    fn error_response(&self) -> HttpResponse {
        let explained = explain(self, None);
        let cx = page::Cx::anonymous("error", explained.title.clone());
        let mut response = HttpResponse::build(explained.status);
        if let Some(seconds) = explained.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        let shown = ErrorPage::new(&cx, explained, Vec::new());
        with_headers(response)
            .content_type(header::ContentType::html())
            .body(shown.render().unwrap_or_default())
    }
}

/// The headers of every answer, for one that no longer meets the middleware that adds them.
fn with_headers(mut response: HttpResponseBuilder) -> HttpResponseBuilder {
    for header in super::HEADERS {
        response.insert_header(header);
    }
    response
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
    /// What to quote when asking for help: only where the fault is ours, and the log says more.
    request_id: Option<String>,
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
            request_id: quotable(explained.status),
        }
    }
}

const PROBLEM_JSON: &str = "application/problem+json";

fn quotable(status: StatusCode) -> Option<String> {
    status.is_server_error().then(log::request_id).flatten()
}

/// Owners and admins named on a 403.
const HELPERS: i64 = 3;

/// Gives the request its time limit at the database, catches panics and puts the real answer in the place of every [`Problem`].
///
/// # Errors
/// Only after a panic: the request is gone with it, and actix shows [`Problem::error_response`].
pub async fn render<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let wants_json = wants_json(request.request());
    let answered = store::hurried(AssertUnwindSafe(next.call(request)).catch_unwind());
    match answered.await {
        Ok(Ok(response)) => match problem_of(&response) {
            None => Ok(response.map_into_left_body()),
            Some(problem) => {
                let request = response.into_parts().0;
                let mut answer = answer(&request, &problem).await;
                if matches!(problem, Problem::WrongMethod) {
                    name_methods(&request, answer.headers_mut());
                }
                Ok(ServiceResponse::new(request, answer.map_into_right_body()))
            }
        },
        Ok(Err(error)) => Err(error),
        Err(_) => {
            tracing::error!("a handler panicked");
            Err(after_panic(wants_json))
        }
    }
}

/// Says in `Allow` which methods the address takes (RFC 9110, 15.5.6).
fn name_methods(request: &HttpRequest, headers: &mut header::HeaderMap) {
    let pattern = request.match_pattern().unwrap_or_default();
    let known = super::ROUTES.iter().filter(|(_, path)| *path == pattern);
    let methods: Vec<&str> = known
        .flat_map(|(method, _)| match *method {
            "GET" => vec!["GET", "HEAD"],
            other => vec![other],
        })
        .collect();
    if let Ok(value) = header::HeaderValue::from_str(&methods.join(", ")) {
        headers.insert(header::ALLOW, value);
    }
}

/// The request is gone, and what the panic said is nobody's business.
fn after_panic(wants_json: bool) -> Error {
    let problem = Problem::broken("a handler panicked");
    if !wants_json {
        return problem.into();
    }
    let explained = explain(&problem, None);
    let response = with_headers(HttpResponse::build(explained.status))
        .content_type(PROBLEM_JSON)
        .body(json_of(&explained));
    InternalError::from_response(problem, response).into()
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
    if matches!(
        problem,
        Problem::ConsentDue | Problem::Failure(Failure::Refused(Refusal::ConsentMissing))
    ) {
        // What a POST wanted is not done, and not done afterwards either: the person goes on from their own pages.
        let next = reading
            .then(|| request.uri().path_and_query())
            .flatten()
            .map_or("/", |path| path.as_str());
        return HttpResponse::SeeOther()
            .insert_header((header::LOCATION, urls::consent_and_on(next)))
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
        Problem::Failure(Failure::Unavailable { why, .. } | Failure::Unsure(why)) => {
            tracing::warn!(route, why, "request put off");
        }
        Problem::Failure(Failure::Denied(denied)) => {
            tracing::info!(
                route,
                client = client(request),
                role = denied.role.as_str(),
                permission = denied.permission.code(),
                "authz.denied"
            );
        }
        // Many of these say that PUBLIC_URL is not the address that people use.
        Problem::Forged => tracing::info!(client = client(request), "csrf.refused"),
        _ => {}
    }
}

fn client(request: &HttpRequest) -> String {
    Visit::of(request).map_or_else(|_| String::new(), |visit| visit.client.address)
}

fn json(explained: &Explained) -> HttpResponse {
    let mut response = HttpResponse::build(explained.status);
    if let Some(seconds) = explained.retry_after {
        response.insert_header((header::RETRY_AFTER, seconds));
    }
    response.content_type(PROBLEM_JSON).body(json_of(explained))
}

/// RFC 9457.
fn json_of(explained: &Explained) -> String {
    let mut body = serde_json::json!({
        "type": "about:blank",
        "title": explained.title,
        "status": explained.status.as_u16(),
        "detail": explained.advice,
        "code": explained.code,
    });
    if let Some(id) = quotable(explained.status) {
        body["request_id"] = id.into();
    }
    body.to_string()
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
        Problem::Failure(Failure::Unavailable { .. } | Failure::Unsure(_) | Failure::Broken(_))
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
    let unproved = matches!(
        problem,
        Problem::Failure(Failure::Refused(Refusal::AddressUnverified))
    );
    if let Some(place) = seen.place()
        && !unproved
    {
        explained.ways = vec![WayOn::to(
            format!("Open {}", place.name),
            urls::organization(&place.slug),
        )];
    }
    let cx = visit.frame(&seen, "error", explained.title.clone());
    let (status, retry_after) = (explained.status, explained.retry_after);
    let mut response = answer::html(status, &ErrorPage::new(&cx, explained, helpers))?;
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
