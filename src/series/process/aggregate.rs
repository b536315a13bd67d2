//! Many values of one bin as one.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, UInt64Array};
use arrow_buffer::NullBuffer;
use arrow_cast::cast;
use arrow_schema::DataType;

use crate::error::{Error, Result};
use crate::table::from_arrow;

/// What a bin becomes. Missing values are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Aggregation {
    /// The mean, by compensated summation; of nothing it is missing.
    #[default]
    Mean,
    /// The sum, floats by compensated summation, integers exactly; of nothing it is 0.
    Sum,
    /// The least value, of the type of the values.
    Min,
    /// The greatest value, of the type of the values.
    Max,
    /// The first value in time, of the type of the values, which may be any.
    First,
    /// The last value in time, of the type of the values, which may be any.
    Last,
    /// How many values there are.
    Count,
    /// The value in the middle, or the mean of the two there.
    Median,
}

impl Aggregation {
    const NAMES: [(&'static str, Aggregation); 8] = [
        ("mean", Aggregation::Mean),
        ("sum", Aggregation::Sum),
        ("min", Aggregation::Min),
        ("max", Aggregation::Max),
        ("first", Aggregation::First),
        ("last", Aggregation::Last),
        ("count", Aggregation::Count),
        ("median", Aggregation::Median),
    ];

    /// The aggregation of this name: `mean`, `sum`, ...
    ///
    /// # Errors
    /// [`Error::Invalid`] for another name.
    pub fn parse(name: &str) -> Result<Self> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, aggregation)| *aggregation).ok_or_else(|| {
            let names = Self::NAMES.map(|(name, _)| name).join(", ");
            Error::invalid("an aggregation", format!("one of {names}"), format!("{name:?}"))
        })
    }

    /// Whether the result is made of values as they are.
    pub(super) fn selects(self) -> bool {
        matches!(self, Self::Min | Self::Max | Self::First | Self::Last)
    }

    /// One value for each run of values; run `i` is of the rows before `ends[i]` that are of no run before it. What has no value is null.
    pub(super) fn of(
        self,
        values: &ArrayRef,
        dtype: Option<&str>,
        ends: &[i64],
    ) -> Result<ArrayRef> {
        let runs = ends.iter().scan(0, |start, end| {
            let run = *start..*end as usize;
            *start = run.end;
            Some(run)
        });
        let there = present(values);
        let is_there = |row: &usize| there.as_ref().is_none_or(|there| there.is_valid(*row));
        match self {
            Self::Count => {
                let counts = runs.map(|run| run.filter(is_there).count() as i64);
                Ok(Arc::new(Int64Array::from_iter_values(counts)))
            }
            Self::First => choose(values, runs.map(|run| run.clone().find(is_there))),
            Self::Last => choose(values, runs.map(|run| run.rev().find(is_there))),
            Self::Min | Self::Max => {
                let sign = if self == Self::Min { 1 } else { -1 };
                match Numbers::of(values, dtype)? {
                    Numbers::Float(numbers) => choose(
                        values,
                        runs.map(|run| {
                            let rows = run.filter(is_there);
                            let sign = f64::from(sign);
                            rows.min_by(|a, b| {
                                (sign * numbers[*a]).total_cmp(&(sign * numbers[*b]))
                            })
                        }),
                    ),
                    Numbers::Int(numbers) => choose(
                        values,
                        runs.map(|run| {
                            run.filter(is_there).min_by_key(|row| i128::from(sign) * numbers[*row])
                        }),
                    ),
                }
            }
            Self::Sum => match Numbers::of(values, dtype)? {
                Numbers::Int(numbers) => {
                    let sums = runs.map(|run| run.filter(is_there).map(|row| numbers[row]).sum());
                    integers(values.data_type(), sums)
                }
                Numbers::Float(numbers) => {
                    let sums = runs.map(|run| Some(sum(&numbers[run]).0));
                    as_wide(values.data_type(), sums.collect())
                }
            },
            Self::Mean | Self::Median => {
                let one = if self == Self::Mean { mean } else { median };
                let numbers = Numbers::of(values, dtype)?.into_f64s(there.as_ref());
                as_wide(values.data_type(), runs.map(|run| one(&numbers[run])).collect())
            }
        }
    }
}

/// The values of the rows that were chosen.
fn choose(values: &ArrayRef, rows: impl Iterator<Item = Option<usize>>) -> Result<ArrayRef> {
    let rows: UInt64Array = rows.map(|row| row.map(|row| row as u64)).collect();
    arrow_select::take::take(values, &rows, None).map_err(|e| from_arrow("a series", e))
}

/// Sum and number of the values that are not NaN: Kahan's compensated summation.
///
/// # Source
/// W. Kahan, "Further remarks on reducing truncation errors", CACM 8 (1965); an infinite value ends the compensation.
fn sum(values: &[f64]) -> (f64, usize) {
    let (mut sum, mut lost, mut count) = (0.0, 0.0, 0);
    for value in values.iter().filter(|value| !value.is_nan()) {
        count += 1;
        let part = value - lost;
        let next = sum + part;
        lost = next - sum - part;
        if lost.is_nan() {
            lost = 0.0;
        }
        sum = next;
    }
    (sum, count)
}

fn mean(values: &[f64]) -> Option<f64> {
    let (sum, count) = sum(values);
    (count > 0).then(|| sum / count as f64)
}

fn median(values: &[f64]) -> Option<f64> {
    let mut values: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    if values.is_empty() {
        return None;
    }
    let middle = values.len() / 2;
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    if below.len() > middle || values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = values[..middle].iter().copied().max_by(f64::total_cmp)?;
    Some((lower + upper) / 2.0)
}

/// Which values are there: neither null nor NaN. `None` if all are.
pub(super) fn present(values: &ArrayRef) -> Option<NullBuffer> {
    let is_float =
        matches!(values.data_type(), DataType::Float16 | DataType::Float32 | DataType::Float64);
    let nulls = values.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
    if !is_float {
        return nulls;
    }
    let floats = cast(values, &DataType::Float64).expect("floats widen");
    let numbers = floats.as_primitive::<Float64Type>().values();
    let there: NullBuffer =
        numbers.iter().map(|number| !number.is_nan()).collect::<Vec<_>>().into();
    let there = NullBuffer::union(Some(&there), nulls.as_ref());
    there.filter(|there| there.null_count() > 0)
}

/// Values that can be counted with.
pub(super) enum Numbers {
    Float(Vec<f64>),
    Int(Vec<i128>),
}

impl Numbers {
    /// The values of a series; a missing one has some value.
    pub(super) fn of(values: &ArrayRef, dtype: Option<&str>) -> Result<Self> {
        use DataType as T;
        let refused =
            |got: &str| Error::invalid_type("the values", "numbers or booleans", got.to_owned());
        if let Some(dtype) = dtype.filter(|dtype| dtype.starts_with("category")) {
            return Err(refused(dtype.split(':').next().unwrap_or(dtype)));
        }
        let wide = |to: &DataType| cast(values, to).map_err(|e| from_arrow("a series", e));
        Ok(match values.data_type() {
            T::Float16 | T::Float32 | T::Float64 => {
                Numbers::Float(wide(&T::Float64)?.as_primitive::<Float64Type>().values().to_vec())
            }
            T::UInt64 => {
                let items = values.as_primitive::<UInt64Type>().values().iter();
                Numbers::Int(items.map(|item| i128::from(*item)).collect())
            }
            T::Boolean => {
                let items = values.as_boolean().values().iter();
                Numbers::Int(items.map(i128::from).collect())
            }
            other if other.is_integer() => {
                let items = wide(&T::Int64)?;
                let items = items.as_primitive::<Int64Type>().values().iter();
                Numbers::Int(items.map(|item| i128::from(*item)).collect())
            }
            other => return Err(refused(&other.to_string())),
        })
    }

    /// As floats, a missing one as NaN.
    pub(super) fn into_f64s(self, there: Option<&NullBuffer>) -> Vec<f64> {
        let mut numbers = match self {
            Numbers::Float(numbers) => numbers,
            Numbers::Int(numbers) => numbers.into_iter().map(|number| number as f64).collect(),
        };
        if let Some(there) = there {
            let missing = numbers.iter_mut().zip(there).filter(|(_, there)| !there);
            missing.for_each(|(number, _)| *number = f64::NAN);
        }
        numbers
    }
}

/// Floats as wide as those they were made of.
pub(super) fn as_wide(values: &DataType, results: Float64Array) -> Result<ArrayRef> {
    let results: ArrayRef = Arc::new(results);
    match values {
        DataType::Float16 | DataType::Float32 => {
            cast(&results, values).map_err(|e| from_arrow("a series", e))
        }
        _ => Ok(results),
    }
}

fn integers(values: &DataType, sums: impl Iterator<Item = i128>) -> Result<ArrayRef> {
    let too_large =
        |sum: i128| Error::invalid("the sum of a bin", "an integer of 64 bits", sum.to_string());
    if values.is_unsigned_integer() {
        let sums = sums.map(|sum| u64::try_from(sum).map_err(|_| too_large(sum)));
        return Ok(Arc::new(UInt64Array::from(sums.collect::<Result<Vec<_>>>()?)));
    }
    let sums = sums.map(|sum| i64::try_from(sum).map_err(|_| too_large(sum)));
    Ok(Arc::new(Int64Array::from(sums.collect::<Result<Vec<_>>>()?)))
}

/// Floats in which a null is NaN.
pub(super) fn with_nan(values: ArrayRef) -> ArrayRef {
    if values.null_count() == 0 || !values.data_type().is_floating() {
        return values;
    }
    let wide = cast(&values, &DataType::Float64).expect("floats widen");
    let items = wide.as_primitive::<Float64Type>().iter().map(|item| item.unwrap_or(f64::NAN));
    let items: ArrayRef = Arc::new(Float64Array::from_iter_values(items));
    cast(&items, values.data_type()).expect("they were as narrow before")
}
