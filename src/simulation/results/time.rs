//! The three ways to say when.

use crate::error::{Error, Result};
use crate::simulation::timeline::Timeline;

/// A time in a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Time {
    /// The run's own time.
    Timestamp(i64),
    /// An integer, or a date and time in ISO 8601.
    Text(String),
    /// Seconds since 1970-01-01 UTC.
    Moment(f64),
}

impl Time {
    /// The timestamp that is meant.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a text that is no time, and for a moment without a timeline.
    pub fn to_timestamp(&self, timeline: Option<&Timeline>) -> Result<i64> {
        match self {
            Time::Timestamp(timestamp) => Ok(*timestamp),
            Time::Text(text) => Timeline::parse(timeline, text),
            Time::Moment(seconds) => match timeline {
                Some(timeline) => timeline.timestamp_of(*seconds),
                None => {
                    let expected = "an integer timestamp (the run has no timeline)";
                    Err(Error::invalid("time", expected, format!("the moment {seconds}")))
                }
            },
        }
    }
}

impl From<i64> for Time {
    fn from(timestamp: i64) -> Self {
        Time::Timestamp(timestamp)
    }
}

impl From<&str> for Time {
    fn from(text: &str) -> Self {
        Time::Text(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each form reaches the same timestamp, and a moment needs a timeline.
    #[test]
    fn each_form_means_the_same() {
        let timeline = Timeline { reference: 1_577_836_800.0, time_scale: 1.0, start_time: 0 };
        let times =
            [Time::from(3600), Time::from("2020-01-01T01:00:00"), Time::Moment(1_577_840_400.0)];
        for time in &times {
            assert_eq!(time.to_timestamp(Some(&timeline)).unwrap(), 3600);
        }
        assert_eq!(times[0].to_timestamp(None).unwrap(), 3600);
        assert!(times[1].to_timestamp(None).is_err());
        assert!(times[2].to_timestamp(None).is_err());
    }
}
