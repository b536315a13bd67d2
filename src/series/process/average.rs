//! The mean of several series.

use arrow_array::Float64Array;
use arrow_schema::{DataType, TimeUnit};
use std::sync::Arc;

use super::Series;
use super::aggregate::{Numbers, present, with_nan};
use super::bins::Bins;
use super::datetime::Zone;
use super::frequency::Frequency;
use super::time_index::{TimeIndex, ns_of};
use crate::error::{Error, Result};

/// The mean of several series at each time that one of them has; what is missing at a time is left out.
///
/// Times are compared as instants: zones that differ become UTC, units that differ the finest of them. If all have one
/// index, its order stays; else the times rise. The frequency is known where all have the same and the times are still
/// regular. The result has no name, since it is none of them.
///
/// # Errors
/// [`Error::Invalid`] for no series, a time that one series has twice, zones beside no zone, or times that the finest unit
/// cannot hold; [`Error::InvalidIndex`] for an index of something else than times or spans, or of both;
/// [`Error::InvalidType`] for values that are no numbers.
///
/// # Example
/// ```
/// use siltstone::series::Series;
/// use siltstone::series::process::average;
/// let a = Series::from_times_ns(&[0, 1], &[1.0, 2.0])?;
/// let b = Series::from_times_ns(&[1, 2], &[4.0, 5.0])?;
/// assert_eq!(average(&[&a, &b])?.to_f64s(), Some(vec![1.0, 3.0, 5.0]));
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn average(series: &[&Series]) -> Result<Series> {
    let Some(first) = series.first() else {
        return Err(Error::invalid("average", "at least one series", "none"));
    };
    let indexes = series.iter().map(|series| TimeIndex::of("average", series));
    let indexes = indexes.collect::<Result<Vec<_>>>()?;
    let like = common_type(series, &indexes)?;
    let (DataType::Timestamp(unit, _) | DataType::Duration(unit)) = like else {
        unreachable!("the common type of times is one of times")
    };
    let indexes = indexes.iter().map(|index| in_unit(index, unit)).collect::<Result<Vec<_>>>()?;
    let is_same = indexes.iter().all(|times| *times == indexes[0]);
    let mut rows = Vec::with_capacity(series.len());
    for (one, times) in series.iter().zip(&indexes) {
        rows.push(sorted_rows(one, times)?);
    }
    let mut times = indexes[0].clone();
    if !is_same {
        times.extend(indexes[1..].iter().flatten());
        times.sort_unstable();
        times.dedup();
    }
    let (mut sums, mut counts) = (vec![0.0; times.len()], vec![0_u32; times.len()]);
    for ((one, own), rows) in series.iter().zip(&indexes).zip(&rows) {
        let there = present(one.values());
        let numbers = Numbers::of(one.values(), one.dtype())?.into_f64s(there.as_ref());
        let mut last = 0;
        for (rank, row) in rows.iter().enumerate() {
            let value = numbers[*row];
            let at = if is_same { *row } else { position_of(&times, own[*row], last.max(rank)) };
            last = at;
            if !value.is_nan() {
                sums[at] += value;
                counts[at] += 1;
            }
        }
    }
    let means = sums.iter().zip(&counts);
    let means = means.map(|(sum, count)| (*count > 0).then(|| sum / f64::from(*count)));
    let means: Float64Array = means.collect();
    let has_dtype = series.iter().any(|one| one.dtype().is_some());
    let knows_missing = has_dtype || series.iter().any(|one| one.values().null_count() > 0);
    let means = if knows_missing { Arc::new(means) } else { with_nan(Arc::new(means)) };
    let mut known = first.index_metadata().clone();
    (known.start, known.end, known.step) = (None, None, None);
    if series.iter().any(|one| one.index_metadata().name != known.name) {
        known.name = None;
    }
    if series.iter().any(|one| one.index().data_type() != first.index().data_type()) {
        known.dtype = None;
        known.time_zone = zone_of(&like).map(str::to_owned);
    }
    known.frequency = known.frequency.filter(|frequency| {
        let all =
            series.iter().all(|one| one.index_metadata().frequency.as_ref() == Some(frequency));
        all && (is_same || is_regular(&like, &times, frequency))
    });
    Ok(Series::new(TimeIndex::array(&like, times), means)?
        .with_dtype(has_dtype.then(|| "Float64".to_owned()))
        .with_index_metadata(known))
}

fn zone_of(like: &DataType) -> Option<&str> {
    match like {
        DataType::Timestamp(_, zone) => zone.as_deref(),
        _ => None,
    }
}

/// The type of index that all these become.
fn common_type(series: &[&Series], indexes: &[TimeIndex]) -> Result<DataType> {
    let unit = indexes.iter().map(|index| index.unit).min_by_key(|unit| ns_of(*unit));
    let unit = unit.unwrap_or(TimeUnit::Nanosecond);
    if indexes.iter().all(|index| index.zone.is_none()) {
        return Ok(DataType::Duration(unit));
    }
    if indexes.iter().any(|index| index.zone.is_none()) {
        return Err(Error::invalid_index("average", "times or time spans", "some of both"));
    }
    let zones = series.iter().map(|one| zone_of(one.index().data_type())).collect::<Vec<_>>();
    if zones.iter().any(Option::is_some) && zones.iter().any(Option::is_none) {
        let expected = "times of which all have a zone, or none";
        return Err(Error::invalid("average", expected, "some of both"));
    }
    let is_one = zones.iter().all(|zone| *zone == zones[0]);
    let zone = if is_one { zones[0] } else { Some("UTC") };
    Ok(DataType::Timestamp(unit, zone.map(Into::into)))
}

/// The times of an index in a unit that is as fine as its own, or finer.
fn in_unit(index: &TimeIndex, unit: TimeUnit) -> Result<Vec<i64>> {
    let factor = (ns_of(index.unit) / ns_of(unit)) as i64;
    let times = index.values.iter().map(|time| {
        time.checked_mul(factor).ok_or_else(|| {
            let expected = format!("times that {unit:?}s can hold, the finest unit of them");
            Error::invalid("average", expected, time.to_string())
        })
    });
    times.collect()
}

/// The rows of a series in the order of their times, each of which it has once.
fn sorted_rows(series: &Series, times: &[i64]) -> Result<Vec<usize>> {
    let mut rows: Vec<usize> = (0..times.len()).collect();
    if !times.is_sorted() {
        rows.sort_by_key(|row| times[*row]);
    }
    let twice = rows.windows(2).find(|pair| times[pair[0]] == times[pair[1]]);
    match twice {
        None => Ok(rows),
        Some(pair) => {
            let name = series.name().map_or("a series".to_owned(), |name| format!("{name:?}"));
            let time = TimeIndex::of("average", series)?.show(pair[0]);
            let what = format!("the times of {name}");
            Err(Error::invalid(what, "each of them once", format!("{time} twice")))
        }
    }
}

/// The position of a time in times that rise, which is not before `from`.
fn position_of(times: &[i64], time: i64, from: usize) -> usize {
    // Most often it is the next one.
    if times[from] == time {
        return from;
    }
    from + times[from..].partition_point(|other| *other < time)
}

/// Whether these times are all that such a frequency has between the first and the last.
fn is_regular(like: &DataType, times: &[i64], frequency: &str) -> bool {
    let (Ok(frequency), Some(first), Some(last)) =
        (Frequency::parse(frequency), times.first(), times.last())
    else {
        return false;
    };
    let (zone, unit) = match like {
        DataType::Timestamp(unit, zone) => {
            let Ok(zone) = zone.as_deref().map(Zone::parse).transpose() else { return false };
            (Some(zone.unwrap_or_default()), *unit)
        }
        DataType::Duration(unit) => (None, *unit),
        _ => return false,
    };
    // Bins are not made where there are more of them than times.
    let most = frequency.ns().map_or(i128::MAX, |ns| ns.saturating_mul(times.len() as i128 + 1));
    if (i128::from(*last) - i128::from(*first)) * ns_of(unit) > most {
        return false;
    }
    let index = TimeIndex { zone, unit, values: Vec::new() };
    Bins::new(&index, *first, *last, &frequency).is_ok_and(|bins| bins.labels == times)
}
