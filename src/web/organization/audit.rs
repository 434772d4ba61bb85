//! The audit log: who did what, to whom, when and from where; filtered, and as a file (R-AUD-1).

use crate::{
    actions::Failure,
    domain::{
        audit::{Reason, Verb},
        email::EmailAddress,
        ids::{AccountId, AuditEventId},
        policy::Permission,
        role::Role,
        text,
        time::Timestamp,
    },
    store::{
        self, Conn, Part,
        audit_events::{AuditFilter, AuditRow, Who},
        memberships::{MemberFilter, Order},
    },
    web::{
        answer,
        csv_file::{CsvFile, MOST_ROWS},
        page::{self, Choice, Cx, Pager},
        paging::{Paging, Total},
        problem::Problem,
        urls,
        visit::{Member, Visit},
        when::When,
    },
};
use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Path, Query},
};
use askama::Template;
use serde::Deserialize;
use std::collections::HashMap;
use time::Duration;

/// Events on a page.
const PAGE: i64 = 50;

/// Members of one name whose events are looked for at once.
const NAMESAKES: usize = 10;

#[derive(Template)]
#[template(path = "organization/audit.html")]
struct Audit<'a> {
    cx: &'a Cx,
    events: Vec<EventView>,
    verbs: Vec<Choice>,
    person: String,
    since: String,
    until: String,
    since_error: Option<String>,
    until_error: Option<String>,
    too_many: bool,
    filtered: bool,
    clear_url: String,
    export_url: String,
    pager: Pager,
}

/// A line of the log as people read it, on the page and in the file.
struct EventView {
    when: When,
    actor: String,
    actor_url: Option<String>,
    what: String,
    target: Option<String>,
    target_url: Option<String>,
    before: Option<String>,
    after: Option<String>,
    address: String,
}

/// What stands for whoever was not signed in.
const NOBODY: &str = "Somebody with the link";

impl EventView {
    fn new(
        row: AuditRow,
        slug: &str,
        members: &HashMap<AccountId, String>,
        now: Timestamp,
    ) -> Self {
        let verb = Verb::parse(&row.verb);
        // Only what is a role is called one: an organization may be named "admin".
        let of_roles = !matches!(verb, Some(Verb::Rename | Verb::SetApplicationUrl));
        let value = |text: String| match Role::parse(&text) {
            Some(role) if of_roles => role.label().to_owned(),
            _ => match Reason::parse(&text) {
                Some(reason) if of_roles => reason.label().to_owned(),
                _ => text,
            },
        };
        // Whoever left is named, and not linked: there is no page to lead to.
        let member_url = |account: Option<AccountId>| {
            let email = members.get(&account?)?;
            Some(format!(
                "{}{}",
                urls::team(slug),
                urls::query(&[("q", email)])
            ))
        };
        let target_url = match row.invitation {
            Some(invitation) => Some(urls::invitation(slug, invitation)),
            None => member_url(row.subject),
        };
        Self {
            when: When::new(row.at, now),
            actor: row.actor.unwrap_or_else(|| NOBODY.to_owned()),
            actor_url: member_url(row.account),
            what: verb.map_or(row.verb, |verb| verb.label().to_owned()),
            target_url: target_url.filter(|_| row.target.is_some()),
            target: row.target,
            before: row.before.map(value),
            after: row.after.map(value),
            address: row.address,
        }
    }
}

/// The query of the log: everything that says which events are shown.
#[derive(Deserialize, Clone, Default)]
pub(in crate::web) struct Filter {
    #[serde(default)]
    verb: String,
    #[serde(default)]
    person: String,
    #[serde(default)]
    since: String,
    #[serde(default)]
    until: String,
    #[serde(flatten)]
    paging: Paging,
}

impl Filter {
    /// The address of this log with the same filter.
    fn url(&self, base: &str, page: &[(&str, &str)]) -> String {
        let kept = [
            ("verb", self.verb.as_str()),
            ("person", &self.person),
            ("since", &self.since),
            ("until", &self.until),
        ];
        format!("{base}{}", urls::query(&[&kept, page].concat()))
    }

    fn is_empty(&self) -> bool {
        Verb::parse(&self.verb).is_none()
            && [&self.person, &self.since, &self.until]
                .iter()
                .all(|text| text.trim().is_empty())
    }
}

/// What is wrong with the days, in sentences.
#[derive(Clone, Default)]
struct DayFaults {
    since: Option<String>,
    until: Option<String>,
}

/// The days of a filter: from the start of the first to the end of the last.
fn days(filter: &Filter) -> Result<(Option<Timestamp>, Option<Timestamp>), DayFaults> {
    let day = |text: &str| match text.trim() {
        "" => Ok(None),
        text => Timestamp::start_of_day(text)
            .map(Some)
            .ok_or_else(|| "Write the day like 2026-11-25.".to_owned()),
    };
    match (day(&filter.since), day(&filter.until)) {
        (Ok(Some(since)), Ok(Some(until))) if until < since => Err(DayFaults {
            until: Some("The last day is before the first.".to_owned()),
            ..DayFaults::default()
        }),
        (Ok(since), Ok(until)) => Ok((since, until.map(|day| day.plus(Duration::days(1))))),
        (since, until) => Err(DayFaults {
            since: since.err(),
            until: until.err(),
        }),
    }
}

/// Who a text means: an exact address, whoever has or had it; or current members of that name.
enum Person {
    Anybody,
    These(Who),
    TooMany,
}

fn person(conn: &mut Conn, member: Member<'_>, typed: &str) -> Result<Person, Failure> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(Person::Anybody);
    }
    if let Ok(email) = EmailAddress::parse(typed) {
        let account = store::accounts::find_id(conn, &email)?;
        return Ok(Person::These(Who {
            accounts: account.into_iter().collect(),
            address: Some(email.key().to_owned()),
        }));
    }
    let wanted = MemberFilter {
        terms: text::search_terms(typed),
        in_addresses: true,
        ..MemberFilter::default()
    };
    if wanted.terms.is_empty() {
        return Ok(Person::These(Who::default()));
    }
    let rows = store::memberships::page(
        conn,
        member.place.organization,
        &wanted,
        Order::default(),
        &Part::First,
        NAMESAKES as i64 + 1,
    )?;
    if rows.len() > NAMESAKES {
        return Ok(Person::TooMany);
    }
    Ok(Person::These(Who {
        accounts: rows.into_iter().map(|row| row.account).collect(),
        address: None,
    }))
}

struct Found {
    rows: Vec<AuditRow>,
    total: i64,
    members: HashMap<AccountId, String>,
    too_many: bool,
}

/// Up to `most` events of a filter, and one more if there are more.
fn find(
    conn: &mut Conn,
    member: Member<'_>,
    filter: &Filter,
    (since, until): (Option<Timestamp>, Option<Timestamp>),
    most: i64,
) -> Result<Found, Failure> {
    member.check(Permission::SeeAuditLog)?;
    let organization = member.place.organization;
    let who = match person(conn, member, &filter.person)? {
        Person::Anybody => None,
        Person::These(who) => Some(who),
        Person::TooMany => {
            return Ok(Found {
                rows: Vec::new(),
                total: 0,
                members: HashMap::new(),
                too_many: true,
            });
        }
    };
    let wanted = AuditFilter {
        verb: Verb::parse(&filter.verb),
        who,
        since,
        until,
    };
    let part = filter.paging.part(|text| text.parse::<AuditEventId>().ok());
    Ok(Found {
        rows: store::audit_events::page(conn, organization, &wanted, &part, most + 1)?,
        total: store::audit_events::count(conn, organization, &wanted, page::COUNT_LIMIT + 1)?,
        members: HashMap::new(),
        too_many: false,
    })
}

/// `GET /orgs/{org}/settings/audit`
pub(in crate::web) async fn show(
    visit: Visit,
    org: Path<String>,
    filter: Query<Filter>,
) -> Result<HttpResponse, Problem> {
    let filter = filter.into_inner();
    let span = days(&filter);
    let (asked, span_asked) = (filter.clone(), span.clone().ok());
    let (seen, found) = visit
        .member(&org, move |conn, member| {
            let mut found = match span_asked {
                Some(span) => find(conn, member, &asked, span, PAGE)?,
                None => {
                    member.check(Permission::SeeAuditLog)?;
                    return Ok(None);
                }
            };
            let people = found.rows.iter().flat_map(|row| [row.account, row.subject]);
            let people = people.flatten().collect();
            let organization = member.place.organization;
            let members = store::memberships::addresses_of(conn, organization, people)?;
            found.members = members.into_iter().collect();
            Ok(Some(found))
        })
        .await?;
    let faults = span.err().unwrap_or_default();
    let status = if found.is_some() {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    let member = seen.member()?;
    let slug = &member.place.slug;
    let cx = visit.frame(&seen, "organization/audit", "Audit log");
    let (mut rows, total, members, too_many) = match found {
        Some(found) => (found.rows, found.total, found.members, found.too_many),
        None => (Vec::new(), 0, HashMap::new(), false),
    };
    let total = Total {
        count: total,
        exact: total <= page::COUNT_LIMIT,
        one: "event",
        many: "events",
    };
    let base = urls::audit(slug);
    let place = |row: &AuditRow| row.id.to_string();
    let pager = filter.paging.pager(&mut rows, PAGE, &total, place, |page| {
        filter.url(&base, page)
    });
    let shown = Audit {
        cx: &cx,
        events: rows
            .into_iter()
            .map(|row| EventView::new(row, slug, &members, member.now))
            .collect(),
        verbs: verbs(&filter.verb),
        since_error: faults.since,
        until_error: faults.until,
        too_many,
        filtered: !filter.is_empty(),
        export_url: filter.url(&export_url(slug), &[]),
        clear_url: base,
        pager,
        person: filter.person,
        since: filter.since,
        until: filter.until,
    };
    answer::html(status, &shown)
}

fn export_url(slug: &str) -> String {
    format!("{}/export", urls::audit(slug))
}

fn verbs(chosen: &str) -> Vec<Choice> {
    let chosen = Verb::parse(chosen);
    let all = Choice {
        value: "",
        label: "Everything",
        chosen: chosen.is_none(),
    };
    let each = Verb::ALL.map(|verb| Choice {
        value: verb.as_str(),
        label: verb.label(),
        chosen: chosen == Some(verb),
    });
    std::iter::once(all).chain(each).collect()
}

/// `GET /orgs/{org}/settings/audit/export`: the newest events of the same filter; the last row says where older ones are.
pub(in crate::web) async fn export(
    visit: Visit,
    org: Path<String>,
    filter: Query<Filter>,
) -> Result<HttpResponse, Problem> {
    let filter = filter.into_inner();
    let Ok(span) = days(&filter) else {
        // The page says what is wrong with the days.
        return Ok(visit.see_other(filter.url(&urls::audit(&org), &[])));
    };
    let asked = filter.clone();
    let found = visit.member(&org, move |conn, member| {
        find(conn, member, &asked, span, MOST_ROWS)
    });
    let (seen, found) = store::unhurried(found).await?;
    let member = seen.member()?;
    let slug = &member.place.slug;
    let mut rows = found.rows;
    let most = usize::try_from(MOST_ROWS).unwrap_or(usize::MAX);
    let more = rows.len() > most;
    rows.truncate(most);
    let rest = rows.last().filter(|_| more).map(|row| {
        format!(
            "Only the newest {} events are in this file. Set the last day to {} for older ones, or export: {}{}",
            page::thousands(MOST_ROWS),
            row.at.day(),
            visit.app.site.public_url,
            filter.url(&export_url(slug), &[("after", &row.id.to_string())])
        )
    });
    let mut file = CsvFile::new(&[
        "When",
        "Who",
        "What",
        "On whom",
        "Before",
        "After",
        "Network address",
    ])?;
    for row in rows {
        let event = EventView::new(row, slug, &found.members, member.now);
        file.row(&[
            &event.when.datetime().to_string(),
            &event.actor,
            &event.what,
            event.target.as_deref().unwrap_or_default(),
            event.before.as_deref().unwrap_or_default(),
            event.after.as_deref().unwrap_or_default(),
            &event.address,
        ])?;
    }
    if found.too_many {
        file.remark(TOO_MANY)?;
    }
    if let Some(rest) = rest {
        file.remark(&rest)?;
    }
    file.download(&format!("{slug}-audit-{}.csv", member.now.day()))
}

/// What a file says instead of events, when the name in the filter is too common.
const TOO_MANY: &str =
    "Too many members match that name. Filter by the whole email address instead.";
