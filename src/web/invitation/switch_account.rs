//! **Sign out and continue**: back to this same invitation, as nobody. Nothing is consumed (R-ACC-3).

use super::{named, or_dead};
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
    let answer = try_switch(&post, &token).await;
    or_dead(&post.visit, &token, answer).await
}

async fn try_switch(post: &Post<Button>, token: &str) -> Result<HttpResponse, Problem> {
    // The way back is made of a token of ours, never of whatever stood in the address.
    named(&post.visit.app, token)?;
    post.act_as_anyone(|run, actor, _| match actor {
        Some(actor) => actions::accounts::sign_out(run, actor),
        None => Ok(()),
    })
    .await?;
    post.visit.forget();
    Ok(post.visit.see_other(urls::accept_invitation(token)))
}
