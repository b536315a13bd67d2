//! States of a group as tables.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, SchemaRef};

use super::column::{Cells, ColumnPlan};
use super::plan::OWN;
use super::{BATCH_BYTES, BATCH_ROWS, DATASET, GROUP, KIND};
use crate::error::{Error, Result};
use crate::simulation::json::Schema;
use crate::simulation::state::{GroupCursor, GroupState};
use crate::simulation::update::Group;
use crate::table::Batches;

fn batch(schema: SchemaRef, columns: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(schema, columns).expect("the columns were made by the plans of the schema")
}

fn unique_names(plans: &mut [ColumnPlan]) {
    let names: Vec<String> = plans.iter().map(|plan| plan.name.clone()).collect();
    for plan in plans {
        while OWN.contains(&&*plan.name)
            || (plan.name != plan.attribute && names.contains(&plan.name))
        {
            plan.name.push('_');
        }
    }
}

fn plans(state: &GroupState, schema: &Schema) -> Vec<ColumnPlan> {
    let plan = |c: &super::super::state::ColumnState| {
        ColumnPlan::of(&c.name, &c.attribute, schema.get(&c.name))
    };
    let mut plans: Vec<ColumnPlan> = state.columns.iter().map(plan).collect();
    unique_names(&mut plans);
    plans
}

fn table_schema(own: &[&str], plans: &[ColumnPlan], metadata: &[(&str, &str)]) -> SchemaRef {
    let own = own.iter().map(|name| Field::new(*name, DataType::Int64, false));
    let fields: Vec<Field> = own.chain(plans.iter().map(ColumnPlan::field)).collect();
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let metadata: HashMap<String, String> = metadata.collect();
    Arc::new(arrow_schema::Schema::new(fields).with_metadata(metadata))
}

impl GroupState {
    /// The state as one record batch: `id`, then a column an attribute; undefined is null.
    ///
    /// - `schema`: what the run says of its attributes; bytes that it calls bools are `Boolean`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for text or lists beyond what one Arrow array holds (2 GiB).
    pub fn to_arrow(&self, schema: &Schema) -> Result<RecordBatch> {
        let plans = plans(self, schema);
        let timestamp = self.timestamp.to_string();
        let metadata = [(KIND, "state"), ("siltstone.timestamp", &*timestamp)];
        let table = table_schema(&["id"], &plans, &metadata);
        let mut columns = vec![Arc::new(Int64Array::from(self.ids.clone())) as ArrayRef];
        for (plan, column) in plans.into_iter().zip(&self.columns) {
            let mut cells = Cells::new(plan);
            cells.push(&column.attribute, false)?;
            columns.push(cells.finish()?);
        }
        Ok(batch(table, columns))
    }
}

/// A group of an initial dataset as a table.
pub(in crate::simulation) fn initial(
    dataset: &str,
    group: &Group,
    schema: &Schema,
) -> Result<RecordBatch> {
    let attributes = || group.attributes.iter().filter(|(name, _)| name != "id");
    let plan = |(name, attribute): &(String, _)| ColumnPlan::of(name, attribute, schema.get(name));
    let mut plans: Vec<ColumnPlan> = attributes().map(plan).collect();
    unique_names(&mut plans);
    let id = group.attributes.iter().find(|(name, _)| name == "id");
    let ids = id.and_then(|(_, ids)| ids.data.to_i64s());
    let metadata = [(KIND, "initial"), (DATASET, dataset), (GROUP, &*group.name)];
    let table = table_schema(if ids.is_some() { &["id"] } else { &[] }, &plans, &metadata);
    let mut columns: Vec<ArrayRef> = Vec::new();
    columns.extend(ids.map(|ids| Arc::new(Int64Array::from(ids)) as ArrayRef));
    for (plan, (_, attribute)) in plans.into_iter().zip(attributes()) {
        let mut cells = Cells::new(plan);
        cells.push(attribute, true)?;
        columns.push(cells.finish()?);
    }
    Ok(batch(table, columns))
}

/// The states at several timestamps as one long table.
pub(super) fn states(
    dataset: &str,
    mut cursor: GroupCursor,
    timestamps: Vec<i64>,
    bools: &[String],
    schema: &Schema,
) -> Result<Batches> {
    let mut plans = plans(&cursor.state(), schema);
    for plan in &mut plans {
        // The values of one state do not say whether all are 0 and 1.
        plan.boolean &= bools.contains(&plan.attribute);
    }
    let metadata = [(KIND, "states"), (DATASET, dataset), (GROUP, cursor.group())];
    let table = table_schema(&["timestamp", "id"], &plans, &metadata);
    let schema = table.clone();
    let mut timestamps = timestamps.into_iter();
    Ok(Batches::new(table, move || {
        let mut cells: Vec<Cells> = plans.iter().cloned().map(Cells::new).collect();
        let (mut times, mut ids): (Vec<i64>, Vec<i64>) = (Vec::new(), Vec::new());
        for timestamp in timestamps.by_ref() {
            cursor.move_to(timestamp)?;
            let state = cursor.state();
            times.resize(times.len() + state.ids.len(), timestamp);
            ids.extend(&state.ids);
            for cells in &mut cells {
                let name = &cells.plan().attribute;
                let column = state.column(name).filter(|c| cells.takes(&c.attribute));
                let Some(column) = column else {
                    let got = "another type: the run was changed while it was read";
                    let what = format!("attribute {name} at timestamp {timestamp}");
                    return Err(Error::invalid(what, "the columns that were there before", got));
                };
                cells.push(&column.attribute, false)?;
            }
            let size: usize = cells.iter().map(Cells::size_bytes).sum();
            if ids.len() >= BATCH_ROWS || size >= BATCH_BYTES {
                break;
            }
        }
        if ids.is_empty() {
            return Ok(None);
        }
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from(times)), Arc::new(Int64Array::from(ids))];
        for cells in cells {
            columns.push(cells.finish()?);
        }
        Ok(Some(batch(schema.clone(), columns)))
    }))
}
