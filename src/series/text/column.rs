//! A column of texts as an Arrow array: by the dtype that somebody wrote beside it, or by what the texts look like.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{ArrayRef, BooleanArray, PrimitiveArray, StringArray};
use arrow_schema::{DataType, TimeUnit};

use super::index::{category_dtype, zone_name};
use super::{Field, bad_line};
use crate::array::per_second;
use crate::error::{Error, Result};
use crate::series::process::{Clock, parse_timespan};

/// A column of a text, with the line of each field.
#[derive(Debug, Clone, Default)]
pub(in crate::series) struct Column<'a> {
    pub(in crate::series) fields: Vec<Field<'a>>,
    pub(in crate::series) lines: Vec<u64>,
}

/// What a missing value becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::series) enum Missing {
    Nan,
    Null,
    Refused,
}

/// What a text says, in ns.
type ReadNs<'a> = dyn Fn(&str) -> Result<i128> + 'a;

/// What the texts of a column are: an Arrow type, and the dtype where the type does not tell it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::series) struct Kind {
    pub(in crate::series) data_type: DataType,
    pub(in crate::series) dtype: Option<String>,
    pub(in crate::series) missing: Missing,
}

impl Kind {
    pub(in crate::series) fn new(data_type: DataType, missing: Missing) -> Self {
        Kind { data_type, dtype: None, missing }
    }

    /// What a dtype of pandas or Polars says; `None` for one that no series has.
    pub(in crate::series) fn of_dtype(dtype: &str) -> Option<Self> {
        use DataType as T;
        let with = |data_type, missing| Some(Kind::new(data_type, missing));
        let masked = |data_type| {
            Some(Kind { dtype: Some(dtype.to_owned()), ..Kind::new(data_type, Missing::Null) })
        };
        if let Some(inner) = dtype.strip_prefix("datetime64[").and_then(|s| s.strip_suffix(']')) {
            let (unit, zone) = inner.split_once(',').map_or((inner, None), |(u, z)| (u, Some(z)));
            let zone = zone.map(|zone| Arc::from(zone_name(zone.trim())));
            return with(T::Timestamp(unit_of(unit)?, zone), Missing::Null);
        }
        if let Some(unit) = dtype.strip_prefix("timedelta64[").and_then(|s| s.strip_suffix(']')) {
            return with(T::Duration(unit_of(unit)?), Missing::Null);
        }
        match dtype {
            "float64" => with(T::Float64, Missing::Nan),
            "float32" => with(T::Float32, Missing::Nan),
            "float16" => with(T::Float16, Missing::Nan),
            "int8" => with(T::Int8, Missing::Refused),
            "int16" => with(T::Int16, Missing::Refused),
            "int32" => with(T::Int32, Missing::Refused),
            "int64" => with(T::Int64, Missing::Refused),
            "uint8" => with(T::UInt8, Missing::Refused),
            "uint16" => with(T::UInt16, Missing::Refused),
            "uint32" => with(T::UInt32, Missing::Refused),
            "uint64" => with(T::UInt64, Missing::Refused),
            "bool" => with(T::Boolean, Missing::Refused),
            "Float64" => masked(T::Float64),
            "Float32" => masked(T::Float32),
            "Int8" => masked(T::Int8),
            "Int16" => masked(T::Int16),
            "Int32" => masked(T::Int32),
            "Int64" => masked(T::Int64),
            "UInt8" => masked(T::UInt8),
            "UInt16" => masked(T::UInt16),
            "UInt32" => masked(T::UInt32),
            "UInt64" => masked(T::UInt64),
            "boolean" => masked(T::Boolean),
            "object" | "str" | "string" | "category" => masked(T::Utf8),
            _ if dtype.starts_with("string[") => masked(T::Utf8),
            _ => None,
        }
    }

    /// The array of these texts, and the dtype of its values.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming `location` and the line, for a text that is no such value.
    pub(in crate::series) fn read(
        &self,
        column: &Column<'_>,
        location: &str,
    ) -> Result<(ArrayRef, Option<String>)> {
        self.join(vec![self.read_piece(column, location)?], location)
    }

    /// The array of pieces that were read one after another, and the dtype of its values.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than one array holds.
    pub(in crate::series) fn join(
        &self,
        pieces: Vec<ArrayRef>,
        location: &str,
    ) -> Result<(ArrayRef, Option<String>)> {
        let array = match &pieces[..] {
            [] => self.read_piece(&Column::default(), location)?,
            _ => join(&pieces, location)?,
        };
        drop(pieces);
        if self.dtype.as_deref() == Some("category") {
            let texts: Vec<Option<&str>> = array.as_string::<i32>().iter().collect();
            let (dtype, codes) = category_dtype(&texts);
            let codes = PrimitiveArray::<Int32Type>::from(codes);
            return Ok((Arc::new(codes), Some(dtype)));
        }
        Ok((array, self.dtype.clone()))
    }

    /// The array of some of the texts of a column; for categories the texts, which are numbered when all are known.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(in crate::series) fn read_piece(
        &self,
        column: &Column<'_>,
        location: &str,
    ) -> Result<ArrayRef> {
        use DataType as T;
        let array: ArrayRef = match &self.data_type {
            T::Float64 => self.numbers::<Float64Type>(column, location, "a number")?,
            T::Float32 => self.numbers::<Float32Type>(column, location, "a number")?,
            T::Float16 => {
                let wide = self.numbers::<Float32Type>(column, location, "a number")?;
                arrow_cast::cast(&wide, &T::Float16)
                    .map_err(|e| crate::table::from_arrow("the values", e))?
            }
            T::Int8 => self.numbers::<Int8Type>(column, location, "an integer of 8 bits")?,
            T::Int16 => self.numbers::<Int16Type>(column, location, "an integer of 16 bits")?,
            T::Int32 => self.numbers::<Int32Type>(column, location, "an integer of 32 bits")?,
            T::Int64 => self.numbers::<Int64Type>(column, location, "an integer of 64 bits")?,
            T::UInt8 => self.numbers::<UInt8Type>(column, location, "0 to 255")?,
            T::UInt16 => self.numbers::<UInt16Type>(column, location, "0 to 65535")?,
            T::UInt32 => self.numbers::<UInt32Type>(column, location, "a positive integer")?,
            T::UInt64 => self.numbers::<UInt64Type>(column, location, "a positive integer")?,
            T::Boolean => {
                let read = |text: &str| boolean(text);
                let items = self.each(column, location, ("true or false", read))?;
                Arc::new(BooleanArray::from(items))
            }
            T::Timestamp(unit, zone) => {
                let clock = Clock::of(zone.as_deref())?;
                let ns = |text: &str| clock.read_ns(text);
                let items = self.times(column, location, ("a time", &ns, *unit))?;
                timestamps(*unit, items, zone.clone())
            }
            T::Duration(unit) => {
                let ns = |text: &str| Ok(i128::from(parse_timespan(text)?));
                let items = self.times(column, location, ("a time span", &ns, *unit))?;
                durations(*unit, items)
            }
            T::Utf8 => Arc::new(StringArray::from(texts_of(column))),
            other => {
                let expected = "numbers, booleans, texts, times or time spans";
                return Err(Error::invalid(location, expected, other.to_string()));
            }
        };
        Ok(array)
    }

    fn numbers<T: ArrowPrimitiveType>(
        &self,
        column: &Column<'_>,
        location: &str,
        expected: &str,
    ) -> Result<ArrayRef>
    where
        T::Native: std::str::FromStr + Nan,
    {
        let read = |text: &str| -> Option<T::Native> {
            text.parse().ok().or_else(|| T::Native::of_float_text(text))
        };
        let items = self.each(column, location, (expected, read))?;
        let nan = T::Native::nan().filter(|_| self.missing == Missing::Nan);
        let items = items.into_iter().map(|item| item.or(nan));
        Ok(Arc::new(items.collect::<PrimitiveArray<T>>()))
    }

    fn times(
        &self,
        column: &Column<'_>,
        location: &str,
        (expected, ns, unit): (&str, &ReadNs<'_>, TimeUnit),
    ) -> Result<Vec<Option<i64>>> {
        let size = 1_000_000_000 / i128::from(per_second(unit));
        let read = |text: &str| -> Option<i64> {
            let ns = ns(text).ok().filter(|ns| ns % size == 0)?;
            i64::try_from(ns / size).ok()
        };
        self.each(column, location, (expected, read))
    }

    /// The value of each field; `None` for a missing one.
    fn each<V>(
        &self,
        column: &Column<'_>,
        location: &str,
        (expected, read): (&str, impl Fn(&str) -> Option<V>),
    ) -> Result<Vec<Option<V>>> {
        let mut items = Vec::with_capacity(column.fields.len());
        for (field, line) in column.fields.iter().zip(&column.lines) {
            let text = field.text.trim();
            items.push(match read(text) {
                Some(value) => Some(value),
                None if is_missing(text) && self.missing != Missing::Refused => None,
                None => return Err(bad_line(location, *line, expected, text)),
            });
        }
        Ok(items)
    }
}

/// A number type that may have a value for what is missing.
pub(in crate::series) trait Nan: Copy {
    fn nan() -> Option<Self> {
        None
    }
    /// An integer that is written as a float: `12.0`.
    fn of_float_text(_: &str) -> Option<Self> {
        None
    }
}
impl Nan for f64 {
    fn nan() -> Option<Self> {
        Some(f64::NAN)
    }
}
impl Nan for f32 {
    fn nan() -> Option<Self> {
        Some(f32::NAN)
    }
}
macro_rules! integers {
    ($($int:ty)*) => {$(
        impl Nan for $int {
            fn of_float_text(text: &str) -> Option<Self> {
                text.strip_suffix(".0")?.parse().ok()
            }
        }
    )*};
}
integers!(i8 i16 i32 i64 u8 u16 u32 u64);

/// The texts of a column; `None` for a missing one.
pub(in crate::series) fn texts_of<'a>(column: &'a Column<'_>) -> Vec<Option<&'a str>> {
    let text = |field: &'a Field<'_>| (!field.is_missing()).then_some(&*field.text);
    column.fields.iter().map(text).collect()
}

/// What programs write where a number is missing.
pub(in crate::series) fn is_missing(text: &str) -> bool {
    if text.starts_with(|c: char| c.is_ascii_digit() && c != '1') {
        return false;
    }
    let words =
        ["", "nan", "-nan", "na", "n/a", "#n/a", "#n/a n/a", "#na", "<na>", "nat", "null", "none"];
    let marks = ["-", "--", "---", "1.#qnan", "-1.#qnan", "1.#ind", "-1.#ind"];
    words.iter().chain(&marks).any(|word| text.eq_ignore_ascii_case(word))
}

/// A text as `true` or `false`.
pub(in crate::series) fn boolean(text: &str) -> Option<bool> {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if is("true") {
        return Some(true);
    }
    is("false").then_some(false)
}

/// Arrays behind each other.
pub(in crate::series) fn join(pieces: &[ArrayRef], location: &str) -> Result<ArrayRef> {
    let pieces: Vec<&dyn arrow_array::Array> = pieces.iter().map(AsRef::as_ref).collect();
    arrow_select::concat::concat(&pieces).map_err(|e| crate::table::from_arrow(location, e))
}

pub(super) fn unit_of(text: &str) -> Option<TimeUnit> {
    match text {
        "s" => Some(TimeUnit::Second),
        "ms" => Some(TimeUnit::Millisecond),
        "us" | "μs" => Some(TimeUnit::Microsecond),
        "ns" => Some(TimeUnit::Nanosecond),
        _ => None,
    }
}

pub(super) fn timestamps(
    unit: TimeUnit,
    items: Vec<Option<i64>>,
    zone: Option<Arc<str>>,
) -> ArrayRef {
    match unit {
        TimeUnit::Second => {
            Arc::new(PrimitiveArray::<TimestampSecondType>::from(items).with_timezone_opt(zone))
        }
        TimeUnit::Millisecond => Arc::new(
            PrimitiveArray::<TimestampMillisecondType>::from(items).with_timezone_opt(zone),
        ),
        TimeUnit::Microsecond => Arc::new(
            PrimitiveArray::<TimestampMicrosecondType>::from(items).with_timezone_opt(zone),
        ),
        TimeUnit::Nanosecond => {
            Arc::new(PrimitiveArray::<TimestampNanosecondType>::from(items).with_timezone_opt(zone))
        }
    }
}

pub(super) fn durations(unit: TimeUnit, items: Vec<Option<i64>>) -> ArrayRef {
    match unit {
        TimeUnit::Second => Arc::new(PrimitiveArray::<DurationSecondType>::from(items)),
        TimeUnit::Millisecond => Arc::new(PrimitiveArray::<DurationMillisecondType>::from(items)),
        TimeUnit::Microsecond => Arc::new(PrimitiveArray::<DurationMicrosecondType>::from(items)),
        TimeUnit::Nanosecond => Arc::new(PrimitiveArray::<DurationNanosecondType>::from(items)),
    }
}
