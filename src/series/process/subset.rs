//! A part of a series, by labels or by rank.

use std::ops::Bound;

use super::datetime::Period;
use super::time_index::{TimeIndex, ns_of};
use super::timespan::{parse_timespan, resolution_ns};
use super::{IndexRange, IndexValue, IndexValues, Series};
use crate::error::{Error, Result};

/// The points from one label to another, both included.
///
/// A label is a value of the index, in its unit; or, for times and spans, a text, which names all that begins with it:
/// `2010-03-13` is the whole day, `2010-03` the month, `2 days` all until the third day begins. A text without an offset is local
/// time of the index. No label leaves that end open. The order of the index does not matter; what is known of
/// it stays known.
///
/// # Errors
/// [`Error::InvalidIndex`] for an index of something else than times or spans; [`Error::Invalid`] for a text that is no
/// time, or one with an offset if the index has no zone.
///
/// # Example
/// ```
/// use siltstone::series::Series;
/// use siltstone::series::process::subset;
/// let hour = 3_600_000_000_000;
/// let series = Series::from_times_ns(&[0, hour, 30 * hour], &[1.0, 2.0, 3.0])?;
/// let day = subset(&series, Some(&"1970-01-01".into()), Some(&"1970-01-01".into()))?;
/// assert_eq!(day.len(), 2);
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn subset(
    series: &Series,
    from: Option<&IndexValue>,
    to: Option<&IndexValue>,
) -> Result<Series> {
    TimeIndex::of("subset", series)?;
    let range = label_range(series, from, to)?;
    let IndexValues::Int(times) = IndexValues::of(series.index())? else {
        unreachable!("times and spans are integers")
    };
    if !times.is_sorted() {
        return series.range(&range);
    }
    let is_below = |time: &i64| match &range.from {
        Bound::Included(from) => IndexValue::Int(*time) < *from,
        Bound::Excluded(from) => IndexValue::Int(*time) <= *from,
        Bound::Unbounded => false,
    };
    let is_within = |time: &i64| match &range.to {
        Bound::Included(to) => IndexValue::Int(*time) <= *to,
        Bound::Excluded(to) => IndexValue::Int(*time) < *to,
        Bound::Unbounded => true,
    };
    let (start, end) = (times.partition_point(is_below), times.partition_point(is_within));
    Ok(series.slice(start.min(end), end.saturating_sub(start)))
}

/// The points from one rank to another; the second does not belong to it, and a negative one counts from the end.
/// A rank outside of the series is its begin or its end.
///
/// # Errors
/// [`Error::InvalidIndex`] for an index of something else than times or spans.
///
/// # Example
/// ```
/// use siltstone::series::Series;
/// use siltstone::series::process::subset_rank;
/// let series = Series::from_times_ns(&[0, 1, 2], &[1.0, 2.0, 3.0])?;
/// assert_eq!(subset_rank(&series, Some(-2), None)?.to_f64s(), Some(vec![2.0, 3.0]));
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn subset_rank(series: &Series, from: Option<i64>, to: Option<i64>) -> Result<Series> {
    TimeIndex::of("subset", series)?;
    let rank = |rank: i64| {
        let position = if rank < 0 { series.len() as i64 + rank } else { rank };
        position.clamp(0, series.len() as i64) as usize
    };
    let (start, end) = (from.map_or(0, rank), to.map_or(series.len(), rank));
    Ok(series.slice(start.min(end), end.saturating_sub(start)))
}

/// The range from one label to another, both included, as [`subset`] reads labels; for any index.
///
/// # Errors
/// [`Error::Invalid`] for a label that cannot be compared with the index.
pub fn label_range(
    series: &Series,
    from: Option<&IndexValue>,
    to: Option<&IndexValue>,
) -> Result<IndexRange> {
    let (start, end) = (from.map(|from| span(series, from)), to.map(|to| span(series, to)));
    let range = IndexRange {
        from: start.transpose()?.map_or(Bound::Unbounded, |(start, _)| start),
        to: end.transpose()?.map_or(Bound::Unbounded, |(_, end)| end),
    };
    range.for_type(series.index().data_type())
}

/// Where what a label names begins and ends.
fn span(series: &Series, label: &IndexValue) -> Result<(Bound<IndexValue>, Bound<IndexValue>)> {
    let (text, index) = match (label, TimeIndex::of("a label", series)) {
        (IndexValue::Text(text), Ok(index)) => (text, index),
        (IndexValue::Text(_), Err(error @ Error::Invalid { .. })) => return Err(error),
        _ => return Ok((Bound::Included(label.clone()), Bound::Included(label.clone()))),
    };
    let (begin, end) = match &index.zone {
        Some(zone) => Period::parse(text)?.fits(zone)?.instants(zone)?,
        None => {
            let begin = parse_timespan(text)?;
            (begin.into(), i128::from(begin) + resolution_ns(text, begin))
        }
    };
    // The first value of the index that is not before the ns.
    let size = ns_of(index.unit);
    let value = |ns: i128| {
        let value = ns.div_euclid(size) + i128::from(ns.rem_euclid(size) > 0);
        IndexValue::Int(value.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
    };
    Ok((Bound::Included(value(begin)), Bound::Excluded(value(end))))
}
