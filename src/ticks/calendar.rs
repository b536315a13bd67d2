//! Days and dates, in UTC; no leap seconds.

use jiff::civil::Date;

use crate::array::{date_of_day, day_number};
use crate::kernel::now_ns;

pub(super) const SECOND_NS: i64 = 1_000_000_000;
pub(super) const DAY_NS: i64 = 86_400 * SECOND_NS;

/// A day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Day(pub(super) i64);

impl Day {
    pub(super) fn of(time_ns: i64) -> Self {
        Day(time_ns.div_euclid(DAY_NS))
    }

    /// The first nanosecond that a time can have on this day.
    pub(super) fn first_ns(self) -> i64 {
        self.0.saturating_mul(DAY_NS)
    }

    /// The last one.
    pub(super) fn last_ns(self) -> i64 {
        self.first_ns().saturating_add(DAY_NS - 1)
    }

    pub(super) fn today() -> Self {
        Day::of(now_ns())
    }

    pub(super) fn date(self) -> Date {
        date_of_day(self.0)
    }

    /// Reads `2026-01-19`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let digits = |range: std::ops::Range<usize>| {
            bytes[range]
                .iter()
                .try_fold(0i64, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
        };
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return None;
        }
        let [year, month, day] = [digits(0..4)?, digits(5..7)?, digits(8..10)?];
        Date::new(year as i16, month as i8, day as i8).ok().map(|date| Day(day_number(date)))
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.date().fmt(f)
    }
}

/// The unit that a time was probably given in, if it is not ns: seconds, milliseconds or microseconds since 1970 of the
/// years 2001 to 2128, taken for ns, lie in the first weeks of 1970.
///
/// # Example
/// ```
/// use siltstone::ticks::suspect_unit;
/// assert_eq!(suspect_unit(1_709_287_200_123), Some("ms"));
/// assert_eq!(suspect_unit(1_709_287_200_123_000_000), None);
/// ```
pub fn suspect_unit(time_ns: i64) -> Option<&'static str> {
    if time_ns >= SUSPECT_SECONDS.end * 1_000_000 {
        return None;
    }
    let units = [("s", 1), ("ms", 1_000), ("us", 1_000_000)];
    let unit = units.iter().find(|(_, n)| SUSPECT_SECONDS.contains(&(time_ns / n)));
    unit.map(|(unit, _)| *unit)
}

/// The years 2001 to 2128, in seconds since 1970.
const SUSPECT_SECONDS: std::ops::Range<i64> = 1_000_000_000..5_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: dates and days are inverse to each other, and what is no date is refused.
    #[test]
    fn dates_return() {
        for (text, day) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2000-02-29", 11_016),
            ("2026-01-19", 20_472),
            ("1677-09-21", -106_752),
        ] {
            assert_eq!(Day::parse(text), Some(Day(day)), "{text}");
            assert_eq!(Day(day).to_string(), text);
        }
        for bad in
            ["2026-02-29", "2026-13-01", "2026-00-01", "2026-1-19", "20260119xx", "2026-01-32"]
        {
            assert_eq!(Day::parse(bad), None, "{bad}");
        }
        (-40_000..40_000).for_each(|n| assert_eq!(Day::parse(&Day(n).to_string()), Some(Day(n))));
        assert_eq!(Day::of(-1), Day(-1));
        assert_eq!(Day(-1).last_ns(), -1);
    }
}
