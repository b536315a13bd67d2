//! Values of equal stretches of time.

use arrow_array::UInt64Array;
use arrow_schema::DataType;

use super::Series;
use super::aggregate::{Aggregation, with_nan};
use super::bins::Bins;
use super::frequency::Frequency;
use super::time_index::TimeIndex;
use crate::error::Result;
use crate::table::from_arrow;

/// The series as one value (by default the mean) for each hour, day, week, month, ...
///
/// The rules are those of pandas' `resample(frequency)`: hours and shorter spans are counted from the midnight before the
/// first time (time spans from the first one), bins are named by their begin and their end does not belong to them; weeks
/// and what is named by its last day (`ME`, `QE`, `YE`) hold that day. A bin without a value is missing. The order of the
/// points does not matter, except that [`Aggregation::First`] is the first of equal times.
///
/// The result has the name of the series, its index the name, zone and unit of the old one and this frequency. Means are
/// as wide as the floats they are made of, computed with 64 bits; means of integers and booleans are 64-bit floats.
///
/// # Errors
/// [`Error::InvalidIndex`](crate::Error::InvalidIndex) for an index of something else than times or spans;
/// [`Error::InvalidType`](crate::Error::InvalidType) for values that are no numbers;
/// [`Error::Invalid`](crate::Error::Invalid) for a frequency finer than the unit of the index, of no fixed length for time spans,
/// or that makes more than 2^27 bins.
///
/// # Example
/// ```
/// use siltstone::series::Series;
/// use siltstone::series::process::{Aggregation, Frequency, resample};
/// let minute = 60_000_000_000;
/// let series = Series::from_times_ns(&[0, minute, 90 * minute], &[1.0, 2.0, 5.0])?;
/// let hourly = resample(&series, &Frequency::parse("h")?, Aggregation::Mean)?;
/// assert_eq!(hourly.to_f64s(), Some(vec![1.5, 5.0]));
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn resample(series: &Series, frequency: &Frequency, how: Aggregation) -> Result<Series> {
    let index = TimeIndex::of("resample", series)?;
    let mut values = series.values().clone();
    let mut times = index.values.clone();
    if !times.is_sorted() {
        let mut rows: Vec<u64> = (0..times.len() as u64).collect();
        rows.sort_by_key(|row| index.values[*row as usize]);
        times = rows.iter().map(|row| index.values[*row as usize]).collect();
        values = arrow_select::take::take(&values, &UInt64Array::from(rows), None)
            .map_err(|e| from_arrow("a series", e))?;
    }
    let bins = match (times.first(), times.last()) {
        (Some(first), Some(last)) => Bins::new(&index, *first, *last, frequency)?,
        _ => Bins { labels: Vec::new(), ends: Vec::new() },
    };
    // Where a bin ends in time becomes where it ends in rows, in the same memory.
    let mut ends = bins.ends;
    let mut row = 0;
    let last = ends.len().saturating_sub(1);
    for (i, end) in ends.iter_mut().enumerate() {
        while row < times.len() && (times[row] < *end || i == last) {
            row += 1;
        }
        *end = row as i64;
    }
    drop(times);
    let result = how.of(&values, series.dtype(), &ends)?;
    drop(ends);
    let knows_missing = series.values().null_count() > 0 || series.dtype().is_some();
    let result = if knows_missing { result } else { with_nan(result) };
    let dtype = if how.selects() {
        series.dtype().map(str::to_owned)
    } else {
        series.dtype().and_then(|_| nullable(result.data_type()))
    };
    let mut known = series.index_metadata().clone();
    known.frequency = Some(frequency.to_string());
    let labels = TimeIndex::array(series.index().data_type(), bins.labels);
    Ok(Series::new(labels, result)?
        .with_name_or_none(series.name().map(str::to_owned))
        .with_dtype(dtype)
        .with_index_metadata(known))
}

/// The dtype of pandas that has a missing value beside numbers of this type.
pub(super) fn nullable(values: &DataType) -> Option<String> {
    Some(match values {
        DataType::Boolean => "boolean".into(),
        DataType::UInt64 => "UInt64".into(),
        number if number.is_numeric() => number.to_string(),
        _ => return None,
    })
}
