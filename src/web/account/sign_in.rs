//! Signing in.

use crate::{
    actions,
    domain::{email::EmailAddress, refusal::Refusal},
    metrics::{PasswordForm, PasswordResult},
    store,
    web::{
        answer,
        form::{FormToken, Post, refused, safe_next},
        log,
        page::Cx,
        problem::{self, Problem},
        visit::{Seen, Visit},
    },
};
use actix_web::{HttpResponse, web::Query};
use askama::Template;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "account/sign_in.html")]
struct SignIn<'a> {
    cx: &'a Cx,
    next: String,
    email: String,
    email_error: Option<String>,
    password_error: Option<String>,
    problem: Option<String>,
    can_sign_up: bool,
}

/// The query of the sign-in page.
#[derive(Deserialize)]
pub(in crate::web) struct Back {
    #[serde(default)]
    next: String,
}

/// The sign-in form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Credentials {
    #[serde(rename = "csrf")]
    _csrf: FormToken,
    #[serde(default)]
    next: String,
    email: String,
    password: SecretString,
}

/// `GET /sign-in`
pub(in crate::web) async fn show(visit: Visit, back: Query<Back>) -> Result<HttpResponse, Problem> {
    let next = safe_next(&back.next);
    let (seen, can_sign_up) = look(&visit).await?;
    if seen.session.is_some() {
        return Ok(visit.see_other(next.unwrap_or_else(|| "/".to_owned())));
    }
    let cx = visit.frame(&seen, "account/sign_in", "Sign in");
    answer::ok(&SignIn {
        cx: &cx,
        next: next.unwrap_or_default(),
        email: String::new(),
        email_error: None,
        password_error: None,
        problem: None,
        can_sign_up,
    })
}

async fn look(visit: &Visit) -> Result<(Seen, bool), Problem> {
    let open = visit.app.means.rules.open_sign_up;
    visit
        .anyone(
            None,
            move |conn, _| Ok(open || !store::accounts::any(conn)?),
        )
        .await
}

/// `POST /sign-in`. The same answer and the same work whether or not the address has an account.
pub(in crate::web) async fn sign_in(post: Post<Credentials>) -> Result<HttpResponse, Problem> {
    let next = safe_next(&post.form.next);
    let email = match EmailAddress::parse(&post.form.email) {
        Ok(email) => email,
        Err(fault) => return again(&post, Some(format!("The address {fault}.")), None, None).await,
    };
    if post.form.password.expose_secret().is_empty() {
        return again(&post, None, Some("Enter your password.".to_owned()), None).await;
    }
    let app = post.visit.app.clone();
    let begun = {
        let email = email.clone();
        post.act_as_anyone(move |run, _, client| {
            actions::accounts::begin_sign_in(run, client, &email)
        })
        .await
    };
    let note = |result| log::password(&post.visit, PasswordForm::SignIn, result);
    let begun =
        begun.inspect_err(|why| log::password_put_off(&post.visit, PasswordForm::SignIn, why));
    let attempt = match refused(begun)? {
        Ok(attempt) => attempt,
        Err(refusal) => return again(&post, None, None, Some(refusal)).await,
    };
    let hash = attempt
        .password_hash
        .unwrap_or_else(|| app.hasher.dummy().to_owned());
    let right = app
        .hasher
        .verify_bounded(post.form.password.clone(), hash.clone())
        .await;
    if right.is_err() {
        note(PasswordResult::Busy);
        let email = email.clone();
        // Should it fail, the attempt is counted, and the answer is the same.
        drop(
            post.act_as_anyone(move |run, _, client| {
                actions::accounts::put_off_sign_in(run, client, &email)
            })
            .await,
        );
    }
    let right = right?;
    let Some(account) = attempt.account.filter(|_| right) else {
        note(PasswordResult::Wrong);
        return again(&post, None, None, Some(Refusal::WrongCredentials)).await;
    };
    let token = post
        .act_as_anyone(move |run, actor, client| {
            actions::accounts::sign_in(run, client, actor, account, &email, &hash)
        })
        .await;
    let token = match refused(token)? {
        Ok(token) => token,
        Err(refusal) => {
            // The password was changed in the same moment.
            note(PasswordResult::Wrong);
            return again(&post, None, None, Some(refusal)).await;
        }
    };
    note(PasswordResult::Ok);
    post.visit.set_token(&token);
    Ok(post.visit.see_other(next.unwrap_or_else(|| "/".to_owned())))
}

/// The form again, with what was wrong.
async fn again(
    post: &Post<Credentials>,
    email_error: Option<String>,
    password_error: Option<String>,
    refusal: Option<Refusal>,
) -> Result<HttpResponse, Problem> {
    let visit = &post.visit;
    let (seen, can_sign_up) = look(visit).await?;
    let cx = visit.frame(&seen, "account/sign_in", "Sign in");
    let explained = refusal.map(|refusal| problem::explain(&refusal.into(), Some(seen.now)));
    answer::again(
        &SignIn {
            cx: &cx,
            next: safe_next(&post.form.next).unwrap_or_default(),
            email: post.form.email.clone(),
            email_error,
            password_error,
            problem: explained.as_ref().map(|explained| explained.advice.clone()),
            can_sign_up,
        },
        explained.as_ref(),
    )
}
