//! Rows into blocks, and back.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};

use super::record_table::{self, RecordTable, row_table};
use super::stored::{
    BlockRef, StoredRows, Wanted, block_types, blocks, damaged, each_of_row_table, read_block,
};
use crate::array::block::{self, Effort, version_1};
use crate::error::Result;
use crate::kernel::{WriteTx, table_exists};

/// The most rows of a block.
const BLOCK_ROWS: usize = 1 << 14;

/// Packs the rows of a simulation in one table; how many.
pub(super) fn compact(tx: &WriteTx<'_>, simulation: i64, table: &RecordTable) -> Result<u64> {
    if !table.schema.can_compact() {
        return Ok(0);
    }
    let mut compacted = 0;
    each_of_row_table(tx, simulation, table, &Wanted::all(table), BLOCK_ROWS, |mut rows| {
        compacted += rows.len() as u64;
        while rows.len() > 0 {
            let texts = rows.columns.iter().flatten();
            let n = texts.map(|array| block::fit(array, BLOCK_ROWS)).min().unwrap_or(BLOCK_ROWS);
            let n = n.min(rows.len());
            insert_block(tx, simulation, table, &rows.slice(0, n))?;
            rows = rows.slice(n, rows.len() - n);
        }
        Ok(())
    })?;
    if compacted > 0 {
        let sql = format!("DELETE FROM {} WHERE simulation = ?1", row_table(&table.schema.name));
        tx.execute(&sql, [simulation])?;
        tx.fit_names(&super::STORE)?;
    }
    Ok(compacted)
}

fn insert_block(
    tx: &WriteTx<'_>,
    simulation: i64,
    table: &RecordTable,
    rows: &StoredRows,
) -> Result<()> {
    let (first, last) = (rows.steps.values().iter().min(), rows.steps.values().iter().max());
    let steps: ArrayRef = Arc::new(rows.steps.clone());
    let numbers: ArrayRef = Arc::new(rows.rows.clone());
    let columns = [steps, numbers].into_iter().chain(rows.columns.iter().flatten().cloned());
    let data = block::encode(&columns.collect::<Vec<_>>(), Effort::Compact)?;
    let sql = "INSERT INTO record_block (simulation, record_table, first_step, last_step, rows, data, row_sum) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, silt_row_sum(?1, ?2, ?3, ?4, ?5))";
    tx.insert(sql, (simulation, table.id, first, last, rows.len() as i64, data))?;
    Ok(())
}

/// Makes rows of all blocks of the file; how many.
pub(super) fn expand_all(tx: &mut WriteTx<'_>) -> Result<u64> {
    if !table_exists(tx, "record_block")? {
        return Ok(0);
    }
    super::database::prepare(tx)?;
    let mut expanded = 0;
    for table in record_table::tables(tx)? {
        let sql = "SELECT DISTINCT simulation FROM record_block WHERE record_table = ?1";
        for simulation in tx.query(sql, [table.id], |row| Ok(row.get(0)?))? {
            expanded += expand(tx, simulation, &table, i64::MIN, i64::MAX)?;
        }
    }
    Ok(expanded)
}

/// Makes rows of the blocks that meet these steps; how many.
pub(super) fn expand(
    tx: &WriteTx<'_>,
    simulation: i64,
    table: &RecordTable,
    first: i64,
    last: i64,
) -> Result<u64> {
    let wanted = Wanted::all(table).columns;
    let mut expanded = 0;
    for block in blocks(tx, simulation, table, first, last)? {
        let rows = read_block(tx, table, block, &wanted)?;
        if rows.columns.iter().flatten().any(|column| column.len() != rows.len()) {
            return Err(damaged(format!(
                "the columns of block {} are of different lengths",
                block.id
            )));
        }
        rows.insert(tx, simulation, table)?;
        remove_block(tx, block)?;
        expanded += rows.len() as u64;
    }
    if expanded > 0 {
        tx.fit_names(&super::STORE)?;
    }
    Ok(expanded)
}

/// Version 5: blocks of today. One that is damaged stays as it is, for `verify` to find.
pub(super) fn renew_blocks(tx: &WriteTx<'_>) -> Result<()> {
    for table in record_table::tables(tx)? {
        let sql = "SELECT id, rows FROM record_block WHERE record_table = ?1";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        for (id, rows) in tx.query(sql, [table.id], read)? {
            let sql = "SELECT data FROM record_block WHERE id = ?1";
            let data: Vec<u8> = tx.query_one(sql, [id], |row| Ok(row.get(0)?))?.unwrap_or_default();
            if let Ok(renewed) = version_1::renewed(
                &data,
                &block_types(&table),
                rows.max(0) as usize,
                Effort::Compact,
            ) && *renewed != data
            {
                let sql = "UPDATE record_block SET data = ?2 WHERE id = ?1";
                tx.execute(sql, (id, &*renewed))?;
            }
        }
    }
    Ok(())
}

/// Removes a block; the documented names are made to fit by the caller.
pub(super) fn remove_block(tx: &WriteTx<'_>, block: BlockRef) -> Result<()> {
    tx.execute("DELETE FROM record_block WHERE id = ?1", [block.id])?;
    Ok(())
}
