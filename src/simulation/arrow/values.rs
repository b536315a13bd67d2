//! Items of a dtype as an Arrow array, without what they are nested in.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_array::types::{
    ArrowPrimitiveType, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{ArrayRef, BooleanArray, PrimitiveArray, StructArray};
use arrow_buffer::{Buffer, MutableBuffer, NullBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Fields, TimeUnit};

use crate::array::{DType, Kind, text_of_cell};
use crate::error::{Error, Result};

/// The Arrow type of one item.
///
/// A time whose unit Arrow has not (`D`, `25us`, none) is a plain `Int64`: the dtype in the field's
/// metadata says what it counts.
pub(super) fn data_type(dtype: DType, boolean: bool) -> DataType {
    match (dtype.kind(), dtype.item_size()) {
        _ if boolean => DataType::Boolean,
        (Kind::Bool, _) => DataType::Boolean,
        (Kind::Int, 1) => DataType::Int8,
        (Kind::Int, 2) => DataType::Int16,
        (Kind::Int, 4) => DataType::Int32,
        (Kind::Int, _) => DataType::Int64,
        (Kind::UInt, 1) => DataType::UInt8,
        (Kind::UInt, 2) => DataType::UInt16,
        (Kind::UInt, 4) => DataType::UInt32,
        (Kind::UInt, _) => DataType::UInt64,
        (Kind::Float, 2) => DataType::Float16,
        (Kind::Float, 4) => DataType::Float32,
        (Kind::Float, _) => DataType::Float64,
        (Kind::Complex, 8) => DataType::Struct(complex_fields(DataType::Float32)),
        (Kind::Complex, _) => DataType::Struct(complex_fields(DataType::Float64)),
        (Kind::Bytes, _) => DataType::Binary,
        (Kind::Str, _) => DataType::Utf8,
        (Kind::DateTime, _) => {
            time_unit(dtype).map_or(DataType::Int64, |unit| DataType::Timestamp(unit, None))
        }
        (Kind::TimeDelta, _) => time_unit(dtype).map_or(DataType::Int64, DataType::Duration),
    }
}

fn complex_fields(part: DataType) -> Fields {
    Fields::from(vec![Field::new("re", part.clone(), false), Field::new("im", part, false)])
}

/// The unit of a time, if Arrow has it.
fn time_unit(dtype: DType) -> Option<TimeUnit> {
    let text = dtype.to_string();
    match &text[text.find('[')?..] {
        "[s]" => Some(TimeUnit::Second),
        "[ms]" => Some(TimeUnit::Millisecond),
        "[us]" => Some(TimeUnit::Microsecond),
        "[ns]" => Some(TimeUnit::Nanosecond),
        _ => None,
    }
}

/// Items, low byte first, as an Arrow array.
pub(super) fn items(
    what: &str,
    dtype: DType,
    boolean: bool,
    bytes: MutableBuffer,
    len: usize,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    macro_rules! numbers {
        ($($pattern:pat => $t:ty),* $(,)?) => {
            match data_type(dtype, boolean) {
                DataType::Boolean => {
                    let values: Vec<bool> = bytes.iter().map(|byte| *byte != 0).collect();
                    Arc::new(BooleanArray::new(values.into(), nulls)) as ArrayRef
                }
                $($pattern => Arc::new(numbers::<$t>(bytes, nulls)),)*
                DataType::Struct(fields) => {
                    let part = dtype.item_size() / 2;
                    let half = |at: usize| {
                        let mut out = MutableBuffer::new(bytes.len() / 2);
                        let items = bytes.chunks_exact(2 * part);
                        items.for_each(|item| out.extend_from_slice(&item[at..at + part]));
                        match part {
                            4 => Arc::new(numbers::<Float32Type>(out, None)) as ArrayRef,
                            _ => Arc::new(numbers::<Float64Type>(out, None)),
                        }
                    };
                    Arc::new(StructArray::new(fields, vec![half(0), half(part)], nulls))
                }
                DataType::Utf8 => texts(what, dtype, &bytes, len, nulls.as_ref())?,
                _ => byte_strings(what, dtype, &bytes, len, nulls.as_ref())?,
            }
        };
    }
    Ok(numbers! {
        DataType::Int8 => Int8Type,
        DataType::Int16 => Int16Type,
        DataType::Int32 => Int32Type,
        DataType::Int64 => Int64Type,
        DataType::UInt8 => UInt8Type,
        DataType::UInt16 => UInt16Type,
        DataType::UInt32 => UInt32Type,
        DataType::UInt64 => UInt64Type,
        DataType::Float16 => Float16Type,
        DataType::Float32 => Float32Type,
        DataType::Float64 => Float64Type,
        DataType::Timestamp(TimeUnit::Second, _) => TimestampSecondType,
        DataType::Timestamp(TimeUnit::Millisecond, _) => TimestampMillisecondType,
        DataType::Timestamp(TimeUnit::Microsecond, _) => TimestampMicrosecondType,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => TimestampNanosecondType,
        DataType::Duration(TimeUnit::Second) => DurationSecondType,
        DataType::Duration(TimeUnit::Millisecond) => DurationMillisecondType,
        DataType::Duration(TimeUnit::Microsecond) => DurationMicrosecondType,
        DataType::Duration(TimeUnit::Nanosecond) => DurationNanosecondType,
    })
}

/// The bytes are the array: they are not copied.
fn numbers<T: ArrowPrimitiveType>(
    mut bytes: MutableBuffer,
    nulls: Option<NullBuffer>,
) -> PrimitiveArray<T> {
    if cfg!(target_endian = "big") {
        bytes.chunks_exact_mut(size_of::<T::Native>()).for_each(<[u8]>::reverse);
    }
    PrimitiveArray::new(ScalarBuffer::from(Buffer::from(bytes)), nulls)
}

/// The most bytes of text or of byte strings that one Arrow column holds.
const MAX_TEXT_BYTES: usize = i32::MAX as usize;

fn too_long(what: &str, bytes: usize) -> Error {
    let expected = format!("at most {MAX_TEXT_BYTES} bytes of text in one batch");
    Error::invalid(what, expected, format!("{bytes} bytes"))
}

fn is_valid(nulls: Option<&NullBuffer>, i: usize) -> bool {
    nulls.is_none_or(|nulls| nulls.is_valid(i))
}

fn texts(
    what: &str,
    dtype: DType,
    bytes: &[u8],
    len: usize,
    nulls: Option<&NullBuffer>,
) -> Result<ArrayRef> {
    let size = dtype.item_size();
    let mut out = StringBuilder::with_capacity(len, bytes.len() / 4);
    let mut total = 0;
    for i in 0..len {
        let text = text_of_cell(&bytes[i * size..(i + 1) * size]);
        total += text.len();
        if total > MAX_TEXT_BYTES {
            return Err(too_long(what, total));
        }
        out.append_option(is_valid(nulls, i).then_some(text));
    }
    Ok(Arc::new(out.finish()))
}

/// Without the NUL padding, as numpy hands them out.
fn byte_strings(
    what: &str,
    dtype: DType,
    bytes: &[u8],
    len: usize,
    nulls: Option<&NullBuffer>,
) -> Result<ArrayRef> {
    let size = dtype.item_size();
    if bytes.len() > MAX_TEXT_BYTES {
        return Err(too_long(what, bytes.len()));
    }
    let mut out = BinaryBuilder::with_capacity(len, bytes.len());
    for i in 0..len {
        let cell = &bytes[i * size..(i + 1) * size];
        let end = cell.iter().rposition(|byte| *byte != 0).map_or(0, |i| i + 1);
        out.append_option(is_valid(nulls, i).then_some(&cell[..end]));
    }
    Ok(Arc::new(out.finish()))
}
