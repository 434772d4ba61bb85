//! The bell: what happened to me, newest first, below the invitations that wait for me (R-ACC-11).

use super::invitations::{self, OpenView};
use crate::{
    actions::{self, Failure},
    domain::{
        ids::NotificationId,
        notification::{Notification, NotificationKind},
        policy::{self, Permission},
    },
    store::{self, notifications::NotificationRow, sessions::Place},
    web::{
        answer,
        form::{FormToken, Post},
        page::{self, Banner, Cx, Pager},
        paging::{Paging, Total},
        problem::Problem,
        urls,
        visit::{Seen, Visit},
        when::When,
    },
};
use actix_web::{HttpResponse, web::Query};
use askama::Template;
use serde::Deserialize;

/// Notifications on a page.
const PAGE: i64 = 25;

#[derive(Template)]
#[template(path = "account/bell.html")]
struct Bell<'a> {
    cx: &'a Cx,
    open: Vec<OpenView>,
    more_open: bool,
    lines: Vec<Line>,
    /// The newest that is shown, where there is anything to mark as read.
    until: Option<NotificationId>,
    pager: Pager,
}

struct Line {
    sentence: String,
    detail: String,
    when: When,
    new: bool,
    link: Option<Link>,
}

/// Where the thing that it is about can be seen.
struct Link {
    words: String,
    url: String,
}

impl Line {
    fn new(row: NotificationRow, seen: &Seen) -> Self {
        Self {
            sentence: row.notification.sentence(),
            detail: row.notification.detail(),
            when: When::new(row.at, seen.now),
            new: row.read_at.is_none(),
            link: link(&row.notification, &seen.places),
        }
    }
}

/// Only what the reader can open today: names and slugs in a notification are those of its day.
fn link(it: &Notification, places: &[Place]) -> Option<Link> {
    let to = |words: &str, url: String| {
        Some(Link {
            words: words.to_owned(),
            url,
        })
    };
    let place = it
        .organization
        .as_ref()
        .and_then(|of| places.iter().find(|place| place.organization == of.id));
    let place_where = |permission| place.filter(|place| policy::allows(place.role, permission));
    match it.kind {
        NotificationKind::InvitationAccepted => place_where(Permission::SeeMembers)
            .and_then(|place| to("See the members", urls::team(&place.slug))),
        NotificationKind::InvitationRejected
        | NotificationKind::InvitationAskedFor
        | NotificationKind::InvitationLapsed => place_where(Permission::SeeInvitations)
            .zip(it.invitation)
            .and_then(|(place, id)| to("See the invitation", urls::invitation(&place.slug, id))),
        NotificationKind::RoleChanged | NotificationKind::OwnershipTransferred => {
            place.and_then(|place| to(&format!("Open {}", place.name), urls::stay(&place.slug)))
        }
        NotificationKind::Removed | NotificationKind::OrganizationDeleted => None,
        NotificationKind::SignedIn => to("See your sessions", urls::SESSIONS.to_owned()),
        NotificationKind::PasswordChanged => to("Security", urls::SECURITY.to_owned()),
        NotificationKind::EmailChanged => to("Your account", urls::ACCOUNT.to_owned()),
    }
}

struct Found {
    open: (Vec<OpenView>, bool),
    rows: Vec<NotificationRow>,
    total: i64,
    unread: bool,
}

/// `GET /notifications`. Looking marks nothing as read.
pub(in crate::web) async fn show(
    visit: Visit,
    paging: Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let part = paging.part(|text| text.parse::<NotificationId>().ok());
    let (seen, found) = visit
        .anyone(None, move |conn, seen| {
            let session = seen.session.as_ref().ok_or(Failure::SignedOut)?;
            let account = session.account.id;
            Ok(Found {
                open: invitations::prompts(conn, session, seen.now)?,
                // One more than fits says whether there is another page.
                rows: store::notifications::page(conn, account, &part, PAGE + 1)?,
                total: store::notifications::count(conn, account, page::COUNT_LIMIT + 1)?,
                unread: store::notifications::any_unread(conn, account)?,
            })
        })
        .await?;
    let Found {
        open: (open, more_open),
        mut rows,
        total,
        unread,
    } = found;
    let total = Total {
        count: total,
        exact: total <= page::COUNT_LIMIT,
        one: "notification",
        many: "notifications",
    };
    let pager = paging.pager(
        &mut rows,
        PAGE,
        &total,
        |row| row.id.to_string(),
        |query| format!("{}{}", urls::NOTIFICATIONS, urls::query(query)),
    );
    let cx = visit.frame(&seen, "account/bell", "Notifications");
    answer::ok(&Bell {
        cx: &cx,
        open,
        more_open,
        // Only where the newest are: what stands before this page would stay new.
        until: rows
            .first()
            .map(|row| row.id)
            .filter(|_| unread && pager.previous.is_none()),
        lines: rows.into_iter().map(|row| Line::new(row, &seen)).collect(),
        pager,
    })
}

/// The button that marks what is shown, and everything older, as read. What came since stays new.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct ReadForm {
    #[serde(rename = "csrf")]
    _csrf: FormToken,
    until: String,
}

/// `POST /notifications/read`
pub(in crate::web) async fn read(post: Post<ReadForm>) -> Result<HttpResponse, Problem> {
    let until: NotificationId = post
        .form
        .until
        .parse()
        .map_err(|_| Problem::BadForm("until names no notification".to_owned()))?;
    post.act(move |run, actor| actions::notifications::read(run, actor, until))
        .await?;
    let banner = Banner::done("Marked as read.");
    Ok(post.visit.see_other_saying(urls::NOTIFICATIONS, &banner))
}
