//! What is known of the records of one simulation in one table without reading them.

use std::collections::HashMap;

use rusqlite::Row;

use super::buffer::{ColumnBuffer, Items, TableBuffer};
use super::record_table::RecordTable;
use crate::error::Result;
use crate::kernel::{ReadTx, WriteTx};

/// How many numbers a column has, their sum, the least and the greatest; NaN is left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sum {
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) least: f64,
    pub(super) greatest: f64,
}

impl Sum {
    pub(super) const NOTHING: Sum =
        Sum { count: 0.0, sum: 0.0, least: f64::INFINITY, greatest: f64::NEG_INFINITY };

    pub(super) fn add(&mut self, x: f64) {
        if !x.is_nan() {
            self.count += 1.0;
            self.sum += x;
            self.least = self.least.min(x);
            self.greatest = self.greatest.max(x);
        }
    }

    pub(super) fn merge(&mut self, other: &Sum) {
        self.count += other.count;
        self.sum += other.sum;
        self.least = self.least.min(other.least);
        self.greatest = self.greatest.max(other.greatest);
    }

    pub(super) fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }
}

/// A row of `record_summary`.
#[derive(Debug, Clone, Default)]
pub(super) struct Summary {
    /// The number of the next row of a table without a key.
    pub(super) next_row: i64,
    pub(super) rows: i64,
    pub(super) last_step: Option<i64>,
    /// By the stored columns; `None` if rows were replaced or removed since they were added up.
    pub(super) sums: Option<Vec<Sum>>,
}

/// Bytes of one sum in the file.
const WIDTH: usize = 32;

impl Summary {
    pub(super) fn load(tx: &ReadTx<'_>, simulation: i64, table: &RecordTable) -> Result<Self> {
        let sql = "SELECT simulation, next_row, rows, last_step, sums FROM record_summary \
            WHERE simulation = ?1 AND record_table = ?2";
        let found = tx.query_one(sql, (simulation, table.id), |row| Self::of(row, table))?;
        Ok(found.map_or_else(|| Self::nothing(table), |(_, found)| found))
    }

    /// Those of all simulations that have rows, by their ids.
    pub(super) fn load_all(tx: &ReadTx<'_>, table: &RecordTable) -> Result<HashMap<i64, Self>> {
        let sql = "SELECT simulation, next_row, rows, last_step, sums FROM record_summary \
            WHERE record_table = ?1";
        Ok(tx.query(sql, [table.id], |row| Self::of(row, table))?.into_iter().collect())
    }

    /// That of a simulation without rows.
    pub(super) fn nothing(table: &RecordTable) -> Self {
        let sums = Some(vec![Sum::NOTHING; table.schema.stored().count()]);
        Summary { next_row: 1, sums, ..Summary::default() }
    }

    fn of(row: &Row<'_>, table: &RecordTable) -> Result<(i64, Self)> {
        let sums = row.get_ref(4)?.as_blob_or_null().ok().flatten();
        let summary = Summary {
            next_row: row.get(1)?,
            rows: row.get(2)?,
            last_step: row.get(3)?,
            sums: sums.and_then(|bytes| read(bytes, table.schema.stored().count())),
        };
        Ok((row.get(0)?, summary))
    }

    pub(super) fn store(
        &self,
        tx: &WriteTx<'_>,
        simulation: i64,
        table: &RecordTable,
    ) -> Result<()> {
        let sums = self.sums.as_ref().map(|sums| {
            let numbers = |s: &Sum| [s.count, s.sum, s.least, s.greatest];
            sums.iter().flat_map(numbers).flat_map(f64::to_le_bytes).collect::<Vec<u8>>()
        });
        let sql = "INSERT OR REPLACE INTO record_summary \
            (simulation, record_table, next_row, rows, last_step, sums, row_sum) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, silt_row_sum(?1, ?2, ?3, ?4, ?5, ?6))";
        tx.execute(sql, (simulation, table.id, self.next_row, self.rows, self.last_step, sums))?;
        Ok(())
    }

    /// Adds rows that are none of those counted so far; `order` says which of the buffer.
    pub(super) fn add(&mut self, buffer: &TableBuffer, order: &[(i64, i64, usize)]) {
        let Some(sums) = &mut self.sums else { return };
        for (sum, (i, _)) in sums.iter_mut().zip(buffer.table.schema.stored()) {
            let mut own = Sum::NOTHING;
            add_column(&mut own, &buffer.columns[i], order);
            sum.merge(&own);
        }
    }
}

fn add_column(sum: &mut Sum, column: &ColumnBuffer, order: &[(i64, i64, usize)]) {
    let mut each = |number: &dyn Fn(usize) -> f64| {
        for (_, _, row) in order {
            if !column.is_missing(*row) {
                sum.add(number(*row));
            }
        }
    };
    match &column.items {
        Items::Int(items) => each(&|row| items[row] as f64),
        Items::Float(items) => each(&|row| items[row]),
        Items::Name(_) | Items::Text(..) => {}
    }
}

fn read(bytes: &[u8], columns: usize) -> Option<Vec<Sum>> {
    if bytes.len() != columns * WIDTH {
        return None; // of another build, or damaged: it is added up anew
    }
    let number = |part: &[u8]| f64::from_le_bytes(part.try_into().expect("eight bytes"));
    let sum = |part: &[u8]| Sum {
        count: number(&part[..8]),
        sum: number(&part[8..16]),
        least: number(&part[16..24]),
        greatest: number(&part[24..]),
    };
    Some(bytes.chunks_exact(WIDTH).map(sum).collect())
}
