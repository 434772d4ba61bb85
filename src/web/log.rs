//! One log line for each request: method, route and status. The route, never the address: links hold tokens.

use super::app::App;
use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderName, HeaderValue},
    middleware::Next,
    web::Data,
};
use std::time::Instant;
use tracing::Instrument as _;

/// Logs the request, and names it in `X-Request-Id`.
///
/// # Errors
/// What the handler answers.
pub async fn requests<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let id = request
        .app_data::<Data<App>>()
        .map(|app| {
            app.means
                .entropy
                .uuid_v7(app.clock.now())
                .simple()
                .to_string()
        })
        .unwrap_or_default();
    let route = request.match_pattern().unwrap_or_else(|| "none".to_owned());
    let span = tracing::info_span!("request", id, method = %request.method(), route);
    let start = Instant::now();
    async move {
        let mut response = next.call(request).await?;
        tracing::info!(
            status = response.status().as_u16(),
            ms = start.elapsed().as_secs_f64() * 1000.0,
            "served"
        );
        if let Ok(value) = HeaderValue::from_str(&id) {
            response
                .headers_mut()
                .insert(HeaderName::from_static("x-request-id"), value);
        }
        Ok(response)
    }
    .instrument(span)
    .await
}
