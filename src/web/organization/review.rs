//! Access review: who has not been here for long, and which invitations nobody used (R-MEM-4).

use crate::{
    actions::Failure,
    domain::{membership, policy::Permission, role::Role, time::Timestamp},
    store::{
        self, Conn, Part,
        invitations::{InvitationRow, Unused},
        memberships::{MemberFilter, MemberRow, Order, SortBy},
    },
    web::{
        answer,
        csv_file::{CsvFile, MOST_ROWS},
        page::{self, Choice, Cx},
        problem::Problem,
        urls,
        visit::{Member, Visit},
        when::When,
    },
};
use actix_web::{
    HttpResponse,
    web::{Path, Query},
};
use askama::Template;
use serde::Deserialize;
use time::Duration;

/// Rows of each list on the page; the file has more.
const SHOWN: i64 = 100;

/// The days to choose from, with their words.
const DAYS: [(i64, &str, &str); 4] = [
    (30, "30", "30 days"),
    (60, "60", "60 days"),
    (90, "90", "90 days"),
    (180, "180", "180 days"),
];

/// Unless somebody chooses.
const USUAL: i64 = 90;

#[derive(Template)]
#[template(path = "organization/review.html")]
struct Review<'a> {
    cx: &'a Cx,
    days: i64,
    choices: Vec<Choice>,
    members: Vec<Inactive>,
    members_line: String,
    invitations: Vec<Waiting>,
    invitations_line: String,
    here_url: String,
    export_url: String,
}

/// A member who has not been here for long.
struct Inactive {
    name: String,
    email: String,
    role: Role,
    you: bool,
    joined: When,
    last_active: Option<When>,
    remove_url: Option<String>,
}

/// An invitation nobody used.
struct Waiting {
    url: String,
    email: String,
    role: Role,
    sent: When,
    invited_by: String,
    expires: When,
    expired: bool,
}

impl Inactive {
    fn new(row: MemberRow, member: Member<'_>) -> Self {
        let you = row.account == member.session.account.id;
        let permission = membership::permission_to_remove(row.role);
        let remove_url = (!you && member.may(permission))
            .then(|| format!("{}/remove", urls::member(&member.place.slug, row.account)));
        Self {
            you,
            remove_url,
            name: row.name,
            email: row.email,
            role: row.role,
            joined: When::new(row.joined_at, member.now),
            last_active: row.last_active_at.map(|at| When::new(at, member.now)),
        }
    }
}

impl Waiting {
    fn new(row: InvitationRow, member: Member<'_>) -> Self {
        let (it, now) = (row.invitation, member.now);
        let sent_at = row.delivery.map_or(it.created_at, |(_, _, at)| at);
        Self {
            url: urls::invitation(&member.place.slug, it.id),
            email: it.email.shown().to_owned(),
            role: it.role.role(),
            sent: When::new(sent_at, now),
            invited_by: row.inviter,
            expires: When::new(it.expires_at, now),
            expired: it.acceptable(now).is_err(),
        }
    }
}

/// The query of the review.
#[derive(Deserialize, Clone, Default)]
pub(in crate::web) struct Filter {
    #[serde(default)]
    days: String,
}

impl Filter {
    fn days(&self) -> i64 {
        DAYS.iter()
            .find(|(_, word, _)| *word == self.days)
            .map_or(USUAL, |(days, _, _)| *days)
    }
}

struct Found {
    members: Vec<MemberRow>,
    inactive: i64,
    invitations: Vec<InvitationRow>,
    unused: i64,
}

/// The first `most` of both lists, longest inactive first, and how long the lists are.
fn find(
    conn: &mut Conn,
    member: Member<'_>,
    days: i64,
    valid_for: Duration,
    most: i64,
) -> Result<Found, Failure> {
    member.check(Permission::ReviewAccess)?;
    let (organization, now) = (member.place.organization, member.now);
    let cutoff = now.minus(Duration::days(days));
    let wanted = MemberFilter {
        inactive_since: Some(cutoff),
        ..MemberFilter::default()
    };
    let oldest_first = Order {
        by: SortBy::Active,
        descending: false,
    };
    let which = unused_since(cutoff, valid_for, now);
    let limit = page::COUNT_LIMIT + 1;
    Ok(Found {
        members: store::memberships::page(
            conn,
            organization,
            &wanted,
            oldest_first,
            &Part::First,
            most,
        )?,
        inactive: store::memberships::count(conn, organization, &wanted, limit)?,
        invitations: store::invitations::list_unused(conn, organization, which, most)?,
        unused: store::invitations::count_unused(conn, organization, which, limit)?,
    })
}

/// What was last sent by `cutoff` is valid for no longer than that from then: each sending begins anew (R-INV-7).
fn unused_since(cutoff: Timestamp, valid_for: Duration, now: Timestamp) -> Unused {
    Unused {
        now,
        made_by: cutoff,
        valid_to: cutoff.plus(valid_for),
    }
}

/// `GET /orgs/{org}/settings/review`
pub(in crate::web) async fn show(
    visit: Visit,
    org: Path<String>,
    filter: Query<Filter>,
) -> Result<HttpResponse, Problem> {
    let days = filter.days();
    let valid_for = visit.app.means.rules.valid_for;
    let (seen, found) = visit
        .member(&org, move |conn, member| {
            find(conn, member, days, valid_for, SHOWN)
        })
        .await?;
    let member = seen.member()?;
    let slug = &member.place.slug;
    let cx = visit.frame(&seen, "organization/review", "Access review");
    let here_url = urls::review(slug);
    let export = format!("{here_url}/export");
    answer::ok(&Review {
        cx: &cx,
        days,
        choices: choices(days),
        members_line: line(found.members.len(), found.inactive, "member", "members"),
        members: found
            .members
            .into_iter()
            .map(|row| Inactive::new(row, member))
            .collect(),
        invitations_line: line(
            found.invitations.len(),
            found.unused,
            "invitation",
            "invitations",
        ),
        invitations: found
            .invitations
            .into_iter()
            .map(|row| Waiting::new(row, member))
            .collect(),
        export_url: format!("{export}?days={days}"),
        here_url,
    })
}

fn choices(chosen: i64) -> Vec<Choice> {
    DAYS.map(|(days, value, label)| Choice {
        value,
        label,
        chosen: days == chosen,
    })
    .to_vec()
}

fn line(shown: usize, total: i64, one: &str, many: &str) -> String {
    let shown = i64::try_from(shown).unwrap_or(SHOWN);
    page::result_line(1, shown, total, total <= page::COUNT_LIMIT, one, many)
}

/// `GET /orgs/{org}/settings/review/export`: both lists in one file.
pub(in crate::web) async fn export(
    visit: Visit,
    org: Path<String>,
    filter: Query<Filter>,
) -> Result<HttpResponse, Problem> {
    let days = filter.days();
    let valid_for = visit.app.means.rules.valid_for;
    let found = visit.member(&org, move |conn, member| {
        find(conn, member, days, valid_for, MOST_ROWS + 1)
    });
    let (seen, mut found) = store::unhurried(found).await?;
    let member = seen.member()?;
    let most = usize::try_from(MOST_ROWS).unwrap_or(usize::MAX);
    let more = found.members.len() > most || found.invitations.len() > most;
    found.members.truncate(most);
    found.invitations.truncate(most);
    let mut file = CsvFile::new(&[
        "Kind",
        "Name",
        "Email",
        "Role",
        "Joined",
        "Last active",
        "Sent",
        "Invited by",
        "Expires",
    ])?;
    for row in found.members {
        let it = Inactive::new(row, member);
        let last_active = it
            .last_active
            .map_or_else(|| "Never".to_owned(), |at| at.datetime().to_string());
        let (name, email, role) = (it.name.as_str(), it.email.as_str(), it.role.label());
        let joined = it.joined.datetime().to_string();
        file.row(&[
            "Member",
            name,
            email,
            role,
            &joined,
            &last_active,
            "",
            "",
            "",
        ])?;
    }
    for row in found.invitations {
        let it = Waiting::new(row, member);
        file.row(&[
            "Invitation",
            "",
            &it.email,
            it.role.label(),
            "",
            "",
            &it.sent.datetime().to_string(),
            &it.invited_by,
            &it.expires.datetime().to_string(),
        ])?;
    }
    if more {
        file.remark(&format!(
            "Only {} of each kind are in this file. Remove or revoke what is not needed, or choose more days, and export again.",
            page::thousands(MOST_ROWS)
        ))?;
    }
    let name = format!("{}-review-{}.csv", member.place.slug, member.now.day());
    file.download(&name)
}
