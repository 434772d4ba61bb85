//! One's own password (R-ORG-4).

use crate::{
    actions::{self, Failure},
    web::{
        answer,
        form::{FormToken, Post},
        page::{Banner, Cx},
        password::{confirm, new_hash},
        problem::{self, Explained, Problem},
        urls,
        visit::Visit,
    },
};
use actix_web::HttpResponse;
use askama::Template;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "account/security.html")]
struct Security<'a> {
    cx: &'a Cx,
    current_error: Option<String>,
    password_error: Option<String>,
}

/// The form of the password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Passwords {
    #[serde(rename = "csrf")]
    _csrf: FormToken,
    current: SecretString,
    password: SecretString,
}

/// What is wrong with each field.
#[derive(Default)]
struct Faults {
    current: Option<String>,
    password: Option<String>,
}

/// `GET /account/security`
pub(in crate::web) async fn show(visit: Visit) -> Result<HttpResponse, Problem> {
    let (cx, _) = look(&visit).await?;
    answer::ok(&page(&cx, Faults::default()))
}

/// The frame, and what an attacker would try first: the person's name and address.
async fn look(visit: &Visit) -> Result<(Cx, Vec<String>), Problem> {
    let (seen, mut about) = visit
        .anyone(None, |_, seen| {
            let account = &seen.session.as_ref().ok_or(Failure::SignedOut)?.account;
            Ok(vec![account.name.clone(), account.email.shown().to_owned()])
        })
        .await?;
    about.extend(seen.places.iter().map(|place| place.name.clone()));
    Ok((visit.frame(&seen, "account/security", "Security"), about))
}

fn page(cx: &Cx, faults: Faults) -> Security<'_> {
    Security {
        cx,
        current_error: faults.current,
        password_error: faults.password,
    }
}

/// `POST /account/password`
pub(in crate::web) async fn change_password(
    post: Post<Passwords>,
) -> Result<HttpResponse, Problem> {
    let form = &post.form;
    if form.current.expose_secret().is_empty() {
        let current = Some("Enter your current password.".to_owned());
        return again(
            &post.visit,
            Faults {
                current,
                ..Faults::default()
            },
            None,
        )
        .await;
    }
    // Before the new one is judged, which costs more: a stolen cookie gets no further, and is counted.
    if let Err(refusal) = confirm(&post, form.current.clone()).await? {
        let now = post.visit.app.now();
        let explained = problem::explain(&refusal.into(), Some(now));
        let current = Some(explained.advice.clone());
        let faults = Faults {
            current,
            ..Faults::default()
        };
        return again(&post.visit, faults, Some(&explained)).await;
    }
    let (_, about) = look(&post.visit).await?;
    let hasher = &post.visit.app.hasher;
    let strength = hasher
        .strength_bounded(form.password.clone(), about)
        .await?;
    if let Err(weak) = strength {
        let password = Some(weak.to_string());
        return again(
            &post.visit,
            Faults {
                password,
                ..Faults::default()
            },
            None,
        )
        .await;
    }
    let hash = new_hash(&post.visit, form.password.clone()).await?;
    let token = post
        .act(move |run, actor| actions::profile::change_password(run, actor, &hash))
        .await?;
    post.visit.set_token(&token);
    let banner = Banner::done("Your password is changed. Every other browser is signed out.");
    Ok(post.visit.see_other_saying(urls::SECURITY, &banner))
}

async fn again(
    visit: &Visit,
    faults: Faults,
    refused: Option<&Explained>,
) -> Result<HttpResponse, Problem> {
    let (cx, _) = look(visit).await?;
    answer::again(&page(&cx, faults), refused)
}
