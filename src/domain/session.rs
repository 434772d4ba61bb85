//! How long a browser stays signed in.

use super::time::Timestamp;
use time::Duration;

/// A session ends when it was not used for this long (OWASP Session Management: idle timeout, enforced on the server).
pub const IDLE: Duration = Duration::days(14);

/// A session ends this long after sign-in, used or not.
pub const ABSOLUTE: Duration = Duration::days(60);

/// *Last active* is kept to the minute: at most one write in this time (R-MEM-1).
pub const TOUCH_EVERY: Duration = Duration::minutes(1);

/// A token that was replaced by a new one still works for this long, for requests that were already on their way
/// (a double click, a second tab).
pub const GRACE: Duration = Duration::minutes(1);

/// Whether a session that began at `created_at` and was last used at `last_seen_at` still counts.
pub fn alive(created_at: Timestamp, last_seen_at: Timestamp, now: Timestamp) -> bool {
    now < last_seen_at.plus(IDLE) && now < created_at.plus(ABSOLUTE)
}

/// Whether *last active* is due to be written again.
pub fn touch_due(last_seen_at: Timestamp, now: Timestamp) -> bool {
    now.since(last_seen_at) >= TOUCH_EVERY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_and_absolute_ends() {
        let start = Timestamp::from_micros(0);
        let second = Duration::seconds(1);
        assert!(alive(start, start, start.plus(IDLE - second)));
        assert!(!alive(start, start, start.plus(IDLE)));
        let used = start.plus(ABSOLUTE - second);
        assert!(alive(start, used, used));
        assert!(!alive(start, used, start.plus(ABSOLUTE)));
    }

    /// Every page would write otherwise.
    #[test]
    fn last_seen_is_noted_once_a_minute() {
        let start = Timestamp::from_micros(0);
        assert!(!touch_due(start, start));
        assert!(!touch_due(
            start,
            start.plus(TOUCH_EVERY - Duration::MICROSECOND)
        ));
        assert!(touch_due(start, start.plus(TOUCH_EVERY)));
        assert!(touch_due(start, start.plus(TOUCH_EVERY * 2)));
    }
}
