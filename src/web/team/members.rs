//! The members list (R-MEM-1).

use super::{TeamHead, head_facts, invite::InviteForm};
use crate::{
    domain::{ids::AccountId, membership, policy::Permission, role::Role, text, time::Timestamp},
    store::{
        self,
        memberships::{Key, MemberFilter, MemberRow as Row, Order, Place, SortBy},
    },
    web::{
        answer,
        escaped::{Escaped, Initials},
        page::{self, Choice, Cx, Pager},
        paging::{Paging, Total},
        problem::Problem,
        urls::{self, MemberUrl},
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

/// Members on a page.
const PAGE: i64 = 50;

#[derive(Template)]
#[template(path = "team/members.html")]
struct Members<'a> {
    cx: &'a Cx,
    team: TeamHead,
    members: Vec<MemberRow<'a>>,
    all_columns: bool,
    q: String,
    roles: Vec<Choice>,
    sort: Sorting,
    only_you: bool,
    pager: Pager,
    form: InviteForm,
}

/// The headings that sort.
struct Sorting {
    by: &'static str,
    order: &'static str,
    name: Heading,
    joined: Heading,
    active: Heading,
}

/// A heading that sorts.
struct Heading {
    /// How the list is sorted by it now: `ascending`, `descending`.
    now: Option<&'static str>,
    /// The same list in the order that a click makes.
    url: String,
}

struct MemberRow<'a> {
    initials: Initials<'a>,
    avatar: Option<String>,
    name: Escaped<'a>,
    email: Escaped<'a>,
    you: bool,
    role: Escaped<'static>,
    joined: When,
    last_active: Option<When>,
    menu: Menu<'a>,
}

/// What the row's menu offers: what the viewer may never do is absent.
enum Menu<'a> {
    None,
    /// The viewer's own row: leaving is the way (R-ROLE-4).
    Own,
    /// The member's pages.
    Manage(MemberUrl<'a>),
}

/// The query of the members list: everything that says which rows are shown.
#[derive(Deserialize, Clone, Default)]
pub(in crate::web) struct Filter {
    #[serde(default)]
    q: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    order: String,
    #[serde(flatten)]
    paging: Paging,
    /// Opens the invite dialog.
    #[serde(default)]
    invite: String,
}

impl Filter {
    /// The order that is asked for. Who sees names and roles only must not learn the rest from the order.
    fn order(&self, all_columns: bool) -> Order {
        Order {
            by: SortBy::parse(&self.sort)
                .filter(|_| all_columns)
                .unwrap_or_default(),
            descending: self.order == DESCENDING,
        }
    }

    /// The address of a list like this one, in this order.
    fn url(&self, slug: &str, order: Order, page: &[(&str, &str)]) -> String {
        let kept = [
            ("q", self.q.as_str()),
            ("role", &self.role),
            ("sort", sort_word(order)),
            ("order", order_word(order)),
        ];
        format!(
            "{}{}",
            urls::team(slug),
            urls::query(&[&kept, page].concat())
        )
    }
}

/// The word for the other end first: `?order=desc`.
const DESCENDING: &str = "desc";

/// What the address says of the column; nothing for the usual one.
fn sort_word(order: Order) -> &'static str {
    match order.by {
        SortBy::Name => "",
        by => by.as_str(),
    }
}

fn order_word(order: Order) -> &'static str {
    if order.descending { DESCENDING } else { "" }
}

impl Sorting {
    fn new(filter: &Filter, slug: &str, order: Order) -> Self {
        let heading = |by| {
            let current = order.by == by;
            let click = Order {
                by,
                descending: current && !order.descending,
            };
            let now = if order.descending {
                "descending"
            } else {
                "ascending"
            };
            Heading {
                now: current.then_some(now),
                url: filter.url(slug, click, &[]),
            }
        };
        Self {
            by: sort_word(order),
            order: order_word(order),
            name: heading(SortBy::Name),
            joined: heading(SortBy::Joined),
            active: heading(SortBy::Active),
        }
    }
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
        role: Role::parse(&filter.role),
        ..MemberFilter::default()
    };
    let asked = filter.clone();
    let (seen, found) = visit
        .member(&org, move |conn, member| {
            member.check(Permission::SeeMembers)?;
            wanted.in_addresses = member.may(Permission::SeeMemberDetails);
            let order = asked.order(wanted.in_addresses);
            let part = asked.paging.part(|text| read_place(text, order.by));
            let organization = member.place.organization;
            let filtered = !wanted.is_empty();
            // One more than fits says whether there is another page.
            let rows =
                store::memberships::page(conn, organization, &wanted, order, &part, PAGE + 1)?;
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
    let all_columns = member.may(Permission::SeeMemberDetails);
    let (order, slug) = (filter.order(all_columns), &member.place.slug);
    let at = urls::members(slug);
    let place = |row: &Row| write_place(&row.place(order.by));
    let pager = filter
        .paging
        .pager(&mut rows, PAGE, &total_shown, place, |query| {
            filter.url(slug, order, query)
        });
    let shown = Members {
        cx: &cx,
        team: TeamHead::new("members", member, head, &visit.app.means.rules),
        members: rows.iter().map(|row| view(row, &at, member)).collect(),
        all_columns,
        roles: role_filter(&filter.role),
        sort: Sorting::new(&filter, slug, order),
        only_you: !filtered && total == 1,
        pager,
        form: InviteForm::dialog(&visit.app, Role::parse(&filter.invite)),
        q: filter.q,
    };
    answer::ok(&shown)
}

/// A row of the page. `at` is where the addresses of members begin.
fn view<'a>(row: &'a Row, at: &'a str, member: Member<'a>) -> MemberRow<'a> {
    MemberRow {
        initials: Initials(&row.name),
        avatar: row.avatar.map(urls::avatar),
        you: row.account == member.session.account.id,
        name: Escaped(&row.name),
        email: Escaped(&row.email),
        role: Escaped(row.role.label()),
        joined: When::new(row.joined_at, member.now),
        last_active: row.last_active_at.map(|at| When::new(at, member.now)),
        menu: menu(row, at, member),
    }
}

fn menu<'a>(row: &Row, at: &'a str, member: Member<'a>) -> Menu<'a> {
    // Nobody may remove whose role they may not change, and the other way round: the policy says both of owners and of all others.
    if !member.may(membership::permission_to_remove(row.role)) {
        Menu::None
    } else if row.account == member.session.account.id {
        Menu::Own
    } else {
        Menu::Manage(MemberUrl {
            members: Escaped(at),
            id: row.account,
        })
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

/// What a place says of a member who was never active.
const NEVER: &str = "never";

/// A place in the address: `id.` and what the list is sorted by.
fn read_place(text: &str, by: SortBy) -> Option<Place> {
    let (id, key) = text.split_once('.')?;
    let key = match by {
        SortBy::Name => Key::Name((!key.contains(char::is_control)).then(|| key.to_owned())?),
        SortBy::Active if key == NEVER => Key::Never,
        SortBy::Joined | SortBy::Active => {
            let at = Timestamp::from_micros(key.parse().ok()?);
            Key::At(at.in_calendar().then_some(at)?)
        }
    };
    Some((key, id.parse::<AccountId>().ok()?))
}

fn write_place((key, id): &Place) -> String {
    match key {
        Key::Name(name) => format!("{id}.{name}"),
        Key::At(at) => format!("{id}.{}", at.micros()),
        Key::Never => format!("{id}.{NEVER}"),
    }
}
