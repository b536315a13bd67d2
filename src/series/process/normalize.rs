//! Times as numbers since a reference.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array};
use arrow_cast::cast;
use arrow_schema::DataType;

use super::datetime::Period;
use super::time_index::{TimeIndex, ns_of};
use super::{IndexValue, Series};
use crate::error::{Error, Result};
use crate::table::from_arrow;

/// The names of the units with their ns.
const UNITS: [(&[&str], f64); 7] = [
    (&["D", "d", "day", "days"], 86_400e9),
    (&["h", "hr", "hour", "hours"], 3_600e9),
    (&["min", "minute", "minutes"], 60e9),
    (&["s", "sec", "second", "seconds"], 1e9),
    (&["ms", "milli", "millis", "millisecond", "milliseconds"], 1e6),
    (&["us", "micro", "micros", "microsecond", "microseconds"], 1e3),
    (&["ns", "nano", "nanos", "nanosecond", "nanoseconds"], 1.0),
];

/// The series with the time since a reference as its index, in 64-bit floats.
///
/// - `unit`: `D`, `h`, `min`, `s`, `ms`, `us`, `ns`, or its English name; a day has 24 hours.
/// - `reference`: a time, as an integer in the unit of the index or as a text; one without an offset is local time of
///   the index. Without it, the first point is the reference.
///
/// An index of numbers becomes one of floats, and keeps its values.
///
/// # Errors
/// [`Error::Invalid`] for an unknown unit, a reference that is no time, or one with an offset if the index has no
/// zone; [`Error::InvalidType`] for an index of time spans or texts.
///
/// # Example
/// ```
/// use siltstone::series::{IndexValue, Series};
/// use siltstone::series::process::normalize_index;
/// let hour = 3_600_000_000_000;
/// let series = Series::from_times_ns(&[24 * hour, 36 * hour], &[1.0, 2.0])?;
/// let days = normalize_index(&series, "D", Some(&"1970-01-01".into()))?;
/// assert_eq!(days.range(&siltstone::series::IndexRange::closed(1.5, 1.5))?.len(), 1);
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn normalize_index(
    series: &Series,
    unit: &str,
    reference: Option<&IndexValue>,
) -> Result<Series> {
    let Some((_, unit_ns)) = UNITS.iter().find(|(names, _)| names.contains(&unit)) else {
        let expected = "D, h, min, s, ms, us, ns or one of their English names";
        return Err(Error::invalid("a unit of time", expected, format!("{unit:?}")));
    };
    let known = series.index_metadata();
    let is_code = ["PeriodIndex", "CategoricalIndex"].contains(&known.kind.as_str());
    let index: ArrayRef = match series.index().data_type() {
        DataType::Timestamp(..) => Arc::new(since(series, *unit_ns, reference)?),
        number if number.is_numeric() && !is_code => {
            cast(series.index(), &DataType::Float64).map_err(|e| from_arrow("a series", e))?
        }
        other => {
            let got = if is_code { known.kind.clone() } else { other.to_string() };
            return Err(Error::invalid_type("normalize the index", "times or numbers", got));
        }
    };
    let mut now_known =
        super::super::IndexMetadata { name: known.name.clone(), ..Default::default() };
    if !known.kind.is_empty() {
        (now_known.kind, now_known.dtype) = ("Index".to_owned(), Some("float64".to_owned()));
    }
    Ok(Series::new(index, series.values().clone())?
        .with_name_or_none(series.name().map(str::to_owned))
        .with_dtype(series.dtype().map(str::to_owned))
        .with_index_metadata(now_known))
}

fn since(series: &Series, unit_ns: f64, reference: Option<&IndexValue>) -> Result<Float64Array> {
    let index = TimeIndex::of("normalize the index", series)?;
    let size = ns_of(index.unit);
    let zone = index.zone.unwrap_or_default();
    let reference_ns = match reference {
        Some(IndexValue::Text(text)) => Period::parse(text)?.fits(&zone)?.instants(&zone)?.0,
        Some(IndexValue::Int(time)) => i128::from(*time) * size,
        Some(other) => {
            return Err(Error::invalid("the reference", "a time", format!("{other:?}")));
        }
        None => i128::from(index.values.first().copied().unwrap_or(0)) * size,
    };
    let since = |time: i64| (i128::from(time) * size - reference_ns) as f64 / unit_ns;
    Ok(Float64Array::from_iter_values(index.values.iter().map(|time| since(*time))))
}
