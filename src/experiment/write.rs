//! Buffered rows into the file, in the transaction of the caller.

use super::buffer::TableBuffer;
use super::id::check_step;
use super::names::Names;
use super::record_table::{self, RecordTable, row_table};
use super::schema::Shape;
use super::stored::{StoredColumn, blocks, insert_rows};
use super::summary::Summary;
use super::{builtin, compact};
use crate::error::Result;
use crate::kernel::{ReadTx, WriteTx};

/// Writes the rows of a simulation, and replaces the states of the steps that were logged before. The numbers that
/// its names have in the file; `None` if it is not there any more.
pub(super) fn write(
    tx: &mut WriteTx<'_>,
    simulation: i64,
    names: &Names,
    tables: &[TableBuffer],
    logged_steps: &[i64],
) -> Result<Option<Vec<i64>>> {
    tx.ensure(&super::MIGRATIONS)?;
    let exists = "SELECT 1 FROM simulations WHERE id = ?1";
    if tx.query_one(exists, [simulation], |_| Ok(()))?.is_none() {
        return Ok(None);
    }
    let stored = names.store(tx, simulation)?;
    clear_logged(tx, simulation, logged_steps, tables)?;
    for buffer in tables.iter().filter(|buffer| buffer.rows() > 0) {
        insert(tx, simulation, &buffer.table, (buffer, &stored), Form::Rows)?;
    }
    Ok(Some(stored))
}

/// As what rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Rows of SQLite.
    Rows,
    /// Column blocks, of a simulation that has no rows of the table yet, and of a table that can have them; else rows.
    Blocks,
}

/// Removes the states of steps that are logged once more.
fn clear_logged(
    tx: &WriteTx<'_>,
    simulation: i64,
    steps: &[i64],
    tables: &[TableBuffer],
) -> Result<()> {
    if steps.is_empty() {
        return Ok(());
    }
    let own = &tables[builtin::SIMULATION_STEPS].table;
    let last = Summary::load(tx, simulation, own)?.last_step;
    for step in steps.iter().filter(|step| Some(**step) <= last) {
        compact::expand(tx, simulation, own, *step, *step)?;
        let sql = "SELECT 1 FROM simulation_steps_rows WHERE simulation = ?1 AND step = ?2";
        if tx.query_one(sql, (simulation, step), |_| Ok(()))?.is_none() {
            continue;
        }
        for number in [builtin::AGENT_STATES, builtin::RESOURCE_STATES] {
            remove_steps(tx, simulation, &tables[number].table, *step, *step)?;
        }
    }
    Ok(())
}

/// Removes what was logged of this and later steps.
pub(super) fn truncate(tx: &WriteTx<'_>, simulation: i64, from_step: i64) -> Result<()> {
    check_step(from_step)?;
    for table in record_table::tables(tx)? {
        if table.schema.step.is_some() {
            remove_steps(tx, simulation, &table, from_step, i64::MAX)?;
        }
    }
    // Agents that died later live again.
    let sql = "UPDATE agents_rows SET death_time = NULL WHERE simulation = ?1 AND death_time >= ?2";
    tx.execute(sql, (simulation, from_step))?;
    tx.seal("agents_rows", "simulation = ?1 AND row_sum IS NULL", [simulation])?;
    let sql = "DELETE FROM simulation_array WHERE simulation = ?1 AND step >= ?2";
    tx.execute(sql, (simulation, from_step))?;
    Ok(())
}

/// Removes a simulation with all of its records; how many.
pub(super) fn delete(tx: &WriteTx<'_>, id: i64) -> Result<u64> {
    let mut rows = 0;
    for table in record_table::tables(tx)? {
        for block in blocks(tx, id, &table, i64::MIN, i64::MAX)? {
            rows += block.rows as u64;
            compact::remove_block(tx, block)?;
        }
        let sql = format!("DELETE FROM {} WHERE simulation = ?1", row_table(&table.schema.name));
        rows += tx.execute(&sql, [id])? as u64;
    }
    for table in ["record_summary", "simulation_name", "simulation_array"] {
        tx.execute(&format!("DELETE FROM {table} WHERE simulation = ?1"), [id])?;
    }
    tx.execute("DELETE FROM simulations WHERE id = ?1", [id])?;
    tx.fit_names(&super::STORE)?;
    Ok(rows)
}

/// Removes the rows of these steps; how many.
pub(super) fn remove_steps(
    tx: &WriteTx<'_>,
    simulation: i64,
    table: &RecordTable,
    first: i64,
    last: i64,
) -> Result<i64> {
    compact::expand(tx, simulation, table, first, last)?;
    let sql = format!(
        "DELETE FROM {} WHERE simulation = ?1 AND step BETWEEN ?2 AND ?3",
        row_table(&table.schema.name)
    );
    let removed = tx.execute(&sql, (simulation, first, last))? as i64;
    if removed > 0 {
        let mut summary = Summary::load(tx, simulation, table)?;
        summary.rows -= removed;
        summary.sums = None;
        if summary.last_step.is_some_and(|known| (first..=last).contains(&known)) {
            summary.last_step = last_step(tx, simulation, table)?;
        }
        summary.store(tx, simulation, table)?;
    }
    Ok(removed)
}

/// The last step that a table has rows of.
fn last_step(tx: &ReadTx<'_>, simulation: i64, table: &RecordTable) -> Result<Option<i64>> {
    let row_table = row_table(&table.schema.name);
    let sql = format!(
        "SELECT max(step) FROM (SELECT max(step) AS step FROM {row_table} WHERE simulation = ?1 UNION ALL \
         SELECT max(last_step) FROM record_block WHERE simulation = ?1 AND record_table = ?2)"
    );
    Ok(tx.query_one(&sql, (simulation, table.id), |row| Ok(row.get(0)?))?.flatten())
}

/// Inserts the rows of one table, of this file or of another that has the table too.
pub(super) fn insert(
    tx: &WriteTx<'_>,
    simulation: i64,
    table: &RecordTable,
    (buffer, stored): (&TableBuffer, &[i64]),
    form: Form,
) -> Result<()> {
    let mut summary = Summary::load(tx, simulation, table)?;
    let order = buffer.ordered(stored, summary.next_row);
    let first = order.iter().map(|(step, ..)| *step).min().expect("there are rows");
    let last = order.iter().map(|(step, ..)| *step).max().expect("there are rows");
    let is_new = match table.schema.shape {
        Shape::Many => true,
        Shape::Unique => summary.rows == 0,
        _ => summary.last_step.is_none_or(|known| first > known),
    };
    if is_new {
        summary.add(buffer, &order);
    } else {
        compact::expand(tx, simulation, table, first, i64::MAX)?;
        summary.rows -= remove_same(tx, simulation, table, &order)?;
        summary.sums = None;
    }
    let columns: Vec<StoredColumn<'_>> = (table.schema.stored())
        .map(|(i, _)| StoredColumn::of_buffer(&buffer.columns[i], stored))
        .collect();
    match form {
        Form::Blocks if summary.rows == 0 && table.schema.can_compact() => {
            compact::insert_blocks(tx, simulation, table, &columns, &order)?;
        }
        _ => insert_rows(tx, simulation, table, &columns, &order)?,
    }
    summary.next_row += buffer.rows() as i64;
    summary.rows += order.len() as i64;
    summary.last_step = summary.last_step.max(Some(last));
    summary.store(tx, simulation, table)
}

/// Removes what these rows replace; how many.
fn remove_same(
    tx: &WriteTx<'_>,
    simulation: i64,
    table: &RecordTable,
    order: &[(i64, i64, usize)],
) -> Result<i64> {
    let row_table = row_table(&table.schema.name);
    let is_unique = table.schema.shape == Shape::Unique;
    let and_step = if is_unique { "" } else { " AND step = ?3" };
    let sql = format!("DELETE FROM {row_table} WHERE simulation = ?1 AND row = ?2{and_step}");
    let mut statement = tx.prepare(&sql)?;
    let mut removed = 0;
    for (step, row, _) in order {
        removed += match is_unique {
            true => statement.execute((simulation, row))?,
            false => statement.execute((simulation, row, step))?,
        };
    }
    Ok(removed as i64)
}
