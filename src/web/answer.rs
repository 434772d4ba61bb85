//! Rendered pages as answers.

use super::problem::{Explained, Problem};
use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{ContentType, RETRY_AFTER},
    },
};
use askama::Template;

/// A page with this status.
///
/// # Errors
/// A template that cannot render: a defect.
pub fn html(status: StatusCode, template: &impl Template) -> Result<HttpResponse, Problem> {
    let body = template.render()?;
    Ok(HttpResponse::build(status)
        .content_type(ContentType::html())
        .body(body))
}

/// A page with status 200.
///
/// # Errors
/// As [`html`].
pub fn ok(template: &impl Template) -> Result<HttpResponse, Problem> {
    html(StatusCode::OK, template)
}

/// A form shown again with what was wrong: 422, or the status of the refusal, and when to come back.
///
/// # Errors
/// As [`html`].
pub(super) fn again(
    template: &impl Template,
    refused: Option<&Explained>,
) -> Result<HttpResponse, Problem> {
    let status = refused.map_or(StatusCode::UNPROCESSABLE_ENTITY, |why| why.status);
    let mut response = html(status, template)?;
    if let Some(seconds) = refused.and_then(|why| why.retry_after) {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    Ok(response)
}
