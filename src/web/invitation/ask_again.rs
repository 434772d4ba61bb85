//! **Ask for a new invitation**: the inviter is told, at most once a day (R-ACC-7).

use super::{named, or_dead};
use crate::{
    actions::{self, invitees::Told},
    web::{
        form::{Button, Post},
        page::Banner,
        problem::Problem,
        urls,
    },
};
use actix_web::{HttpResponse, web::Path};

/// `POST /accept-invitation/{token}/ask-again`
pub(in crate::web) async fn ask_again(
    post: Post<Button>,
    token: Path<String>,
) -> Result<HttpResponse, Problem> {
    let answer = try_ask_again(&post, &token).await;
    or_dead(&post.visit, &token, answer).await
}

async fn try_ask_again(post: &Post<Button>, token: &str) -> Result<HttpResponse, Problem> {
    let link = named(&post.visit.app, token)?;
    let told = post
        .act_as_anyone(move |run, _, client| actions::invitees::ask_again(run, client, link))
        .await?;
    let line = match told {
        None => return Ok(post.visit.see_other(urls::accept_invitation(token))),
        Some(Told::Inviter(_)) => {
            "We told the person who invited you that you'd like a new invitation."
        }
        Some(Told::Owners) => "We told the owners that you'd like a new invitation.",
    };
    let banner = Banner::done(line);
    Ok(post
        .visit
        .see_other_saying(urls::accept_invitation(token), &banner))
}
