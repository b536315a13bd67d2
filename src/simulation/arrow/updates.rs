//! All updates of a group as one long table.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, SchemaRef};

use super::column::{Cells, ColumnPlan, DTYPE};
use super::plan::GroupPlan;
use super::{BATCH_BYTES, BATCH_ROWS, DATASET, GROUP, KIND};
use crate::error::{Error, Result};
use crate::kernel::{Database, ReadTx};
use crate::simulation::read::{self, BEGINNING, Head, Span, UpdateReader, Wanted};
use crate::simulation::tables::Layout;
use crate::simulation::update::{Attribute, Group};
use crate::table::Batches;

/// Updates whose rows are looked up at a time.
const PAGE: i64 = 256;

/// Reads the updates of one group, a batch at a time, each in a snapshot of its own: a slow consumer
/// holds no transaction open.
struct Updates {
    db: Database,
    dataset: String,
    group: String,
    plan: GroupPlan,
    schema: SchemaRef,
    /// The last update that was read.
    position: (i64, i64),
    done: bool,
}

pub(super) fn updates(db: &Database, dataset: &str, group: &str, plan: GroupPlan) -> Batches {
    let schema = schema(dataset, group, &plan);
    let mut updates = Updates {
        db: db.clone(),
        dataset: dataset.to_owned(),
        group: group.to_owned(),
        plan,
        schema: schema.clone(),
        position: BEGINNING,
        done: false,
    };
    Batches::new(schema, move || updates.next())
}

fn schema(dataset: &str, group: &str, plan: &GroupPlan) -> SchemaRef {
    let int = |name: &str| Field::new(name, DataType::Int64, false);
    let id = plan.id.map(|dtype| (DTYPE.to_owned(), dtype.to_string()));
    let mut fields = vec![
        int("timestamp"),
        int("iteration"),
        // movici's files may hold groups without ids.
        Field::new("id", DataType::Int64, true).with_metadata(id.into_iter().collect()),
    ];
    if plan.has_origin {
        fields.push(Field::new("origin", DataType::Utf8, true));
    }
    if plan.has_cleared {
        let name = Field::new("item", DataType::Utf8, true);
        fields.push(Field::new("cleared", DataType::List(Arc::new(name)), true));
    }
    fields.extend(plan.columns.iter().map(ColumnPlan::field));
    let metadata = [(KIND, "updates"), (DATASET, dataset), (GROUP, group)];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Arc::new(arrow_schema::Schema::new(fields).with_metadata(HashMap::from(metadata)))
}

impl Updates {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        let mut batch = Filling::new(&self.plan);
        if !self.done {
            let db = self.db.clone();
            db.read(|tx| self.fill(tx, &mut batch))?;
        }
        if batch.rows() == 0 {
            return Ok(None);
        }
        batch.finish(self.schema.clone()).map(Some)
    }

    fn fill(&mut self, tx: &ReadTx<'_>, batch: &mut Filling) -> Result<()> {
        let layout = Layout::of(tx)?;
        let mut reader = UpdateReader::new(tx, layout)?;
        let group = self.group.clone();
        let wanted = Wanted { group: Some(&group), ..Wanted::default() };
        loop {
            let span = Span {
                after: self.position,
                last_id: self.plan.last,
                limit: PAGE,
                ..Span::default()
            };
            let heads = read::heads(tx, &self.dataset, span)?;
            if heads.is_empty() {
                self.done = true;
                return Ok(());
            }
            for head in heads {
                self.position = (head.timestamp, head.iteration);
                for group in reader.groups(head.id, wanted)? {
                    batch.push(&self.dataset, &head, &group)?;
                }
                if batch.rows() >= BATCH_ROWS || batch.size_bytes() >= BATCH_BYTES {
                    return Ok(());
                }
            }
        }
    }
}

/// A batch while it is filled.
struct Filling {
    timestamps: Vec<i64>,
    iterations: Vec<i64>,
    ids: Vec<Option<i64>>,
    origins: Option<StringBuilder>,
    cleared: Option<ListBuilder<StringBuilder>>,
    columns: Vec<Cells>,
}

impl Filling {
    fn new(plan: &GroupPlan) -> Self {
        Filling {
            timestamps: Vec::new(),
            iterations: Vec::new(),
            ids: Vec::new(),
            origins: plan.has_origin.then(StringBuilder::new),
            cleared: plan.has_cleared.then(|| ListBuilder::new(StringBuilder::new())),
            columns: plan.columns.iter().cloned().map(Cells::new).collect(),
        }
    }

    fn rows(&self) -> usize {
        self.timestamps.len()
    }

    fn size_bytes(&self) -> usize {
        24 * self.rows() + self.columns.iter().map(Cells::size_bytes).sum::<usize>()
    }

    fn push(&mut self, dataset: &str, head: &Head, group: &Group) -> Result<()> {
        let id = group.attributes.iter().find(|(name, _)| name == "id").map(|(_, ids)| ids);
        let entities = match group.attributes.first() {
            Some((_, first)) => id.unwrap_or(first).entities(),
            None => 0,
        };
        let what = || {
            let (timestamp, iteration) = (head.timestamp, head.iteration);
            format!("{dataset}/{} at timestamp {timestamp}, iteration {iteration}", group.name)
        };
        let mut cleared: Vec<Vec<&str>> = vec![Vec::new(); entities];
        let mut taken = vec![false; self.columns.len()];
        for (name, attribute) in &group.attributes {
            if name == "id" {
                continue;
            }
            if attribute.entities() != entities {
                let got = format!("{} of attribute {name}", attribute.entities());
                return Err(Error::invalid(what(), format!("{entities} rows as in id"), got));
            }
            let fits = |cells: &Cells| cells.plan().attribute == *name && cells.takes(attribute);
            let Some(at) = self.columns.iter().position(fits) else {
                let got = "another type: the run was changed while it was read";
                return Err(Error::invalid(what(), "the columns that were there before", got));
            };
            taken[at] = true;
            for row in self.columns[at].push(attribute, true)? {
                cleared[row].push(name);
            }
        }
        for (cells, _) in self.columns.iter_mut().zip(taken).filter(|(_, taken)| !taken) {
            cells.push_nulls(entities);
        }
        self.push_own(head, id, entities, &what)?;
        if let Some(list) = &mut self.cleared {
            for names in cleared {
                names.iter().for_each(|name| list.values().append_value(name));
                list.append(!names.is_empty());
            }
        }
        Ok(())
    }

    fn push_own(
        &mut self,
        head: &Head,
        id: Option<&Attribute>,
        entities: usize,
        what: &dyn Fn() -> String,
    ) -> Result<()> {
        self.timestamps.resize(self.timestamps.len() + entities, head.timestamp);
        self.iterations.resize(self.iterations.len() + entities, head.iteration);
        match id {
            None => self.ids.resize(self.ids.len() + entities, None),
            Some(id) => {
                let ids = id.data.to_i64s().ok_or_else(|| {
                    let got = id.data.dtype().to_string();
                    Error::invalid(format!("{}, id", what()), "integers that fit into i64", got)
                })?;
                self.ids.extend(ids.into_iter().map(Some));
            }
        }
        if let Some(origins) = &mut self.origins {
            (0..entities).for_each(|_| origins.append_option(head.origin.as_deref()));
        }
        Ok(())
    }

    fn finish(self, schema: SchemaRef) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(self.timestamps)),
            Arc::new(Int64Array::from(self.iterations)),
            Arc::new(Int64Array::from(self.ids)),
        ];
        columns.extend(self.origins.map(|mut origins| Arc::new(origins.finish()) as ArrayRef));
        columns.extend(self.cleared.map(|mut names| Arc::new(names.finish()) as ArrayRef));
        for cells in self.columns {
            columns.push(cells.finish()?);
        }
        let batch = RecordBatch::try_new(schema, columns);
        Ok(batch.expect("the columns were made by the plan that made the schema"))
    }
}
