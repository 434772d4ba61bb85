//! Deleting the organization: its part of the address typed, the password typed again (R-ORG-3).

use crate::{
    actions,
    domain::{policy::Permission, refusal::Refusal},
    store,
    web::{
        answer,
        form::{FormToken, Post, refused},
        page::{self, Banner, Cx},
        password,
        problem::{self, Problem},
        visit::{Seen, Visit},
    },
};
use actix_web::{HttpResponse, web::Path};
use askama::Template;
use secrecy::SecretString;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "organization/delete.html")]
struct Delete<'a> {
    cx: &'a Cx,
    members: String,
    members_plural: bool,
    slug: String,
    slug_error: Option<String>,
    password_error: Option<String>,
    problem: Option<String>,
}

/// The form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Fields {
    #[serde(rename = "csrf")]
    _csrf: FormToken,
    #[serde(default)]
    slug: String,
    #[serde(default)]
    password: SecretString,
}

/// `GET /orgs/{org}/delete`
pub(in crate::web) async fn show(visit: Visit, org: Path<String>) -> Result<HttpResponse, Problem> {
    let seen = look(&visit, &org).await?;
    let cx = visit.frame(&seen, "organization/delete", "Delete organization");
    answer::ok(&form(&cx, &seen, String::new())?)
}

async fn look(visit: &Visit, slug: &str) -> Result<Seen, Problem> {
    let (seen, ()) = visit
        .member(slug, |_, member| {
            member.check(Permission::DeleteOrganization)
        })
        .await?;
    Ok(seen)
}

fn form<'a>(cx: &'a Cx, seen: &Seen, slug: String) -> Result<Delete<'a>, Problem> {
    let members = seen.member()?.place.member_count;
    Ok(Delete {
        cx,
        members: page::thousands(i64::from(members)),
        members_plural: members != 1,
        slug,
        slug_error: None,
        password_error: None,
        problem: None,
    })
}

/// `POST /orgs/{org}/delete`
pub(in crate::web) async fn delete(
    post: Post<Fields>,
    org: Path<String>,
) -> Result<HttpResponse, Problem> {
    // Whoever may not delete it is told so before any password is verified.
    look(&post.visit, &org).await?;
    if let Err(refusal) = password::confirm(&post, post.form.password.clone()).await? {
        return again(&post, &org, refusal).await;
    }
    let (slug, typed) = (org.clone(), post.form.slug.clone());
    let deleted =
        post.act(move |run, actor| actions::organizations::delete(run, actor, &slug, &typed));
    let deleted = store::unhurried(deleted).await;
    match refused(deleted)? {
        Ok(name) => {
            let banner = Banner::done(format!(
                "{name} is deleted. Whoever else was in it has been told."
            ));
            Ok(post.visit.see_other_saying("/", &banner))
        }
        Err(refusal) => again(&post, &org, refusal).await,
    }
}

/// The form again, with what was wrong at its field.
async fn again(post: &Post<Fields>, org: &str, refusal: Refusal) -> Result<HttpResponse, Problem> {
    let seen = look(&post.visit, org).await?;
    let cx = post
        .visit
        .frame(&seen, "organization/delete", "Delete organization");
    let mut page = form(&cx, &seen, post.form.slug.clone())?;
    let field = refusal.clone();
    let explained = problem::explain(&refusal.into(), Some(seen.now));
    let words = Some(explained.advice.clone());
    match field {
        Refusal::SlugDiffers => page.slug_error = words,
        Refusal::WrongPassword | Refusal::TooManyAttempts(_) => page.password_error = words,
        _ => page.problem = words,
    }
    answer::again(&page, Some(&explained))
}
