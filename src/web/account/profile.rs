//! One's own account: name, picture, address (R-ORG-4).

use crate::{
    actions::{self, Failure},
    domain::text::PersonName,
    web::{
        answer,
        form::{FormToken, Post},
        page::{Banner, Cx},
        problem::{Explained, Problem},
        urls,
        visit::Visit,
    },
};
use actix_web::HttpResponse;
use askama::Template;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "account/profile.html")]
struct Profile<'a> {
    cx: &'a Cx,
    name: String,
    name_error: Option<String>,
    avatar_error: Option<String>,
}

/// The form of the name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Name {
    #[serde(rename = "csrf")]
    _csrf: FormToken,
    name: String,
}

/// What was wrong with what was sent.
#[derive(Default)]
pub(super) struct Faults {
    /// The name as typed, and why it can't be taken.
    pub(super) name: Option<(String, String)>,
    /// Why the picture can't be taken.
    pub(super) avatar: Option<String>,
}

/// `GET /account`
pub(in crate::web) async fn show(visit: Visit) -> Result<HttpResponse, Problem> {
    let (cx, name) = look(&visit).await?;
    answer::ok(&Profile {
        cx: &cx,
        name,
        name_error: None,
        avatar_error: None,
    })
}

async fn look(visit: &Visit) -> Result<(Cx, String), Problem> {
    let (seen, name) = visit
        .anyone(None, |_, seen| {
            let session = seen.session.as_ref().ok_or(Failure::SignedOut)?;
            Ok(session.account.name.clone())
        })
        .await?;
    Ok((visit.frame(&seen, "account/profile", "Profile"), name))
}

/// The page again, with what was wrong.
pub(super) async fn again(
    visit: &Visit,
    faults: Faults,
    refused: Option<&Explained>,
) -> Result<HttpResponse, Problem> {
    let (cx, name) = look(visit).await?;
    let (name, name_error) = match faults.name {
        Some((typed, fault)) => (typed, Some(fault)),
        None => (name, None),
    };
    let page = Profile {
        cx: &cx,
        name,
        name_error,
        avatar_error: faults.avatar,
    };
    answer::again(&page, refused)
}

/// `POST /account/name`
pub(in crate::web) async fn rename(post: Post<Name>) -> Result<HttpResponse, Problem> {
    let name = match PersonName::parse(&post.form.name) {
        Ok(name) => name,
        Err(fault) => {
            let faults = Faults {
                name: Some((post.form.name.clone(), fault.to_string())),
                ..Faults::default()
            };
            return again(&post.visit, faults, None).await;
        }
    };
    let banner = Banner::done(format!("Your name is {name} now."));
    post.act(move |run, actor| actions::profile::rename(run, actor, &name))
        .await?;
    Ok(post.visit.see_other_saying(urls::ACCOUNT, &banner))
}
