//! Simulations from file to file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use rusqlite::types::Value as Sql;
use serde::Serialize;
use xxhash_rust::xxh3::Xxh3;

use super::context::Inner;
use super::database::{ExperimentDatabase, prepare, simulation};
use super::read::each_stored;
use super::record_table;
use super::runs::Which;
use super::stored::{StoredRows, Wanted};
use super::summary::Summary;
use super::write::{self, Form};
use super::{names, process};
use crate::error::{Error, Result};
use crate::kernel::{Database, NewFile, Progress, ReadTx, WriteTx};

/// What a merge did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct MergeReport {
    /// Simulations that were copied.
    pub copied: Vec<String>,
    /// Simulations that were there already, equal in every record.
    pub unchanged: Vec<String>,
    /// Simulations that were left out: what is there was not changed.
    pub conflicts: Vec<MergeConflict>,
    /// Records that were copied.
    pub rows: u64,
}

impl MergeReport {
    fn left_out(&mut self, source: &Path, simulation: &str, why: &dyn std::fmt::Display) {
        let (source, simulation_id) = (source.to_owned(), simulation.to_owned());
        self.conflicts.push(MergeConflict { source, simulation_id, why: why.to_string() });
    }
}

/// A simulation that could not be merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MergeConflict {
    /// The file that it is in.
    pub source: PathBuf,
    /// Its id; empty if the file could not be read at all.
    pub simulation_id: String,
    /// What is in the way.
    pub why: String,
}

/// Copies all simulations of some files into one, which is made if it is not there. A simulation is one transaction. One
/// that is there already is passed over if it is equal, and else reported and left alone; so to merge twice is to merge
/// once. A file or a simulation that cannot be read is reported too, and the others go on. `tell` gets the number of
/// simulations that are done, and of all.
///
/// # Errors
/// [`Error::NotFound`] for a file that is not there, before the target is made; the error of the first file if none can be
/// read; a target that cannot be written: what was copied stays. A target that was not there, and that nothing was copied into,
/// is not there afterwards.
///
/// # Example
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let [a, b, all] = ["a.db", "b.db", "all.db"].map(|name| folder.path().join(name));
/// # use siltstone::experiment::{ExperimentDatabase, merge};
/// # for (path, id) in [(&a, "sim_a"), (&b, "sim_b")] {
/// #     let db = ExperimentDatabase::open(path, "exp")?;
/// #     db.create_simulation_context(id, Default::default())?.complete()?;
/// # }
/// let report = merge(&[&a, &b], &all, &mut |_, _| Ok(()))?;
/// assert_eq!(report.copied, ["sim_a", "sim_b"]);
/// assert_eq!(merge(&[&a, &b], &all, &mut |_, _| Ok(()))?.unchanged.len(), 2);
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn merge(
    sources: &[impl AsRef<Path>],
    target: impl AsRef<Path>,
    progress: &mut Progress<'_>,
) -> Result<MergeReport> {
    let open = |path: &Path| -> Result<_> {
        let source = ExperimentDatabase::open_read_only(path)?;
        let names = source.simulation_ids()?;
        Ok((source, names))
    };
    let (mut report, mut done) = (MergeReport::default(), 0);
    let (mut readable, mut first) = (Vec::new(), None);
    for source in sources {
        let path: &Path = source.as_ref();
        match open(path) {
            Ok(source) => readable.push(source),
            Err(error @ Error::NotFound { .. }) => return Err(error),
            Err(error) if error.concerns(path) => {
                report.left_out(path, "", &error);
                first.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    if let (true, Some(error)) = (readable.is_empty(), first) {
        return Err(error);
    }
    let n = readable.iter().map(|(_, names)| names.len() as u64).sum();
    into(target.as_ref(), report, |target, report| {
        for (source, names) in &readable {
            for name in names {
                copy(source.database(), name, target, report)?;
                done += 1;
                progress(done, n)?;
            }
        }
        Ok(())
    })
}

/// Copies into a file. One that was not there, and into which nothing could be copied, is removed again.
fn into(
    path: &Path,
    mut report: MergeReport,
    work: impl FnOnce(&Database, &mut MergeReport) -> Result<()>,
) -> Result<MergeReport> {
    let made = NewFile::at(path);
    let target = Database::builder(path).open()?;
    let done = work(&target, &mut report);
    drop(target);
    if done.is_err() || !report.conflicts.is_empty() {
        made.remove_if_empty(&["simulations"]);
    }
    done.map(|()| report)
}

impl ExperimentDatabase {
    /// Copies some simulations into another file, as [`merge`] does.
    ///
    /// # Errors
    /// As [`merge`], and as [`simulations`](Self::simulations).
    pub fn split(&self, which: Which<'_>, target: impl AsRef<Path>) -> Result<MergeReport> {
        if !self.database().is_read_only() {
            self.flush_all_buffers()?;
        }
        let chosen = self.read(|tx| self.chosen(tx, which))?;
        into(target.as_ref(), MergeReport::default(), |target, report| {
            chosen.iter().try_for_each(|(_, name)| copy(self.database(), name, target, report))
        })
    }
}

/// Copies one simulation, and says what came of it.
pub(super) fn copy(
    from: &Database,
    name: &str,
    to: &Database,
    report: &mut MergeReport,
) -> Result<()> {
    let source = from.clone();
    let own = name.to_owned();
    let copied = to.write(move |tx| {
        prepare(tx)?;
        source.read(|from| copy_in(from, tx, &own))
    });
    match copied {
        Ok(Some(rows)) => {
            report.copied.push(name.to_owned());
            report.rows += rows;
        }
        Ok(None) => report.unchanged.push(name.to_owned()),
        Err(Error::Exists { what, hint, .. }) => {
            report.left_out(from.path(), name, &format!("{what} is there already; {hint}"));
        }
        Err(error) if error.concerns(from.path()) => report.left_out(from.path(), name, &error),
        Err(other) => return Err(other),
    }
    Ok(())
}

/// Writes the rows that wait in memory into another file, where that is all of the simulation and the file has none of
/// its id: how many; else `None`, and nothing is written. They wait as before.
pub(super) fn copy_waiting(context: &Inner, to: &Database) -> Result<Option<u64>> {
    let own = context.db().clone();
    let mut state = context.lock();
    let sql =
        "SELECT (SELECT count(*) FROM record_summary) + (SELECT count(*) FROM simulation_array)";
    let written = own.read(|tx| tx.query_one(sql, [], |row| Ok(row.get::<_, i64>(0)?)))?;
    if written != Some(0) {
        return Ok(None);
    }
    let shared = Arc::new(Mutex::new(std::mem::take(&mut *state)));
    let (writing, id, name) = (Arc::clone(&shared), context.id, context.simulation_id.clone());
    let copied = to.write(move |tx| {
        prepare(tx)?;
        if simulation(tx, &name).is_ok() {
            return Ok(None);
        }
        own.read(|from| copy_simulation(from, tx, id, None))?;
        let new = simulation(tx, &name)?;
        let state = writing.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = state.names.store(tx, new)?;
        for buffer in state.tables.iter().filter(|buffer| buffer.rows() > 0) {
            let table = record_table::define(tx, &buffer.table.schema)?;
            write::insert(tx, new, &table, (buffer, &stored), Form::Rows)?;
        }
        Ok(Some(state.rows as u64))
    });
    *state = std::mem::take(&mut *shared.lock().unwrap_or_else(PoisonError::into_inner));
    copied
}

/// The records that were copied; `None` if the simulation is there and equal.
fn copy_in(from: &ReadTx<'_>, tx: &mut WriteTx<'_>, name: &str) -> Result<Option<u64>> {
    let id = simulation(from, name)?;
    let is_dead = process::dead(from)?.iter().any(|(dead, ..)| *dead == id);
    let sql = "SELECT status FROM simulations WHERE id = ?1 AND process_id IS NOT NULL";
    let status: Option<String> = from.query_one(sql, [id], |row| Ok(row.get(0)?))?;
    if status.as_deref() == Some("running") && !is_dead {
        return Err(Error::Exists {
            what: format!("simulation {name:?}, which still runs,"),
            location: String::new(),
            hint: "merge it when it has ended",
        });
    }
    if let Ok(there) = simulation(tx, name) {
        if digest(tx, there)? == digest(from, id)? {
            return Ok(None);
        }
        return Err(Error::Exists {
            what: format!("another simulation {name:?}"),
            location: String::new(),
            hint: "it was left as it is; delete or rename one of the two",
        });
    }
    let crashed = is_dead.then(|| Sql::Text("crashed".into()));
    copy_simulation(from, tx, id, crashed)?;
    let new = simulation(tx, name)?;
    copy_row(
        from,
        tx,
        "simulation_name",
        "simulation = ?1",
        id,
        &[("simulation", Some(new.into()))],
    )?;
    copy_row(
        from,
        tx,
        "simulation_array",
        "simulation = ?1",
        id,
        &[("simulation", Some(new.into()))],
    )?;
    let mut rows = 0;
    for table in record_table::tables(from)? {
        let summary = Summary::load(from, id, &table)?;
        if summary.rows == 0 {
            continue;
        }
        let own = record_table::define(tx, &table.schema)?;
        let writer: &WriteTx<'_> = tx;
        each_stored(from, id, &table, &Wanted::all(&table), |part: StoredRows| {
            rows += part.len() as u64;
            part.insert(writer, new, &own)
        })?;
        summary.store(tx, new, &own)?;
    }
    Ok(Some(rows))
}

/// Copies what is known of a simulation, and its experiment.
fn copy_simulation(
    from: &ReadTx<'_>,
    tx: &WriteTx<'_>,
    id: i64,
    status: Option<Sql>,
) -> Result<()> {
    let of_it = "experiment_id IN (SELECT experiment_id FROM simulations WHERE id = ?1)";
    copy_row(from, tx, "experiments", of_it, id, &[])?;
    let own = [("id", Some(Sql::Null)), ("process_id", Some(Sql::Null)), ("status", status)];
    copy_row(from, tx, "simulations", "id = ?1", id, &own)
}

/// Copies rows of a table of both files, with some columns set to something else.
fn copy_row(
    from: &ReadTx<'_>,
    tx: &WriteTx<'_>,
    table: &str,
    which: &str,
    id: i64,
    set: &[(&str, Option<Sql>)],
) -> Result<()> {
    let columns: Vec<String> = tx.query(
        &format!("SELECT name FROM pragma_table_info('{table}') WHERE name <> 'row_sum'"),
        [],
        |row| Ok(row.get(0)?),
    )?;
    let placeholders = vec!["?"; columns.len()].join(", ");
    let insert =
        format!("INSERT OR IGNORE INTO {table} ({}) VALUES ({placeholders})", columns.join(", "));
    let select = format!("SELECT {} FROM {table} WHERE {which}", columns.join(", "));
    let mut statement = from.prepare(&select)?;
    let mut rows = statement.query([id])?;
    while let Some(row) = rows.next()? {
        let values = columns.iter().enumerate().map(|(i, column)| {
            let set =
                set.iter().find(|(name, _)| name == column).and_then(|(_, value)| value.clone());
            set.map_or_else(|| row.get::<_, Sql>(i), Ok)
        });
        let values = values.collect::<Result<Vec<_>, _>>()?;
        tx.execute(&insert, rusqlite::params_from_iter(values))?;
    }
    tx.seal(table, "row_sum IS NULL", []).map(drop)
}

/// What a simulation is: two with the same digest are equal in every record, compacted or not.
fn digest(tx: &ReadTx<'_>, id: i64) -> Result<u128> {
    let mut whole = Xxh3::new();
    let mut text = |text: &str| {
        whole.update(&(text.len() as u64).to_le_bytes());
        whole.update(text.as_bytes());
    };
    let sql = "SELECT simulation_id, coalesce(experiment_id, ''), parameters, coalesce(start_time, '') \
        FROM simulations WHERE id = ?1";
    tx.query_one(sql, [id], |row| {
        (0..4).try_for_each(|i| {
            text(&row.get::<_, String>(i)?);
            Ok(())
        })
    })?;
    let mut known: Vec<(i64, String)> = names::load(tx, id)?.into_iter().collect();
    known.sort();
    for (number, name) in &known {
        text(&format!("{number} {name}"));
    }
    let sql = "SELECT name, step, checksum FROM simulation_array WHERE simulation = ?1 ORDER BY name, step";
    tx.query(sql, [id], |row| {
        let (name, step, sum): (String, i64, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        text(&format!("{name} {step} {sum:?}"));
        Ok(())
    })?;
    let mut tables = record_table::tables(tx)?;
    tables.sort_by(|a, b| a.schema.name.cmp(&b.schema.name));
    for table in tables {
        let mut columns: Vec<Xxh3> = vec![Xxh3::new(); table.schema.stored().count() + 2];
        let mut rows = 0;
        each_stored(tx, id, &table, &Wanted::all(&table), |part: StoredRows| {
            rows += part.len();
            let [steps, numbers]: [ArrayRef; 2] = [Arc::new(part.steps), Arc::new(part.rows)];
            let arrays = [&steps, &numbers].into_iter().chain(part.columns.iter().flatten());
            columns.iter_mut().zip(arrays).for_each(|(digest, array)| add(digest, array));
            Ok(())
        })?;
        if rows > 0 {
            text(&table.schema.name);
            for column in columns {
                text(&column.digest128().to_string());
            }
        }
    }
    Ok(whole.digest128())
}

/// Adds the items of an array, those that are missing as such.
fn add(digest: &mut Xxh3, array: &ArrayRef) {
    let mut bytes = Vec::with_capacity(array.len() * 9);
    for i in 0..array.len() {
        bytes.push(u8::from(array.is_null(i)));
        if array.is_null(i) {
            continue;
        }
        match array.data_type() {
            DataType::Int64 => {
                bytes.extend(array.as_primitive::<Int64Type>().value(i).to_le_bytes())
            }
            DataType::Float64 => {
                bytes.extend(array.as_primitive::<Float64Type>().value(i).to_bits().to_le_bytes());
            }
            _ => {
                let text = array.as_string::<i32>().value(i);
                bytes.extend((text.len() as u64).to_le_bytes());
                bytes.extend(text.as_bytes());
            }
        }
    }
    digest.update(&bytes);
}
