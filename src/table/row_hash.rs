//! A hash of rows that does not depend on their order.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128};

use crate::error::{Error, Result};

/// The hash of rows: as many as there are, in any order, in any division into batches.
///
/// # Source
/// A cell is XXH3-64 of its bytes, with XXH3-64 of its column's name as the seed: integers, dates (days) and times (µs) as 8
/// bytes with sign, low byte first; floats by their 8 bytes; a boolean one byte; texts and binaries as they are; a list of
/// floats one after another. A row is XXH3-128 of the sum, modulo 2^64, of its cells that are not null, as 8 bytes, low byte
/// first. Rows are added modulo 2^128. So a column that has no value in a row does not count.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowHash {
    sum: u128,
    pub(crate) rows: u64,
}

impl RowHash {
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut cells = vec![0u64; batch.num_rows()];
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            add_column(&mut cells, CellHash::of(field.name()), column).ok_or_else(|| {
                let expected = "a column that can be published";
                Error::invalid(field.name(), expected, field.data_type().to_string())
            })?;
        }
        cells.into_iter().for_each(|cells| self.add_row(cells));
        Ok(())
    }

    /// Adds a row by the sum, modulo 2^64, of its cells.
    pub(crate) fn add_row(&mut self, cells: u64) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(xxh3_128(&cells.to_le_bytes()));
    }

    /// As 32 hexadecimal digits.
    pub(crate) fn text(&self) -> String {
        format!("{:032x}", self.sum)
    }
}

/// The hashes of the cells of a column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CellHash(u64);

impl CellHash {
    pub(crate) fn of(column: &str) -> Self {
        CellHash(xxh3_64(column.as_bytes()))
    }

    /// Of a cell that is not null, by its bytes.
    pub(crate) fn cell(self, bytes: &[u8]) -> u64 {
        xxh3_64_with_seed(bytes, self.0)
    }
}

fn add_column(cells: &mut [u64], hash: CellHash, column: &dyn Array) -> Option<()> {
    let nulls = column.nulls();
    let mut add = |value: &dyn Fn(usize) -> u64| {
        for (i, cell) in cells.iter_mut().enumerate() {
            if nulls.is_none_or(|nulls| nulls.is_valid(i)) {
                *cell = cell.wrapping_add(value(i));
            }
        }
    };
    let bytes = |bytes: &[u8]| hash.cell(bytes);
    let integer = |n: i64| bytes(&n.to_le_bytes());
    match column.data_type() {
        DataType::Int64 => {
            let values = column.as_primitive::<Int64Type>().values();
            add(&|i| integer(values[i]));
        }
        DataType::Int32 => {
            let values = column.as_primitive::<Int32Type>().values();
            add(&|i| integer(i64::from(values[i])));
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let values = column.as_primitive::<TimestampMicrosecondType>().values();
            add(&|i| integer(values[i]));
        }
        DataType::Date32 => {
            let values = column.as_primitive::<Date32Type>().values();
            add(&|i| integer(i64::from(values[i])));
        }
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>().values();
            add(&|i| bytes(&values[i].to_le_bytes()));
        }
        DataType::Boolean => {
            let values = column.as_boolean();
            add(&|i| bytes(&[u8::from(values.value(i))]));
        }
        DataType::Utf8 => {
            let values = column.as_string::<i32>();
            add(&|i| bytes(values.value(i).as_bytes()));
        }
        DataType::Binary => {
            let values = column.as_binary::<i32>();
            add(&|i| bytes(values.value(i)));
        }
        DataType::Dictionary(key, value)
            if **key == DataType::Int32 && **value == DataType::Utf8 =>
        {
            let dictionary = column.as_dictionary::<Int32Type>();
            let words = dictionary.values().as_string::<i32>();
            let hashes: Vec<u64> =
                words.iter().map(|word| bytes(word.unwrap_or_default().as_bytes())).collect();
            let keys = dictionary.keys().values();
            add(&|i| hashes[keys[i] as usize]);
        }
        DataType::List(item) if *item.data_type() == DataType::Float64 => {
            let lists = column.as_list::<i32>();
            add(&|i| {
                let list = lists.value(i);
                let values = list.as_primitive::<Float64Type>().values();
                bytes(&values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())
            });
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, DictionaryArray, Float64Array, Int64Array, StringArray};

    use super::*;

    fn hash(batches: &[RecordBatch]) -> RowHash {
        let mut hash = RowHash::default();
        batches.iter().for_each(|batch| hash.add(batch).unwrap());
        hash
    }

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter(columns).unwrap()
    }

    /// Goal: neither the order of rows and columns, nor batches, dictionaries or a column of nulls are in the hash.
    #[test]
    fn the_same_rows_have_the_same_hash() {
        let names = |of: &[&str]| Arc::new(StringArray::from(of.to_vec())) as ArrayRef;
        let numbers = |of: &[f64]| Arc::new(Float64Array::from(of.to_vec())) as ArrayRef;
        let one = batch(vec![("name", names(&["a", "b", "a"])), ("x", numbers(&[1.0, 2.0, 3.0]))]);
        let words: DictionaryArray<Int32Type> = ["a", "a"].into_iter().collect();
        let two = [
            batch(vec![("x", numbers(&[3.0, 1.0])), ("name", Arc::new(words))]),
            batch(vec![
                ("x", numbers(&[2.0])),
                ("name", names(&["b"])),
                ("later", Arc::new(Int64Array::from(vec![None]))),
            ]),
        ];
        assert_eq!(hash(&[one]), hash(&two));
    }

    /// Goal: what differs in one bit, one column's name or one row has another hash.
    #[test]
    fn other_rows_have_another_hash() {
        let of = |name: &str, x: &[f64]| {
            hash(&[batch(vec![(name, Arc::new(Float64Array::from(x.to_vec())) as ArrayRef)])])
        };
        let all = [
            of("x", &[0.0]),
            of("x", &[-0.0]),
            of("x", &[f64::from_bits(0x7ff8_0000_0000_0001)]),
            of("x", &[f64::NAN]),
            of("y", &[0.0]),
            of("x", &[0.0, 0.0]),
            of("x", &[]),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|other| other != one), "{i}");
        }
    }

    /// Goal: a known value, so that what a lake holds stays right when the code changes.
    #[test]
    fn a_known_table_has_its_known_hash() {
        let rows = batch(vec![("x", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]);
        let cell = |n: i64| {
            xxhash_rust::xxh3::xxh3_64_with_seed(&n.to_le_bytes(), xxh3_64(b"x")).to_le_bytes()
        };
        let expected = xxh3_128(&cell(1)).wrapping_add(xxh3_128(&cell(2)));
        assert_eq!(hash(&[rows]).text(), format!("{expected:032x}"));
    }
}
