//! `/`: my organizations.

use crate::{
    actions::Failure,
    web::{answer, page::Cx, problem::Problem, visit::Visit},
};
use actix_web::HttpResponse;
use askama::Template;

#[derive(Template)]
#[template(path = "account/home.html")]
struct Home<'a> {
    cx: &'a Cx,
}

/// `GET /`
pub(in crate::web) async fn show(visit: Visit) -> Result<HttpResponse, Problem> {
    let (seen, ()) = visit
        .anyone(None, |_, seen| match seen.session {
            Some(_) => Ok(()),
            None => Err(Failure::SignedOut),
        })
        .await?;
    let cx = visit.frame(&seen, "account/home", "Your organizations");
    answer::ok(&Home { cx: &cx })
}
