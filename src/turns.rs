//! Heavy work in turns: a few pieces at a time, each on a thread that steps aside for everything else.
//!
//! Hashing a password or drawing a picture takes a processor for tens of milliseconds. However many ask at once, only
//! as many run as there are turns; the others wait for a moment and are then told to come back. The threads that do it
//! have the lower priority, so that pages are served first on a machine that is busy. There are as many threads as turns,
//! and they are used again. What a piece needs much memory for, its thread keeps for the next one, and lets go of when
//! there is none: asking the system anew each time left 140 MB behind after 64 sign-ins.

use std::{
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time,
};

/// How long one waits for a turn before being told [`Busy`].
pub const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// The nice value of the threads, from 0 (as all others) to 19 (only what nobody else wants). With 5 a page gets three
/// times the share of a hash where both want the same processor (sched(7)). Not more: beside other busy programs, 10 left
/// so little that three sign-ins in four seconds were answered.
const NICE: i32 = 5;

/// How long a thread keeps its memory without work: longer than the gaps within a rush.
const REST: Duration = Duration::from_secs(1);

/// Every turn was taken for as long as one waits. Answer "try again shortly".
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("too many others are waiting for the same work")]
pub struct Busy;

type Piece<K> = Box<dyn FnOnce(&mut K) + Send>;
/// Threads that wait for a piece of work. They end when nobody can hand them one any more.
type Idle<K> = Mutex<Vec<mpsc::Sender<Piece<K>>>>;

/// A number of turns. Clones share them. Each thread has a `K`, which goes from one piece to the next.
pub struct Turns<K = ()> {
    free: Arc<Semaphore>,
    idle: Arc<Idle<K>>,
    at_once: usize,
    counts: Arc<Counts>,
    longest_wait: Duration,
}

#[derive(Debug, Default)]
struct Counts {
    waits: AtomicU64,
    timeouts: AtomicU64,
}

/// How busy the turns are at this moment, and what was counted since they were made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// Turns there are.
    pub turns: usize,
    /// Turns that are taken.
    pub in_use: usize,
    /// How often one had to wait for a turn.
    pub waits: u64,
    /// How often one was told [`Busy`].
    pub timeouts: u64,
}

impl<K> Clone for Turns<K> {
    fn clone(&self) -> Self {
        Self {
            free: Arc::clone(&self.free),
            idle: Arc::clone(&self.idle),
            at_once: self.at_once,
            counts: Arc::clone(&self.counts),
            longest_wait: self.longest_wait,
        }
    }
}

impl<K: Default + 'static> Turns<K> {
    /// `at_once` turns, at least one.
    pub fn new(at_once: usize) -> Self {
        let at_once = at_once.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(at_once)),
            idle: Arc::default(),
            at_once,
            counts: Arc::default(),
            longest_wait: LONGEST_WAIT,
        }
    }

    /// The same, waiting at most `longest_wait` for a turn instead of [`LONGEST_WAIT`].
    pub fn waiting_at_most(mut self, longest_wait: Duration) -> Self {
        self.longest_wait = longest_wait;
        self
    }

    /// How many turns nobody has at the moment.
    pub fn free(&self) -> usize {
        self.free.available_permits()
    }

    /// How busy they are.
    pub fn load(&self) -> Load {
        Load {
            turns: self.at_once,
            in_use: self.at_once.saturating_sub(self.free()),
            waits: self.counts.waits.load(Ordering::Relaxed),
            timeouts: self.counts.timeouts.load(Ordering::Relaxed),
        }
    }

    /// Does `work` on a thread for such work when its turn comes. The inner error is a panic of the work.
    ///
    /// # Errors
    /// [`Busy`] when no turn came in time, or the machine has no thread left.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut K) -> T + Send + 'static,
    ) -> Result<thread::Result<T>, Busy> {
        if self.free() == 0 {
            self.counts.waits.fetch_add(1, Ordering::Relaxed);
        }
        let turn: OwnedSemaphorePermit =
            time::timeout(self.longest_wait, Arc::clone(&self.free).acquire_owned())
                .await
                .map_err(|_| {
                    self.counts.timeouts.fetch_add(1, Ordering::Relaxed);
                    Busy
                })?
                .map_err(|_| Busy)?;
        let (done, answer) = oneshot::channel();
        let thread = self.thread().map_err(|error| {
            tracing::warn!(%error, "no thread for heavy work");
            Busy
        })?;
        let (idle, again) = (Arc::downgrade(&self.idle), thread.clone());
        let piece = move |kept: &mut K| {
            let value = catch_unwind(AssertUnwindSafe(|| work(kept)));
            if let Some(idle) = idle.upgrade() {
                lock(&idle).push(again);
            }
            // the turn belongs to the work, not to whoever waits for it: a client that leaves does not end the work
            drop(turn);
            drop(done.send(value));
        };
        thread.send(Box::new(piece)).map_err(|_| Busy)?;
        answer.await.map_err(|_| Busy)
    }

    /// One that is idle, or a new one: never more than turns.
    fn thread(&self) -> io::Result<mpsc::Sender<Piece<K>>> {
        if let Some(idle) = lock(&self.idle).pop() {
            return Ok(idle);
        }
        let (hand, pieces) = mpsc::channel::<Piece<K>>();
        thread::Builder::new()
            .name("heavy".to_owned())
            .spawn(move || {
                step_aside();
                let mut kept = K::default();
                loop {
                    let next = pieces.recv_timeout(REST).or_else(|why| {
                        if why == RecvTimeoutError::Timeout {
                            kept = K::default();
                        }
                        pieces.recv()
                    });
                    match next {
                        Ok(piece) => piece(&mut kept),
                        Err(_) => break,
                    }
                }
            })?;
        Ok(hand)
    }
}

fn lock<K>(idle: &Idle<K>) -> MutexGuard<'_, Vec<mpsc::Sender<Piece<K>>>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lowers the priority of this thread; on Linux "the process" of this call is the calling thread.
fn step_aside() {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "heavy work has the usual priority");
    }
}

impl<K> fmt::Debug for Turns<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns")
            .field("free", &self.free.available_permits())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime")
            .block_on(work)
    }

    #[test]
    fn turns_are_bounded_and_kept_by_the_work() {
        run(async {
            let turns = Turns::<()>::new(1).waiting_at_most(Duration::from_millis(50));
            let (go, wait) = mpsc::channel::<()>();
            let other = turns.clone();
            let slow = tokio::spawn(async move { other.run(move |()| wait.recv()).await });
            while turns.free() > 0 {
                tokio::task::yield_now().await;
            }
            // whoever asked has left; the work still has the turn
            slow.abort();
            assert_eq!(turns.run(|()| 1).await.err(), Some(Busy));
            go.send(()).expect("still working");
            let turns = turns.waiting_at_most(Duration::from_secs(30));
            assert_eq!(turns.run(|()| 2).await.expect("a turn").ok(), Some(2));
        });
    }

    #[test]
    fn a_panic_gives_the_turn_back() {
        run(async {
            let turns = Turns::<()>::new(1);
            let panicked = turns.run(|()| panic!("a picture nobody drew in earnest"));
            assert!(panicked.await.expect("a turn").is_err());
            assert_eq!(turns.run(|()| 3).await.expect("a turn").ok(), Some(3));
        });
    }

    #[test]
    fn the_threads_are_used_again_and_end_with_the_turns() {
        run(async {
            let turns = Turns::<()>::new(1);
            let (held, ends) = mpsc::channel::<()>();
            // kept by the thread until it ends
            thread_local!(static KEPT: std::cell::RefCell<Option<mpsc::Sender<()>>> = const { std::cell::RefCell::new(None) });
            let first = turns.run(|()| {
                KEPT.with(|kept| *kept.borrow_mut() = Some(held));
                thread::current().id()
            });
            let first = first.await.expect("a turn").ok();
            for _ in 0..20 {
                let next = turns.run(|()| thread::current().id()).await;
                assert_eq!(next.expect("a turn").ok(), first);
            }
            drop(turns);
            assert_eq!(
                ends.recv_timeout(Duration::from_secs(60)),
                Err(RecvTimeoutError::Disconnected)
            );
        });
    }

    #[test]
    fn a_thread_keeps_its_memory_for_the_next_piece_and_lets_go_of_it_when_there_is_none() {
        run(async {
            let turns = Turns::<Vec<u8>>::new(1);
            let add = |kept: &mut Vec<u8>| {
                kept.push(1);
                kept.len()
            };
            assert_eq!(turns.run(add).await.expect("a turn").ok(), Some(1));
            assert_eq!(turns.run(add).await.expect("a turn").ok(), Some(2));
            thread::sleep(REST * 3);
            assert_eq!(turns.run(add).await.expect("a turn").ok(), Some(1));
        });
    }

    #[test]
    fn the_threads_step_aside_and_nobody_else() {
        let nice = |(): &mut ()| rustix::process::getpriority_process(None);
        let before = nice(&mut ()).expect("a priority");
        let there = run(Turns::new(1).run(nice)).expect("a turn");
        assert_eq!(there.ok(), Some(Ok(NICE)));
        assert_eq!(nice(&mut ()), Ok(before));
    }
}
