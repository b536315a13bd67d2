//! Ranges of a series that get another value.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, Scalar, StringArray, new_null_array,
};
use arrow_cast::cast;
use arrow_schema::DataType;

use super::resample::nullable;
use super::subset::label_range;
use super::{IndexValue, IndexValues, Series};
use crate::error::{Error, Result};
use crate::table::from_arrow;

/// What is put in place of values.
#[derive(Debug, Clone, PartialEq)]
pub enum Replacement {
    /// Nothing: the value is missing.
    Missing,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float. NaN among values that are no numbers is [`Missing`](Self::Missing).
    Float(f64),
    /// A text.
    Text(String),
}

/// Two ends of a range, both included; `None` is open.
type Ends = (Option<IndexValue>, Option<IndexValue>);

/// The series with `with` in place of each value in these ranges, for an index of any kind.
///
/// Both ends belong to a range, and labels are read as [`subset`](super::subset()) reads them. Integers that get a
/// float which they cannot hold become 64-bit floats; nothing else changes its type.
///
/// # Errors
/// [`Error::Invalid`] for a label that cannot be compared with the index; [`Error::InvalidType`] for a replacement that
/// such values cannot be.
///
/// # Example
/// ```
/// use siltstone::series::Series;
/// use siltstone::series::process::{Replacement, replace_ranges};
/// let series = Series::from_times_ns(&[0, 1, 2], &[1.0, 2.0, 3.0])?;
/// let replaced = replace_ranges(&series, &[(Some(1.into()), None)], &Replacement::Float(-1.0))?;
/// assert_eq!(replaced.to_f64s(), Some(vec![1.0, -1.0, -1.0]));
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn replace_ranges(series: &Series, ranges: &[Ends], with: &Replacement) -> Result<Series> {
    let ranges = ranges.iter().map(|(from, to)| label_range(series, from.as_ref(), to.as_ref()));
    let ranges = ranges.collect::<Result<Vec<_>>>()?;
    let labels = IndexValues::of(series.index())?;
    let is_meant = (0..labels.len()).map(|row| {
        let label = labels.get(row);
        Some(ranges.iter().any(|range| range.contains(&label)))
    });
    let is_meant: BooleanArray = is_meant.collect();
    let (mut values, mut dtype) = (series.values().clone(), series.dtype().map(str::to_owned));
    let is_plain = !dtype.as_ref().is_some_and(|dtype| dtype.starts_with("category"));
    let one = match replacement(values.data_type(), with, is_plain) {
        Some(one) => one,
        None => match with {
            Replacement::Float(x) if is_plain && values.data_type().is_integer() => {
                values =
                    cast(&values, &DataType::Float64).map_err(|e| from_arrow("a series", e))?;
                dtype = dtype.and_then(|_| nullable(&DataType::Float64));
                Arc::new(Float64Array::from(vec![*x]))
            }
            _ => {
                let expected = format!("one that {} can be", series.values().data_type());
                return Err(Error::invalid_type("a replacement", expected, format!("{with:?}")));
            }
        },
    };
    let values = arrow_select::zip::zip(&is_meant, &Scalar::new(one), &values)
        .map_err(|e| from_arrow("a series", e))?;
    Ok(Series::new(series.index().clone(), values)?
        .with_name_or_none(series.name().map(str::to_owned))
        .with_dtype(dtype)
        .with_index_metadata(series.index_metadata().clone()))
}

/// An array of one: the replacement as such a value, without a loss.
fn replacement(values: &DataType, with: &Replacement, is_plain: bool) -> Option<ArrayRef> {
    let is_number = values.is_numeric() && is_plain;
    let one: ArrayRef = match with {
        Replacement::Missing => return Some(new_null_array(values, 1)),
        Replacement::Float(x) if x.is_nan() && !is_number => {
            return Some(new_null_array(values, 1));
        }
        Replacement::Bool(flag) if is_plain && values == &DataType::Boolean => {
            return Some(Arc::new(BooleanArray::from(vec![*flag])));
        }
        Replacement::Text(text) if values == &DataType::Utf8 => {
            return Some(Arc::new(StringArray::from(vec![text.as_str()])));
        }
        Replacement::Int(n) if is_number => Arc::new(Int64Array::from(vec![*n])),
        Replacement::Float(x) if is_number && values.is_floating() => {
            Arc::new(Float64Array::from(vec![*x]))
        }
        Replacement::Float(x) if is_number && x.fract() == 0.0 && x.abs() < 9e15 => {
            Arc::new(Int64Array::from(vec![*x as i64]))
        }
        _ => return None,
    };
    // What does not fit becomes null.
    cast(&one, values).ok().filter(|one| one.null_count() == 0)
}
