//! The invitation page itself. Looking changes nothing, however often (R-ACC-1).

use super::{Looked, look, named, or_dead};
use crate::{
    actions::{Failure, Rules},
    domain::{consent::LegalDocument, invitation::Welcome, refusal::Refusal, role::Role},
    store::{self, Conn},
    web::{
        answer,
        legal::ConsentBox,
        page::Cx,
        problem::Problem,
        urls,
        visit::{Seen, Visit},
        when::When,
    },
};
use actix_web::{HttpResponse, http::StatusCode, web::Path};
use askama::Template;
use std::sync::Arc;

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
    agreement: ConsentBox,
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

/// The form of the page, as it was sent.
#[derive(Default)]
pub(super) struct Sent {
    pub(super) name: String,
    pub(super) name_error: Option<String>,
    pub(super) password_error: Option<String>,
    pub(super) consent_error: Option<String>,
    pub(super) problem: Option<String>,
}

/// `GET /accept-invitation/{token}`
pub(in crate::web) async fn show(
    visit: Visit,
    token: Path<String>,
) -> Result<HttpResponse, Problem> {
    let answer = page(&visit, &token, StatusCode::OK, Sent::default()).await;
    or_dead(&visit, &token, answer).await
}

/// The page, with the form as it was sent.
pub(super) async fn page(
    visit: &Visit,
    token: &str,
    status: StatusCode,
    sent: Sent,
) -> Result<HttpResponse, Problem> {
    let named = named(&visit.app, token)?;
    let means = Arc::clone(&visit.app.means);
    let (seen, (Looked { about, welcome }, to_accept)) = visit
        .anyone(None, move |conn, seen| {
            let looked = look(conn, seen, named)?;
            let to_accept = before_joining(conn, seen, &looked, &means.rules)?;
            Ok((looked, to_accept))
        })
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
                invited_by_email: about
                    .inviter_email
                    .reachable()
                    .unwrap_or_default()
                    .to_owned(),
                email: it.email.shown().to_owned(),
                expires: When::new(it.expires_at, seen.now),
            },
            already,
            name: sent.name,
            name_error: sent.name_error,
            password_error: sent.password_error,
            problem: sent.problem,
            agreement: ConsentBox::new(&to_accept).with(sent.consent_error),
        },
    )
}

/// Whether there is a seat for whoever could join, and what they have to accept with it.
fn before_joining(
    conn: &mut Conn,
    seen: &Seen,
    looked: &Looked,
    rules: &Rules,
) -> Result<Vec<LegalDocument>, Failure> {
    if !matches!(looked.welcome, Ok(Welcome::Invitee | Welcome::SignedOut)) {
        return Ok(Vec::new());
    }
    if rules.seats.is_some() {
        let id = looked.about.invitation.organization;
        let found = store::organizations::find(conn, id)?.ok_or(Failure::NotFound)?;
        if !rules.has_seat(found.member_count) {
            return Err(Refusal::OrganizationFull(found.name).into());
        }
    }
    match &seen.session {
        Some(session) => Ok(store::consents::missing(
            conn,
            session.account.id,
            &rules.legal,
        )?),
        None => Ok(rules.legal.clone()),
    }
}

fn already(seen: &Seen, about: &store::deliveries::About) -> Option<Already> {
    let place = seen
        .places
        .iter()
        .find(|place| place.organization == about.invitation.organization)?;
    Some(Already {
        role_label: place.role.label(),
        url: urls::organization(&place.slug),
    })
}
