//! Records of a simulation as Arrow.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::names;
use super::record_table::{RecordTable, row_table};
use super::schema::{ColumnType, Shape, Storage};
use super::stored::{BlockRef, StoredRows, Wanted, blocks, damaged, each_of_row_table, read_block};
use crate::error::{Error, Result};
use crate::kernel::ReadTx;

/// Rows of a batch.
const BATCH_ROWS: usize = 1 << 16;

/// Which records are read.
///
/// # Example
/// ```
/// use siltstone::experiment::Selection;
/// let last = Selection::all().steps(90..=100).columns(&["agent_id", "total_reward"]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Selection {
    first: Option<i64>,
    last: Option<i64>,
    columns: Option<Vec<String>>,
    key: Option<String>,
}

impl Selection {
    /// All of them.
    pub fn all() -> Self {
        Selection::default()
    }

    /// Those of these steps.
    pub fn steps(mut self, steps: std::ops::RangeInclusive<i64>) -> Self {
        (self.first, self.last) = (Some(*steps.start()), Some(*steps.end()));
        self
    }

    /// These columns, in this order, behind the step.
    pub fn columns(mut self, columns: &[&str]) -> Self {
        self.columns = Some(columns.iter().map(|name| (*name).to_owned()).collect());
        self
    }

    /// Those of one agent, or of whatever else is the key of the table.
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }
}

/// The columns that are read, as they lie in the schema, and the Arrow schema of what comes out.
struct Plan {
    /// The indices of the columns in the schema.
    columns: Vec<usize>,
    wanted: Wanted,
    schema: SchemaRef,
}

fn plan(
    tx: &ReadTx<'_>,
    simulation: i64,
    table: &RecordTable,
    selection: &Selection,
) -> Result<Option<Plan>> {
    let schema = &table.schema;
    let columns: Vec<usize> = match &selection.columns {
        None => (0..schema.columns.len()).collect(),
        Some(names) => {
            let index = |name: &String| {
                schema.position(name).ok_or_else(|| Error::NotFound {
                    what: "column",
                    name: name.clone(),
                    location: format!("table {:?}", schema.name),
                })
            };
            names.iter().map(index).collect::<Result<_>>()?
        }
    };
    let key = match (&selection.key, schema.key) {
        (None, _) => None,
        (Some(_), None) => {
            let what = format!("a key of table {:?}", schema.name);
            return Err(Error::invalid(what, "none: it has no key", "one"));
        }
        (Some(name), Some(key)) => {
            let number = match schema.columns[key].kind.storage() {
                Storage::Name => names::find(tx, simulation, name)?,
                _ => name.parse().ok(),
            };
            let Some(number) = number else { return Ok(None) };
            Some(number)
        }
    };
    let stored: Vec<bool> = schema.stored().map(|(i, _)| columns.contains(&i)).collect();
    let wanted = Wanted {
        first: selection.first.unwrap_or(0),
        last: selection.last.unwrap_or(i64::MAX),
        key,
        columns: stored,
        most: -1,
    };
    Ok(Some(Plan { schema: arrow_schema(table, &columns), columns, wanted }))
}

fn arrow_schema(table: &RecordTable, columns: &[usize]) -> SchemaRef {
    let step = table.schema.step.as_ref().map(|name| Field::new(name, DataType::Int64, false));
    let fields = columns.iter().map(|i| {
        let column = &table.schema.columns[*i];
        Field::new(&column.name, column.kind.arrow(), Some(*i) != table.schema.key)
    });
    Arc::new(Schema::new(step.into_iter().chain(fields).collect::<Vec<_>>()))
}

/// The records of a simulation in one table, in their order, as a batch each time.
pub(super) fn each_batch(
    tx: &ReadTx<'_>,
    simulation: i64,
    table: &RecordTable,
    selection: &Selection,
    mut each: impl FnMut(RecordBatch) -> Result<()>,
) -> Result<SchemaRef> {
    let Some(plan) = plan(tx, simulation, table, selection)? else {
        let columns: Vec<usize> = (0..table.schema.columns.len()).collect();
        return Ok(arrow_schema(table, &columns)); // a key that was never logged
    };
    let names =
        match plan.columns.iter().any(|i| table.schema.columns[*i].kind == ColumnType::Category) {
            true => names::load(tx, simulation)?,
            false => HashMap::new(),
        };
    each_stored(tx, simulation, table, &plan.wanted, |rows| {
        for from in (0..rows.len()).step_by(BATCH_ROWS) {
            let part = rows.slice(from, BATCH_ROWS.min(rows.len() - from));
            each(to_batch(table, &plan, &part, &names)?)?;
        }
        Ok(())
    })?;
    Ok(plan.schema)
}

/// Stored rows of blocks and of the row table in their order. They are in memory all at once only if blocks and rows have
/// to be put in order.
pub(super) fn each_stored(
    tx: &ReadTx<'_>,
    simulation: i64,
    table: &RecordTable,
    wanted: &Wanted,
    mut each: impl FnMut(StoredRows) -> Result<()>,
) -> Result<()> {
    let refs = blocks(tx, simulation, table, wanted.first, wanted.last)?;
    let read = |block: BlockRef| {
        let rows = read_block(tx, table, block, &wanted.columns)?;
        if rows.columns.iter().flatten().any(|column| column.len() != rows.len()) {
            let why = format!("the columns of block {} are of different lengths", block.id);
            return Err(damaged(why));
        }
        only(rows, wanted)
    };
    if follow(tx, simulation, table, &refs)? {
        for block in refs {
            each(read(block)?)?;
        }
        return each_of_row_table(tx, simulation, table, wanted, BATCH_ROWS, each);
    }
    let mut parts = refs.into_iter().map(read).collect::<Result<Vec<_>>>()?;
    each_of_row_table(tx, simulation, table, wanted, BATCH_ROWS, |rows| {
        parts.push(rows);
        Ok(())
    })?;
    let rows = StoredRows::concat(&parts)?;
    let mut order: Vec<u64> = (0..rows.len() as u64).collect();
    let (steps, numbers) = (rows.steps.values(), rows.rows.values());
    match table.schema.shape {
        Shape::Series => order.sort_by_key(|i| (numbers[*i as usize], steps[*i as usize])),
        _ => order.sort_by_key(|i| (steps[*i as usize], numbers[*i as usize])),
    }
    each(take(&rows, &UInt64Array::from(order))?)
}

/// Whether these blocks follow one another, and rows follow the blocks.
fn follow(
    tx: &ReadTx<'_>,
    simulation: i64,
    table: &RecordTable,
    refs: &[BlockRef],
) -> Result<bool> {
    let Some(last) = refs.last() else { return Ok(true) };
    // Of two that share a step, the one that was compacted later has the later rows of it.
    let are_sorted = refs.is_sorted_by(|a, b| (a.steps.1, a.id) <= (b.steps.0, b.id));
    if table.schema.shape == Shape::Series || !are_sorted {
        return Ok(false);
    }
    let row_table = row_table(&table.schema.name);
    let sql = format!("SELECT 1 FROM {row_table} WHERE simulation = ?1 AND step <= ?2 LIMIT 1");
    Ok(tx.query_one(&sql, (simulation, last.steps.1), |_| Ok(()))?.is_none())
}

/// The rows that are asked for.
fn only(rows: StoredRows, wanted: &Wanted) -> Result<StoredRows> {
    let fits = |i: usize| {
        (wanted.first..=wanted.last).contains(&rows.steps.value(i))
            && wanted.key.is_none_or(|key| key == rows.rows.value(i))
    };
    let chosen: Vec<u64> = (0..rows.len()).filter(|i| fits(*i)).map(|i| i as u64).collect();
    if chosen.len() == rows.len() { Ok(rows) } else { take(&rows, &UInt64Array::from(chosen)) }
}

fn take(rows: &StoredRows, chosen: &UInt64Array) -> Result<StoredRows> {
    let take = |array: &dyn Array| {
        arrow_select::take::take(array, chosen, None).map_err(|e| damaged(e.to_string()))
    };
    let int = |array: &Int64Array| Ok::<_, Error>(take(array)?.as_primitive::<Int64Type>().clone());
    let columns = rows.columns.iter().map(|column| column.as_ref().map(|c| take(c)).transpose());
    Ok(StoredRows {
        steps: int(&rows.steps)?,
        rows: int(&rows.rows)?,
        columns: columns.collect::<Result<_>>()?,
    })
}

fn to_batch(
    table: &RecordTable,
    plan: &Plan,
    rows: &StoredRows,
    names: &HashMap<i64, String>,
) -> Result<RecordBatch> {
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(plan.columns.len() + 1);
    if table.schema.step.is_some() {
        arrays.push(Arc::new(rows.steps.clone()));
    }
    let stored: Vec<usize> = table.schema.stored().map(|(i, _)| i).collect();
    for i in &plan.columns {
        let column = &table.schema.columns[*i];
        let array: ArrayRef = if Some(*i) == table.schema.key {
            Arc::new(rows.rows.clone())
        } else {
            let index = stored.iter().position(|stored| stored == i).expect("it is stored");
            rows.columns[index].clone().expect("it was asked for")
        };
        arrays.push(if column.kind == ColumnType::Category {
            Arc::new(named(array.as_primitive::<Int64Type>(), names)?)
        } else {
            cast(&array, &column.kind.arrow()).map_err(|e| damaged(e.to_string()))?
        });
    }
    RecordBatch::try_new(plan.schema.clone(), arrays).map_err(|e| damaged(e.to_string()))
}

fn named(numbers: &Int64Array, names: &HashMap<i64, String>) -> Result<StringArray> {
    let mut texts = StringBuilder::with_capacity(numbers.len(), numbers.len() * 8);
    for number in numbers {
        match number {
            None => texts.append_null(),
            Some(number) => {
                let no_name = || damaged(format!("the name {number} is not there"));
                texts.append_value(names.get(&number).ok_or_else(no_name)?);
            }
        }
    }
    Ok(texts.finish())
}
