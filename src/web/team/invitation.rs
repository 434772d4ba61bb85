//! One invitation: its page, and what can be done with it.

use super::invitations::InvitationRow;
use crate::{
    actions::{self, Failure},
    domain::{
        delivery::LetterKind,
        ids::InvitationId,
        invitation::{Invitation as Facts, Standing},
        policy::Permission,
        role::InvitableRole,
    },
    link::Purpose,
    store::{self, deliveries::DeliveryRow, invitations::InvitationRow as Row},
    web::{
        answer,
        form::{Button, FormToken, Post},
        page::{self, Banner, Cx, DeliveryView, RoleChoice},
        problem::Problem,
        urls,
        visit::{Member, Seen, Visit},
        when::When,
    },
};
use actix_web::{HttpResponse, http::StatusCode, web::Path};
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

/// Letters shown in the delivery log.
const LETTERS: i64 = 50;

#[derive(Template)]
#[template(path = "team/invitation.html")]
struct Invitation<'a> {
    cx: &'a Cx,
    invitation: InvitationRow,
    invited_by_email: String,
    message: Option<String>,
    ended_label: &'static str,
    ended_by: Option<String>,
    link_copied: bool,
    deliveries: Vec<DeliveryLine>,
}

struct DeliveryLine {
    what: &'static str,
    delivery: DeliveryView,
    when: When,
}

#[derive(Template)]
#[template(path = "team/link.html")]
struct Link<'a> {
    cx: &'a Cx,
    email: String,
    link: String,
    expires: When,
}

#[derive(Template)]
#[template(path = "team/change_invitation_role.html")]
struct ChangeInvitationRole<'a> {
    cx: &'a Cx,
    url: String,
    email: String,
    before: &'static str,
    roles: Vec<RoleChoice>,
    role_error: Option<String>,
}

#[derive(Template)]
#[template(path = "team/revoke.html")]
struct Revoke<'a> {
    cx: &'a Cx,
    url: String,
    email: String,
}

/// `/orgs/{org}/settings/team/invitations/{id}`. An id that cannot be one is answered like one that does not exist.
#[derive(Deserialize, Clone)]
pub(in crate::web) struct InvitationPath {
    org: String,
    id: String,
}

impl InvitationPath {
    fn invitation(&self) -> InvitationId {
        self.id.parse().unwrap_or(InvitationId(Uuid::nil()))
    }

    fn url(&self) -> String {
        urls::invitation(&self.org, self.invitation())
    }
}

struct Details {
    row: Row,
    inviter_email: String,
    closed_by: Option<String>,
    letters: Vec<DeliveryRow>,
}

/// `GET /orgs/{org}/settings/team/invitations/{id}`
pub(in crate::web) async fn show(
    visit: Visit,
    path: Path<InvitationPath>,
) -> Result<HttpResponse, Problem> {
    let id = path.invitation();
    let (seen, details) = visit
        .member(&path.org, move |conn, member| details(conn, member, id))
        .await?;
    let member = seen.member()?;
    let Details {
        row,
        inviter_email,
        closed_by,
        letters,
    } = details;
    let it = row.invitation.clone();
    let cx = visit.frame(
        &seen,
        "team/invitation",
        format!("Invitation for {}", it.email),
    );
    let first = letters.len().saturating_sub(1);
    answer::ok(&Invitation {
        cx: &cx,
        invited_by_email: inviter_email,
        message: it.note.clone(),
        ended_label: ended_label(it.standing(seen.now)),
        ended_by: closed_by.map(|name| format!("by {name}")),
        link_copied: it.exposed_at.is_some(),
        deliveries: letters
            .into_iter()
            .enumerate()
            .map(|(index, letter)| DeliveryLine {
                what: if letter.kind == LetterKind::Reminder {
                    "Reminder"
                } else if index == first {
                    "Invitation"
                } else {
                    "Resent"
                },
                when: When::new(letter.finished_at.unwrap_or(letter.created_at), seen.now),
                delivery: DeliveryView::new(letter.state, letter.reason),
            })
            .collect(),
        invitation: InvitationRow::new(row, member, visit.app.means.rules.mail),
    })
}

fn details(
    conn: &mut store::Conn,
    member: Member<'_>,
    id: InvitationId,
) -> Result<Details, Failure> {
    member.check(Permission::SeeInvitations)?;
    let organization = member.place.organization;
    let row = store::invitations::details(conn, organization, id)?.ok_or(Failure::NotFound)?;
    let inviter = store::accounts::find(conn, row.invitation.invited_by)?;
    let closed_by = match row.closed_by {
        Some(account) => store::accounts::find(conn, account)?.map(|account| account.name),
        None => None,
    };
    let letters = store::deliveries::of_invitation(conn, &row.invitation, LETTERS)?;
    let inviter_email = inviter
        .and_then(|inviter| inviter.email.reachable().map(str::to_owned))
        .unwrap_or_default();
    Ok(Details {
        row,
        inviter_email,
        closed_by,
        letters,
    })
}

const fn ended_label(standing: Standing) -> &'static str {
    match standing {
        Standing::Pending => "Expires",
        Standing::Expired | Standing::Superseded => "Expired",
        Standing::Accepted => "Accepted",
        Standing::Rejected => "Rejected",
        Standing::Revoked => "Revoked",
    }
}

/// The invitation of a page that asks for `permission`.
async fn look(
    visit: &Visit,
    path: &InvitationPath,
    permission: Permission,
) -> Result<(Seen, Facts), Problem> {
    let id = path.invitation();
    visit
        .member(&path.org, move |conn, member| {
            member.check(permission)?;
            store::invitations::find(conn, member.place.organization, id)?.ok_or(Failure::NotFound)
        })
        .await
}

/// `POST …/resend`
pub(in crate::web) async fn resend(
    post: Post<Button>,
    path: Path<InvitationPath>,
) -> Result<HttpResponse, Problem> {
    let (id, slug) = (path.invitation(), path.org.clone());
    let resent = post
        .act(move |run, actor| actions::invitations::resend(run, actor, &slug, id))
        .await?;
    let line = if resent.emailed {
        format!("Invitation resent to {}.", resent.email)
    } else {
        format!(
            "The invitation for {} is valid again. Copy its link to share it.",
            resent.email
        )
    };
    Ok(post
        .visit
        .see_other_saying(urls::invitations(&path.org), &Banner::done(line)))
}

/// `POST …/link`: the link that was mailed, as JSON for the script and as a page without it.
pub(in crate::web) async fn copy_link(
    post: Post<Button>,
    path: Path<InvitationPath>,
) -> Result<HttpResponse, Problem> {
    let (id, slug) = (path.invitation(), path.org.clone());
    let copied = post
        .act(move |run, actor| actions::invitations::copy_link(run, actor, &slug, id))
        .await?;
    let link = Purpose::Invitation.link_of(&post.visit.app.site.public_url, &copied.token);
    if post.wants_json {
        return Ok(HttpResponse::Ok().json(serde_json::json!({ "link": link })));
    }
    let (seen, it) = look(&post.visit, &path, Permission::CopyInvitationLink).await?;
    let cx = post.visit.frame(&seen, "team/link", "Invitation link");
    answer::ok(&Link {
        cx: &cx,
        email: copied.email.shown().to_owned(),
        link,
        expires: When::new(it.expires_at, seen.now),
    })
}

/// The form that changes a pending role.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct RoleForm {
    #[serde(rename = "csrf")]
    _csrf: FormToken,
    before: String,
    #[serde(default)]
    role: String,
}

/// `GET …/role`
pub(in crate::web) async fn role(
    visit: Visit,
    path: Path<InvitationPath>,
) -> Result<HttpResponse, Problem> {
    let (seen, it) = look(&visit, &path, Permission::ChangeInvitationRole).await?;
    role_page(&visit, &seen, &path, &it, None)
}

/// `POST …/role`
pub(in crate::web) async fn change_role(
    post: Post<RoleForm>,
    path: Path<InvitationPath>,
) -> Result<HttpResponse, Problem> {
    let (Some(before), Some(after)) = (
        InvitableRole::parse(&post.form.before),
        InvitableRole::parse(&post.form.role),
    ) else {
        let (seen, it) = look(&post.visit, &path, Permission::ChangeInvitationRole).await?;
        let error = "Choose Admin, Member or Viewer.".to_owned();
        return role_page(&post.visit, &seen, &path, &it, Some(error));
    };
    let (id, slug) = (path.invitation(), path.org.clone());
    let email = post
        .act(move |run, actor| {
            actions::invitations::change_role(run, actor, &slug, id, before, after)
        })
        .await?;
    let banner = Banner::done(format!("{email} will join as {}.", after.label()));
    Ok(post
        .visit
        .see_other_saying(urls::invitations(&path.org), &banner))
}

fn role_page(
    visit: &Visit,
    seen: &Seen,
    path: &InvitationPath,
    it: &Facts,
    role_error: Option<String>,
) -> Result<HttpResponse, Problem> {
    let cx = visit.frame(seen, "team/change_invitation_role", "Change role");
    let status = if role_error.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    answer::html(
        status,
        &ChangeInvitationRole {
            cx: &cx,
            url: path.url(),
            email: it.email.shown().to_owned(),
            before: it.role.as_str(),
            roles: page::role_choices(Some(it.role)),
            role_error,
        },
    )
}

/// `GET …/revoke`
pub(in crate::web) async fn confirm_revoke(
    visit: Visit,
    path: Path<InvitationPath>,
) -> Result<HttpResponse, Problem> {
    let (seen, it) = look(&visit, &path, Permission::RevokeInvitation).await?;
    let cx = visit.frame(&seen, "team/revoke", "Revoke invitation");
    answer::ok(&Revoke {
        cx: &cx,
        url: path.url(),
        email: it.email.shown().to_owned(),
    })
}

/// `POST …/revoke`
pub(in crate::web) async fn revoke(
    post: Post<Button>,
    path: Path<InvitationPath>,
) -> Result<HttpResponse, Problem> {
    let (id, slug) = (path.invitation(), path.org.clone());
    let email = post
        .act(move |run, actor| actions::invitations::revoke(run, actor, &slug, id))
        .await?;
    let banner = Banner::done(format!(
        "The invitation for {email} is revoked. Its link no longer works."
    ));
    Ok(post
        .visit
        .see_other_saying(urls::invitations(&path.org), &banner))
}
