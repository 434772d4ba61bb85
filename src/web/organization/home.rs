//! The organization's home: you are in, this is what you can do, these can help.

use crate::{
    domain::policy::Permission,
    store,
    web::{
        answer, error,
        page::{self, Cx, Helper},
        problem::Problem,
        urls,
        visit::Visit,
    },
};
use actix_web::{
    HttpResponse,
    http::header::{self, HeaderValue},
    web::{Path, Query},
};
use askama::Template;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "organization/home.html")]
struct Home<'a> {
    cx: &'a Cx,
    can: Vec<String>,
    helpers: Vec<Helper>,
    can_see_team: bool,
    can_invite: bool,
    only_you: bool,
    /// The organization's own application, where a form led here and a redirect must not lead on.
    application: Option<String>,
}

/// `?stay`: Roster's own page, also where the organization has an application to lead to.
#[derive(Deserialize)]
pub(in crate::web) struct Stay {
    stay: Option<String>,
}

/// Owners, and Admins, named on the page.
const HELPERS: i64 = 10;

/// `GET /orgs/{org}`: on to the organization's application, if it has one (R-ACC-10).
///
/// A form that ends here (accepting, signing in) must not be redirected on: browsers hold every redirect after a form
/// against `form-action 'self'`. Then this page is shown, and goes on to the application by itself and by a link.
pub(in crate::web) async fn show(
    visit: Visit,
    org: Path<String>,
    query: Query<Stay>,
) -> Result<HttpResponse, Problem> {
    let (seen, (helpers, application)) = visit
        .member(&org, |conn, member| {
            member.check(Permission::OpenOrganization)?;
            let organization = member.place.organization;
            let me = Some(member.session.account.id);
            let helpers = error::helpers(conn, organization, HELPERS, me)?;
            let found = store::organizations::find(conn, organization)?;
            Ok((helpers, found.and_then(|found| found.application_url)))
        })
        .await?;
    let member = seen.member()?;
    let application = application.filter(|_| query.stay.is_none());
    if let Some(url) = &application
        && !visit.led_by_form()
    {
        return Ok(visit.see_other(url));
    }
    let cx = visit.frame(&seen, "organization/home", "Home");
    let mut response = answer::ok(&Home {
        cx: &cx,
        can: page::can_do(member.place.role),
        helpers,
        can_see_team: member.may(Permission::SeeMembers),
        can_invite: member.may(Permission::InviteMember),
        only_you: member.place.member_count == 1,
        application: application.clone(),
    })?;
    if let Some(url) = application
        && let Ok(value) = HeaderValue::try_from(format!("0; url={url}"))
    {
        response.headers_mut().insert(header::REFRESH, value);
    }
    Ok(response)
}

/// `GET /orgs/{org}/settings`: the team is the first of the settings.
pub(in crate::web) async fn settings(
    visit: Visit,
    org: Path<String>,
) -> Result<HttpResponse, Problem> {
    let (seen, ()) = visit.member(&org, |_, _| Ok(())).await?;
    Ok(visit.see_other(urls::team(&seen.member()?.place.slug)))
}
