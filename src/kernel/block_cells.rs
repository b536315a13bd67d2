//! Arrays as the cells of an SQL table, and between what they lie.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray, UInt64Array,
};
use arrow_cast::cast;
use arrow_schema::DataType;
use rusqlite::Result;
use rusqlite::types::{Null, Value};
use rusqlite::vtab::Context;

use crate::array::{TimeFormat, per_second, span_text};

/// The values between which those of a column lie, as SQLite sees them.
pub(super) enum Extent {
    Numbers(f64, f64),
    Texts(String, String),
    Unknown,
}

impl Extent {
    /// Of a column of this type, between these two.
    pub(super) fn of(kind: &DataType, least: Value, greatest: Value) -> Self {
        // A float near to an integer keeps the order of them.
        let number = |value: &Value| match value {
            Value::Integer(n) => Some(*n as f64),
            Value::Real(x) => Some(*x),
            _ => None,
        };
        match (kind, least, greatest) {
            (DataType::Timestamp(unit, zone), Value::Integer(least), Value::Integer(greatest)) => {
                let extent = TimeFormat::new(*unit, zone.as_deref()).extent(least, greatest);
                extent.map_or(Extent::Unknown, |(least, greatest)| Extent::Texts(least, greatest))
            }
            (DataType::Timestamp(..) | DataType::Duration(_), ..) => Extent::Unknown,
            (_, Value::Text(least), Value::Text(greatest)) => Extent::Texts(least, greatest),
            (_, least, greatest) => match (number(&least), number(&greatest)) {
                (Some(least), Some(greatest)) => Extent::Numbers(least, greatest),
                _ => Extent::Unknown,
            },
        }
    }

    /// Whether a value, or its millionths, can compare so with this one. What is not of its kind is left to SQLite.
    pub(super) fn allows(&self, comparison: char, is_ms: bool, value: &Value) -> bool {
        use std::cmp::Ordering::{Greater, Less};
        let number = match value {
            Value::Integer(n) => Some(*n as f64),
            Value::Real(x) => Some(*x),
            _ => None,
        };
        let (least, greatest) = match (self, number, value) {
            (Extent::Numbers(least, greatest), Some(x), _) => {
                // A float of so many ns is not exact: a millisecond more on both sides.
                let part = |end: f64, more: f64| if is_ms { end / 1e6 + more } else { end };
                (part(*least, -2.0).partial_cmp(&x), part(*greatest, 1.0).partial_cmp(&x))
            }
            (Extent::Texts(least, greatest), _, Value::Text(text)) if !is_ms => {
                (Some(least.cmp(text)), Some(greatest.cmp(text)))
            }
            _ => return true,
        };
        match comparison {
            '>' => greatest != Some(Less),
            '<' => least != Some(Greater),
            _ => greatest != Some(Less) && least != Some(Greater),
        }
    }
}

/// A column as SQLite takes it.
pub(super) enum Cells {
    Integers(Int64Array),
    /// Some of which are too large for SQLite: these become floats.
    Unsigned(UInt64Array),
    Floats(Float64Array),
    Booleans(BooleanArray),
    Texts(StringArray),
    Bytes(BinaryArray),
    Times(Int64Array, TimeFormat),
    /// Spans of time, each of so many ns.
    Spans(Int64Array, i64),
    /// The query does not look at it.
    Unused,
}

impl Cells {
    pub(super) fn of(array: &ArrayRef) -> crate::Result<Self> {
        use DataType as T;
        let to = |kind| {
            let no_cast = |e: arrow_schema::ArrowError| {
                crate::Error::invalid("a column", array.data_type().to_string(), e.to_string())
            };
            cast(array, &kind).map_err(no_cast)
        };
        let integers = || Ok::<_, crate::Error>(to(T::Int64)?.as_primitive::<Int64Type>().clone());
        Ok(match array.data_type() {
            T::Timestamp(unit, zone) => {
                Cells::Times(integers()?, TimeFormat::new(*unit, zone.as_deref()))
            }
            T::Duration(unit) => Cells::Spans(integers()?, 1_000_000_000 / per_second(*unit)),
            T::Boolean => Cells::Booleans(array.as_boolean().clone()),
            T::Dictionary(..) => Cells::Texts(to(T::Utf8)?.as_string::<i32>().clone()),
            T::Utf8 => Cells::Texts(array.as_string::<i32>().clone()),
            T::Binary | T::FixedSizeBinary(_) => {
                Cells::Bytes(to(T::Binary)?.as_binary::<i32>().clone())
            }
            T::UInt64 => Cells::Unsigned(array.as_primitive::<UInt64Type>().clone()),
            T::Float16 | T::Float32 | T::Float64 => {
                Cells::Floats(to(T::Float64)?.as_primitive::<Float64Type>().clone())
            }
            _ => Cells::Integers(integers()?),
        })
    }

    /// The integer in a row, of a column of plain integers.
    pub(super) fn integer(&self, row: usize) -> Option<i64> {
        match self {
            Cells::Integers(array) if array.is_valid(row) => Some(array.value(row)),
            _ => None,
        }
    }

    fn array(&self) -> Option<&dyn Array> {
        Some(match self {
            Cells::Integers(array) | Cells::Times(array, _) | Cells::Spans(array, _) => array,
            Cells::Unsigned(array) => array,
            Cells::Floats(array) => array,
            Cells::Booleans(array) => array,
            Cells::Texts(array) => array,
            Cells::Bytes(array) => array,
            Cells::Unused => return None,
        })
    }

    /// Gives the cell of a row to SQLite.
    pub(super) fn give(&self, row: usize, context: &mut Context) -> Result<()> {
        if self.array().is_none_or(|array| array.is_null(row)) {
            return context.set_result(&Null);
        }
        match self {
            Cells::Integers(array) => context.set_result(&array.value(row)),
            Cells::Unsigned(array) => match i64::try_from(array.value(row)) {
                Ok(n) => context.set_result(&n),
                Err(_) => context.set_result(&(array.value(row) as f64)),
            },
            Cells::Floats(array) => context.set_result(&array.value(row)), // NaN becomes NULL
            Cells::Booleans(array) => context.set_result(&array.value(row)),
            Cells::Texts(array) => context.set_result(&array.value(row)),
            Cells::Bytes(array) => context.set_result(&array.value(row)),
            Cells::Times(array, times) => context.set_result(&times.text(array.value(row))),
            Cells::Spans(array, ns) => {
                context.set_result(&span_text(i128::from(array.value(row)) * i128::from(*ns)))
            }
            Cells::Unused => context.set_result(&Null),
        }
    }
}
