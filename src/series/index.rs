//! Where a point of a series stands: the values of an index, ranges of them, and what is known of it.

use std::ops::Bound;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::ScalarBuffer;
use arrow_cast::cast;
use arrow_schema::DataType;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// One value of an index.
///
/// A time or a span is an integer in the unit of its index: a [`DataType::Timestamp`] of nanoseconds
/// counts nanoseconds since 1970-01-01 UTC, whatever its time zone.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub enum IndexValue {
    /// A time, a span or an integer.
    Int(i64),
    /// A number that is not an integer.
    Float(f64),
    /// A text; compared by its UTF-8 bytes.
    Text(String),
}

impl IndexValue {
    /// What it is, for a message.
    fn describe(&self) -> &'static str {
        match self {
            IndexValue::Int(_) => "an integer",
            IndexValue::Float(_) => "a float",
            IndexValue::Text(_) => "a text",
        }
    }
}

/// From where to where, by the values of the index.
///
/// # Example
/// ```
/// use siltstone::series::IndexRange;
/// let range = IndexRange::closed(10, 20);
/// assert!(range.contains(&20.into()));
/// assert!(!IndexRange::half_open(10, 20).contains(&20.into()));
/// assert!(IndexRange::all().contains(&"anything".into()));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct IndexRange {
    /// Where it begins.
    pub from: Bound<IndexValue>,
    /// Where it ends.
    pub to: Bound<IndexValue>,
}

impl Default for IndexRange {
    fn default() -> Self {
        Self::all()
    }
}

impl IndexRange {
    /// Everything.
    pub fn all() -> Self {
        IndexRange { from: Bound::Unbounded, to: Bound::Unbounded }
    }

    /// Both ends belong to it, as with the labels of pandas.
    pub fn closed(from: impl Into<IndexValue>, to: impl Into<IndexValue>) -> Self {
        IndexRange { from: Bound::Included(from.into()), to: Bound::Included(to.into()) }
    }

    /// The end does not belong to it.
    pub fn half_open(from: impl Into<IndexValue>, to: impl Into<IndexValue>) -> Self {
        IndexRange { from: Bound::Included(from.into()), to: Bound::Excluded(to.into()) }
    }

    /// Whether it leaves nothing out.
    pub fn is_all(&self) -> bool {
        self.from == Bound::Unbounded && self.to == Bound::Unbounded
    }

    /// Whether a value of an index lies behind its end, so that no greater one can lie in it.
    pub(crate) fn is_behind(&self, value: &IndexValue) -> bool {
        match &self.to {
            Bound::Unbounded => false,
            Bound::Included(most) => value > most,
            Bound::Excluded(most) => value >= most,
        }
    }

    /// Whether this value of an index lies in it. What cannot be compared does not.
    pub fn contains(&self, value: &IndexValue) -> bool {
        let from = match &self.from {
            Bound::Unbounded => true,
            Bound::Included(least) => value >= least,
            Bound::Excluded(least) => value > least,
        };
        let to = match &self.to {
            Bound::Unbounded => true,
            Bound::Included(most) => value <= most,
            Bound::Excluded(most) => value < most,
        };
        from && to
    }

    /// Whether values between these two (both included) can lie in it: what a block's least and
    /// greatest value are asked.
    pub fn meets(&self, least: &IndexValue, greatest: &IndexValue) -> bool {
        let from = match &self.from {
            Bound::Unbounded => true,
            Bound::Included(from) => greatest >= from,
            Bound::Excluded(from) => greatest > from,
        };
        let to = match &self.to {
            Bound::Unbounded => true,
            Bound::Included(to) => least <= to,
            Bound::Excluded(to) => least < to,
        };
        from && to
    }

    /// The range with ends of the kind that an index of this type has: integers become floats for a
    /// float index.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an end that cannot be compared with such an index.
    pub fn for_type(&self, index: &DataType) -> Result<Self> {
        let fit = |value: &IndexValue| match (Shape::of(index)?, value) {
            (Shape::Int, IndexValue::Int(_))
            | (Shape::Float, IndexValue::Float(_))
            | (Shape::Text, IndexValue::Text(_)) => Ok(value.clone()),
            (Shape::Float, IndexValue::Int(n)) => Ok(IndexValue::Float(*n as f64)),
            _ => Err(Error::invalid(
                "an end of the range",
                format!("a value that compares with an index of type {index}"),
                value.describe(),
            )),
        };
        let end = |bound: &Bound<IndexValue>| -> Result<Bound<IndexValue>> {
            Ok(match bound {
                Bound::Included(value) => Bound::Included(fit(value)?),
                Bound::Excluded(value) => Bound::Excluded(fit(value)?),
                Bound::Unbounded => Bound::Unbounded,
            })
        };
        Ok(IndexRange { from: end(&self.from)?, to: end(&self.to)? })
    }
}

impl From<i64> for IndexValue {
    fn from(value: i64) -> Self {
        IndexValue::Int(value)
    }
}

impl From<f64> for IndexValue {
    fn from(value: f64) -> Self {
        IndexValue::Float(value)
    }
}

impl From<&str> for IndexValue {
    fn from(value: &str) -> Self {
        IndexValue::Text(value.to_owned())
    }
}

impl From<String> for IndexValue {
    fn from(value: String) -> Self {
        IndexValue::Text(value)
    }
}

/// What is known of an index beside its values. Everything comes back as it was given; nothing is ever
/// computed from it.
///
/// The names are those of meteaudata. `frequency` is a hint, as the user's library wrote it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct IndexMetadata {
    /// The class of the index: `DatetimeIndex`, `RangeIndex`, ...; empty if nobody said.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name of the index.
    pub name: Option<String>,
    /// The frequency, as the user's library writes it: `D`, `15min`, ...
    pub frequency: Option<String>,
    /// The name of the time zone.
    pub time_zone: Option<String>,
    /// Which ends of an interval belong to it.
    pub closed: Option<String>,
    /// The categories of a categorical index.
    pub categories: Option<Vec<serde_json::Value>>,
    /// Whether they have an order.
    pub ordered: Option<bool>,
    /// The first value of a `RangeIndex`.
    pub start: Option<i64>,
    /// The value that ends it, which does not belong to it.
    pub end: Option<i64>,
    /// Its step.
    pub step: Option<i64>,
    /// The dtype, as the user's library writes it.
    pub dtype: Option<String>,
}

impl IndexMetadata {
    /// What the numbers of the index stand for, if not for themselves: categories, periods, booleans.
    pub(crate) fn code(&self) -> Option<String> {
        if let Some(categories) = &self.categories {
            let order = if self.ordered == Some(true) { "ordered " } else { "" };
            let categories = serde_json::Value::Array(categories.clone());
            return Some(format!("{order}categories {categories}"));
        }
        let coded =
            self.kind == "PeriodIndex" || matches!(self.dtype.as_deref(), Some("bool" | "boolean"));
        self.dtype.clone().filter(|_| coded)
    }
}

/// How the values of an index compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As 64-bit integers.
    Int,
    /// As 64-bit floats.
    Float,
    /// As texts.
    Text,
}

impl Shape {
    /// How an index of this type compares.
    pub(crate) fn of(index: &DataType) -> Result<Self> {
        use DataType as T;
        match index {
            T::Timestamp(..) | T::Duration(_) => Ok(Shape::Int),
            T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 => {
                Ok(Shape::Int)
            }
            T::Float32 | T::Float64 => Ok(Shape::Float),
            T::Utf8 => Ok(Shape::Text),
            other => Err(Error::invalid(
                "the index",
                "times, time spans, integers of up to 64 bits with sign, floats or texts",
                other.to_string(),
            )),
        }
    }
}

/// The values of an index, as they compare.
#[derive(Debug, Clone)]
pub(crate) enum IndexValues {
    /// Times, spans and integers.
    Int(ScalarBuffer<i64>),
    /// Floats.
    Float(ScalarBuffer<f64>),
    /// Texts.
    Text(arrow_array::StringArray),
}

impl IndexValues {
    /// Reads the values out of an index.
    pub(crate) fn of(index: &ArrayRef) -> Result<Self> {
        use DataType as T;
        if index.null_count() > 0 {
            let got = format!("{} missing ones", index.null_count());
            return Err(Error::invalid("the index", "a value for each point", got));
        }
        fn wide<T: ArrowPrimitiveType>(index: &ArrayRef) -> IndexValues
        where
            T::Native: Into<i64>,
        {
            let items = index.as_primitive::<T>().values().iter();
            IndexValues::Int(items.map(|item| (*item).into()).collect())
        }
        Ok(match index.data_type() {
            T::Int8 => wide::<Int8Type>(index),
            T::Int16 => wide::<Int16Type>(index),
            T::Int32 => wide::<Int32Type>(index),
            T::UInt8 => wide::<UInt8Type>(index),
            T::UInt16 => wide::<UInt16Type>(index),
            T::UInt32 => wide::<UInt32Type>(index),
            T::Int64 => IndexValues::Int(index.as_primitive::<Int64Type>().values().clone()),
            T::Timestamp(..) | T::Duration(_) => {
                let plain = cast(index, &T::Int64).map_err(|e| from_cast(index, &e))?;
                IndexValues::Int(plain.as_primitive::<Int64Type>().values().clone())
            }
            T::Float32 => {
                let items = index.as_primitive::<Float32Type>().values().iter();
                IndexValues::Float(items.map(|item| f64::from(*item)).collect())
            }
            T::Float64 => IndexValues::Float(index.as_primitive::<Float64Type>().values().clone()),
            T::Utf8 => IndexValues::Text(index.as_string::<i32>().clone()),
            other => {
                Shape::of(other)?;
                unreachable!("every type that has a shape was read above")
            }
        })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            IndexValues::Int(items) => items.len(),
            IndexValues::Float(items) => items.len(),
            IndexValues::Text(items) => items.len(),
        }
    }

    /// One of them.
    pub(crate) fn get(&self, row: usize) -> IndexValue {
        match self {
            IndexValues::Int(items) => IndexValue::Int(items[row]),
            IndexValues::Float(items) => IndexValue::Float(items[row]),
            IndexValues::Text(items) => IndexValue::Text(items.value(row).to_owned()),
        }
    }

    /// The least and the greatest; `None` if there is none (or nothing but NaN).
    pub(crate) fn extent(&self) -> Option<(IndexValue, IndexValue)> {
        if self.len() > 0 && self.is_sorted() && !self.is_nan(0) {
            return Some((self.get(0), self.get(self.len() - 1)));
        }
        match self {
            IndexValues::Int(items) => {
                Some((IndexValue::Int(*items.iter().min()?), IndexValue::Int(*items.iter().max()?)))
            }
            IndexValues::Float(items) => {
                let real = || items.iter().copied().filter(|item| !item.is_nan());
                let least = real().min_by(f64::total_cmp)?;
                let greatest = real().max_by(f64::total_cmp)?;
                Some((IndexValue::Float(least), IndexValue::Float(greatest)))
            }
            IndexValues::Text(items) => {
                let least = items.iter().flatten().min()?;
                let greatest = items.iter().flatten().max()?;
                Some((least.into(), greatest.into()))
            }
        }
    }

    fn is_nan(&self, row: usize) -> bool {
        matches!(self, IndexValues::Float(items) if items[row].is_nan())
    }

    /// The rows that lie in a range, if the values are sorted: they follow each other then.
    pub(crate) fn rows_of(&self, range: &IndexRange) -> Option<std::ops::Range<usize>> {
        if !self.is_sorted() || (self.len() > 0 && self.is_nan(0)) {
            return None; // what cannot be compared lies in no range
        }
        let is_nan = |end: &Bound<IndexValue>| match end {
            Bound::Included(IndexValue::Float(x)) | Bound::Excluded(IndexValue::Float(x)) => {
                x.is_nan()
            }
            _ => false,
        };
        if is_nan(&range.from) || is_nan(&range.to) {
            return Some(0..0);
        }
        let first = self.partition(|value| match &range.from {
            Bound::Unbounded => false,
            Bound::Included(from) => value < from,
            Bound::Excluded(from) => value <= from,
        });
        let end = self.partition(|value| match &range.to {
            Bound::Unbounded => true,
            Bound::Included(to) => value <= to,
            Bound::Excluded(to) => value < to,
        });
        Some(first..end.max(first))
    }

    /// The first row of which this does not hold, where it holds of all before and of none behind.
    pub(crate) fn partition(&self, holds: impl Fn(&IndexValue) -> bool) -> usize {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = from + (to - from) / 2;
            if holds(&self.get(middle)) { from = middle + 1 } else { to = middle }
        }
        from
    }

    /// Whether no value is less than the one before it.
    pub(crate) fn is_sorted(&self) -> bool {
        match self {
            IndexValues::Int(items) => items.windows(2).all(|pair| pair[0] <= pair[1]),
            IndexValues::Float(items) => items.windows(2).all(|pair| pair[0] <= pair[1]),
            IndexValues::Text(items) => {
                (1..items.len()).all(|i| items.value(i - 1) <= items.value(i))
            }
        }
    }
}

fn from_cast(index: &ArrayRef, error: &arrow_schema::ArrowError) -> Error {
    Error::invalid("the index", format!("an array of {}", index.data_type()), error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the rows of sorted values are those that the range contains, one by one, NaN and -0.0 among the ends.
    #[test]
    fn rows_of_sorted_values_are_those_that_it_contains() {
        let ends = [f64::NEG_INFINITY, -0.0, 0.0, 1.5, 3.0, f64::INFINITY, f64::NAN];
        let ends: Vec<Bound<IndexValue>> = ends
            .into_iter()
            .flat_map(|x| [Bound::Included(x.into()), Bound::Excluded(x.into())])
            .chain([Bound::Unbounded])
            .collect();
        for items in [vec![-1.0, -0.0, 0.0, 1.5, 1.5, 3.0], vec![f64::NAN], vec![]] {
            let values = IndexValues::Float(items.clone().into());
            for (from, to) in ends.iter().flat_map(|a| ends.iter().map(move |b| (a, b))) {
                let range = IndexRange { from: from.clone(), to: to.clone() };
                let wanted: Vec<usize> =
                    (0..items.len()).filter(|row| range.contains(&values.get(*row))).collect();
                if let Some(rows) = values.rows_of(&range) {
                    assert_eq!(rows.collect::<Vec<_>>(), wanted, "{range:?} of {items:?}");
                }
            }
        }
    }

    /// Goal: a range knows its ends, and an integer end serves a float index.
    #[test]
    fn a_range_knows_its_ends() {
        let range = IndexRange::closed(1, 3).for_type(&DataType::Float64).unwrap();
        assert!(range.contains(&1.0.into()) && range.contains(&3.0.into()));
        assert!(!range.contains(&f64::NAN.into()) && !range.contains(&3.5.into()));
        assert!(range.meets(&3.0.into(), &9.0.into()) && !range.meets(&3.5.into(), &9.0.into()));
        let error = IndexRange::closed("a", "b").for_type(&DataType::Int64).unwrap_err();
        assert!(error.to_string().contains("a text"), "{error}");
    }
}
