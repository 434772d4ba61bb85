//! The invitation page: what the holder of a link sees, and can do.

pub(super) mod accept;
pub(super) mod ask_again;
pub(super) mod reject;
pub(super) mod show;
pub(super) mod sign_up;
pub(super) mod switch_account;

use super::{
    answer,
    app::App,
    page::{Cx, WayOn},
    problem::{self, Problem},
    urls,
    visit::{Seen, Visit},
};
use crate::{
    actions::Failure,
    domain::{
        ids::InvitationId,
        invitation::{Link, Welcome},
        refusal::Refusal,
    },
    link::Purpose,
    store::{self, Conn, deliveries::About},
};
use actix_web::HttpResponse;
use askama::Template;

#[derive(Template)]
#[template(path = "invitation/dead.html")]
struct Dead<'a> {
    cx: &'a Cx,
    icon: &'static str,
    heading: String,
    body: String,
    way_on: Option<WayOn>,
}

#[derive(Template)]
#[template(path = "invitation/wrong_account.html")]
struct WrongAccount<'a> {
    cx: &'a Cx,
    url: String,
    sent_to: String,
}

/// The invitation a link names: its token was made by us, for this purpose. What it is worth is decided later.
fn named(app: &App, token: &str) -> Result<Link, Refusal> {
    let read = app
        .means
        .links
        .read(Purpose::Invitation, token)
        .ok_or(Refusal::LinkUnknown)?;
    Ok(Link {
        id: InvitationId(read.id),
        version: read.version,
    })
}

/// What a link leads to, for whoever looks.
struct Looked {
    about: About,
    welcome: Result<Welcome, Refusal>,
}

fn look(conn: &mut Conn, seen: &Seen, link: Link) -> Result<Looked, Failure> {
    let found = store::invitations::find_by_link(conn, link)?.ok_or(Refusal::LinkUnknown)?;
    let about =
        store::deliveries::about(conn, found.organization, link.id)?.ok_or(Refusal::LinkUnknown)?;
    if about.deleted {
        return Err(Refusal::OrganizationDeleted.into());
    }
    let member = seen
        .places
        .iter()
        .any(|place| place.organization == found.organization);
    let viewer = seen
        .session
        .as_ref()
        .map(|session| (&session.account.email, member));
    let welcome = about.invitation.welcome(viewer, seen.now);
    Ok(Looked { about, welcome })
}

/// Shows a refusal as the page of a dead link, and lets every other problem be.
async fn or_dead(
    visit: &Visit,
    token: &str,
    answer: Result<HttpResponse, Problem>,
) -> Result<HttpResponse, Problem> {
    match answer {
        Err(Problem::Failure(Failure::Refused(refusal))) => dead(visit, token, refusal).await,
        answer => answer,
    }
}

/// The page of a link that cannot be used (now, or by this visitor): its own words, status and next step (R-ACC-7).
async fn dead(visit: &Visit, token: &str, refusal: Refusal) -> Result<HttpResponse, Problem> {
    let (seen, ()) = visit.anyone(None, |_, _| Ok(())).await?;
    let url = urls::accept_invitation(token);
    dead_page(visit, &seen, Some(url), refusal)
}

/// [`dead`] for a visitor who is known already. `url` is the invitation page, where a link led here.
pub(super) fn dead_page(
    visit: &Visit,
    seen: &Seen,
    url: Option<String>,
    refusal: Refusal,
) -> Result<HttpResponse, Problem> {
    let explained = problem::explain(&refusal.clone().into(), Some(seen.now));
    if let (Refusal::WrongAccount { invited, .. }, Some(url)) = (&refusal, &url) {
        let cx = visit.frame(seen, "invitation/wrong_account", "Another address");
        return answer::html(
            explained.status,
            &WrongAccount {
                cx: &cx,
                url: url.clone(),
                sent_to: invited.clone(),
            },
        );
    }
    let (icon, way_on) = match refusal {
        Refusal::LinkExpired(_) => (
            "hourglass",
            url.map(|url| WayOn::post("Ask for a new invitation", format!("{url}/ask-again"))),
        ),
        Refusal::LinkRejected => ("circle-x", None),
        Refusal::LinkUsed if seen.session.is_some() => {
            ("check", Some(WayOn::to("Your organizations", "/")))
        }
        Refusal::LinkUsed => ("check", Some(WayOn::to("Sign in", urls::SIGN_IN))),
        Refusal::LinkReplaced => ("mail", None),
        Refusal::LinkUnknown => ("search", None),
        Refusal::AskedAlready(_) => ("clock", None),
        _ => ("ban", None),
    };
    let cx = visit.frame(seen, "invitation/dead", "Invitation");
    let page = Dead {
        cx: &cx,
        icon,
        heading: explained.title.clone(),
        body: explained.advice.clone(),
        way_on,
    };
    answer::again(&page, Some(&explained))
}
