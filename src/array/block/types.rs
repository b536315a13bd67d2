//! The names of types in the file.

use arrow_schema::{DataType, TimeUnit};

use crate::error::{Error, Result};

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

/// A series that is not as it was stored.
pub(crate) fn damaged(why: String) -> Error {
    Error::Corrupt { location: String::new(), what: "a stored series".into(), why }
}
