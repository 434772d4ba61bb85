//! The threads that work with the database, so that the async ones never wait for it.
//!
//! A thread that is woken costs more than a small page's queries. So a job that comes while enough threads are at work
//! wakes nobody: one of them takes it when it is free, without having slept. What is enough depends on the database.
//! SQLite works inside this program: more threads than processors only take turns. PostgreSQL's threads mostly wait for
//! the server: each may have one connection at work. Whoever waits looks after a moment whether the threads at work are
//! stuck, and then calls another ([`Hands::hurry`]), until there are as many as connections.

use std::{
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How long a thread stays without work.
const REST: Duration = Duration::from_secs(10);

/// Nobody has taken a job for so long: those at work are slow, not many.
const STUCK: Duration = Duration::from_millis(5);

/// Jobs that may wait. Each is a request; far fewer are answered in the time that one waits.
const WAITING: usize = 10_000;

type Job = Box<dyn FnOnce() + Send>;

/// A queue of jobs and the threads that empty it. They end with it.
pub(super) struct Hands {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
    /// Threads that are at work before a job has to wait.
    enough: usize,
    /// Threads at most.
    most: usize,
}

struct State {
    queue: VecDeque<Job>,
    /// When a job was last taken.
    taken: Instant,
    /// Threads that work, or were woken to.
    busy: usize,
    /// Threads that sleep.
    resting: usize,
    /// Resting threads that were called and have not woken yet.
    called: usize,
    closed: bool,
}

impl Hands {
    /// `enough` threads at work before a job waits, `most` if jobs wait too long. At least one of each.
    pub(super) fn new(enough: usize, most: usize) -> Self {
        let most = most.max(1);
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    queue: VecDeque::new(),
                    taken: Instant::now(),
                    busy: 0,
                    resting: 0,
                    called: 0,
                    closed: false,
                }),
                work: Condvar::new(),
                enough: enough.clamp(1, most),
                most,
            }),
        }
    }

    /// Hands a job to the next thread that is free; `false` when it has to wait because every thread there may be is at
    /// work.
    ///
    /// # Errors
    /// When too many jobs wait, or the system has no thread to give and none is there.
    pub(super) fn hand(&self, job: impl FnOnce() + Send + 'static) -> io::Result<bool> {
        let mut state = self.shared.lock();
        if state.queue.len() >= WAITING {
            return Err(io::Error::other("too many wait for the database"));
        }
        let at_once = state.busy < self.shared.most;
        state.queue.push_back(Box::new(job));
        if state.busy < self.shared.enough {
            self.call(&mut state)?;
        }
        Ok(at_once)
    }

    /// A job has waited: calls another thread if those at work are stuck and one more may come.
    pub(super) fn hurry(&self) {
        let mut state = self.shared.lock();
        let stuck = !state.queue.is_empty() && state.taken.elapsed() >= STUCK;
        if stuck && state.busy < self.shared.most {
            // Without another thread the job waits for those that are there.
            drop(self.call(&mut state));
        }
    }

    /// Threads that work.
    pub(super) fn busy(&self) -> usize {
        self.shared.lock().busy
    }

    fn call(&self, state: &mut State) -> io::Result<()> {
        if state.resting > state.called {
            state.called += 1;
            state.busy += 1;
            self.shared.work.notify_one();
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let begun = thread::Builder::new()
            .name("database".to_owned())
            .spawn(move || shared.work());
        match begun {
            Ok(_) => {
                state.busy += 1;
                Ok(())
            }
            Err(_) if state.busy > 0 => Ok(()),
            Err(error) => {
                state.queue.pop_back();
                Err(error)
            }
        }
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread's life. It begins as one of the busy.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            while let Some(job) = state.queue.pop_front() {
                state.taken = Instant::now();
                drop(state);
                // Who waits for it learns that it is gone; the panic itself is in the log.
                drop(catch_unwind(AssertUnwindSafe(job)));
                state = self.lock();
            }
            state.busy -= 1;
            state.resting += 1;
            let (woken, rest) = self
                .work
                .wait_timeout_while(state, REST, |state| state.called == 0 && !state.closed)
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.resting -= 1;
            if state.closed || rest.timed_out() && state.called == 0 {
                return;
            }
            // Whoever called has counted this thread as busy.
            state.called -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, time::Instant};

    const LONG: Duration = Duration::from_secs(30);

    /// Jobs that wait until they are told to end, and how many have begun.
    fn blockers(hands: &Hands, count: usize) -> (mpsc::Receiver<usize>, Vec<mpsc::Sender<()>>) {
        let (begun, begins) = mpsc::channel();
        let ends = (0..count).map(|nth| {
            let (end, ends) = mpsc::channel::<()>();
            let begun = begun.clone();
            let job = move || {
                begun.send(nth).expect("the test listens");
                let _told = ends.recv_timeout(LONG);
            };
            hands.hand(job).expect("a thread");
            end
        });
        (begins, ends.collect())
    }

    #[test]
    fn jobs_wait_for_enough_and_hurrying_calls_more_until_there_are_no_more() {
        let hands = Hands::new(1, 2);
        let (begins, ends) = blockers(&hands, 3);
        assert_eq!(begins.recv_timeout(LONG), Ok(0));
        assert_eq!(hands.busy(), 1);
        thread::sleep(STUCK);
        hands.hurry();
        assert_eq!(begins.recv_timeout(LONG), Ok(1));
        thread::sleep(STUCK);
        hands.hurry();
        assert_eq!(hands.busy(), 2);
        assert!(begins.recv_timeout(Duration::from_millis(50)).is_err());
        assert!(matches!(hands.hand(|| {}), Ok(false)));
        drop(ends);
        assert_eq!(begins.recv_timeout(LONG), Ok(2));
    }

    #[test]
    fn every_job_is_done_once_whoever_hurries() {
        let hands = Arc::new(Hands::new(2, 4));
        let (done, all) = mpsc::channel();
        let callers: Vec<_> = (0..4)
            .map(|caller| {
                let (hands, done) = (Arc::clone(&hands), done.clone());
                thread::spawn(move || {
                    for nth in 0..500 {
                        let done = done.clone();
                        let job = move || done.send(caller * 500 + nth).expect("the test listens");
                        hands.hand(job).expect("a thread");
                        hands.hurry();
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.join().expect("no panic");
        }
        let mut numbers: Vec<i32> = (0..2000)
            .map(|_| all.recv_timeout(LONG).expect("done"))
            .collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..2000));
        let until = Instant::now() + LONG;
        while hands.busy() > 0 {
            assert!(Instant::now() < until, "all rest in the end");
            thread::yield_now();
        }
    }

    #[test]
    fn a_panic_costs_its_own_job_only() {
        let hands = Hands::new(1, 1);
        hands.hand(|| panic!("on purpose")).expect("a thread");
        let (tell, told) = mpsc::channel();
        hands
            .hand(move || tell.send(()).expect("the test listens"))
            .expect("a thread");
        assert_eq!(told.recv_timeout(LONG), Ok(()));
    }

    #[test]
    fn the_threads_end_with_it() {
        let hands = Hands::new(1, 1);
        let (held, ends) = mpsc::channel::<()>();
        thread_local!(static KEPT: std::cell::RefCell<Option<mpsc::Sender<()>>> = const { std::cell::RefCell::new(None) });
        hands
            .hand(move || KEPT.with(|kept| *kept.borrow_mut() = Some(held)))
            .expect("a thread");
        drop(hands);
        assert_eq!(
            ends.recv_timeout(LONG),
            Err(mpsc::RecvTimeoutError::Disconnected)
        );
    }
}
