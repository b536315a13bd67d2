//! A published table that is a query over rows with an integer key.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, Float64Builder, Int64Builder, ListBuilder, StringBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use rusqlite::types::ValueRef;

use super::published::{Cut, PublishedTable, Slice};
use super::{Batches, from_arrow};
use crate::error::{Error, Result};
use crate::kernel::{Database, ReadTx};

/// Rows that are read at a time, and bytes after which a batch ends.
const BATCH_ROWS: usize = 8_192;
const BATCH_BYTES: usize = 16 << 20;
/// Keys of the smallest slice, as a power of two; the next ones have sixteen times as many.
const LEAST_BITS: u32 = 12;
const MOST_BITS: u32 = 20;

/// The type of a column.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Int,
    Real,
    Text,
    Blob,
    /// Numbers that the store makes of a blob.
    Numbers(fn(&[u8]) -> Result<Vec<f64>>),
}

/// A column: its name, its type, and its SQL.
pub(crate) type SqlColumn = (&'static str, Kind, &'static str);

/// A table that is read by SQL.
pub(crate) struct SqlTable {
    pub(crate) name: &'static str,
    /// The tables, behind `FROM`.
    pub(crate) from: &'static str,
    /// An integer that no two rows share, not below 0.
    pub(crate) key: &'static str,
    pub(crate) columns: &'static [SqlColumn],
}

impl SqlTable {
    /// The table, as it is published.
    pub(crate) fn published(&self) -> PublishedTable {
        let fields = self.columns.iter().map(|(name, kind, _)| {
            let item = || Arc::new(Field::new("item", DataType::Float64, true));
            let kind = match kind {
                Kind::Int => DataType::Int64,
                Kind::Real => DataType::Float64,
                Kind::Text => DataType::Utf8,
                Kind::Blob => DataType::Binary,
                Kind::Numbers(_) => DataType::List(item()),
            };
            Field::new(*name, kind, true)
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        PublishedTable { name: self.name.into(), schema, partitions: &[] }
    }

    /// Its slices: ranges of keys, the finer the nearer they are to the last one, if what grows is cut finely.
    pub(crate) fn slices(&self, tx: &ReadTx<'_>, cut: Cut) -> Result<Vec<Slice>> {
        let (key, from) = (self.key, self.from);
        let columns: Vec<&str> = self.columns.iter().map(|(_, _, sql)| *sql).collect();
        // The sum of sums of rows: which are the same in other slices, so their keys count too. SQL would keep the rows to group
        // them.
        let sql = format!(
            "SELECT {key}, silt_row_sum({key}, {}) FROM {from} ORDER BY {key}",
            columns.join(", ")
        );
        let mut groups: Vec<[i64; 4]> = Vec::new();
        tx.query(&sql, [], |row| {
            let (key, sum): (i64, i64) = (row.get(0)?, row.get(1)?);
            let group = key >> LEAST_BITS;
            match groups.last_mut().filter(|known| known[0] == group) {
                Some(known) => *known = [group, known[1] + 1, known[2] + sum, key],
                None => groups.push([group, 1, sum, key]),
            }
            Ok(())
        })?;
        let Some(last) = groups.iter().map(|group| group[3]).max() else { return Ok(Vec::new()) };
        if groups[0][0] < 0 {
            let expected = "keys that are not below zero";
            return Err(Error::invalid(format!("table {}", self.name), expected, "one below it"));
        }
        let mut slices: Vec<Slice> = Vec::new();
        for [group, rows, sum, _] in groups {
            let first = group << LEAST_BITS;
            let bits = bits_of(first, last, cut);
            let first = first >> bits << bits;
            let part = [group, rows, sum].iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
            let part = xxhash_rust::xxh3::xxh3_128(&part);
            match slices.last_mut().filter(|slice| slice.first == first) {
                Some(slice) => slice.signature = slice.signature.wrapping_add(part),
                None => {
                    let until = first.saturating_add(1 << bits);
                    slices.push(Slice { partition: Vec::new(), first, until, signature: part });
                }
            }
        }
        Ok(slices)
    }

    /// The rows of a slice. Each batch is read from a snapshot of its own: a slow network holds none open.
    pub(crate) fn rows(&self, db: &Database, schema: &SchemaRef, slice: &Slice) -> Batches {
        let sql: Vec<&str> = self.columns.iter().map(|(_, _, sql)| *sql).collect();
        let (key, from) = (self.key, self.from);
        let sql = format!(
            "SELECT {key}, {} FROM {from} WHERE {key} >= ?1 AND {key} < ?2 ORDER BY {key} LIMIT {BATCH_ROWS}",
            sql.join(", ")
        );
        let (name, columns, db, out) = (self.name, self.columns, db.clone(), schema.clone());
        let (mut first, until) = (slice.first, slice.until);
        Batches::new(schema.clone(), move || {
            if first >= until {
                return Ok(None);
            }
            let batch = db.read(|tx| read(tx, name, &sql, (first, until), columns, &out))?;
            let Some((batch, last)) = batch else { return Ok(None) };
            first = last.saturating_add(1);
            Ok(Some(batch))
        })
    }
}

/// How many bits of a key tell rows of one slice apart: of the slice that the key is in when the greatest key is `last`.
fn bits_of(key: i64, last: i64, cut: Cut) -> u32 {
    let mut bits = LEAST_BITS;
    while bits < MOST_BITS && (cut == Cut::Coarse || key >> (bits + 4) != last >> (bits + 4)) {
        bits += 4;
    }
    bits
}

fn read(
    tx: &ReadTx<'_>,
    name: &str,
    sql: &str,
    range: (i64, i64),
    columns: &[SqlColumn],
    schema: &SchemaRef,
) -> Result<Option<(RecordBatch, i64)>> {
    let mut cells: Vec<Cells> = columns.iter().map(|(_, kind, _)| Cells::new(*kind)).collect();
    let mut statement = tx.prepare(sql)?;
    let mut rows = statement.query(range)?;
    let (mut last, mut bytes) = (None, 0);
    while let Some(row) = rows.next()? {
        let key: i64 = row.get(0)?;
        for (i, (cells, (column, ..))) in cells.iter_mut().zip(columns).enumerate() {
            let value = row.get_ref(i + 1)?;
            bytes += value.as_bytes_or_null().ok().flatten().map_or(8, <[u8]>::len);
            cells.push(value).map_err(|error| {
                error.unwrap_or_else(|| {
                    let what = format!("table {name}, row {key}, column {column}");
                    Error::invalid(what, cells.kind(), value.data_type().to_string())
                })
            })?;
        }
        last = Some(key);
        if bytes >= BATCH_BYTES {
            break;
        }
    }
    let Some(last) = last else { return Ok(None) };
    let arrays = cells.into_iter().map(Cells::finish).collect();
    let batch = RecordBatch::try_new(schema.clone(), arrays).map_err(|e| from_arrow(name, e))?;
    Ok(Some((batch, last)))
}

/// A column while it is read.
enum Cells {
    Int(Int64Builder),
    Real(Float64Builder),
    Text(StringBuilder),
    Blob(BinaryBuilder),
    Numbers(ListBuilder<Float64Builder>, fn(&[u8]) -> Result<Vec<f64>>),
}

impl Cells {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Int => Cells::Int(Int64Builder::new()),
            Kind::Real => Cells::Real(Float64Builder::new()),
            Kind::Text => Cells::Text(StringBuilder::new()),
            Kind::Blob => Cells::Blob(BinaryBuilder::new()),
            Kind::Numbers(read) => Cells::Numbers(ListBuilder::new(Float64Builder::new()), read),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Cells::Int(_) => "an integer",
            Cells::Real(_) => "a number",
            Cells::Text(_) => "a text",
            Cells::Blob(_) => "a blob",
            Cells::Numbers(..) => "an array of numbers",
        }
    }

    /// # Errors
    /// `None` for a value of another type.
    fn push(&mut self, value: ValueRef<'_>) -> Result<(), Option<Error>> {
        match (self, value) {
            (Cells::Int(cells), ValueRef::Integer(n)) => cells.append_value(n),
            (Cells::Int(cells), ValueRef::Null) => cells.append_null(),
            (Cells::Real(cells), ValueRef::Real(x)) => cells.append_value(x),
            (Cells::Real(cells), ValueRef::Integer(n)) if n.unsigned_abs() <= 1 << 53 => {
                cells.append_value(n as f64);
            }
            (Cells::Real(cells), ValueRef::Null) => cells.append_null(),
            (Cells::Text(cells), ValueRef::Text(text)) => {
                cells.append_value(std::str::from_utf8(text).map_err(|_| None)?);
            }
            (Cells::Text(cells), ValueRef::Null) => cells.append_null(),
            (Cells::Blob(cells), ValueRef::Blob(bytes)) => cells.append_value(bytes),
            (Cells::Blob(cells), ValueRef::Null) => cells.append_null(),
            (Cells::Numbers(cells, read), ValueRef::Blob(bytes)) => {
                let numbers = read(bytes).map_err(Some)?;
                cells.append_value(numbers.into_iter().map(Some));
            }
            (Cells::Numbers(cells, _), ValueRef::Null) => cells.append_null(),
            _ => return Err(None),
        }
        Ok(())
    }

    fn finish(self) -> ArrayRef {
        match self {
            Cells::Int(mut cells) => Arc::new(cells.finish()),
            Cells::Real(mut cells) => Arc::new(cells.finish()),
            Cells::Text(mut cells) => Arc::new(cells.finish()),
            Cells::Blob(mut cells) => Arc::new(cells.finish()),
            Cells::Numbers(mut cells, _) => Arc::new(cells.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: slices are the larger the farther they are from the last key, and cover each key once.
    #[test]
    fn the_last_keys_are_cut_finest() {
        let last = (3 << 20) + (2 << 16) + (5 << 12) + 7;
        let of = |key: i64| bits_of(key, last, Cut::Fine);
        assert_eq!(
            [0, 1 << 20, 3 << 20, (3 << 20) + (2 << 16), last].map(of),
            [20, 20, 16, 12, 12]
        );
        assert_eq!(bits_of(last, last, Cut::Coarse), 20);
        let mut key = 0;
        while key <= last {
            let bits = of(key);
            assert_eq!(key & ((1 << bits) - 1), 0, "a slice begins at a multiple of its size");
            key += 1 << bits;
        }
    }
}
