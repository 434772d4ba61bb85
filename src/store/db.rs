//! The door to the database: reads on a pool, writes one after another on SQLite and side by side on PostgreSQL.

use super::{
    connection::{Conn, Manager, Target},
    error::{Error, Repeatable, Result},
    hands::Hands,
    migrate,
    patience::{Caller, Ticket, nobody_waits, pause},
    place::Place,
    pool::{Pool, Pooled},
    status::{Status, Waits},
    writer::Writer,
};
use std::{num::NonZero, sync::Arc, time::Instant};
use tokio::sync::oneshot;
use tracing::Span;

/// How often a write that collided with another is tried in all, if there is time.
const TRIES: u32 = 8;

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which.
    pub target: Target,
    /// Connections at most (SQLite: for reading; the writer has one more).
    pub connections: u32,
    /// SQLite's `synchronous=FULL`.
    pub synchronous_full: bool,
}

/// An open database. Clones share it.
#[derive(Clone)]
pub struct Db {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Pool,
    /// Never more at work than connections: waiting costs a task, not a thread.
    hands: Hands,
    connections: usize,
    /// SQLite only.
    writer: Option<Writer>,
    waits: Waits,
}

impl Db {
    /// Opens the database. No tables are made: see [`Db::migrate`].
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it cannot be reached or opened.
    pub fn open(options: &Options) -> Result<Self> {
        let manager = Manager {
            target: options.target.clone(),
            synchronous_full: options.synchronous_full,
        };
        // The first connection by hand: its error says why, the pool's only that it took too long.
        let first = manager.open()?;
        let place = Place::of(&manager.target)?;
        let pool = Pool::new(manager.clone(), place.clone());
        let waits = Waits::default();
        let writer = match place {
            None => {
                pool.give_back(Pooled::new(first));
                None
            }
            Some(place) => Some(Writer::start(first, manager, place, waits.clone())?),
        };
        let connections = options.connections.max(1) as usize;
        // See `hands.rs`.
        let enough = match writer {
            Some(_) => std::thread::available_parallelism().map_or(1, NonZero::get),
            None => connections,
        };
        Ok(Self {
            shared: Arc::new(Shared {
                pool,
                hands: Hands::new(enough, connections),
                connections,
                writer,
                waits,
            }),
        })
    }

    /// Brings the tables up to this program and answers how many migrations that took.
    ///
    /// # Errors
    /// [`Error::Broken`] naming the migration that failed.
    pub fn migrate(&self) -> Result<usize> {
        // PostgreSQL's first connection waits in the pool. Another one costs more than this question.
        if let Some(mut pooled) = self.shared.pool.recent() {
            let ready = migrate::is_ready(&mut pooled.conn)?;
            self.shared.pool.give_back(pooled);
            if ready {
                return Ok(0);
            }
        }
        // A connection of its own: on PostgreSQL migrating takes its time limits away.
        migrate::run(&mut self.shared.pool.manager.open()?)
    }

    /// Whether changes can be kept, as far as this process can tell by itself.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when SQLite's file is not the one that was opened, or its writer has ended.
    pub fn check_writing(&self) -> Result<()> {
        if let Some(place) = &self.shared.pool.place {
            place.check()?;
        }
        match &self.shared.writer {
            Some(writer) if writer.has_ended() => {
                Err(Error::Unavailable("the writer has ended".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// How busy the connections are.
    pub fn status(&self) -> Status {
        let shared = &self.shared;
        let in_use = shared.hands.busy();
        let (waits, timeouts) = shared.waits.counts();
        Status {
            connections: shared.connections,
            open: in_use + shared.pool.free(),
            in_use,
            waits,
            timeouts,
            writer: shared.writer.as_ref().map(Writer::status),
        }
    }

    /// Runs `work` on a connection, off the async threads. It must only read, and may run twice: see [`Shared::read`].
    ///
    /// # Errors
    /// What `work` answers; [`Error::Unavailable`] when there is no answer in time: see [`super::hurried`].
    pub async fn read<T, E>(
        &self,
        work: impl FnMut(&mut Conn) -> std::result::Result<T, E> + Send + 'static,
    ) -> std::result::Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Repeatable + Send + 'static,
    {
        self.hop(move |shared, ticket, until| shared.read(ticket, until, work))
            .await
    }

    /// Runs `work` in one transaction and answers after it was committed; an error undoes it all.
    /// `work` may run more than once: after a collision with another transaction it is repeated from the start.
    ///
    /// # Errors
    /// What `work` answers; [`Error::Unavailable`] when the database cannot take it in time: then nothing has changed, and
    /// will not. [`Error::Unsure`] when the commit had begun and its end is not known.
    pub async fn write<T, E>(
        &self,
        work: impl Fn(&mut Conn) -> std::result::Result<T, E> + Send + 'static,
    ) -> std::result::Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Repeatable + Send + 'static,
    {
        match &self.shared.writer {
            Some(writer) => writer.write(work).await,
            None => {
                self.hop(move |shared, ticket, until| shared.write(ticket, until, &work))
                    .await
            }
        }
    }

    /// Has the work done by one of the threads that do such things. A visitor who leaves does not free it while it works:
    /// work that hangs takes a connection away, not more.
    async fn hop<T, E>(
        &self,
        work: impl FnOnce(&Shared, &Ticket, Instant) -> std::result::Result<T, E> + Send + 'static,
    ) -> std::result::Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let waits = &self.shared.waits;
        let caller = Caller::new(waits);
        let until = caller.begin_by();
        let (shared, ticket) = (Arc::clone(&self.shared), caller.ticket());
        let (tell, told) = oneshot::channel();
        // What is logged over there belongs to this request.
        let span = Span::current();
        let job = move || {
            // A caller that has gone away needs no answer.
            span.in_scope(|| drop(tell.send(work(&shared, &ticket, until))));
        };
        let hands = &self.shared.hands;
        match hands.hand(job) {
            Ok(true) => {}
            Ok(false) => waits.wait(),
            Err(error) => {
                waits.in_vain();
                return Err(Error::Unavailable(error.to_string()).into());
            }
        }
        let panicked = Error::Broken("a query panicked".to_owned());
        caller.wait_hurrying(told, panicked, || hands.hurry()).await
    }
}

impl Shared {
    /// Reads on a connection that was of use a moment ago, without asking whether it still is: on PostgreSQL the question
    /// costs as much as a page's own. If it was cut in that moment, the reading starts again on one that answers.
    fn read<T, E>(
        &self,
        ticket: &Ticket,
        until: Instant,
        mut work: impl FnMut(&mut Conn) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E>
    where
        E: From<Error> + Repeatable,
    {
        if let Some(pooled) = self.pool.recent() {
            let (done, failed) = self.read_on(pooled, ticket, &mut work);
            if failed.is_none_or(|mut pooled| pooled.conn.answers()) {
                return done;
            }
            self.pool.forget_all();
        }
        let pooled = self.pool.connection(ticket, until)?;
        let (done, _) = self.read_on(pooled, ticket, &mut work);
        done
    }

    /// One reading, and its connection if that is not to be used again.
    fn read_on<T, E>(
        &self,
        mut pooled: Pooled,
        ticket: &Ticket,
        work: &mut impl FnMut(&mut Conn) -> std::result::Result<T, E>,
    ) -> (std::result::Result<T, E>, Option<Pooled>)
    where
        E: From<Error> + Repeatable,
    {
        if !ticket.begin() {
            self.pool.give_back(pooled);
            return (Err(nobody_waits().into()), None);
        }
        let conn = &mut pooled.conn;
        if let Err(error) = conn.begin_read() {
            return (Err(error.into()), Some(pooled));
        }
        let done = work(conn);
        match (done, conn.end_read()) {
            // What failed here may go on failing: a standby, a full disk. The next visitor gets another connection.
            (Err(error), _) if error.faulty() => (Err(error), Some(pooled)),
            (_, Err(error)) => (Err(error.into()), Some(pooled)),
            (done, Ok(())) => {
                self.pool.give_back(pooled);
                (done, None)
            }
        }
    }

    fn write<T, E>(
        &self,
        ticket: &Ticket,
        until: Instant,
        work: &impl Fn(&mut Conn) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E>
    where
        E: From<Error> + Repeatable,
    {
        let mut tried = 1;
        loop {
            let (done, cut) = self.write_once(ticket, until, work);
            match done {
                // A connection that was cut before the commit has left nothing behind. Once only: perhaps this very
                // work brings the server down.
                Err(error) if tried < TRIES && (error.repeatable() || cut && tried == 1) => {
                    // Whoever won needs a moment to finish.
                    if pause(tried, until).is_err() {
                        return Err(error);
                    }
                    tried += 1;
                }
                done => return done,
            }
        }
    }

    /// One try, and whether its connection was cut before the commit.
    fn write_once<T, E>(
        &self,
        ticket: &Ticket,
        until: Instant,
        work: &impl Fn(&mut Conn) -> std::result::Result<T, E>,
    ) -> (std::result::Result<T, E>, bool)
    where
        E: From<Error> + Repeatable,
    {
        let mut pooled = match self.pool.begin_write(ticket, until) {
            Ok(pooled) => pooled,
            Err(error) => return (Err(error.into()), false),
        };
        let conn = &mut pooled.conn;
        let mut done = if ticket.begin() {
            work(conn)
        } else {
            Err(nobody_waits().into())
        };
        let worked = done.is_ok();
        if worked && !ticket.seal() {
            done = Err(nobody_waits().into());
        }
        let done = done.and_then(|value| match conn.commit_or_know() {
            Ok(()) => Ok(value),
            Err(error) => Err(error.into()),
        });
        let Err(error) = &done else {
            self.pool.give_back(pooled);
            return (done, false);
        };
        let alive = conn.rollback();
        if alive && (error.repeatable() || !error.faulty()) {
            self.pool.give_back(pooled);
        }
        (done, !alive && !worked)
    }
}
