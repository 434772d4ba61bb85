//! Moments on pages. A list has a hundred of them, so each is written when it is shown, straight into the page.

use crate::domain::time::Timestamp;
use std::fmt::{self, Write};
use time::Duration;

/// A moment, seen from another: machine-readable, relative and absolute.
#[derive(Clone, Copy, Debug)]
pub struct When {
    at: Timestamp,
    now: Timestamp,
}

impl When {
    /// `at`, seen from `now`.
    pub const fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { at, now }
    }

    /// RFC 3339: "2026-11-25T09:12:05Z".
    pub const fn datetime(self) -> Datetime {
        Datetime(self.at)
    }

    /// "just now", "5 minutes ago", "in 4 days".
    pub fn relative(self) -> Relative {
        Relative::new(self.at, self.now)
    }

    /// "25 Nov 2026, 09:12 UTC".
    pub fn absolute(self) -> String {
        self.at.date_and_time()
    }
}

written!(Datetime, Relative);

/// A moment for machines.
#[derive(Clone, Copy, Debug)]
pub struct Datetime(Timestamp);

impl Datetime {
    fn put(self, out: &mut dyn Write) -> fmt::Result {
        let utc = self.0.utc();
        let (year, month, day) = utc.to_calendar_date();
        let (hour, minute, second) = utc.to_hms();
        let year = u16::try_from(year).unwrap_or_default();
        let [[y0, y1], [y2, y3]] = [(year / 100) as u8, (year % 100) as u8].map(digits);
        let [m0, m1] = digits(u8::from(month));
        let [[d0, d1], [h0, h1], [n0, n1], [s0, s1]] = [day, hour, minute, second].map(digits);
        let text = [
            y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1,
            b'Z',
        ];
        out.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// A number below 100, in two digits.
const fn digits(number: u8) -> [u8; 2] {
    [b'0' + number / 10, b'0' + number % 10]
}

/// Writes a count. Most have one digit or two, for which `write!` takes ten times as long.
fn number(out: &mut dyn Write, number: i64) -> fmt::Result {
    match u8::try_from(number) {
        Ok(small @ 0..=9) => out.write_char(char::from(b'0' + small)),
        Ok(small @ 10..=99) => {
            out.write_char(char::from(b'0' + small / 10))?;
            out.write_char(char::from(b'0' + small % 10))
        }
        _ => write!(out, "{number}"),
    }
}

/// How long ago, or how long until, in the largest unit that fits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Relative {
    count: i64,
    unit: Unit,
    ahead: bool,
}

impl Relative {
    fn new(at: Timestamp, now: Timestamp) -> Self {
        let ahead = at > now;
        let distance = if ahead { at.since(now) } else { now.since(at) };
        let (count, unit) = coarse(distance, ahead);
        Self { count, unit, ahead }
    }

    fn put(self, out: &mut dyn Write) -> fmt::Result {
        let Self { count, unit, ahead } = self;
        if count == 0 {
            return out.write_str("just now");
        }
        if ahead {
            out.write_str("in ")?;
        }
        number(out, count)?;
        let words = unit[usize::from(count != 1)];
        out.write_str(if ahead {
            words.strip_suffix(" ago").unwrap_or(words)
        } else {
            words
        })
    }
}

/// A unit of time that has passed: one of it, several.
type Unit = [&'static str; 2];

const SECOND: Unit = [" second ago", " seconds ago"];
const MINUTE: Unit = [" minute ago", " minutes ago"];
const HOUR: Unit = [" hour ago", " hours ago"];
const DAY: Unit = [" day ago", " days ago"];
const MONTH: Unit = [" month ago", " months ago"];
const YEAR: Unit = [" year ago", " years ago"];

/// The largest unit that fits. What lies ahead is rounded to the nearest, so that a fresh week says 7 days.
fn coarse(distance: Duration, ahead: bool) -> (i64, Unit) {
    let round = |unit: i64| (distance.whole_seconds() + if ahead { unit / 2 } else { 0 }) / unit;
    let seconds = distance.whole_seconds();
    match seconds {
        0..60 if ahead => (seconds.max(1), SECOND),
        0..60 => (0, SECOND),
        60..3570 => (round(60), MINUTE),
        3570..84_600 => (round(3600).max(1), HOUR),
        84_600..2_592_000 => (round(86_400).max(1), DAY),
        2_592_000..31_536_000 => (round(2_592_000), MONTH),
        _ => (round(31_536_000), YEAR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_times() {
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        for (seconds, words) in [
            (0, "just now"),
            (-59, "just now"),
            (-60, "1 minute ago"),
            (-7200, "2 hours ago"),
            (-86_400 * 3, "3 days ago"),
            (604_800, "in 7 days"),
            (604_700, "in 7 days"),
            (345_600, "in 4 days"),
            (5, "in 5 seconds"),
            (3599, "in 1 hour"),
        ] {
            let when = When::new(now.plus(Duration::seconds(seconds)), now);
            assert_eq!(when.relative().to_string(), words, "{seconds}");
        }
    }

    #[test]
    fn machines_read_rfc_3339() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_800_000_005_999_999, "2027-01-15T08:00:05Z"),
            (253_402_300_799_000_000, "9999-12-31T23:59:59Z"),
        ] {
            let at = Timestamp::from_micros(micros);
            assert_eq!(When::new(at, at).datetime().to_string(), text);
        }
    }
}
