//! Accepting, as the invited address.

use super::{named, or_dead};
use crate::{
    actions::{self, invitees::Joined},
    web::{
        form::{Button, Post},
        page::Banner,
        problem::Problem,
        urls,
        visit::Visit,
    },
};
use actix_web::{HttpResponse, web::Path};

/// `POST /accept-invitation/{token}/accept`
pub(in crate::web) async fn accept(
    post: Post<Button>,
    token: Path<String>,
) -> Result<HttpResponse, Problem> {
    let answer = try_accept(&post, &token).await;
    or_dead(&post.visit, &token, answer).await
}

async fn try_accept(post: &Post<Button>, token: &str) -> Result<HttpResponse, Problem> {
    let link = named(&post.visit.app, token)?;
    let joined = post
        .act(move |run, actor| actions::invitees::accept(run, actor, link))
        .await?;
    Ok(welcome(&post.visit, &joined))
}

/// Into the organization, with a word of welcome.
pub(super) fn welcome(visit: &Visit, joined: &Joined) -> HttpResponse {
    if let Some(token) = &joined.token {
        visit.set_token(token);
    }
    let line = if joined.already {
        format!(
            "You're already in {} as {}.",
            joined.organization, joined.role
        )
    } else {
        format!(
            "You're in. Welcome to {}. You joined as {}.",
            joined.organization, joined.role
        )
    };
    visit.see_other_saying(urls::organization(&joined.slug), &Banner::done(line))
}
