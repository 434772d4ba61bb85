//! Choosing a new password, with the link from a letter.

use super::dead_link::{named, or_dead, url};
use crate::{
    actions::proofs,
    domain::{account::Account, ids::ProofId, proof::ProofPurpose, refusal::Refusal},
    store,
    web::{
        answer,
        form::{FormToken, Post},
        page::{Banner, Cx},
        password::new_hash,
        problem::Problem,
        visit::{Seen, Visit},
    },
};
use actix_web::{HttpResponse, http::StatusCode, web::Path};
use askama::Template;
use secrecy::SecretString;
use serde::Deserialize;

const PURPOSE: ProofPurpose = ProofPurpose::ResetPassword;

#[derive(Template)]
#[template(path = "account/reset_password.html")]
struct ResetPassword<'a> {
    cx: &'a Cx,
    url: String,
    email: String,
    password_error: Option<String>,
}

/// The form with the new password. Whose it is, the link says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Fields {
    #[serde(rename = "csrf")]
    _csrf: FormToken,
    password: SecretString,
}

/// `GET /reset-password/{token}`
pub(in crate::web) async fn show(
    visit: Visit,
    token: Path<String>,
) -> Result<HttpResponse, Problem> {
    let answer = look(&visit, &token).await;
    or_dead(&visit, PURPOSE, &token, answer).await
}

async fn look(visit: &Visit, token: &str) -> Result<HttpResponse, Problem> {
    let link = named(&visit.app, PURPOSE, token)?;
    let (seen, account) = visit
        .anyone(None, move |conn, seen| {
            let (proof, account) =
                store::proofs::find_by_link(conn, PURPOSE, ProofId(link.id), link.version)?
                    .ok_or(Refusal::ProofUnknown)?;
            proof.good(seen.now)?;
            Ok(account)
        })
        .await?;
    page(visit, &seen, token, &account, None)
}

fn page(
    visit: &Visit,
    seen: &Seen,
    token: &str,
    account: &Account,
    password_error: Option<String>,
) -> Result<HttpResponse, Problem> {
    let status = if password_error.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let cx = visit.frame(seen, "account/reset_password", "Choose a new password");
    answer::html(
        status,
        &ResetPassword {
            cx: &cx,
            url: url(PURPOSE, token),
            email: account.email.shown().to_owned(),
            password_error,
        },
    )
}

/// `POST /reset-password/{token}`
pub(in crate::web) async fn reset(
    post: Post<Fields>,
    token: Path<String>,
) -> Result<HttpResponse, Problem> {
    let answer = try_reset(&post, &token).await;
    or_dead(&post.visit, PURPOSE, &token, answer).await
}

async fn try_reset(post: &Post<Fields>, token: &str) -> Result<HttpResponse, Problem> {
    let visit = &post.visit;
    let link = named(&visit.app, PURPOSE, token)?;
    let account = post
        .act_as_anyone(move |run, _, _| proofs::begin_reset(run, link))
        .await?;
    let about = vec![account.name.clone(), account.email.shown().to_owned()];
    let strength = visit
        .app
        .hasher
        .strength_bounded(post.form.password.clone(), about)
        .await?;
    if let Err(weak) = strength {
        let (seen, ()) = visit.anyone(None, |_, _| Ok(())).await?;
        return page(visit, &seen, token, &account, Some(weak.to_string()));
    }
    let hash = new_hash(visit, post.form.password.clone()).await?;
    let session = post
        .act_as_anyone(move |run, actor, client| {
            proofs::reset_password(run, actor, client, link, &hash)
        })
        .await?;
    visit.set_token(&session);
    let line = "Your password is changed. Every other browser was signed out.";
    Ok(visit.see_other_saying("/", &Banner::done(line)))
}
