//! The browsers that are signed in to one's own account, each with a way to sign it out (R-ORG-4).

use crate::{
    actions::{self, Failure},
    domain::{agent, ids::SessionId, time::Timestamp},
    store::{self, sessions::SessionRow},
    web::{
        answer,
        form::{Button, Post},
        page::{Banner, Cx},
        problem::Problem,
        urls,
        visit::Visit,
        when::When,
    },
};
use actix_web::{HttpResponse, web::Path};
use askama::Template;

/// Browsers listed at most; signing out all others ends the ones beyond it too.
const LISTED: i64 = 100;

#[derive(Template)]
#[template(path = "account/sessions.html")]
struct Sessions<'a> {
    cx: &'a Cx,
    sessions: Vec<Browser>,
}

struct Browser {
    id: String,
    browser: String,
    address: String,
    signed_in: When,
    last_active: When,
    here: bool,
}

impl Browser {
    fn new(row: SessionRow, here: SessionId, now: Timestamp) -> Self {
        Self {
            id: row.id.to_string(),
            browser: agent::describe(&row.agent),
            address: row.address,
            signed_in: When::new(row.created_at, now),
            last_active: When::new(row.last_seen_at, now),
            here: row.id == here,
        }
    }
}

/// `GET /account/sessions`
pub(in crate::web) async fn list(visit: Visit) -> Result<HttpResponse, Problem> {
    let (seen, sessions) = visit
        .anyone(None, |conn, seen| {
            let session = seen.session.as_ref().ok_or(Failure::SignedOut)?;
            let rows = store::sessions::of_account(conn, session.account.id, seen.now, LISTED)?;
            let mut sessions: Vec<_> = rows
                .into_iter()
                .map(|row| Browser::new(row, session.id, seen.now))
                .collect();
            sessions.sort_by_key(|browser| !browser.here);
            Ok(sessions)
        })
        .await?;
    let cx = visit.frame(&seen, "account/sessions", "Sessions");
    answer::ok(&Sessions { cx: &cx, sessions })
}

/// `POST /account/sessions/{id}/sign-out`
pub(in crate::web) async fn sign_out_one(
    post: Post<Button>,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = id.parse::<SessionId>().map_err(|_| Problem::not_found())?;
    let this_one = post
        .act(move |run, actor| actions::sessions::sign_out_one(run, actor, id))
        .await?;
    let visit = &post.visit;
    if this_one {
        visit.forget();
        let banner = Banner::done("You are signed out.");
        return Ok(visit.see_other_saying(urls::SIGN_IN, &banner));
    }
    let banner = Banner::done("That browser is signed out.");
    Ok(visit.see_other_saying(urls::SESSIONS, &banner))
}

/// `POST /account/sessions/sign-out-all`
pub(in crate::web) async fn sign_out_all(post: Post<Button>) -> Result<HttpResponse, Problem> {
    post.act(actions::sessions::sign_out_others).await?;
    let banner = Banner::done("Every other browser is signed out.");
    Ok(post.visit.see_other_saying(urls::SESSIONS, &banner))
}
