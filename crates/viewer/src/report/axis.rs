//! Where an axis has its marks, and what stands at them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A mark of an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mark {
    /// Where it stands: 0 is the begin of the axis, 1 its end.
    pub(super) share: f64,
    pub(super) label: String,
    /// Under the label: the day or the year that begins here.
    pub(super) under: Option<String>,
}

/// The round step of which no more than so many fit into a span.
fn round_step(span: f64, most: usize) -> f64 {
    let least = span / most.max(1) as f64;
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|n| n * power)
        .into_iter()
        .find(|step| *step >= least)
        .unwrap_or(least)
}

/// Marks at round numbers; none where no finite span is.
pub(super) fn numbers(from: f64, until: f64, most: usize) -> Vec<Mark> {
    let span = until - from;
    let step = round_step(span, most);
    if !(step.is_normal() && step > 0.0 && span.is_finite()) {
        return Vec::new();
    }
    let first = (from / step).ceil();
    let greatest = from.abs().max(until.abs());
    let label = |x: f64| match greatest >= 1e7 || step < 1e-6 {
        true => {
            let digits = (greatest / step).log10().ceil().clamp(0.0, 16.0) as usize;
            format!("{x:.digits$e}")
        }
        false => {
            let digits = (-step.log10().floor()).max(0.0) as usize;
            format!("{x:.digits$}")
        }
    };
    (0..=most)
        .map(|i| (first + i as f64) * step)
        .take_while(|x| *x <= until + step * 1e-9)
        // No mark is -0.
        .map(|x| Mark { share: (x - from) / span, label: label(x + 0.0), under: None })
        .collect()
}

/// Marks at integers, of which all digits are shown.
pub(super) fn integers(from: i64, until: i64, most: usize) -> Vec<Mark> {
    let (from, until) = (i128::from(from), i128::from(until));
    let step = (round_step((until - from).max(1) as f64, most).round() as i128).max(1);
    let first = from.div_euclid(step) * step + if from.rem_euclid(step) == 0 { 0 } else { step };
    let mark = |x: i128| Mark {
        share: (x - from) as f64 / (until - from).max(1) as f64,
        label: x.to_string(),
        under: None,
    };
    (0..=most as i128).map(|i| first + i * step).take_while(|x| *x <= until).map(mark).collect()
}

const SECOND: i128 = 1_000_000_000;
const MINUTE: i128 = 60 * SECOND;
const HOUR: i128 = 60 * MINUTE;
const DAY: i128 = 24 * HOUR;
/// Steps that people know, from a second to days.
const STEPS: [i128; 19] = [
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
];
/// Steps of more than that, in months.
const MONTHS: [i32; 5] = [1, 2, 3, 6, 12];

/// Marks at round times of UTC; numbers where no calendar reaches.
pub(super) fn times(from_ns: i128, until_ns: i128, most: usize) -> Vec<Mark> {
    let span = (until_ns - from_ns).max(1);
    let share = |ns: i128| (ns - from_ns) as f64 / span as f64;
    let (Some(first), Some(_)) = (civil(from_ns), civil(until_ns)) else {
        let mut marks = numbers(from_ns as f64 / 1e9, until_ns as f64 / 1e9, most);
        marks.iter_mut().for_each(|mark| mark.label.push_str(" s"));
        return marks;
    };
    let fits = |step: i128| span <= step * most as i128;
    let short = (span < SECOND * most as i128)
        .then(|| round_step(span as f64, most).round().max(1.0) as i128);
    let even = short.into_iter().chain(STEPS).find(|step| fits(*step));
    let (at, pattern, under): (Vec<i128>, &str, &str) = match even {
        Some(step) => {
            let begin = from_ns.div_euclid(step) * step;
            let at = (0..=most as i128 + 1).map(|i| begin + i * step);
            let at = at.filter(|ns| (from_ns..=until_ns).contains(ns)).collect();
            match step {
                DAY.. => (at, "%-d %b", "%Y"),
                MINUTE.. => (at, "%H:%M", "%-d %b %Y"),
                SECOND.. => (at, "%H:%M:%S", "%-d %b %Y"),
                _ => (at, "%S", "%-d %b %Y %H:%M"),
            }
        }
        None => {
            let months = |months: &i32| span <= i128::from(*months) * 30 * DAY * most as i128;
            let years = || round_step(span as f64 / (365.25 * DAY as f64), most).max(1.0) as i32;
            let step = MONTHS.into_iter().find(|n| months(n)).unwrap_or_else(|| 12 * years());
            let pattern = if step >= 12 { "%Y" } else { "%b" };
            (by_months(first, until_ns, step), pattern, if step >= 12 { "" } else { "%Y" })
        }
    };
    let mut before = String::new();
    let mark = |ns: i128| {
        let when = civil(ns)?;
        let mut label = when.strftime(pattern).to_string();
        if pattern == "%S" {
            let digits = format!("{:09}", ns.rem_euclid(SECOND));
            label = format!("{label}.{}", digits.trim_end_matches('0'));
        }
        let now = when.strftime(under).to_string();
        let under = (!now.is_empty() && now != before).then(|| now.clone());
        before = now;
        Some(Mark { share: share(ns), label, under })
    };
    at.into_iter().filter(|ns| *ns >= from_ns).filter_map(mark).collect()
}

/// The begins of months, so many apart, January among them.
fn by_months(first: DateTime, until_ns: i128, step: i32) -> Vec<i128> {
    let month = i32::from(first.year()) * 12 + i32::from(first.month()) - 1;
    let begin = month.div_euclid(step) * step;
    let of = |month: i32| {
        let year = i16::try_from(month.div_euclid(12)).ok()?;
        let month = i8::try_from(month.rem_euclid(12) + 1).ok()?;
        let at = DateTime::new(year, month, 1, 0, 0, 0, 0).ok()?;
        Some(TimeZone::UTC.to_timestamp(at).ok()?.as_nanosecond())
    };
    (0..).map_while(|i| of(begin + i * step)).take_while(|ns| *ns <= until_ns).collect()
}

fn civil(ns: i128) -> Option<DateTime> {
    Some(TimeZone::UTC.to_datetime(Timestamp::from_nanosecond(ns).ok()?))
}

/// A time of UTC with as many digits as it has.
pub(super) fn time(ns: i128) -> String {
    match civil(ns) {
        Some(when) if ns.rem_euclid(DAY) == 0 => when.strftime("%Y-%m-%d").to_string(),
        Some(when) => format!("{} {}", when.date(), when.time()),
        None => format!("{ns} ns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(marks: &[Mark]) -> Vec<&str> {
        marks.iter().map(|mark| mark.label.as_str()).collect()
    }

    /// Goal: numbers are round, and those of tiny and vast spans can be told apart.
    #[test]
    fn numbers_are_round() {
        assert_eq!(labels(&numbers(-0.3, 1.1, 6)), ["0.0", "0.5", "1.0"]);
        assert_eq!(labels(&numbers(0.0, 100.0, 5)), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(labels(&numbers(1e9, 1e9 + 4.0, 4)).len(), 5);
        let near = numbers(1e9, 1e9 + 4.0, 4);
        assert!(near.windows(2).all(|two| two[0].label != two[1].label), "{near:?}");
        for (from, until) in [(1.0, 1.0), (f64::MIN, f64::MAX), (0.0, f64::NAN), (2.0, 1.0)] {
            assert_eq!(numbers(from, until, 5), [], "{from} {until}");
        }
        assert_eq!(labels(&integers(i64::MIN, i64::MAX, 2)), ["0"]);
        assert_eq!(labels(&integers(3, 5, 8)), ["3", "4", "5"]);
    }

    /// Goal: marks of times stand at what a clock or a calendar has, and say the day or the year where it begins.
    #[test]
    fn times_are_of_the_clock_and_the_calendar() {
        let start = 1_709_510_400 * SECOND; // 2024-03-04
        let of = |span| times(start, start + span, 6);
        assert_eq!(labels(&of(DAY)), ["00:00", "06:00", "12:00", "18:00", "00:00"]);
        assert_eq!(of(DAY)[0].under.as_deref(), Some("4 Mar 2024"));
        assert_eq!(of(DAY)[1].under, None);
        assert_eq!(of(DAY)[4].under.as_deref(), Some("5 Mar 2024"));
        assert_eq!(labels(&of(10 * SECOND))[..2], ["00:00:00", "00:00:02"]);
        assert_eq!(labels(&of(3_000_000))[1], "00.0005");
        assert_eq!(labels(&of(5 * DAY))[..2], ["4 Mar", "5 Mar"]);
        let year = of(365 * DAY);
        assert_eq!((labels(&year)[0], year[0].under.as_deref()), ("Apr", Some("2024")));
        assert!(year.len() <= 7, "{year:?}");
        assert_eq!(labels(&of(5_000 * DAY)), ["2025", "2030", "2035"]);
        assert!(times(i128::from(i64::MIN), i128::from(i64::MAX), 6).len() > 3);
        assert!(!times(-(1 << 90), 1 << 90, 6).is_empty());
        assert_eq!(time(start), "2024-03-04");
        assert_eq!(time(start + 1), "2024-03-04 00:00:00.000000001");
    }
}
