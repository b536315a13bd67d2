//! A run into the file: compared with what is there, in the transaction of the caller.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use serde_json::{Map, Value};

use super::Kind;
use super::run::{Moments, Point, Run, Text};
use crate::error::{Error, Result};
use crate::experiment::buffer::TableBuffer;
use crate::experiment::cell::Cell;
use crate::experiment::clock::{now_text, text_of_us};
use crate::experiment::database::{prepare, simulation};
use crate::experiment::edit::StoredArray;
use crate::experiment::names::{self, Names};
use crate::experiment::read::each_stored;
use crate::experiment::schema::{RecordSchema, Storage};
use crate::experiment::stored::{StoredRows, Wanted};
use crate::experiment::{record_table, write};
use crate::kernel::{WriteTx, json};

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    Imported,
    Continued,
    Unchanged,
}

/// Brings a run into the file, and how many records that took. What the file has of it and the tracker has not stays.
///
/// # Errors
/// [`Error::Exists`] if a simulation of its id did not come from there: it stays as it is.
pub(super) fn put(
    tx: &mut WriteTx<'_>,
    kind: Kind,
    run: &mut Run,
    file: &str,
) -> Result<(Put, u64)> {
    prepare(tx)?;
    if let Some((name, facts)) = &run.experiment {
        experiment(tx, name, facts)?;
    }
    let (id, head) = head(tx, kind, run, file)?;
    let is_new = head == Put::Imported;
    let (last, others) = split(std::mem::take(&mut run.points));
    let run = &*run;
    let mut rows = metrics(tx, id, run, last, is_new)?;
    let others: Vec<_> = others.iter().map(|point| point_row(run, point)).collect();
    rows += append(tx, id, "metric_points", &POINT_COLUMNS, &others)?;
    let texts: Vec<_> = run.texts.iter().map(text_row).collect();
    rows += append(tx, id, "texts", &TEXT_COLUMNS, &texts)?;
    let moments: Vec<_> = run.moments.iter().map(moments_row).collect();
    rows += append(tx, id, "histograms", &HISTOGRAM_COLUMNS, &moments)?;
    rows += arrays(tx, id, run)?;
    Ok((if head == Put::Unchanged && rows > 0 { Put::Continued } else { head }, rows))
}

/// Points that `simulation_metrics` has no room for.
const POINT_COLUMNS: [(&str, &str); 4] =
    [("name", "category"), ("point_step", "int64"), ("value", "float64"), ("time_ms", "int64")];
const TEXT_COLUMNS: [(&str, &str); 3] =
    [("name", "category"), ("text", "text"), ("time_ms", "int64")];
const HISTOGRAM_COLUMNS: [(&str, &str); 7] = [
    ("name", "category"),
    ("min", "float64"),
    ("max", "float64"),
    ("num", "float64"),
    ("sum", "float64"),
    ("sum_squares", "float64"),
    ("time_ms", "int64"),
];

/// A row of a table: its step, and a cell a column.
type Row<'a> = (i64, Vec<Cell<'a>>);

fn point_row<'a>(run: &'a Run, point: &Point) -> Row<'a> {
    let name = Cell::Text(&run.names[point.name as usize]);
    let cells = vec![name, Cell::Int(point.step), Cell::Float(point.value), point.time_ms.into()];
    (point.step.max(0), cells)
}

fn text_row(text: &Text) -> Row<'_> {
    (text.step, vec![Cell::Text(&text.name), Cell::Text(&text.text), text.time_ms.into()])
}

fn moments_row(moments: &Moments) -> Row<'_> {
    let numbers = moments.values.map(Cell::Float);
    let cells = [&[Cell::Text(&moments.name)], &numbers[..], &[moments.time_ms.into()]].concat();
    (moments.step, cells)
}

/// Makes the experiment if it is not there.
fn experiment(tx: &WriteTx<'_>, name: &str, facts: &Map<String, Value>) -> Result<()> {
    let tags = (!facts.is_empty()).then(|| Value::Object(facts.clone()).to_string());
    let sql = "INSERT INTO experiments (experiment_id, name, description, creation_date, last_updated, status, tags) \
        VALUES (?1, ?1, '', ?2, ?2, 'imported', ?3) ON CONFLICT DO NOTHING";
    if tx.execute(sql, (name, now_text(), tags))? > 0 {
        tx.seal("experiments", "experiment_id = ?1", [name])?;
    }
    Ok(())
}

/// What `simulations` has of a run beside its ids.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Head {
    experiment: Option<String>,
    start: Option<String>,
    end: Option<String>,
    status: String,
    parameters: String,
    results: Option<String>,
    error: Option<String>,
    provenance: Option<String>,
}

/// Writes what is known of the run, if it is not there already; its number.
fn head(tx: &WriteTx<'_>, kind: Kind, run: &Run, file: &str) -> Result<(i64, Put)> {
    let known = match simulation(tx, &run.id) {
        Ok(id) => Some((id, stored_head(tx, id)?)),
        Err(Error::NotFound { .. }) => None,
        Err(other) => return Err(other),
    };
    let own = run.provenance(kind);
    let stored = |text: Option<&String>| json::stored_object(text.map(String::as_str));
    let before = known.as_ref().map(|(_, head)| head);
    let mut provenance = stored(before.and_then(|head| head.provenance.as_ref()));
    if known.is_some() {
        let differs = |key: &str| provenance.get(key) != own.get(key);
        if let Some(key) = ["tracker", "origin"].into_iter().find(|key| differs(key)) {
            let of = provenance.get(key).map_or("nothing".into(), Value::to_string);
            return Err(Error::Exists {
                what: format!("another simulation {:?} (its {key} is {of})", run.id),
                location: file.to_owned(),
                hint: "it was left as it is; import with a prefix for ids, or into another file",
            });
        }
    }
    provenance.extend(own);
    let mut parameters = stored(before.map(|head| &head.parameters));
    parameters.extend(run.parameters.clone());
    let mut results = stored(before.and_then(|head| head.results.as_ref()));
    results.extend(run.results.clone());
    let some = |object: Map<String, Value>| {
        (!object.is_empty()).then(|| Value::Object(object).to_string())
    };
    let head = Head {
        experiment: run.experiment.as_ref().map(|(name, _)| name.clone()),
        start: run.start_us.map(text_of_us),
        end: run.end_us.map(text_of_us),
        status: run.status.to_owned(),
        parameters: Value::Object(parameters).to_string(),
        results: some(results),
        error: run.error.clone(),
        provenance: some(provenance),
    };
    let (id, put) = match known {
        Some((id, before)) if before == head => return Ok((id, Put::Unchanged)),
        Some((id, _)) => (id, Put::Continued),
        None => {
            let sql = "INSERT INTO simulations (simulation_id, simulation_db_path) VALUES (?1, ?2)";
            (tx.insert(sql, (&run.id, file))?, Put::Imported)
        }
    };
    let sql = "UPDATE simulations SET experiment_id = ?2, start_time = ?3, end_time = ?4, status = ?5, \
        parameters = ?6, results_summary = ?7, error = ?8, provenance = ?9 WHERE id = ?1";
    let Head { experiment, start, end, status, parameters, results, error, provenance } = head;
    let values = (id, experiment, start, end, status, parameters, results, error, provenance);
    tx.execute(sql, values)?;
    tx.seal("simulations", "id = ?1", [id])?;
    Ok((id, put))
}

fn stored_head(tx: &WriteTx<'_>, id: i64) -> Result<Head> {
    let sql = "SELECT experiment_id, start_time, end_time, status, parameters, results_summary, error, provenance \
        FROM simulations WHERE id = ?1";
    let head = tx.query_one(sql, [id], |row| {
        Ok(Head {
            experiment: row.get(0)?,
            start: row.get(1)?,
            end: row.get(2)?,
            status: row.get(3)?,
            parameters: row.get(4)?,
            results: row.get(5)?,
            error: row.get(6)?,
            provenance: row.get(7)?,
        })
    })?;
    Ok(head.expect("it was found in this transaction"))
}

/// The points that `simulation_metrics` has room for, by name and step, the last of each; and the others, those of a step
/// below 0 among them.
fn split(mut points: Vec<Point>) -> (Vec<Point>, Vec<Point>) {
    points.sort_by_key(|point| (point.name, point.step)); // stable: the last of equals came last
    let (mut last, mut others): (Vec<Point>, _) = (Vec::with_capacity(points.len()), Vec::new());
    for point in points {
        match last.last_mut() {
            _ if point.step < 0 => others.push(point),
            Some(before) if (before.name, before.step) == (point.name, point.step) => {
                others.push(std::mem::replace(before, point));
            }
            _ => last.push(point),
        }
    }
    (last, others)
}

/// Writes the points that the file does not have, or has with another value or time.
fn metrics(
    tx: &mut WriteTx<'_>,
    id: i64,
    run: &Run,
    mut points: Vec<Point>,
    is_new: bool,
) -> Result<u64> {
    let table = record_table::find(tx, "simulation_metrics")?.expect("it was made just now");
    if !is_new {
        let numbers: HashMap<&str, u32> =
            run.names.iter().enumerate().map(|(i, name)| (name.as_str(), i as u32)).collect();
        let known: HashMap<i64, u32> = (names::load(tx, id)?.into_iter())
            .filter_map(|(number, name)| Some((number, *numbers.get(name.as_str())?)))
            .collect();
        let mut there: Vec<Point> = Vec::new();
        each_stored(tx, id, &table, &Wanted::all(&table), |part: StoredRows| {
            let value = part.columns[0].as_ref().expect("it was asked for");
            let time = part.columns[1].as_ref().expect("it was asked for");
            let (value, time) =
                (value.as_primitive::<Float64Type>(), time.as_primitive::<Int64Type>());
            for i in 0..part.len() {
                if let Some(name) = known.get(&part.rows.value(i)) {
                    let time_ms = time.is_valid(i).then(|| time.value(i));
                    let (name, step, value) = (*name, part.steps.value(i), value.value(i));
                    there.push(Point { name, step, time_ms, value });
                }
            }
            Ok(())
        })?;
        let key = |point: &Point| (point.name, point.step);
        there.sort_unstable_by_key(key);
        points.retain(|point| {
            let Ok(at) = there.binary_search_by_key(&key(point), key) else { return true };
            let is_equal = there[at].value.to_bits() == point.value.to_bits();
            !is_equal || there[at].time_ms != point.time_ms
        });
    }
    let (mut buffer, mut names) = (TableBuffer::new(table), Names::default());
    for point in &points {
        let name = Cell::Text(&run.names[point.name as usize]);
        let cells = [name, Cell::Float(point.value), point.time_ms.into()];
        buffer.push(point.step, &cells, &mut names)?;
    }
    write_rows(tx, id, &names, buffer)
}

fn write_rows(tx: &mut WriteTx<'_>, id: i64, names: &Names, buffer: TableBuffer) -> Result<u64> {
    let rows = buffer.rows() as u64;
    if rows > 0 {
        let stored = write::write(tx, id, names, &[buffer], &[])?;
        stored.expect("the simulation is of this transaction");
    }
    Ok(rows)
}

/// Adds the rows that a table does not have yet: of equal ones, as many as are missing.
fn append(
    tx: &mut WriteTx<'_>,
    id: i64,
    table: &str,
    columns: &[(&str, &str)],
    rows: &[Row<'_>],
) -> Result<u64> {
    if rows.is_empty() {
        return Ok(0);
    }
    let table = record_table::define(tx, &RecordSchema::new(table, columns)?)?;
    let known = names::load(tx, id)?;
    let is_name: Vec<bool> =
        table.schema.columns.iter().map(|column| column.kind.storage() == Storage::Name).collect();
    let mut there: HashMap<Vec<u8>, u64> = HashMap::new();
    each_stored(tx, id, &table, &Wanted::all(&table), |part: StoredRows| {
        for i in 0..part.len() {
            let cells =
                part.columns.iter().flatten().zip(&is_name).map(|(column, is_name)| {
                    match (stored_cell(column, i), is_name) {
                        (Cell::Int(number), true) => {
                            known.get(&number).map_or(Cell::Null, |name| Cell::Text(name))
                        }
                        (cell, _) => cell,
                    }
                });
            *there.entry(key(part.steps.value(i), cells)).or_default() += 1;
        }
        Ok(())
    })?;
    let (mut buffer, mut names) = (TableBuffer::new(table), Names::default());
    for (step, cells) in rows {
        match there.get_mut(&key(*step, cells.iter().copied())) {
            Some(left) if *left > 0 => *left -= 1,
            _ => buffer.push(*step, cells, &mut names)?,
        }
    }
    write_rows(tx, id, &names, buffer)
}

fn stored_cell(column: &ArrayRef, i: usize) -> Cell<'_> {
    if column.is_null(i) {
        return Cell::Null;
    }
    match column.data_type() {
        DataType::Int64 => Cell::Int(column.as_primitive::<Int64Type>().value(i)),
        DataType::Float64 => Cell::Float(column.as_primitive::<Float64Type>().value(i)),
        _ => Cell::Text(column.as_string::<i32>().value(i)),
    }
}

/// A row as bytes: equal rows, and only those, have equal ones.
fn key<'a>(step: i64, cells: impl Iterator<Item = Cell<'a>>) -> Vec<u8> {
    let mut key = step.to_le_bytes().to_vec();
    for cell in cells {
        match cell {
            Cell::Null => key.push(0),
            Cell::Int(n) => {
                key.push(1);
                key.extend(n.to_le_bytes());
            }
            Cell::Float(x) => {
                key.push(2);
                key.extend(x.to_bits().to_le_bytes());
            }
            Cell::Bool(b) => key.extend([3, b.into()]),
            Cell::Text(text) => {
                key.push(4);
                key.extend((text.len() as u64).to_le_bytes());
                key.extend(text.as_bytes());
            }
        }
    }
    key
}

/// Stores the arrays that the file does not have, or has with other items.
fn arrays(tx: &WriteTx<'_>, id: i64, run: &Run) -> Result<u64> {
    let last: HashMap<(&str, i64), usize> = run
        .arrays
        .iter()
        .enumerate()
        .map(|(i, (name, step, _))| ((name.as_str(), *step), i))
        .collect();
    let mut wanted: Vec<usize> = last.into_values().collect();
    wanted.sort_unstable();
    let mut stored = 0;
    for i in wanted {
        let (name, step, array) = &run.arrays[i];
        let sql = "SELECT checksum FROM simulation_array WHERE simulation = ?1 AND name = ?2 AND step = ?3";
        let there: Option<Vec<u8>> = tx.query_one(sql, (id, name, step), |row| Ok(row.get(0)?))?;
        let array = StoredArray::of(array);
        if there.is_none_or(|there| there != array.checksum) {
            array.insert(tx, id, name, *step)?;
            stored += 1;
        }
    }
    Ok(stored)
}
