//! Times of quotes, as they are written.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::super::calendar::{DAY_NS, SECOND_NS};
use crate::array::day_number;
use crate::error::{Error, Result};

/// The unit of times that count from 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochUnit {
    /// Seconds, with a fraction or without.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}

const UNITS: [(EpochUnit, &str, i64); 4] = [
    (EpochUnit::S, "s", SECOND_NS),
    (EpochUnit::Ms, "ms", 1_000_000),
    (EpochUnit::Us, "us", 1_000),
    (EpochUnit::Ns, "ns", 1),
];

impl EpochUnit {
    pub(super) fn ns(self) -> i64 {
        UNITS.iter().find(|(unit, ..)| *unit == self).map_or(1, |(.., ns)| *ns)
    }

    /// The unit in which a count is a time from 1990 to 2100: there is one at most.
    pub(super) fn of(count: i64) -> Option<Self> {
        const RANGE_S: std::ops::Range<i64> = 631_152_000..4_102_444_800;
        let fits = |ns: i64| RANGE_S.contains(&(count / (SECOND_NS / ns)));
        UNITS.iter().find(|(.., ns)| fits(*ns)).map(|(unit, ..)| *unit)
    }
}

impl fmt::Display for EpochUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(UNITS.iter().find(|(unit, ..)| unit == self).map_or("", |(_, name, _)| name))
    }
}

impl FromStr for EpochUnit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = UNITS.iter().find(|(_, name, _)| *name == text);
        let wrong = || Error::invalid("time unit", "s, ms, us or ns", format!("{text:?}"));
        found.map(|(unit, ..)| *unit).ok_or_else(wrong)
    }
}

/// What becomes of times that clocks show twice, when they are set back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShownTwice {
    /// Their lines are skipped, and named.
    #[default]
    Refuse,
    /// They are the first of the two.
    Earliest,
    /// They are the second.
    Latest,
}

impl FromStr for ShownTwice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "refuse" => Ok(ShownTwice::Refuse),
            "earliest" => Ok(ShownTwice::Earliest),
            "latest" => Ok(ShownTwice::Latest),
            _ => {
                let expected = "refuse, earliest or latest";
                Err(Error::invalid("ambiguous", expected, format!("{text:?}")))
            }
        }
    }
}

/// A zone, how many ns clocks are ahead of it, and what a time is that they show twice.
#[derive(Debug, Clone)]
pub(super) struct Zone {
    pub(super) zone: TimeZone,
    pub(super) ahead_ns: i64,
    pub(super) twice: ShownTwice,
}

impl From<TimeZone> for Zone {
    fn from(zone: TimeZone) -> Self {
        Zone { zone, ahead_ns: 0, twice: ShownTwice::Refuse }
    }
}

/// The zone of a name: one of the IANA's, with hours ahead of it as `America/New_York+7`, or an offset as `-05:00`.
///
/// # Errors
/// [`Error::Invalid`].
pub(super) fn zone(name: &str) -> Result<Zone> {
    let ahead = name.rsplit_once('+').filter(|(zone, _)| zone.contains('/'));
    if let Some((of, hours)) = ahead {
        let hours = hours.parse::<i64>().ok().filter(|hours| *hours < 24);
        let hours = hours.ok_or_else(|| {
            Error::invalid("time zone", "hours ahead, as America/New_York+7", format!("{name:?}"))
        })?;
        return Ok(Zone { ahead_ns: hours * 3600 * SECOND_NS, ..zone(of)? });
    }
    let offset = || -> Option<TimeZone> {
        let (sign, rest) = match name.as_bytes().first()? {
            b'+' => (1, &name[1..]),
            b'-' => (-1, &name[1..]),
            _ => return None,
        };
        let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "0"));
        let seconds =
            hours.parse::<u16>().ok()? as i32 * 3600 + minutes.parse::<u16>().ok()? as i32 * 60;
        Offset::from_seconds(sign * seconds).ok().map(TimeZone::fixed)
    };
    let wrong = || Error::invalid("time zone", "UTC, Europe/Berlin or -05:00", format!("{name:?}"));
    offset().or_else(|| TimeZone::get(name).ok()).map(Zone::from).ok_or_else(wrong)
}

/// How the times of a file are read.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    pub(super) form: Form,
    /// Of times that say no offset.
    pub(super) zone: Option<Zone>,
}

#[derive(Debug, Clone)]
pub(super) enum Form {
    /// As clocks show it; see [`wall`].
    Wall,
    Epoch(EpochUnit),
    Format(String),
}

impl Clock {
    /// The time of a text, in ns since 1970 UTC; why it is none.
    pub(super) fn read(&self, text: &str) -> Result<i64, String> {
        let (ns, offset_s) = match &self.form {
            Form::Epoch(unit) => {
                let expected = || format!("a count of {unit} since 1970, up to the year 2262");
                return epoch(text, *unit).ok_or_else(|| none(&expected(), text));
            }
            Form::Wall => wall(text).ok_or_else(|| none("a time", text))?,
            Form::Format(format) => by_format(format, text)?,
        };
        match (offset_s, &self.zone) {
            (Some(offset_s), _) => {
                ns.checked_sub(offset_s * SECOND_NS).ok_or_else(|| none("a time", text))
            }
            (None, Some(zone)) => in_zone(ns, zone, text),
            (None, None) => Err(none("a time with an offset from UTC (or --tz)", text)),
        }
    }
}

fn none(expected: &str, text: &str) -> String {
    format!("time: expected {expected}, got {:?}", text.chars().take(40).collect::<String>())
}

/// A count of a unit, with decimals or without, to the ns.
fn epoch(text: &str, unit: EpochUnit) -> Option<i64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let count = whole.parse::<i64>().ok()?;
    if EpochUnit::of(count).is_some_and(|other| other != unit) {
        return None; // a line of another unit
    }
    let ns = count.checked_mul(unit.ns())?;
    let digits = unit.ns().ilog10() as usize;
    let decimals = decimals.get(..digits.min(decimals.len()))?;
    if decimals.is_empty() {
        return Some(ns);
    }
    let part =
        decimals.bytes().all(|b| b.is_ascii_digit()).then(|| decimals.parse::<i64>().ok())??;
    let part = part * 10i64.pow((digits - decimals.len()) as u32);
    ns.checked_add(if whole.starts_with('-') { -part } else { part })
}

fn by_format(format: &str, text: &str) -> Result<(i64, Option<i64>), String> {
    let wrong = |_| none(&format!("a time as {format}"), text);
    let parsed = jiff::fmt::strtime::parse(format, text).map_err(wrong)?;
    let offset_s = parsed.offset().map(|offset| i64::from(offset.seconds()));
    let at = parsed.to_datetime().map_err(wrong)?;
    Ok((ns_of(at).ok_or_else(|| none("a time from 1677 to 2262", text))?, offset_s))
}

fn ns_of(at: DateTime) -> Option<i64> {
    let time = at.time();
    let second =
        i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    let day = day_number(at.date()).checked_mul(DAY_NS)?;
    day.checked_add(second * SECOND_NS + i64::from(time.subsec_nanosecond()))
}

/// What clocks of a zone show, as UTC.
pub(super) fn in_zone(ns: i64, of: &Zone, text: &str) -> Result<i64, String> {
    let Zone { zone, ahead_ns, twice } = of;
    let ns = ns.checked_sub(*ahead_ns).ok_or_else(|| none("a time", text))?;
    if let Ok(offset) = zone.to_fixed_offset() {
        return ns
            .checked_sub(i64::from(offset.seconds()) * SECOND_NS)
            .ok_or_else(|| none("a time", text));
    }
    let at = jiff::Timestamp::from_nanosecond(i128::from(ns)).map_err(|_| none("a time", text))?;
    let at = Offset::UTC.to_datetime(at);
    let found = zone.to_ambiguous_timestamp(at);
    let ambiguous = found.offset();
    let found = match (ambiguous, twice) {
        (AmbiguousOffset::Fold { .. }, ShownTwice::Earliest) => found.earlier(),
        (AmbiguousOffset::Fold { .. }, ShownTwice::Latest) => found.later(),
        _ => found.unambiguous(),
    };
    let found = found.map_err(|_| match ambiguous {
        AmbiguousOffset::Gap { .. } => {
            none("a time that clocks of the zone show (they skip this hour)", text)
        }
        _ => none("a time that clocks of the zone show once (--ambiguous says which of two)", text),
    })?;
    i64::try_from(found.as_nanosecond()).map_err(|_| none("a time from 1677 to 2262", text))
}

/// A date and a time of the day, as ns since 1970 of what clocks show, and the offset from UTC in seconds if it is said:
/// `20120201 000003660`, `2024.03.01 00:00:00.060`, `01.03.2013 00:00:00.605 GMT-0000`, `2024-03-01T00:00:00Z`. Dots
/// between day, month and year tell their order; of other dates the year comes first.
pub(super) fn wall(text: &str) -> Option<(i64, Option<i64>)> {
    let mut rest = Rest(text.as_bytes());
    let date = match rest.digits_ahead() {
        8 => {
            Date::new(rest.number(4)? as i16, rest.number(2)? as i8, rest.number(2)? as i8).ok()?
        }
        4 => {
            let (year, mark) = (rest.number(4)?, rest.any(b"-./")?);
            let month = rest.number(2)?;
            rest.any(&[mark])?;
            Date::new(year as i16, month as i8, rest.number(2)? as i8).ok()?
        }
        2 => {
            let day = rest.number(2)?;
            rest.any(b".")?;
            let month = rest.number(2)?;
            rest.any(b".")?;
            Date::new(rest.number(4)? as i16, month as i8, day as i8).ok()?
        }
        _ => return None,
    };
    let mut ns = day_number(date).checked_mul(DAY_NS)?;
    if rest.any(b"T ").is_some() {
        let hour = rest.number(2)?;
        let is_parted = rest.any(b":").is_some();
        let minute = rest.number(2)?;
        let has_second = if is_parted { rest.any(b":").is_some() } else { true };
        let second = if has_second { rest.number(2)? } else { 0 };
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let has_fraction =
            has_second && (rest.any(b".,").is_some() || (!is_parted && rest.digits_ahead() > 0));
        let fraction = if has_fraction { rest.fraction()? } else { 0 };
        ns = ns.checked_add((hour * 3600 + minute * 60 + second) * SECOND_NS + fraction)?;
    }
    Some((ns, rest.offset()?))
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn digits_ahead(&self) -> usize {
        self.0.iter().take_while(|byte| byte.is_ascii_digit()).count()
    }

    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
    }

    fn any(&mut self, marks: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        marks.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    /// Digits behind the point, as ns.
    fn fraction(&mut self) -> Option<i64> {
        let digits = self.digits_ahead();
        let n = if (1..=9).contains(&digits) { self.number(digits)? } else { return None };
        Some(n * 10i64.pow(9 - digits as u32))
    }

    /// `Z`, `UTC`, `GMT`, `+01:00`, `GMT-0500` at the end, or nothing; the outer `None` for anything else.
    fn offset(mut self) -> Option<Option<i64>> {
        self.0 = self.0.trim_ascii_start();
        if self.0.is_empty() {
            return Some(None);
        }
        for name in [&b"Z"[..], b"UTC", b"GMT"] {
            if let Some(rest) = self.0.strip_prefix(name) {
                self.0 = rest;
                if rest.is_empty() {
                    return Some(Some(0));
                }
                break;
            }
        }
        let sign = if self.any(b"+-")? == b'-' { -1 } else { 1 };
        let hours = self.number(2)?;
        self.any(b":");
        let minutes = if self.0.is_empty() { 0 } else { self.number(2)? };
        (self.0.is_empty() && hours < 24 && minutes < 60)
            .then_some(Some(sign * (hours * 3600 + minutes * 60)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: times of the known formats are read to the digit, and what is none is none.
    #[test]
    fn times_are_read_as_they_are_written() {
        let ns = |text: &str| {
            let time: jiff::Timestamp = text.parse().unwrap();
            time.as_nanosecond() as i64
        };
        for (text, at, offset) in [
            ("20120201 000003660", "2012-02-01T00:00:03.66Z", None),
            ("20120201 235959", "2012-02-01T23:59:59Z", None),
            ("2024.03.01 00:00:00.060", "2024-03-01T00:00:00.06Z", None),
            ("2011.12.08 18:49", "2011-12-08T18:49:00Z", None),
            ("01.03.2013 00:00:00.605 GMT-0000", "2013-03-01T00:00:00.605Z", Some(0)),
            ("01.03.2013 00:00:00.605 GMT+0100", "2013-03-01T00:00:00.605Z", Some(3600)),
            ("2024-03-01T10:00:00.123456789Z", "2024-03-01T10:00:00.123456789Z", Some(0)),
            ("2024-03-01 10:00:00-05:30", "2024-03-01T10:00:00Z", Some(-19_800)),
            ("2024-03-01", "2024-03-01T00:00:00Z", None),
        ] {
            assert_eq!(wall(text), Some((ns(at), offset)), "{text}");
        }
        for text in [
            "",
            "x",
            "2024-13-01",
            "2024-03-01 24:00:00",
            "2024-03-01 10:60:00",
            "01/03/2013 00:00:00",
            "1709251200",
            "2024.03-01 10:00",
            "2024-03-01 10:00:00.",
            "2024-03-01 10:00:00.1234567890",
            "2024-03-01 10:00:00 CET",
            "2024-03-01 10:00:00+25:00",
            "2024-03-01é",
        ] {
            assert_eq!(wall(text), None, "{text}");
        }
        let clock = |zone: &str| Clock { form: Form::Wall, zone: Some(super::zone(zone).unwrap()) };
        assert_eq!(clock("-05:00").read("20120701 000000"), Ok(ns("2012-07-01T05:00:00Z")));
        assert_eq!(
            clock("America/New_York").read("20120701 000000"),
            Ok(ns("2012-07-01T04:00:00Z"))
        );
        // A server of New York's days: seven hours ahead of it, with its change of clocks.
        assert_eq!(
            clock("America/New_York+7").read("20240320 000000"),
            Ok(ns("2024-03-19T21:00:00Z"))
        );
        assert_eq!(
            clock("America/New_York+7").read("20240105 000000"),
            Ok(ns("2024-01-04T22:00:00Z"))
        );
        let twice = clock("America/New_York").read("2012-11-04 01:30:00").unwrap_err();
        assert!(twice.contains("show once"), "{twice}");
        let [one, other] = [ShownTwice::Earliest, ShownTwice::Latest].map(|twice| {
            let zone = Some(Zone { twice, ..zone("America/New_York").unwrap() });
            let clock = Clock { form: Form::Wall, zone };
            let never = clock.read("2012-03-11 02:30:00").unwrap_err();
            assert!(never.contains("they skip this hour"), "{never}");
            clock.read("2012-11-04 01:30:00").unwrap()
        });
        assert_eq!((one, other - one), (1_352_007_000 * SECOND_NS, 3600 * SECOND_NS));
        let epoch = Clock { form: Form::Epoch(EpochUnit::Ms), zone: None };
        assert_eq!(epoch.read("1709251200123"), Ok(1_709_251_200_123_000_000));
        assert!(epoch.read("x").is_err() && epoch.read("9223372036854775807").is_err());
        for (text, unit, ns) in [
            ("1709251200.123456789", EpochUnit::S, 1_709_251_200_123_456_789),
            ("1709251200906.75", EpochUnit::Ms, 1_709_251_200_906_750_000),
            ("-1.5", EpochUnit::S, -1_500_000_000),
            ("1.", EpochUnit::S, 1_000_000_000),
            ("7.0", EpochUnit::Ns, 7),
        ] {
            assert_eq!(super::epoch(text, unit), Some(ns), "{text}");
        }
        assert_eq!(super::epoch("1.7e9", EpochUnit::S), None);
        let by_format = Clock {
            form: Form::Format("%d/%m/%Y %H:%M:%S%.f".into()),
            zone: Some(TimeZone::UTC.into()),
        };
        assert_eq!(by_format.read("02/03/2024 10:00:00.5"), Ok(ns("2024-03-02T10:00:00.5Z")));
        assert!(by_format.read("2024-03-02").is_err());
    }

    /// Goal: a count is of one unit at most.
    #[test]
    fn the_unit_of_a_count_is_told_by_its_size() {
        for (count, unit) in [
            (1_709_251_200, Some(EpochUnit::S)),
            (1_709_251_200_123, Some(EpochUnit::Ms)),
            (1_735_689_600_123_456, Some(EpochUnit::Us)),
            (1_735_689_600_123_456_789, Some(EpochUnit::Ns)),
            (12_345, None),
        ] {
            assert_eq!(EpochUnit::of(count), unit, "{count}");
        }
    }
}
