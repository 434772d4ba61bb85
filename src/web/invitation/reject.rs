//! Rejecting: asked once more, then done.

use super::{Looked, look, named, or_dead};
use crate::{
    actions::{
        self,
        invitees::{Rejected, Told},
    },
    domain::invitation::Welcome,
    store::deliveries::About,
    web::{
        answer,
        form::{Button, Post},
        page::{Banner, Cx},
        problem::Problem,
        urls,
        visit::{Seen, Visit},
    },
};
use actix_web::{HttpResponse, web::Path};
use askama::Template;

#[derive(Template)]
#[template(path = "invitation/reject.html")]
struct Reject<'a> {
    cx: &'a Cx,
    url: String,
    back: String,
    organization: String,
    invited_by: String,
}

/// Asks once more. `url` is the invitation's, `back` the page to return to.
pub(in crate::web) fn page(
    visit: &Visit,
    seen: &Seen,
    url: String,
    back: String,
    about: About,
) -> Result<HttpResponse, Problem> {
    let cx = visit.frame(seen, "invitation/reject", "Reject invitation");
    answer::ok(&Reject {
        cx: &cx,
        url,
        back,
        organization: about.organization,
        invited_by: about.inviter,
    })
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
    let url = urls::accept_invitation(token);
    page(visit, &seen, url.clone(), url, about)
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
    Ok(rejected_page(&post.visit, rejected))
}

/// Back to one's own organizations, with a word on who was told.
pub(in crate::web) fn rejected_page(visit: &Visit, rejected: Rejected) -> HttpResponse {
    let told = match rejected.told {
        Told::Inviter(name) => format!(" {name} has been told."),
        Told::Owners => " Its owners have been told.".to_owned(),
    };
    let line = format!(
        "You rejected the invitation to {}.{told}",
        rejected.organization
    );
    visit.see_other_saying("/", &Banner::done(line))
}
