//! The organization's home: you are in, this is what you can do, these can help.

use crate::{
    domain::policy::Permission,
    web::{
        answer, error,
        page::{self, Cx, Helper},
        problem::Problem,
        urls,
        visit::Visit,
    },
};
use actix_web::{HttpResponse, web::Path};
use askama::Template;

#[derive(Template)]
#[template(path = "organization/home.html")]
struct Home<'a> {
    cx: &'a Cx,
    can: Vec<String>,
    helpers: Vec<Helper>,
    can_see_team: bool,
    can_invite: bool,
    only_you: bool,
}

/// Owners, and Admins, named on the page.
const HELPERS: i64 = 10;

/// `GET /orgs/{org}`
pub(in crate::web) async fn show(visit: Visit, org: Path<String>) -> Result<HttpResponse, Problem> {
    let (seen, helpers) = visit
        .member(&org, |conn, member| {
            member.check(Permission::OpenOrganization)?;
            error::helpers(
                conn,
                member.place.organization,
                HELPERS,
                Some(member.session.account.id),
            )
        })
        .await?;
    let member = seen.member()?;
    let cx = visit.frame(&seen, "organization/home", "Home");
    answer::ok(&Home {
        cx: &cx,
        can: page::can_do(member.place.role),
        helpers,
        can_see_team: member.may(Permission::SeeMembers),
        can_invite: member.may(Permission::InviteMember),
        only_you: member.place.member_count == 1,
    })
}

/// `GET /orgs/{org}/settings`: the team is the first of the settings.
pub(in crate::web) async fn settings(
    visit: Visit,
    org: Path<String>,
) -> Result<HttpResponse, Problem> {
    let (seen, ()) = visit.member(&org, |_, _| Ok(())).await?;
    Ok(visit.see_other(urls::team(&seen.member()?.place.slug)))
}
