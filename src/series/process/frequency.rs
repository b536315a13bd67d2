//! How often: fixed spans, and dates of the calendar.

use std::fmt;

use super::datetime::{first_day, month_of};
use super::time_index::DAY_NS;
use crate::error::{Error, Result};

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];
/// The names of fixed spans, from long to short, with their ns.
const SPANS: [(&str, i128); 6] = [
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// How often, in the language of pandas: `6h`, `15min`, `30D`, `W-SAT`, `MS`, ...
///
/// | text | what |
/// |---|---|
/// | `h`, `min`, `s`, `ms`, `us`, `ns` | spans of fixed length |
/// | `D` | days by the clocks of the zone, of 23 or 25 hours where they change |
/// | `W`, `W-MON` to `W-SUN` | weeks that end on this day (`W` on Sunday) |
/// | `MS`, `ME` | months, named by their first or their last day |
/// | `QS`, `QS-JAN` to `QS-DEC`; `QE`, `QE-JAN` to ... | quarters of which one begins with (ends with) this month |
/// | `YS`, `YS-JAN` to ...; `YE`, `YE-JAN` to ... | years that begin with (end with) this month |
///
/// A number in front multiplies (`2W`, `1.5h`), fixed spans add up (`2h30min`). The names of older versions of pandas are
/// understood: `H`, `T`, `S`, `L`, `U`, `N`, `M`, `Q`, `A`, `Y`, `AS`. `Display` is the name that pandas 3 gives it.
///
/// # Example
/// ```
/// use siltstone::series::process::Frequency;
/// assert_eq!(Frequency::parse("1D")?.to_string(), "D");
/// assert_eq!(Frequency::parse("2h30min")?.to_string(), "150min");
/// assert_eq!(Frequency::parse("W")?.to_string(), "W-SUN");
/// # Ok::<(), siltstone::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frequency {
    count: i64,
    base: Base,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    /// An index of [`SPANS`].
    Span(usize),
    Day,
    Dates(Dates),
}

/// Days of the calendar, numbered without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dates {
    /// Each week's day, from Monday.
    Weekday(usize),
    /// The first or last day of months, by their distance and the month (from January) of one of them.
    Month { distance: i64, month: usize, last: bool },
}

impl Frequency {
    /// Reads a frequency.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a text that is none, one of business days, and a number that is not above 0.
    pub fn parse(text: &str) -> Result<Self> {
        let refused = || {
            let expected = "a number above 0 and one of h, min, s, ms, us, ns, D, W, W-SAT, MS, ME, QS, QE, YS, YE";
            Error::invalid("a frequency", expected, format!("{text:?}"))
        };
        let mut rest = text.trim();
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let (number, behind) = rest.split_at(
                rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len()),
            );
            let behind = behind.trim_start();
            let end = behind.find(|c: char| !c.is_ascii_alphabetic() && c != '-');
            let (name, behind) = behind.split_at(end.unwrap_or(behind.len()));
            let number = if number.is_empty() { "1" } else { number };
            parts.push((number, base(name).ok_or_else(refused)?));
            rest = behind.trim_start();
        }
        if let [(number, base)] = parts[..]
            && let Ok(count) = number.parse::<i64>()
            && count > 0
        {
            return Ok(Frequency { count, base });
        }
        let mut ns = 0_i128;
        for (number, base) in &parts {
            let part = base.ns().and_then(|unit| times(number, unit)).ok_or_else(refused)?;
            ns = ns.checked_add(part).ok_or_else(refused)?;
        }
        let span = SPANS.iter().position(|(_, unit)| ns % unit == 0).unwrap_or(SPANS.len() - 1);
        let count = i64::try_from(ns / SPANS[span].1).ok().filter(|count| *count > 0);
        Ok(Frequency { count: count.ok_or_else(refused)?, base: Base::Span(span) })
    }

    /// How many of its unit: 2 of `2W`.
    pub(super) fn count(&self) -> i64 {
        self.count
    }

    /// Its length in ns, days having 24 hours; `None` where it differs from month to month, or is of weeks.
    pub(in crate::series) fn ns(&self) -> Option<i128> {
        Some(self.base.ns()? * i128::from(self.count))
    }

    /// Whether it counts days of the calendar.
    pub(super) fn is_days(&self) -> bool {
        self.base == Base::Day
    }

    /// The dates of a frequency of weeks, months, quarters or years.
    pub(super) fn dates(&self) -> Option<Dates> {
        match self.base {
            Base::Dates(dates) => Some(dates),
            _ => None,
        }
    }
}

/// `number` (digits, perhaps with a point) times `unit`, if it is whole.
fn times(number: &str, unit: i128) -> Option<i128> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let scale = 10_i128.checked_pow(u32::try_from(part.len()).ok()?)?;
    let digits: i128 = format!("{whole}{part}").parse().ok()?;
    let product = digits.checked_mul(unit)?;
    (product % scale == 0).then_some(product / scale)
}

/// The meaning of a name.
fn base(name: &str) -> Option<Base> {
    let (head, tail) = name.split_once('-').map_or((name, None), |(head, tail)| (head, Some(tail)));
    let find = |names: &[&str], default: &str| {
        let wanted = tail.unwrap_or(default);
        names.iter().position(|name| name.eq_ignore_ascii_case(wanted))
    };
    let months = |distance, default: &str, last| {
        let month = find(&MONTHS, default)?;
        Some(Base::Dates(Dates::Month { distance, month, last }))
    };
    Some(match head {
        "W" | "w" => Base::Dates(Dates::Weekday(find(&WEEKDAYS, "SUN")?)),
        "QS" => months(3, "JAN", false)?,
        "QE" | "Q" => months(3, "DEC", true)?,
        "YS" | "AS" => months(12, "JAN", false)?,
        "YE" | "Y" | "A" => months(12, "DEC", true)?,
        _ if tail.is_some() => return None,
        "MS" => months(1, "JAN", false)?,
        "ME" | "M" => months(1, "JAN", true)?,
        "D" | "d" => Base::Day,
        "h" | "H" => Base::Span(0),
        "min" | "Min" | "T" => Base::Span(1),
        "s" | "S" => Base::Span(2),
        "ms" | "L" => Base::Span(3),
        "us" | "U" => Base::Span(4),
        "ns" | "N" => Base::Span(5),
        _ => return None,
    })
}

impl Base {
    fn ns(&self) -> Option<i128> {
        match self {
            Base::Span(span) => Some(SPANS[*span].1),
            Base::Day => Some(DAY_NS),
            Base::Dates(_) => None,
        }
    }
}

impl Dates {
    /// Whether a bin is named by the day that ends it.
    pub(super) fn ends(self) -> bool {
        !matches!(self, Dates::Month { last: false, .. })
    }

    /// The number of the last of these dates that is not after `day`; days are counted from 1970-01-01.
    pub(super) fn not_after(self, day: i64) -> Result<i64> {
        match self {
            // 1970-01-01 was a Thursday.
            Dates::Weekday(weekday) => Ok((day + 3 - weekday as i64).div_euclid(7)),
            Dates::Month { distance, month, last } => {
                let whole = if last { month_of(day + 1)? - 1 } else { month_of(day)? };
                Ok((whole - month as i64).div_euclid(distance))
            }
        }
    }

    /// The number of the first of these dates that is not before `day`.
    pub(super) fn not_before(self, day: i64) -> Result<i64> {
        Ok(self.not_after(day - 1)? + 1)
    }

    /// The day of the date that has this number.
    pub(super) fn day(self, number: i64) -> Result<i64> {
        match self {
            Dates::Weekday(weekday) => Ok(number * 7 - 3 + weekday as i64),
            Dates::Month { distance, month, last } => {
                let month = number * distance + month as i64;
                if last { Ok(first_day(month + 1)? - 1) } else { first_day(month) }
            }
        }
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count != 1 {
            write!(f, "{}", self.count)?;
        }
        match self.base {
            Base::Span(span) => f.write_str(SPANS[span].0),
            Base::Day => f.write_str("D"),
            Base::Dates(Dates::Weekday(day)) => write!(f, "W-{}", WEEKDAYS[day]),
            Base::Dates(Dates::Month { distance, month, last }) => {
                let end = if last { "E" } else { "S" };
                match distance {
                    1 => write!(f, "M{end}"),
                    3 => write!(f, "Q{end}-{}", MONTHS[month]),
                    _ => write!(f, "Y{end}-{}", MONTHS[month]),
                }
            }
        }
    }
}

impl std::str::FromStr for Frequency {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: names of today and of older versions are read, and written as pandas 3 writes them.
    #[test]
    fn a_frequency_has_the_name_that_pandas_gives_it() {
        for (text, name) in [
            ("6h", "6h"),
            ("1h", "h"),
            ("H", "h"),
            ("6H", "6h"),
            ("T", "min"),
            ("15min", "15min"),
            ("15T", "15min"),
            ("S", "s"),
            ("L", "ms"),
            ("U", "us"),
            ("N", "ns"),
            ("1D", "D"),
            ("30D", "30D"),
            ("d", "D"),
            ("W", "W-SUN"),
            ("2W", "2W-SUN"),
            ("W-sat", "W-SAT"),
            ("M", "ME"),
            ("ME", "ME"),
            ("3MS", "3MS"),
            ("Q", "QE-DEC"),
            ("QS", "QS-JAN"),
            ("QE-FEB", "QE-FEB"),
            ("A", "YE-DEC"),
            ("A-JUN", "YE-JUN"),
            ("Y", "YE-DEC"),
            ("AS", "YS-JAN"),
            ("YS", "YS-JAN"),
            ("2YE", "2YE-DEC"),
            ("24h", "24h"),
            ("60min", "60min"),
            ("90s", "90s"),
            ("2h30min", "150min"),
            ("1.5h", "90min"),
            ("1D12h", "36h"),
            ("0.5D", "12h"),
            (" 6 h ", "6h"),
            ("1d 2h", "26h"),
            ("0.25s", "250ms"),
        ] {
            assert_eq!(
                Frequency::parse(text).map(|f| f.to_string()).ok().as_deref(),
                Some(name),
                "{text}"
            );
        }
        for text in [
            "",
            "6",
            "0h",
            "-1h",
            "h30",
            "B",
            "bh",
            "SME",
            "BME",
            "qs",
            "W-XXX",
            "h-MON",
            "MS-JAN",
            "1.5MS",
            "1W2D",
            "0.3ns",
            "9223372036854775808h",
            "1e3s",
            "2h-30min",
            "6ħ",
            "..h",
            "1.2.3s",
        ] {
            assert!(Frequency::parse(text).is_err(), "{text:?} was taken for a frequency");
        }
    }

    /// Goal: the numbers of dates and the days of those numbers are each other's inverse, before 1970 as after.
    #[test]
    fn dates_are_numbered_without_a_gap() {
        for text in ["W", "W-MON", "MS", "ME", "QS-FEB", "QE", "YS", "YE-JUN"] {
            let dates = Frequency::parse(text).unwrap().dates().unwrap();
            for day in -3_000..3_000 {
                let (before, after) =
                    (dates.not_after(day).unwrap(), dates.not_before(day).unwrap());
                assert!(
                    dates.day(before).unwrap() <= day && dates.day(before + 1).unwrap() > day,
                    "{text} {day}"
                );
                assert!(after - before <= 1 && dates.day(after).unwrap() >= day, "{text} {day}");
            }
        }
    }
}
