//! Times and time spans as the texts that pandas' `str()` gives.

use std::fmt::Write;

use arrow_schema::TimeUnit;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// 1970-01-01.
const EPOCH: Date = jiff::civil::date(1970, 1, 1);
/// No clock is further from UTC than this.
const DAY_AND_HOUR_S: i64 = 25 * 3_600;

/// Counts of a unit since 1970-01-01 UTC, as texts of local time.
///
/// Without a zone, texts sort as their times do. With one they sort by the clock on the wall.
#[derive(Debug, Clone)]
pub(crate) struct TimeFormat {
    unit: TimeUnit,
    zone: Option<TimeZone>,
}

impl TimeFormat {
    /// For times of this unit. The zone is a name (`Europe/Paris`) or an offset (`+01:00`); in one that is not known
    /// times are written as those of UTC.
    pub(crate) fn new(unit: TimeUnit, zone: Option<&str>) -> Self {
        let known =
            |zone| TimeZone::get(zone).ok().or_else(|| fixed(zone)).unwrap_or(TimeZone::UTC);
        TimeFormat { unit, zone: zone.map(known) }
    }

    /// One time: `2013-01-01 00:00:00`, six or nine digits behind the second where they are needed, and the offset
    /// if there is a zone. A time outside of the years 0 to 9999 is its count.
    pub(crate) fn text(&self, count: i64) -> String {
        let (second, nanosecond) = split(self.unit, count);
        let offset = self.zone.as_ref().map(|zone| offset_s(zone, second));
        let Some(local) = civil(second.saturating_add(offset.unwrap_or(0))) else {
            return count.to_string();
        };
        let mut text = String::with_capacity(35);
        let _ = write!(text, "{:04}-{:02}-{:02} ", local.year(), local.month(), local.day());
        let _ = write!(text, "{:02}:{:02}:{:02}", local.hour(), local.minute(), local.second());
        fraction(&mut text, nanosecond);
        if let Some(offset) = offset {
            let (sign, seconds) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
            let _ = write!(text, "{sign}{:02}:{:02}", seconds / 3_600, seconds / 60 % 60);
            if seconds % 60 != 0 {
                let _ = write!(text, ":{:02}", seconds % 60);
            }
        }
        text
    }

    /// Two texts between which lie those of all times between these two; `None` where texts do not sort as times.
    pub(crate) fn extent(&self, least: i64, greatest: i64) -> Option<(String, String)> {
        let slack = if self.zone.is_some() { DAY_AND_HOUR_S } else { 0 };
        let plain = TimeFormat { unit: TimeUnit::Second, zone: None };
        let (first, last) = (split(self.unit, least).0, split(self.unit, greatest).0);
        let (first, last) = (first.checked_sub(slack)?, last.checked_add(slack + 1)?);
        civil(first).and(civil(last))?;
        Some((plain.text(first), plain.text(last)))
    }
}

/// A span of ns as `1 days 02:00:00`, `-1 days +23:59:59.500000`.
pub(crate) fn span_text(ns: i128) -> String {
    let (second, nanosecond) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
    let (day, second) = (second.div_euclid(86_400), second.rem_euclid(86_400));
    let sign = if day < 0 { "+" } else { "" };
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let mut text = format!("{day} days {sign}{hour:02}:{minute:02}:{second:02}");
    fraction(&mut text, nanosecond as u32);
    text
}

/// The date and the time of day of these seconds, in the years 0 to 9999.
fn civil(second: i64) -> Option<DateTime> {
    let time = EPOCH.at(0, 0, 0, 0).checked_add(SignedDuration::from_secs(second)).ok()?;
    (time.year() >= 0).then_some(time)
}

/// The days of a date since 1970-01-01.
pub(crate) fn day_number(date: Date) -> i64 {
    date.duration_since(EPOCH).as_secs() / 86_400
}

/// The date of a day since 1970-01-01, the first or the last one of the calendar beyond its ends.
pub(crate) fn date_of_day(day: i64) -> Date {
    EPOCH.saturating_add(SignedDuration::from_secs(day.saturating_mul(86_400)))
}

fn offset_s(zone: &TimeZone, second: i64) -> i64 {
    let time = Timestamp::from_second(second).unwrap_or(match second {
        ..0 => Timestamp::MIN,
        _ => Timestamp::MAX,
    });
    zone.to_offset(time).seconds().into()
}

fn fraction(text: &mut String, nanosecond: u32) {
    let _ = match (nanosecond, nanosecond % 1_000) {
        (0, _) => Ok(()),
        (_, 0) => write!(text, ".{:06}", nanosecond / 1_000),
        _ => write!(text, ".{nanosecond:09}"),
    };
}

/// Seconds, and the nanoseconds behind them.
fn split(unit: TimeUnit, count: i64) -> (i64, u32) {
    let units = per_second(unit);
    (count.div_euclid(units), (count.rem_euclid(units) * (1_000_000_000 / units)) as u32)
}

/// How many of a unit are in a second.
pub(crate) fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// `+01:00`, `-05:30`, `+0100`.
fn fixed(zone: &str) -> Option<TimeZone> {
    let (sign, digits) = match zone.as_bytes().first()? {
        b'+' => (1, &zone[1..]),
        b'-' => (-1, &zone[1..]),
        _ => return None,
    };
    let digits = digits.replace(':', "");
    if digits.len() != 4 && digits.len() != 2 {
        return None;
    }
    let number = |part: Option<&str>| part.unwrap_or("0").parse::<i64>().ok();
    let seconds = number(digits.get(..2))? * 3_600 + number(digits.get(2..4))? * 60;
    let offset = Offset::UTC.checked_add(SignedDuration::from_secs(sign * seconds)).ok()?;
    Some(TimeZone::fixed(offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a time is the text that pandas gives it (these were made by pandas 3.1).
    #[test]
    fn times_are_the_texts_of_pandas() {
        let ns = |zone| TimeFormat::new(TimeUnit::Nanosecond, zone);
        let second = 1_000_000_000;
        assert_eq!(ns(None).text(1_356_998_400 * second), "2013-01-01 00:00:00");
        assert_eq!(ns(None).text(500_000_000), "1970-01-01 00:00:00.500000");
        assert_eq!(ns(None).text(-1), "1969-12-31 23:59:59.999999999");
        assert_eq!(ns(Some("UTC")).text(1), "1970-01-01 00:00:00.000000001+00:00");
        let paris = ns(Some("Europe/Paris"));
        assert_eq!(paris.text(1_774_742_400 * second), "2026-03-29 01:00:00+01:00");
        assert_eq!(paris.text(1_774_746_000 * second), "2026-03-29 03:00:00+02:00");
        assert_eq!(ns(Some("-05:30")).text(0), "1969-12-31 18:30:00-05:30");
        assert_eq!(ns(Some("+02")).text(0), "1970-01-01 02:00:00+02:00");
        let seconds = TimeFormat::new(TimeUnit::Second, None);
        assert_eq!(seconds.text(i64::MAX), i64::MAX.to_string());
        assert_eq!(seconds.text(-62_135_596_800), "0001-01-01 00:00:00");
        assert_eq!(seconds.text(253_402_300_799), "9999-12-31 23:59:59");
        assert_eq!(seconds.extent(0, i64::MAX), None);
        assert_eq!(span_text(93_600 * 1_000_000_000), "1 days 02:00:00");
        assert_eq!(span_text(-500_000_000), "-1 days +23:59:59.500000");
    }

    /// Goal: every text lies within the extent of its block, in a zone too, the hour that comes twice included.
    #[test]
    fn texts_lie_within_their_extent() {
        for zone in [None, Some("UTC"), Some("Europe/Paris"), Some("Pacific/Apia"), Some("-12:00")]
        {
            let times = TimeFormat::new(TimeUnit::Millisecond, zone);
            for first in [0, 1_761_436_800_000, 1_325_203_200_000] {
                let (least, greatest) = times.extent(first, first + 7_200_999).unwrap();
                for count in (first..=first + 7_200_999).step_by(333) {
                    let text = times.text(count);
                    assert!(least <= text && text <= greatest, "{least} {text} {greatest}");
                }
            }
        }
    }
}
