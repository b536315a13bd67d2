//! One Arrow column back into attributes.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType,
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array as _, ArrayRef};
use arrow_schema::{DataType, Field, TimeUnit};

use super::column::{ATTRIBUTE, DTYPE, ROW_PTR, SHAPE};
use crate::array::{Array, DType, Kind, parse_shape};
use crate::error::{Error, Result};
use crate::simulation::state::sentinels_as_mask;
use crate::simulation::update::{Attribute, CLEARED, GIVEN, NOT_GIVEN, sentinel_of};

/// Gathers the rows of one attribute of one update.
#[derive(Clone)]
pub(super) struct Decoder {
    pub(super) attribute: String,
    what: String,
    dtype: DType,
    unit: Vec<usize>,
    row_ptr: Option<DType>,
    /// Items, low byte first; a null has no bytes.
    items: Vec<Option<Vec<u8>>>,
    rows: Vec<u8>,
    /// Where the given rows of a ragged attribute end, in units.
    ends: Vec<usize>,
}

impl Decoder {
    /// # Errors
    /// [`Error::Invalid`] for a column that does not say its dtype: another program made it.
    pub(super) fn new(table: &str, field: &Field) -> Result<Self> {
        let what = format!("{table}, column {}", field.name());
        let metadata = field.metadata();
        let (Some(dtype), Some(shape)) = (metadata.get(DTYPE), metadata.get(SHAPE)) else {
            let got = format!("{} without them", field.data_type());
            return Err(Error::invalid(what, "dtype and shape in the column's metadata", got));
        };
        let unit = parse_shape(shape)?;
        if unit.iter().try_fold(1usize, |size, n| size.checked_mul(*n)).is_none() {
            return Err(Error::invalid(what, "a shape that fits into memory", shape.clone()));
        }
        Ok(Decoder {
            attribute: metadata.get(ATTRIBUTE).unwrap_or(field.name()).clone(),
            dtype: dtype.parse()?,
            unit,
            row_ptr: metadata.get(ROW_PTR).map(|dtype| dtype.parse()).transpose()?,
            what,
            items: Vec::new(),
            rows: Vec::new(),
            ends: Vec::new(),
        })
    }

    fn wrong_type(&self, got: &DataType) -> Error {
        let expected = format!("a column as dtype {} and shape {:?} say", self.dtype, self.unit);
        Error::invalid(&self.what, expected, got.to_string())
    }

    /// Appends rows.
    pub(super) fn push(&mut self, column: &ArrayRef) -> Result<()> {
        for row in 0..column.len() {
            self.rows.push(if column.is_null(row) { NOT_GIVEN } else { GIVEN });
        }
        if self.row_ptr.is_none() {
            return self.push_units(column);
        }
        let list =
            column.as_list_opt::<i32>().ok_or_else(|| self.wrong_type(column.data_type()))?;
        for row in 0..list.len() {
            let mut end = self.ends.last().copied().unwrap_or(0);
            if list.is_valid(row) {
                let units = list.value(row);
                end += units.len();
                self.push_units(&units)?;
            }
            self.ends.push(end);
        }
        Ok(())
    }

    fn push_units(&mut self, units: &ArrayRef) -> Result<()> {
        let mut array = units.clone();
        for length in &self.unit {
            if *length == 0 {
                return Ok(());
            }
            let list = array.as_fixed_size_list_opt();
            let inner = list.filter(|list| list.value_length() as usize == *length);
            let inner = inner.ok_or_else(|| self.wrong_type(array.data_type()))?.values().clone();
            array = inner;
        }
        for i in 0..array.len() {
            let item = array.is_valid(i).then(|| item(&array, i)).map(|item| {
                let item = item.ok_or_else(|| self.wrong_type(array.data_type()))?;
                let fixed = !matches!(self.dtype.kind(), Kind::Str | Kind::Bytes);
                if fixed && item.len() != self.dtype.item_size() {
                    return Err(self.wrong_type(array.data_type()));
                }
                Ok(item)
            });
            self.items.push(item.transpose()?);
        }
        Ok(())
    }

    /// Whether any row is given.
    pub(super) fn says_anything(&self) -> bool {
        self.rows.contains(&GIVEN)
    }

    /// The rows become undefined by this update.
    pub(super) fn clear_rows(&mut self, rows: impl Iterator<Item = usize>) {
        rows.for_each(|row| self.rows[row] = CLEARED);
    }

    /// The attribute, and the decoder is empty again. Sentinels say what is not given where they can.
    pub(super) fn take(&mut self) -> Result<Attribute> {
        let items = std::mem::take(&mut self.items);
        let rows = std::mem::take(&mut self.rows);
        let ends = std::mem::take(&mut self.ends);
        let any_null = rows.iter().any(|said| *said != GIVEN) || items.iter().any(Option::is_none);
        let dtype = self.width(&items, any_null);
        let sentinel = sentinel_of(dtype).unwrap_or_else(|| vec![0; dtype.item_size()]);
        let mut data = Vec::with_capacity(items.len() * dtype.item_size());
        let mut push = |item: &Option<Vec<u8>>| {
            let item = item.as_ref().unwrap_or(&sentinel);
            data.extend_from_slice(item);
            data.resize(data.len() + dtype.item_size() - item.len(), 0);
        };
        let per_unit: usize = self.unit.iter().product();
        let (units, row_ptr) = match self.row_ptr {
            None => {
                items.iter().for_each(&mut push);
                (rows.len(), None)
            }
            Some(row_ptr) => {
                // A row that is not given is one unit of sentinels.
                let (mut from, mut pointers) = (0, vec![0i64]);
                for (said, end) in rows.iter().zip(&ends) {
                    let before = pointers[pointers.len() - 1];
                    if *said == GIVEN {
                        items[from * per_unit..end * per_unit].iter().for_each(&mut push);
                        pointers.push(before + (end - from) as i64);
                    } else {
                        (0..per_unit).for_each(|_| push(&None));
                        pointers.push(before + 1);
                    }
                    from = *end;
                }
                let units = pointers[pointers.len() - 1] as usize;
                (units, Some(integers(row_ptr, &pointers)?))
            }
        };
        let mut shape = vec![units];
        shape.extend(&self.unit);
        if self.dtype.is_big_endian() {
            data.chunks_exact_mut(dtype.swap_size()).for_each(<[u8]>::reverse);
        }
        let data = Array::new(dtype, shape, data)?;
        let attribute = Attribute { data, row_ptr, mask: None };
        if sentinels_as_mask(&attribute) == rows {
            Ok(attribute)
        } else {
            Ok(attribute.with_mask(&rows))
        }
    }

    /// Text is as wide as its longest item.
    fn width(&self, items: &[Option<Vec<u8>>], any_null: bool) -> DType {
        let longest = items.iter().flatten().map(Vec::len).max().unwrap_or(0);
        let text = match self.dtype.kind() {
            Kind::Str => format!("U{}", (longest / 4).max(if any_null { 5 } else { 1 })),
            Kind::Bytes => format!("S{}", longest.max(1)),
            _ => return self.dtype,
        };
        let order = if self.dtype.is_big_endian() { '>' } else { '<' };
        format!("{order}{text}").parse().expect("text of some width is a dtype")
    }
}

/// Integers in the dtype that they had.
pub(super) fn integers(dtype: DType, numbers: &[i64]) -> Result<Array> {
    let size = dtype.item_size();
    let mut data: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()[..size].to_vec()).collect();
    if dtype.is_big_endian() {
        data.chunks_exact_mut(dtype.swap_size()).for_each(<[u8]>::reverse);
    }
    let array = Array::new(dtype, vec![numbers.len()], data)?;
    // A foreign file may have said a dtype that does not hold them.
    if array.to_i64s().is_some_and(|back| back == numbers) {
        Ok(array)
    } else {
        Ok(Array::from_slice(numbers))
    }
}

/// The bytes of one item, low byte first; text as UCS-4.
fn item(array: &ArrayRef, i: usize) -> Option<Vec<u8>> {
    macro_rules! number {
        ($t:ty) => {
            array.as_primitive::<$t>().value(i).to_le_bytes().to_vec()
        };
    }
    Some(match array.data_type() {
        DataType::Boolean => vec![u8::from(array.as_boolean().value(i))],
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float16 => number!(Float16Type),
        DataType::Float32 => number!(Float32Type),
        DataType::Float64 => number!(Float64Type),
        DataType::Timestamp(TimeUnit::Second, _) => number!(TimestampSecondType),
        DataType::Timestamp(TimeUnit::Millisecond, _) => number!(TimestampMillisecondType),
        DataType::Timestamp(TimeUnit::Microsecond, _) => number!(TimestampMicrosecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => number!(TimestampNanosecondType),
        DataType::Duration(TimeUnit::Second) => number!(DurationSecondType),
        DataType::Duration(TimeUnit::Millisecond) => number!(DurationMillisecondType),
        DataType::Duration(TimeUnit::Microsecond) => number!(DurationMicrosecondType),
        DataType::Duration(TimeUnit::Nanosecond) => number!(DurationNanosecondType),
        DataType::Utf8 => {
            let text = array.as_string::<i32>().value(i);
            text.chars().flat_map(|c| (c as u32).to_le_bytes()).collect()
        }
        DataType::Binary => array.as_binary::<i32>().value(i).to_vec(),
        DataType::Struct(_) => {
            let parts = array.as_struct().columns().iter().map(|part| item(part, i));
            parts.collect::<Option<Vec<_>>>()?.concat()
        }
        _ => return None,
    })
}
