//! SQLite's one writer: a thread that owns the writing connection and takes jobs in the order they came.
//!
//! SQLite's own queue for the write lock is unfair (waits of over a second beside two busy writers were measured), and
//! with `synchronous=FULL` every commit is a disk flush. So jobs that queue up during a flush share the next one: each
//! runs in a savepoint of its own, one commit makes them all last, and nobody is answered before it has.

use super::{
    connection::Conn,
    error::{Error, Repeatable, Result},
};
use diesel::connection::SimpleConnection as _;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
};
use tokio::sync::oneshot;

/// Jobs that share one commit at most. Bounds how long the first of them waits.
const MOST_IN_A_BATCH: usize = 64;

/// Work done; the box tells its caller, given how the commit went.
type Answer = Box<dyn FnOnce(Result<()>) + Send>;
type Job = Box<dyn FnOnce(&mut Conn) -> Ran + Send>;

struct Ran {
    answer: Answer,
    /// The savepoint could not be closed: SQLite gave up the whole transaction.
    lost: Option<Error>,
}

/// The queue's entrance. The thread ends when the last clone is dropped.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Starts the thread on a connection of its own.
    pub(super) fn start(mut conn: Conn) -> Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || {
                while let Ok(first) = queue.recv() {
                    run_batch(&mut conn, first, &queue);
                }
            })
            .map_err(|error| {
                Error::Unavailable(format!("cannot start the writer thread: {error}"))
            })?;
        Ok(Self { jobs })
    }

    /// Queues `work` and waits for the commit that makes it last.
    pub(super) async fn write<T, E>(
        &self,
        work: impl Fn(&mut Conn) -> std::result::Result<T, E> + Send + 'static,
    ) -> std::result::Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Repeatable + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |conn| in_savepoint(conn, &work, tell));
        self.jobs
            .send(job)
            .map_err(|_| Error::Unavailable("the writer has stopped".to_owned()))?;
        match told.await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Unavailable("SQLite could not be written to".to_owned()).into()),
        }
    }
}

/// Runs `first` and whatever has queued up behind it, then commits once.
fn run_batch(conn: &mut Conn, first: Job, queue: &mpsc::Receiver<Job>) {
    let begun = conn.begin_write();
    if let Err(error) = begun {
        // Nobody's job has run: dropping them tells their callers so. The others have waited as long as the first, and
        // must not each wait for the lock once more.
        drop(first);
        queue.try_iter().for_each(drop);
        tracing::warn!(%error, "cannot start a writing transaction");
        return;
    }
    let mut answers = Vec::new();
    let mut next = Some(first);
    let mut lost = None;
    while let Some(job) = next {
        let ran = job(conn);
        answers.push(ran.answer);
        if ran.lost.is_some() {
            lost = ran.lost;
            break;
        }
        next = if answers.len() < MOST_IN_A_BATCH {
            queue.try_recv().ok()
        } else {
            None
        };
    }
    let outcome = match lost {
        None => conn.commit(),
        Some(error) => Err(error),
    };
    if outcome.is_err() {
        conn.rollback();
    }
    for answer in answers {
        answer(outcome.clone());
    }
}

/// One job in its savepoint. A refusal or a panic undoes this job only.
fn in_savepoint<T, E>(
    conn: &mut Conn,
    work: &impl Fn(&mut Conn) -> std::result::Result<T, E>,
    tell: oneshot::Sender<std::result::Result<T, E>>,
) -> Ran
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    if let Err(error) = conn.batch_execute("SAVEPOINT job") {
        let error = Error::from(error);
        let told = error.clone();
        return Ran {
            answer: Box::new(move |_| drop(tell.send(Err(told.into())))),
            lost: Some(error),
        };
    }
    let done = catch_unwind(AssertUnwindSafe(|| work(conn)))
        .unwrap_or_else(|_| Err(Error::Broken("an action panicked".to_owned()).into()));
    let close = if done.is_ok() {
        "RELEASE job"
    } else {
        "ROLLBACK TO job; RELEASE job"
    };
    // SQLite has given the whole transaction up: its words would only say that the savepoint is gone.
    let lost = conn
        .batch_execute(close)
        .err()
        .map(|error| Error::Unavailable(error.to_string()));
    let answer: Answer = Box::new(move |committed| {
        let told = match (done, committed) {
            (Ok(value), Ok(())) => Ok(value),
            (Ok(_), Err(error)) => Err(error.into()),
            (Err(refused), _) => Err(refused),
        };
        // A caller that has gone away needs no answer.
        drop(tell.send(told));
    });
    Ran { answer, lost }
}
