//! The members list (R-MEM-1).

use super::{TeamHead, head_facts, invite::InviteForm};
use crate::{
    domain::{ids::AccountId, policy::Permission, role::Role, text},
    store::{
        self,
        memberships::{MemberFilter, MemberRow as Row, Place},
    },
    web::{
        answer,
        page::{self, Choice, Cx, Pager, When},
        paging::{Paging, Total},
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
    #[serde(flatten)]
    paging: Paging,
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
    let part = filter.paging.part(read_place);
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
    let total_shown = Total {
        count: total,
        exact: !filtered || total <= page::COUNT_LIMIT,
        one: "member",
        many: "members",
    };
    let place = |row: &Row| format!("{}.{}", row.account, row.name_key);
    let pager = filter
        .paging
        .pager(&mut rows, PAGE, &total_shown, place, |query| {
            let kept = [("q", filter.q.as_str()), ("role", &filter.role)];
            format!(
                "{}{}",
                urls::team(&member.place.slug),
                urls::query(&[&kept, query].concat())
            )
        });
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

/// A place in the address: `id.name`.
fn read_place(text: &str) -> Option<Place> {
    let (id, key) = text.split_once('.')?;
    let readable = !key.contains(char::is_control);
    readable.then_some((key.to_owned(), id.parse::<AccountId>().ok()?))
}
