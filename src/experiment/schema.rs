//! What a table of records looks like: its columns, their types, and which rows are one.

use std::fmt;
use std::str::FromStr;

use arrow_schema::{DataType, TimeUnit};
use serde::{Deserialize, Serialize};

use super::id::check_name;
use crate::error::{Error, Result};

/// The most columns that a table of records can have.
const MOST_COLUMNS: usize = 60;
/// Names of columns that every table has.
const TAKEN: [&str; 7] =
    ["simulation", "simulation_id", "step", "step_number", "row", "exact", "row_sum"];

/// The type of a column of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ColumnType {
    /// True or false.
    Bool,
    /// 8 bits with a sign.
    Int8,
    /// 16 bits with a sign.
    Int16,
    /// 32 bits with a sign.
    Int32,
    /// 64 bits with a sign.
    Int64,
    /// 8 bits.
    UInt8,
    /// 16 bits.
    UInt16,
    /// 32 bits.
    UInt32,
    /// IEEE 754 binary32.
    Float32,
    /// IEEE 754 binary64.
    Float64,
    /// Text.
    Text,
    /// Text of which there are few: each is stored once a simulation.
    Category,
    /// A JSON text.
    Json,
    /// ns since 1970-01-01 UTC.
    TimeNs,
}

/// How the items of a column are held and stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    Int,
    Float,
    Text,
    Name,
}

const NAMES: [(ColumnType, &str, &[&str]); 14] = [
    (ColumnType::Bool, "bool", &["bool_", "|b1", "boolean"]),
    (ColumnType::Int8, "int8", &["|i1"]),
    (ColumnType::Int16, "int16", &["<i2"]),
    (ColumnType::Int32, "int32", &["<i4"]),
    (ColumnType::Int64, "int64", &["<i8", "int"]),
    (ColumnType::UInt8, "uint8", &["|u1"]),
    (ColumnType::UInt16, "uint16", &["<u2"]),
    (ColumnType::UInt32, "uint32", &["<u4"]),
    (ColumnType::Float32, "float32", &["<f4"]),
    (ColumnType::Float64, "float64", &["<f8", "float"]),
    (ColumnType::Text, "text", &["str", "string"]),
    (ColumnType::Category, "category", &["name"]),
    (ColumnType::Json, "json", &["dict"]),
    (ColumnType::TimeNs, "datetime64[ns]", &["<M8[ns]", "datetime"]),
];

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, name, _) = NAMES.iter().find(|(kind, ..)| kind == self).expect("all are listed");
        f.write_str(name)
    }
}

impl FromStr for ColumnType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_it =
            |(_, name, others): &&(_, &str, &[&str])| *name == text || others.contains(&text);
        NAMES.iter().find(is_it).map(|(kind, ..)| *kind).ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|(_, name, _)| *name).collect();
            Error::invalid("the type of a column", names.join(", "), format!("{text:?}"))
        })
    }
}

impl ColumnType {
    pub(super) fn storage(self) -> Storage {
        use ColumnType as T;
        match self {
            T::Float32 | T::Float64 => Storage::Float,
            T::Text | T::Json => Storage::Text,
            T::Category => Storage::Name,
            _ => Storage::Int,
        }
    }

    /// The integers that it can hold.
    pub(super) fn range(self) -> (i64, i64) {
        use ColumnType as T;
        match self {
            T::Bool => (0, 1),
            T::Int8 => (i8::MIN.into(), i8::MAX.into()),
            T::Int16 => (i16::MIN.into(), i16::MAX.into()),
            T::Int32 => (i32::MIN.into(), i32::MAX.into()),
            T::UInt8 => (0, u8::MAX.into()),
            T::UInt16 => (0, u16::MAX.into()),
            T::UInt32 => (0, u32::MAX.into()),
            _ => (i64::MIN, i64::MAX),
        }
    }

    /// The type in Arrow.
    pub(super) fn arrow(self) -> DataType {
        use ColumnType as T;
        match self {
            T::Bool => DataType::Boolean,
            T::Int8 => DataType::Int8,
            T::Int16 => DataType::Int16,
            T::Int32 => DataType::Int32,
            T::Int64 => DataType::Int64,
            T::UInt8 => DataType::UInt8,
            T::UInt16 => DataType::UInt16,
            T::UInt32 => DataType::UInt32,
            T::Float32 => DataType::Float32,
            T::Float64 => DataType::Float64,
            T::Text | T::Category | T::Json => DataType::Utf8,
            T::TimeNs => DataType::Timestamp(TimeUnit::Nanosecond, None),
        }
    }

    /// Whether sums and means of it say something.
    pub(super) fn is_number(self) -> bool {
        !matches!(self, ColumnType::Text | ColumnType::Category | ColumnType::Json)
    }
}

impl Serialize for ColumnType {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ColumnType {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Which records of a simulation are one and the same, and so replaced when they are logged again; and the order
/// in which they lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Shape {
    /// None: every record stays.
    Many,
    /// Those of one step and key, by step.
    Keyed,
    /// Those of one step and key, by key.
    Series,
    /// Those of one step.
    Single,
    /// Those of one key.
    Unique,
}

/// A column of records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Column {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: ColumnType,
}

/// A table of records.
///
/// # Example
/// ```
/// use siltstone::experiment::RecordSchema;
/// let schema = RecordSchema::new("temperature", &[("sensor", "category"), ("x", "float64")])?.with_key("sensor")?;
/// assert_eq!(schema.name(), "temperature");
/// # Ok::<(), siltstone::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordSchema {
    pub(super) name: String,
    pub(super) shape: Shape,
    /// The name of the step among the columns that a reader sees; none if there is no step.
    pub(super) step: Option<String>,
    /// The name of the number or text by which a reader tells one row from all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    /// The index of the key among the columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<usize>,
    pub(super) columns: Vec<Column>,
}

impl RecordSchema {
    /// A table of these columns, each a name and a [type](ColumnType) by its name; beside them it has `simulation_id`
    /// and `step`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is not made of letters, digits and `_`, is taken, or comes twice; for an unknown
    /// type; for no columns, or more than 60.
    pub fn new(name: &str, columns: &[(&str, &str)]) -> Result<Self> {
        check_name("the name of a table", name)?;
        if columns.is_empty() || columns.len() > MOST_COLUMNS {
            let what = format!("the columns of table {name:?}");
            return Err(Error::invalid(what, "1 to 60", columns.len().to_string()));
        }
        let mut found: Vec<Column> = Vec::with_capacity(columns.len());
        for (column, kind) in columns {
            let what = format!("a column of table {name:?}");
            check_name(&what, column)?;
            if TAKEN.iter().any(|taken| taken.eq_ignore_ascii_case(column)) {
                return Err(Error::invalid(
                    what,
                    "a name that is not taken",
                    format!("{column:?}"),
                ));
            }
            if found.iter().any(|other| other.name.eq_ignore_ascii_case(column)) {
                return Err(Error::invalid(what, "a name of its own", format!("{column:?} twice")));
            }
            found.push(Column { name: (*column).to_owned(), kind: kind.parse()? });
        }
        Ok(RecordSchema {
            name: name.to_owned(),
            shape: Shape::Many,
            step: Some("step".into()),
            id: None,
            key: None,
            columns: found,
        })
    }

    /// Records of one step and one value of this column are one and the same: logged again, it replaces.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless it is a column of integers or of the type `category`.
    pub fn with_key(mut self, column: &str) -> Result<Self> {
        let index = self.columns.iter().position(|known| known.name == column);
        let can_be = |index: &usize| {
            matches!(self.columns[*index].kind.storage(), Storage::Int | Storage::Name)
        };
        let Some(index) = index.filter(can_be) else {
            let what = format!("the key of table {:?}", self.name);
            let got = format!("{column:?}");
            return Err(Error::invalid(what, "a column of integers or of the type category", got));
        };
        (self.key, self.shape) = (Some(index), Shape::Keyed);
        Ok(self)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names and types of its columns.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = (&str, ColumnType)> {
        self.columns.iter().map(|column| (column.name.as_str(), column.kind))
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The columns that are stored for themselves: all but the key.
    pub(super) fn stored(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.columns.iter().enumerate().filter(|(i, _)| Some(*i) != self.key)
    }

    /// Whether its rows can go into blocks.
    pub(super) fn can_compact(&self) -> bool {
        !matches!(self.shape, Shape::Unique) && self.step.is_some()
    }
}
