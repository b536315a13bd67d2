//! A run into the file: compared with what is there, in the transaction of the caller.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use serde_json::{Map, Value};

use super::run::{Moments, Point, Run, Text};
use super::{Kind, Options};
use crate::array::Checksum;
use crate::error::{Error, Result};
use crate::experiment::buffer::{ColumnBuffer, Items, TableBuffer};
use crate::experiment::cell::Cell;
use crate::experiment::clock::{now_text, text_of_us};
use crate::experiment::database::{prepare, simulation};
use crate::experiment::edit::StoredArray;
use crate::experiment::names::{self, Names};
use crate::experiment::read::each_stored;
use crate::experiment::record_table;
use crate::experiment::schema::{RecordSchema, Storage};
use crate::experiment::stored::{StoredRows, Wanted};
use crate::experiment::write::{self, Form};
use crate::kernel::{WriteTx, check_interrupted, json};

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    Imported,
    Continued,
    Unchanged,
}

/// Conflicts of a run that are named.
const NAMED: usize = 3;

/// What the source has otherwise than the file, in which it stays as it is.
#[derive(Debug, Default)]
pub(super) struct Conflicts {
    pub(super) n: u64,
    pub(super) named: Vec<String>,
}

impl Conflicts {
    fn push(&mut self, what: impl FnOnce() -> String) {
        self.n += 1;
        if self.named.len() < NAMED {
            self.named.push(what());
        }
    }
}

/// What an import of a run did.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) put: Put,
    /// Records that were written.
    pub(super) rows: u64,
    /// What changed beside them of a run that was there.
    pub(super) changed: Vec<&'static str>,
    pub(super) conflicts: Conflicts,
}

/// Brings a run, whose points are [sorted](Run::sort), into the file. What the file has of it and the tracker has not stays.
///
/// # Errors
/// [`Error::Exists`] if a simulation of its id did not come from there: it stays as it is.
pub(super) fn put(tx: &mut WriteTx<'_>, options: &Options, run: &Run, file: &str) -> Result<Done> {
    prepare(tx)?;
    let kind = options.kind;
    let form = match options.compact && run.is_over() {
        true => Form::Blocks,
        false => Form::Rows,
    };
    let mut conflicts = Conflicts::default();
    let (id, put, changed) = head(tx, kind, run, (file, &mut conflicts))?;
    let points: Cow<'_, [Point]> = match put {
        Put::Imported => (&run.points).into(),
        _ => new_points(&stored_points(tx, id, run)?, (kind, run), &mut conflicts).into(),
    };
    let (last, others) = split(points);
    let mut rows = metrics(tx, (id, form), run, &last)?;
    let others: Vec<_> = others.iter().map(|point| point_row(run, point)).collect();
    // They were compared with those of both tables.
    rows += append(tx, (id, form), POINTS, &POINT_COLUMNS, &others, None)?;
    let texts: Vec<_> = run.texts.iter().map(text_row).collect();
    rows += append(tx, (id, form), "texts", &TEXT_COLUMNS, &texts, Some(&mut conflicts))?;
    let moments: Vec<_> = run.moments.iter().map(moments_row).collect();
    rows +=
        append(tx, (id, form), "histograms", &HISTOGRAM_COLUMNS, &moments, Some(&mut conflicts))?;
    rows += arrays(tx, id, run, &mut conflicts)?;
    let put = if put == Put::Unchanged && rows > 0 { Put::Continued } else { put };
    Ok(Done { put, rows, changed, conflicts })
}

/// Points that `simulation_metrics` has no room for.
const POINTS: &str = "metric_points";
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

impl Head {
    /// What differs from another.
    fn changes(&self, before: &Head) -> Vec<&'static str> {
        let all = [
            ("experiment", self.experiment != before.experiment),
            ("start", self.start != before.start),
            ("end", self.end != before.end),
            ("status", self.status != before.status),
            ("parameters", self.parameters != before.parameters),
            ("results", self.results != before.results),
            ("error", self.error != before.error),
            ("provenance", self.provenance != before.provenance),
        ];
        all.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
    }
}

/// Writes what is known of the run, if it is not there already; its number, and what changed of one that was there.
fn head(
    tx: &WriteTx<'_>,
    kind: Kind,
    run: &Run,
    (file, conflicts): (&str, &mut Conflicts),
) -> Result<(i64, Put, Vec<&'static str>)> {
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
    // In the others they may change while a run goes on.
    let are_fixed = matches!(kind, Kind::Mlflow | Kind::Netlogo | Kind::Sacred);
    for (name, value) in &run.parameters {
        match parameters.get(name) {
            Some(own) if own != value && are_fixed => conflicts
                .push(|| format!("the parameter {name}: {own} stored, {value} in the source")),
            _ => {
                parameters.insert(name.clone(), value.clone());
            }
        }
    }
    let own = run.experiment.as_ref().map(|(name, _)| name.clone());
    let experiment_id = match before.and_then(|head| head.experiment.clone()) {
        // That of TensorBoard is the name of a folder, which a copy has another of.
        Some(stored) if own.is_none() || kind == Kind::Tensorboard => Some(stored),
        _ => own,
    };
    let mut results = stored(before.and_then(|head| head.results.as_ref()));
    results.extend(run.results.clone());
    let some = |object: Map<String, Value>| {
        (!object.is_empty()).then(|| Value::Object(object).to_string())
    };
    let head = Head {
        experiment: experiment_id,
        start: run.start_us.map(text_of_us),
        end: run.end_us.map(text_of_us),
        status: run.status.to_owned(),
        parameters: Value::Object(parameters).to_string(),
        results: some(results),
        error: run.error.clone(),
        provenance: some(provenance),
    };
    let changed = before.map_or(Vec::new(), |before| head.changes(before));
    if let Some((name, facts)) = &run.experiment
        && head.experiment.as_ref() == Some(name)
    {
        experiment(tx, name, facts)?;
    }
    let (id, put) = match known {
        Some((id, _)) if changed.is_empty() => return Ok((id, Put::Unchanged, changed)),
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
    Ok((id, put, changed))
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

/// The points that `simulation_metrics` has room for, of sorted ones the last of each name and step; and the others, those of
/// a step below 0 among them.
fn split(points: Cow<'_, [Point]>) -> (Cow<'_, [Point]>, Vec<Point>) {
    let key = |point: &Point| (point.name, point.step);
    let is_last = |pair: &[Point]| key(&pair[0]) < key(&pair[1]);
    if points.iter().all(|point| point.step >= 0) && points.windows(2).all(is_last) {
        return (points, Vec::new());
    }
    let (mut last, mut others): (Vec<Point>, _) = (Vec::with_capacity(points.len()), Vec::new());
    for point in points.iter().copied() {
        match last.last_mut() {
            _ if point.step < 0 => others.push(point),
            Some(before) if (before.name, before.step) == (point.name, point.step) => {
                others.push(std::mem::replace(before, point));
            }
            _ => last.push(point),
        }
    }
    (last.into(), others)
}

/// The points that the file has of a run, of all names that the source has, by name and step.
fn stored_points(tx: &WriteTx<'_>, id: i64, run: &Run) -> Result<Vec<Point>> {
    let known: HashMap<i64, u32> = (names::load(tx, id)?.into_iter())
        .filter_map(|(number, name)| Some((number, *run.numbers.get(&*name)?)))
        .collect();
    let mut there = Vec::new();
    let mut add = |name: i64, step, value, time_ms| {
        there.extend(known.get(&name).map(|name| Point { name: *name, step, time_ms, value }));
    };
    let time = |column: &ArrayRef, i| {
        column.is_valid(i).then(|| column.as_primitive::<Int64Type>().value(i))
    };
    let table = record_table::find(tx, "simulation_metrics")?.expect("it was made just now");
    each_stored(tx, id, &table, &Wanted::all(&table), |part: StoredRows| {
        let column = |at: usize| part.columns[at].as_ref().expect("it was asked for");
        let value = column(0).as_primitive::<Float64Type>();
        for i in 0..part.len() {
            let (name, step) = (part.rows.value(i), part.steps.value(i));
            add(name, step, value.value(i), time(column(1), i));
        }
        Ok(())
    })?;
    if record_table::find(tx, POINTS)?.is_some() {
        let table = record_table::define(tx, &RecordSchema::new(POINTS, &POINT_COLUMNS)?)?;
        each_stored(tx, id, &table, &Wanted::all(&table), |part: StoredRows| {
            let column = |at: usize| part.columns[at].as_ref().expect("it was asked for");
            let int = |at: usize, i| column(at).as_primitive::<Int64Type>().value(i);
            let value = column(2).as_primitive::<Float64Type>();
            for i in 0..part.len() {
                add(int(0, i), int(1, i), value.value(i), time(column(3), i));
            }
            Ok(())
        })?;
    }
    there.sort_unstable_by_key(|point: &Point| (point.name, point.step));
    Ok(there)
}

/// Of sorted points those of the names and steps at which the source has all that the file has, and more. Where the file has
/// something that the source has otherwise, that is a conflict.
fn new_points(there: &[Point], (kind, run): (Kind, &Run), conflicts: &mut Conflicts) -> Vec<Point> {
    let bits = |value: f64| match kind {
        // Its database has neither the infinities nor the -0.0 of a folder that was migrated into it.
        Kind::Mlflow => (value.clamp(f64::MIN, f64::MAX) + 0.0).to_bits(),
        _ => value.to_bits(),
    };
    let key = |point: &Point| (point.name, point.step);
    let sorted = |points: &[Point]| {
        let mut values: Vec<_> = points.iter().map(|p| (bits(p.value), p.time_ms)).collect();
        values.sort_unstable();
        values
    };
    let mut kept = Vec::new();
    for own in run.points.chunk_by(|a, b| key(a) == key(b)) {
        let stored = &there[there.partition_point(|point| key(point) < key(&own[0]))..];
        let stored = &stored[..stored.partition_point(|point| key(point) == key(&own[0]))];
        let (old, new) = (sorted(stored), sorted(own));
        if has_all(&new, &old) && new != old {
            kept.extend_from_slice(own);
        } else if !has_all(&old, &new) {
            conflicts.push(|| {
                let (name, step) = (&run.names[own[0].name as usize], own[0].step);
                let text = |points: &[(u64, Option<i64>)]| {
                    let one = |(bits, time): &(u64, Option<i64>)| {
                        let time = time.map_or(String::new(), |time| format!(" at {time} ms"));
                        format!("{:?}{time}", f64::from_bits(*bits))
                    };
                    points.iter().take(NAMED).map(one).collect::<Vec<_>>().join(", ")
                };
                let (old, new) = (text(&old), text(&new));
                format!("{name} at step {step}: {old} stored, {new} in the source")
            });
        }
    }
    kept
}

/// Whether all of one sorted list are in another, as often.
fn has_all<T: PartialEq>(all: &[T], part: &[T]) -> bool {
    let mut all = all.iter();
    part.iter().all(|one| all.any(|other| other == one))
}

/// Writes points into `simulation_metrics`.
fn metrics(tx: &WriteTx<'_>, to: (i64, Form), run: &Run, points: &[Point]) -> Result<u64> {
    let table = record_table::find(tx, "simulation_metrics")?.expect("it was made just now");
    let (mut buffer, mut names) = (TableBuffer::new(table), Names::default());
    let mut numbers = Vec::with_capacity(points.len());
    for of_name in points.chunk_by(|a, b| a.name == b.name) {
        let number = names.number(&run.names[of_name[0].name as usize]);
        numbers.extend(std::iter::repeat_n(number, of_name.len()));
    }
    let times = points.iter().map(|point| point.time_ms);
    let has_all = times.clone().all(|time| time.is_some());
    let columns = [
        (Items::Name(numbers), None),
        (Items::Float(points.iter().map(|point| point.value).collect()), None),
        (
            Items::Int(times.clone().map(Option::unwrap_or_default).collect()),
            (!has_all).then(|| times.map(|time| time.is_none()).collect()),
        ),
    ];
    buffer.steps = points.iter().map(|point| point.step).collect();
    buffer.columns = columns.map(|(items, missing)| ColumnBuffer { items, missing }).into();
    write_rows(tx, to, &names, &buffer)
}

fn write_rows(
    tx: &WriteTx<'_>,
    (id, form): (i64, Form),
    names: &Names,
    buffer: &TableBuffer,
) -> Result<u64> {
    let rows = buffer.rows() as u64;
    if rows > 0 {
        let stored = names.store(tx, id)?;
        write::insert(tx, id, &buffer.table, (buffer, &stored), form)?;
    }
    Ok(rows)
}

/// Adds the rows that a table does not have yet: of equal ones, as many as are missing. With conflicts, those of a name and a
/// step at which the table has one that is not among them are none to add.
fn append(
    tx: &mut WriteTx<'_>,
    (id, form): (i64, Form),
    table: &str,
    columns: &[(&str, &str)],
    rows: &[Row<'_>],
    conflicts: Option<&mut Conflicts>,
) -> Result<u64> {
    if rows.is_empty() {
        return Ok(0);
    }
    let table = record_table::define(tx, &RecordSchema::new(table, columns)?)?;
    let known = names::load(tx, id)?;
    let is_name: Vec<bool> =
        table.schema.columns.iter().map(|column| column.kind.storage() == Storage::Name).collect();
    // How many there are of a row, and where its key goes on behind the step and the name.
    let mut there: HashMap<Vec<u8>, (u64, usize)> = HashMap::new();
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
            let (key, place) = key(part.steps.value(i), cells);
            there.entry(key).or_insert((0, place)).0 += 1;
        }
        Ok(())
    })?;
    let mut new = Vec::new();
    for (step, cells) in rows {
        let (key, place) = key(*step, cells.iter().copied());
        match there.get_mut(&key) {
            Some((left, _)) if *left > 0 => *left -= 1,
            _ => new.push((*step, cells, key, place)),
        }
    }
    if let Some(conflicts) = conflicts {
        let others: HashSet<&[u8]> = (there.iter().filter(|(_, (left, _))| *left > 0))
            .map(|(key, (_, place))| &key[..*place])
            .collect();
        new.retain(|(step, cells, key, place)| {
            let is_other = others.contains(&key[..*place]);
            if is_other && let Cell::Text(name) = cells[0] {
                let table = &table.schema.name;
                conflicts.push(|| {
                    format!("the row of {table}, {name} at step {step}: another is stored")
                });
            }
            !is_other
        });
    }
    let (mut buffer, mut names) = (TableBuffer::new(table), Names::default());
    for (step, cells, ..) in new {
        buffer.push(step, cells, &mut names)?;
    }
    write_rows(tx, (id, form), &names, &buffer)
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

/// A row as bytes: equal rows, and only those, have equal ones. And where its second cell begins.
fn key<'a>(step: i64, cells: impl Iterator<Item = Cell<'a>>) -> (Vec<u8>, usize) {
    let (mut key, mut place) = (step.to_le_bytes().to_vec(), None);
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
        place.get_or_insert(key.len());
    }
    (key, place.unwrap_or_default())
}

/// Stores the arrays that the file does not have, or of which it has one that was logged before.
fn arrays(tx: &WriteTx<'_>, id: i64, run: &Run, conflicts: &mut Conflicts) -> Result<u64> {
    let mut logged: BTreeMap<(&str, i64), Vec<&crate::Array>> = BTreeMap::new();
    for (name, step, array) in &run.arrays {
        logged.entry((name, *step)).or_default().push(array);
    }
    let checksum = |array: &crate::Array| Checksum::of(array).to_bytes();
    let mut stored = 0;
    for ((name, step), logged) in logged {
        check_interrupted("importing runs")?;
        let sql = "SELECT checksum FROM simulation_array WHERE simulation = ?1 AND name = ?2 AND step = ?3";
        let there: Option<Vec<u8>> = tx.query_one(sql, (id, name, step), |row| Ok(row.get(0)?))?;
        let (last, before) = logged.split_last().expect("one was put there");
        match there {
            Some(there) if there == checksum(last) => {}
            Some(there) if !before.iter().any(|array| there == checksum(array)) => {
                conflicts.push(|| format!("the array {name} at step {step}: other items"));
            }
            _ => {
                StoredArray::of(last).insert(tx, id, name, step)?;
                stored += 1;
            }
        }
    }
    Ok(stored)
}
