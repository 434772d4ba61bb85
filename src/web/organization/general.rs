//! General settings: the organization's name, and where its members are led.

use crate::{
    actions::{self, Failure, organizations::Settings},
    domain::{
        organization::{ApplicationUrl, Organization},
        policy::Permission,
        text::OrganizationName,
    },
    store,
    web::{
        answer,
        form::{FormToken, Post},
        page::{Banner, Cx},
        problem::Problem,
        urls,
        visit::{Seen, Visit},
    },
};
use actix_web::{HttpResponse, http::StatusCode, web::Path};
use askama::Template;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "organization/general.html")]
struct General<'a> {
    cx: &'a Cx,
    name: String,
    name_error: Option<String>,
    address_hint: String,
    application_url: String,
    application_url_error: Option<String>,
    can_transfer: bool,
    can_delete: bool,
}

/// The form, and what is wrong with each field.
#[derive(Default)]
struct Entered {
    name: String,
    name_error: Option<String>,
    application_url: String,
    application_url_error: Option<String>,
}

/// The form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Fields {
    #[serde(rename = "csrf")]
    _csrf: FormToken,
    #[serde(default)]
    name: String,
    #[serde(default)]
    application_url: String,
}

/// `GET /orgs/{org}/settings/general`
pub(in crate::web) async fn show(visit: Visit, org: Path<String>) -> Result<HttpResponse, Problem> {
    let (seen, organization) = look(&visit, &org).await?;
    let entered = Entered {
        name: organization.name,
        application_url: organization.application_url.unwrap_or_default(),
        ..Entered::default()
    };
    page(&visit, &seen, StatusCode::OK, entered)
}

async fn look(visit: &Visit, slug: &str) -> Result<(Seen, Organization), Problem> {
    visit
        .member(slug, |conn, member| {
            member.check(Permission::EditSettings)?;
            store::organizations::find(conn, member.place.organization)?.ok_or(Failure::NotFound)
        })
        .await
}

/// `POST /orgs/{org}/settings/general`
pub(in crate::web) async fn change(
    post: Post<Fields>,
    org: Path<String>,
) -> Result<HttpResponse, Problem> {
    let name = OrganizationName::parse(&post.form.name).map_err(|fault| fault.to_string());
    let url = application_url(&post);
    let (name, application_url) = match (name, url) {
        (Ok(name), Ok(url)) => (name, url),
        (name, url) => {
            let entered = Entered {
                name: post.form.name.clone(),
                name_error: name.err(),
                application_url: post.form.application_url.clone(),
                application_url_error: url.err(),
            };
            let (seen, _) = look(&post.visit, &org).await?;
            return page(
                &post.visit,
                &seen,
                StatusCode::UNPROCESSABLE_ENTITY,
                entered,
            );
        }
    };
    let after = Settings {
        name,
        application_url,
    };
    let slug = org.clone();
    let changed = post
        .act(move |run, actor| actions::organizations::change_settings(run, actor, &slug, &after))
        .await?;
    let line = if changed {
        "Settings saved."
    } else {
        "Nothing to change: that is how it was."
    };
    Ok(post
        .visit
        .see_other_saying(urls::general(&org), &Banner::done(line)))
}

/// The application's address as typed. One of Roster's own pages would lead in a circle.
fn application_url(post: &Post<Fields>) -> Result<Option<ApplicationUrl>, String> {
    let url =
        ApplicationUrl::parse(&post.form.application_url).map_err(|fault| fault.to_string())?;
    let roster = &post.visit.app.site.public_url;
    match url {
        Some(url) if url.same_site(roster) => {
            Err("That is Roster itself. Enter the address of your own application.".to_owned())
        }
        url => Ok(url),
    }
}

fn page(
    visit: &Visit,
    seen: &Seen,
    status: StatusCode,
    entered: Entered,
) -> Result<HttpResponse, Problem> {
    let member = seen.member()?;
    let cx = visit.frame(seen, "organization/general", "General settings");
    answer::html(
        status,
        &General {
            cx: &cx,
            name: entered.name,
            name_error: entered.name_error,
            address_hint: format!(
                "The address stays {}, so links keep working.",
                urls::organization(&member.place.slug)
            ),
            application_url: entered.application_url,
            application_url_error: entered.application_url_error,
            can_transfer: member.may(Permission::TransferOwnership),
            can_delete: member.may(Permission::DeleteOrganization),
        },
    )
}
