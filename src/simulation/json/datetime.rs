//! `datetime64` as ISO text.

use serde_json::Value;

use crate::array::{DType, Kind, date_of_day};

/// How the counts of one `datetime64` or `timedelta64` dtype are written.
pub(super) struct NumpyTimeText {
    /// `None` for a length of time, or a date without a unit: the count itself.
    unit: Option<(Unit, i128)>,
}

#[derive(Clone, Copy)]
enum Unit {
    Years,
    Months,
    Days,
    /// So many of them in a day, written with that many digits behind the second.
    PartOfDay {
        per_day: i128,
        digits: usize,
        text: Clock,
    },
}

#[derive(Clone, Copy, PartialEq)]
enum Clock {
    Hours,
    Minutes,
    Seconds,
}

const DAY_S: i128 = 86_400;

impl NumpyTimeText {
    pub(super) fn new(dtype: DType) -> Self {
        let none = NumpyTimeText { unit: None };
        if dtype.kind() != Kind::DateTime {
            return none;
        }
        // `<M8[25us]`: the multiple and the name stand between the brackets.
        let text = dtype.to_string();
        let Some((_, unit)) = text.split_once('[') else { return none };
        let unit = unit.trim_end_matches(']');
        let digits = unit.bytes().take_while(u8::is_ascii_digit).count();
        let multiple: i128 = if digits == 0 { 1 } else { unit[..digits].parse().unwrap_or(1) };
        let clock = |per_day, text| Unit::PartOfDay { per_day, digits: 0, text };
        let fraction = |digits: usize| Unit::PartOfDay {
            per_day: DAY_S * 10i128.pow(digits as u32),
            digits,
            text: Clock::Seconds,
        };
        let (unit, times) = match &unit[digits..] {
            "Y" => (Unit::Years, 1),
            "M" => (Unit::Months, 1),
            "W" => (Unit::Days, 7),
            "D" => (Unit::Days, 1),
            "h" => (clock(24, Clock::Hours), 1),
            "m" => (clock(24 * 60, Clock::Minutes), 1),
            "s" => (fraction(0), 1),
            "ms" => (fraction(3), 1),
            "us" => (fraction(6), 1),
            "ns" => (fraction(9), 1),
            "ps" => (fraction(12), 1),
            "fs" => (fraction(15), 1),
            "as" => (fraction(18), 1),
            _ => return none,
        };
        NumpyTimeText { unit: Some((unit, times * multiple)) }
    }

    /// ISO text or the count; `None` for "not a time".
    pub(super) fn write(&self, count: i64) -> Option<Value> {
        if count == i64::MIN {
            return None;
        }
        let Some((unit, multiple)) = self.unit else { return Some(count.into()) };
        let count = i128::from(count) * multiple;
        Some(Value::String(match unit {
            Unit::Years => format!("{:04}", 1970 + count),
            Unit::Months => {
                format!("{:04}-{:02}", 1970 + count.div_euclid(12), count.rem_euclid(12) + 1)
            }
            Unit::Days => date(count),
            Unit::PartOfDay { per_day, digits, text } => {
                let (day, rest) = (count.div_euclid(per_day), count.rem_euclid(per_day));
                let second_parts = 10i128.pow(digits as u32);
                let clock = match text {
                    Clock::Hours => format!("{rest:02}"),
                    Clock::Minutes => format!("{:02}:{:02}", rest / 60, rest % 60),
                    Clock::Seconds => {
                        let s = rest / second_parts;
                        format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                    }
                };
                let fraction = match digits {
                    0 => String::new(),
                    _ => format!(".{:0digits$}", rest % second_parts),
                };
                format!("{}T{clock}{fraction}", date(day))
            }
        }))
    }
}

/// The date of a day counted from 1970-01-01. numpy has more years than the calendar of `jiff`, which is the same every
/// 400 of them.
fn date(day: i128) -> String {
    const ERA_DAYS: i128 = 146_097;
    let date = date_of_day(day.rem_euclid(ERA_DAYS) as i64);
    let year = i128::from(date.year()) + 400 * day.div_euclid(ERA_DAYS);
    format!("{year:04}-{:02}-{:02}", date.month(), date.day())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each unit reads as numpy prints it.
    #[test]
    fn times_read_as_numpy_prints_them() {
        for (dtype, count, text) in [
            ("<M8[Y]", 50, "2020"),
            ("<M8[M]", -1, "1969-12"),
            ("<M8[W]", 1, "1970-01-08"),
            ("<M8[D]", 18_321, "2020-02-29"),
            ("<M8[D]", -719_469, "0000-02-29"),
            ("<M8[D]", 365_242_500, "1001970-01-01"),
            ("<M8[h]", 25, "1970-01-02T01"),
            ("<M8[m]", 61, "1970-01-01T01:01"),
            ("<M8[s]", -1, "1969-12-31T23:59:59"),
            ("<M8[25us]", 3, "1970-01-01T00:00:00.000075"),
            ("<M8[ns]", 1_577_836_800_000_000_001, "2020-01-01T00:00:00.000000001"),
        ] {
            let time = NumpyTimeText::new(dtype.parse().unwrap());
            assert_eq!(time.write(count), Some(Value::String(text.into())), "{dtype}");
            assert_eq!(time.write(i64::MIN), None);
        }
        assert_eq!(NumpyTimeText::new("<m8[ns]".parse().unwrap()).write(-5), Some(Value::from(-5)));
        assert_eq!(NumpyTimeText::new("<M8".parse().unwrap()).write(5), Some(Value::from(5)));
    }
}
