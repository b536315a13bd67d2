//! A user's own SQL as Arrow.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, NullArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema};

use super::Batches;
use crate::error::{Error, Result};
use crate::kernel::{Database, Value};

/// Rows of one batch that is handed out.
const BATCH_ROWS: usize = 65_536;
/// The most bytes of text in one Arrow column.
const MAX_TEXT_BYTES: usize = i32::MAX as usize;
/// Every integer up to here is a float too.
const EXACT: u64 = 1 << 53;

impl Database {
    /// Runs one SQL statement on a snapshot and returns its rows as an Arrow table; see
    /// [`sql`](Self::sql). The result is in memory once.
    ///
    /// SQLite has a type a value, Arrow one a column: a column of integers is `Int64`, of reals
    /// `Float64`, of texts `Utf8`, of blobs `Binary`, of nulls alone `Null`. Integers among reals
    /// become reals if all of them are exact as such. Two columns of one name get `_2`, `_3` behind
    /// the later ones.
    ///
    /// # Errors
    /// As [`sql`](Self::sql); [`Error::Invalid`] for a column that mixes other types, naming column
    /// and row: a `CAST` in the statement decides then.
    ///
    /// # Example
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let db = siltstone::Database::builder(folder.path().join("run.db")).open()?;
    /// let table = db.arrow("SELECT 1 AS n, 'a' AS name UNION ALL SELECT NULL, 'b'")?;
    /// let batch = &table.collect_batches()?[0];
    /// assert_eq!((batch.num_rows(), batch.column(0).null_count()), (2, 1));
    /// # Ok::<(), siltstone::Error>(())
    /// ```
    pub fn arrow(&self, sql: &str) -> Result<Batches> {
        Ok(rows_to_arrow(|each| self.sql_each(sql, each))?.0)
    }
}

/// The rows that `query` hands to its argument, as an Arrow table; and what it returns.
pub(crate) fn rows_to_arrow<T>(
    query: impl FnOnce(&mut dyn FnMut(&[String], Option<Vec<Value>>) -> Result<()>) -> Result<T>,
) -> Result<(Batches, T)> {
    let mut columns: Vec<Column> = Vec::new();
    let mut rows = 0;
    let answer = query(&mut |names, row| {
        let Some(row) = row else {
            columns = names.iter().map(|name| Column::new(name)).collect();
            return Ok(());
        };
        rows += 1;
        columns.iter_mut().zip(row).try_for_each(|(column, value)| column.push(value, rows))
    })?;
    let names = unique(columns.iter().map(|column| column.name.clone()).collect());
    let arrays: Vec<ArrayRef> = columns.into_iter().map(Column::finish).collect();
    let fields: Vec<Field> = names
        .into_iter()
        .zip(&arrays)
        .map(|(name, array)| Field::new(name, array.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let whole = RecordBatch::try_new_with_options(schema.clone(), arrays, &options)
        .expect("each column got every row");
    let mut at = 0;
    let batches = Batches::new(schema, move || {
        let length = BATCH_ROWS.min(whole.num_rows() - at);
        at += length;
        Ok((length > 0).then(|| whole.slice(at - length, length)))
    });
    Ok((batches, answer))
}

fn unique(names: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(names.len());
    for (i, name) in names.iter().enumerate() {
        let mut free = name.clone();
        let mut n = 1;
        while out.contains(&free) || (n > 1 && names[i + 1..].contains(&free)) {
            n += 1;
            free = format!("{name}_{n}");
        }
        out.push(free);
    }
    out
}

/// A column while its type is found out.
struct Column {
    name: String,
    cells: Cells,
}

enum Cells {
    Null(usize),
    Int { cells: Int64Builder, exact: bool },
    Real(Float64Builder),
    Text(StringBuilder),
    Blob(BinaryBuilder),
}

impl Column {
    fn new(name: &str) -> Self {
        Column { name: name.to_owned(), cells: Cells::Null(0) }
    }

    fn push(&mut self, value: Value, row: usize) -> Result<()> {
        self.make_room(&value);
        self.check_size(&value, row)?;
        match (&mut self.cells, value) {
            (Cells::Null(n), Value::Null) => *n += 1,
            (Cells::Int { cells, .. }, Value::Null) => cells.append_null(),
            (Cells::Real(cells), Value::Null) => cells.append_null(),
            (Cells::Text(cells), Value::Null) => cells.append_null(),
            (Cells::Blob(cells), Value::Null) => cells.append_null(),
            (Cells::Int { cells, exact }, Value::Integer(n)) => {
                *exact &= n.unsigned_abs() <= EXACT;
                cells.append_value(n);
            }
            (Cells::Real(cells), Value::Real(x)) => cells.append_value(x),
            (Cells::Real(cells), Value::Integer(n)) if n.unsigned_abs() <= EXACT => {
                cells.append_value(n as f64);
            }
            (Cells::Text(cells), Value::Text(text)) => cells.append_value(text),
            (Cells::Blob(cells), Value::Blob(bytes)) => cells.append_value(bytes),
            (_, value) => return Err(self.mixed(&value, row)),
        }
        Ok(())
    }

    /// The first value decides, and the first real among integers widens them.
    fn make_room(&mut self, value: &Value) {
        self.cells = match (std::mem::replace(&mut self.cells, Cells::Null(0)), value) {
            (Cells::Null(n), Value::Integer(_)) => {
                let mut cells = Int64Builder::new();
                cells.append_nulls(n);
                Cells::Int { cells, exact: true }
            }
            (Cells::Null(n), Value::Real(_)) => {
                let mut cells = Float64Builder::new();
                cells.append_nulls(n);
                Cells::Real(cells)
            }
            (Cells::Null(n), Value::Text(_)) => {
                let mut cells = StringBuilder::new();
                cells.append_nulls(n);
                Cells::Text(cells)
            }
            (Cells::Null(n), Value::Blob(_)) => {
                let mut cells = BinaryBuilder::new();
                cells.append_nulls(n);
                Cells::Blob(cells)
            }
            (Cells::Int { mut cells, exact: true }, Value::Real(_)) => {
                let mut wide = Float64Builder::new();
                cells.finish().iter().for_each(|n| wide.append_option(n.map(|n| n as f64)));
                Cells::Real(wide)
            }
            (same, _) => same,
        };
    }

    fn mixed(&self, value: &Value, row: usize) -> Error {
        let is = match &self.cells {
            Cells::Int { exact: false, .. } => "integers beyond 2^53, which are not exact as reals",
            Cells::Int { .. } => "integers",
            Cells::Real(_) if matches!(value, Value::Integer(_)) => {
                "reals, and integers that are exact as reals"
            }
            Cells::Real(_) => "reals",
            Cells::Text(_) => "texts",
            Cells::Blob(_) => "blobs",
            Cells::Null(_) => "nulls",
        };
        let got = match value {
            Value::Null => "null".to_owned(),
            Value::Integer(n) => format!("the integer {n}"),
            Value::Real(x) => format!("the real {x:?}"),
            Value::Text(_) => "a text".to_owned(),
            Value::Blob(_) => "a blob".to_owned(),
        };
        let expected = format!("{is} in every row (a CAST makes them so)");
        Error::invalid(format!("column {}", self.name), expected, format!("{got} in row {row}"))
    }

    fn check_size(&self, value: &Value, row: usize) -> Result<()> {
        let size = match (&self.cells, value) {
            (Cells::Text(cells), Value::Text(text)) => cells.values_slice().len() + text.len(),
            (Cells::Blob(cells), Value::Blob(bytes)) => cells.values_slice().len() + bytes.len(),
            _ => 0,
        };
        if size <= MAX_TEXT_BYTES {
            return Ok(());
        }
        let expected = format!("at most {MAX_TEXT_BYTES} bytes in one result");
        Err(Error::invalid(format!("column {}", self.name), expected, format!("more in row {row}")))
    }

    fn finish(self) -> ArrayRef {
        match self.cells {
            Cells::Null(n) => Arc::new(NullArray::new(n)),
            Cells::Int { mut cells, .. } => Arc::new(cells.finish()),
            Cells::Real(mut cells) => Arc::new(cells.finish()),
            Cells::Text(mut cells) => Arc::new(cells.finish()),
            Cells::Blob(mut cells) => Arc::new(cells.finish()),
        }
    }
}
