//! Rows on their way into the file, by columns.

use std::sync::Arc;

use arrow_array::Array;

use super::cell::{Cell, Fitted, fit};
use super::names::Names;
use super::record_table::RecordTable;
use super::schema::{Column, Shape, Storage};
use crate::error::{Error, Result};

/// The items of a column.
#[derive(Debug, Clone)]
pub(super) enum Items {
    Int(Vec<i64>),
    Float(Vec<f64>),
    /// Numbers of names.
    Name(Vec<u32>),
    /// Where each ends, and all of them.
    Text(Vec<usize>, String),
}

/// A column of rows.
#[derive(Debug, Clone)]
pub(super) struct ColumnBuffer {
    pub(super) items: Items,
    /// Which are not there; none as long as all are.
    pub(super) missing: Option<Vec<bool>>,
}

impl ColumnBuffer {
    fn new(column: &Column) -> Self {
        let items = match column.kind.storage() {
            Storage::Int => Items::Int(Vec::new()),
            Storage::Float => Items::Float(Vec::new()),
            Storage::Name => Items::Name(Vec::new()),
            Storage::Text => Items::Text(Vec::new(), String::new()),
        };
        ColumnBuffer { items, missing: None }
    }

    fn len(&self) -> usize {
        match &self.items {
            Items::Int(items) => items.len(),
            Items::Float(items) => items.len(),
            Items::Name(items) => items.len(),
            Items::Text(ends, _) => ends.len(),
        }
    }

    fn push(&mut self, value: Fitted<'_>, names: &mut Names) {
        let is_missing = matches!(value, Fitted::Null);
        if is_missing && self.missing.is_none() {
            self.missing = Some(vec![false; self.len()]);
        }
        if let Some(missing) = &mut self.missing {
            missing.push(is_missing);
        }
        match &mut self.items {
            Items::Int(items) => items.push(match value {
                Fitted::Int(n) => n,
                _ => 0,
            }),
            Items::Float(items) => items.push(match value {
                Fitted::Float(x) => x,
                _ => 0.0,
            }),
            Items::Name(items) => items.push(match value {
                Fitted::Text(name) => names.number(name),
                Fitted::Number(n) => names.number(&n.to_string()),
                _ => 0,
            }),
            Items::Text(ends, text) => {
                if let Fitted::Text(value) = value {
                    text.push_str(value);
                }
                ends.push(text.len());
            }
        }
    }

    /// Appends so many that are missing.
    pub(super) fn push_missing(&mut self, n: usize) {
        let before = self.len();
        self.missing
            .get_or_insert_with(|| vec![false; before])
            .extend(std::iter::repeat_n(true, n));
        match &mut self.items {
            Items::Int(items) => items.resize(before + n, 0),
            Items::Float(items) => items.resize(before + n, 0.0),
            Items::Name(items) => items.resize(before + n, 0),
            Items::Text(ends, text) => ends.resize(before + n, text.len()),
        }
    }

    /// Says which items of an array are missing, before they are appended.
    pub(super) fn push_flags(&mut self, array: &dyn Array) {
        let before = self.len();
        if array.null_count() > 0 && self.missing.is_none() {
            self.missing = Some(vec![false; before]);
        }
        if let Some(missing) = &mut self.missing {
            missing.extend((0..array.len()).map(|i| array.is_null(i)));
        }
    }

    fn truncate(&mut self, n: usize) {
        match &mut self.items {
            Items::Int(items) => items.truncate(n),
            Items::Float(items) => items.truncate(n),
            Items::Name(items) => items.truncate(n),
            Items::Text(ends, text) => {
                ends.truncate(n);
                text.truncate(ends.last().copied().unwrap_or(0));
            }
        }
        if let Some(missing) = &mut self.missing {
            missing.truncate(n);
        }
    }

    pub(super) fn is_missing(&self, row: usize) -> bool {
        self.missing.as_ref().is_some_and(|missing| missing[row])
    }

    /// The bytes that it takes.
    fn bytes(&self) -> usize {
        let items = match &self.items {
            Items::Int(items) => items.len() * 8,
            Items::Float(items) => items.len() * 8,
            Items::Name(items) => items.len() * 4,
            Items::Text(ends, text) => ends.len() * 8 + text.len(),
        };
        items + self.missing.as_ref().map_or(0, Vec::len)
    }
}

/// Rows of one table.
#[derive(Debug)]
pub(super) struct TableBuffer {
    pub(super) table: Arc<RecordTable>,
    pub(super) steps: Vec<i64>,
    /// By the columns of the schema, the key among them.
    pub(super) columns: Vec<ColumnBuffer>,
}

impl TableBuffer {
    pub(super) fn new(table: Arc<RecordTable>) -> Self {
        let columns = table.schema.columns.iter().map(ColumnBuffer::new).collect();
        TableBuffer { table, steps: Vec::new(), columns }
    }

    pub(super) fn rows(&self) -> usize {
        self.steps.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.steps.len() * 8 + self.columns.iter().map(ColumnBuffer::bytes).sum::<usize>()
    }

    /// Appends a row of one cell a column; the columns that are not given are missing. Nothing is appended if one
    /// does not fit.
    pub(super) fn push(&mut self, step: i64, cells: &[Cell<'_>], names: &mut Names) -> Result<()> {
        let schema = &self.table.schema;
        debug_assert!(cells.len() <= schema.columns.len());
        let before = self.steps.len();
        for (i, column) in schema.columns.iter().enumerate() {
            let cell = cells.get(i).copied().unwrap_or(Cell::Null);
            let fitted = match fit(&schema.name, column, cell) {
                Ok(Fitted::Null) if schema.key == Some(i) => {
                    let what = format!("{} of {}", column.name, schema.name);
                    Err(Error::invalid(what, "a value: it is the key", "nothing"))
                }
                other => other,
            };
            match fitted {
                Ok(fitted) => self.columns[i].push(fitted, names),
                Err(error) => {
                    self.truncate(before);
                    return Err(error);
                }
            }
        }
        self.steps.push(step);
        Ok(())
    }

    /// Takes back what came after so many rows.
    pub(super) fn truncate(&mut self, rows: usize) {
        self.steps.truncate(rows);
        self.columns.iter_mut().for_each(|column| column.truncate(rows));
    }

    /// The keys, as numbers in memory; none if the table has none.
    pub(super) fn key(&self, row: usize) -> Option<i64> {
        let column = &self.columns[self.table.schema.key?];
        match &column.items {
            Items::Int(items) => Some(items[row]),
            Items::Name(items) => Some(items[row].into()),
            _ => None,
        }
    }

    /// The rows in the order in which they lie in the file, by `(step, row)`; of those that are one and the
    /// same the last. `stored` has the numbers of names in the file, `next` is the number of the next row of a table
    /// without a key.
    pub(super) fn ordered(&self, stored: &[i64], next: i64) -> Vec<(i64, i64, usize)> {
        let schema = &self.table.schema;
        let is_named =
            schema.key.is_some_and(|key| schema.columns[key].kind.storage() == Storage::Name);
        let row = |i: usize| match (schema.shape, self.key(i)) {
            (_, Some(key)) if is_named => stored[key as usize],
            (_, Some(key)) => key,
            (Shape::Single, None) => 0,
            (_, None) => next + i as i64,
        };
        let mut rows: Vec<(i64, i64, usize)> =
            self.steps.iter().enumerate().map(|(i, step)| (*step, row(i), i)).collect();
        let order_key = |shape: Shape, (step, row, _): &(i64, i64, usize)| match shape {
            Shape::Many | Shape::Keyed | Shape::Single => (*step, *row),
            Shape::Series => (*row, *step),
            Shape::Unique => (*row, 0),
        };
        if !rows.is_sorted_by(|a, b| order_key(schema.shape, a) < order_key(schema.shape, b)) {
            rows.sort_by_key(|row| order_key(schema.shape, row)); // stable: the last of equals came last
            rows.dedup_by(|later, earlier| {
                let same = order_key(schema.shape, later) == order_key(schema.shape, earlier);
                if same {
                    *earlier = *later;
                }
                same
            });
        }
        rows
    }
}
