//! Making another organization, with oneself as its Owner (R-ORG-1).

use crate::{
    actions::{self, Failure},
    domain::{refusal::Refusal, text::OrganizationName},
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

#[derive(Template)]
#[template(path = "organization/new.html")]
struct New<'a> {
    cx: &'a Cx,
    name: String,
    name_error: Option<String>,
    problem: Option<String>,
}

/// The form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Fields {
    #[serde(rename = "csrf")]
    _csrf: FormToken,
    #[serde(default)]
    name: String,
}

/// `GET /orgs/new`
pub(in crate::web) async fn show(visit: Visit) -> Result<HttpResponse, Problem> {
    let (seen, ()) = visit
        .anyone(None, |_, seen| match seen.session {
            Some(_) => Ok(()),
            None => Err(Failure::SignedOut),
        })
        .await?;
    let cx = visit.frame(&seen, "organization/new", "Create organization");
    answer::ok(&New {
        cx: &cx,
        name: String::new(),
        name_error: None,
        problem: None,
    })
}

/// `POST /orgs/new`
pub(in crate::web) async fn create(post: Post<Fields>) -> Result<HttpResponse, Problem> {
    let name = match OrganizationName::parse(&post.form.name) {
        Ok(name) => name,
        Err(fault) => return again(&post, Some(fault.to_string()), None).await,
    };
    let created = post
        .act(move |run, actor| actions::organizations::create(run, actor, &name))
        .await;
    let organization = match refused(created)? {
        Ok(organization) => organization,
        Err(refusal) => return again(&post, None, Some(refusal)).await,
    };
    let banner = Banner::done(format!(
        "{} is ready. You are its owner: invite your team.",
        organization.name
    ));
    Ok(post
        .visit
        .see_other_saying(urls::organization(&organization.slug), &banner))
}

/// The form again, with what was wrong.
async fn again(
    post: &Post<Fields>,
    name_error: Option<String>,
    refusal: Option<Refusal>,
) -> Result<HttpResponse, Problem> {
    let (seen, ()) = post
        .visit
        .anyone(None, |_, seen| match seen.session {
            Some(_) => Ok(()),
            None => Err(Failure::SignedOut),
        })
        .await?;
    let cx = post
        .visit
        .frame(&seen, "organization/new", "Create organization");
    let explained = refusal.map(|refusal| problem::explain(&refusal.into(), Some(seen.now)));
    answer::again(
        &New {
            cx: &cx,
            name: post.form.name.clone(),
            name_error,
            problem: explained.as_ref().map(|explained| explained.advice.clone()),
        },
        explained.as_ref(),
    )
}
