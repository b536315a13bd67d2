//! The series of a file into a store, compared with what is there.

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{ArrayRef, UInt64Array};
use arrow_select::take::take;

use super::InfluxReport;
use super::points::{Gathered, Gathering};
use crate::error::{Error, Result};
use crate::kernel::{Progress, Skipped, check_interrupted};
use crate::series::backend::{Change, SeriesInfo, StorageBackend};
use crate::series::data::Series;
use crate::series::index::{IndexRange, IndexValue};
use crate::series::widen::type_name;
use crate::table::from_arrow;

/// Series of one commit, and points.
const CHUNK_SERIES: usize = 1_000;
const CHUNK_POINTS: usize = 1 << 20;

/// Stores what is new.
///
/// # Errors
/// Those of the backend and of `progress`; the series before stay.
pub(super) fn put(
    backend: &dyn StorageBackend,
    gathered: Gathered<'_>,
    progress: &mut Progress<'_>,
) -> Result<InfluxReport> {
    let mut report = InfluxReport { series: gathered.all.len() as u64, ..Default::default() };
    report.skipped.extend(gathered.skipped());
    report.notes.clone_from(&gathered.notes);
    let (mut changes, mut points) = (Vec::new(), 0);
    let all = gathered.all.len() as u64;
    for (one, done) in gathered.all.iter().zip(0..) {
        progress(done, all)?;
        let (series, repeated) = one.series()?;
        report.points += series.len() as u64;
        report.repeated += repeated;
        let rows = series.len() as u64;
        let skipped = |why: &str, rows| Skipped::new(gathered.path, why).table(&one.key).rows(rows);
        match plan(backend, one, series)? {
            Err(why) => report.skipped.push(skipped(&why, rows)),
            Ok(plan) => {
                report.added += plan.added;
                report.unchanged += plan.unchanged;
                points += plan.changes.iter().map(held).sum::<usize>();
                changes.extend(plan.changes);
                if plan.differing > 0 {
                    let first =
                        jiff::Timestamp::from_nanosecond(plan.first.into()).unwrap_or_default();
                    let why =
                        format!("the store has another value, which stays; the first at {first}");
                    report.skipped.push(skipped(&why, plan.differing));
                }
            }
        }
        if changes.len() >= CHUNK_SERIES || points >= CHUNK_POINTS {
            check_interrupted("importing")?;
            backend.commit(&changes)?;
            changes.clear();
            points = 0;
        }
    }
    check_interrupted("importing")?;
    if !changes.is_empty() {
        backend.commit(&changes)?;
    }
    progress(all, all)?;
    Ok(report)
}

/// The points and tags that a change holds in memory.
fn held(change: &Change) -> usize {
    match change {
        Change::Save { series, metadata, .. } => {
            series.len() + metadata["tags"].as_object().map_or(0, serde_json::Map::len)
        }
        Change::Append { series, .. } => series.len(),
        _ => 0,
    }
}

/// What becomes of a series.
#[derive(Default)]
struct Plan {
    changes: Vec<Change>,
    added: u64,
    unchanged: u64,
    /// Points that the store has with another value, and the time of the first of them.
    differing: u64,
    first: i64,
}

/// Compares a series with what is stored of it; the second is why nothing of it can be stored.
fn plan(
    backend: &dyn StorageBackend,
    one: &Gathering,
    series: Series,
) -> Result<std::result::Result<Plan, String>> {
    let (key, mut plan) = (one.key.clone(), Plan::default());
    let info = match backend.info(&key) {
        Err(Error::NotFound { .. }) => None,
        info => Some(info?),
    };
    plan.changes.push(Change::Expect { key: key.clone(), info: info.clone().map(Box::new) });
    let Some(info) = info else {
        plan.added = series.len() as u64;
        plan.changes.push(Change::Save { key, series, metadata: one.metadata() });
        return Ok(Ok(plan));
    };
    if let Some(why) = refusal(&info, one, &series) {
        return Ok(Err(why));
    }
    let own = times(&series);
    let (first, last) = (own[0], own[own.len() - 1]);
    let stored = backend.load_range(&key, &IndexRange::closed(first, last))?;
    let is_same = |own: &ArrayRef, other: &ArrayRef| own.to_data() == other.to_data();
    if is_same(series.index(), stored.index()) && is_same(series.values(), stored.values()) {
        plan.unchanged = own.len() as u64;
        plan.changes.clear();
        return Ok(Ok(plan));
    }
    let (there, mut new) = (times(&stored), Vec::new());
    for (row, time) in own.iter().enumerate() {
        let at = there.binary_search(time);
        let value = |series: &Series, row| series.values().slice(row, 1);
        match at.map(|at| is_same(&value(&stored, at), &value(&series, row))) {
            Err(_) => new.push(row as u64),
            Ok(true) => plan.unchanged += 1,
            Ok(false) => {
                plan.first = if plan.differing == 0 { *time } else { plan.first };
                plan.differing += 1;
            }
        }
    }
    plan.added = new.len() as u64;
    if new.is_empty() {
        plan.changes.clear();
        return Ok(Ok(plan));
    }
    let new = rows_of(&series, new)?;
    let is_later = info.extent.is_none_or(|(_, last)| last < IndexValue::Int(times(&new)[0]));
    plan.changes.push(if is_later {
        Change::Append { key, series: new }
    } else {
        let (whole, metadata) = backend.load(&key)?;
        let whole = whole.concat(&new)?;
        let mut order: Vec<u64> = (0..whole.len() as u64).collect();
        order.sort_by_key(|row| times(&whole)[*row as usize]);
        Change::Save { key, series: rows_of(&whole, order)?, metadata }
    });
    Ok(Ok(plan))
}

/// Why the points of a file do not go with those that are stored.
fn refusal(info: &SeriesInfo, one: &Gathering, series: &Series) -> Option<String> {
    let is_same = one.metadata().iter().all(|(name, own)| info.metadata.get(name) == Some(own));
    if !is_same {
        return Some("the store has a series of this key that is not this one of InfluxDB".into());
    }
    let types = [series.index().data_type(), series.values().data_type()];
    if types != [&info.index_type, &info.value_type] || !info.is_sorted {
        let stored = [&info.index_type, &info.value_type].map(type_name).join(", ");
        let own = types.map(type_name).join(", ");
        return Some(format!("the store has {stored}, and the file {own}"));
    }
    None
}

/// The times of a series, in ns.
fn times(series: &Series) -> &[i64] {
    series.index().as_primitive::<TimestampNanosecondType>().values()
}

/// Some rows of a series.
fn rows_of(series: &Series, rows: Vec<u64>) -> Result<Series> {
    let rows = UInt64Array::from(rows);
    let of = |array: &ArrayRef| take(array, &rows, None).map_err(|e| from_arrow("a series", e));
    let taken = Series::new(of(series.index())?, of(series.values())?)?;
    Ok(taken.with_head(series.head().clone()))
}
