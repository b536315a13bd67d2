//! Timestamps and calendar time.

use jiff::civil::Time;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;
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
    let parts = Pieces::parse(text).ok()?;
    if parts.time_zone_annotation().is_some() {
        return None;
    }
    let time = parts.date().to_datetime(parts.time().unwrap_or(Time::midnight()));
    let offset = parts.to_numeric_offset().unwrap_or(Offset::UTC);
    let moment = offset.to_timestamp(time).ok()?;
    Some(moment.as_second() as f64 + f64::from(moment.subsec_nanosecond()) / 1e9)
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
            "2020-01-01T00:00[Europe/Paris]",
        ] {
            assert!(Timeline::parse(Some(&timeline), wrong).is_err(), "{wrong} was accepted");
        }
    }
}
