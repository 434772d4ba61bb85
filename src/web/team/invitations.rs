//! Pending invitations and their history (R-INV-12).

use super::{TeamHead, head_facts, head_facts_with, invite::InviteForm};
use crate::{
    actions::Failure,
    domain::{
        ids::InvitationId,
        invitation::{Invitation, Standing},
        policy::Permission,
        quota::MailLimits,
        role::Role,
        time::Timestamp,
    },
    store::{
        self, Part,
        invitations::{InvitationRow as Row, Place, Shelf},
    },
    web::{
        answer,
        page::{self, Choice, Cx, DeliveryView, Pager, StateView},
        paging::{Paging, Total},
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

/// Invitations on a page.
const PAGE: i64 = 25;

#[derive(Template)]
#[template(path = "team/invitations.html")]
struct Invitations<'a> {
    cx: &'a Cx,
    team: TeamHead,
    history: bool,
    states: Vec<Choice>,
    q: String,
    filtered: bool,
    invitations: Vec<InvitationRow>,
    pager: Pager,
    form: InviteForm,
}

/// One invitation as lists and its own page show it.
pub(super) struct InvitationRow {
    pub(super) id: String,
    pub(super) url: String,
    pub(super) email: String,
    pub(super) role: Role,
    pub(super) state: StateView,
    pub(super) delivery: DeliveryView,
    pub(super) invited: When,
    pub(super) invited_by: String,
    pub(super) ends: Option<When>,
    pub(super) can: InvitationActions,
}

/// What the viewer can do with an invitation now.
pub(super) struct InvitationActions {
    pub(super) copy_link: bool,
    pub(super) resend: bool,
    pub(super) resend_wait: Option<String>,
    pub(super) change_role: bool,
    pub(super) revoke: bool,
    pub(super) again_url: Option<String>,
}

impl InvitationActions {
    fn new(
        it: &Invitation,
        last_sent: Option<Timestamp>,
        member: Member<'_>,
        limits: MailLimits,
    ) -> Self {
        let open = it.revoke(member.now).is_ok();
        let live = it.acceptable(member.now).is_ok();
        let until = last_sent
            .map(|at| at.plus(limits.cooldown))
            .filter(|until| member.now < *until);
        let may_resend = open && member.may(Permission::ResendInvitation);
        let ended = !live && it.standing(member.now) != Standing::Accepted;
        Self {
            copy_link: live && member.may(Permission::CopyInvitationLink),
            resend: may_resend && until.is_none() && !member.must_confirm,
            resend_wait: until
                .map(|until| format!("You can resend in {}", page::wait(until, member.now)))
                .or(member
                    .must_confirm
                    .then(|| "Confirm your own address first".to_owned()))
                .filter(|_| may_resend),
            change_role: live && member.may(Permission::ChangeInvitationRole),
            revoke: live && member.may(Permission::RevokeInvitation),
            again_url: (ended && member.may(Permission::InviteMember))
                .then(|| urls::invite_again(&member.place.slug, it.email.shown(), it.role)),
        }
    }
}

impl InvitationRow {
    pub(super) fn new(row: Row, member: Member<'_>, limits: MailLimits) -> Self {
        let it = row.invitation;
        let now = member.now;
        let stands = it.standing(now);
        let (delivery, reason, last_sent) = match row.delivery {
            Some((state, reason, at)) => (Some(state), reason, Some((state, at))),
            None => (None, None, None),
        };
        use crate::domain::delivery::DeliveryState::NotEmailed;
        let last_sent = last_sent
            .filter(|(state, _)| *state != NotEmailed)
            .map(|(_, at)| at);
        let ends = match stands {
            Standing::Pending | Standing::Expired | Standing::Superseded => it.expires_at,
            Standing::Accepted | Standing::Rejected | Standing::Revoked => {
                it.closed_at.unwrap_or(it.expires_at)
            }
        };
        Self {
            id: it.id.to_string(),
            url: urls::invitation(&member.place.slug, it.id),
            email: it.email.shown().to_owned(),
            role: it.role.role(),
            state: StateView::new(stands),
            delivery: DeliveryView::new(delivery.unwrap_or(NotEmailed), reason),
            invited: When::new(it.created_at, now),
            invited_by: row.inviter,
            ends: Some(When::new(ends, now)),
            can: InvitationActions::new(&it, last_sent, member, limits),
        }
    }
}

/// The query of the list: everything that says which rows are shown.
#[derive(Deserialize, Clone, Default)]
pub(in crate::web) struct Filter {
    #[serde(default)]
    state: String,
    #[serde(default)]
    q: String,
    #[serde(flatten)]
    paging: Paging,
}

struct Found {
    head: super::HeadFacts,
    rows: Vec<Row>,
    total: i64,
}

/// `GET /orgs/{org}/settings/team/invitations`
pub(in crate::web) async fn list(
    visit: Visit,
    org: Path<String>,
    filter: Query<Filter>,
) -> Result<HttpResponse, Problem> {
    let filter = filter.into_inner();
    let shelf = Shelf::parse(&filter.state).unwrap_or(Shelf::Pending);
    let search = search(&filter.q);
    let searching = search.is_some();
    let part = filter.paging.part(|text| read_place(text, searching));
    let (seen, found) = {
        let search = search.clone();
        visit
            .member(&org, move |conn, member| {
                find(conn, member, shelf, search.as_deref(), &part)
            })
            .await?
    };
    let member = seen.member()?;
    let history = shelf != Shelf::Pending;
    let title = if history {
        "Invitation history"
    } else {
        "Pending invitations"
    };
    let cx = visit.frame(&seen, "team/invitations", title);
    let Found {
        head,
        mut rows,
        total,
    } = found;
    let shown = Total {
        count: total,
        exact: total <= page::COUNT_LIMIT,
        one: "invitation",
        many: "invitations",
    };
    let place = |row: &Row| {
        write_place(&store::invitations::place(
            &row.invitation,
            shelf,
            searching,
        ))
    };
    let pager = filter
        .paging
        .pager(&mut rows, PAGE, &shown, place, |query| {
            let kept = [("state", shelf.as_str()), ("q", &filter.q)];
            format!(
                "{}{}",
                urls::invitations(&member.place.slug),
                urls::query(&[&kept, query].concat())
            )
        });
    let limits = visit.app.means.rules.mail;
    answer::ok(&Invitations {
        cx: &cx,
        team: TeamHead::new(
            if history { "history" } else { "pending" },
            member,
            head,
            &visit.app.means.rules,
        ),
        history,
        states: states(shelf),
        filtered: search.is_some() || !matches!(shelf, Shelf::Pending | Shelf::All),
        q: filter.q,
        invitations: rows
            .into_iter()
            .map(|row| InvitationRow::new(row, member, limits))
            .collect(),
        pager,
        form: InviteForm::dialog(&visit.app, None),
    })
}

fn find(
    conn: &mut store::Conn,
    member: Member<'_>,
    shelf: Shelf,
    search: Option<&str>,
    part: &Part<Place>,
) -> Result<Found, Failure> {
    member.check(Permission::SeeInvitations)?;
    let (organization, now) = (member.place.organization, member.now);
    // One more than fits says whether there is another page.
    let rows = store::invitations::page(conn, organization, shelf, search, part, PAGE + 1, now)?;
    let total = store::invitations::count(
        conn,
        organization,
        shelf,
        search,
        page::COUNT_LIMIT + 1,
        now,
    )?;
    // All that are pending is what the heading shows as well.
    let head = if shelf == Shelf::Pending && search.is_none() {
        head_facts_with(conn, member, Some(total))?
    } else {
        head_facts(conn, member)?
    };
    Ok(Found { head, rows, total })
}

/// A search matches the start of the address.
fn search(q: &str) -> Option<String> {
    let folded = q.trim().to_lowercase();
    (!folded.is_empty() && !folded.contains(char::is_control)).then_some(folded)
}

fn states(chosen: Shelf) -> Vec<Choice> {
    [
        (Shelf::All, "All states"),
        (Shelf::Pending, "Pending"),
        (Shelf::Accepted, "Accepted"),
        (Shelf::Expired, "Expired"),
        (Shelf::Rejected, "Rejected"),
        (Shelf::Revoked, "Revoked"),
    ]
    .map(|(shelf, label)| Choice {
        value: shelf.as_str(),
        label,
        chosen: shelf == chosen,
    })
    .to_vec()
}

/// A place in the address: `id.` and what the list is sorted by.
fn read_place(text: &str, searching: bool) -> Option<Place> {
    let (id, key) = text.split_once('.')?;
    let id = id.parse::<InvitationId>().ok()?;
    if searching {
        return (!key.contains(char::is_control)).then(|| Place::Named(key.to_owned(), id));
    }
    let at = Timestamp::from_micros(key.parse().ok()?);
    at.in_calendar().then_some(Place::At(at, id))
}

fn write_place(place: &Place) -> String {
    match place {
        Place::At(at, id) => format!("{id}.{}", at.micros()),
        Place::Named(key, id) => format!("{id}.{key}"),
    }
}
