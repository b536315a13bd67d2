//! One cell of a column as JSON.

use arrow_array::cast::AsArray;
use arrow_array::temporal_conversions::as_datetime;
use arrow_array::types::{
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType,
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType};
use arrow_schema::{DataType, Schema, TimeUnit};

use crate::error::{Error, Result};

/// Refuses a table with a column that has no text form.
pub(super) fn check(schema: &Schema) -> Result<()> {
    for field in schema.fields() {
        if !has_text(field.data_type()) {
            let expected = "a column of numbers, text, bytes, times, lists or structs";
            return Err(Error::invalid(
                format!("column {}", field.name()),
                expected,
                field.data_type().to_string(),
            ));
        }
    }
    Ok(())
}

fn has_text(data_type: &DataType) -> bool {
    use DataType::{
        Binary, Boolean, Dictionary, Duration, FixedSizeBinary, FixedSizeList, Float16, Float32,
        Float64, Int8, Int16, Int32, Int64, LargeBinary, LargeList, LargeUtf8, List, Null, Struct,
        Timestamp, UInt8, UInt16, UInt32, UInt64, Utf8,
    };
    match data_type {
        Null | Boolean | Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 => true,
        Float16 | Float32 | Float64 | Utf8 | LargeUtf8 | Binary | LargeBinary => true,
        FixedSizeBinary(_) | Timestamp(..) | Duration(_) => true,
        List(item) | LargeList(item) | FixedSizeList(item, _) => has_text(item.data_type()),
        Struct(fields) => fields.iter().all(|field| has_text(field.data_type())),
        Dictionary(key, value) => **key == Int32 && has_text(value),
        _ => false,
    }
}

/// Where a cell's value is: of a dictionary that is among its words.
pub(super) fn looked_up(column: &dyn Array, row: usize) -> (&dyn Array, usize) {
    match column.as_dictionary_opt::<Int32Type>() {
        Some(words) if !words.is_null(row) => (words.values(), words.keys().value(row) as usize),
        _ => (column, row),
    }
}

/// Whether a column holds several values a row.
pub(super) fn is_nested(data_type: &DataType) -> bool {
    use DataType::{FixedSizeList, LargeList, List, Struct};
    matches!(data_type, List(_) | LargeList(_) | FixedSizeList(..) | Struct(_))
}

/// Appends a cell as JSON: floats as the shortest text that reads as the same float, NaN and the
/// infinities as `null`, bytes in hexadecimal, a timestamp in ISO 8601 (UTC), a duration as its
/// count of units.
pub(super) fn push_json(out: &mut Vec<u8>, column: &dyn Array, row: usize) {
    let (column, row) = looked_up(column, row);
    if column.is_null(row) || *column.data_type() == DataType::Null {
        return out.extend_from_slice(b"null");
    }
    match column.data_type() {
        DataType::Boolean => {
            let truth = column.as_boolean().value(row);
            out.extend_from_slice(if truth { b"true" } else { b"false" });
        }
        DataType::Utf8 => push(out, column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => push(out, column.as_string::<i64>().value(row)),
        DataType::Binary => push(out, &hex(column.as_binary::<i32>().value(row))),
        DataType::LargeBinary => push(out, &hex(column.as_binary::<i64>().value(row))),
        DataType::FixedSizeBinary(_) => push(out, &hex(column.as_fixed_size_binary().value(row))),
        DataType::List(_) => push_list(out, &*column.as_list::<i32>().value(row)),
        DataType::LargeList(_) => push_list(out, &*column.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => push_list(out, &*column.as_fixed_size_list().value(row)),
        DataType::Struct(fields) => {
            out.push(b'{');
            for (i, (field, part)) in fields.iter().zip(column.as_struct().columns()).enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                push(out, field.name());
                out.push(b':');
                push_json(out, part, row);
            }
            out.push(b'}');
        }
        _ => push_number(out, column, row),
    }
}

fn push_list(out: &mut Vec<u8>, items: &dyn Array) {
    out.push(b'[');
    for i in 0..items.len() {
        if i > 0 {
            out.push(b',');
        }
        push_json(out, items, i);
    }
    out.push(b']');
}

fn push_number(out: &mut Vec<u8>, column: &dyn Array, row: usize) {
    macro_rules! number {
        ($t:ty) => {
            push(out, &column.as_primitive::<$t>().value(row))
        };
    }
    match column.data_type() {
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float16 => push(out, &column.as_primitive::<Float16Type>().value(row).to_f32()),
        DataType::Float32 => number!(Float32Type),
        DataType::Float64 => number!(Float64Type),
        DataType::Duration(unit) => match unit {
            TimeUnit::Second => push_span::<DurationSecondType>(out, column, row, "s"),
            TimeUnit::Millisecond => push_span::<DurationMillisecondType>(out, column, row, "ms"),
            TimeUnit::Microsecond => push_span::<DurationMicrosecondType>(out, column, row, "us"),
            TimeUnit::Nanosecond => push_span::<DurationNanosecondType>(out, column, row, "ns"),
        },
        DataType::Timestamp(unit, zone) => {
            let zone = if zone.is_some() { "Z" } else { "" };
            match unit {
                TimeUnit::Second => push_time::<TimestampSecondType>(out, column, row, zone),
                TimeUnit::Millisecond => {
                    push_time::<TimestampMillisecondType>(out, column, row, zone)
                }
                TimeUnit::Microsecond => {
                    push_time::<TimestampMicrosecondType>(out, column, row, zone)
                }
                TimeUnit::Nanosecond => {
                    push_time::<TimestampNanosecondType>(out, column, row, zone)
                }
            }
        }
        other => unreachable!("the schema was checked, and {other} is not in it"),
    }
}

/// A length of time with its unit: `1500ms`.
fn push_span<T: ArrowPrimitiveType<Native = i64>>(
    out: &mut Vec<u8>,
    column: &dyn Array,
    row: usize,
    unit: &str,
) {
    push(out, &format!("{}{unit}", column.as_primitive::<T>().value(row)));
}

/// A time of a zone is one of UTC, and says so. One beyond the calendar is its count of units.
fn push_time<T: ArrowPrimitiveType<Native = i64>>(
    out: &mut Vec<u8>,
    column: &dyn Array,
    row: usize,
    zone: &str,
) {
    let count = column.as_primitive::<T>().value(row);
    match as_datetime::<T>(count) {
        // Its debug form is ISO 8601 with a T, its display form has a space.
        Some(time) => push(out, &format!("{time:?}{zone}")),
        None => push(out, &count),
    }
}

fn push<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("a plain value always serializes into memory");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
