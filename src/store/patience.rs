//! How long somebody waits for the database, and what becomes of work whose caller has stopped waiting.
//!
//! A request is answered within 3 s, whatever the database does (docs/reliability.md). Work cannot be stopped from
//! outside while it waits inside libpq or SQLite, so caller and worker share a [`Ticket`]: the caller gives up by a mark
//! on it, and the worker that finds the mark undoes what it did. Only a commit that has begun can be too late for that.

use super::{
    error::{Error, Result},
    status::Waits,
};
use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::oneshot,
    time::{timeout, timeout_at},
};

/// What one request may spend on the database in all, however many times it asks.
const REQUEST: Duration = Duration::from_millis(2300);

/// What is left for the last question of a request that has spent everything.
const LEAST: Duration = Duration::from_millis(200);

/// How long work waits to begin where no request waits for it: the mail worker, the commands.
const BESIDE: Duration = Duration::from_millis(2500);

/// What a step that is known to be long may take once it has begun: a hundred invitations, the end of an organization
/// with thousands of members, a file of all its events.
const LONG: Duration = Duration::from_secs(25);

/// How often a caller whose work has not begun asks for more hands.
const HURRY: Duration = Duration::from_millis(10);

/// How much longer a caller waits for a commit that has begun.
const COMMIT: Duration = Duration::from_millis(400);

tokio::task_local! {
    static BUDGET: Budget;
}

struct Budget {
    left: Cell<Duration>,
    long: bool,
}

/// Runs a whole request: all its questions to the database share one limit, so that it is answered within 3 s.
pub async fn hurried<T>(request: impl Future<Output = T>) -> T {
    let left = Cell::new(REQUEST);
    BUDGET.scope(Budget { left, long: false }, request).await
}

/// Runs a step of a request that may work for up to 25 s. Waiting for its turn is no work: that stays short.
pub async fn unhurried<T>(step: impl Future<Output = T>) -> T {
    let left = BUDGET.try_with(|budget| budget.left.get());
    let left = Cell::new(left.unwrap_or(REQUEST));
    BUDGET.scope(Budget { left, long: true }, step).await
}

const WAITING: u8 = 0;
const WORKING: u8 = 1;
const SEALED: u8 = 2;
const ABANDONED: u8 = 3;

/// What caller and worker know of each other.
#[derive(Debug, Default)]
pub(super) struct Ticket(AtomicU8);

impl Ticket {
    /// The work has not begun, and somebody waits for it.
    fn waits(&self) -> bool {
        self.0.load(Ordering::Acquire) == WAITING
    }

    /// The worker begins, or begins again after a collision; `false` when nobody waits any more.
    pub(super) fn begin(&self) -> bool {
        [WAITING, WORKING, SEALED]
            .into_iter()
            .any(|state| self.change(state, WORKING))
    }

    /// The worker is about to commit; `false` when nobody waits any more and everything must be undone.
    pub(super) fn seal(&self) -> bool {
        self.change(WORKING, SEALED)
    }

    /// Whether the caller was told that nothing happens.
    pub(super) fn abandoned(&self) -> bool {
        self.0.load(Ordering::Acquire) == ABANDONED
    }

    /// The caller leaves before the work has begun; `false` when it has.
    fn leave_the_queue(&self) -> bool {
        self.change(WAITING, ABANDONED)
    }

    /// The caller leaves before the commit has begun; `false` when it has.
    fn leave(&self) -> bool {
        self.leave_the_queue() || self.change(WORKING, ABANDONED)
    }

    fn change(&self, from: u8, to: u8) -> bool {
        self.0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

/// The caller's side of one question to the database.
pub(super) struct Caller {
    ticket: Arc<Ticket>,
    since: Instant,
    begin: Duration,
    /// None: as long as it takes.
    work: Option<Duration>,
    waits: Waits,
}

impl Caller {
    /// Who leaves without an answer is counted in `waits`.
    pub(super) fn new(waits: &Waits) -> Self {
        let limits = BUDGET.try_with(|budget| {
            let begin = budget.left.get().max(LEAST);
            (begin, Some(if budget.long { LONG } else { begin }))
        });
        let (begin, work) = limits.unwrap_or((BESIDE, None));
        Self {
            ticket: Arc::default(),
            since: Instant::now(),
            begin,
            work,
            waits: waits.clone(),
        }
    }

    pub(super) fn ticket(&self) -> Arc<Ticket> {
        Arc::clone(&self.ticket)
    }

    /// Until when the work must have begun.
    pub(super) fn begin_by(&self) -> Instant {
        self.since + self.begin
    }

    /// As [`Caller::wait`], and calls `hurry` now and then until the work has begun.
    ///
    /// # Errors
    /// As [`Caller::wait`].
    pub(super) async fn wait_hurrying<T, E: From<Error>>(
        self,
        mut told: oneshot::Receiver<std::result::Result<T, E>>,
        gone: Error,
        hurry: impl Fn(),
    ) -> std::result::Result<T, E> {
        while self.ticket.waits() && self.since.elapsed() + HURRY < self.begin {
            match timeout(HURRY, &mut told).await {
                Ok(answer) => return answer.unwrap_or_else(|_| Err(gone.into())),
                Err(_) if self.ticket.waits() => hurry(),
                Err(_) => {}
            }
        }
        self.wait(told, gone).await
    }

    /// Waits for the answer as long as the limits allow. `gone` says what it means that there is none.
    ///
    /// # Errors
    /// The work's; [`Error::Unavailable`] when it came to nothing in time; [`Error::Unsure`] when a commit did not end.
    pub(super) async fn wait<T, E: From<Error>>(
        self,
        mut told: oneshot::Receiver<std::result::Result<T, E>>,
        gone: Error,
    ) -> std::result::Result<T, E> {
        let steps = [
            (
                Some(self.begin),
                Ticket::leave_the_queue as fn(&Ticket) -> bool,
            ),
            (self.work, Ticket::leave),
            (self.work.map(|work| work + COMMIT), |_| true),
        ];
        for (limit, leave) in steps {
            let answer = match limit {
                Some(limit) => timeout_at((self.since + limit).into(), &mut told).await,
                None => Ok((&mut told).await),
            };
            match answer {
                Ok(answer) => return answer.unwrap_or_else(|_| Err(gone.into())),
                Err(_) if leave(&self.ticket) => return Err(self.too_late().into()),
                Err(_) => {}
            }
        }
        Err(self.too_late().into())
    }

    fn too_late(&self) -> Error {
        self.waits.in_vain();
        let seconds = self.since.elapsed().as_secs_f32();
        if self.ticket.abandoned() {
            Error::Unavailable(format!("no answer in {seconds:.1} s"))
        } else {
            Error::Unsure(format!("no end of the commit in {seconds:.1} s"))
        }
    }
}

impl Drop for Caller {
    /// Whoever goes away before the work has begun does not want it any more.
    fn drop(&mut self) {
        self.ticket.leave_the_queue();
        let spent = self.since.elapsed();
        // Outside a request there is no budget.
        let _outside = BUDGET.try_with(|budget| {
            budget.left.set(budget.left.get().saturating_sub(spent));
        });
    }
}

/// What the worker says to a caller that has left: nobody hears it.
pub(super) fn nobody_waits() -> Error {
    Error::Unavailable("nobody waits for this any more".to_owned())
}

/// Sleeps before try number `tried` + 1 (from 1): a little longer each time, and at random, so that those who met do not
/// meet again.
pub(super) fn pause(tried: u32, until: Instant) -> Result<()> {
    let most = Duration::from_millis(10) * 2_u32.saturating_pow(tried.min(5));
    let pause = most.mul_f64(0.25 + 0.75 * chance());
    if Instant::now() + pause >= until {
        return Err(Error::Unavailable("no time for another try".to_owned()));
    }
    std::thread::sleep(pause);
    Ok(())
}

/// A number from 0 to 1. Good enough to part two threads: the standard library seeds each hasher differently.
fn chance() -> f64 {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    let random = RandomState::new().build_hasher().finish() >> 32;
    f64::from(u32::try_from(random).unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Ticket, chance, pause};
    use std::time::{Duration, Instant};

    #[test]
    fn a_caller_that_left_before_the_commit_stops_it() {
        let ticket = Ticket::default();
        assert!(ticket.begin());
        assert!(ticket.leave());
        assert!(!ticket.seal() && !ticket.begin() && ticket.abandoned());
    }

    #[test]
    fn a_commit_that_has_begun_cannot_be_left() {
        let ticket = Ticket::default();
        assert!(ticket.begin() && !ticket.leave_the_queue());
        assert!(ticket.seal() && !ticket.leave() && !ticket.abandoned());
    }

    #[test]
    fn work_that_nobody_began_can_be_left_and_is_not_begun() {
        let ticket = Ticket::default();
        assert!(ticket.leave_the_queue());
        assert!(!ticket.begin());
    }

    #[test]
    fn a_collision_at_the_commit_is_tried_again() {
        let ticket = Ticket::default();
        assert!(ticket.begin() && ticket.seal());
        assert!(ticket.begin() && ticket.leave());
    }

    #[test]
    fn there_is_no_pause_that_ends_too_late() {
        assert!(pause(1, Instant::now()).is_err());
        assert!(pause(1, Instant::now() + Duration::from_secs(5)).is_ok());
    }

    #[test]
    fn chance_is_a_number_from_0_to_1_and_not_always_the_same() {
        let numbers: Vec<f64> = (0..20).map(|_| chance()).collect();
        assert!(numbers.iter().all(|number| (0.0..=1.0).contains(number)));
        assert!(
            numbers.iter().any(|number| *number != numbers[0]),
            "{numbers:?}"
        );
    }
}
