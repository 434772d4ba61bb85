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

/// Room for a full list, in bytes: a page that outgrows its room is copied each time. Freeing 64 KiB or more makes
/// glibc tidy up all of its memory.
const FULL_PAGE: usize = 60 * 1024;

/// A page with this status.
///
/// # Errors
/// A template that cannot render: a defect.
pub fn html(status: StatusCode, template: &impl Template) -> Result<HttpResponse, Problem> {
    let mut body = String::with_capacity(FULL_PAGE);
    template.render_into(&mut body)?;
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
