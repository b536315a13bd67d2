//! Times as Python says them.

use pyo3::prelude::*;
use siltstone::Result;
use siltstone::simulation::{SimulationDatabase, Time, Timeline};

use crate::arrays_in::to_integer;
use crate::enter::Enter;

/// An integer, a text, or seconds since 1970 as a float.
pub(crate) fn to_time(value: &Bound<'_, PyAny>) -> PyResult<Time> {
    if let Ok(text) = value.extract::<String>() {
        return Ok(Time::Text(text));
    }
    if let Ok(seconds) = value.cast_exact::<pyo3::types::PyFloat>() {
        return Ok(Time::Moment(seconds.extract()?));
    }
    to_integer("timestamp", value).map(Time::Timestamp)
}

/// Where it is said what calendar times mean.
pub(crate) enum Calendar {
    /// In the file, as it is when a time is asked for.
    File(SimulationDatabase),
    Known(Option<Timeline>),
}

impl Calendar {
    pub(crate) fn timestamp(&self, time: &Time) -> Result<i64> {
        match (time, self) {
            (Time::Timestamp(timestamp), _) => Ok(*timestamp),
            (time, Calendar::File(db)) => time.to_timestamp(db.run()?.timeline.as_ref()),
            (time, Calendar::Known(timeline)) => time.to_timestamp(timeline.as_ref()),
        }
    }
}

/// The timestamp that a time means in a file.
pub(crate) fn timestamp_in(db: &SimulationDatabase, value: &Bound<'_, PyAny>) -> PyResult<i64> {
    match to_time(value)? {
        Time::Timestamp(timestamp) => Ok(timestamp),
        time => value.py().enter(|| time.to_timestamp(db.run()?.timeline.as_ref())),
    }
}
