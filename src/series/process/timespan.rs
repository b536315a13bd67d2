//! Time spans as people write them.

use jiff::{Span, SpanRelativeTo};

use super::time_index::DAY_NS;
use crate::error::{Error, Result};

/// A time span as people write it, in nanoseconds.
///
/// `1 days`, `2 days 05:30:00`, `36h`, `1 h 30 min`, `90s`, `P1DT2H`; a day has 24 hours.
///
/// # Errors
/// [`Error::Invalid`] for another text, months and years, or a span of more than 292 years.
///
/// # Example
/// ```
/// use siltstone::series::process::parse_timespan;
/// assert_eq!(parse_timespan("1 days 01:00")?, 25 * 3_600_000_000_000);
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn parse_timespan(text: &str) -> Result<i64> {
    let refused = || {
        let expected = "one as 2 days, 05:30:00 or 36h, of at most 292 years";
        Error::invalid("a time span", expected, format!("{text:?}"))
    };
    let lower = text.trim().to_ascii_lowercase();
    // Pandas writes a negative span as `-1 days +02:00:00`.
    let (days, rest) = match lower.split_once(" +") {
        Some((days, rest)) => (days, Some(rest)),
        None => (lower.as_str(), None),
    };
    let mut ns = 0_i128;
    for part in [Some(days), rest].into_iter().flatten() {
        let iso = part.trim_start_matches(['-', '+']).starts_with('p');
        let part = if iso { part.to_ascii_uppercase() } else { with_seconds(part) };
        let span: Span = part.parse().map_err(|_| refused())?;
        if span.get_years() != 0 || span.get_months() != 0 {
            return Err(refused());
        }
        let duration =
            span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| refused())?;
        ns += duration.as_nanos();
    }
    i64::try_from(ns).map_err(|_| refused())
}

/// `05:30` as `05:30:00`.
fn with_seconds(part: &str) -> String {
    match part.bytes().filter(|byte| *byte == b':').count() {
        1 => format!("{part}:00"),
        _ => part.to_owned(),
    }
}

/// How long what a text names is: a day for `2 days`, an hour for `36h`, a second for `2 days 05:00:00`.
pub(super) fn resolution_ns(text: &str, span_ns: i64) -> i128 {
    const UNITS: [i128; 7] =
        [DAY_NS, 3_600_000_000_000, 60_000_000_000, 1_000_000_000, 1_000_000, 1_000, 1];
    let lower = text.to_lowercase();
    let last_word = lower.split(|c: char| !c.is_alphabetic()).rfind(|word| !word.is_empty());
    let first_unit = match (lower.matches(':').count(), last_word.unwrap_or_default()) {
        (1, _) => 2,
        (2, _) => 3,
        (_, word) if word.starts_with(['d', 'w']) => 0,
        (_, word) if word.starts_with('h') => 1,
        (_, word) if word.starts_with("ms") || word.starts_with("mil") => 4,
        (_, word) if word.starts_with("mic") || word.starts_with(['u', 'µ', 'μ']) => 5,
        (_, word) if word.starts_with('m') => 2,
        (_, word) if word.starts_with('s') => 3,
        _ => 6,
    };
    // A part of a unit, as in 1.5h, is said in smaller ones.
    let fits = |unit: &&i128| i128::from(span_ns) % **unit == 0;
    UNITS[first_unit..].iter().find(fits).copied().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the ways in which people and pandas write a span mean the same, and months are none.
    #[test]
    fn a_span_is_read_as_it_is_written() {
        let hour = 3_600_000_000_000;
        for (text, hours) in [
            ("1 days", 24),
            ("1d", 24),
            ("1D", 24),
            ("1 days 02:00:00", 26),
            ("1 day 2:00", 26),
            ("26h", 26),
            ("-1 days +02:00:00", -22),
            ("P1DT2H", 26),
            ("05:00:00", 5),
            ("300 min", 5),
            ("1 week", 168),
            ("-3h", -3),
        ] {
            assert_eq!(parse_timespan(text).map_err(|e| e.to_string()), Ok(hours * hour), "{text}");
        }
        for text in ["", "1", "1 month", "2 years", "soon", "300000 days 300000 days"] {
            assert!(parse_timespan(text).is_err(), "{text}");
        }
    }
    /// Goal: a text names what lasts as long as its last unit.
    #[test]
    fn a_text_names_what_lasts_as_long_as_its_last_unit() {
        let second = 1_000_000_000;
        for (text, ns) in [
            ("2 days", DAY_NS),
            ("P2D", DAY_NS),
            ("48h", 3_600 * second),
            ("1.5h", 60 * second),
            ("1 days 05:00", 60 * second),
            ("1 days 05:00:00", second),
            ("-1 days +05:00:00.25", 1_000_000),
            ("PT5M", 60 * second),
            ("5 min", 60 * second),
            ("5 ms", 1_000_000),
            ("5 µs", 1_000),
            ("5ns", 1),
        ] {
            assert_eq!(resolution_ns(text, parse_timespan(text).unwrap()), ns, "{text}");
        }
    }
}
