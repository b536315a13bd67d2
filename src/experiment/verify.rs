//! The store's own checks of a file.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, Int64Array};

use super::record_table::{self, RecordTable, row_table};
use super::records::stored_array;
use super::schema::Storage;
use super::stored::{StoredRows, Wanted, block_types, blocks, read_block};
use super::summary::Summary;
use crate::error::{Error, Result};
use crate::kernel::{ReadTx, VerifyReport};

/// Unpacks every block and array, looks for rows that refer to nothing, and counts.
pub(crate) fn verify(tx: &ReadTx<'_>, report: &mut VerifyReport) -> Result<()> {
    let tables = record_table::tables(tx)?;
    if tables.is_empty() {
        return Ok(());
    }
    let simulations: Vec<(i64, String)> =
        tx.query("SELECT id, simulation_id FROM simulations ORDER BY id", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    for table in &tables {
        let row_table = row_table(&table.schema.name);
        let sql = format!(
            "SELECT count(*) FROM {row_table} WHERE simulation NOT IN (SELECT id FROM simulations)"
        );
        let strangers: i64 = tx.query_one(&sql, [], |row| Ok(row.get(0)?))?.unwrap_or(0);
        if strangers > 0 {
            report.find(
                row_table.clone(),
                format!("{strangers} rows are of a simulation that is not there"),
            );
        }
        names(tx, table, report)?;
        for (id, name) in &simulations {
            count(tx, table, *id, name, report)?;
        }
    }
    let sql =
        "SELECT step, dtype, shape, codec, checksum, data, name, simulation FROM simulation_array";
    let mut statement = tx.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        report.checksums += 1;
        match stored_array(row) {
            Ok(_) => {}
            Err(Error::Corrupt { why, .. } | Error::Invalid { got: why, .. }) => {
                let name: String = row.get(6)?;
                report.find(format!("array {name:?} of simulation {}", row.get::<_, i64>(7)?), why);
            }
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

/// Names that rows speak of and that are not there.
fn names(tx: &ReadTx<'_>, table: &RecordTable, report: &mut VerifyReport) -> Result<()> {
    for (i, column) in table.schema.columns.iter().enumerate() {
        if column.kind.storage() != Storage::Name {
            continue;
        }
        let source = if Some(i) == table.schema.key {
            "row".to_owned()
        } else {
            record_table::quoted(&column.name)
        };
        let sql = format!(
            "SELECT count(*) FROM {} h WHERE h.{source} IS NOT NULL AND NOT EXISTS \
             (SELECT 1 FROM simulation_name n WHERE n.simulation = h.simulation AND n.id = h.{source})",
            row_table(&table.schema.name)
        );
        let missing: i64 = tx.query_one(&sql, [], |row| Ok(row.get(0)?))?.unwrap_or(0);
        if missing > 0 {
            report.find(
                &table.schema.name,
                format!("{missing} rows have a {} that has no name", column.name),
            );
        }
    }
    Ok(())
}

/// Whether there are as many rows as the file says, in rows and blocks.
fn count(
    tx: &ReadTx<'_>,
    table: &RecordTable,
    id: i64,
    name: &str,
    report: &mut VerifyReport,
) -> Result<()> {
    let summary = Summary::load(tx, id, table)?;
    let sql =
        format!("SELECT count(*) FROM {} WHERE simulation = ?1", row_table(&table.schema.name));
    let mut rows: i64 = tx.query_one(&sql, [id], |row| Ok(row.get(0)?))?.unwrap_or(0);
    let wanted = Wanted::all(table).columns;
    let mut known = None;
    for block in blocks(tx, id, table, i64::MIN, i64::MAX)? {
        rows += block.rows as i64;
        let location =
            format!("block {} of {:?} of simulation {name:?}", block.id, table.schema.name);
        let sql = "SELECT first_step, last_step, data FROM record_block WHERE id = ?1";
        let says = tx.query_one(sql, [block.id], |row| {
            let data = row.get_ref(2)?.as_blob_or_null().ok().flatten().unwrap_or_default();
            let is_whole =
                report.check_block(&location, data, &block_types(table), block.rows as i64)?;
            Ok((is_whole, (row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        })?;
        let Some((true, says)) = says else { continue };
        match read_block(tx, table, block, &wanted) {
            Ok(found) => {
                let known = match &mut known {
                    Some(known) => known,
                    None => known.insert(super::names::load(tx, id)?),
                };
                let nameless = nameless(table, &found, known);
                if nameless > 0 {
                    report.find(&location, format!("{nameless} of its items have no name"));
                }
                let steps = found.steps.values();
                let is = steps.iter().min().copied().zip(steps.iter().max().copied());
                if Some(says) != is
                    || found.columns.iter().flatten().any(|column| column.len() != found.len())
                {
                    report.find(location, "its steps are not those that its row says");
                }
            }
            Err(Error::Corrupt { why, .. }) => report.find(location, why),
            Err(other) => return Err(other),
        }
    }
    if rows != summary.rows {
        let location = format!("{:?} of simulation {name:?}", table.schema.name);
        report.find(location, format!("{rows} rows are there, and {} should be", summary.rows));
    }
    Ok(())
}

/// How many numbers of names in a block are those of no name.
fn nameless(table: &RecordTable, rows: &StoredRows, known: &HashMap<i64, String>) -> usize {
    let is_name = |i: usize| table.schema.columns[i].kind.storage() == Storage::Name;
    let missing = |numbers: &Int64Array| {
        numbers.iter().flatten().filter(|number| !known.contains_key(number)).count()
    };
    let keys = table.schema.key.filter(|key| is_name(*key)).map_or(0, |_| missing(&rows.rows));
    let columns = table.schema.stored().zip(&rows.columns).filter(|((i, _), _)| is_name(*i));
    let columns = columns.filter_map(|(_, column)| column.as_ref());
    keys + columns.map(|column| missing(column.as_primitive::<Int64Type>())).sum::<usize>()
}
