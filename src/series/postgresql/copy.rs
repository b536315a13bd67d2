//! Points as the rows of `COPY ... BINARY`, and back, bit for bit.
//!
//! The format is PostgreSQL's own: a header, then for each row the number of its fields and each field with its length, all
//! numbers high byte first; -1 is the length of NULL, and the number of fields of the end.

use std::io::{BufRead, Write};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type, Int64Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, Float32Array, Float64Array, Int64Array,
    make_array,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_data::ArrayData;
use arrow_schema::DataType;

use crate::error::{Error, Result};
use crate::postgresql::text;
use crate::series::data::Series;

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Rows are handed on in pieces of about so many bytes.
const PIECE: usize = 1 << 18;

/// What a column of PostgreSQL holds of an Arrow column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Float,
    Real,
    Bool,
    Text,
    Bytes,
}

impl Kind {
    /// The kind of values of this type.
    pub(super) fn of(kind: &DataType) -> Self {
        use DataType as T;
        match kind {
            T::Boolean => Kind::Bool,
            T::Float16 | T::Float32 => Kind::Real,
            T::Float64 => Kind::Float,
            T::Utf8 => Kind::Text,
            T::Binary | T::FixedSizeBinary(_) => Kind::Bytes,
            _ => Kind::Int,
        }
    }

    /// The kind of an index of this type: floats are all double there.
    pub(super) fn of_index(kind: &DataType) -> Self {
        match Self::of(kind) {
            Kind::Real => Kind::Float,
            other => other,
        }
    }

    /// The columns of the table of points: `index_int`, `value_float`.
    pub(super) fn column(self, of: &str) -> String {
        let kind = match self {
            Kind::Int => "int",
            Kind::Float => "float",
            Kind::Real => "real",
            Kind::Bool => "bool",
            Kind::Text => "text",
            Kind::Bytes => "bytes",
        };
        format!("{of}_{kind}")
    }
}

type Half = <Float16Type as ArrowPrimitiveType>::Native;

/// A column that is written row by row.
enum Cells {
    Int(Int64Array),
    Float(Float64Array),
    Real(Float32Array),
    Bool(BooleanArray),
    Text(ArrayRef),
    Bytes(ArrayRef),
}

impl Cells {
    fn of(array: &ArrayRef, kind: Kind) -> Result<Self> {
        let wide = |to: &DataType| {
            arrow_cast::cast(array, to).map_err(|e| {
                Error::invalid("a series", "types that a series can have", e.to_string())
            })
        };
        Ok(match (kind, array.data_type()) {
            (Kind::Int, DataType::UInt64) => {
                let bits = array.as_primitive::<UInt64Type>();
                let same = ScalarBuffer::from(bits.values().inner().clone());
                Cells::Int(Int64Array::new(same, bits.nulls().cloned()))
            }
            (Kind::Int, _) => {
                Cells::Int(wide(&DataType::Int64)?.as_primitive::<Int64Type>().clone())
            }
            (Kind::Float, DataType::Float32) => {
                let narrow = array.as_primitive::<Float32Type>();
                Cells::Float(narrow.unary(double))
            }
            (Kind::Float, DataType::Float16) => {
                Cells::Float(array.as_primitive::<Float16Type>().unary(|x| double(single(x))))
            }
            (Kind::Float, _) => Cells::Float(array.as_primitive::<Float64Type>().clone()),
            (Kind::Real, DataType::Float16) => {
                Cells::Real(array.as_primitive::<Float16Type>().unary(single))
            }
            (Kind::Real, _) => Cells::Real(array.as_primitive::<Float32Type>().clone()),
            (Kind::Bool, _) => Cells::Bool(array.as_boolean().clone()),
            (Kind::Text, _) => Cells::Text(array.clone()),
            (Kind::Bytes, _) => Cells::Bytes(array.clone()),
        })
    }

    fn put(&self, row: usize, out: &mut Vec<u8>) {
        let field = |out: &mut Vec<u8>, bytes: &[u8]| {
            out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
            out.extend_from_slice(bytes);
        };
        match self {
            Cells::Int(a) if a.is_valid(row) => field(out, &a.value(row).to_be_bytes()),
            Cells::Float(a) if a.is_valid(row) => field(out, &a.value(row).to_bits().to_be_bytes()),
            Cells::Real(a) if a.is_valid(row) => field(out, &a.value(row).to_bits().to_be_bytes()),
            Cells::Bool(a) if a.is_valid(row) => field(out, &[u8::from(a.value(row))]),
            Cells::Text(a) if a.is_valid(row) => {
                field(out, text::encode(a.as_string::<i32>().value(row)).as_bytes());
            }
            Cells::Bytes(a) if a.is_valid(row) => match a.data_type() {
                DataType::Binary => field(out, a.as_binary::<i32>().value(row)),
                _ => field(out, a.as_fixed_size_binary().value(row)),
            },
            _ => out.extend_from_slice(&(-1_i32).to_be_bytes()),
        }
    }
}

/// Writes points as rows `series_id, row, index, value`, of which the first has the number `first`.
pub(super) fn write(
    out: &mut dyn Write,
    id: i64,
    first: i64,
    series: &Series,
) -> std::io::Result<()> {
    let broken = |e: Error| std::io::Error::other(e.to_string());
    let (index, values) = (series.index(), series.values());
    let index = Cells::of(index, Kind::of_index(index.data_type())).map_err(broken)?;
    let values = Cells::of(values, Kind::of(values.data_type())).map_err(broken)?;
    let mut piece = Vec::with_capacity(PIECE + 4096);
    piece.extend_from_slice(HEADER);
    for row in 0..series.len() {
        piece.extend_from_slice(&4_i16.to_be_bytes());
        piece.extend_from_slice(&8_i32.to_be_bytes());
        piece.extend_from_slice(&id.to_be_bytes());
        piece.extend_from_slice(&8_i32.to_be_bytes());
        piece.extend_from_slice(&(first + row as i64).to_be_bytes());
        index.put(row, &mut piece);
        values.put(row, &mut piece);
        if piece.len() >= PIECE {
            out.write_all(&piece)?;
            out.flush()?;
            piece.clear();
        }
    }
    piece.extend_from_slice(&(-1_i16).to_be_bytes());
    out.write_all(&piece)
}

/// A column that grows row by row.
struct Column {
    kind: Kind,
    words: Vec<u64>,
    bytes: Vec<u8>,
    ends: Vec<i32>,
    valid: Vec<bool>,
}

impl Column {
    fn new(kind: Kind) -> Self {
        Column { kind, words: Vec::new(), bytes: Vec::new(), ends: vec![0], valid: Vec::new() }
    }

    fn take(&mut self, field: Option<&[u8]>) -> Option<()> {
        self.valid.push(field.is_some());
        match self.kind {
            Kind::Int | Kind::Float => self.words.push(match field {
                Some(bytes) => u64::from_be_bytes(bytes.try_into().ok()?),
                None => 0,
            }),
            Kind::Real => self.words.push(match field {
                Some(bytes) => u64::from(u32::from_be_bytes(bytes.try_into().ok()?)),
                None => 0,
            }),
            Kind::Bool => self.words.push(field.map_or(Some(0), |bytes| match bytes {
                [bit @ (0 | 1)] => Some(u64::from(*bit)),
                _ => None,
            })?),
            Kind::Text => {
                let text = std::str::from_utf8(field.unwrap_or_default()).ok()?;
                self.bytes.extend_from_slice(text::decode(text)?.as_bytes());
            }
            Kind::Bytes => self.bytes.extend_from_slice(field.unwrap_or_default()),
        }
        if matches!(self.kind, Kind::Text | Kind::Bytes) {
            self.ends.push(i32::try_from(self.bytes.len()).ok()?);
        }
        Some(())
    }

    /// How many bytes it holds.
    fn weight(&self) -> usize {
        self.bytes.len()
    }

    /// The array of these rows.
    fn finish(&mut self, kind: &DataType) -> Option<ArrayRef> {
        use DataType as T;
        let taken = std::mem::replace(self, Column::new(self.kind));
        let n = taken.valid.len();
        let nulls = NullBuffer::from(taken.valid);
        let nulls = (nulls.null_count() > 0).then_some(nulls);
        let words = taken.words;
        macro_rules! narrow {
            ($type:ty) => {
                Buffer::from_vec(words.iter().map(|word| *word as $type).collect::<Vec<$type>>())
            };
        }
        let buffer = match kind {
            T::Boolean => {
                let bits: BooleanBuffer = words.iter().map(|word| *word != 0).collect();
                return Some(Arc::new(BooleanArray::new(bits, nulls)));
            }
            T::Utf8 | T::Binary => {
                let ends = OffsetBuffer::new(ScalarBuffer::from(taken.ends));
                let data = ArrayData::builder(kind.clone()).len(n).nulls(nulls);
                let data = data.add_buffer(ends.into_inner().into_inner());
                return Some(make_array(
                    data.add_buffer(Buffer::from_vec(taken.bytes)).build().ok()?,
                ));
            }
            T::FixedSizeBinary(size) => {
                let size = *size as usize;
                let mut all = vec![0; n.checked_mul(size)?];
                for row in 0..n {
                    let (from, to) = (taken.ends[row] as usize, taken.ends[row + 1] as usize);
                    if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
                        let slot = &mut all[row * size..(row + 1) * size];
                        if to - from != size {
                            return None;
                        }
                        slot.copy_from_slice(&taken.bytes[from..to]);
                    }
                }
                Buffer::from_vec(all)
            }
            T::Float16 => Buffer::from_vec(
                words.iter().map(|word| half(f32::from_bits(*word as u32))).collect::<Vec<Half>>(),
            ),
            T::Float32 if self.kind == Kind::Float => Buffer::from_vec(
                words.iter().map(|word| narrow(f64::from_bits(*word))).collect::<Vec<f32>>(),
            ),
            T::Float32 => narrow!(u32),
            T::Int8 | T::UInt8 => narrow!(u8),
            T::Int16 | T::UInt16 => narrow!(u16),
            T::Int32 | T::UInt32 => narrow!(u32),
            _ => Buffer::from_vec(words),
        };
        let data = ArrayData::builder(kind.clone()).len(n).nulls(nulls).add_buffer(buffer);
        Some(make_array(data.build().ok()?))
    }
}

/// Reads rows `index, value`, and hands them on in series of at most so many rows, until `take` says that it is
/// enough.
pub(super) fn read(
    input: &mut dyn BufRead,
    types: (&DataType, &DataType),
    most: usize,
    mut take: impl FnMut(Series) -> Result<bool>,
) -> Result<()> {
    let (mut index, mut values) =
        (Column::new(Kind::of_index(types.0)), Column::new(Kind::of(types.1)));
    let mut fields = Fields { input, field: Vec::new() };
    fields.exact(HEADER.len())?;
    if fields.field[..11] != HEADER[..11] {
        return Err(damaged("it does not begin as COPY does"));
    }
    loop {
        fields.exact(2)?;
        let end = fields.field == [0xff, 0xff];
        let full = index.valid.len() >= most || index.weight() + values.weight() > (1 << 26);
        if (end || full) && !index.valid.is_empty() {
            let series = index
                .finish(types.0)
                .zip(values.finish(types.1))
                .ok_or_else(|| damaged("its fields are not of the series' types"))?;
            if !take(Series::new(series.0, series.1)?)? {
                return Ok(());
            }
        }
        if end {
            return Ok(());
        }
        if fields.field != [0, 2] {
            return Err(damaged("a row of another number of fields"));
        }
        let mut cell = |column: &mut Column| {
            let field = fields.next()?;
            column.take(field).ok_or_else(|| damaged("a field is not of the series' types"))
        };
        cell(&mut index)?;
        cell(&mut values)?;
    }
}

struct Fields<'a> {
    input: &'a mut dyn BufRead,
    field: Vec<u8>,
}

impl Fields<'_> {
    /// The next so many bytes, in `self.field`. Grows with what comes, not with what is claimed.
    fn exact(&mut self, n: usize) -> Result<()> {
        self.field.clear();
        while self.field.len() < n {
            let piece = self
                .input
                .fill_buf()
                .map_err(|e| damaged(&format!("the server went away, or refused: {e}")))?;
            if piece.is_empty() {
                return Err(damaged("it ends too early"));
            }
            let take = piece.len().min(n - self.field.len());
            self.field.extend_from_slice(&piece[..take]);
            self.input.consume(take);
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<&[u8]>> {
        self.exact(4)?;
        let length: [u8; 4] = self.field[..].try_into().expect("there are four");
        match i32::from_be_bytes(length) {
            -1 => Ok(None),
            length if length < 0 => Err(damaged("a field of a negative length")),
            length => {
                self.exact(length as usize)?;
                Ok(Some(&self.field))
            }
        }
    }
}

fn damaged(why: &str) -> Error {
    Error::Corrupt { location: String::new(), what: "what the server sent".into(), why: why.into() }
}

// Floats of another width with the same bits of a NaN: a conversion by the processor would make it quiet.

fn double(x: f32) -> f64 {
    let bits = u64::from(x.to_bits());
    if x.is_nan() {
        f64::from_bits(
            ((bits & 0x8000_0000) << 32) | 0x7ff0_0000_0000_0000 | ((bits & 0x7f_ffff) << 29),
        )
    } else {
        f64::from(x)
    }
}

fn narrow(x: f64) -> f32 {
    let bits = x.to_bits();
    if x.is_nan() {
        f32::from_bits(
            (((bits >> 32) & 0x8000_0000) | 0x7f80_0000 | ((bits >> 29) & 0x7f_ffff)) as u32,
        )
    } else {
        x as f32
    }
}

fn single(x: Half) -> f32 {
    let bits = u32::from(x.to_bits());
    if x.is_nan() {
        f32::from_bits(((bits & 0x8000) << 16) | 0x7f80_0000 | ((bits & 0x3ff) << 13))
    } else {
        x.to_f32()
    }
}

/// The inverse of [`single`] for what it gives.
fn half(x: f32) -> Half {
    let bits = x.to_bits();
    if x.is_nan() {
        Half::from_bits((((bits >> 16) & 0x8000) | 0x7c00 | ((bits >> 13) & 0x3ff)) as u16)
    } else {
        Half::from_f32(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: floats of another width come back by bits, whatever they are.
    #[test]
    fn floats_come_back_by_bits() {
        for bits in 0..=u16::MAX {
            assert_eq!(half(single(Half::from_bits(bits))).to_bits(), bits, "{bits:#x}");
        }
        for bits in (0..=u32::MAX).step_by(65_521).chain([0x7f80_0001, 0xffc0_0000, 1, 0x8000_0000])
        {
            assert_eq!(narrow(double(f32::from_bits(bits))).to_bits(), bits, "{bits:#x}");
        }
    }
}
