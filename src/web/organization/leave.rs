//! Leaving an organization (R-MEM-3).

use crate::{
    actions,
    domain::{membership, policy::Permission, refusal::Refusal},
    store,
    web::{
        answer,
        form::{Button, Post, refused},
        page::{Banner, Cx},
        problem::{self, Explained, Problem},
        urls,
        visit::Visit,
    },
};
use actix_web::{HttpResponse, web::Path};
use askama::Template;

#[derive(Template)]
#[template(path = "organization/leave.html")]
struct Leave<'a> {
    cx: &'a Cx,
    /// The only Owner cannot leave: the way is to hand over, or, alone, to delete.
    only_owner: bool,
    only_you: bool,
    last: bool,
}

/// `GET /orgs/{org}/leave`
pub(in crate::web) async fn confirm(
    visit: Visit,
    org: Path<String>,
) -> Result<HttpResponse, Problem> {
    page(&visit, &org, None).await
}

async fn page(
    visit: &Visit,
    org: &str,
    refused: Option<&Explained>,
) -> Result<HttpResponse, Problem> {
    let (seen, only_owner) = visit
        .member(org, |conn, member| {
            member.check(Permission::Leave)?;
            let owners = store::memberships::count_owners(conn, member.place.organization)?;
            Ok(membership::leave(member.place.role, owners).is_err())
        })
        .await?;
    let member = seen.member()?;
    let cx = visit.frame(&seen, "organization/leave", "Leave");
    let view = Leave {
        cx: &cx,
        only_owner,
        only_you: member.place.member_count == 1,
        last: seen.places.len() == 1,
    };
    match refused {
        Some(_) => answer::again(&view, refused),
        None => answer::ok(&view),
    }
}

/// `POST /orgs/{org}/leave`
pub(in crate::web) async fn leave(
    post: Post<Button>,
    org: Path<String>,
) -> Result<HttpResponse, Problem> {
    let slug = org.clone();
    let answer = post
        .act(move |run, actor| actions::members::leave(run, actor, &slug))
        .await;
    let left = match refused(answer)? {
        Ok(left) => left,
        Err(refusal @ Refusal::LastOwner) => {
            let explained = problem::explain(&refusal.into(), None);
            return page(&post.visit, &org, Some(&explained)).await;
        }
        Err(other) => return Err(other.into()),
    };
    let (slug, name) = left.next;
    let line = if left.personal {
        format!(
            "You left {}. This is an organization of your own.",
            left.organization
        )
    } else {
        format!("You left {}. You're in {name} now.", left.organization)
    };
    Ok(post
        .visit
        .see_other_saying(urls::organization(&slug), &Banner::done(line)))
}
