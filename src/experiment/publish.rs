//! Simulations as other machines see them: a table of runs, and each table of records.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use xxhash_rust::xxh3::xxh3_128;

use super::builtin;
use super::database::ExperimentDatabase;
use super::read::Selection;
use super::record_table::{self, RecordTable, row_table};
use super::schema::{ColumnType, Storage};
use crate::error::{Error, Result};
use crate::kernel::{Database, ReadTx, table_exists};
use crate::table::Kind::{Int, Text};
use crate::table::{Batches, Cut, Published, PublishedTable, Slice, SqlTable, from_arrow};

/// The key under which each file of records has their definition.
pub(super) const DEFINITION: &str = "siltstone.records";
/// Simulations of one file of records, as a power of two.
const SIMULATIONS_BITS: u32 = 4;

static RUNS: SqlTable = SqlTable {
    name: "runs",
    from: "simulations s LEFT JOIN experiments e ON e.experiment_id = s.experiment_id",
    key: "s.id",
    columns: &[
        ("id", Int, "s.id"),
        ("simulation_id", Text, "s.simulation_id"),
        ("experiment_id", Text, "s.experiment_id"),
        ("experiment_name", Text, "e.name"),
        ("start_time", Text, "s.start_time"),
        ("end_time", Text, "s.end_time"),
        ("status", Text, "s.status"),
        ("parameters", Text, "s.parameters"),
        ("results_summary", Text, "s.results_summary"),
        ("error", Text, "s.error"),
        ("provenance", Text, "s.provenance"),
    ],
};

/// The experiments of a file, as they are published.
pub(crate) struct PublishedRuns(pub(crate) Database);

/// What the other tables of a lake are called.
const TABLES: [&str; 11] = [
    "concepts",
    "episodes",
    "learning_events",
    "relationships",
    "run_metrics",
    "runs",
    "series",
    "series_points",
    "simulation_states",
    "simulation_updates",
    "ticks",
];
/// What a column is called that each table of a lake has.
const COLUMNS: [&str; 1] = ["store_id"];

/// A name that is none of those that are taken, and that no other name becomes.
fn free_name(name: &str, taken: &[&str]) -> String {
    const PREFIX: &str = "record_";
    let lower = name.to_ascii_lowercase();
    let is_taken = taken.contains(&lower.trim_start_matches(PREFIX));
    if is_taken { format!("{PREFIX}{name}") } else { name.into() }
}

/// The name of a table of records in a lake.
fn published_name(name: &str) -> String {
    let is_metrics = name == builtin::all()[builtin::METRICS].name;
    if is_metrics { "run_metrics".into() } else { free_name(name, &TABLES) }
}

fn published(table: &RecordTable) -> PublishedTable {
    let step = table.schema.step.iter().map(|name| (name.as_str(), DataType::Int64));
    let columns = table.schema.columns.iter().map(|column| {
        let kind = match (column.kind, column.kind.storage()) {
            (ColumnType::Bool, _) => DataType::Boolean,
            (_, Storage::Int) => DataType::Int64,
            (_, Storage::Float) => DataType::Float64,
            (_, Storage::Text | Storage::Name) => DataType::Utf8,
        };
        (column.name.as_str(), kind)
    });
    let id = std::iter::once(("simulation_id".to_owned(), DataType::Utf8));
    let fields = step.chain(columns).map(|(name, kind)| (free_name(name, &COLUMNS), kind));
    let fields = id.chain(fields).map(|(name, kind)| Field::new(name, kind, true));
    let definition = serde_json::to_string(&table.schema).expect("a schema is JSON");
    let definition = HashMap::from([(DEFINITION.to_owned(), definition)]);
    let schema = Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), definition));
    PublishedTable { name: published_name(&table.schema.name), schema, partitions: &[] }
}

impl PublishedRuns {
    fn find(&self, tx: &ReadTx<'_>, table: &PublishedTable) -> Result<Arc<RecordTable>> {
        let mut tables = record_table::tables(tx)?.into_iter();
        let found = tables.find(|own| published_name(&own.schema.name) == table.name);
        found.ok_or_else(|| Error::NotFound {
            what: "table",
            name: table.name.clone(),
            location: self.0.path().display().to_string(),
        })
    }
}

/// What tells the records of each simulation from others: those that are rows by their checksums, blocks by their numbers, which
/// are never used again.
fn signatures(tx: &ReadTx<'_>, table: &RecordTable) -> Result<Vec<(i64, u128)>> {
    let columns = table.stored_columns().join(", ");
    let sql = format!(
        "SELECT simulation, count(*), sum(coalesce(row_sum, silt_row_sum(simulation, step, row, {columns}, exact))) \
         FROM {} GROUP BY simulation \
         UNION ALL SELECT simulation, -id, rows FROM record_block WHERE record_table = ?1 ORDER BY simulation",
        row_table(&table.schema.name)
    );
    tx.query(&sql, [table.id], |row| {
        let numbers: [i64; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        Ok((numbers[0], xxh3_128(&bytes)))
    })
}

impl Published for PublishedRuns {
    fn tables(&self) -> Result<Vec<PublishedTable>> {
        self.0.read(|tx| {
            if !table_exists(tx, "record_table")? {
                return Ok(Vec::new());
            }
            let records = record_table::tables(tx)?;
            let records = records.iter().map(|table| published(table));
            Ok(std::iter::once(RUNS.published()).chain(records).collect())
        })
    }

    fn unpublished(&self) -> Result<Vec<(&'static str, u64)>> {
        let sql = "SELECT (SELECT count(*) FROM experiments \
            WHERE concat(description, hypothesis, tags, variables, results_summary, notes) <> ''), \
            (SELECT count(*) FROM simulation_array)";
        let counts = |row: &rusqlite::Row<'_>| Ok([row.get::<_, i64>(0)?, row.get(1)?]);
        let found = self.0.read(|tx| match table_exists(tx, "record_table")? {
            true => tx.query_one(sql, [], counts),
            false => Ok(None),
        })?;
        let [descriptions, arrays] = found.unwrap_or_default();
        Ok(vec![
            ("descriptions of experiments", descriptions as u64),
            ("arrays of runs", arrays as u64),
        ])
    }

    fn slices(&self, table: &PublishedTable, cut: Cut) -> Result<Vec<Slice>> {
        self.0.read(|tx| {
            if table.name == RUNS.name {
                return RUNS.slices(tx, cut);
            }
            // A simulation that is running is sent by itself.
            let bits = if cut == Cut::Coarse { SIMULATIONS_BITS } else { 0 };
            let found = signatures(tx, &*self.find(tx, table)?)?;
            let last = found.last().map_or(0, |(simulation, _)| *simulation);
            let mut slices: Vec<Slice> = Vec::new();
            for (simulation, signature) in found {
                let is_near = simulation >> SIMULATIONS_BITS == last >> SIMULATIONS_BITS;
                let bits = if is_near { bits } else { SIMULATIONS_BITS };
                let first = simulation >> bits << bits;
                match slices.last_mut().filter(|slice| slice.first == first) {
                    Some(slice) => slice.signature = slice.signature.wrapping_add(signature),
                    None => slices.push(Slice {
                        partition: Vec::new(),
                        first,
                        until: first + (1 << bits),
                        signature,
                    }),
                }
            }
            Ok(slices)
        })
    }

    fn rows(&self, table: &PublishedTable, slice: &Slice) -> Result<Batches> {
        if table.name == RUNS.name {
            return Ok(RUNS.rows(&self.0, &table.schema, slice));
        }
        let (name, mut simulations) = self.0.read(|tx| {
            let name = self.find(tx, table)?.schema.name.clone();
            let sql =
                "SELECT simulation_id FROM simulations WHERE id >= ?1 AND id < ?2 ORDER BY id DESC";
            let read = |row: &rusqlite::Row<'_>| Ok(row.get::<_, String>(0)?);
            Ok((name, tx.query(sql, (slice.first, slice.until), read)?))
        })?;
        let experiments = ExperimentDatabase::over(self.0.clone(), None)?;
        let schema = table.schema.clone();
        let mut current: Option<(String, Batches)> = None;
        Ok(Batches::new(schema.clone(), move || {
            loop {
                let Some((id, batches)) = &mut current else {
                    let Some(id) = simulations.pop() else { return Ok(None) };
                    match experiments.records(&id, &name, &Selection::all()) {
                        Err(Error::NotFound { what: "simulation", .. }) => {} // it was removed meanwhile
                        records => current = Some((id, records?)),
                    }
                    continue;
                };
                match batches.next_batch()? {
                    Some(batch) if batch.num_rows() > 0 => {
                        return with_id(&schema, id, &batch).map(Some);
                    }
                    Some(_) => {}
                    None => current = None,
                }
            }
        }))
    }
}

/// A batch of records with the columns of the published table.
fn with_id(schema: &SchemaRef, id: &str, batch: &RecordBatch) -> Result<RecordBatch> {
    let ids = Arc::new(StringArray::from(vec![id; batch.num_rows()])) as ArrayRef;
    let others = schema.fields()[1..].iter().zip(batch.columns());
    let others = others.map(|(field, column)| cast(column, field.data_type()));
    let columns = std::iter::once(Ok(ids)).chain(others).collect::<Result<Vec<_>, _>>();
    let batch = columns.and_then(|columns| RecordBatch::try_new(schema.clone(), columns));
    batch.map_err(|error| from_arrow("records", error))
}
