//! Open connections that nobody uses at the moment.
//!
//! Who needs one and finds none opens one, on their own time: after an outage the first request that comes finds the
//! database again, and no background task has to. How many there are at once is decided by `hands.rs`.

use super::{
    connection::{Conn, Manager},
    error::{Error, Result},
    patience::{Ticket, nobody_waits},
    place::Place,
};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How old a connection gets: a server that was moved, or a backend that grew, is left behind some day.
const LIFETIME: Duration = Duration::from_secs(1800);

/// Pause between two tries to open a connection.
const REOPEN: Duration = Duration::from_millis(100);

/// For how long after its last use a connection is taken to be alive.
const RECENT: Duration = Duration::from_secs(1);

/// A connection, when it was opened and when it was last of use.
pub(super) struct Pooled {
    pub(super) conn: Conn,
    opened: Instant,
    used: Instant,
}

impl Pooled {
    /// One that was just opened.
    pub(super) fn new(conn: Conn) -> Self {
        let opened = Instant::now();
        Self {
            conn,
            opened,
            used: opened,
        }
    }
}

/// The connections that are free.
pub(super) struct Pool {
    pub(super) manager: Manager,
    idle: Mutex<Vec<Pooled>>,
    /// SQLite only.
    pub(super) place: Option<Place>,
    /// A socket to a restarted server is only seen to be dead by asking. SQLite has no such thing.
    on_postgres: bool,
}

impl Pool {
    pub(super) fn new(manager: Manager, place: Option<Place>) -> Self {
        Self {
            on_postgres: place.is_none(),
            manager,
            idle: Mutex::default(),
            place,
        }
    }

    /// A connection that was of use a moment ago, if the last one to come back was. Nobody asked it whether it still is.
    pub(super) fn recent(&self) -> Option<Pooled> {
        self.idle().pop_if(|pooled| pooled.used.elapsed() < RECENT)
    }

    /// A connection that answers.
    pub(super) fn connection(&self, ticket: &Ticket, until: Instant) -> Result<Pooled> {
        if let Some(mut pooled) = self.take() {
            if !self.on_postgres || pooled.conn.answers() {
                return Ok(pooled);
            }
            self.forget_all();
        }
        self.open(ticket, until)
    }

    /// A connection with a transaction begun that will write. Beginning is the question whether it answers.
    pub(super) fn begin_write(&self, ticket: &Ticket, until: Instant) -> Result<Pooled> {
        if let Some(mut pooled) = self.take() {
            if pooled.conn.begin_write().is_ok() {
                return Ok(pooled);
            }
            self.forget_all();
        }
        let mut pooled = self.open(ticket, until)?;
        pooled.conn.begin_write()?;
        Ok(pooled)
    }

    /// How many wait for somebody to use them.
    pub(super) fn free(&self) -> usize {
        self.idle().len()
    }

    /// Gives a connection back that is as good as new.
    pub(super) fn give_back(&self, mut pooled: Pooled) {
        pooled.used = Instant::now();
        let mut idle = self.idle();
        idle.push(pooled);
        idle.retain(|pooled| pooled.opened.elapsed() < LIFETIME);
    }

    fn take(&self) -> Option<Pooled> {
        self.idle().pop()
    }

    /// Where one is dead the others are too, or are opened again in a moment.
    pub(super) fn forget_all(&self) {
        let dead = std::mem::take(&mut *self.idle());
        // Outside the lock: closing talks to the server.
        drop(dead);
    }

    /// Opens one, and tries again until then: most restarts are shorter than a visitor's patience.
    fn open(&self, ticket: &Ticket, until: Instant) -> Result<Pooled> {
        // SQLite would make a new file where the old one lay.
        if let Some(place) = &self.place {
            place.check()?;
        }
        loop {
            match self.manager.open() {
                Ok(conn) => return Ok(Pooled::new(conn)),
                Err(error @ Error::Broken(_)) => return Err(error),
                Err(error) if Instant::now() + REOPEN >= until => return Err(error),
                Err(_) if ticket.abandoned() => return Err(nobody_waits()),
                Err(_) => std::thread::sleep(REOPEN),
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Pooled>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
