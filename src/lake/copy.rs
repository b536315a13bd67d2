//! Rows as PostgreSQL's `COPY ... BINARY` takes them.
//!
//! # Source
//! PostgreSQL's documentation of `COPY`, binary format, and of the binary form of its types.

use std::io::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, BooleanArray, ListArray, RecordBatch};
use arrow_array::{BinaryArray, PrimitiveArray, StringArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, TimeUnit};

use crate::error::{Error, Result};
use crate::postgresql::text;

/// Bytes that are sent at a time.
const PIECE: usize = 1 << 20;
/// The signature, no flags, and no further header.
pub(super) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// PostgreSQL counts from 2000-01-01.
pub(super) const EPOCH_US: i64 = 946_684_800_000_000;
pub(super) const EPOCH_DAYS: i32 = 10_957;
/// Its times, in µs since then: from 4713 BC to AD 294276.
const TIMES_US: std::ops::Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;
/// The type of the items of a list.
const DOUBLE: i32 = 701;

/// The type of a column on the server; `None` if there is none for it.
pub(super) fn sql_type(kind: &DataType) -> Option<&'static str> {
    Some(match kind {
        DataType::Int64 => "bigint",
        DataType::Int32 => "integer",
        DataType::Float64 => "double precision",
        DataType::Boolean => "boolean",
        DataType::Utf8 => "text",
        DataType::Binary => "bytea",
        DataType::Date32 => "date",
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "timestamp with time zone",
        DataType::Dictionary(_, value) if **value == DataType::Utf8 => "text",
        DataType::List(item) if *item.data_type() == DataType::Float64 => "double precision[]",
        _ => return None,
    })
}

/// A column whose cells are written one by one.
enum Cells<'a> {
    Long(&'a PrimitiveArray<Int64Type>),
    Int(&'a PrimitiveArray<Int32Type>),
    Double(&'a PrimitiveArray<Float64Type>),
    Bool(&'a BooleanArray),
    Text(&'a StringArray),
    /// Texts by their places in a list.
    Name(Vec<usize>, &'a StringArray, Option<NullBuffer>),
    Bytes(&'a BinaryArray),
    Date(&'a PrimitiveArray<Date32Type>),
    Time(&'a PrimitiveArray<TimestampMicrosecondType>),
    List(&'a ListArray),
}

impl<'a> Cells<'a> {
    fn of(column: &'a ArrayRef) -> Option<Self> {
        Some(match column.data_type() {
            DataType::Int64 => Cells::Long(column.as_primitive()),
            DataType::Int32 => Cells::Int(column.as_primitive()),
            DataType::Float64 => Cells::Double(column.as_primitive()),
            DataType::Boolean => Cells::Bool(column.as_boolean()),
            DataType::Utf8 => Cells::Text(column.as_string()),
            DataType::Binary => Cells::Bytes(column.as_binary()),
            DataType::Date32 => Cells::Date(column.as_primitive()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Cells::Time(column.as_primitive()),
            DataType::List(_) => Cells::List(column.as_list()),
            DataType::Dictionary(..) => {
                let dictionary = column.as_any_dictionary();
                let texts = dictionary.values().as_string_opt()?;
                Cells::Name(dictionary.normalized_keys(), texts, column.logical_nulls())
            }
            _ => return None,
        })
    }

    fn put(&self, row: usize, out: &mut Vec<u8>) {
        let is_null = match self {
            Cells::Long(a) => a.is_null(row),
            Cells::Int(a) => a.is_null(row),
            Cells::Double(a) => a.is_null(row),
            Cells::Bool(a) => a.is_null(row),
            Cells::Text(a) => a.is_null(row),
            Cells::Name(_, _, nulls) => nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)),
            Cells::Bytes(a) => a.is_null(row),
            Cells::Date(a) => a.is_null(row),
            Cells::Time(a) => a.is_null(row),
            Cells::List(a) => a.is_null(row),
        };
        if is_null {
            return out.extend_from_slice(&(-1_i32).to_be_bytes());
        }
        match self {
            Cells::Long(a) => field(out, &a.value(row).to_be_bytes()),
            Cells::Int(a) => field(out, &a.value(row).to_be_bytes()),
            Cells::Double(a) => field(out, &a.value(row).to_be_bytes()),
            Cells::Bool(a) => field(out, &[u8::from(a.value(row))]),
            Cells::Text(a) => field(out, text::encode(a.value(row)).as_bytes()),
            Cells::Name(keys, texts, _) => {
                field(out, text::encode(texts.value(keys[row])).as_bytes());
            }
            Cells::Bytes(a) => field(out, a.value(row)),
            Cells::Date(a) => field(out, &a.value(row).saturating_sub(EPOCH_DAYS).to_be_bytes()),
            Cells::Time(a) => {
                let time =
                    a.value(row).checked_sub(EPOCH_US).filter(|time| TIMES_US.contains(time));
                match time {
                    Some(time) => field(out, &time.to_be_bytes()),
                    None => out.extend_from_slice(&(-1_i32).to_be_bytes()),
                }
            }
            Cells::List(a) => list(out, &a.value(row)),
        }
    }
}

fn field(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// A list of numbers, of one dimension, counted from 1.
fn list(out: &mut Vec<u8>, items: &ArrayRef) {
    let numbers: &PrimitiveArray<Float64Type> = items.as_primitive();
    let start = out.len();
    let mut int = |n: i32| out.extend_from_slice(&n.to_be_bytes());
    int(0); // its length, which is not known yet
    int(i32::from(!numbers.is_empty()));
    int(i32::from(numbers.null_count() > 0));
    int(DOUBLE);
    if !numbers.is_empty() {
        int(numbers.len() as i32);
        int(1);
    }
    for number in numbers {
        match number {
            Some(number) => field(out, &number.to_be_bytes()),
            None => out.extend_from_slice(&(-1_i32).to_be_bytes()),
        }
    }
    let length = (out.len() - start - 4) as i32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// What is sent of a table, piece by piece.
pub(super) struct Copy {
    piece: Vec<u8>,
    /// In front of the columns of each row.
    segment: i64,
    /// What was sent.
    pub(super) bytes: u64,
}

impl Copy {
    pub(super) fn new(segment: i64) -> Self {
        let mut piece = Vec::with_capacity(PIECE + (64 << 10));
        piece.extend_from_slice(HEADER);
        Copy { piece, segment, bytes: 0 }
    }

    /// Sends rows.
    pub(super) fn rows(
        &mut self,
        batch: &RecordBatch,
        to: &mut dyn Write,
    ) -> Result<std::io::Result<()>> {
        let columns =
            batch.schema_ref().fields().iter().zip(batch.columns()).map(|(field, column)| {
                Cells::of(column).ok_or_else(|| {
                    let expected = "a column that can be published";
                    Error::invalid(field.name(), expected, field.data_type().to_string())
                })
            });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let n = (columns.len() as i16 + 1).to_be_bytes();
        for row in 0..batch.num_rows() {
            self.piece.extend_from_slice(&n);
            field(&mut self.piece, &self.segment.to_be_bytes());
            for column in &columns {
                column.put(row, &mut self.piece);
            }
            if self.piece.len() >= PIECE
                && let Err(error) = self.send(to)
            {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    fn send(&mut self, to: &mut dyn Write) -> std::io::Result<()> {
        self.bytes += self.piece.len() as u64;
        to.write_all(&self.piece)?;
        self.piece.clear();
        to.flush()
    }

    /// Sends the rest, and that it is over.
    pub(super) fn end(&mut self, to: &mut dyn Write) -> std::io::Result<()> {
        self.piece.extend_from_slice(&(-1_i16).to_be_bytes());
        self.send(to)
    }
}
