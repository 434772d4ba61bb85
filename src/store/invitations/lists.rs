//! Invitations as pages show them: one, and lists, newest first or by address when searching.

use super::{Row, invitation};
use crate::{
    domain::{
        delivery::DeliveryState,
        ids::{AccountId, InvitationId, OrganizationId},
        invitation::{Invitation, State},
        time::Timestamp,
    },
    store::{
        connection::Conn,
        counting::count_up_to,
        error::Result,
        literal::{IsOpen, IsPending, IsSuperseded},
        part::Part,
        prepared::Prepare as _,
        schema::{accounts, deliveries, invitations},
    },
};
use diesel::prelude::*;

/// Which list of invitations a page shows (R-INV-12).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shelf {
    /// Can be accepted.
    Pending,
    /// Time ran out, replaced or not.
    Expired,
    /// Accepted.
    Accepted,
    /// Rejected.
    Rejected,
    /// Revoked.
    Revoked,
    /// Every one.
    All,
}

impl Shelf {
    /// Every list, in the order of the tabs.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Accepted,
        Self::Expired,
        Self::Rejected,
        Self::Revoked,
        Self::All,
    ];

    /// The word in the address: `?state=…`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Expired => "expired",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Revoked => "revoked",
            Self::All => "all",
        }
    }

    /// Reads the word in the address.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|shelf| shelf.as_str() == text)
    }

    /// The states of the rows on it, each a range of `invitations_by_expiry` or `invitations_by_closing`; nothing for
    /// every one.
    const fn states(self) -> &'static [State] {
        match self {
            Self::Pending => &[State::Pending],
            Self::Expired => &[State::Pending, State::Superseded],
            Self::Accepted => &[State::Accepted],
            Self::Rejected => &[State::Rejected],
            Self::Revoked => &[State::Revoked],
            Self::All => &[],
        }
    }
}

/// One line of a list of invitations.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvitationRow {
    /// The invitation.
    pub invitation: Invitation,
    /// What the inviter is called.
    pub inviter: String,
    /// Its latest letter: where it stands, why, and when it was asked for.
    pub delivery: Option<(DeliveryState, Option<String>, Timestamp)>,
    /// Who closed it.
    pub closed_by: Option<AccountId>,
}

type Line = (
    Row,
    String,
    Option<(DeliveryState, Option<String>, Timestamp)>,
    Option<AccountId>,
);

/// The columns of a [`Line`].
macro_rules! line_columns {
    () => {
        (
            columns!(),
            accounts::name,
            (
                deliveries::state,
                deliveries::reason,
                deliveries::created_at,
            )
                .nullable(),
            invitations::closed_by.nullable(),
        )
    };
}

fn line((row, inviter, delivery, closed_by): Line) -> InvitationRow {
    InvitationRow {
        invitation: invitation(row),
        inviter,
        delivery,
        closed_by,
    }
}

/// A place in a list: the instant or address it is sorted by, and the row's id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// Sorted by time.
    At(Timestamp, InvitationId),
    /// Sorted by address, when searching.
    Named(String, InvitationId),
}

/// Where a row stands in a list, for the address of the next page.
pub fn place(it: &Invitation, shelf: Shelf, searching: bool) -> Place {
    match shelf {
        _ if searching => Place::Named(it.email.key().to_owned(), it.id),
        Shelf::Pending | Shelf::Expired => Place::At(it.expires_at, it.id),
        Shelf::All => Place::At(it.created_at, it.id),
        Shelf::Accepted | Shelf::Rejected | Shelf::Revoked => {
            Place::At(it.closed_at.unwrap_or(it.created_at), it.id)
        }
    }
}

/// What follows every address that starts so.
fn end_of(start: &str) -> String {
    format!("{start}\u{10ffff}")
}

/// At most `most` invitations of a list: newest first, or by address when searching.
pub fn page(
    conn: &mut Conn,
    organization: OrganizationId,
    shelf: Shelf,
    starts_with: Option<&str>,
    part: &Part<Place>,
    most: i64,
    now: Timestamp,
) -> Result<Vec<InvitationRow>> {
    match conn {
        Conn::Sqlite(conn) => sqlite::page(conn, organization, shelf, starts_with, part, most, now),
        Conn::Postgres(conn) => {
            postgres::page(conn, organization, shelf, starts_with, part, most, now)
        }
    }
}

/// How many invitations are on a list, counting no further than `most`.
pub fn count(
    conn: &mut Conn,
    organization: OrganizationId,
    shelf: Shelf,
    starts_with: Option<&str>,
    most: i64,
    now: Timestamp,
) -> Result<i64> {
    match conn {
        Conn::Sqlite(conn) => sqlite::count(conn, organization, shelf, starts_with, most, now),
        Conn::Postgres(conn) => postgres::count(conn, organization, shelf, starts_with, most, now),
    }
}

/// Which pending invitations count as unused (R-MEM-4): expired, or made no later than `made_by` and valid no longer
/// than to `valid_to`.
#[derive(Clone, Copy, Debug)]
pub struct Unused {
    /// The moment of asking.
    pub now: Timestamp,
    /// Only if made at this instant or before, unless expired.
    pub made_by: Timestamp,
    /// Only if valid to this instant or less: what was sent again since is valid for longer.
    pub valid_to: Timestamp,
}

/// At most `most` unused invitations, those that are valid longest first.
pub fn list_unused(
    conn: &mut Conn,
    organization: OrganizationId,
    which: Unused,
    most: i64,
) -> Result<Vec<InvitationRow>> {
    match conn {
        Conn::Sqlite(conn) => sqlite::list_unused(conn, organization, which, most),
        Conn::Postgres(conn) => postgres::list_unused(conn, organization, which, most),
    }
}

/// How many invitations are unused, counting no further than `most`.
pub fn count_unused(
    conn: &mut Conn,
    organization: OrganizationId,
    which: Unused,
    most: i64,
) -> Result<i64> {
    match conn {
        Conn::Sqlite(conn) => sqlite::count_unused(conn, organization, which, most),
        Conn::Postgres(conn) => postgres::count_unused(conn, organization, which, most),
    }
}

for_each_database! {
    type Boxed<'a> = diesel::helper_types::IntoBoxed<'a, invitations::table, Database>;

    /// The words of the partial indexes, letter for letter: a bound value would keep SQLite from using them.
    fn in_state<'a>(query: Boxed<'a>, state: State) -> Boxed<'a> {
        match state {
            State::Pending => query.filter(IsOpen).filter(IsPending),
            State::Superseded => query.filter(IsOpen).filter(IsSuperseded),
            State::Accepted | State::Rejected | State::Revoked => {
                query.filter(invitations::state.eq(state))
            }
        }
    }

    /// The parts of a list that are each one range of an index when sorted by time.
    fn pieces<'a>(organization: OrganizationId, shelf: Shelf) -> Vec<Boxed<'a>> {
        let all = || {
            invitations::table
                .filter(invitations::organization_id.eq(organization))
                .into_boxed()
        };
        match shelf.states() {
            [] => vec![all()],
            states => states.iter().map(|state| in_state(all(), *state)).collect(),
        }
    }

    /// Those of a list whose address starts so, in no order of time.
    fn starting<'a>(
        organization: OrganizationId,
        shelf: Shelf,
        from: &str,
        until: &str,
        now: Timestamp,
    ) -> Boxed<'a> {
        let all = invitations::table
            .filter(invitations::organization_id.eq(organization))
            .filter(invitations::email_key.ge(from.to_owned()))
            .filter(invitations::email_key.lt(until.to_owned()))
            .into_boxed();
        let query = match shelf.states() {
            [] => all,
            [state] => in_state(all, *state),
            states => all.filter(invitations::state.eq_any(states)),
        };
        match shelf {
            Shelf::Pending => query.filter(invitations::expires_at.gt(now)),
            Shelf::Expired => query.filter(invitations::expires_at.le(now)),
            Shelf::Accepted | Shelf::Rejected | Shelf::Revoked | Shelf::All => query,
        }
    }

    pub(super) fn page(
        conn: &mut Connection,
        organization: OrganizationId,
        shelf: Shelf,
        starts_with: Option<&str>,
        part: &Part<Place>,
        most: i64,
        now: Timestamp,
    ) -> Result<Vec<InvitationRow>> {
        let backwards = matches!(part, Part::Before(_));
        let place = match part {
            Part::First => None,
            Part::After(place) | Part::Before(place) => Some(place.clone()),
        };
        let mut rows = match starts_with {
            Some(start) => found(
                conn,
                organization,
                shelf,
                start,
                place,
                backwards,
                most,
                now,
            )?,
            None => {
                let place = place.and_then(|place| match place {
                    Place::At(at, id) => Some((at, id)),
                    Place::Named(..) => None,
                });
                let mut rows = Vec::new();
                let pieces = pieces(organization, shelf);
                let several = pieces.len() > 1;
                for piece in pieces {
                    let piece = ordered(piece, shelf, place, backwards, now);
                    rows.extend(load(conn, piece, most)?);
                }
                if several {
                    rows.sort_by_key(|row| (row.invitation.expires_at, row.invitation.id));
                    if !backwards {
                        rows.reverse();
                    }
                    rows.truncate(usize::try_from(most).unwrap_or(usize::MAX));
                }
                rows
            }
        };
        if backwards {
            rows.reverse();
        }
        Ok(rows)
    }

    /// A piece in the order of time, from a place on. For each end of a range SQLite takes one bound: only the narrower one
    /// is written, or a later page would be read from the top of the list. That an invitation which has ended has a time
    /// of closing is such a bound, too; it is said because `invitations_by_closing` has no other rows.
    fn ordered<'a>(
        mut query: Boxed<'a>,
        shelf: Shelf,
        place: Option<(Timestamp, InvitationId)>,
        backwards: bool,
        now: Timestamp,
    ) -> Boxed<'a> {
        macro_rules! keyset {
            ($column:expr, $place:expr) => {{
                match $place {
                    Some((at, id)) if backwards => {
                        query = query
                            .filter($column.ge(at))
                            .filter($column.gt(at).or(invitations::id.gt(id)));
                    }
                    Some((at, id)) => {
                        query = query
                            .filter($column.le(at))
                            .filter($column.lt(at).or(invitations::id.lt(id)));
                    }
                    None => {}
                }
                if backwards {
                    query.order(($column.asc(), invitations::id.asc()))
                } else {
                    query.order(($column.desc(), invitations::id.desc()))
                }
            }};
        }
        match shelf {
            Shelf::Pending => {
                // What comes before a place that has expired is all that has not.
                let place = place.filter(|(at, _)| !backwards || *at > now);
                if !backwards || place.is_none() {
                    query = query.filter(invitations::expires_at.gt(now));
                }
                keyset!(invitations::expires_at, place)
            }
            Shelf::Expired => {
                let place = place.filter(|(at, _)| backwards || *at <= now);
                if backwards || place.is_none() {
                    query = query.filter(invitations::expires_at.le(now));
                }
                keyset!(invitations::expires_at, place)
            }
            Shelf::Accepted | Shelf::Rejected | Shelf::Revoked => {
                if place.is_none() {
                    query = query.filter(invitations::closed_at.is_not_null());
                }
                keyset!(invitations::closed_at, place)
            }
            Shelf::All => {
                // Ids are made in order of time: newest first is the primary key backwards.
                query = match place {
                    Some((_, id)) if backwards => query.filter(invitations::id.gt(id)),
                    Some((_, id)) => query.filter(invitations::id.lt(id)),
                    None => query,
                };
                if backwards {
                    query.order(invitations::id.asc())
                } else {
                    query.order(invitations::id.desc())
                }
            }
        }
    }

    /// Those of a list whose address starts with `start`, by address, from a place on; the same rule of bounds as in
    /// [`ordered`].
    #[expect(clippy::too_many_arguments, reason = "what says which rows")]
    fn found(
        conn: &mut Connection,
        organization: OrganizationId,
        shelf: Shelf,
        start: &str,
        place: Option<Place>,
        backwards: bool,
        most: i64,
        now: Timestamp,
    ) -> Result<Vec<InvitationRow>> {
        let end = end_of(start);
        let place = place.and_then(|place| match place {
            Place::Named(key, id) => Some((key, id)),
            Place::At(..) => None,
        });
        let (from, until) = match &place {
            // No address has a character this low: up to and with the key itself.
            Some((key, _)) if backwards => (start.to_owned(), end.min(format!("{key}\u{1}"))),
            Some((key, _)) => (key.clone().max(start.to_owned()), end),
            None => (start.to_owned(), end),
        };
        let query = starting(organization, shelf, &from, &until, now);
        let query = match place {
            Some((key, id)) if backwards => query.filter(
                invitations::email_key
                    .lt(key.clone())
                    .or(invitations::email_key.eq(key).and(invitations::id.lt(id))),
            ),
            Some((key, id)) => query.filter(
                invitations::email_key
                    .gt(key.clone())
                    .or(invitations::email_key.eq(key).and(invitations::id.gt(id))),
            ),
            None => query,
        };
        let query = if backwards {
            query.order((invitations::email_key.desc(), invitations::id.desc()))
        } else {
            query.order((invitations::email_key.asc(), invitations::id.asc()))
        };
        load(conn, query, most)
    }

    fn load(conn: &mut Connection, query: Boxed<'_>, most: i64) -> Result<Vec<InvitationRow>> {
        let rows = query
            .inner_join(accounts::table.on(accounts::id.eq(invitations::invited_by)))
            .left_join(deliveries::table.on(deliveries::id.nullable().eq(invitations::delivery_id)))
            .limit(most)
            .select(line_columns!())
            .load::<Line>(conn)?;
        Ok(rows.into_iter().map(line).collect())
    }

    pub(super) fn count(
        conn: &mut Connection,
        organization: OrganizationId,
        shelf: Shelf,
        starts_with: Option<&str>,
        most: i64,
        now: Timestamp,
    ) -> Result<i64> {
        if let Some(start) = starts_with {
            let query = starting(organization, shelf, start, &end_of(start), now);
            return count_up_to(conn, query.select(invitations::id), most);
        }
        let mut counted = 0;
        for piece in pieces(organization, shelf) {
            let piece = match shelf {
                Shelf::Pending => piece.filter(invitations::expires_at.gt(now)),
                Shelf::Expired => piece.filter(invitations::expires_at.le(now)),
                Shelf::Accepted | Shelf::Rejected | Shelf::Revoked => {
                    piece.filter(invitations::closed_at.is_not_null())
                }
                Shelf::All => piece,
            };
            counted += count_up_to(conn, piece.select(invitations::id), most - counted)?;
        }
        Ok(counted)
    }

    fn unused<'a>(organization: OrganizationId, which: Unused) -> Boxed<'a> {
        let all = invitations::table
            .filter(invitations::organization_id.eq(organization))
            .into_boxed();
        in_state(all, State::Pending)
            .filter(invitations::expires_at.le(which.valid_to.max(which.now)))
            .filter(
                invitations::expires_at
                    .le(which.now)
                    .or(invitations::created_at.le(which.made_by)),
            )
    }

    pub(super) fn list_unused(
        conn: &mut Connection,
        organization: OrganizationId,
        which: Unused,
        most: i64,
    ) -> Result<Vec<InvitationRow>> {
        let newest =
            unused(organization, which).order((invitations::expires_at.desc(), invitations::id.desc()));
        load(conn, newest, most)
    }

    pub(super) fn count_unused(
        conn: &mut Connection,
        organization: OrganizationId,
        which: Unused,
        most: i64,
    ) -> Result<i64> {
        count_up_to(
            conn,
            unused(organization, which).select(invitations::id),
            most,
        )
    }
}

/// One invitation as its page shows it.
pub fn details(
    conn: &mut Conn,
    organization: OrganizationId,
    id: InvitationId,
) -> Result<Option<InvitationRow>> {
    let row = invitations::table
        .inner_join(accounts::table.on(accounts::id.eq(invitations::invited_by)))
        .left_join(deliveries::table.on(deliveries::id.nullable().eq(invitations::delivery_id)))
        .filter(invitations::organization_id.eq(organization))
        .filter(invitations::id.eq(id))
        .select(line_columns!())
        .prepared()
        .get_result::<Line>(conn)
        .optional()?;
    Ok(row.map(line))
}
