//! The door to the database: reads on a pool, writes one after another on SQLite and side by side on PostgreSQL.

use super::{
    connection::{Conn, Manager, Target},
    error::{Error, Repeatable, Result},
    migrate,
    writer::Writer,
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

/// How long a request waits for a connection before it is told to come back (r2d2 itself would wait 30 s).
const CONNECTION_WAIT: Duration = Duration::from_millis(2500);

/// How often a write that collided with another is tried in all.
const TRIES: usize = 4;

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
    manager: Manager,
    pool: r2d2::Pool<Manager>,
    /// As many permits as connections: waiting costs a task, not a thread.
    gate: Arc<Semaphore>,
    /// SQLite only.
    writer: Option<Writer>,
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
        let on_postgres = matches!(options.target, Target::Postgres(_));
        // The first connection by hand: its error says why, the pool's only that it took too long.
        let first = manager.open()?;
        let writer = if on_postgres {
            None
        } else {
            Some(Writer::start(first)?)
        };
        let pool = r2d2::Pool::builder()
            .max_size(options.connections.max(1))
            .min_idle(Some(1))
            .connection_timeout(CONNECTION_WAIT)
            // A socket to a restarted server is only seen to be dead by asking. SQLite has no such thing.
            .test_on_check_out(on_postgres)
            .error_handler(Box::new(LogErrors))
            .build(manager.clone())
            .map_err(|error| Error::Unavailable(error.to_string()))?;
        let gate = Arc::new(Semaphore::new(options.connections.max(1) as usize));
        Ok(Self {
            shared: Arc::new(Shared {
                manager,
                pool,
                gate,
                writer,
            }),
        })
    }

    /// Brings the tables up to this program and answers how many migrations that took.
    ///
    /// # Errors
    /// [`Error::Broken`] naming the migration that failed.
    pub fn migrate(&self) -> Result<usize> {
        // A connection of its own: on PostgreSQL migrating takes its time limits away.
        migrate::run(&mut self.shared.manager.open()?)
    }

    /// Runs `work` on a connection, off the async threads. It must only read.
    ///
    /// # Errors
    /// What `work` answers; [`Error::Unavailable`] when no connection is free in time.
    pub async fn read<T, E>(
        &self,
        work: impl FnOnce(&mut Conn) -> std::result::Result<T, E> + Send + 'static,
    ) -> std::result::Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.hop(move |shared| {
            let mut conn = shared.connection()?;
            conn.begin_read()?;
            let done = work(&mut conn);
            conn.end_read()?;
            done
        })
        .await
    }

    /// Runs `work` in one transaction and answers after it was committed; an error undoes it all.
    /// `work` may run more than once: after a collision with another transaction it is repeated from the start.
    ///
    /// # Errors
    /// What `work` answers; [`Error::Unavailable`] when the database cannot take it.
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
            None => self.hop(move |shared| shared.write_retrying(&work)).await,
        }
    }

    /// Takes a permit, then a blocking thread. The permit travels with the work: a visitor who leaves does not free it
    /// while the work still runs.
    async fn hop<T, E>(
        &self,
        work: impl FnOnce(&Shared) -> std::result::Result<T, E> + Send + 'static,
    ) -> std::result::Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let permit = timeout(
            CONNECTION_WAIT,
            Arc::clone(&self.shared.gate).acquire_owned(),
        )
        .await
        .map_err(|_| Error::Unavailable("every connection is busy".to_owned()))?
        .map_err(|_| Error::Unavailable("the database is closed".to_owned()))?;
        let shared = Arc::clone(&self.shared);
        spawn_blocking(move || {
            let _permit = permit;
            work(&shared)
        })
        .await
        .unwrap_or_else(|panicked| {
            Err(Error::Broken(format!("a query panicked: {panicked}")).into())
        })
    }
}

impl Shared {
    fn connection(&self) -> Result<r2d2::PooledConnection<Manager>> {
        self.pool
            .get()
            .map_err(|error| Error::Unavailable(error.to_string()))
    }

    fn write_retrying<T, E>(
        &self,
        work: &impl Fn(&mut Conn) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E>
    where
        E: From<Error> + Repeatable,
    {
        let mut conn = self.connection()?;
        for attempt in 1.. {
            conn.begin_write()?;
            let done = work(&mut conn).and_then(|value| match conn.commit() {
                Ok(()) => Ok(value),
                Err(error) => Err(error.into()),
            });
            match done {
                Err(error) => {
                    conn.rollback();
                    if attempt >= TRIES || !error.repeatable() {
                        return Err(error);
                    }
                    // Whoever won needs a moment to finish; a fixed short pause is enough for two.
                    std::thread::sleep(Duration::from_millis(5 * attempt as u64));
                }
                Ok(value) => return Ok(value),
            }
        }
        Err(Error::Unavailable("the transaction kept colliding".to_owned()).into())
    }
}

/// Sends the pool's background failures to the log instead of standard error.
#[derive(Debug)]
struct LogErrors;

impl r2d2::HandleError<Error> for LogErrors {
    fn handle_error(&self, error: Error) {
        tracing::warn!(%error, "cannot open a database connection");
    }
}
