//! How busy the door to the database is.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// How busy the connections are at this moment, and what was counted since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    /// Connections there may be.
    pub connections: usize,
    /// Connections that are open.
    pub open: usize,
    /// Connections that somebody works with.
    pub in_use: usize,
    /// How often somebody had to wait for one.
    pub waits: u64,
    /// How often somebody waited in vain: for a connection, for their turn to write, for an answer or a commit.
    pub timeouts: u64,
    /// SQLite's one writer.
    pub writer: Option<WriterStatus>,
}

/// How busy SQLite's one writer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WriterStatus {
    /// Jobs that wait for their turn.
    pub waiting: usize,
    /// Jobs that were committed.
    pub jobs: u64,
    /// Commits they shared.
    pub commits: u64,
}

/// What waiting for the database came to. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Waits(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    waits: AtomicU64,
    timeouts: AtomicU64,
}

impl Waits {
    /// Somebody waits for a connection.
    pub(super) fn wait(&self) {
        self.0.waits.fetch_add(1, Ordering::Relaxed);
    }

    /// Somebody is sent away without an answer.
    pub(super) fn in_vain(&self) {
        self.0.timeouts.fetch_add(1, Ordering::Relaxed);
    }

    /// How often each happened.
    pub(super) fn counts(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.0.waits), count(&self.0.timeouts))
    }
}

/// What the writer counts. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct WriterCounts(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: AtomicUsize,
    jobs: AtomicU64,
    commits: AtomicU64,
}

/// A job in the queue, until it is dropped.
#[derive(Debug)]
pub(super) struct Waiting(WriterCounts);

impl WriterCounts {
    /// A job queues up.
    pub(super) fn queue(&self) -> Waiting {
        self.0.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(self.clone())
    }

    /// So many jobs became lasting in one commit.
    pub(super) fn committed(&self, jobs: usize) {
        self.0.jobs.fetch_add(jobs as u64, Ordering::Relaxed);
        self.0.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn status(&self) -> WriterStatus {
        WriterStatus {
            waiting: self.0.waiting.load(Ordering::Relaxed),
            jobs: self.0.jobs.load(Ordering::Relaxed),
            commits: self.0.commits.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
