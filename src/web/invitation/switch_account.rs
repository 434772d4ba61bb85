//! **Sign out and continue**: back to this same invitation, as nobody. Nothing is consumed (R-ACC-3).

use crate::{
    actions,
    web::{
        form::{Button, Post},
        problem::Problem,
        urls,
    },
};
use actix_web::{HttpResponse, web::Path};

/// `POST /accept-invitation/{token}/switch-account`
pub(in crate::web) async fn switch_account(
    post: Post<Button>,
    token: Path<String>,
) -> Result<HttpResponse, Problem> {
    post.act_as_anyone(|run, actor, _| match actor {
        Some(actor) => actions::accounts::sign_out(run, actor),
        None => Ok(()),
    })
    .await?;
    post.visit.forget();
    Ok(post.visit.see_other(urls::accept_invitation(&token)))
}
