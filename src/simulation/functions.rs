//! SQL functions over the updates of one file.

use rusqlite::types::Value;
use rusqlite::vtab::Context;

use super::state::{ColumnState, GroupState, state_at};
use crate::error::{Error, Result};
use crate::kernel::{Arguments, Items, ReadTx, RowSource, TableFunction};

/// The table-valued functions of the store.
pub(crate) const TABLES: &[TableFunction] = &[TableFunction {
    name: "silt_state",
    columns: &["id", "attribute", "value"],
    arguments: &["dataset", "entity_group", "at"],
    required: 2,
    table: "update",
    rows: state,
}];

/// The most bytes of a list as text.
const MOST_TEXT: usize = 64 << 20;

fn state(tx: &ReadTx<'_>, arguments: &Arguments) -> Result<Box<dyn RowSource>> {
    let (dataset, group) = (arguments.text(0)?, arguments.text(1)?);
    let timestamp = arguments.integer(2)?.unwrap_or(i64::MAX);
    let found = state_at(tx, dataset, group, timestamp)?;
    let state = found.ok_or_else(|| Error::NotFound {
        what: "entity group",
        name: format!("{dataset}/{group}"),
        location: "the updates of the file".into(),
    })?;
    Ok(Box::new(Rows::new(state)?))
}

/// A row for each value: by attribute, and of one attribute in the order of the entities.
struct Rows {
    ids: Vec<i64>,
    columns: Vec<Column>,
    /// Rows before each column.
    before: Vec<usize>,
    rows: usize,
}

struct Column {
    name: String,
    items: Items,
    /// The shape of a value; empty for a single one.
    shape: Vec<usize>,
    /// Of a list: where it ends in the items of the attribute.
    ends: Option<Vec<i64>>,
    /// The entities that have a value; `None` if all do.
    defined: Option<Vec<usize>>,
}

impl Rows {
    fn new(state: GroupState) -> Result<Self> {
        let (mut columns, mut before, mut rows) = (Vec::new(), Vec::new(), 0);
        for column in state.columns {
            let column = Column::new(column, state.ids.len())?;
            before.push(rows);
            rows += column.defined.as_ref().map_or(state.ids.len(), Vec::len);
            columns.push(column);
        }
        Ok(Rows { ids: state.ids, columns, before, rows })
    }
}

impl Column {
    fn new(state: ColumnState, entities: usize) -> Result<Self> {
        let all_defined = (0..entities).all(|i| state.is_defined(i));
        let defined = match all_defined {
            true => None,
            false => Some((0..entities).filter(|i| state.is_defined(*i)).collect()),
        };
        let damaged = |why: &str| Error::Corrupt {
            location: String::new(),
            what: format!("the attribute {:?}", state.name),
            why: why.into(),
        };
        let attribute = &state.attribute;
        let (_, shape) =
            attribute.data.shape().split_first().ok_or_else(|| damaged("it is a single value"))?;
        let ends = match &attribute.row_ptr {
            None => None,
            Some(row_ptr) => {
                attribute.check(&state.name)?;
                Some(row_ptr.to_i64s().ok_or_else(|| damaged("its lists have no ends"))?)
            }
        };
        if attribute.entities() != entities {
            return Err(damaged("it has another number of values than there are entities"));
        }
        Ok(Column {
            items: Items::new(&attribute.data),
            shape: shape.to_vec(),
            ends,
            defined,
            name: state.name,
        })
    }

    fn value(&self, entity: usize) -> Result<Value> {
        let unit: usize = self.shape.iter().product();
        match &self.ends {
            None if self.shape.is_empty() => Ok(self.items.sql_item(entity)),
            None => self.items.json(entity * unit, &self.shape, MOST_TEXT).map(Value::Text),
            Some(ends) => {
                let (first, end) = (ends[entity] as usize, ends[entity + 1] as usize);
                let shape = [&[end - first], &self.shape[..]].concat();
                self.items.json(first * unit, &shape, MOST_TEXT).map(Value::Text)
            }
        }
    }
}

impl RowSource for Rows {
    fn rows(&self) -> usize {
        self.rows
    }

    fn give(&self, row: usize, column: usize, to: &mut Context) -> rusqlite::Result<()> {
        // The last column that begins at or before the row: those without rows begin where the next one does.
        let of = self.before.partition_point(|before| *before <= row) - 1;
        let attribute = &self.columns[of];
        let at = row - self.before[of];
        let entity = attribute.defined.as_ref().map_or(at, |defined| defined[at]);
        match column {
            0 => to.set_result(&self.ids[entity]),
            1 => to.set_result(&attribute.name),
            _ => match attribute.value(entity) {
                Ok(value) => to.set_result(&value),
                Err(error) => Err(rusqlite::Error::UserFunctionError(error.into())),
            },
        }
    }
}
