//! Rejecting: asked once more, then done.

use super::{Looked, look, named, or_dead};
use crate::{
    actions::{self, invitees::Told},
    domain::invitation::Welcome,
    web::{
        answer,
        form::{Button, Post},
        page::{Banner, Cx},
        problem::Problem,
        urls,
        visit::Visit,
    },
};
use actix_web::{HttpResponse, web::Path};
use askama::Template;

#[derive(Template)]
#[template(path = "invitation/reject.html")]
struct Reject<'a> {
    cx: &'a Cx,
    url: String,
    organization: String,
    invited_by: String,
}

/// `GET /accept-invitation/{token}/reject`
pub(in crate::web) async fn show(
    visit: Visit,
    token: Path<String>,
) -> Result<HttpResponse, Problem> {
    let answer = confirm(&visit, &token).await;
    or_dead(&visit, &token, answer).await
}

async fn confirm(visit: &Visit, token: &str) -> Result<HttpResponse, Problem> {
    let named = named(&visit.app, token)?;
    let (seen, Looked { about, welcome }) = visit
        .anyone(None, move |conn, seen| look(conn, seen, named))
        .await?;
    if welcome? != Welcome::Invitee {
        // Signed out, or in already: the invitation page says what to do.
        return Ok(visit.see_other(urls::accept_invitation(token)));
    }
    let cx = visit.frame(&seen, "invitation/reject", "Reject invitation");
    let url = urls::accept_invitation(token);
    answer::ok(&Reject {
        cx: &cx,
        url,
        organization: about.organization,
        invited_by: about.inviter,
    })
}

/// `POST /accept-invitation/{token}/reject`
pub(in crate::web) async fn reject(
    post: Post<Button>,
    token: Path<String>,
) -> Result<HttpResponse, Problem> {
    let answer = try_reject(&post, &token).await;
    or_dead(&post.visit, &token, answer).await
}

async fn try_reject(post: &Post<Button>, token: &str) -> Result<HttpResponse, Problem> {
    let link = named(&post.visit.app, token)?;
    let rejected = post
        .act(move |run, actor| actions::invitees::reject(run, actor, link))
        .await?;
    let told = match rejected.told {
        Told::Inviter(name) => format!(" {name} has been told."),
        Told::Owners => " Its owners have been told.".to_owned(),
        Told::Nobody => String::new(),
    };
    let line = format!(
        "You rejected the invitation to {}.{told}",
        rejected.organization
    );
    Ok(post.visit.see_other_saying("/", &Banner::done(line)))
}
