//! Types of columns, and forms of their data.

use arrow_schema::DataType;

use crate::error::{Error, Result};

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool = 1,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F16,
    F32,
    F64,
    Text,
    Binary,
    Bytes,
}

/// Every kind, and the plain type that it is in memory.
const TYPES: [(Kind, DataType); 15] = [
    (Kind::Bool, DataType::Boolean),
    (Kind::I8, DataType::Int8),
    (Kind::I16, DataType::Int16),
    (Kind::I32, DataType::Int32),
    (Kind::I64, DataType::Int64),
    (Kind::U8, DataType::UInt8),
    (Kind::U16, DataType::UInt16),
    (Kind::U32, DataType::UInt32),
    (Kind::U64, DataType::UInt64),
    (Kind::F16, DataType::Float16),
    (Kind::F32, DataType::Float32),
    (Kind::F64, DataType::Float64),
    (Kind::Text, DataType::Utf8),
    (Kind::Binary, DataType::Binary),
    (Kind::Bytes, DataType::FixedSizeBinary(0)),
];

impl Kind {
    pub(super) fn of(byte: u8) -> Result<Self, String> {
        let known = TYPES.iter().find(|(kind, _)| *kind as u8 == byte);
        known
            .map(|(kind, _)| *kind)
            .ok_or_else(|| format!("column type {byte} is not one that this build knows"))
    }

    /// Of an array, and the width where it has one.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a type that no column has.
    pub(super) fn of_type(data_type: &DataType) -> Result<(Self, u32)> {
        Ok(match data_type {
            DataType::Timestamp(..) | DataType::Duration(_) => (Kind::I64, 0),
            DataType::FixedSizeBinary(width) => (Kind::Bytes, *width as u32),
            DataType::Dictionary(key, value)
                if **key == DataType::Int32 && **value == DataType::Utf8 =>
            {
                (Kind::Text, 0)
            }
            other => match TYPES.iter().find(|(_, data_type)| data_type == other) {
                Some((kind, _)) => (*kind, 0),
                None => {
                    let types = "types that a column can have";
                    return Err(Error::invalid("a column block", types, other.to_string()));
                }
            },
        })
    }

    /// The plain type in memory.
    pub(super) fn data_type(self, width: u32) -> DataType {
        match self {
            Kind::Bytes => DataType::FixedSizeBinary(width as i32),
            kind => TYPES[kind as usize - 1].1.clone(),
        }
    }
}

/// How numbers are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Raw,
    Pco,
    Zstd,
    Constant,
    Arithmetic,
    Deltas,
    Decimal,
    Dictionary,
    ZstdShuffle,
}

impl Form {
    pub(super) fn of(byte: u8) -> Result<Self, String> {
        use Form as F;
        let all = [
            F::Raw,
            F::Pco,
            F::Zstd,
            F::Constant,
            F::Arithmetic,
            F::Deltas,
            F::Decimal,
            F::Dictionary,
            F::ZstdShuffle,
        ];
        let known = all.get(usize::from(byte)).copied();
        known.ok_or_else(|| format!("form {byte} is not one that this build knows"))
    }
}
