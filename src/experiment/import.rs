//! Databases that AgentFarm wrote.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::types::ValueRef;
use serde::Serialize;

use super::buffer::TableBuffer;
use super::builtin;
use super::cell::Cell;
use super::database::{prepare, simulation};
use super::id::check_id;
use super::names::Names;
use super::record_table;
use super::schema::Storage;
use super::{MIGRATIONS, write};
use crate::error::{Error, Result};
use crate::kernel::{
    Database, ReadTx, Skipped, Temporary, Upgrade, WriteTx, check_interrupted, json, table_exists,
};

/// How such a file is known. It is opened for reading alone: nothing is upgraded.
static AGENTFARM: Upgrade = Upgrade {
    migrations: &MIGRATIONS,
    tables: &["simulations", "simulation_steps", "agent_states", "agents"],
    sql: "",
};
pub(crate) static DATABASE: &[&Upgrade] = &[&AGENTFARM];

/// Rows that are written at a time.
const PIECE_ROWS: usize = 10_000;

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ImportReport {
    /// Simulations that were imported.
    pub simulations: Vec<String>,
    /// Simulations that were there already: they were left as they are.
    pub unchanged: Vec<String>,
    /// Records that were imported, by table.
    pub rows: Vec<(String, u64)>,
    /// Rows that were skipped, and why.
    pub skipped: Vec<Skipped>,
}

/// Imports the simulations of a database that AgentFarm wrote; each in one transaction. One that cannot be
/// read is named in the report, and the others go on. A file of one
/// simulation whose rows name none gives it the id of the only row of `simulations`, or that of the file.
///
/// # Errors
/// [`Error::NotOurs`] for a file that is none; [`Error::Invalid`] for one of Siltstone: [`merge`](super::merge) takes it.
pub fn import(source: impl AsRef<Path>, target: &Database) -> Result<ImportReport> {
    read(source.as_ref(), target, false)
}

/// Reads the simulations of a database that AgentFarm wrote as [`import`] does, and counts their rows; nothing is written.
///
/// # Errors
/// As [`import`], of the source; [`Error::Io`] without a folder for temporary files.
pub fn inspect(source: impl AsRef<Path>) -> Result<ImportReport> {
    let folder = Temporary::private_folder()?.emptied();
    let target = Database::builder(folder.path().join("dry.db")).open()?;
    let report = read(source.as_ref(), &target, true);
    target.close().and(report)
}

fn read(path: &Path, target: &Database, is_dry_run: bool) -> Result<ImportReport> {
    let source = Database::builder(path).upgrade(DATABASE).open_read_only()?;
    let names = source.read(|tx| {
        if table_exists(tx, "siltstone_schema")? {
            let expected = "a database of AgentFarm; a file of siltstone is merged";
            return Err(Error::invalid(path.display().to_string(), expected, "one of siltstone"));
        }
        let own: Vec<String> =
            tx.query("SELECT simulation_id FROM simulations ORDER BY rowid", [], |row| {
                Ok(row.get(0)?)
            })?;
        Ok(own)
    })?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let names = if names.is_empty() { vec![stem] } else { names };
    let mut report = ImportReport::default();
    let only = names.len() == 1;
    for name in names {
        if let Err(error) = check_id("simulation_id", &name) {
            report.skipped.push(simulation_skipped(path, &name, &error));
            continue;
        }
        let (from, own, file) = (source.clone(), name.clone(), path.to_owned());
        let found = target.write(move |tx| {
            prepare(tx)?;
            if simulation(tx, &own).is_ok() {
                return Ok(None);
            }
            from.read(|from| one(from, tx, &own, (only, is_dry_run), &file)).map(Some)
        });
        let found = match found {
            // Nothing of it was kept; the others go on.
            Err(error) if error.concerns(path) => {
                report.skipped.push(simulation_skipped(path, &name, &error));
                continue;
            }
            found => found?,
        };
        match found {
            None => report.unchanged.push(name),
            Some((rows, skipped)) => {
                report.simulations.push(name);
                report.skipped.extend(skipped);
                for (table, n) in rows {
                    match report.rows.iter_mut().find(|(known, _)| *known == table) {
                        Some((_, all)) => *all += n,
                        None => report.rows.push((table, n)),
                    }
                }
            }
        }
    }
    Ok(report)
}

/// A simulation of which nothing was taken.
fn simulation_skipped(source: &Path, name: &str, error: &Error) -> Skipped {
    Skipped::new(source, format!("simulation {name:?}: {error}")).table("simulations").rows(1)
}

type Counts = (Vec<(String, u64)>, Vec<Skipped>);

fn one(
    from: &ReadTx<'_>,
    tx: &mut WriteTx<'_>,
    name: &str,
    (only, is_dry_run): (bool, bool),
    file: &Path,
) -> Result<Counts> {
    let id = make(from, tx, name)?;
    let id = (!is_dry_run).then_some(id);
    let (mut counts, mut skipped, mut all_names) = (Vec::new(), Vec::new(), Names::default());
    for schema in builtin::all() {
        if !table_exists(from, &schema.name)? {
            continue;
        }
        let table = record_table::find(tx, &schema.name)?.expect("it was made just now");
        let there: Vec<String> = from.query(
            &format!("SELECT name FROM pragma_table_info('{}')", schema.name),
            [],
            |row| Ok(row.get(0)?),
        )?;
        let known = |name: &str| there.iter().any(|there| there == name);
        let expression =
            |name: &str| if known(name) { format!("\"{name}\"") } else { "NULL".to_owned() };
        let step = schema.step.as_deref().map_or("0".into(), expression);
        let columns: Vec<String> =
            schema.columns.iter().map(|column| expression(&column.name)).collect();
        let or_none = if only { " OR simulation_id IS NULL" } else { "" };
        let order = if schema.step.is_some() { format!("{step}, rowid") } else { "rowid".into() };
        let sql = format!(
            "SELECT {step}, {} FROM main.\"{}\" WHERE simulation_id = ?1{or_none} ORDER BY {order}",
            columns.join(", "),
            schema.name
        );
        let mut statement = from.prepare(&sql)?;
        let mut rows = statement.query([name])?;
        let mut buffer = TableBuffer::new(table);
        let (mut taken, mut left, mut why) = (0, 0, String::new());
        while let Some(row) = rows.next()? {
            let step = match row.get_ref(0)? {
                ValueRef::Integer(step) if step >= 0 => step,
                other => {
                    left += 1;
                    why = format!("a step that is {other:?}");
                    continue;
                }
            };
            let held: Vec<Loose<'_>> = (0..schema.columns.len())
                .map(|i| Ok(Loose::of(row.get_ref(i + 1)?, schema.columns[i].kind.storage())))
                .collect::<Result<_>>()?;
            let cells: Vec<Cell<'_>> = held.iter().map(Loose::cell).collect();
            match buffer.push(step, &cells, &mut all_names) {
                Ok(()) => taken += 1,
                Err(error) => {
                    left += 1;
                    why = error.to_string();
                }
            }
            if buffer.rows() == PIECE_ROWS {
                put(tx, id, &mut all_names, &mut buffer)?;
                check_interrupted("importing")?;
            }
        }
        put(tx, id, &mut all_names, &mut buffer)?;
        if taken > 0 {
            counts.push((schema.name.clone(), taken));
        }
        if left > 0 {
            skipped.push(Skipped::new(file, why).table(&schema.name).rows(left));
        }
    }
    Ok((counts, skipped))
}

/// Writes rows to a simulation, or in a dry run gives them away.
fn put(
    tx: &mut WriteTx<'_>,
    simulation: Option<i64>,
    names: &mut Names,
    buffer: &mut TableBuffer,
) -> Result<()> {
    if let Some(id) = simulation {
        let stored = write::write(tx, id, names, std::slice::from_ref(buffer), &[])?;
        names.stored(stored.expect("the simulation is of this transaction"));
    }
    buffer.truncate(0);
    Ok(())
}

/// Makes the simulation and its experiment as the file has them.
fn make(from: &ReadTx<'_>, tx: &WriteTx<'_>, name: &str) -> Result<i64> {
    let fields = [
        "experiment_id",
        "start_time",
        "end_time",
        "status",
        "parameters",
        "results_summary",
        "simulation_db_path",
    ];
    let sql =
        format!("SELECT {} FROM main.simulations WHERE simulation_id = ?1", fields.join(", "));
    let found = from.query_one(&sql, [name], |row| {
        let texts = (0..fields.len()).map(|i| Ok::<_, Error>(row.get::<_, Option<String>>(i)?));
        fields
            .into_iter()
            .zip(texts)
            .map(|(name, text)| Ok((name, text?)))
            .collect::<Result<HashMap<_, _>>>()
    })?;
    let mut found = found.unwrap_or_default();
    let mut take = |name: &str| found.remove(name).flatten();
    let experiment = take("experiment_id");
    if let Some(experiment) = &experiment
        && table_exists(from, "experiments")?
    {
        let columns = "experiment_id, name, description, hypothesis, creation_date, last_updated, status, tags, \
            variables, results_summary, notes";
        let sql = format!("SELECT {columns} FROM main.experiments WHERE experiment_id = ?1");
        let row = from.query_one(&sql, [experiment], |row| {
            (0..11).map(|i| Ok(row.get::<_, Option<String>>(i)?)).collect::<Result<Vec<_>>>()
        })?;
        if let Some(mut row) = row {
            row[1].get_or_insert_with(|| format!("Experiment {experiment}"));
            row[6].get_or_insert_with(|| "planned".into());
            let sql = format!(
                "INSERT OR IGNORE INTO experiments ({columns}) VALUES (?,?,?,?,?,?,?,?,?,?,?)"
            );
            tx.execute(&sql, rusqlite::params_from_iter(row))?;
            tx.seal("experiments", "experiment_id = ?1", [experiment])?;
        }
    }
    let mut json = |column| {
        let text = take(column)?;
        json::read(&text).ok().map(|(_, text)| text.into_owned())
    };
    let [parameters, results] = [json("parameters"), json("results_summary")];
    let sql = "INSERT INTO simulations (simulation_id, experiment_id, start_time, end_time, status, parameters, \
        results_summary, simulation_db_path) \
        VALUES (?1, (SELECT experiment_id FROM experiments WHERE experiment_id = ?2), ?3, ?4, ?5, ?6, ?7, ?8)";
    let id = tx.insert(
        sql,
        (
            name,
            &experiment,
            take("start_time"),
            take("end_time"),
            take("status").unwrap_or_else(|| "pending".into()),
            parameters.unwrap_or_else(|| "{}".into()),
            results,
            take("simulation_db_path").unwrap_or_default(),
        ),
    )?;
    tx.seal("simulations", "id = ?1", [id])?;
    Ok(id)
}

/// A value of a file that checks no types.
enum Loose<'a> {
    Cell(Cell<'a>),
    Text(String),
}

impl<'a> Loose<'a> {
    fn of(value: ValueRef<'a>, storage: Storage) -> Self {
        let cell = match value {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(n) if matches!(storage, Storage::Text) => {
                return Loose::Text(n.to_string());
            }
            ValueRef::Integer(n) => Cell::Int(n),
            ValueRef::Real(x) if matches!(storage, Storage::Text | Storage::Name) => {
                return Loose::Text(format!("{x:?}"));
            }
            ValueRef::Real(x) => Cell::Float(x),
            // A numpy integer that was stored as its bytes.
            ValueRef::Blob(bytes) if bytes.len() == 8 && storage != Storage::Text => {
                let n = i64::from_le_bytes(bytes.try_into().expect("eight bytes"));
                Cell::Int(n)
            }
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => match std::str::from_utf8(bytes) {
                // A name that is empty is none.
                Ok("") if storage == Storage::Name => Cell::Null,
                Ok(text) => Cell::Text(text),
                Err(_) => return Loose::Text(String::from_utf8_lossy(bytes).into_owned()),
            },
        };
        Loose::Cell(cell)
    }

    fn cell(&self) -> Cell<'_> {
        match self {
            Loose::Cell(cell) => *cell,
            Loose::Text(text) => Cell::Text(text),
        }
    }
}
