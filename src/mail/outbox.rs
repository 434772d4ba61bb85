//! Empties the outbox: takes one letter at a time by lease, sends it step by step, records what is known (R-INV-9).
//!
//! The workers and the tests call the same [`Outbox::deliver_next`]. A process has two workers. One that is held up by a
//! slow conversation is stood in for until that ends, so that the letters behind it leave all the same.

use super::{
    letters::{self, NoLetter, Sender},
    transport::{Mailer, Outcome as Sending},
};
use crate::{
    clock::Clock,
    domain::{
        delivery::{DeliveryState, Outcome, Verdict, is_poison, judge},
        time::Timestamp,
    },
    entropy::Entropy,
    metrics::{LetterOutcome, Metrics},
    store::{
        self, Conn, Db,
        deliveries::{Lease, Leased, Left, Matter, OUTRUN, Subject},
        outbox::Board,
    },
};
use futures_util::FutureExt as _;
use std::{
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Notify, OnceCell, OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};
use uuid::Uuid;

/// How often a worker looks by itself: for retries that came due, and for letters queued by other instances.
const POLL: Duration = Duration::from_secs(5);

/// How often recording the result of a sending is tried. What cannot be recorded becomes *unknown* when the lease ends.
const RECORD_TRIES: u32 = 5;

/// Workers of a process.
pub const WORKERS: usize = 2;

/// Workers that may stand in for those at once: with [`WORKERS`] eight conversations, which small mail servers allow.
const STAND_INS: usize = 6;

/// How long a letter may take before another worker stands in.
const SLOW: Duration = Duration::from_secs(1);

/// Letters written off in one transaction.
const BATCH: i64 = 200;

/// How often letters that a dead worker held are looked for, where mail is switched off.
const WRITE_OFF_EVERY: Duration = Duration::from_secs(60);

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

/// What all workers of a process share.
pub struct Office {
    /// The database.
    pub db: Db,
    /// What time it is.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// Writes the letters.
    pub sender: Sender,
    /// Where pages read whether letters wait.
    pub board: Board,
    /// Rung when letters were queued.
    pub wake: Arc<Notify>,
    /// What is counted.
    pub metrics: Metrics,
}

/// One worker's hold on the outbox.
pub struct Outbox {
    office: Arc<Office>,
    mailer: Mailer,
    me: Uuid,
    stop: Option<watch::Receiver<bool>>,
    /// Whether the last letter was sent: then the next one is most likely due.
    busy: bool,
}

/// How an attempt ended.
#[derive(Clone)]
enum Ended {
    /// A mail server, or the way to it, has spoken.
    Said(Outcome),
    /// It was not tried, for a reason in the letter itself.
    Untried(Verdict),
    /// Nothing is wrong with the letter: the fault is ours (login, TLS, sender, folder).
    Fault(String),
    /// Roster stops or has lost its database, and nothing has left yet.
    Stopped,
}

/// The last look before the letter leaves.
enum Handing {
    Go,
    Pointless(&'static str),
    Lost,
}

impl Outbox {
    /// A worker with an identity of its own.
    pub fn new(office: Arc<Office>, mailer: Mailer) -> Self {
        let me = office.entropy.uuid_v7(office.clock.now());
        Self {
            office,
            mailer,
            me,
            stop: None,
            busy: false,
        }
    }

    fn now(&self) -> Timestamp {
        self.office.clock.now().into()
    }

    /// Takes the letter that waits longest and sends it.
    ///
    /// # Errors
    /// The store's: then the letter is back in the queue, or will be when its lease has ended; only where its end could
    /// not be recorded it becomes *unknown*.
    pub async fn deliver_next(&mut self) -> store::Result<Delivered> {
        let now = self.now();
        let db = self.office.db.clone();
        // A look first: an idle poll must not take SQLite's write lock.
        if !std::mem::take(&mut self.busy) {
            let look = db
                .read(move |conn| store::deliveries::look(conn, now))
                .await?;
            self.office.board.note(look.trouble);
            if !look.due {
                return Ok(Delivered::Empty);
            }
        }
        let me = self.me;
        match db
            .write(move |conn| store::deliveries::lease(conn, me, now))
            .await?
        {
            Lease::Empty => Ok(Delivered::Empty),
            Lease::Again => Ok(Delivered::NotSent),
            Lease::Letter(leased) => {
                // There may be more: whoever rests looks, and wakes the others. Nothing is kept for one who does not rest:
                // after a failure they pause.
                self.office.wake.notify_waiters();
                self.office.metrics.letter_attempted();
                let ended = self.attempt(&leased).await?;
                let (sent, outcome) =
                    (matches!(ended, Ended::Said(Outcome::Sent)), counted(&ended));
                self.record(&leased, ended).await?;
                self.office.metrics.letter(outcome);
                self.busy = sent;
                if sent && leased.trying {
                    // The pause is over: everybody to work.
                    self.office.board.note(None);
                    self.office.wake.notify_waiters();
                }
                Ok(if sent {
                    Delivered::Sent
                } else {
                    Delivered::NotSent
                })
            }
        }
    }

    /// One attempt, from the row to what it becomes.
    async fn attempt(&mut self, leased: &Leased) -> store::Result<Ended> {
        let matter = match self.matter(leased).await {
            Ok(matter) => matter,
            Err(error) => return Err(self.put_back(leased, error).await),
        };
        let now = self.now();
        let letter = match matter.map(|matter| {
            let sender = &self.office.sender;
            sender.write(leased.id, leased.kind, &leased.to, &matter, now)
        }) {
            Some(Ok(letter)) => letter,
            Some(Err(NoLetter::Impossible(why))) => {
                let failed = judge(Outcome::Permanent(why), leased.attempts, now, 0.0);
                return Ok(Ended::Untried(failed));
            }
            Some(Err(NoLetter::Pointless(why))) => {
                return Ok(Ended::Untried(Verdict::dropped(why)));
            }
            None => return Ok(Ended::Untried(Verdict::dropped(GONE))),
        };
        let begun = tokio::select! {
            biased;
            () = told_to_stop(&mut self.stop) => return Ok(Ended::Stopped),
            begun = self.mailer.begin(&letter) => begun,
        };
        let outcome = match begun {
            Err(refused) => refused,
            Ok(ready) => {
                // The moment is read again: this machine may have slept since, and the lease with it.
                let now = self.office.clock.now().into();
                // From the next byte on, silence means "unknown": that is on record before the byte leaves.
                match hand(&self.office.db, self.me, leased, now).await {
                    Ok(Handing::Go) => ready.finish().await,
                    Ok(Handing::Pointless(why)) => {
                        return Ok(Ended::Untried(Verdict::dropped(why)));
                    }
                    Ok(Handing::Lost) => {
                        return Err(store::Error::Unavailable("the lease was lost".to_owned()));
                    }
                    Err(error) => {
                        drop(ready);
                        return Err(self.put_back(leased, error).await);
                    }
                }
            }
        };
        if !matches!(outcome, Sending::Sent(_)) {
            tracing::warn!(delivery = %leased.id, attempt = leased.attempts, reason = outcome.reason(), "letter not sent");
        }
        Ok(known(outcome))
    }

    /// The database failed before a byte of the letter had left: back into the queue with it, also when what failed was
    /// the end of the very commit that says "about to leave". After a defect the lease is left to end by itself, and the
    /// attempt counts: a row that nobody can read is given up in the end.
    async fn put_back(&self, leased: &Leased, error: store::Error) -> store::Error {
        if !matches!(error, store::Error::Broken(_)) {
            match self.record(leased, Ended::Stopped).await {
                Ok(()) => self.office.metrics.letter(counted(&Ended::Stopped)),
                Err(error) => {
                    tracing::warn!(delivery = %leased.id, %error, "the letter waits for the end of its lease");
                }
            }
        }
        error
    }

    async fn matter(&self, leased: &Leased) -> store::Result<Option<Matter>> {
        let Some(about) = leased.about else {
            return Ok(None);
        };
        self.office
            .db
            .read(move |conn| store::deliveries::matter(conn, about))
            .await
    }

    async fn record(&self, leased: &Leased, ended: Ended) -> store::Result<()> {
        let me = self.me;
        let jitter = self.office.entropy.jitter(Duration::from_secs(1));
        let mut tried = 0;
        loop {
            let (now, leased, ended) = (self.now(), leased.clone(), ended.clone());
            let id = leased.id;
            match self
                .office
                .db
                .write(move |conn| close(conn, me, &leased, &ended, jitter.as_secs_f64(), now))
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
}

/// Commits that the letter is about to leave, unless there is no reason for it any more: the invitation was revoked
/// while the mail server took its time, or sent again.
async fn hand(db: &Db, me: Uuid, leased: &Leased, now: Timestamp) -> store::Result<Handing> {
    let (id, kind, about) = (leased.id, leased.kind, leased.about);
    db.write(move |conn| {
        let invitation = match about {
            Some(Subject::Invitation(organization, id)) => Some((organization, id)),
            _ => None,
        };
        if let Some((organization, id)) = invitation {
            store::deliveries::lock_invitation(conn, organization, id)?;
        }
        let matter = match about {
            Some(about) => store::deliveries::matter(conn, about)?,
            None => None,
        };
        let why = match matter {
            None => Some(GONE),
            Some(matter) => letters::pointless(&matter, kind, now),
        };
        if let Some(why) = why {
            return Ok(Handing::Pointless(why));
        }
        if store::deliveries::is_outrun(conn, id, kind, invitation)? {
            return Ok(Handing::Pointless(OUTRUN));
        }
        let held = store::deliveries::set_handing(conn, id, me, now)?;
        Ok(if held { Handing::Go } else { Handing::Lost })
    })
    .await
}

/// Why a letter is dropped that is about nothing.
const GONE: &str = "What this letter was about is gone";

/// Records how an attempt ended, and what that means for the queue. `false` when the lease was lost meanwhile.
///
/// The letter's row comes first, then the outbox's: see [`store::deliveries::lease`] for why nobody meets crosswise.
fn close(
    conn: &mut Conn,
    me: Uuid,
    leased: &Leased,
    ended: &Ended,
    jitter: f64,
    now: Timestamp,
) -> store::Result<bool> {
    let (id, trying) = (leased.id, leased.trying);
    let judged = |outcome| judge(outcome, leased.attempts, now, jitter);
    let verdict = match ended {
        Ended::Said(outcome) => judged(outcome.clone()),
        Ended::Untried(verdict) => verdict.clone(),
        Ended::Stopped => {
            let kept = store::deliveries::give_back(conn, leased, me, None, now)?;
            if trying {
                store::outbox::allow_try(conn, now)?;
            }
            return Ok(kept);
        }
        Ended::Fault(why) => {
            let outbox = store::outbox::find(conn)?;
            if outbox.trouble.is_some() || !is_poison(leased.faulted_at, outbox.went_at) {
                let kept = store::deliveries::give_back(conn, leased, me, Some(why), now)?;
                store::outbox::pause(conn, trying, why, jitter, now)?;
                return Ok(kept);
            }
            // Others go through: this one is tried again by itself, and given up in the end.
            store::deliveries::set_faulted(conn, id, now)?;
            store::outbox::note_fault(conn, now)?;
            judged(Outcome::Temporary(why.clone()))
        }
    };
    if !store::deliveries::apply(conn, id, me, &verdict, now)? {
        return Ok(false);
    }
    if verdict.state == DeliveryState::Sent {
        store::outbox::went(conn, trying, now)?;
    } else if trying {
        // It tells nothing about the fault: the next letter tries at once.
        store::outbox::allow_try(conn, now)?;
    }
    Ok(true)
}

/// How the end of an attempt is counted.
fn counted(ended: &Ended) -> LetterOutcome {
    match ended {
        Ended::Said(Outcome::Sent) => LetterOutcome::Sent,
        Ended::Said(Outcome::Permanent(_)) => LetterOutcome::Failed,
        Ended::Said(Outcome::Unknown(_)) => LetterOutcome::Unknown,
        Ended::Untried(verdict) if verdict.state == DeliveryState::Failed => LetterOutcome::Failed,
        Ended::Untried(_) => LetterOutcome::Dropped,
        Ended::Said(Outcome::Temporary(_)) | Ended::Fault(_) | Ended::Stopped => {
            LetterOutcome::Retried
        }
    }
}

/// The transport's words in the domain's.
fn known(outcome: Sending) -> Ended {
    Ended::Said(match outcome {
        Sending::Misconfigured(why) => return Ended::Fault(why),
        Sending::Sent(_) => Outcome::Sent,
        Sending::Temporary(why) => Outcome::Temporary(why),
        Sending::Permanent(why) => Outcome::Permanent(why),
        Sending::Unknown(why) => Outcome::Unknown(why),
    })
}

/// Comes back once Roster is told to stop.
async fn told_to_stop(stop: &mut Option<watch::Receiver<bool>>) {
    if let Some(stop) = stop
        && stop.wait_for(|stop| *stop).await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// What the workers of a process know of each other.
#[derive(Clone)]
pub struct Crew {
    stop: watch::Receiver<bool>,
    /// Room for workers that stand in.
    room: Arc<Semaphore>,
    /// What is done once, before the first letter.
    begin: Arc<OnceCell<()>>,
}

impl Crew {
    /// A crew that works until told to stop.
    pub fn new(stop: watch::Receiver<bool>) -> Self {
        Self {
            stop,
            room: Arc::new(Semaphore::new(STAND_INS)),
            begin: Arc::default(),
        }
    }

    /// Waits until a letter counts as slow, and then for room for another worker.
    async fn room_after_a_while(&self) -> OwnedSemaphorePermit {
        tokio::time::sleep(SLOW).await;
        match Arc::clone(&self.room).acquire_owned().await {
            Ok(room) => room,
            Err(_) => std::future::pending().await,
        }
    }
}

impl Outbox {
    /// Delivers until told to stop: at once when woken, by itself every few seconds. A letter that is not on its way yet
    /// is given back when Roster stops; one that is may end.
    pub async fn run(self, crew: Crew) {
        crew.begin
            .get_or_init(|| async {
                // The operator may have mended what is wrong.
                let now = self.now();
                let write = self
                    .office
                    .db
                    .write(move |conn| store::outbox::allow_fresh_try(conn, now));
                if let Err(error) = write.await {
                    tracing::warn!(%error, "a pause of the outbox was not cut short");
                }
            })
            .await;
        let relieved = crew.stop.clone();
        self.work(crew, relieved, None).await;
    }

    /// Works until `relieved`, or until Roster stops.
    async fn work(
        mut self,
        crew: Crew,
        mut relieved: watch::Receiver<bool>,
        room: Option<OwnedSemaphorePermit>,
    ) {
        let mut stop = crew.stop.clone();
        self.stop = Some(crew.stop.clone());
        let wake = Arc::clone(&self.office.wake);
        let mut stand_ins = JoinSet::new();
        while !*stop.borrow() && !*relieved.borrow() {
            self.office.metrics.mail_workers().came_round();
            match self.deliver_with_help(&crew, &mut stand_ins).await {
                Some(Ok(Delivered::Sent | Delivered::NotSent)) => continue,
                Some(Ok(Delivered::Empty)) => {}
                Some(Err(error)) => tracing::warn!(%error, "the outbox has to wait"),
                None => tracing::error!("sending a letter panicked"),
            }
            tokio::select! {
                () = wake.notified() => {}
                () = tokio::time::sleep(POLL) => {}
                _ = stop.changed() => {}
                _ = relieved.changed() => {}
            }
        }
        self.mailer.close().await;
        // Whoever stands in for this worker may still be busy; its own room is free.
        drop(room);
        while stand_ins.join_next().await.is_some() {}
    }

    /// [`Outbox::deliver_next`]; nothing when it panicked, because a letter that makes us panic must not stop all the
    /// others. When it takes long, another worker stands in until it ends.
    async fn deliver_with_help(
        &mut self,
        crew: &Crew,
        stand_ins: &mut JoinSet<()>,
    ) -> Option<store::Result<Delivered>> {
        while stand_ins.try_join_next().is_some() {}
        let another = Self::new(Arc::clone(&self.office), self.mailer.another());
        let mut delivering = pin!(AssertUnwindSafe(self.deliver_next()).catch_unwind());
        let room = tokio::select! {
            done = &mut delivering => return done.ok(),
            room = crew.room_after_a_while() => room,
        };
        let (relieve, relieved) = watch::channel(false);
        stand_ins.spawn(another.stand_in(crew.clone(), relieved, room));
        let done = delivering.await;
        relieve.send_replace(true);
        done.ok()
    }

    /// Boxed, because those who stand in may be stood in for.
    fn stand_in(
        self,
        crew: Crew,
        relieved: watch::Receiver<bool>,
        room: OwnedSemaphorePermit,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.work(crew, relieved, Some(room)))
    }
}

/// Where mail is switched off: ends the letters that are still queued, so that pages offer their links instead of
/// waiting for ever.
pub async fn write_off(db: Db, clock: Clock, mut stop: watch::Receiver<bool>) {
    const REASON: &str = "Email was switched off on this server before this letter was sent";
    while !*stop.borrow() {
        let now = clock.now().into();
        let pause = match db
            .write(move |conn| store::deliveries::write_off(conn, REASON, BATCH, now))
            .await
        {
            Ok(Left::Nothing) => return,
            Ok(Left::More) => Duration::ZERO,
            Ok(Left::Held) => WRITE_OFF_EVERY,
            Err(error) => {
                tracing::warn!(%error, "letters that nobody sends are still queued");
                WRITE_OFF_EVERY
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.changed() => {}
        }
    }
}
