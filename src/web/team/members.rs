//! The members list (R-MEM-1).

use super::{TeamHead, head_facts, invite::InviteForm};
use crate::{
    domain::{ids::AccountId, policy::Permission, role::Role, text},
    store::{
        self,
        memberships::{MemberFilter, MemberRow as Row, Part, Place},
    },
    web::{
        answer,
        page::{self, Choice, Cx, Pager, When},
        problem::Problem,
        urls,
        visit::{Member, Visit},
    },
};
use actix_web::{
    HttpResponse,
    web::{Path, Query},
};
use askama::Template;
use serde::Deserialize;

/// Members on a page.
const PAGE: i64 = 50;

#[derive(Template)]
#[template(path = "team/members.html")]
struct Members<'a> {
    cx: &'a Cx,
    team: TeamHead,
    members: Vec<MemberRow>,
    all_columns: bool,
    q: String,
    roles: Vec<Choice>,
    only_you: bool,
    pager: Pager,
    form: InviteForm,
}

struct MemberRow {
    initials: String,
    name: String,
    email: String,
    you: bool,
    role: Role,
    joined: When,
    last_active: Option<When>,
}

/// The query of the members list: everything that says which rows are shown.
#[derive(Deserialize, Clone, Default)]
pub(in crate::web) struct Filter {
    #[serde(default)]
    q: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    after: String,
    #[serde(default)]
    before: String,
    /// The number of the first row shown, for the result line only.
    #[serde(default)]
    from: Option<i64>,
    /// Opens the invite dialog.
    #[serde(default)]
    invite: String,
}

struct Found {
    head: super::HeadFacts,
    rows: Vec<Row>,
    total: i64,
    filtered: bool,
}

/// `GET /orgs/{org}/settings/team`
pub(in crate::web) async fn list(
    visit: Visit,
    org: Path<String>,
    filter: Query<Filter>,
) -> Result<HttpResponse, Problem> {
    let filter = filter.into_inner();
    let mut wanted = MemberFilter {
        terms: text::search_terms(&filter.q),
        in_addresses: false,
        role: Role::parse(&filter.role),
    };
    let part = part(&filter);
    let (seen, found) = visit
        .member(&org, move |conn, member| {
            member.check(Permission::SeeMembers)?;
            wanted.in_addresses = member.may(Permission::SeeMemberDetails);
            let organization = member.place.organization;
            let filtered = !wanted.terms.is_empty() || wanted.role.is_some();
            // One more than fits says whether there is another page.
            let rows = store::memberships::page(conn, organization, &wanted, &part, PAGE + 1)?;
            let total = if filtered {
                store::memberships::count(conn, organization, &wanted, page::COUNT_LIMIT + 1)?
            } else {
                i64::from(member.place.member_count)
            };
            Ok(Found {
                head: head_facts(conn, member)?,
                rows,
                total,
                filtered,
            })
        })
        .await?;
    let member = seen.member()?;
    let cx = visit.frame(&seen, "team/members", "Team");
    let Found {
        head,
        mut rows,
        total,
        filtered,
    } = found;
    let pager = pager(&member.place.slug, &filter, &mut rows, total, filtered);
    let all_columns = member.may(Permission::SeeMemberDetails);
    let shown = Members {
        cx: &cx,
        team: TeamHead::new("members", member, head),
        members: rows.into_iter().map(|row| view(row, member)).collect(),
        all_columns,
        roles: role_filter(&filter.role),
        only_you: !filtered && total == 1,
        pager,
        form: InviteForm::dialog(&visit.app, Role::parse(&filter.invite)),
        q: filter.q,
    };
    answer::ok(&shown)
}

fn view(row: Row, member: Member<'_>) -> MemberRow {
    MemberRow {
        initials: page::initials(&row.name),
        you: row.account == member.session.account.id,
        name: row.name,
        email: row.email,
        role: row.role,
        joined: When::new(row.joined_at, member.now),
        last_active: row.last_active_at.map(|at| When::new(at, member.now)),
    }
}

fn role_filter(chosen: &str) -> Vec<Choice> {
    let all = Choice {
        value: "",
        label: "All roles",
        chosen: Role::parse(chosen).is_none(),
    };
    let each = Role::ALL.map(|role| Choice {
        value: role.as_str(),
        label: role.label(),
        chosen: role.as_str() == chosen,
    });
    std::iter::once(all).chain(each).collect()
}

/// Where the page begins. A place that cannot be read is the top of the list.
fn part(filter: &Filter) -> Part<Place> {
    let place = |text: &str| {
        let (id, key) = text.split_once('.')?;
        Some((key.to_owned(), id.parse::<AccountId>().ok()?))
    };
    match (place(&filter.after), place(&filter.before)) {
        (Some(after), _) => Part::After(after),
        (None, Some(before)) => Part::Before(before),
        (None, None) => Part::First,
    }
}

fn pager(slug: &str, filter: &Filter, rows: &mut Vec<Row>, total: i64, filtered: bool) -> Pager {
    let backwards = filter.after.is_empty() && !filter.before.is_empty();
    let more = page::cut(rows, PAGE, backwards);
    let exact = !filtered || total <= page::COUNT_LIMIT;
    let first = page::first_number(filter.from, matches!(part(filter), Part::First));
    let place = |row: &Row| format!("{}.{}", row.account, row.name_key);
    let url = |name: &str, row: &Row, from: i64| {
        let from = from.max(1).to_string();
        let query = [
            ("q", filter.q.as_str()),
            ("role", &filter.role),
            (name, &place(row)),
            ("from", &from),
        ];
        format!("{}{}", urls::team(slug), urls::query(&query))
    };
    let shown = i64::try_from(rows.len()).unwrap_or(PAGE);
    let has_previous = if backwards {
        more
    } else {
        !matches!(part(filter), Part::First)
    };
    let has_next = if backwards { true } else { more };
    Pager {
        line: page::result_line(first, rows.len(), total, exact, "member", "members"),
        previous: rows
            .first()
            .filter(|_| has_previous)
            .map(|row| url("before", row, first - PAGE)),
        next: rows
            .last()
            .filter(|_| has_next)
            .map(|row| url("after", row, first + shown)),
    }
}
