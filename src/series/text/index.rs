//! An index out of texts: by what is known of it, or by what the texts look like.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array, StringArray, UInt8Array};
use arrow_schema::{DataType, TimeUnit};
use serde_json::{Value, json};

use super::column::{Column, Kind, Missing};
use crate::error::{Error, Result};
use crate::series::index::IndexMetadata;
use crate::series::period::Periods;

/// The index of these texts as its metadata say, and the metadata that go with it. A frequency is kept and never
/// used.
///
/// # Errors
/// [`Error::Invalid`], naming `location` and the line, for a text that is no such index value.
pub(in crate::series) fn index_by(
    column: &Column<'_>,
    mut known: IndexMetadata,
    location: &str,
) -> Result<(ArrayRef, IndexMetadata)> {
    known.time_zone = known.time_zone.as_deref().map(zone_name);
    let dtype = known.dtype.clone().unwrap_or_default();
    let kind = match known.kind.as_str() {
        "DatetimeIndex" => {
            let unit = Kind::of_dtype(&dtype).and_then(|kind| match kind.data_type {
                DataType::Timestamp(unit, zone) => Some((unit, zone)),
                _ => None,
            });
            let (unit, zone) = unit.unwrap_or((TimeUnit::Nanosecond, None));
            let zone = known.time_zone.as_deref().map(Arc::from).or(zone);
            Kind::new(DataType::Timestamp(unit, zone), Missing::Refused)
        }
        "TimedeltaIndex" => match Kind::of_dtype(&dtype) {
            Some(kind) if matches!(kind.data_type, DataType::Duration(_)) => kind,
            _ => Kind::new(DataType::Duration(TimeUnit::Nanosecond), Missing::Refused),
        },
        "RangeIndex" | "Int64Index" => Kind::new(DataType::Int64, Missing::Refused),
        "Float64Index" => Kind::new(DataType::Float64, Missing::Nan),
        "CategoricalIndex" => return categories(column, known, location),
        "" => return crate::series::read::index_of(column, known, location),
        "PeriodIndex" if Periods::of(&period_of(&known)).is_some() => {
            return periods(column, known, location);
        }
        // Other periods and intervals are kept as the texts that they are.
        "PeriodIndex" | "IntervalIndex" | "MultiIndex" => Kind::new(DataType::Utf8, Missing::Null),
        _ => match Kind::of_dtype(&dtype) {
            Some(kind) if kind.data_type == DataType::Boolean => {
                return booleans(column, known, location);
            }
            Some(kind) if kind.dtype.as_deref() != Some("category") => kind,
            _ => Kind::new(DataType::Utf8, Missing::Null),
        },
    };
    let kind = Kind { missing: refuse(&kind), ..kind };
    if kind.data_type == DataType::Utf8 {
        let texts: StringArray = column.fields.iter().map(|field| Some(&*field.text)).collect();
        if matches!(known.kind.as_str(), "PeriodIndex" | "IntervalIndex" | "MultiIndex") {
            (known.kind, known.dtype) = ("Index".into(), Some("object".into()));
        }
        return Ok((Arc::new(texts), known));
    }
    Ok((kind.read(column, location)?.0, known))
}

/// A float index may hold NaN; no other knows a missing value.
fn refuse(kind: &Kind) -> Missing {
    match kind.data_type {
        DataType::Float64 | DataType::Float32 => Missing::Nan,
        _ => Missing::Refused,
    }
}

/// What the periods are: the dtype says it, or the frequency.
fn period_of(known: &IndexMetadata) -> String {
    let dtype = known.dtype.as_deref().filter(|dtype| dtype.starts_with("period["));
    dtype.or(known.frequency.as_deref()).unwrap_or_default().to_owned()
}

fn periods(
    column: &Column<'_>,
    mut known: IndexMetadata,
    location: &str,
) -> Result<(ArrayRef, IndexMetadata)> {
    let of = period_of(&known);
    let mut numbers = Vec::with_capacity(column.fields.len());
    for (field, line) in column.fields.iter().zip(&column.lines) {
        let number = Periods::of(&of).and_then(|periods| periods.read(&field.text).ok());
        let expected = format!("a period of {of}");
        numbers
            .push(number.ok_or_else(|| super::bad_line(location, *line, &expected, &field.text))?);
    }
    known.dtype = Some(if of.starts_with("period[") { of } else { format!("period[{of}]") });
    Ok((Arc::new(Int64Array::from(numbers)), known))
}

fn booleans(
    column: &Column<'_>,
    known: IndexMetadata,
    location: &str,
) -> Result<(ArrayRef, IndexMetadata)> {
    let (array, _) = Kind::new(DataType::Boolean, Missing::Refused).read(column, location)?;
    let bits = arrow_array::cast::AsArray::as_boolean(&array);
    let bytes: UInt8Array = bits.iter().map(|bit| bit.map(u8::from)).collect();
    Ok((Arc::new(bytes), known))
}

fn categories(
    column: &Column<'_>,
    mut known: IndexMetadata,
    location: &str,
) -> Result<(ArrayRef, IndexMetadata)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let names: Vec<String> = known.categories.iter().flatten().map(text).collect();
    let mut codes = Vec::with_capacity(column.fields.len());
    for (field, line) in column.fields.iter().zip(&column.lines) {
        let code = names.iter().position(|name| *name == *field.text);
        let code = code.ok_or_else(|| {
            super::bad_line(location, *line, "one of the categories of the index", &field.text)
        })?;
        codes.push(i32::try_from(code).map_err(|_| {
            Error::invalid(location, "fewer than 2^31 categories", code.to_string())
        })?);
    }
    let of_texts = known.categories.iter().flatten().all(Value::is_string);
    known.closed = known.closed.or_else(|| of_texts.then(|| "object".to_owned()));
    Ok((Arc::new(Int32Array::from(codes)), known))
}

/// The name that a zone has here: `UTC-05:00` of Python is `-05:00`.
pub(in crate::series) fn zone_name(name: &str) -> String {
    if ["utc", "tzutc()", "datetime.timezone.utc", "Etc/UTC"].contains(&name) {
        return "UTC".into();
    }
    let minutes = name.strip_prefix("pytz.FixedOffset(").and_then(|rest| rest.strip_suffix(')'));
    if let Some(minutes) = minutes.and_then(|minutes| minutes.parse::<i32>().ok()) {
        let sign = if minutes < 0 { '-' } else { '+' };
        let minutes = minutes.unsigned_abs();
        return format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60);
    }
    match name.strip_prefix("UTC") {
        Some(offset) if offset.starts_with(['+', '-']) => offset.to_owned(),
        _ => name.to_owned(),
    }
}

/// Texts as categories, in the order of their bytes: the dtype that says them, and the code of each.
pub(in crate::series) fn category_dtype(texts: &[Option<&str>]) -> (String, Vec<Option<i32>>) {
    let sorted: Vec<&str> =
        texts.iter().flatten().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let known = json!({"categories": sorted, "dtype": "object", "ordered": false});
    let code = |text: &str| sorted.binary_search(&text).ok().and_then(|at| i32::try_from(at).ok());
    let codes = texts.iter().map(|text| text.and_then(code)).collect();
    (format!("category:{known}"), codes)
}
