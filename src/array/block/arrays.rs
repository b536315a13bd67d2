//! An Arrow array as a blob and back, and the names of its types.

use arrow_array::{Array, ArrayRef, make_array};
use arrow_buffer::{BooleanBuffer, Buffer as Bytes, NullBuffer};
use arrow_data::ArrayData;
use arrow_schema::{DataType, TimeUnit};

use super::buffers::{Buffer, Effort, Items, decode, encode};
use crate::error::{Error, Result};

/// The most bytes of the texts of one block.
const MOST_BYTES: usize = i32::MAX as usize;

/// Packs an array: its bits of validity if any is missing, and the buffers that Arrow gives its type.
pub(crate) fn pack(array: &ArrayRef, effort: Effort) -> Result<Vec<u8>> {
    use DataType as T;
    let data = array.to_data();
    let (from, n) = (data.offset(), data.len());
    let missing = data.nulls().filter(|nulls| nulls.null_count() > 0);
    let valid = missing.map(|nulls| nulls.inner().sliced());
    let bits = (*data.data_type() == T::Boolean)
        .then(|| BooleanBuffer::new(data.buffers()[0].clone(), from, n).sliced());
    let mut offsets: Vec<u32> = Vec::new();
    let mut all = Vec::with_capacity(3);
    let bytes_of = |bits: &Bytes| bits.as_slice()[..n.div_ceil(8)].to_vec();
    let (valid, bits) = (valid.as_ref().map(bytes_of), bits.as_ref().map(bytes_of));
    if let Some(valid) = &valid {
        all.push(Buffer::U8(valid));
    }
    macro_rules! numbers {
        ($name:ident) => {
            all.push(Buffer::$name(&data.buffers()[0].typed_data()[from..from + n]))
        };
    }
    match data.data_type() {
        T::Boolean => all.push(Buffer::U8(bits.as_ref().expect("made above"))),
        T::Int8 => numbers!(I8),
        T::Int16 => numbers!(I16),
        T::Int32 => numbers!(I32),
        T::Int64 | T::Timestamp(..) | T::Duration(_) => numbers!(I64),
        T::UInt8 => numbers!(U8),
        T::UInt16 | T::Float16 => numbers!(U16),
        T::UInt32 => numbers!(U32),
        T::UInt64 => numbers!(U64),
        T::Float32 => numbers!(F32),
        T::Float64 => numbers!(F64),
        T::FixedSizeBinary(size) => {
            let size = *size as usize;
            all.push(Buffer::U8(&data.buffers()[0].as_slice()[from * size..(from + n) * size]));
        }
        T::Utf8 | T::Binary => {
            let ends = data.buffers()[0].typed_data::<i32>();
            let ends = if n == 0 { &[0][..] } else { &ends[from..=from + n] };
            offsets.extend(ends.iter().map(|end| (end - ends[0]) as u32));
            let (start, end) = (ends[0] as usize, ends[ends.len() - 1] as usize);
            all.push(Buffer::U32(&offsets));
            all.push(Buffer::U8(&data.buffers()[1].as_slice()[start..end]));
        }
        other => return Err(unknown(&other.to_string())),
    }
    encode(&all, effort)
}

/// The array of this type and length that lies in the bytes.
pub(crate) fn unpack(bytes: &[u8], kind: &DataType, n: usize) -> Result<ArrayRef> {
    let is_text = matches!(kind, DataType::Utf8 | DataType::Binary);
    // What a few bytes may claim to be: only texts can be longer than their points are many.
    let most = if is_text { MOST_BYTES } else { rows_of(kind, n).max(n.div_ceil(8)) };
    let mut items = decode(bytes, most)?;
    let expected = if is_text { 2 } else { 1 };
    let nulls = if items.len() == expected + 1 {
        let Items::U8(valid) = items.remove(0) else {
            return Err(damaged("its bits of validity are not bytes".into()));
        };
        if valid.len() != n.div_ceil(8) {
            return Err(damaged(format!("{} bytes of validity for {n} points", valid.len())));
        }
        Some(NullBuffer::new(BooleanBuffer::new(Bytes::from_vec(valid), 0, n)))
    } else {
        None
    };
    if items.len() != expected {
        return Err(damaged(format!("{} buffers do not make {kind}", items.len())));
    }
    let (types, rows) = (kinds(kind)?, rows_of(kind, n));
    let mut buffers = Vec::with_capacity(2);
    for (i, (item, expected)) in items.into_iter().zip(types).enumerate() {
        let (name, length, buffer) = plain(item);
        if name != *expected || (i == 0 && length != rows) {
            return Err(damaged(format!("{length} items of {name} do not make {n} of {kind}")));
        }
        buffers.push(buffer);
    }
    let nulls = nulls.map(|nulls| nulls.into_inner().into_inner());
    // Looks at every offset and every text.
    ArrayData::try_new(kind.clone(), n, nulls, 0, buffers, vec![])
        .map(make_array)
        .map_err(|e| damaged(e.to_string()))
}

/// The types of the buffers, the bits of validity left out.
fn kinds(kind: &DataType) -> Result<&'static [&'static str]> {
    use DataType as T;
    Ok(match kind {
        T::Boolean | T::UInt8 | T::FixedSizeBinary(_) => &["u8"],
        T::Int8 => &["i8"],
        T::Int16 => &["i16"],
        T::Int32 => &["i32"],
        T::Int64 | T::Timestamp(..) | T::Duration(_) => &["i64"],
        T::UInt16 | T::Float16 => &["u16"],
        T::UInt32 => &["u32"],
        T::UInt64 => &["u64"],
        T::Float32 => &["f32"],
        T::Float64 => &["f64"],
        T::Utf8 | T::Binary => &["u32", "u8"],
        other => return Err(unknown(&other.to_string())),
    })
}

/// The items of the first buffer of `n` points.
fn rows_of(kind: &DataType, n: usize) -> usize {
    match kind {
        DataType::Boolean => n.div_ceil(8),
        DataType::FixedSizeBinary(size) => n.saturating_mul(*size as usize),
        DataType::Utf8 | DataType::Binary => n + 1,
        _ => n,
    }
}

fn plain(items: Items) -> (&'static str, usize, Bytes) {
    match items {
        Items::U8(items) => ("u8", items.len(), Bytes::from_vec(items)),
        Items::U16(items) => ("u16", items.len(), Bytes::from_vec(items)),
        Items::U32(items) => ("u32", items.len(), Bytes::from_vec(items)),
        Items::U64(items) => ("u64", items.len(), Bytes::from_vec(items)),
        Items::I8(items) => ("i8", items.len(), Bytes::from_vec(items)),
        Items::I16(items) => ("i16", items.len(), Bytes::from_vec(items)),
        Items::I32(items) => ("i32", items.len(), Bytes::from_vec(items)),
        Items::I64(items) => ("i64", items.len(), Bytes::from_vec(items)),
        Items::F32(items) => ("f32", items.len(), Bytes::from_vec(items)),
        Items::F64(items) => ("f64", items.len(), Bytes::from_vec(items)),
    }
}

const PLAIN: &[(&str, DataType)] = &[
    ("bool", DataType::Boolean),
    ("i8", DataType::Int8),
    ("i16", DataType::Int16),
    ("i32", DataType::Int32),
    ("i64", DataType::Int64),
    ("u8", DataType::UInt8),
    ("u16", DataType::UInt16),
    ("u32", DataType::UInt32),
    ("u64", DataType::UInt64),
    ("f16", DataType::Float16),
    ("f32", DataType::Float32),
    ("f64", DataType::Float64),
    ("text", DataType::Utf8),
    ("binary", DataType::Binary),
    ("span[s]", DataType::Duration(TimeUnit::Second)),
    ("span[ms]", DataType::Duration(TimeUnit::Millisecond)),
    ("span[us]", DataType::Duration(TimeUnit::Microsecond)),
    ("span[ns]", DataType::Duration(TimeUnit::Nanosecond)),
    ("time[s]", DataType::Timestamp(TimeUnit::Second, None)),
    ("time[ms]", DataType::Timestamp(TimeUnit::Millisecond, None)),
    ("time[us]", DataType::Timestamp(TimeUnit::Microsecond, None)),
    ("time[ns]", DataType::Timestamp(TimeUnit::Nanosecond, None)),
];

/// The name of a type in the file.
pub(crate) fn type_name(kind: &DataType) -> Result<String> {
    if let DataType::FixedSizeBinary(size) = kind {
        return Ok(format!("bytes[{size}]"));
    }
    let (plain, zone) = match kind {
        DataType::Timestamp(unit, Some(zone)) => (&DataType::Timestamp(*unit, None), Some(zone)),
        other => (other, None),
    };
    let (name, _) =
        PLAIN.iter().find(|(_, known)| known == plain).ok_or_else(|| unknown(&kind.to_string()))?;
    Ok(match zone {
        Some(zone) => format!("{}, {zone}]", name.trim_end_matches(']')),
        None => (*name).to_owned(),
    })
}

/// The type of a name in the file.
pub(crate) fn type_of(name: &str) -> Result<DataType> {
    if let Some((_, kind)) = PLAIN.iter().find(|(known, _)| *known == name) {
        return Ok(kind.clone());
    }
    let no_type = || damaged(format!("{name:?} is not the name of a type"));
    let (kind, argument) =
        name.strip_suffix(']').and_then(|name| name.split_once('[')).ok_or_else(no_type)?;
    if kind == "bytes" {
        let size = argument.parse().ok().filter(|size| *size > 0).ok_or_else(no_type)?;
        return Ok(DataType::FixedSizeBinary(size));
    }
    let (unit, zone) = argument.split_once(", ").ok_or_else(no_type)?;
    match type_of_plain(kind, unit) {
        Some(DataType::Timestamp(unit, _)) => Ok(DataType::Timestamp(unit, Some(zone.into()))),
        _ => Err(no_type()),
    }
}

fn type_of_plain(kind: &str, unit: &str) -> Option<DataType> {
    let name = format!("{kind}[{unit}]");
    PLAIN.iter().find(|(known, _)| *known == name).map(|(_, kind)| kind.clone())
}

fn unknown(kind: &str) -> Error {
    Error::invalid("a series", "types that a series can have", kind)
}

pub(crate) fn damaged(why: String) -> Error {
    Error::Corrupt { place: String::new(), what: "a stored series".into(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a few bytes that claim to be many numbers are refused before there is memory for them.
    #[test]
    fn a_block_cannot_claim_more_than_its_points() {
        let many = encode(&[Buffer::I64(&vec![7; 1 << 20])], Effort::Hot).unwrap();
        assert!(many.len() < 100, "it is one number, so many times");
        let error = unpack(&many, &DataType::Int64, 10).unwrap_err();
        assert!(error.to_string().contains("10 are the most"), "{error}");
        assert!(unpack(&many, &DataType::Float64, 1 << 20).is_err(), "of another type");
        assert_eq!(unpack(&many, &DataType::Int64, 1 << 20).unwrap().len(), 1 << 20);
    }
}
