//! Where randomness comes from, and the only place that asks for it.
//!
//! Tests use a seeded source, so that ids and tokens are the same on every run.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::{
    Rng as _, SeedableRng as _, TryRng as _,
    rngs::{StdRng, SysRng},
};
use time::OffsetDateTime;
use uuid::{Builder, Uuid};

/// The operating system's randomness, or a repeatable stream for tests.
///
/// No call returns an error: without randomness no session token may be handed out and nothing sensible is left to do,
/// so a failing operating system source panics (the request answers 500) instead of being passed up through every function.
#[derive(Clone)]
pub enum Entropy {
    /// `getrandom(2)` and its like. Read for each call, nothing is kept in the program's memory.
    System,
    /// The same numbers for the same seed. Clones draw from one stream. Never for a server: whoever knows the seed knows every token.
    Seeded(Arc<Mutex<StdRng>>),
}

impl Entropy {
    /// The operating system's source.
    pub fn system() -> Self {
        Self::System
    }

    /// A repeatable stream, for tests.
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// Fills `bytes` with random ones.
    ///
    /// # Panics
    /// When the operating system has no randomness to give (see [`Entropy`]).
    #[expect(
        clippy::expect_used,
        reason = "a predictable token is worse than a stopped request"
    )]
    pub fn fill(&self, bytes: &mut [u8]) {
        match self {
            Self::System => SysRng
                .try_fill_bytes(bytes)
                .expect("the operating system gives random bytes"),
            Self::Seeded(stream) => stream
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .fill_bytes(bytes),
        }
    }

    /// 256 random bits, for session tokens and file names nobody may guess.
    ///
    /// # Panics
    /// As [`Entropy::fill`].
    pub fn token(&self) -> [u8; 32] {
        let mut token = [0; 32];
        self.fill(&mut token);
        token
    }

    /// A version 7 UUID (RFC 9562): the milliseconds of `now` first, so rows are written in key order, then 74 random bits.
    ///
    /// Two ids of the same millisecond come in no particular order. An instant before 1970 counts as 1970.
    ///
    /// # Panics
    /// As [`Entropy::fill`].
    pub fn uuid_v7(&self, now: OffsetDateTime) -> Uuid {
        let mut random = [0; 10];
        self.fill(&mut random);
        let millis = u64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
        Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    /// A random duration from zero to `up_to`, both included, to keep retries of several instances apart.
    /// Durations of more than 584 years count as that.
    ///
    /// # Panics
    /// As [`Entropy::fill`].
    pub fn jitter(&self, up_to: Duration) -> Duration {
        let mut random = [0; 8];
        self.fill(&mut random);
        let nanos = u64::try_from(up_to.as_nanos()).unwrap_or(u64::MAX);
        // the upper half of random × (nanos + 1) is spread evenly over 0..=nanos, closely enough for pauses
        let spread = (u128::from(u64::from_le_bytes(random)) * (u128::from(nanos) + 1)) >> 64;
        Duration::from_nanos(u64::try_from(spread).unwrap_or(nanos))
    }
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // the state of a stream is all its future tokens
        f.write_str(match self {
            Self::System => "System",
            Self::Seeded(_) => "Seeded",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_seed_repeats_and_the_system_does_not() {
        let (one, two) = (Entropy::seeded(7), Entropy::seeded(7));
        assert_eq!(one.token(), two.token());
        assert_ne!(one.token(), one.token());
        assert_ne!(Entropy::system().token(), Entropy::system().token());
    }

    #[test]
    fn ids_carry_their_time() {
        let now = datetime!(2026-03-01 12:00:00.5 UTC);
        let entropy = Entropy::seeded(1);
        let (id, later) = (
            entropy.uuid_v7(now),
            entropy.uuid_v7(now + time::Duration::MILLISECOND),
        );
        assert_eq!(id.get_version_num(), 7);
        assert!(id < later);
        let (seconds, nanos) = id.get_timestamp().map(|t| t.to_unix()).unwrap_or_default();
        assert_eq!(seconds, now.unix_timestamp().unsigned_abs());
        assert_eq!(nanos, 500_000_000);
        assert_eq!(
            entropy
                .uuid_v7(datetime!(1900-01-01 0:00 UTC))
                .get_version_num(),
            7
        );
    }

    #[test]
    fn jitter_stays_within_its_limit() {
        let entropy = Entropy::seeded(3);
        assert_eq!(entropy.jitter(Duration::ZERO), Duration::ZERO);
        let limit = Duration::from_millis(10);
        let all: Vec<_> = (0..1000).map(|_| entropy.jitter(limit)).collect();
        assert!(all.iter().all(|d| *d <= limit));
        assert!(all.iter().any(|d| *d > limit * 9 / 10) && all.iter().any(|d| *d < limit / 10));
        entropy.jitter(Duration::MAX);
    }
}
