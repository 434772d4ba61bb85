//! The open invitations for my own, proved address: accepted and rejected without a link (R-ACC-11).

use crate::{
    actions::{self, Failure},
    domain::{account::Session, ids::InvitationId, refusal::Refusal, role::Role, time::Timestamp},
    store::{self, Conn, deliveries::About, invitations::OpenInvitation},
    web::{
        answer,
        form::{Button, Post, refused},
        invitation,
        page::Cx,
        problem::Problem,
        urls,
        visit::{Seen, Visit},
        when::When,
    },
};
use actix_web::{HttpResponse, web::Path};
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

/// Invitations on the page. More than that at once is nobody's usual day; the rest follows as these are answered.
const MOST: i64 = 100;

#[derive(Template)]
#[template(path = "account/invitations.html")]
struct Invitations<'a> {
    cx: &'a Cx,
    open: Vec<OpenView>,
}

/// An open invitation, for its prompt.
pub(super) struct OpenView {
    pub(super) id: InvitationId,
    pub(super) url: String,
    pub(super) organization: String,
    pub(super) role: Role,
    pub(super) invited_by: String,
    pub(super) invited_by_email: String,
    pub(super) email: String,
    pub(super) expires: When,
}

impl OpenView {
    fn new(open: OpenInvitation, now: Timestamp) -> Self {
        let it = open.invitation;
        Self {
            id: it.id,
            url: urls::my_invitation(it.id),
            organization: open.organization,
            role: it.role.role(),
            invited_by: open.inviter,
            invited_by_email: open.inviter_email.unwrap_or_default(),
            email: it.email.shown().to_owned(),
            expires: When::new(it.expires_at, now),
        }
    }
}

/// The open invitations for whoever is signed in, at most `most`: none until their address is proved (R-ACC-4).
pub(super) fn open(
    conn: &mut Conn,
    session: &Session,
    now: Timestamp,
    most: i64,
) -> Result<Vec<OpenView>, Failure> {
    let account = &session.account;
    if account.verified_at.is_none() {
        return Ok(Vec::new());
    }
    let open = store::invitations::open_for(conn, &account.email, now, most)?;
    Ok(open
        .into_iter()
        .map(|open| OpenView::new(open, now))
        .collect())
}

/// Prompts on another page; the others are a link away.
const PROMPTS: usize = 5;

/// The first few of [`open`], and whether there are more.
pub(super) fn prompts(
    conn: &mut Conn,
    session: &Session,
    now: Timestamp,
) -> Result<(Vec<OpenView>, bool), Failure> {
    let mut open = open(conn, session, now, PROMPTS as i64 + 1)?;
    let more = open.len() > PROMPTS;
    open.truncate(PROMPTS);
    Ok((open, more))
}

/// `GET /invitations`
pub(in crate::web) async fn list(visit: Visit) -> Result<HttpResponse, Problem> {
    let (seen, open) = visit
        .anyone(None, |conn, seen| {
            let session = seen.session.as_ref().ok_or(Failure::SignedOut)?;
            open(conn, session, seen.now, MOST)
        })
        .await?;
    let cx = visit.frame(&seen, "account/invitations", "Your invitations");
    answer::ok(&Invitations { cx: &cx, open })
}

/// `/invitations/{id}/…`. An id that cannot be one is answered like one that does not exist.
#[derive(Deserialize)]
pub(in crate::web) struct OwnPath {
    id: String,
}

impl OwnPath {
    fn invitation(&self) -> InvitationId {
        self.id.parse().unwrap_or(InvitationId(Uuid::nil()))
    }
}

/// `POST /invitations/{id}/accept`
pub(in crate::web) async fn accept(
    post: Post<Button>,
    path: Path<OwnPath>,
) -> Result<HttpResponse, Problem> {
    let id = path.invitation();
    let joined = post
        .act(move |run, actor| actions::invitees::accept_by_bell(run, actor, id))
        .await;
    match refused(joined)? {
        Ok(joined) => Ok(invitation::accept::welcome(&post.visit, &joined)),
        // Asked on a page of its own; afterwards this invitation still waits here.
        Err(Refusal::ConsentMissing) => Ok(post
            .visit
            .see_other(urls::consent_and_on(urls::INVITATIONS))),
        Err(refusal) => dead(&post.visit, refusal).await,
    }
}

/// `GET /invitations/{id}/reject`
pub(in crate::web) async fn confirm_reject(
    visit: Visit,
    path: Path<OwnPath>,
) -> Result<HttpResponse, Problem> {
    let id = path.invitation();
    let (seen, looked) = visit
        .anyone(None, move |conn, seen| look(conn, seen, id))
        .await?;
    match looked {
        Ok(about) => {
            let back = urls::INVITATIONS.to_owned();
            invitation::reject::page(&visit, &seen, urls::my_invitation(id), back, about)
        }
        Err(refusal) => invitation::dead_page(&visit, &seen, None, refusal),
    }
}

/// The invitation, if it is the visitor's own; the refusal, if it has ended.
fn look(conn: &mut Conn, seen: &Seen, id: InvitationId) -> Result<Result<About, Refusal>, Failure> {
    let session = seen.session.as_ref().ok_or(Failure::SignedOut)?;
    let found = store::invitations::find_by_id(conn, id)?
        .filter(|found| found.is_shown_to(&session.account))
        .ok_or(Failure::NotFound)?;
    let about = store::deliveries::about(conn, found.organization, id)?.ok_or(Failure::NotFound)?;
    if about.deleted {
        return Ok(Err(Refusal::OrganizationDeleted));
    }
    Ok(about.invitation.reject(seen.now).map(|_| about))
}

/// `POST /invitations/{id}/reject`
pub(in crate::web) async fn reject(
    post: Post<Button>,
    path: Path<OwnPath>,
) -> Result<HttpResponse, Problem> {
    let id = path.invitation();
    let rejected = post
        .act(move |run, actor| actions::invitees::reject_by_bell(run, actor, id))
        .await;
    match refused(rejected)? {
        Ok(rejected) => Ok(invitation::reject::rejected_page(&post.visit, rejected)),
        Err(refusal) => dead(&post.visit, refusal).await,
    }
}

/// The page of an invitation that cannot be answered any more, the same as for its link (R-ACC-7).
async fn dead(visit: &Visit, refusal: Refusal) -> Result<HttpResponse, Problem> {
    let (seen, ()) = visit.anyone(None, |_, _| Ok(())).await?;
    invitation::dead_page(visit, &seen, None, refusal)
}
