//! The invitation page itself. Looking changes nothing, however often (R-ACC-1).

use super::{Looked, look, named, or_dead};
use crate::{
    domain::{invitation::Welcome, role::Role},
    web::{
        answer,
        page::{Cx, When},
        problem::Problem,
        urls,
        visit::{Seen, Visit},
    },
};
use actix_web::{HttpResponse, http::StatusCode, web::Path};
use askama::Template;

#[derive(Template)]
#[template(path = "invitation/show.html")]
struct Show<'a> {
    cx: &'a Cx,
    invitation: InvitationView,
    already: Option<Already>,
    name: String,
    name_error: Option<String>,
    password_error: Option<String>,
    problem: Option<String>,
}

/// What the page says of the invitation.
struct InvitationView {
    url: String,
    organization: String,
    role: Role,
    invited_by: String,
    invited_by_email: String,
    email: String,
    expires: When,
}

/// The visitor is a member already.
struct Already {
    role_label: &'static str,
    url: String,
}

/// The sign-up half of the page, as it was sent.
#[derive(Default)]
pub(super) struct SignUpHalf {
    pub(super) name: String,
    pub(super) name_error: Option<String>,
    pub(super) password_error: Option<String>,
    pub(super) problem: Option<String>,
}

/// `GET /accept-invitation/{token}`
pub(in crate::web) async fn show(
    visit: Visit,
    token: Path<String>,
) -> Result<HttpResponse, Problem> {
    let answer = page(&visit, &token, StatusCode::OK, SignUpHalf::default()).await;
    or_dead(&visit, &token, answer).await
}

/// The page, with the sign-up half as it was sent.
pub(super) async fn page(
    visit: &Visit,
    token: &str,
    status: StatusCode,
    half: SignUpHalf,
) -> Result<HttpResponse, Problem> {
    let named = named(&visit.app, token)?;
    let (seen, Looked { about, welcome }) = visit
        .anyone(None, move |conn, seen| look(conn, seen, named))
        .await?;
    let already = match welcome? {
        Welcome::AlreadyIn => already(&seen, &about),
        Welcome::Invitee | Welcome::SignedOut => None,
    };
    let cx = visit.frame(
        &seen,
        "invitation/show",
        format!("Invitation to {}", about.organization),
    );
    let it = about.invitation;
    answer::html(
        status,
        &Show {
            cx: &cx,
            invitation: InvitationView {
                url: urls::accept_invitation(token),
                organization: about.organization,
                role: it.role.role(),
                invited_by: about.inviter,
                invited_by_email: about.inviter_email.shown().to_owned(),
                email: it.email.shown().to_owned(),
                expires: When::new(it.expires_at, seen.now),
            },
            already,
            name: half.name,
            name_error: half.name_error,
            password_error: half.password_error,
            problem: half.problem,
        },
    )
}

fn already(seen: &Seen, about: &crate::store::deliveries::About) -> Option<Already> {
    let place = seen
        .places
        .iter()
        .find(|place| place.organization == about.invitation.organization)?;
    Some(Already {
        role_label: place.role.label(),
        url: urls::organization(&place.slug),
    })
}
