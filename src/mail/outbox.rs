//! Empties the outbox: takes one letter at a time by lease, sends it step by step, records what is known (R-INV-9).
//!
//! The worker and the tests call the same [`Outbox::deliver_next`].

use super::{
    letters::{NoLetter, Sender},
    transport::{Mailer, Outcome as Sending},
};
use crate::{
    clock::Clock,
    domain::{
        delivery::{DeliveryState, Outcome, Verdict, judge},
        time::Timestamp,
    },
    entropy::Entropy,
    store::{
        self, Db,
        deliveries::{Lease, Leased, Matter},
    },
};
use futures_util::FutureExt as _;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

/// How often the worker looks by itself: for retries that came due, and for letters queued by other instances.
const POLL: Duration = Duration::from_secs(5);

/// How often recording the result of a sending is tried. What cannot be recorded becomes *unknown* when the lease ends.
const RECORD_TRIES: u32 = 5;

/// What one call did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivered {
    /// A server accepted a letter.
    Sent,
    /// A letter was dealt with in another way: refused, put off, given up, dropped.
    NotSent,
    /// Nothing was due.
    Empty,
}

/// One worker's hold on the outbox.
pub struct Outbox {
    db: Db,
    clock: Clock,
    entropy: Entropy,
    sender: Sender,
    mailer: Mailer,
    me: Uuid,
}

impl Outbox {
    /// A worker with an identity of its own.
    pub fn new(db: Db, clock: Clock, entropy: Entropy, sender: Sender, mailer: Mailer) -> Self {
        let me = entropy.uuid_v7(clock.now());
        Self {
            db,
            clock,
            entropy,
            sender,
            mailer,
            me,
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now().into()
    }

    /// Takes the letter that waits longest and sends it.
    ///
    /// # Errors
    /// The store's: then nothing is known to have changed, and the letter's lease will end by itself.
    pub async fn deliver_next(&mut self) -> store::Result<Delivered> {
        let now = self.now();
        // A look first: an idle poll must not take SQLite's write lock.
        if !self
            .db
            .read(move |conn| store::deliveries::any_due(conn, now))
            .await?
        {
            return Ok(Delivered::Empty);
        }
        let me = self.me;
        match self
            .db
            .write(move |conn| store::deliveries::lease(conn, me, now))
            .await?
        {
            Lease::Empty => Ok(Delivered::Empty),
            Lease::Again => Ok(Delivered::NotSent),
            Lease::Letter(leased) => {
                let verdict = self.attempt(&leased).await?;
                let sent = verdict.state == DeliveryState::Sent;
                self.record(&leased, verdict).await?;
                Ok(if sent {
                    Delivered::Sent
                } else {
                    Delivered::NotSent
                })
            }
        }
    }

    /// One attempt, from the row to what it becomes.
    async fn attempt(&mut self, leased: &Leased) -> store::Result<Verdict> {
        let matter = self.matter(leased).await?;
        let now = self.now();
        let letter = match matter.map(|matter| {
            self.sender
                .write(leased.id, leased.kind, &leased.to, &matter, now)
        }) {
            Some(Ok(letter)) => letter,
            Some(Err(NoLetter::Impossible(why))) => {
                return Ok(self.judge(Outcome::Permanent(why), leased));
            }
            Some(Err(NoLetter::Pointless(why))) => return Ok(dropped(why)),
            None => return Ok(dropped("What this letter was about is gone")),
        };
        let (db, me, id) = (self.db.clone(), self.me, leased.id);
        let outcome = match self.mailer.begin(&letter).await {
            Err(refused) => refused,
            Ok(ready) => {
                // The moment is read again: this machine may have slept since, and the lease with it.
                let now = self.clock.now().into();
                // From the next byte on, silence means "unknown": that is on record before the byte leaves.
                if !db
                    .write(move |conn| store::deliveries::set_handing(conn, id, me, now))
                    .await?
                {
                    return Err(store::Error::Unavailable("the lease was lost".to_owned()));
                }
                ready.finish().await
            }
        };
        if !matches!(outcome, Sending::Sent(_)) {
            tracing::warn!(delivery = %leased.id, attempt = leased.attempts, reason = outcome.reason(), "letter not sent");
        }
        Ok(self.judge(known(outcome), leased))
    }

    fn judge(&self, outcome: Outcome, leased: &Leased) -> Verdict {
        let jitter = self.entropy.jitter(Duration::from_secs(1)).as_secs_f64();
        judge(outcome, leased.attempts, self.now(), jitter)
    }

    async fn matter(&self, leased: &Leased) -> store::Result<Option<Matter>> {
        let Some(about) = leased.about else {
            return Ok(None);
        };
        self.db
            .read(move |conn| store::deliveries::matter(conn, about))
            .await
    }

    async fn record(&self, leased: &Leased, verdict: Verdict) -> store::Result<()> {
        let (id, me) = (leased.id, self.me);
        let mut tried = 0;
        loop {
            let (now, verdict) = (self.now(), verdict.clone());
            match self
                .db
                .write(move |conn| store::deliveries::apply(conn, id, me, &verdict, now))
                .await
            {
                Ok(true) => return Ok(()),
                Ok(false) => {
                    tracing::warn!(delivery = %id, "the lease was lost before the result was recorded");
                    return Ok(());
                }
                Err(error) if tried >= RECORD_TRIES => return Err(error),
                Err(_) => {
                    tried += 1;
                    tokio::time::sleep(Duration::from_secs(1) * tried).await;
                }
            }
        }
    }

    /// Delivers until told to stop: at once when woken, by itself every few seconds.
    pub async fn run(mut self, wake: Arc<Notify>, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            // A letter that makes us panic must not stop all the others.
            match AssertUnwindSafe(self.deliver_next()).catch_unwind().await {
                Ok(Ok(Delivered::Sent | Delivered::NotSent)) => continue,
                Ok(Ok(Delivered::Empty)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the outbox has to wait"),
                Err(_) => tracing::error!("sending a letter panicked"),
            }
            tokio::select! {
                () = wake.notified() => {}
                () = tokio::time::sleep(POLL) => {}
                _ = stop.changed() => {}
            }
        }
        self.mailer.close().await;
    }
}

fn dropped(why: &str) -> Verdict {
    Verdict {
        state: DeliveryState::Dropped,
        due_at: None,
        reason: Some(why.to_owned()),
    }
}

/// The transport's words in the domain's.
fn known(outcome: Sending) -> Outcome {
    match outcome {
        Sending::Sent(_) => Outcome::Sent,
        // Our own fault, not the recipient's: it may be mended before the retries are used up.
        Sending::Temporary(why) | Sending::Misconfigured(why) => Outcome::Temporary(why),
        Sending::Permanent(why) => Outcome::Permanent(why),
        Sending::Unknown(why) => Outcome::Unknown(why),
    }
}
