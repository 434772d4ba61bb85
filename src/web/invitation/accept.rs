//! Accepting, as the invited address.

use super::{
    named, or_dead,
    show::{self, Sent},
};
use crate::{
    actions::{self, invitees::Joined},
    domain::{consent::Consent, refusal::Refusal},
    web::{
        form::{FormToken, Post, refused},
        legal::UNTICKED,
        page::Banner,
        problem::Problem,
        urls,
        visit::Visit,
    },
};
use actix_web::{HttpResponse, http::StatusCode, web::Path};
use serde::Deserialize;

/// The form: a button, and a box to tick where a legal document has to be accepted first (R-ACC-9).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Fields {
    #[serde(rename = "csrf")]
    _csrf: FormToken,
    #[serde(default)]
    consent: String,
}

/// `POST /accept-invitation/{token}/accept`
pub(in crate::web) async fn accept(
    post: Post<Fields>,
    token: Path<String>,
) -> Result<HttpResponse, Problem> {
    let answer = try_accept(&post, &token).await;
    or_dead(&post.visit, &token, answer).await
}

async fn try_accept(post: &Post<Fields>, token: &str) -> Result<HttpResponse, Problem> {
    let link = named(&post.visit.app, token)?;
    let consent = Consent::given(&post.form.consent);
    let joined = post
        .act(move |run, actor| actions::invitees::accept(run, actor, link, &consent))
        .await;
    match refused(joined)? {
        Ok(joined) => Ok(welcome(&post.visit, &joined)),
        Err(Refusal::ConsentMissing) => {
            let sent = Sent {
                consent_error: Some(UNTICKED.to_owned()),
                ..Sent::default()
            };
            show::page(&post.visit, token, StatusCode::UNPROCESSABLE_ENTITY, sent).await
        }
        Err(refusal) => Err(refusal.into()),
    }
}

/// Into the organization, with a word of welcome.
pub(in crate::web) fn welcome(visit: &Visit, joined: &Joined) -> HttpResponse {
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
