//! Missing values between two that are there.

use arrow_array::{Array, Float64Array};

use super::Series;
use super::aggregate::{Numbers, as_wide, present, with_nan};
use super::resample::nullable;
use super::time_index::TimeIndex;
use crate::error::{Error, Result};

/// What the distance between two points is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum By {
    /// 1, whatever the index says: as meteaudata has it, and `interpolate()` of pandas.
    #[default]
    Position,
    /// The time between them.
    Time,
}

impl By {
    /// `position` or `time`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another name.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "position" => Ok(By::Position),
            "time" => Ok(By::Time),
            _ => Err(Error::invalid("by", "position or time", format!("{name:?}"))),
        }
    }
}

/// The series with its missing values on the straight line between their neighbours.
///
/// Missing values before the first that is there stay missing; those behind the last one get its value. Integers and
/// booleans without a missing value stay as they are; integers with one become floats.
///
/// # Errors
/// [`Error::InvalidIndex`] for an index of something else than times or spans; [`Error::InvalidType`] for values that
/// are no numbers; [`Error::Invalid`] for an index that falls, by time.
///
/// # Example
/// ```
/// use siltstone::series::Series;
/// use siltstone::series::process::{By, interpolate};
/// let series = Series::from_times_ns(&[0, 1, 10], &[0.0, f64::NAN, 10.0])?;
/// assert_eq!(interpolate(&series, By::Position)?.to_f64s(), Some(vec![0.0, 5.0, 10.0]));
/// assert_eq!(interpolate(&series, By::Time)?.to_f64s(), Some(vec![0.0, 1.0, 10.0]));
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn interpolate(series: &Series, by: By) -> Result<Series> {
    let index = TimeIndex::of("interpolate", series)?;
    let numbers = Numbers::of(series.values(), series.dtype())?;
    if by == By::Time && !index.values.is_sorted() {
        return Err(Error::invalid(
            "interpolate by time",
            "an index that does not fall",
            "one that does",
        ));
    }
    let Some(there) = present(series.values()) else { return Ok(series.clone()) };
    if series.values().data_type() == &arrow_schema::DataType::Boolean {
        let expected = "numbers, between which there are others";
        return Err(Error::invalid_type("the values", expected, "booleans with missing ones"));
    }
    let mut numbers = numbers.into_f64s(Some(&there));
    let at: &dyn Fn(usize) -> i64 = match by {
        By::Position => &|row| row as i64,
        By::Time => &|row| index.values[row],
    };
    fill(&mut numbers, at);
    let filled = Float64Array::from_iter(numbers.into_iter().map(|x| (!x.is_nan()).then_some(x)));
    let filled = as_wide(series.values().data_type(), filled)?;
    let knows_missing = series.values().null_count() > 0 || series.dtype().is_some();
    let filled = if knows_missing { filled } else { with_nan(filled) };
    let dtype = series.dtype().and_then(|_| nullable(filled.data_type()));
    Ok(Series::new(series.index().clone(), filled)?
        .with_name_or_none(series.name().map(str::to_owned))
        .with_dtype(dtype)
        .with_index_metadata(series.index_metadata().clone()))
}

/// Puts the NaN of `numbers` on the lines between the others; `at` says where a row is.
fn fill(numbers: &mut [f64], at: &dyn Fn(usize) -> i64) {
    let Some(mut left) = numbers.iter().position(|x| !x.is_nan()) else { return };
    while left + 1 < numbers.len() {
        let Some(right) = (left + 1..numbers.len()).find(|row| !numbers[*row].is_nan()) else {
            let last = numbers[left];
            numbers[left + 1..].fill(last);
            return;
        };
        let (from, to) = (numbers[left], numbers[right]);
        let distance = |a: usize, b: usize| (i128::from(at(b)) - i128::from(at(a))) as f64;
        let slope = (to - from) / distance(left, right);
        for (row, number) in numbers.iter_mut().enumerate().take(right).skip(left + 1) {
            if at(row) == at(right) || at(row) == at(left) {
                *number = if at(row) == at(right) { to } else { from };
                continue;
            }
            // An infinite neighbour makes no line: the value is seen from the other side.
            let mut value = slope * distance(left, row) + from;
            if value.is_nan() {
                value = to - slope * distance(row, right);
            }
            *number = if value.is_nan() && from == to { from } else { value };
        }
        left = right;
    }
}
