//! What time it is.
//!
//! The program asks this clock and nothing else, so that a test can stand at "one second before expiry" without waiting for it.
//! Every instant is a whole number of microseconds, because that is what both databases keep: an instant read back
//! from a row equals the one that was written.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use time::{Duration, OffsetDateTime, PrimitiveDateTime};

/// The machine's clock, or one that stands still until a test moves it.
///
/// Clones of a manual clock share one hand: moving any of them moves all.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The clock of the machine, in UTC.
    System,
    /// Microseconds since 1970-01-01T00:00:00Z, moved only by [`Clock::advance`] and [`Clock::set`].
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The clock of the machine.
    pub fn system() -> Self {
        Self::System
    }

    /// A clock that shows `start`, cut to whole microseconds, until it is moved.
    pub fn manual(start: OffsetDateTime) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(to_micros(start))))
    }

    /// The present moment in UTC, cut (not rounded) to whole microseconds.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the machine's clock"
    )]
    pub fn now(&self) -> OffsetDateTime {
        match self {
            Self::System => from_micros(to_micros(OffsetDateTime::now_utc())),
            Self::Manual(micros) => from_micros(micros.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock by `by`, which may be negative; it stops at the years -9999 and 9999.
    ///
    /// The machine's clock is not ours to move: on [`Clock::System`] nothing happens.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(micros) = self {
            let by = i64::try_from(by.whole_microseconds()).unwrap_or(if by.is_negative() {
                i64::MIN
            } else {
                i64::MAX
            });
            // `try_update` would be one step; two tests moving one clock at once is not a case worth more than this loop
            let mut seen = micros.load(Ordering::SeqCst);
            while let Err(changed) = micros.compare_exchange(
                seen,
                within_calendar(seen.saturating_add(by)),
                Ordering::SeqCst,
                Ordering::SeqCst,
            ) {
                seen = changed;
            }
        }
    }

    /// Sets a manual clock to `to`, cut to whole microseconds, forwards or backwards.
    ///
    /// The machine's clock is not ours to set: on [`Clock::System`] nothing happens.
    pub fn set(&self, to: OffsetDateTime) {
        if let Self::Manual(micros) = self {
            micros.store(to_micros(to), Ordering::SeqCst);
        }
    }
}

/// Whole microseconds since 1970, rounded towards the past also before 1970, so that cutting never depends on the sign.
fn to_micros(at: OffsetDateTime) -> i64 {
    // the calendar of `time` ends with the year 9999, about 2.5e17 microseconds: it always fits
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000)).unwrap_or(i64::MAX)
}

fn within_calendar(micros: i64) -> i64 {
    micros.clamp(
        to_micros(PrimitiveDateTime::MIN.assume_utc()),
        to_micros(PrimitiveDateTime::MAX.assume_utc()),
    )
}

fn from_micros(micros: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(within_calendar(micros)) * 1_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_manual_clock_stands_still_until_moved() {
        let clock = Clock::manual(datetime!(2026-03-01 12:00:00.123456789 UTC));
        let other = clock.clone();
        assert_eq!(clock.now(), datetime!(2026-03-01 12:00:00.123456 UTC));
        other.advance(Duration::days(7) - Duration::SECOND);
        assert_eq!(clock.now(), datetime!(2026-03-08 11:59:59.123456 UTC));
        clock.advance(-Duration::DAY);
        assert_eq!(other.now(), datetime!(2026-03-07 11:59:59.123456 UTC));
        clock.set(datetime!(1969-12-31 23:59:59.9999995 UTC));
        assert_eq!(clock.now(), datetime!(1969-12-31 23:59:59.999999 UTC));
    }

    #[test]
    fn it_stops_at_the_ends_of_the_calendar() {
        let clock = Clock::manual(OffsetDateTime::UNIX_EPOCH);
        clock.advance(Duration::MAX);
        assert_eq!(clock.now().year(), 9999);
        clock.advance(Duration::MIN);
        assert_eq!(clock.now().year(), -9999);
    }

    #[test]
    fn the_machine_s_clock_has_whole_microseconds_and_ignores_being_moved() {
        let clock = Clock::system();
        let before = clock.now();
        clock.advance(Duration::days(1));
        clock.set(OffsetDateTime::UNIX_EPOCH);
        let after = clock.now();
        assert!(after >= before && after - before < Duration::HOUR);
        assert_eq!(after.nanosecond() % 1_000, 0);
    }
}
