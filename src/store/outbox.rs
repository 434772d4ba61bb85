//! The outbox as a whole: whether it is paused. One row, shared by all instances.
//!
//! A mail server that refuses this Roster itself (login, TLS, sender) says nothing about any one letter. So the queue
//! rests, longer each time; then one letter is tried, and when it goes through the others follow.

use super::{connection::Conn, error::Result, prepared::Prepare as _, schema::outbox};
use crate::domain::{
    delivery::{LEASE, rest_after},
    time::Timestamp,
};
use diesel::prelude::*;
use std::sync::{Arc, PoisonError, RwLock};

/// The name of the one row.
const MAIL: &str = "mail";

/// Why no letters go out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// Since when.
    pub since: Timestamp,
    /// Until when nobody tries. After that, one letter is.
    pub until: Timestamp,
    /// What the mail server said, for people.
    pub reason: String,
}

/// What is known of the outbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outbox {
    /// Why it is paused, if it is.
    pub trouble: Option<Trouble>,
    /// How often in a row a letter has met the fault.
    pub tries: i32,
    /// When a letter first went through after the last fault.
    pub went_at: Option<Timestamp>,
}

/// The outbox as it is.
pub fn find(conn: &mut Conn) -> Result<Outbox> {
    type Row = (
        Option<Timestamp>,
        Option<Timestamp>,
        i32,
        Option<String>,
        Option<Timestamp>,
    );
    let row = outbox::table
        .filter(outbox::name.eq(MAIL))
        .select((
            outbox::since,
            outbox::paused_until,
            outbox::tries,
            outbox::reason,
            outbox::went_at,
        ))
        .prepared()
        .get_result::<Row>(conn)
        .optional()?;
    let (since, until, tries, reason, went_at) = row.unwrap_or_default();
    let trouble = since.zip(until).map(|(since, until)| Trouble {
        since,
        until,
        reason: reason.unwrap_or_default(),
    });
    Ok(Outbox {
        trouble,
        tries,
        went_at,
    })
}

/// Takes the one try that follows a pause. Of several workers one gets it; should it die, the next may try when its
/// letter's lease is over.
pub fn take_try(conn: &mut Conn, now: Timestamp) -> Result<bool> {
    let changed = diesel::update(
        outbox::table
            .filter(outbox::name.eq(MAIL))
            .filter(outbox::paused_until.le(now)),
    )
    .set(outbox::paused_until.eq(now.plus(LEASE)))
    .prepared()
    .execute(conn)?;
    Ok(changed == 1)
}

/// Lets the next letter try at once, if the queue is paused: the try has come to nothing that tells whether the fault is
/// mended.
pub fn allow_try(conn: &mut Conn, now: Timestamp) -> Result<()> {
    diesel::update(
        outbox::table
            .filter(outbox::name.eq(MAIL))
            .filter(outbox::paused_until.gt(now)),
    )
    .set(outbox::paused_until.eq(now))
    .prepared()
    .execute(conn)?;
    Ok(())
}

/// The program has started, perhaps with other settings: a pause is cut short, and the next ones begin short again. It
/// is not called over before a letter has gone through.
pub fn allow_fresh_try(conn: &mut Conn, now: Timestamp) -> Result<()> {
    allow_try(conn, now)?;
    diesel::update(
        outbox::table
            .filter(outbox::name.eq(MAIL))
            .filter(outbox::tries.gt(0)),
    )
    .set(outbox::tries.eq(0))
    .execute(conn)?;
    Ok(())
}

/// A letter has met the fault. Without `trying`, which is the one try after a pause, a pause that lasts is left as it
/// is: others were under way when it began, and their failures say nothing new.
pub fn pause(
    conn: &mut Conn,
    trying: bool,
    reason: &str,
    jitter: f64,
    now: Timestamp,
) -> Result<()> {
    note_fault(conn, now)?;
    let known = find(conn)?;
    if known.trouble.is_some() && !trying {
        return Ok(());
    }
    let tries = known.tries.saturating_add(1);
    let since = known.trouble.map_or(now, |trouble| trouble.since);
    diesel::update(outbox::table.filter(outbox::name.eq(MAIL)))
        .set((
            outbox::since.eq(since),
            outbox::paused_until.eq(now.plus(rest_after(tries, jitter))),
            outbox::tries.eq(tries),
            outbox::reason.eq(reason),
        ))
        .prepared()
        .execute(conn)?;
    Ok(())
}

/// Notes when the fault was last met. Takes the row's lock: of several failures at once each sees the one before.
pub fn note_fault(conn: &mut Conn, now: Timestamp) -> Result<()> {
    diesel::update(outbox::table.filter(outbox::name.eq(MAIL)))
        .set(outbox::faulted_at.eq(now))
        .prepared()
        .execute(conn)?;
    Ok(())
}

/// A letter went through. Ends the pause if that was the try after it. Whoever was under way before it began ends
/// nothing: an open connection does not ask for a login again.
pub fn went(conn: &mut Conn, trying: bool, now: Timestamp) -> Result<()> {
    let row = outbox::table.filter(outbox::name.eq(MAIL));
    if trying {
        return resume(conn, Some(now));
    }
    // Once after each fault, so that busy workers do not queue up for one row.
    diesel::update(
        row.filter(outbox::since.is_null())
            .filter(outbox::faulted_at.is_not_null())
            .filter(
                outbox::went_at
                    .is_null()
                    .or(outbox::went_at.le(outbox::faulted_at)),
            ),
    )
    .set(outbox::went_at.eq(now))
    .prepared()
    .execute(conn)?;
    Ok(())
}

/// Ends the pause.
pub fn resume(conn: &mut Conn, went_at: Option<Timestamp>) -> Result<()> {
    let row = outbox::table.filter(outbox::name.eq(MAIL));
    diesel::update(row)
        .set((
            outbox::since.eq(None::<Timestamp>),
            outbox::paused_until.eq(None::<Timestamp>),
            outbox::tries.eq(0),
            outbox::reason.eq(None::<String>),
        ))
        .prepared()
        .execute(conn)?;
    if let Some(at) = went_at {
        diesel::update(row)
            .set(outbox::went_at.eq(at))
            .prepared()
            .execute(conn)?;
    }
    Ok(())
}

/// What this process last read of the outbox: the workers write it at each look, pages show it without a query.
#[derive(Clone, Default, Debug)]
pub struct Board(Arc<RwLock<Option<Trouble>>>);

impl Board {
    /// Why letters wait, as far as this process knows.
    pub fn trouble(&self) -> Option<Trouble> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Notes what was read.
    pub fn note(&self, trouble: Option<Trouble>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}
