//! Deliveries: one letter each, and what is known about its arrival (R-INV-9).

use super::time::Timestamp;
use time::Duration;

/// What a letter is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LetterKind {
    /// You are invited.
    Invitation,
    /// Your invitation is about to expire (R-INV-16).
    Reminder,
    /// What happened to you: a notification.
    Notice,
    /// Confirm that this mailbox is yours (R-ACC-4).
    VerifyEmail,
    /// Choose a new password.
    ResetPassword,
}

impl LetterKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Invitation,
        Self::Reminder,
        Self::Notice,
        Self::VerifyEmail,
        Self::ResetPassword,
    ];

    /// The stored word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
            Self::Reminder => "reminder",
            Self::Notice => "notice",
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
        }
    }

    /// Reads the stored word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Where a delivery stands in the queue.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DeliveryState {
    /// Waiting for its (next) turn.
    Queued,
    /// A worker holds it; nothing of the letter has left yet.
    Sending,
    /// The worker has announced the letter to the server: from here on silence means *unknown*.
    Handing,
    /// A server said it accepted the letter.
    Sent,
    /// Refused for good, or retries used up.
    Failed,
    /// The letter may or may not have arrived.
    Unknown,
    /// No SMTP was configured, or link-only was chosen.
    NotEmailed,
    /// Not sent, because by then there was no reason to: the invitation had been closed.
    Dropped,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Sending,
        Self::Handing,
        Self::Sent,
        Self::Failed,
        Self::Unknown,
        Self::NotEmailed,
        Self::Dropped,
    ];

    /// The stored word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Handing => "handing",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::NotEmailed => "not_emailed",
            Self::Dropped => "dropped",
        }
    }

    /// Reads the stored word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// Attempts before a letter that is temporarily refused is given up. With the pauses of [`pause_after`] the last one is
/// twelve to fifteen hours after the first: a mail server may be down overnight.
pub const MOST_ATTEMPTS: i32 = 12;

/// Why a letter that waited in a backup is not sent after it was restored: that may have happened already (I8).
pub const RESTORED: &str =
    "Restored from a backup: this letter may have been sent after the backup was made";

/// How long a worker may hold a letter. Longer than any conversation's time limit, so that a lease that ran out
/// means that its worker is gone.
pub const LEASE: Duration = Duration::minutes(3);

/// What came of one attempt to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// A server accepted the letter.
    Sent,
    /// Nothing was accepted: try again.
    Temporary(String),
    /// Refused for good.
    Permanent(String),
    /// The letter left and no answer came back.
    Unknown(String),
}

/// What a delivery becomes after an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// The new state.
    pub state: DeliveryState,
    /// When to try again; only for [`DeliveryState::Queued`].
    pub due_at: Option<Timestamp>,
    /// What the server said, for people.
    pub reason: Option<String>,
}

impl Verdict {
    /// Not sent, because there is no reason to any more.
    pub fn dropped(why: &str) -> Self {
        Self {
            state: DeliveryState::Dropped,
            due_at: None,
            reason: Some(why.to_owned()),
        }
    }
}

/// Classifies the `attempts`-th attempt (from 1). `jitter`, 0 to 1, stretches the pause by up
/// to a quarter, so that letters that failed together do not come back together.
pub fn judge(outcome: Outcome, attempts: i32, now: Timestamp, jitter: f64) -> Verdict {
    match outcome {
        Outcome::Sent => Verdict {
            state: DeliveryState::Sent,
            due_at: None,
            reason: None,
        },
        Outcome::Temporary(reason) if attempts < MOST_ATTEMPTS => Verdict {
            state: DeliveryState::Queued,
            due_at: Some(now.plus(pause_after(attempts) * (1.0 + jitter.clamp(0.0, 1.0) / 4.0))),
            reason: Some(reason),
        },
        Outcome::Temporary(reason) | Outcome::Permanent(reason) => Verdict {
            state: DeliveryState::Failed,
            due_at: None,
            reason: Some(reason),
        },
        Outcome::Unknown(reason) => Verdict {
            state: DeliveryState::Unknown,
            due_at: None,
            reason: Some(reason),
        },
    }
}

/// A lease that ran out: its worker died. Before the letter was announced nothing can have arrived, so it is
/// queued again; after, nobody knows (R-INV-9), and it is not sent again by itself.
pub fn judge_abandoned(state: DeliveryState, attempts: i32, now: Timestamp) -> Verdict {
    match state {
        DeliveryState::Handing => Verdict {
            state: DeliveryState::Unknown,
            due_at: None,
            reason: Some("Roster stopped while it was sending this letter".to_owned()),
        },
        _ if attempts >= MOST_ATTEMPTS => Verdict {
            state: DeliveryState::Failed,
            due_at: None,
            reason: Some("Roster stopped every time it tried to send this letter".to_owned()),
        },
        _ => Verdict {
            state: DeliveryState::Queued,
            due_at: Some(now),
            reason: None,
        },
    }
}

/// The pause after the `attempts`-th failed attempt: 30 s, doubling, at most 4 h.
pub fn pause_after(attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or(0);
    Duration::seconds((30_i64 << doublings).min(4 * 3600))
}

/// How long the whole queue rests after the `tries`-th letter in a row that met a fault of our own (login, TLS, sender):
/// 30 s, doubling, at most 15 min. `jitter`, 0 to 1, stretches it by up to a quarter, so that several Rosters that share
/// a mail server do not knock together.
pub fn rest_after(tries: i32, jitter: f64) -> Duration {
    let doublings = u32::try_from(tries.clamp(1, 20) - 1).unwrap_or(0);
    let rest = Duration::seconds((30_i64 << doublings).min(12 * 60));
    rest * (1.0 + jitter.clamp(0.0, 1.0) / 4.0)
}

/// Whether a fault that looks like ours belongs to one letter: it met the fault before, and since then another letter
/// has gone through. Such a letter is tried again by itself and given up in the end; the others do not wait for it.
pub fn is_poison(met_before: Option<Timestamp>, another_went: Option<Timestamp>) -> bool {
    met_before.is_some_and(|met| another_went.is_some_and(|went| went > met))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    #[test]
    fn retries_grow_and_end() {
        let mut last = Duration::ZERO;
        let mut total = Duration::ZERO;
        for attempt in 1..MOST_ATTEMPTS {
            let verdict = judge(Outcome::Temporary("busy".into()), attempt, NOW, 0.0);
            assert_eq!(verdict.state, DeliveryState::Queued);
            let pause = verdict.due_at.map(|at| at.since(NOW)).unwrap_or_default();
            assert!(pause >= last, "pauses grow");
            last = pause;
            total += pause;
        }
        assert_eq!(
            judge(Outcome::Temporary("busy".into()), MOST_ATTEMPTS, NOW, 0.0).state,
            DeliveryState::Failed
        );
        assert_eq!(total.whole_minutes(), 735, "about twelve hours");
    }

    #[test]
    fn jitter_only_lengthens() {
        let at = |jitter| judge(Outcome::Temporary(String::new()), 1, NOW, jitter).due_at;
        assert_eq!(at(0.0), Some(NOW.plus(Duration::seconds(30))));
        let most = Duration::seconds(30) + Duration::milliseconds(7_500);
        assert_eq!(at(1.0), Some(NOW.plus(most)), "by a quarter at most");
        assert_eq!(at(7.0), at(1.0));
    }

    /// A letter that stops the program each time must not be tried for ever.
    #[test]
    fn abandoned_letters_are_tried_as_often_as_others() {
        for state in [DeliveryState::Queued, DeliveryState::Sending] {
            let again = judge_abandoned(state, MOST_ATTEMPTS - 1, NOW);
            assert_eq!(
                (again.state, again.due_at),
                (DeliveryState::Queued, Some(NOW))
            );
            let over = judge_abandoned(state, MOST_ATTEMPTS, NOW);
            assert_eq!((over.state, over.due_at), (DeliveryState::Failed, None));
            assert!(over.reason.is_some(), "the list says why");
        }
    }

    #[test]
    fn rests_grow_from_half_a_minute_to_a_quarter_of_an_hour() {
        let mut last = Duration::ZERO;
        for tries in 1..40 {
            let rest = rest_after(tries, 0.0);
            assert!(rest >= last && rest_after(tries, 1.0) > rest);
            last = rest;
        }
        assert_eq!(rest_after(1, 0.0), Duration::seconds(30));
        assert_eq!(rest_after(39, 9.0), Duration::minutes(15));
    }

    #[test]
    fn a_letter_is_poison_only_when_another_went_through_meanwhile() {
        let later = NOW.plus(Duration::SECOND);
        assert!(is_poison(Some(NOW), Some(later)));
        for (met, went) in [
            (None, Some(later)),
            (Some(NOW), None),
            (Some(later), Some(NOW)),
        ] {
            assert!(!is_poison(met, went), "{met:?} {went:?}");
        }
    }

    #[test]
    fn never_sent_unless_a_server_said_so() {
        for outcome in [
            Outcome::Temporary("x".into()),
            Outcome::Permanent("x".into()),
            Outcome::Unknown("x".into()),
        ] {
            assert_ne!(judge(outcome, 1, NOW, 0.0).state, DeliveryState::Sent);
        }
        assert_eq!(
            judge_abandoned(DeliveryState::Sending, 1, NOW).state,
            DeliveryState::Queued
        );
        assert_eq!(
            judge_abandoned(DeliveryState::Handing, 1, NOW).state,
            DeliveryState::Unknown
        );
    }
}
