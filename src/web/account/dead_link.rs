//! Links that prove a mailbox: what their token says, and the page of one that does nothing.

use crate::{
    actions::Failure,
    domain::{ids::ProofId, proof::ProofPurpose, refusal::Refusal},
    link::{LinkToken, Purpose},
    store::{self, Conn},
    web::{
        answer,
        app::App,
        page::{Cx, WayOn},
        problem::{self, Problem},
        urls,
        visit::Visit,
    },
};
use actix_web::HttpResponse;
use askama::Template;

#[derive(Template)]
#[template(path = "account/dead_link.html")]
struct DeadLink<'a> {
    cx: &'a Cx,
    icon: &'static str,
    heading: String,
    body: String,
    way_on: WayOn,
}

const fn link_purpose(purpose: ProofPurpose) -> Purpose {
    match purpose {
        ProofPurpose::VerifyEmail => Purpose::VerifyEmail,
        ProofPurpose::ResetPassword => Purpose::ResetPassword,
    }
}

/// What a token says: it was made by us, for this purpose. What it is worth is decided later.
pub(super) fn named(app: &App, purpose: ProofPurpose, token: &str) -> Result<LinkToken, Refusal> {
    app.means
        .links
        .read(link_purpose(purpose), token)
        .ok_or(Refusal::ProofUnknown)
}

/// The page of a token.
pub(super) fn url(purpose: ProofPurpose, token: &str) -> String {
    link_purpose(purpose).path_of(token)
}

/// Shows a refusal as the page of a link that does nothing, and lets every other problem be.
pub(super) async fn or_dead(
    visit: &Visit,
    purpose: ProofPurpose,
    token: &str,
    answer: Result<HttpResponse, Problem>,
) -> Result<HttpResponse, Problem> {
    match answer {
        Err(Problem::Failure(Failure::Refused(refusal))) => {
            dead(visit, purpose, token, refusal).await
        }
        answer => answer,
    }
}

async fn dead(
    visit: &Visit,
    purpose: ProofPurpose,
    token: &str,
    refusal: Refusal,
) -> Result<HttpResponse, Problem> {
    let link = named(&visit.app, purpose, token).ok();
    let (seen, done) = visit
        .anyone(None, move |conn, _| is_done(conn, purpose, link))
        .await?;
    let explained = problem::explain(&refusal.clone().into(), Some(seen.now));
    let signed_in = seen.session.is_some();
    let icon = match refusal {
        Refusal::ProofExpired(_) => "hourglass",
        Refusal::ProofUsed => "check",
        Refusal::ProofUnknown => "search",
        _ => "ban",
    };
    let body = if done {
        "Your address is confirmed. There is nothing more to do.".to_owned()
    } else {
        explained.advice.clone()
    };
    let way_on = match (purpose, signed_in) {
        (ProofPurpose::ResetPassword, _) => WayOn::to("Ask for a new link", urls::FORGOT_PASSWORD),
        (ProofPurpose::VerifyEmail, true) if matches!(refusal, Refusal::ProofExpired(_)) => {
            WayOn::post("Send a new letter", urls::ACCOUNT_VERIFY_EMAIL)
        }
        (ProofPurpose::VerifyEmail, true) => WayOn::to("Your email address", urls::ACCOUNT_EMAIL),
        (ProofPurpose::VerifyEmail, false) => {
            WayOn::to("Sign in", urls::sign_in_and_back(urls::ACCOUNT_EMAIL))
        }
    };
    let cx = visit.frame(&seen, "account/dead_link", "Link");
    let page = DeadLink {
        cx: &cx,
        icon,
        heading: explained.title.clone(),
        body,
        way_on,
    };
    answer::again(&page, Some(&explained))
}

/// Whether the address that a link was to confirm is confirmed.
fn is_done(
    conn: &mut Conn,
    purpose: ProofPurpose,
    link: Option<LinkToken>,
) -> Result<bool, Failure> {
    let Some(link) = link.filter(|_| purpose == ProofPurpose::VerifyEmail) else {
        return Ok(false);
    };
    let found = store::proofs::find_by_link(conn, purpose, ProofId(link.id), link.version)?;
    Ok(found.is_some_and(|(proof, account)| proof.is_done(&account)))
}
