//! SQLite's one writer: a thread that owns the writing connection and takes jobs in the order they came.
//!
//! SQLite's own queue for the write lock is unfair (waits of over a second beside two busy writers were measured), and
//! with `synchronous=FULL` every commit is a disk flush. So jobs that queue up during a flush share the next one: each
//! runs in a savepoint of its own, one commit makes them all last, and nobody is answered before it has.

use super::{
    connection::{Conn, Manager},
    error::{Error, Repeatable, Result},
    patience::{Caller, Ticket, nobody_waits},
    place::Place,
    prepared::Prepare as _,
    status::{Waits, WriterCounts, WriterStatus},
};
use diesel::{connection::SimpleConnection as _, sql_query};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;
use tracing::Span;

/// Jobs that share one commit at most: so many are undone together when it fails.
const MOST_IN_A_BATCH: usize = 64;

/// When a batch has worked for so long, no further job joins it: whoever came first waits for the commit.
const LONGEST_BATCH: Duration = Duration::from_millis(50);

/// Jobs that wait at most: more would not be done in time anyway, and each holds a request's form in memory.
const MOST_WAITING: usize = 1000;

/// How long SQLite itself waits for the lock, in milliseconds. Short: between two waits the thread looks whether the
/// caller is still there.
const LOCK_WAIT: u32 = 200;

/// Pages that the log may have before SQLite copies them into the file, 4 KiB each. What changes often is then copied once
/// for many changes: with SQLite's own 1000 a busy writer spent a quarter of its time on it.
const LOG_PAGES: u32 = 8000;

/// What the connection keeps in memory of the file at most, in KiB: a change touches twenty pages and more, most of them of
/// one organization only.
const CACHE: u32 = 8192;

/// Work done; the box tells its caller, given how the commit went.
type Answer = Box<dyn FnOnce(Result<()>) + Send>;

struct Job {
    ticket: Arc<Ticket>,
    run: Box<dyn FnOnce(&mut Conn) -> Ran + Send>,
}

struct Ran {
    answer: Answer,
    /// The savepoint could not be closed: SQLite gave up the whole transaction.
    lost: Option<Error>,
}

/// The queue's entrance. The thread ends when the last clone is dropped.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: mpsc::SyncSender<Job>,
    counts: WriterCounts,
    thread: Arc<JoinHandle<()>>,
    waits: Waits,
}

impl Writer {
    /// Starts the thread on a connection of its own; `manager` opens another when that one has failed.
    pub(super) fn start(conn: Conn, manager: Manager, place: Place, waits: Waits) -> Result<Self> {
        let (jobs, queue) = mpsc::sync_channel(MOST_WAITING);
        let counts = WriterCounts::default();
        let mut thread = Thread {
            place,
            manager,
            conn: None,
            queue,
            counts: counts.clone(),
        };
        thread.take(conn)?;
        let thread = thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || thread.run())
            .map_err(|error| {
                Error::Unavailable(format!("cannot start the writer thread: {error}"))
            })?;
        Ok(Self {
            jobs,
            counts,
            waits,
            thread: Arc::new(thread),
        })
    }

    /// Whether the thread has ended, which it does only by a defect.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// How busy it is.
    pub(super) fn status(&self) -> WriterStatus {
        self.counts.status()
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
        let caller = Caller::new(&self.waits);
        let (tell, told) = oneshot::channel();
        let (ticket, mark) = (caller.ticket(), caller.ticket());
        // What is logged over there belongs to this request.
        let (span, waiting) = (Span::current(), self.counts.queue());
        let run = Box::new(move |conn: &mut Conn| {
            drop(waiting);
            span.in_scope(|| in_savepoint(conn, &work, &mark, tell))
        });
        self.jobs
            .try_send(Job { ticket, run })
            .map_err(|error| match error {
                mpsc::TrySendError::Full(_) => {
                    self.waits.in_vain();
                    "too many changes are waiting"
                }
                mpsc::TrySendError::Disconnected(_) => "the writer has stopped",
            })
            .map_err(|why| Error::Unavailable(why.to_owned()))?;
        let gone = Error::Unavailable("SQLite could not be written to".to_owned());
        caller.wait(told, gone).await
    }
}

/// What the thread owns.
struct Thread {
    place: Place,
    manager: Manager,
    /// None after a failure, until the next job.
    conn: Option<Conn>,
    queue: mpsc::Receiver<Job>,
    counts: WriterCounts,
}

impl Thread {
    fn run(mut self) {
        while let Ok(first) = self.queue.recv() {
            match self.begin(&first.ticket) {
                Ok(mut conn) => {
                    if self.run_batch(&mut conn, first) {
                        self.conn = Some(conn);
                    }
                }
                // The job has not run: dropping it tells its caller so.
                Err(error) => tracing::warn!(%error, "cannot start a writing transaction"),
            }
        }
    }

    /// Keeps a connection for writing.
    fn take(&mut self, mut conn: Conn) -> Result<()> {
        // What a job's savepoint may have to undo would otherwise go through a file: fifty writes for one invitation. It
        // is as much as the job changes of what is there.
        conn.batch_execute(&format!(
            "PRAGMA busy_timeout = {LOCK_WAIT}; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -{CACHE}; \
             PRAGMA wal_autocheckpoint = {LOG_PAGES}"
        ))?;
        self.conn = Some(conn);
        Ok(())
    }

    /// Takes the write lock. While another process has it: as long as the caller waits, and no longer. Each caller
    /// waits on a clock of its own, so that a lock that is held too long costs nobody more than that.
    fn begin(&mut self, ticket: &Ticket) -> Result<Conn> {
        loop {
            if ticket.abandoned() {
                return Err(nobody_waits());
            }
            // Also before opening: SQLite would make a new file where the old one lay.
            self.place.check()?;
            if self.conn.is_none() {
                let conn = self.manager.open()?;
                self.take(conn)?;
            }
            let Some(mut conn) = self.conn.take() else {
                continue;
            };
            match conn.begin_write() {
                Ok(()) => return Ok(conn),
                Err(error) if error.is_locked() => self.conn = Some(conn),
                Err(error) => return Err(error),
            }
        }
    }

    /// Runs `first` and whatever has queued up behind it, then commits once. `false` when the connection must not be
    /// used again.
    fn run_batch(&self, conn: &mut Conn, first: Job) -> bool {
        let begun = Instant::now();
        let mut answers = Vec::new();
        let mut next = Some(first);
        let mut lost = None;
        while let Some(job) = next {
            if job.ticket.begin() {
                let ran = (job.run)(conn);
                answers.push(ran.answer);
                if ran.lost.is_some() {
                    lost = ran.lost;
                    break;
                }
            }
            let room = answers.len() < MOST_IN_A_BATCH && begun.elapsed() < LONGEST_BATCH;
            next = if room {
                self.queue.try_recv().ok()
            } else {
                None
            };
        }
        let outcome = match lost {
            None => conn.commit().map_err(Error::of_commit),
            Some(error) => Err(error),
        };
        let well = outcome.is_ok();
        match &outcome {
            Ok(()) => self.counts.committed(answers.len()),
            Err(error) => {
                tracing::warn!(%error, jobs = answers.len(), "SQLite cannot commit");
                conn.rollback();
            }
        }
        for answer in answers {
            answer(outcome.clone());
        }
        well
    }
}

/// One job in its savepoint. A refusal or a panic undoes this job only.
fn in_savepoint<T, E>(
    conn: &mut Conn,
    work: &impl Fn(&mut Conn) -> std::result::Result<T, E>,
    ticket: &Ticket,
    tell: oneshot::Sender<std::result::Result<T, E>>,
) -> Ran
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    if let Err(error) = sql_query("SAVEPOINT job").prepared().execute(conn) {
        let error = Error::from(error);
        let told = error.clone();
        return Ran {
            answer: Box::new(move |_| drop(tell.send(Err(told.into())))),
            lost: Some(error),
        };
    }
    let done = catch_unwind(AssertUnwindSafe(|| work(conn)))
        .unwrap_or_else(|_| Err(Error::Broken("an action panicked".to_owned()).into()));
    // From here on the caller waits for the commit.
    let done = done.and_then(|value| {
        let wanted = ticket.seal();
        wanted.then_some(value).ok_or_else(|| nobody_waits().into())
    });
    let back = if done.is_ok() {
        Ok(())
    } else {
        conn.batch_execute("ROLLBACK TO job")
    };
    let closed = back.and_then(|()| sql_query("RELEASE job").prepared().execute(conn));
    // SQLite has given the whole transaction up: its words would only say that the savepoint is gone.
    let lost = closed
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

#[cfg(test)]
mod tests {
    use super::{LONGEST_BATCH, MOST_WAITING};
    use crate::store::{Db, Error, Options, Target};
    use futures_util::FutureExt as _;
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
            mpsc,
        },
        thread::sleep,
        time::{Duration, Instant},
    };

    fn with_db<T: Future<Output = ()>>(test: impl FnOnce(Db) -> T) {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open(&Options {
            target: Target::Sqlite(folder.path().join("roster.db")),
            connections: 1,
            synchronous_full: false,
        });
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().expect("a runtime");
        runtime.block_on(test(db.expect("a database")));
    }

    /// Waits for what other threads bring about; `false` when it does not happen.
    fn soon(happened: impl Fn() -> bool) -> bool {
        let start = Instant::now();
        while !happened() && start.elapsed() < Duration::from_secs(5) {
            sleep(Duration::from_millis(1));
        }
        happened()
    }

    #[test]
    fn whoever_has_waited_long_does_not_wait_for_the_next_one_too() {
        with_db(async |db| {
            let (seen, answered) = (db.clone(), Arc::new(AtomicBool::new(false)));
            let first = async {
                let work = move |_: &mut _| {
                    let queued = || seen.status().writer.is_some_and(|it| it.waiting > 0);
                    assert!(soon(queued), "somebody queues up behind");
                    sleep(LONGEST_BATCH);
                    Ok::<_, Error>(())
                };
                db.write(work).await.expect("it is committed");
                answered.store(true, Ordering::Relaxed);
            };
            let told = Arc::clone(&answered);
            let second = db.write(move |_| Ok::<_, Error>(soon(|| told.load(Ordering::Relaxed))));
            let ((), second) = tokio::join!(first, second);
            assert_eq!(second, Ok(true), "the first was answered before");
        });
    }

    #[test]
    fn everybody_who_is_sent_away_without_an_answer_is_counted_once() {
        with_db(async |db| {
            let timeouts = || db.status().timeouts;
            let no_work = |_: &mut _| Ok::<_, Error>(());
            let (go, wait) = mpsc::channel::<()>();
            let wait = std::sync::Mutex::new(wait);
            let busy = db.clone();
            let busy = tokio::spawn(async move {
                let work = move |_: &mut _| {
                    drop(wait.lock().map(|wait| wait.recv()));
                    Ok::<_, Error>(())
                };
                busy.write(work).await
            });
            tokio::task::yield_now().await;
            let queued = || db.status().writer.is_some_and(|it| it.waiting == 0);
            assert!(soon(queued), "the writer is busy");
            let late = crate::store::hurried(db.write(no_work)).await;
            assert!(matches!(late, Err(Error::Unavailable(_))), "{late:?}");
            assert_eq!(timeouts(), 1, "its turn to write did not come");
            let mut full = None;
            // One that nobody waits for any more is still in it.
            for _ in 0..MOST_WAITING {
                full = full.or(db.write(no_work).now_or_never());
            }
            assert!(matches!(full, Some(Err(Error::Unavailable(_)))), "{full:?}");
            assert_eq!(timeouts(), 2, "the queue is full");
            go.send(()).expect("it works");
            assert_eq!(busy.await.expect("it ends"), Ok(()));
            assert_eq!(timeouts(), 2);

            let slow = |_: &mut _| {
                sleep(Duration::from_millis(3500));
                Ok::<_, Error>(())
            };
            let slow = crate::store::hurried(db.read(slow)).await;
            assert!(matches!(slow, Err(Error::Unavailable(_))), "{slow:?}");
            assert_eq!(timeouts(), 3, "no answer");
        });
    }
}
