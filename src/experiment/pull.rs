//! Simulations out of a lake, back into a file.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema};

use super::buffer::TableBuffer;
use super::database::prepare;
use super::names::Names;
use super::publish::DEFINITION;
use super::schema::RecordSchema;
use super::{arrow_in, record_table, write};
use crate::error::{Error, Result};
use crate::kernel::{Database, WriteTx};
use crate::table::{Pulled, from_arrow, of_two_files};

const RUNS: &str = "runs";
/// The columns of [`RUNS`], as the statement below takes them.
const COLUMNS: [&str; 10] = [
    "simulation_id",
    "experiment_id",
    "start_time",
    "end_time",
    "status",
    "parameters",
    "results_summary",
    "error",
    "provenance",
    "experiment_name",
];

/// A file that takes simulations of a lake, with the numbers that they had where those are free.
pub(crate) struct PulledRuns {
    db: Database,
    /// Their numbers, and who has published them.
    simulations: HashMap<String, (i64, String)>,
}

impl PulledRuns {
    pub(crate) fn new(db: Database) -> Self {
        PulledRuns { db, simulations: HashMap::new() }
    }

    fn runs(&mut self, file: &str, rows: &RecordBatch) -> Result<()> {
        let ids = column(RUNS, rows, "simulation_id", &DataType::Utf8)?;
        let ids = ids.as_string::<i32>();
        for id in ids.iter().flatten() {
            if let Some((_, other)) = self.simulations.get(id) {
                return Err(of_two_files(format!("the simulation {id:?}"), other, file));
            }
        }
        let own = rows.clone();
        let made = self.db.write(move |tx| {
            prepare(tx)?;
            (0..own.num_rows()).map(|row| make(tx, &own, row)).collect::<Result<Vec<_>>>()
        })?;
        let names = ids.iter().flatten().zip(made);
        let new = names.map(|(name, id)| (name.to_owned(), (id, file.to_owned())));
        self.simulations.extend(new);
        Ok(())
    }

    fn records(&self, table: &str, file: &str, rows: &RecordBatch) -> Result<()> {
        let schema = definition(table, rows)?;
        let ids = column(table, rows, "simulation_id", &DataType::Utf8)?;
        let ids = ids.as_string::<i32>();
        let mut first = 0;
        let mut parts = Vec::new();
        while first < rows.num_rows() {
            let id = ids.value(first);
            let n = (first..rows.num_rows()).take_while(|row| ids.value(*row) == id).count();
            let found = self.simulations.get(id).filter(|(_, own)| own == file);
            let (number, _) = found.ok_or_else(|| Error::NotFound {
                what: "simulation",
                name: id.to_owned(),
                location: format!(
                    "the table runs of the lake, by the file {file}, which has records of it"
                ),
            })?;
            parts.push((*number, of_simulation(&schema, &rows.slice(first, n))?));
            first += n;
        }
        self.db.write(move |tx| {
            let table = record_table::define(tx, &schema)?;
            for (number, rows) in &parts {
                let step = if schema.step.is_some() { None } else { Some(0) };
                let (mut buffer, mut names) = (TableBuffer::new(table.clone()), Names::default());
                arrow_in::push(&mut buffer, &mut names, step, rows)?;
                write::write(tx, *number, &names, &[buffer], &[])?;
            }
            Ok(())
        })
    }
}

fn column(table: &str, rows: &RecordBatch, name: &str, kind: &DataType) -> Result<ArrayRef> {
    let column = rows.column_by_name(name).ok_or_else(|| Error::NotFound {
        what: "column",
        name: name.to_owned(),
        location: format!("the table {table} of the lake"),
    })?;
    cast(column, kind).map_err(|error| from_arrow(name, error))
}

/// What a table of records is, as the file wrote it into its segments.
fn definition(table: &str, rows: &RecordBatch) -> Result<RecordSchema> {
    let schema = rows.schema();
    let text = schema.metadata().get(DEFINITION).ok_or_else(|| {
        let expected = "records as they are published now, with their definition";
        let got = "files without one: of an earlier version, or another program";
        Error::invalid(format!("the table {table} of the lake"), expected, got)
    })?;
    serde_json::from_str(text).map_err(|error| Error::Corrupt {
        location: format!("the table {table} of the lake"),
        what: "the definition of the records".into(),
        why: error.to_string(),
    })
}

/// The records of one simulation, with the names that their columns have in a file.
fn of_simulation(schema: &RecordSchema, rows: &RecordBatch) -> Result<RecordBatch> {
    let names = schema.step.iter().chain(schema.columns.iter().map(|column| &column.name));
    let published = rows.schema();
    let published = published.fields().iter().zip(rows.columns()).skip(1); // the simulation
    let named = names.zip(published);
    let (fields, columns): (Vec<Field>, Vec<_>) = named
        .map(|(name, (field, column))| (field.as_ref().clone().with_name(name), column.clone()))
        .unzip();
    let batch = RecordBatch::try_new(Schema::new(fields).into(), columns);
    batch.map_err(|error| from_arrow("records", error))
}

/// Makes a simulation, and its experiment; its number.
fn make(tx: &mut WriteTx<'_>, rows: &RecordBatch, row: usize) -> Result<i64> {
    let texts = COLUMNS.map(|name| column(RUNS, rows, name, &DataType::Utf8));
    let texts = texts.into_iter().collect::<Result<Vec<_>>>()?;
    let texts = texts.iter().map(|column| column.as_string::<i32>());
    let texts: Vec<Option<&str>> =
        texts.map(|column| column.is_valid(row).then(|| column.value(row))).collect();
    let (experiment, name) = (texts[1], texts[9]);
    if let Some(experiment) = experiment {
        let sql = "INSERT INTO experiments (experiment_id, name) VALUES (?1, coalesce(?2, ?1)) ON CONFLICT DO NOTHING";
        if tx.execute(sql, (experiment, name))? > 0 {
            tx.seal("experiments", "experiment_id = ?1", [experiment])?;
        }
    }
    let number = column(RUNS, rows, "id", &DataType::Int64)?.as_primitive::<Int64Type>().value(row);
    let taken = "SELECT 1 FROM simulations WHERE id = ?1";
    let is_free = tx.query_one(taken, [number], |_| Ok(()))?.is_none();
    let id = tx.insert(
        "INSERT INTO simulations (id, simulation_id, experiment_id, start_time, end_time, status, parameters, \
         results_summary, error, provenance, simulation_db_path) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, '')",
        (
            is_free.then_some(number),
            texts[0],
            texts[1],
            texts[2],
            texts[3],
            texts[4],
            texts[5],
            texts[6],
            texts[7],
            texts[8],
        ),
    )?;
    tx.seal("simulations", "id = ?1", [id])?;
    Ok(id)
}

impl Pulled for PulledRuns {
    /// `runs`, and then whatever has a definition.
    fn takes(&self, _: &str) -> bool {
        true
    }

    fn take(&mut self, table: &str, file: &str, rows: &RecordBatch) -> Result<()> {
        if table == RUNS { self.runs(file, rows) } else { self.records(table, file, rows) }
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
