//! Timestamps and calendar time.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What a run's timestamps mean: `reference + timestamp * time_scale` seconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Seconds since 1970-01-01 UTC at timestamp 0.
    pub reference: f64,
    /// Seconds a timestamp step.
    #[serde(default = "one")]
    pub time_scale: f64,
    /// The timestamp at which the run starts.
    #[serde(default)]
    pub start_time: i64,
}

fn one() -> f64 {
    1.0
}

impl Timeline {
    /// The last timestamp at or before a moment, in seconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the moment or the scale is not a number.
    pub fn timestamp_of(&self, seconds: f64) -> Result<i64> {
        let timestamp = (seconds - self.reference) / self.time_scale;
        if !timestamp.is_finite() || self.time_scale <= 0.0 {
            return Err(Error::invalid(
                "time",
                "a moment and a positive time scale",
                seconds.to_string(),
            ));
        }
        // A moment that was computed from a timestamp may miss it by the last bit.
        let nearest = timestamp.round();
        Ok(if (timestamp - nearest).abs() < 1e-6 { nearest } else { timestamp.floor() } as i64)
    }

    /// Refuses a timeline that gives no moments.
    pub(super) fn check(&self) -> Result<()> {
        if !self.reference.is_finite() {
            let got = self.reference.to_string();
            return Err(Error::invalid("reference", "a finite number of seconds since 1970", got));
        }
        if !(self.time_scale > 0.0 && self.time_scale.is_finite()) {
            let got = self.time_scale.to_string();
            return Err(Error::invalid("time_scale", "a finite number of seconds above 0", got));
        }
        Ok(())
    }

    /// The moment of a timestamp, in seconds since 1970-01-01 UTC.
    pub fn seconds_of(&self, timestamp: i64) -> f64 {
        self.reference + timestamp as f64 * self.time_scale
    }

    /// The timestamp of a time that a person writes: an integer is a timestamp; a date, or date and
    /// time, as `2020-01-01`, `2020-01-01T12:30:00`, `2020-01-01 12:30:00.5Z`, `...+01:00`, is a moment
    /// (UTC if nothing else is said).
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is neither, or a moment without a timeline.
    pub fn parse(timeline: Option<&Timeline>, text: &str) -> Result<i64> {
        if let Ok(timestamp) = text.trim().parse() {
            return Ok(timestamp);
        }
        let expected = "an integer timestamp, or a date and time as 2020-01-01T12:30:00Z";
        let seconds = iso_seconds(text.trim())
            .ok_or_else(|| Error::invalid("time", expected, format!("{text:?}")))?;
        let timeline = timeline.ok_or_else(|| {
            Error::invalid(
                "time",
                "an integer timestamp (the run has no timeline)",
                format!("{text:?}"),
            )
        })?;
        timeline.timestamp_of(seconds)
    }
}

/// Seconds since 1970-01-01 UTC of an ISO 8601 date or date and time.
fn iso_seconds(text: &str) -> Option<f64> {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(i) => (&text[..i], Some(&text[i + 1..])),
        None => (text, None),
    };
    let mut parts = date.splitn(3, '-');
    let year: i64 = parts.next().filter(|y| y.len() == 4)?.parse().ok()?;
    let month: i64 = parts.next()?.parse().ok().filter(|m| (1..=12).contains(m))?;
    let day: i64 = parts.next()?.parse().ok()?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let midnight = (days_from_civil(year, month, day) * 86_400) as f64;
    let Some(time) = time else { return Some(midnight) };
    let (clock, offset) = match time.find(['Z', 'z', '+', '-']) {
        Some(i) => (&time[..i], offset_seconds(&time[i..])?),
        None => (time, 0.0),
    };
    let mut parts = clock.split(':');
    let hour: f64 = parts.next()?.parse().ok().filter(|h| (0.0..24.0).contains(h))?;
    let minute: f64 = parts.next()?.parse().ok().filter(|m| (0.0..60.0).contains(m))?;
    let second: f64 = match parts.next() {
        Some(text) => text.parse().ok().filter(|s| (0.0..60.0).contains(s))?,
        None => 0.0,
    };
    parts.next().is_none().then_some(midnight + hour * 3600.0 + minute * 60.0 + second - offset)
}

fn offset_seconds(text: &str) -> Option<f64> {
    let sign = match text.as_bytes()[0] {
        b'+' => 1.0,
        b'-' => -1.0,
        _ => return (text.len() == 1).then_some(0.0),
    };
    let digits: String = text[1..].chars().filter(|c| *c != ':').collect();
    if !digits.bytes().all(|b| b.is_ascii_digit()) || (digits.len() != 2 && digits.len() != 4) {
        return None;
    }
    let hours: f64 = digits[..2].parse().ok()?;
    let minutes: f64 = if digits.len() == 4 { digits[2..].parse().ok()? } else { 0.0 };
    Some(sign * (hours * 3600.0 + minutes * 60.0))
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
///
/// # Source
/// Counting from 1 March of year 0, so that the leap day ends a year.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: times as people write them reach the timestamp that they mean.
    #[test]
    fn times_as_integer_date_and_moment() {
        let timeline = Timeline { reference: 1_577_836_800.0, time_scale: 60.0, start_time: 0 };
        let parse = |text| Timeline::parse(Some(&timeline), text).unwrap();
        assert_eq!(parse("-1"), -1);
        assert_eq!(parse("2020-01-01"), 0);
        assert_eq!(parse("2020-01-01T01:00:00"), 60);
        assert_eq!(parse("2020-01-01 01:00:59.9Z"), 60);
        assert_eq!(parse("2020-01-01T02:00+01:00"), 60);
        assert_eq!(parse("2020-03-01"), 60 * 24 * 60);
        assert!(Timeline::parse(None, "2020-01-01").is_err());
        for wrong in [
            "2021-02-29",
            "yesterday",
            "2020-13-01",
            "2020-01-01T25:00",
            "1.5",
            "2020-01-01T00:00+1",
        ] {
            assert!(Timeline::parse(Some(&timeline), wrong).is_err(), "{wrong} was accepted");
        }
    }
}
