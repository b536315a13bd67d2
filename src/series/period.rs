//! Periods as pandas counts them, and as texts.

use super::process::Clock;
use crate::error::{Error, Result};

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];

/// What the periods of a `PeriodIndex` are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Years that end with this month.
    Year(i64),
    Quarter,
    Month,
    /// Weeks, whose first one begins on this day since 1970.
    Week(i64),
    BusinessDay,
    /// Parts of a day: so many in a second, or so many seconds.
    Clock {
        per_second: i64,
        seconds: i64,
    },
}

/// A frequency of periods: `M`, `Q-DEC`, `W-SUN`, `h`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Periods(Unit);

impl Periods {
    /// Of a dtype of pandas, `period[M]`, or the name in it; `None` for one that nobody knows.
    pub(super) fn of(dtype: &str) -> Option<Self> {
        let name = dtype.strip_prefix("period[").and_then(|name| name.strip_suffix(']'));
        let name = name.unwrap_or(dtype).trim_start_matches(|c: char| c.is_ascii_digit());
        let (head, tail) = name.split_once('-').unwrap_or((name, ""));
        let index_of = |of: &[&str], or: usize| match tail {
            "" => Some(or as i64),
            tail => of.iter().position(|known| *known == tail).map(|at| at as i64),
        };
        let clock = |per_second, seconds| Unit::Clock { per_second, seconds };
        Some(Periods(match head {
            "Y" | "A" | "YE" => Unit::Year(index_of(&MONTHS, 11)? + 1),
            "Q" | "QE" => Unit::Quarter,
            "M" | "ME" => Unit::Month,
            "W" => Unit::Week((index_of(&DAYS, 6)? + 1) % 7 - 3),
            "B" => Unit::BusinessDay,
            "D" => clock(1, 86_400),
            "h" | "H" => clock(1, 3600),
            "min" | "T" => clock(1, 60),
            "s" | "S" => clock(1, 1),
            "ms" | "L" => clock(1_000, 1),
            "us" | "U" => clock(1_000_000, 1),
            "ns" | "N" => clock(1_000_000_000, 1),
            _ => return None,
        }))
    }

    /// A period as pandas reads it in a file: a year with its last month, since four digits alone would be a number.
    pub(super) fn write(&self, number: i64) -> Result<String> {
        match self.0 {
            Unit::Year(month) => Ok(format!("{}-{month:02}", self.text(number)?)),
            _ => self.text(number),
        }
    }

    /// A period as pandas shows it: `2024`, `2024Q1`, `2024-01`, `2024-01-01 07:00`.
    pub(super) fn text(&self, number: i64) -> Result<String> {
        let clock = Clock::of(None)?;
        let year = |number: i64| -> Result<String> {
            let year = number.checked_add(1970).filter(|year| (0..=9999).contains(year));
            let expected = "a year from 0 to 9999";
            let year = year.ok_or_else(|| Error::invalid("a period", expected, number.to_string()));
            Ok(format!("{:04}", year?))
        };
        let day = |day: i64| -> Result<String> {
            let text = clock.write(day.saturating_mul(86_400), 1)?;
            Ok(text.split(' ').next().unwrap_or_default().to_owned())
        };
        Ok(match self.0 {
            Unit::Year(_) => year(number)?,
            Unit::Quarter => {
                format!("{}Q{}", year(number.div_euclid(4))?, number.rem_euclid(4) + 1)
            }
            Unit::Month => {
                format!("{}-{:02}", year(number.div_euclid(12))?, number.rem_euclid(12) + 1)
            }
            Unit::Week(first) => {
                let start = first + 7 * (number - 1);
                format!("{}/{}", day(start)?, day(start + 6)?)
            }
            Unit::BusinessDay => {
                // The fifth of them since a Monday begins a new week.
                day((number + 3).div_euclid(5) * 7 + (number + 3).rem_euclid(5) - 3)?
            }
            Unit::Clock { per_second, seconds } => {
                let text = clock.write(number.div_euclid(per_second).saturating_mul(seconds), 1)?;
                match per_second {
                    // As much of the time of day as a period knows.
                    1 if seconds == 86_400 => text[..text.len() - 9].to_owned(),
                    1 if seconds >= 60 => text[..text.len() - 3].to_owned(),
                    1 => text,
                    _ => {
                        let digits = per_second.ilog10() as usize;
                        format!("{text}.{:0digits$}", number.rem_euclid(per_second))
                    }
                }
            }
        })
    }

    /// The number of a period.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a text that is none.
    pub(super) fn read(&self, text: &str) -> Result<i64> {
        let refused = || Error::invalid("a period", "one of the frequency of its index", text);
        let number = |text: &str| text.parse::<i64>().map_err(|_| refused());
        let clock = Clock::of(None)?;
        let ns = |text: &str| clock.read_ns(text).map_err(|_| refused());
        let day = |text: &str| -> Result<i64> {
            i64::try_from(ns(text)?.div_euclid(86_400_000_000_000)).map_err(|_| refused())
        };
        let text = text.trim();
        let (year, rest) = text.split_at_checked(4).ok_or_else(refused)?;
        Ok(match self.0 {
            Unit::Year(_) => number(year)? - 1970,
            Unit::Quarter => {
                let quarter = rest.strip_prefix('Q').ok_or_else(refused)?;
                let quarter = number(quarter)?;
                if !(1..=4).contains(&quarter) {
                    return Err(refused());
                }
                (number(year)? - 1970) * 4 + quarter - 1
            }
            Unit::Month => {
                let month = rest.strip_prefix('-').and_then(|rest| rest.get(..2));
                let month = number(month.ok_or_else(refused)?)?;
                if !(1..=12).contains(&month) {
                    return Err(refused());
                }
                (number(year)? - 1970) * 12 + month - 1
            }
            Unit::Week(first) => {
                let start = day(text.split('/').next().unwrap_or_default())?;
                (start - first).div_euclid(7) + 1
            }
            Unit::BusinessDay => {
                let day = day(text)? + 3;
                day.div_euclid(7) * 5 + day.rem_euclid(7).min(4) - 3
            }
            Unit::Clock { per_second, seconds } => {
                let size = 1_000_000_000 * i128::from(seconds) / i128::from(per_second);
                i64::try_from(ns(text)?.div_euclid(size)).map_err(|_| refused())?
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: periods have the texts that pandas gives them (a year with its month), and come back from them.
    #[test]
    fn periods_have_the_texts_of_pandas() {
        for (dtype, number, text) in [
            ("period[Y-DEC]", -1, "1969-12"),
            ("A-JUN", 55, "2025-06"),
            ("period[Q-JAN]", 55, "1983Q4"),
            ("Q-DEC", -1, "1969Q4"),
            ("period[2M]", 55, "1974-08"),
            ("W-SUN", -1, "1969-12-15/1969-12-21"),
            ("W-SAT", 55, "1971-01-17/1971-01-23"),
            ("W-WED", 1, "1970-01-01/1970-01-07"),
            ("B", -1, "1969-12-31"),
            ("B", 2, "1970-01-05"),
            ("B", 55, "1970-03-19"),
            ("D", 55, "1970-02-25"),
            ("h", 55, "1970-01-03 07:00"),
            ("period[us]", -1, "1969-12-31 23:59:59.999999"),
        ] {
            let periods = Periods::of(dtype).unwrap();
            assert_eq!(periods.write(number).unwrap(), text, "{dtype}");
            assert_eq!(periods.read(text).unwrap(), number, "{dtype} {text}");
        }
        assert_eq!(Periods::of("period[D]").unwrap().read("1970-02-25").unwrap(), 55);
        let years = Periods::of("Y-DEC").unwrap();
        assert_eq!((years.text(55).unwrap(), years.read("2025").unwrap()), ("2025".into(), 55));
        assert!(Periods::of("M").unwrap().read("2025-13").is_err());
        assert_eq!(Periods::of("C"), None);
    }
}
