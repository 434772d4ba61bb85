//! The audit log: appended in the transaction of the change, never edited.

use super::{
    connection::{Conn, MultiBackend},
    counting::count_up_to,
    error::Result,
    part::Part,
    prepared::Prepare as _,
    schema::audit_events,
};
use crate::domain::{
    audit::{Event, Verb},
    ids::{AccountId, AuditEventId, InvitationId, OrganizationId},
    invitation::Invitation,
    time::Timestamp,
};
use diesel::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Who did it, and from where.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// The account and what it was called then; nobody when a link's holder was not signed in.
    pub account: Option<(AccountId, &'a str)>,
    /// The client's network address.
    pub address: &'a str,
}

/// The values of a new row.
macro_rules! values {
    ($organization:expr, $id:expr, $by:expr, $event:expr, $at:expr) => {
        (
            audit_events::organization_id.eq($organization),
            audit_events::id.eq($id),
            audit_events::at.eq($at),
            audit_events::account_id.eq($by.account.map(|(id, _)| id)),
            audit_events::actor.eq($by.account.map(|(_, name)| name)),
            audit_events::verb.eq($event.verb.as_str()),
            audit_events::invitation_id.eq($event.invitation),
            audit_events::subject_id.eq($event.subject),
            audit_events::target.eq($event.target.as_deref()),
            audit_events::target_key.eq($event.target_key.as_deref()),
            audit_events::before.eq($event.before.as_deref()),
            audit_events::after.eq($event.after.as_deref()),
            audit_events::address.eq($by.address),
        )
    };
}

/// Appends events of one person, or of nobody.
pub fn append(
    conn: &mut Conn,
    organization: OrganizationId,
    by: By<'_>,
    events: &[(AuditEventId, &Event)],
    at: Timestamp,
) -> Result<()> {
    let rows = events
        .iter()
        .map(|(id, event)| values!(organization, *id, by, event, at));
    insert_each!(conn, audit_events::table, rows);
    Ok(())
}

/// When something last happened to an invitation.
pub fn last(conn: &mut Conn, of: &Invitation, verb: Verb) -> Result<Option<Timestamp>> {
    Ok(audit_events::table
        .filter(audit_events::organization_id.eq(of.organization))
        .filter(audit_events::target_key.eq(of.email.key()))
        .filter(audit_events::invitation_id.eq(of.id))
        .filter(audit_events::verb.eq(verb.as_str()))
        .select(diesel::dsl::max(audit_events::at))
        .prepared()
        .get_result(conn)?)
}

/// What an event changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Changed<'a> {
    /// An invitation: looked for among the events of its address.
    Invitation(&'a Invitation),
    /// A member.
    Member(AccountId),
}

/// Who did it last, as they were called then.
pub fn last_actor(
    conn: &mut Conn,
    organization: OrganizationId,
    of: Changed<'_>,
    verbs: &[Verb],
) -> Result<Option<String>> {
    let events = audit_events::table
        .filter(audit_events::organization_id.eq(organization))
        .filter(audit_events::verb.eq_any(verbs.iter().map(|verb| verb.as_str())))
        .order(audit_events::id.desc())
        .limit(1)
        .select(audit_events::actor);
    let actors: Vec<Option<String>> = match of {
        Changed::Invitation(it) => events
            .filter(audit_events::target_key.eq(it.email.key()))
            .filter(audit_events::invitation_id.eq(it.id))
            .load(conn)?,
        Changed::Member(id) => events.filter(audit_events::subject_id.eq(id)).load(conn)?,
    };
    Ok(actors.into_iter().next().flatten())
}

/// Somebody, as the one who did something or the one it was done to.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Who {
    /// By account: few, for each is looked up by itself.
    pub accounts: Vec<AccountId>,
    /// By address, as it is compared: of invitations, and of people who have no account any more.
    pub address: Option<String>,
}

/// Which events.
#[derive(Clone, Default, Debug)]
pub struct AuditFilter {
    /// What happened.
    pub verb: Option<Verb>,
    /// Who did it, or to whom. Nobody at all when it names nobody.
    pub who: Option<Who>,
    /// Not before this instant, to the millisecond.
    pub since: Option<Timestamp>,
    /// Before this instant, to the millisecond.
    pub until: Option<Timestamp>,
}

/// One line of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditRow {
    /// Its place in the log.
    pub id: AuditEventId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub account: Option<AccountId>,
    /// What they were called then.
    pub actor: Option<String>,
    /// What happened, in the stored word.
    pub verb: String,
    /// To which invitation.
    pub invitation: Option<InvitationId>,
    /// To which account.
    pub subject: Option<AccountId>,
    /// What that was called then.
    pub target: Option<String>,
    /// The value before.
    pub before: Option<String>,
    /// The value after.
    pub after: Option<String>,
    /// From which network address.
    pub address: String,
}

type Row = (
    (
        AuditEventId,
        Timestamp,
        Option<AccountId>,
        Option<String>,
        String,
    ),
    (Option<InvitationId>, Option<AccountId>, Option<String>),
    (Option<String>, Option<String>, String),
);

/// The columns of a [`Row`].
macro_rules! columns {
    () => {
        (
            (
                audit_events::id,
                audit_events::at,
                audit_events::account_id,
                audit_events::actor,
                audit_events::verb,
            ),
            (
                audit_events::invitation_id,
                audit_events::subject_id,
                audit_events::target,
            ),
            (
                audit_events::before,
                audit_events::after,
                audit_events::address,
            ),
        )
    };
}

fn row((first, what, values): Row) -> AuditRow {
    let (id, at, account, actor, verb) = first;
    let (invitation, subject, target) = what;
    let (before, after, address) = values;
    AuditRow {
        id,
        at,
        account,
        actor,
        verb,
        invitation,
        subject,
        target,
        before,
        after,
        address,
    }
}

type Boxed<'a> = audit_events::BoxedQuery<'a, MultiBackend>;

/// The lowest id of a moment: ids begin with their millisecond (RFC 9562), so that a span of time is a range of the key.
fn first_id(at: Timestamp) -> AuditEventId {
    let millis = u128::try_from(at.micros() / 1000).unwrap_or(0);
    AuditEventId(Uuid::from_u128(millis << 80))
}

/// The events of a filter from a place on. For each end of a range SQLite takes one bound: only the narrower one is
/// written, or a later page would be read from the top of the list.
fn filtered<'a>(
    organization: OrganizationId,
    filter: &AuditFilter,
    part: &Part<AuditEventId>,
) -> Boxed<'a> {
    let mut query = audit_events::table
        .filter(audit_events::organization_id.eq(organization))
        .into_boxed();
    if let Some(verb) = filter.verb {
        query = query.filter(audit_events::verb.eq(verb.as_str()));
    }
    let mut since = filter.since.map(first_id);
    let mut until = filter.until.map(first_id);
    match *part {
        Part::First => {}
        Part::After(id) => until = Some(until.map_or(id, |until| until.min(id))),
        Part::Before(id) if since.is_none_or(|since| since <= id) => {
            since = None;
            query = query.filter(audit_events::id.gt(id));
        }
        Part::Before(_) => {}
    }
    if let Some(since) = since {
        query = query.filter(audit_events::id.ge(since));
    }
    if let Some(until) = until {
        query = query.filter(audit_events::id.lt(until));
    }
    query
}

/// One query for each way in which somebody is part of an event: each is a range of an index, which an OR of them all is
/// not.
fn ways<'a>(
    who: Option<&Who>,
    query: impl Fn() -> Boxed<'a>,
    mut each: impl FnMut(Boxed<'a>) -> Result<()>,
) -> Result<()> {
    let Some(who) = who else {
        return each(query());
    };
    for account in &who.accounts {
        each(query().filter(audit_events::account_id.eq(*account)))?;
        each(query().filter(audit_events::subject_id.eq(*account)))?;
    }
    if let Some(key) = &who.address {
        each(query().filter(audit_events::target_key.eq(key.clone())))?;
    }
    Ok(())
}

/// At most `most` events, newest first.
pub fn page(
    conn: &mut Conn,
    organization: OrganizationId,
    filter: &AuditFilter,
    part: &Part<AuditEventId>,
    most: i64,
) -> Result<Vec<AuditRow>> {
    let backwards = matches!(part, Part::Before(_));
    let query = || {
        let query = filtered(organization, filter, part).limit(most);
        if backwards {
            query.order(audit_events::id.asc())
        } else {
            query.order(audit_events::id.desc())
        }
    };
    let mut found = BTreeMap::new();
    ways(filter.who.as_ref(), query, |query| {
        let rows = query.select(columns!()).load::<Row>(conn)?;
        found.extend(rows.into_iter().map(row).map(|row| (row.id, row)));
        Ok(())
    })?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let newest_first = found.into_values().rev();
    Ok(if backwards {
        let skipped = newest_first.len().saturating_sub(most);
        newest_first.skip(skipped).collect()
    } else {
        newest_first.take(most).collect()
    })
}

/// How many events match, counting no further than `most`.
pub fn count(
    conn: &mut Conn,
    organization: OrganizationId,
    filter: &AuditFilter,
    most: i64,
) -> Result<i64> {
    if filter.who.is_none() {
        let all = filtered(organization, filter, &Part::First).select(audit_events::id);
        return count_up_to(conn, all, most);
    }
    // An event can be found in several ways, and counts once.
    let mut found = BTreeSet::new();
    let query = || filtered(organization, filter, &Part::First).limit(most);
    ways(filter.who.as_ref(), query, |query| {
        found.extend(query.select(audit_events::id).load::<AuditEventId>(conn)?);
        Ok(())
    })?;
    Ok(i64::try_from(found.len()).unwrap_or(most).min(most))
}
