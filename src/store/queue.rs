//! How long the outbox is. Everything here reads the index of unfinished letters only, however many were sent before.

use super::{connection::Conn, error::Result, schema::deliveries};
use crate::domain::{delivery::DeliveryState, time::Timestamp};
use diesel::{dsl, prelude::*};

/// The unfinished letters, of all instances together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Queue {
    /// Letters that a worker should take now; also those whose worker died.
    pub due: i64,
    /// Letters that wait for their next try.
    pub waiting: i64,
    /// Letters that a worker holds.
    pub held: i64,
    /// Since when the oldest of the due ones has been due.
    pub oldest_due: Option<Timestamp>,
    /// When the oldest of all was asked for.
    pub oldest: Option<Timestamp>,
}

/// The letters that have not ended. Said beside each comparison of `due_at`, so that PostgreSQL knows how few these are.
#[dsl::auto_type]
fn unfinished() -> _ {
    deliveries::table.filter(deliveries::due_at.is_not_null())
}

/// Counts the unfinished letters.
pub fn figures(conn: &mut Conn, now: Timestamp) -> Result<Queue> {
    let (due, oldest_due) = unfinished()
        .filter(deliveries::due_at.le(now))
        .select((dsl::count_star(), dsl::min(deliveries::due_at)))
        .get_result(conn)?;
    let later = unfinished().filter(deliveries::due_at.gt(now));
    let waiting = later
        .filter(deliveries::state.eq(DeliveryState::Queued))
        .count()
        .get_result(conn)?;
    let all: i64 = later.count().get_result(conn)?;
    let oldest = unfinished()
        .select(dsl::min(deliveries::created_at))
        .get_result(conn)?;
    Ok(Queue {
        due,
        waiting,
        held: all - waiting,
        oldest_due,
        oldest,
    })
}

/// Since when the oldest letter has been due that nobody has taken.
pub fn oldest_due(conn: &mut Conn, now: Timestamp) -> Result<Option<Timestamp>> {
    Ok(unfinished()
        .filter(deliveries::due_at.le(now))
        .select(dsl::min(deliveries::due_at))
        .get_result(conn)?)
}
