//! Accepting a newer version of a legal document: the only page of a session that has yet to do so (R-ACC-9).

use crate::{
    actions::{self, Failure},
    domain::{consent::Consent, refusal::Refusal},
    store,
    web::{
        answer,
        form::{FormToken, Post, refused, safe_next},
        legal::{ConsentBox, UNTICKED},
        page::Cx,
        problem::Problem,
        visit::Visit,
    },
};
use actix_web::{HttpResponse, http::StatusCode, web::Query};
use askama::Template;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "account/consent.html")]
struct ConsentPage<'a> {
    cx: &'a Cx,
    next: String,
    agreement: ConsentBox,
}

/// The query of the page.
#[derive(Deserialize)]
pub(in crate::web) struct On {
    #[serde(default)]
    next: String,
}

/// The form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Fields {
    #[serde(rename = "csrf")]
    _csrf: FormToken,
    #[serde(default)]
    next: String,
    #[serde(default)]
    consent: String,
}

/// `GET /consent`
pub(in crate::web) async fn show(visit: Visit, on: Query<On>) -> Result<HttpResponse, Problem> {
    page(&visit, &on.next, None).await
}

async fn page(visit: &Visit, next: &str, error: Option<String>) -> Result<HttpResponse, Problem> {
    let means = Arc::clone(&visit.app.means);
    let (seen, missing) = visit
        .anyone_unconsented(move |conn, seen| {
            let session = seen.session.as_ref().ok_or(Failure::SignedOut)?;
            Ok(store::consents::missing(
                conn,
                session.account.id,
                &means.rules.legal,
            )?)
        })
        .await?;
    let next = safe_next(next).unwrap_or_default();
    if missing.is_empty() && !seen.consent_due() {
        return Ok(visit.see_other(if next.is_empty() { "/" } else { &next }));
    }
    let status = if error.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let mut cx = visit.frame(&seen, "account/consent", "Before you go on");
    // Every way in the frame would lead back here.
    cx.me = None;
    let agreement = ConsentBox::new(&missing).with(error);
    answer::html(
        status,
        &ConsentPage {
            cx: &cx,
            next,
            agreement,
        },
    )
}

/// `POST /consent`
pub(in crate::web) async fn consent(post: Post<Fields>) -> Result<HttpResponse, Problem> {
    let given = Consent::given(&post.form.consent);
    let done = post
        .act_unconsented(move |run, actor| actions::consents::accept(run, actor, &given))
        .await;
    match refused(done)? {
        Ok(()) => {
            let next = safe_next(&post.form.next);
            Ok(post.visit.see_other(next.unwrap_or_else(|| "/".to_owned())))
        }
        Err(Refusal::ConsentMissing) => {
            page(&post.visit, &post.form.next, Some(UNTICKED.to_owned())).await
        }
        Err(refusal) => Err(refusal.into()),
    }
}
