//! For load balancers: is the process there, can it serve.

use super::{app::App, problem::Problem};
use crate::store;
use actix_web::{HttpResponse, web::Data};

/// `GET /livez`: the process answers.
pub(super) async fn livez() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("ok\n")
}

/// `GET /readyz`: the database answers too.
pub(super) async fn readyz(app: Data<App>) -> Result<HttpResponse, Problem> {
    app.read(|conn| Ok(store::accounts::any(conn)?)).await?;
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("ready\n"))
}
