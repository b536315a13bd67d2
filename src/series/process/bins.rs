//! The bins into which a resampled series falls.

use super::datetime::Zone;
use super::frequency::{Dates, Frequency};
use super::time_index::TimeIndex;
use crate::error::{Error, Result};

/// The most bins of a result: 134 million, four years of seconds, 2 GiB of index and values.
const MOST_BINS: i128 = 1 << 27;

/// Bins without a gap between them, each with its name.
pub(super) struct Bins {
    /// The index of the result.
    pub(super) labels: Vec<i64>,
    /// Where each bin ends; the end belongs to the next one.
    pub(super) ends: Vec<i64>,
}

impl Bins {
    /// The bins of a frequency from the first to the last of these times.
    ///
    /// # Source
    /// The rules of pandas' `resample` with its defaults: fixed spans are counted from the midnight before the first
    /// time (time spans from the first of them); weeks, and months, quarters and years that are named by their end,
    /// are labelled by their last day, which belongs to them; the others by their begin.
    pub(super) fn new(
        index: &TimeIndex,
        first: i64,
        last: i64,
        frequency: &Frequency,
    ) -> Result<Self> {
        let Some(zone) = &index.zone else {
            let Some(ns) = frequency.ns() else {
                let expected = "one of fixed length, as 24h or 3D, for an index of time spans";
                return Err(Error::invalid("a frequency", expected, frequency.to_string()));
            };
            return fixed(index, first.into(), last, ns, frequency);
        };
        let days = (index.day(zone, first)?, index.day(zone, last)?);
        match (frequency.dates(), frequency.ns()) {
            (Some(dates), _) => of_dates(index, zone, days, dates, frequency),
            (None, Some(ns)) if !frequency.is_days() => {
                let midnight = i128::from(index.start_of_day(zone, days.0)?);
                let length = index.length(ns).ok_or_else(|| too_fine(frequency))?;
                let start = midnight + (i128::from(first) - midnight).div_euclid(length) * length;
                fixed(index, start, last, ns, frequency)
            }
            _ => {
                let step = frequency.count();
                let bins = i128::from(days.1 - days.0) / i128::from(step) + 1;
                let start = |i: i64| {
                    let day = i.checked_mul(step).and_then(|ahead| days.0.checked_add(ahead));
                    index.start_of_day(zone, day.unwrap_or(i64::MAX))
                };
                of_starts(bins, frequency, start)
            }
        }
    }
}

/// Bins of one length, from `start` on.
fn fixed(
    index: &TimeIndex,
    start: i128,
    last: i64,
    ns: i128,
    frequency: &Frequency,
) -> Result<Bins> {
    let length = index.length(ns).ok_or_else(|| too_fine(frequency))?;
    let bins = (i128::from(last) - start) / length + 1;
    of_starts(bins, frequency, |i| {
        // The end of the last bin may lie beyond what the unit can say; no time lies there.
        let start = start + i128::from(i) * length;
        Ok(start.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
    })
}

/// Bins named by their start.
fn of_starts(
    bins: i128,
    frequency: &Frequency,
    start: impl Fn(i64) -> Result<i64>,
) -> Result<Bins> {
    let (mut labels, mut ends) = room(bins, frequency)?;
    let mut label = start(0)?;
    for i in 1..=bins as i64 {
        // The last bin is open: what lies behind it is not asked for.
        let end = if i < bins as i64 { start(i)? } else { start(i).unwrap_or(i64::MAX) };
        labels.push(label);
        ends.push(end);
        label = end;
    }
    Ok(Bins { labels, ends })
}

/// Bins of weeks, months, quarters or years.
fn of_dates(
    index: &TimeIndex,
    zone: &Zone,
    days: (i64, i64),
    dates: Dates,
    frequency: &Frequency,
) -> Result<Bins> {
    let step = frequency.count();
    let number = |first: i64, i: i64| {
        let ahead = i.checked_mul(step).and_then(|ahead| first.checked_add(ahead));
        dates.day(ahead.filter(|n| n.abs() < 1 << 40).unwrap_or(1 << 40))
    };
    if !dates.ends() {
        let (first, last) = (dates.not_after(days.0)?, dates.not_after(days.1)?);
        let bins = i128::from((last - first) / step + 1);
        return of_starts(bins, frequency, |i| index.start_of_day(zone, number(first, i)?));
    }
    let (first, last) = (dates.not_before(days.0)?, dates.not_before(days.1)?);
    let bins = ((last - first) as u64).div_ceil(step as u64) + 1;
    let (mut labels, mut ends) = room(bins.into(), frequency)?;
    for i in 0..bins as i64 {
        let day = number(first, i)?;
        labels.push(index.start_of_day(zone, day)?);
        ends.push(index.start_of_day(zone, day + 1).unwrap_or(i64::MAX));
    }
    Ok(Bins { labels, ends })
}

/// Room for so many bins, or the refusal of too many.
fn room(bins: i128, frequency: &Frequency) -> Result<(Vec<i64>, Vec<i64>)> {
    let many = || {
        let expected = format!("one that makes at most {MOST_BINS} bins that fit into memory");
        Error::invalid("a frequency", expected, format!("{frequency}, which makes {bins}"))
    };
    let (mut labels, mut ends) = (Vec::new(), Vec::new());
    let count = Some(bins).filter(|bins| *bins <= MOST_BINS).ok_or_else(many)? as usize;
    labels.try_reserve_exact(count).map_err(|_| many())?;
    ends.try_reserve_exact(count).map_err(|_| many())?;
    Ok((labels, ends))
}

fn too_fine(frequency: &Frequency) -> Error {
    let expected = "one of whole units of the index";
    Error::invalid("a frequency", expected, frequency.to_string())
}
