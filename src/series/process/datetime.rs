//! Local time, and times as people write them.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::time_index::DAY_NS;
use crate::array::day_number;
use crate::error::{Error, Result};
use crate::kernel::near::near;

/// Seconds of a day without a change of clocks.
pub(super) const DAY_SECONDS: i64 = 86_400;
const NS: i128 = 1_000_000_000;

/// A time as people write it, in nanoseconds since 1970-01-01 UTC.
///
/// `2010-03-13`, `2010-03-13 05:00`, `2010-03-13T05:00:00.25`, `20100313`, `2010-03`, `2010`, each with `Z`, `+01:00`, `+0100` or
/// `+01` behind it if it likes: the begin of what was named. A text without an offset is local time of `zone` (a name of
/// the time zone database, `UTC` or an offset as `+01:00`), or UTC if there is none.
///
/// # Errors
/// [`Error::Invalid`] for another text, an unknown zone, a date that does not exist, or a time outside of 1677 to 2262.
///
/// # Example
/// ```
/// use siltstone::series::process::parse_time;
/// assert_eq!(parse_time("1970-01-02", None)?, 86_400_000_000_000);
/// assert_eq!(parse_time("1970-01-01 01:00:00.5", Some("Europe/Paris"))?, 500_000_000);
/// assert_eq!(parse_time("1970-01-01T01:00+01:00", Some("Asia/Tokyo"))?, 0);
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn parse_time(text: &str, zone: Option<&str>) -> Result<i64> {
    let period = Period::parse(text)?;
    let (begin, _) = period.instants(&zone.map(Zone::parse).transpose()?.unwrap_or_default())?;
    i64::try_from(begin)
        .map_err(|_| Error::invalid("a time", "one from 1677 to 2262, as ns are", text))
}

/// The end of a range of times that is cancelled to this text, in ns since 1970 UTC; the range holds what is before it. Of a
/// date, a month or a year it is the end of that, since all of it is meant; of a time it is that time.
///
/// # Errors
/// As [`parse_time`].
///
/// # Example
/// ```
/// use siltstone::series::process::parse_time_end;
/// assert_eq!(parse_time_end("1970-01-01", None)?, 86_400_000_000_000);
/// assert_eq!(parse_time_end("1970-01-01 01:00", None)?, 3_600_000_000_000);
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn parse_time_end(text: &str, zone: Option<&str>) -> Result<i64> {
    let period = Period::parse(text)?;
    if period.end - period.begin < DAY_NS {
        return parse_time(text, zone);
    }
    let (_, end) = period.instants(&zone.map(Zone::parse).transpose()?.unwrap_or_default())?;
    i64::try_from(end)
        .map_err(|_| Error::invalid("a time", "one from 1677 to 2262, as ns are", text))
}

/// A time zone; none for times that know of no zone.
#[derive(Debug, Clone, Default)]
pub(super) struct Zone(Option<TimeZone>);

impl Zone {
    /// The zone of this name.
    pub(super) fn parse(name: &str) -> Result<Self> {
        let unknown = || {
            let names: Vec<String> =
                jiff::tz::db().available().map(|name| name.to_string()).collect();
            let hint = match near(name, &names) {
                Some(near) => format!("; near it: {near}"),
                None => " as Europe/Madrid".to_owned(),
            };
            let expected =
                format!("UTC, an offset as +01:00, or a name of the IANA time zone database{hint}");
            Error::invalid("a time zone", expected, format!("{name:?}"))
        };
        if ["UTC", "Z"].contains(&name) {
            return Ok(Zone(Some(TimeZone::UTC)));
        }
        let offset = name.strip_prefix("UTC").unwrap_or(name);
        if offset.starts_with(['+', '-']) {
            let seconds = Cursor(offset).offset_seconds().ok_or_else(unknown)?;
            let offset = Offset::from_seconds(seconds).map_err(|_| unknown())?;
            return Ok(Zone(Some(TimeZone::fixed(offset))));
        }
        TimeZone::get(name).map(|zone| Zone(Some(zone))).map_err(|_| unknown())
    }

    /// Whether its times know of no zone.
    pub(super) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// What a clock of the zone shows at a second since 1970 UTC, in seconds since its own 1970.
    pub(super) fn to_wall(&self, second: i64) -> Result<i64> {
        let Some(zone) = &self.0 else { return Ok(second) };
        let offset = zone.to_offset(timestamp(second)?);
        Ok(second + i64::from(offset.seconds()))
    }

    /// The second since 1970 UTC at which a clock of the zone shows this.
    pub(super) fn to_instant(&self, wall: i64) -> Result<i64> {
        let Some(zone) = &self.0 else { return Ok(wall) };
        let shown = zone.to_ambiguous_timestamp(datetime(wall)?);
        let first = shown.earlier().map_err(|_| out_of_range(wall))?;
        let instant = match shown.offset() {
            // No clock shows it: the change of the clocks, which follows the time that it would have been.
            AmbiguousOffset::Gap { .. } => {
                zone.following(first).next().map_or(first, |change| change.timestamp())
            }
            _ => first,
        };
        Ok(instant.as_second())
    }

    /// A time in ns since 1970 UTC, as a text.
    pub(super) fn show(&self, ns: i128) -> String {
        let Ok(time) = Timestamp::from_nanosecond(ns) else { return format!("{ns} ns since 1970") };
        match &self.0 {
            None => Offset::UTC.to_datetime(time).to_string(),
            Some(zone) => time.display_with_offset(zone.to_offset(time)).to_string(),
        }
    }

    /// The day of a second since 1970 UTC, counted from 1970-01-01.
    pub(super) fn day(&self, second: i64) -> Result<i64> {
        Ok(self.to_wall(second)?.div_euclid(DAY_SECONDS))
    }

    /// The second since 1970 UTC at which a day begins.
    pub(super) fn start_of_day(&self, day: i64) -> Result<i64> {
        self.to_instant(day.checked_mul(DAY_SECONDS).ok_or_else(|| out_of_range(day))?)
    }
}

fn timestamp(second: i64) -> Result<Timestamp> {
    Timestamp::from_second(second).map_err(|_| out_of_range(second))
}

/// What a clock shows, as a date and a time.
fn datetime(wall: i64) -> Result<DateTime> {
    Ok(Offset::UTC.to_datetime(timestamp(wall)?))
}

/// The refusal of a time that no calendar of ours reaches.
pub(super) fn out_of_range(second: i64) -> Error {
    let expected = "one of the years -9999 to 9999 that its unit can hold";
    Error::invalid("a time", expected, format!("{second} seconds since 1970"))
}

/// The month of a day, counted from the year 0.
pub(super) fn month_of(day: i64) -> Result<i64> {
    let date = datetime(day.checked_mul(DAY_SECONDS).ok_or_else(|| out_of_range(day))?)?;
    Ok(i64::from(date.year()) * 12 + i64::from(date.month()) - 1)
}

/// The first day of a month that is counted from the year 0.
pub(super) fn first_day(month: i64) -> Result<i64> {
    let year = i16::try_from(month.div_euclid(12)).ok();
    let date = year.and_then(|year| Date::new(year, month.rem_euclid(12) as i8 + 1, 1).ok());
    let date = date.ok_or_else(|| out_of_range(month.saturating_mul(30 * DAY_SECONDS)))?;
    Ok(day_number(date))
}

/// What a text names: a year, a month, a day, ..., a nanosecond.
#[derive(Debug, Clone)]
pub(super) struct Period {
    text: String,
    /// What clocks show when it begins, and when it is over; in ns.
    begin: i128,
    end: i128,
    /// The offset that stands in the text, in seconds.
    offset: Option<i32>,
}

impl Period {
    /// Reads a text.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let read = Cursor(text.trim()).period().ok_or_else(|| {
            let expected = "a time as 2010-03-13 05:00:00, or the begin of one as 2010-03";
            Error::invalid("a time", expected, format!("{text:?}"))
        });
        let (begin, end, offset) = read?;
        Ok(Period { text: text.to_owned(), begin, end, offset })
    }

    /// When it begins and when it is over, in ns since 1970 UTC, for times of this zone.
    pub(super) fn instants(&self, zone: &Zone) -> Result<(i128, i128)> {
        let instant = |wall: i128| -> Result<i128> {
            let (second, ns) = (wall.div_euclid(NS), wall.rem_euclid(NS));
            let second = i64::try_from(second).map_err(|_| out_of_range(i64::MAX))?;
            Ok(match self.offset {
                Some(offset) => i128::from(second) - i128::from(offset),
                None => i128::from(zone.to_instant(second)?),
            } * NS
                + ns)
        };
        Ok((instant(self.begin)?, instant(self.end)?))
    }

    /// Refuses a time with an offset where times know of no zone.
    pub(super) fn fits(self, zone: &Zone) -> Result<Self> {
        if zone.is_none() && self.offset.is_some() {
            let expected = "one without an offset, since the index has no time zone";
            return Err(Error::invalid("a time", expected, format!("{:?}", self.text)));
        }
        Ok(self)
    }
}

/// What is left of a text.
pub(in crate::series) struct Cursor<'a>(pub(in crate::series) &'a str);

impl Cursor<'_> {
    /// Takes one of these characters away.
    pub(in crate::series) fn take(&mut self, any: &[char]) -> bool {
        let rest = self.0.strip_prefix(any);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Takes this many digits.
    pub(in crate::series) fn digits(&mut self, count: usize) -> Option<i64> {
        let (head, rest) = self.0.split_at_checked(count)?;
        let number =
            head.bytes().all(|byte| byte.is_ascii_digit()).then(|| head.parse().ok())??;
        self.0 = rest;
        Some(number)
    }

    /// Takes one digit, or two.
    pub(in crate::series) fn one_or_two(&mut self) -> Option<i64> {
        self.digits(2).or_else(|| self.digits(1))
    }

    /// Begin and end in ns of local time, and the offset in seconds.
    fn period(mut self) -> Option<(i128, i128, Option<i32>)> {
        let year = self.digits(4)?;
        let mark = ['-', '/'].into_iter().find(|mark| self.0.starts_with(*mark));
        let basic = self.0.starts_with(|c: char| c.is_ascii_digit());
        let mut parts = [year, 1, 1, 0, 0, 0];
        let mut given = 1;
        if basic {
            parts[1] = self.digits(2)?;
            parts[2] = self.digits(2)?;
            given = 3;
        } else if let Some(mark) = mark {
            while given < 3 && self.take(&[mark]) {
                parts[given] = self.one_or_two()?;
                given += 1;
            }
        }
        let mut fraction = (0, 0);
        let is_digit = |c: char| c.is_ascii_digit();
        // Behind a space may be a time or an offset.
        let spaced = self.0.strip_prefix(' ').is_some_and(|rest| rest.starts_with(is_digit));
        if given == 3 && (self.take(&['T', 't']) || (spaced && self.take(&[' ']))) {
            parts[3] = self.one_or_two()?;
            given = 4;
            while given < 6 && self.take(&[':']) {
                parts[given] = self.digits(2)?;
                given += 1;
            }
            if given == 6 && self.take(&['.', ',']) {
                fraction = self.fraction()?;
            }
        }
        let offset = (given > 3 || !self.0.is_empty()).then(|| self.offset()).flatten();
        if !self.0.is_empty() {
            return None;
        }
        let (begin, end) = bounds(parts, given, fraction)?;
        Some((begin, end, offset))
    }

    /// The ns behind a decimal point, and the ns of the last digit as a computer counts: milli, micro or nano.
    pub(in crate::series) fn fraction(&mut self) -> Option<(i64, i64)> {
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        if !(1..=9).contains(&digits) {
            return None;
        }
        let ns = self.digits(digits)? * 10_i64.pow(9 - digits as u32);
        Some((ns, 10_i64.pow(9 - digits.div_ceil(3) as u32 * 3)))
    }

    /// An offset at the end of a text; it is left where it is if it is none.
    fn offset(&mut self) -> Option<i32> {
        self.0 = self.0.trim_start();
        if self.take(&['Z', 'z']) {
            return Some(0);
        }
        let mut ahead = Cursor(self.0);
        let seconds = ahead.offset_seconds()?;
        self.0 = "";
        Some(seconds)
    }

    /// `+01:00`, `+0100` or `+01`, and nothing behind it.
    pub(in crate::series) fn offset_seconds(&mut self) -> Option<i32> {
        let sign = if self.take(&['-']) { -1 } else { self.take(&['+']).then_some(1)? };
        let hours = self.digits(2)?;
        let minutes = match self.0.is_empty() {
            true => 0,
            false => {
                self.take(&[':']);
                self.digits(2)?
            }
        };
        let fits = self.0.is_empty() && hours < 24 && minutes < 60;
        fits.then_some(sign * (hours as i32 * 3600 + minutes as i32 * 60))
    }
}

/// Begin and end of what is named by so many parts of a time, in ns of local time.
fn bounds(parts: [i64; 6], given: usize, (ns, last_digit): (i64, i64)) -> Option<(i128, i128)> {
    let [year, month, day, hour, minute, second] = parts;
    let date = Date::new(year as i16, month as i8, day as i8).ok()?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let begin = day_number(date) * DAY_SECONDS + hour * 3600 + minute * 60 + second;
    let seconds = match given {
        1 | 2 => {
            let months = year * 12 + month - 1 + if given == 1 { 12 } else { 1 };
            first_day(months).ok()? * DAY_SECONDS - begin
        }
        3 => DAY_SECONDS,
        4 => 3600,
        5 => 60,
        _ => 1,
    };
    let begin = i128::from(begin) * NS + i128::from(ns);
    let length = if last_digit > 0 { last_digit.into() } else { i128::from(seconds) * NS };
    Some((begin, begin + length))
}

/// When clocks show a time, in seconds since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::series) enum Shown {
    Once(i64),
    /// They are set back: first and second time.
    Twice(i64, i64),
    /// They are set forward: the instant of the change.
    Never(i64),
}

/// The times of one zone, as texts: what files hold.
#[derive(Debug, Clone, Default)]
pub(in crate::series) struct Clock(Zone);

impl Clock {
    /// Of this zone; without one, times that know of no zone.
    pub(in crate::series) fn of(zone: Option<&str>) -> Result<Self> {
        Ok(Clock(zone.map(Zone::parse).transpose()?.unwrap_or_default()))
    }

    /// What a text says, in ns since 1970 UTC. A text without an offset is local time of the zone.
    pub(in crate::series) fn read_ns(&self, text: &str) -> Result<i128> {
        Ok(Period::parse(text)?.instants(&self.0)?.0)
    }

    /// When clocks of the zone show this second of their own time.
    pub(in crate::series) fn shown(&self, wall: i64) -> Result<Shown> {
        let Some(zone) = &self.0.0 else { return Ok(Shown::Once(wall)) };
        let shown = zone.to_ambiguous_timestamp(datetime(wall)?);
        let at = |time: std::result::Result<Timestamp, jiff::Error>| {
            time.map(Timestamp::as_second).map_err(|_| out_of_range(wall))
        };
        Ok(match shown.offset() {
            AmbiguousOffset::Unambiguous { .. } => Shown::Once(at(shown.earlier())?),
            AmbiguousOffset::Fold { .. } => Shown::Twice(at(shown.earlier())?, at(shown.later())?),
            AmbiguousOffset::Gap { .. } => Shown::Never(self.0.to_instant(wall)?),
        })
    }

    /// `2010-03-13 05:00:00.25-08:00`, of a number of such parts of a second since 1970 UTC; the offset where there is
    /// a zone.
    pub(in crate::series) fn write(&self, value: i64, per_second: i64) -> Result<String> {
        let (second, part) = (value.div_euclid(per_second), value.rem_euclid(per_second));
        let wall = self.0.to_wall(second)?;
        let mut text = datetime(wall)?.strftime("%Y-%m-%d %H:%M:%S").to_string();
        if part != 0 {
            let digits = per_second.ilog10() as usize;
            text.push_str(&format!(".{part:0digits$}"));
        }
        if !self.0.is_none() {
            let minutes = (wall - second) / 60;
            let sign = if minutes < 0 { '-' } else { '+' };
            text.push_str(&format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a text names a span, from a year to a nanosecond, and what is no time is refused.
    #[test]
    fn a_text_names_a_span() {
        let length = |text: &str| {
            let (begin, end) = Period::parse(text).unwrap().instants(&Zone::default()).unwrap();
            end - begin
        };
        let day = 86_400 * NS;
        for (text, ns) in [
            ("2012", 366 * day),
            ("2010-02", 28 * day),
            ("2010-12", 31 * day),
            ("2010-03-13", day),
            ("20100313", day),
            ("2010-03-13Z", day),
            ("2010/03/13", day),
            ("2010-3-13", day),
            ("2010-03-13 5:30", 60 * NS),
            ("2010-03-13T05", 3600 * NS),
            ("2010-03-13 05:30", 60 * NS),
            ("2010-03-13 05:30:01", NS),
            ("2010-03-13 05:30:01.2", 1_000_000),
            ("2010-03-13 05:30:01.2345", 1_000),
            ("2010-03-13 05:30:01.2345678", 1),
        ] {
            assert_eq!(length(text), ns, "{text}");
        }
        for text in [
            "",
            "x",
            "2010-",
            "2010-13",
            "2010-02-30",
            "2010-03-13 24:00",
            "2010-03-13 5:3",
            "2010-03-13 05:30:01.",
            "2010-03-13 05:30 +1",
            "2010-03-13 05:30 Paris",
            "201",
            "20101",
            "2010-03-13T",
            "2010-03-13 05:30:01.1234567890",
            "9999-12-31x",
            "2010é",
        ] {
            if let Ok(period) = Period::parse(text) {
                panic!("{text:?} was taken for {period:?}");
            }
        }
    }

    /// Goal: local time is that of the zone, also on the days of a change.
    #[test]
    fn local_time_is_that_of_the_zone() {
        let zone = Some("America/Los_Angeles");
        let hour = 3_600_000_000_000;
        let before = parse_time("2010-03-14 00:00", zone).unwrap();
        assert_eq!(parse_time("2010-03-15", zone).unwrap() - before, 23 * hour);
        // 02:30 does not come: it is the change, at 02:00.
        assert_eq!(parse_time("2010-03-14 02:30", zone).unwrap() - before, 2 * hour);
        // 01:30 comes twice: it is the first.
        let before = parse_time("2010-11-07", zone).unwrap();
        assert_eq!(parse_time("2010-11-07 01:30", zone).unwrap() - before, hour + hour / 2);
        assert_eq!(parse_time("2010-11-08", zone).unwrap() - before, 25 * hour);
        assert_eq!(parse_time("1970-01-01", Some("+01:00")).unwrap(), -hour);
        assert_eq!(parse_time("1970-01-01", Some("-0130")).unwrap(), hour + hour / 2);
        let error = parse_time("1970-01-01", Some("Atlantis")).unwrap_err().to_string();
        assert!(error.contains("Atlantis"), "{error}");
        assert!(parse_time("3000", None).unwrap_err().to_string().contains("2262"));
    }
}
