//! What a file holds and how much room it takes, and what may go.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use super::clock::{now_ms, text_of_ms};
use super::database::ExperimentDatabase;
use super::edit::FINAL;
use super::record_table;
use super::runs::Which;
use crate::error::{Error, Result};
use crate::kernel::ReadTx;

/// The room that the records of a simulation take in a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableSize {
    /// The simulation.
    pub simulation_id: String,
    /// The table.
    pub table: String,
    /// Its records.
    pub rows: u64,
    /// Those of them that are in blocks.
    pub compacted_rows: u64,
    /// Bytes: those of blocks exactly; those of rows by their share of the table.
    pub bytes: u64,
}

/// Which simulations may go. Those that run stay.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retention {
    /// The latest so many stay.
    pub keep_last: Option<usize>,
    /// Those that ended less than this ago stay.
    pub keep_for: Option<Duration>,
    /// Only these may go: SQL's `WHERE` as in [`Which::Filter`].
    pub filter: Option<String>,
    /// Whether these may be all simulations of the file.
    pub all: bool,
}

impl ExperimentDatabase {
    /// The room that each simulation takes in each table, the most first.
    ///
    /// # Errors
    /// Those of the file.
    pub fn sizes(&self) -> Result<Vec<TableSize>> {
        let found = self.read(|tx| {
            let mut tables = HashMap::new();
            for table in record_table::tables(tx)? {
                let (bytes, rows) = of_rows(tx, &table.schema.name)?;
                tables.insert(table.id, (table.schema.name.clone(), bytes, rows));
            }
            let sql = "SELECT s.simulation_id, r.record_table, r.rows, coalesce(sum(b.rows), 0), \
                coalesce(sum(length(b.data)), 0) \
                FROM record_summary r CROSS JOIN simulations s ON s.id = r.simulation \
                LEFT JOIN record_block b ON b.simulation = r.simulation AND b.record_table = r.record_table \
                WHERE r.rows <> 0 AND (?1 IS NULL OR s.experiment_id = ?1) \
                GROUP BY r.simulation, r.record_table ORDER BY r.simulation, r.record_table";
            tx.query(sql, [self.experiment_id()], |row| {
                let id: i64 = row.get(1)?;
                let Some((table, bytes, in_table)) = tables.get(&id) else { return Ok(None) };
                let cell = |i| row.get::<_, i64>(i);
                let (rows, compacted, in_blocks) = (cell(2)?, cell(3)?, cell(4)?);
                let in_rows = (rows - compacted).max(0);
                let share = match *in_table > 0 {
                    true => *bytes as f64 * in_rows as f64 / *in_table as f64,
                    false => 0.0,
                };
                let size = TableSize {
                    simulation_id: row.get(0)?,
                    table: table.clone(),
                    rows: rows.max(0) as u64,
                    compacted_rows: compacted.max(0) as u64,
                    bytes: share as u64 + in_blocks.max(0) as u64,
                };
                Ok(Some((id, size)))
            })
        })?;
        let mut sizes: Vec<(i64, TableSize)> = found.into_iter().flatten().collect();
        sizes.sort_by_key(|(table, size)| (Reverse(size.bytes), *table));
        Ok(sizes.into_iter().map(|(_, size)| size).collect())
    }

    /// Removes the simulations that may go, or only says which those are; the ids. [`Database::vacuum`] gives the room
    /// back.
    ///
    /// # Errors
    /// [`Error::Invalid`] if nothing says what may go, or if every simulation of the file would go and
    /// [`Retention::all`] does not say so; nothing is removed then.
    ///
    /// [`Database::vacuum`]: crate::Database::vacuum
    pub fn retain(&self, retention: &Retention, dry_run: bool) -> Result<Vec<String>> {
        let Retention { keep_last, keep_for, filter, all } = retention;
        if keep_last.is_none() && keep_for.is_none() && filter.is_none() {
            let expected = "how many or how long to keep, or which may go";
            return Err(Error::invalid("the retention", expected, "nothing"));
        }
        let which = filter.as_deref().map_or(Which::All, Which::Filter);
        let limit = keep_for.map(|age| {
            let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            text_of_ms(now_ms().saturating_sub(age).max(0))
        });
        let mut ended = self.simulations(which)?;
        ended.retain(|simulation| FINAL.contains(&simulation.status.as_str()));
        let kept = keep_last.unwrap_or(0).min(ended.len());
        ended.truncate(ended.len() - kept);
        if let Some(limit) = limit {
            ended.retain(|simulation| {
                simulation
                    .end_time
                    .as_ref()
                    .or(simulation.start_time.as_ref())
                    .is_some_and(|end| *end <= limit)
            });
        }
        let names: Vec<String> =
            ended.into_iter().map(|simulation| simulation.simulation_id).collect();
        if !dry_run {
            let count = "SELECT count(*) FROM simulations";
            let there: i64 =
                self.read(|tx| tx.query_one(count, [], |row| Ok(row.get(0)?)))?.unwrap_or(0);
            if there > 0 && names.len() as i64 == there && !all {
                let expected = "all, if every simulation of the file may go";
                let got = format!("{there} of {there} simulations; nothing was removed");
                return Err(Error::invalid("the retention", expected, got));
            }
            for name in &names {
                self.delete_simulation(name)?;
            }
        }
        Ok(names)
    }
}

/// Bytes and rows of a table outside of blocks.
fn of_rows(tx: &ReadTx<'_>, name: &str) -> Result<(i64, i64)> {
    let sql = "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name = ?1 AND aggregate = TRUE";
    let bytes = tx.query_one(sql, [format!("{name}_rows")], |row| Ok(row.get(0)?))?.unwrap_or(0);
    let sql = format!("SELECT count(*) FROM {}", record_table::row_table(name));
    Ok((bytes, tx.query_one(&sql, [], |row| Ok(row.get(0)?))?.unwrap_or(0)))
}
