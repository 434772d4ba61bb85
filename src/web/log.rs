//! One log line for each request: method, route, status and time. The route, never the address: links hold tokens.
//!
//! The id of the request is on every line that is logged on its behalf, on whichever thread, because they all happen in
//! its span. The span is of level *error*: it must be there whatever the log leaves out.

use super::{ROUTES, app::App, problem::Problem, visit::Visit};
use crate::{
    actions::Failure,
    domain::refusal::Refusal,
    metrics::{Labels, PasswordForm, PasswordResult},
};
use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        Method,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::Data,
};
use std::{collections::HashMap, sync::LazyLock};
use tracing::Instrument as _;

/// The route of addresses that lead nowhere.
const NOWHERE: &str = "none";

tokio::task_local! {
    static REQUEST_ID: String;
}

/// The id of the request that is being answered; nothing outside of one.
pub(super) fn request_id() -> Option<String> {
    REQUEST_ID.try_with(Clone::clone).ok()
}

/// Logs and counts the request, and names it in `X-Request-Id`.
///
/// # Errors
/// What the handler answers, with the request's name on it too.
pub async fn requests<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let Some(app) = request.app_data::<Data<App>>() else {
        return next.call(request).await;
    };
    let entropy = &app.means.entropy;
    let id = entropy.uuid_v7(app.clock.now()).simple().to_string();
    let under_way = app.metrics.begin();
    let route = route(&request);
    let method = method(request.method());
    let labels = Labels {
        method,
        route,
        kind: kind(method, route),
    };
    let span = tracing::error_span!("request", id, method, route);
    let answering = REQUEST_ID.scope(id.clone(), async move {
        let (status, answer) = match next.call(request).await {
            Ok(mut response) => {
                name(response.headers_mut(), &id);
                (response.status(), Ok(response))
            }
            Err(error) => {
                let mut response = error.error_response();
                name(response.headers_mut(), &id);
                let status = response.status();
                let named = InternalError::from_response(error, response);
                (status, Err(named.into()))
            }
        };
        under_way.answered(labels, status.as_u16());
        tracing::info!(
            status = status.as_u16(),
            ms = (under_way.elapsed().as_secs_f64() * 100_000.0).round() / 100.0,
            "served"
        );
        answer
    });
    answering.instrument(span).await
}

fn name(headers: &mut HeaderMap, id: &str) {
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(HeaderName::from_static("x-request-id"), value);
    }
}

/// The pattern in the table of routes. What is not in it is nowhere: a pattern with anything else in it would be a label
/// or a log line that a visitor can make up.
fn route(request: &ServiceRequest) -> &'static str {
    static KNOWN: LazyLock<HashMap<&str, &'static str>> =
        LazyLock::new(|| ROUTES.iter().map(|(_, path)| (*path, *path)).collect());
    let pattern = request.match_pattern();
    pattern
        .and_then(|pattern| KNOWN.get(pattern.as_str()).copied())
        .unwrap_or(NOWHERE)
}

/// HTTP lets visitors invent methods.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        _ => "other",
    }
}

/// What belongs in one histogram: things that should take about equally long.
fn kind(method: &'static str, route: &'static str) -> &'static str {
    match route {
        NOWHERE => "none",
        "/livez" | "/readyz" => "probe",
        "/static/{file:.*}" | "/favicon.ico" | "/avatars/{id}" => "file",
        _ if matches!(method, "GET" | "HEAD") => "page",
        _ => "form",
    }
}

/// Counts a password that somebody typed, and logs a refusal: from where it came, never the address that was typed.
/// That may be anybody's, or a password in the wrong field; and who guesses is known by where they are.
pub(super) fn password(visit: &Visit, form: PasswordForm, result: PasswordResult) {
    visit.app.metrics.password(form, result);
    let (client, form, words) = (&visit.client.address, form.as_str(), result.as_str());
    match result {
        PasswordResult::Ok => {}
        PasswordResult::Wrong => tracing::info!(client, form, result = words, "password.refused"),
        PasswordResult::Throttled | PasswordResult::Busy => {
            tracing::warn!(client, form, result = words, "password.refused");
        }
    }
}

/// As [`password`], for an attempt that ended before the password was looked at; other problems are none of its business.
pub(super) fn password_put_off(visit: &Visit, form: PasswordForm, problem: &Problem) {
    if let Problem::Failure(Failure::Refused(Refusal::TooManyAttempts(_))) = problem {
        password(visit, form, PasswordResult::Throttled);
    }
}
