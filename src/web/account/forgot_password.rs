//! A forgotten password: a letter with a way to a new one. The answer never tells whether an address has an account.

use crate::{
    actions::proofs,
    domain::{email::EmailAddress, refusal::Refusal},
    web::{
        answer,
        form::{FormToken, Post, refused},
        page::{Banner, Cx},
        problem::{self, Problem},
        urls,
        visit::Visit,
    },
};
use actix_web::HttpResponse;
use askama::Template;
use serde::Deserialize;

const SCREEN: &str = "account/forgot_password";
const TITLE: &str = "Forgot your password?";

#[derive(Template)]
#[template(path = "account/forgot_password.html")]
struct ForgotPassword<'a> {
    cx: &'a Cx,
    email: String,
    email_error: Option<String>,
    problem: Option<String>,
}

/// The form that asks for the letter.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Fields {
    #[serde(rename = "csrf")]
    _csrf: FormToken,
    email: String,
}

/// `GET /forgot-password`
pub(in crate::web) async fn show(visit: Visit) -> Result<HttpResponse, Problem> {
    let (seen, ()) = visit.anyone(None, |_, _| Ok(())).await?;
    let cx = visit.frame(&seen, SCREEN, TITLE);
    answer::ok(&ForgotPassword {
        cx: &cx,
        email: String::new(),
        email_error: None,
        problem: None,
    })
}

/// `POST /forgot-password`. The same answer and the same work whether or not the address has an account.
pub(in crate::web) async fn ask(post: Post<Fields>) -> Result<HttpResponse, Problem> {
    let email = match EmailAddress::parse(&post.form.email) {
        Ok(email) => email,
        Err(fault) => return again(&post, Some(format!("The address {fault}.")), None).await,
    };
    let asked = {
        let email = email.clone();
        post.act_as_anyone(move |run, _, client| proofs::forgot_password(run, client, &email))
            .await
    };
    if let Err(refusal) = refused(asked)? {
        return again(&post, None, Some(refusal)).await;
    }
    let line = format!("If there is an account for {email}, a letter is on its way.");
    Ok(post
        .visit
        .see_other_saying(urls::SIGN_IN, &Banner::done(line)))
}

/// The form again, with what was wrong.
async fn again(
    post: &Post<Fields>,
    email_error: Option<String>,
    refusal: Option<Refusal>,
) -> Result<HttpResponse, Problem> {
    let (seen, ()) = post.visit.anyone(None, |_, _| Ok(())).await?;
    let cx = post.visit.frame(&seen, SCREEN, TITLE);
    let explained = refusal.map(|refusal| problem::explain(&refusal.into(), Some(seen.now)));
    answer::again(
        &ForgotPassword {
            cx: &cx,
            email: post.form.email.clone(),
            email_error,
            problem: explained.as_ref().map(|explained| explained.advice.clone()),
        },
        explained.as_ref(),
    )
}
