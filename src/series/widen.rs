//! Points of another type than their series: the type that holds both, where nothing is lost.

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, TimeUnit};

use super::backend::SeriesInfo;
use super::data::{Head, Series, WHAT_INDEX, WHAT_VALUES, check_codes};
use super::index::IndexMetadata;
use crate::error::{Error, Result};

impl SeriesInfo {
    /// These points in the types of the series; `None` if they do not hold them, or the series has no point that
    /// gives its types a meaning.
    pub(crate) fn fit(&self, points: &Series) -> Result<Option<Series>> {
        fit(self.length == 0, (&self.index_type, &self.value_type), points)
    }

    /// Whether these points have the types of the series.
    pub(crate) fn has_types_of(&self, points: &Series) -> bool {
        (&self.index_type, &self.value_type) == types(points)
    }
}

impl Series {
    /// This series, and points that are to be joined with it, in types that hold both.
    ///
    /// The types of the series stay where they hold the points: a whole number is a float then, a time of whole
    /// seconds one of nanoseconds. Else the series gets wider ones. Every value stays equal.
    pub(crate) fn widened(&self, points: &Series) -> Result<(Series, Series)> {
        if let Some(points) = fit(self.is_empty(), types(self), points)? {
            return Ok((self.clone(), points));
        }
        if !self.is_empty() {
            check_codes(self.head(), points.head())?;
        }
        let index = both(WHAT_INDEX, self.index(), points.index())?;
        let values = both(WHAT_VALUES, self.values(), points.values())?;
        let (own, other) = (self.head(), points.head());
        let is_of = |kind: &ArrayRef, array: &ArrayRef| kind.data_type() == array.data_type();
        // What tells more of a type than Arrow does holds of that type alone.
        let change = |is_own: bool,
                      is_other: bool,
                      own: &Option<String>,
                      other: &Option<String>| match (is_own, is_other) {
            (true, _) => own.clone(),
            (false, true) => other.clone(),
            (false, false) => None,
        };
        let (is_own, is_other) = (is_of(self.index(), &index.0), is_of(points.index(), &index.0));
        let dtype = change(is_own, is_other, &own.index.dtype, &other.index.dtype);
        let known = if is_own || !self.is_empty() { &own.index } else { &other.index };
        let known = IndexMetadata { name: own.index.name.clone(), dtype, ..known.clone() };
        let (is_own, is_other) =
            (is_of(self.values(), &values.0), is_of(points.values(), &values.0));
        let dtype = change(is_own, is_other, &own.dtype, &other.dtype);
        let head = Head { dtype, index: known, ..own.clone() };
        let own = Series::new(index.0, values.0)?.with_head(head);
        Ok((own, Series::new(index.1, values.1)?.with_head(other.clone())))
    }
}

/// The name of a type as messages have it: `int64`, `float64`, `text`, `datetime64[ns, UTC]`.
pub fn type_name(data_type: &DataType) -> String {
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    };
    match data_type {
        DataType::Boolean => "bool".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".into(),
        DataType::Binary | DataType::FixedSizeBinary(_) => "bytes".into(),
        DataType::Timestamp(u, None) => format!("datetime64[{}]", unit(u)),
        DataType::Timestamp(u, Some(zone)) => format!("datetime64[{}, {zone}]", unit(u)),
        DataType::Duration(u) => format!("timedelta64[{}]", unit(u)),
        other => other.to_string().to_ascii_lowercase(),
    }
}

fn types(series: &Series) -> (&DataType, &DataType) {
    (series.index().data_type(), series.values().data_type())
}

fn fit(
    is_empty: bool,
    (index, values): (&DataType, &DataType),
    points: &Series,
) -> Result<Option<Series>> {
    if (index, values) == types(points) {
        return Ok(Some(points.clone()));
    }
    if is_empty && !points.is_empty() {
        return Ok(None);
    }
    let held = || exact(points.values(), values).or_else(|| missing(points.values(), values));
    match (exact(points.index(), index), held()) {
        (Some(index), Some(values)) => {
            Ok(Some(Series::new(index, values)?.with_head(points.head().clone())))
        }
        _ => Ok(None),
    }
}

/// Both arrays in the first type that holds them.
fn both(what: &str, own: &ArrayRef, other: &ArrayRef) -> Result<(ArrayRef, ArrayRef)> {
    use DataType as T;
    let mut kinds = vec![own.data_type().clone(), other.data_type().clone()];
    match own.data_type() {
        T::Timestamp(_, zone) => {
            let units = [TimeUnit::Microsecond, TimeUnit::Millisecond];
            kinds.extend(units.map(|unit| T::Timestamp(unit, zone.clone())));
        }
        T::Duration(_) => {
            kinds.extend([T::Duration(TimeUnit::Microsecond), T::Duration(TimeUnit::Millisecond)]);
        }
        kind if kind.is_numeric() => kinds.extend([T::Int64, T::Float64]),
        _ => {}
    }
    if own.data_type().is_floating() && own.null_count() < own.len() {
        // Whole floats are measurements too: the series stays one of floats.
        kinds.retain(|kind| !kind.is_integer());
    }
    let both = kinds.iter().find_map(|kind| exact(own, kind).zip(exact(other, kind)));
    both.ok_or_else(|| {
        let (own, other) = (type_name(own.data_type()), type_name(other.data_type()));
        let expected =
            format!("{own}, or values that a wider type holds together with it without loss");
        Error::invalid(what, expected, other)
    })
}

/// Floats that are all NaN as missing values of a type that has no NaN: where nothing was measured, nothing is told of the type.
fn missing(array: &ArrayRef, to: &DataType) -> Option<ArrayRef> {
    if !array.data_type().is_floating() || to.is_floating() {
        return None;
    }
    let floats = cast_with_options(array, &DataType::Float64, &CastOptions::default()).ok()?;
    let is_missing = floats.as_primitive::<Float64Type>().iter().flatten().all(f64::is_nan);
    is_missing.then(|| new_null_array(to, array.len()))
}

/// An array as one of another type, if every value of it is the same there.
fn exact(array: &ArrayRef, to: &DataType) -> Option<ArrayRef> {
    use DataType as T;
    let own = array.data_type();
    if own == to {
        return Some(array.clone());
    }
    if array.null_count() == array.len() {
        return Some(new_null_array(to, array.len()));
    }
    let is_alike = match (own, to) {
        (T::Timestamp(_, own), T::Timestamp(_, to)) => own == to,
        (T::Duration(_), T::Duration(_)) => true,
        (own, to) => own.is_numeric() && to.is_numeric(),
    };
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let made = is_alike.then(|| cast_with_options(array, to, &options).ok()).flatten()?;
    let back = cast_with_options(&made, own, &options).ok()?;
    (back.to_data() == array.to_data()).then_some(made)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        Float32Array, Float64Array, Int8Array, Int64Array, StringArray, TimestampMicrosecondArray,
        TimestampNanosecondArray, TimestampSecondArray, UInt8Array, UInt64Array,
    };
    use arrow_cast::cast;

    use super::*;

    fn values(array: impl Array + 'static) -> Series {
        let index = Int64Array::from_iter_values(0..array.len() as i64);
        Series::new(Arc::new(index), Arc::new(array)).unwrap()
    }

    fn at(index: impl Array + 'static) -> Series {
        let values = vec![0.5; index.len()];
        Series::new(Arc::new(index), Arc::new(Float64Array::from(values))).unwrap()
    }

    /// Goal: the type of a stored series stays where it holds the points, else it is the narrowest that loses nothing,
    /// and without one the points are refused.
    #[test]
    fn types_are_widened_without_a_loss() {
        let big = (1 << 53) + 1;
        let all_missing = || values(Float64Array::from(vec![None::<f64>, None]));
        let us = |times: &[i64]| at(TimestampMicrosecondArray::from(times.to_vec()));
        let ns = |times: &[i64]| at(TimestampNanosecondArray::from(times.to_vec()));
        let zoned = TimestampNanosecondArray::from(vec![1_000]).with_timezone("UTC");
        for (own, points, wanted) in [
            (values(Float64Array::from(vec![0.5])), values(Int64Array::from(vec![4])), "Float64"),
            (values(Int64Array::from(vec![4])), values(Float64Array::from(vec![0.5])), "Float64"),
            (values(Int64Array::from(vec![4])), values(Float64Array::from(vec![5.0])), "Int64"),
            // Minus zero is no integer.
            (values(Int64Array::from(vec![4])), values(Float64Array::from(vec![-0.0])), "Float64"),
            (values(Int64Array::from(vec![big])), values(Float64Array::from(vec![0.5])), ""),
            (values(Float64Array::from(vec![0.5])), values(Int64Array::from(vec![big])), ""),
            (
                values(Float64Array::from(vec![1.0, 9_007_199_254_740_992.0])),
                values(Int64Array::from(vec![big])),
                "",
            ),
            (
                values(Float32Array::from(vec![1.0])),
                values(Int64Array::from(vec![16_777_217])),
                "Float64",
            ),
            (values(Int8Array::from(vec![-1])), values(UInt8Array::from(vec![200])), "Int64"),
            (values(Int64Array::from(vec![-1])), values(UInt64Array::from(vec![u64::MAX])), ""),
            (
                values(Float32Array::from(vec![0.1])),
                values(Float64Array::from(vec![0.1])),
                "Float64",
            ),
            (values(Int64Array::from(vec![big])), values(Float32Array::from(vec![2.0])), "Int64"),
            (all_missing(), values(StringArray::from(vec!["a"])), "Utf8"),
            (values(StringArray::from(vec!["a"])), all_missing(), "Utf8"),
            (values(StringArray::from(vec!["1"])), values(Int64Array::from(vec![1])), ""),
        ] {
            let joined = own.concat(&points);
            let got =
                joined.as_ref().map_or(String::new(), |all| all.values().data_type().to_string());
            assert_eq!(got, wanted, "{own:?} and {points:?}");
            if let Ok(all) = joined {
                let (n, m) = (own.len(), points.len());
                let back = |part: Series, to: &Series| {
                    cast(part.values(), to.values().data_type()).unwrap()
                };
                assert_eq!(back(all.slice(0, n), &own).to_data(), own.values().to_data());
                assert_eq!(back(all.slice(n, m), &points).to_data(), points.values().to_data());
            }
        }
        for (own, points, wanted) in [
            (us(&[1]), ns(&[2_000]), "Timestamp(µs)"),
            (us(&[1]), ns(&[2_001]), "Timestamp(ns)"),
            (ns(&[1]), us(&[2]), "Timestamp(ns)"),
            (us(&[i64::MAX]), ns(&[1]), ""),
            (at(TimestampSecondArray::from(vec![1 << 40])), ns(&[1_000]), "Timestamp(µs)"),
            (ns(&[1]), at(zoned), ""),
            (ns(&[1]), at(Int64Array::from(vec![1])), ""),
        ] {
            let got = own.concat(&points);
            let got = got.map_or(String::new(), |all| all.index().data_type().to_string());
            assert_eq!(got, wanted, "{own:?} and {points:?}");
        }
    }

    /// Goal: what a dtype tells holds of its type alone, and numbers that stand for categories are not taken for others.
    #[test]
    fn a_dtype_goes_with_its_type() {
        let whole = values(Int64Array::from(vec![1])).with_dtype(Some("Int64".into()));
        let floats = values(Float64Array::from(vec![0.5]));
        assert_eq!(whole.concat(&floats).unwrap().dtype(), None);
        assert_eq!(
            whole.concat(&values(Float64Array::from(vec![2.0]))).unwrap().dtype(),
            Some("Int64")
        );
        // Neither type stays, and so does no dtype.
        let small = values(Int8Array::from(vec![-1])).with_dtype(Some("Int8".into()));
        let joined = small.concat(&values(UInt8Array::from(vec![200]))).unwrap();
        assert_eq!((joined.values().data_type(), joined.dtype()), (&DataType::Int64, None));
        let coded = values(Int8Array::from(vec![0])).with_dtype(Some("category:[1]".into()));
        for other in [values(Int64Array::from(vec![1 << 40])), values(Int64Array::from(vec![0]))] {
            assert!(coded.concat(&other).is_err() && other.concat(&coded).is_err(), "{other:?}");
        }
    }
}
