//! One's own address: whether it is confirmed, and changing it. The new one must be confirmed first (R-ORG-4).

use crate::{
    actions::{Failure, proofs},
    domain::{email::EmailAddress, refusal::Refusal, time::Timestamp},
    store,
    web::{
        answer,
        form::{FormToken, Post, refused},
        page::{Banner, Cx},
        password::confirm,
        problem::{self, Problem},
        urls,
        visit::{Seen, Visit},
        when::When,
    },
};
use actix_web::HttpResponse;
use askama::Template;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

const SCREEN: &str = "account/email";
const TITLE: &str = "Email address";

#[derive(Template)]
#[template(path = "account/email.html")]
struct Email<'a> {
    cx: &'a Cx,
    pending: Option<Pending>,
    email: String,
    email_error: Option<String>,
    password_error: Option<String>,
    problem: Option<String>,
}

/// An address that waits to be confirmed.
struct Pending {
    email: String,
    until: When,
}

/// The form that asks for another address.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Fields {
    #[serde(rename = "csrf")]
    _csrf: FormToken,
    email: String,
    password: SecretString,
}

/// What is wrong with the form.
#[derive(Default)]
struct Faults {
    email: Option<String>,
    password: Option<String>,
    refusal: Option<Refusal>,
}

/// `GET /account/email`
pub(in crate::web) async fn show(visit: Visit) -> Result<HttpResponse, Problem> {
    let (seen, pending) = look(&visit).await?;
    let cx = visit.frame(&seen, SCREEN, TITLE);
    answer::ok(&Email {
        cx: &cx,
        pending: pending_of(&seen, pending),
        email: String::new(),
        email_error: None,
        password_error: None,
        problem: None,
    })
}

async fn look(visit: &Visit) -> Result<(Seen, Option<(EmailAddress, Timestamp)>), Problem> {
    visit
        .anyone(None, |conn, seen| {
            let account = &seen.session.as_ref().ok_or(Failure::SignedOut)?.account;
            let awaited = store::proofs::awaited(conn, account.id, seen.now)?;
            Ok(awaited.filter(|(email, _)| !email.same_mailbox(&account.email)))
        })
        .await
}

fn pending_of(seen: &Seen, pending: Option<(EmailAddress, Timestamp)>) -> Option<Pending> {
    pending.map(|(email, until)| Pending {
        email: email.shown().to_owned(),
        until: When::new(until, seen.now),
    })
}

/// `POST /account/email`. The same answer whether or not another account has the address.
pub(in crate::web) async fn change(post: Post<Fields>) -> Result<HttpResponse, Problem> {
    let parsed = EmailAddress::parse(&post.form.email);
    let missing = post.form.password.expose_secret().is_empty();
    let email = match parsed {
        Ok(email) if !missing => email,
        parsed => {
            let faults = Faults {
                email: parsed.err().map(|fault| format!("The address {fault}.")),
                password: missing.then(|| "Enter your password.".to_owned()),
                refusal: None,
            };
            return again(&post, faults).await;
        }
    };
    if !post.visit.app.means.rules.mail_ready {
        return refuse(&post, Refusal::NoMail).await;
    }
    if let Err(refusal) = confirm(&post, post.form.password.clone()).await? {
        return refuse(&post, refusal).await;
    }
    let asked = {
        let email = email.clone();
        post.act(move |run, actor| {
            if actor.account().email.same_mailbox(&email) {
                return Ok(false);
            }
            proofs::change_email(run, actor, &email)?;
            Ok(true)
        })
        .await
    };
    match refused(asked)? {
        Ok(true) => {
            let line =
                format!("We sent a letter to {email}. Nothing changes until you open its link.");
            Ok(post
                .visit
                .see_other_saying(urls::ACCOUNT_EMAIL, &Banner::done(line)))
        }
        Ok(false) => {
            let faults = Faults {
                email: Some("That is your address already.".to_owned()),
                ..Faults::default()
            };
            again(&post, faults).await
        }
        Err(refusal) => refuse(&post, refusal).await,
    }
}

async fn refuse(post: &Post<Fields>, refusal: Refusal) -> Result<HttpResponse, Problem> {
    let password =
        matches!(refusal, Refusal::WrongPassword).then(|| "That is not your password.".to_owned());
    let faults = Faults {
        email: None,
        password,
        refusal: Some(refusal),
    };
    again(post, faults).await
}

/// The form again, with what was wrong.
async fn again(post: &Post<Fields>, faults: Faults) -> Result<HttpResponse, Problem> {
    let (seen, pending) = look(&post.visit).await?;
    let cx = post.visit.frame(&seen, SCREEN, TITLE);
    let explained = faults
        .refusal
        .map(|refusal| problem::explain(&refusal.into(), Some(seen.now)));
    let problem = explained.as_ref().map(|explained| explained.advice.clone());
    answer::again(
        &Email {
            cx: &cx,
            pending: pending_of(&seen, pending),
            email: post.form.email.clone(),
            email_error: faults.email,
            problem: problem.filter(|_| faults.password.is_none()),
            password_error: faults.password,
        },
        explained.as_ref(),
    )
}
