//! Points of files that go to those of stored series, a file in one commit.

use std::collections::HashSet;

use arrow_array::BooleanArray;

use super::backend::{Change, SeriesInfo, StorageBackend, is_unchanged};
use super::data::{Metadata, Series};
use super::index::{IndexRange, IndexValues};
use super::widen::type_name;
use crate::error::{Error, Result};
use crate::kernel::check_interrupted;

/// How to treat stored points where new ones come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlap {
    /// New points that are not later than the last stored one are refused.
    #[default]
    Refuse,
    /// New points that are not later than the last stored one are skipped, and counted.
    Skip,
    /// The stored points from the first new one to the last are replaced; those before and after stay.
    Replace,
    /// All stored points are replaced, and the metadata with them.
    Overwrite,
    /// Both are kept: new points go behind the stored ones, whatever their index. It need not rise.
    Keep,
}

/// What an append did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Appended {
    /// Points that were added.
    pub points: u64,
    /// Points of the file that were skipped.
    pub skipped: u64,
    /// Of these, points that the series has with another value, which stays.
    pub conflicts: u64,
    /// The first of them, in words.
    pub first_conflict: Option<String>,
    /// Stored points that were replaced.
    pub replaced: u64,
    /// The types that the stored series got to hold the new points without loss: `values int64 to float64`.
    pub widened: Option<String>,
}

/// Puts points to those of series: all of them in one commit, or nothing. A series begins with its points and
/// these metadata if it is not there, or is overwritten. The index of both has to rise.
///
/// Points of another type than the stored ones are converted where every value stays equal (a time of whole seconds
/// to nanoseconds, a whole number to a float), and else the series is widened, if a type holds both without loss.
///
/// # Errors
/// [`Error::Invalid`] for points that no type holds together with the stored ones, an index that falls, or points that
/// are not later than the last one if that is refused.
///
/// # Example
/// ```
/// use siltstone::series::{MemoryBackend, Metadata, Overlap, Series, StorageBackend, append_points};
/// let backend = MemoryBackend::new();
/// backend.save("flow", &Series::from_times_ns(&[0, 10, 20], &[1.0, 2.0, 3.0])?, &Default::default())?;
/// let corrected = Series::from_times_ns(&[10], &[2.5])?;
/// append_points(&backend, &[("flow".into(), corrected, Metadata::new(), Overlap::Replace)])?;
/// assert_eq!(backend.load("flow")?.0, Series::from_times_ns(&[0, 10, 20], &[1.0, 2.5, 3.0])?);
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn append_points(
    backend: &dyn StorageBackend,
    points: &[(String, Series, Metadata, Overlap)],
) -> Result<Vec<Appended>> {
    let infos = || -> Result<Vec<Option<SeriesInfo>>> {
        let known = points.iter().map(|(key, ..)| match backend.info(key) {
            Err(Error::NotFound { .. }) => Ok(None),
            info => info.map(Some),
        });
        known.collect()
    };
    loop {
        let known = infos()?;
        let (mut changes, mut all) = (Vec::new(), Vec::new());
        for ((key, _, _, overlap), info) in points.iter().zip(&known) {
            if !matches!(overlap, Overlap::Overwrite | Overlap::Keep) {
                let info = info.clone().map(Box::new);
                changes.push(Change::Expect { key: key.to_owned(), info });
            }
        }
        for ((key, series, metadata, overlap), info) in points.iter().zip(&known) {
            let stored = info.as_ref().filter(|_| *overlap != Overlap::Overwrite);
            let planned = plan(backend, key, (series, metadata), *overlap, stored);
            let (change, appended) = planned.map_err(|error| of_series(key, error))?;
            changes.push(change);
            all.push(appended);
        }
        match backend.commit(&changes) {
            Ok(()) => return Ok(all),
            Err(failed) => {
                let now = infos()?;
                let mut pairs = known.iter().zip(&now);
                if pairs.all(|(known, now)| is_unchanged(known.as_ref(), now.as_ref())) {
                    return Err(failed);
                }
                // Another writer came first: what overlaps is looked at again.
                check_interrupted("appending points")?;
            }
        }
    }
}

/// An error of the points, with the series that they should go to.
fn of_series(key: &str, error: Error) -> Error {
    match error {
        Error::Invalid { what, expected, got } if !what.contains(key) => {
            Error::Invalid { what: format!("the series {key:?}: {what}"), expected, got }
        }
        other => other,
    }
}

fn plan(
    backend: &dyn StorageBackend,
    key: &str,
    (series, metadata): (&Series, &Metadata),
    overlap: Overlap,
    stored: Option<&SeriesInfo>,
) -> Result<(Change, Appended)> {
    let save = |series, metadata| Change::Save { key: key.to_owned(), series, metadata };
    let mut done = Appended { points: series.len() as u64, ..Appended::default() };
    // An append is of the series as it is when it is committed: another process may have written meanwhile.
    let append = |series| Change::Append { key: key.to_owned(), series };
    let Some(info) = stored else {
        let is_append = overlap != Overlap::Overwrite && metadata.is_empty();
        let change = match is_append {
            true => append(series.clone()),
            false => save(series.clone(), metadata.clone()),
        };
        return Ok((change, done));
    };
    // The stored points are loaded only if they change.
    let (points, loaded) = match info.fit(series)? {
        Some(points) => (points, None),
        None => {
            let (own, metadata) = backend.load(key)?;
            let (own, points) = own.widened(series)?;
            done.widened = widening(info, &own);
            (points, Some((own, metadata)))
        }
    };
    let wide = match &loaded {
        Some((own, metadata)) => &SeriesInfo::of(key, own, metadata)?,
        None => info,
    };
    let labels = IndexValues::of(points.index())?;
    let mut new = series.clone();
    if let (Some((_, last)), false) = (&wide.extent, points.is_empty() || overlap == Overlap::Keep)
    {
        let expected = "an index that rises, in the points and in the series (--append --overlap keep takes \
             others; in Python overlap=)";
        if !labels.is_sorted() || !wide.is_sorted {
            return Err(Error::invalid(format!("the series {key:?}"), expected, "one that falls"));
        }
        let later: BooleanArray =
            (0..labels.len()).map(|row| Some(labels.get(row) > *last)).collect();
        let later = later.true_count();
        let early = points.len() - later;
        match overlap {
            _ if early == 0 => {}
            Overlap::Skip => {
                new = series.slice(early, later);
                let range = IndexRange::closed(labels.get(0), labels.get(early - 1));
                let own = match &loaded {
                    Some((own, _)) => own.range(&range)?,
                    None => backend.load_range(key, &range)?,
                };
                (done.conflicts, done.first_conflict) = conflicts(&own, &points.slice(0, early))?;
                (done.points, done.skipped) = (later as u64, early as u64);
                if info.fit(&new)?.is_some() {
                    done.widened = None; // what is skipped widens nothing
                }
            }
            Overlap::Replace => {
                let (own, metadata) = loaded.map_or_else(|| backend.load(key), Ok)?;
                let (merged, replaced) = replace(&own, &points)?;
                done.replaced = replaced as u64;
                return Ok((save(merged, metadata), done));
            }
            Overlap::Refuse | Overlap::Overwrite | Overlap::Keep => {
                let expected = "points later than the last one (--append --overlap skip, replace or keep takes \
                     others; in Python overlap=)";
                let got = format!("{early} that are not");
                return Err(Error::invalid(format!("the series {key:?}"), expected, got));
            }
        }
    }
    Ok((append(new), done))
}

/// The series with these points in place of its own from the first of them to the last, and how many gave way.
fn replace(own: &Series, points: &Series) -> Result<(Series, usize)> {
    let (own_labels, labels) = (IndexValues::of(own.index())?, IndexValues::of(points.index())?);
    let (first, last) = (labels.get(0), labels.get(labels.len() - 1));
    let before = own_labels.partition(|value| *value < first);
    let until = own_labels.partition(|value| *value <= last);
    let after = own.slice(until, own.len() - until);
    Ok((own.slice(0, before).concat(points)?.concat(&after)?, until - before))
}

/// How many points a series has with another value, and the first of them.
fn conflicts(own: &Series, points: &Series) -> Result<(u64, Option<String>)> {
    let (stored, labels) = (IndexValues::of(own.index())?, IndexValues::of(points.index())?);
    let values = |series: &Series, from, n| -> Result<Vec<String>> {
        let rows = crate::table::rows(&series.slice(from, n).to_batch())?;
        let text = |cell: &serde_json::Value| match cell {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Ok(rows.iter().map(|row| text(&row[1])).collect())
    };
    let (mut count, mut first, mut row) = (0, None, 0);
    // Points of one label are looked at together: they are equal one by one, or in another order.
    while row < points.len() {
        check_interrupted("comparing points")?;
        let label = labels.get(row);
        let (from, until) =
            (stored.partition(|value| *value < label), stored.partition(|value| *value <= label));
        let end = labels.partition(|value| *value <= label);
        let is_same = |at: usize, row| own.values().slice(at, 1) == points.values().slice(row, 1);
        let start = std::mem::replace(&mut row, end);
        let differs =
            |new: &usize| from + new - start >= until || !is_same(from + new - start, *new);
        let mut others: Vec<usize> = (start..end).filter(differs).collect();
        if from == until || others.is_empty() {
            continue;
        }
        if until - from > 1 || end - start > 1 {
            let had: HashSet<String> = values(own, from, until - from)?.into_iter().collect();
            let new = others.iter().map(|row| Ok(values(points, *row, 1)?.remove(0)));
            let new: Vec<String> = new.collect::<Result<_>>()?;
            let mut new = new.iter();
            others.retain(|_| new.next().is_some_and(|value| !had.contains(value)));
        }
        count += others.len() as u64;
        if let (None, Some(new)) = (&first, others.first()) {
            let rows = crate::table::rows(&points.slice(*new, 1).to_batch())?;
            let label = rows[0][0].as_str().map_or_else(|| rows[0][0].to_string(), str::to_owned);
            let (was, new) = (values(own, from, 1)?.remove(0), values(points, *new, 1)?.remove(0));
            first = Some(format!("at {label}: {was} is stored, {new} is new"));
        }
    }
    Ok((count, first))
}

/// The types of a series that are not what they were.
fn widening(info: &SeriesInfo, own: &Series) -> Option<String> {
    let pairs = [
        ("index", &info.index_type, own.index().data_type()),
        ("values", &info.value_type, own.values().data_type()),
    ];
    let reported = pairs.iter().filter(|(_, was, is)| was != is);
    let reported: Vec<String> = reported
        .map(|(what, was, is)| format!("{what} {} to {}", type_name(was), type_name(is)))
        .collect();
    Some(reported.join(", ")).filter(|reported| !reported.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray};
    use arrow_schema::DataType;

    use super::super::in_memory::MemoryBackend;
    use super::*;

    /// Goal: a point that is skipped is named if the series has another value, as of a file whose last line was cut; equal ones,
    /// NaN among them, are not.
    #[test]
    fn skipped_points_of_another_value_are_named() {
        let (backend, nan) = (MemoryBackend::new(), f64::NAN);
        let stored = Series::from_times_ns(&[0, 10, 20], &[1.0, nan, 2.7]).unwrap();
        backend.save("k", &stored, &Metadata::new()).unwrap();
        let grown = Series::from_times_ns(&[0, 10, 20, 30], &[1.0, nan, 2.75, 3.0]).unwrap();
        let points = [("k".to_owned(), grown, Metadata::new(), Overlap::Skip)];
        let done = append_points(&backend, &points).unwrap().remove(0);
        assert_eq!((done.points, done.skipped, done.conflicts), (1, 3, 1), "{done:?}");
        let said = done.first_conflict.unwrap();
        assert!(said.ends_with(": 2.7 is stored, 2.75 is new"), "{said}");
        let again =
            append_points(&backend, &[("k".into(), stored, Metadata::new(), Overlap::Skip)]);
        assert_eq!(again.unwrap()[0].conflicts, 0);

        // Points of one label are compared as a set.
        let several = |values: &[f64]| Series::from_times_ns(&[0, 5, 5, 5], values).unwrap();
        backend.save("m", &several(&[1.0, 2.0, 3.0, 4.0]), &Metadata::new()).unwrap();
        let one = Series::from_times_ns(&[5], &[2.0]).unwrap();
        backend.save("one", &one, &Metadata::new()).unwrap();
        for (key, values, conflicts) in [
            ("m", [1.0, 4.0, 2.0, 3.0], 0),
            ("m", [9.0, 4.0, 5.0, 6.0], 3),
            ("one", [9.0, 2.0, 2.0, 2.0], 0),
        ] {
            let points = [(key.to_owned(), several(&values), Metadata::new(), Overlap::Skip)];
            assert_eq!(append_points(&backend, &points).unwrap()[0].conflicts, conflicts);
        }
    }

    /// Goal: points that are skipped, or missing, widen nothing; those that come in beside skipped ones do if they must.
    #[test]
    fn what_is_skipped_or_missing_widens_nothing() {
        let floats = |values: &[f64]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
        let texts = Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef;
        for (stored, index, values, overlap, points, kind) in [
            (None, &[1, 2][..], floats(&[0.5, 0.5]), Overlap::Skip, 0, DataType::Int64),
            (None, &[2, 3], floats(&[0.5, 9.0]), Overlap::Skip, 1, DataType::Int64),
            (None, &[2, 3], floats(&[9.0, 0.5]), Overlap::Skip, 1, DataType::Float64),
            (None, &[3, 4], floats(&[f64::NAN; 2]), Overlap::Refuse, 2, DataType::Int64),
            (None, &[3, 4], floats(&[f64::NAN, 0.5]), Overlap::Refuse, 2, DataType::Float64),
            (Some(texts), &[3, 4], floats(&[f64::NAN; 2]), Overlap::Keep, 2, DataType::Utf8),
        ] {
            let backend = MemoryBackend::new();
            let int = || Arc::new(Int64Array::from(vec![5, 6])) as ArrayRef;
            let times = |times: &[i64]| Arc::new(Int64Array::from(times.to_vec())) as ArrayRef;
            let own = Series::new(times(&[1, 2]), stored.unwrap_or_else(int)).unwrap();
            backend.save("k", &own, &Metadata::new()).unwrap();
            let new = Series::new(times(index), values).unwrap();
            let done = append_points(&backend, &[("k".into(), new, Metadata::new(), overlap)]);
            let done = done.unwrap().remove(0);
            let info = backend.info("k").unwrap();
            assert_eq!((done.points, &info.value_type), (points, &kind), "{index:?}");
            assert_eq!(done.widened.is_some(), kind == DataType::Float64, "{done:?}");
            assert_eq!(info.length, 2 + points);
        }
    }
}
