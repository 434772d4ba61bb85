//! `/`: my organizations, and the invitations that wait for me.

use super::invitations::{self, OpenView};
use crate::{
    actions::Failure,
    domain::policy::{self, Permission},
    store::sessions::Place,
    web::{answer, page::Cx, problem::Problem, urls, visit::Visit},
};
use actix_web::HttpResponse;
use askama::Template;

#[derive(Template)]
#[template(path = "account/home.html")]
struct Home<'a> {
    cx: &'a Cx,
    places: Vec<PlaceLink>,
    open: Vec<OpenView>,
    more_open: bool,
}

/// One of my organizations.
struct PlaceLink {
    url: String,
    settings_url: String,
    name: String,
    role_label: &'static str,
}

impl PlaceLink {
    /// The settings have their own way in: the organization itself may lead to another site (R-ACC-10).
    fn new(place: &Place) -> Self {
        let settings_url = if policy::allows(place.role, Permission::SeeMembers) {
            urls::team(&place.slug)
        } else {
            urls::roles(&place.slug)
        };
        Self {
            url: urls::organization(&place.slug),
            settings_url,
            name: place.name.clone(),
            role_label: place.role.label(),
        }
    }
}

/// `GET /`
pub(in crate::web) async fn show(visit: Visit) -> Result<HttpResponse, Problem> {
    let (seen, (open, more_open)) = visit
        .anyone(None, |conn, seen| {
            let session = seen.session.as_ref().ok_or(Failure::SignedOut)?;
            invitations::prompts(conn, session, seen.now)
        })
        .await?;
    let cx = visit.frame(&seen, "account/home", "Your organizations");
    answer::ok(&Home {
        cx: &cx,
        places: seen.places.iter().map(PlaceLink::new).collect(),
        open,
        more_open,
    })
}
