//! Instants, to the microsecond: what both databases can keep without rounding.

use time::{Duration, OffsetDateTime};

/// An instant in UTC, in whole microseconds since 1970. Ordering is time order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since 1970-01-01T00:00:00Z.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// This instant moved forward by `by` (backward when negative).
    pub fn plus(self, by: Duration) -> Self {
        let micros = i64::try_from(by.whole_microseconds()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// This instant moved back by `by`.
    pub fn minus(self, by: Duration) -> Self {
        self.plus(-by)
    }

    /// How long from `earlier` until this instant; negative when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::microseconds(self.0.saturating_sub(earlier.0))
    }

    /// The calendar form. Instants outside the years 0 to 9999 answer 1970, which no row of ours holds.
    pub fn utc(self) -> OffsetDateTime {
        let (seconds, micros) = (self.0.div_euclid(1_000_000), self.0.rem_euclid(1_000_000));
        OffsetDateTime::from_unix_timestamp(seconds)
            .and_then(|at| at.replace_microsecond(u32::try_from(micros).unwrap_or_default()))
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// Whether both databases can hold it: the years 1970 to 9999.
    pub const fn in_calendar(self) -> bool {
        const YEAR_10000: i64 = 253_402_300_800_000_000;
        self.0 >= 0 && self.0 < YEAR_10000
    }

    /// Date and time for people, on pages and in letters alike: `25 Nov 2026, 09:12 UTC`.
    pub fn date_and_time(self) -> String {
        let at = self.utc();
        format!(
            "{} {} {}, {:02}:{:02} UTC",
            at.day(),
            month(at.month()),
            at.year(),
            at.hour(),
            at.minute()
        )
    }

    /// The day, as forms and files write it: `2026-11-25`.
    pub fn day(self) -> String {
        let at = self.utc();
        format!(
            "{:04}-{:02}-{:02}",
            at.year(),
            u8::from(at.month()),
            at.day()
        )
    }

    /// The start of a day written like `2026-11-25`, in UTC, from 1970 to 9999.
    pub fn start_of_day(text: &str) -> Option<Self> {
        let mut parts = text.split('-').map(|part| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse::<u16>().ok()).flatten()
        });
        let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
        if parts.next().is_some() {
            return None;
        }
        let month = time::Month::try_from(u8::try_from(month).ok()?).ok()?;
        let date = time::Date::from_calendar_date(year.into(), month, u8::try_from(day).ok()?);
        let start = Self::from(date.ok()?.midnight().assume_utc());
        start.in_calendar().then_some(start)
    }

    /// The start of the window of length `window` that holds this instant, counted from 1970.
    /// A window of a day starts at midnight UTC.
    pub fn window(self, window: Duration) -> Self {
        let length = i64::try_from(window.whole_microseconds())
            .unwrap_or(i64::MAX)
            .max(1);
        Self(self.0 - self.0.rem_euclid(length))
    }
}

/// The short English name of a month.
pub const fn month(month: time::Month) -> &'static str {
    const NAMES: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    NAMES[month as usize - 1]
}

impl From<OffsetDateTime> for Timestamp {
    fn from(at: OffsetDateTime) -> Self {
        Self(i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_starts_at_its_multiple() {
        let day = Duration::days(1);
        let noon = Timestamp::from_micros(0).plus(Duration::hours(36));
        assert_eq!(noon.window(day), Timestamp::from_micros(0).plus(day));
        assert_eq!(noon.window(day).window(day), noon.window(day));
    }

    #[test]
    fn days_are_read_and_written() {
        for day in ["1970-01-01", "2026-11-25", "2028-02-29", "9999-12-31"] {
            let start = Timestamp::start_of_day(day);
            assert_eq!(start.map(Timestamp::day).as_deref(), Some(day));
            assert_eq!(start.map(|it| it.window(Duration::days(1))), start);
        }
        for bad in [
            "",
            "2026",
            "2026-11",
            "2026-13-01",
            "2026-02-29",
            "2026-11-25-1",
            "25.11.2026",
            "1969-12-31",
            "10000-01-01",
            "+2026-1-1",
            "2026-1-\u{661}",
            "2026-300-1",
            "99999999-1-1",
        ] {
            assert_eq!(Timestamp::start_of_day(bad), None, "{bad}");
        }
    }

    /// What PostgreSQL and the calendar form cannot hold comes only from an address somebody has written.
    #[test]
    fn the_calendar_ends_with_the_year_9999() {
        let last = Timestamp::start_of_day("9999-12-31")
            .map_or(Timestamp::from_micros(0), |day| day.plus(Duration::DAY));
        assert!(last.minus(Duration::MICROSECOND).in_calendar());
        assert!(!last.in_calendar());
        let first = Timestamp::from_micros(0);
        assert!(first.in_calendar());
        assert!(!first.minus(Duration::MICROSECOND).in_calendar());
    }

    #[test]
    fn calendar_form_and_back() {
        let at = Timestamp::from_micros(1_800_000_000_123_456);
        assert_eq!(Timestamp::from(at.utc()), at);
    }
}
