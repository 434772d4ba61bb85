//! Confirming an address with the link from a letter (R-ACC-4, R-ORG-4). Looking changes nothing: scanners follow links.

use super::dead_link::{named, or_dead, url};
use crate::{
    actions::{Failure, proofs},
    domain::{ids::ProofId, proof::ProofPurpose, refusal::Refusal},
    store,
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

const PURPOSE: ProofPurpose = ProofPurpose::VerifyEmail;

#[derive(Template)]
#[template(path = "account/verify_email.html")]
struct VerifyEmail<'a> {
    cx: &'a Cx,
    url: String,
    email: String,
    name: String,
    changes: bool,
    theirs: bool,
}

/// `GET /verify-email/{token}`
pub(in crate::web) async fn show(
    visit: Visit,
    token: Path<String>,
) -> Result<HttpResponse, Problem> {
    let answer = page(&visit, &token).await;
    or_dead(&visit, PURPOSE, &token, answer).await
}

async fn page(visit: &Visit, token: &str) -> Result<HttpResponse, Problem> {
    let link = named(&visit.app, PURPOSE, token)?;
    let (seen, (proof, account)) = visit
        .anyone(None, move |conn, seen| {
            let (proof, account) =
                store::proofs::find_by_link(conn, PURPOSE, ProofId(link.id), link.version)?
                    .ok_or(Refusal::ProofUnknown)?;
            proof.good(seen.now)?;
            Ok((proof, account))
        })
        .await?;
    let viewer = seen.session.as_ref().map(|session| session.account.id);
    let cx = visit.frame(&seen, "account/verify_email", "Confirm address");
    answer::ok(&VerifyEmail {
        cx: &cx,
        url: url(PURPOSE, token),
        changes: !account.email.same_mailbox(&proof.email),
        theirs: viewer == Some(account.id),
        email: proof.email.shown().to_owned(),
        name: account.name,
    })
}

/// `POST /verify-email/{token}`
pub(in crate::web) async fn verify(
    post: Post<Button>,
    token: Path<String>,
) -> Result<HttpResponse, Problem> {
    let answer = try_verify(&post, &token).await;
    if let Err(Problem::Failure(Failure::SignedOut)) = answer {
        let back = urls::sign_in_and_back(&url(PURPOSE, &token));
        return Ok(post.visit.see_other(back));
    }
    or_dead(&post.visit, PURPOSE, &token, answer).await
}

async fn try_verify(post: &Post<Button>, token: &str) -> Result<HttpResponse, Problem> {
    let link = named(&post.visit.app, PURPOSE, token)?;
    let (verified, signed_in) = post
        .act_as_anyone(move |run, actor, _| {
            Ok((proofs::verify(run, actor, link)?, actor.is_some()))
        })
        .await?;
    let line = if verified.changed {
        format!("Your address is {} from now on.", verified.email)
    } else {
        format!("{} is confirmed.", verified.email)
    };
    let onwards = if signed_in { "/" } else { urls::SIGN_IN };
    Ok(post.visit.see_other_saying(onwards, &Banner::done(line)))
}

/// `POST /account/verify-email`: the letter once more.
pub(in crate::web) async fn send(post: Post<Button>) -> Result<HttpResponse, Problem> {
    let line = match post.act(proofs::send).await? {
        Some(email) => format!("We sent a letter to {email}. Open the link in it."),
        None => "Your address is confirmed already.".to_owned(),
    };
    Ok(post
        .visit
        .see_other_saying(urls::ACCOUNT_EMAIL, &Banner::done(line)))
}
