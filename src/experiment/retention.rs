//! What a file holds and how much room it takes, and what may go.

use std::time::Duration;

use serde::Serialize;

use super::clock::{now_ms, text_of_ms};
use super::database::ExperimentDatabase;
use super::edit::FINAL;
use super::record_table;
use super::runs::Which;
use super::summary::Summary;
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
        let mut sizes = self.read(|tx| {
            let mut sizes = Vec::new();
            let simulations = self.chosen(tx, Which::All)?;
            for table in record_table::tables(tx)? {
                let (bytes, rows) = of_rows(tx, &table.schema.name)?;
                for (id, name) in &simulations {
                    let summary = Summary::load(tx, *id, &table)?;
                    if summary.rows == 0 {
                        continue;
                    }
                    let sql = "SELECT coalesce(sum(b.rows), 0), coalesce(sum(length(b.data)), 0) \
                        FROM record_block b WHERE b.simulation = ?1 AND b.record_table = ?2";
                    let compacted: (i64, i64) = tx
                        .query_one(sql, (id, table.id), |row| Ok((row.get(0)?, row.get(1)?)))?
                        .unwrap_or_default();
                    let in_rows = (summary.rows - compacted.0).max(0);
                    let share =
                        if rows > 0 { bytes as f64 * in_rows as f64 / rows as f64 } else { 0.0 };
                    sizes.push(TableSize {
                        simulation_id: name.clone(),
                        table: table.schema.name.clone(),
                        rows: summary.rows.max(0) as u64,
                        compacted_rows: compacted.0.max(0) as u64,
                        bytes: share as u64 + compacted.1.max(0) as u64,
                    });
                }
            }
            Ok(sizes)
        })?;
        sizes.sort_by_key(|size| std::cmp::Reverse(size.bytes));
        Ok(sizes)
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
                    .is_some_and(|end| *end < limit)
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
